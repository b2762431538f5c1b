"""Which keys a run read: a key that was written and that nothing read changed nothing, and its user should know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from pydantic import BaseModel


class Tracked:
    """Params that note which of their fields are read.

    The first read of a field keeps its value in the instance, so that later reads are plain
    attribute reads; nested params are tracked too.
    """

    def __init__(self, params: BaseModel) -> None:
        object.__setattr__(self, "_params", params)

    def __getattr__(self, name: str) -> Any:
        params = self.__dict__["_params"]
        value = getattr(params, name)
        if name in type(params).model_fields:
            if isinstance(value, BaseModel):
                value = Tracked(value)
            self.__dict__[name] = value
        return value

    def __setattr__(self, name: str, value: Any) -> None:
        raise AttributeError(f"params are frozen: {name}")


def unread(tracked: Tracked, written: frozenset[str] | None = None) -> Iterator[str]:
    """The key paths below *tracked* that were written and never read; `kind` always counts as read.

    *written* replaces what the params themselves know to have been written at the top level.
    """
    params: BaseModel = tracked.__dict__["_params"]
    fields = type(params).model_fields
    names = params.model_fields_set if written is None else written
    for name in fields:
        if name == "kind" or name not in names:
            continue
        key = fields[name].alias or name
        if name not in tracked.__dict__:
            yield key
        elif isinstance(inner := tracked.__dict__[name], Tracked):
            yield from (f"{key}.{below}" for below in unread(inner))

"""Commit protocols: what a checkpoint's shards must have done before anyone may call it a checkpoint.

A protocol sees its own participants, its stores and the messages that reach it; it is never
handed a peer's state, so to it a crash is silence.  It records *claims* (`shard_saved`,
`epoch_committed`), never facts, and it names the recovery rule that the trace's header carries: the
rule is a pure function of durable state, the same in the crash sweep and in a live recovery.

Not modelled: a participant that lies; changes of membership within a run.
"""

from __future__ import annotations

from typing import Any, ClassVar

from hwsim.quantities import Params


class Protocol:
    """One commit protocol.  A subclass is one file, `class X(Protocol, kind="x")`, with its frozen `Params`."""

    Params: ClassVar[type[Params]]
    kind: ClassVar[str] = ""
    registry: ClassVar[dict[str, type[Protocol]]] = {}

    def __init_subclass__(cls, kind: str = "", **rest: Any) -> None:
        super().__init_subclass__(**rest)
        if kind:
            if kind in Protocol.registry:
                raise AssertionError(f"two protocol kinds are named {kind!r}")
            cls.kind = kind
            Protocol.registry[kind] = cls

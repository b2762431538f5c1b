"""What a checker says of a trace."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from hwsim.trace import Record


class Value(StrEnum):
    """What a checker found.  Undecided: this finite trace does not tell."""

    HOLDS = "holds"
    VIOLATED = "violated"
    UNDECIDED = "undecided"


@dataclass(frozen=True)
class Verdict:
    """What one checker says, with the records that prove it where something is violated."""

    name: str
    value: Value
    detail: str
    records: tuple[Record, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The verdict as results carry it."""
        told: dict[str, Any] = {"value": str(self.value), "detail": self.detail}
        if self.records:
            told["records"] = [
                {key: value for key, value in record._asdict().items() if value is not None} for record in self.records
            ]
        return told


def violated(verdicts: Iterable[Verdict]) -> tuple[tuple[str, str], ...]:
    """Name and detail of those that say that something is violated."""
    return tuple((verdict.name, verdict.detail) for verdict in verdicts if verdict.value is Value.VIOLATED)


def as_seconds(time_ps: int) -> str:
    """An instant as a reader finds it again in the trace: in seconds, exactly."""
    seconds, rest = divmod(time_ps, 10**12)
    return f"{seconds}.{rest:012d}".rstrip("0").rstrip(".") + " s"

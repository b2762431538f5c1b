"""What a study hands back: figures beside their closed forms, findings, and the verdicts that follow from them.

A verdict is computed from evidence and never written down.  The rules: a figure agrees with its
closed form if it lies within 4 standard errors of it (fixed seeds), or to 1e-9 where both are
exact; crash points are enumerated wherever they are few; a count of zero is reported with its
upper bound 3/n (95 per cent, the rule of three) unless the cases were enumerated.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

_EXACT = 1e-9
_WITHIN_SE = 4.0


class Verdict(StrEnum):
    """What the evidence says of a claim, or of one reading of it."""

    SUPPORTED = "supported"
    CONDITIONAL = "supported only under named conditions"
    REFUTED = "refuted"
    UNDECIDED = "undecided"  # the measurement contradicts its closed form: one of the two is wrong
    UNTESTED = "not tested yet"


@dataclass(frozen=True)
class Evidence:
    """One figure: measured in the simulation, and expected by a closed form.

    `how`: exact (both without sampling error), sampled (`se` is the standard error over `n`
    draws) or enumerated (all `n` cases were looked at).
    """

    quantity: str
    form: str  # the closed form, in words or symbols
    measured: float
    expected: float
    se: float = 0.0
    n: int = 0
    how: str = "sampled"

    @property
    def z(self) -> float:
        """Standard errors between the two; 0 or infinity where there is no sampling error."""
        if self.se > 0:
            return (self.measured - self.expected) / self.se
        return 0.0 if math.isclose(self.measured, self.expected, rel_tol=_EXACT, abs_tol=_EXACT) else math.inf

    @property
    def agrees(self) -> bool:
        """Whether the measurement is one that the closed form allows."""
        return abs(self.z) < _WITHIN_SE

    @property
    def at_most(self) -> float | None:
        """Upper bound of a rate that was sampled and never seen: 3/n."""
        return 3 / self.n if self.how == "sampled" and self.measured == 0 and self.n else None

    def to_json(self) -> dict[str, Any]:
        """Plain data; an infinite z is None."""
        z = self.z
        return {
            "quantity": self.quantity, "form": self.form, "how": self.how, "n": self.n,
            "measured": self.measured, "expected": self.expected, "se": self.se,
            "z": z if math.isfinite(z) else None, "agrees": self.agrees, "at_most": self.at_most,
        }


@dataclass(frozen=True)
class Finding:
    """One experiment on one reading of a claim.  `records`: the trace's rows that prove it, where it is a witness."""

    id: str
    reading: str
    verdict: Verdict
    because: str
    evidence: tuple[Evidence, ...] = ()
    records: tuple[dict[str, Any], ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Plain data."""
        found: dict[str, Any] = {
            "id": self.id, "reading": self.reading, "verdict": str(self.verdict), "because": self.because,
            "evidence": [item.to_json() for item in self.evidence],
        }
        if self.records:
            found["records"] = list(self.records)
        return found


def unless_contradicted(verdict: Verdict, evidence: Iterable[Evidence]) -> Verdict:
    """*verdict*, or undecided if some figure contradicts its closed form."""
    return verdict if all(item.agrees for item in evidence) else Verdict.UNDECIDED


def together(verdicts: Iterable[Verdict]) -> Verdict:
    """The verdict on a claim from those on its readings: where they differ, it holds only under conditions."""
    distinct = set(verdicts)
    if not distinct or distinct == {Verdict.UNTESTED}:
        return Verdict.UNTESTED
    if Verdict.UNDECIDED in distinct:
        return Verdict.UNDECIDED
    distinct.discard(Verdict.UNTESTED)
    return distinct.pop() if len(distinct) == 1 else Verdict.CONDITIONAL

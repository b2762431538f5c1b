"""What crashes lead to, weighed: the sums that every sweep fills and every result is written from.

Weights are ps for windows and counts for single instants; shares are taken only when a result is written, so
sums over strikes and timelines stay exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, TypeVar

from hwsim.crash_timeline import RawClass, State
from hwsim.outcomes import UNSAFE, Outcome

PS = 10**12

Key = TypeVar("Key")


@dataclass
class Interval:
    """One interval's own shares, for a standard error where intervals are independent."""

    weight: float = 0
    mixed: float = 0
    unsafe: float = 0
    lost_ps: float = 0  # integral of the work lost
    restored: float = 0


@dataclass
class Tally:
    """Weights of everything that crashes of one measure lead to; weights are ps for windows, counts for instants."""

    weight: float = 0
    raw: dict[RawClass, float] = field(default_factory=dict)
    at_latest: dict[int, float] = field(default_factory=dict)
    distinct: dict[int, float] = field(default_factory=dict)
    spread: dict[int, float] = field(default_factory=dict)
    worst: dict[Outcome, float] = field(default_factory=dict)
    best: dict[Outcome, float] = field(default_factory=dict)
    undecided: float = 0
    unprotected: float = 0
    surely_unprotected: float = 0  # even if every doubt resolves kindly
    restored: float = 0
    lost_ps: float = 0  # integral of the work lost over the instants at which one whole checkpoint is restored
    lost_max_ps: int = 0
    intervals: dict[int, Interval] = field(default_factory=dict)

    def add(self, state: State, weight: float) -> None:
        """Weigh *state*; the work lost is counted apart."""
        vector, judged, _ = state
        self.weight += weight
        _put(self.raw, vector.raw, weight)
        if vector.raw is RawClass.MIXED or vector.raw is RawClass.UNIFORM:
            _put(self.at_latest, vector.at_latest, weight)
            _put(self.distinct, vector.distinct, weight)
            _put(self.spread, vector.spread, weight)
        _put(self.worst, judged.worst, weight)
        _put(self.best, judged.best, weight)
        if judged.worst is not judged.best:
            self.undecided += weight
        if judged.unprotected:
            self.unprotected += weight
        if judged.surely_unprotected:
            self.surely_unprotected += weight

    def merge(self, other: Tally) -> None:
        """Add the weights of *other*: one of two strikes or two timelines strikes, each as likely."""
        self.weight += other.weight
        _put_all(self.raw, other.raw)
        _put_all(self.at_latest, other.at_latest)
        _put_all(self.distinct, other.distinct)
        _put_all(self.spread, other.spread)
        _put_all(self.worst, other.worst)
        _put_all(self.best, other.best)
        self.undecided += other.undecided
        self.unprotected += other.unprotected
        self.surely_unprotected += other.surely_unprotected
        self.restored += other.restored
        self.lost_ps += other.lost_ps
        self.lost_max_ps = max(self.lost_max_ps, other.lost_max_ps)

    def share(self, weight: float) -> float:
        """*weight* as a share of everything; 0 where nothing weighs anything."""
        return weight / self.weight if self.weight else 0.0

    @property
    def mixed_share(self) -> float:
        return self.share(self.raw.get(RawClass.MIXED, 0))

    @property
    def unsafe_share(self) -> float:
        return self.share(_unsafe(self.worst))

    @property
    def unprotected_share(self) -> float:
        return self.share(self.unprotected)

    @property
    def lost_mean_s(self) -> float:
        """Mean work lost, seconds, over the instants at which one whole checkpoint is restored; 0 if at none."""
        return self.lost_ps / self.restored / PS if self.restored else 0.0

    def raw_json(self, se: float = 0.0) -> dict[str, Any]:
        """The `raw` section of a result."""
        shares = {f"{name}_share": self.share(self.raw.get(name, 0)) for name in reversed(RawClass)}
        return {
            "method": "exact",
            "se": se,
            **shares,
            "at_latest": _distribution(self.at_latest),
            "distinct": _distribution(self.distinct),
            "spread": _distribution(self.spread),
        }

    def recovered_json(self, se: float = 0.0, lost_se: float = 0.0) -> dict[str, Any]:
        """The `recovered` section of a result; there is no lost work where nothing is ever restored."""
        lost = {"mean": self.lost_mean_s, "max": self.lost_max_ps / PS, "se": lost_se} if self.restored else {}
        return {
            "se": se,
            "outcomes": self._outcomes(self.worst),
            "unsafe_share": self.unsafe_share,
            "unprotected_share": self.unprotected_share,
            "undecided_share": self.share(self.undecided),
            "lost_work_s": lost,
            "best_case": {
                "outcomes": self._outcomes(self.best),
                "unsafe_share": self.share(_unsafe(self.best)),
                "unprotected_share": self.share(self.surely_unprotected),
            },
        }

    def _outcomes(self, weights: dict[Outcome, float]) -> dict[str, float]:
        return {str(outcome): self.share(weights[outcome]) for outcome in reversed(Outcome) if weights.get(outcome)}


def _unsafe(weights: dict[Outcome, float]) -> float:
    return sum(weight for outcome, weight in weights.items() if outcome in UNSAFE)


def _put(weights: dict[Key, float], key: Key, weight: float) -> None:
    weights[key] = weights.get(key, 0) + weight


def _put_all(weights: dict[Key, float], others: dict[Key, float]) -> None:
    for key, weight in others.items():
        _put(weights, key, weight)


def _distribution(weights: dict[int, float]) -> dict[str, float]:
    total = sum(weights.values())
    return {str(key): weights[key] / total for key in sorted(weights) if weights[key]}

"""Which instants a crash may strike at, and how much each of them weighs.

Every question about crashes is an integral over instants: all of a window alike, single points of it, or as
Poisson crashes find it that restart the schedule.  Each measure gives the weight of a span and its first
moment; a span never crosses the beginning of an interval, so a formula holds for the whole of it.
"""

from __future__ import annotations

import math
from bisect import bisect_left
from dataclasses import dataclass
from typing import Protocol


class Instants(Protocol):
    """A measure of the crash instants in [`start`, `end`), both ps."""

    @property
    def start(self) -> int: ...

    @property
    def end(self) -> int: ...

    def weight(self, begin: int, end: int) -> float:
        """How much [begin, end) weighs."""
        ...

    def moment(self, begin: int, end: int) -> float:
        """The integral of (t - begin) over [begin, end), ps."""
        ...

    def latest(self, begin: int, end: int) -> int:
        """The last instant of [begin, end) that counts (its supremum where all do); the span weighs something."""
        ...


@dataclass(frozen=True)
class AllInstants:
    """Every instant of the window alike; a span weighs its length in ps, exactly."""

    start: int
    end: int

    def weight(self, begin: int, end: int) -> int:
        return end - begin

    def moment(self, begin: int, end: int) -> float:
        return (end - begin) ** 2 / 2

    def latest(self, begin: int, end: int) -> int:
        return end


@dataclass(frozen=True)
class SingleInstants:
    """These instants only, each of weight 1; the state at an instant is the one after everything that happens at it."""

    points: tuple[int, ...]  # ascending

    @property
    def start(self) -> int:
        return self.points[0] if self.points else 0

    @property
    def end(self) -> int:
        return self.points[-1] + 1 if self.points else 0

    def weight(self, begin: int, end: int) -> int:
        return bisect_left(self.points, end) - bisect_left(self.points, begin)

    def moment(self, begin: int, end: int) -> int:
        inside = self.points[bisect_left(self.points, begin) : bisect_left(self.points, end)]
        return sum(inside) - begin * len(inside)

    def latest(self, begin: int, end: int) -> int:
        return self.points[bisect_left(self.points, end) - 1]


@dataclass(frozen=True)
class PoissonInstants:
    """Crashes of mean distance `mean_ps` that each restart the schedule, so that early phases are likelier.

    The phase s of an interval T has density e^(-s/M) / (M (1 - e^(-T/M))); every interval weighs T.
    """

    start: int
    end: int
    first_ps: int
    interval_ps: int
    mean_ps: int

    def _scale(self, begin: int) -> float:
        phase = (begin - self.first_ps) % self.interval_ps
        return self.interval_ps * math.exp(-phase / self.mean_ps) / -math.expm1(-self.interval_ps / self.mean_ps)

    def weight(self, begin: int, end: int) -> float:
        return self._scale(begin) * -math.expm1((begin - end) / self.mean_ps)

    def moment(self, begin: int, end: int) -> float:
        length, mean = end - begin, self.mean_ps
        return self._scale(begin) * (-mean * math.expm1(-length / mean) - length * math.exp(-length / mean))

    def latest(self, begin: int, end: int) -> int:
        return end

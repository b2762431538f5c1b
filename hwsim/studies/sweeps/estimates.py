"""A mean over repeats, and how well it is known.

Every run is exact for its own timeline; what is uncertain is how another timeline would have come out.  The interval is
Student's: mean +- t(0.975, n-1) * s / sqrt(n) over the n repeats, which are independent and of one distribution.
It holds exactly where they are normal and approximately where n is large; a share that was 0 in every repeat has the
interval [0, 0], which says that none of these timelines showed it, not that none ever will.

Source: Student, "The Probable Error of a Mean", Biometrika 6 (1908); Law, Simulation Modeling and Analysis, 5th ed.,
sections 4.5 and 9.4.1 (replications, and stopping once the half-width is small: looking again and again makes the
interval hold a little less often than it says).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean, stdev

CONFIDENCE = 0.95
_EXACT = 1e-12


@dataclass(frozen=True)
class Estimate:
    """A mean of *n* repeats; `half_width` is None where one repeat tells nothing of the others."""

    mean: float
    half_width: float | None
    n: int

    @property
    def low(self) -> float:
        """The lower end of the interval, or the mean."""
        return self.mean - (self.half_width or 0.0)

    @property
    def high(self) -> float:
        """The upper end of the interval, or the mean."""
        return self.mean + (self.half_width or 0.0)


def estimate(values: Sequence[float]) -> Estimate | None:
    """The mean of *values* with its interval; None of nothing."""
    n = len(values)
    if n == 0:
        return None
    if n == 1:
        return Estimate(values[0], None, 1)
    spread = 0.0 if min(values) == max(values) else stdev(values)
    mean = values[0] if spread == 0 else fmean(values)
    return Estimate(mean, student_t(n - 1) * spread / math.sqrt(n), n)


def differ(one: Estimate, other: Estimate) -> bool:
    """Whether the two intervals lie apart, or both are exact and unequal; stricter than a test of the difference."""
    gap = max(one.low - other.high, other.low - one.high)
    return gap > _EXACT * max(1.0, abs(one.mean), abs(other.mean))


@lru_cache(maxsize=4096)
def student_t(freedom: int, confidence: float = CONFIDENCE) -> float:
    """The t that a variable of Student's distribution stays below, on both sides, with *confidence*."""
    low, high = 0.0, 1e6
    for _ in range(200):
        middle = (low + high) / 2
        if _within(middle, freedom) < confidence:
            low = middle
        else:
            high = middle
        if high - low <= 1e-12 * high:
            break
    return (low + high) / 2


def _within(t: float, freedom: int) -> float:
    """P(|T| <= t)."""
    return 1 - _incomplete_beta(freedom / (freedom + t * t), freedom / 2, 0.5)


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """The regularised incomplete beta function, by its continued fraction (DLMF 8.17.22, modified Lentz)."""
    if x <= 0 or x >= 1:
        return min(max(x, 0.0), 1.0)
    if x > (a + 1) / (a + b + 2):
        return 1 - _incomplete_beta(1 - x, b, a)
    front = math.exp(math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)) / a
    tiny = 1e-300
    fraction, c, d = 1.0, 1.0, 0.0
    for step in range(10_000):
        m = step // 2
        if step == 0:
            numerator = 1.0
        elif step % 2 == 0:
            numerator = m * (b - m) * x / ((a + 2 * m - 1) * (a + 2 * m))
        else:
            numerator = -(a + m) * (a + b + m) * x / ((a + 2 * m) * (a + 2 * m + 1))
        d = 1 / (1 + numerator * d or tiny)
        c = 1 + numerator / c or tiny
        fraction *= c * d
        if abs(1 - c * d) < 1e-15:
            break
    return front * (fraction - 1)

"""Delay distributions, as inverse transforms of one uniform number.

One uniform a draw keeps streams aligned: changing a distribution's parameter moves every draw and
reorders none, so two runs that differ in one figure can be compared draw by draw.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True)
class Distribution:
    """A non-negative delay; parameters in ps.

    `name` is one of these.  uniform: low, high.  exponential: mean.  constant: value.  lognormal: median, sigma (of the
    logarithm).  pareto: minimum, shape (Lomax is not meant: P(X > x) = (minimum/x)**shape).
    quantiles: share, value, share, value, ... rising from share 0 to 1; linear in between.
    """

    name: str
    parameters: tuple[float, ...]

    def at(self, u: float) -> int:
        """The quantile of *u* in [0, 1), in ps."""
        match self.name, self.parameters:
            case "uniform", (low, high):
                value = low + (high - low) * u
            case "exponential", (mean,):
                value = -mean * math.log1p(-u)
            case "constant", (fixed,):
                value = fixed
            case "lognormal", (median, sigma):
                value = median * math.exp(sigma * NormalDist().inv_cdf(min(max(u, 1e-15), 1 - 1e-15)))
            case "pareto", (minimum, shape):
                value = minimum * (1 - u) ** (-1 / shape)
            case "quantiles", points:
                value = _between(points, u)
            case _:
                raise AssertionError(f"unknown distribution {self}")
        return round(value)

    def draw(self, stream: random.Random) -> int:
        """One draw, in ps."""
        return self.at(stream.random())

    @property
    def mean_ps(self) -> float:
        """The mean, in ps; infinite for a pareto of shape 1 or less."""
        match self.name, self.parameters:
            case "uniform", (low, high):
                return (low + high) / 2
            case "lognormal", (median, sigma):
                return median * math.exp(sigma * sigma / 2)
            case "pareto", (minimum, shape):
                return minimum * shape / (shape - 1) if shape > 1 else math.inf
            case "quantiles", points:
                pieces = zip(points[::2], points[1::2], points[2::2], points[3::2], strict=False)
                return sum((right - left) * (low + high) / 2 for left, low, right, high in pieces)
            case _, (value,):
                return value
        raise AssertionError(f"unknown distribution {self}")


def _between(points: tuple[float, ...], u: float) -> float:
    """The value at share *u* on the line through the points."""
    index = max(2 * (bisect_right(points[::2], u) - 1), 0)
    if index + 2 >= len(points):
        return points[-1]
    left, low, right, high = points[index : index + 4]
    return low + (high - low) * (u - left) / (right - left)

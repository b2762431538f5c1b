"""Delay distributions, as inverse transforms of one uniform number.

One uniform a draw keeps streams aligned: changing a distribution's parameter moves every draw and
reorders none, so two runs that differ in one figure can be compared draw by draw.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from statistics import NormalDist


@dataclass(frozen=True)
class Distribution:
    """A non-negative delay; parameters in ps.  `name` is uniform, exponential, constant, lognormal or pareto.

    uniform: low, high.  exponential: mean.  constant: value.  lognormal: median, sigma (of the
    logarithm).  pareto: minimum, shape (Lomax is not meant: P(X > x) = (minimum/x)**shape).
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
            case _, (value,):
                return value
        raise AssertionError(f"unknown distribution {self}")

"""A grid: every combination of the values of its keys that no `where` excludes, in the order of the file.

A key's values are a list, `{log: [a, b], points: n}` (equal ratios, both ends included) or `{range: [a, b], step: s}`
(from a on, b included where a step hits it).  The last key changes fastest.  The number of a point is its place among
those that are left; its name is its values, so that the random streams of a point stay its own when the grid grows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise, product
from typing import Any

from hwsim.studies.sweeps.conditions import Condition
from hwsim.studies.sweeps.measures import NUMBER, Measure, canonical, measure, written

MAX_VALUES = 10_000  # of one key
MAX_COMBINATIONS = 1_000_000  # before `where`
MAX_RUNS = 1_000_000  # after it, with every repeat
_FEWEST_DIGITS, _MOST_DIGITS = 3, 15  # of what lies between the ends of `log`: as few as tell them apart


class ValuesRefused(ValueError):
    """Values that say nothing: what is wrong, what to write, and the step that leads to it."""

    def __init__(self, problem: str, remedy: str, step: tuple[str | int, ...] = ()) -> None:
        super().__init__(problem)
        self.problem, self.remedy, self.step = problem, remedy, step


@dataclass(frozen=True)
class Point:
    """One combination: `number` counts those that are left from 0."""

    number: int
    values: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The same for the same values, in whatever order their keys stand."""
        return canonical(dict(self.values))


def read_values(given: Any) -> tuple[Any, ...]:
    """The values that a key of the grid takes.  Raises ValuesRefused."""
    if isinstance(given, list):
        return _listed(given)
    if isinstance(given, dict) and "log" in given:
        return _log(given)
    if isinstance(given, dict) and "range" in given:
        return _range(given)
    raise ValuesRefused(
        "is no list of values", "write [a, b], {log: [10s, 10min], points: 5} or {range: [1, 9], step: 2}"
    )


def points(grid: Mapping[str, Sequence[Any]], where: Sequence[Condition]) -> Iterator[Point]:
    """The points that are left of *grid*; values are text, numbers, truth values, lists and mappings."""
    number = 0
    for combination in product(*grid.values()):
        values = dict(zip(grid, combination, strict=True))
        if all(condition.holds(values) for condition in where):
            yield Point(number, values)
            number += 1


def _listed(given: list[Any]) -> tuple[Any, ...]:
    if not given:
        raise ValuesRefused("is an empty list", "write at least one value, or leave the key out")
    if len(given) > MAX_VALUES:
        raise ValuesRefused(f"holds {len(given):,} values, above the {MAX_VALUES:,} that are read", "write fewer")
    seen: dict[Any, int] = {}
    for index, value in enumerate(given):
        found = measure(value)
        same = (found.dimension, found.amount)
        if same in seen:
            raise ValuesRefused(f"is the same as value {seen[same] + 1} of the list", "keep one of them", (index,))
        seen[same] = index
    return tuple(given)


def _log(given: dict[str, Any]) -> tuple[Any, ...]:
    low, high = _ends(given, "log", "points")
    count = given.get("points")
    if isinstance(count, bool) or not isinstance(count, int) or not 2 <= count <= MAX_VALUES:
        raise ValuesRefused("lacks a whole number of points", f"write points: 2 to {MAX_VALUES}", ("points",))
    if low.amount <= 0:
        raise ValuesRefused("begins at or below zero, and no ratio leads on from there", "begin above zero", ("log", 0))
    ratio = (math.log(high.amount) - math.log(low.amount)) / (count - 1)
    exact = [low.amount * math.exp(ratio * step) for step in range(1, count - 1)]
    for digits in range(_FEWEST_DIGITS, _MOST_DIGITS + 1):
        between = [float(f"{amount:.{digits}g}") for amount in exact]
        amounts = [low.amount, *(between if low.dimension == NUMBER else map(round, between)), high.amount]
        if all(left < right for left, right in pairwise(amounts)):
            middle = (written(low.dimension, amount) for amount in amounts[1:-1])
            return (given["log"][0], *middle, given["log"][1])
    raise ValuesRefused("has points that are the same", "write fewer points, or ends further apart", ("points",))


def _range(given: dict[str, Any]) -> tuple[Any, ...]:
    low, high = _ends(given, "range", "step")
    step = measure(given.get("step"))
    if step.dimension != low.dimension:
        remedy = "write step: with the unit of the ends" if low.dimension != NUMBER else "write step: a number"
        raise ValuesRefused("lacks a step that fits", remedy, ("step",))
    first, last, width = (Decimal(str(one.amount)) for one in (low, high, step))
    if width <= 0:
        raise ValuesRefused("has a step that leads nowhere", "write one above zero", ("step",))
    count = int((last - first) / width) + 1
    if count > MAX_VALUES:
        raise ValuesRefused(f"comes to {count:,} values, above {MAX_VALUES:,}", "write a larger step", ("step",))
    amounts = [first + width * index for index in range(count)]
    if low.dimension != NUMBER:
        return tuple(written(low.dimension, int(amount)) for amount in amounts)
    whole = all(isinstance(one.amount, int) for one in (low, step))
    return tuple(int(amount) if whole else float(amount) for amount in amounts)


def _ends(given: dict[str, Any], way: str, other: str) -> tuple[Measure, Measure]:
    unknown = sorted(set(given) - {way, other})
    if unknown:
        raise ValuesRefused("unknown key", f"beside `{way}` stands `{other}`", (unknown[0],))
    ends = given[way]
    if not isinstance(ends, list) or len(ends) != 2:
        raise ValuesRefused("is no pair of ends", f"write {way}: [10s, 10min]", (way,))
    low, high = measure(ends[0]), measure(ends[1])
    if not low.is_ordered or low.dimension != high.dimension or not all(map(_finite, (low, high))):
        raise ValuesRefused("has ends that are not of one kind", f"write {way}: [10s, 10min]", (way,))
    if low.amount >= high.amount:
        raise ValuesRefused("ends at or before its beginning", "write the smaller one first", (way,))
    return low, high


def _finite(value: Measure) -> bool:
    return math.isfinite(value.amount)

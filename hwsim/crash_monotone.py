"""The crash sweep in closed expressions, for domains that only ever make whole, newer checkpoints durable.

With s_i(t) the durable checkpoint of domain i, first_e and last_e the least and the greatest time at which a domain
reaches checkpoint e: all are at e exactly during [last_e, first_{e+1}), so the uniform time needs no sorting; the
newest and the oldest checkpoint held are counts of the first and of the last times that have passed; a checkpoint
is held by somebody whenever more domains reached it than left it, which sorting each checkpoint's times decides.

Holds for the in-place rule over domains of one place each, where nothing ever went down.  All times are int64 ps.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from hwsim.crash_tally import Interval, Tally
from hwsim.crash_timeline import RawClass, Timeline
from hwsim.instants import AllInstants, Instants
from hwsim.outcomes import Outcome
from hwsim.trace import Strike

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Times = NDArray[np.int64]

Key = TypeVar("Key")


@dataclass(frozen=True)
class Growth:
    """When each domain reached each checkpoint: `times[e - 1, i]` ps, non-decreasing in e, NEVER where it did not.

    `begun[e - 1]`: when checkpoint e began, ascending.  A domain that skipped a checkpoint reached it with the next.
    """

    times: Times
    begun: Times

    @classmethod
    def of(cls, reached: Times, begun: Times) -> Growth:
        """From the raw durable times (NEVER where there was none): the newest durable checkpoint wins."""
        import numpy as np

        return cls(np.minimum.accumulate(reached[::-1], axis=0)[::-1], begun)


def sweep(timeline: Timeline, strike: Strike, instants: Instants) -> Tally | None:
    """The tally of *strike*, or None where these expressions do not hold and the replay must judge."""
    if not isinstance(instants, AllInstants) or instants.end <= instants.start:
        return None
    growth = growth_of(timeline)
    if growth is None:
        return None
    takes = frozenset(strike.takes)
    if timeline.doubts or any(timeline.needs[part.stack[0]] & takes for part in timeline.parts):
        return None
    header = timeline.header
    return sweep_growth(growth, instants.start, instants.end, header.first_ps, header.interval_ps)


def growth_of(timeline: Timeline) -> Growth | None:
    """The timeline as times of growth, or None if it is of another kind."""
    import numpy as np

    found = timeline.growth
    if found is None:
        return None
    reached, begun = found
    return Growth.of(np.array(reached, dtype=np.int64).reshape(len(begun), -1), np.array(begun, dtype=np.int64))


def sweep_growth(growth: Growth, start: int, end: int, first_ps: int, interval_ps: int) -> Tally | None:
    """Every sum of the tally over [start, end); None where a domain is ahead of a checkpoint's begin."""
    import numpy as np

    times, begun = growth.times, growth.begun
    domains = times.shape[1]
    first, last = times.min(axis=1), times.max(axis=1)
    if (first < begun).any():
        return None
    tally = Tally()
    tally.weight = end - start

    # newest and oldest checkpoint held, from event to event; the grid parts the intervals
    grid = np.arange(first_ps + -(-(start - first_ps) // interval_ps) * interval_ps, end, interval_ps, dtype=np.int64)
    grid = grid[grid > start]
    bounds = np.concatenate((first, last, grid, [start, end]))
    bounds = bounds[(bounds >= start) & (bounds <= end)]
    bounds.sort()
    lower, lengths = bounds[:-1], np.diff(bounds)
    newest = np.searchsorted(first, lower, side="right")
    oldest = np.searchsorted(last, lower, side="right")
    spread = newest - oldest
    uniform = spread == 0
    for value in np.flatnonzero(np.bincount(spread)).tolist():
        weight = int(lengths[spread == value].sum())
        if weight:
            tally.spread[value] = weight
    good = tally.spread.get(0, 0)
    mixed = tally.weight - good
    _fill(tally.raw, {RawClass.UNIFORM: good, RawClass.MIXED: mixed})
    outcomes = {Outcome.CORRECT_LATEST: good, Outcome.SILENT_MIXED: mixed}
    _fill(tally.worst, outcomes)
    _fill(tally.best, outcomes)
    tally.unprotected, tally.surely_unprotected, tally.restored = mixed, mixed, good

    # work lost where all are at one checkpoint: from its begin on
    cut = np.concatenate(([0], begun))[oldest]
    lost = np.where(uniform, lengths * (lower - cut).astype(float) + lengths.astype(float) ** 2 / 2, 0.0)
    tally.lost_ps = float(lost.sum())
    seen = uniform & (lengths > 0)
    tally.lost_max_ps = int((lower + lengths - cut)[seen].max()) if seen.any() else 0

    # the same by interval
    number = np.searchsorted(grid, lower, side="right")
    count = len(grid) + 1
    sums = np.zeros((2, count), dtype=np.int64)
    np.add.at(sums[0], number, lengths)
    np.add.at(sums[1], number, np.where(uniform, lengths, 0))
    losses = np.bincount(number, weights=lost, minlength=count).tolist()
    for index, (weight, whole, work) in enumerate(zip(sums[0].tolist(), sums[1].tolist(), losses, strict=True)):
        tally.intervals[index] = Interval(weight, weight - whole, weight - whole, work, whole)

    ordered = np.sort(times, axis=1)
    if max(tally.spread) <= 1:
        tally.distinct = {value + 1: weight for value, weight in tally.spread.items()}
    else:
        tally.distinct = _distinct(ordered, start, end)

    # domains at the newest checkpoint begun: spans between the sorted times inside [begun_e, begun_{e+1})
    opens = np.clip(np.concatenate(([0], begun)), start, end)[:, None]
    closes = np.append(opens[1:], [[end]], axis=0)
    inside = np.clip(np.vstack((np.zeros((1, domains), dtype=np.int64), ordered)), opens, closes)
    weights = np.diff(np.hstack((opens, inside, closes)), axis=1).sum(axis=0)
    tally.at_latest = {value: int(weights[value]) for value in np.flatnonzero(weights).tolist()}
    return tally


def _distinct(ordered: Times, start: int, end: int) -> dict[int, float]:
    """For how long how many different checkpoints are held; *ordered*: each checkpoint's times, ascending."""
    import numpy as np

    reached, left = ordered[:-1], ordered[1:]
    gap = left[:, :-1] < reached[:, 1:]  # all that had reached a checkpoint have left it, and one is still to come
    appears = np.concatenate((ordered[:, 0], reached[:, 1:][gap]))
    vanishes = np.concatenate((ordered[:, -1], left[:, :-1][gap]))  # checkpoint e - 1 goes with the last that reach e
    times = np.clip(np.concatenate((appears, vanishes, [end])), start, end)
    steps = np.concatenate((np.ones(len(appears), int), -np.ones(len(vanishes), int), [0]))
    order = np.argsort(times, kind="stable")
    held = 1 + np.concatenate(([0], np.cumsum(steps[order])[:-1]))  # checkpoint 0 at first
    lengths = np.diff(np.concatenate(([start], times[order])))
    found: dict[int, float] = {}
    for value in np.unique(held).tolist():
        weight = int(lengths[held == value].sum())
        if weight:
            found[value] = weight
    return found


def _fill(weights: dict[Key, float], new: dict[Key, float]) -> None:
    weights.update({key: weight for key, weight in new.items() if weight})

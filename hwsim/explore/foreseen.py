"""What recovery would make of a crash at every point, exactly and without simulating any: the sweep, event by event.

A crash cannot change what came before it, so the rows up to a point say what every strike would leave there, in-flight
writes as sets, and the rule says all that recovery may hand back.  Targets that take nothing from any place look
alike, so they are judged once.

The judgement is that of a recovery asked at once.  Where the job learns of a crash only later, what the survivors do
meanwhile is for the live executions to tell.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

from hwsim.crash_timeline import RawClass, Timeline
from hwsim.explore.state import token
from hwsim.explore.window import Window
from hwsim.outcomes import Handed, Outcome, classify, worst
from hwsim.trace import Strike

Deletes = Callable[[Handed, str], bool]  # whether a recovery that hands this back deletes all shards under a slot


class Foreseen(NamedTuple):
    """What a strike at a point leads to: all that recovery may hand back, and how each stands; and what it leaves.

    `left` is the number of what all places still hold (see `state.token`), `matters` of what of it recovery does not
    delete unread; where recovery may hand back several, that is all of it.
    """

    handed: frozenset[Handed]
    outcomes: frozenset[Outcome]
    raw: RawClass
    left: int
    matters: int

    @property
    def worst(self) -> Outcome:
        """The worst that the doubts allow."""
        return worst(self.outcomes)


def effect(timeline: Timeline, takes: frozenset[str]) -> frozenset[str]:
    """The part of *takes* that some place needs or doubts: all that a reader could notice."""
    asked: set[str] = set()
    for needs in timeline.needs.values():
        asked |= needs
    for doubts in timeline.doubts.values():
        asked |= doubts
    for op in timeline.ops:
        asked |= op.tokens
    return takes & asked


def foresee(timeline: Timeline, window: Window, takes: frozenset[str], deletes: Deletes) -> list[Foreseen]:
    """What a strike that takes *takes* would lead to, at each point of the window.

    *deletes*: what recovery deletes, whatever it holds (`Protocol.deletes`).
    """
    found = []
    boundaries = [point.rows for point in window.points]
    left = _Left(timeline, window, takes, deletes)
    for seen, boundary in zip(judged(timeline, takes, boundaries), boundaries, strict=True):
        left.advance(boundary)
        sure = next(iter(seen.handed)) if len(seen.handed) == 1 else None
        found.append(Foreseen(*seen, left.number, left.matters(sure)))
    return found


class Judged(NamedTuple):
    """What a strike leads to: all that recovery may hand back, how each stands, and what lies on the media."""

    handed: frozenset[Handed]
    outcomes: frozenset[Outcome]
    raw: RawClass


def judged(timeline: Timeline, takes: frozenset[str], boundaries: Sequence[int]) -> Iterator[Judged]:
    """What a strike that takes *takes* would lead to after the first so many rows, for each of the *boundaries*."""
    known: dict[tuple[frozenset[Handed], int, int], frozenset[Outcome]] = {}
    for replay in timeline.walk_rows(Strike("", tuple(takes)), boundaries):
        state = replay.state()
        key = (replay.handed, replay.acknowledged, replay.durable.written())
        outcomes = known.get(key)
        if outcomes is None:
            outcomes = known[key] = frozenset(
                classify(handed, acknowledged=key[1], written=key[2]) for handed in replay.handed
            )
        yield Judged(replay.handed, outcomes, state.vector.raw)


def left_untouched(timeline: Timeline, window: Window) -> list[int]:
    """What `Foreseen.left` would be at each point if nothing were taken."""
    left = _Left(timeline, window, frozenset(), _keeps_all)
    found = []
    for point in window.points:
        left.advance(point.rows)
        found.append(left.number)
    return found


def _keeps_all(_handed: Handed, _slot: str) -> bool:
    return False


class _Left:
    """What the places that survive a strike hold, as a number that is kept current from row to row."""

    def __init__(self, timeline: Timeline, window: Window, takes: frozenset[str], deletes: Deletes) -> None:
        self.number = 0
        self._timeline = timeline
        self._rows = window.trace.rows
        self._takes = takes
        self._deletes = deletes
        self._shards = frozenset(part.name for part in window.trace.header.parts if part.shard >= 0)
        self._needs = dict(timeline.needs)
        self._entries: dict[tuple[str, str, str], str] = {}
        self._position = self._op = 0
        self._handed: Handed | None = None  # for which `_spare` is kept current
        self._spare = 0  # the number of the entries that a recovery which hands that back deletes

    def advance(self, boundary: int) -> None:
        """Take in the rows up to *boundary*."""
        rows, row_of, ops = self._rows, self._timeline.row_of, self._timeline.ops
        entries = self._entries
        for position in range(self._position, boundary):
            row = rows[position]
            place, part, slot, may = row[3], row[4], row[5], row[7]
            if place is not None and part is not None:
                key = (part, slot or "0", place)
                old = entries.pop(key, None)
                if old is not None:
                    self._change(key, old)
                if may is not None:
                    entries[key] = may
                    self._change(key, may)
            elif row[1] == "dependence_changed" and row[9] is not None:
                while row_of[self._op] < position:
                    self._op += 1
                self._needs[row[9]] = ops[self._op].tokens
                self._count(self._handed)
        self._position = boundary

    def matters(self, handed: Handed | None) -> int:
        """The number of what a recovery that hands this back does not delete unread; None: it may hand back several."""
        if handed is None:
            return self.number
        if handed != self._handed:
            self._count(handed)
        return self.number ^ self._spare

    def _count(self, handed: Handed | None) -> None:
        self.number = self._spare = 0
        self._handed = handed
        for key, may in self._entries.items():
            self._change(key, may)

    def _change(self, key: tuple[str, str, str], may: str) -> None:
        part, slot, place = key
        timeline, takes = self._timeline, self._takes
        if self._needs[place] & takes:
            return
        number = token(part, slot, place, may, place in timeline.doubts and bool(timeline.doubts[place] & takes))
        self.number ^= number
        if self._handed is not None and part in self._shards and self._deletes(self._handed, slot):
            self._spare ^= number

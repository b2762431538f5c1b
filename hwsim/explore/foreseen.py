"""What recovery would make of a crash at every point, exactly and without simulating any: the sweep, event by event.

A crash cannot change what came before it, so the rows up to a point say what every strike would leave there, in-flight
writes as sets, and the rule says all that recovery may hand back.  Targets that take nothing from any place look
alike, so they are judged once.

The judgement is that of a recovery asked at once.  Where the job learns of a crash only later, what the survivors do
meanwhile is for the live executions to tell.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from hwsim.crash_timeline import RawClass, Timeline
from hwsim.explore.state import token
from hwsim.explore.window import Window
from hwsim.outcomes import Handed, Outcome, classify, worst
from hwsim.trace import Strike


class Foreseen(NamedTuple):
    """What a strike at a point leads to: all that recovery may hand back, and how each stands; and what it leaves.

    `left` is the number of what all places still hold (see `state.token`).
    """

    handed: frozenset[Handed]
    outcomes: frozenset[Outcome]
    raw: RawClass
    left: int

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


def foresee(timeline: Timeline, window: Window, takes: frozenset[str]) -> list[Foreseen]:
    """What a strike that takes *takes* would lead to, at each point of the window."""
    found = []
    boundaries = [point.rows for point in window.points]
    judged: dict[tuple[frozenset[Handed], int, int], frozenset[Outcome]] = {}
    numbers = _left(timeline, window, takes, boundaries)
    for replay, left in zip(timeline.walk_rows(Strike("", tuple(takes)), boundaries), numbers, strict=True):
        state = replay.state()
        key = (replay.handed, replay.acknowledged, replay.durable.written())
        outcomes = judged.get(key)
        if outcomes is None:
            outcomes = judged[key] = frozenset(
                classify(handed, acknowledged=key[1], written=key[2]) for handed in replay.handed
            )
        found.append(Foreseen(replay.handed, outcomes, state.vector.raw, left))
    return found


def _left(timeline: Timeline, window: Window, takes: frozenset[str], boundaries: Sequence[int]) -> Iterator[int]:
    """The number of what the places that survive hold, at each point."""
    needs = dict(timeline.needs)
    entries: dict[tuple[str, str, str], str] = {}

    def number(key: tuple[str, str, str], may: str) -> int:
        part, slot, place = key
        if needs[place] & takes:
            return 0
        doubted = place in timeline.doubts and bool(timeline.doubts[place] & takes)
        return token(part, slot, place, may, doubted)

    total = position = op = 0
    rows, row_of, ops = window.trace.rows, timeline.row_of, timeline.ops
    for boundary in boundaries:
        while position < boundary:
            row = rows[position]
            place, part, slot, may = row[3], row[4], row[5], row[7]
            if place is not None and part is not None:
                key = (part, slot or "0", place)
                old = entries.pop(key, None)
                if old is not None:
                    total ^= number(key, old)
                if may is not None:
                    entries[key] = may
                    total ^= number(key, may)
            elif row[1] == "dependence_changed" and row[9] is not None:
                while row_of[op] < position:
                    op += 1
                needs[row[9]] = ops[op].tokens
                total = 0
                for key, may in entries.items():
                    total ^= number(key, may)
            position += 1
        yield total


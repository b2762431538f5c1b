"""What a crash at each instant would find: one trace, replayed event by event for one strike.

Between two events every crash instant leaves the same state, and a crash cannot change what came before it.  So
one pass over the rows of the places that survive the strike gives the exact state at every instant.

Under a strike, a part all of whose places die is no domain at that time: its content is not asked for in the
epoch vector (it has none to disagree with), while a recovery rule finds nothing there.

*Work* counts the time that training ran, and goes back to where the restored checkpoint began when a recovery
hands that checkpoint back; stalls count as running.

Not modelled: a crash while a recovery is loading is judged as any other instant.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from enum import StrEnum
from functools import cached_property
from typing import Final, NamedTuple

from hwsim.contents import NOTHING, NOTHING_FOR_SURE, TORN, Contents, decode
from hwsim.recovery import (
    CORRUPT,
    IN_PLACE_SLOT,
    MIXED,
    RULES,
    WHOLE,
    DurableState,
    Handed,
    Outcome,
    classify,
    protected,
)
from hwsim.trace import Strike, Trace

_HOLD, _NEEDS, _DOWN, _UP, _BEGUN, _COMMITTED, _STOPPED, _RECOVERED, _RESUMED = range(9)

NEVER = 2**62  # later than any instant
INDETERMINATE = -3  # beside TORN and epochs: the newest checkpoint of a part is in doubt


class RawClass(StrEnum):
    """What a crash finds, in order of precedence."""

    DARK = "dark"
    TORN = "torn"
    INDETERMINATE = "indeterminate"
    MIXED = "mixed"
    UNIFORM = "uniform"


class Vector(NamedTuple):
    """What the media hold; the numbers mean something only where the class is mixed or uniform."""

    raw: RawClass
    at_latest: int  # parts at the newest checkpoint begun
    distinct: int
    spread: int


class Judged(NamedTuple):
    """What recovery makes of it, in the worst and in the best case that the doubts allow.

    `restored` is the checkpoint handed back in the worst case, where one whole checkpoint is, else None.
    The work then lost is `base_ps`, plus the time t where training runs.
    """

    worst: Outcome
    best: Outcome
    unprotected: bool
    surely_unprotected: bool
    restored: int | None
    base_ps: int


class State(NamedTuple):
    """Everything that a crash at an instant leads to."""

    vector: Vector
    judged: Judged
    running: bool


class Recovery(NamedTuple):
    """One recovery of the timeline: what it handed back, what had been acknowledged, and the work lost (ps).

    `lost_ps` is None where no whole checkpoint was handed back.
    """

    time_ps: int
    handed: Handed
    acknowledged: int
    outcome: Outcome
    lost_ps: int | None


class Op(NamedTuple):
    """One row that matters, decoded: `what` is one of the codes above."""

    time_ps: int
    what: int
    part: int = -1
    slot: str = ""
    depth: int = 0
    contents: Contents | None = None
    epoch: int = 0
    name: str = ""
    tokens: frozenset[str] = frozenset()


class Timeline:
    """A trace prepared once for any number of strikes.  Raises ValueError where a row contradicts the header."""

    def __init__(self, trace: Trace) -> None:
        header = trace.header
        self.header = header
        self.parts: Final = header.parts
        self.rule = RULES[header.rule]
        self.needs = {place: frozenset(tokens) for place, tokens in header.places.items()}
        self.changing_needs = False
        index = {part.name: number for number, part in enumerate(self.parts)}
        depths = [{place: depth for depth, place in enumerate(part.stack)} for part in self.parts]
        participants = frozenset(header.participants)
        plain = {
            "checkpoint_begun": _BEGUN,
            "epoch_committed": _COMMITTED,
            "job_stopped": _STOPPED,
            "recovered": _RECOVERED,
            "job_resumed": _RESUMED,
        }
        self.ops: list[Op] = []
        add = self.ops.append
        for time_ps, event, subject, place, part, slot, epoch, may, _, peer, detail in trace.rows:
            if place is not None and part is not None:
                number = index[part]
                contents = None if may is None else decode(may)
                add(Op(time_ps, _HOLD, number, slot or "0", depths[number][place], contents))
            elif event in plain:
                add(Op(time_ps, plain[event], epoch=epoch or 0, name=detail or ""))
            elif event == "stopped" and subject in participants:
                add(Op(time_ps, _DOWN, name=subject))
            elif event == "restored" and subject in participants:
                add(Op(time_ps, _UP, name=subject))
            elif event == "dependence_changed" and peer is not None:
                self.changing_needs = True
                add(Op(time_ps, _NEEDS, name=peer, tokens=frozenset(json.loads(detail or "[]"))))
        if any(later.time_ps < earlier.time_ps for earlier, later in zip(self.ops, self.ops[1:], strict=False)):
            self.ops.sort(key=lambda op: op.time_ps)

    @cached_property
    def growth(self) -> tuple[list[int], list[int]] | None:
        """When every domain reached every checkpoint (checkpoint by checkpoint, NEVER for not) and when each began.

        None unless shards of one place each, one copy, only ever make whole, newer checkpoints durable under one
        slot, under the in-place rule; and nothing is acknowledged before it is durable, and nothing ever went down.
        """
        header = self.header
        if header.rule != "in_place" or header.rule_params.get("slots", "in_place") != "in_place":
            return None
        if any(part.shard < 0 or part.copy or len(part.stack) != 1 for part in self.parts) or not self.parts:
            return None
        begun: list[int] = []
        held = [0] * len(self.parts)
        reached: dict[tuple[int, int], int] = {}
        for op in self.ops:
            if op.what == _HOLD:
                epoch = -1 if op.contents is None or len(op.contents) > 1 else next(iter(op.contents))
                if epoch <= held[op.part] or op.slot != IN_PLACE_SLOT:
                    return None
                held[op.part] = epoch
                reached[epoch, op.part] = op.time_ps
            elif op.what == _BEGUN:
                if op.epoch == len(begun) + 1:
                    begun.append(op.time_ps)
                elif op.epoch > len(begun):
                    return None
            elif op.what == _COMMITTED:
                if min(held) < op.epoch:
                    return None
            else:
                return None
        if not begun or max(held) > len(begun):
            return None
        every = range(len(self.parts))
        return [reached.get((epoch, part), NEVER) for epoch in range(1, len(begun) + 1) for part in every], begun

    @cached_property
    def redrawn_each_checkpoint(self) -> bool:
        """Whether checkpoints follow each other at the barrier of the grid over abstract domains that nothing strikes.

        Then what happens in one interval is drawn anew in the next.
        """
        header = self.header
        if any(len(part.stack) != 1 for part in self.parts if part.shard >= 0):
            return False
        leads = set()
        for op in self.ops:
            if op.what == _BEGUN:
                leads.add(header.first_ps + (op.epoch - 1) * header.interval_ps - op.time_ps)
            elif op.what not in (_HOLD, _COMMITTED):
                return False
        return len(leads) == 1

    @cached_property
    def intervals_apart(self) -> bool:
        """Whether every checkpoint is durable, or never, before the next one begins, and none before its own begin."""
        first, interval = self.header.first_ps, self.header.interval_ps
        return all(
            0 <= op.time_ps - first - (max(op.contents) - 1) * interval < interval
            for op in self.ops
            if op.what == _HOLD and op.contents and max(op.contents) > 0
        )

    def states(self, strike: Strike, start: int, end: int) -> Iterator[tuple[int, State]]:
        """What *strike* would lead to, as (instant, state from it on); the first is at *start*, all before *end*."""
        state: State | None = None
        for time_ps, replay in self.walk(strike, start, end):
            latest = replay.state()
            if latest != state:
                state = latest
                yield time_ps, state

    def walk(self, strike: Strike, start: int, end: int) -> Iterator[tuple[int, Replay]]:
        """The replay itself at *start* and after every instant at which something happened before *end*.

        It is one object that goes on: read it before asking for the next.
        """
        replay = Replay(self, frozenset(strike.takes))
        ops = self.ops
        count = len(ops)
        position = 0
        while position < count and ops[position].time_ps <= start:
            replay.apply(ops[position])
            position += 1
        yield start, replay
        while position < count:
            time_ps = ops[position].time_ps
            if time_ps >= end:
                return
            while position < count and ops[position].time_ps == time_ps:
                replay.apply(ops[position])
                position += 1
            yield time_ps, replay

    def recoveries(self) -> list[Recovery]:
        """Every recovery that really happened, judged as those of the sweep are."""
        replay = Replay(self, frozenset())
        found = []
        for op in self.ops:
            if op.what == _RECOVERED:
                handed = Handed(op.name or WHOLE, op.epoch if op.name in ("", WHOLE) else None)
                acknowledged = replay.acknowledged
                outcome = classify(handed, acknowledged=acknowledged, written=replay.durable.written())
                safe = protected(handed, acknowledged=acknowledged)
                lost = replay.work(op.time_ps) - replay.cut.get(op.epoch, 0) if safe else None
                found.append(Recovery(op.time_ps, handed, acknowledged, outcome, lost))
            replay.apply(op)
        return found


class Replay:
    """The state that one strike would leave, kept current row by row.

    `newest`: per part its newest checkpoint, TORN or INDETERMINATE; None for records and for what does not survive.
    """

    def __init__(self, timeline: Timeline, takes: frozenset[str]) -> None:
        self.timeline = timeline
        self.takes = takes
        self.needs = dict(timeline.needs)
        self.names = [part.name for part in timeline.parts]
        self.is_shard = [part.shard >= 0 for part in timeline.parts]
        self.alive = [self._alive(part.stack) for part in timeline.parts]  # depths that survive, topmost first
        self.only = [alive[0] if len(alive) == 1 else -1 for alive in self.alive]
        self.entries: dict[tuple[int, str], dict[int, Contents]] = {}
        self.durable = DurableState(timeline.parts)
        self.rule_params = timeline.header.rule_params
        # the epoch vector
        self.slots: list[dict[str, Contents]] = [{} for _ in timeline.parts]
        live = zip(self.is_shard, self.alive, strict=True)
        self.newest: list[int | None] = [0 if shard and alive else None for shard, alive in live]
        self.counts: dict[int, int] = {}
        for newest in self.newest:
            self._tally(newest, 1)
        self.down: set[str] = set()
        # claims and work
        self.begun = 0
        self.acknowledged = 0
        self.running = True
        self.work_base = 0  # work(t) = work_base, plus t where running
        self.cut: dict[int, int] = {0: 0}  # checkpoint -> work at its cut
        # what of the state must be asked again
        self.vector_changed = self.durable_changed = self.claims_changed = True
        self.vector = Vector(RawClass.UNIFORM, 0, 0, 0)
        self.handed: frozenset[Handed] = frozenset()
        self.judged = Judged(Outcome.REFUSED, Outcome.REFUSED, True, True, None, 0)

    def _alive(self, stack: tuple[str, ...]) -> tuple[int, ...]:
        return tuple(depth for depth, place in enumerate(stack) if not self.needs[place] & self.takes)

    def apply(self, op: Op) -> None:
        """Take one row in."""
        what = op.what
        if what == _HOLD:
            only = self.only[op.part]
            if self.timeline.changing_needs or only < 0:
                self._hold_below(op)
            elif only == op.depth:
                self._show(op.part, op.slot, op.contents)
        elif what == _BEGUN:
            self.begun = max(self.begun, op.epoch)
            self.cut.setdefault(op.epoch, self.work(op.time_ps))
            self.vector_changed = self.claims_changed = True
        elif what == _COMMITTED:
            self.acknowledged = max(self.acknowledged, op.epoch)
            self.claims_changed = True
        elif what in (_DOWN, _UP):
            (self.down.add if what == _DOWN else self.down.discard)(op.name)
            self.vector_changed = True
        elif what == _STOPPED:
            if self.running:
                self.running, self.work_base = False, self.work(op.time_ps)
            self.claims_changed = True
        elif what == _RECOVERED:
            self.acknowledged = op.epoch
            if op.name not in (MIXED, CORRUPT):  # those train on, with what is a checkpoint of no cut
                work = self.cut.get(op.epoch, 0)
                self.work_base = work - op.time_ps if self.running else work
            self.claims_changed = True
        elif what == _RESUMED:
            if not self.running:
                self.running, self.work_base = True, self.work_base - op.time_ps
            self.claims_changed = True
        else:
            self._change_needs(op.name, op.tokens)

    def work(self, time_ps: int) -> int:
        """The work done by an instant not before the last row, ps."""
        return self.work_base + time_ps if self.running else self.work_base

    def _hold_below(self, op: Op) -> None:
        """Keep the entries of all places, and show the topmost that survives."""
        alive = self.alive[op.part]
        if op.depth not in alive and not self.timeline.changing_needs:
            return
        key = (op.part, op.slot)
        entry = self.entries.setdefault(key, {})
        if op.contents is None:
            entry.pop(op.depth, None)
            if not entry:
                del self.entries[key]
        else:
            entry[op.depth] = op.contents
        self._show(op.part, op.slot, next((entry[depth] for depth in alive if depth in entry), None))

    def _change_needs(self, place: str, tokens: frozenset[str]) -> None:
        self.needs[place] = tokens
        for number, part in enumerate(self.timeline.parts):
            if place not in part.stack:
                continue
            alive = self.alive[number] = self._alive(part.stack)
            self.only[number] = alive[0] if len(alive) == 1 else -1
            for (owner, slot), entry in self.entries.items():
                if owner == number:
                    self._show(number, slot, next((entry[depth] for depth in alive if depth in entry), None))
            self._renew(number)

    def _show(self, number: int, slot: str, contents: Contents | None) -> None:
        """A reader of *slot* after the strike finds *contents*."""
        slots = self.slots[number]
        if contents is None or contents == NOTHING_FOR_SURE:
            if slots.pop(slot, None) is None:
                return
        elif slots.get(slot) == contents:
            return
        else:
            slots[slot] = contents
        self.durable.set(self.names[number], slot, contents)
        self.durable_changed = True
        if self.is_shard[number]:
            self._renew(number)

    def _renew(self, number: int) -> None:
        """The newest checkpoint of a part may have changed."""
        newest = newest_of(self.slots[number]) if self.is_shard[number] and self.alive[number] else None
        old = self.newest[number]
        if newest != old:
            self._tally(old, -1)
            self._tally(newest, 1)
            self.newest[number] = newest
            self.vector_changed = True

    def _tally(self, newest: int | None, step: int) -> None:
        if newest is None:
            return
        count = self.counts.get(newest, 0) + step
        if count:
            self.counts[newest] = count
        else:
            del self.counts[newest]

    def state(self) -> State:
        """The whole state as of now."""
        if self.vector_changed:
            self.vector = self._vector()
            self.vector_changed = False
        if self.durable_changed:
            self.handed = self.timeline.rule(self.durable, self.rule_params)
        if self.durable_changed or self.claims_changed:
            self.judged = self._judge()
            self.durable_changed = self.claims_changed = False
        return State(self.vector, self.judged, self.running)

    def _vector(self) -> Vector:
        counts = self.counts
        if self.down:
            return Vector(RawClass.DARK, 0, 0, 0)
        if TORN in counts:
            return Vector(RawClass.TORN, 0, 0, 0)
        if INDETERMINATE in counts:
            return Vector(RawClass.INDETERMINATE, 0, 0, 0)
        if not counts:
            return Vector(RawClass.UNIFORM, 0, 1, 0)
        distinct = len(counts)
        raw = RawClass.MIXED if distinct > 1 else RawClass.UNIFORM
        return Vector(raw, counts.get(self.begun, 0), distinct, max(counts) - min(counts))

    def _judge(self) -> Judged:
        acknowledged, written = self.acknowledged, self.durable.written()
        judged = [
            (
                classify(handed, acknowledged=acknowledged, written=written),
                handed.epoch if protected(handed, acknowledged=acknowledged) else None,
            )
            for handed in self.handed
        ]
        worst, restored = min(judged, key=lambda pair: (pair[0].severity, -1 if pair[1] is None else pair[1]))
        best = max((outcome for outcome, _ in judged), key=lambda outcome: outcome.severity)
        unprotected = [epoch is None for _, epoch in judged]
        base = 0 if restored is None else self.work_base - self.cut.get(restored, 0)
        return Judged(worst, best, any(unprotected), all(unprotected), restored, base)


def newest_of(slots: dict[str, Contents]) -> int:
    """The newest whole checkpoint among a part's slots: its number (0: the initial state), TORN or INDETERMINATE.

    TORN: no slot can be whole and some slot surely is torn.  INDETERMINATE: the possible contents give several answers.
    """
    newest = assured = NOTHING
    torn = may_be_torn = False
    for contents in slots.values():
        high, low = max(contents), min(contents)
        newest = max(newest, high)
        assured = max(assured, low)
        torn |= high == TORN
        may_be_torn |= low == TORN
    if newest > 0:
        return newest if assured == newest else INDETERMINATE
    if newest == 0 and assured < 0 and may_be_torn:
        return INDETERMINATE
    if newest == NOTHING and may_be_torn and not torn:
        return INDETERMINATE
    return TORN if torn and newest < 0 else 0

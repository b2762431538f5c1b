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

import itertools
import json
from collections.abc import Iterator, Sequence
from enum import StrEnum
from functools import cached_property
from operator import itemgetter
from typing import Final, NamedTuple

from hwsim.contents import NOTHING, NOTHING_FOR_SURE, TORN, Contents, decode, uppermost
from hwsim.outcomes import CORRUPT, HANG, MIXED, WHOLE, Handed, Outcome, classify, protected
from hwsim.recovery import IN_PLACE_SLOT, DurableState
from hwsim.rules import RULES, asks_each_shard, only_checks
from hwsim.rules.manifest import view_of
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


class Change(NamedTuple):
    """From the op at `position` on, `slot` of a part reads as `contents`, and its newest checkpoint is `newest`.

    Position -1: as the run begins.  An empty slot: only `newest` is told.
    """

    position: int
    part: int
    slot: str
    contents: Contents | None
    newest: int | None


class Claim(NamedTuple):
    """The op at `position` changes something else than holdings."""

    position: int


# (from this op on, depths that survive, topmost first, those of them that are doubted)
Survivors = tuple[tuple[int, tuple[int, ...], tuple[int, ...]], ...]

_NOTHING_HELD = Op(0, _HOLD)


class Timeline:
    """A trace prepared once for any number of strikes.  Raises ValueError where contents cannot be read."""

    def __init__(self, trace: Trace) -> None:
        header = trace.header
        self.header = header
        self.parts: Final = header.parts
        self.rule = RULES[header.rule]
        self.needs = {place: frozenset(tokens) for place, tokens in header.places.items()}
        self.doubts = {place: frozenset(tokens) for place, tokens in header.doubts.items()}
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
        self.row_of: list[int] = []  # op -> its row in the trace, while times never fall
        add = self.ops.append
        for row, (time_ps, event, subject, place, part, slot, epoch, may, _, peer, detail) in enumerate(trace.rows):
            if place is not None and part is not None:
                number = index.get(part, -1)
                depth = depths[number].get(place) if number >= 0 else None
                if depth is not None:  # else no reader asks there; `checkers.well_formed` tells
                    contents = None if may is None else decode(may)
                    add(Op(time_ps, _HOLD, number, slot or "0", depth, contents))
            elif event in plain:
                add(Op(time_ps, plain[event], epoch=epoch or 0, name=detail or ""))
            elif event == "stopped" and subject in participants:
                add(Op(time_ps, _DOWN, name=subject))
            elif event == "restored" and subject in participants:
                add(Op(time_ps, _UP, name=subject))
            elif event == "dependence_changed" and peer is not None:
                add(Op(time_ps, _NEEDS, name=peer, tokens=frozenset(json.loads(detail or "[]"))))
            if len(self.ops) > len(self.row_of):
                self.row_of.append(row)
        if any(later.time_ps < earlier.time_ps for earlier, later in itertools.pairwise(self.ops)):
            self.ops.sort(key=lambda op: op.time_ps)
        self.times = [op.time_ps for op in self.ops]
        self._holds: list[list[int]] = [[] for _ in self.parts]
        self._claims: list[Change | Claim] = []
        self._needs_changes: list[tuple[int, Op]] = []
        views = view_of(header.rule_params)
        histories: list[list[object]] = [[one.shard < 0, views.get(one.shard)] for one in self.parts]
        for position, op in enumerate(self.ops):
            if op.what == _HOLD:
                self._holds[op.part].append(position)
                histories[op.part].append((op.time_ps, len(self._claims), op.slot, op.depth, op.contents))
            elif op.what == _NEEDS:
                self._needs_changes.append((position, op))
            else:
                self._claims.append(Claim(position))
        self._seen_by: dict[tuple[int, Survivors], list[Change]] = {}
        # parts with the same history, claims between included, are of one class: what holds of one holds of all
        classes: dict[tuple[object, ...], int] = {}
        self._class_of = [classes.setdefault(tuple(history), len(classes)) for history in histories]
        self._copies: dict[int, list[int]] = {}  # shard -> its parts, by copy
        for number, one in sorted(enumerate(self.parts), key=lambda pair: pair[1].copy):
            if one.shard >= 0:
                self._copies.setdefault(one.shard, []).append(number)

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
            if latest is not state and latest != state:
                state = latest
                yield time_ps, state

    def walk(self, strike: Strike, start: int, end: int) -> Iterator[tuple[int, Replay]]:
        """The replay itself at *start* and after every instant before *end* at which something changed.

        It is one object that goes on: read it before asking for the next.
        """
        replay = Replay(self, frozenset(strike.takes))
        changes = list(self._claims)
        for number, survivors in replay.watched:
            changes += self._seen(number, survivors)
        changes.sort(key=itemgetter(0))
        times = self.times
        count = len(changes)
        position = 0
        while position < count and (changes[position][0] < 0 or times[changes[position][0]] <= start):
            replay.take(changes[position])
            position += 1
        yield start, replay
        while position < count:
            time_ps = times[changes[position][0]]
            if time_ps >= end:
                return
            while position < count and times[changes[position][0]] == time_ps:
                replay.take(changes[position])
                position += 1
            yield time_ps, replay

    def walk_rows(self, strike: Strike, boundaries: Sequence[int]) -> Iterator[Replay]:
        """The replay after the first so many rows, for each of the ascending *boundaries*.

        Finer than `walk`: instants are cut between their events, where shards that end an instant alike may differ.
        """
        replay = Replay(self, frozenset(strike.takes), apart=True)
        changes = list(self._claims)
        for number, survivors in replay.watched:
            changes += self._seen(number, survivors)
        changes.sort(key=itemgetter(0))
        position, count, row_of = 0, len(changes), self.row_of
        for boundary in boundaries:
            while position < count and (changes[position][0] < 0 or row_of[changes[position][0]] < boundary):
                replay.take(changes[position])
                position += 1
            yield replay

    def survivors(self, number: int, takes: frozenset[str]) -> Survivors:
        """The depths of a part's stack that survive, from which op on: one entry unless what they need changes."""
        stack = self.parts[number].stack
        needs = {place: self.needs[place] for place in stack}
        unsure = [depth for depth, place in enumerate(stack) if place in self.doubts and self.doubts[place] & takes]

        def alive() -> tuple[tuple[int, ...], tuple[int, ...]]:
            depths = tuple(depth for depth, place in enumerate(stack) if not needs[place] & takes)
            return depths, tuple(depth for depth in unsure if depth in depths)

        found = [(-1, *alive())]
        for position, op in self._needs_changes:
            if op.name in needs:
                needs[op.name] = op.tokens
                now = alive()
                if now != found[-1][1:]:
                    found.append((position, *now))
        return tuple(found)

    def alike(
        self, takes: frozenset[str], *, apart: bool = False
    ) -> Iterator[tuple[list[tuple[int, Survivors]], int]]:
        """Shards whose copies all look the same at all times after a strike, as (one's parts, how many shards).

        *apart*: every shard on its own, for whoever looks between the events of one instant.
        """
        groups: dict[tuple[tuple[int, Survivors], ...], list[int]] = {}
        survivors = [self.survivors(number, takes) for number in range(len(self.parts))]
        for shard, copies in self._copies.items():
            looks = tuple((number if apart else self._class_of[number], survivors[number]) for number in copies)
            groups.setdefault(looks, []).append(shard)
        for shards in groups.values():
            yield [(number, survivors[number]) for number in self._copies[shards[0]]], len(shards)

    def _seen(self, number: int, survivors: Survivors) -> list[Change]:
        """Every change of what a reader of the part finds, these places surviving; computed once for all strikes."""
        key = (number, survivors)
        found = self._seen_by.get(key)
        if found is None:
            found = self._seen_by[key] = list(self._read_part(number, survivors))
        return found

    def _read_part(self, number: int, survivors: Survivors) -> Iterator[Change]:
        _, alive, doubted = survivors[0]
        later = list(survivors[1:])
        shard = self.parts[number].shard >= 0
        places: dict[str, dict[int, Contents]] = {}
        slots: dict[str, Contents] = {}
        newest = 0 if shard and alive else None
        yield Change(-1, number, "", None, newest)
        ops = [(position, self.ops[position]) for position in self._holds[number]]
        ops += [(position, _NOTHING_HELD) for position, *_ in later]
        for position, op in sorted(ops, key=itemgetter(0)):
            if op is _NOTHING_HELD:
                _, alive, doubted = later.pop(0)
                asked = list(places)
            else:
                asked = [op.slot]
                entry = places.setdefault(op.slot, {})
                if op.contents is None:
                    entry.pop(op.depth, None)
                else:
                    entry[op.depth] = op.contents
                if op.depth not in alive:
                    continue
            for slot in asked:
                entry = places[slot]
                contents = uppermost(entry, alive, doubted)
                if contents == NOTHING_FOR_SURE:
                    contents = None
                if contents == slots.get(slot):
                    continue
                if contents is None:
                    del slots[slot]
                else:
                    slots[slot] = contents
                newest = newest_of(slots) if shard and alive else None
                yield Change(position, number, slot, contents, newest)
            if op is _NOTHING_HELD:
                newest = newest_of(slots) if shard and alive else None
                yield Change(position, number, "", None, newest)

    def recoveries(self) -> list[Recovery]:
        """Every recovery that really happened, judged as those of the sweep are."""
        if not any(op.what == _RECOVERED for op in self.ops):
            return []
        replay = Replay(self, frozenset())
        found = []
        changes = list(self._claims)
        for number, survivors in replay.watched:
            changes += self._seen(number, survivors)
        for change in sorted(changes, key=itemgetter(0)):
            op = self.ops[change[0]] if isinstance(change, Claim) else _NOTHING_HELD
            if op.what == _RECOVERED:
                handed = Handed(op.name or WHOLE, op.epoch if op.name in ("", WHOLE) else None)
                acknowledged = replay.acknowledged
                outcome = classify(handed, acknowledged=acknowledged, written=replay.durable.written())
                safe = protected(handed, acknowledged=acknowledged)
                lost = replay.work(op.time_ps) - replay.cut.get(op.epoch, 0) if safe else None
                found.append(Recovery(op.time_ps, handed, acknowledged, outcome, lost))
            replay.take(change)
        return found


class Replay:
    """The state that one strike would leave, kept current change by change.

    Shards whose parts look alike at all times are watched through one of them, with a weight.
    `newest`: per watched part its newest checkpoint, TORN or INDETERMINATE; None for all others, for records, and
    for what does not survive.
    """

    def __init__(self, timeline: Timeline, takes: frozenset[str], *, apart: bool = False) -> None:
        self.timeline = timeline
        self.names = [part.name for part in timeline.parts]
        self.watched: list[tuple[int, Survivors]] = []  # parts, one shard of those that are alike, and all records
        self.weights = [1] * len(timeline.parts)  # parts that a part stands for
        shards: dict[int, int] = {}
        for number, part in enumerate(timeline.parts):
            if part.shard < 0:
                self.watched.append((number, timeline.survivors(number, takes)))
        for copies, count in timeline.alike(takes, apart=apart):
            self.watched += copies
            for number, _ in copies:
                self.weights[number] = count
                shards[timeline.parts[number].shard] = count
        rule, params = timeline.header.rule, timeline.header.rule_params
        watched = [timeline.parts[number] for number, _ in self.watched]
        self.durable = DurableState(watched, unchecked=not only_checks(rule, params), weights=shards)
        self.rule_params = params
        self.asks_each_shard = asks_each_shard(rule, params)
        # the epoch vector
        self.newest: list[int | None] = [None] * len(timeline.parts)
        self.counts: dict[int, int] = {}  # newest -> parts
        self.down: set[str] = set()
        # claims and work
        self.begun = 0
        self.acknowledged = 0
        self.running = True
        self.work_base = 0  # work(t) = work_base, plus t where running
        self.cut: dict[int, int] = {0: 0}  # checkpoint -> work at its cut
        # what of the state must be asked again
        self.vector_changed = self.claims_changed = True
        self.vector = Vector(RawClass.UNIFORM, 0, 0, 0)
        self.handed: frozenset[Handed] = frozenset()
        self.judged = Judged(Outcome.REFUSED, Outcome.REFUSED, True, True, None, 0)
        self.whole_state = State(self.vector, self.judged, True)

    def take(self, change: Change | Claim) -> None:
        """Take one change in."""
        if len(change) == 1:
            self._hear(self.timeline.ops[change[0]])
            return
        _, part, slot, contents, newest = change
        if slot:
            self.durable.set(self.names[part], slot, contents)
            if self.asks_each_shard:
                self.durable.changed = True
        old = self.newest[part]
        if newest != old:
            counts = self.counts
            if old is not None:
                count = counts[old] - self.weights[part]
                if count:
                    counts[old] = count
                else:
                    del counts[old]
            if newest is not None:
                counts[newest] = counts.get(newest, 0) + self.weights[part]
            self.newest[part] = newest
            self.vector_changed = True

    def _hear(self, op: Op) -> None:
        """Take in what is not about holdings."""
        what = op.what
        if what == _BEGUN:
            self.begun = max(self.begun, op.epoch)
            self.cut.setdefault(op.epoch, self.work(op.time_ps))
            if op.name:
                self.durable.number(op.epoch, int(op.name))
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
        elif what == _RECOVERED and op.name != HANG:  # a job that hangs is where it was
            self.acknowledged = op.epoch
            if op.name not in (MIXED, CORRUPT):  # those train on, with what is a checkpoint of no cut
                work = self.cut.get(op.epoch, 0)
                self.work_base = work - op.time_ps if self.running else work
            self.claims_changed = True
        elif what == _RESUMED:
            if not self.running:
                self.running, self.work_base = True, self.work_base - op.time_ps
            self.claims_changed = True

    def work(self, time_ps: int) -> int:
        """The work done by an instant not before the last row, ps."""
        return self.work_base + time_ps if self.running else self.work_base

    def state(self) -> State:
        """The whole state as of now; the same object as long as nothing of it changes."""
        durable = self.durable
        if durable.changed or self.claims_changed:
            if durable.changed:
                self.handed = self.timeline.rule(durable, self.rule_params)
            self.judged = self._judge()
            durable.changed = self.claims_changed = False
        elif not self.vector_changed:
            return self.whole_state
        if self.vector_changed:
            self.vector = self._vector()
            self.vector_changed = False
        self.whole_state = State(self.vector, self.judged, self.running)
        return self.whole_state

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

"""What the report draws over time: pieces of a trace's history, few enough for a page.

Everything here is as a crash of one kind would find it (the header's first crash case: a power loss of
everything), and is exact until it is thinned out: a run of more stretches than a page can show is put into
bins, each with the exact shares of its time.

Not modelled: what-ifs over time; their shares stand in the result.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from statistics import median_low

from hwsim.contents import Contents, decode
from hwsim.crash_timeline import INDETERMINATE, RawClass, Timeline, newest_of
from hwsim.trace import Header, Part, Strike, Trace

GONE = -9  # beside checkpoints, TORN and INDETERMINATE: no place of the part survives the crash

MOST_STRETCHES = 300  # drawn one by one; more are put into bins
BINS = 240  # at most
MOST_ROWS = 48  # of parts, in a picture


@dataclass(frozen=True)
class Stretch:
    """Between two instants (ps), what a crash would find, what recovery would make of it, and the work it would lose.

    `lost_ps` is that of the first instant; it grows with time where `growing`; None where nothing is restored.
    """

    begin: int
    end: int
    raw: str
    outcome: str
    lost_ps: int | None
    growing: bool


@dataclass(frozen=True)
class Mark:
    """Something that happened at an instant: a fault, a recovery."""

    time_ps: int
    label: str


@dataclass
class Checkpoint:
    """One checkpoint: instants in ps; `stall_ps` in which training stood still for it; what never came is None."""

    epoch: int
    begun: int
    committed: int | None = None
    stall_ps: int = 0


@dataclass
class Row:
    """What one part, or several that agree, would hold: (begin, end, newest checkpoint or a code), without gaps."""

    label: str
    device: str
    spans: list[tuple[int, int, int]]
    writes: list[tuple[int, int, int, str]] = field(default_factory=list)  # (begin, end, checkpoint, stage)
    parts: int = 1


@dataclass(frozen=True)
class Window:
    """A part of the run to look at closely; `zero_ps` is where its clock starts."""

    title: str
    begin: int
    end: int
    zero_ps: int
    zero: str


class History:
    """A trace, prepared for drawing."""

    def __init__(self, trace: Trace, strike: Strike | None = None) -> None:
        self.trace = trace
        self.header: Header = trace.header
        strikes = [strike for case in self.header.crashes for strike in case.strikes]
        self.strike = strike or next(iter(strikes), Strike("nothing", ()))
        self.begin, self.end = self.header.warm_up_ps, self.header.horizon_ps
        self.stretches = self._stretches()
        self.checkpoints: list[Checkpoint] = []
        self.strikes: list[Mark] = []
        self.outages: list[tuple[int, int]] = []  # the job down
        self.recoveries: list[Mark] = []
        self.resumed: list[Mark] = []
        self._claims()

    def _stretches(self) -> list[Stretch]:
        if self.end <= self.begin:
            return []
        states = list(Timeline(self.trace).states(self.strike, self.begin, self.end))
        ends = [begin for begin, _ in states[1:]] + [self.end]
        found: list[Stretch] = []
        for (begin, state), end in zip(states, ends, strict=True):
            judged = state.judged
            lost = None if judged.restored is None else judged.base_ps + (begin if state.running else 0)
            found.append(Stretch(begin, end, str(state.vector.raw), str(judged.worst), lost, state.running))
        return found

    def _claims(self) -> None:
        by_epoch: dict[int, Checkpoint] = {}
        stalled: tuple[int, int | None] | None = None
        down: int | None = None
        for row in self.trace:
            if row.place is not None:
                continue
            event, time_ps, epoch = row.event, row.time_ps, row.epoch
            if event == "checkpoint_begun" and epoch is not None:
                by_epoch[epoch] = Checkpoint(epoch, time_ps)
            elif event == "epoch_committed" and epoch in by_epoch:
                by_epoch[epoch].committed = time_ps
            elif event == "training_stalled":
                stalled = time_ps, epoch
            elif event in ("training_resumed", "job_stopped") and stalled is not None:
                since, waiting = stalled
                if waiting is not None and waiting in by_epoch:
                    by_epoch[waiting].stall_ps += time_ps - since
                stalled = None
            elif event == "struck":
                self.strikes.append(Mark(time_ps, f"{row.subject}: {row.detail} of {row.peer}".replace("_", " ")))
            elif event == "recovered":
                what = f"checkpoint {epoch}" if epoch is not None else "nothing"
                self.recoveries.append(Mark(time_ps, f"recovered {what} ({row.detail})"))
            if event == "job_stopped" and down is None:
                down = time_ps
            elif event == "job_resumed" and down is not None:
                self.outages.append((down, time_ps))
                self.resumed.append(Mark(time_ps, "training goes on"))
                down = None
        if down is not None:
            self.outages.append((down, self.end))
        self.checkpoints = list(by_epoch.values())

    def telling(self) -> tuple[History, str]:
        """The first crash under which some part survives, and its name; this one, without a name, where it is that."""
        for case in self.header.crashes:
            for strike in case.strikes:
                if any(_survives(part, strike, self.header) for part in self.header.parts):
                    if strike == self.strike:
                        return self, ""
                    return History(self.trace, strike), f"{case.name}, {strike.label}"
        return self, ""

    def width(self) -> int:
        """How long a bin is, ps: whole intervals, so that the rhythm of the checkpoints does not show in it."""
        interval = self.header.interval_ps
        return max(1, -(-(self.end - self.begin) // (BINS * interval))) * interval

    def windows(self) -> list[Window]:
        """What is worth a close look: a typical checkpoint, and the first crash."""
        found = []
        typical = self._typical()
        if typical is not None:
            found.append(typical)
        if self.outages:
            down, up = self.outages[0]
            room = max((up - down) // 3, self.header.interval_ps // 5)
            begun = [c.begun for c in self.checkpoints if down - self.header.interval_ps // 2 <= c.begun <= down]
            begin = max(0, min([down - room, *(b - room // 8 for b in begun)]))
            end = min(self.end, up + room)
            struck = next((mark.label for mark in self.strikes if mark.time_ps == down), "")
            title = f"The first crash ({struck})" if struck else "The first crash"
            found.append(Window(title, begin, end, down, "the crash"))
        return found

    def _typical(self) -> Window | None:
        """The checkpoint whose time at risk is the median of all that were acknowledged within the window judged."""
        usual = [c for c in self.checkpoints if c.committed is not None and self.begin <= c.begun]
        ends = {c.epoch: later.begun for c, later in pairwise(self.checkpoints)}
        whole = [c for c in usual if ends.get(c.epoch, self.end) < self.end] or usual
        if not whole:
            return None
        risks = _overlaps(
            [(s.begin, s.end) for s in self.stretches if s.raw != RawClass.UNIFORM],
            [(c.begun, ends.get(c.epoch, self.end)) for c in whole],
        )
        order = sorted(range(len(whole)), key=lambda index: (risks[index], index))
        chosen = whole[order[(len(order) - 1) // 2]]
        assert median_low(risks) == risks[order[(len(order) - 1) // 2]]
        last = chosen.committed or chosen.begun
        for row in self.trace:
            if row.epoch == chosen.epoch and row.event in ("persisted", "epoch_committed"):
                last = max(last, row.time_ps)
        last = min(last, chosen.begun + 3 * self.header.interval_ps)
        room = max((last - chosen.begun) // 8, 1)
        title = f"Checkpoint {chosen.epoch}, a typical one"
        zero = f"checkpoint {chosen.epoch} began"
        return Window(title, max(0, chosen.begun - room), min(self.end, last + 2 * room), chosen.begun, zero)

    def rows(self, window: Window) -> tuple[list[Row], str]:
        """What every part would hold after the crash, over *window*; and a note where parts were put together."""
        rows = _parts_over(self.trace, self.strike, window)
        count = len(rows)
        rows = _agreeing(rows)
        note = ""
        if len(rows) > MOST_ROWS:
            rows = _by_device(rows)
            note = "Each row is one device; it shows the worst of its parts: torn, then in doubt, then the oldest."
        if len(rows) > MOST_ROWS:
            step = (len(rows) - 1) / (MOST_ROWS - 1)
            rows = [rows[round(number * step)] for number in range(MOST_ROWS)]
            note += f" {MOST_ROWS} rows are shown, evenly chosen, of {count} parts."
        return rows, note.strip()


def _overlaps(spans: Sequence[tuple[int, int]], windows: Sequence[tuple[int, int]]) -> list[int]:
    """How much of each window the spans cover; both ascend, spans do not overlap."""
    covered = []
    first = 0
    for begin, end in windows:
        while first < len(spans) and spans[first][1] <= begin:
            first += 1
        total, position = 0, first
        while position < len(spans) and spans[position][0] < end:
            total += min(end, spans[position][1]) - max(begin, spans[position][0])
            position += 1
        covered.append(total)
    return covered


class _PartReader:
    """What a reader of one part finds once the strike has taken its places."""

    def __init__(self, part: Part) -> None:
        self.part = part
        self.entries: dict[str, dict[str, Contents]] = {}  # slot -> place -> contents

    def put(self, place: str, slot: str, may: str | None) -> None:
        if may is not None:
            self.entries.setdefault(slot, {})[place] = decode(may)
        elif slot in self.entries:
            self.entries[slot].pop(place, None)
            if not self.entries[slot]:
                del self.entries[slot]

    def newest(self, alive: frozenset[str]) -> int:
        """The newest checkpoint, or a code."""
        if not any(place in alive for place in self.part.stack):
            return GONE
        slots = {}
        for slot, held in self.entries.items():
            top = next((held[place] for place in self.part.stack if place in alive and place in held), None)
            if top is not None:
                slots[slot] = top
        return newest_of(slots)


def _parts_over(trace: Trace, strike: Strike, window: Window) -> list[Row]:
    """One row a part."""
    takes = frozenset(strike.takes)
    needs = {place: frozenset(tokens) for place, tokens in trace.header.places.items()}
    alive = frozenset(place for place, tokens in needs.items() if not tokens & takes)
    readers = {part.name: _PartReader(part) for part in trace.header.parts}
    rows = {
        part.name: Row(part.name if part.shard < 0 else _shard_label(part), part.device, [])
        for part in trace.header.parts
    }
    since = dict.fromkeys(readers, window.begin)
    newest: dict[str, int] = {}
    open_: dict[tuple[str, int], tuple[int, str]] = {}  # write -> (since, stage)

    def note(name: str, time_ps: int) -> None:
        now = readers[name].newest(alive)
        if now != newest.get(name, now) and time_ps > window.begin:
            if since[name] < time_ps:
                rows[name].spans.append((since[name], time_ps, newest[name]))
            since[name] = time_ps
        newest[name] = now

    def stage(name: str, epoch: int, time_ps: int, following: str | None) -> None:
        former = open_.pop((name, epoch), None)
        if former is not None:
            begin = max(former[0], window.begin)
            if begin < min(time_ps, window.end):
                rows[name].writes.append((begin, min(time_ps, window.end), epoch, former[1]))
        if following is not None:
            open_[name, epoch] = time_ps, following

    primed = False
    for row in trace:
        if row.time_ps >= window.end:
            break
        if not primed and row.time_ps > window.begin:
            for name in readers:
                note(name, window.begin)
            primed = True
        if row.part is not None and row.place is not None:
            readers[row.part].put(row.place, row.slot or "0", row.may)
            if primed:
                note(row.part, row.time_ps)
            if row.epoch is not None:
                key = row.part, row.epoch
                if row.event == "begun" and key not in open_:
                    stage(*key, row.time_ps, "being written")
                elif row.event == "completed" and key in open_ and row.place != readers[row.part].part.stack[-1]:
                    stage(*key, row.time_ps, "completed, not yet durable")
                elif row.event in ("completed", "persisted", "lost", "torn"):
                    stage(*key, row.time_ps, None)  # the bottom of the stack has it, or nobody
        elif row.event == "dependence_changed" and row.peer is not None:
            needs[row.peer] = frozenset(json.loads(row.detail or "[]"))
            alive = frozenset(place for place, tokens in needs.items() if not tokens & takes)
            if primed:
                for name in readers:
                    note(name, row.time_ps)
    for name in readers:
        note(name, window.begin)
        rows[name].spans.append((since[name], window.end, newest[name]))
    for key in list(open_):
        stage(*key, window.end, None)
    return list(rows.values())


def _shard_label(part: Part) -> str:
    return f"shard {part.shard}" + (f", copy {part.copy}" if part.copy else "")


def _agreeing(rows: Iterable[Row]) -> list[Row]:
    """Parts of one device with one history become one row, where the first of them stood."""
    found: dict[object, list[Row]] = {}
    for row in rows:
        key = (row.device, row.label.split(" ")[0], row.label.partition(",")[2], tuple(row.spans), tuple(row.writes))
        found.setdefault(key, []).append(row)
    return [_joined(same) for same in found.values()]


def _joined(rows: Sequence[Row]) -> Row:
    first = rows[0]
    if len(rows) == 1:
        return first
    head, _, copy = first.label.partition(",")
    numbers = [row.label.partition(",")[0].rpartition(" ")[2] for row in rows]
    run = all(n.isdigit() for n in numbers) and [int(n) for n in numbers] == list(
        range(int(numbers[0]), int(numbers[0]) + len(numbers))
    )
    listed = f"{numbers[0]}–{numbers[-1]}" if run else ", ".join(numbers) if len(numbers) < 5 else f"({len(numbers)})"
    label = f"{head.rpartition(' ')[0]}s {listed}" + (f",{copy}" if copy else "")
    return Row(label, first.device, first.spans, first.writes, len(rows))


def _by_device(rows: Iterable[Row]) -> list[Row]:
    """One row a device: at every instant the worst of its parts."""
    devices: dict[str, list[Row]] = {}
    for row in rows:
        devices.setdefault(row.device, []).append(row)
    return [_worst_of(name, same) for name, same in devices.items()]


def _worst_of(device: str, rows: Sequence[Row]) -> Row:
    instants = sorted({begin for row in rows for begin, _, _ in row.spans} | {rows[0].spans[-1][1]})
    positions = [0] * len(rows)
    spans: list[tuple[int, int, int]] = []
    for begin, end in pairwise(instants):
        held = []
        for number, row in enumerate(rows):
            while row.spans[positions[number]][1] <= begin:
                positions[number] += 1
            held.append(row.spans[positions[number]][2])
        worst = min(held, key=_harm)
        if spans and spans[-1][2] == worst:
            spans[-1] = (spans[-1][0], end, worst)
        else:
            spans.append((begin, end, worst))
    count = sum(row.parts for row in rows)
    return Row(f"{count} part{'s' if count > 1 else ''}", device, spans, [], count)


def _harm(state: int) -> tuple[int, int]:
    """Torn, then in doubt, then the oldest; what does not survive says nothing."""
    if state == GONE:
        return (2, 0)
    return (0, -state if state == INDETERMINATE else state) if state < 0 else (1, state)


def strip(stretches: Sequence[Stretch], key: str) -> list[tuple[int, int, str]]:
    """The stretches as (begin, end, class), those that agree in *key* (raw or outcome) joined."""
    joined: list[tuple[int, int, str]] = []
    for stretch in stretches:
        name = getattr(stretch, key)
        if joined and joined[-1][2] == name:
            joined[-1] = (joined[-1][0], stretch.end, name)
        else:
            joined.append((stretch.begin, stretch.end, name))
    return joined


def binned(spans: Sequence[tuple[int, int, str]], width: int) -> list[tuple[int, int, dict[str, float]]]:
    """(begin, end, share of each class): the spans themselves where they are few, else bins of *width* ps, exact."""
    if len(spans) <= MOST_STRETCHES:
        return [(begin, end, {name: 1.0}) for begin, end, name in spans]
    begin, end = spans[0][0], spans[-1][1]
    edges = [*range(begin, end, width), end]
    weights: list[dict[str, int]] = [{} for _ in edges[1:]]
    for span_begin, span_end, name in spans:
        at = span_begin
        while at < span_end:
            number = (at - begin) // width
            stop = min(span_end, edges[number + 1])
            weights[number][name] = weights[number].get(name, 0) + stop - at
            at = stop
    return [
        (low, high, {name: weight / (high - low) for name, weight in shares.items()})
        for (low, high), shares in zip(pairwise(edges), weights, strict=True)
    ]


def lost_work(stretches: Sequence[Stretch]) -> list[tuple[int, int | None]]:
    """(instant, work lost, ps) as the corners of a line; None where nothing is restored."""
    corners: list[tuple[int, int | None]] = []
    for stretch in stretches:
        low, high = _lost_over(stretch)
        if corners and corners[-1] == (stretch.begin, low):
            corners.pop()
        corners += [(stretch.begin, low), (stretch.end, high)]
    return corners


def lost_band(stretches: Sequence[Stretch], width: int) -> list[tuple[int, int | None, int | None]]:
    """(middle of a bin of *width* ps, least, most work lost in it); None where nothing is restored."""
    begin = stretches[0].begin
    extremes: dict[int, tuple[int, int]] = {}
    for stretch in stretches:
        low, high = _lost_over(stretch)
        if low is None or high is None:
            continue
        for number in range((stretch.begin - begin) // width, (stretch.end - 1 - begin) // width + 1):
            edge = begin + number * width
            first = low + max(0, edge - stretch.begin) if stretch.growing else low
            last = high - max(0, stretch.end - edge - width) if stretch.growing else high
            least, most = extremes.get(number, (first, last))
            extremes[number] = min(least, first), max(most, last)
    bins = -(-(stretches[-1].end - begin) // width)
    return [(begin + n * width + width // 2, *extremes.get(n, (None, None))) for n in range(bins)]


def _lost_over(stretch: Stretch) -> tuple[int | None, int | None]:
    """Work lost at the beginning and at the end of a stretch."""
    if stretch.lost_ps is None:
        return None, None
    return stretch.lost_ps, stretch.lost_ps + (stretch.end - stretch.begin if stretch.growing else 0)


def _survives(part: Part, strike: Strike, header: Header) -> bool:
    return any(not set(header.places[place]) & set(strike.takes) for place in part.stack)

"""A timeline for ui.perfetto.dev: the trace as JSON trace events.

One process for the job, one for each device, one for the ends of bilateral links.  A device's threads are the parts
it holds: a slice from the first byte of a write until it is durable, with the stretch in which it is only completed
(acknowledged, still in a volatile place) nested inside.  An end of a link has a slice for the time in which it is
bound by an offer.  Checkpoints, stalls and outages are slices too, faults and claims are instants, and two counters
follow the newest checkpoint begun and the newest acknowledged.

Source: Trace Event Format (Chrome), as Perfetto's JSON importer reads it: https://perfetto.dev/docs/getting-started/other-formats

Not modelled: flow arrows between a message's ends; times below a picosecond do not exist, and microseconds
with six decimals keep every one of them.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from os import PathLike
from typing import Any

from hwsim.trace import Record, Trace

JOB, LINKS = 1, 2
_FIRST_DEVICE = 10
_OTHERS, _STALLS, _CHECKPOINTS = 1, 2, 10  # threads of the job
_LANES = 64  # thread numbers set aside for what one part, or the job, has in flight at once

_INSTANTS = {
    "struck": "fault",
    "failed": "failed",
    "save_failed": "save failed",
    "snapshot_taken": "snapshot taken",
    "epoch_committed": "acknowledged",
    "checkpoint_skipped": "skipped",
    "checkpoint_abandoned": "abandoned",
    "recovered": "recovered",
    "dropped": "dropped",
}

_ROUND_ENDS = {
    "round_committed": "committed",
    "round_reversed": "reversed",
    "round_closed": "closed",
    "fenced": "fenced",
    "register_worn_out": "memory worn out",
}


def write(path: str | PathLike[str], trace: Trace) -> None:
    """Write *trace* as one JSON object with `traceEvents`, an event a line."""
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    head = trace.header
    about = {key: getattr(head, key) for key in ("topology", "topology_sha256", "seed", "repeat")}
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(f'{{"displayTimeUnit":"ms","otherData":{encode(about)},"traceEvents":[\n')
        separator = ""
        for event in events(trace):
            times = "".join(f',"{key}":{_microseconds(event.pop(key))}' for key in ("ts", "dur") if key in event)
            file.write(f"{separator}{encode(event)[:-1]}{times}}}")
            separator = ",\n"
        file.write("\n]}\n")


def events(trace: Trace) -> Iterator[dict[str, Any]]:
    """The trace events; `ts` and `dur` are picoseconds still.  Slices of one thread nest or do not overlap."""
    yield from _Timeline(trace).events()


class _Timeline:
    """Open slices, by thread."""

    def __init__(self, trace: Trace) -> None:
        self.trace = trace
        self.end_ps = trace.header.horizon_ps
        names = dict.fromkeys([*trace.header.participants, *(part.device for part in trace.header.parts)])
        self.processes = {name: _FIRST_DEVICE + number for number, name in enumerate(names)}
        self.named: dict[tuple[int, int], str] = {}
        self.writes: dict[tuple[str, int | None], dict[str, Any]] = {}  # (part, checkpoint) -> its open write
        self.cached: dict[tuple[str, int | None], dict[str, Any]] = {}  # its stretch that is only completed
        self.threads: dict[str, tuple[int, int, str]] = {}  # part -> process, first thread, name
        self.bottom = {part.name: part.stack[-1] for part in trace.header.parts}  # where the bytes come to rest
        self.lanes: dict[str, list[int | None]] = {}  # part, or the job: the checkpoint in each of its threads
        for number, part in enumerate(trace.header.parts, start=1):
            name = f"{part.name} of {part.source}" if part.source and part.source != part.device else part.name
            self.threads[part.name] = (self.processes[part.device], number * _LANES, name)
        self.outages: dict[str, dict[str, Any]] = {}
        self.checkpoints: dict[int, dict[str, Any]] = {}
        self.stall: dict[str, Any] | None = None
        self.down: dict[str, Any] | None = None
        self.bound: dict[str, dict[str, Any]] = {}  # ends of bilateral links that are bound by an offer
        self.link_ends: dict[str, int] = {}  # LINK@DEVICE -> its thread

    def events(self) -> Iterator[dict[str, Any]]:
        yield _meta("process_name", JOB, 0, "job")
        yield _meta("process_sort_index", JOB, 0, 0)
        body = []
        for record in self.trace:
            body += list(self._of(record))
        body += list(self._closed())
        for name, process in self.processes.items():
            yield _meta("process_name", process, 0, name)
            yield _meta("process_sort_index", process, 0, process)
        for (process, thread), name in sorted(self.named.items()):
            yield _meta("thread_name", process, thread, name)
            yield _meta("thread_sort_index", process, thread, thread)
        yield from sorted(body, key=lambda event: (event["ts"], -event.get("dur", 0)))

    def _of(self, record: Record) -> Iterator[dict[str, Any]]:
        event, time_ps = record.event, record.time_ps
        if record.part is not None and record.place is not None:
            yield from self._content(record, record.part)
        elif event == "checkpoint_begun" and record.epoch is not None:
            thread = self._thread("", JOB, _CHECKPOINTS, "checkpoints", record.epoch)
            self.checkpoints[record.epoch] = _slice(f"checkpoint {record.epoch}", JOB, thread, time_ps)
            yield _counter("newest checkpoint begun", time_ps, record.epoch)
        elif event == "training_stalled":
            yield from self._stop_stall(time_ps)
            self.named[JOB, _STALLS] = "training stands still"
            self.stall = _slice("stalled", JOB, _STALLS, time_ps, epoch=record.epoch)
        elif event == "training_resumed":
            yield from self._stop_stall(time_ps)
        elif event == "job_stopped":
            yield from self._stop_stall(time_ps)
            yield from self._end_checkpoints(time_ps, "cut off by a crash")
            if self.down is None:
                self.named[JOB, _STALLS] = "training stands still"
                self.down = _slice("job down", JOB, _STALLS, time_ps, crash=record.detail)
        elif event == "job_resumed":
            if self.down is not None:
                yield _ended(self.down, time_ps)
                self.down = None
        elif event == "stopped" and record.subject in self.processes:
            process = self.processes[record.subject]
            self.named[process, _OTHERS] = "down"
            self.outages.setdefault(
                record.subject, _slice(f"down: {record.detail or 'stopped'}", process, _OTHERS, time_ps)
            )
        elif event == "restored" and record.subject in self.outages:
            yield _ended(self.outages.pop(record.subject), time_ps)
        elif event == "register_written":
            yield from self._round(record)
        elif event in _ROUND_ENDS:
            process, thread = self._link_thread(record.subject)
            yield {"ph": "i", "s": "t", "name": f"{_ROUND_ENDS[event]} {record.detail or ''}".rstrip(), "cat": event,
                   "pid": process, "tid": thread, "ts": time_ps, "args": {"epoch": record.epoch}}
        if event in _INSTANTS:
            yield from self._instant(record)

    def _round(self, record: Record) -> Iterator[dict[str, Any]]:
        """An end of a bilateral link is bound from the write of its offer until the one that ends the round."""
        end, time_ps = record.subject, record.time_ps
        bound = self.bound.pop(end, None)
        if bound is not None:
            yield _ended(bound, time_ps)
        if " phase=OFFER " in (record.detail or ""):
            process, thread = self._link_thread(end)
            self.bound[end] = _slice("offered, outcome unknown", process, thread, time_ps)

    def _link_thread(self, end: str) -> tuple[int, int]:
        """Process and thread of LINK@DEVICE: the links' own process, a thread an end."""
        threads = self.link_ends
        if end not in threads:
            threads[end] = len(threads) + 1
            self.processes.setdefault("bilateral links", LINKS)
            self.named[LINKS, threads[end]] = end
        return LINKS, threads[end]

    def _instant(self, record: Record) -> Iterator[dict[str, Any]]:
        event, epoch = record.event, record.epoch
        name = f"{_INSTANTS[event]}{f' {epoch}' if epoch is not None else ''}"
        given = {"subject": record.subject, "peer": record.peer, "detail": record.detail}
        if event == "struck":
            name = f"{record.subject}: {record.detail} of {record.peer}"
        if event in ("epoch_committed", "checkpoint_abandoned") and epoch is not None:
            yield from self._end_checkpoint(epoch, record.time_ps, _INSTANTS[event])
        if event == "epoch_committed":
            yield _counter("newest checkpoint acknowledged", record.time_ps, epoch or 0)
        self.named.setdefault((JOB, _OTHERS), "claims and faults")
        args = {key: value for key, value in given.items() if value is not None}
        scope = "g" if event == "struck" else "t"
        where = {"pid": JOB, "tid": _OTHERS, "ts": record.time_ps}
        yield {"ph": "i", "s": scope, "name": name, "cat": event, **where, "args": args}

    def _thread(self, owner: str, process: int, first: int, name: str, epoch: int | None) -> int:
        """A thread of its own for *epoch*: the first one while nothing else of *owner* is in flight."""
        lanes = self.lanes.setdefault(owner, [])
        lane = next((number for number, taken in enumerate(lanes) if taken is None), len(lanes))
        lanes[lane : lane + 1] = [epoch]
        thread = first + min(lane, _LANES - 1)
        self.named.setdefault((process, thread), f"{name}, in flight too ({lane})" if lane else name)
        return thread

    def _content(self, record: Record, part: str) -> Iterator[dict[str, Any]]:
        event, time_ps, epoch = record.event, record.time_ps, record.epoch
        key = part, epoch
        if event in ("begun", "completed") and key not in self.writes:
            process, first, name = self.threads[part]
            thread = self._thread(part, process, first, name, epoch)
            given = {"checkpoint": epoch, "slot": record.slot, "size_bytes": record.size_bytes}
            self.writes[key] = _slice(f"write {epoch}", process, thread, time_ps, **given)
        if key not in self.writes:
            return
        if event == "completed" and record.place == self.bottom[part]:
            yield from self._end_write(key, time_ps, "complete")
        elif event == "completed" and key not in self.cached:
            write = self.writes[key]
            self.cached[key] = _slice(
                "completed, not yet durable", write["pid"], write["tid"], time_ps, place=record.place
            )
        elif event == "persisted":
            yield from self._end_write(key, time_ps, "durable")
        elif event in ("lost", "torn"):
            yield from self._end_write(key, time_ps, event)

    def _end_write(self, key: tuple[str, int | None], time_ps: int, how: str) -> Iterator[dict[str, Any]]:
        part, epoch = key
        write, cached = self.writes.pop(key), self.cached.pop(key, None)
        lanes = self.lanes[part]
        lanes[lanes.index(epoch)] = None
        write["args"]["end"] = how
        yield _ended(write, time_ps)
        if cached is not None:
            yield _ended(cached, time_ps)

    def _end_checkpoint(self, epoch: int, time_ps: int, how: str) -> Iterator[dict[str, Any]]:
        open_ = self.checkpoints.pop(epoch, None)
        if open_ is None:
            return
        lanes = self.lanes[""]
        lanes[lanes.index(epoch)] = None
        open_["args"]["end"] = how
        yield _ended(open_, time_ps)

    def _end_checkpoints(self, time_ps: int, how: str) -> Iterator[dict[str, Any]]:
        for epoch in list(self.checkpoints):
            yield from self._end_checkpoint(epoch, time_ps, how)

    def _stop_stall(self, time_ps: int) -> Iterator[dict[str, Any]]:
        if self.stall is not None:
            yield _ended(self.stall, time_ps)
            self.stall = None

    def _closed(self) -> Iterator[dict[str, Any]]:
        """What is still open at the horizon."""
        for key in list(self.writes):
            yield from self._end_write(key, self.end_ps, "the run ended")
        yield from self._end_checkpoints(self.end_ps, "the run ended")
        yield from self._stop_stall(self.end_ps)
        if self.down is not None:
            yield _ended(self.down, self.end_ps)
        for open_ in (*self.outages.values(), *self.bound.values()):
            yield _ended(open_, self.end_ps)


def _slice(name: str, process: int, thread: int, time_ps: int, **args: Any) -> dict[str, Any]:
    given = {key: value for key, value in args.items() if value is not None}
    return {"ph": "X", "name": name, "cat": "hwsim", "pid": process, "tid": thread, "ts": time_ps, "args": given}


def _ended(open_: dict[str, Any], time_ps: int) -> dict[str, Any]:
    open_["dur"] = time_ps - open_["ts"]
    return open_


def _counter(name: str, time_ps: int, value: int) -> dict[str, Any]:
    return {"ph": "C", "name": name, "pid": JOB, "tid": 0, "ts": time_ps, "args": {"checkpoint": value}}


def _meta(name: str, process: int, thread: int, value: str | int) -> dict[str, Any]:
    key = "sort_index" if name.endswith("sort_index") else "name"
    return {"ph": "M", "name": name, "pid": process, "tid": thread, "args": {key: value}}


def _microseconds(time_ps: int) -> str:
    """A JSON number of microseconds, exact."""
    whole, rest = divmod(time_ps, 10**6)
    return f"{whole}.{rest:06d}".rstrip("0").rstrip(".") if rest else str(whole)

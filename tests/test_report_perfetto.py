"""The timeline file is what Perfetto's importer takes: known phases, times in order, slices that nest."""

from __future__ import annotations

import json
from decimal import Decimal
from itertools import groupby
from pathlib import Path
from typing import Any

import pytest
import report_samples

from hwsim.report import perfetto
from hwsim.trace import Trace

S = report_samples.S


@pytest.fixture
def written(tmp_path: Path) -> list[dict[str, Any]]:
    perfetto.write(tmp_path / "t.json", report_samples.trace())
    return load(tmp_path / "t.json")


def load(path: Path) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)["traceEvents"]
    return found


def check_nesting(events: list[dict[str, Any]]) -> None:
    """Slices of one thread nest or follow each other, as the format demands of complete events."""
    slices = [event for event in events if event["ph"] == "X"]
    slices.sort(key=lambda event: (event["pid"], event["tid"], event["ts"], -event["dur"]))
    for _, thread in groupby(slices, key=lambda event: (event["pid"], event["tid"])):
        open_: list[Decimal] = []
        for event in thread:
            end = event["ts"] + event["dur"]
            while open_ and open_[-1] <= event["ts"]:
                open_.pop()
            assert not open_ or end <= open_[-1], event
            open_.append(end)


def test_every_event_has_what_its_phase_needs(written: list[dict[str, Any]]) -> None:
    needs = {"M": {"args"}, "X": {"ts", "dur"}, "i": {"ts", "s"}, "C": {"ts", "args"}}
    for event in written:
        assert {"name", "ph", "pid", "tid"} | needs[event["ph"]] <= set(event), event
        assert event.get("dur", 0) >= 0
    times = [event["ts"] for event in written if event["ph"] != "M"]
    assert times == sorted(times)
    check_nesting(written)


def test_every_thread_and_process_has_a_name(written: list[dict[str, Any]]) -> None:
    processes = {event["pid"] for event in written if event["name"] == "process_name"}
    threads = {(event["pid"], event["tid"]) for event in written if event["name"] == "thread_name"}
    used = {(event["pid"], event["tid"]) for event in written if event["ph"] in "Xi"}
    assert used <= threads
    assert {process for process, _ in used} <= processes


def test_a_write_is_a_slice_until_it_is_durable(written: list[dict[str, Any]]) -> None:
    names = {
        (event["pid"], event["tid"]): event["args"]["name"] for event in written if event["name"] == "thread_name"
    }
    mine = [event for event in written if event["ph"] == "X" and names[event["pid"], event["tid"]].startswith("shard2")]
    write, cached = (next(event for event in mine if event["name"].startswith(what)) for what in ("write", "completed"))
    assert (write["ts"], write["dur"]) == (Decimal("61200000"), 10_000_000)
    assert (cached["ts"], cached["dur"]) == (Decimal("67200000"), 4_000_000)
    assert write["args"]["end"] == "durable"
    cut = [event for event in mine if event["args"].get("end") in ("lost", "torn")]
    assert [event["ts"] + event["dur"] for event in cut] == [307 * 10**6]


def test_crashes_claims_and_counters_are_there(written: list[dict[str, Any]]) -> None:
    told = {event["name"] for event in written}
    assert "outage: power_loss of rack" in told
    assert {"acknowledged 1", "recovered 4", "job down", "stalled", "down: power_loss"} <= told
    counted = [event["args"]["checkpoint"] for event in written if event["name"] == "newest checkpoint begun"]
    assert counted == list(range(1, 10))


def test_picoseconds_survive(tmp_path: Path) -> None:
    trace = Trace(report_samples.header())
    trace.rows = [(123_456_789_012_345_678, "epoch_committed", "job", None, None, None, 1, None, None, None, None)]
    perfetto.write(tmp_path / "t.json", trace)
    (mark,) = (event for event in load(tmp_path / "t.json") if event["ph"] == "i")
    assert mark["ts"] == Decimal("123456789012.345678")


def test_checkpoints_in_flight_together_take_threads_of_their_own(tmp_path: Path) -> None:
    trace = Trace(report_samples.header(horizon_s=10))
    part = trace.header.parts[0]
    for epoch, (begin, end) in enumerate([(0, 5), (1, 3), (2, 7), (6, 9)], start=1):
        held = (part.stack[-1], part.name, str(epoch), epoch)
        trace.rows += [
            (begin * S, "checkpoint_begun", "job", None, None, None, epoch, None, None, None, None),
            (begin * S, "begun", part.device, *held, "-", None, None, None),
            (end * S, "persisted", part.device, *held, str(epoch), None, None, None),
            (end * S, "epoch_committed", "job", None, None, None, epoch, None, None, None, None),
        ]
    trace.rows.sort(key=lambda row: row[0])
    perfetto.write(tmp_path / "t.json", trace)
    events = load(tmp_path / "t.json")
    check_nesting(events)
    writes = {event["name"]: event["tid"] for event in events if event["name"].startswith("write")}
    assert len(set(writes.values())) == 3
    assert writes["write 4"] in (writes["write 1"], writes["write 2"])


def test_what_is_open_at_the_end_is_closed_there(tmp_path: Path) -> None:
    trace = report_samples.trace()
    trace.rows = [row for row in trace.rows if row[0] < 124 * S]
    perfetto.write(tmp_path / "t.json", trace)
    events = load(tmp_path / "t.json")
    check_nesting(events)
    ends = [event["ts"] + event["dur"] for event in events if event.get("args", {}).get("end") == "the run ended"]
    assert set(ends) == {600 * 10**6}


def test_an_empty_trace_gives_a_file_that_loads(tmp_path: Path) -> None:
    perfetto.write(tmp_path / "t.json", Trace(report_samples.header()))
    assert {event["ph"] for event in load(tmp_path / "t.json")} == {"M"}

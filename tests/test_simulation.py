"""A whole run: its bytes, its stalls, its header, its figures, and that a crash in it is one that the sweep foresaw."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import builders
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.contents import NOTHING, Contents, decode, uppermost
from hwsim.outcomes import Handed
from hwsim.recovery import DurableState
from hwsim.rules import RULES
from hwsim.simulation import simulate
from hwsim.topology.spec import FaultSpec, Topology, WhatIfSpec
from hwsim.trace import Header, Trace

PS = builders.PS
PLAIN = {"write_latency": "0s", "flush": "0s", "vwc": False, "cache": None, "drain": None}


def latencies(trace: Trace) -> list[float]:
    begun = {row.epoch: row.time_ps for row in trace if row.event == "checkpoint_begun"}
    return [(row.time_ps - begun[row.epoch]) / PS for row in trace if row.event == "epoch_committed"]


def stalls(trace: Trace) -> list[float]:
    found, since = [], 0
    for row in trace:
        if row.event == "training_stalled":
            since = row.time_ps
        elif row.event == "training_resumed":
            found.append((row.time_ps - since) / PS)
    return found


# bytes over the bottleneck


@pytest.mark.parametrize(("gpus", "mode"), [(1, "sync"), (4, "sync"), (8, "sync")])
def test_a_synchronous_checkpoint_takes_its_bytes_over_the_drive(gpus: int, mode: str) -> None:
    nvme = {**builders.NVME, **PLAIN}
    trace = simulate(builders.machine(gpus=gpus, nvme=nvme, horizon="60s", workload={"mode": mode, "interval": "20s"}))
    assert latencies(trace) == pytest.approx([gpus * 1e9 / 4e9] * 2, rel=1e-3)
    assert stalls(trace) == pytest.approx(latencies(trace), rel=1e-3)
    assert trace.figures["bound_by"] == "node0/nvme write"


def test_an_asynchronous_checkpoint_stalls_for_the_snapshot_and_commits_later() -> None:
    nvme = {**builders.NVME, **PLAIN}
    trace = simulate(builders.machine(gpus=4, size="2GB", nvme=nvme, horizon="60s"))
    snapshot, drive = 2e9 / 50e9, 8e9 / 4e9
    assert stalls(trace) == pytest.approx([snapshot] * 5, rel=1e-3)
    assert latencies(trace) == pytest.approx([snapshot + drive] * 5, rel=1e-3)


def test_a_slow_copy_engine_binds_a_synchronous_save() -> None:
    nvme, gpu = {**builders.NVME, **PLAIN}, {**builders.GPU, "d2h": "1GB/s"}
    trace = simulate(builders.machine(gpus=2, nvme=nvme, gpu=gpu, horizon="60s", workload={"mode": "sync"}))
    assert latencies(trace) == pytest.approx([1.0] * 5, rel=1e-3)
    assert trace.figures["bound_by"] in ("node0/gpu0 d2h", "node0/gpu1 d2h")


def test_a_replica_crosses_the_slow_link() -> None:
    nvme = {**builders.NVME, **PLAIN}
    link = {"rate": "8Gb/s", "delay": "1us", "mtu": "9000B"}
    made = builders.machine(2, 2, nvme=nvme, link=link, replica=1, horizon="60s", workload={"interval": "20s"})
    trace = simulate(made)
    goodput = 1e9 * 9000 / 9038  # of the line: 9,000 B of payload of preamble, header, FCS and gap
    assert latencies(trace) == pytest.approx([2e9 / goodput + 1e9 / 50e9] * 2, rel=1e-3)
    assert "--sw" in trace.figures["bound_by"]


def test_pipes_carry_exactly_what_was_written() -> None:
    trace = simulate(builders.machine(gpus=3, horizon="65s", workload={"interval": "20s"}))
    pipes = trace.figures["pipes"]
    shards, record = 3 * 3 * 10**9, 3 * (4096 + 512)  # a record is a new file and one sector of the journal
    assert pipes["node0/nvme write"]["carried_bytes"] == shards + record
    assert pipes["node0/gpu1 d2h"]["carried_bytes"] == pytest.approx(3e9, rel=1e-9)


# what the header says


def test_the_default_crash_is_the_power_of_everything() -> None:
    header = simulate(builders.machine(2, horizon="1s")).header
    default = header.crashes[0]
    assert default.name == "default"
    assert {f"{name}:power" for name in header.participants} <= set(default.strikes[0].takes)
    assert set(builders.NODE0) <= set(header.participants)


def test_a_kernel_crash_what_if_takes_the_other_devices_commands() -> None:
    asked = WhatIfSpec("panic", "kernel_crash", (("node0", ("node0/host",)),))
    header = simulate(builders.machine(2, horizon="1s", what_if=[asked])).header
    takes = set(header.crashes[1].strikes[0].takes)
    assert takes >= {"node0/host:kernel", "node0/host:process", "node0/nvme:commands", "node0/gpu0:engine"}
    assert "node0/nvme:power" not in takes
    assert not any(token.startswith("node1") for token in takes)


def test_every_place_of_every_stack_says_what_it_needs() -> None:
    header = simulate(builders.machine(2, replica=1, horizon="1s")).header
    for part in header.parts:
        assert set(part.stack) <= set(header.places)
    assert [part.name for part in header.parts if part.shard < 0] == ["manifest"]


def test_every_row_of_a_place_names_a_part_of_the_header() -> None:
    trace = simulate(builders.machine(2, replica=1, horizon="40s"))
    parts = {part.name: part for part in trace.header.parts}
    rows = [row for row in trace if row.place is not None]
    assert rows
    for row in rows:
        assert row.place in parts[str(row.part)].stack


# figures


def test_keys_that_nothing_read_are_named() -> None:
    made = builders.machine(horizon="25s", workload={"in_flight": {"max": 3, "when_full": "skip"}})
    warnings = simulate(made).figures["warnings"]
    assert any("when_full" in warning for warning in warnings)
    assert not any("interval" in warning for warning in warnings)


def test_progress_goes_up_to_one() -> None:
    told: list[float] = []
    simulate(builders.abstract(2, horizon="5s"), on_progress=told.append)
    assert told == sorted(told)
    assert told[-1] == 1


# a crash that strikes is one that the sweep foresaw


def contents_at(trace: Trace, instant: int, takes: frozenset[str]) -> Mapping[tuple[str, str], Contents]:
    """What a reader would find after a crash at *instant*, by replaying the rows from the start."""
    places: dict[tuple[str, str, str], Contents] = {}
    for row in trace:
        if row.time_ps > instant:
            break
        if row.place is not None:
            key = (str(row.part), str(row.slot), row.place)
            if row.may is None:
                places.pop(key, None)
            else:
                places[key] = decode(row.may)
    header: Header = trace.header
    needs, doubts = header.places, header.doubts
    dead = {place for place in needs if takes & set(needs[place])}
    doubted = {place for place in doubts if takes & set(doubts[place])}
    entries: dict[tuple[str, str], dict[str, Contents]] = {}
    for (part, slot, place), contents in places.items():
        entries.setdefault((part, slot), {})
        if place not in dead:
            entries[part, slot][place] = contents
    stacks = {part.name: part.stack for part in header.parts}
    return {
        (part, slot): uppermost(entry, stacks[part], doubted) or frozenset((NOTHING,))
        for (part, slot), entry in entries.items()
    }


def foreseen(trace: Trace, instant: int, case: int = 0) -> frozenset[Handed]:
    header = trace.header
    takes = frozenset(header.crashes[case].strikes[0].takes)
    state = DurableState.holding(header.parts, contents_at(trace, instant, takes))
    return RULES[header.rule](state, header.rule_params)


def everything(made: Topology) -> tuple[str, ...]:
    return tuple(made.devices)


PROTOCOLS: list[dict[str, Any]] = [
    {"kind": "in_place"},
    {"kind": "in_place", "replace": "rename"},
    {"kind": "manifest"},
    {"kind": "manifest", "publish": "at_snapshot"},
    {"kind": "manifest", "keep": 1, "prune": "before_commit"},
    {"kind": "manifest", "manifest": {"replace": "in_place", "size": "64KiB"}},
    {"kind": "manifest", "manifest": {"replace": "remove_then_rename"}},
    {"kind": "manifest", "manifest": {"replace": "truncate"}},
    {"kind": "in_place", "replace": "truncate"},
    {"kind": "manifest", "slots": "in_place"},
    {"kind": "chandy_lamport"},
    {"kind": "two_phase"},
    {"kind": "two_phase", "log": {"size": "64KiB"}},
    {"kind": "two_versions"},
    {"kind": "two_versions", "labels": "attempt"},
]


TROUBLES: list[list[FaultSpec]] = [
    [],
    [builders.fault("io_error", ["node0/nvme"], name="bad", at="10s", operations=1)],
    [builders.fault("io_error", ["node0/nvme"], name="bad", at="20.1s", operations=2)],
    [builders.fault("io_error", ["node0/nvme"], name="bad", total="2s", operations=1)],
    [builders.fault("quota_exceeded", ["node0/nvme"], name="full", at="20.05s", restore_after="3s")],
    [builders.fault("upload_failed", ["node0/host"], name="up", total="5s", restore_after="1s")],
]
ERRORS = [{"on_error": way, "retry_after": "40ms"} for way in ("abandon", "retry", "rewrite", "publish_anyway")]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    protocol=st.sampled_from(PROTOCOLS),
    trouble=st.sampled_from(TROUBLES),
    errors=st.sampled_from(ERRORS),
    into=st.sampled_from(["media", "page_cache"]),
    instant=st.one_of(st.integers(9 * PS, 25 * PS), st.integers(10 * PS, 11 * PS), st.integers(20 * PS, 21 * PS)),
    sync=st.sampled_from(["flush", "completion", "fua"]),
    plp=st.booleans(),
    mode=st.sampled_from(["sync", "async"]),
    seed=st.integers(0, 5),
)
def test_what_a_power_loss_leaves_is_among_what_the_sweep_foresees(
    protocol: dict[str, Any], trouble: list[FaultSpec], errors: dict[str, Any], into: str, instant: int, sync: str,
    plp: bool, mode: str, seed: int,
) -> None:  # fmt: skip
    instant |= 1  # at an odd ps, so that nothing else happens then
    common = {"protocol": protocol | errors, "sync": sync, "into": into, "seed": seed,
              "nvme": {**builders.NVME, "plp": plp},
              "workload": {"mode": mode, "restart": {"detect": "0s", "load": False}}, "horizon": "40s"}  # fmt: skip
    quiet = simulate(builders.machine(**common, faults=trouble))
    crash = builders.fault("power_loss", [everything(builders.machine())], at=f"{instant}ps", restore_after="1s")
    struck = simulate(builders.machine(**common, faults=[*trouble, crash]))
    before = [row for row in quiet.rows if row[0] < instant]
    assert struck.rows[: len(before)] == before, "a crash cannot change what came before it"
    recovered = next(row for row in struck if row.event == "recovered")
    assert Handed(str(recovered.detail), recovered.epoch) in foreseen(quiet, instant)


@settings(max_examples=30, deadline=None, derandomize=True)
@given(instant=st.integers(1 * PS, 9 * PS), seed=st.integers(0, 9), kind=st.sampled_from(["in_place", "manifest"]))
def test_abstract_domains_leave_no_doubt_and_the_live_crash_agrees(instant: int, seed: int, kind: str) -> None:
    instant |= 1
    protocol = {"kind": kind} if kind == "in_place" else {"kind": kind, "message_delay": "10ms"}
    persist = {"uniform": ["0s", "900ms"]}
    common = {"persist": persist, "protocol": protocol, "seed": seed, "horizon": "12s"}
    quiet = simulate(builders.abstract(4, **common))
    crash = builders.fault("power_loss", [("d0", "d1", "d2", "d3")], at=f"{instant}ps", restore_after="1s")
    struck = simulate(builders.abstract(4, **common, faults=[crash]))
    recovered = next(row for row in struck if row.event == "recovered")
    assert foreseen(quiet, instant) == {Handed(str(recovered.detail), recovered.epoch)}


STRIKES: list[tuple[str, tuple[str, ...]]] = [
    ("power_loss", ("node0/nvme",)),
    ("power_loss", builders.NODE0),
    ("power_loss", ("node1/host",)),
    ("kernel_crash", ("node0/host",)),
    ("process_crash", ("node1/host",)),
    ("gpu_reset", ("node0/gpu1",)),
    ("nic_reset", ("node1/nic",)),
    ("media_loss", ("node1/nvme",)),
]


@settings(max_examples=100, deadline=None, derandomize=True)
@given(
    strike=st.sampled_from(STRIKES),
    protocol=st.sampled_from(PROTOCOLS),
    trouble=st.sampled_from(TROUBLES),
    errors=st.sampled_from(ERRORS),
    instant=st.one_of(st.integers(9 * PS, 25 * PS), st.integers(20 * PS, 22 * PS)),
    sync=st.sampled_from(["flush", "completion", "fua"]),
    into=st.sampled_from(["media", "page_cache", "dram"]),
    mode=st.sampled_from(["sync", "async"]),
    replica=st.sampled_from([0, 1]),
)
def test_what_a_partial_crash_leaves_is_among_what_the_sweep_foresees(
    strike: tuple[str, tuple[str, ...]], protocol: dict[str, Any], trouble: list[FaultSpec], errors: dict[str, Any],
    instant: int, sync: str, into: str, mode: str, replica: int,
) -> None:  # fmt: skip
    """The survivors are torn down at once here: what they had given to a drive or a kernel goes on, and no more."""
    instant |= 1
    kind, targets = strike
    common = {"count": 2, "protocol": protocol | errors, "sync": sync, "into": into, "replica": replica,
              "horizon": "60s",
              "workload": {"mode": mode, "restart": {"detect": "0s", "load": False}},
              "what_if": [WhatIfSpec("strike", kind, (("strike", targets),))]}  # fmt: skip
    quiet = simulate(builders.machine(**common, faults=trouble))
    crash = builders.fault(kind, [targets], at=f"{instant}ps", restore_after="1s")
    struck = simulate(builders.machine(**common, faults=[*trouble, crash]))
    before = [row for row in quiet.rows if row[0] < instant]
    assert struck.rows[: len(before)] == before, "a crash cannot change what came before it"
    if into == "dram" and targets[0].endswith("nvme"):
        assert not any(row.event == "job_stopped" for row in struck), "nobody uses that drive"
        return
    recovered = next(row for row in struck if row.event == "recovered")
    assert Handed(str(recovered.detail), recovered.epoch) in foreseen(quiet, instant, 1)

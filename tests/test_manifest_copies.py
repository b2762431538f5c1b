"""A manifest whose record has copies: what they cost, what they outlive, and what a reader must not take for one."""

from __future__ import annotations

import dataclasses
import math
from typing import Any

import builders
import pytest
from sweeping import handed_back, outcomes, unsafe

from hwsim.outcomes import Handed, Outcome
from hwsim.simulation import simulate
from hwsim.topology.spec import Topology, WhatIfSpec
from hwsim.trace import Trace

PS = builders.PS
MS = PS // 1000
RECORDS = ("m0", "m1", "m2")


def made(wait_for: str = "all", lost: tuple[str, ...] = (), *, horizon: str = "400s", **manifest: Any) -> Topology:
    """Eight ranks, and three devices that hold nothing but a copy of the record each."""
    record = {"to": list(RECORDS), "wait_for": wait_for, "persist": {"uniform": ["0s", "100ms"]}, **manifest}
    protocol = {"kind": "manifest", "message_delay": "10ms", "manifest": record}
    what_if = [WhatIfSpec("lost", "media_loss", (("lost", lost),))] if lost else []
    topology = builders.abstract(
        8, horizon=horizon, protocol=protocol, workload={"in_flight": {"max": 1}}, what_if=what_if
    )
    extra = {name: builders.device(name, "abstract", persist="0s") for name in RECORDS}
    return dataclasses.replace(topology, devices={**topology.devices, **extra})


def waits(trace: Trace) -> list[float]:
    """From a message after the last durable shard until the checkpoint counts, in units of the record's law."""
    found, last = [], 0
    for row in trace:
        if row.event == "persisted" and str(row.part).startswith("shard"):
            last = row.time_ps
        elif row.event == "epoch_committed":
            found.append((row.time_ps - last - 10 * MS) / (100 * MS))
    return found


@pytest.mark.parametrize(("wait_for", "mean", "variance"), [("all", 3 / 4, 3 / 80), ("majority", 1 / 2, 1 / 20)])
def test_latency_is_that_of_the_copy_waited_for(wait_for: str, mean: float, variance: float) -> None:
    # the greatest of three on [0, 1] is Beta(3, 1), the middle one Beta(2, 2)
    found = waits(simulate(made(wait_for)))
    assert len(found) == 399
    assert abs(sum(found) / len(found) - mean) < 4 * math.sqrt(variance / len(found))


def test_commit_latency_of_all_is_the_slowest_save_a_message_and_the_slowest_record() -> None:
    trace = simulate(made("all", horizon="1000s"))
    begun = {row.epoch: row.time_ps for row in trace if row.event == "checkpoint_begun"}
    found = [(row.time_ps - begun[row.epoch]) / PS for row in trace if row.event == "epoch_committed"]
    # E[max of 8 uniform on [0, 0.2]] + 0.01 + E[max of 3 uniform on [0, 0.1]]
    expected = 0.2 * 8 / 9 + 0.01 + 0.1 * 3 / 4
    variance = 0.04 * 8 / (81 * 10) + 0.01 * 3 / 80
    assert abs(sum(found) / len(found) - expected) < 4 * math.sqrt(variance / len(found))


@pytest.mark.parametrize("lost", [("m0",), ("m1", "m2")])
def test_what_all_had_to_name_outlives_all_but_one(lost: tuple[str, ...]) -> None:
    trace = simulate(made("all", lost))
    assert unsafe(trace, 0) == 0
    assert unsafe(trace, 1) == 0


def test_what_most_had_to_name_outlives_one_and_not_two() -> None:
    assert unsafe(simulate(made("majority", ("m0",))), 1) == 0
    assert outcomes(simulate(made("majority", ("m0", "m1"))), 1)[Outcome.LOST_COMMITTED] > 0.005


def test_a_record_without_copies_is_lost_with_its_device() -> None:
    trace = simulate(made("all", ("m0",), to="m0"))
    assert outcomes(trace, 1)[Outcome.SILENT_RESTART] > 0.9


def test_the_first_copy_that_names_a_checkpoint_is_where_the_answer_changes() -> None:
    trace = simulate(made("all"))
    first: dict[int, int] = {}
    for row in trace:
        if row.event == "persisted" and str(row.part).startswith("manifest"):
            first.setdefault(row.epoch or 0, row.time_ps)
    changes = list(handed_back(trace))
    assert [handed for _, handed in changes] == [{Handed("whole", e)} for e in range(400)]
    assert all(first[epoch] == changes[epoch][0] for epoch in range(1, 400))


def test_a_recovery_makes_all_copies_name_what_it_handed_back() -> None:
    crash = builders.fault("power_loss", [("d3",)], every="1.37s", restore_after="50ms")
    trace = simulate(dataclasses.replace(made("majority"), faults=(crash,)))
    named: dict[str, int] = {}
    recovered = checked = 0
    for row in trace:
        if row.event == "persisted" and str(row.part).startswith("manifest"):
            named[str(row.part)] = row.epoch or 0
        elif row.event == "recovered":
            recovered = row.epoch or 0
        elif row.event == "job_resumed" and recovered:
            assert set(named.values()) == {recovered}
            checked += 1
    assert checked > 100
    assert unsafe(trace) == 0

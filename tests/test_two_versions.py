"""Two versions a rank: sound while nobody is two ahead and numbers name one attempt, and not a moment longer."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

import builders
import pytest
from sweeping import handed_back, outcomes, unsafe

from hwsim.outcomes import Handed, Outcome
from hwsim.simulation import simulate
from hwsim.topology.spec import Topology

PS = builders.PS
CRASHES = [
    builders.fault("power_loss", [(f"d{i}",)], name=f"crash{i}", every=every, restore_after="20ms")
    for i, every in enumerate(("3.137s", "4.071s", "5.113s"))
]


def made(labels: str = "number", *, faults: bool = True, numbers: str = "steps", **rest: Any) -> Topology:
    workload = {"in_flight": {"max": 1}, "numbers": numbers, **rest.pop("workload", {})}
    protocol = {"kind": "two_versions", "message_delay": "1ms", "labels": labels, **rest.pop("protocol", {})}
    return builders.abstract(
        3, rest.pop("persist", {"uniform": ["0s", "800ms"]}), protocol=protocol, workload=workload,
        horizon=rest.pop("horizon", "200s"),
        faults=CRASHES if faults else [], **rest,
    )  # fmt: skip


@pytest.mark.parametrize("labels", ["number", "attempt"])
def test_without_a_crash_in_a_recovery_it_is_sound_with_one_flip_a_checkpoint(labels: str) -> None:
    trace = simulate(made(labels, faults=False, numbers="attempts"))
    flips = [handed for _, handed in handed_back(trace)]
    first = next(iter(flips[0])).epoch
    assert first is not None
    assert flips == [{Handed("whole", first + i)} for i in range(len(flips))]
    assert len(flips) >= 199
    committed = {row.epoch: row.time_ps for row in trace if row.event == "epoch_committed"}
    assert all(committed[next(iter(handed)).epoch] == at for at, handed in list(handed_back(trace))[1:])
    assert unsafe(trace) == 0
    assert not any(row.event == "sent" for row in trace), "a checkpoint costs no message"


def test_only_two_slots_are_ever_used() -> None:
    trace = simulate(made("attempt"))
    assert {row.slot for row in trace if row.event == "persisted"} == {"0", "1"}


def test_numbers_alone_mix_once_a_crash_falls_into_a_recovery() -> None:
    bare = simulate(made(protocol={"discard": False}))
    found = outcomes(bare)
    assert found[Outcome.SILENT_MIXED] > 0.01
    assert any(row.event == "recovered" and row.detail == "mixed" for row in bare), "and it does happen"
    for mended in (made("attempt", protocol={"discard": False}), made(), made("attempt")):
        assert unsafe(simulate(mended)) == 0


def test_numbers_that_are_used_again_are_in_the_trace() -> None:
    trace = simulate(made("attempt"))
    begun = [(row.epoch, row.detail) for row in trace if row.event == "checkpoint_begun"]
    assert any(detail is not None and int(detail) < epoch for epoch, detail in begun if epoch is not None)
    attempts = simulate(made(numbers="attempts"))
    assert all(row.detail is None for row in attempts if row.event == "checkpoint_begun")


def test_a_rank_that_is_two_ahead_has_overwritten_what_the_slowest_needs() -> None:
    long = {"uniform": ["0s", "1900ms"]}
    lagging = simulate(made(faults=False, persist=long, workload={"in_flight": {"max": 2}}))
    assert outcomes(lagging)[Outcome.LOST_COMMITTED] > 0.01
    assert Outcome.SILENT_MIXED not in outcomes(lagging)
    assert unsafe(simulate(made(faults=False, persist=long))) == 0


def test_a_recovery_costs_a_message_from_each_rank_and_one_back() -> None:
    struck = builders.fault("power_loss", [("d0",)], at="10.5s", restore_after="20ms")
    trace = simulate(dataclasses.replace(made(), faults=(struck,)))
    sent = Counter((row.detail, row.epoch) for row in trace if row.event == "sent")
    assert sent == {("holds", 0): 3, ("load", 0): 3}
    heard = [row.time_ps for row in trace if row.event == "delivered"]
    assert next(row.time_ps for row in trace if row.event == "recovered") == heard[-1] == heard[0] + PS // 1000


def test_a_live_recovery_leaves_every_rank_at_what_it_handed_back() -> None:
    trace = simulate(made("attempt"))
    held: dict[tuple[str, str], int] = {}
    checked, recovered = 0, None
    for row in trace:
        if row.place is not None:
            if row.may is None:
                held.pop((str(row.part), str(row.slot)), None)
            else:
                held[str(row.part), str(row.slot)] = int(row.may)
        elif row.event == "job_resumed":
            for part in ("shard0", "shard1", "shard2"):
                own = [epoch for (name, _), epoch in held.items() if name == part]
                assert (max(own) if own else 0) == recovered
            checked += 1
        elif row.event == "recovered":
            assert row.detail == "whole"
            recovered = row.epoch
    assert checked > 50


def test_a_save_that_is_given_up_takes_its_checkpoint_from_all_and_harms_no_other() -> None:
    bad = builders.fault("io_error", ["node0/nvme"], name="bad", at="20.05s", operations=1)
    topology = builders.machine(
        2, 2, horizon="60s", protocol={"kind": "two_versions"}, faults=[bad], nvme={**builders.NVME, "plp": True}
    )
    trace = simulate(topology)
    given_up = [row.epoch for row in trace if row.event == "checkpoint_abandoned"]
    assert given_up == [2]
    assert unsafe(trace) == 0
    assert [row.epoch for row in trace if row.event == "epoch_committed"] == [1, 3, 4, 5]

"""When checkpoints begin, what they stop, and how they are numbered."""

from __future__ import annotations

import itertools

import builders
import pytest

from hwsim.simulation import simulate
from hwsim.trace import Record, Trace

PS = builders.PS


def times(trace: Trace, event: str) -> list[float]:
    return [row.time_ps / PS for row in trace if row.event == event]


def rows(trace: Trace, *events: str) -> list[Record]:
    return [row for row in trace if row.event in events]


def test_checkpoint_k_begins_at_first_plus_k_minus_one_intervals() -> None:
    trace = simulate(builders.abstract(2, "10ms", horizon="10s", workload={"interval": "3s", "first": "1s"}))
    assert times(trace, "checkpoint_begun") == [1, 4, 7]
    assert [row.epoch for row in rows(trace, "checkpoint_begun")] == [1, 2, 3]


def test_first_defaults_to_the_interval() -> None:
    trace = simulate(builders.abstract(2, "10ms", horizon="10s", workload={"interval": "3s"}))
    assert times(trace, "checkpoint_begun") == [3, 6, 9]


def test_synchronous_training_stands_until_the_checkpoint_is_saved() -> None:
    trace = simulate(builders.abstract(2, "400ms", horizon="3.5s", workload={"mode": "sync"}))
    assert times(trace, "training_stalled") == [1, 2, 3]
    assert times(trace, "training_resumed") == [1.4, 2.4, 3.4]


def test_what_comes_due_while_training_stands_still_is_not_due() -> None:
    trace = simulate(builders.abstract(2, "2500ms", horizon="12s", workload={"mode": "sync"}))
    assert times(trace, "checkpoint_begun") == [1, 4, 7, 10]  # 1 to 3.5, then 4 is the next instant on the grid


def test_asynchronous_without_a_source_never_stalls() -> None:
    trace = simulate(builders.abstract(2, "2500ms", horizon="6s", workload={"in_flight": {"max": 9}}))
    assert times(trace, "checkpoint_begun") == [1, 2, 3, 4, 5]
    assert not rows(trace, "training_stalled")


def test_a_full_pipeline_waits() -> None:
    workload = {"in_flight": {"max": 1, "when_full": "wait"}}
    trace = simulate(builders.abstract(2, "1500ms", horizon="6s", workload=workload))
    assert times(trace, "checkpoint_begun") == [1, 2.5, 4, 5.5]
    assert times(trace, "training_stalled") == [2, 3, 5]  # what was due at 3 began at 4 and stands for that one too
    assert times(trace, "training_resumed") == [2.5, 4, 5.5]


def test_a_full_pipeline_skips_and_a_skipped_checkpoint_takes_no_number() -> None:
    workload = {"in_flight": {"max": 1, "when_full": "skip"}}
    trace = simulate(builders.abstract(2, "1500ms", horizon="6s", workload=workload))
    assert times(trace, "checkpoint_begun") == [1, 3, 5]
    assert times(trace, "checkpoint_skipped") == [2, 4]
    assert [row.epoch for row in rows(trace, "checkpoint_begun")] == [1, 2, 3]


def test_random_phases_keep_the_period_and_differ_between_parts() -> None:
    trace = simulate(builders.abstract(5, "0s", horizon="10s", workload={"start": "random_phase"}))
    phases = set()
    for part in range(5):
        mine = [row.time_ps for row in trace if row.event == "persisted" and row.part == f"shard{part}"]
        assert {later - earlier for earlier, later in itertools.pairwise(mine)} == {PS}
        assert 1 * PS <= mine[0] < 2 * PS
        phases.add(mine[0] % PS)
    assert len(phases) == 5


def test_poisson_epochs_have_the_mean_and_the_spread_of_a_poisson_process() -> None:
    trace = simulate(builders.abstract(4, "0s", horizon="2000s", workload={"start": "poisson"}))
    for part in range(4):
        count = sum(row.event == "persisted" and row.part == f"shard{part}" for row in trace)
        assert abs(count - 2000) < 4 * 2000**0.5
    gaps = [row.time_ps for row in trace if row.event == "persisted" and row.part == "shard0"]
    waits = [(b - a) / PS for a, b in itertools.pairwise(gaps)]
    mean = sum(waits) / len(waits)
    assert sum((w - mean) ** 2 for w in waits) / len(waits) == pytest.approx(1, rel=0.2)


def test_free_running_parts_wait_for_their_own_save_only() -> None:
    workload = {"start": "random_phase", "in_flight": {"max": 1}}
    trace = simulate(builders.abstract(3, "1500ms", horizon="20s", workload=workload))
    for part in range(3):
        mine = [row.time_ps for row in trace if row.event == "persisted" and row.part == f"shard{part}"]
        assert mine[1] - mine[0] == 1.5 * PS  # back to back


def test_a_clock_that_is_ahead_begins_early() -> None:
    devices = [
        builders.device("d0", "abstract", persist="100ms", clock_offset="50ms"),
        builders.device("d1", "abstract", persist="100ms", clock_offset="-30ms"),
        builders.device("d2", "abstract", persist="100ms"),
    ]
    made = builders.abstract(3, "100ms", horizon="3s")
    trace = simulate(type(made)(**{**made.__dict__, "devices": {spec.name: spec for spec in devices}}))
    first = {row.part: row.time_ps / PS for row in trace if row.event == "persisted" and row.epoch == 1}
    assert first == {"shard0": 1.05, "shard1": 1.13, "shard2": 1.1}


@pytest.mark.parametrize("start", ["barrier", "random_phase", "poisson"])
def test_every_checkpoint_that_commits_has_begun_and_is_committed_once(start: str) -> None:
    trace = simulate(builders.abstract(6, horizon="50s", workload={"start": start}))
    begun = [row.epoch for row in rows(trace, "checkpoint_begun")]
    committed = [row.epoch for row in rows(trace, "epoch_committed")]
    assert begun == sorted(set(begun))
    assert len(committed) == len(set(committed))
    assert set(committed) <= set(begun)

"""Two-phase commit: what it costs, what it guards, when it blocks, and what each of its steps is for."""

from __future__ import annotations

import dataclasses
import itertools
import math
from collections import Counter
from typing import Any

import builders
import pytest
from sweeping import handed_back, mutated, outcomes, unsafe

from hwsim.outcomes import Handed, Outcome
from hwsim.simulation import simulate
from hwsim.topology.spec import Topology, WhatIfSpec
from hwsim.trace import Trace

PS = builders.PS
MS = PS // 1000
DELAY, LOG = 10 * MS, 5 * MS


def made(ranks: int = 3, persist: Any = None, *, horizon: str = "100s", **rest: Any) -> Topology:
    protocol = {"kind": "two_phase", "message_delay": "10ms", "log": {"persist": "5ms"}, **rest.pop("protocol", {})}
    workload = {"in_flight": {"max": 1}, **rest.pop("workload", {})}
    return builders.abstract(ranks, persist, horizon=horizon, protocol=protocol, workload=workload, **rest)


def times(trace: Trace, event: str, **fields: Any) -> dict[int, list[int]]:
    found: dict[int, list[int]] = {}
    for row in trace:
        if row.event == event and all(getattr(row, name) == value for name, value in fields.items()):
            found.setdefault(row.epoch or 0, []).append(row.time_ps)
    return found


def test_it_takes_four_messages_a_rank() -> None:
    trace = simulate(made(8, horizon="50.9s"))
    sent = Counter((row.epoch, row.detail) for row in trace if row.event == "sent")
    assert {epoch for epoch, _ in sent} == set(range(1, 51))
    assert all(sent[epoch, kind] == 8 for epoch in range(1, 51) for kind in ("prepare", "yes", "commit", "ack"))
    assert sum(sent.values()) == 4 * 8 * 50


def test_latency_is_two_messages_the_slowest_save_and_two_forced_records() -> None:
    trace = simulate(made(8))
    begun, committed = times(trace, "checkpoint_begun"), times(trace, "epoch_committed")
    assert len(committed) == 99
    saved: dict[int, int] = {}
    for row in trace:
        if row.event == "persisted" and str(row.part).startswith("shard"):
            saved[row.epoch or 0] = row.time_ps
    for epoch, (at,) in committed.items():
        assert at == saved[epoch] + LOG + DELAY + LOG  # the slowest save began a message after the checkpoint
        assert saved[epoch] - begun[epoch][0] >= DELAY
        heard = max(times(trace, "delivered", detail="ack")[epoch])
        assert heard == at + DELAY + LOG + DELAY  # one more round until the coordinator knows that all know


def test_the_record_of_the_decision_is_the_one_instant_at_which_the_answer_changes() -> None:
    trace = simulate(made(5))
    changes = list(handed_back(trace))
    decided = times(trace, "persisted", part="decision")
    assert [handed for _, handed in changes] == [{Handed("whole", e)} for e in range(100)]
    assert all(decided[next(iter(handed)).epoch or 0] == [at] for at, handed in changes[1:])
    assert unsafe(trace) == 0


def with_a_log_of_its_own(ranks: int = 3, horizon: str = "60s", **rest: Any) -> Topology:
    """The coordinator is no rank, and what-if 1 loses its log and nothing else."""
    lost = WhatIfSpec("log-lost", "media_loss", (("log-lost", ("c",)),))
    topology = made(ranks, horizon=horizon, coordinator="c", what_if=[lost], **rest)
    return dataclasses.replace(
        topology, devices={**topology.devices, "c": builders.device("c", "abstract", persist="0s")}
    )


def test_ranks_that_lost_the_log_are_in_doubt_from_the_last_promise_until_one_of_them_has_heard() -> None:
    trace = simulate(with_a_log_of_its_own())
    header = trace.header
    promised: dict[int, int] = {}
    heard: dict[int, int] = {}
    for row in trace:
        if row.event == "persisted" and str(row.part).startswith("prepared"):
            promised[row.epoch or 0] = row.time_ps
        elif row.event == "persisted" and str(row.part).startswith("committed"):
            heard.setdefault(row.epoch or 0, row.time_ps)
    doubt = sum(heard[epoch] - promised[epoch] for epoch in heard)
    assert all(heard[epoch] - promised[epoch] == 2 * DELAY + 2 * LOG for epoch in heard)
    refused = outcomes(trace, 1)
    # what was acknowledged is held back until somebody rules; at all other instants it is as with the log
    window = header.horizon_ps - header.warm_up_ps
    assert refused[Outcome.LOST_COMMITTED] * window == pytest.approx(
        doubt - (DELAY + LOG), abs=1
    )  # until the first was decided
    assert unsafe(trace, 0) == 0


def live(ranks: int, mean: str, *, horizon: str) -> Trace:
    """The coordinator's process dies at a rate and is back soon; persist times are constant, so windows are too."""
    crash = builders.fault("power_loss", [("d0",)], name="coordinator", mtbf=mean, restore_after="1ms")
    return simulate(made(ranks, "100ms", horizon=horizon, faults=[crash], protocol={"message_delay": "100ms"}))


def test_a_coordinator_that_dies_at_a_rate_meets_the_window_of_doubt_as_often_as_it_must() -> None:
    trace = live(2, "3s", horizon="3000s")
    crashes = [row.time_ps for row in trace if row.event == "struck"]
    windows = met = 0
    opened: dict[int, int] = {}
    for row in trace:
        if row.event == "persisted" and row.part == "prepared1":
            opened[row.epoch or 0] = row.time_ps
    for at in opened.values():
        until = at + 2 * 100 * MS + LOG  # the vote, the record of the decision, the decision
        windows += 1
        met += any(at < crash <= until for crash in crashes)
    expected = 1 - math.exp(-0.205 / 3)
    assert windows > 1500
    assert abs(met - windows * expected) < 4 * math.sqrt(windows * expected * (1 - expected))
    assert unsafe(trace) == 0


def test_every_crash_that_is_lived_through_leaves_all_logs_and_shards_at_one_checkpoint() -> None:
    trace = live(3, "2s", horizon="300s")
    held: set[tuple[str, str]] = set()
    recovered = checked = 0
    for row in trace:
        if row.place is not None:
            key = str(row.part), str(row.slot)
            held.discard(key) if row.may is None else held.add(key)
        elif row.event == "recovered":
            assert row.detail == "whole"
            recovered = row.epoch or 0
        elif row.event == "job_resumed" and recovered:
            for rank, log in itertools.product(range(3), ("prepared", "committed", "shard")):
                assert max(int(slot) for part, slot in held if part == f"{log}{rank}") == recovered
            checked += 1
    assert checked > 100


def test_a_rank_that_cannot_save_makes_all_abort_and_the_next_checkpoint_is_none_the_worse() -> None:
    bad = builders.fault("io_error", ["node1/nvme"], name="bad", at="20.05s", operations=1)
    plp = {**builders.NVME, "plp": True}
    trace = simulate(builders.machine(2, 2, horizon="60s", protocol={"kind": "two_phase"}, faults=[bad], nvme=plp))
    assert [row.epoch for row in trace if row.event == "checkpoint_abandoned"] == [2]
    assert [row.epoch for row in trace if row.event == "epoch_committed"] == [1, 3, 4, 5]
    sent = Counter(row.detail for row in trace if row.event == "sent" and row.epoch == 2)
    assert sent["no"] == 1
    assert sent["abort"] == 4
    assert not sent["commit"]
    assert unsafe(trace) == 0
    held = {(row.part, row.slot) for row in trace if row.slot == "2" and row.may is not None}
    gone = {(row.part, row.slot) for row in trace if row.slot == "2" and row.event == "erased"}
    assert held == gone


def test_without_a_promise_in_its_log_a_rank_that_lost_the_log_takes_a_decided_checkpoint_for_aborted() -> None:
    topology = with_a_log_of_its_own()
    assert not mistaken(simulate(topology))
    assert mistaken(mutated(topology, "prepared_unforced"))


def test_without_a_record_of_what_it_heard_a_rank_stays_in_doubt_for_good() -> None:
    topology = with_a_log_of_its_own()
    assert unsafe(mutated(topology, "committed_unforced"), 1) > 0.9 > 10 * unsafe(simulate(topology), 1)


def mistaken(trace: Trace) -> bool:
    """Whether, with the log lost, something less than what was acknowledged is handed back as if all were well."""
    changes = list(handed_back(trace, 1))
    for epoch, (at,) in times(trace, "epoch_committed").items():
        now = next(handed for since, handed in reversed(changes) if since <= at or since == changes[0][0])
        if any(found.kind == "whole" and (found.epoch or 0) < epoch for found in now):
            return True
    return False

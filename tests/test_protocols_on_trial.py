"""Every protocol at every crash point: what is handed back mixed, when the answer changes, and what a commit costs.

The controls go wrong by as much as they must.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping
from typing import Any

import builders
import crash_oracle
import pytest
from sweeping import handed_back, mutated, outcomes, unsafe

from hwsim.crash_sweep import sweep_strike
from hwsim.crash_timeline import RawClass, Timeline
from hwsim.instants import AllInstants
from hwsim.outcomes import Handed, Outcome
from hwsim.simulation import simulate
from hwsim.studies import closed_forms as cf
from hwsim.topology.spec import Topology
from hwsim.trace import Trace

PS = builders.PS
D, M = 0.010, 0.005  # seconds: a message, a record
SOUND: dict[str, Mapping[str, Any]] = {
    "manifest": {"kind": "manifest", "message_delay": "10ms", "manifest": {"persist": "5ms"}},
    "two_phase": {"kind": "two_phase", "message_delay": "10ms", "log": {"persist": "5ms"}},
    "two_versions": {"kind": "two_versions", "message_delay": "10ms"},
    "memory_replicas": {"kind": "memory_replicas", "message_delay": "10ms"},
}


def made(protocol: Mapping[str, Any], ranks: int = 8, persist: Any = None, **rest: Any) -> Topology:
    workload = {"in_flight": {"max": 1}, **rest.pop("workload", {})}
    horizon = rest.pop("horizon", "401s")
    return builders.abstract(ranks, persist, protocol=protocol, workload=workload, horizon=horizon, **rest)


# E1.7: a crash after every event


def test_in_place_all_states_between_the_first_and_the_last_domain_are_mixed() -> None:
    trace = simulate(made({"kind": "in_place"}, 6, horizon="50s"))
    prefixes: dict[int, list[bool]] = {}
    timeline = Timeline(trace)
    for _, replay in timeline.walk(trace.header.crashes[0].strikes[0], trace.header.first_ps, trace.header.horizon_ps):
        vector = replay.state().vector
        prefixes.setdefault(replay.begun, [])
        prefixes[replay.begun].append(vector.raw is RawClass.MIXED)
    whole = {epoch: states for epoch, states in prefixes.items() if 0 < epoch < 49}
    assert len(whole) == 48
    # of the begin and each of six domains that becomes durable: seven durable prefixes, five of them mixed
    assert all(states[:7].count(True) == 5 and len(states) in (7, 8) for states in whole.values())


@pytest.mark.parametrize("kind", ["manifest", "two_phase", "two_versions"])
def test_nothing_is_handed_back_mixed_and_one_event_a_checkpoint_changes_the_answer(kind: str) -> None:
    trace = simulate(made(SOUND[kind], 6, horizon="50s"))
    answers = [handed for _, handed in handed_back(trace)]
    assert answers == [{Handed("whole", epoch)} for epoch in range(50)]
    assert unsafe(trace) == 0
    assert any(row.event == "persisted" for row in trace)


CRASHES = [builders.fault("power_loss", [(f"d{i}",)], name=f"f{i}", every=every, restore_after="20ms")
           for i, every in enumerate(("2.137s", "3.071s"))]  # fmt: skip
STEPS = {"numbers": "steps", "in_flight": {"max": 2}}


@pytest.mark.parametrize(
    "topology",
    [
        made(SOUND["two_phase"], 3, horizon="5s", faults=CRASHES),
        made({**SOUND["two_versions"], "discard": False}, 3, horizon="9s", faults=CRASHES, workload=STEPS),
        made({**SOUND["two_versions"], "labels": "attempt"}, 3, horizon="9s", faults=CRASHES, workload=STEPS),
        builders.machine(1, 2, horizon="26s", protocol={"kind": "two_phase"}),
        builders.machine(1, 2, horizon="26s", protocol={"kind": "two_versions"}, workload={"in_flight": {"max": 2}}),
        builders.machine(2, 1, horizon="26s", protocol={"kind": "memory_replicas"}, into="dram", replica=1),
    ],
    ids=lambda topology: f"{topology.protocol.kind}-{len(topology.devices)}",
)
def test_the_sweep_equals_judging_every_instant(topology: Topology) -> None:
    trace = simulate(topology)
    header = trace.header
    strike = header.crashes[0].strikes[0]
    tally = sweep_strike(Timeline(trace), strike, AllInstants(header.warm_up_ps, header.horizon_ps))
    naive = crash_oracle.shares(trace, strike, header.warm_up_ps, header.horizon_ps)
    for name in ("raw", "worst", "best"):
        found = getattr(tally, name)
        assert {str(key): weight for key, weight in found.items()} == {
            str(k): weight for k, weight in naive[name].items()
        }
    assert (tally.unprotected, tally.restored) == (naive["unprotected"], naive["restored"])
    assert tally.lost_ps == pytest.approx(float(naive["lost"]), rel=1e-12)


# R1: what a commit costs, and what a crash costs then


def latencies(trace: Trace) -> list[float]:
    begun = {row.epoch: row.time_ps for row in trace if row.event == "checkpoint_begun"}
    return [(row.time_ps - begun[row.epoch]) / PS for row in trace if row.event == "epoch_committed"]


COSTS = [("manifest", D + M), ("two_phase", 2 * D + 2 * M), ("two_versions", 0.0), ("memory_replicas", D)]


@pytest.mark.parametrize(("kind", "fixed"), COSTS[:3])
@pytest.mark.parametrize(
    ("persist", "greatest", "variance"),
    [
        ({"uniform": ["0s", "200ms"]}, 0.2 * 8 / 9, 0.04 * 8 / (81 * 10)),
        ({"exponential": "20ms"}, 0.02 * cf.harmonic(8), 0.0004 * sum(1 / k**2 for k in range(1, 9))),
    ],
)
def test_latency_is_the_slowest_save_and_the_protocol_s_own_steps(
    kind: str, fixed: float, persist: Any, greatest: float, variance: float
) -> None:
    found = latencies(simulate(made(SOUND[kind], persist=persist)))
    assert len(found) == 400
    assert abs(statistics.fmean(found) - greatest - fixed) < 4 * math.sqrt(variance / len(found))


@pytest.mark.parametrize("kind", ["manifest", "two_phase", "two_versions"])
def test_a_crash_at_any_instant_costs_half_an_interval_and_a_latency(kind: str) -> None:
    trace = simulate(made(SOUND[kind], horizon="401s", warm_up="2s"))
    header = trace.header
    window = AllInstants(header.warm_up_ps, header.horizon_ps)
    tally = sweep_strike(Timeline(trace), header.crashes[0].strikes[0], window)
    own = latencies(trace)[1:400]  # of the checkpoints that begin in the window
    assert tally.lost_mean_s == pytest.approx(0.5 + statistics.fmean(own), abs=1e-9)


# E1.8: controls


def test_a_flush_that_lies_leaves_a_manifest_over_shards_that_are_not_there() -> None:
    topology = made(SOUND["manifest"])
    assert unsafe(simulate(topology)) == 0
    trace = mutated(topology, "ack_before_flush")
    found = outcomes(trace)[Outcome.LOST_COMMITTED]
    last: dict[int, int] = {}
    for row in trace:
        if row.event == "persisted" and row.part != "manifest":
            last[row.epoch or 0] = row.time_ps
    named = {row.epoch or 0: row.time_ps for row in trace if row.event == "epoch_committed"}
    excess = [max(0, last[epoch] - named[epoch]) / PS for epoch in range(1, 401)]
    assert found == pytest.approx(statistics.fmean(excess), abs=1e-12)
    # E[(max D_i - M)^+] with M a message and a record after the begin: the integral of P(max > x) from M on
    expected = cf.integral(lambda x: 1 - (x / 0.2) ** 8, [D + M, 0.2])
    assert abs(found - expected) < 4 * statistics.stdev(excess) / math.sqrt(len(excess))


def test_shards_in_place_are_mixed_under_any_manifest() -> None:
    protocol = {**SOUND["manifest"], "slots": "in_place"}
    record = {"persist": "5ms", "checksum": False}
    blind = simulate(made({**protocol, "manifest": record}, warm_up="2s"))
    header = blind.header
    tally = sweep_strike(
        Timeline(blind), header.crashes[0].strikes[0], AllInstants(header.warm_up_ps, header.horizon_ps)
    )
    assert outcomes(blind)[Outcome.SILENT_MIXED] == pytest.approx(tally.mixed_share, abs=1e-12)
    assert tally.mixed_share > 0.1
    noticed = outcomes(simulate(made(protocol)))
    assert Outcome.SILENT_MIXED not in noticed
    assert noticed[Outcome.LOST_COMMITTED] > 0.1, "to notice does not bring it back"


def test_removed_before_the_new_one_is_named_there_is_neither() -> None:
    record = {"replace": "remove_then_rename", "persist": {"uniform": ["0s", "100ms"]}}
    trace = simulate(made({**SOUND["manifest"], "manifest": record}))
    gone = [row.time_ps for row in trace if row.part == "manifest" and row.event == "erased"]
    back = [row.time_ps for row in trace if row.part == "manifest" and row.event == "persisted"]
    gaps = [(b - a) / PS for a, b in zip(gone, back[1:], strict=True)]
    found = outcomes(trace)[Outcome.SILENT_RESTART]
    assert found == pytest.approx(sum(gaps) / 400, abs=1e-12)
    assert abs(found - 0.05) < 4 * math.sqrt(0.01 / 12 / len(gaps))


def test_a_record_above_the_atomic_size_is_torn_and_a_checksum_tells() -> None:
    def of(size: str, checksum: bool) -> dict[Outcome, float]:
        record = {"replace": "in_place", "size": size, "checksum": checksum}
        return outcomes(simulate(builders.machine(horizon="60s", protocol={"kind": "manifest", "manifest": record})))

    assert of("64KiB", False)[Outcome.SILENT_CORRUPT] > 0
    assert Outcome.SILENT_CORRUPT not in of("64KiB", True)
    assert of("64KiB", True)[Outcome.LOST_COMMITTED] > 0
    assert not any(outcome.unsafe for outcome in of("4KiB", False))

"""Tree epoch convergence in simulation: what it costs, and that no crash of any domain at any time makes a mix."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import builders
import crash_oracle
import pytest
from converging import SHAPES, linked
from sweeping import handed_back, outcomes, unsafe

from hwsim.bilateral import spanning
from hwsim.checkers import Held, check_all, held_at
from hwsim.converging import committed_is_held, generations_rise
from hwsim.crash_sweep import sweep_strike
from hwsim.crash_timeline import Timeline
from hwsim.instants import AllInstants
from hwsim.outcomes import Handed, Outcome
from hwsim.simulation import simulate
from hwsim.topology import load
from hwsim.topology.spec import Topology
from hwsim.trace import Record, Trace
from hwsim.verdicts import Value

PS = builders.PS
HOP = {"rate": "10Gb/s", "delay": "3us"}
HOP_PS = 3_000_000 + 8 * (8 + 64) * 100  # delay, then preamble and 64 octets of 0.1 ns a bit
BEHIND_PS = 8 * (8 + 64 + 12) * 100  # behind another frame, with its gap
NV_PS = 1_000
Y4 = [(0, 1), (1, 2), (1, 3)]


def crash(domain: int, at_ps: int, name: str = "crash") -> Any:
    return builders.fault("power_loss", [(f"d{domain}",)], name=name, at=f"{at_ps}ps", restore_after="1ms")


def sound(trace: Trace) -> None:
    broken = [verdict for verdict in check_all([trace]) if verdict.value is not Value.HOLDS]
    assert not broken
    assert unsafe(trace) == 0


def depths(topology: Topology) -> dict[str, int]:
    graph = spanning.graph_of(topology.devices, ((link.a, link.b) for link in topology.links))
    return spanning.distances(graph, topology.protocol.root or spanning.centre(graph))


SHAPED = [("line", 2), ("line", 5), ("star", 5), ("ring", 6), ("complete", 5), (Y4, 4)]


@pytest.mark.parametrize(("shape", "count"), SHAPED)
def test_a_checkpoint_costs_two_messages_an_edge_of_the_tree_and_one_flip(shape: Any, count: int) -> None:
    trace = simulate(linked(count, shape, horizon="31s"))
    sent = Counter((row.epoch, row.detail) for row in trace if row.event == "sent")
    committed = [row.epoch for row in trace if row.event == "epoch_committed"]
    assert committed == list(range(1, 31))
    assert sent == {(epoch, word): count - 1 for epoch in committed for word in ("up", "down")}
    flips = [handed for _, handed in handed_back(trace)]
    assert flips == [{Handed("whole", epoch)} for epoch in range(31)]
    sound(trace)


@pytest.mark.parametrize(("shape", "count"), SHAPED)
@pytest.mark.parametrize("root", [None, "d0"])
def test_a_commit_comes_with_the_slowest_way_to_the_root_and_all_know_it_a_height_later(
    shape: Any, count: int, root: str | None
) -> None:
    topology = linked(count, shape, link=HOP, protocol={"root": root}, horizon="41s")
    depth = depths(topology)
    trace = simulate(topology)
    durable: dict[int, list[int]] = {}
    latest: dict[int, int] = {}
    checked = 0
    for row in trace:
        epoch = row.epoch or 0
        if row.event == "persisted":
            durable.setdefault(epoch, []).append(row.time_ps + depth[row.subject] * HOP_PS)
            latest[epoch] = row.time_ps
        elif row.event == "epoch_committed":
            assert row.time_ps == max(durable[epoch])
            assert held_at(trace, Held("tree_convergence", epoch), row.time_ps)
        elif row.event == "epoch_known":
            assert row.time_ps == max(durable[epoch]) + depth[row.subject] * HOP_PS
            assert row.time_ps <= latest[epoch] + 2 * max(depth.values()) * HOP_PS
            checked += 1
    assert checked == 40 * count


def recoveries(trace: Trace) -> Iterator[list[Record]]:
    """The rows of each recovery, from the first generation that is entered to the last domain that resumes."""
    rows: list[Record] = []
    for row in trace:
        if row.event == "generation_begun" or (row.event in ("sent", "delivered") and not row.epoch):
            rows.append(row)
        elif row.event == "checkpoint_begun" and rows:
            yield rows
            rows = []


@pytest.mark.parametrize(("shape", "count"), SHAPED)
def test_a_recovery_costs_four_messages_an_edge_at_most_and_four_heights(shape: Any, count: int) -> None:
    faults = [crash(domain, (3 + 4 * domain) * PS + 123_456_789, f"c{domain}") for domain in range(count)]
    topology = linked(count, shape, link=HOP, faults=faults, horizon="40s")
    depth = depths(topology)
    height = max(depth.values())
    trace = simulate(topology)
    found = list(recoveries(trace))
    assert len(found) == count
    for rows in found:
        words = Counter(row.detail for row in rows if row.event == "sent")
        assert words["holds"] == words["resume"] == count - 1
        assert words["join"] <= 2 * (count - 1)
        assert Counter(row.event for row in rows)["generation_begun"] == count
        assert rows[-1].time_ps - rows[0].time_ps <= 4 * height * (HOP_PS + BEHIND_PS) + 2 * height * NV_PS
    assert [row.detail for row in trace if row.event == "recovered"] == ["whole"] * count
    sound(trace)


def instants(trace: Trace, since: int, until: int) -> list[int]:
    """Just after each event, and just before the next."""
    times = sorted({row.time_ps for row in trace if since <= row.time_ps < until})
    return sorted({*times, *(time + 1 for time in times)})


SMALL: list[tuple[Any, int, dict[int, Any]]] = [
    ("line", 2, {0: {"constant": "300ms"}, 1: {"constant": "10ms"}}),
    ("line", 3, {0: {"constant": "100ms"}, 1: {"constant": "50ms"}, 2: {"constant": "20ms"}}),
    (Y4, 4, {0: {"constant": "10ms"}, 1: {"constant": "80ms"}, 2: {"constant": "60ms"}, 3: {"constant": "40ms"}}),
]


def small(shape: Any, count: int, slow: dict[int, Any], faults: list[Any], **protocol: Any) -> Topology:
    return linked(
        count, shape, slow=slow, link={"delay": "7ms"}, faults=faults, horizon="9s", protocol=protocol,
        workload={"interval": "500ms", "first": "5ms", "in_flight": {"max": 2}},
    )  # fmt: skip


@pytest.mark.parametrize(("shape", "count", "slow"), SMALL)
@pytest.mark.parametrize("keep", [2, 3])
def test_a_crash_of_any_domain_after_any_event_of_two_checkpoints_is_survived(
    shape: Any, count: int, slow: dict[int, Any], keep: int
) -> None:
    quiet = simulate(small(shape, count, slow, [], keep=keep))
    times = instants(quiet, PS, 2 * PS)
    assert len(times) >= 20
    for domain in range(count):
        for at in times:
            trace = simulate(small(shape, count, slow, [crash(domain, at)], keep=keep))
            sound(trace)
            assert any(row.event == "recovered" for row in trace)
            assert max(row.epoch or 0 for row in trace if row.event == "epoch_committed") > 8


@pytest.mark.parametrize(("shape", "count", "slow"), SMALL[:2])
def test_a_second_crash_after_any_event_of_a_recovery_is_survived(
    shape: Any, count: int, slow: dict[int, Any]
) -> None:
    for first in (count - 1, 0):
        at = PS + 30_000_000_000 + 1
        once = simulate(small(shape, count, slow, [crash(first, at)]))
        times = instants(once, at, at + 400_000_000_000)
        for second in range(count):
            for again in times:
                faults = [crash(first, at, "one"), crash(second, again, "two")]
                trace = simulate(small(shape, count, slow, faults))
                sound(trace)
                assert max(row.epoch or 0 for row in trace if row.event == "epoch_committed") > 8


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize("keep", [2, 4])
def test_lossy_repeating_wires_and_storms_of_crashes_harm_nothing(seed: int, keep: int) -> None:
    faults = [builders.fault("power_loss", [(f"d{i}",) for i in range(5)], mtbf="6s", restore_after="30ms")]
    bad = {"delay": "2ms", "loss": 0.2, "duplicate": 0.2, "replay": 0.2, "ber": 1e-5}
    topology = linked(
        5, "line", link=bad, faults=faults, seed=seed, horizon="60s", protocol={"resend": "10ms", "keep": keep},
        workload={"in_flight": {"max": 3}},
    )  # fmt: skip
    trace = simulate(topology)
    sound(trace)
    assert sum(row.event == "recovered" for row in trace) > 10
    assert sum(row.event == "epoch_committed" for row in trace) > 10


def test_a_cut_edge_stops_commits_until_it_carries_again_and_loses_nothing() -> None:
    cut = dataclasses.replace(
        builders.fault("link_down", ["d1--d2"], name="cut", at="5500ms", restore_after="6s"),
    )
    trace = simulate(linked(4, "line", faults=[cut], horizon="20s"))
    sound(trace)
    committed = [row.time_ps for row in trace if row.event == "epoch_committed"]
    assert not any(5.5 * PS < at < 11.5 * PS for at in committed)
    assert sum(at > 11.5 * PS for at in committed) >= 8


def test_who_keeps_three_runs_ahead_and_then_no_instant_is_common_to_all() -> None:
    slow = {0: {"constant": "50ms"}, 1: {"constant": "1300ms"}}
    made = {keep: linked(2, "line", slow=slow, protocol={"keep": keep}, workload={"in_flight": {"max": 3}},
                         horizon="30s") for keep in (2, 3)}  # fmt: skip
    for keep, topology in made.items():
        trace = simulate(topology)
        sound(trace)
        newest = {"d0": 0, "d1": 0}
        common = 0
        for row in trace:
            if row.event == "persisted":
                newest[row.subject] = row.epoch or 0
                common += newest["d0"] == newest["d1"]
        assert (common > 10) is (keep == 2)
        assert common == 0 or keep == 2


MACHINES = """\
version: 1
name: machines
horizon: 4min
nodes:
  node:
    count: 3
    devices:
      host: {kind: host, dram: 2TB, reboot_time: 5s}
      gpu: {kind: gpu, profile: h100_sxm, count: 2}
      nvme: {kind: nvme, profile: consumer_no_plp}
      nic: {kind: nic, nv: {write: 5us, word: 8B}}
links:
  - {from: "node*/nic", spread: line, kind: bilateral, rate: 10Gb/s, delay: 1us, beacon: 1h, retransmit: 1ms}
workload:
  kind: checkpoint
  interval: 10s
  mode: async
  shards:
    - {from: "node*/gpu*", size: 2GB, to: nvme, sync: flush}
protocol: {kind: tree_convergence, root: node2}
faults:
  - {name: power, kind: power_loss, target: "node*", mtbf: 60s, restore_after: 3s}
  - {name: process, kind: process_crash, target: "node*", mtbf: 60s}
"""


def test_nodes_with_real_drives_recover_in_common(tmp_path: Path) -> None:
    path = tmp_path / "machines.yaml"
    path.write_text(MACHINES)
    trace = simulate(load(path))
    sound(trace)
    assert sum(row.event == "recovered" for row in trace) >= 3
    assert sum(row.event == "epoch_committed" for row in trace) >= 5
    assert {row.subject for row in trace if row.event == "sent"} == {f"node{n}/host" for n in range(3)}
    assert {row.slot for row in trace if row.event == "persisted"} == {"0", "1"}


@pytest.mark.parametrize("kind", ["tree_convergence", "bilateral_pairwise"])
def test_the_sweep_equals_judging_every_instant(kind: str) -> None:
    faults = [builders.fault("power_loss", [(f"d{i}",)], name=f"f{i}", every=every, restore_after="20ms")
              for i, every in enumerate(("2.137s", "3.071s"))]  # fmt: skip
    trace = simulate(linked(3, "line", kind, link={"delay": "7ms"}, faults=faults, horizon="7s"))
    header = trace.header
    strike = header.crashes[0].strikes[0]
    tally = sweep_strike(Timeline(trace), strike, AllInstants(header.warm_up_ps, header.horizon_ps))
    judged = crash_oracle.shares(trace, strike, header.warm_up_ps, header.horizon_ps)
    for name in ("raw", "worst", "best"):
        found = {str(key): weight for key, weight in getattr(tally, name).items()}
        assert found == {str(key): weight for key, weight in judged[name].items()}


def test_nodes_whose_drives_lie_are_judged_alike_instant_by_instant(tmp_path: Path) -> None:
    path = tmp_path / "machines.yaml"
    path.write_text(MACHINES.replace("horizon: 4min", "horizon: 35s").replace("sync: flush", "sync: none"))
    trace = simulate(load(path, ["faults=[]", "nodes.node.count=2", "protocol.root=node1"]))
    header = trace.header
    strike = header.crashes[0].strikes[0]
    tally = sweep_strike(Timeline(trace), strike, AllInstants(header.warm_up_ps, header.horizon_ps))
    judged = crash_oracle.shares(trace, strike, header.warm_up_ps, header.horizon_ps)
    assert {str(k): w for k, w in tally.worst.items()} == {str(k): w for k, w in judged["worst"].items()}
    assert unsafe(trace) > 0
    assert committed_is_held(trace).value is Value.VIOLATED, "nothing was flushed when it was acknowledged"


def test_checkers_reject_what_is_claimed_and_not_so() -> None:
    trace = simulate(linked(3, "line", faults=[crash(2, 5 * PS + 1)], horizon="10s"))
    assert committed_is_held(trace).value is generations_rise(trace).value is Value.HOLDS
    lacking = Trace(trace.header)
    lost = next(row for row in trace if row.event == "persisted" and row.epoch == 3)
    lacking.rows = [row for row in trace.rows if row != tuple(lost)]
    verdict = committed_is_held(lacking)
    assert verdict.value is Value.VIOLATED
    assert [record.epoch for record in verdict.records] == [3]
    again = Trace(trace.header)
    again.rows = [*trace.rows, next(row for row in trace.rows if row[1] == "generation_begun")]
    assert generations_rise(again).value is Value.VIOLATED


def test_in_place_the_same_crashes_find_mixes() -> None:
    trace = simulate(linked(4, "line", "in_place", protocol={"replace": "overwrite"}, horizon="60s"))
    assert outcomes(trace)[Outcome.SILENT_MIXED] > 0.05
    assert SHAPES["line"](3) == [(0, 1), (1, 2)]

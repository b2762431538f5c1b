"""Checkpoints in the memory of peers: who may fail together, what is in storage, and what each step is for."""

from __future__ import annotations

import itertools
import math
from collections import Counter
from pathlib import Path
from typing import Any

import builders
import pytest
from sweeping import handed_back, unsafe

from hwsim.crash_timeline import Timeline
from hwsim.outcomes import Handed
from hwsim.simulation import simulate
from hwsim.topology import load
from hwsim.topology.spec import Topology
from hwsim.trace import Strike, Trace

SHIPPED = Path(__file__).parent.parent / "topologies" / "memory-replicas.yaml"
PS = builders.PS


def made(nodes: int, placement: str = "group/2", *changes: Any) -> Topology:
    return load(SHIPPED, [("nodes.node.count", nodes), ("workload.shards.1.node", placement), ("expect", {}),
                          ("cases", {}), *changes])  # fmt: skip


def survived(trace: Trace, nodes: int, failing: int, at_ps: int) -> float:
    """The share of all sets of so many nodes whose power may go and leave the newest checkpoint: all are asked."""
    timeline = Timeline(trace)
    good = 0
    for lost in itertools.combinations(range(nodes), failing):
        takes = tuple(f"node{n}/{device}:power" for n in lost for device in ("host", "gpu", "nvme", "nic"))
        for _, replay in timeline.walk(Strike("lost", takes), at_ps, at_ps + 1):
            good += timeline.rule(replay.durable, trace.header.rule_params) == {Handed("whole", 1)}
    return good / math.comb(nodes, failing)


@pytest.mark.parametrize(
    ("placement", "two", "three"),
    # in groups a pair is fatal if it is one of N/2; in a ring if it is one of N
    [("group/2", 1 - 8 / 120, 1 - 8 * 14 / 560), ("next", 1 - 16 / 120, 1 - (16 * 14 - 16) / 560)],
)
def test_the_share_of_failures_survived_is_that_of_the_placement(placement: str, two: float, three: float) -> None:
    trace = simulate(made(16, placement, ("horizon", "15s")))
    assert [row.epoch for row in trace if row.event == "epoch_committed"] == [1]
    assert survived(trace, 16, 1, 12 * PS) == 1
    assert survived(trace, 16, 2, 12 * PS) == pytest.approx(two, abs=1e-12)
    assert survived(trace, 16, 3, 12 * PS) == pytest.approx(three, abs=1e-12)
    assert (round(two, 4), round(three, 4)) in ((0.9333, 0.8), (0.8667, 0.6286))


def test_what_groups_leave_over_is_a_ring_within_the_last() -> None:
    topology = made(7, "group/2")
    peers = {s.source: s.device for s in topology.shards if s.copy == 1}
    nodes = {int(a[4]): int(b[4]) for a, b in peers.items() if a is not None}
    assert nodes == {0: 1, 1: 0, 2: 3, 3: 2, 4: 5, 5: 6, 6: 4}
    third = [("workload.shards.2", {"from": "node*/gpu", "to": "host", "node": "group/3", "copy": 2, "into": "dram"})]
    topology = made(7, "group/3", *third)
    held = {n: {int(s.device[4]) for s in topology.shards if (s.source or "")[4] == str(n)} for n in range(7)}
    assert held[1] == {0, 1, 2}
    assert held[6] == {6, 3, 4}


def test_it_takes_a_message_a_rank_and_one_more_for_what_is_stored() -> None:
    trace = simulate(made(4, "group/2", ("horizon", "3min")))
    sent = Counter((row.epoch, row.detail) for row in trace if row.event == "sent")
    committed = [row.epoch for row in trace if row.event == "epoch_committed"]
    assert committed == list(range(1, len(committed) + 1))
    assert len(committed) > 15
    assert all(sent[epoch, "held"] == 4 for epoch in committed)
    assert {epoch for epoch, kind in sent if kind == "stored"} == {6, 12}
    assert all(sent[epoch, "stored"] == 4 for epoch in (6, 12))


def test_memory_holds_two_checkpoints_at_most_and_storage_what_it_should() -> None:
    trace = simulate(made(4, "group/2", ("horizon", "5min")))
    held: dict[str, set[str]] = {}
    most: dict[str, int] = {}
    for row in trace:
        if row.place is not None and str(row.place).endswith((":dram", ":media")):
            own = held.setdefault(str(row.part), set())
            own.discard(str(row.slot)) if row.may is None else own.add(str(row.slot))
            most[str(row.part)] = max(most.get(str(row.part), 0), len(own))
    assert set(most.values()) == {2}
    assert {slot for part, own in held.items() if part.endswith("copy2") for slot in own} == {"24"}


def test_one_node_that_fails_costs_nothing_that_was_acknowledged_and_gets_its_copies_back() -> None:
    faults = [{"name": "f", "every": "12.7s", "kind": "power_loss", "target": "node1", "restore_after": "500ms"}]
    trace = simulate(made(4, "group/2", ("faults", faults), ("horizon", "20min")))
    recoveries = [row for row in trace if row.event == "recovered"]
    assert len(recoveries) > 40
    assert {row.detail for row in recoveries} == {"whole"}
    newest = 0
    for row in trace:
        if row.event == "epoch_committed":
            newest = row.epoch or 0
        elif row.event == "recovered":
            assert (row.epoch or 0) >= newest
            newest = row.epoch or 0


def test_the_answer_changes_once_a_checkpoint() -> None:
    trace = simulate(made(4, "group/2", ("horizon", "3min")))
    changes = [next(iter(handed)).epoch for _, handed in handed_back(trace, 1) if len(handed) == 1]
    assert changes == list(range(changes[0] or 0, (changes[0] or 0) + len(changes)))
    assert unsafe(trace, 1) == 0

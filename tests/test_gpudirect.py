"""GPUDirect: straight out of a GPU's memory and straight into one, against the way through the hosts."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from hwsim.errors import UserError
from hwsim.metrics import evaluate
from hwsim.simulation import simulate
from hwsim.topology import load
from hwsim.topology.resolved import plain
from hwsim.trace import Trace

PEERS = Path(__file__).parent.parent / "topologies" / "peer-replica-rdma.yaml"
NODE = "nodes.node.devices"


def run(*shards: dict[str, Any], mode: str = "async", **changes: Any) -> Trace:
    first = {"from": "node*/gpu", "size": "10GB", "node": "next", **shards[0]}
    more = [{"from": "node*/gpu", **shard} for shard in shards[1:]]
    return simulate(load(PEERS, [
        ("workload.shards", [first, *more]), ("workload.mode", mode), ("protocol", {"kind": "in_place"}),
        ("horizon", "3min"), ("expect", {}), ("cases", {}), ("what_if", {}), *changes.items(),
    ]))  # fmt: skip


def stalls(trace: Trace) -> float:
    return float(evaluate([trace])["checkpoints"]["stall_s"]["mean"])


def carried(trace: Trace, pipe: str) -> float:
    return float(trace.figures["pipes"][pipe]["carried_bytes"])


@pytest.mark.parametrize("mode", ["sync", "async"])
def test_out_of_a_gpu_without_its_host_s_memory(mode: str) -> None:
    bounce, direct = ({"to": "host", "into": "dram", "sync": "ack", "path": path} for path in ("bounce", "gpudirect"))
    by_host, straight = run(bounce, mode=mode), run(direct, mode=mode)
    checkpoints = sum(row.event == "epoch_committed" for row in straight)
    assert carried(straight, "node0/gpu d2h") == pytest.approx(checkpoints * 10e9)
    assert carried(straight, "node0/host memory") == pytest.approx(checkpoints * 10e9)  # what it receives
    assert carried(by_host, "node0/host memory") == pytest.approx(checkpoints * 10e9 * (3 if mode == "async" else 2))
    assert stalls(straight) == (0 if mode == "async" else pytest.approx(stalls(by_host), rel=1e-6))


def test_a_rank_that_also_saves_to_its_drive_still_copies_to_its_host() -> None:
    trace = run({"to": "host", "into": "dram", "sync": "ack", "path": "gpudirect"},
                {"to": "nvme", "copy": 1})  # fmt: skip
    assert stalls(trace) == pytest.approx(10e9 / 50e9)


def test_into_a_peer_s_gpu_crosses_no_host_memory() -> None:
    trace = run({"to": "gpu", "into": "hbm", "sync": "ack"})
    checkpoints = sum(row.event == "epoch_committed" for row in trace)
    assert checkpoints
    assert carried(trace, "node0/gpu h2d") == pytest.approx(checkpoints * 10e9)
    assert carried(trace, "node0/host memory") == 0
    assert trace.header.parts[0].stack == ("node1/nic:buffer.gpu", "node1/gpu:hbm")


@pytest.mark.parametrize("kind, target, unsafe", [
    ("gpu_reset", "node1/gpu", True), ("process_crash", "node1", True), ("power_loss", "node1", True),
    ("gpu_reset", "node2/gpu", True), ("nic_reset", "node1/nic", False), ("controller_reset", "node1/nvme", False),
])
def test_a_replica_in_a_gpu_is_gone_with_it_whatever_was_confirmed(kind: str, target: str, unsafe: bool) -> None:
    """An answer of the process there says that it can see the bytes.  That is all it says."""
    trace = run({"to": "gpu", "into": "hbm", "sync": "ack"}, what_if={"it": {"kind": kind, "together": target}})
    share = evaluate([trace])["what_if"]["it"]["recovered"]["unsafe_share"]
    assert (share > 0.9) is unsafe


@pytest.mark.parametrize("shard, told", [
    ({"to": "gpu", "into": "hbm", "sync": "ack", "path": "bounce"}, "straight into the GPU"),
    ({"to": "gpu", "into": "hbm", "sync": "rdma_flush"}, "cannot wait for rdma_flush"),
    ({"to": "gpu", "into": "hbm", "node": "same"}, "is for RDMA"),
    ({"to": "host", "into": "dram", "sync": "none", "path": "gpudirect"}, "which completes"),
    ({"to": "nvme", "path": "gpudirect"}, "is for RDMA"),
    ({"to": "host", "from": "node*/host", "into": "dram", "path": "gpudirect"}, "neither"),
    ({"to": "gpu", "into": "hbm", "size": "90GB"}, "memory is 80GB"),
    ({"to": "gpu", "into": "hbm", "from": "node*/host", "size": "90GB"}, "which is 80GB"),
])
def test_what_cannot_be_is_refused(shard: dict[str, Any], told: str) -> None:
    line = {"from": "node*/gpu", "size": "10GB", "node": "next", **shard}
    with pytest.raises(UserError) as caught:
        load(PEERS, [("workload.shards", [line]), ("cases", {}), ("expect", {}), ("protocol", {"kind": "in_place"})])
    assert told in str(caught.value)


def test_a_resolved_topology_keeps_the_path() -> None:
    line = {"from": "node*/gpu", "size": "10GB", "node": "next", "to": "host", "into": "dram", "path": "gpudirect"}
    changes = [("workload.shards", [line]), ("cases", {}), ("expect", {}), ("protocol", {"kind": "in_place"})]
    written = plain(load(PEERS, changes))
    assert {shard["path"] for shard in written["workload"]["shards"]} == {"gpudirect"}

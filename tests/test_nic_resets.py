"""NIC resets by their levels: what each takes from the node, and for how long."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from builders import PS

from hwsim.errors import UserError
from hwsim.simulation import simulate
from hwsim.topology import load
from hwsim.topology.resolved import plain
from hwsim.trace import Trace

PEERS = Path(__file__).parent.parent / "topologies" / "peer-replica-rdma.yaml"
NODE1 = {f"node1/{device}" for device in ("host", "gpu", "nvme", "nic")}
NODE = "nodes.node.devices"
FIGURES = [
    (f"{NODE}.host.reboot_time", "40s"), (f"{NODE}.host.cold_boot_time", "90s"), (f"{NODE}.gpu.reset_time", "3s"),
    (f"{NODE}.nvme.reset_time", "2s"), (f"{NODE}.nic.reset_time", "5s"), (f"{NODE}.nic.port_training", "2s"),
    (f"{NODE}.nic.live_patch_time", "700ms"), ("workload.restart", {"detect": "1s", "load": False}),
    ("horizon", "5min"), ("expect", {}), ("cases", {}),
]  # fmt: skip


def struck(at: str = "100s", target: str = "node1/nic", **keys: Any) -> Trace:
    fault = {"name": "reset", "kind": "nic_reset", "at": at, "target": target, **keys}
    return simulate(load(PEERS, [*FIGURES, ("faults", [fault])]))


def outages(trace: Trace) -> dict[str, tuple[str | None, float]]:
    """Device -> how it stopped, and for how long (s)."""
    since: dict[str, tuple[str | None, int]] = {}
    found: dict[str, tuple[str | None, float]] = {}
    for row in trace:
        if row.event == "stopped":
            since[row.subject] = (row.detail, row.time_ps)
        elif row.event == "restored":
            found[row.subject] = (since[row.subject][0], (row.time_ps - since[row.subject][1]) / PS)
    return found


def lost(trace: Trace) -> set[str]:
    return {str(row.place) for row in trace if row.event == "lost"}


@pytest.mark.parametrize("keys, seconds", [
    ({}, 5), ({"level": 3}, 5), ({"chip": "full"}, 5), ({"chip": "phy_less"}, 3), ({"restore_after": "11s"}, 11),
])
def test_the_usual_reset_takes_the_nic_alone(keys: dict[str, Any], seconds: float) -> None:
    trace = struck(**keys)
    assert outages(trace) == {"node1/nic": ("nic_reset", seconds)}
    assert not lost(trace)
    assert [row.detail for row in trace if row.event == "job_stopped"] == ["nic_reset"]


def test_a_live_patch_pauses_data_and_takes_nothing() -> None:
    at = f"{90 * PS + 400 * PS // 1000}ps"  # while the replica crosses
    quiet, trace = struck(at="299s"), struck(at=at, level=0)
    assert not outages(trace)
    assert not [row for row in trace if row.event in ("job_stopped", "lost", "disconnected")]
    saved = [
        {(row.part, row.epoch): row.time_ps for row in one if row.event == "shard_saved"} for one in (quiet, trace)
    ]
    late = {key: saved[1][key] - saved[0][key] for key in saved[0] if key[1] == 3 and str(key[0]).endswith("copy1")}
    assert {key for key, delay in late.items() if delay} == {("shard0.copy1", 3), ("shard1.copy1", 3)}  # in and out
    assert all(abs(delay - 0.7 * PS) < 1000 for delay in late.values() if delay)


def test_two_live_patches_at_once_end_with_the_later_one() -> None:
    faults = [{"name": f"f{n}", "kind": "nic_reset", "level": 0, "at": f"{at}ms", "target": "node1/nic"}
              for n, at in enumerate((90_300, 90_600))]  # fmt: skip
    trace = simulate(load(PEERS, [*FIGURES, ("faults", faults)]))
    quiet = struck(at="299s")
    at = [next(row.time_ps for row in one if (row.event, row.part, row.epoch) == ("shard_saved", "shard0.copy1", 3))
          for one in (quiet, trace)]  # fmt: skip
    assert abs(at[1] - at[0] - PS) < 1000


def test_level_4_reboots_the_host_warm() -> None:
    trace = struck(level=4)
    found = outages(trace)
    assert {name: kind for name, (kind, _) in found.items()} == {
        "node1/host": "kernel_crash", "node1/gpu": "gpu_reset", "node1/nvme": "controller_reset",
        "node1/nic": "nic_reset",
    }  # fmt: skip
    assert found["node1/host"][1] == 40
    assert lost(trace) == {"node1/host:dram"}


def test_level_5_takes_the_power_of_the_node() -> None:
    trace = struck(level=5)
    assert outages(trace) == dict.fromkeys(sorted(NODE1), ("power_loss", 90))
    assert lost(trace) == {"node1/host:dram"}
    written = outages(struck(level=5, restore_after="7s"))
    assert written == dict.fromkeys(sorted(NODE1), ("power_loss", 7))


@pytest.mark.parametrize("keys, drop, told", [
    ({"level": 2}, (), "write 0 or 3 or 4 or 5"),
    ({"level": 0, "chip": "phy_less"}, (), "has no phy_less type"),
    ({"kind": "power_loss", "level": 3}, (), "power_loss has no level"),
    ({"kind": "power_loss", "chip": "full"}, (), "power_loss has no chip"),
    ({"level": 0}, ("live_patch_time",), "does not say how long a reset of level 0"),
    ({"level": 5}, ("cold_boot_time",), "does not say how long a reset of level 5"),
])
def test_what_cannot_be_is_refused(keys: dict[str, Any], drop: tuple[str, ...], told: str) -> None:
    fault = {"name": "reset", "kind": "nic_reset", "at": "100s", "target": "node1/nic", **keys}
    figures = [change for change in FIGURES if not change[0].endswith(drop)] if drop else FIGURES
    with pytest.raises(UserError) as caught:
        load(PEERS, [*figures, ("faults", [fault])])
    assert told in str(caught.value)


def test_a_resolved_topology_keeps_level_and_type() -> None:
    faults = [{"name": "a", "kind": "nic_reset", "level": 4, "at": "1s", "target": "node1/nic"},
              {"name": "b", "kind": "nic_reset", "chip": "phy_less", "at": "1s", "target": "node1/nic"}]  # fmt: skip
    written = plain(load(PEERS, [*FIGURES, ("faults", faults)]))["faults"]
    assert (written[0]["level"], written[1]["chip"]) == (4, "phy_less")

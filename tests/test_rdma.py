"""RDMA writes into another host's memory: what is known when, and what each crash leaves."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import yaml

from hwsim.simulation import simulate
from hwsim.topology import load

BASE = Path(__file__).parent.parent / "topologies" / "rdma-completed-not-persisted.yaml"


def made(tmp_path: Path, sync: str, **host: Any) -> Any:
    data = yaml.safe_load(BASE.read_text())
    data["workload"]["shards"][0]["sync"] = sync
    data["nodes"]["node"]["devices"]["host"].update(host)
    del data["cases"], data["expect"]
    path = tmp_path / "t.yaml"
    path.write_text(yaml.safe_dump(data))
    return load(path)


def unsafe(topology: Any) -> float:
    from hwsim.metrics import evaluate

    found = evaluate([simulate(topology)])
    return float(found["what_if"]["peer"]["recovered"]["unsafe_share"])


def enough(domain: str, ddio: bool, sync: str) -> bool:
    """The published recipe (arXiv 1909.02092), as a table that only this test holds."""
    if sync in ("ack", "rdma_flush") or domain == "wsp":
        return True
    return sync == "read_after_write" and (domain == "mhp" or not ddio)


@pytest.mark.parametrize("sync", ["completion", "read_after_write", "rdma_flush", "ack"])
@pytest.mark.parametrize("ddio", [True, False])
@pytest.mark.parametrize("domain", ["dmp", "mhp", "wsp"])
def test_what_suffices_follows_from_the_places(tmp_path: Path, domain: str, ddio: bool, sync: str) -> None:
    share = unsafe(made(tmp_path, sync, persistence_domain=domain, ddio=ddio))
    assert (share == 0) is enough(domain, ddio, sync)


def test_acked_writes_lost_are_the_mean_time_from_acknowledged_to_durable(tmp_path: Path) -> None:
    topology = made(tmp_path, "completion")
    mean = 0.05 + 1.0  # placement of 1 us to 100 ms, then eviction of 0 to 2 s, each uniform
    deviation = math.sqrt((0.1**2 + 2.0**2) / 12)
    intervals = 3600 / 20 - 1
    assert abs(unsafe(topology) - mean / 20) < 4 * deviation / 20 / math.sqrt(intervals)

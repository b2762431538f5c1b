"""What clients believe of a replaced record, and the share of time for which ranks would therefore disagree."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import simpy
import yaml
from builders import device
from hypothesis import given
from hypothesis import strategies as st

from hwsim.contents import whole
from hwsim.domain import PersistenceDomain, World
from hwsim.flow import FlowNetwork
from hwsim.metrics import evaluate
from hwsim.simulation import simulate
from hwsim.stale_views import StaleViews
from hwsim.topology import load
from hwsim.trace import Trace

BASE = Path(__file__).parent.parent / "topologies" / "shared-fs-lag.yaml"
PS = 10**12


class Scripted:
    """A lag that gives these values in turn."""

    def __init__(self, values: list[int]) -> None:
        self._values = iter(values)

    def draw(self, _: object) -> int:
        return next(self._values)


@given(st.lists(st.tuples(st.integers(1, 20), st.integers(0, 60)), min_size=1, max_size=12))
def test_a_client_believes_the_newest_that_has_reached_it(published: list[tuple[int, int]]) -> None:
    env = simpy.Environment()
    world = World(env, [], 1, FlowNetwork(env))
    figures = {"write": "1GB/s", "read": "1GB/s", "latency": "1ms", "commit": "1ms"}
    fs = PersistenceDomain.registry["parallel_fs"](world, "fs", device("fs", "parallel_fs", **figures).params)
    lag: Any = Scripted([lag for _, lag in published])
    views = StaleViews(fs, lag, "manifest", "0", ["a/host"])
    view = views.parts["a/host"]
    reached: list[tuple[int, int]] = []
    for epoch, (wait, lag_ps) in enumerate(published, 1):
        for _ in range(wait):
            env.run(until=int(env.now) + 1)
            if reached:
                believed = max((e for at, e in reached if at < env.now), default=0)
                held = world.holdings.at(view.stack[0], view.name, "0")
                assert held == (None if believed == epoch - 1 else whole(believed))
        views.replacing()
        views.settled(epoch)
        reached.append((int(env.now) + lag_ps, epoch))


def made(tmp_path: Path, lag: Any, nodes: int = 4, **protocol: Any) -> Any:
    data = yaml.safe_load(BASE.read_text())
    for key in ("cases", "expect", "faults"):
        del data[key]
    data["devices"]["fs"]["visibility"] = lag
    data["nodes"]["node"]["count"] = nodes
    data["protocol"].update(protocol)
    data["what_if"] = {
        "process": {"kind": "process_crash", "together": "node0"},
        "reboot": {"kind": "kernel_crash", "together": "node1"},
        "all-reboot": {"kind": "kernel_crash", "together": "node*"},
    }
    path = tmp_path / "t.yaml"
    path.write_text(yaml.safe_dump(data))
    return load(path)


def disagreeing_ps(trace: Trace, hosts: set[str]) -> int:
    """By plain scan of the rows: how long some of *hosts* believed what the record was not, or may not have been."""
    header = trace.header
    record: dict[str, str] = {}
    views: dict[str, str] = {}
    since, apart, total = header.warm_up_ps, False, 0
    stack = next(part.stack for part in trace.header.parts if part.name == "manifest")
    for row in trace:
        if row.part is None or row.place is None or not row.part.startswith("manifest") or row.slot != "0":
            continue
        if apart:
            total += max(min(row.time_ps, header.horizon_ps) - max(since, header.warm_up_ps), 0)
        since = row.time_ps
        held = record if row.part == "manifest" else views
        key = row.place if row.part == "manifest" else row.part.partition("@")[2]
        if row.may is None:
            held.pop(key, None)
        else:
            held[key] = row.may
        named = next((record[place] for place in stack if place in record), "-")
        for_all = {view.replace("0", "-") if view == "0" else view for host, view in views.items() if host in hosts}
        apart = any(one not in ("-", view) for view in for_all for one in named.split(","))
    return total + (max(header.horizon_ps - max(since, header.warm_up_ps), 0) if apart else 0)


@pytest.mark.parametrize("lag", ["20s", {"uniform": ["3s", "60s"]}, {"exponential": "2min"}])
def test_the_share_of_hangs_is_the_time_for_which_clients_disagree(tmp_path: Path, lag: Any) -> None:
    topology = made(tmp_path, lag)
    trace = simulate(topology)
    found = evaluate([trace])["what_if"]
    window = trace.header.horizon_ps - trace.header.warm_up_ps
    others = {f"node{index}/host" for index in (1, 2, 3)}
    for what_if, hosts in (("process", others), ("reboot", others - {"node1/host"}), ("all-reboot", set())):
        outcomes = found[what_if]["recovered"]["outcomes"]
        # a client so far behind that its checkpoint is pruned stops the job instead
        share = outcomes.get("hang", 0) + outcomes.get("lost_committed", 0)
        assert share == pytest.approx(disagreeing_ps(trace, hosts) / window, abs=1e-12)
        assert (share > 0) is bool(hosts)


def test_a_constant_lag_hangs_for_that_long_after_each_checkpoint(tmp_path: Path) -> None:
    trace = simulate(made(tmp_path, "20s"))
    share = evaluate([trace])["what_if"]["process"]["recovered"]["outcomes"]["hang"]
    assert share == pytest.approx(20 / 300, rel=0.01)  # the instant of the rename itself comes on top


@pytest.mark.parametrize("change", [{"recover_by": "coordinator"}, {"manifest": {"read": "fresh"}}])
def test_one_answer_for_all_is_the_fix(tmp_path: Path, change: dict[str, Any]) -> None:
    found = evaluate([simulate(made(tmp_path, "20s", **change))])["what_if"]
    for what_if in found.values():
        assert "hang" not in what_if["recovered"]["outcomes"]


@pytest.mark.parametrize("read, hangs", [("cached", True), ("fresh", False)])
def test_ranks_that_list_a_bucket_may_disagree_and_ranks_that_get_do_not(
    tmp_path: Path, read: str, hangs: bool
) -> None:
    data = yaml.safe_load((BASE.parent / "object-store-multipart.yaml").read_text())
    for key in ("cases", "expect", "faults"):
        del data[key]
    data["devices"]["s3"]["listing_lag"] = "30s"
    data["protocol"].update(keep=2, recover_by="each_rank", manifest={"read": read})
    data["what_if"] = {"process": {"kind": "process_crash", "together": "node0"}}
    path = tmp_path / "t.yaml"
    path.write_text(yaml.safe_dump(data))
    outcomes = evaluate([simulate(load(path))])["what_if"]["process"]["recovered"]["outcomes"]
    assert outcomes.get("hang", 0) == (pytest.approx(30 / 300, rel=0.02) if hangs else 0)


def test_a_hang_is_ended_by_a_watchdog_and_then_all_agree() -> None:
    trace = simulate(load(BASE))
    told = [(row.time_ps, row.event, row.epoch, row.detail) for row in trace if row.event.startswith(("job", "recov"))]
    (stopped, *_), (hung, event, epoch, detail), (recovered, *_, what), (resumed, *_) = told
    assert (event, epoch, detail) == ("recovered", None, "hang")
    assert hung == stopped + PS
    assert recovered == hung + 600 * PS
    assert what == "whole"
    assert resumed > recovered



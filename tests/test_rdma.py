"""RDMA writes into another host's memory, in whole runs: what is known when, and what each crash leaves."""

from __future__ import annotations

import itertools
import math
from pathlib import Path
from typing import Any

import crash_oracle
import pytest
from builders import PS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_simulation import foreseen

from hwsim.contents import decode
from hwsim.crash_sweep import instants_of, sweep, sweep_strike
from hwsim.crash_timeline import Timeline
from hwsim.metrics import evaluate
from hwsim.outcomes import Handed
from hwsim.simulation import simulate
from hwsim.topology import load
from hwsim.topology.spec import Topology
from hwsim.trace import CrashCase, Trace

FILES = Path(__file__).parent.parent / "topologies"
BASE, PEERS = FILES / "rdma-completed-not-persisted.yaml", FILES / "peer-replica-rdma.yaml"
HOST, NIC = "nodes.node.devices.host", "nodes.node.devices.nic"
SHARD = "workload.shards.0"


def made(sync: str, placement: Any = None, **host: Any) -> Topology:
    changes: list[Any] = [(f"{SHARD}.sync", sync)]
    changes += [(f"{HOST}.{key}", value) for key, value in host.items()]
    if placement is not None:
        changes.append((f"{NIC}.placement", placement))
    return load(BASE, changes)


def unsafe(trace: Trace, case: str = "peer") -> float:
    found = evaluate([trace])
    return float(found["what_if"][case]["recovered"]["unsafe_share"])


def enough(domain: str, ddio: bool, sync: str) -> bool:
    """The published recipe (arXiv 1909.02092), as a table that only this test holds."""
    if sync in ("ack", "rdma_flush") or domain == "wsp":
        return True
    return sync == "read_after_write" and (domain == "mhp" or not ddio)


@pytest.mark.parametrize("sync", ["completion", "read_after_write", "rdma_flush", "ack"])
@pytest.mark.parametrize("ddio", [True, False])
@pytest.mark.parametrize("domain", ["dmp", "mhp", "wsp"])
def test_what_suffices_follows_from_the_places(domain: str, ddio: bool, sync: str) -> None:
    """Where it suffices nothing at all is ever lost: the sweep asks every instant, so the share is exactly 0."""
    share = unsafe(simulate(made(sync, persistence_domain=domain, ddio=ddio)))
    assert (share == 0) is enough(domain, ddio, sync)


# acknowledged and not yet durable: how long, and what it costs


def window(trace: Trace, case: CrashCase) -> float:
    """Share of time in which the newest acknowledged checkpoint is not for sure where the crash does not reach,

    from the trace's own times: of its acknowledgement, and of the first sure copy in a place that survives.
    """
    takes = frozenset(case.strikes[0].takes)
    survives = {place for place, needs in trace.header.places.items() if not takes & set(needs)}
    acknowledged: list[tuple[int, int]] = []
    durable: dict[int, int] = {}
    for row in trace:
        if row.event == "epoch_committed":
            acknowledged.append((row.time_ps, int(row.epoch or 0)))
        elif row.place in survives and row.may is not None and decode(row.may) == {row.epoch}:
            durable.setdefault(int(row.epoch or 0), row.time_ps)
    start, end = trace.header.warm_up_ps, trace.header.horizon_ps
    ends = [time for time, _ in acknowledged[1:]] + [end]
    lost = 0
    for (since, epoch), until in zip(acknowledged, ends, strict=True):
        lost += max(0, min(durable.get(epoch, end), until, end) - max(since, start))
    return lost / (end - start)


# distribution -> its mean and its standard deviation (s), by hand
UNIFORM: tuple[Any, float, float] = ({"uniform": ["0s", "2s"]}, 1.0, 2 / math.sqrt(12))
EXPONENTIAL: tuple[Any, float, float] = ({"exponential": "800ms"}, 0.8, 0.8)
LOGNORMAL: tuple[Any, float, float] = (
    {"lognormal": {"median": "500ms", "sigma": 0.5}}, 0.5 * math.exp(0.125),
    0.5 * math.exp(0.125) * math.sqrt(math.exp(0.25) - 1),
)  # fmt: skip
PARETO: tuple[Any, float, float] = ({"pareto": {"minimum": "200ms", "shape": 5}}, 0.25, 0.2 * math.sqrt(5 / 3) / 4)
DELAYS = [UNIFORM, EXPONENTIAL, LOGNORMAL, PARETO]
# (sync, persistence domain, DDIO) -> which delays lie between acknowledged and durable
AWAITED = [
    ("completion", "dmp", True, ("placement", "eviction")),
    ("completion", "dmp", False, ("placement",)),
    ("completion", "mhp", True, ("placement",)),
    ("completion", "mhp", False, ("placement",)),
    ("completion", "wsp", True, ()),
    ("read_after_write", "dmp", True, ("eviction",)),
    ("read_after_write", "dmp", False, ()),
    ("rdma_flush", "dmp", True, ()),
    ("rdma_flush", "mhp", True, ()),
    ("ack", "dmp", True, ()),
    ("ack", "dmp", False, ()),
]


@pytest.mark.parametrize("sync, domain, ddio, between", AWAITED)
@pytest.mark.parametrize("delays", DELAYS, ids=lambda delays: next(iter(delays[0])))
def test_acked_writes_lost_are_the_time_from_acknowledged_to_durable(
    delays: tuple[Any, float, float], sync: str, domain: str, ddio: bool, between: tuple[str, ...]
) -> None:
    written, mean, deviation = delays
    topology = made(sync, written, persistence_domain=domain, ddio=ddio, eviction=written)
    trace = simulate(topology)
    share = unsafe(trace)
    by_hand = window(trace, next(case for case in trace.header.crashes if case.name == "peer"))
    assert share == pytest.approx(by_hand, rel=0, abs=1e-9)
    if not between:
        assert share == 0.0
        return
    intervals = (topology.horizon_ps - topology.warm_up_ps) / topology.workload.interval
    expected = len(between) * mean / 20
    error = math.sqrt(len(between)) * deviation / 20 / math.sqrt(intervals)
    assert abs(share - expected) < 4 * error


# random worlds with RDMA: the sweep against a naive replay, and crashes that really strike


STRIKES = [
    ("power_loss", "node1"), ("power_loss", "node1/nic"), ("power_loss", "node1/host"), ("power_loss", "node0"),
    ("kernel_crash", "node1/host"), ("kernel_crash", "node0/host"), ("process_crash", "node0/host"),
    ("process_crash", "node1/host"), ("nic_reset", "node1/nic"), ("nic_reset", "node0/nic"),
    ("gpu_reset", "node1/gpu"), ("gpu_reset", "node0/gpu"),
]  # fmt: skip

CUTS = [("link_down", "node0/nic--sw"), ("link_down", "node1/nic--sw"), ("nic_reset", "node1/nic")]


@st.composite
def worlds(draw: st.DrawFn) -> list[Any]:
    """Two nodes, every shard in the other's memory, and perhaps on a drive at home."""
    into = draw(st.sampled_from(["dram", "pmem", "pmem", "hbm"]))
    syncs = ["completion", "read_after_write", "ack"] + (["rdma_flush"] if into != "hbm" else [])
    remote: dict[str, Any] = {
        "from": "node*/gpu", "size": "1GB", "to": "gpu" if into == "hbm" else "host", "node": "next", "into": into,
        "sync": draw(st.sampled_from(syncs)),
    }  # fmt: skip
    if draw(st.booleans()):
        remote["path"] = "gpudirect"
    shards = [remote]
    if draw(st.booleans()):
        remote |= {"copy": 1}
        del remote["size"]
        shards = [{"from": "node*/gpu", "size": "1GB", "to": "nvme", "sync": "flush"}, remote]
    cxl = {"cxl": {"drain": "200ms", "gpf": draw(st.sampled_from(["ok", "failed"]))}} if draw(st.booleans()) else {}
    protocol = draw(st.sampled_from([
        {"kind": "in_place"}, {"kind": "in_place", "replace": "rename"}, {"kind": "manifest", "keep": 1},
        {"kind": "manifest", "keep": 1, "slots": "in_place"},
    ]))  # fmt: skip
    return [
        ("nodes.node.count", 2), ("horizon", "14s"), ("seed", draw(st.integers(0, 99))), ("workload.interval", "2s"),
        ("workload.mode", draw(st.sampled_from(["sync", "async"]))), ("workload.shards", shards),
        ("workload.restart", {"detect": draw(st.sampled_from(["0s", "300ms"])), "load": False, "init": "100ms"}),
        ("protocol", protocol | ({"manifest": {"to": "nvme"}} if protocol["kind"] == "manifest" else {})),
        ("protocol.on_error", draw(st.sampled_from(["rewrite", "abandon", "publish_anyway"]))),
        (f"{HOST}.pmem", {"size": "1TB", "bandwidth": "4GB/s", **cxl}), (f"{HOST}.reboot_time", "1s"),
        (f"{HOST}.persistence_domain", draw(st.sampled_from(["dmp", "mhp", "wsp"]))),
        (f"{HOST}.ddio", draw(st.booleans())), (f"{HOST}.eviction", draw(st.sampled_from(["400ms", "1ms"]))),
        (f"{NIC}.placement", draw(st.sampled_from(["1us", "150ms"]))), (f"{NIC}.reset_time", "500ms"),
        ("nodes.node.devices.gpu.reset_time", "800ms"), ("nodes.node.devices.nvme.reset_time", "200ms"),
        (f"{NIC}.connect", "50ms"), (f"{NIC}.retry_limit", draw(st.sampled_from(["1h", "200ms"]))),
        (f"{NIC}.registration", draw(st.sampled_from(["0s", "100ms"]))),
    ]  # fmt: skip


def asked(kind: str, target: str) -> Any:
    return ("what_if", {"strike": {"kind": kind, "together": target}})


def struck_by(kind: str, target: str, instant: int) -> Any:
    fault = {"name": "strike", "at": f"{instant}ps", "kind": kind, "target": target, "restore_after": "700ms"}
    return ("faults", [fault])


@settings(max_examples=40, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(world=worlds(), strike=st.sampled_from(STRIKES), instant=st.integers(1 * PS, 11 * PS))
def test_a_crash_that_strikes_is_one_that_the_sweep_foresaw(
    world: list[Any], strike: tuple[str, str], instant: int
) -> None:
    instant |= 1
    world = [change if change[0] != "workload.restart" else (change[0], {"detect": "0s", "load": False})
             for change in world]
    quiet = simulate(load(PEERS, [*world, asked(*strike), ("expect", {}), ("cases", {})]))
    struck = simulate(load(PEERS, [*world, asked(*strike), struck_by(*strike, instant), ("expect", {}), ("cases", {})]))
    before = [row for row in quiet.rows if row[0] < instant]
    assert struck.rows[: len(before)] == before, "a crash cannot change what came before it"
    recovered = next(row for row in struck if row.event == "recovered")
    assert Handed(str(recovered.detail), recovered.epoch) in foreseen(quiet, instant, 1)


@settings(max_examples=20, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    world=worlds(),
    strike=st.sampled_from(STRIKES),
    schedule=st.lists(st.tuples(st.sampled_from([*STRIKES, *CUTS]), st.integers(1 * PS, 13 * PS)), max_size=4),
)
def test_the_sweep_of_any_fault_schedule_equals_a_naive_replay(
    world: list[Any], strike: tuple[str, str], schedule: list[tuple[tuple[str, str], int]]
) -> None:
    faults = [struck_by(*one, at)[1][0] | {"name": f"f{i}"} for i, (one, at) in enumerate(schedule)]
    trace = simulate(load(PEERS, [*world, asked(*strike), ("faults", faults), ("expect", {}), ("cases", {})]))
    timeline = Timeline(trace)
    for case in trace.header.crashes:
        tally = sweep_strike(timeline, case.strikes[0], instants_of(case, trace.header))
        start, end = trace.header.warm_up_ps, trace.header.horizon_ps
        naive = crash_oracle.shares(trace, case.strikes[0], start, end)
        assert {str(key): weight for key, weight in tally.raw.items()} == naive["raw"]
        assert {str(key): weight for key, weight in tally.worst.items()} == naive["worst"]
        assert {str(key): weight for key, weight in tally.best.items()} == naive["best"]
        assert (tally.unprotected, tally.undecided) == (naive["unprotected"], naive["undecided"])
        assert tally.lost_ps == pytest.approx(float(naive["lost"]), rel=1e-12)
        assert sweep([timeline], case).total.unsafe_share == pytest.approx(tally.unsafe_share)
    for earlier, later in itertools.pairwise(trace.rows):
        assert earlier[0] <= later[0]


def test_a_cut_beyond_the_retries_costs_a_new_queue_pair_and_the_write_again() -> None:
    """Within them it costs the time that it lasts; either way every checkpoint counts in the end."""
    late = {}
    for limit in ("1h", "3s"):
        cut = {"name": "cut", "kind": "link_down", "at": "400.5s", "target": "node1/nic--sw", "restore_after": "8s"}
        figures = [(f"{NIC}.retry_limit", limit), (f"{NIC}.connect", "1s"), (f"{SHARD}.sync", "rdma_flush"),
                   ("protocol.on_error", "rewrite")]  # fmt: skip
        trace = simulate(load(BASE, [*figures, ("faults", [cut]), ("horizon", "10min")]))
        broken = [row for row in trace if row.event == "disconnected"]
        assert bool(broken) is (limit == "3s")
        committed = {row.epoch: row.time_ps for row in trace if row.event == "epoch_committed"}
        assert sorted(committed) == list(range(1, 30))
        assert unsafe(trace) == 0
        late[limit] = committed[20]
    assert late["3s"] > late["1h"] > 408.5 * PS

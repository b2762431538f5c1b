"""Topologies for Hypothesis: valid ones as plain data, and what breaks them."""

from __future__ import annotations

import copy
from typing import Any

from hypothesis import strategies as st

DRIVES = ("enterprise_plp_gen4", "enterprise_plp_gen5", "consumer_no_plp")

TIMINGS: tuple[dict[str, Any], ...] = (
    {"at": "1s"},
    {"every": "2s"},
    {"mtbf": "3h"},
    {"total": "35 per 54d"},
    {"mtbf": {"mean": "3h", "shape": 0.7}},
)
STRIKES = (
    ("power_loss", "node0"),
    ("gpu_reset", "node*/gpu*"),
    ("kernel_crash", "node*"),
    ("controller_reset", "node*/nvme*"),
    ("io_error", "node*/nvme*"),
    ("no_space", "node0/nvme*"),
    ("slow", "node*/nvme*"),
    ("throttled", "node0/nvme*"),
    ("upload_failed", "node*"),
)
KEYS: dict[str, dict[str, Any]] = {
    "io_error": {"operations": 3}, "slow": {"latency": 20}, "throttled": {"factor": 0.25},
}  # fmt: skip


def quantities(unit: str, least: int = 1, most: int = 1000) -> st.SearchStrategy[str]:
    """Whole numbers with a unit."""
    return st.integers(least, most).map(lambda number: f"{number}{unit}")


@st.composite
def delays(draw: st.DrawFn) -> Any:
    """Every distribution that can be written."""
    low, high = sorted((draw(st.integers(0, 400)), draw(st.integers(0, 400))))
    return draw(
        st.sampled_from(
            [
                f"{high}ms",
                {"uniform": [f"{low}ms", f"{high}ms"]},
                {"exponential": f"{high + 1}ms"},
                {"constant": f"{low}ms"},
                {"lognormal": {"median": f"{high + 1}ms", "sigma": 0.25}},
                {"pareto": {"minimum": "1ms", "shape": 2.5}},
            ]
        )
    )


@st.composite
def protocols(draw: st.DrawFn, coordinators: list[str], *, joined: bool) -> dict[str, Any]:
    """A protocol with some of its keys."""
    if draw(st.booleans()):
        ways: list[dict[str, Any]] = [{}, {"replace": "rename"}, {"replace": "overwrite"}, {"on_error": "retry"}]
        return {"kind": "in_place"} | draw(st.sampled_from(ways))
    protocol: dict[str, Any] = {"kind": "manifest", "keep": draw(st.integers(1, 3))}
    if draw(st.booleans()):
        protocol |= {"on_error": draw(st.sampled_from(["rewrite", "publish_anyway"])), "retries": 1}
    protocol["prune"] = draw(st.sampled_from(["before_commit", "after_commit"]))
    if draw(st.booleans()):
        protocol["coordinator"] = draw(st.sampled_from(coordinators))
    if not joined or draw(st.booleans()):
        protocol["message_delay"] = draw(delays())
    return protocol


@st.composite
def abstract_topologies(draw: st.DrawFn) -> dict[str, Any]:
    """Abstract domains only."""
    count = draw(st.integers(1, 6))
    interval = draw(st.integers(1, 10))
    data: dict[str, Any] = {
        "version": 1,
        "horizon": f"{interval * draw(st.integers(3, 20))}s",
        "seed": draw(st.integers(0, 99)),
        "devices": {"d": {"kind": "abstract", "count": count, "persist": draw(delays())}},
        "workload": {"kind": "checkpoint", "interval": f"{interval}s", "shards": [{"to": "d*"}]},
        "protocol": draw(protocols([f"d{n}" for n in range(count)], joined=count == 1)),
    }
    if draw(st.booleans()):
        data["what_if"] = {"worst": {"kind": "power_loss", "together": "d*", "phase": "500ms"}}
        data["expect"] = {"what_if.worst.raw.uniform_share": "in [0, 1]"}
    return data


@st.composite
def machine_topologies(draw: st.DrawFn) -> dict[str, Any]:
    """Nodes with hosts, GPUs and drives, joined by a switch or not."""
    nodes, gpus = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    drives = draw(st.sampled_from([None, 1, 2]))
    joined = nodes > 1 or draw(st.booleans())
    names = [f"node{n}" for n in range(nodes)]
    drive = {"kind": "nvme", "profile": draw(st.sampled_from(DRIVES))} | ({} if drives is None else {"count": drives})
    devices: dict[str, Any] = {"gpu": {"kind": "gpu", "profile": "h100_sxm", "count": gpus}, "nvme": drive}
    if draw(st.booleans()):
        devices["host"] = {"kind": "host", "dram": draw(quantities("GB"))}
    data: dict[str, Any] = {"version": 1, "name": "made", "nodes": {"node": {"count": nodes, "devices": devices}}}
    if joined:
        devices["nic"] = {"kind": "nic", "rate": draw(quantities("Gb/s"))}
        data["devices"] = {"sw": {"kind": "switch"}}
        data["links"] = [{"from": "node*/nic", "to": "sw", "kind": "ethernet", "rate": "400Gb/s", "delay": "500ns"}]
    shards: list[dict[str, Any]] = [{"from": "node*/gpu*", "size": draw(quantities("MB")), "to": "nvme"}]
    shards[0]["sync"] = draw(st.sampled_from(["none", "completion", "flush", "fua"]))
    if nodes > 1 and draw(st.booleans()):
        shards.append({"from": "node*/gpu*", "to": "nvme", "node": draw(st.sampled_from(["next", "+1"])), "copy": 1})
    if draw(st.booleans()):
        shards.append({"from": "node*/host", "size": "1MB", "to": "host", "into": "dram", "sync": "none"})
    interval = draw(st.integers(1, 60))
    data |= {
        "horizon": f"{interval * draw(st.integers(2, 9))}s",
        "workload": {"kind": "checkpoint", "interval": f"{interval}s", "shards": shards},
        "protocol": draw(protocols([*names, "node0/host"], joined=joined)),
    }
    if draw(st.booleans()):
        data["override"] = {"node*/nvme*": {"profile": draw(st.sampled_from(DRIVES))}}
    if draw(st.booleans()):
        data["failure_domains"] = {"rack": {"members": ["node*"], "each": draw(st.integers(1, 3))}}
        data["what_if"] = {"rack": {"kind": "power_loss", "each": "rack*"}}
    if draw(st.booleans()):
        timing = draw(st.sampled_from(TIMINGS))
        kind, target = draw(st.sampled_from(STRIKES))
        more = timing | KEYS.get(kind, {})
        data["faults"] = [{"name": "fault", "kind": kind, "target": target, "restore_after": "1s"} | more]
        data["expect"] = {"crashes.fault.count": ">= 0", "recovered.outcomes.hang": "== 0"}
        data["cases"] = {"other": {"set": {"protocol.kind": "in_place"}, "expect": {"ettr": "> 0"}}}
    return data


def topologies() -> st.SearchStrategy[dict[str, Any]]:
    """Valid topologies, as plain data."""
    return st.one_of(abstract_topologies(), machine_topologies())


JUNK: tuple[Any, ...] = (
    None, True, 0, -1, 3, 1.5, float("nan"), 10**30, "", "x", "no", "-5s", "5", "5 parsecs", "*", "node*", "a.b", "§",
    [], [1], ["node0", "node0"], {}, {"kind": "power_loss"}, {"x": {"y": 1}}, "node0--sw", "> 0", "1e999s", "uniform",
    "__class__",
)  # fmt: skip


def _paths(data: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    found = [path] if path else []
    items = data.items() if isinstance(data, dict) else enumerate(data) if isinstance(data, list) else ()
    for key, value in items:
        found += _paths(value, (*path, key))
    return found


@st.composite
def mutated_topologies(draw: st.DrawFn) -> dict[str, Any]:
    """A valid topology with one to three things changed to junk, dropped, renamed or added: mostly broken."""
    data = copy.deepcopy(draw(topologies()))
    for _ in range(draw(st.integers(1, 3))):
        paths = _paths(data)
        if not paths:
            break
        *above, last = draw(st.sampled_from(paths))
        parent = data
        for step in above:
            parent = parent[step]
        how = draw(st.sampled_from(["junk", "drop", "rename", "add"]))
        if how == "junk":
            parent[last] = copy.deepcopy(draw(st.sampled_from(JUNK)))
        elif how == "drop":
            del parent[last]
        elif isinstance(parent, dict):
            key = draw(st.sampled_from([f"{last}x", str(last)[:-1], "kind", "a.b", "count", "*", "host", "é"]))
            value = parent.pop(last) if how == "rename" else copy.deepcopy(draw(st.sampled_from(JUNK)))
            parent[key] = value
    return data

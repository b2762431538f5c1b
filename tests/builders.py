"""Topologies built in Python for the tests of what runs: no file, no loader."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hwsim.building import load_kinds
from hwsim.domain import PersistenceDomain
from hwsim.protocol import Protocol
from hwsim.topology.spec import DeviceSpec, FaultSpec, LinkSpec, NodeSpec, ShardSpec, Topology, WhatIfSpec
from hwsim.trace import Trace
from hwsim.units import parse_duration, parse_size
from hwsim.workloads import Workload

PS = 10**12  # ps in a second


def device(name: str, kind: str, node: str | None = None, **params: Any) -> DeviceSpec:
    """One device; figures as a topology would write them."""
    load_kinds()
    made = PersistenceDomain.registry[kind].Params.model_validate({"kind": kind, **params})
    return DeviceSpec(name, kind, node, made, frozenset(params))


def topology(
    *,
    devices: Sequence[DeviceSpec],
    shards: Sequence[ShardSpec],
    protocol: Mapping[str, Any],
    workload: Mapping[str, Any],
    nodes: Sequence[NodeSpec] = (),
    links: Sequence[LinkSpec] = (),
    faults: Sequence[FaultSpec] = (),
    what_if: Sequence[WhatIfSpec] = (),
    horizon: str = "100s",
    warm_up: str | None = None,
    seed: int = 1,
    coordinator: str | None = None,
    failure_domains: Mapping[str, tuple[str, ...]] | None = None,
) -> Topology:
    """A whole topology of ready parts."""
    load_kinds()
    made = Workload.registry["checkpoint"].Params.model_validate({"kind": "checkpoint", **workload})
    return Topology(
        name="built",
        description="",
        seed=seed,
        horizon_ps=parse_duration(horizon),
        warm_up_ps=made.interval if warm_up is None else parse_duration(warm_up),
        repeats=1,
        nodes=tuple(nodes),
        devices={spec.name: spec for spec in devices},
        links=tuple(links),
        failure_domains=failure_domains or {},
        shards=tuple(shards),
        workload=made,
        protocol=Protocol.registry[protocol["kind"]].Params.model_validate(dict(protocol)),
        coordinator=coordinator,
        faults=tuple(faults),
        what_if=tuple(what_if),
        expect=(),
        cases=(),
        sha256="0" * 64,
    )


def abstract(
    count: int, persist: Any = None, *, protocol: Mapping[str, Any] | None = None, clock_offset: Any = None, **rest: Any
) -> Topology:
    """*count* abstract domains d0, d1, ... with one shard each, every second."""
    persist = {"uniform": ["0s", "200ms"]} if persist is None else persist
    extra = {} if clock_offset is None else {"clock_offset": clock_offset}
    names = [f"d{i}" for i in range(count)]
    workload = {"interval": "1s", "mode": "async", "in_flight": {"max": 100}, **rest.pop("workload", {})}
    return topology(
        devices=[device(name, "abstract", persist=persist, **extra) for name in names],
        shards=[ShardSpec(f"shard{i}", i, 0, None, name, 0, "media", "flush") for i, name in enumerate(names)],
        protocol=protocol or {"kind": "in_place"},
        workload=workload,
        **rest,
    )


def machine(
    count: int = 1,
    gpus: int = 2,
    *,
    size: str = "1GB",
    sync: str = "flush",
    into: str = "media",
    replica: int = 0,
    nvme: Mapping[str, Any] | None = None,
    host: Mapping[str, Any] | None = None,
    gpu: Mapping[str, Any] | None = None,
    link: Mapping[str, Any] | None = None,
    network: bool | None = None,
    **rest: Any,
) -> Topology:
    """*count* nodes with a host, GPUs and a drive, joined by a switch where there are several of them.

    Every GPU saves a shard to the drive of its node, and a copy to the drive *replica* nodes on.
    """
    devices, nodes, shards, links = [], [], [], []
    joined = count > 1 if network is None else network
    for n in range(count):
        node = f"node{n}"
        members = [
            device(f"{node}/host", "host", node, **(host or HOST)),
            *(device(f"{node}/gpu{g}", "gpu", node, **(gpu or GPU)) for g in range(gpus)),
            device(f"{node}/nvme", "nvme", node, **(nvme or NVME)),
        ]
        if joined:
            members.append(device(f"{node}/nic", "nic", node, reset_time="2s"))
            links.append(LinkSpec(f"{node}/nic--sw", "ethernet", f"{node}/nic", "sw", _ethernet(link or LINK)))
        devices += members
        nodes.append(NodeSpec(node, f"{node}/host", tuple(spec.name for spec in members)))
    if joined:
        devices.append(device("sw", "switch", delay="500ns"))
    bytes_ = parse_size(size)
    for copy, hop in enumerate([0, replica] if replica else [0]):
        for n in range(count):
            for g in range(gpus):
                shard = n * gpus + g
                part = f"shard{shard}" + (f".copy{copy}" if copy else "")
                to = f"node{(n + hop) % count}/" + ("nvme" if into in ("media", "page_cache") else "host")
                shards.append(ShardSpec(part, shard, copy, f"node{n}/gpu{g}", to, bytes_, into, sync))
    domains = {spec.name: spec.devices for spec in nodes}
    return topology(
        devices=devices, nodes=nodes, shards=shards, links=links,
        protocol=rest.pop("protocol", {"kind": "manifest"}),
        workload={"interval": "10s", "mode": "async", **rest.pop("workload", {})},
        failure_domains=domains | rest.pop("failure_domains", {}),
        **rest,
    )  # fmt: skip


def _ethernet(params: Mapping[str, Any]) -> Any:
    from hwsim.link import EthernetParams

    return EthernetParams.model_validate({"kind": "ethernet", **params})


LINK: Mapping[str, Any] = {"rate": "400Gb/s", "delay": "500ns"}
HOST: Mapping[str, Any] = {"dram": "2TB", "memory_bandwidth": "400GB/s", "reboot_time": "10s"}
GPU: Mapping[str, Any] = {"hbm": "80GB", "d2h": "50GB/s", "reset_time": "2s"}
NVME: Mapping[str, Any] = {
    "write": "4GB/s", "read": "8GB/s", "write_latency": "20us", "flush": "1ms", "command": "128KiB", "queue_depth": 32,
    "lba": "4KiB", "awun": 1, "awupf": 1, "vwc": True, "cache": "1GB", "drain": "3GB/s", "plp": False,
    "reset_time": "1s",
}  # fmt: skip
READ_BPS = 64 * 10**9  # of NVME


def fault(
    kind: str,
    targets: Sequence[str] | Sequence[tuple[str, ...]],
    *,
    name: str = "fault",
    at: str | None = None,
    every: str | None = None,
    mtbf: str | None = None,
    shape: float | None = None,
    total: str | None = None,
    restore_after: str | None = None,
    operations: int | None = None,
) -> FaultSpec:
    """One line of `faults`; a target is a device or link, or a tuple of what fails together."""
    grouped = tuple((one,) if isinstance(one, str) else tuple(one) for one in targets)

    def ps(text: str | None) -> int | None:
        return None if text is None else parse_duration(text)

    return FaultSpec(
        name=name, kind=kind, targets=grouped, target_names=tuple("+".join(one) for one in grouped),
        at_ps=ps(at), every_ps=ps(every), mtbf_ps=ps(mtbf), weibull_shape=shape, total_mean_ps=ps(total),
        restore_after_ps=ps(restore_after), path="faults.0",
        operations=operations,
    )  # fmt: skip


def samples(*, random_delays: bool = True) -> list[Topology]:
    """A few small topologies that between them use most of what runs."""
    persist = {"uniform": ["0s", "200ms"]} if random_delays else "100ms"
    delayed = {"kind": "manifest", "message_delay": "10ms", "manifest": {"persist": "5ms"}}
    made = [
        abstract(5, persist, horizon="20s"),
        abstract(5, persist, horizon="20s", protocol=delayed),
        machine(horizon="40s"),
        machine(2, 2, replica=1, horizon="40s"),
        machine(horizon="40s", protocol={"kind": "in_place"}, workload={"mode": "sync"}),
        abstract(3, persist, horizon="20s", protocol={"kind": "two_phase", "message_delay": "10ms"}),
        machine(2, 1, horizon="40s", protocol={"kind": "two_phase"}),
        machine(2, 1, horizon="40s", protocol={"kind": "two_versions"}),
        machine(2, 1, horizon="40s", protocol={"kind": "chandy_lamport"}),
        machine(2, 1, horizon="40s", protocol={"kind": "memory_replicas"}, into="dram", replica=1),
    ]
    if random_delays:
        storm = [
            fault("gpu_reset", ["node0/gpu0", "node1/gpu1"], name="gpus", mtbf="40s", restore_after="1s"),
            fault("power_loss", [NODE0], name="node", total="60s", restore_after="3s"),
        ]
        made += [
            abstract(4, persist, horizon="30s", workload={"start": "poisson"}),
            machine(
                2, 2, replica=1, horizon="100s", faults=storm, workload={"restart": {"detect": "1s", "init": "1s"}}
            ),
        ]
    return made


NODE0 = ("node0/host", "node0/gpu0", "node0/gpu1", "node0/nvme", "node0/nic")


def settled(trace: Trace) -> list[tuple[int, dict[tuple[str, str, str], str | None]]]:
    """What every place holds at the end of every instant at which something changed, and what is claimed then."""
    instants: dict[int, dict[tuple[str, str, str], str | None]] = {}
    for row in trace:
        if row.place is not None:
            instants.setdefault(row.time_ps, {})[row.place, str(row.part), str(row.slot)] = row.may
        elif row.event in ("checkpoint_begun", "epoch_committed"):
            instants.setdefault(row.time_ps, {})[row.event, "", ""] = str(row.epoch)
    return sorted(instants.items())

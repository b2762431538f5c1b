"""What a topology is once names, globs and references are resolved: frozen, complete, nothing live."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True)
class Figure:
    """Where one figure of a device came from: `source` is None where it is an assumption of ours or unstated."""

    key: str
    value: str  # as written, with its unit
    source: str | None
    assumption: bool
    profile: str | None  # the profile it stands in; None where the topology states it


@dataclass(frozen=True)
class DeviceSpec:
    """One device, expanded: `params` is an instance of its kind's Params."""

    name: str
    kind: str
    node: str | None
    params: Any
    written: frozenset[str]  # params written in the topology (not the profile's), for the unused-key warning
    figures: tuple[Figure, ...] = ()


@dataclass(frozen=True)
class NodeSpec:
    """One node: its devices in order, `host` the name of its host device."""

    name: str
    host: str
    devices: tuple[str, ...]


@dataclass(frozen=True)
class LinkSpec:
    """One link between two devices, expanded; `a` and `b` are device names."""

    name: str
    kind: str
    a: str
    b: str
    params: Any
    written: frozenset[str] = frozenset()

    @property
    def routed(self) -> bool:
        """Whether messages and data cross it; a bilateral link carries its own protocol's frames alone."""
        return self.kind != "bilateral"


@dataclass(frozen=True)
class ShardSpec:
    """One placed copy of one rank's shard.  `source` is None for abstract domains."""

    part: str  # unique: "shard12" or "shard12.copy1"
    shard: int
    copy: int
    source: str | None
    device: str  # where it lands
    size_bytes: int
    into: str
    sync: str
    path: str = "bounce"  # how it leaves a GPU and enters one over RDMA: gpudirect, or through the host's memory


@dataclass(frozen=True)
class FaultSpec:
    """One line of `faults`, expanded.  Exactly one of the four timings is set (durations in ps).

    `targets` are device names (or link names for link kinds), each list one strike: members of one
    failure domain or node go down together.
    """

    name: str
    kind: str
    targets: tuple[tuple[str, ...], ...]
    target_names: tuple[str, ...]  # what the user calls each of them
    at_ps: int | None = None
    every_ps: int | None = None
    mtbf_ps: int | None = None  # each target on its own
    weibull_shape: float | None = None  # with mtbf: 1 is exponential
    total_mean_ps: int | None = None  # all targets together
    restore_after_ps: int | None = None
    path: str = ""  # key path in the file, for warnings
    factor: float | None = None  # of its rates that a throttled target keeps
    latency: float | None = None  # how many times later a slow target answers
    operations: int | None = None  # that fail; None: all of them while the fault lasts
    level: int | None = None  # of a nic_reset; None: the usual one
    phy_less: bool = False  # of a nic_reset: its port stays up


@dataclass(frozen=True)
class WhatIfSpec:
    """One what-if, expanded: `strikes` as (label, devices)."""

    name: str
    kind: str
    strikes: tuple[tuple[str, tuple[str, ...]], ...]
    at_ps: int | None = None
    phase_ps: int | None = None
    hazard_mean_ps: int | None = None
    one_at_a_time: bool = False  # `each`
    target_names: tuple[str, ...] = ()  # what the user calls them


@dataclass(frozen=True)
class Expectation:
    """One line of `expect`: a key of result.json and what is wanted of it, as written."""

    key: str
    wanted: str
    line: int = 0


@dataclass(frozen=True)
class Case:
    """The same topology with a change, and what must then come out."""

    name: str
    changes: Mapping[str, Any]
    expect: tuple[Expectation, ...]


@dataclass(frozen=True)
class Topology:
    """A whole, valid topology."""

    name: str
    description: str
    seed: int
    horizon_ps: int
    warm_up_ps: int
    repeats: int
    nodes: tuple[NodeSpec, ...]
    devices: Mapping[str, DeviceSpec]
    links: tuple[LinkSpec, ...]
    failure_domains: Mapping[str, tuple[str, ...]]  # name -> device names
    shards: tuple[ShardSpec, ...]
    workload: Any  # the workload kind's Params
    protocol: Any  # the protocol kind's Params (has .kind); None where the workload takes no checkpoints
    coordinator: str | None  # device name of the coordinator's host, or its device
    faults: tuple[FaultSpec, ...]
    what_if: tuple[WhatIfSpec, ...]
    expect: tuple[Expectation, ...]
    cases: tuple[Case, ...]
    sha256: str  # of the file's bytes and the changes made to it
    source: str = ""  # path of the file
    resolved: Mapping[str, Any] = field(default_factory=dict)  # plain data for topology.resolved.yaml
    warnings: tuple[str, ...] = ()  # what was written, is allowed, and cannot have been meant

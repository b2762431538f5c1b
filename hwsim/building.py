"""From a frozen topology to live parts: devices, network, ranks and their shards, and what a trace says of them.

A shard's bytes cross, pipelined as one flow: the copy engine of their source, the network where the
store is in another node, and the store's own pipes.  A rank is a source with all that it saves; an
abstract domain is a rank of its own.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import hwsim.devices
import hwsim.protocols
import hwsim.workloads
from hwsim.domain import PersistenceDomain, Store
from hwsim.protocol import Job, Node, Placed
from hwsim.queue_pair import QueuePair, Registration
from hwsim.remote_memory import SYNCS, RemoteMemory
from hwsim.strikes import taken
from hwsim.trace import CrashCase, Part, Strike
from hwsim.tracking import Tracked

if TYPE_CHECKING:
    from hwsim.bilateral.live import BilateralLink
    from hwsim.domain import World
    from hwsim.flow import Pipe
    from hwsim.link import EthernetLink
    from hwsim.network import Network
    from hwsim.topology.spec import DeviceSpec, ShardSpec, Topology

    _Way = tuple[tuple[Pipe, ...], int, tuple[str, ...]]  # pipes, latency (ps), devices


def load_kinds() -> None:
    """Import every kind of device, protocol and workload, so that the registries know them."""
    for package in (hwsim.devices, hwsim.protocols, hwsim.workloads):
        for module in pkgutil.iter_modules(package.__path__):
            importlib.import_module(f"{package.__name__}.{module.name}")


class Building:
    """The live parts of one simulation."""

    def __init__(self, topology: Topology, world: World) -> None:
        load_kinds()
        self.topology = topology
        self.world = world
        hosts = {node.name: node.host for node in topology.nodes}
        self.tracked: dict[str, Tracked] = {}
        self._remotes: dict[tuple[str, str, str], RemoteMemory] = {}
        self._on_tear_down: list[Callable[[], None]] = []
        for spec in topology.devices.values():
            self._build(spec, hosts)
        self.bilateral: dict[str, BilateralLink] = {}
        self.network = self._network()
        self.nodes = self._ranks()
        self._made = self._job() if topology.protocol is not None else None

    @property
    def job(self) -> Job:
        """The job that takes checkpoints; there is one where the topology has a protocol."""
        assert self._made is not None, "a workload of links has no job"
        return self._made

    def _build(self, spec: DeviceSpec, hosts: Mapping[str, str]) -> PersistenceDomain:
        params = self.tracked[spec.name] = Tracked(spec.params)
        host = hosts[spec.node] if spec.node is not None else None
        return PersistenceDomain.registry[spec.kind](self.world, spec.name, params, node=spec.node, host=host)

    def _network(self) -> Network | None:
        if not self.topology.links and not self.topology.nodes:
            return None
        from hwsim.bilateral.live import BilateralLink
        from hwsim.network import Network

        routed = []
        for spec in self.topology.links:
            if not spec.routed:
                self.bilateral[spec.name] = BilateralLink(self.world, spec.name, spec.a, spec.b, spec.params)
            else:
                params = self.tracked[spec.name] = Tracked(spec.params)
                routed.append(replace(spec, params=params))
        network = Network(self.world, routed)
        network.beside.update(self.bilateral)
        return network

    # ranks and paths

    def _ranks(self) -> list[Node]:
        nodes: dict[str, Node] = {}
        for index, shard in enumerate(self.topology.shards):
            name = shard.source if shard.source is not None else shard.device
            node = nodes.get(name)
            if node is None:
                node = nodes[name] = self._rank(name, abstract=shard.source is None)
            placed = self._placed(shard, index, node)
            node.parts.append(placed)
            self.world.holdings.stacks[placed.name] = placed.store.stack_for(placed.into)
        for node in nodes.values():
            node.snapshot_bytes = sum(
                {part.shard: part.size_bytes for part in node.parts if part.snapshots}.values()
            )
        return list(nodes.values())

    def _rank(self, name: str, *, abstract: bool) -> Node:
        device = self.world.domains[name]
        if abstract:
            return Node(name, name)
        host = device.host or name
        node = Node(name, host, frozenset((name, host)))
        node.snapshot_pipes = (*_pipe(device, "d2h"), *_pipe(self.world.domains[host], "memory"))
        return node

    def _placed(self, shard: ShardSpec, index: int, node: Node) -> Placed:
        store = self.world.domains[shard.device]
        if shard.source is None:
            lead = getattr(store, "clock_offset_ps", 0)
            return Placed(
                shard.part, node=node, index=index, shard=shard.shard, store=_as_store(store), device=shard.device,
                size_bytes=shard.size_bytes, into=shard.into, sync=shard.sync, lead_ps=lead,
                uses=frozenset((shard.device,)), uses_from_host=frozenset((shard.device,)),
            )  # fmt: skip
        store, pipes, latency, crossed = self._reach(node.endpoint, shard.device, shard.into, shard.sync)
        direct = shard.path == "gpudirect"
        source = self.world.domains[node.name]
        memory = _pipe(self.world.domains[node.endpoint], "memory")
        away, later = (node.snapshot_pipes, memory) if not direct else (_pipe(source, "d2h"),) * 2
        uses = frozenset((node.endpoint, shard.device, *crossed))
        return Placed(
            shard.part, node=node, index=index, shard=shard.shard, store=_as_store(store), device=shard.device,
            size_bytes=shard.size_bytes, into=shard.into, sync=shard.sync, writer=node.endpoint,
            pipes=(*away, *pipes), pipes_from_host=(*later, *pipes), latency_ps=latency, snapshots=not direct,
            uses=uses | {node.name}, uses_from_host=uses | {node.name} if direct else uses,
        )  # fmt: skip

    def _reach(self, endpoint: str, device: str, into: str, sync: str) -> tuple[Any, *_Way]:
        """A store as the processes on a host reach it; pipes, latency (ps) and devices on the way to it.

        A client of a shared store knows its own way: what its processes write goes into its cache, or is awaited there.
        """
        store = self.world.domains[device]
        pipes, latency, crossed = self._way(endpoint, device)
        mount = getattr(store, "mount", None)
        if mount is not None:
            return mount(self.world.domains[endpoint], pipes, latency), (), 0, crossed
        return self._remote(endpoint, device, into, sync) or store, pipes, latency, crossed

    def _way(self, host: str, device: str) -> _Way:
        """Pipes, latency (ps) and devices between a host's memory and a store."""
        store = self.world.domains[device]
        if store.name == host or store.host == host or self.network is None:
            return (), 0, ()
        crossed = tuple(hop.device for hop in self.network.hops(host, device))
        return self.network.pipes(host, device), self.network.latency(host, device), crossed

    def _remote(self, endpoint: str, device: str, into: str, sync: str) -> Any:
        """The memory of another node's host as RDMA reaches it, where that is the way; else None."""
        domains = self.world.domains
        holder, initiator = domains[device], domains[endpoint]
        if holder.kind not in ("host", "gpu") or holder.node == initiator.node or sync not in SYNCS:
            return None
        if self.network is None:
            return None
        hops = self.network.hops(endpoint, device)
        nics = [domains[hop.device] for hop in hops if domains[hop.device].kind == "nic"]
        own = [nic for nic in nics if nic.node == initiator.node]
        theirs = [nic for nic in nics if nic.node == holder.node]
        if not own or not theirs:
            return None
        key = (holder.name, theirs[-1].name, into)
        remote = self._remotes.get(key)
        if remote is None:
            remote = self._remotes[key] = RemoteMemory(holder, theirs[-1], into)
        if endpoint not in remote.queue_pairs:
            links = [hop.way.link for hop in hops if hop.way is not None]
            remote.queue_pairs[endpoint] = self._queue_pair(endpoint, own[0], remote, links)
        return remote

    def _queue_pair(
        self, endpoint: str, nic: PersistenceDomain, remote: RemoteMemory, links: list[EthernetLink]
    ) -> QueuePair:
        dies_with = [f"{endpoint}:{aspect}" for aspect in ("process", "kernel", "power")]
        made = QueuePair(
            self.world, endpoint, remote.name, own=Registration(nic.params.registration), remote=remote.region,
            links=links, dies_with=[*dies_with, f"{nic.name}:engine", f"{nic.name}:power"],
            connect_ps=nic.params.connect, retry_limit_ps=nic.params.retry_limit,
        )  # fmt: skip
        self._on_tear_down.append(made.close)
        return made

    # the job

    def _job(self) -> Job:
        coordinator = self._coordinator()
        job = Job(self.world, self.nodes, self.network, coordinator)
        job.place_record = self._place_record
        job.links = self.bilateral
        job.load_ps = self._load_ps
        job.on_tear_down = self._on_tear_down
        return job

    def _coordinator(self) -> Node | None:
        wanted = self.topology.coordinator
        if wanted is None:
            return None
        for node in self.nodes:
            if wanted in (node.name, node.endpoint):
                return node
        domain = self.world.domains[wanted]
        return Node(wanted, domain.host or wanted, frozenset((wanted,)))

    def _place_record(
        self, part: str, to: str | None, size_bytes: int, sync: str | None, node: Node | None
    ) -> Placed:
        """Place a record of a node (None: the coordinator): on device *to*, as it sees it, or by its first shard."""
        writer = node if node is not None else self.job.coordinator
        first = writer.parts[0] if writer.parts else None
        if to is None:
            device = first.device if first is not None else self._record_device(writer)
        else:
            inside = f"{self.world.domains[writer.endpoint].node}/{to}"
            device = inside if inside in self.world.domains else to
        store: Any = self.world.domains[device]
        beside = first is not None and first.device == device
        into = first.into if first is not None and beside else "media"
        if sync is None:
            sync = first.sync if first is not None and beside else "flush"
        abstract = store.kind == "abstract"
        way: _Way = ((), 0, ())
        if not abstract:
            store, *way = self._reach(writer.endpoint, device, into, sync)  # type: ignore[assignment]
        pipes, latency, crossed = way
        uses = frozenset((writer.endpoint, device, *crossed))
        self.world.holdings.stacks.setdefault(part, _as_store(store).stack_for(into))
        return Placed(
            part, node=writer, index=-1, shard=-1, store=_as_store(store), device=device, size_bytes=size_bytes,
            into=into, sync=sync, writer="" if abstract else writer.endpoint, pipes=pipes, pipes_from_host=pipes,
            latency_ps=latency, uses=uses, uses_from_host=uses,
        )  # fmt: skip

    def _record_device(self, coordinator: Node) -> str:
        """A coordinator that saves no shard keeps the record on the first drive of its node, or is abstract itself."""
        if self.world.domains[coordinator.endpoint].kind == "abstract":
            return coordinator.endpoint
        node = self.world.domains[coordinator.endpoint].node
        for domain in self.world.domains.values():
            if domain.node == node and domain.kind == "nvme":
                return domain.name
        return self.nodes[0].parts[0].device

    def _load_ps(self) -> int:
        """Time to read one checkpoint back: every shard's first copy whose store serves, over the pipes they share."""
        domains = self.world.domains
        load: dict[Pipe, int] = {}
        seen: set[int] = set()
        for placed in self.job.parts:
            if placed.shard in seen or not domains[placed.device].up:
                continue
            seen.add(placed.shard)
            store, host = domains[placed.device], domains[placed.node.endpoint]
            back: tuple[Pipe, ...] = ()
            if self.network is not None and placed.writer and store.host != host.name:
                back = self.network.pipes(store.name, host.name)
            client: object = placed.store
            own = _pipe(client, "read_pipe") if client is not store else ()  # of a client of a shared store
            out = (*_pipe(store, "read_pipe"), *own, *_pipe(store, "memory"), *_pipe(store, "d2h"))
            crossed = (*out, *back, *_pipe(host, "memory"))
            for pipe in (*crossed, *_pipe(domains[placed.node.name], "h2d")):
                load[pipe] = load.get(pipe, 0) + placed.size_bytes
        return max(
            (-(-size * 8 * 10**12 // pipe.capacity_bps) for pipe, size in load.items() if pipe.capacity_bps), default=0
        )

    # what the trace says of it

    def parts(self) -> tuple[Part, ...]:
        """Every placed shard as a part of the trace."""
        stacks = self.world.holdings.stacks
        return tuple(
            Part(s.part, s.shard, s.copy, s.source or s.device, s.device, stacks[s.part], s.size_bytes)
            for s in self.topology.shards
        )

    def participants(self) -> tuple[str, ...]:
        """The devices that the job cannot do without, in the topology's order."""
        used: set[str] = set()
        for part in self.job.parts:
            used |= {part.node.name, part.node.endpoint, part.device}
        used |= {self.job.coordinator.name, self.job.coordinator.endpoint}
        used |= {part.device for part in self.job.trace_parts}
        domains = self.world.domains
        taking_part = {domains[name].node for name in used} - {None}
        used |= {domains[name].host or name for name in used}
        return tuple(
            name
            for name, domain in domains.items()
            if name in used or domain.kind == "switch" or (domain.kind == "nic" and domain.node in taking_part)
        )

    def crashes(self) -> tuple[CrashCase, ...]:
        """The default crash (the power of everything goes at once), then the what-ifs."""
        domains = self.world.domains
        cases = [CrashCase("default", (Strike("everything", _tokens("power_loss", tuple(domains), domains)),))]
        for asked in self.topology.what_if:
            strikes = tuple(Strike(label, _tokens(asked.kind, devices, domains)) for label, devices in asked.strikes)
            cases.append(CrashCase(asked.name, strikes, asked.at_ps, asked.phase_ps, asked.hazard_mean_ps))
        return tuple(cases)


def _tokens(kind: str, targets: tuple[str, ...], domains: Mapping[str, PersistenceDomain]) -> tuple[str, ...]:
    return tuple(sorted(taken(kind, targets, domains)))


def _as_store(device: PersistenceDomain) -> Store:
    assert hasattr(device, "write"), f"{device.name} cannot hold shards"
    return device  # type: ignore[return-value]


def _pipe(device: object, name: str) -> tuple[Pipe, ...]:
    """The pipe of that name, if the device has one."""
    pipe = getattr(device, name, None)
    return () if pipe is None else (pipe,)

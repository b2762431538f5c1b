"""Where shards lie: from the lines of `shards` to every placed copy, and whether its bytes have a way to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from hwsim.topology.document import Document
from hwsim.topology.hardware import Hardware
from hwsim.topology.names import Names, is_glob
from hwsim.topology.registries import device_kinds
from hwsim.topology.spec import ShardSpec
from hwsim.topology.yaml_source import Path
from hwsim.units import format_size
from hwsim.workloads.checkpoint import Shards

ABSTRACT = "abstract"
# What each kind can hold a shard in, and what a writer may wait for there.
# The first is meant where `into` is left out; a flush, or else the completion, where `sync` is.
INTO: Mapping[str, tuple[str, ...]] = {
    "nvme": ("media", "page_cache"),
    "host": ("dram", "tmpfs", "pmem"),
    "parallel_fs": ("page_cache", "media"),
    "object_store": ("media",),
    "gpu": ("hbm",),
    ABSTRACT: ("media",),
}
SYNC: Mapping[str, tuple[str, ...]] = {
    "media": ("none", "completion", "flush", "fua"),
    "page_cache": ("none", "completion", "flush"),
    "dram": ("none", "completion", "read_after_write", "rdma_flush", "ack"),
    "pmem": ("completion", "read_after_write", "rdma_flush", "ack"),
    "tmpfs": ("none", "completion"),
    "hbm": ("completion", "read_after_write", "ack"),
}
SOURCES = frozenset({"gpu", "host"})


class Fabric:
    """What can reach what over links: directly, or through switches.  Nodes do not forward.

    A bilateral link carries its own protocol's frames, and nobody's data.
    """

    def __init__(self, hardware: Hardware) -> None:
        self._devices = {name: spec.node or name for name, spec in hardware.devices.items()}
        self._root: dict[str, str] = {}
        switches = {name for name, spec in hardware.devices.items() if spec.kind == "switch"}
        links = [link for link in hardware.links.values() if link.routed]
        for link in links:
            if link.a in switches and link.b in switches:
                self._root[self._find(link.a)] = self._find(link.b)
        self._attached: dict[str, set[str]] = {}
        self._direct: set[frozenset[str]] = set()
        for link in links:
            a, b = self._devices.get(link.a, link.a), self._devices.get(link.b, link.b)
            self._direct.add(frozenset((a, b)))
            for end, place, other in ((link.a, b, link.b), (link.b, a, link.a)):
                if end in switches and other not in switches:
                    self._attached.setdefault(place, set()).add(self._find(end))

    def _find(self, switch: str) -> str:
        while (up := self._root.get(switch, switch)) != switch:
            switch = up
        return switch

    def joined(self, a: str, b: str) -> bool:
        """Whether bytes can get from device *a* to device *b*."""
        here, there = self._devices.get(a, a), self._devices.get(b, b)
        if here == there or frozenset((here, there)) in self._direct:
            return True
        return not self._attached.get(here, set()).isdisjoint(self._attached.get(there, ()))


@dataclass
class _Shard:
    number: int
    size_bytes: int
    copies: set[int] = field(default_factory=set)
    devices: set[str] = field(default_factory=set)


class Placer:
    """Reads `workload.shards`."""

    def __init__(self, document: Document, names: Names, hardware: Hardware) -> None:
        self.document = document
        self.names = names
        self.hardware = hardware
        self.fabric = Fabric(hardware)
        self._position = {node: i for ring in hardware.groups.values() for i, node in enumerate(ring)}
        self._ranks = {name: rank for rank, name in enumerate(hardware.devices)}
        self._placed: list[ShardSpec] = []
        self._shards: list[_Shard] = []
        self._newest: dict[str, _Shard] = {}  # source -> its newest shard

    def place(self, lines: Sequence[Shards], path: Path) -> tuple[ShardSpec, ...]:
        """Every placed copy, by shard and then by copy.

        A line without `copy` (or with copy 0) makes a shard of each source; one with `copy: N` places the N-th
        further copy of the shard that the same source got last.
        """
        for index, line in enumerate(lines):
            self._line(line, (*path, index))
        self._memory(path)
        return tuple(sorted(self._placed, key=lambda spec: (spec.shard, spec.copy)))

    def _memory(self, path: Path) -> None:
        """No host and no GPU can hold more in its memory than it has."""
        held: dict[tuple[str, str], int] = {}
        for spec in self._placed:
            if spec.into in ("dram", "tmpfs", "hbm", "pmem"):
                key = spec.into if spec.into != "tmpfs" else "dram"
                held[spec.device, key] = held.get((spec.device, key), 0) + spec.size_bytes
        for (device, key), size in held.items():
            holder = self.hardware.devices[device]
            memory = getattr(holder.params, key, None)
            memory = getattr(memory, "size", memory)  # of pmem: it has more figures than that
            if memory is not None and size > memory:
                problem = (
                    f"{format_size(size)} a checkpoint go into the memory of '{device}', which is {format_size(memory)}"
                )
                self.document.wrong(path, problem, f"write smaller shards, or the {holder.kind}'s `{key}`")
                return

    def _line(self, line: Shards, path: Path) -> None:
        document = self.document
        if line.source is None:
            self._abstract(line, path)
            return
        sources = self.names.find((line.source,), (*path, "from"), ("device",))
        sources = [source for source in sources if source in self.hardware.devices]
        for source in sources:
            kind = self.hardware.devices[source].kind
            if kind not in SOURCES:
                document.wrong(
                    (*path, "from"),
                    f"'{source}' is a {kind}, which computes nothing that could be saved",
                    f"name a {' or a '.join(sorted(SOURCES))}",
                )
                return
        sources.sort(key=self._ranks.__getitem__)
        if line.copies == 0 and line.size is None:
            document.wrong(path, "lacks `size`", "write the bytes of one shard, such as size: 13.1GB", key=True)
            return
        if line.size == 0:
            document.wrong((*path, "size"), "a shard of no bytes", "write such as size: 13.1GB")
            return
        within: dict[str | None, int] = {}
        for position, source in enumerate(sources):
            node = self.hardware.devices[source].node
            among = within.get(node, 0)
            within[node] = among + 1
            device = self._destination(line, path, source, position, among)
            how = None if device is None else self._fits(line, path, source, device)
            if device is None or how is None:
                return  # one source shows what is wrong with the line
            if self.hardware.complete and not self.fabric.joined(source, device):
                document.wrong(
                    (*path, "to"),
                    f"no link leads from '{source}' to '{device}'",
                    "join their nodes in `links`, directly or through switches",
                )
                return
            if not self._add(line, path, source, device, how):
                return

    def _abstract(self, line: Shards, path: Path) -> None:
        document = self.document
        devices = self.names.find((line.to,), (*path, "to"), ("device",))
        if line.node != "same":
            document.wrong((*path, "node"), "an abstract domain sits in no node", "leave `node` out", key=True)
        if line.path is not None:
            document.wrong((*path, "path"), "nothing of an abstract domain crosses a GPU", "leave it out", key=True)
        for device in devices:
            spec = self.hardware.devices.get(device)
            if spec is None:
                continue
            if spec.kind != ABSTRACT:
                document.wrong(
                    path,
                    "lacks `from`",
                    f"write whose shards they are, such as from: 'node*/gpu*' ('{device}' is a {spec.kind}; "
                    "only abstract devices do without)",
                    key=True,
                )
                return
            if not self._add(line, path, None, device, (line.into, line.sync, "bounce")):
                return

    def _destination(self, line: Shards, path: Path, source: str, position: int, among: int) -> str | None:
        """The device that one source's shard goes to."""
        to, document, hardware = line.to, self.document, self.hardware
        at = (*path, "to")
        if is_glob(to) or "/" in to:
            if line.node != "same":
                document.wrong(
                    (*path, "node"),
                    f"'{to}' names its node itself",
                    "leave `node` out, or write a device key",
                    key=True,
                )
                return None
            found = self.names.find((to,), at, ("device",))
            if len(found) > 1:
                more = ", ..." if len(found) > 2 else ""
                document.wrong(
                    at,
                    f"'{to}' is ambiguous: it matches {found[0]}, {found[1]}{more}",
                    "write a device key, such as 'nvme', or one device",
                )
                return None
            return found[0] if found and found[0] in hardware.devices else None
        node = hardware.devices[source].node
        if node is not None:
            node = self._node(line, path, node)
            if node is None:
                return None
            devices = hardware.inside[node].get(to, ())
            if not devices and self.names.sort(f"{node}/{to}") == "device":
                devices = (f"{node}/{to}",)
            if devices:
                device = devices[among % len(devices)]
                return device if device in hardware.devices else None
        if self.names.excused(to):
            return None
        if line.node != "same":
            document.wrong(at, f"no device '{to}' in node '{node}'", self._keys(node))
            return None
        outside = hardware.outside.get(to, ())
        if not outside and self.names.sort(to) == "device":
            outside = (to,)
        if outside:
            device = outside[position % len(outside)]
            return device if device in hardware.devices else None
        if self.names.sort(to) is not None:
            document.wrong(at, f"'{to}' is a {self.names.sort(to)}, not a device", self._keys(node))
        else:
            where = f" in node '{node}'" if node is not None else ""
            document.wrong(at, f"no device '{to}'{where}, nor outside nodes", self._keys(node))
        return None

    def _keys(self, node: str | None) -> str:
        if node is None:
            return f"write one of {', '.join(self.hardware.outside)}" if self.hardware.outside else ""
        known = self.hardware.devices
        inside = self.hardware.inside[node].items()
        holders = [key for key, several in inside if several and several[0] in known and known[several[0]].kind in INTO]
        return f"write one of {', '.join(holders)}" if holders else ""

    def _node(self, line: Shards, path: Path, node: str) -> str | None:
        """The node that `node:` means, counted round the nodes of the same entry."""
        if line.node == "same":
            return node
        ring = self.hardware.groups[self.hardware.group_of[node]]
        if line.node.startswith("group/"):
            return self._in_group(line, path, ring, self._position[node])
        step = 1 if line.node == "next" else int(line.node[1:])
        if step % len(ring) == 0:
            among = "one node" if len(ring) == 1 else f"{len(ring)} nodes"
            self.document.wrong(
                (*path, "node"),
                f"'{line.node}' among {among} leads back to the same one",
                "raise `count`, or write same",
            )
            return None
        return ring[(self._position[node] + step) % len(ring)]

    def _in_group(self, line: Shards, path: Path, ring: Sequence[str], position: int) -> str | None:
        """The node of a group of M that a copy goes to; what M leaves over is in the last group."""
        size = int(line.node.removeprefix("group/"))
        if not 0 < line.copies < size <= len(ring):
            problem = f"copy {line.copies} has no place of its own in a group of {size} among {len(ring)} nodes"
            remedy = f"write copy: 1 to {size - 1}, and groups of no more nodes than there are"
            self.document.wrong((*path, "node"), problem, remedy)
            return None
        start = min(position // size, len(ring) // size - 1) * size
        group = ring[start : start + size] if start + 2 * size <= len(ring) else ring[start:]
        return group[(position - start + line.copies) % len(group)]

    def _fits(self, line: Shards, path: Path, source: str, device: str) -> tuple[str, str, str] | None:
        """What the bytes are written into, what the writer waits for, and by which path; None where that cannot be."""
        document = self.document
        spec, origin = self.hardware.devices[device], self.hardware.devices[source]
        if spec.kind == ABSTRACT:
            problem = f"'{device}' is abstract: it has its own delays, and no source"
            document.wrong((*path, "from"), problem, "leave `from` out", key=True)
            return None
        places = INTO.get(spec.kind)
        if places is None:
            holders = " or a ".join(known for known in INTO if known in device_kinds())
            document.wrong((*path, "to"), f"'{device}' is a {spec.kind}, which holds no shards", f"write a {holders}")
            return None
        into = line.into if "into" in line.model_fields_set else places[0]
        if into not in places:
            remedy = f"write into: {' or '.join(places)}"
            document.wrong((*path, "into"), f"a {spec.kind} holds no shards in {into}", remedy)
            return None
        if into == "page_cache" and spec.kind == "nvme" and spec.node is None:
            document.wrong(
                (*path, "into"), f"'{device}' sits in no node, so no page cache lies above it", "write into: media"
            )
            return None
        waits = ("completion",) if spec.kind == "object_store" else SYNC[into]
        sync = line.sync if "sync" in line.model_fields_set or line.sync in waits else "completion"
        if sync not in waits:
            remedy = f"write sync: {' or '.join(waits)}"
            where = "an object store" if spec.kind == "object_store" else into
            document.wrong((*path, "sync"), f"a writer into {where} cannot wait for {sync}", remedy)
            return None
        if into in ("pmem", "hbm") or sync in ("read_after_write", "rdma_flush", "ack") or line.path is not None:
            with_nic = {other.node for other in self.hardware.devices.values() if other.kind == "nic"}
            if spec.node == origin.node or not {spec.node, origin.node} <= with_nic or spec.kind not in ("host", "gpu"):
                what = f"into: {into}" if into in ("pmem", "hbm") else f"sync: {sync}"
                what = f"path: {line.path}" if line.path is not None else what
                problem = f"{what} is for RDMA, which needs the memory of another node and a nic in both"
                document.wrong((*path, "to"), problem, "write node: next, and a nic in the nodes")
                return None
            if sync == "none":
                document.wrong((*path, "sync"), f"path: {line.path} is for RDMA, which completes", "write completion")
                return None
        direct = line.path == "gpudirect" or (line.path is None and into == "hbm")
        if direct and into != "hbm" and origin.kind != "gpu":
            document.wrong((*path, "path"), f"neither '{source}' nor '{device}' is a GPU", "leave `path` out", key=True)
            return None
        if into == "hbm" and not direct:
            document.wrong((*path, "path"), "into: hbm is written by RDMA straight into the GPU", "write gpudirect")
            return None
        if into == "pmem" and getattr(spec.params, "pmem", None) is None:
            remedy = "write pmem: {size: 1TB, bandwidth: 8GB/s} for that host"
            document.wrong((*path, "into"), f"'{device}' has no persistent memory", remedy)
            return None
        memory = getattr(origin.params, "hbm", None)
        if line.size is not None and memory is not None and line.size > memory:
            problem = f"{format_size(line.size)} cannot come from '{source}', whose memory is {format_size(memory)}"
            document.wrong((*path, "size"), problem, "write a smaller shard, or the GPU's `hbm`")
            return None
        return into, sync, "gpudirect" if direct else "bounce"

    def _add(self, line: Shards, path: Path, source: str | None, device: str, how: tuple[str, str, str]) -> bool:
        owner = source if source is not None else device
        if line.copies == 0:
            shard = _Shard(len(self._shards), line.size or 0)
            self._shards.append(shard)
            self._newest[owner] = shard
        else:
            found = self._newest.get(owner)
            if found is None:
                self.document.wrong(
                    (*path, "copy"),
                    f"'{owner}' has no shard yet that this could be a copy of",
                    "write the line of the first copy (without `copy`) before it",
                )
                return False
            if line.copies in found.copies:
                self.document.wrong(
                    (*path, "copy"),
                    f"there is a copy {line.copies} of the shard of '{owner}' already",
                    f"write copy: {max(found.copies) + 1}",
                )
                return False
            if line.size is not None and line.size != found.size_bytes:
                self.document.wrong((*path, "size"), "a copy is as large as what it is a copy of", "leave `size` out")
                return False
            if device in found.devices:
                problem = f"'{device}' holds a copy of this shard already; the two would be lost together"
                self.document.wrong((*path, "to"), problem, "name another node or device")
                return False
            shard = found
        shard.copies.add(line.copies)
        shard.devices.add(device)
        part = f"shard{shard.number}" + (f".copy{line.copies}" if line.copies else "")
        self._placed.append(ShardSpec(part, shard.number, line.copies, source, device, shard.size_bytes, *how))
        return True

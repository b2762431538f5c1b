"""A small machine for the tests of devices: one node with a host, a GPU, a drive and a NIC, and a peer node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import builders
import simpy

from hwsim.contents import NOTHING, Contents
from hwsim.domain import PersistenceDomain, World
from hwsim.flow import FlowNetwork
from hwsim.strikes import expanded, taken
from hwsim.trace import Record

PS = builders.PS
US = 10**6  # ps
MS = 10**9  # ps
MIB = 1 << 20

HOST: Mapping[str, Any] = {"memory_bandwidth": "100GB/s", "reboot_time": "10s"}
GPU: Mapping[str, Any] = {"hbm": "80GB", "d2h": "50GB/s", "reset_time": "2s"}
NVME: Mapping[str, Any] = {
    "write": "4GB/s", "read": "8GB/s", "write_latency": "20us", "flush": "1ms", "command": "128KiB", "queue_depth": 4,
    "lba": "4KiB", "awun": 1, "awupf": 1, "vwc": True, "cache": "64MiB", "drain": "2GB/s", "cache_hold": "1s",
    "plp": False, "reset_time": "1s",
}  # fmt: skip


class Bench:
    """node0 (host, gpu, nvme, nic) and node1 (host, nvme); `nvme` and `host` change figures of node0's."""

    def __init__(
        self, nvme: Mapping[str, Any] | None = None, host: Mapping[str, Any] | None = None, *, seed: int = 1
    ) -> None:
        self.env = simpy.Environment()
        self.rows: list[Any] = []
        self.world = World(self.env, self.rows, seed, FlowNetwork(self.env))
        self.host = self._add("node0/host", "host", {**HOST, **(host or {})})
        self.gpu = self._add("node0/gpu", "gpu", GPU)
        self.nvme = self._add("node0/nvme", "nvme", {**NVME, **(nvme or {})})
        self.nic = self._add("node0/nic", "nic", {"reset_time": "1s"})
        self.peer = self._add("node1/host", "host", HOST)
        self.far = self._add("node1/nvme", "nvme", NVME)

    def _add(self, name: str, kind: str, params: Mapping[str, Any]) -> Any:
        node = name.partition("/")[0]
        made = builders.device(name, kind, node, **params).params
        return PersistenceDomain.registry[kind](self.world, name, made, node=node, host=f"{node}/host")

    def outside(self, name: str, kind: str, **params: Any) -> Any:
        """A device that sits in no node."""
        return PersistenceDomain.registry[kind](self.world, name, builders.device(name, kind, None, **params).params)

    # time

    def run(self, duration_ps: int) -> None:
        """Let so much time pass."""
        self.env.run(until=int(self.env.now) + duration_ps)

    def finish(self, operation: Any) -> None:
        """Run until it is done."""
        self.env.run(operation.done)

    # parts

    def part(self, store: Any, into: str = "media", name: str = "shard") -> str:
        """A part that lies on *store*."""
        self.world.holdings.stacks[name] = store.stack_for(into)
        return name

    def durable(self, store: Any, part: str, slot: str, epoch: int, size_bytes: int) -> None:
        """Write *epoch* and wait until it is on the media, whatever the drive says of its flushes."""
        self.finish(store.write(part, slot, epoch, size_bytes, sync="flush"))
        self.run(10 * PS)

    def holds(self, part: str, slot: str = "0") -> Contents:
        """What a reader finds now."""
        return self.world.holdings.read(part, slot)

    def at(self, place: str, part: str = "shard", slot: str = "0") -> Contents | None:
        """What one place holds."""
        return self.world.holdings.at(place, part, slot)

    def records(self, *events: str) -> list[Record]:
        """The rows of these events."""
        return [record for record in map(Record._make, self.rows) if record.event in events]

    # crashes

    def takes(self, kind: str, targets: Sequence[str]) -> frozenset[str]:
        """What such a strike takes."""
        return taken(kind, targets, self.world.domains)

    def would_find(self, part: str, slot: str, takes: frozenset[str]) -> Contents:
        """What a reader may find once *takes* are gone: read off entries and needs, with nothing drawn."""
        world, found = self.world, set()
        for place in world.holdings.stacks[part]:
            held = world.holdings.at(place, part, slot)
            if held is None or world.needs[place] & takes:
                continue
            found |= held
            if not world.doubts.get(place, frozenset()) & takes:
                return frozenset(found)
        return frozenset(found | {NOTHING})

    def strike(self, kind: str, targets: Sequence[str]) -> None:
        """The strike itself, as a fault of a running simulation does it: tokens first, then every device stops."""
        self.world.holdings.strike(self.takes(kind, targets), self.world.stream("strikes"))
        self.stop(kind, targets)

    def stop(self, kind: str, targets: Sequence[str]) -> None:
        """Only the second half of a strike."""
        for device, crash in expanded(kind, targets, self.world.domains):
            device.stop(crash)

    def restore(self, *names: str) -> None:
        """Let devices serve again."""
        for name in names:
            self.world.domains[name].restore()


NODE0 = ("node0/host", "node0/gpu", "node0/nvme", "node0/nic")
NODE1 = ("node1/host", "node1/nvme")

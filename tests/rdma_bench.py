"""Two nodes for the tests of RDMA: node0 writes over a wire and its queue pair into a memory of node1."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from bench import MIB, Bench

from hwsim.link import EthernetLink, EthernetParams
from hwsim.queue_pair import QueuePair, Registration
from hwsim.remote_memory import RemoteMemory

MS = 10**9  # ps
OLD, NEW = 1, 2
SIZE = 64 * MIB  # over 8 GB/s: 8.4 ms
HOST: Mapping[str, Any] = {"pmem": {"size": "1TB", "bandwidth": "8GB/s"}, "eviction": "100ms"}
NIC: Mapping[str, Any] = {"reset_time": "1s", "placement": "10ms"}


class RdmaBench(Bench):
    """node1's host, gpu and nic hold what node0's host writes; `link` is all that lies between."""

    def __init__(self, into: str, *, host: Mapping[str, Any] | None = None, nic: Mapping[str, Any] | None = None,
                 seed: int = 1, connect_ps: int = 0, registration_ps: int = 0, retry_ps: int | None = None) -> None:
        super().__init__(seed=seed)
        for name in ("node1/host", "node1/nvme"):
            del self.world.domains[name]
        self.peer = self._add("node1/host", "host", {**HOST, **(host or {})})
        self.far = self._add("node1/nvme", "nvme", {"write": "4GB/s", "awun": 1, "awupf": 1, "lba": "4KiB",
                                                    "write_latency": "20us", "flush": "1ms", "command": "128KiB",
                                                    "queue_depth": 4, "vwc": True, "cache": "64MiB", "plp": False,
                                                    "read": "8GB/s", "drain": "2GB/s"})
        self.far_gpu = self._add("node1/gpu", "gpu", {"hbm": "80GB", "d2h": "50GB/s"})
        self.far_nic = self._add("node1/nic", "nic", {**NIC, "registration": f"{registration_ps}ps", **(nic or {})})
        params = EthernetParams.model_validate({"kind": "ethernet", "rate": "64Gb/s", "delay": "0s"})
        self.link = EthernetLink("wire", "node0/nic", "node1/nic", params, self.env, self.world.flows,
                                 self.world.stream)
        for end in ("node0/nic", "node1/nic"):
            domain = self.world.domains[end]
            domain.on_stop.append(lambda _kind, end=end: self.link.end_stopped(end))
            domain.on_restore.append(lambda end=end: self.link.end_restored(end))
        self.memory = RemoteMemory(self.far_gpu if into == "hbm" else self.peer, self.far_nic, into)
        self.own = Registration(registration_ps)
        tokens = [f"node0/host:{aspect}" for aspect in ("process", "kernel", "power")]
        self.queue_pair = QueuePair(
            self.world, "node0/host", self.memory.name, own=self.own, remote=self.memory.region, links=[self.link],
            dies_with=[*tokens, "node0/nic:engine", "node0/nic:power"], connect_ps=connect_ps, retry_limit_ps=retry_ps,
        )  # fmt: skip
        self.memory.queue_pairs["node0/host"] = self.queue_pair
        self.shard = self.part(self.memory, into)

    def send(self, epoch: int = NEW, *, sync: str = "completion", size: int = SIZE, slot: str = "0") -> Any:
        """Post a write of *epoch*."""
        return self.memory.write(self.shard, slot, epoch, size, pipes=(self.link.ways["node0/nic"].pipe,), sync=sync,
                                 owner="node0/host")

    def settled(self, epoch: int = OLD, *, size: int = SIZE, slot: str = "0") -> None:
        """Write *epoch*, and wait until it rests in memory."""
        self.finish(self.send(epoch, sync="ack", size=size, slot=slot))
        self.run(10**12)
        assert not self.memory.under_way

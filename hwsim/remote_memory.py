"""A host's memory as the RDMA writes of another host reach it, and when such a write is safe.

A write is *completed* once the responder's NIC has it and says so; *placed* once it has left the NIC for the
last-level cache (DDIO on) or the memory controller (DDIO off), `placement` later; *persisted* once it lies in
the persistence domain: memory and its controller (dmp), the caches too (mhp), or the whole system with its NICs
(wsp).  What each `sync` waits for:

- completion: the NIC's acknowledgement;
- read_after_write: a READ behind the write, which pushes it out of the NIC and no further;
- rdma_flush: the FLUSH operation with persistence, answered once the bytes are in the persistence domain;
- ack: a message to the process there, which flushes the caches over those bytes and answers.

Which of them suffices where is in no table: it follows from what the places need.  A warm reboot leaves it
in doubt what NIC and caches still brought to persistent memory.

Source: InfiniBand Architecture Specification, volume 1, release 1.5 (FLUSH); draft-talpey-rdma-commit; Correct,
Fast Remote Persistence, arXiv 1909.02092 (persistence domains and DDIO).

Not modelled: queue pairs and completions as objects; a cache of limited size; two writes of one slot under way.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from hwsim.contents import TORN_FOR_SURE, Contents, surely, whole
from hwsim.domain import IOLost, PersistenceDomain

if TYPE_CHECKING:
    import simpy

    from hwsim.flow import Flow, Pipe

SYNCS = ("completion", "read_after_write", "rdma_flush", "ack")


class RemoteMemory:
    """The memory of *host* behind its *nic*, `into` dram or pmem."""

    def __init__(self, host: PersistenceDomain, nic: PersistenceDomain, into: str) -> None:
        self.host = host
        self.name = host.name
        self.world = host.world
        self.placement = nic.params.placement
        self.eviction = None
        world, params = self.world, host.params
        lives = [f"{host.name}:kernel", f"{host.name}:power"]
        power = [f"{host.name}:power", f"{nic.name}:power"]
        self.receives = frozenset((*lives, f"{nic.name}:engine", f"{nic.name}:power"))
        reboot = [f"{host.name}:caches"]  # taken by a warm reboot alone
        cache: str | None = None
        self.pipes: tuple[Pipe, ...] = ()
        if into == "dram":
            buffer = nic.add_place("buffer.dram", ["engine", "power", *lives])
            memory = f"{host.name}:dram"
            pipe = getattr(host, "memory", None)
            self.pipes = () if pipe is None else (pipe,)
        else:
            domain = params.persistence_domain
            buffer = nic.add_place("buffer.pmem", ["buffer", *(power if domain != "wsp" else ())], doubts=reboot)
            memory = host.add_place("pmem", ["pmem"])
            pmem = getattr(host, "_pmem_pipe", None) or world.flows.pipe(f"{host.name} pmem", params.pmem.bandwidth)
            host._pmem_pipe = pmem  # type: ignore[attr-defined]
            if params.ddio:
                cache = host.add_place("llc", ["power"] if domain == "dmp" else ["pmem"], doubts=reboot)
                self.eviction = params.eviction
                self.write_back = (pmem,)
            else:
                self.pipes = (pmem,)
        self.buffer, self.cache, self.memory = buffer, cache, memory
        self.seen = cache or memory  # where a placed write lies
        self.stack = tuple(place for place in (buffer, cache, memory) if place is not None)
        self.volatile = frozenset(place for place in self.stack if world.needs[place] & set(power))
        self.under_way: dict[_RemoteWrite, None] = {}
        self.placements = world.stream("placement", nic.name, host.name)
        self.evictions = world.stream("eviction", host.name)
        world.holdings.on_strike.append(self._struck)

    @property
    def up(self) -> bool:
        """Whether the host serves."""
        return self.host.up

    @property
    def on_restore(self) -> list[Callable[[], None]]:
        """Told when the host serves again."""
        return self.host.on_restore

    def stack_for(self, into: str) -> tuple[str, ...]:
        """The NIC's buffer, the cache where DDIO fills it, the memory."""
        return self.stack

    def write(self, part: str, slot: str, epoch: int, size_bytes: int, *, pipes: Sequence[Pipe] = (),
              sync: str = "completion", into: str = "dram", owner: str = "") -> Any:
        """Write *epoch*; done once *sync* holds, as the initiator learns of it."""
        return _RemoteWrite(self, part, slot, epoch, size_bytes, pipes, sync)

    def _struck(self, takes: frozenset[str]) -> None:
        if any(takes & self.world.needs[place] for place in self.stack) or takes & self.receives:
            for write in list(self.under_way):
                write.lose(takes)


class _RemoteWrite:
    """One write, from its first byte at the responder until it rests in memory."""

    def __init__(self, remote: RemoteMemory, part: str, slot: str, epoch: int, size_bytes: int,
                 pipes: Sequence[Pipe], sync: str) -> None:
        self.remote = remote
        self.key = (part, slot)
        self.epoch = epoch
        self.size_bytes = size_bytes
        self.sync = sync
        self.env = remote.world.env
        self.done: simpy.Event = self.env.event()
        self._moving = True  # NIC and cache go on bringing it down
        self._flushing = False
        remote.under_way[self] = None
        delay = remote.placement
        self._delay = 0 if delay is None else delay.draw(remote.placements)
        self.flow: Flow = remote.world.flows.start((*pipes, *remote.pipes), size_bytes)
        self._put("begun", remote.buffer, TORN_FOR_SURE)
        self._later(self._delay, lambda: self._partly(remote.seen))
        assert self.flow.done.callbacks is not None
        self.flow.done.callbacks.append(self._received)

    def _later(self, delay_ps: int, action: Callable[[], None]) -> None:
        self.env.timeout(delay_ps).callbacks.append(lambda _: action() if self._moving else None)

    def _at(self, place: str) -> Contents | None:
        return self.remote.world.holdings.at(place, *self.key)

    def _put(self, event: str, place: str, contents: Contents | None) -> None:
        self.remote.world.holdings.put(event, place.partition(":")[0], place, *self.key, contents, epoch=self.epoch,
                                       size_bytes=self.size_bytes)

    def _whole(self, place: str) -> None:
        self._put("completed" if place in self.remote.volatile else "persisted", place, whole(self.epoch))

    def _partly(self, place: str) -> None:
        if self._at(place) != whole(self.epoch) and self._at(self.remote.buffer) is not None:
            self._put("begun", place, TORN_FOR_SURE)

    def _received(self, event: simpy.Event) -> None:
        if not event._ok:
            event.defused = True
            return
        remote = self.remote
        self._whole(remote.buffer)
        safe = remote.buffer not in remote.volatile and remote.memory.endswith(":pmem")
        if self.sync == "completion" or (self.sync == "rdma_flush" and safe):
            self._finish()
        self._later(self._delay, self._placed)

    def _placed(self) -> None:
        remote = self.remote
        if self._at(remote.buffer) != whole(self.epoch):
            self._rest()
            return  # deleted meanwhile
        self._whole(remote.seen)
        self._put("erased", remote.buffer, None)
        if remote.cache is None:
            self._rest()
            self._finish()
        elif self.sync in ("ack", "rdma_flush") and remote.cache in remote.volatile:
            self._flushing = True
            self._put("begun", remote.memory, TORN_FOR_SURE)
            flow = remote.world.flows.start(remote.write_back, self.size_bytes)
            assert flow.done.callbacks is not None
            flow.done.callbacks.append(lambda _: self._evicted() if self._moving else None)
        else:
            self._finish()
            if remote.eviction is not None:
                self._later(remote.eviction.draw(remote.evictions), self._evicted)

    def _evicted(self) -> None:
        remote = self.remote
        assert remote.cache is not None
        if self._at(remote.cache) == whole(self.epoch):
            self._whole(remote.memory)
            self._put("erased", remote.cache, None)
        self._rest()
        self._finish()

    def _rest(self) -> None:
        self._moving = False
        self.remote.under_way.pop(self, None)

    def _finish(self) -> None:
        if not self.done.triggered:
            self.done.succeed(self)

    def lose(self, takes: frozenset[str]) -> None:
        """The responder crashed; what lies there is settled: what survived is what memory then holds."""
        remote, holdings = self.remote, self.remote.world.holdings
        self._rest()
        self._fail()
        found = holdings.read(*self.key)
        held = surely(found)
        if held is not None and held != -1 and not remote.world.needs[remote.memory] & takes:
            for place in remote.stack[:-1]:
                if self._at(place) is not None:
                    self._put("erased", place, None)
            self._put("torn" if held < 0 else "persisted", remote.memory, found)

    def cancel(self) -> None:
        """The initiator is gone: what the responder has received goes on, a part of it stays torn."""
        if self.done.triggered:
            return
        received = not self.flow.active
        self._fail()
        if not received and self._at(self.remote.buffer) is not None:
            self._put("torn", self.remote.seen, TORN_FOR_SURE)
            self._put("erased", self.remote.buffer, None)
            self._rest()

    def _fail(self) -> None:
        self.flow.cancel()
        if not self.done.triggered:
            self.done.fail(IOLost(f"{self.remote.name}: RDMA write of {self.key[0]} lost"))
            self.done.defused = True

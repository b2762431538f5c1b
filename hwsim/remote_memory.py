"""A memory of another node as RDMA writes reach it, what they leave there, and when such a write is safe.

A write is *completed* once the responder's NIC has it and says so, *placed* once it has left the NIC for the
last-level cache (DDIO on) or the memory (DDIO off, a GPU), *persisted* once it lies in the persistence domain:
memory and its controller (dmp), the caches too (mhp), or the whole system with its NICs (wsp).  So it goes down
through levels, and what each `sync` waits for is one of them:

- completion: the NIC's acknowledgement;
- read_after_write: a READ behind the write, which pushes it out of the NIC and no further;
- rdma_flush: the FLUSH operation, answered once the bytes are in the persistence domain;
- ack: a message to the process there, which flushes the caches over those bytes and answers.  (Of a GPU's memory
  it makes the bytes visible within its scope.  That adds nothing to what a crash leaves.)

Which of them suffices where is in no table: it follows from what the levels need.  Nobody orders the way down:
while a level holds bytes that are not surely below it, every lower one may hold any part of them.

While bytes arrive a crash finds the old content or a part of the new; later, where the upper levels are lost, the
old, the new or a part of it.  A queue pair in error or an initiator that died leaves the same, for good.

Source: InfiniBand Architecture Specification, volume 1, release 1.5 (FLUSH); draft-talpey-rdma-commit; Correct,
Fast Remote Persistence, arXiv 1909.02092 (persistence domains and DDIO); CUDA Driver API,
cuFlushGPUDirectRDMAWrites (visibility within a scope); Compute Express Link Specification 3.1, section 9.8
(global persistent flush).

Not modelled: a cache of limited size; atomic writes of 8 bytes; that a queue pair keeps order across slots (there
its writes share the bandwidth instead).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from hwsim.contents import NOTHING_FOR_SURE, TORN, TORN_FOR_SURE, Contents, either, whole
from hwsim.domain import IOLost
from hwsim.queue_pair import QueuePair, Registration

if TYPE_CHECKING:
    import random

    import simpy

    from hwsim.distributions import Distribution
    from hwsim.flow import Flow, Pipe

SYNCS = ("completion", "read_after_write", "rdma_flush", "ack")
_PACKET = 4096  # bytes; the largest MTU of InfiniBand: nothing of a packet is placed before all of it is there


class Level(NamedTuple):
    """One place on the way down: how long what it has takes at most to the next one (None: for ever, unless pushed),
    what a push crosses, and whether the bytes are taken to be safe here.
    """

    place: str
    leaves: Distribution | None = None
    draws: random.Random | None = None
    pushed_through: tuple[Pipe, ...] | None = None  # None: a push only waits
    safe: bool = False


class RemoteMemory:
    """The memory of *device* (a host, `into` dram or pmem, or a GPU, `into` hbm) behind the *nic* of its node."""

    def __init__(self, device: Any, nic: Any, into: str) -> None:
        self.device = device
        self.nic = nic
        self.name = device.name
        self.into = into
        self.world = device.world
        self.queue_pairs: dict[str, QueuePair] = {}  # initiator's host -> its connection
        self.region = Registration(nic.params.registration)
        self.host: Any = self.world.domains[device.host or device.name]
        self.pipes: tuple[Pipe, ...] = ()
        self.receives = frozenset(
            (*(f"{self.host.name}:{aspect}" for aspect in ("kernel", "power")),
             *(f"{nic.name}:{aspect}" for aspect in ("engine", "power")), *(f"{device.name}:engine",))
        )
        self.levels = self._persistent() if into == "pmem" else self._volatile(into)
        self.stack = tuple(level.place for level in self.levels)
        self.under_way: dict[_RemoteWrite, None] = {}
        self.world.holdings.on_strike.append(self._struck)
        nic.on_forget.append(self._forget)

    def _arrival(self, buffer: str, *, safe: bool = False) -> Level:
        placement = self.nic.params.placement
        return Level(buffer, placement, self.world.stream("placement", self.nic.name, self.name), safe=safe)

    def _volatile(self, into: str) -> tuple[Level, ...]:
        """Memory that dies with its host, or its GPU: so does what the NIC has for it."""
        if into == "hbm":
            memory, key = self.device.hbm, f"buffer.{self.name.rpartition('/')[2]}"
            needs = self.world.needs[memory]
            self.pipes = (self.device.h2d,)
        else:
            memory, key = f"{self.name}:dram", "buffer.dram"
            needs = frozenset((f"{self.name}:kernel", f"{self.name}:power"))
            self.pipes = () if self.device.memory is None else (self.device.memory,)
        return self._arrival(self.nic.add_place(key, ["engine", "buffer", "power", *sorted(needs)])), Level(memory)

    def _persistent(self) -> tuple[Level, ...]:
        host, nic, params = self.host, self.nic, self.host.params
        power = [f"{host.name}:power", f"{nic.name}:power"]
        domain, cxl = params.persistence_domain, params.pmem.cxl
        buffer = nic.add_place("buffer.pmem", ["buffer", *(power if domain != "wsp" else ())])
        levels = [self._arrival(buffer, safe=domain == "wsp")]
        if params.ddio:
            # "caches" is what a warm reboot alone takes: whether it writes them back is open
            cache = host.add_place("llc", ["power"] if domain == "dmp" else ["pmem"], doubts=["caches"])
            evictions = self.world.stream("eviction", host.name)
            levels.append(Level(cache, params.eviction, evictions, (host.pmem_pipe,), safe=domain != "dmp"))
        else:
            self.pipes = (host.pmem_pipe,)
        if cxl is not None:
            drains = self.world.stream("drain", host.name)
            unsure = () if cxl.gpf == "ok" else ["power"]
            levels.append(Level(host.add_place("pmem.buffer", ["pmem"], doubts=unsure), cxl.drain, drains, safe=True))
        levels.append(Level(host.add_place("pmem", ["pmem"]), safe=True))
        return tuple(levels)

    @property
    def up(self) -> bool:
        """Whether the memory's device serves."""
        return bool(self.device.up)

    @property
    def on_restore(self) -> list[Callable[[], None]]:
        """Told when the device serves again."""
        return self.device.on_restore  # type: ignore[no-any-return]

    def stack_for(self, into: str) -> tuple[str, ...]:
        """The NIC's buffer, the cache where DDIO fills it, the memory."""
        return self.stack

    def waits_for(self, sync: str) -> int:
        """The level that must have a write before its initiator is told."""
        if sync == "completion":
            return 0
        safe = next((depth for depth, level in enumerate(self.levels) if level.safe), 1)
        return {"read_after_write": 1, "rdma_flush": safe, "ack": max(1, safe)}[sync]

    def write(self, part: str, slot: str, epoch: int, size_bytes: int, *, pipes: Sequence[Pipe] = (),
              sync: str = "completion", into: str = "dram", owner: str = "") -> Any:
        """Write *epoch*; done once *sync* holds, as the initiator *owner* learns of it.

        `done` fails with `IOFailed` where the queue pair breaks: what lies there then, the initiator cannot tell.
        """
        assert self.into != "pmem" or size_bytes <= self.host.params.pmem.size, f"{part} does not fit into {self.name}"
        if owner not in self.queue_pairs:
            own = Registration(0)
            self.queue_pairs[owner] = QueuePair(self.world, owner, self.name, own=own, remote=self.region)
        return _RemoteWrite(self, self.queue_pairs[owner], part, slot, epoch, size_bytes, pipes, self.waits_for(sync))

    def event_at(self, depth: int) -> str:
        """What the trace calls a write that a level has whole."""
        level = self.levels[depth]
        sure = level.safe and f"{self.host.name}:power" not in self.world.doubts.get(level.place, ())
        return "persisted" if sure else "completed"

    def _count_dirty_shutdown(self) -> None:
        """The flush failed when the power went: where something was on its way, its device counts that."""
        buffer = self.levels[-2].place
        if any(self.world.holdings.at(buffer, *write.key) is not None for write in self.under_way):
            self.host.dirty_shutdowns += 1
            self.world.record("dirty_shutdown", self.name, detail=str(self.host.dirty_shutdowns))

    def _forget(self, part: str, slot: str) -> None:
        """A delete: nothing of it comes down any more."""
        for write in [write for write in self.under_way if write.key == (part, slot)]:
            write.drop()

    def _struck(self, takes: frozenset[str]) -> None:
        world = self.world
        hit = takes & self.receives or any(
            takes & (world.needs[place] | world.doubts.get(place, frozenset())) for place in self.stack
        )
        if not hit:
            return
        if f"{self.host.name}:power" in takes & world.doubts.get(self.stack[-2], frozenset()):
            self._count_dirty_shutdown()
        for write in list(self.under_way):
            write.lose(takes)
        self.region.valid = False
        for queue_pair in self.queue_pairs.values():
            if queue_pair.connected:
                queue_pair.fail("the responder crashed")


class _RemoteWrite:
    """One write, from its posting until it rests in memory."""

    def __init__(self, remote: RemoteMemory, queue_pair: QueuePair, part: str, slot: str, epoch: int,
                 size_bytes: int, pipes: Sequence[Pipe], awaited: int) -> None:
        self.remote = remote
        self.queue_pair = queue_pair
        self.key = (part, slot)
        self.epoch = epoch
        self.size_bytes = size_bytes
        self.env = remote.world.env
        self.done: simpy.Event = self.env.event()
        self.flow: Flow | None = None
        self._pipes = pipes
        self._awaited = awaited  # the level that must have all of it before the initiator is told
        self._contents = whole(epoch)  # what comes down: all of it, or a part
        self._placing = False  # the responder has a packet of it
        self._arrived = False  # it has all of it
        self._moving = True  # it goes on to bring it down
        self._followers: list[Callable[[], None]] = []  # what is sent once nothing of this one is on its way any more
        self._before: list[Contents] = []  # what a reader found at each level before
        self._overtaken: list[_RemoteWrite] = []  # older ones of the slot: answered where this one has come as far
        remote.under_way[self] = None
        queue_pair.post(self, self._send)

    def _send(self) -> None:
        """Send it, behind an older write of the slot that is still arriving: a queue pair keeps order."""
        older = [write for write in self.remote.under_way if write.key == self.key]
        older = [write for write in older[: older.index(self)] if not write._arrived]
        if older:
            older[-1]._followers.append(self._start)
        else:
            self._start()

    def _start(self) -> None:
        """The first bytes leave for the responder."""
        if self.done.triggered:
            return
        remote = self.remote
        top = remote.stack[0]
        self._put("begun", top, remote.world.holdings.at(top, *self.key))
        marks = [(_PACKET, self._place)] if self.size_bytes > _PACKET else []
        self.flow = remote.world.flows.start((*self._pipes, *remote.pipes), self.size_bytes, milestones=marks)
        assert self.flow.done.callbacks is not None
        self.flow.done.callbacks.append(self._received)

    def _place(self) -> None:
        """The first packet is there, of several or of one: from now on any part of what has come may be anywhere."""
        remote = self.remote
        for older in [write for write in remote.under_way if write.key == self.key and write._arrived]:
            older.overtaken_by(self)
        self._placing = True
        self._before = [self._found_from(depth) for depth in range(len(remote.stack))]
        self._put("advanced", remote.stack[0], TORN_FOR_SURE)
        for place, before in zip(remote.stack[1:], self._before[1:], strict=True):
            self._put("begun", place, either(before, TORN))

    def _found_from(self, depth: int) -> Contents:
        """What a reader finds who cannot ask the levels above *depth*."""
        for place in self.remote.stack[depth:]:
            held: Contents | None = self.remote.world.holdings.at(place, *self.key)
            if held is not None:
                return held
        return NOTHING_FOR_SURE

    def _put(self, event: str, place: str, contents: Contents | None) -> None:
        self.remote.world.holdings.put(event, place.partition(":")[0], place, *self.key, contents, epoch=self.epoch,
                                       size_bytes=self.size_bytes)

    def _received(self, event: simpy.Event) -> None:
        if not event._ok:
            event.defused = True
            return
        if not self._placing:
            self._place()
        for place, before in zip(self.remote.stack[1:], self._before[1:], strict=True):
            self._put("advanced", place, either(before, TORN, self.epoch))
        self._arrived = True
        self._reach(0)
        self._let_follow()

    def _reach(self, depth: int) -> None:
        """The level at *depth* has all that comes, and the one above nothing any more."""
        remote, level = self.remote, self.remote.levels[depth]
        event = "torn" if self._contents == TORN_FOR_SURE else remote.event_at(depth)
        self._put(event, level.place, self._contents)
        if depth:
            self._put("erased", remote.stack[depth - 1], None)
        asked = (*self._overtaken, self)
        for write in asked:
            if depth == write._awaited:
                write.queue_pair.answer(write, write._finish)
        if depth == len(remote.stack) - 1:
            self._rest()
        elif depth < max(write._awaited for write in asked) and level.pushed_through is not None:
            flow = remote.world.flows.start(level.pushed_through, self.size_bytes)
            assert flow.done.callbacks is not None
            flow.done.callbacks.append(lambda _: self._leave(depth))
        elif level.leaves is not None:
            assert level.draws is not None
            self.env.timeout(level.leaves.draw(level.draws)).callbacks.append(lambda _: self._leave(depth))
        elif not depth:
            self._leave(depth)  # a NIC without a time of its own passes it on at once

    def _let_follow(self) -> None:
        followers, self._followers = self._followers, []
        for start in followers:
            start()

    def _leave(self, depth: int) -> None:
        if self._moving:
            self._reach(depth + 1)

    def _rest(self) -> None:
        self._moving = False
        self.remote.under_way.pop(self, None)

    def _finish(self) -> None:
        if not self.done.triggered:
            self.done.succeed(self)

    def overtaken_by(self, newer: _RemoteWrite) -> None:
        """The slot is overwritten: what comes down from now on is the newer one, and its answer does for both."""
        self._rest()
        newer._overtaken += [write for write in (*self._overtaken, self) if not write.done.triggered]

    def drop(self) -> None:
        """It was deleted: nothing comes down any more."""
        self._rest()
        self._fail(self._lost())

    def lose(self, takes: frozenset[str]) -> None:
        """The responder crashed: what survived (a doubt is settled already) is what memory then holds."""
        remote, holdings = self.remote, self.remote.world.holdings
        self._rest()
        self._fail(self._lost())
        if not self._placing:
            return
        found = holdings.read(*self.key)
        bottom = len(remote.stack) - 1
        if found == NOTHING_FOR_SURE or remote.world.needs[remote.stack[bottom]] & takes:
            return
        self._put("torn" if found == TORN_FOR_SURE else remote.event_at(bottom), remote.stack[bottom], found)
        for place in remote.stack[:bottom]:
            if holdings.at(place, *self.key) is not None:
                self._put("erased", place, None)

    def cancel(self) -> None:
        """The initiator is gone, and its queue pair with it."""
        self._cut()
        self._fail(self._lost())

    def flush(self, why: str) -> None:
        """The queue pair is in error: the same to the responder, and an error to the initiator."""
        self._cut()
        self._fail(self.remote.device.failed("ETIMEDOUT", *self.key, self.epoch))

    def _cut(self) -> None:
        """No further byte comes: what was received whole goes on, and so does a part of it, if there is one."""
        if self.done.triggered or not self._moving or (self.flow is not None and not self.flow.active):
            return
        if self._placing:
            self._contents = TORN_FOR_SURE
            self._awaited = 0
            self._reach(1)
        else:
            self._rest()

    def _lost(self) -> IOLost:
        return IOLost(f"{self.remote.name}: RDMA write of {self.key[0]} lost")

    def _fail(self, error: Exception) -> None:
        self.queue_pair.withdraw(self)
        if self.flow is not None:
            self.flow.cancel()
        for write in (*self._overtaken, self):
            if not write.done.triggered:
                write.queue_pair.withdraw(write)
                write.done.fail(error)
                write.done.defused = True
        self._let_follow()

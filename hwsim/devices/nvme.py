"""An NVMe drive: a queue of commands, a volatile write cache (with or without capacitors), and media.

A shard's bytes are commands of at most `command` bytes, `queue_depth` of which are fetched ahead.
Three places follow one another: `queue` (commands fetched and not completed: the kernel resubmits
them as long as it lives), `cache` (completed) and `media`.  What each may hold is kept exact as the
transfer goes on:

- one command of up to AWUPF blocks leaves the old or the new content; above it, or of several
  commands, a mix as well;
- a completed write lies in the cache until a Flush that came after it, or the drain, brings it to
  the media; which of its blocks are there before that is anybody's guess, except that no more
  than the cache's size can be missing;
- the order of commands is free, and a Flush covers exactly the writes completed before it.

Power takes the cache, unless capacitors hold it; a controller reset takes only the commands in
flight.  All five conditions of 2.1.4.2 must hold for a completed write to be lost: a volatile cache,
enabled, no FUA, no later Flush, and the loss of main power.

Source: NVM Command Set specification 1.0, 2.1.4 (atomicity: AWUN, AWUPF; 2.1.4.2 for the cache);
NVM Express base specification 2.0, 3.7 (controller reset), 5.27.1.4 (volatile write cache feature),
SMART critical warning bit 4 (backup device failed).

Not modelled: namespaces, atomic boundaries (NABSPF) and fused commands; wear; bit rot; a drive that
breaks at a power loss.  After a power loss that tore a write, cache and media are taken to agree.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from hwsim.contents import NOTHING, TORN, TORN_FOR_SURE, Contents, either, surely, whole
from hwsim.domain import IOLost, PersistenceDomain, World
from hwsim.quantities import Delay, Duration, Params, Rate, Size
from hwsim.write_cache import WriteCache

if TYPE_CHECKING:
    import simpy

    from hwsim.domain import Operation
    from hwsim.flow import Flow, Pipe


class NvmeParams(Params):
    """Figures of a drive.  A drive without a volatile write cache writes through to the media."""

    kind: Literal["nvme"] = "nvme"
    write: Rate = Field(gt=0, description="sequential writes, as the interface takes them")
    read: Rate = Field(gt=0, description="sequential reads")
    write_latency: Duration = Field(description="of one small write, queue empty")
    flush: Delay = Field(description="of a Flush with nothing in the cache")
    command: Size = Field(gt=0, description="largest command (MDTS, or what the block layer sends)")
    queue_depth: int = Field(ge=1, description="commands fetched ahead of their completion")
    lba: Size = Field(gt=0, description="logical block")
    awun: int = Field(ge=1, description="blocks that are atomic against other commands")
    awupf: int = Field(ge=1, description="blocks that are atomic on a power failure")
    vwc: bool = Field(description="whether there is a volatile write cache, enabled")
    cache: Size | None = Field(default=None, gt=0, description="the cache's size; required with vwc")
    drain: Rate | None = Field(default=None, gt=0, description="from the cache to the media; required with vwc")
    cache_hold: Duration = Field(default=0, description="how long the drive may keep a write in its cache when idle")
    plp: bool = Field(description="power-loss protection: capacitors that save the cache (not in Identify Controller)")
    flush_honoured: bool = Field(default=True, description="false: Flush returns and brings nothing to the media")
    media_latency: Duration = Field(default=0, description="added to a write that must be on the media (FUA)")
    reset_time: Duration | None = Field(default=None, gt=0, description="from a controller reset until it serves again")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.awupf > self.awun:
            raise ValueError(f"awupf {self.awupf} is above awun {self.awun}; a drive's AWUPF is at most its AWUN")
        if self.vwc and (self.cache is None or self.drain is None):
            raise ValueError("a volatile write cache has a size and a drain rate; write cache and drain, or vwc: false")
        return self


class NvmeController(PersistenceDomain, kind="nvme"):
    """One drive."""

    Params = NvmeParams
    CRASHES: ClassVar[Mapping[str, frozenset[str]]] = {
        "controller_reset": frozenset({"commands"}),
        "power_loss": frozenset({"commands", "power"}),
        "media_loss": frozenset({"commands", "power", "media"}),
        "plp_failed": frozenset(),
    }

    def __init__(
        self, world: World, name: str, params: Any, *, node: str | None = None, host: str | None = None
    ) -> None:
        super().__init__(world, name, params, node=node, host=host)
        alive = [] if host is None else [f"{host}:kernel", f"{host}:power"]
        self.queue = self.add_place("queue", ["commands", "power", "media", *alive])
        self.cache = self.add_place("cache", ["media"] if params.plp else ["power", "media"]) if params.vwc else None
        self.media = self.add_place("media", ["media"])
        self.pipe = world.flows.pipe(f"{name} write", params.write)
        self.read_pipe = world.flows.pipe(f"{name} read", params.read)
        self._tank: WriteCache | None = None
        self._media_pipe: Pipe | None = None
        if params.vwc:
            self._tank = WriteCache(world.env, world.flows, self.pipe, params.cache, params.drain)
            self._media_pipe = world.flows.pipe(f"{name} media", params.drain)
        self._blocks: dict[tuple[str, str], _Block] = {}
        self._under_way: dict[_Write | _Flush, None] = {}
        self._flush_draws = world.stream("flush", name)
        self._settle_draws = world.stream("settle", name)

    # what a user of the drive calls

    def stack_for(self, into: str) -> tuple[str, ...]:
        """Queue, cache (where there is one) and media, below the host's page cache for a cached file."""
        own = (self.queue, self.media) if self.cache is None else (self.queue, self.cache, self.media)
        return (self._host_store().page_cache_of(self.name), *own) if into == "page_cache" else own

    def write(
        self,
        part: str,
        slot: str,
        epoch: int,
        size_bytes: int,
        *,
        pipes: Sequence[Pipe] = (),
        sync: str = "none",
        into: str = "media",
        owner: str = "",
    ) -> Operation:
        """Write *epoch*; done when completed (none, completion), on the media (fua), or flushed after that (flush)."""
        if into == "page_cache":
            cached: Operation = self._host_store().write_cached(self, part, slot, epoch, size_bytes, pipes, sync)
            return cached
        operation = _Write(self, part, slot, epoch, size_bytes, pipes, sync)
        operation.start()
        return operation

    def flush(self) -> Operation:
        """Bring every write that has completed by now to the media, and no later one."""
        return _Flush(self)

    def _host_store(self) -> Any:
        assert self.host is not None, f"{self.name} sits in no node: there is no page cache above it"
        return self.world.domains[self.host]

    # crashes

    def stop(self, crash_kind: str) -> None:
        """Power ends everything under way; a reset only pauses it, because the driver sends it again."""
        if crash_kind == "plp_failed":
            if self.cache is not None:
                self.change_needs(self.cache, ["power", "media"])
            self.world.record("plp_failed", self.name)
            return
        if crash_kind == "controller_reset":
            self.world.flows.set_capacity(self.pipe, 0)
            super().stop(crash_kind)
            for block in self._blocks.values():
                block.requeue()
            return
        for operation in list(self._under_way):
            operation.lose()
        holdings = self.world.holdings
        for (part, slot), block in self._blocks.items():
            held = holdings.read(part, slot)
            if held != frozenset((NOTHING,)) and holdings.at(self.media, part, slot) != held:
                newest = surely(held)  # what the capacitors saved goes to the media as the power fades
                block.put("persisted", self.media, held, newest)
        self._blocks.clear()
        if self._tank is not None:
            self._tank.empty()
        self.world.flows.set_capacity(self.pipe, 0)
        super().stop(crash_kind)

    def restore(self) -> None:
        """Serve again; what a reset had paused goes on."""
        self.world.flows.set_capacity(self.pipe, self.params.write)
        super().restore()

    def restore_time(self, crash_kind: str) -> int | None:
        """Its own reset time after a controller reset; after anything else somebody must bring it back."""
        return self.params.reset_time if crash_kind == "controller_reset" else None


class _Block:
    """What lies under one slot: what is surely on the media, and the writes above it that may not be, oldest first."""

    def __init__(self, drive: NvmeController, part: str, slot: str) -> None:
        self.drive = drive
        self.part = part
        self.slot = slot
        held = drive.world.holdings.at(drive.media, part, slot)
        self.base: Contents = frozenset((NOTHING,)) if held is None else held
        self.pending: list[_Write] = []

    def put(
        self, event: str, place: str, contents: Contents | None, epoch: int | None, size: int | None = None
    ) -> None:
        """Set what *place* holds under this slot."""
        self.drive.world.holdings.put(
            event, self.drive.name, place, self.part, self.slot, contents, epoch=epoch, size_bytes=size
        )

    def completed_view(self) -> Contents:
        """What the drive would answer if the commands in flight were gone."""
        contents = self.base
        for write in self.pending:
            contents = whole(write.epoch) if write.completed else write.over(contents, started=write.some_completed)
        return contents

    def media_view(self) -> Contents:
        """What the media may hold."""
        contents = self.base
        for write in self.pending:
            contents = write.over(contents, started=write.some_drained)
        return contents

    def show(self, event: str, write: _Write) -> None:
        """Record what *write* has changed."""
        drive, holdings = self.drive, self.drive.world.holdings
        views = [(drive.media, self.media_view())]
        if drive.cache is not None:
            views.insert(0, (drive.cache, self.completed_view()))
        for place, contents in views:
            if holdings.at(place, self.part, self.slot) != contents:
                sure = contents == whole(write.epoch)
                what = ("persisted" if place == drive.media else "completed") if sure else event
                self.put(what, place, contents, write.epoch, write.size_bytes)

    def forget_through(self, write: _Write) -> None:
        """*write* is on the media for sure: it is the new base, and whatever came before it is history."""
        if write in self.pending:
            del self.pending[: self.pending.index(write) + 1]
            self.base = whole(write.epoch)
            self.show("advanced", write)
            if not self.pending:  # nothing is in doubt: the holdings alone know it
                self.drive._blocks.pop((self.part, self.slot), None)

    def requeue(self) -> None:
        """A reset took the commands; the driver sends them again, and the doubts are what they were."""
        for write in self.pending:
            if not write.completed and write.flow is not None:
                self.put("begun", self.drive.queue, write.fetched_view(), write.epoch, write.size_bytes)
                self.show("begun", write)


class _Write:
    """One write of one slot, of one command or many."""

    def __init__(
        self, drive: NvmeController, part: str, slot: str, epoch: int, size_bytes: int, pipes: Sequence[Pipe], sync: str
    ) -> None:
        params = drive.params
        self.drive = drive
        self.part = part
        self.slot = slot
        self.epoch = epoch
        self.size_bytes = size_bytes
        self.pipes = pipes
        self.sync = sync
        self.done: simpy.Event = drive.env.event()
        self.flow: Flow | None = None
        self.commands = max(1, -(-size_bytes // params.command))
        self.atomic = self.commands == 1 and size_bytes <= params.awupf * params.lba
        self.through = drive.cache is None or sync == "fua"  # its completion means that it is on the media
        self.some_completed = False
        self.some_drained = False
        self.all_fetched = self.commands <= params.queue_depth
        self.completed = False
        self.cancelled = False
        self._flush: Operation | None = None

    def over(self, contents: Contents, *, started: bool) -> Contents:
        """What lies there if this write may have reached it: *started*, some of it surely has."""
        if self.atomic:
            return either(contents, self.epoch)
        below = TORN_FOR_SURE if started else either(contents, TORN)
        return either(below, self.epoch) if self.all_fetched else below

    def fetched_view(self) -> Contents:
        """What it comes to if the commands fetched so far finish and no more are sent."""
        return whole(self.epoch) if self.all_fetched else TORN_FOR_SURE

    def start(self) -> None:
        """Send the first commands."""
        drive, params = self.drive, self.drive.params
        drive._under_way[self] = None
        if not drive.up:
            self.lose()
            return
        block = drive._blocks.get((self.part, self.slot))
        if block is None:
            block = drive._blocks[self.part, self.slot] = _Block(drive, self.part, self.slot)
        self.block = block
        block.pending.append(self)
        block.put("begun", drive.queue, self.fetched_view(), self.epoch, self.size_bytes)
        block.show("begun", self)
        marks: list[tuple[int, Callable[[], None]]] = []
        if self.commands > 1:
            marks.append((params.command, self._first_completed))
            if not self.all_fetched:
                marks.append(((self.commands - params.queue_depth) * params.command, self._last_fetched))
            if not self.through and self.size_bytes > params.cache + params.command:
                marks.append((params.cache + params.command, self._first_drained))
        pipes = [*self.pipes, drive.pipe]
        if self.through and drive._media_pipe is not None:
            pipes.append(drive._media_pipe)
        self.flow = drive.world.flows.start(pipes, self.size_bytes, milestones=marks)
        assert self.flow.done.callbacks is not None
        self.flow.done.callbacks.append(self._moved)

    def _first_completed(self) -> None:
        self.some_completed = True
        self.some_drained = self.some_drained or self.through
        self.block.show("advanced", self)

    def _last_fetched(self) -> None:
        self.all_fetched = True
        self.block.put("advanced", self.drive.queue, self.fetched_view(), self.epoch)
        self.block.show("advanced", self)

    def _first_drained(self) -> None:
        self.some_drained = True
        self.block.show("advanced", self)

    def _moved(self, event: simpy.Event) -> None:
        if not event._ok:
            event.defused = True  # whoever cancelled the flow has told the writer
            return
        params = self.drive.params
        latency = params.write_latency + (params.media_latency if self.through else 0)
        self.drive.env.timeout(latency).callbacks.append(self._complete)

    def _complete(self, _: simpy.Event) -> None:
        drive = self.drive
        if self.cancelled:
            return
        if not drive.up:  # a reset came in between: the command is sent again when the drive serves
            drive.on_restore.append(self._retry)
            return
        self.all_fetched = self.completed = True
        block = self.block
        if drive.world.holdings.at(drive.media, self.part, self.slot) is None:  # erased while under way
            block.put("erased", drive.queue, None, None)
            block.pending.remove(self)
            self._finish()
            return
        if self.through:
            block.forget_through(self)
        block.show("advanced", self)
        block.put("erased", drive.queue, None, None)
        if not self.through and drive._tank is not None:
            wait = max(drive._tank.drain_time_ps(), drive.params.cache_hold)
            drive.env.timeout(wait).callbacks.append(self._drained)
        if self.sync == "flush":
            self._flush = drive.flush()
            assert self._flush.done.callbacks is not None
            self._flush.done.callbacks.append(self._flushed)
        else:
            self._finish()

    def _retry(self) -> None:
        self.drive.on_restore.remove(self._retry)
        self.drive.env.timeout(self.drive.params.write_latency).callbacks.append(self._complete)

    def _drained(self, _: simpy.Event) -> None:
        block = self.drive._blocks.get((self.part, self.slot))
        if block is self.block and self in block.pending:
            if self.drive.world.holdings.at(self.drive.media, self.part, self.slot) is None:
                block.pending.remove(self)
            else:
                block.forget_through(self)

    def _flushed(self, event: simpy.Event) -> None:
        if event._ok:
            self._finish()
        else:
            event.defused = True

    def _finish(self) -> None:
        self.drive._under_way.pop(self, None)
        if not self.done.triggered:
            self.done.succeed(self)

    def lose(self) -> None:
        """The drive crashed; what lies there is settled already."""
        self._end()

    def cancel(self) -> None:
        """The writer is gone: commands fetched finish, the rest is never sent."""
        if self.cancelled or self.done.triggered:
            return
        completed, flush = self.completed, self._flush
        self._end()
        if flush is not None:
            flush.cancel()
        if completed or not hasattr(self, "block"):
            return
        block, drive = self.block, self.drive
        held = self.fetched_view()
        settled = surely(held)
        assert settled is not None
        drive._blocks.pop((self.part, self.slot), None)
        for place in (drive.cache, drive.media):
            if place is not None and drive.world.holdings.at(place, self.part, self.slot) is not None:
                block.put("torn" if settled == TORN else "persisted", place, held, None if settled == TORN else settled)
        block.put("erased", drive.queue, None, None)

    def _end(self) -> None:
        self.cancelled = True
        self.drive._under_way.pop(self, None)
        if self.flow is not None:
            self.flow.cancel()
        if not self.done.triggered:
            self.done.fail(IOLost(f"{self.drive.name}: write of {self.part} lost"))
            self.done.defused = True


class _Flush:
    """One Flush: it covers the writes completed before it was sent."""

    def __init__(self, drive: NvmeController) -> None:
        self.drive = drive
        self.done: simpy.Event = drive.env.event()
        drive._under_way[self] = None
        self._covered = [w for block in drive._blocks.values() for w in block.pending if w.completed]
        wait = drive.params.flush.draw(drive._flush_draws)
        if drive._tank is not None and drive.params.flush_honoured and not drive.params.plp:
            wait += drive._tank.drain_time_ps()
        drive.env.timeout(wait).callbacks.append(self._due)

    def _due(self, _: object) -> None:
        drive = self.drive
        if self.done.triggered:
            return
        if not drive.up:  # a reset: the driver sends it again
            drive.on_restore.append(self._again)
            return
        if drive.params.flush_honoured:
            for write in self._covered:
                write._drained(None)  # type: ignore[arg-type]
        drive._under_way.pop(self, None)
        self.done.succeed(self)

    def _again(self) -> None:
        self.drive.on_restore.remove(self._again)
        self.drive.env.timeout(self.drive.params.flush.draw(self.drive._flush_draws)).callbacks.append(self._due)

    def lose(self) -> None:
        """The drive crashed: the Flush is gone."""
        self.cancel()

    def cancel(self) -> None:
        """Nobody waits for it any more."""
        self.drive._under_way.pop(self, None)
        if not self.done.triggered:
            self.done.fail(IOLost(f"{self.drive.name}: flush lost"))
            self.done.defused = True

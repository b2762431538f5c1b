"""An NVMe drive: a queue of commands, a write cache (with or without capacitors) and media.

A shard's bytes are commands of at most `command` bytes, `queue_depth` of which are fetched ahead of
their completion.  Three places lie below one another: `queue` (what the fetched commands come to if
they finish and no more are sent), `cache` (completed commands) and `media`.  What each may hold is
kept exact while the transfer goes on (see `hwsim.nvme_commands`):

- one command of up to AWUPF blocks that crosses no atomic boundary leaves the old content or the new
  one; a longer one, or several, leave a mix as well;
- a completed write is surely on the media once a Flush that was sent after its completion is done,
  or once the cache has run empty after it and `cache_hold` has passed; before that any of its blocks
  may be missing, but never more than the cache's size;
- the order of commands is free, and writes of one slot that overlap in time end in either's favour.

Power takes the cache unless capacitors hold it; a controller reset takes only commands in flight,
which the driver sends again.  For a completed write to be lost all five conditions of 2.1.4.2 must
hold: a volatile cache, enabled, no FUA, no later Flush, and the loss of main power.  While the
capacitors work, what has completed is recorded as being on the media; once they have failed the
drive knows it (SMART) and is a drive without any: its cache is volatile and its Flush drains it.

A command that fails (`io_error`) leaves each of its blocks old or new, AWUPF honoured; a Flush that fails brings
nothing to the media and drops nothing.  Its file system takes the room of a file (`space`) as a write begins.

Source: NVM Command Set specification 1.0, sections 2.1.4 (AWUN, AWUPF, NABSPF) and 2.1.4.2; NVM
Express base specification 2.0, sections 3.7.2 (controller-level reset), 5.27.1.4 (volatile write cache
feature), 5.16.1.3 (SMART log, critical warning bit 4) and 3.11 (firmware update).

Not modelled: namespaces, fused commands, wear, bit rot, a drive that breaks at a power loss; reads
that compete with writes; pSLC regions; a single block that fails.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from pydantic import Field, model_validator

from hwsim.domain import Failing, PersistenceDomain, World
from hwsim.file_space import FileSpace
from hwsim.nvme_commands import Block, Flush, Write
from hwsim.nvme_firmware import FirmwareSlots
from hwsim.quantities import Delay, Duration, Params, Rate, Size
from hwsim.write_cache import WriteCache

if TYPE_CHECKING:
    from hwsim.domain import Operation
    from hwsim.flow import Pipe

_NEARLY_ONE = 1e-9  # the product of factors and their inverses
_BACKUP_FAILED = 1 << 4  # SMART critical warning: the volatile memory backup device has failed


class FirmwareParams(Params):
    """A drive's firmware: Identify Controller's FRMW, and what runs as the simulation begins."""

    version: str = Field(description="the image in slot 1, which runs at first")
    slots: int = Field(ge=1, le=7, description="slots (FRMW, bits 3:1)")
    first_read_only: bool = Field(default=False, description="whether slot 1 cannot be written (FRMW, bit 0)")
    pause: Duration = Field(default=0, description="how long an activation without a reset stops I/O (at most MTFA)")


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
    awun: int = Field(ge=1, description="blocks that are atomic against other commands; a count, not 0's based")
    awupf: int = Field(ge=1, description="blocks that are atomic on a power failure; a count, not 0's based")
    boundary: int | None = Field(
        default=None, ge=1, description="blocks between atomic boundaries (NABSPF); none: there are no boundaries"
    )
    vwc: bool = Field(description="whether there is a volatile write cache, enabled")
    cache: Size | None = Field(default=None, gt=0, description="the cache's size; required with vwc")
    drain: Rate | None = Field(default=None, gt=0, description="from the cache to the media; required with a cache")
    cache_hold: Duration = Field(default=0, description="how long the drive may keep a completed write in its cache")
    plp: bool = Field(description="power-loss protection: capacitors that save the cache (not in Identify Controller)")
    flush_honoured: bool = Field(default=True, description="false: Flush returns and brings nothing to the media")
    media_latency: Duration = Field(default=0, description="added to a write that must be on the media (FUA)")
    reset_time: Duration | None = Field(default=None, gt=0, description="from a controller reset until it serves again")
    space: Size | None = Field(default=None, gt=0, description="of its file system; none: never full by itself")
    firmware: FirmwareParams | None = Field(default=None, description="its firmware slots; none: not modelled")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.awupf > self.awun:
            raise ValueError(f"awupf {self.awupf} is above awun {self.awun}; a drive's AWUPF is at most its AWUN")
        if self.boundary is not None and self.boundary < self.awupf:
            raise ValueError(f"boundary {self.boundary} is below awupf {self.awupf}; NABSPF is at least AWUPF")
        if self.vwc and (self.cache is None or self.drain is None):
            raise ValueError("a volatile write cache has a size and a drain rate; write cache and drain, or vwc: false")
        if self.cache is not None and self.drain is None:
            raise ValueError("a cache drains at some rate; write drain, or leave cache out")
        return self


class NvmeController(PersistenceDomain, kind="nvme"):
    """One drive."""

    Params = NvmeParams
    CRASHES: ClassVar[Mapping[str, frozenset[str]]] = {
        "controller_reset": frozenset({"commands"}),
        "power_loss": frozenset({"commands", "power"}),
        "media_loss": frozenset({"commands", "power", "media"}),
        "plp_failed": frozenset(),
        "throttled": frozenset(),
        "slow": frozenset(),
        "io_error": frozenset(),
        "no_space": frozenset(),
        "quota_exceeded": frozenset(),
    }

    def __init__(
        self, world: World, name: str, params: Any, *, node: str | None = None, host: str | None = None
    ) -> None:
        super().__init__(world, name, params, node=node, host=host)
        sender = [] if host is None else [f"{host}:kernel", f"{host}:power"]
        self.queue = self.add_place("queue", ["commands", "power", "media", *sender])
        self.cache: str | None = None
        self.pipe: Pipe = world.flows.pipe(f"{name} write", params.write)
        self.read_pipe: Pipe = world.flows.pipe(f"{name} read", params.read)
        self.tank: WriteCache | None = None
        self._through: tuple[Pipe, ...] = (self.pipe,)
        if (params.vwc or params.plp) and params.cache is not None:
            self.cache = self.add_place("cache", ["power", "media"])
            self.tank = WriteCache(world.env, world.flows, self.pipe, params.cache, params.drain)
            self._through = (self.pipe, world.flows.pipe(f"{name} media", params.drain))
        self.media = self.add_place("media", ["media"])
        self.plp: bool = params.plp
        self.dead = False
        self.critical_warning = 0  # of the SMART log
        image = params.firmware
        self.firmware: FirmwareSlots | None = None
        if image is not None:
            self.firmware = FirmwareSlots(image.slots, image.version, first_read_only=image.first_read_only)
        self.blocks: dict[tuple[str, str], Block] = {}
        self.unsure: dict[Write, None] = {}
        self.under_way: dict[Write | Flush, None] = {}
        self.flush_draws = world.stream("flush", name)
        self._host_watched = False
        self._speed = 1.0  # of its interface, as faults throttle it
        self.slowness = 1.0  # how many times later than usual it answers
        self.files = FileSpace(world.holdings, params.space)

    # what a writer calls

    def stack_for(self, into: str) -> tuple[str, ...]:
        """Queue, cache (where there is one) and media, below the host's page cache for a cached file."""
        own = (self.queue, self.media) if self.cache is None else (self.queue, self.cache, self.media)
        return (self._host().page_cache_of(self.name), *own) if into == "page_cache" else own

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
        """Write *epoch*; done when completed (sync none or completion), on the media (fua), or flushed too (flush)."""
        if into == "page_cache":
            cached: Operation = self._host().write_cached(self, part, slot, epoch, size_bytes, pipes=pipes, sync=sync)
            return cached
        write = Write(self, part, slot, epoch, size_bytes, direct=True)
        write.start(pipes, sync)
        return write

    def dirtied(self, part: str, slot: str, epoch: int, size_bytes: int) -> Write:
        """A kernel holds new pages of a cached file, and may send any of them at any time, in any order.

        Once it has them all `copied` is called on the write, and `start` when it surely sends all of them.
        """
        self.attended()
        write = Write(self, part, slot, epoch, size_bytes, direct=False)
        write.block.show("begun", write)
        return write

    def flush(self) -> Operation:
        """Bring every write that has completed by now to the media, and no later one."""
        return Flush(self)

    def sync(self, part: str, slot: str, into: str) -> Operation:
        """Sync a file again: its dirty pages, if the kernel has any, and a Flush."""
        if into == "page_cache":
            synced: Operation = self._host().fsync(self, part, slot)
            return synced
        return self.flush()

    def allocate(self, part: str, slot: str, size_bytes: int) -> str | None:
        """Room on its file system; a file that is written over where it lies, and does not grow, needs none."""
        errno = None
        if self.failing and self.files.lacks(part, slot, size_bytes):
            errno = self.errno("ENOSPC", "EDQUOT")
        return errno or (None if self.files.take(part, slot, size_bytes) else "ENOSPC")

    def renamed(self, part: str, slot: str, to: str) -> None:
        """Its room goes along."""
        self.files.rename(part, slot, to)

    def forget(self, part: str, slot: str) -> None:
        """The file was deleted: what is under way for it reaches nobody any more."""
        self.files.give_back(part, slot)
        block = self.blocks.pop((part, slot), None)
        if block is not None:
            block.detach()

    # what its writes and Flushes need of it

    def pipes_for(self, *, through: bool) -> tuple[Pipe, ...]:
        """Its interface; and for a write *through* a cache without capacitors, the media."""
        return self._through if through and not self.plp else (self.pipe,)

    def attended(self) -> bool:
        """Whether the kernel of its node runs, which sends its commands; from now on they end with it."""
        if self.host is None or self.host not in self.world.domains:
            return True
        host = self.world.domains[self.host]
        if not self._host_watched:  # the host may be built after it, so not in __init__
            self._host_watched = True
            host.on_stop.append(self._host_stopped)
        return host.up

    def once_drained(self, call: Callable[[], None]) -> None:
        """Call *call* once the cache has run empty after now, and `cache_hold` has passed."""
        assert self.tank is not None
        flows = self.world.flows
        sure_at = flows.now_ps + self.params.cache_hold

        def emptied() -> None:
            left = sure_at - flows.now_ps
            if left <= 0:
                call()
            else:
                self.env.timeout(left).callbacks.append(lambda _: call())

        self.tank.when_empty(emptied)

    def _host(self) -> Any:
        assert self.host is not None, f"{self.name} sits in no node: there is no page cache above it"
        return self.world.domains[self.host]

    # firmware

    def firmware_download(self, version: str) -> None:
        """Load an image into the drive's buffer."""
        assert self.firmware is not None, f"{self.name} states no firmware"
        self.firmware.download(version)

    def firmware_commit(self, slot: int, action: int) -> None:
        """Commit what was downloaded, or a slot's image; action 3 runs it at once and stops I/O for a while."""
        assert self.firmware is not None, f"{self.name} states no firmware"
        if self.firmware.commit(slot, action):
            self._activated("commit")
            pause = self.params.firmware.pause
            if pause and self.up:
                self._serve(False)
                self.env.timeout(pause).callbacks.append(lambda _: self._serve(self.up))

    def _activated(self, why: str) -> None:
        assert self.firmware is not None
        slot, version = str(self.firmware.active_slot), self.firmware.running
        self.world.record("firmware_activated", self.name, slot=slot, peer=why, detail=version)

    # crashes

    def stop(self, crash_kind: str) -> None:
        """Power ends everything under way; a reset only pauses it, because the driver sends it again."""
        if crash_kind == "plp_failed":
            self.plp = False
            self.critical_warning |= _BACKUP_FAILED
            for block in list(self.blocks.values()):
                block.show("advanced")
            return
        self._serve(False)
        super().stop(crash_kind)
        if crash_kind == "controller_reset":
            for block in list(self.blocks.values()):
                block.show("begun")  # what was in flight is sent again, and the doubts are what they were
        else:
            self.dead = True
            for block in self.blocks.values():
                block.detach()
                for write in block.pending:
                    write.lose()
            self.blocks.clear()
            for operation in list(self.under_way):
                operation.lose()
            if self.tank is not None:
                self.tank.empty()
        if self.firmware is not None and self.firmware.reset():
            self._activated(crash_kind)

    def restore(self) -> None:
        """Serve again; what a reset had paused goes on."""
        self.dead = False
        self._serve(True)
        super().restore()

    def residue(self) -> object:
        """Its capacitors, its speed and its firmware; a cache that still drains only makes the next write wait."""
        slots = self.firmware
        images = None if slots is None else (slots.running, slots.next_slot, slots.staged, tuple(slots.stored.items()))
        return super().residue(), self.plp, self._speed, images

    def restore_time(self, crash_kind: str) -> int | None:
        """Its own reset time after a controller reset; after anything else somebody must bring it back."""
        reset_ps: int | None = self.params.reset_time
        return reset_ps if crash_kind == "controller_reset" else None

    def fail(self, failing: Failing) -> None:
        """I/O errors strike what is under way too, in the order in which it began."""
        super().fail(failing)
        for operation in list(self.under_way):
            errno = self.errno("EIO") if operation.may_fail else None
            if errno is not None:
                operation.fail(errno)

    def slow_down(self, times: float) -> None:
        """Each write and Flush takes *times* its latency; the rates are what they were."""
        self.slowness = _restored(self.slowness * times)

    def throttle(self, factor: float) -> None:
        """Its interface goes at *factor* of its speed; its cache drains as before."""
        self._speed = _restored(self._speed * factor)
        if self.tank is not None:
            self.tank.limit(round(self.params.write * self._speed))
        if self.read_pipe.capacity_bps:  # else it does not serve now
            self._serve(True)

    def _serve(self, serving: bool) -> None:
        flows = self.world.flows
        flows.set_capacity(self.read_pipe, max(round(self.params.read * self._speed), 1) if serving else 0)
        if self.tank is not None:
            self.tank.serve(serving)
        else:
            flows.set_capacity(self.pipe, max(round(self.params.write * self._speed), 1) if serving else 0)

    def _host_stopped(self, crash_kind: str) -> None:
        """Nobody sends again what was not completed, and nothing more is written back."""
        if crash_kind == "process_crash" or self.dead or self.token("power") in self.world.holdings.taken:
            return  # the kernel lives; or the drive's own end follows
        for operation in list(self.under_way):
            operation.lose()
        for block in list(self.blocks.values()):
            block.resolve()


def _restored(factor: float) -> float:
    """1 where it differs from it by rounding only."""
    return 1.0 if abs(factor - 1) < _NEARLY_ONE else factor

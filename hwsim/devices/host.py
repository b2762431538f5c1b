"""A host: a process with its buffers, a kernel with its page cache, and memory that needs the power.

Four kinds of memory, by what each needs: user buffers need the process; tmpfs, shared memory and
the memory of another process (`dram`) outlive the process and need the kernel; the page cache of a
file needs the kernel and the drive behind it.  A file in the page cache is dirty until it is synced:
from the write on, any part of it may be on the drive, because the kernel may write it back when it
likes, in any order.

Source: POSIX.1-2017 write() and fsync(); Linux Documentation/admin-guide/sysctl/vm.rst
(dirty_expire_centisecs) for the writeback; Documentation/filesystems/tmpfs.rst.

Not modelled: memory pressure; a sync that fails; file systems' journals (a protocol's rename is atomic
and, as it syncs the directory, durable at once).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from hwsim.contents import NOTHING, TORN, TORN_FOR_SURE, Contents, either, surely, whole
from hwsim.domain import IOLost, PersistenceDomain, Store, World
from hwsim.quantities import Duration, Params, Rate, Size

if TYPE_CHECKING:
    import simpy

    from hwsim.domain import Operation
    from hwsim.flow import Flow, Pipe

_PAGE = 4096  # bytes; what the kernel writes back is whole pages


class HostParams(Params):
    """Figures of a host."""

    kind: Literal["host"] = "host"
    dram: Size | None = Field(default=None, gt=0, description="memory")
    memory_bandwidth: Rate | None = Field(default=None, gt=0, description="of copies; none: memory never binds")
    writeback_after: Duration | None = Field(
        default=None, gt=0, description="age at which the kernel writes dirty pages back by itself; none: it never does"
    )
    reboot_time: Duration | None = Field(default=None, gt=0, description="from a kernel crash until the host serves")


class Host(PersistenceDomain, kind="host"):
    """The host of a node."""

    Params = HostParams
    CRASHES: ClassVar[Mapping[str, frozenset[str]]] = {
        "process_crash": frozenset({"process"}),
        "kernel_crash": frozenset({"process", "kernel"}),
        "power_loss": frozenset({"process", "kernel", "power"}),
    }

    def __init__(
        self, world: World, name: str, params: Any, *, node: str | None = None, host: str | None = None
    ) -> None:
        super().__init__(world, name, params, node=node, host=host)
        self.user = self.add_place("user", ["process", "kernel", "power"])
        self.places = {into: self.add_place(into, ["kernel", "power"]) for into in ("dram", "tmpfs")}
        bandwidth = params.memory_bandwidth
        self.memory: Pipe | None = None if bandwidth is None else world.flows.pipe(f"{name} memory", bandwidth)
        self._page_caches: dict[str, str] = {}
        self._under_way: dict[_Copy, None] = {}

    def page_cache_of(self, drive: str) -> str:
        """The page cache over the files of *drive*, which needs that drive: its dirty pages are useless without."""
        if drive not in self._page_caches:
            key = drive.rpartition("/")[2]
            self._page_caches[drive] = self.add_place(f"page_cache.{key}", ["kernel", "power", f"{drive}:power"])
        return self._page_caches[drive]

    def stack_for(self, into: str) -> tuple[str, ...]:
        """Memory stands alone: below it there is nothing."""
        return (self.places["dram" if into == "media" else into],)

    def write(
        self,
        part: str,
        slot: str,
        epoch: int,
        size_bytes: int,
        *,
        pipes: Sequence[Pipe] = (),
        sync: str = "none",
        into: str = "dram",
        owner: str = "",
    ) -> Operation:
        """Copy *epoch* into memory; done when the copy is whole, whatever *sync* says."""
        place = self.stack_for(into)[0]
        return _Copy(self, place, part, slot, epoch, size_bytes, pipes)

    def write_cached(
        self, drive: Store, part: str, slot: str, epoch: int, size_bytes: int, pipes: Sequence[Pipe], sync: str
    ) -> Operation:
        """write(2) into the page cache over *drive*; with sync `flush` or `fua`, fsync(2) after it."""
        name: str = drive.name  # type: ignore[attr-defined]
        return _Copy(self, self.page_cache_of(name), part, slot, epoch, size_bytes, pipes, drive=drive, sync=sync)

    def stop(self, crash_kind: str) -> None:
        """A process crash leaves the host up, and what its kernel was given goes on."""
        if crash_kind == "process_crash":
            return
        for copy in list(self._under_way):
            copy.lose()
        super().stop(crash_kind)

    def restore_time(self, crash_kind: str) -> int | None:
        """Its own reboot time after a kernel crash; after a power loss somebody must bring the power back."""
        return self.params.reboot_time if crash_kind == "kernel_crash" else None


class _Copy:
    """One copy into memory, and behind it, for a cached file, the way to the drive."""

    def __init__(
        self,
        host: Host,
        place: str,
        part: str,
        slot: str,
        epoch: int,
        size_bytes: int,
        pipes: Sequence[Pipe],
        *,
        drive: Store | None = None,
        sync: str = "none",
    ) -> None:
        self.host = host
        self.place = place
        self.part = part
        self.slot = slot
        self.epoch = epoch
        self.size_bytes = size_bytes
        self.drive = drive
        self.sync = sync
        self.done: simpy.Event = host.env.event()
        self.copied = False
        self.lost = False
        self._behind: Operation | None = None
        holdings = host.world.holdings
        self.old: Contents = holdings.read(part, slot)
        host._under_way[self] = None
        memory = () if host.memory is None else (host.memory,)
        self._put("begun", TORN_FOR_SURE if size_bytes > _PAGE else either(self.old, epoch))
        if drive is not None:
            self._expect_writeback()
        self.flow: Flow = host.world.flows.start((*pipes, *memory), size_bytes)
        assert self.flow.done.callbacks is not None
        self.flow.done.callbacks.append(self._whole)

    def _put(self, event: str, contents: Contents) -> None:
        self.host.world.holdings.put(
            event, self.host.name, self.place, self.part, self.slot, contents, epoch=self.epoch,
            size_bytes=self.size_bytes,
        )  # fmt: skip

    def _expect_writeback(self) -> None:
        """From now on any of it may be on the drive, in any order; the drive's own writes then say it better."""
        world = self.host.world
        media = world.holdings.stacks[self.part][-1]
        under = world.holdings.at(media, self.part, self.slot) or frozenset((NOTHING,))
        may = either(under, self.epoch) if self.size_bytes <= _PAGE else either(under, self.epoch, TORN)
        world.holdings.put("begun", media.partition(":")[0], media, self.part, self.slot, may, epoch=self.epoch)

    def _whole(self, event: simpy.Event) -> None:
        if not event._ok:
            event.defused = True
            return
        self.copied = True
        self._put("completed", whole(self.epoch))
        if self.drive is None:
            self._finish()
        elif self.sync in ("flush", "fua"):
            self._write_back()
        else:
            self._finish()
            after = self.host.params.writeback_after
            if after is not None:
                self.host.env.timeout(after).callbacks.append(self._expired)

    def _expired(self, _: simpy.Event) -> None:
        """The pages are old enough: the kernel writes them back, unless they are gone or newer ones are there."""
        if not self.lost and self.host.world.holdings.at(self.place, self.part, self.slot) == whole(self.epoch):
            self.sync = "none"
            self._write_back()

    def _write_back(self) -> None:
        assert self.drive is not None
        memory = () if self.host.memory is None else (self.host.memory,)
        self._behind = self.drive.write(
            self.part, self.slot, self.epoch, self.size_bytes, pipes=memory, sync=self.sync, into="media",
            owner=self.host.name,
        )  # fmt: skip
        self._behind.done.callbacks.append(self._synced)  # never yet processed: writes take time

    def _synced(self, event: simpy.Event) -> None:
        if not event._ok:
            event.defused = True
            self._end()
        else:
            self._finish()

    def _finish(self) -> None:
        self.host._under_way.pop(self, None)
        if not self.done.triggered:
            self.done.succeed(self)

    def lose(self) -> None:
        """The host crashed; what lies there is settled already."""
        self.lost = True
        if self._behind is not None:
            self._behind.cancel()
        self._end()

    def cancel(self) -> None:
        """The process is gone: what the kernel has got stays in its cache and is written back in its own time."""
        if self.done.triggered:
            return
        copied = self.copied
        self._end()
        if not copied:
            held = self.host.world.holdings.at(self.place, self.part, self.slot)
            if held is not None and surely(held) is None:
                self.host.world.holdings.settle(self.part, self.slot, self.host.world.stream("settle", self.place))

    def _end(self) -> None:
        self.host._under_way.pop(self, None)
        self.flow.cancel()
        if not self.done.triggered:
            self.done.fail(IOLost(f"{self.host.name}: copy of {self.part} lost"))
            self.done.defused = True

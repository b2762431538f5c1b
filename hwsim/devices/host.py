"""A host: a process with its buffers, a kernel with its page cache, and memory that needs the power.

Four kinds of memory, by what each needs: a process's own buffers need the process; tmpfs, shared
memory and the memory of another process (`dram`, an agent's) outlive it and need the kernel; the page
cache of a file needs the kernel and the drive behind it.  A file in the page cache is dirty until it
is synced.  From the write on any part of it may be on the drive, because the kernel may write it back
when it likes, in any order; `writeback_after` later it surely does.  A name that was created or renamed
is one entry, old or new, until the directory is synced or the journal has committed.

A page that the drive answers with an error is marked clean all the same: it stays readable in the cache, the next
fsync reports the error once, and the one after that finds nothing to write and returns 0.

Source: POSIX.1-2017, write(), fsync() and rename(); Rebello et al., Can Applications Recover from fsync Failures?,
USENIX ATC 2020 (pages are marked clean, whatever the file system); PostgreSQL, `data_sync_retry`; Linux,
Documentation/admin-guide/sysctl/vm.rst (dirty_expire_centisecs), Documentation/filesystems/ext4 (data=ordered,
`commit`) and tmpfs.rst; Pillai et al., All File Systems Are Not Created Equal, OSDI 2014, for what a crash makes of a
rename.

Not modelled: memory pressure, so a page marked clean stays until a crash; file systems that restore the old page after
a failure, or remount read-only; which of several processes is told; a journal's bandwidth; copies of one slot at once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Protocol

from pydantic import Field

from hwsim.contents import TORN_FOR_SURE, Contents, either, whole
from hwsim.domain import IOFailed, IOLost, PersistenceDomain, World
from hwsim.quantities import Delay, Duration, Params, Rate, Size

if TYPE_CHECKING:
    import simpy

    from hwsim.domain import Operation
    from hwsim.flow import Flow, Pipe

_PAGE = 4096  # bytes; a copy of one page is there or not
_NAME_BYTES = 512  # a directory entry changes with one sector of the journal


class Cxl(Params):
    """Persistent memory behind CXL: a device with buffers, which a global persistent flush saves when power goes."""

    drain: Delay = Field(description="until what its buffers took is surely on its media")
    gpf: Literal["ok", "failed"] = Field(
        description="whether the energy suffices for that flush; failed: buffers may be lost, and the device counts it"
    )


class Pmem(Params):
    """Persistent memory of a host."""

    size: Size = Field(gt=0, description="persistent memory")
    bandwidth: Rate = Field(gt=0, description="of writes into it")
    cxl: Cxl | None = Field(default=None, description="where it is a CXL device; none: DIMMs, whose buffers count in")


class HostParams(Params):
    """Figures of a host."""

    kind: Literal["host"] = "host"
    dram: Size | None = Field(default=None, gt=0, description="memory")
    memory_bandwidth: Rate | None = Field(default=None, gt=0, description="of copies; none: memory never binds")
    writeback_after: Duration | None = Field(
        default=None, gt=0, description="age at which the kernel writes dirty pages back by itself; none: it never does"
    )
    journal_commit: Duration | None = Field(
        default=None, gt=0, description="age at which the journal commits a new name by itself; none: it never does"
    )
    reboot_time: Duration | None = Field(default=None, gt=0, description="from a kernel crash until the host serves")
    cold_boot_time: Duration | None = Field(
        default=None, gt=0, description="from a cold reboot (a nic_reset of level 5) until its node serves"
    )
    pmem: Pmem | None = Field(default=None, description="persistent memory; none: there is none")
    persistence_domain: Literal["dmp", "mhp", "wsp"] = Field(
        default="dmp", description="what outlives the power: memory and its controller, the caches too, or all of it"
    )
    ddio: bool = Field(default=True, description="whether the writes of NICs go into the last-level cache")
    eviction: Delay | None = Field(
        default=None, description="until a written line leaves that cache by itself; none: never"
    )


class Pages(Protocol):
    """Dirty pages of a cached file, any of which may be on their drive."""

    done: simpy.Event

    def copied(self) -> None:
        """All of them are there to be sent."""

    def start(self, pipes: Sequence[Pipe], sync: str) -> None:
        """Send all of them now; `done` succeeds once *sync* holds, and fails if the drive or the kernel crashed."""


class Backing(Protocol):
    """A drive with a file system, as the kernel sees it."""

    name: str

    def dirtied(self, part: str, slot: str, epoch: int, size_bytes: int) -> Pages:
        """The page cache got new pages of a file."""

    def flush(self) -> Operation:
        """Bring every write that has completed by now to the media."""


class Host(PersistenceDomain, kind="host"):
    """The host of a node."""

    Params = HostParams
    CRASHES: ClassVar[Mapping[str, frozenset[str]]] = {
        "process_crash": frozenset({"process"}),
        "kernel_crash": frozenset({"process", "kernel", "caches"}),  # a warm reboot may flush caches, or not
        "power_loss": frozenset({"process", "kernel", "power"}),
        "no_space": frozenset(),
        "upload_failed": frozenset(),
    }

    def __init__(
        self, world: World, name: str, params: Any, *, node: str | None = None, host: str | None = None
    ) -> None:
        super().__init__(world, name, params, node=node, host=host)
        self._memories = {
            "user": self.add_place("user", ["process", "kernel", "power"]),
            "dram": self.add_place("dram", ["kernel", "power"]),
            "tmpfs": self.add_place("tmpfs", ["kernel", "power"]),
        }
        bandwidth = params.memory_bandwidth
        self.memory: Pipe | None = None if bandwidth is None else world.flows.pipe(f"{name} memory", bandwidth)
        self.read_pipe = self.memory
        self.dirty_shutdowns = 0  # of its CXL memory
        self._page_caches: dict[str, str] = {}
        self._under_way: dict[_Copy, None] = {}
        self._dirty: dict[tuple[str, str], _Copy] = {}  # files with pages that are not on their drive
        self._unwritten: dict[tuple[str, str], str] = {}  # files whose pages were lost, until a sync says so: errno

    @cached_property
    def pmem_pipe(self) -> Pipe:
        """The way into its persistent memory."""
        return self.world.flows.pipe(f"{self.name} pmem", self.params.pmem.bandwidth)

    def page_cache_of(self, drive: str, beneath: Sequence[str] = ("power", "media")) -> str:
        """The page cache over the files of *drive*, whose aspects *beneath* it needs: without them it is of no use."""
        if drive not in self._page_caches:
            key = drive.rpartition("/")[2]
            needs = ["kernel", "power", *(f"{drive}:{aspect}" for aspect in beneath)]
            self._page_caches[drive] = self.add_place(f"page_cache.{key}", needs)
        return self._page_caches[drive]

    def stack_for(self, into: str) -> tuple[str, ...]:
        """Memory stands alone: below it there is nothing."""
        return (self._memories["dram" if into == "media" else into],)

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
        copy = _Copy(self, self.stack_for(into)[0], part, slot, epoch, size_bytes)
        copy.start(pipes)
        return copy

    def write_cached(
        self,
        drive: Backing,
        part: str,
        slot: str,
        epoch: int,
        size_bytes: int,
        *,
        pipes: Sequence[Pipe] = (),
        sync: str = "none",
        owner: str = "",
    ) -> Operation:
        """write(2) into the page cache over *drive*; with sync `flush` or `fua`, fsync(2) after it."""
        copy = _Copy(self, self.page_cache_of(drive.name), part, slot, epoch, size_bytes, drive=drive, sync=sync)
        copy.start(pipes)
        return copy

    def fsync(self, drive: Backing, part: str, slot: str) -> Operation:
        """Bring a cached file to its drive, and flush the drive."""
        copy = self._dirty.get((part, slot))
        if copy is not None and copy.pages is not None:
            return _Fsync(drive, copy, copy.pages)
        errno = self._unwritten.pop((part, slot), None)
        return drive.flush() if errno is None else _Told(self, IOFailed(errno, "sync"))

    def allocate(self, part: str, slot: str, size_bytes: int) -> str | None:
        """A full tmpfs refuses; memory that a process has mapped is there."""
        tmpfs = self._memories["tmpfs"] in self.world.holdings.stacks[part]
        return self.errno("ENOSPC") if tmpfs and not self.world.holdings.exists(part, slot) else None

    def rename(self, drive: Backing, part: str, slot: str, epoch: int) -> None:
        """Let a name stand for *epoch*: for every process at once, and on the media once the journal has committed
        or the directory is synced (`fsync` of the name).  Until then a crash of the kernel leaves the old or the new.
        """
        copy = _Copy(self, self.page_cache_of(drive.name), part, slot, epoch, _NAME_BYTES, drive=drive)
        copy.start(None)

    def stop(self, crash_kind: str) -> None:
        """A process crash leaves the host up, and what its kernel was given goes on."""
        if crash_kind == "process_crash":
            return
        super().stop(crash_kind)
        for copy in list(self._under_way):
            copy.lose()
        for copy in list(self._dirty.values()):
            copy.clean()
        self._unwritten.clear()

    def restore_time(self, crash_kind: str) -> int | None:
        """Its own reboot time after a kernel crash; after a power loss somebody must bring the power back."""
        reboot_ps: int | None = self.params.reboot_time
        return reboot_ps if crash_kind == "kernel_crash" else None

    def forget(self, part: str, slot: str) -> None:
        """A delete: its dirty pages are dropped."""
        self._unwritten.pop((part, slot), None)
        copy = self._dirty.get((part, slot))
        if copy is not None:
            copy.clean()


class _Copy:
    """One copy into memory, and for a cached file the pages that it leaves dirty."""

    def __init__(
        self,
        host: Host,
        place: str,
        part: str,
        slot: str,
        epoch: int,
        size_bytes: int,
        *,
        drive: Backing | None = None,
        sync: str = "none",
    ) -> None:
        self.host = host
        self.key = (part, slot)
        self.size_bytes = size_bytes
        self.pages: Pages | None = None  # dirty ones, and the way to the drive
        self.sent = False  # the kernel is writing all of them back
        self.done: simpy.Event = host.env.event()
        self._place = place
        self._epoch = epoch
        self._drive = drive
        self._sync = sync
        self._is_name = False
        self._before: Contents | None = host.world.holdings.at(place, part, slot)
        self._flow: Flow | None = None

    def start(self, pipes: Sequence[Pipe] | None) -> None:
        """Copy, the bytes coming through *pipes*; None: a name, which is there at once."""
        host, (part, slot) = self.host, self.key
        host._under_way[self] = None
        if not host.up:
            self.lose()
            return
        if self.size_bytes > _PAGE:
            self._put("begun", TORN_FOR_SURE)
        else:
            self._put("begun", either(host.world.holdings.read(part, slot), self._epoch))
        if self._drive is not None:
            self.pages = self._drive.dirtied(part, slot, self._epoch, self.size_bytes)
            assert self.pages.done.callbacks is not None
            self.pages.done.callbacks.append(self._written_back)
            older = host._dirty.get(self.key)
            if older is not None:
                older.pages = None  # what it had not sent is replaced
            host._dirty[self.key] = self
            host._unwritten.pop(self.key, None)
        if pipes is None:
            self._is_name = True
            self._whole()
            return
        memory = () if host.memory is None else (host.memory,)
        self._flow = host.world.flows.start((*pipes, *memory), self.size_bytes)
        assert self._flow.done.callbacks is not None
        self._flow.done.callbacks.append(self._moved)

    def _put(self, event: str, contents: Contents | None) -> None:
        part, slot = self.key
        self.host.world.holdings.put(
            event, self.host.name, self._place, part, slot, contents, epoch=self._epoch, size_bytes=self.size_bytes
        )

    def _moved(self, event: simpy.Event) -> None:
        if event._ok:
            self._whole()
        else:
            event.defused = True  # whoever cancelled the flow has told the writer

    def _whole(self) -> None:
        """All of it is in memory."""
        if self._drive is not None and self.host._dirty.get(self.key) is not self:
            self._finish()  # deleted meanwhile, or newer pages have taken the place of its own
            return
        self._put("completed", whole(self._epoch))
        if self.pages is None:
            self._finish()
            return
        self.pages.copied()
        if self._sync in ("flush", "fua"):
            self.send("flush")
            return
        self._finish()
        params = self.host.params
        expires = params.journal_commit if self._is_name else params.writeback_after
        if expires is not None:
            sync = "flush" if self._is_name else "none"
            self.host.env.timeout(expires).callbacks.append(lambda _: self.send(sync))

    def send(self, sync: str) -> None:
        """The kernel writes all of its pages back, unless it does so already, or they are clean, or gone."""
        if self.pages is not None and not self.sent and self.host._dirty.get(self.key) is self:
            self.sent = True
            memory = () if self.host.memory is None else (self.host.memory,)
            self.pages.start(memory, sync)

    def _written_back(self, event: simpy.Event) -> None:
        if not event._ok:
            event.defused = True
            if isinstance(event._value, IOFailed):
                self._not_written(event._value.errno)
            else:
                self.lose()
            return
        if self.host._dirty.get(self.key) is self:
            self.clean()
            self._put("erased", None)  # clean: the drive holds the same
        self._finish()

    def _not_written(self, errno: str) -> None:
        """The drive refused: the pages count as clean, and hold what the drive does not."""
        newest = self.host._dirty.get(self.key) is self
        if newest:
            self.clean()
        if not self.done.triggered:
            self._fail(IOFailed(errno, "sync"))
        elif newest:
            self.host._unwritten[self.key] = errno  # nobody waits: the next sync says it

    def clean(self) -> None:
        """No page of it is dirty any more: written back, deleted, or gone in a crash."""
        self.pages = None
        if self.host._dirty.get(self.key) is self:
            del self.host._dirty[self.key]

    def _finish(self) -> None:
        self.host._under_way.pop(self, None)
        if not self.done.triggered:
            self.done.succeed(self)

    def lose(self) -> None:
        """The host or the drive crashed; what lies there is settled already."""
        self.clean()
        self._fail()

    def cancel(self) -> None:
        """The process is gone: what the kernel has got stays in its cache and is written back in its own time."""
        if self.done.triggered:
            return
        copying = self._flow is not None and self._flow.active
        self._fail()
        holdings, (part, slot) = self.host.world.holdings, self.key
        if not copying or holdings.at(self._place, part, slot) is None:
            return
        if self.size_bytes <= _PAGE:  # nothing of it was copied
            self._put("erased" if self._before is None else "advanced", self._before)
            self.clean()

    def _fail(self, error: IOFailed | None = None) -> None:
        self.host._under_way.pop(self, None)
        if self._flow is not None:
            self._flow.cancel()
        if not self.done.triggered:
            self.done.fail(error or IOLost(f"{self.host.name}: copy of {self.key[0]} lost"))
            self.done.defused = True


class _Fsync:
    """fsync(2) of a file that has dirty pages."""

    def __init__(self, drive: Backing, copy: _Copy, pages: Pages) -> None:
        self.done: simpy.Event = copy.host.env.event()
        self._copy = copy
        self._drive = drive
        self._flushed = not copy.sent
        copy.send("flush")
        assert pages.done.callbacks is not None
        pages.done.callbacks.append(self._written_back)

    def _written_back(self, event: simpy.Event) -> None:
        if not event._ok:
            event.defused = True
            if isinstance(event._value, IOFailed):
                self._copy.host._unwritten.pop(self._copy.key, None)  # it says so
                self._end(IOFailed(event._value.errno, "sync"))
            else:
                self.cancel()
        elif self._flushed:
            if not self.done.triggered:
                self.done.succeed(self)
        else:  # the kernel had begun to write back by itself, without a Flush
            self._flushed = True
            flush = self._drive.flush()
            assert flush.done.callbacks is not None
            flush.done.callbacks.append(self._written_back)

    def cancel(self) -> None:
        """Nobody waits for it any more; the kernel finishes what it began."""
        self._end(IOLost(f"{self._drive.name}: fsync lost"))

    def _end(self, error: IOFailed | IOLost) -> None:
        if not self.done.triggered:
            self.done.fail(error)
            self.done.defused = True


class _Told:
    """fsync(2) of a file whose pages were lost before: it only says so."""

    def __init__(self, host: Host, error: IOFailed) -> None:
        self.done: simpy.Event = host.env.event()
        self.done.fail(error)
        self.done.defused = True

    def cancel(self) -> None:
        """It has ended."""

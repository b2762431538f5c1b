"""A shared file system (Lustre, GPFS, Weka, NFS): servers that many clients share, and each client's cache of it.

A client is a host that mounts it.  A file is written through the client's page cache (`into: page_cache`, write-behind:
write() returns once the bytes are there, and fsync once the servers have made them durable) or past it (`into:
media`, direct I/O: the servers' reply is waited for).  The bytes lie, topmost first, in

- the client's page cache, which needs the client's kernel and power: dirty pages that were not synced go with them,
  though any part of them may have reached the servers before;
- the servers' cache, where there is one (`server_cache`), which needs the servers' power: UNSTABLE writes of NFS, which
  fsync's COMMIT brings to the media, or the servers themselves after `destage`;
- the media of the servers.  Without a server cache what a server acknowledges is durable.

While the servers are down, clients that live keep their dirty pages and send them again.  `commit_honoured: false`
is a server that answers COMMIT at once (the export option async).  Clients see a record that another one
replaced when they open it (`visibility: close_to_open`), or from their own cache late, by a lag (hwsim.stale_views).

Source: RFC 1813, sections 3.3.7 and 3.3.21 (UNSTABLE writes, COMMIT, the write verifier), and 4.11; RFC 7530,
sections 10.3 and 16.36 (data caching, close-to-open); RFC 8881, section 10; Lustre Operations Manual (object storage
servers, grants, quotas); exports(5), async.

Not modelled: striping and single servers; locks; a metadata server's load; files that several clients write at
once; two writes of one file under way at once, but for the older one's pages being replaced.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Annotated, Any, Literal, Self

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema, model_validator

from hwsim.contents import NOTHING_FOR_SURE, TORN, TORN_FOR_SURE, Contents, either, surely, whole
from hwsim.distributions import Distribution
from hwsim.domain import IOLost, PersistenceDomain, World
from hwsim.quantities import Delay, Duration, read_distribution, write_distribution
from hwsim.shared_store import SharedStore, SharedStoreParams, StoreClient

if TYPE_CHECKING:
    import simpy

    from hwsim.domain import Operation
    from hwsim.flow import Flow, Pipe

_CLOSE_TO_OPEN = "close_to_open"
_PAGE = 4096  # bytes; one page or block is old or new


def _visibility(value: Any) -> Any:
    return None if value == _CLOSE_TO_OPEN else read_distribution(value)


Visibility = Annotated[
    Distribution | None,
    BeforeValidator(_visibility),
    WithJsonSchema({"type": ["string", "object"], "examples": ["5ms", _CLOSE_TO_OPEN]}),
    PlainSerializer(lambda lag: _CLOSE_TO_OPEN if lag is None else write_distribution(lag), when_used="json"),
]


class ParallelFsParams(SharedStoreParams):
    """Figures of a shared file system."""

    kind: Literal["parallel_fs"] = "parallel_fs"
    latency: Duration = Field(description="of one small write, from the servers' receipt to their reply")
    commit: Delay = Field(description="of an fsync with nothing left to send")
    server_cache: bool = Field(default=False, description="whether servers acknowledge what is not on their media yet")
    commit_honoured: bool = Field(default=True, description="false: fsync returns before the media have it (async)")
    destage: Duration | None = Field(
        default=None, gt=0, description="age at which servers bring their cache to the media by themselves; none: never"
    )
    visibility: Visibility = Field(
        default=None,
        description="close_to_open (the default), or until another client's exists() and stat() see a replaced record",
    )

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if not self.server_cache and (self.destage is not None or not self.commit_honoured):
            what = "destage" if self.destage is not None else "commit_honoured"
            raise ValueError(f"{what} is about a cache of the servers; write server_cache: true, or leave it out")
        return self


class ParallelFs(SharedStore, kind="parallel_fs"):
    """The servers of one file system; `mount` gives the file system as one host sees it."""

    Params = ParallelFsParams

    def __init__(
        self, world: World, name: str, params: Any, *, node: str | None = None, host: str | None = None
    ) -> None:
        super().__init__(world, name, params, node=node, host=host)
        self.cache = self.add_place("cache", ["power", "media"]) if params.server_cache else None
        self.media = self.add_place("media", ["media"])
        self.commits = world.stream("commit", name)
        self.settles = world.stream("settle", name)
        self.files: dict[tuple[str, str], _File] = {}

    def file(self, part: str, slot: str) -> _File:
        """What the servers know of one file."""
        if (part, slot) not in self.files:
            self.files[part, slot] = _File(self, part, slot)
        return self.files[part, slot]

    def forget(self, part: str, slot: str) -> None:
        """A delete: what is on its way to the file reaches nobody."""
        super().forget(part, slot)
        file = self.files.pop((part, slot), None)
        if file is not None:
            file.gone = True

    def stop(self, crash_kind: str) -> None:
        """The power went: their cache is settled; clients that live wait with what they have not made durable."""
        super().stop(crash_kind)
        for file in list(self.files.values()):
            file.servers_stopped()

    def restore(self) -> None:
        """Serve again: the clients send what they still hold."""
        super().restore()
        for file in list(self.files.values()):
            file.servers_restored()


class Mount(StoreClient):
    """The file system on one client: where its processes write, and what its kernel writes back to."""

    def __init__(self, store: Any, host: PersistenceDomain, way: Sequence[Pipe], latency_ps: int) -> None:
        super().__init__(store, host, way, latency_ps)
        self.fs: ParallelFs = store
        self.host: Any = host
        host.on_stop.append(self._client_stopped)

    @property
    def lag(self) -> Distribution | None:
        """Until another client sees that a record was replaced; None: when it opens it."""
        lag: Distribution | None = self.fs.params.visibility
        return lag

    def stack_for(self, into: str) -> tuple[str, ...]:
        """The servers' places, below the client's page cache for write-behind."""
        own = (self.fs.media,) if self.fs.cache is None else (self.fs.cache, self.fs.media)
        return (self.host.page_cache_of(self.name, ("media",)), *own) if into == "page_cache" else own

    def write(self, part: str, slot: str, epoch: int, size_bytes: int, *, pipes: Sequence[Pipe] = (),
              sync: str = "none", into: str = "page_cache", owner: str = "") -> Operation:  # fmt: skip
        """Write *epoch*; done when the page cache has it, the servers replied (direct), or it is synced too (flush)."""
        if into == "page_cache":
            cached: Operation = self.host.write_cached(self, part, slot, epoch, size_bytes, pipes=pipes, sync=sync)
            return cached
        sending = _Sending(self, part, slot, epoch, size_bytes, direct=True)
        sending.start(pipes, sync)
        return sending

    def dirtied(self, part: str, slot: str, epoch: int, size_bytes: int) -> _Sending:
        """The client's kernel has new pages of a file, and may send any of them at any time, in any order."""
        sending = _Sending(self, part, slot, epoch, size_bytes, direct=False)
        sending.file.show("begun", sending)
        return sending

    def flush(self) -> Operation:
        """fsync without dirty pages: the servers are asked to commit what they have of this client."""
        return _Commit(self)

    def sync(self, part: str, slot: str, into: str) -> Operation:
        """fsync of a file again: its dirty pages, if the kernel has any, and a COMMIT."""
        if into == "page_cache":
            synced: Operation = self.host.fsync(self, part, slot)
            return synced
        return self.flush()

    def _client_stopped(self, crash_kind: str) -> None:
        if crash_kind != "process_crash":  # else its kernel lives
            for file in list(self.fs.files.values()):
                file.client_stopped(self)


ParallelFs.Client = Mount


class _File:
    """What the servers hold of one file: `base`, and above it what clients send of it, in the order of beginning."""

    def __init__(self, fs: ParallelFs, part: str, slot: str) -> None:
        self.fs = fs
        self.part = part
        self.slot = slot
        self.base: Contents = NOTHING_FOR_SURE
        self.pending: list[_Sending] = []
        self.gone = False  # deleted
        self._rebase()

    def _rebase(self) -> None:
        held = self.fs.world.holdings.at(self.fs.media, self.part, self.slot)
        self.base = NOTHING_FOR_SURE if held is None else held

    def show(self, event: str, by: _Sending | None = None) -> None:
        """Record what each place of the servers may hold now, where that has changed."""
        if self.gone:
            return
        below = replied = self.base
        for sending in self.pending:
            below = sending.over(below)
            replied = whole(sending.epoch) if sending.arrived else sending.over(replied)
        if self.fs.cache is not None:
            arrived = any(sending.arrived for sending in self.pending)
            self._put(event, self.fs.cache, replied if arrived else NOTHING_FOR_SURE, by)
        self._put(event, self.fs.media, below, by)

    def _put(self, event: str, place: str, contents: Contents, by: _Sending | None) -> None:
        holdings = self.fs.world.holdings
        held = holdings.at(place, self.part, self.slot)
        shown = None if contents == NOTHING_FOR_SURE else contents
        if held == shown:
            return
        if shown is None:
            event = "erased"
        elif (sure := surely(shown)) is not None and sure >= 0:
            event = "persisted" if place == self.fs.media else "begun" if held is None else "completed"
        elif sure == TORN and by is None:
            event = "torn"
        epoch, size = (None, None) if by is None else (by.epoch, by.size_bytes)
        holdings.put(event, self.fs.name, place, self.part, self.slot, shown, epoch=epoch, size_bytes=size)

    def settled(self, sending: _Sending, contents: Contents) -> None:
        """The media hold *contents* of what was sent; whatever was sent before it is history."""
        if sending in self.pending:
            del self.pending[: self.pending.index(sending) + 1]
            self.base = contents
            self.show("advanced", sending if surely(contents) == sending.epoch else None)

    def drop(self, sending: _Sending) -> None:
        """Nothing of it ever reached the servers, or it has become part of `base`."""
        if sending in self.pending:
            self.pending.remove(sending)
            self.show("advanced")

    def client_stopped(self, mount: Mount) -> None:
        """A client's kernel is gone: what it was sending stays as far as it came; the servers keep what they have."""
        theirs = [sending for sending in self.pending if sending.mount is mount]
        for sending in theirs:
            if sending.arrived:
                sending.lose()
        cut = [sending for sending in theirs if not sending.arrived]
        holdings = self.fs.world.holdings
        serves = self.fs.up and self.fs.token("power") not in holdings.taken  # else they stop too, and settle it
        if cut and serves:
            holdings.settle(self.part, self.slot, self.fs.settles)
            self._rebase()
        for sending in cut:
            self.pending.remove(sending)
            sending.lose()
        if cut and serves:
            self.show("advanced")

    def servers_stopped(self) -> None:
        """What the servers have is settled: what they had not made durable is what the clients hold."""
        self.fs.world.holdings.settle(self.part, self.slot, self.fs.settles)
        self._rebase()
        for sending in list(self.pending):
            sending.servers_stopped()

    def servers_restored(self) -> None:
        for sending in list(self.pending):
            sending.servers_restored()


class _Sending:
    """What one client sends of one file: a direct write, or dirty pages (its kernel's `Pages`)."""

    def __init__(
        self, mount: Mount, part: str, slot: str, epoch: int, size_bytes: int, *, direct: bool
    ) -> None:
        self.mount = mount
        self.fs = mount.fs
        self.epoch = epoch
        self.size_bytes = size_bytes
        self.direct = direct
        self.done: simpy.Event = mount.fs.env.event()
        self.arrived = False  # the servers have acknowledged all of it, and it may not be on their media yet
        self._atomic = size_bytes <= _PAGE
        self._some_sent = not direct and self.fs.up  # a kernel may send pages whenever it likes
        self._all_sent = False  # or may have been
        self._copied = False  # dirty pages: the kernel has all of them
        self._started: tuple[Sequence[Pipe], str] | None = None
        self._flow: Flow | None = None
        self._attempt = 0  # an answer to an earlier one is of no use
        self.file = mount.fs.file(part, slot)
        self.file.pending.append(self)

    def over(self, below: Contents) -> Contents:
        """What the media hold if *below* lay there before."""
        if not self._some_sent:
            return below
        contents = below if self._atomic else either(below, TORN)
        return either(contents, self.epoch) if self._all_sent else contents

    def copied(self) -> None:
        """The kernel has all pages, and may send them."""
        self._copied = True
        self._all_sent = self.fs.up
        self.file.show("advanced", self)

    def start(self, pipes: Sequence[Pipe], sync: str) -> None:
        """Send all of it, the bytes coming through *pipes*; `done` once the servers replied, or *sync* holds."""
        self._started = (pipes, sync)
        if self.fs.up:
            self._send()

    def _send(self) -> None:
        assert self._started is not None
        pipes, _ = self._started
        self._some_sent = True
        self._all_sent |= self._atomic
        self._attempt += 1
        self.file.show("begun", self)
        self._flow = self.fs.world.flows.start((*pipes, *self.mount.pipes), self.size_bytes)
        assert self._flow.done.callbacks is not None
        self._flow.done.callbacks.append(self._all_out)

    def _later(self, delay_ps: int, action: Callable[[], None]) -> None:
        attempt = self._attempt
        self.fs.env.timeout(delay_ps).callbacks.append(lambda _: action() if attempt == self._attempt else None)

    def _all_out(self, event: simpy.Event) -> None:
        if not event._ok:
            event.defused = True
            return
        self._all_sent = True
        self.file.show("advanced", self)
        self._later(self.mount.latency_ps + self.fs.late(self.fs.params.latency), self._acknowledged)

    def _acknowledged(self) -> None:
        """The servers have all of it."""
        assert self._started is not None
        fs, sync = self.fs, self._started[1]
        errno = fs.errno("EIO")
        if errno is not None:
            self._refused(errno)
            return
        if fs.cache is None:
            self.durable()
        else:
            self.arrived = True
            self.file.show("advanced", self)
            if fs.params.destage is not None:
                self._later(fs.params.destage, self.durable)
        if sync in ("flush", "fua") or (not self.direct and fs.cache is not None):
            self._later(fs.late(fs.params.commit.draw(fs.commits)) + 2 * self.mount.latency_ps, self._committed)
        else:
            self._later(self.mount.latency_ps, self._finish)

    def _refused(self, errno: str) -> None:
        """The servers answer with an error; what they hold of it is old, new or a mix."""
        file = self.file
        file.settled(self, self.over(file.base))
        if not self.done.triggered:
            self.done.fail(self.fs.failed(errno, file.part, file.slot, self.epoch))
            self.done.defused = True

    def _committed(self) -> None:
        if self.fs.params.commit_honoured:
            self.durable()
        self._finish()

    def durable(self) -> None:
        """The media of the servers have all of it."""
        self.file.settled(self, whole(self.epoch))

    def _finish(self) -> None:
        if not self.done.triggered:
            self.done.succeed(self)

    def servers_stopped(self) -> None:
        """No reply will come: everything is sent again that its client still holds; the rest is gone."""
        self._attempt += 1
        if self._flow is not None:
            self._flow.cancel()
        self.arrived = False
        if self.done.triggered:
            self.file.drop(self)
            return
        self._some_sent = self._all_sent = False

    def servers_restored(self) -> None:
        """Send again."""
        if not self.direct:
            self._some_sent, self._all_sent = True, self._copied
            self.file.show("begun", self)
        if self._started is not None:
            self._send()

    def lose(self) -> None:
        """The client crashed; the crash has settled what the servers hold of it.  What they have all of goes on."""
        if not self.arrived:
            self._attempt += 1
            if self._flow is not None:
                self._flow.cancel()
        if not self.done.triggered:
            self.done.fail(IOLost(f"{self.fs.name}: write of {self.file.part} lost"))
            self.done.defused = True

    def cancel(self) -> None:
        """The writer is gone: requests under way are answered to nobody, the rest is never sent."""
        if self.done.triggered:
            return
        unfinished = self._some_sent and not self._all_sent
        if unfinished or not self._some_sent:
            self.lose()
            if unfinished:
                self.file.settled(self, TORN_FOR_SURE)
            else:
                self.file.drop(self)
            return
        self.done.fail(IOLost(f"{self.fs.name}: write of {self.file.part} abandoned"))  # the servers go on
        self.done.defused = True


class _Commit:
    """An fsync that has nothing to send: the servers bring to their media what this client has sent of any file."""

    def __init__(self, mount: Mount) -> None:
        self.fs = fs = mount.fs
        self.done: simpy.Event = fs.env.event()
        self._round_trip_ps = 2 * mount.latency_ps
        pending = [sending for file in fs.files.values() for sending in file.pending]
        self._covered = [sending for sending in pending if sending.mount is mount and sending.arrived]
        self._send()

    def _send(self) -> None:
        delay = self.fs.late(self.fs.params.commit.draw(self.fs.commits)) + self._round_trip_ps
        self.fs.env.timeout(delay).callbacks.append(self._answered)

    def _answered(self, _: simpy.Event) -> None:
        if self.done.triggered:
            return
        if not self.fs.up:
            self.fs.on_restore.append(self._again)
            return
        if self.fs.params.commit_honoured:
            for sending in self._covered:
                if sending.arrived:
                    sending.durable()
        self.done.succeed(self)

    def _again(self) -> None:
        self.fs.on_restore.remove(self._again)
        self._send()

    def cancel(self) -> None:
        """Nobody waits for it any more."""
        if not self.done.triggered:
            self.done.fail(IOLost(f"{self.fs.name}: commit abandoned"))
            self.done.defused = True

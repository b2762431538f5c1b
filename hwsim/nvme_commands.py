"""Writes and Flushes of a drive on their way, and what each place of the drive may hold meanwhile.

A *block* is what lies under one slot: what is surely on the media, and above it the writes that may
have reached it.  What a place may hold is that base with every such write folded over it, as far as
the write may have come there: fetched (queue), completed (cache), drained (media).

Source: NVM Command Set specification 1.0, sections 2.1.4 (AWUN, AWUPF, NABSPF) and 2.1.4.2 (when a
completed write may be lost); the dm-log-writes rule, that a Flush covers exactly the writes that
completed before it was sent.

A command that the drive answers with an error leaves each of its blocks old or new: the specification says no more
of it, and has AWUPF hold for "other error conditions" as for a power failure.

Not modelled: the time in which fetched commands of a writer that is gone finish; partial overwrites (a write
replaces all of its slot).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from hwsim.contents import NOTHING, NOTHING_FOR_SURE, TORN, TORN_FOR_SURE, Contents, either, surely, whole
from hwsim.flow import IOFailed, IOLost

if TYPE_CHECKING:
    import random

    import simpy

    from hwsim.domain import World
    from hwsim.flow import Flow, Pipe
    from hwsim.write_cache import WriteCache

_PAGE = 4096  # bytes; what a kernel writes back on its own is whole pages, each when it likes


class Drive(Protocol):
    """What writes and Flushes need of the drive that they are sent to."""

    world: World
    env: simpy.Environment
    name: str
    params: Any
    up: bool
    plp: bool  # its capacitors work
    dead: bool  # without power: as against in a reset, which the driver waits for
    queue: str
    cache: str | None
    media: str
    on_restore: list[Callable[[], None]]
    tank: WriteCache | None
    blocks: dict[tuple[str, str], Block]
    unsure: dict[Write, None]  # completed, and not surely on the media
    under_way: dict[Write | Flush, None]
    flush_draws: random.Random
    slowness: float  # how many times later than usual it answers

    def pipes_for(self, *, through: bool) -> tuple[Pipe, ...]:
        """What the bytes of a write cross in the drive; *through*: on their way to the media."""

    def attended(self) -> bool:
        """Whether there is a kernel that sends commands; it is watched from now on."""

    def errno(self, *errnos: str) -> str | None:
        """With which of them the operation that asks fails, or None."""

    def failed(
        self, errno: str, part: str | None = None, slot: str | None = None, epoch: int | None = None,
        *, during: str = "write",
    ) -> IOFailed:  # fmt: skip
        """Record that an operation failed; what its `done` fails with."""

    def once_drained(self, call: Callable[[], None]) -> None:
        """Call *call* once whatever has completed by now is surely on the media by itself."""


class Block:
    """What lies under one slot.

    `pending` holds completed writes in the order of their completion, then those under way in the order
    of their beginning.
    """

    __slots__ = ("base", "detached", "drive", "part", "pending", "slot")

    def __init__(self, drive: Drive, part: str, slot: str) -> None:
        self.drive = drive
        self.part = part
        self.slot = slot
        held = drive.world.holdings.at(drive.media, part, slot)
        self.base: Contents = NOTHING_FOR_SURE if held is None else held
        self.pending: list[Write] = []
        self.detached = False  # the slot was deleted, or lost: whatever is under way reaches nobody

    def _fold(self, *, media: bool) -> Contents:
        """What the media may hold, or else: what the drive would answer without the commands in flight."""
        contents = self.base
        for write in self.pending:
            contents = write.over(contents, media=media)
        return contents

    def below(self, write: Write) -> Contents:
        """What the drive would answer if *write* had never been sent, nor any later one."""
        contents = self.base
        for other in self.pending[: self.pending.index(write)]:
            contents = other.over(contents, media=False)
        return contents

    def _views(self) -> list[tuple[str, Contents]]:
        """Every place of the drive with what it may hold; nothing for sure is no entry."""
        drive = self.drive
        sent = [write for write in self.pending if write.direct and write.result is None]
        completed = self._fold(media=False)
        views = [(drive.queue, sent[-1].fetched if sent else NOTHING_FOR_SURE)]
        if drive.cache is None:
            return [*views, (drive.media, completed)]
        if drive.plp:  # completed is as good as on the media
            return [*views, (drive.cache, NOTHING_FOR_SURE), (drive.media, completed)]
        cached = any(not write.through for write in self.pending)
        media = self._fold(media=True)
        return [*views, (drive.cache, completed if cached else NOTHING_FOR_SURE), (drive.media, media)]

    def show(self, event: str, by: Write | None = None) -> None:
        """Record what has changed, as *event* where nothing became whole, gone or torn for good."""
        if self.detached:
            return
        drive, holdings = self.drive, self.drive.world.holdings
        for place, contents in self._views():
            held = holdings.at(place, self.part, self.slot)
            shown = None if contents == NOTHING_FOR_SURE else contents
            if held == shown:
                continue
            sure = None if shown is None else surely(shown)
            what = event
            if shown is None:
                what = "erased"
            elif sure == TORN:
                what = "torn" if by is not None and by.ended else event
            elif sure is not None and place == drive.media:
                what = "persisted"
            elif sure is not None and place == drive.cache and held is not None:
                what = "completed"
            epoch = by.epoch if by is not None else sure if sure is not None and sure >= 0 else None
            size = None if by is None else by.size_bytes
            holdings.put(what, drive.name, place, self.part, self.slot, shown, epoch=epoch, size_bytes=size)

    def complete(self, write: Write) -> None:
        """Put *write* after the writes that completed before it; pages that it replaced are never sent any more."""
        if not write.direct:
            for other in self.pending[: self.pending.index(write)]:
                if not other.direct and other.result is None:
                    other.superseded = True
                    self.pending.remove(other)
        self.pending.remove(write)
        done = sum(other.result is not None for other in self.pending)
        self.pending.insert(done, write)

    def persisted(self, write: Write) -> None:
        """*write* is on the media for sure: it is the new base, and whatever completed before it is history."""
        if self.detached or write not in self.pending:
            return
        end = self.pending.index(write) + 1
        for other in self.pending[:end]:
            self.drive.unsure.pop(other, None)
        del self.pending[:end]
        assert write.result is not None
        self.base = write.result
        self.show("advanced", write)
        self.leave()

    def drop(self, write: Write) -> None:
        """*write* never came to be."""
        if write in self.pending:
            self.pending.remove(write)
            self.show("advanced", write)
            self.leave()

    def leave(self) -> None:
        """Forget the block once nothing is pending: the holdings alone know it."""
        if not self.pending and not self.detached:
            self.detached = True
            del self.drive.blocks[self.part, self.slot]

    def detach(self) -> None:
        """The slot was deleted, or the crash that settles it has struck: nothing under way reaches it."""
        self.detached = True
        for write in self.pending:
            self.drive.unsure.pop(write, None)

    def resolve(self) -> None:
        """The kernel that sent commands is gone, and the crash has settled what they came to: none is under way."""
        drive, holdings = self.drive, self.drive.world.holdings
        top = drive.media if drive.cache is None else drive.cache
        held = holdings.at(top, self.part, self.slot) or holdings.at(drive.media, self.part, self.slot)
        outcome = NOTHING if held is None else surely(held)
        open_ = [write for write in self.pending if write.result is None]
        if outcome is None:
            return
        self.pending = [write for write in self.pending if write.result is not None]
        if frozenset((outcome,)) == self._fold(media=False):
            pass
        elif not open_:  # completed with an error, or among others, so that nobody knew what had come of it
            if self.pending:
                self.pending[-1].result = frozenset((outcome,))
        else:
            left = next((write for write in reversed(open_) if write.epoch == outcome), open_[-1])
            left.result = frozenset((outcome,))
            self.pending.append(left)
            left.keep()
        self.show("advanced")
        self.leave()


class Write:
    """One write of one slot, of one command or many; `direct`, or of a kernel's dirty pages."""

    def __init__(self, drive: Drive, part: str, slot: str, epoch: int, size_bytes: int, *, direct: bool) -> None:
        params = drive.params
        self.drive = drive
        self.epoch = epoch
        self.size_bytes = size_bytes
        self.direct = direct
        self.done: simpy.Event = drive.env.event()
        self.commands = max(1, -(-size_bytes // params.command))
        blocks = -(-size_bytes // params.lba)
        within = params.awupf if params.boundary is None else min(params.awupf, params.boundary)
        self.atomic = self.commands == 1 and blocks <= within and (direct or size_bytes <= _PAGE)
        self.through = drive.cache is None  # its completion means that it is on the media
        self.may_be_whole = False  # dirty pages: all of them are there to be sent
        self.started = False
        self.all_fetched = self.commands <= params.queue_depth
        self.some_completed = False
        self.some_drained = False
        self.result: Contents | None = None  # what it came to, once completed
        self.superseded = False  # newer pages have taken the place of its own
        self.ended = False  # torn down, or its device crashed
        self._doomed = False  # the drive will answer with an error
        self._rivals: list[Write] = []  # writes of the same slot that overlapped in time
        self._sync = "none"
        self._flow: Flow | None = None
        self._flush: Flush | None = None
        block = drive.blocks.get((part, slot))
        if block is None:
            block = drive.blocks[part, slot] = Block(drive, part, slot)
        self.block = block
        block.pending.append(self)

    # what it may have left

    @property
    def fetched(self) -> Contents:
        """What it comes to if the commands fetched so far finish and no more are sent."""
        return whole(self.epoch) if self.all_fetched else TORN_FOR_SURE

    def over(self, below: Contents, *, media: bool) -> Contents:
        """What lies there if *below* lay there before: in the cache, or on the *media* where it is only cached."""
        deep = media and not self.through
        if self.result is not None:
            if not deep:
                return self.result
            if self.atomic:
                return either(below, self.result)
            return either(self.result, TORN) if self.some_drained else either(below, self.result, TORN)
        reach = self.may_be_whole or (self.started and self.all_fetched)
        if self.atomic:
            return either(below, self.epoch) if reach else below
        seen = self.some_drained if deep else self.some_completed
        mixed = TORN_FOR_SURE if seen else either(below, TORN)
        return either(mixed, self.epoch) if reach else mixed

    def _mixes_with(self, rival: Write) -> bool:
        """Whether the two, sent together, may leave blocks of both: AWUN holds for single commands only."""
        awun: int = self.drive.params.awun
        largest: int = -(-max(self.size_bytes, rival.size_bytes) // self.drive.params.lba)
        return max(self.commands, rival.commands) > 1 or largest > awun

    # its way

    def copied(self) -> None:
        """Dirty pages: the kernel has all of them."""
        self.may_be_whole = True
        self.block.show("begun", self)

    def start(self, pipes: Sequence[Pipe], sync: str) -> None:
        """Send the first commands, the bytes coming through *pipes*; `done` once *sync* holds."""
        drive, params = self.drive, self.drive.params
        if drive.dead or not drive.attended() or self.ended:
            self.block.drop(self)
            self.lose()
            return
        self.started = True
        self._sync = sync
        self.through = drive.cache is None or sync == "fua"
        drive.under_way[self] = None
        if self.direct:
            for other in self.block.pending:
                if other is not self and other.started and other.result is None:
                    other._rivals.append(self)
                    self._rivals.append(other)
        self.block.show("begun", self)
        errno = drive.errno("EIO")
        if errno is not None:
            self._doomed = True
            drive.env.timeout(self._latency_ps).callbacks.append(lambda _: self.fail(errno))
            return
        marks: list[tuple[int, Callable[[], None]]] = []
        if self.commands > 1:
            marks.append((params.command, self._first_completed))
            if not self.all_fetched:
                marks.append(((self.commands - params.queue_depth) * params.command, self._last_fetched))
            if not self.through and self.size_bytes > params.cache + params.command:
                marks.append((params.cache + params.command, self._first_drained))  # more than can be missing
        self._flow = drive.world.flows.start(
            (*pipes, *drive.pipes_for(through=self.through)), self.size_bytes, milestones=marks
        )
        assert self._flow.done.callbacks is not None
        self._flow.done.callbacks.append(self._moved)

    def _first_completed(self) -> None:
        self.some_completed = True
        self.block.show("advanced", self)
        if not self.through and not self.drive.plp:
            self.drive.once_drained(self._first_drained)

    def _last_fetched(self) -> None:
        self.all_fetched = True
        self.block.show("advanced", self)

    def _first_drained(self) -> None:
        if not self.some_drained and self in self.block.pending:
            self.some_drained = True
            self.block.show("advanced", self)

    def _moved(self, event: simpy.Event) -> None:
        if event._ok:
            self._complete_soon()
        else:
            event.defused = True  # whoever cancelled the flow has told the writer

    @property
    def _latency_ps(self) -> int:
        params = self.drive.params
        latency: int = params.write_latency
        if self.through and not self.drive.plp:
            latency += params.media_latency
        return round(latency * self.drive.slowness)

    def _complete_soon(self) -> None:
        self.drive.env.timeout(self._latency_ps).callbacks.append(self._complete)

    def _complete(self, _: simpy.Event) -> None:
        if self.ended:
            return
        if not self.drive.up:  # a reset came in between: the driver sends the command again
            once(self.drive.on_restore, self._complete_soon)
            return
        self._came_to(whole(self.epoch))
        if self._sync == "flush":
            self._flush = Flush(self.drive)
            assert self._flush.done.callbacks is not None
            self._flush.done.callbacks.append(self._flushed)
        else:
            self._finish()

    def _came_to(self, result: Contents) -> None:
        """Every command that was sent has completed."""
        for rival in self._rivals:
            result = either(result, rival.epoch)
            if self._mixes_with(rival):
                result = either(result, TORN)
        self.all_fetched = self.some_completed = True
        self.result = result
        if self.block.detached or self not in self.block.pending:
            return
        self.block.complete(self)
        self.block.show("advanced", self)
        self.keep()

    def keep(self) -> None:
        """It has completed: it waits for a Flush, or for the drain, unless it is on the media already."""
        drive = self.drive
        if self.through or drive.tank is None:
            self.persisted()
        else:
            drive.unsure[self] = None
            drive.once_drained(self.persisted)

    def persisted(self) -> None:
        """It is surely on the media."""
        self.block.persisted(self)

    def _flushed(self, event: simpy.Event) -> None:
        if event._ok:
            self._finish()
        else:
            event.defused = True
            self._fail(event._value if isinstance(event._value, IOFailed) else None)

    def _finish(self) -> None:
        self.drive.under_way.pop(self, None)
        if not self.done.triggered:
            self.done.succeed(self)

    # its end before its time

    def lose(self) -> None:
        """The drive, or the kernel that sends for it, crashed; what lies there is settled by the crash."""
        self._fail()

    def cancel(self) -> None:
        """The writer is gone: commands fetched finish, the rest is never sent."""
        if self.ended or self.done.triggered:
            return
        fetched, unfinished = self.fetched, self.result is None
        self._fail()
        if unfinished:
            self._came_to(fetched)

    @property
    def may_fail(self) -> bool:
        """Whether the drive has yet to answer, and may do so with an error."""
        return self.result is None and not self._doomed and not self.ended

    def fail(self, errno: str) -> None:
        """The drive answers with an error: of each command fetched and not completed the blocks are old or new.

        AWUPF holds for an error too: what is atomic then is all old or all new.
        """
        if self.ended or self.result is not None:
            return
        block, drive = self.block, self.drive
        there = not block.detached and self in block.pending
        left = self.over(block.below(self), media=False) if there else TORN_FOR_SURE
        self._fail(drive.failed(errno, block.part, block.slot, self.epoch))
        self._came_to(left)

    def _fail(self, error: IOFailed | None = None) -> None:
        self.ended = True
        self.drive.under_way.pop(self, None)
        if self._flow is not None:
            self._flow.cancel()
        if self._flush is not None:
            self._flush.cancel()
        if not self.done.triggered:
            self.done.fail(error or IOLost(f"{self.drive.name}: write of {self.block.part} lost"))
            self.done.defused = True


class Flush:
    """One Flush: it covers the writes completed before it was sent, and no later one."""

    def __init__(self, drive: Drive) -> None:
        self.drive = drive
        self.done: simpy.Event = drive.env.event()
        self.may_fail = True  # the drive has yet to answer, and may do so with an error
        self._covered = list(drive.unsure)
        if drive.dead or not drive.attended():
            self.lose()
        else:
            drive.under_way[self] = None
            errno = drive.errno("EIO")
            if errno is None:
                self._send()
            else:
                self.may_fail = False
                drive.env.timeout(self._draw_ps()).callbacks.append(lambda _: self.fail(errno))

    def _send(self) -> None:
        drive = self.drive
        wait = self._draw_ps()
        if drive.tank is not None and not drive.plp and drive.params.flush_honoured:
            wait += drive.tank.drain_time_ps()
        drive.env.timeout(wait).callbacks.append(self._due)

    def _draw_ps(self) -> int:
        drive = self.drive
        drawn: int = drive.params.flush.draw(drive.flush_draws)
        return round(drawn * drive.slowness)

    def _due(self, _: simpy.Event) -> None:
        drive = self.drive
        if self.done.triggered:
            return
        if not drive.up:  # a reset: the driver sends it again
            once(drive.on_restore, self._send)
            return
        if drive.params.flush_honoured:
            for write in self._covered:
                write.persisted()
        drive.under_way.pop(self, None)
        self.done.succeed(self)

    def lose(self) -> None:
        """The drive, or the kernel, crashed: the Flush is gone."""
        self.cancel()

    def fail(self, errno: str) -> None:
        """The drive answers with an error: it covers nothing, and what is cached stays cached."""
        if not self.done.triggered:
            self._end(self.drive.failed(errno, during="sync"))

    def cancel(self) -> None:
        """Nobody waits for it any more."""
        self._end(IOLost(f"{self.drive.name}: flush lost"))

    def _end(self, error: IOFailed | IOLost) -> None:
        self.drive.under_way.pop(self, None)
        if not self.done.triggered:
            self.done.fail(error)
            self.done.defused = True


def once(listeners: list[Callable[[], None]], call: Callable[[], None]) -> None:
    """Let *call* be called when the listeners are told next, and then no more."""

    def listener() -> None:
        listeners.remove(listener)
        call()

    listeners.append(listener)

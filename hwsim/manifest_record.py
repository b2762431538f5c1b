"""The record of a manifest on its devices: how a new one takes the place of the old, in one copy or several.

Source: POSIX.1-2017, rename(); Amazon S3 user guide, conditional writes; for copies that count once most hold them D.
K. Gifford, Weighted Voting for Replicated Data, SOSP 1979.

Not modelled: the time that deletes take; a reader that repairs a copy.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

from pydantic import BeforeValidator, Field, WithJsonSchema

from hwsim import quantities
from hwsim.contents import NOTHING, TORN, surely, whole
from hwsim.protocol import domain_of
from hwsim.quantities import Delay, Size
from hwsim.stale_views import StaleViews
from hwsim.trace import Part

if TYPE_CHECKING:
    from hwsim.protocol import Job, Placed
    from hwsim.saving import Saver

RECORD = "manifest"  # the record's part, and the slot it lies under
_SLOT = "0"
_NEW = "new"  # the new file, before it has the name
_JOURNAL = "journal"  # a directory's change on its way to the journal
_SECTOR_BYTES = 512  # commit record of the file system's journal: never torn, on any drive


def _devices(value: Any) -> Any:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list | tuple) and value and all(isinstance(item, str) for item in value):
        if len(set(value)) < len(value):
            raise ValueError("a device is named twice; write each once")
        return tuple(value)
    raise ValueError("expected a device or a list of them; write such as nvme or [node0/nvme, node1/nvme]")


Devices = Annotated[
    tuple[str, ...],
    BeforeValidator(_devices),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]


class ManifestRecord(quantities.Params):
    """The record itself: where it lies, how large it is, and how a new one takes the place of the old."""

    to: Devices | None = Field(
        default=None,
        description="device that holds the record, or a list of them, each with a copy; default: where the "
        "coordinator's first shard goes",
    )
    wait_for: Literal["all", "majority"] = Field(
        default="all", description="how many copies must hold a checkpoint's name before it counts"
    )
    size: Size = Field(default=4096, gt=0, description="size of the record")
    replace: Literal["in_place", "truncate", "rename", "remove_then_rename", "if_match"] = Field(
        default="rename",
        description="in_place overwrites the block; truncate empties the file and then writes it; rename syncs a new "
        "file, then renames it over the old one; remove_then_rename deletes the old one first; an object store knows "
        "in_place (a PUT, the default there) and if_match (a PUT that fails unless the object is what this "
        "coordinator put last)",
    )
    read: Literal["cached", "fresh"] = Field(
        default="cached",
        description="how ranks that choose for themselves look for it: cached asks exists(), stat() or a listing, "
        "which a client or store may answer late; fresh opens it",
    )
    sync: Literal["none", "flush", "fua", "completion"] | None = Field(
        default=None,
        description="what the coordinator waits for; default: what its first shard does on the same device, else flush",
    )
    checksum: bool = Field(default=True, description="whether a reader notices a torn record")
    persist: Delay | None = Field(
        default=None,
        description="delay until the record is durable on an abstract device; default: at once",
    )


class Record:
    """One copy of the record: how a new one takes the place of the old, and what lies on its device meanwhile.

    A rename is one sector of the file system's journal: all there or not at all.  Between a remove and the
    rename that follows there is no record.
    """

    def __init__(self, job: Job, params: Any, saver: Saver, copy: int, to: str | None) -> None:
        self.job = job
        self.world = job.world
        self._saver = saver
        self._params = params.manifest
        self.called = RECORD + (f".copy{copy}" if copy else "")
        self._delays = self.world.stream(self.called)
        self._placed = job.place_record(self.called, to, self._params.size, self._params.sync, None)
        self._name = job.place_record(self.called, to, _SECTOR_BYTES, self._params.sync, None)
        self._placed.truncates = self._params.replace == "truncate"
        self._name.takes_room = False
        self._abstract = not self._placed.writer
        stack = self._placed.store.stack_for(self._placed.into)
        self._rests = stack[-1]
        placed = self._placed
        self.part = Part(self.called, -1, copy, job.coordinator.name, placed.device, stack, placed.size_bytes)
        self._seen = NOTHING  # the object that a conditional PUT may replace
        if self._params.replace == "if_match":
            for placed in (self._placed, self._name):
                placed.store = cast(Any, placed.store).compare_and_swap(lambda: self._seen)
        self.views = self._stale_views() if params.recover_by == "each_rank" and self._params.read == "cached" else None

    def _stale_views(self) -> StaleViews | None:
        """What the clients of other hosts still believe of it, where its store lets them."""
        lag = getattr(self._placed.store, "lag", None)
        if lag is None:
            return None
        hosts = dict.fromkeys(node.endpoint for node in self.job.nodes)
        hosts.pop(self.job.coordinator.endpoint, None)  # who replaces it knows
        return StaleViews(self.world.domains[self._placed.device], lag, self.called, _SLOT, hosts)

    def write(self, epoch: int, then: Callable[[], None], given_up: Callable[[str], None]) -> None:
        """Let the record name *epoch*; *then* once it durably does, or *given_up* with the errno."""
        replace = self._params.replace
        if self.views is not None:
            self.views.replacing()

        def replaced() -> None:
            self._settled()
            then()

        def failed(errno: str) -> None:
            self._settled()
            given_up(errno)

        if self._abstract:
            if replace == "truncate":
                self.world.holdings.truncate(self._placed.device, self.called, _SLOT, epoch)
            elif replace == "remove_then_rename":
                self._erase(_SLOT)
            delay = self._params.persist.draw(self._delays) if self._params.persist is not None else 0
            self.job.later(delay, lambda: self._persisted(epoch, replaced))
        elif replace in ("in_place", "truncate", "if_match"):
            self._put(self._placed, _SLOT, epoch, replaced, failed)
        elif replace == "rename":
            self._put(self._placed, _NEW, epoch, lambda: self._rename(epoch, replaced, failed), failed)
        else:
            self._put(self._placed, _NEW, epoch, lambda: self._remove(epoch, replaced, failed), failed)

    def _settled(self) -> None:
        """Whoever was replacing it is done, or got an error, or is gone: what lies there now is what counts."""
        if self._params.replace == "if_match":  # the coordinator knows what it put, or reads it again
            self._seen = cast(Any, self._placed.store).version(self.called, _SLOT)
        if self.views is not None:
            named = surely(self.world.holdings.read(self.called, _SLOT))
            self.views.settled(None if named == TORN else 0 if named == NOTHING else named)

    def _persisted(self, epoch: int, then: Callable[[], None]) -> None:
        if domain_of(self._placed.store).up:
            device = self._placed.device
            self.world.holdings.put("persisted", device, self._rests, self.called, _SLOT, whole(epoch), epoch=epoch)
            then()

    def _put(
        self, placed: Placed, slot: str, epoch: int, then: Callable[[], None], given_up: Callable[[str], None]
    ) -> None:
        def failed(_placed: Placed, _epoch: int, errno: str) -> None:
            self._erase(_NEW)  # a new file that gets no name is deleted
            self._erase(_JOURNAL)
            given_up(errno)

        self._saver.save(placed, slot, epoch, lambda _placed, _epoch: then(), failed, from_host=True)

    def _remove(self, epoch: int, then: Callable[[], None], given_up: Callable[[str], None]) -> None:
        def removed() -> None:
            self._erase(_JOURNAL)
            self._erase(_SLOT)
            self._rename(epoch, then, given_up)

        self._put(self._name, _JOURNAL, epoch, removed, given_up)

    def _rename(self, epoch: int, then: Callable[[], None], given_up: Callable[[str], None]) -> None:
        def renamed() -> None:
            self.world.domains[self._placed.device].renamed(self.called, _NEW, _SLOT)
            self._erase(_NEW)
            then()

        self._put(self._name, _SLOT, epoch, renamed, given_up)

    def _erase(self, slot: str) -> None:
        self.world.holdings.erase(self._placed.device, self.called, slot)

    def tear_down(self) -> None:
        """Forget what was under way: a new file that got no name is nobody's."""
        self._erase(_NEW)
        self._erase(_JOURNAL)
        self._settled()

    def set_to(self, epoch: int) -> None:
        """A recovery chose *epoch*: the record names it from now on."""
        if self.world.holdings.read(self.called, _SLOT) == whole(epoch):
            return
        if self.views is not None:
            self.views.replacing()
        if not epoch:
            self._erase(_SLOT)
            self._settled()
        elif self._abstract:
            self._persisted(epoch, self._settled)
        else:
            # if that fails, the next one will name it
            self._put(self._name, _SLOT, epoch, self._settled, lambda _errno: self._settled())


class Copies:
    """The record in all its copies: each is written as soon as it is free, and counts once enough of them are."""

    def __init__(self, params: Any, copies: Sequence[Record]) -> None:
        self._copies = copies
        self.parts = tuple(copy.part for copy in self._copies)
        self.views = self._copies[0].views
        self._quorum = len(copies) if params.manifest.wait_for == "all" else len(copies) // 2 + 1
        self._busy = [False] * len(copies)
        self._next: list[int | None] = [None] * len(copies)  # what a copy is to name once it is free
        self._epoch: int | None = None  # what they are being made to name
        self._done = self._failed = 0
        self._then: Callable[[], None] = nobody
        self._given_up: Callable[[str], None] = nobody

    def write(self, epoch: int, then: Callable[[], None], given_up: Callable[[str], None]) -> None:
        """Let the record name *epoch*; *then* once enough copies durably do, or *given_up* once they cannot."""
        self._epoch, self._done, self._failed = epoch, 0, 0
        self._then, self._given_up = then, given_up
        for number in range(len(self._copies)):
            self._write(number, epoch)

    def _write(self, number: int, epoch: int) -> None:
        if self._busy[number]:  # with a majority, a slow one may still be at the checkpoint before
            self._next[number] = epoch
            return
        self._busy[number] = True
        ended = partial(self._ended, number, epoch)
        self._copies[number].write(epoch, partial(ended, None), ended)

    def _ended(self, number: int, epoch: int, errno: str | None) -> None:
        self._busy[number] = False
        follows, self._next[number] = self._next[number], None
        if follows is not None:
            self._write(number, follows)
        if epoch != self._epoch:
            return
        if errno is None:
            self._done += 1
            if self._done == self._quorum:
                self._epoch = None
                self._then()
        else:
            self._failed += 1
            if self._failed > len(self._copies) - self._quorum:
                self._epoch = None
                self._given_up(errno)

    def wait_for_one(self) -> None:
        """Take the first copy for enough."""
        self._quorum = 1

    def tear_down(self) -> None:
        """Forget what was under way."""
        self._busy = [False] * len(self._copies)
        self._next = [None] * len(self._copies)
        self._epoch = None
        for copy in self._copies:
            copy.tear_down()

    def set_to(self, epoch: int) -> None:
        """A recovery chose *epoch*: every copy names it from now on."""
        for copy in self._copies:
            copy.set_to(epoch)


def nobody(*_: object) -> None:
    """Nobody waits."""

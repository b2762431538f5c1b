"""Manifest: a file a shard and a checkpoint, and one small record that says which checkpoint counts.

Every rank writes its shard under the checkpoint's own name and, once the shard's sync holds for all
copies, tells the coordinator.  The coordinator writes the record (durably) when the last rank has told
it; from that instant the checkpoint counts.  Older ones are deleted by `keep` and `prune`.  The record may have copies
on several devices: the checkpoint counts once all, or most, of them name it, and a reader takes the newest that is
whole.  What all had to name outlives every device but one, what most had to name only the loss of fewer than half.

Guarantees: recovery hands back one whole checkpoint that was committed, or the one being committed
while its record is in doubt, provided that flushes are honest, `publish` is after_shards and a checksum, an
atomic block or a rename keeps the record from being torn.  Blocks: while the coordinator is down no new
checkpoint is committed; the old one stays usable.  Messages: one a rank and checkpoint.  Commit latency: the slowest
save, a message and the record, of which copies are written at once.

On a store whose clients see a replaced record late, ranks that look for it by themselves may choose different
checkpoints (`recover_by: each_rank`, `read: cached`): the job hangs, and nothing is lost.

Source: the pattern of "write a new file, fsync, rename a pointer" in databases (Gray and Reuter, Transaction
Processing, 1993, shadow copies), and of checkpoint libraries that keep a `latest` file.

A save that fails is the matter of `on_error` (see `hwsim.saving`).  A rank whose shard is given up tells the
coordinator, who abandons the checkpoint: its shards are deleted, and the record stays at the one before it.  A record
that is given up abandons its checkpoint too; what then lies under the record's name is what `replace` left there: with
rename the old record, with in_place the old one in doubt, with remove_then_rename nothing, and with truncate, as
open(path, "w") does it, an empty file.

Not modelled: the time that deletes take; a second coordinator; ranks that see a shard late.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, cast

from pydantic import BeforeValidator, Field, WithJsonSchema, model_validator

from hwsim import quantities
from hwsim.contents import NOTHING, TORN, surely, whole
from hwsim.coordination import CoordinatedParams
from hwsim.protocol import Job, Message, Protocol, domain_of, mutation
from hwsim.quantities import Delay, Size
from hwsim.saving import Saver
from hwsim.stale_views import StaleViews
from hwsim.trace import Part

if TYPE_CHECKING:
    from hwsim.outcomes import Handed
    from hwsim.protocol import Placed

RECORD = "manifest"  # the record's part, and the slot it lies under
_SLOT = "0"
_NEW = "new"  # the new file, before it has the name
_JOURNAL = "journal"  # a directory's change on its way to the journal
_OVERTAKEN = "a newer one counts already"
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


class ManifestParams(CoordinatedParams):
    """Parameters of `kind: manifest`."""

    kind: Literal["manifest"] = "manifest"
    keep: int = Field(default=2, ge=1, description="complete checkpoints kept")
    prune: Literal["before_commit", "after_commit"] = Field(
        default="after_commit",
        description="when the oldest goes: as a new one begins (before_commit), or once that counts (after_commit)",
    )
    publish: Literal["at_snapshot", "after_shards"] = Field(
        default="after_shards",
        description="when the manifest is written: at_snapshot does not wait for the shards to be durable",
    )
    manifest: ManifestRecord = Field(default_factory=ManifestRecord)
    slots: Literal["fresh", "in_place"] = Field(
        default="fresh",
        description="shards get a new file for each checkpoint; in_place overwrites them, which no manifest can mend",
    )
    missing: Literal["restart", "refuse"] = Field(
        default="restart",
        description="what a reader does that finds shards and no manifest: begin from nothing, or stop",
    )
    recover_by: Literal["coordinator", "each_rank"] = Field(
        default="coordinator",
        description="coordinator chooses one checkpoint for all; each_rank lets every rank choose for itself",
    )

    @model_validator(mode="after")
    def _copies_tell_each_other_apart(self) -> ManifestParams:
        if len(self.manifest.to or ()) > 1:
            if not self.manifest.checksum:
                raise ValueError("copies of a record are told apart by their checksums; write checksum: true")
            if self.recover_by == "each_rank":
                raise ValueError("ranks that choose for themselves read one record; write one device in manifest.to")
        return self


class _Record:
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


class _Copies:
    """The record in all its copies: each is written as soon as it is free, and counts once enough of them are."""

    def __init__(self, params: Any, copies: Sequence[_Record]) -> None:
        self._copies = copies
        self.parts = tuple(copy.part for copy in self._copies)
        self.views = self._copies[0].views
        self._quorum = len(copies) if params.manifest.wait_for == "all" else len(copies) // 2 + 1
        self._busy = [False] * len(copies)
        self._next: list[int | None] = [None] * len(copies)  # what a copy is to name once it is free
        self._epoch: int | None = None  # what they are being made to name
        self._done = self._failed = 0
        self._then: Callable[[], None] = _nobody
        self._given_up: Callable[[str], None] = _nobody

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


def _nobody(*_: object) -> None:
    """Nobody waits."""


class Manifest(Protocol, kind="manifest"):
    """A checkpoint counts from the instant at which a durable record names it."""

    Params = ManifestParams
    rule: ClassVar[str] = "manifest"

    def __init__(self, job: Job, params: Any) -> None:
        super().__init__(job, params)
        job.message_delay = params.message_delay
        job.resend_ps = params.resend
        self._ranks = len(job.nodes)
        self._unsaved: dict[tuple[str, int], int] = {}  # (rank, checkpoint) -> copies not yet saved
        self._acks: dict[int, set[str]] = {}  # checkpoint -> ranks that acknowledged: senders are counted, not messages
        self._lacking: dict[int, str] = {}  # checkpoints being published of which a shard was given up
        self._committed: list[int] = []  # checkpoints that count and are kept, oldest first
        self._publishing: int | None = None
        self._ready: int | None = None  # the newest one that waits for the record to be free
        self._fresh = params.slots == "fresh"
        self._saver = Saver(job, params)
        devices: Sequence[str | None] = params.manifest.to or (None,)
        self._record = _Copies(params, [self._make_copy(copy, to) for copy, to in enumerate(devices)])

    def _make_copy(self, copy: int, to: str | None) -> _Record:
        return _Record(self.job, self.params, self._saver, copy, to)

    def rule_params(self) -> Mapping[str, Any]:
        params = self.params
        return {
            "record": RECORD,
            "checksum": params.manifest.checksum,
            "recover_by": params.recover_by,
            "slots": params.slots,
            "missing": params.missing,
            **({"copies": "newest"} if len(self._record.parts) > 1 else {}),
            **({"views": self._views()} if self._record.views is not None else {}),
        }

    def _views(self) -> dict[str, list[int]]:
        """Each client's view of the record -> the numbers of the shards whose ranks read it."""
        views = self._record.views.parts if self._record.views is not None else {}
        return {
            view.name: sorted({placed.shard for placed in self.job.parts if placed.node.endpoint == host})
            for host, view in views.items()
        }

    def records(self) -> Iterable[Part]:
        return (*self._record.parts, *(self._record.views.parts.values() if self._record.views is not None else ()))

    def begin(self, epoch: int) -> None:
        self._acks[epoch] = set()
        if self.params.prune == "before_commit":
            self._prune(self.params.keep - 1)

    def save(self, placed: Placed, epoch: int, *, from_host: bool = False) -> None:
        self._saver.save(
            placed, self._slot(epoch), epoch, self._saved, self._not_saved, from_host=from_host, wanted=self._wanted
        )

    def _wanted(self, epoch: int) -> bool:
        """Whether a checkpoint may still come to count, or counts."""
        return epoch in self._acks or epoch in self._committed

    def snapshot_taken(self, epoch: int) -> None:
        if self.params.publish == "at_snapshot":
            self._publish(epoch)

    def _slot(self, epoch: int) -> str:
        return str(epoch) if self._fresh else "0"

    def _saved(self, placed: Placed, epoch: int) -> None:
        """A copy is saved; the rank tells the coordinator once all of its copies are."""
        self.job.saved(placed, epoch)
        if not self._wanted(epoch):  # abandoned meanwhile: what came too late goes too
            self._erase_of(placed, epoch)
            return
        node = placed.node
        left = self._unsaved.pop((node.name, epoch), len(node.parts)) - 1
        if left:
            self._unsaved[node.name, epoch] = left
        else:
            self.job.send("saved", epoch, node, self.job.coordinator, self._acknowledged)

    def _not_saved(self, placed: Placed, epoch: int, errno: str) -> None:
        """A copy is given up; the coordinator hears of it."""
        self.job.not_saved(placed, epoch)
        heard = partial(self._heard_of_failure, errno)
        self.job.send("failed", epoch, placed.node, self.job.coordinator, heard)

    def _heard_of_failure(self, errno: str, message: Message) -> None:
        """The checkpoint lacks a shard.  One that counts already cannot be taken back."""
        epoch = message.epoch
        if epoch not in self._acks:
            return
        if epoch == self._publishing:
            self._lacking[epoch] = errno
        elif epoch in self._committed:
            self._finish(epoch)
        else:
            if epoch == self._ready:
                self._ready = None
            self._give_up(epoch, errno)

    def _acknowledged(self, message: Message) -> None:
        acks = self._acks.get(message.epoch)
        if acks is None or message.sender in acks:  # given up meanwhile, or told again
            return
        acks.add(message.sender)
        if len(acks) < self._ranks:
            return
        if self.params.publish == "after_shards":
            self._publish(message.epoch)
        else:
            self._finish(message.epoch)

    def _publish(self, epoch: int) -> None:
        """Name *epoch* in the record, one at a time and never an older one after a newer one."""
        newest = self._committed[-1] if self._committed else 0
        if epoch < max(newest, self._publishing or 0, self._ready or 0):
            self._give_up(epoch, _OVERTAKEN)
        elif self._publishing is None:
            self._publishing = epoch
            self._record.write(epoch, self._published, self._not_published)
        else:
            if self._ready is not None:
                self._give_up(self._ready, _OVERTAKEN)
            self._ready = epoch

    def _not_published(self, errno: str) -> None:
        """The record could not be written: the checkpoint does not count, and a newer one that waits may."""
        epoch, self._publishing = self._publishing, None
        assert epoch is not None
        self._lacking.pop(epoch, None)
        self._give_up(epoch, errno)
        self._publish_ready()

    def _published(self) -> None:
        epoch, self._publishing = self._publishing, None
        assert epoch is not None
        self._committed.append(epoch)
        self.job.claim("epoch_committed", epoch, subject=self.job.coordinator.name)
        if self.params.prune == "after_commit":
            self._prune(self.params.keep)
        lacks = self._lacking.pop(epoch, None) is not None  # at_snapshot: a shard was given up, and it counts
        if self.params.publish == "after_shards" or lacks or len(self._acks.get(epoch, ())) == self._ranks:
            self._finish(epoch)
        self._publish_ready()

    def _publish_ready(self) -> None:
        if self._ready is not None:
            ready, self._ready = self._ready, None
            self._publish(ready)

    def _finish(self, epoch: int) -> None:
        if epoch == self._publishing:  # at_snapshot: the shards are quicker than the record
            return
        if self._acks.pop(epoch, None) is not None:
            self.job.finished(epoch)

    def _give_up(self, epoch: int, why: str) -> None:
        """This checkpoint will never count: a newer one does already, or an error came in its way."""
        self.job.claim("checkpoint_abandoned", epoch, detail=why)
        self._erase(epoch)
        for node in self.job.nodes:
            self._unsaved.pop((node.name, epoch), None)
        if self._acks.pop(epoch, None) is not None:
            self.job.finished(epoch)

    def _prune(self, keep: int) -> None:
        while len(self._committed) > keep:
            self._erase(self._committed.pop(0))

    def _erase(self, epoch: int) -> None:
        for placed in self.job.parts:
            self._erase_of(placed, epoch)

    def _erase_of(self, placed: Placed, epoch: int) -> None:
        if self._fresh:
            self.world.holdings.erase(placed.device, placed.name, str(epoch))

    def tear_down(self) -> None:
        self._unsaved.clear()
        self._acks.clear()
        self._lacking.clear()
        self._publishing = self._ready = None
        self._record.tear_down()

    def kept(self) -> object:
        views = self._record.views
        return tuple(self._committed), None if views is None else int(self.job.env.now)  # views age by themselves

    def resume(self, handed: Handed) -> None:
        """Leave every domain at the recovered checkpoint: newer and half-written ones go, and the record names it."""
        if handed.kind not in ("whole", "refused"):
            return  # a mixed or corrupt state is taken for a good one: nobody cleans up
        recovered = handed.epoch or 0 if handed.kind == "whole" else 0
        if self._fresh:
            kept = {str(epoch) for epoch in self._committed if epoch <= recovered} | {str(recovered)}
            for placed in self.job.parts:
                for slot in sorted(self.world.holdings.slots(placed.name)):
                    if slot not in kept:
                        self.world.holdings.erase(placed.device, placed.name, slot)
        self._committed = [epoch for epoch in self._committed if epoch < recovered] + ([recovered] if recovered else [])
        self._record.set_to(recovered)


# mutations: each leaves one step, wait or label out

_CACHE = "a volatile cache without capacitors, or a page cache"


@mutation(Manifest, "shards_not_flushed", "a rank tells the coordinator before its shard is flushed", _CACHE)
class _ShardsNotFlushed(Manifest):
    def __init__(self, job: Job, params: Any) -> None:
        super().__init__(job, params)
        job.forgo_flushes(*job.parts)


class _UnflushedRecord(_Record):
    def __init__(self, job: Job, params: Any, saver: Saver, copy: int, to: str | None) -> None:
        super().__init__(job, params, saver, copy, to)
        job.forgo_flushes(self._placed, self._name)


@mutation(Manifest, "record_not_flushed", "the checkpoint is acknowledged before its record is flushed", _CACHE)
class _RecordNotFlushed(Manifest):
    def _make_copy(self, copy: int, to: str | None) -> _Record:
        return _UnflushedRecord(self.job, self.params, self._saver, copy, to)


class _HastyRecord(_Record):
    def write(self, epoch: int, then: Callable[[], None], given_up: Callable[[str], None]) -> None:
        super().write(epoch, lambda: None, given_up)
        then()


@mutation(Manifest, "acknowledged_before_record", "the checkpoint is acknowledged as its record is begun",
          "a record that takes time to write")  # fmt: skip
class _AcknowledgedBeforeRecord(Manifest):
    def _make_copy(self, copy: int, to: str | None) -> _Record:
        return _HastyRecord(self.job, self.params, self._saver, copy, to)


@mutation(Manifest, "barrier_skipped", "the record is written when the first rank has told the coordinator",
          "several ranks, and publish: after_shards")  # fmt: skip
class _BarrierSkipped(Manifest):
    def _acknowledged(self, message: Message) -> None:
        acks = self._acks.get(message.epoch)
        if not acks and acks is not None:
            acks.update(node.name for node in self.job.nodes)
            super()._acknowledged(message)


@mutation(Manifest, "copies_not_awaited", "a rank tells the coordinator after the first of its copies",
          "several copies, and a loss of the first one's media")  # fmt: skip
class _CopiesNotAwaited(Manifest):
    def _saved(self, placed: Placed, epoch: int) -> None:
        if placed is placed.node.parts[0]:
            self._unsaved[placed.node.name, epoch] = 1
            super()._saved(placed, epoch)
        else:
            self.job.saved(placed, epoch)


@mutation(Manifest, "ack_before_flush", "a rank tells the coordinator of its shard as it begins to write it")
class _AckBeforeFlush(Manifest):
    def save(self, placed: Placed, epoch: int, *, from_host: bool = False) -> None:
        super().save(placed, epoch, from_host=from_host)
        if placed is placed.node.parts[0]:
            self.job.send("saved", epoch, placed.node, self.job.coordinator, self._acknowledged)


@mutation(Manifest, "pruned_too_early", "every older checkpoint is deleted as a new one begins")
class _PrunedTooEarly(Manifest):
    def begin(self, epoch: int) -> None:
        super().begin(epoch)
        self._prune(0)


@mutation(Manifest, "label_ignored", "shards are written under one name, whatever checkpoint they are of")
class _LabelIgnored(Manifest):
    def __init__(self, job: Job, params: Any) -> None:
        super().__init__(job, params)
        self._fresh = False

    def rule_params(self) -> Mapping[str, Any]:
        return {**super().rule_params(), "slots": "in_place"}


@mutation(Manifest, "stale_ack_counted", "the coordinator counts acknowledgements without a look at their checkpoint")
class _StaleAckCounted(Manifest):
    def _acknowledged(self, message: Message) -> None:
        super()._acknowledged(message._replace(epoch=max(self._acks, default=message.epoch)))


@mutation(Manifest, "one_copy", "a checkpoint counts once the first copy of its record is durable")
class _OneCopy(Manifest):
    def __init__(self, job: Job, params: Any) -> None:
        super().__init__(job, params)
        self._record.wait_for_one()


@mutation(Manifest, "read_first", "a reader believes the first copy of the record that is there")
class _ReadFirst(Manifest):
    def rule_params(self) -> Mapping[str, Any]:
        return {**super().rule_params(), "copies": "first"}

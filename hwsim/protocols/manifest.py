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
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, model_validator

from hwsim.coordination import CoordinatedParams
from hwsim.manifest_record import RECORD, Copies, ManifestRecord, Record
from hwsim.protocol import Job, Message, Protocol, mutation
from hwsim.saving import Saver
from hwsim.trace import Part

if TYPE_CHECKING:
    from hwsim.outcomes import Handed
    from hwsim.protocol import Placed

_OVERTAKEN = "a newer one counts already"


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
        self._record = Copies(params, [self._make_copy(copy, to) for copy, to in enumerate(devices)])

    def _make_copy(self, copy: int, to: str | None) -> Record:
        return Record(self.job, self.params, self._saver, copy, to)

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

    def deletes(self, handed: Handed, slot: str) -> bool:
        """Shards of checkpoints newer than the recovered one: they count as half-written."""
        if not self._fresh or handed.kind not in ("whole", "refused"):
            return False
        return int(slot) > (handed.epoch or 0 if handed.kind == "whole" else 0)

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

_AFTER_SHARDS = "protocol.publish: after_shards"
_COPIES = "several copies of the record"
_LOSS = "a what-if that loses media"


@mutation(Manifest, "shards_not_flushed", "a rank tells the coordinator before its shard is flushed",
          "a volatile cache that keeps what it completed", _AFTER_SHARDS)  # fmt: skip
class _ShardsNotFlushed(Manifest):
    def __init__(self, job: Job, params: Any) -> None:
        super().__init__(job, params)
        job.forgo_flushes(*job.parts)


class _UnflushedRecord(Record):
    def __init__(self, job: Job, params: Any, saver: Saver, copy: int, to: str | None) -> None:
        super().__init__(job, params, saver, copy, to)
        job.forgo_flushes(self._placed, self._name)


@mutation(Manifest, "record_not_flushed", "the checkpoint is acknowledged before its record is flushed",
          "a volatile cache under the record")  # fmt: skip
class _RecordNotFlushed(Manifest):
    def _make_copy(self, copy: int, to: str | None) -> Record:
        return _UnflushedRecord(self.job, self.params, self._saver, copy, to)


class _HastyRecord(Record):
    def write(self, epoch: int, then: Callable[[], None], given_up: Callable[[str], None]) -> None:
        super().write(epoch, lambda: None, given_up)
        then()


@mutation(Manifest, "acknowledged_before_record", "the checkpoint is acknowledged as its record is begun",
          "a record that takes time to write")  # fmt: skip
class _AcknowledgedBeforeRecord(Manifest):
    def _make_copy(self, copy: int, to: str | None) -> Record:
        return _HastyRecord(self.job, self.params, self._saver, copy, to)


@mutation(Manifest, "barrier_skipped", "the record is written when the first rank has told the coordinator",
          "several ranks", _AFTER_SHARDS)  # fmt: skip
class _BarrierSkipped(Manifest):
    def _acknowledged(self, message: Message) -> None:
        acks = self._acks.get(message.epoch)
        if not acks and acks is not None:
            acks.update(node.name for node in self.job.nodes)
            super()._acknowledged(message)


@mutation(Manifest, "copies_not_awaited", "a rank tells the coordinator after the first of its copies",
          "several copies of a shard", _LOSS)  # fmt: skip
class _CopiesNotAwaited(Manifest):
    def _saved(self, placed: Placed, epoch: int) -> None:
        if placed is placed.node.parts[0]:
            self._unsaved[placed.node.name, epoch] = 1
            super()._saved(placed, epoch)
        else:
            self.job.saved(placed, epoch)


@mutation(Manifest, "ack_before_flush", "a rank tells the coordinator of its shard as it begins to write it",
          _AFTER_SHARDS)  # fmt: skip
class _AckBeforeFlush(Manifest):
    def save(self, placed: Placed, epoch: int, *, from_host: bool = False) -> None:
        super().save(placed, epoch, from_host=from_host)
        if placed is placed.node.parts[0]:
            self.job.send("saved", epoch, placed.node, self.job.coordinator, self._acknowledged)


@mutation(Manifest, "pruned_too_early", "every older checkpoint is deleted as a new one begins",
          "a checkpoint kept while the next one is written")  # fmt: skip
class _PrunedTooEarly(Manifest):
    def begin(self, epoch: int) -> None:
        super().begin(epoch)
        self._prune(0)


@mutation(Manifest, "label_ignored", "shards are written under one name, whatever checkpoint they are of",
          "protocol.slots: fresh")  # fmt: skip
class _LabelIgnored(Manifest):
    def __init__(self, job: Job, params: Any) -> None:
        super().__init__(job, params)
        self._fresh = False

    def rule_params(self) -> Mapping[str, Any]:
        return {**super().rule_params(), "slots": "in_place"}


@mutation(Manifest, "stale_ack_counted", "the coordinator counts acknowledgements without a look at their checkpoint",
          "several ranks", "several checkpoints in flight", _AFTER_SHARDS)  # fmt: skip
class _StaleAckCounted(Manifest):
    def _acknowledged(self, message: Message) -> None:
        super()._acknowledged(message._replace(epoch=max(self._acks, default=message.epoch)))


@mutation(Manifest, "one_copy", "a checkpoint counts once the first copy of its record is durable", _COPIES, _LOSS)
class _OneCopy(Manifest):
    def __init__(self, job: Job, params: Any) -> None:
        super().__init__(job, params)
        self._record.wait_for_one()


@mutation(Manifest, "read_first", "a reader believes the first copy of the record that is there",
          _COPIES, "protocol.manifest.wait_for: majority")  # fmt: skip
class _ReadFirst(Manifest):
    def rule_params(self) -> Mapping[str, Any]:
        return {**super().rule_params(), "copies": "first"}

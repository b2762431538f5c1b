"""Memory replicas: every checkpoint into the memory of several machines, and one in so many to storage.

A rank copies its shard into its own host's memory and into that of peers (the copies that `shards` places `into` dram,
tmpfs or pmem) and tells the coordinator once all of them are there; when every rank has, the checkpoint counts, and the
one before it is dropped from memory.  Every `store_every`-th goes to storage too (all other copies), in the background.

Recovery rule: the ranks look for the newest checkpoint of which every shard has a whole copy left, in some memory or in
storage.  Guarantees: one whole checkpoint at any time; and the newest acknowledged one, so long as a copy of each
shard outlives the crash.  The loss of all power takes all memory, so what was acknowledged since the last one stored is
lost.  Blocks: while any participant is down.  Messages: one a rank and checkpoint, and one more for one that is stored.
Commit latency: the slowest copy into memory and a message.

With m copies of N machines in groups of m (`node: group/m`) k failures are survived unless they take a whole group:
for m = 2, k = 2 with 1 - (N/2)/C(N,2).  In a ring (`node: next`) twice as many pairs are fatal.  Where m does not
divide N, the last group is the larger one, and a ring within.

A save that is given up (see `hwsim.saving`) takes its checkpoint along; in storage alone it takes only what is stored.

Source: Z. Wang et al., GEMINI: Fast Failure Recovery in Distributed Training with In-Memory Checkpoints, SOSP 2023,
sections 4 and 6 (group, ring and mixed placement; two buffers a machine; storage for the user).

Not modelled: traffic that waits for idle spans of training's own; spare machines; the time that deletes take.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from hwsim.contents import whole
from hwsim.coordination import CoordinatedParams
from hwsim.outcomes import REFUSED, WHOLE
from hwsim.protocol import Job, Message, Protocol, mutation
from hwsim.saving import Saver

if TYPE_CHECKING:
    from hwsim.outcomes import Handed
    from hwsim.protocol import Placed

_MEMORY = frozenset(("dram", "tmpfs", "pmem"))


class MemoryReplicasParams(CoordinatedParams):
    """Parameters of `kind: memory_replicas`."""

    kind: Literal["memory_replicas"] = Field(
        default="memory_replicas", description="copies in the memory of peers, and to storage now and then"
    )
    store_every: int = Field(default=10, ge=1, description="1 puts every checkpoint into storage too, 10 every tenth")
    keep: int = Field(default=1, ge=1, description="complete checkpoints kept in storage")


class MemoryReplicas(Protocol, kind="memory_replicas"):
    """A checkpoint counts once every rank has it in the memory of several machines."""

    Params = MemoryReplicasParams
    rule: ClassVar[str] = "memory_replicas"

    def __init__(self, job: Job, params: Any) -> None:
        super().__init__(job, params)
        job.message_delay = params.message_delay
        job.resend_ps = params.resend
        self._saver = Saver(job, params)
        self._begun = 0
        self._left: dict[tuple[str, int, bool], int] = {}  # (rank, checkpoint, in memory) -> copies not yet saved
        self._acks: dict[int, set[str]] = {}  # checkpoint under way -> ranks that hold it
        self._stores: dict[int, set[str]] = {}  # checkpoint on its way to storage -> ranks that have stored it
        self._held: int | None = None  # the newest that counts
        self._stored: list[int] = []  # those that are complete in storage and kept, oldest first

    @classmethod
    def period(cls, params: Any) -> int:
        return int(params.store_every)

    def _in_memory(self, placed: Placed) -> bool:
        return placed.into in _MEMORY

    def _copies(self, parts: Iterable[Placed], memory: bool) -> list[Placed]:
        return [placed for placed in parts if self._in_memory(placed) == memory]

    def begin(self, epoch: int) -> None:
        self._acks[epoch] = set()
        self._begun += 1
        if self._begun % self.params.store_every == 0 and self._copies(self.job.parts, False):
            self._stores[epoch] = set()

    def save(self, placed: Placed, epoch: int, *, from_host: bool = False) -> None:
        memory = self._in_memory(placed)
        if not memory and epoch not in self._stores:
            self.job.not_saved(placed, epoch)
            return
        self._saver.save(
            placed, str(epoch), epoch, self._saved, self._not_saved, from_host=from_host,
            wanted=lambda epoch: epoch in (self._acks if memory else self._stores),
        )  # fmt: skip

    def _saved(self, placed: Placed, epoch: int) -> None:
        self.job.saved(placed, epoch)
        node, memory = placed.node, self._in_memory(placed)
        if epoch not in (self._acks if memory else self._stores):  # given up meanwhile: what came too late goes too
            self._erase([placed], epoch)
            return
        key = node.name, epoch, memory
        left = self._left.pop(key, len(self._copies(node.parts, memory))) - 1
        if left:
            self._left[key] = left
        else:
            kind, then = ("held", self._acknowledged) if memory else ("stored", self._heard_of_storage)
            self.job.send(kind, epoch, node, self.job.coordinator, then)

    def _not_saved(self, placed: Placed, epoch: int, errno: str) -> None:
        self.job.not_saved(placed, epoch)
        then = partial(self._give_up if self._in_memory(placed) else self._give_up_storing, errno)
        self.job.send("failed", epoch, placed.node, self.job.coordinator, then)

    # the coordinator

    def _acknowledged(self, message: Message) -> None:
        acks = self._acks.get(message.epoch)
        if acks is None:
            return
        acks.add(message.sender)
        if len(acks) < self._wanted_acks():
            return
        del self._acks[message.epoch]
        if self._held is not None and self._held > message.epoch:  # a newer one counts already
            self.job.claim("checkpoint_abandoned", message.epoch, detail="a newer one counts already")
            self._erase(self._copies(self.job.parts, True), message.epoch)
        else:
            self.job.claim("epoch_committed", message.epoch, subject=self.job.coordinator.name)
            if self._held is not None:
                self._drop(self._held)
            self._held = message.epoch
        self.job.finished(message.epoch)

    def _wanted_acks(self) -> int:
        return len(self.job.nodes)

    def _drop(self, epoch: int) -> None:
        """A newer one counts: its buffers are free for the next."""
        self._erase(self._copies(self.job.parts, True), epoch)

    def _heard_of_storage(self, message: Message) -> None:
        stores = self._stores.get(message.epoch)
        if stores is None:
            return
        stores.add(message.sender)
        if len(stores) == self._wanted_stores():
            del self._stores[message.epoch]
            self._stored.append(message.epoch)
            while len(self._stored) > self.params.keep:
                self._erase(self._copies(self.job.parts, False), self._stored.pop(0))

    def _wanted_stores(self) -> int:
        return len(self.job.nodes)

    def _give_up(self, errno: str, message: Message) -> None:
        if self._acks.pop(message.epoch, None) is None:
            return
        self.job.claim("checkpoint_abandoned", message.epoch, detail=errno)
        self._forget(message.epoch, True)
        self._give_up_storing(errno, message)
        self.job.finished(message.epoch)

    def _give_up_storing(self, errno: str, message: Message) -> None:
        if self._stores.pop(message.epoch, None) is not None:
            self._forget(message.epoch, False)

    def _forget(self, epoch: int, memory: bool) -> None:
        self._erase(self._copies(self.job.parts, memory), epoch)
        for node in self.job.nodes:
            self._left.pop((node.name, epoch, memory), None)

    def _erase(self, parts: Iterable[Placed], epoch: int) -> None:
        for placed in parts:
            self.world.holdings.erase(placed.device, placed.name, str(epoch))

    # crashes

    def tear_down(self) -> None:
        self._left.clear()
        self._acks.clear()
        self._stores.clear()

    def kept(self) -> object:
        return self._begun, self._held, tuple(self._stored)

    def resume(self, handed: Handed) -> None:
        """Every memory gets the recovered checkpoint again, and holds nothing else; storage keeps its own."""
        if handed.kind not in (WHOLE, REFUSED):
            return
        recovered = handed.epoch or 0 if handed.kind == WHOLE else 0
        self._stored = [epoch for epoch in self._stored if epoch <= recovered]
        self._held = recovered or None
        storage = self._copies(self.job.parts, False)
        complete = all(self.world.holdings.read(placed.name, str(recovered)) == whole(recovered) for placed in storage)
        if recovered and storage and complete and recovered not in self._stored:
            self._stored.append(recovered)
        kept = {str(epoch) for epoch in self._stored}
        for placed in self.job.parts:
            memory = self._in_memory(placed)
            lies = self.world.holdings.slots(placed.name)
            for slot, contents in sorted(lies.items()):
                if contents != whole(int(slot)) or slot not in ({str(recovered)} if memory else kept):
                    self.world.holdings.erase(placed.device, placed.name, slot)
            if memory and recovered and lies.get(str(recovered)) != whole(recovered):
                self._replicate(placed, recovered)

    def _replicate(self, placed: Placed, epoch: int) -> None:
        """Put a lost copy back, from the rank that has loaded the checkpoint."""
        self._saver.save(placed, str(epoch), epoch, _saved_again, lambda _placed, _epoch, _errno: None, from_host=True)


def _saved_again(placed: Placed, epoch: int) -> None:
    """The copy is there again; nobody was told that it was gone."""


@mutation(MemoryReplicas, "wait_skipped", "a checkpoint counts when all ranks but one hold it", "several ranks")
class _WaitSkipped(MemoryReplicas):
    def _wanted_acks(self) -> int:
        return len(self.job.nodes) - 1


@mutation(MemoryReplicas, "acknowledged_early", "a rank says that it holds a checkpoint when its first copy is there",
          "several copies in memory")  # fmt: skip
class _AcknowledgedEarly(MemoryReplicas):
    def _saved(self, placed: Placed, epoch: int) -> None:
        key = placed.node.name, epoch, True
        first = self._in_memory(placed) and key not in self._left
        super()._saved(placed, epoch)
        if first and key in self._left:
            self.job.send("held", epoch, placed.node, self.job.coordinator, self._acknowledged)


@mutation(MemoryReplicas, "dropped_early", "the checkpoint before is dropped as a new one begins")
class _DroppedEarly(MemoryReplicas):
    def begin(self, epoch: int) -> None:
        super().begin(epoch)
        if self._held is not None:
            self._drop(self._held)


@mutation(MemoryReplicas, "replicas_not_restored", "a recovery leaves lost copies lost", "several copies in memory")
class _ReplicasNotRestored(MemoryReplicas):
    def _replicate(self, placed: Placed, epoch: int) -> None:
        pass


@mutation(MemoryReplicas, "stores_not_awaited", "a checkpoint counts as stored when the first rank has stored it",
          "several ranks", "copies in storage")  # fmt: skip
class _StoresNotAwaited(MemoryReplicas):
    def _wanted_stores(self) -> int:
        return 1


@mutation(MemoryReplicas, "stored_early", "a rank says that it has stored a checkpoint as it begins to",
          "copies in storage")  # fmt: skip
class _StoredEarly(MemoryReplicas):
    def save(self, placed: Placed, epoch: int, *, from_host: bool = False) -> None:
        super().save(placed, epoch, from_host=from_host)
        if not self._in_memory(placed) and epoch in self._stores:
            self.job.send("stored", epoch, placed.node, self.job.coordinator, self._heard_of_storage)


@mutation(MemoryReplicas, "stale_ack_counted", "the coordinator counts who holds one without a look at which it is",
          "several ranks", "several checkpoints in flight")  # fmt: skip
class _StaleAckCounted(MemoryReplicas):
    def _acknowledged(self, message: Message) -> None:
        super()._acknowledged(message._replace(epoch=max(self._acks, default=message.epoch)))


@mutation(MemoryReplicas, "stored_one_dropped", "a stored checkpoint is dropped before the next one is in storage",
          "copies in storage")  # fmt: skip
class _StoredOneDropped(MemoryReplicas):
    def begin(self, epoch: int) -> None:
        super().begin(epoch)
        if epoch in self._stores:
            for stored in self._stored:
                self._erase(self._copies(self.job.parts, False), stored)
            self._stored.clear()

"""Two-phase commit: no checkpoint counts before every rank has promised it and the coordinator's log says so.

The coordinator asks every rank to prepare.  A rank that is asked saves its shard, forces a record "prepared" to its own
log and votes.  When all have voted yes the coordinator forces the decision: from that instant the checkpoint counts.
It tells every rank, which forces a record "committed", deletes what it keeps no longer and acknowledges.  A rank
that cannot prepare votes no; the coordinator then tells all to abort, without a record: what no log says was decided
is presumed to be aborted.

Recovery rule: the coordinator's log decides.  Guarantees: one whole checkpoint, 0 mixed, and never less than was
acknowledged, provided that flushes are honest and that log survives; if it does not, the ranks decide by what they
heard, where one of them heard or never voted.  Blocks: no new checkpoint while any participant is down; and a rank
that has voted and not heard is *in doubt*: if the coordinator dies then, it can neither keep nor drop the checkpoint.
With W between the two and coordinators that die at a rate lam, a checkpoint meets that with 1 - exp(-lam W).

Messages: 4 a rank and checkpoint (prepare, vote, decision, acknowledgement).  Commit latency, without the record's own
time on a busy drive: a message, the slowest save with its record, a message, the decision's record; ranks know one
message later, and the coordinator one more round later that they do.

Source: J. Gray, Notes on Data Base Operating Systems, 1978, section 5.8.3.3; C. Mohan, B. Lindsay, R. Obermarck,
Transaction Management in the R* Distributed Database Management System, ACM TODS 11(4), 1986 (presumed abort).

Not modelled: the log's other entries; a coordinator's vote of its own apart from its rank's; another coordinator that
takes over; the time that deletes take; an error of a "committed" record (the decision's record outlives it).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from hwsim.coordination import CoordinatedParams
from hwsim.logs import Log, LogRecord
from hwsim.outcomes import REFUSED, WHOLE
from hwsim.protocol import Job, Message, Protocol, mutation
from hwsim.saving import Saver

if TYPE_CHECKING:
    from hwsim.outcomes import Handed
    from hwsim.protocol import Node, Placed
    from hwsim.trace import Part

DECISION = "decision"  # the coordinator's log
_OVERTAKEN = "a newer one is decided already"


class TwoPhaseParams(CoordinatedParams):
    """Parameters of `kind: two_phase`."""

    kind: Literal["two_phase"] = Field(default="two_phase", description="two-phase commit with forced logs")
    keep: int = Field(default=2, ge=1, description="decided checkpoints kept")
    log: LogRecord = Field(
        default_factory=LogRecord, description="entries of the logs, which lie where their writers' first shards go"
    )


class TwoPhase(Protocol, kind="two_phase"):
    """No checkpoint counts before all ranks promised it and the coordinator's log says that it does."""

    Params = TwoPhaseParams
    rule: ClassVar[str] = "two_phase"

    def __init__(self, job: Job, params: Any) -> None:
        super().__init__(job, params)
        job.message_delay = params.message_delay
        job.resend_ps = params.resend
        self._saver = Saver(job, params)
        self._decision = Log(job, params, self._saver, DECISION, job.coordinator)
        self._decision.format()
        self._prepared = self._logs("prepared")
        self._committed = self._logs("committed")
        # the coordinator's
        self._votes: dict[int, set[str]] = {}  # checkpoint under way -> ranks that voted yes
        self._acks: dict[int, set[str]] = {}  # decided checkpoint -> ranks that acknowledged
        self._newest = 0  # the newest decided, or being so
        # the ranks'
        self._asked: set[tuple[str, int]] = set()
        self._waiting: dict[tuple[str, int], list[tuple[Placed, bool]]] = {}  # ready before the rank was asked
        self._unsaved: dict[tuple[str, int], int] = {}  # copies not yet saved
        self._dropped: set[tuple[str, int]] = set()  # told to abort, or voted no
        self._keeps: dict[str, list[int]] = {node.name: [] for node in job.nodes}  # committed ones, oldest first

    def _logs(self, name: str) -> dict[str, Log]:
        return {
            node.name: Log(self.job, self.params, self._saver, f"{name}{rank}", node)
            for rank, node in enumerate(self.job.nodes)
        }

    def rule_params(self) -> Mapping[str, Any]:
        return {
            "decision": DECISION,
            "prepared": [log.name for log in self._prepared.values()],
            "committed": [log.name for log in self._committed.values()],
        }

    def records(self) -> Iterable[Part]:
        return [log.part for log in (self._decision, *self._prepared.values(), *self._committed.values())]

    # the coordinator: first phase

    def begin(self, epoch: int) -> None:
        self._votes[epoch] = set()
        for node in self.job.nodes:
            self.job.send("prepare", epoch, self.job.coordinator, node, partial(self._prepare, node))

    # the ranks: first phase

    def save(self, placed: Placed, epoch: int, *, from_host: bool = False) -> None:
        key = placed.node.name, epoch
        if key in self._asked:
            self._write(placed, epoch, from_host)
        else:
            self._waiting.setdefault(key, []).append((placed, from_host))

    def _prepare(self, node: Node, message: Message) -> None:
        key = node.name, message.epoch
        self._asked.add(key)
        for placed, from_host in self._waiting.pop(key, ()):
            self._write(placed, message.epoch, from_host)

    def _write(self, placed: Placed, epoch: int, from_host: bool) -> None:
        self._saver.save(
            placed, str(epoch), epoch, self._saved, self._not_saved, from_host=from_host,
            wanted=lambda epoch: (placed.node.name, epoch) not in self._dropped,
        )  # fmt: skip

    def _saved(self, placed: Placed, epoch: int) -> None:
        self.job.saved(placed, epoch)
        node, key = placed.node, (placed.node.name, epoch)
        if key in self._dropped:  # what came too late goes too
            self.world.holdings.erase(placed.device, placed.name, str(epoch))
            return
        left = self._unsaved.pop(key, len(node.parts)) - 1
        if left:
            self._unsaved[key] = left
        else:
            self._promise(node, epoch)

    def _promise(self, node: Node, epoch: int) -> None:
        """All of the rank's copies are saved: from the record on it can keep the checkpoint whatever is decided."""
        self._prepared[node.name].append(
            epoch, partial(self._vote, node, epoch), lambda errno: self._cannot(node, epoch, errno)
        )

    def _vote(self, node: Node, epoch: int) -> None:
        if (node.name, epoch) not in self._dropped:
            self.job.send("yes", epoch, node, self.job.coordinator, self._voted)

    def _not_saved(self, placed: Placed, epoch: int, errno: str) -> None:
        self.job.not_saved(placed, epoch)
        self._cannot(placed.node, epoch, errno)

    def _cannot(self, node: Node, epoch: int, errno: str) -> None:
        if (node.name, epoch) not in self._dropped:
            self._drop(node, epoch)
            self.job.send("no", epoch, node, self.job.coordinator, lambda message: self._abort(message.epoch, errno))

    def _drop(self, node: Node, epoch: int) -> None:
        """The rank deletes what it has of a checkpoint that will never count."""
        self._dropped.add((node.name, epoch))
        self._unsaved.pop((node.name, epoch), None)
        for placed in node.parts:
            self.world.holdings.erase(placed.device, placed.name, str(epoch))
        self._prepared[node.name].erase(epoch)

    # the coordinator: second phase

    def _voted(self, message: Message) -> None:
        votes = self._votes.get(message.epoch)
        if votes is None or message.sender in votes:  # aborted meanwhile, or told again
            return
        votes.add(message.sender)
        if self._enough(votes):
            self._decide(message.epoch)

    def _enough(self, votes: set[str]) -> bool:
        return len(votes) == len(self.job.nodes)

    def _decide(self, epoch: int) -> None:
        if epoch < self._newest:
            self._abort(epoch, _OVERTAKEN)
            return
        del self._votes[epoch]
        self._newest = epoch
        self._decision.append(epoch, partial(self._decided, epoch), partial(self._undecided, epoch))

    def _decided(self, epoch: int) -> None:
        """The commit point is past."""
        self._acks[epoch] = set()
        self.job.claim("epoch_committed", epoch, subject=self.job.coordinator.name)
        self._decision.truncate(self.params.keep)
        for node in self.job.nodes:
            self.job.send("commit", epoch, self.job.coordinator, node, partial(self._commit, node))

    def _undecided(self, epoch: int, errno: str) -> None:
        self._votes[epoch] = set()
        self._abort(epoch, errno)

    def _abort(self, epoch: int, why: str) -> None:
        if self._votes.pop(epoch, None) is None:
            return
        self.job.claim("checkpoint_abandoned", epoch, detail=why)
        for node in self.job.nodes:
            self.job.send("abort", epoch, self.job.coordinator, node, partial(self._aborted, node))
        self.job.finished(epoch)

    # the ranks: second phase

    def _aborted(self, node: Node, message: Message) -> None:
        if (node.name, message.epoch) not in self._dropped:
            self._drop(node, message.epoch)

    def _commit(self, node: Node, message: Message) -> None:
        acknowledge = partial(self._acknowledge, node, message.epoch)
        self._committed[node.name].append(message.epoch, acknowledge, lambda _errno: acknowledge())

    def _acknowledge(self, node: Node, epoch: int) -> None:
        kept = self._keeps[node.name]
        kept.append(epoch)
        while len(kept) > self.params.keep:
            oldest = kept.pop(0)
            for placed in node.parts:
                self.world.holdings.erase(placed.device, placed.name, str(oldest))
        self._asked.discard((node.name, epoch))
        for log in (self._prepared[node.name], self._committed[node.name]):
            log.truncate(self.params.keep)
        self.job.send("ack", epoch, node, self.job.coordinator, self._acknowledged)

    def _acknowledged(self, message: Message) -> None:
        acks = self._acks.get(message.epoch)
        if acks is None:
            return
        acks.add(message.sender)
        if len(acks) == len(self.job.nodes):
            del self._acks[message.epoch]
            self.job.finished(message.epoch)

    # crashes

    def tear_down(self) -> None:
        self._votes.clear()
        self._acks.clear()
        self._asked.clear()
        self._waiting.clear()
        self._unsaved.clear()
        self._dropped.clear()

    def kept(self) -> object:
        return self._newest, [(name, *kept) for name, kept in self._keeps.items()]

    def resume(self, handed: Handed) -> None:
        """Decided checkpoints stay, all others go, and every log says so."""
        if handed.kind not in (WHOLE, REFUSED):
            return
        recovered = handed.epoch or 0 if handed.kind == WHOLE else 0
        self._newest = recovered
        for node in self.job.nodes:
            kept = self._keeps[node.name] = [e for e in self._keeps[node.name] if e < recovered]
            if recovered:
                kept.append(recovered)
            for placed in node.parts:
                for slot in sorted(self.world.holdings.slots(placed.name)):
                    if int(slot) not in kept:
                        self.world.holdings.erase(placed.device, placed.name, slot)
            self._prepared[node.name].reset(recovered)
            self._committed[node.name].reset(recovered)
        self._decision.format()
        self._decision.reset(recovered)


@mutation(TwoPhase, "vote_before_flush", "a rank votes as soon as it is asked, before its shard is saved")
class _VoteBeforeFlush(TwoPhase):
    def _prepare(self, node: Node, message: Message) -> None:
        super()._prepare(node, message)
        self._prepared[node.name].append(
            message.epoch,
            partial(self._vote, node, message.epoch),
            lambda errno: self._cannot(node, message.epoch, errno),
        )

    def _promise(self, node: Node, epoch: int) -> None:
        pass


@mutation(TwoPhase, "prepared_unforced", "a rank votes without a record of it in its log")
class _PreparedUnforced(TwoPhase):
    def _promise(self, node: Node, epoch: int) -> None:
        self._vote(node, epoch)


@mutation(TwoPhase, "decision_unforced", "the coordinator tells its decision before its log holds it")
class _DecisionUnforced(TwoPhase):
    def _decide(self, epoch: int) -> None:
        del self._votes[epoch]
        self._newest = epoch
        self._decision.append(epoch, _nothing, lambda _errno: None)
        self._decided(epoch)


@mutation(TwoPhase, "committed_unforced", "a rank acknowledges a decision that its log does not hold",
          "a what-if that loses media")  # fmt: skip
class _CommittedUnforced(TwoPhase):
    def _commit(self, node: Node, message: Message) -> None:
        self._acknowledge(node, message.epoch)


@mutation(TwoPhase, "wait_skipped", "the coordinator decides when all ranks but one have voted", "several ranks")
class _WaitSkipped(TwoPhase):
    def _enough(self, votes: set[str]) -> bool:
        return len(votes) == len(self.job.nodes) - 1


@mutation(TwoPhase, "stale_vote_counted", "the coordinator counts votes without a look at their checkpoint",
          "several ranks")  # fmt: skip
class _StaleVoteCounted(TwoPhase):
    def __init__(self, job: Job, params: Any) -> None:
        super().__init__(job, params)
        self._yeses = 0

    def kept(self) -> object:
        return super().kept(), self._yeses

    def _voted(self, message: Message) -> None:
        self._yeses += 1
        if self._yeses % len(self.job.nodes) == 0 and self._votes:
            self._decide(max(self._votes))


@mutation(TwoPhase, "prune_before_decision", "a rank deletes the checkpoint before as it votes")
class _PruneBeforeDecision(TwoPhase):
    def _vote(self, node: Node, epoch: int) -> None:
        for placed in node.parts:
            for slot in sorted(self.world.holdings.slots(placed.name)):
                if int(slot) != epoch:
                    self.world.holdings.erase(placed.device, placed.name, slot)
        super()._vote(node, epoch)


def _nothing() -> None:
    """Nobody waits."""

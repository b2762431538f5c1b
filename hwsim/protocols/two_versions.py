"""Two versions: every rank keeps its two newest checkpoints, and a recovery takes the one that all of them have.

A rank overwrites the older of its two slots and leaves the newer alone.  Nobody waits for a coordinator and no record
says which checkpoint counts: after a crash the ranks tell each other what they hold.

Recovery rule (`labels: number`): each rank tells the number of its newest whole checkpoint, all load the least of
these.  Guarantees: one whole checkpoint, 0 mixed, while no rank is ahead of another by more than one checkpoint
(`in_flight: {max: 1}`; with more a rank overwrites what the slowest still needs, and the recovery stops) and while a
number names one checkpoint only.  It does not after a rollback where the files carry the number of a training step
(`numbers: steps`): ranks that were ahead keep a file with a number that is soon used again, and a crash before they
have overwritten it finds two attempts under one number.  Until all ranks have saved once after it, a recovery is not
over.  `labels: attempt` makes a file say (generation, number), the generation raised at each recovery, and loads the
newest attempt that all hold; `discard` deletes at a recovery what is newer than what it hands back.  Either mends it.

Blocks: needs all ranks at a recovery.  Messages: none for a checkpoint; at a recovery one from each rank and one back.
Commit latency: the slowest save.

A save that is given up (see `hwsim.saving`) takes its checkpoint from all ranks, who learn of it at the next step.

Source: Koo and Toueg, Checkpointing and Rollback-Recovery for Distributed Systems, IEEE TSE 1987 (two checkpoints a
process suffice); for a number used again NVIDIA-NeMo/Megatron-Bridge issues 5604 (a step's directory used again, with
files of two attempts in it) and 5117 (a completion of an older attempt taken for one of the newer).

Not modelled: the time that deletes take; how ranks learn at a step that all have saved.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from hwsim.coordination import CoordinatedParams
from hwsim.outcomes import REFUSED, WHOLE
from hwsim.protocol import Job, Message, Protocol, mutation
from hwsim.saving import Saver

if TYPE_CHECKING:
    from hwsim.contents import Contents
    from hwsim.outcomes import Handed
    from hwsim.protocol import Placed

_SLOTS = ("0", "1")
_STEPS = "workload.numbers: steps"


class TwoVersionsParams(CoordinatedParams):
    """Parameters of `kind: two_versions`."""

    kind: Literal["two_versions"] = Field(default="two_versions", description="each rank keeps its two newest")
    labels: Literal["number", "attempt"] = Field(
        default="number",
        description="what ranks compare at a recovery: the number that a file carries, or the attempt (generation and "
        "number) that it was written in",
    )
    discard: bool = Field(
        default=True, description="whether a recovery deletes what is newer than the checkpoint that it hands back"
    )


class TwoVersions(Protocol, kind="two_versions"):
    """Every rank keeps its two newest checkpoints; a recovery loads what all have."""

    Params = TwoVersionsParams
    rule: ClassVar[str] = "two_versions"
    confers: ClassVar[bool] = True

    def __init__(self, job: Job, params: Any) -> None:
        super().__init__(job, params)
        job.message_delay = params.message_delay
        job.resend_ps = params.resend
        self._saver = Saver(job, params)
        self._slot_of: dict[int, str] = {}  # checkpoint under way -> the slot that it goes to
        self._newest_in = _SLOTS[1]  # the slot of the newest checkpoint begun, or resumed from
        self._left: dict[int, int] = {}  # checkpoint -> parts not yet saved
        self._errnos: dict[int, str] = {}  # checkpoints of which a save was given up, and why

    def rule_params(self) -> Mapping[str, Any]:
        return {"labels": self.params.labels}

    def begin(self, epoch: int) -> None:
        self._left[epoch] = len(self.job.parts)
        self._newest_in = self._slot_of[epoch] = self._free_slot()

    def _free_slot(self) -> str:
        """The slot that the newest checkpoint does not lie in."""
        return _SLOTS[1 - _SLOTS.index(self._newest_in)]

    def save(self, placed: Placed, epoch: int, *, from_host: bool = False) -> None:
        self._saver.save(
            placed, self._slot_of[epoch], epoch, self._saved, self._given_up, from_host=from_host,
            wanted=lambda epoch: epoch not in self._errnos,
        )  # fmt: skip

    def _saved(self, placed: Placed, epoch: int) -> None:
        self.job.saved(placed, epoch)
        self._one_less(epoch)

    def _given_up(self, placed: Placed, epoch: int, errno: str) -> None:
        self._errnos.setdefault(epoch, errno)
        self.job.not_saved(placed, epoch)
        self._one_less(epoch)

    def _one_less(self, epoch: int) -> None:
        self._left[epoch] -= 1
        if not self._left[epoch]:
            self._end(epoch)

    def _end(self, epoch: int) -> None:
        del self._left[epoch]
        slot = self._slot_of.pop(epoch)
        errno = self._errnos.pop(epoch, None)
        if errno is None:
            self.job.claim("epoch_committed", epoch)
        else:
            self.job.claim("checkpoint_abandoned", epoch, detail=errno)
            for placed in self.job.parts:
                self.world.holdings.erase(placed.device, placed.name, slot)
            if self._newest_in == slot:
                self._newest_in = self._free_slot()  # the next one goes where this one lay
        self.job.finished(epoch)

    def tear_down(self) -> None:
        self._left.clear()
        self._slot_of.clear()
        self._errnos.clear()

    def confer(self, told: Callable[[], None]) -> None:
        """Every rank tells what it holds; once all have, each is told what to load."""
        job, coordinator = self.job, self.job.coordinator
        heard: set[str] = set()
        answered = 0

        def answer(_message: Message) -> None:
            nonlocal answered
            answered += 1
            if answered == len(job.nodes):
                told()

        def hear(message: Message) -> None:
            heard.add(message.sender)
            if len(heard) == len(job.nodes):
                for node in job.nodes:
                    job.send("load", 0, coordinator, node, answer)

        for node in job.nodes:
            job.send("holds", 0, node, coordinator, hear)

    def kept(self) -> object:
        return self._newest_in

    def resume(self, handed: Handed) -> None:
        """Go on from the slot that was loaded: the next checkpoint goes to the other one."""
        found = {placed: self.world.holdings.slots(placed.name) for placed in self.job.parts}
        if handed.kind == WHOLE and handed.epoch:
            recovered = handed.epoch
            self._newest_in = next(
                slot for slots in found.values() for slot, contents in slots.items() if recovered in contents
            )
        elif handed.kind in (WHOLE, REFUSED):  # it begins anew
            recovered = 0
            self._newest_in = _SLOTS[1]
        else:
            return  # nobody noticed: what was under way when the crash came is what they loaded
        if not self.params.discard and handed.kind == WHOLE:
            return
        self._discard(found, recovered)

    def _discard(self, found: Mapping[Placed, Mapping[str, Contents]], recovered: int) -> None:
        for placed, slots in found.items():
            for slot, contents in slots.items():
                if not all(0 <= member <= recovered for member in contents):
                    self.world.holdings.erase(placed.device, placed.name, slot)


@mutation(TwoVersions, "label_ignored", "a recovery compares numbers, whatever the files' labels say",
          "several ranks", "protocol.labels: attempt", "protocol.discard: false", _STEPS)  # fmt: skip
class _LabelIgnored(TwoVersions):
    def rule_params(self) -> Mapping[str, Any]:
        return {"labels": "number"}


@mutation(TwoVersions, "discard_skipped", "a recovery leaves what is newer than what it hands back",
          "several ranks", "protocol.labels: number", "protocol.discard: true", _STEPS)  # fmt: skip
class _DiscardSkipped(TwoVersions):
    def _discard(self, found: Mapping[Placed, Mapping[str, Contents]], recovered: int) -> None:
        pass


@mutation(TwoVersions, "one_slot", "a rank overwrites the version that it should keep")
class _OneSlot(TwoVersions):
    def _free_slot(self) -> str:
        return self._newest_in


@mutation(TwoVersions, "wait_skipped", "the next checkpoint begins when the first rank has saved this one",
          "several ranks")  # fmt: skip
class _WaitSkipped(TwoVersions):
    def _saved(self, placed: Placed, epoch: int) -> None:
        if self._left[epoch] == len(self.job.parts):
            self.job.finished(epoch)
        super()._saved(placed, epoch)


@mutation(TwoVersions, "acknowledged_early", "a checkpoint is acknowledged before its saves have returned")
class _AcknowledgedEarly(TwoVersions):
    def begin(self, epoch: int) -> None:
        super().begin(epoch)
        self.job.claim("epoch_committed", epoch)

    def _end(self, epoch: int) -> None:
        del self._left[epoch], self._slot_of[epoch]
        self.job.finished(epoch)

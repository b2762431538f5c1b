"""Pairwise adoption over bilateral links: a domain resumes a checkpoint once every neighbour is known to have it too.

A domain (a node, or an abstract domain) writes checkpoint e beside what it has, and offers the number to each
neighbour in a round of the link between them.  An end that has not got e itself is busy; it offers its own as soon as
it has, and the two offers cross.  So a round that commits says that both hold e, and the first offer to arrive says so
of its sender.  Once it knows that of every neighbour a domain *adopts* e: the new file takes the name of the old one.

Recovery rule: every domain resumes what it has adopted.  Guarantees: between neighbours, that who has adopted e knows
that the other can resume it.  Nothing across the fleet: domains adopt at their own instants, so a crash between the
first and the last finds a mix, for E[max A - min A]/T of the time, A being the instants of adoption.  It is less than
in place, and it is not 0: what neighbours know of each other is no agreement of all (see `tree_convergence`).

Blocks: a domain with a neighbour that is dead, or cut off, adopts nothing more; its old checkpoint stays, and no new
one begins.  Messages: 3 frames a link if the second end is offered again after it has the checkpoint, 4 if offers cross
(and what is sent again).  Commit latency: the slowest save and one hop; the round is closed two hops later.

Source: a design of this project, of the rounds of `hwsim.bilateral.table`; the adoption by neighbours alone is the
synchroniser alpha of B. Awerbuch, "Complexity of network synchronization", JACM 32(4), 1985.

Not modelled: the time that a rename takes; application messages that cross domains.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from hwsim.bilateral.endpoint import ACCEPT, Answer, Application, Endpoint
from hwsim.bilateral.snapshots import Kind, Snapshot
from hwsim.bilateral.table import State
from hwsim.bilateral.tec import Mode
from hwsim.contents import surely
from hwsim.neighbourhood import Site, sites_of
from hwsim.outcomes import REFUSED, WHOLE
from hwsim.protocol import Job, Protocol, mutation
from hwsim.quantities import Duration, Params

if TYPE_CHECKING:
    from hwsim.bilateral.machine import Register
    from hwsim.outcomes import Handed
    from hwsim.protocol import Placed


class BilateralPairwiseParams(Params):
    """Parameters of `kind: bilateral_pairwise`."""

    kind: Literal["bilateral_pairwise"] = Field(
        default="bilateral_pairwise", description="a domain adopts what all of its neighbours have"
    )
    answer: Literal["cross", "accept"] = Field(
        default="cross",
        description="cross: who was offered a checkpoint too early offers it in turn once it has it (4 frames a "
        "link, no wait); accept: it takes the next repetition of the offer (3 frames, the repetitions, and a wait)",
    )
    retry_after: Duration = Field(default=10**12, gt=0, description="from a failed save to the next try; default: 1s")


class BilateralPairwise(Protocol, kind="bilateral_pairwise"):
    """Domains adopt a checkpoint by what their neighbours have."""

    Params = BilateralPairwiseParams
    rule: ClassVar[str] = "bilateral_pairwise"

    def __init__(self, job: Job, params: Any) -> None:
        super().__init__(job, params)
        sites = sites_of(job)
        self.members = {name: self._member(site, number) for number, (name, site) in enumerate(sites.items())}
        self._member_of = {id(placed): member for member in self.members.values() for placed in member.site.parts}
        self._left: dict[int, int] = {}  # checkpoint -> domains that have not adopted it

    def _member(self, site: Site, number: int) -> Member:
        return Member(self, site, number)

    def rule_params(self) -> Mapping[str, Any]:
        return {"neighbours": {name: sorted(member.site.links) for name, member in self.members.items()}}

    def start_links(self) -> None:
        used: dict[str, dict[str, Application]] = {}
        for member in self.members.values():
            for other, link in member.site.links.items():
                used.setdefault(link.name, {})[member.site.ends[other]] = Ends(member, other)
        for name, link in self.job.links.items():
            link.start(used.get(name))

    def begin(self, epoch: int) -> None:
        self._left[epoch] = len(self.members)

    def save(self, placed: Placed, epoch: int, *, from_host: bool = False) -> None:
        self._member_of[id(placed)].save(placed, epoch, from_host)

    def adopted(self, epoch: int) -> None:
        """One more domain adopted *epoch*."""
        if epoch in self._left:
            self._left[epoch] -= 1
            if not self._left[epoch]:
                del self._left[epoch]
                self.job.claim("epoch_committed", epoch)
                self.job.finished(epoch)

    def tear_down(self) -> None:
        self._left.clear()
        for member in self.members.values():
            member.left.clear()

    def kept(self) -> object:
        members = tuple(member.moment() for member in self.members.values())
        return (members, tuple(link.moment() for link in self.job.links.values()))

    def resume(self, handed: Handed) -> None:
        """Each domain goes on from what it has adopted; a newer file that waited for its name is deleted."""
        for member in self.members.values():
            member.resume((handed.epoch or 0) if handed.kind in (WHOLE, REFUSED) else None)


class Member:
    """One domain, live: what it holds, what it knows of its neighbours, what it has adopted."""

    def __init__(self, protocol: BilateralPairwise, site: Site, number: int) -> None:
        self.protocol = protocol
        self.job = protocol.job
        self.site = site
        self.number = number
        self.held = 0  # the newest checkpoint that is durable here
        self.adopted = 0
        self.waiting: set[int] = set()  # newer ones that are durable here and not adopted
        self.left: dict[int, int] = {}  # checkpoint -> parts not yet durable
        self.known: dict[str, int] = dict.fromkeys(site.links, 0)  # neighbour -> the newest that it is known to hold
        self.told: dict[str, int] = dict.fromkeys(site.links, 0)  # neighbour -> the newest that a round told it of
        self.ends: dict[str, Endpoint] = {}

    def moment(self) -> tuple[object, ...]:
        """All that decides how it goes on, but for its files and its links, as plain data."""
        knows = (sorted(self.known.items()), sorted(self.told.items()))
        return (self.held, sorted(self.waiting), self.adopted, *knows)

    def save(self, placed: Placed, epoch: int, from_host: bool) -> None:
        """Write a part beside what has its name."""
        self.left.setdefault(epoch, len(self.site.parts))

        def again(_error: object) -> None:
            self.job.later(self.protocol.params.retry_after, partial(self.save, placed, epoch, from_host))

        self.job.write(placed, str(epoch), epoch, self._saved, from_host=from_host, failed=again)

    def _saved(self, placed: Placed, epoch: int) -> None:
        self.job.saved(placed, epoch)
        self.left[epoch] -= 1
        if not self.left[epoch]:
            del self.left[epoch]
            self.hold(epoch)

    def hold(self, epoch: int) -> None:
        """Checkpoint *epoch* is durable here: tell the neighbours."""
        self.held = max(self.held, epoch)
        self.waiting.add(epoch)
        for other in self.site.links:
            self.offer(other)
        self.look()

    def offer(self, other: str) -> None:
        """Open a round that tells a neighbour of what is held here, if none has yet."""
        end = self.ends.get(other)
        if end is None or self.told[other] >= self.tells or end.state is State.OFFERED or end.queued:
            return
        if self.known[other] >= self.tells and self.protocol.params.answer == "accept":
            return  # its offer is bound, and comes again
        end.offer(self.payload())

    def payload(self) -> bytes:
        """What a round tells."""
        return Snapshot(Kind.HELD, Mode.RUN, self.number, 0, self.tells).pack()

    @property
    def tells(self) -> int:
        """The checkpoint that it says it holds: the newest that it does."""
        return self.held

    def takes(self, epoch: int) -> bool:
        """Whether it accepts a neighbour's word that that one holds *epoch*, and so says the same of itself."""
        return epoch <= self.held

    def learn(self, other: str, payload: bytes | None) -> int:
        """A neighbour said what it holds."""
        epoch = _said(payload)
        if epoch > self.known[other]:
            self.known[other] = epoch
            self.look()
        return epoch

    def look(self) -> None:
        """Adopt what is held here and, as far as is known, by every neighbour."""
        known = min(self.known.values(), default=self.held)
        ready = [epoch for epoch in self.waiting if epoch <= known]
        if ready:
            self.adopt(max(ready))

    def adopt(self, epoch: int) -> None:
        """The file of *epoch* takes the name of the older ones."""
        self.adopted = epoch
        self.waiting = {other for other in self.waiting if other > epoch}
        for placed in self.site.parts:
            holdings = self.job.world.holdings
            for slot in sorted(holdings.slots(placed.name), key=int):
                if int(slot) < epoch:
                    holdings.erase(placed.device, placed.name, slot)
        self.job.claim("epoch_adopted", epoch, subject=self.site.name)
        self.protocol.adopted(epoch)

    def _named(self) -> int:
        """The checkpoint whose files have the name here: the oldest that is whole."""
        holdings = self.job.world.holdings
        whole = [
            {int(slot) for slot, contents in holdings.slots(placed.name).items() if surely(contents) == int(slot)}
            for placed in self.site.parts
        ]
        return min(set.intersection(*whole), default=0)

    def resume(self, epoch: int | None) -> None:
        """Its processes run again: go on from what has the name here (or from *epoch*), and delete what waited."""
        holdings = self.job.world.holdings
        self.adopted = self._named() if epoch is None else epoch
        for placed in self.site.parts:
            for slot in holdings.slots(placed.name):
                if int(slot) > self.adopted:
                    holdings.erase(placed.device, placed.name, slot)
        self.held = self.adopted
        self.waiting.clear()


class Ends(Application):
    """One end of a link, for a domain and its neighbour *other*.  Its word is the newest checkpoint that it offered."""

    def __init__(self, member: Member, other: str) -> None:
        self._member = member
        self._other = other
        self._accepted = 0  # the checkpoint of the offer that is being accepted

    def answer(self, endpoint: Endpoint, payload: bytes | None) -> Answer:
        """Busy, until the checkpoint is held here too."""
        epoch = self._member.learn(self._other, payload)
        if not self._member.takes(epoch):
            return Answer("busy")
        self._accepted = epoch
        return ACCEPT

    def custody(self, write: str, old: Register, new: Register, word: int) -> int:
        """Remember what was offered: a round that commits says that the peer holds it."""
        return _said(new.slot) if write == "offer" else word

    def committed(self, endpoint: Endpoint, round_: int, brought: bytes | None) -> None:
        """Both ends hold what was offered."""
        member, other = self._member, self._other
        accepted, self._accepted = self._accepted, 0
        member.told[other] = max(member.told[other], accepted or endpoint.word)
        if brought is None:  # the peer took what was offered here, and takes only what it holds
            member.known[other] = max(member.known[other], endpoint.word)
            member.look()
        else:
            member.learn(other, brought)

    def settled(self, endpoint: Endpoint) -> None:
        """Take what a round brought out of the inbox."""
        self._member.ends[self._other] = endpoint
        if endpoint.register.inbox is not None:
            endpoint.consume()

    def ready(self, endpoint: Endpoint) -> None:
        """A round would be opened at once."""
        self._member.ends[self._other] = endpoint
        self._member.offer(self._other)


def _said(payload: object) -> int:
    """The checkpoint that a payload speaks of; 0: none."""
    said = Snapshot.unpack(payload) if isinstance(payload, bytes) else None
    return said.epoch if said is not None and said.kind is Kind.HELD else 0


@mutation(BilateralPairwise, "wait_skipped", "a domain adopts what it has, whatever its neighbours have")
class _WaitSkipped(BilateralPairwise):
    def _member(self, site: Site, number: int) -> Member:
        return _Alone(self, site, number)


class _Alone(Member):
    def look(self) -> None:
        if self.waiting:
            self.adopt(max(self.waiting))


@mutation(BilateralPairwise, "told_before_flush", "a domain tells neighbours of a checkpoint that is not durable yet")
class _ToldBeforeFlush(BilateralPairwise):
    def _member(self, site: Site, number: int) -> Member:
        return _Hasty(self, site, number)


class _Hasty(Member):
    begun = 0

    @property
    def tells(self) -> int:
        return max(self.begun, self.held)

    def save(self, placed: Placed, epoch: int, from_host: bool) -> None:
        super().save(placed, epoch, from_host)
        self.begun = epoch
        for other in self.site.links:
            self.offer(other)


@mutation(BilateralPairwise, "busy_skipped", "a domain accepts a neighbour's offer before it has the checkpoint itself")
class _BusySkipped(BilateralPairwise):
    def _member(self, site: Site, number: int) -> Member:
        return _Yielding(self, site, number)


class _Yielding(Member):
    def takes(self, epoch: int) -> bool:
        return True

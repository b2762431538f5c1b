"""Tree epoch convergence over bilateral links: every domain keeps two versions, and a tree of them commits the common.

A domain (a node, or an abstract domain) writes checkpoint d+1 over its version d-1 only once it knows that d is
committed.  Each tells its parent how far its whole subtree is durable; when the root's minimum rises, that *is* the
commit, with no write; it goes down again, and a domain may let out what depends on a checkpoint once it knows it to be
committed (`epoch_known`).  After a crash the domain that lost its memory enters a new generation, durably; whoever
hears of a newer one stops, enters it and reports what it holds; the root takes the newest version that all hold *under
one label* and sends all back to it.  The rules are `hwsim.bilateral.tec`'s, executed; this file gives them files,
registers, frames and time.

Recovery rule: the newest (generation, number) that all domains hold.  Guarantees: one whole checkpoint, never older
than an acknowledged one, whatever domain crashes when, in a recovery too.  Two things are needed that folklore leaves
out.  Numbers alone do not do: a domain may hold an older generation's checkpoint 2 when the others have made another
one.  Neighbours alone do not do: who goes on when its neighbours have got as far is soon two ahead of the far end.

Blocks: one dead domain or a cut edge of the tree stops commits and recoveries; the kept versions stay.  Work since the
recovered checkpoint is lost at all domains.  A save that fails is begun again after `retry_after`: nobody can vote no.

Messages: 2(N-1) a checkpoint, single frames.  They are snapshots that only grow within a generation and mode, so the
link's rounds, which hand something over exactly once, are not needed, and lost ones are said again every `resend`.
A recovery costs at most 2(N-1) that call, N-1 that report and N-1 that resume, in 4 hops times the tree's height.
Commit latency: the slowest of (save + way to the root); all know it within the slowest save + 2 x height x hop.

`keep`: versions kept.  Each beyond two lets a domain run one checkpoint further ahead of what is committed.

Source: a design of this project.  Tree two-phase commit whose votes cannot be no (J. Gray, "Notes on data base
operating systems", 1978); Koo and Toueg, Checkpointing and Rollback-Recovery for Distributed Systems, IEEE TSE 1987.

Not modelled: another tree when an edge is cut; the time that deletes take; application messages that cross domains
(they must carry the number, and a domain in an older checkpoint delays them); a root that
resumes in one generation while another is begun already (the job waits for the newest; the rules allow it, and
`hwsim.bilateral.tec_model` searches it).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from hwsim.bilateral import snapshots, spanning, tec
from hwsim.bilateral.live import POWER
from hwsim.bilateral.tec import Domain, Durable, Frame, Mode, Rules, Version
from hwsim.bilateral.wire import PAYLOAD_OCTETS
from hwsim.contents import NOTHING, surely
from hwsim.neighbourhood import Site, sites_of
from hwsim.outcomes import WHOLE
from hwsim.protocol import Job, Protocol, mutation
from hwsim.quantities import Duration, Params

if TYPE_CHECKING:
    import simpy

    from hwsim.bilateral.snapshots import Snapshot
    from hwsim.nv_register import NvRegister
    from hwsim.outcomes import Handed
    from hwsim.protocol import Placed

_GENERATION_OCTETS = 4


class TreeConvergenceParams(Params):
    """Parameters of `kind: tree_convergence`."""

    kind: Literal["tree_convergence"] = Field(
        default="tree_convergence", description="a tree of bilateral links commits what all domains hold"
    )
    root: str | None = Field(default=None, description="domain at the root of the tree; default: the centre")
    keep: int = Field(default=tec.KEPT, ge=2, le=snapshots.MOST_KEPT, description="versions that each domain keeps")
    resend: Duration = Field(default=10**12, gt=0, description="until something unanswered is said again; default: 1s")
    retry_after: Duration = Field(default=10**12, gt=0, description="from a failed save to the next try; default: 1s")


class TreeConvergence(Protocol, kind="tree_convergence"):
    """Domains on a tree of bilateral links commit and recover in common."""

    Params = TreeConvergenceParams
    rule: ClassVar[str] = "tree_convergence"
    confers: ClassVar[bool] = True
    numbers: ClassVar[str | None] = "steps"
    switched_off: ClassVar[Mapping[str, Any]] = {}  # rules that a mutation breaks

    def __init__(self, job: Job, params: Any) -> None:
        super().__init__(job, params)
        self.rules = Rules(**{"kept": params.keep, **self.switched_off})
        self.number_of: dict[int, int] = {0: 0}  # checkpoint -> its number
        self.attempt_of: dict[int, int] = {0: 0}  # number -> the newest checkpoint so numbered
        self._number = 0
        self._unknown: dict[int, set[str]] = {}  # checkpoint begun -> domains that do not know that it is committed
        self._claimed: set[int] = set()
        self._told: Callable[[], None] | None = None
        self._awaited = 0  # the generation in which a recovery must end
        sites = sites_of(job)
        graph = spanning.graph_of(sites, ((name, other) for name, site in sites.items() for other in site.links))
        self.parents = spanning.spanning_tree(graph, params.root or spanning.centre(graph))
        self.members: dict[str, Member] = {
            name: Member(self, sites[name], number, parent)
            for number, (name, parent) in enumerate(self.parents.items())
        }  # the root first
        self.root = next(iter(self.members.values()))
        for member in self.members.values():
            member.find_children(self.members)
        self._member_of = {id(placed): member for member in self.members.values() for placed in member.site.parts}

    def rule_params(self) -> Mapping[str, Any]:
        return {"labels": "attempt" if self.rules.labels else "number"}

    def start_links(self) -> None:
        super().start_links()
        for member in self.members.values():
            member.listen()

    # checkpoints

    def begin(self, epoch: int) -> None:
        self._number += 1
        self.number_of[epoch] = self._number
        self.attempt_of[self._number] = epoch
        self._unknown[epoch] = set(self.members)

    def save(self, placed: Placed, epoch: int, *, from_host: bool = False) -> None:
        self._member_of[id(placed)].want(placed, epoch, from_host)

    def committed(self, number: int) -> None:
        """The root's minimum rose to *number*."""
        for epoch in sorted(self._unknown):
            if self.number_of[epoch] <= number and epoch not in self._claimed:
                self._claimed.add(epoch)
                self.job.claim("epoch_committed", epoch)

    def known(self, member: Member, number: int) -> None:
        """A domain knows that *number* is committed."""
        for epoch in sorted(self._unknown):
            left = self._unknown[epoch]
            if self.number_of[epoch] <= number and member.site.name in left:
                left.discard(member.site.name)
                self.job.claim("epoch_known", epoch, subject=member.site.name)
                if not left:
                    del self._unknown[epoch]
                    self.job.finished(epoch)

    # recovery

    def tear_down(self) -> None:
        self._unknown.clear()
        self._told = None
        for member in self.members.values():
            member.wanted.clear()
            member.left.clear()

    def kept(self) -> object:
        members = tuple(member.moment() for member in self.members.values())
        return (self._number, members, tuple(link.moment() for link in self.job.links.values()))

    def confer(self, told: Callable[[], None]) -> None:
        """Whoever crashed enters a new generation; *told* is called once the root knows, in it, what all hold."""
        self._told = told
        crashed = [member for member in self.members.values() if member.crashed]
        self._awaited = max(member.reboot() for member in crashed or [self.root])

    def root_has_heard_all(self) -> None:
        """The root, recovering, knows what the whole tree holds; in an older generation than was begun that is void."""
        if self._told is not None and self.root.domain.durable.generation >= self._awaited:
            told, self._told = self._told, None
            told()

    def resume(self, handed: Handed) -> None:
        """The root sends all back to one version."""
        held = tec.subtree_holds(self.root.domain, self.rules) or frozenset()
        number = max((version.epoch for version in held), default=0)
        if handed.kind == WHOLE and handed.epoch is not None:
            number = self.number_of[handed.epoch]
        self._number = number
        self.root.resume(number)

    # how a domain may go on, and what it tells; the rules, but for mutations

    def may_prepare(self, member: Member) -> bool:
        """Whether a domain may write its next checkpoint."""
        return tec.may_prepare(member.domain, self.rules)

    def up(self, member: Member) -> Frame:
        """What a domain tells its parent."""
        return tec.up(member.domain, self.rules)

    def down(self, member: Member) -> Frame:
        """What it tells its children."""
        return tec.down(member.domain)


class Member:
    """One domain on the tree, live: its rules' state, its files, its register, its frames."""

    def __init__(self, protocol: TreeConvergence, site: Site, number: int, parent: str | None) -> None:
        self.protocol = protocol
        self.job = protocol.job
        self.world = protocol.world
        self.site = site
        self.number = number
        self.parent = parent
        self.children: list[str] = []
        self.domain = Domain()
        self.crashed = False
        self.wanted: list[tuple[Placed, int, bool]] = []  # saves that wait until they are allowed
        self.left: dict[int, int] = {}  # checkpoint -> parts not yet durable
        self.heard: dict[str, int] = {}  # neighbour -> the newest epoch it spoke of
        self._register: NvRegister | None = None
        self._register_in = ""
        self._entering = False  # the register is being written
        self._inbox: list[tuple[str, Frame]] = []  # frames that came meanwhile
        self._halves: dict[str, dict[int, Snapshot]] = {}  # child -> kind -> half of a report
        self._said: dict[str, Frame | None] = {}  # neighbour -> what it was last told
        self._labels: dict[int, int] = {}  # what the files say: checkpoint -> generation
        self._life = 0
        self._last_said = 0
        self._timing = False

    def __repr__(self) -> str:
        return f"Member({self.site.name!r})"

    def moment(self) -> tuple[object, ...]:
        """All that decides how it goes on, but for its files, as plain data; times counted from now."""
        return (
            self.domain, self.crashed, self._entering, tuple(self._inbox), sorted(self._labels.items()),
            sorted(self._said.items()), sorted(self.heard.items()), sorted(self._halves.items()),
            None if self._register is None else self._register.value,
            self._timing and self._last_said - int(self.world.env.now),
        )  # fmt: skip

    def find_children(self, members: Mapping[str, Member]) -> None:
        """The tree is known: look down."""
        self.children = [name for name, member in members.items() if member.parent == self.site.name]
        self.domain = Domain(reports=(Frame(0, Mode.RUN, 0),) * len(self.children))
        self._forget()
        self._said = dict.fromkeys(self.neighbours, Frame(0, Mode.RUN, 0))  # all know how all begin

    @property
    def neighbours(self) -> list[str]:
        """Parent and children."""
        return [*([self.parent] if self.parent is not None else []), *self.children]

    def listen(self) -> None:
        """The run begins, and the links have started."""
        for name in self.neighbours:
            link, end = self.site.links[name], self.site.ends[name]
            link.listen(end, snapshots.ETHERTYPE, partial(self._received, name))
        if self.neighbours:
            first = self.neighbours[0]
            self._register_in = self.site.ends[first]
            self._register = self.site.links[first].memory(self._register_in, "generation", _GENERATION_OCTETS)
        for device in self.site.devices:
            domain = self.world.domains[device]
            domain.on_stop.append(partial(self._stopped, device))
            domain.on_restore.append(partial(self._restored, device))

    # saving

    def want(self, placed: Placed, epoch: int, from_host: bool) -> None:
        """A part's bytes of checkpoint *epoch* are ready; written once its turn has come."""
        self.left.setdefault(epoch, len(self.site.parts))
        self.wanted.append((placed, epoch, from_host))
        self._write_what_may_be()

    def _write_what_may_be(self) -> None:
        if not self.wanted or self._entering or not self.protocol.may_prepare(self):
            return
        turn = self.domain.durable.newest + 1
        ready = [want for want in self.wanted if self.protocol.number_of[want[1]] == turn]
        self.wanted = [want for want in self.wanted if want not in ready]
        for placed, epoch, from_host in ready:
            self._write(placed, epoch, from_host)

    def _write(self, placed: Placed, epoch: int, from_host: bool) -> None:
        slot = self._slot(self.protocol.number_of[epoch])

        def again(_error: object) -> None:
            self.job.later(self.protocol.params.retry_after, partial(self._write, placed, epoch, from_host))

        self.job.write(placed, slot, epoch, self._saved, from_host=from_host, failed=again)

    def _slot(self, number: int) -> str:
        return str(number % self.protocol.rules.kept)

    def _saved(self, placed: Placed, epoch: int) -> None:
        self.job.saved(placed, epoch)
        self.left[epoch] -= 1
        if not self.left[epoch] and not self.crashed:
            del self.left[epoch]
            self._labels[epoch] = self.domain.durable.generation  # it is in the file's header, written with it
            self.domain = tec.prepare(self.domain, self.protocol.rules)
            self._changed()

    def _read(self) -> tuple[Version, ...]:
        """The versions that lie here whole, oldest first; of one that was prepared a copy of each shard is enough."""
        holdings, protocol = self.world.holdings, self.protocol
        found = set()
        for index in range(protocol.rules.kept):
            copies: dict[int, set[int | None]] = {}
            for placed in self.site.parts:
                copies.setdefault(placed.shard, set()).add(surely(holdings.read(placed.name, str(index))))
            common = set.intersection(*copies.values())
            alike = set().union(*copies.values()) == common and len(common) == 1
            if index == 0 and alike and common == {NOTHING}:
                common = {0}  # nothing was ever written there: the initial state
            for epoch in common:
                if epoch is not None and epoch >= 0 and (alike or epoch in self._labels):
                    found.add(Version(protocol.number_of[epoch], self._labels.get(epoch, 0)))
        return tuple(sorted(found))

    # crashes and generations

    def _stopped(self, device: str, crash_kind: str) -> None:
        self.crashed = True
        self._life += 1
        self._entering = False
        self._inbox.clear()
        self._forget()
        power = POWER in self.world.domains[device].CRASHES.get(crash_kind, ())
        if power and self._register is not None and device == self._register_in:
            self._register.lose_power()

    def _restored(self, device: str) -> None:
        if self._register is not None and device == self._register_in:
            self._register.restore_power()

    def _forget(self) -> None:
        self._halves.clear()
        self._said = dict.fromkeys(self.neighbours)
        self.heard = dict.fromkeys(self.neighbours, 0)

    def reboot(self) -> int:
        """Its processes run again: recover in a new generation, which is returned."""
        self.crashed = False
        rules = self.protocol.rules
        kept = (self._register.value if self._register is not None else 0) if rules.durable_generation else 0
        self._enter(kept + 1, lambda: None)
        return kept + 1

    def _enter(self, generation: int, then: Callable[[], None]) -> None:
        """Write the new generation down, then recover in it."""
        life = self._life
        self._entering = True

        def written(_: simpy.Event | None) -> None:
            if life != self._life:
                return
            self._entering = False
            self._forget()
            self.job.claim("generation_begun", subject=self.site.name, detail=str(generation))
            durable = Durable(generation - 1, self._read() or (Version(0, 0),))
            self.domain = tec.reboot(Domain(durable, reports=self.domain.reports))
            then()
            self._changed()
            inbox, self._inbox = self._inbox, []
            for sender, frame in inbox:
                self._take(sender, frame)

        if self._register is None:
            written(None)
        else:
            self._register.write(generation).callbacks.append(written)

    def resume(self, number: int) -> None:
        """Run again from version *number*; newer ones, and what is half-written, are dropped."""
        before = self.domain
        self.domain = tec.resume_at(before, number)
        if number not in {version.epoch for version in self.domain.durable.kept}:
            durable = Durable(before.durable.generation, (Version(number, before.durable.generation),))
            self.domain = self.domain._replace(durable=durable)
        self._dropped(number)
        self._changed()

    def _dropped(self, number: int) -> None:
        """Delete what is newer than *number*, or no checkpoint."""
        for placed in self.site.parts:
            for slot, contents in self.world.holdings.slots(placed.name).items():
                if not all(member >= 0 and self.protocol.number_of[member] <= number for member in contents):
                    self.world.holdings.erase(placed.device, placed.name, slot)
        self.heard = dict.fromkeys(self.neighbours, number)
        parent = self.parent
        if parent is not None:  # it knows already that we hold that one
            self._said[parent] = Frame(self.domain.durable.generation, Mode.RUN, number)

    # frames

    def _received(self, sender: str, octets: bytes) -> None:
        snapshot = snapshots.decode(octets)
        if snapshot is None or self.crashed or snapshot.domain != self.protocol.members[sender].number:
            return
        frame = self._whole(sender, snapshot)
        if frame is None:
            return
        word = _word(frame, sender != self.parent, fresh=self.domain.mode is Mode.REC)
        self._record("delivered", self.site.host, sender, frame, word)
        self._take(sender, frame)

    def _whole(self, sender: str, snapshot: Snapshot) -> Frame | None:
        """The frame that *snapshot* tells, once all of its halves are there."""
        if snapshot.mode is not Mode.REC or self.protocol.rules.kept <= tec.KEPT:
            return snapshots.to_frame((snapshot,))
        halves = self._halves.setdefault(sender, {})
        halves[snapshot.kind] = snapshot
        if len(halves) < 2 or len({(half.generation, half.epoch) for half in halves.values()}) > 1:
            return None
        return snapshots.to_frame(tuple(halves.values()))

    def _take(self, sender: str, frame: Frame) -> None:
        if self._entering:
            self._inbox.append((sender, frame))
        elif frame.generation > self.domain.durable.generation:
            self._enter(frame.generation, lambda: self._learn(sender, frame))
        else:
            unheard = self._acted_on(sender, frame)
            self._learn(sender, frame)
            self._changed()
            if unheard:
                self._say(sender, self.protocol.down(self))

    def _learn(self, sender: str, frame: Frame) -> None:
        self.heard[sender] = max(self.heard.get(sender, 0), frame.epoch)
        child = None if sender == self.parent else self.children.index(sender)
        recovering = self.domain.mode is Mode.REC
        self.domain = tec.receive(self.domain, frame, child, self.protocol.rules)
        if recovering and self.domain.mode is Mode.RUN:
            if frame.epoch not in {version.epoch for version in self.domain.durable.kept}:
                kept = (Version(frame.epoch, frame.generation),)
                self.domain = self.domain._replace(durable=self.domain.durable._replace(kept=kept))
            self._dropped(frame.epoch)

    def _acted_on(self, sender: str, frame: Frame) -> bool:
        """Whether a child says again what has been acted on: then it did not hear of that."""
        domain = self.domain
        if sender == self.parent or domain.mode is not Mode.RUN or frame.generation != domain.durable.generation:
            return False
        return frame.mode is not Mode.RUN or frame.epoch <= domain.committed

    def _changed(self) -> None:
        """Something did: what follows of itself."""
        protocol = self.protocol
        if self.parent is None:
            if self.domain.mode is Mode.RUN:
                before = self.domain.committed
                self.domain = tec.decide(self.domain, protocol.rules)
                if self.domain.committed > before:
                    protocol.committed(self.domain.committed)
            elif tec.subtree_holds(self.domain, protocol.rules) is not None:
                protocol.root_has_heard_all()
        self.tell()
        if self.domain.mode is Mode.RUN:
            protocol.known(self, self.domain.committed)
        self._write_what_may_be()

    def tell(self) -> None:
        """Say to the neighbours what they have not been told yet."""
        if self.parent is not None:
            frame = self.protocol.up(self)
            if frame != self._said[self.parent]:
                self._say(self.parent, frame)
        down = self.protocol.down(self)
        for index, child in enumerate(self.children):
            called = down.mode is Mode.JOIN and self.domain.reports[index] is not None  # it is recovering already
            if down != self._said[child] and not called:
                self._say(child, down)

    def _say(self, to: str, frame: Frame) -> None:
        before, self._said[to] = self._said[to], frame
        self._last_said = int(self.world.env.now)
        upward = to == self.parent
        fresh = before is None or before.mode is not Mode.RUN
        self._record("sent", self.site.host, to, frame, _word(frame, upward, fresh=fresh))
        wire = self.site.links[to].channel.wires[self.site.ends[to]]
        for snapshot in snapshots.of_frame(frame, self.number, self.protocol.rules.kept, upward=upward):
            wire.send(snapshots.encode(snapshot))
        self._watch()

    def _record(self, event: str, subject: str, other: str, frame: Frame, word: str) -> None:
        epoch = self.protocol.attempt_of.get(frame.epoch) if word in ("up", "down") else None
        peer = self.protocol.members[other].site.host
        self.world.record(event, subject, epoch=epoch, peer=peer, detail=word, size_bytes=PAYLOAD_OCTETS)

    # saying things again

    def _waits(self) -> list[str]:
        """Neighbours that have not answered what they were told."""
        domain, parent = self.domain, self.parent
        waiting = []
        if parent is not None:
            said = self._said[parent]
            unanswered = said is not None and said.epoch > domain.committed
            if domain.mode is Mode.REC or unanswered:
                waiting.append(parent)
        if domain.mode is Mode.REC:
            waiting += [child for child, report in zip(self.children, domain.reports, strict=True) if report is None]
        return waiting

    def _watch(self) -> None:
        if self._timing or not self._waits():
            return
        self._timing = True
        resend, env = self.protocol.params.resend, self.world.env

        def due(_: simpy.Event) -> None:
            self._timing = False
            if self._entering or self.crashed:
                return  # what is said next sets it again
            if int(env.now) >= self._last_said + resend:
                for name in self._waits():
                    frame = self._said[name]
                    if frame is not None:
                        self._say(name, frame)
            self._watch()

        env.timeout(self._last_said + resend - int(env.now)).callbacks.append(due)


def _word(frame: Frame, upward: bool, *, fresh: bool) -> str:
    """What a frame is called in a trace; *fresh*: the first of normal running after a recovery."""
    if frame.mode is not Mode.RUN:
        return "holds" if frame.mode is Mode.REC else "join"
    return "up" if upward else "resume" if fresh else "down"


@mutation(TreeConvergence, "label_ignored", "a recovery compares numbers, whatever generation a version is of",
          "a first checkpoint after a recovery sooner than a frame is said again")  # fmt: skip
class _LabelIgnored(TreeConvergence):
    switched_off: ClassVar[Mapping[str, Any]] = {"labels": False}


@mutation(TreeConvergence, "generation_ignored", "frames of an older generation are acted on", "several ranks")
class _GenerationIgnored(TreeConvergence):
    switched_off: ClassVar[Mapping[str, Any]] = {"generations_in_frames": False}


@mutation(TreeConvergence, "generation_volatile", "a crash takes the generation", "several ranks")
class _GenerationVolatile(TreeConvergence):
    switched_off: ClassVar[Mapping[str, Any]] = {"durable_generation": False}


@mutation(TreeConvergence, "one_slot", "a domain overwrites the version that it should keep")
class _OneSlot(TreeConvergence):
    switched_off: ClassVar[Mapping[str, Any]] = {"kept": 1}


@mutation(TreeConvergence, "told_before_flush", "a domain reports a checkpoint as it begins to write it")
class _ToldBeforeFlush(TreeConvergence):
    def save(self, placed: Placed, epoch: int, *, from_host: bool = False) -> None:
        super().save(placed, epoch, from_host=from_host)
        self._member_of[id(placed)].tell()

    def up(self, member: Member) -> Frame:
        frame = super().up(member)
        if frame.mode is not Mode.RUN or not member.left or not self.may_prepare(member):
            return frame
        children = [report.epoch for report in member.domain.reports if report is not None]
        return frame._replace(epoch=min([member.domain.durable.newest + 1, *children]))


@mutation(TreeConvergence, "wait_skipped", "a domain goes on before it knows that its last version is committed",
          "several ranks", "several checkpoints in flight")  # fmt: skip
class _WaitSkipped(TreeConvergence):
    switched_off: ClassVar[Mapping[str, Any]] = {"waits_for_commit": False}


@mutation(TreeConvergence, "report_confused", "a report of what is held counts as one of how far a subtree is",
          "several ranks")  # fmt: skip
class _ReportConfused(TreeConvergence):
    switched_off: ClassVar[Mapping[str, Any]] = {"modes_apart": False}


@mutation(TreeConvergence, "neighbours_only", "a domain goes on, and is reported, by what its neighbours hold alone",
          "a tree of height 2 or more")  # fmt: skip
class _NeighboursOnly(TreeConvergence):
    def may_prepare(self, member: Member) -> bool:
        heard = [member.heard[name] for name in member.neighbours]
        return member.domain.mode is Mode.RUN and tec.neighbours_allow(member.domain.durable.newest, heard)

    def up(self, member: Member) -> Frame:
        return self._own(member, super().up(member))

    def down(self, member: Member) -> Frame:
        return self._own(member, super().down(member))

    def _own(self, member: Member, frame: Frame) -> Frame:
        return frame._replace(epoch=member.domain.durable.newest) if frame.mode is Mode.RUN else frame

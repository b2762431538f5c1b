"""Tree epoch convergence as a finite transition system: domains, one frame a direction on each edge, crashes anywhere.

Every step of a domain is a rule of `hwsim.bilateral.tec`.  An edge holds the last frame sent each way: a new one
overwrites it, reading may leave it there (a repeated or stale frame), and it may vanish.  Epochs are counted from the
newest committed one, which makes the system finite: the rules compare epochs and never ask for their size.  The number
of crashes is bounded, since each starts a generation.

What must hold in every state, M being the newest epoch that the root ever committed, with its label: every domain still
holds (M, label).  At the commit this says that nothing was committed that some domain does not hold; later, that
nothing committed was overwritten or rolled back, and that no two domains take different contents for epoch M.

*Not modelled*: a write that takes time, edges that reorder (one frame has no order), trees of more than four domains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from hwsim.bilateral.tec import (
    KEPT,
    SOUND,
    UNKNOWN,
    Domain,
    Durable,
    Frame,
    Mode,
    Rules,
    Version,
    decide,
    down,
    may_prepare,
    neighbours_allow,
    prepare,
    reboot,
    receive,
    subtree_holds,
    up,
)

# The parent of each domain; the root has none.
TREES: Final = {
    "pair": (None, 0),
    "path3": (None, 0, 1),
    "path3, root in the middle": (None, 0, 0),
    "path4": (None, 0, 1, 2),
    "y4": (None, 0, 1, 1),
    "star4": (None, 0, 0, 0),
}
MEANINGS: Final = {
    "retention": "every domain holds the newest committed epoch, under its label",
    "common": "a recovery finds an epoch that all domains hold",
    "generation": "no generation is begun twice by one domain",
}

State = tuple[int, ...]  # domains; frame up and frame down of each edge; crashes so far; the label of what is committed

NONE: Final = -1  # an empty edge


class Did(NamedTuple):
    """What happened in a step; *frame*: the one that *what* speaks of, as {}."""

    who: int
    what: str
    fault: bool = False
    wrong: str | None = None
    frame: int = NONE


@dataclass(frozen=True)
class Setting:
    """A tree, how many crashes it sees in all, and the rules it runs by."""

    tree: str
    crashes: int
    rules: Rules = SOUND


class Model:
    """The transition system; domains and frames are numbered as met, and each rule is worked out once."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.parents = TREES[setting.tree]
        self.count = len(self.parents)
        self.children = [tuple(j for j in range(self.count) if self.parents[j] == i) for i in range(self.count)]
        self.domains: list[Domain] = []
        self.frames: list[Frame] = []
        self._domain_of: dict[Domain, int] = {}
        self._frame_of: dict[Frame, int] = {}
        self._told: dict[tuple[int, int, int], Did] = {}
        self._heard: dict[tuple[int, int], tuple[Did, Did, Did]] = {}
        self._own: dict[tuple[bool, int], tuple[int, int, int, int]] = {}
        self._received: dict[tuple[bool, int, int, int], int] = {}
        self._shifted: dict[tuple[int, int], int] = {}
        self._shifted_frame: dict[tuple[int, int], int] = {}
        # of each domain: what is committed by it, and the versions it holds
        self._holds: list[frozenset[Version]] = []
        self._generation: list[int] = []
        self._frame_generation: list[int] = []

    def domain(self, domain: Domain) -> int:
        found = self._domain_of.get(domain)
        if found is None:
            found = self._domain_of[domain] = len(self.domains)
            self.domains.append(domain)
            self._holds.append(frozenset(domain.durable.kept))
            self._generation.append(domain.durable.generation)
        return found

    def frame(self, frame: Frame) -> int:
        found = self._frame_of.get(frame)
        if found is None:
            found = self._frame_of[frame] = len(self.frames)
            self.frames.append(frame)
            self._frame_generation.append(frame.generation)
        return found

    def initial(self) -> State:
        """All domains running, epoch 0 durable and committed everywhere, the edges empty."""
        report = Frame(0, Mode.RUN, 0)
        domains = [self.domain(Domain(reports=(report,) * len(children))) for children in self.children]
        return (*domains, *(NONE,) * (2 * (self.count - 1)), 0, 0)

    def steps(self, state: State) -> list[tuple[State, Did]]:
        """Every step from *state* that changes it."""
        found: list[tuple[State, Did]] = []
        crashes = state[-2]
        for who in range(self.count):
            root, mine = who == 0, state[who]
            own = self._own.get((root, mine))
            if own is None:
                own = self._own[root, mine] = self._own_steps(root, mine)
            prepared, rebooted, upward, downward = own
            if prepared >= 0:
                self._changed(found, state, who, prepared, Did(who, "makes its next epoch durable"))
            if crashes < self.setting.crashes:
                again = self._generation[rebooted] <= self._generation[mine]
                did = Did(who, "crashes and reboots", True, "generation" if again else None)
                self._changed(found, state, who, rebooted, did, crashed=True)
            if not root:
                parent = self.parents[who]
                assert parent is not None
                self._put(found, state, self._edge(who), upward, who, parent)
                self._arrive(found, state, self._edge(who) + 1, who, None)
                self._arrive(found, state, self._edge(who), parent, self.children[parent].index(who))
            for child in self.children[who]:
                self._put(found, state, self._edge(child) + 1, downward, who, child)
        return found

    def _edge(self, child: int) -> int:
        return self.count + 2 * (child - 1)

    def _own_steps(self, root: bool, number: int) -> tuple[int, int, int, int]:
        domain, rules = self.domains[number], self.setting.rules
        prepared = NONE
        if may_prepare(domain, rules):
            prepared = self.domain(self._ruled(root, prepare(domain, rules)))
        rebooted = self.domain(self._ruled(root, reboot(domain, rules)))
        return prepared, rebooted, self.frame(up(domain, rules)), self.frame(down(domain))

    def _ruled(self, root: bool, domain: Domain) -> Domain:
        return decide(domain, self.setting.rules) if root else domain

    def _put(self, found: list[tuple[State, Did]], state: State, slot: int, frame: int, who: int, to: int) -> None:
        if state[slot] == frame:
            return
        if self.setting.rules.generations_in_frames and self._frame_generation[frame] < self._generation[state[to]]:
            return  # whoever is in a newer generation will never take it
        did = self._told.get((who, to, frame))
        if did is None:
            did = self._told[who, to, frame] = Did(who, f"tells {name(to)}: {{}}", frame=frame)
        found.append(((*state[:slot], frame, *state[slot + 1 :]), did))

    def _arrive(self, found: list[tuple[State, Did]], state: State, slot: int, who: int, child: int | None) -> None:
        frame = state[slot]
        if frame == NONE:
            return
        key = (who == 0, state[who], frame, NONE if child is None else child)
        after = self._received.get(key)
        if after is None:
            new = receive(self.domains[state[who]], self.frames[frame], child, self.setting.rules)
            after = self._received[key] = self.domain(self._ruled(who == 0, new))
        taken = (*state[:slot], NONE, *state[slot + 1 :])
        heard = self._heard.get((who, frame))
        if heard is None:
            heard = self._heard[who, frame] = (
                Did(who, "hears: {}", frame=frame),
                Did(who, "hears: {}; a copy stays on the edge", True, frame=frame),
                Did(who, "never hears: {}", True, frame=frame),
            )
        if after == state[who]:
            found.append((taken, heard[0]))  # the same as a loss
            return
        self._changed(found, taken, who, after, heard[0])
        self._changed(found, state, who, after, heard[1])
        found.append((taken, heard[2]))

    def _changed(
        self, found: list[tuple[State, Did]], state: State, who: int, after: int, did: Did, *, crashed: bool = False
    ) -> None:
        """Add the state in which domain *who* is *after*: frames it will never take are gone, epochs counted anew."""
        new = list(state)
        new[who] = after
        if crashed:
            new[-2] += 1
        generation = self._generation[after]
        if generation != self._generation[state[who]] and self.setting.rules.generations_in_frames:
            slots = [self._edge(child) for child in self.children[who]]
            if who:
                slots.append(self._edge(who) + 1)
            for slot in slots:
                if new[slot] != NONE and self._frame_generation[new[slot]] < generation:
                    new[slot] = NONE
        if who == 0:
            domain = self.domains[after]
            by = domain.committed if domain.mode is Mode.RUN else 0
            if by > 0:  # the root has committed: from now on, epochs count from there
                new[-1] = next((version.label for version in domain.durable.kept if version.epoch == by), NONE)
                for place in range(self.count):
                    new[place] = self._shift(new[place], by)
                for place in range(self.count, len(new) - 2):
                    new[place] = self._shift_frame(new[place], by)
        found.append((tuple(new), did))

    def _shift(self, number: int, by: int) -> int:
        found = self._shifted.get((number, by))
        if found is None:
            domain = self.domains[number]
            kept = tuple(Version(version.epoch - by, version.label) for version in domain.durable.kept)
            reports = tuple(None if report is None else _earlier(report, by) for report in domain.reports)
            committed = domain.committed - by if domain.mode is Mode.RUN else UNKNOWN
            shifted = Domain(Durable(domain.durable.generation, kept), domain.mode, committed, reports)
            found = self._shifted[number, by] = self.domain(shifted)
        return found

    def _shift_frame(self, number: int, by: int) -> int:
        if number == NONE:
            return NONE
        found = self._shifted_frame.get((number, by))
        if found is None:
            found = self._shifted_frame[number, by] = self.frame(_earlier(self.frames[number], by))
        return found

    def judge(self, state: State) -> str | None:
        """The property that *state* breaks."""
        committed = Version(0, state[-1])
        holds = self._holds
        for number in state[: self.count]:
            if committed not in holds[number]:
                return "retention"
        root = self.domains[state[0]]
        return "common" if root.mode is Mode.REC and subtree_holds(root, self.setting.rules) == frozenset() else None

    def converged(self, state: State) -> bool:
        """All run in one generation, and all know the newest durable epoch of each to be committed."""
        domains = [self.domains[number] for number in state[: self.count]]
        return all(domain.mode is Mode.RUN and domain.committed == domain.durable.newest for domain in domains) and (
            len({(domain.durable.generation, domain.committed) for domain in domains}) == 1
        )

    def shifted(self, before: State, step: tuple[State, Did]) -> int:
        """By how many epochs *step* shifted the state, as the domain that did not move tells."""
        still = 1 if step[1].who == 0 else 0
        return self.domains[before[still]].durable.newest - self.domains[step[0][still]].durable.newest

    def explain(self, _before: State, step: tuple[State, Did], offset: int = 0) -> str:
        """A step in words."""
        did = step[1]
        frame = describe_frame(self.frames[did.frame], offset) if did.frame != NONE else ""
        return f"{name(did.who)} {did.what.format(frame)}"

    def describe(self, state: State, offset: int = 0) -> str:
        """A state in one line; epochs from *offset*."""
        parts = []
        for who, number in enumerate(state[: self.count]):
            domain = self.domains[number]
            running = domain.mode is Mode.RUN
            known = f", knows {domain.committed + offset} committed" if running else ""
            parts.append(
                f"{name(who)} {'runs' if running else 'recovers'} in generation {domain.durable.generation},"
                f" holds {versions(domain.durable.kept, offset)}{known}"
            )
        return "; ".join(parts)


def _earlier(frame: Frame, by: int) -> Frame:
    held = frozenset(Version(version.epoch - by, version.label) for version in frame.held)
    return Frame(frame.generation, frame.mode, frame.epoch - by if frame.mode is Mode.RUN else 0, held)


def name(who: int) -> str:
    return f"domain {who}"


def versions(kept: Sequence[Version] | frozenset[Version], offset: int = 0) -> str:
    """Epochs with the generation that prepared each: 2/g1."""
    return " ".join(f"{version.epoch + offset}/g{version.label}" for version in sorted(kept)) or "nothing"


def describe_frame(frame: Frame, offset: int = 0) -> str:
    """A frame in words."""
    text = f"{'run' if frame.mode is Mode.RUN else 'recover'}, generation {frame.generation}"
    if frame.mode is Mode.RUN:
        return f"{text}, epoch {frame.epoch + offset}"
    return f"{text}, holds {versions(frame.held, offset)}" if frame.mode is Mode.REC else text


class Neighbours:
    """The rule without a root, on a path: prepare d+1 once every neighbour, seen at once, holds d."""

    def __init__(self, count: int, kept: int = KEPT) -> None:
        self.count, self.kept = count, kept

    def initial(self) -> tuple[int, ...]:
        return (0,) * self.count

    def steps(self, state: tuple[int, ...]) -> list[tuple[tuple[int, ...], Did]]:
        found = []
        for who in range(self.count):
            around = [state[place] for place in (who - 1, who + 1) if 0 <= place < self.count]
            if neighbours_allow(state[who], around):
                new = [*state[:who], state[who] + 1, *state[who + 1 :]]
                least = min(new)
                found.append((tuple(epoch - least for epoch in new), Did(who, "makes its next epoch durable")))
        return found

    def judge(self, state: tuple[int, ...]) -> str | None:
        """All must hold one epoch in common: nobody may be `kept` or more ahead of another."""
        return "common" if max(state) - min(state) >= self.kept else None

    def shifted(self, before: tuple[int, ...], step: tuple[tuple[int, ...], Did]) -> int:
        """By how many epochs *step* shifted the state."""
        return min(before[place] - step[0][place] for place in range(self.count) if place != step[1].who)

    def explain(self, _before: tuple[int, ...], step: tuple[tuple[int, ...], Did], _offset: int = 0) -> str:
        """A step in words."""
        return f"{name(step[1].who)} {step[1].what}"

    def describe(self, state: tuple[int, ...], offset: int = 0) -> str:
        """A state in one line; epochs from *offset*."""
        return "newest durable epochs: " + " ".join(str(epoch + offset) for epoch in state)

"""A protocol's mutations on trial: each must show under a crash, or a checker, where the protocol itself is clean.

A mutation is caught by something that the protocol itself does not show on the same topology: an outcome of the same
strikes in the same phase of the job, or a checker that its trace violates.  It is tried with more and more: every crash
foreseen, then after one strike that is executed (a crash, a rank held up, a frame gone astray), then after two of them
(see `histories`).  Whatever is found is held against every history of the protocol itself in which the same has struck.

What a topology does not have for a mutation to change anything is named (see `needs`): such a mutation is neither
caught nor has it survived.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from hwsim.explore.histories import (
    Followed,
    History,
    Shown,
    at_rest,
    first_crashes,
    first_disturbances,
    first_strikes,
    follow,
    names,
    struck_again,
)
from hwsim.explore.needs import missing
from hwsim.explore.search import BUDGET, Plan, Say, plan, shared, silent
from hwsim.explore.window import require_explorable
from hwsim.protocol import Protocol

if TYPE_CHECKING:
    from hwsim.protocol import Mutation
    from hwsim.topology.spec import Topology


@dataclass(frozen=True)
class Mutant:
    """What came of one mutation.

    `catcher`: what caught it, or None; `lacks`: needs that are missing, wherever it was tried; `executed`: histories of
    it that were executed; `exhaustive`: these were all that there are.  One that is not caught and lacks nothing has
    survived.
    """

    name: str
    what: str
    needs: tuple[str, ...]
    catcher: str | None
    lacks: tuple[str, ...]
    executed: int
    exhaustive: bool

    @property
    def survived(self) -> bool:
        """Whether it was looked for where it could show, and not found."""
        return self.catcher is None and not self.lacks

    def to_json(self) -> dict[str, Any]:
        """As results carry it."""
        return {
            "mutation": self.name, "what": self.what, "caught_by": self.catcher, "survived": self.survived,
            "needs": list(self.needs), "lacks": list(self.lacks), "executed": self.executed,
            "exhaustive": self.exhaustive,
        }  # fmt: skip


def mutants(
    topology: Topology, cases: Mapping[str, Topology] | None = None, *, budget: int = BUDGET, jobs: int = 1,
    say: Say = silent,
) -> list[Mutant]:  # fmt: skip
    """Every mutation of the topology's protocol, and what catches it there, or in those *cases* that have the protocol.

    *budget*: executions of one mutation on one topology at most; the protocol itself is executed as often as it
    takes to hold it against what they show.  Raises UserError where no checkpoints are taken.
    """
    require_explorable(topology)
    kind = topology.protocol.kind
    known = Protocol.registry[kind].MUTATIONS
    alike = {name: case for name, case in (cases or {}).items() if getattr(case.protocol, "kind", None) == kind}
    told = say if min(jobs, len(known)) == 1 else silent  # several processes would draw over each other
    say(f"{topology.name}: trying {len(known)} mutations", None)
    found = shared(partial(_tried, topology, alike, budget=budget, say=told), list(known), jobs)
    return sorted(found, key=lambda mutant: list(known).index(mutant.name))


def _tried(
    topology: Topology, cases: Mapping[str, Topology], chosen: Sequence[str], budget: int, say: Say
) -> list[Mutant]:
    """The mutations *chosen*: on the topology, and what is not caught there on each case."""
    known = Protocol.registry[topology.protocol.kind].MUTATIONS
    sound = {name: Sound(made) for name, made in {"": topology, **cases}.items()}
    found = []
    for number, name in enumerate(chosen):
        say(f"{topology.name}: {name}", number / len(chosen))
        executed, exhaustive, lacking = 0, True, []
        catcher: str | None = None
        for case, clean in sound.items():
            lacks = missing(clean.made, known[name].needs)
            catcher, times = _catch(clean, known[name], 0 if lacks else budget)
            executed += times
            exhaustive = exhaustive and (bool(lacks) or times < budget)
            lacking.append(lacks)
            if catcher is not None:
                catcher = f"{catcher}, in case {case}" if case else catcher
                break
        lacks = min(lacking, key=len) if catcher is None else ()
        found.append(Mutant(name, known[name].what, known[name].needs, catcher, lacks, executed, exhaustive))
    return found


class Sound:
    """A protocol without a mistake on one topology, asked what it shows; what is asked for is looked up once."""

    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.made = plan(topology)
        self._rest = at_rest(self.made)
        self._firsts: dict[str, list[History]] = {**first_crashes(self.made)}
        self._followed: dict[History, Followed] = {}
        self._shown: dict[tuple[str, ...], set[Shown]] = {(): set(self._rest.shown)}
        for history in first_disturbances(self.made):
            (name,) = names(history)
            self._firsts.setdefault(name, []).append(history)

    def shows(self, one: Shown, executed: tuple[str, ...]) -> bool:
        """Whether some history in which *executed* struck shows the same, or one in which less struck shows as bad."""
        last = one.struck[len(executed) :]
        for number in range(len(executed)):
            fewer = executed[:number] + executed[number + 1 :]
            if any(less.what == one.what and less.struck == fewer + last for less in self._showing(fewer)):
                return True
        return one in self._showing(executed)

    def _showing(self, executed: tuple[str, ...]) -> set[Shown]:
        """All that the histories in which this struck show."""
        if executed not in self._shown:
            self._shown[executed] = {
                one._replace(struck=executed + one.struck[len(executed) :])  # the first may stand for another crash
                for history in self._all(executed)
                for one in self._follow(history).shown
            }
        return self._shown[executed]

    def _all(self, executed: tuple[str, ...]) -> Iterator[History]:
        """Every history in which just this struck."""
        for history in self._firsts.get(executed[0], ()):
            if len(executed) == 1:
                yield history
                continue
            for longer in struck_again(self.made, self._follow(history)):
                if names(longer)[1:] == executed[1:]:
                    yield longer

    def _follow(self, history: History) -> Followed:
        if len(history) > 1:
            return follow(self.made, history)
        if history not in self._followed:
            self._followed[history] = follow(self.made, history)
        return self._followed[history]


def _catch(clean: Sound, mutation: Mutation, budget: int) -> tuple[str | None, int]:
    """What catches a mutation, and how many of its histories were executed until then."""
    made = plan(clean.topology, protocol=mutation.protocol)
    executed = 0
    for followed in _followed(made, budget):
        executed += bool(followed.history)
        for one, said in followed.shown.items():
            if not clean.shows(one, names(followed.history)):
                return said, executed
    return None, executed


def _followed(made: Plan, budget: int) -> Iterator[Followed]:
    """The run without a strike, then what the budget allows: a history of one strike and one of two, in turn.

    Both come in an order in which the first few are spread over all; of two strikes few of the first are each
    followed by few of the second, then by more and more.
    """
    yield at_rest(made)
    if not budget:
        return
    ones = first_strikes(made)
    firsts: list[Followed] = []
    twos = _diagonals(made, firsts, len(ones))
    while budget:
        if len(firsts) < len(ones):
            firsts.append(follow(made, ones[len(firsts)]))
            budget -= 1
            yield firsts[-1]
        second = next(twos, None) if budget else None
        if second is not None:
            budget -= 1
            yield follow(made, second)
        elif len(firsts) == len(ones):
            return


def _diagonals(made: Plan, firsts: Sequence[Followed], count: int) -> Iterator[History | None]:
    """Every history of two strikes: the nth second of the mth first, by m + n.

    *firsts* grows meanwhile, up to *count*; None where it has not grown so far yet.
    """
    longer: list[list[History]] = []
    total = 0
    while total < max((number + len(seconds) for number, seconds in enumerate(longer)), default=0) or total < count:
        while len(firsts) <= total < count:
            yield None
        if total < count:
            longer.append(struck_again(made, firsts[total]))
        for number, seconds in enumerate(longer):
            if 0 <= total - number < len(seconds):
                yield seconds[total - number]
        total += 1

"""A protocol's mutations on trial: each must show under a crash, or a checker, where the protocol itself is clean.

A mutation is caught by an outcome that the protocol itself does not show on the same topology, the time before and
after the acknowledgement told apart; or by a checker that its trace violates.  First every strike is foreseen; only
what that does not catch is executed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hwsim.explore.execution import BAD
from hwsim.explore.search import BUDGET, Plan, plan, search
from hwsim.explore.tally import tally
from hwsim.explore.window import describe
from hwsim.protocol import Protocol

if TYPE_CHECKING:
    from hwsim.protocol import Mutation
    from hwsim.topology.spec import Topology


@dataclass(frozen=True)
class Mutant:
    """What came of one mutation: `catcher` is None where nothing caught it."""

    name: str
    what: str
    needs: str
    catcher: str | None

    def to_json(self) -> dict[str, Any]:
        """As results carry it."""
        return {"mutation": self.name, "what": self.what, "caught_by": self.catcher, "needs": self.needs}


def mutants(
    topology: Topology, *, budget: int = BUDGET, jobs: int = 1,
    say: Callable[[str, float | None], None] = lambda _stage, _share: None,
) -> list[Mutant]:
    """Every mutation of the topology's protocol, and what catches it there."""
    known: Mapping[str, Mutation] = Protocol.registry[topology.protocol.kind].MUTATIONS
    clean = plan(topology)
    shown = set(_foreseen(clean))
    told, _ = tally(clean, search(clean, budget=budget, jobs=jobs, say=say), crashes=1)
    found = []
    for number, (name, mutation) in enumerate(known.items()):
        say(f"{topology.name}: {name}", number / len(known))
        catcher = _catch(topology, mutation, shown, told, budget, jobs)
        found.append(Mutant(name, mutation.what, mutation.needs, catcher))
    return found


def _foreseen(made: Plan) -> dict[tuple[str, bool], str]:
    """Every bad outcome, before and after the checkpoint was acknowledged, with the first strike that shows it."""
    found: dict[tuple[str, bool], str] = {}
    for number, point in enumerate(made.window.points):
        acknowledged = point.acknowledged >= made.window.checkpoint
        for target, seen in zip(made.targets, made.foreseen, strict=True):
            for outcome in seen[number].outcomes if seen is not None else ():
                if outcome in BAD and (str(outcome), acknowledged) not in found:
                    where = f"{target} after event {point.step} ({describe(made.window.trace, point)})"
                    found[str(outcome), acknowledged] = f"{outcome}: {where}"
    return found


def _catch(
    topology: Topology, mutation: Mutation, shown: set[tuple[str, bool]], clean: Mapping[str, Any], budget: int,
    jobs: int,
) -> str | None:  # fmt: skip
    made = plan(topology, protocol=mutation.protocol)
    for key, said in _foreseen(made).items():
        if key not in shown:
            return said
    told, _ = tally(made, search(made, budget=budget, jobs=jobs), crashes=1)
    for one in told["worst"]:
        if not clean["outcomes"].get(one["outcome"]):
            return f"{one['outcome']}: {one['kind']} of {one['target']} after event {one['event']} ({one['after']})"
    for checker, detail in told["checkers"].items():
        if detail != "holds" and clean["checkers"].get(checker, "holds") == "holds":
            return f"{checker}: {detail}"
    return None

"""Every crash point of one checkpoint: each struck, recovered and judged; violations minimised to reproducers.

`explore` does one topology and those of its cases that expect something of it; `mutants` tries every
mutation of its protocol; `replay` repeats a reproducer.
"""

from __future__ import annotations

import os
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from hwsim.explore.search import BUDGET, Say, silent

if TYPE_CHECKING:
    from hwsim.explore.reproducer import Reproducer
    from hwsim.topology.spec import Expectation, Topology


@dataclass(frozen=True)
class Exploration:
    """What was found: `result` is the content of explore.json."""

    topology: Topology
    result: Mapping[str, Any]
    reproducers: tuple[Reproducer, ...]
    cases: Mapping[str, Exploration]

    @property
    def is_well(self) -> bool:
        """Do the expectations of `explore.*` hold, those of the cases too?  Where there is none: no violation."""
        judged = self.result["expect"]
        mine = all(line["holds"] for line in judged) if judged else not self.result["explore"]["violations"]
        return mine and all(case.is_well for case in self.cases.values())


def explore(
    topology: Topology,
    cases: Mapping[str, Topology] | None = None,
    *,
    crashes: int = 1,
    budget: int = BUDGET,
    jobs: int | None = None,
    reproduce: bool = True,
    say: Say = silent,
) -> Exploration:
    """Explore *topology*, and each of its *cases* that expects something of it.

    *crashes*: 1, or 2 for a second crash at every event from the first one until a checkpoint is acknowledged again.
    *budget*: live executions at most.  *jobs*: processes, as many as there are cores by default.
    """
    from hwsim.explore.minimise import minimise
    from hwsim.explore.search import plan, search
    from hwsim.explore.tally import tally
    from hwsim.explore.window import require_explorable
    from hwsim.metrics import hwsim_version
    from hwsim.topology import expectations

    require_explorable(topology)
    began = time.perf_counter()
    say(f"{topology.name}: foreseeing every crash", None)
    made = plan(topology)
    found = search(made, crashes=crashes, budget=budget, jobs=jobs or os.cpu_count() or 1, say=say)
    told, worsts = tally(made, found, crashes=crashes)
    reproducers = []
    if reproduce:
        for one in worsts:
            small = minimise(topology, one, say=lambda said: say(f"{topology.name}: {said}", None))
            if small is not None:
                reproducers.append(small)
    told["reproducers"] = [small.outcome for small in reproducers]
    result: dict[str, Any] = {
        "hwsim": {"version": hwsim_version(), "topology_sha256": topology.sha256, "seed": topology.seed},
        "topology": topology.name,
        "explore": told,
    }
    result["expect"] = expectations.judge(asked_of_explore(topology.expect), result)
    result["warnings"] = list(topology.warnings)
    result["wall_s"] = round(time.perf_counter() - began, 3)
    others = {}
    for name, case in (cases or {}).items():
        if asked_of_explore(case.expect):
            others[name] = explore(
                case, crashes=crashes, budget=budget, jobs=jobs, reproduce=False,
                say=lambda stage, share, name=name: say(f"case {name}: {stage}", share),  # type: ignore[misc]
            )  # fmt: skip
    if others:
        result["cases"] = {
            name: {"explore": other.result["explore"], "expect": other.result["expect"]}
            for name, other in others.items()
        }
    return Exploration(topology, result, tuple(reproducers), others)


def asked_of_explore(expect: Sequence[Expectation]) -> list[Expectation]:
    """The expectations that explore alone judges."""
    return [one for one in expect if one.key.startswith("explore.")]

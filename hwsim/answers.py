"""One topology's whole answer: every timeline simulated, every crash instant judged, every case beside it.

What the commands, the studies and the tests of the shipped topologies share.  Writes nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from os import PathLike
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pathlib import Path

    from hwsim.bilateral.channel import Observer
    from hwsim.topology.spec import Topology
    from hwsim.trace import Trace

# Told of every stage and, where it is known, the share of it that is done.
Say = Callable[[str, float | None], None]

UNSAFE = ("lost_committed", "silent_restart", "silent_mixed", "silent_corrupt")


def silent(_stage: str, _share: float | None) -> None:
    """A `Say` for those who do not listen."""


@dataclass(frozen=True)
class Answer:
    """What one run found: `result` is the content of result.json, `cases` the same of each case."""

    topology: Topology
    traces: tuple[Trace, ...]
    result: Mapping[str, Any]
    cases: Mapping[str, Answer]

    @property
    def is_well(self) -> bool:
        """Do all expectations hold, those of the cases too?  A topology with none must show no unsafe outcome."""
        mine = holds(self.result) if self.topology.expect else not unsafe_outcomes(self.result)
        return mine and all(holds(case.result) for case in self.cases.values())


def answer(
    topology: Topology,
    cases: Mapping[str, Topology] | None = None,
    *,
    say: Say = silent,
    observe: Observer | None = None,
    waves: Callable[[str], Path] | None = None,
) -> Answer:
    """Simulate every repeat of *topology*, judge it, and the same for each of its *cases*; *say* hears of it.

    *observe* is told every frame on the bilateral links of the first timeline, *waves* gives files for the waves of
    those of its ends that are in Verilog.
    """
    from hwsim.metrics import evaluate
    from hwsim.simulation import simulate

    began = time.perf_counter()
    traces = []
    for repeat in range(topology.repeats):
        stage = f"{topology.name}: simulating" + (f", timeline {repeat + 1} of {topology.repeats}" if repeat else "")
        first = {} if repeat else {"observe": observe, "waves": waves}
        traces.append(simulate(topology, repeat, partial(say, stage), **first))  # type: ignore[arg-type]
    say(f"{topology.name}: judging every crash instant", None)
    result = evaluate(traces, topology.expect)
    result["warnings"] = [*topology.warnings, *_warnings(traces)]
    result["wall_s"] = round(time.perf_counter() - began, 3)
    found = {}
    for name, case in (cases or {}).items():
        found[name] = answer(case, say=_naming(name, say))
    if found:
        result["cases"] = {name: {"expect": case.result["expect"]} for name, case in found.items()}
    return Answer(topology, tuple(traces), result, found)


def _warnings(traces: Sequence[Trace]) -> list[str]:
    """What every timeline warns of, such as a key that changed nothing: one that mattered in any of them did matter."""
    first, *others = (trace.figures.get("warnings", ()) for trace in traces)
    return [warning for warning in first if all(warning in other for other in others)]


def _naming(case: str, say: Say) -> Say:
    return lambda stage, share: say(f"case {case}: {stage}", share)


def run(path: str | PathLike[str], *, changes: Sequence[str] = (), seed: int | None = None) -> Mapping[str, Any]:
    """Load the topology at *path* (or an example's name), and return what result.json would hold.

    *changes* are `key.path=value` as for `--set`.  Raises UserError with every mistake.
    """
    from hwsim import examples
    from hwsim.topology import load

    return answer(load(examples.find(str(path)), list(changes), seed)).result


def holds(result: Mapping[str, Any]) -> bool:
    """Does every expectation of this result hold?"""
    return all(line["holds"] for line in result.get("expect", ()))


def unsafe_outcomes(result: Mapping[str, Any]) -> list[str]:
    """Where this result has an unsafe outcome: under the default crash, a what-if, or a crash that really struck."""
    places = [f"links.{name}" for name, link in result.get("links", {}).items() if _token_harmed(link)]
    if result.get("recovered", {}).get("unsafe_share", 0.0) > 0:
        places.append("recovered")
    places += [f"what_if.{name}" for name, case in result.get("what_if", {}).items() if _unsafe_share(case) > 0]
    struck = result.get("crashes", {}).get("all", {}).get("outcomes", {})
    if any(struck.get(outcome, 0) for outcome in UNSAFE):
        places.append("crashes")
    return places


def _token_harmed(link: Mapping[str, Any]) -> bool:
    return bool(link.get("tokens_lost") or link.get("tokens_cloned"))


def _unsafe_share(case: Mapping[str, Any]) -> float:
    return float(case.get("recovered", {}).get("unsafe_share", 0.0))

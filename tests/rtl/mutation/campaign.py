"""Many mutants on their ladders, and what is to be said of them all."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from mutation.explanations import why
from mutation.judging import EQUIVALENT, FAILED, KILLED, NOT_BUILT, SURVIVED, TIMED_OUT, Verdict, judge
from mutation.mutants import Mutant

SHARE: Final = 0.95  # of the mutants that are built and are no equivalents, so many must be killed
STATUSES: Final = (KILLED, SURVIVED, EQUIVALENT, NOT_BUILT, TIMED_OUT, FAILED)


@dataclass(frozen=True)
class Judged:
    """A mutant, its verdict and, of a survivor, why it may be one."""

    mutant: Mutant
    verdict: Verdict
    why: str | None = None

    def to_json(self) -> dict[str, Any]:
        """As the results carry it."""
        made = {name: value for name, value in vars(self.mutant).items() if name != "text"}
        return made | vars(self.verdict) | ({"why": self.why} if self.verdict.status == SURVIVED else {})


def run(
    mutants: Sequence[Mutant], *, jobs: int = 1, say: Callable[[int, Judged], None] = lambda _number, _judged: None
) -> list[Judged]:
    """Judge each of *mutants*, *jobs* at once; *say* is told of each once it is judged."""
    pool = ThreadPoolExecutor(jobs)
    try:
        running = {pool.submit(judge, mutant): place for place, mutant in enumerate(mutants)}
        found: dict[int, Judged] = {}
        for number, done in enumerate(as_completed(running), 1):
            mutant, verdict = mutants[running[done]], done.result()
            one = Judged(mutant, verdict, why(mutant) if verdict.status == SURVIVED else None)
            found[running[done]] = one
            say(number, one)
    finally:  # who is interrupted waits for those that are being judged, and not for the rest
        pool.shutdown(cancel_futures=True)
    return [found[place] for place in range(len(mutants))]


def share_killed(judged: Sequence[Judged]) -> float:
    """The share of those that are built and are not proven equivalent; who timed out was not killed."""
    counts = Counter(one.verdict.status for one in judged)
    built = len(judged) - counts[NOT_BUILT] - counts[EQUIVALENT]
    return counts[KILLED] / built if built else 0.0


def faults(judged: Sequence[Judged]) -> Iterator[str]:
    """What is wrong with a campaign: too few killed, survivors that nobody explains, tools that failed."""
    if share_killed(judged) < SHARE:
        yield f"{share_killed(judged):.1%} killed, and {SHARE:.0%} must be"
    for one in judged:
        if one.verdict.status == SURVIVED and one.why is None:
            yield f"survives and is not explained: {one.mutant}"
        elif one.verdict.status == FAILED:
            yield f"{one.verdict.by} failed on {one.mutant}: {one.verdict.how}"


def table(judged: Sequence[Judged]) -> str:
    """Counts by module and by who killed, then who was not killed and why."""
    lines = [f"{'module':<14}" + "".join(f"{status:>13}" for status in ("mutants", *STATUSES))]
    modules = list(dict.fromkeys(one.mutant.module for one in judged))
    for name, some in [*((module, [one for one in judged if one.mutant.module == module]) for module in modules),
                       ("all", list(judged))]:  # fmt: skip
        counts = Counter(one.verdict.status for one in some)
        lines.append(f"{name:<14}{len(some):>13}" + "".join(f"{counts[status]:>13}" for status in STATUSES))
    lines += ["", "killed by"]
    killers = Counter(one.verdict.by for one in judged if one.verdict.status == KILLED)
    lines += [f"{count:>6}  {name}" for name, count in killers.most_common()]
    lines += ["", "by operator, killed of those built"]
    for operator in sorted({one.mutant.operator for one in judged}):
        some = [one for one in judged if one.mutant.operator == operator and one.verdict.status != NOT_BUILT]
        lines.append(f"{sum(one.verdict.status == KILLED for one in some):>6} of {len(some):>4}  {operator}")
    for status in STATUSES[1:]:
        some = [one for one in judged if one.verdict.status == status]
        if some:
            lines += ["", status]
        for one in some:
            lines.append(f"  {one.mutant}")
            if status == SURVIVED:
                lines.append(f"      {one.why or 'NOT EXPLAINED'}")
    built = len(judged) - sum(one.verdict.status == NOT_BUILT for one in judged)
    lines.append("")
    lines.append(f"killed: {sum(killers.values())} of {built} that were built; "
                 f"{share_killed(judged):.1%} of those that are not proven equivalent")  # fmt: skip
    lines.append(f"{sum(one.verdict.cpu_s for one in judged):.0f} s of processor time")
    return "\n".join(lines)


def save(judged: Sequence[Judged], folder: Path) -> None:
    """The results in *folder*, as `mutants.json` and `table.txt`."""
    folder.mkdir(parents=True, exist_ok=True)
    rows = [one.to_json() for one in judged]
    (folder / "mutants.json").write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    (folder / "table.txt").write_text(table(judged) + "\n", encoding="utf-8")

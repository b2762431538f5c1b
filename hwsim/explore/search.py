"""Which executions are needed, and what all of them show.

Every crash point is judged exactly, for every target, from the trace (`foreseen`).  Live executions then show what a
judgement of contents cannot: what survivors do until the crash is noticed, that recovery ends, that the job
acknowledges a checkpoint again.  They are merged:

- where the job learns of a crash at once, and nothing else happens at that instant, strikes that leave the same
  contents everywhere, the same kept state of the protocol and the same promises are one execution;
- elsewhere the survivors go on by themselves, so each strike is executed until recovery asks; if the state is known
  then, what follows is known;
- the same once more when the job resumes: recovery has cleared away by then what no longer makes a difference.

Merged or not, the outcomes are the same: the tests run every execution of small worlds both ways.

With two crashes every event of an execution, from the first crash until the job works again, is struck again.

Source: dynamic merging by state digests as in explicit-state model checkers (Holzmann, The SPIN Model Checker, 2004);
crash states of several nodes at once, pruned by equivalence: Alagappan et al., Correlated Crash Vulnerabilities,
OSDI 2016.
"""

from __future__ import annotations

import gc
import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from hwsim.crash_timeline import Timeline
from hwsim.explore import forked
from hwsim.explore.execution import BAD, Ending, Execution, Resolution, resolutions
from hwsim.explore.foreseen import Foreseen, effect, foresee
from hwsim.explore.state import digest
from hwsim.explore.targets import Target, targets_of
from hwsim.explore.window import Window, is_busy, open_window, quiet, steady_checkpoint
from hwsim.simulation import Simulation

if TYPE_CHECKING:
    from hwsim.protocol import Protocol
    from hwsim.topology.spec import Topology

Say = Callable[[str, float | None], None]
Item = TypeVar("Item")
Result = TypeVar("Result")
At = Callable[[Callable[[Execution], Ending]], Ending]
BUDGET = 1000  # live executions, unless told otherwise
_WORTH_A_FORK = 500  # events
_COLLECT_EVERY = 20  # runs
RESOLUTIONS = 4  # of the doubts of one strike that are executed, beside the first


class Task(NamedTuple):
    """A strike to execute: at which point of the window, at which target, and how many strikes it stands for."""

    point: int
    target: int
    stands_for: int


@dataclass(frozen=True)
class Plan:
    """The base run, every target, and what is foreseen of each strike (None: the job rides through, or learns late)."""

    topology: Topology  # made quiet
    window: Window
    targets: tuple[Target, ...]
    stops: tuple[bool, ...]
    foreseen: tuple[tuple[Foreseen, ...] | None, ...]  # by target; None for targets that the job rides through
    late: bool  # survivors go on for a while before the job is torn down
    protocol: type[Protocol] | None = None


@dataclass(frozen=True)
class Found:
    """What the live executions showed, in the order of points and targets."""

    task_of: Mapping[tuple[int, int], Task]  # strike (point, target) -> the task that stands for it
    tasks: tuple[Task, ...]  # all of them
    done: tuple[tuple[Task, Ending], ...]
    more: tuple[tuple[Task, Ending], ...]  # the same strikes with doubts settled otherwise
    pairs: tuple[tuple[Task, Ending], ...]
    pairs_of: int  # second strikes there are


def plan(topology: Topology, checkpoint: int | None = None, protocol: type[Protocol] | None = None) -> Plan:
    """Run *topology* up to the end of the window, and foresee every strike in it."""
    topology = quiet(topology)
    window = open_window(topology, checkpoint or steady_checkpoint(topology), protocol)
    built = Simulation(topology, protocol=protocol)
    targets = targets_of(topology, built.world.domains)
    participants = frozenset(built.building.job.participants)
    stops = tuple(target.stops_job(built.world, participants) for target in targets)
    timeline = Timeline(window.trace)
    seen: dict[frozenset[str], tuple[Foreseen, ...]] = {}
    foreseen: list[tuple[Foreseen, ...] | None] = []
    for target, stopping in zip(targets, stops, strict=True):
        if not stopping:
            foreseen.append(None)
            continue
        takes = effect(timeline, target.takes(built.world))
        if takes not in seen:
            seen[takes] = tuple(foresee(timeline, window, takes))
        foreseen.append(seen[takes])
    late = topology.workload.restart.detect > 0
    return Plan(topology, window, targets, stops, tuple(foreseen), late, protocol)


def tasks_of(made: Plan, *, merge: bool = True) -> dict[tuple[int, int], Task]:
    """For every strike (point, target) the one to execute for it, in the order of points, then targets.

    Not *merge*: every strike for itself.
    """
    first: dict[object, tuple[int, int]] = {}
    like: dict[tuple[int, int], tuple[int, int]] = {}
    for number, point in enumerate(made.window.points):
        for index, foreseen in enumerate(made.foreseen):
            key: object = (number, index)
            if merge and foreseen is not None and not made.late and not point.busy:
                key = digest(foreseen[number].left, point.kept, point.acknowledged, point.begun)
            like[number, index] = first.setdefault(key, (number, index))
    counts = Counter(like.values())
    return {strike: Task(*one, counts[one]) for strike, one in like.items()}


def _silent(_stage: str, _share: float | None) -> None:
    """A `Say` for those who do not listen."""


def within(tasks: Sequence[Item], budget: int) -> tuple[Item, ...]:
    """As many of the tasks as the budget allows, evenly spread over them."""
    if len(tasks) <= budget:
        return tuple(tasks)
    return tuple(tasks[number * len(tasks) // budget] for number in range(budget))


def search(
    made: Plan, *, crashes: int = 1, budget: int = BUDGET, jobs: int = 1, merge: bool = True,
    say: Say = _silent,
) -> Found:  # fmt: skip
    """Execute what the budget allows of the plan's strikes, on *jobs* processes."""
    task_of = tasks_of(made, merge=merge)
    tasks = tuple(dict.fromkeys(task_of.values()))
    chosen = within(tasks, budget)
    alone = jobs == 1 or not forked.AVAILABLE
    worker = _Worker(made, merge, say if alone else _silent)  # several processes would draw over each other
    say(f"{made.topology.name}: executing {len(chosen):,} crashes", None)
    done = _inherited(sorted(_shared(worker.run, chosen, jobs), key=_in_order))
    left = (budget - len(done)) // (RESOLUTIONS * crashes)  # half of what is left is for second crashes
    doubtful = [(task, len(ending.options)) for task, ending in done if ending.options and not ending.merged]
    doubtful = list(within(doubtful, max(left, 0)))
    more = sorted(_shared(worker.otherwise, doubtful, jobs), key=_in_order)
    pairs: list[tuple[Task, Ending]] = []
    pairs_of = 0
    if crashes > 1:
        firsts = [task for task, ending in done if not ending.merged]
        each = max((budget - len(done) - len(more)) // max(len(firsts), 1), 1)
        say(f"{made.topology.name}: executing second crashes", None)
        for seconds, count in _shared(partial(worker.pairs, each=each), firsts, jobs):
            pairs += seconds
            pairs_of += count
        pairs.sort(key=_in_order)
    return Found(task_of, tasks, tuple(done), tuple(more), tuple(pairs), pairs_of)


def _shared(work: Callable[[Sequence[Item]], list[Result]], items: Sequence[Item], jobs: int) -> list[Result]:
    """What *work* makes of the items, dealt out to so many processes."""
    shares = [items[number::jobs] for number in range(max(jobs, 1))]
    parts = forked.side_by_side([partial(work, share) for share in shares if share])
    return [result for part in parts for result in part]


def _in_order(pair: tuple[Task, Ending]) -> tuple[object, ...]:
    task, ending = pair
    return task.point, task.target, [(struck.step, struck.kind, struck.label, struck.picks) for struck in ending.struck]


def _inherited(done: Iterable[tuple[Task, Ending]]) -> list[tuple[Task, Ending]]:
    """A merged execution ends as the one that it was merged with; and so does one that another process knew of."""
    pairs = list(done)
    first: dict[str, Ending] = {}
    whole = {state: ending for _, ending in reversed(pairs) if not ending.merged for state in ending.states}
    told = []
    for task, ending in pairs:
        known = next((state for state in ending.states if state in first), None)
        for state in ending.states:
            first.setdefault(state, ending)
        if known is not None or ending.merged:
            like = whole[known if known is not None and known in whole else ending.states[-1]]
            broken = () if any(outcome in BAD for outcome in like.outcomes) else like.broken  # those are of its past
            ending = replace(ending, merged=True, liveness=like.liveness, broken=broken)
        told.append((task, ending))
    return told


class _Worker:
    """Executes a share of the tasks: by forks of one run that is stepped from point to point, or each anew.

    A fork costs some milliseconds whatever the run; a short run is quicker to repeat.
    """

    def __init__(self, made: Plan, merge: bool, say: Say) -> None:
        self.plan = made
        self.merge = merge
        self.say = say
        steps = made.window.points[-1].step if made.window.points else 0
        self._forks = forked.AVAILABLE and steps > _WORTH_A_FORK

    def _each(self, tasks: Sequence[Task], what: str) -> Iterator[tuple[Task, At]]:
        """Every task with the way to do something in a run that is at its point."""
        base = self._fresh() if self._forks else None
        collecting = gc.isenabled()
        gc.disable()  # as in any run; whole runs are garbage here, so it is collected now and then
        try:
            for number, task in enumerate(tasks):
                self.say(f"{self.plan.topology.name}: {what}", number / len(tasks))
                step = self.plan.window.points[task.point].step
                if base is not None:
                    base.advance(step)
                yield task, partial(self._at, base, step)
                if base is None and number % _COLLECT_EVERY == 0:
                    gc.collect()
        finally:
            if collecting:
                gc.enable()

    def _fresh(self) -> Execution:
        return Execution(self.plan.topology, self.plan.window.latency_ps, self.plan.protocol)

    def _at(self, base: Execution | None, step: int, then: Callable[[Execution], Ending]) -> Ending:
        """What *then* makes of a run that is at *step*: of a copy of *base*, or of a new one."""
        if base is not None:
            return forked.apart(partial(then, base))
        run = self._fresh()
        run.advance(step)
        return then(run)

    def run(self, tasks: Sequence[Task]) -> list[tuple[Task, Ending]]:
        """Every task."""
        known: set[str] = set()
        done: list[tuple[Task, Ending]] = []
        for task, at in self._each(tasks, "executing crashes"):
            target = self.plan.targets[task.target]
            ending = at(partial(_struck, target=target, known=known if self.merge else ()))
            done.append((task, ending))
            if not ending.merged:
                known.update(ending.states)
        return done

    def otherwise(self, doubtful: Sequence[tuple[Task, int]]) -> list[tuple[Task, Ending]]:
        """Tasks that met so many doubts, a few times more, with these settled otherwise."""
        counts = dict(doubtful)
        found: list[tuple[Task, Ending]] = []
        for task, at in self._each([task for task, _ in doubtful], "settling doubts otherwise"):
            for resolution in itertools.islice(resolutions(counts[task]), RESOLUTIONS):
                target = self.plan.targets[task.target]
                found.append((task, at(partial(_struck, target=target, known=(), resolution=resolution))))
        return found

    def pairs(self, tasks: Sequence[Task], each: int) -> list[tuple[list[tuple[Task, Ending]], int]]:
        """Of every first strike at most *each* second ones; and how many there are."""
        found = []
        for task, at in self._each(tasks, "executing second crashes"):
            then = partial(_twice, target=self.plan.targets[task.target], targets=self.plan.targets, limit=each,
                           late=self.plan.late or not self.merge, stops=self.plan.stops)  # fmt: skip
            ending = at(then)
            found.append(([(task, second) for second in ending.pairs], ending.pairs_of))
        return found


def _struck(
    run: Execution, target: Target, known: Iterable[str], resolution: Resolution | None = None
) -> Ending:
    """Strike, and see how it ends."""
    states = frozenset(known)
    run.strike(target, resolution or Resolution())
    return run.finish(known=states.__contains__)


def _twice(
    run: Execution, target: Target, targets: Sequence[Target], limit: int, late: bool, stops: Sequence[bool]
) -> Ending:
    """Strike once, and again after every event until the job works again: at most *limit* times, evenly spread.

    The strikes are counted first, on a copy that goes through them all, so that the spread can be known.
    """
    count = forked.apart(partial(_count_seconds, run, target, targets, late, stops))
    chosen = {number * count // limit for number in range(limit)} if count > limit else None
    run.strike(target, Resolution())
    endings: list[Ending] = []
    seen: set[str] = set()
    number = 0

    def between() -> None:
        nonlocal number
        for second in _seconds(run, targets, late, stops, seen):
            if chosen is None or number in chosen:
                endings.append(forked.apart(partial(_struck, run, second, ())))
            number += 1

    between()
    ending = run.finish(between=between)
    return replace(ending, pairs=tuple(endings), pairs_of=count)


def _count_seconds(run: Execution, target: Target, targets: Sequence[Target], late: bool, stops: Sequence[bool]) -> int:
    run.strike(target, Resolution())
    seen: set[str] = set()
    count = sum(1 for _ in _seconds(run, targets, late, stops, seen))

    def between() -> None:
        nonlocal count
        count += sum(1 for _ in _seconds(run, targets, late, stops, seen))

    run.finish(between=between)
    return count


def _seconds(
    run: Execution, targets: Sequence[Target], late: bool, stops: Sequence[bool], seen: set[str]
) -> Iterable[Target]:
    """The second strikes that leave now what none has left before."""
    merges = not late and not is_busy(run.env)
    for target, stopping in zip(targets, stops, strict=True):
        if stopping and merges:
            state = run.left_by(target.takes(run.world))
            if state in seen:
                continue
            seen.add(state)
        yield target

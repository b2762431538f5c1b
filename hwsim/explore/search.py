"""Which executions are needed, and what all of them show.

Every crash point is judged exactly, for every target, from the trace (`foreseen`).  Live executions then show what a
judgement of contents cannot: what survivors do until the crash is noticed, that recovery ends, that the job
acknowledges a checkpoint again.  They are merged:

- before any is executed, strikes that can be told to be alike (`merging`) are one execution;
- an execution that comes into a known state, as recovery asks or as the job resumes, ends there: what follows is known.
  As recovery asks, what it will delete unread does not count; as the job resumes, it has cleared away what else makes
  no difference any more.

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
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from hwsim.crash_timeline import Timeline
from hwsim.explore import forked
from hwsim.explore.execution import BAD, Ending, Execution, Resolution, outage_ps, resolutions
from hwsim.explore.foreseen import Foreseen, effect, foresee, left_untouched
from hwsim.explore.merging import Like, alike, by_itself, refuted
from hwsim.explore.targets import Target, targets_of
from hwsim.explore.touched import hit_by
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
    takes: tuple[frozenset[str], ...]  # by target: every token
    stops: tuple[bool, ...]
    foreseen: tuple[tuple[Foreseen, ...] | None, ...]  # by target; None for targets that the job rides through
    late: bool  # survivors go on for a while before the job is torn down
    hits: tuple[frozenset[str], ...]  # by target: the devices that it stops, and those whose commands stop with it
    alone: tuple[bool, ...]  # by target: it leaves no device behind
    asks_after_ps: tuple[int, ...]  # by target: when recovery asks, from the strike on
    back_after_ps: tuple[tuple[int, ...], ...]  # by target: when what it stops serves again, from the strike on
    untouched: tuple[int, ...]  # by point: `Foreseen.left` if nothing were taken
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
    takes_of = tuple(target.takes(built.world) for target in targets)
    stops = tuple(target.stops_job(built.world, participants) for target in targets)
    assert built.protocol is not None
    timeline = Timeline(window.trace)
    seen: dict[frozenset[str], tuple[Foreseen, ...]] = {}
    foreseen: list[tuple[Foreseen, ...] | None] = []
    for taken, stopping in zip(takes_of, stops, strict=True):
        if not stopping:
            foreseen.append(None)
            continue
        takes = effect(timeline, taken)
        if takes not in seen:
            seen[takes] = tuple(foresee(timeline, window, takes, built.protocol.deletes))
        foreseen.append(seen[takes])
    detect = topology.workload.restart.detect
    outage = outage_ps(topology)
    world = built.world
    back = [target.back_after_ps(world, outage) for target in targets]
    return Plan(
        topology, window, targets, takes_of, stops, tuple(foreseen), detect > 0,
        hits=tuple(hit_by(target, world) for target in targets),
        alone=tuple(set(target.devices) >= set(world.domains) for target in targets),
        asks_after_ps=tuple(max((detect, *times)) for times in back),
        back_after_ps=tuple(back),
        untouched=tuple(left_untouched(timeline, window)),
        protocol=protocol,
    )  # fmt: skip


def tasks_of(made: Plan, *, merge: bool = True) -> dict[tuple[int, int], Task]:
    """For every strike (point, target) the one to execute for it, in the order of points, then targets.

    Not *merge*: every strike for itself.
    """
    return _tasks(alike(made) if merge else by_itself(made))


def _tasks(likes: Mapping[tuple[int, int], Like]) -> dict[tuple[int, int], Task]:
    counts = Counter(like.of for like in likes.values())
    tasks = {of: Task(*of, count) for of, count in counts.items()}
    return {strike: tasks[like.of] for strike, like in likes.items()}


def silent(_stage: str, _share: float | None) -> None:
    """A `Say` for those who do not listen."""


def within(tasks: Sequence[Item], budget: int) -> tuple[Item, ...]:
    """As many of the tasks as the budget allows, evenly spread over them."""
    if len(tasks) <= budget:
        return tuple(tasks)
    return tuple(tasks[number * len(tasks) // budget] for number in range(budget))


def search(
    made: Plan, *, crashes: int = 1, budget: int = BUDGET, jobs: int = 1, merge: bool = True,
    say: Say = silent,
) -> Found:  # fmt: skip
    """Execute what the budget allows of the plan's strikes, on *jobs* processes."""
    worker = _worker(made, merge, jobs, say)
    task_of, tasks, done = execute(made, budget=budget, jobs=jobs, merge=merge, say=say)
    left = (budget - len(done)) // (RESOLUTIONS * crashes)  # half of what is left is for second crashes
    doubtful = [(task, len(ending.options)) for task, ending in done if ending.options and not ending.merged]
    doubtful = list(within(doubtful, max(left, 0)))
    more = sorted(shared(worker.otherwise, doubtful, jobs), key=_in_order)
    pairs: list[tuple[Task, Ending]] = []
    pairs_of = 0
    if crashes > 1:
        firsts = [task for task, ending in done if not ending.merged]
        each = max((budget - len(done) - len(more)) // max(len(firsts), 1), 1)
        say(f"{made.topology.name}: executing second crashes", None)
        for seconds, count in shared(partial(worker.pairs, each=each), firsts, jobs):
            pairs += seconds
            pairs_of += count
        pairs.sort(key=_in_order)
    return Found(task_of, tasks, tuple(done), tuple(more), tuple(pairs), pairs_of)


class Executed(NamedTuple):
    """The task for each strike, all tasks, and how those ended that the budget allows."""

    task_of: Mapping[tuple[int, int], Task]
    tasks: tuple[Task, ...]
    endings: tuple[tuple[Task, Ending], ...]


def execute(made: Plan, *, budget: int, jobs: int = 1, merge: bool = True, say: Say = silent) -> Executed:
    """Execute what the budget allows of the plan's strikes.

    What was merged in an expectation that does not hold gets tasks of its own, until all hold.
    """
    worker = _worker(made, merge, jobs, say)
    ended: dict[tuple[int, int], Ending] = {}
    but: set[tuple[int, int]] = set()

    def alike_now() -> dict[tuple[int, int], Like]:
        return alike(made, but) if merge else by_itself(made)

    def to_execute() -> tuple[Sequence[Task], frozenset[tuple[int, int]]]:
        """What the budget allows still, and what of it is to be watched."""
        likes = alike_now()
        left = [task for task in dict.fromkeys(_tasks(likes).values()) if task[:2] not in ended]
        chosen = within(left, max(budget - len(ended), 0))
        return chosen, frozenset(like.of for like in likes.values() if like.unnoticed)

    while True:
        chosen, watched = to_execute()
        if chosen:
            say(f"{made.topology.name}: executing {len(chosen):,} crashes", None)
            work = partial(worker.run, watched=watched)
            ended.update((task[:2], ending) for task, ending in shared(work, chosen, jobs))
        likes = alike_now()  # again: a process with less in it is quicker to fork
        wrong = refuted(made, likes, ended)
        if not wrong:
            break
        but |= wrong
        del likes
    task_of = _tasks(likes)
    tasks = tuple(dict.fromkeys(task_of.values()))
    done = _inherited((task, ended[task[:2]]) for task in tasks if task[:2] in ended)
    return Executed(task_of, tasks, tuple(done))


def _worker(made: Plan, merge: bool, jobs: int, say: Say) -> _Worker:
    alone = jobs == 1 or not forked.AVAILABLE
    return _Worker(made, merge, say if alone else silent)  # several processes would draw over each other


def shared(work: Callable[[Sequence[Item]], list[Result]], items: Sequence[Item], jobs: int) -> list[Result]:
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

    def run(self, tasks: Sequence[Task], watched: Container[tuple[int, int]] = ()) -> list[tuple[Task, Ending]]:
        """Every task; *watched*: strikes of which it is noted what survivors touch."""
        known: set[str] = set()
        done: list[tuple[Task, Ending]] = []
        for task, at in self._each(tasks, "executing crashes"):
            target = self.plan.targets[task.target]
            watch = task[:2] in watched
            ending = at(partial(_struck, target=target, known=known if self.merge else (), watch=watch))
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
    run: Execution, target: Target, known: Container[str], resolution: Resolution | None = None, watch: bool = False
) -> Ending:
    """Strike, and see how it ends; *watch*: note what the survivors touch until recovery asks."""
    run.strike(target, resolution or Resolution())
    if watch:
        run.watch()
    return run.finish(known=known.__contains__)


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

"""Runs in which something has struck already, and what every further crash would lead to, all through them.

A history is a few strikes, each after an event of its run: crashes, or disturbances (a rank held up, a frame gone
astray).  It is executed until a checkpoint that began after the last of them is acknowledged: what is amiss after a
crash may be so until then, since what a rank should have thrown away it overwrites only in the next checkpoint.  On the
way every crash is *foreseen* after every event, exactly and without an execution, as it is in the run without any
strike.  So one execution judges thousands of crashes that follow on what it went through.

What a history shows is told by outcome or checker, by what struck, and by the phase of the job in which the last crash
came.  That is how a mutation is held against its protocol: the same strikes in the same phase.

Where doubts were left by a crash that is executed they are settled for the oldest (see `Resolution`).

Source: A. Alquraan et al., An Analysis of Network-Partitioning Failures in Cloud Systems, OSDI 2018 (few faults in the
right order suffice for most failures).

Not modelled: three strikes that are executed; what survivors do from a crash that is only foreseen until it is noticed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeVar

from hwsim.checkers import promised
from hwsim.crash_timeline import Timeline
from hwsim.explore.disturbances import Disturbance, Disturber
from hwsim.explore.execution import BAD, Execution, Resolution
from hwsim.explore.foreseen import effect, judged
from hwsim.explore.search import Plan, tasks_of
from hwsim.explore.targets import Target
from hwsim.explore.window import say_record
from hwsim.trace import Record, Row, Trace
from hwsim.verdicts import violated

if TYPE_CHECKING:
    from hwsim.outcomes import Outcome

Item = TypeVar("Item")
SAVING, AT_REST, STOPPED, LOADING, RESUMED = "saving", "at rest", "stopped", "loading", "resumed"
_PHASES = {
    "checkpoint_begun": SAVING, "epoch_committed": AT_REST, "job_stopped": STOPPED, "recovered": LOADING,
    "job_resumed": RESUMED,
}  # fmt: skip


class Step(NamedTuple):
    """A strike of a history: after so many events of the run."""

    after: int
    what: Target | Disturbance


History = tuple[Step, ...]


class Shown(NamedTuple):
    """Something bad that a history shows: an outcome or a checker; what struck, the last crash included; when."""

    what: str
    struck: tuple[str, ...]
    phase: str


class Mark(NamedTuple):
    """An event after which a history may be struck once more: how many had happened, and what may strike there only."""

    step: int
    disturbances: tuple[Disturbance, ...]


@dataclass(frozen=True)
class Followed:
    """A history, what it shows (in words), and where it may be struck again."""

    history: History
    shown: Mapping[Shown, str]
    marks: tuple[Mark, ...]


def names(history: History) -> tuple[str, ...]:
    """What struck in it."""
    return tuple(str(step.what) for step in history)


def follow(made: Plan, history: History) -> Followed:
    """Execute *history*, foresee every crash that may follow, and ask every checker of its trace."""
    run = Execution(made.topology, made.window.latency_ps, made.protocol)
    disturber = Disturber(run.simulation)
    for step in history:
        run.advance(step.after)
        list(disturber.possible(saves_follow=False))  # frames sent so far are no news later
        if isinstance(step.what, Disturbance):
            run.disturb(step.what, disturber)
        else:
            run.strike(step.what, Resolution())
    marks: list[Mark] = []
    boundaries: list[int] = []
    phase = ""

    def between() -> None:
        nonlocal phase
        before, phase = phase, _phase_after(run.rows, "")
        resumes = phase == RESUMED and before != RESUMED
        marks.append(Mark(run.steps, tuple(disturber.possible(saves_follow=resumes))))
        boundaries.append(len(run.rows))

    between()
    ending = run.finish(between=between)
    shown: dict[Shown, str] = {}
    struck = names(history)
    if ending.liveness is not None:
        shown[Shown(str(ending.liveness), struck, "")] = f"{ending.liveness} after {_listed(struck)}"
    for asked in ending.asked:
        for outcome in asked.outcomes:
            if outcome in BAD:
                shown.setdefault(Shown(str(outcome), struck, ""), f"{outcome}: {_listed(struck)}")
    trace = run.simulation.trace
    for name, detail in (*ending.broken, *violated(promised(trace))):
        shown.setdefault(Shown(name, struck, ""), f"{name}, after {_listed(struck)}: {detail}")
    for one, said in foreseen(made, trace, [*boundaries, len(trace.rows)], struck):
        shown.setdefault(one, said)
    return Followed(history, shown, tuple(marks))


def at_rest(made: Plan) -> Followed:
    """The history without a strike: the window of the plan."""
    shown: dict[Shown, str] = {}
    trace, points = made.window.trace, made.window.points
    if made.window.stuck:
        shown[Shown("progress", (), "")] = f"progress: {made.window.stuck}"
    for name, detail in violated(promised(trace)):
        shown.setdefault(Shown(name, (), ""), f"{name}: {detail}")
    for one, said in foreseen(made, trace, [*(point.rows for point in points), len(trace.rows)], ()):
        shown.setdefault(one, said)
    return Followed((), shown, ())


def foreseen(
    made: Plan, trace: Trace, ends: Sequence[int], struck: tuple[str, ...]
) -> Iterator[tuple[Shown, str]]:
    """What every crash leads to after each event of a trace that changed something; *ends*: rows after each event."""
    timeline = Timeline(trace)
    rows = trace.rows
    boundaries: list[int] = []
    phases: list[str] = []
    phase, at = SAVING, 0
    for end in ends:
        phase = _phase_after(rows[at:end], phase)
        if not boundaries or any(row[3] is not None or row[1] in _PHASES for row in rows[at:end]):
            boundaries.append(end)
            phases.append(phase)
        at = end
    bad: dict[frozenset[str], list[tuple[int, Outcome]]] = {}
    for target, takes, stops in zip(made.targets, made.takes, made.stops, strict=True):
        if not stops:
            continue
        felt = effect(timeline, takes)
        if felt not in bad:
            bad[felt] = list(_bad(timeline, felt, boundaries))
        told: set[tuple[Outcome, str]] = set()
        for number, outcome in bad[felt]:
            if (outcome, phases[number]) not in told:
                told.add((outcome, phases[number]))
                last = Record._make(rows[boundaries[number] - 1])
                where = _listed((*struck, str(target)))
                said = f"{outcome}: {where} at {last.time_ps / 1e12:g} s ({say_record(last)})"
                yield Shown(str(outcome), (*struck, str(target)), phases[number]), said


def _bad(timeline: Timeline, takes: frozenset[str], boundaries: Sequence[int]) -> Iterator[tuple[int, Outcome]]:
    """Every bad outcome of a strike that takes *takes*, with the number of the boundary after which it comes."""
    for number, seen in enumerate(judged(timeline, takes, boundaries)):
        for outcome in sorted(seen.outcomes.intersection(BAD)):
            yield number, outcome


def _phase_after(rows: Sequence[Row], before: str) -> str:
    return next((_PHASES[row[1]] for row in reversed(rows) if row[1] in _PHASES), before)


def _listed(struck: Sequence[str]) -> str:
    return ", then ".join(struck)


# which histories there are


def spread(items: Sequence[Item]) -> list[Item]:
    """The same in another order: whatever is left out of its end, what comes before is spread over all of it."""
    width = max(len(items) - 1, 1).bit_length()
    order = sorted(range(len(items)), key=lambda number: int(f"{number:0{width}b}"[::-1], 2))
    return [items[number] for number in order]


def first_crashes(made: Plan) -> Mapping[str, list[History]]:
    """By its name, every crash that may strike first: crashes that leave the same are stood for by one of them."""
    points, found = made.window.points, dict[str, dict[History, None]]()
    for (_, index), task in tasks_of(made).items():
        history = (Step(points[task.point].step, made.targets[task.target]),)
        found.setdefault(str(made.targets[index]), {})[history] = None
    return {name: list(histories) for name, histories in found.items()}


def first_disturbances(made: Plan) -> list[History]:
    """Every disturbance that may strike first."""
    run = Execution(made.topology, made.window.latency_ps, made.protocol)
    disturber = Disturber(run.simulation)
    disturbed: list[History] = []
    for number, point in enumerate(made.window.points):
        run.advance(point.step)
        found = disturber.possible(saves_follow=number == 0)
        disturbed += [(Step(point.step, one),) for one in found]
    return disturbed


def first_strikes(made: Plan) -> list[History]:
    """Every history of one strike: crashes and disturbances in turn, and at last crashes that the job rides through.

    Crashes that leave the same are one.
    """
    points = made.window.points
    crashes: dict[bool, list[History]] = {True: [], False: []}
    for task in dict.fromkeys(tasks_of(made).values()):
        history = (Step(points[task.point].step, made.targets[task.target]),)
        crashes[made.stops[task.target]].append(history)
    return in_turn([spread(crashes[True]), spread(first_disturbances(made))]) + spread(crashes[False])


def struck_again(made: Plan, followed: Followed) -> list[History]:
    """Every history of one strike more; none after a crash that the job rode through."""
    last = followed.history[-1].what
    if isinstance(last, Target) and not made.stops[made.targets.index(last)]:
        return []
    crashes = [
        (*followed.history, Step(mark.step, target))
        for mark in followed.marks
        for target, stops in zip(made.targets, made.stops, strict=True)
        if stops
    ]
    disturbed = [
        (*followed.history, Step(mark.step, one)) for mark in followed.marks for one in mark.disturbances
    ]
    return in_turn([spread(crashes), spread(disturbed)])


def in_turn(lists: Sequence[Sequence[Item]]) -> list[Item]:
    """One of each, again and again, until all are through."""
    longest = max(map(len, lists), default=0)
    return [items[number] for number in range(longest) for items in lists if number < len(items)]

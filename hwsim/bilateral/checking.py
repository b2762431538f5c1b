"""One search each: a setting of the link, a tree of domains, a broken variant; what was found, and how it came about.

*Source* of the properties: `hwsim.bilateral.invariants` and `hwsim.bilateral.tec_model`. Progress (both): from every
reachable state, by steps that are no fault and that nobody is free to omit, the settled state can be reached (AG EF).
In a finite system it then is reached with probability one, or under strong fairness; a bound on the time is claimed
only for the exchanges of snapshots, once the wire is empty. And a link that does nothing is safe: so each payload
must be able to come to either side ("moves").
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from hwsim.bilateral import invariants, tec_model
from hwsim.bilateral.model import Global, Model
from hwsim.bilateral.search import Space, doomed, search
from hwsim.bilateral.setting import Setting

EXCHANGES = 3  # the most that may be needed after the last fault
Say = Callable[[int], None]


@dataclass(frozen=True)
class Moment:
    """One line of a trace: what happened, and the state after it."""

    what: str
    state: str


@dataclass(frozen=True)
class Finding:
    """What one search found.  *broken*: the violated property, "progress", "exchanges", "moves" among them."""

    name: str
    states: int
    edges: int
    depth: int
    seconds: float
    broken: str | None = None
    trace: tuple[Moment, ...] = ()
    exchanges: int | None = None  # the most that settled any state
    complete: bool = True

    @property
    def steps(self) -> int:
        """Of the trace."""
        return max(0, len(self.trace) - 1)


def tokens_of(setting: Setting) -> frozenset[str]:
    return frozenset(token for side in setting.tokens for token in side)


def judge_of(model: Model, only: Sequence[str] = ()) -> Callable[[Global], str | None]:
    """The invariants of two ends as a judge of states, worked out once a pair; *only* those named, if any are."""
    tokens, ends, known = tokens_of(model.setting), model.ends, dict[tuple[int, int, bool], str | None]()
    most = model.setting.rounds

    def judge(state: Global) -> str | None:
        a, b, _, _, lost = state
        key = (a, b, lost > 0)
        if key not in known:
            if most is not None and max(ends[a].register.round, ends[b].register.round) > most:
                known[key] = "I3"  # nobody offers in a round from there on, so nobody leaves it
                return "I3"
            known[key] = invariants.broken(ends[a], ends[b], tokens, register_lost=lost > 0, only=only)
        return known[key]

    return judge


def explore(
    name: str,
    setting: Setting,
    *,
    only: Sequence[str] = (),
    progress: bool = True,
    limit: int | None = None,
    say: Say | None = None,
) -> Finding:
    """All that two ends can come to in *setting*, judged; the shortest way to what is wrong, if anything is."""
    model = Model(setting)
    space = search(
        model.initial(),
        model.steps,
        judge_of(model, only),
        judge_step=None if only and "I6" not in only else _wrong_of_move,
        keep=_owed if progress else None,
        limit=limit,
        say=say,
    )
    broken, bad, exchanges = space.broken, space.bad, None
    if progress and broken is None and space.complete:
        stuck = doomed(space, (number for number, state in enumerate(space.states) if model.settled(state)))
        if stuck:
            broken, bad = "progress", stuck[0]
        elif not _all_move(model, space):
            broken, bad = "moves", 0
        else:
            exchanges, worst = _exchanges(model, space)
            if exchanges > EXCHANGES:
                broken, bad = "exchanges", worst
    trace: tuple[Moment, ...] = ()
    if broken:
        space.bad = bad
        trace = _trace(space, model)
    return Finding(
        name, len(space.states), space.edges, space.depth, space.seconds, broken, trace, exchanges, space.complete
    )


def explore_tree(
    name: str, setting: tec_model.Setting, *, progress: bool = True, limit: int | None = None, say: Say | None = None
) -> Finding:
    """All that the domains of a tree can come to, judged."""
    model = tec_model.Model(setting)
    space = search(
        model.initial(),
        model.steps,
        model.judge,
        judge_step=_wrong_of_deed,
        keep=(lambda step: not step[1].fault) if progress else None,
        limit=limit,
        say=say,
    )
    if progress and space.broken is None and space.complete:
        stuck = doomed(space, (number for number, state in enumerate(space.states) if model.converged(state)))
        if stuck:
            space.broken, space.bad = "progress", stuck[0]
    return _finding(name, space, model)


def explore_neighbours(name: str, count: int, kept: int) -> Finding:
    """The rule without a root on a path of *count* domains that keep *kept* epochs."""
    model = tec_model.Neighbours(count, kept)
    return _finding(name, search(model.initial(), model.steps, model.judge), model)


def _finding(name: str, space: Space[Any], model: tec_model.Model | tec_model.Neighbours) -> Finding:
    trace = _trace(space, model) if space.broken else ()
    return Finding(
        name, len(space.states), space.edges, space.depth, space.seconds, space.broken, trace, None, space.complete
    )


def _wrong_of_move(step: tuple[Any, ...]) -> str | None:
    move = step[3]
    return None if move is None else move.wrong


def _wrong_of_deed(step: tuple[Any, ...]) -> str | None:
    wrong: str | None = step[1].wrong
    return wrong


def _owed(step: tuple[Any, ...]) -> bool:
    """Whether a step is no fault, and nobody is free to omit it."""
    return step[2] in ("", "rx") and not step[3].fault


def _all_move(model: Model, space: Space[Global]) -> bool:
    """Whether each payload can come to be held at either side: a link that moves nothing is safe, and useless."""
    held: tuple[set[str], set[str]] = (set(), set())
    for a, b in {state[:2] for state in space.states}:
        held[0].update(model.ends[a].store)
        held[1].update(model.ends[b].store)
    tokens = tokens_of(model.setting)
    return all(tokens <= side for side in held)


def _exchanges(model: Model, space: Space[Global]) -> tuple[int, int]:
    """The most exchanges that any reachable state with nothing in flight needs, and that state."""
    most, worst = 0, 0
    for number, (a, b, there, back, lost) in enumerate(space.states):
        if there or back or lost:
            continue
        needed = model.exchanges(model.calm(a), model.calm(b))
        if needed > most:
            most, worst = needed, number
    return most, worst


def _trace(space: Space[Any], model: Any) -> tuple[Moment, ...]:
    """The shortest way to what is wrong.  Rounds and epochs are the true ones: the shifts are added again."""
    path, offset = space.path(), 0
    moments = [Moment("at first", model.describe(path[0]))]
    steps = [next(step for step in model.steps(before) if step[0] == after) for before, after in pairwise(path)]
    if space.last is not None:
        steps.append(space.last)
    for before, step in zip(path, steps, strict=False):
        what = model.explain(before, step, offset)
        offset += model.shifted(before, step)
        moments.append(Moment(what, model.describe(step[0], offset)))
    return tuple(moments)

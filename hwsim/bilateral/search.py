"""Breadth-first search of a finite transition system: all states, the shortest way to a bad one, what stays reachable.

The engine knows nothing of links: a system is a first state, a function from a state to its steps, and a judge.

Source: explicit-state model checking as in Holzmann, "The Model Checker SPIN", IEEE Trans. Softw. Eng. 23(5), 1997;
AG EF by backward reachability: Clarke, Emerson, Sistla, ACM TOPLAS 8(2), 1986.
"""

from __future__ import annotations

from array import array
from collections.abc import Callable, Hashable, Iterable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any, Generic, TypeVar

S = TypeVar("S", bound=Hashable)
# A step: the state after it, then whatever the system tells of it.
Steps = Callable[[S], Sequence[tuple[Any, ...]]]
CHUNK = 4096


@dataclass
class Space(Generic[S]):
    """What a search found.  *broken*: the name of what is violated in `states[bad]`, or on the step *last* into it."""

    states: list[S]
    parents: array[int]
    edges: int = 0
    depth: int = 0
    seconds: float = 0.0
    broken: str | None = None
    bad: int = -1
    complete: bool = True
    sources: array[int] = field(default_factory=lambda: array("i"))  # of the steps kept, with their targets
    targets: array[int] = field(default_factory=lambda: array("i"))
    last: tuple[Any, ...] | None = None  # the step that breaks something by itself

    def path(self) -> list[S]:
        """The states from the first to the bad one; shortest, as the search is breadth-first."""
        found, at = [], self.bad
        while at >= 0:
            found.append(self.states[at])
            at = self.parents[at]
        return found[::-1]


def search(
    first: S,
    steps: Steps[S],
    judge: Callable[[S], str | None],
    *,
    judge_step: Callable[[tuple[Any, ...]], str | None] | None = None,
    keep: Callable[[tuple[Any, ...]], bool] | None = None,
    limit: int | None = None,
    say: Callable[[int], None] | None = None,
) -> Space[S]:
    """All states reachable from *first*, up to the first one that *judge* (or a step that *judge_step*) names broken.

    *keep* chooses the steps that are kept as edges for `doomed`.  *limit*: states after which it gives up, `complete`
    then False.  *say* is called now and then with the number of states.
    """
    began = perf_counter()
    space = Space([first], array("i", [-1]))
    states, parents, index = space.states, space.parents, {first: 0}
    space.broken = judge(first)
    if space.broken:
        space.bad = 0
    edges, at, level_end = 0, 0, 1
    while at < len(states) and space.broken is None:
        if at == level_end:
            space.depth += 1
            level_end = len(states)
        if say is not None and at % CHUNK == 0:
            say(at)
        if limit is not None and len(states) > limit:
            space.complete = False
            break
        for step in steps(states[at]):
            edges += 1
            after = step[0]
            number = index.get(after)
            if number is None:
                number = index[after] = len(states)
                states.append(after)
                parents.append(at)
                broken = judge(after)
                if broken:
                    space.broken, space.bad = broken, number
                    break
            if judge_step is not None:
                broken = judge_step(step)
                if broken:
                    space.broken, space.bad, space.last = broken, at, step
                    break
            if keep is not None and keep(step):
                space.sources.append(at)
                space.targets.append(number)
        at += 1
    space.edges = edges
    space.seconds = perf_counter() - began
    return space


def doomed(space: Space[S], goals: Iterable[int]) -> list[int]:
    """The states from which no goal can be reached by the kept steps; none: AG EF goal holds."""
    count = len(space.states)
    starts = array("i", bytes(4 * (count + 1)))
    for target in space.targets:
        starts[target + 1] += 1
    for number in range(count):
        starts[number + 1] += starts[number]
    fill, into = array("i", starts), array("i", bytes(4 * len(space.targets)))
    for source, target in zip(space.sources, space.targets, strict=True):
        into[fill[target]] = source
        fill[target] += 1
    can = bytearray(count)
    todo = list(goals)
    for goal in todo:
        can[goal] = 1
    while todo:
        number = todo.pop()
        for source in into[starts[number] : starts[number + 1]]:
            if not can[source]:
                can[source] = 1
                todo.append(source)
    return [number for number in range(count) if not can[number]]

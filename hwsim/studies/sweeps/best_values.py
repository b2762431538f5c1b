"""The answer of kind best_value: the x of the plot that does best, and whether another key of the grid changes that.

Best is the x that costs least among those whose y is good: at most `slack` of it worse than the best of the line.  So
a y that hardly moves decides nothing, and a y that does decides all.

Of the other key that value is taken which none beats: the first one against which no other is better at any x, for all
lines of the plot if there is such a one.  Better and worse are meant beyond `slack` and with intervals that lie apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hwsim.report.words import listed, percent
from hwsim.studies.sweeps.estimates import Estimate, differ
from hwsim.studies.sweeps.findings import PointFinding, better_when_more
from hwsim.studies.sweeps.measures import shown
from hwsim.studies.sweeps.phrases import at, sentence, span, value_words, with_
from hwsim.studies.sweeps.spec import BestValueAnswer, Study


@dataclass(frozen=True)
class Curve:
    """The points with one value of `beside`: by x, in the order of the grid, y and cost."""

    beside: str  # as shown
    points: Mapping[str, tuple[Estimate, Estimate]]
    slack: float
    more: bool  # of y more is better

    def worse_by(self, y: float, than: float) -> float:
        """By how much *y* is worse, as a share of the other; below 0 where it is better."""
        return ((than - y) if self.more else (y - than)) / (abs(than) or 1.0)

    def worsenings(self, other: Curve) -> list[tuple[float, str]]:
        """By how much *other* is worse at each x that both have, as a share; below 0 where it is better."""
        return [
            (self.worse_by(other.points[x][0].mean, y.mean), x)
            for x, (y, _) in self.points.items()
            if x in other.points
        ]

    @property
    def best(self) -> str:
        """The x that costs least among the good ones."""
        top = max(self.ys) if self.more else min(self.ys)
        good = [x for x, (y, _) in self.points.items() if self.worse_by(y.mean, top) <= self.slack]
        return min(good, key=lambda x: self.points[x][1].mean)

    @property
    def ys(self) -> list[float]:
        """Every mean of y."""
        return [y.mean for y, _ in self.points.values()]

    def beats(self, other: Curve) -> bool:
        """Whether it is better than *other* at some x."""
        return any(
            by > self.slack and differ(self.points[x][0], other.points[x][0]) for by, x in self.worsenings(other)
        )


def curves(study: Study, asked: BestValueAnswer, found: Sequence[PointFinding]) -> dict[str, list[Curve]]:
    """What the runs give, by the values of all other keys (as text)."""
    assert study.plot is not None
    x, y = study.plot.x, study.plot.y
    groups: dict[str, dict[str, dict[str, tuple[Estimate, Estimate]]]] = {}
    for one in found:
        if y in one.estimates and asked.cost in one.estimates:
            line = groups.setdefault(at(study, one, but=(x, asked.beside)), {})
            line.setdefault(shown(one.point.values[asked.beside]), {})[shown(one.point.values[x])] = (
                one.estimates[y],
                one.estimates[asked.cost],
            )
    more = better_when_more(y)
    return {
        name: [Curve(beside, points, asked.slack, more) for beside, points in lines.items()]
        for name, lines in groups.items()
    }


def unbeaten(held: Sequence[Curve]) -> list[Curve]:
    """The curves that no other beats."""
    return [one for one in held if not any(other.beats(one) for other in held)]


def ranked(groups: Mapping[str, Sequence[Curve]]) -> tuple[str | None, dict[str, tuple[Curve, list[Curve]]]]:
    """The value of the other key that is unbeaten in all groups; of each group the curve taken and those that it beats.

    Without such a value a group takes its first unbeaten curve; where each is beaten somewhere, that of the best y.
    """
    free = {name: unbeaten(held) for name, held in groups.items()}
    everywhere = set.intersection(*({one.beside for one in held} for held in free.values()))
    common = next((one.beside for held in free.values() for one in held if one.beside in everywhere), None)
    taken = {}
    for name, held in groups.items():
        best = (max if held[0].more else min)(held, key=lambda one: (max if one.more else min)(one.ys))
        first = next((one for one in free[name] if common in (None, one.beside)), best)
        taken[name] = first, [one for one in held if one is not first and first.beats(one)]
    return common, taken


def best_values(study: Study, asked: BestValueAnswer, found: Sequence[PointFinding]) -> Iterator[str]:
    """The sentences of the answer."""
    groups = curves(study, asked, found)
    if not groups:
        yield "No point has what the answer needs."
        return
    assert study.plot is not None
    common, taken = ranked(groups)
    if common is not None:
        yield _overall(study, asked, common, taken)
    for name, (first, beaten) in taken.items():
        others = [one for one in groups[name] if one not in (first, *beaten) and first.worsenings(one)]
        yield sentence(f"{with_(name)}{_beside(study, first, beaten, others)}.")
        best = [_best(study, asked, first, ends=True), *(_best(study, asked, one) for one in beaten)]
        yield sentence(f"{'; '.join(best)}.")
    yield (
        f"Best has the least {study.label(asked.cost)} of those at most {asked.slack:.0%} worse than the best "
        f"{study.label(study.plot.y)}."
    )
    yield from _moves(study, asked, {name: first.best for name, (first, _) in taken.items()})


def _overall(
    study: Study, asked: BestValueAnswer, common: str, taken: Mapping[str, tuple[Curve, Sequence[Curve]]]
) -> str:
    """What the value that is unbeaten everywhere is worth."""
    assert study.plot is not None
    x = study.plot.x
    worst: dict[str, tuple[float, str]] = {}
    for name, (first, beaten) in taken.items():
        for one in beaten:
            by, at_x = max(first.worsenings(one))
            where = f"{name}, " * bool(name) + f"{study.label(x)} = {study.label(at_x)}"
            worst[one.beside] = max(worst.get(one.beside, (0.0, "")), (by, where))
    if not worst:
        return sentence(f"{study.label(asked.beside)} makes no difference that counts.")
    told = [f"{study.label(beside)} it is worse by up to {by:.0%} ({where})" for beside, (by, where) in worst.items()]
    return sentence(f"{study.label(common)}, {study.label(study.plot.y)} is as good as any; {listed(told)}.")


def _beside(study: Study, first: Curve, beaten: Sequence[Curve], others: Sequence[Curve]) -> str:
    """What the other key does to y."""
    assert study.plot is not None
    y = study.plot.y
    text = f"{study.label(y)} is {span(y, first.ys)} {study.label(first.beside)}"
    if beaten:
        text += f", against {listed([f'{span(y, one.ys)} {study.label(one.beside)}' for one in beaten])}"
    if others:
        apart = max(abs(by) for one in others for by, _ in first.worsenings(one))
        told = "the same" if apart == 0 else f"within {percent(apart)} of that"
        text += f"; {listed([study.label(one.beside) for one in others])} it is {told}"
    return text


def _best(study: Study, asked: BestValueAnswer, one: Curve, *, ends: bool = False) -> str:
    """The best x of a curve and what it gives; with *ends* also what those of the grid give."""
    assert study.plot is not None
    y = study.plot.y
    xs = list(one.points)
    edge = ", the first that was run" if one.best == xs[0] else ", the last that was run" if one.best == xs[-1] else ""

    def gives(x: str) -> str:
        return f"{value_words(y, one.points[x][0].mean)} and {value_words(asked.cost, one.points[x][1].mean)}"

    others = [f"{gives(x)} at {study.label(x)}" for x in dict.fromkeys((xs[0], xs[-1])) if ends and x != one.best]
    return (
        f"{study.label(one.beside)} the best {study.label(study.plot.x)} is {study.label(one.best)}{edge}, with "
        f"{gives(one.best)} {study.label(asked.cost)}{f' ({listed(others)})' if others else ''}"
    )


def _moves(study: Study, asked: BestValueAnswer, chosen: Mapping[str, str]) -> Iterator[str]:
    """How the best x follows the one other key that varies."""
    assert study.plot is not None
    x = study.plot.x
    others = [key for key in study.grid if key not in (x, asked.beside) and len(study.grid[key]) > 1]
    if len(others) == 1 and len(chosen) > 1:
        (first, low), *_, (last, high) = chosen.items()
        moves = f"goes from {study.label(low)} to {study.label(high)}" if low != high else f"stays {study.label(low)}"
        yield f"From {first} to {last}, the best {study.label(x)} {moves}."

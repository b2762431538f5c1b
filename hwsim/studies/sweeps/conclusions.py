"""A study's answer: sentences that its rows decide.

Nothing in them is written down in advance but the words around the numbers.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from hwsim.report.words import duration, percent
from hwsim.studies.optimal_interval import Job
from hwsim.studies.sweeps.best_values import best_values
from hwsim.studies.sweeps.estimates import Estimate, differ, estimate
from hwsim.studies.sweeps.findings import PointFinding
from hwsim.studies.sweeps.measures import canonical, measure, shown
from hwsim.studies.sweeps.phrases import at, sentence, span, value_words, with_
from hwsim.studies.sweeps.spec import BestValueAnswer, ComparisonAnswer, IntervalAnswer, Study, numbers

STALL = "checkpoints.stall_s.mean"
Pair = tuple[PointFinding, PointFinding]  # two points that differ in the compared key alone

_FEWEST = 5  # intervals that a curve of four terms is fitted through


def conclude(study: Study, found: Sequence[PointFinding], is_complete: bool) -> str:
    """The answer as a paragraph; of what is there, where not everything is."""
    if not found:
        return "No run is done, so there is no answer yet."
    match study.answer:
        case ComparisonAnswer() as asked:
            text = " ".join(_compare(study, asked, found))
        case IntervalAnswer():
            text = " ".join(_best_intervals(study, found))
        case BestValueAnswer() as asked:
            text = " ".join(best_values(study, asked, found))
        case _:
            text = " ".join(_extremes(study, found))
    return text if is_complete else f"So far, from the runs that are done: {text}"


# -- comparison ------------------------------------------------------------------------------------


def _compare(study: Study, asked: ComparisonAnswer, found: Sequence[PointFinding]) -> Iterator[str]:
    assert study.plot is not None
    y = study.plot.y
    first, second = (shown(value) for value in study.grid[asked.between])
    names = study.label(first), study.label(second)
    groups: dict[str, dict[str, dict[str, PointFinding]]] = {}
    for one in found:
        within = "" if asked.within is None else shown(one.point.values[asked.within])
        rest = canonical({key: value for key, value in one.point.values.items() if key != asked.between})
        groups.setdefault(within, {}).setdefault(rest, {})[shown(one.point.values[asked.between])] = one
    for within, pairs in groups.items():
        where = study.label(within) if within else ""
        whole = [(pair[first], pair[second]) for pair in pairs.values() if len(pair) == 2]
        whole = [pair for pair in whole if all(y in one.estimates for one in pair)]
        if not whole:
            yield f"No two points are there to compare {where}".strip() + "."
            continue
        apart = [pair for pair in whole if differ(pair[0].estimates[y], pair[1].estimates[y])]
        head = (asked.differs if apart else asked.same).replace("{within}", where).strip()
        body = _told_apart(study, asked, whole, apart, names)
        beside = [_beside(study, key, whole, names) for key in study.record if key != y and key not in study.words]
        told = "; ".join(text for text in beside if text)
        yield f"{head}: {body}{f' ({told})' if told else ''}."


def _told_apart(
    study: Study, asked: ComparisonAnswer, whole: Sequence[Pair], apart: Sequence[Pair], names: tuple[str, str]
) -> str:
    """What the plot's y is on either side, and where the two are furthest apart."""
    assert study.plot is not None
    y = study.plot.y
    left, right = ([pair[side].estimates[y].mean for pair in whole] for side in (0, 1))
    if not apart:
        points = "the one point" if len(whole) == 1 else f"all {len(whole)} points"
        return f"{study.label(y)} is {span(y, [*left, *right])} with either, at {points} compared"
    widest = max(apart, key=lambda pair: abs(pair[0].estimates[y].mean - pair[1].estimates[y].mean))
    values = [value_words(y, one.estimates[y].mean) for one in widest]
    where = at(study, widest[0], but=(asked.between, asked.within))
    return (
        f"{study.label(y)} is {span(y, left)} {names[0]} and {span(y, right)} {names[1]}, apart at {len(apart)} of "
        f"{len(whole)} points and furthest ({values[0]} against {values[1]}){f' at {where}' if where else ''}"
    )


def _beside(study: Study, key: str, pairs: Sequence[Pair], names: tuple[str, str]) -> str:
    """What another key of the record says of the same pairs."""
    whole = [(a.estimates[key], b.estimates[key]) for a, b in pairs if key in a.estimates and key in b.estimates]
    if not whole:
        return ""
    what = study.label(key)
    left, right = ([pair[side].mean for pair in whole] for side in (0, 1))
    if not any(differ(*pair) for pair in whole):
        return f"{what} is the same with either, {span(key, [*left, *right])}"
    return f"{what} is {span(key, left)} {names[0]} and {span(key, right)} {names[1]}"


# -- the best interval -----------------------------------------------------------------------------


@dataclass(frozen=True)
class Curve:
    """1/ETTR over the work between two saves, t: a/t + b + ct + dt^2, fitted by least squares.

    The form is that of the exact expectation's expansion in t/M, with nothing of its coefficients assumed.  What a
    failure throws away grows with t, and so does what timelines differ by: errors are weighted by 1/t.
    """

    coefficients: tuple[float, ...]
    scale_s: float
    low_s: float
    high_s: float

    @classmethod
    def through(cls, works_s: Sequence[float], ettrs: Sequence[float]) -> Curve | None:
        """The curve through these points, or None where they are too few or one is not above 0."""
        if len(set(works_s)) < _FEWEST or min(ettrs) <= 0 or min(works_s) <= 0:
            return None
        import numpy as np

        scale = math.exp(sum(map(math.log, works_s)) / len(works_s))
        u = np.asarray(works_s) / scale
        terms = np.stack([1 / u, np.ones_like(u), u, u * u], axis=1) / u[:, None]
        solved, *_ = np.linalg.lstsq(terms, 1 / (np.asarray(ettrs) * u), rcond=None)
        return cls(tuple(map(float, solved)), scale, min(works_s), max(works_s))

    def ettr(self, work_s: float) -> float:
        """The fitted ETTR; beyond the points that were run, that of the nearest one."""
        u = min(max(work_s, self.low_s), self.high_s) / self.scale_s
        a, b, c, d = self.coefficients
        return 1 / (a / u + b + c * u + d * u * u)

    def best_s(self) -> float | None:
        """Where it is highest, within the points that were run; None where that is at one of their ends."""
        steps = 4000
        ratio = math.log(self.high_s / self.low_s)
        grid = [self.low_s * math.exp(ratio * step / steps) for step in range(steps + 1)]
        best = max(range(steps + 1), key=lambda step: self.ettr(grid[step]))
        return None if best in (0, steps) else grid[best]


@dataclass(frozen=True)
class Best:
    """What one line of the plot says: the best work between two saves beside the formulas' (in s)."""

    save_s: float
    work: Estimate
    curve: Curve
    young_s: float
    daly_s: float

    @property
    def ettr(self) -> float:
        """The highest of the curve."""
        return self.curve.ettr(self.work.mean)

    @property
    def off(self) -> Mapping[str, float]:
        """How far the formulas are off, as a share of what is best."""
        return {"Daly": self.daly_s / self.work.mean - 1, "Young": self.young_s / self.work.mean - 1}


def best_of(study: Study, held: Sequence[PointFinding]) -> Best | None:
    """The best interval of the points of one line; None where the data do not hold one."""
    assert study.plot is not None
    x, y = study.plot.x, study.plot.y
    usable = [one for one in held if y in one.estimates and STALL in one.estimates]
    if not usable:
        return None
    works = [float(measure(one.point.values[x]).plain or 0) - one.estimates[STALL].mean for one in usable]
    highest = works[max(range(len(works)), key=lambda index: usable[index].estimates[y].mean)]
    if highest in (min(works), max(works)):  # the best lies beyond, or the curve's form does not hold here
        return None
    curve = Curve.through(works, [one.estimates[y].mean for one in usable])
    best = curve.best_s() if curve is not None else None
    if curve is None or best is None:
        return None
    alone = []  # the optimum of each repeat by itself: their spread tells how well that of all of them is known
    for repeat in range(min(one.repeats for one in usable)):
        values = numbers([one.values[y][repeat] for one in usable])
        single = Curve.through(works, values) if len(values) == len(works) else None
        found = single.best_s() if single is not None else None
        if found is not None:
            alone.append(math.log(found))
    spread = estimate(alone)
    half_width = None if spread is None or spread.half_width is None else best * math.expm1(spread.half_width)
    save = sum(one.estimates[STALL].mean for one in usable) / len(usable)
    job = Job(save, study.facts["mtti_s"])
    return Best(save, Estimate(best, half_width, len(alone)), curve, job.young_s(), job.daly_s())


def _best_intervals(study: Study, found: Sequence[PointFinding]) -> Iterator[str]:
    assert study.plot is not None
    groups: dict[str, list[PointFinding]] = {}
    for one in found:
        groups.setdefault(at(study, one, but=(study.plot.x,)), []).append(one)
    bests = []
    for name, held in groups.items():
        best = best_of(study, held)
        if best is None:
            yield sentence(f"{with_(name)}the best interval is not among those that were run.")
            continue
        bests.append(best)
        known = "" if best.work.half_width is None else f" ± {best.work.half_width / best.work.mean:.1%}"
        yield sentence(
            f"{with_(name)}a save stops the job for {duration(best.save_s)}, and it does best with "
            f"{duration(best.work.mean)}{known} of work between saves, {duration(best.work.mean + best.save_s)} from "
            f"begin to begin: {percent(best.ettr)} of the time is then training that counts; Daly's formula says "
            f"{duration(best.daly_s)} ({best.off['Daly']:+.1%}), Young's {duration(best.young_s)} "
            f"({best.off['Young']:+.1%})."
        )
    if bests:
        yield _formulas(bests)
    if len(bests) > 1:
        least, most = min(bests, key=lambda best: best.save_s), max(bests, key=lambda best: best.save_s)
        yield (
            f"From the shortest save to the longest, {most.save_s / least.save_s:.1f} times as long, the best interval "
            f"grows {most.work.mean / least.work.mean:.1f} times, and {100 * (least.ettr - most.ettr):.1f} percentage "
            "points of the time are lost."
        )


def _formulas(bests: Sequence[Best]) -> str:
    """How well the formulas do, and what it costs to follow the simple one."""
    worst = {name: max(abs(best.off[name]) for best in bests) for name in ("Daly", "Young")}
    closer = min(worst, key=lambda name: worst[name])
    other = next(name for name in worst if name != closer)
    cost = 100 * max(best.ettr - best.curve.ettr(best.young_s) for best in bests)
    surely = [
        name
        for name in worst
        if any(abs(best.off[name]) * best.work.mean > (best.work.half_width or 0.0) for best in bests)
    ]
    who = " and ".join(f"{name}'s" for name in surely) or "neither"
    return (
        f"{closer}'s formula is the closer one, off by {worst[closer]:.1%} at most, {other}'s by {worst[other]:.1%}; "
        f"{who} beyond what the runs leave uncertain. Following Young's costs {max(0.0, cost):.2f} percentage points "
        "at most."
    )


# -- otherwise -------------------------------------------------------------------------------------


def _extremes(study: Study, found: Sequence[PointFinding]) -> Iterator[str]:
    """Where each number of the record is least and greatest."""
    for key in study.record:
        held = [(one.estimates[key].mean, one) for one in found if key in one.estimates]
        if not held or key in study.words:
            continue
        least, most = min(held, key=lambda e: e[0]), max(held, key=lambda e: e[0])
        what = study.label(key)
        if not differ(least[1].estimates[key], most[1].estimates[key]):
            both = span(key, [least[0], most[0]])
            yield sentence(f"{what} is {both} throughout: the intervals of no two points lie apart.")
            continue
        yield sentence(
            f"{what} is least, {value_words(key, least[0])}, at {at(study, least[1])}, and greatest, "
            f"{value_words(key, most[0])}, at {at(study, most[1])}."
        )

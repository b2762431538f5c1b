"""From a study's rows to what is told of them: estimates, the plot's lines, the Pareto front, and the answer."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from hwsim.studies.sweeps.estimates import Estimate, estimate
from hwsim.studies.sweeps.grid import Point
from hwsim.studies.sweeps.measures import measure, shown
from hwsim.studies.sweeps.runs import Row
from hwsim.studies.sweeps.spec import Study, numbers

# Of these more is better, of everything else less: what a Pareto front is drawn by.
MORE_IS_BETTER = frozenset(
    {"ettr", "uniform_share", "correct_latest", "committed", "rounds_committed", "rounds_settled", "delivered"}
)
METHOD = "mean of the repeats, with Student's 95% confidence interval; each run is exact for its own timeline"


def better_when_more(key: str) -> bool:
    """Whether a user wants more of what *key* counts."""
    return key.rpartition(".")[2] in MORE_IS_BETTER


@dataclass(frozen=True)
class PointFinding:
    """What the runs of one point gave: for each key of the record the values, by repeat."""

    point: Point
    values: Mapping[str, Sequence[Any]]
    repeats: int

    @cached_property
    def estimates(self) -> Mapping[str, Estimate]:
        """By the keys of the record that hold numbers, where there are any."""
        found = {key: estimate(numbers(values)) for key, values in self.values.items()}
        return {key: one for key, one in found.items() if one is not None}

    def told(self, key: str) -> Any:
        """The estimate of *key* as plain data; of words the most frequent one."""
        one = self.estimates.get(key)
        if one is not None:
            return {"mean": one.mean, "half_width": one.half_width, "n": one.n}
        words = Counter(value for value in self.values[key] if isinstance(value, str))
        return words.most_common(1)[0][0] if words else None


def findings(study: Study, rows: Sequence[Row]) -> list[PointFinding]:
    """The points that have rows, in their order; *rows* are by point and repeat."""
    by_point: dict[int, list[Row]] = defaultdict(list)
    for row in rows:
        by_point[row[0]].append(row)
    return [
        PointFinding(
            point,
            {key: [row[3 + column] for row in found] for column, key in enumerate(study.record)},
            len(found),
        )
        for point in study.points
        if (found := by_point.get(point.number))
    ]


def front(study: Study, found: Sequence[PointFinding]) -> list[int]:
    """The points that no other beats in one key of `pareto` without losing in the other; by number."""
    if study.pareto is None:
        return []
    placed = []
    for one in found:
        estimates = [one.estimates.get(key) for key in study.pareto]
        if None not in estimates:
            signs = [-1 if better_when_more(key) else 1 for key in study.pareto]
            costs = [sign * e.mean for sign, e in zip(signs, estimates, strict=True) if e is not None]
            placed.append((costs[0], costs[1], one.point.number))
    placed.sort()
    kept: list[tuple[float, float, int]] = []
    for x, y, number in placed:
        if not kept or y < kept[-1][1] or (x, y) == kept[-1][:2]:
            kept.append((x, y, number))
    return sorted(number for _, _, number in kept)


def lines(study: Study, found: Sequence[PointFinding]) -> list[dict[str, Any]]:
    """The plot's lines: `{name, by, x, y, half_width, point}`, each in the order of x."""
    if study.plot is None:
        return []
    plot = study.plot
    others = [key for key in study.grid if key != plot.x and key not in plot.lines and len(study.grid[key]) > 1]
    groups: dict[tuple[str, ...], list[tuple[Any, ...]]] = {}
    for one in found:
        got = one.estimates.get(plot.y)
        if got is None:
            continue
        named = [study.label(shown(one.point.values[key])) for key in plot.lines]
        named += [f"{study.label(key)} = {study.label(shown(one.point.values[key]))}" for key in others]
        value = one.point.values[plot.x]
        x = measure(value).plain
        place = study.grid[plot.x].index(value)
        groups.setdefault(tuple(named), []).append(
            (place if x is None else x, shown(value) if x is None else x, got.mean, got.half_width, one.point.number)
        )
    made = []
    for named_by, held in groups.items():
        held.sort(key=lambda entry: entry[0])
        made.append(
            {"name": ", ".join(named_by), "by": list(named_by), "x": [e[1] for e in held], "y": [e[2] for e in held],
             "half_width": [e[3] for e in held], "point": [e[4] for e in held]}
        )  # fmt: skip
    return made


def summary(study: Study, rows: Sequence[Row], left: int) -> dict[str, Any]:
    """The content of `study.json`: equal rows give equal bytes."""
    from hwsim.metrics import hwsim_version
    from hwsim.studies.sweeps.conclusions import conclude

    found = findings(study, rows)
    best = set(front(study, found))
    told: dict[str, Any] = {
        "hwsim": {"version": hwsim_version(), "topology_sha256": study.topology_sha256, "seed": study.seed},
        "study": study.name,
        "question": study.question,
        "topology": study.topology,
        "complete": left == 0,
        "runs": len(rows),
        "left": left,
        "method": METHOD,
        "answer": conclude(study, found, left == 0),
        "grid": {key: list(values) for key, values in study.grid.items()},
        "where": list(study.where),
        "record": list(study.record),
        "labels": dict(study.labels),
        "points": [
            {
                "point": one.point.number,
                "values": dict(one.point.values),
                "repeats": one.repeats,
                "record": {key: one.told(key) for key in study.record},
            }
            | ({"pareto": one.point.number in best} if study.pareto is not None else {})
            for one in found
        ],
    }
    if study.plot is not None:
        plot = study.plot
        kinds = {measure(value).dimension for value in study.grid[plot.x]}
        told["plot"] = {
            "x": plot.x,
            "y": plot.y,
            "by": list(plot.lines),
            "measures": kinds.pop() if len(kinds) == 1 else "other",
            "lines": lines(study, found),
        }
    if study.pareto is not None:
        told["pareto"] = {"keys": list(study.pareto), "front": sorted(best)}
    return told

"""What a study is: the lines of its file as they are written, and the whole once everything in it is resolved."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field

from hwsim.quantities import Params
from hwsim.studies.sweeps.conditions import Condition
from hwsim.studies.sweeps.grid import Point
from hwsim.studies.sweeps.measures import canonical

MAX_REPEATS = 100_000

Keys = Annotated[tuple[str, ...], Field(min_length=1, max_length=200)]


class UntilLine(Params):
    """`until`: go on repeating a point while its mean is not known well enough."""

    key: str = Field(description="of the record, whose mean is meant")
    half_width: float = Field(gt=0, description="of the 95% confidence interval of that mean, at which a point is done")
    max_repeats: int = Field(ge=2, le=MAX_REPEATS, description="at which it is done in any case")


class PlotLine(Params):
    """`plot`: one picture."""

    x: str = Field(description="a key of the grid")
    y: str = Field(description="a key of the record")
    by: str | Keys | None = Field(default=None, description="keys of the grid; one line for each of their values")

    @property
    def lines(self) -> tuple[str, ...]:
        """The keys that tell one line from another."""
        return () if self.by is None else (self.by,) if isinstance(self.by, str) else self.by


class ComparisonAnswer(Params):
    """`answer` of kind comparison: does it matter which value of one key is chosen?"""

    kind: Literal["comparison"]
    between: str = Field(description="a key of the grid with two values: without, with")
    within: str | None = Field(default=None, description="a key of the grid; an answer for each of its values")
    differs: str = Field(default="It matters {within}", description="said where the two differ")
    same: str = Field(default="It does not matter {within}", description="said where they do not")


class IntervalAnswer(Params):
    """`answer` of kind checkpoint_interval: which interval is best, and do Young's and Daly's formulas find it?"""

    kind: Literal["checkpoint_interval"]


class BestValueAnswer(Params):
    """`answer` of kind best_value: which x of the plot is best, and does another key change it?"""

    kind: Literal["best_value"]
    beside: str = Field(description="a key of the grid that may change it")
    cost: str = Field(description="a key of the record that decides among the x whose y is about as good")
    slack: float = Field(
        default=0.1, ge=0, le=1, description="how much worse than the best y still counts as good, as a share of it"
    )


Answer = Annotated[ComparisonAnswer | IntervalAnswer | BestValueAnswer, Field(discriminator="kind")]


class StudyLine(Params):
    """A study's file; `grid` and `where` are read on their own."""

    version: Literal[1] = Field(description="of this format: 1")
    study: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_+-]{0,79}$", description="its name: letters, digits, - and _")
    question: str = Field(min_length=1, description="what it asks, in one sentence")
    topology: str = Field(min_length=1, description="a file, from this one's folder, or the name of an example")
    grid: Any = Field(description="key paths of the topology and the values that each takes")
    where: Any = Field(default=None, description="conditions on the grid; all of them hold at every point")
    seed: int | None = Field(default=None, ge=0, lt=2**63, description="of every run; default: the topology's")
    seeds: Literal["own", "common"] = Field(
        default="own",
        description="own: every point draws its own random numbers; common: repeat k draws the same ones at every "
        "point, so that points are compared under the same faults",
    )
    repeats: int = Field(default=1, ge=1, le=MAX_REPEATS, description="runs of each point, with seeds of their own")
    until: UntilLine | None = Field(default=None, description="when to stop repeating a point")
    record: Keys = Field(description="keys of a result that are kept")
    plot: PlotLine | None = Field(default=None, description="the picture")
    pareto: Annotated[tuple[str, ...], Field(min_length=2, max_length=2)] | None = Field(
        default=None, description="two keys of the record, both better when less: which points does no other beat?"
    )
    answer: Answer | None = Field(default=None, description="how the question is answered from the data")
    labels: dict[str, str] = Field(default_factory=dict, description="words for keys and values, for readers")


@dataclass(frozen=True)
class Study:
    """A whole, valid study."""

    name: str
    question: str
    topology: str  # path of its file
    topology_sha256: str
    source: str  # path of the study's file
    seed: int
    seeds: str
    grid: Mapping[str, tuple[Any, ...]]
    where: tuple[str, ...]  # as written
    conditions: tuple[Condition, ...]
    points: tuple[Point, ...]
    repeats: int
    until: UntilLine | None
    record: tuple[str, ...]
    words: frozenset[str]  # those of `record` that hold text
    plot: PlotLine | None
    pareto: tuple[str, str] | None
    answer: Answer | None
    labels: Mapping[str, str]
    facts: Mapping[str, float] = field(default_factory=dict)  # of the topology, for the answer; in s

    @property
    def most_runs(self) -> int:
        """How many runs there are, with every repeat that `until` may ask for."""
        return len(self.points) * (self.until.max_repeats if self.until else self.repeats)

    def fingerprint(self, version: str) -> dict[str, str]:
        """Digests of all that decides what the rows say, by the part of the study that a user may have changed."""
        until = None if self.until is None else self.until.model_dump()
        parts: Mapping[str, Any] = {
            "hwsim": version,
            "topology": self.topology_sha256,
            "grid": [[key, list(values)] for key, values in self.grid.items()],  # in their order
            "where": self.where,
            "seed": [self.seed, self.seeds],
            "repeats": [self.repeats, until],
            "record": self.record,
        }
        return {name: hashlib.sha256(canonical(part).encode()).hexdigest() for name, part in parts.items()}

    def label(self, word: str) -> str:
        """*word*, or what a reader should see instead."""
        return self.labels.get(word, word)


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a study's file."""
    made = StudyLine.model_json_schema()
    pair = {"type": "array", "minItems": 2, "maxItems": 2}
    values = {
        "anyOf": [
            {"type": "array", "minItems": 1},
            {
                "type": "object",
                "properties": {"log": pair, "points": {"type": "integer", "minimum": 2}},
                "required": ["log", "points"],
                "additionalProperties": False,
            },
            {
                "type": "object",
                "properties": {"range": pair, "step": {"type": ["number", "string"]}},
                "required": ["range", "step"],
                "additionalProperties": False,
            },
        ]
    }
    text = {"type": "string"}
    made["properties"]["grid"] |= {"type": "object", "minProperties": 1, "additionalProperties": values}
    made["properties"]["where"] |= {"anyOf": [text, {"type": "array", "items": text}, {"type": "null"}]}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", "title": "A study of hwsim"} | {
        key: value for key, value in made.items() if key != "title"
    }


def numbers(values: Sequence[Any]) -> list[float]:
    """The finite numbers among *values*: a mean of nothing, say, is none."""
    return [float(value) for value in values if isinstance(value, int | float) and not isinstance(value, bool)]

"""From a study's file to a `Study`, or to every mistake in it, those that its grid makes in the topology among them.

Every value of every key is tried on the topology once, at the first point that has it, as `--set` would; combinations
that only fail together are found when their point is run.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any

from hwsim import examples
from hwsim.errors import Mistake, UserError
from hwsim.faults import Fault
from hwsim.studies.sweeps import conditions, grid
from hwsim.studies.sweeps.at_point import load_point
from hwsim.studies.sweeps.measures import canonical, shown
from hwsim.studies.sweeps.spec import BestValueAnswer, ComparisonAnswer, IntervalAnswer, Study, StudyLine
from hwsim.topology import expectations
from hwsim.topology.document import Document, dotted, suggest
from hwsim.topology.loading import load_file
from hwsim.topology.yaml_source import Path, Place, Source, read_file

if TYPE_CHECKING:
    from hwsim.topology.spec import Topology

MAX_KEYS = 50
_NOT_OF_A_GRID: Mapping[str, str] = {
    "version": "the format is not a parameter",
    "cases": "a study makes its own cases",
    "expect": "a study expects nothing",
    "seed": "write `repeats`, and each gets a seed of its own",
    "name": "it changes nothing",
    "description": "it changes nothing",
}
_NOT_OF_A_RECORD: Mapping[str, str] = {
    "wall_s": "it tells of this machine, not of the run",
    "explore": "a sweep explores nothing",
    "hwsim": "it is the same in every run, or stands in the row already",
}
_FILLING = {"version": 1, "study": "s", "question": "q", "topology": "t", "grid": {}, "record": ["ettr"]}
_STALL = "checkpoints.stall_s.mean"


def load(path: str | os.PathLike[str]) -> Study:
    """Read the study at *path*.  Raises UserError with every mistake in it."""
    source = read_file(path)
    if isinstance(source.data, dict) and not is_study(source.data):
        place = source.marks.value(())
        raise UserError(
            [Mistake(*place, "", "is no study: it has no `study` and no `grid`", "a topology is for hwsim run")]
        )
    study, mistakes = read(source)
    if mistakes or study is None:
        raise UserError(mistakes)
    return study


def is_study(data: Any) -> bool:
    """Whether a file's data is a study, not a topology."""
    return isinstance(data, dict) and ("study" in data or ("grid" in data and "nodes" not in data))


def mistakes_of(source: Source) -> list[Mistake] | None:
    """What is wrong with the study that *source* is; None where it is no study."""
    return read(source)[1] if is_study(source.data) else None


def read(source: Source) -> tuple[Study | None, list[Mistake]]:
    """The study of a file that is read already, or None and why."""
    if not isinstance(source.data, dict):
        wrong = source.mistakes or [Mistake(*source.marks.value(()), "", "is no study: it holds no keys", "")]
        return None, list(wrong)
    reader = _Reader(source)
    study = reader.read()
    return study, sorted({*source.mistakes, *reader.document.mistakes})


class _Reader:
    """Resolves one study."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.document = Document(source.data, source.marks)

    def read(self) -> Study | None:
        document = self.document
        line, wrong = self._line()
        values = self._grid(self.source.data.get("grid"))
        where = self._where(self.source.data.get("where"), values)
        # Combinations are only as good as what they are made of.
        points = self._points(values, where, line) if not document.mistakes else ()
        base = None if "topology" in wrong else self._topology(line.topology)
        words = self._record(line, base) if "record" not in wrong else frozenset()
        if not wrong & {"record", "plot"}:
            self._references(line, values, words)
        if base is None or document.mistakes:
            return None
        self._try_values(values, points, base)
        facts = self._facts(line, base)
        if document.mistakes:
            return None
        return Study(
            name=line.study,
            question=line.question,
            topology=base.source,
            topology_sha256=base.sha256,
            source=self.source.marks.file,
            seed=base.seed if line.seed is None else line.seed,
            seeds=line.seeds,
            grid=values,
            where=tuple(text for text, _ in where),
            conditions=tuple(condition for _, condition in where),
            points=points,
            repeats=line.repeats,
            until=line.until,
            record=line.record,
            words=words,
            plot=line.plot,
            pareto=None if line.pareto is None else (line.pareto[0], line.pareto[1]),
            answer=line.answer,
            labels=line.labels,
            facts=facts,
        )

    def _line(self) -> tuple[StudyLine, set[str]]:
        """The file's lines, and the keys that are wrong or missing: the others are judged all the same."""
        data = self.source.data
        line = self.document.validate(StudyLine, data, (), self._where_written)
        if line is not None:
            return line, set()
        wrong = {mistake.key.split(".")[0] for mistake in self.document.mistakes} | (_FILLING.keys() - data.keys())
        right = {key: value for key, value in data.items() if key not in wrong}
        return StudyLine.model_validate_json(json.dumps(_FILLING | right), strict=True), wrong

    def _where_written(self, inside: Path, of_key: bool) -> tuple[Place, str]:
        """Places for the validation, which puts the kind of an `answer` into its path."""
        path = (inside[0], *inside[2:]) if len(inside) > 2 and inside[0] == "answer" else inside
        return (self.document.marks.key if of_key else self.document.marks.value)(path), dotted(path)

    # -- the grid ----------------------------------------------------------------------------------

    def _grid(self, given: Any) -> dict[str, tuple[Any, ...]]:
        document = self.document
        keys = document.mapping(("grid",), given)
        if isinstance(given, dict) and not given:
            document.wrong(("grid",), "is empty", "write a key of the topology with its values", key=True)
        if len(keys) > MAX_KEYS:
            document.wrong(("grid",), f"holds {len(keys)} keys, above {MAX_KEYS}", "vary fewer at once", key=True)
            return {}
        found: dict[str, tuple[Any, ...]] = {}
        for key, values in keys.items():
            path: Path = ("grid", key)
            top = key.split(".")[0]
            if top in _NOT_OF_A_GRID:
                document.wrong(path, f"a grid cannot vary `{top}`: {_NOT_OF_A_GRID[top]}", "leave it out", key=True)
                continue
            below = next((other for other in found if other.startswith(f"{key}.")), None)
            if below is not None:
                document.wrong(path, f"would undo '{below}' before it", "write it first, or leave it out", key=True)
            try:
                found[key] = grid.read_values(values)
            except grid.ValuesRefused as refused:
                self._wrong_at((*path, *refused.step), refused.problem, refused.remedy)
        return found

    def _where(self, given: Any, values: Mapping[str, Sequence[Any]]) -> list[tuple[str, conditions.Condition]]:
        document = self.document
        lines = [given] if isinstance(given, str) else document.items(("where",), given)
        found = []
        for index, text in enumerate(lines):
            path: Path = ("where",) if isinstance(given, str) else ("where", index)
            if not isinstance(text, str):
                document.wrong(path, f"{shown(text)} is no condition", "write such as 'workload.interval >= 30s'")
                continue
            try:
                condition = conditions.parse(text, values)
                for key, listed in values.items():  # each value once is enough: what compares is its kind
                    for value in listed:
                        condition.check({name: one[0] for name, one in values.items()} | {key: value})
            except conditions.ConditionRefused as refused:
                document.wrong(path, f"'{text}', column {refused.column}: {refused.problem}", refused.remedy)
                continue
            found.append((text, condition))
        return found

    def _points(
        self,
        values: Mapping[str, Sequence[Any]],
        where: Sequence[tuple[str, conditions.Condition]],
        line: StudyLine,
    ) -> tuple[grid.Point, ...]:
        combinations = 1
        for listed in values.values():
            combinations *= len(listed)
        if combinations > grid.MAX_COMBINATIONS:
            problem = f"comes to {combinations:,} combinations, above the {grid.MAX_COMBINATIONS:,} that are tried"
            self.document.wrong(("grid",), problem, "write fewer values", key=True)
            return ()
        repeats = line.until.max_repeats if line.until else line.repeats
        most = grid.MAX_RUNS // repeats
        try:
            found = tuple(islice(grid.points(values, [condition for _, condition in where]), most + 1))
        except conditions.ConditionRefused as refused:  # of values that are compared at some points only
            self.document.wrong(("where",), refused.problem, refused.remedy, key=True)
            return ()
        if len(found) > most:
            problem = f"comes to more than {grid.MAX_RUNS:,} runs with {repeats:,} repeats of each point"
            self.document.wrong(("grid",), problem, "write fewer values, or fewer repeats", key=True)
        elif not found and values:
            self.document.wrong(
                ("where",), f"excludes all {combinations:,} points of the grid", "let some be left", key=True
            )
        return found

    # -- the topology ------------------------------------------------------------------------------

    def _topology(self, name: str) -> Topology | None:
        path = FilePath(name)
        beside = FilePath(self.source.marks.file).parent / path
        if not beside.is_file():  # a name; or a path, which the loader complains about
            if path.suffix or "/" in name:
                self.document.wrong(("topology",), f"there is no file '{name}'", "write a path from this file's folder")
                return None
            try:
                beside = examples.find(name)
            except UserError as error:
                problem, _, remedy = str(error).partition("; ")
                self.document.wrong(("topology",), problem, remedy)
                return None
        loaded = load_file(beside, (), None)
        self.document.mistakes += loaded.mistakes
        return loaded.topology

    def _try_values(self, values: Mapping[str, Sequence[Any]], points: Sequence[grid.Point], base: Topology) -> None:
        """Every value at the first point that has it; what is wrong there stands at the value in the study."""
        tried: set[tuple[str, str]] = set()
        for point in points:
            new = [(key, canonical(value)) for key, value in point.values.items()]
            new = [one for one in new if one not in tried]
            if not new:
                continue
            tried.update(new)
            loaded = load_point(base.source, point.values)
            for mistake in loaded.mistakes:
                told = self._told_here(mistake, point, values)
                if told not in self.document.mistakes:
                    self.document.mistakes.append(told)

    def _told_here(self, mistake: Mistake, point: grid.Point, values: Mapping[str, Sequence[Any]]) -> Mistake:
        """A mistake of the changed topology, at the value that made it where that is known."""
        key = mistake.file.removeprefix("--set ")
        if mistake.file.startswith("--set ") and key in values:
            path: Path = ("grid", key)
            index = values[key].index(point.values[key])
            if not mistake.key or mistake.problem == "unknown key":  # whatever the value is
                place = self.document.marks.key(path)
            else:
                place = self.document.marks.value((*path, index))
            at = dotted(("grid", key)) if not mistake.key or mistake.key == key else f"grid.{key}: {mistake.key}"
            return replace(mistake, file=place.file, line=place.line, column=place.column, key=at)
        made = ", ".join(f"{name} = {shown(value)}" for name, value in point.values.items())
        place = self.document.marks.key(("grid",))
        where = f"{mistake.file}:{mistake.line}" if mistake.line else mistake.file
        problem = f"with {made}: {where}: {mistake.key}: {mistake.problem}"
        return Mistake(*place, "grid", problem, mistake.remedy)

    # -- what is kept, shown and answered ----------------------------------------------------------

    def _record(self, line: StudyLine, base: Topology | None) -> frozenset[str]:
        known = expectations.Known(
            what_if=None if base is None else tuple(what_if.name for what_if in base.what_if),
            faults=None if base is None else tuple(fault.name for fault in base.faults),
            links=None if base is None else tuple(link.name for link in base.links),
        )
        words = set()
        for index, key in enumerate(line.record):
            path: Path = ("record", index)
            top = key.split(".")[0]
            if top in _NOT_OF_A_RECORD:
                self.document.wrong(path, f"'{key}' is not recorded: {_NOT_OF_A_RECORD[top]}", "leave it out")
                continue
            if key in line.record[:index]:
                self.document.wrong(path, f"'{key}' stands there twice", "keep one of them")
            problem = expectations.key_problem(key, known)
            if problem is not None:
                self.document.wrong(path, f"'{key}': {problem[0]}", problem[1])
            elif expectations.holds_text(key):
                words.add(key)
        return frozenset(words)

    def _references(self, line: StudyLine, values: Mapping[str, Any], words: frozenset[str]) -> None:
        """Keys that stand for others must be among them."""
        amounts = tuple(key for key in line.record if key not in words)
        if line.until is not None:
            self._must_be(("until", "key"), line.until.key, amounts, "a number of the record")
            if line.repeats < 2:
                problem = "needs two repeats to begin with: one run has no spread"
                self.document.wrong(("until",), problem, "write repeats: 4, say", key=True)
            elif line.until.max_repeats < line.repeats:
                problem = f"{line.until.max_repeats} is below `repeats`, {line.repeats}"
                self.document.wrong(("until", "max_repeats"), problem, "write more, or fewer repeats")
        if line.plot is not None:
            self._must_be(("plot", "x"), line.plot.x, values, "a key of the grid")
            self._must_be(("plot", "y"), line.plot.y, amounts, "a number of the record")
            for index, key in enumerate(line.plot.lines):
                at: Path = ("plot", "by") if isinstance(line.plot.by, str) else ("plot", "by", index)
                self._must_be(at, key, values, "a key of the grid")
        for index, key in enumerate(line.pareto or ()):
            self._must_be(("pareto", index), key, amounts, "a number of the record")
        if line.answer is not None and line.plot is None:
            problem = "needs `plot`, whose y it is about"
            self.document.wrong(("answer",), problem, "write plot: {x: ..., y: ...}", key=True)
        if isinstance(line.answer, ComparisonAnswer):
            self._compared(line.answer, values)
        if isinstance(line.answer, BestValueAnswer):
            self._must_be(("answer", "beside"), line.answer.beside, values, "a key of the grid")
            self._must_be(("answer", "cost"), line.answer.cost, amounts, "a number of the record")
            if line.plot is not None:
                for field, taken, other in (("beside", line.plot.x, "grid"), ("cost", line.plot.y, "record")):
                    if getattr(line.answer, field) == taken:
                        problem = f"'{taken}' is what the plot shows already"
                        self.document.wrong(("answer", field), problem, f"write another key of the {other}")
        if isinstance(line.answer, IntervalAnswer) and line.plot is not None:
            for path, wanted, got in (
                (("plot", "x"), "workload.interval", line.plot.x),
                (("plot", "y"), "ettr", line.plot.y),
            ):
                if got != wanted:
                    self.document.wrong(path, f"the answer is about '{wanted}'", f"write {path[-1]}: {wanted}")
            if _STALL not in line.record:
                self.document.wrong(("record",), f"the answer needs '{_STALL}'", "write it too", key=True)

    def _compared(self, answer: ComparisonAnswer, values: Mapping[str, Any]) -> None:
        self._must_be(("answer", "between"), answer.between, values, "a key of the grid")
        if answer.within is not None:
            self._must_be(("answer", "within"), answer.within, values, "a key of the grid")
        if answer.between in values and len(values[answer.between]) != 2:
            problem = f"'{answer.between}' has {len(values[answer.between])} values"
            self.document.wrong(("answer", "between"), problem, "compare two: without, with")
        for field in ("differs", "same"):
            text: str = getattr(answer, field)
            if text.count("{") != text.count("{within}") or text.count("}") != text.count("{within}"):
                problem = "holds a brace that is not of {within}"
                self.document.wrong(("answer", field), problem, "write {within} or none")

    def _facts(self, line: StudyLine, base: Topology) -> dict[str, float]:
        """What the formulas take from the topology: the mean time between failures that stop the job."""
        if not isinstance(line.answer, IntervalAnswer):
            return {}
        rate = 0.0  # a second
        for fault in base.faults:
            if not Fault.registry[fault.kind].stops_job:
                continue
            if fault.total_mean_ps is not None:
                rate += 1e12 / fault.total_mean_ps
            elif fault.mtbf_ps is not None and fault.weibull_shape in (None, 1.0):
                rate += 1e12 * len(fault.targets) / fault.mtbf_ps
        if rate == 0 or getattr(base.workload, "mode", None) != "sync":
            problem = "needs a job that saves synchronously and fails at random (faults with mtbf or total)"
            self.document.wrong(("answer",), problem, f"change {base.source}, or leave the answer out", key=True)
            return {}
        return {"mtti_s": 1 / rate}

    def _must_be(self, path: Path, key: str, known: Any, what: str) -> None:
        if key not in known:
            self.document.wrong(path, f"'{key}' is not {what}", suggest(key, known, "one of"))

    def _wrong_at(self, path: Path, problem: str, remedy: str) -> None:
        self.document.wrong(path, problem, remedy, key=problem == "unknown key")

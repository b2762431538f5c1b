"""Studies as files: what a grid and a `where` mean, and every mistake told at its place."""

from __future__ import annotations

import ast
import json
import operator
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim import cli, examples
from hwsim.studies.sweeps import conditions, grid
from hwsim.studies.sweeps.loading import load, mistakes_of
from hwsim.studies.sweeps.measures import canonical, measure, written
from hwsim.topology.yaml_source import read_bytes, read_file

ROOT = Path(__file__).parent.parent
BROKEN = sorted((Path(__file__).parent / "broken_studies").glob("*.yaml"))
EXPECTED = re.compile(r"^# expect: (\d+:\d+) (.+)$", re.MULTILINE)

# The corpus


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_each_broken_study_is_told_at_the_right_place(
    path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(path.parent)
    expected = EXPECTED.findall(path.read_text(encoding="utf-8"))
    assert expected
    for command in ("check", "sweep"):
        assert cli.status_of([command, path.name]) == 2
        out, err = capsys.readouterr()
        told = [line.removeprefix("hwsim: ") for line in err.splitlines()]
        assert "Traceback" not in out + err
        assert len(told) == len(expected), told
        for place, words in expected:
            assert any(line.startswith(f"{path.name}:{place}: {words}") for line in told), (place, words, told)


def test_all_mistakes_are_told_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(
        "version: 1\nstudy: s\nquestion: q\ntopology: abstract-uniform\n"
        "grid: {workload.interval: [1s, 0s], horizonn: [1s]}\nrecord: [raw.mixed]\nrepeats: 0\n"
    )
    assert cli.status_of(["check", str(path), "--json"]) == 2
    told = [(mistake["line"], mistake["key"]) for mistake in json.loads(capsys.readouterr().out)]
    assert told == [(6, "record.0"), (7, "repeats")]  # what the grid changes is tried once the rest is right
    path.write_text(path.read_text().replace("raw.mixed", "raw.mixed_share").replace("repeats: 0", "repeats: 1"))
    assert cli.status_of(["check", str(path), "--json"]) == 2
    told = [(mistake["line"], mistake["key"]) for mistake in json.loads(capsys.readouterr().out)]
    assert told == [(5, "grid.workload.interval"), (5, "grid.horizonn")]


def test_a_mistake_that_the_grid_makes_elsewhere_names_the_point(tmp_path: Path) -> None:
    path = tmp_path / "study.yaml"
    path.write_text(
        "version: 1\nstudy: s\nquestion: q\ntopology: abstract-uniform\n"
        "grid: {warm_up: [1s, 3000s]}\nrecord: [raw.mixed_share]\n"
    )
    told = mistakes_of(read_file(path))
    assert told is not None
    assert [(mistake.line, mistake.key) for mistake in told] == [(5, "grid.warm_up")]
    path.write_text(
        path.read_text().replace("warm_up: [1s, 3000s]", "devices.d.count: [2, 3], what_if.worst-instant.phase: [9s]")
    )
    told = mistakes_of(read_file(path))
    assert told is not None
    assert len(told) == 1


def test_a_topology_is_no_study(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.status_of(["sweep", str(ROOT / "topologies/quickstart.yaml")]) == 2
    told = capsys.readouterr().err.splitlines()
    assert len(told) == 1
    assert "is no study: it has no `study` and no `grid`; a topology is for hwsim run" in told[0]


def test_topologies_and_studies_are_checked_together(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.status_of(["check", "quickstart", *examples.study_names()]) == 0
    assert capsys.readouterr().out == f"no mistakes in {1 + len(examples.study_names())} files\n"


# Values


@pytest.mark.parametrize(
    ("given_", "values"),
    [
        (["a", 1, True, {"uniform": ["0s", "1s"]}], ("a", 1, True, {"uniform": ["0s", "1s"]})),
        ({"range": [1, 9], "step": 2}, (1, 3, 5, 7, 9)),
        ({"range": [0.1, 0.5], "step": 0.1}, (0.1, 0.2, 0.3, 0.4, 0.5)),
        ({"range": ["20us", "1ms"], "step": "140us"}, (*(f"{n}us" for n in range(20, 1000, 140)), "1ms")),
        ({"range": ["1s", "2s"], "step": "700ms"}, ("1s", "1.7s")),
        ({"log": ["10s", "10min"], "points": 5}, ("10s", "27.8s", "77.5s", "216s", "10min")),
        ({"log": [1, 100], "points": 3}, (1, 10.0, 100)),
        ({"log": ["1s", "1.0001s"], "points": 4}, ("1s", "1.00003s", "1.00007s", "1.0001s")),
    ],
)  # fmt: skip
def test_values_are_listed(given_: Any, values: tuple[Any, ...]) -> None:
    assert grid.read_values(given_) == values


JSON = st.recursive(
    st.one_of(
        st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=5),
        st.sampled_from(["1s", "2s", "1GB", "-5ms", "1Gb/s", "0s", "1e999s", "x"]),
    ),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.sampled_from(["log", "range", "points", "step", "x"]), inner, max_size=3),
    max_leaves=8,
)  # fmt: skip


@given(JSON)
@settings(deadline=None)
def test_values_are_read_or_refused_and_nothing_else_happens(given_: Any) -> None:
    told = ("", "")
    try:
        values = grid.read_values(given_)
    except grid.ValuesRefused as refused:
        values, told = ("refused",), (refused.problem, refused.remedy)
    assert all(told) or not any(told)
    assert 1 <= len(values) <= grid.MAX_VALUES
    assert len({canonical(value) for value in values}) == len(values)


@given(st.integers(1, 10**15), st.integers(2, 10**6), st.integers(2, 60))
@settings(deadline=None)
def test_a_logarithmic_grid_rises_by_equal_ratios_between_its_ends(low: int, factor: int, points: int) -> None:
    ends = [written("duration", low), written("duration", low * factor)]
    if low * factor ** (1 / (points - 1)) < low + 3:  # a picosecond is the least that is told apart
        return
    values = grid.read_values({"log": ends, "points": points})
    amounts = [measure(value).amount for value in values]
    assert (amounts[0], amounts[-1], len(amounts)) == (low, low * factor, points)
    assert amounts == sorted(set(amounts))
    ratio = factor ** (1 / (points - 1))
    for left, right in pairwise(amounts):  # three digits tell apart, and each end is rounded to a picosecond
        assert right / left == pytest.approx(ratio, rel=0.011, abs=0.55 * (1 + ratio) / (left - 0.5))


@given(
    st.dictionaries(
        st.sampled_from("abcd"), st.lists(st.integers(0, 9), min_size=1, max_size=4, unique=True), min_size=1
    )
)
def test_points_are_the_product_in_order_less_what_is_excluded(axes: dict[str, list[int]]) -> None:
    first = next(iter(axes))
    where = [conditions.parse(f"{first} > 3 or not {first} <= 2", axes)]
    found = list(grid.points(axes, where))
    every: list[dict[str, int]] = [{}]
    for key, values in axes.items():
        every = [point | {key: value} for point in every for value in values]
    kept = [point for point in every if point[first] > 2]
    assert [dict(point.values) for point in found] == kept
    assert [point.number for point in found] == list(range(len(kept)))


# Conditions

POINT = {"a": "10s", "b.c-d/e*": 4, "word": "consumer_no_plp", "flag": True}


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("a == 10000ms", True), ("a>=10s", True), ("a < 1min and b.c-d/e* == 4", True), ("not a < 1min", False),
        ("5s < a <= 10s", True), ("5s < a < 10s", False), ("a == 1s or a == 10s and flag == true", True),
        ("(a == 1s or a == 10s) and flag == false", False), ("word == consumer_no_plp", True),
        ("word != 'and'", True), ('word == "consumer_no_plp"', True), ("b.c-d/e* > 3.5", True), ("-1 < b.c-d/e*", True),
        ("not (not (flag == true))", True), ("not not flag == true", True),
    ],
)  # fmt: skip
def test_a_condition_means_what_it_says(text: str, holds: bool) -> None:
    assert conditions.parse(text, POINT).holds(POINT) is holds


@pytest.mark.parametrize(
    ("text", "column"),
    [
        ("", 1), ("a", 2), ("a ==", 5), ("== a", 1), ("a = 10s", 3), ("a == 10s b", 10), ("(a == 10s", 10),
        ("a == 10s)", 9),        ("a == 10s and", 13), ("and", 1), ("a.b == 3", 1), ("3 == 3", 1), ("a == 'x", 6),
        ("(" * 60 + "a == 1s" + ")" * 60, 41), ("not " * 60 + "a == 1s", 161), ("a == 1s or " * 300 + "a == 1s", 1),
    ],
)  # fmt: skip
def test_what_is_no_condition_is_refused_at_its_column(text: str, column: int | None) -> None:
    with pytest.raises(conditions.ConditionRefused) as refused:
        conditions.parse(text, POINT)
    assert refused.value.column == column


def test_what_measures_different_things_is_never_compared() -> None:
    for text in ("a == [1]", "a > 3", "a == 1GB", "word == true", "flag == 1"):
        with pytest.raises(conditions.ConditionRefused, match="cannot be compared"):
            conditions.parse(text, POINT).check(POINT)
    for text in ("word < x", "flag >= false"):
        with pytest.raises(conditions.ConditionRefused, match="neither less nor more"):
            conditions.parse(text, POINT).check(POINT)


@given(st.text(alphabet="ab.01s<>=!()'\" andortfu", max_size=40))
@settings(deadline=None)
def test_any_text_is_a_condition_or_refused(text: str) -> None:
    column = 1
    try:
        found: Any = conditions.parse(text, {"a", "b"}).holds({"a": 1, "b": "0s"})
    except conditions.ConditionRefused as refused:
        found, column = False, refused.column
    assert found in (True, False)
    assert 1 <= column <= len(text) + 1


OPERATORS = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
COMPARISONS = st.tuples(st.sampled_from("xyz"), st.sampled_from(list(OPERATORS)), st.integers(-3, 3)).map(
    lambda found: f"{found[0]} {found[1]} {found[2]}"
)
EXPRESSIONS = st.recursive(
    COMPARISONS,
    lambda inner: (
        st.tuples(inner, st.sampled_from(["and", "or"]), inner).map(" ".join)
        | inner.map(lambda text: f"({text})")
        | inner.map(lambda text: f"not ({text})")
    ),
    max_leaves=8,
)


@given(EXPRESSIONS, st.fixed_dictionaries({name: st.integers(-3, 3) for name in "xyz"}))
@settings(deadline=None)
def test_conditions_agree_with_pythons_own_meaning(text: str, point: dict[str, int]) -> None:
    """Precedence and all: these expressions are Python as well, and its parser is the judge."""
    assert conditions.parse(text, point).holds(point) is truth(ast.parse(text, mode="eval").body, point)


def truth(node: ast.expr, point: dict[str, int]) -> bool:
    match node:
        case ast.BoolOp(ast.And(), values):
            return all(truth(value, point) for value in values)
        case ast.BoolOp(ast.Or(), values):
            return any(truth(value, point) for value in values)
        case ast.UnaryOp(ast.Not(), operand):
            return not truth(operand, point)
        case ast.Compare(ast.Name(name), [sign], [right]):
            by: dict[type, Callable[[int, int], bool]] = {
                ast.Eq: operator.eq, ast.NotEq: operator.ne, ast.Lt: operator.lt, ast.LtE: operator.le,
                ast.Gt: operator.gt, ast.GtE: operator.ge,
            }  # fmt: skip
            return by[type(sign)](point[name], ast.literal_eval(right))
    raise AssertionError(ast.dump(node))


# Whole files


@given(
    st.dictionaries(st.sampled_from(["version", "study", "grid", "where", "record", "until", "plot", "answer"]), JSON)
)
@settings(deadline=None, max_examples=150)
def test_any_study_is_read_or_refused_with_places(changes: dict[str, Any]) -> None:
    data = {
        "version": 1, "study": "s", "question": "q", "topology": str(ROOT / "topologies/abstract-uniform.yaml"),
        "grid": {"workload.interval": ["1s", "2s"]}, "record": ["raw.mixed_share"],
    } | changes  # fmt: skip
    source = read_bytes(json.dumps(data).encode(), "made.yaml")  # JSON is YAML
    told = mistakes_of(source)
    for mistake in told or ():
        assert mistake.problem
        assert mistake.file


def test_the_studies_that_ship_load_and_ask_about_topologies_that_ship() -> None:
    assert examples.study_names() == sorted(path.stem for path in (ROOT / "studies").glob("*.yaml"))
    for name in examples.study_names():
        study = load(examples.find_study(name))
        assert study.name == name
        assert Path(study.topology).stem in examples.names()
        assert study.answer is not None
        assert study.plot is not None

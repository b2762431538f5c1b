"""Expectations: which keys a result can hold, which comparisons fit, and what they say of a result."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.topology.expectations import Known, holds, judge, key_problem, standard_error, value_of, wanted_problem
from hwsim.topology.spec import Expectation

RESULT = {
    "topology": "t",
    "horizon_s": 3600.0,
    "raw": {"method": "exact", "se": 0.01, "uniform_share": 0.84, "distinct": {"1": 0.78, "2": 0.22}},
    "recovered": {"outcomes": {"correct_latest": 1.0}, "unsafe_share": 0.0, "lost_work_s": {"mean": 31.2, "max": 64.0}},
    "what_if": {
        "drive": {"raw": {"se": 0.5, "uniform_share": 0.3}, "recovered": {"unsafe_share": 0.25}, "worst": "n/nvme"}
    },
    "crashes": {"all": {"count": 3, "outcomes": {"correct_latest": 3}}},
    "checkpoints": {"begun": 60, "bound_by": "node0/nvme write", "stall_s": {"mean": 0.3}},
    "links": {"wire": {"sent": 9, "dropped": {"fcs": 2, "dark": 1}}},
    "verdicts": {"agreement": {"value": "holds", "detail": "..."}},
    "ettr": 0.94,
}
KNOWN = Known(what_if=("drive",), faults=("outage",), links=("wire",))


@pytest.mark.parametrize(
    "key",
    ["raw.uniform_share", "raw.at_latest.8", "raw.distinct.2", "recovered.outcomes.silent_mixed",
     "recovered.unsafe_share", "recovered.lost_work_s.max", "what_if.drive.raw.mixed_share", "what_if.drive.worst",
     "crashes.all.count", "crashes.outage.outcomes.hang", "checkpoints.commit_latency_s.p99", "checkpoints.bound_by",
     "ettr", "links.wire.dropped.fcs", "links.wire.dropped", "messages.per_checkpoint", "verdicts.agreement.value",
     "explore.violations", "hwsim.seed", "recovered.best_case.unsafe_share", "recovered.undecided_share"],
)  # fmt: skip
def test_keys_that_a_result_can_hold(key: str) -> None:
    assert key_problem(key, KNOWN) is None


@pytest.mark.parametrize(
    ("key", "words"),
    [
        ("raw.unifrom_share", "did you mean 'raw.uniform_share'"),
        ("recoverd.unsafe_share", "did you mean 'recovered'"),
        ("recovered.outcomes.silent_mix", "silent_mixed"),
        ("what_if.drves.recovered.unsafe_share", "did you mean 'drive'"),
        ("what_if.drive", "more keys"),
        ("crashes.fire.count", "no fault 'fire'"),
        ("raw.distinct.two", "no bucket"),
        ("raw.uniform_share.mean", "holds no 'mean'"),
        ("links.wires.sent", "did you mean 'wire'"),
        ("nothing", "a result holds"),
        ("", "a result holds"),
        ("explore", "more keys"),
        ("explore.flip", "did you mean 'explore.flips'"),
        ("raw", "more keys"),
    ],
)
def test_keys_that_no_result_can_hold(key: str, words: str) -> None:
    problem = key_problem(key, KNOWN)
    assert problem is not None
    assert words in "; ".join(problem)


@pytest.mark.parametrize(
    ("key", "wanted"),
    [("raw.uniform_share", "== 0.84 +- 4se"), ("raw.uniform_share", "in [0, 1]"), ("raw.uniform_share", ">= 1e-3"),
     ("checkpoints.bound_by", "== node0/nvme write"), ("what_if.drive.worst", "!= node1/nvme"), ("explore.x", "== 3"),
     ("raw.uniform_share", "== 0.5 ± 0.1"), ("verdicts.agreement.value", "== holds")],
)  # fmt: skip
def test_comparisons_that_fit(key: str, wanted: str) -> None:
    assert wanted_problem(key, wanted) is None


@pytest.mark.parametrize(
    ("key", "wanted"),
    [("raw.uniform_share", "0.84"), ("raw.uniform_share", "= 0.84"), ("raw.uniform_share", "== high"),
     ("raw.uniform_share", "> high"), ("raw.uniform_share", "in [1, 0]"), ("raw.uniform_share", "in [a, 1]"),
     ("raw.uniform_share", "> 0.8 +- 0.1"), ("raw.uniform_share", "== 0.8 +- x"), ("raw.uniform_share", "=="),
     ("raw.uniform_share", "== 0.8 +- -1"), ("checkpoints.bound_by", "> 3"), ("checkpoints.bound_by", "in [0, 1]"),
     ("raw.uniform_share", ""), ("checkpoints.commit_latency_s.mean", "< 14s"),
     ("ettr", "== 0.9 +- 4se")],
)  # fmt: skip
def test_comparisons_that_do_not_fit(key: str, wanted: str) -> None:
    problem = wanted_problem(key, wanted)
    assert problem is not None
    assert "write" in problem[1] or "swap" in problem[1]


@pytest.mark.parametrize(
    ("key", "wanted", "verdict"),
    [
        ("raw.uniform_share", "== 0.84", True),
        ("raw.uniform_share", "!= 0.84", False),
        ("raw.uniform_share", "< 0.84", False),
        ("raw.uniform_share", "<= 0.84", True),
        ("raw.uniform_share", "> 0.83", True),
        ("raw.uniform_share", ">= 0.85", False),
        ("raw.uniform_share", "== 0.87 +- 4se", True),  # 0.03 away, 4 standard errors are 0.04
        ("raw.uniform_share", "== 0.89 +- 4se", False),
        ("raw.uniform_share", "== 0.8 +- 0.05", True),
        ("raw.uniform_share", "in [0.8, 0.84]", True),
        ("raw.uniform_share", "in [0.85, 0.9]", False),
        ("raw.distinct.2", "== 0.22", True),
        ("raw.distinct.7", "== 0", True),  # an absent bucket is 0
        ("recovered.outcomes.silent_mixed", "== 0", True),  # an absent count is 0
        ("recovered.outcomes.silent_mixed", "> 0", False),
        ("crashes.outage.count", "== 0", True),
        ("checkpoints.commit_latency_s.mean", "== 0", False),  # a mean of nothing does not exist
        ("checkpoints.commit_latency_s.mean", "< 5", False),
        ("checkpoints.bound_by", "== node0/nvme write", True),
        ("checkpoints.bound_by", "!= node0/nvme write", False),
        ("what_if.drive.worst", "== node0/nvme", False),
        ("verdicts.agreement.value", "== holds", True),
        ("verdicts.other.value", "== holds", False),
        ("links.wire.dropped", "== 3", True),
        ("links.wire.dropped.fcs", "== 2", True),
        ("links.wire.dropped.jam", "== 0", True),
        ("what_if.drive.raw.uniform_share", "== 1 +- 2se", True),  # the scope's own standard error: 0.5
    ],
)
def test_what_a_comparison_says_of_a_result(key: str, wanted: str, verdict: bool) -> None:
    (judged,) = judge([Expectation(key, wanted)], RESULT)
    assert judged == {"key": key, "wanted": wanted, "got": value_of(key, RESULT), "holds": verdict}


def test_keys_of_explore_are_judged_by_explore_only() -> None:
    lines = [Expectation("explore.violations", "== 0"), Expectation("ettr", "> 0.9")]
    assert [line["key"] for line in judge(lines, RESULT)] == ["ettr"]
    assert [line["holds"] for line in judge(lines, RESULT | {"explore": {"violations": 1}})] == [False, True]


def test_a_standard_error_that_is_not_stated_bears_nothing_out() -> None:
    assert standard_error("raw.distinct.2", RESULT) == 0.01
    assert standard_error("ettr", RESULT) is None
    assert standard_error("ettr", {"ettr": 1.0}) is None
    assert not holds("== 1 +- 4se", 1.0, None)
    assert holds("== 1 +- 4se", 1.0, 0.0)


def test_rounding_of_floats_is_no_difference_and_a_microsecond_of_a_day_is() -> None:
    assert holds("== 0.3", 0.1 + 0.2)
    assert not holds("> 0.3", 0.1 + 0.2)
    assert holds("> 0", 1e-6 / 86400)
    assert not holds("== 0", 1e-6 / 86400)


@pytest.mark.parametrize("got", [None, "text", True, float("nan"), float("inf"), [], {}])
def test_what_is_no_number_holds_no_comparison_of_numbers(got: object) -> None:
    for wanted in ("== 0", "> -1", "< 1", "in [0, 1]", "== 0 +- 1"):
        assert not holds(wanted, got, 1.0)


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6))
def test_comparisons_agree_with_each_other(got: float, bound: float) -> None:
    equal, less, more = (holds(f"{operator} {bound!r}", got) for operator in ("==", "<", ">"))
    assert [equal, less, more].count(True) == 1
    assert holds(f"!= {bound!r}", got) is not equal
    assert holds(f"<= {bound!r}", got) is (less or equal)
    assert holds(f">= {bound!r}", got) is (more or equal)


@given(st.text(max_size=30), st.text(max_size=30))
def test_no_text_makes_it_fail(key: str, wanted: str) -> None:
    if key_problem(key, KNOWN) is None:
        wanted_problem(key, wanted)
    holds(wanted, 0.5, 0.1)
    value_of(key, RESULT)

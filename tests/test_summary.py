"""The summary says what the result says, in plain words, and fits a terminal."""

from __future__ import annotations

import re
import sys
from io import StringIO
from typing import Any

import pytest
import report_samples
from hypothesis import given
from hypothesis import strategies as st

from hwsim.report import summary, words


@pytest.fixture(scope="module")
def result() -> dict[str, Any]:
    return report_samples.result()


def changed(result: dict[str, Any], **outcomes: float) -> dict[str, Any]:
    """The result with these outcomes under the default crash, and what follows from them."""
    unsafe = sum(share for name, share in outcomes.items() if name in words.UNSAFE)
    recovered = {**result["recovered"], "outcomes": outcomes, "unsafe_share": unsafe, "unprotected_share": 0.0}
    return {**result, "recovered": recovered, "what_if": {}}


def test_it_fits_80_columns_and_speaks_of_checkpoints(result: dict[str, Any]) -> None:
    told = summary.text(result, report_samples.topology())
    assert max(map(len, told.splitlines())) <= 80
    assert "epoch" not in told
    assert "\x1b" not in told
    for said in ("Not safe", "34.1%", "UNNOTICED", "What binds", "node1/nvme", "UNMET", "warning:", "assumption"):
        assert said in told, said


def test_it_needs_no_topology(result: dict[str, Any]) -> None:
    assert "sample" in summary.text(result)
    assert "sample" in summary.markdown(result)


def test_plain_is_ascii(result: dict[str, Any]) -> None:
    summary.text(result, report_samples.topology(), plain=True).encode("ascii")


def test_colour_only_adds(result: dict[str, Any]) -> None:
    plain = summary.text(result, report_samples.topology())
    coloured = summary.text(result, report_samples.topology(), colour=True)
    assert coloured != plain
    assert re.sub(r"\x1b\[\d+m", "", coloured) == plain


class Terminal(StringIO):
    """A stream that says it is a terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("variables", "terminal", "coloured"),
    [({}, True, True), ({"NO_COLOR": "1"}, True, False), ({"TERM": "dumb"}, True, False), ({}, False, False)],
)
def test_colour_is_for_terminals_that_want_it(
    result: dict[str, Any], variables: dict[str, str], terminal: bool, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    stream = Terminal() if terminal else StringIO()
    monkeypatch.setattr(sys, "stdout", stream)
    summary.show(result)
    assert ("\x1b[" in stream.getvalue()) is coloured


def test_the_headline_follows_the_result(result: dict[str, Any]) -> None:
    assert words.verdict(changed(result, correct_latest=1.0)).level == "good"
    assert words.verdict(changed(result, correct_latest=0.5, silent_mixed=0.5)).level == "bad"
    gap = changed(result, correct_latest=1.0)
    gap["recovered"]["unprotected_share"] = 0.1
    assert words.verdict(gap).level == "warn"
    never = {**changed(result, correct_latest=1.0), "checkpoints": {"begun": 3, "committed": 0}}
    assert words.verdict(never).title.startswith("No checkpoint")
    elsewhere = {**changed(result, correct_latest=1.0), "what_if": result["what_if"]}
    assert words.verdict(elsewhere).level == "warn"
    assert "one-drive" in words.verdict(elsewhere).sentence


def test_nothing_everywhere_is_not_called_a_checkpoint(result: dict[str, Any]) -> None:
    told = summary.text({**changed(result, silent_restart=1.0), "raw": {"uniform_share": 1.0}})
    assert "the same everywhere: nothing" in told
    assert words.RAW["uniform"] not in told


@pytest.mark.parametrize("outcome", words.OUTCOMES)
def test_every_outcome_has_words(outcome: str, result: dict[str, Any]) -> None:
    told = summary.text(changed(result, **{outcome: 1.0}))
    assert words.OUTCOMES[outcome] in told
    assert "_" not in outcome or outcome not in told


def test_markdown_has_whole_tables(result: dict[str, Any]) -> None:
    told = summary.markdown({**result, "topology": "a|b_c"}, report_samples.topology())
    assert "a\\|b\\_c" in told
    for block in told.split("\n\n"):
        rows = [line for line in block.splitlines() if line.startswith("|")]
        cells = [len(re.findall(r"(?<!\\)\|", row)) for row in rows]
        assert len(set(cells)) <= 1, block
    assert not told.endswith("\n")


def test_a_bare_result_is_enough() -> None:
    bare = {
        "hwsim": {"version": "0", "topology_sha256": "0" * 64, "seed": 1}, "topology": "bare", "horizon_s": 1.0,
        "raw": {"uniform_share": 1.0}, "recovered": {
            "outcomes": {"correct_latest": 1.0}, "unsafe_share": 0.0, "unprotected_share": 0.0, "lost_work_s": {}},
    }  # fmt: skip
    assert "Safe" in summary.text(bare)
    assert "Safe" in summary.markdown(bare)


def test_means_over_timelines_read_well(result: dict[str, Any]) -> None:
    thirds = {**result, "checkpoints": {**result["checkpoints"], "begun": 28 / 3, "skipped": 1 / 3}}
    thirds["messages"] = {"sent": 100 / 3, "delivered": 30.0, "dropped": {"loss": 10 / 3}}
    thirds["crashes"] = {"all": {"count": 4 / 3, "outcomes": {"refused": 4 / 3}, "lost_work_s": {}}}
    for told in (summary.text(thirds), summary.markdown(thirds)):
        assert "9.33333 checkpoints" in told
        assert "33333333" not in told


@given(st.floats(0, 1))
def test_a_share_never_reads_as_nought_or_all_unless_it_is(share: float) -> None:
    told = words.percent(share)
    assert (told == "0%") == (share == 0)
    assert (told == "100%") == (share == 1)
    assert len(told) <= 7
    if "<" not in told and ">" not in told:
        assert float(told.rstrip("%")) / 100 == pytest.approx(share, abs=0.00051)


@pytest.mark.parametrize(
    ("seconds", "told"),
    [(0, "0 s"), (5e-6, "5 us"), (0.0123, "12.3 ms"), (1, "1 s"), (31.24, "31.2 s"), (119, "119 s"), (600, "10 min"),
     (3600, "1 h"), (5400, "1.5 h"), (86400, "24 h"), (864000, "10 d")],
)  # fmt: skip
def test_durations_read_well(seconds: float, told: str) -> None:
    assert words.duration(seconds) == told


@given(st.floats(1e-9, 1e9))
def test_durations_are_right_to_three_figures(seconds: float) -> None:
    number, unit = words.duration(seconds).split()
    factor = {"ns": 1e-9, "us": 1e-6, "ms": 1e-3, "s": 1, "min": 60, "h": 3600, "d": 86400}[unit]
    assert float(number) * factor == pytest.approx(seconds, rel=6e-3)


def test_sizes_and_rates() -> None:
    assert words.size(13_100_000_000) == "13.1 GB"
    assert words.size(12) == "12 B"
    assert words.rate(32_000_000_000) == "4 GB/s"

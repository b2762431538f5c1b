"""`hwsim link`: the table in three forms, and the check's answer, exit status and order."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from hwsim.bilateral import mutations
from hwsim.bilateral.table import ACTS, TABLE, WRITES, Event, State
from hwsim.bilateral.variants import LINK, TREE, Variant
from hwsim.cli import status_of
from hwsim.studies import link_check

README = (Path(__file__).parent.parent / "README.md").read_text()


def said(capsys: pytest.CaptureFixture[str], *arguments: str) -> tuple[int, str]:
    status = status_of(["link", *arguments])
    return status, capsys.readouterr().out


def test_the_grid_names_every_event_and_state(capsys: pytest.CaptureFixture[str]) -> None:
    status, out = said(capsys, "table")
    assert status == 0
    assert all(event in out for event in Event)
    assert all(state.upper() in out for state in State)


def test_markdown_has_every_row_write_and_act(capsys: pytest.CaptureFixture[str]) -> None:
    _, out = said(capsys, "table", "--format", "markdown")
    cells = re.findall(r"^\| (\S+) \|", out, flags=re.M)
    assert {row.name for row in TABLE} | WRITES.keys() | ACTS.keys() <= set(cells)
    widths = [len(re.findall(r"(?<!\\)\|", line)) for line in out.splitlines() if line]
    assert set(widths[: len(TABLE) + 2]) == {7}


def test_the_graph_leads_where_the_table_does(capsys: pytest.CaptureFixture[str]) -> None:
    _, out = said(capsys, "table", "--format", "dot")
    edges = dict(re.findall(r'^  (\w+ -> \w+) \[label="(.*)"\];$', out, flags=re.M))
    assert "offered" in edges["ready -> offered"].split("\\n")
    assert "offer_accepted" in edges["ready -> wait"].split("\\n")
    assert "taken_confirms" in edges["offered -> ready"].split("\\n")
    assert "fenced -> ready" not in edges
    assert out.startswith("digraph")
    assert out.rstrip().endswith("}")


def test_the_readme_shows_what_the_check_prints(monkeypatch: pytest.MonkeyPatch) -> None:
    section = README.partition("## The bilateral link")[2]
    shown = section.partition("prints (shortened")[2].partition("\nThe checker's")[0]
    lines = [plain(line) for line in shown.splitlines()[1:] if line.strip() and line.strip() != "..."]
    assert len(lines) > 20
    # only what the README shows is searched again
    monkeypatch.setattr(link_check, "QUICK", tuple(one for one in link_check.QUICK if shows(lines, one.name)))
    monkeypatch.setattr(link_check, "LINK", tuple(one for one in LINK if shows(lines, one.name)))
    monkeypatch.setattr(link_check, "TREE", tuple(one for one in TREE if shows(lines, one.name)))
    monkeypatch.setattr(link_check, "EVERY", 1000)
    printed = iter([plain(line) for line in link_check.render(link_check.run()).splitlines()])
    for line in lines:  # in this order, with others between, perhaps cut short
        assert any(other.startswith(line) for other in printed), line


def test_the_readme_counts_the_changes_of_the_table_that_there_are() -> None:
    why = [mutations.harmless(mutant) for mutant in mutations.mutants()]
    caught, unreached = why.count(None), why.count(mutations.UNREACHED)
    harmless = len(why) - caught - unreached
    wanted = f"{len(why)} single changes .* {caught} are caught; {harmless} do no harm.* {unreached} change rows"
    assert re.search(wanted, " ".join(README.split()))


def shows(lines: list[str], name: str) -> bool:
    return any(line.startswith(f"{name} ") for line in lines)


def plain(line: str) -> str:
    return re.sub(r"\d+\.\d\d", "S", " ".join(line.split()))


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_check, "QUICK", link_check.QUICK[:1])
    monkeypatch.setattr(link_check, "LINK", LINK[:2])
    monkeypatch.setattr(link_check, "TREE", TREE[-1:])
    monkeypatch.setattr(link_check, "MISTAKES", link_check.MISTAKES[:3])
    monkeypatch.setattr(link_check, "EVERY", 1000)


@pytest.mark.usefixtures("small")
def test_the_check_prints_what_it_found(capsys: pytest.CaptureFixture[str]) -> None:
    status, out = said(capsys, "check")
    assert status == 0
    assert "2,424" in out
    assert "as many as an independent model" in out
    assert re.search(r"^V1 .* I4 +6 ", out, flags=re.M)
    assert "A offers T" in out
    assert "All is as it must be" in out
    assert "\n| V1 |" in said(capsys, "check", "--format", "markdown")[1]


@pytest.mark.usefixtures("small")
def test_the_check_as_json_holds_traces(capsys: pytest.CaptureFixture[str]) -> None:
    status, out = said(capsys, "check", "--json")
    result = json.loads(out)
    assert (status, result["off"]) == (0, [])
    assert [found["name"] for found in result["variants"]] == ["V1", "V2", "W7"]
    assert len(result["variants"][0]["trace"]) == 7


@pytest.mark.usefixtures("small")
def test_a_variant_that_is_not_caught_a_broken_search_and_a_wrong_count_are_off(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    good = link_check.QUICK[0]
    busy = link_check.Search("busy for ever", link_check.Setting(answers=("busy",)))
    wrong = link_check.Search("another count", good.setting, 2_425)
    blind = Variant("V0", "nothing", "nothing is wrong", ("I4",), lambda: link_check.explore("x", good.setting))
    monkeypatch.setattr(link_check, "QUICK", (busy, wrong))
    monkeypatch.setattr(link_check, "LINK", (blind,))
    code = link_check.reboots.CODES[0]
    monkeypatch.setattr(link_check, "MISTAKES", ((code, code),))
    status, out = said(capsys, "check")
    assert status == 1
    for line in ("busy for ever: progress is broken", "another count: 2424 states", "V0 is not caught",
                 "RETURNED(0) read as RETURNED(0) after a reboot does no harm"):  # fmt: skip
        assert f"OFF: {line}" in out
    assert "busy for ever breaks progress:" in out

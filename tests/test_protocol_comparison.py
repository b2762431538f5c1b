"""Every protocol's figures beside their closed forms, on one small topology; and what a comparison tells its user."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from hwsim import cli, examples, output
from hwsim.errors import UserError
from hwsim.explore import explore
from hwsim.report import comparison as told
from hwsim.report import html, words
from hwsim.studies import closed_forms as forms
from hwsim.studies import comparison
from hwsim.studies.comparison import compare, contender
from hwsim.topology import load
from hwsim.topology.spec import Topology

N, CHECKPOINTS = 6, 300
D, M = 0.010, 0.005  # s: a message, a record
WINDOW = 0.2
TOPOLOGY = """\
version: 1
name: side-by-side
description: Ranks that save at random, and a line of links.
seed: 12
horizon: {seconds}s
warm_up: 1s
devices:
  d: {{kind: abstract, count: {ranks}, persist: {persist}}}
links:
  - {{from: "d*", to: "d*", spread: line, kind: bilateral, rate: 10Gb/s, delay: 100ns, beacon: 1h, retransmit: 1s,
     nv: {{write: 1us, word: 128B}}}}
workload:
  kind: checkpoint
  interval: 1s
  mode: async
  shards:
    - {{to: "d*"}}
protocol: {protocol}
"""
SETTINGS = (
    "protocol.message_delay=10ms",
    "protocol.manifest.persist=5ms",
    "protocol.log.persist=5ms",
    "protocol.every={exponential: 500ms}",
)


def written(folder: Path, persist: str, protocol: str = "{kind: in_place}", ranks: int = N, seconds: int = 0) -> Path:
    path = folder / "side-by-side.yaml"
    seconds = seconds or CHECKPOINTS + 1
    text = TOPOLOGY.format(persist=persist, protocol=protocol, ranks=ranks, seconds=seconds)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("uniform"), "{uniform: [0s, 200ms]}")


@pytest.fixture(scope="module")
def result(path: Path) -> Mapping[str, Any]:
    return compare(path, SETTINGS).result


# Messages of a checkpoint; what comes to the slowest save, s; mixed recoveries as a multiple of those in place
EXPECTED = {
    "in_place": (0, 0, 1),
    "manifest": (N, D + M, 0),
    "manifest_replicated": (N, D + M, 0),
    "two_phase": (4 * N, 2 * D + 2 * M, 0),
    "two_versions": (0, 0, 0),
    "chandy_lamport": (N * (N - 1) + N, None, 0),  # between bounds
    "tree_convergence": (2 * (N - 1), 0, 0),
    "bilateral_pairwise": (0, 0, None),  # less than in place
}
NOT_HERE = {"memory_replicas"}  # what a rank holds is no memory here: tests/test_memory_replicas.py


def test_the_table_has_every_protocol_there_is(result: Mapping[str, Any]) -> None:
    assert set(result["protocols"]) | set(result["left_out"]) == set(comparison.names())
    assert set(result["left_out"]) == NOT_HERE
    assert set(result["protocols"]) <= set(EXPECTED)


@pytest.mark.parametrize("name", [name for name in comparison.names() if name not in NOT_HERE])
def test_messages_latency_mixes_and_rollback_are_those_of_the_closed_forms(
    name: str, result: Mapping[str, Any]
) -> None:
    one, in_place = result["protocols"][name], result["protocols"]["in_place"]
    messages, fixed, mixed = EXPECTED[name]
    assert one["messages_per_checkpoint"] == messages

    latency = one["checkpoints"]["commit_latency_s"]["mean"]
    greatest, variance = WINDOW * N / (N + 1), WINDOW**2 * N / ((N + 1) ** 2 * (N + 2))
    within = 4 * math.sqrt(variance / CHECKPOINTS)
    if fixed is None:  # a save begins with the first marker; its channels' part is known with the last
        assert greatest + D + M - within < latency < greatest + 2 * D + 2 * M + D + within
    else:
        assert abs(latency - greatest - fixed) < within

    share = WINDOW * (N - 1) / (N + 1)  # E[max X - min X]/T
    range_variance = WINDOW**2 * 2 * (N - 1) / ((N + 1) ** 2 * (N + 2))
    assert abs(in_place["raw"]["mixed_share"] - share) < 4 * math.sqrt(range_variance / CHECKPOINTS)
    unsafe = one["recovered"]["unsafe_share"]
    if mixed is None:
        assert 0 < unsafe < in_place["recovered"]["unsafe_share"]
    else:
        assert unsafe == mixed * in_place["raw"]["mixed_share"]

    if not unsafe:  # half an interval, and what came before the acknowledgement
        lost = one["recovered"]["lost_work_s"]["mean"]
        assert lost == pytest.approx(0.5 + latency, abs=4 * math.sqrt(variance / CHECKPOINTS))


@pytest.mark.parametrize("name", ["manifest", "two_phase"])
def test_latency_of_exponential_saves_grows_as_the_harmonic_number(name: str, tmp_path: Path) -> None:
    tau = 0.02
    found = compare(written(tmp_path, "{exponential: 20ms}"), SETTINGS, protocols=[name]).result
    latency = found["protocols"][name]["checkpoints"]["commit_latency_s"]["mean"]
    variance = tau**2 * sum(1 / k**2 for k in range(1, N + 1))
    expected = tau * forms.harmonic(N) + (EXPECTED[name][1] or 0)
    assert abs(latency - expected) < 4 * math.sqrt(variance / CHECKPOINTS)


@pytest.mark.parametrize("name", [name for name in comparison.names() if name not in NOT_HERE])
def test_in_place_is_mixed_at_n_minus_1_of_n_plus_1_prefixes_and_the_sound_ones_flip_once(
    name: str, path: Path
) -> None:
    """E1.7, enumerated: C2 is true of what the domains hold, and false of what recovery makes of it."""
    topology, _ = contender(path, SETTINGS, None, name, load(path))
    assert isinstance(topology, Topology)
    seen = explore(topology, budget=1, jobs=1, reproduce=False).result["explore"]
    if name == "in_place":
        assert (seen["prefixes"], seen["mixed_prefixes"]) == (N + 1, N - 1)
        assert seen["flips"] > 1
    elif name == "bilateral_pairwise":
        assert seen["mixed_prefixes"] > 0
    else:
        assert (seen["mixed"], seen["flips"]) == (0, 1)
        assert seen["raw_mixed"] >= N - 1, "the media are as mixed as ever"


# What dies


def test_a_death_delays_by_what_it_must(tmp_path: Path) -> None:
    """Away for T, then a checkpoint T later: 3T + C/2 after the last one instead of T, for it died at C/2."""
    path = written(tmp_path, "100ms", seconds=20)
    found = compare(path, SETTINGS).result["protocols"]
    latency = {"in_place": 0.1, "two_versions": 0.1, "manifest": 0.1 + D + M}
    for name, c in latency.items():
        death = found[name]["deaths"]["rank"]
        asks = 2 * D if name == "two_versions" else 0  # its ranks tell each other what they hold
        assert death["delay_s"] == pytest.approx(2 + c / 2 + asks, abs=1e-9), name
        assert (death["of"], death["in_doubt_s"]) == (f"d{N - 1}", 0)
    assert "coordinator" not in found["in_place"]["deaths"]
    assert found["in_place"]["deaths"]["rank"]["outcome"] == "correct_latest"  # it died before any had saved
    assert found["manifest"]["deaths"]["coordinator"]["of"] == "d0"
    doubt = found["two_phase"]["deaths"]
    assert doubt["coordinator"]["in_doubt_s"] == 1  # from then on until it is back
    assert doubt["rank"]["in_doubt_s"] == 0  # who lives can ask
    # from the promise of the coordinator's own rank, which hears at once, to what the others heard: three messages (be
    # asked, vote, hear) and two records (the decision, and that it was heard)
    assert found["two_phase"]["in_doubt_share"] == pytest.approx(3 * D + 2 * M, abs=1e-9)


def test_every_protocol_goes_on_after_a_death_on_the_topology_that_ships() -> None:
    """Its shards have copies in a neighbour's memory, which die with the neighbour."""
    path = examples.find("protocols-side-by-side")
    base = load(path)
    for name in comparison.names():
        topology, _ = contender(path, [], None, name, base)
        assert isinstance(topology, Topology), name
        for role, death in comparison.deaths(topology).items():
            assert death["delay_s"] is not None, (name, role)
            quiet = role == "links" and name in ("in_place", "two_versions")
            assert (death["delay_s"] == 0) == quiet, (name, role)
            wrong = name in ("in_place", "memory_replicas") and role != "links"
            assert (death["outcome"] in words.UNSAFE) == wrong, (name, role, death)


def test_without_a_commit_nothing_can_die_in_it(tmp_path: Path) -> None:
    found = compare(written(tmp_path, "30s", seconds=8), protocols=["in_place"]).result
    assert found["protocols"]["in_place"]["deaths"] == {}
    assert "–" in told.text(found)
    html.embedded(found)


# What a user meets


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("small"), "{uniform: [0s, 200ms]}", ranks=3, seconds=20)


def test_what_cannot_run_is_named_with_the_reason(small: Path) -> None:
    left = compare(small).result["left_out"]
    assert "message_delay" in left["manifest"]
    assert "no copy in memory" in left["memory_replicas"]
    with pytest.raises(UserError, match=r"none of these protocols can run on it:\n  manifest: no link"):
        compare(small, protocols=["manifest"])
    with pytest.raises(UserError, match=r"no protocol is called 'paxos'; write all, or some of .*two_phase"):
        compare(small, protocols=["in_place", "paxos"])


def test_mistakes_are_told_as_ever(small: Path) -> None:
    for wrong in ("protocol.mesage_delay=1ms", "horizon=3", "protocol.message_delay=3"):
        with pytest.raises(UserError, match=f"^--set {wrong.partition('=')[0]}"):
            compare(small, [wrong])


def test_the_topology_s_own_keeps_its_parameters_and_others_take_what_they_know(tmp_path: Path) -> None:
    path = written(tmp_path, "100ms", "{kind: manifest, message_delay: 10ms, keep: 3, coordinator: d1}", seconds=10)
    base = load(path)
    own, two = (contender(path, [], None, name, base)[0] for name in ("manifest", "two_phase"))
    assert isinstance(own, Topology)
    assert isinstance(two, Topology)
    assert own.protocol == base.protocol
    assert (two.protocol.keep, two.coordinator) == (3, "d1")
    copies, made = contender(path, [], None, comparison.REPLICATED, base)
    assert isinstance(copies, Topology)
    assert copies.protocol.manifest.to == ("d0", "d1", "d2") == tuple(made["protocol.manifest.to"])


def test_cases_of_the_topology_do_not_stand_in_the_way(small: Path, tmp_path: Path) -> None:
    path = tmp_path / "cases.yaml"
    more = "cases:\n  renamed: {set: {protocol.replace: rename}, expect: {recovered.unsafe_share: '> 0'}}\n"
    path.write_text(small.read_text() + more + "expect: {recovered.unsafe_share: '> 0'}\n")
    assert set(compare(path, SETTINGS[:1], protocols=["manifest"]).result["protocols"]) == {"manifest"}


def test_too_many_markers_are_not_sent_unless_they_are_asked_for(small: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(comparison, "_MOST_MARKERS", 10)
    chosen = ["chandy_lamport"]
    assert "--protocols" in compare(small, SETTINGS).result["left_out"]["chandy_lamport"]
    assert set(compare(small, SETTINGS, protocols=chosen).result["protocols"]) == set(chosen)


def test_it_says_the_same_as_text_markdown_and_page(result: Mapping[str, Any]) -> None:
    text, markdown, page = told.text(result), told.markdown(result), told.page(result)
    assert max(map(len, text.splitlines())) <= 80
    assert "epoch" not in text
    prose = " ".join(re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL).split())
    for name in result["protocols"]:
        assert name in text
        assert name.replace("_", "\\_") in markdown
        assert name in prose
    share = result["protocols"]["in_place"]["recovered"]["unsafe_share"]
    assert all(f"{share:.1%}" in said for said in (text, markdown, prose))
    assert re.search(r"^! in_place \* ", text, re.MULTILINE)
    rows = [line for line in markdown.splitlines() if line.startswith("|")]
    assert len(rows) == 3 * (2 + len(result["protocols"]))
    assert len({line.count("|") for line in rows}) > 1
    assert told.page({**result, "wall_s": 1e9}) == page


def test_the_plot_is_one_that_plotly_takes_and_names_cannot_break_out(result: Mapping[str, Any]) -> None:
    from plotly.graph_objects import Figure

    page = told.page({**result, "topology": "</script><b>", "description": "<i>"})
    match = re.search(r'<script id="figures" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert match
    trade = json.loads(match[1])["trade"]
    Figure(trade)
    assert {one["name"] for one in trade["data"]} == set(result["protocols"])
    assert "</script><b>" not in page
    assert "<i>" not in page


def test_nothing_is_safe_where_nothing_is(result: Mapping[str, Any]) -> None:
    only = {**result, "protocols": {"in_place": result["protocols"]["in_place"]}}
    assert told.verdict(only).level == "bad"
    assert "5 of 6" not in told.text(only)


def test_the_command(small: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    asked = ["compare", str(small), "--set", SETTINGS[0], "--protocols", "in_place, manifest"]
    assert cli.status_of(asked) == 0
    shown = capsys.readouterr().out.splitlines()
    folder = Path("hwsim-out/side-by-side-compare-12")
    assert shown[-1] == f"{folder}/"
    assert {path.name for path in folder.iterdir()} == {output.RESULT, output.REPORT}
    assert cli.status_of([*asked, "--strict"]) == 1  # in_place goes wrong
    assert cli.status_of([*asked[:-1], "manifest", "--strict"]) == 0
    capsys.readouterr()
    assert cli.status_of([*asked, "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    again = json.loads((folder / output.RESULT).read_text())
    assert found == again
    assert list(found["protocols"]) == ["in_place", "manifest"]
    assert cli.status_of([*asked, "--format", "markdown"]) == 0
    assert capsys.readouterr().out.startswith("## side-by-side: commit protocols")
    assert cli.status_of(["compare", str(small), "--protocols", "paxos"]) == 2
    assert "paxos" in capsys.readouterr().err

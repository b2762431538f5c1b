"""Bilateral links as a topology has them: what it may write, what a run then says, and the five that ship."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from hwsim import answers
from hwsim.cli import status_of
from hwsim.report import html, links, summary
from hwsim.topology import check, load, load_cases
from hwsim.topology.spec import Topology

ROOT = Path(__file__).parent.parent
SHIPPED = ["link-pair", "link-lossy", "link-crash-storm", "ring-of-cells", "two-generals"]
LINK = "kind: bilateral, rate: 10Gb/s, delay: 1us, beacon: 50us, retransmit: 20us"
PLAIN = f"""\
version: 1
horizon: 2ms
devices:
  cell: {{kind: nic, count: 2, nv: {{write: 1us, word: 128B}}}}
links:
  - {{name: wire, from: cell0, to: cell1, {LINK}}}
workload: {{kind: transfers, over: wire, rounds: 50}}
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "t.yaml"
    path.write_text(text)
    return path


def shipped(name: str, *changes: str) -> Topology:
    return load(ROOT / "topologies" / f"{name}.yaml", list(changes))


@pytest.mark.parametrize("name", SHIPPED)
def test_the_stories_come_out_as_told(name: str) -> None:
    path = ROOT / "topologies" / f"{name}.yaml"
    found = answers.answer(load(path), load_cases(path))
    assert found.is_well, [line for line in found.result["expect"] if not line["holds"]]
    assert all(verdict["value"] == "holds" for verdict in found.result["verdicts"].values())
    for link in links.of(found.result).values():
        assert link["frames_checked"] == link["frames_agreed"] > 0


def test_equal_seeds_give_equal_traces_and_others_do_not() -> None:
    from hwsim.simulation import simulate

    one, same, other = (
        simulate(load(ROOT / "topologies" / "link-crash-storm.yaml", ["horizon=10ms"], seed)) for seed in (3, 3, 4)
    )
    assert one.digest() == same.digest() != other.digest()
    assert one.figures == same.figures


def test_a_resolved_topology_runs_the_same(tmp_path: Path) -> None:
    import yaml

    topology = shipped("link-lossy", "horizon=2ms")
    again = load(written(tmp_path, yaml.safe_dump(dict(topology.resolved), sort_keys=False)))
    assert answers.answer(again).result["links"] == answers.answer(topology).result["links"]


@pytest.mark.parametrize(
    "old, new, said",
    [
        (", nv: {write: 1us, word: 128B}", "", "'cell0' has no non-volatile memory"),
        ("over: wire", "over: wires", "did you mean 'wire'?"),
        ("beacon: 50us, ", "", "beacon"),
        ("over: wire, rounds: 50", "over: wire", "rounds"),
        ("rounds: 50}", "rounds: 50}\nprotocol: {kind: in_place}", "takes no checkpoints"),
        ("rounds: 50}", "rounds: 50}\nwhat_if: {x: {kind: power_loss, together: cell0}}", "takes no checkpoints"),
        (LINK, "kind: ethernet, rate: 10Gb/s, delay: 1us", "'wire' is of kind ethernet"),
        ("rounds: 50}", "rounds: 50}\nexpect: {links.wire.tokens_list: '== 0'}", "links.wire.tokens_lost"),
        ("retransmit: 20us", "retransmit: 20us, script: [{nth: 1, do: flip}]", "bits"),
    ],
)  # fmt: skip
def test_mistakes_are_told(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in PLAIN
    mistakes = check([written(tmp_path, PLAIN.replace(old, new))])
    assert len(mistakes) == 1, mistakes
    assert said in str(mistakes[0])


def test_a_workload_without_links_is_told(tmp_path: Path) -> None:
    text = PLAIN.replace("over: wire, ", "")
    start = text.index("links:")
    mistakes = check([written(tmp_path, text[:start] + text[text.index("workload:") :])])
    assert ["there is no bilateral link" in str(mistake) for mistake in mistakes] == [True]


def test_the_links_memory_serves_where_a_device_has_none(tmp_path: Path) -> None:
    text = PLAIN.replace(", nv: {write: 1us, word: 128B}", "").replace(LINK, LINK + ", nv: {write: 50ns}")
    result = answers.answer(load(written(tmp_path, text))).result
    assert result["links"]["wire"]["rounds_settled"] == 50


@pytest.mark.parametrize(
    "figures, key, wanted",
    [
        ("offer: a, reject: 1.0", "rounds_reversed", lambda got: got == 50),
        ("offer: both", "transitions", lambda got: got["offers_cross"] > 40),
        ("offer: b, answer: accept, tokens: 3", "transitions", lambda got: "offer_swapped" not in got),
        ("offer: a, busy: 0.5", "transitions", lambda got: got["offer_while_busy"] > 20),
        ("offer: a, cancel: 1.0", "transitions", lambda got: got["cancel_wished"] == 50),
        ("offer: a, pause: 10us", "last_progress_s", lambda got: got > 50 * 10e-6),
        ("offer: a, tokens: 0", "in_doubt_share", lambda got: got == 0),
        ("offer: a, consume: 10us", "last_progress_s", lambda got: got > 50 * 10e-6),
    ],
)
def test_each_parameter_of_transfers_does_what_it_says(tmp_path: Path, figures: str, key: str, wanted: Any) -> None:
    topology = load(written(tmp_path, PLAIN.replace("rounds: 50}", f"rounds: 50, {figures}}}")))
    found = answers.answer(topology)
    wire = found.result["links"]["wire"]
    assert (wire["rounds_settled"], wire["tokens_lost"], wire["tokens_cloned"]) == (50, 0, 0)
    assert wanted(wire[key]), wire[key]
    assert not found.result["warnings"]


def test_whoever_only_takes_has_every_token_in_the_end(tmp_path: Path) -> None:
    topology = load(written(tmp_path, PLAIN.replace("rounds: 50}", "rounds: 50, offer: b, answer: accept, tokens: 3}")))
    trace = answers.answer(topology).traces[0]
    last = [row.detail for row in trace if row.event == "register_written" and row.subject == "wire@cell0"][-1]
    assert last is not None
    assert " word=3f " in last


def test_several_timelines_are_averaged(tmp_path: Path) -> None:
    lossy = PLAIN.replace(LINK, LINK + ", loss: 0.3").replace("version: 1\n", "version: 1\nrepeats: 3\n")
    found = answers.answer(load(written(tmp_path, lossy)))
    wire = found.result["links"]["wire"]
    assert len({trace.digest() for trace in found.traces}) == 3
    assert wire["rounds_settled"] == 50
    assert wire["sent"] == sum(trace.figures["links"]["wire"]["sent"] for trace in found.traces) / 3


@pytest.mark.parametrize("kind", ["power_loss", "process_crash", "kernel_crash"])
def test_any_device_may_be_an_end_and_its_crashes_are_the_ends(tmp_path: Path, kind: str) -> None:
    text = f"""\
version: 1
horizon: 20ms
nodes:
  node: {{count: 2, devices: {{host: {{kind: host, reboot_time: 1ms}}, nic: {{kind: nic, reset_time: 100us}}}}}}
links:
  - {{name: hosts, from: node0/host, to: node1/host, {LINK}, nv: {{write: 1us, word: 128B}}}}
  - {{name: nics, from: node0/nic, to: node1/nic, {LINK}, nv: {{write: 1us, word: 128B}}}}
workload: {{kind: transfers, rounds: 300}}
faults:
  - {{kind: {kind}, at: 2ms, target: node0, restore_after: 3ms}}
"""
    links_ = answers.answer(load(written(tmp_path, text))).result["links"]
    for link in links_.values():
        assert link["crashes"] == (kind != "process_crash")  # an end in a host is its kernel's
        assert (link["rounds_settled"], link["tokens_lost"], link["tokens_cloned"]) == (300, 0, 0)


def test_a_script_that_never_struck_is_named(tmp_path: Path) -> None:
    text = PLAIN.replace(LINK, LINK + ", script: [{nth: 100000, do: drop}]")
    result = answers.answer(load(written(tmp_path, text))).result
    assert any("never struck" in warning for warning in result["warnings"])


def test_a_checkpoint_run_leaves_bilateral_links_alone(tmp_path: Path) -> None:
    text = (ROOT / "topologies" / "quickstart.yaml").read_text()
    plain = answers.answer(load(written(tmp_path, text), ["horizon=10min"])).result
    name = "  - {name: wire, from: node0/nic, to: node1/nic, nv: {write: 1us}, " + LINK.replace("50us", "10s") + "}\n"
    with_link = answers.answer(load(written(tmp_path, text.replace("links:\n", "links:\n" + name)), ["horizon=10min"]))
    assert with_link.result["raw"] == plain["raw"]
    assert with_link.result["links"]["wire"]["sent"] > 0


@pytest.fixture(scope="module")
def storm() -> tuple[Topology, dict[str, Any], Any]:
    topology = shipped("link-crash-storm", "horizon=10ms")
    found = answers.answer(topology)
    return topology, dict(found.result), found.traces[0]


def test_a_trace_from_disk_is_judged_alike(tmp_path: Path, storm: tuple[Topology, dict[str, Any], Any]) -> None:
    from hwsim.metrics import evaluate
    from hwsim.report import store

    topology, result, trace = storm
    store.write_parquet(tmp_path / "trace.parquet", trace)
    again = evaluate([store.read_parquet(tmp_path / "trace.parquet")], topology.expect)
    assert again["verdicts"] == result["verdicts"]
    told = {key: value for key, value in again["links"]["wire"].items() if key in result["links"]["wire"]}
    assert told == {key: result["links"]["wire"][key] for key in told}
    assert told["rounds_settled"] > 0


def test_the_summary_says_it_in_words(storm: tuple[Topology, dict[str, Any], Any]) -> None:
    topology, result, _ = storm
    told = summary.text(result, topology)
    assert all(len(line) <= 80 for line in told.splitlines())
    for words in ("Every token was in exactly one place at every instant", "none lost, none doubled", "In doubt",
                  "the receiver was writing its register"):  # fmt: skip
        assert words in " ".join(told.split())
    assert "| Rounds |" in summary.markdown(result, topology)


def test_a_harmed_token_is_the_headline(storm: tuple[Topology, dict[str, Any], Any]) -> None:
    topology, result, _ = storm
    wire = result["links"]["wire"]
    for change, title in (({"tokens_lost": 1}, "Not safe"), ({"fenced": 1}, "Safe, but fenced"),
                          ({"agrees_at_the_end": 0}, "Safe, not finished"), ({"agrees_at_the_end": 1}, "Safe")):
        changed = {**result, "links": {"wire": {**wire, **change}}}
        assert links.verdict(changed).title == title
        assert summary.text(changed, topology)
    harmed = {**result, "links": {"wire": {**wire, "tokens_cloned": 1}}}
    assert answers.unsafe_outcomes(harmed) == ["links.wire"]
    assert not answers.unsafe_outcomes(result)


def test_the_report_says_it_too(storm: tuple[Topology, dict[str, Any], Any]) -> None:
    topology, result, trace = storm
    page = html.page(result, trace, topology)
    assert "Bilateral links" in page
    assert "none lost, none doubled" in page
    assert "What a crash would find" not in page


def test_the_timeline_shows_who_is_bound_and_how_rounds_end(storm: tuple[Topology, dict[str, Any], Any]) -> None:
    from hwsim.bilateral.judged import judge
    from hwsim.report import perfetto

    _, result, trace = storm
    events = [event for event in perfetto.events(trace) if event.get("pid") == perfetto.LINKS]
    assert {e["args"]["name"] for e in events if e["name"] == "thread_name"} == {"wire@cell0", "wire@cell1"}
    bound = [event for event in events if event["ph"] == "X"]
    ended = sum(event["dur"] for event in bound if event["ts"] + event["dur"] < trace.header.horizon_ps)
    assert ended == sum(judge(trace)["wire"].exchanges)
    committed = [event for event in events if event.get("cat") == "round_committed"]
    assert len(committed) >= 2 * result["links"]["wire"]["rounds_committed"] - 10  # a crash may come before a claim


def test_every_output_of_a_run_can_be_written(tmp_path: Path) -> None:
    path = str(ROOT / "topologies" / "link-pair.yaml")
    assert status_of(["run", path, "--out", str(tmp_path / "o"), "--perfetto", "--pcapng"]) == 0
    names = sorted(file.name for file in (tmp_path / "o").iterdir())
    assert {"wire@cell0.pcapng", "wire@cell1.pcapng", "result.json", "timeline.perfetto.json"} <= set(names)
    result = json.loads((tmp_path / "o" / "result.json").read_text())

    from scapy.utils import PcapNgReader

    with PcapNgReader(str(tmp_path / "o" / "wire@cell0.pcapng")) as reader:
        packets = sum(1 for _ in reader)
    assert packets == result["links"]["wire"]["sent"]  # what cell0 sent, and what reached it: nothing was lost
    assert status_of(["run", path, "--out", str(tmp_path / "o")]) == 0
    assert not list((tmp_path / "o").glob("*.pcapng"))  # of the former run


def test_captures_need_a_link_whose_frames_have_octets(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["run", "quickstart", "--out", str(tmp_path / "o"), "--pcapng"]) == 2
    assert "no bilateral link" in capsys.readouterr().err
    assert not (tmp_path / "o").exists()

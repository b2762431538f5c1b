"""Topology files: what they resolve to, and how every mistake is told."""

from __future__ import annotations

import re
import subprocess
import sys
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from strategies import mutated_topologies, topologies

import hwsim.topology
from hwsim.errors import Mistake, UserError
from hwsim.topology import check, kinds, load, load_case, load_cases, schema, starter
from hwsim.topology.expectations import Known, key_problem
from hwsim.topology.profiles import shipped
from hwsim.topology.registries import device_kinds
from hwsim.topology.spec import Topology

ROOT = Path(__file__).parent.parent
BROKEN = sorted((Path(__file__).parent / "broken").glob("*.yaml"))
EXPECTED = re.compile(r"^# expect: (\d+:\d+) (.+)$", re.MULTILINE)
SLOW_MACHINE = [HealthCheck.too_slow, HealthCheck.function_scoped_fixture]

BASE = """\
version: 1
name: base
seed: 3
horizon: 1h
nodes:
  node:
    count: 3
    devices:
      host: {kind: host, profile: dual_socket_server}
      gpu: {kind: gpu, profile: h100_sxm, count: 3}
      nvme: {kind: nvme, profile: enterprise_plp_gen4, count: 2}
      nic: {kind: nic, profile: nic_400g}
devices:
  sw: {kind: switch}
links:
  - {from: "node*/nic", to: sw, kind: ethernet, rate: 400Gb/s, delay: 500ns}
workload:
  kind: checkpoint
  interval: 60s
  shards:
    - {from: "node*/gpu*", size: 13.1GB, to: nvme}
protocol: {kind: manifest, coordinator: node1}
"""


@pytest.fixture
def write(tmp_path: Path) -> Any:
    """Write a topology and return its path."""

    def to_file(text: str, name: str = "t.yaml") -> Path:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8")
        return path

    return to_file


def mistakes(path: Path) -> list[str]:
    """What is wrong with a file, without its name."""
    return [str(mistake).removeprefix(f"{path}:") for mistake in check([path])]


# -- the corpus ----------------------------------------------------------------------------------


def test_the_corpus_is_large_enough() -> None:
    assert len(BROKEN) >= 60


@pytest.mark.parametrize("path", BROKEN, ids=lambda path: path.stem)
def test_each_broken_topology_is_told_once_at_the_right_place(path: Path) -> None:
    expected = EXPECTED.findall(path.read_text(encoding="utf-8"))
    told = mistakes(path)
    assert len(told) == len(expected), told
    for place, words in expected:
        assert any(message.startswith(f"{place}: ") and words in message for message in told), (place, words, told)


def test_the_command_ends_with_status_2_and_no_traceback() -> None:
    """One process for the whole corpus: start-up is what costs."""
    done = subprocess.run(
        [sys.executable, "-m", "hwsim", "check", *map(str, BROKEN)],
        capture_output=True,
        text=True,
        timeout=120,
        cwd=ROOT,
    )
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == sum(len(EXPECTED.findall(path.read_text())) for path in BROKEN)


def test_the_examples_and_the_starter_have_no_mistakes(write: Any) -> None:
    assert check(sorted((ROOT / "topologies").glob("*.yaml"))) == []
    assert check([write(starter())]) == []


def test_what_the_starter_expects_comes_out(write: Any) -> None:
    from hwsim.answers import answer

    path = write(starter())
    found = answer(load(path), load_cases(path))
    assert found.is_well
    about_the_run = {"expect", "cases", "warnings"}
    for key in leaves({name: part for name, part in found.result.items() if name not in about_the_run}):
        assert key_problem(key, Known()) is None


def leaves(result: Any, path: str = "") -> list[str]:
    """The key of every value of a result."""
    if not isinstance(result, dict):
        return [path]
    return [key for step, part in result.items() for key in leaves(part, f"{path}.{step}" if path else str(step))]


# -- what a file resolves to ---------------------------------------------------------------------


def test_nodes_and_devices_are_numbered_if_a_count_is_written(write: Any) -> None:
    text = BASE.replace("count: 2}", "count: 1}").replace("    count: 3\n", "").replace('"node*', '"node')
    topology = load(write(text.replace("coordinator: node1", "coordinator: node")))
    assert [node.name for node in topology.nodes] == ["node"]
    assert list(topology.devices) == [
        "node/host",
        "node/gpu0",
        "node/gpu1",
        "node/gpu2",
        "node/nvme0",
        "node/nic",
        "sw",
    ]


def test_every_node_has_a_host(write: Any) -> None:
    topology = load(write(BASE.replace("      host: {kind: host, profile: dual_socket_server}\n", "")))
    assert topology.nodes[2].host == "node2/host"
    assert topology.devices["node2/host"].kind == "host"
    assert topology.devices["node2/host"].node == "node2"


def test_a_bare_device_key_is_taken_in_turn_by_the_sources_of_a_node(write: Any) -> None:
    topology = load(write(BASE))
    assert [(shard.source, shard.device) for shard in topology.shards[:4]] == [
        ("node0/gpu0", "node0/nvme0"),
        ("node0/gpu1", "node0/nvme1"),
        ("node0/gpu2", "node0/nvme0"),
        ("node1/gpu0", "node1/nvme0"),
    ]
    assert [shard.part for shard in topology.shards] == [f"shard{n}" for n in range(9)]
    assert {shard.size_bytes for shard in topology.shards} == {13_100_000_000}


def test_copies_lie_where_node_says_and_belong_to_the_same_shard(write: Any) -> None:
    more = '    - {from: "node*/gpu*", to: nvme, node: "+2", copy: 1}\n'
    more += '    - {from: "node*/gpu*", to: nvme, node: next, copy: 2}\n'
    topology = load(write(BASE.replace("protocol:", more + "protocol:")))
    second = [shard for shard in topology.shards if shard.shard == 7]  # node2/gpu1
    assert [(shard.part, shard.device) for shard in second] == [
        ("shard7", "node2/nvme1"),
        ("shard7.copy1", "node1/nvme1"),
        ("shard7.copy2", "node0/nvme1"),
    ]
    assert {shard.size_bytes for shard in second} == {13_100_000_000}


def test_a_second_line_without_copy_is_another_shard_of_the_same_sources(write: Any) -> None:
    more = '    - {from: "node*/host", size: 1GB, to: host, into: dram, sync: none}\n'
    topology = load(write(BASE.replace("protocol:", more + "protocol:")))
    assert [(shard.part, shard.device) for shard in topology.shards[-2:]] == [
        ("shard10", "node1/host"),
        ("shard11", "node2/host"),
    ]


@pytest.mark.parametrize(
    ("to", "into", "sync"),
    [
        ("nvme", "media", "flush"),
        ("nvme, sync: none", "media", "none"),
        ("nvme, into: page_cache", "page_cache", "flush"),
        ("host", "dram", "completion"),
        ("host, into: tmpfs, sync: none", "tmpfs", "none"),
        ("node2/nvme1", "media", "flush"),
        ("store", "media", "flush"),
    ],
)
def test_what_is_left_out_of_a_shard_line_is_what_its_device_does(write: Any, to: str, into: str, sync: str) -> None:
    text = BASE.replace("to: nvme}", f"to: {to}}}")
    text = text.replace("  sw:", "  store: {kind: nvme, profile: enterprise_plp_gen4, count: 2}\n  sw:")
    text = text.replace("workload:", '  - {from: "store*", to: sw, kind: ethernet, rate: 1Gb/s, delay: 1us}\nworkload:')
    shards = load(write(text)).shards
    assert {(shard.into, shard.sync) for shard in shards} == {(into, sync)}
    if to == "store":  # sources take the devices outside nodes in turn
        assert [shard.device for shard in shards] == ["store0", "store1"] * 4 + ["store0"]


def test_precedence_of_profiles_keys_and_overrides(write: Any) -> None:
    text = BASE.replace("profile: enterprise_plp_gen4,", "profile: enterprise_plp_gen4, write: 1GB/s, queue_depth: 3,")
    text += """\
override:
  "node*/nvme1": {profile: consumer_no_plp, read: 2GB/s}
  node2/nvme1: {write: 5GB/s}
  "node2/nvme*": {write: 6GB/s}
"""
    devices = load(write(text)).devices
    assert devices["node0/nvme0"].params.write == 8 * 10**9  # the device's key before its profile's
    assert devices["node0/nvme1"].params.write == 48 * 10**9  # the override's profile before the device's key
    assert devices["node0/nvme1"].params.read == 16 * 10**9  # the override's key before its profile's
    assert devices["node2/nvme1"].params.write == 48 * 10**9  # a later override wins
    assert devices["node0/nvme0"].params.queue_depth == 3
    assert devices["node2/nvme0"].written == {"write", "queue_depth", "count"} - {"count"}
    assert devices["node0/nvme1"].written == {"read"}


def test_figures_keep_their_source(write: Any) -> None:
    figures = {figure.key: figure for figure in load(write(BASE)).devices["node0/nvme0"].figures}
    assert figures["flush"].source is not None
    assert not figures["flush"].assumption
    assert figures["write"].assumption
    assert figures["write"].profile == "enterprise_plp_gen4"
    assert figures["write"].value == "4GB/s"


def test_an_own_reset_time_that_nobody_wrote_is_a_named_figure(write: Any) -> None:
    device = load(write(BASE.replace("{kind: nic, profile: nic_400g}", "{kind: nic, rate: 1Gb/s}"))).devices[
        "node0/nic"
    ]
    (figure,) = [figure for figure in device.figures if figure.key == "reset_time"]
    assert figure.profile == "nic_400g"
    assert device.params.reset_time
    assert "reset_time" not in device.written


@pytest.mark.parametrize(
    ("line", "names"),
    [
        ('{from: "n*", to: "s*"}', ["n0--s0", "n0--s1", "n1--s0", "n1--s1", "n2--s0", "n2--s1", "n3--s0", "n3--s1"]),
        ('{from: "n*", to: "s*", spread: blocks}', ["n0--s0", "n1--s0", "n2--s1", "n3--s1"]),
        ('{from: "n*", spread: ring}', ["n0--n1", "n1--n2", "n2--n3", "n3--n0"]),
        ('{from: "n*", spread: line}', ["n0--n1", "n1--n2", "n2--n3"]),
        ('{from: "n*", spread: complete}', ["n0--n1", "n0--n2", "n0--n3", "n1--n2", "n1--n3", "n2--n3"]),
        ('{from: "n*", to: "n*"}', ["n0--n1", "n0--n2", "n0--n3", "n1--n2", "n1--n3", "n2--n3"]),
        ("{from: n0, to: s1, name: wire}", ["wire"]),
        ("{from: [n0, n2], to: s1}", ["n0--s1", "n2--s1"]),
    ],
)
def test_links(write: Any, line: str, names: list[str]) -> None:
    text = f"""\
version: 1
horizon: 100s
devices:
  n: {{kind: nic, count: 4}}
  s: {{kind: switch, count: 2}}
  d: {{kind: abstract, persist: 5ms}}
links:
  - {line.replace("{", "{kind: ethernet, rate: 1Gb/s, delay: 1us, ")}
workload: {{kind: checkpoint, interval: 1s, shards: [{{to: d}}]}}
protocol: {{kind: in_place}}
"""
    assert [link.name for link in load(write(text)).links] == names


def test_failure_domains_nest_and_are_cut_into_equal_parts(write: Any) -> None:
    text = (
        BASE
        + """\
failure_domains:
  rack: {members: ["node*"], each: 2}
  row: {members: [rack0, sw]}
  disks: {members: ["node*/nvme0"]}
"""
    )
    domains = load(write(text)).failure_domains
    assert list(domains) == ["rack0", "rack1", "row", "disks"]
    assert len(domains["rack0"]) == 14
    assert domains["row"] == (*domains["rack0"], "sw")
    assert domains["disks"] == ("node0/nvme0", "node1/nvme0", "node2/nvme0")


def test_faults_and_their_targets(write: Any) -> None:
    text = (
        BASE
        + """\
failure_domains: {rack: {members: [node0, node1]}}
faults:
  - {name: a, at: 65s, kind: power_loss, target: rack, restore_after: 30s}
  - {name: b, mtbf: 26d, kind: gpu_reset, target: "node*/gpu1"}
  - {name: c, total: 35 per 54d, kind: link_down, target: "node*/nic--sw"}
  - {name: d, mtbf: {mean: 1d, shape: 0.7}, kind: kernel_crash, target: [node2, node0/host]}
  - {every: 10min, kind: power_loss, target: node2}
"""
    )
    a, b, c, d, e = load(write(text)).faults
    assert a.target_names == ("rack",)
    assert len(a.targets[0]) == 14
    assert (a.at_ps, a.restore_after_ps) == (65 * 10**12, 30 * 10**12)
    assert b.targets == (("node0/gpu1",), ("node1/gpu1",), ("node2/gpu1",))
    assert c.targets == (("node0/nic--sw",), ("node1/nic--sw",), ("node2/nic--sw",))
    assert c.total_mean_ps == round(54 * 86400 * 10**12 / 35)
    assert d.targets == (("node2/host",), ("node0/host",))
    assert (d.mtbf_ps, d.weibull_shape) == (86400 * 10**12, 0.7)
    assert (e.name, len(e.targets[0])) == ("power_loss", 7)


def test_what_ifs(write: Any) -> None:
    text = (
        BASE
        + """\
failure_domains: {rack: {members: [node0, node1]}}
what_if:
  drives: {kind: controller_reset, each: "node*/nvme0"}
  rack: {kind: power_loss, together: rack, phase: 5s}
  soon: {kind: power_loss, together: [node0, node0/nvme0, sw], at: 70s}
  often: {kind: process_crash, each: "node*", hazard: {mean: 2h}}
"""
    )
    drives, rack, soon, often = load(write(text)).what_if
    assert drives.strikes == tuple((f"node{n}/nvme0", (f"node{n}/nvme0",)) for n in range(3))
    assert (rack.strikes[0][0], len(rack.strikes[0][1]), rack.phase_ps) == ("rack", 14, 5 * 10**12)
    assert len(soon.strikes) == 1
    assert len(soon.strikes[0][1]) == 8  # each device once
    assert often.strikes[1] == ("node1", ("node1/host",))
    assert often.hazard_mean_ps == 7200 * 10**12


@pytest.mark.parametrize(
    ("keys", "seconds"),
    [("", 120), ("  first: 10s\n", 70), ("  first: 59min\n", 3540)],
)
def test_shares_are_taken_from_the_end_of_the_first_interval(write: Any, keys: str, seconds: int) -> None:
    topology = load(write(BASE.replace("  shards:\n", f"{keys}  shards:\n")))
    assert topology.warm_up_ps == seconds * 10**12


def test_the_coordinator_and_the_place_of_its_record(write: Any) -> None:
    assert load(write(BASE)).coordinator == "node1/host"
    assert load(write(BASE.replace(", coordinator: node1", ""))).coordinator == "node0/host"
    topology = load(write(BASE.replace("coordinator: node1", "coordinator: node1, manifest: {to: nvme}")))
    assert topology.protocol.manifest.to == ("node1/nvme0",)
    assert load(write(BASE.replace("{kind: manifest, coordinator: node1}", "{kind: in_place}"))).coordinator is None


# -- changes -------------------------------------------------------------------------------------


def test_changes_are_made_before_anything_is_read(write: Any) -> None:
    path = write(BASE)
    whole = load(path, ["workload.shards=[{from: 'node*/gpu*', size: 1GB, to: host}]", "links.0.loss=1e-3"])
    assert {(shard.into, shard.size_bytes) for shard in whole.shards} == {("dram", 10**9)}
    assert {link.params.loss for link in whole.links} == {1e-3}
    topology = load(path, ["workload.shards.0.sync=fua", "nodes.node.count=2", ("override.node1/nvme0.plp", False)], 9)
    assert {shard.sync for shard in topology.shards} == {"fua"}
    assert len(topology.nodes) == 2
    assert topology.seed == 9
    assert not topology.devices["node1/nvme0"].params.plp
    assert topology.sha256 != load(path).sha256


def test_a_change_of_kind_takes_the_keys_of_the_old_kind_with_it(write: Any) -> None:
    path = write(BASE.replace("coordinator: node1", "coordinator: node1, keep: 2"))
    assert load(path, ["protocol.kind=in_place"]).protocol.kind == "in_place"
    with pytest.raises(UserError, match="unknown key"):
        load(path, ["protocol.kind=in_place", "protocol.keep=3"])


def test_keys_with_dots_of_their_own_can_be_set(write: Any) -> None:
    topology = load(write(BASE), ['expect.recovered.unsafe_share="== 0"'])
    assert [(line.key, line.wanted) for line in topology.expect] == [("recovered.unsafe_share", "== 0")]


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("workload.interval", "is not key.path=value"),
        ("=3", "is not key.path=value"),
        ("workload..interval=3s", "empty step"),
        ("workload.shards.7.sync=fua", "no item of it"),
        ("workload.shards.x.sync=fua", "no item of it"),
        ("horizon.hours=3", "a single value"),
        ("wrokload.interval=3s", "unknown key"),
        ("workload.interval=soon", "is not a duration"),
        ("workload.interval={", "not YAML"),
        ("workload.intervall=3s", "did you mean 'interval'"),
        ("seed=-1", "must be at least 0"),
    ],
)
def test_a_change_that_cannot_be_made_is_one_clear_message(write: Any, change: str, words: str) -> None:
    with pytest.raises(UserError) as refused:
        load(write(BASE), [change])
    (mistake,) = refused.value.mistakes
    assert words in str(mistake)
    assert mistake.file.startswith("--set ")


def test_cases_are_topologies_with_a_change(write: Any) -> None:
    text = (
        BASE
        + """\
expect: {ettr: "> 0"}
cases:
  in-place: {set: {protocol.kind: in_place}, expect: {raw.mixed_share: "> 0"}}
  far: {set: {workload.interval: 2min, "override.node0/nvme0.plp": false}}
"""
    )
    path = write(text)
    cases = load_cases(path, ["horizon=2h"])
    assert list(cases) == ["in-place", "far"]
    assert cases["in-place"].name == "base-in-place"
    assert cases["in-place"].protocol.kind == "in_place"
    assert [line.key for line in cases["in-place"].expect] == ["raw.mixed_share"]
    assert cases["far"].horizon_ps == 7200 * 10**12
    assert cases["far"].expect == ()
    assert cases["far"].protocol.kind == "manifest"
    assert load(path).devices["node0/nvme0"].params.plp
    assert load_case(path, "far").name == "base-far"
    with pytest.raises(UserError, match="there are in-place, far"):
        load_case(path, "near")


# -- mistakes ------------------------------------------------------------------------------------


def test_a_mistake_of_the_topology_is_not_told_again_by_its_cases(write: Any) -> None:
    text = BASE.replace("horizon: 1h", "horizon: 3600") + "cases:\n  a: {set: {seed: 4}}\n  b: {set: {seed: 5}}\n"
    assert len(mistakes(write(text))) == 1


def test_load_raises_every_mistake_in_the_order_of_the_file(write: Any) -> None:
    text = BASE.replace("horizon: 1h", "horizon: 3600").replace("delay: 500ns", "delay: 500").replace("60s", "-60s")
    with pytest.raises(UserError) as refused:
        load(write(text))
    assert [mistake.line for mistake in refused.value.mistakes] == [4, 16, 19]
    assert refused.value.exit_status == 2


def test_profiles_of_the_user(write: Any) -> None:
    write(
        "version: 1\nprofiles:\n  mine: {kind: nic, rate: {value: 25Gb/s, source: a data sheet}, delay: 3us}\n",
        "p.yaml",
    )
    topology = load(write(BASE.replace("horizon", "profiles: [p.yaml]\nhorizon").replace("nic_400g", "mine")))
    figures = {figure.key: figure for figure in topology.devices["node0/nic"].figures}
    assert (figures["rate"].source, figures["rate"].assumption) == ("a data sheet", False)
    assert (figures["delay"].source, figures["delay"].assumption) == (None, True)
    assert topology.devices["node0/nic"].params.rate == 25 * 10**9


@pytest.mark.parametrize(
    ("text", "place", "words"),
    [
        ("profiles:\n  p: {kind: nvme}\n", "1:1", "version"),
        ("version: 1\nprofiles:\n  p: {kind: tape}\n", "3:13", "no device kind"),
        ("version: 1\nprofiles:\n  p: {rate: 5Gb/s}\n", "3:3", "lacks `kind`"),
        ("version: 1\nprofiles:\n  p: {kind: nvme, flsh: 5us}\n", "3:19", "did you mean 'flush'"),
        ("version: 1\nprofiles:\n  p: {kind: nvme, flush: {source: me}}\n", "3:19", "lacks `value`"),
        ("version: 1\nprofiles:\n  p: {kind: nvme, flush: {value: 5us, sorce: me}}\n", "3:39", "did you mean 'source'"),
        ("version: 1\nprofiles:\n  p: {kind: nvme}\nmore: 1\n", "4:1", "unknown key"),
    ],
)
def test_mistakes_in_profiles(write: Any, text: str, place: str, words: str) -> None:
    (told,) = mistakes(write(text, "profiles.yaml"))
    assert told.startswith(f"{place}: ")
    assert words in told


def test_a_bad_figure_of_a_profile_is_told_where_it_stands(write: Any) -> None:
    write("version: 1\nprofiles:\n  mine: {kind: nic, rate: {value: fast, source: a data sheet}}\n", "p.yaml")
    (mistake,) = check([write(BASE.replace("horizon", "profiles: p.yaml\nhorizon").replace("nic_400g", "mine"))])
    assert mistake.file.endswith("p.yaml")
    assert (mistake.line, mistake.column) == (3, 35)


def test_a_profile_cannot_take_the_name_of_one_that_ships(write: Any) -> None:
    write("version: 1\nprofiles:\n  nic_400g: {kind: nic, rate: 1Gb/s}\n", "p.yaml")
    (mistake,) = check([write(BASE.replace("horizon", "profiles: [p.yaml]\nhorizon"))])
    assert "already" in mistake.problem


def test_every_figure_that_ships_has_a_source_or_a_reason() -> None:
    for profile in shipped().values():
        for key, figure in profile.figures.items():
            assert figure.source, f"{profile.name}.{key}"
        params: Any = device_kinds()[profile.kind].Params
        params.model_validate({key: figure.value for key, figure in profile.figures.items()})


def test_a_failure_domain_that_nothing_names_is_warned_of(write: Any) -> None:
    text = BASE + "failure_domains:\n  a: [node0]\n  b: [node1]\nwhat_if: {x: {kind: power_loss, together: b}}\n"
    (warning,) = load(write(text)).warnings
    assert ":24:3: failure_domains.a:" in warning


def test_of_numbered_failure_domains_one_that_is_named_will_do(write: Any) -> None:
    text = BASE + "failure_domains:\n  r: {members: ['node*'], each: 1}\n"
    assert len(load(write(text)).warnings) == 1
    assert not load(write(text + "what_if: {x: {kind: power_loss, together: r1}}\n")).warnings


# -- beyond examples -----------------------------------------------------------------------------


def dumped(data: Any) -> str:
    """Plain data as YAML 1.2 reads it back: every text in quotes."""
    return yaml.dump(data, Dumper=Quoting, allow_unicode=True, sort_keys=False)


class Quoting(yaml.SafeDumper):
    """Quotes all text, and writes no aliases."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


Quoting.add_representer(str, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", text, style='"'))


def same(a: Topology, b: Topology) -> None:
    """Equal in everything that a simulation reads."""
    for field in fields(Topology):
        mine, yours = getattr(a, field.name), getattr(b, field.name)
        match field.name:
            case "sha256" | "source" | "resolved" | "warnings" | "cases" | "expect":
                continue
            case "devices":
                mine = [(d.name, d.kind, d.node, d.params) for d in mine.values()]
                yours = [(d.name, d.kind, d.node, d.params) for d in yours.values()]
            case "links":
                mine = [(link.name, link.a, link.b, link.params) for link in mine]
                yours = [(link.name, link.a, link.b, link.params) for link in yours]
            case "workload":  # the lines of `shards` are written out one by one
                mine, yours = (params.model_copy(update={"shards": ()}) for params in (mine, yours))
            case "protocol" if hasattr(mine, "coordinator"):
                mine, yours = (params.model_copy(update={"coordinator": None}) for params in (mine, yours))
            case "faults":
                mine, yours = ([replace(spec, path="") for spec in faults] for faults in (mine, yours))
        assert mine == yours, field.name


@given(topologies())
@settings(max_examples=60, deadline=None, suppress_health_check=SLOW_MACHINE)
def test_valid_topologies_load_and_their_resolved_form_loads_to_the_same(tmp_path: Path, data: dict[str, Any]) -> None:
    path = tmp_path / "made.yaml"
    path.write_text(dumped(data), encoding="utf-8")
    topology = load(path)
    again = tmp_path / "resolved.yaml"
    again.write_text(yaml.safe_dump(dict(topology.resolved), sort_keys=False), encoding="utf-8")
    resolved = load(again)
    same(topology, resolved)
    assert resolved.resolved == topology.resolved


@given(mutated_topologies())
@settings(max_examples=200, deadline=None, suppress_health_check=SLOW_MACHINE)
def test_broken_topologies_give_mistakes_with_places_and_never_another_exception(
    tmp_path: Path, data: dict[str, Any]
) -> None:
    path = tmp_path / "made.yaml"
    text = dumped(data)
    path.write_text(text, encoding="utf-8")
    try:
        load(path)
        load_cases(path)
    except UserError as refused:
        told = refused.mistakes
    else:
        return
    assert told
    for mistake in told:
        assert isinstance(mistake, Mistake)
        assert 1 <= mistake.line <= text.count("\n") + 1
        assert mistake.column >= 1
        assert mistake.problem


@pytest.mark.parametrize("path", sorted((ROOT / "topologies").glob("*.yaml")), ids=lambda path: path.stem)
def test_the_examples_resolve_to_files_that_load_to_the_same(tmp_path: Path, path: Path) -> None:
    for topology in [load(path), *load_cases(path).values()]:
        again = tmp_path / "resolved.yaml"
        again.write_text(yaml.safe_dump(dict(topology.resolved), sort_keys=False), encoding="utf-8")
        same(topology, load(again))


# -- what is told of it --------------------------------------------------------------------------


def test_the_kinds_are_told_with_their_faults() -> None:
    text = kinds()
    for word in ("nvme", "checkpoint", "manifest", "in_place", "abstract", "controller_reset", "awupf", "h100_sxm"):
        assert word in text
    (row,) = [line for line in text.splitlines() if line.split()[:1] == ["controller_reset"]]
    assert row.split().count("x") == 1


def test_the_schema_knows_every_section_and_kind() -> None:
    made = schema()
    assert set(made["properties"]) >= {
        "version",
        "nodes",
        "links",
        "workload",
        "protocol",
        "faults",
        "what_if",
        "cases",
    }
    assert {option["properties"]["kind"]["const"] for option in made["$defs"]["device"]["oneOf"]} == set(device_kinds())


def test_ten_thousand_domains_are_read_in_a_blink(write: Any) -> None:
    """Not a timing assertion: it would end only after minutes if anything were quadratic."""
    text = """\
version: 1
horizon: 100s
devices: {d: {kind: abstract, count: 10000, persist: {uniform: [0s, 200ms]}}}
workload: {kind: checkpoint, interval: 1s, shards: [{to: "d*"}]}
protocol: {kind: in_place}
what_if: {each: {kind: power_loss, each: "d*"}}
"""
    topology = load(write(text))
    assert len(topology.shards) == 10_000
    assert len(topology.what_if[0].strikes) == 10_000


def test_the_facade_is_the_package() -> None:
    assert hwsim.load is hwsim.topology.load


def test_no_module_takes_the_name_of_a_function_of_the_facade() -> None:
    """Importing a submodule binds its name in the package: a function of that name would be gone from then on."""
    import hwsim.topology as facade

    modules = {path.stem for path in Path(facade.__file__).parent.glob("*.py")}
    assert not {"load", "load_cases", "load_case", "check", "schema", "kinds", "starter"} & modules

"""Exploring every crash: what E1.7 counts, merges that change nothing, hangs, reproducers, mutations, what ships."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import builders
import pytest
import yaml

from hwsim.cli import status_of
from hwsim.errors import UserError
from hwsim.explore import asked_of_explore, explore
from hwsim.explore.execution import BAD, Execution, Resolution, resolutions
from hwsim.explore.reproducer import read, replay
from hwsim.explore.search import Plan, plan, search, tasks_of, within
from hwsim.explore.tally import tally
from hwsim.explore.targets import targets_of
from hwsim.outcomes import Handed, Outcome
from hwsim.protocols.manifest import Manifest
from hwsim.simulation import Simulation
from hwsim.topology import load, load_cases
from hwsim.topology.spec import Topology, WhatIfSpec

TOPOLOGIES = Path(__file__).parent.parent / "topologies"
HOLDING = {**builders.NVME, "cache_hold": "1s"}
DELAYED = {"kind": "manifest", "message_delay": "10ms", "manifest": {"persist": "5ms"}}
AT_ONCE = {"interval": "10s"}


def explored(made: Topology, **rest: Any) -> dict[str, Any]:
    return dict(explore(made, jobs=1, reproduce=False, **rest).result["explore"])


# E1.7: a crash after every event of one checkpoint


@pytest.mark.parametrize("count", [2, 3, 8])
def test_in_place_is_mixed_after_all_but_the_first_and_the_last_of_the_durable_prefixes(count: int) -> None:
    told = explored(builders.abstract(count), budget=10)
    assert told["prefixes"] == count + 1
    assert told["mixed"] == told["raw_mixed"] == count - 1
    assert told["mixed_prefixes"] == told["raw_mixed_prefixes"] == count - 1
    assert told["outcomes"]["silent_mixed"] == (count - 1) * told["targets"]


@pytest.mark.parametrize("count", [2, 3, 8])
def test_a_manifest_is_never_mixed_and_flips_at_exactly_one_event(count: int) -> None:
    told = explored(builders.abstract(count, protocol=DELAYED), budget=10)
    assert told["mixed"] == told["unsafe"] == told["violations"] == 0
    assert told["raw_mixed_prefixes"] == count - 1
    assert told["flips"] == 1
    (flip,) = told["flip_events"]
    assert (flip["from"], flip["to"], flip["in_doubt_for"]) == ("checkpoint 2", "checkpoint 3", 0)
    assert "manifest" in flip["after"]


def test_on_real_drives_the_flip_is_one_event_with_a_doubt_while_the_record_is_written() -> None:
    told = explored(builders.machine(2, 1), budget=10)
    assert told["mixed"] == told["unsafe"] == 0
    assert told["flips"] == 1
    assert told["flip_events"][0]["in_doubt_for"] >= 1


# targets


def test_every_device_node_domain_and_everything_is_struck_and_media_only_where_a_what_if_asks() -> None:
    asked = WhatIfSpec("gone", "media_loss", (("node1/nvme", ("node1/nvme",)),))
    made = builders.machine(2, 1, what_if=[asked], failure_domains={"rack": ("node0/nvme", "node1/nvme")})
    found = targets_of(made, Simulation(made).world.domains)
    named = {(target.kind, target.label) for target in found}
    assert found[0].label == "everything"
    assert {("power_loss", name) for name in (*made.devices, "node0", "node1", "rack")} <= named
    assert {("kernel_crash", "node0/host"), ("process_crash", "node1/host"), ("gpu_reset", "node0/gpu0")} <= named
    assert {("nic_reset", "node0/nic"), ("controller_reset", "node1/nvme"), ("media_loss", "node1/nvme")} <= named
    assert ("media_loss", "node0/nvme") not in named
    assert len({(target.kind, frozenset(target.devices)) for target in found}) == len(found)


# merging


def small_worlds() -> Mapping[str, Topology]:
    at_snapshot = {"kind": "manifest", "publish": "at_snapshot"}
    rename = {"kind": "in_place", "replace": "rename"}
    late = {"restart": {"detect": "200ms"}}
    return {
        "abstract": builders.abstract(3),
        "abstract-manifest": builders.abstract(3, protocol=DELAYED),
        "drive": builders.machine(1, 1, size="100MB"),
        "drive-at-snapshot": builders.machine(1, 1, size="100MB", nvme=HOLDING, protocol=at_snapshot),
        "drive-in-place": builders.machine(1, 2, size="100MB", nvme=HOLDING, protocol={"kind": "in_place"}),
        "drive-rename": builders.machine(1, 2, size="100MB", nvme=HOLDING, protocol=rename),
        "page-cache": builders.machine(1, 2, size="100MB", into="page_cache", nvme=HOLDING),
        "memory": builders.machine(2, 1, size="100MB", into="dram", sync="none", replica=1),
        "keep-grid": builders.machine(1, 1, size="100MB", workload={"after_recovery": "keep_grid"}),
        "late": builders.machine(1, 2, size="100MB", workload=late),
        "remove-then-rename": builders.machine(
            1, 1, size="100MB", protocol={"kind": "manifest", "manifest": {"replace": "remove_then_rename"}}
        ),
    }


def shown(made: Plan, *, merge: bool) -> dict[tuple[int, int], tuple[object, ...]]:
    """What the live execution that stands for each strike shows: outcomes, whether it works again, broken checkers.

    Checkers that break where an outcome is bad only repeat it.
    """
    found = search(made, budget=10**9, merge=merge)
    ends = {task[:2]: ending for task, ending in found.done}
    return {
        strike: (
            ends[task[:2]].outcomes,
            ends[task[:2]].liveness,
            not ends[task[:2]].outcomes & set(BAD) and {name for name, _ in ends[task[:2]].broken},
        )
        for strike, task in found.task_of.items()
    }


LARGER = {"memory", "page-cache", "drive-rename"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[pytest.mark.long] if name in LARGER else []) for name in small_worlds()]
)
def test_merged_executions_show_what_every_execution_by_itself_shows(name: str) -> None:
    """Brute force: every strike of a small world is executed, and once more one for all that are merged with it."""
    made = plan(small_worlds()[name], 2)
    merged, alone = tasks_of(made), tasks_of(made, merge=False)
    assert len(set(alone.values())) == len(alone) >= len(set(merged.values()))
    with_merge, by_itself = shown(made, merge=True), shown(made, merge=False)
    assert with_merge == by_itself


@pytest.mark.parametrize("name", [name for name, made in small_worlds().items() if not made.workload.restart.detect])
def test_an_execution_that_is_struck_shows_what_was_foreseen(name: str) -> None:
    """Where the job learns of a crash at once: else survivors go on meanwhile, and nothing is foreseen of them."""
    made = plan(small_worlds()[name], 2)
    for task, ending in search(made, budget=40).done:
        foreseen, point = made.foreseen[task.target], made.window.points[task.point]
        if foreseen is None:
            assert not ending.asked, "the job rides through"
        elif not point.busy:
            seen = foreseen[task.point]
            assert set(ending.asked[0].handed) <= seen.handed
            if made.targets[task.target].label == "everything":  # no survivor could have ended what it had begun
                assert set(ending.asked[0].handed) == seen.handed
                assert set(ending.asked[0].outcomes) == seen.outcomes


@pytest.mark.parametrize("name", ["abstract", "drive", "drive-in-place", "late"])
def test_results_do_not_depend_on_how_many_processes_there_are(name: str) -> None:
    made = plan(small_worlds()[name], 2)
    one, _ = tally(made, search(made, budget=30, jobs=1), crashes=1)
    three, _ = tally(made, search(made, budget=30, jobs=3), crashes=1)
    assert one == three


def test_a_budget_is_spread_evenly_and_what_it_leaves_out_is_told() -> None:
    made = plan(builders.machine(1, 2, size="100MB"), 2)
    tasks = tuple(dict.fromkeys(tasks_of(made).values()))
    assert within(tasks, 10**6) == tasks
    few = within(tasks, 5)
    assert len(few) == 5
    assert few[0] == tasks[0]
    assert few[-1].point > tasks[len(tasks) // 2].point
    told, _ = tally(made, search(made, budget=5), crashes=1)
    assert told["live"]["left_out"] == len(tasks) - 5
    assert "5 of" in told["coverage"]
    assert not told["coverage"].startswith("exhaustive")


def test_second_crashes_strike_during_the_recovery_from_the_first() -> None:
    told = explored(builders.machine(1, 1, size="100MB"), crashes=2, budget=70)
    pairs = told["pairs"]
    assert 0 < pairs["executed"] <= pairs["of"]
    assert pairs["violations"] == 0
    assert sum(pairs["outcomes"].values()) > 0


@pytest.mark.parametrize("protocol", [{"kind": "in_place"}, DELAYED], ids=lambda protocol: protocol["kind"])
def test_merged_second_crashes_show_what_all_of_them_show(protocol: Mapping[str, Any]) -> None:
    made = plan(builders.abstract(2, protocol=protocol), 1)
    merged = search(made, crashes=2, budget=10**6)
    alone = search(made, crashes=2, budget=10**6, merge=False)
    assert len(merged.pairs) == merged.pairs_of < alone.pairs_of == len(alone.pairs)
    outcomes = [{(ending.outcomes, ending.liveness) for _, ending in found.pairs} for found in (merged, alone)]
    assert outcomes[0] == outcomes[1]


# doubts


def test_doubts_are_settled_in_telling_ways_and_as_told() -> None:
    options = [[-2, 4, 5], [4, 5]]
    ways = [Resolution(), *resolutions(2)]
    picks = [tuple(way.choice(list(found)) for found in options) for way in ways]
    assert picks == [(-2, 4), (5, 5), (4, 4), (5, 4), (4, 5)]
    again = Resolution(picks=(5, 4))
    assert [again.choice(list(found)) for found in options] == [5, 4]
    with pytest.raises(ValueError, match="cannot end as 3"):
        Resolution(picks=(3,)).choice([4, 5])


def test_all_ways_for_a_doubt_to_end_are_judged_by_one_execution() -> None:
    made = plan(builders.machine(1, 1, size="100MB", sync="completion", nvme=HOLDING), 2)
    point = next(point for point in made.window.points if point.acknowledged == 2)
    run = Execution(made.topology)
    run.advance(point.step)
    run.strike(made.targets[0], Resolution("newest"))
    (asked,) = run.finish().asked
    assert asked.taken == Handed("whole", 2)
    assert asked.outcome is Outcome.CORRECT_LATEST
    assert Outcome.LOST_COMMITTED in asked.outcomes


# liveness


class _NeverAgain(Manifest):
    """After a recovery no rank tells the coordinator anything."""

    _over = False

    def resume(self, handed: Handed) -> None:
        super().resume(handed)
        self._over = True

    def _acknowledged(self, message: Any) -> None:
        if not self._over:
            super()._acknowledged(message)


class _NeverEnds(Manifest):
    """Nothing is ever published."""

    def _publish(self, epoch: int) -> None:
        pass


def test_a_job_that_never_acknowledges_again_hangs() -> None:
    made = plan(builders.machine(1, 1, size="100MB"), 2, _NeverAgain)
    told, worst = tally(made, search(made, budget=8), crashes=1)
    assert told["outcomes"]["hang"] > 0
    assert told["violations"] >= told["outcomes"]["hang"]
    assert [one.outcome for one in worst] == [Outcome.HANG]


def test_a_checkpoint_that_never_ends_without_any_crash_is_told() -> None:
    made = plan(builders.machine(1, 1, size="100MB"), 1, _NeverEnds)
    told, _ = tally(made, search(made, budget=1), crashes=1)
    assert "never ends" in told["checkers"]["progress"]
    assert told["violations"] > 0


def test_a_dead_coordinator_acknowledges_nothing_at_the_instant_of_its_death() -> None:
    """What returned to a process at the very instant at which that died was never seen by it."""
    made = load(TOPOLOGIES / "plp-or-not.yaml", ["workload.shards.0.sync=completion"])
    planned = plan(made)
    for task, ending in search(planned, budget=60).done:
        if planned.targets[task.target].label == "everything":
            assert ending.asked[0].acknowledged == planned.window.points[task.point].acknowledged


# reproducers


def test_a_violation_is_minimised_and_replays_to_the_byte(tmp_path: Path) -> None:
    found = explore(load(TOPOLOGIES / "quickstart.yaml"), budget=1, jobs=1)
    (reproducer,) = found.reproducers
    assert reproducer.outcome == "silent_mixed"
    assert len(reproducer.topology["workload"]["shards"]) == 2
    assert len(reproducer.topology["nodes"]) == 1
    assert len(reproducer.strikes) == 1
    assert len(reproducer.story) <= 12
    path = tmp_path / "reproducer.yaml"
    path.write_text(reproducer.to_yaml())
    assert read(path).to_yaml().splitlines()[0] == "reproducer: 1"
    assert replay(path).same
    data = yaml.safe_load(path.read_text())
    data["topology"]["seed"] = 99
    path.write_text(yaml.safe_dump(data, sort_keys=False))
    assert not replay(path).same


def test_what_is_no_reproducer_is_the_users_mistake(tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    path.write_text("version: 1\n")
    with pytest.raises(UserError, match="no reproducer"):
        replay(path)
    path.write_text("reproducer: 1\ntopology: {}\n")
    with pytest.raises(UserError, match="strikes"):
        replay(path)
    with pytest.raises(UserError):
        replay(tmp_path / "none.yaml")


def test_the_commands_write_read_and_say_how_it_went(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert status_of(["explore", "abstract-uniform", "--budget", "3", "--set", "seed=3"]) in (0, 1)
    out = capfd.readouterr().out
    assert "Coverage:" in out
    assert "hwsim replay hwsim-out/" in out
    folder = next(Path("hwsim-out").glob("*/explore"))
    written = json.loads((folder / "explore.json").read_text())
    assert written["explore"]["mixed"] == 7
    assert status_of(["replay", str(folder / "reproducer-1.yaml")]) == 0
    assert "to the byte" in capfd.readouterr().out
    spoilt = (folder / "reproducer-1.yaml").read_text().replace("digest: ", "digest: 0")
    Path("spoilt.yaml").write_text(spoilt)
    assert status_of(["replay", "spoilt.yaml", "--json"]) == 1
    assert json.loads(capfd.readouterr().out)["same"] is False
    assert status_of(["explore", "link-pair"]) == 2
    assert "takes no checkpoints" in capfd.readouterr().err
    assert status_of(["explore", "async-keep1", "--budget", "2", "--format", "markdown"]) in (0, 1)
    assert "| worst that a crash may come to |" in capfd.readouterr().out


# what ships


HEAVY = {"llama3-70b-8nodes", "rack-power"}


def shipped() -> list[Any]:
    return [
        pytest.param(path, id=path.stem, marks=[pytest.mark.long] if path.stem in HEAVY else [])
        for path in sorted(TOPOLOGIES.glob("*.yaml"))
        if "protocol:" in path.read_text()
    ]


@pytest.mark.parametrize("path", shipped())
def test_every_shipped_topology_explores_as_it_expects(path: Path) -> None:
    made, cases = load(path), load_cases(path)
    assert asked_of_explore(made.expect), "say what explore finds"
    found = explore(made, cases, budget=8, jobs=1, reproduce=False)
    lines = [*found.result["expect"], *(one for case in found.cases.values() for one in case.result["expect"])]
    assert all(line["holds"] for line in lines), [line for line in lines if not line["holds"]]


@pytest.mark.long
@pytest.mark.parametrize("path", shipped())
def test_the_default_budget_finds_what_is_expected_too(path: Path) -> None:
    found = explore(load(path), load_cases(path), reproduce=False)
    assert found.is_well

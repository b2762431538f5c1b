"""Every mutation of every protocol is caught by explore alone, and the protocol itself never is by the same search."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import builders
import pytest
from converging import linked
from hypothesis import given
from hypothesis import strategies as st

from hwsim.cli import status_of
from hwsim.explore import mutants as trial
from hwsim.explore.disturbances import FRAME_AGAIN, FRAME_LOST, FRAME_TWICE, HELD_UP, Disturbance, Disturber
from hwsim.explore.execution import BAD, Execution, Resolution
from hwsim.explore.histories import (
    Followed,
    Step,
    at_rest,
    first_strikes,
    follow,
    in_turn,
    spread,
    struck_again,
)
from hwsim.explore.mutants import Sound, mutants
from hwsim.explore.needs import NEEDS, missing
from hwsim.explore.search import Plan, plan
from hwsim.explore.window import steady_checkpoint
from hwsim.protocol import Mutation, Protocol
from hwsim.topology import load, load_cases
from hwsim.topology.spec import Topology

TOPOLOGIES = Path(__file__).parent.parent / "topologies"
HOLDING = {**builders.NVME, "cache_hold": "1s"}

# protocol -> the shipped topology that shows all of its mutations, a case of it, and what is made smaller for the test
TRIALS: Mapping[str, tuple[str, str, list[str]]] = {
    "bilateral_pairwise": ("pairwise-adoption", "", []),
    "chandy_lamport": ("talking-ranks", "", []),
    "in_place": ("cheap-drives", "renamed-one-by-one", []),
    "manifest": ("cheap-drives", "", []),
    "memory_replicas": ("memory-replicas", "", ["nodes.node.count=4"]),
    "tree_convergence": ("tree-rules", "", []),
    "two_phase": ("two-phase-blocked", "", []),
    "two_versions": ("two-versions", "", []),
}


def on_trial(kind: str) -> tuple[Topology, Mapping[str, Topology]]:
    name, case, changes = TRIALS[kind]
    path = TOPOLOGIES / f"{name}.yaml"
    cases = load_cases(path, changes)
    return (cases[case], {}) if case else (load(path, changes), cases)


def test_every_protocol_is_on_trial() -> None:
    builders.load_kinds()
    assert set(TRIALS) == set(Protocol.registry)
    for protocol in Protocol.registry.values():
        assert len(protocol.MUTATIONS) >= 3


@pytest.mark.parametrize("kind", list(TRIALS))
def test_every_mutation_is_caught(kind: str) -> None:
    topology, cases = on_trial(kind)
    assert topology.protocol.kind == kind
    found = mutants(topology, cases)
    assert [mutant.name for mutant in found] == list(Protocol.registry[kind].MUTATIONS)
    assert [mutant.name for mutant in found if mutant.catcher is None] == []
    assert not any(mutant.survived or mutant.lacks for mutant in found)


def unchanged(kind: str) -> Mutation:
    """The protocol itself, in the place of a mutation."""
    return Mutation("nothing is left out", type("Unchanged", (Protocol.registry[kind],), {}), ())


def controls() -> list[Topology]:
    """Worlds in which the protocols go wrong too, where they may: what they show must not be taken for a catch."""
    delayed = {"message_delay": "10ms"}
    return [
        builders.machine(1, 2, size="100MB", nvme=HOLDING, protocol={"kind": "in_place"}),
        builders.abstract(2, protocol={"kind": "manifest", **delayed, "manifest": {"persist": "5ms"}}),
        builders.abstract(2, protocol={"kind": "two_phase", **delayed}),
        builders.abstract(2, protocol={"kind": "two_versions", "discard": False, **delayed},
                         workload={"numbers": "steps"}),
        builders.abstract(2, protocol={"kind": "chandy_lamport", **delayed, "every": "2s"}),
        builders.machine(2, 1, size="100MB", into="dram", replica=1, sync="completion",
                         protocol={"kind": "memory_replicas"}),
        linked(2, "line", persist={"uniform": ["0s", "200ms"]}),
        linked(2, "line", "bilateral_pairwise", persist={"uniform": ["0s", "200ms"]}),
    ]  # fmt: skip


@pytest.mark.parametrize("topology", controls(), ids=lambda topology: topology.protocol.kind)
def test_the_protocol_itself_is_not_caught_by_the_same_search(topology: Topology) -> None:
    caught, executed = trial._catch(Sound(topology), unchanged(topology.protocol.kind), 16)
    assert caught is None
    assert executed == 16


def test_every_protocol_has_its_control() -> None:
    assert {topology.protocol.kind for topology in controls()} == set(TRIALS)


@pytest.mark.long
@pytest.mark.parametrize("kind", list(TRIALS))
def test_on_what_ships_too_the_protocol_itself_is_not_caught(kind: str) -> None:
    topology, cases = on_trial(kind)
    for made in (topology, *(case for case in cases.values() if case.protocol.kind == kind)):
        assert trial._catch(Sound(made), unchanged(kind), 20)[0] is None


SAFE = [("tree_convergence", 100), ("chandy_lamport", 30)]


@pytest.mark.parametrize(("kind", "budget"), SAFE, ids=[kind for kind, _ in SAFE])
def test_what_promises_most_shows_nothing_bad_after_one_strike_or_two(kind: str, budget: int) -> None:
    """Not only nothing new: of these no crash, lost frame or straggler makes anything bad."""
    topology, _ = on_trial(kind)
    tried = list(trial._followed(plan(topology), budget))
    assert len(tried) == budget + 1
    assert not [said for followed in tried for said in followed.shown.values()]


def test_a_mutation_without_what_it_needs_has_not_survived_and_says_what_is_missing() -> None:
    """Negative control: without a volatile cache a dropped Flush is no mistake."""
    protected = {**builders.NVME, "plp": True}
    made = builders.machine(1, 1, size="100MB", nvme=protected, protocol={"kind": "in_place", "replace": "rename"})
    by_name = {mutant.name: mutant for mutant in mutants(made, budget=4)}
    assert by_name["not_flushed"].catcher is None
    assert not by_name["not_flushed"].survived
    assert by_name["not_flushed"].lacks == ("a volatile cache that keeps what it completed",)
    assert by_name["ranks_not_awaited"].lacks == ("several ranks",)
    assert by_name["renamed_before_sync"].catcher is not None
    holding = builders.machine(1, 1, size="100MB", nvme=HOLDING, protocol={"kind": "in_place", "replace": "rename"})
    assert next(mutant for mutant in mutants(holding, budget=4) if mutant.name == "not_flushed").catcher is not None


LACKING = [
    ("abstract-uniform", "renamed_before_sync"),
    ("plp-or-not", "stale_ack_counted"),
    ("tree-convergence", "wait_skipped"),
    ("two-versions", "label_ignored"),
]


@pytest.mark.parametrize(("name", "mutation"), LACKING)
def test_what_lacks_something_is_not_caught_when_it_is_looked_for_all_the_same(name: str, mutation: str) -> None:
    """So the needs that are named are needed."""
    topology = load(TOPOLOGIES / f"{name}.yaml")
    known = Protocol.registry[topology.protocol.kind].MUTATIONS[mutation]
    sound = Sound(topology)
    assert missing(sound.made, known.needs)
    assert trial._catch(sound, known, 12)[0] is None


def test_needs_are_known_and_each_is_missing_somewhere() -> None:
    builders.load_kinds()
    needs = {need for kind in Protocol.registry.values() for one in kind.MUTATIONS.values() for need in one.needs}
    named = {need for need in needs if need.partition(".")[0] not in ("protocol", "workload")}
    assert named == set(NEEDS)
    two = linked(2, "line", workload={"first": "2s"})
    poor = {
        "manifest": builders.abstract(1, protocol={"kind": "manifest", "keep": 1, "prune": "before_commit",
                                                   "message_delay": "1ms"}, workload={"in_flight": {"max": 1}}),
        "memory_replicas": builders.machine(1, 1, into="dram", sync="completion", protocol={"kind": "memory_replicas"}),
        "chandy_lamport": builders.abstract(2, protocol={"kind": "chandy_lamport", "message_delay": "1ms"}),
        "tree_convergence": two,
    }  # fmt: skip
    lacking = {
        need
        for kind, topology in poor.items()
        for need in missing(plan(topology, 2), sorted(n for one in Protocol.registry[kind].MUTATIONS.values()
                                                      for n in one.needs))
    }  # fmt: skip
    assert lacking >= named


def test_the_table_of_mutations_tells_by_its_status_whether_any_survives(
    capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert status_of(["explore", "abstract-uniform", "--mutations", "--budget", "2", "--jobs", "2", "--json"]) == 0
    told = {one["mutation"]: one for one in json.loads(capfd.readouterr().out)}
    assert list(told) == list(Protocol.registry["in_place"].MUTATIONS)
    assert told["ranks_not_awaited"]["caught_by"]
    assert told["renamed_before_sync"]["lacks"] == ["protocol.replace: rename"]
    assert not any(one["survived"] for one in told.values())
    monkeypatch.setitem(Protocol.registry["in_place"].MUTATIONS, "none", unchanged("in_place"))
    assert status_of(["explore", "abstract-uniform", "--mutations", "--budget", "2", "--jobs", "1"]) == 1
    text = " ".join(capfd.readouterr().out.split())
    assert "1 of 4 mutations of in_place are caught, 1 SURVIVED; 2 cannot show" in text
    assert "for want of: protocol.replace: rename" in text
    assert status_of(["explore", "abstract-uniform", "--mutations", "--budget", "2", "--format", "markdown"]) == 1
    assert "| none | nothing is left out | **SURVIVED" in capfd.readouterr().out
    assert status_of(["explore", "link-pair", "--mutations"]) == 2
    assert "takes no checkpoints" in capfd.readouterr().err


# histories


def small() -> Plan:
    return plan(builders.machine(1, 2, size="100MB", nvme=HOLDING, protocol={"kind": "in_place"}), 2)


def executed(made: Plan, history: tuple[Step, ...]) -> frozenset[str]:
    """The bad outcomes of the last recovery of a history whose strikes are all executed."""
    run = Execution(made.topology, made.window.latency_ps, made.protocol)
    for step in history:
        run.advance(step.after)
        assert not isinstance(step.what, Disturbance)
        run.strike(step.what, Resolution())
    ending = run.finish()
    return frozenset(str(outcome) for outcome in ending.asked[-1].outcomes if outcome in BAD)


@pytest.mark.parametrize("number", range(4))
def test_a_second_crash_that_is_executed_ends_as_was_foreseen_of_it(number: int) -> None:
    """Brute force: every second crash after one first crash, everything struck at once, so that nobody goes on."""
    made = small()
    everything = made.targets[0]
    firsts = [history for history in first_strikes(made) if history[0].what == everything]
    first = firsts[number * (len(firsts) - 1) // 3]
    followed = follow(made, first)
    foreseen = {one.what for one in followed.shown if len(one.struck) == 2 and one.struck[1] == str(everything)}
    shown: set[str] = set()
    for mark in followed.marks:
        shown |= executed(made, (*first, Step(mark.step, everything)))
    assert shown == foreseen


def test_a_history_without_a_strike_shows_what_the_plan_foresees() -> None:
    made = small()
    planned = {
        (str(outcome), str(target))
        for target, seen in zip(made.targets, made.foreseen, strict=True)
        for point in seen or ()
        for outcome in point.outcomes
        if outcome in BAD
    }
    assert {(one.what, one.struck[-1]) for one in at_rest(made).shown if one.struck} == planned != set()


def test_a_history_goes_on_until_a_checkpoint_that_began_after_its_last_strike_is_acknowledged() -> None:
    made = small()
    for history in first_strikes(made)[:6]:
        followed = follow(made, history)
        run = Execution(made.topology)
        run.advance(followed.marks[0].step)
        assert followed.marks[0].step == history[0].after
        assert followed.marks[-1].step > history[0].after


def test_strikes_of_one_kind_are_named_alike_and_every_history_is_tried_once() -> None:
    made = plan(linked(2, "line", persist={"constant": "50ms"}, workload={"first": "100ms"}), 1)
    firsts = first_strikes(made)
    followed = [follow(made, history) for history in firsts]
    twos = [history for one in followed for history in struck_again(made, one)]
    assert len(set(firsts)) == len(firsts)
    assert len(set(twos)) == len(twos)
    tried = [one.history for one in trial._followed(made, 10**6)]
    assert Counter(tried) == Counter([(), *firsts, *twos])
    assert all(struck_again(made, Followed(history, {}, ())) == [] for history in twos[:3])


def test_what_the_protocol_shows_is_known_by_the_name_of_every_crash_also_where_another_stands_for_it() -> None:
    """Brute force: every crash executed by itself."""
    topology = builders.machine(1, 2, size="100MB", nvme=HOLDING, protocol={"kind": "in_place"})
    sound = Sound(topology)
    stood_for = 0
    for target in sound.made.targets:
        shown: dict[tuple[str, str], None] = {}
        for point in sound.made.window.points[::4]:
            history = (Step(point.step, target),)
            stood_for += history not in first_strikes(sound.made)
            for one in follow(sound.made, history).shown:
                shown[one.what, one.struck[-1]] = None
        known = {(one.what, one.struck[-1]) for one in sound._showing((str(target),))}
        assert shown.keys() <= known
        assert all(one.struck[0] == str(target) for one in sound._showing((str(target),)))
    assert stood_for


def test_the_budget_is_kept_and_spread_over_one_strike_and_two() -> None:
    made = small()
    tried = [one.history for one in trial._followed(made, 10)]
    assert Counter(map(len, tried)) == {0: 1, 1: 5, 2: 5}
    assert [one.history for one in trial._followed(made, 0)] == [()]


@given(st.lists(st.integers(), unique=True, max_size=200))
def test_spread_is_an_order_of_the_same_with_every_beginning_all_over_it(items: list[int]) -> None:
    found = spread(items)
    assert sorted(found) == sorted(items)
    for count in (4, 16):
        if len(items) >= 2 * count:
            places = sorted(items.index(item) for item in found[:count])
            assert max(b - a for a, b in itertools.pairwise([*places, len(items)])) <= 2 * len(items) // count + 2


def test_in_turn_takes_one_of_each() -> None:
    assert in_turn([[1, 2, 3], [], [4]]) == [1, 4, 2, 3]


def test_the_checkpoint_looked_at_is_one_in_which_all_is_done_that_a_protocol_does() -> None:
    made = load(TOPOLOGIES / "memory-replicas.yaml")
    assert steady_checkpoint(made) == 12
    assert any(row[1] == "sent" and row[10] == "stored" for row in plan(made).window.trace.rows[-60:])
    assert steady_checkpoint(load(TOPOLOGIES / "quickstart.yaml")) == 3


# disturbances


def disturbed(kind: str, number: int = 0) -> Iterator[Any]:
    """A run of two cells in which the nth possible disturbance of a kind has struck, and the run before it went on."""
    topology = linked(2, "line", slow={0: {"constant": "300ms"}, 1: {"constant": "10ms"}}, link={"delay": "1ms"},
                      protocol={"root": "d0", "resend": "50ms"}, horizon="20s")  # fmt: skip
    run = Execution(topology)
    disturber = Disturber(run.simulation)
    count = 0
    while True:
        run.advance(run.steps + 1)
        for found in disturber.possible(saves_follow=run.steps == 1):
            if found.kind == kind:
                if count == number:
                    disturber.strike(found)
                    yield run, found
                    return
                count += 1


@pytest.mark.parametrize("kind", [FRAME_LOST, FRAME_TWICE, FRAME_AGAIN])
def test_a_frame_that_goes_astray_is_counted_and_nothing_else_is_lost(kind: str) -> None:
    ((run, found),) = disturbed(kind, 3)
    (link,) = run.simulation.building.bilateral.values()
    sender = found.label.partition("@")[2]
    run.env.run(until=10 * builders.PS)
    for end, wire in link.channel.wires.items():
        told = wire.figures()
        more = sum(told["faults"].values())
        assert told["sent"] + more == told["delivered"] + sum(told["dropped"].values())
        assert more == (end == sender and kind != FRAME_LOST)
        assert told["dropped"].get("struck", 0) == (end == sender and kind == FRAME_LOST)
    committed = [row[6] for row in run.rows if row[1] == "epoch_committed"]
    assert committed == list(range(1, len(committed) + 1))
    assert len(committed) >= 8


def test_what_comes_again_is_the_last_other_frame() -> None:
    ((run, found),) = disturbed(FRAME_AGAIN, 1)
    link, _, sender = found.label.partition("@")
    wire = run.simulation.building.bilateral[link].channel.wires[sender]
    newest, again = (octets for _, _, octets in wire.under_way()[-2:])
    assert newest != again


def test_a_rank_that_is_held_up_saves_two_intervals_late_until_its_processes_end() -> None:
    made = builders.abstract(2, {"constant": "10ms"}, workload={"in_flight": {"max": 9}})
    run = Execution(made)
    run.disturb(Disturbance(HELD_UP, "d1"), Disturber(run.simulation))
    run.env.run(until=int(4.5 * builders.PS))
    saved = {
        name: [row[0] / builders.PS for row in run.rows if row[1] == "persisted" and row[2] == name]
        for name in ("d0", "d1")
    }
    assert saved == {"d0": [1.01, 2.01, 3.01, 4.01], "d1": [3.01, 4.01]}
    everything = plan(made, 2).targets[0]
    run.strike(everything, Resolution())
    run.finish()
    assert not run.simulation.building.job.held_up

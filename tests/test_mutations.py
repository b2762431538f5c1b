"""Mutations of protocols are caught by the sweep, or by a checker, in a world where the protocol is sound."""

from __future__ import annotations

from typing import Any

import pytest
import test_chandy_lamport
import test_manifest_copies
import test_memory_replicas
import test_two_phase
import test_two_versions
from builders import abstract, fault, load_kinds
from converging import linked
from sweeping import mutated, outcomes, unsafe

from hwsim.checkers import check_all
from hwsim.converging import adopted_with_neighbours
from hwsim.outcomes import Outcome
from hwsim.protocol import Protocol
from hwsim.simulation import simulate
from hwsim.topology.spec import Topology
from hwsim.trace import Trace
from hwsim.verdicts import Value

LONG = {"uniform": ["0s", "1900ms"]}
MANIFEST = {"kind": "manifest", "message_delay": "10ms", "manifest": {"persist": "5ms"}}


def four(name: str) -> Topology:
    slow = {"node2/gpu": {"d2h": "5GB/s"}} if name == "wait_skipped" else {}
    return test_memory_replicas.made(4, "group/2", ("horizon", "3min"), ("override", slow))


def late() -> Topology:
    """Acknowledgements of one checkpoint come after the next has begun."""
    return abstract(4, LONG, horizon="60s", protocol=MANIFEST, workload={"in_flight": {"max": 3}})


def tree(**rest: Any) -> Topology:
    """Two domains far apart: the root is slow to save, the other is slow to hear."""
    crashes = [
        fault("power_loss", [("d1",)], name=f"c{n}", at=at, restore_after="20ms")
        for n, at in enumerate(rest.pop("crashes", ("3.1s", "12.3s")))
    ]
    link = {"delay": "400ms", **rest.pop("link", {})}
    return linked(
        2, "line", slow={0: {"constant": "300ms"}, 1: {"constant": "10ms"}}, link=link, faults=crashes, horizon="16s",
        protocol={"root": "d0", **rest.pop("protocol", {})}, workload={"interval": "3s", "first": "10ms"},
    )  # fmt: skip


# an old report comes once more, behind one that is said again while the answer to it is under way
REPLAY = {"script": [{"nth": 14, "way": "reverse", "do": "replay", "of": 12}]}
FAR_END_LATE = linked(3, "line", slow={2: {"constant": "2500ms"}}, workload={"in_flight": {"max": 5}}, horizon="20s")


# (kind, mutation) -> the world in which it is looked for, and the crash case that shows it
WORLDS: dict[tuple[str, str], tuple[Topology, int]] = {
    **{("chandy_lamport", name): (test_chandy_lamport.made(), 0) for name in (
        "marker_reordered", "marker_late", "channel_unrecorded", "done_before_flush", "record_unforced")},
    ("manifest", "ack_before_flush"): (abstract(4, horizon="40s", protocol=MANIFEST), 0),
    ("manifest", "stale_ack_counted"): (late(), 0),
    **{("manifest", name): (test_manifest_copies.made("majority", ("m2",)), 1) for name in ("one_copy", "read_first")},
    **{("memory_replicas", name): (four(name), case) for name, case in (
        ("wait_skipped", 1), ("acknowledged_early", 1), ("dropped_early", 1))},
    **{("two_phase", name): (test_two_phase.made(), 0) for name in (
        "vote_before_flush", "decision_unforced", "wait_skipped", "prune_before_decision", "prepared_unforced",
        "committed_unforced")},
    ("two_phase", "stale_vote_counted"): (test_two_phase.made(persist=LONG, workload={"in_flight": {"max": 3}}), 0),
    ("two_versions", "label_ignored"): (test_two_versions.made("attempt", protocol={"discard": False}), 0),
    ("two_versions", "discard_skipped"): (test_two_versions.made(), 0),
    ("two_versions", "one_slot"): (test_two_versions.made(faults=False), 0),
    ("two_versions", "wait_skipped"): (test_two_versions.made(faults=False, persist=LONG), 0),
    ("two_versions", "acknowledged_early"): (test_two_versions.made(faults=False), 0),
    ("tree_convergence", "label_ignored"): (tree(crashes=("3.1s", "4.3s")), 0),
    ("tree_convergence", "generation_ignored"): (tree(link=REPLAY, protocol={"resend": "100ms"}), 0),
    ("tree_convergence", "generation_volatile"): (tree(crashes=("3.5s", "9.5s")), 0),
    ("tree_convergence", "one_slot"): (linked(3, "line", horizon="20s"), 0),
    ("tree_convergence", "report_confused"): (tree(protocol={"resend": "50ms"}), 0),
    **{("tree_convergence", name): (FAR_END_LATE, 0) for name in ("wait_skipped", "neighbours_only")},
}  # fmt: skip
# it mixes as it is, so what is caught of these is what a checker says
PAIRWISE = ("wait_skipped", "told_before_flush", "busy_skipped")
ELSEWHERE = {("memory_replicas", "stored_one_dropped"), ("memory_replicas", "replicas_not_restored")}


def caught(trace: Trace, case: int) -> bool:
    return unsafe(trace, case) > 0 or any(verdict.value is Value.VIOLATED for verdict in check_all([trace]))


@pytest.mark.parametrize(("kind", "name"), list(WORLDS))
def test_a_mutation_is_caught_and_its_protocol_is_not(kind: str, name: str) -> None:
    topology, case = WORLDS[kind, name]
    assert topology.protocol.kind == kind
    assert not caught(simulate(topology), case)
    assert caught(mutated(topology, name), case)


def test_a_stored_checkpoint_that_is_dropped_too_early_is_missed_when_all_power_goes() -> None:
    topology = four("stored_one_dropped")
    sound, broken = (
        outcomes(trace)[Outcome.SILENT_RESTART]
        for trace in (simulate(topology), mutated(topology, "stored_one_dropped"))
    )
    assert broken > sound + 0.001


def test_copies_that_no_recovery_puts_back_are_missed_by_the_next_crash() -> None:
    faults = [
        {"name": f"f{n}", "at": at, "kind": "power_loss", "target": f"node{n}", "restore_after": "500ms"}
        for n, at in enumerate(("15s", "17s"))
    ]
    topology = test_memory_replicas.made(4, "group/2", ("faults", faults), ("horizon", "19s"))
    sound, broken = (
        [row.epoch for row in trace if row.event == "recovered"]
        for trace in (simulate(topology), mutated(topology, "replicas_not_restored"))
    )
    assert (sound, broken) == ([1, 1], [1, 0])


@pytest.mark.parametrize("name", PAIRWISE)
def test_an_adoption_too_early_is_caught_by_what_neighbours_hold(name: str) -> None:
    topology = linked(4, "ring", "bilateral_pairwise", horizon="20s")
    assert adopted_with_neighbours(simulate(topology)).value is Value.HOLDS
    assert adopted_with_neighbours(mutated(topology, name)).value is Value.VIOLATED


def test_every_world_is_of_a_mutation() -> None:
    """`test_mutants` has all of them; these are caught in a plain run too, without a search."""
    load_kinds()
    registered = {(kind, name) for kind, protocol in Protocol.registry.items() for name in protocol.MUTATIONS}
    assert set(WORLDS) | ELSEWHERE | {("bilateral_pairwise", name) for name in PAIRWISE} <= registered
    for protocol in Protocol.registry.values():
        assert all(
            mutation.what and mutation.protocol.kind == protocol.kind for mutation in protocol.MUTATIONS.values()
        )

"""Merged crashes show what each shows alone: brute force on small worlds, one for each thing that breaks a symmetry."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import builders
import pytest

from hwsim.contents import encode
from hwsim.explore import merging, slack, touched
from hwsim.explore.execution import BAD, Ending, Execution, Resolution
from hwsim.explore.merging import alike, holds
from hwsim.explore.search import Plan, plan, search, tasks_of
from hwsim.explore.state import token
from hwsim.explore.tally import tally
from hwsim.explore.touched import Watch, reach
from hwsim.outcomes import Handed
from hwsim.protocol import Protocol
from hwsim.protocols.manifest import Manifest
from hwsim.recovery import DurableState
from hwsim.rules import RULES
from hwsim.simulation import Simulation
from hwsim.topology.spec import FaultSpec, Topology, WhatIfSpec

LATE = {"restart": {"detect": "3s"}}
SOON = {"restart": {"detect": "40ms"}}  # while survivors still write
HOLDING = {**builders.NVME, "cache_hold": "1s"}
LINK = {"rate": "400Gb/s", "delay": "500ns"}
DELAYED = {"kind": "manifest", "message_delay": "10ms", "manifest": {"persist": "5ms"}}

Strike = tuple[int, int]
Shown = tuple[object, ...]


def ring(nodes: int = 2, gpus: int = 2, **rest: Any) -> Topology:
    """Nodes that save to their own drive and to the next node's, in a job that learns of a crash after a while."""
    workload = {**LATE, **rest.pop("workload", {})}
    return builders.machine(nodes, gpus, size="100MB", replica=1, workload=workload, **rest)


def slower(made: Topology, name: str, **figures: Any) -> Topology:
    """The same with other figures for one device."""
    spec = made.devices[name]
    nvme = builders.device(name, spec.kind, spec.node, **{**builders.NVME, **figures})
    return dataclasses.replace(made, devices={**made.devices, name: nvme})


def slow_link(made: Topology) -> Topology:
    first, *others = made.links
    params = first.params.model_copy(update={"rate": first.params.rate // 100})
    return dataclasses.replace(made, links=(dataclasses.replace(first, params=params), *others))


def worlds() -> Mapping[str, Topology]:
    gone = WhatIfSpec("gone", "media_loss", (("node1/nvme", ("node1/nvme",)),))
    slow = FaultSpec(
        name="slow", kind="slow", targets=(("node1/nvme",),), target_names=("node1/nvme",), at_ps=builders.PS,
        latency=3.0,
    )  # fmt: skip
    return {
        "alike": ring(1, 2),
        "ring": ring(2, 1),
        "ring-soon": ring(2, 1, workload=SOON),
        "drive": slower(ring(2, 1), "node1/nvme", write="1GB/s", drain="500MB/s"),
        "link": slow_link(ring(2, 1)),
        "coordinator": ring(2, 1, coordinator="node1/gpu0"),
        "rack": ring(2, 1, failure_domains={"rack": ("node0/nvme", "node1/host")}),
        "what-if": ring(2, 1, what_if=[gone]),
        "fault": ring(2, 1, faults=[slow]),
        "held-cache": ring(2, 1, nvme=HOLDING),
        "page-cache": ring(2, 1, into="page_cache"),
        "in-place": ring(2, 1, protocol={"kind": "in_place"}),
        "two-phase": ring(2, 1, protocol={"kind": "two_phase"}),
        "keep-grid": ring(2, 1, workload={"after_recovery": "keep_grid"}),
        "abstract": builders.abstract(3, protocol=DELAYED, workload={"restart": {"detect": "50ms"}}),
        "at-once": builders.machine(2, 1, size="100MB", replica=1),
        "protected": builders.machine(1, 2, size="100MB", nvme={**builders.NVME, "plp": True}),
        "protected-in-place": builders.machine(
            1, 2, size="100MB", nvme={**builders.NVME, "plp": True}, protocol={"kind": "in_place"}
        ),
        "no-flush": builders.machine(1, 2, size="100MB", sync="completion", nvme=HOLDING),
    }


SHORT = {"alike", "abstract", "protected", "protected-in-place", "no-flush"}
WORLDS = [pytest.param(name, marks=[] if name in SHORT else [pytest.mark.long]) for name in worlds()]


def shown(ending: Ending) -> Shown:
    """What one execution shows: outcomes, whether it works again, broken checkers, the states that it came through.

    Of one that the job rode through: when it ended, after how many rows.
    """
    broken = not ending.outcomes & set(BAD) and {name for name, _ in ending.broken}
    return ending.outcomes, ending.liveness, broken, ending.states or (ending.rows, ending.end_ps)


def by_itself(made: Plan) -> dict[Strike, Ending]:
    """Every strike, executed by itself."""
    return {task[:2]: ending for task, ending in search(made, budget=10**9, merge=False).done}


def unlike(made: Plan) -> list[tuple[Strike, Strike]]:
    """Strikes that are merged with one which shows something else, by brute force.

    The states have to be the same too, but where strikes are merged by what they leave, and volatile caches may have
    drained further until all serve again.
    """
    drains = any(spec.kind == "nvme" and not spec.params.plp for spec in made.topology.devices.values())
    alone = by_itself(made)
    found = search(made, budget=10**9)
    ended = {task[:2]: ending for task, ending in found.done}
    wrong = []
    for strike, task in found.task_of.items():
        by_what_is_left = made.stops[strike[1]] and (made.alone[strike[1]] or not made.late)
        mine, other = shown(alone[strike]), shown(alone[task[:2]])
        same = mine[:3] == other[:3] if by_what_is_left and drains else mine == other
        if not same or mine[:3] != shown(ended[task[:2]])[:3]:
            wrong.append((strike, task[:2]))
    return wrong


@pytest.mark.parametrize("name", WORLDS)
def test_whatever_is_merged_shows_the_same_by_itself(name: str) -> None:
    """Not the outcome alone: the very states in which recovery asks, and from which the job goes on."""
    made = plan(worlds()[name], 2)
    assert len(set(tasks_of(made).values())) < len(made.window.points) * len(made.targets)
    assert not unlike(made)


# a merge that is wrong is caught


def _reaches_nothing(_hit: frozenset[str], _under_way: object) -> frozenset[str]:
    return frozenset()


def _deletes_everything(_self: Protocol, _handed: Handed, _slot: str) -> bool:
    return True


class _KeepsAll(Manifest):
    """A recovery that leaves what it should delete."""

    def resume(self, handed: Handed) -> None:
        """Nothing is done."""


def test_a_protocol_that_resumes_otherwise_is_not_taken_to_delete_what_it_did() -> None:
    made = worlds()["protected"]
    built = Simulation(made)
    deletes = _KeepsAll.deletes, Manifest.deletes
    assert [one(built.protocol, Handed("whole", 2), "3") for one in deletes] == [False, True]
    assert not Manifest.deletes(built.protocol, Handed("whole", 2), "2")
    assert not Manifest.deletes(built.protocol, Handed("mixed"), "3")
    assert Manifest.deletes(built.protocol, Handed("refused"), "1")


def _from_the_first_point(_self: object, _hit: frozenset[str]) -> int:
    return 0


def _never(*_: object) -> bool:
    return False


@pytest.mark.parametrize(
    ("world", "wrong"),
    [
        ("alike", {(merging, "reach"): _reaches_nothing}),
        ("alike", {(merging._Merge, "_noticed_until"): _from_the_first_point, (merging, "_noticed"): _never}),
        ("protected-in-place", {(Protocol, "deletes"): _deletes_everything}),
    ],
    ids=["order", "notice", "deletes"],
)
def test_a_merge_by_a_wrong_key_is_caught(
    world: str, wrong: Mapping[tuple[Any, str], Callable[..., Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control of the brute force: whatever a strike touches, whoever notices it, whatever recovery finds."""
    for (owner, name), instead in wrong.items():
        monkeypatch.setattr(owner, name, instead)
    assert unlike(plan(worlds()[world], 2))


def test_an_expectation_that_does_not_hold_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    """A GPU of which nobody takes notice is expected to be like any other; one that writes from it is not."""
    made = plan(worlds()["alike"], 2)
    gpus = [index for index, target in enumerate(made.targets) if target.kind == "gpu_reset"]
    likes = alike(made)
    expected = {strike: like for strike, like in likes.items() if like.unnoticed and strike != like.of}
    assert {strike[1] for strike in expected} & set(gpus)
    strike, like = next(iter(expected.items()))
    hit = made.hits[strike[1]]
    ending = Ending((), slack_ps=10**18, touched=frozenset(("sw",)))
    assert holds(made, strike, like, ending)
    assert not holds(made, strike, like, dataclasses.replace(ending, touched=hit))
    assert not holds(made, strike, like, dataclasses.replace(ending, touched=None))
    later = like._replace(later_ps=5)
    assert not holds(made, strike, later, dataclasses.replace(ending, slack_ps=4))
    assert holds(made, strike, later, dataclasses.replace(ending, slack_ps=5))
    again = alike(made, {strike})
    assert again[strike].of == strike
    monkeypatch.setattr(merging, "holds", lambda _made, one, like, _ending: one == like.of or not like.unnoticed)
    found = search(made, budget=10**9)
    assert len(found.done) == len(found.tasks)
    for one in expected:
        of = found.task_of[one][:2]
        assert of[1] == one[1], "executed for its own target"


# what a strike touches


@pytest.mark.parametrize("name", ["alike", "ring", "held-cache", "abstract"])
def test_a_strike_touches_no_more_than_is_said(name: str) -> None:
    """Beside that, the other ends of the lines of what it hits, and the stores of the operations that it ends.

    Whatever touches those lines touches what is said too; and of a store it is the part of the operation that counts.
    """
    made = plan(worlds()[name], 2)
    assert not all(point.since_last.shared for point in made.window.points)
    for number in range(1, len(made.window.points), 6):
        point = made.window.points[number]
        for index, target in enumerate(made.targets):
            if target.kind == "kernel_crash":  # it looks at every device for those of its node
                continue
            run = Execution(made.topology, made.window.latency_ps)
            run.advance(point.step)
            watch, striker = Watch(run.simulation), run.simulation.striker
            fault = target.fault(run.world, run.outage_ps)
            striker.struck[fault.name] = 0
            watch.of_others()
            before = len(run.rows)
            striker.strike(fault, 0)
            assert len(run.rows) > before
            noted = watch.of_others()
            said = reach(made.hits[index], point.under_way)
            lines = {end for link in made.topology.links for end in (link.a, link.b) if {link.a, link.b} & said}
            ended = [placed for placed in run.simulation.building.job.parts if f"part {placed.name}" in said]
            stores = {placed.device for placed in ended} | made.hits[index]
            stores |= {run.world.domains[name].host for name in stores}
            assert noted is not None
            others = {name for name in noted - said - lines - stores if not name.startswith("part ")}
            assert not others, (number, str(target))


def test_what_is_known_by_the_name_of_its_callback_has_that_name() -> None:
    made = plan(worlds()["held-cache"], 2)
    run = Execution(made.topology, made.window.latency_ps)
    run.advance(made.window.points[len(made.window.points) // 2].step)
    run.strike(made.targets[0], Resolution())
    seen = set()
    for _ in range(1000):
        seen |= {getattr(callback, "__qualname__", "") for callback in run.env._queue[0][3].callbacks or ()}
        run.env.step()
    assert touched._SHARED | {touched._RESTORING, slack._DETECTING} <= seen


def test_what_survivors_touch_is_all_of_it_where_it_cannot_be_told() -> None:
    """RDMA into memory keeps state of its own: nothing is merged there by order, or because nobody notices."""
    workload = {"restart": {"detect": "3s"}}
    made = plan(builders.machine(2, 1, size="100MB", into="dram", sync="ack", replica=1, workload=workload), 2)
    assert all(point.since_last.shared for point in made.window.points)
    likes = alike(made)
    assert all(like.of == strike for strike, like in likes.items() if not made.alone[strike[1]])


def test_results_do_not_depend_on_how_many_processes_there_are_where_it_is_noticed_late() -> None:
    made = plan(worlds()["alike"], 2)
    one, _ = tally(made, search(made, budget=60, jobs=1), crashes=1)
    three, _ = tally(made, search(made, budget=60, jobs=3), crashes=1)
    assert one == three


def test_what_the_budget_leaves_out_is_judged_as_if_noticed_at_once_and_the_coverage_says_so() -> None:
    made = plan(worlds()["alike"], 2)
    told, _ = tally(made, search(made, budget=20), crashes=1)
    assert told["as_if_noticed"] > 0
    assert f"but {told['as_if_noticed']:,} only as if the job noticed the crash at once" in told["coverage"]
    assert "it does after 3 s" in told["coverage"]
    told, _ = tally(made, search(made, budget=10**6), crashes=1)
    assert told["as_if_noticed"] == 0
    assert "as if" not in told["coverage"]
    assert told["coverage"].startswith("exhaustive")
    at_once = plan(worlds()["no-flush"], 2)
    told, _ = tally(at_once, search(at_once, budget=2), crashes=1)
    assert told["as_if_noticed"] == 0


# what recovery would find, kept current


@pytest.mark.parametrize("name", ["held-cache", "page-cache", "in-place", "abstract"])
def test_what_recovery_would_find_is_at_every_point_what_lies_there(name: str) -> None:
    made = plan(worlds()[name], 2)
    run = Execution(made.topology, made.window.latency_ps)
    protocol, holdings = run.protocol, run.world.holdings
    for point in made.window.points:
        run.advance(point.step)
        fresh = DurableState.holding(run.simulation.building.job.trace_parts, holdings.found())
        kept = run._found.state()
        assert RULES[protocol.rule](kept, protocol.rule_params()) == RULES[protocol.rule](fresh, protocol.rule_params())
        assert kept.written() == fresh.written()
        number = 0
        for (part, slot), entry in holdings.entries().items():
            for place, contents in entry.items():
                number ^= token(part, slot, place, encode(contents), False)
        assert run._found.number({}, None) == number

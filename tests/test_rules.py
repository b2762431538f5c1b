"""Recovery rules of protocols with more than a record, against brute force over a naive reader."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_reader import Key, brute, logs_of, parts_of

from hwsim.contents import NOTHING, TORN, Contents, either, whole
from hwsim.outcomes import Handed
from hwsim.recovery import DurableState
from hwsim.rules import RULES
from hwsim.trace import Part

LOGS = {"decision": "decision", "prepared": ["prepared0", "prepared1"], "committed": ["committed0", "committed1"]}


def doubtful(draw: st.DrawFn, keys: list[tuple[Key, list[int]]], doubts: int = 6) -> dict[Key, Contents]:
    """Every key with one of its members, and a few of them with several."""
    may: dict[Key, Contents] = {}
    for key, members in keys:
        size = draw(st.sampled_from([1, 1, 1, 2, 3])) if doubts > 0 else 1
        doubts -= size > 1
        may[key] = frozenset(draw(st.permutations(members))[:size])
    return may


@st.composite
def two_slots(draw: st.DrawFn) -> tuple[list[Part], dict[Key, Contents]]:
    parts = parts_of(draw(st.integers(1, 3)), draw(st.integers(1, 2)), 0)
    lies = [
        ((part.name, slot), [NOTHING, TORN, *([1, 3, 5] if slot == "1" else [2, 4, 6])])
        for part in parts
        for slot in ("0", "1")
    ]
    return parts, doubtful(draw, lies)


@settings(max_examples=400, deadline=None)
@given(
    two_slots(), st.sampled_from(["number", "attempt"]), st.sampled_from([{}, {3: 1, 4: 2, 5: 3, 6: 2}, {5: 3, 6: 4}])
)
def test_two_versions_return_exactly_what_some_resolution_gives(
    world: Any, labels: str, numbers: dict[int, int]
) -> None:
    parts, may = world
    state = DurableState.holding(parts, may)
    for epoch, number in numbers.items():
        state.number(epoch, number)
    params = {"labels": labels}
    assert RULES["two_versions"](state, params) == brute("two_versions", params, parts, may, numbers)


@st.composite
def fresh_slots(draw: st.DrawFn, logs: bool) -> tuple[list[Part], dict[Key, Contents]]:
    parts = parts_of(2, draw(st.integers(1, 2)), 0)
    lies = [((part.name, slot), [int(slot), NOTHING, TORN]) for part in parts for slot in ("1", "2", "3")]
    if logs:
        parts += logs_of(2)
        lies = [(key, draw(st.sampled_from([members, members[:1]]))) for key, members in lies]
        lies += [((log.name, slot), [int(slot), NOTHING, TORN]) for log in logs_of(2) for slot in ("2", "3")]
        lies.append((("decision", "0"), [0, NOTHING]))
    return parts, doubtful(draw, lies)


@settings(max_examples=300, deadline=None)
@given(fresh_slots(logs=False))
def test_memory_replicas_return_exactly_what_some_resolution_gives(world: Any) -> None:
    parts, may = world
    assert RULES["memory_replicas"](DurableState.holding(parts, may), {}) == brute("memory_replicas", {}, parts, may)


@settings(max_examples=400, deadline=None)
@given(fresh_slots(logs=True))
def test_two_phase_returns_exactly_what_some_resolution_gives(world: Any) -> None:
    parts, may = world
    assert RULES["two_phase"](DurableState.holding(parts, may), LOGS) == brute("two_phase", LOGS, parts, may)


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 5),
            st.sampled_from(["0", "1"]),
            st.one_of(st.none(), st.frozensets(st.integers(-2, 4), min_size=1, max_size=3)),
        ),
        max_size=25,
    ),
    st.sampled_from(["number", "attempt"]),
)
def test_patterns_kept_current_equal_those_built_anew(changes: list[Any], labels: str) -> None:
    parts = parts_of(3, 2, 0)
    kept, latest = DurableState(parts, weights={1: 3}), {}
    kept.patterns()
    for which, slot, contents in changes:
        kept.set(parts[which].name, slot, contents)
        latest[parts[which].name, slot] = contents
    anew = DurableState(parts, weights={1: 3})
    for (part, slot), contents in latest.items():
        anew.set(part, slot, contents)
    assert kept.patterns() == anew.patterns()
    assert sum(kept.patterns().values()) == 5
    assert kept.held_by_all() == anew.held_by_all()
    assert RULES["two_versions"](kept, {"labels": labels}) == RULES["two_versions"](anew, {"labels": labels})


def test_a_weight_stands_for_shards_that_resolve_by_themselves() -> None:
    part = Part("shard0", 0, 0, "gpu0", "d0", ("d0:media",), 10)
    for ranks, expected in (
        (1, {Handed("whole", 1), Handed("whole", 3)}),
        (2, {Handed("whole", 1), Handed("whole", 3), Handed("refused")}),
    ):
        state = DurableState([part], weights={0: ranks})
        state.set("shard0", "1", either(1, 3))
        assert RULES["two_versions"](state, {}) == expected


def test_a_number_used_twice_is_loaded_whoever_wrote_it_and_an_attempt_is_not() -> None:
    parts = parts_of(2, 1, 0)
    held = {("shard0", "1"): whole(1), ("shard0", "0"): whole(2), ("shard1", "1"): whole(1), ("shard1", "0"): whole(3)}
    state = DurableState.holding(parts, held)
    assert RULES["two_versions"](state, {}) == {Handed("refused")}  # one that nobody else has
    state.number(3, 2)  # both attempts at the second step
    assert RULES["two_versions"](state, {}) == {Handed("mixed")}
    assert RULES["two_versions"](state, {"labels": "attempt"}) == {Handed("whole", 1)}


def test_a_lag_of_two_leaves_no_common_version() -> None:
    parts = parts_of(2, 1, 0)
    held = {("shard0", "0"): whole(4), ("shard0", "1"): whole(3), ("shard1", "0"): whole(2), ("shard1", "1"): whole(1)}
    assert RULES["two_versions"](DurableState.holding(parts, held), {}) == {Handed("refused")}


@pytest.mark.parametrize(
    ("logs", "handed"),
    [
        ({("decision", "0"): 0}, Handed("whole", 0)),  # prepared by all, decided by nobody: presumed aborted
        ({("decision", "0"): 0, ("decision", "3"): 3}, Handed("whole", 3)),
        ({}, Handed("refused")),  # the log is lost, and all are in doubt
        ({("committed1", "3"): 3}, Handed("whole", 3)),  # one of them had heard
        ({("prepared1", "3"): NOTHING, ("committed0", "2"): 2}, Handed("whole", 2)),  # one of them never voted
    ],
)
def test_who_decides(logs: dict[Key, int], handed: Handed) -> None:
    parts = [*parts_of(2, 1, 0), *logs_of(2)]
    held = {(f"shard{s}", str(e)): whole(e) for s in range(2) for e in (2, 3)}
    held |= {(f"prepared{s}", "3"): whole(3) for s in range(2)} | {key: whole(epoch) for key, epoch in logs.items()}
    assert RULES["two_phase"](DurableState.holding(parts, held), LOGS) == {handed}


@settings(max_examples=300, deadline=None)
@given(st.data(), st.integers(1, 3), st.sampled_from(["restart", "refuse"]))
def test_the_newest_whole_copy_of_a_manifest_is_exactly_what_some_resolution_gives(
    data: st.DataObject, copies: int, missing: str
) -> None:
    parts = parts_of(2, 1, copies)
    lies = [((f"shard{s}", str(e)), [e, NOTHING, TORN]) for s in range(2) for e in (1, 2, 3)]
    lies += [((part.name, "0"), [NOTHING, TORN, 1, 2, 3]) for part in parts if part.shard < 0]
    may = data.draw(st.composite(doubtful)(lies))
    params = {"copies": "newest", "missing": missing}
    assert RULES["manifest"](DurableState.holding(parts, may), params) == brute("manifest", params, parts, may)


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_chandy_lamport_returns_exactly_what_some_resolution_gives(data: st.DataObject) -> None:
    cut = Part("cut", -1, 0, "host", "m", ("m:media",), 1)
    parts = [*parts_of(2, 1, 0), cut]
    lies = [((f"shard{s}", str(e)), [e, NOTHING, TORN]) for s in range(2) for e in (1, 2, 3)]
    lies += [(("cut", str(e)), [e, NOTHING, TORN]) for e in (0, 2, 3)]
    may = data.draw(st.composite(doubtful)(lies))
    assert RULES["chandy_lamport"](DurableState.holding(parts, may), {}) == brute("chandy_lamport", {}, parts, may)

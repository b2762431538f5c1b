"""Recovery rules against brute force: every resolution of every doubt, read by a naive reader."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from naive_reader import Key, brute, parts_of

from hwsim.contents import NOTHING, TORN, Contents, either, whole
from hwsim.outcomes import Handed, Outcome, best, classify, protected, worst
from hwsim.recovery import DurableState
from hwsim.rules import RULES
from hwsim.trace import Part

PARAMS = [
    {"checksum": checksum, "recover_by": by, "slots": slots, "missing": missing}
    for checksum in (True, False)
    for by in ("coordinator", "each_rank")
    for slots in ("fresh", "in_place")
    for missing in ("refuse", "restart")
]


@st.composite
def worlds(draw: st.DrawFn, fresh: bool) -> tuple[list[Part], dict[Key, Contents]]:
    shards = draw(st.integers(1, 3))
    parts = parts_of(shards, draw(st.integers(1, 2)), draw(st.integers(1, 2)))
    doubts = 0
    may: dict[Key, Contents] = {}
    for part in parts:
        for slot in ("1", "2", "3") if fresh and part.shard >= 0 else ("0",):
            members = [NOTHING, TORN, int(slot)] if slot != "0" else [NOTHING, TORN, 1, 2, 3]
            size = draw(st.sampled_from([1, 1, 1, 2, 3])) if doubts < 7 else 1
            doubts += size > 1
            if slot != "0" and size == 1:
                may[part.name, slot] = whole(draw(st.sampled_from([int(slot), int(slot), NOTHING, TORN])))
            else:
                may[part.name, slot] = frozenset(draw(st.permutations(members))[:size])
    return parts, may


def test_a_torn_first_copy_hides_a_whole_second_one_from_a_reader_that_checks_nothing() -> None:
    copies = enumerate(("shard0", "shard0.copy1"))
    parts = [Part(name, 0, copy, "gpu0", f"d{copy}", (f"d{copy}:media",), 10) for copy, name in copies]
    found = {("shard0", "3"): frozenset((TORN, NOTHING)), ("shard0.copy1", "3"): frozenset((3,))}
    handed = RULES["in_place"](DurableState.holding(parts, found), {"slots": "fresh"})
    assert handed == {Handed("whole", 0), Handed("whole", 3)}


@settings(max_examples=400, deadline=None)
@given(worlds(fresh=True), st.sampled_from([p for p in PARAMS if p["slots"] == "fresh"]))
def test_manifest_returns_exactly_what_some_resolution_gives(world: Any, params: dict[str, Any]) -> None:
    parts, may = world
    state = DurableState.holding(parts, may)
    assert RULES["manifest"](state, params) == brute("manifest", params, parts, may)
    assert RULES["in_place"](state, {"slots": "fresh"}) == brute("in_place", {"slots": "fresh"}, parts, may)


@settings(max_examples=300, deadline=None)
@given(worlds(fresh=False), st.sampled_from([p for p in PARAMS if p["slots"] == "in_place"]))
def test_rules_over_one_slot_return_exactly_what_some_resolution_gives(world: Any, params: dict[str, Any]) -> None:
    parts, may = world
    state = DurableState.holding(parts, may)
    assert RULES["manifest"](state, params) == brute("manifest", params, parts, may)
    assert RULES["in_place"](state, {}) == brute("in_place", {}, parts, may)


@settings(max_examples=400, deadline=None)
@given(st.one_of(worlds(fresh=True), worlds(fresh=False)), st.data())
def test_stale_views_return_exactly_what_some_resolution_gives(world: Any, data: st.DataObject) -> None:
    parts, may = world
    shards = sorted({part.shard for part in parts if part.shard >= 0})
    slots = "fresh" if any(slot != "0" for _, slot in may) else "in_place"
    views: dict[str, list[int]] = {}
    for shard in shards:
        views.setdefault(data.draw(st.sampled_from(["near", "far", "none"])), []).append(shard)
    views.pop("none", None)
    for view in views:
        parts = [*parts, Part(view, -1, 0, "host", "m", ("m:view",), 1)]
        told = st.frozensets(st.sampled_from([NOTHING, 0, 1, 2]), min_size=1, max_size=2)
        may = {**may, (view, "0"): data.draw(told)}
    params = {**data.draw(st.sampled_from([p for p in PARAMS if p["slots"] == slots])), "views": views}
    state = DurableState.holding(parts, may)
    assert RULES["manifest"](state, params) == brute("manifest", params, parts, may)


@settings(max_examples=150, deadline=None)
@given(
    st.integers(1, 2),
    st.lists(
        st.tuples(
            st.integers(0, 5),
            st.sampled_from(["0", "1", "2"]),
            st.one_of(st.none(), st.frozensets(st.integers(-2, 3), min_size=1, max_size=3)),
        ),
        max_size=25,
    ),
    st.sampled_from(PARAMS),
)
def test_a_state_kept_current_equals_one_built_anew(copies: int, changes: list[Any], params: dict[str, Any]) -> None:
    parts = parts_of(2, copies, 2)
    kept, latest = DurableState(parts), {}
    for which, slot, contents in changes:
        name = parts[which % len(parts)].name
        kept.set(name, slot, contents)
        latest[name, slot] = contents
    anew = DurableState.holding(parts, {key: held for key, held in latest.items() if held is not None})
    assert kept.written() == anew.written()
    assert kept.may_be_empty == anew.may_be_empty
    assert kept.may_have_entries == anew.may_have_entries
    for rule in RULES.values():
        assert rule(kept, params) == rule(anew, params)


def test_written_is_the_newest_checkpoint_every_shard_may_hold() -> None:
    parts = parts_of(2)
    state = DurableState(parts)
    assert state.written() == 0
    state.set("shard0", "4", whole(4))
    assert state.written() == 0
    state.set("shard1", "4", either(NOTHING, TORN, 4))
    assert state.written() == 4
    state.set("shard1", "4", whole(TORN))
    assert state.written() == 0


@pytest.mark.parametrize(
    ("handed", "acknowledged", "written", "outcome"),
    [
        (Handed("whole", 5), 5, 5, Outcome.CORRECT_LATEST),
        (Handed("whole", 5), 4, 5, Outcome.CORRECT_LATEST),
        (Handed("whole", 5), 5, 6, Outcome.CORRECT_OLDER),
        (Handed("whole", 4), 5, 6, Outcome.LOST_COMMITTED),
        (Handed("whole", 0), 0, 0, Outcome.CORRECT_LATEST),
        (Handed("whole", 0), 0, 1, Outcome.CORRECT_OLDER),
        (Handed("whole", 0), 3, 3, Outcome.SILENT_RESTART),
        (Handed("refused"), 3, 3, Outcome.LOST_COMMITTED),
        (Handed("refused"), 0, 1, Outcome.REFUSED),
        (Handed("mixed"), 3, 3, Outcome.SILENT_MIXED),
        (Handed("corrupt"), 0, 0, Outcome.SILENT_CORRUPT),
        (Handed("hang"), 3, 3, Outcome.HANG),
    ],
)
def test_classification(handed: Handed, acknowledged: int, written: int, outcome: Outcome) -> None:
    assert classify(handed, acknowledged=acknowledged, written=written) is outcome


def test_a_silent_wrong_outranks_a_loud_loss() -> None:
    assert worst([Outcome.LOST_COMMITTED, Outcome.SILENT_MIXED, Outcome.CORRECT_LATEST]) is Outcome.SILENT_MIXED
    assert best([Outcome.LOST_COMMITTED, Outcome.REFUSED]) is Outcome.REFUSED
    assert [o for o in Outcome if o.unsafe] == list(Outcome)[:4]
    assert protected(Handed("whole", 0), acknowledged=0)
    assert not protected(Handed("whole", 0), acknowledged=1)


def test_remove_then_rename_leaves_neither() -> None:
    parts = parts_of(2)
    held = {("shard0", "1"): whole(1), ("shard1", "1"): whole(1)}
    assert RULES["manifest"](DurableState.holding(parts, held), {}) == {Handed("refused")}
    assert RULES["manifest"](DurableState.holding(parts, held), {"missing": "restart"}) == {Handed("whole", 0)}
    assert RULES["manifest"](DurableState(parts), {}) == {Handed("whole", 0)}


def test_a_rank_that_falls_back_alone_mixes() -> None:
    parts = parts_of(2)
    held = {("manifest", "0"): whole(2), ("shard0", "2"): whole(2), ("shard1", "2"): whole(TORN)}
    held |= {("shard0", "1"): whole(1), ("shard1", "1"): whole(1)}
    state = DurableState.holding(parts, held)
    assert RULES["manifest"](state, {}) == {Handed("whole", 1)}
    assert RULES["manifest"](state, {"recover_by": "each_rank"}) == {Handed("mixed")}
    assert RULES["manifest"](state, {"checksum": False}) == {Handed("corrupt")}


def test_ranks_told_different_checkpoints_hang_and_a_coordinator_tells_them_one() -> None:
    parts = [*parts_of(2), Part("far", -1, 0, "host", "m", ("m:view",), 1)]
    held = {("manifest", "0"): whole(2), ("far", "0"): whole(1)}
    held |= {(f"shard{s}", str(e)): whole(e) for s in (0, 1) for e in (1, 2)}
    state = DurableState.holding(parts, held)
    each = {"recover_by": "each_rank", "views": {"far": [1]}}
    assert RULES["manifest"](state, each) == {Handed("hang")}
    assert RULES["manifest"](state, {**each, "recover_by": "coordinator"}) == {Handed("whole", 2)}
    state.set("far", "0", None)
    assert RULES["manifest"](state, each) == {Handed("whole", 2)}

"""The link's model checker: it hits an independent model's counts, and it rejects what it must reject."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import pytest

from hwsim.bilateral import invariants, mutations, reboots
from hwsim.bilateral.checking import EXCHANGES, Finding, explore, judge_of
from hwsim.bilateral.machine import Register, Rows, Seen, Volatile
from hwsim.bilateral.model import Model
from hwsim.bilateral.search import doomed, search
from hwsim.bilateral.setting import End, Setting
from hwsim.bilateral.table import TABLE, Event, Phase
from hwsim.bilateral.variants import HEARD_IS_KEPT, LINK, Variant
from hwsim.studies import link_check

TOKENS = frozenset({"T"})
OPEN = Volatile(link=True)
READY = Volatile(link=True, heard=True)


def end(nvid: int, round_: int = 0, phase: Phase = Phase.RETURNED, volatile: Volatile = OPEN, **more: object) -> End:
    store = more.pop("store", ())
    return End(Register(nvid, 3 - nvid, round_, phase, **more), volatile, store)  # type: ignore[arg-type]


# the engine


def steps_of(graph: dict[int, list[int]]):  # type: ignore[no-untyped-def]
    return lambda state: [(after, f"{state}-{after}") for after in graph[state]]


def test_the_way_to_a_bad_state_is_a_shortest_one() -> None:
    graph = {0: [1, 2], 1: [3], 2: [4], 3: [5], 4: [9], 5: [9], 9: []}
    space = search(0, steps_of(graph), lambda state: "bad" if state == 9 else None)
    assert (space.broken, space.path()) == ("bad", [0, 2, 4, 9])


def test_a_bad_step_is_found_between_good_states() -> None:
    graph = {0: [1], 1: [0, 2], 2: []}
    judge_step = lambda step: "bad" if step[1] == "1-0" else None  # noqa: E731
    space = search(0, steps_of(graph), lambda _: None, judge_step=judge_step)
    assert (space.broken, space.path(), space.last) == ("bad", [0, 1], (0, "1-0"))


def test_a_search_counts_states_edges_and_levels_and_gives_up_at_its_limit() -> None:
    graph = {0: [1, 2], 1: [3], 2: [3], 3: [0]}
    space = search(0, steps_of(graph), lambda _: None)
    assert (len(space.states), space.edges, space.depth, space.complete) == (4, 5, 2, True)
    chain = search(0, lambda state: [(state + 1,)], lambda _: None, limit=10)
    assert not chain.complete


def test_states_that_cannot_reach_a_goal_are_doomed() -> None:
    graph = {0: [1, 2], 1: [3], 2: [2], 3: [1], 4: []}
    space = search(0, steps_of(graph), lambda _: None, keep=lambda step: step[1] != "0-1")
    goal = [number for number, state in enumerate(space.states) if state == 3]
    assert {space.states[number] for number in doomed(space, goal)} == {0, 2}


# each invariant, shown a state that it must reject


@pytest.mark.parametrize(
    "name, a, b",
    [
        ("I1", end(1, 2), end(2, 0, Phase.OFFER)),
        ("I1", end(1, 0, epoch=2), end(2, 0)),
        ("I2", end(1, 1, Phase.TAKEN, epoch=1), end(2, 1, Phase.RETURNED)),
        ("I2", end(1, 1, Phase.TAKEN, epoch=0), end(2, 0, Phase.OFFER)),
        ("I3", end(1, 1), end(2, 0)),
        ("I4", end(1, store=("T",)), end(2, store=("T",))),
        ("I4", end(1), end(2)),
        ("I4", end(1, store=("T",)), end(2, inbox="T")),
        ("I5", end(1, 1, volatile=READY), end(2, 0, Phase.OFFER, slot="T")),
        ("I5", end(1, 1, Phase.OFFER), end(2, 0, Phase.OFFER)),
        ("I7", end(1, volatile=Volatile(link=True, fenced=True)), end(2)),
    ],
)
def test_an_invariant_rejects_a_bad_pair(name: str, a: End, b: End) -> None:
    for one, other in ((a, b), (b, a)):
        assert not invariants.CHECKS[name](one, other, TOKENS)
        assert invariants.broken(one, other, TOKENS) is not None
        assert invariants.broken(one, other, TOKENS, only=(name,)) == name


@pytest.mark.parametrize(
    "a, b",
    [
        (end(1, store=("T",)), end(2, volatile=READY)),
        (end(1, 0, Phase.OFFER, slot="T"), end(2, 1, Phase.TAKEN, epoch=1, inbox="T")),
        (end(1, 0, Phase.OFFER), end(2, 0, Phase.OFFER, slot="T")),
        (end(1, 1, Phase.TAKEN, epoch=1, volatile=READY), end(2, 1, Phase.TAKEN, epoch=1, store=("T",))),
    ],
)
def test_invariants_accept_good_pairs(a: End, b: End) -> None:
    assert invariants.broken(a, b, TOKENS) is None
    assert invariants.broken(b, a, TOKENS) is None


def test_after_the_loss_of_a_register_only_a_clone_is_wrong() -> None:
    fenced = end(1, volatile=Volatile(link=True, fenced=True))
    assert invariants.broken(fenced, end(2), TOKENS, register_lost=True) is None
    assert invariants.broken(end(1, store=("T",)), end(2, inbox="T"), TOKENS, register_lost=True) == "I4"


def test_a_frame_taken_for_another_rounds_is_seen() -> None:
    model = Model(Setting(modulus=2))
    number = model.end(end(1, 2, Phase.OFFER, slot="T"))
    good = model._receptions(number, model.frame(Seen(Event.RX_TAKEN, 2, 1, 3)))
    assert [(move.row, move.wrong) for move in good] == [("taken_confirms", None)]
    bad = model._receptions(number, model.frame(Seen(Event.RX_TAKEN, 2, 1, 1)))  # the last round's, of the same parity
    assert [(move.row, move.wrong) for move in bad] == [("taken_confirms", "I6")]


def test_a_step_that_answers_otherwise_or_pairs_too_much_is_seen() -> None:
    swapped = {"offer_accepted": "reject", "offer_rejected": "accept", "hello_pairs": "accept"}
    table = [replace(row, write=swapped.get(row.name, row.write)) for row in TABLE]
    model = Model(Setting(rows=Rows(table), answers=("accept", "reject")))
    offer = model.frame(Seen(Event.RX_OFFER, 2, 1, 0, "T"))
    assert [move.wrong for move in model._receptions(model.end(end(1)), offer)] == ["told", "told"]
    alone = model.end(End(Register(1), OPEN))
    assert [move.wrong for move in model._receptions(alone, model.frame(Seen(Event.RX_HELLO, 2, 0, 0)))] == ["pairing"]


def test_progress_rejects_an_end_that_never_answers() -> None:
    found = explore("mute", Setting(answers=("busy",)))
    assert found.broken == "progress"
    assert "OFFERED" in found.trace[-1].state


def test_a_link_that_moves_nothing_is_rejected() -> None:
    assert explore("returns everything", Setting(answers=("reject", "busy"), empty_offers=False)).broken == "moves"
    still = Rows([replace(row, write=None) if row.name == "offered" else row for row in TABLE])
    assert explore("never offers", Setting(rows=still)).broken == "moves"


def test_too_slow_a_settlement_is_rejected() -> None:
    deaf = Rows([replace(row, acts=("unhear",)) if row.name == "returned_agrees" else row for row in TABLE])
    model = Model(Setting(rows=deaf))
    a, b, *_ = model.initial()
    assert model.exchanges(a, b) > EXCHANGES


# counts


@pytest.mark.parametrize("one", [case for case in link_check.QUICK if case.states], ids=lambda case: case.name)
def test_the_search_has_the_states_of_an_independent_model(one: link_check.Search) -> None:
    assert isinstance(one.setting, Setting)
    found = explore(one.name, one.setting)
    assert (found.broken, found.states, found.exchanges) == (None, one.states, EXCHANGES)


def test_rounds_shifted_by_one_give_one_state_a_class() -> None:
    whole = explore("by 2", Setting(shift=2, capacity=2, rows=HEARD_IS_KEPT))
    each = explore("by 1", Setting(shift=1, capacity=2, rows=HEARD_IS_KEPT))
    wide = explore("16 bit", Setting(modulus=1 << 16, shift=1, capacity=2, rows=HEARD_IS_KEPT))
    assert whole.states == 2 * each.states
    assert each.states == wide.states  # over a FIFO wire one bit of the round tells as much as sixteen


def test_what_the_table_sends_at_once_adds_no_state() -> None:
    setting = Setting(modulus=1 << 16, capacity=2, inbox=True, writing=True)
    assert explore("timer", setting).states == explore("at once", replace(setting, prompt=True)).states


def test_a_search_is_the_same_again() -> None:
    assert replace(explore("x", Setting()), seconds=0.0) == replace(explore("x", Setting()), seconds=0.0)


# variants

# As long as the traces of an independent model where both count the same steps.
def test_a_register_has_ten_codes_and_a_reboot_that_mistakes_none_is_the_standard_one() -> None:
    assert len(set(reboots.CODES)) == 10
    assert len(set(reboots.MISTAKES)) == 90
    standard = explore("standard", Setting())
    for code in reboots.CODES:
        same = explore("same", Setting(reboot=reboots.mistaking(code, code)))
        assert (same.states, same.edges, same.broken) == (standard.states, standard.edges, None)


def test_what_is_read_wrongly_is_all_that_a_mistaking_reboot_changes() -> None:
    for written, read in reboots.MISTAKES:
        reboot = reboots.mistaking(written, read)
        for code in reboots.CODES:
            register = Register(1, 2, 4 + code.parity, code.phase, "T" if code.filled else None, epoch=3)
            left, store = reboot(register, () if code.filled else ("T",))
            assert reboots.code_of(left) == (read if code == written else code)
            assert (left.nvid, left.peer, left.epoch) == (1, 2, 3)
            if code != written:
                assert (left, store) == (register, () if code.filled else ("T",))


SHORTEST = {"V1": 6, "V2": 6, "V3": 8, "V4": 8, "V5": 7, "V10": 6, "V11": 11, "V12": 21, "no ids": 7}


@cache
def find(variant: Variant) -> Finding:
    return variant.find()


@pytest.mark.parametrize("variant", LINK, ids=lambda variant: variant.name)
def test_a_broken_variant_is_caught(variant: Variant) -> None:
    found = find(variant)
    assert found.broken in variant.expected
    assert found.steps == SHORTEST.get(variant.name, found.steps)


def test_a_trace_ends_in_what_is_wrong_and_counts_true_rounds() -> None:
    by_name = {variant.name: variant for variant in LINK}
    first = find(by_name["V1"]).trace
    assert first[-1].what == "B receives OFFER(0)+T, accepts"
    assert first[-1].state.count("holds T") == 2
    assert "A WAIT TAKEN(4)" in find(by_name["V12"]).trace[-1].state  # found in shifted states, told in true rounds


def test_reasons_are_given_for_changes_that_there_are() -> None:
    changes = [(mutant.row, mutant.change) for mutant in mutations.mutants()]
    for row, change in mutations._HARMLESS:
        assert any(change == other and name.endswith(row.removeprefix("*")) for name, other in changes), (row, change)


@pytest.mark.parametrize(
    "row, change",
    [
        ("offer_accepted", "does not write accept"),
        ("offer_accepted", "does not unhear"),
        ("returned_confirms", "does not tell_reversed"),
        ("offers_cross", "writes accept instead of cross"),
        ("power_on", "does not forget"),
        ("hello_of_a_stranger", "does not fence"),
    ],
)
def test_a_changed_table_is_caught(row: str, change: str) -> None:
    mutant = next(one for one in mutations.mutants() if (one.row, one.change) == (row, change))
    assert mutations.harmless(mutant) is None
    assert mutations.hunt(mutant) is not None


def test_the_judge_looks_at_a_bound_on_rounds() -> None:
    model = Model(Setting(rounds=1))
    far = model.end(end(1, 2))
    assert judge_of(model)((far, model.end(end(2, 2)), (), (), 0)) == "I3"


@pytest.mark.long
def test_the_full_check_finds_nothing_off() -> None:
    assert link_check.run(full=True)["off"] == []

"""Tree epoch convergence: its rules, its search, and the broken variants that the search must reject."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.bilateral.checking import explore_neighbours, explore_tree
from hwsim.bilateral.tec import (
    Domain,
    Durable,
    Frame,
    Mode,
    Rules,
    Version,
    common,
    decide,
    down,
    may_prepare,
    prepare,
    reboot,
    receive,
    up,
)
from hwsim.bilateral.tec_model import Model, Setting
from hwsim.bilateral.variants import TREE, Variant

LEAF = Domain()
ROOT = Domain(reports=(Frame(0, Mode.RUN, 0),))


def test_an_epoch_is_committed_when_the_root_knows_that_all_hold_it() -> None:
    child, root = prepare(LEAF), prepare(ROOT)
    assert decide(root).committed == 0
    root = decide(receive(root, up(child), 0))
    assert root.committed == 1
    assert not may_prepare(child)
    child = receive(child, down(root), None)
    assert may_prepare(child)
    assert prepare(child).durable.kept == (Version(1, 0), Version(2, 0))


def test_a_recovery_returns_to_the_newest_epoch_that_all_hold_under_one_label() -> None:
    child = reboot(prepare(LEAF))
    assert child.mode is Mode.REC
    root = receive(ROOT, up(child), 0)
    assert root.durable.generation == 1
    root = decide(root)
    assert (root.mode, root.committed) == (Mode.RUN, 0)
    child = receive(child, down(root), None)
    assert child.durable == Durable(1, (Version(0, 0),))  # the newer one is dropped


def test_numbers_alone_take_two_contents_for_one() -> None:
    mine, theirs = frozenset({Version(1, 0), Version(2, 0)}), frozenset({Version(1, 0), Version(2, 1)})
    assert common(mine, theirs) == {Version(1, 0)}
    assert Version(2, 0) in common(mine, theirs, Rules(labels=False))


def test_old_generations_are_ignored_and_newer_ones_joined() -> None:
    now = reboot(LEAF)
    assert receive(now, Frame(0, Mode.RUN, 5), None) == now
    joined = receive(LEAF, Frame(3, Mode.JOIN), None)
    assert (joined.mode, joined.durable.generation) == (Mode.REC, 3)


@given(st.lists(st.integers(0, 9), min_size=1), st.integers(0, 9))
def test_reports_only_grow(epochs: list[int], stale: int) -> None:
    root = ROOT
    for epoch in epochs:
        root = receive(root, Frame(0, Mode.RUN, epoch), 0)
    assert root.reports[0] == Frame(0, Mode.RUN, max(epochs))
    if stale <= max(epochs):
        assert receive(root, Frame(0, Mode.RUN, stale), 0) == root


def test_the_judge_rejects_what_was_committed_and_is_not_held() -> None:
    model = Model(Setting("pair", 1))
    first = model.initial()
    assert model.judge(first) is None
    lacking = model.domain(LEAF._replace(durable=Durable(0, (Version(-1, 0),))))
    assert model.judge((first[0], lacking, *first[2:])) == "retention"
    mixed = model.domain(LEAF._replace(durable=Durable(1, (Version(0, 1),))))
    assert model.judge((first[0], mixed, *first[2:])) == "retention"


def test_the_judge_rejects_a_recovery_with_nothing_in_common() -> None:
    model = Model(Setting("pair", 1))
    first = model.initial()
    held = frozenset({Version(1, 1)})
    lost = model.domain(Domain(Durable(1), Mode.REC, -1, (Frame(1, Mode.REC, held=held),)))
    assert model.judge((lost, *first[1:])) == "common"


@pytest.mark.parametrize("tree, crashes", [("pair", 3), ("path3", 1), ("path3, root in the middle", 1)])
def test_a_small_tree_holds_and_converges(tree: str, crashes: int) -> None:
    found = explore_tree(tree, Setting(tree, crashes))
    assert (found.broken, found.complete) == (None, True)
    assert found.states > 1_000


def test_an_epoch_kept_beyond_two_lets_a_domain_run_one_further_ahead_and_loses_nothing() -> None:
    rules = Rules(kept=3)
    ahead = prepare(LEAF, rules)
    assert may_prepare(ahead, rules)
    assert not may_prepare(ahead)
    ahead = prepare(ahead, rules)
    assert not may_prepare(ahead, rules)
    assert ahead.durable.kept == (Version(0, 0), Version(1, 0), Version(2, 0))
    for tree, crashes in (("pair", 3), ("path3", 1)):
        found = explore_tree(tree, Setting(tree, crashes, rules), progress=tree == "pair")
        assert (found.broken, found.complete) == (None, True)


@pytest.mark.parametrize("variant", TREE, ids=lambda variant: variant.name)
def test_a_broken_variant_is_caught(variant: Variant) -> None:
    found = variant.find()
    assert found.broken in variant.expected
    assert found.steps > 0


def test_neighbours_alone_need_as_many_epochs_as_the_path_is_long() -> None:
    for count in (2, 3, 4, 5):
        assert explore_neighbours("enough", count, count).broken is None
        if count > 2:
            assert explore_neighbours("too few", count, count - 1).broken == "common"
    trace = explore_neighbours("W7", 3, 2).trace
    assert [moment.state.split(": ")[1] for moment in trace] == ["0 0 0", "1 0 0", "1 1 0", "2 1 0"]

"""What each protocol promises, and when."""

from __future__ import annotations

from collections import Counter

import builders
import pytest

from hwsim.simulation import simulate
from hwsim.trace import Trace

PS = builders.PS
DELAY, RECORD = 10 * 10**9, 5 * 10**9
MANIFEST = {"kind": "manifest", "message_delay": "10ms", "manifest": {"persist": "5ms"}}


def by_epoch(trace: Trace, event: str) -> dict[int, int]:
    return {row.epoch: row.time_ps for row in trace if row.event == event and row.epoch is not None}


def last_persisted(trace: Trace) -> dict[int, int]:
    last: dict[int, int] = {}
    for row in trace:
        if row.event == "persisted" and row.part != "manifest" and row.epoch is not None:
            last[row.epoch] = max(last.get(row.epoch, 0), row.time_ps)
    return last


def test_in_place_commits_when_the_last_write_returned_and_sends_nothing() -> None:
    trace = simulate(builders.abstract(6, horizon="20s"))
    last = last_persisted(trace)
    committed = by_epoch(trace, "epoch_committed")
    assert committed
    assert committed == {epoch: last[epoch] for epoch in committed}
    assert not any(row.event == "sent" for row in trace)
    assert {row.slot for row in trace if row.event == "persisted"} == {"0"}


def test_in_place_rename_keeps_one_file_a_part_and_never_touches_the_old_one_before() -> None:
    trace = simulate(builders.abstract(3, horizon="20s", protocol={"kind": "in_place", "replace": "rename"}))
    held: dict[str, set[str]] = {}
    for row in trace:
        if row.event == "persisted":
            held.setdefault(str(row.part), set()).add(str(row.slot))
            assert row.slot == str(row.epoch)
        elif row.event == "erased":
            held[str(row.part)].remove(str(row.slot))
    assert all(len(slots) == 1 for slots in held.values())


def test_manifest_latency_is_the_slowest_shard_then_the_message_then_the_record() -> None:
    trace = simulate(builders.abstract(8, horizon="50s", protocol=MANIFEST))
    begun, last = by_epoch(trace, "checkpoint_begun"), last_persisted(trace)
    committed = by_epoch(trace, "epoch_committed")
    assert len(committed) >= 49
    for epoch, at in committed.items():
        assert at - begun[epoch] == last[epoch] - begun[epoch] + DELAY + RECORD


def test_manifest_takes_one_message_a_rank_and_checkpoint() -> None:
    trace = simulate(builders.abstract(8, horizon="50s", protocol=MANIFEST))
    sent = Counter(row.epoch for row in trace if row.event == "sent")
    assert set(sent.values()) == {8}
    assert trace.figures["messages"]["sent"] == sum(sent.values())


def test_manifest_keeps_what_it_says_and_prunes_only_after_the_commit() -> None:
    trace = simulate(builders.abstract(4, horizon="30s", protocol={**MANIFEST, "keep": 2}))
    slots: set[str] = set()
    committed: list[int] = []
    for row in trace:
        if row.part == "shard0" and row.event == "persisted":
            slots.add(str(row.slot))
        elif row.part == "shard0" and row.event == "erased":
            assert int(str(row.slot)) == committed[-3], "the third newest goes"
            slots.remove(str(row.slot))
        elif row.event == "epoch_committed":
            committed.append(int(row.epoch or 0))
    assert slots == {str(epoch) for epoch in committed[-2:]}


def test_keep_one_pruned_before_the_commit_leaves_nothing_while_the_new_one_is_written() -> None:
    trace = simulate(builders.abstract(4, horizon="30s", protocol={**MANIFEST, "keep": 1, "prune": "before_commit"}))
    begun = by_epoch(trace, "checkpoint_begun")
    erased = {int(str(row.slot)): row.time_ps for row in trace if row.event == "erased" and row.part == "shard0"}
    assert erased
    assert all(at == begun[epoch + 1] for epoch, at in erased.items())


def test_publishing_at_the_snapshot_commits_before_the_shards_are_durable() -> None:
    trace = simulate(builders.abstract(4, "100ms", horizon="9s", protocol={**MANIFEST, "publish": "at_snapshot"}))
    begun, committed = by_epoch(trace, "checkpoint_begun"), by_epoch(trace, "epoch_committed")
    assert committed
    assert all(at == begun[epoch] + RECORD for epoch, at in committed.items())


def test_remove_then_rename_leaves_no_record_in_between() -> None:
    protocol = {**MANIFEST, "manifest": {"persist": "5ms", "replace": "remove_then_rename"}}
    trace = simulate(builders.abstract(2, horizon="9s", protocol=protocol))
    gone = [row.time_ps for row in trace if row.part == "manifest" and row.event == "erased"]
    back = [row.time_ps for row in trace if row.part == "manifest" and row.event == "persisted"][1:]
    assert [b - a for a, b in zip(gone, back, strict=False)] == [RECORD] * len(back)


@pytest.mark.parametrize("seed", range(5))
def test_an_older_checkpoint_never_takes_the_place_of_a_newer_one(seed: int) -> None:
    made = builders.abstract(
        3, {"exponential": "1500ms"}, horizon="100s", seed=seed, protocol=MANIFEST, workload={"in_flight": {"max": 9}}
    )
    trace = simulate(made)
    committed = [row.epoch for row in trace if row.event == "epoch_committed"]
    assert committed == sorted(committed)
    named = [row.epoch for row in trace if row.part == "manifest" and row.event == "persisted"]
    assert named == committed
    given_up = {row.epoch for row in trace if row.event == "checkpoint_abandoned"}
    assert given_up
    assert not given_up & set(committed)


def test_in_place_shards_under_a_manifest_lie_in_one_slot() -> None:
    trace = simulate(builders.abstract(3, horizon="9s", protocol={**MANIFEST, "slots": "in_place"}))
    assert {row.slot for row in trace if row.event == "persisted"} == {"0"}
    assert trace.header.rule_params["slots"] == "in_place"


@pytest.mark.parametrize("kind", ["in_place", "manifest"])
def test_the_header_names_a_rule_that_exists(kind: str) -> None:
    from hwsim.rules import RULES

    trace = simulate(builders.abstract(2, horizon="2s", protocol=MANIFEST if kind == "manifest" else {"kind": kind}))
    assert trace.header.rule in RULES

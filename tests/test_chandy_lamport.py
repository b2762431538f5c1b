"""Consistent cuts of ranks that go on talking: conserved, without orphans, and of no one step."""

from __future__ import annotations

import dataclasses
import json
from collections import Counter
from typing import Any

import builders
import pytest
from handwritten import in_order
from sweeping import handed_back, unsafe

from hwsim.checkers import check_all
from hwsim.outcomes import Handed
from hwsim.promises import channels_logged, cuts_consistent
from hwsim.simulation import simulate
from hwsim.topology.spec import Topology
from hwsim.trace import Record, Trace
from hwsim.verdicts import Value

PS = builders.PS


def made(ranks: int = 4, *, horizon: str = "60s", **rest: Any) -> Topology:
    """Messages take anything from 0 to 80 ms, so they overtake each other on their way; a rank sends every 20 ms."""
    protocol = {"kind": "chandy_lamport", "message_delay": {"uniform": ["0s", "80ms"]}, "log": {"persist": "5ms"},
                "every": {"exponential": "20ms"}, **rest.pop("protocol", {})}  # fmt: skip
    workload = {"in_flight": {"max": 1}, **rest.pop("workload", {})}
    return builders.abstract(ranks, horizon=horizon, protocol=protocol, workload=workload, **rest)


def test_every_cut_is_consistent_and_no_two_ranks_are_at_one_step() -> None:
    trace = simulate(made())
    assert [verdict for verdict in check_all([trace]) if verdict.value is not Value.HOLDS] == []
    verdict = cuts_consistent(trace)
    assert verdict.detail == "59 cuts, each consistent, of 400 tokens in all"
    steps: dict[int, set[int]] = {}
    for row in trace:
        if row.event == "state_recorded":
            state = json.loads(row.detail or "")
            steps.setdefault(row.epoch or 0, set()).add(sum(state["sent"].values()) + sum(state["received"].values()))
    assert all(len(counts) > 1 for counts in steps.values())
    carried = [json.loads(row.detail or "") for row in trace if row.event == "channel_recorded"]
    assert sum(map(len, carried)) > 100, "something was in the channels"


def test_it_takes_a_marker_a_channel_and_a_message_a_rank() -> None:
    trace = simulate(made(5))
    sent = Counter((row.epoch, row.detail) for row in trace if row.event == "sent" and row.epoch)
    assert {sent[epoch, "marker"] for epoch, _ in sent} == {5 * 4}
    assert {sent[epoch, "done"] for epoch, _ in sent} == {5}


def test_latency_is_bounded_by_markers_the_slowest_save_and_the_commit() -> None:
    trace = simulate(made(protocol={"message_delay": "10ms"}))
    begun = {row.epoch: row.time_ps for row in trace if row.event == "checkpoint_begun"}
    saves: dict[int, int] = {}
    for row in trace:
        if row.event == "persisted" and str(row.part).startswith("shard"):
            saves[row.epoch or 0] = row.time_ps
    committed = [row for row in trace if row.event == "epoch_committed"]
    assert len(committed) == 59
    for row in committed:
        markers = begun[row.epoch] + (10 + 10 + 5) * 10**9  # there, back, and the log entry
        assert row.time_ps == max(saves[row.epoch or 0], markers) + (10 + 5) * 10**9
        assert row.time_ps - begun[row.epoch] <= (10 + 200 + 15) * 10**9


def test_one_record_changes_the_answer_and_nothing_is_handed_back_that_does_not_hold() -> None:
    trace = simulate(made())
    assert [handed for _, handed in handed_back(trace)] == [{Handed("whole", epoch)} for epoch in range(60)]
    assert unsafe(trace) == 0


def test_a_crash_loses_no_token() -> None:
    crashes = [
        builders.fault("power_loss", [(f"d{i}",)], name=f"f{i}", every=every, restore_after="20ms")
        for i, every in enumerate(("2.137s", "3.071s", "5.3s"))
    ]
    trace = simulate(made(horizon="200s", faults=crashes))
    assert sum(row.event == "recovered" for row in trace) > 150
    assert [verdict for verdict in check_all([trace]) if verdict.value is not Value.HOLDS] == []
    assert unsafe(trace) == 0


def test_over_links_of_a_real_network_too() -> None:
    trace = simulate(builders.machine(3, 2, horizon="60s", protocol={"kind": "chandy_lamport"}))
    assert cuts_consistent(trace).detail == "5 cuts, each consistent, of 600 tokens in all"


def test_a_cut_that_is_overtaken_by_the_next_is_given_up() -> None:
    trace = simulate(made(persist={"uniform": ["0s", "1900ms"]}, workload={"in_flight": {"max": 2}}))
    given_up = {row.epoch for row in trace if row.event == "checkpoint_abandoned"}
    committed = {row.epoch for row in trace if row.event == "epoch_committed"}
    assert given_up
    assert committed
    assert not given_up & committed
    assert cuts_consistent(trace).value is Value.HOLDS


# handwritten cuts


def changed(trace: Trace, epoch: int, event: str, change: Any, *, peer: str | None = None) -> Trace:
    """The trace with one rank's part of a cut told otherwise."""
    rows: list[Record] = []
    todo = True
    for row in trace:
        if todo and row.event == event and row.epoch == epoch and (peer is None or row.peer == peer):
            row = row._replace(detail=json.dumps(change(json.loads(row.detail or ""))))
            todo = False
        rows.append(row)
    assert not todo
    return in_order(trace.header, rows)


def orphan(state: dict[str, Any]) -> dict[str, Any]:
    return {**state, "received": {peer: count + 1000 for peer, count in state["received"].items()}}


@pytest.mark.parametrize(
    ("event", "change", "told"),
    [
        ("state_recorded", lambda state: {**state, "balance": state["balance"] + 1}, "tokens, and has"),
        ("state_recorded", orphan, "an orphan"),
        ("channel_recorded", lambda amounts: [*amounts, 3], "are recorded"),
    ],
)
def test_a_cut_that_is_told_wrongly_is_rejected(event: str, change: Any, told: str) -> None:
    verdict = cuts_consistent(changed(simulate(made(horizon="5s")), 2, event, change))
    assert verdict.value is Value.VIOLATED
    assert told in verdict.detail
    assert "cut 2" in verdict.detail


def test_a_rank_that_takes_no_part_is_missed() -> None:
    trace = simulate(made(horizon="5s"))
    for event in ("state_recorded", "channel_recorded"):
        gone = next(row for row in trace if row.event == event and row.epoch == 3)
        bad = in_order(trace.header, [row for row in trace if row != gone])
        assert "took no part" in cuts_consistent(bad).detail
    assert dataclasses.replace(cuts_consistent(trace)).value is Value.HOLDS


def test_a_cut_that_counts_before_a_log_of_channels_is_durable_is_rejected() -> None:
    trace = simulate(made(horizon="5s"))
    assert channels_logged(trace).value is Value.HOLDS
    late = [row for row in trace if not (row.event == "persisted" and row.part == "channels1" and row.epoch == 3)]
    verdict = channels_logged(in_order(trace.header, late))
    assert verdict.value is Value.VIOLATED
    assert "cut 3 counts" in verdict.detail
    assert "channels1 does not hold it" in verdict.detail

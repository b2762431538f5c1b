"""Every checker accepts a good trace and rejects handwritten bad ones."""

from __future__ import annotations

import dataclasses
import inspect
from collections.abc import Callable, Iterable

import pytest
from handwritten import domains, in_order, manifest_trace

from hwsim import checkers
from hwsim.checkers import CHECKERS, LOG_CHECKERS, Conv, Held, Snap, Value, Verdict
from hwsim.studies.witnesses import conv_without_snap, search, snap_without_conv
from hwsim.trace import Record, Trace


def but(trace: Trace, change: Callable[[Record], Record | None], more: Iterable[Record] = ()) -> Trace:
    """The trace with its rows changed (None: left out), and with more of them."""
    kept = [changed for record in trace if (changed := change(record)) is not None]
    return in_order(trace.header, [*kept, *more])


def crash(at: int, epoch: int | None, kind: str = "whole") -> list[Record]:
    return [
        Record(at, "job_stopped", "job"),
        Record(at + 1, "recovered", "job", epoch=epoch, detail=kind),
        Record(at + 1, "job_resumed", "job"),
    ]


def plus(trace: Trace, more: Iterable[Record]) -> Trace:
    return but(trace, lambda record: record, more)


@pytest.mark.parametrize("checker", CHECKERS, ids=lambda checker: checker.__name__)
def test_a_good_trace_is_accepted(checker: Callable[[Trace], Verdict]) -> None:
    for trace in (manifest_trace(), domains([[12, 23], [17, 22]], [10, 20]), plus(manifest_trace(), crash(58, 5))):
        verdict = checker(trace)
        assert verdict.value is Value.HOLDS, verdict
        assert verdict.name == checker.__name__


def test_every_checker_says_what_it_leaves_unverified() -> None:
    for checker in (*CHECKERS, *LOG_CHECKERS, *checkers.CUT_CHECKERS, checkers.convergence):
        assert "Leaves unverified" in (inspect.getdoc(checker) or "")


@pytest.mark.parametrize(
    "bad",
    [
        plus(manifest_trace(), crash(58, None, "mixed")),
        plus(manifest_trace(), crash(58, None, "corrupt")),
        plus(manifest_trace(), crash(51, 5)),  # no shard of it is durable yet
    ],
)
def test_agreement_rejects(bad: Trace) -> None:
    verdict = checkers.agreement(bad)
    assert verdict.value is Value.VIOLATED
    assert [record.event for record in verdict.records] == ["recovered"]


@pytest.mark.parametrize("bad", [crash(58, 4), crash(58, None, "refused"), crash(58, 0), crash(58, None, "mixed")])
def test_lost_acknowledgements_are_rejected(bad: list[Record]) -> None:
    verdict = checkers.acknowledged_survive(plus(manifest_trace(), bad))
    assert verdict.value is Value.VIOLATED
    proof = [(record.event, record.time_ps) for record in verdict.records]
    assert proof == [("epoch_committed", 56), ("recovered", 59)]


def test_an_acknowledgement_counts_until_the_recovery_after_it() -> None:
    # what a recovery gave up is not asked for again
    trace = plus(manifest_trace(), [*crash(53, 4), *crash(58, 5)])
    assert checkers.acknowledged_survive(trace).value is Value.HOLDS


def test_a_commit_before_the_last_shard_is_rejected() -> None:
    def early(record: Record) -> Record:
        return record._replace(time_ps=74) if record.event == "epoch_committed" and record.epoch == 7 else record

    verdict = checkers.persisted_before_committed(but(manifest_trace(), early))
    assert verdict.value is Value.VIOLATED
    assert verdict.records[0].epoch == 7


def test_a_commit_over_cached_shards_is_rejected() -> None:
    trace = manifest_trace()
    places = dict(trace.header.places) | {"d1:media": ("d1:power",)}
    crashes = tuple(
        dataclasses.replace(case, strikes=tuple(dataclasses.replace(s, takes=("d1:power",)) for s in case.strikes))
        for case in trace.header.crashes
    )
    volatile = in_order(dataclasses.replace(trace.header, places=places, crashes=crashes), trace)
    assert checkers.persisted_before_committed(volatile).value is Value.VIOLATED


@pytest.mark.parametrize(
    "row",
    [
        Record(3, "invented", "d0"),
        Record(3, "persisted", "d9", "d9:media", "shard0", "0", 1, "1"),
        Record(3, "persisted", "d0", "d0:media", "shard9", "0", 1, "1"),
        Record(3, "persisted", "d0", "d0:media", "shard0", "0", 1, "one"),
        Record(3, "completed", "d0", "d0:media", "shard0", "0", 1, "1"),
        Record(3, "restored", "d0"),
        Record(3, "epoch_committed", "job", epoch=8),
        Record(99, "epoch_committed", "job", epoch=8),
        Record(3, "checkpoint_abandoned", "job", epoch=8),
        Record(3, "recovered", "job", epoch=0, detail="whole"),
        Record(3, "job_resumed", "job"),
    ],
    ids=str,
)
def test_disorder_is_rejected(row: Record) -> None:
    verdict = checkers.well_formed(plus(manifest_trace(), [row]))
    assert verdict.value is Value.VIOLATED
    assert verdict.records == (row,)


def test_time_that_runs_backwards_is_rejected() -> None:
    trace = manifest_trace()
    trace.rows.append(tuple(Record(1, "sent", "job")))  # type: ignore[arg-type]
    assert checkers.well_formed(trace).value is Value.VIOLATED


def test_one_bad_timeline_of_several_is_told() -> None:
    good, bad = manifest_trace(), plus(manifest_trace(), crash(58, 4))
    assert [verdict.value for verdict in checkers.check_all([good, bad])] == [
        "holds",
        "violated",
        "holds",
        "holds",
        "holds",
        "holds",
    ]
    told = checkers.check_all([bad])[1].to_json()
    assert told["value"] == "violated"
    assert told["records"][1] == {"time_ps": 59, "event": "recovered", "subject": "job", "epoch": 4, "detail": "whole"}


# Snap, Held and Conv


def test_snap_is_of_an_instant() -> None:
    trace = domains([[12, 23], [17, 22]], [10, 20])
    holds = [checkers.snap_holds(trace, Snap(t, 1)) for t in (11, 12, 16, 17, 21, 22)]
    assert holds == [False, False, False, True, True, False]
    assert list(checkers.snapshots(trace)) == [(0, 0), (17, 1), (23, 2)]


def test_held_is_a_state_predicate_of_its_own() -> None:
    trace = manifest_trace()
    held = Held("manifest", 2)
    assert [checkers.held_at(trace, held, t) for t in (22, 25, 26, 33)] == [False, False, True, True]
    assert not checkers.snap_holds(trace, Snap(33, 2))


def test_convergence_has_three_values() -> None:
    trace = manifest_trace()
    assert checkers.convergence(trace, Conv("manifest", 9)).value is Value.HOLDS
    assert checkers.convergence(trace, Conv("manifest", 10)).value is Value.UNDECIDED
    lost = plus(trace, crash(58, 4))
    assert checkers.convergence(lost, Conv("manifest", 5)).value is Value.VIOLATED
    assert checkers.convergence(lost, Conv("manifest", 4)).value is Value.HOLDS
    in_place = domains([[12, 23], [17, 22]], [10, 20])
    assert checkers.convergence(in_place, Conv("in_place", 2)).value is Value.UNDECIDED  # the next write may undo it
    with pytest.raises(ValueError):
        checkers.convergence(trace, Conv("in_place", 1))


def test_the_types_are_not_interchangeable() -> None:
    assert len({Snap, Held, Conv}) == 3
    assert Held("manifest", 1) != Conv("manifest", 1)


def test_witnesses_are_found_where_they_are() -> None:
    # all at 1 from 17 on; 2 begins at 20 and a crash at 24 finds a mix
    mixed = domains([[12, 23], [17, 29]], [10, 20])
    claim = Record(17, "epoch_committed", "job", epoch=1)
    resumed = plus(mixed, [claim, *crash(24, None, "mixed")])
    found = search([manifest_trace(), mixed, resumed], snap_without_conv)
    assert found is not None
    assert (found.trace, found.epoch, found.snap) == (resumed, 1, Snap(17, 1))
    assert found.conv.value is Value.VIOLATED
    # shards that never are at one checkpoint together, under a manifest that always names a whole one
    staggered = but(
        manifest_trace(),
        lambda record: (
            record._replace(time_ps=record.time_ps + 9)
            if (record.event == "persisted" and record.part != "shard0") or record.event == "epoch_committed"
            else record
        ),
    )
    apart = search([mixed, resumed, staggered], conv_without_snap)
    assert apart is not None
    assert apart.trace is staggered
    assert apart.snap is None
    assert apart.conv.value is Value.HOLDS
    assert snap_without_conv(staggered) is None

"""What protocols promise of what they keep, send and log: good traces accepted, handwritten bad ones rejected."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from handwritten import in_order, manifest_trace, two_phase_trace

from hwsim import promises
from hwsim.checkers import LOG_CHECKERS, check_all
from hwsim.trace import Record, Trace
from hwsim.verdicts import Value, Verdict


def row(event: str, *, part: str | None = None, epoch: int | None = None, detail: str | None = None,
        subject: str | None = None) -> Callable[[Record], bool]:  # fmt: skip
    """Whether a record is such a one."""
    wanted = {"event": event, "part": part, "epoch": epoch, "detail": detail, "subject": subject}
    return lambda record: all(value is None or getattr(record, name) == value for name, value in wanted.items())


@pytest.mark.parametrize("checker", [*LOG_CHECKERS, promises.common_retained, promises.messages_counted],
                         ids=lambda checker: checker.__name__)  # fmt: skip
def test_a_good_commit_is_accepted(checker: Callable[[Trace], Verdict]) -> None:
    verdict = checker(two_phase_trace())
    assert verdict.value is Value.HOLDS, verdict
    assert verdict.name == checker.__name__


def test_every_checker_of_a_two_phase_commit_is_asked() -> None:
    names = [verdict.name for verdict in check_all([two_phase_trace()])]
    assert {"logs_forced", "doubts_resolved", "messages_counted", "common_retained"} <= set(names)
    assert "logs_forced" not in [verdict.name for verdict in check_all([manifest_trace()])]


# logs


@pytest.mark.parametrize(
    ("missing", "told"),
    [
        (row("persisted", part="prepared1", epoch=3), "yes"),
        (row("persisted", part="decision", epoch=3), "commit"),
        (row("persisted", part="committed0", epoch=3), "ack"),
    ],
)
def test_a_message_before_its_log_is_rejected(missing: Callable[[Record], bool], told: str) -> None:
    verdict = promises.logs_forced(two_phase_trace(without=missing))
    assert verdict.value is Value.VIOLATED
    assert verdict.records[0].epoch == 3
    assert told in (verdict.records[0].detail, "commit") or verdict.records[0].event == "epoch_committed"


def test_a_log_that_a_power_loss_would_take_does_not_count() -> None:
    trace = two_phase_trace()
    places = {**trace.header.places, "g1:media": ("g1:power",)}
    strike = trace.header.crashes[0].strikes[0].__class__("everything", ("g1:power",))
    case = trace.header.crashes[0].__class__("default", (strike,))
    volatile = trace.header.__class__(**{**vars(trace.header), "places": places, "crashes": (case,)})
    assert promises.logs_forced(in_order(volatile, trace)).value is Value.VIOLATED


# doubts


def test_doubts_are_from_the_promise_to_what_was_heard() -> None:
    found = list(promises.doubts(two_phase_trace()))
    assert len(found) == 18
    assert {(doubt.since_ps % 10, doubt.until_ps % 10) for doubt in found} == {(3, 7)}
    assert promises.in_doubt_share(two_phase_trace()) == pytest.approx(0.4)


def test_doubts_end_with_an_abort_a_recovery_or_not_at_all() -> None:
    promised = Record(95, "persisted", "g0", "g0:media", "prepared0", "10", 10, "10")
    told = Record(96, "sent", "c", epoch=10, peer="g0", detail="abort")
    dropped = Record(97, "erased", "g0", "g0:media", "prepared0", "10")
    assert promises.doubts_resolved(two_phase_trace([promised])).value is Value.UNDECIDED
    assert promises.doubts_resolved(two_phase_trace([promised, told, dropped])).value is Value.HOLDS
    alone = promises.doubts_resolved(two_phase_trace([promised, dropped]))
    assert (alone.value, alone.records) == (Value.VIOLATED, (dropped,))
    recovered = Record(97, "recovered", "job", epoch=9, detail="whole")
    assert promises.doubts_resolved(two_phase_trace([promised, recovered])).value is Value.HOLDS


def test_a_promise_that_leaves_the_place_it_came_through_is_still_kept() -> None:
    promised = Record(95, "persisted", "g0", "g0:media", "prepared0", "10", 10, "10")
    moved = Record(95, "erased", "g0", "g0:accepted", "prepared0", "10")
    assert promises.doubts_resolved(two_phase_trace([promised, moved])).value is Value.UNDECIDED


def test_a_rank_that_takes_its_own_decision_is_rejected() -> None:
    early = Record(33, "persisted", "g0", "g0:media", "committed0", "3", 3, "3")
    verdict = promises.doubts_resolved(two_phase_trace([early]))
    assert (verdict.value, verdict.records) == (Value.VIOLATED, (early,))


def test_time_in_doubt_with_a_dead_coordinator_is_told() -> None:
    outage = [Record(64, "stopped", "c", detail="power_loss"), Record(66, "restored", "c")]
    verdict = promises.doubts_resolved(two_phase_trace(outage))
    assert verdict.detail == (
        "18 doubts, 0.000000000004 s on average, 0.000000000004 s at most; 0.000000000004 s of it with the "
        "coordinator down"
    )  # two ranks, two of their four picoseconds


# messages


@pytest.mark.parametrize(
    "bad",
    [
        two_phase_trace(without=row("sent", epoch=4, detail="yes", subject="g1")),
        two_phase_trace(without=row("sent", epoch=4, detail="prepare")),
        two_phase_trace([Record(44, "sent", "g7", epoch=4, peer="c", detail="yes")]),
        two_phase_trace([Record(44, "sent", "g1", epoch=4, peer="c", detail="maybe")]),
    ],
)
def test_too_few_too_many_and_unknown_messages_are_rejected(bad: Trace) -> None:
    verdict = promises.messages_counted(bad)
    assert verdict.value is Value.VIOLATED
    assert verdict.records[0].epoch == 4


def test_a_message_sent_again_is_none_more() -> None:
    again = Record(45, "sent", "g1", epoch=4, peer="c", detail="yes")
    assert promises.messages_counted(two_phase_trace([again])).value is Value.HOLDS
    assert promises.messages_counted(two_phase_trace()).detail == "8 messages a checkpoint"


# retention


def erased(at: int, shard: int, epoch: int) -> Record:
    return Record(at, "erased", f"d{shard}", f"d{shard}:media", f"shard{shard}", str(epoch))


def test_a_moment_without_any_common_checkpoint_is_rejected() -> None:
    trace = manifest_trace()
    pruned = [erased(10 * e + 4, 1, e - 1) for e in range(2, 10)]  # before shard 1 of e is durable, at 10e + 5
    verdict = promises.common_retained(in_order(trace.header, [*trace, *pruned]))
    assert verdict.value is Value.VIOLATED
    assert "0.000000000024 s" in verdict.detail
    in_time = [erased(10 * e + 6, 1, e - 1) for e in range(2, 10)]
    assert promises.common_retained(in_order(trace.header, [*trace, *in_time])).value is Value.HOLDS


def test_what_a_crash_took_is_not_held_against_retention() -> None:
    trace = manifest_trace()
    stopped = Record(23, "job_stopped", "job")
    pruned = [erased(24, 1, 1)]
    assert promises.common_retained(in_order(trace.header, [*trace, stopped, *pruned])).value is Value.HOLDS


def test_a_protocol_in_place_promises_no_retention() -> None:
    assert promises.common_retained(manifest_trace(slots="in_place")).value is Value.HOLDS

"""Traces written by hand that the judge of links must reject, each for its reason, and one that it must not."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count

import pytest

from hwsim import checkers
from hwsim.bilateral.endpoint import told
from hwsim.bilateral.judged import Judge, LinkJudge, token
from hwsim.bilateral.machine import Register
from hwsim.bilateral.record import Record as Stored
from hwsim.bilateral.table import Phase
from hwsim.checkers import Value
from hwsim.trace import Header, Record, Trace

A, B = "wire@a", "wire@b"
NVID = {A: 0xA, B: 0xB}
TAKEN, RETURNED, OFFER = Phase.TAKEN, Phase.RETURNED, Phase.OFFER


class Rows:
    """Rows of one link, a microsecond apart."""

    def __init__(self) -> None:
        self.rows: list[Record] = []
        self._clock = count(0, 10**6)

    def write(self, end: str, round_: int = 0, phase: Phase = RETURNED, epoch: int = 0, *, slot: int | None = None,
              inbox: int | None = None, word: int = 0, nvid: int | None = None) -> Rows:  # fmt: skip
        other = B if end == A else A
        register = Register(
            NVID[end] if nvid is None else nvid, NVID[other], round_, phase, None if slot is None else token(slot),
            epoch, None if inbox is None else token(inbox),
        )  # fmt: skip
        return self.row("register_written", end, epoch, told(Stored(register, word)))

    def row(self, event: str, end: str, epoch: int | None = None, detail: str | None = None) -> Rows:
        self.rows.append(Record(next(self._clock), event, end, epoch=epoch, detail=detail))
        return self

    def begin(self) -> Rows:
        self.write(A, word=1).write(B, word=2)
        return self.row("tokens_issued", A, detail="tokens=1").row("tokens_issued", B, detail="tokens=2")

    def judge(self) -> LinkJudge:
        judged = Judge()
        for row in self.rows:
            judged.take(row)
        link = judged.links["wire"]
        link.finish(next(self._clock))
        return link


def exchange() -> Rows:
    """A gives token 0 and gets token 1."""
    rows = Rows().begin()
    rows.write(A, 0, OFFER, 0, slot=0)
    rows.write(B, 1, TAKEN, 1, slot=1, inbox=0).row("round_committed", B, 1, "round=0")
    rows.write(A, 1, TAKEN, 1, inbox=1).row("round_committed", A, 1, "round=0").row("round_closed", A, 1, "round=0")
    rows.row("round_closed", B, 1, "round=0")
    return rows.write(B, 1, TAKEN, 1, slot=1, word=1)


def test_a_good_exchange_is_one() -> None:
    link = exchange().judge()
    assert not link.violations
    assert (link.committed, link.reversed, link.lost, link.cloned) == (1, 0, set(), set())
    assert link.doubt_ps == 3 * 10**6
    assert link.doubts == link.exchanges == [3 * 10**6]
    assert link.agrees


def found(rows: Rows) -> set[str]:
    return {violation.promise for violation in rows.judge().violations}


def test_a_lost_token() -> None:
    rows = Rows().begin()
    rows.write(A, 0, OFFER, 0, slot=0)
    rows.write(A, 1, RETURNED, 0)  # returned, and nobody has it again
    assert rows.judge().lost == {0}
    assert "tokens" in found(rows)


def test_a_token_that_the_taker_drops() -> None:
    rows = Rows().begin()
    rows.write(A, 0, OFFER, 0, slot=0)
    rows.write(B, 1, TAKEN, 1, word=2)
    assert rows.judge().lost == {0}


def test_a_cloned_token() -> None:
    rows = Rows().begin()
    rows.write(A, 0, OFFER, 0, slot=0, word=1)  # still usable though it is bound
    assert rows.judge().cloned == {0}
    rows = Rows().begin()
    rows.write(A, 0, OFFER, 0, slot=0)
    rows.write(B, 1, TAKEN, 1, inbox=0, word=2)
    rows.write(A, 0, RETURNED, 0, word=1)  # the offer forgotten by a crash
    assert rows.judge().cloned == {0}


def test_a_gift_taken_twice() -> None:
    rows = exchange()
    rows.write(A, 1, TAKEN, 1, inbox=1, word=2)
    assert rows.judge().cloned == {1}


def test_rounds_that_end_differently() -> None:
    rows = Rows().begin()
    rows.write(A, 0, OFFER, 0, slot=0)
    rows.write(B, 1, TAKEN, 1, inbox=0, word=2)
    rows.write(A, 1, RETURNED, 0, word=1)
    assert found(rows) == {"rounds", "tokens"}


def test_epochs_that_differ() -> None:
    rows = Rows().begin()
    rows.write(A, 0, OFFER, 0)
    rows.write(B, 1, TAKEN, 2, word=2)
    assert found(rows) == {"rounds", "tokens"}  # the offer was empty, and token 0 went nowhere
    rows = Rows().begin()
    rows.write(A, 0, RETURNED, 1, word=1)
    assert found(rows) == {"rounds"}


@pytest.mark.parametrize("round_", [0, 2, 3])
def test_rounds_go_up_by_one(round_: int) -> None:
    rows = exchange()
    rows.write(B, round_, TAKEN, 2, word=1)
    assert "rounds" in found(rows)


def test_an_end_that_goes_ahead_of_a_peer_that_never_offered() -> None:
    rows = Rows().begin()
    rows.write(B, 1, TAKEN, 1, word=2)
    assert found(rows) == {"rounds"}


def test_a_commit_claimed_before_the_register_was_written() -> None:
    rows = Rows().begin()
    rows.write(A, 0, OFFER, 0, slot=0)
    rows.row("round_committed", B, 1, "round=0")
    rows.write(B, 1, TAKEN, 1, inbox=0, word=2)
    assert found(rows) == {"claims"}


def test_a_reversal_claimed_of_a_round_that_committed() -> None:
    assert found(exchange().row("round_reversed", A, 1, "round=0")) == {"claims"}


def test_a_round_called_closed_before_the_peer_ended_it() -> None:
    rows = Rows().begin()
    rows.write(A, 0, OFFER, 0, slot=0)
    rows.write(B, 1, TAKEN, 1, inbox=0, word=2).row("round_closed", B, 1, "round=0")
    assert found(rows) == {"claims"}


def test_a_formatted_register_begins_anew() -> None:
    rows = exchange()
    rows.write(A, 0, RETURNED, 0, nvid=0xC, word=2)
    assert not rows.judge().violations


# the checkers that say so in a result


def judged_trace(rows: Rows) -> Trace:
    trace = Trace(Header("t", "", 1, 0, 10**9, 0))
    trace.rows = [tuple(row) for row in rows.rows]  # type: ignore[misc]
    return trace


BAD: dict[str, Callable[[], Rows]] = {
    "rounds_agree": lambda: Rows().begin().write(B, 1, TAKEN, 1, word=2),
    "tokens_conserved": lambda: Rows().begin().write(A, 0, RETURNED, 0, word=3),
    "claims_follow_registers": lambda: Rows().begin().row("round_committed", B, 1, "round=0"),
}


@pytest.mark.parametrize("name", BAD)
def test_each_checker_accepts_a_good_trace_and_rejects_a_bad_one(name: str) -> None:
    checker = getattr(checkers, name)
    assert checker in checkers.LINK_CHECKERS
    assert checker(judged_trace(exchange())).value is Value.HOLDS
    verdict = checker(judged_trace(BAD[name]()))
    assert verdict.value is Value.VIOLATED
    assert verdict.records == (BAD[name]().rows[-1],)
    assert "wire" in verdict.detail


def test_a_run_without_checkpoints_is_asked_about_its_links() -> None:
    found = checkers.check_all([judged_trace(exchange())])
    assert [verdict.name for verdict in found] == ["well_formed", *BAD]
    assert all(verdict.value is Value.HOLDS for verdict in found)

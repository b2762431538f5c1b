"""Whatever happens to cells and links, no promise breaks, and when it is over every link settles.

And the other way round: a protocol that is broken in one place is found out, by a schedule short enough to read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import replace

import pytest
from bilateral_machine import Cells, MoreCells
from hypothesis import Phase as Hypothesis
from hypothesis import settings
from hypothesis.stateful import run_state_machine_as_test

from hwsim.bilateral.endpoint import Endpoint
from hwsim.bilateral.machine import Rows
from hwsim.bilateral.record import Record
from hwsim.bilateral.table import TABLE, Phase, Row, State


class TestCells(MoreCells.TestCase):
    settings = settings(max_examples=150, stateful_step_count=50, deadline=None)


def _bit(payload: object) -> int:
    return 0 if payload is None else 1 << int.from_bytes(payload, "big")  # type: ignore[arg-type]


# What an end forgets that it must not: what it loads after a crash, from what it should have loaded.
FORGETFUL: dict[str, Callable[[Record, Record], Record]] = {
    "the whole register (V1)": lambda found, first: first._replace(
        register=first.register._replace(peer=found.register.peer)
    ),
    "that it is bound (V2)": lambda found, first: (
        Record(found.register._replace(phase=Phase.RETURNED, slot=None), found.word | _bit(found.register.slot))
        if found.register.phase is Phase.OFFER
        else found
    ),
    "how the last round ended (V3)": lambda found, first: (
        found._replace(register=found.register._replace(phase=Phase.RETURNED))
        if found.register.phase is Phase.TAKEN
        else found
    ),
    "its slot (V4)": lambda found, first: found._replace(register=found.register._replace(slot=None)),
    "the round (V5)": lambda found, first: found._replace(register=found.register._replace(round=0)),
    "the inbox (V9)": lambda found, first: found._replace(register=found.register._replace(inbox=None)),
}


def forgetful(forgets: Callable[[Record, Record], Record]) -> type[Endpoint]:
    class Forgetful(Endpoint):
        first: Record | None = None

        def _load(self) -> Record:
            found = self.memory.load()
            if self.first is None:
                self.first = found
                return found
            loaded = forgets(found, self.first)
            if loaded != found:
                self._note("forgotten", loaded)
            return loaded

    return Forgetful


class SendsFirst(Endpoint):
    """V7: tells its peer before its register says so."""

    def _write(self, row: Row, record: Record) -> None:
        before = self.register
        self.register = record.register
        if "emit" in row.acts:
            self._emit()
        self.register = before
        super()._write(row, record)


class DeliversFirst(Endpoint):
    """V8: the application has what came before the register says that it was taken."""

    def _write(self, row: Row, record: Record) -> None:
        brought = record.register.inbox
        if brought is None or self.register.inbox is not None:
            super()._write(row, record)
            return
        early = Row("early", row.event, (State.WAIT,), write="early")
        delivered = Record(record.register._replace(inbox=None), record.word | _bit(brought))

        def then(whole: bool) -> None:
            assert whole
            self._note("early", first)
            self._hold(first)
            if life == self._life:
                super(DeliversFirst, self)._write(row, delivered)

        life = self._life
        first = Record(self.register, self.word | _bit(brought))
        self._writing = True
        self._write_named = early.name
        self.memory.write(first, then)


def changed(**rows: Callable[[Row], Row]) -> Rows:
    """The table with some of its rows, by name, made into others."""
    return Rows([rows[row.name](row) if row.name in rows else row for row in TABLE])


def _heard_always() -> Rows:
    """V6: an offer is made without the peer having been heard in this round."""
    table = [row for row in TABLE if row.name not in ("offer_queued", "offer_refused_behind_another")]
    wider = {"offered", "offer_refused_while_full"}
    return Rows([replace(row, states=(*row.states, State.WAIT)) if row.name in wider else row for row in table])


BROKEN_TABLES: dict[str, Rows] = {
    "an offer without having heard the peer (V6)": _heard_always(),
    # V10: the end that cancels takes its own round for returned
    "an offer taken back alone (V10)": changed(
        cancel_wished=lambda row: replace(row, write="confirm_returned", acts=("unhear", "emit", "tell_reversed"))
    ),
    "an answer that is not written": changed(
        offer_accepted=lambda row: replace(row, write=None, acts=("hear", "emit")),
        offer_swapped=lambda row: replace(row, write=None, acts=("hear", "emit")),
    ),
    "a confirmation that is not written": changed(taken_confirms=lambda row: replace(row, write=None, acts=("hear",))),
    "offers that cross, and none is taken": changed(offers_cross=lambda row: replace(row, write="reject")),
}


def found(machine: type[Cells]) -> str:
    """The shrunk schedule that finds *machine* out, as Hypothesis prints it."""
    told = settings(
        max_examples=300, stateful_step_count=25, deadline=None, database=None, derandomize=True, print_blob=False,
        phases=(Hypothesis.generate, Hypothesis.shrink), report_multiple_bugs=False,
    )  # fmt: skip
    with pytest.raises(AssertionError) as caught:
        run_state_machine_as_test(machine, settings=told)
    return "\n".join(getattr(caught.value, "__notes__", []))


def steps(schedule: str) -> list[str]:
    return re.findall(r"^state\.(?!begin|teardown|promises)\w+\(.*\)$", schedule, re.MULTILINE)


class Pair(Cells):
    most = 2


@pytest.mark.parametrize("what", FORGETFUL)
def test_an_end_that_forgets_is_found_out(what: str) -> None:
    class Broken(Pair):
        endpoint = forgetful(FORGETFUL[what])

    schedule = steps(found(Broken))
    assert 1 <= len(schedule) <= 12, schedule


@pytest.mark.parametrize("kind", [SendsFirst, DeliversFirst], ids=lambda kind: kind.__name__)
def test_an_end_that_keeps_no_order_is_found_out(kind: type[Endpoint]) -> None:
    class Broken(Pair):
        endpoint = kind

    schedule = steps(found(Broken))
    assert 1 <= len(schedule) <= 12, schedule


@pytest.mark.parametrize("what", BROKEN_TABLES)
def test_a_table_that_is_broken_in_one_place_is_found_out(what: str) -> None:
    class Broken(Pair):
        rows = BROKEN_TABLES[what]

    schedule = steps(found(Broken))
    assert 1 <= len(schedule) <= 12, schedule

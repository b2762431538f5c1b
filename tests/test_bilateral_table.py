"""The link's transition table: complete, free of contradictions, and what the protocol's own words say of it."""

from __future__ import annotations

from itertools import product

import pytest

from hwsim.bilateral.machine import Register, Rows, Seen, Volatile, decide, delta, observe_frame, settled, state_of
from hwsim.bilateral.table import ACTS, ASKED, OBSERVABLES, TABLE, WRITES, Event, Phase, Row, State


def matching(state: State, event: Event, values: dict[str, str]) -> list[Row]:
    return [row for row in TABLE if row.event is event and state in row.states
            and all(values[name] in allowed for name, allowed in row.when.items())]  # fmt: skip


@pytest.mark.parametrize("event", Event)
def test_every_case_has_exactly_one_row(event: Event) -> None:
    names = ASKED[event]
    for state, *values in product(State, *(OBSERVABLES[name] for name in names)):
        case = dict(zip(names, values, strict=True))
        found = matching(state, event, case)
        assert len(found) == 1, (state, event, case, [row.name for row in found])
        assert Rows().find(state, event, case) is found[0]


def test_rows_name_only_what_there_is() -> None:
    assert len({row.name for row in TABLE}) == len(TABLE)
    for row in TABLE:
        assert row.when.keys() <= set(ASKED[row.event]), row.name
        assert all(set(allowed) <= set(OBSERVABLES[name]) for name, allowed in row.when.items()), row.name
        assert set(row.acts) <= ACTS.keys(), row.name
        assert row.write is None or row.write in WRITES, row.name
        assert row.drop is None or not (row.write or row.acts), row.name
    assert {row.write for row in TABLE} - {None} == WRITES.keys()
    assert {act for row in TABLE for act in row.acts} == ACTS.keys()


def test_nothing_is_received_while_a_write_is_under_way() -> None:
    assert all(row.drop == "writing" for row in TABLE if State.WRITING in row.states and row.event.startswith("rx_"))


@pytest.mark.parametrize(
    "theirs, mine, said",
    [(5, 5, "same"), (6, 5, "next"), (4, 5, "previous"), (0, 65535, "next"), (65535, 0, "previous"), (7, 5, "future"),
     (3, 5, "past"), (32772, 5, "future"), (32773, 5, "past")],
)  # fmt: skip
def test_rounds_are_compared_by_half_windows(theirs: int, mine: int, said: str) -> None:
    assert delta(theirs, mine) == said


class End:
    """An endpoint whose writes take no time."""

    def __init__(self, nvid: int) -> None:
        self.register, self.volatile = Register(nvid), Volatile(link=True)

    @property
    def state(self) -> State:
        return state_of(self.register, self.volatile)

    def snapshot(self) -> Seen:
        if self.state is State.UNPAIRED:
            return Seen(Event.RX_HELLO, self.register.nvid, 0, 0)
        event = {Phase.TAKEN: Event.RX_TAKEN, Phase.RETURNED: Event.RX_RETURNED, Phase.OFFER: Event.RX_OFFER}
        mine = self.register
        return Seen(event[mine.phase], mine.nvid, mine.peer, mine.round, mine.slot)

    def hear(self, seen: Seen, answer: str = "accept", app: str | None = None) -> str:
        observed = observe_frame(self.register, seen, answer=answer)
        return self._done(decide(self.register, self.volatile, seen.event, observed, frame=seen, app=app))

    def offer(self, payload: str) -> str:
        observed = {"inbox": "full" if self.register.inbox else "empty", "queue": "empty"}
        return self._done(decide(self.register, self.volatile, Event.APP_OFFER, observed, app=payload))

    def _done(self, decision) -> str:  # type: ignore[no-untyped-def]
        if decision.register is not None:
            self.register = decision.register
        self.volatile = settled(self.volatile, decision.row.acts)
        return decision.row.name


def paired() -> tuple[End, End]:
    a, b = End(1), End(2)
    assert b.hear(a.snapshot()) == "hello_pairs"
    assert a.hear(b.snapshot()) == "returned_pairs"
    assert b.hear(a.snapshot()) == "returned_agrees"
    assert a.hear(b.snapshot()) == "returned_agrees"
    assert a.state is b.state is State.READY
    return a, b


def test_a_transfer_is_three_frames_and_three_writes() -> None:
    a, b = paired()
    assert a.offer("token") == "offered"
    assert b.hear(a.snapshot()) == "offer_accepted"
    assert (b.register.round, b.register.epoch, b.register.inbox, b.state) == (1, 1, "token", State.WAIT)
    assert a.hear(b.snapshot()) == "taken_confirms"
    assert (a.register.round, a.register.epoch, a.register.slot, a.state) == (1, 1, None, State.READY)
    assert b.hear(a.snapshot()) == "taken_agrees"
    assert b.state is State.READY


def test_crossed_offers_change_hands_both() -> None:
    a, b = paired()
    a.offer("left")
    b.offer("right")
    to_b, to_a = a.snapshot(), b.snapshot()
    assert b.hear(to_b) == a.hear(to_a) == "offers_cross"
    assert (a.register.inbox, b.register.inbox) == ("right", "left")
    assert a.register.epoch == b.register.epoch == 1


def test_a_rejected_offer_gives_the_payload_back() -> None:
    a, b = paired()
    a.offer("token")
    assert b.hear(a.snapshot(), answer="reject") == "offer_rejected"
    assert a.hear(b.snapshot()) == "returned_confirms"
    assert (a.register.phase, a.register.slot, a.register.epoch) == (Phase.RETURNED, None, 0)


def test_a_replaced_register_is_fenced() -> None:
    a, b = paired()
    a.offer("token")
    b.hear(a.snapshot())
    a.hear(b.snapshot())
    a.register = Register(nvid=3)
    a.volatile = Volatile(link=True)
    assert b.hear(a.snapshot()) == "hello_of_a_stranger"
    assert b.state is State.FENCED


def test_two_replaced_registers_that_know_each_other_by_old_names_still_pair() -> None:
    a, b = End(1), End(2)
    old_a, old_b = a.snapshot(), b.snapshot()
    a, b = End(3), End(4)
    a.hear(old_b)
    b.hear(old_a)
    assert (a.register.peer, b.register.peer) == (2, 1)
    assert b.hear(a.snapshot()) == "returned_pairs_anew"
    assert a.hear(b.snapshot()) == "returned_pairs_anew"
    assert b.hear(a.snapshot()) == a.hear(b.snapshot()) == "returned_agrees"
    assert a.state is b.state is State.READY

"""The endpoint as the table's machine executes it, cycle by cycle: what the benches compare the Verilog with.

Registers and slots cross to the Verilog as numbers (see `hwsim.bilateral.bits`).
"""

from __future__ import annotations

from typing import NamedTuple

from hwsim.bilateral.bits import slot_bits
from hwsim.bilateral.endpoint import epoch_of
from hwsim.bilateral.machine import (
    STANDARD,
    Decision,
    Register,
    Seen,
    Volatile,
    decide,
    observe_frame,
    observe_request,
    settled,
    state_of,
)
from hwsim.bilateral.record import ROUNDS
from hwsim.bilateral.table import Event, State
from hwsim.bilateral.wire import FrameType

EVENT_OF = {
    FrameType.RETURNED: Event.RX_RETURNED,
    FrameType.TAKEN: Event.RX_TAKEN,
    FrameType.OFFER: Event.RX_OFFER,
    FrameType.HELLO: Event.RX_HELLO,
    FrameType.FENCE: Event.RX_FENCE,
}
# The requests in the order of the endpoint's arbitration; a queued offer comes between timer and cancel.
REQUESTS = (Event.LINK_DOWN, Event.LINK_UP, Event.FORMAT, None, Event.TIMER, Event.APP_CANCEL, Event.APP_CONSUME,
            Event.APP_OFFER)  # fmt: skip
RX = 3
WINDOW = 1 << 16


class Heard(NamedTuple):
    """A received frame."""

    type: FrameType
    round: int
    epoch: int
    src: int
    dst: int
    payload: bytes | None = None
    cancel: bool = False

    @property
    def slice0(self) -> int:
        head = 1 << 12 | self.type << 8 | (self.payload is not None) << 7 | self.cancel << 6
        return head << 48 | self.round << 32 | self.epoch

    @property
    def bits(self) -> int:
        return ((self.slice0 << 64 | self.src) << 64 | self.dst) << 201 | slot_bits(self.payload)


class Happened(NamedTuple):
    """What an endpoint does in a cycle: the row, the reason to drop, and what it tells."""

    row: str | None
    bad_epoch: bool = False
    refused: bool = False
    committed: bool = False
    reversed: bool = False
    alarm: bool = False


NOTHING = Happened(None)


class Model:
    """An endpoint and its register.  `step` is one cycle."""

    def __init__(self, register: Register) -> None:
        self.register = register
        self.off()

    def off(self) -> None:
        """All but the register is gone."""
        self.volatile = Volatile()
        self.booted = False
        self.pending: Decision | None = None
        self.emits = False
        self.echo = 0

    @property
    def state(self) -> State:
        return state_of(self.register, self.volatile, writing=self.pending is not None)

    @property
    def bits(self) -> int:
        """The volatile bits, as the Verilog has them."""
        v = self.volatile
        return v.link << 4 | v.heard << 3 | v.cancel << 2 | v.fenced << 1 | bool(v.queued)

    @property
    def sends(self) -> bool:
        return self.emits and self.pending is None

    @property
    def snapshot(self) -> int:
        """The frame that it would send now, as the bench gathers it."""
        mine, fenced = self.register, self.volatile.fenced
        kind = FrameType.FENCE if fenced else FrameType(mine.phase) if mine.peer else FrameType.HELLO
        packed = int(kind) << 3 | (self.volatile.cancel and kind is FrameType.OFFER) << 2
        packed |= (mine.inbox is None) << 1 | self.volatile.heard
        for value, width in ((mine.round % WINDOW, 16), (mine.epoch, 64), (self.echo, 64), (mine.nvid, 64),
                             (mine.peer, 64), (slot_bits(mine.slot), 201)):  # fmt: skip
            packed = packed << width | value
        return packed

    def crash(self, found: Register) -> bool:
        """The power goes; *found* is what the register holds then.  Returns whether a write under way took."""
        old, pending = self.register, self.pending
        new = pending.register if pending else old
        assert found in (old, new), (found, old, new)
        self.register = found
        self.off()
        return found == new

    def step(
        self,
        wanted: list[bool],
        *,
        sent: bool = False,
        done: bool = False,
        frame: Heard | None = None,
        answer: str = "busy",
        app: bytes | None = None,
        round_named: int = 0,
        ruled: bool = False,
        fresh: int = 0,
    ) -> tuple[int | None, Happened]:
        """One cycle: which of the requests *wanted* is granted (None: none), and what happens.

        *sent*: the snapshot is taken; *done*: the write under way is done.
        """
        if sent:
            self.emits = False
        if done:
            assert self.pending is not None
            assert self.pending.register is not None
            decision, self.pending = self.pending, None
            self.register = self.pending_register(decision)
            return None, self._act(decision, None)
        granted, event, queued = self._arbitrate(wanted, frame)
        if event is None:
            return granted, NOTHING
        writing = self.pending is not None
        seen = None
        give = app
        if granted == RX:
            assert frame is not None
            round_ = _extended(frame.round, self.register.round)
            seen = Seen(event, frame.src, frame.dst, round_, frame.payload, frame.cancel)
            observed = observe_frame(self.register, seen, answer=answer, modulus=ROUNDS)
            if observed["address"] == "peer" and self.state in (State.WAIT, State.READY, State.OFFERED):
                expected = epoch_of(self.register, event, observed["delta"])
                if expected is not None and frame.epoch != expected & 0xFFFFFFFF:
                    return granted, Happened(None, bad_epoch=True, alarm=True)
        else:
            observed = observe_request(self.register, self.volatile, round_named=round_named, ruled=ruled)
            if queued:
                (give,) = self.volatile.queued  # type: ignore[assignment]
        decision = decide(self.register, self.volatile, event, observed, frame=seen, app=give, fresh=fresh,
                          writing=writing, rows=STANDARD, modulus=ROUNDS)  # fmt: skip
        if seen is not None and frame is not None and observed["address"] == "peer" and decision.row.drop is None:
            self.echo = frame.slice0
        if decision.register is not None:
            self.pending = decision
            return granted, Happened(decision.row.name)
        return granted, self._act(decision, give)._replace(row=decision.row.name)

    @staticmethod
    def pending_register(decision: Decision) -> Register:
        assert decision.register is not None
        return decision.register

    def _arbitrate(self, wanted: list[bool], frame: Heard | None) -> tuple[int | None, Event | None, bool]:
        if not self.booted:
            self.booted = True
            return None, Event.POWER_ON, False
        waits = bool(self.volatile.queued) and self.state is State.READY and self.register.inbox is None
        for number, event in enumerate(REQUESTS):
            if number == 5 and waits:
                return None, Event.APP_OFFER, True
            if wanted[number]:
                if number == RX:
                    assert frame is not None
                    event = EVENT_OF[frame.type]
                return number, event, False
        return None, None, False

    def _act(self, decision: Decision, app: bytes | None) -> Happened:
        acts = decision.row.acts
        self.volatile = settled(self.volatile, acts, app=app)
        if "forget" in acts:
            self.echo = 0
        self.emits = self.volatile.link and (self.emits or "emit" in acts)
        told = (f"tell_{what}" in acts for what in ("refused", "committed", "reversed", "alarm"))
        return Happened(None, False, *told)


def _extended(low: int, mine: int) -> int:
    return (mine + ((low - mine + WINDOW // 2) % WINDOW) - WINDOW // 2) % ROUNDS

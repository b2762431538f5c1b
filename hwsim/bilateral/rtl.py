"""One end of a link, live, as its Verilog does it: `rtl/blp_link_top.v` under a simulator, in the run's own time.

Cycle n of the Verilog lasts from n clock periods to n + 1.  What the rest of the simulation does to an end (a frame,
a crash, a request) reaches it with the cycle that begins next, and what it does it does at the beginning of the cycle
in which it shows, after all else of that instant.  Behind and before the Verilog stands a MAC that stores and forwards.

How the two times are kept together is the simulator's affair (`Verilog`): Verilator's C++ runs ahead, to the next thing
of its own that somebody must know of, and where something else happens to it first it goes back (`verilated`).  Icarus,
which cannot go back, is let go only so far as nothing can happen to it (`cosimulated`).  Either way nothing ever
reaches an end in its past: a cut and a crash are no more foreseen than by the model, and come in the right cycle, the
same under both.  Quiet spans are skipped exactly; a beacon's period of silence costs next to nothing.

A frame that comes during a write is dropped, as by the model; with `rx_depth` it waits in the Verilog's queue instead,
which the model does not have.

What is not in the Verilog: the application, which is asked in the cycle in which its answer counts; and its word, that
is kept here as if it lay in the register's own cells, folded by `Application.custody` into every write.  A write of
the memory takes what the model's takes, in whole cycles.  A power loss is `crash_i`, with what it leaves in the cells
under way drawn; a reset is `rst_i`, which gives a write up that has not come to its last cycle (the model lets it go
on).  Frames of four octets or fewer end at the MAC and count as too short.

Source: `rtl/README.md`.

Not modelled: a memory that wears out, or has energy to go on with; time between the clocks of two ends, which tick as
one.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from hwsim.bilateral.bits import REGISTER_BITS, register_of, slot_bits, slot_of
from hwsim.bilateral.endpoint import ACCEPT, Application, Endpoint
from hwsim.bilateral.machine import Register, Volatile, state_of
from hwsim.bilateral.record import Record, RecordMemory, write_time
from hwsim.bilateral.table import OBSERVABLES, TABLE, Event, State
from hwsim.bilateral.verilog import DROPS
from hwsim.bilateral.wire import FRAME_OCTETS, NEAREST_BRIDGE, Drop, FrameType

if TYPE_CHECKING:
    import simpy

    from hwsim.nv_register import NvParams, NvRegister

WRITES, ASKS, OFFERS = 1, 2, 4  # what a row is: it writes; its offer waits for an answer; it is the application's offer
(_ASKED, _WRITTEN, _SETTLED, _HEARD, _FENCED, _READY, _SENT, _GRANTED, _REFUSED, _COMMITTED, _REVERSED,
 _ALARM) = (1 << bit for bit in range(12))  # fmt: skip
_AFTER = 3  # SimPy priority: what the Verilog does comes after all else of its instant, flows' rates too

_ROWS: Final = 128
_ANSWERS: Final = OBSERVABLES["answer"]
_FLAGS: Final = bytes(
    (WRITES if row.write else 0)
    | (ASKS if row.name == "offer_while_busy" else 0)
    | (OFFERS if row.event is Event.APP_OFFER else 0)
    for row in TABLE
)
_DROPS: Final = 16  # reasons that the table's counters have room for
_DROPPED: Final = (*DROPS, "epoch", "missed", *(drop.value for drop in Drop))  # in the order of the counters
_VOLATILE: Final = tuple(  # by their bits, without an offer
    Volatile(bits & 8 != 0, bits & 4 != 0, bits & 2 != 0, bits & 1 != 0) for bits in range(16)
)
_FRAMES: Final = {frame.value: frame.name for frame in FrameType}
_RUNT = 4  # octets of a frame that is nothing but its FCS
_SAMPLED = 16


class Told(Protocol):
    """What happened in a cycle."""

    @property
    def row(self) -> int:
        """Of the table, that was executed."""
    @property
    def write_row(self) -> int:
        """The last one that wrote."""
    @property
    def before_row(self) -> int:
        """The last one before *row*."""
    @property
    def bits(self) -> int:
        """The volatile ones."""


class Verilog(Protocol):
    """An end's Verilog under a simulator: `verilated.optimistic`, or `cosimulated.conservative`.

    It is made with `found`, and calls that once it knows the next thing that it does: in which cycle, and what.
    """

    writes_from: int  # the cycle from which a write is under way, as far as one has been found; 0: none is

    @property
    def told(self) -> Told:
        """What has happened, or will next."""
    @property
    def consuming(self) -> bool:
        """Whether a request to consume has not been granted yet."""
    @property
    def cycles(self) -> tuple[int, int]:
        """Cycles executed so far, also those that it went back on, and cycles skipped."""

    def format(self, identity: int) -> None:
        """At the factory: give it its first identity, and leave it in reset."""
    def drive(self, **inputs: int) -> None:
        """Set inputs, from the present cycle on; a request stands until it is granted."""
    def frame(self, octets: bytes) -> None:
        """A frame has arrived at its MAC."""
    def come(self, cycle: int) -> None:
        """Go to the beginning of *cycle*, back if it has run ahead of that."""
    def stand(self, cycle: int) -> None:
        """Come to the beginning of *cycle* in reset, where nothing happens."""
    def go(self) -> None:
        """Its inputs have changed: go on, to the next thing that it does."""
    def hold(self) -> None:
        """It does not go on."""
    def reach(self) -> None:
        """What was found is now."""
    def strike(self) -> None:
        """One cycle, in which it loses all that is volatile; then `told` is what it has come to."""
    def close(self) -> None:
        """The run is over: write what is left of the waves, and let it go."""
    def register_bits(self) -> int:
        """The register."""
    def slot_bits(self) -> int:
        """What the frame that asks offers."""
    def octets(self) -> bytes:
        """The frame that was sent."""
    def counters(self) -> Sequence[int]:
        """Of the rows, of the table's reasons to drop, then the others."""


class Cells(RecordMemory):
    """The memory inside the Verilog, and the application's word beside it."""

    def __init__(self, first: Record) -> None:
        self.record = first
        self.written = 0
        self.busy = False

    @property
    def registers(self) -> tuple[NvRegister, ...]:
        """None that somebody else owns the power of."""
        return ()

    @property
    def writes(self) -> int:
        """Writes begun."""
        return self.written

    def load(self) -> Record:
        """What a reader finds now."""
        return self.record


class RtlEndpoint(Endpoint):
    """One end of a link in Verilog; otherwise as `Endpoint`.

    *nv*: the memory's figures; *word*: the application's as the run begins; *clock* the Verilog's period (ps); *draw*
    what a power loss leaves of a write; *verilog* makes its Verilog (`Verilated`, `CoSimulated`).
    """

    def __init__(
        self,
        env: simpy.Environment,
        name: str,
        nv: NvParams,
        *,
        word: int,
        clock: int,
        draw: random.Random,
        verilog: Callable[..., Verilog],
        beacon: int,
        retransmit: int,
        fresh: Callable[[], int],
        record: Callable[..., None],
        mac: bytes,
        application: Application | None = None,
    ) -> None:
        self._period = clock
        self._draw = draw
        self._handles = False  # an event of the Verilog's is being handled: it stands still at the present cycle
        self._event: tuple[int, int] | None = None  # when the Verilog's next one is (ps), and what it is
        self._offering: tuple[bytes | None, ...] = ()  # asked for, and not taken up yet
        self._queue: bytes | None = None  # what is queued, if anything is
        self._counted = [0] * (_ROWS + len(_DROPPED))
        self._verilog = verilog(
            cycles=max(1, -(-write_time(nv) // clock) - 3), beacon=max(1, -(-beacon // clock)),
            retransmit=max(1, -(-retransmit // clock)), peers=NEAREST_BRIDGE, mac=mac, period=clock, rows=_FLAGS,
            found=self._found,
        )  # fmt: skip
        self._verilog.format(first := fresh())
        self._cells = Cells(Record(Register(first), word))
        super().__init__(
            env, name, self._cells, beacon=beacon, retransmit=retransmit, fresh=fresh, record=record, mac=mac,
            application=application,
        )  # fmt: skip

    def close(self) -> None:
        """The run is over: write what is left of the waves, and let the Verilog go."""
        self.up = False
        self._life += 1
        self._verilog.close()

    @property
    def cycles(self) -> tuple[int, int]:
        """Cycles executed so far, also those that it went back on, and cycles skipped."""
        return self._verilog.cycles

    @property
    def state(self) -> State:
        """The table's state."""
        begun = self._verilog.writes_from
        return state_of(self.register, self.volatile, writing=bool(begun) and begun * self._period <= self._now)

    @property
    def queued(self) -> tuple[bytes | None, ...]:
        """The offer that is on its way to the Verilog, or waits there for the peer to be heard."""
        return self._offering or super().queued

    @property
    def _now(self) -> int:
        return self.env.now  # type: ignore[return-value]

    # time

    def _come(self) -> None:
        """Bring the Verilog to the cycle that begins next, whatever it has done ahead of that."""
        if self._handles:
            return
        now: int = self.env.now  # type: ignore[assignment]
        while self._event is not None and self._event[0] <= now:
            self._happen()
        self._verilog.come(now // self._period + 1)

    def _go(self) -> None:
        """Its inputs have changed: let it run on, to the next thing that it does."""
        if self._handles:
            return
        self._life += 1
        self._event = None
        if self.up:
            self._verilog.go()
        else:
            self._verilog.hold()

    def _found(self, cycle: int, what: int) -> None:
        """The next thing that it does is *what*, in *cycle*."""
        env = self.env
        now: int = env.now  # type: ignore[assignment]
        at = cycle * self._period
        if at < now:
            at = now
        self._event = (at, what)
        event = env.event()
        event._ok, event._value = True, self._life
        event.callbacks.append(self._reached)
        env.schedule(event, _AFTER, at - now)  # type: ignore[arg-type]  # an EventPriority is an int

    def _reached(self, event: simpy.Event) -> None:
        if event._value == self._life and self._event is not None:
            self._happen()

    def _happen(self) -> None:
        """What the Verilog has run ahead to is now."""
        assert self._event is not None
        _, what = self._event
        self._event = None
        self._life += 1
        self._verilog.reach()
        self._handles = True
        if what & _ASKED:
            self._answer()
        elif what:
            self._tell(what)
        self._handles = False
        self._go()

    # what it asks and tells

    def _answer(self) -> None:
        payload = slot_of(self._verilog.slot_bits())
        full = self.register.inbox is not None
        answer = ACCEPT if full else self.application.answer(self, payload)
        self._verilog.drive(answer=_ANSWERS.index(answer.kind), answered=1, give=slot_bits(answer.payload))

    def _tell(self, what: int) -> None:
        told = self._verilog.told
        bits = told.bits
        queued = bool(bits & 1)
        if what & _GRANTED:
            if "enqueue" in TABLE[told.row].acts:
                self._queue = self._offering[0]
                queued = True
            self._offering = ()
        self.volatile = _VOLATILE[bits >> 1]
        if queued:
            self.volatile = self.volatile._replace(queued=(self._queue,))
        before = self.register
        if what & _WRITTEN:
            self._find(told.write_row)
        if what & _SETTLED:
            self._verilog.writes_from = 0
        if what & _SENT:
            octets = self._verilog.octets()
            self.sent[_FRAMES[octets[14] & 0x0F]] += 1
            self.transmit(octets)
        if what & _FENCED:
            self._record("fenced", self.name, epoch=self.register.epoch, detail=TABLE[told.before_row].name)
            self.application.fenced(self)
        if what & _HEARD and self.register.round:
            self._claim("round_closed", self.register.round - 1)
        if what & _COMMITTED:
            self._claim("round_committed", before.round)
            self.application.committed(self, before.round, self.register.inbox)  # type: ignore[arg-type]
        if what & _REVERSED:
            self._claim("round_reversed", before.round)
            self.application.reversed(self, before.round, before.slot)  # type: ignore[arg-type]
        if what & _REFUSED:
            self.application.refused(self, TABLE[told.row].event)
        if what & _ALARM:
            self._alarm()
        if what & _SETTLED:
            self.application.settled(self)
        if what & _READY and not self._offering:
            self.application.ready(self)

    def _find(self, write_row: int) -> None:
        """The register holds something new: note it, and what it makes of the application's word."""
        write = TABLE[write_row].write or ""
        register = register_of(self._verilog.register_bits())
        word = self.application.custody(write, self.register, register, self.word)
        self._cells.record = Record(register, word)
        self._note(write, self._cells.record)
        self._hold(self._cells.record)

    # what is done to it

    def boot(self) -> None:
        """Power is on, or a reset is over."""
        if self.up:
            return
        self._verilog.stand(self._now // self._period + 1)
        self._verilog.drive(reset=0, crash=0, link=self.carrier)
        self.up = True
        self._handles = True
        self.application.settled(self)
        self._handles = False
        self._go()

    def crash(self, *, power: bool) -> None:
        """Everything volatile is gone; *power*: a write under way is torn."""
        if self.up:
            self.crashes += 1
            self.tally()
            self._come()
        elif power:
            self._verilog.stand(self._now // self._period + 1)
        self._verilog.drive(
            reset=not power, crash=power, offering=0, cancelling=0, consuming=0, formatting=0, answered=0,
            tear=self._draw.getrandbits(REGISTER_BITS), tear_sel=self._draw.getrandbits(1),
        )  # fmt: skip
        self._verilog.strike()
        if register_of(self._verilog.register_bits()) != self.register:
            self._find(self._verilog.told.write_row)
        self._stop()
        self._event = None
        self._verilog.writes_from = 0
        self._offering = ()
        self._counted = [0] * len(self._counted)
        self._verilog.hold()

    def restore_power(self) -> None:
        """`boot` follows."""

    def link_up(self) -> None:
        """The device sees a link."""
        self._see_link(True)

    def link_down(self) -> None:
        """The device sees that the link is gone."""
        self._see_link(False)

    def _see_link(self, there: bool) -> None:
        self.carrier = there
        if self.up:
            self._come()
            self._verilog.drive(link=there)
            self._go()

    def receive(self, octets: bytes) -> None:
        """A frame arrived, whatever it is."""
        if not self.up:
            self.dropped["dark"] += 1
            return
        self.received = count = self.received + 1
        if not count & (count - 1) or (len(octets) != FRAME_OCTETS and len(self.sample) < _SAMPLED):
            self.sample.append(octets)
        if len(octets) <= _RUNT:
            self.dropped[Drop.LENGTH.value] += 1
            return
        self._come()
        self._verilog.frame(octets)
        self._go()

    def _request(
        self, event: Event, *, app: bytes | None = None, fresh: int = 0, round_named: int | None = None,
        ruled: bool = False,
    ) -> None:  # fmt: skip
        if not self.up:
            super()._request(event, app=app, fresh=fresh, round_named=round_named, ruled=ruled)
            return
        self._come()
        verilog = self._verilog
        if (event is Event.APP_OFFER and self._offering) or (event is Event.APP_CONSUME and verilog.consuming):
            self.application.refused(self, event)  # one at a time
            return
        match event:
            case Event.APP_OFFER:
                verilog.drive(offer=slot_bits(app), offering=1)
                self._offering = (app,)
            case Event.APP_CANCEL:
                verilog.drive(cancelling=1)
            case Event.APP_CONSUME:
                assert round_named is not None
                verilog.drive(consume_round=round_named, consuming=1)
            case Event.FORMAT:
                verilog.drive(format_nvid=fresh, ruled=ruled, formatting=1)
            case _:
                raise AssertionError(event)
        self._go()

    # figures

    def tally(self) -> None:
        """Bring `rows` and `dropped` up to what the Verilog has counted."""
        if not self.up:
            return
        self._come()
        counts = self._verilog.counters()
        now = [*counts[:_ROWS], *counts[_ROWS + 1 : _ROWS + 1 + len(DROPS)], *counts[_ROWS + _DROPS :]]
        for index, row in enumerate(TABLE):
            if count := now[index] - self._counted[index]:
                self.rows[row.name] += count
                self._cells.written += count * (row.write is not None)
        for index, reason in enumerate(_DROPPED, _ROWS):
            if count := now[index] - self._counted[index]:
                self.dropped[reason] += count
        self._counted = list(now)
        self._go()

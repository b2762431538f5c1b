"""One end of a link, live, as its Verilog does it: `rtl/blp_link_top.v` as Verilator's C++, in the run's own time.

Cycle n of the Verilog lasts from n clock periods to n + 1.  What the rest of the simulation does to an end (a frame,
a crash, a request) reaches it with the cycle that begins next, and what it does it does at the beginning of the cycle
in which it shows.  Behind and before the Verilog stands a MAC that stores and forwards.

An end runs ahead, to the next thing of its own that somebody must know of, and no end waits for another.  Where
something else happens to it first, it goes back to where it set out from and comes to that instant, so nothing ever
reaches it in its past: a cut and a crash are no more foreseen than by the model, and come in the right cycle.  Quiet
spans are skipped exactly (see `verilated/link.cpp`); a beacon's period of silence costs next to nothing.

A frame that comes during a write is dropped, as by the model; with `rx_depth` it waits in the Verilog's queue instead,
which the model does not have.

What is not in the Verilog: the application, which is asked in the cycle in which its answer counts; and its word, that
is kept here as if it lay in the register's own cells, folded by `Application.custody` into every write.  A write of
the memory takes what the model's takes, in whole cycles.  A power loss is `crash_i`, with what it leaves in the cells
under way drawn; a reset is `rst_i`, which gives a write up that has not come to its last cycle (the model lets it go
on).  Frames of four octets or fewer end at the MAC and count as too short.

Source: `rtl/README.md`.  To run ahead and go back: Jefferson, "Virtual Time", ACM TOPLAS 7(3), 1985.

Not modelled: a memory that wears out, or has energy to go on with; time between the clocks of two ends, which tick as
one.
"""

from __future__ import annotations

import ctypes
import random
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hwsim.bilateral import verilated
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

# As link.cpp has them.
_REGISTER_WORDS, _SLOT_WORDS, _ROWS, _DROPS, _FRAME = 22, 7, 128, 16, 128
_WRITES, _ASKS, _OFFERS = 1, 2, 4
(_ASKED, _WRITTEN, _SETTLED, _HEARD, _FENCED, _READY, _SENT, _GRANTED, _REFUSED, _COMMITTED, _REVERSED,
 _ALARM) = (1 << bit for bit in range(12))  # fmt: skip
_QUIETLY, _DRAWN = 1, 2

_ANSWERS: Final = OBSERVABLES["answer"]
_FLAGS: Final = bytes(
    (_WRITES if row.write else 0)
    | (_ASKS if row.name == "offer_while_busy" else 0)
    | (_OFFERS if row.event is Event.APP_OFFER else 0)
    for row in TABLE
).ljust(_ROWS, b"\0")
_DROPPED: Final = (*DROPS, "epoch", "missed", *(drop.value for drop in Drop))  # in the order of hw_counters
_RUNT = 4  # octets of a frame that is nothing but its FCS
_SAMPLED = 16


class _Inputs(ctypes.Structure):
    _fields_ = (
        ("tear", ctypes.c_uint32 * _REGISTER_WORDS),
        ("offer", ctypes.c_uint32 * _SLOT_WORDS),
        ("give", ctypes.c_uint32 * _SLOT_WORDS),
        ("format_nvid", ctypes.c_uint64),
        ("consume_round", ctypes.c_uint64),
        *((name, ctypes.c_uint8) for name in (
            "reset", "crash", "tear_sel", "link", "offering", "cancelling", "consuming", "formatting", "ruled",
            "answer", "answered", "unused")),
    )  # fmt: skip


class _Outputs(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_uint64) for name in ("cycle", "write_from", "run", "skipped")),
        *((name, ctypes.c_uint32) for name in (
            "what", "row", "write_row", "before_row", "state", "bits", "length")),
        ("register", ctypes.c_uint32 * _REGISTER_WORDS),
        ("slot", ctypes.c_uint32 * _SLOT_WORDS),
        ("frame", ctypes.c_uint8 * _FRAME),
    )  # fmt: skip


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
    what a power loss leaves of a write; *waves*: a file for them (VCD).  *skips* False executes every cycle; *rx_depth*
    received frames wait for the end of a write.
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
        beacon: int,
        retransmit: int,
        fresh: Callable[[], int],
        record: Callable[..., None],
        mac: bytes,
        application: Application | None = None,
        waves: Path | None = None,
        skips: bool = True,
        rx_depth: int = 0,
    ) -> None:
        self._library = library = verilated.library(waves=waves is not None, rx_depth=rx_depth)
        self._period = clock
        self._draw = draw
        self._drawn = _DRAWN if waves is not None else 0
        cycles = max(1, -(-write_time(nv) // clock) - 3)
        in_cycles = [max(1, -(-time // clock)) for time in (beacon, retransmit)]
        self._far = max(in_cycles) + 4096  # how far ahead it runs if nothing happens
        self._end = ctypes.c_void_p(library.hw_create(
            _FLAGS, cycles, *in_cycles, int.from_bytes(NEAREST_BRIDGE, "big"), int.from_bytes(mac, "big"), clock,
            skips, str(waves).encode() if waves is not None else None,
        ))  # fmt: skip
        self._destroy = weakref.finalize(self, library.hw_destroy, self._end)
        self._destroy.atexit = False  # then there is nothing left to save
        self._in = _Inputs.from_address(library.hw_inputs(self._end))
        self._out = _Outputs.from_address(library.hw_outputs(self._end))
        self._frame_at = library.hw_outputs(self._end) + _Outputs.frame.offset
        self._write_from = 0  # the cycle from which a write is under way; 0: none is
        self._handles = False  # an event of the Verilog's is being handled: it stands still at the present cycle
        self._event: tuple[int, int] | None = None  # when the Verilog's next one is (ps), and what it is
        self._offering: tuple[bytes | None, ...] = ()  # asked for, and not taken up yet
        self._queue: bytes | None = None  # what is queued, if anything is
        self._counted = [0] * (_ROWS + len(_DROPPED) + _DROPS - len(DROPS))
        self._format(first := fresh(), cycles)
        self._cells = Cells(Record(Register(first), word))
        super().__init__(
            env, name, self._cells, beacon=beacon, retransmit=retransmit, fresh=fresh, record=record, mac=mac,
            application=application,
        )  # fmt: skip

    def close(self) -> None:
        """The run is over: write what is left of the waves, and let the Verilog go."""
        self.up = False
        self._life += 1
        self._ran = self.cycles
        self._destroy()

    def _format(self, identity: int, cycles: int) -> None:
        """At the factory: give it its first identity, and leave it in reset."""
        library, end, inputs = self._library, self._end, self._in
        library.hw_run(end, 2, _QUIETLY)
        inputs.reset = 0
        inputs.formatting, inputs.format_nvid = 1, identity
        library.hw_run(end, cycles + 100, _QUIETLY)
        inputs.reset = 1
        library.hw_run(end, cycles + 102, _QUIETLY)
        library.hw_look(end)
        assert register_of(self._register_bits()) == Register(identity)
        library.hw_begin(end)

    def _register_bits(self) -> int:
        return int.from_bytes(bytes(self._out.register), "little") & ((1 << REGISTER_BITS) - 1)

    @property
    def cycles(self) -> tuple[int, int]:
        """Cycles executed so far, also those that it went back on, and cycles skipped."""
        return (self._out.run, self._out.skipped) if self._destroy.alive else self._ran

    @property
    def state(self) -> State:
        """The table's state."""
        writing = bool(self._write_from) and self._write_from * self._period <= self._now
        return state_of(self.register, self.volatile, writing=writing)

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
        if self._event is not None and self._event[0] <= self._now:
            self._happen()
        self._library.hw_come(self._end, self._now // self._period + 1, self._drawn)

    def _go(self) -> None:
        """Its inputs have changed: run ahead, to the next thing that it does."""
        if self._handles:
            return
        self._life = life = self._life + 1
        self._event = None
        if not self.up:
            self._library.hw_save(self._end)
            return
        what = self._library.hw_go(self._end, self._far)
        out = self._out
        self._write_from = out.write_from
        at = max(out.cycle * self._period, self._now)
        self._event = (at, what)

        def due(_: simpy.Event) -> None:
            if life == self._life and self._event is not None:
                self._happen()

        self.env.timeout(at - self._now).callbacks.append(due)

    def _happen(self) -> None:
        """What the Verilog has run ahead to is now."""
        assert self._event is not None
        _, what = self._event
        self._event = None
        self._life += 1
        if self._drawn:
            self._see_again(what)
        self._handles = True
        if what & _ASKED:
            self._answer()
        elif what:
            self._tell(what)
        self._handles = False
        self._go()

    def _see_again(self, what: int) -> None:
        """Nothing comes between any more: go there again, now for the waves."""
        library, end = self._library, self._end
        cycle = library.hw_cycle(end)
        library.hw_restore(end)
        library.hw_run(end, cycle, _QUIETLY | _DRAWN)
        if what & _ASKED:
            library.hw_run(end, cycle + 1, 0)

    # what it asks and tells

    def _answer(self) -> None:
        payload = slot_of(int.from_bytes(bytes(self._out.slot), "little"))
        full = self.register.inbox is not None
        answer = ACCEPT if full else self.application.answer(self, payload)
        self._in.answer, self._in.answered = _ANSWERS.index(answer.kind), 1
        self._in.give[:] = _words(slot_bits(answer.payload), _SLOT_WORDS)

    def _tell(self, what: int) -> None:
        out = self._out
        row, write_row, before_row, bits = out.row, out.write_row, out.before_row, out.bits
        if what & _GRANTED:
            if "enqueue" in TABLE[row].acts:
                self._queue = self._offering[0]
            self._offering = ()
        queued = (self._queue,) if bits & 1 else ()
        self.volatile = Volatile(bits & 16 != 0, bits & 8 != 0, bits & 4 != 0, bits & 2 != 0, queued)
        if what & _GRANTED and "enqueue" in TABLE[row].acts:
            self.volatile = self.volatile._replace(queued=(self._queue,))
        before = self.register
        if what & _WRITTEN:
            self._find(write_row)
        if what & _SETTLED:
            self._write_from = 0
        if what & _SENT:
            octets = ctypes.string_at(self._frame_at, out.length)
            self.sent[FrameType(octets[14] & 0x0F).name] += 1
            self.transmit(octets)
        if what & _FENCED:
            self._record("fenced", self.name, epoch=self.register.epoch, detail=TABLE[before_row].name)
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
            self.application.refused(self, TABLE[row].event)
        if what & _ALARM:
            self._alarm()
        if what & _SETTLED:
            self.application.settled(self)
        if what & _READY and not self._offering:
            self.application.ready(self)

    def _find(self, write_row: int) -> None:
        """The register holds something new: note it, and what it makes of the application's word."""
        write = TABLE[write_row].write or ""
        register = register_of(self._register_bits())
        word = self.application.custody(write, self.register, register, self.word)
        self._cells.record = Record(register, word)
        self._note(write, self._cells.record)
        self._hold(self._cells.record)

    # what is done to it

    def boot(self) -> None:
        """Power is on, or a reset is over."""
        if self.up:
            return
        self._library.hw_run(self._end, self._now // self._period + 1, _QUIETLY | self._drawn)
        self._in.reset = self._in.crash = 0
        self._in.link = self.carrier
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
            self._library.hw_run(self._end, self._now // self._period + 1, _QUIETLY | self._drawn)
        library, end, inputs = self._library, self._end, self._in
        inputs.reset, inputs.crash = int(not power), int(power)
        inputs.offering = inputs.cancelling = inputs.consuming = inputs.formatting = inputs.answered = 0
        inputs.tear[:] = _words(self._draw.getrandbits(REGISTER_BITS), _REGISTER_WORDS)
        inputs.tear_sel = self._draw.getrandbits(1)
        library.hw_run(end, library.hw_cycle(end) + 1, _QUIETLY | self._drawn)
        library.hw_look(end)
        if register_of(self._register_bits()) != self.register:
            self._find(self._out.write_row)
        self._stop()
        self._event = None
        self._write_from = 0
        self._offering = ()
        self._counted = [0] * len(self._counted)
        library.hw_save(end)

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
            self._in.link = there
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
        self._library.hw_frame(self._end, octets, len(octets))
        self._go()

    def _request(
        self, event: Event, *, app: bytes | None = None, fresh: int = 0, round_named: int | None = None,
        ruled: bool = False,
    ) -> None:  # fmt: skip
        if not self.up:
            super()._request(event, app=app, fresh=fresh, round_named=round_named, ruled=ruled)
            return
        self._come()
        inputs = self._in
        if (event is Event.APP_OFFER and inputs.offering) or (event is Event.APP_CONSUME and inputs.consuming):
            self.application.refused(self, event)  # one at a time
            return
        match event:
            case Event.APP_OFFER:
                inputs.offer[:] = _words(slot_bits(app), _SLOT_WORDS)
                inputs.offering = 1
                self._offering = (app,)
            case Event.APP_CANCEL:
                inputs.cancelling = 1
            case Event.APP_CONSUME:
                assert round_named is not None
                inputs.consume_round, inputs.consuming = round_named, 1
            case Event.FORMAT:
                inputs.format_nvid, inputs.ruled, inputs.formatting = fresh, ruled, 1
            case _:
                raise AssertionError(event)
        self._go()

    # figures

    def tally(self) -> None:
        """Bring `rows` and `dropped` up to what the Verilog has counted."""
        if not self.up:
            return
        self._come()
        counts = (ctypes.c_uint32 * (_ROWS + _DROPS + 10))()
        self._library.hw_counters(self._end, counts)
        now: Sequence[int] = [*counts[: _ROWS], *counts[_ROWS + 1 : _ROWS + 1 + len(DROPS)], *counts[_ROWS + _DROPS :]]
        for index, row in enumerate(TABLE):
            if count := now[index] - self._counted[index]:
                self.rows[row.name] += count
                self._cells.written += count * (row.write is not None)
        for index, reason in enumerate(_DROPPED, _ROWS):
            if count := now[index] - self._counted[index]:
                self.dropped[reason] += count
        self._counted = list(now)
        self._go()


def _words(bits: int, count: int) -> Any:
    return [bits >> 32 * word & 0xFFFFFFFF for word in range(count)]

"""An end's Verilog as Verilator's C++, in this process: it runs ahead, and goes back where something comes before that.

Source: to run ahead and go back, Jefferson, "Virtual Time", ACM TOPLAS 7(3), 1985.
"""

from __future__ import annotations

import ctypes
import weakref
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

from hwsim.bilateral import verilated

# As link.cpp has them.
_REGISTER_WORDS, _SLOT_WORDS, _ROWS, _COUNTERS, _FRAME = 22, 7, 128, 154, 128
_QUIETLY, _DRAWN = 1, 2
_REGISTER: Final = (1 << 692) - 1
_WIDE: Final = {"tear": _REGISTER_WORDS, "offer": _SLOT_WORDS, "give": _SLOT_WORDS}


class Inputs(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_uint32 * words) for name, words in _WIDE.items()),
        ("format_nvid", ctypes.c_uint64),
        ("consume_round", ctypes.c_uint64),
        *((name, ctypes.c_uint8) for name in (
            "reset", "crash", "tear_sel", "link", "offering", "cancelling", "consuming", "formatting", "ruled",
            "answer", "answered", "unused")),
    )  # fmt: skip


class Outputs(ctypes.Structure):
    _fields_ = (
        *((name, ctypes.c_uint64) for name in ("cycle", "write_from", "run", "skipped")),
        *((name, ctypes.c_uint32) for name in (
            "what", "row", "write_row", "before_row", "state", "bits", "length")),
        ("register", ctypes.c_uint32 * _REGISTER_WORDS),
        ("slot", ctypes.c_uint32 * _SLOT_WORDS),
        ("frame", ctypes.c_uint8 * _FRAME),
    )  # fmt: skip


class Verilated:
    """One end.  *cycles* a write takes; timers in cycles; *period* of the clock (ps); *found*: see `Verilog`.

    *rows*: a byte for each row of the table, as link.cpp reads them; *rx_depth* received frames wait for the end of a
    write; *waves*: a file for them (VCD); *skips* False executes every cycle.
    """

    def __init__(
        self,
        *,
        cycles: int,
        beacon: int,
        retransmit: int,
        peers: bytes,
        mac: bytes,
        period: int,
        rows: bytes,
        found: Callable[[int, int], None],
        rx_depth: int = 0,
        waves: Path | None = None,
        skips: bool = True,
    ) -> None:
        self._library = library = verilated.library(waves=waves is not None, rx_depth=rx_depth)
        self._cycles = cycles
        self._far = max(beacon, retransmit) + 4096  # how far ahead it runs if nothing happens
        self._found = found
        self._drawn = _DRAWN if waves is not None else 0
        self._end = ctypes.c_void_p(library.hw_create(
            rows.ljust(_ROWS, b"\0"), cycles, beacon, retransmit, int.from_bytes(peers, "big"),
            int.from_bytes(mac, "big"), period, skips, str(waves).encode() if waves is not None else None,
        ))  # fmt: skip
        self._destroy = weakref.finalize(self, library.hw_destroy, self._end)
        self._destroy.atexit = False  # then there is nothing left to save
        self._in = Inputs.from_address(library.hw_inputs(self._end))
        self.told = Outputs.from_address(library.hw_outputs(self._end))
        self._frame_at = library.hw_outputs(self._end) + Outputs.frame.offset
        self._ran = (0, 0)
        self._go, self._come = library.hw_go, library.hw_come  # found once: they are called for all that happens

    # what it is given

    def format(self, identity: int) -> None:
        """At the factory: give it its first identity, and leave it in reset."""
        library, end = self._library, self._end
        library.hw_run(end, 2, _QUIETLY)
        self.drive(reset=0, formatting=1, format_nvid=identity)
        library.hw_run(end, self._cycles + 100, _QUIETLY)
        self.drive(reset=1)
        library.hw_run(end, self._cycles + 102, _QUIETLY)
        library.hw_look(end)
        library.hw_begin(end)

    def drive(self, **inputs: int) -> None:
        """Set inputs, from the present cycle on; a request stands until it is granted."""
        for name, value in inputs.items():
            if count := _WIDE.get(name):
                getattr(self._in, name)[:] = [value >> 32 * word & 0xFFFFFFFF for word in range(count)]
            else:
                setattr(self._in, name, value)

    def frame(self, octets: bytes) -> None:
        """A frame has arrived at its MAC."""
        self._library.hw_frame(self._end, octets, len(octets))

    @property
    def consuming(self) -> bool:
        """Whether a request to consume has not been granted yet."""
        return bool(self._in.consuming)

    # time

    def come(self, cycle: int) -> None:
        """Go to the beginning of *cycle*, back if it has run ahead of that."""
        self._come(self._end, cycle, self._drawn)

    def stand(self, cycle: int) -> None:
        """Come to the beginning of *cycle* in reset, where nothing happens."""
        self._library.hw_run(self._end, cycle, _QUIETLY | self._drawn)

    def go(self) -> None:
        """Its inputs have changed: run ahead, to the next thing that it does."""
        what = self._go(self._end, self._far)
        self._found(self.told.cycle, what)

    def hold(self) -> None:
        """This is the place to go back to."""
        self._library.hw_save(self._end)

    def reach(self) -> None:
        """What was found is now: nothing comes between any more, so go there again for the waves."""
        if not self._drawn:
            return
        library, end, asked = self._library, self._end, self.told.what & 1
        cycle = library.hw_cycle(end)
        library.hw_restore(end)
        library.hw_run(end, cycle, _QUIETLY | _DRAWN)
        if asked:
            library.hw_run(end, cycle + 1, 0)

    def strike(self) -> None:
        """One cycle, in which it loses all that is volatile; then `told` is what it has come to."""
        library, end = self._library, self._end
        library.hw_run(end, library.hw_cycle(end) + 1, _QUIETLY | self._drawn)
        library.hw_look(end)

    def close(self) -> None:
        """The run is over: write what is left of the waves, and let it go."""
        self._ran = self.cycles
        self._destroy()

    # what it says

    @property
    def writes_from(self) -> int:
        """The cycle from which a write is under way, as far as one has been found; 0: none is."""
        return self.told.write_from  # type: ignore[no-any-return]

    @writes_from.setter
    def writes_from(self, cycle: int) -> None:
        self.told.write_from = cycle

    def register_bits(self) -> int:
        """The register."""
        return int.from_bytes(bytes(self.told.register), "little") & _REGISTER

    def slot_bits(self) -> int:
        """What the frame that asks offers."""
        return int.from_bytes(bytes(self.told.slot), "little")

    def octets(self) -> bytes:
        """The frame that was sent."""
        return ctypes.string_at(self._frame_at, self.told.length)

    def counters(self) -> Sequence[int]:
        """Of the rows, of the table's reasons to drop, and the others (see `hw_counters`)."""
        counts = (ctypes.c_uint32 * _COUNTERS)()
        self._library.hw_counters(self._end, counts)
        return list(counts)

    @property
    def cycles(self) -> tuple[int, int]:
        """Cycles executed so far, also those that it went back on, and cycles skipped."""
        return (self.told.run, self.told.skipped) if self._destroy.alive else self._ran

"""Ends of links in Verilog under Icarus, in the time of a run: who conducts both, and one end.

Icarus cannot go back, so it is never let go too far.  When all of an instant has been done, SimPy knows when its next
event is; until then nothing comes to any end but from the ends themselves.  So all ends go on together, to that
instant, or to the end of the first cycle in which one of them does something.  What it does may be heard of at once, on
the device that it is in; but a frame that is sent, and nothing else, is heard of one delay of its link later, and that
far all of them go on.  A link without a delay leaves nothing: then both times go in lock-step.

Source: lookahead by the delay of a link: Chandy and Misra, "Distributed Simulation", IEEE TSE SE-5(5), 1979.
"""

from __future__ import annotations

import struct
from collections import deque
from collections.abc import Callable, Sequence
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from hwsim.bilateral.cosimulated import Simulator, waves

if TYPE_CHECKING:
    import simpy

    from hwsim.bilateral.cosimulated.told import Told

_LAST: Final = 4  # SimPy priority: after what ends in Verilog do at an instant
_ROWS: Final = {"WRITES": 1, "ASKS": 2, "OFFERS": 4}  # as the bits of a row's byte
_ASKED: Final = 1


class Conductor:
    """Keeps the time of all ends under Icarus, and of a run's SimPy."""

    def __init__(self, env: simpy.Environment) -> None:
        self.env = env
        self.ends: list[CoSimulated] = []
        self.cycle = 1  # that all of them have come to the beginning of
        self.turns = count()
        self._simulator: Simulator | None = None
        self._whole: Path | None = None  # the waves of all ends
        self._armed: tuple[int, int] | None = None  # when it looks again, and at which of its orders
        self._orders = 0
        self.seconds = (0.0, 0.0)  # in Icarus itself, and in all of its process; known at the end

    def request(self, *what: Any) -> Any:
        """Ask Icarus for something."""
        if self._simulator is None:
            self._simulator = self._begin()
        return self._simulator.request(*what)

    def _begin(self) -> Simulator:
        ends, first = self.ends, self.ends[0]
        assert all(end.period == first.period for end in ends)
        files = [end.waves for end in ends if end.waves is not None]
        if files:
            self._whole = files[0].with_name("icarus.whole.vcd")
        rows = {name: sum(1 << row for row, bits in enumerate(first.rows) if bits & bit) for name, bit in _ROWS.items()}
        each = {"WRITE_CYCLES": [end.write_cycles for end in ends], "RX_DEPTH": [end.rx_depth for end in ends]}
        simulator = Simulator(len(ends), first.period, each, rows, self._whole)
        simulator.request("begin", [end.figures for end in ends])
        return simulator

    def close(self) -> None:
        """An end is let go; with the last one Icarus ends."""
        if self._simulator is not None and all(end.closed for end in self.ends):
            self.seconds = self._simulator.finish()
            self._simulator = None
            if self._whole is not None:
                waves.part(self._whole, [end.waves for end in self.ends if end.waves is not None])
                self._whole.unlink()

    # time

    def arm(self, at: int | None = None) -> None:
        """Look again when all of an instant (default: this one) has been done."""
        now: int = self.env.now  # type: ignore[assignment]
        at = now if at is None else at
        if self._armed is not None and self._armed[0] <= at:
            return
        self._orders = order = self._orders + 1
        self._armed = (at, order)

        def due(_: simpy.Event) -> None:
            if self._armed == (at, order):
                self._armed = None
                self._conduct()

        event = self.env.event()
        event._ok, event._value = True, None
        event.callbacks.append(due)
        self.env.schedule(event, _LAST, at - now)  # type: ignore[arg-type]  # an EventPriority is an int

    def _conduct(self) -> None:
        """All of this instant has been done: let the ends go as far as nothing can come to them."""
        period = self.ends[0].period
        ahead = self.env.peek()
        until = self.cycle + max(end.far for end in self.ends) if ahead == float("inf") else int(ahead) // period + 1
        if until > self.cycle:
            self._advance(until)
        ahead = self.env.peek()
        self.arm((self.cycle - 1) * period if ahead == float("inf") else int(ahead))

    def _advance(self, until: int) -> None:
        ends = self.ends
        inputs = {end.index: end.inputs for end in ends if end.inputs}
        frames = {end.index: end.frames for end in ends if end.frames}
        self.cycle, told, taken, begun = self.request("advance", until, inputs, frames)
        for end in ends:
            if end.inputs:
                end.inputs = {}
            if end.frames:
                end.frames = []
        for index in taken:
            ends[index].consuming = False
        for index, cycle in begun:
            ends[index].writes_from = cycle
        heads = []
        for index, happened in told:
            if not ends[index].ahead:
                heads.append((happened.cycle, ends[index].turn, index))
            ends[index].ahead.append(happened)
        for _, _, index in sorted(heads):
            ends[index].present()


class CoSimulated:
    """One end; figures as `Verilated`'s.  *lookahead*: cycles that a frame takes at least."""

    told: Told

    def __init__(
        self,
        conductor: Conductor,
        *,
        cycles: int,
        beacon: int,
        retransmit: int,
        peers: bytes,
        mac: bytes,
        period: int,
        rows: bytes,
        found: Callable[[int, int], None],
        lookahead: int,
        rx_depth: int = 0,
        waves: Path | None = None,
        skips: bool = True,
    ) -> None:
        self.index = len(conductor.ends)
        self.period = period
        self.rows = rows
        self.write_cycles = cycles
        self.rx_depth = rx_depth
        self.waves = waves
        self.far = max(beacon, retransmit) + 4096
        self.figures: dict[str, Any] = {
            "beacon": beacon, "retransmit": retransmit, "peers": int.from_bytes(peers, "big"),
            "mac": int.from_bytes(mac, "big"), "lookahead": lookahead, "skips": skips,
        }  # fmt: skip
        self.inputs: dict[str, int] = {}  # for the cycle that begins next
        self.frames: list[bytes] = []
        self.consuming = False
        self.writes_from = 0
        self.ahead: deque[Told] = deque()  # what it has done, and is not yet
        self.turn = next(conductor.turns)  # in which the ends were let go
        self.closed = False
        self._conductor = conductor
        self._found = found
        self._asked = False
        self._at = 0  # the cycle that it has come to the beginning of, where it has gone further than the others
        conductor.ends.append(self)

    def format(self, identity: int) -> None:
        """At the factory: give it its first identity."""
        self.figures["identity"] = identity

    def drive(self, **inputs: int) -> None:
        """Set inputs, from the cycle on that begins next; a request stands until it is granted."""
        self.inputs.update((name, int(value)) for name, value in inputs.items())
        if "consuming" in inputs:
            self.consuming = bool(inputs["consuming"])

    def frame(self, octets: bytes) -> None:
        """A frame has arrived at its MAC."""
        self.frames.append(octets)

    def come(self, cycle: int) -> None:
        """It is at the beginning of *cycle*."""
        assert cycle == self._conductor.cycle

    def stand(self, cycle: int) -> None:
        """It is at the beginning of *cycle*, or beyond."""

    def go(self) -> None:
        """Its inputs have changed: let it go on when all of this instant has been done."""
        self.turn = next(self._conductor.turns)
        if self._asked:
            self._asked = False
            told = self._conductor.request("step", self.index, self._taken())
            if told is not None:
                self.ahead.append(told)
        self.present()
        self._conductor.arm()

    def present(self) -> None:
        """Tell what it does next, where that is known."""
        if self.ahead:
            self._found(self.ahead[0].cycle, self.ahead[0].what)

    def hold(self) -> None:
        """It does nothing."""

    def reach(self) -> None:
        """What was found is now."""
        self.told = self.ahead.popleft()
        self._asked = bool(self.told.what & _ASKED)

    def strike(self) -> None:
        """The cycle in which it loses all that is volatile, ahead of the others; then `told` is what it has come to."""
        self._at = max(self._at, self._conductor.cycle) + 1
        self.frames = []
        self.told = self._conductor.request("crash", self.index, self._taken())

    def _taken(self) -> dict[str, int]:
        inputs, self.inputs = self.inputs, {}
        return inputs

    def close(self) -> None:
        """The run is over."""
        self.closed = True
        self._conductor.close()

    def register_bits(self) -> int:
        """The register."""
        return self.told.register

    def slot_bits(self) -> int:
        """What the frame that asks offers."""
        return self.told.slot

    def octets(self) -> bytes:
        """The frame that was sent."""
        return self.told.octets

    def counters(self) -> Sequence[int]:
        """Of the rows, of the table's reasons to drop, and the others."""
        words, *self._cycles = self._conductor.request("counters", self.index)
        return struct.unpack(f"<{len(words) // 4}I", words)

    @property
    def cycles(self) -> tuple[int, int]:
        """Cycles executed and skipped, as of the last look at its counters."""
        run, skipped = self._cycles
        return run, skipped

    _cycles: Sequence[int] = (0, 0)

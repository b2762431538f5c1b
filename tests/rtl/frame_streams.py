"""A bench's hands on frame_source and frame_sink: frames in, frames out, with the cycles in which they passed."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge, ValueChange, with_timeout

PERIOD_NS = 6.4  # 156.25 MHz: 64 bits of it are 10 Gb/s


class Arrival(NamedTuple):
    """A frame that the sink has collected.  Cycles count from the reset."""

    octets: bytes
    bad: bool
    first_at: int  # the first word offered
    last_at: int  # the last word taken
    bubbles: int


class Bench:
    """Clock, reset, source and sink of a bench's top module; what it lacks of them is left out."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.octets_a_word = int(dut.DATA_W.value) // 8
        for name in ("put_i", "length_i", "frame_i", "bad_i", "source_pause_i", "sink_pause_i"):
            if hasattr(dut, name):
                getattr(dut, name).value = 0

    async def start(self) -> None:
        """Start the clock and reset."""
        cocotb.start_soon(Clock(self.dut.clk_i, PERIOD_NS, unit="ns", period_high=3.2).start())
        await self.reset()

    def pause(self, source: int, sink: int) -> None:
        """Let them pause so many of 256 cycles."""
        self.dut.source_pause_i.value, self.dut.sink_pause_i.value = source, sink

    async def reset(self) -> None:
        """Two cycles of reset, and the cycle after it."""
        self.dut.rst_i.value = 1
        await ClockCycles(self.dut.clk_i, 2)
        self.dut.rst_i.value = 0
        await RisingEdge(self.dut.clk_i)

    async def put(self, octets: bytes, *, bad: bool = False) -> None:
        """Hand over a frame; returns once the source has copied it."""
        dut = self.dut
        dut.frame_i.value = int.from_bytes(octets, "little")
        dut.length_i.value = len(octets)
        dut.bad_i.value = bad
        dut.put_i.value = not bool(dut.put_i.value)
        await with_timeout(ValueChange(dut.taken_o), 1, "ms")

    async def get(self) -> Arrival:
        """The next frame that arrives."""
        dut, sink = self.dut, self.dut.sink
        await with_timeout(ValueChange(dut.arrived_o), 1, "ms")
        await ReadOnly()
        octets = int(dut.frame_o.value).to_bytes(len(dut.frame_o) // 8, "little")[: int(dut.length_o.value)]
        arrival = Arrival(
            octets,
            bool(dut.bad_o.value),
            int(sink.first_at_o.value),
            int(sink.last_at_o.value),
            int(sink.bubbles_o.value),
        )
        await RisingEdge(dut.clk_i)
        return arrival

    async def through(self, frames: Iterable[bytes], arrivals: int) -> list[Arrival]:
        """Put *frames* one behind the other, without a pause, and get so many."""

        async def put_all() -> None:
            for frame in frames:
                await self.put(frame)

        putting = cocotb.start_soon(put_all())
        got = [await self.get() for _ in range(arrivals)]
        await putting
        await ClockCycles(self.dut.clk_i, 20)
        return got

    def faults(self) -> int:
        """Breaches of the stream's rules that the sink has seen."""
        return int(self.dut.sink.faults_o.value)

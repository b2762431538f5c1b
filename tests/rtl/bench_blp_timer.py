"""blp_timer: its periods, what restarts them, and quiet spans that are skipped."""

from __future__ import annotations

import random
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge


async def started(dut: Any) -> None:
    for name in ("tick_i", "sent_i", "bound_i", "timer_ready_i"):
        getattr(dut, name).value = 0
    dut.cfg_beacon_i.value, dut.cfg_retry_i.value = 10, 4
    cocotb.start_soon(Clock(dut.clk_i, 6.4, unit="ns", period_high=3.2).start())
    dut.rst_i.value = 1
    await ClockCycles(dut.clk_i, 2)
    dut.rst_i.value = 0


async def ticks_to_fire(dut: Any, gap: int, most: int = 50) -> int:
    """How many ticks, so many cycles apart, until it fires."""
    for count in range(1, most):
        dut.tick_i.value = 1
        await RisingEdge(dut.clk_i)
        dut.tick_i.value = 0
        await ReadOnly()
        if int(dut.timer_valid_o.value):
            await RisingEdge(dut.clk_i)
            return count
        await ClockCycles(dut.clk_i, 1 + gap)
    raise AssertionError("it does not fire")


async def take(dut: Any) -> None:
    dut.timer_ready_i.value = 1
    await RisingEdge(dut.clk_i)
    dut.timer_ready_i.value = 0
    await ReadOnly()
    assert not int(dut.timer_valid_o.value)
    await RisingEdge(dut.clk_i)


@cocotb.test()
async def it_fires_after_a_period_of_ticks_however_far_apart(dut: Any) -> None:
    """A run whose idle cycles are left out is the same run: only ticks count."""
    await started(dut)
    draw = random.Random(1)
    for bound, period in ((0, 10), (1, 4), (0, 10), (1, 4)):
        dut.bound_i.value = bound
        for gap in (0, 1, 7, draw.randint(10, 200)):
            assert await ticks_to_fire(dut, gap) == period
            await take(dut)


@cocotb.test()
async def a_frame_sent_starts_the_period_anew(dut: Any) -> None:
    await started(dut)
    for _ in range(9):
        dut.tick_i.value = 1
        await RisingEdge(dut.clk_i)
    dut.tick_i.value = 0
    dut.sent_i.value = 1
    await RisingEdge(dut.clk_i)
    dut.sent_i.value = 0
    assert await ticks_to_fire(dut, 0) == 10
    dut.sent_i.value = 1  # and takes back one that was due
    await RisingEdge(dut.clk_i)
    dut.sent_i.value = 0
    await ReadOnly()
    assert not int(dut.timer_valid_o.value)
    await RisingEdge(dut.clk_i)
    assert await ticks_to_fire(dut, 2) == 10


@cocotb.test()
async def it_waits_until_it_is_taken_and_a_reset_forgets_it(dut: Any) -> None:
    await started(dut)
    await ticks_to_fire(dut, 0)
    dut.tick_i.value = 1
    await ClockCycles(dut.clk_i, 30)
    dut.tick_i.value = 0
    await ReadOnly()
    assert int(dut.timer_valid_o.value)
    await RisingEdge(dut.clk_i)
    dut.rst_i.value = 1
    await RisingEdge(dut.clk_i)
    dut.rst_i.value = 0
    assert await ticks_to_fire(dut, 0) == 10


@cocotb.test()
async def one_that_is_due_stays_so_when_the_period_grows(dut: Any) -> None:
    """The offer that it was for is settled, so beacons are due from now on; this one is."""
    await started(dut)
    dut.bound_i.value = 1
    assert await ticks_to_fire(dut, 0) == 4
    dut.bound_i.value, dut.tick_i.value = 0, 1
    for _ in range(3):
        await RisingEdge(dut.clk_i)
        await ReadOnly()
        assert int(dut.timer_valid_o.value)
    await RisingEdge(dut.clk_i)
    dut.tick_i.value = 0
    await take(dut)
    assert await ticks_to_fire(dut, 0) == 10


@cocotb.test()
async def who_is_ready_before_it_is_due_takes_nothing(dut: Any) -> None:
    await started(dut)
    dut.tick_i.value = 1
    await ClockCycles(dut.clk_i, 5)
    dut.tick_i.value, dut.timer_ready_i.value = 0, 1
    await ClockCycles(dut.clk_i, 2)
    dut.timer_ready_i.value = 0
    assert await ticks_to_fire(dut, 0) == 5

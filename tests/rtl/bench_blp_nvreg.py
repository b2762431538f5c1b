"""blp_nvreg: old or new after a power loss in any cycle of a write, whatever the cells hold; the stated latency."""

from __future__ import annotations

import random
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge

TAKEN_TO_DONE = 3  # cycles, beside what the cells take


class Register:
    """Clock, reset and write port."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.cells = int(dut.WRITE_CYCLES.value)
        self.width = int(dut.WIDTH.value)
        for name in ("rst_i", "crash_i", "wr_valid_i", "wr_data_i", "tear_i", "tear_sel_i"):
            getattr(dut, name).value = 0

    async def start(self) -> None:
        cocotb.start_soon(Clock(self.dut.clk_i, 6.4, unit="ns", period_high=3.2).start())
        await self.strike("rst_i", 2)

    async def strike(self, port: str, cycles: int) -> None:
        """Reset or power loss for so many cycles; returns in the cycle after."""
        getattr(self.dut, port).value = 1
        await ClockCycles(self.dut.clk_i, cycles)
        getattr(self.dut, port).value = 0
        await RisingEdge(self.dut.clk_i)

    async def begin(self, value: int) -> None:
        """Have a write taken; returns in the cycle after."""
        await ReadOnly()
        assert self.dut.wr_ready_o.value == 1
        await RisingEdge(self.dut.clk_i)
        self.dut.wr_data_i.value, self.dut.wr_valid_i.value = value, 1
        await RisingEdge(self.dut.clk_i)
        self.dut.wr_valid_i.value, self.dut.wr_data_i.value = 0, ~value & (1 << self.width) - 1

    async def write(self, value: int) -> int:
        """Write and wait; the cycles from taken to done."""
        await self.begin(value)
        for cycles in range(1, self.cells + 20):
            await ReadOnly()
            if self.dut.wr_done_o.value == 1:
                assert self.held() == value
                await RisingEdge(self.dut.clk_i)
                return cycles
            assert self.dut.wr_ready_o.value == 0
            await RisingEdge(self.dut.clk_i)
        raise AssertionError("the write is never done")

    def held(self) -> int:
        """What a reader gets."""
        return int(self.dut.rd_data_o.value)


@cocotb.test()
async def a_write_takes_the_stated_cycles(dut: Any) -> None:
    register = Register(dut)
    await register.start()
    draw = random.Random(1)
    for _ in range(6):
        assert await register.write(draw.getrandbits(register.width)) == register.cells + TAKEN_TO_DONE


@cocotb.test()
@cocotb.parametrize(port=("crash_i", "rst_i"), selector=(0, 1))
async def struck_in_every_cycle_of_a_write(dut: Any, port: str, selector: int) -> None:
    """The value is the old one until the selector's cycle; in it the selector decides; then it is the new one."""
    register = Register(dut)
    await register.start()
    draw = random.Random(2)
    commit = register.cells + TAKEN_TO_DONE - 1
    dut.tear_sel_i.value = selector
    cycles = range(1, commit + 4) if register.cells < 100 else [1, 2, 500, *range(commit - 3, commit + 4)]
    for cycle in cycles:
        for held_down in (1, 3):
            old, new = draw.getrandbits(register.width), draw.getrandbits(register.width)
            await register.write(old)
            dut.tear_i.value = draw.getrandbits(register.width)
            await register.begin(new)
            await ClockCycles(dut.clk_i, cycle - 1)
            await register.strike(port, held_down)
            await ReadOnly()
            kept = cycle == commit and port == "crash_i" and selector == 1
            assert register.held() == (old if cycle < commit or kept else new), f"struck in cycle {cycle}"
            assert dut.wr_done_o.value == 0
            await RisingEdge(dut.clk_i)


@cocotb.test()
async def nothing_is_taken_while_the_power_is_off(dut: Any) -> None:
    register = Register(dut)
    await register.start()
    await register.write(5)
    dut.wr_data_i.value, dut.wr_valid_i.value = 9, 1
    dut.crash_i.value = 1
    for _ in range(register.cells + 10):
        await ReadOnly()
        assert dut.wr_ready_o.value == 0
        await RisingEdge(dut.clk_i)
    dut.crash_i.value, dut.wr_valid_i.value = 0, 0
    await ClockCycles(dut.clk_i, register.cells + 10)
    await ReadOnly()
    assert register.held() == 5


@cocotb.test()
async def power_that_comes_and_goes(dut: Any) -> None:
    """Many writes and strikes at random: the value is always the last one done or, once, the one under way."""
    register = Register(dut)
    await register.start()
    draw = random.Random(3)
    await register.write(0)
    possible = {0}
    for _ in range(60):
        value = draw.getrandbits(register.width)
        dut.tear_i.value, dut.tear_sel_i.value = draw.getrandbits(register.width), draw.getrandbits(1)
        await register.begin(value)
        await ClockCycles(dut.clk_i, draw.randint(1, register.cells + 5))
        await register.strike("crash_i", draw.randint(1, 4))
        await ReadOnly()
        possible = {register.held()} & (possible | {value})
        assert possible
        await RisingEdge(dut.clk_i)

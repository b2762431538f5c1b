"""blp_counters against a dictionary."""

from __future__ import annotations

import random
from collections import Counter
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge


@cocotb.test()
async def each_counts_its_own_and_a_reset_clears_all(dut: Any) -> None:
    cocotb.start_soon(Clock(dut.clk_i, 6.4, unit="ns", period_high=3.2).start())
    dut.count_i.value = dut.which_i.value = dut.read_i.value = 0
    draw = random.Random(1)
    things = 1 << int(dut.SELECT_W.value)
    wraps = 1 << int(dut.STAT_W.value)
    for _ in range(3):
        dut.rst_i.value = 1
        await ClockCycles(dut.clk_i, 2)
        dut.rst_i.value = 0
        counts: Counter[int] = Counter()
        for _ in range(1000):
            counted, which, read = draw.random() < 0.7, draw.randrange(things), draw.randrange(things)
            dut.count_i.value, dut.which_i.value, dut.read_i.value = counted, which, read
            await ReadOnly()
            assert int(dut.stat_o.value) == counts[read] % wraps
            await RisingEdge(dut.clk_i)
            counts[which] += counted

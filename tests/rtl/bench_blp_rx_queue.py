"""blp_rx_queue against a list: order, the place that the newest takes in a full queue, what was missed, latency."""

from __future__ import annotations

import random
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge


class Queue:
    """The module's ports, and beside it the list that it must be."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.depth = int(dut.DEPTH.value)
        self.width = int(dut.WIDTH.value)
        self.wraps = 1 << int(dut.STAT_W.value)
        self.waiting: list[int] = []
        self.missed = 0

    async def start(self) -> None:
        dut = self.dut
        dut.push_valid_i.value = dut.push_data_i.value = dut.pop_ready_i.value = 0
        cocotb.start_soon(Clock(dut.clk_i, 6.4, unit="ns", period_high=3.2).start())
        dut.rst_i.value = 1
        await ClockCycles(dut.clk_i, 2)
        dut.rst_i.value = 0

    async def cycle(self, push: int | None = None, *, pops: bool = False, reset: bool = False) -> int | None:
        """One cycle, in which the module must show what the list says; what was read in it."""
        dut = self.dut
        dut.push_valid_i.value, dut.push_data_i.value = push is not None, push or 0
        dut.pop_ready_i.value, dut.rst_i.value = pops, reset
        await ReadOnly()
        assert int(dut.pop_valid_o.value) == bool(self.waiting)
        assert int(dut.stat_missed_o.value) == self.missed % self.wraps
        if self.waiting:
            assert int(dut.pop_data_o.value) == self.waiting[0]
        await RisingEdge(dut.clk_i)
        if reset:
            self.waiting, self.missed = [], 0
            return None
        read = self.waiting.pop(0) if pops and self.waiting else None
        if push is not None:
            if len(self.waiting) == self.depth:
                self.waiting.pop()
                self.missed += 1
            self.waiting.append(push)
        return read


@cocotb.test()
async def a_frame_is_there_in_the_next_cycle_and_a_full_queue_streams(dut: Any) -> None:
    queue = Queue(dut)
    await queue.start()
    await queue.cycle(5)
    assert await queue.cycle(pops=True) == 5
    assert await queue.cycle(pops=True) is None
    for number in range(queue.depth):
        await queue.cycle(number)
    for number in range(3 * queue.depth):
        assert await queue.cycle(number % 16, pops=True) is not None
    assert queue.missed == 0


@cocotb.test()
async def the_newest_takes_the_last_place(dut: Any) -> None:
    queue = Queue(dut)
    await queue.start()
    came = [number % (1 << queue.width) for number in range(queue.depth + 5)]
    for number in came:
        await queue.cycle(number)
    assert queue.missed == 5
    assert [await queue.cycle(pops=True) for _ in range(queue.depth)] == [*came[: queue.depth - 1], came[-1]]
    assert await queue.cycle(pops=True) is None


@cocotb.test()
async def anything_at_random(dut: Any) -> None:
    """Bursts and pauses on either side, resets in between, and a counter that wraps."""
    queue = Queue(dut)
    await queue.start()
    draw = random.Random(queue.depth)
    most = 0
    for _ in range(60):
        pushes, pops = draw.choice([0.1, 0.5, 1.0]), draw.choice([0.0, 0.3, 0.9, 1.0])
        for _ in range(draw.randint(1, 60)):
            push = draw.getrandbits(queue.width) if draw.random() < pushes else None
            await queue.cycle(push, pops=draw.random() < pops, reset=draw.random() < 0.005)
            most = max(most, queue.missed)
    assert most > queue.wraps

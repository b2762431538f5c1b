"""fcs_insert: every frame goes out with the FCS that zlib gives it, at once and without a bubble."""

from __future__ import annotations

import random
import zlib
from itertools import pairwise
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles

from hwsim.cocotb import StreamBench

LENGTHS = [*range(1, 17), *range(56, 124), 508, 1510]  # without FCS; short ones end in every lane
JUMBO = 9210
PAUSES = ((0, 0), (90, 120))  # of 256 cycles, source and sink


def frames(lengths: list[int], seed: int = 1) -> list[bytes]:
    """Random frames of *lengths*, the same in every run."""
    draw = random.Random(seed)
    return [draw.randbytes(length) for length in lengths]


def sealed(frame: bytes) -> bytes:
    """*frame* with its FCS."""
    return frame + zlib.crc32(frame).to_bytes(4, "little")


@cocotb.test()
@cocotb.parametrize(pauses=PAUSES)
async def every_length(dut: Any, pauses: tuple[int, int]) -> None:
    bench = StreamBench(dut)
    await bench.start()
    bench.pause(*pauses)
    sent = frames(LENGTHS)
    got = await bench.through(sent, len(sent))
    assert [arrival.octets for arrival in got] == [sealed(frame) for frame in sent]
    assert not any(arrival.bad for arrival in got)
    assert bench.faults() == 0
    assert int(dut.dut.stat_frames_o.value) == len(sent)


@cocotb.test()
async def a_jumbo_frame(dut: Any) -> None:
    bench = StreamBench(dut)
    await bench.start()
    (sent,) = frames([JUMBO])
    (got,) = await bench.through([sent], 1)
    assert got.octets == sealed(sent)
    assert got.bubbles == 0


@cocotb.test()
async def a_word_is_offered_the_cycle_after_it_was_taken(dut: Any) -> None:
    bench = StreamBench(dut)
    await bench.start()
    for frame in frames([60, 61, 64, 78]):
        (got,) = await bench.through([frame], 1)
        assert got.first_at - int(dut.source.first_at_o.value) == 1
        words = -(-len(got.octets) // bench.octets_a_word)
        assert got.last_at - got.first_at == words - 1


@cocotb.test()
async def frames_follow_each_other_without_a_bubble(dut: Any) -> None:
    bench = StreamBench(dut)
    await bench.start()
    sent = frames([60 + number % 9 for number in range(40)])
    got = await bench.through(sent, len(sent))
    assert [arrival.bubbles for arrival in got] == [0] * len(sent)
    assert [after.first_at - before.last_at for before, after in pairwise(got)] == [1] * 39


@cocotb.test()
async def an_error_goes_along_with_the_last_word(dut: Any) -> None:
    bench = StreamBench(dut)
    await bench.start()
    for bad in (True, False, True, False):
        for frame in frames([60, 61, 68]):
            putting = cocotb.start_soon(bench.put(frame, bad=bad))
            got = await bench.get()
            await putting
            assert (got.octets, got.bad) == (sealed(frame), bad)


@cocotb.test()
async def nothing_of_a_frame_outlives_a_reset(dut: Any) -> None:
    bench = StreamBench(dut)
    await bench.start()
    long, short = frames([200, 67])
    draw = random.Random(3)
    for _ in range(40):
        bench.pause(0, draw.choice((0, 120)))
        await bench.put(long)
        await ClockCycles(dut.clk_i, draw.randint(1, 30))
        await bench.reset()
        assert int(dut.dut.stat_frames_o.value) == 0
        (got,) = await bench.through([short], 1)
        assert got.octets == sealed(short)
        assert bench.faults() == 0

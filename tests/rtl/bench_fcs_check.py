"""fcs_check: a frame goes out without its FCS, a spoilt one marked, a runt not at all; each is counted once."""

from __future__ import annotations

import random
import zlib
from itertools import pairwise
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles
from drawn_frames import flipped

from hwsim.cocotb import StreamBench

FCS = 4
LENGTHS = [*range(FCS + 1, 20), *range(60, 128), 512, 1514]
JUMBO = 9214
PAUSES = ((0, 0), (90, 120))


def sealed(lengths: list[int], seed: int = 1) -> list[bytes]:
    """Random frames of *lengths*, FCS included, the same in every run."""
    draw = random.Random(seed)
    frames = [draw.randbytes(length - FCS) for length in lengths]
    return [frame + zlib.crc32(frame).to_bytes(FCS, "little") for frame in frames]


def counts(dut: Any) -> tuple[int, ...]:
    """Good, bad FCS, error, runt."""
    return tuple(int(getattr(dut.dut, f"stat_{name}_o").value) for name in ("good", "bad_fcs", "error", "runt"))


@cocotb.test()
@cocotb.parametrize(pauses=PAUSES)
async def every_length(dut: Any, pauses: tuple[int, int]) -> None:
    bench = StreamBench(dut)
    await bench.start()
    bench.pause(*pauses)
    sent = sealed(LENGTHS)
    got = await bench.through(sent, len(sent))
    assert [arrival.octets for arrival in got] == [frame[:-FCS] for frame in sent]
    assert not any(arrival.bad for arrival in got)
    assert bench.faults() == 0
    assert counts(dut) == (len(sent), 0, 0, 0)


@cocotb.test()
@cocotb.parametrize(pauses=PAUSES)
async def a_flipped_bit_marks_its_frame_and_no_other(dut: Any, pauses: tuple[int, int]) -> None:
    bench = StreamBench(dut)
    await bench.start()
    bench.pause(*pauses)
    draw = random.Random(5)
    good = sealed([*range(FCS + 1, 30), *range(60, 92)])
    spoilt = [number % 2 == 0 for number in range(len(good))]
    sent = [
        flipped(frame, draw.randrange(8 * len(frame))) if bad else frame
        for frame, bad in zip(good, spoilt, strict=True)
    ]
    got = await bench.through(sent, len(sent))
    assert [arrival.octets for arrival in got] == [frame[:-FCS] for frame in sent]
    assert [arrival.bad for arrival in got] == spoilt
    assert bench.faults() == 0
    assert counts(dut) == (len(sent) - sum(spoilt), sum(spoilt), 0, 0)


@cocotb.test()
async def every_bit_of_a_short_frame_matters(dut: Any) -> None:
    bench = StreamBench(dut)
    await bench.start()
    (frame,) = sealed([18])
    sent = [flipped(frame, bit) for bit in range(8 * len(frame))]
    got = await bench.through(sent, len(sent))
    assert all(arrival.bad for arrival in got)
    assert counts(dut) == (0, len(sent), 0, 0)


@cocotb.test()
async def a_runt_leaves_nothing_but_a_count(dut: Any) -> None:
    bench = StreamBench(dut)
    await bench.start()
    whole = sealed([64, 65, 68, 69, 72])
    sent = [piece for frame in whole for runt in (1, 2, 3, 4) for piece in (frame, bytes(runt))]
    got = await bench.through(sent, len(whole) * 4)
    assert [arrival.octets for arrival in got] == [frame[:-FCS] for frame in whole for _ in range(4)]
    assert counts(dut) == (20, 0, 0, 20)


@cocotb.test()
async def a_jumbo_frame(dut: Any) -> None:
    bench = StreamBench(dut)
    await bench.start()
    (sent,) = sealed([JUMBO])
    (got,) = await bench.through([sent], 1)
    assert (got.octets, got.bad, got.bubbles) == (sent[:-FCS], False, 0)


@cocotb.test()
async def an_error_of_the_mac_marks_the_frame(dut: Any) -> None:
    bench = StreamBench(dut)
    await bench.start()
    for frame in sealed([64, 67, 69, 72]):
        for bad in (True, False):
            putting = cocotb.start_soon(bench.put(frame, bad=bad))
            got = await bench.get()
            await putting
            assert (got.octets, got.bad) == (frame[:-FCS], bad)
    await ClockCycles(dut.clk_i, 4)
    assert counts(dut) == (4, 0, 4, 0)


@cocotb.test()
async def the_stated_latency(dut: Any) -> None:
    bench = StreamBench(dut)
    await bench.start()
    for frame in sealed([60, 64, 65, 69, 82]):
        (got,) = await bench.through([frame], 1)
        assert got.first_at - int(dut.source.first_at_o.value) == {8: 2, 1: 5}[bench.octets_a_word]


@cocotb.test()
async def frames_pass_at_line_rate(dut: Any) -> None:
    bench = StreamBench(dut)
    await bench.start()
    lengths = [64 + number % 9 for number in range(40)]
    got = await bench.through(sealed(lengths), len(lengths))
    assert [arrival.bubbles for arrival in got] == [0] * len(lengths)

    def words(length: int) -> int:
        return -(-length // bench.octets_a_word)

    def late(length: int) -> int:  # a last word that holds more than the FCS goes out itself, a cycle later
        return (length - 1) % bench.octets_a_word >= FCS

    for (before, after), (one, other) in zip(pairwise(lengths), pairwise(got), strict=True):
        assert other.last_at - one.last_at == words(after) + late(after) - late(before)


@cocotb.test()
async def nothing_of_a_frame_outlives_a_reset(dut: Any) -> None:
    bench = StreamBench(dut)
    await bench.start()
    long, short = sealed([200, 67])
    draw = random.Random(3)
    for _ in range(40):
        bench.pause(0, draw.choice((0, 120)))
        await bench.put(long)
        await ClockCycles(dut.clk_i, draw.randint(1, 30))
        await bench.reset()
        assert counts(dut) == (0, 0, 0, 0)
        (got,) = await bench.through([short], 1)
        assert (got.octets, got.bad) == (short[:-FCS], False)
        assert bench.faults() == 0

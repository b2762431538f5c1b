"""The FIFO's bench: frames of all lengths, behind a bad wire, and with the power going."""

from __future__ import annotations

import random
import zlib
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, SimTimeoutError

from hwsim.cocotb import CrashInjector, LossyChannel, StreamBench


def frames(count: int, seed: int = 1) -> list[bytes]:
    """Frames of 14 to 120 octets and their FCS."""
    draw = random.Random(seed)
    bodies = [draw.randbytes(draw.randint(14, 120)) for _ in range(count)]
    return [body + zlib.crc32(body).to_bytes(4, "little") for body in bodies]


@cocotb.test()
@cocotb.parametrize(pauses=[(0, 0), (90, 120)])
async def every_frame_comes_out_whole_and_in_order(dut: Any, pauses: tuple[int, int]) -> None:
    bench = StreamBench(dut)
    await bench.start()
    bench.pause(*pauses)
    sent = frames(100)
    got = await bench.through(sent, len(sent))
    assert [arrival.octets for arrival in got] == sent
    assert bench.faults() == 0


@cocotb.test()
async def what_a_bad_wire_spoilt_does_not_come_out(dut: Any) -> None:
    bench = StreamBench(dut)
    await bench.start()
    wire = LossyChannel(seed=3, loss=0.1, flip=0.1, duplicate=0.1, script=[{"nth": 1, "do": "drop"}])
    carried = [(octets, zlib.crc32(octets[:-4]).to_bytes(4, "little") != octets[-4:])
               for frame in frames(200) for octets in wire.carry(frame)]  # fmt: skip

    async def put_all() -> None:
        for octets, spoilt in carried:
            await bench.put(octets, bad=spoilt)

    cocotb.start_soon(put_all())
    for octets, spoilt in carried:
        if not spoilt:
            assert (await bench.get()).octets == octets
    figures = wire.figures
    assert figures["dropped"] == {"loss": figures["dropped"]["loss"], "script": 1}
    assert figures["faults"]["flip"] == sum(spoilt for _, spoilt in carried) > 5
    assert figures["sent"] == 200


@cocotb.test()
async def a_crash_leaves_no_half_frame(dut: Any) -> None:
    bench = StreamBench(dut, timeout_us=2)
    await bench.start()
    power = CrashInjector(bench.clock, dut.rst_i, every=150, seed=5)
    crashing = cocotb.start_soon(power.run())
    sent, got = frames(60, seed=2), []
    for frame in sent:
        try:
            await bench.put(frame)
            got.append((await bench.get()).octets)
        except SimTimeoutError:
            pass  # it went with the power
    crashing.cancel()
    await ClockCycles(bench.clock, 4)
    assert power.crashes > 5
    assert len(got) > 20
    assert set(got) <= set(sent)  # nothing comes out that is not a frame

"""The same frames through a FIFO, by mailbox or a Python step a cycle; says how long it took."""

from __future__ import annotations

import os
import random
from pathlib import Path
from time import process_time
from typing import Any

import cocotb

FRAMES = int(os.environ["BENCH_FRAMES"])
draw = random.Random(1)
BODIES = [draw.randbytes(draw.randint(60, 314)) for _ in range(FRAMES)]  # 187 octets on average


def say(began: float) -> None:
    Path(os.environ["BENCH_RESULT"]).write_text(str(process_time() - began))


@cocotb.test(skip=os.environ["BENCH_WAY"] != "mailbox")
async def mailbox(dut: Any) -> None:
    from hwsim.cocotb import StreamBench

    bench = StreamBench(dut)
    await bench.start()
    began = process_time()
    got = await bench.through(BODIES, FRAMES)
    say(began)
    assert [arrival.octets for arrival in got] == BODIES


@cocotb.test(skip=os.environ["BENCH_WAY"] != "end")
async def end(dut: Any) -> None:
    from hwsim.bilateral.frame import Frame, encode
    from hwsim.bilateral.wire import FrameType
    from hwsim.cocotb import StreamBench

    for name in ("crash_i", "tear_sel_i", "link_i", "tick_i", "request_i", "answer_i", "slot_i", "consumed_i", "nvid_i",
                 "read_row_i", "read_drop_i", "cfg_beacon_i", "cfg_retry_i"):  # fmt: skip
        getattr(dut, name).value = 0
    bench = StreamBench(dut)
    await bench.start()
    octets = encode(Frame(FrameType.HELLO, src=2, credit=True))
    began = process_time()
    for _ in range(FRAMES):
        await bench.put(octets)
    say(began)


@cocotb.test(skip=os.environ["BENCH_WAY"] != "per_cycle")
async def per_cycle(dut: Any) -> None:
    from cocotbext.axi import AxiStreamBus, AxiStreamSink, AxiStreamSource

    from hwsim.cocotb import TB

    source = AxiStreamSource(AxiStreamBus.from_prefix(dut, "s_axis"), dut.clk, dut.rst)
    sink = AxiStreamSink(AxiStreamBus.from_prefix(dut, "m_axis"), dut.clk, dut.rst)
    for agent in (source, sink):
        agent.log.setLevel("ERROR")
    await TB(dut, clock="clk", reset="rst").start()
    began = process_time()
    for body in BODIES:
        await source.send(body)
    got = [bytes((await sink.recv()).tdata) for _ in range(FRAMES)]
    say(began)
    assert got == BODIES

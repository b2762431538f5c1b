"""blp_framer, with fcs_insert behind it: snapshots become the octets that the Python codec makes of them."""

from __future__ import annotations

import random
from itertools import pairwise
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge
from drawn_frames import drawn

from hwsim.bilateral.frame import Frame, encode
from hwsim.bilateral.wire import PAYLOAD_OCTETS, FrameType
from hwsim.cocotb import StreamBench

GOLDEN = bytes.fromhex(
    "0180c200000e02000000000188b513b00007000000051230000700000005112233445566778899aabbccddeeff00"
    "01000001000000020000000000000006000000020000000218000000f96e0dda65ac959a"
)
SA = bytes.fromhex("020000000001")
PAUSES = (0, 120)  # of 256 cycles, the sink


class Framer(StreamBench):
    """The bench with the framer's snapshots in place of a source."""

    async def start(self) -> None:
        self.dut.snap_valid_i.value = 0
        self.dut.cfg_da_i.value = int.from_bytes(Frame(FrameType.HELLO).da)
        self.dut.cfg_sa_i.value = int.from_bytes(SA)
        self.show(Frame(FrameType.HELLO))
        await super().start()

    def show(self, frame: Frame, stale: bytes = b"") -> None:
        """Set the fields; *stale* lies in the payload's room where *frame* has none."""
        dut = self.dut
        for name in ("type", "slot", "cancel_req", "credit", "heard", "round", "epoch", "echo", "src", "dst"):
            getattr(dut, f"{name}_i").value = int(getattr(frame, name))
        payload = frame.payload if frame.slot else stale
        dut.payload_i.value = int.from_bytes(payload.ljust(PAYLOAD_OCTETS, b"\0"))
        dut.payload_length_i.value = len(payload)

    async def snap(self, frame: Frame, stale: bytes = b"") -> None:
        """Offer a snapshot until it is taken; returns in the cycle after."""
        self.show(frame, stale)
        self.dut.snap_valid_i.value = 1
        while True:
            await ReadOnly()
            ready = bool(self.dut.snap_ready_o.value)
            await RisingEdge(self.dut.clk_i)
            if ready:
                break
        self.dut.snap_valid_i.value = 0

    async def snaps(self, frames: list[Frame]) -> list[Any]:
        """Offer *frames* one behind the other and get them."""

        async def offer_all() -> None:
            for frame in frames:
                await self.snap(frame)

        offering = cocotb.start_soon(offer_all())
        got = [await self.get() for _ in frames]
        await offering
        return got


@cocotb.test()
async def the_golden_frame(dut: Any) -> None:
    bench = Framer(dut)
    await bench.start()
    frame = Frame(FrameType.OFFER, 7, 5, True, False, True, True, 0x1230000700000005, 0x1122334455667788,
                  0x99AABBCCDDEEFF00, GOLDEN[46:70], sa=SA)  # fmt: skip
    (got,) = await bench.snaps([frame])
    assert got.octets == GOLDEN == encode(frame)


@cocotb.test()
@cocotb.parametrize(pause=PAUSES)
async def random_snapshots(dut: Any, pause: int) -> None:
    bench = Framer(dut)
    await bench.start()
    dut.sink_pause_i.value = pause
    draw = random.Random(2)
    frames = [drawn(draw, SA) for _ in range(60)]
    got = await bench.snaps(frames)
    assert [arrival.octets for arrival in got] == [encode(frame) for frame in frames]
    assert bench.faults() == 0
    assert int(dut.dut.stat_frames_o.value) == len(frames)


@cocotb.test()
async def a_snapshot_stays_what_it_was_while_it_goes_out(dut: Any) -> None:
    bench = Framer(dut)
    await bench.start()
    draw = random.Random(4)
    for _ in range(8):
        frame = drawn(draw, SA)
        getting = cocotb.start_soon(bench.get())
        await bench.snap(frame)
        while not getting.done():
            bench.show(drawn(draw, SA))
            await RisingEdge(dut.clk_i)
        assert getting.result().octets == encode(frame)


@cocotb.test()
async def without_a_slot_no_payload_goes_out(dut: Any) -> None:
    bench = Framer(dut)
    await bench.start()
    frame = Frame(FrameType.TAKEN, 3, 1, sa=SA)
    getting = cocotb.start_soon(bench.get())
    await bench.snap(frame, stale=bytes(range(1, 25)))
    assert (await getting).octets == encode(frame)


@cocotb.test()
async def the_stated_latency_and_no_bubble(dut: Any) -> None:
    bench = Framer(dut)
    await bench.start()
    draw = random.Random(6)
    frames = [drawn(draw, SA) for _ in range(12)]
    offered = {"at": 0}

    async def stamp() -> None:  # the cycle in which the first snapshot is taken, by the sink's own count
        await ReadOnly()
        offered["at"] = int(dut.sink.cycle_q.value)

    await ClockCycles(dut.clk_i, 5)
    stamping = cocotb.start_soon(stamp())
    got = await bench.snaps(frames)
    await stamping
    assert got[0].first_at - offered["at"] == 2 + 1  # the framer's and fcs_insert's
    words = -(-len(GOLDEN) // bench.octets_a_word)
    assert [arrival.bubbles for arrival in got] == [0] * len(frames)
    assert [after.last_at - before.last_at for before, after in pairwise(got)] == [words] * (len(frames) - 1)


@cocotb.test()
async def nothing_of_a_frame_outlives_a_reset(dut: Any) -> None:
    bench = Framer(dut)
    await bench.start()
    draw = random.Random(8)
    for cycles in range(1, 30):
        await bench.snap(drawn(draw, SA))
        await ClockCycles(dut.clk_i, cycles)
        await bench.reset()
        frame = drawn(draw, SA)
        (got,) = await bench.snaps([frame])
        assert got.octets == encode(frame)
        assert bench.faults() == 0

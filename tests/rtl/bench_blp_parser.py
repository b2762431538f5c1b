"""blp_parser, with fcs_check before it: on any octets the verdict and the fields of the Python codec."""

from __future__ import annotations

import random
from collections import Counter
from itertools import pairwise
from typing import Any

import cocotb
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge
from drawn_frames import drawn, flipped

from hwsim.bilateral.frame import Frame, decode, encode, seal
from hwsim.bilateral.wire import COVERED, FCS_OCTETS, FIELDS, PAYLOAD_OCTETS, Drop, FrameType
from hwsim.cocotb import StreamBench
from hwsim.frames import with_fcs

BODY = slice(0, COVERED.stop)  # what `seal` puts checks behind
SA = bytes.fromhex("020000000001")


class Parser(StreamBench):
    """The bench with the parser in place of a sink.  A frame is taken within a few microseconds."""

    def __init__(self, dut: Any) -> None:
        super().__init__(dut, timeout_us=100)

    async def start(self) -> None:
        await super().start()
        self.accepted: list[tuple[int, dict[str, int]]] = []  # the cycle, and the fields
        cocotb.start_soon(self._listen())

    async def _listen(self) -> None:
        dut = self.dut
        while True:
            await RisingEdge(dut.frame_valid_o)
            await ReadOnly()
            names = ("type", "slot", "cancel_req", "credit", "heard", "round", "epoch", "slice0", "echo", "src", "dst",
                     "payload", "payload_length")  # fmt: skip
            fields = {name: int(getattr(dut, f"{name}_o").value) for name in names}
            self.accepted.append((int(dut.source.cycle_q.value), fields))

    def counts(self) -> Counter[str]:
        """What the parser has counted, by reason."""
        names = ["accepted", *(f"drop_{drop.value}" for drop in Drop)]
        return Counter({name: int(getattr(self.dut.dut, f"stat_{name}_o").value) for name in names})

    async def agrees(self, frames: list[bytes]) -> None:
        """Send *frames* one behind the other; every field and every counter is as the codec says."""
        before, heard = self.counts(), len(self.accepted)
        for frame in frames:
            await self.put(frame)
        await ClockCycles(self.dut.clk_i, 2 * len(frames[-1]) // self.octets_a_word + 20)
        verdicts = [decode(frame) for frame in frames]
        expected = Counter(f"drop_{verdict.value}" if isinstance(verdict, Drop) else "accepted" for verdict in verdicts)
        assert self.counts() - before == expected
        fields = [fields_of(verdict) for verdict in verdicts if isinstance(verdict, Frame)]
        assert [accepted for _, accepted in self.accepted[heard:]] == fields


def fields_of(frame: Frame) -> dict[str, int]:
    """The parser's outputs for *frame*."""
    names = ("type", "slot", "cancel_req", "credit", "heard", "round", "epoch", "slice0", "echo", "src", "dst")
    return {name: int(getattr(frame, name)) for name in names} | {
        "payload": int.from_bytes(frame.payload.ljust(PAYLOAD_OCTETS, b"\0")),
        "payload_length": len(frame.payload),
    }


@cocotb.test()
async def random_frames(dut: Any) -> None:
    bench = Parser(dut)
    await bench.start()
    draw = random.Random(2)
    await bench.agrees([encode(drawn(draw, SA)) for _ in range(60)])
    dut.source_pause_i.value = 120
    await bench.agrees([encode(drawn(draw, SA)) for _ in range(20)])


@cocotb.test()
@cocotb.parametrize(checks=("as sent", "fcs mended", "both mended"))
async def every_bit_flipped(dut: Any, checks: str) -> None:
    """Once with the checks as sent, once with the FCS made right again, once with the CRC-32C made right too."""
    bench = Parser(dut)
    await bench.start()
    draw = random.Random(3)
    mend = {"as sent": bytes, "fcs mended": lambda frame: with_fcs(frame[:-FCS_OCTETS]),
            "both mended": lambda frame: seal(frame[BODY])}[checks]  # fmt: skip
    for field in FIELDS.values():
        bits = range(8 * field.octet, 8 * (field.octet + field.octets))
        frames = [mend(flipped(encode(drawn(draw, SA)), bit)) for bit in bits]
        if bench.octets_a_word == 1:
            frames = frames[:: 1 + len(frames) // 32]
        await bench.agrees(frames)


@cocotb.test()
async def every_value_of_the_octets_that_are_judged(dut: Any) -> None:
    """Version and type, flags, payload length: all 256 values, with both checks right."""
    bench = Parser(dut)
    await bench.start()
    draw = random.Random(4)
    for name in ("type", "slot", "length"):
        at = FIELDS[name].octet
        frames = []
        for value in range(256) if bench.octets_a_word == 8 else [*range(32), *range(32, 256, 16)]:
            body = bytearray(encode(drawn(draw, SA))[BODY])
            body[at] = value
            frames.append(seal(bytes(body)))
        await bench.agrees(frames)


@cocotb.test()
async def an_octet_behind_every_payload_length(dut: Any) -> None:
    bench = Parser(dut)
    await bench.start()
    room = FIELDS["payload"].octet
    frames = []
    for length in range(PAYLOAD_OCTETS + 1):
        for behind in {length - 1, length, PAYLOAD_OCTETS - 1} - {-1, PAYLOAD_OCTETS}:
            body = bytearray(encode(Frame(FrameType.OFFER, slot=True, payload=bytes(length)))[BODY])
            body[room + behind] = 0x40
            frames.append(seal(bytes(body)))
    await bench.agrees(frames)


@cocotb.test()
async def every_length(dut: Any) -> None:
    bench = Parser(dut)
    await bench.start()
    whole = encode(drawn(random.Random(5), SA))[:-FCS_OCTETS]
    lengths = [*range(1, 20), *range(60, 100), 126, 127, 128, 129, 200]
    await bench.agrees([with_fcs(whole.ljust(200, b"\0")[:length]) for length in lengths])


@cocotb.test()
async def the_stated_latency_and_line_rate(dut: Any) -> None:
    bench = Parser(dut)
    await bench.start()
    draw = random.Random(6)
    await bench.agrees([encode(drawn(draw, SA))])
    # The octets of the last word are FCS alone: fcs_check needs it for the word before, and sends that a cycle later.
    assert bench.accepted[-1][0] - int(dut.source.last_at_o.value) == 1 + 2
    bench.accepted.clear()
    frames = [encode(drawn(draw, SA)) for _ in range(30)]
    await bench.agrees(frames)
    words = -(-len(frames[0]) // bench.octets_a_word)
    assert [after - before for (before, _), (after, _) in pairwise(bench.accepted)] == [words] * (len(frames) - 1)


@cocotb.test()
@cocotb.parametrize(held=(1, 2))
async def nothing_of_a_frame_outlives_a_reset(dut: Any, held: int) -> None:
    """However short it is: in its only cycle a verdict may be due."""
    bench = Parser(dut)
    await bench.start()
    draw = random.Random(8)
    for cycles in range(1, 26):
        await bench.put(encode(drawn(draw, SA)))
        await ClockCycles(dut.clk_i, cycles)
        dut.rst_i.value = 1
        await ClockCycles(dut.clk_i, held)
        dut.rst_i.value = 0
        await RisingEdge(dut.clk_i)
        bench.accepted.clear()
        assert bench.counts().total() == 0
        await bench.agrees([encode(drawn(draw, SA))])

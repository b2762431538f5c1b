"""crc_reflected, as CRC-32 and CRC-32C: the register after a word, against libraries.

For a given keep the output is a sum modulo 2 of bits of register and data, so that it is right for every input once
it is right for zero and for each bit alone.  That the sum has no other term is seen on random words.
"""

from __future__ import annotations

import random
import zlib
from collections.abc import Callable
from typing import Any

import cocotb
import crc32c
from cocotb.triggers import Timer

ONES = 0xFFFFFFFF
PORTS: dict[str, tuple[int, Callable[[bytes, int], int]]] = {
    "crc32_64_o": (8, zlib.crc32),
    "crc32_8_o": (1, zlib.crc32),
    "crc32c_64_o": (8, crc32c.crc32c),
    "crc32c_8_o": (1, crc32c.crc32c),
}


async def agrees(dut: Any, register: int, data: int, octets: int) -> None:
    """All four on a word of which so many octets count; the others are given too."""
    dut.crc_i.value, dut.data_i.value, dut.keep_i.value = register, data, (1 << octets) - 1
    await Timer(1, unit="ns")
    for port, (most, library) in PORTS.items():
        counted = data.to_bytes(8, "little")[: min(octets, most)]
        after = library(counted, register ^ ONES) ^ ONES
        assert int(getattr(dut, port).value) == after, f"{port}: {register:08x} {data:016x}, {octets} octets"


@cocotb.test()
async def every_bit_alone_for_every_keep(dut: Any) -> None:
    for octets in range(1, 9):
        await agrees(dut, 0, 0, octets)
        for bit in range(32):
            await agrees(dut, 1 << bit, 0, octets)
        for bit in range(64):
            await agrees(dut, 0, 1 << bit, octets)


@cocotb.test()
async def random_words(dut: Any) -> None:
    draw = random.Random(1)
    for _ in range(400):
        await agrees(dut, draw.getrandbits(32), draw.getrandbits(64), draw.randint(1, 8))

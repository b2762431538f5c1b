"""A second reader of the bilateral link's frames, written from the layout alone, and frames spoilt in every way.

It shares nothing with the codec: octets are sliced by hand and its CRC-32C goes bit by bit.
"""

from __future__ import annotations

import random
import zlib
from typing import Any

GOLDEN = bytes.fromhex(
    "0180c200000e02000000000188b5"  # to the nearest bridge, from 02-00-00-00-00-01, EtherType 0x88B5
    "13b0000700000005"  # version 1, OFFER, SLOT CREDIT HEARD, round 7, epoch 5
    "1230000700000005"  # echo
    "112233445566778899aabbccddeeff00"  # source and destination
    "010000010000000200000000000000060000000200000002"  # convergence state
    "18000000f96e0dda65ac959a"  # length, CRC-32C, FCS
)


def crc32c_bit_by_bit(message: bytes) -> int:
    """CRC-32C by division: the reflected polynomial 0x82F63B78, all ones before and inverted after."""
    remainder = 0xFFFFFFFF
    for octet in message:
        remainder ^= octet
        for _ in range(8):
            remainder = remainder >> 1 ^ (0x82F63B78 if remainder & 1 else 0)
    return remainder ^ 0xFFFFFFFF


def judge(octets: bytes, *, fcs: bool = True) -> str | dict[str, Any]:
    """The fields of a frame that a receiver takes, by name, or the reason why it takes none."""
    if len(octets) != (82 if fcs else 78):
        return "length"
    if fcs and octets[78:] != zlib.crc32(octets[:78]).to_bytes(4, "little"):
        return "fcs"
    if octets[12:14] != b"\x88\xb5":
        return "ethertype"
    if octets[14] & 0xF0 != 0x10:
        return "version"
    if octets[74:78] != crc32c_bit_by_bit(octets[14:74]).to_bytes(4, "big"):
        return "crc"
    if octets[14] & 0x0F not in (1, 2, 3, 4, 5):
        return "type"
    has_payload = octets[15] >= 0x80
    length = octets[70] if has_payload else 0
    idle = octets[71:74] + octets[46 + min(length, 24):70] + (b"" if has_payload else octets[70:71])
    if octets[15] & 0x0F or any(idle):
        return "padding"
    if length > 24:
        return "payload_length"
    return {
        "type": octets[14] & 0x0F, "round": int.from_bytes(octets[16:18], "big"),
        "epoch": int.from_bytes(octets[18:22], "big"), "slot": has_payload, "cancel_req": bool(octets[15] & 0x40),
        "credit": bool(octets[15] & 0x20), "heard": bool(octets[15] & 0x10),
        "echo": int.from_bytes(octets[22:30], "big"), "src": int.from_bytes(octets[30:38], "big"),
        "dst": int.from_bytes(octets[38:46], "big"), "payload": octets[46:46 + length],
        "da": octets[:6], "sa": octets[6:12],
    }  # fmt: skip


def with_checksums(octets: bytes, which: str) -> bytes:
    """*octets* with its FCS made right, its CRC-32C and FCS, or neither, as *which* says; any length will do."""
    if which == "both" and len(octets) >= 78:
        octets = octets[:74] + crc32c_bit_by_bit(octets[14:74]).to_bytes(4, "big") + octets[78:]
    if which != "neither" and len(octets) >= 4:
        octets = octets[:-4] + zlib.crc32(octets[:-4]).to_bytes(4, "little")
    return octets


def spoilt(draw: random.Random, frame: bytes) -> bytes:
    """*frame* after one to three mutations, its checksums mended in half of all cases so that later checks are met."""
    octets = bytearray(frame)
    for _ in range(draw.randrange(1, 4)):
        match draw.randrange(20):
            case 0 | 1 | 2 | 3 | 4 | 5 | 6:  # single bits
                _flip(octets, [draw.randrange(8 * 82) for _ in range(draw.randrange(1, 5))])
            case 7 | 8:  # a burst of up to 64 bits
                first = draw.randrange(8 * 82)
                _flip(octets, [first, *(first + k for k in range(1, draw.randrange(2, 65)) if draw.random() < 0.5)])
            case 9:
                del octets[draw.randrange(len(octets) + 1):]
            case 10:
                octets += draw.randbytes(draw.randrange(1, 20))
            case 11 | 12 | 13:  # one octet set to a value at an edge
                if octets:
                    octets[draw.randrange(len(octets))] = draw.choice([0, 1, 0x0F, 0x10, 0x7F, 0x80, 0xFF])
            case 14 | 15 | 16 | 17:  # where the rules are: version and type, flags, length, what must be zero
                if len(octets) >= 74:
                    octets[draw.choice([12, 13, 14, 15, 69, 70, 71, 72, 73])] = draw.randrange(256)
            case 18:  # an octet lost or gained in the middle
                at = draw.randrange(len(octets) + 1)
                octets[at:at + draw.randrange(2)] = draw.randbytes(draw.randrange(2))
            case _:  # nothing of a frame but perhaps its length
                octets = bytearray(draw.randbytes(draw.choice([82, 82, draw.randrange(200)])))
    return with_checksums(bytes(octets), draw.choice(["neither", "neither", "fcs", "both"]))


def _flip(octets: bytearray, bits: list[int]) -> None:
    for bit in bits:
        if bit // 8 < len(octets):
            octets[bit // 8] ^= 1 << bit % 8

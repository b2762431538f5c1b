"""Frames for the benches, drawn from a seed."""

from __future__ import annotations

import random

from hwsim.bilateral.frame import Frame
from hwsim.bilateral.wire import PAYLOAD_OCTETS, FrameType


def drawn(draw: random.Random, sa: bytes) -> Frame:
    """A frame of the link with random fields."""
    slot = draw.random() < 0.7
    return Frame(
        draw.choice(list(FrameType)),
        draw.getrandbits(16),
        draw.getrandbits(32),
        slot,
        *(draw.random() < 0.5 for _ in ("cancel_req", "credit", "heard")),
        *(draw.getrandbits(64) for _ in ("echo", "src", "dst")),
        draw.randbytes(draw.randint(0, PAYLOAD_OCTETS)) if slot else b"",
        sa=sa,
    )


def flipped(octets: bytes, bit: int) -> bytes:
    """*octets* with one bit the other way round."""
    spoilt = bytearray(octets)
    spoilt[bit // 8] ^= 1 << bit % 8
    return bytes(spoilt)

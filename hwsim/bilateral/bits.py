"""Registers and slots as the Verilog has them: numbers, the first field in the high bits.

A slot is {valid, length, payload}, its payload's first octet in the high bits; an empty one is zero.

Source: `rtl/blp_endpoint.v`.
"""

from __future__ import annotations

from typing import Any, Final

from hwsim.bilateral.machine import Register
from hwsim.bilateral.table import Phase
from hwsim.bilateral.wire import PAYLOAD_OCTETS

SLOT_BITS: Final = 1 + 8 + 8 * PAYLOAD_OCTETS
REGISTER: Final = (("nvid", 64), ("peer", 64), ("round", 48), ("phase", 2), ("slot", SLOT_BITS), ("epoch", 64),
                   ("inbox", SLOT_BITS), ("inbox_round", 48))  # fmt: skip
REGISTER_BITS: Final = sum(width for _, width in REGISTER)
_ROOM = 8 * PAYLOAD_OCTETS


def slot_bits(payload: bytes | None) -> int:
    """A slot as the Verilog has it."""
    if payload is None:
        return 0
    return 1 << _ROOM + 8 | len(payload) << _ROOM | int.from_bytes(payload.ljust(PAYLOAD_OCTETS, b"\0"), "big")


def slot_of(bits: int) -> bytes | None:
    """And back."""
    if not bits >> _ROOM + 8:
        return None
    return (bits & ((1 << _ROOM) - 1)).to_bytes(PAYLOAD_OCTETS, "big")[: bits >> _ROOM & 0xFF]


def register_bits(register: Register) -> int:
    """The register as the Verilog has it."""
    packed = 0
    for name, width in REGISTER:
        value: Any = getattr(register, name)
        packed = packed << width | (slot_bits(value) if name in ("slot", "inbox") else int(value))
    return packed


def register_of(bits: int) -> Register:
    """And back."""
    fields: dict[str, Any] = {}
    for name, width in reversed(REGISTER):
        value = bits & ((1 << width) - 1)
        bits >>= width
        fields[name] = slot_of(value) if name in ("slot", "inbox") else Phase(value) if name == "phase" else value
    return Register(**fields)

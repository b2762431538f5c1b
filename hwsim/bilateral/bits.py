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
_PHASES: Final = {phase.value: phase for phase in Phase}
_FIELDS: Final = tuple(
    (sum(width for _, width in REGISTER[number + 1 :]), (1 << width) - 1) for number, (_, width) in enumerate(REGISTER)
)  # low bit and mask of each


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
    values = [bits >> low & ones for low, ones in _FIELDS]  # read once a write: no names, no calls
    nvid, peer, round_, phase, slot, epoch, inbox, inbox_round = values
    return Register(nvid, peer, round_, _PHASES[phase], slot_of(slot), epoch, slot_of(inbox), inbox_round)

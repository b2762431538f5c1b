"""The bilateral link's frame as numbers: types, flags, where each field lies, why a receiver drops one.

A frame is 82 octets from destination address to FCS, in eight slices of eight octets behind the
Ethernet header.  Whatever reads or writes frames takes its numbers from here: the struct codec, the
Scapy layers, the fault channel and the transition table.
"""

from __future__ import annotations

from enum import Enum, IntEnum
from typing import NamedTuple

VERSION = 1
FRAME_OCTETS = 82
FCS_OCTETS = 4
PAYLOAD_OCTETS = 24
COVERED = slice(14, 74)  # by the CRC-32C: all between EtherType and itself
NEAREST_BRIDGE = bytes.fromhex("0180c200000e")  # no bridge forwards frames to it: IEEE Std 802.1Q-2022, table 8-1


class FrameType(IntEnum):
    """What a frame says: a phase of the sender's register, or that there is none to speak of."""

    RETURNED = 1
    TAKEN = 2
    OFFER = 3
    HELLO = 4
    FENCE = 5


SLOT, CANCEL_REQ, CREDIT, HEARD = 0x80, 0x40, 0x20, 0x10  # of the octet of flags
RESERVED_FLAGS = 0x0F


class Drop(Enum):
    """Why a receiver drops a frame unread, in the order of its checks."""

    LENGTH = "length"
    FCS = "fcs"
    ETHERTYPE = "ethertype"
    VERSION = "version"
    CRC = "crc"
    TYPE = "type"
    PADDING = "padding"  # what must be zero is not: reserved bits, the room behind a payload, a payload without SLOT
    PAYLOAD_LENGTH = "payload_length"


class Field(NamedTuple):
    """Where a field lies: *bits* bits from bit *low* of the *octets* octets at *octet*, read as one number."""

    octet: int
    octets: int
    low: int
    bits: int
    little: bool = False  # the FCS alone lies least significant octet first

    def place(self, bit: int) -> tuple[int, int]:
        """The octet and the mask in it of *bit* of this field, bit 0 being the least significant one."""
        octet, shift = divmod(self.low + bit, 8)
        return self.octet + (octet if self.little else self.octets - 1 - octet), 1 << shift


def _whole(octet: int, octets: int) -> Field:
    return Field(octet, octets, 0, 8 * octets)


FIELDS: dict[str, Field] = {
    "da": _whole(0, 6),
    "sa": _whole(6, 6),
    "ethertype": _whole(12, 2),
    "version": Field(14, 1, 4, 4),
    "type": Field(14, 1, 0, 4),
    "slot": Field(15, 1, 7, 1),
    "cancel_req": Field(15, 1, 6, 1),
    "credit": Field(15, 1, 5, 1),
    "heard": Field(15, 1, 4, 1),
    "reserved": Field(15, 1, 0, 4),
    "round": _whole(16, 2),
    "epoch": _whole(18, 4),
    "echo": _whole(22, 8),
    "src": _whole(30, 8),
    "dst": _whole(38, 8),
    "payload": _whole(46, PAYLOAD_OCTETS),
    "length": _whole(70, 1),
    "zero": _whole(71, 3),
    "crc": _whole(74, 4),
    "fcs": Field(78, 4, 0, 32, little=True),
}

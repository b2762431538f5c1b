"""Frames of the bilateral link to octets and back, by `struct`: the hot path.

A received frame is checked in this order, and the first check that fails says why it is dropped:
length, FCS, EtherType, version, CRC-32C, type, what must be zero, payload length.  Whom it is from
and for, and its round, is for the endpoint to judge.  A payload counts only under SLOT: without it
the payload's room and length are padding, and all zero; with it a payload may still be empty.

Source: IEEE Std 802.3-2022, sections 3.1.1 and 3.2.9 (frame, FCS); IEEE Std 802-2014, clause 9
(EtherType 0x88B5); RFC 3385 and RFC 9260, appendix A (CRC-32C, Castagnoli 1993).

Not modelled: VLAN tags; authentication (a CRC is none: whoever can write on the wire can forge a frame).
"""

from __future__ import annotations

import struct
from typing import NamedTuple
from zlib import crc32

from crc32c import crc32c

from hwsim.bilateral.wire import (
    CANCEL_REQ,
    COVERED,
    CREDIT,
    FCS_OCTETS,
    FRAME_OCTETS,
    HEARD,
    NEAREST_BRIDGE,
    PAYLOAD_OCTETS,
    RESERVED_FLAGS,
    SLOT,
    VERSION,
    Drop,
    FrameType,
)
from hwsim.frames import ETHERTYPE, RESIDUE

_BODY = struct.Struct(">6s6sHBBHIQQQ24sI")  # the last word: length in its top octet, three zero octets
_READ = struct.Struct(">6s6sHBBHIQQQ24sII")  # and the CRC-32C
_CRC = struct.Struct(">I")
_FCS = struct.Struct("<I")
_CONV = struct.Struct(">BBHIQII")
_ZEROS = bytes(PAYLOAD_OCTETS)
_TYPES = [next((kind for kind in FrameType if kind == code), None) for code in range(16)]
_FLAGS = [tuple(bool(octet & flag) for flag in (SLOT, CANCEL_REQ, CREDIT, HEARD)) for octet in range(256)]


class Frame(NamedTuple):
    """What a frame says: the sender's register, its wishes, and whom it is from and for.

    *round* is modulo 2**16 and *epoch* modulo 2**32; *echo* is `slice0` of the last frame taken from the
    peer, 0 for none; *src* and *dst* are 64-bit ids of registers; *payload* is empty without *slot*.
    """

    type: FrameType
    round: int = 0
    epoch: int = 0
    slot: bool = False
    cancel_req: bool = False
    credit: bool = False
    heard: bool = False
    echo: int = 0
    src: int = 0
    dst: int = 0
    payload: bytes = b""
    da: bytes = NEAREST_BRIDGE
    sa: bytes = bytes(6)

    @property
    def slice0(self) -> int:
        """The frame's first slice (version to epoch) as the number that the peer echoes."""
        head = VERSION << 12 | self.type << 8 | self.flags
        return head << 48 | self.round << 32 | self.epoch

    @property
    def flags(self) -> int:
        """The octet of flags."""
        return self.slot << 7 | self.cancel_req << 6 | self.credit << 5 | self.heard << 4


class ConvPayload(NamedTuple):
    """A payload that carries a domain's convergence state: 24 octets.

    *epoch* has 64 bits, *gen*, *label* (of *epoch*) and *label_before* (of the epoch before) 32, *domain*
    16, *kind* and *mode* 8.
    """

    kind: int
    mode: int
    domain: int
    gen: int
    epoch: int
    label: int
    label_before: int

    def pack(self) -> bytes:
        """The payload as octets.  Raises `struct.error` where a value has too many bits."""
        return _CONV.pack(*self)

    @classmethod
    def unpack(cls, payload: bytes) -> ConvPayload | None:
        """Read 24 octets; None if there are more or fewer."""
        return cls(*_CONV.unpack(payload)) if len(payload) == PAYLOAD_OCTETS else None


def seal(body: bytes) -> bytes:
    """A frame of the 74 octets from destination address to padding: CRC-32C and FCS behind them."""
    covered = body + _CRC.pack(crc32c(body[COVERED]))
    return covered + _FCS.pack(crc32(covered))


def encode(frame: Frame) -> bytes:
    """The 82 octets of *frame*.

    Raises ValueError for a payload that is too long or comes without SLOT, `struct.error` for a number
    that has too many bits.
    """
    kind, round_, epoch, slot, cancel_req, credit, heard, echo, src, dst, payload, da, sa = frame
    length = len(payload)
    if length > (PAYLOAD_OCTETS if slot else 0):
        raise ValueError(f"a payload of {length} octets; at most {PAYLOAD_OCTETS}, and none without SLOT")
    flags = slot << 7 | cancel_req << 6 | credit << 5 | heard << 4
    return seal(_BODY.pack(da, sa, ETHERTYPE, VERSION << 4 | kind, flags, round_, epoch, echo, src, dst, payload,
                           length << 24))


def decode(octets: bytes, *, fcs: bool = True) -> Frame | Drop:
    """The frame that *octets* are, or why a receiver drops them; any octets at all may be given.

    *fcs*: the FCS is there and is checked; without it the network card has stripped it, after checking.
    """
    if len(octets) != (FRAME_OCTETS if fcs else FRAME_OCTETS - FCS_OCTETS):
        return Drop.LENGTH
    if fcs and crc32(octets) != RESIDUE:
        return Drop.FCS
    da, sa, ethertype, head, flags, round_, epoch, echo, src, dst, room, tail, crc = _READ.unpack_from(octets)
    if ethertype != ETHERTYPE:
        return Drop.ETHERTYPE
    if head >> 4 != VERSION:
        return Drop.VERSION
    if crc32c(octets[COVERED]) != crc:
        return Drop.CRC
    kind = _TYPES[head & 0x0F]
    if kind is None:
        return Drop.TYPE
    length = tail >> 24 if flags & SLOT else 0
    if flags & RESERVED_FLAGS or tail != length << 24 or room[length:] != _ZEROS[length:]:
        return Drop.PADDING
    if length > PAYLOAD_OCTETS:
        return Drop.PAYLOAD_LENGTH
    slot, cancel_req, credit, heard = _FLAGS[flags]
    return Frame(kind, round_, epoch, slot, cancel_req, credit, heard, echo, src, dst, room[:length], da, sa)

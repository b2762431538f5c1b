"""Ethernet II frames as bytes, and their frame check sequence.

The simulation carries no bytes; frames are built where one is captured or checked.  Scapy builds
the header and is imported only then.

Source: IEEE Std 802.3-2022, sections 3.1.1 and 3.2.9 (FCS: CRC-32 of destination to padding, sent
so that its bytes lie in little-endian order); IEEE Std 802-2014, clauses 8 (locally
administered addresses) and 9 (EtherType 0x88B5 for local experiments).
"""

from __future__ import annotations

import hashlib
import zlib

ETHERTYPE = 0x88B5
RESIDUE = 0x2144DF1C  # CRC-32 over any frame with its right FCS
MIN_WITHOUT_FCS = 60


def address_of(name: str) -> str:
    """A MAC address for a device: unicast, locally administered, the same for the same name."""
    octets = bytearray(hashlib.sha256(name.encode()).digest()[:6])
    octets[0] = octets[0] & 0xFC | 0x02
    return ":".join(f"{octet:02x}" for octet in octets)


def build(sender: str, receiver: str, payload: bytes, ethertype: int = ETHERTYPE) -> bytes:
    """The frame between two devices, by name: header, payload, padding to the minimum, FCS."""
    from scapy.layers.l2 import Ether

    frame = bytes(Ether(src=address_of(sender), dst=address_of(receiver), type=ethertype)) + payload
    return with_fcs(frame.ljust(MIN_WITHOUT_FCS, b"\0"))


def with_fcs(frame: bytes) -> bytes:
    """*frame* with its FCS behind it."""
    return frame + zlib.crc32(frame).to_bytes(4, "little")


def fcs_holds(frame: bytes) -> bool:
    """Whether a frame, FCS included, arrived as it was sent, for all that its FCS can tell."""
    return zlib.crc32(frame) == RESIDUE

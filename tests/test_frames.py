"""Frames as bytes: the FCS against a bit-by-bit CRC, and the sizes that links reckon with."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.frames import RESIDUE, address_of, build, fcs_holds, with_fcs
from hwsim.link import GAP_BYTES, PREAMBLE_BYTES, frame_bytes, wire_bytes


def crc_bit_by_bit(message: bytes) -> int:
    """CRC-32 as IEEE 802.3 section 3.2.9 words it: polynomial division of the bits in the order they are sent."""
    remainder = 0xFFFFFFFF
    for octet in message:
        for bit in range(8):
            top = (remainder >> 31) ^ (octet >> bit & 1)
            remainder = (remainder << 1 & 0xFFFFFFFF) ^ (0x04C11DB7 if top else 0)
    complement = remainder ^ 0xFFFFFFFF
    return int(f"{complement:032b}"[::-1], 2)


@given(st.binary(min_size=1, max_size=80))
@settings(max_examples=100, deadline=None)
def test_the_fcs_is_the_standards_division_and_leaves_the_known_residue(message: bytes) -> None:
    framed = with_fcs(message)
    assert int.from_bytes(framed[-4:], "little") == crc_bit_by_bit(message)
    assert crc_bit_by_bit(framed) == RESIDUE
    assert fcs_holds(framed)


def test_the_check_value_of_the_crc() -> None:
    assert with_fcs(b"123456789")[-4:] == bytes.fromhex("2639f4cb")  # 0xCBF43926, little-endian


@given(st.binary(min_size=60, max_size=200), st.data())
@settings(max_examples=100, deadline=None)
def test_up_to_three_wrong_bits_never_pass(message: bytes, data: st.DataObject) -> None:
    """The Hamming distance of CRC-32 is at least 4 up to 91,606 bits (Koopman 2002)."""
    framed = bytearray(with_fcs(message))
    for bit in data.draw(st.sets(st.integers(0, 8 * len(framed) - 1), min_size=1, max_size=3)):
        framed[bit // 8] ^= 1 << bit % 8
    assert not fcs_holds(bytes(framed))


@pytest.mark.parametrize("payload", [0, 1, 45, 46, 47, 1000, 1500, 9000])
def test_a_built_frame_is_as_long_as_links_reckon(payload: int) -> None:
    frame = build("node0/nic", "sw", b"x" * payload)
    assert len(frame) == frame_bytes(payload)
    assert wire_bytes(payload) == PREAMBLE_BYTES + len(frame) + GAP_BYTES
    assert fcs_holds(frame)
    assert frame[12:14] == b"\x88\xb5"
    assert frame[14:14 + payload] == b"x" * payload


def test_scapy_reads_back_who_sent_it() -> None:
    from scapy.layers.l2 import Ether

    frame = Ether(build("node0/nic", "sw", b"hello"))
    assert (frame.src, frame.dst) == (address_of("node0/nic"), address_of("sw"))


@given(st.text(max_size=20))
def test_addresses_are_unicast_and_locally_administered(name: str) -> None:
    first = int(address_of(name)[:2], 16)
    assert first & 0b11 == 0b10
    assert address_of(name) == address_of(name)

"""The bilateral link's frames: struct codec, Scapy layers and a hand-written reader agree on every octet string."""

from __future__ import annotations

import random
import struct
from collections import Counter
from typing import Any

import frame_oracle
import pytest
from frame_oracle import GOLDEN, crc32c_bit_by_bit, judge, spoilt, with_checksums
from hypothesis import example, given, settings
from hypothesis import strategies as st

from hwsim.bilateral.frame import ConvPayload, Frame, decode, encode, seal
from hwsim.bilateral.wire import FIELDS, FRAME_OCTETS, Drop, FrameType
from hwsim.frames import build


@st.composite
def frames(draw: st.DrawFn) -> Frame:
    """Any frame that can be sent."""
    slot = draw(st.booleans())
    return Frame(
        type=draw(st.sampled_from(FrameType)), round=draw(st.integers(0, 2**16 - 1)),
        epoch=draw(st.integers(0, 2**32 - 1)), slot=slot, cancel_req=draw(st.booleans()),
        credit=draw(st.booleans()), heard=draw(st.booleans()), echo=draw(st.integers(0, 2**64 - 1)),
        src=draw(st.integers(0, 2**64 - 1)), dst=draw(st.integers(0, 2**64 - 1)),
        payload=draw(st.binary(max_size=24)) if slot else b"",
        da=draw(st.binary(min_size=6, max_size=6)), sa=draw(st.binary(min_size=6, max_size=6)),
    )  # fmt: skip


checksums = st.sampled_from(["neither", "fcs", "both"])


def plain(read: Frame | Drop) -> str | dict[str, Any]:
    """What the codec says in the oracle's words."""
    return read.value if isinstance(read, Drop) else read._asdict()


def all_three_agree_on(octets: bytes) -> Frame | Drop:
    """What the codec makes of *octets*, once Scapy and the oracle make the same of it, with and without the FCS."""
    from hwsim.bilateral import scapy_layers

    with_fcs, without = decode(octets), decode(octets[:-4], fcs=False)
    assert plain(with_fcs) == judge(octets)
    assert plain(without) == judge(octets[:-4], fcs=False)
    assert scapy_layers.read(octets) == with_fcs
    assert scapy_layers.read(octets[:-4], fcs=False) == without
    return with_fcs


# --- the golden frame ----------------------------------------------------------------------------

GOLDEN_FRAME = Frame(
    FrameType.OFFER, round=7, epoch=5, slot=True, credit=True, heard=True, echo=0x1230_0007_0000_0005,
    src=0x1122334455667788, dst=0x99AABBCCDDEEFF00, sa=bytes.fromhex("020000000001"),
    payload=ConvPayload(kind=1, mode=0, domain=1, gen=2, epoch=6, label=2, label_before=2).pack(),
)  # fmt: skip


def test_the_golden_frame_octet_for_octet_by_codec_and_scapy() -> None:
    from hwsim.bilateral import scapy_layers

    assert encode(GOLDEN_FRAME) == GOLDEN
    assert bytes(scapy_layers.packet_of(GOLDEN_FRAME)) == GOLDEN
    assert all_three_agree_on(GOLDEN) == GOLDEN_FRAME
    assert len(GOLDEN) == FRAME_OCTETS


def test_the_check_values_of_crc_32c() -> None:
    """RFC 3720, appendix B.4, and the usual nine digits."""
    assert crc32c_bit_by_bit(b"123456789") == 0xE3069283
    assert crc32c_bit_by_bit(bytes(32)) == int.from_bytes(bytes.fromhex("aa36918a"), "little")
    body = GOLDEN[:14] + bytes(60)
    assert seal(body)[74:78] == crc32c_bit_by_bit(bytes(60)).to_bytes(4, "big")


def test_what_is_echoed_is_the_first_slice() -> None:
    assert GOLDEN_FRAME.slice0 == int.from_bytes(GOLDEN[14:22], "big")
    assert GOLDEN_FRAME.flags == GOLDEN[15]


# --- every frame ---------------------------------------------------------------------------------


@given(frames())
@settings(max_examples=150, deadline=None)
def test_every_frame_is_the_same_octets_by_codec_and_scapy_and_reads_back(frame: Frame) -> None:
    from hwsim.bilateral import scapy_layers

    octets = encode(frame)
    assert bytes(scapy_layers.packet_of(frame)) == octets
    assert all_three_agree_on(octets) == frame
    assert frame.slice0.to_bytes(8, "big") == octets[14:22]
    assert bytes(scapy_layers.EtherFCS(octets)) == octets  # taken apart and put together again


@given(st.builds(ConvPayload, kind=st.integers(0, 255), mode=st.integers(0, 255), domain=st.integers(0, 2**16 - 1),
                 gen=st.integers(0, 2**32 - 1), epoch=st.integers(0, 2**64 - 1), label=st.integers(0, 2**32 - 1),
                 label_before=st.integers(0, 2**32 - 1)))  # fmt: skip
@settings(max_examples=50, deadline=None)
def test_convergence_state_is_the_same_octets_by_codec_and_scapy(conv: ConvPayload) -> None:
    from hwsim.bilateral import scapy_layers

    octets = conv.pack()
    assert bytes(scapy_layers.Conv(**conv._asdict())) == octets
    assert ConvPayload.unpack(octets) == conv
    layer = scapy_layers.Conv(octets)
    assert {name: getattr(layer, name) for name in conv._fields} == conv._asdict()
    assert ConvPayload.unpack(octets[:-1]) is None


@pytest.mark.parametrize("wrong", [
    {"payload": b"x"},
    {"slot": True, "payload": bytes(25)},
])  # fmt: skip
def test_no_frame_is_built_whose_payload_does_not_fit(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="payload"):
        encode(Frame(FrameType.OFFER, **wrong))


@pytest.mark.parametrize("wrong", [{"round": 2**16}, {"epoch": -1}, {"src": 2**64}, {"echo": 2**64}])
def test_no_frame_is_built_whose_numbers_do_not_fit(wrong: dict[str, int]) -> None:
    with pytest.raises(struct.error):
        encode(Frame(FrameType.OFFER, **wrong))


# --- damage --------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FIELDS)
@pytest.mark.parametrize("mended", ["neither", "fcs", "both"])
def test_every_bit_of_every_field_flipped_alone(name: str, mended: str) -> None:
    field = FIELDS[name]
    for bit in range(field.bits):
        at, mask = field.place(bit)
        octets = bytearray(GOLDEN)
        octets[at] ^= mask
        read = all_three_agree_on(with_checksums(bytes(octets), mended))
        if mended == "neither":
            assert read is Drop.FCS
        elif mended == "fcs" and name not in ("da", "sa", "fcs", "ethertype", "version"):
            assert read is Drop.CRC
        elif mended == "both" and isinstance(read, Frame) and name in Frame._fields:
            before, after = getattr(GOLDEN_FRAME, name), getattr(read, name)
            if not isinstance(before, bytes):
                assert int(before) ^ int(after) == 1 << bit
            elif name != "payload":
                assert int.from_bytes(before, "big") ^ int.from_bytes(after, "big") == 1 << bit


def test_fields_cover_the_frame_once() -> None:
    places = Counter(field.place(bit) for field in FIELDS.values() for bit in range(field.bits))
    assert places == Counter((octet, 1 << bit) for octet in range(82) for bit in range(8))


@given(frames(), st.integers(0, 655), st.integers(0, 2**32 - 1))
@settings(max_examples=150, deadline=None)
def test_no_burst_of_up_to_32_bits_passes_the_fcs_or_without_it_the_crc(frame: Frame, first: int, inner: int) -> None:
    """A CRC of 32 bits misses no burst of 32 (in the order of the line, least significant bit first)."""
    octets = encode(frame)
    line = int.from_bytes(octets, "little") ^ ((inner | 1) << first) & (1 << 656) - 1
    hit = line.to_bytes(82, "little")
    assert all_three_agree_on(hit) is Drop.FCS
    if first >= 14 * 8 and first + inner.bit_length() <= 74 * 8:
        assert decode(hit[:-4], fcs=False) in (Drop.CRC, Drop.VERSION)


@given(frames(), st.lists(st.integers(0, 655), min_size=1, max_size=5), checksums)
@settings(max_examples=150, deadline=None)
def test_bit_flips(frame: Frame, bits: list[int], mended: str) -> None:
    octets = bytearray(encode(frame))
    for bit in bits:
        octets[bit // 8] ^= 1 << bit % 8
    all_three_agree_on(with_checksums(bytes(octets), mended))


@given(frames(), st.integers(0, 100), checksums, st.binary(max_size=20))
@settings(max_examples=100, deadline=None)
def test_truncation_and_extension(frame: Frame, kept: int, mended: str, more: bytes) -> None:
    octets = encode(frame)
    for changed in (octets[:kept], octets + more, octets[:kept] + more):
        read = all_three_agree_on(with_checksums(changed, mended))
        assert (read is Drop.LENGTH) == (len(changed) != 82)


@given(st.binary(max_size=100) | st.binary(min_size=82, max_size=82), checksums)
@settings(max_examples=150, deadline=None)
@example(b"", "neither")
def test_garbage(octets: bytes, mended: str) -> None:
    all_three_agree_on(with_checksums(octets, mended))


@pytest.mark.parametrize(("at", "octet", "reason"), [
    (12, 0x08, Drop.ETHERTYPE), (14, 0x23, Drop.VERSION), (14, 0x03, Drop.VERSION), (14, 0x10, Drop.TYPE),
    (14, 0x16, Drop.TYPE), (14, 0x1F, Drop.TYPE), (15, 0xB1, Drop.PADDING), (15, 0x30, Drop.PADDING),
    (70, 23, Drop.PADDING), (70, 0, Drop.PADDING), (70, 25, Drop.PAYLOAD_LENGTH), (70, 255, Drop.PAYLOAD_LENGTH),
    (71, 1, Drop.PADDING), (73, 0x80, Drop.PADDING),
])  # fmt: skip
def test_a_frame_that_only_the_rules_reject(at: int, octet: int, reason: Drop) -> None:
    octets = bytearray(GOLDEN)
    octets[at] = octet
    assert all_three_agree_on(with_checksums(bytes(octets), "both")) is reason


def test_the_checks_come_in_their_order() -> None:
    """With everything wrong at once, mending one thing after another brings the reasons in order."""
    octets = bytearray(GOLDEN)
    octets[12:14], octets[14:16], octets[70] = b"\x08\x00", b"\x0f\x8f", 25
    seen = [decode(bytes(octets[:-1])), decode(bytes(octets)), decode(with_checksums(bytes(octets), "fcs"))]
    octets[12:14] = b"\x88\xb5"
    seen.append(decode(with_checksums(bytes(octets), "fcs")))
    octets[14] = 0x1F
    seen += [decode(with_checksums(bytes(octets), "fcs")), decode(with_checksums(bytes(octets), "both"))]
    octets[14] = 0x13
    seen.append(decode(with_checksums(bytes(octets), "both")))
    octets[15] = 0x80
    seen.append(decode(with_checksums(bytes(octets), "both")))
    assert seen == list(Drop)


def test_an_empty_payload_is_still_one() -> None:
    frame = Frame(FrameType.OFFER, slot=True)
    assert all_three_agree_on(encode(frame)) == frame
    assert encode(frame) != encode(Frame(FrameType.OFFER))


def fuzz(count: int, seed: int) -> Counter[str]:
    """How *count* spoilt frames fared, by reason; the codec and the oracle agree on every one."""
    draw = random.Random(seed)
    fates: Counter[str] = Counter()
    for number in range(count):
        sent = encode(Frame(draw.choice(list(FrameType)), draw.randrange(2**16), slot=bool(number & 1),
                            payload=draw.randbytes(draw.randrange(25)) if number & 1 else b""))  # fmt: skip
        octets = spoilt(draw, sent)
        read = plain(decode(octets))
        assert read == frame_oracle.judge(octets), octets.hex()
        fates[read if isinstance(read, str) else "taken"] += 1
    return fates


def test_fuzz() -> None:
    fates = fuzz(10_000, seed=1)
    assert fates.keys() == {reason.value for reason in Drop} | {"taken"}  # every check is met


@pytest.mark.long
def test_a_million_spoilt_frames() -> None:
    fates = fuzz(1_000_000, seed=2)
    assert fates.total() == 1_000_000
    assert fates.keys() == {reason.value for reason in Drop} | {"taken"}


# --- what Scapy shows ----------------------------------------------------------------------------


def test_other_experiments_on_the_same_ethertype_stay_what_they_are() -> None:
    from scapy.layers.l2 import Ether
    from scapy.packet import Raw

    from hwsim.bilateral.scapy_layers import BLP

    for payload in (b"", b"hello", b"x" * 60, b"x" * 64, b"\x13" * 1000):
        packet = Ether(build("a", "b", payload))
        assert BLP not in packet
        assert packet[Raw].load.startswith(payload)
    assert BLP in Ether(GOLDEN)
    later = bytearray(GOLDEN)
    later[14] = 0x23
    assert BLP not in Ether(bytes(later))


def test_a_wrong_checksum_shows() -> None:
    from hwsim.bilateral.scapy_layers import BLP, EtherFCS

    good = EtherFCS(GOLDEN)
    assert good.summary() == "EtherFCS / BLP OFFER round 7 epoch 5 HEARD+CREDIT+SLOT"
    hit = bytearray(GOLDEN)
    hit[17] ^= 1
    bad = EtherFCS(bytes(hit))
    assert not bad.fcs_holds()
    assert not bad[BLP].crc_holds()
    assert "[wrong CRC-32C]" in bad.summary()
    assert "[wrong FCS]" in bad.mysummary()
    mended = EtherFCS(with_checksums(bytes(hit), "fcs"))
    assert (mended.fcs_holds(), mended[BLP].crc_holds()) == (True, False)

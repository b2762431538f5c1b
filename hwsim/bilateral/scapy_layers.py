"""The bilateral link's frame as Scapy layers: to build, take apart and show one, and to check the struct codec.

`EtherFCS` is Ethernet II whose last four octets are the FCS; `BLP` lies behind EtherType 0x88B5, by
`Ether` and `EtherFCS` alike; `Conv` is a payload that carries convergence state.  What is left None (both
checksums, the payload's length) is computed on build; `fcs_holds` and `crc_holds` verify what was
dissected, and a summary names a checksum that fails.  `read` judges octets by these layers alone, in the order
of the codec's checks: simulations carry the codec's frames and have a sample of them read again here.

0x88B5 is everybody's for experiments: octets behind it are taken for BLP only where their number is
a BLP frame's and the version is this one; a later version may lay its fields out otherwise.

Importing this module imports Scapy (0.2 s), so nothing imports it at start-up.

Source: as `hwsim.bilateral.frame`.
"""

from __future__ import annotations

import zlib
from typing import Any, ClassVar

from crc32c import crc32c
from scapy.fields import (
    BitEnumField,
    BitField,
    ByteField,
    FCSField,
    FlagsField,
    IntField,
    LongField,
    ShortField,
    StrFixedLenField,
    X3BytesField,
    XIntField,
    XLongField,
)
from scapy.layers.l2 import Ether
from scapy.packet import Packet, Raw, bind_layers

from hwsim.bilateral.frame import Frame
from hwsim.bilateral.wire import (
    FCS_OCTETS,
    FRAME_OCTETS,
    PAYLOAD_OCTETS,
    RESERVED_FLAGS,
    VERSION,
    Drop,
    FrameType,
)
from hwsim.frames import ETHERTYPE, with_fcs

_HEADER_OCTETS = 14
_BLP_OCTETS = FRAME_OCTETS - FCS_OCTETS - _HEADER_OCTETS
_COVERED = _BLP_OCTETS - 4  # by the CRC-32C


class EtherFCS(Ether):
    """Ethernet II with its frame check sequence; padding to the minimum is the builder's."""

    name = "Ethernet with FCS"
    match_subclass = True
    fields_desc: ClassVar[list[Any]] = [*Ether.fields_desc, FCSField("fcs", None, fmt="<I")]

    def post_build(self, header: bytes, rest: bytes) -> bytes:
        frame: bytes = header + rest
        return with_fcs(frame[:-FCS_OCTETS]) if self.fcs is None else frame

    def fcs_holds(self) -> bool:
        """Whether a dissected frame has the FCS of its octets."""
        return bool(zlib.crc32(self.original[:-FCS_OCTETS]) == self.fcs)

    def mysummary(self) -> str:
        return super().mysummary() + ("" if not self.original or self.fcs_holds() else " [wrong FCS]")


class BLP(Packet):
    """The 64 octets between an Ethernet header and the FCS."""

    name = "BLP"
    fields_desc: ClassVar[list[Any]] = [
        BitField("version", VERSION, 4),
        BitEnumField("type", FrameType.HELLO.value, 4, {kind.value: kind.name for kind in FrameType}),
        FlagsField("flags", 0, 8, ["r0", "r1", "r2", "r3", "HEARD", "CREDIT", "CANCEL_REQ", "SLOT"]),
        ShortField("round", 0),
        IntField("epoch", 0),
        XLongField("echo", 0),
        XLongField("source", 0),
        XLongField("destination", 0),
        StrFixedLenField("slots", b"", PAYLOAD_OCTETS),
        ByteField("length", None),
        X3BytesField("zero", 0),
        XIntField("crc", None),
    ]

    @classmethod
    def dispatch_hook(cls, octets: bytes | None = None, *_: Any, **__: Any) -> type[Packet]:
        """BLP where *octets* can be (with a plain `Ether` before it the FCS still hangs behind), else Raw."""
        if octets and not (len(octets) in (_BLP_OCTETS, _BLP_OCTETS + FCS_OCTETS) and octets[0] >> 4 == VERSION):
            return Raw
        return cls

    def post_build(self, octets: bytes, rest: bytes) -> bytes:
        if self.length is None:
            octets = octets[:56] + len(self.slots).to_bytes(1, "big") + octets[57:]
        if self.crc is None:
            octets = octets[:_COVERED] + crc32c(octets[:_COVERED]).to_bytes(4, "big")
        return octets + rest

    def extract_padding(self, rest: bytes) -> tuple[bytes, bytes]:
        return b"", rest

    def crc_holds(self) -> bool:
        """Whether a dissected frame has the CRC-32C of its octets."""
        return bool(crc32c(self.original[:_COVERED]) == self.crc)

    def mysummary(self) -> str:
        wrong = "" if not self.original or self.crc_holds() else " [wrong CRC-32C]"
        return str(self.sprintf("BLP %type% round %round% epoch %epoch% %flags%")) + wrong


class Conv(Packet):
    """A payload that carries a domain's convergence state."""

    name = "BLP convergence state"
    fields_desc: ClassVar[list[Any]] = [
        ByteField("kind", 0),
        ByteField("mode", 0),
        ShortField("domain", 0),
        IntField("gen", 0),
        LongField("epoch", 0),
        IntField("label", 0),
        IntField("label_before", 0),
    ]


bind_layers(Ether, BLP, type=ETHERTYPE)


def packet_of(frame: Frame) -> EtherFCS:
    """*frame* as layers, its checksums left to be computed."""
    inner = BLP(type=frame.type.value, flags=frame.flags, round=frame.round, epoch=frame.epoch, echo=frame.echo,
                source=frame.src, destination=frame.dst, slots=frame.payload)
    return EtherFCS(dst=frame.da.hex(":"), src=frame.sa.hex(":"), type=ETHERTYPE) / inner


def frame_of(packet: EtherFCS) -> Frame:
    """What the layers say; *packet* is one that a receiver takes."""
    inner = packet[BLP]
    return Frame(
        type=FrameType(inner.type), round=inner.round, epoch=inner.epoch,
        slot=bool(inner.flags.SLOT), cancel_req=bool(inner.flags.CANCEL_REQ),
        credit=bool(inner.flags.CREDIT), heard=bool(inner.flags.HEARD),
        echo=inner.echo, src=inner.source, dst=inner.destination, payload=inner.slots[:inner.length],
        da=bytes.fromhex(packet.dst.replace(":", "")), sa=bytes.fromhex(packet.src.replace(":", "")),
    )


def read(octets: bytes, *, fcs: bool = True) -> Frame | Drop:
    """What `hwsim.bilateral.frame.decode` says of *octets*, by these layers."""
    if len(octets) != FRAME_OCTETS - (0 if fcs else FCS_OCTETS):
        return Drop.LENGTH
    packet = EtherFCS(octets if fcs else with_fcs(octets))
    if not packet.fcs_holds():
        return Drop.FCS
    if packet.type != ETHERTYPE:
        return Drop.ETHERTYPE
    if BLP not in packet:
        return Drop.VERSION
    inner = packet[BLP]
    if not inner.crc_holds():
        return Drop.CRC
    if inner.type not in FrameType.__members__.values():
        return Drop.TYPE
    room = inner.slots[inner.length:] if inner.flags.SLOT else inner.slots + bytes([inner.length])
    if int(inner.flags) & RESERVED_FLAGS or inner.zero or any(room):
        return Drop.PADDING
    if inner.length > PAYLOAD_OCTETS:
        return Drop.PAYLOAD_LENGTH
    return frame_of(packet)

"""Snapshots of what a domain knows, as 24 octets: in a frame of their own, or as the payload of a round.

A payload: kind (1 octet), mode (1), domain (2), generation (4), epoch e (8), label of e (4), label of e-1 (4), all
big-endian; a label of 2^32-1 says that this epoch is not held.  Snapshots on the tree only grow within a generation
and mode, so whoever gets one late, twice or not at all is never misled: they go as single frames, without a round,
an acknowledgement or a write of the link's register, and are said again until something is heard in return.

A frame: Ethernet II with EtherType 0x88B6 (local experiments), the payload, padding to 60 octets, FCS.

Who keeps more than two epochs tells the older ones in a second frame (UP_OLDER), whose labels are those of e-2 and e-3.

Source: a design of this project.

Not modelled: epochs beyond 2^64, generations beyond 2^32-2.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from enum import IntEnum
from typing import Final, NamedTuple

from hwsim.bilateral.tec import Frame, Mode, Version
from hwsim.bilateral.wire import NEAREST_BRIDGE, PAYLOAD_OCTETS
from hwsim.frames import MIN_WITHOUT_FCS, fcs_holds, with_fcs

ETHERTYPE: Final = 0x88B6
MOST_KEPT: Final = 4  # epochs that two frames can tell
_ABSENT: Final = 0xFFFFFFFF
_LAYOUT: Final = struct.Struct(">BBHIQII")
_HEAD: Final = struct.Struct(">6s6sH")
_END: Final = _HEAD.size + PAYLOAD_OCTETS
_MODES: Final = (Mode.RUN, Mode.REC, Mode.JOIN)


class Kind(IntEnum):
    """What a snapshot is: of a subtree to its parent, its older half, to a child, or of one domain to a neighbour."""

    UP = 16
    UP_OLDER = 17
    DOWN = 18
    HELD = 19


class Snapshot(NamedTuple):
    """One payload.  *labels*: of *epoch* and the one before (UP_OLDER: of the two before those); None: not held."""

    kind: Kind
    mode: Mode
    domain: int
    generation: int
    epoch: int
    labels: tuple[int | None, int | None] = (None, None)

    def pack(self) -> bytes:
        """The payload's 24 octets."""
        labels = (_ABSENT if label is None else label for label in self.labels)
        return _LAYOUT.pack(
            self.kind, _MODES.index(self.mode), self.domain, self.generation, self.epoch, *labels
        )  # fmt: skip

    @classmethod
    def unpack(cls, octets: bytes) -> Snapshot | None:
        """Read a payload; None where it is none."""
        if len(octets) != PAYLOAD_OCTETS:
            return None
        kind, mode, domain, generation, epoch, *labels = _LAYOUT.unpack(octets)
        if kind not in Kind.__members__.values() or mode >= len(_MODES):
            return None
        first, second = (None if label == _ABSENT else label for label in labels)
        return cls(Kind(kind), _MODES[mode], domain, generation, epoch, (first, second))


def of_frame(frame: Frame, domain: int, kept: int, *, upward: bool) -> tuple[Snapshot, ...]:
    """The snapshots that tell *frame*: one, or two where more than two epochs are kept and told."""
    if frame.mode is not Mode.REC or not upward:
        kind = Kind.UP if upward else Kind.DOWN
        return (Snapshot(kind, frame.mode, domain, frame.generation, frame.epoch),)
    labels = {version.epoch: version.label for version in frame.held}
    newest = max(labels, default=0)
    pairs = [(Kind.UP, newest)] + ([(Kind.UP_OLDER, newest - 2)] if kept > 2 else [])
    return tuple(
        Snapshot(kind, frame.mode, domain, frame.generation, newest, (labels.get(first), labels.get(first - 1)))
        for kind, first in pairs
    )


def to_frame(snapshots: Sequence[Snapshot]) -> Frame:
    """The frame that the *snapshots* of one `of_frame` tell."""
    first = snapshots[0]
    if first.mode is not Mode.REC or first.kind is Kind.DOWN:
        return Frame(first.generation, first.mode, first.epoch)
    held = set()
    for snapshot in snapshots:
        newest = snapshot.epoch - (2 if snapshot.kind is Kind.UP_OLDER else 0)
        held |= {
            Version(newest - back, label) for back, label in enumerate(snapshot.labels) if label is not None
        }  # fmt: skip
    return Frame(first.generation, first.mode, held=frozenset(held))


def encode(snapshot: Snapshot, source: bytes = bytes(6)) -> bytes:
    """The frame that carries *snapshot*, FCS included."""
    head = _HEAD.pack(NEAREST_BRIDGE, source, ETHERTYPE)
    return with_fcs((head + snapshot.pack()).ljust(MIN_WITHOUT_FCS, b"\0"))


def decode(octets: bytes) -> Snapshot | None:
    """The snapshot in a frame; None where there is none, or it is damaged."""
    if len(octets) != MIN_WITHOUT_FCS + 4 or not fcs_holds(octets):
        return None
    _, _, ethertype = _HEAD.unpack_from(octets)
    return Snapshot.unpack(octets[_HEAD.size : _END]) if ethertype == ETHERTYPE else None

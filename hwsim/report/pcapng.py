"""Captures for Wireshark and its kin: one pcapng file an interface, at nanosecond resolution.

An interface is a device's end of a link, named LINK@DEVICE.  Its capture holds what a host's own
capture would: each frame it gives to the wire, at that instant, and each frame that reaches it whole, with its last
bit; and, as a comment, what the wire did to the frame, which no host could know.  Octets are those
from destination address to FCS, so a reader can check the FCS too.  One file an interface, as ns-3
writes them, keeps each end's view apart: `mergecap -w link.pcapng wire@*.pcapng` puts views together.

Simulated time 0 is the first instant of 1970; picoseconds are cut off to nanoseconds.

Source: IETF draft-ietf-opsawg-pcapng, sections 4.1 (section header), 4.2 (interface description:
if_tsresol, if_fcslen), 4.3 (enhanced packet: epb_flags) and 3.5 (comments).

Not modelled: what bulk data and protocol messages would look like on other links: they have sizes and no octets.
"""

from __future__ import annotations

import struct
from os import PathLike
from pathlib import Path
from types import TracebackType

SUFFIX = ".pcapng"
FCS_OCTETS = 4

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
_BYTE_ORDER = 0x1A2B3C4D
_ETHERNET = 1
_COMMENT, _USERAPPL, _NAME, _SPEED, _FLAGS, _TSRESOL, _FCSLEN = 1, 4, 2, 8, 2, 9, 13
_INBOUND, _OUTBOUND = 1, 2
_END = bytes(4)
_HEAD = struct.Struct("<IIIIIII")  # type, length, interface, time (high, low), captured, original
_OPTION = struct.Struct("<HH")
_LENGTH = struct.Struct("<I")
_BUFFERED = 1 << 18  # octets that wait until a file is opened: there may be more interfaces than open files


class Capture:
    """One file of one interface, its packets appended as they come; `close` writes what still waits."""

    def __init__(self, path: str | PathLike[str], interface: str, speed_bps: int | None = None) -> None:
        self.path = Path(path)
        self._waiting: list[bytes] = []
        self._waits = 0
        self._tails = [_tail(_OUTBOUND), _tail(_INBOUND)]
        section = _option(_USERAPPL, b"hwsim") + _END
        described = _option(_NAME, interface.encode())
        if speed_bps is not None:
            described += _option(_SPEED, speed_bps.to_bytes(8, "little"))
        described += _option(_TSRESOL, b"\x09") + _option(_FCSLEN, bytes([FCS_OCTETS])) + _END
        self.path.write_bytes(
            _block(_SECTION, struct.pack("<IHHq", _BYTE_ORDER, 1, 0, -1) + section)
            + _block(_INTERFACE, struct.pack("<HHI", _ETHERNET, 0, 0) + described)
        )

    def packet(self, time_ps: int, octets: bytes, *, inbound: bool, note: str = "") -> None:
        """Append one frame, FCS included."""
        count = len(octets)
        pad = -count % 4
        tail = self._tails[inbound] if not note else _option(_COMMENT, note.encode()) + self._tails[inbound]
        length = _HEAD.size + count + pad + len(tail) + _LENGTH.size
        time_ns = time_ps // 1000
        block = b"%b%b%b%b%b" % (
            _HEAD.pack(_PACKET, length, 0, time_ns >> 32, time_ns & 0xFFFFFFFF, count, count),
            octets, bytes(pad), tail, _LENGTH.pack(length),
        )  # fmt: skip
        self._waiting.append(block)
        self._waits += length
        if self._waits >= _BUFFERED:
            self.close()

    def close(self) -> None:
        """Write what waits.  Raises OSError; may be called again, and more packets may follow."""
        if self._waiting:
            with self.path.open("ab") as file:
                file.write(b"".join(self._waiting))
        self._waiting.clear()
        self._waits = 0


class Captures:
    """All captures of a run, made in *folder* as interfaces turn up; call it with each frame (an `Observer`).

    A context manager: leaving it writes what still waits.
    """

    def __init__(self, folder: str | PathLike[str]) -> None:
        self._folder = Path(folder)
        self._captures: dict[str, Capture] = {}

    def __enter__(self) -> Captures:
        return self

    def __exit__(self, kind: type[BaseException] | None, _: BaseException | None, __: TracebackType | None) -> None:
        for capture in self._captures.values():
            capture.close()

    def add(self, interface: str, speed_bps: int | None = None) -> Capture:
        """The capture of *interface*, made if there is none: one that no frame ever passes has a file too."""
        if interface not in self._captures:
            self._captures[interface] = Capture(self._folder / file_name(interface), interface, speed_bps)
        return self._captures[interface]

    def __call__(self, interface: str, time_ps: int, octets: bytes, *, inbound: bool, note: str) -> None:
        capture = self._captures.get(interface) or self.add(interface)
        capture.packet(time_ps, octets, inbound=inbound, note=note)


def file_name(interface: str) -> str:
    """The file of an interface; no name has a dot, so `/` becomes one and no two interfaces meet."""
    return interface.replace("/", ".") + SUFFIX


def _option(code: int, value: bytes) -> bytes:
    return _OPTION.pack(code, len(value)) + value + bytes(-len(value) % 4)


def _tail(direction: int) -> bytes:
    """The options of a packet: its direction and how long its FCS is."""
    return _option(_FLAGS, _LENGTH.pack(direction | FCS_OCTETS << 5)) + _END


def _block(kind: int, body: bytes) -> bytes:
    length = _LENGTH.pack(len(body) + 12)
    return _LENGTH.pack(kind) + length + body + length

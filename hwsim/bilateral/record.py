"""The register of one endpoint as octets in non-volatile memory, written so that a crash leaves it old or new.

A record is the register and one word of 64 bits that is the application's own: whoever keeps something of value (the
*custody* of tokens) writes it there, in the same write as the round that gave it away or took it.  A record that was
written apart from the register would be torn from it by a crash between the two, and the value lost or doubled.

Where the memory writes so many octets at once (its `word`), the record is one word.  Where it does not, there are two
slots and a selector of one word: the slot that is not selected is written first, then the selector.  Until the last
word a reader finds the old record, after it the new one, and a power loss within it leaves one of the two.

Source: the double buffer with a version that every flash file system's superblock and every BIOS uses.  The memory
is `hwsim.nv_register`.

Not modelled: records that rot; a checksum of the record (a slot that is selected was written whole).
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Hashable
from typing import TYPE_CHECKING, NamedTuple, cast

from hwsim.bilateral.machine import Register
from hwsim.bilateral.table import Phase
from hwsim.nv_register import WornOut

if TYPE_CHECKING:
    import simpy

    from hwsim.nv_register import NvParams, NvRegister

ROUNDS = 1 << 48  # a register counts rounds in 48 bits; a frame carries the low 16 of them
_NONE = 0xFF  # the length of a payload that is not there
_LAYOUT = struct.Struct(">QQHIBB24sQB24sHIQ")
RECORD_OCTETS = _LAYOUT.size


class Record(NamedTuple):
    """What one write writes: the register, and the application's word."""

    register: Register
    word: int = 0

    def pack(self) -> bytes:
        """The record as `RECORD_OCTETS` octets.  Payloads are octets, or None."""
        nvid, peer, round_, phase, slot, epoch, inbox, inbox_round = self.register
        return _LAYOUT.pack(
            nvid, peer, round_ >> 32, round_ & 0xFFFFFFFF, phase, *_payload(slot), epoch, *_payload(inbox),
            inbox_round >> 32, inbox_round & 0xFFFFFFFF, self.word,
        )  # fmt: skip

    @classmethod
    def unpack(cls, octets: bytes) -> Record:
        """Read what `pack` wrote."""
        nvid, peer, high, low, phase, size, slot, epoch, inbox_size, inbox, inbox_high, inbox_low, word = (
            _LAYOUT.unpack(octets)
        )
        register = Register(
            nvid, peer, high << 32 | low, Phase(phase), None if size == _NONE else slot[:size], epoch,
            None if inbox_size == _NONE else inbox[:inbox_size], inbox_high << 32 | inbox_low,
        )  # fmt: skip
        return cls(register, word)


def _payload(payload: Hashable) -> tuple[int, bytes]:
    if payload is None:
        return _NONE, b""
    octets = cast(bytes, payload)
    return len(octets), octets


def write_time(params: NvParams) -> int:
    """What `RecordMemory.write` takes (ps) in registers of these figures."""
    words = -(-RECORD_OCTETS // params.word)
    return words * params.write + (params.write if words > 1 else 0)  # and the selector


class RecordMemory:
    """A place for one record.  *allot* gives a register of so many octets, by its name and first value."""

    def __init__(self, allot: Callable[[str, int, int], NvRegister], first: Record) -> None:
        octets = int.from_bytes(first.pack(), "big")
        slot = allot("slot0", RECORD_OCTETS, octets)
        self._slots = [slot]
        self._selector: NvRegister | None = None
        if slot.words > 1:
            self._slots.append(allot("slot1", RECORD_OCTETS, octets))
            self._selector = allot("selector", slot.params.word, 0)
        self._read: tuple[int, Record] = (octets, first)
        self.busy = False  # a write is under way
        self._life = 0  # writes begun in an earlier one are stale

    @property
    def registers(self) -> tuple[NvRegister, ...]:
        """The memory's registers, for whoever owns their power."""
        return (*self._slots, *(() if self._selector is None else (self._selector,)))

    @property
    def writes(self) -> int:
        """Writes begun, of whole records."""
        return sum(slot.writes for slot in self._slots)

    def load(self) -> Record:
        """What a reader finds now."""
        value = self._slots[self._selected()].value
        if value != self._read[0]:
            self._read = (value, Record.unpack(value.to_bytes(RECORD_OCTETS, "big")))
        return self._read[1]

    def write(self, record: Record, done: Callable[[bool], None]) -> None:
        """Write *record*; *done* is told whether it could be: not if the memory is worn out.

        It is told nothing where the power goes first.  One write at a time.
        """
        assert not self.busy, "one write at a time"
        self.busy = True
        octets = int.from_bytes(record.pack(), "big")
        if self._selector is None:
            self._then(self._slots[0].write(octets), lambda: self._end(done, True), done)
            return
        selector, spare = self._selector, 1 - self._selected()
        self._then(
            self._slots[spare].write(octets),
            lambda: self._then(selector.write(spare), lambda: self._end(done, True), done),
            done,
        )

    def power_lost(self) -> None:
        """The power of its registers went: whatever was under way is over, and *done* is told nothing."""
        self._life += 1
        self.busy = False

    def _selected(self) -> int:
        return 0 if self._selector is None else self._selector.value

    def _then(self, written: simpy.Event, go_on: Callable[[], None], done: Callable[[bool], None]) -> None:
        life = self._life

        def over(event: simpy.Event) -> None:
            if life != self._life:
                return
            if event._ok:
                go_on()
            else:
                assert isinstance(event._value, WornOut), "whoever cuts the power says so"
                self._end(done, False)

        written.callbacks.append(over)

    def _end(self, done: Callable[[bool], None], whole: bool) -> None:
        self.busy = False
        done(whole)

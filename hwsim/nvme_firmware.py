"""A drive's firmware slots: what is stored, what runs, and what the next reset makes of it.

An image is downloaded into a buffer, then committed from there to a slot.  A commit may ask that
a slot's image runs from the next controller-level reset on, and any such reset will do: one that an
unrelated fault caused, the one that a reboot brings, or a power cycle.  What was downloaded and not
committed is discarded by it.

Source: NVM Express base specification 2.0, sections 3.11 (firmware update process), 5.11 (Firmware Commit,
commit actions 0 to 3) and 5.12 (Firmware Image Download); Figure "Firmware Slot Information Log" for what is told.

Not modelled: boot partitions (actions 6 and 7); images that a drive refuses; statuses that ask for a
larger reset than the one that came; a drive that reports another version than it runs.
"""

from __future__ import annotations


class FirmwareError(ValueError):
    """A command that the drive refuses: no such slot, a slot that cannot be written, nothing to commit."""


class FirmwareSlots:
    """Slots 1 to *slots*, slot 1 active with *version*; slot 1 is read-only where *first_read_only*."""

    def __init__(self, slots: int, version: str, *, first_read_only: bool = False) -> None:
        if not 1 <= slots <= 7:
            raise FirmwareError(f"a drive has 1 to 7 firmware slots, not {slots}")
        self.stored: dict[int, str | None] = dict.fromkeys(range(1, slots + 1))
        self.stored[1] = version
        self.running = version
        self.active_slot = 1
        self.next_slot: int | None = None  # whose image runs from the next controller-level reset on
        self.staged: str | None = None  # downloaded and not committed
        self._read_only = frozenset((1,)) if first_read_only else frozenset()

    def download(self, version: str) -> None:
        """An image lies whole in the buffer; whatever lay there before is overwritten."""
        self.staged = version

    def commit(self, slot: int, action: int) -> bool:
        """Carry out a Firmware Commit; True if the image that runs changes now (action 3).

        Action 0 stores the downloaded image; 1 stores it, to run after the next reset; 2 lets what the
        slot holds run after the next reset; 3 stores it, if there is one, and runs it at once.
        Slot 0 leaves the choice to the drive: the first slot that is free, else the last one that does not run.
        """
        if action not in (0, 1, 2, 3):
            raise FirmwareError(f"commit action {action} is not modelled")
        slot = slot or self._choose(action)
        if slot not in self.stored:
            raise FirmwareError(f"invalid firmware slot {slot}")
        if action in (0, 1) or (action == 3 and self.staged is not None):
            self._store(slot)
        if self.stored[slot] is None:
            raise FirmwareError(f"invalid firmware image: slot {slot} holds none")
        if action in (1, 2):
            self.next_slot = slot
        elif action == 3:
            return self._activate(slot)
        return False

    def reset(self) -> bool:
        """A controller-level reset or a power cycle; True if another image runs from it on."""
        self.staged = None
        return False if self.next_slot is None else self._activate(self.next_slot)

    def _store(self, slot: int) -> None:
        if slot in self._read_only:
            raise FirmwareError(f"invalid firmware slot {slot}: it is read-only")
        if self.staged is None:
            raise FirmwareError("invalid firmware image: nothing was downloaded")
        self.stored[slot] = self.staged
        self.staged = None

    def _activate(self, slot: int) -> bool:
        version = self.stored[slot]
        assert version is not None
        changes = version != self.running
        self.active_slot, self.running, self.next_slot = slot, version, None
        return changes

    def _choose(self, action: int) -> int:
        if action == 2:
            raise FirmwareError("invalid firmware slot 0: action 2 names the slot to activate")
        writable = [slot for slot in self.stored if slot not in self._read_only]
        free = [slot for slot in writable if self.stored[slot] is None]
        idle = [slot for slot in writable if slot != self.active_slot]
        return (free or idle[::-1] or writable or [1])[0]

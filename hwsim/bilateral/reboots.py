"""Reboots that lose or mistake some of the register: what the protocol needs it for, shown by taking it away.

Apart from identities and payloads, the register of a link's end says one of ten things: the round's parity, times
returned, taken, taken with something given back, offered, or offered nothing.  `mistaking` makes a crash turn one of
them into another, as two codes that were encoded alike would.  If each of the 90 ways breaks the protocol, no two of
the ten can share a code: over a FIFO wire this protocol needs four bits beside its payload, and no fewer.  (Other
protocols may need less: it is no lower bound.)
"""

from __future__ import annotations

from itertools import permutations
from typing import Final, NamedTuple

from hwsim.bilateral.machine import Register
from hwsim.bilateral.setting import Reboot, with_payload, without_payload
from hwsim.bilateral.table import Phase

Left = tuple[Register, tuple[str, ...]]
FROM_NOWHERE: Final = "T"  # what a slot holds that comes to be read as filled: the payload of old that its cells keep


class Code(NamedTuple):
    """What a register says: the round modulo 2, the phase, and whether its slot counts."""

    parity: int
    phase: Phase
    filled: bool

    def __str__(self) -> str:
        return f"{self.phase.name}({self.parity}){'+slot' if self.filled else ''}"


CODES: Final = tuple(
    Code(parity, phase, filled)
    for parity in (0, 1)
    for phase in (Phase.RETURNED, Phase.TAKEN, Phase.OFFER)
    for filled in ((False,) if phase is Phase.RETURNED else (False, True))
)
MISTAKES: Final = tuple(permutations(CODES, 2))


def code_of(register: Register) -> Code:
    return Code(register.round % 2, register.phase, register.slot is not None)


def mistaking(written: Code, read: Code) -> Reboot:
    """A reboot that reads *written* as *read*, and everything else rightly.

    A round of the other parity is the next one.  Whoever reads that it has offered nothing holds what it had
    offered; whoever reads that it has offered something holds that no more.
    """

    def reboot(register: Register, store: tuple[str, ...]) -> Left:
        if code_of(register) != written:
            return register, store
        slot = register.slot if read.filled else None
        if register.phase is Phase.OFFER and not read.filled:
            store = with_payload(store, register.slot)
        elif read.filled and register.slot is None:
            slot = FROM_NOWHERE
            if read.phase is Phase.OFFER and slot in store:
                store = without_payload(store, slot)
        later = read.parity != written.parity
        return register._replace(round=register.round + later, phase=read.phase, slot=slot), store

    return reboot


def without_register(register: Register, store: tuple[str, ...]) -> Left:
    """The register is as formatted, under the same identity; the application finds no offer, so nothing was given."""
    unbound, store = without_offer(register, store)
    return Register(unbound.nvid, unbound.peer), store


def without_offer(register: Register, store: tuple[str, ...]) -> Left:
    if register.phase is not Phase.OFFER:
        return register, store
    return register._replace(phase=Phase.RETURNED, slot=None), with_payload(store, register.slot)


def without_outcome(register: Register, store: tuple[str, ...]) -> Left:
    return (register._replace(phase=Phase.RETURNED) if register.phase is Phase.TAKEN else register), store


def without_slot(register: Register, store: tuple[str, ...]) -> Left:
    return register._replace(slot=None), store


def without_round(register: Register, store: tuple[str, ...]) -> Left:
    return register._replace(round=0), store

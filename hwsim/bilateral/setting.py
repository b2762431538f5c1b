"""What a search of the link models: the setting, an end and its application, what a reboot leaves, words for them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from hwsim.bilateral.machine import STANDARD, Register, Rows, Seen, Volatile, state_of
from hwsim.bilateral.table import State

Reboot = Callable[[Register, tuple[str, ...]], tuple[Register, tuple[str, ...]]]


def keeps_all(register: Register, store: tuple[str, ...]) -> tuple[Register, tuple[str, ...]]:
    """A crash takes nothing that is not volatile: the protocol's own reboot."""
    return register, store


@dataclass(frozen=True)
class Setting:
    """What is modelled.  The default: a paired link whose payloads are consumed and registers written at once."""

    modulus: int = 2  # of the rounds that frames carry
    capacity: int = 1  # frames in flight each way
    shift: int = 1  # rounds are kept modulo shifts by multiples of this
    rounds: int | None = None  # offer only in rounds below; then nothing is shifted
    tokens: tuple[tuple[str, ...], tuple[str, ...]] = (("T",), ())  # what the applications hold at first
    answers: tuple[str, ...] = ("accept", "give", "reject", "busy")
    empty_offers: bool = True  # an offer may carry nothing
    inbox: bool = False  # the application consumes later, at any time
    writing: bool = False  # a write of the register is a step of its own
    carrier: bool = False  # either end may lose and regain its link
    cancel: bool = False  # the application may ask that its offer be rejected
    queue: bool = False  # an offer made too early waits
    prompt: bool = False  # frames that the table wants sent at once are sent at once, if there is room
    crashes: bool = True
    duplicates: bool = True
    paired: bool = True
    amnesia: int = 0  # registers lost in all
    keeps_store: bool = False  # whether the application's store outlives the loss of the register
    operator: bool = False  # who formats a register counts as losing it; what was bound in it is ruled lost
    identities: bool = True  # False: every frame passes for the peer's
    reorder: bool = False  # frames in flight are a bag
    rows: Rows = field(default=STANDARD, compare=False)
    reboot: Reboot = keeps_all  # what a crash leaves of the register, and of the application's store
    delivery: str = "with"  # the payload reaches the application "with" the register's write, "before" or "after" it
    early: bool = False  # the new snapshot is sent before the register is written


class End(NamedTuple):
    """One endpoint and its application.  *stages*: the writes under way, each (register, store); *acts* follow."""

    register: Register
    volatile: Volatile
    store: tuple[str, ...] = ()
    stages: tuple[tuple[Register, tuple[str, ...]], ...] = ()
    acts: tuple[str, ...] = ()

    @property
    def state(self) -> State:
        return state_of(self.register, self.volatile, writing=bool(self.stages))


def with_payload(store: tuple[str, ...], payload: object) -> tuple[str, ...]:
    return store if payload is None else tuple(sorted((*store, str(payload))))


def without_payload(store: tuple[str, ...], payload: object) -> tuple[str, ...]:
    if payload is None:
        return store
    left = list(store)
    left.remove(str(payload))
    return tuple(left)


def describe_end(end: End, offset: int = 0) -> str:
    """An end's state, phase and round, and where its payloads are."""
    text = f"{end.state.upper()} {_in_words(end.register, offset)}"
    if end.stages:
        text += f", writing {_in_words(end.stages[-1][0], offset)}"
    if end.register.inbox is not None:
        text += f", inbox {end.register.inbox}"
    return text + (f", holds {' '.join(end.store)}" if end.store else "")


def _in_words(register: Register, offset: int) -> str:
    slot = f"+{register.slot}" if register.slot is not None else ""
    return f"{register.phase.name}({register.round + offset}){slot}"


def describe_frame(frame: Seen, offset: int = 0) -> str:
    """A frame in the notation of the traces: TAKEN(3)+T is a TAKEN frame of round 3 whose slot holds T."""
    name = frame.event.removeprefix("rx_").upper()
    slot = f"+{frame.payload}" if frame.payload is not None else ""
    return f"{name}({frame.round + offset}){slot}{' asking to be rejected' if frame.cancel else ''}"

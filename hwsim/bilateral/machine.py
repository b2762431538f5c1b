"""The transition table, executed: pure functions of register, volatile bits and event.

Whoever drives it owns time, frames and the medium of the register: the simulated endpoint, the model checker, the
scoreboards of the RTL benches.  A transition has two halves, because a write takes time: `decide` says what the table
wants; its acts are due at once where nothing is written, and when the write is done where something is.

Payloads are any hashable values (octets in simulations, names of tokens in the model checker); None is no payload.

Source: `hwsim.bilateral.table`.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from hwsim.bilateral.table import ASKED, TABLE, WRITES, Event, Phase, Row, State

ROUNDS: Final = 1 << 16
EPOCHS: Final = 1 << 64


class Register(NamedTuple):
    """The non-volatile register: written as one, and all that outlives a crash.

    `slot` is what this side offers (phase OFFER), or gave in the round before; `inbox` what the last committed round
    brought and nobody has consumed yet, `inbox_round` the round that brought it.  `peer` 0: not paired yet.
    """

    nvid: int
    peer: int = 0
    round: int = 0
    phase: Phase = Phase.RETURNED
    slot: Hashable = None
    epoch: int = 0
    inbox: Hashable = None
    inbox_round: int = 0

    @property
    def virgin(self) -> bool:
        """Whether nothing has happened to it since it was formatted, but for pairing."""
        return self.round == 0 and self.phase is Phase.RETURNED and self.slot is None and self.epoch == 0


class Volatile(NamedTuple):
    """What a crash takes: all of it."""

    link: bool = False
    heard: bool = False
    cancel: bool = False
    fenced: bool = False
    queued: tuple[Hashable, ...] = ()  # at most one offer of the application; an offer may be of no payload


class Seen(NamedTuple):
    """A frame as the table sees it."""

    event: Event
    source: int
    destination: int
    round: int
    payload: Hashable = None
    cancel: bool = False


class Decision(NamedTuple):
    """What the table wants: *row*'s acts, after *register* has been written where it is not None."""

    row: Row
    register: Register | None


def state_of(register: Register, volatile: Volatile, *, writing: bool = False) -> State:
    """The state of an endpoint."""
    if writing:
        return State.WRITING
    if volatile.fenced:
        return State.FENCED
    if not volatile.link:
        return State.DOWN
    if not register.peer:
        return State.UNPAIRED
    if register.phase is Phase.OFFER:
        return State.OFFERED
    return State.READY if volatile.heard else State.WAIT


def delta(theirs: int, mine: int, modulus: int = ROUNDS) -> str:
    """A frame's round against mine: same, next, previous, past or future, modulo *modulus* (at least 3)."""
    distance = (theirs - mine) % modulus
    if distance <= 1:
        return "next" if distance else "same"
    if distance == modulus - 1:
        return "previous"
    return "past" if distance >= modulus // 2 else "future"


def address(register: Register, seen: Seen) -> str:
    """Whose frame it is; one from nobody counts as a loop's."""
    if seen.source in (0, register.nvid):
        return "own"
    if seen.event is not Event.RX_HELLO and seen.destination != register.nvid:
        return "elsewhere"
    return "peer" if seen.source == register.peer else "stranger"


def observe_frame(register: Register, seen: Seen, *, answer: str = "busy", modulus: int = ROUNDS) -> dict[str, str]:
    """The observables of a received frame."""
    says = Phase.TAKEN if seen.event is Event.RX_TAKEN else Phase.RETURNED
    return {
        "address": address(register, seen),
        "virgin": _yes(register.virgin),
        "delta": delta(seen.round, register.round, modulus),
        "outcome": "equal" if register.phase is says else "differs",
        "cancel": _yes(seen.cancel),
        "answer": answer,
        "inbox": "empty" if register.inbox is None else "full",
    }


def observe_request(
    register: Register, volatile: Volatile, *, round_named: int | None = None, ruled: bool = False
) -> dict[str, str]:
    """The observables of a request by the application (*round_named*: which round it consumes) or the operator."""
    return {
        "inbox": "empty" if register.inbox is None else "full",
        "queue": "full" if volatile.queued else "empty",
        "named": _yes(round_named == register.inbox_round),
        "ruled": _yes(ruled),
    }


def _yes(value: bool) -> str:
    return "yes" if value else "no"


class Rows:
    """A table of rows, looked up by state, event and observables; *writes*: what its writes change."""

    def __init__(self, table: Sequence[Row] = TABLE, writes: Mapping[str, Mapping[str, str]] = WRITES) -> None:
        self.table = tuple(table)
        self.writes = writes
        self._of: dict[tuple[State, Event], tuple[Row, ...]] = {
            (state, event): tuple(row for row in table if row.event is event and state in row.states)
            for state in State
            for event in Event
        }
        self._find = lru_cache(maxsize=None)(self._search)

    def find(self, state: State, event: Event, observed: Mapping[str, str]) -> Row:
        """The row that applies.  A table without one for every case is an error of ours."""
        return self._find(state, event, tuple(observed[name] for name in ASKED[event]))

    def _search(self, state: State, event: Event, observed: tuple[str, ...]) -> Row:
        values = dict(zip(ASKED[event], observed, strict=True))
        for row in self._of[state, event]:
            if all(values[name] in allowed for name, allowed in row.when.items()):
                return row
        raise AssertionError(f"no row for {event} in {state} with {values}")


def written(
    write: str,
    register: Register,
    *,
    frame: Seen | None = None,
    app: Hashable = None,
    fresh: int = 0,
    modulus: int = ROUNDS,
    writes: Mapping[str, Mapping[str, str]] = WRITES,
) -> Register:
    """*register* after the write of that name.

    *frame*: the frame that led to it; *app*: the payload that the application gives; *fresh*: a new identity.
    """
    changes: dict[str, object] = {}
    for name, source in writes[write].items():
        changes[name] = _value(name, source, register, frame, app, fresh, modulus)
    return register._replace(**changes)  # type: ignore[arg-type]


def _value(
    name: str, source: str, register: Register, frame: Seen | None, app: Hashable, fresh: int, modulus: int
) -> object:
    match source:
        case "frame":
            assert frame is not None
            return frame.payload
        case "sender":
            assert frame is not None
            return frame.source
        case "app":
            return app
        case "fresh":
            return fresh
        case "empty":
            return None
        case "zero":
            return 0
        case "this_round":
            return register.round
        case "+1":
            return (register.round + 1) % modulus if name == "round" else (register.epoch + 1) % EPOCHS
        case _:
            return Phase[source]


def settled(volatile: Volatile, acts: Sequence[str], *, app: Hashable = None) -> Volatile:
    """The volatile bits after *acts* (those that send or tell change none); *app*: the offer that is queued."""
    for act in acts:
        match act:
            case "hear":
                volatile = volatile._replace(heard=volatile.link)  # heard, unless the link went meanwhile
            case "unhear":
                volatile = volatile._replace(heard=False)
            case "link_up":
                volatile = volatile._replace(link=True)
            case "link_down":
                volatile = volatile._replace(link=False)
            case "fence":
                volatile = volatile._replace(fenced=True)
            case "wish":
                volatile = volatile._replace(cancel=True)
            case "unwish":
                volatile = volatile._replace(cancel=False)
            case "enqueue":
                volatile = volatile._replace(queued=(app,))
            case "dequeue":
                volatile = volatile._replace(queued=())
            case "forget":
                volatile = Volatile()
    return volatile


STANDARD: Final = Rows()


def decide(
    register: Register,
    volatile: Volatile,
    event: Event,
    observed: Mapping[str, str],
    *,
    frame: Seen | None = None,
    app: Hashable = None,
    fresh: int = 0,
    writing: bool = False,
    rows: Rows = STANDARD,
    modulus: int = ROUNDS,
) -> Decision:
    """What the table wants of an endpoint when *event* happens to it."""
    row = rows.find(state_of(register, volatile, writing=writing), event, observed)
    if row.write is None:
        return Decision(row, None)
    changed = written(row.write, register, frame=frame, app=app, fresh=fresh, modulus=modulus, writes=rows.writes)
    return Decision(row, changed)

"""The bilateral link protocol's one transition table, as data.

Two endpoints of one link agree, round by round, on what changed hands.  A round S is opened by a durable offer of
at least one side and ends alike at both: *taken* (the payload changes owner and the link's epoch grows) or
*returned* (it stays with who offered).  Every frame is a snapshot of the sender's non-volatile register, written
before it is sent, so a frame can be lost, repeated or come from before a crash and still tells the truth of its time.

This file is the only place where a transition is written.  The simulated endpoint and the model checker execute it
through `hwsim.bilateral.machine`, the Verilog endpoint and the printed tables are made from it.

How to read it: a row applies to an *event* in one of its *states*, when every observable that it names has one of
the values that it names.  Rows exclude each other, and for every event and state each combination of observables
has one row (`tests/test_bilateral_table.py` enumerates them).  What a row does: at most one *write*, one atomic
change of the register; then its *acts*, at once, or when the write is done.

Source: a design of this project.  Its parents: the alternating bit (Bartlett, Scantlebury, Wilkinson, CACM 12(5),
1969); link initialisation with non-volatile memory (Baratz and Segall, IEEE Trans. Commun. 36(2), 1988); why the
register must be non-volatile at all (Lynch, Mansour, Fekete, "Data link layer: two impossibility results", 1988);
the reflected slices of Open Atomic Ethernet's published drafts, of which it implements none.

Not modelled: authentication.  A forger on the wire can break everything; that is what MACsec is for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Final


class Phase(IntEnum):
    """What the register says of the present round: how the last one ended, or that this side is bound in this one."""

    RETURNED = 1  # open; the last round was reversed (or there was none)
    TAKEN = 2  # open; the last round committed
    OFFER = 3  # bound: an offer was made in this round and its outcome is not known here


class State(StrEnum):
    """The endpoint's state, which follows from register and volatile bits; the first that applies."""

    WRITING = "writing"  # a write of the register is under way: nothing is sent, nothing received
    FENCED = "fenced"  # a violation was seen: no more rounds until the operator has ruled
    DOWN = "down"  # no link
    UNPAIRED = "unpaired"  # the register has no peer yet
    OFFERED = "offered"  # bound in this round
    READY = "ready"  # open, and the peer is known to have ended every round before this one
    WAIT = "wait"  # open, and the peer has not been heard in this round


class Event(StrEnum):
    """What can happen to an endpoint."""

    POWER_ON = "power_on"
    LINK_UP = "link_up"
    LINK_DOWN = "link_down"
    TIMER = "timer"
    APP_OFFER = "app_offer"
    APP_CANCEL = "app_cancel"
    APP_CONSUME = "app_consume"
    FORMAT = "format"
    RX_HELLO = "rx_hello"
    RX_OFFER = "rx_offer"
    RX_TAKEN = "rx_taken"
    RX_RETURNED = "rx_returned"
    RX_FENCE = "rx_fence"


RX: Final = (Event.RX_HELLO, Event.RX_OFFER, Event.RX_TAKEN, Event.RX_RETURNED, Event.RX_FENCE)

# Observables: what a row may ask about, and the values that each can have.
OBSERVABLES: Final[Mapping[str, tuple[str, ...]]] = {
    # whose frame: from the peer to me; to me (a HELLO is to anyone) from another; to another; from myself (a loop)
    "address": ("peer", "stranger", "elsewhere", "own"),
    "virgin": ("no", "yes"),  # round 0, RETURNED, nothing in the slot: pairing anew loses nothing
    # the frame's round against mine: modulo 2**16, half a window back is the past, the rest the future
    "delta": ("same", "next", "previous", "past", "future"),
    "outcome": ("equal", "differs"),  # how the frame says the last round ended, against what my register says
    "cancel": ("no", "yes"),  # the frame asks that its offer be rejected
    "answer": ("accept", "give", "reject", "busy"),  # the application's answer to an offer; give: accept, and give back
    "inbox": ("empty", "full"),  # whether the payload of an earlier round still waits to be consumed
    "queue": ("empty", "full"),  # whether an offer of the application waits for the peer to be heard
    "named": ("no", "yes"),  # whether the round that the application consumes is the one in the inbox
    "ruled": ("no", "yes"),  # whether somebody above has ruled on a payload that is in doubt
}
# Which observables exist for an event; a row may ask about no other.
ASKED: Final[Mapping[Event, tuple[str, ...]]] = {
    Event.POWER_ON: (),
    Event.LINK_UP: (),
    Event.LINK_DOWN: (),
    Event.TIMER: (),
    Event.APP_OFFER: ("inbox", "queue"),
    Event.APP_CANCEL: (),
    Event.APP_CONSUME: ("inbox", "named"),
    Event.FORMAT: ("ruled",),
    Event.RX_HELLO: ("address", "virgin"),
    Event.RX_OFFER: ("address", "virgin", "delta", "cancel", "answer", "inbox"),
    Event.RX_TAKEN: ("address", "virgin", "delta", "outcome"),
    Event.RX_RETURNED: ("address", "virgin", "delta", "outcome"),
    Event.RX_FENCE: ("address", "virgin"),
}

# Writes: field of the register -> where its new value comes from.  A field that is not named keeps its value.
#   frame: the frame's payload (empty if it has none); app: the application's; sender: the frame's source;
#   empty, zero, fresh (a new random identity); +1; a phase by its name; this_round: the round as it was.
WRITES: Final[Mapping[str, Mapping[str, str]]] = {
    "pair": {"peer": "sender"},
    "offer": {"phase": "OFFER", "slot": "app"},
    "accept": {"round": "+1", "phase": "TAKEN", "epoch": "+1", "slot": "empty",
               "inbox": "frame", "inbox_round": "this_round"},
    "accept_give": {"round": "+1", "phase": "TAKEN", "epoch": "+1", "slot": "app",
                    "inbox": "frame", "inbox_round": "this_round"},
    "reject": {"round": "+1", "phase": "RETURNED", "slot": "empty"},
    # Both offered: each takes the other's, and keeps its own in the slot for a peer that has not seen it yet.
    "cross": {"round": "+1", "phase": "TAKEN", "epoch": "+1", "inbox": "frame", "inbox_round": "this_round"},
    "confirm_taken": {"round": "+1", "phase": "TAKEN", "epoch": "+1", "slot": "empty",
                      "inbox": "frame", "inbox_round": "this_round"},
    "confirm_returned": {"round": "+1", "phase": "RETURNED", "slot": "empty"},
    "consume": {"inbox": "empty"},
    "format": {"nvid": "fresh", "peer": "zero", "round": "zero", "phase": "RETURNED", "slot": "empty", "epoch": "zero",
               "inbox": "empty", "inbox_round": "zero"},
}  # fmt: skip

# Acts, in the order written.  All but `emit` and what the application is told change volatile bits only.
ACTS: Final[Mapping[str, str]] = {
    "emit": "send a snapshot of the register",
    "hear": "the peer has been heard in this round",
    "unhear": "the peer has not been heard in this round",
    "link_up": "there is a link",
    "link_down": "there is no link",
    "fence": "stop until the operator has ruled",
    "wish": "ask in every offer from now on that it be rejected",
    "unwish": "ask so no more",
    "enqueue": "keep the application's offer until the peer is heard",
    "dequeue": "forget the application's queued offer",
    "forget": "all volatile state is as after a reboot",
    "tell_refused": "tell the application that its request was refused",
    "tell_committed": "tell the application that the round committed, and what it brought",
    "tell_reversed": "tell the application that its offer was returned, and give the payload back",
    "tell_alarm": "tell the operator that the peer is fenced",
}


@dataclass(frozen=True, slots=True)
class Row:
    """One transition.  `drop`: the reason under which a frame that changes nothing is counted."""

    name: str
    event: Event
    states: tuple[State, ...]
    when: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    write: str | None = None
    acts: tuple[str, ...] = ()
    drop: str | None = None


_W, _R, _O = State.WAIT, State.READY, State.OFFERED
_OPEN = (_W, _R)
_PAIRED = (_W, _R, _O)
_LIVE = (State.UNPAIRED, *_PAIRED)
_ALL = tuple(State)
_DARK = (State.WRITING, State.FENCED, State.DOWN)


def _frame_rows() -> list[Row]:
    """What is the same for every frame, whatever its type: nobody is there, it is not for me, it is a stranger's."""
    rows = []
    for event in RX:
        of = event.removeprefix("rx_")
        rows += [
            Row(f"{of}_while_writing", event, (State.WRITING,), drop="writing"),
            Row(f"{of}_while_fenced", event, (State.FENCED,), drop="fenced"),
            Row(f"{of}_while_down", event, (State.DOWN,), drop="link_down"),
            Row(f"{of}_own", event, _LIVE, {"address": ("own",)}, drop="own"),
            Row(f"{of}_elsewhere_unpaired", event, (State.UNPAIRED,), {"address": ("elsewhere",)}, drop="not_for_me"),
            Row(f"{of}_elsewhere", event, _PAIRED, {"address": ("elsewhere",), "virgin": ("no",)}, drop="not_for_me"),
            # A register that has been used never changes its peer: this one's register was replaced, or the cable was.
            Row(f"{of}_of_a_stranger", event, _PAIRED, {"address": ("stranger",), "virgin": ("no",)}, acts=("fence",)),
        ]
        if event is Event.RX_FENCE:  # nobody pairs with a fenced endpoint
            rows += [
                Row("fence_of_a_stranger_unpaired", event, (State.UNPAIRED,), {"address": ("peer", "stranger")},
                    acts=("tell_alarm",)),
                Row("fence_of_a_stranger_virgin", event, _PAIRED, {"address": ("stranger",), "virgin": ("yes",)},
                    acts=("tell_alarm",)),
                Row("fence_elsewhere_virgin", event, _PAIRED, {"address": ("elsewhere",), "virgin": ("yes",)},
                    drop="not_for_me"),
            ]
        else:
            rows += [
                Row(f"{of}_pairs", event, (State.UNPAIRED,), {"address": ("peer", "stranger")}, write="pair",
                    acts=("unhear", "emit")),
                # Also with a peer that takes me for another: two registers that were replaced, each paired with what
                # the other had been, would drop each other's frames for ever, and neither sends a HELLO any more.
                Row(f"{of}_pairs_anew", event, _PAIRED, {"address": ("stranger", "elsewhere"), "virgin": ("yes",)},
                    write="pair", acts=("unhear", "emit")),
            ]  # fmt: skip
    return rows


def _offer_rows() -> list[Row]:
    event, peer = Event.RX_OFFER, {"address": ("peer",)}
    now = {**peer, "delta": ("same",)}
    accepted = ("unhear", "emit", "tell_committed")
    return [
        Row("offer_cancelled", event, _OPEN, {**now, "cancel": ("yes",)}, write="reject", acts=("unhear", "emit")),
        Row("offer_rejected", event, _OPEN, {**now, "cancel": ("no",), "answer": ("reject",)}, write="reject",
            acts=("unhear", "emit")),
        Row("offer_accepted", event, _OPEN,
            {**now, "cancel": ("no",), "answer": ("accept",), "inbox": ("empty",)}, write="accept", acts=accepted),
        Row("offer_swapped", event, _OPEN,
            {**now, "cancel": ("no",), "answer": ("give",), "inbox": ("empty",)}, write="accept_give", acts=accepted),
        # The peer is bound until it is answered; that it offered at all says that it ended every round before.
        Row("offer_while_busy", event, _OPEN, {**now, "cancel": ("no",), "answer": ("busy",)}, acts=("hear",)),
        Row("offer_while_full", event, _OPEN,
            {**now, "cancel": ("no",), "answer": ("accept", "give"), "inbox": ("full",)}, acts=("hear",)),
        Row("offers_cross", event, (_O,), now, write="cross", acts=("unhear", "unwish", "emit", "tell_committed")),
        # The peer is in doubt about a round that I have ended: tell it how.
        Row("offer_of_the_last_round", event, _OPEN, {**peer, "delta": ("previous",)}, acts=("emit",)),
        Row("offer_stale_while_bound", event, (_O,), {**peer, "delta": ("next", "previous")}, drop="stale"),
        Row("offer_too_early", event, _OPEN, {**peer, "delta": ("next",)}, acts=("fence",)),
    ]  # fmt: skip


def _outcome_rows() -> list[Row]:
    rows = []
    for event, write in ((Event.RX_TAKEN, "confirm_taken"), (Event.RX_RETURNED, "confirm_returned")):
        of = event.removeprefix("rx_")
        told = "tell_committed" if event is Event.RX_TAKEN else "tell_reversed"
        now = {"address": ("peer",), "delta": ("same",)}
        following = {"address": ("peer",), "delta": ("next",)}
        rows += [
            Row(f"{of}_agrees", event, _OPEN, {**now, "outcome": ("equal",)}, acts=("hear",)),
            Row(f"{of}_disagrees", event, _OPEN, {**now, "outcome": ("differs",)}, acts=("fence",)),
            Row(f"{of}_before_my_offer", event, (_O,), now, drop="not_yet"),
            Row(f"{of}_confirms", event, (_O,), following, write=write, acts=("hear", "unwish", "emit", told)),
            Row(f"{of}_too_early", event, _OPEN, following, acts=("fence",)),
            Row(f"{of}_stale", event, _PAIRED, {"address": ("peer",), "delta": ("previous",)}, drop="stale"),
        ]
    return rows


def _far_rows() -> list[Row]:
    rows = []
    for event in (Event.RX_OFFER, Event.RX_TAKEN, Event.RX_RETURNED):
        of, peer = event.removeprefix("rx_"), {"address": ("peer",)}
        rows += [
            Row(f"{of}_of_the_past", event, _PAIRED, {**peer, "delta": ("past",)}, drop="past"),
            Row(f"{of}_of_the_future", event, _PAIRED, {**peer, "delta": ("future",)}, acts=("fence",)),
        ]
    return rows


TABLE: Final[tuple[Row, ...]] = (
    Row("power_on", Event.POWER_ON, _ALL, acts=("forget",)),
    # the link
    Row("link_up", Event.LINK_UP, (State.DOWN,), acts=("link_up", "emit")),
    Row("link_up_while_writing", Event.LINK_UP, (State.WRITING,), acts=("link_up",)),
    Row("link_up_again", Event.LINK_UP, (State.FENCED, *_LIVE), acts=("link_up",)),
    Row("link_down", Event.LINK_DOWN, _ALL, acts=("link_down", "unhear")),
    # time
    Row("beacon", Event.TIMER, (State.FENCED, *_LIVE), acts=("emit",)),
    Row("timer_idle", Event.TIMER, (State.WRITING, State.DOWN)),
    # the application
    Row("offered", Event.APP_OFFER, (_R,), {"inbox": ("empty",)}, write="offer", acts=("unhear", "dequeue", "emit")),
    Row("offer_refused_while_full", Event.APP_OFFER, (_R,), {"inbox": ("full",)}, acts=("tell_refused",)),
    Row("offer_queued", Event.APP_OFFER, (_W,), {"queue": ("empty",)}, acts=("enqueue",)),
    Row("offer_refused_behind_another", Event.APP_OFFER, (_W,), {"queue": ("full",)}, acts=("tell_refused",)),
    Row("offer_refused", Event.APP_OFFER, (*_DARK, State.UNPAIRED, _O), acts=("tell_refused",)),
    Row("cancel_queued", Event.APP_CANCEL, (State.DOWN, State.UNPAIRED, *_OPEN), acts=("dequeue",)),
    Row("cancel_wished", Event.APP_CANCEL, (_O,), acts=("wish",)),
    Row("cancel_refused", Event.APP_CANCEL, (State.WRITING, State.FENCED), acts=("tell_refused",)),
    Row("consumed", Event.APP_CONSUME, (State.FENCED, State.DOWN, *_LIVE), {"inbox": ("full",), "named": ("yes",)},
        write="consume"),
    Row("consume_of_another_round", Event.APP_CONSUME, (State.FENCED, State.DOWN, *_LIVE),
        {"inbox": ("full",), "named": ("no",)}, acts=("tell_refused",)),
    Row("consume_of_nothing", Event.APP_CONSUME, (State.FENCED, State.DOWN, *_LIVE), {"inbox": ("empty",)},
        acts=("tell_refused",)),
    Row("consume_while_writing", Event.APP_CONSUME, (State.WRITING,), acts=("tell_refused",)),
    # the operator: a new identity, so that the peer cannot take the new register for the old one
    Row("formatted", Event.FORMAT, (State.DOWN, State.UNPAIRED, *_OPEN), write="format", acts=("forget",)),
    Row("formatted_once_ruled", Event.FORMAT, (State.FENCED, _O), {"ruled": ("yes",)}, write="format",
        acts=("forget",)),
    Row("format_refused", Event.FORMAT, (State.FENCED, _O), {"ruled": ("no",)}, acts=("tell_refused",)),
    Row("format_while_writing", Event.FORMAT, (State.WRITING,), acts=("tell_refused",)),
    # frames
    *_frame_rows(),
    Row("hello_of_the_peer", Event.RX_HELLO, _OPEN, {"address": ("peer",)}, acts=("emit",)),
    Row("hello_stale", Event.RX_HELLO, (_O,), {"address": ("peer",)}, drop="stale"),
    Row("fenced_by_the_peer", Event.RX_FENCE, _PAIRED, {"address": ("peer",)}, acts=("fence",)),
    *_offer_rows(),
    *_outcome_rows(),
    *_far_rows(),
)  # fmt: skip

"""Broken variants of the link and of tree epoch convergence: what is left out, and why the checker must reject it.

A checker that rejects nothing proves nothing.  Each variant leaves one thing out of the protocol, of its executor or of
the wire, and is searched breadth first, so its trace is a shortest one.  A payload cloned or lost (I4) is what counts
in the link; V6 clones and loses nothing, and is caught by what an end then wrongly knows (I5).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from hwsim.bilateral import reboots, tec_model
from hwsim.bilateral.checking import Finding, explore, explore_neighbours, explore_tree
from hwsim.bilateral.machine import Rows
from hwsim.bilateral.setting import Setting
from hwsim.bilateral.table import TABLE, WRITES, Row, State
from hwsim.bilateral.tec import Rules

_SHORT: Final = 1 << 16  # as on the wire


@dataclass(frozen=True)
class Variant:
    """A broken protocol.  *expected*: the properties of which one must break."""

    name: str
    leaves_out: str
    why: str
    expected: tuple[str, ...]
    find: Callable[[], Finding]


def _changed(change: Callable[[Row], Row], writes: dict[str, dict[str, str]] | None = None) -> Rows:
    return Rows([change(row) for row in TABLE], {**WRITES, **(writes or {})})


def _heard_is_kept(row: Row) -> Row:
    if row.name != "offered":
        return row
    return replace(row, acts=tuple(act for act in row.acts if act != "unhear"))


def _offers_unheard(row: Row) -> Row:
    match row.name:
        case "offered" | "offer_refused_while_full":
            return replace(row, states=(*row.states, State.WAIT))
        case "offer_queued" | "offer_refused_behind_another":
            return replace(row, states=())
        case _:
            return row


def _withdraws(row: Row) -> Row:
    return replace(row, write="withdraw", acts=("tell_reversed",)) if row.name == "cancel_wished" else row


# An end that is bound does not ask whether it has heard the peer, so this table is as good as the other; it is the one
# that an independent model of the protocol was made from, and its numbers of states are compared.
HEARD_IS_KEPT: Final = _changed(_heard_is_kept)
_UNHEARD: Final = _changed(_offers_unheard)
_WITHDRAWING: Final = _changed(_withdraws, {"withdraw": {"phase": "RETURNED", "slot": "empty"}})


def _link(name: str, leaves_out: str, why: str, setting: Setting, expected: str = "I4") -> Variant:
    find = partial(explore, name, setting, only=(expected,), progress=False)
    return Variant(name, leaves_out, why, (expected,), find)


LINK: Final[tuple[Variant, ...]] = (
    _link("V1", "the register outlives a crash",
          "after the reboot the offer never was, and the payload is usable here and there",
          Setting(reboot=reboots.without_register, rounds=3, modulus=_SHORT)),
    _link("V2", "an offer outlives a crash",
          "the offerer takes its payload back while the offer is on its way",
          Setting(reboot=reboots.without_offer, rounds=3)),
    _link("V3", "the last round's outcome outlives a crash", "a taken round is told as a returned one",
          Setting(reboot=reboots.without_outcome, rounds=3)),
    _link("V4", "the slot outlives a crash", "the payload in escrow, or given and not yet received, is gone",
          Setting(reboot=reboots.without_slot, rounds=3)),
    _link("V5", "the round outlives a crash", "an outcome of the former round ends this one",
          Setting(reboot=reboots.without_round, rounds=3)),
    _link("V6", "only who has heard the peer in this round may offer",
          "both can be bound in different rounds, and wait for each other for ever",
          Setting(rows=_UNHEARD, rounds=3, modulus=_SHORT), "I5"),
    _link("V7", "the register is written before the frame is sent", "the frame tells of what a crash then undoes",
          Setting(writing=True, early=True, rounds=3)),
    _link("V8", "payload and register change in one write (payload first)", "a crash between them delivers twice",
          Setting(writing=True, delivery="before", rounds=3)),
    _link("V9", "payload and register change in one write (register first)", "a crash between them delivers never",
          Setting(writing=True, delivery="after", rounds=3)),
    _link("V10", "an offer cannot be withdrawn by one side", "the peer may have taken it already",
          Setting(cancel=True, rows=_WITHDRAWING, rounds=3)),
    _link("V11", "the wire keeps its order (round modulo 2)", "an old outcome passes for this round's",
          Setting(reorder=True, modulus=2, capacity=2)),
    _link("V12", "the wire keeps its order (round modulo 4)", "the same, a few rounds later",
          Setting(reorder=True, modulus=4, capacity=2)),
    _link("no ids", "a lost register changes the identity",
          "a fresh register takes frames of its former life for its own",
          Setting(identities=False, amnesia=1, keeps_store=True, rounds=2, modulus=_SHORT)),
)  # fmt: skip


def _tree(name: str, leaves_out: str, why: str, rules: Rules, expected: str = "retention") -> Variant:
    find = partial(explore_tree, name, tec_model.Setting("pair", 2, rules), progress=False)
    return Variant(name, leaves_out, why, (expected,), find)


TREE: Final[tuple[Variant, ...]] = (
    _tree("W1", "epochs are compared with their labels",
          "two epochs of one number and different generations pass for one",
          Rules(labels=False)),
    _tree("W2", "frames carry the generation", "a report from before a crash counts for after it",
          Rules(generations_in_frames=False)),
    _tree("W3", "the generation outlives a crash", "a second reboot begins a generation anew",
          Rules(durable_generation=False), "generation"),
    _tree("W4", "two epochs are kept", "the committed one is overwritten by one that is not", Rules(kept=1)),
    _tree("W5", "the next epoch waits for the commit of the last",
          "the committed one is overwritten by the second next",
          Rules(waits_for_commit=False)),
    _tree("W6", "what is held and how far it runs are told apart", "an epoch that was dropped counts as durable",
          Rules(modes_apart=False)),
    Variant("W7", "a root commits", "with neighbours alone and two kept epochs, a path of three has no common one",
            ("common",), partial(explore_neighbours, "W7", 3, 2)),
)  # fmt: skip

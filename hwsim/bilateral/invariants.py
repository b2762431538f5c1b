"""What must hold of two endpoints in every state that they can reach, as named predicates.

What they read: the two registers (as a crash at this instant would leave them), the volatile bits, the payloads that
the applications hold.  They do not read frames in flight.  What a single step can break (I6, pairing, told) the model
judges; what needs all states (progress, moves, exchanges) is judged by `hwsim.bilateral.checking`.

Between ends that do not name each other as peers, or after a register was lost, only I4's "at most one" is claimed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Final

from hwsim.bilateral.setting import End
from hwsim.bilateral.table import Phase, State

MEANINGS: Final = {
    "I1": "the rounds, and the epochs, of the two ends differ by at most one",
    "I2": "rounds that both have ended, both have ended alike",
    "I3": "who has left a round finds the other out of it too, or durably offered in it",
    "I4": "no payload is held twice, and none is missing while both are open in one round",
    "I5": "who is ready or offered in a round knows rightly that the peer has ended every round before",
    "I6": "no frame is acted on in another round than its own",
    "I7": "nobody is fenced while no register is lost",
    "pairing": "a frame of anyone but the peer changes nothing but who the peer is",
    "told": "a round ends as the application answered, and the application is told how it ended",
    "progress": "from everywhere, faults over, both ends come to agree, or the loss of a register is noticed",
    "moves": "each payload can come to be held at either side",
    "exchanges": "three exchanges of snapshots settle everything once the wire is empty",
}


def rounds_together(a: End, b: End) -> bool:
    """I1."""
    return abs(a.register.round - b.register.round) <= 1 and abs(a.register.epoch - b.register.epoch) <= 1


def outcomes_agree(a: End, b: End) -> bool:
    """I2: with as many rounds behind them, as many were taken, and the last one ended alike."""
    one, other = a.register, b.register
    if one.round == other.round:
        open_both = Phase.OFFER not in (one.phase, other.phase)
        return one.epoch == other.epoch and (not open_both or one.phase is other.phase)
    if abs(one.round - other.round) != 1:
        return True  # I1's business
    ahead, behind = (one, other) if one.round > other.round else (other, one)
    if ahead.phase is Phase.OFFER:
        return True  # I5's business
    return ahead.epoch - behind.epoch == (ahead.phase is Phase.TAKEN)


def left_behind_is_bound(a: End, b: End) -> bool:
    """I3."""
    one, other = a.register, b.register
    if one.round == other.round:
        return True
    return (one if one.round < other.round else other).phase is Phase.OFFER


def never_cloned(a: End, b: End) -> bool:
    """The half of I4 that holds even after a register was lost: no payload is usable twice."""
    return all(count == 1 for count in _usable(a, b).values())


def conserved(a: End, b: End, tokens: frozenset[str]) -> bool:
    """I4: each of *tokens* usable at most once, and exactly once while both ends are open in one round."""
    usable = _usable(a, b)
    if any(count != 1 for count in usable.values()):
        return False
    settled = a.register.round == b.register.round and Phase.OFFER not in (a.register.phase, b.register.phase)
    return not settled or usable.keys() == tokens


def _usable(a: End, b: End) -> Counter[str]:
    held = Counter((*a.store, *b.store))
    held.update(str(end.register.inbox) for end in (a, b) if end.register.inbox is not None)
    return held


def knows_rightly(a: End, b: End) -> bool:
    """I5."""
    for mine, peer in ((a, b), (b, a)):
        knows = mine.register.phase is Phase.OFFER or mine.state is State.READY
        if knows and peer.register.round < mine.register.round:
            return False
    return True


def nobody_fenced(a: End, b: End) -> bool:
    """I7."""
    return not a.volatile.fenced and not b.volatile.fenced


def broken(
    a: End, b: End, tokens: frozenset[str], *, register_lost: bool = False, only: Collection[str] = ()
) -> str | None:
    """The first invariant that these two ends break, by its name; of *only* those named, if any are."""
    if register_lost:
        return None if never_cloned(a, b) else "I4"
    named = a.register.peer == b.register.nvid and b.register.peer == a.register.nvid
    for name, holds in CHECKS.items():
        if (not only or name in only) and (named or name in ("I4", "I7")) and not holds(a, b, tokens):
            return name
    return None


# In the order of weight: a payload cloned or lost first.
CHECKS: Final[Mapping[str, Callable[[End, End, frozenset[str]], bool]]] = {
    "I4": conserved,
    "I7": lambda a, b, _: nobody_fenced(a, b),
    "I1": lambda a, b, _: rounds_together(a, b),
    "I2": lambda a, b, _: outcomes_agree(a, b),
    "I3": lambda a, b, _: left_behind_is_bound(a, b),
    "I5": lambda a, b, _: knows_rightly(a, b),
}

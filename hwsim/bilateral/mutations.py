"""Single changes of the transition table, to measure the checker: each is caught, or it is said why it does no harm.

For every row: its write dropped, each of its acts dropped, its write exchanged for each other one that it has the data
for; for every two neighbouring rows of an event: what they do exchanged.  A mutant is caught when a search of one of
the `SETTINGS` breaks an invariant or the progress lemma, or the table itself fails (a state that no row foresees).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from typing import Final

from hwsim.bilateral.checking import Finding, explore
from hwsim.bilateral.machine import Rows
from hwsim.bilateral.model import Model
from hwsim.bilateral.search import search
from hwsim.bilateral.setting import Setting
from hwsim.bilateral.table import RX, TABLE, WRITES, Event, Row

# Small first: most mutants die in the first.
SETTINGS: Final = (
    ("delayed writes and consumption", Setting(modulus=1 << 16, inbox=True, writing=True)),
    ("two frames each way", Setting(modulus=1 << 16, capacity=2)),
    ("pairing", Setting(modulus=1 << 16, paired=False, rounds=2)),
    ("an offer that waits", Setting(modulus=1 << 16, inbox=True, queue=True)),
    ("registers lost", Setting(modulus=1 << 16, paired=False, rounds=2, amnesia=2)),
    ("registers formatted",
     Setting(modulus=1 << 16, paired=False, rounds=1, amnesia=2, operator=True, keeps_store=True)),
    ("links lost and wishes", Setting(modulus=1 << 16, inbox=True, writing=True, carrier=True, cancel=True)),
)


@dataclass(frozen=True)
class Mutant:
    """A changed table.  *row*: which row was changed, *change*: how."""

    row: str
    change: str
    table: tuple[Row, ...]
    other: str | None = None  # the second row, if two were changed

    @property
    def name(self) -> str:
        return f"{self.row}: {self.change}"


def mutants(table: Sequence[Row] = TABLE) -> Iterator[Mutant]:
    """Every single change of *table*."""
    for place, row in enumerate(table):

        def changed(change: str, new: Row, row: Row = row, place: int = place) -> Mutant:
            return Mutant(row.name, change, (*table[:place], new, *table[place + 1 :]))

        if row.write:
            yield changed(f"does not write {row.write}", replace(row, write=None))
            for other in WRITES:
                if WRITES[other] != WRITES[row.write] and _possible(row, other):
                    yield changed(f"writes {other} instead of {row.write}", replace(row, write=other))
        for act in dict.fromkeys(row.acts):
            yield changed(f"does not {act}", replace(row, acts=tuple(one for one in row.acts if one != act)))
    for event in Event:
        of_event = [place for place, row in enumerate(table) if row.event is event]
        for mine, next_one in pairwise(of_event):
            first, second = table[mine], table[next_one]
            if (first.write, first.acts) == (second.write, second.acts):
                continue
            new = list(table)
            new[mine] = replace(first, write=second.write, acts=second.acts, drop=second.drop)
            new[next_one] = replace(second, write=first.write, acts=first.acts, drop=first.drop)
            change = f"does what {second.name} does, and the other way round"
            yield Mutant(first.name, change, tuple(new), second.name)


def _possible(row: Row, write: str) -> bool:
    """Whether an event of this kind brings what that write needs."""
    sources = set(WRITES[write].values())
    if sources & {"frame", "sender"} and row.event not in RX:
        return False
    if "app" in sources and row.event not in (Event.APP_OFFER, Event.RX_OFFER):
        return False
    return "fresh" not in sources


def hunt(mutant: Mutant) -> tuple[str, Finding] | None:
    """The setting that catches *mutant*, and what it found; None if none does."""
    for name, setting in SETTINGS:
        try:
            finding = explore(mutant.name, replace(setting, rows=Rows(mutant.table)), limit=LIMIT)
        except (AssertionError, ValueError, KeyError, IndexError, RecursionError) as error:
            return name, Finding(mutant.name, 0, 0, 0, 0.0, f"table: {error}")
        if finding.broken or not finding.complete:
            return name, finding
    return None


_FENCE = "reached only after a register was lost, when a fence is a lawful end too"
_LATER = "the timer sends the same snapshot a little later"
_AGAIN = "the application offers again"
_UNTOLD = "the operator is not told, and the ends do as they do"
_ZERO = "nobody has ended a round before round 0: so much is known unheard"
_FORMAT = "a format that fails leaves the register as it was"
# (which row, how it is changed) -> why it does no harm, None if it does; the first that fits.  A row that begins with *
# stands for all that end so.
_HARMLESS: Final[Mapping[tuple[str, str], str | None]] = {
    ("beacon", "does not emit"): None,
    ("*", "does not tell_refused"): "the application is not told, and holds what it holds",
    ("*", "does not tell_committed"): "the application is not told, and finds the payload in its inbox",
    ("*", "does not tell_alarm"): _UNTOLD,
    ("*", "does not emit"): _LATER,
    ("*", "does not unwish"): "a wish outlives its round, and is a wish only",
    ("offered", "does not unhear"): "a bound end does not ask whether it has heard the peer",
    ("cancel_wished", "does not wish"): "a wish is not owed",
    ("cancel_queued", "does not dequeue"): "an offer that was to be forgotten is made",
    ("offer_queued", "does not enqueue"): _AGAIN,
    ("offer_while_busy", "does not hear"): "who is busy offers across only once it has decided",
    ("offer_accepted", "writes accept_give instead of accept"): "with nothing to give, the two are the same",
    ("*_pairs", "does not unhear"): "an end without a peer has heard nobody",
    ("*_pairs_anew", "does not unhear"): _ZERO,
    ("offer_while_full", "does not hear"): "who is full offers only once it has consumed, and is heard until then",
    ("*_confirms", "does not hear"): "the peer's next snapshot is heard",
    ("taken_confirms", "writes cross instead of confirm_taken"): "the slot of a round that both ended is not asked",
    ("offer_pairs_anew", "does not write pair"): _FENCE,
    ("offer_pairs_anew", "writes consume instead of pair"): _FENCE,
    ("link_up", "does what link_up_while_writing does, and the other way round"): _LATER,
    ("offer_refused_while_full", "does what offer_queued does, and the other way round"): _AGAIN,
    ("offers_cross", "does not unhear"): "the offer has done it",
    ("cancel_queued", "does what cancel_wished does, and the other way round"): "a wish is not owed",
    ("offer_of_the_last_round", "does what offer_stale_while_bound does, and the other way round"): _LATER,
    ("fence_of_a_stranger_virgin", "does what fence_elsewhere_virgin does, and the other way round"): _UNTOLD,
    ("cancel_wished", "does what cancel_refused does, and the other way round"): "a wish is not owed",
    ("hello_of_the_peer", "does what hello_stale does, and the other way round"): _LATER,
    ("formatted_once_ruled", "does what format_refused does, and the other way round"): _FORMAT,
    ("fence_elsewhere_virgin", "does what fenced_by_the_peer does, and the other way round"): _FENCE,
    ("offer_queued", "does what offer_refused_behind_another does, and the other way round"): _AGAIN,
    ("formatted", "does not write format"): _FORMAT,
    ("formatted", "writes consume instead of format"): _FORMAT,
    ("formatted", "does not forget"): _ZERO,
    ("formatted_once_ruled", "does not write format"): _FORMAT,
    ("formatted_once_ruled", "writes consume instead of format"): _FORMAT,
    ("formatted_once_ruled", "does not forget"): "a reboot ends a fence",
    ("link_up_while_writing", "does not link_up"): "the link comes up later",
    ("link_down", "does not link_down"): "a dead link taken for a live one loses frames, as links do",
    ("link_down", "does not unhear"): "what was heard in a round stays true in it",
}


UNREACHED: Final = "no search reaches the row"


@cache
def reached() -> frozenset[str]:
    """The rows of the true table that the searches of `SETTINGS` lead to."""
    found: set[str] = set()
    for _, setting in SETTINGS:
        model = Model(setting)
        search(model.initial(), model.steps, lambda _: None)
        found |= model.rows()
    return frozenset(found)


def harmless(mutant: Mutant) -> str | None:
    """Why *mutant* does no harm; None where it must be caught."""
    if reached().isdisjoint({mutant.row, mutant.other}):
        return UNREACHED
    for (row, change), why in _HARMLESS.items():
        if change == mutant.change and (mutant.row.endswith(row[1:]) if row[0] == "*" else mutant.row == row):
            return why
    return None


LIMIT: Final = 150_000  # states: a table that has more than this in these settings goes where the true one never does

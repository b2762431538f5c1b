"""Single changes of the transition table, to measure the checker: each is caught, or it is said why it does no harm.

For every row: its write dropped, each of its acts dropped, its write exchanged for each other one that it has the data
for; for every two neighbouring rows of an event: what they do exchanged.  A mutant is caught when a search of one of
the `SETTINGS` breaks an invariant or the progress lemma, or the table itself fails (a state that no row foresees).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Final

from hwsim.bilateral.checking import Finding, explore
from hwsim.bilateral.machine import Rows
from hwsim.bilateral.model import Setting
from hwsim.bilateral.table import RX, TABLE, WRITES, Event, Row

# Small first: most mutants die in the first.
SETTINGS: Final = (
    ("delayed writes and consumption", Setting(modulus=1 << 16, inbox=True, writing=True)),
    ("two frames each way", Setting(modulus=1 << 16, capacity=2)),
    ("pairing", Setting(modulus=1 << 16, paired=False, rounds=2)),
    ("an offer that waits", Setting(modulus=1 << 16, inbox=True, queue=True)),
    ("registers lost", Setting(modulus=1 << 16, paired=False, rounds=2, amnesia=2)),
    ("registers formatted", Setting(modulus=1 << 16, paired=False, rounds=1, amnesia=2, operator=True, keeps_store=True)),
    ("links lost and wishes", Setting(modulus=1 << 16, inbox=True, writing=True, carrier=True, cancel=True)),
)


@dataclass(frozen=True)
class Mutant:
    """A changed table.  *row*: which row was changed, *change*: how."""

    row: str
    change: str
    table: tuple[Row, ...]

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
                if other != row.write and _possible(row, other):
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
            yield Mutant(first.name, f"does what {second.name} does, and the other way round", tuple(new))


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


LIMIT: Final = 150_000  # states: a table that has more than this in these settings goes where the true one never does

# (row, how it is changed) -> why it does no harm; an empty row stands for any.
_HARMLESS: Final = {
    ("", "does not tell_refused"): "the application is not told, and holds what it holds",
    ("", "does not tell_committed"): "the application is not told, and finds the payload in its inbox",
    ("", "does not tell_alarm"): "the operator is not told, and the ends do as they do",
    ("", "does not emit"): "the timer sends the same snapshot a little later",
    ("offered", "does not unhear"): "a bound end does not ask whether it has heard the peer",
    ("offers_cross", "does not unwish"): "a wish outlives its round, and is a wish only",
    ("taken_confirms", "does not unwish"): "a wish outlives its round, and is a wish only",
    ("returned_confirms", "does not unwish"): "a wish outlives its round, and is a wish only",
    ("cancel_wished", "does not wish"): "a wish is not owed",
    ("cancel_queued", "does not dequeue"): "an offer that was to be forgotten is made",
    ("offer_queued", "does not enqueue"): "the application offers again",
    ("offer_while_busy", "does not hear"): "who is busy offers across only once it has decided",
    ("hello_pairs_anew", "does not unhear"): "nobody has ended a round before round 0: so much is known unheard",
    ("offer_pairs_anew", "does not unhear"): "nobody has ended a round before round 0: so much is known unheard",
    ("taken_pairs_anew", "does not unhear"): "nobody has ended a round before round 0: so much is known unheard",
    ("returned_pairs_anew", "does not unhear"): "nobody has ended a round before round 0: so much is known unheard",
    ("formatted", "does not write format"): "a format that fails leaves the register as it was",
    ("formatted", "writes consume instead of format"): "a format that fails leaves the register as it was",
    ("formatted", "does not forget"): "what was heard in round 0 says nothing, and a reboot ends a fence",
    ("formatted_once_ruled", "does not write format"): "a format that fails leaves the register as it was",
    ("formatted_once_ruled", "writes consume instead of format"): "a format that fails leaves the register as it was",
    ("formatted_once_ruled", "does not forget"): "what was heard in round 0 says nothing, and a reboot ends a fence",
    ("link_up_while_writing", "does not link_up"): "the link comes up later",
    ("link_up_again", "does not link_up"): "the link is up",
    ("link_down", "does not link_down"): "a dead link taken for a live one loses frames, as links do",
    ("link_down", "does not unhear"): "what was heard in a round stays true in it",
}


def harmless(mutant: Mutant) -> str | None:
    """Why *mutant* does no harm; None where it must be caught."""
    return _HARMLESS.get((mutant.row, mutant.change)) or _HARMLESS.get(("", mutant.change))

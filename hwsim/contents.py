"""What a place may hold under one key: an exact set of possibilities.

A write in flight, or one that sits in a volatile cache, leaves more than one possible content
behind a crash.  The simulator never guesses early: it carries the set, and only a crash that
really strikes the timeline draws one member of it.

A member is a checkpoint's number (0 is the initial state), `TORN` (blocks of more than one
checkpoint, or half of one) or `NOTHING` (the key does not exist).
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from functools import lru_cache
from typing import TypeVar

NOTHING = -1
TORN = -2

Contents = frozenset[int]
Place = TypeVar("Place")


@lru_cache(maxsize=65536)
def whole(epoch: int) -> Contents:
    """The contents that are surely checkpoint *epoch*, every byte of it."""
    return frozenset((epoch,))


TORN_FOR_SURE: Contents = frozenset((TORN,))
NOTHING_FOR_SURE: Contents = frozenset((NOTHING,))


def either(*outcomes: int | Contents) -> Contents:
    """The union of members and sets of members."""
    members: set[int] = set()
    for outcome in outcomes:
        members |= outcome if isinstance(outcome, frozenset) else {outcome}
    return frozenset(members)


@lru_cache(maxsize=65536)
def encode(contents: Contents) -> str:
    """Write *contents* as the trace does: `7`, `6,7,torn`, `-` for nothing; sorted, so equal sets give equal text."""
    words = {TORN: "torn", NOTHING: "-"}
    return ",".join(words.get(member, str(member)) for member in sorted(contents, key=_trace_order))


@lru_cache(maxsize=65536)
def decode(text: str) -> Contents:
    """Read what `encode` wrote.  Raises ValueError on anything else."""
    words = {"torn": TORN, "-": NOTHING}
    members = [words[word] if word in words else int(word) for word in text.split(",")]
    if any(member < TORN for member in members) or len(set(members)) != len(members):
        raise ValueError(f"not contents: {text!r}")
    return frozenset(members)


def surely(contents: Contents) -> int | None:
    """The only possible member, or None where there are several."""
    return next(iter(contents)) if len(contents) == 1 else None


def uppermost(entry: Mapping[Place, Contents], stack: Iterable[Place], doubted: Container[Place]) -> Contents | None:
    """What a reader of *stack* (topmost first) finds; None where none of its places has an entry.

    It is the first entry; or, of a *doubted* place, that entry or what is found below it.
    """
    found: Contents | None = None
    for place in stack:
        contents = entry.get(place)
        if contents is not None:
            found = contents if found is None else found | contents
            if place not in doubted:
                return found
    return None if found is None else found | {NOTHING}


def newest_first(contents: Iterable[int]) -> list[int]:
    """Whole checkpoints among *contents*, newest first."""
    return sorted((member for member in contents if member >= 0), reverse=True)


def _trace_order(member: int) -> tuple[int, int]:
    return (member == TORN, member)

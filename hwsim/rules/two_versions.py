"""The reader of `two_versions`: ranks that keep two checkpoints each choose one of them together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple, TypeVar

from hwsim.outcomes import MIXED, REFUSED, WHOLE, Handed
from hwsim.recovery import DurableState, Pattern

Fold = TypeVar("Fold")


def two_versions(state: DurableState, params: Mapping[str, Any]) -> frozenset[Handed]:
    """Restore what all ranks hold: the minimum of their newest numbers, or the newest attempt that all of them hold.

    Param `labels`: what a rank's files say of themselves, and what is compared.  "number" (default): each tells its
    newest number, all load the least of them, one that does not hold it stops the job, and a file that carries
    the right number is loaded whoever wrote it when.  "attempt": each tells which attempts it holds (generation and
    number), and all load the newest that all of them hold.

    Torn files are noticed.  A rank that holds nothing whole tells 0, the initial state.
    """
    ranks = [(_held_by(pattern), count) for pattern, count in state.patterns().items()]
    if params.get("labels", "number") == "attempt":
        return _newest_of_all(ranks)
    return _minimum(ranks, state.number_of)


@lru_cache(maxsize=65536)
def _held_by(pattern: Pattern) -> frozenset[tuple[int, ...]]:
    """Every set of whole checkpoints that a rank may hold, in the order in which it looks for them."""
    entries = [contents for _, _, contents in sorted(pattern, key=lambda entry: entry[:2])]
    return frozenset(tuple(dict.fromkeys(member for member in found if member > 0)) for found in product(*entries))


def _fold(
    start: Fold,
    ranks: Iterable[tuple[frozenset[tuple[int, ...]], int]],
    join: Callable[[Fold, tuple[int, ...]], Fold | None],
) -> set[Fold]:
    """Everything that *join*ing one choice of every rank may come to; a choice that gives None is not made.

    Ranks alike are joined until that changes nothing more.
    """
    reached = {start}
    for choices, count in ranks:
        for _ in range(count):
            joined = {after for before in reached for held in choices if (after := join(before, held)) is not None}
            if joined == reached:
                break
            reached = joined
    return reached


def _newest_of_all(ranks: list[tuple[frozenset[tuple[int, ...]], int]]) -> frozenset[Handed]:
    everything = frozenset(epoch for choices, _ in ranks for held in choices for epoch in held)
    common = _fold(everything, ranks, lambda before, held: before & frozenset(held))
    return frozenset(Handed(WHOLE, max(held, default=0)) for held in common)


class _Loading(NamedTuple):
    """Ranks so far that load one number: whether it is some rank's newest, what they load, and whether one lacks it."""

    is_newest: bool = False
    lacking: bool = False
    loaded: int = 0
    mixed: bool = False


def _minimum(ranks: list[tuple[frozenset[tuple[int, ...]], int]], number_of: Callable[[int], int]) -> frozenset[Handed]:
    newest = {max((number_of(epoch) for epoch in held), default=0) for choices, _ in ranks for held in choices}
    handed: set[Handed] = set()
    for number in newest:
        if not number:
            if any(() in choices for choices, _ in ranks):
                handed.add(Handed(WHOLE, 0))
            continue

        def join(before: _Loading, held: tuple[int, ...], number: int = number) -> _Loading | None:
            own = max((number_of(epoch) for epoch in held), default=0)
            if own < number:
                return None
            loads = next((epoch for epoch in held if number_of(epoch) == number), 0)
            return _Loading(
                before.is_newest or own == number,
                before.lacking or not loads,
                before.loaded or loads,
                before.mixed or bool(loads and before.loaded and loads != before.loaded),
            )

        for end in _fold(_Loading(), ranks, join):
            if end.is_newest:
                kind = REFUSED if end.lacking else MIXED if end.mixed else WHOLE
                handed.add(Handed(kind, end.loaded if kind == WHOLE else None))
    return frozenset(handed)

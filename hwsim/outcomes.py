"""What a recovery hands back, and how that stands against what was promised.

Source: the closed list of outcomes is this project's own; see the README for what each means to a user.

Not modelled: degrees of harm; every silent wrong is as bad as another of its kind.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import StrEnum
from typing import NamedTuple

WHOLE, MIXED, CORRUPT, REFUSED, HANG = "whole", "mixed", "corrupt", "refused", "hang"


class Handed(NamedTuple):
    """What a recovery hands back: `whole` (one checkpoint, `epoch`), `mixed`, `corrupt`, `refused`, or `hang`.

    Whole at epoch 0 is a start from the initial state, without a word about it.  A hang hands back nothing and
    takes nothing: ranks that chose different checkpoints wait for each other.
    """

    kind: str
    epoch: int | None = None


class Outcome(StrEnum):
    """How what was handed back stands against what was promised: the closed list, worst first."""

    SILENT_MIXED = "silent_mixed"
    SILENT_CORRUPT = "silent_corrupt"
    SILENT_RESTART = "silent_restart"
    LOST_COMMITTED = "lost_committed"
    CRASH_LOOP = "crash_loop"
    HANG = "hang"
    REFUSED = "refused"
    CORRECT_OLDER = "correct_older"
    CORRECT_LATEST = "correct_latest"

    @property
    def severity(self) -> int:
        """0 for the worst; `min` of several outcomes by it is the worst of them."""
        return _SEVERITY[self]

    @property
    def unsafe(self) -> bool:
        """Whether something acknowledged is lost, or something wrong is handed back unsaid."""
        return self in UNSAFE


_SEVERITY = {outcome: rank for rank, outcome in enumerate(Outcome)}
UNSAFE = frozenset((Outcome.SILENT_MIXED, Outcome.SILENT_CORRUPT, Outcome.SILENT_RESTART, Outcome.LOST_COMMITTED))


def classify(handed: Handed, *, acknowledged: int, written: int) -> Outcome:
    """Judge *handed* against the newest checkpoint acknowledged and the newest whose shards may all be there."""
    if handed.kind == MIXED:
        return Outcome.SILENT_MIXED
    if handed.kind == CORRUPT:
        return Outcome.SILENT_CORRUPT
    if handed.kind == HANG:
        return Outcome.HANG
    if handed.kind == REFUSED or handed.epoch is None:
        return Outcome.LOST_COMMITTED if acknowledged > 0 else Outcome.REFUSED
    if handed.epoch == 0 and acknowledged > 0:
        return Outcome.SILENT_RESTART
    if handed.epoch < acknowledged:
        return Outcome.LOST_COMMITTED
    return Outcome.CORRECT_OLDER if handed.epoch < written else Outcome.CORRECT_LATEST


def protected(handed: Handed, *, acknowledged: int) -> bool:
    """Whether one whole checkpoint is handed back; the initial state counts only while nothing was acknowledged."""
    return handed.kind == WHOLE and (handed.epoch != 0 or acknowledged == 0)


def worst(outcomes: Iterable[Outcome]) -> Outcome:
    """The worst of them."""
    return min(outcomes, key=_SEVERITY.__getitem__)


def best(outcomes: Iterable[Outcome]) -> Outcome:
    """The best of them."""
    return max(outcomes, key=_SEVERITY.__getitem__)

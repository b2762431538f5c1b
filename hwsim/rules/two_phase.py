"""The reader of `two_phase`: the coordinator's log decides; without it the participants' logs, where they can."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwsim.outcomes import REFUSED, WHOLE, Handed
from hwsim.recovery import DurableState
from hwsim.rules.fallback import checked_fallback


def two_phase(state: DurableState, params: Mapping[str, Any]) -> frozenset[Handed]:
    """Restore the newest checkpoint that was decided; whatever was not is presumed to be aborted.

    Params: `decision` ("decision"), the record that is the coordinator's log (it says 0 from the start, so that one
    that was lost is told from one in which nothing is decided); `prepared` and `committed`, the participants' records.

    Without the coordinator's log the participants ask each other.  What one of them saw committed was decided.  What
    some participant never prepared was not.  Else all are in doubt, and no protocol can tell: refused, until somebody
    finds the log or decides by hand.
    """
    handed: set[Handed] = set()
    for decided in state.newest_record((str(params.get("decision", "decision")),)):
        handed |= _restore(state, decided) if decided >= 0 else _without_log(state, params)
    return frozenset(handed)


def _restore(state: DurableState, decided: int) -> set[Handed]:
    """The shards of a decided checkpoint; one that lacks a shard after all falls back to those before it."""
    if decided <= 0:
        return {Handed(WHOLE, 0)}
    return checked_fallback(state, [(epoch, str(epoch)) for epoch in state.slots_down_from(decided)])


def _without_log(state: DurableState, params: Mapping[str, Any]) -> set[Handed]:
    handed: set[Handed] = set()
    prepared = [state.newest_record((name,)) for name in params.get("prepared", ())]
    # of independent entries the least is v if one of them may be v, and all others may be as much
    most = min((max(contents) for contents in prepared), default=0)
    least = {member for contents in prepared for member in contents if member <= most} or {0}
    for committed in state.newest_record(params.get("committed", ())):
        if any(all_prepared > max(committed, 0) for all_prepared in least):
            handed.add(Handed(REFUSED))
        if any(all_prepared <= max(committed, 0) for all_prepared in least):
            handed |= _restore(state, committed)
    return handed

"""The reader of `chandy_lamport`: the newest recorded cut of which every rank still has its part."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwsim.outcomes import REFUSED, WHOLE, Handed
from hwsim.recovery import DurableState
from hwsim.rules.fallback import checked_fallback


def chandy_lamport(state: DurableState, params: Mapping[str, Any]) -> frozenset[Handed]:
    """Restore the newest cut that the coordinator's log holds.

    Param `record` ("cut"): that log, which says 0 from the start; one that was lost leads nowhere, so where some shard
    is there it is refused.
    """
    handed: set[Handed] = set()
    for cut in state.newest_record((str(params.get("record", "cut")),)):
        if cut > 0:
            handed |= checked_fallback(state, [(epoch, str(epoch)) for epoch in state.slots_down_from(cut)])
        elif cut == 0:
            handed.add(Handed(WHOLE, 0))
        else:
            handed |= {Handed(WHOLE, 0)} if state.may_be_empty else set()
            handed |= {Handed(REFUSED)} if state.may_have_entries else set()
    return frozenset(handed)

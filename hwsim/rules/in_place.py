"""The reader of `in_place`: every rank resumes what lies under its own name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwsim.outcomes import WHOLE, Handed
from hwsim.recovery import IN_PLACE_SLOT, DurableState
from hwsim.rules.fallback import together


def in_place(state: DurableState, params: Mapping[str, Any]) -> frozenset[Handed]:
    """Every rank resumes whatever lies under its one name, without a look at the others: mixes and tears go unseen.

    Param `slots`: "in_place" (default), each save overwrites the one before it where it lies; or "fresh", each
    save goes under its checkpoint's number and takes the name of the older one, which is then erased: a rank reads
    the oldest that is whole, because newer ones still wait for the name and a torn one never got it.
    """
    if params.get("slots", "in_place") == "in_place":
        return state.joint(IN_PLACE_SLOT, absent_is=0)
    return frozenset(_oldest_each(state))


def _oldest_each(state: DurableState) -> set[Handed]:
    """Every rank reads its oldest whole file, or begins from the initial state."""
    slots = [str(number) for number in reversed(state.slots_down_from(None))]
    if len(slots) == 1 and not state.may_lack(slots[0]):  # what every reader finds is known without asking each
        sure = {Handed(WHOLE, int(slots[0]))}
        if state.joint(slots[0], absent_is=None) == sure:
            return sure
    ends = []
    for shard in state.ranks:
        found: set[int] = set()
        for slot in slots:
            reading = state.reading(shard, slot)
            found.update(epoch for epoch in reading if epoch >= 0)
            if min(reading) >= 0:
                break
        else:
            found.add(0)
        ends.append(found)
    return together(ends, state.shards)

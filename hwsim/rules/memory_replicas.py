"""The reader of `memory_replicas`: the newest checkpoint that the copies left over still make whole."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwsim.outcomes import REFUSED, WHOLE, Handed
from hwsim.recovery import DurableState
from hwsim.rules.fallback import checked_fallback


def memory_replicas(state: DurableState, params: Mapping[str, Any]) -> frozenset[Handed]:
    """Restore the newest checkpoint of which every shard has a whole copy, in some memory or in storage.

    Nobody keeps a record of what was acknowledged: where no checkpoint is whole, the job begins from nothing.
    """
    handed = checked_fallback(state, [(epoch, str(epoch)) for epoch in state.slots_down_from(None)])
    return frozenset(Handed(WHOLE, 0) if found.kind == REFUSED else found for found in handed)

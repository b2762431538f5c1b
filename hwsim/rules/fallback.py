"""What a job makes of what its ranks find: the newest checkpoint down a chain, and ranks that end up by themselves."""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.contents import TORN
from hwsim.outcomes import CORRUPT, MIXED, REFUSED, WHOLE, Handed
from hwsim.recovery import DurableState

STOPS = -3  # among a rank's possible ends: it finds nothing that it would load


def checked_fallback(state: DurableState, chain: Sequence[tuple[int, str]]) -> set[Handed]:
    """The newest checkpoint of the chain that is whole, whichever that may be."""
    handed = set()
    for epoch, slot in chain:
        possible, certain = state.checked(slot, epoch)
        if possible:
            handed.add(Handed(WHOLE, epoch))
        if certain:
            return handed
    handed.add(Handed(REFUSED))
    return handed


def together(ends: Sequence[set[int]], ranks: int, apart: str = MIXED) -> set[Handed]:
    """What the job makes of *ranks* ranks that end independently, each at one of its possible ends.

    *apart*: what it is where they end at different checkpoints.
    """
    handed = set()
    if any(STOPS in found for found in ends):
        handed.add(Handed(REFUSED))
    if all(found - {STOPS} for found in ends) and any(TORN in found for found in ends):
        handed.add(Handed(CORRUPT))
    if not ends:
        return {Handed(WHOLE, 0)}
    epochs = [{end for end in found if end >= 0} for found in ends]
    handed |= {Handed(WHOLE, epoch) for epoch in set.intersection(*epochs)}
    if ranks > 1 and all(epochs) and len(set.union(*epochs)) > 1:
        handed.add(Handed(apart))
    return handed

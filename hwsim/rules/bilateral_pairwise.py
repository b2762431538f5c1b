"""The reader of `bilateral_pairwise`: every domain resumes what it has adopted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwsim.outcomes import Handed
from hwsim.recovery import DurableState
from hwsim.rules.in_place import in_place


def bilateral_pairwise(state: DurableState, params: Mapping[str, Any]) -> frozenset[Handed]:
    """Every domain reads its oldest whole file: newer ones wait for their name until the neighbours have theirs.

    Nobody asks anybody, so domains that have adopted different checkpoints resume a mix unseen.
    """
    return in_place(state, {"slots": "fresh"})

"""The reader of `tree_convergence`: the newest version that all domains hold under one label."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hwsim.outcomes import Handed
from hwsim.recovery import DurableState
from hwsim.rules.two_versions import two_versions


def tree_convergence(state: DurableState, params: Mapping[str, Any]) -> frozenset[Handed]:
    """Restore the newest (generation, number) that every domain holds; what only some hold is dropped.

    Param `labels`: "attempt" (default), or "number", which takes files with one number for one checkpoint and is wrong.

    What crosses the tree at a recovery is an intersection of sets, so asking the domains one by one gives the same;
    this is what a reader who sees all media finds.  Where they have nothing in common all begin anew.
    """
    return two_versions(state, {"labels": params.get("labels", "attempt")})

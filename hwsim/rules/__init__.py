"""Recovery rules: what a restart hands back, as pure functions of what a crash left.  One file each.

A rule reads a `DurableState` (what a reader finds under every part and slot once the crash has taken its
places away) and returns *every* result that the state allows.  A state without doubt allows exactly one;
a write in flight or a cached one leaves several possible contents, and the set returned is exact: each
member comes of some resolution of the doubts, and each resolution gives a member.
The same functions serve the live recovery of a simulation and the judgement of every crash instant.

Not modelled: a crash inside a recovery (to a rule it is one more crash).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hwsim.outcomes import Handed
from hwsim.recovery import DurableState
from hwsim.rules.bilateral_pairwise import bilateral_pairwise
from hwsim.rules.chandy_lamport import chandy_lamport
from hwsim.rules.in_place import in_place
from hwsim.rules.manifest import manifest
from hwsim.rules.memory_replicas import memory_replicas
from hwsim.rules.tree_convergence import tree_convergence
from hwsim.rules.two_phase import two_phase
from hwsim.rules.two_versions import two_versions

Rule = Callable[[DurableState, Mapping[str, Any]], frozenset[Handed]]

RULES: dict[str, Rule] = {
    rule.__name__: rule
    for rule in (
        bilateral_pairwise, chandy_lamport, in_place, manifest, memory_replicas, tree_convergence, two_phase,
        two_versions,
    )
}


def asks_each_shard(rule: str, params: Mapping[str, Any]) -> bool:
    """Whether this rule looks at shards one by one, so that `DurableState.changed` does not tell when to ask again."""
    if rule == "in_place":
        return bool(params.get("slots", "in_place") != "in_place")
    if rule == "bilateral_pairwise":
        return True
    return rule == "manifest" and bool(params.get("recover_by", "coordinator") == "each_rank")


def only_checks(rule: str, params: Mapping[str, Any]) -> bool:
    """Whether this rule looks only for whole copies of the checkpoint it wants, wherever they are."""
    return rule not in ("bilateral_pairwise", "in_place") and (rule != "manifest" or bool(params.get("checksum", True)))

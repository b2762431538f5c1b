"""A naive reader for every recovery rule, by plain loops over sure contents, and brute force over doubts."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from typing import Any

from hwsim.contents import NOTHING, TORN, Contents
from hwsim.outcomes import Handed
from hwsim.trace import Part

Key = tuple[str, str]


def parts_of(shards: int, copies: int = 1, records: int = 1) -> list[Part]:
    found = [
        Part(f"shard{s}" + (f".copy{c}" if c else ""), s, c, f"gpu{s}", f"d{s}{c}", (f"d{s}{c}:media",), 10)
        for s in range(shards)
        for c in range(copies)
    ]
    names = ["manifest" + (f".copy{c}" if c else "") for c in range(records)]
    return found + [Part(name, -1, c, "host", "m", ("m:media",), 1) for c, name in enumerate(names)]


def logs_of(ranks: int) -> list[Part]:
    """The logs of a two-phase commit."""
    names = ["decision", *(f"{what}{rank}" for what in ("prepared", "committed") for rank in range(ranks))]
    return [Part(name, -1, 0, "host", "m", ("m:media",), 1) for name in names]


def naive(
    rule: str, params: Mapping[str, Any], parts: list[Part], lies: Mapping[Key, int],
    numbers: Mapping[int, int] | None = None,
) -> Handed:  # fmt: skip
    shards: dict[int, list[str]] = {}
    for part in sorted(parts, key=lambda p: p.copy):
        if part.shard >= 0:
            shards.setdefault(part.shard, []).append(part.name)

    def copies(shard: int, slot: str) -> list[int]:
        return [lies.get((name, slot), NOTHING) for name in shards[shard]]

    def first(shard: int, slot: str) -> int:
        return next((c for c in copies(shard, slot) if c != NOTHING), NOTHING)

    def judge(ends: list[int]) -> Handed:
        if TORN in ends:
            return Handed("corrupt")
        return Handed("whole", ends[0]) if len(set(ends)) == 1 else Handed("mixed")

    def apart(told: Mapping[int, int]) -> Handed:
        """Ranks that were told different things, each by itself."""
        ends = []
        for s, named in told.items():
            slots = [(named, "0")] if params.get("slots") == "in_place" else [(e, str(e)) for e in range(named, 0, -1)]
            if named == TORN:
                ends.append(NOTHING if checksum else TORN)
            elif named == 0:
                own = [c for (p, _), c in lies.items() if p in shards[s] and c not in (NOTHING, 0)]
                ends.append(NOTHING if own and params.get("missing") != "restart" else 0)
            elif checksum:
                ends.append(next((e for e, slot in slots if e in copies(s, slot)), NOTHING))
            else:
                ends.append(next((first(s, slot) for _, slot in slots if first(s, slot) != NOTHING), NOTHING))
        if NOTHING in ends:
            return Handed("refused")
        found = judge(ends)
        return Handed("hang") if found.kind == "mixed" else found

    def all_have(epoch: int) -> bool:
        return all(epoch in copies(s, str(epoch)) for s in shards)

    def newest_in(*logs: str) -> int | None:
        """The newest whole entry of these logs."""
        entries = [c for (name, _), c in lies.items() if name in logs and c >= 0]
        return max(entries) if entries else None

    everywhere = range(1 + max([0, *lies.values()]))
    if rule == "memory_replicas":
        return Handed("whole", max([0, *(e for e in everywhere if e and all_have(e))]))
    if rule == "chandy_lamport":
        cut = newest_in("cut")
        if cut is None:
            empty = not any(c not in (NOTHING, 0) for (p, _), c in lies.items() if p.startswith("shard"))
            return Handed("whole", 0) if empty else Handed("refused")
        there = [e for e in everywhere if 0 < e <= cut and all_have(e)]
        return Handed("whole", max(there)) if there else Handed("refused") if cut else Handed("whole", 0)
    if rule == "two_phase":
        decided = newest_in("decision")
        if decided is None:
            committed = newest_in(*params["committed"]) or 0
            if all((newest_in(log) or 0) > committed for log in params["prepared"]):
                return Handed("refused")
            decided = committed
        restored = [e for e in everywhere if 0 < e <= decided and all_have(e)]
        return Handed("whole", max(restored)) if restored else Handed("refused") if decided else Handed("whole", 0)
    if rule == "two_versions":
        said = numbers or {}
        holds = {
            s: [c for name in names for slot in ("0", "1") if (c := lies.get((name, slot), NOTHING)) > 0]
            for s, names in shards.items()
        }
        if params.get("labels") == "attempt":
            return Handed("whole", max([0, *set.intersection(*(set(held) for held in holds.values()))]))
        tells = [max([0, *(said.get(c, c) for c in held)]) for held in holds.values()]
        if not min(tells):
            return Handed("whole", 0)
        loads = []
        for held in holds.values():
            right = [c for c in held if said.get(c, c) == min(tells)]
            if not right:
                return Handed("refused")
            loads.append(right[0])
        return judge(loads)
    if rule == "tree_convergence":
        own = [{c for (part, _), c in lies.items() if part in names and c > 0} for names in shards.values()]
        return Handed("whole", max([0, *set.intersection(*own)]))
    if rule == "bilateral_pairwise" or (rule == "in_place" and params.get("slots") == "fresh"):
        numbers = sorted({slot for part, slot in lies if part.startswith("shard")}, key=int)
        found = [[c for slot in numbers if (c := first(s, slot)) >= 0] for s in shards]
        return judge([whole[0] if whole else 0 for whole in found])
    if rule == "in_place":
        return judge([max(0, first(s, "0")) if first(s, "0") != TORN else TORN for s in shards])
    checksum, by_rank = params.get("checksum", True), params.get("recover_by") == "each_rank"
    named_parts = [p.name for p in sorted(parts, key=lambda p: p.copy) if p.name.startswith("manifest")]
    records = [lies.get((name, "0"), NOTHING) for name in named_parts]
    existing = [r for r in records if r != NOTHING]
    if checksum:
        intact = [r for r in existing if r != TORN]
        existing = intact or existing
    if params.get("copies") == "newest":
        existing = [max(whole)] if (whole := [r for r in records if r >= 0]) else existing[:1]
    stale = {s: lies.get((view, "0"), NOTHING) for view, ranks in params.get("views", {}).items() for s in ranks}
    if by_rank and any(told != NOTHING for told in stale.values()):
        common = existing[0] if existing else 0
        told = {s: common if stale.get(s, NOTHING) == NOTHING else stale[s] for s in shards}
        if len(set(told.values())) > 1:
            return apart(told)
        existing = list(told.values())[:1]
    if checksum and TORN in existing:
        return Handed("refused")
    if not existing or existing[0] == 0:
        empty = not any(c != NOTHING for (p, _), c in lies.items() if p.startswith("shard"))
        return Handed("whole", 0) if empty or params.get("missing") == "restart" else Handed("refused")
    if existing[0] == TORN:
        return Handed("corrupt")
    named = existing[0]
    slots = [(named, "0")] if params.get("slots") == "in_place" else [(e, str(e)) for e in range(named, 0, -1)]
    if by_rank:
        ends = []
        for s in shards:
            for e, slot in slots:
                if checksum and e in copies(s, slot):
                    ends.append(e)
                    break
                if not checksum and first(s, slot) != NOTHING:
                    ends.append(first(s, slot))
                    break
            else:
                return Handed("refused")
        return judge(ends)
    for e, slot in slots:
        if checksum and all(e in copies(s, slot) for s in shards):
            return Handed("whole", e)
        if not checksum and all(first(s, slot) != NOTHING for s in shards):
            return judge([first(s, slot) for s in shards])
    return Handed("refused")


def brute(
    rule: str, params: Mapping[str, Any], parts: list[Part], may: Mapping[Key, Contents],
    numbers: Mapping[int, int] | None = None,
) -> frozenset[Handed]:  # fmt: skip
    keys = list(may)
    return frozenset(
        naive(rule, params, parts, dict(zip(keys, choice, strict=True)), numbers)
        for choice in itertools.product(*(sorted(may[key]) for key in keys))
    )

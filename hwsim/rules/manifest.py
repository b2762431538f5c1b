"""The reader of `manifest`: the record first, then the shards of the checkpoint that it names.

A rank whose client may see the common record late asks that client's *view* of it first: a record of its own,
there only while it is stale.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from itertools import product
from typing import Any

from hwsim.contents import NOTHING, NOTHING_FOR_SURE, TORN
from hwsim.outcomes import CORRUPT, HANG, REFUSED, WHOLE, Handed
from hwsim.recovery import IN_PLACE_SLOT, DurableState
from hwsim.rules.fallback import STOPS, checked_fallback, together


def manifest(state: DurableState, params: Mapping[str, Any]) -> frozenset[Handed]:
    """Read the manifest record, then the shards of the checkpoint that it names.

    Params, all optional:
    `record` ("manifest"): the record's part name;
    `checksum` (True): the record and the shards carry checksums and their checkpoint's number, so that a torn
    or a foreign one is noticed; without, it is handed back;
    `slots` ("fresh"): shards lie under their checkpoint's number, or ("in_place") all under one slot;
    `recover_by` ("coordinator"): the whole job falls back to the next older checkpoint still there, or
    ("each_rank") each rank does so by itself;
    `missing` ("refuse"): what a reader makes of shards without a record, or ("restart") it begins from nothing;
    `copies` ("first"): which copy of the record is believed, the first there is, or ("newest", with a checksum only)
    the one that names the newest checkpoint;
    `views` (none): with each_rank, name of a view -> numbers of the shards whose ranks read it before the record.

    A missing shard is always noticed.  Where neither record nor shard exists the job starts from checkpoint 0.
    A torn record that is noticed leads nowhere: refused.  `keep` needs no mention: what was pruned is not there.
    The record tells a rank its step: ranks that were told different ones, and did not all come to the same
    checkpoint after all, never meet in a collective, so the job hangs.
    """
    handed: set[Handed] = set()
    views = params.get("views") if params.get("recover_by") == "each_rank" else None
    record = str(params.get("record", "manifest"))
    if params.get("copies", "first") == "newest":
        says = state.newest_record((record,), IN_PLACE_SLOT)
    else:
        says = state.record(record, checked=bool(params.get("checksum", True)))
    for named in says:
        handed |= _viewed(state, named, views, params) if views else _told_all(state, named, params)
    return frozenset(handed)


def _told_all(state: DurableState, named: int, params: Mapping[str, Any]) -> set[Handed]:
    """What comes of a record that says *named* to every rank."""
    checksum = bool(params.get("checksum", True))
    if named == TORN:
        return {Handed(REFUSED if checksum else CORRUPT)}
    if named in (NOTHING, 0):
        restart = params.get("missing", "refuse") == "restart"
        handed = {Handed(WHOLE, 0)} if restart or state.may_be_empty else set()
        return handed | ({Handed(REFUSED)} if state.may_have_entries and not restart else set())
    chain = _chain(state, named, params)
    if params.get("recover_by", "coordinator") == "each_rank":
        return _each_rank(state, chain, checksum)
    return checked_fallback(state, chain) if checksum else _unchecked_fallback(state, chain)


def _chain(state: DurableState, named: int, params: Mapping[str, Any]) -> list[tuple[int, str]]:
    """The checkpoints to try from *named* on, newest first, each with the slot that it lies under."""
    if params.get("slots", "fresh") == "in_place":
        return [(named, IN_PLACE_SLOT)]
    return [(epoch, str(epoch)) for epoch in state.slots_down_from(named)]


def _unchecked_fallback(state: DurableState, chain: Sequence[tuple[int, str]]) -> set[Handed]:
    """The newest checkpoint of the chain of which no shard is missing, taken as it lies."""
    handed: set[Handed] = set()
    for _, slot in chain:
        handed |= state.joint(slot, absent_is=None)
        if not state.may_lack(slot):
            return handed
    handed.add(Handed(REFUSED))
    return handed


def _each_rank(state: DurableState, chain: Sequence[tuple[int, str]], checksum: bool) -> set[Handed]:
    """Every rank goes down the chain by itself; one that finds nothing stops the job."""
    if chain and checksum and state.checked(chain[0][1], chain[0][0])[1]:
        return {Handed(WHOLE, chain[0][0])}
    return together([_ends(state, rank, chain, checksum) for rank in state.ranks], state.shards)


def _ends(state: DurableState, rank: int, chain: Sequence[tuple[int, str]], checksum: bool) -> set[int]:
    """Every checkpoint that one rank may come to down the chain."""
    found: set[int] = set()
    for epoch, slot in chain:
        if checksum:
            copies = state.copies(rank, slot)
            if any(epoch in copy for copy in copies):
                found.add(epoch)
            if any(len(copy) == 1 and epoch in copy for copy in copies):
                return found
        else:
            reading = state.reading(rank, slot)
            found |= reading - NOTHING_FOR_SURE
            if NOTHING not in reading:
                return found
    found.add(STOPS)
    return found


def view_of(params: Mapping[str, Any]) -> dict[int, str]:
    """The view that a rank asks before the record, by the number of its shard."""
    return {shard: view for view, shards in (params.get("views") or {}).items() for shard in shards}


def _viewed(state: DurableState, common: int, views: Iterable[str], params: Mapping[str, Any]) -> set[Handed]:
    """What comes of a record that says *common* to every rank whose client's view of it is not stale."""
    handed: set[Handed] = set()
    asks = view_of(params)
    names = list(views)
    for seen in product(*(state.record(view, checked=False) for view in names)):  # a view is hardly ever in doubt
        stale = {view: told for view, told in zip(names, seen, strict=True) if told != NOTHING}
        told_each = [_as_told(stale.get(asks.get(number, ""), common)) for number in state.numbers]
        if len(set(told_each)) == 1:
            handed |= _told_all(state, told_each[0], params)
        else:
            ends = [_ends_of(state, rank, told, params) for rank, told in enumerate(told_each)]
            handed |= together(ends, state.shards, apart=HANG)
    return handed


def _as_told(named: int) -> int:
    """A record that is not there and one that names checkpoint 0 say the same."""
    return 0 if named == NOTHING else named


def _ends_of(state: DurableState, rank: int, told: int, params: Mapping[str, Any]) -> set[int]:
    """Every checkpoint that one rank may come to that was told *told*, others being told otherwise."""
    checksum = bool(params.get("checksum", True))
    if told == TORN:
        return {STOPS if checksum else TORN}
    if told == 0:
        if params.get("missing", "refuse") == "restart":
            return {0}
        may_be_empty, may_exist = state.exists(rank)
        return ({0} if may_be_empty else set()) | ({STOPS} if may_exist else set())
    return _ends(state, rank, _chain(state, told, params), checksum)

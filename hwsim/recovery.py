"""Recovery rules: what a restart hands back, as pure functions of what a crash left.

A rule reads a `DurableState` (what a reader finds under every part and slot once the crash has taken its
places away) and returns *every* result that the state allows.  A state without doubt allows exactly one;
a write in flight or a cached one leaves several possible contents, and the set returned is exact: each
member comes of some resolution of the doubts, and each resolution gives a member.
The same functions serve the live recovery of a simulation and the judgement of every crash instant.

Checkpoint 0 is the initial state, which is always re-creatable: a shard that holds nothing holds checkpoint 0.

A rank whose client may see the common record late asks that client's *view* of it first: a record of its own,
there only while it is stale.

Not modelled: clients that see shards late (every rank reads what it wrote itself); a crash inside a recovery.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from itertools import product
from typing import Any, NamedTuple

from hwsim.contents import NOTHING, NOTHING_FOR_SURE, TORN, Contents
from hwsim.outcomes import CORRUPT, HANG, MIXED, REFUSED, WHOLE, Handed
from hwsim.trace import Part

IN_PLACE_SLOT = "0"  # the one slot that in-place writers overwrite, and that a record lies under


class _Step(NamedTuple):
    """What changes when one entry goes from some contents to others; each set only where it differs."""

    leave: tuple[int, ...]
    enter: tuple[int, ...]
    leave_sure: tuple[int, ...]
    enter_sure: tuple[int, ...]
    hopeless: int
    entries: int
    sure_entries: int


@lru_cache(maxsize=65536)
def _step(old: Contents, new: Contents) -> _Step:
    sure_old, sure_new = (old if len(old) == 1 else frozenset()), (new if len(new) == 1 else frozenset())
    return _Step(
        tuple(old - new),
        tuple(new - old),
        tuple(sure_old - sure_new),
        tuple(sure_new - sure_old),
        (max(new) < 0) - (max(old) < 0),
        (old == NOTHING_FOR_SURE) - (new == NOTHING_FOR_SURE),
        (NOTHING in old) - (NOTHING in new),
    )


class _Slot:
    """One slot over all shards: what each copy holds, and counts of shards by what reading them may give.

    `may[m]`: shards whose first existing copy may hold m; `sure[m]`: surely holds m (NOTHING: no copy exists);
    `any_may[e]`, `any_sure[e]`: shards with some copy that may, that surely does, hold e;
    `hopeless`: shards whose first existing copy can be no checkpoint at all.
    Where no shard has several copies both pairs are the same.
    """

    __slots__ = ("any_may", "any_sure", "copies_may", "copies_sure", "held", "hopeless", "may", "reading", "sure")

    def __init__(self, shards: int, copied: bool) -> None:
        self.held: dict[int, Contents] = {}  # part -> contents, where it is not surely nothing
        self.reading: dict[int, Contents] = {}  # shard -> its first existing copy, where shards have several
        self.may: dict[int, int] = {NOTHING: shards}
        self.sure: dict[int, int] = {NOTHING: shards}
        self.any_may: dict[int, int] = {} if copied else self.may
        self.any_sure: dict[int, int] = {} if copied else self.sure
        self.copies_may: dict[tuple[int, int], int] = {}  # (shard, checkpoint) -> copies that may hold it
        self.copies_sure: dict[tuple[int, int], int] = {}
        self.hopeless = shards


def _first_existing(copies: Iterable[Contents]) -> Contents:
    """What a reader gets who takes the first copy that exists."""
    members: set[int] = set()
    for contents in copies:
        members |= contents
        if NOTHING not in contents:
            members.discard(NOTHING)
            return frozenset(members)
    members.add(NOTHING)
    return frozenset(members)


def _per_shard(
    copies: dict[tuple[int, int], int], shard: int, leave: Iterable[int], enter: Iterable[int]
) -> tuple[list[int], list[int]]:
    """Count one copy's change, and return what so changes for its shard: what no copy, or the first one, has."""
    gone, new = [], []
    for member in leave:
        if member >= 0:
            key = (shard, member)
            count = copies[key] - 1
            if count:
                copies[key] = count
            else:
                del copies[key]
                gone.append(member)
    for member in enter:
        if member >= 0:
            key = (shard, member)
            count = copies.get(key, 0)
            copies[key] = count + 1
            if not count:
                new.append(member)
    return gone, new


class DurableState:
    """What a reader would find after a crash, kept current by `set`; each question about it costs O(1) or a few slots.

    `shards` counts the shards; parts of shard -1 are records (such as a manifest).  A shard's copies are
    tried in the order of their `copy` number.  `changed` is set by any change that some question about all shards
    together might notice (`rules_ask_each_shard` tells which rules ask more); whoever asks may reset it.
    Not *unchecked*: readings of first copies (`joint`, `may_lack`, `reading`) will not be asked for.
    *weights*: shard -> how many shards it stands for, all with the same contents at all times; each resolves its
    doubts by itself.
    """

    def __init__(
        self, parts: Iterable[Part], *, unchecked: bool = True, weights: Mapping[int, int] | None = None
    ) -> None:
        ordered = sorted(parts, key=lambda part: (part.shard, part.copy))
        self.parts: tuple[Part, ...] = tuple(ordered)
        shards = sorted({part.shard for part in ordered if part.shard >= 0})
        self.numbers = tuple(shards)  # rank -> the number of its shard
        numbers = {shard: index for index, shard in enumerate(shards)}
        weights = weights or {}
        self._weights = [weights.get(shard, 1) for shard in shards]
        self._ranks = range(len(shards))
        self.shards = sum(self._weights)
        self.changed = True
        self._index = {part.name: index for index, part in enumerate(ordered)}
        self._shard_of = [numbers.get(part.shard, -1) for part in ordered]
        self._copies: list[list[int]] = [[] for _ in numbers]
        self._record_copies: dict[str, list[int]] = {}
        for index, part in enumerate(ordered):
            if part.shard >= 0:
                self._copies[numbers[part.shard]].append(index)
            else:
                self._record_copies.setdefault(part.name.partition(".copy")[0], []).append(index)
        self._copied = any(len(copies) > 1 for copies in self._copies)
        self._unchecked = unchecked
        self._slots: dict[str, _Slot] = {}
        self._records: dict[tuple[int, str], Contents] = {}
        self._entries = 0  # shard entries that may exist
        self._sure_entries = 0  # shard entries that surely exist
        self._writable: dict[int, int] = {}  # checkpoint -> slots in which every shard may hold it

    def set(self, part: str, slot: str, contents: Contents | None) -> None:
        """From now on a reader finds *contents* under (*part*, *slot*); None: no such key.

        A checkpoint lies under one slot only, the same for all shards.
        """
        index = self._index[part]
        shard = self._shard_of[index]
        if contents is None:
            contents = NOTHING_FOR_SURE
        if shard < 0:
            self._records[index, slot] = contents
            self.changed = True
            return
        if 0 in contents:  # the initial state is no more than nothing is
            contents = (contents - {0}) | NOTHING_FOR_SURE
        found = self._slots.get(slot)
        if found is None:
            if contents == NOTHING_FOR_SURE:
                return
            found = self._slots[slot] = _Slot(self.shards, self._copied)
            self.changed = True
        old = found.held.get(index, NOTHING_FOR_SURE)
        if contents == old:
            return
        step = _step(old, contents)
        self._entries += step.entries
        self._sure_entries += step.sure_entries
        if (step.entries and self._entries <= 1) or (step.sure_entries and self._sure_entries <= 1):
            self.changed = True
        if contents == NOTHING_FOR_SURE:
            del found.held[index]
        else:
            found.held[index] = contents
        if self._copied:
            if step.leave or step.enter:
                leave, enter = _per_shard(found.copies_may, shard, step.leave, step.enter)
                self._count(found.any_may, leave, enter, self._weights[shard], reach=True)
            if step.leave_sure or step.enter_sure:
                leave, enter = _per_shard(found.copies_sure, shard, step.leave_sure, step.enter_sure)
                self._count(found.any_sure, leave, enter, self._weights[shard])
            if self._unchecked:
                self._read_first(found, shard)
        else:
            self._count_readings(found, step, self._weights[shard], reach=True)
        if not found.held:
            del self._slots[slot]
            self.changed = True

    def _read_first(self, found: _Slot, shard: int) -> None:
        """Some copy changed: so may the first that exists."""
        reading = _first_existing([found.held.get(copy, NOTHING_FOR_SURE) for copy in self._copies[shard]])
        old = found.reading.get(shard, NOTHING_FOR_SURE)
        if reading != old:
            found.reading[shard] = reading
            self._count_readings(found, _step(old, reading), self._weights[shard], reach=False)

    def _count_readings(self, found: _Slot, step: _Step, weight: int, reach: bool) -> None:
        self._count(found.may, step.leave, step.enter, weight, reach)
        if step.leave_sure or step.enter_sure:
            self._count(found.sure, step.leave_sure, step.enter_sure, weight)
        if step.hopeless:
            self.changed |= not found.hopeless
            found.hopeless += step.hopeless * weight
            self.changed |= not found.hopeless

    def _count(
        self, counts: dict[int, int], leave: Iterable[int], enter: Iterable[int], weight: int, reach: bool = False
    ) -> None:
        """Move one shard from *leave* to *enter*; notice what so becomes, or ceases to be, true of none or of all."""
        shards = self.shards
        for member in leave:
            before = counts[member]
            count = before - weight
            if count:
                counts[member] = count
            else:
                del counts[member]
                self.changed = True
            if before == shards:
                self.changed = True
                if reach and member > 0:
                    self._writable[member] -= 1
                    if not self._writable[member]:
                        del self._writable[member]
        for member in enter:
            before = counts.get(member, 0)
            count = counts[member] = before + weight
            if not before:
                self.changed = True
            if count == shards:
                self.changed = True
                if reach and member > 0:
                    self._writable[member] = self._writable.get(member, 0) + 1

    @classmethod
    def holding(cls, parts: Iterable[Part], contents: Mapping[tuple[str, str], Contents]) -> DurableState:
        """The state in which a reader finds *contents* under each (part, slot), and nothing elsewhere."""
        state = cls(parts)
        for (part, slot), held in contents.items():
            state.set(part, slot, held)
        return state

    def written(self) -> int:
        """The newest checkpoint of which every shard (some copy) may be there; 0 where there is none."""
        return max(self._writable, default=0)

    def record(self, name: str, *, checked: bool) -> Contents:
        """What the record *name* may say, its first existing copy read; *checked*: torn copies are passed over."""
        members: set[int] = set()
        passed = frozenset((NOTHING, TORN) if checked else (NOTHING,))
        may_be_absent, may_be_torn = True, False
        for index in self._record_copies.get(name, ()):
            contents = self._records.get((index, IN_PLACE_SLOT), NOTHING_FOR_SURE)
            members |= contents - passed
            if not contents & passed:
                return frozenset(members)
            may_be_absent &= NOTHING in contents
            may_be_torn |= checked and TORN in contents
        if may_be_absent:
            members.add(NOTHING)
        if may_be_torn:
            members.add(TORN)
        return frozenset(members)

    def reading(self, shard: int, slot: str) -> Contents:
        """What a reader of the shard (counted from 0) finds under *slot*: its first copy that exists."""
        found = self._slots.get(slot)
        if found is None:
            return NOTHING_FOR_SURE
        if self._copied:
            return found.reading.get(shard, NOTHING_FOR_SURE)
        return found.held.get(self._copies[shard][0], NOTHING_FOR_SURE)

    def slots_down_from(self, epoch: int | None) -> list[int]:
        """Newest first, the checkpoints up to *epoch* (None: all) under whose number some shard may exist."""
        numbers = (int(slot) for slot in self._slots if slot.isdecimal())
        return sorted((number for number in numbers if number and (epoch is None or number <= epoch)), reverse=True)

    def joint(self, slot: str, *, absent_is: int | None) -> frozenset[Handed]:
        """Every joint reading of all shards under *slot*, first existing copies, unchecked.

        *absent_is* 0: a shard without a copy starts from the initial state; None: only readings in which
        every shard exists are meant.
        """
        found = self._slots.get(slot)
        if found is None:
            return frozenset((Handed(WHOLE, 0),) if absent_is == 0 else ())
        if absent_is is None and found.sure.get(NOTHING):
            return frozenset()
        handed: list[Handed] = []
        if TORN in found.may:
            handed.append(Handed(CORRUPT))
        epochs = 0
        for member, count in found.may.items():
            if member >= 0 or (member == NOTHING and absent_is == 0):
                epochs += 1
                if count == self.shards:
                    handed.append(Handed(WHOLE, max(member, 0)))
        stuck = found.hopeless if absent_is is None else found.sure.get(TORN, 0)
        if epochs > 1 and self.shards > 1 and not stuck:
            handed.append(Handed(MIXED))
        return frozenset(handed)

    @property
    def ranks(self) -> range:
        """The numbers by which `reading` and `copies` know the shards; one with a weight stands for several."""
        return self._ranks

    def may_lack(self, slot: str) -> bool:
        """Whether some shard may have no copy at all under *slot*."""
        found = self._slots.get(slot)
        return found is None or NOTHING in found.may

    def checked(self, slot: str, epoch: int) -> tuple[bool, bool]:
        """Whether every shard may have, and whether every shard surely has, a whole copy of *epoch* under *slot*."""
        found = self._slots.get(slot)
        if found is None:
            return False, False
        return found.any_may.get(epoch) == self.shards, found.any_sure.get(epoch) == self.shards

    def copies(self, shard: int, slot: str) -> list[Contents]:
        """What each copy of the shard (counted from 0) may hold under *slot*."""
        found = self._slots.get(slot)
        held: Mapping[int, Contents] = {} if found is None else found.held
        return [held.get(copy, NOTHING_FOR_SURE) for copy in self._copies[shard]]

    def exists(self, rank: int) -> tuple[bool, bool]:
        """Whether the rank may have nothing anywhere, and whether it may have something somewhere."""
        held = [found.held.get(copy, NOTHING_FOR_SURE) for found in self._slots.values() for copy in self._copies[rank]]
        return all(NOTHING in contents for contents in held), any(contents != NOTHING_FOR_SURE for contents in held)

    @property
    def may_be_empty(self) -> bool:
        """Whether possibly no shard has anything anywhere."""
        return self._sure_entries == 0

    @property
    def may_have_entries(self) -> bool:
        """Whether possibly some shard has something somewhere."""
        return self._entries > 0


Rule = Callable[[DurableState, Mapping[str, Any]], frozenset[Handed]]


def in_place(state: DurableState, params: Mapping[str, Any]) -> frozenset[Handed]:
    """Every rank resumes whatever lies under its one name, without a look at the others: mixes and tears go unseen.

    Param `slots`: "in_place" (default), each save overwrites the one before it where it lies; or "fresh", each
    save goes under its checkpoint's number and takes the name of the older one, which is then erased: a rank reads
    the oldest that is whole, because newer ones still wait for the name and a torn one never got it.
    """
    if params.get("slots", "in_place") == "in_place":
        return state.joint(IN_PLACE_SLOT, absent_is=0)
    return frozenset(_oldest_each(state))


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
    `views` (none): with each_rank, name of a view -> numbers of the shards whose ranks read it before the record.

    A missing shard is always noticed.  Where neither record nor shard exists the job starts from checkpoint 0.
    A torn record that is noticed leads nowhere: refused.  `keep` needs no mention: what was pruned is not there.
    The record tells a rank its step: ranks that were told different ones, and did not all come to the same
    checkpoint after all, never meet in a collective, so the job hangs.
    """
    handed: set[Handed] = set()
    views = params.get("views") if params.get("recover_by") == "each_rank" else None
    for named in state.record(str(params.get("record", "manifest")), checked=bool(params.get("checksum", True))):
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
    return _checked_fallback(state, chain) if checksum else _unchecked_fallback(state, chain)


def _chain(state: DurableState, named: int, params: Mapping[str, Any]) -> list[tuple[int, str]]:
    """The checkpoints to try from *named* on, newest first, each with the slot that it lies under."""
    if params.get("slots", "fresh") == "in_place":
        return [(named, IN_PLACE_SLOT)]
    return [(epoch, str(epoch)) for epoch in state.slots_down_from(named)]


def _checked_fallback(state: DurableState, chain: Sequence[tuple[int, str]]) -> set[Handed]:
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


def _unchecked_fallback(state: DurableState, chain: Sequence[tuple[int, str]]) -> set[Handed]:
    """The newest checkpoint of the chain of which no shard is missing, taken as it lies."""
    handed: set[Handed] = set()
    for _, slot in chain:
        handed |= state.joint(slot, absent_is=None)
        if not state.may_lack(slot):
            return handed
    handed.add(Handed(REFUSED))
    return handed


_STOPS = -3  # among a rank's possible ends: it finds nothing that it would load


def _each_rank(state: DurableState, chain: Sequence[tuple[int, str]], checksum: bool) -> set[Handed]:
    """Every rank goes down the chain by itself; one that finds nothing stops the job."""
    if chain and checksum and state.checked(chain[0][1], chain[0][0])[1]:
        return {Handed(WHOLE, chain[0][0])}
    return _together([_ends(state, rank, chain, checksum) for rank in state.ranks], state.shards)


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
    found.add(_STOPS)
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
            handed |= _together(ends, state.shards, apart=HANG)
    return handed


def _as_told(named: int) -> int:
    """A record that is not there and one that names checkpoint 0 say the same."""
    return 0 if named == NOTHING else named


def _ends_of(state: DurableState, rank: int, told: int, params: Mapping[str, Any]) -> set[int]:
    """Every checkpoint that one rank may come to that was told *told*, others being told otherwise."""
    checksum = bool(params.get("checksum", True))
    if told == TORN:
        return {_STOPS if checksum else TORN}
    if told == 0:
        if params.get("missing", "refuse") == "restart":
            return {0}
        may_be_empty, may_exist = state.exists(rank)
        return ({0} if may_be_empty else set()) | ({_STOPS} if may_exist else set())
    return _ends(state, rank, _chain(state, told, params), checksum)


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
    return _together(ends, state.shards)


def _together(ends: Sequence[set[int]], ranks: int, apart: str = MIXED) -> set[Handed]:
    """What the job makes of *ranks* ranks that end independently, each at one of its possible ends.

    *apart*: what it is where they end at different checkpoints.
    """
    handed = set()
    if any(_STOPS in found for found in ends):
        handed.add(Handed(REFUSED))
    if all(found - {_STOPS} for found in ends) and any(TORN in found for found in ends):
        handed.add(Handed(CORRUPT))
    if not ends:
        return {Handed(WHOLE, 0)}
    epochs = [{end for end in found if end >= 0} for found in ends]
    handed |= {Handed(WHOLE, epoch) for epoch in set.intersection(*epochs)}
    if ranks > 1 and all(epochs) and len(set.union(*epochs)) > 1:
        handed.add(Handed(apart))
    return handed


def rules_ask_each_shard(rule: str, params: Mapping[str, Any]) -> bool:
    """Whether this rule looks at shards one by one, so that `DurableState.changed` does not tell when to ask again."""
    if rule == "in_place":
        return bool(params.get("slots", "in_place") != "in_place")
    return bool(params.get("recover_by", "coordinator") == "each_rank")


def rules_check(rule: str, params: Mapping[str, Any]) -> bool:
    """Whether this rule looks only for whole copies of the checkpoint it wants, wherever they are."""
    return rule == "manifest" and bool(params.get("checksum", True))


RULES: dict[str, Rule] = {"in_place": in_place, "manifest": manifest}

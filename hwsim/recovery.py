"""Durable state: what a restart finds once a crash has taken its places away, as recovery rules ask about it.

Checkpoint 0 is the initial state, which is always re-creatable: a shard that holds nothing holds checkpoint 0.

A checkpoint's *number* is what its files say it is.  Two attempts at one training step carry the same number and
are two checkpoints all the same; where nothing else is said the number is the checkpoint's own.

Not modelled: clients that see shards late (every rank reads what it wrote itself).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import NamedTuple

from hwsim.contents import NOTHING, NOTHING_FOR_SURE, TORN, Contents
from hwsim.outcomes import CORRUPT, MIXED, WHOLE, Handed
from hwsim.trace import Part

Pattern = frozenset[tuple[int, str, Contents]]  # (copy, slot, what it may hold) of one shard; absent: surely nothing

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
    together might notice (`rules.asks_each_shard` tells which rules ask more); whoever asks may reset it.
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
        self._records: dict[int, dict[str, Contents]] = {}  # part -> slot -> contents, where not surely nothing
        self._patterns: dict[Pattern, int] | None = None  # kept from the first question about them on
        self._pattern_of: list[Pattern] = []
        self.touched: set[str] = set()  # records that changed; whoever asks may empty it
        self.numbers_said: dict[int, int] = {}  # checkpoint -> its number, where that is not its own
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
            entries = self._records.setdefault(index, {})
            if contents == NOTHING_FOR_SURE:
                entries.pop(slot, None)
            else:
                entries[slot] = contents
            self.touched.add(part.partition(".copy")[0])
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
        if self._patterns is not None:
            self._repattern(self._patterns, shard, self._copies[shard].index(index), slot, old, contents)
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
            contents = self._records.get(index, {}).get(IN_PLACE_SLOT, NOTHING_FOR_SURE)
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

    def newest_record(self, names: Iterable[str], slot: str | None = None) -> Contents:
        """What the newest whole entry may say of all copies of these records, under *slot* or under any.

        Each entry carries a checksum; where none is whole: TORN if some entry is there, else NOTHING.
        """
        members: set[int] = set()
        assured = NOTHING
        may_be_absent = True
        for name in names:
            for index in self._record_copies.get(name, ()):
                entries = self._records.get(index, {})
                for contents in entries.values() if slot is None else (entries.get(slot, NOTHING_FOR_SURE),):
                    members |= contents
                    assured = max(assured, min(contents))
                    may_be_absent &= NOTHING in contents
        found = {member for member in members if member >= max(assured, 0)}
        if assured < 0:
            found |= ({NOTHING} if may_be_absent else set()) | (members & {TORN})
        return frozenset(found)

    def number_of(self, epoch: int) -> int:
        """What the files of a checkpoint say its number is."""
        return self.numbers_said.get(epoch, epoch)

    def number(self, epoch: int, number: int) -> None:
        """From now on the files of checkpoint *epoch* say that it is *number*."""
        if number != epoch:
            self.numbers_said[epoch] = number
            self.changed = True

    def patterns(self) -> Mapping[Pattern, int]:
        """How many shards there are of each pattern of entries; each of them resolves its doubts by itself.

        Exact answers about all ranks together so cost what there are patterns, not ranks.
        """
        if self._patterns is None:
            entries: list[set[tuple[int, str, Contents]]] = [set() for _ in self._ranks]
            for slot, found in self._slots.items():
                for index, contents in found.held.items():
                    shard = self._shard_of[index]
                    entries[shard].add((self._copies[shard].index(index), slot, contents))
            self._pattern_of = [frozenset(own) for own in entries]
            self._patterns = {}
            for shard, pattern in enumerate(self._pattern_of):
                self._patterns[pattern] = self._patterns.get(pattern, 0) + self._weights[shard]
        return self._patterns

    def _repattern(
        self, patterns: dict[Pattern, int], shard: int, copy: int, slot: str, old: Contents, new: Contents
    ) -> None:
        weight, before = self._weights[shard], self._pattern_of[shard]
        after = before - {(copy, slot, old)}
        if new != NOTHING_FOR_SURE:
            after |= {(copy, slot, new)}
        self._pattern_of[shard] = after
        left = patterns[before] - weight
        if left:
            patterns[before] = left
        else:
            del patterns[before]
        patterns[after] = patterns.get(after, 0) + weight
        self.changed = True

    def held_by_all(self) -> int:
        """The newest checkpoint of which every shard surely has a whole copy; 0 where there is none."""
        return max(
            (
                member
                for found in self._slots.values()
                for member, count in found.any_sure.items()
                if member > 0 and count == self.shards
            ),
            default=0,
        )

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

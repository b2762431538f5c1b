"""States as digests: two states with one digest go on alike, up to what chance does next.

A place's content counts as the set that it is.  What protocols keep is their own to say (`Protocol.kept`); one that
says nothing is taken whole, by its attributes.

Not modelled: the states of random streams (equal states may draw differently from here on), and how far a
drive's cache has drained (it changes when things happen, not what).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from hashlib import blake2b
from typing import Any

from hwsim.contents import Contents, encode
from hwsim.domain import PersistenceDomain, World
from hwsim.protocol import Job, Node, Placed, Protocol
from hwsim.recovery import DurableState
from hwsim.tracking import Tracked

_ATOMS = (str, int, float, bool, bytes, type(None))


def plain(protocol: Protocol) -> str:
    """What of a protocol's state outlives its processes, as text."""
    kept = protocol.kept()
    if kept is not None:
        return repr(kept)
    return _text({key: value for key, value in vars(protocol).items() if key not in ("job", "world", "params")}, 0)


def _text(value: Any, depth: int) -> str:
    """Plain data of any kind as text that does not depend on where it lies in memory."""
    if isinstance(value, _ATOMS):
        return repr(value)
    if isinstance(value, Mapping):
        inside = sorted(f"{_text(key, depth + 1)}:{_text(held, depth + 1)}" for key, held in value.items())
        return "{" + ",".join(inside) + "}"
    if isinstance(value, set | frozenset):
        return "{" + ",".join(sorted(_text(held, depth + 1) for held in value)) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(_text(held, depth + 1) for held in value) + "]"
    if isinstance(value, Placed | Node | PersistenceDomain):
        return f"<{value.name}>"
    if callable(value) or isinstance(value, Job | World | Tracked) or depth > 6:
        return f"<{type(value).__name__}>"
    if type(value).__module__.startswith("hwsim.") and hasattr(value, "__dict__"):
        inner = {key: held for key, held in vars(value).items() if not isinstance(held, Job | World | Tracked)}
        return type(value).__name__ + _text(inner, depth + 1)
    return f"<{type(value).__name__}>"


@lru_cache(maxsize=1 << 18)
def token(part: str, slot: str, place: str, may: str, doubted: bool) -> int:
    """The number of one entry: the exclusive or of all entries' numbers stands for the whole (Zobrist 1970)."""
    text = "\x1f".join((part, slot, place, may, "?" if doubted else ""))
    return int.from_bytes(blake2b(text.encode(), digest_size=16).digest(), "big")


def digest(*what: object) -> str:
    """One digest of plain values."""
    return blake2b(repr(what).encode(), digest_size=16).hexdigest()


def surviving(world: World, takes: frozenset[str]) -> int:
    """The number of all that places hold and a strike that takes *takes* leaves."""
    needs, doubts = world.needs, world.doubts
    total = 0
    for (part, slot), entry in world.holdings.entries().items():
        for place, contents in entry.items():
            if not needs[place] & takes:
                doubted = place in doubts and bool(doubts[place] & takes)
                total ^= token(part, slot, place, encode(contents), doubted)
    return total


class Found:
    """What recovery would find at the present point of a run, kept current by the entries that changed."""

    def __init__(self, job: Job) -> None:
        self._job = job
        self._world = job.world
        self._state = DurableState(job.trace_parts)
        self._shards = frozenset(part.name for part in job.trace_parts if part.shard >= 0)
        self._changed: dict[tuple[str, str], None] = {}
        self._numbers: dict[tuple[str, str], int] = {}  # (part, slot) -> the number of what its places hold
        self._totals: dict[tuple[bool, str], int] = {}  # (of shards, slot) -> the number of all that lies there

    def changed(self, part: str, slot: str) -> None:
        """Something under (*part*, *slot*) is different now."""
        self._changed[part, slot] = None

    def state(self) -> DurableState:
        """What a reader finds now.  Whoever changes the state itself says so by `changed`."""
        holdings = self._world.holdings
        entries = holdings.entries()
        for part, slot in self._changed:
            entry = entries.get((part, slot), {})
            self._state.set(part, slot, holdings.read(part, slot) if entry else None)
            number = 0
            for place, contents in entry.items():
                number ^= token(part, slot, place, encode(contents), False)
            group = (part in self._shards, slot)
            self._totals[group] = self._totals.get(group, 0) ^ self._numbers.get((part, slot), 0) ^ number
            self._numbers[part, slot] = number
        self._changed.clear()
        for epoch, said in self._job.numbers.items():
            self._state.number(epoch, said)
        return self._state

    def number(self, unsettled: Mapping[tuple[str, str], Contents], deletes: Callable[[str], bool] | None) -> int:
        """The number of all that places hold, entries that chance has settled counted as the sets that they were.

        *deletes*: slots of which the shards do not count.
        """
        self.state()
        gone = {slot for of_shards, slot in self._totals if of_shards and deletes is not None and deletes(slot)}
        total = 0
        for (of_shards, slot), number in self._totals.items():
            if not (of_shards and slot in gone):
                total ^= number
        for (part, slot), open_ in unsettled.items():
            if not (part in self._shards and slot in gone):
                total ^= self._numbers.get((part, slot), 0) ^ token(part, slot, "*", encode(open_), False)
        return total

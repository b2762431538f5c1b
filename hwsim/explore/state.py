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


def held(
    world: World, unsettled: Mapping[tuple[str, str], Contents], without: Callable[[str, str], bool] | None = None
) -> int:
    """The number of all that places hold, entries that chance has settled counted as the sets that they were.

    *without*: entries (part, slot) that do not count.
    """
    total = 0
    for (part, slot), entry in world.holdings.entries().items():
        if without is not None and without(part, slot):
            continue
        open_ = unsettled.get((part, slot))
        if open_ is not None:
            total ^= token(part, slot, "*", encode(open_), False)
            continue
        for place, contents in entry.items():
            total ^= token(part, slot, place, encode(contents), False)
    for (part, slot), open_ in unsettled.items():
        if (part, slot) not in world.holdings.entries() and not (without is not None and without(part, slot)):
            total ^= token(part, slot, "*", encode(open_), False)
    return total

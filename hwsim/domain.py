"""Persistence domains: what fails on its own, what it holds, and what a crash takes from it.

The crash model is one rule.  Every *place* where bytes can lie names the tokens it needs to keep
them (`node0/nvme:power`); every crash takes a set of tokens; a place that needs a taken token
loses its content, and a reader then finds what the next place below holds.  Devices state what
their places need and what a crash of theirs takes, from what the standards say; what survives
which crash follows, and no table of it exists outside the tests.  A place may also *doubt* tokens: once
one of them is taken, a reader finds its content or what lies below, and nobody can say which.

Not modelled: a crash in the middle of another crash's settling (a strike is atomic in time);
silent corruption of resting bytes.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Container, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Protocol

from hwsim.contents import NOTHING, TORN, TORN_FOR_SURE, Contents, encode, surely, uppermost, whole
from hwsim.flow import IOFailed as IOFailed  # noqa: PLC0414  # devices and protocols know both from here
from hwsim.flow import IOLost as IOLost  # noqa: PLC0414
from hwsim.streams import stream
from hwsim.trace import Row

if TYPE_CHECKING:
    import simpy
    from pydantic import BaseModel

    from hwsim.flow import FlowNetwork, Pipe


class World:
    """What every live part shares: the clock, the trace's rows, the random streams, the flows and the holdings.

    `params_of` devices are given as objects whose fields are read where they are used, so that a
    key nothing read can be named at the end.
    """

    def __init__(self, env: simpy.Environment, rows: list[Row], seed: int, flows: FlowNetwork) -> None:
        self.env = env
        self.rows = rows
        self.seed = seed
        self.flows = flows
        self.needs: dict[str, frozenset[str]] = {}  # place -> tokens
        self.doubts: dict[str, frozenset[str]] = {}  # place -> tokens whose loss leaves it unsure; most have none
        self.holdings = Holdings(self)
        self.domains: dict[str, PersistenceDomain] = {}
        self.shared: dict[type, Any] = {}  # what the domains of one kind have in common, by its class

    def stream(self, *name: str | int) -> random.Random:
        """The random stream of a part of the model, by its name."""
        return stream(self.seed, *name)

    def record(
        self,
        event: str,
        subject: str,
        *,
        place: str | None = None,
        part: str | None = None,
        slot: str | None = None,
        epoch: int | None = None,
        may: str | None = None,
        size_bytes: int | None = None,
        peer: str | None = None,
        detail: str | None = None,
    ) -> None:
        """Append one row at the present time."""
        now: int = self.env.now  # type: ignore[assignment]  # SimPy would admit a float, we never schedule one
        self.rows.append((now, event, subject, place, part, slot, epoch, may, size_bytes, peer, detail))


class Chooser(Protocol):
    """Says which of several possibilities it is: chance (a `random.Random`), or a search that tries them all."""

    def choice(self, options: list[int], /) -> int:
        """One of *options*, which are not empty."""


class Holdings:
    """What every place holds under every key, with each part's stack of places (topmost first)."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.stacks: dict[str, tuple[str, ...]] = {}  # part -> places, topmost first
        self.on_strike: list[Callable[[frozenset[str]], None]] = []  # told what a strike took, once all is settled
        self.taken: frozenset[str] = frozenset()  # what the last strike took: devices stop after it, one by one
        self._entries: dict[tuple[str, str], dict[str, Contents]] = {}  # (part, slot) -> place -> contents

    def put(self, event: str, subject: str, place: str, part: str, slot: str, contents: Contents | None,
            *, epoch: int | None = None, size_bytes: int | None = None) -> None:
        """Set what *place* holds under (*part*, *slot*); None: no entry, so that a reader asks the place below."""
        entry = self._entries.setdefault((part, slot), {})
        if contents is None:
            entry.pop(place, None)
            if not entry:
                del self._entries[part, slot]
        else:
            entry[place] = contents
        self._world.record(event, subject, place=place, part=part, slot=slot, epoch=epoch,
                           may=None if contents is None else encode(contents), size_bytes=size_bytes)

    def persist_newer(self, subject: str, place: str, part: str, slot: str, epoch: int) -> None:
        """`put` checkpoint *epoch*, whole and durable at one instant, unless *place* holds a newer one.

        The innermost loop of runs with thousands of domains, so it takes no detours.
        """
        entry = self._entries.get((part, slot))
        if entry is None:
            entry = self._entries[part, slot] = {}
        elif place in entry and max(entry[place]) >= epoch:
            return
        entry[place] = whole(epoch)
        world = self._world
        now: int = world.env._now  # type: ignore[assignment]
        world.rows.append((now, "persisted", subject, place, part, slot, epoch, str(epoch), None, None, None))

    def read(self, part: str, slot: str) -> Contents:
        """What a reader finds now under (*part*, *slot*)."""
        entry = self._entries.get((part, slot), {})
        for place in self.stacks[part]:
            if place in entry:
                return entry[place]
        return frozenset((NOTHING,))

    def at(self, place: str, part: str, slot: str) -> Contents | None:
        """What *place* itself holds under (*part*, *slot*), or None."""
        return self._entries.get((part, slot), {}).get(place)

    def exists(self, part: str, slot: str) -> bool:
        """Whether any place holds anything under (*part*, *slot*)."""
        return (part, slot) in self._entries

    def slots(self, part: str) -> dict[str, Contents]:
        """Every slot of *part* that any place holds, with what a reader finds there."""
        return {slot: self.read(part, slot) for name, slot in self._entries if name == part}

    def found(self) -> dict[tuple[str, str], Contents]:
        """Everything that any place holds, as a reader finds it: (part, slot) -> contents."""
        return {(part, slot): self.read(part, slot) for part, slot in self._entries}

    def erase(self, subject: str, part: str, slot: str) -> None:
        """Remove (*part*, *slot*) from every place (a delete that is durable at once), and from what is on its way."""
        for place in list(self._entries.get((part, slot), ())):
            self.put("erased", subject, place, part, slot, None)
        domains = self._world.domains
        for place in self.stacks[part]:
            device = domains.get(place.partition(":")[0])
            if device is not None:
                device.forget(part, slot)

    def truncate(self, subject: str, part: str, slot: str, epoch: int) -> None:
        """Empty (*part*, *slot*) before it is written again: what lies there is no checkpoint, durably at once."""
        if self.exists(part, slot):
            self.erase(subject, part, slot)
            self.put("torn", subject, self.stacks[part][-1], part, slot, TORN_FOR_SURE, epoch=epoch, size_bytes=0)

    def entries(self) -> Mapping[tuple[str, str], Mapping[str, Contents]]:
        """What every place itself holds: (part, slot) -> place -> contents.  A view, not a copy."""
        return self._entries

    def strike(self, takes: frozenset[str], draw: Chooser) -> None:
        """Take the tokens away: places that need one lose their entries, and what is then on top is settled.

        What lies in a place that doubts one is settled too: with what lies below, it is one of several possibilities.
        """
        self.taken = takes
        dead = {place for place, needs in self._world.needs.items() if needs & takes}
        doubted = {place for place, doubts in self._world.doubts.items() if doubts & takes} - dead
        for (part, slot), entry in list(self._entries.items()):
            gone = dead & entry.keys()
            if not gone and doubted.isdisjoint(entry):
                continue
            for place in sorted(gone):
                self.put("lost", place.partition(":")[0], place, part, slot, None)
            self.settle(part, slot, draw, doubted)
        for notify in self.on_strike:
            notify(takes)

    def settle(self, part: str, slot: str, draw: Chooser, doubted: Container[str] = ()) -> None:
        """Nothing more is on its way to the topmost place: draw what a reader really finds, if unsure.

        Where nothing exists on top, nothing exists below; what else lower places may hold is for their devices to say.
        """
        entry = self._entries.get((part, slot))
        if not entry:
            return
        stack = self.stacks[part]
        found = uppermost(entry, stack, doubted)
        assert found is not None
        if surely(found) is not None:
            return
        outcome = draw.choice(sorted(found))
        if outcome == NOTHING:
            for place in [place for place in stack if place in entry]:
                self.put("erased", place.partition(":")[0], place, part, slot, None)
            return
        on_top = next(place for place in stack if place in entry)
        event = "torn" if outcome == TORN else "persisted" if on_top == stack[-1] else "completed"
        self.put(event, on_top.partition(":")[0], on_top, part, slot, whole(outcome),
                 epoch=outcome if outcome >= 0 else None)


class Operation(Protocol):
    """A write, flush or copy under way.

    `done` succeeds when the operation is acknowledged, and fails with `IOLost` when its device crashed or
    it was cancelled, with `IOFailed` when the device lives and answered with an error.  (A failed `done` nobody
    waits for must be defused by whoever made it.)
    """

    done: simpy.Event

    def cancel(self) -> None:
        """Tear down: commands already fetched finish, the rest is never sent; contents are settled; `done` fails."""


class Store(Protocol):
    """A device that can hold parts: what protocols write to."""

    def stack_for(self, into: str) -> tuple[str, ...]:
        """The places, topmost first, of a part that is stored `into` media, page_cache, tmpfs or dram here."""

    def write(self, part: str, slot: str, epoch: int, size_bytes: int, *, pipes: Sequence[Pipe], sync: str, into: str,
              owner: str = "") -> Operation:
        """Write checkpoint *epoch* of *part* under *slot*, its bytes coming through *pipes*; done once *sync* holds.

        *owner*: the host whose process writes, for remote writers.
        """


class Failing:
    """What a fault makes of a device's operations while it lasts: they fail with `errno`, all or only `left` more."""

    __slots__ = ("errno", "left")

    def __init__(self, errno: str, left: int | None = None) -> None:
        self.errno = errno
        self.left = left


class PersistenceDomain:
    """A device: one thing that crashes on its own.

    A subclass is one file, `class X(PersistenceDomain, kind="x")`, with its frozen `Params` and with
    `CRASHES`: crash kind -> the aspects of itself that the crash takes.  The token of an aspect is
    `NAME:ASPECT`.
    """

    Params: ClassVar[type[BaseModel]]
    CRASHES: ClassVar[Mapping[str, frozenset[str]]] = {}
    kind: ClassVar[str] = ""
    registry: ClassVar[dict[str, type[PersistenceDomain]]] = {}
    forwarding_delay: int = 0  # how long (ps) a message takes through it, onto a link or off it

    def __init_subclass__(cls, kind: str = "", **rest: Any) -> None:
        super().__init_subclass__(**rest)
        if kind:
            if kind in PersistenceDomain.registry:
                raise AssertionError(f"two device kinds are named {kind!r}")
            cls.kind = kind
            PersistenceDomain.registry[kind] = cls

    def __init__(
        self, world: World, name: str, params: Any, *, node: str | None = None, host: str | None = None
    ) -> None:
        self.world = world
        self.env = world.env
        self.name = name
        self.params = params
        self.node = node  # the node it sits in
        self.host = host  # the host device of that node; its own name for a host; None outside nodes
        self.up = True
        self.failing: list[Failing] = []  # faults that last
        self.on_fail: list[Callable[[], None]] = []  # called when a fault makes its operations fail from now on
        self.on_stop: list[Callable[[str], None]] = []  # called with the crash kind when this domain stops
        self.on_restore: list[Callable[[], None]] = []  # called when this domain serves again
        world.domains[name] = self

    def token(self, aspect: str) -> str:
        """The token of one aspect of this domain."""
        return f"{self.name}:{aspect}"

    def add_place(self, name: str, needs: Iterable[str], doubts: Iterable[str] = ()) -> str:
        """Declare a place of this domain and the tokens (aspects of its own, or whole tokens) that it needs.

        *doubts*: tokens whose loss leaves it unsure whether its content is still there.
        """
        place = f"{self.name}:{name}"
        self.world.needs[place] = frozenset(need if ":" in need else self.token(need) for need in needs)
        unsure = frozenset(doubt if ":" in doubt else self.token(doubt) for doubt in doubts)
        if unsure:
            self.world.doubts[place] = unsure
        return place

    def change_needs(self, place: str, needs: Iterable[str]) -> None:
        """From now on *place* needs these tokens instead (capacitors died, a cache was switched off)."""
        tokens = frozenset(need if ":" in need else self.token(need) for need in needs)
        self.world.needs[place] = tokens
        self.world.record("dependence_changed", self.name, place=None, peer=place, detail=json.dumps(sorted(tokens)))

    def takes(self, crash_kind: str) -> frozenset[str]:
        """The tokens that a crash of this kind takes from this domain; empty where it cannot strike it."""
        return frozenset(self.token(aspect) for aspect in self.CRASHES.get(crash_kind, ()))

    def crossed(self, *, outward: bool) -> tuple[Pipe, ...]:
        """The pipes of its own that traffic crosses on its way onto a link (*outward*) or off one."""
        return ()

    def stop(self, crash_kind: str) -> None:
        """The crash struck: abort what is under way (contents are settled already) and stop serving."""
        self.up = False
        self.world.record("stopped", self.name, detail=crash_kind)
        for notify in list(self.on_stop):
            notify(crash_kind)

    def forget(self, part: str, slot: str) -> None:
        """(*part*, *slot*) was deleted: nothing that is under way for it may bring it back."""

    def fail(self, failing: Failing) -> None:
        """From now on operations fail as *failing* says, until `relent`; only a device that takes such a fault is told.

        A device that lets operations fail which are under way already does so here.
        """
        self.failing.append(failing)
        for notify in list(self.on_fail):
            notify()

    def relent(self, failing: Failing) -> None:
        """The fault is over."""
        self.failing.remove(failing)

    def errno(self, *errnos: str) -> str | None:
        """With which of *errnos* the operation that asks fails, or None; one operation asks once, for it is counted."""
        for failing in self.failing:
            if failing.errno in errnos and failing.left != 0:
                if failing.left is not None:
                    failing.left -= 1
                return failing.errno
        return None

    def failed(
        self, errno: str, part: str | None = None, slot: str | None = None, epoch: int | None = None,
        *, during: str = "write",
    ) -> IOFailed:  # fmt: skip
        """Record that an operation failed; what its `done` fails with."""
        self.world.record("failed", self.name, part=part, slot=slot, epoch=epoch, peer=during, detail=errno)
        return IOFailed(errno, during)

    def allocate(self, part: str, slot: str, size_bytes: int) -> str | None:
        """Take the room that a write needs as it begins; the errno where there is none, and nothing may be written."""
        return self.errno("ENOSPC", "EDQUOT")

    def renamed(self, part: str, slot: str, to: str) -> None:
        """A file has another name from now on."""

    def slow_down(self, times: float) -> None:
        """From now on answer *times* as late as before; only a device that takes `slow` is asked."""
        raise NotImplementedError

    def throttle(self, factor: float) -> None:
        """From now on carry *factor* of what it carried; only a device that takes `throttled` is asked."""
        raise NotImplementedError

    def residue(self) -> object:
        """What of its state outlives a torn-down job beside what its places hold, as plain data."""
        return tuple((failing.errno, failing.left) for failing in self.failing)

    def restore_time(self, crash_kind: str) -> int | None:
        """How long (ps) this domain needs to serve again after such a crash by itself; None: never by itself."""
        return None

    def restore(self) -> None:
        """Serve again."""
        self.up = True
        self.world.record("restored", self.name)
        for notify in list(self.on_restore):
            notify()

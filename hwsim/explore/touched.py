"""Which devices the events of a run touch: what a strike of any other device cannot have had to do with.

An event and a strike that have no device in common may change places: both ways lead to one state.  What an event
touches is watched, not guessed: every attribute of a device or of a line that it reads or sets, every entry of a place
that it reads or writes (by the devices whose aspects the place needs), every operation that it begins or ends (by the
devices without which that cannot go on), and every process that it asks to be alive.  What touches the job as a whole,
or moves the rates of flows that share pipes, counts as touching everything.

A strike touches what it stops, the drives in the node of a host that it stops (its kernel sends their commands), and
the operations that it ends: each has its own part, and leaves what a Flush of a cache that can be lost would cover.

Source: independent transitions and persistent sets: Godefroid, Partial-Order Methods for the Verification of Concurrent
Systems, LNCS 1032, 1996; found as the program runs: Flanagan and Godefroid, Dynamic Partial-Order Reduction for Model
Checking Software, POPL 2005.

Not modelled: aspects of a device (two events at one drive count as touching each other, whatever they write); devices
whose own state lies in objects that are not watched (shared stores, RDMA, bilateral links): there `tells` says no.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from hwsim.contents import Contents
from hwsim.domain import Holdings, PersistenceDomain
from hwsim.link import Way
from hwsim.nvme_commands import Write

if TYPE_CHECKING:
    from hwsim.domain import World
    from hwsim.explore.targets import Target
    from hwsim.protocol import Placed
    from hwsim.simulation import Simulation
    from hwsim.trace import Row

_WATCHED = frozenset(("abstract", "gpu", "host", "nic", "nvme", "switch"))  # kinds whose state is all their own

# Callbacks that have to do with everything: rates of flows that share pipes, tanks that set what pipes carry, and the
# processes of the job.
_SHARED = frozenset(
    ("FlowNetwork._recompute", "FlowNetwork._wake", "Process._resume", "WriteCache._wake.<locals>.<lambda>")
)
_RESTORING = "Striker._at.<locals>.due"


class Stretch(NamedTuple):
    """What the events between two points touched; *shared*: they have to do with everything beside."""

    touched: frozenset[str] = frozenset()
    shared: bool = True


class UnderWay(NamedTuple):
    """Operations of a job that are under way: the devices that they cannot do without, and what their end touches."""

    uses: frozenset[str]
    ends: frozenset[str]


class Watch:
    """Notes what the events of a simulation touch, from now on.

    `tells`: whether that is all that they touch; where it is not every event touches everything.
    """

    def __init__(self, simulation: Simulation) -> None:
        self._noted: set[str] = set()
        self._shared = False
        self._before_restoring: frozenset[str] | None = None
        self._env = simulation.env
        self._world = simulation.world
        self._job = simulation.building.job
        self.tells = _tells(simulation)
        if self.tells:
            self._install(simulation)

    def _install(self, simulation: Simulation) -> None:
        noted, world, job = self._noted, self._world, self._job
        for device in world.domains.values():
            device.__class__ = _watched(type(device), ("name",), noted)
        if simulation.building.network is not None:
            for way in simulation.building.network.ways:
                way.__class__ = _watched(Way, ("sender", "receiver"), noted)
        world.holdings.__class__ = _holdings(world, noted)
        job.dead = _Asked(job.dead, noted)
        job._under_way = _Kept(job._under_way, noted)

    def before(self) -> None:
        """Look at the event that comes next."""
        names = {getattr(callback, "__qualname__", "") for callback in self._env._queue[0][3].callbacks or ()}
        self._shared |= not names.isdisjoint(_SHARED) or _RESTORING in names
        self._forget_restoring()
        if _RESTORING in names:
            self._before_restoring = frozenset(self._noted)

    def _forget_restoring(self) -> None:
        """A device that comes back to service is no notice that others take of it."""
        if self._before_restoring is not None:
            self._noted &= self._before_restoring
            self._before_restoring = None

    def of_others(self) -> frozenset[str] | None:
        """What was touched since the watch began, but by devices that only came back to service; None: who knows."""
        self._forget_restoring()
        return frozenset(self._noted) if self.tells else None

    def take(self, rows: Iterable[Row]) -> Stretch:
        """What the events since the last call touched, which left these *rows*."""
        world = self._world
        for row in rows:
            if row[2] == "job" or row[1] in ("checkpoint_begun", "epoch_committed"):
                self._shared = True
            elif row[3] is not None and row[4] is not None:
                _note_place(world, row[3], row[4], self._noted)
        made = Stretch(frozenset(self._noted), self._shared or not self.tells)
        self._shared = False
        self._noted.clear()
        return made

    def under_way(self) -> frozenset[UnderWay]:
        """What of the job is under way now."""
        uploads = self._job._uploads
        before = frozenset(self._noted)  # to look is not to touch
        ends: dict[frozenset[str], set[str]] = {}
        for operation, uses in dict.items(self._job._under_way):
            upload = uploads.get(operation)
            ends.setdefault(uses, set()).update(() if upload is None else _ends(operation, upload[0]))
        self._noted &= before
        return frozenset(UnderWay(uses, frozenset(parts)) for uses, parts in ends.items())


def _ends(operation: object, placed: Placed) -> frozenset[str]:
    """What the end of a write touches: its part, and in a cache that can be lost what a Flush would cover.

    A drive keeps what belongs to one write apart from what belongs to others; of other stores nobody has looked.
    """
    if not isinstance(operation, Write):
        return frozenset((placed.device, _part(placed.name)))
    covered = () if operation.drive.plp else (_flush(placed.device),)
    return frozenset((_part(placed.name), *covered))


def _part(name: str) -> str:
    return f"part {name}"


def _flush(drive: str) -> str:
    return f"flush of {drive}"


def _tells(simulation: Simulation) -> bool:
    """Whether all that a strike and an event may have in common is watched."""
    building, world = simulation.building, simulation.world
    return (
        all(device.kind in _WATCHED for device in world.domains.values())
        and not building.bilateral
        and not building._remotes
        and all(isinstance(placed.store, PersistenceDomain) for placed in building.job.parts)
    )


def hit_by(target: Target, world: World) -> frozenset[str]:
    """The devices that a strike stops, and those whose commands stop with it."""
    hit = target.hit(world)
    hosts = {name for name in hit if world.domains[name].host == name}
    return hit | {name for name, device in world.domains.items() if device.host in hosts}


def reach(hit: frozenset[str], under_way: Iterable[UnderWay]) -> frozenset[str]:
    """All that a strike touches that hits these devices, with so much under way."""
    return hit.union(*(operation.ends for operation in under_way if not hit.isdisjoint(operation.uses)))


def _note_place(world: World, place: str, part: str, noted: set[str]) -> None:
    noted.add(_part(part))
    for token in (*world.needs[place], *world.doubts.get(place, ())):
        noted.add(token.partition(":")[0])


def _watched(kind: type[Any], names: tuple[str, ...], noted: set[str]) -> type[Any]:
    """A class whose instances note these *names* of theirs whenever an attribute is read or set."""
    read, write = object.__getattribute__, object.__setattr__

    def getting(self: Any, attribute: str) -> Any:
        for name in names:
            noted.add(read(self, name))
        if attribute == "flush_draws":  # a Flush is sent
            noted.add(_flush(read(self, "name")))
        return read(self, attribute)

    def setting(self: Any, attribute: str, value: Any) -> None:
        for name in names:
            noted.add(read(self, name))
        write(self, attribute, value)

    return type(kind.__name__, (kind,), {"__getattribute__": getting, "__setattr__": setting})


def _holdings(world: World, noted: set[str]) -> type[Holdings]:
    """Holdings of which every entry that is read notes the devices that its places need."""

    class WatchedHoldings(Holdings):
        def _note(self, part: str) -> None:
            for place in self.stacks[part]:
                _note_place(world, place, part, noted)

        def read(self, part: str, slot: str) -> Contents:
            self._note(part)
            return super().read(part, slot)

        def at(self, place: str, part: str, slot: str) -> Contents | None:
            _note_place(world, place, part, noted)
            return super().at(place, part, slot)

        def exists(self, part: str, slot: str) -> bool:
            self._note(part)
            return super().exists(part, slot)

    return WatchedHoldings


class _Asked(set[str]):
    """The hosts whose processes are dead, noting who is looked for among them."""

    def __init__(self, dead: Iterable[str], noted: set[str]) -> None:
        super().__init__(dead)
        self._noted = noted

    def __contains__(self, host: object) -> bool:
        assert isinstance(host, str)
        self._noted.add(host)
        return super().__contains__(host)


class _Kept(dict[Any, frozenset[str]]):
    """Operations under way, noting what those need that begin and end."""

    def __init__(self, under_way: Mapping[Any, frozenset[str]], noted: set[str]) -> None:
        super().__init__(under_way)
        self._noted = noted

    def __setitem__(self, operation: Any, uses: frozenset[str]) -> None:
        self._noted.update(uses)
        super().__setitem__(operation, uses)

    def pop(self, operation: Any, *default: Any) -> Any:
        self._noted.update(self.get(operation, ()))
        return super().pop(operation, *default)

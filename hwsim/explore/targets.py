"""What a crash may strike: every device by every crash that it takes, every node and failure domain, and everything.

Power is lost everywhere; the resets, and crashes of processes and kernels, strike where a device takes them.  The
loss of media joins where a what-if of the topology asks about it: nothing on one drive outlives that, and nobody
needs a search to know.

Not modelled: sets of devices that no node, failure domain or what-if names.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, NamedTuple

from hwsim.faults import Fault
from hwsim.strikes import expanded, taken

if TYPE_CHECKING:
    from hwsim.domain import PersistenceDomain, World
    from hwsim.topology.spec import FaultSpec, Topology

POWER = "power_loss"
EVERYTHING = "everything"
_ASKED_ONLY = frozenset(("media_loss",))  # strike only where a what-if asks


class Target(NamedTuple):
    """One strike: its crash kind, what the user calls what it hits, and those devices."""

    kind: str
    label: str
    devices: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.kind} of {self.label}"

    def takes(self, world: World) -> frozenset[str]:
        """Every token that it takes."""
        return taken(self.kind, self.devices, world.domains)

    def hit(self, world: World) -> frozenset[str]:
        """Every device that it stops, also those that a kernel crash resets."""
        return frozenset(device.name for device, _ in expanded(self.kind, self.devices, world.domains))

    def stops_job(self, world: World, participants: frozenset[str]) -> bool:
        """Whether the job stops and recovers; else it rides through."""
        return Fault.registry[self.kind].stops_job and not participants.isdisjoint(self.hit(world))

    def back_after_ps(self, world: World, outage_ps: int) -> tuple[int, ...]:
        """When each of the devices that it stops serves again, from the strike on (ps)."""
        own = {
            device.name: device.restore_time(crash)
            for device, crash in expanded(self.kind, self.devices, world.domains)
        }
        if self._has_own_time(world):
            least = max((own[name] or 0 for name in self.devices), default=0)
            stopped = {name: own[name] for name in self.devices}
        else:
            least = outage_ps
            stopped = dict.fromkeys(self.devices, outage_ps)
        with_them = {name: max(takes or 0, least) for name, takes in own.items() if name not in stopped}
        return tuple(takes for takes in (*stopped.values(), *with_them.values()) if takes is not None)

    def _has_own_time(self, world: World) -> bool:
        own = all(world.domains[name].restore_time(self.kind) is not None for name in self.devices)
        return own or self.kind == "process_crash"

    def fault(self, world: World, outage_ps: int) -> FaultSpec:
        """It as a fault: what has a time of its own to come back takes that, anything else *outage_ps*."""
        from hwsim.topology.spec import FaultSpec

        return FaultSpec(
            name=f"{self.kind} {self.label}", kind=self.kind, targets=(self.devices,), target_names=(self.label,),
            restore_after_ps=None if self._has_own_time(world) else outage_ps,
        )  # fmt: skip


def targets_of(topology: Topology, domains: Mapping[str, PersistenceDomain]) -> tuple[Target, ...]:
    """Every target, everything first; one for each crash kind and set of devices."""
    found: dict[tuple[str, frozenset[str]], Target] = {}
    for target in _all(topology, domains):
        if target.devices:
            found.setdefault((target.kind, frozenset(target.devices)), target)
    return tuple(found.values())


def _all(topology: Topology, domains: Mapping[str, PersistenceDomain]) -> Iterator[Target]:
    def able(names: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(name for name in names if POWER in domains[name].CRASHES)

    yield Target(POWER, EVERYTHING, able(tuple(domains)))
    for name, members in topology.failure_domains.items():
        yield Target(POWER, name, able(members))
    for node in topology.nodes:
        yield Target(POWER, node.name, able(node.devices))
    for name, device in domains.items():
        for kind, aspects in device.CRASHES.items():
            if aspects and kind not in _ASKED_ONLY:
                yield Target(kind, name, (name,))
    for asked in topology.what_if:
        for label, devices in asked.strikes:
            yield Target(asked.kind, label, devices)

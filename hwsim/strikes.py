"""When faults strike, what each strike takes, and when its targets come back.

A strike is one instant: the row `struck`, the tokens of all targets at once, then every device stops, then
the job learns of it.  A target stays down until the last outage that holds it is over; one without
an end holds it for good.

Times: `at` once, `every` at its multiples, `mtbf` anew from each restoration (exponential or
Weibull, so a broken device does not age), `total` a Poisson process whose target is drawn.

Not modelled: faults that depend on load or temperature.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from hwsim.domain import Failing
from hwsim.faults import Fault, KernelCrash, NicReset, PowerLoss, Slow, Throttled

if TYPE_CHECKING:
    from hwsim.domain import Chooser, PersistenceDomain, World
    from hwsim.network import Network
    from hwsim.topology.spec import FaultSpec
    from hwsim.workloads import Workload


def expanded(
    kind: str, targets: Sequence[str], domains: Mapping[str, PersistenceDomain]
) -> list[tuple[PersistenceDomain, str]]:
    """Which devices a strike hits, and by which crash kind each: a kernel crash resets its node's other devices."""
    hits: dict[str, str] = {}
    for name in targets:
        device = domains.get(name)
        if device is None:  # a link: what it carries is not kept
            continue
        hits[name] = kind
        if kind == KernelCrash.kind:
            for other in domains.values():
                if other.node is not None and other.node == device.node and other.name not in targets:
                    for reset in KernelCrash.RESETS:
                        if reset in other.CRASHES:
                            hits[other.name] = reset
    return [(domains[name], crash) for name, crash in hits.items()]


def taken(kind: str, targets: Sequence[str], domains: Mapping[str, PersistenceDomain]) -> frozenset[str]:
    """Every token that such a strike takes."""
    return frozenset().union(*(device.takes(crash) for device, crash in expanded(kind, targets, domains)))


class Striker:
    """Lets the faults of a topology strike a running simulation."""

    def __init__(self, world: World, network: Network | None, workload: Workload, horizon_ps: int) -> None:
        self.world = world
        self.env = world.env
        self.network = network
        self.workload = workload
        self.horizon_ps = horizon_ps
        self.struck: dict[str, int] = {}  # fault -> strikes
        self._outages: dict[str, int] = {}  # target -> outages that hold it down
        self._pauses: dict[str, int] = {}  # NIC -> live patches that hold its data back
        self.draw: Chooser = world.stream("strikes")  # settles what a strike leaves in doubt

    def schedule(self, fault: FaultSpec) -> None:
        """Let *fault* strike at its times."""
        self.struck[fault.name] = 0
        stream = self.world.stream("fault", fault.name)
        if fault.at_ps is not None:
            for index in range(len(fault.targets)):
                self._at(fault.at_ps, lambda index=index: self.strike(fault, index))  # type: ignore[misc]
        elif fault.every_ps is not None:
            for index in range(len(fault.targets)):
                self._periodic(fault, index, fault.every_ps)
        elif fault.mtbf_ps is not None:
            for index, name in enumerate(fault.target_names):
                self._renewing(fault, index, self.world.stream("fault", fault.name, name).random)
        elif fault.total_mean_ps is not None:
            self._poisson(fault, fault.total_mean_ps, stream.random)

    def _at(self, time_ps: int, action: Callable[[], object]) -> None:
        if time_ps <= self.horizon_ps:

            def due(_: object) -> None:
                action()

            self.env.timeout(time_ps - int(self.env.now)).callbacks.append(due)

    def _periodic(self, fault: FaultSpec, index: int, every_ps: int) -> None:
        def due() -> None:
            self.strike(fault, index)
            self._at(int(self.env.now) + every_ps, due)

        self._at(every_ps, due)

    def _renewing(self, fault: FaultSpec, index: int, uniform: Callable[[], float]) -> None:
        assert fault.mtbf_ps is not None
        shape = fault.weibull_shape or 1.0
        scale = fault.mtbf_ps / math.gamma(1 + 1 / shape)

        def again() -> None:
            wait = scale * (-math.log1p(-uniform())) ** (1 / shape)
            if wait <= self.horizon_ps:  # a wait beyond it may not even be a number of ps
                self._at(int(self.env.now) + round(wait), lambda: self.strike(fault, index, again))

        again()

    def _poisson(self, fault: FaultSpec, mean_ps: int, uniform: Callable[[], float]) -> None:
        def again() -> None:
            wait = -mean_ps * math.log1p(-uniform())
            if wait <= self.horizon_ps:
                self._at(int(self.env.now) + round(wait), due)

        def due() -> None:
            self.strike(fault, int(uniform() * len(fault.targets)))
            again()

        again()

    def strike(self, fault: FaultSpec, index: int, restored: Callable[[], None] | None = None) -> None:
        """Strike one target (whatever fails together) now; *restored* is called once all of it is back."""
        self.struck[fault.name] += 1
        targets = fault.targets[index]
        self.world.record("struck", fault.name, peer=fault.target_names[index], detail=fault.kind)
        if Fault.registry[fault.kind].on == "link":
            self._strike_links(fault, targets, restored)
            return
        if fault.kind in (Throttled.kind, Slow.kind) or Fault.registry[fault.kind].errno is not None:
            self._impair(fault, targets, restored)
            return
        if fault.kind == NicReset.kind and fault.level == NicReset.LIVE_PATCH:
            self._live_patch(fault, targets, restored)
            return
        kind, targets = self._deepened(fault, fault.targets[index])
        hits = expanded(kind, targets, self.world.domains)
        takes = frozenset().union(*(device.takes(crash) for device, crash in hits))
        if takes:
            self.world.holdings.strike(takes, self.draw)
        for device, crash in hits:
            device.stop(crash)
        stops_job = Fault.registry[fault.kind].stops_job
        if stops_job:
            self.workload.stopped([device.name for device, _ in hits], fault.kind)
        own = {device.name: self._own_time(fault, kind, device, crash) for device, crash in hits}
        longest = max((own[name] or 0 for name in targets), default=0)
        waiting = 0

        def back(name: str) -> None:
            nonlocal waiting
            self._outages[name] -= 1
            if not self._outages[name]:
                self._restore(name)
            waiting -= 1
            if not waiting and restored is not None:
                restored()

        for device, _ in hits:
            name = device.name
            outage = own[name]
            if name in targets and fault.restore_after_ps is not None:
                outage = fault.restore_after_ps
            elif name not in targets:  # reset along with its host
                outage = max(outage or 0, fault.restore_after_ps or longest)
            if device.up and (outage is None or not stops_job):  # it serves on
                continue
            self._outages[name] = self._outages.get(name, 0) + 1
            waiting += 1
            self.workload.unavailable(name)
            if outage is not None:
                self._at(int(self.env.now) + outage, lambda name=name: back(name))  # type: ignore[misc]
        if not waiting and restored is not None:
            restored()

    def _deepened(self, fault: FaultSpec, targets: tuple[str, ...]) -> tuple[str, tuple[str, ...]]:
        """The crash kind of a strike and whom it hits: a NIC's reset may mean that its node reboots."""
        kind = NicReset.REBOOTS.get(fault.level or NicReset.USUAL) if fault.kind == NicReset.kind else None
        if kind is None:
            return fault.kind, targets
        domains = self.world.domains
        nodes = {domains[name].node for name in targets}
        hosts = tuple(name for name, device in domains.items() if device.node in nodes and device.host == name)
        whole = tuple(name for name, device in domains.items() if device.node in nodes)
        return kind, whole if kind == PowerLoss.kind else hosts

    def _own_time(self, fault: FaultSpec, kind: str, device: PersistenceDomain, crash: str) -> int | None:
        """When a device serves again by itself (ps)."""
        if fault.kind == NicReset.kind and kind == PowerLoss.kind:
            assert device.host is not None
            cold: int | None = self.world.domains[device.host].params.cold_boot_time
            return cold
        takes = device.restore_time(crash)
        if takes is not None and fault.phy_less:
            takes -= device.params.port_training
        return takes

    def _live_patch(self, fault: FaultSpec, targets: Sequence[str], restored: Callable[[], None] | None) -> None:
        assert self.network is not None
        network, left = self.network, len(targets)

        def over(name: str) -> None:
            nonlocal left
            self._pauses[name] -= 1
            if not self._pauses[name]:
                network.pause(name, paused=False)
            left -= 1
            if not left and restored is not None:
                restored()

        for name in targets:
            takes = fault.restore_after_ps or self.world.domains[name].params.live_patch_time
            self._pauses[name] = self._pauses.get(name, 0) + 1
            network.pause(name, paused=True)
            self._at(int(self.env.now) + takes, lambda name=name: over(name))  # type: ignore[misc]

    def _impair(self, fault: FaultSpec, targets: Sequence[str], restored: Callable[[], None] | None) -> None:
        """Faults under which a device serves on, until `restore_after` has passed."""
        ends: list[Callable[[], None]] = []
        for device in (self.world.domains[name] for name in targets):
            if fault.factor is not None:
                device.throttle(fault.factor)
                ends.append(partial(device.throttle, 1 / fault.factor))
            elif fault.latency is not None:
                device.slow_down(fault.latency)
                ends.append(partial(device.slow_down, 1 / fault.latency))
            else:
                errno = Fault.registry[fault.kind].errno
                assert errno is not None
                failing = Failing(errno, fault.operations)
                ends.append(partial(device.relent, failing))
                device.fail(failing)

        def over() -> None:
            for end in ends:
                end()
            if restored is not None:
                restored()

        if fault.restore_after_ps is not None:
            self._at(int(self.env.now) + fault.restore_after_ps, over)
        elif fault.operations is not None and restored is not None:  # it ends by itself, and nobody knows when
            restored()

    def _restore(self, name: str) -> None:
        device = self.world.domains[name]
        if not device.up:
            device.restore()
        self.workload.restored(name)

    def _strike_links(self, fault: FaultSpec, targets: Sequence[str], restored: Callable[[], None] | None) -> None:
        assert self.network is not None

        def back() -> None:
            assert self.network is not None
            for name in targets:
                self._outages[name] -= 1
                if not self._outages[name]:
                    self.network.bring_up(name)
            if restored is not None:
                restored()

        for name in targets:
            self._outages[name] = self._outages.get(name, 0) + 1
            if self._outages[name] == 1:
                self.network.take_down(name)
        if fault.restore_after_ps is not None:
            self._at(int(self.env.now) + fault.restore_after_ps, back)

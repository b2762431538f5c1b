"""A topology in, a trace out: the only module that knows every part.

One run is one timeline.  Crash instants are not simulated here: a crash cannot change what came before it,
so the sweep asks about every instant of this one timeline afterwards.  Faults that the topology names do
strike, and the job recovers from them, live.
"""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from hwsim.building import Building
from hwsim.domain import World
from hwsim.protocol import Protocol
from hwsim.streams import stream
from hwsim.strikes import Striker
from hwsim.trace import Header, Trace
from hwsim.tracking import Tracked, unread
from hwsim.workloads import JobWorkload, LinkWorkload, Workload

if TYPE_CHECKING:
    from pathlib import Path

    from hwsim.bilateral.channel import Observer
    from hwsim.topology.spec import Topology

_PROGRESS_STEPS = 100


def simulate(
    topology: Topology,
    repeat: int = 0,
    on_progress: Callable[[float], None] | None = None,
    *,
    observe: Observer | None = None,
    waves: Callable[[str], Path] | None = None,
) -> Trace:
    """Run timeline number *repeat* of *topology* to its horizon and return its trace.

    *on_progress* is told the share of simulated time that is done, about a hundred times; *observe* every frame of
    every bilateral link; *waves* gives a file for the waves of an end in Verilog, by its name.  Repeat 0 uses the
    topology's own seed, every other one a seed derived from it.
    """
    simulation = Simulation(topology, repeat)
    for link in simulation.building.bilateral.values():
        link.channel.observe = observe
        link.waves = waves
    return simulation.run(on_progress)


class Simulation:
    """One timeline of one topology: built, not yet run."""

    def __init__(self, topology: Topology, repeat: int = 0, protocol: type[Protocol] | None = None) -> None:
        """*protocol* takes the place of the topology's kind: a mutation of it, say."""
        import simpy

        from hwsim.flow import FlowNetwork

        self.topology = topology
        self.env = simpy.Environment()
        seed = topology.seed if repeat == 0 else stream(topology.seed, "repeat", repeat).getrandbits(63)
        rows: list[Any] = []
        self.world = World(self.env, rows, seed, FlowNetwork(self.env))
        self.building = Building(topology, self.world)
        self.protocol_params = None if topology.protocol is None else Tracked(topology.protocol)
        self.workload_params = Tracked(topology.workload)
        self.protocol: Protocol | None = None
        self.workload = self._workload(protocol)
        self.striker = Striker(self.world, self.building.network, self.workload, topology.horizon_ps)
        self.trace = Trace(self._header(repeat, seed))
        self.trace.rows = rows

    def _workload(self, protocol: type[Protocol] | None) -> Workload:
        """What the run is for: a job that takes checkpoints under a protocol, or something on bilateral links."""
        kind = Workload.registry[self.topology.workload.kind]
        if issubclass(kind, LinkWorkload):
            return kind(self.world, self.building.bilateral, self.workload_params)
        assert issubclass(kind, JobWorkload)
        job = self.building.job
        protocol = protocol or Protocol.registry[self.topology.protocol.kind]
        self.protocol = protocol(job, self.protocol_params)
        job.trace_parts = (*self.building.parts(), *self.protocol.records())
        job.participants = self.building.participants()
        return kind(job, self.protocol, self.workload_params)

    def _header(self, repeat: int, seed: int) -> Header:
        topology = self.topology
        return Header(
            topology=topology.name,
            topology_sha256=topology.sha256,
            seed=seed,
            repeat=repeat,
            horizon_ps=topology.horizon_ps,
            warm_up_ps=topology.warm_up_ps,
            places={place: tuple(sorted(needs)) for place, needs in sorted(self.world.needs.items())},
            failure_domains=dict(topology.failure_domains),
            doubts={place: tuple(sorted(doubts)) for place, doubts in sorted(self.world.doubts.items())},
            **self._of_checkpoints(),
        )

    def _of_checkpoints(self) -> dict[str, Any]:
        """What the trace's header says of checkpoints and of crashes that are asked about."""
        if self.protocol is None:
            ends = [end for link in self.building.bilateral.values() for end in (link.a, link.b)]
            return {"participants": tuple(dict.fromkeys(ends))}
        workload, job = self.topology.workload, self.building.job
        return {
            "first_ps": workload.interval if workload.first is None else workload.first,
            "interval_ps": workload.interval,
            "participants": job.participants,
            "parts": job.trace_parts,
            "rule": self.protocol.rule,
            "rule_params": self.protocol.rule_params(),
            "crashes": self.building.crashes(),
        }

    def begin(self) -> None:
        """Schedule the faults and start the workload; whoever does not `run` then steps `env` itself."""
        for fault in self.topology.faults:
            self.striker.schedule(fault)
        if self.protocol is not None:
            self.protocol.start_links()
        self.workload.start()

    def run(self, on_progress: Callable[[float], None] | None = None) -> Trace:
        """Run to the horizon, once, and fill in the trace's figures."""
        horizon = self.topology.horizon_ps
        self.begin()
        collecting = gc.isenabled()
        gc.disable()  # a run allocates no cycles worth looking for: off, large runs are up to a third faster
        try:
            for step in range(1, _PROGRESS_STEPS + 1):
                until = horizon * step // _PROGRESS_STEPS
                if until > self.env.now:
                    self.env.run(until=until)
                if on_progress is not None:
                    on_progress(step / _PROGRESS_STEPS)
        finally:
            if collecting:
                gc.enable()
        self.trace.figures.update(self._figures())
        for link in self.building.bilateral.values():
            link.close()
        return self.trace

    def _figures(self) -> dict[str, Any]:
        uses = self.world.flows.use()
        busiest = max(uses, key=lambda name: uses[name].bound_ps, default=None)
        network = self.building.network
        talks = network is not None or (self.protocol is not None and self.building.job.message_delay is not None)
        events = Counter(row[1] for row in self.trace.rows) if talks else Counter()
        return {
            "bound_by": busiest if busiest is not None and uses[busiest].bound_ps else None,
            "pipes": {
                name: {
                    "capacity_bps": use.capacity_bps,
                    "carried_bytes": use.carried_bytes,
                    "busy_s": use.busy_ps / 1e12,
                    "bound_s": use.bound_ps / 1e12,
                }
                for name, use in uses.items()
            },
            "messages": {event: events[event] for event in ("sent", "delivered", "dropped")},
            "links": {} if network is None else network.figures(),
            "warnings": self._warnings(),
        }

    def _warnings(self) -> list[str]:
        """What the user wrote and nothing read, and faults that never struck."""
        said: dict[str, list[str]] = {}
        for name, tracked in self.building.tracked.items():
            device = self.topology.devices.get(name)
            for key in unread(tracked, None if device is None else device.written):
                said.setdefault(key, []).append(name)
        warnings = []
        for key, names in said.items():
            more = f" (and {len(names) - 1} more)" if len(names) > 1 else ""
            warnings.append(f"{names[0]}: {key}{more}: changed nothing in this run")
        for path, params in (("protocol", self.protocol_params), ("workload", self.workload_params)):
            keys = [] if params is None else [key for key in unread(params) if key not in _LOADERS_KEYS]
            warnings += [f"{path}.{key}: changed nothing in this run" for key in keys]
        for name, link in self.building.bilateral.items():
            warnings += [f"{name}: script: {fault}: never struck within the horizon" for fault in link.unstruck()]
        for fault in self.topology.faults:
            if not self.striker.struck[fault.name]:
                where = f"{fault.path}: " if fault.path else ""
                warnings.append(f"{where}fault {fault.name!r} never struck within the horizon")
        return warnings


_LOADERS_KEYS = frozenset(("shards", "coordinator", "over"))  # read when the topology was loaded

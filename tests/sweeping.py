"""What a crash at every instant of a run would hand back, for tests that ask it of a protocol."""

from __future__ import annotations

from collections.abc import Iterator

from hwsim.crash_sweep import sweep_strike
from hwsim.crash_timeline import Timeline
from hwsim.instants import AllInstants
from hwsim.outcomes import Handed, Outcome
from hwsim.protocol import Protocol
from hwsim.simulation import Simulation, simulate
from hwsim.topology.spec import Topology
from hwsim.trace import Trace


def outcomes(trace: Trace, case: int = 0) -> dict[Outcome, float]:
    """The share of every outcome, doubts resolved for the worst, under the first strike of a crash case."""
    header = trace.header
    window = AllInstants(header.warm_up_ps, header.horizon_ps)
    tally = sweep_strike(Timeline(trace), header.crashes[case].strikes[0], window)
    return {outcome: tally.share(weight) for outcome, weight in tally.worst.items()}


def unsafe(trace: Trace, case: int = 0) -> float:
    """The share of unsafe outcomes."""
    return sum(share for outcome, share in outcomes(trace, case).items() if outcome.unsafe)


def handed_back(trace: Trace, case: int = 0) -> Iterator[tuple[int, frozenset[Handed]]]:
    """Whatever recovery may hand back, whenever that changes."""
    header = trace.header
    timeline = Timeline(trace)
    before: frozenset[Handed] | None = None
    for time_ps, replay in timeline.walk(header.crashes[case].strikes[0], header.warm_up_ps, header.horizon_ps):
        handed = timeline.rule(replay.durable, header.rule_params)
        if handed != before:
            before = handed
            yield time_ps, handed


def mutated(topology: Topology, name: str) -> Trace:
    """The run of a topology under a mutation of its protocol."""
    protocol = Protocol.registry[topology.protocol.kind]
    return Simulation(topology, protocol=protocol.MUTATIONS[name].protocol).run()


__all__ = ["handed_back", "mutated", "outcomes", "simulate", "unsafe"]

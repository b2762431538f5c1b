"""The crash points: every event between the begin of one checkpoint in steady state and the begin of the next.

A point is after an event that left a mark in the trace: events that leave none change nothing that a crash could
take or a program could know.  The checkpoint is the first at which old ones are deleted already, as in all that follow.

The topology's faults that stop a job are left out, for crashes are what is asked about here; those that
a job survives (dead capacitors, a slow drive, a full file system) stay.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

from hwsim.errors import UserError
from hwsim.explore.state import plain
from hwsim.explore.touched import Stretch, UnderWay, Watch
from hwsim.faults import Fault
from hwsim.protocol import Protocol
from hwsim.simulation import Simulation
from hwsim.trace import Record, Trace

if TYPE_CHECKING:
    import simpy

    from hwsim.topology.spec import Topology

STEADY = 3  # checkpoint that is looked at, unless more than one before it are kept
_LONGEST_PERIOD = 20  # checkpoints that are run to see all that a protocol does
_LONGEST = 40  # intervals that a checkpoint may take until it counts as one that never ends


class Point(NamedTuple):
    """After this many events of the run, which left so many rows (the last event those from `since` on)."""

    step: int
    since: int
    rows: int
    time_ps: int
    kept: str  # what of the protocol's state outlives its processes
    acknowledged: int
    begun: int
    busy: bool  # more happens at this instant, after it, that a torn-down job does not stop
    since_last: Stretch = Stretch()  # what the events since the point before touched
    under_way: frozenset[UnderWay] = frozenset()  # in the job, after it


@dataclass(frozen=True)
class Window:
    """The run without a crash up to the end of the window, and the points in it."""

    checkpoint: int
    trace: Trace
    points: tuple[Point, ...]
    ends: bool  # the next checkpoint began: this one did not block it for good
    latency_ps: int | None  # from the checkpoint's begin to its acknowledgement; None: never
    told: bool = False  # what events touch could be told
    until_ps: int = 0  # when the next checkpoint begins; 0: never

    @property
    def stuck(self) -> str | None:
        """What is wrong where the checkpoint blocks the next one for good, without any crash."""
        return None if self.ends else f"checkpoint {self.checkpoint} never ends, without any crash"


def require_explorable(topology: Topology) -> None:
    """Raise UserError where there is nothing to explore, or no way to."""
    if topology.protocol is None:
        raise UserError(
            f"{topology.name}: its workload takes no checkpoints, so there are none to crash; "
            "`hwsim link check` explores a bilateral link"
        )
    if any(not link.routed and link.params.in_icarus for link in topology.links):
        raise UserError(
            f"{topology.name}: explore copies a run that is under way, which Icarus cannot; "
            "write simulator: verilator or model: model"
        )


def steady_checkpoint(topology: Topology) -> int:
    """The number of the checkpoint to look at; where not all are alike, the second of those in which most is done."""
    kind = Protocol.registry[topology.protocol.kind]
    earliest = max(STEADY, min(getattr(topology.protocol, "keep", 1), 8) + 1)
    period = min(kind.period(topology.protocol), _LONGEST_PERIOD)
    return earliest if period == 1 else period * max(2, -(-earliest // period))


def quiet(topology: Topology) -> Topology:
    """*topology* without the faults that stop its job, and with a horizon beyond anything asked here."""
    faults = tuple(fault for fault in topology.faults if not Fault.registry[fault.kind].stops_job)
    interval = topology.workload.interval
    horizon = topology.horizon_ps + 1000 * interval
    return replace(topology, faults=faults, horizon_ps=horizon)


def open_window(topology: Topology, checkpoint: int, protocol: type[Protocol] | None = None) -> Window:
    """Run *topology* (made `quiet`) until the checkpoint after *checkpoint* begins, and note the points."""
    run = Simulation(topology, protocol=protocol)
    run.begin()
    assert run.protocol is not None
    env, rows, workload = run.env, run.trace.rows, topology.workload
    give_up = (workload.first or workload.interval) + (checkpoint + _LONGEST) * workload.interval
    points: list[Point] = []
    steps = seen = begun = acknowledged = 0
    began_ps = 0
    latency: int | None = None
    ends = False
    watch: Watch | None = None
    while env.peek() <= give_up:
        if watch is not None:
            watch.before()
        env.step()
        steps += 1
        if len(rows) == seen:
            continue
        for row in rows[seen:]:
            if row[1] == "checkpoint_begun" and row[6] is not None:
                begun = max(begun, row[6])
                if row[6] == checkpoint:
                    began_ps = row[0]
            elif row[1] == "epoch_committed" and row[6] is not None:
                acknowledged = max(acknowledged, row[6])
                if row[6] == checkpoint:
                    latency = row[0] - began_ps
        since, seen = seen, len(rows)
        if begun > checkpoint:
            ends = True
            break
        if begun == checkpoint:
            if watch is None:  # the first point: before it nothing is merged
                watch = Watch(run)
                stretch = Stretch()
            else:
                stretch = watch.take(rows[since:seen])
            points.append(
                Point(
                    steps, since, seen, int(env.now), plain(run.protocol), acknowledged, begun, is_busy(env), stretch,
                    watch.under_way(),
                )
            )  # fmt: skip
    told = watch is not None and watch.tells
    return Window(checkpoint, run.trace, tuple(points), ends, latency, told, int(env.now) if ends else 0)


# What is due at an instant and does nothing once the job is torn down, or nothing that a crash could take: the job's
# own callbacks, which look at its generation; messages on their way to it; writes that are cancelled; rates of flows.
_INERT = frozenset(
    (
        "Job.later.<locals>.due", "Job.track.<locals>.returned", "Job._follow.<locals>.returned", "Process._resume",
        "Network._later.<locals>.<lambda>", "Write._moved", "Write._complete", "FlowNetwork._recompute",
        "FlowNetwork._wake",
    )
)  # fmt: skip


def is_busy(env: simpy.Environment) -> bool:
    """Whether more happens at this instant that a job torn down now would not stop."""
    now = env.now
    return any(
        getattr(callback, "__qualname__", "") not in _INERT
        for time_ps, _, _, event in env._queue
        if time_ps == now
        for callback in event.callbacks or ()
    )


def describe(trace: Trace, point: Point) -> str:
    """What happened just before a point: the first row of its event, in the words of the trace."""
    return say_record(Record._make(trace.rows[point.since]))


def say_record(row: Record) -> str:
    """One row of a trace as a phrase."""
    checkpoint = f"checkpoint {row.epoch}"
    match row.event:
        case "checkpoint_begun" | "checkpoint_abandoned":
            return f"{checkpoint} {row.event.removeprefix('checkpoint_')}"
        case "epoch_committed":
            return f"{checkpoint} acknowledged"
        case "recovered":
            return f"recovery hands back {checkpoint if row.detail == 'whole' else row.detail}"
        case "struck":
            return f"{row.detail} strikes {row.peer}"
        case "sent" | "delivered" | "dropped":
            way = "to" if row.event == "sent" else "from"
            return f"{row.subject}: '{row.detail}' of {checkpoint} {row.event} {way} {row.peer}"
    words = [] if row.subject == "job" else [row.subject]
    words.append(row.event.replace("_", " "))
    if row.part is not None:
        words.append(row.part)
    if row.epoch is not None:
        words.append(f"of {checkpoint}")
    if row.place is not None:
        words.append(f"at {row.place}")
    return " ".join(words)

"""Bandwidth as fluid flows: max-min fair sharing of pipes, an event a change.

A flow is a transfer that crosses several pipes at once; its rate is the max-min fair one (weighted
progressive filling: the pipe with the least capacity a unit of weight fixes the rates of all its
flows, is taken out, and so on).  Rates change only when a flow starts or ends or a capacity
changes; between two changes every flow moves at a constant rate, so ends and milestones are known
ahead and cost one event each.  Times are integer ps: an end is the first whole ps at which all
bytes have moved.  All changes of one instant are answered by one recomputation.  It touches only
the flows that share a pipe, directly or through others, with what changed, and passes only through
pipes that could bind: one whose flows, each at the capacity of its narrowest pipe, fit together
never does, and so it joins nothing.

Source: Bertsekas and Gallager, Data Networks, 2nd ed., section 6.5.2 (max-min flow control).

Not modelled: slow start and unfairness of a real transport; packets; latency (the caller adds it).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import simpy

_BYTE_PS = 8e12  # bytes = bits per second x ps / _BYTE_PS
_LAST = 2  # SimPy priority after URGENT (0) and NORMAL (1): everything else at this instant goes first


class IOLost(Exception):
    """An operation's device crashed, or its writer was torn down, before it finished.  Inside the simulation only."""


class IOFailed(Exception):
    """An operation failed while its device lives: `errno` as its caller is told (ENOSPC, EIO, ...).

    `during`: "write", or "sync" where all the bytes were taken and only making them durable failed.  Inside the
    simulation only.
    """

    def __init__(self, errno: str, during: str = "write") -> None:
        super().__init__(f"{errno} during {during}")
        self.errno = errno
        self.during = during


class Pipe:
    """Something that carries a limited number of bits per second, shared by the flows that cross it.

    `on_rate` callbacks are told the total rate (bits per second) through the pipe whenever it
    changed, at most once a recomputation; they may change capacities, start and cancel flows.
    """

    __slots__ = ("_bound_ps", "_busy_ps", "_busy_since", "_carried_bytes", "_demand_bps", "_flows", "_left", "_members",
                 "_told_bps", "_weight", "capacity_bps", "index", "name", "on_rate")

    def __init__(self, name: str, capacity_bps: int, index: int) -> None:
        self.name = name
        self.capacity_bps = capacity_bps
        self.index = index  # order of creation; ties between pipes go to the older one
        self.on_rate: list[Callable[[float], None]] = []
        self._flows: dict[int, Flow] = {}
        self._demand_bps = 0  # what its flows would want of it at most
        self._told_bps = 0.0  # the rate that on_rate heard last
        self._left = 0.0  # working figures of `_max_min`
        self._weight = 0.0
        self._members: list[Flow] = []
        self._carried_bytes = 0.0
        self._busy_ps = 0
        self._busy_since = 0
        self._bound_ps = 0

    def __repr__(self) -> str:
        return f"Pipe({self.name!r}, {self.capacity_bps})"

    @property
    def rate_bps(self) -> float:
        """What moves through it now, bits per second."""
        rate = 0.0
        for flow in self._flows.values():
            rate += flow.rate_bps if len(flow.pipes) < 2 else flow.rate_bps * flow.pipes.count(self)
        return rate

    @property
    def _may_bind(self) -> bool:
        return self._demand_bps > self.capacity_bps


@dataclass(frozen=True)
class PipeUse:
    """What a pipe did so far.  `bound_ps` adds up over flows the time for which this pipe set their rate."""

    capacity_bps: int
    carried_bytes: float
    busy_ps: int  # time with at least one flow, moving or stalled
    bound_ps: int


class Flow:
    """One transfer.  `done` succeeds with the flow when its last byte has moved; cancelled, it fails with `IOLost`."""

    __slots__ = ("_bottleneck", "_limit_bps", "_milestones", "_moved", "_network", "_placed", "_serial", "_since",
                 "_tight", "_version", "_weight", "active", "done", "pipes", "rate_bps", "size_bytes")

    def __init__(self, network: FlowNetwork, serial: int, pipes: tuple[Pipe, ...], size_bytes: int, weight: float,
                 milestones: list[tuple[int, Callable[[], None]]], done: simpy.Event) -> None:
        self.done = done
        self.size_bytes = size_bytes
        self.pipes = pipes
        self.rate_bps = 0.0
        self.active = True
        self._network = network
        self._serial = serial
        self._weight = weight
        self._milestones = milestones  # nearest last
        self._moved = 0.0  # bytes moved until _since
        self._since = network.now_ps
        self._version = 0
        self._bottleneck: Pipe | None = None
        self._limit_bps = 0  # capacity of its narrowest pipe
        self._placed = False  # working figures of `_max_min`
        self._tight: list[Pipe] = []

    @property
    def bottleneck(self) -> Pipe | None:
        """The pipe that sets the rate (after the end: that set it last); None before the first allocation."""
        return self._bottleneck

    def moved_bytes(self) -> float:
        """How many bytes have moved by now."""
        if not self.active or self.rate_bps == 0.0:
            return self._moved
        moved = self._moved + self.rate_bps * (self._network.now_ps - self._since) / _BYTE_PS
        return min(moved, float(self.size_bytes))

    def cancel(self) -> None:
        """Take the flow out now: what moved has moved, `done` fails with `IOLost`.  A finished flow is left alone."""
        self._network._cancel(self)

    @property
    def _limited(self) -> bool:
        return bool(self.pipes) and self.size_bytes > 0

    def _target(self) -> int:
        return self._milestones[-1][0] if self._milestones else self.size_bytes


class FlowNetwork:
    """All pipes and flows of a simulation."""

    def __init__(self, env: simpy.Environment) -> None:
        self.env = env
        self.pipes: list[Pipe] = []
        self.recomputed = 0  # how often rates were computed, for benchmarks
        self._serial = 0
        self._changed_flows: dict[int, Flow] = {}
        self._changed_pipes: dict[int, Pipe] = {}
        self._audience: dict[int, Pipe] = {}  # pipes whose on_rate may have something to hear
        self._deferred = False
        self._due: list[tuple[int, int, int, Flow]] = []  # (time, serial, version, flow); stale versions are skipped
        self._timer_at: int | None = None

    @property
    def now_ps(self) -> int:
        """The present time; SimPy would admit a float, this simulation has none."""
        return self.env.now  # type: ignore[return-value]

    def pipe(self, name: str, capacity_bps: int) -> Pipe:
        """Make a pipe.  The name is for accounts and should be unique."""
        if capacity_bps < 0:
            raise ValueError(f"{name}: a capacity cannot be negative, got {capacity_bps}")
        pipe = Pipe(name, capacity_bps, len(self.pipes))
        self.pipes.append(pipe)
        return pipe

    def set_capacity(self, pipe: Pipe, capacity_bps: int) -> None:
        """From now on *pipe* carries this much; 0 stalls its flows until it is raised again."""
        if capacity_bps < 0:
            raise ValueError(f"{pipe.name}: a capacity cannot be negative, got {capacity_bps}")
        if capacity_bps == pipe.capacity_bps:
            return
        pipe.capacity_bps = capacity_bps
        self._changed_pipes[pipe.index] = pipe
        for flow in pipe._flows.values():
            limit = _narrowest(flow.pipes)
            for other in flow.pipes:
                if other._may_bind:  # its flows may no longer be held back by it
                    self._changed_pipes[other.index] = other
                other._demand_bps += limit - flow._limit_bps
            flow._limit_bps = limit
        self._call_on()

    def start(self, pipes: Sequence[Pipe], size_bytes: int, *, weight: float = 1.0,
              milestones: Sequence[tuple[int, Callable[[], None]]] = ()) -> Flow:
        """Start moving *size_bytes* through all of *pipes* at once; a pipe named twice is crossed twice.

        Each milestone is called when so many bytes (0 to *size_bytes*) have moved, in order, before
        `done` is triggered and never inside this call.  Without pipes, or without bytes, the flow
        ends at this instant.
        """
        if size_bytes < 0 or not weight > 0:
            raise ValueError(f"a flow needs a size of at least 0 and a weight above 0, got {size_bytes} and {weight}")
        marks = sorted(milestones, key=lambda mark: mark[0])  # stable: equal positions keep their order
        if marks and not 0 <= marks[0][0] <= marks[-1][0] <= size_bytes:
            raise ValueError(f"milestones must lie within 0 and {size_bytes} bytes")
        self._serial += 1
        flow = Flow(self, self._serial, tuple(pipes), size_bytes, weight, marks[::-1], self.env.event())
        if not flow._limited or flow._target() == 0:
            self._schedule(flow, 0)
        if flow._limited:
            flow._limit_bps = _narrowest(flow.pipes)
            for pipe in flow.pipes:
                if not pipe._flows:
                    pipe._busy_since = self.now_ps
                pipe._flows[flow._serial] = flow
                pipe._demand_bps += flow._limit_bps
            self._changed_flows[flow._serial] = flow
            self._call_on()
        return flow

    def use(self) -> dict[str, PipeUse]:
        """What every pipe did until now, by its name, in order of creation.  Reads only."""
        now = self.now_ps
        uses: dict[str, PipeUse] = {}
        for pipe in self.pipes:
            carried, bound, busy = pipe._carried_bytes, pipe._bound_ps, pipe._busy_ps
            if pipe._flows:
                busy += now - pipe._busy_since
            for flow in pipe._flows.values():
                carried += flow.moved_bytes() * flow.pipes.count(pipe)
                if flow._bottleneck is pipe:
                    bound += now - flow._since
            uses[pipe.name] = PipeUse(pipe.capacity_bps, carried, busy, bound)
        return uses

    def _call_on(self) -> None:
        """Something changed at this instant: compute once everything else at this instant is done."""
        if not self._deferred:
            self._deferred = True
            event = self.env.event()
            event._ok, event._value = True, None
            event.callbacks.append(self._recompute)
            self.env.schedule(event, _LAST)  # type: ignore[arg-type]  # an EventPriority is an int

    def _settle(self, flow: Flow) -> None:
        """Book what the flow moved since its rate was last set."""
        now = self.now_ps
        if flow._bottleneck is not None:
            flow._bottleneck._bound_ps += now - flow._since
        flow._moved = flow.moved_bytes()
        flow._since = now

    def _remove(self, flow: Flow) -> None:
        flow.active = False
        flow.rate_bps = 0.0
        flow._version += 1
        if not flow._limited:
            return
        for pipe in flow.pipes:
            if pipe._may_bind:
                self._changed_pipes[pipe.index] = pipe
            pipe._demand_bps -= flow._limit_bps
            pipe._carried_bytes += flow._moved
            pipe._flows.pop(flow._serial, None)
            if not pipe._flows:
                pipe._busy_ps += self.now_ps - pipe._busy_since
                pipe._busy_since = self.now_ps  # so that a pipe crossed twice counts once
            if pipe.on_rate:
                self._audience[pipe.index] = pipe
        self._call_on()

    def _cancel(self, flow: Flow) -> None:
        if not flow.active:
            return
        self._settle(flow)
        self._remove(flow)
        flow.done.fail(IOLost("cancelled"))
        flow.done.defused = True

    def _recompute(self, _: simpy.Event) -> None:
        """Answer every change of this instant: new rates for all that shares a pipe with one, then tell the owners."""
        self._deferred = False
        self.recomputed += 1
        flows, self._changed_flows = self._changed_flows, {}
        seen, self._changed_pipes = self._changed_pipes, {}
        reached: list[Flow] = []
        for flow in flows.values():
            if flow.active:
                reached.append(flow)
        walk = list(seen.values())
        for flow in reached:
            for pipe in flow.pipes:
                if pipe.index not in seen and pipe._may_bind:
                    seen[pipe.index] = pipe
                    walk.append(pipe)
        for pipe in walk:  # grows while it is walked
            for serial, flow in pipe._flows.items():
                if serial not in flows:
                    flows[serial] = flow
                    reached.append(flow)
                    for other in flow.pipes:
                        if other.index not in seen and other._may_bind:
                            seen[other.index] = other
                            walk.append(other)
        now, due, audience = self.now_ps, self._due, self._audience
        for flow, rate, bottleneck in _max_min(reached):  # settling is written out: this is the hot loop
            old, held = flow.rate_bps, flow._bottleneck
            if rate == old and bottleneck is held:
                continue
            passed = now - flow._since
            flow._since = now
            if held is not None:
                held._bound_ps += passed
            if old:
                moved = flow._moved + old * passed / _BYTE_PS
                flow._moved = moved if moved < flow.size_bytes else float(flow.size_bytes)
            flow._bottleneck = bottleneck
            if rate == old:
                continue
            flow.rate_bps = rate
            flow._version += 1
            left = (flow._milestones[-1][0] if flow._milestones else flow.size_bytes) - flow._moved
            if left <= 0:
                heappush(due, (now, flow._serial, flow._version, flow))
            elif rate > 0.0:
                heappush(due, (now + _whole_ps(left, rate), flow._serial, flow._version, flow))
            for pipe in flow.pipes:
                if pipe.on_rate:
                    audience[pipe.index] = pipe
        self._arm()
        self._audience = {}
        for pipe in audience.values():
            rate = pipe.rate_bps
            if rate != pipe._told_bps:
                pipe._told_bps = rate
                for notify in list(pipe.on_rate):
                    notify(rate)

    def _schedule(self, flow: Flow, delay_ps: int) -> None:
        """The flow will reach its next target after *delay_ps*."""
        heappush(self._due, (self.now_ps + delay_ps, flow._serial, flow._version, flow))
        self._arm()

    def _arm(self) -> None:
        """Wake up when the next target is due; a timer that is set for later then finds nothing to do."""
        due = self._due
        while due and due[0][2] != due[0][3]._version:
            heappop(due)
        if due and (self._timer_at is None or due[0][0] < self._timer_at):
            self._timer_at = due[0][0]
            timer = self.env.timeout(self._timer_at - self.now_ps)
            timer.callbacks.append(self._wake)

    def _wake(self, _: simpy.Event) -> None:
        """Fire the milestones and ends that are due; then sleep until the next one."""
        now, due = self.now_ps, self._due
        if self._timer_at == now:
            self._timer_at = None
        while due and due[0][0] <= now:
            _at, _serial, version, flow = heappop(due)
            if version == flow._version and flow.active:
                self._arrive(flow)
        self._arm()

    def _arrive(self, flow: Flow) -> None:
        """The flow reached its next target: a milestone or its end, and whatever else lies at the same byte."""
        if flow._limited:
            self._settle(flow)
            flow._moved = max(flow._moved, float(flow._target()))  # short by the rounding of floats only
        else:  # nothing limits it: every target is reached now
            flow._moved = float(flow.size_bytes)
        while flow.active and flow._milestones and flow._milestones[-1][0] <= flow._moved:
            flow._milestones.pop()[1]()
        if not flow.active:  # a callback cancelled it
            return
        if flow._moved >= flow.size_bytes:
            self._remove(flow)
            flow.done.succeed(flow)
        elif flow.rate_bps > 0.0:
            self._schedule(flow, _whole_ps(flow._target() - flow._moved, flow.rate_bps))


def _whole_ps(left_bytes: float, rate_bps: float) -> int:
    """The first whole ps at which so many bytes have moved, forgiving the rounding of floats (some 1e-15 of it)."""
    exact = left_bytes * _BYTE_PS / rate_bps
    slack = exact * 4e-15
    return max(math.ceil(exact - (slack if slack > 1e-3 else 1e-3)), 0)


def _narrowest(pipes: Sequence[Pipe]) -> int:
    return min(pipe.capacity_bps for pipe in pipes)


def _max_min(flows: Sequence[Flow]) -> list[tuple[Flow, float, Pipe]]:
    """Weighted max-min rates of *flows*, each with the pipe that set it.

    All other flows that cross the same pipes cross them where they cannot bind.  A pipe's share a
    unit of weight only grows while others are taken out, so an outdated entry of the heap is a
    lower bound and is put back with its new share.
    """
    pipes: dict[int, Pipe] = {}
    for flow in flows:
        flow._placed = False
        flow._tight = tight = []
        limit = flow._limit_bps
        for pipe in flow.pipes:
            if pipe.capacity_bps > limit and pipe._demand_bps <= pipe.capacity_bps:
                continue  # it cannot bind, and it is not what limits this flow on its own
            tight.append(pipe)
            if pipe.index not in pipes:
                pipes[pipe.index] = pipe
                pipe._left = float(pipe.capacity_bps)
                pipe._weight = 0.0
                pipe._members = []
            pipe._weight += flow._weight
            pipe._members.append(flow)
    heap = [(pipe._left / pipe._weight, index, pipe) for index, pipe in pipes.items()]
    heapify(heap)
    fixed: list[tuple[Flow, float, Pipe]] = []
    while len(fixed) < len(flows):
        share, index, pipe = heappop(heap)
        waiting = [flow for flow in pipe._members if not flow._placed]
        if not waiting:
            continue
        now = pipe._left / pipe._weight if pipe._left > 0.0 else 0.0
        if now > share and heap and (now, index) > heap[0][:2]:
            heappush(heap, (now, index, pipe))
            continue
        for flow in waiting:
            if flow._placed:  # it crosses this pipe twice
                continue
            flow._placed = True
            rate = now * flow._weight
            fixed.append((flow, rate, pipe))
            for crossed in flow._tight:
                crossed._left -= rate
                crossed._weight -= flow._weight
    return fixed

"""Bandwidth as fluid flows: max-min fair sharing of pipes, an event a change.

A flow is a transfer that crosses several pipes at once; its rate is the max-min fair one (weighted
progressive filling: the pipe with the least capacity a unit of weight fixes the rates of all its
flows, is taken out, and so on).  Rates change only when a flow starts or ends or a capacity
changes; between two changes every flow moves at a constant rate, so ends and milestones are known
ahead and cost one event each.  Times are integer ps: an end is the first whole ps at which all
bytes have moved.  All changes of one instant are answered by one recomputation, which touches only
the flows that share a pipe, directly or through others, with what changed.

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


class Pipe:
    """Something that carries a limited number of bits per second, shared by the flows that cross it.

    `on_rate` callbacks are told the total rate (bits per second) through the pipe whenever it
    changed, at most once a recomputation; they may change capacities, start and cancel flows.
    """

    def __init__(self, name: str, capacity_bps: int, index: int) -> None:
        self.name = name
        self.capacity_bps = capacity_bps
        self.index = index  # order of creation; ties between pipes go to the older one
        self.rate_bps = 0.0
        self.on_rate: list[Callable[[float], None]] = []
        self._flows: dict[int, Flow] = {}
        self._carried_bytes = 0.0
        self._busy_ps = 0
        self._busy_since = 0
        self._bound_ps = 0

    def __repr__(self) -> str:
        return f"Pipe({self.name!r}, {self.capacity_bps})"


@dataclass(frozen=True)
class PipeUse:
    """What a pipe did so far.  `bound_ps` adds up over flows the time for which this pipe set their rate."""

    capacity_bps: int
    carried_bytes: float
    busy_ps: int  # time with at least one flow, moving or stalled
    bound_ps: int


class Flow:
    """One transfer.  `done` succeeds with the flow when its last byte has moved; cancelled, it fails with `IOLost`."""

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

    def _target(self) -> int:
        return self._milestones[-1][0] if self._milestones else self.size_bytes


class FlowNetwork:
    """All pipes and flows of a simulation."""

    def __init__(self, env: simpy.Environment) -> None:
        self.env = env
        self.pipes: list[Pipe] = []
        self.recomputed = 0  # how often rates were computed, for benchmarks
        self._serial = 0
        self._dirty: dict[int, Pipe] = {}
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
        if capacity_bps != pipe.capacity_bps:
            pipe.capacity_bps = capacity_bps
            self._touch(pipe)

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
        if not flow.pipes or flow._target() == 0:
            self._schedule(flow, 0)
        if flow.pipes and size_bytes:
            for pipe in flow.pipes:
                if not pipe._flows:
                    pipe._busy_since = self.now_ps
                pipe._flows[flow._serial] = flow
                self._touch(pipe)
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
                carried += (flow.moved_bytes() - flow._moved) * flow.pipes.count(pipe)
                if flow._bottleneck is pipe:
                    bound += now - flow._since
            uses[pipe.name] = PipeUse(pipe.capacity_bps, carried, busy, bound)
        return uses

    def _touch(self, pipe: Pipe) -> None:
        self._dirty[pipe.index] = pipe
        if not self._deferred:
            self._deferred = True
            event = self.env.event()
            event._ok, event._value = True, None
            event.callbacks.append(self._recompute)
            self.env.schedule(event, _LAST)  # type: ignore[arg-type]  # an EventPriority is an int

    def _settle(self, flow: Flow) -> None:
        """Book what the flow moved since its rate was last set."""
        now = self.now_ps
        moved = flow.moved_bytes()
        gained = moved - flow._moved
        if gained:
            for pipe in flow.pipes:
                pipe._carried_bytes += gained
        if flow._bottleneck is not None:
            flow._bottleneck._bound_ps += now - flow._since
        flow._moved = moved
        flow._since = now

    def _remove(self, flow: Flow) -> None:
        flow.active = False
        flow.rate_bps = 0.0
        flow._version += 1
        for pipe in flow.pipes:
            if pipe._flows.pop(flow._serial, None) is not None:
                if not pipe._flows:
                    pipe._busy_ps += self.now_ps - pipe._busy_since
                self._touch(pipe)

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
        seen, self._dirty = self._dirty, {}
        reached = list(seen.values())
        flows: dict[int, Flow] = {}
        for pipe in reached:  # grows while it is walked
            for serial, flow in pipe._flows.items():
                if serial not in flows:
                    flows[serial] = flow
                    for other in flow.pipes:
                        if other.index not in seen:
                            seen[other.index] = other
                            reached.append(other)
        totals = {pipe.index: 0.0 for pipe in reached}
        for flow, rate, bottleneck in _max_min(reached, list(flows.values())):
            if rate != flow.rate_bps or bottleneck is not flow._bottleneck:
                changed = rate != flow.rate_bps
                self._settle(flow)
                flow._bottleneck = bottleneck
                flow.rate_bps = rate
                if changed:
                    flow._version += 1
                    if rate > 0.0 or flow._target() <= flow._moved:
                        left = flow._target() - flow._moved
                        self._schedule(flow, _whole_ps(left, rate) if left > 0 else 0)
            for pipe in flow.pipes:
                totals[pipe.index] += rate
        told = [pipe for pipe in reached if totals[pipe.index] != pipe.rate_bps]
        for pipe in told:
            pipe.rate_bps = totals[pipe.index]
        for pipe in told:
            for notify in list(pipe.on_rate):
                notify(pipe.rate_bps)

    def _schedule(self, flow: Flow, delay_ps: int) -> None:
        """The flow will reach its next target after *delay_ps*."""
        at = self.now_ps + delay_ps
        heappush(self._due, (at, flow._serial, flow._version, flow))
        if self._timer_at is None or at < self._timer_at:
            self._timer_at = at
            timer = self.env.timeout(delay_ps)
            timer.callbacks.append(self._wake)

    def _wake(self, _: simpy.Event) -> None:
        """Fire the milestones and ends that are due; then sleep until the next one."""
        now = self.now_ps
        if self._timer_at == now:
            self._timer_at = None
        due = self._due
        while due and (due[0][0] <= now or due[0][2] != due[0][3]._version):
            at, _serial, version, flow = heappop(due)
            if at <= now and version == flow._version and flow.active:
                self._arrive(flow)
        if due and (self._timer_at is None or due[0][0] < self._timer_at):
            self._timer_at = due[0][0]
            timer = self.env.timeout(due[0][0] - now)
            timer.callbacks.append(self._wake)

    def _arrive(self, flow: Flow) -> None:
        """The flow reached its next target: a milestone or its end, and whatever else lies at the same byte."""
        if flow.pipes and flow.size_bytes:
            self._settle(flow)
            short = flow._target() - flow._moved  # by the rounding of floats only
            if short > 0:
                flow._moved = float(flow._target())
                for pipe in flow.pipes:
                    pipe._carried_bytes += short
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
    return max(math.ceil(exact - max(1e-3, exact * 4e-15)), 0)


def _max_min(pipes: Sequence[Pipe], flows: Sequence[Flow]) -> list[tuple[Flow, float, Pipe]]:
    """Weighted max-min rates of *flows*, each with the pipe that set it; *pipes* are all that they cross.

    A pipe's share a unit of weight only grows while others are taken out, so an outdated entry of
    the heap is a lower bound and is put back with its new share.
    """
    left = {pipe.index: float(pipe.capacity_bps) for pipe in pipes}
    weight = dict.fromkeys(left, 0.0)
    waiting = dict.fromkeys(left, 0)
    for flow in flows:
        for pipe in flow.pipes:
            weight[pipe.index] += flow._weight
            waiting[pipe.index] += 1
    heap = [(left[p.index] / weight[p.index], p.index, p) for p in pipes if waiting[p.index]]
    heapify(heap)
    fixed: list[tuple[Flow, float, Pipe]] = []
    placed: set[int] = set()  # membership only, never walked
    while heap:
        share, index, pipe = heappop(heap)
        if not waiting[index]:
            continue
        now = max(left[index], 0.0) / weight[index]
        if now > share and heap and (now, index) > heap[0][:2]:
            heappush(heap, (now, index, pipe))
            continue
        for flow in pipe._flows.values():
            if flow._serial in placed:
                continue
            placed.add(flow._serial)
            rate = now * flow._weight
            fixed.append((flow, rate, pipe))
            for crossed in flow.pipes:
                i = crossed.index
                left[i] -= rate
                weight[i] -= flow._weight
                waiting[i] -= 1
    return fixed

"""The exact answer about crashes: what a crash at every instant would have left, and what recovery makes of it.

A trace is replayed once for each strike (`crash_timeline`); every state is weighed by the measure of the instants
at which it holds (`instants`), so the shares carry no sampling error.  Where several contents are possible the
worst outcome is counted, and the best beside it.

Traces of whole checkpoints that only ever grow (abstract domains) go through closed expressions in numpy
instead (`crash_monotone`), with the same result to the picosecond.

Not modelled: correlation between the instant of a crash and the run's own events, beyond `phase` and `hazard`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, stdev

from hwsim import crash_monotone
from hwsim.crash_tally import PS, Interval, Tally
from hwsim.crash_timeline import RawClass, State, Timeline
from hwsim.instants import AllInstants, Instants, PoissonInstants, SingleInstants
from hwsim.outcomes import UNSAFE
from hwsim.trace import CrashCase, Header, Strike


@dataclass(frozen=True)
class Swept:
    """One crash case over one or several timelines: `total` over all its strikes, and each strike's own."""

    total: Tally
    strikes: dict[str, Tally]
    timelines: tuple[Tally, ...]  # each timeline's total

    @property
    def worst(self) -> str:
        """The strike that hurts most: by unsafe, unprotected, mixed share, lost work in turn; the first of equals."""
        return max(
            self.strikes,
            key=lambda label: (
                (tally := self.strikes[label]).unsafe_share,
                tally.unprotected_share,
                tally.mixed_share,
                tally.lost_mean_s,
            ),
            default="",
        )


def instants_of(case: CrashCase, header: Header) -> Instants:
    """The measure of crash instants that *case* asks for on a timeline."""
    if case.at_ps is not None:
        return SingleInstants((case.at_ps,))
    if case.phase_ps is not None:
        first = header.first_ps + case.phase_ps
        skipped = max(0, -(-(header.warm_up_ps - first) // header.interval_ps))
        return SingleInstants(tuple(range(first + skipped * header.interval_ps, header.horizon_ps, header.interval_ps)))
    if case.hazard_mean_ps is not None:
        return PoissonInstants(
            header.warm_up_ps, header.horizon_ps, header.first_ps, header.interval_ps, case.hazard_mean_ps
        )
    return AllInstants(header.warm_up_ps, header.horizon_ps)


def sweep_strike(timeline: Timeline, strike: Strike, instants: Instants) -> Tally:
    """Weigh what *strike* would leave at every instant of the measure, event by event."""
    header = timeline.header
    tally = Tally()
    start, end = instants.start, instants.end
    if end <= start:
        return tally
    weights: dict[State, float] = {}
    # cut at every interval's begin, for the intervals' own shares; so does the only measure that must be cut
    grid = header.first_ps + -(-(start - header.first_ps) // header.interval_ps) * header.interval_ps
    cuts = iter(cut for cut in range(grid, end, header.interval_ps) if cut > start)
    cut = next(cuts, end)
    number = 0
    interval = tally.intervals.setdefault(number, Interval())
    changes = timeline.states(strike, start, end)
    begin, state = next(changes)
    while True:
        following = next(changes, None)
        until = end if following is None else following[0]
        while begin < until:
            stop = min(until, cut)
            weight = instants.weight(begin, stop)
            if weight:
                weights[state] = weights.get(state, 0) + weight
                lost = 0.0
                _, judged, running = state
                if judged.restored is not None:
                    base = judged.base_ps + begin if running else judged.base_ps
                    lost = base * weight + (instants.moment(begin, stop) if running else 0)
                    tally.restored += weight
                    tally.lost_ps += lost
                    most = base + instants.latest(begin, stop) - begin if running else base
                    tally.lost_max_ps = max(tally.lost_max_ps, most)
                    interval.restored += weight
                    interval.lost_ps += lost
                interval.weight += weight
                if state.vector.raw is RawClass.MIXED:
                    interval.mixed += weight
                if judged.worst in UNSAFE:
                    interval.unsafe += weight
            begin = stop
            if begin == cut < end:
                cut = next(cuts, end)
                number += 1
                interval = tally.intervals.setdefault(number, Interval())
        if following is None:
            break
        begin, state = following
    for state, weight in weights.items():
        tally.add(state, weight)
    return tally


def sweep(timelines: Sequence[Timeline], case: CrashCase) -> Swept:
    """Judge *case* on every timeline; its strikes are as likely as each other, and so are the timelines."""
    total = Tally()
    strikes: dict[str, Tally] = {}
    each = []
    for timeline in timelines:
        own = Tally()
        instants = instants_of(case, timeline.header)
        for strike in case.strikes:
            tally = crash_monotone.sweep(timeline, strike, instants) or sweep_strike(timeline, strike, instants)
            own.merge(tally)
            if len(case.strikes) == 1:
                own.intervals = tally.intervals
            strikes.setdefault(strike.label, Tally()).merge(tally)
        each.append(own)
        total.merge(own)
    return Swept(total, strikes, tuple(each))


@dataclass(frozen=True)
class StandardErrors:
    """Standard errors of the mixed share, the unsafe share and the mean lost work (s); 0 where none is known."""

    mixed: float = 0.0
    unsafe: float = 0.0
    lost_s: float = 0.0


def standard_errors(swept: Swept, timelines: Sequence[Timeline]) -> StandardErrors:
    """From the spread over timelines, or over the checkpoints of a single one where they are independent.

    A single timeline's shares are exact; the errors tell how far the next one's may lie.  They are drawn
    from its own intervals only where no interval can touch the next (abstract domains whose persists end before
    the next checkpoint begins) or, where persists overlap, from batches of intervals; what a run draws once
    (clock offsets, phases) does not show in them.
    """
    tallies = swept.timelines
    if len(tallies) > 1:
        return StandardErrors(
            _error([tally.mixed_share for tally in tallies]),
            _error([tally.unsafe_share for tally in tallies]),
            _error([tally.lost_mean_s for tally in tallies]),
        )
    if not tallies or not timelines[0].redrawn_each_checkpoint:
        return StandardErrors()
    full = [interval for _, interval in sorted(tallies[0].intervals.items()) if interval.weight]
    size = 1 if timelines[0].intervals_apart else max(1, len(full) // 20)
    batches = [full[i : i + size] for i in range(0, len(full) - len(full) % size, size)]
    if len(batches) < 2:
        return StandardErrors()
    weights = [sum(i.weight for i in batch) for batch in batches]
    restored = [sum(i.restored for i in batch) for batch in batches]
    return StandardErrors(
        _ratio_error([sum(i.mixed for i in batch) for batch in batches], weights),
        _ratio_error([sum(i.unsafe for i in batch) for batch in batches], weights),
        _ratio_error([sum(i.lost_ps for i in batch) for batch in batches], restored) / PS,
    )


def _error(values: Sequence[float]) -> float:
    return stdev(values) / math.sqrt(len(values))


def _ratio_error(parts: Sequence[float], wholes: Sequence[float]) -> float:
    """Standard error of sum(parts) / sum(wholes), to first order, the pairs being independent."""
    mean = fmean(wholes)
    if not mean:
        return 0.0
    ratio = fmean(parts) / mean
    return _error([part - ratio * whole for part, whole in zip(parts, wholes, strict=True)]) / mean

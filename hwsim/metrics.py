"""From traces to the content of `result.json`: the sweep's answers, and what the timelines themselves went through.

Several traces are timelines of one topology: shares and means are averaged over them, counts too, and the
standard errors come of their spread.

*Training* here is time that the job runs and does not wait for a checkpoint; training that a recovery threw
away is not counted in `ettr`.
"""

from __future__ import annotations

import gc
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean
from typing import TYPE_CHECKING, Any

from hwsim import checkers, crash_sweep
from hwsim.bilateral.judged import LinkJudge, judge
from hwsim.crash_tally import PS
from hwsim.crash_timeline import Recovery, Timeline
from hwsim.faults import Fault
from hwsim.outcomes import Outcome
from hwsim.topology import expectations
from hwsim.trace import Trace

if TYPE_CHECKING:
    from hwsim.topology.spec import Expectation

# Faults that leave the job running: they are counted, but nothing recovers from them.
_JOB_LIVES = frozenset(kind for kind, fault in Fault.registry.items() if not fault.stops_job)


def evaluate(traces: Sequence[Trace], expect: Iterable[Expectation] = ()) -> dict[str, Any]:
    """Everything that `result.json` says of these timelines of one topology, but `wall_s`; *expect* is judged too."""
    collecting = gc.isenabled()
    gc.disable()  # nothing here makes cycles, and a day of rows takes half as long again with it
    try:
        return _evaluate(traces, expect)
    finally:
        if collecting:
            gc.enable()


def _evaluate(traces: Sequence[Trace], expect: Iterable[Expectation]) -> dict[str, Any]:
    header = traces[0].header
    result: dict[str, Any] = {
        "hwsim": {"version": hwsim_version(), "topology_sha256": header.topology_sha256, "seed": header.seed},
        "topology": header.topology,
        "horizon_s": header.horizon_ps / PS,
        "warm_up_s": header.warm_up_ps / PS,
        "events": sum(map(len, traces)),
    }
    timelines = [Timeline(trace) for trace in traces] if header.takes_checkpoints else []
    if header.takes_checkpoints:
        result |= _of_checkpoints(traces, timelines)
    else:
        result["faults"] = _faults(traces)
    judged = [judge(trace) for trace in traces]
    counted = [trace.figures.get("links", {}) for trace in traces]
    result["links"] = _links(counted, judged, traces)
    result["verdicts"] = {verdict.name: verdict.to_json() for verdict in checkers.check_all(traces, timelines, judged)}
    result["expect"] = expectations.judge(expect, result)
    return result


def _of_checkpoints(traces: Sequence[Trace], timelines: Sequence[Timeline]) -> dict[str, Any]:
    """What a crash at any instant would leave, and what the checkpoints went through."""
    header = traces[0].header
    result: dict[str, Any] = {"raw": {}, "recovered": {}, "what_if": {}}
    for number, case in enumerate(header.crashes):
        found = crash_sweep.sweep(timelines, case)
        errors = crash_sweep.standard_errors(found, timelines)
        raw = found.total.raw_json(errors.mixed)
        recovered = found.total.recovered_json(errors.unsafe, errors.lost_s)
        if number == 0:
            result["raw"], result["recovered"] = raw, recovered
        else:
            result["what_if"][case.name] = {"raw": raw, "recovered": recovered, "worst": found.worst}
    histories = [_History.of(trace) for trace in traces]
    result["crashes"] = _crashes(traces, timelines)
    result["checkpoints"] = _checkpoints(traces, histories)
    result["ettr"] = fmean(history.trained_ps / history.horizon_ps for history in histories)
    errnos = sorted({errno for history in histories for errno in history.failures})
    result["failures"] = {errno: _mean(history.failures[errno] for history in histories) for errno in errnos}
    result["messages"] = _messages(traces, histories)
    return result


def _faults(traces: Sequence[Trace]) -> dict[str, float]:
    """How often each fault struck, where there is no job that recovers from it."""
    struck = Counter(row.subject for trace in traces for row in trace if row.event == "struck")
    return {name: _per(count, len(traces)) for name, count in {"all": struck.total(), **struck}.items()}


def hwsim_version() -> str:
    """The version of hwsim that is installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version("hwsim")
    except PackageNotFoundError:  # run from a bare checkout
        return "0"


@dataclass
class _History:
    """What the programs of one timeline said."""

    horizon_ps: int
    begun: dict[int, int] = field(default_factory=dict)  # checkpoint -> when
    committed: dict[int, int] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)
    stalled_ps: int = 0
    trained_ps: int = 0  # training that the end of the timeline still holds
    sent: Counter[int] = field(default_factory=Counter)  # messages by checkpoint
    failures: Counter[str] = field(default_factory=Counter)  # operations that failed, by errno

    @classmethod
    def of(cls, trace: Trace) -> _History:
        history = cls(trace.header.horizon_ps)
        cut = {0: 0}  # checkpoint -> training done at its cut
        running, stalled_since, clock, trained = True, None, 0, 0
        for row in trace:
            if row.event not in _HEARD:
                continue
            if running and stalled_since is None:
                trained += row.time_ps - clock
            clock = row.time_ps
            epoch = row.epoch or 0
            if row.event == "sent":
                history.sent[epoch] += 1
                continue
            history.counts[row.event] += 1
            if row.event == "failed":
                history.failures[row.detail or ""] += 1
            elif row.event == "checkpoint_begun":
                history.begun.setdefault(epoch, clock)
                cut.setdefault(epoch, trained)
            elif row.event == "epoch_committed":
                history.committed.setdefault(epoch, clock)
            elif row.event == "training_stalled":
                stalled_since = clock if stalled_since is None else stalled_since
            elif row.event in ("training_resumed", "job_stopped"):
                if stalled_since is not None:
                    history.stalled_ps += clock - stalled_since
                    stalled_since = None
                running = running and row.event != "job_stopped"
            elif row.event == "recovered":
                if row.detail not in ("mixed", "corrupt", "hang"):
                    trained = cut.get(epoch, 0)
            elif row.event == "job_resumed":
                running = True
        if running and stalled_since is None:
            trained += history.horizon_ps - clock
        if stalled_since is not None:
            history.stalled_ps += history.horizon_ps - stalled_since
        history.trained_ps = trained
        return history

    @property
    def latencies_s(self) -> list[float]:
        """Commit latencies, s: from the cut to the acknowledgement."""
        return [(when - self.begun[epoch]) / PS for epoch, when in self.committed.items() if epoch in self.begun]


_HEARD = frozenset(
    (
        "sent",
        "failed",
        "save_failed",
        "checkpoint_begun",
        "checkpoint_skipped",
        "checkpoint_abandoned",
        "snapshot_taken",
        "epoch_committed",
        "training_stalled",
        "training_resumed",
        "job_stopped",
        "recovered",
        "job_resumed",
    )
)


def _checkpoints(traces: Sequence[Trace], histories: Sequence[_History]) -> dict[str, Any]:
    latencies = sorted(latency for history in histories for latency in history.latencies_s)
    begun = sum(len(history.begun) for history in histories)
    stalled = sum(history.stalled_ps for history in histories)
    bound = Counter(bound for trace in traces if (bound := trace.figures.get("bound_by")))
    return {
        "begun": _mean(len(history.begun) for history in histories),
        "committed": _mean(len(history.committed) for history in histories),
        "skipped": _mean(history.counts["checkpoint_skipped"] for history in histories),
        "abandoned": _mean(history.counts["checkpoint_abandoned"] for history in histories),
        "failed_saves": _mean(history.counts["save_failed"] for history in histories),
        "snapshots": _mean(history.counts["snapshot_taken"] for history in histories),
        "commit_latency_s": {
            "mean": fmean(latencies),
            "p50": quantile(latencies, 0.5),
            "p99": quantile(latencies, 0.99),
        }
        if latencies
        else {},
        "stall_s": {"mean": stalled / begun / PS} if begun else {},
        "bound_by": bound.most_common(1)[0][0] if bound else None,
    }


def quantile(ascending: Sequence[float], share: float) -> float:
    """The least value at or below which at least *share* of the values lie; *ascending* is not empty."""
    return ascending[max(0, math.ceil(share * len(ascending)) - 1)]


def _messages(traces: Sequence[Trace], histories: Sequence[_History]) -> dict[str, Any]:
    """Totals, and how many were sent for a checkpoint that was committed, on average."""
    told: dict[str, Any] = {}
    for name in ("sent", "delivered", "dropped"):
        counts = [trace.figures.get("messages", {}).get(name) for trace in traces]
        told[name] = _mean(
            sum(row[1] == name for row in trace.rows) if count is None else count
            for trace, count in zip(traces, counts, strict=True)
        )
    committed = [history.sent[epoch] for history in histories for epoch in history.committed]
    told["per_checkpoint"] = fmean(committed) if committed else 0.0
    return told


def _crashes(traces: Sequence[Trace], timelines: Sequence[Timeline]) -> dict[str, Any]:
    """Faults that really struck, by their names: how often, and how the recoveries from them ended.

    Every fault that stopped the job, or struck while it was down, is counted with the recovery that followed it.
    """
    found: dict[str, list[Recovery | None]] = {"all": []}
    for trace, timeline in zip(traces, timelines, strict=True):
        recoveries = iter(timeline.recoveries())
        stops = {row.time_ps for row in trace if row.event == "job_stopped"}
        down = False
        waiting: list[str] = []
        for row in trace:
            if row.event == "job_stopped":
                down = True
            elif row.event == "job_resumed":
                down = False
            elif row.event == "struck":
                if row.detail not in _JOB_LIVES and (down or row.time_ps in stops):
                    waiting.append(row.subject)
                else:
                    _note(found, row.subject, None)
            elif row.event == "recovered":
                recovery = next(recoveries)
                for name in waiting:
                    _note(found, name, recovery)
                waiting.clear()
        for name in waiting:
            _note(found, name, None)
    return {name: _crash_figures(recoveries, len(traces)) for name, recoveries in found.items()}


def _note(found: dict[str, list[Recovery | None]], name: str, recovery: Recovery | None) -> None:
    found["all"].append(recovery)
    found.setdefault(name, []).append(recovery)


def _crash_figures(recoveries: Sequence[Recovery | None], timelines: int) -> dict[str, Any]:
    counted = Counter(recovery.outcome for recovery in recoveries if recovery is not None)
    lost = [recovery.lost_ps for recovery in recoveries if recovery is not None and recovery.lost_ps is not None]
    return {
        "count": _per(len(recoveries), timelines),
        "outcomes": {
            str(outcome): _per(counted[outcome], timelines) for outcome in reversed(Outcome) if counted[outcome]
        },
        "lost_work_s": {"mean": fmean(lost) / PS, "max": max(lost) / PS} if lost else {},
    }


def _per(count: int, timelines: int) -> int | float:
    return count if timelines == 1 else count / timelines


def _mean(values: Iterable[float]) -> float:
    """The mean; a single value stays what it is."""
    found = list(values)
    return found[0] if len(found) == 1 else fmean(found)


def _links(
    counted: Sequence[Mapping[str, Any]], judged: Sequence[Mapping[str, LinkJudge]], traces: Sequence[Trace]
) -> dict[str, Any]:
    """Counts of frames as the links kept them; of bilateral ones also what the trace tells of rounds and tokens."""
    links = _average(counted)
    for name in judged[0]:
        told = links.setdefault(name, {})
        told.update(_bilateral([each[name] for each in judged], traces))
        if told["rounds_settled"]:
            told["sent_per_round"] = told.get("sent", 0) / told["rounds_settled"]
    return links


def _bilateral(links: Sequence[LinkJudge], traces: Sequence[Trace]) -> dict[str, Any]:
    count = len(links)
    window = sum(trace.header.horizon_ps - trace.header.warm_up_ps for trace in traces)

    def per(values: Iterable[int]) -> int | float:
        return _per(sum(values), count)

    return {
        "rounds_settled": per(link.settled for link in links),
        "rounds_committed": per(link.committed for link in links),
        "rounds_reversed": per(link.reversed for link in links),
        "tokens_lost": per(len(link.lost) for link in links),
        "tokens_cloned": per(len(link.cloned) for link in links),
        "fenced": per(link.fenced for link in links),
        "in_doubt_share": sum(link.doubt_ps for link in links) / window,
        "in_doubt_s": _spread(time for link in links for time in link.doubts),
        "exchange_latency_s": _spread(time for link in links for time in link.exchanges),
        "closing_latency_s": _spread(time for link in links for time in link.closings),
        "last_progress_s": max(link.last_ps for link in links) / PS,
        "agrees_at_the_end": per(link.agrees for link in links),
    }


def _spread(times_ps: Iterable[int]) -> dict[str, float]:
    times = sorted(time / PS for time in times_ps)
    if not times:
        return {}
    return {"mean": fmean(times), "p50": quantile(times, 0.5), "p99": quantile(times, 0.99), "max": times[-1]}


def _average(figures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Nested counts of several timelines, averaged key by key; an absent one is 0, other values are the first's."""
    if len(figures) == 1:
        return dict(figures[0])
    merged: dict[str, Any] = {}
    for key in dict.fromkeys(key for each in figures for key in each):
        values = [each[key] for each in figures if key in each]
        if isinstance(values[0], Mapping):
            merged[key] = _average([each.get(key, {}) for each in figures])
        elif isinstance(values[0], int | float):
            merged[key] = sum(values) / len(figures)
        else:
            merged[key] = values[0]
    return merged

"""A naive judge of crash instants: replays a trace from its start for one instant, by plain loops over resolutions."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping
from fractions import Fraction
from typing import Any, NamedTuple

from naive_reader import brute

from hwsim.contents import NOTHING, TORN, Contents, decode
from hwsim.outcomes import Handed, Outcome
from hwsim.trace import Header, Part, Strike, Trace


class Found(NamedTuple):
    raw: str
    at_latest: int
    distinct: int
    spread: int
    worst: str
    best: str
    unprotected: bool
    lost_ps: int | None


def at(trace: Trace, strike: Strike, instant: int) -> Found:
    """Everything about a crash at *instant*, after all rows up to it."""
    header: Header = trace.header
    needs = {place: set(tokens) for place, tokens in header.places.items()}
    holdings: dict[tuple[str, str, str], Contents] = {}
    down: set[str] = set()
    begun = acknowledged = 0
    work, running, clock = 0, True, 0
    cut = {0: 0}
    numbers: dict[int, int] = {}
    for row in trace:
        if row.time_ps > instant:
            break
        if running:
            work += row.time_ps - clock
        clock = row.time_ps
        if row.place is not None:
            holdings.pop((row.part or "", row.slot or "", row.place), None)
            if row.may is not None:
                holdings[row.part or "", row.slot or "", row.place] = decode(row.may)
        if row.event == "dependence_changed":
            needs[row.peer or ""] = set(json.loads(row.detail or ""))
        if row.event == "stopped" and row.subject in header.participants:
            down.add(row.subject)
        if row.event == "restored":
            down.discard(row.subject)
        if row.event == "checkpoint_begun":
            begun = max(begun, row.epoch or 0)
            numbers[row.epoch or 0] = int(row.detail or row.epoch or 0)
            cut.setdefault(row.epoch or 0, work)
        if row.event == "epoch_committed":
            acknowledged = max(acknowledged, row.epoch or 0)
        if row.event == "job_stopped":
            running = False
        if row.event == "recovered" and row.detail != "hang":
            acknowledged = row.epoch or 0
            if row.detail not in ("mixed", "corrupt"):
                work = cut.get(row.epoch or 0, 0)
        if row.event == "job_resumed":
            running = True
    if running:
        work += instant - clock

    lives = {place for place, tokens in needs.items() if not tokens & set(strike.takes)}
    found: dict[tuple[str, str], Contents] = {}
    slots = {(part, slot) for part, slot, _ in holdings}
    stacks = {part.name: part.stack for part in header.parts}
    for part, slot in slots:
        possible: set[int] = set()
        for place in stacks[part]:
            if place in lives and (part, slot, place) in holdings:
                possible |= holdings[part, slot, place]
                if not set(header.doubts.get(place, ())) & set(strike.takes):
                    break
        else:
            possible |= {NOTHING} if possible else set()
        if possible:
            found[part, slot] = frozenset(possible)
    vector = [_newest(part, found) for part in header.parts if part.shard >= 0 and set(part.stack) & lives]
    if down:
        raw = "dark"
    elif any(values == {TORN} for values in vector):
        raw = "torn"
    elif any(len(values) > 1 for values in vector):
        raw = "indeterminate"
    else:
        raw = "mixed" if len(set().union(*vector)) > 1 else "uniform"
    sure = [max(values) for values in vector] if raw in ("mixed", "uniform") else []
    written = _written(header.parts, found)
    judged = sorted(
        (_judge(handed, acknowledged, written), handed.epoch if handed.epoch is not None else -1, handed)
        for handed in brute(header.rule, header.rule_params, list(header.parts), found, numbers)
    )
    rank = list(Outcome)
    order = {j: (rank.index(Outcome(j[0])), j[1] if _safe(j[2], acknowledged) else -1) for j in judged}
    worst, epoch, handed = min(judged, key=order.__getitem__)
    best = max(judged, key=lambda j: rank.index(Outcome(j[0])))[0]
    return Found(
        raw,
        sure.count(begun),
        max(1, len(set(sure))) if raw in ("mixed", "uniform") else 0,
        max(sure, default=0) - min(sure, default=0),
        worst,
        best,
        not all(_safe(j[2], acknowledged) for j in judged),
        work - cut.get(epoch, 0) if _safe(handed, acknowledged) else None,
    )


def _safe(handed: Handed, acknowledged: int) -> bool:
    return handed.kind == "whole" and not (handed.epoch == 0 and acknowledged)


def _newest(part: Part, found: Mapping[tuple[str, str], Contents]) -> set[int]:
    """The newest whole checkpoint of a part, under every resolution of its slots."""
    slots = [sorted(may) for (name, _), may in found.items() if name == part.name]
    values = set()
    for choice in itertools.product(*slots):
        wholes = [member for member in choice if member >= 0]
        values.add(max(wholes) if wholes else TORN if TORN in choice else 0)
    return values


def _written(parts: tuple[Part, ...], found: Mapping[tuple[str, str], Contents]) -> int:
    shards = {part.shard for part in parts if part.shard >= 0}
    may: dict[int, set[int]] = {shard: {0} for shard in shards}
    for part in parts:
        if part.shard >= 0:
            for (name, _), contents in found.items():
                if name == part.name:
                    may[part.shard] |= contents - {NOTHING, TORN}
    return max(set.intersection(*may.values()))


def _judge(handed: Handed, acknowledged: int, written: int) -> str:
    if handed.kind == "mixed":
        return "silent_mixed"
    if handed.kind == "corrupt":
        return "silent_corrupt"
    if handed.kind == "hang":
        return "hang"
    if handed.kind == "refused":
        return "lost_committed" if acknowledged else "refused"
    assert handed.epoch is not None
    if handed.epoch < acknowledged:
        return "lost_committed" if handed.epoch else "silent_restart"
    return "correct_older" if handed.epoch < written else "correct_latest"


def shares(trace: Trace, strike: Strike, start: int, end: int) -> dict[str, Any]:
    """All shares over [start, end), by judging one instant between every two events."""
    times = sorted({start, end} | {row.time_ps for row in trace if start < row.time_ps < end})
    sums: dict[str, Any] = {key: {} for key in ("raw", "at_latest", "distinct", "spread", "worst", "best")}
    sums |= {"unprotected": 0, "lost": Fraction(0), "restored": 0, "undecided": 0, "lost_max": 0}
    for begin, until in itertools.pairwise(times):
        length = until - begin
        now = at(trace, strike, begin)
        for key in ("raw", "worst", "best"):
            sums[key][getattr(now, key)] = sums[key].get(getattr(now, key), 0) + length
        if now.raw in ("mixed", "uniform"):
            for key in ("at_latest", "distinct", "spread"):
                sums[key][getattr(now, key)] = sums[key].get(getattr(now, key), 0) + length
        sums["unprotected"] += length * now.unprotected
        sums["undecided"] += length * (now.worst != now.best)
        if now.lost_ps is not None:
            later = at(trace, strike, until - 1).lost_ps
            assert later is not None
            growing = until - begin > 1 and later > now.lost_ps
            sums["restored"] += length
            sums["lost"] += length * now.lost_ps + (Fraction(length * length, 2) if growing else 0)
            sums["lost_max"] = max(sums["lost_max"], now.lost_ps + (length if growing else 0))
    return sums

"""What an exploration found, as the `explore` part of a result: counts, flips, coverage, and the worst of each kind.

Every strike of a target at a point is judged by the worst outcome that its doubts allow.  Where the job learns of a
crash only later, and no execution stands for a strike (the budget was spent), it is judged as if the crash were noticed
at once, and counted in `as_if_noticed`: what survivors do meanwhile nobody has looked at.

*Flips* are the events at which the checkpoint that a power loss of everything would hand back changes for sure; between
the old and the new one it may be in doubt for a few events.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from hwsim.checkers import promised
from hwsim.crash_timeline import RawClass
from hwsim.explore.execution import BAD, Ending
from hwsim.explore.search import Found, Plan
from hwsim.explore.targets import EVERYTHING, Target
from hwsim.explore.window import describe
from hwsim.outcomes import WHOLE, Handed, Outcome, worst
from hwsim.verdicts import Value

PS = 1e12


@dataclass(frozen=True)
class Worst:
    """The earliest strike that may end in an outcome."""

    outcome: Outcome
    point: int
    target: Target
    ending: Ending | None  # the execution that shows it, where it was not only foreseen


def tally(made: Plan, found: Found, *, crashes: int) -> tuple[dict[str, Any], tuple[Worst, ...]]:
    """The `explore` part of a result, and the worst strikes."""
    points, targets = made.window.points, made.targets
    verdicts, first = _judge(made, found)
    counted = Counter(worst(outcomes) for outcomes in verdicts.values() if outcomes)
    rode = sum(not outcomes for outcomes in verdicts.values())
    strikes = len(points) * len(targets)
    live = {task[:2] for task, _ in found.done}
    at_once = sum(
        made.late and not made.alone[index] and found.task_of[number, index][:2] not in live
        for number, index in verdicts
    )
    told: dict[str, Any] = {
        "checkpoint": made.window.checkpoint,
        "from_s": points[0].time_ps / PS if points else None,
        "to_s": points[-1].time_ps / PS if points else None,
        "points": len(points),
        "targets": len(targets),
        "strikes": strikes,
        "judged": len(verdicts),
        "left_out": strikes - len(verdicts),
        "as_if_noticed": at_once,
        "outcomes": {str(outcome): counted[outcome] for outcome in reversed(Outcome) if counted[outcome]},
        "rode_through": rode,
        "unsafe": sum(count for outcome, count in counted.items() if outcome.unsafe),
        **_prefixes(made),
        "live": _live(made, found),
    }
    if crashes > 1:
        told["pairs"] = _pairs(found)
    told["coverage"] = _coverage(made, found, told, crashes)
    told["checkers"] = _checkers(made, found)
    told["violations"] = told["unsafe"] + sum(counted[bad] for bad in (Outcome.HANG, Outcome.CRASH_LOOP))
    told["violations"] += told.get("pairs", {}).get("violations", 0)
    told["violations"] += sum(detail != "holds" for detail in told["checkers"].values())
    worsts = tuple(first[outcome] for outcome in BAD if outcome in first)
    told["worst"] = [_tell(made, one) for one in worsts]
    return told, worsts


def _judge(made: Plan, found: Found) -> tuple[dict[tuple[int, int], frozenset[Outcome]], dict[Outcome, Worst]]:
    """The outcomes of every strike that was judged, and the earliest strike of each outcome."""
    live: dict[tuple[int, int], tuple[frozenset[Outcome], Ending]] = {}
    for task, ending in (*found.more, *found.done):
        known = live.get(task[:2], (frozenset(), ending))
        live[task[:2]] = known[0] | ending.outcomes, ending if not known[0] else known[1]
    verdicts: dict[tuple[int, int], frozenset[Outcome]] = {}
    first: dict[Outcome, Worst] = {}
    for number in range(len(made.window.points)):
        for index, target in enumerate(made.targets):
            shown = live.get(found.task_of[number, index][:2])
            foreseen = made.foreseen[index]
            outcomes = shown[0] if shown is not None else None
            if foreseen is not None and (outcomes is None or not made.late):
                outcomes = (outcomes or frozenset()) | foreseen[number].outcomes
            if outcomes is None:
                continue
            verdicts[number, index] = outcomes
            for outcome in outcomes:
                if outcome not in first:
                    first[outcome] = Worst(outcome, number, target, shown[1] if shown is not None else None)
    for task, ending in found.pairs:
        for outcome in ending.outcomes:
            if outcome not in first:
                first[outcome] = Worst(outcome, task.point, made.targets[task.target], ending)
    return verdicts, first


def _prefixes(made: Plan) -> dict[str, Any]:
    """What a power loss of everything would find and hand back, from point to point."""
    everything = next(
        (seen for target, seen in zip(made.targets, made.foreseen, strict=True) if target.label == EVERYTHING), None
    )
    if everything is None:
        return {}
    flips: list[dict[str, Any]] = []
    sure: Handed | None = None
    since: int | None = None
    for number, seen in enumerate(everything):
        if len(seen.handed) > 1:
            since = number if since is None else since
            continue
        (now,) = seen.handed
        if sure is not None and now != sure:
            at = number if since is None else since
            point = made.window.points[at]
            flips.append(
                {
                    "event": point.step, "time_s": point.time_ps / PS, "after": describe(made.window.trace, point),
                    "from": _named(sure), "to": _named(now), "in_doubt_for": 0 if since is None else number - since,
                }
            )  # fmt: skip
        sure, since = now, None
    return {
        "mixed": sum(Outcome.SILENT_MIXED in seen.outcomes for seen in everything),
        "corrupt": sum(Outcome.SILENT_CORRUPT in seen.outcomes for seen in everything),
        "raw_mixed": sum(seen.raw is RawClass.MIXED for seen in everything),
        "prefixes": len({seen.left for seen in everything}),
        "mixed_prefixes": len({seen.left for seen in everything if Outcome.SILENT_MIXED in seen.outcomes}),
        "raw_mixed_prefixes": len({seen.left for seen in everything if seen.raw is RawClass.MIXED}),
        "in_doubt": sum(len(seen.handed) > 1 for seen in everything),
        "flips": len(flips),
        "flip_events": flips,
    }


def _named(handed: Handed) -> str:
    return f"checkpoint {handed.epoch}" if handed.kind == WHOLE else handed.kind


def _live(made: Plan, found: Found) -> dict[str, Any]:
    executed = [ending for _, ending in (*found.done, *found.more)]
    open_ = [prod(map(len, ending.options)) for _, ending in found.done if not ending.merged]
    others = len(found.more)
    return {
        "wanted": len(found.tasks),
        "executed": len(found.done),
        "left_out": len(found.tasks) - len(found.done),
        "stand_for": sum(task.stands_for for task, _ in found.done),
        "merged": sum(ending.merged for _, ending in found.done),
        "distinct": len({ending.states[0] for ending in executed if ending.states}),
        "resolutions": {"executed": len(open_) + others, "of": min(sum(open_), 10**15)},
    }


def _pairs(found: Found) -> dict[str, Any]:
    counted = Counter(worst(ending.outcomes) for _, ending in found.pairs if ending.outcomes)
    return {
        "of": found.pairs_of,
        "executed": len(found.pairs),
        "outcomes": {str(outcome): counted[outcome] for outcome in reversed(Outcome) if counted[outcome]},
        "violations": sum(count for outcome, count in counted.items() if outcome in BAD),
    }


def _coverage(made: Plan, found: Found, told: Mapping[str, Any], crashes: int) -> str:
    """One sentence: what was looked at, of how much."""
    live = told["live"]
    judged = "every strike judged" if not told["left_out"] else f"{told['judged']:,} of {told['strikes']:,} judged"
    if told["as_if_noticed"]:
        detect = f"{made.topology.workload.restart.detect / PS:g} s"
        judged += (
            f", but {told['as_if_noticed']:,} only as if the job noticed the crash at once: it does after {detect}, "
            "and what survivors do until then was not executed for these"
        )
    if live["left_out"]:
        live_said = f"{live['executed']:,} of {live['wanted']:,} different ones executed, evenly spread"
    else:
        live_said = f"all {live['wanted']:,} different ones executed"
    said = f"{judged}; {live_said}"
    ways = live["resolutions"]
    if ways["executed"] < ways["of"]:
        said += f", {ways['executed']:,} of {ways['of']:,} ways for their doubts to end (all of them judged)"
    if crashes > 1:
        pairs = told["pairs"]
        whole = pairs["executed"] == pairs["of"]
        of = "all" if whole else f"{pairs['executed']:,} of"
        said += f"; {of} {pairs['of']:,} second strikes executed, until a checkpoint is acknowledged again"
    exhaustive = not told["left_out"] and not live["left_out"]
    if exhaustive and (crashes == 1 or told["pairs"]["executed"] == told["pairs"]["of"]):
        said = f"exhaustive: {said}"
    return said


def _checkers(made: Plan, found: Found) -> dict[str, str]:
    """Checkers over the trace without a crash, and those that executions violate although their outcomes are good."""
    told: dict[str, str] = {}
    if made.window.stuck:
        told["progress"] = made.window.stuck
    for verdict in promised(made.window.trace):
        told[verdict.name] = verdict.detail if verdict.value is Value.VIOLATED else "holds"
    for _, ending in (*found.done, *found.more, *found.pairs):
        if not ending.outcomes & frozenset(BAD):
            for name, detail in ending.broken:
                told.setdefault(name, detail)
    return told


def _tell(made: Plan, one: Worst) -> dict[str, Any]:
    point = made.window.points[one.point]
    told = {
        "outcome": str(one.outcome), "event": point.step, "time_s": point.time_ps / PS,
        "after": describe(made.window.trace, point), "kind": one.target.kind, "target": one.target.label,
    }  # fmt: skip
    if one.ending is not None and len(one.ending.struck) > 1:
        second = one.ending.struck[1]
        told["then"] = {"event": second.step, "time_s": second.time_ps / PS, "kind": second.kind,
                        "target": second.label}  # fmt: skip
    return told


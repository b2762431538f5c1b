"""What must come out of a run: the keys that a result can hold, the comparisons, and their judgement.

`== != < <= > >=` with a value or a name; `== V +- tol`; `== V +- 4se` (standard errors that the result states
for the same part of it); `in [a, b]`.  A count or a bucket that the result does not hold is 0.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from hwsim.faults import Fault
from hwsim.outcomes import Outcome
from hwsim.topology.document import nearest
from hwsim.topology.spec import Expectation

EXACT = 1e-12  # what the rounding of floats may add up to; far below any share that a run can show

_COMPARISON = re.compile(r"\s*(==|!=|<=|>=|<|>)\s*(.*?)\s*\Z", re.DOTALL)
_RANGE = re.compile(r"\s*in\s*\[\s*([^,\]]+?)\s*,\s*([^,\]]+?)\s*\]\s*\Z")
_TOLERANCE = re.compile(r"(.*?)\s*(?:\+-|±)\s*(\S+?)\s*(se)?\s*\Z")
_NUMBER = re.compile(r"[-+]?(\d+(\.\d*)?|\.\d+)([eE][-+]?\d+)?\Z")

NUMBER, TEXT = "number", "text"

Tree = Mapping[str, Any]
# Of nothing they do not exist, where a count is 0.
_STATISTICS = frozenset({"mean", "p50", "p99", "max", "se", "sent_per_round"})


def _statistics(*names: str) -> Tree:
    return dict.fromkeys(names, NUMBER)


_BUCKETS: Tree = {"<number>": NUMBER}
_OUTCOMES: Tree = {outcome.value: NUMBER for outcome in Outcome}
_RAW: Tree = {
    "method": TEXT,
    "se": NUMBER,
    "uniform_share": NUMBER,
    "mixed_share": NUMBER,
    "torn_share": NUMBER,
    "indeterminate_share": NUMBER,
    "dark_share": NUMBER,
    "at_latest": _BUCKETS,
    "distinct": _BUCKETS,
    "spread": _BUCKETS,
}
_RECOVERED: Tree = {
    "outcomes": _OUTCOMES,
    "unsafe_share": NUMBER,
    "unprotected_share": NUMBER,
    "lost_work_s": _statistics("mean", "max", "se"),
    "undecided_share": NUMBER,
    "se": NUMBER,
    "best_case": {"outcomes": _OUTCOMES, "unsafe_share": NUMBER, "unprotected_share": NUMBER},
}
_CRASHES: Tree = {"count": NUMBER, "outcomes": _OUTCOMES, "lost_work_s": _statistics("mean", "max")}
_RESULT: Tree = {
    "hwsim": {"version": TEXT, "topology_sha256": TEXT, "seed": NUMBER},
    "topology": TEXT,
    "horizon_s": NUMBER,
    "warm_up_s": NUMBER,
    "events": NUMBER,
    "wall_s": NUMBER,
    "raw": _RAW,
    "recovered": _RECOVERED,
    "what_if": {"<what-if>": {"raw": _RAW, "recovered": _RECOVERED, "worst": TEXT}},
    "crashes": {"<fault>": _CRASHES},
    "checkpoints": {
        "begun": NUMBER,
        "committed": NUMBER,
        "skipped": NUMBER,
        "abandoned": NUMBER,
        "failed_saves": NUMBER,
        "snapshots": NUMBER,
        "commit_latency_s": _statistics("mean", "p50", "p99"),
        "stall_s": _statistics("mean"),
        "bound_by": TEXT,
    },
    "failures": {errno: NUMBER for fault in Fault.registry.values() if (errno := fault.errno) is not None},
    "ettr": NUMBER,
    "messages": {"sent": NUMBER, "delivered": NUMBER, "dropped": NUMBER, "per_checkpoint": NUMBER},
    "links": {
        "<link>": {
            "sent": NUMBER,
            "delivered": NUMBER,
            "dropped": {"<reason>": NUMBER},
            "fenced": NUMBER,
            "faults": {"<reason>": NUMBER},
            "transitions": {"<reason>": NUMBER},
            "crashes": NUMBER,
            "alarms": NUMBER,
            "writes": NUMBER,
            "rounds_settled": NUMBER,
            "rounds_committed": NUMBER,
            "rounds_reversed": NUMBER,
            "sent_per_round": NUMBER,
            "tokens_lost": NUMBER,
            "tokens_cloned": NUMBER,
            "in_doubt_share": NUMBER,
            "in_doubt_s": _statistics("mean", "p50", "p99", "max"),
            "exchange_latency_s": _statistics("mean", "p50", "p99", "max"),
            "closing_latency_s": _statistics("mean", "p50", "p99", "max"),
            "last_progress_s": NUMBER,
            "agrees_at_the_end": NUMBER,
            "frames_checked": NUMBER,
            "frames_agreed": NUMBER,
            "data_bytes": NUMBER,
            "data_frames": NUMBER,
            "data_frames_resent": NUMBER,
        }
    },
    "faults": {"<fault>": NUMBER},
    "verdicts": {"<verdict>": {"value": TEXT, "detail": TEXT}},
    "explore": {
        **_statistics(
            "checkpoint", "from_s", "to_s", "points", "targets", "strikes", "judged", "left_out",
            "as_if_noticed", "rode_through", "unsafe",
            "mixed", "corrupt", "raw_mixed", "prefixes", "mixed_prefixes", "raw_mixed_prefixes", "in_doubt", "flips",
            "violations",
        ),
        "outcomes": _OUTCOMES,
        "live": {
            **_statistics("wanted", "executed", "left_out", "stand_for", "merged", "distinct"),
            "resolutions": _statistics("executed", "of"),
        },
        "pairs": {**_statistics("of", "executed", "violations"), "outcomes": _OUTCOMES},
        "coverage": TEXT,
        "checkers": {"<checker>": TEXT},
    },
}


@dataclass(frozen=True)
class Known:
    """The names that the keys of one topology's result can hold; None: not known, so any."""

    what_if: tuple[str, ...] | None = None
    faults: tuple[str, ...] | None = None
    links: tuple[str, ...] | None = None


def key_problem(key: str, known: Known) -> tuple[str, str] | None:
    """Why no result can hold *key*, with the remedy; None where one can."""
    found = _lookup(key, known)
    return found if isinstance(found, tuple) else None


def holds_text(key: str) -> bool:
    """Whether a result holds a name under *key* (which exists), not a number."""
    return bool(_lookup(key, Known()) == TEXT)


def _lookup(key: str, known: Known) -> Any:
    """NUMBER or TEXT, or (problem, remedy)."""
    steps = key.split(".")
    here: Any = _RESULT
    for index, step in enumerate(steps):
        so_far = ".".join(steps[:index])
        if not isinstance(here, Mapping):
            return f"'{so_far}' holds no '{step}'", f"write '{so_far}' itself"
        wild = next((name for name in here if name.startswith("<")), None)
        if wild is None or step in here:
            if step not in here:
                near = nearest(step, here)
                whole = ".".join([*steps[:index], near]) if near else ""
                words = ", ".join(list(here)[:12])
                return "no result holds this key", f"did you mean '{whole}'?" if near else (
                    f"'{so_far}' holds {words}" if so_far else f"a result holds {words}"
                )
            here = here[step]
            continue
        names = {
            "<what-if>": known.what_if,
            "<link>": known.links,
            "<fault>": None if known.faults is None else ("all", *known.faults),
        }.get(wild)
        if wild == "<number>" and not step.isdecimal():
            return f"'{step}' is no bucket of '{so_far}'", "write a number, such as 2"
        if names is not None and step not in names:
            near = nearest(step, names)
            listed = f"there are {', '.join(names)}" if names else "there are none"
            return f"there is no {wild[1:-1]} '{step}'", f"did you mean '{near}'?" if near else listed
        here = here[wild]
    if isinstance(here, Mapping) and set(here) == {"<reason>"}:
        return NUMBER  # by reason, and all of them together
    if isinstance(here, Mapping):
        inside = ", ".join(list(here)[:12])
        return "this key holds more keys, not a value", f"write one of {inside} behind it"
    return here


def wanted_problem(key: str, wanted: str) -> tuple[str, str] | None:
    """Why *wanted* is no comparison that fits *key* (which exists), with the remedy; None where it is."""
    kind = _lookup(key, Known())
    example = "'== node0/nvme write'" if kind == TEXT else "'== 0', '> 0.1', '== 0.84 +- 0.01' or 'in [0, 1]'"
    span = _RANGE.match(wanted)
    if span is not None:
        if kind == TEXT:
            return f"'{wanted}': the value is a name, and lies in no range", f"write such as {example}"
        if not all(_NUMBER.match(bound) for bound in span.groups()):
            return f"'{wanted}': a bound is no number", "write such as in [0.1, 0.2]"
        if float(span[1]) > float(span[2]):
            return f"'{wanted}': the first bound is above the second", "swap them"
        return None
    match = _COMPARISON.match(wanted)
    if match is None or not match[2]:
        return f"'{wanted}' is no comparison", f"write such as {example}"
    operator, value = match.groups()
    tolerance = _TOLERANCE.match(value)
    if tolerance is not None and kind != TEXT:
        if operator != "==":
            return f"'{wanted}': a tolerance goes with == only", "write == V +- tolerance"
        if not _NUMBER.match(tolerance[1]) or not _NUMBER.match(tolerance[2]) or float(tolerance[2]) < 0:
            return f"'{wanted}': the value or the tolerance is no number", "write such as '== 0.84 +- 4se'"
        if tolerance[3] and not {"raw", "recovered"} & set(key.split(".")):
            return f"'{wanted}': no result states a standard error of this key", "write the tolerance as a number"
        return None
    if operator in ("<", "<=", ">", ">=") and (kind == TEXT or not _NUMBER.match(value)):
        return f"'{wanted}': {operator} compares numbers", f"write such as {example}"
    if kind == NUMBER and not _NUMBER.match(value):
        return f"'{wanted}': the value is a number, and '{value}' is none", f"write such as {example}"
    return None


def judge(expectations: Iterable[Expectation], result: Mapping[str, Any]) -> list[dict[str, Any]]:
    """Hold *expectations* against a result: `{key, wanted, got, holds}` of each.

    Keys of `explore` are left out where the result is not of an exploration.
    """
    judged = []
    for expectation in expectations:
        if expectation.key.startswith("explore.") and "explore" not in result:
            continue
        got = value_of(expectation.key, result)
        judged.append(
            {
                "key": expectation.key,
                "wanted": expectation.wanted,
                "got": got,
                "holds": holds(expectation.wanted, got, standard_error(expectation.key, result)),
            }
        )
    return judged


def value_of(key: str, result: Mapping[str, Any]) -> Any:
    """What *result* holds under *key*: an absent count or bucket is 0, an absent text is None."""
    here: Any = result
    steps = key.split(".")
    for step in steps:
        if not isinstance(here, Mapping) or step not in here:
            kind = _lookup(key, Known())
            # What a count or a bucket was not seen is 0; a mean of nothing does not exist.
            absent = steps[-1] in _STATISTICS
            return 0 if kind == NUMBER and not absent else None
        here = here[step]
    if isinstance(here, Mapping):  # `dropped` by reason, asked for as a whole
        return sum(value for value in here.values() if isinstance(value, int | float))
    return here


def standard_error(key: str, result: Mapping[str, Any]) -> float | None:
    """The standard error that *result* states for *key*: beside it, or for what it is a part of."""
    steps = key.split(".")
    scopes: list[Any] = []
    here: Any = result
    for step in steps[:-1]:
        scopes.append(here)
        here = here.get(step) if isinstance(here, Mapping) else None
    scopes.append(here)
    for scope in reversed(scopes):
        if not isinstance(scope, Mapping):
            continue
        for stated in (scope.get(f"{steps[-1]}_se"), scope.get("se")):
            if isinstance(stated, int | float) and not isinstance(stated, bool):
                return float(stated)
            if isinstance(stated, Mapping) and isinstance(stated.get(steps[-1]), int | float):
                return float(stated[steps[-1]])
    return None


def holds(wanted: str, got: Any, se: float | None = None) -> bool:
    """Whether *got* is as *wanted*; what cannot be compared does not hold."""
    span = _RANGE.match(wanted)
    if span is not None:
        return _is_number(got) and float(span[1]) - EXACT <= got <= float(span[2]) + EXACT
    match = _COMPARISON.match(wanted)
    if match is None:
        return False
    operator, value = match.groups()
    tolerance = _TOLERANCE.match(value)
    if tolerance is not None and _NUMBER.match(tolerance[1]) and _NUMBER.match(tolerance[2]):
        width = float(tolerance[2])
        if tolerance[3]:
            if se is None or not math.isfinite(se):
                return False
            width *= se
        return operator == "==" and _is_number(got) and abs(got - float(tolerance[1])) <= width + EXACT
    if _NUMBER.match(value) and _is_number(got):
        bound = float(value)
        same = abs(got - bound) <= EXACT * max(1.0, abs(bound))
        match operator:
            case "==":
                return bool(same)
            case "!=":
                return not same
            case "<":
                return bool(got < bound and not same)
            case ">":
                return bool(got > bound and not same)
            case "<=":
                return bool(got < bound or same)
            case _:
                return bool(got > bound or same)
    text = "true" if got is True else "false" if got is False else "" if got is None else str(got)
    if operator == "==":
        return got is not None and text == value.strip("'\"")
    return operator == "!=" and text != value.strip("'\"")


def _is_number(got: Any) -> bool:
    return isinstance(got, int | float) and not isinstance(got, bool) and math.isfinite(got)

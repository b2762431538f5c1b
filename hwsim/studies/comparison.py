"""Commit protocols side by side: one topology and seed under each of them, what each risks and what it costs.

Every protocol is measured on the whole run of the topology, as `hwsim run` would.  Then one role after another dies in
the middle of a commit and is away for one interval: the coordinator (of a tree, its root), a rank, all links of a rank.
Where ranks are in doubt on the way it dies in the middle of that, too, and the longer wait is told.  A role's death
*delays* by what the longest time without an acknowledgement is longer than in the same timeline without the death.

A protocol takes what the topology's own has of the parameters that it knows too; the rest are its defaults.  Of
Chandy-Lamport's application, which exists for its messages, no more is asked than some twenty a rank and interval.

Source: the roles and what dies with them are those of P. A. Bernstein, V. Hadzilacos, N. Goodman, Concurrency Control
and Recovery in Database Systems, 1987, chapter 7.

Not modelled: deaths of two roles at once; a death in a recovery (`hwsim explore --crashes 2`); parameters tuned for
each protocol (`--set protocol.KEY=VALUE` reaches every protocol that knows the key).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from os import PathLike
from statistics import fmean
from typing import TYPE_CHECKING, Any

from hwsim.answers import Say, answer, silent, unsafe_outcomes
from hwsim.errors import UserError
from hwsim.promises import doubts, in_doubt_share
from hwsim.topology import Change, load
from hwsim.topology.document import key_names
from hwsim.topology.registries import protocol_kinds, strikes
from hwsim.topology.spec import FaultSpec, Topology

if TYPE_CHECKING:
    from hwsim.promises import Doubt
    from hwsim.trace import Trace

PS = 10**12
REPLICATED = "manifest_replicated"  # a manifest whose record has copies
_COPIES = 3
_WORDS_PER_INTERVAL = 20
_MOST_MARKERS = 100_000
_MOST_INTERVALS = 20  # that are waited for an acknowledgement after a role died
COORDINATOR, RANK, LINKS = "coordinator", "rank", "links"


@dataclass(frozen=True)
class Comparison:
    """What was found: `result` is the content of result.json."""

    topology: Topology
    result: Mapping[str, Any]

    @property
    def all_safe(self) -> bool:
        """Whether no protocol has an unsafe outcome, under a what-if of the topology or a fault that struck either."""
        return not any(one["unsafe_in"] for one in self.result["protocols"].values())


def compare(
    path: str | PathLike[str],
    changed: Sequence[Change] = (),
    seed: int | None = None,
    *,
    protocols: Sequence[str] = (),
    say: Say = silent,
) -> Comparison:
    """Measure every one of *protocols* (all by default) on the topology at *path*.

    What cannot run there is named with the reason.  Raises UserError for mistakes in the topology, for a protocol
    that does not exist, and where none of those asked for can run.
    """
    from hwsim import __version__

    began = time.perf_counter()
    base = own(path, changed, seed)
    if base.protocol is None:
        raise UserError(f"{base.name}: its workload takes no checkpoints, so there are no commit protocols to compare")
    wanted = _chosen(protocols)
    told: dict[str, Any] = {}
    left_out: dict[str, str] = {}
    for name in wanted:
        found, made = contender(path, changed, seed, name, base)
        if name not in protocols and not isinstance(found, str):
            found = _too_talkative(found) or found
        if isinstance(found, str):
            left_out[name] = found
        else:
            told[name] = _measured(found, made, lambda stage, share, name=name: say(f"{name}: {stage}", share))  # type: ignore[misc]
    if not told:
        reasons = "".join(f"\n  {name}: {reason}" for name, reason in left_out.items())
        raise UserError(f"{base.name}: none of these protocols can run on it:{reasons}")
    result = {
        "hwsim": {"version": __version__, "topology_sha256": base.sha256, "seed": base.seed},
        "topology": base.name,
        "description": base.description,
        "horizon_s": base.horizon_ps / PS,
        "interval_s": base.workload.interval / PS,
        "shards": len({shard.shard for shard in base.shards}),
        "as_written": base.protocol.kind,
        "protocols": told,
        "left_out": left_out,
        "wall_s": round(time.perf_counter() - began, 3),
    }
    return Comparison(base, result)


def names() -> list[str]:
    """Everything that can be compared: each kind of protocol, and a manifest whose record has copies."""
    return sorted([*protocol_kinds(), REPLICATED])


def _chosen(asked: Sequence[str]) -> list[str]:
    known = names()
    unknown = [name for name in asked if name not in known and name != "all"]
    if unknown:
        raise UserError(f"no protocol is called '{unknown[0]}'; write all, or some of {', '.join(known)}")
    return known if not asked or "all" in asked else list(dict.fromkeys(asked))


# topologies


def own(path: str | PathLike[str], changed: Sequence[Change], seed: int | None) -> Topology:
    """The topology as its user has it; changes to a protocol that is not its own may be among *changed*."""
    try:
        return load(path, changed, seed)
    except UserError:
        others = [change for change in changed if not _key_of_some_protocol(change)]
        if len(others) == len(changed):
            raise
        return load(path, others, seed)


def contender(
    path: str | PathLike[str], changed: Sequence[Change], seed: int | None, name: str, base: Topology
) -> tuple[Topology | str, dict[str, Any]]:
    """The topology *base* of *path* under the protocol *name*, or why it cannot be; and what was set for it.

    Raises UserError where it is one of *changed* that is wrong.
    """
    kind = "manifest" if name == REPLICATED else name
    made: dict[str, Any] = {}
    if kind == "chandy_lamport" and base.protocol.kind != kind and "protocol.every" not in map(_key, changed):
        mean_ps = base.workload.interval // _WORDS_PER_INTERVAL
        if mean_ps > PS // 10:
            made["protocol.every"] = {"exponential": f"{mean_ps // 10**9}ms"}
    if name == REPLICATED:
        if base.protocol.kind == kind and len(base.protocol.manifest.to or ()) > 1:
            return "it is the topology's own manifest, whose record has copies", made
        devices = list(dict.fromkeys(_first_devices(base)))[:_COPIES]
        if len(devices) < 2:
            return f"there is one device for the record, {devices[0]}, and copies need two", made
        made |= {"protocol.manifest.to": devices, "protocol.manifest.wait_for": "majority"}
    own = [change for change in changed if _key_of_some_protocol(change) in (None, *key_names(protocol_kinds()[kind]))]
    bare: list[Change] = [("cases", {}), ("expect", {}), ("protocol.kind", kind)]
    try:
        return load(path, [*own, *bare, *made.items()], seed), made
    except UserError as error:
        asked = {f"--set {_key(change)}" for change in changed} | {f"--set {change}" for change in changed}
        wrong = [mistake for mistake in error.mistakes if mistake.file in asked]
        if wrong:
            raise UserError(wrong) from None
        return "; ".join(_reason(mistake) for mistake in error.mistakes[:2]) or str(error), made


def _too_talkative(topology: Topology) -> str | None:
    """Why a protocol with a message between every two ranks is not measured unless it is named."""
    ranks = len(dict.fromkeys(shard.source or shard.device for shard in topology.shards))
    checkpoints = topology.horizon_ps // topology.workload.interval
    messages = ranks * (ranks - 1) * checkpoints
    if topology.protocol.kind != "chandy_lamport" or messages <= _MOST_MARKERS:
        return None
    return f"{messages:,} markers would take long (name it in --protocols to have it all the same)"


def _reason(mistake: Any) -> str:
    _, _, key = mistake.key.partition(".")
    told = f"{key}: {mistake.problem}" if key and key != "kind" else str(mistake.problem)
    return f"{told} ({mistake.remedy})" if mistake.remedy else told


def _key(change: Change) -> str:
    return change.partition("=")[0].strip() if isinstance(change, str) else change[0]


def _key_of_some_protocol(change: Change) -> str | None:
    """The parameter that a change sets, if it sets one that some protocol knows."""
    steps = _key(change).split(".")
    known = {key for params in protocol_kinds().values() for key in key_names(params)} - {"kind"}
    return steps[1] if len(steps) > 1 and steps[0] == "protocol" and steps[1] in known else None


def _first_devices(topology: Topology) -> Iterator[str]:
    """Where the first shard of each node, or abstract domain, goes to."""
    seen: set[str] = set()
    for shard in topology.shards:
        home = _home(topology, shard.source or shard.device)
        if home[0] not in seen:
            seen.add(home[0])
            yield shard.device


def _home(topology: Topology, device: str) -> tuple[str, tuple[str, ...]]:
    """The node that a device is in, or itself, and all devices that fail with it."""
    node = topology.devices[device].node
    devices = (device,) if node is None else next(one.devices for one in topology.nodes if one.name == node)
    return node or device, devices


# figures


def _measured(topology: Topology, made: Mapping[str, Any], say: Say) -> dict[str, Any]:
    """All figures of one protocol."""
    found = answer(topology, say=say)
    result = found.result
    checkpoints = result["checkpoints"]
    told: dict[str, Any] = {
        "kind": topology.protocol.kind,
        "set": dict(made),
        "raw": {key: result["raw"][key] for key in ("mixed_share", "torn_share", "indeterminate_share", "se")},
        "recovered": {
            key: result["recovered"][key] for key in ("unsafe_share", "unprotected_share", "outcomes", "lost_work_s")
        },
        "unsafe_in": unsafe_outcomes(result),
        "checkpoints": {key: checkpoints[key] for key in ("begun", "committed", "commit_latency_s", "stall_s")},
        "messages_per_checkpoint": result["messages"]["per_checkpoint"],
        "rounds_per_checkpoint": _rounds(result),
        "bytes_per_checkpoint": _bytes(found.traces),
        "in_doubt_share": fmean(in_doubt_share(trace) for trace in found.traces),
        "ettr": result["ettr"],
        "what_if": {
            name: {key: case["recovered"][key] for key in ("unsafe_share", "unprotected_share")}
            for name, case in result["what_if"].items()
        },
        "violated": [name for name, verdict in result["verdicts"].items() if verdict["value"] == "violated"],
    }
    told["deaths"] = deaths(topology, lambda role: say(f"what if its {role} dies", None))
    return told


def _rounds(result: Mapping[str, Any]) -> float:
    """Rounds of bilateral links that committed, a checkpoint: what takes no messages of its own."""
    rounds = sum(link.get("rounds_committed", 0) for link in result["links"].values())
    committed = result["checkpoints"]["committed"]
    return rounds / committed if committed else 0.0


def _bytes(traces: Sequence[Trace]) -> dict[str, float]:
    """Bytes of an acknowledged checkpoint: `stored`, all of its copies and records, and the payload of `messages`.

    The latter is left out where messages cross no link: then they have a delay, and no size.
    """
    stored = sent = committed = 0
    sized = True
    for trace in traces:
        done = {row.epoch for row in trace if row.event == "epoch_committed"}
        writes: dict[tuple[str | None, str | None, int | None], int] = {}
        for row in trace:
            if row.epoch in done and row.event == "begun" and row.place is not None:
                key = row.part, row.slot, row.epoch  # once, whatever places it crosses
                writes[key] = max(writes.get(key, 0), row.size_bytes or 0)
            elif row.epoch in done and row.event == "sent":
                sent += row.size_bytes or 0
                sized = sized and row.size_bytes is not None
        stored += sum(writes.values())
        committed += len(done)
    if not committed:
        return {}
    return {"stored": stored / committed} | ({"messages": sent / committed} if sized else {})


# deaths


def deaths(topology: Topology, say: Callable[[str], None] = lambda _role: None) -> dict[str, Any]:
    """What the death of each role in mid-commit does, by role; a role that there is not is left out.

    Each has `delay_s`, by which an acknowledgement comes later (None: it did not come within twenty intervals),
    `in_doubt_s`, the longest time that a surviving rank then could ask nobody what was decided, `away_s`, how long the
    role was, and `outcome`, the worst that a recovery came to (None: nothing had to recover).  While the coordinator
    lives, who is in doubt can ask; so a rank's death leaves nobody in doubt.
    """
    calm = replace(topology, faults=(), what_if=(), repeats=1)
    commit = _a_commit(calm)
    if commit is None:
        return {}
    found = {}
    for role, kind, targets in _roles(topology, commit.chief):
        if not targets:
            continue
        say(role)
        runs = [_death(calm, kind, targets, at, commit) for at in commit.instants]
        worst = max(runs, key=lambda run: (run["delay_s"] is None, run["delay_s"] or 0, run["in_doubt_s"]))
        in_doubt = 0.0 if role == RANK else max(run["in_doubt_s"] for run in runs)
        ended = [run["outcome"] for run in runs if run["outcome"] is not None]
        found[role] = {
            "of": " ".join(targets) if role == LINKS else _home(topology, targets[0])[0],
            "away_s": topology.workload.interval / PS,
            "delay_s": worst["delay_s"],
            "in_doubt_s": in_doubt,
            "outcome": str(min(ended, key=lambda outcome: outcome.severity)) if ended else None,
        }
    return found


@dataclass(frozen=True)
class _Commit:
    """One commit of an undisturbed timeline: the longest wait for an acknowledgement thereabouts; when to strike it."""

    gap_ps: int
    instants: tuple[int, ...]
    chief: str | None  # who coordinates, if anybody does


def _a_commit(topology: Topology) -> _Commit | None:
    """The third commit of *topology*, else its last but one."""
    from hwsim.simulation import Simulation

    simulation = Simulation(topology)
    _run_until(simulation, topology.horizon_ps, topology.workload.interval, lambda: len(_commits(simulation.trace)) > 3)
    trace = simulation.trace
    begun = {row.epoch: row.time_ps for row in trace if row.event == "checkpoint_begun"}
    commits = _commits(trace)[:4]
    if len(commits) < 2:
        return None
    epoch, acknowledged_ps = commits[-2]
    middle = (begun[epoch] + acknowledged_ps) // 2
    doubtful = [doubt for doubt in doubts(trace) if doubt.epoch == epoch]
    gap_ps = max(_gaps([0, *(time_ps for _, time_ps in commits)], middle))
    root = getattr(simulation.protocol, "root", None)  # of a tree: a member of it, at its site
    chief = topology.coordinator if root is None else root.site.name
    return _Commit(gap_ps, tuple(dict.fromkeys((middle, *_middle_of_doubt(doubtful)))), chief)


def _gaps(acknowledged: Sequence[int], since_ps: int) -> Iterator[int]:
    """The times between acknowledgements, those that end after *since_ps*."""
    for before, after in pairwise(acknowledged):
        if after > since_ps:
            yield after - before


def _middle_of_doubt(doubtful: Sequence[Doubt]) -> Iterator[int]:
    """An instant at which all ranks are in doubt, or at which the last one is that came to be."""
    found = [doubt for doubt in doubtful if doubt.until_ps > doubt.since_ps]
    if found:
        since = max(doubt.since_ps for doubt in found)
        until = min(doubt.until_ps for doubt in found if doubt.until_ps > since)  # the last one's, at least
        yield (since + until) // 2


def _roles(topology: Topology, chief: str | None) -> Iterator[tuple[str, str, tuple[str, ...]]]:
    """(role, fault, what it strikes) for every role that there is."""
    homes = dict(_home(topology, shard.source or shard.device) for shard in topology.shards)
    if topology.protocol.kind == "two_versions":
        chief = None  # it is asked at a recovery only, when all must be there anyway
    own = None
    if chief is not None:
        own, devices = (chief, homes[chief]) if chief in homes else _home(topology, chief)
        yield COORDINATOR, "power_loss", _struck(topology, devices)
    others = [name for name in homes if name != own]
    if not others:
        return
    rank = others[-1]
    yield RANK, "power_loss", _struck(topology, homes[rank])
    links = tuple(link.name for link in topology.links if {link.a, link.b} & set(homes[rank]))
    if links:
        yield LINKS, "link_down", links


def _struck(topology: Topology, devices: Sequence[str]) -> tuple[str, ...]:
    return tuple(name for name in devices if strikes("power_loss", topology.devices[name].kind))


def _death(calm: Topology, kind: str, targets: tuple[str, ...], at_ps: int, commit: _Commit) -> dict[str, Any]:
    from hwsim.crash_timeline import Timeline
    from hwsim.simulation import Simulation

    interval: int = calm.workload.interval
    fault = FaultSpec(
        "death", kind, targets=(targets,), target_names=(targets[0],), at_ps=at_ps, restore_after_ps=interval
    )
    end = at_ps + _MOST_INTERVALS * interval
    simulation = Simulation(replace(calm, faults=(fault,), horizon_ps=end))

    def first_after_it() -> int | None:
        return next((time_ps for _, time_ps in _commits(simulation.trace) if time_ps > at_ps + interval), None)

    _run_until(simulation, end, interval, lambda: first_after_it() is not None)
    trace = simulation.trace
    again = first_after_it()
    acknowledged = [0, *(time_ps for _, time_ps in _commits(trace) if again is not None and time_ps <= again)]
    lost = set(targets)
    waited = [doubt.until_ps - max(doubt.since_ps, at_ps) for doubt in doubts(trace)
              if doubt.until_ps > at_ps >= doubt.since_ps and _home(calm, doubt.rank)[1][0] not in lost]  # fmt: skip
    outcomes = [recovery.outcome for recovery in Timeline(trace).recoveries()]
    return {
        "delay_s": None if again is None else max(0, max(_gaps(acknowledged, at_ps)) - commit.gap_ps) / PS,
        "in_doubt_s": max(waited, default=0) / PS,
        "outcome": min(outcomes, key=lambda outcome: outcome.severity, default=None),
    }


def _commits(trace: Trace) -> list[tuple[int, int]]:
    return [(row.epoch or 0, row.time_ps) for row in trace if row.event == "epoch_committed"]


def _run_until(simulation: Any, horizon_ps: int, step_ps: int, done: Callable[[], bool]) -> None:
    """Run, interval by interval, until *done* or the horizon."""
    simulation.begin()
    while simulation.env.now < horizon_ps and not done():
        simulation.env.run(until=min(horizon_ps, int(simulation.env.now) + step_ps))


__all__ = ["REPLICATED", "Comparison", "compare", "contender", "deaths", "names", "own"]

"""From a violation to a small one: fewer ranks, nodes, devices and faults, an earlier checkpoint, one crash for two.

Greedy delta debugging on the topology as plain data: whatever can be left out while some crash still ends in the
same outcome is left out.  Each attempt foresees every strike of a window, which costs milliseconds; a violation that
only an execution shows (a hang) keeps its topology.

Source: Zeller and Hildebrandt, Simplifying and Isolating Failure-Inducing Input, IEEE TSE 28(2), 2002.
"""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from hwsim.errors import UserError
from hwsim.explore.execution import Ending, Resolution, Struck, resolutions
from hwsim.explore.reproducer import Reproducer, execute, reproduce, topology_of
from hwsim.explore.search import Plan, plan
from hwsim.explore.tally import Worst
from hwsim.outcomes import Outcome
from hwsim.protocol import Protocol
from hwsim.topology.resolved import plain
from hwsim.topology.spec import Topology

_ATTEMPTS = 60  # smaller topologies that are tried
_WAYS = 200  # ways to settle doubts that are tried

Data = dict[str, Any]


def minimise(
    topology: Topology, one: Worst, mutation: str | None = None, say: Callable[[str], None] = lambda _said: None
) -> Reproducer | None:
    """The smallest reproducer of the outcome of *one* that the attempts find; None where none repeats it."""
    data = plain(topology)
    for key in ("expect", "cases", "what_if"):
        data.pop(key, None)
    smallest = _smaller(data, one.outcome, mutation, say)
    for chosen in (smallest,) if smallest is data else (smallest, data):
        found = _find(chosen, one.outcome, mutation)
        if found is not None:
            return reproduce(chosen, found, mutation)
    if one.ending is not None:
        return reproduce(plain(topology), one.ending.struck, mutation)
    return None


def _plan(data: Data, checkpoint: int, mutation: str | None) -> Plan | None:
    """What is foreseen of it; None where it is no topology."""
    try:
        topology = topology_of(data)
    except UserError:
        return None
    return plan(topology, checkpoint, _mutant(topology, mutation))


def _mutant(topology: Topology, mutation: str | None) -> type[Protocol] | None:
    return None if mutation is None else Protocol.registry[topology.protocol.kind].MUTATIONS[mutation].protocol


def _shows(data: Data, outcome: Outcome, mutation: str | None) -> tuple[Plan, int, int] | None:
    """The first checkpoint, and in it the first strike, that may end in *outcome*."""
    for checkpoint in (1, 2, 3):
        made = _plan(data, checkpoint, mutation)
        if made is None:
            return None
        for number in range(len(made.window.points)):
            for index, foreseen in enumerate(made.foreseen):
                if foreseen is not None and outcome in foreseen[number].outcomes:
                    return made, number, index
    return None


def _find(data: Data, outcome: Outcome, mutation: str | None) -> tuple[Struck, ...] | None:
    """A strike, its doubts settled so that this very execution ends in *outcome*."""
    shown = _shows(data, outcome, mutation)
    if shown is None:
        return None
    made, number, index = shown
    target, point = made.targets[index], made.window.points[number]
    topology = topology_of(data)

    def tried(picks: tuple[int, ...]) -> Ending:
        struck = Struck(point.step, point.time_ps, target.kind, target.label, target.devices, picks)
        return execute(topology, (struck,), _mutant(topology, mutation))[0]

    first = tried(())
    options = first.options
    ways = itertools.chain((_settled(options, way) for way in (Resolution(), *resolutions(len(options)))),
                           itertools.product(*options))  # fmt: skip
    for picks in itertools.islice(ways, _WAYS):
        ending = first if picks == first.struck[0].picks else tried(tuple(picks))
        if ending.outcome is outcome:
            return ending.struck
    return None


def _settled(options: tuple[tuple[int, ...], ...], way: Resolution) -> tuple[int, ...]:
    for several in options:
        way.choice(list(several))
    return tuple(way.picks)


def _smaller(data: Data, outcome: Outcome, mutation: str | None, say: Callable[[str], None]) -> Data:
    """Leave out what can be left out."""
    if _shows(data, outcome, mutation) is None:
        return data
    attempts = 0
    progress = True
    while progress and attempts < _ATTEMPTS:
        progress = False
        for candidate in _candidates(data):
            attempts += 1
            if attempts > _ATTEMPTS:
                break
            say(f"making a violation smaller: attempt {attempts}")
            if _shows(candidate, outcome, mutation) is not None:
                data, progress = candidate, True
                break
    return data


def _candidates(data: Data) -> Iterator[Data]:
    """Topologies with less in them, those with much less first."""
    shards = data["workload"].get("shards", [])
    sources = list(dict.fromkeys(_source(line) for line in shards))
    for count in dict.fromkeys((1, 2, len(sources) // 2, len(sources) - 1)):
        if 0 < count < len(sources):
            yield _with_ranks(data, sources[:count])
    for copy_number in sorted({line.get("copy", 0) for line in shards} - {0}):
        yield _pruned(_with_shards(data, [line for line in shards if line.get("copy", 0) != copy_number]))
    for key in ("faults", "failure_domains"):
        if data.get(key):
            yield {name: value for name, value in data.items() if name != key}


def _source(line: Mapping[str, Any]) -> str:
    return str(line.get("from", line["to"]))


def _with_shards(data: Data, shards: list[Any]) -> Data:
    made = copy.deepcopy(data)
    made["workload"]["shards"] = shards
    return made


def _with_ranks(data: Data, sources: list[str]) -> Data:
    lines = [line for line in data["workload"]["shards"] if _source(line) in sources]
    return _pruned(_with_shards(data, lines))


def _pruned(data: Data) -> Data:
    """Without the devices, nodes and links that nothing uses any more."""
    used = {end for line in data["workload"]["shards"] for end in (_source(line), str(line["to"]))}
    used.add(str(data["protocol"].get("coordinator", "")))
    nodes = {}
    for name, node in data.get("nodes", {}).items():
        touched = name in used or any(f"{name}/{device}" in used for device in node["devices"])
        if not touched:
            continue
        devices = {
            key: figures
            for key, figures in node["devices"].items()
            if figures["kind"] != "gpu" or f"{name}/{key}" in used
        }
        nodes[name] = {**node, "devices": devices}
    if nodes:
        data["nodes"] = nodes
    if "devices" in data:
        data["devices"] = {
            name: figures for name, figures in data["devices"].items() if figures["kind"] == "switch" or name in used
        }
    known = {f"{name}/{device}" for name, node in nodes.items() for device in node["devices"]}
    known |= set(data.get("devices", {}))
    if "links" in data:
        data["links"] = [line for line in data["links"] if line["from"] in known and line["to"] in known]
    domains = data.pop("failure_domains", {})
    kept = {
        name: {"members": [member for member in domain["members"] if member in known]}
        for name, domain in domains.items()
    }
    kept = {name: domain for name, domain in kept.items() if domain["members"]}
    if kept:
        data["failure_domains"] = kept
    return data

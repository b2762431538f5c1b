"""What a topology must have for a mutation to change anything on it.

A mutation names what it needs in words that stand here, or as a value that the topology must give a parameter, such
as `protocol.replace: rename`.  A mutation that shows nothing where one of its needs is missing has not survived: there
was nothing to see.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwsim.explore.search import Plan
    from hwsim.trace import Part


def missing(made: Plan, needs: Sequence[str]) -> tuple[str, ...]:
    """Those of *needs* that the topology of a plan lacks."""
    return tuple(need for need in needs if not _met(made, need))


def _met(made: Plan, need: str) -> bool:
    if need in NEEDS:
        return NEEDS[need](made)
    path, _, wanted = need.partition(": ")
    root, *keys = path.split(".")
    value: Any = {"protocol": made.topology.protocol, "workload": made.topology.workload}[root]
    for key in keys:
        value = getattr(value, key)
    return str(value).lower() == wanted


def _parts(made: Plan) -> tuple[Part, ...]:
    return made.window.trace.header.parts


def _several_ranks(made: Plan) -> bool:
    return len({part.source for part in _parts(made) if part.shard >= 0}) > 1


def _several_copies(made: Plan) -> bool:
    return any(part.shard >= 0 and part.copy for part in _parts(made))


def _memory(made: Plan, *, memory: bool) -> bool:
    kinds = [shard.into in ("dram", "tmpfs", "pmem") for shard in made.topology.shards]
    return kinds.count(memory) > 0


def _several_in_memory(made: Plan) -> bool:
    return any(shard.copy and shard.into in ("dram", "tmpfs", "pmem") for shard in made.topology.shards)


def _completed_early(made: Plan, *, shards: bool) -> bool:
    """Whether something of a part is completed in a place that a crash takes which the part's last place outlives."""
    trace = made.window.trace
    places = trace.header.places
    early = set()
    for part in _parts(made):
        if (part.shard >= 0) is shards:
            lasting = set(places[part.stack[-1]])
            early |= {(part.name, place) for place in part.stack[:-1] if set(places[place]) - lasting}
    return any(row[1] == "completed" and (row[4], row[3]) in early for row in trace.rows)


def _record_takes_time(made: Plan) -> bool:
    return made.topology.protocol.manifest.persist is not None or _written_on_drives(made)


def _log_takes_time(made: Plan) -> bool:
    return made.topology.protocol.log.persist is not None or _written_on_drives(made)


def _written_on_drives(made: Plan) -> bool:
    return any(part.shard < 0 and len(part.stack) > 1 for part in _parts(made))


def _keeps_the_last(made: Plan) -> bool:
    protocol = made.topology.protocol
    return bool(protocol.prune == "after_commit" or protocol.keep > 1)


def _tree_height(made: Plan) -> int:
    links = [(link.a.partition("/")[0], link.b.partition("/")[0]) for link in made.topology.links]
    ends = [end for link in links for end in link]
    return 2 if any(ends.count(end) > 1 for end in ends) else 1


def _resumes_first(made: Plan) -> bool:
    workload = made.topology.workload
    first = workload.interval if workload.first is None else workload.first
    return bool(first < made.topology.protocol.resend)


NEEDS: Mapping[str, Callable[[Plan], bool]] = {
    "several ranks": _several_ranks,
    "several copies of a shard": _several_copies,
    "several copies in memory": _several_in_memory,
    "copies in storage": lambda made: _memory(made, memory=False),
    "a volatile cache that keeps what it completed": lambda made: _completed_early(made, shards=True),
    "a volatile cache under the record": lambda made: _completed_early(made, shards=False),
    "several checkpoints in flight": lambda made: made.topology.workload.in_flight.max > 1,
    "a what-if that loses media": lambda made: any(asked.kind == "media_loss" for asked in made.topology.what_if),
    "several copies of the record": lambda made: len(made.topology.protocol.manifest.to or ()) > 1,
    "a record that takes time to write": _record_takes_time,
    "a log that takes time to write": _log_takes_time,
    "a checkpoint kept while the next one is written": _keeps_the_last,
    "a tree of height 2 or more": lambda made: _tree_height(made) > 1,
    "a first checkpoint after a recovery sooner than a frame is said again": _resumes_first,
}

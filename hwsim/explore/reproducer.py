"""A violation as a file: the topology, the strikes by event, and what must come out, to the byte.

The topology is written whole, so that the file needs nothing beside it.  `replay` builds it anew, strikes after the
same events, settles the doubts in the same way, and compares the digest of the whole trace.

Not modelled: other versions of hwsim (the digest is of the one that wrote the file, which the file names).
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from hwsim.errors import UserError
from hwsim.explore.execution import Ending, Execution, Resolution, Struck
from hwsim.explore.targets import Target
from hwsim.explore.window import quiet, say_record
from hwsim.metrics import hwsim_version
from hwsim.protocol import Protocol
from hwsim.trace import Record, Trace
from hwsim.units import format_duration

if TYPE_CHECKING:
    from hwsim.topology.spec import Topology

FORMAT = 1
PATTERN = "reproducer-*.yaml"
_TOLD = 12  # rows of the story


@dataclass(frozen=True)
class Reproducer:
    """One execution that goes wrong: a topology as plain data, its strikes, and how it ends."""

    topology: Mapping[str, Any]
    strikes: tuple[Struck, ...]
    mutation: str | None
    outcome: str
    digest: str
    story: tuple[str, ...]

    def to_yaml(self) -> str:
        """The file."""
        data = {
            "reproducer": FORMAT,
            "hwsim": hwsim_version(),
            "outcome": self.outcome,
            "story": list(self.story),
            "strikes": [
                {
                    "after_event": struck.step, "at": format_duration(struck.time_ps), "kind": struck.kind,
                    "target": struck.label, "devices": list(struck.devices), "doubts_end_as": list(struck.picks),
                }
                for struck in self.strikes
            ],
            **({"mutation": self.mutation} if self.mutation is not None else {}),
            "digest": self.digest,
            "topology": _unshared(self.topology),
        }  # fmt: skip
        return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=110)


@dataclass(frozen=True)
class Replayed:
    """A reproducer that was repeated: what came out, and whether it is what the file says, to the byte."""

    reproducer: Reproducer
    outcome: str
    digest: str
    ending: Ending

    @property
    def same(self) -> bool:
        """Whether it went as the file says."""
        return (self.outcome, self.digest) == (self.reproducer.outcome, self.reproducer.digest)


def topology_of(data: Mapping[str, Any]) -> Topology:
    """The topology that plain data describes.  Raises UserError where it is none."""
    from hwsim.topology.loading import load_source
    from hwsim.topology.yaml_source import read_bytes

    text = yaml.safe_dump(_unshared(data), sort_keys=False, allow_unicode=True)
    loaded = load_source(read_bytes(text.encode(), "topology of the reproducer"), (), None)
    if loaded.mistakes or loaded.topology is None:
        raise UserError(loaded.mistakes)
    return loaded.topology


def _unshared(data: Mapping[str, Any]) -> Any:
    """The same data, nothing of it twice the same object: YAML would write an alias."""
    return json.loads(json.dumps(data))


def execute(
    topology: Topology, strikes: Sequence[Struck], protocol: type[Protocol] | None = None
) -> tuple[Ending, Trace]:
    """Run *topology*, strike as told, and see how it ends; and the whole trace.

    Raises UserError where there is no such event, or no such doubt.
    """
    run = Execution(quiet(topology), protocol=protocol)
    for struck in strikes:
        missing = [name for name in struck.devices if name not in run.world.domains]
        if missing:
            raise UserError(f"the topology has no device '{missing[0]}' that a strike could hit")
        if struck.step < run.steps:
            raise UserError(f"strikes must be in order: event {struck.step} comes before event {run.steps}")
        run.advance(struck.step)
        try:
            run.strike(Target(struck.kind, struck.label, struck.devices), Resolution("oldest", picks=struck.picks))
        except ValueError as error:
            raise UserError(f"the strike after event {struck.step}: {error}") from error
    ending = run.finish()
    return ending, run.simulation.trace


def reproduce(
    data: Mapping[str, Any], strikes: Sequence[Struck], mutation: str | None = None, broken: str | None = None
) -> Reproducer:
    """The reproducer of an execution: it is run once more, as the file will have it.

    *broken*: the checker that it is to violate, where its outcome is not what is wrong.
    """
    topology = topology_of(data)
    ending, trace = execute(topology, strikes, _mutant(topology, mutation))
    outcome = _outcome(ending)
    return Reproducer(data, ending.struck, mutation, outcome, trace.digest(), _story(trace, ending))


def _mutant(topology: Topology, mutation: str | None) -> type[Protocol] | None:
    if mutation is None:
        return None
    known = Protocol.registry[topology.protocol.kind].MUTATIONS
    if mutation not in known:
        raise UserError(f"{topology.protocol.kind} knows no mutation '{mutation}'; it knows {', '.join(known)}")
    return known[mutation].protocol


def _outcome(ending: Ending) -> str:
    return "rode_through" if ending.outcome is None else str(ending.outcome)


def _story(trace: Trace, ending: Ending) -> tuple[str, ...]:
    """The rows that tell it: what became durable or was claimed just before the first strike, and what came after."""
    rows = [Record._make(row) for row in trace.rows]
    struck = next((number for number, row in enumerate(rows) if row.event == "struck"), len(rows))
    before = [row for row in rows[:struck] if row.event in _TELLING][-4:]
    after = [row for row in rows[struck:] if row.event in (*_CLAIMS, "struck", "torn")]
    return tuple(f"{row.time_ps / 1e12:.6f} s  {say_record(row)}" for row in (*before, *after))[:_TOLD]


_CLAIMS = ("epoch_committed", "recovered", "job_resumed", "job_stopped")
_TELLING = ("persisted", "completed", "torn", "erased", "checkpoint_begun", *_CLAIMS)


def read(path: str | Path) -> Reproducer:
    """Read a reproducer.  Raises UserError with what is wrong."""
    from hwsim.topology.yaml_source import read_file

    source = read_file(path)
    if source.mistakes:
        raise UserError(source.mistakes)
    data = source.data
    if not isinstance(data, dict) or data.get("reproducer") != FORMAT:
        raise UserError(f"{path}: is no reproducer of format {FORMAT}; `hwsim explore` writes them")
    try:
        strikes = tuple(
            Struck(
                int(line["after_event"]), 0, str(line["kind"]), str(line["target"]),
                tuple(map(str, line["devices"])), tuple(map(int, line["doubts_end_as"])),
            )
            for line in data["strikes"]
        )  # fmt: skip
        return Reproducer(
            dict(data["topology"]), strikes, data.get("mutation"), str(data["outcome"]), str(data["digest"]),
            tuple(map(str, data.get("story", ()))),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: a reproducer needs {error} as `hwsim explore` writes it") from error


def replay(path: str | Path) -> Replayed:
    """Repeat the execution that the file at *path* describes.  Raises UserError."""
    told = read(path)
    topology = topology_of(told.topology)
    ending, trace = execute(topology, told.strikes, _mutant(topology, told.mutation))
    return Replayed(told, _outcome(ending), trace.digest(), ending)

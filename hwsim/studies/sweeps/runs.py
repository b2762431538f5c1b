"""One run of one point: its seed, and the figures that are kept of it.  This is what a worker does.

The seed of repeat k of a point is drawn from a stream that the study's seed, the point's values and k name, so a run
gives the same row in whatever order, on whatever worker, and after whatever interruption it is run.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from hwsim.streams import stream
from hwsim.studies.sweeps.measures import canonical

if TYPE_CHECKING:
    from hwsim.studies.sweeps.grid import Point
    from hwsim.topology.spec import Topology

Row = tuple[Any, ...]  # point, repeat, seed, and the values of the record

_WATCH_S = 1.0


@dataclass(frozen=True)
class Setting:
    """What all runs of a study share."""

    topology: str  # absolute path of the file: workers outlive a sweep, and its working folder
    sha256: str
    seed: int
    seeds: str
    record: tuple[str, ...]


@dataclass(frozen=True)
class Task:
    """One run to be done."""

    point: Point
    repeat: int


@dataclass(frozen=True)
class Batch:
    """What a worker hands back: rows and the time they took; or why a point cannot be run."""

    rows: tuple[Row, ...]
    wall_s: float
    refused: str = ""


def seed_of(setting: Setting, point: Point, repeat: int) -> int:
    """The seed of one run: of 63 bits, and the same wherever the point stands in whatever grid."""
    name = (point.name,) if setting.seeds == "own" else ()
    return stream(setting.seed, "sweep", *name, repeat).getrandbits(63)


def run_batch(setting: Setting, tasks: Sequence[Task]) -> Batch:
    """Run *tasks*, one after another."""
    from hwsim.answers import answer
    from hwsim.topology.expectations import value_of

    began = time.perf_counter()
    rows: list[Row] = []
    for task in tasks:
        topology, refused = _topology(setting.topology, setting.sha256, _Values(task.point.values))
        if topology is None:
            return Batch(tuple(rows), time.perf_counter() - began, refused)
        seed = seed_of(setting, task.point, task.repeat)
        result = answer(replace(topology, seed=seed)).result
        values = (value_of(key, result) for key in setting.record)
        rows.append((task.point.number, task.repeat, seed, *values))
    return Batch(tuple(rows), time.perf_counter() - began)


class _Values:
    """A point's values as a key of the cache."""

    def __init__(self, values: Mapping[str, Any]) -> None:
        self.values = values
        self._name = canonical(dict(values))

    def __hash__(self) -> int:
        return hash(self._name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Values) and other._name == self._name


@lru_cache(maxsize=4)  # the repeats of a point come together
def _topology(path: str, sha256: str, at: _Values) -> tuple[Topology | None, str]:
    """The topology of a point, loaded once a worker; or None and why."""
    from hwsim.studies.sweeps.at_point import load_point

    if not _is_unchanged(path, sha256):
        return None, f"{path}: has changed since the sweep began; begin anew in another folder with --out"
    loaded = load_point(path, at.values)
    if loaded.mistakes or loaded.topology is None:
        made = ", ".join(f"{key} = {value}" for key, value in at.values.items())
        return None, "\n".join([f"with {made}:", *map(str, loaded.mistakes)])
    return loaded.topology, ""


@lru_cache(maxsize=4)
def _is_unchanged(path: str, sha256: str) -> bool:
    """Whether the topology is still what the study was loaded with."""
    from hwsim.studies.sweeps.at_point import load_point

    topology = load_point(path, {}).topology
    return topology is not None and topology.sha256 == sha256


def prepare_worker(parent: int) -> None:
    """In a worker process, before its first task: Ctrl-C is the parent's affair, and a worker ends with its parent."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: int) -> None:
    """Leave once the parent is gone: killed by SIGKILL, it tells nobody."""
    never = threading.Event()
    while os.getppid() == parent:
        never.wait(_WATCH_S)
    os._exit(1)

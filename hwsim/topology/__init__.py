"""Topology files: from YAML to a frozen `Topology`; builds nothing.

`load` and `load_cases` resolve a file, `check` names every mistake in some; `schema`, `kinds` and `starter` tell
what can be written.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwsim.errors import Mistake
    from hwsim.topology.spec import Topology
    from hwsim.topology.yaml_source import Source

Change = str | tuple[str, Any]


def load(path: str | os.PathLike[str], changes: Sequence[Change] = (), seed: int | None = None) -> Topology:
    """Read the topology at *path*; *changes* are `key.path=value` or pairs of path and value, *seed* replaces its own.

    Raises UserError with every mistake in it, those of its cases too.
    """
    return _load(path, changes, seed)[0]


def load_cases(
    path: str | os.PathLike[str], changes: Sequence[Change] = (), seed: int | None = None
) -> Mapping[str, Topology]:
    """Each case of the topology at *path* as a topology of its own, by name.  Raises UserError as `load` does."""
    return _load(path, changes, seed)[1]


def load_case(
    path: str | os.PathLike[str], case: str, changes: Sequence[Change] = (), seed: int | None = None
) -> Topology:
    """One case of the topology at *path*.  Raises UserError as `load` does, and where there is no such case."""
    from hwsim.errors import UserError

    cases = load_cases(path, changes, seed)
    if case not in cases:
        raise UserError(f"{os.fspath(path)}: there is no case '{case}'; there are {', '.join(cases) or 'none'}")
    return cases[case]


def _load(
    path: str | os.PathLike[str], changes: Sequence[Change], seed: int | None
) -> tuple[Topology, Mapping[str, Topology]]:
    from hwsim.errors import UserError
    from hwsim.topology.loading import load_file

    loaded = load_file(path, changes, seed)
    if loaded.mistakes or loaded.topology is None:
        raise UserError(loaded.mistakes)
    return loaded.topology, loaded.cases


def check(
    paths: Iterable[str | os.PathLike[str]], others: Sequence[Callable[[Source], list[Mistake] | None]] = ()
) -> list[Mistake]:
    """Every mistake in the topologies (or files of profiles) at *paths*, by file and line.

    *others* know further kinds of files: each is asked for the mistakes of one, and says None where it is not its own.
    """
    from hwsim.topology.loading import load_source
    from hwsim.topology.profiles import check_file, is_profiles
    from hwsim.topology.yaml_source import read_file

    mistakes: list[Mistake] = []
    for path in paths:
        source = read_file(path)
        found = next((known for other in others if (known := other(source)) is not None), None)
        if found is None:
            found = check_file(source) if is_profiles(source.data) else load_source(source, (), None).mistakes
        mistakes += sorted(set(found))
    return mistakes


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a topology file."""
    from hwsim.topology.reference import schema as made

    return made()


def kinds() -> str:
    """Every kind with its parameters, and which fault may strike which device, as text."""
    from hwsim.topology.reference import kinds as told

    return told()


def starter() -> str:
    """A topology to start from, with comments."""
    from hwsim.topology.reference import STARTER

    return STARTER

"""The topologies and studies that come with hwsim, found by name in an installed package or in a checkout."""

from __future__ import annotations

from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from hwsim.errors import UserError


def folder() -> Path:
    """The folder of the examples: inside the package when installed, beside it in a checkout."""
    return _folder("topologies", "topologies")


def study_folder() -> Path:
    """The folder of the studies, likewise."""
    return _folder("studies/shipped", "studies")


def _folder(inside: str, beside: str) -> Path:
    package = Path(__file__).parent
    return package / inside if (package / inside).is_dir() else package.parent / beside


def names() -> list[str]:
    """The names of the examples, sorted."""
    return _names(folder())


def study_names() -> list[str]:
    """The names of the studies, sorted."""
    return _names(study_folder())


def find(name: str) -> Path:
    """Return the topology file that *name* means: a path, or else an example's name.

    A name with a slash or a suffix is always a path, and whether it can be read is the loader's
    affair.  Raises UserError for a bare name that is neither, with the nearest example.
    """
    return _find(name, "example", {name: folder() / f"{name}.yaml" for name in names()})


def find_study(name: str) -> Path:
    """Return the study's file that *name* means, as `find` does."""
    return _find(name, "study", {name: study_folder() / f"{name}.yaml" for name in study_names()})


def find_either(name: str) -> Path:
    """Return the file of the topology or study that *name* means, as `find` does."""
    return find_study(name) if name in study_names() and not Path(name).is_file() else find(name)


def _names(where: Path) -> list[str]:
    return sorted(path.stem for path in where.glob("*.yaml"))


def _find(name: str, what: str, known: Mapping[str, Path]) -> Path:
    path = Path(name)
    if path.is_file() or path.suffix or "/" in name:
        return path
    if name in known:
        return known[name]
    if path.exists():  # a folder: the loader says so
        return path
    near = get_close_matches(name, known, n=1)
    these = {"example": "examples", "study": "studies"}[what]
    hint = f"did you mean {near[0]}?" if near else f"the {these} are {', '.join(known)}"
    raise UserError(f"{name}: no such file, and no {what} of this name; {hint}")

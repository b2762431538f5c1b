"""The topologies that come with hwsim, found by name in an installed package or in a checkout."""

from __future__ import annotations

from difflib import get_close_matches
from pathlib import Path

from hwsim.errors import UserError


def folder() -> Path:
    """The folder of the examples: inside the package when installed, beside it in a checkout."""
    inside = Path(__file__).parent / "topologies"
    return inside if inside.is_dir() else Path(__file__).parent.parent / "topologies"


def names() -> list[str]:
    """The names of the examples, sorted."""
    return sorted(path.stem for path in folder().glob("*.yaml"))


def find(name: str) -> Path:
    """Return the topology file that *name* means: a path, or else an example's name.

    A name with a slash or a suffix is always a path, and whether it can be read is the loader's
    affair.  Raises UserError for a bare name that is neither, with the nearest example.
    """
    path = Path(name)
    if path.is_file() or path.suffix or "/" in name:
        return path
    if name in names():
        return folder() / f"{name}.yaml"
    if path.exists():  # a folder: the loader says so
        return path
    near = get_close_matches(name, names(), n=1)
    hint = f"did you mean {near[0]}?" if near else f"the examples are {', '.join(names())}"
    raise UserError(f"{name}: no such file, and no example of this name; {hint}")

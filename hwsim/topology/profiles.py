"""Profiles: named sets of a device's figures, each with where it comes from.

`{version: 1, profiles: {NAME: {kind: nvme, KEY: {value: ..., source: ...}}}}`.  A figure may also be a bare
value; it is then, like every one without a source, an assumption, and is called one in the report.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path as FilePath
from typing import Any

from pydantic import Field

from hwsim.errors import Mistake
from hwsim.quantities import Params
from hwsim.topology.document import Document, key_names, nearest, suggest
from hwsim.topology.registries import device_kinds
from hwsim.topology.yaml_source import Path, Place, Source, read_file

SHIPPED = FilePath(__file__).parent.parent / "profiles"


class FigureLine(Params):
    """One figure of a profile."""

    value: Any = Field(description="the value as a topology would write it")
    source: str | None = Field(default=None, min_length=3, description="document, measurement or data sheet")
    assumption: bool = Field(default=False, description="whether it is nobody's figure but a guess")
    why: str | None = Field(default=None, description="why an assumption is what it is")


@dataclass(frozen=True)
class ProfileFigure:
    """One figure, read: `source` says where it comes from, or why it was assumed."""

    value: Any
    source: str | None
    assumption: bool
    place: Place


@dataclass(frozen=True)
class Profile:
    """One profile."""

    name: str
    kind: str
    figures: Mapping[str, ProfileFigure]
    place: Place


@dataclass
class Library:
    """Profiles by name, and what is wrong with the files they stand in."""

    profiles: dict[str, Profile]
    mistakes: list[Mistake]
    content: str = ""  # digests of the files, for the topology's own


@cache
def shipped() -> Mapping[str, Profile]:
    """The profiles that ship with hwsim.  A mistake in them is a bug."""
    library = Library({}, [])
    for path in sorted(SHIPPED.glob("*.yaml")):
        _read_into(library, read_file(path))
    assert not library.mistakes, "\n".join(map(str, library.mistakes))
    return library.profiles


def load_profiles(document: Document, files: tuple[str, ...], base: FilePath) -> Library:
    """The shipped profiles and those of *files*, which are taken relative to the folder *base*."""
    library = Library(dict(shipped()), [])
    for index, name in enumerate(files):
        path: Path = ("profiles", index) if ("profiles", index) in document.marks.values else ("profiles",)
        source = read_file(base / name)
        library.content += source.sha256
        if source.data is None and len(source.mistakes) == 1 and source.mistakes[0].line == 0:
            document.wrong(path, f"{source.mistakes[0].file} {source.mistakes[0].problem}", source.mistakes[0].remedy)
            continue
        _read_into(library, source)
    return library


def check_file(source: Source) -> list[Mistake]:
    """What is wrong with a file of profiles."""
    library = Library({}, [])
    _read_into(library, source)
    return library.mistakes


def is_profiles(data: Any) -> bool:
    """Whether a file's data is one of profiles, not a topology."""
    return isinstance(data, dict) and isinstance(data.get("profiles"), dict)


def _read_into(library: Library, source: Source) -> None:
    library.mistakes += source.mistakes
    if source.data is None:
        return
    document = Document({}, source.marks)
    top = document.mapping((), source.data)
    for key in top:
        if key not in ("version", "profiles"):
            document.wrong((key,), "unknown key", suggest(key, ("version", "profiles")), key=True)
    if top.get("version") != 1 or isinstance(top.get("version"), bool):
        document.wrong(("version",), "a file of profiles states its version", "write version: 1", key=True)
    for name, entry in document.mapping(("profiles",), top.get("profiles")).items():
        profile = _profile(document, name, entry)
        if profile is None:
            continue
        if name in library.profiles:
            first = library.profiles[name].place
            document.wrong(
                ("profiles", name),
                f"there is a profile '{name}' already, in {first.file}:{first.line}",
                "give this one another name",
                key=True,
            )
            continue
        library.profiles[name] = profile
    library.mistakes += document.mistakes


def _profile(document: Document, name: str, entry: Any) -> Profile | None:
    path: Path = ("profiles", name)
    keys = document.mapping(path, entry)
    kind = keys.get("kind")
    if not isinstance(kind, str) or kind not in device_kinds():
        document.wrong(
            (*path, "kind") if "kind" in keys else path,
            f"'{kind}' is no device kind" if "kind" in keys else "lacks `kind`",
            suggest(str(kind), device_kinds()) if "kind" in keys else "write such as kind: nvme",
            key="kind" not in keys,
        )
        return None
    known = [key for key in key_names(device_kinds()[kind].Params) if key != "kind"]
    figures: dict[str, ProfileFigure] = {}
    for key, given in keys.items():
        if key == "kind":
            continue
        if key not in known:
            near = nearest(key, known)
            document.wrong(
                (*path, key),
                f"a {kind} has no figure '{key}'",
                f"did you mean '{near}'?" if near else f"write one of {', '.join(known)}",
                key=True,
            )
            continue
        place = document.marks.value((*path, key))
        if isinstance(given, dict) and "value" in given:
            line = document.validate(FigureLine, given, (*path, key))
            if line is not None:
                assumed = line.assumption or line.source is None
                place = document.marks.value((*path, key, "value"))
                figures[key] = ProfileFigure(line.value, line.source or line.why, assumed, place)
        elif isinstance(given, dict) and set(given) & {"source", "assumption", "why"}:
            document.wrong((*path, key), "lacks `value`", "write {value: ..., source: ...}", key=True)
        else:
            figures[key] = ProfileFigure(given, None, True, place)
    return Profile(name, kind, figures, document.marks.key(path))

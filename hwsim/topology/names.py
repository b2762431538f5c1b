"""The one namespace of nodes, devices, failure domains and links, and globs over it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Literal

from hwsim.topology.document import Document, nearest
from hwsim.topology.yaml_source import Path

Sort = Literal["node", "device", "failure domain", "link"]

_WORD = re.compile(r"[A-Za-z_][A-Za-z0-9_]*(-[A-Za-z0-9_]+)*\Z")


def is_glob(reference: str) -> bool:
    """Whether a reference may mean several things."""
    return "*" in reference


def glob(pattern: str) -> re.Pattern[str]:
    """The expression of a glob; `*` does not cross `/`."""
    return re.compile("[^/]*".join(map(re.escape, re.split(r"\*+", pattern))) + r"\Z")


def check_word(document: Document, path: Path, word: str, what: str) -> bool:
    """Whether *word*, the key at *path*, may be a name; a mistake is noted if not."""
    if _WORD.match(word) and len(word) <= 64:
        return True
    document.wrong(
        path,
        f"{word!r} cannot be the name of {what}",
        "write letters, digits, _ and single - (no dots, no spaces), beginning with a letter",
        key=True,
    )
    return False


class Names:
    """Every name with what it is, in the order of the file."""

    def __init__(self, document: Document) -> None:
        self._document = document
        self._sorts: dict[str, Sort] = {}
        self._paths: dict[str, Path] = {}
        self._broken: list[re.Pattern[str]] = []

    def broken(self, key: str) -> None:
        """What *key* names could not be read: references that may mean it are not mistakes of their own."""
        self._broken.append(re.compile(re.escape(key) + r"[\d*]*\Z"))

    def excused(self, reference: str) -> bool:
        """Whether *reference* may mean something that could not be read."""
        words = [*re.split(r"/|--", reference), "--" if "--" in reference else ""]
        return any(pattern.match(word) for pattern in self._broken for word in words)

    def add(self, name: str, sort: Sort, path: Path) -> bool:
        """Take *name* for what stands at *path*; False (and a mistake) where it is taken already."""
        if name in self._sorts:
            line = self._document.marks.key(self._paths[name]).line
            self._document.wrong(
                path,
                f"the name '{name}' is taken already, by the {self._sorts[name]} of line {line}",
                "names of nodes, devices, failure domains and links must differ",
                key=True,
            )
            return False
        self._sorts[name] = sort
        self._paths[name] = path
        return True

    def sort(self, name: str) -> Sort | None:
        """What *name* is."""
        return self._sorts.get(name)

    def find(self, references: Iterable[str], path: Path, sorts: Iterable[Sort], *, key: bool = False) -> list[str]:
        """What *references* (names and globs) mean, each once, in the order given.

        Mistakes are noted at the value (or the *key*) of *path*.
        """
        wanted = set(sorts)
        found: dict[str, None] = {}
        for index, reference in enumerate(references):
            at = (*path, index) if (*path, index) in self._document.marks.values else path
            found.update(dict.fromkeys(self._one(reference, at, wanted, key)))
        return list(found)

    def _one(self, reference: str, path: Path, wanted: set[Sort], key: bool) -> list[str]:
        if is_glob(reference):
            pattern = glob(reference)
            matches = [name for name, sort in self._sorts.items() if sort in wanted and pattern.match(name)]
            if not matches and not self.excused(reference):
                other = next((name for name in self._sorts if pattern.match(name)), None)
                remedy = f"it matches the {self._sorts[other]} '{other}'" if other else self.hint(reference, wanted)
                self._document.wrong(path, f"'{reference}' matches no {_either(wanted)}", remedy, key=key)
            return matches
        sort = self._sorts.get(reference)
        if sort is None and self.excused(reference):
            return []
        if sort is None:
            self._document.wrong(
                path, f"there is no {_either(wanted)} '{reference}'", self.hint(reference, wanted), key=key
            )
            return []
        if sort not in wanted:
            problem = f"'{reference}' is a {sort}, not a {_either(wanted)}"
            self._document.wrong(path, problem, self.hint(reference, wanted), key=key)
            return []
        return [reference]

    def hint(self, reference: str, wanted: set[Sort]) -> str:
        """What may have been meant."""
        names = [name for name, sort in self._sorts.items() if sort in wanted]
        if not is_glob(reference):
            numbered = [name for name in names if re.fullmatch(re.escape(reference) + r"\d+", name)]
            if numbered:
                return f"write '{reference}*' for all {len(numbered)} of them, or one such as '{numbered[0]}'"
            inside = [name for name in names if name.endswith(f"/{reference}")]
            if inside:
                return f"write its full name, such as '{inside[0]}'"
        near = nearest(reference, names) or nearest(reference.replace("*", "0"), names)
        if near is not None:
            return f"did you mean '{near}'?"
        return f"there are {', '.join(names[:8])}{', ...' if len(names) > 8 else ''}" if names else "there are none"


def _either(sorts: set[Sort]) -> str:
    order: list[Sort] = ["device", "node", "failure domain", "link"]
    words: list[str] = [sort for sort in order if sort in sorts]
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))

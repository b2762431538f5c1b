"""A YAML file as plain data, with the place of every key and value: YAML 1.2's meaning, and none of YAML's traps.

Scalars mean what the core schema of YAML 1.2 says (`no`, `on` and `12:30` are text, `1e3` is a
number, `0o17` is octal); keys are always text.  Duplicate keys, tags, merge keys, several documents,
and files that are too large, too deep or not text are mistakes.  Built from libyaml's events, so
that no input recurses and an alias is expanded under a limit.

Source: YAML 1.2.2, section 10.3 (core schema).
"""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import yaml

from hwsim.errors import Mistake

MAX_BYTES = 4 * 1024 * 1024
MAX_DEPTH = 32
MAX_VALUES = 500_000  # before and after aliases are expanded

Path = tuple[str | int, ...]

_NULL = {"", "~", "null", "Null", "NULL"}
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INT = re.compile(r"[-+]?[0-9]+\Z")
_OCTAL = re.compile(r"0o[0-7]+\Z")
_HEX = re.compile(r"0x[0-9a-fA-F]+\Z")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?\Z")
_INF = re.compile(r"[-+]?\.(inf|Inf|INF)\Z")
_NAN = {".nan", ".NaN", ".NAN"}
_UNPRINTABLE = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


class Place(NamedTuple):
    """Where something stands; line and column count from 1, and are 0 where it stands in no file."""

    file: str
    line: int
    column: int


@dataclass
class Marks:
    """Where every key and value of some plain data stands."""

    file: str
    keys: dict[Path, Place] = field(default_factory=dict)
    values: dict[Path, Place] = field(default_factory=dict)

    def value(self, path: Path) -> Place:
        """The place of the value at *path*, or of the nearest thing around it."""
        return self._nearest(path, self.values)

    def key(self, path: Path) -> Place:
        """The place of the key that leads to *path*, or of the nearest thing around it."""
        return self.keys.get(path) or self._nearest(path, self.values)

    def _nearest(self, path: Path, table: dict[Path, Place]) -> Place:
        while path and path not in table:
            path = path[:-1]
        return table.get(path) or Place(self.file, 1, 1)

    def forget(self, path: Path) -> None:
        """Drop every place at and below *path*."""
        for table in (self.keys, self.values):
            for known in [known for known in table if known[: len(path)] == path]:
                del table[known]


@dataclass
class Source:
    """What a file says.  `data` is None where it could not be read; then `mistakes` tells why."""

    data: Any
    marks: Marks
    sha256: str
    mistakes: list[Mistake]


class _Refused(Exception):
    """Reading cannot go on."""

    def __init__(self, line: int, column: int, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.line, self.column, self.problem, self.remedy = line, column, problem, remedy


def read_file(path: str | os.PathLike[str]) -> Source:
    """Read the YAML file at *path*; never raises for anything that the file or its absence can do."""
    name = os.fspath(path)
    try:
        content = _bytes_of(name)
    except _Refused as refused:
        mistake = Mistake(name, refused.line, refused.column, "", refused.problem, refused.remedy)
        return Source(None, Marks(name), "", [mistake])
    return read_bytes(content, name)


def _bytes_of(name: str) -> bytes:
    try:
        status = os.stat(name)
        if stat.S_ISDIR(status.st_mode):
            raise _Refused(0, 0, "is a folder", "name a file in it")
        if status.st_size > MAX_BYTES:
            raise _Refused(
                0,
                0,
                f"is {status.st_size:,} bytes long, above the {MAX_BYTES:,} that are read",
                "split it or write counts and globs",
            )
        with open(name, "rb") as stream:  # a pipe has no size: read one byte more than is admitted
            content = stream.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise _Refused(0, 0, "no such file") from None
    except (OSError, ValueError) as error:
        raise _Refused(0, 0, f"cannot be read: {getattr(error, 'strerror', None) or error}") from None
    if len(content) > MAX_BYTES:
        raise _Refused(0, 0, f"is longer than the {MAX_BYTES:,} bytes that are read")
    return content


def read_bytes(content: bytes, name: str) -> Source:
    """Read the bytes of a YAML file called *name*."""
    marks = Marks(name)
    digest = hashlib.sha256(content).hexdigest()
    mistakes: list[Mistake] = []
    data: Any = None
    try:
        data = _Builder(name, marks, mistakes).build(_text_of(content))
        if data is None:
            raise _Refused(1, 1, "is empty", "`hwsim new` prints a topology to start from")
    except _Refused as refused:
        mistakes.append(Mistake(name, refused.line, refused.column, "", refused.problem, refused.remedy))
        data = None
    return Source(data, marks, digest, mistakes)


def read_value(text: str) -> Any:
    """Read a short value such as the right side of `--set key=value`.  Raises ValueError with what is wrong."""
    mistakes: list[Mistake] = []
    try:
        value = _Builder("", Marks(""), mistakes).build(_text_of(text.encode("utf-8", "surrogateescape")))
    except _Refused as refused:
        raise ValueError(refused.problem) from None
    if mistakes:
        raise ValueError(mistakes[0].problem)
    return value


def _text_of(content: bytes) -> str:
    if content[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise _Refused(1, 1, "is UTF-16", "save it as UTF-8")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        before = content[: error.start]
        line = before.count(b"\n") + 1
        column = len(before[before.rfind(b"\n") + 1 :].decode("utf-8", "replace")) + 1
        raise _Refused(
            line, column, f"byte 0x{content[error.start]:02x} is not UTF-8 text", "save the file as UTF-8"
        ) from None
    found = _UNPRINTABLE.search(text)
    if found is not None:
        line = text.count("\n", 0, found.start()) + 1
        column = found.start() - text.rfind("\n", 0, found.start())
        what = "a NUL byte" if found.group() == "\0" else f"control character U+{ord(found.group()):04X}"
        raise _Refused(line, column, f"{what} is not text; this looks like a binary file", "name a YAML file")
    return text


@dataclass
class _Scalar:
    value: Any
    text: str
    line: int
    column: int


@dataclass
class _Sequence:
    items: list[_Node]
    line: int
    column: int


@dataclass
class _Mapping:
    items: list[tuple[_Scalar, _Node]]
    line: int
    column: int
    key: _Scalar | None = None  # read, its value not yet


_Node = _Scalar | _Sequence | _Mapping


class _Builder:
    """From events to plain data."""

    def __init__(self, name: str, marks: Marks, mistakes: list[Mistake]) -> None:
        self.name = name
        self.marks = marks
        self.mistakes = mistakes
        self.values = 0

    def build(self, text: str) -> Any:
        root = self._compose(text)
        return None if root is None else self._plain(root, ())

    # -- events to nodes -------------------------------------------------------------------------

    def _compose(self, text: str) -> _Node | None:
        root: _Node | None = None
        stack: list[_Sequence | _Mapping] = []
        open_anchors: list[str | None] = []
        anchors: dict[str, _Node] = {}
        documents = nodes = 0
        for event in self._events(text):
            if isinstance(event, yaml.DocumentStartEvent):
                documents += 1
                if documents > 1:
                    raise _Refused(*_at(event), "a second document begins here", "write one document a file")
                continue
            if isinstance(event, yaml.SequenceEndEvent | yaml.MappingEndEvent):
                node: _Node = stack.pop()
                anchor = open_anchors.pop()
                if anchor is not None:
                    anchors[anchor] = node
                continue
            if isinstance(event, yaml.AliasEvent):
                if event.anchor not in anchors:
                    inside = event.anchor in open_anchors
                    problem = (
                        f"alias *{event.anchor} stands inside what it names"
                        if inside
                        else (f"alias *{event.anchor} names no anchor before it")
                    )
                    raise _Refused(*_at(event), problem, f"write &{event.anchor} before the value that is meant")
                root = self._attach(stack, anchors[event.anchor], event, root)
                continue
            if not isinstance(event, yaml.NodeEvent):
                continue
            nodes += 1
            if nodes > 2 * MAX_VALUES:  # keys are nodes too
                raise _Refused(*_at(event), f"holds more than {MAX_VALUES:,} values", "write counts and globs")
            tag = getattr(event, "tag", None)
            if tag is not None and tag != "!":
                self._mistake(
                    *_at(event), f"tag {_short_tag(tag)} is not allowed", "write the plain value; quotes make it text"
                )
            if isinstance(event, yaml.ScalarEvent):
                node = self._scalar(event)
                if event.anchor is not None:
                    anchors[event.anchor] = node
                root = self._attach(stack, node, event, root)
                continue
            branch: _Sequence | _Mapping = (
                _Sequence([], *_at(event)) if isinstance(event, yaml.SequenceStartEvent) else _Mapping([], *_at(event))
            )
            root = self._attach(stack, branch, event, root)
            if event.anchor is not None:  # a name that is used again means the newer one
                anchors.pop(event.anchor, None)
            stack.append(branch)
            open_anchors.append(event.anchor)
            if len(stack) > MAX_DEPTH:
                raise _Refused(*_at(event), f"is nested more than {MAX_DEPTH} levels deep", "no topology needs that")
        if documents == 0:
            return None
        return root

    def _events(self, text: str) -> Iterator[yaml.Event]:
        try:
            yield from yaml.parse(text, Loader=yaml.CLoader)
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            line, column = (mark.line + 1, mark.column + 1) if mark is not None else (1, 1)
            problem = " ".join(part for part in (error.context, error.problem) if part) or "cannot be parsed"
            if "nesting depth" in problem:  # PyYAML from 6.0.4 on looks ahead to a limit of its own, above ours
                problem = f"is nested more than {MAX_DEPTH} levels deep"
                raise _Refused(line, column, problem, "no topology needs that") from None
            raise _Refused(line, column, f"is not YAML: {problem}", _hint(text, line, problem)) from None
        except yaml.YAMLError as error:
            raise _Refused(1, 1, f"is not YAML: {' '.join(str(error).split())}") from None

    def _attach(self, stack: list[_Sequence | _Mapping], node: _Node, event: yaml.Event, root: _Node | None) -> _Node:
        if not stack:
            return node
        parent = stack[-1]
        if isinstance(parent, _Sequence):
            parent.items.append(node)
        elif parent.key is None:
            if not isinstance(node, _Scalar):
                raise _Refused(*_at(event), "a key must be a word, not a list or a mapping", "quote it if meant")
            parent.key = _Scalar(node.value, node.text, *_at(event))
        else:
            parent.items.append((parent.key, node))
            parent.key = None
        assert root is not None
        return root

    def _scalar(self, event: yaml.ScalarEvent) -> _Scalar:
        text = event.value
        line, column = _at(event)
        plain = bool(event.implicit[0]) and event.style in (None, "")
        return _Scalar(self._resolve(text, line, column) if plain else text, text, line, column)

    def _resolve(self, text: str, line: int, column: int) -> Any:
        if text in _NULL:
            return None
        if text in _BOOL:
            return _BOOL[text]
        if len(text) > 100 and (_INT.match(text) or _FLOAT.match(text)):
            self._mistake(line, column, f"a number of {len(text)} digits", "write a smaller one")
            return 0
        if _INT.match(text):
            return int(text)
        if _OCTAL.match(text):
            return int(text[2:], 8)
        if _HEX.match(text):
            return int(text[2:], 16)
        if _FLOAT.match(text):
            return float(text)
        if _INF.match(text):
            return float("-inf" if text.startswith("-") else "inf")
        if text in _NAN:
            return float("nan")
        return text

    # -- nodes to data ---------------------------------------------------------------------------

    def _plain(self, node: _Node, path: Path) -> Any:
        """Recursion is bounded: nodes are at most MAX_DEPTH deep, and what aliases add is counted and bounded too."""
        self.values += 1
        if self.values > MAX_VALUES:
            raise _Refused(
                node.line,
                node.column,
                f"holds more than {MAX_VALUES:,} values once aliases are expanded",
                "write counts and globs instead of aliases of aliases",
            )
        if len(path) > MAX_DEPTH:
            raise _Refused(node.line, node.column, f"is nested more than {MAX_DEPTH} levels deep by its aliases")
        self.marks.values[path] = Place(self.name, node.line, node.column)
        if isinstance(node, _Scalar):
            return node.value
        if isinstance(node, _Sequence):
            return [self._plain(item, (*path, index)) for index, item in enumerate(node.items)]
        data: dict[str, Any] = {}
        for key, value in node.items:
            dotted = ".".join(map(str, (*path, key.text)))
            if key.text == "<<":
                self._mistake(key.line, key.column, "merge keys are not part of YAML 1.2", "write the keys out", dotted)
                continue
            if key.text == "":
                self._mistake(
                    key.line, key.column, "a key is missing before ':'", "write its name", ".".join(map(str, path))
                )
                continue
            if key.text in data:
                first = self.marks.keys[(*path, key.text)]
                self._mistake(
                    key.line,
                    key.column,
                    f"duplicate key; the first one stands in line {first.line}",
                    "keep one of them",
                    dotted,
                )
                continue
            self.marks.keys[(*path, key.text)] = Place(self.name, key.line, key.column)
            data[key.text] = self._plain(value, (*path, key.text))
        return data

    def _mistake(self, line: int, column: int, problem: str, remedy: str, key: str = "") -> None:
        self.mistakes.append(Mistake(self.name, line, column, key, problem, remedy))


def _at(event: yaml.Event) -> tuple[int, int]:
    mark = event.start_mark
    assert mark is not None  # libyaml marks every event
    return mark.line + 1, mark.column + 1


def _short_tag(tag: str) -> str:
    prefix = "tag:yaml.org,2002:"
    return f"!!{tag[len(prefix) :]}" if tag.startswith(prefix) else tag


def _hint(text: str, line: int, problem: str) -> str:
    """What most likely went wrong, from the line that the parser stopped at."""
    lines = text.splitlines()
    there = lines[line - 1] if 0 < line <= len(lines) else ""
    if "\t" in there[: len(there) - len(there.lstrip())] or ("cannot start any token" in problem and "\t" in there):
        return "indent with spaces, not tabs"
    if re.search(r"[:,\[{]\s*[>|*&!%@`]", there):
        return "put quotes around the value"
    if "mapping values are not allowed" in problem:
        return "quote a value that holds ': ', and check the indentation"
    if "expected ',' or" in problem or "flow" in problem:
        return "close every bracket and brace, and part the items by commas"
    return "check indentation, quotes and brackets near here"

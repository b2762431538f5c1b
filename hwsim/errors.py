"""The errors a user can meet, each with its exit status; everything else is a bug.

A user's mistake carries one `Mistake` for each thing that is wrong, so that all of them can be
mended in one go.  A modelled fault is never an exception: it is a record of the trace.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass


class HwsimError(Exception):
    """An error with a message for the user and the exit status of the command."""

    exit_status = 2


@dataclass(frozen=True, order=True)
class Mistake:
    """One thing wrong in a file: where (line and column count from 1), which key, what, and the remedy."""

    file: str
    line: int
    column: int
    key: str
    problem: str
    remedy: str = ""

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}: " if self.line else f"{self.file}: "
        key = f"{self.key}: " if self.key else ""
        remedy = f"; {self.remedy}" if self.remedy else ""
        return f"{place}{key}{self.problem}{remedy}"


class UserError(HwsimError):
    """The user's mistake (exit 2): a file, a key, an argument; `mistakes` names all of them in file order."""

    exit_status = 2

    def __init__(self, mistakes: Iterable[Mistake] | str) -> None:
        self.mistakes: tuple[Mistake, ...] = () if isinstance(mistakes, str) else tuple(sorted(set(mistakes)))
        super().__init__(mistakes if isinstance(mistakes, str) else "\n".join(map(str, self.mistakes)))


class ToolMissing(HwsimError):
    """A tool is missing or not permitted (exit 3); the message says which and how to get it."""

    exit_status = 3


class EnvironmentFailure(HwsimError):
    """The environment failed (exit 4): a full disk, a folder that cannot be written."""

    exit_status = 4


class Interrupted(HwsimError):
    """Ctrl-C where there is something to say about it (exit 130): what is kept, and how to go on."""

    exit_status = 130

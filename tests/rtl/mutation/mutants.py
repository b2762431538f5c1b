"""The mutants of the link's Verilog: all that the operators offer, and a draw of them that is spread evenly."""

from __future__ import annotations

import random
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Final

from mutation.operators import OPERATORS
from mutation.verilog_text import body, live, reads_the_same, tokens

RTL = Path(__file__).resolve().parents[3] / "rtl"
# How many of each module are drawn: the endpoint in its parts, the parser in its, the NV register.
DRAWN: Final[Mapping[str, int]] = {
    "blp_endpoint": 72, "blp_table": 25, "blp_write": 18, "blp_delta": 12, "blp_timer": 18, "blp_parser": 36,
    "blp_crc32c": 10, "blp_nvreg": 40,
}  # fmt: skip
SEED: Final = 1


class Unchanged(ValueError):
    """A mutant that is no other text than its module."""


@dataclass(frozen=True)
class Mutant:
    """A module with one fault.  *line* is where, *nth* which of the alike on lines of the same text."""

    module: str
    operator: str
    line: int
    code: str  # the line as it is
    before: str
    after: str
    text: str  # of the whole mutated module
    nth: int = 0

    @property
    def key(self) -> tuple[str, str, str, str, str, int]:
        """What stays the same when lines are added elsewhere."""
        return self.module, self.operator, self.code, self.before, self.after, self.nth

    def __str__(self) -> str:
        return f"{self.module}.v:{self.line} {self.operator}: {self.before or 'nothing'} -> {self.after or 'nothing'}"


def mutant(module: str, operator: str, start: int, end: int, instead: str, text: str) -> Mutant:
    """*text* of *module* with *instead* from *start* to *end*; raises Unchanged where the tools would read the same."""
    if reads_the_same(text, start, end, instead):
        raise Unchanged(f"{module}: {operator} at {start} changes nothing")
    line = text.count("\n", 0, start)
    return Mutant(module, operator, line + 1, text.splitlines()[line].strip(), " ".join(text[start:end].split()),
                  " ".join(instead.split()), text[:start] + instead + text[end:])  # fmt: skip


@cache
def offered(module: str) -> tuple[Mutant, ...]:
    """Every mutant of *module*, in the order of operators and lines; none twice."""
    text = (RTL / f"{module}.v").read_text(encoding="utf-8")
    read, names = tokens(body(text)), _constants(text)
    found: list[Mutant] = []
    texts, alike = set(), dict[tuple[str, ...], int]()
    for operator, offer in OPERATORS.items():
        for change in sorted(set(offer(text, read, names))):
            if text[change.start : change.end] == change.instead:
                continue  # stuck at what it is
            made = mutant(module, operator, *change, text)
            if made.text in texts:
                continue
            texts.add(made.text)
            place = made.key[:-1]
            found.append(replace(made, nth=alike.get(place, 0)))
            alike[place] = alike.get(place, 0) + 1
    return tuple(found)


def drawn(counts: Mapping[str, int] = DRAWN, *, seed: int = SEED) -> list[Mutant]:
    """So many mutants of each module, from all of its operators in turn; the same for the same seed and text.

    A module that offers fewer gives all it has.
    """
    return [made for module, count in counts.items() for made in _spread(offered(module), count, seed)]


def _spread(mutants: Iterable[Mutant], count: int, seed: int) -> list[Mutant]:
    waiting: dict[str, list[Mutant]] = {}
    for made in mutants:
        waiting.setdefault(made.operator, []).append(made)
    for operator, those in waiting.items():
        random.Random(f"{seed} {those[0].module} {operator}").shuffle(those)
    found: list[Mutant] = []
    while len(found) < count and any(waiting.values()):
        found += [those.pop() for those in waiting.values() if those][: count - len(found)]
    return sorted(found, key=lambda made: (made.line, made.operator, made.after))


def _constants(text: str) -> list[str]:
    """The names of constants that *text* knows: its own and those of what it includes."""
    texts = [live(text)]
    texts += [live((RTL / name).read_text(encoding="utf-8")) for name in re.findall(r'`include "(\w+\.vh)"', text)
              if (RTL / name).exists()]  # fmt: skip
    return [token.text for one in texts for token, after in pairwise(tokens(one))
            if token.text.isupper() and after.text == "="]  # fmt: skip

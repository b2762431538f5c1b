"""The text of a Verilog module as mutation needs it: which of it the tools read, and its tokens.

Not modelled: macros with arguments, strings, and anything beyond the Verilog-2005 that `rtl/` is written in.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

_COMMENT = re.compile(r"//[^\n]*|/\*.*?\*/", re.DOTALL)
_DIRECTIVE = re.compile(r"^[ \t]*`(\w+)[ \t]*(\w*)[^\n]*", re.MULTILINE)
_HEADER = re.compile(r"\bmodule\b.*?\)\s*;", re.DOTALL)  # to the end of the ports: ");" comes nowhere before
_CHECK = re.compile(r"\bif \([^;]*?\) begin : g_check\w*.*?\bend\b", re.DOTALL)
_WIDTH = re.compile(r"(\b(?:wire|reg|input|localparam)\b)([ \t]*\[[^\]\n]*\])")
_STEP = re.compile(r"(\bfor \([^;\n]*;[^;\n]*;)([^)\n]*)")
_TOKEN = re.compile(
    r"(?P<sized>\d*'[sS]?[bodhBODH][0-9a-fA-FxXzZ_]+)|(?P<number>\d+)|(?P<name>[A-Za-z_$][\w$]*)"
    r"|(?P<symbol>&&|\|\||===|!==|==|!=|<=|>=|<<<|>>>|<<|>>|\+:|-:|~&|~\||~\^|[^\s\w])"
)


class Token(NamedTuple):
    """A token and where it begins and ends in the text."""

    kind: str  # sized, number, name or symbol
    text: str
    start: int
    end: int


def live(text: str) -> str:
    """*text* with all that the tools skip, with no macro defined, made blank; every character stays where it was."""
    text = _COMMENT.sub(_blank, text)
    taken: list[bool] = []  # of each `ifdef that is open: is this branch read
    found: list[str] = []
    over: list[bool] = []  # was a branch of it read before
    at = 0
    for directive in _DIRECTIVE.finditer(text):
        between = text[at : directive.start()]
        found.append(between if all(taken) else _spaces(between))
        found.append(_spaces(directive[0]))
        at = directive.end()
        word = directive[1]
        if word in ("ifdef", "elsif", "else", "ifndef"):
            if word in ("ifdef", "ifndef"):
                taken.append(word == "ifndef")
                over.append(taken[-1])
            else:
                taken[-1] = word == "else" and not over[-1]
                over[-1] |= taken[-1]
        elif word == "endif":
            taken.pop()
            over.pop()
    assert not taken, "an `ifdef stays open"
    found.append(text[at:])
    return "".join(found)


def body(text: str) -> str:
    """What of *text* says what the circuit does: live text without ports, checks of parameters, widths of declarations
    and the steps of loops.
    """
    text = live(text)
    for pattern in (_HEADER, _CHECK):
        text = pattern.sub(_blank, text)
    for pattern in (_WIDTH, _STEP):
        text = pattern.sub(lambda found: found[1] + _spaces(found[2]), text)
    return text


def tokens(text: str) -> list[Token]:
    """The tokens of *text*, which has no comments (see `live`)."""
    return [Token(found.lastgroup or "", found[0], found.start(), found.end()) for found in _TOKEN.finditer(text)]


def reads_the_same(text: str, start: int, end: int, instead: str) -> bool:
    """Whether the tools read the same tokens if *instead* stands in *text* from *start* to *end*."""
    # What changes is as a rule live, and then the lines that it touches tell.
    first, last = text.rfind("\n", 0, start) + 1, text.find("\n", end) % (len(text) + 1)
    if _live(text)[start:end] != text[start:end] or not text[start:end].strip():
        first, last = 0, len(text)
    changed = text[first:start] + instead + text[end:last]
    return _spoken(live(text[first:last])) == _spoken(live(changed))


def _spoken(text: str) -> list[str]:
    return [token.text for token in tokens(text)]


@lru_cache(maxsize=16)
def _live(text: str) -> str:
    return live(text)


def _blank(found: re.Match[str]) -> str:
    return _spaces(found[0])


def _spaces(text: str) -> str:
    return re.sub(r"[^\n]", " ", text)

"""How a mutant differs from its module: small faults such as a hand makes, each at one place of the text.

An operator is a function from the tokens of a module's body to the changes that it offers.  What stays out: ports,
parameters, widths of declarations (they decide whether a text builds, not what it does) and the step of a loop.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from itertools import pairwise
from typing import Final, NamedTuple

from mutation.verilog_text import Token

OPENS, CLOSES = ("(", "[", "{"), (")", "]", "}")
LOGIC = ("&&", "||")
SWAPS: Final = {
    "==": "!=", "!=": "==", "<": "<=", "<=": "<", ">": ">=", ">=": ">", "&&": "||", "||": "&&", "+": "-", "-": "+",
    ">>": "<<", "<<": ">>", "&": "|", "|": "&",
}  # fmt: skip
# Constants that say which of several: FAMILY_NAME.
FAMILIES: Final = (
    "STATE", "EVENT", "PHASE", "ADDRESS", "VIRGIN", "DELTA", "OUTCOME", "CANCEL", "ANSWER", "INBOX", "QUEUE", "NAMED",
    "RULED", "WRITE", "ACT", "DROP", "ROW", "TYPE", "BLP_TYPE", "BLP_COVERED",
)  # fmt: skip
STEPS: Final = ("IDLE", "PROGRAM", "COMMIT")  # the states of blp_nvreg, which have no family name


class Change(NamedTuple):
    """The text from *start* to *end* becomes *instead*."""

    start: int
    end: int
    instead: str


Operator = Callable[[str, Sequence[Token], Sequence[str]], Iterator[Change]]


def condition_negated(text: str, tokens: Sequence[Token], _names: Sequence[str]) -> Iterator[Change]:
    """if (a) -> if (!(a)); a ? b : c -> !(a) ? b : c."""
    for first, last in [*_conditions(tokens), *_choices(tokens)]:
        start, end = tokens[first].start, tokens[last].end
        yield Change(start, end, f"!({text[start:end]})")


def condition_stuck(_text: str, tokens: Sequence[Token], _names: Sequence[str]) -> Iterator[Change]:
    """if (a) -> if (1'b1), if (1'b0)."""
    for first, last in _conditions(tokens):
        for stuck in ("1'b1", "1'b0"):
            yield Change(tokens[first].start, tokens[last].end, stuck)


def term_stuck(_text: str, tokens: Sequence[Token], _names: Sequence[str]) -> Iterator[Change]:
    """a && b -> a && 1'b1, a || b -> a || 1'b0: either side no longer counts."""
    for at, token in enumerate(tokens):
        if token.text in LOGIC:
            neutral = "1'b1" if token.text == "&&" else "1'b0"
            last = _reach(tokens, at, 1)
            yield Change(tokens[at + 1].start, tokens[last].end, neutral)
            first = _reach(tokens, at, -1)
            yield Change(tokens[first].start, tokens[at - 1].end, neutral)


def negation_dropped(_text: str, tokens: Sequence[Token], _names: Sequence[str]) -> Iterator[Change]:
    """!a -> a, ~a -> a."""
    for token in tokens:
        if token.text in ("!", "~"):
            yield Change(token.start, token.end, "")


def operator_swapped(_text: str, tokens: Sequence[Token], _names: Sequence[str]) -> Iterator[Change]:
    """== -> !=, < -> <=, && -> ||, + -> -, and the like."""
    for at, token in enumerate(tokens):
        if token.text in SWAPS and not (token.text == "<=" and _assigns(tokens, at)):
            yield Change(token.start, token.end, SWAPS[token.text])


def constant_off_by_one(_text: str, tokens: Sequence[Token], _names: Sequence[str]) -> Iterator[Change]:
    """4'd3 -> 4'd4, within the width; 1'b0 -> 1'b1; 5 -> 6."""
    for token in tokens:
        if token.kind == "number":
            yield Change(token.start, token.end, str(int(token.text) + 1))
        elif token.kind == "sized":
            width, _, digits = token.text.partition("'")
            base = {"b": 2, "d": 10, "h": 16}[digits[0].lower()]
            value = (int(digits[1:], base) + 1) % (1 << int(width))
            spelled = {2: f"{value:b}", 10: str(value), 16: f"{value:X}"}[base]
            yield Change(token.start, token.end, f"{width}'{digits[0]}{spelled}")


def bit_flipped(_text: str, tokens: Sequence[Token], _names: Sequence[str]) -> Iterator[Change]:
    """The highest bit of a constant of several bits."""
    for token in tokens:
        if token.kind == "sized" and not token.text.startswith("1'"):
            width, _, digits = token.text.partition("'")
            base = {"b": 2, "d": 10, "h": 16}[digits[0].lower()]
            yield Change(token.start, token.end, f"{width}'d{int(digits[1:], base) ^ 1 << int(width) - 1}")


def name_exchanged(_text: str, tokens: Sequence[Token], names: Sequence[str]) -> Iterator[Change]:
    """STATE_WAIT -> STATE_READY: another constant of the family, the next one that the text knows."""
    for at, token in enumerate(tokens):
        family = _family(token.text, names)
        if len(family) > 1 and (at + 1 == len(tokens) or tokens[at + 1].text != "=") and tokens[at - 1].text != ".":
            yield Change(token.start, token.end, family[(family.index(token.text) + 1) % len(family)])


def assignment_dropped(_text: str, tokens: Sequence[Token], _names: Sequence[str]) -> Iterator[Change]:
    """a <= b; -> ; in a process."""
    for at, token in enumerate(tokens):
        if token.text in ("<=", "=") and (first := _assigned(tokens, at)) is not None:
            last = next(number for number in range(at, len(tokens)) if tokens[number].text == ";")
            yield Change(tokens[first].start, tokens[last].start, "")


def neighbours_swapped(text: str, tokens: Sequence[Token], _names: Sequence[str]) -> Iterator[Change]:
    """{.., a, b, ..} -> {.., b, a, ..}, of two names."""
    for (_, before), (at, first), (_, comma), (_, second), (_, after) in _windows(tokens, 5):
        if (before.text in ("{", ",") and comma.text == "," and after.text in (",", "}")
                and first.kind == second.kind == "name" and _innermost(tokens, at) == "{"):  # fmt: skip
            yield Change(first.start, second.end, f"{second.text}{text[first.end : second.start]}{first.text}")


OPERATORS: Final[Mapping[str, Operator]] = {
    "condition negated": condition_negated,
    "condition stuck": condition_stuck,
    "term stuck": term_stuck,
    "negation dropped": negation_dropped,
    "operator swapped": operator_swapped,
    "constant off by one": constant_off_by_one,
    "bit flipped": bit_flipped,
    "name exchanged": name_exchanged,
    "assignment dropped": assignment_dropped,
    "neighbours swapped": neighbours_swapped,
}


def _family(name: str, names: Sequence[str]) -> list[str]:
    """The constants among *names* that mean the same kind of thing as *name* does; none if it is no such constant."""
    if name in STEPS:
        return list(STEPS)
    for family in FAMILIES:
        if re.fullmatch(rf"{family}_[A-Z_]+", name) and name != f"{family}_W":
            return [one for one in names if re.fullmatch(rf"{family}_[A-Z_]+", one) and one != f"{family}_W"]
    return []


def _windows(tokens: Sequence[Token], size: int) -> Iterator[tuple[tuple[int, Token], ...]]:
    return zip(*(list(enumerate(tokens))[skipped:] for skipped in range(size)), strict=False)


def _innermost(tokens: Sequence[Token], at: int) -> str:
    """The bracket that the token lies in."""
    depth = 0
    for token in reversed(tokens[:at]):
        depth += (token.text in CLOSES) - (token.text in OPENS)
        if depth < 0:
            return token.text
    return ""


def _conditions(tokens: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """The first and the last token of what stands in the brackets of each `if` that a circuit decides."""
    for at, (token, following) in enumerate(pairwise(tokens)):
        if token.text == "if" and following.text == "(":
            close = _partner(tokens, at + 1)
            named = [one.text for one in tokens[close + 1 : close + 4]]
            if named[:2] != ["begin", ":"]:  # else it chooses what is built
                yield at + 2, close - 1


def _choices(tokens: Sequence[Token]) -> Iterator[tuple[int, int]]:
    """The first and the last token of what stands before each question mark."""
    for at, token in enumerate(tokens):
        if token.text == "?":
            yield _reach(tokens, at, -1, over=(*LOGIC,)), at - 1


def _partner(tokens: Sequence[Token], at: int) -> int:
    """Where the bracket that opens there closes."""
    depth = 0
    for number in range(at, len(tokens)):
        depth += (tokens[number].text in OPENS) - (tokens[number].text in CLOSES)
        if depth == 0:
            return number
    raise AssertionError("a bracket stays open")


def _reach(tokens: Sequence[Token], at: int, way: int, over: Sequence[str] = ()) -> int:
    """The farthest token of the term that begins beside the one at *at*; *over*: operators that do not end it."""
    inward, outward = (OPENS, CLOSES) if way > 0 else (CLOSES, OPENS)
    depth, number = 0, at + way
    while True:
        text = tokens[number].text
        depth += (text in inward) - (text in outward)
        ends = depth < 0 or (
            depth == 0 and (text in (";", ",", "?", ":", "=") or (text in LOGIC and text not in over)
                            or (text == "<=" and _assigns(tokens, number)))
        )  # fmt: skip
        if ends:
            return number - way
        number += way


def _assigns(tokens: Sequence[Token], at: int) -> bool:
    """Whether the <= there assigns; else it compares."""
    return _assigned(tokens, at) is not None


def _assigned(tokens: Sequence[Token], at: int) -> int | None:
    """The first token of what is assigned to there in a process; None where it is no such assignment."""
    number = at - 1
    while tokens[number].text == "]":
        depth = 0
        while True:
            depth += (tokens[number].text == "]") - (tokens[number].text == "[")
            number -= 1
            if depth == 0:
                break
    if number < 1 or tokens[number].kind != "name":
        return None
    before = tokens[number - 1].text
    if before == ":" and _chooses(tokens, number - 1):
        return None
    return number if before in (";", "begin", "end", "else", ")", ":", "endcase") else None


def _chooses(tokens: Sequence[Token], at: int) -> bool:
    """Whether the colon there is of a choice, a ? b : c; else it ends a label."""
    for token in reversed(tokens[:at]):
        if token.text in (";", "begin", "end"):
            break
        if token.text == "?":
            return True
    return False

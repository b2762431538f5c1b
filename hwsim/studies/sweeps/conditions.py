"""The language of `where`: comparisons of grid keys, joined by `and`, `or`, `not` and parentheses.

    condition  := every ('or' every)*
    every      := denied ('and' denied)*
    denied     := 'not' denied | '(' condition ')' | comparison
    comparison := operand (('=='|'!='|'<'|'<='|'>'|'>=') operand)+

An operand is a grid key, a quantity ("30s"), a number, true, false or a word; quotes make a word of anything.  A chain
such as `10s <= workload.interval < 5min` means what it says.  Nothing is looked up but the grid's keys, and nothing
is evaluated but comparisons.  What measures different things cannot be compared, and words are only equal or not.
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from hwsim.studies.sweeps.measures import Measure, measure, shown

MAX_LENGTH = 2000
MAX_DEPTH = 40

_OPERATORS: Mapping[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
}
_TOKEN = re.compile(r"""\s*(?:(==|!=|<=|>=|<|>|\(|\))|"([^"]*)"|'([^']*)'|([^\s()<>=!"']+))""")
_WORDS = ("and", "or", "not")
_INTEGER = re.compile(r"[-+]?[0-9]+\Z")
_NUMBER = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]{1,3})?\Z")


class ConditionRefused(Exception):
    """A condition that says nothing: what is wrong, what to write, and at which column of its text (from 1)."""

    def __init__(self, problem: str, remedy: str, column: int) -> None:
        super().__init__(problem)
        self.problem, self.remedy, self.column = problem, remedy, column


@dataclass(frozen=True)
class Key:
    """The value that a point has under a key of the grid."""

    name: str

    def at(self, point: Mapping[str, Any]) -> Measure:
        return measure(point[self.name])


@dataclass(frozen=True)
class Literal:
    """A value that stands in the condition itself."""

    value: Any

    def at(self, _point: Mapping[str, Any]) -> Measure:
        return measure(self.value)


Operand = Key | Literal


@dataclass(frozen=True)
class Comparison:
    """`operands[0] signs[0] operands[1] signs[1] ...`: all of them hold."""

    operands: tuple[Operand, ...]
    signs: tuple[str, ...]
    column: int

    def holds(self, point: Mapping[str, Any]) -> bool:
        """Whether it holds of *point*.  Raises ConditionRefused where the two cannot be compared."""
        return all(self._pairs(point))

    def check(self, point: Mapping[str, Any]) -> None:
        """Raise ConditionRefused where anything in it cannot be compared."""
        for _ in self._pairs(point):
            pass

    def _pairs(self, point: Mapping[str, Any]) -> Iterator[bool]:
        values = [operand.at(point) for operand in self.operands]
        for sign, left, right in zip(self.signs, values, values[1:], strict=False):
            if left.dimension != right.dimension:
                problem = f"{_told(left)} cannot be compared with {_told(right)}"
                raise ConditionRefused(problem, "write both with the same unit", self.column)
            if sign not in ("==", "!=") and not left.is_ordered:
                raise ConditionRefused(
                    f"{_told(left)} is neither less nor more than {_told(right)}", "write == or !=", self.column
                )
            yield _OPERATORS[sign](left.amount, right.amount)


@dataclass(frozen=True)
class Joined:
    """`and` or `or` of several conditions."""

    word: str
    parts: tuple[Condition, ...]

    def holds(self, point: Mapping[str, Any]) -> bool:
        found = (part.holds(point) for part in self.parts)
        return all(found) if self.word == "and" else any(found)

    def check(self, point: Mapping[str, Any]) -> None:
        for part in self.parts:
            part.check(point)


@dataclass(frozen=True)
class Denied:
    """`not` of a condition."""

    part: Condition

    def holds(self, point: Mapping[str, Any]) -> bool:
        return not self.part.holds(point)

    def check(self, point: Mapping[str, Any]) -> None:
        self.part.check(point)


Condition = Comparison | Joined | Denied


def parse(text: str, keys: Collection[str]) -> Condition:
    """Read a condition on the grid's *keys*.  Raises ConditionRefused."""
    if len(text) > MAX_LENGTH:
        raise ConditionRefused(f"is longer than {MAX_LENGTH:,} characters", "write several lines under `where`", 1)
    return _Parser(list(_tokens(text)), keys, len(text) + 1).read()


@dataclass(frozen=True)
class _Token:
    text: str
    column: int
    sign: bool = False  # an operator or a parenthesis
    quoted: bool = False


def _tokens(text: str) -> Iterator[_Token]:
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            at += len(text[at:]) - len(text[at:].lstrip())
            problem = f"'{text[at]}' is not understood"
            raise ConditionRefused(problem, "compare with ==, !=, <, <=, > or >=; join with and, or, not", at + 1)
        index = next(number for number in (1, 2, 3, 4) if match[number] is not None)
        yield _Token(match[index], match.start(index) + 1, index == 1, index in (2, 3))
        at = match.end()


class _Parser:
    """Recursive descent; the depth is bounded."""

    def __init__(self, tokens: list[_Token], keys: Collection[str], end: int) -> None:
        self._tokens, self._keys, self._end = tokens, keys, end
        self._at = self._depth = 0

    def read(self) -> Condition:
        found = self._joined("or")
        if self._at < len(self._tokens):
            self._refuse("was not expected here", "join comparisons with and, or; close every parenthesis")
        return found

    def _joined(self, word: str) -> Condition:
        parts = [self._part(word)]
        while self._next_is(word):
            self._at += 1
            parts.append(self._part(word))
        return parts[0] if len(parts) == 1 else Joined(word, tuple(parts))

    def _part(self, word: str) -> Condition:
        return self._joined("and") if word == "or" else self._denied()

    def _denied(self) -> Condition:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._refuse(f"stands more than {MAX_DEPTH} levels deep", "write several lines under `where`")
        try:
            if self._next_is("not"):
                self._at += 1
                return Denied(self._denied())
            if self._next_is("(", sign=True):
                self._at += 1
                found = self._joined("or")
                if not self._next_is(")", sign=True):
                    self._refuse("stands where ')' should", "close every parenthesis")
                self._at += 1
                return found
            return self._comparison()
        finally:
            self._depth -= 1

    def _comparison(self) -> Condition:
        column = self._tokens[self._at].column if self._at < len(self._tokens) else self._end
        operands, signs = [self._operand()], []
        while any(self._next_is(sign, sign=True) for sign in _OPERATORS):
            signs.append(self._tokens[self._at].text)
            self._at += 1
            operands.append(self._operand())
        if not signs:
            self._refuse("stands where a comparison should", "compare with ==, !=, <, <=, > or >=")
        if not any(isinstance(operand, Key) for operand in operands):
            known = ", ".join(self._keys)
            raise ConditionRefused("compares nothing of the grid", f"name a key of it: {known}", column)
        return Comparison(tuple(operands), tuple(signs), column)

    def _operand(self) -> Operand:
        token = self._tokens[self._at] if self._at < len(self._tokens) else None
        if token is None or token.sign or (token.text in _WORDS and not token.quoted):
            self._refuse("stands where a key or a value should", "write such as workload.interval >= 30s")
        assert token is not None
        self._at += 1
        if token.quoted:
            return Literal(token.text)
        if token.text in self._keys:
            return Key(token.text)
        if token.text in ("true", "false"):
            return Literal(token.text == "true")
        if _INTEGER.match(token.text) and len(token.text) < 100:
            return Literal(int(token.text))
        if _NUMBER.match(token.text):
            return Literal(float(token.text))
        if "." in token.text and measure(token.text).dimension == "word" and not token.text[0].isdigit():
            from hwsim.topology.document import suggest

            raise ConditionRefused(
                f"'{token.text}' is no key of the grid", suggest(token.text, self._keys, "one of"), token.column
            )
        return Literal(token.text)

    def _next_is(self, text: str, *, sign: bool = False) -> bool:
        token = self._tokens[self._at] if self._at < len(self._tokens) else None
        return token is not None and token.text == text and token.sign == sign and not token.quoted

    def _refuse(self, problem: str, remedy: str) -> None:
        token = self._tokens[self._at] if self._at < len(self._tokens) else None
        what = f"'{token.text}'" if token is not None else "the end"
        raise ConditionRefused(f"{what} {problem}", remedy, token.column if token is not None else self._end)


def _told(value: Measure) -> str:
    """A value with what it measures, for a message."""
    from hwsim.studies.sweeps.measures import written

    text = shown(written(value.dimension, value.amount))
    return f"'{text}' (a {value.dimension})"

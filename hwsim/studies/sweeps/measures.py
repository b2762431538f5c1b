"""What a grid's value measures: a duration, a size, a rate, a number, a truth value or a word.

Values stand in a study as in a topology ("30s", 4, true, consumer_no_plp), and what compares, orders or plots them
needs the number behind the text, and never compares seconds with bytes.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from hwsim.units import format_duration, format_rate, format_size, parse_duration, parse_rate, parse_size

DURATION, SIZE, RATE, NUMBER, TRUTH, TEXT, OTHER = "duration", "size", "rate", "number", "truth value", "word", "other"
_PARSERS = (
    (DURATION, lambda text: parse_duration(text, signed=True)),
    (SIZE, parse_size),
    (RATE, parse_rate),
)
_WRITERS = {DURATION: format_duration, SIZE: format_size, RATE: format_rate}
SUFFIX = {DURATION: "_s", SIZE: "_bytes", RATE: "_bps"}  # of the column that holds the number
_PS = 10**12


@dataclass(frozen=True)
class Measure:
    """A value and what it measures; `amount` is in ps, bytes or bits per second, or the plain value itself."""

    dimension: str
    amount: Any

    @property
    def is_ordered(self) -> bool:
        """Whether less and more mean anything."""
        return self.dimension in (DURATION, SIZE, RATE, NUMBER)

    @property
    def plain(self) -> float | None:
        """The number to compute with, in s, bytes or bits per second; None where there is none."""
        if not self.is_ordered:
            return None
        return float(self.amount) / _PS if self.dimension == DURATION else float(self.amount)


def measure(value: Any) -> Measure:
    """What *value*, as YAML gave it, measures."""
    if isinstance(value, bool):
        return Measure(TRUTH, value)
    if isinstance(value, int | float):
        return Measure(NUMBER, value)
    if not isinstance(value, str):
        return Measure(OTHER, canonical(value))
    for dimension, parse in _PARSERS:
        try:
            return Measure(dimension, parse(value))
        except ValueError:
            continue
    return Measure(TEXT, value)


def written(dimension: str, amount: float) -> Any:
    """The text of *amount* of an ordered dimension: `measure` reads it back; a number stays one."""
    return _WRITERS[dimension](int(amount)) if dimension in _WRITERS else amount


def canonical(value: Any) -> str:
    """One text for equal values, whatever the order of their keys."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def shown(value: Any) -> str:
    """*value* as a reader sees it."""
    return value if isinstance(value, str) else canonical(value)

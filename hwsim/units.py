"""Physical quantities as text: picoseconds, bytes and bits per second, as integers.

This is the only parser of "80us".  KiB and kB differ; `b` is a bit and `B` is a byte; a rate
may be written in either ("400Gb/s", "4GB/s") and is kept in bits per second.
"""

from __future__ import annotations

import re
from decimal import Decimal

PS_PER_SECOND = 10**12
DURATION_UNITS = {  # the smallest first
    "ps": 1,
    "ns": 10**3,
    "us": 10**6,
    "µs": 10**6,  # the micro sign
    "μs": 10**6,  # the Greek letter, which looks the same
    "ms": 10**9,
    "s": 10**12,
    "min": 60 * 10**12,
    "h": 3600 * 10**12,
    "d": 86400 * 10**12,
}
_DECIMAL = {"": 1, "k": 10**3, "K": 10**3, "M": 10**6, "G": 10**9, "T": 10**12, "P": 10**15, "E": 10**18}
_BINARY = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40, "Pi": 2**50, "Ei": 2**60}
SIZE_UNITS = {f"{prefix}B": factor for prefix, factor in (_DECIMAL | _BINARY).items()}
RATE_UNITS = {f"{prefix}b/s": factor for prefix, factor in (_DECIMAL | _BINARY).items()} | {
    f"{unit}/s": 8 * factor for unit, factor in SIZE_UNITS.items()
}
_LARGEST = 10**27  # 31 million years in ps; what Decimal keeps exactly
_QUANTITY = re.compile(r"\s*([+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?)\s*([A-Za-zµμ/]*)\s*\Z")


def parse_duration(text: str, *, signed: bool = False) -> int:
    """Return picoseconds of a duration such as "80us" or "1.5h".  Raises ValueError: what is wrong, and the remedy."""
    return _parse(text, DURATION_UNITS, "a duration", "'80us'", signed)


def parse_size(text: str) -> int:
    """Return bytes of a size such as "13.1GB" or "4KiB".  Raises ValueError."""
    return _parse(text, SIZE_UNITS, "a size", "'13.1GB'", False)


def parse_rate(text: str) -> int:
    """Return bits per second of a rate such as "400Gb/s" or "4GB/s".  Raises ValueError."""
    return _parse(text, RATE_UNITS, "a rate", "'400Gb/s'", False)


def _parse(text: str, units: dict[str, int], what: str, example: str, signed: bool) -> int:
    match = _QUANTITY.match(text)
    if match is None:
        raise ValueError(f"{text!r} is not {what}; write a number and a unit, such as {example}")
    number, unit = match.groups()
    if unit not in units:
        if not unit:
            raise ValueError(f"{text!r} has no unit; write a number and a unit, such as {example}")
        known = [name for name in units if name.isascii() and not name.startswith("K")]
        folded = [name for name in known if name.lower() == unit.lower()]
        near = f"did you mean {' or '.join(folded)}?" if folded else f"write one of {', '.join(known)}"
        raise ValueError(f"{unit!r} is not a unit of {what[2:]}; {near}")
    value = Decimal(number) * units[unit]
    if value < 0 and not signed:
        raise ValueError(f"{text!r} is negative, which {what} cannot be; write 0 or more")
    if abs(value) > _LARGEST:
        raise ValueError(f"{text!r} is larger than anything that can be simulated; write less")
    whole = int(value.to_integral_value())
    if whole == 0 and value != 0:
        raise ValueError(f"{text!r} is less than 1 {next(iter(units))}, the least that is told apart; write more")
    return whole


def format_duration(time_ps: int) -> str:
    """Write picoseconds with the largest fitting unit, exactly: `parse_duration` reads it back."""
    units = {name: factor for name, factor in DURATION_UNITS.items() if name.isascii()}
    whole = {name: factor for name, factor in units.items() if factor <= units["s"] or time_ps % factor == 0}
    return _format(time_ps, whole, "s")


def format_size(size_bytes: int) -> str:
    """Write bytes with the largest decimal unit, exactly."""
    return _format(size_bytes, {f"{p}B": f for p, f in _DECIMAL.items() if p != "K"}, "B")


def format_rate(rate_bps: int) -> str:
    """Write bits per second with the largest decimal unit, exactly."""
    return _format(rate_bps, {f"{p}b/s": f for p, f in _DECIMAL.items() if p != "K"}, "b/s")


def _format(value: int, units: dict[str, int], zero: str) -> str:
    """*units* above the second divide *value*; all others are powers of ten, so that the decimals end."""
    if value == 0:
        return f"0{zero}"
    name, factor = max(((n, f) for n, f in units.items() if f <= abs(value)), key=lambda item: item[1])
    return f"{format((Decimal(value) / Decimal(factor)).normalize(), 'f')}{name}"

"""Words that all answers share: values with their units, where a point lies, sentences."""

from __future__ import annotations

from collections.abc import Sequence

from hwsim.report.words import duration, number, percent
from hwsim.studies.sweeps.findings import PointFinding
from hwsim.studies.sweeps.measures import shown
from hwsim.studies.sweeps.spec import Study


def value_words(key: str, value: float) -> str:
    """A value of *key* with its unit."""
    if key.endswith("_share") or key == "ettr":
        return percent(value)
    if "_s." in key or key.endswith("_s"):
        return duration(value)
    return number(value if float(value).is_integer() else float(f"{value:.3g}"))


def span(key: str, values: Sequence[float]) -> str:
    """From the least of *values* to the greatest."""
    low, high = value_words(key, min(values)), value_words(key, max(values))
    return low if low == high else f"{low} to {high}"


def at(study: Study, one: PointFinding, but: Sequence[str | None] = ()) -> str:
    """The point's values of the keys that vary, *but* some."""
    return ", ".join(
        f"{study.label(key)} = {study.label(shown(value))}"
        for key, value in one.point.values.items()
        if key not in but and len(study.grid[key]) > 1
    )


def with_(name: str) -> str:
    """What goes before a sentence about the points that *name* names; nothing where it names none."""
    return f"with {name}, " if name else ""


def sentence(text: str) -> str:
    """*text* with a capital to begin with."""
    return text[:1].upper() + text[1:]

"""Why a mutant that survives may: `survivors.yaml`, an entry a mutant, found again by the text of its line.

Line numbers are not part of an entry, so that it outlives changes elsewhere.
"""

from __future__ import annotations

from functools import cache
from pathlib import Path

import yaml

from mutation.mutants import DRAWN, Mutant, offered

FILE = Path(__file__).with_name("survivors.yaml")
_KEYS = {"module", "operator", "code", "before", "after", "why"}

Key = tuple[str, str, str, str, str, int]


@cache
def explanations(file: Path = FILE) -> dict[Key, str]:
    """The reasons by mutant; raises ValueError for an entry that is not whole or comes twice."""
    found: dict[Key, str] = {}
    for entry in yaml.safe_load(file.read_text(encoding="utf-8")) or []:
        if entry.keys() - {"nth"} != _KEYS or not str(entry["why"]).strip():
            raise ValueError(f"{file.name}: {entry}: needs {', '.join(sorted(_KEYS))}, and nth where lines are alike")
        key = (*(str(entry[name]) for name in ("module", "operator", "code", "before", "after")), entry.get("nth", 0))
        if key in found:
            raise ValueError(f"{file.name}: {key} is explained twice")
        found[key] = " ".join(str(entry["why"]).split())
    return found


def why(mutant: Mutant, file: Path = FILE) -> str | None:
    """Why *mutant* may survive; None where nobody has said."""
    return explanations(file).get(mutant.key)


def stale(file: Path = FILE) -> list[Key]:
    """The explanations of mutants that the Verilog no longer offers."""
    known = {made.key for module in DRAWN for made in offered(module)}
    return [key for key in explanations(file) if key not in known]

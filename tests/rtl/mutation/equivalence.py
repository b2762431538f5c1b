"""Whether a mutant is the same circuit after all, by Yosys' SAT solver: then nothing can kill it.

Two ways, the quick one first.  A step: the registers of both circuits are taken out, so that their outputs are inputs
of what is left and their inputs are outputs; if those agree for every value of all inputs, the circuits do the same
from every state, reachable or not.  For ever: by induction over some cycles, their outputs agree in every cycle after
a reset, if both held zeros before it where nothing else is said; so a register may differ while nobody can see it.

A "no" says nothing.  What registers hold at the start is not compared: a mutant whose `initial` blocks differ is never
told equivalent.  A part of a module is judged within it, since not all that it could be given comes.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import provers

from mutation.verilog_text import live


class Context(NamedTuple):
    """A module that the mutated one is, or is in; its parameters; over how many cycles to try an induction."""

    top: str
    parameters: Mapping[str, int]
    cycles: int = 0


_ENDPOINT: Final = (Context("blp_endpoint", {}),)
# It must be the same at each: the settings of the benches, for a constant may matter at one width alone; the timer and
# the register name no width by its number.
CONTEXTS: Final[Mapping[str, Sequence[Context]]] = {
    "blp_endpoint": _ENDPOINT,
    "blp_table": _ENDPOINT,
    "blp_write": _ENDPOINT,
    "blp_delta": (*_ENDPOINT, Context("blp_endpoint", {"WINDOW_W": 1})),
    "blp_timer": (Context("blp_timer", {"COUNT_W": 3}, 10),),
    "blp_parser": (Context("blp_parser", {"DATA_W": 64}), Context("blp_parser", {"DATA_W": 8})),
    "blp_crc32c": tuple(
        Context(top, {"DATA_W": width}) for top in ("blp_parser", "blp_framer") for width in (64, 8)
    ),
    # Its width is of data that is only copied.  A counter of a bit more than it needs runs out within 2**6 cycles.
    "blp_nvreg": (
        Context("blp_nvreg", {"WIDTH": 2, "WRITE_CYCLES": 0}, 12),
        Context("blp_nvreg", {"WIDTH": 2, "WRITE_CYCLES": 10}, 75),
    ),
}  # fmt: skip
_INITIAL = re.compile(r"\binitial\s+begin\b.*?\bend\b|\binitial\b[^;]*;", re.DOTALL)


def proven(module: str, original: Path, mutated: Path, folder: Path) -> str | None:
    """How *module* of the Verilog in *mutated* is proven to be that in *original*; None where it is not."""
    texts = [live((rtl / f"{module}.v").read_text(encoding="utf-8")) for rtl in (original, mutated)]
    if _INITIAL.findall(texts[0]) != _INITIAL.findall(texts[1]):
        return None
    for name, rtl in (("gold", original), ("gate", mutated)):
        (folder / name).mkdir(parents=True)
        for source in rtl.glob("*.v*"):
            shutil.copy(source, folder / name)
    contexts = CONTEXTS[module]
    if all(_holds(context, "expose -dff -evert-dff; ", "sat -verify -prove trigger 0", folder) for context in contexts):
        return "the same outputs and next state from every state"
    for context in contexts:
        induction = f"-tempinduct -set-init-zero -set-at 1 in_rst_i 1 -seq 1 -maxsteps {context.cycles}"
        if not context.cycles or not _holds(context, "", f"sat -verify -prove trigger 0 {induction}", folder):
            return None
    return "the same outputs after a reset, by induction"


def _holds(context: Context, passes: str, proof: str, folder: Path) -> bool:
    given = "".join(f" -chparam {name} {value}" for name, value in context.parameters.items())
    sources = [path.name for path in sorted((folder / "gold").glob("*.v"))]
    script = "".join(
        f"read_verilog -I{name} -defer {' '.join(f'{name}/{source}' for source in sources)}; "
        f"hierarchy -top {context.top}{given}; proc; flatten; memory_map; opt_clean; {passes}rename -top {name}; "
        f"design -stash {name}; "
        for name in ("gold", "gate")
    )
    script += "design -copy-from gold -as gold gold; design -copy-from gate -as gate gate; "
    script += f"miter -equiv -flatten gold gate miter; hierarchy -top miter; opt -fast; {proof} miter"
    return provers.yosys(script, folder).returncode == 0

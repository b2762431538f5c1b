"""Every case of the transition table, asked of the Verilog: states, events and combinations of observables.

Those observables too that an event does not ask about: they must not matter.
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator, Sequence
from itertools import product, zip_longest
from pathlib import Path

from hwsim.bilateral.machine import Rows
from hwsim.bilateral.table import ACTS, ASKED, OBSERVABLES, TABLE, WRITES, Event, Row, State
from hwsim.bilateral.verilog import DROPS, bits_for

BENCH = """
module every_case;
{declared}
  wire [6:0] row;
  wire [3:0] write, drop;
  wire [14:0] acts;
  blp_table dut ({ports}, .row_o(row), .write_o(write), .acts_o(acts), .drop_o(drop));
  initial begin
{loops}
    #1 $display("%h", {{row, write, acts, drop}});
{ends}
  end
endmodule
"""


def said(rtl: Path, folder: Path) -> list[str]:
    """What the table in *rtl* says of each case in turn, by Icarus; raises CalledProcessError."""
    inputs = {"state": len(State), "event": len(Event)} | {name: len(values) for name, values in OBSERVABLES.items()}
    bench = BENCH.format(
        declared="\n".join(
            f"  reg [{bits_for(most) - 1}:0] {name}_q; integer {name}_n;" for name, most in inputs.items()
        ),
        ports=", ".join(f".{name}_i({name}_q)" for name in inputs),
        loops="\n".join(
            f"    for ({name}_n = 0; {name}_n < {most}; {name}_n = {name}_n + 1) begin {name}_q = {name}_n;"
            for name, most in inputs.items()
        ),
        ends="    " + "end " * len(inputs),
    )  # fmt: skip
    (folder / "every_case.v").write_text(bench)
    subprocess.run(
        ["iverilog", "-g2005", f"-I{rtl}", "-o", folder / "out", folder / "every_case.v", rtl / "blp_table.v"],
        check=True,
    )
    return subprocess.run([folder / "out"], check=True, capture_output=True, text=True).stdout.split()


def expected() -> Iterator[tuple[str, tuple[State, Event, dict[str, str], Row]]]:
    """What it must say of each case in turn, and the case."""
    writes, acts, drops = ["", *WRITES], list(ACTS), ["", *DROPS]
    coded = {}
    for number, row in enumerate(TABLE):
        done = sum(1 << acts.index(act) for act in row.acts)
        code = number << 23 | writes.index(row.write or "") << 19 | done << 4 | drops.index(row.drop or "")
        coded[id(row)] = f"{code:08x}"
    rows, names = Rows(), list(OBSERVABLES)
    for state, event in product(State, Event):
        asked = [names.index(name) for name in ASKED[event]]
        for values in product(*OBSERVABLES.values()):
            observed = dict(zip(ASKED[event], (values[at] for at in asked), strict=True))
            row = rows.find(state, event, observed)
            yield coded[id(row)], (state, event, observed, row)


def first_difference(said: Sequence[str]) -> tuple[object, ...] | None:
    """The first case of which the Verilog says something else; None where it says what it must of all of them."""
    for heard, due in zip_longest(said, expected()):
        if due is None or heard != due[0]:
            return (heard, *due) if due else (heard, "more cases than there are")
    return None

"""The Verilog's table is the Python's: the files are what the generator makes now, and every case has the same row."""

from __future__ import annotations

import subprocess
from itertools import product
from pathlib import Path

import pytest
import simulators

from hwsim.bilateral.machine import Rows
from hwsim.bilateral.table import ACTS, ASKED, OBSERVABLES, TABLE, WRITES, Event, State
from hwsim.bilateral.verilog import DROPS, FILES, bits_for


@pytest.mark.parametrize("name", FILES)
def test_the_files_are_up_to_date(name: str) -> None:
    made = (simulators.RTL / name).read_text(encoding="utf-8")
    assert made == FILES[name](), "run python -m hwsim.bilateral.verilog rtl"


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


def test_every_case_has_its_row(tmp_path: Path) -> None:
    """Every state, event and combination of observables, those too that the event does not ask about."""
    if reason := simulators.missing("icarus"):
        pytest.skip(reason)
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
    (tmp_path / "every_case.v").write_text(bench)
    rtl = simulators.RTL
    subprocess.run(
        ["iverilog", "-g2005", f"-I{rtl}", "-o", tmp_path / "out", tmp_path / "every_case.v", rtl / "blp_table.v"],
        check=True,
    )
    said = iter(subprocess.run([tmp_path / "out"], check=True, capture_output=True, text=True).stdout.split())
    writes, acts, drops = ["", *WRITES], list(ACTS), ["", *DROPS]
    coded = {
        id(row): TABLE.index(row) << 23 | writes.index(row.write or "") << 19
        | sum(1 << acts.index(act) for act in row.acts) << 4 | drops.index(row.drop or "")
        for row in TABLE
    }  # fmt: skip
    rows, names = Rows(), list(OBSERVABLES)
    for state, event in product(State, Event):
        asked = [names.index(name) for name in ASKED[event]]
        for values in product(*OBSERVABLES.values()):
            observed = dict(zip(ASKED[event], (values[at] for at in asked), strict=True))
            row = rows.find(state, event, observed)
            assert int(next(said), 16) == coded[id(row)], (state, event, observed, row.name)
    assert next(said, None) is None

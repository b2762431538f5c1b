"""The Verilog's numbers of the frame are the Python's: the include is what the generator writes now."""

from __future__ import annotations

import runpy

from simulators import ROOT, RTL


def test_the_include_is_up_to_date() -> None:
    generator = runpy.run_path(str(ROOT / "scripts/generate-rtl"))
    assert (RTL / "blp_defs.vh").read_text(encoding="utf-8") == generator["generate"](), "run scripts/generate-rtl"

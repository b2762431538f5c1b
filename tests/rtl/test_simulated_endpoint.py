"""The Verilog's link beside the simulated endpoint, on both simulators and at both widths."""

from __future__ import annotations

from pathlib import Path

import pytest
import simulators


@pytest.mark.parametrize("simulator, width", [("icarus", 64), ("verilator", 64), ("verilator", 8)])
def test_model_and_verilog_are_one(simulator: str, width: int, tmp_path: Path) -> None:
    simulators.run(simulator, "link_top_bench", "bench_simulated_endpoint", tmp_path, tests=1,
                   parameters={"DATA_W": width})  # fmt: skip

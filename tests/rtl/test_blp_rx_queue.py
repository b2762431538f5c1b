"""The bench of blp_rx_queue, on both simulators; with a counter of four bits, so that it wraps."""

from __future__ import annotations

from pathlib import Path

import pytest
import simulators


@pytest.mark.parametrize("simulator, depth", [("icarus", 1), ("icarus", 5), ("verilator", 1), ("verilator", 4)])
def test_blp_rx_queue(simulator: str, depth: int, tmp_path: Path) -> None:
    simulators.run(simulator, "blp_rx_queue", "bench_blp_rx_queue", tmp_path, tests=3,
                   parameters={"WIDTH": 8, "DEPTH": depth, "STAT_W": 4})  # fmt: skip

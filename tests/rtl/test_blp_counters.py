"""The bench of blp_counters, on both simulators; of four bits, so that they wrap."""

from __future__ import annotations

from pathlib import Path

import pytest
import simulators


@pytest.mark.parametrize("simulator", simulators.NAMES)
def test_blp_counters(simulator: str, tmp_path: Path) -> None:
    simulators.run(simulator, "blp_counters", "bench_blp_counters", tmp_path, tests=1,
                   parameters={"SELECT_W": 4, "STAT_W": 4})  # fmt: skip

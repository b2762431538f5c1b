"""The bench of blp_nvreg, on both simulators, with cells that take no cycle, ten and a thousand."""

from __future__ import annotations

from pathlib import Path

import pytest
import simulators


@pytest.mark.parametrize("cycles", [0, 10, 1000])
@pytest.mark.parametrize("simulator", simulators.NAMES)
def test_blp_nvreg(simulator: str, cycles: int, tmp_path: Path) -> None:
    simulators.run(simulator, "blp_nvreg", "bench_blp_nvreg", tmp_path, tests=7,
                   parameters={"WIDTH": 100, "WRITE_CYCLES": cycles})  # fmt: skip

"""The bench of blp_timer, on both simulators."""

from __future__ import annotations

from pathlib import Path

import pytest
import simulators


@pytest.mark.parametrize("simulator", simulators.NAMES)
def test_blp_timer(simulator: str, tmp_path: Path) -> None:
    simulators.run(simulator, "blp_timer", "bench_blp_timer", tmp_path, tests=5)

"""The bench of blp_framer, on both simulators and at both widths."""

from __future__ import annotations

from pathlib import Path

import pytest
import simulators


@pytest.mark.parametrize("width", [8, 64])
@pytest.mark.parametrize("simulator", simulators.NAMES)
def test_blp_framer(simulator: str, width: int, tmp_path: Path) -> None:
    simulators.run(simulator, "framer_bench", "bench_blp_framer", tmp_path, tests=7,
                   parameters={"DATA_W": width})  # fmt: skip

"""The bench of blp_parser, on both simulators and at both widths."""

from __future__ import annotations

from pathlib import Path

import pytest
import simulators


@pytest.mark.parametrize("width", [8, 64])
@pytest.mark.parametrize("simulator", simulators.NAMES)
def test_blp_parser(simulator: str, width: int, tmp_path: Path) -> None:
    simulators.run(simulator, "parser_bench", "bench_blp_parser", tmp_path, tests=10,
                   parameters={"DATA_W": width})  # fmt: skip

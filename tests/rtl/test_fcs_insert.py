"""The bench of fcs_insert, on both simulators and at both widths."""

from __future__ import annotations

from pathlib import Path

import pytest
import simulators


@pytest.mark.parametrize("width", [8, 64])
@pytest.mark.parametrize("simulator", simulators.NAMES)
def test_fcs_insert(simulator: str, width: int, tmp_path: Path) -> None:
    simulators.run(simulator, "stream_bench", "bench_fcs_insert", tmp_path, tests=7,
                   parameters={"DATA_W": width, "OCTETS": 9216}, defines={"DUT": "fcs_insert"})  # fmt: skip

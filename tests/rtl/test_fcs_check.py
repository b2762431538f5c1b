"""The bench of fcs_check, on both simulators and at both widths."""

from __future__ import annotations

from pathlib import Path

import pytest
import simulators


@pytest.mark.parametrize("width", [8, 64])
@pytest.mark.parametrize("simulator", simulators.NAMES)
def test_fcs_check(simulator: str, width: int, tmp_path: Path) -> None:
    simulators.run(simulator, "stream_bench", "bench_fcs_check", tmp_path, tests=11,
                   parameters={"DATA_W": width, "OCTETS": 9216}, defines={"DUT": "fcs_check"})  # fmt: skip

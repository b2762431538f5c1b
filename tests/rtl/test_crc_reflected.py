"""The bench of crc_reflected and of its two users crc32 and crc32c, at both widths in one."""

from __future__ import annotations

from pathlib import Path

import pytest
import simulators


@pytest.mark.parametrize("simulator", simulators.NAMES)
def test_crc_reflected(simulator: str, tmp_path: Path) -> None:
    simulators.run(simulator, "crc_bench", "bench_crc_reflected", tmp_path, tests=2)

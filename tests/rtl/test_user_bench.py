"""The example of a bench outside this project's own, as its user would run it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import simulators

RUN = simulators.ROOT / "examples" / "cocotb_user_bench" / "run.py"


@pytest.mark.parametrize("simulator", simulators.NAMES)
def test_a_users_bench_runs(simulator: str, tmp_path: Path) -> None:
    if reason := simulators.missing(simulator):
        pytest.skip(reason)
    done = subprocess.run([sys.executable, RUN, simulator, tmp_path], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "4 tests ran, 0 failed" in done.stdout

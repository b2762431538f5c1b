"""The bench of blp_endpoint, on both simulators; and with windows that a reordering wire breaks."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import simulators
from coverage_points import points, share

LATE = "a_frame_from_long_ago_is_known_by_its_round"
MODULES = ("blp_endpoint.v", "blp_table.v", "blp_write.v", "blp_delta.v")
# What no run meets: a default that no value reaches, the else of a condition that always holds, and a HELLO that is for
# another, since it is for anyone.
NEVER = re.compile(r"default:|case \(|if \(1'b1\)|[^;]*ROW_HELLO_ELSEWHERE")


@pytest.mark.parametrize("cycles", [0, 2])
def test_blp_endpoint(cycles: int, tmp_path: Path) -> None:
    simulators.run("icarus", "endpoint_bench", "bench_blp_endpoint", tmp_path, tests=2,
                   parameters={"WRITE_CYCLES": cycles})  # fmt: skip


def test_blp_endpoint_leaves_no_line_out(tmp_path: Path) -> None:
    """On Verilator, which counts lines and toggles."""
    simulators.run("verilator", "endpoint_bench", "bench_blp_endpoint", tmp_path, tests=2,
                   options=["--coverage-line", "--coverage-toggle"])  # fmt: skip
    found = [point for point in points(tmp_path / "coverage.dat") if point.file in MODULES]
    print("lines and branches:", share(found, ("line", "branch")), "; toggles:", share(found, ("toggle",)))
    for point in found:
        lines = (simulators.RTL / point.file).read_text(encoding="utf-8").splitlines()
        if point.kind != "toggle":
            assert point.count or NEVER.match("".join(lines[point.line - 1 :]).strip()), point
        elif point.file == "blp_table.v":
            assert point.count, point


@pytest.mark.parametrize("bits", [1, 2])
def test_few_numbers_break_on_a_wire_that_reorders(bits: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COCOTB_TEST_FILTER", f"{LATE}$")
    simulators.run("icarus", "endpoint_bench", "bench_blp_endpoint", tmp_path, tests=1, parameters={"WINDOW_W": bits})

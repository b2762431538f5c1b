"""The benches of blp_link_top, on both simulators and at both widths."""

from __future__ import annotations

from pathlib import Path

import pytest
import simulators

WAITS = "what_comes_during_a_write_waits_or_is_said_again"
ROUND, TOKEN = "a_round_takes_the_sum_of_its_parts", "the_token_survives_a_bad_wire_and_crashes"


@pytest.mark.parametrize("cycles", [0, 10, 1000])
@pytest.mark.parametrize("width", [8, 64])
def test_a_round_takes_the_sum_of_its_parts(
    width: int, cycles: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COCOTB_TEST_FILTER", f"{ROUND}$")
    simulators.run("icarus", "link_pair_bench", "bench_blp_link_top", tmp_path, tests=1,
                   parameters={"DATA_W": width, "WRITE_CYCLES": cycles, "DIRECT": 1})  # fmt: skip


@pytest.mark.parametrize("simulator, rounds", [("icarus", 60), ("verilator", 500)])
def test_the_token_survives(simulator: str, rounds: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COCOTB_TEST_FILTER", f"{TOKEN}$")
    monkeypatch.setenv("BENCH_ROUNDS", str(rounds))
    simulators.run(simulator, "link_pair_bench", "bench_blp_link_top", tmp_path, tests=1)


@pytest.mark.parametrize("depth", [0, 1, 4])
def test_what_comes_during_a_write_waits(depth: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COCOTB_TEST_FILTER", f"{WAITS}$")
    simulators.run("icarus", "link_pair_bench", "bench_blp_link_top", tmp_path, tests=1,
                   parameters={"WRITE_CYCLES": 97, "RX_DEPTH": depth, "DIRECT": 1})  # fmt: skip


def test_the_token_survives_frames_that_waited(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Writes so long that frames pile up and supersede each other."""
    monkeypatch.setenv("COCOTB_TEST_FILTER", f"{TOKEN}$")
    monkeypatch.setenv("BENCH_ROUNDS", "30")
    simulators.run("verilator", "link_pair_bench", "bench_blp_link_top", tmp_path, tests=1,
                   parameters={"WRITE_CYCLES": 400, "RX_DEPTH": 2})  # fmt: skip


@pytest.mark.long
def test_the_token_survives_for_long(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COCOTB_TEST_FILTER", f"{TOKEN}$")
    monkeypatch.setenv("BENCH_ROUNDS", "10000")
    simulators.run("verilator", "link_pair_bench", "bench_blp_link_top", tmp_path, tests=1)

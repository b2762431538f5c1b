"""The Verilog's table is the Python's: the files are what the generator makes now, and every case has the same row."""

from __future__ import annotations

from pathlib import Path

import pytest
import simulators
import table_cases

from hwsim.bilateral.verilog import FILES


@pytest.mark.parametrize("name", FILES)
def test_the_files_are_up_to_date(name: str) -> None:
    made = (simulators.RTL / name).read_text(encoding="utf-8")
    assert made == FILES[name](), "run python -m hwsim.bilateral.verilog rtl"


def test_every_case_has_its_row(tmp_path: Path) -> None:
    """Every state, event and combination of observables, those too that the event does not ask about."""
    if reason := simulators.missing("icarus"):
        pytest.skip(reason)
    assert table_cases.first_difference(table_cases.said(simulators.RTL, tmp_path)) is None

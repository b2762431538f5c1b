"""The proofs: each task of each .sby file has the verdict that it must have, and a broken module is refuted.

A failed induction proves nothing either way, so what counts against a broken module is a counterexample alone: a
trace from reset.
"""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import formal_tools
import pytest
from simulators import RTL

FORMAL = RTL / "formal"
MUST_FAIL = {("blp_nvreg", "in_place")}
TASKS = [
    (path.stem, line.split()[0])
    for path in sorted(FORMAL.glob("*.sby"))
    for line in re.search(r"\[tasks\]\n(.*?)\n\n", path.read_text(encoding="utf-8"), re.DOTALL)[1].splitlines()
    if not line.startswith("bmc")  # for the broken ones below
]
# A module's text, what is put in its place, and the task that must find it.
BROKEN = [
    ("blp_parser", "bmc64", "version != BLP_VERSION,", "1'b0,"),
    ("blp_parser", "bmc64", "carried != crc,", "1'b0,"),
    ("blp_parser", "bmc64", "octet >= length &&", "octet > length &&"),
    ("blp_nvreg", "prove", "if (writes && sel_q) slot0_q", "if (writes && !sel_q) slot0_q"),
    ("blp_nvreg", "prove", "commits && !(crash_i && tear_sel_i)", "programmed"),
    ("blp_rx_queue", "bmc3", "replaces ? newest_q : behind", "behind"),
    ("blp_rx_queue", "bmc3", "held_q == FULL && !pops", "held_q == FULL"),
    ("blp_rx_queue", "bmc3", "if (replaces) missed_q", "if (replaces && missed_q != 1) missed_q"),
    ("blp_rx_queue", "bmc3", "if (push_valid_i) begin", "if (adds) begin"),
    ("fcs_insert", "bmc64", "m_axis_tready && !in_rest);", "m_axis_tready);"),
    ("fcs_check", "bmc64", "valid_q && (!full || m_axis_tready)", "valid_q"),
]


@pytest.fixture(autouse=True)
def tools() -> None:
    """Skip where they are missing."""
    if reason := formal_tools.missing():
        pytest.skip(reason)


@pytest.mark.parametrize("module, task", TASKS)
def test_proof(module: str, task: str, tmp_path: Path) -> None:
    verdict, log = formal_tools.sby(FORMAL / f"{module}.sby", task, tmp_path)
    assert verdict == ("FAIL" if (module, task) in MUST_FAIL else "PASS"), log


@pytest.mark.parametrize("module, task, text, instead", BROKEN)
def test_a_broken_module_is_refuted(module: str, task: str, text: str, instead: str, tmp_path: Path) -> None:
    shutil.copytree(RTL, tmp_path / "rtl")
    source = tmp_path / "rtl" / f"{module}.v"
    right = source.read_text(encoding="utf-8")
    assert right.count(text) == 1
    source.write_text(right.replace(text, instead), encoding="utf-8")
    verdict, log = formal_tools.sby(tmp_path / "rtl/formal" / f"{module}.sby", task, tmp_path)
    assert verdict == "FAIL", log
    assert "counterexample trace" in log

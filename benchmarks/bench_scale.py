"""Time and memory of a run and its crash sweep for 10 to 10,000 abstract domains, and the exponent of growth.

python benchmarks/bench_scale.py [--checkpoints N] [--most N]
"""

from __future__ import annotations

import argparse
import math
import subprocess
import sys
from pathlib import Path

_ONE = """
import resource, sys
from time import perf_counter
sys.path.insert(0, {tests!r})
import builders
from hwsim.simulation import simulate
from hwsim.metrics import evaluate
topology = builders.abstract({domains}, horizon="{horizon}s")
start = perf_counter()
trace = simulate(topology)
ran = perf_counter()
evaluate([trace])
print(ran - start, perf_counter() - ran, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""


def measure(domains: int, checkpoints: int) -> tuple[float, float, int]:
    """Seconds to run, seconds to judge, and the peak of memory (KiB), in a process of its own."""
    code = _ONE.format(tests=str(Path(__file__).parents[1] / "tests"), domains=domains, horizon=checkpoints + 1)
    out = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout.split()
    return float(out[0]), float(out[1]), int(out[2])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--checkpoints", type=int, default=100)
    parser.add_argument("--most", type=int, default=10_000)
    given = parser.parse_args()
    sizes = [size for size in (10, 100, 1000, 10_000, 100_000) if size <= given.most]
    taken: list[float] = []
    for size in sizes:
        ran, judged, peak = measure(size, given.checkpoints)
        taken.append(ran + judged)
        print(f"{size:7d} domains: {ran:8.3f} s to run, {judged:8.3f} s to judge, {peak / 1024:7.0f} MiB")
    if len(sizes) > 2:
        slope = math.log(taken[-1] / taken[1]) / math.log(sizes[-1] / sizes[1])
        print(f"exponent from {sizes[1]} to {sizes[-1]} domains: {slope:.2f} (wanted: 1.25 or less)")


if __name__ == "__main__":
    main()

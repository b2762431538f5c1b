"""Events a second: a run of abstract domains against a bare SimPy model that schedules the same number of timeouts.

The bare model is one process a domain that waits for the same instants and does nothing else; the run
also keeps every domain's content, the protocol's claims and the trace.
Read the ratio, not the rates: they vary with the machine.

    python benchmarks/bench_events.py [--domains N] [--checkpoints N] [--profile]
"""

from __future__ import annotations

import argparse
import cProfile
import gc
import pstats
import random
import sys
from pathlib import Path
from time import process_time

import simpy

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import builders
from builders import PS

from hwsim.simulation import Simulation


def bare(domains: int, checkpoints: int) -> float:
    """Seconds for a model in which one process a domain waits for the same instants, and nothing else."""
    env = simpy.Environment()
    draw = random.Random(1).random
    delays = [[round(draw() * PS / 5) for _ in range(checkpoints)] for _ in range(domains)]

    def wait(mine: list[int]):
        before = 0
        for delay in mine:
            yield env.timeout(PS + delay - before)
            before = delay

    for mine in delays:
        env.process(wait(mine))
    gc.disable()
    start = process_time()
    env.run()
    taken = process_time() - start
    gc.enable()
    return taken


def run(domains: int, checkpoints: int) -> tuple[float, int]:
    """Seconds for a run, and the timeouts that it scheduled."""
    simulation = Simulation(builders.abstract(domains, horizon=f"{checkpoints + 1}s"))
    start = process_time()
    simulation.run()
    return process_time() - start, (domains + 1) * checkpoints


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--domains", type=int, default=1000)
    parser.add_argument("--checkpoints", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--profile", action="store_true")
    given = parser.parse_args()
    ratios = []
    for _ in range(given.rounds):
        ours, timeouts = run(given.domains, given.checkpoints)
        theirs = bare(given.domains, given.checkpoints)
        ratios.append(theirs / ours)
        print(
            f"{timeouts / ours / 1e3:8.0f} k timeouts/s here, {timeouts / theirs / 1e3:8.0f} k bare, "
            f"ratio {theirs / ours:.2f}"
        )
    print(f"ratio, best of {given.rounds}: {max(ratios):.2f} (wanted: 0.3 or better)")
    if given.profile:
        with cProfile.Profile() as profile:
            run(given.domains, given.checkpoints)
        pstats.Stats(profile).sort_stats("tottime").print_stats(12)


if __name__ == "__main__":
    main()

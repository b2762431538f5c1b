"""Crash points judged a second and core, and exploring against re-simulation without merging, on 64 ranks.

The topology is `llama3-70b-8nodes` (64 ranks, two copies, 8 nodes), one checkpoint.  Re-simulation does what a search
without any of this would do for each crash: build the simulation, run it from the start to the event, strike, recover,
go on to the next acknowledged checkpoint; a sample of it is timed, evenly spread, and the mean is taken for all.
Exploring foresees every strike from one trace, tells which are alike, and executes one of each kind, forked from one
run, until it comes into a known state.

With `detect: 0s` strikes are alike by what they leave.  With the topology's own 30 s survivors go on by themselves, and
strikes are alike only where no event between them has to do with what is struck, or nobody takes notice of it; what
was merged in an expectation that does not hold is executed too, and counted.

Everything is executed, in several rounds; each times both ways one after the other, and its ratio is of these two.
Time is processor time, of this process and its children: read the ratios, for the times vary with the machine.

    python benchmarks/bench_explore.py [--rounds N] [--resimulated N] [--detect 0s]
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from resource import RUSAGE_CHILDREN, RUSAGE_SELF, getrusage
from statistics import median
from typing import TypeVar

from hwsim.explore.execution import Execution, Resolution
from hwsim.explore.search import Plan, execute, plan
from hwsim.topology import load

TOPOLOGY = Path(__file__).parents[1] / "topologies" / "llama3-70b-8nodes.yaml"
Result = TypeVar("Result")


def timed(work: Callable[[], Result]) -> tuple[float, Result]:
    """Processor time (s) of this process and its children, and the result."""
    began = _processor_s()
    result = work()
    return _processor_s() - began, result


def _processor_s() -> float:
    return sum(use.ru_utime + use.ru_stime for use in (getrusage(RUSAGE_SELF), getrusage(RUSAGE_CHILDREN)))


def resimulate(made: Plan, count: int) -> int:
    """*count* strikes, evenly spread, each by itself from the start of a run."""
    strikes = len(made.window.points) * len(made.targets)
    for number in range(count):
        point, target = divmod(number * strikes // count + strikes // (2 * count), len(made.targets))
        run = Execution(made.topology, made.window.latency_ps)
        run.advance(made.window.points[point].step)
        run.strike(made.targets[target], Resolution())
        run.finish()
    return count


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=3, metavar="N", help="times that all is measured")
    parser.add_argument("--resimulated", type=int, default=24, metavar="N", help="strikes re-simulated in each round")
    parser.add_argument("--detect", action="append", help="time until a crash is noticed; default: 0s, then 30s")
    asked = parser.parse_args()
    print("64 ranks, 8 nodes, one checkpoint; one core, processor time")
    for detect in asked.detect or ("0s", "30s"):
        topology = load(TOPOLOGY, [f"workload.restart.detect={detect}"])
        ratios = []
        for number in range(asked.rounds):
            foreseen, made = timed(partial(plan, topology))
            resimulated, count = timed(partial(resimulate, made, asked.resimulated))
            alone = resimulated / count
            seconds, done = timed(partial(execute, made, budget=10**9))
            strikes = len(made.window.points) * len(made.targets)
            whole, other = foreseen + seconds, strikes * alone
            ratios.append(other / whole)
            if number == 0:
                points, targets = len(made.window.points), len(made.targets)
                print(f"\ndetect: {detect}: {points:,} events x {targets:,} targets = {strikes:,} strikes")
                print(f"  of which differ, and are executed  {len(done.endings):10,}")
                merged = sum(ending.merged for _, ending in done.endings)
                print(f"  of these came into a known state   {merged:10,}")
            print(f"  round {number + 1}")
            print(f"    foreseen, all of them            {foreseen:10.2f} s {strikes / foreseen:12,.0f} a second")
            each = len(done.endings) / seconds
            print(f"    executing those that differ      {seconds:10.1f} s {each:12,.1f} a second")
            print(f"    judged in all                    {whole:10.1f} s {strikes / whole:12,.1f} a second")
            print(f"    re-simulated without merging     {other:10,.0f} s {1 / alone:12,.1f} a second")
            print(f"    ratio                            {ratios[-1]:10,.0f}")
        print(f"  ratio, median of {len(ratios)}                {median(ratios):10,.0f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

"""Crash points judged a second and core, and exploring against re-simulation without merging, on 64 ranks.

The topology is `llama3-70b-8nodes` (64 ranks, two copies, 8 nodes), one checkpoint.  Re-simulation does what a search
without any of this would do for each crash: build the simulation, run it from the start to the event, strike, recover,
go on to the next acknowledged checkpoint; a sample of it is timed, evenly spread, and the mean is taken for all.
Exploring foresees every strike from one trace, and executes those that leave different states, forked from one run.

`detect: 0s` lets strikes merge as they strike; the topology's own 30 s let survivors go on, so every strike is executed
up to its recovery.  What is executed of these is a sample too, of whole events with all of their strikes; its
time is scaled to all of them (`--full` executes all).

Read the ratios, not the times: they vary with the machine.

    python benchmarks/bench_explore.py [--full] [--every N] [--resimulated N]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from time import perf_counter

from hwsim.explore.execution import Execution, Resolution
from hwsim.explore.search import Plan, Task, _Worker, plan, tasks_of
from hwsim.topology import load

TOPOLOGY = Path(__file__).parents[1] / "topologies" / "llama3-70b-8nodes.yaml"


def resimulated(made: Plan, count: int) -> float:
    """Seconds that one strike takes by itself, from the start of a run, on average over *count* of them."""
    strikes = len(made.window.points) * len(made.targets)
    began = perf_counter()
    for number in range(count):
        point, target = divmod(number * strikes // count + strikes // (2 * count), len(made.targets))
        run = Execution(made.topology, made.window.latency_ps)
        run.advance(made.window.points[point].step)
        run.strike(made.targets[target], Resolution())
        run.finish()
    return (perf_counter() - began) / count


def executed(made: Plan, tasks: tuple[Task, ...], every: int) -> tuple[float, int, int]:
    """Seconds that all tasks take, by those of every so manieth event; how many were executed, and how many merged."""
    chosen = tuple(task for task in tasks if task.point % every == 0)
    began = perf_counter()
    done = _Worker(made, True, lambda _stage, _share: None).run(chosen)
    seconds = perf_counter() - began
    merged = sum(ending.merged for _, ending in done)
    return seconds * len(tasks) / len(chosen), len(chosen), merged


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--full", action="store_true", help="execute everything instead of a sample")
    parser.add_argument("--every", type=int, default=0, metavar="N", help="execute every N-th event's strikes")
    parser.add_argument("--resimulated", type=int, default=12, metavar="N", help="strikes that are re-simulated")
    asked = parser.parse_args()
    print("64 ranks, 8 nodes, one checkpoint; one core")
    for detect, every in (("0s", 12), ("30s", 150)):
        every = 1 if asked.full else asked.every or every
        topology = load(TOPOLOGY, [f"workload.restart.detect={detect}"])
        began = perf_counter()
        made = plan(topology)
        foreseen = perf_counter() - began
        strikes = len(made.window.points) * len(made.targets)
        tasks = tuple(dict.fromkeys(tasks_of(made).values()))
        alone = resimulated(made, asked.resimulated)
        seconds, count, merged = executed(made, tasks, every)
        whole = foreseen + seconds
        points, targets = len(made.window.points), len(made.targets)
        print(f"\ndetect: {detect}: {points:,} events x {targets:,} targets = {strikes:,} strikes")
        print(f"  foreseen, all of them       {foreseen:10.2f} s   {strikes / foreseen:12,.0f} a second")
        print(f"  different ones              {len(tasks):10,}     {count:,} executed, {merged:,} of them merged")
        print(f"  executing all of these      {seconds:10.1f} s   {len(tasks) / seconds:12,.1f} a second")
        print(f"  judged in all               {whole:10.1f} s   {strikes / whole:12,.1f} a second")
        print(f"  re-simulated without merging{strikes * alone:10,.0f} s   {1 / alone:12,.1f} a second")
        print(f"  ratio                       {strikes * alone / whole:10,.0f}     of all")
        of = "judging alone: what each strike leaves, recovery asked at once"
        print(f"                              {strikes * alone / foreseen:10,.0f}     of {of}")
    return 0


if __name__ == "__main__":
    sys.exit(main())

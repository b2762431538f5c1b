"""The exact answer at every crash instant, against a Monte Carlo of a million instants, and against re-running.

All judge the same trace: 64 nodes of 3 abstract domains, 100 checkpoints, 19,200 persists.  The Monte Carlo is
vectorised, in two ways: the plain one looks every domain up at every instant; the clever one first computes
the state after every persist, as an exact sweep does, and then only looks instants up.  Ratios are against the
clever one.  Re-running simulates the timeline anew for each instant, up to it (half of it on average).

Read the ratios, not the times: they vary with the machine.

    python benchmarks/bench_sweep.py [--nodes N] [--checkpoints N] [--instants N]
"""

from __future__ import annotations

import argparse
import math
import sys
from collections.abc import Callable
from pathlib import Path
from time import perf_counter

import numpy as np

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import builders
from builders import PS

from hwsim.crash_monotone import Growth, growth_of, sweep_growth
from hwsim.crash_sweep import sweep_strike
from hwsim.crash_timeline import Timeline
from hwsim.instants import AllInstants
from hwsim.simulation import simulate


def best(what: Callable[[], object], times: int = 5) -> float:
    """The least of several times, s."""
    taken = []
    for _ in range(times):
        start = perf_counter()
        what()
        taken.append(perf_counter() - start)
    return min(taken)


def plain_monte_carlo(growth: Growth, start: int, end: int, instants: int) -> float:
    """The mixed share over random instants, every domain asked at each of them, in blocks that fit a cache."""
    draw = np.random.default_rng(1)
    columns = np.ascontiguousarray(growth.times.T)
    mixed = 0
    for size in [10_000] * (instants // 10_000):
        at = np.sort(draw.integers(start, end, size))
        newest, oldest = np.zeros(size, np.int64), np.full(size, 2**62)
        for column in columns:
            epoch = np.searchsorted(column, at, side="right")
            np.maximum(newest, epoch, out=newest)
            np.minimum(oldest, epoch, out=oldest)
        mixed += int((newest != oldest).sum())
    return mixed / instants


def clever_monte_carlo(growth: Growth, start: int, end: int, instants: int) -> float:
    """The mixed share over random instants, the state after every persist being computed first."""
    domains = growth.times.shape[1]
    order = np.argsort(growth.times, axis=None, kind="stable")
    times = growth.times.ravel()[order]
    newest = np.maximum.accumulate(order // domains + 1)
    reached = np.cumsum(order // domains == 0) == domains  # all have made the first one durable
    oldest = np.searchsorted(growth.times.max(axis=1), times, side="right")
    mixed = np.concatenate(([False], (newest != oldest) | ~reached))
    at = np.random.default_rng(1).integers(start, end, instants)
    return float(mixed[np.searchsorted(times, at, side="right")].mean())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--nodes", type=int, default=64)
    parser.add_argument("--checkpoints", type=int, default=100)
    parser.add_argument("--instants", type=int, default=1_000_000)
    given = parser.parse_args()
    topology = builders.abstract(3 * given.nodes, horizon=f"{given.checkpoints + 1}s")
    rerun = best(lambda: simulate(topology), 3)
    trace = simulate(topology)
    head = trace.header
    start, end = head.warm_up_ps, head.horizon_ps

    read = best(lambda: growth_of(Timeline(trace)))
    timeline = Timeline(trace)
    growth = growth_of(timeline)
    assert growth is not None
    exact = best(lambda: sweep_growth(growth, start, end, head.first_ps, head.interval_ps), 20)
    tally = sweep_growth(growth, start, end, head.first_ps, head.interval_ps)
    assert tally is not None
    strike = head.crashes[0].strikes[0]
    replay = best(lambda: sweep_strike(Timeline(trace), strike, AllInstants(start, end)), 3)
    assert sweep_strike(timeline, strike, AllInstants(start, end)).raw == tally.raw

    share = tally.mixed_share
    plain = best(lambda: plain_monte_carlo(growth, start, end, given.instants), 1)
    clever = best(lambda: clever_monte_carlo(growth, start, end, given.instants), 3)
    error = clever_monte_carlo(growth, start, end, given.instants) - share
    foreseen = math.sqrt(share * (1 - share) / given.instants)
    again = rerun / 2 * given.instants

    persists = int((growth.times < end).sum())
    print(f"{3 * given.nodes} domains, {given.checkpoints} checkpoints, {persists} persists over {end / PS:.0f} s")
    print(f"mixed share, exact: {share:.9f} (Monte Carlo: {error:+.1e} off, standard error {foreseen:.1e})")
    print(f"{'exact, closed expressions on arrays':52} {exact * 1e3:12.2f} ms         1x")
    print(f"{'  reading the trace into those arrays, once':52} {read * 1e3:12.2f} ms")
    print(f"{'exact, replay of the rows (any protocol)':52} {replay * 1e3:12.2f} ms {replay / exact:9.0f}x")
    for name, taken in (
        (f"Monte Carlo of {given.instants:,} instants, clever", clever),
        (f"Monte Carlo of {given.instants:,} instants, plain", plain),
        (f"re-running for {given.instants:,} instants (from one re-run)", again),
    ):
        print(f"{name:52} {taken * 1e3:12.0f} ms {taken / exact:9,.0f}x")
    wanted = 50
    print(f"Monte Carlo over exact: {clever / exact:.0f}x (wanted: {wanted}x or better)")


if __name__ == "__main__":
    main()

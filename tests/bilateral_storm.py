"""The storm: a ring of 64 cells on 64 lossy links, power lost here and there for 100 rounds, then calm."""

from __future__ import annotations

import gc
import random
from types import SimpleNamespace
from typing import NamedTuple

from bilateral_bench import US, Bench

from hwsim.bilateral.table import State
from hwsim.workloads.transfers import Trader

LINKS = 64
ROUNDS = 100
ROUND_US = 20  # about what a round takes here; one crash in 100 of them, at each link
SETTLE_US = 3 * 2 * 40 + 100  # three exchanges of beacons, and the writes that follow


class Found(NamedTuple):
    """What one storm came to; `doubt_share` is of the time until the calm, of a link."""

    crashes: int
    rounds: int
    doubt_share: float
    dropped: int
    problems: list[str]


def storm(seed: int) -> Found:
    """Run it, and say what is not as it should be."""
    gc.disable()  # a run makes no cycles that are worth looking for, and many rows
    try:
        return _storm(seed)
    finally:
        gc.enable()


def _storm(seed: int) -> Found:
    joins = tuple((i, (i + 1) % LINKS) for i in range(LINKS))
    bench = Bench(seed=seed, joins=joins, loss=0.2, duplicate=0.01)
    params = SimpleNamespace(rounds=ROUNDS, answer="swap", busy=0.02, reject=0.05, cancel=0.02, consume=0, pause=0)
    for link in bench.links:
        apps = {end: Trader(bench.world, params, bench.world.stream("app", link.name, end), opens=True)
                for end in (link.a, link.b)}  # fmt: skip
        link.start(apps, {link.a: 0b0011, link.b: 0b1100})
        for endpoint in link.endpoints.values():
            bench.world.record("tokens_issued", endpoint.name, detail=f"tokens={endpoint.word:x}")
    draw = bench.world.stream("crashes")
    for cell in range(LINKS):
        _crash_again(bench, cell, draw)
    bench.calm = False  # type: ignore[attr-defined]
    while any(min(end.register.round for end in link.endpoints.values()) < ROUNDS for link in bench.links):
        bench.run(100)
        if bench.env.now > 10**6 * US:
            return Found(0, 0, 0.0, 0, ["a second, and 100 rounds are not over"])
    bench.calm = True  # type: ignore[attr-defined]
    stormy_ps = int(bench.env.now)
    for link in bench.links:
        link.channel.calm()
    bench.settle(SETTLE_US)
    return _judge(bench, stormy_ps)


def _crash_again(bench: Bench, cell: int, draw: random.Random) -> None:
    """Each cell ends two links, so its crashes are half as frequent as a link's."""

    def strike() -> None:
        if bench.calm:  # type: ignore[attr-defined]
            return
        if bench.cells[cell].up:
            bench.crash(cell, "power_loss" if draw.random() < 0.7 else "nic_reset")
            later(draw.random() * 60, lambda: bench.restore(cell))
        wait()

    def later(us: float, action: object) -> None:
        bench.env.timeout(round(us * US)).callbacks.append(lambda _: action())  # type: ignore[operator]

    def wait() -> None:
        later(draw.expovariate(1 / (2 * 100 * ROUND_US)), strike)

    wait()


def _judge(bench: Bench, stormy_ps: int) -> Found:
    problems: list[str] = []
    judged = bench.judged()
    for link in bench.links:
        found = judged[link.name]
        problems += [f"{link.name}: {violation.promise}: {violation.what}" for violation in found.violations]
        if found.fenced:
            problems.append(f"{link.name}: fenced")
        one, two = link.endpoints.values()
        settled = one.state is two.state is State.READY and one.register.inbox is two.register.inbox is None
        if not settled or one.register.round != two.register.round or one.register.epoch != two.register.epoch:
            problems.append(f"{link.name}: does not settle: {one!r} {two!r}")
        if (one.word | two.word, one.word & two.word) != (0b1111, 0):
            problems.append(f"{link.name}: tokens {one.word:b} and {two.word:b}")
    ends = [end for link in bench.links for end in link.endpoints.values()]
    doubt = sum(found.doubt_ps for found in judged.values()) / (stormy_ps * LINKS)
    return Found(
        sum(end.crashes for end in ends), sum(found.settled for found in judged.values()), doubt,
        sum(end.dropped.total() for end in ends), problems,
    )  # fmt: skip

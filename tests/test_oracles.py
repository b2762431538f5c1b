"""The simulator against closed forms over the whole path: a topology file, a simulation, every instant judged.

The files are in tests/oracles; each tells its closed form.  A figure must lie within 4 standard
errors (of the closed form's own variance where there is one), and be exact where the form is.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import pytest

from hwsim.metrics import evaluate
from hwsim.simulation import simulate
from hwsim.studies import closed_forms as cf
from hwsim.studies.temporal import durable_instants
from hwsim.topology import load, load_case, load_cases
from hwsim.topology.spec import Topology
from hwsim.trace import Trace

ORACLES = Path(__file__).parent / "oracles"
SECOND = 10**12


class Run:
    def __init__(self, topology: Topology) -> None:
        self.topology = topology
        self.traces: list[Trace] = [simulate(topology, repeat=repeat) for repeat in range(topology.repeats)]
        self.result: Mapping[str, Any] = evaluate(self.traces, topology.expect)

    @property
    def periods(self) -> float:
        header = self.traces[0].header
        return (header.horizon_ps - header.warm_up_ps) / header.interval_ps

    def one_by_one(self) -> list[Mapping[str, Any]]:
        return [evaluate([trace], ())["raw"] for trace in self.traces]


@lru_cache(maxsize=32)
def run(name: str, *changes: str) -> Run:
    return Run(load(ORACLES / f"{name}.yaml", list(changes)))


def close(measured: float, expected: float, se: float) -> None:
    z = (measured - expected) / se
    assert abs(z) < 4, f"{measured} against {expected} +- {se}: z = {z:.2f}"


def pathwise(trace: Trace) -> float:
    """The mixed share from the instants of durability alone: the ranges within the window, over the window."""
    header = trace.header
    total = 0
    for instants in durable_instants(trace).values():
        if len(instants) < len(header.parts):
            instants = [*instants, header.horizon_ps]  # under way at the end
        first, last = max(min(instants), header.warm_up_ps), min(max(instants), header.horizon_ps)
        total += max(last - first, 0)
    return total / (header.horizon_ps - header.warm_up_ps)


def swept_by_hand(trace: Trace) -> tuple[float, float]:
    """Share of uniform time and mean number of distinct checkpoints, by walking the instants of durability."""
    header = trace.header
    held = {part.name: 0 for part in header.parts}
    turns = sorted(
        (row.time_ps, row.part, row.epoch) for row in trace if row.event == "persisted" and row.part is not None
    )
    uniform = distinct = 0
    since = header.warm_up_ps
    for time_ps, part, epoch in [*turns, (header.horizon_ps, None, None)]:
        now = min(max(time_ps, header.warm_up_ps), header.horizon_ps)
        kinds = len(set(held.values()))
        uniform += (now - since) * (kinds == 1)
        distinct += (now - since) * kinds
        since = now
        if part is not None:
            held[part] = max(held[part], epoch)
    span = header.horizon_ps - header.warm_up_ps
    return uniform / span, distinct / span


# every file's own expectations


@pytest.mark.parametrize("path", sorted(ORACLES.glob("*.yaml")), ids=lambda path: path.stem)
def test_what_the_file_expects(path: Path) -> None:
    lines = [*run(path.stem).result["expect"]] if load(path).expect else []
    for topology in load_cases(path).values():
        if topology.expect:
            lines += Run(topology).result["expect"]
    assert [line for line in lines if not line["holds"]] == []


# E1.1


@pytest.mark.parametrize(("domains", "periods"), [(2, 2000), (4, 2000), (16, 600), (64, 200)])
def test_uniform(domains: int, periods: int) -> None:
    found = run("uniform", f"devices.d.count={domains}", f"horizon={periods + 1}s")
    raw = found.result["raw"]
    assert raw["mixed_share"] == pytest.approx(pathwise(found.traces[0]), abs=1e-12)
    se = math.sqrt(cf.range_variance_uniform(domains, 0.2) / found.periods)
    close(raw["uniform_share"], cf.good_share_uniform(domains, 0.2, 1.0), se)
    assert raw["uniform_share"] + raw["mixed_share"] == pytest.approx(1.0, abs=1e-12)
    for share in ("torn_share", "indeterminate_share", "dark_share"):
        assert raw[share] == 0


def test_exponential() -> None:
    found = run("exponential")
    raw = found.result["raw"]
    assert raw["mixed_share"] == pytest.approx(pathwise(found.traces[0]), abs=1e-12)
    se = math.sqrt(cf.range_variance_exponential(64, 0.02) / found.periods)
    close(raw["uniform_share"], cf.good_share_exponential(64, 0.02, 1.0), se)


def test_heterogeneous_with_clock_skew() -> None:
    found = run("heterogeneous")
    raw = found.result["raw"]
    assert raw["mixed_share"] == pytest.approx(pathwise(found.traces[0]), abs=1e-12)
    laws: Sequence[cf.Law] = [
        cf.Exponential(0.02), cf.Early(cf.Exponential(0.02), 0.08), cf.Exponential(0.02),
        cf.Early(cf.Uniform(0.05, 0.3), 0.03), cf.Early(cf.Uniform(0.05, 0.3), -0.04), cf.Constant(0.12),
    ]
    ranges = [(max(t) - min(t)) / SECOND for t in durable_instants(found.traces[0]).values() if len(t) == len(laws)]
    close(raw["mixed_share"], cf.mixed_share(laws, 1.0), statistics.stdev(ranges) / math.sqrt(len(ranges)))


@pytest.mark.long
@pytest.mark.parametrize(("domains", "periods"), [(2, 50_000), (16, 20_000), (64, 5_000)])
def test_uniform_at_full_scale(domains: int, periods: int) -> None:
    test_uniform(domains, periods)


# E1.2


def test_how_many_hold_the_latest() -> None:
    found = run("uniform", "devices.d.count=4", "horizon=2001s")
    raw = found.result["raw"]
    se = math.sqrt(cf.piece_variance_uniform(4, 0.2) / found.periods)
    for j, share in enumerate(cf.at_latest_uniform(4, 0.2, 1.0)):
        close(raw["at_latest"].get(str(j), 0.0), share, se)
    assert sum(raw["at_latest"].values()) == pytest.approx(1.0, abs=1e-12)
    mean = sum(int(count) * share for count, share in raw["distinct"].items())
    assert mean == pytest.approx(cf.distinct_mean(raw["mixed_share"]), abs=1e-12)
    assert raw["spread"] == pytest.approx({"0": raw["uniform_share"], "1": raw["mixed_share"]}, abs=1e-12)


# E1.3


@pytest.mark.parametrize("domains", [2, 4, 8])
def test_worst_instant(domains: int) -> None:
    found = run("uniform", f"devices.d.count={domains}", "horizon=2001s")
    share = found.result["what_if"]["worst-instant"]["raw"].get("uniform_share", 0.0)
    p = cf.same_at_phase(0.5, domains)
    close(share, p, math.sqrt(p * (1 - p) / found.periods))
    # and exactly what the trace says of those instants
    halves = [sum(t % SECOND <= SECOND // 10 for t in times) for times in durable_instants(found.traces[0]).values()]
    whole = [half for half in halves[: int(found.periods)] if half in (0, domains)]
    assert share == pytest.approx(len(whole) / found.periods, abs=1e-12)


# E1.4


def test_random_phase() -> None:
    found = run("random-phase")
    shares = [raw["uniform_share"] for raw in found.one_by_one()]
    for trace, share in zip(found.traces, shares, strict=True):
        assert 1 - share == pytest.approx(pathwise(trace), abs=1e-12)
    assert found.result["raw"]["uniform_share"] == pytest.approx(statistics.fmean(shares), abs=1e-12)
    se = math.sqrt(cf.range_variance_uniform(8, 1.0) / len(shares))
    close(statistics.fmean(shares), cf.same_share_random_phase(8), se)


@pytest.mark.parametrize("domains", [2, 3])
def test_free_running(domains: int) -> None:
    found = run("free-running", f"devices.d.count={domains}")
    p = cf.same_free_running(domains, 4.0)
    share = found.result["what_if"]["after-four"]["raw"].get("uniform_share", 0.0)
    close(share, p, math.sqrt(p * (1 - p) / len(found.traces)))


# E1.5


@pytest.mark.parametrize(("law", "persist", "domains"), [
    (cf.Uniform(0, 2.5), "{uniform: [0s, 2.5s]}", 4),
    (cf.Uniform(0, 4.0), "{uniform: [0s, 4s]}", 2),
    (cf.Exponential(1.0), "{exponential: 1s}", 4),
    (cf.Exponential(2.0), "{exponential: 2s}", 3),
])
def test_overlapping(law: cf.Law, persist: str, domains: int) -> None:
    found = run("overlapping", f"devices.d.count={domains}", f"devices.d.persist={persist}",
                "horizon=90s", "warm_up=40s", "repeats=24")
    raws = found.one_by_one()
    for trace, raw in list(zip(found.traces, raws, strict=True))[:4]:
        uniform, distinct = swept_by_hand(trace)
        assert raw["uniform_share"] == pytest.approx(uniform, abs=1e-12)
        assert sum(int(k) * share for k, share in raw["distinct"].items()) == pytest.approx(distinct, abs=1e-12)
    same = [raw["uniform_share"] for raw in raws]
    close(statistics.fmean(same), cf.same_share_overlapping(law, domains, 1.0),
          statistics.stdev(same) / math.sqrt(len(same)))
    distinct_means = [sum(int(k) * share for k, share in raw["distinct"].items()) for raw in raws]
    close(statistics.fmean(distinct_means), cf.distinct_overlapping(law, domains, 1.0),
          statistics.stdev(distinct_means) / math.sqrt(len(same)))


# E1.6


@pytest.mark.parametrize("case", ["", "repair-is-no-phase", "each-its-own-clock"])
def test_crashes_that_restart_the_schedule(case: str) -> None:
    """Real strikes.  In place nothing repairs the media, so a crash can also find what the last one left."""
    path = ORACLES / "restarts.yaml"
    found = Run(load_case(path, case)) if case else run("restarts")
    struck = found.result["crashes"]["blackout"]
    assert sum(struck["outcomes"].values()) == struck["count"] > 3000
    p = cf.mixed_restarting_in_place(cf.Uniform(0, 0.4), 8, 1.0, 2.0)
    # of Poisson strikes every (1 - e^(-0.7/2))th falls into a repair of 700 ms and only repeats what was found
    repeated = -math.expm1(-0.35) if case == "repair-is-no-phase" else 0.0
    independent = struck["count"] * (1 - repeated) / (1 + repeated)
    close(struck["outcomes"].get("silent_mixed", 0) / struck["count"], p, math.sqrt(p * (1 - p) / independent))


def test_hazard_weighted_instants() -> None:
    """The same density asked of a timeline without crashes, where every checkpoint starts from equal domains."""
    found = run("hazard")
    share = found.result["what_if"]["restarting"]["raw"].get("uniform_share", 0.0)
    ranges = durable_instants(found.traces[0])
    weights = []
    for times in ranges.values():
        first, last = (edge % SECOND / SECOND for edge in (min(times), max(times)))
        weights.append((math.exp(-first / 2) - math.exp(-last / 2)) / (1 - math.exp(-1 / 2)))
    weights = weights[: int(found.periods)]
    assert 1 - share == pytest.approx(statistics.fmean(weights), abs=1e-9)
    p = cf.mixed_restarting(cf.Uniform(0, 0.4), 8, 1.0, 2.0)
    assert p == pytest.approx(0.3581, abs=5e-5)
    close(1 - share, p, statistics.stdev(weights) / math.sqrt(len(weights)))

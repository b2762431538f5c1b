"""Adoption by neighbours: R5's windows against order statistics, the frames it costs, whom it keeps waiting."""

from __future__ import annotations

import itertools
import math
import statistics
from collections import Counter
from fractions import Fraction
from typing import Any

import builders
import numpy as np
import pytest
from converging import SHAPES, linked
from sweeping import handed_back, outcomes

from hwsim.checkers import check_all
from hwsim.converging import adopted_with_neighbours
from hwsim.outcomes import Outcome
from hwsim.simulation import simulate
from hwsim.studies.agreement import ring_window
from hwsim.topology.spec import Topology
from hwsim.trace import Trace
from hwsim.verdicts import Value

PS = builders.PS
WINDOW = {"uniform": ["0s", "300ms"]}


def made(count: int, shape: Any, **rest: Any) -> Topology:
    return linked(count, shape, "bilateral_pairwise", persist=rest.pop("persist", WINDOW), **rest)


def adoptions(trace: Trace, count: int) -> dict[int, dict[str, int]]:
    """Of each checkpoint that all adopted, when each domain did (ps)."""
    found: dict[int, dict[str, int]] = {}
    for row in trace:
        if row.event == "epoch_adopted":
            found.setdefault(row.epoch or 0, {})[row.subject] = row.time_ps
    return {epoch: times for epoch, times in found.items() if len(times) == count}


def windows(trace: Trace, count: int) -> tuple[float, float]:
    """The mean of max A - min A in seconds, and its standard error."""
    spans = [(max(times.values()) - min(times.values())) / PS for times in adoptions(trace, count).values()]
    return statistics.mean(spans), statistics.stdev(spans) / math.sqrt(len(spans))


def drawn(shape: str, count: int, jitter: float, rounds: int = 20_000) -> tuple[float, float]:
    """The same, drawn: a domain adopts with its own save, or with the last word of a neighbour."""
    generator = np.random.default_rng(7)
    saves = generator.uniform(0, 0.3, (rounds, count))
    adopted = saves.copy()
    for a, b in SHAPES[shape](count):
        for mine, theirs in ((a, b), (b, a)):
            heard = saves[:, theirs] + generator.uniform(0, jitter, rounds)
            adopted[:, mine] = np.maximum(adopted[:, mine], heard)
    spans = adopted.max(axis=1) - adopted.min(axis=1)
    return float(spans.mean()), float(spans.std() / math.sqrt(rounds))


@pytest.mark.parametrize("count", [3, 4, 5, 8, 11])
def test_the_closed_form_of_a_ring_is_that_of_every_pattern(count: int) -> None:
    """E[min A] = the integral over x of P(no three in a row of n on a ring are below x), pattern by pattern."""
    least = Fraction(0)
    for bits in itertools.product((0, 1), repeat=count):
        if not any(bits[i] and bits[(i + 1) % count] and bits[(i + 2) % count] for i in range(count)):
            k = sum(bits)
            least += Fraction(math.factorial(k) * math.factorial(count - k), math.factorial(count + 1))
    assert ring_window(count) == Fraction(count, count + 1) - least


def test_the_two_expectations_of_a_ring_agree() -> None:
    mean, error = drawn("ring", 16, 0.0)
    assert abs(mean - 0.3 * float(ring_window(16))) < 4 * error
    assert round(0.3 * float(ring_window(16)), 3) == 0.163


def test_the_mixed_window_on_a_ring_is_that_of_order_statistics_and_less_than_in_place() -> None:
    trace = simulate(made(16, "ring", horizon="121s"))
    mean, error = windows(trace, 16)
    assert abs(mean - 0.3 * float(ring_window(16))) < 4 * error
    assert error < 0.006
    assert outcomes(trace)[Outcome.SILENT_MIXED] == pytest.approx(mean, rel=0.02), "and that is what the sweep finds"
    bare = simulate(linked(16, "ring", "in_place", persist=WINDOW, horizon="121s"))
    in_place = outcomes(bare)[Outcome.SILENT_MIXED]
    spans: dict[int, list[int]] = {}
    for row in bare:
        if row.event == "persisted":
            spans.setdefault(row.epoch or 0, []).append(row.time_ps)
    each = [(max(times) - min(times)) / PS for times in spans.values() if len(times) == 16]
    se = statistics.stdev(each) / math.sqrt(len(each))
    assert abs(in_place - 0.3 * 15 / 17) < 4 * se
    assert in_place > mean + 0.05


def test_where_all_are_neighbours_only_the_jitter_of_the_links_is_left() -> None:
    mean, error = windows(simulate(made(16, "complete", link={"jitter": "10ms"}, horizon="16s")), 16)
    expected, drawn_error = drawn("complete", 16, 0.01)
    assert abs(mean - expected) < 4 * math.hypot(error, drawn_error)
    assert round(expected, 4) == 0.0091


def test_an_adoption_is_the_last_of_the_own_save_and_the_neighbours() -> None:
    trace = simulate(made(6, "ring", link={"delay": "3us"}, horizon="21s"))
    hop = 3_000_000 + math.ceil(8 * (8 + 82) * PS / 400e9)
    nv = 1_000
    saved: dict[tuple[int, str], int] = {}
    for row in trace:
        if row.event == "persisted":
            saved[row.epoch or 0, row.subject] = row.time_ps
    found = adoptions(trace, 6)
    assert len(found) == 20
    for epoch, times in found.items():
        for i in range(6):
            heard = max(saved[epoch, f"d{(i + step) % 6}"] + nv + hop for step in (1, -1))
            own = saved[epoch, f"d{i}"]  # who has offered already learns with the write that ends the round
            assert times[f"d{i}"] == (own if heard <= own else heard + nv)


@pytest.mark.parametrize(("answer", "frames"), [("cross", 4), ("accept", 3)])
def test_a_link_costs_four_frames_where_offers_cross_and_three_and_repetitions_where_not(
    answer: str, frames: int
) -> None:
    slow = {0: {"constant": "10ms"}, 1: {"constant": "52ms"}}
    link = {"retransmit": "20ms"}
    trace = simulate(made(2, "line", slow=slow, protocol={"answer": answer}, link=link, horizon="41s"))
    figures = trace.figures["links"]["d0--d1"]
    again = 2 if answer == "cross" else 3  # d0's offer is said again after 20 and 40 ms, and to `accept` after 60
    pairing = figures["sent"] - 40 * (frames + again)
    assert 0 < pairing <= 6
    commits = Counter(row.subject for row in trace if row.event == "round_committed")
    assert commits == {"d0--d1@d0": 40, "d0--d1@d1": 40}
    late = [times["d1"] - begun for begun, times in zip(
        [row.time_ps for row in trace if row.event == "checkpoint_begun"], adoptions(trace, 2).values(), strict=True)]
    assert set(late) == {52 * PS // 1000}
    assert all(verdict.value is Value.HOLDS for verdict in check_all([trace]))


def test_a_cut_link_keeps_its_two_ends_waiting_and_with_them_the_next_checkpoint() -> None:
    cut = builders.fault("link_down", ["d1--d2"], name="cut", at="5500ms", restore_after="6s")
    trace = simulate(made(4, "line", faults=[cut], link={"retransmit": "10ms"}, horizon="20s"))
    adopted = [row for row in trace if row.event == "epoch_adopted" and 5.5 * PS < row.time_ps < 11.5 * PS]
    assert {row.subject for row in adopted} == {"d0", "d3"}
    assert {row.epoch for row in adopted} == {6}
    assert not any(row.event == "checkpoint_begun" and 6.5 * PS < row.time_ps < 11.4 * PS for row in trace)
    assert sum(row.event == "epoch_committed" and row.time_ps > 11.5 * PS for row in trace) >= 8
    assert len({handed for _, handed in handed_back(trace)}) > 8


@pytest.mark.parametrize("seed", range(3))
def test_crashes_and_lossy_links_never_make_a_domain_adopt_what_a_neighbour_lacks(seed: int) -> None:
    faults = [builders.fault("power_loss", [(f"d{i}",) for i in range(5)], mtbf="8s", restore_after="30ms")]
    bad = {"delay": "1ms", "loss": 0.2, "duplicate": 0.2, "retransmit": "10ms", "beacon": "50ms"}
    trace = simulate(made(5, "ring", link=bad, faults=faults, seed=seed, horizon="60s"))
    broken = {verdict.name for verdict in check_all([trace]) if verdict.value is not Value.HOLDS}
    assert broken <= {"agreement", "acknowledged_survive"}, "it mixes, and that is all"
    assert sum(row.event == "epoch_committed" for row in trace) > 20
    assert sum(row.event == "recovered" for row in trace) > 10


def test_the_checker_rejects_an_adoption_without_a_neighbour() -> None:
    trace = simulate(made(4, "ring", horizon="6s"))
    assert adopted_with_neighbours(trace).value is Value.HOLDS
    lacking = Trace(trace.header)
    lost = next(row for row in trace.rows if row[1] == "persisted" and row[6] == 3 and row[2] == "d2")
    lacking.rows = [row for row in trace.rows if row != lost]
    verdict = adopted_with_neighbours(lacking)
    assert verdict.value is Value.VIOLATED
    assert verdict.records[0].subject in ("d1", "d2", "d3")

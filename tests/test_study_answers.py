"""What studies conclude: estimates with their intervals, the Pareto front, and answers that follow the numbers."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim import examples
from hwsim.studies.optimal_interval import Job
from hwsim.studies.sweeps.conclusions import Curve, best_of, conclude, differ
from hwsim.studies.sweeps.estimates import Estimate, estimate, student_t
from hwsim.studies.sweeps.findings import findings, front, lines, summary
from hwsim.studies.sweeps.loading import load
from hwsim.studies.sweeps.runs import Row
from hwsim.studies.sweeps.spec import Study

# Estimates


@pytest.mark.parametrize(
    ("freedom", "t"),
    [(1, 12.706), (2, 4.303), (3, 3.182), (4, 2.776), (9, 2.262), (29, 2.045), (120, 1.980), (10**6, 1.960)],
)
def test_students_t_is_that_of_the_tables(freedom: int, t: float) -> None:
    assert student_t(freedom) == pytest.approx(t, abs=5e-4)


def test_an_estimate_is_a_mean_with_students_interval() -> None:
    values = [1.0, 2.0, 4.0, 7.0]
    found = estimate(values)
    assert found is not None
    assert found.mean == 3.5
    assert found.half_width == pytest.approx(3.1824 * statistics.stdev(values) / 2, rel=1e-4)
    assert estimate([]) is None
    assert estimate([5.0]) == Estimate(5.0, None, 1)
    assert estimate([0.1] * 7) == Estimate(0.1, 0.0, 7)


def test_the_interval_holds_as_often_as_it_says() -> None:
    import random

    chance = random.Random(1)
    hits = 0
    for _ in range(2000):
        found = estimate([chance.gauss(3, 2) for _ in range(4)])
        assert found is not None
        hits += found.low <= 3 <= found.high
    assert hits / 2000 == pytest.approx(0.95, abs=4 * math.sqrt(0.95 * 0.05 / 2000))


def test_estimates_differ_where_their_intervals_lie_apart() -> None:
    assert differ(Estimate(1.0, 0.2, 3), Estimate(1.5, 0.2, 3))
    assert not differ(Estimate(1.0, 0.3, 3), Estimate(1.5, 0.2, 3))
    assert differ(Estimate(0.0, None, 1), Estimate(1e-9, None, 1))
    assert not differ(Estimate(0.3, 0.0, 2), Estimate(0.1 + 0.2, 0.0, 2))


# Answers of the studies that ship, from rows made up


def shipped(name: str) -> Study:
    return load(examples.find_study(name))


def rows_of(study: Study, figure: Callable[[dict[str, Any], int], tuple[float, ...]], repeats: int = 3) -> list[Row]:
    """Rows as the figures of a point and repeat would make them."""
    return [
        (point.number, repeat, 0, *figure(dict(point.values), repeat))
        for point in study.points
        for repeat in range(repeats)
    ]


def test_capacitors_are_worth_what_the_rows_say() -> None:
    study = shipped("capacitors")

    def unsafe_without(writers: set[str]) -> list[Row]:
        return rows_of(
            study,
            lambda at, repeat: (
                0.01 + repeat / 1e4
                if at["workload.shards.0.sync"] in writers and not at["override.node1/nvme.plp"]
                else 0.0,
                60.0,
                4.0,
            ),
        )

    usual = conclude(study, findings(study, unsafe_without({"completion"})), True)
    assert "Capacitors buy no safety for a writer that flushes every checkpoint: " in usual
    assert "Capacitors buy safety for a writer that trusts completion and never flushes: " in usual
    assert "is 1.0% without capacitors and 0% with capacitors, apart at 5 of 5 points" in usual
    both = conclude(study, findings(study, unsafe_without({"completion", "flush"})), True)
    assert "buy no safety" not in both
    neither = conclude(study, findings(study, unsafe_without(set())), True)
    assert "buy safety" not in neither
    assert conclude(study, findings(study, unsafe_without(set())[:40]), False).startswith("So far")
    assert conclude(study, [], False) == "No run is done, so there is no answer yet."


def test_whether_the_hardware_shows_is_what_the_rows_say() -> None:
    study = shipped("link-nv-write-time")

    def closing(hardware_s: float) -> list[Row]:
        return rows_of(
            study,
            lambda at, _: (3e-6 + (hardware_s if at["links.0.model"] == "rtl" else 0.0), 0.3, 3000.0),
            repeats=1,
        )

    shows = conclude(study, findings(study, closing(0.5e-6)), True)
    assert "The hardware around the memory shows: " in shows
    assert "apart at 7 of 7 points" in shows
    assert "The hardware around the memory does not show: " in conclude(study, findings(study, closing(0.0)), True)


def renewal(study: Study, factor: float = 1.0, noise: float = 0.0) -> list[Row]:
    """Rows as the exact expectation gives them, for failures *factor* times as rare."""
    import random

    from hwsim.units import parse_duration

    def figure(at: dict[str, Any], repeat: int) -> tuple[float, ...]:
        save, interval = (parse_duration(at[key]) / 1e12 for key in ("devices.store.persist", "workload.interval"))
        share = Job(save, study.facts["mtti_s"] * factor, 300).ettr(interval - save)
        return share + noise * random.Random(f"{interval} {repeat}").gauss(0, interval / 1e6), save

    return rows_of(study, figure, repeats=6)


@pytest.mark.parametrize("factor", [1.0, 0.5, 2.0])
def test_the_best_interval_is_found_from_the_rows_alone(factor: float) -> None:
    """The formulas take their mean time from the topology; the curve knows only the rows."""
    study = shipped("flush-latency-and-interval")
    found = findings(study, renewal(study, factor))
    for save in (5.0, 20.0, 60.0):
        held = [one for one in found if one.estimates["checkpoints.stall_s.mean"].mean == save]
        best = best_of(study, held)
        assert best is not None
        exact = Job(save, study.facts["mtti_s"] * factor).best_interval_s()
        assert best.work.mean == pytest.approx(exact, rel=0.01)
        if factor == 1:
            assert abs(best.off["Daly"]) < 0.02
            assert abs(best.off["Young"]) < 0.10


def test_other_failures_change_the_conclusion() -> None:
    study = shipped("flush-latency-and-interval")
    usual = conclude(study, findings(study, renewal(study)), True)
    assert "Daly's formula is the closer one" in usual
    assert "12.0 times as long, the best interval grows 3.4 times" in usual
    rare = conclude(study, findings(study, renewal(study, 1.06)), True)
    assert "Young's formula is the closer one" in rare
    steep = conclude(study, findings(study, renewal(study, 0.001)), True)
    assert steep.count("the best interval is not among those that were run") == 3
    assert "closer" not in steep


def test_noise_widens_what_is_uncertain() -> None:
    study = shipped("flush-latency-and-interval")
    widths = []
    for noise in (0.0, 1.0, 3.0):
        found = findings(study, renewal(study, noise=noise))
        best = best_of(study, [one for one in found if one.point.values["devices.store.persist"] == "20s"])
        assert best is not None
        assert best.work.half_width is not None
        widths.append(best.work.half_width / best.work.mean)
    assert widths == sorted(widths)
    assert widths[0] == pytest.approx(0, abs=1e-9)
    assert widths[2] > 0.001


def test_too_few_or_hopeless_points_make_no_curve() -> None:
    assert Curve.through([1, 2, 3, 4], [0.5] * 4) is None
    assert Curve.through([1, 2, 3, 4, 5], [0.5, 0.6, 0.0, 0.5, 0.4]) is None


# Any study


@pytest.fixture
def plain(tmp_path: Path) -> Callable[..., Study]:
    def write(more: str = "") -> Study:
        path = tmp_path / "study.yaml"
        path.write_text(
            "version: 1\nstudy: plain\nquestion: q\ntopology: abstract-uniform\n"
            "grid: {devices.d.count: [2, 4, 8], workload.interval: [1s, 2s]}\nrecord: [ettr, raw.mixed_share]\n" + more
        )
        return load(path)

    return write


def test_without_an_answer_of_its_own_a_study_tells_its_extremes(plain: Callable[..., Study]) -> None:
    study = plain()
    found = findings(study, rows_of(study, lambda at, _: (0.5, at["devices.d.count"] / 100)))
    told = conclude(study, found, True)
    assert "Ettr is 50.0% throughout" in told
    assert "Raw.mixed_share is least, 2.0%, at devices.d.count = 2, workload.interval = 1s, and greatest, 8.0%" in told


def test_words_and_what_is_absent_are_told_as_they_are(plain: Callable[..., Study]) -> None:
    study = plain()
    rows = rows_of(study, lambda at, repeat: (0.5, None if repeat else 0.25))  # type: ignore[arg-type,return-value]
    told = summary(study, rows, 0)
    assert told["points"][0]["record"]["raw.mixed_share"] == {"mean": 0.25, "half_width": None, "n": 1}
    none = [(*row[:3], None, None) for row in rows]
    assert summary(study, none, 0)["points"][0]["record"]["ettr"] is None


def test_lines_part_what_the_plot_does_not_name(plain: Callable[..., Study]) -> None:
    study = plain("plot: {x: devices.d.count, y: ettr}\nlabels: {workload.interval: T}\n")
    found = findings(study, rows_of(study, lambda at, _: (at["devices.d.count"] / 100, 0.0)))
    assert [(line["name"], line["x"]) for line in lines(study, found)] == [("T = 1s", [2, 4, 8]), ("T = 2s", [2, 4, 8])]


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=6, max_size=6))
def test_the_front_holds_what_nothing_beats(figures: list[tuple[int, int]]) -> None:
    """Of `ettr` more is better, of `raw.mixed_share` less."""
    path = Path(__file__).parent.parent / "topologies/abstract-uniform.yaml"
    study = study_with_front(str(path))
    rows = [(number, 0, 0, float(a), float(b)) for number, (a, b) in enumerate(figures)]
    found = front(study, findings(study, rows))
    beaten = [any((c >= a and d <= b) and (c, d) != (a, b) for c, d in figures) for a, b in figures]
    assert found == [number for number in range(6) if not beaten[number]]


_STUDIES: dict[str, Study] = {}


def study_with_front(topology: str) -> Study:
    from hwsim.studies.sweeps.loading import read
    from hwsim.topology.yaml_source import read_bytes

    if topology not in _STUDIES:
        text = (
            f"version: 1\nstudy: s\nquestion: q\ntopology: {topology}\ngrid: {{devices.d.count: [2, 3, 4, 5, 6, 7]}}\n"
            "record: [ettr, raw.mixed_share]\npareto: [ettr, raw.mixed_share]\n"
        )
        study, mistakes = read(read_bytes(text.encode(), "s.yaml"))
        assert study is not None, mistakes
        _STUDIES[topology] = study
    return _STUDIES[topology]


# The studies that ship, really run


def test_capacitors_at_two_intervals(tmp_path: Path) -> None:
    """The whole study takes 80 runs; two intervals and one repeat decide it as well, for these timelines."""
    text = examples.find_study("capacitors").read_text()
    text = text.replace("{log: [20s, 10min], points: 5}", "[20s, 2min]").replace("repeats: 4", "repeats: 1")
    path = tmp_path / "few.yaml"
    path.write_text(text)
    from hwsim.studies.sweeps.runner import sweep

    study = load(path)
    swept = sweep(study, tmp_path / "o")
    told = summary(study, swept.rows, swept.left)["answer"]
    assert "Capacitors buy no safety for a writer that flushes" in told
    assert "Capacitors buy safety for a writer that trusts completion" in told
    assert "apart at 2 of 2 points" in told


@pytest.mark.long
def test_the_simulated_optimum_agrees_with_the_formulas(tmp_path: Path) -> None:
    """The study as it ships: Daly's within 2%, Young's within 10%, beyond what 16 repeats leave uncertain."""
    from hwsim.studies.sweeps.runner import sweep

    study = shipped("flush-latency-and-interval")
    found = findings(study, sweep(study, tmp_path / "o", jobs=2).rows)
    for flush in study.grid["devices.store.persist"]:
        best = best_of(study, [one for one in found if one.point.values["devices.store.persist"] == flush])
        assert best is not None
        assert best.work.half_width is not None
        known = best.work.half_width / best.work.mean
        assert known < 0.05
        assert abs(best.off["Daly"]) < 0.02 + known
        assert abs(best.off["Young"]) < 0.10
        exact = Job(best.save_s, study.facts["mtti_s"]).best_interval_s()
        assert best.work.mean == pytest.approx(exact, rel=known)

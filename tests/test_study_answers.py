"""What studies conclude: estimates with their intervals, the Pareto front, and answers that follow the numbers."""

from __future__ import annotations

import math
import random
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from test_bilateral_rtl import needs_verilator

from hwsim import examples
from hwsim.report import study as report
from hwsim.studies.optimal_interval import Job
from hwsim.studies.sweeps.conclusions import Curve, best_of, conclude
from hwsim.studies.sweeps.estimates import Estimate, differ, estimate, student_t
from hwsim.studies.sweeps.findings import findings, front, lines, summary
from hwsim.studies.sweeps.loading import load
from hwsim.studies.sweeps.runs import Row
from hwsim.studies.sweeps.spec import Study
from hwsim.units import parse_duration

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


def link_rows(study: Study, best_us: dict[str, float], lost_us: dict[tuple[str, int], float]) -> list[Row]:
    """Rows of a link whose time rises once its timer passes *best_us* of its write, and by *lost_us* at a depth."""

    def figure(at: dict[str, Any], repeat: int) -> tuple[float, ...]:
        write, depth = at["devices.cell.nv.write"], at["links.0.rx_depth"]
        timer_us = parse_duration(at["links.0.retransmit"]) / 1e6
        closing_us = 20 + max(0.0, timer_us - best_us[write]) + lost_us.get((write, depth), 0.0) + repeat / 100
        return closing_us / 1e6, 1e-4, 0.5, 4 + 8 / timer_us, 0.0, 100.0

    return rows_of(study, figure)


def test_the_best_timer_and_whether_a_queue_helps_are_what_the_rows_say() -> None:
    study = shipped("link-timer-and-depth")
    writes, timers = (
        [str(value) for value in study.grid[key]] for key in ("devices.cell.nv.write", "links.0.retransmit")
    )
    deepest = study.grid["links.0.rx_depth"][-1]
    first, second, third = (parse_duration(timer) / 1e6 for timer in timers[1:4])  # where the time begins to rise (us)
    best = dict(zip(writes, (first, second, third), strict=True))

    def told(**how: Any) -> list[str]:
        rows = link_rows(study, **{"best_us": best, "lost_us": {}, **how})
        return conclude(study, findings(study, rows), True).split(". ")

    overall, *same = told()
    assert overall == "Receive queue makes no difference that counts"
    assert len(same) == 2 * len(writes) + 2
    for index, write in enumerate(writes):
        matters, chosen = same[2 * index : 2 * index + 2]
        assert matters.startswith(f"With time of a write = {write}, time until both ends know is 20 us to ")
        assert matters.endswith(" without a queue; with a queue of one frame, with a queue of two and with a queue of "
                                "eight it is the same")  # fmt: skip
        assert chosen.startswith(f"Without a queue the best retransmission timer is {timers[1 + index]}, with 20 us")
    assert same[-1].startswith(f"From time of a write = {writes[0]} to time of a write = {writes[-1]}, ")
    assert same[-1].endswith(f"the best retransmission timer goes from {timers[1]} to {timers[3]}.")

    overall, *slow = told(lost_us={(writes[-1], 0): 30.0})  # without a queue all is slower, where a write is long
    assert overall.startswith(
        "With a queue of one frame, time until both ends know is as good as any; without a queue it is worse by up to "
        f"150% (time of a write = {writes[-1]}, "
    )
    assert slow[0].endswith("; without a queue, with a queue of two and with a queue of eight it is the same")
    assert ", against 50 us to " in slow[4]
    assert slow[4].endswith(" without a queue; with a queue of two and with a queue of eight it is the same")
    assert slow[5].startswith(f"With a queue of one frame the best retransmission timer is {timers[3]}, with 20 us")
    assert "; without a queue the best retransmission timer is " in slow[5]

    overall, *stale = told(lost_us={(writes[0], deepest): 10.0})  # what waits is in the way
    assert overall.startswith("Without a queue, time until both ends know is as good as any; with a queue of eight it")
    assert stale[0].endswith(" with a queue of eight; with a queue of one frame and with a queue of two it is the same")
    assert stale[2:] == same[2:]
    _, *slightly = told(lost_us={(writes[0], deepest): 1.0})  # less than counts
    assert slightly[0].endswith(" and with a queue of eight it is within 5.0% of that")
    assert slightly[1:] == same[1:]

    few, many = {(writes[0], depth): 9.0 for depth in (2, deepest)}, {(writes[-1], depth): 30.0 for depth in (0, 1)}
    neither = told(lost_us=few | many)
    assert neither[0].startswith(f"With time of a write = {writes[0]}, ")  # nothing holds of all
    assert neither[1].startswith("Without a queue the best ")
    assert neither[5].startswith("With a queue of two the best ")

    _, *lazy = told(best_us=dict.fromkeys(writes, 1000.0))  # nothing speaks for a short timer but what it costs
    assert f"the best retransmission timer is {timers[-1]}, the last that was run, " in lazy[1]
    assert lazy[-1].endswith(f"the best retransmission timer stays {timers[-1]}.")


def test_curves_that_cross_are_judged_by_their_best() -> None:
    """Neither depth is better at every timer."""
    study = shipped("link-timer-and-depth")
    writes, depths = study.grid["devices.cell.nv.write"], study.grid["links.0.rx_depth"]
    first, last = study.grid["links.0.retransmit"][0], study.grid["links.0.retransmit"][-1]

    def figure(at: dict[str, Any], repeat: int) -> tuple[float, ...]:
        time_us = 20.0
        if at["links.0.retransmit"] == first and at["links.0.rx_depth"] == depths[0]:
            time_us = 10.0
        if at["links.0.retransmit"] == last and at["links.0.rx_depth"] == depths[0]:
            time_us = 40.0
        return time_us / 1e6, 1e-4, 0.5, 4.0, 0.0, 100.0

    told = conclude(study, findings(study, rows_of(study, figure)), True)
    assert told.count("time until both ends know is 10 us to 40 us without a queue") == len(writes)
    rows = rows_of(study, figure)
    for number in range(len(study.points)):  # whatever is done already
        draw = random.Random(number)
        some = [row for row in rows if draw.random() < 0.2]
        assert conclude(study, findings(study, some), False).startswith(("So far", "No run"))


def renewal(study: Study, factor: float = 1.0, noise: float = 0.0) -> list[Row]:
    """Rows as the exact expectation gives them, for failures *factor* times as rare."""
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


def test_a_plot_by_two_keys_has_colours_for_one_and_symbols_for_the_other() -> None:
    study = shipped("link-timer-and-depth")
    best = dict.fromkeys(map(str, study.grid["devices.cell.nv.write"]), 1.0)
    told = summary(study, link_rows(study, best, {}), 0)
    made, _ = report.plot(told)
    by = [(line["by"], drawn) for line, drawn in zip(told["plot"]["lines"], made["data"], strict=True)]
    for key, style in ((0, lambda drawn: drawn["line"]["color"]), (1, lambda drawn: drawn["marker"]["symbol"])):
        styles = {names[key]: {style(drawn) for other, drawn in by if other[key] == names[key]} for names, _ in by}
        assert len(styles) == len(study.grid[told["plot"]["by"][key]])
        assert all(len(found) == 1 for found in styles.values())
        assert len(set.union(*styles.values())) == len(styles)
    columns, rows = report.table(told, 10)
    assert columns[:4] == ["time of a write", "receive queue", "retransmission timer", "runs"]  # what varies alone
    assert len(rows[0]) == len(columns)


def test_a_steep_y_has_a_logarithmic_axis_with_its_own_ticks() -> None:
    study = shipped("link-nv-write-time")
    rows = rows_of(study, lambda at, _: (3e-6 + parse_duration(at["devices.cell.nv.write"]) / 1e12, 0.3, 9.0))
    axis = report.plot(summary(study, rows, 0))[0]["layout"]["yaxis"]
    assert axis["type"] == "log"
    assert axis["ticktext"][0] == "2 us"
    assert [round(value * 1e6) for value in axis["tickvals"]] == [2, 5, 10, 20, 50, 100, 200]
    flat = report.plot(summary(study, rows_of(study, lambda *_: (3e-6, 0.3, 9.0)), 0))[0]["layout"]["yaxis"]
    assert "type" not in flat


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


@needs_verilator
@pytest.mark.parametrize(
    "write, said",
    [("3us", "With a queue of one frame, time until both ends know is as good as any; without a queue it is worse by"),
     ("100ns", "Receive queue makes no difference that counts.")],
)  # fmt: skip
def test_a_queue_matters_where_a_write_takes_longer_than_a_frames_way(write: str, said: str, tmp_path: Path) -> None:
    """The study with few points: its conclusion follows the time of a write."""
    text = examples.find_study("link-timer-and-depth").read_text()
    for old, new in (("[1us, 3us, 10us]", f"[{write}]"), ("[0, 1, 2, 8]", "[0, 1]"), ("[3ms]", "[1ms]"),
                     ("{log: [500ns, 80us], points: 6}", "[1us, 10us]")):  # fmt: skip
        assert text.count(old) == 1
        text = text.replace(old, new)
    path = tmp_path / "few.yaml"
    path.write_text(text)
    from hwsim.studies.sweeps.runner import sweep

    study = load(path)
    swept = sweep(study, tmp_path / "o")
    assert summary(study, swept.rows, swept.left)["answer"].startswith(said)


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

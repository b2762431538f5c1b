"""The checkpoint interval to choose: the closed form held against simulation by hand, and the formulas against it."""

from __future__ import annotations

import json
import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim import cli
from hwsim.studies.optimal_interval import Job, advice

MTTI_S = 3.09 * 3600  # 16,384 accelerators that fail as those of the published 54 days did

TIMES = st.floats(1e-3, 1e6)


@pytest.mark.parametrize(
    ("save_s", "best", "daly"), [(5, 330, 330), (20, 655, 654), (60, 1115, 1116), (300, 2385, 2387)]
)
def test_the_optimum_and_dalys_formula_are_the_published_models(save_s: float, best: float, daly: float) -> None:
    """The figures of an independent search on a grid of 5 s."""
    job = Job(save_s, MTTI_S, 300)
    assert job.best_interval_s() == pytest.approx(best, abs=2.6)
    assert job.daly_s() == pytest.approx(daly, abs=0.6)
    assert job.daly_s() == pytest.approx(job.best_interval_s(), rel=0.02)
    assert job.young_s() == pytest.approx(job.best_interval_s(), rel=0.10)


@pytest.mark.parametrize(("save_s", "restart_s", "ettr"), [(20, 300, 0.917), (5, 600, 0.921), (60, 300, 0.876)])
def test_the_share_at_the_optimum_is_the_published_one(save_s: float, restart_s: float, ettr: float) -> None:
    job = Job(save_s, 54 * 86400 / 419, restart_s)
    assert job.ettr(job.best_interval_s()) == pytest.approx(ettr, abs=0.001)


@given(TIMES, TIMES, st.floats(0, 1e6))
def test_no_other_interval_is_better(save_s: float, mtti_s: float, restart_s: float) -> None:
    job = Job(save_s, mtti_s, restart_s)
    best = job.best_interval_s()
    for factor in (0.25, 0.5, 0.9, 0.999, 1.001, 1.1, 2, 4):
        assert job.ettr(best * factor) <= job.ettr(best) * (1 + 1e-9)
    assert 0 <= job.ettr(best) <= 1
    assert 0 < best <= mtti_s
    assert Job(save_s, mtti_s).best_interval_s() == best  # a restart lowers the share and does not move the optimum


def test_a_simulation_by_hand_gives_the_same_share() -> None:
    """No formula in it: failures are drawn, and work that was not saved is thrown away."""
    chance = random.Random(4)
    for save_s, work_s, restart_s in ((20, 655, 300), (60, 300, 600), (300, 2385, 60)):
        shares = []
        for _ in range(40):
            clock = saved = 0.0
            while clock < 54 * 86400:
                failure = chance.expovariate(1 / MTTI_S)
                saved += work_s * (failure // (work_s + save_s))
                clock += failure + restart_s
            shares.append(saved / clock)
        mean = sum(shares) / len(shares)
        se = math.sqrt(sum((share - mean) ** 2 for share in shares) / (len(shares) - 1) / len(shares))
        assert Job(save_s, MTTI_S, restart_s).ettr(work_s) == pytest.approx(mean, abs=min(4 * se, 0.003))


def test_extremes_are_figures_too() -> None:
    job = Job(1e6, 1.0)  # a save that takes a million failures
    assert job.ettr(job.best_interval_s()) == 0
    assert job.daly_s() == 1
    assert Job(1e-9, 1e9).best_interval_s() == pytest.approx(math.sqrt(2), rel=1e-4)


def test_the_command_tells_it_as_text_and_json(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["interval", "--size", "912GB", "--bandwidth", "45.6GB/s", "--mtti", "3.09h", "--restart", "5min"]
    assert cli.status_of([*asked, "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert told == advice(20.0, 11124.0, 300.0)
    assert told["double"]["cost"] == pytest.approx(told["best"]["ettr"] - told["double"]["ettr"])
    assert cli.status_of(asked) == 0
    out = capsys.readouterr().out
    assert "Save every 10.9 min of work: 91.65% of the time is then training that counts." in out
    assert "Young 1974" in out


def test_every_mistake_of_the_command_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    asked = ["interval", "--size", "912", "--bandwidth", "0GB/s", "--mtti", "3.09", "--restart", "-5min"]
    assert cli.status_of(asked) == 2
    told = capsys.readouterr().err.splitlines()
    assert [line.split(":")[0] for line in told] == ["--size", "--bandwidth", "--mtti", "--restart"]

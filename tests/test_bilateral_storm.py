"""After any storm every link settles, and no token was ever anywhere but in one place."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor
from statistics import fmean

import pytest
from bilateral_storm import LINKS, ROUNDS, Found, storm


def hold(found: Found) -> None:
    assert not found.problems, found.problems[:3]
    assert found.crashes > LINKS // 4
    assert found.rounds >= LINKS * ROUNDS
    assert 0.1 < found.doubt_share < 0.9


@pytest.mark.parametrize("seed", range(50))
def test_every_seed_settles(seed: int) -> None:
    hold(storm(seed))


@pytest.mark.long
def test_a_thousand_seeds_settle(capsys: pytest.CaptureFixture[str]) -> None:
    with ProcessPoolExecutor() as pool:
        found = list(pool.map(storm, range(1000, 2000), chunksize=10))
    for one in found:
        hold(one)
    with capsys.disabled():
        print(
            f"\n1000 storms over {LINKS} links: {sum(one.rounds for one in found):,} rounds, "
            f"{sum(one.crashes for one in found):,} crashes of ends, {sum(one.dropped for one in found):,} frames "
            f"dropped by them; a link had a token in doubt {fmean(one.doubt_share for one in found):.1%} of the time"
        )


def test_equal_seeds_storm_alike() -> None:
    assert storm(7) == storm(7)

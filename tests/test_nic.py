"""A NIC: what bounds it, what its crashes take, and when it serves again."""

from __future__ import annotations

from typing import Any

import pytest
import simpy
from pydantic import ValidationError

from hwsim.devices.nic import Nic, NicParams
from hwsim.domain import World
from hwsim.flow import FlowNetwork


def make(**given: Any) -> Nic:
    env = simpy.Environment()
    return Nic(World(env, [], 1, FlowNetwork(env)), "node0/nic", NicParams(**given), node="node0", host="node0/host")


def test_each_direction_has_the_whole_rate() -> None:
    nic = make(rate="8Gb/s")
    flows = nic.world.flows
    there, back = flows.start(nic.crossed(outward=True), 10**9), flows.start(nic.crossed(outward=False), 10**9)
    nic.env.run(nic.env.all_of([there.done, back.done]))
    assert nic.env.now == 10**12


def test_without_a_rate_only_its_links_bound_it() -> None:
    nic = make()
    assert nic.crossed(outward=True) == nic.crossed(outward=False) == ()


@pytest.mark.parametrize(("crash", "takes", "back_after"), [
    ("nic_reset", {"node0/nic:engine", "node0/nic:buffer"}, 5 * 10**12),
    ("power_loss", {"node0/nic:engine", "node0/nic:power"}, None),
    ("gpu_reset", set(), None),
])
def test_what_a_crash_takes_and_when_it_is_over(crash: str, takes: set[str], back_after: int | None) -> None:
    nic = make(reset_time="5s")
    assert nic.takes(crash) == takes
    assert nic.restore_time(crash) == back_after


def test_a_reset_without_a_time_lasts() -> None:
    assert make().restore_time("nic_reset") is None


@pytest.mark.parametrize("given", [{"rate": "0Gb/s"}, {"delay": "-1ns"}, {"reset_time": "0s"}, {"speed": "1Gb/s"},
                                   {"rate": 400}])
def test_impossible_figures_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        NicParams(**given)

"""A switch: its fabric is shared by all that crosses it, and its power is all it has to lose."""

from __future__ import annotations

from typing import Any

import pytest
import simpy
from pydantic import ValidationError

from hwsim.devices.switch import Switch, SwitchParams
from hwsim.domain import World
from hwsim.flow import FlowNetwork


def make(**given: Any) -> Switch:
    env = simpy.Environment()
    return Switch(World(env, [], 1, FlowNetwork(env)), "sw", SwitchParams(**given))


def test_the_fabric_is_shared_and_crossed_once() -> None:
    switch = make(capacity="16Gb/s")
    assert switch.crossed(outward=True) == ()
    flows = [switch.world.flows.start(switch.crossed(outward=False), 10**9) for _ in range(4)]
    switch.env.run(switch.env.all_of(flow.done for flow in flows))
    assert switch.env.now == 2 * 10**12


def test_without_a_capacity_it_never_binds() -> None:
    assert make().crossed(outward=False) == ()


def test_only_its_power_can_be_lost_and_somebody_must_bring_it_back() -> None:
    switch = make(delay="300ns")
    assert switch.takes("power_loss") == {"sw:power"}
    assert switch.takes("nic_reset") == frozenset()
    assert switch.restore_time("power_loss") is None
    assert switch.forwarding_delay == 300_000


@pytest.mark.parametrize("given", [{"capacity": "0Gb/s"}, {"delay": "-1ns"}, {"ports": 64}])
def test_impossible_figures_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        SwitchParams(**given)

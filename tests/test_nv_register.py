"""Non-volatile registers: what a power loss at any instant leaves of any writes."""

from __future__ import annotations

import random

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.flow import IOLost
from hwsim.nv_register import NvParams, NvRegister, WornOut

NS = 1000


def register(env: simpy.Environment, *, size: int = 8, seed: int = 1, **figures: object) -> NvRegister:
    params = NvParams.model_validate({"write": "10us", **figures})
    return NvRegister(env, params, random.Random(seed), size_bytes=size)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.integers(1, 2**64 - 1), min_size=1, max_size=4),
    st.integers(0, 45_000),
    st.sampled_from(["0s", "4us", "10us", "25us"]),
    st.integers(0, 9),
)
def test_a_power_loss_at_any_instant_leaves_old_or_new(values: list[int], at_ns: int, hold_up: str, seed: int) -> None:
    env = simpy.Environment()
    one = register(env, seed=seed, hold_up=hold_up)
    asked = [one.write(value) for value in values]
    env.run(until=at_ns * NS + 1)
    may = one.may_hold()
    returned = sum(event.triggered for event in asked)
    one.lose_power()
    assert one.value in may
    # by hand: whole writes in the time and the energy, and one more that is perhaps there
    held = {"0s": 0, "4us": 4_000_000, "10us": 10_000_000, "25us": 25_000_000}[hold_up]
    whole = min((at_ns * NS + 1 + held) // 10_000_000, len(values))
    course = [0, *values]
    under_way = whole < len(values) and (at_ns * NS + 1 + held) % 10_000_000 > 0
    assert may == {course[whole], course[whole + 1] if under_way else course[whole]}
    assert returned <= whole  # what was said to be written is
    held_value = one.value
    env.run(until=10**9)
    one.restore_power()
    assert one.value == held_value
    assert all(event.triggered for event in asked)


def test_the_energy_held_up_completes_the_write_under_way() -> None:
    env = simpy.Environment()
    one = register(env, hold_up="10us")
    one.write(7)
    env.run(until=1)
    assert one.may_hold() == {7}
    one.lose_power()
    assert one.value == 7


def test_words_are_written_one_by_one_so_a_wider_value_can_be_a_mix() -> None:
    env = simpy.Environment()
    one = register(env, size=2, word="1B")
    one.write(0xABCD)
    env.run(until=15_000_000)
    assert one.may_hold() == {0x00CD, 0xABCD}
    env.run(until=20_000_001)
    assert one.value == 0xABCD


def test_a_worn_out_register_keeps_its_last_value() -> None:
    env = simpy.Environment()
    one = register(env, endurance=2)
    events = [one.write(value) for value in (1, 2, 3)]
    env.run(until=10**8)
    assert [event.ok for event in events] == [True, True, False]
    assert isinstance(events[2].value, WornOut)
    assert (one.value, one.worn_out, one.writes) == (2, True, 2)


def test_without_power_nothing_is_written() -> None:
    env = simpy.Environment()
    one = register(env)
    one.lose_power()
    event = one.write(3)
    env.run(until=10**8)
    assert isinstance(event.value, IOLost)
    one.restore_power()
    one.write(4)
    env.run(until=2 * 10**8)
    assert one.value == 4


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError):
        register(simpy.Environment(), size=1).write(256)


def test_an_endurance_may_be_written_as_1e6() -> None:
    assert NvParams.model_validate({"write": "10us", "endurance": 1e6}).endurance == 10**6


def test_a_nic_s_registers_outlive_its_reset_and_its_power() -> None:
    from hwsim.devices.nic import Nic, NicParams
    from hwsim.domain import World
    from hwsim.flow import FlowNetwork

    env = simpy.Environment()
    world = World(env, [], 1, FlowNetwork(env))
    nic = Nic(world, "nic", NicParams.model_validate({"nv": {"write": "10us"}}))
    one = nic.register("round")
    one.write(5)
    env.run(until=5_000_000)
    nic.stop("nic_reset")
    env.run(until=20_000_000)
    assert one.value == 5
    nic.restore()
    nic.stop("power_loss")
    assert not one.powered
    nic.restore()
    assert (one.powered, one.value) == (True, 5)

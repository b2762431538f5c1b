"""The record of an end in memory: any register there and back, and a power loss at any instant of any write."""

from __future__ import annotations

import random

import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.bilateral.machine import Register
from hwsim.bilateral.record import RECORD_OCTETS, ROUNDS, Record, RecordMemory
from hwsim.bilateral.table import Phase
from hwsim.nv_register import NvParams, NvRegister

PAYLOADS = st.one_of(st.none(), st.binary(max_size=24))
RECORDS = st.builds(
    Record,
    st.builds(
        Register,
        st.integers(1, 2**64 - 1), st.integers(0, 2**64 - 1), st.integers(0, ROUNDS - 1), st.sampled_from(Phase),
        PAYLOADS, st.integers(0, 2**64 - 1), PAYLOADS, st.integers(0, ROUNDS - 1),
    ),
    st.integers(0, 2**64 - 1),
)  # fmt: skip


@given(RECORDS)
def test_a_record_is_read_as_it_was_written(record: Record) -> None:
    octets = record.pack()
    assert len(octets) == RECORD_OCTETS
    assert Record.unpack(octets) == record


def memory(env: simpy.Environment, first: Record, seed: int, **figures: object) -> RecordMemory:
    params = NvParams.model_validate({"write": "1us", **figures})
    return RecordMemory(
        lambda key, size, initial: NvRegister(
            env, params, random.Random(f"{seed} {key}"), size_bytes=size, initial=initial
        ),
        first,
    )


@settings(max_examples=200, deadline=None)
@given(
    st.lists(RECORDS, min_size=2, max_size=4), st.integers(0, 60_000), st.integers(0, 9),
    st.sampled_from(["8B", "16B", "128B"]), st.sampled_from(["0s", "700ns", "3us", "1ms"]),
)  # fmt: skip
def test_a_power_loss_leaves_the_old_record_or_the_new(
    course: list[Record], at_ns: int, seed: int, word: str, hold_up: str
) -> None:
    env = simpy.Environment()
    kept = memory(env, course[0], seed, word=word, hold_up=hold_up)
    done = [course[0]]

    def go_on(whole: bool) -> None:
        assert whole
        done.append(course[len(done)])
        assert kept.load() == done[-1]
        if len(done) < len(course):
            kept.write(course[len(done)], go_on)

    kept.write(course[1], go_on)
    env.run(until=at_ns * 1000 + 1)
    reached = len(done)
    for register in kept.registers:
        register.lose_power()
    kept.power_lost()
    assert kept.load() in (course[reached - 1], course[min(reached, len(course) - 1)])
    found = kept.load()
    env.run(until=10**9)
    for register in kept.registers:
        register.restore_power()
    assert kept.load() == found
    assert len(done) == reached  # nobody is told of a write that was cut off
    kept.write(course[1], lambda whole: done.append(course[1]))
    env.run(until=2 * 10**9)
    assert kept.load() == done[-1] == course[1]


def test_a_memory_that_wears_out_keeps_its_last_record() -> None:
    records = [Record(Register(number)) for number in range(1, 6)]
    for word, writes in (("128B", 2), ("8B", 2)):  # the selector is written each time, so it goes first
        env = simpy.Environment()
        kept = memory(env, records[0], 1, word=word, endurance=2)
        told: list[bool] = []
        for record in records[1:]:
            kept.write(record, told.append)
            env.run(until=env.now + 10**9)
        assert told == [True] * writes + [False] * (4 - writes)
        assert kept.load() == records[writes]

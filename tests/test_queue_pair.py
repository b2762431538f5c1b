"""Queue pairs: what breaks them, what a broken one leaves, and what it takes to go on."""

from __future__ import annotations

from typing import Any

import pytest
from bench import US
from hypothesis import given, settings
from hypothesis import strategies as st
from rdma_bench import MS, NEW, OLD, RdmaBench

from hwsim.contents import NOTHING, TORN
from hwsim.domain import IOFailed, IOLost

LIMIT = 50 * MS


def bench_with(**given: Any) -> RdmaBench:
    made = RdmaBench("pmem", host={"ddio": False}, retry_ps=LIMIT, **given)
    made.settled()
    return made


def cut(bench: RdmaBench, after_ps: int, for_ps: int) -> None:
    """The link goes down after a while, and comes back."""
    if after_ps:
        bench.run(after_ps)
    bench.link.take_down()
    bench.run(for_ps)
    bench.link.bring_up()


def outcome(write: Any) -> str | None:
    """How the initiator learned of its end."""
    if not write.done.triggered:
        return None
    return "done" if write.done.ok else type(write.done.value).__name__


@pytest.mark.parametrize("after", [0, 4 * MS])
def test_a_cut_that_is_shorter_than_the_retries_costs_time_and_nothing_else(after: int) -> None:
    bench, quiet = bench_with(), bench_with()
    begun = int(quiet.env.now)
    quiet.finish(quiet.send())
    alone = int(quiet.env.now) - begun
    write = bench.send()
    cut(bench, after, LIMIT - 1)
    assert outcome(write) is None
    bench.finish(write)
    assert int(bench.env.now) - begun == alone + LIMIT - 1
    assert bench.queue_pair.connected


@pytest.mark.parametrize("after, sync, left", [
    (0, "completion", {OLD}), (4 * MS, "completion", {TORN}), (10 * MS, "ack", {NEW}),
], ids=["not executed", "partly placed", "executed"])  # fmt: skip
def test_after_the_retry_limit_a_write_is_done_or_not_or_partly_and_its_initiator_hears_the_same(
    after: int, sync: str, left: set[int]
) -> None:
    bench = bench_with()
    write = bench.send(sync=sync)
    cut(bench, after, LIMIT + 1)
    assert isinstance(write.done.value, IOFailed)
    assert str(write.done.value) == "ETIMEDOUT during write"
    bench.run(1000 * MS)
    assert bench.holds("shard") == left
    assert [row.peer for row in bench.records("disconnected")] == ["node1/host"]
    assert [row.detail for row in bench.records("failed")] == ["ETIMEDOUT"]
    bench.finish(bench.send(sync="ack"))  # a new queue pair, and the write again
    assert bench.holds("shard") == {NEW}


def test_all_that_is_outstanding_is_flushed_together() -> None:
    bench = bench_with()
    writes = [bench.send(slot=str(slot)) for slot in range(1, 4)]
    cut(bench, 9 * MS, LIMIT + 1)
    assert [outcome(write) for write in writes] == ["IOFailed"] * 3
    assert len(bench.records("disconnected")) == 1


def test_an_idle_queue_pair_notices_nothing() -> None:
    bench = bench_with()
    cut(bench, 0, 10 * LIMIT)
    assert bench.queue_pair.connected
    write = bench.send()
    bench.finish(write)
    assert outcome(write) == "done"


def test_the_retries_are_counted_from_the_post_of_what_is_outstanding() -> None:
    bench = bench_with()
    bench.link.take_down()
    bench.run(10 * LIMIT)
    write = bench.send()
    bench.run(LIMIT - 1)
    assert outcome(write) is None
    bench.run(2)
    assert outcome(write) == "IOFailed"


def test_work_that_was_withdrawn_is_not_counted() -> None:
    bench = bench_with()
    write = bench.send()
    bench.run(4 * MS)
    bench.link.take_down()
    bench.run(LIMIT // 2)
    write.cancel()
    later = bench.send()
    bench.run(LIMIT - 1)
    assert outcome(later) is None
    bench.run(2)
    assert outcome(later) == "IOFailed"


@pytest.mark.parametrize("after", [1, 4 * MS, 10 * MS, 25 * MS])
def test_what_was_deleted_on_its_way_does_not_come_back(after: int) -> None:
    bench = RdmaBench("pmem")
    bench.settled()
    bench.send(sync="ack")
    bench.run(after)
    bench.world.holdings.erase("node1/host", "shard", "0")
    bench.run(1000 * MS)
    assert bench.holds("shard") == {NOTHING}
    assert not bench.memory.under_way


def test_without_a_limit_it_tries_for_ever() -> None:
    bench = RdmaBench("dram")
    write = bench.send()
    cut(bench, 4 * MS, 10**15)
    assert outcome(write) is None
    bench.finish(write)


def test_a_link_that_flaps_starts_the_count_anew() -> None:
    bench = bench_with()
    write = bench.send()
    for _ in range(4):
        cut(bench, 1 * MS, LIMIT - 1)
    assert outcome(write) is None
    bench.finish(write)


def test_an_answer_waits_for_the_route() -> None:
    bench = bench_with()
    write = bench.send(sync="read_after_write")
    bench.run(10 * MS)  # received, not yet placed
    bench.link.take_down()
    bench.run(20 * MS)
    assert bench.holds("shard") == {NEW}
    assert outcome(write) is None
    bench.link.bring_up()
    assert outcome(write) == "done"


@pytest.mark.parametrize("struck, parts", [
    ((), 0),  # an error alone: only a new queue pair
    (("node1/nic",), 1),
    (("node0/nic",), 1),
    (("node0/nic", "node1/nic"), 2),
])
def test_a_new_queue_pair_and_every_lost_registration_take_their_time(struck: tuple[str, ...], parts: int) -> None:
    made = {"connect_ps": 3 * MS, "registration_ps": 200 * MS}
    bench, quiet = bench_with(**made), bench_with(**made)
    for end in struck:
        for one in (bench, quiet):
            one.strike("nic_reset", (end,))
            one.restore(end)
    if not struck:
        bench.queue_pair.fail("an error")
    else:
        quiet.queue_pair.connected = quiet.own.valid = quiet.memory.region.valid = True
    begun = int(bench.env.now)
    quiet.finish(quiet.send())
    bench.finish(bench.send())
    assert bench.env.now - begun == (quiet.env.now - begun) + 3 * MS + parts * 200 * MS
    bench.run(1000 * MS)
    begun = int(bench.env.now)
    bench.finish(bench.send())
    assert bench.env.now - begun < 20 * MS  # once


def test_what_waits_for_a_queue_pair_begins_when_it_is_there_and_ends_with_its_process() -> None:
    bench = bench_with(connect_ps=5 * MS)
    bench.queue_pair.close()
    first, second = bench.send(slot="1"), bench.send(slot="2")
    bench.run(4 * MS)
    assert bench.records("begun")[-1].slot != "1"
    second.cancel()
    bench.finish(first)
    assert outcome(second) == "IOLost"
    assert bench.holds("shard", "2") == {NOTHING}
    third = bench.send(slot="3")
    bench.strike("power_loss", ("node1/host", "node1/gpu", "node1/nvme", "node1/nic"))
    assert isinstance(third.done.value, IOLost)


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30 * MS), st.integers(1, 3 * LIMIT // 2)), max_size=4),
    st.sampled_from(["completion", "read_after_write", "rdma_flush", "ack"]),
    st.booleans(),
    st.one_of(st.none(), st.integers(0, 300 * MS)),
    st.integers(0, 99),
)
def test_whatever_happens_on_the_way_the_initiator_is_told_once_and_what_was_confirmed_is_there(
    cuts: list[tuple[int, int]], sync: str, ddio: bool, reset: int | None, seed: int
) -> None:
    bench = RdmaBench("pmem", host={"ddio": ddio}, retry_ps=LIMIT, seed=seed)
    bench.settled()
    write = bench.send(sync=sync)
    told: list[str | None] = []
    write.done.callbacks.append(lambda event: told.append(outcome(write)))
    if reset is not None:
        def strike(_: object) -> None:
            bench.strike("nic_reset", ("node1/nic",))

        bench.env.timeout(reset).callbacks.append(strike)
        bench.env.timeout(reset + 10 * US).callbacks.append(lambda _: bench.restore("node1/nic"))
    for after, length in cuts:
        cut(bench, after, length)
    bench.run(10 * LIMIT)
    assert len(told) == 1
    held = bench.holds("shard")
    assert held in ({OLD}, {NEW}, {TORN})
    if told == ["done"] and (sync != "completion" or reset is None):
        assert held == {NEW}
    if told == ["IOFailed"]:
        assert any(length >= LIMIT for _, length in cuts)
    if told == ["IOLost"]:
        assert reset is not None
    assert not bench.memory.under_way
    assert not bench.queue_pair._outstanding
    bench.finish(bench.send(sync="ack"))
    bench.run(1000 * MS)
    assert bench.would_find("shard", "0", bench.takes("power_loss", ("node1/host", "node1/nic"))) == {NEW}


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(["completion", "read_after_write", "rdma_flush", "ack"]),
                       st.integers(0, 25 * MS)), min_size=2, max_size=4),
    st.booleans(),
)  # fmt: skip
def test_writes_of_one_slot_that_follow_one_another_are_all_answered(
    posted: list[tuple[str, int]], ddio: bool
) -> None:
    bench = RdmaBench("pmem", host={"ddio": ddio})
    bench.settled()
    writes = []
    for number, (sync, pause) in enumerate(posted):
        writes.append(bench.send(NEW + number, sync=sync))
        if pause:
            bench.run(pause)
    for write in writes:
        bench.finish(write)
    bench.run(1000 * MS)
    assert bench.holds("shard") == {NEW + len(posted) - 1}
    assert not bench.memory.under_way

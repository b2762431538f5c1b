"""Operations that fail while their device lives: what they leave, what writers are told, what those make of it."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import builders
import crash_oracle
import pytest
from bench import MIB, NODE0, US, Bench

from hwsim.checkers import Value, persisted_before_committed, well_formed
from hwsim.contents import NOTHING, TORN
from hwsim.crash_sweep import sweep_strike
from hwsim.crash_timeline import Timeline
from hwsim.domain import Failing, IOFailed
from hwsim.instants import AllInstants
from hwsim.metrics import evaluate
from hwsim.report.summary import text
from hwsim.simulation import simulate
from hwsim.trace import Record, Trace

PS = builders.PS
OLD, NEW = 1, 2
CACHED = "page_cache"


def failure(bench: Bench, operation: Any) -> tuple[str, str] | None:
    """What an operation fails with; None where it succeeds."""
    try:
        bench.finish(operation)
    except IOFailed as error:
        return error.errno, error.during
    return None


def after_power_loss(bench: Bench, part: str, slot: str = "0") -> set[int]:
    return set(bench.would_find(part, slot, bench.takes("power_loss", NODE0)))


# a drive


@pytest.mark.parametrize(
    "size, left",
    [
        (4096, {OLD, NEW}),  # one block, and AWUPF is one
        (8192, {OLD, NEW, TORN}),
        (4 * 128 * 1024, {OLD, NEW, TORN}),  # four commands, all of them fetched
        (MIB, {OLD, TORN}),  # eight, of which four are fetched
    ],
)
@pytest.mark.parametrize("figures", [{}, {"plp": True}, {"vwc": False}])
def test_a_write_that_fails_leaves_each_fetched_block_old_or_new(
    size: int, left: set[int], figures: Mapping[str, Any]
) -> None:
    bench = Bench(figures)
    part = bench.part(bench.nvme)
    bench.durable(bench.nvme, part, "0", OLD, size)
    bench.nvme.fail(Failing("EIO", 1))
    assert failure(bench, bench.nvme.write(part, "0", NEW, size, sync="flush")) == ("EIO", "write")
    assert bench.holds(part) == left
    assert after_power_loss(bench, part) == left
    assert [(row.subject, row.part, row.epoch, row.detail) for row in bench.records("failed")] == [
        ("node0/nvme", part, NEW, "EIO")
    ]
    bench.run(20 * PS)  # the cache drains: what is not known stays so
    assert after_power_loss(bench, part) == left
    bench.finish(bench.nvme.write(part, "0", NEW, size, sync="flush"))
    assert after_power_loss(bench, part) == {NEW}


def test_a_write_under_way_fails_at_the_strike_and_its_first_commands_are_done() -> None:
    bench = Bench()
    part = bench.part(bench.nvme)
    bench.durable(bench.nvme, part, "0", OLD, MIB)
    write = bench.nvme.write(part, "0", NEW, MIB)
    bench.run(120 * US)
    assert not write.done.triggered
    bench.nvme.fail(Failing("EIO", 1))
    assert failure(bench, write) == ("EIO", "write")
    assert bench.holds(part) == {TORN}, "the first command completed, and not all were fetched"
    assert after_power_loss(bench, part) == {OLD, TORN}, "which may still sit in the cache"


def test_what_a_crash_makes_of_a_failed_write_is_settled_once() -> None:
    for seed in range(12):
        bench = Bench(seed=seed)
        part = bench.part(bench.nvme, CACHED)
        bench.durable(bench.nvme, part, "0", OLD, MIB)
        bench.nvme.fail(Failing("EIO", 1))
        assert failure(bench, bench.nvme.write(part, "0", NEW, MIB, sync="flush", into=CACHED))
        bench.strike("kernel_crash", ["node0/host"])
        settled = bench.holds(part)
        assert len(settled) == 1
        bench.run(30 * PS)  # the cache drains meanwhile
        assert bench.holds(part) == settled


def test_a_flush_that_fails_covers_nothing_and_another_one_does() -> None:
    bench = Bench()
    part = bench.part(bench.nvme)
    bench.finish(bench.nvme.write(part, "0", NEW, 4096))
    bench.nvme.fail(Failing("EIO", 1))
    assert failure(bench, bench.nvme.flush()) == ("EIO", "sync")
    assert after_power_loss(bench, part) == {NOTHING, NEW}
    assert failure(bench, bench.nvme.sync(part, "0", "media")) is None
    assert after_power_loss(bench, part) == {NEW}


def test_only_so_many_operations_fail_those_under_way_first() -> None:
    bench = Bench()
    part = bench.part(bench.nvme)
    writes = [bench.nvme.write(part, str(number), NEW, MIB) for number in range(3)]
    bench.run(US)
    bench.nvme.fail(Failing("EIO", 2))
    assert [failure(bench, write) for write in writes] == [("EIO", "write"), ("EIO", "write"), None]


def test_an_operation_that_fails_already_is_not_counted_by_the_next_fault() -> None:
    bench = Bench()
    part = bench.part(bench.nvme)
    bench.nvme.fail(Failing("EIO", 2))
    begun = [bench.nvme.write(part, "0", NEW, 4096), bench.nvme.flush()]
    bench.run(US)
    bench.nvme.fail(Failing("EIO", 1))
    assert [failure(bench, one) for one in begun] == [("EIO", "write"), ("EIO", "sync")]
    assert failure(bench, bench.nvme.flush()) == ("EIO", "sync")
    assert failure(bench, bench.nvme.flush()) is None


@pytest.mark.parametrize("crash", ["power_loss", "controller_reset"])
def test_a_device_that_crashes_before_it_answers_loses_the_operation(crash: str) -> None:
    bench = Bench()
    part = bench.part(bench.nvme)
    bench.nvme.fail(Failing("EIO", 2))
    write, flush = bench.nvme.write(part, "0", NEW, 4096), bench.nvme.flush()
    bench.run(5 * US)
    bench.strike(crash, ["node0/nvme"])
    bench.restore("node0/nvme")
    bench.run(PS)
    assert write.done.triggered
    assert flush.done.triggered
    assert not write.done._ok
    assert isinstance(write.done._value, IOFailed) == (crash == "controller_reset")


def test_a_slow_drive_answers_late_and_then_as_before() -> None:
    bench = Bench({"flush": "1ms", "write_latency": "20us", "vwc": False})
    part = bench.part(bench.nvme)

    def takes() -> int:
        began = int(bench.env.now)
        bench.finish(bench.nvme.write(part, "0", NEW, 4096, sync="flush"))
        return int(bench.env.now) - began

    usual = takes()
    bench.nvme.slow_down(7)
    assert takes() - usual == 6 * 1020 * US
    bench.nvme.slow_down(1 / 7)
    assert takes() == usual


# the room of a file system


@pytest.mark.parametrize("errno", ["ENOSPC", "EDQUOT"])
def test_a_full_file_system_refuses_what_needs_room_and_nothing_else(errno: str) -> None:
    bench = Bench()
    part = bench.part(bench.nvme)
    assert bench.nvme.allocate(part, "0", MIB) is None
    bench.finish(bench.nvme.write(part, "0", OLD, MIB))
    bench.nvme.fail(Failing(errno))
    assert bench.nvme.allocate(part, "0", MIB) is None, "the file is there"
    assert bench.nvme.allocate(part, "0", MIB + 1) == errno, "it grows"
    assert bench.nvme.allocate(part, "1", 1) == errno
    bench.world.holdings.truncate("node0/nvme", part, "0", NEW)
    assert bench.nvme.allocate(part, "0", MIB) == errno, "its room went with its content"
    assert bench.holds(part) == {TORN}
    assert after_power_loss(bench, part) == {TORN}


def test_room_is_taken_by_writes_and_given_back_by_deletes_and_crashes() -> None:
    bench = Bench({"space": "3MiB"})
    nvme, part = bench.nvme, bench.part(bench.nvme, CACHED)

    def write(slot: str, size: int = MIB) -> str | None:
        errno: str | None = nvme.allocate(part, slot, size)
        if errno is None:
            bench.finish(nvme.write(part, slot, int(slot), size, into=CACHED))
        return errno

    assert [write("1"), write("2"), write("2"), write("3"), write("4", 1)] == [None, None, None, None, "ENOSPC"]
    nvme.renamed(part, "3", "5")
    assert nvme.files.used_bytes() == 2 * MIB, "a name that nothing lies under counts nothing"
    bench.world.holdings.erase("node0/nvme", part, "1")
    assert nvme.files.used_bytes() == MIB
    bench.strike("kernel_crash", ["node0/host"])  # what was never synced may be gone
    left = sum(bench.world.holdings.exists(part, slot) for slot in ("2", "5"))
    assert nvme.files.used_bytes() == left * MIB


def test_a_full_tmpfs_refuses_and_other_memory_does_not() -> None:
    bench = Bench()
    bench.host.fail(Failing("ENOSPC"))
    assert bench.host.allocate(bench.part(bench.host, "tmpfs"), "0", MIB) == "ENOSPC"
    assert bench.host.allocate(bench.part(bench.host, "dram", "other"), "0", MIB) is None


# the page cache


@pytest.mark.parametrize("size, lies", [(4096, {OLD, NEW}), (MIB, {OLD, NEW, TORN})])
def test_a_failed_fsync_clears_the_dirty_bit_and_the_next_one_returns_0(size: int, lies: set[int]) -> None:
    bench = Bench()
    part = bench.part(bench.nvme, CACHED)
    bench.durable(bench.nvme, part, "0", OLD, size)
    bench.finish(bench.nvme.write(part, "0", NEW, size, into=CACHED))
    bench.nvme.fail(Failing("EIO", 1))
    assert failure(bench, bench.host.fsync(bench.nvme, part, "0")) == ("EIO", "sync")
    assert bench.holds(part) == {NEW}, "the page is there, and counts as clean"
    assert after_power_loss(bench, part) == lies
    for _ in range(2):
        assert failure(bench, bench.nvme.sync(part, "0", CACHED)) is None
        bench.run(10 * PS)
        assert bench.holds(part) == {NEW}
        assert after_power_loss(bench, part) == lies, "nothing was written"
        assert set(bench.would_find(part, "0", bench.takes("kernel_crash", ["node0/host"]))) == lies
    assert bench.would_find(part, "0", bench.takes("process_crash", ["node0/host"])) == {NEW}
    bench.finish(bench.nvme.write(part, "0", NEW, size, sync="flush", into=CACHED))
    assert after_power_loss(bench, part) == {NEW}


def test_a_write_with_an_fsync_says_that_the_sync_failed() -> None:
    bench = Bench()
    part = bench.part(bench.nvme, CACHED)
    bench.nvme.fail(Failing("EIO", 1))
    assert failure(bench, bench.nvme.write(part, "0", NEW, MIB, sync="flush", into=CACHED)) == ("EIO", "sync")
    assert failure(bench, bench.nvme.sync(part, "0", CACHED)) is None
    assert after_power_loss(bench, part) == {NOTHING, TORN, NEW}


def test_an_error_of_the_kernels_own_writeback_is_told_once() -> None:
    bench = Bench(host={"writeback_after": "5s"})
    part = bench.part(bench.nvme, CACHED)
    bench.finish(bench.nvme.write(part, "0", NEW, MIB, into=CACHED))
    bench.nvme.fail(Failing("EIO", 1))
    bench.run(10 * PS)
    assert bench.records("failed")
    assert [failure(bench, bench.nvme.sync(part, "0", CACHED)) for _ in range(3)] == [("EIO", "sync"), None, None]
    assert bench.holds(part) == {NEW}
    assert after_power_loss(bench, part) == {NOTHING, TORN, NEW}


def test_pages_written_anew_after_an_error_are_dirty_again_and_owe_no_error() -> None:
    bench = Bench(host={"writeback_after": "5s"})
    part = bench.part(bench.nvme, CACHED)
    bench.finish(bench.nvme.write(part, "0", OLD, MIB, into=CACHED))
    bench.nvme.fail(Failing("EIO", 1))
    bench.run(10 * PS)
    bench.finish(bench.nvme.write(part, "0", NEW, MIB, into=CACHED))
    assert [failure(bench, bench.nvme.sync(part, "0", CACHED)) for _ in range(2)] == [None, None]
    assert after_power_loss(bench, part) == {NEW}


def test_an_fsync_that_waits_for_writeback_under_way_is_told() -> None:
    bench = Bench(host={"writeback_after": "5s"})
    part = bench.part(bench.nvme, CACHED)
    bench.finish(bench.nvme.write(part, "0", NEW, 64 * MIB, into=CACHED))
    bench.run(5 * PS + 50 * US - int(bench.env.now) % PS)
    sync = bench.nvme.sync(part, "0", CACHED)
    bench.nvme.fail(Failing("EIO", 1))
    assert failure(bench, sync) == ("EIO", "sync")
    assert failure(bench, bench.nvme.sync(part, "0", CACHED)) is None, "and it is told once"


# what protocols make of it


def errors(way: str, **more: Any) -> dict[str, Any]:
    return {"on_error": way, "retry_after": "500ms", "retries": 2, **more}


def run(protocol: Mapping[str, Any], *faults: Any, **rest: Any) -> Trace:
    rest.setdefault("horizon", "60s")
    trace = simulate(builders.machine(faults=faults, protocol=protocol, **rest))
    assert well_formed(trace).value is Value.HOLDS, well_formed(trace)
    return trace


def rows(trace: Trace, *events: str) -> list[Record]:
    return [row for row in trace if row.event in events]


def epochs(trace: Trace, event: str) -> list[int]:
    return [row.epoch or 0 for row in rows(trace, event)]


PROTOCOLS: list[dict[str, Any]] = [
    {"kind": "in_place"},
    {"kind": "in_place", "replace": "truncate"},
    {"kind": "in_place", "replace": "rename"},
    {"kind": "manifest"},
    {"kind": "manifest", "publish": "at_snapshot"},
    {"kind": "manifest", "manifest": {"replace": "truncate"}},
]


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
@pytest.mark.parametrize("way, saves", [("abandon", 1), ("retry", 3), ("rewrite", 3)])
@pytest.mark.parametrize("mode", ["sync", "async"])
def test_a_save_that_fails_is_tried_so_often_and_then_abandoned(
    protocol: dict[str, Any], way: str, saves: int, mode: str
) -> None:
    bad = builders.fault("io_error", ["node0/nvme"], at="19.9s", restore_after="9s")
    trace = run({**protocol, **errors(way)}, bad, gpus=1, workload={"mode": mode})
    shard = [row for row in rows(trace, "save_failed") if row.part == "shard0"]
    assert [row.epoch for row in shard] == [2] * saves
    assert [str(row.detail) for row in shard] == [f"EIO: {way}"] * (saves - 1) + ["EIO: abandon"]
    assert all(later.time_ps - row.time_ps >= 0.5 * PS for row, later in itertools.pairwise(shard))
    assert epochs(trace, "checkpoint_begun") == [1, 2, 3, 4, 5], "training and its schedule go on"
    assert epochs(trace, "checkpoint_abandoned") == [2]
    assert epochs(trace, "epoch_committed") == [1, 3, 4, 5]
    result = evaluate([trace])
    assert result["checkpoints"]["abandoned"] == 1
    assert result["failures"]["EIO"] >= saves
    assert result["checkpoints"]["failed_saves"] == len(rows(trace, "save_failed"))


@pytest.mark.parametrize("protocol", PROTOCOLS, ids=str)
@pytest.mark.parametrize("way", ["retry", "rewrite"])
def test_a_save_that_is_tried_again_in_time_counts(protocol: dict[str, Any], way: str) -> None:
    bad = builders.fault("io_error", ["node0/nvme"], at="19.9s", operations=2)
    trace = run({**protocol, **errors(way)}, bad, gpus=1)
    assert epochs(trace, "epoch_committed") == [1, 2, 3, 4, 5]
    assert epochs(trace, "save_failed") == [2, 2]
    assert not rows(trace, "checkpoint_abandoned")


@pytest.mark.parametrize("kind", ["in_place", "manifest"])
def test_a_writer_that_publishes_anyway_promises_what_is_not_there(kind: str) -> None:
    bad = builders.fault("io_error", ["node0/nvme"], at="19.9s", operations=2)  # both shards of checkpoint 2
    trace = run({"kind": kind, **errors("publish_anyway")}, bad)
    assert epochs(trace, "epoch_committed") == [1, 2, 3, 4, 5]
    assert epochs(trace, "shard_saved").count(2) == 2
    assert evaluate([trace])["recovered"]["unsafe_share"] > 0.15


@pytest.mark.parametrize("start", ["random_phase", "poisson"])
@pytest.mark.parametrize("protocol", PROTOCOLS[:4], ids=str)
def test_ranks_that_wait_for_nobody_go_on_after_a_failure(protocol: dict[str, Any], start: str) -> None:
    bad = builders.fault("io_error", ["node0/nvme"], every="9s", operations=1)
    trace = run({**protocol, **errors("abandon")}, bad, workload={"start": start, "interval": "5s"}, horizon="100s")
    assert rows(trace, "checkpoint_abandoned")
    assert len(rows(trace, "epoch_committed")) > 4
    assert rows(trace, "shard_saved")[-1].time_ps > 85 * PS


@pytest.mark.parametrize(
    "way, into, committed, sure",
    [
        ("retry", CACHED, True, False),  # acknowledged and not there
        ("rewrite", CACHED, True, True),
        ("abandon", CACHED, False, True),
        ("publish_anyway", CACHED, True, False),
        ("retry", "media", True, True),
    ],
)
def test_a_failed_fsync_that_is_retried_acknowledges_what_is_not_written(
    way: str, into: str, committed: bool, sure: bool
) -> None:
    bad = builders.fault("io_error", ["node0/nvme"], at="19.9s", operations=1)
    trace = run({"kind": "manifest", **errors(way)}, bad, into=into)
    assert (2 in epochs(trace, "epoch_committed")) == committed
    assert (persisted_before_committed(trace).value is Value.HOLDS) == sure
    result = evaluate([trace])
    assert (result["recovered"]["unsafe_share"] == 0) == sure
    if not sure:
        assert result["recovered"]["outcomes"]["lost_committed"] == pytest.approx(0.2, abs=0.05)


@pytest.mark.parametrize(
    "bad",
    [
        builders.fault("io_error", ["node0/nvme"], at="20.15s", operations=1),  # one rank of several, under way
        builders.fault("no_space", ["node0/nvme"], at="19s", operations=1),  # at once: copies begin a little later
    ],
)
def test_an_abandoned_checkpoint_leaves_no_file_behind(bad: Any) -> None:
    made = builders.machine(2, replica=1, faults=[bad], horizon="200s", nvme={**builders.NVME, "space": "20GB"})
    trace = simulate(made)
    held: dict[tuple[str | None, str | None, str | None], str | None] = {}
    for row in rows(trace, "begun", "advanced", "completed", "persisted", "erased", "torn"):
        held[row.part, row.slot, row.place] = row.may
    assert {slot for (part, slot, _), may in held.items() if may is not None and part != "manifest"} == {"18", "19"}
    assert epochs(trace, "checkpoint_abandoned") == [2]


@pytest.mark.parametrize("keep, fits", [(2, True), (3, False)])
def test_a_drive_that_is_too_small_for_what_is_kept_fills_up(keep: int, fits: bool) -> None:
    """Two shards of 1 GB; a new checkpoint needs room beside those that are kept."""
    trace = run({"kind": "manifest", "keep": keep}, nvme={**builders.NVME, "space": "7GB"}, horizon="200s")
    committed, failed = epochs(trace, "epoch_committed"), rows(trace, "failed")
    if fits:
        assert len(committed) == 19
        assert not failed
    else:
        assert committed == [1, 2, 3]
        assert {row.detail for row in failed} == {"ENOSPC"}
        assert epochs(trace, "checkpoint_abandoned")[:3] == [4, 5, 6]
        result = evaluate([trace])
        assert result["recovered"]["unsafe_share"] == 0
        assert result["recovered"]["lost_work_s"]["max"] > 100


@pytest.mark.parametrize(
    "way, errno, outcome",
    [
        ("rename", "ENOSPC", None),
        ("remove_then_rename", "ENOSPC", None),  # the new file comes first
        ("in_place", "ENOSPC", None),  # a block that is there
        ("truncate", "ENOSPC", "lost_committed"),
        ("rename", "EIO", None),
        ("remove_then_rename", "EIO", None),
        ("in_place", "EIO", None),
        ("truncate", "EIO", "lost_committed"),
    ],
)
def test_a_record_that_cannot_be_written_leaves_what_its_way_of_replacing_left(
    way: str, errno: str, outcome: str | None
) -> None:
    """Without room: from while the shard is written, which has its own.  EIO: from just after it is saved."""
    protocol = {"kind": "manifest", "manifest": {"replace": way}}
    saved = next(row.time_ps for row in rows(run(protocol, gpus=1), "shard_saved") if row.epoch == 2)
    kind, at = {"ENOSPC": ("no_space", saved - PS // 10), "EIO": ("io_error", saved + US)}[errno]
    bad = replace(builders.fault(kind, ["node0/nvme"], at="20s", restore_after="15s"), at_ps=at)
    trace = run(protocol, bad, gpus=1)
    assert epochs(trace, "shard_saved").count(2) == 1
    if way == "in_place" and errno == "ENOSPC":
        assert 2 in epochs(trace, "epoch_committed")
        return
    abandoned = rows(trace, "checkpoint_abandoned")[0]
    assert abandoned.detail == errno
    new = {row.place: row.may for row in trace if row.slot == "new" and row.time_ps <= abandoned.time_ps}
    assert not any(new.values()), "a new file that gets no name is deleted"
    found = evaluate([trace])["recovered"]
    if outcome is None:
        assert found["unsafe_share"] < 1e-5, "but for the gaps that this way always has"
    else:
        assert found["outcomes"][outcome] > 0.3, "until the next record is written"


def test_shards_emptied_before_they_are_written_are_gone_when_there_is_no_room() -> None:
    full = builders.fault("no_space", ["node0/nvme"], at="15s", restore_after="20s")
    outcomes = {}
    for replaced in ("overwrite", "truncate", "rename"):
        trace = run({"kind": "in_place", "replace": replaced}, full, horizon="60s")
        outcomes[replaced] = evaluate([trace])["recovered"]["outcomes"].get("silent_corrupt", 0)
    assert outcomes["rename"] == 0
    assert outcomes["truncate"] > outcomes["overwrite"] + 0.3


# uploads


@pytest.mark.parametrize("at", ["19.9s", "20.2s"])  # before the copies begin, and while they are under way
def test_one_ranks_upload_fails_and_its_local_save_does_not(at: str) -> None:
    bad = builders.fault("upload_failed", ["node0/host"], at=at, operations=1)
    made = builders.machine(2, replica=1, faults=[bad], horizon="60s")
    trace = simulate(made)
    assert [(row.subject, row.detail) for row in rows(trace, "failed")] == [("node0/host", "ETIMEDOUT")]
    failed = rows(trace, "save_failed")
    assert [row.peer for row in failed] == ["node1/nvme"]
    assert epochs(trace, "checkpoint_abandoned") == [2]
    assert epochs(trace, "epoch_committed") == [1, 3, 4, 5]


def test_an_upload_that_is_tried_again_counts() -> None:
    bad = builders.fault("upload_failed", ["node0/host"], at="20.2s", operations=1)
    made = builders.machine(2, replica=1, faults=[bad], horizon="60s", protocol={"kind": "manifest", **errors("retry")})
    assert epochs(simulate(made), "epoch_committed") == [1, 2, 3, 4, 5]


# times


def test_random_faults_strike_again_and_their_operations_end_them() -> None:
    bad = builders.fault("io_error", ["node0/nvme"], mtbf="10s", operations=1)
    trace = run({"kind": "manifest", **errors("rewrite")}, bad, horizon="600s")
    struck, failed = len(rows(trace, "struck")), len(rows(trace, "failed"))
    assert abs(struck - 60) < 4 * 60**0.5
    assert 0 < struck - failed < 10
    full = builders.fault("no_space", ["node0/nvme"], mtbf="20s", restore_after="5s")
    struck = len(rows(run({"kind": "manifest"}, full, horizon="2500s"), "struck"))
    assert abs(struck - 100) < 4 * 100**0.5


def test_the_summary_tells_of_failures_and_of_what_was_given_up() -> None:
    bad = builders.fault("io_error", ["node0/nvme"], at="19.9s", operations=1)
    told = text(evaluate([run({"kind": "manifest"}, bad)]))
    assert "1 with EIO; 1 saves failed" in told
    assert "Abandoned checkpoints     1" in told
    assert "Failed operations" not in text(evaluate([run({"kind": "manifest"})]))


# judged as everything else


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("way", ["retry", "rewrite", "abandon", "publish_anyway"])
@pytest.mark.parametrize("into", ["media", CACHED])
def test_the_sweep_equals_a_naive_replay(way: str, into: str, seed: int) -> None:
    bad = [
        builders.fault("io_error", ["node0/nvme"], name="bad", mtbf="4s", operations=2),
        builders.fault("no_space", ["node0/nvme"], name="full", mtbf="30s", restore_after="4s"),
    ]
    protocol = {"kind": "manifest", "manifest": {"replace": "truncate"}, **errors(way)}
    made = builders.machine(faults=bad, protocol=protocol, into=into, seed=seed, horizon="40s", size="100MB",
                            workload={"interval": "4s"})  # fmt: skip
    trace = simulate(made)
    assert rows(trace, "failed")
    strike = trace.header.crashes[0].strikes[0]
    start, end = trace.header.warm_up_ps, trace.header.horizon_ps
    tally = sweep_strike(Timeline(trace), strike, AllInstants(start, end))
    naive = crash_oracle.shares(trace, strike, start, end)
    for name in ("raw", "worst", "best"):
        assert {str(key): weight for key, weight in getattr(tally, name).items()} == naive[name]


# the judge


def test_a_save_that_failed_without_an_operation_that_did_is_no_trace() -> None:
    bad = builders.fault("io_error", ["node0/nvme"], at="19.9s", operations=1)
    trace = run({"kind": "manifest"}, bad)
    assert rows(trace, "save_failed")
    good = trace.rows
    trace.rows = [row for row in good if row[1] != "failed"]
    assert well_formed(trace).value is Value.VIOLATED
    for change in ({"detail": "ENOSPC"}, {"part": "manifest"}):
        trace.rows = [tuple(Record._make(row)._replace(**change)) if row[1] == "failed" else row for row in good]
        assert well_formed(trace).value is Value.VIOLATED
    trace.rows = good
    assert well_formed(trace).value is Value.HOLDS

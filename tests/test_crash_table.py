"""What survives which crash: the table, written out here and nowhere else, against what devices make of it."""

from __future__ import annotations

from typing import Any

import pytest
from bench import MIB, NODE0, US, Bench

from hwsim.contents import NOTHING, TORN
from hwsim.domain import Failing, IOFailed

LOST, OLD, NEW = NOTHING, 1, 2
STRIKES = {
    "PC": ("process_crash", ("node0/host",)),
    "KP": ("kernel_crash", ("node0/host",)),
    "CR": ("controller_reset", ("node0/nvme",)),
    "GR": ("gpu_reset", ("node0/gpu",)),
    "NR": ("nic_reset", ("node0/nic",)),
    "PL": ("power_loss", NODE0),
    "DP": ("power_loss", ("node0/nvme",)),
}
SURE, GONE, EITHER, ANY = {NEW}, {LOST}, {OLD, NEW}, {OLD, NEW, TORN}
# state -> (figures of the drive, bytes, sync, time after the start; None: when done, table)
TABLE: dict[str, tuple[dict[str, Any], int, str, int | None, dict[str, set[int]]]] = {
    "fetched, up to AWUPF": ({}, 4096, "none", 5 * US, {"KP": EITHER, "CR": EITHER, "PL": EITHER, "DP": EITHER}),
    "fetched, above AWUPF": ({}, 8192, "none", 5 * US, {"KP": ANY, "CR": ANY, "PL": ANY, "DP": ANY}),
    "completed, no PLP": ({}, 4096, "none", None, {"PL": EITHER, "DP": EITHER}),
    "completed, large, no PLP": ({}, MIB, "none", None, {"PL": ANY, "DP": ANY}),
    "completed, PLP": ({"plp": True}, MIB, "none", None, {}),
    "completed, no cache": ({"vwc": False}, MIB, "none", None, {}),
    "completed, FUA": ({}, MIB, "fua", None, {}),
    "flushed": ({}, MIB, "flush", None, {}),
    "flushed by a liar": ({"flush_honoured": False}, MIB, "flush", None, {"PL": ANY, "DP": ANY}),
}


@pytest.mark.parametrize("crash", STRIKES)
@pytest.mark.parametrize("state", TABLE)
def test_what_a_drive_keeps(state: str, crash: str) -> None:
    nvme, size, sync, after, row = TABLE[state]
    kind, targets = STRIKES[crash]
    wanted = row.get(crash, SURE)
    drawn = set()
    for seed in range(20 if len(wanted) > 1 else 1):
        bench = Bench(nvme, seed=seed)
        part = bench.part(bench.nvme)
        bench.durable(bench.nvme, part, "0", OLD, size)
        write = bench.nvme.write(part, "0", NEW, size, sync=sync)
        bench.finish(write) if after is None else bench.run(after)
        takes = bench.takes(kind, targets)
        assert bench.would_find(part, "0", takes) == wanted
        bench.world.holdings.strike(takes, bench.world.stream("strikes"))
        drawn |= bench.would_find(part, "0", frozenset())
    assert drawn == wanted


@pytest.mark.parametrize("crash", STRIKES)
@pytest.mark.parametrize("into", ["user", "dram", "tmpfs"])
def test_what_memory_keeps(into: str, crash: str) -> None:
    bench = Bench()
    part = bench.part(bench.host, into)
    bench.finish(bench.host.write(part, "0", NEW, MIB, into=into))
    gone = {"KP", "PL"} | ({"PC"} if into == "user" else set())
    assert bench.would_find(part, "0", bench.takes(*STRIKES[crash])) == (GONE if crash in gone else SURE)


@pytest.mark.parametrize("crash", STRIKES)
@pytest.mark.parametrize("syncs", [1, 2])
def test_what_a_failed_fsync_keeps(syncs: int, crash: str) -> None:
    """The pages count as clean, so a second fsync, which returns 0, changes nothing in the row."""
    bench = Bench()
    part = bench.part(bench.nvme, "page_cache")
    bench.durable(bench.nvme, part, "0", OLD, MIB)
    bench.nvme.fail(Failing("EIO", 1))
    write = bench.nvme.write(part, "0", NEW, MIB, sync="flush", into="page_cache")
    with pytest.raises(IOFailed):
        bench.finish(write)
    for _ in range(syncs - 1):
        bench.finish(bench.nvme.sync(part, "0", "page_cache"))
    wanted = ANY if crash in ("KP", "PL", "DP") else SURE
    assert bench.would_find(part, "0", bench.takes(*STRIKES[crash])) == wanted

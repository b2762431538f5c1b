"""What survives which crash, for files in a page cache, for names and for memory: the table, here and nowhere else."""

from __future__ import annotations

from typing import Any

import pytest
from bench import NODE0, NODE1, PS, US, Bench

from hwsim.contents import NOTHING, TORN

OLD, NEW = 1, 2
PAGE, FILE = 4096, 1 << 20
SURE, EITHER, ANY = {NEW}, {OLD, NEW}, {OLD, NEW, TORN}
STRIKES = {
    "PC": ("process_crash", ("node0/host",)),
    "KP": ("kernel_crash", ("node0/host",)),
    "CR": ("controller_reset", ("node0/nvme",)),
    "GR": ("gpu_reset", ("node0/gpu",)),
    "NR": ("nic_reset", ("node0/nic",)),
    "PL": ("power_loss", NODE0),
    "DP": ("power_loss", ("node0/nvme",)),
}
HONEST: dict[str, Any] = {}
PLP = {"plp": True}
LIAR = {"flush_honoured": False}
AGES = {"writeback_after": "30s"}


def all_of(contents: set[int], *crashes: str) -> dict[str, set[int]]:
    return dict.fromkeys(crashes, contents)


# state -> (the drive, bytes, fsync, seconds that pass, the table)
FILES: dict[str, tuple[dict[str, Any], int, bool, int, dict[str, set[int]]]] = {
    "written": (HONEST, FILE, False, 0, all_of(ANY, "KP", "PL", "DP")),
    "written, PLP": (PLP, FILE, False, 0, all_of(ANY, "KP", "PL", "DP")),
    "written, one page": (HONEST, PAGE, False, 0, all_of(EITHER, "KP", "PL", "DP")),
    "written back by age": (HONEST, FILE, False, 30, all_of(ANY, "PL", "DP")),
    "written back by age, PLP": (PLP, FILE, False, 30, {}),
    "written back and drained": (HONEST, FILE, False, 90, {}),
    "fsync returned": (HONEST, FILE, True, 0, {}),
    "fsync returned, PLP": (PLP, FILE, True, 0, {}),
    "fsync returned, a liar": (LIAR, FILE, True, 0, all_of(ANY, "PL", "DP")),
    "fsync returned, a liar, one page": (LIAR, PAGE, True, 0, all_of(EITHER, "PL", "DP")),
}


def file_bench(nvme: dict[str, Any], size: int, seed: int, **host: Any) -> tuple[Bench, str]:
    """A drive that holds OLD for sure, and the page cache over it."""
    bench = Bench(nvme, host, seed=seed)
    part = bench.part(bench.nvme, "page_cache")
    bench.finish(bench.nvme.write(part, "0", OLD, size, sync="flush", into="page_cache"))
    bench.run(10 * PS)
    return bench, part


def judge(bench: Bench, part: str, crash: str, wanted: set[int]) -> set[int]:
    """Check what would be left, then strike and say what is."""
    takes = bench.takes(*STRIKES[crash])
    assert bench.would_find(part, "0", takes) == wanted
    bench.strike(*STRIKES[crash])
    return set(bench.holds(part))


@pytest.mark.parametrize("crash", STRIKES)
@pytest.mark.parametrize("state", FILES)
def test_what_is_left_of_a_cached_file(state: str, crash: str) -> None:
    nvme, size, fsync, seconds, row = FILES[state]
    wanted = row.get(crash, SURE)
    drawn = set()
    for seed in range(24 if len(wanted) > 1 else 1):
        bench, part = file_bench(nvme, size, seed, **AGES)
        bench.finish(bench.nvme.write(part, "0", NEW, size, into="page_cache", sync="flush" if fsync else "none"))
        if seconds:
            bench.run(seconds * PS + 1000 * US)
        drawn |= judge(bench, part, crash, wanted)
    assert drawn == wanted


@pytest.mark.parametrize("crash", STRIKES)
@pytest.mark.parametrize("synced", ["", "fsync", "journal"])
@pytest.mark.parametrize("old", [OLD, NOTHING], ids=["rename", "create"])
def test_what_is_left_of_a_name(old: int, synced: str, crash: str) -> None:
    """A name without fsync of its directory is the old one or the new one until the journal has committed."""
    wanted = {old, NEW} if crash in ("KP", "PL", "DP") and not synced else SURE
    drawn = set()
    for seed in range(24 if len(wanted) > 1 else 1):
        bench = Bench(PLP, {"journal_commit": "5s"}, seed=seed)
        part = bench.part(bench.nvme, "page_cache")
        if old != NOTHING:
            bench.host.rename(bench.nvme, part, "0", old)
            bench.finish(bench.host.fsync(bench.nvme, part, "0"))
        bench.host.rename(bench.nvme, part, "0", NEW)
        if synced == "fsync":
            bench.finish(bench.host.fsync(bench.nvme, part, "0"))
        elif synced == "journal":
            bench.run(6 * PS)
        drawn |= judge(bench, part, crash, wanted)
    assert drawn == wanted


# memory: of a process, of the kernel's or another process's, of a peer


@pytest.mark.parametrize("crash", STRIKES)
@pytest.mark.parametrize("into", ["user", "dram", "tmpfs"])
def test_what_is_left_of_memory_while_it_is_written(into: str, crash: str) -> None:
    bench = Bench()
    part = bench.part(bench.host, into)
    bench.host.write(part, "0", NEW, 1 << 30, into=into)
    bench.run(US)
    gone = crash in ("KP", "PL") or (crash == "PC" and into == "user")
    assert bench.would_find(part, "0", bench.takes(*STRIKES[crash])) == ({NOTHING} if gone else {TORN})


@pytest.mark.parametrize("crash", [*STRIKES, "DG"])
def test_what_is_left_of_a_gpu_s_memory(crash: str) -> None:
    """It belongs to a context of the process."""
    bench = Bench()
    part = bench.part(bench.gpu, "hbm")
    bench.gpu.hold(part, "0", NEW, FILE)
    kind, targets = STRIKES.get(crash, ("power_loss", ("node0/gpu",)))
    gone = crash in ("PC", "KP", "GR", "PL", "DG")
    assert bench.would_find(part, "0", bench.takes(kind, targets)) == ({NOTHING} if gone else SURE)


@pytest.mark.parametrize("crash", STRIKES)
def test_a_replica_in_a_peer_s_memory_fares_as_the_peer_does(crash: str) -> None:
    bench = Bench()
    part = bench.part(bench.peer, "dram")
    bench.finish(bench.peer.write(part, "0", NEW, FILE, into="dram"))
    kind, targets = STRIKES[crash]
    assert bench.would_find(part, "0", bench.takes(kind, targets)) == SURE
    peers = tuple(name.replace("node0", "node1") for name in targets if name.replace("node0", "node1") in NODE1)
    together = bench.takes(kind, (*targets, *peers)) if peers else frozenset()
    assert bench.would_find(part, "0", together) == ({NOTHING} if crash in ("KP", "PL") else SURE)

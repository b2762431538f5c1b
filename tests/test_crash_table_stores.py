"""What shared stores keep of a client's write under which crash: the table, against what the devices make of it."""

from __future__ import annotations

from typing import Any

import pytest
from bench import MIB, MS, NODE0, Bench

from hwsim.contents import NOTHING, TORN

OLD, NEW = 1, 2
CLIENT = {
    "PC": ("process_crash", ("node0/host",)),
    "KP": ("kernel_crash", ("node0/host",)),
    "CR": ("controller_reset", ("node0/nvme",)),
    "GR": ("gpu_reset", ("node0/gpu",)),
    "NR": ("nic_reset", ("node0/nic",)),
    "PL": ("power_loss", NODE0),
}
FS = {**CLIENT, "SP": ("power_loss", ("fs",)), "ALL": ("power_loss", (*NODE0, "fs"))}  # SP: the servers alone
S3 = {**CLIENT, "SP": ("power_loss", ("s3",)), "ALL": ("power_loss", (*NODE0, "s3"))}

SURE, STILL, EITHER, ANY = {NEW}, {OLD}, {OLD, NEW}, {OLD, NEW, TORN}
HALF, SOME = {TORN}, {OLD, TORN}
UNSTABLE = {"server_cache": True, "destage": "500ms"}
ASYNC = {**UNSTABLE, "commit_honoured": False}
# state -> (figures, into, bytes, sync, time after the start; None: when done, the sets that are not SURE)
FS_TABLE: dict[str, tuple[dict[str, Any], str, int, str, int | None, dict[str, set[int]]]] = {
    "write() done, no fsync": ({}, "page_cache", MIB, "none", None, {"KP": ANY, "PL": ANY, "ALL": ANY}),
    "write() of a page done, no fsync": ({}, "page_cache", 4096, "none", None,
                                         {"KP": EITHER, "PL": EITHER, "ALL": EITHER}),
    "write() under way": ({}, "page_cache", 1024 * MIB, "none", MS,
                          dict.fromkeys(FS, HALF) | dict.fromkeys(("KP", "PL", "ALL"), SOME)),
    "fsync returned": ({}, "page_cache", MIB, "flush", None, {}),
    "fsync returned, server cache": (UNSTABLE, "page_cache", MIB, "flush", None, {}),
    "fsync returned, async export": (ASYNC, "page_cache", MIB, "flush", None, {"SP": ANY, "ALL": ANY}),
    "COMMIT under way": (UNSTABLE, "page_cache", MIB, "flush", 40 * MS, {"ALL": ANY}),
    "direct, acknowledged": ({}, "media", MIB, "completion", None, {}),
    "direct, acknowledged, server cache": (UNSTABLE, "media", MIB, "completion", None, {"SP": ANY, "ALL": ANY}),
    "direct, under way": ({}, "media", 1024 * MIB, "completion", MS, dict.fromkeys(FS, SOME)),
    "direct page, under way": ({}, "media", 4096, "completion", 1000, dict.fromkeys(FS, EITHER)),
}  # fmt: skip
S3_TABLE: dict[str, tuple[int, int | None, dict[str, set[int]]]] = {
    "PUT, bytes under way": (MIB, MS // 10, dict.fromkeys(S3, STILL)),
    "PUT, all received, no reply": (MIB, 5 * MS, dict.fromkeys(S3, EITHER)),
    "PUT acknowledged": (MIB, None, {}),
    "multipart, before Complete": (64 * MIB, 70 * MS, dict.fromkeys(S3, STILL)),
    "multipart, Complete received, no reply": (64 * MIB, 80 * MS, dict.fromkeys(S3, EITHER)),
    "multipart completed": (64 * MIB, None, {}),
}


def fs_bench(figures: dict[str, Any], seed: int) -> tuple[Bench, Any]:
    bench = Bench(seed=seed)
    fs = bench.outside("fs", "parallel_fs", write="1GB/s", read="1GB/s", latency="1ms", commit="100ms", **figures)
    return bench, fs.mount(bench.host, (), 0)


def s3_bench(seed: int) -> tuple[Bench, Any]:
    bench = Bench(seed=seed)
    figures = {"write": "1GB/s", "read": "1GB/s", "request": "10ms", "part_size": "8MiB"}
    return bench, bench.outside("s3", "object_store", **figures).mount(bench.host, (), 0)


def drawn(bench: Bench, crash: tuple[str, tuple[str, ...]], wanted: set[int]) -> set[int]:
    """What a reader would find after that crash, which must be *wanted*; then let it strike and read."""
    takes = bench.takes(*crash)
    assert bench.would_find("shard", "0", takes) == wanted
    bench.strike(*crash)
    return set(bench.would_find("shard", "0", frozenset()))


@pytest.mark.parametrize("crash", FS)
@pytest.mark.parametrize("state", FS_TABLE)
def test_what_a_shared_file_system_keeps(state: str, crash: str) -> None:
    figures, into, size, sync, after, row = FS_TABLE[state]
    wanted = row.get(crash, SURE)
    found: set[int] = set()
    for seed in range(20 if len(wanted) > 1 else 1):
        bench, mount = fs_bench(figures, seed)
        part = bench.part(mount, into)
        bench.finish(mount.write(part, "0", OLD, size, sync="flush", into=into))
        bench.run(10**12)
        write = mount.write(part, "0", NEW, size, sync=sync, into=into)
        bench.finish(write) if after is None else bench.run(after)
        found |= drawn(bench, FS[crash], wanted)
    # the power of everything, or of whoever was sending, leaves nothing in doubt
    assert found == wanted or (crash not in ("KP", "PL", "ALL") and found <= wanted)


@pytest.mark.parametrize("crash", S3)
@pytest.mark.parametrize("state", S3_TABLE)
def test_what_an_object_store_keeps(state: str, crash: str) -> None:
    size, after, row = S3_TABLE[state]
    wanted = row.get(crash, SURE)
    found: set[int] = set()
    for seed in range(20 if len(wanted) > 1 else 1):
        bench, client = s3_bench(seed)
        part = bench.part(client)
        bench.finish(client.write(part, "0", OLD, size))
        write = client.write(part, "0", NEW, size)
        bench.finish(write) if after is None else bench.run(after)
        found |= drawn(bench, S3[crash], wanted)
        assert TORN not in found
        assert NOTHING not in found
    assert found == wanted

"""Worked examples from the documents that the drive is modelled on, taken literally."""

from __future__ import annotations

from typing import Any

import pytest
from bench import NODE0, US, Bench

from hwsim.contents import NOTHING, TORN

BLOCK = 512
OLD, NEW = 1, 2
# Of NVMe 1.4, section 6.4.2.1: AWUPF is 1 KiB (two blocks of 512 B), AWUN 2 KiB, and there are no boundaries.
EXAMPLE: dict[str, Any] = {"lba": "512B", "awun": 4, "awupf": 2}


def test_a_flush_covers_what_completed_before_it_was_sent_in_the_order_of_completion() -> None:
    """W1,W2,W3,C3,C2,Wflush,C1,Cflush leaves the log W3,W2,flush,W1.

    Source: Linux, Documentation/admin-guide/device-mapper/log-writes.rst, log ordering semantics.
    """
    bench = Bench(nvme={"write": "4GB/s", "flush": "1ms", "command": "4MiB"})
    sizes = {"W1": 1 << 21, "W2": 1 << 20, "W3": 1 << 19}  # sent together, they complete in the order of their sizes
    for name, size in sizes.items():
        bench.part(bench.nvme, name=name)
        bench.durable(bench.nvme, name, "0", OLD, size)
    story: list[str] = []
    writes = {name: bench.nvme.write(name, "0", NEW, size, sync="completion") for name, size in sizes.items()}
    story += writes
    for name, write in writes.items():
        write.done.callbacks.append(lambda _, name=name: story.append(name.replace("W", "C")))
    bench.finish(writes["W2"])
    flush = bench.nvme.flush()
    story.append("Wflush")
    flush.done.callbacks.append(lambda _: story.append("Cflush"))
    before = len(bench.rows)
    bench.finish(flush)
    assert story == ["W1", "W2", "W3", "C3", "C2", "Wflush", "C1", "Cflush"]
    takes = bench.takes("power_loss", NODE0)
    assert bench.would_find("W3", "0", takes) == bench.would_find("W2", "0", takes) == {NEW}
    assert bench.would_find("W1", "0", takes) == {OLD, NEW, TORN}, "it completed after the Flush was sent"

    bench.run(20 * 10**12)  # by now the cache has drained by itself
    log = []
    for time_ps, event, _, place, part, _, epoch, *_ in bench.rows[before:]:
        if event == "persisted" and epoch == NEW and place == bench.nvme.media:
            log.append((time_ps, part))
    flushed = max(time_ps for time_ps, part in log if part in ("W2", "W3"))
    told = [part for time_ps, part in log if time_ps <= flushed]
    told += ["flush", *(part for time_ps, part in log if time_ps > flushed)]
    assert told == ["W3", "W2", "flush", "W1"]


@pytest.mark.parametrize(
    "first, second, valid",
    [("old", "old", True), ("new", "new", True), ("new", "old", False), ("old", "new", False)],
)
def test_a_power_failure_within_awupf_leaves_all_old_or_all_new(first: str, second: str, valid: bool) -> None:
    """Command A writes LBAs 0 and 1, and the power fails while LBA 1 is written: which of the four results may be read.

    Source: NVM Express 1.4, section 6.4.2.1, the example and the figures of its initial state and its valid results.
    """
    left = interrupted(2 * BLOCK)
    result = {"old": OLD, "new": NEW}[first] if first == second else TORN
    assert (result in left) is valid


@pytest.mark.parametrize(
    "blocks, figures, mixes",
    [
        (1, {}, False),
        (2, {}, False),
        (3, {}, True),  # above AWUPF, though within AWUN, which says nothing about power failures
        (4, {}, True),
        (2, {"awupf": 1}, True),
        (2, {"awupf": 2, "boundary": 2}, False),
    ],
)
def test_above_awupf_nothing_is_guaranteed(blocks: int, figures: dict[str, Any], mixes: bool) -> None:
    """Source: NVM Express 1.4, section 6.4.2 (AWUPF) and 6.4.1 (AWUN has no bearing on power failures)."""
    assert interrupted(blocks * BLOCK, **figures) == ({OLD, NEW, TORN} if mixes else {OLD, NEW})


def interrupted(size_bytes: int, **figures: Any) -> frozenset[int]:
    """What a reader may find where the power fails in the middle of a write over what is old."""
    bench = Bench(nvme={**EXAMPLE, **figures})
    bench.part(bench.nvme)
    bench.durable(bench.nvme, "shard", "0", OLD, size_bytes)
    bench.nvme.write("shard", "0", NEW, size_bytes, sync="fua")
    bench.run(5 * US)
    left = bench.would_find("shard", "0", bench.takes("power_loss", NODE0))
    assert NOTHING not in left
    return left

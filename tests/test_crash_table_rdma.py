"""What survives which crash, for bytes that RDMA brought into another node: the table, here and nowhere else.

Sets are exact: what a crash at that moment may leave, all of it and nothing else.  Each is asked for twice: read off
the places, and drawn by strikes that really fall.
"""

from __future__ import annotations

from typing import Any

import pytest
from bench import MIB
from rdma_bench import MS, NEW, OLD, SIZE, RdmaBench

from hwsim.contents import NOTHING, TORN

SURE, GONE, PART, MIX, ANY = {NEW}, {NOTHING}, {TORN}, {OLD, TORN}, {OLD, NEW, TORN}
NODE1 = ("node1/host", "node1/nvme", "node1/gpu", "node1/nic")
# of the holder; DP takes the power of its NIC alone, DG of its GPU alone
STRIKES = {
    "PC": ("process_crash", ("node1/host",)),
    "KP": ("kernel_crash", ("node1/host",)),
    "CR": ("controller_reset", ("node1/nvme",)),
    "GR": ("gpu_reset", ("node1/gpu",)),
    "NR": ("nic_reset", ("node1/nic",)),
    "PL": ("power_loss", NODE1),
    "DP": ("power_loss", ("node1/nic",)),
    "DG": ("power_loss", ("node1/gpu",)),
}
INITIATORS = {
    "PC": ("process_crash", ("node0/host",)),
    "KP": ("kernel_crash", ("node0/host",)),
    "CR": ("controller_reset", ("node0/nvme",)),
    "GR": ("gpu_reset", ("node0/gpu",)),
    "NR": ("nic_reset", ("node0/nic",)),
    "PL": ("power_loss", ("node0/host", "node0/gpu", "node0/nvme", "node0/nic")),
    "DP": ("power_loss", ("node0/nic",)),
}
# When: nothing there yet, on its way, in the NIC's buffer (completed), placed (in the cache, or memory), and resting.
MOMENTS = ("posted", "arriving", "in the NIC", "placed", "resting")


def at(moment: str, into: str, seed: int = 1, size: int = SIZE, **host: Any) -> RdmaBench:
    """A bench that holds OLD, in which a write of NEW has come so far."""
    bench = RdmaBench(into, host=host, seed=seed)
    bench.settled(size=size)
    write = bench.send(size=size)
    match moment:
        case "posted":
            bench.run(1)
        case "arriving":
            bench.run(4 * MS)
        case _:
            bench.finish(write)
    if moment in ("placed", "resting"):
        bench.run(11 * MS)
    if moment == "resting":
        bench.run(1000 * MS)
    return bench


def pmem_row(domain: str, ddio: bool, moment: str) -> dict[str, set[int]]:
    """Crashes that leave something else than what a reader finds without them."""
    wsp = domain == "wsp"
    if moment == "arriving":
        kept = PART if wsp else MIX
        return {"KP": MIX, "NR": MIX, "PL": kept, "DP": kept}
    if moment == "in the NIC":
        kept = SURE if wsp else ANY
        return {"KP": ANY, "NR": ANY, "PL": kept, "DP": kept}
    if moment == "placed" and ddio:
        return {"KP": ANY} | ({"PL": ANY} if domain == "dmp" else {})
    return {}


WITHOUT = {"posted": {OLD}, "arriving": PART, "in the NIC": SURE, "placed": SURE, "resting": SURE}
TABLE: dict[tuple[str, str, str], dict[str, set[int]]] = {}
for domain in ("dmp", "mhp", "wsp"):
    for ddio in (True, False):
        for moment in MOMENTS:
            TABLE["pmem", f"{domain}, ddio {'on' if ddio else 'off'}", moment] = pmem_row(domain, ddio, moment)
for moment, reset in {"posted": {OLD}, "arriving": MIX, "in the NIC": ANY, "placed": SURE, "resting": SURE}.items():
    TABLE["dram", "", moment] = {"KP": GONE, "PL": GONE, "NR": reset, "DP": reset}
    TABLE["hbm", "", moment] = {"PC": GONE, "KP": GONE, "GR": GONE, "PL": GONE, "DG": GONE, "NR": reset, "DP": reset}


def figures(kind: str) -> dict[str, Any]:
    if not kind:
        return {}
    return {"persistence_domain": kind[:3], "ddio": kind.endswith("on")}


@pytest.mark.parametrize("crash", STRIKES)
@pytest.mark.parametrize("row", TABLE, ids=lambda row: "-".join(filter(None, row)))
def test_what_the_holder_keeps(row: tuple[str, str, str], crash: str) -> None:
    into, kind, moment = row
    kind_of, targets = STRIKES[crash]
    wanted = TABLE[row].get(crash, WITHOUT[moment])
    drawn = set()
    for seed in range(24 if len(wanted) > 1 else 1):
        bench = at(moment, into, seed, **figures(kind))
        takes = bench.takes(kind_of, targets)
        assert bench.would_find("shard", "0", takes) == wanted
        bench.strike(kind_of, targets)
        drawn |= bench.holds("shard")
    assert drawn == wanted


@pytest.mark.parametrize("crash", INITIATORS)
@pytest.mark.parametrize("into", ["dram", "pmem", "hbm"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_a_crash_of_the_initiator_takes_nothing_that_has_come(moment: str, into: str, crash: str) -> None:
    """What was received goes on by itself, a part of it stays one, and what was never sent changes nothing."""
    bench = RdmaBench(into)
    bench.settled()
    write = bench.send()
    bench.run({"posted": 1, "arriving": 4 * MS, "in the NIC": 9 * MS, "placed": 20 * MS, "resting": 1000 * MS}[moment])
    takes = bench.takes(*INITIATORS[crash])
    assert bench.would_find("shard", "0", takes) == WITHOUT[moment]
    bench.strike(*INITIATORS[crash])
    if crash in ("PC", "KP", "NR", "PL", "DP"):
        write.cancel()  # what the job does with whatever used a dead device
    bench.run(1000 * MS)
    assert bench.holds("shard") == (SURE if crash in ("CR", "GR") else WITHOUT[moment])


@pytest.mark.parametrize("domain", ["dmp", "mhp"])
def test_a_part_that_stayed_comes_down_as_the_whole_would_have(domain: str) -> None:
    bench = at("arriving", "pmem", persistence_domain=domain)
    (write,) = bench.memory.under_way
    bench.strike(*INITIATORS["PC"])
    write.cancel()
    bench.run(11 * MS)
    left = bench.would_find("shard", "0", bench.takes(*STRIKES["PL"]))
    assert left == (MIX if domain == "dmp" else PART)  # in the cache, of which any line may have left
    bench.run(1000 * MS)
    assert bench.would_find("shard", "0", bench.takes(*STRIKES["PL"])) == PART
    assert not bench.memory.under_way


# queue pairs and registrations: (queue pair, initiator's registration, holder's registration) are there afterwards
AT_HOLDER = {
    "dram": {"KP": (False, True, False), "NR": (False, True, False), "PL": (False, True, False),
             "DP": (False, True, False)},
    "pmem": {"KP": (False, True, False), "NR": (False, True, False), "PL": (False, True, False),
             "DP": (False, True, False)},
    "hbm": dict.fromkeys(("PC", "KP", "GR", "NR", "PL", "DP", "DG"), (False, True, False)),
}


@pytest.mark.parametrize("crash", STRIKES)
@pytest.mark.parametrize("into", AT_HOLDER)
def test_queue_pairs_and_registrations_after_a_crash_of_the_holder(into: str, crash: str) -> None:
    bench = RdmaBench(into)
    write = bench.send()
    bench.run(4 * MS)
    bench.strike(*STRIKES[crash])
    left = (bench.queue_pair.connected, bench.own.valid, bench.memory.region.valid)
    assert left == AT_HOLDER[into].get(crash, (True, True, True))
    assert write.done.triggered is (not left[0])


@pytest.mark.parametrize("crash", INITIATORS)
def test_queue_pairs_and_registrations_after_a_crash_of_the_initiator(crash: str) -> None:
    bench = RdmaBench("dram")
    bench.strike(*INITIATORS[crash])
    left = (bench.queue_pair.connected, bench.own.valid, bench.memory.region.valid)
    assert left == ((True, True, True) if crash in ("CR", "GR") else (False, False, True))


# a CXL device: its buffers are safe while a global persistent flush has the energy it needs


@pytest.mark.parametrize("gpf", ["ok", "failed"])
@pytest.mark.parametrize("crash", STRIKES)
def test_what_a_cxl_memory_keeps(crash: str, gpf: str) -> None:
    cxl = {"size": "1TB", "bandwidth": "8GB/s", "cxl": {"drain": "50ms", "gpf": gpf}}
    wanted = ANY if crash == "PL" and gpf == "failed" else SURE
    drawn = set()
    for seed in range(24 if len(wanted) > 1 else 1):
        bench = RdmaBench("pmem", host={"pmem": cxl, "ddio": False}, seed=seed)
        bench.settled()
        bench.finish(bench.send(sync="ack"))  # all that software can ask for
        assert bench.at("node1/host:pmem.buffer") == {NEW}
        assert bench.would_find("shard", "0", bench.takes(*STRIKES[crash])) == wanted
        bench.strike(*STRIKES[crash])
        drawn |= bench.holds("shard")
        dirty = bench.records("dirty_shutdown")
        assert [row.detail for row in dirty] == (["1"] if wanted == ANY else [])
        assert bench.peer.dirty_shutdowns == len(dirty)
    assert drawn == wanted


def test_a_drained_cxl_memory_counts_no_dirty_shutdown() -> None:
    cxl = {"size": "1TB", "bandwidth": "8GB/s", "cxl": {"drain": "50ms", "gpf": "failed"}}
    bench = RdmaBench("pmem", host={"pmem": cxl, "ddio": False})
    bench.settled()
    bench.strike(*STRIKES["PL"])
    assert not bench.records("dirty_shutdown")
    assert bench.holds("shard") == {OLD}


# visibility is not durability: what an answer of the process there adds to a GPU's memory


@pytest.mark.parametrize("sync", ["completion", "read_after_write", "ack"])
def test_a_flush_to_a_scope_keeps_a_nic_reset_from_mattering_and_nothing_else(sync: str) -> None:
    bench = RdmaBench("hbm")
    bench.settled()
    bench.finish(bench.send(sync=sync))
    for crash, wanted in {"NR": ANY if sync == "completion" else SURE, "GR": GONE, "PC": GONE, "PL": GONE}.items():
        assert bench.would_find("shard", "0", bench.takes(*STRIKES[crash])) == wanted


# what is settled stays


@pytest.mark.parametrize("kind", ["dmp, ddio on", "mhp, ddio on", "wsp, ddio on", "dmp, ddio off"])
@pytest.mark.parametrize("crash", ["KP", "NR", "PL", "DP"])
@pytest.mark.parametrize("moment", MOMENTS)
def test_what_a_crash_left_is_what_every_later_one_leaves(moment: str, crash: str, kind: str) -> None:
    for seed in range(6):
        bench = at(moment, "pmem", seed, **figures(kind))
        bench.strike(*STRIKES[crash])
        left = bench.holds("shard")
        bench.run(1000 * MS)
        assert bench.holds("shard") == left
        for later in STRIKES.values():
            assert bench.would_find("shard", "0", bench.takes(*later)) == left


def test_one_packet_is_all_there_or_not_until_it_leaves_the_nic() -> None:
    bench = RdmaBench("pmem", host={"ddio": False})
    bench.settled(size=4096)
    write = bench.send(size=4096)
    bench.run(1)
    assert bench.would_find("shard", "0", bench.takes(*STRIKES["NR"])) == {OLD}
    bench.finish(write)
    assert bench.would_find("shard", "0", bench.takes(*STRIKES["NR"])) == ANY


@pytest.mark.parametrize("size", [4096, MIB])
def test_a_new_slot_is_nothing_before_it_is_there(size: int) -> None:
    bench = RdmaBench("dram")
    write = bench.send(size=size)
    bench.run(1)
    assert bench.holds("shard") == {NOTHING}
    bench.finish(write)
    assert bench.would_find("shard", "0", bench.takes(*STRIKES["NR"])) == {NOTHING, NEW, TORN}

"""A shared file system: what its clients share, what they hold until it is durable, and what room there is."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from bench import MIB, MS, NODE0, Bench
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hwsim.contents import NOTHING, TORN
from hwsim.simulation import Simulation, simulate
from hwsim.topology import load

TOPOLOGIES = Path(__file__).parent.parent / "topologies"
FIGURES: dict[str, Any] = {"write": "1GB/s", "read": "1GB/s", "latency": "1ms", "commit": "100ms"}


def mounted(seed: int = 1, **figures: Any) -> tuple[Bench, Any]:
    bench = Bench(seed=seed)
    fs = bench.outside("fs", "parallel_fs", **{**FIGURES, **figures})
    return bench, fs.mount(bench.host, (), MS)


# what its clients share


def water_level(aggregate: float, caps: list[float], flows: list[int]) -> list[float]:
    """Max-min rates by bisection on the water level: each client's flows get the level, or share the client's cap."""
    low, high = 0.0, aggregate
    for _ in range(200):
        level = (low + high) / 2
        total = sum(min(cap, level * count) for cap, count in zip(caps, flows, strict=True))
        low, high = (level, high) if total < aggregate else (low, level)
    return [min(cap, low * count) for cap, count in zip(caps, flows, strict=True)]


@pytest.mark.parametrize("aggregate", [20, 60, 100, 1000])  # GB/s: the servers bind all, some, few, none
def test_64_clients_share_the_servers_max_min_fairly(tmp_path: Any, aggregate: int) -> None:
    nics = [1 + (7 * index) % 64 / 10 for index in range(64)]  # GB/s, no two alike
    counts = [2 if index % 3 == 0 else 1 for index in range(64)]
    data = {
        "version": 1, "name": "many", "horizon": "100s",
        "nodes": {
            name: {"count": len(which), "devices": {
                "gpu": {"kind": "gpu", "hbm": "80GB", "d2h": "100GB/s", "h2d": "100GB/s", "reset_time": "1s",
                        "count": counts[which[0]]},
                "nic": {"kind": "nic", "rate": "800Gb/s"}}}
            for name, which in (("a", [i for i in range(64) if not i % 3]), ("b", [i for i in range(64) if i % 3]))
        },
        "devices": {"sw": {"kind": "switch"},
                    "fs": {"kind": "parallel_fs", **FIGURES, "write": f"{aggregate}GB/s", "client_write": "5GB/s"}},
        "links": [{"from": ["*/nic"], "to": "sw", "kind": "ethernet", "rate": "800Gb/s", "delay": "500ns"},
                  {"from": "fs", "to": "sw", "kind": "ethernet", "rate": "100000Gb/s", "delay": "500ns"}],
        "workload": {"kind": "checkpoint", "interval": "50s", "first": "1s",
                     "shards": [{"from": "*/gpu*", "size": "50GB", "to": "fs", "into": "media"}]},
        "protocol": {"kind": "manifest"},
    }  # fmt: skip
    names = {}
    for index in range(64):
        group = "b" if index % 3 else "a"
        names[index] = f"{group}{sum(1 for other in range(index) if bool(other % 3) == bool(index % 3))}"
    data["override"] = {f"{names[index]}/nic": {"rate": f"{round(nics[index] * 8000)}Mb/s"} for index in range(64)}
    path = tmp_path / "many.yaml"
    path.write_text(yaml.safe_dump(data))
    simulation = Simulation(load(path))
    simulation.workload.start()
    simulation.env.run(until=2 * 10**12)
    wanted = water_level(aggregate, [min(nic, 5) for nic in nics], counts)
    for index, rate in enumerate(wanted):
        moving = simulation.world.domains[f"{names[index]}/nic"].out.rate_bps / 8e9  # type: ignore[attr-defined]
        assert moving == pytest.approx(rate, rel=1e-3)


def test_throttled_servers_go_slower_and_recover_their_speed() -> None:
    bench, mount = mounted()
    part = bench.part(mount)
    mount.fs.throttle(0.25)
    before = bench.env.now
    bench.finish(mount.write(part, "1", 1, 250 * 10**6, into="media", sync="completion"))
    assert bench.env.now - before == pytest.approx(10**12, rel=0.01)
    mount.fs.throttle(4)
    before = bench.env.now
    bench.finish(mount.write(part, "2", 2, 250 * 10**6, into="media", sync="completion"))
    assert bench.env.now - before == pytest.approx(0.25 * 10**12, rel=0.02)


# what clients hold


def test_dirty_pages_outlive_the_servers_and_are_sent_again() -> None:
    bench, mount = mounted()
    part = bench.part(mount, "page_cache")
    write = mount.write(part, "0", 1, 512 * MIB, sync="flush", into="page_cache")
    bench.run(100 * MS)
    bench.strike("power_loss", ("fs",))
    bench.run(10**12)
    assert not write.done.triggered
    assert bench.would_find(part, "0", bench.takes("power_loss", NODE0)) <= {NOTHING, TORN, 1}
    bench.restore("fs")
    bench.finish(write)
    assert bench.would_find(part, "0", bench.takes("power_loss", (*NODE0, "fs"))) == {1}


def test_what_a_client_wrote_and_forgot_is_gone_with_the_servers_cache() -> None:
    bench, mount = mounted(server_cache=True, commit_honoured=False)
    part = bench.part(mount, "page_cache")
    bench.finish(mount.write(part, "0", 1, MIB, sync="flush", into="page_cache"))
    bench.strike("power_loss", ("fs",))
    bench.restore("fs")
    bench.run(10**12)
    assert bench.would_find(part, "0", frozenset()) in ({NOTHING}, {TORN}, {1})
    assert not mount.fs.file(part, "0").pending


def test_a_dead_client_sends_nothing_again() -> None:
    bench, mount = mounted(server_cache=True)
    part = bench.part(mount, "page_cache")
    mount.write(part, "0", 1, MIB, sync="flush", into="page_cache")
    bench.run(50 * MS)  # the servers have it, COMMIT is under way
    bench.strike("kernel_crash", ("node0/host",))
    assert bench.would_find(part, "0", frozenset()) == {1}
    bench.strike("power_loss", ("fs",))
    bench.restore("fs")
    bench.run(10**12)
    assert len(bench.would_find(part, "0", frozenset())) == 1  # whatever the servers had destaged
    assert not mount.fs.file(part, "0").pending


def test_a_kernel_writes_back_by_itself() -> None:
    bench = Bench(host={"writeback_after": "5s"})
    mount = bench.outside("fs", "parallel_fs", **FIGURES).mount(bench.host, (), 0)
    part = bench.part(mount, "page_cache")
    bench.finish(mount.write(part, "0", 1, MIB, into="page_cache"))
    everything = bench.takes("power_loss", (*NODE0, "fs"))
    assert bench.would_find(part, "0", everything) == {NOTHING, TORN, 1}
    bench.run(6 * 10**12)
    assert bench.would_find(part, "0", everything) == {1}


def test_newer_pages_replace_older_ones() -> None:
    bench, mount = mounted()
    part = bench.part(mount, "page_cache")
    bench.finish(mount.write(part, "0", 1, MIB, into="page_cache"))
    bench.finish(mount.write(part, "0", 2, MIB, into="page_cache"))
    kernel = bench.takes("kernel_crash", ("node0/host",))
    assert bench.would_find(part, "0", kernel) == {NOTHING, TORN, 1, 2}
    bench.finish(bench.host.fsync(mount, part, "0"))
    assert bench.would_find(part, "0", kernel) == {2}


def test_a_commit_covers_what_the_servers_had_before_it() -> None:
    bench, mount = mounted(server_cache=True)
    for name in ("early", "late"):
        bench.part(mount, name=name)
    bench.finish(mount.write("early", "0", 1, MIB, sync="completion", into="media"))
    commit = mount.flush()
    bench.finish(mount.write("late", "0", 1, MIB, sync="completion", into="media"))
    bench.finish(commit)
    servers = bench.takes("power_loss", ("fs",))
    assert bench.would_find("early", "0", servers) == {1}
    assert bench.would_find("late", "0", servers) == {NOTHING, TORN, 1}


def test_a_commit_waits_for_servers_that_are_down_and_saves_nothing_that_went_with_them() -> None:
    bench, mount = mounted(server_cache=True)
    part = bench.part(mount)
    bench.finish(mount.write(part, "0", 1, MIB, sync="completion", into="media"))
    commit = mount.flush()
    bench.strike("power_loss", ("fs",))
    bench.run(10**12)
    assert not commit.done.triggered
    left = bench.holds(part)
    bench.restore("fs")
    bench.finish(commit)
    assert bench.holds(part) == left


def test_a_writer_that_is_killed_leaves_what_was_sent() -> None:
    bench, mount = mounted()
    part = bench.part(mount)
    write = mount.write(part, "0", 1, 512 * MIB, sync="completion", into="media")
    bench.run(100 * MS)
    write.cancel()
    bench.run(10**12)
    assert bench.holds(part) == {TORN}


def test_a_deleted_file_stays_deleted() -> None:
    bench, mount = mounted()
    part = bench.part(mount)
    write = mount.write(part, "0", 1, 512 * MIB, sync="completion", into="media")
    bench.run(100 * MS)
    bench.world.holdings.erase("fs", part, "0")
    bench.finish(write)
    assert bench.holds(part) == {NOTHING}


def test_an_error_of_the_servers_leaves_old_new_or_a_mix() -> None:
    from hwsim.domain import Failing, IOFailed

    bench, mount = mounted()
    part = bench.part(mount)
    bench.finish(mount.write(part, "0", 1, MIB, sync="completion", into="media"))
    mount.fs.fail(Failing("EIO", 1))
    write = mount.write(part, "0", 2, MIB, sync="completion", into="media")
    with pytest.raises(IOFailed, match="EIO"):
        bench.finish(write)
    assert bench.holds(part) == {1, 2, TORN}
    bench.finish(mount.write(part, "0", 3, MIB, sync="completion", into="media"))
    assert bench.holds(part) == {3}


OPS = st.one_of(
    st.tuples(st.just("write"), st.sampled_from([4096, MIB, 100 * MIB]), st.sampled_from(["none", "flush"])),
    st.tuples(st.just("run"), st.integers(1, 400), st.just("")),
    st.tuples(st.just("cancel"), st.just(0), st.just("")),
    st.tuples(st.just("crash"), st.just(0), st.sampled_from(["client", "servers", "both"])),
)


@settings(max_examples=250, deadline=None)
@given(
    st.lists(OPS, min_size=1, max_size=14),
    st.sampled_from(["page_cache", "media"]),
    st.sampled_from([{}, {"server_cache": True}, {"server_cache": True, "destage": "200ms"}]),
)
def test_what_was_synced_is_there_or_something_newer(ops: list[Any], into: str, figures: dict[str, Any]) -> None:
    """Whatever happens, a reader finds a member of what the places said, and never less than what was synced."""
    bench = Bench(host={"writeback_after": "300ms"})
    mount = bench.outside("fs", "parallel_fs", **{**FIGURES, **figures}).mount(bench.host, (), MS)
    part = bench.part(mount, into)
    kinds = {"client": ("kernel_crash", ("node0/host",)), "servers": ("power_loss", ("fs",)),
             "both": ("power_loss", (*NODE0, "fs"))}  # fmt: skip
    epoch, synced, current, killed = 0, 0, None, False
    began: list[tuple[int, int]] = []

    def look(found: Any) -> None:
        newer = {e for e, _ in began if e > synced}
        torn = {TORN} if any(size > 4096 for e, size in began if e > synced) else set()
        assert found <= newer | torn | ({synced} if synced else {NOTHING}), (found, synced, began)

    for op, number, how in ops:
        if op == "write" and (current is None or current.done.triggered):
            epoch += 1
            began.append((epoch, number))
            current = mount.write(part, "0", epoch, number, sync=how, into=into)

            def returned(event: Any, epoch: int = epoch, how: str = how) -> None:
                nonlocal synced
                event.defused = True
                if event._ok and how == "flush":
                    synced = epoch

            current.done.callbacks.append(returned)
        elif op == "run":
            bench.run(number * MS)
        elif op == "cancel" and current is not None:
            killed = killed or not current.done.triggered
            current.cancel()
        elif op == "crash":
            kind, targets = kinds[how]
            takes = bench.takes(kind, targets)
            said = bench.would_find(part, "0", takes)
            look(said)
            bench.strike(kind, targets)
            if current is not None and not current.done.triggered:
                current.cancel()  # the job is torn down
                killed = True
            assert bench.would_find(part, "0", frozenset()) <= said | {TORN}
            bench.restore(*targets)
        for kind, targets in kinds.values():
            look(bench.would_find(part, "0", bench.takes(kind, targets)))
    bench.run(5 * 10**12)
    look(bench.holds(part))
    assert len(bench.holds(part)) == 1
    # in time everything is on the media, but for pages of a write() that was cut short
    if not killed and (into == "page_cache" or figures.get("destage") or not figures):
        assert len(bench.would_find(part, "0", bench.takes(*kinds["both"]))) == 1
        assert not mount.fs.file(part, "0").pending


# room


def test_a_quota_is_what_the_job_holds_and_a_delete_gives_it_back() -> None:
    bench, mount = mounted(quota="10MB", space="100MB")
    part = bench.part(mount)
    fs = mount.fs
    assert fs.allocate(part, "1", 6 * 10**6) is None
    write = mount.write(part, "1", 1, 6 * 10**6, sync="completion", into="media")
    assert fs.allocate(part, "2", 6 * 10**6) == "EDQUOT"  # from the begin of the write on
    bench.finish(write)
    assert fs.allocate(part, "1", 6 * 10**6) is None  # the same file again takes nothing more
    assert fs.allocate(part, "2", 6 * 10**6) == "EDQUOT"
    bench.world.holdings.erase("fs", part, "1")
    assert fs.allocate(part, "2", 6 * 10**6) is None
    assert mounted(space="10MB")[1].fs.allocate("x", "1", 11 * 10**6) == "ENOSPC"


@pytest.mark.parametrize("prune, committed", [("after_commit", 2), ("before_commit", 5)])
def test_two_kept_checkpoints_need_the_room_of_three_unless_the_oldest_goes_first(
    tmp_path: Any, prune: str, committed: int
) -> None:
    data = yaml.safe_load((TOPOLOGIES / "shared-fs-lag.yaml").read_text())
    for key in ("cases", "expect", "faults"):
        del data[key]
    data["horizon"] = "1600s"
    data["devices"]["fs"]["quota"] = "120GB"  # one checkpoint is 52.4 GB
    data["protocol"].update(prune=prune, recover_by="coordinator")
    path = tmp_path / "t.yaml"
    path.write_text(yaml.safe_dump(data))
    trace = simulate(load(path))
    refused = {row.detail for row in trace if row.event == "failed"}
    assert sum(row.event == "epoch_committed" for row in trace) == committed
    assert refused == (set() if committed == 5 else {"EDQUOT"})


def test_figures_of_a_cache_without_one_are_a_mistake() -> None:
    for figures in ({"destage": "1s"}, {"commit_honoured": False}):
        with pytest.raises(ValidationError, match="server_cache"):
            mounted(**figures)

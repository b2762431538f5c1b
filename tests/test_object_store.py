"""An object store: what a request leaves behind, conditions, parts that nobody completes."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml
from bench import MIB, MS, NODE0, Bench
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.contents import NOTHING
from hwsim.domain import IOFailed
from hwsim.simulation import simulate
from hwsim.topology import load

TOPOLOGIES = Path(__file__).parent.parent / "topologies"
FIGURES: dict[str, Any] = {"write": "1GB/s", "read": "1GB/s", "request": "10ms"}


def client(bench: Bench | None = None, **figures: Any) -> tuple[Bench, Any]:
    bench = bench or Bench()
    return bench, bench.outside("s3", "object_store", **{**FIGURES, **figures}).mount(bench.host, (), MS)


def orphans(bench: Bench) -> list[tuple[str | None, int | None]]:
    return [(row.part, row.size_bytes) for row in bench.records("orphaned")]


def test_a_put_that_the_store_has_is_carried_out_without_its_client() -> None:
    bench, s3 = client()
    part = bench.part(s3)
    write = s3.write(part, "0", 1, MIB)
    bench.run(5 * MS)
    assert bench.holds(part) == {NOTHING, 1}
    write.cancel()
    bench.run(20 * MS)
    assert bench.holds(part) == {1}


def test_a_put_that_is_cut_off_leaves_nothing() -> None:
    bench, s3 = client()
    part = bench.part(s3)
    write = s3.write(part, "0", 1, 512 * MIB)
    bench.run(100 * MS)
    write.cancel()
    bench.run(10**12)
    assert bench.holds(part) == {NOTHING}
    assert orphans(bench) == []


@pytest.mark.parametrize("after_ms, parts", [(2, 0), (20, 2), (70, 8), (75, 8)])
def test_a_client_that_dies_before_complete_leaves_whole_parts_that_nobody_sees(after_ms: int, parts: int) -> None:
    bench, s3 = client(part_size="8MiB")
    part = bench.part(s3)
    write = s3.write(part, "0", 1, 64 * MIB)
    bench.run(after_ms * MS)
    write.cancel()
    bench.run(10**12)
    assert bench.holds(part) == {NOTHING}
    assert orphans(bench) == ([(part, parts * 8 * MIB)] if parts else [])
    assert s3.store.orphaned_bytes == parts * 8 * MIB


def test_a_completed_upload_leaves_no_parts() -> None:
    bench, s3 = client(part_size="8MiB")
    part = bench.part(s3)
    bench.finish(s3.write(part, "0", 1, 63 * MIB))
    assert bench.holds(part) == {1}
    assert orphans(bench) == []


def test_the_last_of_two_puts_wins_and_neither_is_mixed() -> None:
    bench, s3 = client()
    part = bench.part(s3)
    first, second = s3.write(part, "0", 1, MIB), s3.write(part, "0", 2, MIB + 1)
    bench.run(8 * MS)
    assert bench.holds(part) == {NOTHING, 1, 2}
    bench.finish(first)
    bench.finish(second)
    bench.run(10**12)
    assert bench.holds(part) == {2}
    assert bench.at(s3.store.accepted, part) is None


def test_if_match_lets_nobody_replace_what_he_has_not_seen() -> None:
    bench, s3 = client()
    part = bench.part(s3)
    seen = NOTHING
    mine = s3.compare_and_swap(lambda: seen)
    bench.finish(mine.write(part, "0", 1, 4096))  # If-None-Match: *
    assert bench.holds(part) == {1}
    late = mine.write(part, "0", 2, 4096)
    with pytest.raises(IOFailed, match="412"):
        bench.finish(late)
    assert bench.holds(part) == {1}
    seen = 1
    bench.finish(mine.write(part, "0", 3, 4096))
    assert bench.holds(part) == {3}


def test_of_two_conditional_puts_at_once_one_wins() -> None:
    bench, s3 = client()
    part = bench.part(s3)
    mine = s3.compare_and_swap(lambda: NOTHING)
    first, second = mine.write(part, "0", 1, 4096), mine.write(part, "0", 2, 4096)
    bench.finish(first)
    with pytest.raises(IOFailed, match="412"):
        bench.finish(second)
    assert bench.holds(part) == {1}


def test_conditions_know_what_a_crash_of_the_store_decided() -> None:
    for seed in range(6):
        bench, s3 = client(Bench(seed=seed))
        part = bench.part(s3)
        s3.write(part, "0", 1, MIB)
        bench.run(5 * MS)
        bench.strike("power_loss", ("s3",))
        bench.restore("s3")
        (there,) = bench.holds(part)
        bench.finish(s3.compare_and_swap(lambda there=there: there).write(part, "0", 2, 4096))
        assert bench.holds(part) == {2}


def test_a_delete_outruns_a_request_under_way() -> None:
    bench, s3 = client()
    part = bench.part(s3)
    s3.write(part, "0", 1, MIB)
    bench.run(5 * MS)
    bench.world.holdings.erase("s3", part, "0")
    bench.run(10**12)
    assert bench.holds(part) == {NOTHING}


def test_what_was_acknowledged_survives_everything() -> None:
    bench, s3 = client()
    part = bench.part(s3)
    bench.finish(s3.write(part, "0", 1, MIB))
    bench.strike("power_loss", (*NODE0, "s3"))
    assert bench.holds(part) == {1}


def test_one_client_is_bound_by_its_own_pipe_and_all_by_the_store() -> None:
    bench, one = client(client_write="400MB/s")
    two = one.store.mount(bench.peer, (), 0)
    three = one.store.mount(bench.far, (), 0)  # any device serves for a name here
    for index, store in enumerate((one, two, three)):
        bench.part(store, name=f"shard{index}")
    writes = [store.write(f"shard{i}", "0", 1, 10**9) for i, store in enumerate((one, two, three))]
    bench.run(MS)
    assert [round(write._flow.rate_bps / 8e6) for write in writes] == [333, 333, 333]
    writes[0].cancel()
    bench.run(MS)
    assert [round(write._flow.rate_bps / 8e6) for write in writes[1:]] == [400, 400]


@settings(max_examples=300, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.tuples(st.just("put"), st.sampled_from([4096, 20 * MIB])),
            st.tuples(st.just("run"), st.integers(1, 40)),
            st.tuples(st.just("cancel"), st.just(0)),
            st.tuples(st.sampled_from(["client", "store", "both"]), st.just(0)),
        ),
        min_size=1,
        max_size=14,
    )
)
def test_an_object_is_whole_and_never_older_than_what_was_acknowledged(ops: list[tuple[str, int]]) -> None:
    bench, s3 = client(part_size="8MiB")
    part = bench.part(s3)
    kinds = {"client": ("power_loss", NODE0), "store": ("power_loss", ("s3",)), "both": ("power_loss", (*NODE0, "s3"))}
    epoch, acknowledged = 0, NOTHING
    under_way: list[Any] = []

    def returned(event: Any, epoch: int) -> None:
        nonlocal acknowledged
        event.defused = True
        if event._ok:
            acknowledged = epoch

    def look(found: Any) -> None:
        assert found <= {acknowledged} | {e for e in range(1, epoch + 1) if e > acknowledged}

    for op, number in ops:
        if op == "put" and not any(not put.done.triggered for put in under_way):
            epoch += 1
            put = s3.write(part, "0", epoch, number)
            put.done.callbacks.append(partial(returned, epoch=epoch))
            under_way.append(put)
        elif op == "run":
            bench.run(number * MS)
        elif op == "cancel":
            for put in under_way:
                put.cancel()
        elif op in kinds:
            said = bench.would_find(part, "0", bench.takes(*kinds[op]))
            look(said)
            bench.strike(*kinds[op])
            for put in under_way:
                put.cancel()
            assert bench.would_find(part, "0", frozenset()) <= said
            bench.restore(*kinds[op][1])
        for kind in kinds.values():
            look(bench.would_find(part, "0", bench.takes(*kind)))
    bench.run(10**12)
    look(bench.holds(part))
    assert len(bench.holds(part)) == 1
    assert bench.holds(part) == {s3.version(part, "0")}


@pytest.mark.parametrize("replace", ["in_place", "if_match"])
def test_a_failed_upload_leaves_parts_and_costs_that_checkpoint_only(tmp_path: Path, replace: str) -> None:
    data = yaml.safe_load((TOPOLOGIES / "object-store-multipart.yaml").read_text())
    for key in ("cases", "expect", "what_if"):
        del data[key]
    data["horizon"] = "1600s"
    fault = {"name": "gave-up", "at": "905s", "kind": "upload_failed", "target": "node2/host", "operations": 1}
    data["faults"] = [fault]
    data["protocol"]["manifest"] = {"replace": replace}
    path = tmp_path / "t.yaml"
    path.write_text(yaml.safe_dump(data))
    trace = simulate(load(path))
    assert [row.epoch for row in trace if row.event == "epoch_committed"] == [1, 2, 4, 5]
    ((shard, size),) = [(row.part, row.size_bytes) for row in trace if row.event == "orphaned"]
    assert shard == "shard2"
    assert size is not None
    assert 0 < size < 13.1e9
    assert size % (8 * MIB) == 0


def test_a_conditional_put_that_comes_late_costs_one_checkpoint(tmp_path: Path) -> None:
    """A coordinator dies while the store has its PUT; its successor restores the older checkpoint, and puts too."""
    data = yaml.safe_load((TOPOLOGIES / "object-store-multipart.yaml").read_text())
    for key in ("cases", "expect", "what_if", "faults"):
        del data[key]
    data["horizon"] = "1600s"
    data["devices"]["s3"]["request"] = "200ms"
    data["protocol"].update(keep=2, manifest={"replace": "if_match"})
    data["workload"]["restart"] = {"detect": "0s"}
    path = tmp_path / "t.yaml"
    path.write_text(yaml.safe_dump(data))
    published = next(row.time_ps for row in simulate(load(path)) if row.event == "epoch_committed" and row.epoch == 2)
    outcomes = set()
    for seed in range(8):
        fault = {"name": "oom", "at": f"{published // 10**9 - 100}ms", "kind": "process_crash", "target": "node0/host",
                 "restore_after": "1ms"}  # fmt: skip
        path.write_text(yaml.safe_dump({**data, "seed": seed, "faults": [fault]}))
        trace = simulate(load(path))
        (recovered,) = [row.epoch for row in trace if row.event == "recovered"]
        outcomes.add(recovered)
        later = [row.epoch for row in trace if row.event == "epoch_committed"]
        assert len(later) >= 4
    assert outcomes == {1, 2}

"""Traces, results and a topology written by hand, for the tests of what a person sees."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from hwsim.topology.spec import DeviceSpec, Expectation, Figure, Topology, WhatIfSpec
from hwsim.trace import CrashCase, Header, Part, Strike, Trace

S = 10**12

DRIVES = ("node0/nvme", "node1/nvme")


def header(*, per_drive: int = 2, horizon_s: int = 600, drives: tuple[str, ...] = DRIVES, **changes: Any) -> Header:
    """Drives of one node each, every one with *per_drive* shards; every second drive has a volatile cache."""
    parts = tuple(
        Part(f"shard{number}", number, 0, f"{drive.split('/')[0]}/gpu{rank}", drive,
             (f"{drive}:cache", f"{drive}:media"), 13_100_000_000)
        for number, (drive, rank) in enumerate((drive, rank) for drive in drives for rank in range(per_drive))
    )
    everything = tuple(f"{drive}:power" for drive in drives)
    places: dict[str, tuple[str, ...]] = {}
    for number, drive in enumerate(drives):
        places[f"{drive}:cache"] = (f"{drive}:media",) if number % 2 == 0 else (f"{drive}:media", f"{drive}:power")
        places[f"{drive}:media"] = (f"{drive}:media",)
    fields: dict[str, Any] = {
        "topology": "sample", "topology_sha256": "5a" * 32, "seed": 7, "repeat": 0, "horizon_ps": horizon_s * S,
        "warm_up_ps": 60 * S, "first_ps": 60 * S, "interval_ps": 60 * S, "participants": drives, "places": places,
        "parts": parts, "rule": "in_place", "rule_params": {},
        "crashes": (
            CrashCase("power_loss", (Strike("everything", everything),)),
            CrashCase("one-drive", tuple(Strike(drive, (f"{drive}:power",)) for drive in drives)),
        ),
        "failure_domains": {"rack": drives},
    }
    return Header(**{**fields, **changes})


def trace(*, crash: bool = True, **shape: Any) -> Trace:
    """Every minute each rank overwrites its shard: torn while it is written, then cached, then on the media."""
    made = Trace(header(**shape))
    rows: list[tuple[Any, ...]] = []

    def row(time_ps: int, event: str, subject: str, **fields: Any) -> None:
        values = dict.fromkeys(("place", "part", "slot", "epoch", "may", "size_bytes", "peer", "detail")) | fields
        rows.append((time_ps, event, subject, *values.values()))

    head = made.header
    crash_at, back_at = (5 * 60 + 7) * S, (5 * 60 + 40) * S
    begin = head.first_ps
    epoch = old = 0
    while begin < head.horizon_ps:
        epoch += 1
        fatal = crash and begin < crash_at < begin + 20 * S
        row(begin, "checkpoint_begun", "job", epoch=epoch)
        row(begin, "training_stalled", "job", epoch=epoch)
        row(begin + S, "training_resumed", "job", epoch=epoch)
        latest = 0
        for number, part in enumerate(head.parts):
            cache, media = part.stack
            key = {"part": part.name, "slot": "0", "epoch": epoch, "size_bytes": part.size_bytes}
            slow = 1 + head.participants.index(part.device) % 3
            start = begin + S + number * S // 10
            done, safe = start + 3 * slow * S, start + 3 * slow * S + 4 * S
            if fatal and done > crash_at:
                row(start, "begun", part.device, place=media, may=f"{old},torn" if old else "-,torn", **key)
                row(crash_at, "torn", part.device, place=media, may="torn", **key)
                continue
            row(start, "begun", part.device, place=media, may=f"{old},torn" if old else "-,torn", **key)
            row(start + (done - start) // 3, "advanced", part.device, place=media, may="torn", **key)
            row(done, "completed", part.device, place=cache, may=f"{epoch}", **key)
            if fatal and safe > crash_at:
                row(crash_at, "lost", part.device, place=cache, **key)
                continue
            row(safe, "persisted", part.device, place=media, may=f"{epoch}", **key)
            row(safe, "erased", part.device, place=cache, **key)
            row(safe, "shard_saved", part.source.split("/")[0], part=part.name, epoch=epoch, peer=part.device)
            latest = max(latest, safe)
        if fatal:
            row(crash_at, "struck", "outage", peer="rack", detail="power_loss")
            for drive in head.participants:
                row(crash_at, "stopped", drive, detail="power_loss")
            row(crash_at, "job_stopped", "job", detail="power_loss")
            for drive in head.participants:
                row(back_at, "restored", drive)
            row(back_at + S, "recovered", "job", epoch=old, detail="corrupt")
            row(back_at + 2 * S, "job_resumed", "job", epoch=old)
            begin = back_at + 62 * S
        else:
            message = {"epoch": epoch, "size_bytes": 64, "detail": "prepared"}
            row(latest + S // 100, "sent", "node1/host", peer="node0/host", **message)
            row(latest + S // 50, "delivered", "node0/host", peer="node1/host", **message)
            row(latest + S // 25, "epoch_committed", "job", epoch=epoch)
            old = epoch
            begin += 60 * S
    made.rows = sorted((r for r in rows if r[0] < head.horizon_ps), key=lambda r: r[0])  # type: ignore[misc]
    made.figures = {
        "bound_by": "node1/nvme write",
        "pipes": {
            "node0/nvme write": {"capacity_bps": 56 * 10**9, "carried_bytes": 2.4e11, "busy_s": 40.0, "bound_s": 40.0},
            "node1/nvme write": {"capacity_bps": 32 * 10**9, "carried_bytes": 2.4e11, "busy_s": 70.0, "bound_s": 140.0},
            "node0/gpu0 dma": {"capacity_bps": 440 * 10**9, "carried_bytes": 1.2e11, "busy_s": 2.0, "bound_s": 2.0},
            "unused": {"capacity_bps": 10**9, "carried_bytes": 0.0, "busy_s": 0.0, "bound_s": 0.0},
        },
    }
    return made


def result(of: Trace | None = None) -> dict[str, Any]:
    """The result of a trace: what the sweep finds, and the other sections by hand."""
    from hwsim.crash_sweep import sweep
    from hwsim.crash_timeline import Timeline

    of = of or trace()
    line = Timeline(of)
    default, *others = (sweep([line], case) for case in of.header.crashes)
    names = [case.name for case in of.header.crashes[1:]]
    return {
        "hwsim": {"version": "0.1.0", "topology_sha256": of.header.topology_sha256, "seed": of.header.seed},
        "topology": of.header.topology, "horizon_s": of.header.horizon_ps / S, "events": len(of), "wall_s": 0.125,
        "raw": default.total.raw_json(),
        "recovered": default.total.recovered_json(),
        "what_if": {
            name: {"raw": found.total.raw_json(), "recovered": found.total.recovered_json(), "worst": found.worst}
            for name, found in zip(names, others, strict=True)
        },
        "crashes": {
            "all": {"count": 1, "outcomes": {"silent_corrupt": 1}, "lost_work_s": {"mean": 67.0}},
            "outage": {"count": 1, "outcomes": {"silent_corrupt": 1}, "lost_work_s": {"mean": 67.0}},
        },
        "checkpoints": {
            "begun": 9, "committed": 8, "commit_latency_s": {"mean": 11.2, "p50": 11.2, "p99": 11.4},
            "stall_s": {"mean": 1.0}, "bound_by": "node1/nvme write",
        },
        "ettr": 0.87,
        "messages": {"sent": 8, "delivered": 8, "dropped": 0, "per_checkpoint": 1.0},
        "links": {},
        "verdicts": {"agreement": {"value": "holds", "detail": "eight checkpoints"}},
        "expect": [
            {"key": "recovered.unsafe_share", "wanted": "== 0", "got": 0.25, "holds": False},
            {"key": "raw.torn_share", "wanted": "> 0", "got": 0.08, "holds": True},
        ],
        "cases": {
            "manifest": {"expect": [{"key": "recovered.unsafe_share", "wanted": "== 0", "got": 0.0, "holds": True}]}
        },
        "warnings": ["workload.restart.init: changed nothing in this run"],
    }  # fmt: skip


def topology() -> Topology:
    """What the sample traces could have come from, with figures that have sources and some that have none."""
    figures = (
        Figure("write", "4GB/s", "data sheet of <a drive> & co, 2025", False, "enterprise_plp_gen4"),
        Figure("awupf", "16", None, True, "enterprise_plp_gen4"),
        Figure("flush", "891us", None, False, None),
    )
    devices = {
        name: DeviceSpec(name, "nvme", name.split("/")[0], None, frozenset(), figures) for name in DRIVES
    }
    return Topology(
        name="sample", description="Two drives, one without capacitors; power fails once.", seed=7,
        horizon_ps=600 * S, warm_up_ps=60 * S, repeats=1, nodes=(), devices=MappingProxyType(devices), links=(),
        failure_domains={"rack": DRIVES}, shards=(), workload=None, protocol=None, coordinator=None, faults=(),
        what_if=(WhatIfSpec("one-drive", "power_loss", tuple((drive, (drive,)) for drive in DRIVES)),),
        expect=(Expectation("recovered.unsafe_share", "== 0"), Expectation("raw.torn_share", "> 0")), cases=(),
        sha256="5a" * 32, source="topologies/sample.yaml",
    )  # fmt: skip

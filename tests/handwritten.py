"""Traces written by hand, with known answers."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from hwsim.trace import CrashCase, Header, Part, Record, Strike, Trace


def header(parts: Sequence[Part], places: dict[str, tuple[str, ...]], **changes: Any) -> Header:
    """A header of parts in place, 0 to 100 ps, an interval of 10 ps."""
    tokens = {token for needs in places.values() for token in needs if token.endswith(":power")}
    crashes = (CrashCase("default", (Strike("everything", tuple(sorted(tokens))),)),)
    plain = Header("t", "", 1, 0, 100, 0, 10, 10, (), places, tuple(parts), "in_place", {}, crashes)
    return dataclasses.replace(plain, **changes)


def in_order(head: Header, rows: Iterable[Record]) -> Trace:
    trace = Trace(head)
    trace.rows = [tuple(row) for row in sorted(rows, key=lambda row: row.time_ps)]  # type: ignore[misc]
    return trace


def domains(persisted: Sequence[Sequence[int]], begun: Sequence[int], **changes: Any) -> Trace:
    """Abstract domains: `persisted[i][e-1]` is when domain i makes checkpoint e durable."""
    parts = [Part(f"shard{i}", i, 0, f"d{i}", f"d{i}", (f"d{i}:media",), 1) for i in range(len(persisted))]
    rows = [Record(t, "checkpoint_begun", "job", epoch=e) for e, t in enumerate(begun, 1)]
    rows += [
        Record(t, "persisted", f"d{i}", f"d{i}:media", f"shard{i}", "0", e, str(e))
        for i, times in enumerate(persisted)
        for e, t in enumerate(times, 1)
    ]
    return in_order(header(parts, {f"d{i}:media": (f"d{i}:media",) for i in range(len(persisted))}, **changes), rows)


def two_phase_trace(more: Iterable[Record] = (), without: Callable[[Record], bool] = lambda _: False) -> Trace:
    """Two ranks g0, g1 and a coordinator c, each with a drive of its own: checkpoint e begins at 10e.

    Asked at +1, saved at +2, promised at +3, voted at +4, decided at +5, told at +6, heard at +7, acknowledged at +8.
    """
    logs = [("decision", "c"), *((f"{what}{i}", f"g{i}") for what in ("prepared", "committed") for i in range(2))]
    parts = [Part(f"shard{i}", i, 0, f"g{i}", f"g{i}", (f"g{i}:media",), 1) for i in range(2)]
    parts += [Part(name, -1, 0, device, device, (f"{device}:media",), 1) for name, device in logs]
    rows = [Record(0, "persisted", "c", "c:media", "decision", "0", 0, "0")]

    def lies(at: int, device: str, part: str, epoch: int) -> None:
        rows.append(Record(at, "persisted", device, f"{device}:media", part, str(epoch), epoch, str(epoch)))

    for e in range(1, 10):
        rows.append(Record(10 * e, "checkpoint_begun", "job", epoch=e))
        for i in range(2):
            rank = f"g{i}"
            for after, kind, sender, receiver in (
                (1, "prepare", "c", rank), (4, "yes", rank, "c"), (6, "commit", "c", rank), (8, "ack", rank, "c")
            ):  # fmt: skip
                rows.append(Record(10 * e + after, "sent", sender, epoch=e, peer=receiver, detail=kind))
            for after, part in ((2, "shard"), (3, "prepared"), (7, "committed")):
                lies(10 * e + after, rank, f"{part}{i}", e)
        lies(10 * e + 5, "c", "decision", e)
        rows.append(Record(10 * e + 5, "epoch_committed", "c", epoch=e))
    places = {f"{device}:media": (f"{device}:media",) for device in ("c", "g0", "g1")}
    params = {"decision": "decision", "prepared": ["prepared0", "prepared1"], "committed": ["committed0", "committed1"]}
    kept = [row for row in rows if not without(row)]
    return in_order(header(parts, places, rule="two_phase", rule_params=params, warm_up_ps=20), [*kept, *more])


def manifest_trace(gap: tuple[int, int] | None = None, **params: Any) -> Trace:
    """Two shards under a manifest: checkpoint e begins at 10e, is durable at 10e+3 and 10e+5, is committed at 10e+6."""
    parts = [Part(f"shard{i}", i, 0, f"g{i}", f"d{i}", (f"d{i}:media",), 1) for i in range(2)]
    parts.append(Part("manifest", -1, 0, "host", "d0", ("d0:media",), 1))
    rows: list[Record] = []
    for e in range(1, 10):
        rows.append(Record(10 * e, "checkpoint_begun", "job", epoch=e))
        for i, after in enumerate((3, 5)):
            rows.append(Record(10 * e + after, "persisted", f"d{i}", f"d{i}:media", f"shard{i}", str(e), e, str(e)))
        if gap:
            rows.append(Record(10 * e + gap[0], "erased", "d0", "d0:media", "manifest", "0"))
        commit = 10 * e + (gap[1] if gap else 6)
        rows.append(Record(commit, "persisted", "d0", "d0:media", "manifest", "0", e, str(e)))
        rows.append(Record(commit, "epoch_committed", "host", epoch=e))
    places = {"d0:media": ("d0:media",), "d1:media": ("d1:media",)}
    return in_order(header(parts, places, rule="manifest", rule_params=params, warm_up_ps=20), rows)

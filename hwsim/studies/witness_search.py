"""Claim C1: is a temporal snapshot another thing than convergence?  The witnesses, searched for in simulated worlds.

Small worlds of abstract domains, over protocols, laws of delay and seeds, are simulated one after the
other until `hwsim.studies.witnesses` finds in one what it looks for.  Nothing points the search at a
particular trace; what it returns carries the rows that prove it.

Source: the claim is from the abstract of arXiv 2603.02603 (2026); the definitions of Snap and Conv
are ours (`hwsim.checkers`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

from hwsim.studies.evidence import Finding, Verdict

if TYPE_CHECKING:
    from hwsim.studies.witnesses import Witness
    from hwsim.trace import Record, Trace

PROTOCOLS = (
    "{kind: in_place}",
    "{kind: manifest, message_delay: 1ms, manifest: {persist: 5ms}}",
    "{kind: manifest, keep: 1, prune: before_commit, message_delay: 1ms, manifest: {persist: 5ms}}",
)
LAWS = ("{uniform: [0s, 200ms]}", "{uniform: [0s, 2500ms]}", "{exponential: 300ms}")
SEEDS = range(1, 21)


def worlds() -> Iterator[tuple[str, str]]:
    """Every world of the search, as (what it is, its YAML): three domains, twelve seconds, a crash in about four."""
    for seed in SEEDS:
        for protocol in PROTOCOLS:
            for law in LAWS:
                text = f"""\
version: 1
name: witness
seed: {seed}
horizon: 12s
devices:
  d: {{kind: abstract, count: 3, persist: {law}}}
failure_domains:
  all: {{members: ["d*"]}}
workload:
  kind: checkpoint
  interval: 1s
  mode: async
  in_flight: {{max: 16}}
  shards: [{{to: "d*"}}]
protocol: {protocol}
faults:
  - {{name: outage, total: 1 per 4s, kind: power_loss, target: all, restore_after: 100ms}}
"""
                yield f"protocol {protocol}, persist {law}, seed {seed}", text


def snapshot_without_convergence(full: bool) -> Finding:
    """A trace in which Snap(t, e) holds at an instant and Conv(P, e) is violated."""
    from hwsim.studies.witnesses import snap_without_conv

    return _search("C1.a", "a snapshot without convergence", snap_without_conv, full)


def convergence_without_snapshot(full: bool) -> Finding:
    """A trace in which Conv(P, e) holds and Snap(t, e) holds at no instant."""
    from hwsim.studies.witnesses import conv_without_snap

    return _search("C1.b", "convergence without a snapshot", conv_without_snap, full)


def _search(name: str, reading: str, predicate: Callable[[Trace], Witness | None], full: bool) -> Finding:
    """Look until a witness is found; *full* looks at every world and counts the witnesses."""
    from hwsim.studies.temporal import run

    found: tuple[str, Witness] | None = None
    looked = witnesses = 0
    for what, text in worlds():
        looked += 1
        witness = predicate(run(text, judge=False).traces[0])
        if witness is None:
            continue
        witnesses += 1
        found = found or (what, witness)
        if not full:
            break
    if found is None:
        return Finding(name, reading, Verdict.UNDECIDED, f"no witness among {looked} worlds")
    what, witness = found
    snap = "at no instant" if witness.snap is None else f"at {witness.snap.time_ps} ps"
    because = (
        f"checkpoint {witness.epoch}: Snap holds {snap}; {witness.conv.name} {witness.conv.value}, "
        f"{witness.conv.detail}; {what}; {_count(witnesses, looked, full)}"
    )
    return Finding(name, reading, Verdict.SUPPORTED, because, records=tuple(map(_plain, proof(witness))))


def proof(witness: Witness) -> list[Record]:
    """The rows that show it.

    With a snapshot: every domain's newest durable checkpoint at that instant, then what violates convergence.
    Without: when each domain got the checkpoint, the first step beyond it, which came before the last of these,
    and the commit.
    """
    durable = [record for record in witness.trace if record.event == "persisted" and (record.part or "") != "manifest"]
    if witness.snap is not None:
        last: dict[str | None, Record] = {}
        for record in durable:
            if record.time_ps <= witness.snap.time_ps:
                last[record.part] = record
        return [*sorted(last.values(), key=lambda record: record.time_ps), *witness.conv.records]
    reached: dict[str | None, Record] = {}
    beyond: Record | None = None
    for record in durable:
        epoch = record.epoch or 0
        if epoch >= witness.epoch:
            reached.setdefault(record.part, record)
        if epoch > witness.epoch and beyond is None:
            beyond = record
    rows = [*reached.values()] if beyond is None else [*reached.values(), beyond]
    commit = next(row for row in witness.trace if row.event == "epoch_committed" and row.epoch == witness.epoch)
    return sorted({*rows, commit}, key=lambda record: record.time_ps)


def _count(witnesses: int, looked: int, full: bool) -> str:
    return f"{witnesses} of {looked} worlds are witnesses" if full else f"the first witness, in world {looked}"


def _plain(record: Record) -> dict[str, Any]:
    kept = ("time_ps", "event", "subject", "part", "slot", "epoch", "detail")
    return {key: value for key, value in record._asdict().items() if key in kept and value is not None}

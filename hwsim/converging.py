"""What protocols over bilateral links promise of what domains know and enter, judged on a trace.

A domain here is a node, or an abstract domain.  What a part *holds* is what lies whole in its undermost place, which
is all that a power loss leaves.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from hwsim.contents import decode, surely
from hwsim.trace import Record, Trace
from hwsim.verdicts import Value, Verdict, as_seconds

_Held = Mapping[str, Mapping[str, int]]  # part -> slot -> the checkpoint that surely lies there


def _domain_of(source: str) -> str:
    """The domain of a rank: its node, or itself."""
    return source.partition("/")[0]


def _with_held(trace: Trace) -> Iterator[tuple[Record, _Held]]:
    """Every row, with what every part holds after it."""
    bottom = {part.name: part.stack[-1] for part in trace.header.parts}
    held: dict[str, dict[str, int]] = {part: {} for part in bottom}
    for record in trace:
        part, slot = record.part, record.slot
        if part is not None and slot is not None and record.place == bottom.get(part):
            found = None if record.may is None else surely(decode(record.may))
            if found is not None and found > 0:
                held[part][slot] = found
            else:
                held[part].pop(slot, None)
        yield record, held


def committed_is_held(trace: Trace) -> Verdict:
    """What is acknowledged, or known to be, is held: every part has it, or all have one that is newer.

    Verifies: at every `epoch_committed` and `epoch_known`.  Leaves unverified: instants at which nobody claims anything
    (the sweep's question); media that are lost.
    """
    name = "committed_is_held"
    count = 0
    for record, held in _with_held(trace):
        if record.event not in ("epoch_committed", "epoch_known"):
            continue
        count += 1
        common = set.intersection(*(set(slots.values()) for slots in held.values()))
        if max(common, default=0) < (record.epoch or 0):
            who = record.subject if record.event == "epoch_known" else "the root"
            lacking = next((part for part, slots in held.items() if record.epoch not in slots.values()), "some part")
            detail = f"{who} takes checkpoint {record.epoch} for committed at {as_seconds(record.time_ps)}"
            return Verdict(name, Value.VIOLATED, f"{detail}, and {lacking} does not hold it", (record,))
    return Verdict(name, Value.HOLDS, f"{count} claims, each of what all held")


def generations_rise(trace: Trace) -> Verdict:
    """No domain enters a generation twice, or goes back to an older one.

    Verifies: every `generation_begun`.  Leaves unverified: that a domain enters one whenever it should.
    """
    name = "generations_rise"
    newest: dict[str, int] = {}
    for record in trace:
        if record.event == "generation_begun":
            generation = int(record.detail or 0)
            if generation <= newest.get(record.subject, 0):
                detail = f"{record.subject} enters generation {generation} at {as_seconds(record.time_ps)}"
                was = f"and was in {newest[record.subject]} before"
                return Verdict(name, Value.VIOLATED, f"{detail}, {was}", (record,))
            newest[record.subject] = generation
    return Verdict(name, Value.HOLDS, f"{len(newest)} domains recovered, each in ever newer generations")


def adopted_with_neighbours(trace: Trace) -> Verdict:
    """A domain adopts a checkpoint only when it and all of its neighbours hold it, or one that is newer.

    Verifies: every `epoch_adopted`, against the rule's `neighbours`.  Leaves unverified: that adoptions ever come.
    """
    name = "adopted_with_neighbours"
    neighbours: Mapping[str, list[str]] = trace.header.rule_params.get("neighbours", {})
    parts: dict[str, list[str]] = {}
    for part in trace.header.parts:
        parts.setdefault(_domain_of(part.source), []).append(part.name)
    count = 0
    for record, held in _with_held(trace):
        if record.event != "epoch_adopted":
            continue
        count += 1
        for domain in (record.subject, *neighbours.get(record.subject, ())):
            for own in parts[domain]:
                if max(held[own].values(), default=0) < (record.epoch or 0):
                    detail = f"{record.subject} adopts checkpoint {record.epoch} at {as_seconds(record.time_ps)}"
                    return Verdict(name, Value.VIOLATED, f"{detail}, and {domain} does not hold it", (record,))
    return Verdict(name, Value.HOLDS, f"{count} adoptions, each of what all neighbours held")

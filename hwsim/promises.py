"""What commit protocols promise of what they keep, send and force to their logs, judged on a trace.

A rank is *in doubt* of a checkpoint from the instant at which its log holds the promise to keep it until it holds what
was decided, or a recovery decides.  For so long it can neither use the checkpoint nor drop it: if the coordinator dies
then, the rank is blocked.

Source: P. A. Bernstein, V. Hadzilacos, N. Goodman, Concurrency Control and Recovery in Database Systems, 1987,
chapter 7 (uncertainty period, blocking).
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from hwsim.crash_timeline import Timeline
from hwsim.trace import Record, Strike, Trace
from hwsim.verdicts import Value, Verdict, as_seconds

# Messages of one checkpoint: what each rank sends or is sent, at most once; the first ones before it is acknowledged.
MESSAGES: Mapping[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "bilateral_pairwise": ((), ()),  # its rounds are of the links
    "chandy_lamport": (("marker", "done"), ()),
    "in_place": ((), ()),
    "manifest": ((), ("saved",)),  # published at the snapshot, it may count before they come
    "memory_replicas": (("held",), ("stored",)),
    "tree_convergence": (("up",), ("down",)),
    "two_phase": (("prepare", "yes"), ("commit", "ack")),
    "two_versions": ((), ()),
}
_FAILURES = frozenset(("failed", "no", "abort"))  # told of checkpoints that do not come about


def common_retained(trace: Trace, timeline: Timeline | None = None) -> Verdict:
    """From the first acknowledgement on there is, at every instant, a checkpoint that all shards still have.

    Verifies: what lies there after a power loss of everything; of copies in memory, what lies there without one.
    Leaves unverified: in-place protocols, which promise nothing of the kind; whatever comes after the first crash of
    the run; whether recovery finds that checkpoint; media that are lost.
    """
    name = "common_retained"
    header = trace.header
    if header.rule in ("in_place", "bilateral_pairwise") or header.rule_params.get("slots") == "in_place":
        return Verdict(name, Value.HOLDS, f"the rule {header.rule} promises nothing of the kind")
    claimed = next((record for record in trace if record.event == "epoch_committed"), None)
    if claimed is None:
        return Verdict(name, Value.HOLDS, "nothing was acknowledged")
    until = next((r.time_ps for r in trace if r.event == "job_stopped"), header.horizon_ps + 1)
    strike = Strike("nothing", ()) if header.rule == "memory_replicas" else default_strike(trace)
    fewest: int | None = None
    for time_ps, replay in (timeline or Timeline(trace)).walk(strike, claimed.time_ps, until):
        if not replay.durable.changed:
            continue
        replay.durable.changed = False
        held = replay.durable.held_by_all()
        if not held:
            detail = f"acknowledged since {as_seconds(claimed.time_ps)}, and at {as_seconds(time_ps)} no checkpoint is"
            return Verdict(name, Value.VIOLATED, f"{detail} there in all of its shards", (claimed,))
        fewest = held if fewest is None else min(fewest, held)
    return Verdict(name, Value.HOLDS, f"from checkpoint {fewest} on, one that all shards have at every instant")


def messages_counted(trace: Trace) -> Verdict:
    """A checkpoint costs each rank the messages that its protocol says, and no acknowledgement comes before its own.

    Verifies: kinds and numbers of messages of acknowledged checkpoints, one sent again counted once.
    Leaves unverified: contents; messages of recoveries and of checkpoints given up; ranks that share a host, which are
    counted as one sender.
    """
    name = "messages_counted"
    header = trace.header
    before, after = MESSAGES[header.rule]
    ranks = {part.source for part in header.parts if part.shard >= 0}
    sent: dict[tuple[int, str], set[tuple[str, str]]] = {}  # (checkpoint, kind) -> senders and receivers
    messages: Counter[int] = Counter()
    sizes: Counter[int] = Counter()
    committed = 0
    for record in trace:
        epoch = record.epoch or 0
        if record.event == "sent" and epoch:
            kind = record.detail or ""
            if kind in _FAILURES:
                continue
            if kind not in (*before, *after):
                return Verdict(name, Value.VIOLATED, f"{header.rule} knows no message '{kind}'", (record,))
            ways = sent.setdefault((epoch, kind), set())
            ways.add((record.subject, record.peer or ""))
            messages[epoch] += 1
            sizes[epoch] += record.size_bytes or 0
            each = len(ranks) - 1 if kind == "marker" else 1  # one a directed channel
            if len(ways) > len(ranks) * each:
                detail = f"checkpoint {epoch} has {len(ways)} messages '{kind}' of {len(ranks)} ranks"
                return Verdict(name, Value.VIOLATED, detail, (record,))
        elif record.event == "epoch_committed":
            committed += 1
            for kind in before:
                ends = {end for both in sent.get((epoch, kind), ()) for end in both}
                missing = sorted(rank for rank in ranks if not ends & {rank, _host(rank)})
                if missing:
                    detail = f"checkpoint {epoch} is acknowledged without '{kind}' of {missing[0]}"
                    return Verdict(name, Value.VIOLATED, detail, (record,))
    told = f"{sum(messages.values()) / committed:.6g} messages" if committed else "no checkpoint, no messages"
    carried = f", {sum(sizes.values()) / committed:.6g} bytes of payload" if committed and sizes.total() else ""
    return Verdict(name, Value.HOLDS, f"{told} a checkpoint{carried}" if committed else told)


def logs_forced(trace: Trace, timeline: Timeline | None = None) -> Verdict:
    """In a two-phase commit nothing is told before a log holds it.

    Verifies: a vote only once a log of that rank's host holds the promise; a decision is told, and the checkpoint
    acknowledged, only once the coordinator's log holds the decision and all logs the promise; an acknowledgement of a
    rank only once a log of its host says "committed".  All of it as it is after a power loss of everything.
    Leaves unverified: order within one instant; which of a host's ranks wrote; abort messages, which need no log.
    """
    name = "logs_forced"
    params, parts = trace.header.rule_params, {part.name: part for part in trace.header.parts}
    decision, prepared, committed = params["decision"], params["prepared"], params["committed"]
    logs = (decision, *prepared, *committed)
    of_sender: dict[bool, dict[str, list[str]]] = {True: {}, False: {}}  # whether it is a vote -> sender -> its logs
    for vote, kept in ((True, prepared), (False, committed)):
        for log in kept:
            for sender in {parts[log].source, _host(parts[log].source)}:
                of_sender[vote].setdefault(sender, []).append(log)
    told = [
        record
        for record in trace
        if record.event == "epoch_committed"
        or (record.event == "sent" and record.detail in ("yes", "commit", "ack") and record.epoch)
    ]
    judged = 0
    surely: dict[str, int] = dict.fromkeys(logs, -1)  # log -> its newest entry for sure
    held: set[int] = set()  # decided checkpoints that all logs had to hold, and did

    def lacking(record: Record) -> str | None:
        epoch = record.epoch or 0
        if record.event == "sent" and record.detail != "commit":
            own = of_sender[record.detail == "yes"].get(record.subject, ())
            return None if any(surely[log] >= epoch for log in own) else f"no log of {record.subject} holds it"
        if epoch in held:
            return None
        held.add(epoch)
        missing = [log for log in (decision, *prepared) if surely[log] < epoch]
        return f"{missing[0]} does not hold it" if missing else None

    def first_lacking(until_ps: int) -> Verdict | None:
        """Judge what is told before *until_ps* by what the logs hold so far."""
        nonlocal judged
        while judged < len(told) and told[judged].time_ps < until_ps:
            record = told[judged]
            judged += 1
            why = lacking(record)
            if why is not None:
                what = "acknowledged" if record.event == "epoch_committed" else f"told '{record.detail}'"
                detail = f"checkpoint {record.epoch} is {what} at {as_seconds(record.time_ps)}, and {why}"
                return Verdict(name, Value.VIOLATED, detail, (record,))
        return None

    end = trace.header.horizon_ps + 1
    for time_ps, replay in (timeline or Timeline(trace)).walk(default_strike(trace), -1, end):
        bad = first_lacking(time_ps)
        if bad is not None:
            return bad
        for log in replay.durable.touched & surely.keys():
            surely[log] = min(replay.durable.newest_record((log,)))
        replay.durable.touched.clear()
    bad = first_lacking(end)
    return bad or Verdict(name, Value.HOLDS, f"{len(told)} messages and claims, each after its log")


def cuts_consistent(trace: Trace) -> Verdict:
    """Every acknowledged cut of a Chandy-Lamport run is consistent and holds the whole sum.

    Verifies, against the messages that were sent: all ranks and all channels took part; no message was received before
    its receiver's part and sent after its sender's (none is an orphan); a channel's part is what was on the way; a
    rank's balance is what it began with and what it received less what it sent; all of it together is what there was.
    Leaves unverified: that saved shards hold these states, which are claims.
    """
    name = "cuts_consistent"
    tokens = int(trace.header.rule_params["tokens"])
    ranks = sorted({part.source for part in trace.header.parts if part.shard >= 0})
    amounts: dict[tuple[str, str], dict[int, int]] = {(a, b): {} for a in ranks for b in ranks if a != b}
    states: dict[int, dict[str, dict[str, Any]]] = {}
    channels: dict[int, dict[tuple[str, str], list[int]]] = {}
    count = 0
    for record in trace:
        epoch = record.epoch or 0
        if record.event == "sent" and (record.detail or "").startswith("tokens:"):
            _, way, number, amount = (record.detail or "").split(":")
            a, _, b = way.partition(">")
            amounts[a, b][int(number)] = int(amount)
        elif record.event == "state_recorded":
            states.setdefault(epoch, {})[record.subject] = json.loads(record.detail or "")
        elif record.event == "channel_recorded":
            channels.setdefault(epoch, {})[record.peer or "", record.subject] = json.loads(record.detail or "")
        elif record.event == "recovered":  # what was sent after the cut never was
            cut = states.get(epoch, {})
            for (a, b), sent in amounts.items():
                until = cut[a]["sent"][b] if a in cut else 0
                amounts[a, b] = {number: amount for number, amount in sent.items() if number <= until}
        elif record.event == "epoch_committed":
            count += 1
            problem = _inconsistency(ranks, tokens, states.get(epoch, {}), channels.get(epoch, {}), amounts)
            if problem is not None:
                return Verdict(name, Value.VIOLATED, f"cut {epoch}: {problem}", (record,))
    return Verdict(name, Value.HOLDS, f"{count} cuts, each consistent, of {tokens * len(ranks)} tokens in all")


def channels_logged(trace: Trace, timeline: Timeline | None = None) -> Verdict:
    """A cut counts only once every rank's log of its channels surely is durable.

    Verifies: every `epoch_committed` of a rule with `channels`, as it is after a power loss of everything.
    Leaves unverified: what the logs say (see `cuts_consistent`); order within one instant.
    """
    name = "channels_logged"
    logs: Sequence[str] = trace.header.rule_params.get("channels", ())
    claims: dict[int, list[Record]] = {}
    for record in trace:
        if record.event == "epoch_committed":
            claims.setdefault(record.time_ps, []).append(record)
    count = 0
    walk = (timeline or Timeline(trace)).walk(default_strike(trace), -1, trace.header.horizon_ps + 1)
    for time_ps, replay in walk:
        for record in claims.get(time_ps, ()):
            count += 1
            for log in logs:
                if min(replay.durable.newest_record((log,))) < (record.epoch or 0):
                    detail = f"cut {record.epoch} counts at {as_seconds(time_ps)}, and {log} does not hold it"
                    return Verdict(name, Value.VIOLATED, detail, (record,))
    return Verdict(name, Value.HOLDS, f"{count} cuts, each after all logs of channels")


def _inconsistency(
    ranks: list[str],
    tokens: int,
    states: Mapping[str, Mapping[str, Any]],
    channels: Mapping[tuple[str, str], list[int]],
    amounts: Mapping[tuple[str, str], Mapping[int, int]],
) -> str | None:
    """What is wrong with one cut, if anything is."""
    missing = [rank for rank in ranks if rank not in states] + [
        f"{a}>{b}" for a, b in amounts if (a, b) not in channels
    ]
    if missing:
        return f"{missing[0]} took no part"
    total = sum(state["balance"] for state in states.values()) + sum(map(sum, channels.values()))
    flow = dict.fromkeys(ranks, tokens)
    for (a, b), sent in amounts.items():
        left, came = states[a]["sent"][b], states[b]["received"][a]
        if came > left:
            return f"{b} had received message {came} of {a}, who had sent {left}: an orphan"
        under_way = [sent[number] for number in range(came + 1, left + 1) if number in sent]
        if under_way != channels[a, b]:
            return f"{under_way} were on the way from {a} to {b}, and {channels[a, b]} are recorded"
        flow[a] -= sum(amount for number, amount in sent.items() if number <= left)
        flow[b] += sum(amount for number, amount in sent.items() if number <= came)
    wrong = next((rank for rank in ranks if flow[rank] != states[rank]["balance"]), None)
    if wrong is not None:
        return f"{wrong} records {states[wrong]['balance']} tokens, and has {flow[wrong]}"
    return None if total == tokens * len(ranks) else f"{total} tokens of {tokens * len(ranks)}"


class Doubt(NamedTuple):
    """One rank in doubt of one checkpoint, [since_ps, until_ps); `ended_by` a decision, a recovery, or None yet."""

    rank: str
    epoch: int
    since_ps: int
    until_ps: int
    ended_by: Record | None


def doubts(trace: Trace) -> Iterator[Doubt]:
    """Every doubt of every rank, as it ends; last those that the trace leaves open."""
    params = trace.header.rule_params
    sources = {part.name: part.source for part in trace.header.parts}
    promises = {log: sources[log] for log in params.get("prepared", ())}
    heard = {log: sources[log] for log in params.get("committed", ())}
    open_: dict[tuple[str, int], int] = {}
    lies: dict[tuple[str, int], str | None] = {}  # where the promise does, once it has come through other places
    for record in trace:
        part, epoch = record.part or "", int(record.slot or 0) if (record.slot or "").isdecimal() else 0
        ended: list[tuple[str, int]] = []
        if record.event in ("completed", "persisted") and part in promises:
            open_.setdefault((promises[part], epoch), record.time_ps)
            lies[promises[part], epoch] = record.place
        elif record.event in ("completed", "persisted") and part in heard:
            ended = [(heard[part], epoch)]
        elif record.event == "erased" and part in promises and lies.get((promises[part], epoch)) == record.place:
            ended = [(promises[part], epoch)]
        elif record.event == "recovered":
            ended = list(open_)
        for key in ended:
            if key in open_:
                yield Doubt(*key, open_.pop(key), record.time_ps, record)
    for key, since in open_.items():
        yield Doubt(*key, since, trace.header.horizon_ps, None)


def in_doubt_share(trace: Trace) -> float:
    """The share of instants from the warm-up on at which some rank is in doubt: a coordinator that dies then blocks it.

    Of any other role's death a rank need not know to go on with what it has: it blocks nobody in this sense.
    """
    start, end = trace.header.warm_up_ps, trace.header.horizon_ps
    covered, reached = 0, start
    for since, until in sorted((doubt.since_ps, doubt.until_ps) for doubt in doubts(trace)):
        covered += max(0, min(until, end) - max(since, reached))
        reached = max(reached, min(until, end))
    return covered / (end - start) if end > start else 0.0


def doubts_resolved(trace: Trace) -> Verdict:
    """No rank resolves its doubt by itself; tells how long ranks were in doubt, and blocked by a dead coordinator.

    Verifies: a rank's log says "committed" only after the coordinator's says so, and drops a promise only after the
    coordinator told it to abort, or its own vote was no.  Leaves unverified: what a rank does with its shards, which
    `acknowledged_survive` and the sweep judge; doubts that the trace leaves open, which are undecided.
    """
    name = "doubts_resolved"
    decision = trace.header.rule_params.get("decision", "")
    coordinator = next((part.source for part in trace.header.parts if part.name == decision), "")
    role = {coordinator, _host(coordinator)}
    heard = frozenset(trace.header.rule_params.get("committed", ()))
    decided: set[int] = set()
    aborted: set[int] = set()
    for record in trace:
        epoch = record.epoch or 0
        if record.part == decision and record.event in ("completed", "persisted"):
            decided.add(epoch)
        elif record.event == "sent" and record.detail in ("abort", "no"):
            aborted.add(epoch)
        elif record.event == "recovered":
            decided.add(epoch)
        elif record.event in ("completed", "persisted") and record.part in heard and epoch not in decided:
            detail = f"{record.part} says that checkpoint {epoch} is committed, and nobody had decided so"
            return Verdict(name, Value.VIOLATED, detail, (record,))
    found = list(doubts(trace))
    for doubt in found:
        by = doubt.ended_by
        if by is not None and by.event == "erased" and not {doubt.epoch} & (aborted | decided):
            detail = f"{doubt.rank} drops its promise of checkpoint {doubt.epoch}, and nobody had told it to"
            return Verdict(name, Value.VIOLATED, detail, (by,))
    if any(doubt.ended_by is None for doubt in found):
        ranks = sorted(doubt.rank for doubt in found if doubt.ended_by is None)
        return Verdict(name, Value.UNDECIDED, f"{ranks[0]} is in doubt as the trace ends")
    spans = [doubt.until_ps - doubt.since_ps for doubt in found]
    blocked = _overlap(found, list(_outages(trace, role)))
    detail = f"{len(spans)} doubts, {_mean(spans)} on average, {as_seconds(max(spans, default=0))} at most"
    return Verdict(name, Value.HOLDS, f"{detail}; {as_seconds(blocked)} of it with the coordinator down")


def _outages(trace: Trace, names: set[str]) -> Iterator[tuple[int, int]]:
    down: dict[str, int] = {}
    for record in trace:
        if record.event == "stopped" and record.subject in names:
            down.setdefault(record.subject, record.time_ps)
        elif record.event == "restored" and record.subject in down:
            yield down.pop(record.subject), record.time_ps
    for since in down.values():
        yield since, trace.header.horizon_ps


def _overlap(found: list[Doubt], outages: list[tuple[int, int]]) -> int:
    return sum(
        max(0, min(doubt.until_ps, until) - max(doubt.since_ps, since)) for doubt in found for since, until in outages
    )


def _mean(spans: list[int]) -> str:
    return as_seconds(sum(spans) // len(spans)) if spans else "none"


def _host(rank: str) -> str:
    """The device at which messages for a rank arrive: the host of its node, or itself."""
    node, _, device = rank.rpartition("/")
    return f"{node}/host" if node and device else rank


def default_strike(trace: Trace) -> Strike:
    """The header's first crash: the power of everything."""
    crashes = trace.header.crashes
    return crashes[0].strikes[0] if crashes and crashes[0].strikes else Strike("nothing", ())

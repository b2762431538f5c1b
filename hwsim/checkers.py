"""Checkers: from traces to verdicts.  They watch; they change nothing, and each says what it leaves unverified.

Two kinds of statement are kept apart by type, because taking one for the other is the error this project is about.
`Snap(t, e)` is a predicate of the state at one instant: every domain's durable checkpoint is e.  `Conv(P, e)` is a
property of executions of a protocol: the *recovered* checkpoint of every domain is in the end, and from then on, at
least e; on a finite trace it holds, is violated, or is undecided.  `Held(P, e)` is the state predicate that protocols
establish on the way to it, and no more than that.  No function takes one for another.

*Durable* means: still found after the header's first crash case, power loss of everything.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from hwsim.bilateral.judged import LinkJudge, judge
from hwsim.contents import decode
from hwsim.converging import adopted_with_neighbours, committed_is_held, generations_rise
from hwsim.crash_timeline import Replay, Timeline
from hwsim.outcomes import HANG, WHOLE, Handed
from hwsim.promises import (
    channels_logged,
    common_retained,
    cuts_consistent,
    default_strike,
    doubts_resolved,
    logs_forced,
    messages_counted,
)
from hwsim.trace import EVENTS, Record, Trace
from hwsim.verdicts import Value, Verdict
from hwsim.verdicts import as_seconds as _at


@dataclass(frozen=True)
class Snap:
    """A state predicate: at the instant `time_ps` every domain's durable checkpoint is `epoch`."""

    time_ps: int
    epoch: int


@dataclass(frozen=True)
class Held:
    """A state predicate: every domain's durable checkpoint is at least `epoch`, and one such is recoverable by all."""

    protocol: str
    epoch: int


@dataclass(frozen=True)
class Conv:
    """A property of executions of `protocol`: in the end, and from then on, all recover at least `epoch`."""

    protocol: str
    epoch: int


# state predicates


def snap_holds(trace: Trace, snap: Snap) -> bool:
    """Whether *snap* holds of the durable state.  Says nothing of any other instant, and nothing of recovery."""
    timeline = Timeline(trace)
    for _, replay in timeline.walk(default_strike(trace), snap.time_ps, snap.time_ps + 1):
        return uniform_epoch(replay) == snap.epoch
    raise AssertionError("a walk begins at its start")


def held_at(trace: Trace, held: Held, time_ps: int) -> bool:
    """Whether *held* holds at an instant.  Raises ValueError where the trace is of another protocol's rule."""
    _same_rule(trace, held.protocol)
    timeline = Timeline(trace)
    for _, replay in timeline.walk(default_strike(trace), time_ps, time_ps + 1):
        durable = [newest for newest in replay.newest if newest is not None]
        return min(durable, default=0) >= held.epoch and _recovers(replay, trace, held.epoch)
    raise AssertionError("a walk begins at its start")


def uniform_epoch(replay: Replay) -> int | None:
    """The one checkpoint that every domain's durable state surely is at, or None."""
    found = set(replay.counts)
    if len(found) != 1:
        return None
    epoch = next(iter(found))
    return epoch if epoch >= 0 else None


def snapshots(trace: Trace) -> Iterator[tuple[int, int]]:
    """Every span at which some Snap holds, as (its first instant, the checkpoint)."""
    last = None
    for time_ps, replay in Timeline(trace).walk(default_strike(trace), 0, trace.header.horizon_ps):
        epoch = uniform_epoch(replay)
        if epoch is not None and epoch != last:
            yield time_ps, epoch
        last = epoch


# the convergence property


def convergence(trace: Trace, conv: Conv) -> Verdict:
    """Judge *conv* on a finite trace, by what recovery hands back, not by what lies on the media.

    Holds: from some instant to the end a power loss of everything would hand back at least the checkpoint, and the
    rule keeps it so: fresh slots under a record, which only a newer record replaces, or versions that a tree keeps.
    Violated: the protocol acknowledged the checkpoint, and a later recovery handed back an older one, a mix or nothing.
    Undecided: anything else; so under in-place overwriting every trace that is not violated, for the next
    write can undo what was reached.
    Leaves unverified: fairness, executions other than this one, and losses of media.
    """
    _same_rule(trace, conv.protocol)
    name = f"Conv({conv.protocol}, {conv.epoch})"
    claimed: Record | None = None
    for record in trace:
        if record.event == "epoch_committed" and (record.epoch or 0) >= conv.epoch:
            claimed = claimed or record
        elif record.event == "recovered" and claimed is not None and record.detail != HANG:
            handed = record.epoch if record.detail in (None, WHOLE) else None
            if handed is None or handed < conv.epoch:
                back = f"checkpoint {handed}" if handed is not None else str(record.detail)
                since, then = _at(claimed.time_ps), _at(record.time_ps)
                detail = f"acknowledged at {since}, yet at {then} recovery hands back {back}"
                return Verdict(name, Value.VIOLATED, detail, (claimed, record))
    reached: int | None = None
    for time_ps, replay in Timeline(trace).walk(default_strike(trace), 0, trace.header.horizon_ps):
        if not _recovers(replay, trace, conv.epoch):
            reached = None
        elif reached is None:
            reached = time_ps
    if reached is None:
        return Verdict(name, Value.UNDECIDED, "not reached when the trace ends")
    if not (_keeps(trace) or trace.header.rule == "tree_convergence"):
        return Verdict(name, Value.UNDECIDED, f"reached at {_at(reached)}, but the next write may undo it")
    return Verdict(name, Value.HOLDS, f"reached at {_at(reached)}, and only a newer checkpoint replaces it")


def _recovers(replay: Replay, trace: Trace, epoch: int) -> bool:
    """Whether everything that recovery may hand back now is one whole checkpoint, at least *epoch*."""
    handed = replay.timeline.rule(replay.durable, trace.header.rule_params)
    return all(found.kind == WHOLE and found.epoch is not None and found.epoch >= epoch for found in handed)


def _keeps(trace: Trace) -> bool:
    header = trace.header
    return header.rule in ("chandy_lamport", "two_phase") or (
        header.rule == "manifest" and header.rule_params.get("slots", "fresh") == "fresh"
    )


def _same_rule(trace: Trace, protocol: str) -> None:
    if trace.header.rule != protocol:
        raise ValueError(f"a trace of {trace.header.rule!r} says nothing of {protocol!r}")


# checkers of a whole trace


def agreement(trace: Trace) -> Verdict:
    """Every recovery handed one and the same whole checkpoint to all, and the facts bear it out.

    Verifies: each `recovered` claim is of one whole checkpoint, and then some copy of every shard may be that
    checkpoint among what the places hold.  Leaves unverified: crash instants at which nothing struck (the sweep's
    question), and which copy a reader picked.
    """
    count = 0
    for record, holding in _with_holdings(trace):
        if record.event != "recovered" or record.detail == HANG:
            continue
        count += 1
        handed = Handed(record.detail or WHOLE, record.epoch)
        if handed.kind in ("mixed", "corrupt"):
            detail = f"the recovery at {_at(record.time_ps)} hands back what is {handed.kind}"
            return Verdict("agreement", Value.VIOLATED, detail, (record,))
        if handed.kind == WHOLE and handed.epoch:
            missing = _shards_without(trace, holding, handed.epoch)
            if missing:
                claim = f"the recovery at {_at(record.time_ps)} claims checkpoint {handed.epoch}"
                detail = f"{claim}, but {missing[0]} lacks it"
                return Verdict("agreement", Value.VIOLATED, detail, (record,))
    detail = f"{count} recoveries, each of one whole checkpoint" if count else "nothing was recovered"
    return Verdict("agreement", Value.HOLDS, detail)


def acknowledged_survive(trace: Trace) -> Verdict:
    """No recovery hands back less than the newest checkpoint acknowledged since the recovery before.

    Verifies: recoveries that really happened.  Leaves unverified: crash instants at which nothing struck.
    """
    acknowledged: Record | None = None
    count = 0
    for record in trace:
        if record.event == "epoch_committed":
            if acknowledged is None or (record.epoch or 0) > (acknowledged.epoch or 0):
                acknowledged = record
        elif record.event == "recovered" and record.detail != HANG:  # a hang hands back nothing, and takes nothing
            count += 1
            handed = record.epoch if record.detail in (None, WHOLE) else None
            if acknowledged is not None and (handed is None or handed < (acknowledged.epoch or 0)):
                back = f"checkpoint {handed}" if handed is not None else str(record.detail)
                said = f"checkpoint {acknowledged.epoch} was acknowledged"
                detail = f"{said}, and the recovery at {_at(record.time_ps)} hands back {back}"
                return Verdict("acknowledged_survive", Value.VIOLATED, detail, (acknowledged, record))
            acknowledged = record if handed else None
    detail = f"{count} recoveries" if count else "nothing was recovered"
    return Verdict("acknowledged_survive", Value.HOLDS, detail)


def persisted_before_committed(trace: Trace, timeline: Timeline | None = None) -> Verdict:
    """A checkpoint is acknowledged only once every shard of it is durable.

    Verifies: at every `epoch_committed` of a protocol that promises it (a log or manifest over fresh slots), some
    copy of every shard surely is the checkpoint after a power loss of everything, unless it was pruned for a newer one.
    Leaves unverified: in-place protocols, which promise nothing across shards; further copies; losses of media.
    """
    name = "persisted_before_committed"
    if not _keeps(trace):
        return Verdict(name, Value.HOLDS, f"the rule {trace.header.rule} promises nothing of the kind")
    timeline = timeline or Timeline(trace)
    walk = timeline.walk(default_strike(trace), -1, trace.header.horizon_ps + 1)
    _, replay = next(walk)
    claims: dict[int, list[Record]] = {}
    for record in trace:
        if record.event == "epoch_committed":
            claims.setdefault(record.time_ps, []).append(record)
    count = 0
    for time_ps, replay in walk:
        for record in claims.get(time_ps, ()):
            count += 1
            epoch = record.epoch or 0
            if epoch and not replay.durable.checked(str(epoch), epoch)[1]:
                detail = f"checkpoint {epoch} is acknowledged at {_at(time_ps)} before all of its shards are durable"
                return Verdict(name, Value.VIOLATED, detail, (record,))
    return Verdict(name, Value.HOLDS, f"{count} checkpoints acknowledged, every shard of each durable")


def well_formed(trace: Trace) -> Verdict:
    """The rows are in order, name what the header knows, and no fact comes before what it needs.

    Verifies: times that never fall; known events, places and parts; contents that can be read; a `completed` only
    after a `begun` of the same place and part; a save that failed only after an operation that did, with the same
    error; a `restored` only after a `stopped`; a checkpoint acknowledged or abandoned only after it began, and never
    twice; a recovery only of a job that stopped.
    Leaves unverified: sizes, messages, and whether devices obey their own data sheets.
    """
    problem = _first_disorder(trace)
    if problem is None:
        return Verdict("well_formed", Value.HOLDS, f"{len(trace)} rows in order")
    record, what = problem
    return Verdict("well_formed", Value.VIOLATED, f"at {_at(record.time_ps)}: {what}", (record,))


def _first_disorder(trace: Trace) -> tuple[Record, str] | None:
    stacks = {part.name: frozenset(part.stack) for part in trace.header.parts}
    clock = 0
    begun_writes: set[tuple[str, str | None, str | None]] = set()
    stopped: set[str] = set()
    failures: set[tuple[str | None, str | None]] = set()
    begun: set[int | None] = set()
    committed: set[int | None] = set()
    running = True
    for record in trace:
        what = record.event
        if record.time_ps < clock:
            return record, f"comes after a row of {_at(clock)}"
        clock = record.time_ps
        if what not in EVENTS:
            return record, f"no event is called {what!r}"
        if record.place is not None:
            if record.part not in stacks or record.place not in stacks[record.part]:
                return record, f"{record.place} is no place of {record.part}"
            if record.may is not None:
                try:
                    decode(record.may)
                except ValueError:
                    return record, f"{record.may!r} are no contents"
            key = (record.place, record.part, record.slot)
            if what == "begun":
                begun_writes.add(key)
            elif what == "completed" and key not in begun_writes:
                return record, f"a write of {record.part} is completed that never began"
        elif what == "stopped":
            stopped.add(record.subject)
        elif what == "failed":
            failures.add((record.detail, record.part))
        elif what == "save_failed":
            errno = (record.detail or "").partition(":")[0]
            if not failures & {(errno, record.part), (errno, None)}:  # a Flush is of no part
                return record, f"a save of {record.part} failed with {errno}, and no operation did"
        elif what == "restored" and record.subject not in stopped:
            return record, f"{record.subject} is restored and never stopped"
        elif what == "checkpoint_begun":
            begun.add(record.epoch)
        elif what in ("epoch_committed", "checkpoint_abandoned") and record.epoch not in begun:
            return record, f"checkpoint {record.epoch} never began"
        elif what == "epoch_committed":
            if record.epoch in committed:
                return record, f"checkpoint {record.epoch} is acknowledged twice"
            committed.add(record.epoch)
        elif what == "job_stopped":
            running = False
        elif what in ("recovered", "job_resumed"):
            if running:
                return record, "a job recovers that never stopped"
            running = what == "job_resumed"
    return None


def _with_holdings(trace: Trace) -> Iterator[tuple[Record, Mapping[tuple[str, str, str], str]]]:
    """Every record with what all places hold after it, as (part, slot, place) -> contents as written."""
    holding: dict[tuple[str, str, str], str] = {}
    for record in trace:
        if record.place is not None and record.part is not None:
            key = (record.part, record.slot or "0", record.place)
            if record.may is None:
                holding.pop(key, None)
            else:
                holding[key] = record.may
        yield record, holding


def _shards_without(trace: Trace, holding: Mapping[tuple[str, str, str], str], epoch: int) -> list[str]:
    """Parts that name the shards of which no copy may be *epoch* anywhere."""
    shard_of = {part.name: part.shard for part in trace.header.parts}
    there = {shard_of[part] for (part, _, _), may in holding.items() if epoch in decode(may)}
    return [part.name for part in trace.header.parts if part.shard >= 0 and part.shard not in there]


Links = Mapping[str, LinkJudge]  # by name, judged to the end of the trace


def _links_keep(promise: str, name: str, told: str, trace: Trace, links: Links | None) -> Verdict:
    links = judge(trace) if links is None else links
    broken = next((found for link in links.values() for found in link.violations if found.promise == promise), None)
    if broken is not None:
        link = broken.record.subject.rpartition("@")[0]
        detail = f"{link}, at {_at(broken.record.time_ps)}: {broken.what}"
        return Verdict(name, Value.VIOLATED, detail, (broken.record,))
    return Verdict(name, Value.HOLDS, f"{sum(link.settled for link in links.values())} rounds {told}")


def rounds_agree(trace: Trace, links: Links | None = None) -> Verdict:
    """Both ends of a bilateral link end every round alike, with the same epoch, and are never further apart than one.

    Verifies: after every write of a register.  Leaves unverified: rounds that only one end has ended yet.
    """
    return _links_keep("rounds", "rounds_agree", "ended alike at both ends", trace, links)


def tokens_conserved(trace: Trace, links: Links | None = None) -> Verdict:
    """Every token of a bilateral link is in exactly one place, after every write of a register.

    Verifies: the tokens that the trace says were issued.  Leaves unverified: payloads that are no tokens.
    """
    return _links_keep("tokens", "tokens_conserved", "ended, and every token in one place throughout", trace, links)


def claims_follow_registers(trace: Trace, links: Links | None = None) -> Verdict:
    """An end says that a round ended only once its register says so, and that it is closed once its peer's does.

    Verifies: `round_committed`, `round_reversed`, `round_closed`.  Leaves unverified: that every round is claimed.
    """
    return _links_keep("claims", "claims_follow_registers", "claimed no sooner than written", trace, links)


CHECKERS: tuple[Callable[[Trace], Verdict], ...] = (
    agreement,
    acknowledged_survive,
    persisted_before_committed,
    common_retained,
    messages_counted,
    well_formed,
)
LOG_CHECKERS: tuple[Callable[[Trace], Verdict], ...] = (logs_forced, doubts_resolved)  # of a two-phase commit
CUT_CHECKERS: tuple[Callable[[Trace], Verdict], ...] = (cuts_consistent, channels_logged)  # of ranks that talk
TREE_CHECKERS: tuple[Callable[[Trace], Verdict], ...] = (committed_is_held, generations_rise)
PAIR_CHECKERS: tuple[Callable[[Trace], Verdict], ...] = (adopted_with_neighbours,)
LINK_CHECKERS: tuple[Callable[[Trace], Verdict], ...] = (rounds_agree, tokens_conserved, claims_follow_registers)

_BY_RULE: Mapping[str, tuple[Callable[[Trace], Verdict], ...]] = {
    "bilateral_pairwise": PAIR_CHECKERS,
    "chandy_lamport": CUT_CHECKERS,
    "tree_convergence": TREE_CHECKERS,
    "two_phase": LOG_CHECKERS,
}
_ASK_TIMELINES = (persisted_before_committed, common_retained, logs_forced, channels_logged)
_ASK_LINKS = (rounds_agree, tokens_conserved, claims_follow_registers)


def promised(trace: Trace) -> list[Verdict]:
    """What a protocol promises of any run, crash or no crash: order of durability, messages, logs, cuts."""
    asked = [persisted_before_committed, messages_counted, *_BY_RULE.get(trace.header.rule, ())]
    return [checker(trace) for checker in asked]


def _asked(traces: Sequence[Trace]) -> list[Callable[[Trace], Verdict]]:
    """The checkers that have something to check: of checkpoints, of logs, of bilateral links."""
    header = traces[0].header
    asked = list(CHECKERS) if header.takes_checkpoints else [well_formed]
    asked += list(_BY_RULE.get(header.rule, ()))
    linked = any(row[1] == "register_written" for row in traces[0].rows)
    return asked + (list(LINK_CHECKERS) if linked else [])


def check_all(
    traces: Sequence[Trace], timelines: Sequence[Timeline] = (), links: Sequence[Links] = ()
) -> list[Verdict]:
    """Every checker that applies over every trace: of each the first verdict that is not `holds`, or else the first.

    *timelines*, *links*: of the same traces, where they are prepared, and judged, already.
    """
    prepared = dict(zip(map(id, traces), timelines, strict=False))
    judged = dict(zip(map(id, traces), links, strict=False))
    found = []
    for checker in _asked(traces):
        if checker in _ASK_TIMELINES:
            verdicts = [checker(trace, prepared.get(id(trace))) for trace in traces]
        elif checker in _ASK_LINKS:
            verdicts = [checker(trace, judged.get(id(trace))) for trace in traces]
        else:
            verdicts = [checker(trace) for trace in traces]
        found.append(next((verdict for verdict in verdicts if verdict.value is not Value.HOLDS), verdicts[0]))
    return found

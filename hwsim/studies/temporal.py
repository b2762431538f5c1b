"""Research question 1: can an instant be the boundary of an atomic checkpoint?  Experiments on claims C2 and C3.

Abstract domains (one persist delay a checkpoint and domain, nothing ever torn) are simulated and
judged over the whole path that a user's topology takes; every figure stands beside a closed form
of `hwsim.studies.closed_forms`.

Source: the claims' wording is from the abstract of P. Borrill, arXiv 2603.02603 (2026); the
readings, definitions and experiments are ours.
"""

from __future__ import annotations

import itertools
import math
import statistics
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.contents import decode
from hwsim.outcomes import MIXED, WHOLE, Handed
from hwsim.recovery import DurableState
from hwsim.rules import RULES
from hwsim.studies import closed_forms as forms
from hwsim.studies.evidence import Evidence, Finding, Verdict, unless_contradicted

if TYPE_CHECKING:
    from hwsim.trace import Trace

WINDOW, PERIOD = 0.2, 1.0  # seconds, where nothing else is said


# Worlds ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """Timelines of one world, and what `result.json` would hold of them together."""

    traces: tuple[Trace, ...]
    result: dict[str, Any]


def world(
    domains: int,
    persist: str = "{uniform: [0s, 200ms]}",
    *,
    seed: int,
    periods: int,
    protocol: str = "{kind: in_place}",
    workload: Sequence[str] = (),
    what_if: Sequence[str] = (),
    repeats: int = 1,
    warm_up: int = 1,
) -> str:
    """The YAML of *domains* abstract domains that checkpoint every second; shares are of *periods* seconds."""
    lines = [
        "version: 1",
        "name: claim",
        f"seed: {seed}",
        f"horizon: {warm_up + periods}s",
        f"warm_up: {warm_up}s",
        f"repeats: {repeats}",
        "devices:",
        f"  d: {{kind: abstract, count: {domains}, persist: {persist}}}",
        "workload:",
        "  kind: checkpoint",
        "  interval: 1s",
        *(f"  {line}" for line in workload),
        '  shards: [{to: "d*"}]',
        f"protocol: {protocol}",
    ]
    if what_if:
        lines += ["what_if:", *(f"  {line}" for line in what_if)]
    return "\n".join(lines) + "\n"


def run(text: str, *, judge: bool = True) -> Run:
    """Simulate every timeline of the topology *text* and judge them; `result` is empty without *judge*."""
    from hwsim.metrics import evaluate
    from hwsim.simulation import simulate
    from hwsim.topology import load

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "claim.yaml"
        path.write_text(text, encoding="utf-8")
        topology = load(path)
    traces = tuple(simulate(topology, repeat=repeat) for repeat in range(topology.repeats))
    return Run(traces, evaluate(traces, topology.expect) if judge else {})


# C2: no instant can serve as an atomicity boundary -----------------------------------------------


@dataclass(frozen=True)
class Prefix:
    """What a crash after the events of one instant finds: each part's newest checkpoint, and what is handed back."""

    time_ps: int
    held: tuple[int, ...]
    handed: frozenset[Handed]


def prefixes(trace: Trace) -> Iterator[Prefix]:
    """Every different state that a crash could find, in order of time.

    For abstract domains only, whose one place outlives every power loss.  Written apart from the
    crash sweep, which it checks by the way.
    """
    header = trace.header
    rule = RULES[header.rule]
    state = DurableState(header.parts)
    shards = [part.name for part in header.parts if part.shard >= 0]
    assert all(len(part.stack) == 1 for part in header.parts)
    slots: dict[str, dict[str, int]] = {name: {} for name in shards}
    facts = (row for row in trace if row.place is not None)
    for time_ps, rows in itertools.groupby(facts, key=lambda row: row.time_ps):
        for row in rows:
            assert row.part is not None
            assert row.slot is not None
            contents = None if row.may is None else decode(row.may)
            state.set(row.part, row.slot, contents)
            if row.part in slots:
                newest = max(contents, default=-1) if contents and len(contents) == 1 else -1
                if newest > 0:
                    slots[row.part][row.slot] = newest
                else:
                    slots[row.part].pop(row.slot, None)
        held = tuple(max(slots[name].values(), default=0) for name in shards)
        yield Prefix(time_ps, held, rule(state, header.rule_params))


def c2_raw(full: bool) -> Finding:
    """E1.7 in place: of the N+1 durable prefixes of a checkpoint exactly N-1 are mixed, so no instant turns all."""
    evidence = []
    for domains in (2, 4, 8, 16) if full else (2, 8):
        trace = run(world(domains, seed=21, periods=20)).traces[0]
        per_checkpoint: dict[int, int] = {}
        silent: dict[int, int] = {}
        for prefix in prefixes(trace):
            newest = max(prefix.held)
            per_checkpoint[newest] = per_checkpoint.get(newest, 0) + (len(set(prefix.held)) > 1)
            silent[newest] = silent.get(newest, 0) + (Handed(MIXED) in prefix.handed)
        complete = sorted(per_checkpoint)[:-1]  # the last one may be under way at the horizon
        for what, counts in (("found", per_checkpoint), ("handed back", silent)):
            worst = max((counts[epoch] for epoch in complete), key=lambda count: abs(count - (domains - 1)))
            evidence.append(Evidence(
                f"mixed prefixes {what} a checkpoint, N={domains}", "N-1", worst, domains - 1,
                n=len(complete), how="enumerated",
            ))
    return Finding(
        "C2.raw", "of what lies on the media",
        unless_contradicted(Verdict.SUPPORTED, evidence),
        "in place, every checkpoint passes through N-1 mixed states; no single instant turns all domains "
        "(crashes of all domains at once, after every event)",
        tuple(evidence),
    )


def c2_recovered(full: bool) -> Finding:
    """E1.7 with a record or logs: no prefix is handed back mixed, and one event a checkpoint flips what is."""
    evidence = []
    protocols = {
        "manifest": "{kind: manifest, message_delay: 1ms, manifest: {persist: 5ms}}",
        "two-phase commit": "{kind: two_phase, message_delay: 1ms, log: {persist: 5ms}}",
    }
    for (name, protocol), domains in itertools.product(protocols.items(), (2, 4, 8, 16) if full else (2, 8)):
        trace = run(world(domains, seed=22, periods=20, protocol=protocol)).traces[0]
        states = list(prefixes(trace))
        raw_mixed = sum(len(set(state.held)) > 1 for state in states)
        not_whole = sum(any(handed.kind != WHOLE for handed in state.handed) for state in states)
        doubtful = sum(len(state.handed) != 1 for state in states)
        epochs = [max(handed.epoch or 0 for handed in state.handed) for state in states]
        flips: dict[int, int] = {}
        for before, after in itertools.pairwise([0, *epochs]):
            if before != after:
                flips[after] = flips.get(after, 0) + 1
        odd = max(flips.values(), key=lambda count: abs(count - 1), default=0)
        steps_of_one = all(after - before in (0, 1) for before, after in itertools.pairwise([0, *epochs]))
        n, where = len(states), f"{name}, N={domains}"
        evidence += [
            Evidence(f"prefixes not handed back as one checkpoint, {where}", "0", not_whole + doubtful, 0,
                     n=n, how="enumerated"),
            Evidence(f"events that flip what is handed back, a checkpoint, {where}", "1", odd, 1,
                     n=len(flips), how="enumerated"),
            Evidence(f"flips that go anywhere but to the next checkpoint, {where}", "0", float(not steps_of_one), 0,
                     n=len(flips), how="enumerated"),
        ]
        if not raw_mixed:  # then the experiment would show nothing
            evidence.append(Evidence(f"mixed prefixes on the media, {where}", "> 0", 0, 1, how="enumerated"))
    return Finding(
        "C2.recovered", "of what a recovery hands back",
        unless_contradicted(Verdict.REFUTED, evidence),
        "with a manifest, or forced logs, the media are mixed all the same, yet one event flips the recovered "
        "checkpoint: a boundary (crashes of all domains at once, after every event)",
        tuple(evidence),
    )


# C3: atomicity is a measure-zero event whose complement grows exponentially ----------------------


def c3_simultaneity(full: bool) -> Finding:
    """Reading 1: the N durability instants of one checkpoint coincide with probability 0."""
    evidence = []
    good = 0.0
    for domains in (2, 8):
        found = run(world(domains, seed=31, periods=4000 if full else 1000))
        instants = durable_instants(found.traces[0])
        complete = [times for times in instants.values() if len(times) == domains]
        together = sum(len(set(times)) == 1 for times in complete)
        evidence.append(Evidence(
            f"checkpoints durable at one instant everywhere, N={domains}", "0 for a continuous law",
            together / len(complete), 0.0, se=1 / len(complete), n=len(complete),
        ))
        good = found.result["raw"]["uniform_share"]
    control = durable_instants(run(world(8, "{constant: 5ms}", seed=31, periods=100), judge=False).traces[0])
    evidence.append(Evidence(
        "the same for equal constant delays, N=8 (control)", "1: no continuous law",
        statistics.fmean(len(set(times)) == 1 for times in control.values()), 1.0, n=len(control), how="enumerated",
    ))
    return Finding(
        "C3.1", "the N instants of durability coincide",
        unless_contradicted(Verdict.SUPPORTED, evidence),
        f"never, as for any continuous delays; yet {good:.1%} of the instants are good: a crash does not ask when",
        tuple(evidence),
    )


def c3_counting(full: bool) -> Finding:
    """Reading 2: 2 of the 2^N vectors of {e-1, e} are uniform: a count; is it what a crash finds, too?"""
    counted, weighed = [], []
    for domains in (2, 8, 12) if full else (2, 8):
        uniform = sum(len(set(vector)) == 1 for vector in itertools.product((0, 1), repeat=domains))
        counted.append(Evidence(f"uniform vectors of 2^{domains}", "2", uniform, 2, n=2**domains, how="enumerated"))
        n = 1000
        found = run(world(domains, seed=32, periods=n))
        weighed.append(Evidence(
            f"share of instants that are uniform, N={domains}", "1 - (w/T)(N-1)/(N+1)",
            found.result["raw"]["uniform_share"], forms.good_share_uniform(domains, WINDOW, PERIOD),
            math.sqrt(forms.range_variance_uniform(domains, WINDOW) / n) / PERIOD, n,
        ))
    as_probability = [
        Evidence(item.quantity, "2^(1-N), were all vectors equally likely", item.measured,
                 forms.uniform_vectors(domains), item.se, item.n)
        for item, domains in zip(weighed, (2, 8, 12), strict=False)
    ]
    equally_likely = all(item.agrees for item in as_probability)
    return Finding(
        "C3.2", "2 of 2^N vectors are uniform",
        unless_contradicted(Verdict.SUPPORTED if equally_likely else Verdict.CONDITIONAL, counted + weighed),
        "true as a count; as a probability only if the vectors were equally likely, and they are not",
        (*counted, *weighed),
    )


def c3_fixed_instant(full: bool) -> Finding:
    """Reading 3: a crash at a fixed phase s finds all equal with probability F(s)^N + (1-F(s))^N."""
    n = 16000 if full else 4000
    evidence = []
    settled = True
    phases = (("half", "100ms", 0.5), ("quarter", "50ms", 0.25), ("later", "300ms", 1.0))
    for domains in (2, 4, 8):
        what_if = [f"{name}: {{kind: power_loss, together: \"d*\", phase: {phase}}}" for name, phase, _ in phases]
        found = run(world(domains, seed=33, periods=n // domains, what_if=what_if))
        for name, phase, done in phases:
            expected = forms.same_at_phase(done, domains)
            draws = n // domains
            evidence.append(Evidence(
                f"P(same) at s={phase}, N={domains}", "F^N + (1-F)^N",
                found.result["what_if"][name]["raw"].get("uniform_share", 0.0), expected,
                math.sqrt(expected * (1 - expected) / draws), draws,
            ))
        settled = settled and evidence[-1].measured == 1
    inside = all(_exponential(partial(forms.same_at_phase, done)) for _, _, done in phases[:2])
    verdict = Verdict.REFUTED if not inside else Verdict.CONDITIONAL if settled else Verdict.SUPPORTED
    return Finding(
        "C3.3", "a crash at a fixed instant of the period",
        unless_contradicted(verdict, evidence),
        "exponential in N while the instant lies inside the window, worst 2^(1-N) half-way; after the window it is 1",
        tuple(evidence),
    )


def c3_barrier(full: bool) -> Finding:
    """Reading 4: the share of crash instants that are good, where every checkpoint ends before the next begins."""
    n = 2000 if full else 400
    evidence = []
    good: dict[int, Evidence] = {}
    for domains in (2, 4, 16, 64):
        raw = run(world(domains, seed=34, periods=n)).result["raw"]
        good[domains] = Evidence(
            f"P(good), U[0, .2T], N={domains}", "1 - (w/T)(N-1)/(N+1)",
            raw["uniform_share"], forms.good_share_uniform(domains, WINDOW, PERIOD),
            math.sqrt(forms.range_variance_uniform(domains, WINDOW) / n) / PERIOD, n,
        )
        evidence.append(good[domains])
        if domains == 4:
            shares = forms.at_latest_uniform(domains, WINDOW, PERIOD)
            spread = math.sqrt(forms.piece_variance_uniform(domains, WINDOW) / n) / PERIOD
            evidence += [
                Evidence(f"P({j} of 4 hold the newest)", "(w/T)/(N+1), and 1-w/T more for N",
                         raw["at_latest"].get(str(j), 0.0), share, spread, n)
                for j, share in enumerate(shares)
            ]
            distinct = sum(int(count) * share for count, share in raw["distinct"].items())
            evidence.append(Evidence("E[distinct checkpoints], N=4", "1 + P(mixed)", distinct,
                                     2 - good[domains].expected, good[domains].se, n))
    raw = run(world(64, "{exponential: 20ms}", seed=35, periods=n)).result["raw"]
    evidence.append(Evidence(
        "P(good), Exp(.02T), N=64", "1 - (tau/T) H_(N-1)", raw["uniform_share"],
        forms.good_share_exponential(64, 0.02, PERIOD),
        math.sqrt(forms.range_variance_exponential(64, 0.02) / n) / PERIOD, n,
    ))
    exponential = good[2].measured ** (64 / 2)  # what two domains foretell for 64, were the law exponential
    refuted = good[64].measured - exponential > 4 * good[64].se and good[64].measured >= 1 - WINDOW / PERIOD
    return Finding(
        "C3.4a", "the share of crash instants that are good, with a barrier",
        unless_contradicted(Verdict.REFUTED if refuted else Verdict.SUPPORTED, evidence),
        f"it saturates at 1 - w/T: {good[64].measured:.4f} for 64 domains, "
        f"where an exponential law through N=2 would leave {exponential:.4f}",
        tuple(evidence),
    )


def c3_no_barrier(full: bool) -> Finding:
    """Reading 4 without a barrier: one period and random phases, 2/(N+1)."""
    repeats = 1000 if full else 150
    evidence = []
    for domains in (2, 8, 32):
        text = world(domains, "{constant: 1ms}", seed=36, periods=1, warm_up=4, repeats=repeats,
                     workload=("start: random_phase",))
        evidence.append(Evidence(
            f"P(same), random phases, N={domains}", "2/(N+1)", run(text).result["raw"]["uniform_share"],
            forms.same_share_random_phase(domains),
            math.sqrt(forms.range_variance_uniform(domains, PERIOD) / repeats) / PERIOD, repeats,
        ))
    exponential = evidence[0].measured ** (32 / 2)
    refuted = evidence[-1].measured - exponential > 4 * evidence[-1].se
    return Finding(
        "C3.4b", "the share of good instants, one period and random phases",
        unless_contradicted(Verdict.REFUTED if refuted else Verdict.SUPPORTED, evidence),
        "it falls as 2/(N+1): to zero, but not exponentially",
        tuple(evidence),
    )


def c3_free_running(full: bool) -> Finding:
    """Reading 4 where the domains do not even share a period: Poisson epochs, sum_k Pois(k)^N."""
    repeats = 2000 if full else 400
    evidence = []
    for domains in (2, 3, 4):
        text = world(domains, "{constant: 1ns}", seed=37, periods=5, warm_up=0, repeats=repeats,
                     workload=("start: poisson",), what_if=('then: {kind: power_loss, together: "d*", at: 4s}',))
        expected = forms.same_free_running(domains, 4.0)
        evidence.append(Evidence(
            f"P(same), Poisson epochs, mean 4, N={domains}", "sum_k Pois(k)^N",
            run(text).result["what_if"]["then"]["raw"].get("uniform_share", 0.0), expected,
            math.sqrt(expected * (1 - expected) / repeats), repeats,
        ))
    exponential = _exponential(lambda n: forms.same_free_running(n, 4.0))
    return Finding(
        "C3.4c", "the share of good instants, free-running domains",
        unless_contradicted(Verdict.CONDITIONAL if exponential else Verdict.REFUTED, evidence),
        "exponential in N, for domains that neither wait for each other nor share a period",
        tuple(evidence),
    )


def c3_overlapping(full: bool) -> Finding:
    """Reading 4 where persists outlive their period, so that no phase is ever settled: sum_d p_d^N."""
    repeats, periods = (40, 200) if full else (16, 60)
    evidence = []
    for law, persist, name in (
        (forms.Uniform(0, 2.5), "{uniform: [0s, 2.5s]}", "U[0, 2.5T]"),
        (forms.Exponential(1.0), "{exponential: 1s}", "Exp(T)"),
    ):
        for domains in (2, 4, 8) if full else (2, 6):
            text = world(domains, persist, seed=38, periods=periods, warm_up=40, repeats=repeats,
                         workload=("mode: async", "in_flight: {max: 64, when_full: wait}"))
            same, distinct = per_timeline(run(text).traces)
            evidence += [
                Evidence(f"P(same), {name}, N={domains}", "mean over s of sum_d p_d^N", statistics.fmean(same),
                         forms.same_share_overlapping(law, domains, PERIOD), _standard_error(same), repeats),
                Evidence(f"E[distinct], {name}, N={domains}", "mean over s of sum_d 1-(1-p_d)^N",
                         statistics.fmean(distinct), forms.distinct_overlapping(law, domains, PERIOD),
                         _standard_error(distinct), repeats),
            ]
    exponential = _exponential(lambda n: forms.same_share_overlapping(forms.Uniform(0, 2.5), n, PERIOD))
    return Finding(
        "C3.4d", "the share of good instants, persists that outlive their period",
        unless_contradicted(Verdict.CONDITIONAL if exponential else Verdict.REFUTED, evidence),
        "exponential in N once persists outlive the period so far that no instant is settled",
        tuple(evidence),
    )


# Measuring ---------------------------------------------------------------------------------------


def durable_instants(trace: Trace) -> dict[int, list[int]]:
    """Checkpoint -> the instants (ps) at which its shards became durable."""
    shards = {part.name for part in trace.header.parts if part.shard >= 0}
    instants: dict[int, list[int]] = {}
    for row in trace:
        if row.event == "persisted" and row.part in shards and row.epoch is not None:
            instants.setdefault(row.epoch, []).append(row.time_ps)
    return instants


def per_timeline(traces: Sequence[Trace]) -> tuple[list[float], list[float]]:
    """Share of uniform time, and mean number of distinct checkpoints, of each timeline by itself."""
    from hwsim.metrics import evaluate

    raws = [evaluate([trace], ())["raw"] for trace in traces]
    distinct = [sum(int(count) * share for count, share in raw["distinct"].items()) for raw in raws]
    return [raw["uniform_share"] for raw in raws], distinct


def _standard_error(values: Sequence[float]) -> float:
    return statistics.stdev(values) / math.sqrt(len(values))


def _exponential(share: Callable[[int], float]) -> bool:
    """Whether a closed form falls at a rate that settles above zero: log P is linear in N for large N."""
    rates = [math.log(share(n) / share(2 * n)) / n for n in (16, 32, 64)]
    return rates[-1] > 0.05 and abs(rates[-1] / rates[-2] - 1) < 0.1

"""Claim C6: does a bilateral protocol reach convergence, and is there then no instant at which all hold the checkpoint?

Abstract domains on bilateral links, each with a lag of its own, take checkpoints; whether `Conv` holds is asked of what
recovery would hand back at every instant, whether `Snap` holds of what lies on the media at every instant.

The answer depends on how far domains may run ahead.  With two versions kept a domain begins its next checkpoint only
when it knows the last to be committed, so at the commit all are at it: nobody looks at that instant, and nothing in the
protocol is about it, but it is there.  With three kept the fast ones are further on by then, and no instant is.
Neighbours alone converge on nothing: what they have adopted differs for a share of the time.

Source: the claim is from the abstract of arXiv 2603.02603 (2026); the definitions of Snap and Conv are ours
(`hwsim.checkers`).
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from math import factorial
from typing import TYPE_CHECKING

from hwsim.studies.evidence import Evidence, Finding, Verdict, unless_contradicted

if TYPE_CHECKING:
    from hwsim.trace import Trace

_LINK = "kind: bilateral, rate: 400Gb/s, delay: 0s, beacon: 10h, retransmit: 10h, nv: {write: 1ns, word: 128B}"
_LAGS = ("50ms", "350ms", "700ms", "1300ms")  # of the four domains; checkpoints are due each second


def world(
    protocol: str, *, persist: Sequence[str], spread: str, periods: int, seed: int, in_flight: int = 4
) -> str:
    """The YAML of abstract domains, one for each law in *persist*, on bilateral links."""
    lines = ["version: 1", "name: claim", f"seed: {seed}", f"horizon: {periods + 2}s", "warm_up: 1s", "devices:"]
    lines += [f"  d{i}: {{kind: abstract, persist: {law}}}" for i, law in enumerate(persist)]
    lines += [
        "links:",
        f'  - {{from: "d*", spread: {spread}, {_LINK}}}',
        "workload:",
        "  kind: checkpoint",
        "  interval: 1s",
        "  mode: async",
        f"  in_flight: {{max: {in_flight}}}",
        '  shards: [{to: "d*"}]',
        f"protocol: {protocol}",
    ]
    return "\n".join(lines) + "\n"


def _converged(trace: Trace) -> tuple[list[int], list[int]]:
    """The acknowledged checkpoints for which Conv holds, and those of them at which Snap held at some instant."""
    from hwsim.checkers import Conv, convergence, snapshots
    from hwsim.verdicts import Value

    acknowledged = sorted({record.epoch for record in trace if record.event == "epoch_committed" and record.epoch})
    held = [e for e in acknowledged if convergence(trace, Conv(trace.header.rule, e)).value is Value.HOLDS]
    together = {epoch for _, epoch in snapshots(trace)}
    return held, [epoch for epoch in held if epoch in together]


def _tree(name: str, keep: int, reading: str, full: bool, *, expected_snaps: int) -> Finding:
    from hwsim.studies.temporal import run

    periods = 60 if full else 12
    lags = [f"{{constant: {lag}}}" for lag in _LAGS]
    text = world(f"{{kind: tree_convergence, keep: {keep}}}", persist=lags, spread="line", periods=periods, seed=61)
    trace = run(text, judge=False).traces[0]
    acknowledged = sum(row[1] == "epoch_committed" for row in trace.rows)
    held, with_snap = _converged(trace)
    share = Fraction(len(with_snap), len(held)) if held else Fraction(-1)
    evidence = (
        Evidence("acknowledged checkpoints for which Conv holds", "all", len(held), acknowledged,
                 n=acknowledged, how="enumerated"),
        Evidence("of these, the share for which Snap holds at some instant", f"{expected_snaps}", float(share),
                 expected_snaps, n=len(held), how="enumerated"),
    )  # fmt: skip
    because = (
        f"four domains with lags of {', '.join(_LAGS)} on a line, {keep} versions kept: {len(held)} checkpoints "
        f"converge, and for {len(with_snap)} of them there is an instant at which all domains are at it"
    )
    verdict = Verdict.SUPPORTED if held and not with_snap else Verdict.REFUTED
    return Finding(name, reading, unless_contradicted(verdict, evidence), because, evidence)


def two_kept(full: bool) -> Finding:
    """A tree with two versions kept: Conv holds, and the commit is an instant of Snap."""
    return _tree("C6.a", 2, "a tree of links, two versions kept", full, expected_snaps=1)


def three_kept(full: bool) -> Finding:
    """A tree with three versions kept: Conv holds, and Snap at no instant."""
    return _tree("C6.b", 3, "a tree of links, three versions kept, domains that lag", full, expected_snaps=0)


def neighbours_alone(full: bool) -> Finding:
    """Bilateral rounds alone, on a ring: what recovery hands back is a mix for a share of the time."""
    from hwsim.studies.temporal import run

    domains, window = 16, Fraction(3, 10)
    text = world("{kind: bilateral_pairwise}", persist=["{uniform: [0s, 300ms]}"] * domains, spread="ring",
                 periods=400 if full else 100, seed=62, in_flight=1)  # fmt: skip
    result = run(text).result
    mixed = result["recovered"]["outcomes"].get("silent_mixed", 0.0)
    expected = float(window * ring_window(domains))
    evidence = Evidence("share of crash instants that recover a mix", "w (E max - E min of maxima of three)/T", mixed,
                        expected, se=result["recovered"]["se"], n=result["checkpoints"]["begun"])  # fmt: skip
    verdict = Verdict.REFUTED if mixed > 0 else Verdict.SUPPORTED
    because = (
        "16 domains on a ring, each adopting what both neighbours are known to have: no checkpoint is handed back to "
        "all from some instant on, for the next adoption mixes again"
    )
    return Finding("C6.c", "bilateral links alone", unless_contradicted(verdict, [evidence]), because, (evidence,))


def ring_window(domains: int) -> Fraction:
    """E[max A - min A] where A_i is the largest of X at i and at both neighbours on a ring, X uniform in [0, 1].

    All A exceed x where no three neighbours in a row have X <= x: the patterns are counted, each with k such domains
    has probability x^k (1-x)^(n-k), and the integral over x of that is k! (n-k)! / (n+1)!.
    """
    n = domains
    counts = _rings_without_three(n)
    least = sum(
        Fraction(count * factorial(k) * factorial(n - k), factorial(n + 1)) for k, count in enumerate(counts)
    )
    return Fraction(n, n + 1) - least


def _rings_without_three(n: int) -> list[int]:
    """How many rings of n bits have k ones and no three ones in a row, for each k."""
    counts = [0] * (n + 1)
    for first in ((0, 0), (0, 1), (1, 0), (1, 1)):
        # (the last two bits) -> how many strings, by their ones; closed into a ring at the end
        ways: dict[tuple[int, int], dict[int, int]] = {first: {sum(first): 1}}
        for _ in range(n - 2):
            longer: dict[tuple[int, int], dict[int, int]] = {}
            for (a, b), by_ones in ways.items():
                for bit in (0, 1):
                    if a and b and bit:
                        continue
                    into = longer.setdefault((b, bit), {})
                    for ones, count in by_ones.items():
                        into[ones + bit] = into.get(ones + bit, 0) + count
            ways = longer
        for (a, b), by_ones in ways.items():
            if (a and b and first[0]) or (b and first[0] and first[1]):
                continue
            for ones, count in by_ones.items():
                counts[ones] += count
    return counts

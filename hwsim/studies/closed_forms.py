"""Closed forms of how often independent persistence domains disagree about the checkpoint they hold.

The model.  N domains begin checkpoint k at time kT and domain i holds it durably X later, X drawn
anew for each domain and checkpoint.  A crash falls at phase s = t mod T.  It finds the domains
*mixed* if they hold more than one checkpoint.  Every quantity that `hwsim claims` and the oracle
tests hold the simulator against is here, with its derivation; nothing here looks at a simulation.

All times are floats of one unit, whichever the caller likes.

Source: the claims are from the abstract of P. Borrill, "Why Atomicity Matters to AI/ML
Infrastructure", arXiv 2603.02603 (2026).  The derivations are ours.  Order statistics: David and
Nagaraja, Order Statistics, 3rd ed. (2003), sections 2.1 to 2.5.

Not modelled: torn shards, caches, anything that depends on a device; see the topologies for these.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import pairwise
from typing import Protocol

_TAIL = 1e-15  # probability that is left out at the end of an unbounded law or sum
_NODES = 16  # of one Gauss-Legendre panel: exact for polynomials up to degree 31
_PANELS = 24  # between two kinks


class Law(Protocol):
    """How long one domain takes to make a checkpoint durable."""

    def cdf(self, x: float) -> float:
        """P(X <= x)."""

    @property
    def kinks(self) -> tuple[float, ...]:
        """Where the distribution function is not smooth, ascending; the first and last enclose all but 1e-15 of it."""


@dataclass(frozen=True)
class Uniform:
    """Equally likely anywhere in [low, high]."""

    low: float
    high: float

    def cdf(self, x: float) -> float:
        return min(max((x - self.low) / (self.high - self.low), 0.0), 1.0)

    @property
    def kinks(self) -> tuple[float, ...]:
        return (self.low, self.high)


@dataclass(frozen=True)
class Exponential:
    """Memoryless, of this mean."""

    mean: float

    def cdf(self, x: float) -> float:
        return -math.expm1(-x / self.mean) if x > 0 else 0.0

    @property
    def kinks(self) -> tuple[float, ...]:
        return (0.0, -math.log(_TAIL) * self.mean)


@dataclass(frozen=True)
class Constant:
    """Always the same."""

    value: float

    def cdf(self, x: float) -> float:
        return 1.0 if x >= self.value else 0.0

    @property
    def kinks(self) -> tuple[float, ...]:
        return (self.value,)


@dataclass(frozen=True)
class Early:
    """Another law whose clock runs ahead by *offset* (negative: behind): it begins, and ends, so much sooner."""

    law: Law
    offset: float

    def cdf(self, x: float) -> float:
        return self.law.cdf(x + self.offset)

    @property
    def kinks(self) -> tuple[float, ...]:
        return tuple(kink - self.offset for kink in self.law.kinks)


def harmonic(n: int) -> float:
    """H_n = 1 + 1/2 + ... + 1/n; H_0 = 0."""
    return math.fsum(1 / k for k in range(1, n + 1))


# E1.1 -- the share of crash instants that find the domains mixed --------------------------------


def mixed_share_pathwise(durable: Iterable[Sequence[float]], span: float) -> float:
    """The mixed share of one timeline, exactly, from the instants at which each checkpoint became durable.

    *durable*: for each checkpoint, every domain's instant.  *span*: the time they are a share of.
    As long as no domain makes checkpoint k+1 durable before every domain has k (checkpoints do
    not overlap), the domains are mixed exactly from the first to the last of these instants, so
    the share is the sum of the ranges over the span.  No assumption on the law or on independence.
    """
    return math.fsum(max(instants) - min(instants) for instants in durable) / span


def good_share_uniform(domains: int, window: float, period: float) -> float:
    """P(not mixed) for X ~ U[0, window] and a uniform crash phase: 1 - (w/T)(N-1)/(N+1).

    N points on [0, w] cut it into N+1 pieces of equal mean w/(N+1); the range spans N-1 of them.
    """
    _fits(window, period)
    return 1 - window / period * (domains - 1) / (domains + 1)


def range_variance_uniform(domains: int, window: float) -> float:
    """Var[max X - min X] for X ~ U[0, window]: the range over w is Beta(N-1, 2)."""
    return window * window * 2 * (domains - 1) / ((domains + 1) ** 2 * (domains + 2))


def good_share_exponential(domains: int, mean: float, period: float) -> float:
    """P(not mixed) for X ~ Exp(mean), mean << period: 1 - (tau/T) H_{N-1}.

    After the first of N has finished, the other N-1 start afresh: the range is the maximum of N-1
    exponentials, whose gaps have means tau/(N-1), ..., tau/2, tau.  What is left out is the chance
    that a write outlives its period, of the order N e^(-T/tau); `same_share_overlapping` has it.
    """
    return 1 - mean / period * harmonic(domains - 1)


def range_variance_exponential(domains: int, mean: float) -> float:
    """Var[max X - min X] for X ~ Exp(mean): the gaps above are independent, tau^2 (1 + 1/4 + ... + 1/(N-1)^2)."""
    return mean * mean * math.fsum(1 / (k * k) for k in range(1, domains))


def mixed_share(laws: Sequence[Law], period: float) -> float:
    """P(mixed) for domains of different laws, a uniform crash phase: (1/T) int [1 - prod F_i - prod (1-F_i)] ds.

    At phase s the domains agree if all have finished or none has.  Clock skew is `Early`.
    Raises ValueError where checkpoints can overlap (the laws' supports span more than a period).
    """
    edges = sorted(kink for law in laws for kink in law.kinks)
    _fits(edges[-1] - edges[0], period)

    def mixed(s: float) -> float:
        done = [law.cdf(s) for law in laws]
        return 1 - math.prod(done) - math.prod(1 - f for f in done)

    return integral(mixed, edges) / period


# E1.2 -- how many domains hold the newest checkpoint ---------------------------------------------


def at_latest_uniform(domains: int, window: float, period: float) -> list[float]:
    """P(J = j), j = 0..N, for the number J of domains that hold the checkpoint begun last, X ~ U[0, window].

    J is j between the j-th and the (j+1)-th finish, a piece of mean w/(N+1); from w to T it is N.
    """
    _fits(window, period)
    piece = window / period / (domains + 1)
    return [piece] * domains + [piece + 1 - window / period]


def piece_variance_uniform(domains: int, window: float) -> float:
    """Variance of the time for which J stays at one value: a piece over w is Beta(1, N)."""
    return window * window * domains / ((domains + 1) ** 2 * (domains + 2))


def distinct_mean(mixed: float) -> float:
    """E[distinct checkpoints] without overlap: one, and one more while mixed."""
    return 1 + mixed


# E1.3 -- a crash at a fixed phase ----------------------------------------------------------------


def same_at_phase(done: float, domains: int) -> float:
    """P(not mixed) at a phase where each domain has finished with probability *done*: F^N + (1-F)^N.

    Smallest at F = 1/2, where it is 2^(1-N): an adversary who picks the instant gets the
    exponential law.
    """
    return done**domains + (1 - done) ** domains


def uniform_vectors(domains: int) -> float:
    """Of the 2^N vectors that hold e-1 or e everywhere, the part that is uniform: 2/2^N.  A count, no probability."""
    return 2.0 ** (1 - domains)


# E1.4 -- no barrier ------------------------------------------------------------------------------


def same_share_random_phase(domains: int) -> float:
    """P(not mixed) for one period and a random phase for each domain: 2/(N+1).

    At phase s of a period a domain has turned with probability s/T; int s^N + (1-s)^N ds over [0, 1].
    """
    return 2 / (domains + 1)


def same_free_running(domains: int, mean: float) -> float:
    """P(not mixed) where each domain counts its own Poisson events, *mean* of them so far: sum_k Pois(k; mean)^N."""
    if mean == 0:
        return 1.0
    last = int(mean + 12 * math.sqrt(mean) + 40)
    logs = (k * math.log(mean) - mean - math.lgamma(k + 1) for k in range(last))
    return math.fsum(math.exp(domains * log) for log in logs)


# E1.5 -- persists that outlive their period ------------------------------------------------------


def age_probabilities(law: Law, phase: float, period: float) -> list[float]:
    """p_d: at *phase* after a begin, the newest checkpoint a domain holds is d behind the one begun last.

    The last d checkpoints are all unfinished with probability q_d = prod_{j<d} (1 - F(jT + s)),
    and the newest durable one wins, so p_d = q_d - q_{d+1}.
    """
    probabilities: list[float] = []
    behind = 1.0
    while behind > _TAIL:
        unfinished = behind * (1 - law.cdf(len(probabilities) * period + phase))
        probabilities.append(behind - unfinished)
        behind = unfinished
    return probabilities


def same_share_overlapping(law: Law, domains: int, period: float) -> float:
    """P(not mixed) for any X, uniform crash phase: the mean over s of sum_d p_d^N."""
    return _over_phases(law, period, lambda ages: math.fsum(p**domains for p in ages))


def distinct_overlapping(law: Law, domains: int, period: float) -> float:
    """E[distinct checkpoints] for any X, uniform crash phase: the mean over s of sum_d 1 - (1-p_d)^N."""
    return _over_phases(law, period, lambda ages: math.fsum(1 - (1 - p) ** domains for p in ages))


# E1.6 -- crashes that restart the schedule -------------------------------------------------------


def phase_density(phase: float, period: float, mean_between_crashes: float) -> float:
    """Density of the phase of a Poisson crash where each recovery restarts the schedule.

    The time from a recovery to the next crash is Exp(M); modulo T its density is
    sum_k e^(-(s+kT)/M)/M = e^(-s/M) / (M (1 - e^(-T/M))): early phases are likelier.
    """
    m = mean_between_crashes
    return math.exp(-phase / m) / (m * -math.expm1(-period / m))


def mixed_restarting(law: Law, domains: int, period: float, mean_between_crashes: float) -> float:
    """P(mixed) at a crash whose phase has `phase_density`, where every schedule starts from equal domains."""
    kinks = _within(law, period)
    return integral(
        lambda s: phase_density(s, period, mean_between_crashes) * (1 - same_at_phase(law.cdf(s), domains)), kinks
    )


def mixed_restarting_in_place(law: Law, domains: int, period: float, mean_between_crashes: float) -> float:
    """The same where a recovery leaves the media as they lie, and begins a checkpoint at once.

    A crash in the first period after a recovery that finds no domain finished (probability
    (1 - e^(-T/M)) h, h = int f (1-F)^N) finds what the last crash left, which is mixed with the
    probability pi that is asked for: pi = g + (1 - e^(-T/M)) h pi, with g from `mixed_restarting`.
    """
    m = mean_between_crashes
    untouched = integral(lambda s: phase_density(s, period, m) * (1 - law.cdf(s)) ** domains, _within(law, period))
    return mixed_restarting(law, domains, period, m) / (1 + math.expm1(-period / m) * untouched)


# Quadrature --------------------------------------------------------------------------------------


@lru_cache(maxsize=8)
def gauss_legendre(nodes: int) -> tuple[tuple[float, float], ...]:
    """(node, weight) of the Gauss-Legendre rule on [-1, 1], by Newton's method on the Legendre recurrence."""
    rule: list[tuple[float, float]] = []
    for i in range(1, nodes + 1):
        x = math.cos(math.pi * (i - 0.25) / (nodes + 0.5))
        slope = 1.0
        for _ in range(100):
            older, old = 1.0, x
            for k in range(2, nodes + 1):
                older, old = old, ((2 * k - 1) * x * old - (k - 1) * older) / k
            slope = nodes * (x * old - older) / (x * x - 1)
            step = old / slope
            x -= step
            if abs(step) < 1e-16:
                break
        rule.append((x, 2 / ((1 - x * x) * slope * slope)))
    return tuple(rule)


def integral(function: Callable[[float], float], edges: Iterable[float]) -> float:
    """The integral of *function* from the least to the greatest edge; it must be smooth between two edges."""
    points = sorted(set(edges))
    terms: list[float] = []
    for left, right in pairwise(points):
        half = (right - left) / _PANELS / 2
        for panel in range(_PANELS):
            middle = left + (2 * panel + 1) * half
            terms.extend(half * weight * function(middle + half * node) for node, weight in gauss_legendre(_NODES))
    return math.fsum(terms)


def _over_phases(law: Law, period: float, value: Callable[[list[float]], float]) -> float:
    """The mean over a uniform phase of a function of the age probabilities."""
    edges = {0.0, period, *(kink % period for kink in law.kinks)}
    return integral(lambda s: value(age_probabilities(law, s, period)), edges) / period


def _within(law: Law, period: float) -> list[float]:
    """The edges of an integral over one period; raises ValueError if the law reaches beyond it."""
    _fits(law.kinks[-1], period)
    return [0.0, period, *law.kinks]


def _fits(window: float, period: float) -> None:
    if window > period * (1 + 1e-12):
        raise ValueError(f"checkpoints overlap: a window of {window} in a period of {period}")

"""Closed forms of agreement over one lossy link: how long it takes, what it repeats, who is in doubt.

Losses are independent, with probability *a* on the way out and *b* on the way back; times are of one unit.
Nothing here looks at a simulation.

Source: the derivations are ours.  Stop-and-wait: Bertsekas and Gallager, Data Networks, 2nd ed. (1992), section 2.4.
"""

from __future__ import annotations

import math


def attempts(a: float, b: float) -> float:
    """The mean number of requests until one is answered: geometric, each succeeding if both frames come through."""
    return 1 / ((1 - a) * (1 - b))


def stop_and_wait_time(cycle: float, timeout: float, a: float, b: float) -> float:
    """The mean time from the first request to its answer, which takes *cycle* if nothing is lost."""
    return cycle + (attempts(a, b) - 1) * timeout


def stop_and_wait_deviation(timeout: float, a: float, b: float) -> float:
    """The standard deviation of that time: a geometric number of timeouts."""
    success = 1 / attempts(a, b)
    return timeout * math.sqrt(1 - success) / success


def duplicates(b: float) -> float:
    """The mean number of requests that reach a responder which has had them: until an answer comes through."""
    return b / (1 - b)


def exchange_rounds(p: float, links: int) -> float:
    """The mean rounds until four-message exchanges on so many links have all ended, every frame lost with *p*.

    Each needs two requests answered, G1 + G2 rounds with G geometric, so P(G1+G2 > k) is 1 for k < 2, else
    q^k + k (1-q) q^(k-1) with q = 1 - (1-p)^2: no answer in k rounds, or one only.  The mean of the
    greatest of several is the sum over k of 1 - (1 - P(G1+G2 > k))^links.
    """
    q = 1 - (1 - p) ** 2
    total, k = 0.0, 0
    while True:
        longer = 1.0 if k < 2 else q**k + k * (1 - q) * q ** (k - 1)
        term = 1 - (1 - longer) ** links
        total += term
        if k > 2 and term < 1e-15:
            return total
        k += 1


def delivered(p: float, frames: int) -> float:
    """The probability that exactly so many of the four frames arrive where the first loss is the link's death."""
    return (1 - p) ** 4 if frames == 4 else p * (1 - p) ** frames

"""The two witnesses of claim C1: that a snapshot predicate and a convergence property are different things.

One trace where Snap(t, e) holds at an instant and Conv(P, e) is violated; one where Conv(P, e) holds and Snap(t, e)
holds at no instant.  They are searched for among traces, not made by hand.

Source: the claim is from the abstract of arXiv 2603.02603; the definitions are this project's (see `hwsim.checkers`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from hwsim.checkers import Conv, Snap, convergence, snap_holds, snapshots
from hwsim.trace import Trace
from hwsim.verdicts import Value, Verdict


@dataclass(frozen=True)
class Witness:
    """A trace that tells Snap and Conv of one checkpoint apart; `snap` is None where it holds at no instant."""

    trace: Trace
    epoch: int
    snap: Snap | None
    conv: Verdict


def snap_without_conv(trace: Trace) -> Witness | None:
    """A checkpoint that all domains are at in one instant, and that a later recovery does not hand back."""
    if not any(row[1] == "recovered" for row in trace.rows):
        return None
    for time_ps, epoch in snapshots(trace):
        if not epoch:
            continue
        verdict = convergence(trace, Conv(trace.header.rule, epoch))
        if verdict.value is Value.VIOLATED:
            snap = Snap(time_ps, epoch)
            assert snap_holds(trace, snap)
            return Witness(trace, epoch, snap, verdict)
    return None


def conv_without_snap(trace: Trace) -> Witness | None:
    """A checkpoint that recovery hands back for good, and that the domains are at together in no instant."""
    together = {epoch for _, epoch in snapshots(trace)}
    committed = sorted({row[6] for row in trace.rows if row[1] == "epoch_committed" and row[6] is not None})
    for epoch in committed:
        if epoch in together:
            continue
        verdict = convergence(trace, Conv(trace.header.rule, epoch))
        if verdict.value is Value.HOLDS:
            return Witness(trace, epoch, None, verdict)
    return None


def search(traces: Iterable[Trace], predicate: Callable[[Trace], Witness | None]) -> Witness | None:
    """The first witness among *traces*, which are made only as far as needed."""
    for trace in traces:
        found = predicate(trace)
        if found is not None:
            return found
    return None

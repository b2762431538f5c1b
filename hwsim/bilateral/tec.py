"""Tree epoch convergence: N domains on a tree commit and recover epochs in common; its rules, as pure functions.

Every domain keeps the two newest epochs that it has made durable, each labelled with the generation in which it was
prepared.  In normal running each reports upwards how far its subtree is durable; the root's minimum *is* the commit
(no further write) and goes down again; epoch d+1 may be prepared only by who knows that d is committed.  A domain
that reboots starts a new generation; who hears of a newer one stops, and reports what it holds; the root takes the
newest epoch that all hold *under one label* and sends everybody back to it.

Frames are snapshots that only grow within a generation and mode, so a lost, repeated or stale one does no harm:
the exactly-once rounds of the bilateral link are not needed for this (they are for handing something over).

Why labels: by number alone, a domain may still hold epoch 2 of an old generation when the others have been rolled
back and prepared another epoch 2.  It is not the number that identifies an epoch but (generation, number).

Source: a design of this project.  It is tree two-phase commit whose votes cannot be no (Gray 1978), and coordinated
checkpointing with at most two kept checkpoints (Koo and Toueg, IEEE Trans. Softw. Eng. 13(1), 1987); waves over a
tree: Segall, IEEE Trans. Inf. Theory 29(1), 1983.

*Not modelled*: loss of what was durable, a changing tree, application messages between domains (they must carry the
epoch, and a domain in an older one delays them).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, NamedTuple

KEPT: Final = 2


class Version(NamedTuple):
    """What identifies a durable epoch: its number, and the generation that prepared it."""

    epoch: int
    label: int


class Mode(StrEnum):
    """Of a domain, and of a frame.  JOIN: a recovering domain that does not know yet what its subtree holds."""

    RUN = "run"
    REC = "rec"
    JOIN = "join"


class Durable(NamedTuple):
    """What a crash leaves: the generation, and the kept versions, oldest first; each change is one atomic write."""

    generation: int = 0
    kept: tuple[Version, ...] = (Version(0, 0),)

    @property
    def newest(self) -> int:
        return self.kept[-1].epoch


class Frame(NamedTuple):
    """A snapshot on an edge.  *epoch*: in RUN, the subtree's minimum (up) or what is committed (down).

    *held*: in REC, what the whole subtree holds (up).
    """

    generation: int
    mode: Mode
    epoch: int = 0
    held: frozenset[Version] = frozenset()


class Domain(NamedTuple):
    """A domain: *durable*, and what a crash takes.  *reports*: each child's last word in this generation and mode."""

    durable: Durable = Durable()
    mode: Mode = Mode.RUN
    committed: int = 0  # the newest epoch known to be committed
    reports: tuple[Frame | None, ...] = ()


@dataclass(frozen=True)
class Rules:
    """The rules; each switch off is a broken variant that a checker must reject."""

    labels: bool = True  # versions are compared by (generation, number), not by number
    generations_in_frames: bool = True
    durable_generation: bool = True
    kept: int = KEPT
    waits_for_commit: bool = True  # prepare d+1 only when d is known to be committed (with three kept: d-1)
    modes_apart: bool = True  # a report of what is held is no report of running


SOUND: Final = Rules()
UNKNOWN: Final = -1  # no epoch is known to be committed


def may_prepare(domain: Domain, rules: Rules = SOUND) -> bool:
    """Whether the next epoch may be made durable now.

    It overwrites the oldest of the kept ones, which must be older than any that may be the newest committed one: each
    epoch kept beyond two lets a domain run one further ahead.
    """
    ahead = max(rules.kept - KEPT, 0)
    known = domain.committed >= domain.durable.newest - ahead
    return domain.mode is Mode.RUN and (known or not rules.waits_for_commit)


def prepare(domain: Domain, rules: Rules = SOUND) -> Domain:
    """*domain* after it made its next epoch durable, over the older of the two it kept."""
    durable = domain.durable
    version = Version(durable.newest + 1, durable.generation)
    return domain._replace(durable=durable._replace(kept=(*durable.kept, version)[-rules.kept :]))


def up(domain: Domain, rules: Rules = SOUND) -> Frame:
    """What *domain* tells its parent."""
    generation = domain.durable.generation
    if domain.mode is Mode.RUN:
        return Frame(generation, Mode.RUN, subtree_minimum(domain))
    held = subtree_holds(domain, rules)
    return Frame(generation, Mode.JOIN) if held is None else Frame(generation, Mode.REC, held=held)


def down(domain: Domain) -> Frame:
    """What *domain* tells its children."""
    generation = domain.durable.generation
    return Frame(generation, Mode.RUN, domain.committed) if domain.mode is Mode.RUN else Frame(generation, Mode.JOIN)


def subtree_minimum(domain: Domain) -> int:
    """The newest epoch that the whole subtree of a running *domain* is known to hold."""
    return min([domain.durable.newest, *(report.epoch for report in domain.reports if report is not None)])


def subtree_holds(domain: Domain, rules: Rules = SOUND) -> frozenset[Version] | None:
    """The versions that every domain of the subtree of a recovering *domain* holds; None while a child is silent."""
    held = frozenset(domain.durable.kept)
    for report in domain.reports:
        if report is None:
            return None
        held = common(held, report.held, rules)
    return held


def common(mine: frozenset[Version], theirs: frozenset[Version], rules: Rules = SOUND) -> frozenset[Version]:
    """What both hold."""
    if rules.labels:
        return mine & theirs
    numbers = {version.epoch for version in theirs}
    return frozenset(version for version in mine if version.epoch in numbers)


def reboot(domain: Domain, rules: Rules = SOUND) -> Domain:
    """*domain* back from a crash: recovering in a new generation, knowing only what was durable."""
    return _recovering(domain, (domain.durable.generation if rules.durable_generation else 0) + 1)


def _recovering(domain: Domain, generation: int) -> Domain:
    durable = domain.durable._replace(generation=generation)
    return Domain(durable, Mode.REC, UNKNOWN, (None,) * len(domain.reports))


def resume_at(domain: Domain, epoch: int) -> Domain:
    """*domain* resumed at *epoch*, a newer one dropped.  All its subtree is known to hold that one."""
    kept = tuple(version for version in domain.durable.kept if version.epoch <= epoch)
    report = Frame(domain.durable.generation, Mode.RUN, epoch)
    return Domain(domain.durable._replace(kept=kept), Mode.RUN, epoch, (report,) * len(domain.reports))


def receive(domain: Domain, frame: Frame, child: int | None, rules: Rules = SOUND) -> Domain:
    """*domain* after a frame from its *child* of that place, or from its parent (None)."""
    mine = domain.durable.generation
    if frame.generation > mine:
        domain = _recovering(domain, frame.generation)
    elif frame.generation < mine and rules.generations_in_frames:
        return domain
    if child is None:
        if frame.mode is not Mode.RUN:
            return domain
        if domain.mode is Mode.RUN:
            return domain._replace(committed=max(domain.committed, frame.epoch))
        return resume_at(domain, frame.epoch)
    if frame.mode is Mode.REC and domain.mode is Mode.RUN and not rules.modes_apart:
        frame = Frame(frame.generation, Mode.RUN, max(version.epoch for version in frame.held))
    if frame.mode is not domain.mode:
        return domain
    before = domain.reports[child]
    if frame.mode is Mode.RUN and before is not None and before.epoch >= frame.epoch:
        return domain
    return domain._replace(reports=(*domain.reports[:child], frame, *domain.reports[child + 1 :]))


def decide(domain: Domain, rules: Rules = SOUND) -> Domain:
    """The root's part: commit what the whole tree holds, or resume where all can; asked after each of its changes."""
    if domain.mode is Mode.RUN:
        return domain._replace(committed=max(domain.committed, subtree_minimum(domain)))
    held = subtree_holds(domain, rules)
    return domain if not held else resume_at(domain, max(version.epoch for version in held))


def neighbours_allow(mine: int, neighbours: Sequence[int]) -> bool:
    """The rule without a root: one more epoch once every neighbour holds mine.  Unsound with two kept."""
    return all(theirs >= mine for theirs in neighbours)

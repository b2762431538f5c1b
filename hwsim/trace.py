"""The trace: all that a run leaves behind, and all that any judgement may read.

Devices record *facts* (`persisted`, `lost`), protocols and workloads record *claims*
(`epoch_committed`).  A row is a plain tuple in the order of `Record`'s fields, because an object
an event halves the speed of a run; `Record` is the view on it.

Rows that name a `place` tell what that place holds: from `time_ps` on, its entry under
(`part`, `slot`) is `may` (see `hwsim.contents`), or no entry at all where `may` is None.
What a reader finds is the entry of the topmost place of the part's `stack` that has one; a crash
takes some places away, and the next one below answers.  That is the whole crash model.  (A place that
`doubts` a taken token answers or does not: both are possible.)
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, NamedTuple

# event -> (fact or claim, what it says).  A row's event is one of these.
EVENTS: Mapping[str, tuple[str, str]] = {
    # what a place holds
    "begun": ("fact", "the place began to receive a checkpoint; its old content is no longer sure"),
    "advanced": ("fact", "the write went on far enough to change what the place may hold"),
    "completed": ("fact", "a volatile place holds the checkpoint whole (acknowledged, not durable)"),
    "persisted": ("fact", "a non-volatile place holds the checkpoint whole"),
    "erased": ("fact", "the place holds no such key any more (deleted, evicted, or moved below)"),
    "lost": ("fact", "a crash took the place's content"),
    "torn": ("fact", "a crash or an abandoned write left a mix behind"),
    "stale": ("fact", "a client takes an old record for the current one (place: what it believes)"),
    # devices and links
    "struck": ("fact", "a fault (subject) of a kind (detail) struck a target (peer)"),
    "stopped": ("fact", "a domain stopped serving (detail: the crash kind)"),
    "restored": ("fact", "a domain serves again"),
    "failed": ("fact", "an operation of a device that lives failed (peer: write or sync; detail: errno)"),
    "orphaned": ("fact", "parts of an upload that nobody will complete stay in an object store, and nobody sees them"),
    "dependence_changed": ("fact", "what a place needs to keep its content changed (detail: JSON list)"),
    "disconnected": ("fact", "a queue pair went into error (peer: the memory it led to; detail: why)"),
    "dirty_shutdown": ("fact", "power went while memory could not save its buffers (detail: how often so far)"),
    "firmware_activated": ("fact", "a device runs another image from now on (detail: the image; peer: its slot)"),
    "sent": ("fact", "a message left its sender (peer: receiver; detail: kind)"),
    "delivered": ("fact", "a message reached its receiver (subject: receiver; peer: sender)"),
    "dropped": ("fact", "a message was lost (detail: reason)"),
    "register_written": ("fact", "the register of a link's end (subject: LINK@DEVICE) holds this now (detail)"),
    "register_worn_out": ("fact", "the register of a link's end takes no further write"),
    "tokens_issued": ("fact", "the custody of a link's end holds these tokens as the run begins (detail)"),
    "fenced": ("fact", "a link's end saw a violation (detail: which) and takes no part until it is formatted"),
    # what programs say and do
    "checkpoint_begun": ("claim", "a checkpoint began: its cut of the training state is this instant (detail: number)"),
    "snapshot_taken": ("claim", "every rank holds its snapshot; training goes on"),
    "shard_saved": ("claim", "a shard's save returned to its writer"),
    "save_failed": ("claim", "a save returned an error to its writer (detail: the errno, and what the writer does)"),
    "checkpoint_skipped": ("claim", "a checkpoint was due and was skipped: too many in flight"),
    "checkpoint_abandoned": ("claim", "a checkpoint was given up"),
    "epoch_committed": ("claim", "the protocol acknowledged the checkpoint"),
    "state_recorded": ("claim", "a rank took its part of a cut (detail: JSON, see protocols.chandy_lamport)"),
    "channel_recorded": ("claim", "a rank has all of a channel's part of a cut (peer: sender; detail: JSON amounts)"),
    "epoch_known": ("claim", "a domain (subject) knows that the checkpoint is committed"),
    "epoch_adopted": ("claim", "a domain (subject) made the checkpoint the one that it would resume"),
    "generation_begun": ("claim", "a domain (subject) entered a generation (detail: which) to recover in it"),
    "training_stalled": ("claim", "training waits for a checkpoint"),
    "training_resumed": ("claim", "training goes on after a stall"),
    "job_stopped": ("claim", "training stopped: a crash"),
    "recovered": ("claim", "recovery handed back a checkpoint (epoch) (detail: what was handed, see recovery)"),
    "job_resumed": ("claim", "training goes on after a recovery"),
    "round_committed": ("claim", "a link's end says that a round committed: what was offered changed hands"),
    "round_reversed": ("claim", "a link's end says that a round was reversed: what was offered stays"),
    "round_closed": ("claim", "a link's end says that its peer too has ended the round"),
}


class Record(NamedTuple):
    """One row of the trace, in the order of its columns."""

    time_ps: int
    event: str
    subject: str
    place: str | None = None
    part: str | None = None
    slot: str | None = None
    epoch: int | None = None
    may: str | None = None
    size_bytes: int | None = None
    peer: str | None = None
    detail: str | None = None


Text = str | None
Row = tuple[int, str, str, Text, Text, Text, int | None, Text, int | None, Text, Text]
COLUMNS = Record._fields


@dataclass(frozen=True)
class Part:
    """One placed copy of one shard, or a protocol's own record (`shard` is -1).

    `stack` names the places a reader asks, topmost first; the last one is where the bytes rest.
    """

    name: str
    shard: int
    copy: int
    source: str
    device: str
    stack: tuple[str, ...]
    size_bytes: int


@dataclass(frozen=True)
class Strike:
    """What one crash takes: tokens such as `node0/nvme:power`; a place that needs a taken token loses its content."""

    label: str
    takes: tuple[str, ...]


@dataclass(frozen=True)
class CrashCase:
    """A question asked at every instant: one strike, or several of which one falls at a time (averaged).

    `at_ps`: one instant only.  `phase_ps`: this phase of every interval only.
    `hazard_mean_ps`: crash instants weighted as if crashes were Poisson with this mean and each
    restarted the schedule: density e^(-s/M) over the phase s of the interval.
    """

    name: str
    strikes: tuple[Strike, ...]
    at_ps: int | None = None
    phase_ps: int | None = None
    hazard_mean_ps: int | None = None


@dataclass(frozen=True)
class Header:
    """What the rows mean: everything a judgement needs beside them, and nothing of the live objects."""

    topology: str
    topology_sha256: str
    seed: int
    repeat: int
    horizon_ps: int
    warm_up_ps: int
    first_ps: int = 0  # of checkpoints; a run that takes none has no rule either, and no crash is asked about
    interval_ps: int = 0
    participants: tuple[str, ...] = ()  # devices whose absence makes an instant dark
    places: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # place -> tokens it needs, as the run began
    parts: tuple[Part, ...] = ()
    rule: str = ""  # name of the recovery rule, see hwsim.rules
    rule_params: Mapping[str, Any] = field(default_factory=dict)
    crashes: tuple[CrashCase, ...] = ()  # the first one is the default: power loss of everything
    failure_domains: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # name -> devices
    doubts: Mapping[str, tuple[str, ...]] = field(default_factory=dict)  # place -> tokens whose loss leaves it unsure

    @property
    def takes_checkpoints(self) -> bool:
        """Whether the run had anything that a crash could be asked about."""
        return bool(self.rule)

    def to_json(self) -> str:
        """One line of JSON with sorted keys; `from_json` reads it back."""
        return json.dumps(asdict(self), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Header:
        """Read what `to_json` wrote.  Raises KeyError, TypeError or ValueError on anything else."""
        raw = json.loads(text)
        raw["participants"] = tuple(raw["participants"])
        raw["places"] = {name: tuple(needs) for name, needs in raw["places"].items()}
        raw["parts"] = tuple(Part(**{**part, "stack": tuple(part["stack"])}) for part in raw["parts"])
        raw["crashes"] = tuple(
            CrashCase(**{**case, "strikes": tuple(Strike(s["label"], tuple(s["takes"])) for s in case["strikes"])})
            for case in raw["crashes"]
        )
        raw["failure_domains"] = {name: tuple(members) for name, members in raw["failure_domains"].items()}
        raw["doubts"] = {name: tuple(tokens) for name, tokens in raw.get("doubts", {}).items()}
        return cls(**raw)


class Trace:
    """An append-only list of rows under one header.  `figures` holds totals: counters, pipes' use."""

    def __init__(self, header: Header) -> None:
        self.header = header
        self.rows: list[Row] = []
        self.figures: dict[str, Any] = {}

    def __len__(self) -> int:
        return len(self.rows)

    def __iter__(self) -> Iterator[Record]:
        return map(Record._make, self.rows)

    def digest(self) -> str:
        """SHA-256 of header and rows: equal for equal runs, whatever the process, hash seed or Python version."""
        sha = hashlib.sha256(self.header.to_json().encode())
        for row in self.rows:
            sha.update(json.dumps(row, separators=(",", ":")).encode())
        return sha.hexdigest()

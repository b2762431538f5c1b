"""Chandy-Lamport: a consistent cut through ranks that go on talking, each at a step of its own.

Ranks exchange tokens of a sum that never changes, at random, over FIFO channels between every two of them.  The
coordinator records its own state and sends a marker on each of its channels; a rank that sees a marker for the first
time does the same.  What comes on a channel after a rank's own state and before that channel's marker belongs to the
channel: it was sent before the sender's cut and not received before the receiver's.  A rank saves its state, forces the
channels' to its log, and tells the coordinator, who forces a record "cut" once all ranks have: then it counts.
A cut that is not complete when the next one begins is given up.

Recovery rule: the newest record, and the shards of its checkpoint.  Guarantees: what is handed back is a consistent
cut: nothing was received before it that was not sent before it, and states and channels together hold the whole sum; it
is *not* one step of all ranks.  Blocks: no new cut while any rank is down; ranks never wait for each other otherwise.
Messages: one marker a directed channel, N(N-1), and one a rank.  Commit latency: a marker, the slowest save or, if it
is later, the last marker and a log entry; then a message and the record.

The trace tells the cut: `state_recorded` carries JSON with the rank's `balance` and, by peer, how many messages it had
`sent` and `received`; `channel_recorded` the amounts in the channel.  The kind of a message with tokens is
`tokens:FROM>TO:NUMBER:AMOUNT`.

Source: K. M. Chandy, L. Lamport, Distributed Snapshots: Determining Global States of Distributed Systems, ACM TOCS
3(1), 1985.

Not modelled: an application beyond the tokens; channels that lose (the transport sends again, and each message has a
number, by which the receiver restores their order); deltas between cuts.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from hwsim.coordination import CoordinatedParams
from hwsim.distributions import Distribution
from hwsim.logs import Log, LogRecord
from hwsim.outcomes import REFUSED, WHOLE
from hwsim.protocol import Job, Message, Protocol, mutation
from hwsim.quantities import Delay
from hwsim.saving import Saver

if TYPE_CHECKING:
    from hwsim.outcomes import Handed
    from hwsim.protocol import Node, Placed
    from hwsim.trace import Part

CUT = "cut"  # the coordinator's log


class ChandyLamportParams(CoordinatedParams):
    """Parameters of `kind: chandy_lamport`."""

    kind: Literal["chandy_lamport"] = Field(default="chandy_lamport", description="markers on FIFO channels")
    keep: int = Field(default=2, ge=1, description="complete cuts kept")
    tokens: int = Field(default=100, ge=1, description="that each rank begins with")
    every: Delay = Field(
        default=Distribution("exponential", (1e11,)),
        description="between two messages of a rank; default: exponential: 100ms",
    )
    log: LogRecord = Field(
        default_factory=LogRecord, description="entries of the logs, which lie where their writers' first shards go"
    )


class _Rank:
    """One rank of the application: its tokens, its channels, and its part of a cut that is being taken."""

    def __init__(self, node: Node, tokens: int, peers: Iterable[str]) -> None:
        self.node = node
        self.balance = tokens
        self.sent = dict.fromkeys(peers, 0)
        self.received = dict.fromkeys(self.sent, 0)
        self.early: dict[str, dict[int, tuple[str, int]]] = {peer: {} for peer in self.sent}  # came before their turn
        self.cut: int | None = None  # the newest cut that it took part in
        self.open: dict[str, list[int]] = {}  # channels without a marker yet -> what came on them since

    def state(self) -> dict[str, Any]:
        """Its part of a cut, as plain data."""
        return {"balance": self.balance, "sent": dict(self.sent), "received": dict(self.received)}


class ChandyLamport(Protocol, kind="chandy_lamport"):
    """A consistent cut, recorded while the application goes on."""

    Params = ChandyLamportParams
    rule: ClassVar[str] = "chandy_lamport"

    def __init__(self, job: Job, params: Any) -> None:
        super().__init__(job, params)
        job.message_delay = params.message_delay
        job.resend_ps = params.resend
        self._saver = Saver(job, params)
        self._record = Log(job, params, self._saver, CUT, job.coordinator)
        self._record.format()
        nodes = {node.name: node for node in job.nodes}
        self._channels = {
            name: Log(job, params, self._saver, f"channels{rank}", node)
            for rank, (name, node) in enumerate(nodes.items())
        }
        self._ranks = {
            name: _Rank(node, params.tokens, (peer for peer in nodes if peer != name)) for name, node in nodes.items()
        }
        self._draws = {name: self.world.stream("tokens", name) for name in nodes}
        self._pauses = {name: self.world.stream("pauses", name) for name in nodes}
        self._cuts: dict[int, dict[str, dict[str, Any]]] = {0: self._states()}  # checkpoint -> rank -> its part
        self._waiting: dict[tuple[str, int], list[tuple[Placed, bool]]] = {}  # ready before the rank took its part
        self._left: dict[tuple[str, int], int] = {}  # copies, and the log, that are not yet durable
        self._done: dict[int, set[str]] = {}  # cut under way -> ranks that told the coordinator
        self._kept: list[int] = []
        self._talk()

    def rule_params(self) -> Mapping[str, Any]:
        channels = [log.name for log in self._channels.values()]
        return {"record": CUT, "tokens": self.params.tokens, "channels": channels}

    def records(self) -> Iterable[Part]:
        return [log.part for log in (self._record, *self._channels.values())]

    # the application

    def _states(self) -> dict[str, dict[str, Any]]:
        return {name: {**rank.state(), "channels": {}} for name, rank in self._ranks.items()}

    def _talk(self) -> None:
        if len(self._ranks) > 1:
            for name in self._ranks:
                self._next(name)

    def _next(self, name: str) -> None:
        self.job.later(self.params.every.draw(self._pauses[name]), partial(self._give, name))

    def _give(self, name: str) -> None:
        """A rank sends some of its tokens to one of its peers."""
        rank, draws = self._ranks[name], self._draws[name]
        peer = draws.choice(list(rank.sent))
        amount = draws.randint(0, min(rank.balance, 10))
        if amount:
            rank.balance -= amount
            self._send(rank, peer, f"tokens:{name}>{peer}:{rank.sent[peer] + 1}:{amount}", 0, amount)
        self._next(name)

    def _send(self, rank: _Rank, peer: str, kind: str, epoch: int, amount: int) -> None:
        rank.sent[peer] += 1
        arrived = partial(self._arrived, self._ranks[peer], rank.sent[peer], amount)
        self.job.send(kind, epoch, rank.node, self._ranks[peer].node, arrived)

    def _arrived(self, rank: _Rank, number: int, amount: int, message: Message) -> None:
        """Take what came in the order in which it was sent."""
        early = rank.early[message.sender]
        early[number] = message.kind, message.epoch if message.kind == "marker" else amount
        while (turn := self._in_turn(rank, message.sender)) is not None:
            kind, value = early.pop(turn)
            if kind == "marker":  # what a rank had received before its part does not count the marker that made it
                self._marked(rank, message.sender, value)
            else:
                rank.balance += value
                if message.sender in rank.open:
                    rank.open[message.sender].append(value)
            rank.received[message.sender] += 1

    def _in_turn(self, rank: _Rank, sender: str) -> int | None:
        """The number of the message that is next on a channel, if it is there."""
        number = rank.received[sender] + 1
        return number if number in rank.early[sender] else None

    # the cut

    def begin(self, epoch: int) -> None:
        for older in list(self._done):
            self._fails(older, "a newer one has begun")
        self._done[epoch] = set()
        self._take_part(self._ranks.get(self.job.coordinator.name) or next(iter(self._ranks.values())), epoch)

    def _take_part(self, rank: _Rank, epoch: int) -> None:
        """Record the state, then send markers, before anything else is sent or received."""
        name = rank.node.name
        rank.cut = epoch
        state = rank.state()
        self._cuts.setdefault(epoch, {})[name] = {**state, "channels": {}}
        self.job.claim("state_recorded", epoch, subject=name, detail=json.dumps(state))
        rank.open = {peer: [] for peer in rank.sent}
        self._left[name, epoch] = len(rank.node.parts) + 1
        for peer in rank.sent:
            self._mark(rank, peer, epoch)
        for placed, from_host in self._waiting.pop((name, epoch), ()):
            self._write(placed, epoch, from_host)
        if not rank.open:
            self._log_channels(rank, epoch)

    def _mark(self, rank: _Rank, peer: str, epoch: int) -> None:
        self._send(rank, peer, "marker", epoch, 0)

    def _marked(self, rank: _Rank, sender: str, epoch: int) -> None:
        """A channel's marker: what came on it since the rank's own part is the channel's."""
        if rank.cut is None or rank.cut < epoch:
            self._take_part(rank, epoch)
        if rank.cut != epoch or sender not in rank.open:
            return
        amounts = self._recorded(rank.open.pop(sender))
        self._cuts[epoch][rank.node.name]["channels"][sender] = amounts
        self.job.claim("channel_recorded", epoch, subject=rank.node.name, peer=sender, detail=json.dumps(amounts))
        if not rank.open:
            self._log_channels(rank, epoch)

    def _recorded(self, amounts: list[int]) -> list[int]:
        return amounts

    def _log_channels(self, rank: _Rank, epoch: int) -> None:
        name = rank.node.name
        self._channels[name].append(epoch, partial(self._durable, rank.node, epoch), partial(self._fails, epoch))

    def save(self, placed: Placed, epoch: int, *, from_host: bool = False) -> None:
        if self._ranks[placed.node.name].cut == epoch:
            self._write(placed, epoch, from_host)
        else:
            self._waiting.setdefault((placed.node.name, epoch), []).append((placed, from_host))

    def _write(self, placed: Placed, epoch: int, from_host: bool) -> None:
        self._saver.save(
            placed, str(epoch), epoch, self._saved, self._not_saved, from_host=from_host,
            wanted=lambda epoch: epoch in self._done,
        )  # fmt: skip

    def _saved(self, placed: Placed, epoch: int) -> None:
        self.job.saved(placed, epoch)
        if epoch in self._done:
            self._durable(placed.node, epoch)
        else:  # given up meanwhile: what came too late goes too
            self.world.holdings.erase(placed.device, placed.name, str(epoch))

    def _not_saved(self, placed: Placed, epoch: int, errno: str) -> None:
        self.job.not_saved(placed, epoch)
        self._fails(epoch, errno)

    def _fails(self, epoch: int, errno: str) -> None:
        """A rank cannot keep its part; its next message says so.  (It is told at once here.)"""
        if self._done.pop(epoch, None) is None:
            return
        self.job.claim("checkpoint_abandoned", epoch, detail=errno)
        self._erase(epoch)
        self.job.finished(epoch)

    def _durable(self, node: Node, epoch: int) -> None:
        """One more of what a rank must keep is durable; once all is, it tells the coordinator."""
        if epoch not in self._done:
            return
        self._left[node.name, epoch] -= 1
        if not self._left[node.name, epoch]:
            del self._left[node.name, epoch]
            self._tell(node, epoch)

    def _tell(self, node: Node, epoch: int) -> None:
        self.job.send("done", epoch, node, self.job.coordinator, self._told)

    def _told(self, message: Message) -> None:
        done = self._done.get(message.epoch)
        if done is None or message.sender in done:
            return
        done.add(message.sender)
        if len(done) == self._wanted():
            self._record.append(
                message.epoch, partial(self._counts, message.epoch), partial(self._fails, message.epoch)
            )

    def _wanted(self) -> int:
        return len(self._ranks)

    def _counts(self, epoch: int) -> None:
        if self._done.pop(epoch, None) is None:
            return
        self.job.claim("epoch_committed", epoch, subject=self.job.coordinator.name)
        self._kept.append(epoch)
        while len(self._kept) > self.params.keep:
            self._erase(self._kept.pop(0))
        self.job.finished(epoch)

    def _erase(self, epoch: int) -> None:
        for placed in self.job.parts:
            self.world.holdings.erase(placed.device, placed.name, str(epoch))
        for log in (self._record, *self._channels.values()):
            log.erase(epoch)
        self._cuts.pop(epoch, None)

    # crashes

    def tear_down(self) -> None:
        self._done.clear()
        self._waiting.clear()
        self._left.clear()

    def resume(self, handed: Handed) -> None:
        """Every rank goes on from its part of the cut, and receives again what was in its channels."""
        recovered = handed.epoch or 0 if handed.kind == WHOLE else 0
        if handed.kind in (WHOLE, REFUSED):
            self._kept = [epoch for epoch in self._kept if epoch < recovered] + ([recovered] if recovered else [])
            for epoch in [epoch for epoch in self._cuts if epoch and epoch not in self._kept]:
                self._erase(epoch)
            self._record.format()
            for log in (self._record, *self._channels.values()):
                log.reset(recovered)
        for name, part in self._cuts[recovered].items():
            rank = self._ranks[name]
            rank.balance = part["balance"] + sum(map(sum, part["channels"].values()))
            rank.sent = dict(part["sent"])
            rank.early = {peer: {} for peer in rank.sent}
            rank.cut, rank.open = None, {}
        for rank in self._ranks.values():  # what was in the channels is received
            rank.received = {peer: self._ranks[peer].sent[rank.node.name] for peer in rank.sent}
        self._talk()


@mutation(ChandyLamport, "marker_reordered", "a marker overtakes what was sent before it")
class _MarkerReordered(ChandyLamport):
    def _in_turn(self, rank: _Rank, sender: str) -> int | None:
        early = rank.early[sender]
        return next((number for number, (kind, _) in early.items() if kind == "marker"), next(iter(early), None))


@mutation(ChandyLamport, "marker_late", "a rank sends its markers a while after it has recorded its state")
class _MarkerLate(ChandyLamport):
    def _mark(self, rank: _Rank, peer: str, epoch: int) -> None:
        self.job.later(10**11, partial(super()._mark, rank, peer, epoch))


@mutation(ChandyLamport, "channel_unrecorded", "what was in the channels is not recorded")
class _ChannelUnrecorded(ChandyLamport):
    def _recorded(self, amounts: list[int]) -> list[int]:
        return []


@mutation(ChandyLamport, "done_before_flush", "a rank tells the coordinator before its state is saved")
class _DoneBeforeFlush(ChandyLamport):
    def _write(self, placed: Placed, epoch: int, from_host: bool) -> None:
        super()._write(placed, epoch, from_host)
        self._durable(placed.node, epoch)

    def _saved(self, placed: Placed, epoch: int) -> None:
        self.job.saved(placed, epoch)


@mutation(ChandyLamport, "channels_unforced", "a rank tells the coordinator before its channels' log is durable",
          "a log that takes time to write")  # fmt: skip
class _ChannelsUnforced(ChandyLamport):
    def _log_channels(self, rank: _Rank, epoch: int) -> None:
        self._channels[rank.node.name].append(epoch, _nothing, partial(self._fails, epoch))
        self._durable(rank.node, epoch)


@mutation(ChandyLamport, "wait_skipped", "a cut counts once all ranks but one have their part of it", "several ranks")
class _WaitSkipped(ChandyLamport):
    def _wanted(self) -> int:
        return len(self._ranks) - 1


@mutation(ChandyLamport, "record_unforced", "a cut counts before its record is durable")
class _RecordUnforced(ChandyLamport):
    def _told(self, message: Message) -> None:
        super()._told(message)
        if len(self._done.get(message.epoch, ())) == len(self._ranks):
            self._counts(message.epoch)


def _nothing() -> None:
    """Nobody waits."""

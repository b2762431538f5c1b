"""What a trace tells of its bilateral links: rounds, tokens, doubt; and where it breaks the protocol's promises.

Facts are the rows `register_written` (what lies in an end's memory from then on), `tokens_issued` and `fenced`;
claims are `round_committed`, `round_reversed` and `round_closed` (the end knows that its peer has ended the round
too).  After every row of a link these must hold:

- rounds: ends that know each other are at most one round apart, and the one behind is bound in its round; rounds go up
  one at a time; both end a round alike, with the same epoch, which grows by one where it committed;
- tokens: each is in exactly one place, counting what an offer or an answer has on its way (below);
- claims: an end says that a round ended only once its memory says so, and that it is closed only once its peer's
  does.

A token is a bit of the application's word and, on its way, a payload of eight octets that is the bit's number.  It is
*here* where the word has its bit, or the inbox holds it.  In the slot of a bound end it is on its way: it exists
there, unless the peer has taken it in that round.  In the slot of an end that took in the last round it is a gift to a
peer that is still bound in that round, and exists there until that peer has ended it.

*In doubt* is the time in which a bound end has a token in its slot: its owner can neither use it nor call it gone.

Not judged here: single frames (they are counted, and captured where asked); whether a fence was called for, since a
forgery leaves no row.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from hwsim.trace import Record, Row, Trace

TOKENS = 64  # bits of the application's word
TOKEN_OCTETS = 8
EVENTS = frozenset(
    ("register_written", "tokens_issued", "fenced", "round_committed", "round_reversed", "round_closed")
)  # fmt: skip


def token(number: int) -> bytes:
    """The payload that is token *number*."""
    return number.to_bytes(TOKEN_OCTETS, "big")


class End(NamedTuple):
    """What lies in the memory of one end; payloads as octets, None for none."""

    round: int
    phase: str
    slot: bytes | None
    epoch: int
    inbox: bytes | None
    word: int
    nvid: int
    peer: int


class Violation(NamedTuple):
    """A promise broken: which (rounds, tokens, claims), how, and the row that shows it."""

    promise: str
    what: str
    record: Record


@dataclass
class Side:
    """One end as the rows so far tell it."""

    end: End | None = None
    ended: tuple[int, bool, int] | None = None  # the last round that ended here, whether it committed, the epoch then
    bound_since: int = 0
    doubtful: bool = False  # bound, with something in its slot
    fenced: int = 0


@dataclass
class LinkJudge:
    """Judges one link row by row; everything it found so far is in its fields (times in ps)."""

    name: str
    since: int = 0  # shares are taken from here on
    sides: dict[str, Side] = field(default_factory=dict)
    committed: int = 0  # rounds that both ends have ended, by how
    reversed: int = 0
    lost: set[int] = field(default_factory=set)  # tokens that were nowhere at some row
    cloned: set[int] = field(default_factory=set)
    violations: list[Violation] = field(default_factory=list)
    doubt_ps: int = 0
    doubts: list[int] = field(default_factory=list)  # how long each payload was in doubt
    exchanges: list[int] = field(default_factory=list)  # from an offer's write until its end knew the outcome
    closings: list[int] = field(default_factory=list)  # until both ends knew that the other one has ended it
    last_ps: int = 0  # when a round last ended, or was closed
    _tokens: int = 0
    _clock: int = 0
    _doubtful: bool = False
    _open: dict[int, tuple[bool, int]] = field(default_factory=dict)  # rounds that one end has ended
    _offered: dict[int, int] = field(default_factory=dict)  # round -> its first offer's write
    _closed: set[tuple[int, str]] = field(default_factory=set)  # rounds that one end called closed, and which end

    @property
    def settled(self) -> int:
        """Rounds that both ends have ended."""
        return self.committed + self.reversed

    @property
    def fenced(self) -> int:
        """How often an end fenced itself."""
        return sum(side.fenced for side in self.sides.values())

    @property
    def agrees(self) -> bool:
        """Whether both ends are open in the same round: nothing is in doubt."""
        ends = [side.end for side in self.sides.values()]
        return len(ends) == 2 and all(e is not None and e.phase != "OFFER" for e in ends) and (
            len({e.round for e in ends if e is not None}) == 1
        )

    def take(self, record: Record) -> None:
        """The next row of this link."""
        self._pass(record.time_ps)
        side = self.sides.setdefault(record.subject, Side())
        match record.event:
            case "register_written":
                self._written(side, record)
            case "tokens_issued":
                self._tokens |= int(_read(record)["tokens"], 16)
            case "fenced":
                side.fenced += 1
            case _:
                self._claimed(side, record)

    def finish(self, time_ps: int) -> None:
        """The trace ends."""
        self._pass(time_ps)

    def _pass(self, time_ps: int) -> None:
        if self._doubtful:
            self.doubt_ps += max(0, time_ps - max(self._clock, self.since))
        self._clock = time_ps

    def _other(self, side: Side) -> Side | None:
        for other in self.sides.values():
            if other is not side:
                return other
        return None

    # facts

    def _written(self, side: Side, record: Record) -> None:
        before, now = side.end, _end(record)
        side.end = now
        side.doubtful = now.phase == "OFFER" and now.slot is not None
        self._doubtful = any(other.doubtful for other in self.sides.values())
        if before is None:
            return
        if before.nvid != now.nvid:  # formatted: another register, whose rounds begin anew
            side.ended = None
            self._open.clear()
            self._offered.clear()
        else:
            self._step(side, before, now, record)
        self._apart(side, record)
        self._count(record)

    def _step(self, side: Side, before: End, now: End, record: Record) -> None:
        if now.phase == "OFFER" and before.phase != "OFFER":
            side.bound_since = record.time_ps
            self._offered.setdefault(now.round, record.time_ps)
        if now.round == before.round:
            if now.epoch != before.epoch:
                self._broken("rounds", f"the epoch goes from {before.epoch} to {now.epoch} within a round", record)
            return
        if now.round != before.round + 1:
            self._broken("rounds", f"the round goes from {before.round} to {now.round}", record)
            return
        took = now.phase == "TAKEN"
        if now.phase == "OFFER" or now.epoch != before.epoch + took:
            self._broken("rounds", f"round {before.round} ends as {now.phase} with epoch {now.epoch}", record)
        ended = (took, now.epoch)
        side.ended = (before.round, *ended)
        self.last_ps = record.time_ps
        if before.phase == "OFFER":
            if before.slot is not None:
                self.doubts.append(record.time_ps - side.bound_since)
            self.exchanges.append(record.time_ps - side.bound_since)
        known = self._open.pop(before.round, None)
        if known is None:
            self._open[before.round] = ended
        elif known == ended:
            self.committed += took
            self.reversed += not took
        else:
            self._broken("rounds", f"round {before.round} ends as {ended} here and as {known} there", record)

    def _apart(self, side: Side, record: Record) -> None:
        other = self._other(side)
        if other is None or other.end is None or side.end is None:
            return
        if side.end.peer != other.end.nvid or other.end.peer != side.end.nvid:
            return
        behind, ahead = sorted((side.end, other.end), key=lambda end: end.round)
        if ahead.round - behind.round > 1:
            self._broken("rounds", f"the ends are in rounds {behind.round} and {ahead.round}", record)
        elif ahead.round != behind.round and behind.phase != "OFFER":
            self._broken("rounds", f"round {behind.round} has ended at an end whose peer never offered", record)

    def _count(self, record: Record) -> None:
        """Where every token is: exactly one place."""
        if not self._tokens or len(self.sides) != 2:
            return
        sides = tuple(self.sides.values())
        once = twice = 0
        for side, other in (sides, sides[::-1]):
            end, peer = side.end, other.end
            if end is None or peer is None:
                return
            for place in (end.word, _bit(end.inbox), _on_its_way(end, peer, other.ended)):
                place &= self._tokens
                twice |= once & place
                once |= place
        lost = self._tokens & ~once
        if lost:
            self._broken("tokens", f"token {_numbers(lost)[0]} is nowhere", record)
            self.lost.update(_numbers(lost))
        if twice:
            self._broken("tokens", f"token {_numbers(twice)[0]} is in two places", record)
            self.cloned.update(_numbers(twice))

    # claims

    def _claimed(self, side: Side, record: Record) -> None:
        round_ = int(_read(record)["round"])
        if record.event == "round_closed":
            other = self._other(side)
            if other is None or other.end is None or other.end.round <= round_:
                self._broken("claims", f"round {round_} is said to be closed, and the peer has not ended it", record)
                return
            self._close(round_, record)
            return
        took = record.event == "round_committed"
        if side.ended is None or side.ended[:2] != (round_, took):
            said = "committed" if took else "reversed"
            self._broken("claims", f"round {round_} is said to be {said}, and the memory does not say so", record)

    def _close(self, round_: int, record: Record) -> None:
        """An end knows that both have ended the round; a crash makes it forget, and learn it again."""
        if round_ not in self._offered:
            return
        self.last_ps = record.time_ps
        self._closed.add((round_, record.subject))
        ends = {(round_, end) for end in self.sides}
        if ends <= self._closed:
            self._closed -= ends
            self.closings.append(record.time_ps - self._offered.pop(round_))

    def _broken(self, promise: str, what: str, record: Record) -> None:
        self.violations.append(Violation(promise, what, record))


class Judge:
    """Judges rows as they come; `links` by name."""

    def __init__(self, since: int = 0) -> None:
        self.links: dict[str, LinkJudge] = {}
        self._since = since

    def take(self, row: Row) -> None:
        """The next row of the trace, whatever it is."""
        if row[1] in EVENTS:
            name = row[2].rpartition("@")[0]
            link = self.links.get(name)
            if link is None:
                link = self.links[name] = LinkJudge(name, self._since)
            link.take(Record._make(row))


def judge(trace: Trace) -> dict[str, LinkJudge]:
    """Every bilateral link of *trace*, judged to its end, by name."""
    judged = Judge(trace.header.warm_up_ps)
    for row in trace.rows:
        judged.take(row)
    for link in judged.links.values():
        link.finish(trace.header.horizon_ps)
    return judged.links


def _on_its_way(end: End, peer: End, ended: tuple[int, bool, int] | None) -> int:
    """The token in *end*'s slot, where that is its place; *ended*: the last round that ended at *peer*."""
    if end.slot is None:
        return 0
    if end.phase == "OFFER":
        taken = ended is not None and ended[:2] == (end.round, True)
        return 0 if taken else _bit(end.slot)
    gift = end.phase == "TAKEN" and peer.round == end.round - 1 and end.peer == peer.nvid
    return _bit(end.slot) if gift else 0


def _bit(payload: bytes | None) -> int:
    if payload is None or len(payload) != TOKEN_OCTETS:
        return 0
    number = int.from_bytes(payload, "big")
    return 1 << number if number < TOKENS else 0


def _numbers(bits: int) -> list[int]:
    return [number for number in range(TOKENS) if bits >> number & 1]


def _read(record: Record) -> dict[str, str]:
    """The pairs in a row's detail.  Raises ValueError or KeyError where it holds none."""
    return dict(pair.split("=", 1) for pair in (record.detail or "").split())


def _end(record: Record) -> End:
    """The record that a row tells, its pairs in the order in which they are written: of all rows these are the most."""
    round_, phase, slot, inbox, _, word, nvid, peer = (record.detail or "").split()
    return End(
        int(round_[6:]), phase[6:], _payload(slot[5:]), record.epoch or 0, _payload(inbox[6:]), int(word[5:], 16),
        int(nvid[5:], 16), int(peer[5:], 16),
    )  # fmt: skip


def _payload(text: str) -> bytes | None:
    return None if text == "-" else bytes.fromhex(text)

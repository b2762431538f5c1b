"""One end of a bilateral link, live: it executes the transition table, and decides nothing itself.

Time, octets and memory are its part.  A write takes the memory's time; until it is done the endpoint sends nothing and
drops what it receives.  One timer sends the register again, every *beacon*, or every *retransmit* while an offer is
bound.  A crash takes everything but the memory: what comes back is what `RecordMemory.load` then finds.

What is checked of a frame before the table sees it: what `hwsim.bilateral.frame.decode` checks; then its epoch.  A
frame carries 16 bits of the round and 32 of the epoch, and the receiver extends both from its own register.  Where
the table would act on a frame's round, that round has one possible epoch; a frame that says another one is dropped
and counted under `epoch`, and the operator is told.  It does not fence the link: only a forger, a checksum that missed
an error or a register gone wrong makes such a frame, the first two of which must not be able to stop a link with
a single frame; and with the third nothing ever settles, which the counter shows.

What lies above is an `Application`: it answers offers, and it keeps its custody in the record's own word (see
`hwsim.bilateral.record`), folded by `Application.custody` into every write.

Source: `hwsim.bilateral.table`.

Not modelled: the time that software takes to decide (the table runs in the device); a memory that fails other than by
wear.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal, NamedTuple, cast

from hwsim.bilateral.frame import Frame, decode, encode
from hwsim.bilateral.machine import (
    STANDARD,
    Decision,
    Register,
    Rows,
    Seen,
    Volatile,
    decide,
    observe_frame,
    observe_request,
    settled,
    state_of,
)
from hwsim.bilateral.record import ROUNDS, Record, RecordMemory
from hwsim.bilateral.table import Event, Phase, Row, State
from hwsim.bilateral.wire import PAYLOAD_OCTETS, Drop, FrameType

if TYPE_CHECKING:
    import simpy

_EVENT_OF: Final[Mapping[FrameType, Event]] = {
    FrameType.RETURNED: Event.RX_RETURNED,
    FrameType.TAKEN: Event.RX_TAKEN,
    FrameType.OFFER: Event.RX_OFFER,
    FrameType.HELLO: Event.RX_HELLO,
    FrameType.FENCE: Event.RX_FENCE,
}
_FRAME_OF: Final[Mapping[Phase, FrameType]] = {phase: FrameType(phase) for phase in Phase}
_OPEN = (State.WAIT, State.READY)
_SETTLED = lru_cache(maxsize=1024)(settled)  # few bits and few rows: they meet again and again
_SAMPLED = 16  # damaged frames go into the sample while it is shorter


class Answer(NamedTuple):
    """What an application says to an offer; with `give` it accepts and gives *payload* (None: nothing) back."""

    kind: Literal["accept", "give", "reject", "busy"]
    payload: bytes | None = None


ACCEPT: Final = Answer("accept")


class Application:
    """What lies above an endpoint.  This one accepts everything and keeps nothing; override what matters."""

    def answer(self, endpoint: Endpoint, payload: bytes | None) -> Answer:
        """The peer offers *payload*; asked only where the answer counts, and again if the answer was busy."""
        return ACCEPT

    def custody(self, write: str, old: Register, new: Register, word: int) -> int:
        """The application's word after a write of that name; a pure function, written in the same instant."""
        return word

    def committed(self, endpoint: Endpoint, round_: int, brought: bytes | None) -> None:
        """Round *round_* committed here and brought this; it waits in the inbox until `Endpoint.consume`."""

    def reversed(self, endpoint: Endpoint, round_: int, payload: bytes | None) -> None:
        """The peer returned what was offered in that round."""

    def refused(self, endpoint: Endpoint, request: Event) -> None:
        """A request could not be granted now."""

    def alarmed(self, endpoint: Endpoint) -> None:
        """An operator should look: the peer is fenced, its frames contradict the register, or the memory is worn."""

    def fenced(self, endpoint: Endpoint) -> None:
        """A violation was seen; no more rounds until `Endpoint.reformat`."""

    def settled(self, endpoint: Endpoint) -> None:
        """A write is done, or the endpoint has booted: look at the inbox."""

    def ready(self, endpoint: Endpoint) -> None:
        """From now on an offer would be made at once."""


class Endpoint:
    """One end of a link.  Set `transmit` before it boots: it is given the octets of every frame.

    *memory* holds its record; *beacon* and *retransmit* are ps; *fresh* draws an identity that was never
    used; *record* appends to a trace (see `hwsim.domain.World.record`).  `name` is LINK@DEVICE.
    """

    def __init__(
        self,
        env: simpy.Environment,
        name: str,
        memory: RecordMemory,
        *,
        beacon: int,
        retransmit: int,
        fresh: Callable[[], int],
        record: Callable[..., None],
        mac: bytes = bytes(6),
        application: Application | None = None,
        rows: Rows = STANDARD,
    ) -> None:
        self.env = env
        self.name = name
        self.memory = memory
        self.beacon = beacon
        self.retransmit = retransmit
        self.application = application or Application()
        self.transmit: Callable[[bytes], None] = _unheard
        self.up = False
        self.carrier = False  # whether the device sees a link; known again after a crash
        self.worn_out = False
        self.volatile = Volatile()
        self.rows: Counter[str] = Counter()  # transitions by the names of their rows
        self.dropped: Counter[str] = Counter()  # frames by why they changed nothing
        self.sent: Counter[str] = Counter()  # frames by type
        self.received = 0
        self.taken = 0  # frames that were not dropped
        self.sample: list[bytes] = []  # of what was received, for somebody who reads it a second time
        self.crashes = 0
        self.alarms = 0
        self.register: Register  # the register, as the memory holds it
        self.word: int  # the application's word, as the memory holds it
        self._hold(memory.load())
        self._writing = False
        self._write_named = ""  # the write under way
        self._record = record
        self._fresh = fresh
        self._mac = mac
        self._table = rows
        self._life = 0  # of writes and timers
        self._boot_when_idle = False
        self._echo = 0
        self._frame: Frame | None = None  # the last one sent, and its octets
        self._octets = b""
        self._due = 0
        self._timer: int | None = None  # when the timer that counts fires
        self._was_ready = False
        self._note("factory", self._stored)

    def __repr__(self) -> str:
        return f"Endpoint({self.name!r}, {self.state})"

    def _hold(self, record: Record) -> None:
        """The memory is known to hold this."""
        self._stored = record
        self.register, self.word = record

    @property
    def state(self) -> State:
        """The table's state."""
        return state_of(self.register, self.volatile, writing=self._writing)

    def moment(self) -> tuple[object, ...]:
        """All that decides how it goes on, as plain data; times counted from now."""
        due = None if self._timer is None else self._due - int(self.env.now)
        writes = self._write_named if self._writing else None
        return (self._stored, self.volatile, self.up, self.carrier, writes, self._echo, due)

    # crashes and the link

    def boot(self) -> None:
        """Power is on, or a reset is over: start from the memory, once a write that a reset left alone is done."""
        if self.up or self.worn_out:
            return
        if self.memory.busy:
            self._boot_when_idle = True
            return
        self._boot_when_idle = False
        self.up = True
        self._hold(self._load())
        self._request(Event.POWER_ON)
        if self.carrier:
            self._request(Event.LINK_UP)
        self.application.settled(self)
        self._look_around()

    def _load(self) -> Record:
        return self.memory.load()

    def crash(self, *, power: bool) -> None:
        """Everything volatile is gone.  *power*: the memory's too; otherwise a write under way goes on."""
        if self.up:
            self.crashes += 1
        self._stop()
        self._boot_when_idle = False
        if power:
            for register in self.memory.registers:
                register.lose_power()
            self.memory.power_lost()
            found = self.memory.load()
            if found != self._stored:  # the write under way came to its end, or its last word took
                self._note(self._write_named, found)
                self._hold(found)

    def restore_power(self) -> None:
        """The memory has power again; `boot` follows."""
        for register in self.memory.registers:
            register.restore_power()

    def _stop(self) -> None:
        self.up = False
        self.volatile = Volatile()
        self._writing = False
        self._was_ready = False
        self._life += 1
        self._timer = None
        self._echo = 0

    def link_up(self) -> None:
        """The device sees a link."""
        self.carrier = True
        if self.up:
            self._request(Event.LINK_UP)

    def link_down(self) -> None:
        """The device sees that the link is gone."""
        self.carrier = False
        if self.up:
            self._request(Event.LINK_DOWN)

    # what the application and the operator ask for

    @property
    def queued(self) -> tuple[bytes | None, ...]:
        """The offer that waits for the peer to be heard, if there is one."""
        return cast("tuple[bytes | None, ...]", self.volatile.queued)

    def offer(self, payload: bytes | None) -> None:
        """Offer *payload* (at most 24 octets, or None: a round that moves nothing) to the peer, or queue it."""
        if payload is not None and len(payload) > PAYLOAD_OCTETS:
            raise ValueError(f"a payload of {len(payload)} octets; at most {PAYLOAD_OCTETS}")
        self._request(Event.APP_OFFER, app=payload)

    def cancel(self) -> None:
        """Take back a queued offer, or ask the peer to return one that is made."""
        self._request(Event.APP_CANCEL)

    def consume(self, round_: int | None = None) -> None:
        """Take what *round_* (default: the last one that did) brought out of the inbox."""
        self._request(Event.APP_CONSUME, round_named=self.register.inbox_round if round_ is None else round_)

    def reformat(self, *, ruled: bool = False) -> None:
        """The operator formats the register.  *ruled*: somebody above has ruled on the payload that is in doubt."""
        self._request(Event.FORMAT, fresh=self._fresh(), ruled=ruled)

    # figures

    def tally(self) -> None:
        """Bring the counts up to date, for whoever reads them now."""

    def close(self) -> None:
        """The run is over."""

    # events

    def _request(
        self, event: Event, *, app: bytes | None = None, fresh: int = 0, round_named: int | None = None,
        ruled: bool = False,
    ) -> None:  # fmt: skip
        if not self.up:
            self.rows["off"] += 1
            if event in (Event.APP_OFFER, Event.APP_CANCEL, Event.APP_CONSUME, Event.FORMAT):
                self.application.refused(self, event)
            return
        observed = observe_request(self.register, self.volatile, round_named=round_named, ruled=ruled)
        decision = decide(
            self.register, self.volatile, event, observed, app=app, fresh=fresh, writing=self._writing,
            rows=self._table, modulus=ROUNDS,
        )  # fmt: skip
        self._execute(decision, app=app)

    def receive(self, octets: bytes) -> None:
        """A frame arrived, whatever it is."""
        if not self.up:
            self.dropped["worn_out" if self.worn_out else "dark"] += 1
            return
        frame = decode(octets)
        self.received = count = self.received + 1
        if not count & (count - 1):  # the first, the second, the fourth, ...
            self.sample.append(octets)
        if isinstance(frame, Drop):
            self.dropped[frame.value] += 1
            if len(self.sample) < _SAMPLED:
                self.sample.append(octets)
            return
        register = self.register
        event = _EVENT_OF[frame.type]
        round_ = _extended(frame.round, register.round)
        seen = Seen(event, frame.src, frame.dst, round_, frame.payload if frame.slot else None, frame.cancel_req)
        observed = observe_frame(register, seen, modulus=ROUNDS)
        state = self.state
        app = None
        if observed["address"] == "peer" and state in (*_OPEN, State.OFFERED):
            expected = epoch_of(register, event, observed["delta"])
            if expected is not None and frame.epoch != expected & 0xFFFFFFFF:
                self.dropped["epoch"] += 1
                self._alarm()
                return
            if event is Event.RX_OFFER and observed["delta"] == "same" and state in _OPEN and not seen.cancel:
                full = register.inbox is not None
                answer = ACCEPT if full else self.application.answer(self, cast("bytes | None", seen.payload))
                observed["answer"] = answer.kind
                app = answer.payload
        decision = decide(
            register, self.volatile, event, observed, frame=seen, app=app, writing=self._writing,
            rows=self._table, modulus=ROUNDS,
        )  # fmt: skip
        if decision.row.drop is None:
            self.taken += 1
            if observed["address"] == "peer":
                self._echo = frame.slice0
        self._execute(decision, app=app)

    def _execute(self, decision: Decision, app: bytes | None = None) -> None:
        row = decision.row
        self.rows[row.name] += 1
        if row.drop is not None:
            self.dropped[row.drop] += 1
            return
        if decision.register is None:
            self._act(row, self._stored, app)
            self._look_around()
            return
        assert row.write is not None
        word = self.application.custody(row.write, self.register, decision.register, self.word)
        self._write(row, Record(decision.register, word))

    def _write(self, row: Row, record: Record) -> None:
        before = self._stored
        life = self._life
        self._writing = True
        self._write_named = row.write or ""

        def done(whole: bool) -> None:
            if not whole:
                self._wear_out()
                return
            self._note(row.write or "", record)
            self._hold(record)
            if life == self._life:
                self._writing = False
                self._act(row, before)
                self.application.settled(self)
                self._look_around()
            elif self._boot_when_idle:
                self.boot()

        self.memory.write(record, done)

    def _act(self, row: Row, before: Record, app: bytes | None = None) -> None:
        """Do what the row says; *before*: the record before its write."""
        acts = row.acts
        heard = self.volatile.heard
        self.volatile = _SETTLED(self.volatile, acts) if app is None else settled(self.volatile, acts, app=app)
        if self.volatile.heard and not heard and self.register.round:
            self._claim("round_closed", self.register.round - 1)
        if "forget" in acts:
            self._echo = 0  # as after a reboot
        if "forget" in acts and row.event is Event.FORMAT and self.carrier:
            self._request(Event.LINK_UP)
        if "emit" in acts:
            self._emit()
        for act in acts:
            match act:
                case "fence":
                    self._record("fenced", self.name, epoch=self.register.epoch, detail=row.name)
                    self.application.fenced(self)
                case "tell_committed":
                    self._claim("round_committed", before.register.round)
                    self.application.committed(self, before.register.round, cast("bytes | None", self.register.inbox))
                case "tell_reversed":
                    self._claim("round_reversed", before.register.round)
                    payload = cast("bytes | None", before.register.slot)
                    self.application.reversed(self, before.register.round, payload)
                case "tell_refused":
                    self.application.refused(self, row.event)
                case "tell_alarm":
                    self._alarm()

    def _alarm(self) -> None:
        self.alarms += 1
        self.application.alarmed(self)

    def _look_around(self) -> None:
        """What follows of itself from the state: the timer runs, a queued offer is made, the application is told."""
        volatile = self.volatile
        if not self.up or self._writing:
            return
        if self._timer is None and volatile.link:
            self._arm()
        ready = volatile.heard and self.register.inbox is None and self.state is State.READY
        if ready and self.queued:
            self._was_ready = False
            self._request(Event.APP_OFFER, app=self.queued[0])
            return
        if ready and not self._was_ready:
            self._was_ready = True
            self.application.ready(self)
        else:
            self._was_ready = ready

    # sending

    def _emit(self) -> None:
        register, volatile = self.register, self.volatile
        phase = register.phase
        if volatile.fenced:
            kind = FrameType.FENCE
        elif not register.peer:
            kind = FrameType.HELLO
        else:
            kind = _FRAME_OF[phase]
        payload = cast("bytes | None", register.slot)
        frame = Frame(
            kind, register.round & 0xFFFF, register.epoch & 0xFFFFFFFF, payload is not None,
            volatile.cancel and kind is FrameType.OFFER, register.inbox is None, volatile.heard, self._echo,
            register.nvid, register.peer, payload or b"", sa=self._mac,
        )  # fmt: skip
        if frame != self._frame:
            self._frame, self._octets = frame, encode(frame)
        self.sent[kind.name] += 1
        self._arm()
        self.transmit(self._octets)

    def _arm(self) -> None:
        """The next frame is due one period from now."""
        bound = self.register.phase is Phase.OFFER and not self.volatile.fenced
        now: int = self.env.now  # type: ignore[assignment]
        self._due = now + (self.retransmit if bound else self.beacon)
        if self._timer is None or self._timer > self._due:
            self._set_timer(self._due)

    def _set_timer(self, at: int) -> None:
        life = self._life
        self._timer = at

        def fired(_: simpy.Event) -> None:
            if life != self._life or self._timer != at:
                return
            if at < self._due:
                self._set_timer(self._due)
                return
            self._timer = None
            self._request(Event.TIMER)
            if self._writing and self._timer is None:
                self._arm()

        self.env.timeout(at - int(self.env.now)).callbacks.append(fired)

    # the trace

    def _claim(self, event: str, round_: int) -> None:
        self._record(event, self.name, epoch=self.register.epoch, detail=f"round={round_}")

    def _note(self, write: str, record: Record) -> None:
        self._record("register_written", self.name, epoch=record.register.epoch, slot=write, detail=told(record))

    def _wear_out(self) -> None:
        self._stop()
        self.worn_out = True
        self._record("register_worn_out", self.name, epoch=self.register.epoch)
        self._alarm()


def epoch_of(register: Register, event: Event, delta: str) -> int | None:
    """The one epoch (64 bits) that a frame of the peer can have, as far as *register* tells; None: any."""
    if event is Event.RX_HELLO or event is Event.RX_FENCE:
        return None
    bound = register.phase is Phase.OFFER
    if delta == "next" and bound and event is not Event.RX_OFFER:
        return register.epoch + (event is Event.RX_TAKEN)
    if delta != "same":
        return None
    if bound or event is Event.RX_OFFER:
        return register.epoch
    # Both have ended the round before: the table judges whether alike, so each outcome has its epoch.
    return register.epoch - (register.phase is Phase.TAKEN) + (event is Event.RX_TAKEN)


def told(record: Record) -> str:
    """A record in a row of the trace: `hwsim.bilateral.judged` reads it back."""
    register = record.register
    return (
        f"round={register.round} phase={register.phase.name} slot={_hex(register.slot)} inbox={_hex(register.inbox)} "
        f"inbox_round={register.inbox_round} word={record.word:x} nvid={register.nvid:x} peer={register.peer:x}"
    )


def _hex(payload: object) -> str:
    return "-" if payload is None else cast(bytes, payload).hex()


def _extended(low: int, mine: int) -> int:
    """The round nearest to *mine* whose low 16 bits are *low*; half a window away counts as the past."""
    return (mine + ((low - mine + 0x8000) & 0xFFFF) - 0x8000) % ROUNDS


def _unheard(_: bytes) -> None:
    """Until somebody listens."""

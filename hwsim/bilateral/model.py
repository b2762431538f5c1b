"""Two endpoints and the wire between them as a finite transition system, for the model checker.

Every step of an endpoint is `hwsim.bilateral.machine` executing the transition table; this module adds what surrounds
it: two bounded wires that lose and repeat frames, an application that holds payloads and answers as it likes, crashes
at any instant, a register whose write takes a step of its own, and, where asked, the carrier, pairing and the loss of
a register.  A `Setting` says which of these there are, so each simplification is a switch.

Why the system is finite although rounds are not: the table asks about a frame's round only through its distance from
the register's.  Adding a constant to every round (of both registers and all frames in flight) therefore maps steps
to steps, and one state stands for all its shifts.  `shift` 1 keeps one state a class.  The true rounds remain in
the state, only the distance that the table sees is taken modulo `modulus`, so a frame misread by a whole modulus is
seen (I6).  Under 2**16 no wrap can happen within one state, because invariant I1 holds the rounds together.

With modulus 2 the next round and the previous one look alike.  An open endpoint reads the other parity as *previous*,
an offered one as *next*.  Over a FIFO wire that is sound: nobody ends a round that I have neither offered in nor ended
(I3), so a next frame cannot reach an open endpoint; and who has offered in S has heard a frame of S before (the
READY rule), behind which no frame of S-1 can be in flight.

*Not modelled*: damaged frames (they are dropped: loss), undetected damage, torn writes of the register, a payload that
the application loses itself.  The application's own store lies in the register's fate domain and
changes in the same write.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, NamedTuple

from hwsim.bilateral.machine import (
    Register,
    Seen,
    Volatile,
    decide,
    delta,
    observe_frame,
    observe_request,
    settled,
)
from hwsim.bilateral.setting import (
    End,
    Setting,
    describe_end,
    describe_frame,
    with_payload,
    without_payload,
)
from hwsim.bilateral.table import Event, Phase, Row, State

NAMES: Final = ("A", "B")
_SNAPSHOT: Final = {Phase.RETURNED: Event.RX_RETURNED, Phase.TAKEN: Event.RX_TAKEN, Phase.OFFER: Event.RX_OFFER}


class Move(NamedTuple):
    """What one endpoint can do: *what* in words, which *row* of the table, the *end* after it, the frame it *emits*."""

    what: str
    row: str
    end: int
    emits: int = -1
    fault: bool = False  # or a thing that nobody owes: an offer, a busy answer
    wrong: str | None = None  # the invariant that the step itself breaks
    frame: int = -1  # the one that *what* speaks of, as {}
    forgets: bool = False


Wire = tuple[int, ...]
Global = tuple[int, int, Wire, Wire, int]  # ends of A and B, frames from A to B and from B to A, registers lost so far
Step = tuple[Global, int, str, Move | None]  # the state after it, who, how ("", "rx", "rx copy", "lost"), what


class Model:
    """The transition system of one setting.  Ends and frames are numbered as met; moves are worked out once."""

    def __init__(self, setting: Setting) -> None:
        self.setting = setting
        self.ends: list[End] = []
        self.frames: list[Seen] = []
        self._end_of: dict[End, int] = {}
        self._frame_of: dict[Seen, int] = {}
        self._alone: list[tuple[Move, ...] | None] = []
        self._received: dict[tuple[int, int], tuple[Move, ...]] = {}
        self._asked: set[str] = set()
        self._exchanges: dict[tuple[int, int], int] = {}
        self._shifts: dict[tuple[int, int], tuple[int, int]] = {}
        self._shifted_end: dict[tuple[int, int, int], int] = {}
        self._shifted_frame: dict[tuple[int, int], int] = {}

    # numbering

    def end(self, end: End) -> int:
        """The number of *end*, after what the setting simplifies away."""
        found = self._end_of.get(end)
        if found is None:
            found = self._end_of[end] = len(self.ends)
            self.ends.append(end)
            self._alone.append(None)
        return found

    def frame(self, frame: Seen) -> int:
        found = self._frame_of.get(frame)
        if found is None:
            found = self._frame_of[frame] = len(self.frames)
            self.frames.append(frame)
        return found

    def initial(self) -> Global:
        """Both registers factory fresh, paired where the setting says so, nothing in flight."""
        paired, ends = self.setting.paired, []
        for mine, peer, store in zip((1, 2), (2, 1), self.setting.tokens, strict=True):
            volatile = Volatile(link=not self.setting.carrier)
            ends.append(self.end(End(Register(mine, peer if paired else 0), volatile, store)))
        return (ends[0], ends[1], (), (), 0)

    # global steps

    def steps(self, state: Global) -> list[Step]:
        """Every step from *state*."""
        a, b, there, back, lost = state
        found: list[Step] = []
        capacity, copies = self.setting.capacity, self.setting.duplicates
        may_forget = lost < self.setting.amnesia
        # A's own moves, then B's
        for who, mine, out in ((0, a, there), (1, b, back)):
            moves = self._alone[mine]
            if moves is None:
                moves = self._alone[mine] = tuple(self._moves(self.ends[mine], mine))
            room = len(out) < capacity
            for move in moves:
                wire = out
                if move.emits >= 0:
                    if room:
                        wire = self._put(out, move.emits)
                    elif move.end == mine:
                        continue
                if move.forgets:
                    if not may_forget:
                        continue
                    now = self._formatted(state, who) if move.end >= 0 else self._amnesia(state, who)
                elif who == 0:
                    now = self._normal(move.end, b, wire, back, lost)
                else:
                    now = self._normal(a, move.end, there, wire, lost)
                found.append((now, who, "", move))
        # a frame arrives: at B from A, at A from B
        for who, mine, incoming, out in ((1, b, there, back), (0, a, back, there)):
            if not incoming:
                continue
            picks = range(len(incoming)) if self.setting.reorder else (0,)
            for pick in picks:
                if pick and incoming[pick] == incoming[pick - 1]:
                    continue  # a bag is kept sorted: the same frame again
                key = (mine, incoming[pick])
                moves = self._received.get(key)
                if moves is None:
                    moves = self._received[key] = tuple(self._receptions(mine, incoming[pick]))
                left = incoming[:pick] + incoming[pick + 1 :]
                for move in moves:
                    reply = out
                    if move.emits >= 0 and len(out) < capacity:
                        reply = self._put(out, move.emits)
                    for wire, how in ((left, "rx"), (incoming, "rx copy")) if copies else ((left, "rx"),):
                        if who == 0:
                            now = self._normal(move.end, b, reply, wire, lost)
                        else:
                            now = self._normal(a, move.end, wire, reply, lost)
                        if now != state or move.wrong:
                            found.append((now, who, how, move))
                now = self._normal(a, b, left, back, lost) if who else self._normal(a, b, there, left, lost)
                found.append((now, who, "lost", None))
        return found

    def rows(self) -> set[str]:
        """The rows of the table that the states seen so far lead to."""
        moves = [*(moves for moves in self._alone if moves), *self._received.values()]
        return self._asked | {move.row for some in moves for move in some if not move.forgets}

    # what is asked of a state

    def settled(self, state: Global) -> bool:
        """Whether both ends know that every round so far is ended at both; or the loss of a register was noticed."""
        a, b = self.ends[state[0]], self.ends[state[1]]
        if state[4] and State.FENCED in (a.state, b.state):
            return True
        return a.state is b.state is State.READY and a.register.round == b.register.round

    def exchanges(self, a: int, b: int, most: int = 8) -> int:
        """How many exchanges of snapshots settle two ends with nothing in flight, at worst over all answers.

        An exchange: each end sends its snapshot, each hears the other's, writes what it decides; an application that
        decides (never busy) and consumes.  More than *most*: most + 1.
        """
        if self.settled((a, b, (), (), 0)):
            return 0
        if most == 0:
            return 1
        known = self._exchanges.get((a, b))
        if known is None:
            one, other = self._beacon(a), self._beacon(b)
            worst = 0
            for after in self._heard(a, other):
                for answer in self._heard(b, one):
                    now = self._normal(after, answer, (), (), 0)
                    worst = max(worst, self.exchanges(now[0], now[1], most - 1))
            known = self._exchanges[a, b] = worst + 1
        return known

    def calm(self, number: int) -> int:
        """An end once its writes are done, its link is up and its inbox is consumed."""
        while True:
            for move in self._moves(self.ends[number], number):
                if move.end != number and not move.fault:
                    number = move.end
                    break
            else:
                return number

    def _beacon(self, number: int) -> int:
        return self.frame(_snapshot(self.ends[number]))

    def _heard(self, number: int, frame: int) -> set[int]:
        return {self.calm(move.end) for move in self._receptions(number, frame) if not move.fault}

    def shifted(self, before: Global, step: Step) -> int:
        """By how many rounds *step* shifted the state, as the end that did not move tells."""
        still = 1 - step[1]
        was, now = ((state[1] if still else state[0]) for state in (before, step[0]))
        return self.ends[was].register.round - self.ends[now].register.round

    def describe(self, state: Global, offset: int = 0) -> str:
        """A state in one line: the ends, and the frames in flight, next to arrive first; rounds from *offset*."""
        a, b, there, back, _ = state
        parts = [f"{name} {describe_end(self.ends[end], offset)}" for name, end in zip(NAMES, (a, b), strict=True)]
        for arrow, wire in (("A>B", there), ("B>A", back)):
            if wire:
                parts.append(f"{arrow} {' '.join(describe_frame(self.frames[frame], offset) for frame in wire)}")
        return "; ".join(parts)

    def explain(self, before: Global, step: Step, offset: int = 0) -> str:
        """A step from *before* in words."""
        _, who, how, move = step
        if move is None:
            wire = before[3] if who == 0 else before[2]
            return f"the frame {describe_frame(self.frames[wire[0]], offset)} to {NAMES[who]} is lost"
        copy = "; a copy is still on its way" if how == "rx copy" else ""
        frame = describe_frame(self.frames[move.frame], offset) if move.frame >= 0 else ""
        return f"{NAMES[who]} {move.what.format(frame)}{copy}"

    def _put(self, wire: Wire, frame: int) -> Wire:
        return tuple(sorted((*wire, frame))) if self.setting.reorder else (*wire, frame)

    def _amnesia(self, state: Global, who: int) -> Global:
        a, b, there, back, lost = state
        old = self.ends[b if who else a]
        store = old.store if self.setting.keeps_store else ()
        fresh = Register(3 + lost) if self.setting.identities else Register(old.register.nvid, old.register.peer)
        new = self.end(End(fresh, Volatile(link=not self.setting.carrier), store))
        return (new, b, there, back, lost + 1) if who == 0 else (a, new, there, back, lost + 1)

    def _formatted(self, state: Global, who: int) -> Global:
        a, b, there, back, lost = state
        old = self.ends[b if who else a]
        decision = decide(
            old.register, old.volatile, Event.FORMAT, {"ruled": "yes"}, fresh=3 + lost, rows=self.setting.rows
        )
        self._asked.add(decision.row.name)
        volatile = settled(old.volatile, decision.row.acts)
        if not self.setting.carrier:
            volatile = volatile._replace(link=True)
        new = self.end(End(decision.register or old.register, volatile, old.store))
        return (new, b, there, back, lost + 1) if who == 0 else (a, new, there, back, lost + 1)

    def _normal(self, a: int, b: int, there: Wire, back: Wire, lost: int) -> Global:
        """The state that stands for all shifts of this one."""
        if self.setting.rounds is not None:
            return (a, b, there, back, lost)
        shift = self._shifts.get((a, b))
        if shift is None:
            one, other = self.ends[a].register, self.ends[b].register
            unit = self.setting.shift
            by = min(one.round, other.round) // unit * unit
            shift = self._shifts[a, b] = (by, min(one.epoch, other.epoch))
        by, epochs = shift
        if not by and not epochs:
            return (a, b, there, back, lost)
        a, b = self._shift_end(a, by, epochs), self._shift_end(b, by, epochs)
        if by:
            there = tuple(self._shift_frame(frame, by) for frame in there)
            back = tuple(self._shift_frame(frame, by) for frame in back)
            if self.setting.reorder:
                there, back = tuple(sorted(there)), tuple(sorted(back))
        return (a, b, there, back, lost)

    def _shift_end(self, number: int, by: int, epochs: int) -> int:
        found = self._shifted_end.get((number, by, epochs))
        if found is None:
            end = self.ends[number]
            stages = tuple((_earlier(register, by, epochs), store) for register, store in end.stages)
            shifted = end._replace(register=_earlier(end.register, by, epochs), stages=stages)
            found = self._shifted_end[number, by, epochs] = self.end(shifted)
        return found

    def _shift_frame(self, number: int, by: int) -> int:
        found = self._shifted_frame.get((number, by))
        if found is None:
            frame = self.frames[number]
            found = self._shifted_frame[number, by] = self.frame(frame._replace(round=frame.round - by))
        return found

    # what one endpoint can do

    def _moves(self, end: End, number: int) -> list[Move]:
        setting, found = self.setting, list[Move]()
        if setting.crashes:
            found += self._crashes(end, number)
            if setting.amnesia:
                found.append(Move("crashes and loses its register", "power_on", -1, fault=True, forgets=True))
        if setting.carrier:
            up = not end.volatile.link
            found += self._request(end, Event.LINK_UP if up else Event.LINK_DOWN, {}, fault=not up)
        if end.stages:
            found.append(self._write_done(end))
            return found
        found += self._request(end, Event.TIMER, {})
        if setting.operator:
            found.append(Move("is formatted by the operator", "formatted", number, fault=True, forgets=True))
        found += self._offers(end)
        if setting.cancel and not (end.volatile.cancel and not end.volatile.queued):
            found += self._request(end, Event.APP_CANCEL, {}, fault=True)
        if end.register.inbox is not None:
            observed = observe_request(end.register, end.volatile, round_named=end.register.inbox_round)
            found += self._request(end, Event.APP_CONSUME, observed)
        return [move for move in found if move.end != number or move.emits >= 0 or move.wrong or move.forgets]

    def _crashes(self, end: End, number: int) -> list[Move]:
        found = []
        lefts = [("", end.register, end.store)]
        if end.stages:
            new = end.stages[0]
            lefts = [(", the write not done", end.register, end.store), (", the write done", *new)]
        for words, register, store in lefts:
            register, store = self.setting.reboot(register, store)
            row = decide(register, end.volatile, Event.POWER_ON, {}, rows=self.setting.rows).row
            volatile = settled(end.volatile, row.acts)
            if not self.setting.carrier:
                volatile = volatile._replace(link=True)
            after = self.end(_canonical(End(register, volatile, store)))
            if after != number:
                found.append(Move(f"crashes and reboots{words}", row.name, after, fault=True))
        return found

    def _offers(self, end: End) -> list[Move]:
        setting, found = self.setting, list[Move]()
        if setting.rounds is not None and end.register.round >= setting.rounds:
            return found
        state = end.state
        queued = end.volatile.queued
        offers: list[str | None] = [*dict.fromkeys(end.store), *([None] if setting.empty_offers else [])]
        if queued:
            # the queued offer is made as soon as it can be, and no other meanwhile
            offers = [queued[0]] if state is State.READY else []  # type: ignore[list-item]
        for payload in offers:
            row = self._row_of_offer(end)
            if row == "offer_queued" and not setting.queue:
                continue
            what = f"offers {payload}" if payload else "offers nothing (an empty round)"
            found += self._request(
                end, Event.APP_OFFER, observe_request(end.register, end.volatile), app=payload, what=what, fault=True
            )
        return found

    def _row_of_offer(self, end: End) -> str:
        return self.setting.rows.find(end.state, Event.APP_OFFER, observe_request(end.register, end.volatile)).name

    def _request(
        self,
        end: End,
        event: Event,
        observed: Mapping[str, str],
        *,
        app: str | None = None,
        what: str = "",
        fault: bool = False,
    ) -> list[Move]:
        decision = decide(
            end.register, end.volatile, event, observed, app=app, writing=bool(end.stages), rows=self.setting.rows
        )
        self._asked.add(decision.row.name)
        words = what or _WORDS[event]
        return self._carry_out(end, decision.row.name, decision.row.write, decision.register, decision.row.acts,
                               words, app=app, fault=fault, timer=event is Event.TIMER)  # fmt: skip

    def _receptions(self, number: int, frame_number: int) -> list[Move]:
        """What *end* may do when that frame arrives: one move for each answer of the application."""
        setting = self.setting
        end, frame = self.ends[number], self.frames[frame_number]
        if not setting.identities:
            frame = frame._replace(source=end.register.peer, destination=end.register.nvid)
        found: dict[Move, None] = {}
        free = [token for token in dict.fromkeys(end.store) if (token,) != end.volatile.queued]
        for answer in setting.answers:
            gifts: list[str | None] = list(free) if answer == "give" else [None]
            for gift in gifts:
                observed = observe_frame(end.register, frame, answer=answer)
                observed["delta"] = self._delta(frame.round, end)
                row = setting.rows.find(end.state, frame.event, observed)
                gift_used = gift if row.write and "app" in setting.rows.writes[row.write].values() else None
                decision = decide(
                    end.register, end.volatile, frame.event, observed, frame=frame, app=gift_used,
                    writing=bool(end.stages), rows=setting.rows,
                )  # fmt: skip
                asked = frame.event is Event.RX_OFFER and "answer" in row.when
                words = "receives {}"
                if asked:
                    words += f", {'gives ' + str(gift) + ' back' if gift else _ANSWERS[answer]}"
                wrong = self._wrong(end, frame, observed, row, decision.register, gift)
                for move in self._carry_out(
                    end, row.name, row.write, decision.register, row.acts, words, app=gift_used,
                    fault=asked and answer == "busy",
                ):  # fmt: skip
                    found[move._replace(wrong=wrong, frame=frame_number)] = None
        return list(found)

    def _wrong(
        self, end: End, frame: Seen, observed: Mapping[str, str], row: Row, after: Register | None, gift: str | None
    ) -> str | None:
        """What the step that *row* takes on *frame* breaks by itself."""
        if row.drop is None and "delta" in row.when and delta(frame.round, end.register.round) != observed["delta"]:
            return "I6"
        if after is None:
            return None
        if observed["address"] != "peer" and after._replace(peer=end.register.peer) != end.register:
            return "pairing"
        if "answer" in row.when:
            wanted = (Phase.RETURNED, None) if observed["answer"] == "reject" else (Phase.TAKEN, gift)
            if (after.phase, after.slot) != wanted:
                return "told"
        told = {"tell_committed": Phase.TAKEN, "tell_reversed": Phase.RETURNED}
        return "told" if any(act in told and told[act] is not after.phase for act in row.acts) else None

    def _delta(self, theirs: int, end: End) -> str:
        modulus, mine = self.setting.modulus, end.register.round
        if modulus > 2:
            return delta(theirs, mine, modulus)
        if (theirs - mine) % 2 == 0:
            return "same"
        return "next" if end.register.phase is Phase.OFFER else "previous"

    def _carry_out(
        self, end: End, row: str, write: str | None, register: Register | None, acts: tuple[str, ...], words: str, *,
        app: str | None = None, fault: bool = False, timer: bool = False,
    ) -> list[Move]:  # fmt: skip
        """The moves that a decision of the table amounts to: one, in the end state that it leads to."""
        setting = self.setting
        if register is None or write is None:
            after = end._replace(volatile=settled(end.volatile, acts, app=app))
            return [self._move(words, row, after, acts, fault, sends="emit" in acts and (setting.prompt or timer))]
        store = end.store
        sources = setting.rows.writes[write]
        if sources.get("slot") == "app":
            store = without_payload(store, app)
        if "tell_reversed" in acts:
            store = with_payload(store, end.register.slot)
        brought = None
        if sources.get("inbox") == "empty":
            brought = end.register.inbox
        elif sources.get("inbox") == "frame" and not setting.inbox:
            brought, register = register.inbox, register._replace(inbox=None)
        stages = [(_clean(register), with_payload(store, brought))]
        before = end
        if brought is not None and setting.delivery == "before":
            before = end._replace(store=with_payload(end.store, brought))
        elif brought is not None and setting.delivery == "after":
            stages = [(_clean(register), store), (_clean(register), with_payload(store, brought))]
        if not setting.writing:
            register, store = stages[-1]
            after = End(register, settled(end.volatile, acts, app=app), store)
            return [self._move(words, row, after, acts, fault, sends="emit" in acts and setting.prompt)]
        pending = before._replace(stages=tuple(stages), acts=acts)
        sends = setting.early and "emit" in acts
        early = self.frame(_snapshot(End(register, settled(end.volatile, acts)))) if sends else -1
        return [Move(f"{words}; begins to write its register", row, self.end(pending), early, fault)]

    def _write_done(self, end: End) -> Move:
        register, store = end.stages[0]
        if len(end.stages) > 1:
            return Move(
                "has written its register", "", self.end(end._replace(register=register, stages=end.stages[1:]))
            )
        after = End(register, settled(end.volatile, end.acts), store)
        return self._move("has written its register", "", after, end.acts, False,
                          sends="emit" in end.acts and self.setting.prompt)  # fmt: skip

    def _move(self, words: str, row: str, after: End, acts: tuple[str, ...], fault: bool, *, sends: bool) -> Move:
        emits = -1
        if sends and after.volatile.link:
            emits = self.frame(_snapshot(after))
        return Move(words, row, self.end(_canonical(after)), emits, fault, frame=emits)


_WORDS: Final[Mapping[Event, str]] = {
    Event.LINK_UP: "gets its link",
    Event.LINK_DOWN: "loses its link",
    Event.TIMER: "sends {}",
    Event.APP_CANCEL: "asks that its offer be rejected",
    Event.APP_CONSUME: "consumes its inbox",
    Event.APP_OFFER: "offers",
}
_ANSWERS: Final = {"accept": "accepts", "give": "accepts", "reject": "rejects", "busy": "is busy"}


def _earlier(register: Register, by: int, epochs: int) -> Register:
    return register._replace(
        round=register.round - by, epoch=register.epoch - epochs, inbox_round=register.inbox_round - by
    )


def _clean(register: Register) -> Register:
    """Which round brought the inbox is not asked by the wire, and the application names it rightly."""
    return register._replace(inbox_round=register.round)


def _canonical(end: End) -> End:
    return end._replace(register=_clean(end.register)) if end.register.inbox_round != end.register.round else end


def _snapshot(end: End) -> Seen:
    register, volatile = end.register, end.volatile
    if volatile.fenced:
        return Seen(Event.RX_FENCE, register.nvid, register.peer, register.round)
    if not register.peer:
        return Seen(Event.RX_HELLO, register.nvid, 0, register.round)
    cancel = volatile.cancel and register.phase is Phase.OFFER
    return Seen(_SNAPSHOT[register.phase], register.nvid, register.peer, register.round, register.slot, cancel)

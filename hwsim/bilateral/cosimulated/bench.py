"""Inside Icarus: cocotb drives the ends of links as the run behind a pipe asks, and tells it what they do.

One request, one answer; between them simulated time stands still, and what comes of it happens in `cosim.v`, without
Python in any cycle.  Python is woken where an end tells something, and where one may be standing still.

Quiet spans are skipped exactly, end by end.  Where a cycle has changed no register of an end but the timer's count and
what is left of a write, all further ones will do the same until a count reaches its end; so its clock is stopped,
and the counts are moved on as it goes again.  Time itself passes, for the waves and for the other ends.

Source: cocotb 2.1, "Library reference"; quiet spans as in `verilated/link.cpp`.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from multiprocessing.connection import Connection
from time import process_time
from typing import Any, NamedTuple

import cocotb
from cocotb.handle import ArrayObject, HierarchyArrayObject, HierarchyObject, Immediate
from cocotb.triggers import ReadWrite, ValueChange

from hwsim.bilateral.cosimulated.told import Told

ASKED, WRITTEN, SENT = 1, 2, 64  # of what is told: see rtl.py
_COUNTS = ("left_q", "count_q")  # what a quiet span only moves on: of the register's write, of the timer
_TURNS = 200  # to find out what one takes
_WORTH = 8  # cycles; fewer are executed
_MAILBOX = 128  # octets
_PENDING = {"offering": 1, "cancelling": 2, "consuming": 4, "formatting": 8}
_DEPOSITED = {
    "reset": "reset_q", "crash": "crash_q", "link": "link_q", "ruled": "ruled_q", "tear": "tear_q",
    "tear_sel": "tear_sel_q", "offer": "offer_q", "give": "give_q", "format_nvid": "nvid_q",
    "consume_round": "consumed_q", "answer": "answer_q", "answered": "answered_q", "mac": "source_q",
    "peers": "peers_q", "beacon": "beacon_q", "retransmit": "retry_q",
}  # fmt: skip
_TOLD = (("what", 12), ("bits", 5), ("row", 7), ("write_row", 7), ("before_row", 7), ("length", 16))  # low bits first


class _Asleep(NamedTuple):
    since: int
    until: int
    counts: tuple[bool, ...]  # whether the write goes on, whether the timer does


def _number(handle: Any) -> int:
    return int(handle.value)


def _deposit(handle: Any, value: int) -> None:
    handle.set(Immediate(value))


def _values(scope: Any) -> Iterator[Any]:
    for child in scope:
        if isinstance(child, HierarchyObject | HierarchyArrayObject):
            yield from _values(child)
        else:
            yield child


class _End:
    def __init__(self, one: Any) -> None:
        link = one.link
        self.one = one
        self.inputs = {name: getattr(one, port) for name, port in _DEPOSITED.items()}
        self.register = link.register_o
        self.pending = one.pending_q
        self.counts = (link.u_nvreg.left_q, link.u_timer.count_q)
        self.period = link.u_timer.period
        # All that holds a value from cycle to cycle: by the name, since VPI calls registers and nets alike.  Memories
        # are apart: no word of one changes without a pointer, or a row that is executed.
        values = list(_values(link))
        self.memories = [value for value in values if isinstance(value, ArrayObject)]
        scalars = [value for value in values if not isinstance(value, ArrayObject)]
        self.registers = [value for value in scalars if value._name.endswith("_q")]
        self.state = [value._handle.get_signal_val_binstr for value in self.registers if value._name not in _COUNTS]
        self.before: tuple[list[str], list[int], int] | None = None  # its state when it was looked at, and the cycle
        self.asleep: _Asleep | None = None
        self.lookahead = 0
        self.skips = True
        self.at = 0  # it has come further than the others: to the beginning of this cycle
        self.consuming = False
        self.run = self.skipped = 0

    def snapshot(self) -> list[str]:
        return [read() for read in self.state]

    def apply(self, inputs: Mapping[str, int]) -> None:
        pending = mask = 0
        for name, value in inputs.items():
            if name in _PENDING:
                mask |= _PENDING[name]
                pending |= _PENDING[name] * value
            else:
                _deposit(self.inputs[name], value)
        if mask:
            _deposit(self.pending, (_number(self.pending) & ~mask) | pending)
            if mask & _PENDING["consuming"]:
                self.consuming = bool(pending & _PENDING["consuming"])


class _Bench:
    def __init__(self, cosim: Any) -> None:
        self.cosim = cosim
        self.count = int(cosim.ENDS.value)
        self.ends = [_End(cosim.g_ends[index].one) for index in range(self.count)]
        self.cycle = 0
        self.awake = (1 << self.count) - 1
        self.go = 0
        self.inside = 0.0  # seconds in Icarus, with those that it takes to wake us
        self.turns = 0
        self._done = ValueChange(cosim.done_q)
        self._parent = os.getppid()

    async def _run(self) -> None:
        """Let it go, until it has done what it was told to."""
        self.go ^= 1
        began = process_time()
        _deposit(self.cosim.go_q, self.go)
        await self._done
        self.inside += process_time() - began
        self.turns += 1

    async def seconds(self) -> float:
        """Seconds in Icarus: without those that it took to go there and back."""
        inside, turns = self.inside, self.turns
        for _ in range(_TURNS):
            await self.settle()
        return inside - turns * (self.inside - inside) / _TURNS

    async def settle(self) -> None:
        """Let what was deposited take effect."""
        _deposit(self.cosim.until_q, self.cycle)
        await self._run()

    # one end alone

    def _rouse(self, index: int) -> None:
        """Its clock goes again: move its counts on."""
        end = self.ends[index]
        if end.asleep is None:
            return
        span = self.cycle - end.asleep.since
        for counts, handle, step in zip(end.asleep.counts, end.counts, (-span, span), strict=True):
            if counts:
                _deposit(handle, _number(handle) + step)
        _deposit(end.one.quiet_q, 0)
        end.skipped += span
        end.asleep = None
        self.awake |= 1 << index

    async def begin(self, figures: list[dict[str, int]]) -> None:
        """At the factory: every end gets its first identity, in no time, and is left in reset."""
        everyone = self.awake
        for end, given in zip(self.ends, figures, strict=True):
            for value in (*end.registers, *(word for memory in end.memories for word in memory)):
                if not value.value.is_resolvable:  # an unknown spreads; in hardware it is some value
                    _deposit(value, 0)
            end.lookahead, end.skips = given.pop("lookahead"), bool(given.pop("skips"))
            end.apply({"format_nvid": given.pop("identity"), **given})
        nothing: dict[str, int] = {}
        for inputs in [nothing] * 2 + [{"reset": 0, "formatting": 1}] + [nothing] * 20 + [{"reset": 1}, nothing]:
            for end in self.ends:
                end.apply(inputs)
                _deposit(end.counts[0], 0)  # the write takes its least
            _deposit(self.cosim.single_q, everyone)
            await self._run()
        for end in self.ends:
            assert _number(end.register) >> 628 == _number(end.inputs["format_nvid"])
            _deposit(end.one.sync_q, 1)
        await self.settle()
        _deposit(self.cosim.waves_q, 1)
        await self.advance(1)

    async def apply(self, inputs: Mapping[int, Mapping[str, int]], frames: Mapping[int, list[bytes]]) -> None:
        """Deposit what comes to ends from outside."""
        for index, changes in inputs.items():
            self._touch(index)
            self.ends[index].apply(changes)
        pieces = {index: _pieces(octets) for index, octets in frames.items()}
        for turn in range(max(map(len, pieces.values()), default=0)):
            if turn:
                await self.settle()  # the mailbox holds one piece
            for index, piece in pieces.items():
                if turn < len(piece):
                    self._touch(index)
                    self._put(self.ends[index].one, *piece[turn])

    def _touch(self, index: int) -> None:
        self._rouse(index)
        self.ends[index].before = None

    def _put(self, one: Any, octets: bytes, last: bool) -> None:
        _deposit(one.octets_q, int.from_bytes(octets, "little"))
        _deposit(one.length_q, len(octets))
        _deposit(one.mail_last_q, last)
        _deposit(one.mail_q, 1 - _number(one.mail_q))

    async def step(self, index: int, inputs: Mapping[str, int]) -> Told | None:
        """One cycle of an end, in no time."""
        end = self.ends[index]
        self._touch(index)
        end.apply(inputs)
        _deposit(self.cosim.single_q, 1 << index)
        await self._run()
        end.run += 1
        return self._told(index, max(end.at, self.cycle) - 1)

    async def crash(self, index: int, inputs: Mapping[str, int]) -> Told:
        """The cycle in which an end is struck, ahead of the others; what it then is."""
        end = self.ends[index]
        await self.step(index, inputs)
        _deposit(end.one.sync_q, 1 - _number(end.one.sync_q))
        await self.settle()
        end.at = max(end.at, self.cycle) + 1
        self.awake &= ~(1 << index)
        end.consuming = False
        return self._seen(index, end.at)

    async def counters(self, index: int) -> tuple[bytes, int, int]:
        """What it has counted, as words of 32 bits; cycles executed and skipped."""
        end = self.ends[index]
        _deposit(end.one.tally_q, 1 - _number(end.one.tally_q))
        await self.settle()
        skipped = end.skipped + (self.cycle - end.asleep.since if end.asleep else 0)
        return _number(end.one.counters_q).to_bytes(154 * 4, "little"), end.run, skipped

    # all of them

    async def advance(self, until: int) -> tuple[int, list[tuple[int, Told]], list[int], list[tuple[int, int]]]:
        """Go on to the beginning of cycle *until*, or to the end of one in which something happens.

        A frame that is sent, and nothing else, lets all go on for that end's lookahead.  Returns the cycle that has
        been come to, what happened at which ends, those whose request to consume has been granted, and the cycles from
        which writes are under way.
        """
        told: list[tuple[int, Told]] = []
        began: list[tuple[int, int]] = []
        goes_on = True
        while goes_on and self.cycle < until:
            stop = self._wake(until)
            before = self.cycle
            _deposit(self.cosim.awake_q, self.awake)
            _deposit(self.cosim.until_q, stop)
            await self._run()
            if os.getppid() != self._parent:
                raise RuntimeError("the run is gone")  # while this went on
            report = _number(self.cosim.report)
            self.cycle = report & ((1 << 64) - 1)
            report >>= 64
            mask = (1 << self.count) - 1
            tells, drowsy, writing = report & mask, report >> self.count & mask, report >> 2 * self.count
            for index in _bits(self.awake):
                self.ends[index].run += self.cycle - before
            for index in _bits(writing):
                one = self.ends[index].one
                began.append((index, _number(one.write_from_q)))
                _deposit(one.began_q, 0)
            for index in _bits(tells):
                happened = self._told(index, self.cycle - 1)
                assert happened is not None
                told.append((index, happened))
                if happened.what == SENT:
                    until = min(until, self.cycle + self.ends[index].lookahead)
                else:
                    goes_on = False
            self._look_for_sleep(drowsy & ~tells)
        taken = []
        for index, end in enumerate(self.ends):
            if end.consuming and not _number(end.pending) & _PENDING["consuming"]:
                end.consuming = False
                taken.append(index)
        return self.cycle, told, taken, began

    def _wake(self, until: int) -> int:
        """Those whose time has come go again; up to which cycle all can go."""
        for index, end in enumerate(self.ends):
            if end.asleep is not None:
                if end.asleep.until <= self.cycle:
                    self._rouse(index)
                else:
                    until = min(until, end.asleep.until)
            elif end.at > self.cycle:
                until = min(until, end.at)
            elif not self.awake >> index & 1:
                self.awake |= 1 << index
            if end.before is not None:
                until = min(until, self.cycle + 1)
        return until

    def _look_for_sleep(self, drowsy: int) -> None:
        for index, end in enumerate(self.ends):
            if end.before is not None:
                state, counts, cycle = end.before
                end.before = None
                if cycle + 1 == self.cycle and state == end.snapshot():
                    self._lie_down(index, counts)
            elif drowsy >> index & 1 and end.skips:
                end.before = (end.snapshot(), [_number(count) for count in end.counts], self.cycle)

    def _lie_down(self, index: int, before: list[int]) -> None:
        end = self.ends[index]
        left, count = now = [_number(handle) for handle in end.counts]
        counts = tuple(new != old for new, old in zip(now, before, strict=True))
        span = 1 << 62
        if counts[0]:
            span = min(span, left - 1)
        if counts[1]:
            span = min(span, _number(end.period) - 1 - count)
        if span >= _WORTH:
            end.asleep = _Asleep(self.cycle, self.cycle + span, counts)
            self.awake &= ~(1 << index)

    # what is told

    def _told(self, index: int, cycle: int) -> Told | None:
        one = self.ends[index].one
        return self._seen(index, cycle) if _number(one.what_q) else None

    def _seen(self, index: int, cycle: int) -> Told:
        end = self.ends[index]
        packed = _number(end.one.told)
        fields = {}
        for name, width in _TOLD:
            fields[name] = packed & ((1 << width) - 1)
            packed >>= width
        what = fields["what"]
        octets = b""
        if what & SENT:
            octets = _number(end.one.frame_q).to_bytes(_MAILBOX, "little")[: fields["length"]]
        return Told(
            cycle, what, fields["bits"], fields["row"], fields["write_row"], fields["before_row"],
            _number(end.register) if what & WRITTEN or not what else 0,
            _number(end.one.link.rx_slot) if what & ASKED else 0, octets,
        )  # fmt: skip


def _pieces(frames: list[bytes]) -> list[tuple[bytes, bool]]:
    """Frames as the mailbox takes them, each with whether it ends a frame."""
    return [
        (octets[at : at + _MAILBOX], at + _MAILBOX >= len(octets))
        for octets in frames
        for at in range(0, len(octets), _MAILBOX)
    ]


def _bits(mask: int) -> Iterator[int]:
    while mask:
        low = mask & -mask
        yield low.bit_length() - 1
        mask ^= low


@cocotb.test()
async def serve(cosim: Any) -> None:
    """Do what is asked until nobody asks any more: the methods of `_Bench`, and to finish."""
    await ReadWrite()  # the initial blocks have run
    bench = _Bench(cosim)
    began = process_time()
    with Connection(int(os.environ["HWSIM_COSIMULATION"])) as pipe:
        pipe.send("here")
        while True:
            try:
                what, *given = pipe.recv()
            except (EOFError, ConnectionResetError):
                return
            match what:
                case "begin":
                    await bench.begin(*given)
                    pipe.send("begun")
                case "advance":
                    until, inputs, frames = given
                    await bench.apply(inputs, frames)
                    pipe.send(await bench.advance(until))
                case "step":
                    pipe.send(await bench.step(*given))
                case "crash":
                    pipe.send(await bench.crash(*given))
                case "counters":
                    pipe.send(await bench.counters(*given))
                case "finish":
                    in_all = process_time() - began
                    pipe.send((await bench.seconds(), in_all))
                    return

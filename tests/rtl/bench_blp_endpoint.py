"""blp_endpoint against the table's machine, cycle by cycle: states, registers, snapshots, rows, what is told.

Requests come at random, frames from the neighbourhood of what the register says, power losses in any cycle.  The run
goes on until every row of the table has been executed, every event has met every state, and every write has been
cut short with either result.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from itertools import product
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge
from endpoint_model import NOTHING, REQUESTS, RX, Happened, Heard, Model

from hwsim.bilateral.bits import register_bits, register_of, slot_bits, slot_of
from hwsim.bilateral.machine import Register
from hwsim.bilateral.table import OBSERVABLES, TABLE, WRITES, Event, Phase, State
from hwsim.bilateral.verilog import DROPS
from hwsim.bilateral.wire import FrameType

ROWS = [row.name for row in TABLE]
DROP_OF = {row.name: DROPS.index(row.drop) + 1 if row.drop else 0 for row in TABLE}
ROW_OF = {row.name: row for row in TABLE}
STATES = list(State)
NOBODY = (Event.RX_HELLO, ("elsewhere",))
ANSWERS = OBSERVABLES["answer"]
MOST_CYCLES = int(os.environ.get("BENCH_CYCLES", "200000"))


class Coverage:
    """What a run has met."""

    def __init__(self) -> None:
        self.rows: Counter[str] = Counter()
        self.met: Counter[tuple[State, Event]] = Counter()
        self.cut: Counter[tuple[str, bool]] = Counter()
        self.cut_in: Counter[tuple[State, Event, bool]] = Counter()
        # A HELLO is to anyone; power comes on in one state, since the volatile bits are as after a loss; who is bound
        # or unpaired has an empty inbox, and who is bound is not virgin.
        self.reachable = {row.name for row in TABLE if (row.event, row.when.get("address")) != NOBODY}
        self.cases = {case for case in product(State, Event) if case[1] is not Event.POWER_ON or case[0] is State.DOWN}
        self.crashes = set(product(WRITES, (False, True)))
        self.crash_cases = {
            (state, row.event, took)
            for row in TABLE
            for state in row.states
            for took in (False, True)
            if row.write and not (row.write == "consume" and state in (State.OFFERED, State.UNPAIRED))
            if not (row.when.get("virgin") and state is State.OFFERED)
        }

    @property
    def closed(self) -> bool:
        return not self.missing()

    def missing(self) -> list[Any]:
        return [*(self.reachable - self.rows.keys()), *(self.cases - self.met.keys()),
                *(self.crashes - self.cut.keys()), *self.lacking()]  # fmt: skip

    def lacking(self) -> set[tuple[State, Event, bool]]:
        """Crashes in a write that were not met."""
        return self.crash_cases - self.cut_in.keys()

    def __str__(self) -> str:
        return (
            f"rows {len(self.rows)}/{len(self.reachable)}, state x event {len(self.met)}/{len(self.cases)}, writes cut "
            f"short {len(self.cut)}/{len(self.crashes)}, state x event x crash in its write {len(self.cut_in)}/"
            f"{len(self.crash_cases)} (each with the old and the new register left)"
        )


def drawn_frame(draw: random.Random, mine: Register) -> Heard:
    """A frame such as might reach an endpoint with that register."""
    kind = draw.choice(list(FrameType))
    peer = mine.peer or 2
    src = draw.choices([peer, peer ^ 1 << 40, mine.nvid, 0], [20, 3, 1, 1])[0]
    dst = draw.choices([mine.nvid, mine.nvid ^ 1 << 60], [10, 1])[0]
    step = draw.choices([0, 1, -1, 2, -2, draw.randrange(1 << 16)], [10, 5, 4, 1, 1, 1])[0]
    payload = draw.randbytes(draw.randint(0, 24)) if kind in (2, 3) and draw.random() < 0.5 else None
    # The epoch that the round has, as far as the register tells, most of the time.
    bound = mine.phase is Phase.OFFER
    likely = mine.epoch + (kind == 2 and (step == 1 or not bound)) - (mine.phase is Phase.TAKEN and kind != 3)
    epoch = draw.choices([likely, draw.getrandbits(32)], [30, 1])[0] & 0xFFFFFFFF
    return Heard(kind, (mine.round + step) & 0xFFFF, epoch, src, dst, payload, kind == 3 and draw.random() < 0.1)


class Bench:
    """The bench's ports, and the model beside it."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut
        self.model = Model(Register(1))
        self.coverage = Coverage()
        self.begun: tuple[State, Event] | None = None
        self.cycles = 0
        self.in_write = 0  # cycles since the write under way began

    def rare(self) -> bool:
        """Whether a crash now would leave what was not met yet of the write under way, for all that can be told."""
        assert self.begun is not None
        assert self.model.pending is not None
        ends = self.in_write > int(self.dut.WRITE_CYCLES.value) + 1
        write = self.model.pending.row.write
        return (*self.begun, ends) not in self.coverage.cut_in or (write, ends) not in self.coverage.cut

    async def start(self) -> None:
        for name in ("crash_i", "tear_sel_i", "request_i", "tx_ready_i", "answer_i", "ruled_i", "frame_i", "slot_i",
                     "round_i", "nvid_i"):  # fmt: skip
            getattr(self.dut, name).value = 0
        cocotb.start_soon(Clock(self.dut.clk_i, 6.4, unit="ns", period_high=3.2).start())
        self.dut.rst_i.value = 1
        await ClockCycles(self.dut.clk_i, 2)
        self.dut.rst_i.value = 0

    async def cycle(self, wanted: list[bool], *, ready: bool = True, strike: str = "", **given: Any) -> Happened:
        """One cycle of both, compared; *strike*: the port that takes all but the register."""
        dut, model = self.dut, self.model
        dut.request_i.value = int("".join("1" if want else "0" for want in wanted), 2)
        dut.tx_ready_i.value = ready
        dut.crash_i.value, dut.rst_i.value = strike == "crash_i", strike == "rst_i"
        dut.answer_i.value = ANSWERS.index(given.get("answer", "busy"))
        dut.ruled_i.value = given.get("ruled", False)
        if given.get("frame"):
            dut.frame_i.value = given["frame"].bits
        dut.slot_i.value = slot_bits(given.get("app"))
        dut.round_i.value = given.get("round_named", 0)
        dut.nvid_i.value = given.get("fresh", 0)
        await ReadOnly()
        now = int(dut.now_o.value)
        done, bits, state, offered = now & 1, now >> 1 & 31, now >> 6 & 7, now >> 9 & 1
        told, bad_epoch, drop = now >> 10 & 15, now >> 14 & 1, now >> 15 & 15
        row, valid, granted = now >> 19 & 127, now >> 26 & 1, now >> 27
        # In the cycle of done the register has its new value already.
        register = int(dut.register_o.value)
        expected = model.pending.register if done and model.pending else model.register
        assert expected is not None
        assert register == register_bits(expected), (register_of(register), expected)
        assert STATES[state] is model.state, (STATES[state], model.state)
        assert bits == model.bits, (f"{bits:05b}", model.volatile)
        assert bool(offered) is model.sends
        if offered:
            assert int(dut.sent_o.value) == model.snapshot, (hex(int(dut.sent_o.value)), hex(model.snapshot))
        self.cycles += 1
        if strike:
            assert not valid
            assert not granted
            assert not bad_epoch
            happened = NOTHING
        else:
            before, writes = model.state, model.pending is None
            tells = model.pending
            old_slot = model.register.slot
            chosen, happened = model.step(wanted, sent=bool(offered and ready), done=bool(done), **given)
            said = f"{granted:b} {chosen} {before} {happened} {wanted} {done=} {valid=} {row=}"
            assert granted == (0 if chosen is None else 1 << 7 - chosen), said
            assert bool(valid) is (happened.row is not None)
            assert bool(bad_epoch) is happened.bad_epoch
            if valid:
                assert ROWS[row] == happened.row, (ROWS[row], happened)
                assert drop == DROP_OF[ROWS[row]]
                event = ROW_OF[ROWS[row]].event
                self.coverage.rows[ROWS[row]] += 1
                self.coverage.met[before, event] += 1
                if writes and model.pending is not None:
                    self.begun = (before, event)
            assert told == (happened.refused << 3 | happened.committed << 2 | happened.reversed << 1 | happened.alarm)
            if happened.committed or happened.reversed:
                assert tells is not None
                assert slot_of(int(dut.tell_slot_o.value)) == (old_slot if happened.reversed else model.register.inbox)
        self.in_write = self.in_write + 1 if model.pending else 0
        await RisingEdge(dut.clk_i)
        return happened

    async def crash(self, port: str, wanted: list[bool], cycles: int, tear: bool) -> None:
        """The power goes, or a reset comes, for so many cycles; in a write either register may be left."""
        self.dut.tear_sel_i.value = tear
        cut = self.model.pending
        mine = self.model.register
        untrue = Heard(FrameType.OFFER, mine.round & 0xFFFF, mine.epoch + 5 & 0xFFFFFFFF, mine.peer, mine.nvid)
        await self.cycle(wanted, strike=port, frame=untrue)
        await ReadOnly()
        took = self.model.crash(register_of(int(self.dut.register_o.value)))
        if cut is not None:
            assert cut.row.write is not None
            self.coverage.cut[cut.row.write, took] += 1
            assert self.begun is not None
            self.coverage.cut_in[*self.begun, took] += 1
        await RisingEdge(self.dut.clk_i)
        for _ in range(cycles):
            await self.cycle(wanted, strike=port, frame=untrue)


@cocotb.test()
async def the_machine_and_the_verilog_agree_until_all_is_covered(dut: Any) -> None:
    bench = Bench(dut)
    await bench.start()
    seed = os.environ.get("BENCH_SEED", "1")
    draw, strikes = random.Random(int(seed)), random.Random(f"{seed} strikes")
    model = bench.model
    chances = (0.004, 0.05, 0.006, 0.35, 0.05, 0.02, 0.05, 0.1)  # of each request, in a cycle
    while not bench.coverage.closed and bench.cycles < MOST_CYCLES:
        # A write that lacks a crash with one result or the other gets it: the old register early in it, the new one in
        # the selector's cycle.
        rare = model.pending is not None and bench.rare()
        if model.booted and draw.random() < (0.5 if rare else 0.02 if model.pending else 0.002):
            # Who asks then is not answered, and what comes is not heard.
            wanted = [event is None or strikes.random() < 0.15 for event in REQUESTS]
            port = strikes.choice(["crash_i", "crash_i", "rst_i"])
            await bench.crash(port, wanted, draw.choice([0, 0, 1, 5]), draw.random() < 0.3)
            continue
        # A fenced endpoint is left so for a while, then formatted.
        wanted = [draw.random() < chance for chance in chances]
        if model.volatile.fenced and draw.random() < 0.05:
            wanted[2] = True
        if not model.volatile.link and draw.random() < 0.1:
            wanted[1] = True
        # What is still to be met in this state, of what the application and the operator can bring about.
        lacking = [event for state, event, _ in bench.coverage.lacking() if state is model.state and event in REQUESTS]
        if lacking and draw.random() < 0.3:
            wanted = [event is lacking[0] for event in REQUESTS]
        await bench.cycle(
            wanted,
            ready=draw.random() < 0.7,
            frame=drawn_frame(draw, model.register) if wanted[RX] else None,
            answer=draw.choice(ANSWERS),
            app=draw.randbytes(draw.randint(0, 24)) if draw.random() < 0.6 else None,
            round_named=model.register.inbox_round + (draw.random() < 0.2),
            ruled=draw.random() < 0.7,
            fresh=draw.getrandbits(64) | 1,
        )
    dut._log.info("covered after %d cycles: %s", bench.cycles, bench.coverage)
    assert bench.coverage.closed, bench.coverage.missing()


@cocotb.test()
async def a_frame_from_long_ago_is_known_by_its_round(dut: Any) -> None:
    """On a wire that reorders, an offer that was returned comes once more, a whole window of rounds later.

    With 2 or 4 numbers for the rounds (V11, V12) it is taken for a new one, and the token that its sender has back is
    cloned; with 2**16 it belongs to the past.
    """
    window = 1 << int(dut.WINDOW_W.value)
    bench = Bench(dut)
    await bench.start()
    me, peer, token = 1, 2, b"token"

    async def beside_the_model(wanted: int, frame: Heard | None = None, answer: str = "reject") -> None:
        dut.request_i.value = 1 << wanted
        dut.answer_i.value = ANSWERS.index(answer)
        if frame:
            dut.frame_i.value = frame.bits
        await RisingEdge(dut.clk_i)
        dut.request_i.value = 0
        await ClockCycles(dut.clk_i, 12)

    def register() -> Register:
        return register_of(int(dut.register_o.value))

    await ClockCycles(dut.clk_i, 3)
    dut.tx_ready_i.value = 1
    dut.nvid_i.value, dut.ruled_i.value = me, 1
    await beside_the_model(5)  # the register outlives resets, and an earlier test
    await beside_the_model(6)
    await beside_the_model(4, Heard(FrameType.HELLO, 0, 0, peer, 0))
    late = Heard(FrameType.OFFER, 0, 0, peer, me, token)
    rounds = min(window, 8)
    for round_ in range(rounds):  # each offer of the peer is returned, so no epoch tells them apart
        offer = late if round_ == 0 else Heard(FrameType.OFFER, round_ % window, 0, peer, me)
        await beside_the_model(4, offer)
        assert (register().round, register().phase, register().epoch) == (round_ + 1, Phase.RETURNED, 0)
    await beside_the_model(4, late, "accept")
    cloned = register().inbox == token
    assert cloned is (window <= 4), f"{window} numbers"



"""Two ends of a link, whole: a round in the cycles that its parts add up to, and a token through a bad wire.

The long run crashes both ends at random cycles, in writes and out of them, while the wire loses, spoils and repeats
frames and the link goes down and up.  What the applications hold follows from the registers, write by write, as if
written with them; after every write the token is counted.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from typing import Any

import cocotb
from cocotb.clock import Clock
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge

from hwsim.bilateral.bits import register_of, slot_bits
from hwsim.bilateral.machine import Register
from hwsim.bilateral.table import OBSERVABLES, Phase, State

ANSWERS = OBSERVABLES["answer"]
STATES = list(State)
OFFER, CANCEL, CONSUME, FORMAT = 1, 2, 4, 8
TOKEN = b"token"


class Pair:
    """The bench's ports; end 0 is the left one."""

    def __init__(self, dut: Any) -> None:
        self.dut = dut

    async def start(self) -> None:
        dut = self.dut
        for name in ("crash_i", "tear_sel_i", "tick_i", "lose_i", "spoil_i", "repeat_i", "request_i", "answer_i",
                     "left_slot_i", "right_slot_i", "left_give_i", "right_give_i", "nvid_i", "read_row_i"):  # fmt: skip
            getattr(dut, name).value = 0
        dut.link_i.value = 0
        dut.cfg_beacon_i.value, dut.cfg_retry_i.value = 200, 120
        cocotb.start_soon(Clock(dut.clk_i, 6.4, unit="ns", period_high=3.2).start())
        dut.rst_i.value = 1
        await ClockCycles(dut.clk_i, 2)
        dut.rst_i.value = 0
        await ClockCycles(dut.clk_i, 3)
        for end in (0, 1):
            dut.nvid_i.value = 0x1000 + end + int(dut.cycle_o.value)
            await self.ask(end, FORMAT)
            await ClockCycles(dut.clk_i, int(dut.WRITE_CYCLES.value) + 8)
        dut.link_i.value = 1

    async def ask(self, end: int, what: int) -> None:
        """A request of one cycle."""
        self.dut.request_i.value = what << 4 * end
        await RisingEdge(self.dut.clk_i)
        self.dut.request_i.value = 0

    def registers(self) -> list[Register]:
        both = int(self.dut.register_o.value)
        return [register_of(both & ((1 << 692) - 1)), register_of(both >> 692)]

    def states(self) -> list[State]:
        both = int(self.dut.state_o.value)
        return [STATES[both & 7], STATES[both >> 3]]

    async def until_ready(self, limit: int = 4000) -> None:
        for _ in range(limit):
            await RisingEdge(self.dut.clk_i)
            await ReadOnly()
            if self.states() == [State.READY, State.READY]:
                await RisingEdge(self.dut.clk_i)
                return
        raise AssertionError(f"not ready: {self.states()}")


@cocotb.test()
async def a_round_takes_the_sum_of_its_parts(dut: Any) -> None:
    """One epoch exchanged between two ends that nothing lies between, against the latencies that the modules state."""
    if not int(dut.DIRECT.value):
        return
    pair = Pair(dut)
    await pair.start()
    await ClockCycles(dut.clk_i, 20)
    dut.tick_i.value = 1
    await pair.until_ready(40000)
    dut.tick_i.value = 0
    await ClockCycles(dut.clk_i, 400)
    # As the heads of the modules state them.
    octets = int(dut.DATA_W.value) // 8
    write = int(dut.WRITE_CYCLES.value) + 3  # blp_nvreg
    emission = 1  # blp_endpoint: from the write done to the snapshot offered
    framer, insert, check, parser, hold = 2, 1, 2 if octets == 8 else 5, 2, 1
    words = (78 + octets - 1) // octets - 1  # from the first word to the last that is not FCS alone
    flight = framer + insert + words + check + parser + hold
    heard = {"offer": 0, "left told": write + emission + flight + write + emission + flight + write}
    heard["right ready"] = heard["left told"] + emission + flight + 1
    dut.answer_i.value = ANSWERS.index("accept") << 2
    dut.left_slot_i.value = slot_bits(TOKEN)
    dut.request_i.value = OFFER
    await ReadOnly()
    assert int(dut.granted_o.value) & OFFER
    began = int(dut.cycle_o.value)
    measured = {"offer": 0}
    for _ in range(3 * heard["right ready"]):
        await RisingEdge(dut.clk_i)
        dut.request_i.value = 0
        await ReadOnly()
        now = int(dut.cycle_o.value) - began
        if int(dut.told_o.value) & 2:
            measured.setdefault("left told", now)
        if pair.states()[1] is State.READY and pair.registers()[1].round == 1:
            measured.setdefault("right ready", now)
    dut._log.info("a round with writes of %d cycles: %s", write, measured)
    assert measured == heard
    assert [register.epoch for register in pair.registers()] == [1, 1]
    assert pair.registers()[1].inbox == TOKEN


@cocotb.test()
async def what_comes_during_a_write_waits_or_is_said_again(dut: Any) -> None:
    """Left offers; right offers half a write later, and so is writing as left's offer comes."""
    if not int(dut.DIRECT.value):
        return
    pair = Pair(dut)
    await pair.start()
    dut.cfg_beacon_i.value = dut.cfg_retry_i.value = 10**6
    await ClockCycles(dut.clk_i, 20)
    dut.tick_i.value = 1
    await ClockCycles(dut.clk_i, 10)
    dut.cfg_beacon_i.value = 200
    await pair.until_ready(40000)
    dut.cfg_beacon_i.value = 10**6
    await ClockCycles(dut.clk_i, 400)
    write, flight = int(dut.WRITE_CYCLES.value) + 3, 3 + 14
    assert flight < write // 2
    await pair.ask(0, OFFER)
    await ClockCycles(dut.clk_i, write // 2)
    dut.request_i.value = OFFER << 4
    await ReadOnly()
    assert int(dut.granted_o.value) & OFFER << 4
    began = int(dut.cycle_o.value)
    while pair.registers()[1].round == 0:
        await RisingEdge(dut.clk_i)
        dut.request_i.value = 0
        await ReadOnly()
        assert int(dut.cycle_o.value) - began < 5 * write
    taken = int(dut.cycle_o.value) - began
    # It is taken in the cycle after the write; or else left takes right's offer, and says so.
    waited, dropped = write + 1 + write, 3 * write + 2 * (1 + flight)
    assert taken == (waited if int(dut.RX_DEPTH.value) else dropped)
    assert int(dut.missed_o.value) == 0


class Custody:
    """What the applications hold, folded from the registers write by write; each end's round and epoch beside it."""

    def __init__(self, registers: list[Register]) -> None:
        self.before = registers
        self.held = [1, 0]
        self.outcomes: dict[int, Phase] = {}
        self.writes: Counter[str] = Counter()

    def usable(self) -> int:
        return sum(self.held) + sum(register.inbox == TOKEN for register in self.before)

    def see(self, registers: list[Register]) -> None:
        """The registers now; fail if one changed in a way that no round explains, or the token is lost or cloned."""
        for end, (old, new) in enumerate(zip(self.before, registers, strict=True)):
            if old != new:
                self._fold(end, old, new)
        self.before = registers
        left, right = registers
        assert abs(left.round - right.round) <= 1
        assert abs(left.epoch - right.epoch) <= 1
        assert self.usable() <= 1, (self.held, registers)
        if left.round == right.round:
            assert left.epoch == right.epoch
            if Phase.OFFER not in (left.phase, right.phase):
                assert left.phase is right.phase
                assert self.usable() == 1, (self.held, registers)

    def _fold(self, end: int, old: Register, new: Register) -> None:
        was_bound, bound = old.phase is Phase.OFFER, new.phase is Phase.OFFER
        if bound and not was_bound:
            assert new.round == old.round
            self.held[end] -= new.slot == TOKEN
            self.writes["offer"] += 1
        elif new.round == old.round + 1:
            # Both ends write how a round ended: alike, whoever comes first.
            assert self.outcomes.setdefault(old.round, new.phase) is new.phase
            assert new.epoch == old.epoch + (new.phase is Phase.TAKEN)
            if new.phase is Phase.RETURNED and was_bound:
                self.held[end] += old.slot == TOKEN
            if new.phase is Phase.TAKEN and not was_bound:
                self.held[end] -= new.slot == TOKEN
            self.writes[f"{'bound' if was_bound else 'open'} to {new.phase.name}"] += 1
        elif old.inbox is not None and new.inbox is None:
            assert new.round == old.round
            self.held[end] += old.inbox == TOKEN
            self.writes["consume"] += 1
        else:
            assert old._replace(peer=new.peer) == new, (old, new)
            self.writes["pair"] += 1
        assert 0 <= self.held[end] <= 1, (end, old, new)


@cocotb.test()
async def the_token_survives_a_bad_wire_and_crashes(dut: Any) -> None:
    if int(dut.DIRECT.value):
        return
    rounds = int(os.environ.get("BENCH_ROUNDS", "100"))
    pair = Pair(dut)
    await pair.start()
    draw = random.Random(int(os.environ.get("BENCH_SEED", "1")))
    dut.tick_i.value = 1
    dut.lose_i.value, dut.spoil_i.value, dut.repeat_i.value = 26, 13, 50
    custody = Custody(pair.registers())
    crashes: Counter[str] = Counter()
    step = int(dut.WRITE_CYCLES.value) + 2  # never two writes of an end in one step
    down = 0
    begun = 0
    while min(register.round for register in custody.before) < rounds:
        await ClockCycles(dut.clk_i, draw.randint(1, step))
        dut.tear_sel_i.value = draw.getrandbits(2)
        await ReadOnly()
        both, state, bits, cycle = (int(signal.value) for signal in
                                    (dut.register_o, dut.state_o, dut.volatile_o, dut.cycle_o))  # fmt: skip
        registers = [register_of(both & ((1 << 692) - 1)), register_of(both >> 692)]
        custody.see(registers)
        states = [STATES[state & 7], STATES[state >> 3]]
        await RisingEdge(dut.clk_i)
        if not down and draw.random() < 0.0005:
            dut.link_i.value, down = 0, 30
        elif down:
            down -= 1
            dut.link_i.value = int(not down)
        request, answer, crash = 0, 0, 0
        for end in (0, 1):
            writing = states[end] is State.WRITING
            if draw.random() < (0.03 if writing else 0.002):
                crash |= 1 << end
                crashes[f"in {states[end]}"] += 1
            queued = bits >> 5 * end & 1
            spare = custody.held[end] and not queued and not writing
            slot = TOKEN if spare and draw.random() < 0.7 else None
            gift = TOKEN if spare and slot is None and draw.random() < 0.5 else None
            (dut.left_slot_i, dut.right_slot_i)[end].value = slot_bits(slot)
            (dut.left_give_i, dut.right_give_i)[end].value = slot_bits(gift)
            kinds = draw.random()
            request |= (OFFER if kinds < 0.05 else CANCEL if kinds < 0.08 else CONSUME if kinds < 0.3 else 0) << 4 * end
            answer |= draw.choices(range(4), [6, 3, 2, 1])[0] << 2 * end
        dut.request_i.value, dut.answer_i.value, dut.crash_i.value = request, answer, crash
        begun = cycle
        # Requests last a cycle, in which what they offer is there; the answer and the gift stay: a second round that
        # could take the gift again is farther away than the next look.
        await RisingEdge(dut.clk_i)
        dut.request_i.value = 0
        dut.crash_i.value = 0
        await ReadOnly()
        custody.see(pair.registers())
        await RisingEdge(dut.clk_i)
    missed = int(dut.missed_o.value)
    if int(dut.RX_DEPTH.value):
        assert missed & (1 << 32) - 1  # since the last crash of the left end
        assert missed >> 32
    else:
        assert missed == 0
    assert int(dut.bad_epoch_o.value) == 0
    dut._log.info("%d rounds in %d cycles; crashes %s; writes %s", rounds, begun, dict(crashes), dict(custody.writes))
    assert crashes[f"in {State.WRITING}"]
    ends = {f"{was} to {outcome}" for was in ("open", "bound") for outcome in ("TAKEN", "RETURNED")}
    assert ends | {"offer", "consume"} <= custody.writes.keys()



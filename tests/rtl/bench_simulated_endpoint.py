"""blp_link_top beside the simulated endpoint, the same events to both: equal registers, states and octets on the wire.

Frames go in as octets, some of them spoilt, and every frame that comes out is compared with what the simulated endpoint
transmits.  The counters of the Verilog's rows are compared with the simulated endpoint's after every life.
"""

from __future__ import annotations

import os
import random
from collections import Counter
from typing import Any

import cocotb
import simpy
from bench_blp_endpoint import drawn_frame
from cocotb.triggers import ClockCycles, ReadOnly, RisingEdge, ValueChange
from drawn_frames import flipped
from endpoint_model import Heard

from hwsim.bilateral.bits import register_of, slot_bits
from hwsim.bilateral.endpoint import Answer, Application, Endpoint
from hwsim.bilateral.frame import Frame, encode
from hwsim.bilateral.machine import Register
from hwsim.bilateral.record import RECORD_OCTETS, Record, RecordMemory
from hwsim.bilateral.table import OBSERVABLES, TABLE, State
from hwsim.bilateral.wire import FRAME_OCTETS
from hwsim.cocotb import StreamBench
from hwsim.nv_register import NvParams, NvRegister

SA = bytes.fromhex("020000000001")
OFFER, CANCEL, CONSUME, FORMAT = 1, 2, 4, 8
ANSWERS = OBSERVABLES["answer"]
STATES = list(State)
US, SECOND = 10**6, 10**12
SETTLED = 400  # cycles in which an event is over at 8 bits: a frame in, a write, a frame out, a queued offer behind it
# The Verilog's timer runs on where the simulated one stops, without a link.
UNCOUNTED = {"timer_idle", "power_on"}


class Say(Application):
    """Answers what it is set to."""

    said = Answer("accept")

    def answer(self, endpoint: Endpoint, payload: bytes | None) -> Answer:
        return self.said


class Both:
    """The two endpoints."""

    def __init__(self, dut: Any, nvid: int) -> None:
        self.dut = dut
        self.bench = StreamBench(dut)
        self.env = simpy.Environment()
        self.nvid = nvid
        self.out: list[bytes] = []
        self.expected: list[bytes] = []
        draw = random.Random(3)

        def allot(key: str, size_bytes: int, initial: int) -> NvRegister:
            params = NvParams.model_validate({"write": "100ns", "word": f"{RECORD_OCTETS}B"})
            return NvRegister(self.env, params, draw, size_bytes=size_bytes, initial=initial)

        self.application = Say()
        self.simulated = Endpoint(
            self.env, "link@left", RecordMemory(allot, Record(Register(nvid))), beacon=SECOND, retransmit=SECOND,
            fresh=lambda: self.nvid, record=lambda *_, **__: None, mac=SA, application=self.application,
        )  # fmt: skip
        self.simulated.transmit = self.expected.append

    async def start(self) -> None:
        dut = self.dut
        for name in ("crash_i", "tear_sel_i", "link_i", "tick_i", "request_i", "answer_i", "slot_i", "consumed_i",
                     "read_row_i", "read_drop_i"):  # fmt: skip
            getattr(dut, name).value = 0
        dut.cfg_beacon_i.value = dut.cfg_retry_i.value = 1
        dut.nvid_i.value = self.nvid
        await self.bench.start()
        cocotb.start_soon(self._collect())
        await self.ask(FORMAT)
        await self.crash()  # what the format counted is forgotten

    async def _collect(self) -> None:
        while True:
            await ValueChange(self.dut.arrived_o)
            await ReadOnly()
            self.out.append(int(self.dut.frame_o.value).to_bytes(128, "little")[: int(self.dut.length_o.value)])

    async def ask(self, what: int) -> None:
        self.dut.request_i.value = what
        await RisingEdge(self.dut.clk_i)
        self.dut.request_i.value = 0
        await ClockCycles(self.dut.clk_i, SETTLED)

    async def crash(self) -> None:
        """Both lose all but their registers."""
        self.dut.crash_i.value = 1
        await ClockCycles(self.dut.clk_i, 2)
        self.dut.crash_i.value = 0
        await ClockCycles(self.dut.clk_i, SETTLED)
        self.simulated.crash(power=True)
        self.simulated.restore_power()
        self.simulated.rows.clear()
        self.simulated.boot()
        self.settle()

    def settle(self) -> None:
        self.env.run(until=self.env.now + US)

    async def rows(self) -> Counter[str]:
        """The Verilog's counters."""
        counts: Counter[str] = Counter()
        for number, row in enumerate(TABLE):
            self.dut.read_row_i.value = number
            await ReadOnly()
            counts[row.name] = int(self.dut.rows_o.value)
            await RisingEdge(self.dut.clk_i)
        return +counts

    async def compare(self, what: str) -> None:
        await ReadOnly()
        mine, theirs = register_of(int(self.dut.register_o.value)), self.simulated.register
        assert mine == theirs, (what, mine, theirs)
        assert STATES[int(self.dut.state_o.value)] is self.simulated.state, (what, self.simulated.state)
        if not self.simulated.carrier:
            self.expected.clear()  # a fenced endpoint beacons without a link too; the Verilog's frames stay within
        assert self.out == self.expected, (what, [o.hex() for o in self.out], [e.hex() for e in self.expected])
        self.out.clear()
        self.expected.clear()
        await RisingEdge(self.dut.clk_i)


def octets_of(heard: Heard) -> bytes:
    """The frame on the wire."""
    return encode(Frame(heard.type, heard.round, heard.epoch, heard.payload is not None, heard.cancel, src=heard.src,
                        dst=heard.dst, payload=heard.payload or b"", sa=SA))  # fmt: skip


@cocotb.test()
async def the_same_events_lead_to_the_same_registers_states_and_octets(dut: Any) -> None:
    draw = random.Random(int(os.environ.get("BENCH_SEED", "1")))
    both = Both(dut, draw.getrandbits(64) | 1)
    await both.start()
    simulated, seen = both.simulated, Counter[str]()
    for _ in range(int(os.environ.get("BENCH_EVENTS", "600"))):
        payload = draw.randbytes(draw.randint(0, 24)) if draw.random() < 0.6 else None
        answer = draw.choice(ANSWERS)
        both.application.said = Answer(answer, payload)
        dut.slot_i.value, dut.answer_i.value = slot_bits(payload), ANSWERS.index(answer)
        chances = {"frame": 60, "link": 4 if simulated.carrier else 30, "timer": 6, "offer": 12, "cancel": 2,
                   "consume": 8, "format": 8 if simulated.volatile.fenced else 1, "crash": 2}  # fmt: skip
        what = draw.choices([*chances], [*chances.values()])[0]
        if what == "frame":
            octets = octets_of(drawn_frame(draw, simulated.register))
            if draw.random() < 0.1:
                octets = flipped(octets, draw.randrange(8 * FRAME_OCTETS))
            await both.bench.put(octets)
            await ClockCycles(dut.clk_i, SETTLED)
            simulated.receive(octets)
        elif what == "link":
            dut.link_i.value = not simulated.carrier
            await ClockCycles(dut.clk_i, SETTLED)
            (simulated.link_down if simulated.carrier else simulated.link_up)()
        elif what == "timer":
            if simulated._timer is None:
                continue
            dut.tick_i.value = 1
            await RisingEdge(dut.clk_i)
            dut.tick_i.value = 0
            await ClockCycles(dut.clk_i, SETTLED)
            both.env.run(until=max(simulated._due, simulated._timer) + 1)
        elif what == "offer":
            await both.ask(OFFER)
            simulated.offer(payload)
        elif what == "cancel":
            await both.ask(CANCEL)
            simulated.cancel()
        elif what == "consume":
            named = simulated.register.inbox_round + (draw.random() < 0.2)
            dut.consumed_i.value = named
            await both.ask(CONSUME)
            simulated.consume(named)
        elif what == "format":
            both.nvid = draw.getrandbits(64) | 1
            dut.nvid_i.value = both.nvid
            await both.ask(FORMAT)
            simulated.reformat(ruled=True)
        else:
            mine = await both.rows()
            theirs = simulated.rows
            assert {name: count for name, count in mine.items() if name not in UNCOUNTED} == {
                name: count for name, count in theirs.items() if name not in UNCOUNTED
            }
            seen += mine
            await both.crash()
        both.settle()
        await both.compare(what)
    assert int(dut.missed_o.value) == 0
    dut._log.info("rows that both executed: %d of %d", len(seen), len(TABLE))
    assert len(seen) > 50

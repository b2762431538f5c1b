"""A state machine that does to cells and links all that may happen to them, and holds the protocol to its promises.

Rules crash, reset and restore cells, cut and mend links, lose and double single frames, and offer, wish back and wait.
After every rule no promise may be broken; once all is whole again, every link must settle.
"""

from __future__ import annotations

import random
from functools import partial
from itertools import pairwise
from types import SimpleNamespace

from bilateral_bench import Bench
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from hwsim.bilateral.endpoint import Answer, Endpoint
from hwsim.bilateral.machine import STANDARD, Rows
from hwsim.bilateral.table import State
from hwsim.workloads.transfers import Trader

SHAPES = {
    "line": lambda n: tuple(pairwise(range(n))),
    "ring": lambda n: (*pairwise(range(n)), (n - 1, 0)) if n > 2 else ((0, 1),),
    "star": lambda n: tuple((0, i) for i in range(1, n)),
}
APPLICATION = SimpleNamespace(answer="swap", busy=0.0, reject=0.0, cancel=0.0, consume=0, pause=0, rounds=2**40)


class Moody(Trader):
    """Answers as its mood is."""

    mood = "take"

    def answer(self, endpoint: Endpoint, payload: bytes | None) -> Answer:
        return super().answer(endpoint, payload) if self.mood == "take" else Answer(self.mood)  # type: ignore[arg-type]


class Cells(RuleBasedStateMachine):
    """Cells on links; a subclass may break the protocol."""

    rows: Rows = STANDARD
    endpoint: type[Endpoint] = Endpoint
    trader: type[Moody] = Moody
    shapes: tuple[str, ...] = ("line", "ring", "star")
    most = 8
    consume = 0

    @initialize(data=st.data())
    def begin(self, data: st.DataObject) -> None:
        shape = data.draw(st.sampled_from(self.shapes)) if len(self.shapes) > 1 else self.shapes[0]
        count = data.draw(st.integers(2, self.most)) if self.most > 2 else 2
        self.start(SHAPES[shape](count))

    def start(self, joins: tuple[tuple[int, int], ...]) -> None:
        self.bench = Bench(joins=joins, rows=self.rows, endpoint=self.endpoint)
        figures = SimpleNamespace(**{**vars(APPLICATION), "consume": self.consume})
        self.lose: dict[str, int] = {}
        self.double: dict[str, int] = {}
        for link in self.bench.links:
            apps = {end: self.trader(self.bench.world, figures, random.Random(1), opens=False)
                    for end in (link.a, link.b)}  # fmt: skip
            link.start(apps, {link.a: 1, link.b: 2})
            for end, endpoint in link.endpoints.items():
                word = endpoint.word
                self.bench.world.record("tokens_issued", endpoint.name, detail=f"tokens={word:x}")
                endpoint.transmit = partial(self.transmit, endpoint.name, link.channel.wires[end].send)
        self.bench.run(60)
        self.fenced = 0

    def transmit(self, name: str, send: object, octets: bytes) -> None:
        if self.lose.get(name):
            self.lose[name] -= 1
            return
        send(octets)  # type: ignore[operator]
        if self.double.get(name):
            self.double[name] -= 1
            send(octets)  # type: ignore[operator]

    # what may happen

    def end(self, which: int) -> Endpoint:
        ends = [endpoint for link in self.bench.links for endpoint in link.endpoints.values()]
        return ends[which % len(ends)]

    @rule(us=st.sampled_from([0.7, 2.2, 5, 8, 18, 50]))
    def wait(self, us: float) -> None:
        self.bench.run(us)

    @rule(which=st.integers(0, 15))
    def offer(self, which: int) -> None:
        end = self.end(which)
        trader = end.application
        assert isinstance(trader, Trader)
        if not end.queued:
            end.offer(trader._held(end))

    @rule(which=st.integers(0, 15))
    def wish_back(self, which: int) -> None:
        self.end(which).cancel()

    @rule(which=st.integers(0, 7), kind=st.sampled_from(["power_loss", "nic_reset"]))
    def crash_and_restore(self, which: int, kind: str) -> None:
        self.bench.crash(which % len(self.bench.cells), kind)
        self.bench.restore(which % len(self.bench.cells))

    @rule(which=st.integers(0, 15), count=st.integers(1, 3))
    def lose_frames(self, which: int, count: int) -> None:
        self.lose[self.end(which).name] = count

    # what must hold

    @invariant()
    @precondition(lambda self: hasattr(self, "bench"))
    def promises_hold(self) -> None:
        """I1 to I4 from the trace; I5 and I7 from the ends themselves."""
        for name, judged in self.bench.judged().items():
            assert not judged.violations, (name, judged.violations[0])
            assert not judged.fenced, f"{name}: a fence without a cause"
        for link in self.bench.links:
            one, two = link.endpoints.values()
            for end, peer in ((one, two), (two, one)):
                if end.state in (State.READY, State.OFFERED):
                    assert peer.register.round >= end.register.round, f"{end.name} believes what is not so"

    def teardown(self) -> None:
        if not hasattr(self, "bench"):
            return
        self.lose.clear()
        self.double.clear()
        for link in self.bench.links:
            for end in link.endpoints.values():
                end.application.mood = "take"  # type: ignore[attr-defined]
            if not link.channel.up:
                link.bring_up()
        for index in range(len(self.bench.cells)):
            self.bench.restore(index)
        # A write or two, three exchanges of beacons, and as many offers as may still be queued.
        self.bench.run(3 * 2 * 40 + 100)
        self.promises_hold()
        for link in self.bench.links:
            one, two = link.endpoints.values()
            for end in (one, two):
                assert end.state is State.READY, f"{end.name} does not settle: {end.state}"
                assert end.register.inbox is None
            assert one.register.round == two.register.round
            assert one.register.epoch == two.register.epoch
            assert (one.word | two.word, one.word & two.word) == (3, 0)


class MoreCells(Cells):
    """The same, and longer outages, cuts, doubled frames, and applications that are not always willing."""

    @rule(which=st.integers(0, 15), mood=st.sampled_from(["take", "reject", "busy"]))
    def change_mood(self, which: int, mood: str) -> None:
        trader = self.end(which).application
        assert isinstance(trader, Moody)
        trader.mood = mood

    @rule(which=st.integers(0, 15))
    def double_a_frame(self, which: int) -> None:
        self.double[self.end(which).name] = 1

    @rule(which=st.integers(0, 7))
    def cut_or_mend(self, which: int) -> None:
        link = self.bench.links[which % len(self.bench.links)]
        if link.channel.up:
            link.take_down()
        else:
            link.bring_up()

    @rule(which=st.integers(0, 7), kind=st.sampled_from(["power_loss", "nic_reset"]))
    def crash(self, which: int, kind: str) -> None:
        self.bench.crash(which % len(self.bench.cells), kind)

    @rule(which=st.integers(0, 7))
    def restore(self, which: int) -> None:
        self.bench.restore(which % len(self.bench.cells))

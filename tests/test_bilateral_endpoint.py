"""The live endpoint of a bilateral link: what the table wants, in time, with a memory and with crashes."""

from __future__ import annotations

from bilateral_bench import US, Bench

from hwsim.bilateral.endpoint import Answer, Application, Endpoint
from hwsim.bilateral.frame import Frame, decode
from hwsim.bilateral.table import Event, State
from hwsim.bilateral.wire import Drop, FrameType


class Log(Application):
    """Remembers what it was told; answers what it is set to."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.told: list[tuple[object, ...]] = []

    def answer(self, endpoint: Endpoint, payload: bytes | None) -> Answer:
        return self.answers.pop(0) if self.answers else Answer("accept")

    def committed(self, endpoint: Endpoint, round_: int, brought: bytes | None) -> None:
        self.told.append(("committed", round_, brought))

    def reversed(self, endpoint: Endpoint, round_: int, payload: bytes | None) -> None:
        self.told.append(("reversed", round_, payload))

    def refused(self, endpoint: Endpoint, request: Event) -> None:
        self.told.append(("refused", request))

    def alarmed(self, endpoint: Endpoint) -> None:
        self.told.append(("alarmed",))

    def fenced(self, endpoint: Endpoint) -> None:
        self.told.append(("fenced",))


def test_two_ends_pair_and_hear_each_other() -> None:
    bench = Bench().start().run(100)
    assert (bench.a.state, bench.b.state) == (State.READY, State.READY)
    assert bench.a.register.peer == bench.b.register.nvid
    assert bench.b.register.peer == bench.a.register.nvid


def test_a_transfer_takes_three_writes_and_tells_both() -> None:
    a, b = Log(), Log()
    bench = Bench().start(a, b).run(100)
    before = bench.a.memory.writes + bench.b.memory.writes
    bench.a.offer(b"token")
    bench.run(100)
    assert bench.a.memory.writes + bench.b.memory.writes == before + 3
    assert a.told == [("committed", 0, None)]
    assert b.told == [("committed", 0, b"token")]
    assert (bench.a.register.epoch, bench.b.register.epoch) == (1, 1)
    assert bench.b.register.inbox == b"token"
    bench.b.consume()
    bench.run(10)
    assert bench.b.register.inbox is None
    assert (bench.a.state, bench.b.state) == (State.READY, State.READY)


def test_swap_reject_busy_and_cancel() -> None:
    a, b = Log(), Log(Answer("give", b"back"), Answer("reject"), Answer("busy"), Answer("busy"))
    bench = Bench().start(a, b).run(100)
    bench.a.offer(b"1")
    bench.run(100)
    assert a.told.pop() == ("committed", 0, b"back")
    assert b.told.pop() == ("committed", 0, b"1")
    bench.a.consume()
    bench.b.consume()
    bench.run(100)
    bench.a.offer(b"2")
    bench.run(100)
    assert a.told.pop() == ("reversed", 1, b"2")
    bench.a.offer(b"3")
    bench.run(25)
    assert bench.a.state is State.OFFERED
    bench.a.cancel()
    bench.run(200)
    assert a.told.pop() == ("reversed", 2, b"3")  # the wish went with the next offer that was sent again
    assert bench.b.register.epoch == 1


def test_offers_that_cross_swap() -> None:
    a, b = Log(), Log()
    bench = Bench().start(a, b).run(100)
    bench.a.offer(b"a")
    bench.b.offer(b"b")
    bench.run(200)
    assert (a.told, b.told) == ([("committed", 0, b"b")], [("committed", 0, b"a")])
    assert bench.a.register.epoch == bench.b.register.epoch == 1


def test_an_offer_made_too_early_waits_until_the_peer_is_heard_and_the_inbox_is_empty() -> None:
    a, b = Log(), Log()
    bench = Bench().start(a, b).run(100)
    bench.b.offer(b"x")
    bench.run(6)  # written at 2 us, here at 3.1 us, taken at 5.1 us
    assert bench.a.state is State.WAIT
    assert bench.a.register.inbox == b"x"
    bench.a.offer(b"y")
    bench.run(100)
    assert bench.a.queued == (b"y",)
    bench.a.consume()
    bench.run(100)
    assert b.told == [("committed", 0, None), ("committed", 1, b"y")]


def test_a_write_under_way_hears_nothing_and_says_so() -> None:
    bench = Bench(nv={"write": "50us", "word": "128B"}).start(Log(), Log()).run(400)
    bench.a.offer(b"1")
    bench.run(45)
    assert bench.a.state is State.WRITING
    bench.run(55)
    assert bench.a.dropped["writing"] >= 1


def test_the_offer_outlives_its_maker() -> None:
    a, b = Log(), Log()
    bench = Bench().start(a, b).run(100)
    bench.a.offer(b"token")
    bench.run(2.1)
    bench.crash(0)
    bench.run(100)
    assert b.told == [("committed", 0, b"token")]
    bench.restore(0)
    assert bench.a.state is State.OFFERED
    bench.run(100)
    assert a.told == [("committed", 0, None)]
    assert not bench.judged()["l0"].violations


def test_a_crash_in_a_write_leaves_the_old_or_the_new_register() -> None:
    seen = set()
    for seed in range(20):
        bench = Bench(seed=seed).start().run(100)
        old = bench.a.register
        bench.a.offer(b"token")
        bench.run(1)
        bench.crash(0)
        found = bench.a.memory.load().register
        assert found in (old, bench.a.register)
        seen.add(found.phase)
        bench.restore(0)
        bench.run(300)
        assert bench.a.state is State.READY
        assert not bench.judged()["l0"].violations
    assert len(seen) == 2


def test_two_slots_and_a_selector_where_the_memory_writes_single_words() -> None:
    bench = Bench(nv={"write": "200ns"}).start(Log(), b := Log()).run(300)
    assert len(bench.a.memory.registers) == 3
    bench.a.offer(b"token")
    words = bench.a.memory.registers[0].words
    bench.run(0.2 * (words + 1) - 0.01)
    bench.crash(0)  # in the selector's word
    bench.restore(0)
    bench.run(300)
    assert bench.a.state is State.READY
    assert len(b.told) == bench.b.register.epoch
    bench = Bench(nv={"write": "200ns"}).start(Log(), Log()).run(300)
    old = bench.a.register
    bench.a.offer(b"token")
    bench.run(0.2 * words - 0.01)
    bench.crash(0)  # in the slot that is not selected
    assert bench.a.register == old


def test_a_reset_leaves_the_write_alone() -> None:
    bench = Bench().start(Log(), Log()).run(100)
    bench.a.offer(b"token")
    bench.run(1)
    bench.crash(0, "nic_reset")
    bench.restore(0)
    assert not bench.a.up  # it boots once the write is done
    bench.run(1.5)
    assert bench.a.state is State.OFFERED


def test_energy_that_is_held_up_finishes_the_write() -> None:
    bench = Bench(nv={"write": "2us", "word": "128B", "hold_up": "3us"}).start(Log(), Log()).run(100)
    bench.a.offer(b"token")
    bench.run(1)
    bench.crash(0)
    assert bench.a.register.slot == b"token"


def test_worn_out_memory_stops_an_end_and_clones_nothing() -> None:
    a = Log()
    bench = Bench(nv={"write": "2us", "word": "128B", "endurance": 2}).start(a, Log()).run(100)
    bench.a.offer(b"1")  # pairing was the first write, this is the second
    bench.run(200)
    assert bench.a.worn_out
    assert ("alarmed",) in a.told
    assert bench.a.dropped["worn_out"] > 0
    assert not bench.judged()["l0"].violations


def test_links_go_down_and_come_back() -> None:
    bench = Bench().start(Log(), Log()).run(100)
    bench.a.offer(b"token")
    bench.run(2.5)
    bench.link.take_down()
    assert bench.a.state is State.DOWN
    bench.run(500)
    assert bench.a.register.slot == b"token"
    sent = bench.a.sent.total()
    bench.run(500)
    assert bench.a.sent.total() == sent  # nobody talks to a link that is down
    bench.link.bring_up()
    bench.run(100)
    assert (bench.a.register.epoch, bench.b.register.epoch) == (1, 1)


def test_a_replaced_register_is_fenced_until_somebody_rules() -> None:
    a, b = Log(), Log()
    bench = Bench().start(a, b).run(100)
    bench.a.offer(b"1")
    bench.run(100)
    bench.a.reformat()
    bench.run(200)
    assert bench.b.state is State.FENCED
    assert ("fenced",) in b.told
    assert bench.a.dropped["not_for_me"] > 0  # what the fenced end says is for a register that is no more
    bench.b.reformat()
    assert b.told[-1] == ("refused", Event.FORMAT)
    bench.b.reformat(ruled=True)
    bench.run(200)
    assert (bench.a.state, bench.b.state) == (State.READY, State.READY)


def test_a_formatted_register_saves_what_lay_in_the_inbox() -> None:
    from hwsim.bilateral.judged import token
    from hwsim.bilateral.machine import Register
    from hwsim.workloads.transfers import custody

    old = Register(1, 2, 5, inbox=token(3))
    assert custody("format", old, Register(9), 0b1) == 0b1001
    assert custody("consume", old, old._replace(inbox=None), 0b1) == 0b1001


def test_rounds_and_epochs_go_on_past_what_a_frame_can_carry() -> None:
    from hwsim.bilateral.record import Record

    bench = Bench().start(Log(), Log()).run(100)
    for end in (bench.a, bench.b):
        late = Record(end.register._replace(round=(1 << 16) - 2, epoch=(1 << 32) - 2))
        end.memory.write(late, lambda whole: None)
        bench.run(3)
        bench.crash(0 if end is bench.a else 1)
    bench.restore(0)
    bench.restore(1)
    bench.run(100)
    for payload in (b"1", b"2", b"3", b"4"):
        bench.a.offer(payload)
        bench.run(50)
        bench.crash(0)  # and it finds its way back at each side of the edge
        bench.restore(0)
        bench.run(100)
        assert bench.b.register.inbox == payload
        bench.b.consume()
        bench.run(50)
    for end in (bench.a, bench.b):
        assert (end.register.round, end.register.epoch) == ((1 << 16) + 2, (1 << 32) + 2)
        assert not end.dropped["epoch"]
        assert end.state is State.READY


def test_the_echo_is_the_last_frame_of_the_peer_that_was_taken() -> None:
    bench = Bench().start().run(200)
    from hwsim.bilateral.frame import Frame, decode

    last = decode(bench.a._octets)
    assert isinstance(last, Frame)
    assert bench.b._echo == last.slice0


def test_what_is_owed_after_a_reboot() -> None:
    bench = Bench().start(Log(), Log()).run(100)
    bench.crash(0)
    assert bench.a.crashes == 1
    assert not bench.a.volatile.heard
    bench.a.offer(b"1")
    assert bench.a.application.told == [("refused", Event.APP_OFFER)]
    bench.run(100)
    assert bench.b.state is State.READY  # silence tells it nothing
    bench.restore(0)
    bench.run(100)
    assert bench.a.state is State.READY


def test_beacons_and_retransmissions_keep_their_times() -> None:
    bench = Bench().start().run(1000)
    sent = bench.a.sent.total()
    bench.run(400)
    assert 9 <= bench.a.sent.total() - sent <= 11  # every 40 us
    bench.crash(1)
    bench.a.offer(b"1")
    bench.run(2.5)
    sent = bench.a.sent.total()
    bench.run(150)
    assert bench.a.sent.total() - sent == 10  # every 15 us
    assert bench.env.now == round(1552.5 * US)


def test_a_formatted_endpoint_echoes_nothing() -> None:
    bench = Bench().start().run(100)
    sent: list[Frame | Drop] = []
    bench.a.transmit = lambda octets: sent.append(decode(octets))
    bench.run(50)
    bench.a.reformat(ruled=True)
    bench.run(3)
    before, after = sent[0], sent[-1]
    assert isinstance(before, Frame)
    assert isinstance(after, Frame)
    assert before.echo != 0
    assert (after.type, after.echo) == (FrameType.HELLO, 0)

"""The wire of a bilateral link: times against arithmetic, faults against their figures, scripts against hand counts."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable
from functools import partial
from itertools import pairwise
from typing import Any

import pytest
import simpy
from frame_oracle import GOLDEN, judge
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hwsim.bilateral import damage
from hwsim.bilateral.channel import Channel, ChannelParams, Wire
from hwsim.bilateral.frame import Frame, decode, encode
from hwsim.bilateral.wire import FIELDS, Drop, FrameType
from hwsim.streams import stream

NS = 1000
LINE = (8 + 82) * 8 * NS  # of a frame at 1 Gb/s, ps
TAKES = LINE + 12 * 8 * NS
DELAY = 500 * NS


def numbered(number: int) -> bytes:
    """A frame that tells its number."""
    return encode(Frame(FrameType.RETURNED, round=number % 2**16, epoch=number))


class Bench:
    """A channel between `a` and `b`, what arrived at each end and when, and what an observer saw."""

    def __init__(self, seed: int = 1, name: str = "wire", observed: bool = False, **given: Any) -> None:
        self.env = simpy.Environment()
        params = ChannelParams(**({"rate": "1Gb/s", "delay": "500ns"} | given))
        self.channel = Channel(name, "a", "b", params, self.env, partial(stream, seed))
        self.got: dict[str, list[tuple[int, bytes]]] = {"a": [], "b": []}
        self.seen: list[tuple[str, int, bytes, bool, str]] = []
        for wire in self.channel.wires.values():
            wire.receive = partial(self._received, wire.receiver)
        if observed:
            self.channel.observe = self._observed

    def _received(self, device: str, octets: bytes) -> None:
        self.got[device].append((self.env.now, octets))

    def _observed(self, interface: str, time_ps: int, octets: bytes, *, inbound: bool, note: str) -> None:
        self.seen.append((interface, time_ps, octets, inbound, note))

    def at(self, time_ps: int, action: Callable[[], object]) -> None:
        self.env.timeout(time_ps).callbacks.append(lambda _: action())

    def send(self, count: int, device: str = "a") -> Bench:
        """Send numbered frames, from 1, and run until all is quiet."""
        for number in range(1, count + 1):
            self.channel.wires[device].send(numbered(number))
        self.env.run()
        balanced(self.channel.wires[device])
        return self

    def octets(self, device: str = "b") -> list[bytes]:
        return [octets for _, octets in self.got[device]]

    def numbers(self, device: str = "b") -> list[int | str]:
        """What arrived: each frame's number, or why it is dropped."""
        read = [decode(octets) for octets in self.octets(device)]
        return [frame.value if isinstance(frame, Drop) else frame.epoch for frame in read]


def balanced(wire: Wire) -> None:
    """Nothing vanishes uncounted."""
    besides = sum(wire.faults.get(kind, 0) for kind in ("duplicate", "garbage", "replay"))
    assert wire.sent + besides == wire.delivered + sum(wire.dropped.values())


def near(count: int, trials: int, probability: float) -> bool:
    """Whether *count* is within 4 standard errors of a binomial's mean."""
    return abs(count - trials * probability) <= 4 * math.sqrt(trials * probability * (1 - probability))


# --- time and order ------------------------------------------------------------------------------


def test_frames_arrive_one_after_another_as_sent() -> None:
    bench = Bench().send(3)
    assert [time for time, _ in bench.got["b"]] == [LINE + DELAY + k * TAKES for k in range(3)]
    assert bench.octets() == [numbered(1), numbered(2), numbered(3)]
    assert bench.octets("a") == []
    assert bench.channel.wires["a"].figures() == {"sent": 3, "delivered": 3, "dropped": {}, "faults": {}}


def test_the_ways_do_not_wait_for_each_other() -> None:
    bench = Bench()
    bench.channel.wires["a"].send(GOLDEN)
    bench.channel.wires["b"].send(GOLDEN)
    bench.env.run()
    assert bench.got["a"] == bench.got["b"] == [(LINE + DELAY, GOLDEN)]


def test_a_line_that_divides_no_picosecond_rounds_up() -> None:
    bench = Bench(rate="7Gb/s").send(1)
    assert bench.got["b"][0][0] == -(-90 * 8 * 10**12 // (7 * 10**9)) + DELAY


def test_jitter_delays_and_never_reorders() -> None:
    bench = Bench(jitter="50us")
    for number in range(1, 301):
        bench.at(number * 20_000 * NS, partial(bench.channel.wires["a"].send, numbered(number)))
    bench.env.run()
    assert bench.numbers() == list(range(1, 301))
    late = [time - number * 20_000 * NS - LINE - DELAY for number, (time, _) in enumerate(bench.got["b"], 1)]
    assert all(0 <= extra <= 50_000 * NS for extra in late)
    assert len(set(late)) > 200
    assert len({time for time, _ in bench.got["b"]}) < 300  # some had to wait for the one ahead


def test_ties_broken_at_random_change_no_order(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = Bench(jitter="50us")
    draw = stream(1, "ties")

    def schedule(event: Any, priority: int = 1, delay: int = 0) -> None:
        from heapq import heappush

        heappush(bench.env._queue, (bench.env.now + delay, priority, draw.random(), event))  # type: ignore[misc]

    monkeypatch.setattr(bench.env, "schedule", schedule)
    assert bench.send(300).numbers() == list(range(1, 301))
    assert len({time for time, _ in bench.got["b"]}) < 300


# --- chance --------------------------------------------------------------------------------------

MANY = 4000


@pytest.mark.parametrize("kind", ["flip", "burst", "truncate", "extend"])
def test_frames_are_spoilt_as_often_as_told_and_every_spoilt_one_is_dropped(kind: str) -> None:
    bench = Bench(**{kind: 0.1}).send(MANY)
    fates = Counter("good" if isinstance(judge(octets), dict) else judge(octets) for octets in bench.octets())
    count = bench.channel.wires["a"].faults[kind]
    assert near(count, MANY, 0.1)
    assert fates == {"good": MANY - count, "length" if kind in ("truncate", "extend") else "fcs": count}


def test_loss_duplication_garbage_and_replay_come_as_often_as_told() -> None:
    chances = {"loss": 0.2, "duplicate": 0.05, "garbage": 0.03, "replay": 0.02}
    wire = Bench(**chances).send(MANY).channel.wires["a"]
    assert near(wire.dropped["loss"], MANY, 0.2)
    assert near(wire.faults["duplicate"], MANY - wire.dropped["loss"], 0.05)
    assert near(wire.faults["garbage"], MANY, 0.03)
    assert near(wire.faults["replay"], MANY, 0.02)


def test_a_duplicate_comes_right_behind_and_a_replay_from_before() -> None:
    numbers = Bench(duplicate=0.2).send(500).numbers()
    assert all(b - a in (0, 1) for a, b in pairwise(numbers))  # type: ignore[operator]
    assert len(numbers) > 500
    replayed = Bench(replay=0.2).send(500).numbers()
    back = [a - b for a, b in pairwise(replayed) if a > b]  # type: ignore[operator]
    assert back
    assert all(0 < step < 64 for step in back)


def test_wrong_bits_are_independent() -> None:
    ber = 1e-3
    bench = Bench(ber=ber).send(MANY)
    wrong = [
        int.from_bytes(octets, "big") ^ int.from_bytes(numbered(n), "big") for n, octets in enumerate(bench.octets(), 1)
    ]
    assert near(sum(bits.bit_count() for bits in wrong), MANY * 656, ber)
    assert near(sum(bits == 0 for bits in wrong), MANY, (1 - ber) ** 656)
    assert near(sum(bits & 1 for bits in wrong), MANY, ber)
    assert near(sum(bits >> 655 for bits in wrong), MANY, ber)
    twice = 656 * 655 / 2 * ber**2 * (1 - ber) ** 654
    assert near(sum(bits.bit_count() == 2 for bits in wrong), MANY, twice)


@pytest.mark.parametrize(("ber", "wrong"), [(1.0, list(range(656))), (1e-300, [])])
def test_error_rates_at_the_edge(ber: float, wrong: list[int]) -> None:
    assert damage.wrong_bits(656, ber, stream(1, "x")) == wrong


def test_many_wrong_bits_are_each_there_once() -> None:
    draw = stream(1, "x")
    wrong = [damage.wrong_bits(656, 0.5, draw) for _ in range(100)]
    assert all(bits == sorted(set(bits)) for bits in wrong)
    assert near(sum(map(len, wrong)), 100 * 656, 0.5)


@given(st.integers(2, 700), st.integers(0, 2**32))
@settings(max_examples=200, deadline=None)
def test_a_burst_lies_within_the_frame_and_is_short(count: int, seed: int) -> None:
    bits = damage.burst(count, stream(seed, "burst"))
    assert bits == sorted(set(bits))
    assert bits[0] >= 0
    assert bits[-1] < count
    assert 1 <= bits[-1] - bits[0] < 32


def test_each_way_has_its_own_figures() -> None:
    bench = Bench(loss=0.3, reverse={"loss": 0.0, "flip": 1.0})
    for number in range(1, 401):
        bench.channel.wires["a"].send(numbered(number))
        bench.channel.wires["b"].send(numbered(number))
    bench.env.run()
    assert near(len(bench.got["b"]), 400, 0.7)
    assert set(bench.numbers("a")) == {"fcs"}
    assert len(bench.got["a"]) == 400
    assert "flip" not in bench.channel.wires["a"].faults


def test_draws_are_the_links_and_the_faults_own() -> None:
    def lost(**given: Any) -> set[int]:
        arrived = Bench(loss=0.3, **given).send(200).octets()
        return {n for n in range(1, 201) if numbered(n) not in arrived}

    assert lost() == lost() == lost(duplicate=0.5) == lost(garbage=0.5) == lost(jitter="1us")
    assert lost() != lost(name="other")
    assert lost() != lost(seed=2)


@given(st.fixed_dictionaries({kind: st.sampled_from([0, 0.3, 1.0]) for kind in (
    "loss", "ber", "duplicate", "flip", "burst", "truncate", "extend", "garbage", "replay")}), st.integers(0, 2**32))
@settings(max_examples=60, deadline=None)
def test_all_faults_at_once_break_nothing(chances: dict[str, float], seed: int) -> None:
    bench = Bench(seed=seed, **chances).send(20)
    assert all(isinstance(decode(octets), Frame | Drop) for octets in bench.octets())
    again = Bench(seed=seed, **chances).send(20)
    assert bench.got == again.got


# --- scripts -------------------------------------------------------------------------------------


def scripted(*script: dict[str, Any], **given: Any) -> Bench:
    return Bench(script=script, **given)


def test_a_script_strikes_the_frame_it_names_and_no_other() -> None:
    bench = scripted({"nth": 2, "do": "drop"}, {"nth": 4, "do": "duplicate"}, {"nth": 5, "do": "replay", "of": 1})
    bench.send(6)
    assert bench.numbers() == [1, 3, 4, 4, 5, 1, 6]
    wire = bench.channel.wires["a"]
    assert wire.dropped == {"script": 1}
    assert wire.faults == {"duplicate": 1, "replay": 1}
    assert scripted({"nth": 2, "way": "reverse", "do": "drop"}).send(3).numbers() == [1, 2, 3]


def test_a_lost_frame_takes_the_line_all_the_same() -> None:
    assert scripted({"nth": 1, "do": "drop"}).send(2).got["b"] == [(TAKES + LINE + DELAY, numbered(2))]


def test_what_a_script_never_struck_is_told() -> None:
    bench = scripted({"nth": 2, "do": "drop"}, {"nth": 4, "do": "drop"}, {"nth": 9, "do": "duplicate"})
    wire = bench.send(3).channel.wires["a"]
    assert [fault.nth for fault in wire.unstruck] == [4, 9]
    bench.channel.take_down()
    wire.send(numbered(4))  # while nothing is carried
    assert [fault.nth for fault in wire.unstruck] == [4, 9]


@pytest.mark.parametrize("name", FIELDS)
def test_a_script_flips_the_bits_of_a_field(name: str) -> None:
    bits = [0, 3] if FIELDS[name].bits > 3 else [0]
    bench = scripted({"nth": 3, "do": "flip", "field": name, "bits": bits}).send(4)
    assert bench.numbers() == [1, 2, "fcs", 4]
    field = FIELDS[name]
    order = "little" if name == "fcs" else "big"

    def value(octets: bytes) -> int:
        return int.from_bytes(octets[field.octet:field.octet + field.octets], order) >> field.low

    before, after = numbered(3), bench.octets()[2]
    assert value(before) ^ value(after) == sum(1 << bit for bit in bits)
    changed = int.from_bytes(before, "big") ^ int.from_bytes(after, "big")
    assert changed.bit_count() == len(bits)


def test_a_mended_flip_reaches_the_checks_behind_the_checksums() -> None:
    far = scripted({"nth": 1, "do": "flip", "field": "round", "bits": [14], "mended": True}).send(1)
    frame = decode(far.octets()[0])
    assert isinstance(frame, Frame)
    assert (frame.round, frame.epoch) == (1 + 2**14, 1)
    version = scripted({"nth": 1, "do": "flip", "field": "version", "bits": [1], "mended": True}).send(1)
    assert version.numbers() == ["version"]
    overlong = scripted({"nth": 1, "do": "flip", "field": "slot", "bits": [0], "mended": True},
                        {"nth": 1, "do": "flip", "field": "length", "bits": [7], "mended": True}).send(1)
    assert overlong.numbers() == ["payload_length"]


def test_flips_of_the_whole_frame_go_by_the_line() -> None:
    bench = scripted({"nth": 1, "do": "flip", "bits": [0, 17, 655]}).send(1)
    changed = int.from_bytes(bench.octets()[0], "little") ^ int.from_bytes(numbered(1), "little")
    assert changed == 1 | 1 << 17 | 1 << 655


def test_lengths_and_noise_by_script() -> None:
    bench = scripted({"nth": 1, "do": "truncate", "octets": 40}, {"nth": 2, "do": "extend", "octets": 6},
                     {"nth": 2, "do": "garbage", "octets": 82}, {"nth": 3, "do": "truncate", "octets": 0}).send(3)
    assert [len(octets) for octets in bench.octets()] == [40, 88, 82, 0]
    assert bench.octets()[0] == numbered(1)[:40]
    assert bench.octets()[1][:82] == numbered(2)
    assert bench.numbers() == ["length", "length", "fcs", "length"]
    at = [time for time, _ in bench.got["b"]]
    assert at[0] == (8 + 40) * 8 * NS + DELAY  # a short frame takes the line for less, a long one for more
    assert [after - before for before, after in pairwise(at)] == [(20 + octets) * 8 * NS for octets in (88, 82, 0)]


def test_a_delayed_frame_holds_up_those_behind_it() -> None:
    bench = scripted({"nth": 2, "do": "delay", "by": "1ms"}).send(4)
    assert bench.numbers() == [1, 2, 3, 4]
    times = [time for time, _ in bench.got["b"]]
    assert times[0] == LINE + DELAY
    assert times[1:] == [LINE + TAKES + DELAY + 10**9] * 3


def test_a_replay_of_a_frame_that_never_left_is_none() -> None:
    bench = scripted({"nth": 2, "do": "replay", "of": 1})
    bench.channel.take_down()
    bench.channel.wires["a"].send(numbered(1))
    bench.channel.bring_up()
    bench.channel.wires["a"].send(numbered(2))
    bench.env.run()
    assert bench.numbers() == [2]
    balanced(bench.channel.wires["a"])


@pytest.mark.parametrize(("wrong", "message"), [
    ({"nth": 0, "do": "drop"}, "greater than 0"),
    ({"nth": 1, "do": "vanish"}, "Input should be"),
    ({"nth": 1, "do": "drop", "bits": [1]}, "drop takes no bits; leave it out"),
    ({"nth": 1, "do": "flip"}, r"flip needs bits; write bits: \[0, 3\]"),
    ({"nth": 1, "do": "flip", "bits": []}, "one or more"),
    ({"nth": 1, "do": "flip", "bits": [3, 3]}, "each once"),
    ({"nth": 1, "do": "flip", "field": "round", "bits": [16]}, "round has 16 bits; write 0 to 15"),
    ({"nth": 1, "do": "flip", "bits": [656]}, "656 bits"),
    ({"nth": 1, "do": "flip", "field": "rounds", "bits": [1]}, "no field 'rounds'; write one of da"),
    ({"nth": 1, "do": "truncate"}, "truncate needs octets"),
    ({"nth": 1, "do": "truncate", "octets": 82}, "fewer"),
    ({"nth": 1, "do": "extend", "octets": 0}, "1 or more"),
    ({"nth": 1, "do": "garbage", "octets": 10_000}, "9216"),
    ({"nth": 1, "do": "replay", "of": 2}, "not sent yet"),
    ({"nth": 1, "do": "delay"}, "delay needs by; write by: 10us"),
    ({"nth": 1, "do": "delay", "by": 3}, "no unit"),
    ({"nth": 1, "do": "delay", "by": "0s"}, "greater than 0"),
])  # fmt: skip
def test_a_script_that_means_nothing_is_refused(wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        scripted(wrong)


@pytest.mark.parametrize("wrong", [
    {"loss": 2}, {"duplicate": -0.1}, {"rate": "0b/s"}, {"delay": "-1ns"}, {"jitter": 5}, {"noise": 0.1},
    {"forward": {"rate": "1Gb/s"}}, {"reverse": {"loss": 1.5}},
])  # fmt: skip
def test_impossible_figures_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        Bench(**wrong)


def test_a_channel_is_written_and_read_back() -> None:
    given = {"rate": "10Gb/s", "delay": "1us", "loss": 0.1, "reverse": {"loss": 0.0},
             "script": [{"nth": 7, "way": "reverse", "do": "flip", "field": "round", "bits": [0, 3]}]}  # fmt: skip
    params = ChannelParams(**given)
    dumped = params.model_dump(mode="json", exclude_none=True)
    assert ChannelParams(**dumped) == params
    assert (params.chance("forward", "loss"), params.chance("reverse", "loss")) == (0.1, 0)


# --- down and dark -------------------------------------------------------------------------------


def test_a_cut_link_loses_what_is_on_it() -> None:
    bench = Bench(delay="10us")
    send = bench.channel.wires["a"].send
    bench.at(0, lambda: (send(numbered(1)), send(numbered(2))))
    bench.at(5_000 * NS, bench.channel.take_down)
    bench.at(6_000 * NS, lambda: send(numbered(3)))
    bench.at(8_000 * NS, lambda: (bench.channel.bring_up(), send(numbered(4))))
    bench.env.run()
    assert bench.got["b"] == [(8_000 * NS + LINE + 10_000 * NS, numbered(4))]
    assert bench.channel.wires["a"].dropped == {"link_down": 3}
    balanced(bench.channel.wires["a"])


def test_what_is_lost_holds_nothing_up() -> None:
    bench = scripted({"nth": 1, "do": "delay", "by": "1s"})
    send = bench.channel.wires["a"].send
    bench.at(0, lambda: send(numbered(1)))
    bench.at(1, lambda: (bench.channel.take_down(), bench.channel.bring_up(), send(numbered(2)), send(numbered(3))))
    bench.env.run()
    assert bench.got["b"] == [(1 + LINE + DELAY, numbered(2)), (1 + LINE + TAKES + DELAY, numbered(3))]


def test_a_dark_receiver_gets_nothing() -> None:
    bench = Bench(delay="10us")
    send = bench.channel.wires["a"].send
    bench.at(0, lambda: send(numbered(1)))
    bench.at(1_000 * NS, lambda: bench.channel.end_stopped("b", "power_loss"))
    bench.at(12_000 * NS, lambda: bench.channel.end_restored("b"))
    bench.at(12_000 * NS, lambda: send(numbered(2)))
    bench.env.run()
    assert bench.numbers() == [2]
    assert bench.channel.wires["a"].dropped == {"dark": 1}


def test_what_had_left_a_sender_before_it_died_arrives() -> None:
    bench = Bench(delay="10us")
    send = bench.channel.wires["a"].send
    bench.at(0, lambda: (send(numbered(1)), send(numbered(2)), send(numbered(3))))
    bench.at(LINE, lambda: bench.channel.end_stopped("a"))  # the first has just left, the second is on the line
    bench.at(2 * LINE, lambda: send(numbered(4)))
    bench.at(9 * LINE, lambda: (bench.channel.end_restored("a"), send(numbered(5))))
    bench.env.run()
    assert bench.numbers() == [1, 5]
    assert bench.channel.wires["a"].dropped == {"sender_dark": 3}
    balanced(bench.channel.wires["a"])


# --- what an observer sees -----------------------------------------------------------------------


def test_an_observer_sees_what_each_interface_sees() -> None:
    bench = scripted({"nth": 2, "do": "drop"}, {"nth": 3, "do": "flip", "field": "heard", "bits": [0]}, observed=True)
    bench.send(3)
    sent = [(interface, time, octets, note) for interface, time, octets, inbound, note in bench.seen if not inbound]
    assert sent == [("wire@a", 0, numbered(1), ""), ("wire@a", 0, numbered(2), "lost: script"),
                    ("wire@a", 0, numbered(3), "")]
    received = [seen for seen in bench.seen if seen[3]]
    assert received == [("wire@b", time, octets, True, note) for (time, octets), note in zip(
        bench.got["b"], ["", "flip of heard bit 0"], strict=True)]
    assert [time for _, time, *_ in bench.seen] == sorted(time for _, time, *_ in bench.seen)


def test_watching_changes_nothing() -> None:
    chances = {"loss": 0.2, "duplicate": 0.1, "flip": 0.1, "garbage": 0.1, "jitter": "3us"}
    assert Bench(**chances).send(200).got == Bench(observed=True, **chances).send(200).got

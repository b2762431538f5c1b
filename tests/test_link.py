"""One Ethernet link against hand-computed framing, the Lindley recursion, Pollaczek-Khinchine and binomial errors."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from hwsim.flow import FlowNetwork
from hwsim.link import (
    EthernetLink,
    EthernetParams,
    Way,
    binomial_quantile,
    frame_error_probability,
    goodput_factor,
    payloads,
    wire_bytes,
)
from hwsim.streams import stream

NS = 1000


def make(seed: int = 1, name: str = "wire", **given: Any) -> tuple[EthernetLink, Way]:
    env = simpy.Environment()
    params = EthernetParams(**({"rate": "1Gb/s", "delay": "500ns"} | given))
    link = EthernetLink(name, "a", "b", params, env, FlowNetwork(env), partial(stream, seed))
    return link, link.ways["a"]


class Listener:
    """Sends numbered messages and writes down when each one ended, and how."""

    def __init__(self, way: Way) -> None:
        self.way = way
        self.env = way.link.env
        self.ends: list[tuple[int, int, str]] = []

    def send(self, number: int, size_bytes: int = 64) -> None:
        self.way.transmit(size_bytes, lambda: self.note(number, "arrived"), lambda reason: self.note(number, reason))

    def note(self, number: int, fate: str) -> None:
        self.ends.append((self.env.now, number, fate))

    def at(self, time_ps: int, action: Callable[[], None]) -> None:
        self.env.timeout(time_ps).callbacks.append(lambda _: action())


# --- framing -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("payload", "line"), [(0, 84), (46, 84), (47, 85), (1500, 1538), (9000, 9038)])
def test_a_frame_takes_the_line_for_its_overhead_too(payload: int, line: int) -> None:
    assert wire_bytes(payload) == line


@pytest.mark.parametrize(
    ("size", "frames"), [(0, [0]), (1, [1]), (1500, [1500]), (1501, [1500, 1]), (4500, [1500] * 3)]
)
def test_a_message_is_cut_at_the_mtu(size: int, frames: list[int]) -> None:
    assert payloads(size, 1500) == frames


def test_a_single_frame_arrives_after_its_bits_and_the_delay() -> None:
    _, way = make()
    listener = Listener(way)
    listener.send(0, 1500)
    listener.send(1, 46)  # waits for the gap behind the first
    way.link.env.run()
    first = (8 + 14 + 1500 + 4) * 8 * NS
    second = first + (12 + 8 + 64) * 8 * NS
    assert listener.ends == [(first + 500 * NS, 0, "arrived"), (second + 500 * NS, 1, "arrived")]
    assert way.line_time(1500) == first


def test_a_message_of_many_frames_arrives_with_its_last_one() -> None:
    _, way = make()
    listener = Listener(way)
    listener.send(0, 3100)
    way.link.env.run()
    assert listener.ends == [((2 * 1538 + 8 + 14 + 100 + 4) * 8 * NS + 500 * NS, 0, "arrived")]
    assert listener.ends[0][0] == way.line_time(3100) + 500 * NS
    assert (way.sent, way.delivered) == (3, 3)


def test_data_gets_the_rate_less_the_framing() -> None:
    link, way = make(rate="400Gb/s")
    assert way.pipe.capacity_bps == int(400e9 * 1500 / 1538)
    net = way.link._flows
    flows = [net.start([way.pipe], 10**9 + k) for k in range(64)]
    link.env.run(link.env.all_of(flow.done for flow in flows))
    moved = sum(flow.size_bytes for flow in flows)
    assert link.env.now == pytest.approx(moved * 8 * 1538 / 1500 / 400e9 * 1e12, rel=1e-3)


def test_jumbo_frames_carry_more_and_losses_less() -> None:
    def factor(**given: Any) -> float:
        return goodput_factor(EthernetParams(rate="1Gb/s", delay="0s", **given))

    assert factor(mtu="9000B") == pytest.approx(9000 / 9038)
    assert factor(loss=0.25) == pytest.approx(1500 / 1538 * 0.75)
    assert factor(ber=1e-6) == pytest.approx(1500 / 1538 * (1 - 1e-6) ** (8 * 1518), rel=1e-9)
    assert factor(loss=1) == factor(ber=1) == 0


@pytest.mark.parametrize(
    "given", [{"rate": "0Gb/s"}, {"delay": "-1ns"}, {"loss": 2}, {"ber": -1}, {"mtu": "45B"}, {"speed": "1Gb/s"}]
)
def test_impossible_figures_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        EthernetParams(**({"rate": "1Gb/s", "delay": "1ns"} | given))


# --- queueing ------------------------------------------------------------------------------------


def test_arrivals_are_exactly_those_of_the_lindley_recursion() -> None:
    import numpy as np

    _, way = make(rate="10Gb/s")
    listener = Listener(way)
    draw = np.random.default_rng(5)
    gaps = draw.integers(0, 1_500_000, 3000)
    sizes = draw.integers(0, 1500, 3000)
    sent = np.cumsum(gaps)
    for number, (time, size) in enumerate(zip(sent.tolist(), sizes.tolist(), strict=True)):
        listener.at(time, partial(listener.send, number, size))
    way.link.env.run()
    line = (np.maximum(sizes + 18, 64) + 8) * 8 * 100  # 100 ps a bit
    takes = line + 12 * 8 * 100
    before = np.concatenate([[0], np.cumsum(takes)[:-1]])
    starts = np.maximum.accumulate(sent - before) + before
    assert [time for time, _, _ in listener.ends] == (starts + line + 500 * NS).tolist()
    assert [number for _, number, _ in listener.ends] == list(range(3000))
    assert (starts > sent).mean() > 0.3  # there was a queue to speak of


@pytest.mark.parametrize("load", [0.3, 0.7])
def test_the_mean_wait_is_pollaczek_and_khinchines(load: float) -> None:
    """M/D/1: mean wait = rho S / (2 (1 - rho)).  Standard error from independent batches."""
    batches, frames, service = 48, 8000, 1538 * 8 * NS
    means = []
    for batch in range(batches):
        _, way = make()
        draw = stream(batch, "arrivals", str(load))
        now, waited = 0.0, 0
        for number in range(frames + 1000):
            now -= service / load * math.log1p(-draw.random())
            at = round(now)
            start, _ = way.occupy(at, 1500)
            if number >= 1000:  # the line starts empty
                waited += start - at
        means.append(waited / frames)
    mean = sum(means) / batches
    error = math.sqrt(sum((m - mean) ** 2 for m in means) / (batches - 1) / batches)
    assert abs(mean - load * service / (2 * (1 - load))) < 4 * error
    assert error < 0.03 * mean


# --- loss, errors, jitter ------------------------------------------------------------------------


@pytest.mark.parametrize(("given", "reason", "probability"), [
    ({"loss": 0.1}, "loss", 0.1),
    ({"ber": 1e-4}, "fcs", 1 - (1 - 1e-4) ** (8 * 118)),
    ({"ber": 1e-9}, "fcs", 1 - (1 - 1e-9) ** (8 * 118)),
])
def test_frames_are_lost_as_often_as_the_figures_say(given: dict[str, float], reason: str, probability: float) -> None:
    _, way = make(seed=3, **given)
    listener, count = Listener(way), 20_000
    for number in range(count):
        listener.send(number, 100)
    way.link.env.run()
    error = math.sqrt(probability * (1 - probability) / count)
    assert abs(way.dropped.get(reason, 0) / count - probability) < 4 * error
    assert way.sent == count == way.delivered + sum(way.dropped.values()) == len(listener.ends)
    assert not way.dropped.keys() - {reason}


def test_loss_and_errors_are_counted_apart() -> None:
    _, way = make(loss=0.2, ber=1e-4)
    listener, count = Listener(way), 20_000
    for number in range(count):
        listener.send(number, 100)
    way.link.env.run()
    hit = 0.8 * frame_error_probability(1e-4, 100)
    assert abs(way.dropped["fcs"] / count - hit) < 4 * math.sqrt(hit * (1 - hit) / count)
    assert abs(way.dropped["loss"] / count - 0.2) < 4 * math.sqrt(0.16 / count)


def test_a_message_is_lost_with_any_of_its_frames() -> None:
    _, way = make(loss=0.05)
    listener, count = Listener(way), 5000
    for number in range(count):
        listener.send(number, 15_000)
    way.link.env.run()
    arrives = 0.95**10
    got = sum(fate == "arrived" for _, _, fate in listener.ends) / count
    assert abs(got - arrives) < 4 * math.sqrt(arrives * (1 - arrives) / count)
    assert way.sent == 10 * count == way.delivered + way.dropped["loss"]


def test_jitter_delays_and_never_reorders() -> None:
    _, way = make(jitter="50us")
    listener, base = Listener(way), (8 + 18 + 64) * 8 * NS + 500 * NS
    for number in range(400):
        listener.at(number * 20_000 * NS, partial(listener.send, number))
    way.link.env.run()
    assert [number for _, number, _ in listener.ends] == list(range(400))
    extra = [time - number * 20_000 * NS - base for time, number, _ in listener.ends]
    assert all(0 <= late <= 50_000 * NS for late in extra)
    assert len(set(extra)) > 300
    assert any(a[0] == b[0] for a, b in zip(listener.ends, listener.ends[1:], strict=False))  # some had to wait


def test_draws_are_the_links_own() -> None:
    def fates(**given: Any) -> list[str]:
        _, way = make(loss=0.3, **given)
        listener = Listener(way)
        for number in range(200):
            listener.send(number)
        way.link.env.run()
        return [fate for _, _, fate in listener.ends]

    assert fates() == fates() == fates(jitter="1us")
    assert fates() != fates(name="other")
    assert fates() != fates(seed=2)


# --- down and dark -------------------------------------------------------------------------------


def test_a_cut_link_loses_what_is_on_it_and_stalls_data() -> None:
    link, way = make(delay="10us")
    listener = Listener(way)
    flow = link._flows.start([way.pipe], 10**9)
    listener.send(0)  # on the line when it is cut
    listener.at(5_000 * NS, link.take_down)
    listener.at(6_000 * NS, partial(listener.send, 1))
    listener.at(7_000 * NS, lambda: listener.note(-1, str(flow.rate_bps)))
    listener.at(8_000 * NS, link.bring_up)
    listener.at(8_000 * NS, partial(listener.send, 2))
    listener.at(30_000 * NS, lambda: listener.note(-1, str(flow.rate_bps > 0)))
    link.env.run(until=10**9)
    arrival = (8 + 18 + 64) * 8 * NS + 10_000 * NS
    assert listener.ends == [(6_000 * NS, 1, "link_down"), (7_000 * NS, -1, "0.0"), (arrival, 0, "link_down"),
                             (8_000 * NS + arrival, 2, "arrived"), (30_000 * NS, -1, "True")]
    assert way.dropped == {"link_down": 2}


def test_a_dark_receiver_drops_even_what_was_under_way() -> None:
    link, way = make(delay="10us")
    listener = Listener(way)
    listener.send(0)
    listener.at(5_000 * NS, partial(link.end_stopped, "b"))
    listener.at(6_000 * NS, partial(listener.send, 1))
    listener.at(20_000 * NS, partial(link.end_restored, "b"))
    listener.at(20_000 * NS, partial(listener.send, 2))
    link.env.run()
    assert [(number, fate) for _, number, fate in listener.ends] == [(0, "dark"), (1, "dark"), (2, "arrived")]


def test_a_dead_senders_queue_is_lost_but_not_what_has_left_it() -> None:
    link, way = make(delay="10us")
    listener = Listener(way)
    for number in range(3):  # 720 ns each on the line, then a gap of 96 ns
        listener.send(number)
    listener.at(1_000 * NS, partial(link.end_stopped, "a"))
    listener.at(2_000 * NS, partial(listener.send, 3))
    listener.at(3_000 * NS, partial(link.end_restored, "a"))
    listener.at(3_000 * NS, partial(listener.send, 4))
    link.env.run()
    fates = {number: (time, fate) for time, number, fate in listener.ends}
    assert [fates[number][1] for number in range(5)] == ["arrived", "sender_dark", "sender_dark", "sender_dark",
                                                         "arrived"]
    assert fates[4][0] == 3_000 * NS + 720 * NS + 10_000 * NS  # the queue went with the sender


def test_the_two_ways_do_not_disturb_each_other() -> None:
    link, way = make()
    there, back = Listener(way), Listener(link.ways["b"])
    for number in range(3):
        there.send(number)
        back.send(number)
    link.env.run()
    assert [time for time, _, _ in there.ends] == [time for time, _, _ in back.ends]


@given(st.lists(st.tuples(st.integers(0, 40), st.sampled_from(
    ["send", "long", "down", "up", "a dies", "a lives", "b dies", "b lives"])), max_size=40), st.integers(0, 5))
@settings(max_examples=150, deadline=None)
def test_every_frame_has_one_fate_and_order_is_kept(script: list[tuple[int, str]], seed: int) -> None:
    link, way = make(seed=seed, delay="3us", jitter="5us", loss=0.1, ber=1e-5)
    listener = Listener(way)
    now, number = 0, 0
    actions = {"down": link.take_down, "up": link.bring_up,
               "a dies": partial(link.end_stopped, "a"), "a lives": partial(link.end_restored, "a"),
               "b dies": partial(link.end_stopped, "b"), "b lives": partial(link.end_restored, "b")}
    frames = 0
    for gap, what in script:
        now += gap * 100 * NS
        if what in ("send", "long"):
            listener.at(now, partial(listener.send, number, 64 if what == "send" else 4000))
            number, frames = number + 1, frames + (1 if what == "send" else 3)
        else:
            listener.at(now, actions[what])
    link.env.run()
    assert sorted(n for _, n, _ in listener.ends) == list(range(number))
    arrived = [n for _, n, fate in listener.ends if fate == "arrived"]
    assert arrived == sorted(arrived)
    assert way.sent == frames == way.delivered + sum(way.dropped.values())


# --- bulk data's frames --------------------------------------------------------------------------


@given(st.integers(0, 60), st.floats(0, 1), st.floats(0, 1, exclude_max=True))
@settings(max_examples=300, deadline=None)
def test_binomial_quantiles_are_exact_for_small_means(trials: int, probability: float, u: float) -> None:
    got = binomial_quantile(trials, probability, u)

    def below(count: int) -> float:
        return math.fsum(math.comb(trials, k) * probability**k * (1 - probability) ** (trials - k)
                         for k in range(count + 1))

    assert 0 <= got <= trials
    assert below(got) >= u - 1e-9
    assert got == 0 or below(got - 1) <= u + 1e-9


def test_binomial_quantiles_have_the_right_spread_for_large_means() -> None:
    trials, probability = 10**7, 1e-3
    drawn = [binomial_quantile(trials, probability, (k + 0.5) / 1000) for k in range(1000)]
    mean = sum(drawn) / 1000
    deviation = math.sqrt(sum((d - mean) ** 2 for d in drawn) / 1000)
    assert mean == pytest.approx(10**4, rel=1e-3)
    assert deviation == pytest.approx(math.sqrt(trials * probability * (1 - probability)), rel=0.01)


def test_figures_count_the_frames_of_bulk_data() -> None:
    _, way = make(loss=0.01)
    figures = way.figures(1.5e9)
    assert figures["data_frames"] == 10**6
    expected = 10**6 * 0.01 / 0.99
    assert abs(figures["data_frames_resent"] - expected) < 4 * math.sqrt(expected)
    assert make()[1].figures(1.5e9)["data_frames_resent"] == 0

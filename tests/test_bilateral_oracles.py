"""Time, repetitions and doubt on a bilateral link, against closed forms; and each form against another derivation."""

from __future__ import annotations

import math
from itertools import product
from statistics import fmean, stdev

import pytest
import simpy
from bilateral_bench import US, Bench

from hwsim.bilateral.channel import Channel
from hwsim.bilateral.damage import ChannelParams
from hwsim.bilateral.endpoint import Application, Endpoint
from hwsim.bilateral.exchange import Initiator, Kind, Message, Responder, decode, encode
from hwsim.bilateral.table import State
from hwsim.streams import stream
from hwsim.studies import link_forms

# 8 octets of preamble and 82 of frame at 10 Gb/s, and 1 us of propagation.
HOP = 90 * 8 * 100 + US
NV = 1000  # a write, ps
QUICK = {"nv": {"write": "1ns", "word": "128B"}, "beacon": "1s"}


class Opens(Application):
    """Offers nothing, again and again: a round is a round."""

    def __init__(self, rounds: int) -> None:
        self.rounds = rounds

    def ready(self, endpoint: Endpoint) -> None:
        if endpoint.register.round < self.rounds:
            endpoint.offer(None)


def paired(**figures: object) -> Bench:
    """Two ends that have heard each other, between two beacons."""
    bench = Bench(**{**QUICK, "beacon": "100us", "retransmit": "20us", **figures}).start(Application(), Application())  # type: ignore[arg-type]
    bench.run(3037)  # no beacon is on the line
    return bench


# the closed forms, derived again


@pytest.mark.parametrize("p", [0.0, 0.1, 0.3])
@pytest.mark.parametrize("links", [1, 7, 28])
def test_exchange_rounds_by_convolution(p: float, links: int) -> None:
    success, most = (1 - p) ** 2, 400
    geometric = [0.0] + [success * (1 - success) ** (k - 1) for k in range(1, most)]
    both = [sum(geometric[i] * geometric[k - i] for i in range(1, k)) for k in range(most)]
    cumulative, mean = 0.0, 0.0
    before = 0.0
    for k, probability in enumerate(both):
        cumulative += probability
        mean += k * (cumulative**links - before**links)
        before = cumulative
    assert link_forms.exchange_rounds(p, links) == pytest.approx(mean, abs=1e-9)


def test_exchange_rounds_as_published() -> None:
    assert link_forms.exchange_rounds(0.1, 7) == pytest.approx(3.652, abs=5e-4)
    assert link_forms.exchange_rounds(0.1, 28) == pytest.approx(4.613, abs=5e-4)


@pytest.mark.parametrize("a, b", [(0.1, 0.2), (0.0, 0.5), (0.3, 0.0)])
def test_stop_and_wait_by_first_step(a: float, b: float) -> None:
    """From states 'never came' and 'came, unanswered', each attempt: mean attempts, variance and duplicates."""
    success = (1 - a) * (1 - b)
    # E = 1 + (1-s) E, and E2 = E[(1+N)^2 or 1]
    mean = 1 / success
    second = (1 + 2 * (1 - success) * mean) / success
    assert link_forms.attempts(a, b) == pytest.approx(mean)
    assert link_forms.stop_and_wait_time(3, 10, a, b) == pytest.approx(3 + 10 * (mean - 1))
    assert link_forms.stop_and_wait_deviation(10, a, b) == pytest.approx(10 * math.sqrt(second - mean**2))
    # duplicates: after the first arrival, D = (arrives: 1 + [unanswered] D, else D)
    unanswered = b
    duplicates = unanswered * 1 / (1 - unanswered)
    assert link_forms.duplicates(b) == pytest.approx(duplicates)


def test_deaths_by_enumeration() -> None:
    p = 0.3
    counted = [0.0] * 5
    for fates in product([True, False], repeat=4):  # whether each of four frames, were it sent, would be lost
        probability = math.prod(p if lost else 1 - p for lost in fates)
        counted[next((k for k, lost in enumerate(fates) if lost), 4)] += probability
    assert [link_forms.delivered(p, k) for k in range(5)] == pytest.approx(counted)


# the link itself


def test_latencies_of_one_one_and_a_half_and_two_round_trips() -> None:
    """1: the offerer knows the outcome; 1.5: its peer knows that it does.  2: the four-message exchange ends."""
    bench = paired()
    bench.a.offer(b"token")
    bench.run(50)
    found = bench.judged()["l0"]
    assert found.exchanges == [2 * HOP + 2 * NV]
    assert found.closings == [3 * HOP + 2 * NV]
    env, channel = wires()
    initiator, _ = exchanging(channel, None, done := [])
    initiator.begin(0)
    env.run()
    hop = (8 + 64) * 8 * 100 + US
    assert env.now == 4 * hop
    assert done == [0]


@pytest.mark.parametrize("a, b", [(0.2, 0.0), (0.0, 0.3), (0.2, 0.3)])
def test_stop_and_wait_over_the_link(a: float, b: float) -> None:
    """R2: a round takes C + (1/s - 1) TO, and b/(1-b) offers come that have been answered already."""
    rounds = 4000
    bench = Bench(**QUICK, retransmit="20us", forward={"loss": a}, reverse={"loss": b}, seed=5)  # type: ignore[arg-type]
    bench.start(Opens(rounds), Application())
    bench.env.run(until=10 * 10**12)  # a second of beacon at a time until the ends have paired
    timeout = 20 * US
    found = bench.judged()["l0"].exchanges
    assert len(found) == rounds
    # The first write of the answer is on the way only if the offer that got through is the first to arrive.
    cycle = 2 * HOP + NV + (1 - b) * NV
    wanted = link_forms.stop_and_wait_time(cycle, timeout, a, b)
    error = link_forms.stop_and_wait_deviation(timeout, a, b) / math.sqrt(rounds)
    assert abs(fmean(found) - wanted) < 4 * error
    assert stdev(found) == pytest.approx(link_forms.stop_and_wait_deviation(timeout, a, b), rel=0.1)
    repeated = bench.b.rows["offer_of_the_last_round"]
    error = math.sqrt(b) / (1 - b) / math.sqrt(rounds)
    assert abs(repeated / rounds - link_forms.duplicates(b)) <= 4 * error


def test_doubt_when_the_link_dies() -> None:
    """In doubt for good if and only if it dies after the offer and before the answer is here; the peer has then
    taken it if the offer had come.
    """
    doubtful, taken = 0, 0
    step = HOP // 40
    instants = range(0, 3 * HOP, step)
    for at in instants:
        bench = paired()
        bench.a.offer(b"token")
        bench.env.run(until=bench.env.now + NV + 1 + at)  # the offer has been on its way for so long
        bench.link.take_down()
        bench.run(500)
        doubtful += bench.a.register.slot is not None and bench.a.state is State.DOWN and bench.a.register.round == 0
        taken += bench.a.register.round == 0 and bench.b.register.round == 1
        assert not bench.judged()["l0"].violations
    in_doubt = 2 * HOP + NV
    assert doubtful == sum(at + 1 < in_doubt for at in instants)
    assert taken == sum(HOP <= at + 1 < in_doubt for at in instants)


@pytest.mark.parametrize("us, more", [(0.5, 2 * HOP + 2 * NV), (1.5, HOP + NV)], ids=["offer-lost", "answer-lost"])
def test_doubt_lasts_as_long_as_the_link_is_dead(us: float, more: int) -> None:
    """Both ends speak as the link comes up: the offer again and its answer, or the answer that was lost."""
    bench = paired()
    bench.a.offer(b"token")
    bench.run(us)
    bench.link.take_down()
    bench.run(10_000)
    bench.link.bring_up()
    bench.run(100)
    (doubt,) = bench.judged()["l0"].doubts
    assert doubt == round(us * US) - NV + 10_000 * US + more


# the exchange of four messages


def wires(seed: int = 1, name: str = "x", env: simpy.Environment | None = None, **figures: object
          ) -> tuple[simpy.Environment, Channel]:  # fmt: skip
    env = env or simpy.Environment()
    params = ChannelParams.model_validate({"rate": "10Gb/s", "delay": "1us", **figures})
    return env, Channel(name, "a", "b", params, env, lambda *parts: stream(seed, *parts))


def exchanging(channel: Channel, timeout: int | None, done: list[int]) -> tuple[Initiator, Responder]:
    initiator, responder = Initiator(channel.env, timeout, done.append), Responder()
    initiator.transmit, responder.transmit = channel.wires["a"].send, channel.wires["b"].send
    channel.wires["a"].receive, channel.wires["b"].receive = responder.receive, initiator.receive
    return initiator, responder


def test_messages_survive_their_frames_and_damage_does_not() -> None:
    for kind in Kind:
        octets = encode(Message(kind, 7))
        assert decode(octets) == Message(kind, 7)
        assert decode(octets[:-1]) is None
        assert decode(bytes([octets[0] ^ 1]) + octets[1:]) is None


@pytest.mark.parametrize("links", [7, 28])
def test_rounds_of_exchanges_on_several_links(links: int) -> None:
    """R3: rounds until the exchanges on all links have ended."""
    p, trials = 0.1, 400
    rounds = []
    env = simpy.Environment()
    ends = []
    for number in range(links):
        _, channel = wires(links, f"x{number}", env, loss=p)
        ends.append(exchanging(channel, 10 * US, []))
    for trial in range(trials):
        before = [initiator.requests for initiator, _ in ends]
        for initiator, _ in ends:
            initiator.begin(trial)
        while not all(trial in initiator.sure for initiator, _ in ends):
            env.run(until=env.now + 10 * US)
        env.run(until=env.now + 20 * US)
        rounds.append(max(initiator.requests - was for (initiator, _), was in zip(ends, before, strict=True)))
    assert abs(fmean(rounds) - link_forms.exchange_rounds(p, links)) < 4 * stdev(rounds) / math.sqrt(trials)
    assert all(initiator.sure == responder.owned for initiator, responder in ends)


def test_no_number_of_messages_tells_what_a_dead_link_took() -> None:
    """R4: of those who wait for SIG3 some have given it and some have not, and both look alike."""
    p, trials = 0.2, 8000
    env, channel = wires(4, loss=p)
    initiator, responder = exchanging(channel, None, [])
    for trial in range(trials):
        initiator.begin(trial)
        env.run(until=env.now + 10 * US)
    in_doubt = initiator.given - initiator.sure
    doubled = len(in_doubt & responder.owned)  # if it sends what it has another way: the peer has it too
    lost = len(in_doubt - responder.owned)  # if it calls it gone
    for count, probability in (
        (doubled, link_forms.delivered(p, 3)),
        (lost, link_forms.delivered(p, 2)),
        (len(initiator.sure), link_forms.delivered(p, 4)),
    ):
        error = math.sqrt(probability * (1 - probability) * trials)
        assert abs(count - probability * trials) < 4 * error
    assert responder.owned - initiator.sure <= in_doubt

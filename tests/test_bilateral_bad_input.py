"""Whatever octets reach a live end: they are counted once, and nothing worse than the table's FENCE comes of them."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from bilateral_bench import Bench
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.bilateral.endpoint import Application, Endpoint
from hwsim.bilateral.frame import Frame, encode, seal
from hwsim.bilateral.table import State
from hwsim.bilateral.wire import FrameType


def used() -> Bench:
    """A link that has ended one round."""
    bench = Bench().start(Application(), Application()).run(100)
    bench.a.offer(b"token")
    bench.run(100)
    bench.b.consume()
    return bench.run(50)


def frame(bench: Bench, **changes: object) -> Frame:
    """What the first end would say to the second now, with changes."""
    a = bench.a.register
    plain = Frame(FrameType(a.phase), a.round, a.epoch, src=a.nvid, dst=a.peer, credit=True, heard=True)
    return plain._replace(**changes)  # type: ignore[arg-type]


def resealed(octets: bytes, at: int, value: int) -> bytes:
    """One octet changed, and both checksums made to fit."""
    changed = bytearray(octets)
    changed[at] = value
    return seal(bytes(changed[:74]))


Mangled = Callable[[Bench], bytes]
DROPPED: dict[str, tuple[Mangled, str]] = {
    "nothing": (lambda bench: b"", "length"),
    "half a frame": (lambda bench: encode(frame(bench))[:41], "length"),
    "too long": (lambda bench: encode(frame(bench)) + b"\0", "length"),
    "a bit wrong": (lambda bench: encode(frame(bench))[:-1] + b"\x55", "fcs"),
    "an unknown version": (lambda bench: resealed(encode(frame(bench)), 14, 0x22), "version"),
    "another EtherType": (lambda bench: resealed(encode(frame(bench)), 12, 0x08), "ethertype"),
    "an unknown type": (lambda bench: resealed(encode(frame(bench)), 14, 0x19), "type"),
    "a reserved bit": (lambda bench: resealed(encode(frame(bench)), 15, 0x01), "padding"),
    "an over-long payload": (
        lambda bench: resealed(encode(frame(bench, slot=True, payload=b"x" * 24)), 70, 25),
        "payload_length",
    ),
    "a round long past": (lambda bench: encode(frame(bench, round=bench.a.register.round - 9 & 0xFFFF)), "past"),
    "for another": (lambda bench: encode(frame(bench, dst=12345)), "not_for_me"),
    "its own": (lambda bench: encode(frame(bench, src=bench.b.register.nvid)), "own"),
    "from nobody": (lambda bench: encode(frame(bench, src=0)), "own"),
    "another epoch": (lambda bench: encode(frame(bench, epoch=77)), "epoch"),
}
FENCED: dict[str, Mangled] = {
    "a round far ahead": lambda bench: encode(frame(bench, round=bench.a.register.round + 9)),
    "the next round, which nobody has opened": lambda bench: encode(frame(bench, round=bench.a.register.round + 1)),
    "a forged peer": lambda bench: encode(frame(bench, src=12345)),
    "a hello of a stranger": lambda bench: encode(Frame(FrameType.HELLO, src=12345)),
    "another outcome": lambda bench: encode(
        frame(bench, type=FrameType.RETURNED, epoch=bench.a.register.epoch - 1)
    ),
    "a fence of the peer": lambda bench: encode(frame(bench, type=FrameType.FENCE)),
}


@pytest.mark.parametrize("what", DROPPED)
def test_it_is_dropped_and_counted(what: str) -> None:
    mangled, reason = DROPPED[what]
    bench = used()
    end = bench.b
    before = (end.register, end.volatile, end.dropped[reason], end.sent.total())
    end.receive(mangled(bench))
    assert (end.register, end.volatile, end.dropped[reason], end.sent.total()) == (
        before[0], before[1], before[2] + 1, before[3],
    )  # fmt: skip
    assert end.alarms == (reason == "epoch")
    bench.a.offer(b"again")
    bench.run(100)
    assert bench.b.register.inbox == b"again"  # the link goes on


@pytest.mark.parametrize("what", FENCED)
def test_the_table_says_fence(what: str) -> None:
    bench = used()
    bench.b.receive(FENCED[what](bench))
    assert bench.b.state is State.FENCED
    before = bench.b.register
    bench.run(200)
    assert bench.a.state is State.FENCED  # it hears of it
    assert bench.b.register == before
    assert bench.judged()["l0"].fenced == 2


def test_a_fence_survives_no_reboot_and_is_seen_again() -> None:
    bench = used()
    bench.b.receive(FENCED["a forged peer"](bench))
    bench.run(100)  # it has told its peer
    bench.crash(1)
    bench.restore(1)
    assert bench.b.state is State.WAIT
    bench.run(100)
    assert bench.b.state is State.FENCED  # its peer, fenced by it, says so


def test_a_wrong_epoch_in_doubt_is_dropped_too() -> None:
    bench = used()
    bench.link.channel.take_down()  # unseen by the ends
    bench.a.offer(b"1")
    bench.run(5)
    assert bench.a.state is State.OFFERED
    b = bench.b.register
    forged = Frame(FrameType.TAKEN, b.round + 1, b.epoch + 2, src=b.nvid, dst=b.peer)
    bench.a.receive(encode(forged))
    assert bench.a.state is State.OFFERED
    assert bench.a.dropped["epoch"] == 1


_FIELDS = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(FrameType),
        "round": st.one_of(st.integers(0, 4), st.integers(0, 0xFFFF)),
        "epoch": st.one_of(st.integers(0, 3), st.integers(0, 0xFFFFFFFF)),
        "cancel_req": st.booleans(),
        "heard": st.booleans(),
        "echo": st.integers(0, 2**64 - 1),
        "src": st.one_of(st.just(0), st.integers(0, 2**64 - 1)),
        "dst": st.one_of(st.just(0), st.integers(0, 2**64 - 1)),
    },
)
_STEP = st.one_of(
    st.tuples(st.just("frame"), st.booleans(), _FIELDS),
    st.tuples(st.just("payload"), st.booleans(), st.binary(max_size=24)),
    st.tuples(st.just("octets"), st.booleans(), st.binary(max_size=100)),
    st.tuples(st.just("request"), st.booleans(), st.sampled_from(["offer", "cancel", "consume", "format", "rule"])),
    st.tuples(st.just("crash"), st.booleans(), st.sampled_from(["power_loss", "nic_reset"])),
    st.tuples(st.just("wait"), st.booleans(), st.integers(1, 600)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(_STEP, max_size=25))
def test_no_sequence_of_forged_frames_and_requests_stops_the_program(steps: list[tuple[str, bool, object]]) -> None:
    bench = used()
    for what, second, how in steps:
        end, peer = (bench.b, bench.a) if second else (bench.a, bench.b)
        match what:
            case "frame":
                register = peer.register
                plain = Frame(FrameType(register.phase), register.round & 0xFFFF, register.epoch,
                              src=register.nvid, dst=register.peer)  # fmt: skip
                end.receive(encode(plain._replace(**how)))  # type: ignore[arg-type]
            case "payload":
                register = peer.register
                end.receive(encode(Frame(FrameType.OFFER, register.round & 0xFFFF, register.epoch, slot=True,
                                         src=register.nvid, dst=register.peer, payload=how)))  # type: ignore[arg-type]
            case "octets":
                end.receive(how)  # type: ignore[arg-type]
            case "request":
                _request(end, str(how))
            case "crash":
                bench.crash(int(second), str(how))
                bench.restore(int(second))
            case _:
                bench.run(how / 10)  # type: ignore[operator]
    bench.run(300)
    for end in (bench.a, bench.b):
        heard = end.taken + end.dropped.total() - end.dropped["dark"]
        assert end.received == heard  # each counted once
        assert end.state is not State.WRITING


def _request(end: Endpoint, what: str) -> None:
    match what:
        case "offer":
            end.offer(b"x")
        case "cancel":
            end.cancel()
        case "consume":
            end.consume()
        case "format":
            end.reformat()
        case _:
            end.reformat(ruled=True)

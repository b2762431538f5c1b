"""Frames of the bilateral link: the struct codec against Scapy, spoilt frames through the parser, captures.

Codec and Scapy build and take apart the same frames, checksums computed and verified by both.  The fuzz gives
the codec frames spoilt in every way the tests know (in half of them the checksums are mended) and has
an oracle of the tests' own, which shares no code with it, judge each one too; its rate is the codec's alone.
Captures are written against Scapy's writer, channel and engine timed against bare timeouts.

Read the ratios, not the times: they vary with the machine.

    python benchmarks/bench_frames.py [--frames N] [--spoilt N] [--rounds N]
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from time import perf_counter
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
import simpy
from frame_oracle import judge, spoilt
from scapy.utils import RawPcapNgWriter

from hwsim.bilateral import scapy_layers
from hwsim.bilateral.channel import Channel, ChannelParams
from hwsim.bilateral.frame import Frame, decode, encode
from hwsim.bilateral.wire import Drop, FrameType
from hwsim.report.pcapng import Capture
from hwsim.streams import stream


def frames(count: int) -> list[Frame]:
    """Frames of every type, half of them with a payload."""
    draw = random.Random(1)
    return [
        Frame(draw.choice(list(FrameType)), draw.randrange(2**16), draw.randrange(2**32), slot=bool(k & 1),
              heard=draw.random() < 0.5, echo=draw.getrandbits(64), src=draw.getrandbits(64),
              dst=draw.getrandbits(64), payload=draw.randbytes(24) if k & 1 else b"", sa=draw.randbytes(6))
        for k in range(count)
    ]  # fmt: skip


def each(what: Callable[[Any], object], given: list[Any]) -> float:
    """Seconds for one of *given*."""
    start = perf_counter()
    for one in given:
        what(one)
    return (perf_counter() - start) / len(given)


def compare(name: str, ours: Callable[[], float], theirs: Callable[[], float], rounds: int, wanted: str = "") -> None:
    """Both in turn, several times: their least times and the ratio of these."""
    pairs = [(ours(), theirs()) for _ in range(rounds)]
    mine, other = (min(times) for times in zip(*pairs, strict=True))
    least = min(b / a for a, b in pairs)
    print(f"{name:24s} {mine * 1e6:7.2f} us here, {other * 1e6:7.2f} us there: {other / mine:6.1f}x"
          f" (least of {rounds}: {least:.1f}x){wanted}")  # fmt: skip


def fuzz(count: int) -> None:
    """How *count* spoilt frames fare, and whether the oracle agrees on each."""
    draw = random.Random(2)
    sent = [encode(frame) for frame in frames(1000)]
    fates: Counter[str] = Counter()
    wrong, parsing = 0, 0.0
    for first in range(0, count, 10_000):
        batch = [spoilt(draw, draw.choice(sent)) for _ in range(min(10_000, count - first))]
        start = perf_counter()
        read = [decode(octets) for octets in batch]
        parsing += perf_counter() - start
        for octets, frame in zip(batch, read, strict=True):
            said = frame.value if isinstance(frame, Drop) else frame._asdict()
            wrong += said != judge(octets)
            fates[said if isinstance(said, str) else "accepted"] += 1
    print(f"fuzz: {count:,} spoilt frames at {count / parsing / 1e6:.2f} M/s; "
          f"{fates.pop('accepted', 0):,} accepted, {wrong} against the oracle (wanted: 0), no exception")  # fmt: skip
    print("      dropped: " + ", ".join(f"{reason} {number:,}" for reason, number in fates.most_common()))


def dissect(octets: bytes) -> bool:
    """What Scapy needs for a frame's layers and both checksums; the other checks are left to it."""
    packet = scapy_layers.EtherFCS(octets)
    return packet.fcs_holds() and packet.payload.crc_holds()


def capture(octets: list[bytes], folder: Path) -> float:
    """Seconds for a packet."""
    start = perf_counter()
    mine = Capture(folder / "mine.pcapng", "wire@a")
    for number, frame in enumerate(octets):
        mine.packet(number * 1000, frame, inbound=True)
    mine.close()
    return (perf_counter() - start) / len(octets)


def scapy_capture(octets: list[bytes], folder: Path) -> float:
    """Seconds for a packet, octets only."""
    start = perf_counter()
    with RawPcapNgWriter(str(folder / "theirs.pcapng")) as writer:
        writer.linktype = 1
        writer.write_header(octets[0])
        for number, frame in enumerate(octets):
            writer.write_packet(frame, sec=0, usec=number)
    return (perf_counter() - start) / len(octets)


def channel(octets: list[bytes], **given: Any) -> float:
    """Seconds for a frame across a channel, the engine's part included."""
    env = simpy.Environment()
    params = ChannelParams(rate="10Gb/s", delay="1us", **given)  # type: ignore[arg-type]
    wire = Channel("wire", "a", "b", params, env, partial(stream, 1)).wires["a"]
    start = perf_counter()
    for frame in octets:
        wire.send(frame)
    env.run()
    return (perf_counter() - start) / len(octets)


def bare(count: int) -> float:
    """Seconds for a timeout with one callback."""
    env = simpy.Environment()
    start = perf_counter()
    for number in range(count):
        env.timeout(number).callbacks.append(_nothing)
    env.run()
    return (perf_counter() - start) / count


def _nothing(_: object) -> None:
    pass


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--frames", type=int, default=2000)
    parser.add_argument("--spoilt", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    some = frames(given.frames)
    octets = [encode(frame) for frame in some]
    wanted = " (wanted: 20 or better)"
    compare("build, against Scapy", lambda: each(encode, some),
            lambda: each(lambda frame: bytes(scapy_layers.packet_of(frame)), some), given.rounds, wanted)  # fmt: skip
    compare("dissect, against Scapy", lambda: each(decode, octets), lambda: each(dissect, octets), given.rounds, wanted)
    with tempfile.TemporaryDirectory() as folder:
        compare("capture, against Scapy", lambda: capture(octets * 10, Path(folder)),
                lambda: scapy_capture(octets, Path(folder)), given.rounds)  # fmt: skip
    rough = {"loss": 0.2, "duplicate": 0.01, "flip": 0.01}
    for name, chances in (("channel, against bare", {}), ("rough channel", rough)):
        compare(name, partial(channel, octets * 10, **chances), lambda: bare(len(octets) * 10), given.rounds)
    fuzz(given.spoilt)


if __name__ == "__main__":
    main()

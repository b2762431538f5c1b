"""Captures: read back by a reader of the test's own, by Scapy's and by tshark, to the octet and the nanosecond."""

from __future__ import annotations

import random
import shutil
import struct
import subprocess
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import simpy
from frame_oracle import GOLDEN, spoilt
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.bilateral.channel import Channel, ChannelParams
from hwsim.bilateral.frame import Frame, encode
from hwsim.bilateral.wire import FrameType
from hwsim.frames import build
from hwsim.report.pcapng import Capture, Captures, file_name
from hwsim.streams import stream

TSHARK = shutil.which("tshark")
NS = 1000


class Packet(NamedTuple):
    """One frame as it was given to a capture."""

    time_ps: int
    octets: bytes
    inbound: bool
    note: str = ""


def write(path: Path, packets: list[Packet], interface: str = "wire@a/nic", speed: int | None = None) -> None:
    capture = Capture(path, interface, speed)
    for packet in packets:
        capture.packet(packet.time_ps, packet.octets, inbound=packet.inbound, note=packet.note)
    capture.close()


def samples() -> list[Packet]:
    """Good frames and spoilt ones, of every length modulo 4, some with a comment; times that need 64 bits."""
    draw = random.Random(3)
    short = [GOLDEN[:count] for count in range(14, 30)]
    octets = [GOLDEN, build("a", "b", b"x" * 64), *(spoilt(draw, GOLDEN) for _ in range(60)), *short]
    times = sorted(draw.randrange(2**63) for _ in octets)
    return [
        Packet(time, frame, draw.random() < 0.5, "flip of round bit 3" if draw.random() < 0.3 else "")
        for time, frame in zip(times, octets, strict=True)
    ]


# --- a reader of the test's own, from the draft's pictures ------------------------------------------


def blocks(content: bytes) -> list[tuple[int, bytes]]:
    """(type, body) of each block; lengths agree at both ends and are whole words."""
    found, at = [], 0
    while at < len(content):
        kind, length = struct.unpack_from("<II", content, at)
        assert length % 4 == 0
        assert struct.unpack_from("<I", content, at + length - 4) == (length,)
        found.append((kind, content[at + 8:at + length - 4]))
        at += length
    assert at == len(content)
    return found


def options(body: bytes) -> dict[int, bytes]:
    """By code; the list ends where it says so."""
    found, at = {}, 0
    while True:
        code, length = struct.unpack_from("<HH", body, at)
        at += 4
        if code == 0:
            assert (length, at) == (0, len(body))
            return found
        found[code] = body[at:at + length]
        at += length + -length % 4


def read(path: Path) -> tuple[dict[int, bytes], list[Packet]]:
    """The interface's options and the packets, in ps."""
    (section, head), (interface, described), *rest = blocks(path.read_bytes())
    assert section == 0x0A0D0D0A
    assert struct.unpack_from("<IHHq", head) == (0x1A2B3C4D, 1, 0, -1)
    assert options(head[16:]) == {4: b"hwsim"}
    assert (interface, struct.unpack_from("<HHI", described)) == (1, (1, 0, 0))
    packets = []
    for kind, body in rest:
        assert kind == 6
        number, high, low, captured, original = struct.unpack_from("<IIIII", body)
        assert (number, captured) == (0, original)
        more = options(body[20 + captured + -captured % 4:])
        flags = int.from_bytes(more[2], "little")
        assert flags & ~0b11 == 4 << 5
        packets.append(Packet((high << 32 | low) * 1000, body[20:20 + captured], {1: True, 2: False}[flags & 0b11],
                              more.get(1, b"").decode()))  # fmt: skip
    return options(described[8:]), packets


def rounded(packets: list[Packet]) -> list[Packet]:
    return [packet._replace(time_ps=packet.time_ps // 1000 * 1000) for packet in packets]


@given(st.lists(st.builds(Packet, st.integers(0, 2**63), st.binary(max_size=100), st.booleans(), st.text(max_size=9))))
@settings(max_examples=60, deadline=None)
def test_what_is_written_is_read_back(packets: list[Packet]) -> None:
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "x.pcapng"
        write(path, packets)
        assert read(path)[1] == rounded(packets)


def test_an_interface_says_what_it_is(tmp_path: Path) -> None:
    write(tmp_path / "x.pcapng", [], "wire@node0/nic", 10**11)
    described, packets = read(tmp_path / "x.pcapng")
    assert packets == []
    assert described == {2: b"wire@node0/nic", 8: (10**11).to_bytes(8, "little"), 9: b"\x09", 13: b"\x04"}


def test_many_packets_go_out_in_between(tmp_path: Path) -> None:
    path = tmp_path / "x.pcapng"
    capture = Capture(path, "wire@a")
    empty = path.stat().st_size
    for number in range(5000):
        capture.packet(number * NS, GOLDEN, inbound=False)
    assert path.stat().st_size > empty
    capture.close()
    capture.close()
    assert [packet.time_ps for packet in read(path)[1]] == [number * NS for number in range(5000)]


# --- the field's readers -------------------------------------------------------------------------


def test_scapys_reader_gives_the_same_octets_and_times(tmp_path: Path) -> None:
    from scapy.utils import RawPcapNgReader

    packets = samples()
    write(tmp_path / "x.pcapng", packets)
    with RawPcapNgReader(str(tmp_path / "x.pcapng")) as reader:
        got = list(reader)
    assert [octets for octets, _ in got] == [packet.octets for packet in packets]
    assert [(meta.tshigh << 32 | meta.tslow, meta.tsresol) for _, meta in got] == [
        (packet.time_ps // 1000, 10**9) for packet in packets
    ]
    assert {meta.linktype for _, meta in got} == {1}
    assert {meta.ifname for _, meta in got} == {b"wire@a/nic"}
    assert [meta.direction for _, meta in got] == [1 if packet.inbound else 2 for packet in packets]


def test_scapy_takes_a_capture_apart(tmp_path: Path) -> None:
    from scapy.utils import rdpcap

    from hwsim.bilateral.scapy_layers import BLP

    write(tmp_path / "x.pcapng", [Packet(1_234_567_890_123, GOLDEN, True, "duplicate")])
    (packet,) = rdpcap(str(tmp_path / "x.pcapng"))
    assert packet[BLP].round == 7
    assert packet[BLP].crc_holds()
    assert packet.time == Decimal("1.234567890")
    assert bytes(packet) == GOLDEN


def tshark(path: Path, *fields: str) -> list[list[str]]:
    """A row of fields a packet; neither a complaint nor a packet that is cut."""
    assert TSHARK is not None
    command = [TSHARK, "-n", "-r", path, "-o", "eth.check_fcs:TRUE", "-T", "fields", "-E", "separator=|"]
    done = subprocess.run(
        [*command, *(word for field in fields for word in ("-e", field))], capture_output=True, text=True
    )
    complaints = [line for line in done.stderr.splitlines() if "Running as user" not in line]
    assert (done.returncode, complaints) == (0, [])
    return [line.split("|") for line in done.stdout.splitlines()]


needs_tshark = pytest.mark.skipif(TSHARK is None, reason="no tshark to read captures with")


@needs_tshark
def test_tshark_reads_octets_times_directions_and_comments(tmp_path: Path) -> None:
    packets = samples()
    write(tmp_path / "x.pcapng", packets)
    rows = tshark(tmp_path / "x.pcapng", "frame.time_epoch", "frame.len", "frame.interface_name",
                  "frame.packet_flags_direction", "frame.comment", "frame.cap_len")  # fmt: skip
    assert rows == [
        [f"{packet.time_ps // 10**12}.{packet.time_ps // 1000 % 10**9:09d}", str(len(packet.octets)), "wire@a/nic",
         "0x00000001" if packet.inbound else "0x00000002", packet.note, str(len(packet.octets))]
        for packet in packets
    ]  # fmt: skip
    assert octets_by_tshark(tmp_path / "x.pcapng") == [packet.octets for packet in packets]


def octets_by_tshark(path: Path) -> list[bytes]:
    """Each packet's octets, from tshark's hexadecimal dump."""
    import json

    assert TSHARK is not None
    done = subprocess.run([TSHARK, "-n", "-r", path, "-T", "jsonraw"], capture_output=True, text=True, check=True)
    return [bytes.fromhex(packet["_source"]["layers"]["frame_raw"][0]) for packet in json.loads(done.stdout)]


@needs_tshark
def test_tshark_checks_the_fcs_of_each_frame(tmp_path: Path) -> None:
    hit = bytearray(GOLDEN)
    hit[20] ^= 1
    other = build("a", "b", b"hello")
    write(tmp_path / "x.pcapng", [Packet(0, GOLDEN, True), Packet(1, bytes(hit), True), Packet(2, other, False)])
    rows = tshark(tmp_path / "x.pcapng", "eth.dst", "eth.type", "eth.fcs", "eth.fcs.status")
    assert rows == [
        ["01:80:c2:00:00:0e", "0x88b5", "0x65ac959a", "1"],
        ["01:80:c2:00:00:0e", "0x88b5", "0x65ac959a", "0"],
        [":".join(f"{octet:02x}" for octet in other[:6]), "0x88b5", f"0x{other[-4:].hex()}", "1"],
    ]


# --- a channel's captures ------------------------------------------------------------------------


def traffic(folder: Path, seed: int = 1, **given: Any) -> Channel:
    """Frames both ways over a channel that spoils them, captured at both ends."""
    env = simpy.Environment()
    params = ChannelParams(**({"rate": "10Gb/s", "delay": "1us"} | given))
    channel = Channel("wire", "node0/nic", "node1/nic", params, env, partial(stream, seed))
    with Captures(folder) as captures:
        channel.observe = captures
        for number in range(200):
            for device in channel.wires:
                octets = encode(Frame(FrameType.RETURNED, round=number))
                env.timeout(number * 3_000_000 + 7).callbacks.append(
                    lambda _, device=device, octets=octets: channel.wires[device].send(octets)
                )
        env.run()
    return channel


ROUGH = {"loss": 0.2, "duplicate": 0.1, "flip": 0.1, "truncate": 0.1, "garbage": 0.1, "jitter": "2us"}


def test_every_interface_has_its_own_capture_of_what_it_sees(tmp_path: Path) -> None:
    channel = traffic(tmp_path, **ROUGH)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == ["wire@node0.nic.pcapng", "wire@node1.nic.pcapng"]
    for device, peer in (("node0/nic", "node1/nic"), ("node1/nic", "node0/nic")):
        described, packets = read(tmp_path / file_name(f"wire@{device}"))
        assert described[2] == f"wire@{device}".encode()
        assert sum(not packet.inbound for packet in packets) == channel.wires[device].sent == 200
        assert sum(packet.inbound for packet in packets) == channel.wires[peer].delivered
        lost = sum(packet.note == "lost: loss" for packet in packets)
        assert lost == channel.wires[device].dropped["loss"]
        times = [packet.time_ps for packet in packets]
        assert times == sorted(times)


def test_the_same_seed_gives_the_same_files(tmp_path: Path) -> None:
    contents = []
    for name, seed in (("one", 1), ("two", 1), ("three", 2)):
        (tmp_path / name).mkdir()
        traffic(tmp_path / name, seed, **ROUGH)
        contents.append([path.read_bytes() for path in sorted((tmp_path / name).iterdir())])
    assert contents[0] == contents[1] != contents[2]


@needs_tshark
def test_tshark_reads_a_rough_channels_captures(tmp_path: Path) -> None:
    channel = traffic(tmp_path, **ROUGH)
    rows = tshark(tmp_path / "wire@node1.nic.pcapng", "frame.packet_flags_direction")
    assert len(rows) == channel.wires["node0/nic"].delivered + channel.wires["node1/nic"].sent


def test_an_interface_without_frames_has_a_file_too(tmp_path: Path) -> None:
    with Captures(tmp_path) as captures:
        captures.add("wire@a", 10**9)
        captures.add("wire@a")
    assert read(tmp_path / "wire@a.pcapng")[1] == []

"""An Ethernet link: two ways, each a serial line that keeps order, delays, loses and corrupts frames.

Single frames (messages) are followed one by one: a number says until when the line is busy, and one
event ends a frame, at its arrival or its loss.  Bulk data is fluid: each way is a pipe whose
capacity is the rate less what framing takes and less the frames that must be sent again.

- Overhead of a frame: preamble and start delimiter 8 B, header 14 B, FCS 4 B, gap 12 B; at least
  64 B from header to FCS.
- Loss: a frame vanishes.  Bit errors: a frame of n bits is hit with 1 - (1 - ber)**n and its FCS
  drops it (that a CRC-32 misses an error, about 2**-32 of them, is left out).
- Down, or with a dark end: what is on the line or still queued is lost; data stalls.  Frames that
  the sender has put on the line before it died arrive.
- Jitter delays a frame, and those behind it never overtake it.

Source: IEEE Std 802.3-2022, sections 3.1.1 (frame), 3.2.7 (46 to 1500 B of payload), 4.4.2 (96 bit
times of gap, 64 B minimum).

Not modelled: a limited queue; data and messages delaying one another; pause frames; headers of
IP, UDP and RoCE (count them in a message's size); a transport's window (a lost frame of bulk data
costs its own resending and nothing else, which is kind to go-back-N transports at high loss).
"""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from collections.abc import Callable, Mapping
from statistics import NormalDist
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from hwsim.quantities import Duration, Params, Probability, Rate, Size

if TYPE_CHECKING:
    import simpy

    from hwsim.flow import FlowNetwork

PREAMBLE_BYTES = 8  # with the start frame delimiter
HEADER_BYTES = 14
FCS_BYTES = 4
GAP_BYTES = 12
MIN_FRAME_BYTES = 64  # header, payload and FCS


class EthernetParams(Params):
    """Figures of one Ethernet link, the same in both directions."""

    kind: Literal["ethernet"] = "ethernet"
    rate: Rate = Field(gt=0, description="bits on the wire each second, each direction")
    delay: Duration = Field(ge=0, description="propagation, one way")
    jitter: Duration = Field(default=0, ge=0, description="uniform extra delay of 0 to this; order is kept")
    loss: Probability = Field(default=0.0, description="probability that a frame vanishes")
    ber: Probability = Field(default=0.0, description="probability that a bit arrives wrong; the FCS drops such frames")
    mtu: Size = Field(default=1500, ge=46, le=65535, description="largest payload of a frame; IEEE 802.3 says 1500 B")


def frame_bytes(payload_bytes: int) -> int:
    """Length of a frame from header to FCS, padded to the minimum."""
    return max(HEADER_BYTES + payload_bytes + FCS_BYTES, MIN_FRAME_BYTES)


def wire_bytes(payload_bytes: int) -> int:
    """What a frame takes of the line: preamble, frame and gap."""
    return PREAMBLE_BYTES + frame_bytes(payload_bytes) + GAP_BYTES


def payloads(size_bytes: int, mtu: int) -> list[int]:
    """The payloads of the frames that carry a message: full ones and the rest; an empty message is one frame."""
    full, rest = divmod(size_bytes, mtu)
    return [mtu] * full + [rest] * (rest > 0 or full == 0)


def frame_error_probability(ber: float, payload_bytes: int) -> float:
    """The probability that a bit from header to FCS arrives wrong."""
    if ber >= 1.0:
        return 1.0
    return -math.expm1(8 * frame_bytes(payload_bytes) * math.log1p(-ber))


def goodput_factor(params: EthernetParams) -> float:
    """Bytes of bulk data that arrive for each byte of line: framing, and full frames that are sent again."""
    arrives = (1.0 - params.loss) * (1.0 - frame_error_probability(params.ber, params.mtu))
    return params.mtu / wire_bytes(params.mtu) * arrives


def binomial_quantile(trials: int, probability: float, u: float) -> int:
    """How many of *trials* happen, at the quantile *u*: exact for a mean to 50 (either way), normal beyond."""
    if probability > 0.5:
        return trials - binomial_quantile(trials, 1.0 - probability, 1.0 - u)
    mean = trials * probability
    if mean > 50:
        deviation = math.sqrt(mean * (1.0 - probability))
        drawn = mean + deviation * NormalDist().inv_cdf(min(max(u, 1e-15), 1 - 1e-15))
        return min(max(round(drawn), 0), trials)
    odds = probability / (1.0 - probability)
    term = math.exp(trials * math.log1p(-probability))
    count, reached = 0, term
    while reached <= u and count < trials:
        term *= (trials - count) / (count + 1) * odds
        count += 1
        if term == 0.0:
            break
        reached += term
    return count


class Way:
    """One direction of a link: a line that sends one frame after another."""

    def __init__(self, link: EthernetLink, sender: str, receiver: str, flows: FlowNetwork,
                 stream: Callable[..., random.Random]) -> None:
        self.link = link
        self.sender = sender
        self.receiver = receiver
        self.capacity_bps = int(link.params.rate * goodput_factor(link.params))
        self.pipe = flows.pipe(f"{link.name} {sender} to {receiver}", self.capacity_bps)
        self.busy_until = 0
        self.sent = 0  # frames of messages; sent = delivered + dropped + under way
        self.delivered = 0
        self.dropped: dict[str, int] = {}
        self._last_arrival = 0
        self._cuts: list[int] = []  # when the sender died: what had not left it then never does
        self._loss = stream("link", link.name, sender, "loss")
        self._errors = stream("link", link.name, sender, "errors")
        self._jitter = stream("link", link.name, sender, "jitter")
        self._data = stream("link", link.name, sender, "data")

    def __repr__(self) -> str:
        return f"Way({self.pipe.name!r})"

    def occupy(self, now_ps: int, payload_bytes: int) -> tuple[int, int]:
        """Take the line for one frame from *now_ps* on: when its first bit and when its last bit leave."""
        start = max(now_ps, self.busy_until)
        rate = self.link.params.rate
        line = 8 * (PREAMBLE_BYTES + frame_bytes(payload_bytes))
        self.busy_until = start + _ceil_ps(line + 8 * GAP_BYTES, rate)
        return start, start + _ceil_ps(line, rate)

    def line_time(self, size_bytes: int) -> int:
        """How long (ps) an idle line needs from the first bit of a message to its last."""
        first, *others = (8 * wire_bytes(payload) for payload in payloads(size_bytes, self.link.params.mtu)[::-1])
        rate = self.link.params.rate
        return _ceil_ps(first - 8 * GAP_BYTES, rate) + sum(_ceil_ps(bits, rate) for bits in others)

    def transmit(self, size_bytes: int, arrived: Callable[[], None], dropped: Callable[[str], None]) -> None:
        """Send a message as frames; *arrived* is called with its last frame, or *dropped* with the reason.

        A message of several frames is lost with any of them.
        """
        env, link = self.link.env, self.link
        now: int = env.now  # type: ignore[assignment]
        frames = payloads(size_bytes, link.params.mtu)
        self.sent += len(frames)
        if not link.up or self.sender in link.dark:
            reason = "sender_dark" if link.up else "link_down"
            self._count(reason, len(frames))
            dropped(reason)
            return
        reasons: list[str] = []
        for payload in frames:
            _, left = self.occupy(now, payload)
            at = left + link.params.delay
            if link.params.jitter:
                at += round(self._jitter.random() * link.params.jitter)
            self._last_arrival = at = max(at, self._last_arrival)
            if link.params.loss and self._loss.random() < link.params.loss:
                reasons.append("loss")
            elif link.params.ber and self._errors.random() < frame_error_probability(link.params.ber, payload):
                reasons.append("fcs")
        timer = env.timeout(at - now)
        timer.callbacks.append(lambda _: self._end(now, left, len(frames), reasons, arrived, dropped))

    def _end(self, sent_at: int, left_at: int, frames: int, reasons: list[str], arrived: Callable[[], None],
             dropped: Callable[[str], None]) -> None:
        """The last frame's time has come: count every frame's fate, and tell the message's."""
        everything = None
        cut = bisect_left(self._cuts, sent_at)
        if cut < len(self._cuts) and self._cuts[cut] < left_at:
            everything = "sender_dark"
        elif self.link.cuts and self.link.cuts[-1] >= sent_at:
            everything = "link_down"
        elif self.receiver in self.link.dark:
            everything = "dark"
        if everything is not None:
            self._count(everything, frames)
            dropped(everything)
            return
        self.delivered += frames - len(reasons)
        for reason in reasons:
            self._count(reason, 1)
        if reasons:
            dropped(reasons[0])
        else:
            arrived()

    def _count(self, reason: str, frames: int) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + frames

    def figures(self, data_bytes: float) -> dict[str, Any]:
        """Counts of frames: of messages one by one, of bulk data from its bytes (those sent again are drawn)."""
        params = self.link.params
        needed = math.ceil(data_bytes / params.mtu)
        fails = 1.0 - (1.0 - params.loss) * (1.0 - frame_error_probability(params.ber, params.mtu))
        tries = round(needed / (1.0 - fails)) if fails < 1.0 else 0
        lost = binomial_quantile(tries, fails, self._data.random()) if fails and tries else 0
        return {"sent": self.sent, "delivered": self.delivered, "dropped": dict(sorted(self.dropped.items())),
                "data_bytes": data_bytes, "data_frames": needed, "data_frames_resent": lost}


class EthernetLink:
    """One link between devices *a* and *b*; `ways[a]` is the way that *a* sends on."""

    Params: ClassVar[type[EthernetParams]] = EthernetParams

    def __init__(self, name: str, a: str, b: str, params: EthernetParams, env: simpy.Environment, flows: FlowNetwork,
                 stream: Callable[..., random.Random]) -> None:
        self.name = name
        self.a = a
        self.b = b
        self.params = params
        self.env = env
        self.up = True
        self.dark: dict[str, None] = {}  # its ends that are dark now
        self.cuts: list[int] = []  # when it went down
        self.paused: dict[str, None] = {}  # ends that carry no data for now, and lose nothing
        self.on_change: list[Callable[[], None]] = []  # told when it begins or ceases to carry data
        self.carries = True
        self._flows = flows
        self.ways: Mapping[str, Way] = {a: Way(self, a, b, flows, stream), b: Way(self, b, a, flows, stream)}

    def __repr__(self) -> str:
        return f"EthernetLink({self.name!r})"

    def take_down(self) -> None:
        """Cut it: frames on it and queued for it are lost, and data stalls until `bring_up`."""
        self.up = False
        self.cuts.append(self.env.now)  # type: ignore[arg-type]
        for way in self.ways.values():
            way.busy_until = 0
        self._set_capacities()

    def bring_up(self) -> None:
        """Carry again."""
        self.up = True
        self._set_capacities()

    def end_stopped(self, device: str, _crash_kind: str = "") -> None:
        """An end went dark: what it had queued is lost, and so is what reaches it until `end_restored`."""
        self.dark[device] = None
        way = self.ways[device]
        way._cuts.append(self.env.now)  # type: ignore[arg-type]
        way.busy_until = 0
        self._set_capacities()

    def end_restored(self, device: str) -> None:
        """The end serves again."""
        self.dark.pop(device, None)
        self._set_capacities()

    def pause(self, device: str, *, paused: bool) -> None:
        """An end carries no data for a while, or does again; single frames still pass."""
        if paused:
            self.paused[device] = None
        else:
            self.paused.pop(device, None)
        self._set_capacities()

    def _set_capacities(self) -> None:
        carries = self.up and not self.dark and not self.paused
        for way in self.ways.values():
            self._flows.set_capacity(way.pipe, way.capacity_bps if carries else 0)
        if carries != self.carries:
            self.carries = carries
            for notify in list(self.on_change):
                notify()


KINDS: Mapping[str, type[EthernetLink]] = {"ethernet": EthernetLink}


def _ceil_ps(bits: int, rate_bps: int) -> int:
    return -(-bits * 10**12 // rate_bps)

"""The wire of a bilateral link: octets in at one end, octets out at the other, late, spoilt, twice or not at all.

Each direction is a serial line of its own that keeps order.  A frame takes the line for preamble, its
octets and the gap; it arrives whole, after the delay.  Faults come by chance, each from a random stream
of its own, and by script (`hwsim.bilateral.damage`):

- lost: it takes the line and arrives nowhere, and no fault but a script's touches it any more;
- duplicated: it is sent once more right behind itself, and each copy is spoilt (or not) for itself;
- garbage and replays follow a frame as frames of their own.  A replay is an old frame out of its order: a FIFO
  wire never does this, so nothing does by default;
- delayed: what is behind waits too.

A number says until when a line is busy and one callback ends a frame, as on other links.  Down, with
a dark sender or receiver, frames fare as there: what is on the line or queued when it goes down is
lost; what had left a sender before it died arrives; a dark receiver gets nothing.

Counts: sent + duplicate + garbage + replay + repeated = delivered + dropped + under way.  `sent` counts every frame
that was given to the wire, also while it is down: it is what a script counts.

Source: IEEE Std 802.3-2022, sections 3.1.1 and 4.4.2 (preamble, gap).

Not modelled: a limited queue; carrier detection (an end hears nothing when the other one goes dark).
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Protocol

from hwsim.bilateral import damage
from hwsim.bilateral.damage import ChannelParams, Direction, ScriptedFault
from hwsim.bilateral.frame import seal
from hwsim.bilateral.wire import FRAME_OCTETS
from hwsim.link import GAP_BYTES, PREAMBLE_BYTES
from hwsim.units import PS_PER_SECOND

if TYPE_CHECKING:
    import simpy

_CHANCES = ("loss", "ber", "duplicate", "flip", "burst", "truncate", "extend", "garbage", "replay")
_SPOILERS = frozenset(("ber", "flip", "burst", "truncate", "extend"))
_REMEMBERED = 64  # frames from which chance picks one to replay


class Observer(Protocol):
    """Told of each frame as an interface sees it: given to the wire, or arrived with its last bit.

    *interface* is LINK@DEVICE, *note* what the wire did to the frame ("" for nothing).
    """

    def __call__(self, interface: str, time_ps: int, octets: bytes, *, inbound: bool, note: str) -> None: ...


class Wire:
    """One direction of a channel.  Set `receive`: it is called with the octets of every frame that arrives."""

    def __init__(self, channel: Channel, direction: Direction, sender: str, receiver: str,
                 stream: Callable[..., random.Random]) -> None:
        params = channel.params
        self.channel = channel
        self.sender = sender
        self.receiver = receiver
        self.receive: Callable[[bytes], None] = _ignore
        self.sent = 0
        self.delivered = 0
        self.dropped: dict[str, int] = {}
        self.faults: dict[str, int] = {}  # how often each struck; losses are among the dropped
        self._delay = params.delay
        self._rate = params.rate
        self._line: dict[int, tuple[int, int]] = {}
        self._busy_until = 0
        self._last_arrival = 0
        self._under_way: deque[tuple[int, int, bytes, str]] = deque()  # when it arrives, when it has left, octets, note
        self._jitter = int(params.chance(direction, "jitter"))
        self._chances = {name: chance for name in _CHANCES if (chance := params.chance(direction, name))}
        drawn = [*self._chances, *(["jitter"] if self._jitter else [])]
        self._script = params.scripted(direction)
        written = [fault for faults in self._script.values() for fault in faults]
        if any(fault.do in ("extend", "garbage") for fault in written):
            drawn.append("script")
        self._draw = {name: stream("link", channel.name, sender, name) for name in drawn}
        self._recent: deque[bytes] | None = deque(maxlen=_REMEMBERED) if "replay" in self._chances else None
        self._kept: dict[int, bytes] = {fault.of: b"" for fault in written if fault.of is not None}
        self._spoils = not _SPOILERS.isdisjoint(self._chances)
        self._plain = not (self._chances or self._script)

    def __repr__(self) -> str:
        return f"Wire({self.channel.name!r}, {self.sender!r} to {self.receiver!r})"

    def send(self, octets: bytes) -> None:
        """Put a frame on the line; never calls `receive` within this call."""
        channel = self.channel
        self.sent += 1
        if not channel.up or self.sender in channel.dark:
            self._drop("sender_dark" if channel.up else "link_down")
            return
        if self._plain:
            if channel.observe is not None:
                self._observe(octets, "", inbound=False)
            self._launch(octets)
        else:
            self._send_with_faults(octets)

    @property
    def unstruck(self) -> list[ScriptedFault]:
        """Faults of the script whose frame has not been carried: none was sent that far, or the link was down."""
        return [fault for faults in self._script.values() for fault in faults]

    def figures(self) -> dict[str, Any]:
        """Counts of frames; `faults` by kind, `dropped` by reason."""
        return {"sent": self.sent, "delivered": self.delivered, "dropped": dict(sorted(self.dropped.items())),
                "faults": dict(sorted(self.faults.items()))}

    def under_way(self) -> tuple[tuple[int, str, bytes], ...]:
        """The frames on the line: time until each arrives (ps), what the wire did to it, its octets."""
        now: int = self.channel.env.now  # type: ignore[assignment]
        return tuple((at - now, note, octets) for at, _, octets, note in self._under_way)

    def lose_last(self) -> None:
        """Let the frame that was put on the line last never arrive."""
        self._under_way.pop()
        self._drop("struck")

    def repeat(self, octets: bytes) -> None:
        """Carry a frame once more, behind what is on the line."""
        self._launch(octets, "repeated")
        self._count("repeated")

    # faults

    def _send_with_faults(self, octets: bytes) -> None:
        nth = self.sent
        script = self._script.pop(nth, ())
        if self._recent is not None:
            self._recent.append(octets)
        if nth in self._kept:
            self._kept[nth] = octets
        if any(fault.do == "drop" for fault in script):
            lost = "script"
        else:
            lost = "loss" if self._happens("loss") else ""
        if self.channel.observe is not None:
            self._observe(octets, f"lost: {lost}" if lost else "", inbound=False)
        if lost:
            self._occupy(len(octets))
            self._drop(lost)
        else:
            twice = self._strikes("duplicate")
            self._launch(*self._spoilt(octets, script))
            if twice:
                self._launch(*self._spoilt(octets, (), "duplicate"))
        for fault in script:
            self._send_besides(octets, fault)
        if self._strikes("garbage"):
            self._launch(damage.noise_frame(self._draw["garbage"]), "garbage")
        if self._recent is not None and self._strikes("replay"):
            self._launch(self._recent[int(self._draw["replay"].random() * len(self._recent))], "replay")

    def _happens(self, name: str) -> bool:
        return name in self._chances and self._draw[name].random() < self._chances[name]

    def _strikes(self, name: str) -> bool:
        """Whether the fault *name* happens now, by chance; counted if so."""
        if name not in self._chances or not self._happens(name):
            return False
        self._count(name)
        return True

    def _spoilt(self, octets: bytes, script: tuple[ScriptedFault, ...], note: str = "") -> tuple[bytes, str, int]:
        """One copy of a frame as it will arrive, what was done to it, and how much later than else (ps)."""
        notes = [note] if note else []
        by = 0
        for fault in script:
            match fault.do:
                case "flip":
                    assert fault.bits is not None
                    octets = damage.flip(octets, fault.bits, fault.field)
                    if fault.mended and len(octets) == FRAME_OCTETS:
                        octets = seal(octets[:74])
                case "truncate":
                    octets = octets[:fault.octets]
                case "extend":
                    octets += damage.noise(fault.octets or 0, self._draw["script"])
                case "delay":
                    by += fault.by or 0
                case _:
                    continue
            self._count(fault.do)
            notes.append(_words(fault))
        if self._spoils and octets:
            octets = self._spoilt_by_chance(octets, notes)
        return octets, ", ".join(notes), by

    def _spoilt_by_chance(self, octets: bytes, notes: list[str]) -> bytes:
        bits = 8 * len(octets)
        if "ber" in self._chances:
            wrong = damage.wrong_bits(bits, self._chances["ber"], self._draw["ber"])
            if wrong:
                self._count("ber")
                notes.append(f"{len(wrong)} wrong bits")
                octets = damage.flip(octets, wrong)
        if self._strikes("flip"):
            bit = int(self._draw["flip"].random() * bits)
            notes.append(f"flip of bit {bit}")
            octets = damage.flip(octets, [bit])
        if self._strikes("burst"):
            hit = damage.burst(bits, self._draw["burst"])
            notes.append(f"burst from bit {hit[0]} to {hit[-1]}")
            octets = damage.flip(octets, hit)
        if len(octets) > 1 and self._strikes("truncate"):
            octets = octets[:1 + int(self._draw["truncate"].random() * (len(octets) - 1))]
            notes.append(f"truncate to {len(octets)} octets")
        if self._strikes("extend"):
            more = 1 + int(self._draw["extend"].random() * damage.MOST_ADDED)
            octets += damage.noise(more, self._draw["extend"])
            notes.append(f"extend by {more} octets")
        return octets

    def _send_besides(self, octets: bytes, fault: ScriptedFault) -> None:
        """What a script sends behind the frame."""
        match fault.do:
            case "duplicate":
                self._launch(*self._spoilt(octets, (), "duplicate"))
            case "garbage":
                self._launch(damage.noise(fault.octets or 0, self._draw["script"]), "garbage")
            case "replay" if fault.of is not None and self._kept[fault.of]:
                self._launch(self._kept[fault.of], f"replay of {fault.of}")
            case _:  # done to the frame itself, or a replay of one that the line never carried
                return
        self._count(fault.do)

    # the line

    def _occupy(self, count: int) -> int:
        """Take the line for *count* octets: when the last bit leaves."""
        times = self._line.get(count)
        if times is None:
            bits = 8 * (PREAMBLE_BYTES + count)
            times = self._line[count] = (
                -(-bits * PS_PER_SECOND // self._rate),
                -(-(bits + 8 * GAP_BYTES) * PS_PER_SECOND // self._rate),
            )
        now: int = self.channel.env.now  # type: ignore[assignment]
        start = max(now, self._busy_until)
        self._busy_until = start + times[1]
        return start + times[0]

    def _launch(self, octets: bytes, note: str = "", by: int = 0) -> None:
        env = self.channel.env
        left = self._occupy(len(octets))
        at = left + self._delay + by
        if self._jitter:
            at += round(self._draw["jitter"].random() * self._jitter)
        self._last_arrival = at = max(at, self._last_arrival)
        self._under_way.append((at, left, octets, note))
        env.timeout(at - env.now).callbacks.append(self._arrive)

    def _arrive(self, _: object) -> None:
        """A frame's time has come: whatever is at the head of the line arrives, so no tie can break the order."""
        if not self._under_way or self._under_way[0][0] > self.channel.env.now:
            return  # the frame that this was the time of has been lost with the link or its sender
        _, _, octets, note = self._under_way.popleft()
        if self.receiver in self.channel.dark:
            self._drop("dark")
            return
        self.delivered += 1
        if self.channel.observe is not None:
            self._observe(octets, note, inbound=True)
        self.receive(octets)

    def _lose(self, reason: str, *, left_after: int = -1) -> None:
        """What is under way and had not left by *left_after* (ps) is lost, and the line is free."""
        kept = [frame for frame in self._under_way if frame[1] <= left_after]
        for _ in range(len(self._under_way) - len(kept)):
            self._drop(reason)
        self._under_way = deque(kept)
        self._busy_until = 0
        self._last_arrival = kept[-1][0] if kept else 0

    def _observe(self, octets: bytes, note: str, *, inbound: bool) -> None:
        assert self.channel.observe is not None
        interface = f"{self.channel.name}@{self.receiver if inbound else self.sender}"
        now: int = self.channel.env.now  # type: ignore[assignment]
        self.channel.observe(interface, now, octets, inbound=inbound, note=note)

    def _drop(self, reason: str) -> None:
        self.dropped[reason] = self.dropped.get(reason, 0) + 1

    def _count(self, fault: str) -> None:
        self.faults[fault] = self.faults.get(fault, 0) + 1


class Channel:
    """The two wires between devices *a* and *b*; `wires[a]` is the one that *a* sends on."""

    def __init__(self, name: str, a: str, b: str, params: ChannelParams, env: simpy.Environment,
                 stream: Callable[..., random.Random]) -> None:
        self.name = name
        self.a = a
        self.b = b
        self.params = params
        self.env = env
        self.up = True
        self.dark: dict[str, None] = {}  # its ends that are dark now
        self.observe: Observer | None = None
        self.wires: Mapping[str, Wire] = {
            a: Wire(self, "forward", a, b, stream),
            b: Wire(self, "reverse", b, a, stream),
        }

    def __repr__(self) -> str:
        return f"Channel({self.name!r})"

    def take_down(self) -> None:
        """Cut it: frames on it and queued for it are lost, and so are those that are sent until `bring_up`."""
        self.up = False
        for wire in self.wires.values():
            wire._lose("link_down")

    def bring_up(self) -> None:
        """Carry again."""
        self.up = True

    def calm(self) -> None:
        """From now on no fault strikes by chance."""
        for wire in self.wires.values():
            wire._chances.clear()

    def end_stopped(self, device: str, _crash_kind: str = "") -> None:
        """An end went dark: what it had queued is lost, and so is what reaches it until `end_restored`."""
        self.dark[device] = None
        self.wires[device]._lose("sender_dark", left_after=self.env.now)  # type: ignore[arg-type]

    def end_restored(self, device: str) -> None:
        """The end serves again."""
        self.dark.pop(device, None)


def _ignore(_: bytes) -> None:
    """Until somebody listens."""


def _words(fault: ScriptedFault) -> str:
    """A scripted fault in a capture's words."""
    match fault.do:
        case "flip":
            of = f"{fault.field} " if fault.field is not None else ""
            bits = ", ".join(map(str, fault.bits or ()))
            return f"flip of {of}bit {bits}" + (", checksums mended" if fault.mended else "")
        case "truncate":
            return f"truncate to {fault.octets} octets"
        case "extend":
            return f"extend by {fault.octets} octets"
        case _:
            return fault.do

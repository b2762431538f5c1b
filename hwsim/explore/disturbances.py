"""What may go wrong beside a crash, as something else to strike with: a rank is held up, or a frame goes astray.

- `held_up`: every save of a rank begins two intervals late, until its processes end: a straggler.
- `frame_lost`: the frame that was put on a bilateral link's wire last never arrives.
- `frame_twice`: it arrives twice.
- `frame_again`: the last other frame of that wire, which it has made out of date, arrives once more behind it.  A FIFO
  wire does not do this; a switch in between that was forgotten, or a sender's stale buffer, does.

Not modelled: messages over Ethernet that go astray, whose transport sends them again and delivers each once.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from hwsim.bilateral.channel import Channel, Wire
    from hwsim.simulation import Simulation

HELD_UP = "held_up"
FRAME_LOST, FRAME_TWICE, FRAME_AGAIN = "frame_lost", "frame_twice", "frame_again"
LATE_BY = 2  # intervals: what waits for nobody is then two checkpoints ahead


class Disturbance(NamedTuple):
    """One of them: its kind, and the rank or the wire (LINK@SENDER)."""

    kind: str
    label: str

    def __str__(self) -> str:
        words = {
            HELD_UP: f"{self.label} held up",
            FRAME_LOST: f"a frame on {self.label} lost",
            FRAME_TWICE: f"a frame on {self.label} doubled",
            FRAME_AGAIN: f"an old frame on {self.label} repeated",
        }
        return words[self.kind]


class Disturber:
    """Lets disturbances strike a running simulation; it remembers the frames of every wire."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._frames: dict[str, list[bytes]] = {}  # wire -> its frames, oldest first
        self._seen: dict[str, int] = {}  # wire -> those that `possible` has told of
        self._wires: dict[str, Wire] = {}
        for link in simulation.building.bilateral.values():
            self._watch(link.channel)

    def _watch(self, channel: Channel) -> None:
        for end, wire in channel.wires.items():
            self._wires[f"{channel.name}@{end}"] = wire
        channel.observe = self._observed

    def _observed(self, interface: str, time_ps: int, octets: bytes, *, inbound: bool, note: str) -> None:
        if not inbound and not note:
            self._frames.setdefault(interface, []).append(octets)

    def possible(self, *, saves_follow: bool) -> Iterator[Disturbance]:
        """What may strike now and could not before: frames sent since; and ranks, where *saves_follow*."""
        if saves_follow:
            for node in self._simulation.building.job.nodes:
                yield Disturbance(HELD_UP, node.name)
        for name, frames in self._frames.items():
            new = len(frames) > self._seen.get(name, 0)
            self._seen[name] = len(frames)
            if new and self._wires[name].under_way():
                yield Disturbance(FRAME_LOST, name)
                yield Disturbance(FRAME_TWICE, name)
                if _older(frames) is not None:
                    yield Disturbance(FRAME_AGAIN, name)

    def strike(self, disturbance: Disturbance) -> None:
        """Let it happen now."""
        kind, label = disturbance
        simulation = self._simulation
        simulation.world.record("struck", kind, peer=label, detail=kind)
        if kind == HELD_UP:
            simulation.building.job.held_up[label] = LATE_BY * simulation.topology.workload.interval
            return
        wire, frames = self._wires[label], self._frames[label]
        if kind == FRAME_LOST:
            wire.lose_last()
        else:
            octets = frames[-1] if kind == FRAME_TWICE else _older(frames)
            assert octets is not None
            wire.repeat(octets)


def _older(frames: list[bytes]) -> bytes | None:
    """The last frame but the newest that is not the same as that."""
    return next((octets for octets in reversed(frames) if octets != frames[-1]), None)

"""What may happen to a frame on a bilateral link: by chance, by script, and how octets are spoilt.

Bits of a frame as a whole count in the order of the line, least significant first in each octet (bit
k is bit k % 8 of octet k // 8).  Bits of a field count from its least significant one, so that bit 0 of a round
is the one that alternates.

By chance, each frame for itself: `ber` (every bit), `flip` (one bit), `burst` (a run of 2 to 32 bits, its
first and last certainly wrong), `truncate` (1 octet to one too few is left), `extend` (1 to 16 random
octets behind).  By script: which frame, which bits, how many octets.

Source: IEEE Std 802.3-2022, section 3.3 (order of bits).

Not modelled: errors that come in clusters of frames; a damaged preamble (it is a loss).
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable
from typing import Literal, Self

from pydantic import Field, NonNegativeInt, PositiveInt, model_validator

from hwsim.bilateral.wire import FIELDS, FRAME_OCTETS
from hwsim.quantities import Duration, Params, Probability, Rate

Direction = Literal["forward", "reverse"]  # from the link's first end to its second, and back
LONGEST = 9216  # octets that a script may ask for: a jumbo frame
LONGEST_BURST = 32  # bits: what a CRC of 32 bits is sure to find
MOST_ADDED = 16
LONGEST_NOISE = 128

_TAKES: dict[str, tuple[frozenset[str], frozenset[str]]] = {  # what `do` needs, what it may have besides
    "drop": (frozenset(), frozenset()),
    "duplicate": (frozenset(), frozenset()),
    "flip": (frozenset({"bits"}), frozenset({"field", "mended"})),
    "truncate": (frozenset({"octets"}), frozenset()),
    "extend": (frozenset({"octets"}), frozenset()),
    "garbage": (frozenset({"octets"}), frozenset()),
    "replay": (frozenset({"of"}), frozenset()),
    "delay": (frozenset({"by"}), frozenset()),
}
_EXAMPLES = {"bits": "[0, 3]", "octets": "40", "of": "1", "by": "10us"}


class ScriptedFault(Params):
    """What becomes of one frame: the *nth* that is sent one *way*, counted from 1."""

    nth: PositiveInt = Field(description="which frame that is sent this way, counted from 1")
    way: Direction = Field(default="forward", description="forward: from the link's first end to its second")
    do: Literal["drop", "duplicate", "flip", "truncate", "extend", "garbage", "replay", "delay"]
    field: str | None = Field(default=None, description="flip: the field whose bits; without it the frame's")
    bits: tuple[NonNegativeInt, ...] | None = Field(default=None, description="flip: which bits, 0 the least")
    mended: bool | None = Field(default=None, description="flip: both checksums are made to fit what was flipped")
    octets: NonNegativeInt | None = Field(default=None, le=LONGEST, description="truncate: left; others: sent besides")
    of: PositiveInt | None = Field(default=None, description="replay: which frame of this way comes again")
    by: Duration | None = Field(default=None, gt=0, description="delay: how much; what is behind waits too")

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        needed, allowed = _TAKES[self.do]
        given = {key for key in ("field", "bits", "mended", "octets", "of", "by") if getattr(self, key) is not None}
        for key in sorted(needed - given):
            raise ValueError(f"{self.do} needs {key}; write {key}: {_EXAMPLES[key]}")
        for key in sorted(given - needed - allowed):
            raise ValueError(f"{self.do} takes no {key}; leave it out")
        if self.bits is not None:
            self._check_bits(self.bits)
        if self.do == "truncate" and self.octets is not None and self.octets >= FRAME_OCTETS:
            raise ValueError(f"a frame has {FRAME_OCTETS} octets; write fewer to leave")
        if self.do in ("extend", "garbage") and self.octets == 0:
            raise ValueError(f"{self.do} adds octets; write 1 or more")
        if self.of is not None and self.of > self.nth:
            raise ValueError(f"frame {self.of} is not sent yet when frame {self.nth} is; write an earlier one")
        return self

    def _check_bits(self, bits: tuple[int, ...]) -> None:
        if self.field is not None and self.field not in FIELDS:
            raise ValueError(f"a frame has no field {self.field!r}; write one of {', '.join(FIELDS)}")
        most = FIELDS[self.field].bits if self.field is not None else 8 * FRAME_OCTETS
        if not bits or len(set(bits)) != len(bits):
            raise ValueError("bits are one or more, each once; write [0, 3]")
        if max(bits) >= most:
            raise ValueError(f"{self.field or 'a frame'} has {most} bits; write 0 to {most - 1}")


class Chances(Params):
    """How probable each fault is, for each frame.  In `forward` or `reverse`, what is left out is as the link says."""

    jitter: Duration | None = Field(default=None, ge=0, description="uniform extra delay of 0 to this; order is kept")
    loss: Probability | None = Field(default=None, description="probability that a frame vanishes")
    ber: Probability | None = Field(default=None, description="probability that a bit arrives wrong")
    duplicate: Probability | None = Field(default=None, description="probability that a frame is sent twice")
    flip: Probability | None = Field(default=None, description="probability that one bit of a frame arrives wrong")
    burst: Probability | None = Field(default=None, description="probability that a run of bits arrives wrong")
    truncate: Probability | None = Field(default=None, description="probability that a frame ends early")
    extend: Probability | None = Field(default=None, description="probability that octets follow within a frame")
    garbage: Probability | None = Field(default=None, description="probability that noise follows as a frame")
    replay: Probability | None = Field(
        default=None, description="probability that an older frame comes again; no wire does this"
    )


class ChannelParams(Chances):
    """Figures of a bilateral link's channel: the same both ways but for what `forward` and `reverse` say."""

    rate: Rate = Field(gt=0, description="bits on the wire each second, each direction")
    delay: Duration = Field(ge=0, description="propagation, one way")
    forward: Chances | None = Field(default=None, description="faults of the way from the first end to the second")
    reverse: Chances | None = Field(default=None, description="faults of the way from the second end to the first")
    script: tuple[ScriptedFault, ...] | None = Field(default=None, description="faults of single frames")

    def chance(self, direction: Direction, name: str) -> float:
        """The figure *name* of one direction: its own, else the link's, else 0."""
        for given in (self.forward if direction == "forward" else self.reverse, self):
            if given is not None and getattr(given, name) is not None:
                return getattr(given, name)  # type: ignore[no-any-return]
        return 0

    def scripted(self, direction: Direction) -> dict[int, tuple[ScriptedFault, ...]]:
        """The script of one direction by the frame's number, in the order written."""
        mine = [fault for fault in self.script or () if fault.way == direction]
        return {nth: tuple(fault for fault in mine if fault.nth == nth) for nth in sorted({f.nth for f in mine})}


def flip(octets: bytes, bits: Iterable[int], field: str | None = None) -> bytes:
    """*octets* with *bits* (of *field*, or of the frame) inverted; bits beyond the end are left."""
    hit = bytearray(octets)
    for bit in bits:
        at, mask = FIELDS[field].place(bit) if field is not None else (bit // 8, 1 << bit % 8)
        if at < len(hit):
            hit[at] ^= mask
    return bytes(hit)


def wrong_bits(count: int, ber: float, draw: random.Random) -> list[int]:
    """Which of *count* bits arrive wrong, each with probability *ber*: by geometric gaps, so one draw where none is."""
    if ber >= 1:
        return list(range(count))
    wrong: list[int] = []
    scale = math.log1p(-ber)
    at = _gap(draw, scale)
    while at < count:
        wrong.append(int(at))
        at += 1 + _gap(draw, scale)
    return wrong


def _gap(draw: random.Random, scale: float) -> float:
    """Right bits before the next wrong one; a float, since a tiny rate makes it larger than any frame."""
    return math.log(1.0 - draw.random()) // scale


def burst(count: int, draw: random.Random) -> list[int]:
    """A run of wrong bits among *count* (2 or more): 2 to 32 long, the first and the last of it certainly wrong."""
    length = min(2 + int(draw.random() * (LONGEST_BURST - 1)), count)
    first = int(draw.random() * (count - length + 1))
    inner = [first + k for k in range(1, length - 1) if draw.random() < 0.5]
    return [first, *inner, first + length - 1]


def noise(count: int, draw: random.Random) -> bytes:
    """*count* random octets."""
    return bytes(int(draw.random() * 256) for _ in range(count))


def noise_frame(draw: random.Random) -> bytes:
    """Random octets, half of the time as many as a frame has, else 1 to 128."""
    right = draw.random() < 0.5
    return noise(FRAME_OCTETS if right else 1 + int(draw.random() * LONGEST_NOISE), draw)

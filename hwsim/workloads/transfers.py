"""Tokens that change hands over bilateral links, round after round.

Each end begins with `tokens` tokens.  An end that opens rounds offers the lowest-numbered token it holds (or nothing:
a round that moves nothing is a round) whenever an offer would be made at once, until the link has ended `rounds`
rounds.  The other one takes it, and under `swap` gives its own lowest in return; by chance it rejects, or is busy,
and an offer by chance is wished back.  What a round brought lies in the inbox until its application has consumed it.

Which tokens an end has is the word of its record (see `hwsim.bilateral.record`): bit k for token k, written with the
rounds themselves.  This class remembers nothing that a crash could tear from it.

Not modelled: what a token stands for.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from hwsim.bilateral.endpoint import ACCEPT, Answer, Application, Endpoint
from hwsim.bilateral.judged import TOKENS, token
from hwsim.bilateral.machine import Register
from hwsim.bilateral.table import State
from hwsim.quantities import Duration, Params, Probability
from hwsim.workloads import LinkNames, LinkWorkload

if TYPE_CHECKING:
    from hwsim.bilateral.live import BilateralLink
    from hwsim.domain import World


class TransfersParams(Params):
    """Parameters of `kind: transfers`."""

    kind: Literal["transfers"] = "transfers"
    over: LinkNames | None = Field(default=None, description="bilateral links, or globs of them; default: all")
    rounds: int = Field(ge=1, lt=2**48, description="of each link; then its ends offer no more")
    offer: Literal["both", "a", "b"] = Field(
        default="both", description="who opens rounds: both ends, the link's first one (a), or its second (b)"
    )
    tokens: int = Field(default=1, ge=0, le=TOKENS // 2, description="that each end holds as the run begins")
    answer: Literal["swap", "accept"] = Field(
        default="swap", description="swap: whoever takes a token gives one in return, if it has one"
    )
    reject: Probability = Field(default=0.0, description="probability that an offer is rejected")
    busy: Probability = Field(default=0.0, description="probability that an answer is put off to the next offer")
    cancel: Probability = Field(default=0.0, description="probability that an offer is wished back at once")
    consume: Duration = Field(default=0, ge=0, description="time until what a round brought is taken from the inbox")
    pause: Duration = Field(default=0, ge=0, description="time between a round's end and the next offer")


def custody(write: str, old: Register, new: Register, word: int) -> int:
    """The tokens that an end holds after a write; those in the register's slot and inbox are not among them.

    A register that is formatted loses what it held: what lay in the inbox is saved, what is in doubt is not this end's.
    """
    match write:
        case "offer" | "accept_give":
            return word & ~_bit(new.slot)
        case "confirm_returned":
            return word | _bit(old.slot)
        case "consume" | "format":
            return word | _bit(old.inbox)
        case _:
            return word


def _bit(payload: object) -> int:
    return 0 if payload is None else 1 << int.from_bytes(payload, "big")  # type: ignore[arg-type]


class Trader(Application):
    """One end's application: *opens* rounds until *rounds* of them have ended."""

    def __init__(self, world: World, params: Any, draw: random.Random, *, opens: bool) -> None:
        self._world = world
        self._params = params
        self._draw = draw
        self._opens = opens
        self._consuming = False

    def _held(self, endpoint: Endpoint) -> bytes | None:
        word = endpoint.word
        for queued in endpoint.queued:
            word &= ~_bit(queued)
        return token((word & -word).bit_length() - 1) if word else None

    def answer(self, endpoint: Endpoint, payload: bytes | None) -> Answer:
        """Take it, give, reject or put off, as the figures say."""
        if self._happens(self._params.busy):
            return Answer("busy")
        if self._happens(self._params.reject):
            return Answer("reject")
        mine = self._held(endpoint) if self._params.answer == "swap" else None
        return ACCEPT if mine is None else Answer("give", mine)

    def custody(self, write: str, old: Register, new: Register, word: int) -> int:
        """See `custody`."""
        return custody(write, old, new, word)

    def ready(self, endpoint: Endpoint) -> None:
        """Open the next round."""
        if not self._opens or endpoint.register.round >= self._params.rounds:
            return
        if self._params.pause:
            self._later(self._params.pause, lambda: self._offer(endpoint))
        else:
            self._offer(endpoint)

    def _offer(self, endpoint: Endpoint) -> None:
        if endpoint.register.round < self._params.rounds and not endpoint.queued:
            endpoint.offer(self._held(endpoint))

    def settled(self, endpoint: Endpoint) -> None:
        """A write is done: take what came, or wish the offer back."""
        if endpoint.register.inbox is not None and not self._consuming:
            if self._params.consume:
                self._consuming = True
                self._later(self._params.consume, lambda: self._consume(endpoint))
            else:
                endpoint.consume()
        elif endpoint.state is State.OFFERED and not endpoint.volatile.cancel and self._happens(self._params.cancel):
            endpoint.cancel()

    def _consume(self, endpoint: Endpoint) -> None:
        self._consuming = False
        if endpoint.register.inbox is not None and endpoint.state is not State.WRITING:
            endpoint.consume()  # refused where the device is down: tried again as it boots

    def _happens(self, chance: float) -> bool:
        return bool(chance) and self._draw.random() < chance

    def _later(self, delay_ps: int, action: Callable[[], None]) -> None:
        self._world.env.timeout(delay_ps).callbacks.append(lambda _: action())


class Transfers(LinkWorkload, kind="transfers"):
    """The rounds of every link that takes part."""

    Params = TransfersParams

    def __init__(self, world: World, links: Mapping[str, BilateralLink], params: Any) -> None:
        self.world = world
        self.params = params
        self.over = {name: links[name] for name in params.over or links}
        self.others = [link for name, link in links.items() if name not in self.over]

    def start(self) -> None:
        """Give every end its tokens, and boot."""
        each = self.params.tokens
        for name, link in self.over.items():
            words = {link.a: (1 << each) - 1, link.b: ((1 << each) - 1) << each}
            link.start(
                {
                    end: Trader(
                        self.world, self.params, self.world.stream("transfers", name, end),
                        opens=self.params.offer in ("both", side),
                    )
                    for side, end in (("a", link.a), ("b", link.b))
                },
                words,
            )  # fmt: skip
            for end, word in words.items():
                self.world.record("tokens_issued", f"{name}@{end}", detail=f"tokens={word:x}")
        for link in self.others:
            link.start()

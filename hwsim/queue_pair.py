"""A queue pair: what stands between an initiator and a memory that it reaches by RDMA, and how it breaks.

Work that was posted completes in order, or with an error.  While its route carries nothing the transport tries
again; after `retry_limit` without an answer, or once either end is gone, the queue pair is in error: all that is
outstanding completes with a flush error, and the initiator cannot tell whether the responder executed a write,
did not, or holds a part of it.  Nothing goes on over it: whoever wants to write makes a new one (`connect` of its
NIC) and registers the memory again where a registration was lost (`registration`, at either end).

A process crash and a reset of its NIC destroy a queue pair; a reset of either NIC or a crash of the memory's
device loses the registrations there (a reset of a GPU those of its memory).

Source: InfiniBand Architecture Specification, volume 1, sections 10.3.1 (states of a queue pair), 9.9 (retries)
and 10.8 (a queue pair's outstanding work in error); ibv_modify_qp(3), `timeout` and `retry_cnt`.

Not modelled: one queue pair a process (all of a host's to one memory share route and fate, and so one stands for
them); the depth of queues; receiver-not-ready; path migration; keep-alive (an idle one notices nothing).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from hwsim.domain import World
    from hwsim.link import EthernetLink


class Work(Protocol):
    """A work request that was posted."""

    def flush(self, why: str) -> None:
        """It completes with an error; what the responder has of it, it has."""


class Registration:
    """A memory region as one NIC knows it: keys that a reset loses and that take time to get again."""

    def __init__(self, takes_ps: int) -> None:
        self.takes_ps = takes_ps
        self.valid = True


class QueuePair:
    """One connection of *initiator* to *memory* over *links*; it is there, and its regions registered, at the start.

    `connect_ps`: to make a new one.  `retry_limit_ps`: how long work may stay without an answer; None: for ever.
    `own` is the region at the initiator, `remote` the one at the memory; whatever takes one of the tokens
    `dies_with` destroys the queue pair.
    """

    def __init__(self, world: World, initiator: str, memory: str, *, own: Registration, remote: Registration,
                 links: Iterable[EthernetLink] = (), dies_with: Iterable[str] = (), connect_ps: int = 0,
                 retry_limit_ps: int | None = None) -> None:
        self.world = world
        self.initiator = initiator
        self.memory = memory
        self.own = own
        self.remote = remote
        self.connected = True
        self._links = tuple(dict.fromkeys(links))
        self._connect_ps = connect_ps
        self._retry_limit_ps = retry_limit_ps
        self._outstanding: dict[Work, None] = {}
        self._unsent: dict[Work, Callable[[], None]] = {}  # until the queue pair is made
        self._unanswered: dict[Work, Callable[[], None]] = {}  # until the route carries again
        self._ready_at = 0  # when the queue pair that is being made is there
        self._life = 0  # of timers: those of another life are stale
        self._silent_since: int | None = None
        for link in self._links:
            link.on_change.append(self._route_changed)
        needs = frozenset(dies_with)
        world.holdings.on_strike.append(lambda takes: self.close() if takes & needs else None)

    @property
    def carries(self) -> bool:
        """Whether bytes and answers get through."""
        return all(link.carries for link in self._links)

    def post(self, work: Work, send: Callable[[], None]) -> None:
        """Call *send* once there is a queue pair: now, or after the time that a new one takes."""
        self._outstanding[work] = None
        now = self._now()
        if not self.connected:
            self.connected = True
            lost = [region for region in (self.own, self.remote) if not region.valid]
            self._ready_at = now + self._connect_ps + sum(region.takes_ps for region in lost)
            for region in lost:
                region.valid = True
        if now < self._ready_at:
            self._unsent[work] = send
            self._later(self._ready_at - now, self._made)
        else:
            send()
        self._watch()

    def answer(self, work: Work, then: Callable[[], None]) -> None:
        """The responder answers: call *then* when the answer is here, at once while the route carries."""
        if work not in self._outstanding:
            return
        if self.carries:
            del self._outstanding[work]
            then()
        else:
            self._unanswered[work] = then

    def withdraw(self, work: Work) -> None:
        """Nobody waits for *work* any more."""
        self._outstanding.pop(work, None)
        self._unsent.pop(work, None)
        self._unanswered.pop(work, None)
        if not self._outstanding:
            self._silent_since = None

    def close(self) -> None:
        """Its process is gone: so are the queue pair and the process's own registration."""
        self.own.valid = False
        self._end()

    def fail(self, why: str) -> None:
        """It is in error: all outstanding work completes with one."""
        self.world.record("disconnected", self.initiator, peer=self.memory, detail=why)
        for work in self._end():
            work.flush(why)

    def _end(self) -> list[Work]:
        self.connected = False
        self._life += 1
        self._ready_at = 0
        self._silent_since = None
        outstanding = list(self._outstanding)
        for kept in (self._outstanding, self._unsent, self._unanswered):
            kept.clear()
        return outstanding

    def _now(self) -> int:
        return self.world.env.now  # type: ignore[return-value]  # SimPy would admit a float, this simulation has none

    def _later(self, delay_ps: int, action: Callable[[], None]) -> None:
        life = self._life
        self.world.env.timeout(delay_ps).callbacks.append(lambda _: action() if life == self._life else None)

    def _made(self) -> None:
        unsent, self._unsent = self._unsent, {}
        for send in unsent.values():
            send()

    def _route_changed(self) -> None:
        if not self.carries:
            self._watch()
            return
        self._silent_since = None
        unanswered, self._unanswered = self._unanswered, {}
        for work, then in unanswered.items():
            self.answer(work, then)

    def _watch(self) -> None:
        """Count the time without an answer, while something is outstanding and the route carries nothing."""
        if self._retry_limit_ps is None or self.carries or not self._outstanding or self._silent_since is not None:
            return
        since = self._silent_since = self._now()

        def due() -> None:
            if self._silent_since == since and self._outstanding:
                self.fail("no answer within the retry limit")

        self._later(self._retry_limit_ps, due)

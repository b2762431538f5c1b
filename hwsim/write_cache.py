"""A drive's write cache as a fluid tank: it fills at the rate of the writes and drains at the rate of the media.

While it is not full, writes go at the interface's rate; once it is full, at the rate at which it
drains.  Bytes drain in the order in which they came in, as far as *time* goes; which blocks are on
the media at a given instant is nobody's to say, and the drive model says so (see devices/nvme.py).
Writes that go past the cache to the media take their share of the drain, so they fill the tank as
the others do.

Source: NVM Command Set specification 1.0, section 2.1.4.2 (a volatile write cache), for the idea;
the fluid figures are a model of ours.

Not modelled: pSLC caches that are folded later; a drain that slows down under reads.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import simpy

    from hwsim.flow import FlowNetwork, Pipe

_BYTE_PS = 8e12
_NEARLY = 1 - 1e-9  # rates are sums of floats
_DREGS = 0.5  # bytes: less than that is nothing


class WriteCache:
    """The tank behind one write pipe, whose capacity it sets.  Sizes in bytes, rates in bits per second."""

    def __init__(self, env: simpy.Environment, flows: FlowNetwork, pipe: Pipe, size_bytes: int, drain_bps: int) -> None:
        self.env = env
        self.size_bytes = size_bytes
        self.drain_bps = drain_bps
        self.throttled = False
        self._flows = flows
        self._pipe = pipe
        self._burst_bps = pipe.capacity_bps
        self._serving = True
        self._rate_bps = 0.0
        self._level = 0.0
        self._since = 0
        self._version = 0
        self._waiting: list[Callable[[], None]] = []
        pipe.on_rate.append(self._rate_changed)

    def level_bytes(self) -> float:
        """How much lies in it now."""
        self._advance()
        return self._level

    def drain_time_ps(self) -> int:
        """How long what lies in it now needs to drain."""
        return -int(-self.level_bytes() * _BYTE_PS // self.drain_bps)

    def when_empty(self, call: Callable[[], None]) -> None:
        """Call *call* once, when nothing lies in it: now, or as soon as that is true."""
        if self.level_bytes() < _DREGS:
            call()
        else:
            self._waiting.append(call)
            self._expect()

    def empty(self) -> None:
        """What lay in it is gone, and nobody waits for it any more."""
        self._advance()
        self._level = 0.0
        self._waiting.clear()
        self._throttle(False)
        self._expect()

    def serve(self, serving: bool) -> None:
        """Let the pipe carry nothing while the drive does not serve; what lies in the tank drains meanwhile."""
        self._advance()
        self._serving = serving
        self._set_capacity()
        self._expect()

    def limit(self, burst_bps: int) -> None:
        """From now on the interface takes no more than this."""
        self._advance()
        self._burst_bps = max(burst_bps, 1)
        self._set_capacity()
        self._expect()

    def _advance(self) -> None:
        now = int(self.env.now)
        elapsed = now - self._since
        if elapsed:
            gained = (self._rate_bps - self.drain_bps) * elapsed / _BYTE_PS
            self._level = min(max(0.0, self._level + gained), float(self.size_bytes))
            self._since = now

    def _rate_changed(self, rate_bps: float) -> None:
        self._advance()
        self._rate_bps = rate_bps
        if rate_bps < self.drain_bps * _NEARLY:
            self._throttle(False)
        self._expect()

    def _expect(self) -> None:
        """Wake up when it will be full, or empty if somebody waits for that, if the rates stay as they are."""
        self._version += 1
        if self.throttled:  # what it takes is what drains, until the rate falls below that
            return
        filling, least = self._rate_bps - self.drain_bps, self.drain_bps * (1 - _NEARLY)
        if filling > least:
            self._wake(self.size_bytes - self._level, filling, self._full)
        elif filling < -least and self._waiting:
            self._wake(self._level, -filling, self._emptied)

    def _wake(self, left_bytes: float, rate_bps: float, call: Callable[[int], None]) -> None:
        version = self._version
        wait = -int(-left_bytes * _BYTE_PS // rate_bps)
        self.env.timeout(max(wait, 0)).callbacks.append(lambda _: call(version))

    def _emptied(self, version: int) -> None:
        if version == self._version:
            self._advance()
            self._level = 0.0
            waiting, self._waiting = self._waiting, []
            for call in waiting:
                call()

    def _full(self, version: int) -> None:
        if version == self._version:
            self._advance()
            self._level = float(self.size_bytes)
            self._throttle(True)

    def _throttle(self, full: bool) -> None:
        if full is not self.throttled:
            self.throttled = full
            self._set_capacity()

    def _set_capacity(self) -> None:
        capacity = min(self.drain_bps, self._burst_bps) if self.throttled else self._burst_bps
        self._flows.set_capacity(self._pipe, capacity if self._serving else 0)

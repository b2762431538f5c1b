"""A drive's write cache as a fluid tank: it fills at the rate of the writes and drains at the rate of the media.

While it is not full, writes go at the interface's rate; once it is full, at the rate at which it
drains.  Bytes drain in the order in which they came in, as far as *time* goes; which blocks are on
the media at a given instant is nobody's to say, and the drive model says so (see devices/nvme.py).

Source: NVM Command Set specification 1.0, section 2.1.4.2 (a volatile write cache), for the idea;
the fluid figures are a model of ours.

Not modelled: pSLC caches that are folded later; a drain that slows down under reads.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import simpy

    from hwsim.flow import FlowNetwork, Pipe

_BYTE_PS = 8e12
_NEARLY = 1 - 1e-9  # rates are sums of floats


class WriteCache:
    """The tank behind one write pipe.  Sizes in bytes, rates in bits per second."""

    def __init__(self, env: simpy.Environment, flows: FlowNetwork, pipe: Pipe, size_bytes: int, drain_bps: int) -> None:
        self.env = env
        self.size_bytes = size_bytes
        self.drain_bps = drain_bps
        self._flows = flows
        self._pipe = pipe
        self._burst_bps = pipe.capacity_bps
        self._rate_bps = 0.0
        self._entered = 0.0
        self._level = 0.0
        self._since = 0
        self._version = 0
        pipe.on_rate.append(self._rate_changed)

    def level_bytes(self) -> float:
        """How much lies in it now."""
        self._advance()
        return self._level

    def drain_time_ps(self) -> int:
        """How long what lies in it now needs to drain."""
        return -int(-self.level_bytes() * _BYTE_PS // self.drain_bps)

    def empty(self) -> None:
        """What lay in it is gone, or on the media."""
        self._advance()
        self._level = 0.0
        self._throttle(False)
        self._expect_full()

    def _advance(self) -> None:
        now = int(self.env.now)
        elapsed = now - self._since
        if elapsed:
            gained = self._rate_bps * elapsed / _BYTE_PS
            self._entered += gained
            self._level = min(
                max(0.0, self._level + gained - self.drain_bps * elapsed / _BYTE_PS), float(self.size_bytes)
            )
            self._since = now

    def _rate_changed(self, rate_bps: float) -> None:
        self._advance()
        self._rate_bps = rate_bps
        if rate_bps < self.drain_bps * _NEARLY:
            self._throttle(False)
        self._expect_full()

    def _expect_full(self) -> None:
        """Wake up when it will be full, if the rates stay as they are."""
        self._version += 1
        filling = self._rate_bps - self.drain_bps
        if filling <= self.drain_bps * (1 - _NEARLY):
            return
        version = self._version
        wait = -int(-(self.size_bytes - self._level) * _BYTE_PS // filling)
        self.env.timeout(max(wait, 0)).callbacks.append(lambda _: self._full(version))

    def _full(self, version: int) -> None:
        if version == self._version:
            self._advance()
            self._level = float(self.size_bytes)
            self._throttle(True)

    def _throttle(self, full: bool) -> None:
        if self._pipe.capacity_bps:  # 0: the drive does not serve, and whoever stopped it sets the capacity again
            self._flows.set_capacity(self._pipe, min(self.drain_bps, self._burst_bps) if full else self._burst_bps)


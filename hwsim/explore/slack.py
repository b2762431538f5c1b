"""How much later a strike might have come without changing the order of what was due.

A strike that ends no operation moves only its own times when it comes later: at which the job learns of it and is
torn down, at which what it hit serves again, and what follows from these.  All else stays where it was.  So a delay
shorter than every distance between two times at which something happens, from the tear-down until recovery asks,
changes no order, and nothing but the time at which recovery asks.

A frame that has begun to leave a device, and is lost if the device dies before its last bit has left, allows no delay;
nor does anything else that is due at the very time of the tear-down.

Not modelled: what came back before the tear-down and was used (whoever asks sees to that); what is due, by chance, at
the very time of something that follows from the tear-down.
"""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import simpy

_NO_END = 10**18  # ps: nothing else is due
_DETECTING = "Process._resume"  # the recovery, which waits until the job learns of the crash


class Slack:
    """Listens to one execution from its only strike until recovery asks; `ps` is then what there is."""

    def __init__(self) -> None:
        self.ps = 0
        self._listens = False
        self._scheduled = -1  # events up to this serial were there before the strike
        self._first = 0  # time of the tear-down
        self._own: set[int] = set()  # times that move with the strike
        self._own_events: set[int] = set()  # serials
        self._times: list[int] = []  # of events, since the strike
        self._tied = False

    def before_strike(self, env: simpy.Environment) -> None:
        """The strike comes now."""
        self._scheduled = max((serial for _, _, serial, _ in env._queue), default=-1)

    def after_strike(self, env: simpy.Environment, detect_ps: int, *, leaving: bool) -> None:
        """It has struck, and its job will learn of it; *leaving*: frames were on their way out of what it hit."""
        now = int(env.now)
        new = [(int(at), serial) for at, _, serial, _ in env._queue if serial > self._scheduled and at > now]
        self._own_events = {serial for _, serial in new}
        self._first = now + detect_ps
        self._own = {self._first, *(at for at, _ in new)}
        self._listens = not leaving

    def stop(self) -> None:
        """There was another strike: nothing can be said."""
        self._listens = False

    def step(self, env: simpy.Environment) -> None:
        """The next event is about to happen."""
        if not self._listens:
            return
        now = int(env.peek())
        if not self._times or self._times[-1] != now:
            self._times.append(now)
            if now in self._own and now >= self._first:
                self._tied |= any(self._is_other(entry) for entry in env._queue if entry[0] == now)

    def _is_other(self, entry: tuple[float, int, int, simpy.Event]) -> bool:
        _, _, serial, event = entry
        return serial not in self._own_events and any(
            getattr(callback, "__qualname__", "") != _DETECTING for callback in event.callbacks or ()
        )

    def asked(self, env: simpy.Environment) -> None:
        """Recovery asks."""
        if not self._listens:
            return
        self._listens = False
        now = int(env.now)
        if self._tied:
            return
        later = min((int(at) for at, _, _, _ in env._queue if at > now), default=now + _NO_END)
        times = [*(at for at in self._times if at >= self._first), later]
        self.ps = min((after - before for before, after in pairwise(times)), default=1) - 1

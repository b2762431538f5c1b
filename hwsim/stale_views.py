"""What the clients of a shared store still believe of a record that has been replaced.

A client may answer exists(), stat() or a listing from what it knows already.  So a replaced record has, beside what
the store holds, a *view* for every other client: a place in that client's kernel with the old content, there until
the lag has passed since the replacement.  A reader on that client finds the view as long as it is there, and the
store's own answer after.  The crash model needs no more: a client that was rebooted believes nothing any more.

Source: RFC 8881, section 10.6 (attribute caching of NFS clients, bounded by time); RFC 1813, section 4.11; Amazon S3
user guide, consistency model, for what a listing was allowed to do before December 2020.

Not modelled: a client that did not know the old record (each is taken to have looked at it just before it was
replaced, so the lag is all of its time); deletions of the record (nobody reads it meanwhile).
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
from typing import TYPE_CHECKING

from hwsim.contents import whole
from hwsim.trace import Part

if TYPE_CHECKING:
    from hwsim.distributions import Distribution
    from hwsim.domain import PersistenceDomain


class StaleViews:
    """The views that *hosts* have of the record *part* on *store*; each replacement reaches each of them *lag* later.

    `parts`: host -> its view, a part of the trace.
    """

    def __init__(
        self, store: PersistenceDomain, lag: Distribution, part: str, slot: str, hosts: Iterable[str]
    ) -> None:
        self._store = store
        self._world = world = store.world
        self._lag = lag
        self._slot = slot
        self.parts: dict[str, Part] = {}
        for host in hosts:
            place = store.add_place(f"view.{host}", [f"{host}:kernel", f"{host}:power"])
            view = Part(f"{part}@{host}", -1, 0, host, store.name, (place,), 0)
            world.holdings.stacks[view.name] = view.stack
            self.parts[host] = view
        self._lags = {host: world.stream("lag", store.name, host) for host in self.parts}
        self._told = [0]  # what the record has named, oldest first; 0 where there is none
        self._open = False  # a replacement is under way
        self._believes = dict.fromkeys(self.parts, 0)  # host -> how far in that list its client has come

    def replacing(self) -> None:
        """The record is about to be replaced: whatever becomes of that, the clients take the old one for current."""
        self._open = True
        for host in self.parts:
            if not self._held(host):  # it knew the newest one, or was rebooted and has asked since
                self._believes[host] = len(self._told) - 1
            self._show(host)

    def settled(self, epoch: int | None) -> None:
        """The record now names *epoch* (None: nobody can say), whatever became of replacing it.

        Each client learns of it in its own time.
        """
        if not self._open:
            return
        self._open = False
        self._told.append(self._told[-1] if epoch is None else epoch)
        newest = len(self._told) - 1
        for host in self.parts:
            lag = self._lag.draw(self._lags[host])
            self._world.env.timeout(lag).callbacks.append(partial(self._learns, host, newest))

    def _learns(self, host: str, version: int, _: object) -> None:
        if version <= self._believes[host]:
            return  # it has learnt of a newer one already
        self._believes[host] = version
        if self._held(host):  # else it was rebooted meanwhile, and asks anew
            if version == len(self._told) - 1:
                self._put("erased", host, None)
            else:
                self._show(host)

    def _held(self, host: str) -> bool:
        view = self.parts[host]
        return self._world.holdings.at(view.stack[0], view.name, self._slot) is not None

    def _show(self, host: str) -> None:
        self._put("stale", host, self._told[self._believes[host]])

    def _put(self, event: str, host: str, epoch: int | None) -> None:
        view = self.parts[host]
        contents = None if epoch is None else whole(epoch)
        holdings, place = self._world.holdings, view.stack[0]
        if holdings.at(place, view.name, self._slot) != contents:
            holdings.put(event, self._store.name, place, view.name, self._slot, contents, epoch=epoch)

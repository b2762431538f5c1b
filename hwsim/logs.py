"""Logs that participants of a protocol force before they say what is in them.

Each kind of entry is a record of its own, of which every entry lies in a slot with its checkpoint's number: appended,
never overwritten.

Source: Gray and Reuter, Transaction Processing, 1993, chapter 9 (forcing a log, truncating it).

Not modelled: the log's other entries; group commit.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from hwsim import quantities
from hwsim.contents import whole
from hwsim.protocol import domain_of
from hwsim.quantities import Delay, Size
from hwsim.trace import Part

if TYPE_CHECKING:
    from hwsim.protocol import Job, Node, Placed
    from hwsim.saving import Saver

HEADER = 0  # what a log holds that was never written to


class LogRecord(quantities.Params):
    """One entry of a log."""

    size: Size = Field(default=512, gt=0, description="size of one entry")
    sync: Literal["none", "flush", "fua", "completion"] | None = Field(
        default=None, description="what its writer waits for; default: what its first shard does on the same device"
    )
    persist: Delay | None = Field(
        default=None, description="delay until an entry is durable on an abstract device; default: at once"
    )


class Log:
    """One participant's log of one kind of entry, beside its shards: entries are appended, never overwritten."""

    def __init__(self, job: Job, params: Any, saver: Saver, name: str, node: Node) -> None:
        self.job = job
        self.name = name
        self._saver = saver
        self._holdings = job.world.holdings
        self._persist = params.log.persist
        self._placed = job.place_record(name, None, params.log.size, params.log.sync, node)
        self._abstract = not self._placed.writer
        self._delays = job.world.stream(name)
        self._entries: list[int] = []  # written and not dropped, oldest first, as its writer remembers
        stack = self._placed.store.stack_for(self._placed.into)
        self._rests = stack[-1]
        self.part = Part(name, -1, 0, node.name, self._placed.device, stack, self._placed.size_bytes)

    def append(self, epoch: int, then: Callable[[], None], given_up: Callable[[str], None]) -> None:
        """Force an entry: *then* once it is durable, or *given_up* with the errno."""
        self._entries.append(epoch)
        if self._abstract:
            delay = self._persist.draw(self._delays) if self._persist is not None else 0
            self.job.later(delay, partial(self._persisted, epoch, then))
            return

        def failed(_placed: Placed, _epoch: int, errno: str) -> None:
            self.erase(epoch)
            given_up(errno)

        self._saver.save(self._placed, str(epoch), epoch, lambda _placed, _epoch: then(), failed, from_host=True)

    def _persisted(self, epoch: int, then: Callable[[], None]) -> None:
        if domain_of(self._placed.store).up:
            self.put(epoch)
            then()

    def format(self) -> None:
        """Write the header of a log that has none: it tells one that says nothing from one that was lost."""
        if self._holdings.read(self.name, str(HEADER)) != whole(HEADER):
            self.put(HEADER)

    def put(self, epoch: int) -> None:
        """An entry that is there as soon as it is asked for: what is written before anything goes on."""
        placed = self._placed
        self._holdings.put("persisted", placed.device, self._rests, self.name, str(epoch), whole(epoch), epoch=epoch)

    def erase(self, epoch: int) -> None:
        """Take an entry back."""
        if epoch in self._entries:
            self._entries.remove(epoch)
        self._holdings.erase(self._placed.device, self.name, str(epoch))

    def truncate(self, keep: int) -> None:
        """Drop all entries but the header and the *keep* newest."""
        for epoch in self._entries[:-keep]:
            self.erase(epoch)

    def reset(self, epoch: int) -> None:
        """Let *epoch* be the newest entry: a recovery decided so."""
        lies = {int(slot): contents for slot, contents in self._holdings.slots(self.name).items()}
        for entry, contents in lies.items():
            if entry > epoch or contents != whole(entry):
                self.erase(entry)
        if epoch and lies.get(epoch) != whole(epoch):
            self.put(epoch)
        self._entries = sorted({entry for entry in lies if HEADER < entry < epoch} | ({epoch} if epoch else set()))

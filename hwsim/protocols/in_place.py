"""In place: every part replaces its own shard whenever it can, and nobody waits for anybody.

Guarantees: nothing across shards.  With `replace: rename` a single shard is never torn, because the new
file takes the old one's name only once its sync holds; with `overwrite` it is, for as long as the write
lasts.  Blocks: never; a shard that cannot be written keeps nobody else from going on.  Messages: none.

A save that fails is the matter of `on_error` alone (see `hwsim.saving`): it is tried again, given up, or
taken for saved.  Given up, the checkpoint is abandoned, and what the others wrote stays where it is: over the
checkpoint before it, unless a file whose save was given up is a new one (`rename`), which is deleted.  `truncate`
empties a file before it is written, as open(path, "wb") does, so an error between the two leaves nothing of either.

What it calls committed is what its users believe: every write returned.

Source: what a loop over ranks does that calls torch.save(state, path) with one path a rank.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import Field

from hwsim.protocol import Job, Placed, Protocol, mutation
from hwsim.saving import ErrorParams, Saver

_SLOT = "0"  # the name that every checkpoint of a part is written under


class InPlaceParams(ErrorParams):
    """Parameters of `kind: in_place`."""

    kind: Literal["in_place"] = Field(default="in_place", description="no coordination at all")
    replace: Literal["overwrite", "truncate", "rename"] = Field(
        default="overwrite",
        description="overwrite the old shard where it lies, truncate the old file and then write it, or write a new "
        "file and rename it over the old one",
    )


class InPlace(Protocol, kind="in_place"):
    """Every part replaces its own shard; nobody waits for anybody."""

    Params = InPlaceParams
    rule: ClassVar[str] = "in_place"

    def __init__(self, job: Job, params: Any) -> None:
        super().__init__(job, params)
        self._parts = len(job.parts)
        self._left: dict[int, int] = {}  # checkpoint -> parts not yet written
        self._renames = params.replace == "rename"
        for placed in job.parts:
            placed.truncates = params.replace == "truncate"
        self._saver = Saver(job, params)
        self._errnos: dict[int, str] = {}  # checkpoints of which a save was given up, and why
        self._files: dict[str, list[int]] = {}  # part -> the checkpoints of its files, named or not, as they were begun
        self._returned = self._renamed if self._renames else self._written

    def rule_params(self) -> Mapping[str, Any]:
        return {"slots": "fresh" if self._renames else "in_place"}

    def begin(self, epoch: int) -> None:
        self._left[epoch] = self._parts

    def save(self, placed: Placed, epoch: int, *, from_host: bool = False) -> None:
        if self._renames:
            self._files.setdefault(placed.name, []).append(epoch)
            self._saver.save(
                placed, str(epoch), epoch, self._returned, self._given_up, from_host=from_host,
                wanted=lambda epoch: epoch in self._files[placed.name],
            )  # fmt: skip
        elif placed.quick is not None:
            placed.quick(_SLOT, epoch, self.job, self._returned, placed)
        else:
            self._saver.save(placed, _SLOT, epoch, self._returned, self._given_up, from_host=from_host)

    def _renamed(self, placed: Placed, epoch: int) -> None:
        """The new file is synced: it takes the name of every older one, and with it whatever they held."""
        files = self._files[placed.name]
        for older in [file for file in files if file < epoch]:
            self.world.holdings.erase(placed.device, placed.name, str(older))
        self._files[placed.name] = [file for file in files if file >= epoch]
        self._written(placed, epoch)

    def _written(self, placed: Placed, epoch: int) -> None:
        job = self.job
        if placed.quick is None or job.on_saved is not None:
            job.saved(placed, epoch)
        left = self._left[epoch] - 1
        if left:
            self._left[epoch] = left
        else:
            self._end(epoch)

    def _given_up(self, placed: Placed, epoch: int, errno: str) -> None:
        """The error reached the rank, which goes on without this checkpoint."""
        if self._renames:
            self._files[placed.name] = [file for file in self._files[placed.name] if file != epoch]
            self.world.holdings.erase(placed.device, placed.name, str(epoch))
        self._errnos.setdefault(epoch, errno)
        self.job.not_saved(placed, epoch)
        self._left[epoch] -= 1
        if not self._left[epoch]:
            self._end(epoch)

    def _end(self, epoch: int) -> None:
        del self._left[epoch]
        errno = self._errnos.pop(epoch, None)
        if errno is None:
            self.job.claim("epoch_committed", epoch)
        else:
            self.job.claim("checkpoint_abandoned", epoch, detail=errno)
        self.job.finished(epoch)

    def tear_down(self) -> None:
        self._left.clear()
        self._errnos.clear()

    def kept(self) -> object:
        return sorted((part, *files) for part, files in self._files.items())


# mutations: each leaves one step or wait out


@mutation(InPlace, "not_flushed", "a save returns before it is flushed",
          "a volatile cache that keeps what it completed")  # fmt: skip
class _NotFlushed(InPlace):
    def __init__(self, job: Job, params: Any) -> None:
        super().__init__(job, params)
        job.forgo_flushes(*job.parts)


@mutation(InPlace, "ranks_not_awaited", "the checkpoint is called committed when the first rank's save has returned",
          "several ranks")  # fmt: skip
class _RanksNotAwaited(InPlace):
    def _written(self, placed: Placed, epoch: int) -> None:
        if self._left[epoch] == self._parts:
            self.job.claim("epoch_committed", epoch)
        super()._written(placed, epoch)

    def _end(self, epoch: int) -> None:
        del self._left[epoch]
        self._errnos.pop(epoch, None)
        self.job.finished(epoch)


@mutation(InPlace, "renamed_before_sync", "a new file takes the name of the old one before it is synced",
          "protocol.replace: rename")  # fmt: skip
class _RenamedBeforeSync(InPlace):
    def save(self, placed: Placed, epoch: int, *, from_host: bool = False) -> None:
        super().save(placed, epoch, from_host=from_host)
        if self._renames:
            for older in [file for file in self._files[placed.name] if file < epoch]:
                self.world.holdings.erase(placed.device, placed.name, str(older))
            self._files[placed.name] = [epoch]

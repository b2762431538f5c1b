"""What a writer does when a save fails and its device lives: part of a protocol's definition, as its order of steps is.

A save is a write and then a sync.  The writer is told which of the two failed, and with what.

- `retry` repeats the call that failed.  After a failed write that is a write.  After a failed fsync it is an fsync, and
  one of a file in the page cache then returns 0 without a byte written: the pages count as clean since the first.
- `rewrite` writes everything again, and then syncs it.
- `abandon` gives up; so do the two above after so many `retries`.
- `publish_anyway` takes the error for success (it was logged; or close() was not looked at).

Source: PostgreSQL's `data_sync_retry` and the fsync errors of 2018 that led to it (commit "PANIC on fsync() failure",
19 November 2018); Rebello et al., Can Applications Recover from fsync Failures?, USENIX ATC 2020, for what writers do.

Not modelled: an error that ends the process (strike it with `process_crash`); errors of deletes and renames.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from hwsim.quantities import Duration, Params

if TYPE_CHECKING:
    from hwsim.domain import IOFailed
    from hwsim.protocol import Job, Placed

    Saved = Callable[[Placed, int], None]
    GivenUp = Callable[[Placed, int, str], None]
    Wanted = Callable[[int], bool]


class ErrorParams(Params):
    """Parameters that every protocol has for saves that fail while their device lives."""

    on_error: Literal["retry", "rewrite", "abandon", "publish_anyway"] = Field(
        default="abandon",
        description="when a save fails: retry repeats the call that failed (a failed fsync: only the fsync), rewrite "
        "writes everything again, abandon gives the checkpoint up, publish_anyway takes the error for success",
    )
    retries: int = Field(default=3, ge=0, description="of one save, then it is given up")
    retry_after: Duration = Field(default=10**12, description="from a failure to the next attempt; default: 1s")


class Saver:
    """Saves for a protocol, with its way of taking errors."""

    def __init__(self, job: Job, params: Any) -> None:
        self.job = job
        self._params = params

    def save(
        self,
        placed: Placed,
        slot: str,
        epoch: int,
        saved: Saved,
        given_up: GivenUp,
        *,
        from_host: bool = False,
        wanted: Wanted | None = None,
    ) -> None:
        """Write *placed* under *slot*; then *saved* is called, or *given_up* with the errno; neither after a crash.

        *wanted*: whether the checkpoint still is, asked before it is tried again; if not, it is given up.
        """
        if placed.quick is not None:  # nothing of it fails
            placed.quick(slot, epoch, self.job, saved, placed)
            return
        failed = partial(self._failed, placed, slot, epoch, saved, given_up, from_host, wanted, None)
        self.job.write(placed, slot, epoch, saved, from_host=from_host, failed=failed)

    def _failed(
        self, placed: Placed, slot: str, epoch: int, saved: Saved, given_up: GivenUp, from_host: bool,
        wanted: Wanted | None, left: int | None, error: IOFailed,
    ) -> None:  # fmt: skip
        """One attempt failed; *left*: how many more there may be, None before the first was counted."""
        job, params = self.job, self._params
        way = params.on_error
        tries = False
        if way in ("retry", "rewrite"):
            left = (params.retries if left is None else left) - 1
            tries = left >= 0
        said = f"{error.errno}: {way if tries or way == 'publish_anyway' else 'abandon'}"
        job.claim("save_failed", epoch, subject=placed.node.name, detail=said, part=placed.name, peer=placed.device)

        def again() -> None:
            if wanted is not None and not wanted(epoch):
                given_up(placed, epoch, error.errno)
                return
            failed = partial(self._failed, placed, slot, epoch, saved, given_up, from_host, wanted, left)
            synced = way == "retry" and error.during == "sync"
            (job.sync if synced else job.write)(placed, slot, epoch, saved, from_host=from_host, failed=failed)

        if tries:
            job.later(params.retry_after, again)
        elif way == "publish_anyway":
            saved(placed, epoch)
        else:
            given_up(placed, epoch, error.errno)

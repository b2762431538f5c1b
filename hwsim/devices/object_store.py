"""An object store: whole objects put under keys, over a request interface that many clients share.

PUT is atomic.  Until the store has all of a request's bytes the key holds what it held; from then until the reply
it holds the old object or the new one, never a mix; what was acknowledged is durable.  An object above
`part_size` is a multipart upload: its parts are invisible until the client sends CompleteMultipartUpload, and a
client that dies before leaves them behind, invisible, and paid for until somebody aborts the upload (the
event `orphaned`).  A request that the store has whole is carried out, whether or not its client still lives.

A PUT may be conditional: If-None-Match (only where there is nothing) or If-Match (only over what the client last saw);
otherwise it fails with 412 and changes nothing: a compare-and-swap.  There is no rename.  A GET sees the newest object
at once; a listing may lag (`listing_lag`; Amazon S3's has not since December 2020).

Source: Amazon S3 user guide: data consistency model; uploading and copying objects using multipart upload (invisible
until completed, parts kept until aborted); conditional writes (412, If-None-Match, If-Match); best practices
for performance (503 Slow Down).

Not modelled: versions and lifecycles; several regions; the rate of requests a prefix may have; deletes that take time;
single parts that are sent again.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any, Literal

from pydantic import Field

from hwsim.contents import NOTHING, NOTHING_FOR_SURE, Contents, either, surely
from hwsim.domain import IOLost, PersistenceDomain, World
from hwsim.quantities import Delay, Size
from hwsim.shared_store import SharedStore, SharedStoreParams, StoreClient

if TYPE_CHECKING:
    import simpy

    from hwsim.distributions import Distribution
    from hwsim.flow import Flow, Pipe

PRECONDITION_FAILED = "412"  # what a conditional PUT fails with


class ObjectStoreParams(SharedStoreParams):
    """Figures of an object store."""

    kind: Literal["object_store"] = "object_store"
    request: Delay = Field(description="from a request's last byte to the reply, in the store")
    part_size: Size | None = Field(
        default=None, gt=0, description="larger objects are multipart uploads of such parts; none: never"
    )
    listing_lag: Delay | None = Field(
        default=None, description="until a listing shows that an object was put or replaced; none: at once"
    )


class ObjectStore(SharedStore, kind="object_store"):
    """One bucket; `mount` gives a client of it."""

    Params = ObjectStoreParams

    def __init__(
        self, world: World, name: str, params: Any, *, node: str | None = None, host: str | None = None
    ) -> None:
        super().__init__(world, name, params, node=node, host=host)
        self.accepted = self.add_place("accepted", ["power", "objects"])  # requests that are being carried out
        self.objects = self.add_place("objects", ["objects"])
        self.requests = world.stream("request", name)
        self.under_way: dict[_Put, None] = {}
        self.versions: dict[tuple[str, str], int] = {}  # key -> the object there, as conditional PUTs compare it
        self.orphaned_bytes = 0

    def exists(self, part: str, slot: str) -> bool:
        """Whether there is such an object, or an upload of one under way; parts that nobody completes take no room."""
        return super().exists(part, slot) or any(put.key == (part, slot) for put in self.under_way)

    def forget(self, part: str, slot: str) -> None:
        """A delete: a request for the object that is under way is taken to have come before it."""
        super().forget(part, slot)
        self.versions.pop((part, slot), None)
        for put in list(self.under_way):
            if put.key == (part, slot):
                put.deleted()

    def stop(self, crash_kind: str) -> None:
        """The power went: requests that were not carried out are lost, and the crash has settled the others."""
        super().stop(crash_kind)
        for put in list(self.under_way):
            put.lose()
            version = surely(self.world.holdings.read(*put.key))
            if version is not None and version >= 0:
                self.versions[put.key] = version


class ObjectClient(StoreClient):
    """The store as one host reaches it."""

    def __init__(self, store: Any, host: PersistenceDomain, way: Sequence[Pipe], latency_ps: int) -> None:
        super().__init__(store, host, way, latency_ps)
        self._expected: Callable[[], int] | None = None

    @property
    def lag(self) -> Distribution | None:
        """Until another client's listing shows that a record was replaced; None: at once."""
        lag: Distribution | None = self.store.params.listing_lag
        return lag

    def stack_for(self, into: str) -> tuple[str, ...]:
        """What is being carried out, above the objects."""
        return (self.store.accepted, self.store.objects)

    def version(self, part: str, slot: str) -> int:
        """The checkpoint that a GET finds, its ETag so to speak; `NOTHING` where there is no object."""
        found: int = self.store.versions.get((part, slot), NOTHING)
        return found

    def compare_and_swap(self, expected: Callable[[], int]) -> ObjectClient:
        """The same client, whose PUTs fail (412) unless the key holds the checkpoint that *expected* gives then.

        If-Match; or If-None-Match: * where that is `NOTHING`.
        """
        conditional = copy(self)
        conditional._expected = expected
        return conditional

    def write(self, part: str, slot: str, epoch: int, size_bytes: int, *, pipes: Sequence[Pipe] = (),
              sync: str = "completion", into: str = "media", owner: str = "") -> _Put:  # fmt: skip
        """PUT *epoch*; done with the store's reply, whatever *sync* says: what is acknowledged is durable."""
        expected = None if self._expected is None else self._expected()
        return _Put(self, part, slot, epoch, size_bytes, pipes, expected)


ObjectStore.Client = ObjectClient


class _Put:
    """One PUT, or one multipart upload with its Complete."""

    def __init__(
        self, client: ObjectClient, part: str, slot: str, epoch: int, size_bytes: int, pipes: Sequence[Pipe],
        expected: int | None,
    ) -> None:  # fmt: skip
        self.client = client
        self.store = store = client.store
        self.key = (part, slot)
        self.epoch = epoch
        self.size_bytes = size_bytes
        self.done: simpy.Event = store.env.event()
        self._expected = expected
        self._multipart = store.params.part_size is not None and size_bytes > store.params.part_size
        self._live = True  # nothing has ended it yet
        self._has_all = False  # the store: of the request that makes the object visible
        store.under_way[self] = None
        self._flow: Flow = store.world.flows.start((*pipes, *client.pipes), size_bytes)
        assert self._flow.done.callbacks is not None
        self._flow.done.callbacks.append(self._sent)

    def _later(self, delay_ps: int, action: Callable[[], None]) -> None:
        self.store.env.timeout(delay_ps).callbacks.append(lambda _: action() if self._live else None)

    def _sent(self, event: simpy.Event) -> None:
        if not event._ok:
            event.defused = True
            return
        store, latency = self.store, self.client.latency_ps
        if self._multipart:  # the replies to the parts come back before Complete is sent
            self._later(2 * latency + store.late(store.params.request.draw(store.requests)) + latency, self._received)
        else:
            self._later(latency, self._received)

    def _received(self) -> None:
        """The store has all that it needs to make the object visible, and does so, or refuses, before it replies."""
        store = self.store
        self._has_all = True
        contents = either(store.world.holdings.read(*self.key), self.epoch)
        self._put("begun", store.accepted, contents)
        self._put("begun", store.objects, contents)
        self._later(store.late(store.params.request.draw(store.requests)), self._decided)

    def _put(self, event: str, place: str, contents: Contents | None) -> None:
        shown = None if contents == NOTHING_FOR_SURE else contents
        self.store.world.holdings.put(
            event, self.store.name, place, *self.key, shown, epoch=self.epoch, size_bytes=self.size_bytes
        )

    def _decided(self) -> None:
        store, key = self.store, self.key
        store.under_way.pop(self, None)
        errno = store.errno("EIO")
        if errno is None and self._expected not in (None, store.versions.get(key, NOTHING)):
            errno = PRECONDITION_FAILED
        if errno is None:
            store.versions[key] = self.epoch
        others = [put.epoch for put in store.under_way if put.key == key and put._has_all]
        there = either(store.versions.get(key, NOTHING), *others)
        self._put("advanced" if others or errno else "persisted", store.objects, there)
        self._put("advanced" if others else "erased", store.accepted, there if others else NOTHING_FOR_SURE)
        self._later(self.client.latency_ps, self._finish if errno is None else lambda: self._refused(errno))

    def _finish(self) -> None:
        if not self.done.triggered:
            self.done.succeed(self)

    def _refused(self, errno: str) -> None:
        self._orphan()
        if not self.done.triggered:
            self.done.fail(self.store.failed(errno, *self.key, self.epoch))
            self.done.defused = True

    def _end(self) -> None:
        self._live = False
        self.store.under_way.pop(self, None)
        self._flow.cancel()

    def _orphan(self) -> None:
        """Whole parts of an upload that nobody completes stay in the store."""
        if not self._multipart:
            return
        part_bytes: int = self.store.params.part_size
        moved = round(self._flow.moved_bytes())
        left = self.size_bytes if moved >= self.size_bytes else moved // part_bytes * part_bytes
        if left:
            self.store.orphaned_bytes += left
            part, slot = self.key
            self.store.world.record(
                "orphaned", self.store.name, part=part, slot=slot, epoch=self.epoch, size_bytes=left
            )

    def _fail(self) -> None:
        if not self.done.triggered:
            self.done.fail(IOLost(f"{self.store.name}: put of {self.key[0]} lost"))
            self.done.defused = True

    def lose(self) -> None:
        """The store lost its power; what it was carrying out is settled."""
        self._end()
        if not self._has_all:
            self._orphan()
        self._fail()

    def deleted(self) -> None:
        """The object was deleted while this was under way: whatever becomes of it, nobody finds it."""
        self._end()
        self._fail()

    def cancel(self) -> None:
        """The client is gone: what the store has all of it carries out, the rest is never sent."""
        if self._live and not self._has_all:
            self._end()
            self._orphan()
        self._fail()

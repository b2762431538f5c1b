"""What shared file systems and object stores have in common: many clients, one bandwidth, room that can run out.

A store is built once; each host that writes to it does so through a client of its own, which knows the way there.
A flow to the store crosses that way, the client's own pipe and the one of the whole store, so that rates are max-min
fair shares of all three.  What fits (`space`) and what the job may hold of it (`quota`) are counted by file.

Source: POSIX.1-2017, write() (ENOSPC); quotactl(2) and the Lustre Operations Manual, quotas (EDQUOT).

Not modelled: single servers; room that others use; soft limits and inodes; slack of blocks and stripes.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from pydantic import Field

from hwsim.domain import PersistenceDomain, World
from hwsim.file_space import FileSpace
from hwsim.quantities import Params, Rate, Size

if TYPE_CHECKING:
    from hwsim.flow import Pipe


class SharedStoreParams(Params):
    """Figures that every shared store has."""

    write: Rate = Field(gt=0, description="what all of the store takes")
    read: Rate = Field(gt=0, description="what all of the store gives")
    client_write: Rate | None = Field(default=None, gt=0, description="of one client; none: its way there binds it")
    client_read: Rate | None = Field(default=None, gt=0, description="of one client; none: its way there binds it")
    space: Size | None = Field(default=None, gt=0, description="what fits; none: more than anybody writes")
    quota: Size | None = Field(default=None, gt=0, description="what the job may hold; none: no limit")


class SharedStore(PersistenceDomain):
    """A store outside the nodes.  A subclass says what its clients are, and which places hold what they write."""

    CRASHES: ClassVar[Mapping[str, frozenset[str]]] = {
        "power_loss": frozenset({"power"}),
        "throttled": frozenset(),
        "slow": frozenset(),
        "no_space": frozenset(),
        "quota_exceeded": frozenset(),
        "io_error": frozenset(),
    }
    Client: ClassVar[type[StoreClient]]

    def __init__(
        self, world: World, name: str, params: Any, *, node: str | None = None, host: str | None = None
    ) -> None:
        super().__init__(world, name, params, node=node, host=host)
        self.write_pipe: Pipe = world.flows.pipe(f"{name} write", params.write)
        self.read_pipe: Pipe = world.flows.pipe(f"{name} read", params.read)
        self.slowness = 1.0  # how many times later than usual it answers
        self.spaces = {"EDQUOT": FileSpace(self, params.quota), "ENOSPC": FileSpace(self, params.space)}
        self._clients: dict[str, StoreClient] = {}
        self._speed = 1.0

    def mount(self, host: PersistenceDomain, way: Sequence[Pipe], latency_ps: int) -> StoreClient:
        """The store as *host* reaches it, over the pipes of *way*, *latency_ps* there and the same back."""
        if host.name not in self._clients:
            self._clients[host.name] = self.Client(self, host, way, latency_ps)
        return self._clients[host.name]

    def exists(self, part: str, slot: str) -> bool:
        """Whether there is such a file, or one is being written."""
        return self.world.holdings.exists(part, slot)

    def allocate(self, part: str, slot: str, size_bytes: int) -> str | None:
        """Take room for a file, or say which errno its writer gets; a file that does not grow needs none."""
        if not any(space.lacks(part, slot, size_bytes) for space in self.spaces.values()):
            return None
        errno = self.errno("EDQUOT", "ENOSPC")
        taken = []
        for refusal, space in self.spaces.items():
            if errno is None and not space.take(part, slot, size_bytes):
                errno = refusal
            elif errno is None:
                taken.append(space)
        if errno is not None:
            for space in taken:
                space.give_back(part, slot)
        return errno

    def forget(self, part: str, slot: str) -> None:
        """A delete gives the room back."""
        for space in self.spaces.values():
            space.give_back(part, slot)

    def renamed(self, part: str, slot: str, to: str) -> None:
        """The room goes with the file."""
        for space in self.spaces.values():
            space.rename(part, slot, to)

    def slow_down(self, times: float) -> None:
        """It answers *times* as late as before."""
        self.slowness *= times

    def late(self, delay_ps: int) -> int:
        """How long (ps) an answer takes now that usually takes *delay_ps*."""
        return round(delay_ps * self.slowness)

    def throttle(self, factor: float) -> None:
        """The whole store goes at *factor* of its speed; an object store tells its clients so (503 Slow Down)."""
        self._speed *= factor
        if self.up:
            self._carry(self._speed)

    def stop(self, crash_kind: str) -> None:
        """Nothing is carried while it has no power."""
        super().stop(crash_kind)
        self._carry(0)

    def restore(self) -> None:
        """Serve again."""
        self._carry(self._speed)
        super().restore()

    def _carry(self, speed: float) -> None:
        for pipe, rate in ((self.write_pipe, self.params.write), (self.read_pipe, self.params.read)):
            self.world.flows.set_capacity(pipe, max(round(rate * speed), 1) if speed else 0)


class StoreClient:
    """A shared store as the processes on one host reach it.

    `pipes` are what its writes cross behind the memory of the host; `read_pipe` is its own of reads, or None.
    """

    def __init__(self, store: Any, host: PersistenceDomain, way: Sequence[Pipe], latency_ps: int) -> None:
        self.store = store
        self.name: str = store.name
        self.latency_ps = latency_ps
        flows, params = store.world.flows, store.params
        write, read = params.client_write, params.client_read
        own = () if write is None else (flows.pipe(f"{self.name} write of {host.name}", write),)
        self.pipes: tuple[Pipe, ...] = (*way, *own, store.write_pipe)
        self.read_pipe: Pipe | None = None if read is None else flows.pipe(f"{self.name} read of {host.name}", read)

    @property
    def up(self) -> bool:
        """Whether the store serves."""
        up: bool = self.store.up
        return up

    @property
    def on_restore(self) -> list[Callable[[], None]]:
        """Told when the store serves again."""
        told: list[Callable[[], None]] = self.store.on_restore
        return told

"""Abstract domains: a delay drawn anew for each checkpoint, then durable at one instant, whole.

They exist so that anyone can hold the simulator against a closed form: no torn state, no doubt,
no bandwidth.  A domain's clock offset is drawn once; a positive one makes it start early.

Source: the persist-delay model that the closed forms of `hwsim.studies` assume.

Not modelled: anything of a real device.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from hwsim.contents import whole
from hwsim.domain import IOLost, PersistenceDomain, World
from hwsim.quantities import Delay, Params, SignedDelay

if TYPE_CHECKING:
    import simpy

    from hwsim.domain import Operation
    from hwsim.flow import Pipe


class AbstractParams(Params):
    """Parameters of `kind: abstract`."""

    kind: Literal["abstract"] = "abstract"
    persist: Delay = Field(description="delay from the start of a save until it is durable, drawn anew for each")
    clock_offset: SignedDelay | None = Field(
        default=None, description="drawn once for each domain; a positive one starts every checkpoint early"
    )


class AbstractDomain(PersistenceDomain, kind="abstract"):
    """A domain with one place, `media`, which only the loss of the media empties."""

    Params = AbstractParams
    CRASHES: ClassVar[Mapping[str, frozenset[str]]] = {
        "power_loss": frozenset({"power"}),
        "media_loss": frozenset({"power", "media"}),
    }

    def __init__(
        self, world: World, name: str, params: Any, *, node: str | None = None, host: str | None = None
    ) -> None:
        super().__init__(world, name, params, node=node, host=host)
        self.media = self.add_place("media", ["media"])
        self._delay = params.persist
        self._draws = world.stream("persist", name)
        offset = params.clock_offset
        self.clock_offset_ps = 0 if offset is None else offset.draw(world.stream("clock_offset", name))
        self._under_way: dict[_Persist, None] = {}

    def stack_for(self, into: str) -> tuple[str, ...]:
        """One place, whatever the bytes are said to be written into."""
        return (self.media,)

    def write(
        self,
        part: str,
        slot: str,
        epoch: int,
        size_bytes: int,
        *,
        pipes: Sequence[Pipe] = (),
        sync: str = "none",
        into: str = "media",
        owner: str = "",
    ) -> Operation:
        """Make *epoch* durable after a delay; an older checkpoint that comes late never replaces a newer one."""
        operation = _Persist(self, part, slot, epoch)
        self._under_way[operation] = None
        return operation

    def stop(self, crash_kind: str) -> None:
        """What is under way is gone; what is durable stays."""
        for operation in list(self._under_way):
            operation.cancel()
        super().stop(crash_kind)


class _Persist:
    """One delay under way; its timeout is the operation's `done`, so that nothing else is scheduled."""

    __slots__ = ("_domain", "_epoch", "_part", "_slot", "done")

    def __init__(self, domain: AbstractDomain, part: str, slot: str, epoch: int) -> None:
        self._domain = domain
        self._part = part
        self._slot = slot
        self._epoch = epoch
        self.done: simpy.Event = domain.env.timeout(domain._delay.draw(domain._draws))
        self.done.callbacks.append(self._due)

    def _due(self, event: simpy.Event) -> None:
        domain = self._domain
        if domain._under_way.pop(self, self) is self:  # cancelled: the timeout fires for nobody
            return
        holdings = domain.world.holdings
        held = holdings.at(domain.media, self._part, self._slot)
        if held is None or max(held) < self._epoch:
            holdings.put(
                "persisted", domain.name, domain.media, self._part, self._slot, whole(self._epoch), epoch=self._epoch
            )

    def cancel(self) -> None:
        """Nothing becomes durable.  Those who wait for `done` are told with `IOLost`."""
        if self._domain._under_way.pop(self, self) is self:
            return
        waiting = [callback for callback in self.done.callbacks if callback != self._due]
        self.done.callbacks[:] = [self._due]
        lost = self._domain.env.event()
        lost.callbacks.extend(waiting)
        lost.fail(IOLost("cancelled"))
        lost.defused = True

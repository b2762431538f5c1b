"""A network interface: the way of a node's messages and data out onto its links.

It holds no checkpoint; its crash is silence.  A reset loses the queue pairs and whatever frames
are on their way into it, and leaves the node's memory and drives alone.  Its rate bounds the bulk
data that crosses it in each direction; messages go at the rate of the link.

Source: mstfwreset(1), reset levels 3 (driver restart and PCI reset) to 5 (cold reboot), for what a
reset ends; InfiniBand Architecture Specification vol. 1, chapter 10 (a queue pair's outstanding
work is lost with it).

Not modelled: queue pairs and completion queues as such; several ports; firmware images; offloads.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from hwsim.domain import PersistenceDomain, World
from hwsim.nv_register import NvParams, NvRegister
from hwsim.quantities import Delay, Duration, Params, Rate

if TYPE_CHECKING:
    from hwsim.flow import Pipe


class NicParams(Params):
    """Figures of a network interface.  `reset_time` has no default: a reset without it lasts until `restore_after`."""

    kind: Literal["nic"] = "nic"
    rate: Rate | None = Field(default=None, gt=0, description="each direction's; none: only its links bound it")
    delay: Duration = Field(default=0, ge=0, description="from the node's bus to the wire, and back, for each message")
    reset_time: Duration | None = Field(default=None, gt=0, description="from a reset until it serves again")
    placement: Delay | None = Field(
        default=None, description="from the receipt of an RDMA write until cache or memory has it; none: at once"
    )
    nv: NvParams | None = Field(default=None, description="its non-volatile registers; none: it has none")


class Nic(PersistenceDomain, kind="nic"):
    """One network interface; `out` and `into` are its pipes, None where no rate is stated."""

    Params = NicParams
    CRASHES: ClassVar[Mapping[str, frozenset[str]]] = {
        "nic_reset": frozenset({"engine", "buffer"}),
        "power_loss": frozenset({"engine", "power"}),
    }

    def __init__(
        self, world: World, name: str, params: Any, *, node: str | None = None, host: str | None = None
    ) -> None:
        super().__init__(world, name, params, node=node, host=host)
        self.forwarding_delay = params.delay
        self._registers: list[NvRegister] = []
        rate = params.rate
        self.out: Pipe | None = None if rate is None else world.flows.pipe(f"{name} out", rate)
        self.into: Pipe | None = None if rate is None else world.flows.pipe(f"{name} in", rate)

    def register(self, key: str, *, size_bytes: int = 8, initial: int = 0) -> NvRegister:
        """A non-volatile register of its own, which a reset leaves alone and a power loss may catch in a write."""
        assert self.params.nv is not None, f"{self.name} has no non-volatile registers"
        draw = self.world.stream("nv", self.name, key)
        made = NvRegister(self.env, self.params.nv, draw, size_bytes=size_bytes, initial=initial)
        self._registers.append(made)
        return made

    def stop(self, crash_kind: str) -> None:
        """A reset leaves its registers alone: a write under way goes on."""
        if crash_kind == "power_loss":
            for register in self._registers:
                register.lose_power()
        super().stop(crash_kind)

    def restore(self) -> None:
        """Serve again, registers too."""
        for register in self._registers:
            register.restore_power()
        super().restore()

    def crossed(self, *, outward: bool) -> tuple[Pipe, ...]:
        """Its pipe of that direction."""
        pipe = self.out if outward else self.into
        return () if pipe is None else (pipe,)

    def restore_time(self, crash_kind: str) -> int | None:
        """Its own reset time after a reset; after a power loss somebody must bring the power back."""
        return self.params.reset_time if crash_kind == "nic_reset" else None

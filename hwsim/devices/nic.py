"""A network interface: the way of a node's messages and data out onto its links, and of RDMA into its memory.

It holds no checkpoint but for the moment in which RDMA writes lie in its buffers.  Its crash is silence.  Its rate
bounds the bulk data that crosses it in each direction; messages go at the rate of the link.

What a reset takes depends on its level, as `nic_reset` says it:

- 0, a live patch: driver, PCI function and port stay up.  Nothing is lost; data pauses for `live_patch_time`.
- 3, the usual one: the driver restarts and the PCI function is reset.  Queue pairs, registrations, buffers and
  frames on their way into it are lost, memory and drives are not; `reset_time`.
- 4 and 5: the firmware is loaded with a warm, or a cold, reboot of the node: what a kernel crash of its host, or the
  power loss of the whole node, takes; `reboot_time` or `cold_boot_time` of the host.

A reset of the full chip takes the port down as well; a `phy_less` one leaves it up, which saves `port_training`.

Source: mstfwreset(1), reset levels and types; InfiniBand Architecture Specification vol. 1, chapter 10 (a queue
pair's outstanding work is lost with it).

Not modelled: several ports; firmware images; offloads; an orderly shutdown before a reboot, which would sync files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
    connect: Duration = Field(default=0, description="to make a queue pair anew, after an error, a reset or a crash")
    registration: Duration = Field(default=0, description="to register memory anew, once a registration is lost")
    retry_limit: Duration | None = Field(
        default=None, gt=0, description="how long it tries without an answer (retries x timeout); none: for ever"
    )
    live_patch_time: Duration | None = Field(default=None, gt=0, description="a reset of level 0: how long data pauses")
    port_training: Duration = Field(default=0, description="part of reset_time that a phy_less reset saves")
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
        self.on_forget: list[Callable[[str, str], None]] = []  # the memories that it writes to, told of deletes
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

    def forget(self, part: str, slot: str) -> None:
        """A delete: what its buffers have of it reaches no memory."""
        for notify in self.on_forget:
            notify(part, slot)

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

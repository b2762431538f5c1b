"""A switch: it stores a message and forwards it after a delay; it may bound all bulk data that crosses it.

It holds no checkpoint.  While it has no power every frame that reaches it, or is on its way to it,
is gone.

Source: IEEE Std 802.1Q-2022, section 8.6 (a bridge forwards whole frames and keeps their order).

Not modelled: buffers that overflow, flow control, congestion marks; forwarding tables and their
convergence; a warm reboot that keeps forwarding (write no fault for it).
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from hwsim.domain import PersistenceDomain, World
from hwsim.quantities import Duration, Params, Rate

if TYPE_CHECKING:
    from hwsim.flow import Pipe


class SwitchParams(Params):
    """Figures of a switch."""

    kind: Literal["switch"] = "switch"
    delay: Duration = Field(default=0, ge=0, description="from a frame's last bit in to its first bit out, unloaded")
    capacity: Rate | None = Field(default=None, gt=0, description="what all of it carries; none: it never binds")


class Switch(PersistenceDomain, kind="switch"):
    """One switch; `fabric` is its pipe, None where no capacity is stated."""

    Params = SwitchParams
    CRASHES: ClassVar[Mapping[str, frozenset[str]]] = {"power_loss": frozenset({"power"})}

    def __init__(
        self, world: World, name: str, params: Any, *, node: str | None = None, host: str | None = None
    ) -> None:
        super().__init__(world, name, params, node=node, host=host)
        self.forwarding_delay = params.delay
        self.fabric: Pipe | None = (
            None if params.capacity is None else world.flows.pipe(f"{name} fabric", params.capacity)
        )

    def crossed(self, *, outward: bool) -> tuple[Pipe, ...]:
        """Its fabric, once: where traffic comes in."""
        return () if outward or self.fabric is None else (self.fabric,)

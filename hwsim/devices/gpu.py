"""GPUs: memory that dies with almost everything, and the copy engines out of it and into it.

What lies in HBM belongs to a context of a process.  It is gone when the process dies (and so when
the kernel does), when the GPU is reset (a fatal Xid, an uncontained ECC error, fallen off the bus),
and when the power goes.

Source: NVIDIA, XID Errors, analyzing the Xid catalog (actions RESTART_APP and RESET_GPU); NVIDIA, GPU
Memory Error Management, containment of uncorrectable errors; CUDA Driver API, context management.

Not modelled: contained errors that kill one process of several (a training job has one a GPU); MIG;
NVLink; copies that share the memory's own bandwidth with compute.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from hwsim.contents import whole
from hwsim.domain import PersistenceDomain, World
from hwsim.quantities import Duration, Params, Rate, Size

if TYPE_CHECKING:
    from hwsim.flow import Pipe


class GpuParams(Params):
    """Figures of a GPU.  `reset_time` has no default: a reset without it lasts until `restore_after`."""

    kind: Literal["gpu"] = "gpu"
    hbm: Size = Field(gt=0, description="memory; no shard that comes from it can be larger")
    d2h: Rate = Field(gt=0, description="copies to the host's memory")
    h2d: Rate | None = Field(default=None, gt=0, description="copies from the host's memory; default: as d2h")
    reset_time: Duration | None = Field(default=None, gt=0, description="from a reset until it serves again")


class Gpu(PersistenceDomain, kind="gpu"):
    """One GPU: its `hbm` place, and a copy engine each way (`d2h`, `h2d`)."""

    Params = GpuParams
    CRASHES: ClassVar[Mapping[str, frozenset[str]]] = {
        "gpu_reset": frozenset({"engine"}),
        "power_loss": frozenset({"engine", "power"}),
    }

    def __init__(
        self, world: World, name: str, params: Any, *, node: str | None = None, host: str | None = None
    ) -> None:
        super().__init__(world, name, params, node=node, host=host)
        owner = [] if host is None else [f"{host}:process", f"{host}:kernel", f"{host}:power"]
        self.hbm = self.add_place("hbm", ["engine", "power", *owner])
        self.hbm_bytes: int = params.hbm
        self.d2h: Pipe = world.flows.pipe(f"{name} d2h", params.d2h)
        self.h2d: Pipe = world.flows.pipe(f"{name} h2d", params.d2h if params.h2d is None else params.h2d)

    def stack_for(self, into: str) -> tuple[str, ...]:
        """Its memory, and nothing below it."""
        return (self.hbm,)

    def hold(self, part: str, slot: str, epoch: int, size_bytes: int) -> None:
        """Its memory holds *epoch* of *part* now (training made it, or a copy ended)."""
        assert size_bytes <= self.hbm_bytes, f"{part} does not fit into {self.name}"
        self.world.holdings.put(
            "completed", self.name, self.hbm, part, slot, whole(epoch), epoch=epoch, size_bytes=size_bytes
        )

    def restore_time(self, crash_kind: str) -> int | None:
        """Its own reset time after a reset; after a power loss somebody must bring the power back."""
        reset_ps: int | None = self.params.reset_time
        return reset_ps if crash_kind == "gpu_reset" else None

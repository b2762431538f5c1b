"""GPUs: memory that dies with almost everything, and the copy engines out of it.

What lies in HBM belongs to a context of a process: it is gone when the process dies, when the GPU is
reset (a fatal Xid, an uncontained ECC error, off the bus), and when the power goes.

Source: NVIDIA Xid catalogue (actions RESTART_APP and RESET_GPU); CUDA driver API, contexts die with
their process.

Not modelled: contained ECC errors that kill one of several processes (a training job has one a GPU);
MIG; NVLink.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field

from hwsim.domain import PersistenceDomain, World
from hwsim.quantities import Duration, Params, Rate, Size

if TYPE_CHECKING:
    from hwsim.flow import Pipe


class GpuParams(Params):
    """Figures of a GPU.  `reset_time` has no default: a reset without it lasts until `restore_after`."""

    kind: Literal["gpu"] = "gpu"
    hbm: Size = Field(gt=0, description="memory; no shard of it can be larger")
    d2h: Rate = Field(gt=0, description="copies to the host, over PCIe")
    h2d: Rate | None = Field(default=None, gt=0, description="copies from the host; default: as d2h")
    reset_time: Duration | None = Field(default=None, gt=0, description="from a reset until it serves again")


class Gpu(PersistenceDomain, kind="gpu"):
    """One GPU: its `hbm` place and a copy engine each way."""

    Params = GpuParams
    CRASHES: ClassVar[Mapping[str, frozenset[str]]] = {
        "gpu_reset": frozenset({"engine"}),
        "power_loss": frozenset({"engine", "power"}),
    }

    def __init__(
        self, world: World, name: str, params: Any, *, node: str | None = None, host: str | None = None
    ) -> None:
        super().__init__(world, name, params, node=node, host=host)
        needs = ["engine", "power"]
        if host is not None:
            needs.append(f"{host}:process")
        self.hbm = self.add_place("hbm", needs)
        self.d2h: Pipe = world.flows.pipe(f"{name} d2h", params.d2h)
        self.h2d: Pipe = world.flows.pipe(f"{name} h2d", params.d2h if params.h2d is None else params.h2d)

    def restore_time(self, crash_kind: str) -> int | None:
        """Its own reset time after a reset; after a power loss somebody must bring the power back."""
        return self.params.reset_time if crash_kind == "gpu_reset" else None

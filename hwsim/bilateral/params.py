"""The figures of a bilateral link, as a topology writes them."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from hwsim.bilateral.damage import ChannelParams
from hwsim.nv_register import NvParams
from hwsim.quantities import Duration
from hwsim.units import PS_PER_SECOND

LONGEST_WRITE = 2_147_483_646  # cycles of the Verilog
MOST_WAITING = 1024  # frames; of 393 bits each
_BITS_A_CYCLE = 64  # that the Verilog takes
_TIMER_TICKS = 1 << 32  # that it counts


class BilateralParams(ChannelParams):
    """Figures of one bilateral link: its channel, its timers, and the memory of its ends.

    A nic's own `nv` goes before the link's.
    """

    kind: Literal["bilateral"] = "bilateral"
    beacon: Duration = Field(gt=0, description="an end that is not bound says so again after this time")
    retransmit: Duration = Field(gt=0, description="an end that is bound by an offer sends it again after this time")
    model: Literal["model", "rtl"] = Field(
        default="model", description="model: the table, executed; rtl: Verilog under a simulator"
    )
    simulator: Literal["verilator", "icarus"] = Field(
        default="verilator",
        description="of model: rtl; verilator: a library in the run's own process; icarus: a process beside it, the "
        "same to the cycle and far slower",
    )
    clock: Duration = Field(default=6400, gt=0, description="of model: rtl, its period; 6.4ns is 156.25 MHz")
    rx_depth: int = Field(
        default=0,
        ge=0,
        le=MOST_WAITING,
        description="of model: rtl, how many received frames wait for the end of a write; one more takes the place of "
        "the newest of them; 0: none waits, each is dropped",
    )
    nv: NvParams | None = Field(
        default=None, description="the memory of an end whose device is no nic with an `nv` of its own"
    )

    @property
    def in_icarus(self) -> bool:
        """Whether its ends are under Icarus."""
        return self.model == "rtl" and self.simulator == "icarus"

    @model_validator(mode="after")
    def _only_what_exists(self) -> Self:
        if self.model == "model":
            if self.rx_depth:
                raise ValueError(
                    "the table, executed, drops what comes while it writes, and has nothing that frames could wait in; "
                    "write model: rtl, or leave rx_depth out"
                )
            return self
        if self.rate * self.clock > _BITS_A_CYCLE * PS_PER_SECOND:
            raise ValueError(
                f"the Verilog takes {_BITS_A_CYCLE} bits a cycle, and the line brings more; "
                "write a lower rate or a shorter clock"
            )
        if max(self.beacon, self.retransmit) > (_TIMER_TICKS - 1) * self.clock:
            most = _TIMER_TICKS * self.clock // PS_PER_SECOND
            raise ValueError(f"the Verilog's timer counts 32 bits of cycles; write at most {most}s")
        return self

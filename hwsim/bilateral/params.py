"""The figures of a bilateral link, as a topology writes them."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from hwsim.bilateral.damage import ChannelParams
from hwsim.nv_register import NvParams
from hwsim.quantities import Duration


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
    nv: NvParams | None = Field(
        default=None, description="the memory of an end whose device is no nic with an `nv` of its own"
    )

    @model_validator(mode="after")
    def _only_what_exists(self) -> Self:
        if self.model == "rtl":
            raise ValueError("no end in Verilog can be simulated in a run yet; write model: model")
        return self

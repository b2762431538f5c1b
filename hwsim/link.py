"""Ethernet links (under construction: parameters first)."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hwsim.quantities import Duration, Params, Probability, Rate, Size


class EthernetParams(Params):
    """Figures of one Ethernet link, the same in both directions."""

    kind: Literal["ethernet"] = "ethernet"
    rate: Rate = Field(gt=0, description="bits on the wire each second, each direction")
    delay: Duration = Field(ge=0, description="propagation, one way")
    jitter: Duration = Field(default=0, ge=0, description="uniform extra delay of 0 to this; order is kept")
    loss: Probability = Field(default=0.0, description="probability that a frame vanishes")
    ber: Probability = Field(default=0.0, description="probability that a bit arrives wrong; the FCS drops such frames")
    mtu: Size = Field(default=1500, ge=46, le=65535, description="largest payload of a frame; IEEE 802.3 says 1500 B")

"""What protocols with a coordinator have in common: who it is, and how ranks reach it.

Not modelled: the election of another coordinator.
"""

from __future__ import annotations

from pydantic import Field

from hwsim.quantities import Delay, Duration
from hwsim.saving import ErrorParams


class CoordinatedParams(ErrorParams):
    """Parameters of every protocol whose ranks tell a coordinator something."""

    coordinator: str | None = Field(
        default=None, description="node or device that coordinates; default: the first participant"
    )
    resend: Duration = Field(
        default=10**12, gt=0, description="until a message without answer is sent again, doubling; 1 s by RFC 6298"
    )
    message_delay: Delay | None = Field(
        default=None, description="delay of a message between devices that no link joins; required where there are such"
    )

"""In place: every part overwrites its own shard whenever it can."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hwsim import quantities
from hwsim.protocol import Protocol


class InPlaceParams(quantities.Params):
    """Parameters of `kind: in_place`: none."""

    kind: Literal["in_place"] = Field(default="in_place", description="no coordination at all")


class InPlace(Protocol, kind="in_place"):
    """Every part overwrites its own shard; nobody waits for anybody."""

    Params = InPlaceParams

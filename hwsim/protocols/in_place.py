"""In place: every part overwrites its own shard whenever it can."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hwsim import quantities
from hwsim.protocol import Protocol


class InPlaceParams(quantities.Params):
    """Parameters of `kind: in_place`."""

    kind: Literal["in_place"] = Field(default="in_place", description="no coordination at all")
    # LEAD: asked for by topologies/quickstart.yaml.  rename: write a fresh slot (str(epoch)), and once its sync holds
    # erase the older slot in one atomic step: never torn, still mixed across parts.  Rule `in_place` reads each
    # part's newest whole slot.  overwrite: slot "0", as before.  (S: implement, then drop this comment.)
    replace: Literal["overwrite", "rename"] = Field(
        default="overwrite",
        description="overwrite the old shard where it lies, or write a new file and rename it over the old one",
    )


class InPlace(Protocol, kind="in_place"):
    """Every part overwrites its own shard; nobody waits for anybody."""

    Params = InPlaceParams

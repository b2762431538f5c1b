"""Manifest: a file a shard and a checkpoint, and one small record that says which checkpoint counts."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from hwsim import quantities
from hwsim.protocol import Protocol
from hwsim.quantities import Delay, Size


class ManifestRecord(quantities.Params):
    """The record itself: where it lies, how large it is, and how a new one takes the place of the old."""

    to: str | None = Field(
        default=None,
        description="device that holds the record; default: where the coordinator's first shard goes",
    )
    size: Size = Field(default=4096, gt=0, description="size of the record")
    replace: Literal["in_place", "rename", "remove_then_rename"] = Field(
        default="rename",
        description="in_place overwrites the block; rename syncs a new file, then renames it over the old one; "
        "remove_then_rename deletes the old one first",
    )
    checksum: bool = Field(default=True, description="whether a reader notices a torn record")
    persist: Delay | None = Field(
        default=None,
        description="delay until the record is durable on an abstract device; default: at once",
    )


class ManifestParams(quantities.Params):
    """Parameters of `kind: manifest`."""

    kind: Literal["manifest"] = "manifest"
    coordinator: str | None = Field(
        default=None, description="node or device that writes the manifest; default: the first participant"
    )
    keep: int = Field(default=2, ge=1, description="complete checkpoints kept")
    prune: Literal["before_commit", "after_commit"] = Field(
        default="after_commit",
        description="when the oldest goes: as the new one begins (before_commit) or once the new one counts (after_commit)",
    )
    publish: Literal["at_snapshot", "after_shards"] = Field(
        default="after_shards",
        description="when the manifest is written: at_snapshot does not wait for the shards to be durable",
    )
    manifest: ManifestRecord = Field(default_factory=ManifestRecord)
    recover_by: Literal["coordinator", "each_rank"] = Field(
        default="coordinator",
        description="coordinator chooses one checkpoint for all; each_rank lets every rank choose for itself",
    )
    message_delay: Delay | None = Field(
        default=None, description="delay of a message between devices that no link joins; required where there are such"
    )


class Manifest(Protocol, kind="manifest"):
    """A checkpoint counts from the instant a durable manifest names it."""

    Params = ManifestParams

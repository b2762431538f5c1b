"""Whether what a protocol does is something that the store knows: object stores have no rename, drives are no memory.

Source: Amazon S3 user guide, data consistency model and conditional writes.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel

from hwsim.topology.document import Document
from hwsim.topology.hardware import Hardware
from hwsim.topology.spec import ShardSpec

OBJECTS = "object_store"
MEMORY = ("dram", "tmpfs", "pmem")
_FILES = ("rename", "remove_then_rename", "truncate")  # ways to replace that only files know


def fit_to_store(
    document: Document, protocol: BaseModel, shards: Sequence[ShardSpec], hardware: Hardware, coordinator: str | None
) -> BaseModel:
    """*protocol* with the store's own way of replacing where none was written; a mistake where the two do not fit."""

    def of_objects(device: str | None) -> bool:
        return device in hardware.devices and hardware.devices[device].kind == OBJECTS

    if getattr(protocol, "kind", None) == "memory_replicas":
        held = {shard.shard for shard in shards if shard.into in MEMORY}
        bare = next((shard for shard in shards if shard.shard not in held), None)
        if bare is not None:
            problem = f"the shard of '{bare.source or bare.device}' has no copy in memory"
            document.wrong(("protocol", "kind"), problem, "write a line of `shards` with to: host, into: dram")
    record = getattr(protocol, "manifest", None)
    if not isinstance(record, BaseModel):
        if getattr(protocol, "replace", None) in _FILES and any(of_objects(shard.device) for shard in shards):
            problem = "an object store knows no rename"
            document.wrong(("protocol", "replace"), problem, "write replace: overwrite (a PUT is whole or not at all)")
        return protocol
    replace: str = record.replace  # type: ignore[attr-defined]
    devices = record.to or (_first_of(coordinator, shards, hardware),)  # type: ignore[attr-defined]
    at = ("protocol", "manifest", "replace")
    objects = [device for device in devices if of_objects(device)]
    if objects:
        if "replace" not in record.model_fields_set and len(objects) == len(devices):
            return protocol.model_copy(update={"manifest": record.model_copy(update={"replace": "in_place"})})
        if replace in _FILES:
            remedy = "write replace: in_place (a PUT takes the old one's place at once), or if_match"
            document.wrong(at, f"'{objects[0]}' is an object store, which knows no {replace}", remedy)
    if replace == "if_match" and len(objects) < len(devices):
        document.wrong(at, "only an object store has conditional PUTs", "write replace: rename")
    return protocol


def _first_of(coordinator: str | None, shards: Sequence[ShardSpec], hardware: Hardware) -> str | None:
    """Where the record goes if nobody says: where the coordinator's first shard does, else its node's drive."""
    if coordinator is None:
        return None
    node = hardware.devices[coordinator].node
    sources = [(shard, hardware.devices[shard.source or shard.device]) for shard in shards]
    own = [shard.device for shard, source in sources if source.name == coordinator or (node and source.node == node)]
    drives = [name for name, spec in hardware.devices.items() if spec.kind == "nvme" and spec.node == node]
    return next(iter([*own, *drives, *(shard.device for shard in shards)]), None)

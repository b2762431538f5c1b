"""Training that checkpoints: when each checkpoint begins, what it stops, and how a job restarts."""

from __future__ import annotations

from typing import Literal

from pydantic import ConfigDict, Field

from hwsim.quantities import Duration, Params, Size


class InFlight(Params):
    """How many checkpoints may be under way at once."""

    max: int = Field(default=1, ge=1, description="checkpoints under way at most")
    when_full: Literal["wait", "skip"] = Field(
        default="wait", description="what a checkpoint does that comes due when full"
    )


class Restart(Params):
    """What a restart costs once a crash stopped the job."""

    detect: Duration = Field(default=0, description="time until the crash is noticed and survivors are torn down")
    load: bool = Field(
        default=True, description="whether reading the checkpoint back takes time (bytes over bandwidth)"
    )
    init: Duration = Field(default=0, description="time to start the program once the state is loaded")


class Shards(Params):
    """One line of `shards`: what is saved from where to where."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    source: str | None = Field(
        default=None, alias="from", description="one shard for each match; none for abstract domains"
    )
    size: Size | None = Field(
        default=None, description="bytes of one shard; required unless it goes to an abstract domain"
    )
    to: str = Field(description="a device key in the source's node, a device outside nodes, or abstract domains")
    node: str = Field(
        default="same", pattern=r"^(same|next|\+[1-9][0-9]*)$", description="which node's device: same, next or +K"
    )
    copies: int = Field(
        default=0, alias="copy", ge=0, description="number of this copy of the shards named by the same `from`"
    )
    into: Literal["media", "page_cache", "tmpfs", "dram", "pmem"] = Field(
        default="media", description="what the bytes are written into"
    )
    sync: Literal["none", "flush", "fua", "completion", "read_after_write", "rdma_flush", "ack"] = Field(
        default="flush", description="what the writer waits for before it calls the shard saved"
    )


class CheckpointParams(Params):
    """Parameters of `kind: checkpoint`."""

    kind: Literal["checkpoint"] = "checkpoint"
    interval: Duration = Field(gt=0, description="checkpoint k begins at first + (k-1) * interval")
    first: Duration | None = Field(
        default=None, description="from the start, or a recovery, to checkpoint 1; default: interval"
    )
    mode: Literal["sync", "async"] = Field(
        default="sync", description="sync: training waits until the checkpoint is saved; async: for a snapshot only"
    )
    start: Literal["barrier", "random_phase", "poisson"] = Field(
        default="barrier",
        description="barrier: all at once; random_phase: each part at a phase of its own; poisson: each part at random",
    )
    in_flight: InFlight = Field(default_factory=InFlight)
    after_recovery: Literal["restart_schedule", "keep_grid"] = Field(
        default="restart_schedule", description="whether the schedule starts anew at a recovery"
    )
    restart: Restart = Field(default_factory=Restart)
    shards: tuple[Shards, ...] = Field(default=(), description="what is saved, and where to")

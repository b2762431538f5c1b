"""Workloads, one file each."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import BeforeValidator, WithJsonSchema

from hwsim.quantities import Params

if TYPE_CHECKING:
    from hwsim.bilateral.live import BilateralLink
    from hwsim.domain import World
    from hwsim.outcomes import Handed
    from hwsim.protocol import Job, Protocol
    from hwsim.recovery import DurableState


def _names(value: Any) -> Any:
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise ValueError("expected a link, a glob or a list of them; write such as 'wire' or 'cell*--cell*'")


LinkNames = Annotated[
    tuple[str, ...],
    BeforeValidator(_names),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]


class Workload:
    """What a run is for.  A subclass is one file, `class X(Workload, kind="x")`, with its frozen `Params`.

    It is made of a job, a protocol and its params; a `LinkWorkload` of other things.
    """

    Params: ClassVar[type[Params]]
    kind: ClassVar[str] = ""
    registry: ClassVar[dict[str, type[Workload]]] = {}

    def __init_subclass__(cls, kind: str = "", **rest: Any) -> None:
        super().__init_subclass__(**rest)
        if kind:
            if kind in Workload.registry:
                raise AssertionError(f"two workload kinds are named {kind!r}")
            cls.kind = kind
            Workload.registry[kind] = cls

    def start(self) -> None:
        """The run begins."""
        raise NotImplementedError

    def stopped(self, devices: Sequence[str], kind: str) -> None:
        """A fault that ends jobs struck *devices*; called once they have stopped."""
        raise NotImplementedError

    def unavailable(self, device: str) -> None:
        """A device, or the process on it, cannot be used until it is `restored`."""
        raise NotImplementedError

    def restored(self, device: str) -> None:
        """A device serves again."""
        raise NotImplementedError


class JobWorkload(Workload):
    """What a training job does over time: it takes checkpoints under a protocol.

    `read` gives the state that recovery finds, and `choose` picks what it hands back where its rule leaves several
    possibilities; both are asked in every recovery, just before anything is changed.
    """

    read: Callable[[], DurableState]
    choose: Callable[[Sequence[Handed]], Handed]

    def __init__(self, job: Job, protocol: Protocol, params: Any) -> None:
        raise NotImplementedError


class LinkWorkload(Workload):
    """What goes on over bilateral links, without a job, a checkpoint or a protocol for them.

    `start` starts every link, those too that take no part.
    """

    def __init__(self, world: World, links: Mapping[str, BilateralLink], params: Any) -> None:
        raise NotImplementedError

    def stopped(self, devices: Sequence[str], kind: str) -> None:
        """There is no job that stops."""

    def unavailable(self, device: str) -> None:
        """There is no job that waits."""

    def restored(self, device: str) -> None:
        """There is no job that goes on."""

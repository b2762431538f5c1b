"""Workloads, one file each."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, ClassVar

from hwsim.quantities import Params

if TYPE_CHECKING:
    from hwsim.protocol import Job, Protocol


class Workload:
    """What a job does over time.  A subclass is one file, `class X(Workload, kind="x")`, with its frozen `Params`."""

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

    def __init__(self, job: Job, protocol: Protocol, params: Any) -> None:
        raise NotImplementedError

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

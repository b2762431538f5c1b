"""The kinds that exist, found by importing the modules that define them; and which fault may strike which kind."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator, Mapping
from functools import cache
from types import ModuleType

from pydantic import BaseModel

from hwsim.domain import PersistenceDomain
from hwsim.faults import Fault
from hwsim.protocol import Protocol

# A device's own time for a reset, where a topology leaves it out, is that of this profile: named, like any figure.
OWN_TIMES = frozenset({"reset_time", "reboot_time"})
USUAL_PROFILES: Mapping[str, str] = {
    "host": "dual_socket_server",
    "gpu": "h100_sxm",
    "nvme": "enterprise_plp_gen4",
    "nic": "nic_400g",
}


def _modules(package: str) -> Iterator[ModuleType]:
    for found in sorted(pkgutil.iter_modules(importlib.import_module(package).__path__), key=lambda found: found.name):
        yield importlib.import_module(f"{package}.{found.name}")


def _params_in(module: ModuleType) -> Iterator[tuple[str, type[BaseModel]]]:
    """Every model with a `kind` of its own that *module* defines."""
    for thing in vars(module).values():
        if isinstance(thing, type) and issubclass(thing, BaseModel) and thing.__module__ == module.__name__:
            kind = thing.model_fields.get("kind")
            if kind is not None and isinstance(kind.default, str):
                yield kind.default, thing


@cache
def device_kinds() -> Mapping[str, type[PersistenceDomain]]:
    """Device kinds by name."""
    for _ in _modules("hwsim.devices"):
        pass
    return {
        kind: cls
        for kind, cls in sorted(PersistenceDomain.registry.items())
        if cls.__module__.startswith("hwsim.devices.")
    }


@cache
def protocol_kinds() -> Mapping[str, type[BaseModel]]:
    """Parameters of every protocol kind."""
    for _ in _modules("hwsim.protocols"):
        pass
    return {
        kind: cls.Params
        for kind, cls in sorted(Protocol.registry.items())
        if cls.__module__.startswith("hwsim.protocols.")
    }


@cache
def workload_kinds() -> Mapping[str, type[BaseModel]]:
    """Parameters of every workload kind."""
    return dict(sorted(item for module in _modules("hwsim.workloads") for item in _params_in(module)))


@cache
def link_kinds() -> Mapping[str, type[BaseModel]]:
    """Parameters of every link kind."""
    modules = map(importlib.import_module, ("hwsim.link", "hwsim.bilateral.params"))
    return dict(sorted(item for module in modules for item in _params_in(module)))


@cache
def fault_kinds() -> Mapping[str, type[Fault]]:
    """Fault kinds by name."""
    return dict(
        sorted((kind, fault) for kind, fault in Fault.registry.items() if fault.__module__.startswith("hwsim."))
    )


def strikes(fault: str, device_kind: str) -> bool:
    """Whether a fault kind may strike a device kind."""
    cls = device_kinds().get(device_kind)
    return cls is not None and fault in cls.CRASHES


def struck_by(fault: str) -> list[str]:
    """The device kinds that a fault kind may strike (empty for one that strikes links)."""
    return [kind for kind in device_kinds() if strikes(fault, kind)]


def is_crash(fault: str) -> bool:
    """Whether a fault kind takes anything from what it strikes, so that one can ask what it would leave."""
    return any(cls.CRASHES.get(fault) for cls in device_kinds().values())

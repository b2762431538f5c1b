"""hwsim: hardware-level simulation of persistence domains and Ethernet links.

The facade: `load`, `check`, `simulate`, `answer`, `run`, `load_study`, `sweep` and the central types, each imported
when it is first asked for.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwsim.answers import Answer, answer, run
    from hwsim.errors import EnvironmentFailure, HwsimError, Mistake, ToolMissing, UserError
    from hwsim.simulation import simulate
    from hwsim.studies.sweeps.loading import load as load_study
    from hwsim.studies.sweeps.runner import sweep
    from hwsim.studies.sweeps.spec import Study
    from hwsim.topology import check, load
    from hwsim.topology.spec import Topology
    from hwsim.trace import Record, Trace

__all__ = [
    "Answer",
    "EnvironmentFailure",
    "HwsimError",
    "Mistake",
    "Record",
    "Study",
    "ToolMissing",
    "Topology",
    "Trace",
    "UserError",
    "__version__",
    "answer",
    "check",
    "load",
    "load_study",
    "run",
    "simulate",
    "sweep",
]

_HOME = {
    "Answer": "hwsim.answers",
    "EnvironmentFailure": "hwsim.errors",
    "HwsimError": "hwsim.errors",
    "Mistake": "hwsim.errors",
    "Record": "hwsim.trace",
    "Study": "hwsim.studies.sweeps.spec",
    "ToolMissing": "hwsim.errors",
    "Topology": "hwsim.topology.spec",
    "Trace": "hwsim.trace",
    "UserError": "hwsim.errors",
    "answer": "hwsim.answers",
    "check": "hwsim.topology",
    "load": "hwsim.topology",
    "run": "hwsim.answers",
    "load_study": "hwsim.studies.sweeps.loading:load",
    "simulate": "hwsim.simulation",
    "sweep": "hwsim.studies.sweeps.runner",
}


def __getattr__(name: str) -> Any:
    """Import what is asked for; start-up stays fast because nothing else is."""
    if name == "__version__":
        from importlib.metadata import version

        return version("hwsim")
    if name in _HOME:
        home, _, inside = _HOME[name].partition(":")
        return getattr(import_module(home), inside or name)
    raise AttributeError(f"module 'hwsim' has no attribute {name!r}")


def __dir__() -> list[str]:
    return __all__

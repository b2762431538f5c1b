"""The keys that a topology file may hold, line by line; devices, links, workloads and protocols bring their own."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PlainSerializer, WithJsonSchema

from hwsim.quantities import Duration, Params
from hwsim.units import format_duration, parse_duration

_TOTAL = re.compile(r"\s*(\d+(?:\.\d+)?)\s+per\s+(\S.*)\Z")


def _names(value: Any) -> Any:
    """One name or glob, or a list of them."""
    if isinstance(value, str):
        return (value,)
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return tuple(value)
    raise ValueError("expected a name, a glob or a list of them; write such as 'node*/nvme' or [node0, node1]")


def _total(value: Any) -> int:
    """The mean time (ps) between events of `35 per 54d`."""
    match = _TOTAL.match(value) if isinstance(value, str) else None
    if match is None or float(match.group(1)) == 0:
        raise ValueError("expected so many in so long; write such as '35 per 54d'")
    mean = round(parse_duration(match.group(2)) / float(match.group(1)))
    if mean <= 0:
        raise ValueError(f"{value!r} leaves no time between events; write a longer time")
    return mean


def _mean_and_shape(value: Any) -> tuple[int, float | None]:
    """`26d`, or `{mean: 26d, shape: 0.7}`: mean in ps and the Weibull shape."""
    shape = None
    if isinstance(value, dict):
        if set(value) - {"mean", "shape"} or "mean" not in value:
            raise ValueError("expected a mean and a Weibull shape; write {mean: 26d, shape: 0.7}")
        shape = value.get("shape", 1)
        if isinstance(shape, bool) or not isinstance(shape, int | float) or not 0.05 <= shape <= 100:
            raise ValueError(f"{shape!r} is not a Weibull shape; write a number of 0.05 to 100 (1 is exponential)")
        value = value["mean"]
    if not isinstance(value, str):
        raise ValueError(f"{value!r} has no unit; write a number and a unit, such as '26d'")
    mean = parse_duration(value)
    if mean <= 0:
        raise ValueError("'mtbf' must be above 0; write such as '26d'")
    return mean, None if shape is None else float(shape)


Names = Annotated[
    tuple[str, ...],
    BeforeValidator(_names),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}, "minItems": 1}]}),
]
Total = Annotated[
    int,
    BeforeValidator(_total),
    WithJsonSchema({"type": "string", "examples": ["35 per 54d"]}),
    PlainSerializer(lambda mean: f"1 per {format_duration(mean)}", when_used="json"),
]
MeanAndShape = Annotated[
    tuple[int, float | None],
    BeforeValidator(_mean_and_shape),
    WithJsonSchema({"type": ["string", "object"], "examples": ["26d", {"mean": "26d", "shape": 0.7}]}),
]


class Line(Params):
    """A line of the file; `from` is a word of Python's."""


class Header(Params):
    """What stands at the top, beside the sections."""

    version: int = Field(ge=1, le=1, description="of this format: 1")
    name: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9][A-Za-z0-9_+-]*$",
        description="letters, digits, - and _; default: the file's",
    )
    description: str = Field(default="", description="one line for readers of the results")
    seed: int = Field(default=0, ge=0, lt=2**63, description="of every random draw")
    horizon: Duration = Field(gt=0, le=10_000 * 86_400 * 10**12, description="how long is simulated")
    warm_up: Duration | None = Field(
        default=None, ge=0, description="shares are taken from here; default: the end of the first interval"
    )
    repeats: int = Field(default=1, ge=1, le=100_000, description="independent timelines")
    profiles: Names | None = Field(default=None, description="files of profiles, beside those that ship with hwsim")


SECTIONS = (
    "nodes",
    "devices",
    "override",
    "links",
    "failure_domains",
    "workload",
    "protocol",
    "faults",
    "what_if",
    "expect",
    "cases",
)


class CountLine(Params):
    """How many there are of a device."""

    count: int | None = Field(default=None, ge=1, le=100_000, description="makes NAME0, NAME1, ...; without it: NAME")


class NodeLine(CountLine):
    """One entry of `nodes`; its devices are read by kind."""

    devices: Any = Field(default=None, description="what sits in it; the host need not be written")


class DomainLine(Params):
    """One entry of `failure_domains`."""

    members: Names = Field(description="nodes, devices and failure domains, or globs of them")
    each: int | None = Field(default=None, ge=1, description="makes NAME0, NAME1, ... of so many members each")


class LinkLine(Params):
    """What every link kind has beside its own figures."""

    source: Names = Field(alias="from", description="devices at one end")
    to: Names | None = Field(default=None, description="devices at the other end")
    name: str | None = Field(default=None, description="instead of a--b; for one link only")
    spread: Literal["blocks", "ring", "line", "complete"] | None = Field(
        default=None,
        description="blocks: equal blocks of `from` to each of `to`; ring, line, complete: among all that are named",
    )


class FaultLine(Params):
    """One entry of `faults`."""

    name: str | None = Field(default=None, description="in results; default: the kind")
    kind: str = Field(description="what strikes; `hwsim kinds` lists them")
    target: Names = Field(description="nodes, devices, failure domains or links, or globs of them")
    at: Duration | None = Field(default=None, description="once, at this time")
    every: Duration | None = Field(default=None, gt=0, description="periodically")
    mtbf: MeanAndShape | None = Field(default=None, description="mean time between failures of each target")
    shape: float | None = Field(default=None, ge=0.05, le=100, description="Weibull shape with mtbf; 1 is exponential")
    total: Total | None = Field(default=None, description="of all targets together, such as '35 per 54d'")
    factor: float | None = Field(default=None, gt=0, lt=1, description="of a throttled target's rates that is left")
    latency: float | None = Field(default=None, gt=1, le=1e6, description="how many times later a slow target answers")
    operations: int | None = Field(
        default=None, ge=1, description="how many of a target's operations fail; default: all, while the fault lasts"
    )
    level: Literal[0, 3, 4, 5] | None = Field(
        default=None, description="of a nic_reset: 0 live patch, 3 driver and PCI (default), 4 warm, 5 cold reboot"
    )
    chip: Literal["full", "phy_less"] | None = Field(
        default=None, description="of a nic_reset of level 3: the full chip (default), or all but the port"
    )
    restore_after: Duration | None = Field(default=None, description="until the target serves again")


class Hazard(Params):
    """Crashes as a Poisson process that restarts the schedule."""

    mean: Duration = Field(gt=0, description="mean time between crashes")


class WhatIfLine(Params):
    """One entry of `what_if`."""

    kind: str = Field(description="the crash that is asked about")
    together: Names | None = Field(default=None, description="struck at once")
    each: Names | None = Field(default=None, description="struck one at a time, averaged, with the worst named")
    at: Duration | None = Field(default=None, description="at this instant only")
    phase: Duration | None = Field(default=None, description="at this phase of every interval only")
    hazard: Hazard | None = Field(default=None, description="instants weighted as Poisson crashes would fall")


class CaseLine(Params):
    """One entry of `cases`; `set` and `expect` are read on their own."""

    set: Any = Field(default=None, description="key paths and their values")
    expect: Any = Field(default=None, description="what must then come out")

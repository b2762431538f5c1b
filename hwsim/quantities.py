"""Field types of specs: quantities that are written with a unit and kept as integers.

`Duration` is ps, `Size` bytes, `Rate` bits per second.  A bare number is refused.  Values built
in Python may be integers of the canonical unit through `model_construct` only, so that a file can
never smuggle one in.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, WithJsonSchema

from hwsim.distributions import Distribution
from hwsim.units import format_duration, format_rate, format_size, parse_duration, parse_rate, parse_size


class Params(BaseModel):
    """The base of every spec that a user writes: frozen, and an unknown key is a mistake."""

    model_config = ConfigDict(frozen=True, extra="forbid", arbitrary_types_allowed=True, allow_inf_nan=False)


def _quantity(parse: Any, example: str) -> Any:
    def read(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, str | int | float):
            raise ValueError(f"expected a quantity; write a number and a unit, such as '{example}'")
        if isinstance(value, int | float):
            raise ValueError(f"{value} has no unit; write a number and a unit, such as '{example}'")
        return int(parse(value))

    return read


def _schema(example: str) -> WithJsonSchema:
    return WithJsonSchema({"type": "string", "examples": [example]})


def _text(write: Callable[[int], str]) -> PlainSerializer:
    """`model_dump(mode="json")` writes the unit, so that a resolved topology can be read back."""
    return PlainSerializer(write, return_type=str, when_used="json")


Duration = Annotated[int, BeforeValidator(_quantity(parse_duration, "80us")), _schema("80us"), _text(format_duration)]
SignedDuration = Annotated[
    int,
    BeforeValidator(_quantity(lambda text: parse_duration(text, signed=True), "-5ms")),
    _schema("-5ms"),
    _text(format_duration),
]
Size = Annotated[int, BeforeValidator(_quantity(parse_size, "13.1GB")), _schema("13.1GB"), _text(format_size)]
Rate = Annotated[int, BeforeValidator(_quantity(parse_rate, "400Gb/s")), _schema("400Gb/s"), _text(format_rate)]
Probability = Annotated[float, Field(ge=0, le=1)]


def read_distribution(value: Any, *, signed: bool = False) -> Distribution:
    """Read `5ms` or one of constant, exponential, uniform, lognormal and pareto with its parameters.

    *signed*: constant and uniform may be negative.  Raises ValueError with the remedy.
    """
    if isinstance(value, Distribution):
        return value
    if isinstance(value, str):
        return Distribution("constant", (float(parse_duration(value, signed=signed)),))
    if not isinstance(value, dict) or len(value) != 1:
        raise ValueError("expected one distribution; write '5ms', {uniform: [0s, 200ms]} or {exponential: 20ms}")
    ((name, given),) = value.items()
    duration = _quantity(parse_duration, "80us")
    if signed and name in ("constant", "uniform"):
        duration = _quantity(lambda text: parse_duration(text, signed=True), "-5ms")
    match name, given:
        case "constant" | "exponential", _:
            return Distribution(str(name), (float(duration(given)),))
        case "uniform", [low, high]:
            least, most = duration(low), duration(high)
            if least > most:
                raise ValueError(f"uniform: {low} is above {high}; write the smaller one first")
            return Distribution("uniform", (float(least), float(most)))
        case "lognormal", {"median": median, "sigma": float() | int() as sigma, **rest} if not rest and sigma >= 0:
            return Distribution("lognormal", (float(duration(median)), float(sigma)))
        case "pareto", {"minimum": minimum, "shape": float() | int() as shape, **rest} if not rest and shape > 0:
            return Distribution("pareto", (float(duration(minimum)), float(shape)))
        case "quantiles", {**points}:
            return Distribution("quantiles", _read_quantiles(points, duration))
    raise ValueError(
        f"{name!r} is not a distribution written as expected; write constant: 5ms, exponential: 20ms, "
        "uniform: [0s, 200ms], lognormal: {median: 2s, sigma: 0.25}, pareto: {minimum: 1ms, shape: 2} or "
        "quantiles: {0: 1ms, 50: 2ms, 100: 9ms}"
    )


def _read_quantiles(points: dict[Any, Any], duration: Callable[[Any], int]) -> tuple[float, ...]:
    """Percentiles from 0 to 100 with their values, both rising, as shares and ps."""
    try:
        shares = {float(share) / 100: float(duration(value)) for share, value in points.items()}
    except (TypeError, ValueError) as error:
        raise ValueError(f"quantiles: {error}") from error
    flat = [number for share in sorted(shares) for number in (share, shares[share])]
    if not flat or flat[0] != 0 or flat[-2] != 1 or flat[1::2] != sorted(flat[1::2]):
        raise ValueError("quantiles run from 0 to 100 and their values never fall; write {0: 1ms, 50: 2ms, 100: 9ms}")
    return tuple(flat)


def write_distribution(distribution: Distribution) -> str | dict[str, Any]:
    """Write a distribution as a file would: `read_distribution` reads it back."""
    times = [format_duration(round(value)) for value in distribution.parameters]
    match distribution.name:
        case "constant":
            return times[0]
        case "uniform":
            return {"uniform": times}
        case "lognormal":
            return {"lognormal": {"median": times[0], "sigma": distribution.parameters[1]}}
        case "pareto":
            return {"pareto": {"minimum": times[0], "shape": distribution.parameters[1]}}
        case "quantiles":
            shares = [f"{100 * share:.10g}" for share in distribution.parameters[::2]]
            return {"quantiles": dict(zip(shares, times[1::2], strict=True))}
        case _:
            return {distribution.name: times[0]}


Delay = Annotated[
    Distribution,
    BeforeValidator(read_distribution),
    WithJsonSchema({"type": ["string", "object"], "examples": ["5ms", {"uniform": ["0s", "200ms"]}]}),
    PlainSerializer(write_distribution, when_used="json"),
]

SignedDelay = Annotated[
    Distribution,
    BeforeValidator(lambda value: read_distribution(value, signed=True)),
    WithJsonSchema({"type": ["string", "object"], "examples": ["-5ms", {"uniform": ["-5ms", "5ms"]}]}),
    PlainSerializer(write_distribution, when_used="json"),
]

"""Quantities as text: exact in both directions, and refused with a remedy where they mean nothing."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from hwsim.distributions import Distribution
from hwsim.quantities import Delay, Duration, Params, Rate, SignedDuration, Size, read_distribution, write_distribution
from hwsim.units import (
    DURATION_UNITS,
    RATE_UNITS,
    SIZE_UNITS,
    format_duration,
    format_rate,
    format_size,
    parse_duration,
    parse_rate,
    parse_size,
)


@given(st.integers(0, 10**26))
def test_formatted_quantities_parse_back_exactly(value: int) -> None:
    assert parse_duration(format_duration(value)) == value
    assert parse_size(format_size(value)) == value
    assert parse_rate(format_rate(value)) == value


@given(st.integers(-(10**26), 10**26))
def test_signed_durations_parse_back_exactly(value: int) -> None:
    assert parse_duration(format_duration(value), signed=True) == value


@given(st.decimals(0, 10**6, places=3), st.sampled_from(sorted(DURATION_UNITS)))
def test_a_duration_is_its_number_times_its_unit(number: Decimal, unit: str) -> None:
    exact = number * DURATION_UNITS[unit]
    if exact == 0 or exact >= Decimal("0.5000001"):
        assert abs(parse_duration(f"{number}{unit}") - exact) <= Decimal("0.5")


@pytest.mark.parametrize(
    ("text", "ps"),
    [
        ("80us", 80 * 10**6), ("80 us", 80 * 10**6), ("80µs", 80 * 10**6), ("80μs", 80 * 10**6),
        ("1.5h", 5400 * 10**12),
        ("1e3s", 10**15), ("6.4ns", 6400), (".5s", 5 * 10**11), ("0s", 0), ("54d", 54 * 86400 * 10**12),
        ("2min", 120 * 10**12),
    ],
)  # fmt: skip
def test_durations(text: str, ps: int) -> None:
    assert parse_duration(text) == ps


@pytest.mark.parametrize(
    ("text", "size"),
    [("13.1GB", 13_100_000_000), ("4KiB", 4096), ("4kB", 4000), ("1 GiB", 2**30), ("512B", 512), ("2TB", 2 * 10**12)],
)
def test_sizes_tell_binary_from_decimal(text: str, size: int) -> None:
    assert parse_size(text) == size


@pytest.mark.parametrize(
    ("text", "bps"),
    [("400Gb/s", 400 * 10**9), ("4GB/s", 32 * 10**9), ("1MiB/s", 8 * 2**20), ("10kb/s", 10_000)],
)
def test_rates_tell_bits_from_bytes(text: str, bps: int) -> None:
    assert parse_rate(text) == bps


@pytest.mark.parametrize("unit", sorted(SIZE_UNITS))
def test_every_size_is_a_rate_of_eight_times_as_many_bits(unit: str) -> None:
    assert RATE_UNITS[f"{unit}/s"] == 8 * SIZE_UNITS[unit]


@pytest.mark.parametrize(
    ("parse", "text", "said"),
    [
        (parse_duration, "80", "no unit"),
        (parse_duration, "80 parsecs", "not a unit"),
        (parse_duration, "1H", "did you mean h"),
        (parse_duration, "", "not a duration"),
        (parse_duration, "-5ms", "negative"),
        (parse_duration, "0.1ps", "less than 1 ps"),
        (parse_duration, "1e300d", "larger than anything"),
        (parse_duration, "nan s", "not a duration"),
        (parse_duration, "12:30", "not a duration"),
        (parse_duration, "1s2", "not a duration"),
        (parse_size, "13.1gb", "did you mean GB"),
        (parse_size, "10Gb", "did you mean GB"),
        (parse_size, "0.3B", "less than 1 B"),
        (parse_rate, "400G", "not a unit of rate"),
        (parse_rate, "400Gbps", "not a unit of rate"),
        (parse_rate, "-1Gb/s", "negative"),
    ],
)
def test_what_means_nothing_is_refused_with_a_remedy(parse, text: str, said: str) -> None:  # type: ignore[no-untyped-def]
    with pytest.raises(ValueError, match=said) as refused:
        parse(text)
    assert "; " in str(refused.value)


class Figures(Params):
    """One of each."""

    time: Duration = 0
    early: SignedDuration = 0
    size: Size = 0
    rate: Rate = 0
    delay: Delay = Distribution("constant", (0.0,))


@given(st.integers(0, 10**20), st.integers(-(10**20), 10**20), st.integers(0, 10**20), st.integers(0, 10**20))
def test_figures_are_written_with_units_and_read_back(time: int, early: int, size: int, rate: int) -> None:
    figures = Figures.model_construct(time=time, early=early, size=size, rate=rate)
    written = figures.model_dump(mode="json")
    assert all(isinstance(value, str) for value in written.values())
    assert Figures.model_validate_json(json.dumps(written), strict=True) == figures


@pytest.mark.parametrize("bare", [5, 5.0, True, None, [], {}])
def test_a_bare_number_is_no_quantity(bare: object) -> None:
    for key in ("time", "size", "rate"):
        with pytest.raises(ValidationError, match="write a number and a unit"):
            Figures.model_validate({key: bare})


@pytest.mark.parametrize(
    "written",
    ["5ms", {"uniform": ["0s", "200ms"]}, {"exponential": "20ms"}, {"lognormal": {"median": "2s", "sigma": 0.25}},
     {"pareto": {"minimum": "1ms", "shape": 2}}],
)  # fmt: skip
def test_distributions_are_read_back(written: object) -> None:
    distribution = read_distribution(written)
    assert read_distribution(write_distribution(distribution)) == distribution


@pytest.mark.parametrize(
    "written",
    [5, {}, {"uniform": "5ms"}, {"uniform": ["2s", "1s"]}, {"exponential": 5}, {"normal": "5ms"},
     {"lognormal": {"median": "2s"}}, {"pareto": {"minimum": "1ms", "shape": 0}},
     {"uniform": ["0s", "1s"], "constant": "1s"},
     {"lognormal": {"median": "2s", "sigma": -1}}, {"constant": "-5ms"}, {"exponential": "0s", "x": 1}],
)  # fmt: skip
def test_what_is_no_distribution_is_refused(written: object) -> None:
    with pytest.raises(ValueError, match="write"):
        read_distribution(written)

"""Every closed form against something that was derived another way: enumeration, exact fractions, or drawing."""

from __future__ import annotations

import itertools
import math
import random
from dataclasses import dataclass
from fractions import Fraction

import pytest

from hwsim.studies import closed_forms as cf


@dataclass(frozen=True)
class Steps:
    """A law on a few values, all equally likely: small enough to enumerate."""

    values: tuple[float, ...]

    def cdf(self, x: float) -> float:
        return sum(value <= x for value in self.values) / len(self.values)

    @property
    def kinks(self) -> tuple[float, ...]:
        return tuple(sorted(self.values))


def z(measured: float, expected: float, variance: float, n: int) -> float:
    return (measured - expected) / math.sqrt(variance / n)


# E1.1


@pytest.mark.parametrize(("domains", "good"), [(2, 0.9333), (4, 0.8800), (16, 0.8235), (64, 0.8062)])
def test_uniform_pins(domains: int, good: float) -> None:
    assert cf.good_share_uniform(domains, 0.2, 1.0) == pytest.approx(good, abs=5e-5)


@pytest.mark.parametrize("domains", [1, 2, 3, 7, 64])
def test_uniform_by_exact_integration_of_the_polynomial(domains: int) -> None:
    # 1 - u^N - (1-u)^N expanded by the binomial theorem and integrated term by term, in fractions.
    alternating = sum(Fraction((-1) ** k * math.comb(domains, k), k + 1) for k in range(domains + 1))
    mixed = Fraction(1, 5) * (1 - Fraction(1, domains + 1) - alternating)
    assert cf.good_share_uniform(domains, 0.2, 1.0) == pytest.approx(float(1 - mixed), abs=1e-12)
    assert cf.mixed_share([cf.Uniform(0, 0.2)] * domains, 1.0) == pytest.approx(float(mixed), abs=1e-12)


def test_uniform_tends_to_the_window_and_no_further() -> None:
    assert cf.good_share_uniform(10**9, 0.2, 1.0) == pytest.approx(0.8, abs=1e-8)


def test_range_variance_uniform_by_enumeration_on_a_grid() -> None:
    cells, domains = 60, 3
    ranges = [max(x) - min(x) for x in itertools.product(range(cells), repeat=domains)]
    mean = Fraction(sum(ranges), len(ranges))
    variance = Fraction(sum(r * r for r in ranges), len(ranges)) - mean**2
    # a grid of m cells differs from the continuum by 1/m^2
    assert cf.range_variance_uniform(domains, 1.0) == pytest.approx(float(variance) / cells**2, rel=3 / cells)


def test_exponential_pin_and_its_exact_form() -> None:
    assert cf.good_share_exponential(64, 0.02, 1.0) == pytest.approx(0.9054, abs=5e-5)
    # E[range] = tau * sum_k (-1)^(k+1) C(N,k)/k - tau/N by inclusion and exclusion, in fractions
    domains = 12
    greatest = sum(Fraction((-1) ** (k + 1) * math.comb(domains, k), k) for k in range(1, domains + 1))
    expected = 1 - 0.02 * float(greatest - Fraction(1, domains))
    assert cf.good_share_exponential(domains, 0.02, 1.0) == pytest.approx(expected, abs=1e-12)
    assert 1 - cf.mixed_share([cf.Exponential(0.02)] * domains, 1.0) == pytest.approx(expected, abs=1e-10)
    assert cf.same_share_overlapping(cf.Exponential(0.02), domains, 1.0) == pytest.approx(expected, abs=1e-10)


def test_range_variance_exponential_by_drawing() -> None:
    draw, n, domains = random.Random(1), 20_000, 5
    ranges = []
    for _ in range(n):
        x = [draw.expovariate(1.0) for _ in range(domains)]
        ranges.append(max(x) - min(x))
    mean = sum(ranges) / n
    squares = [(r - mean) ** 2 for r in ranges]
    variance = sum(squares) / n
    spread = sum((s - variance) ** 2 for s in squares) / n
    assert abs(z(variance, cf.range_variance_exponential(domains, 1.0), spread, n)) < 4


def test_heterogeneous_by_enumeration() -> None:
    laws = [Steps((0.0, 0.2, 0.5)), Steps((0.1, 0.3)), cf.Constant(0.25), cf.Early(Steps((0.0, 0.4)), 0.125)]
    instants = [(0.0, 0.2, 0.5), (0.1, 0.3), (0.25,), (-0.125, 0.275)]
    ranges = [max(x) - min(x) for x in itertools.product(*instants)]
    assert cf.mixed_share(laws, 2.0) == pytest.approx(sum(ranges) / len(ranges) / 2.0, abs=1e-12)


def test_heterogeneous_with_skew_by_drawing() -> None:
    laws = [cf.Uniform(0.05, 0.3), cf.Early(cf.Exponential(0.02), 0.1), cf.Early(cf.Constant(0.1), -0.05)]
    draw, n = random.Random(2), 20_000
    ranges = []
    for _ in range(n):
        x = [draw.uniform(0.05, 0.3), draw.expovariate(50.0) - 0.1, 0.15]
        ranges.append(max(x) - min(x))
    mean = sum(ranges) / n
    variance = sum((r - mean) ** 2 for r in ranges) / n
    assert abs(z(mean, cf.mixed_share(laws, 1.0), variance, n)) < 4


def test_pathwise_identity_on_a_timeline_swept_by_hand() -> None:
    durable = [[1.0, 4.0, 2.0], [10.5, 10.5, 10.5], [21.0, 20.0, 27.0]]
    held, mixed = [0, 0, 0], 0.0
    events = sorted((t, i, k) for k, row in enumerate(durable, start=1) for i, t in enumerate(row))
    for (t, i, k), later in itertools.zip_longest(events, events[1:]):
        held[i] = k
        if len(set(held)) > 1:
            assert later is not None
            mixed += later[0] - t
    assert cf.mixed_share_pathwise(durable, 30.0) == pytest.approx(mixed / 30.0, abs=1e-15)


def test_overlap_is_refused_where_the_form_does_not_hold() -> None:
    for call in (
        lambda: cf.good_share_uniform(4, 1.5, 1.0),
        lambda: cf.at_latest_uniform(4, 1.5, 1.0),
        lambda: cf.mixed_share([cf.Uniform(0, 0.6), cf.Early(cf.Uniform(0, 0.6), 0.6)], 1.0),
        lambda: cf.mixed_restarting(cf.Exponential(0.5), 4, 1.0, 2.0),
    ):
        with pytest.raises(ValueError, match="overlap"):
            call()


# E1.2


def test_at_latest_by_exact_integration() -> None:
    domains, share = 6, Fraction(1, 5)
    shares = cf.at_latest_uniform(domains, 0.2, 1.0)
    for j in range(domains + 1):  # C(N,j) int u^j (1-u)^(N-j) du, by the binomial theorem
        piece = math.comb(domains, j) * sum(
            Fraction((-1) ** k * math.comb(domains - j, k), j + k + 1) for k in range(domains - j + 1)
        )
        expected = share * piece + (1 - share if j == domains else 0)
        assert shares[j] == pytest.approx(float(expected), abs=1e-15)
    assert sum(shares) == pytest.approx(1.0, abs=1e-15)
    mixed = sum(shares[1:domains])
    assert cf.good_share_uniform(domains, 0.2, 1.0) == pytest.approx(1 - mixed, abs=1e-12)
    distinct = cf.distinct_overlapping(cf.Uniform(0, 0.2), domains, 1.0)
    assert cf.distinct_mean(mixed) == pytest.approx(distinct, abs=1e-12)


def test_piece_variance_by_drawing() -> None:
    draw, n, domains = random.Random(3), 20_000, 4
    pieces = []
    for _ in range(n):
        x = sorted(draw.random() for _ in range(domains))
        pieces.append(x[2] - x[1])
    mean = sum(pieces) / n
    squares = [(p - mean) ** 2 for p in pieces]
    variance = sum(squares) / n
    spread = sum((s - variance) ** 2 for s in squares) / n
    assert abs(z(mean, 1 / (domains + 1), variance, n)) < 4
    assert abs(z(variance, cf.piece_variance_uniform(domains, 1.0), spread, n)) < 4


# E1.3


@pytest.mark.parametrize("domains", [1, 2, 5])
def test_fixed_phase_by_enumeration(domains: int) -> None:
    same = [len(set(vector)) == 1 for vector in itertools.product((0, 1), repeat=domains)]
    assert cf.same_at_phase(0.5, domains) == cf.uniform_vectors(domains) == sum(same) / len(same)
    thirds = [len(set(vector)) == 1 for vector in itertools.product((0, 1, 1), repeat=domains)]
    assert cf.same_at_phase(2 / 3, domains) == pytest.approx(sum(thirds) / len(thirds), abs=1e-15)


def test_fixed_phase_is_worst_half_way() -> None:
    assert min(range(101), key=lambda f: cf.same_at_phase(f / 100, 8)) == 50


# E1.4


def test_random_phase_by_enumeration() -> None:
    # phases on a grid of m: the expected range over (m) tends to (N-1)/(N+1), and the mean range is exact there
    cells, domains = 40, 3
    ranges = [max(x) - min(x) for x in itertools.product(range(cells), repeat=domains)]
    assert 1 - sum(ranges) / len(ranges) / cells == pytest.approx(cf.same_share_random_phase(domains), abs=1 / cells)
    assert cf.same_share_random_phase(domains) == pytest.approx(cf.good_share_uniform(domains, 1.0, 1.0), abs=1e-15)


@pytest.mark.parametrize("mean", [0.0, 0.3, 4.0, 50.0])
def test_free_running_pairs_are_a_bessel_function(mean: float) -> None:
    # P(two Poisson counts agree) = e^(-2m) I_0(2m), the Skellam law at 0; I_0 by Bessel's integral
    steps = 2000
    bessel = sum(math.exp(2 * mean * (math.cos(math.pi * (k + 0.5) / steps) - 1)) for k in range(steps)) / steps
    assert cf.same_free_running(2, mean) == pytest.approx(bessel, rel=1e-12)


def test_free_running_is_exponential_in_the_domains() -> None:
    falls = [cf.same_free_running(n + 1, 6.0) / cf.same_free_running(n, 6.0) for n in (20, 40, 80)]
    most_likely = math.exp(-6) * 6**6 / math.factorial(6)
    assert falls == pytest.approx([most_likely] * 3, rel=2e-2)
    assert cf.same_free_running(1, 6.0) == pytest.approx(1.0, abs=1e-12)


# E1.5


@pytest.mark.parametrize("domains", [1, 2, 3])
def test_overlapping_by_enumeration(domains: int) -> None:
    values = (0.5, 1.25, 2.75)  # in periods; three checkpoints back decide everything
    law, phases = Steps(values), (0.125, 0.375, 0.625, 0.875)  # one in each stretch between two steps
    single = {}
    for s in phases:
        ages = []
        for x in itertools.product(values, repeat=4):  # x[j]: the delay of the checkpoint j before the last
            ages.append(next((j for j in range(4) if x[j] <= j + s), None))
        assert None not in ages
        single[s] = ages
    same = distinct = Fraction(0)
    for s in phases:
        counts = [Fraction(single[s].count(d), len(single[s])) for d in range(4)]
        ages = cf.age_probabilities(law, s, 1.0)
        assert [*ages, 0.0, 0.0, 0.0, 0.0][:4] == pytest.approx([float(c) for c in counts], abs=1e-12)
        for vector in itertools.product(range(4), repeat=domains):
            weight = math.prod((counts[d] for d in vector), start=Fraction(1))
            same += weight * (len(set(vector)) == 1) / len(phases)
            distinct += weight * len(set(vector)) / len(phases)
    assert cf.same_share_overlapping(law, domains, 1.0) == pytest.approx(float(same), abs=1e-12)
    assert cf.distinct_overlapping(law, domains, 1.0) == pytest.approx(float(distinct), abs=1e-12)


@pytest.mark.parametrize(("law", "sample"), [
    (cf.Uniform(0, 2.6), lambda draw: 2.6 * draw.random()),
    (cf.Exponential(1.5), lambda draw: draw.expovariate(1 / 1.5)),
])
def test_overlapping_by_drawing(law: cf.Law, sample) -> None:  # type: ignore[no-untyped-def]
    draw, n, domains = random.Random(5), 8000, 4
    same = distinct = squares = 0
    for _ in range(n):
        s, held = draw.random(), set()
        for _ in range(domains):
            d = 0
            while sample(draw) > d + s:
                d += 1
            held.add(d)
        same += len(held) == 1
        distinct += len(held)
        squares += len(held) ** 2
    p = cf.same_share_overlapping(law, domains, 1.0)
    assert abs(z(same / n, p, p * (1 - p), n)) < 4
    assert abs(z(distinct / n, cf.distinct_overlapping(law, domains, 1.0), squares / n - (distinct / n) ** 2, n)) < 4


# E1.6


def test_restarting_pin() -> None:
    assert cf.mixed_restarting(cf.Uniform(0, 0.4), 8, 1.0, 2.0) == pytest.approx(0.3581, abs=5e-5)
    assert 1 - cf.good_share_uniform(8, 0.4, 1.0) == pytest.approx(0.3111, abs=5e-5)
    assert cf.mixed_restarting(cf.Uniform(0, 0.4), 8, 1.0, 1e7) == pytest.approx(0.31111, abs=1e-5)


def test_phase_density_folds_the_exponential() -> None:
    for s in (0.0, 0.3, 0.99):
        folded = sum(math.exp(-(s + k) / 2) / 2 for k in range(200))
        assert cf.phase_density(s, 1.0, 2.0) == pytest.approx(folded, rel=1e-12)
    assert cf.integral(lambda s: cf.phase_density(s, 1.0, 2.0), [0, 1]) == pytest.approx(1.0, abs=1e-14)


def test_restarting_by_drawing_with_and_without_a_memory() -> None:
    draw, n, domains = random.Random(6), 40_000, 8
    fresh = lasting = 0
    left = 0  # how many checkpoints the last crash left on the media
    for _ in range(n):
        t = draw.expovariate(1 / 2.0)
        k, s = divmod(t, 1.0)
        done = sum(draw.random() * 0.4 <= s for _ in range(domains))
        fresh += 0 < done < domains
        mixed = 0 < done < domains or (done == 0 and k == 0 and left > 1)
        left = 2 if mixed else 1
        lasting += mixed
    p = cf.mixed_restarting(cf.Uniform(0, 0.4), domains, 1.0, 2.0)
    assert abs(z(fresh / n, p, p * (1 - p), n)) < 4
    p = cf.mixed_restarting_in_place(cf.Uniform(0, 0.4), domains, 1.0, 2.0)
    assert abs(z(lasting / n, p, p * (1 - p), n)) < 4


# Quadrature


def test_gauss_legendre_is_exact_for_polynomials() -> None:
    for nodes in (2, 5, 16):
        for degree in range(2 * nodes):
            exact = 0.0 if degree % 2 else 2 / (degree + 1)
            measured = math.fsum(w * x**degree for x, w in cf.gauss_legendre(nodes))
            assert measured == pytest.approx(exact, abs=1e-14)


def test_integral_against_simpson() -> None:
    steps = 2000

    def f(x: float) -> float:
        return math.exp(-x) * math.sin(5 * x)

    values = [f(2 * k / steps) * (1 if k in (0, steps) else 4 if k % 2 else 2) for k in range(steps + 1)]
    simpson = math.fsum(values) * (2 / steps) / 3
    assert cf.integral(f, [0, 2]) == pytest.approx(simpson, abs=1e-10)

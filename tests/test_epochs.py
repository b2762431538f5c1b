"""The epoch lattice: its laws, and what a recovery line is."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.epochs import EpochVector, best_common_line

epochs = st.integers(0, 6)


def vectors(count: int) -> st.SearchStrategy[tuple[EpochVector, ...]]:
    def of(domains: int) -> st.SearchStrategy[tuple[EpochVector, ...]]:
        vector = st.lists(epochs, min_size=domains, max_size=domains).map(lambda found: EpochVector(tuple(found)))
        return st.tuples(*[vector] * count)

    return st.integers(1, 4).flatmap(of)


@given(vectors(3))
def test_meet_and_join_make_a_distributive_lattice(found: tuple[EpochVector, ...]) -> None:
    a, b, c = found
    for op in (EpochVector.meet, EpochVector.join):
        assert op(a, a) == a
        assert op(a, b) == op(b, a)
        assert op(a, op(b, c)) == op(op(a, b), c)
    assert a.meet(a.join(b)) == a == a.join(a.meet(b))
    assert a.meet(b.join(c)) == a.meet(b).join(a.meet(c))


@given(vectors(3))
def test_the_order_is_the_lattices_own(found: tuple[EpochVector, ...]) -> None:
    a, b, c = found
    assert (a <= b) == (a.meet(b) == a) == (a.join(b) == b)
    assert a.meet(b) <= a <= a.join(b)
    assert not (a < b and b < a)
    if a <= b <= c:
        assert a <= c
    if c <= a and c <= b:
        assert c <= a.meet(b)
    assert (a < b) == (a <= b and a != b) == (b > a)
    assert (a >= b) == (b <= a)


@given(vectors(1), epochs)
def test_the_recovery_line_is_the_greatest_uniform_vector_below(found: tuple[EpochVector], epoch: int) -> None:
    vector = found[0]
    line = EpochVector.uniform(vector.recovery_line, len(vector))
    assert line <= vector
    assert (EpochVector.uniform(epoch, len(vector)) <= vector) == (epoch <= vector.recovery_line)
    assert vector.is_uniform == (vector == line) == (vector.distinct == 1) == (vector.spread == 0)
    # domains that keep every version up to their own agree on it
    assert best_common_line([range(epoch + 1) for epoch in vector]) == vector.recovery_line


def test_spread_and_distinct() -> None:
    vector = EpochVector((3, 1, 3, 2))
    assert (vector.distinct, vector.spread, vector.recovery_line, vector.is_uniform) == (3, 2, 1, False)


def test_kept_versions_may_share_none() -> None:
    assert best_common_line([{1, 2}, {2, 3}, {2}]) == 2
    assert best_common_line([{1, 2}, {3}]) is None
    assert best_common_line([]) is None


def test_vectors_of_different_domains_do_not_compare() -> None:
    with pytest.raises(ValueError):
        EpochVector((1,)).meet(EpochVector((1, 2)))
    with pytest.raises(ValueError):
        EpochVector((-1,))

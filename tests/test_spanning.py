"""The tree over the links, against brute force; snapshots as octets, there and back, and damaged."""

from __future__ import annotations

from itertools import pairwise, permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hwsim.bilateral import exchange, frame, snapshots
from hwsim.bilateral.snapshots import Kind, Snapshot, decode, encode, of_frame, to_frame
from hwsim.bilateral.spanning import centre, distances, graph_of, spanning_tree
from hwsim.bilateral.tec import Frame, Mode, Version

NAMES = [f"d{i}" for i in range(6)]
LINKS = st.lists(st.tuples(st.sampled_from(NAMES), st.sampled_from(NAMES)), max_size=12)


@given(LINKS)
def test_distances_are_those_of_all_paths(links: list[tuple[str, str]]) -> None:
    graph = graph_of(NAMES, links)
    shortest = {"d0": 0}
    for length in range(1, len(NAMES)):
        for path in permutations(NAMES[1:], length):
            if path[-1] not in shortest and all(b in graph[a] for a, b in zip(("d0", *path), path, strict=False)):
                shortest[path[-1]] = length
    assert distances(graph, "d0") == shortest


@given(LINKS, st.sampled_from(NAMES))
def test_a_tree_has_the_reached_domains_each_as_near_as_can_be(links: list[tuple[str, str]], root: str) -> None:
    graph = graph_of(NAMES, links)
    parents, hops = spanning_tree(graph, root), distances(graph, root)
    assert set(parents) == set(hops)
    assert next(iter(parents)) == root
    for domain, parent in parents.items():
        if parent is None:
            assert domain == root
        else:
            assert parent in graph[domain]
            assert hops[domain] == hops[parent] + 1


@pytest.mark.parametrize("count", range(2, 9))
def test_the_centre_of_a_path_halves_it(count: int) -> None:
    names = [f"d{i}" for i in range(count)]
    graph = graph_of(names, pairwise(names))
    assert max(distances(graph, centre(graph)).values()) == count // 2  # ceil of the diameter, count - 1, by 2


LABELS = st.none() | st.integers(0, 2**32 - 2)
SNAPSHOTS = st.builds(
    Snapshot, st.sampled_from(Kind), st.sampled_from(Mode), st.integers(0, 2**16 - 1), st.integers(0, 2**32 - 1),
    st.integers(0, 2**64 - 1), st.tuples(LABELS, LABELS),
)  # fmt: skip


@given(SNAPSHOTS)
def test_a_snapshot_comes_back_from_its_payload_and_its_frame(snapshot: Snapshot) -> None:
    assert len(snapshot.pack()) == 24
    assert Snapshot.unpack(snapshot.pack()) == snapshot
    assert len(encode(snapshot)) == 64
    assert decode(encode(snapshot)) == snapshot


@given(SNAPSHOTS, st.integers(0, 8 * 64 - 1))
def test_a_flipped_bit_makes_it_no_snapshot(snapshot: Snapshot, bit: int) -> None:
    octets = bytearray(encode(snapshot))
    octets[bit // 8] ^= 1 << bit % 8
    assert decode(bytes(octets)) is None


@given(st.binary(max_size=90))
def test_what_is_no_snapshot_is_read_as_none(octets: bytes) -> None:
    assert decode(octets) is None


def test_other_frames_on_the_same_wire_are_no_snapshots() -> None:
    assert decode(exchange.encode(exchange.Message(exchange.Kind.DATA, 7))) is None
    snapshot = Snapshot(Kind.UP, Mode.RUN, 1, 0, 1)
    assert exchange.decode(encode(snapshot)) is None
    assert isinstance(frame.decode(encode(snapshot)), frame.Drop)
    assert snapshots.ETHERTYPE != 0x88B5
    assert Snapshot.unpack(bytes(23)) is None
    assert Snapshot.unpack(bytes(24)) is None


@given(st.integers(0, 9), st.integers(2, 4), st.data(), st.sampled_from(Mode), st.booleans())
def test_a_frame_comes_back_from_its_snapshots(
    newest: int, kept: int, data: st.DataObject, mode: Mode, upward: bool
) -> None:
    numbers = data.draw(st.sets(st.integers(max(newest - kept + 1, 0), newest)))
    held = frozenset(Version(number, data.draw(st.integers(0, 3))) for number in numbers)
    tells = mode is Mode.REC and upward
    told = Frame(3, mode, held=held) if tells else Frame(3, mode, newest)
    if numbers and tells:  # what is told counts from the newest one that is held
        assert max(numbers) - min(numbers) < kept
    assert to_frame(of_frame(told, 5, kept, upward=upward)) == told

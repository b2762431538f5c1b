"""Worlds of domains on bilateral links, built in Python, for tests of the protocols that run over them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise
from typing import Any

import builders

from hwsim.bilateral.params import BilateralParams
from hwsim.topology.spec import LinkSpec, Topology

LINK: Mapping[str, Any] = {
    "kind": "bilateral", "rate": "400Gb/s", "delay": "0s", "beacon": "10h", "retransmit": "10h",
    "nv": {"write": "1ns", "word": "128B"},
}  # fmt: skip
SHAPES = {
    "line": lambda n: list(pairwise(range(n))),
    "ring": lambda n: [*pairwise(range(n)), (n - 1, 0)],
    "star": lambda n: [(0, i) for i in range(1, n)],
    "complete": lambda n: list(combinations(range(n), 2)),
}


def linked(
    count: int,
    shape: str | Sequence[tuple[int, int]],
    kind: str = "tree_convergence",
    *,
    link: Mapping[str, Any] | None = None,
    slow: Mapping[int, Any] | None = None,
    protocol: Mapping[str, Any] | None = None,
    **rest: Any,
) -> Topology:
    """*count* abstract domains that bilateral links join; *slow*: domain -> its own persist delay."""
    pairs = SHAPES[shape](count) if isinstance(shape, str) else shape
    params = BilateralParams.model_validate({**LINK, **(link or {})})
    topology = builders.abstract(
        count,
        rest.pop("persist", None),
        protocol={"kind": kind, **(protocol or {})},
        workload={"in_flight": {"max": 1}, **rest.pop("workload", {})},
        links=[LinkSpec(f"d{a}--d{b}", "bilateral", f"d{a}", f"d{b}", params) for a, b in pairs],
        **rest,
    )
    own = {f"d{i}": builders.device(f"d{i}", "abstract", persist=persist) for i, persist in (slow or {}).items()}
    return dataclasses.replace(topology, devices={**topology.devices, **own})

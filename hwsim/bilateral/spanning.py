"""A fixed spanning tree over the links of a set of domains, and its root.

The default root is the centre of the graph: the domain from which the farthest other one is nearest (the first in
the given order, where there are several).  On a tree of diameter D the height is then ceil(D/2), which is the least.
The tree is that of a breadth-first search, so no domain is farther from the root than it must be.

Source: C. Jordan, "Sur les assemblages de lignes", J. reine angew. Math. 70 (1869), for the centre of a tree.

Not modelled: another tree when a link is cut.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping

Graph = Mapping[str, tuple[str, ...]]  # domain -> those that a link joins it to


def graph_of(domains: Iterable[str], links: Iterable[tuple[str, str]]) -> dict[str, tuple[str, ...]]:
    """Who is next to whom, in the order of *links*; a link within one domain, or to none of them, joins nobody."""
    beside: dict[str, dict[str, None]] = {domain: {} for domain in domains}
    for a, b in links:
        if a != b and a in beside and b in beside:
            beside[a][b] = None
            beside[b][a] = None
    return {domain: tuple(others) for domain, others in beside.items()}


def distances(graph: Graph, start: str) -> dict[str, int]:
    """Hops from *start* to every domain that it reaches."""
    return {domain: hops for domain, (hops, _) in _search(graph, start).items()}


def centre(graph: Graph) -> str:
    """The first of the domains whose farthest other one is nearest."""
    return min(graph, key=lambda domain: max(distances(graph, domain).values()))


def spanning_tree(graph: Graph, root: str) -> dict[str, str | None]:
    """The parent of every domain that *root* reaches, the root first (its parent is None), nearer ones before."""
    return {domain: parent for domain, (_, parent) in _search(graph, root).items()}


def _search(graph: Graph, start: str) -> dict[str, tuple[int, str | None]]:
    found: dict[str, tuple[int, str | None]] = {start: (0, None)}
    waiting = deque([start])
    while waiting:
        domain = waiting.popleft()
        for other in graph[domain]:
            if other not in found:
                found[other] = (found[domain][0] + 1, domain)
                waiting.append(other)
    return found

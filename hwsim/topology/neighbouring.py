"""Protocols that run over bilateral links: whether those join the domains that save, and which domain is the root."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from hwsim.bilateral import spanning
from hwsim.topology.names import Names
from hwsim.topology.spec import ShardSpec

if TYPE_CHECKING:
    from pydantic import BaseModel

    from hwsim.topology.document import Document
    from hwsim.topology.hardware import Hardware

_KINDS = ("bilateral_pairwise", "tree_convergence")


def fit_to_links(
    document: Document, protocol: BaseModel, shards: Sequence[ShardSpec], hardware: Hardware, names: Names
) -> BaseModel:
    """*protocol*, with its root named; the mistakes go to the document.

    A domain is a node with a shard's source in it, or an abstract domain.
    """
    if getattr(protocol, "kind", None) not in _KINDS:
        return protocol

    def home(device: str) -> str:
        return hardware.devices[device].node or device

    domains = list(dict.fromkeys(home(shard.source or shard.device) for shard in shards))
    bilateral = [link for link in hardware.links.values() if not link.routed]
    graph = spanning.graph_of(domains, ((home(link.a), home(link.b)) for link in bilateral))
    if hardware.complete and domains:
        reached = spanning.distances(graph, domains[0])
        apart = next((domain for domain in domains if domain not in reached), None)
        if apart is not None or not bilateral:
            problem = f"no bilateral links lead from '{domains[0]}' to '{apart}'"
            problem = problem if bilateral else "there is no bilateral link"
            remedy = "write links that join all domains, with kind: bilateral, such as spread: line"
            document.wrong(("protocol",), problem, remedy, key=True)
    wanted: str | None = getattr(protocol, "root", None)
    if wanted is None or not domains:
        return protocol
    at = ("protocol", "root")
    found = names.find((wanted,), at, ("node", "device"))
    homes = list(dict.fromkeys(name if name in hardware.nodes else home(name) for name in found))
    if len(homes) > 1:
        document.wrong(at, f"'{wanted}' names {len(homes)}", "name one")
    elif homes and homes[0] not in domains:
        document.wrong(at, f"'{wanted}' saves nothing, so it is no domain", f"name one of them, such as '{domains[0]}'")
    return protocol.model_copy(update={"root": homes[0]}) if len(homes) == 1 else protocol

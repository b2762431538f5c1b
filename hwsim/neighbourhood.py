"""The domains of a job whose commit protocol runs over bilateral links: who belongs to one, and who is next to whom.

A domain here is what saves and crashes as one: a node with all of its ranks, or an abstract domain.

Not modelled: several links between two domains as one way (the first of them is used).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hwsim.bilateral.live import BilateralLink
    from hwsim.domain import World
    from hwsim.protocol import Job, Placed


class Site:
    """One domain.  *links*: domain next to it -> the link there; *ends*: the same, its own device at which it ends."""

    def __init__(self, name: str, host: str) -> None:
        self.name = name
        self.host = host
        self.parts: list[Placed] = []
        self.devices: list[str] = []
        self.links: dict[str, BilateralLink] = {}
        self.ends: dict[str, str] = {}

    def __repr__(self) -> str:
        return f"Site({self.name!r})"


def home(world: World, device: str) -> str:
    """The name of the domain that a device belongs to."""
    return world.domains[device].node or device


def sites_of(job: Job) -> dict[str, Site]:
    """Every domain in which the job saves something, by name, in the order of its ranks."""
    sites: dict[str, Site] = {}
    for node in job.nodes:
        name = home(job.world, node.endpoint)
        if name not in sites:
            sites[name] = Site(name, node.endpoint)
            sites[name].devices = [device for device in job.world.domains if home(job.world, device) == name]
        sites[name].parts += node.parts
    for link in job.links.values():
        a, b = home(job.world, link.a), home(job.world, link.b)
        if a in sites and b in sites and a != b and b not in sites[a].links:
            for mine, theirs, end in ((a, b, link.a), (b, a, link.b)):
                sites[mine].links[theirs] = link
                sites[mine].ends[theirs] = end
    return sites

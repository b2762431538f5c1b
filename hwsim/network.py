"""Devices joined by links: routes, messages from device to device, and the pipes that data crosses.

A node's devices hang on its host without delay or limit of their own (their own pipes say what
their buses carry).  Routes are fixed when the network is built: fewest links, then the least delay,
then names.  A message is stored and forwarded whole at every device; it is lost with a frame, and
with any device on its way that is dark when it gets there or dies while it is there.

`send` is one attempt; `send_reliably` is a transport: each attempt is a message, a receiver that got
it says so, the sender tries again after a time that doubles, and either forgets all with a crash.

Source: RFC 6298, sections 5.5 (doubling) and 2.5 (a bound of at least 60 s); Dijkstra 1959 for routes.

Not modelled: rerouting around what is down; more than one route at a time; set-up of connections.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from functools import partial
from heapq import heappop, heappush
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from hwsim.link import KINDS, EthernetLink, Way

if TYPE_CHECKING:
    from hwsim.distributions import Distribution
    from hwsim.domain import PersistenceDomain, World
    from hwsim.flow import Pipe

MAX_TIMEOUT_PS = 60 * 10**12
ACKNOWLEDGEMENT_BYTES = 0  # of payload: padded to a minimum frame


class LinkLike(Protocol):
    """What is asked of the spec of a link."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def a(self) -> str: ...
    @property
    def b(self) -> str: ...
    @property
    def params(self) -> Any: ...


class Carrier(Protocol):
    """What is asked of a link that carries no messages."""

    def take_down(self) -> None: ...
    def bring_up(self) -> None: ...
    def figures(self) -> dict[str, Any]: ...


class Hop(NamedTuple):
    """One step of a route: over *way*, or inside a node where it is None, to *device*."""

    way: Way | None
    device: str


class _Message(NamedTuple):
    """A message under way: its size, its route, and what to do at either end of its life."""

    size_bytes: int
    route: tuple[Hop, ...]
    arrived: Callable[[], None]
    dropped: Callable[[str], None]


class Network:
    """All links between the devices of a world; make it after the last device.

    `message_delay` carries messages between devices that no route joins.
    """

    def __init__(self, world: World, links: Iterable[LinkLike], message_delay: Distribution | None = None) -> None:
        self.world = world
        self.env = world.env
        self.message_delay = message_delay
        self.links: dict[str, EthernetLink] = {}
        self.beside: dict[str, Carrier] = {}  # links that no route uses; whoever makes them puts them here
        self.ways: list[Way] = []
        self.incarnation: dict[str, int] = {}  # how often a device has stopped
        self._neighbours: dict[str, list[tuple[Hop, int]]] = {name: [] for name in world.domains}
        self._trees: dict[str, dict[str, tuple[str, Hop]]] = {}
        self._routes: dict[tuple[str, str], tuple[Hop, ...] | None] = {}
        self._last_arrival: dict[tuple[str, str], int] = {}
        self._streams: dict[tuple[str, str], random.Random] = {}
        for link in links:
            self._add(link)
        for name, device in world.domains.items():
            self.incarnation[name] = 0
            device.on_stop.append(partial(self._stopped, name))
            if device.host is not None and device.host != name and device.host in self._neighbours:
                self._neighbours[name].append((Hop(None, device.host), 0))
                self._neighbours[device.host].append((Hop(None, name), 0))

    def _add(self, spec: LinkLike) -> None:
        link = KINDS[spec.kind](
            spec.name, spec.a, spec.b, spec.params, self.env, self.world.flows, self.world.stream
        )
        self.links[spec.name] = link
        for end, other in ((spec.a, spec.b), (spec.b, spec.a)):
            way = link.ways[end]
            self.ways.append(way)
            self._neighbours[end].append((Hop(way, other), spec.params.delay))
            device = self.world.domains[end]
            device.on_stop.append(partial(link.end_stopped, end))
            device.on_restore.append(partial(link.end_restored, end))
            if not device.up:
                link.end_stopped(end)

    def _stopped(self, name: str, _crash_kind: str) -> None:
        self.incarnation[name] += 1

    # routes

    def hops(self, a: str, b: str) -> tuple[Hop, ...]:
        """The steps from device *a* to device *b*, none from one to itself.  Raises LookupError without a route."""
        if (a, b) not in self._routes:
            self._routes[a, b] = self._find(a, b)
        route = self._routes[a, b]
        if route is None:
            raise LookupError(f"no link joins {a} to {b}")
        return route

    def joined(self, a: str, b: str) -> bool:
        """Whether a route leads from *a* to *b*."""
        try:
            self.hops(a, b)
        except LookupError:
            return False
        return True

    def route(self, a: str, b: str) -> tuple[Way, ...]:
        """The links from *a* to *b*, each as the way that is taken; none within a node.  Raises LookupError."""
        return tuple(hop.way for hop in self.hops(a, b) if hop.way is not None)

    def pipes(self, a: str, b: str) -> tuple[Pipe, ...]:
        """What data from *a* to *b* crosses outside both, in order: NICs, links, switches.  Raises LookupError."""
        crossed: list[Pipe] = []
        for way in self.route(a, b):
            crossed += self.world.domains[way.sender].crossed(outward=True)
            crossed.append(way.pipe)
            crossed += self.world.domains[way.receiver].crossed(outward=False)
        return tuple(crossed)

    def latency(self, a: str, b: str, size_bytes: int = 0) -> int:
        """How long (ps) a message takes from *a* to *b* over idle links, without jitter.  Raises LookupError."""
        total = 0
        for hop in self.hops(a, b):
            if hop.way is not None:
                total += hop.way.line_time(size_bytes) + hop.way.link.params.delay
            total += self.world.domains[hop.device].forwarding_delay
        return total

    def _find(self, a: str, b: str) -> tuple[Hop, ...] | None:
        if a not in self._trees:
            self._trees[a] = self._tree(a)
        tree = self._trees[a]
        back: list[Hop] = []
        at = b
        while at != a:
            if at not in tree:
                return None
            at, hop = tree[at]
            back.append(hop)
        return tuple(reversed(back))

    def _tree(self, root: str) -> dict[str, tuple[str, Hop]]:
        """For every device that *root* reaches: the device before it and the step from there (Dijkstra 1959)."""
        tree: dict[str, tuple[str, Hop]] = {}
        done: dict[str, None] = {}
        serial = 0
        heap: list[tuple[int, int, int, str, str, int, Hop | None]] = [(0, 0, 0, "", root, 0, None)]
        while heap:
            links, delay, steps, before, name, _, step = heappop(heap)
            if name in done:
                continue
            done[name] = None
            if step is not None:
                tree[name] = (before.partition("\0")[0], step)
            for hop, takes in self._neighbours[name]:
                if hop.device in done:
                    continue
                serial += 1
                over = hop.way is not None
                through = delay + takes + self.world.domains[hop.device].forwarding_delay
                link = hop.way.link.name if hop.way is not None else ""
                heappush(heap, (links + over, through, steps + 1, f"{name}\0{link}", hop.device, serial, hop))
        return tree

    # messages

    def send(self, sender: str, receiver: str, kind: str, epoch: int | None, size_bytes: int,
             on_delivery: Callable[[], None], *, on_drop: Callable[[str], None] | None = None) -> None:
        """Send one message from device to device; *on_delivery* is called if it arrives, never inside this call.

        Records `sent`, then `delivered` or `dropped` (detail: loss, fcs, dark, sender_dark or link_down).
        A sender that is dark sends nothing and records nothing.  Raises LookupError where neither a
        route nor a `message_delay` exists.
        """
        if not self.world.domains[sender].up:
            return
        record = self.world.record
        record("sent", sender, epoch=epoch, size_bytes=size_bytes, peer=receiver, detail=kind)

        def arrived() -> None:
            record("delivered", receiver, epoch=epoch, size_bytes=size_bytes, peer=sender, detail=kind)
            on_delivery()

        self._launch(sender, receiver, size_bytes, arrived, self._dropper(sender, receiver, epoch, size_bytes, on_drop))

    def send_reliably(self, sender: str, receiver: str, kind: str, epoch: int | None, size_bytes: int,
                      on_delivery: Callable[[], None], *, timeout_ps: int,
                      on_acknowledged: Callable[[], None] | None = None) -> Transfer:
        """Send a message again and again until it is acknowledged, the sender stops, or the result is cancelled.

        *on_delivery* is called once for each life of the receiver: one that crashed after it got the
        message knows nothing of it and gets it again.  Acknowledgements are frames, and no records.
        """
        return Transfer(self, sender, receiver, kind, epoch, size_bytes, on_delivery, timeout_ps, on_acknowledged)

    def _dropper(self, sender: str, receiver: str, epoch: int | None, size_bytes: int,
                 on_drop: Callable[[str], None] | None) -> Callable[[str], None]:
        def dropped(reason: str) -> None:
            self.world.record("dropped", receiver, epoch=epoch, size_bytes=size_bytes, peer=sender, detail=reason)
            if on_drop is not None:
                on_drop(reason)

        return dropped

    def _launch(self, sender: str, receiver: str, size_bytes: int, arrived: Callable[[], None],
                dropped: Callable[[str], None]) -> None:
        if self.joined(sender, receiver):
            message = _Message(size_bytes, self.hops(sender, receiver), arrived, dropped)
            if any(hop.way is not None for hop in message.route):
                self._forward(message, 0)
                return
            delay = 0
        elif self.message_delay is None:
            raise LookupError(f"no link joins {sender} to {receiver}, and no message_delay is given")
        else:
            delay = self.message_delay.draw(self._delays(sender, receiver))
        now: int = self.env.now  # type: ignore[assignment]
        at = max(now + delay, self._last_arrival.get((sender, receiver), 0))
        self._last_arrival[sender, receiver] = at
        device = self.world.domains[receiver]
        self._later(at - now, lambda: arrived() if device.up else dropped("dark"))

    def _delays(self, sender: str, receiver: str) -> random.Random:
        stream = self._streams.get((sender, receiver))
        if stream is None:
            stream = self._streams[sender, receiver] = self.world.stream("message_delay", sender, receiver)
        return stream

    def _forward(self, message: _Message, index: int) -> None:
        """The message is at the device before step *index*: take it on."""
        while index < len(message.route):
            way, name = message.route[index]
            if way is not None:
                way.transmit(message.size_bytes, partial(self._enter, message, index + 1), message.dropped)
                return
            if not self._pause(message, index + 1, self.world.domains[name]):
                return
            index += 1
        message.arrived()

    def _enter(self, message: _Message, index: int) -> None:
        """The message reached the device after step *index* - 1 over a link."""
        if self._pause(message, index, self.world.domains[message.route[index - 1].device]):
            self._forward(message, index)

    def _pause(self, message: _Message, index: int, device: PersistenceDomain) -> bool:
        """Whether it can go on from *device* at once; otherwise it was dropped, or goes on after a delay by itself."""
        if not device.up:
            message.dropped("dark")
            return False
        if not device.forwarding_delay:
            return True
        life = self.incarnation[device.name]

        def go_on() -> None:
            if self.incarnation[device.name] == life:
                self._forward(message, index)
            else:
                message.dropped("dark")

        self._later(device.forwarding_delay, go_on)
        return False

    def _later(self, delay_ps: int, action: Callable[[], None]) -> None:
        self.env.timeout(delay_ps).callbacks.append(lambda _: action())

    # links

    def take_down(self, name: str) -> None:
        """Cut a link: what is on it is lost, data stalls."""
        self.world.record("stopped", name, detail="link_down")
        self._link(name).take_down()

    def pause(self, device: str, *, paused: bool) -> None:
        """No data crosses a device's links for a while, or does again; messages still do, and nothing is lost."""
        for link in self.links.values():
            if device in (link.a, link.b):
                link.pause(device, paused=paused)

    def bring_up(self, name: str) -> None:
        """The link carries again."""
        self._link(name).bring_up()
        self.world.record("restored", name)

    def _link(self, name: str) -> Carrier | EthernetLink:
        return self.links[name] if name in self.links else self.beside[name]

    def figures(self) -> dict[str, dict[str, Any]]:
        """Counters of every link (see `Way.figures`), both ways added up.  For the end of a run: it draws."""
        use = self.world.flows.use()
        routed = {name: _added([way.figures(use[way.pipe.name].carried_bytes) for way in link.ways.values()])
                  for name, link in self.links.items()}
        return routed | {name: link.figures() for name, link in self.beside.items()}


class Transfer:
    """One message of a transport until it is acknowledged."""

    def __init__(self, network: Network, sender: str, receiver: str, kind: str, epoch: int | None, size_bytes: int,
                 on_delivery: Callable[[], None], timeout_ps: int, on_acknowledged: Callable[[], None] | None) -> None:
        if timeout_ps <= 0:
            raise ValueError(f"a timeout must be longer than 0, got {timeout_ps}")
        self.attempts = 0
        self.acknowledged = False
        self._network = network
        self._ends = (sender, receiver)
        self._what = (kind, epoch, size_bytes)
        self._on_delivery = on_delivery
        self._on_acknowledged = on_acknowledged
        self._timeout_ps = timeout_ps
        self._life = network.incarnation[sender]
        self._delivered_in: int | None = None  # the life of the receiver that has it
        self._open = True
        self._attempt()

    def cancel(self) -> None:
        """Give up: no further attempt.  What is under way may still arrive."""
        self._open = False

    def _alive(self) -> bool:
        sender = self._ends[0]
        return (self._open and self._network.incarnation[sender] == self._life
                and self._network.world.domains[sender].up)

    def _attempt(self) -> None:
        if not self._alive():
            return
        network, (sender, receiver), (kind, epoch, size_bytes) = self._network, self._ends, self._what
        self.attempts += 1
        network.world.record("sent", sender, epoch=epoch, size_bytes=size_bytes, peer=receiver, detail=kind)
        network._launch(sender, receiver, size_bytes, self._arrived,
                        network._dropper(sender, receiver, epoch, size_bytes, None))
        network._later(self._timeout_ps, self._attempt)
        self._timeout_ps = max(min(2 * self._timeout_ps, MAX_TIMEOUT_PS), self._timeout_ps)

    def _arrived(self) -> None:
        network, (sender, receiver), (kind, epoch, size_bytes) = self._network, self._ends, self._what
        life = network.incarnation[receiver]
        event, detail = ("delivered", kind) if self._delivered_in != life else ("dropped", "duplicate")
        network.world.record(event, receiver, epoch=epoch, size_bytes=size_bytes, peer=sender, detail=detail)
        network._launch(receiver, sender, ACKNOWLEDGEMENT_BYTES, self._answered, lambda _: None)
        if self._delivered_in != life:
            self._delivered_in = life
            self._on_delivery()

    def _answered(self) -> None:
        if self._alive():
            self._open = False
            self.acknowledged = True
            if self._on_acknowledged is not None:
                self._on_acknowledged()


def _added(figures: list[dict[str, Any]]) -> dict[str, Any]:
    total: dict[str, Any] = {"dropped": {}}
    for one in figures:
        for key, value in one.items():
            if key == "dropped":
                for reason, count in value.items():
                    total["dropped"][reason] = total["dropped"].get(reason, 0) + count
            else:
                total[key] = total.get(key, 0) + value
    return total

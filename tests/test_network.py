"""Routes, messages across several devices, and a transport on top, against hand-computed times and plain counts."""

from __future__ import annotations

import math
from typing import Any

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.devices.nic import Nic, NicParams
from hwsim.devices.switch import Switch, SwitchParams
from hwsim.distributions import Distribution
from hwsim.domain import PersistenceDomain, World
from hwsim.flow import FlowNetwork
from hwsim.link import EthernetParams
from hwsim.network import Network
from hwsim.topology.spec import LinkSpec

NS, US, SECOND = 10**3, 10**6, 10**12


class Plain(PersistenceDomain):
    """A device with nothing of its own."""


def make_world(seed: int = 1) -> World:
    env = simpy.Environment()
    return World(env, [], seed, FlowNetwork(env))


def link(a: str, b: str, name: str = "", **given: Any) -> LinkSpec:
    params = EthernetParams(**({"rate": "1Gb/s", "delay": "1us"} | given))
    return LinkSpec(name or f"{a}--{b}", "ethernet", a, b, params)


def star(nodes: int = 2, *, seed: int = 1, nic: dict[str, Any] | None = None, switch: dict[str, Any] | None = None,
         delay: Distribution | None = None, **given: Any) -> Network:
    """Nodes of a host, a gpu and a NIC around one switch."""
    world = make_world(seed)
    for i in range(nodes):
        host = f"node{i}/host"
        Plain(world, host, None, node=f"node{i}", host=host)
        Plain(world, f"node{i}/gpu", None, node=f"node{i}", host=host)
        Nic(world, f"node{i}/nic", NicParams(**(nic or {})), node=f"node{i}", host=host)
    Switch(world, "sw", SwitchParams(**(switch or {})))
    return Network(world, [link(f"node{i}/nic", "sw", **given) for i in range(nodes)], delay)


class Mailbox:
    """Notes when which message arrived or was dropped."""

    def __init__(self, net: Network) -> None:
        self.net = net
        self.got: list[tuple[int, Any]] = []

    def note(self, what: Any) -> None:
        self.got.append((self.net.env.now, what))

    def send(self, what: Any, sender: str = "node0/host", receiver: str = "node1/host", size_bytes: int = 64) -> None:
        self.net.send(sender, receiver, "prepare", 7, size_bytes, lambda: self.note(what), on_drop=self.note)

    def at(self, time_ps: int, action: Any) -> None:
        self.net.env.timeout(time_ps).callbacks.append(lambda _: action())


def events(net: Network) -> list[tuple[Any, ...]]:
    return [(row[0], row[1], row[2], row[9], row[10]) for row in net.world.rows]


LINE_64 = (8 + 18 + 64) * 8 * NS  # at 1 Gb/s


# --- routes --------------------------------------------------------------------------------------


def test_a_route_leads_through_nics_and_the_switch() -> None:
    net = star()
    route = net.route("node0/gpu", "node1/gpu")
    assert [(way.link.name, way.sender, way.receiver) for way in route] == [
        ("node0/nic--sw", "node0/nic", "sw"), ("node1/nic--sw", "sw", "node1/nic")]
    assert [hop.device for hop in net.hops("node0/gpu", "node1/gpu")] == [
        "node0/host", "node0/nic", "sw", "node1/nic", "node1/host", "node1/gpu"]


def test_within_a_node_no_link_is_crossed() -> None:
    net = star()
    assert net.route("node0/gpu", "node0/nic") == net.pipes("node0/gpu", "node0/host") == net.hops("sw", "sw") == ()
    assert net.joined("node0/gpu", "node0/nic")


def test_no_route_is_said_so() -> None:
    world = make_world()
    Plain(world, "a", None)
    Plain(world, "b", None)
    net = Network(world, [])
    assert not net.joined("a", "b")
    with pytest.raises(LookupError, match="no link joins a to b"):
        net.pipes("a", "b")
    with pytest.raises(LookupError, match="message_delay"):
        net.send("a", "b", "prepare", 1, 64, lambda: None)


def test_fewest_links_then_the_least_delay_then_names() -> None:
    world = make_world()
    for name in "abcd":
        Plain(world, name, None)
    net = Network(world, [
        link("a", "b", delay="9us"), link("b", "d", delay="9us"),  # two links, 18 us
        link("a", "c", delay="1us"), link("c", "d", name="slow", delay="8us"), link("c", "d", name="fast", delay="7us"),
    ])
    assert [way.link.name for way in net.route("a", "d")] == ["a--c", "fast"]
    direct = Network(make_twin(), [link("a", "d", delay="1s"), link("a", "c"), link("c", "d")])
    assert [way.link.name for way in direct.route("a", "d")] == ["a--d"]
    even = Network(make_twin(), [link("a", "c"), link("c", "d"), link("a", "b"), link("b", "d", name="y"),
                                 link("b", "d", name="x")])
    assert [way.link.name for way in even.route("a", "d")] == ["a--b", "x"]


def make_twin() -> World:
    world = make_world()
    for name in "abcd":
        Plain(world, name, None)
    return world


def test_data_crosses_nics_links_and_the_fabric() -> None:
    net = star(nic={"rate": "2Gb/s"}, switch={"capacity": "3Gb/s"})
    assert [pipe.name for pipe in net.pipes("node0/gpu", "node1/host")] == [
        "node0/nic out", "node0/nic--sw node0/nic to sw", "sw fabric", "node1/nic--sw sw to node1/nic", "node1/nic in"]


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), max_size=14))
@settings(max_examples=100, deadline=None)
def test_routes_are_as_short_as_breadth_first_search_says(pairs: list[tuple[int, int]]) -> None:
    edges = [(a, b) for a, b in dict.fromkeys(pairs) if a != b]
    world = make_world()
    for i in range(7):
        Plain(world, f"d{i}", None)
    net = Network(world, [link(f"d{a}", f"d{b}", name=f"l{n}") for n, (a, b) in enumerate(edges)])
    for root in range(7):
        reach, ring, far = {root: 0}, [root], 0
        while ring:
            far += 1
            ring = [v for v in range(7) if v not in reach
                    and any((u, v) in edges or (v, u) in edges for u in ring)]
            reach |= dict.fromkeys(ring, far)
        for other in range(7):
            assert net.joined(f"d{root}", f"d{other}") == (other in reach)
            if other in reach:
                route = net.route(f"d{root}", f"d{other}")
                assert len(route) == reach[other]
                stops = [f"d{root}", *(way.receiver for way in route)]
                assert [way.sender for way in route] == stops[:-1]
                assert stops[-1] == f"d{other}"


# --- messages ------------------------------------------------------------------------------------


def test_a_message_takes_both_lines_both_delays_and_the_devices() -> None:
    net = star(nic={"delay": "200ns"}, switch={"delay": "300ns"})
    box = Mailbox(net)
    box.send("x")
    net.env.run()
    expected = 2 * LINE_64 + 2 * US + 2 * 200 * NS + 300 * NS
    assert box.got == [(expected, "x")]
    assert net.latency("node0/host", "node1/host", 64) == expected
    assert events(net) == [(0, "sent", "node0/host", "node1/host", "prepare"),
                           (expected, "delivered", "node1/host", "node0/host", "prepare")]
    assert net.world.rows[0][6:9] == (7, None, 64)


def test_within_a_node_a_message_takes_no_time_but_is_no_call() -> None:
    net = star()
    box = Mailbox(net)
    box.send("x", "node0/gpu", "node0/host")
    box.send("y", "node0/host", "node0/host")
    assert box.got == []
    net.env.run()
    assert box.got == [(0, "x"), (0, "y")]


def test_without_links_the_message_delay_carries_and_keeps_order() -> None:
    world = make_world()
    Plain(world, "a", None)
    Plain(world, "b", None)
    net = Network(world, [], Distribution("uniform", (0.0, 100.0 * US)))
    box = Mailbox(net)
    for number in range(50):
        box.send(number, "a", "b")
    net.env.run()
    assert [what for _, what in box.got] == list(range(50))
    assert 0 < box.got[0][0] <= box.got[-1][0] <= 100 * US
    box.send(50, "a", "b")
    world.domains["b"].stop("power_loss")
    net.env.run()
    assert box.got[-1][1] == "dark"


@pytest.mark.parametrize(("victim", "when", "fate"), [
    ("node0/nic", 0, "dark"),  # it never got out of the node
    ("node0/nic", LINE_64 // 2, "sender_dark"),
    ("node0/nic", LINE_64, "x"),  # it had left
    ("node0/host", LINE_64 // 2, "x"),  # the NIC has it
    ("sw", LINE_64 // 2, "dark"),
    ("sw", LINE_64 + US + 100 * NS, "dark"),  # while it was being forwarded
    ("sw", LINE_64 + US + 300 * NS + LINE_64 // 2, "sender_dark"),
    ("node1/nic", 2 * LINE_64 + 2 * US, "dark"),
    ("node1/host", LINE_64, "dark"),
    ("node1/gpu", LINE_64, "x"),
])
def test_a_dark_device_on_the_way_drops_the_message(victim: str, when: int, fate: str) -> None:
    net = star(switch={"delay": "300ns"})
    box = Mailbox(net)
    if when:
        box.at(when, lambda: net.world.domains[victim].stop("power_loss"))
    else:
        net.world.domains[victim].stop("power_loss")
    box.send("x")
    net.env.run()
    assert [what for _, what in box.got] == [fate]
    last = events(net)[-1]
    assert last[1:] == (("delivered", "node1/host", "node0/host", "prepare") if fate == "x"
                        else ("dropped", "node1/host", "node0/host", fate))


def test_a_switch_that_came_back_has_forgotten_what_it_was_forwarding() -> None:
    net = star(switch={"delay": "10us"})
    box = Mailbox(net)
    box.send("x")
    box.at(LINE_64 + 2 * US, lambda: net.world.domains["sw"].stop("power_loss"))
    box.at(LINE_64 + 3 * US, net.world.domains["sw"].restore)
    net.env.run()
    assert [what for _, what in box.got] == ["dark"]


def test_a_dark_sender_says_nothing() -> None:
    net = star()
    box = Mailbox(net)
    net.world.domains["node0/host"].stop("kernel_crash")
    net.world.rows.clear()
    box.send("x")
    net.env.run()
    assert box.got == net.world.rows == []


def test_a_cut_link_drops_messages_and_stalls_data_until_it_is_back() -> None:
    net = star()
    box = Mailbox(net)
    flow = net.world.flows.start(net.pipes("node0/host", "node1/host"), 10**8)
    net.take_down("node1/nic--sw")
    box.send("x")
    box.at(SECOND, lambda: net.bring_up("node1/nic--sw"))
    box.at(SECOND, lambda: box.send("y"))
    net.env.run(flow.done)
    assert [what for _, what in box.got] == ["link_down", "y"]
    assert net.env.now == pytest.approx(SECOND + 8e8 / (1e9 * 1500 / 1538) * 1e12, rel=1e-8)
    assert [row[1:3] for row in net.world.rows if row[2] == "node1/nic--sw"] == [
        ("stopped", "node1/nic--sw"), ("restored", "node1/nic--sw")]


@pytest.mark.parametrize("victim", ["node0/nic", "sw", "node1/nic"])
def test_data_stalls_while_a_device_on_the_way_is_dark(victim: str) -> None:
    net = star()
    flow = net.world.flows.start(net.pipes("node0/host", "node1/host"), 10**8)
    device = net.world.domains[victim]
    device.stop("power_loss")
    net.env.run(until=SECOND)
    assert flow.moved_bytes() == 0
    device.restore()
    net.env.run(until=2 * SECOND)
    assert flow.done.ok


def test_messages_are_lost_as_often_as_two_links_say() -> None:
    net = star(loss=0.1)
    box, count = Mailbox(net), 10_000
    for number in range(count):
        box.send(number)
    net.env.run()
    got = sum(what != "loss" for _, what in box.got) / count
    assert abs(got - 0.81) < 4 * math.sqrt(0.81 * 0.19 / count)
    kinds = [row[1] for row in net.world.rows]
    assert kinds.count("sent") == count == kinds.count("delivered") + kinds.count("dropped")
    figures = net.figures()
    assert figures["node0/nic--sw"]["sent"] == count
    assert figures["node1/nic--sw"]["sent"] == figures["node0/nic--sw"]["delivered"]


def test_figures_add_up_data_of_both_ways() -> None:
    net = star()
    for a, b in (("node0/host", "node1/host"), ("node1/host", "node0/host")):
        net.world.flows.start(net.pipes(a, b), 15 * 10**6)
    net.env.run()
    assert net.figures()["node0/nic--sw"] == {
        "sent": 0, "delivered": 0, "dropped": {}, "data_bytes": 30e6, "data_frames": 20_000, "data_frames_resent": 0}


# --- the transport -------------------------------------------------------------------------------


def reliably(net: Network, box: Mailbox, timeout_ps: int = 100 * US) -> Any:
    return net.send_reliably("node0/host", "node1/host", "prepare", 7, 64, lambda: box.note("x"),
                             timeout_ps=timeout_ps, on_acknowledged=lambda: box.note("acknowledged"))


def test_a_transport_needs_one_attempt_on_a_clean_link() -> None:
    net = star()
    box = Mailbox(net)
    transfer = reliably(net, box)
    net.env.run()
    there = 2 * LINE_64 + 2 * US
    back = 2 * (8 + 64) * 8 * NS + 2 * US
    assert box.got == [(there, "x"), (there + back, "acknowledged")]
    assert transfer.attempts == 1
    assert [row[1] for row in net.world.rows] == ["sent", "delivered"]


def test_a_transport_delivers_once_over_a_lossy_link() -> None:
    net = star(loss=0.4, seed=4)
    boxes = [Mailbox(net) for _ in range(300)]
    transfers = [reliably(net, box, timeout_ps=10_000 * US) for box in boxes]
    net.env.run()
    for box, transfer in zip(boxes, transfers, strict=True):
        assert [what for _, what in box.got] == ["x", "acknowledged"]
        assert transfer.acknowledged
    # An attempt is over when the message and its answer both crossed two links: geometric, p = 0.6**4.
    mean = sum(transfer.attempts for transfer in transfers) / len(transfers)
    p = 0.6**4
    assert abs(mean - 1 / p) < 4 * math.sqrt((1 - p) / p**2 / len(transfers))
    events_of = [row[1] for row in net.world.rows]
    assert events_of.count("sent") == events_of.count("delivered") + events_of.count("dropped")
    assert events_of.count("delivered") == len(boxes)
    assert any(row[10] == "duplicate" for row in net.world.rows)


def test_timeouts_double_up_to_a_minute() -> None:
    net = star()
    net.take_down("node0/nic--sw")
    reliably(net, Mailbox(net), timeout_ps=SECOND)
    net.env.run(until=400 * SECOND)
    times = [row[0] // SECOND for row in net.world.rows if row[1] == "sent"]
    assert times == [0, 1, 3, 7, 15, 31, 63, 123, 183, 243, 303, 363]


def test_a_transport_dies_with_its_sender() -> None:
    net = star()
    box = Mailbox(net)
    net.take_down("node1/nic--sw")
    transfer = reliably(net, box)
    host = net.world.domains["node0/host"]
    box.at(150 * US, lambda: host.stop("process_crash"))
    box.at(160 * US, host.restore)
    box.at(170 * US, lambda: net.bring_up("node1/nic--sw"))
    net.env.run()
    assert transfer.attempts == 2
    assert box.got == []


def test_a_transport_can_be_given_up() -> None:
    net = star()
    box = Mailbox(net)
    net.take_down("node1/nic--sw")
    transfer = reliably(net, box)
    box.at(150 * US, transfer.cancel)
    box.at(160 * US, lambda: net.bring_up("node1/nic--sw"))
    net.env.run()
    assert (transfer.attempts, box.got) == (2, [])


def test_a_receiver_that_forgot_gets_the_message_again() -> None:
    net = star()
    box = Mailbox(net)
    transfer = reliably(net, box)
    arrival = 2 * LINE_64 + 2 * US
    host = net.world.domains["node1/host"]
    box.at(arrival + 100 * NS, lambda: net.take_down("node0/nic--sw"))  # the answer is lost
    box.at(arrival + 200 * NS, lambda: host.stop("kernel_crash"))
    box.at(50 * US, host.restore)
    box.at(50 * US, lambda: net.bring_up("node0/nic--sw"))
    net.env.run()
    assert [what for _, what in box.got] == ["x", "x", "acknowledged"]
    assert transfer.attempts == 2


def test_a_timeout_is_longer_than_nothing() -> None:
    with pytest.raises(ValueError, match="timeout"):
        reliably(star(), Mailbox(star()), timeout_ps=0)


def test_the_same_seed_gives_the_same_rows_and_another_another() -> None:
    def rows(seed: int) -> list[Any]:
        net = star(3, seed=seed, loss=0.3, jitter="10us")
        box = Mailbox(net)
        for number in range(100):
            box.send(number, f"node{number % 3}/host", f"node{(number + 1) % 3}/host")
        net.env.run()
        return net.world.rows

    assert rows(1) == rows(1) != rows(2)

"""A bilateral link in a running simulation: its channel, and an endpoint in each of the devices that it joins.

An endpoint's volatile state lives in its device and dies with any crash that stops it (in a host it is the kernel's,
so a process that is killed takes nothing).  Its memory lies there too, and knows only the loss of power.  Silence is
all that the other end learns of either.  Both ends see the link itself go down and come up, at once.

The link carries its own protocol's frames and nothing else: routes of messages and data do not use it.

Not modelled: carrier sense of a dead neighbour; frames of the link competing with other traffic for one port.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any

from hwsim.bilateral.channel import Channel
from hwsim.bilateral.endpoint import Application, Endpoint
from hwsim.bilateral.machine import STANDARD, Register, Rows
from hwsim.bilateral.record import Record, RecordMemory
from hwsim.nv_register import NvRegister

if TYPE_CHECKING:
    from pathlib import Path

    from hwsim.domain import PersistenceDomain, World
    from hwsim.nv_register import NvParams

POWER = "power"  # the aspect of a device whose loss is a loss of power


class BilateralLink:
    """One bilateral link between devices *a* and *b*: `endpoints[a]` and `endpoints[b]`, over `channel`.

    `start` boots both.  *words*: the applications' words as the run begins, *applications* what lies above each end.
    """

    def __init__(
        self,
        world: World,
        name: str,
        a: str,
        b: str,
        params: Any,
        *,
        rows: Rows = STANDARD,
        endpoint: type[Endpoint] = Endpoint,
    ) -> None:
        self.world = world
        self.name = name
        self.a = a
        self.b = b
        self.params = params
        self.channel = Channel(name, a, b, params, world.env, world.stream)
        self.endpoints: dict[str, Endpoint] = {}
        self._rows = rows
        self._endpoint = endpoint
        self.waves: Callable[[str], Path] | None = None  # gives a file for those of an end in Verilog, by its name
        if params.model == "rtl":
            from hwsim.bilateral import cosimulated, verilated

            (cosimulated if params.in_icarus else verilated).require()

    def __repr__(self) -> str:
        return f"BilateralLink({self.name!r})"

    def start(
        self, applications: Mapping[str, Application] | None = None, words: Mapping[str, int] | None = None
    ) -> None:
        """Make the endpoints and boot them; call it once, when the run begins."""
        for end, other in ((self.a, self.b), (self.b, self.a)):
            self._make(end, (applications or {}).get(end), (words or {}).get(end, 0))
            self.channel.wires[other].receive = self.endpoints[end].receive
        for end, endpoint in self.endpoints.items():
            endpoint.carrier = True
            if self.world.domains[end].up:
                endpoint.boot()

    def _make(self, end: str, application: Application | None, word: int) -> None:
        world, device = self.world, self.world.domains[end]
        identities = world.stream("nvid", self.name, end)

        def fresh() -> int:
            return identities.getrandbits(64) or 1

        name = f"{self.name}@{end}"
        common: dict[str, Any] = {
            "beacon": self.params.beacon,
            "retransmit": self.params.retransmit,
            "fresh": fresh,
            "record": world.record,
            "mac": bytes([2, *hashlib.sha256(name.encode()).digest()[:5]]),
            "application": application,
        }
        if self.params.model == "rtl":
            endpoint = self._in_verilog(name, device, word, common)
        else:
            memory = RecordMemory(self._allot(device), Record(Register(fresh()), word))
            endpoint = self._endpoint(world.env, name, memory, rows=self._rows, **common)
        self.endpoints[end] = endpoint
        endpoint.transmit = self.channel.wires[end].send

        def stopped(crash_kind: str) -> None:
            self.channel.end_stopped(end)
            endpoint.crash(power=POWER in device.CRASHES.get(crash_kind, ()))

        def restored() -> None:
            self.channel.end_restored(end)
            endpoint.restore_power()
            endpoint.boot()

        device.on_stop.append(stopped)
        device.on_restore.append(restored)
        if not device.up:
            self.channel.end_stopped(end)

    def _in_verilog(self, name: str, device: PersistenceDomain, word: int, common: Mapping[str, Any]) -> Endpoint:
        from hwsim.bilateral.rtl import RtlEndpoint, Verilog

        world, params = self.world, self.params
        waves = self.waves(name) if self.waves else None
        verilog: Callable[..., Verilog]
        if params.in_icarus:
            from hwsim.bilateral.cosimulated.conservative import Conductor, CoSimulated

            conductor = world.shared.setdefault(Conductor, Conductor(world.env))
            verilog = partial(CoSimulated, conductor, lookahead=params.delay // params.clock)
        else:
            from hwsim.bilateral.verilated.optimistic import Verilated

            verilog = Verilated
        nv = getattr(device.params, "nv", None) or params.nv
        return RtlEndpoint(
            world.env, name, nv, word=word, clock=params.clock, draw=world.stream("nv", self.name, device.name),
            verilog=partial(verilog, waves=waves, rx_depth=params.rx_depth), **common,
        )  # fmt: skip

    def _allot(self, device: PersistenceDomain) -> Callable[[str, int, int], NvRegister]:
        own = getattr(device, "register", None) if getattr(device.params, "nv", None) is not None else None

        def allot(key: str, size_bytes: int, initial: int) -> NvRegister:
            if own is not None:
                return own(f"{self.name} {key}", size_bytes=size_bytes, initial=initial)  # type: ignore[no-any-return]
            params: NvParams = self.params.nv
            draw = self.world.stream("nv", self.name, device.name, key)
            return NvRegister(self.world.env, params, draw, size_bytes=size_bytes, initial=initial)

        return allot

    def memory(self, end: str, key: str, size_bytes: int) -> NvRegister:
        """A register in the memory of *end*, for whoever works beside the link and sees to its power."""
        device = self.world.domains[end]
        return self._allot(device)(key, size_bytes, 0)

    def listen(self, end: str, ethertype: int, receive: Callable[[bytes], None]) -> None:
        """From now on *receive* gets the frames of another *ethertype* that arrive at *end*; call it after `start`."""
        other = self.b if end == self.a else self.a
        own, mark = self.channel.wires[other].receive, ethertype.to_bytes(2, "big")

        def sort(octets: bytes) -> None:
            (receive if octets[12:14] == mark else own)(octets)

        self.channel.wires[other].receive = sort

    def moment(self) -> tuple[object, ...]:
        """All that decides how it goes on, as plain data; times counted from now."""
        wires = tuple(wire.under_way() for wire in self.channel.wires.values())
        ends = tuple(endpoint.moment() for endpoint in self.endpoints.values())
        return (self.channel.up, tuple(sorted(self.channel.dark)), wires, ends)

    # faults

    def take_down(self) -> None:
        """Cut it: frames on it and queued for it are lost, and both ends see it."""
        self.channel.take_down()
        for endpoint in self.endpoints.values():
            endpoint.link_down()

    def bring_up(self) -> None:
        """Carry again."""
        self.channel.bring_up()
        for endpoint in self.endpoints.values():
            endpoint.link_up()

    def close(self) -> None:
        """The run is over; the figures have been read."""
        for endpoint in self.endpoints.values():
            endpoint.close()

    # figures

    def figures(self) -> dict[str, Any]:
        """Counts of frames and transitions, both ends added up; what became of rounds and tokens the trace tells."""
        for endpoint in self.endpoints.values():
            endpoint.tally()
        wires = [wire.figures() for wire in self.channel.wires.values()]
        dropped: dict[str, int] = {}
        for counts in (*(wire["dropped"] for wire in wires), *(e.dropped for e in self.endpoints.values())):
            for reason, count in counts.items():
                dropped[reason] = dropped.get(reason, 0) + count
        faults: dict[str, int] = {}
        rows: dict[str, int] = {}
        for wire in wires:
            for fault, count in wire["faults"].items():
                faults[fault] = faults.get(fault, 0) + count
        for endpoint in self.endpoints.values():
            for row, count in endpoint.rows.items():
                rows[row] = rows.get(row, 0) + count
        ends = self.endpoints.values()
        checked, agreed = self._read_again()
        return {
            "sent": sum(wire["sent"] for wire in wires),
            "delivered": sum(wire["delivered"] for wire in wires),
            "dropped": dict(sorted(dropped.items())),
            "faults": dict(sorted(faults.items())),
            "transitions": dict(sorted(rows.items())),
            "crashes": sum(endpoint.crashes for endpoint in ends),
            "alarms": sum(endpoint.alarms for endpoint in ends),
            "writes": sum(endpoint.memory.writes for endpoint in ends),
            "frames_checked": checked,
            "frames_agreed": agreed,
        }

    def _read_again(self) -> tuple[int, int]:
        """A sample of what was received, read again by Scapy's layers: how many, and how many came out alike."""
        sample = [octets for endpoint in self.endpoints.values() for octets in endpoint.sample]
        if not sample:
            return 0, 0
        from hwsim.bilateral.frame import decode
        from hwsim.bilateral.scapy_layers import read

        return len(sample), sum(read(octets) == decode(octets) for octets in sample)

    def unstruck(self) -> list[str]:
        """Faults of the script that never struck, in words."""
        wires = self.channel.wires.values()
        return [f"{fault.do} of frame {fault.nth} {fault.way}" for wire in wires for fault in wire.unstruck]

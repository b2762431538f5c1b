"""Bilateral links on a bench: two ends on a channel, crashes by hand, tokens that change hands, judged by the trace."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar

import simpy

from hwsim.bilateral.endpoint import Application, Endpoint
from hwsim.bilateral.judged import Judge, LinkJudge
from hwsim.bilateral.live import BilateralLink
from hwsim.bilateral.machine import STANDARD, Rows
from hwsim.bilateral.params import BilateralParams
from hwsim.domain import PersistenceDomain, World
from hwsim.flow import FlowNetwork
from hwsim.quantities import Params

US = 10**6

FIGURES: Mapping[str, Any] = {
    "rate": "10Gb/s",
    "delay": "1us",
    "beacon": "40us",
    "retransmit": "15us",
    "nv": {"write": "2us", "word": "128B"},
}


class Cell(PersistenceDomain):
    """A device that does nothing but crash."""

    Params = Params
    CRASHES: ClassVar[Mapping[str, frozenset[str]]] = {"power_loss": frozenset({"power"}), "nic_reset": frozenset()}


class Bench:
    """Cells and links between them: *joins* by index."""

    def __init__(
        self,
        *,
        seed: int = 1,
        joins: tuple[tuple[int, int], ...] = ((0, 1),),
        rows: Rows = STANDARD,
        endpoint: type[Endpoint] = Endpoint,
        **figures: Any,
    ) -> None:
        self.env = simpy.Environment()
        self.rows: list[Any] = []
        self._judge = Judge()
        self._judged_rows = 0
        self.world = World(self.env, self.rows, seed, FlowNetwork(self.env))
        self.cells = [Cell(self.world, f"c{i}", Params()) for i in range(max(max(pair) for pair in joins) + 1)]
        params = BilateralParams.model_validate({**FIGURES, **figures})
        self.links = [
            BilateralLink(self.world, f"l{n}", f"c{a}", f"c{b}", params, rows=rows, endpoint=endpoint)
            for n, (a, b) in enumerate(joins)
        ]

    @property
    def link(self) -> BilateralLink:
        return self.links[0]

    @property
    def a(self) -> Endpoint:
        return self.link.endpoints[self.link.a]

    @property
    def b(self) -> Endpoint:
        return self.link.endpoints[self.link.b]

    def start(self, a: Application | None = None, b: Application | None = None) -> Bench:
        applications = {name: app for name, app in ((self.link.a, a), (self.link.b, b)) if app is not None}
        self.link.start(applications)
        return self

    def run(self, us: float) -> Bench:
        self.env.run(until=self.env.now + round(us * US))
        return self

    def crash(self, cell: int, kind: str = "power_loss") -> None:
        device = self.cells[cell]
        if device.up:
            device.stop(kind)

    def restore(self, cell: int) -> None:
        device = self.cells[cell]
        if not device.up:
            device.restore()

    def judged(self) -> dict[str, LinkJudge]:
        """Every link, judged as far as the trace goes."""
        for row in self.rows[self._judged_rows :]:
            self._judge.take(row)
        self._judged_rows = len(self.rows)
        for link in self._judge.links.values():
            link.finish(int(self.env.now))
        return self._judge.links

    def settle(self, us: float = 2000) -> None:
        """Everything up again, faults over."""
        for index in range(len(self.cells)):
            self.restore(index)
        self.run(us)

"""Abstract domains: a delay drawn anew for each checkpoint, then durable at one instant, whole.

They exist so that anyone can hold the simulator against a closed form: nothing torn, no doubt, no
bandwidth.  A domain's clock offset is drawn once, when it is built; a positive one makes it begin
every checkpoint early.  A save that a crash or a torn-down job overtakes leaves no mark.

Source: the persist-delay model that the closed forms in `hwsim.studies.closed_forms` are stated for.

Not modelled: anything of a real device.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from heapq import heappop, heappush, heapreplace
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from pydantic import Field, field_validator

from hwsim.distributions import Distribution
from hwsim.domain import IOLost, PersistenceDomain, World
from hwsim.quantities import Delay, Params, SignedDelay

if TYPE_CHECKING:
    import simpy

    from hwsim.domain import Operation
    from hwsim.flow import Pipe


class AbstractParams(Params):
    """Parameters of an abstract domain."""

    kind: Literal["abstract"] = "abstract"
    persist: Delay = Field(description="from the start of a save until it is durable; drawn anew for each checkpoint")
    clock_offset: SignedDelay | None = Field(
        default=None, description="drawn once a domain; positive starts every checkpoint early"
    )

    @field_validator("persist")
    @classmethod
    def _not_negative(cls, persist: Distribution) -> Distribution:
        if persist.at(0.0) < 0:
            raise ValueError("a save cannot become durable before it began; write delays of 0 or more")
        return persist


class AbstractDomain(PersistenceDomain, kind="abstract"):
    """A domain with one place, `media`, which only the loss of the media empties."""

    Params = AbstractParams
    CRASHES: ClassVar[Mapping[str, frozenset[str]]] = {
        "power_loss": frozenset({"power"}),
        "media_loss": frozenset({"power", "media"}),
    }

    def __init__(
        self, world: World, name: str, params: Any, *, node: str | None = None, host: str | None = None
    ) -> None:
        super().__init__(world, name, params, node=node, host=host)
        self.media = self.add_place("media", ["media"])
        self._delay: Distribution = params.persist
        self._draws = world.stream("persist", name)
        offset: Distribution | None = params.clock_offset
        self.clock_offset_ps = 0 if offset is None else offset.draw(world.stream("clock_offset", name))
        self._crashes = 0  # how often it stopped: a save remembers the count it began under

    def stack_for(self, into: str) -> tuple[str, ...]:
        """One place, whatever the bytes are said to be written into."""
        return (self.media,)

    def write(
        self,
        part: str,
        slot: str,
        epoch: int,
        size_bytes: int,
        *,
        pipes: Sequence[Pipe] = (),
        sync: str = "none",
        into: str = "media",
        owner: str = "",
    ) -> Operation:
        """Make *epoch* durable after a delay, unless a newer one is durable by then."""
        return _Save(self, part, slot, epoch)

    def quick_writer(self, part: str) -> Callable[[str, int, Any, Callable[[Any, int], None], Any], None]:
        """`write` of *part* for a job, as one timeout and one callback: (slot, epoch, job, then, placed).

        *then* is called with *placed* and the epoch, unless the domain crashed or the job was torn down before.
        """
        world, env, uniform, delay = self.world, self.env, self._draws.random, self._delay.at
        if _Landings not in world.shared:
            world.shared[_Landings] = _Landings(world)
        landings: _Landings = world.shared[_Landings]

        def save(slot: str, epoch: int, job: Any, then: Callable[[Any, int], None], placed: Any) -> None:
            if self.up:
                if not landings.fresh:
                    landings.expect()
                landings.serial = serial = landings.serial + 1
                at: int = env._now + delay(uniform())  # type: ignore[assignment]
                landings.fresh.append(
                    (at, serial, self, part, slot, epoch, self._crashes, job, job.generation, then, placed)
                )

        return save

    def _persisted(self, part: str, slot: str, epoch: int) -> None:
        self.world.holdings.persist_newer(self.name, self.media, part, slot, epoch)

    def stop(self, crash_kind: str) -> None:
        """What is under way is gone; what is durable stays."""
        self._crashes += 1
        super().stop(crash_kind)


_Landing = tuple[int, int, AbstractDomain, str, str, int, int, Any, int, Callable[[Any, int], None], Any]


class _Landings:
    """What is under way in all abstract domains of a world, with one timer for the next of it.

    Delays that begin at one instant are sorted once into a run; a heap holds the runs by what is next in
    each.  Thousands of timers would otherwise lie in the event queue all at once.
    """

    def __init__(self, world: World) -> None:
        from simpy.events import Timeout

        self.fresh: list[_Landing] = []  # begun at this instant
        self.serial = 0
        self._env = world.env
        self._timeout = Timeout
        self._persist = world.holdings.persist_newer
        self._runs: list[tuple[int, int, list[_Landing]]] = []  # (time, serial, landings with the next one last)
        self._timer_at: int | None = None

    def expect(self) -> None:
        """Something begins: sort it in once everything of this instant has begun."""
        self._timeout(self._env, 0).callbacks.append(self._sort)

    def _sort(self, _: object) -> None:
        run, self.fresh = self.fresh, []
        run.sort(reverse=True)
        heappush(self._runs, (run[-1][0], run[-1][1], run))
        self._wake(None)

    def _wake(self, _: object) -> None:
        env, runs = self._env, self._runs
        now = env._now
        if self._timer_at == now:
            self._timer_at = None
        while runs and runs[0][0] <= now:
            run = runs[0][2]
            _at, _serial, domain, part, slot, epoch, crashes, job, generation, then, placed = run.pop()
            if not run:
                heappop(runs)
            elif len(runs) == 1:
                runs[0] = (run[-1][0], run[-1][1], run)
            else:
                heapreplace(runs, (run[-1][0], run[-1][1], run))
            if crashes == domain._crashes and generation == job.generation:
                self._persist(domain.name, domain.media, part, slot, epoch)
                then(placed, epoch)
        if runs:
            at = runs[0][0]
            if self._timer_at is None or at < self._timer_at:
                self._timer_at = at
                self._timeout(env, at - now).callbacks.append(self._wake)


class _Save:
    """One delay under way."""

    __slots__ = ("_crashes", "_domain", "_epoch", "_part", "_slot", "done")

    def __init__(self, domain: AbstractDomain, part: str, slot: str, epoch: int) -> None:
        self._domain = domain
        self._part = part
        self._slot = slot
        self._epoch = epoch
        self._crashes = domain._crashes
        self.done: simpy.Event = domain.env.event()
        domain.on_stop.append(self._stopped)
        if domain.up:
            domain.env.timeout(domain._delay.draw(domain._draws)).callbacks.append(self._due)
        else:
            self.cancel()

    def _due(self, _: simpy.Event) -> None:
        if not self.done.triggered:
            self._domain.on_stop.remove(self._stopped)
            self._domain._persisted(self._part, self._slot, self._epoch)
            self.done.succeed()

    def _stopped(self, crash_kind: str) -> None:
        self.cancel()

    def cancel(self) -> None:
        """Nothing becomes durable; `done` fails."""
        if not self.done.triggered:
            self._domain.on_stop.remove(self._stopped)
            self.done.fail(IOLost(f"{self._domain.name}: save of {self._part} lost"))
            self.done.defused = True

"""One execution with its crashes: run to an event, strike, let the survivors go on, recover, and see it work again.

What a crash leaves in doubt (a write in flight is old, new or torn) is settled by a `Resolution`, not by chance; and
when recovery reads what lies there, every entry that was settled counts as the set of its possibilities, so that
the outcomes of *all* resolutions are judged by one execution.  Only what the program does after that depends on the one
that was taken.

Liveness: after the last crash a checkpoint that began after the recovery is acknowledged within a bound, the times of
the restart and a few intervals.  Where it is not the outcome is `hang`; `crash_loop` where recovery was begun again
and again.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any

from hwsim.checkers import acknowledged_survive, agreement, well_formed
from hwsim.contents import Contents, uppermost, whole
from hwsim.explore.slack import Slack
from hwsim.explore.state import Found, digest, plain, surviving
from hwsim.explore.touched import Watch
from hwsim.outcomes import HANG, Handed, Outcome, classify, worst
from hwsim.recovery import DurableState
from hwsim.rules import RULES
from hwsim.simulation import Simulation
from hwsim.verdicts import violated
from hwsim.workloads import JobWorkload

if TYPE_CHECKING:
    from hwsim.explore.disturbances import Disturbance, Disturber
    from hwsim.explore.targets import Target
    from hwsim.protocol import Protocol
    from hwsim.topology.spec import Topology

_NEVER = float("inf")  # what SimPy calls the time of the next event where there is none
_LOOPS = 3  # recoveries after the last crash that make it a crash loop
_INTERVALS = 6  # until the job must have acknowledged something again
BAD = (*(outcome for outcome in Outcome if outcome.unsafe), Outcome.CRASH_LOOP, Outcome.HANG)
CHECKERS = (agreement, acknowledged_survive, well_formed)


class Resolution:
    """Settles doubts in a fixed way, and remembers how, so that it can be done again.

    `oldest`, `newest`: the least and the greatest of the possibilities (a torn one is less than any checkpoint);
    `old`: the oldest that is a checkpoint; `one_new` the same, but for the doubt number *number*, which ends new.
    With *picks* the recorded ones are taken instead.
    """

    WAYS = ("oldest", "newest", "old", "one_new")

    def __init__(self, way: str = "oldest", number: int = 0, picks: Sequence[int] = ()) -> None:
        self.way = way
        self.number = number
        self.options: list[tuple[int, ...]] = []
        self.picks: list[int] = []
        self._given = list(picks)

    def choice(self, options: list[int], /) -> int:
        """One of *options*."""
        position = len(self.options)
        self.options.append(tuple(options))
        if position < len(self._given):
            picked = self._given[position]
        elif self.way == "newest" or (self.way == "one_new" and position == self.number):
            picked = options[-1]
        elif self.way == "oldest":
            picked = options[0]
        else:
            picked = next((option for option in options if option >= 0), options[0])
        if picked not in options:
            raise ValueError(f"a doubt cannot end as {picked}; it is one of {options}")
        self.picks.append(picked)
        return picked


def resolutions(doubts: int) -> Iterator[Resolution]:
    """Ways to settle so many doubts, the most telling first: all torn or old, all new, all old, one different each."""
    if doubts:
        yield Resolution("newest")
        yield Resolution("old")
    if doubts > 1:
        for number in range(doubts):
            yield Resolution("one_new", number)


@dataclass(frozen=True)
class Asked:
    """A recovery that read what lay there: all that it might have been handed, against what was promised."""

    time_ps: int
    handed: tuple[Handed, ...]
    taken: Handed
    acknowledged: int
    outcomes: tuple[Outcome, ...]
    outcome: Outcome  # of what was taken


@dataclass(frozen=True)
class Struck:
    """A crash that struck: after which event of the run, when, what, and how its doubts ended."""

    step: int
    time_ps: int
    kind: str
    label: str
    devices: tuple[str, ...]
    picks: tuple[int, ...]


@dataclass(frozen=True)
class Ending:
    """How an execution ended.

    `asked`: its recoveries; `liveness`: None where it worked again, or where it was merged; `states`: digests of those
    that it came through, as recovery asked and as the job resumed; `merged`: it was left in the last of them, which was
    known; `broken`: checkers that its trace violates.
    """

    struck: tuple[Struck, ...]
    asked: tuple[Asked, ...] = ()
    liveness: Outcome | None = None
    states: tuple[str, ...] = ()
    merged: bool = False
    broken: tuple[tuple[str, str], ...] = ()
    options: tuple[tuple[int, ...], ...] = ()  # of every doubt
    rows: int = 0
    end_ps: int = 0
    slack_ps: int = 0  # how much later the strike might have come, for all that was due otherwise
    touched: frozenset[str] | None = None  # by others than what came back, until recovery asked; None: nobody watched
    pairs: tuple[Any, ...] = field(default=(), compare=False)
    pairs_of: int = 0

    @property
    def outcome(self) -> Outcome | None:
        """How this very execution ended: as its worst recovery did; None where it rode through and works."""
        found = [asked.outcome for asked in self.asked] + ([self.liveness] if self.liveness is not None else [])
        return worst(found) if found else None

    @property
    def outcomes(self) -> frozenset[Outcome]:
        """Every outcome that it shows to be possible; none for a job that rode through and works."""
        found = {outcome for asked in self.asked for outcome in asked.outcomes}
        if self.liveness is not None:
            found.add(self.liveness)
        return frozenset(found)


def outage_ps(topology: Topology) -> int:
    """How long what does not come back by itself stays away: a second longer than it takes to notice."""
    detect: int = topology.workload.restart.detect
    return detect + 10**12


class _Known(Exception):
    """The state is known: what follows needs no second look."""


class Execution:
    """One run of a topology (made `quiet`), stepped event by event."""

    def __init__(
        self, topology: Topology, latency_ps: int | None = None, protocol: type[Protocol] | None = None
    ) -> None:
        self.simulation = Simulation(topology, protocol=protocol)
        self.simulation.begin()
        self.world = self.simulation.world
        self.env = self.simulation.env
        self.rows = self.simulation.trace.rows
        self.steps = 0
        self.struck: list[Struck] = []
        self.asked: list[Asked] = []
        self.states: list[str] = []
        self.resolution = Resolution()
        self._latency_ps = latency_ps
        self._seen = 0
        self._begun = self._acknowledged = 0
        self._newest_at_strike = 0
        self._recovered = 0
        self._resumed = False
        self._runs = True  # no crash has stopped it from which it did not recover
        self._rode = False
        self._works = False
        self._slack = Slack()
        self._watch: Watch | None = None
        self._noticed: frozenset[str] | None = None
        self._unsettled: dict[tuple[str, str], Contents] = {}  # entry that a crash settled -> what it may be
        self._picked: dict[tuple[str, str], int] = {}  # and what it was settled to
        self._known: Callable[[str], bool] = lambda _digest: False
        workload = topology.workload
        restart = workload.restart
        first = workload.interval if workload.first is None else workload.first
        self.outage_ps = outage_ps(topology)
        self._bound_ps = (
            self.outage_ps + restart.detect + restart.init + first + _INTERVALS * workload.interval
            + 2 * (latency_ps or 0) + 2 * restart.hang_timeout + self._resets_ps()
            + self.simulation.building.job.load_ps()
        )  # fmt: skip
        kind, job = self.simulation.protocol, self.simulation.workload
        assert kind is not None
        assert isinstance(job, JobWorkload)
        self.protocol: Protocol = kind
        self._asker: Callable[[Sequence[Handed]], Handed] = job.choose
        job.choose = self._ask
        self._found = Found(self.simulation.building.job)
        job.read = self._read

    def _resets_ps(self) -> int:
        times = [
            device.restore_time(kind) or 0 for device in self.world.domains.values() for kind in device.CRASHES
        ]
        return max(times, default=0)

    def advance(self, step: int) -> None:
        """Go on until so many events have happened."""
        env = self.env
        while self.steps < step and env.peek() < _NEVER:
            env.step()
            self.steps += 1
            self._hear()
        self._found.state()

    # the crash

    def strike(self, target: Target, resolution: Resolution) -> None:
        """Let *target* be struck now."""
        world = self.world
        takes = target.takes(world)
        possible = self._possible(takes)
        fault = target.fault(world, self.outage_ps)
        self.simulation.striker.struck[fault.name] = 0
        self.simulation.striker.draw = resolution
        self.resolution = resolution
        before = len(resolution.options)
        env, network = self.env, self.simulation.building.network
        hit = target.hit(world)
        leaving = network is not None and any(way.busy_until > env.now and way.sender in hit for way in network.ways)
        self._slack.before_strike(env)
        self.simulation.striker.strike(fault, 0)
        if self.struck:
            self._slack.stop()
        else:
            self._slack.after_strike(env, self.simulation.topology.workload.restart.detect, leaving=leaving)
        self._hear()
        open_ = {key: contents for key, contents in possible.items() if len(contents) > 1}
        self._unsettled.update(open_)
        self._picked.update(zip(open_, resolution.picks[before:], strict=True))
        if target.stops_job(world, frozenset(self.simulation.building.job.participants)):
            self._newest_at_strike, self._recovered, self._rode, self._runs = self._begun, 0, False, False
        else:
            self._rode = self._rode or not self.struck
        self._works = False
        time_ps = int(self.env.now)
        picks = tuple(resolution.picks[before:])
        self.struck.append(Struck(self.steps, time_ps, target.kind, target.label, target.devices, picks))

    def disturb(self, disturbance: Disturbance, disturber: Disturber) -> None:
        """Let something else than a crash happen now: whatever checkpoint begins after it must be acknowledged."""
        disturber.strike(disturbance)
        self._hear()
        self._newest_at_strike, self._rode, self._works = self._begun, False, False
        kind, label = disturbance
        self.struck.append(Struck(self.steps, int(self.env.now), kind, label, (), ()))

    def _possible(self, takes: frozenset[str]) -> dict[tuple[str, str], Contents]:
        """What a reader may find of every entry that the strike settles."""
        world = self.world
        dead = {place for place, needs in world.needs.items() if needs & takes}
        doubted = {place for place, doubts in world.doubts.items() if doubts & takes} - dead
        found = {}
        for (part, slot), entry in world.holdings.entries().items():
            if dead.isdisjoint(entry) and doubted.isdisjoint(entry):
                continue
            left = {place: contents for place, contents in entry.items() if place not in dead}
            contents = uppermost(left, world.holdings.stacks[part], doubted)
            if contents is not None:
                found[part, slot] = contents
        return found

    # what follows

    def watch(self) -> None:
        """Note what the survivors touch until recovery asks."""
        self._watch = Watch(self.simulation)

    def finish(
        self, known: Callable[[str], bool] = lambda _digest: False, between: Callable[[], None] | None = None
    ) -> Ending:
        """Run until the job works again, or the bound is reached, or it comes into a state that is *known*.

        *between* is called after every event that left a mark, while the job has not yet recovered for good.
        """
        env, rows = self.env, self.rows
        limit = int(env.now) + self._bound_ps
        self._known = known
        merged = False
        liveness: Outcome | None = None
        try:
            while not self._works:
                if env.peek() > limit:
                    liveness = Outcome.HANG
                    break
                self._slack.step(env)
                if self._watch is not None:
                    self._watch.before()
                env.step()
                self.steps += 1
                if len(rows) != self._seen:
                    self._hear()
                    if self._resumed:
                        self._resumed = False
                        if self.simulation.building.job.idle:  # what recovery cleared away makes no difference now
                            self._reach(digest("resumed", self._digest(self._acknowledged)))
                    if self._recovered > _LOOPS:
                        liveness = Outcome.CRASH_LOOP
                        break
                    if between is not None and not self._works:
                        between()
        except _Known:
            merged = True
            self.steps += 1
        trace = self.simulation.trace
        broken = () if merged else violated(checker(trace) for checker in CHECKERS)
        return Ending(
            tuple(self.struck), tuple(self.asked), liveness, tuple(self.states), merged, broken,
            tuple(self.resolution.options), len(rows), int(env.now), self._slack.ps, self._noticed,
        )  # fmt: skip

    def _hear(self) -> None:
        """Take in the rows that came."""
        rows = self.rows
        for position in range(self._seen, len(rows)):
            row = rows[position]
            event, epoch = row[1], row[6]
            if row[3] is not None and row[4] is not None:
                self._found.changed(row[4], row[5] or "0")
                if self._unsettled:
                    self._touched(row[4], row[5] or "0", begun=event == "begun")
            elif event == "checkpoint_begun" and epoch is not None:
                self._begun = max(self._begun, epoch)
            elif event == "epoch_committed" and epoch is not None:
                self._acknowledged = max(self._acknowledged, epoch)
                if self.struck and (self._rode or (self._runs and epoch > self._newest_at_strike)):
                    self._works = True
            elif event == "recovered" and row[10] != HANG:  # who hangs is where it was, and will ask again
                self._acknowledged = epoch or 0
                self._recovered += 1
                self._runs = True
            elif event == "job_resumed":
                self._resumed = True
        self._seen = len(rows)

    def _reach(self, state: str) -> None:
        self.states.append(state)
        if self._known(state):
            raise _Known

    def _touched(self, part: str, slot: str, *, begun: bool) -> None:
        """An entry that was settled changed: it is in doubt no more, unless it only moved to another place."""
        picked = self._picked.get((part, slot))
        if picked is not None and (begun or self.world.holdings.read(part, slot) != whole(picked)):
            self._unsettled.pop((part, slot), None)
            del self._picked[part, slot]

    def _read(self) -> DurableState:
        """What recovery finds."""
        self._hear()
        return self._found.state()

    def _ask(self, order: Sequence[Handed]) -> Handed:
        """Recovery has read what lies there: judge all that it may be, and let it take what chance would."""
        self._slack.asked(self.env)
        if self._watch is not None:
            self._noticed, self._watch = self._watch.of_others(), None
        taken = self._asker(order)
        handed, state = frozenset(order), self._found.state()
        if self._unsettled:  # chance has settled what a reader might have found otherwise
            for (part, slot), contents in self._unsettled.items():
                state.set(part, slot, contents)
                self._found.changed(part, slot)
            handed = RULES[self.protocol.rule](state, self.protocol.rule_params())
        assert taken in handed, f"{taken} is not among what the doubts allow: {handed}"
        acknowledged, written = self._acknowledged, state.written()
        outcomes = {classify(one, acknowledged=acknowledged, written=written) for one in handed}
        self.asked.append(
            Asked(
                int(self.env.now), tuple(sorted(handed, key=str)), taken, acknowledged,
                tuple(sorted(outcomes, key=lambda outcome: outcome.severity)),
                classify(taken, acknowledged=acknowledged, written=written),
            )
        )  # fmt: skip
        sure = taken if len(handed) == 1 else None
        self._reach(digest(sorted(map(str, handed)), str(taken), self._digest(acknowledged, sure)))
        self._unsettled.clear()
        self._picked.clear()
        return taken

    def _digest(self, acknowledged: int, handed: Handed | None = None) -> str:
        """The state in which recovery asks: nothing is in flight any more, but what lies in caches that survived.

        What a recovery that is surely *handed* this will delete unread makes no difference.
        """
        simulation, world = self.simulation, self.world
        workload = simulation.topology.workload
        grid = 0
        if workload.after_recovery == "keep_grid":
            grid = int(self.env.now) % workload.interval
        dark = tuple(name for name, device in world.domains.items() if not device.up)
        needs = tuple(sorted((place, tuple(sorted(tokens))) for place, tokens in world.needs.items()))
        residues = tuple(device.residue() for device in world.domains.values())
        kept = plain(self.protocol)
        deletes = None if handed is None else partial(self.protocol.deletes, handed)
        numbers = tuple(sorted(simulation.building.job.numbers.items()))
        return digest(
            self._found.number(self._unsettled, deletes), needs, residues, kept, acknowledged, self._begun, grid, dark,
            numbers,
        )  # fmt: skip

    def left_by(self, takes: frozenset[str]) -> str:
        """The state that a strike that takes *takes* would leave now, where the job learns of it at once."""
        return digest(
            surviving(self.world, takes), plain(self.protocol), self._acknowledged, self._begun, self._recovered,
            tuple(device.up for device in self.world.domains.values()),
            tuple(sorted(self.simulation.building.job.numbers.items())),
        )  # fmt: skip

"""Training that checkpoints: when each checkpoint begins, what it stops, and how a job restarts.

A checkpoint is due at `first + (k-1) * interval`, counted from the start and again from each recovery;
what comes due while training stands still is not due any more.  Synchronous: training stands until the
checkpoint is saved.  Asynchronous: it stands while every rank copies its state to host memory, and
the copy is saved while training goes on.

Every attempt is a checkpoint of its own.  What its files say its number is depends on `numbers`: attempts are never
numbered alike; steps are what most writers put there, so that after a rollback a number is used again.

A recovery that hangs (ranks chose different checkpoints) is killed after `hang_timeout`, and asked for again.

Source: PyTorch Distributed Checkpoint, save and async_save, for the two modes; torch.distributed,
init_process_group, for the time until a collective that does not end aborts the job.

Not modelled: the training itself; a snapshot that shares the GPU's copy engine with training.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from pydantic import ConfigDict, Field

from hwsim.outcomes import HANG, REFUSED, Handed
from hwsim.quantities import Duration, Params, Size
from hwsim.recovery import DurableState
from hwsim.rules import RULES
from hwsim.workloads import JobWorkload

if TYPE_CHECKING:
    import simpy

    from hwsim.domain import World
    from hwsim.protocol import Job, Node, Placed, Protocol


class InFlight(Params):
    """How many checkpoints may be under way at once."""

    max: int = Field(default=1, ge=1, description="checkpoints under way at most")
    when_full: Literal["wait", "skip"] = Field(
        default="wait", description="what a checkpoint does that comes due when full"
    )


class Restart(Params):
    """What a restart costs once a crash stopped the job."""

    detect: Duration = Field(default=0, description="time until the crash is noticed and survivors are torn down")
    load: bool = Field(
        default=True, description="whether reading the checkpoint back takes time (bytes over bandwidth)"
    )
    init: Duration = Field(default=0, description="time to start the program once the state is loaded")
    hang_timeout: Duration = Field(
        default=600 * 10**12,
        gt=0,
        description="until ranks that wait for each other are killed and start again; 10min is PyTorch's for NCCL",
    )


class Shards(Params):
    """One line of `shards`: what is saved from where to where."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    source: str | None = Field(
        default=None, alias="from", description="one shard for each match; none for abstract domains"
    )
    size: Size | None = Field(
        default=None, description="bytes of one shard; required unless it goes to an abstract domain"
    )
    to: str = Field(description="a device key in the source's node, a device outside nodes, or abstract domains")
    node: str = Field(
        default="same",
        pattern=r"^(same|next|\+[1-9][0-9]*|group/([2-9]|[1-9][0-9]+))$",
        description="which node's device: same, next, +K, or group/M: in each M nodes, as many on as the copy's number",
    )
    copies: int = Field(
        default=0, alias="copy", ge=0, description="number of this copy of the shards named by the same `from`"
    )
    into: Literal["media", "page_cache", "tmpfs", "dram", "pmem", "hbm"] = Field(
        default="media", description="what the bytes are written into"
    )
    sync: Literal["none", "flush", "fua", "completion", "read_after_write", "rdma_flush", "ack"] = Field(
        default="flush", description="what the writer waits for before it calls the shard saved"
    )
    path: Literal["bounce", "gpudirect"] | None = Field(
        default=None,
        description="of an RDMA write from a GPU: through its host's memory (default), or straight out of its own",
    )


class CheckpointParams(Params):
    """Parameters of `kind: checkpoint`."""

    kind: Literal["checkpoint"] = "checkpoint"
    interval: Duration = Field(gt=0, description="checkpoint k begins at first + (k-1) * interval")
    first: Duration | None = Field(
        default=None, description="from the start, or a recovery, to checkpoint 1; default: interval"
    )
    mode: Literal["sync", "async"] = Field(
        default="sync", description="sync: training waits until the checkpoint is saved; async: for a snapshot only"
    )
    start: Literal["barrier", "random_phase", "poisson"] = Field(
        default="barrier",
        description="barrier: all at once; random_phase: each part at a phase of its own; poisson: each part at random",
    )
    in_flight: InFlight = Field(default_factory=InFlight)
    numbers: Literal["attempts", "steps"] = Field(
        default="attempts",
        description="the number that a checkpoint's files carry: its own, or that of its training step, which a "
        "rollback uses again",
    )
    after_recovery: Literal["restart_schedule", "keep_grid"] = Field(
        default="restart_schedule", description="whether the schedule starts anew at a recovery"
    )
    restart: Restart = Field(default_factory=Restart)
    shards: tuple[Shards, ...] = Field(default=(), description="what is saved, and where to")


class Checkpoint(JobWorkload, kind="checkpoint"):
    """Training with checkpoints on one job of several ranks.

    A crash that strikes a participant stops the job: the survivors' saves go on until the crash is
    detected, then everything is torn down; once every participant serves again the recovery rule is
    asked, what it hands back is loaded, and training and schedule go on.
    """

    Params = CheckpointParams

    def __init__(self, job: Job, protocol: Protocol, params: Any) -> None:
        self.job = job
        self.protocol = protocol
        self.params = params
        self.world = job.world
        self.env = job.env
        self.running = False
        self._epoch = 0  # the newest checkpoint attempted
        self._number = 0  # of the newest checkpoint begun, or of the one resumed from
        self._in_flight: dict[int, None] = {}  # in order of their beginning
        self._ended: simpy.Event | None = None  # someone waits for a checkpoint in flight to end
        self._process: simpy.Process | None = None  # training or recovery, whichever goes on
        self._lead_ps = max((part.lead_ps for part in job.parts), default=0)
        self._ranks: list[_FreeRank] = []
        self._down: dict[str, None] = {}  # participants that do not serve
        self._all_up: simpy.Event | None = None
        self._participants = frozenset(job.participants)
        self.read = self._found
        self.choose = self._draw
        job.on_finished = self._finished

    def start(self) -> None:
        """Training begins."""
        self.running = True
        self._train(self.env.now + (self.params.interval if self.params.first is None else self.params.first))

    # schedule

    def _train(self, first_ps: int) -> None:
        if self.params.start == "barrier":
            self._process = self.env.process(self._barrier(first_ps))
        else:
            self._free_running(first_ps)

    def _barrier(self, due: int) -> Generator[simpy.Event, Any, None]:
        """All ranks begin a checkpoint together whenever one is due; none is due while training stands still."""
        import simpy

        env, params, record = self.env, self.params, self.world.record
        interval, synchronous = params.interval, params.mode == "sync"
        lead = self._lead_ps
        snapshots = not synchronous and any(node.snapshot_bytes for node in self.job.nodes)
        try:
            while True:
                yield env.timeout(max(due - lead - env.now, 0))
                stalled = False
                if len(self._in_flight) >= params.in_flight.max:
                    if params.in_flight.when_full == "skip":
                        record("checkpoint_skipped", "job")
                        due += interval
                        continue
                    stalled = True
                    record("training_stalled", "job", epoch=self._epoch + 1)
                    while len(self._in_flight) >= params.in_flight.max:
                        self._ended = env.event()
                        yield self._ended
                began = int(env.now)
                self._epoch += 1
                epoch = self._epoch
                self._in_flight[epoch] = None
                self._record_begun(epoch)
                if (synchronous or snapshots) and not stalled:
                    stalled = True
                    record("training_stalled", "job", epoch=epoch)
                self.protocol.begin(epoch)
                if synchronous:
                    self._save_all(epoch, from_host=False)
                    self.protocol.snapshot_taken(epoch)
                    while epoch in self._in_flight:
                        self._ended = env.event()
                        yield self._ended
                elif snapshots:
                    yield self._snapshot(epoch)
                else:
                    self._save_all(epoch, from_host=True)
                    self.protocol.snapshot_taken(epoch)
                if stalled:
                    record("training_resumed", "job", epoch=epoch)
                due += interval
                late = max(int(env.now) - (due - lead), began - (due - lead) + 1)
                if late > 0:
                    due += -(-late // interval) * interval
        except simpy.Interrupt:
            return

    def _record_begun(self, epoch: int) -> None:
        steps = (self.protocol.numbers or self.params.numbers) == "steps"
        number = self._number = self._number + 1 if steps else epoch
        if number != epoch:
            self.job.numbers[epoch] = number
        self.world.record("checkpoint_begun", "job", epoch=epoch, detail=None if number == epoch else str(number))

    def _save_all(self, epoch: int, *, from_host: bool) -> None:
        lead, save = self._lead_ps, self._save_late if self.job.held_up else self.protocol.save
        for placed in self.job.parts:
            if placed.lead_ps == lead:
                save(placed, epoch, from_host=from_host)
            else:
                self.job.later(lead - placed.lead_ps, partial(save, placed, epoch, from_host=from_host))

    def _save_late(self, placed: Placed, epoch: int, *, from_host: bool) -> None:
        """Save a part; that of a rank that is held up begins as much later."""
        late = self.job.held_up.get(placed.node.name)
        if late is None:
            self.protocol.save(placed, epoch, from_host=from_host)
        else:
            self.job.later(late, partial(self.protocol.save, placed, epoch, from_host=from_host))

    def _snapshot(self, epoch: int) -> simpy.Event:
        """Copy every rank's state to its host; a rank's saves begin as its own copy ends."""
        done = self.env.event()
        left = len(self.job.nodes)

        def taken(node: Node) -> None:
            nonlocal left
            for placed in node.parts:
                self._save_late(placed, epoch, from_host=True)
            left -= 1
            if not left:
                self.world.record("snapshot_taken", "job", epoch=epoch)
                self.protocol.snapshot_taken(epoch)
                done.succeed()

        for node in self.job.nodes:
            flow = self.world.flows.start(node.snapshot_pipes, node.snapshot_bytes)
            self.job.track(flow, node.uses, partial(taken, node))
        return done

    def _finished(self, epoch: int) -> None:
        self._in_flight.pop(epoch, None)
        if self._ended is not None:
            ended, self._ended = self._ended, None
            ended.succeed()

    # ranks that do not wait for each other

    def _free_running(self, first_ps: int) -> None:
        """Every part begins its own checkpoints: the same period at its own phase, or at random; nothing stalls."""
        params = self.params
        poisson = params.start == "poisson"
        limit, skip = params.in_flight.max, params.in_flight.when_full == "skip"
        self.job.on_saved = self._part_saved
        self._ranks = [_FreeRank(placed, self._epoch, self.world) for placed in self.job.parts]
        self._by_part = {rank.placed.name: rank for rank in self._ranks}
        newest = self._epoch

        def begin(rank: _FreeRank) -> None:
            nonlocal newest
            rank.epoch += 1
            rank.in_flight += 1
            epoch = rank.epoch
            if epoch > newest:
                newest = self._epoch = epoch
                self._in_flight[epoch] = None
                self._record_begun(epoch)
                self.protocol.begin(epoch)
            placed, pipes = rank.placed, rank.placed.node.snapshot_pipes
            if params.mode == "async" and pipes and placed.snapshots:
                save = partial(self._save_late, placed, epoch, from_host=True)
                self.job.track(self.world.flows.start(pipes, placed.size_bytes), placed.node.uses, save)
            else:
                self._save_late(placed, epoch, from_host=params.mode == "async")

        def due(rank: _FreeRank) -> None:
            if rank.in_flight < limit:
                begin(rank)
            elif not skip:
                rank.waiting += 1
            rank.due_ps += -round(params.interval * math.log1p(-rank.draw())) if poisson else params.interval
            self.job.later(rank.due_ps - int(self.env.now), rank.call)

        self._begin_free = begin
        for rank in self._ranks:
            rank.call = partial(due, rank)
            u = rank.draw()
            if poisson:
                rank.due_ps = int(self.env.now) - round(params.interval * math.log1p(-u))
            else:
                rank.due_ps = max(first_ps + int(params.interval * u), int(self.env.now))
            self.job.later(rank.due_ps - int(self.env.now), rank.call)

    def _part_saved(self, placed: Placed, epoch: int) -> None:
        rank = self._by_part[placed.name]
        rank.in_flight -= 1
        if rank.waiting:
            rank.waiting -= 1
            self._begin_free(rank)

    # crashes and recovery

    def stopped(self, devices: Sequence[str], kind: str) -> None:
        """A fault that ends jobs struck *devices*; called once they have stopped."""
        if self._participants.isdisjoint(devices):
            return
        self.job.lose(devices)
        if self._process is not None and self._process.is_alive:
            self._process.interrupt()
        if self.running:
            self.running = False
            self.job.claim("job_stopped", detail=kind)
        self._process = self.env.process(self._recover())

    def unavailable(self, device: str) -> None:
        """A device, or the process on it, cannot be used until it is `restored`."""
        if device in self._participants:
            self._down[device] = None

    def restored(self, device: str) -> None:
        """A device serves again."""
        self._down.pop(device, None)
        if not self._down and self._all_up is not None:
            up, self._all_up = self._all_up, None
            up.succeed()

    def _recover(self) -> Generator[simpy.Event, Any, None]:
        """Detect, tear down, wait for every participant, ask the rule, load, start."""
        import simpy

        env, restart = self.env, self.params.restart
        try:
            if restart.detect:  # else nothing of this instant comes before it
                yield env.timeout(restart.detect)
            self._tear_down()
            while True:
                while self._down:
                    self._all_up = env.event()
                    yield self._all_up
                if self.protocol.confers:
                    told = env.event()
                    self.protocol.confer(partial(_succeed, told))
                    yield told
                    if self._down:
                        continue
                handed = self._ask()
                self.job.claim("recovered", handed.epoch, detail=handed.kind)
                if handed.kind != HANG:
                    break
                yield env.timeout(restart.hang_timeout)
            self.protocol.resume(handed)
            if handed.epoch is not None:
                self._number = self.job.numbers.get(handed.epoch, handed.epoch)
            elif handed.kind == REFUSED:
                self._number = 0
            yield env.timeout((self.job.load_ps() if restart.load else 0) + restart.init)
        except simpy.Interrupt:
            return
        self.running = True
        self.job.claim("job_resumed")
        interval = self.params.interval
        first = interval if self.params.first is None else self.params.first
        if self.params.after_recovery == "restart_schedule":
            self._train(env.now + first)
        else:
            self._train(first + max(-(-(env.now - first) // interval), 0) * interval)

    def _tear_down(self) -> None:
        for epoch in self._in_flight:
            self.job.claim("checkpoint_abandoned", epoch, detail="the job stopped")
        self._in_flight.clear()
        self._ended = None
        self.job.tear_down()
        self.protocol.tear_down()
        self._ranks = []

    def _ask(self) -> Handed:
        """What the protocol's rule makes of what lies there now; a doubt that is left is left to `choose`."""
        results = RULES[self.protocol.rule](self.read(), self.protocol.rule_params())
        order = sorted(results, key=lambda handed: (handed.kind, -1 if handed.epoch is None else handed.epoch))
        return self.choose(order)

    def _found(self) -> DurableState:
        state = DurableState.holding(self.job.trace_parts, self.world.holdings.found())
        for epoch, number in self.job.numbers.items():
            state.number(epoch, number)
        return state

    def _draw(self, order: Sequence[Handed]) -> Handed:
        return order[0] if len(order) == 1 else self.world.stream("recovery", int(self.env.now)).choice(order)


def _succeed(event: simpy.Event) -> None:
    event.succeed()


class _FreeRank:
    """One part that begins its checkpoints by itself."""

    __slots__ = ("call", "draw", "due_ps", "epoch", "in_flight", "placed", "waiting")

    def __init__(self, placed: Placed, epoch: int, world: World) -> None:
        self.placed = placed
        self.epoch = epoch
        self.in_flight = 0
        self.waiting = 0
        self.due_ps = 0
        self.draw: Callable[[], float] = world.stream("start", placed.name, epoch).random
        self.call: Callable[[], None]

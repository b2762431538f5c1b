"""Commit protocols: what a checkpoint's shards must have done before anyone may call it a checkpoint.

A protocol sees its own participants, their stores and the messages that reach them; it is never
handed a peer's state, so to it a crash is silence.  It records *claims* (`shard_saved`,
`epoch_committed`), never facts, and it names the recovery rule that the trace's header carries: the
rule is a pure function of durable state, the same in the crash sweep and in a live recovery.

Not modelled: a participant that lies; changes of membership within a run; the time that a delete takes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, TypeVar, cast

from hwsim.domain import IOFailed, PersistenceDomain, Store, World
from hwsim.faults import UploadFailed
from hwsim.quantities import Params
from hwsim.trace import Part

if TYPE_CHECKING:
    import random

    import simpy

    from hwsim.bilateral.live import BilateralLink
    from hwsim.distributions import Distribution
    from hwsim.domain import Operation
    from hwsim.flow import Flow, Pipe
    from hwsim.network import Network, Transfer
    from hwsim.outcomes import Handed

_MESSAGE_BYTES = 64  # of payload: what was done, to which checkpoint, by whom


class Message(NamedTuple):
    """What one participant tells another."""

    kind: str
    epoch: int
    sender: str


class Placed:
    """One placed copy of a rank's shard, live: where its bytes come from, what they cross, where they land.

    `pipes` are crossed from the source's own memory, `pipes_from_host` from a snapshot in the memory of its host;
    `uses` and `uses_from_host` are the devices without which a write cannot go on.  `lead_ps`: how much too
    early the domain's clock makes it begin.  `snapshots`: whether a save beside the training copies it to its host
    first (GPUDirect sends it from where it is).
    """

    __slots__ = (
        "device", "index", "into", "latency_ps", "lead_ps", "name", "node", "pipes", "pipes_from_host", "quick",
        "shard", "size_bytes", "snapshots", "store", "sync", "takes_room", "truncates", "uses",
        "uses_from_host", "writer",
    )  # fmt: skip

    def __init__(
        self,
        name: str,
        *,
        node: Node,
        index: int,
        shard: int,
        store: Store,
        device: str,
        size_bytes: int,
        into: str,
        sync: str,
        writer: str = "",
        pipes: tuple[Pipe, ...] = (),
        pipes_from_host: tuple[Pipe, ...] = (),
        latency_ps: int = 0,
        lead_ps: int = 0,
        uses: frozenset[str] = frozenset(),
        uses_from_host: frozenset[str] = frozenset(),
        snapshots: bool = True,
    ) -> None:
        self.name = name
        self.node = node
        self.index = index
        self.shard = shard
        self.store = store
        self.device = device
        self.size_bytes = size_bytes
        self.into = into
        self.sync = sync
        self.writer = writer
        self.pipes = pipes
        self.pipes_from_host = pipes_from_host
        self.latency_ps = latency_ps
        self.lead_ps = lead_ps
        self.uses = uses
        self.uses_from_host = uses_from_host
        self.snapshots = snapshots
        self.takes_room = True  # as files do; a directory's change in a journal does not
        self.truncates = False  # whether the file is emptied before it is written
        # A store whose writes are one event each offers a shorter way: (slot, epoch, job, then, placed).
        quick = getattr(store, "quick_writer", None)
        self.quick: Callable[[str, int, Job, Callable[[Placed, int], None], Placed], None] | None = (
            None if quick is None else quick(name)
        )


class Node:
    """One participant: a rank with the shards that it saves (an abstract domain is a rank of its own).

    `endpoint` is the device at which messages for it arrive.
    """

    __slots__ = ("endpoint", "name", "parts", "snapshot_bytes", "snapshot_pipes", "uses")

    def __init__(self, name: str, endpoint: str, uses: frozenset[str] = frozenset()) -> None:
        self.name = name
        self.endpoint = endpoint
        self.parts: list[Placed] = []
        self.snapshot_bytes = 0
        self.snapshot_pipes: tuple[Pipe, ...] = ()
        self.uses = uses  # devices that a snapshot needs


class Job:
    """What the ranks of one training job do to their devices: writes, messages, claims; and how all of it is torn down.

    Whatever is begun through it dies with `tear_down`: a write is cancelled, a message finds nobody.
    """

    def __init__(self, world: World, nodes: Sequence[Node], network: Network | None, coordinator: Node | None) -> None:
        self.world = world
        self.env = world.env
        self.nodes = tuple(nodes)
        self.parts: tuple[Placed, ...] = tuple(sorted((p for node in nodes for p in node.parts), key=lambda p: p.index))
        self.network = network
        self.coordinator = coordinator if coordinator is not None else self.nodes[0]
        self.message_delay: Distribution | None = None
        self.generation = 0
        self.held_up: dict[str, int] = {}  # rank -> how late each of its saves begins (ps)
        self.dead: set[str] = set()  # hosts whose process a crash has ended; asked for members, never walked
        self.resend_ps = 10**12
        self.on_saved: Callable[[Placed, int], None] | None = None
        self.on_finished: Callable[[int], None] | None = None
        self.links: Mapping[str, BilateralLink] = {}  # the bilateral ones, by name
        self.participants: tuple[str, ...] = ()
        self.trace_parts: tuple[Part, ...] = ()
        self.numbers: dict[int, int] = {}  # checkpoint -> the number in its files, where that is not its own
        self.load_ps: Callable[[], int] = lambda: 0  # time to read a checkpoint back
        self.place_record: Callable[[str, str | None, int, str | None, Node | None], Placed] = _no_records
        self.on_tear_down: list[Callable[[], None]] = []  # what dies with its processes beside what they began
        self._under_way: dict[Operation | Flow, frozenset[str]] = {}
        self._uploads: dict[Operation, tuple[Placed, str, int]] = {}  # writes under way: what, slot, checkpoint
        self._broken: dict[Operation, IOFailed] = {}  # those that their client gave up
        self._delays: dict[str, random.Random] = {}
        self._transfers: dict[Transfer, None] = {}
        for host in dict.fromkeys((*(part.writer for part in self.parts), self.coordinator.endpoint)):
            if host:
                world.domains[host].on_fail.append(partial(self._uploads_fail, host))

    # writing

    def write(
        self, placed: Placed, slot: str, epoch: int, then: Callable[[Placed, int], None], *, from_host: bool = False,
        failed: Callable[[IOFailed], None] | None = None,
    ) -> None:  # fmt: skip
        """Write *placed* under *slot* and call *then* once its sync holds; never, if a crash comes first.

        *failed* is called instead if the device lives and answers with an error; without it none may come.
        """
        if placed.quick is not None:
            placed.quick(slot, epoch, self, then, placed)
        elif placed.writer in self.dead:
            return
        elif placed.latency_ps:
            self.later(placed.latency_ps, lambda: self._write(placed, slot, epoch, then, from_host, failed))
        else:
            self._write(placed, slot, epoch, then, from_host, failed)

    def _write(
        self, placed: Placed, slot: str, epoch: int, then: Callable[[Placed, int], None], from_host: bool,
        failed: Callable[[IOFailed], None] | None,
    ) -> None:  # fmt: skip
        device = domain_of(placed.store)
        if not device.up:  # a reset passes, and the driver has waited; if it is more than that the job stops
            self._once_restored(device, lambda: self._write(placed, slot, epoch, then, from_host, failed))
            return
        error = self._cut_off(placed, slot, epoch, "write") or self._refused(placed, slot, epoch)
        if error is not None:
            assert failed is not None, f"nobody answers for {error}"
            self.later(placed.latency_ps, lambda: failed(error))
            return
        operation = placed.store.write(
            placed.name,
            slot,
            epoch,
            placed.size_bytes,
            pipes=placed.pipes_from_host if from_host else placed.pipes,
            sync=placed.sync,
            into=placed.into,
            owner=placed.writer,
        )
        self._uploads[operation] = (placed, slot, epoch)
        self._follow(operation, placed, epoch, then, from_host, failed)

    def _cut_off(self, placed: Placed, slot: str, epoch: int, during: str) -> IOFailed | None:
        """The failure of an operation that begins now where a fault keeps its client from the device."""
        writer = self.world.domains[placed.writer]
        if not writer.failing or not self._is_upload(placed):
            return None
        errno = writer.errno(UploadFailed.errno)
        return None if errno is None else writer.failed(errno, placed.name, slot, epoch, during=during)

    def _refused(self, placed: Placed, slot: str, epoch: int) -> IOFailed | None:
        """Open the file; the failure of a write for which there is no room then."""
        holder = self.world.domains[placed.device]
        if placed.truncates:
            self.world.holdings.truncate(placed.device, placed.name, slot, epoch)
        errno = holder.allocate(placed.name, slot, placed.size_bytes) if placed.takes_room else None
        return None if errno is None else holder.failed(errno, placed.name, slot, epoch)

    def _is_upload(self, placed: Placed) -> bool:
        return placed.writer not in ("", placed.device, self.world.domains[placed.device].host)

    def _uploads_fail(self, host: str) -> None:
        """A fault makes what the processes of *host* write elsewhere fail: what is under way too."""
        writer = self.world.domains[host]
        for operation, (placed, slot, epoch) in list(self._uploads.items()):
            if placed.writer != host or not self._is_upload(placed) or operation.done.triggered:
                continue
            errno = writer.errno(UploadFailed.errno)
            if errno is None:
                return
            self._broken[operation] = writer.failed(errno, placed.name, slot, epoch)
            operation.cancel()

    def sync(
        self, placed: Placed, slot: str, epoch: int, then: Callable[[Placed, int], None], *, from_host: bool = False,
        failed: Callable[[IOFailed], None],
    ) -> None:  # fmt: skip
        """Sync again what was written of *placed*, and nothing more; as `write` otherwise.

        A store whose writes end with their sync has no call for it: there everything is written again.
        """
        device, call = domain_of(placed.store), getattr(placed.store, "sync", None)
        if call is None:
            self.write(placed, slot, epoch, then, from_host=from_host, failed=failed)
            return

        def begin() -> None:
            if not device.up:
                self._once_restored(device, begin)
                return
            error = self._cut_off(placed, slot, epoch, "sync")
            if error is not None:
                self.later(placed.latency_ps, lambda: failed(error))
            else:
                operation = call(placed.name, slot, placed.into)
                self._follow(operation, placed, epoch, then, from_host, failed)

        if placed.writer not in self.dead:
            self.later(placed.latency_ps, begin)

    def _follow(
        self, operation: Operation, placed: Placed, epoch: int, then: Callable[[Placed, int], None], from_host: bool,
        failed: Callable[[IOFailed], None] | None,
    ) -> None:  # fmt: skip
        """Tell *then* or *failed* how a write, or its sync, ended."""
        under_way = self._under_way
        under_way[operation] = placed.uses_from_host if from_host else placed.uses
        generation = self.generation

        def returned(event: simpy.Event) -> None:
            under_way.pop(operation, None)
            self._uploads.pop(operation, None)
            if not event._ok:
                event.defused = True
                error = self._broken.pop(operation, event._value)
                if isinstance(error, IOFailed) and generation == self.generation:
                    assert failed is not None, f"nobody answers for {error}"
                    self.later(placed.latency_ps, lambda: failed(error))
            elif generation == self.generation and placed.writer not in self.dead:
                if placed.latency_ps:
                    self.later(placed.latency_ps, lambda: then(placed, epoch))
                else:
                    then(placed, epoch)

        self.watch(operation.done, returned)

    def watch(self, event: simpy.Event, callback: Callable[[simpy.Event], None]) -> None:
        """Call *callback* when *event* happens, or now if it has happened."""
        if event.processed:
            callback(event)
        else:
            event.callbacks.append(callback)

    def track(self, operation: Operation | Flow, uses: frozenset[str], then: Callable[[], None]) -> None:
        """Let *operation* be torn down with the rest, or with a device it *uses*; call *then* once it is done."""
        self._under_way[operation] = uses
        generation = self.generation

        def returned(event: simpy.Event) -> None:
            self._under_way.pop(operation, None)
            if not event._ok:
                event.defused = True
            elif generation == self.generation:
                then()

        self.watch(operation.done, returned)

    def later(self, delay_ps: int, action: Callable[[], None]) -> None:
        """Do *action* after *delay_ps*, unless the job is torn down before."""
        generation = self.generation

        def due(_: simpy.Event) -> None:
            if generation == self.generation:
                action()

        self.env.timeout(delay_ps).callbacks.append(due)

    def _once_restored(self, device: PersistenceDomain, action: Callable[[], None]) -> None:
        generation = self.generation

        def restored() -> None:
            device.on_restore.remove(restored)
            if generation == self.generation:
                action()

        device.on_restore.append(restored)

    # messages

    def send(self, kind: str, epoch: int, sender: Node, receiver: Node, then: Callable[[Message], None]) -> None:
        """Send a message; *then* is called with it when, and if, it arrives.

        Over links it goes by a transport that tries again; between devices that no link joins it
        takes `message_delay`, even to oneself.
        """
        if sender.endpoint in self.dead:
            return
        generation = self.generation
        message = Message(kind, epoch, sender.name)

        def arrived() -> None:
            if generation == self.generation and receiver.endpoint not in self.dead:
                then(message)

        network = self.network
        if network is not None and network.joined(sender.endpoint, receiver.endpoint):
            transfer = network.send_reliably(
                sender.endpoint, receiver.endpoint, kind, epoch, _MESSAGE_BYTES, arrived, timeout_ps=self.resend_ps,
                on_acknowledged=lambda: self._transfers.pop(transfer, None),
            )  # fmt: skip
            self._transfers[transfer] = None
            return
        assert self.message_delay is not None, f"no link joins {sender.endpoint} to {receiver.endpoint}"
        self.world.record("sent", sender.name, epoch=epoch, peer=receiver.name, detail=kind)

        def deliver() -> None:
            serves = self.world.domains[receiver.endpoint].up
            event, detail = ("delivered", kind) if serves else ("dropped", "dark")
            self.world.record(event, receiver.name, epoch=epoch, peer=sender.name, detail=detail)
            if serves:
                arrived()

        stream = self._delays.get(sender.name)
        if stream is None:
            stream = self._delays[sender.name] = self.world.stream("message_delay", sender.name)
        self.later(self.message_delay.draw(stream), deliver)

    # claims

    def claim(
        self, event: str, epoch: int | None = None, *, subject: str = "job", detail: str | None = None,
        part: str | None = None, peer: str | None = None,
    ) -> None:  # fmt: skip
        """Record what the job says."""
        self.world.record(event, subject, part=part, epoch=epoch, peer=peer, detail=detail)

    def forgo_flushes(self, *parts: Placed) -> None:
        """Let saves of *parts* return once they are completed, whatever they wait for: a mistake, for mutations."""
        for placed in parts:
            if placed.sync != "none":
                placed.sync = "completion"

    def saved(self, placed: Placed, epoch: int) -> None:
        """A save returned to its writer.  (An abstract domain's `persisted` already says so.)"""
        if placed.writer:
            self.world.record("shard_saved", placed.node.name, part=placed.name, epoch=epoch, peer=placed.device)
        if self.on_saved is not None:
            self.on_saved(placed, epoch)

    def not_saved(self, placed: Placed, epoch: int) -> None:
        """A save was given up: its part may go on to the next checkpoint."""
        if self.on_saved is not None:
            self.on_saved(placed, epoch)

    def finished(self, epoch: int) -> None:
        """Nothing of this checkpoint is under way any more."""
        if self.on_finished is not None:
            self.on_finished(epoch)

    # crashes

    @property
    def idle(self) -> bool:
        """Whether nothing that it began is under way: no write, no copy, no message."""
        return not self._under_way and not self._transfers

    def lose(self, devices: Sequence[str]) -> None:
        """A crash took *devices*: what cannot go on without them ends, and the processes on them say nothing more."""
        self.dead.update(devices)
        lost = frozenset(devices)
        for operation, uses in list(self._under_way.items()):
            if uses & lost and operation in self._under_way:
                operation.cancel()

    def tear_down(self) -> None:
        """Kill every process of the job: nothing that it began goes on."""
        self.generation += 1
        self.dead.clear()
        self.held_up.clear()
        for operation in list(self._under_way):
            operation.cancel()
        self._under_way.clear()
        self._uploads.clear()
        for transfer in self._transfers:
            transfer.cancel()
        self._transfers.clear()
        for notify in self.on_tear_down:
            notify()


class Mutation(NamedTuple):
    """A protocol with one mistake built in: what the mistake is, the class that makes it, and where it can show."""

    what: str
    protocol: type[Protocol]
    needs: tuple[str, ...]


Mutant = TypeVar("Mutant", bound="type[Protocol]")


def mutation(of: type[Protocol], name: str, what: str, *needs: str) -> Callable[[Mutant], Mutant]:
    """Enter a subclass of the protocol *of* as its mutation *name*: one durable step, wait or label left out.

    The subclass overrides what it breaks and lies in the protocol's own file; the protocol knows nothing of it.
    *needs*: without what in a topology the mistake changes nothing, such as a volatile cache for a Flush; either
    a value (`protocol.replace: rename`) or one of those that `hwsim.explore.needs` knows.
    """

    def entered(mutant: Mutant) -> Mutant:
        assert issubclass(mutant, of)
        assert name not in of.MUTATIONS, name
        of.MUTATIONS[name] = Mutation(what, mutant, needs)
        return mutant

    return entered


class Protocol:
    """One commit protocol.  A subclass is one file, `class X(Protocol, kind="x")`, with its frozen `Params`.

    The workload calls `begin`, then `save` for every placed part, and `snapshot_taken` once every rank
    holds its snapshot; the protocol calls `job.finished` when nothing of the checkpoint is under way any more.
    """

    Params: ClassVar[type[Params]]
    kind: ClassVar[str] = ""
    registry: ClassVar[dict[str, type[Protocol]]] = {}
    rule: ClassVar[str] = ""  # name of the recovery rule, see hwsim.rules
    MUTATIONS: ClassVar[dict[str, Mutation]] = {}  # each kind has its own, see `mutation`
    numbers: ClassVar[str | None] = None  # what its checkpoints are numbered by, whatever the workload says
    confers: ClassVar[bool] = False  # whether its ranks `confer` before the rule is asked

    def __init_subclass__(cls, kind: str = "", **rest: Any) -> None:
        super().__init_subclass__(**rest)
        if "resume" in vars(cls) and "deletes" not in vars(cls):  # who resumes otherwise says anew what goes
            cls.deletes = Protocol.deletes  # type: ignore[method-assign]
        if kind:
            cls.MUTATIONS = {}
            if kind in Protocol.registry:
                raise AssertionError(f"two protocol kinds are named {kind!r}")
            cls.kind = kind
            Protocol.registry[kind] = cls

    def __init__(self, job: Job, params: Any) -> None:
        self.job = job
        self.params = params
        self.world = job.world

    @classmethod
    def period(cls, params: Any) -> int:
        """After how many checkpoints it does the same again; in the last of them it does most."""
        return 1

    def rule_params(self) -> Mapping[str, Any]:
        """Parameters of the recovery rule: plain data."""
        return {}

    def records(self) -> Iterable[Part]:
        """Parts of the protocol's own beside the shards."""
        return ()

    def start_links(self) -> None:
        """The run begins: start the bilateral links.  Most protocols leave them alone, and they beacon."""
        for link in self.job.links.values():
            link.start()

    def begin(self, epoch: int) -> None:
        """Checkpoint *epoch* begins."""

    def save(self, placed: Placed, epoch: int, *, from_host: bool = False) -> None:
        """The bytes of *placed* are ready: make them durable."""
        raise NotImplementedError

    def snapshot_taken(self, epoch: int) -> None:
        """Every rank holds its snapshot of *epoch*."""

    def tear_down(self) -> None:
        """The job's processes are gone: forget whatever only they knew."""

    def kept(self) -> object:
        """What `tear_down` leaves of its own state, as plain data; None: whoever asks compares everything.

        Of two states in which it is equal, and the media too, recovery and all that follows are equal.
        """
        return None

    def deletes(self, handed: Handed, slot: str) -> bool:
        """Whether a recovery that hands this back deletes every shard under *slot* in `resume`, whatever lies there.

        Of two states that differ in such entries only, all that follows that recovery is equal.
        """
        return False

    def confer(self, told: Callable[[], None]) -> None:
        """All serve again: let the ranks tell each other what they hold, and call *told* once they know."""
        raise NotImplementedError

    def resume(self, handed: Handed) -> None:
        """A recovery handed this back: bring the media into the state from which the job goes on."""


def _no_records(part: str, to: str | None, size_bytes: int, sync: str | None, node: Node | None) -> Placed:
    raise AssertionError(f"nobody said where {part} could lie")


def domain_of(store: Store) -> PersistenceDomain:
    """The device that a store is."""
    return cast(PersistenceDomain, store)

"""From a file to a frozen `Topology`, or to every mistake in it."""

from __future__ import annotations

import copy
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path as FilePath
from typing import Any

from pydantic import BaseModel

from hwsim.errors import Mistake
from hwsim.topology import changes as changing
from hwsim.topology import expectations
from hwsim.topology.document import Document, key_names, suggest
from hwsim.topology.hardware import Hardware, HardwareReader
from hwsim.topology.lines import SECTIONS, CaseLine, Header
from hwsim.topology.names import Names, check_word
from hwsim.topology.neighbouring import fit_to_links
from hwsim.topology.placing import Placer
from hwsim.topology.profiles import load_profiles
from hwsim.topology.registries import protocol_kinds, workload_kinds
from hwsim.topology.resolved import plain
from hwsim.topology.spec import Case, Expectation, ShardSpec, Topology
from hwsim.topology.storing import fit_to_store
from hwsim.topology.striking import Striker
from hwsim.topology.yaml_source import Marks, Path, Place, Source, read_file

Change = tuple[str, Any]


@dataclass
class Loaded:
    """What a file gives: the topology and each of its cases as one, as far as they are right."""

    topology: Topology | None
    cases: dict[str, Topology]
    mistakes: list[Mistake]


def load_file(path: str | os.PathLike[str], changes: Sequence[str | Change], seed: int | None) -> Loaded:
    """Read, change and resolve the topology at *path* and all of its cases; never raises for what a user can write."""
    return load_source(read_file(path), changes, seed)


def load_source(source: Source, changes: Sequence[str | Change], seed: int | None) -> Loaded:
    """As `load_file`, of a file that is read already."""
    mistakes = list(source.mistakes)
    if source.data is None:
        return Loaded(None, {}, mistakes)
    if not isinstance(source.data, dict):
        place = source.marks.value(())
        mistakes.append(Mistake(*place, "", "is no topology: it holds no keys", "`hwsim new` prints one to start from"))
        return Loaded(None, {}, mistakes)
    marks = source.marks
    data = source.data
    told: list[Change] = []
    for change in changes:
        what = change if isinstance(change, str) else change[0]
        place = Place(f"--set {what}", 0, 0)
        try:
            key, value = changing.parse(change) if isinstance(change, str) else change
            changing.apply(data, marks, key, value, place)
            told.append((key, value))
        except changing.ChangeRefused as refused:
            mistakes.append(Mistake(*place, "", refused.problem, refused.remedy))
    if seed is not None:
        data["seed"] = seed
        marks.keys["seed",] = marks.values["seed",] = Place("--seed", 0, 0)
    base = _Loader(data, marks, source, told, None)
    topology = base.load()
    mistakes += base.document.mistakes
    cases: dict[str, Topology] = {}
    for name, case in base.cases.items():
        found, wrong = _case(source, data, marks, told, name, case)
        # A mistake of the topology itself is told once, not again by each case.
        mistakes += [mistake for mistake in wrong if mistake not in mistakes]
        if found is not None:
            cases[name] = found
    return Loaded(topology, cases, mistakes)


def _case(
    source: Source, data: dict[str, Any], marks: Marks, told: list[Change], name: str, case: Case
) -> tuple[Topology | None, list[Mistake]]:
    """One case as a topology of its own."""
    own = copy.deepcopy({key: value for key, value in data.items() if key not in ("cases", "expect")})
    changed = Marks(marks.file, dict(marks.keys), dict(marks.values))
    wrong: list[Mistake] = []
    for key, value in case.changes.items():
        path: Path = ("cases", name, "set", key)
        try:
            changing.apply(own, changed, key, value, marks.value(path), given=marks, given_path=path)
        except changing.ChangeRefused as refused:
            wrong.append(Mistake(*marks.key(path), f"cases.{name}.set.{key}", refused.problem, refused.remedy))
    loader = _Loader(own, changed, source, [*told, *case.changes.items()], name, expect=case.expect)
    topology = loader.load()
    return topology, wrong + loader.document.mistakes


class _Loader:
    """Resolves one tree of plain data."""

    def __init__(
        self,
        data: dict[str, Any],
        marks: Marks,
        source: Source,
        told: list[Change],
        case: str | None,
        expect: tuple[Expectation, ...] | None = None,
    ) -> None:
        self.document = Document(data, marks)
        self.data = data
        self.source = source
        self.told = told
        self.case = case
        self.cases: dict[str, Case] = {}
        self._expect = expect

    def load(self) -> Topology | None:
        """Everything resolved, or None: then the document's mistakes tell why."""
        document = self.document
        header = self._header()
        library = load_profiles(document, self._profile_files(), FilePath(self.source.marks.file).parent)
        document.mistakes += library.mistakes
        names = Names(document)
        hardware = HardwareReader(document, names, library.profiles).read()
        if not hardware.devices and not document.mistakes:
            document.wrong((), "has no devices", "write `nodes` or `devices`", key=True)
        workload = self._kind("workload", workload_kinds())
        # What takes no checkpoints needs no protocol for them.
        checkpoints = self._takes_checkpoints()
        protocol = self._kind("protocol", protocol_kinds()) if checkpoints else None
        if not checkpoints:
            workload = self._over_links(workload, names, hardware)
        placer = Placer(document, names, hardware)
        shards = self._shards(workload, placer)
        coordinator, protocol = self._coordinate(protocol, shards, hardware, names, placer)
        if protocol is not None:
            protocol = fit_to_store(document, protocol, shards, hardware, coordinator)
            protocol = fit_to_links(document, protocol, shards, hardware, names)
        striker = Striker(document, names, hardware)
        faults = striker.faults()
        what_if = striker.what_ifs(header.horizon if header else None, getattr(workload, "interval", None))
        expect = self._expected(tuple(fault.name for fault in faults), tuple(hardware.links))
        warm_up = self._warm_up(header, workload)
        used = striker.used_domains | set(hardware.nested_domains)
        used_paths = {path for name, path in hardware.domain_paths.items() if name in used}
        for path in hardware.domain_paths.values():
            if path not in used_paths:  # of the domains that one line with `each` makes, one will do
                document.warn(path, "no fault and no what-if names this failure domain")
        if document.mistakes or header is None or workload is None or (checkpoints and protocol is None):
            return None
        name = header.name or _stem(self.source.marks.file)
        topology = Topology(
            name=name if self.case is None else f"{name}-{self.case}",
            description=header.description,
            seed=header.seed,
            horizon_ps=header.horizon,
            warm_up_ps=warm_up,
            repeats=header.repeats,
            nodes=tuple(hardware.nodes.values()),
            devices=hardware.devices,
            links=tuple(hardware.links.values()),
            failure_domains=hardware.domains,
            shards=shards,
            workload=workload,
            protocol=protocol,
            coordinator=coordinator,
            faults=faults,
            what_if=what_if,
            expect=expect,
            cases=tuple(self.cases.values()),
            sha256=self._digest(library.content),
            source=self.source.marks.file,
            warnings=tuple(dict.fromkeys(document.warnings)),
        )
        return replace(topology, resolved=plain(topology))

    def _header(self) -> Header | None:
        own = key_names(Header)
        for key in self.data:
            if key not in SECTIONS and key not in own:
                self.document.wrong((key,), "unknown key", suggest(key, [*own, *SECTIONS]), key=True)
        return self.document.validate(Header, {key: value for key, value in self.data.items() if key in own}, ())

    def _digest(self, profiles: str) -> str:
        """SHA-256 of the file, its profiles and the changes made to it."""
        digest = hashlib.sha256((self.source.sha256 + profiles).encode())
        if self.told:
            digest.update(json.dumps(self.told, sort_keys=True, default=str).encode())
        return digest.hexdigest()

    def _takes_checkpoints(self) -> bool:
        """Whether the workload's kind saves anything; one that is not known is taken to."""
        given = self.data.get("workload")
        kind = given.get("kind") if isinstance(given, dict) else None
        model = workload_kinds().get(kind) if isinstance(kind, str) else None
        return model is None or "shards" in model.model_fields

    def _over_links(self, workload: BaseModel | None, names: Names, hardware: Hardware) -> BaseModel | None:
        """A workload of links, with the names of all that take part; and no section that is about checkpoints."""
        document = self.document
        for section in ("protocol", "what_if"):
            if self.data.get(section) is not None:
                told = f"a workload of kind {self.data['workload']['kind']} takes no checkpoints"
                document.wrong((section,), f"{told}, so there is nothing for it", "leave it out", key=True)
        over = getattr(workload, "over", None)
        if over is None:
            found = [link.name for link in hardware.links.values() if not link.routed]
            if not found and hardware.complete:
                problem = "there is no bilateral link"
                document.wrong(("workload",), problem, "write one under `links`, with kind: bilateral", key=True)
        else:
            found = names.find(over, ("workload", "over"), ("link",))
            for name in found:
                link = hardware.links.get(name)
                if link is not None and link.routed:
                    problem = f"'{name}' is of kind {link.kind}"
                    document.wrong(("workload", "over"), problem, "name a link of kind bilateral")
                    break
        return workload.model_copy(update={"over": tuple(found)}) if workload is not None else None

    def _shards(self, workload: BaseModel | None, placer: Placer) -> tuple[ShardSpec, ...]:
        lines = getattr(workload, "shards", None)
        if lines is not None and not lines:
            self.document.wrong(("workload",), "lacks `shards`", "write what is saved and where to", key=True)
        return placer.place(lines or (), ("workload", "shards"))

    def _expected(self, faults: tuple[str, ...], links: tuple[str, ...]) -> tuple[Expectation, ...]:
        """What must come out: the topology's own `expect`, or what its case wants instead."""
        section = self.data.get("what_if")
        known = expectations.Known(
            what_if=tuple(section) if isinstance(section, dict) else (),
            # What is not right is not among them, so that its name would be a second mistake.
            faults=None if self.document.mistakes else faults,
            links=None if self.document.mistakes else links,
        )
        if self._expect is None:
            expect = self._expectations(("expect",), self.data.get("expect"), known)
            self._read_cases()
            return expect
        for expectation in self._expect:
            self._judge_key(("cases", str(self.case), "expect", expectation.key), expectation, known)
        return self._expect

    def _profile_files(self) -> tuple[str, ...]:
        given = self.data.get("profiles")
        files = [given] if isinstance(given, str) else given if isinstance(given, list) else []
        return tuple(name for name in files if isinstance(name, str))

    def _kind(self, section: str, kinds: Mapping[str, type[BaseModel]]) -> BaseModel | None:
        document = self.document
        given = self.data.get(section)
        if given is None:
            document.wrong(
                (section,) if section in self.data else (),
                f"lacks `{section}`",
                f"write {section}: {{kind: {' or '.join(kinds)}, ...}}",
                key=True,
            )
            return None
        keys = document.mapping((section,), given)
        if not isinstance(given, dict):
            return None
        kind = keys.get("kind")
        if not isinstance(kind, str) or kind not in kinds:
            document.wrong(
                (section, "kind") if "kind" in keys else (section,),
                f"'{kind}' is no {section} kind" if "kind" in keys else "lacks `kind`",
                suggest(str(kind), kinds, "kind:"),
                key="kind" not in keys,
            )
            return None
        return document.validate(kinds[kind], keys, (section,))

    def _coordinate(
        self,
        protocol: BaseModel | None,
        shards: tuple[ShardSpec, ...],
        hardware: Hardware,
        names: Names,
        placer: Placer,
    ) -> tuple[str | None, BaseModel | None]:
        """The device that coordinates, and the protocol with the place of its record resolved."""
        if protocol is None or "coordinator" not in type(protocol).model_fields:
            return None, protocol
        document = self.document

        def home(device: str) -> str:
            node = hardware.devices[device].node
            return device if node is None else hardware.nodes[node].host

        participants = list(dict.fromkeys(home(shard.source or shard.device) for shard in shards))
        named: str | None = protocol.coordinator  # type: ignore[attr-defined]
        coordinator: str | None = participants[0] if participants else None
        if named is not None:
            found = names.find((named,), ("protocol", "coordinator"), ("node", "device"))
            if len(found) > 1:
                document.wrong(("protocol", "coordinator"), f"'{named}' names {len(found)}", "name one")
            if not found:
                return None, protocol
            coordinator = hardware.nodes[found[0]].host if found[0] in hardware.nodes else found[0]
            if coordinator in hardware.devices and hardware.devices[coordinator].node is not None:
                coordinator = home(coordinator)
        if coordinator is None or coordinator not in hardware.devices:
            return None, protocol
        if hardware.complete and "message_delay" in type(protocol).model_fields and protocol.message_delay is None:  # type: ignore[attr-defined]
            lonely = next((one for one in participants if not placer.fabric.joined(one, coordinator)), None)
            if lonely is not None:
                document.wrong(
                    ("protocol",),
                    f"no link leads from '{lonely}' to the coordinator '{coordinator}'",
                    "write links, or message_delay: 50us",
                    key=True,
                )
        record = getattr(protocol, "manifest", None)
        to: tuple[str, ...] | None = getattr(record, "to", None)
        if isinstance(record, BaseModel) and to is not None:
            devices = self._record_devices(to, coordinator, hardware, names)
            protocol = protocol.model_copy(update={"manifest": record.model_copy(update={"to": devices or None})})
        return coordinator, protocol

    def _record_devices(
        self, to: tuple[str, ...], coordinator: str, hardware: Hardware, names: Names
    ) -> tuple[str, ...]:
        """The devices that hold the record's copies, each named by its key in the coordinator's node or by its name."""
        document, at = self.document, ("protocol", "manifest", "to")
        node = hardware.devices[coordinator].node
        devices = []
        for name in to:
            inside = hardware.inside[node].get(name, ()) if node is not None else ()
            found = [inside[0]] if inside else names.find((name,), at, ("device",))
            if len(found) > 1:
                document.wrong(at, f"'{name}' is ambiguous", f"name one, such as '{found[0]}'")
            devices += found[:1]
        twice = next((device for device in devices if devices.count(device) > 1), None)
        if twice is not None:
            document.wrong(at, f"two copies of the record on '{twice}' would be lost together", "name each device once")
        return tuple(devices)

    def _warm_up(self, header: Header | None, workload: BaseModel | None) -> int:
        if header is None:
            return 0
        if header.warm_up is not None:
            if header.warm_up >= header.horizon:
                self.document.wrong(("warm_up",), "leaves nothing of the run", "write a time before the horizon")
            return header.warm_up
        interval = getattr(workload, "interval", None) or 0
        first = getattr(workload, "first", None)
        first = interval if first is None else first
        return next((time for time in (first + interval, first) if time < header.horizon), 0)

    # -- expect and cases ------------------------------------------------------------------------

    def _expectations(self, path: Path, section: Any, known: expectations.Known) -> tuple[Expectation, ...]:
        found: list[Expectation] = []
        for key, wanted in self.document.mapping(path, section).items():
            here = (*path, key)
            if not isinstance(wanted, str):
                shown = json.dumps(wanted)
                self.document.wrong(here, f"{shown} is no comparison", f"write such as '== {shown}'")
                continue
            expectation = Expectation(key, wanted, self.document.marks.key(here).line)
            if self._judge_key(here, expectation, known):
                found.append(expectation)
        return tuple(found)

    def _judge_key(self, path: Path, expectation: Expectation, known: expectations.Known) -> bool:
        problem = expectations.key_problem(expectation.key, known)
        if problem is not None:
            self.document.wrong(path, *problem, key=True)
            return False
        problem = expectations.wanted_problem(expectation.key, expectation.wanted)
        if problem is not None:
            self.document.wrong(path, *problem)
            return False
        return True

    def _read_cases(self) -> None:
        for name, entry in self.document.mapping(("cases",), self.data.get("cases")).items():
            path: Path = ("cases", name)
            named = check_word(self.document, path, name, "a case")
            line = self.document.validate(CaseLine, entry, path)
            if line is None or not named:
                continue
            changes = self.document.mapping((*path, "set"), line.set)
            for key in changes:
                if key.split(".")[0] in ("cases", "expect", "version"):
                    self.document.wrong(
                        (*path, "set", key),
                        f"a case cannot set `{key.split('.')[0]}`",
                        "write what must come out under the case's own `expect`",
                        key=True,
                    )
            wanted = self.document.mapping((*path, "expect"), line.expect)
            expect: list[Expectation] = []
            for key, text in wanted.items():
                here = (*path, "expect", key)
                if not isinstance(text, str):
                    shown = json.dumps(text)
                    self.document.wrong(here, f"{shown} is no comparison", f"write such as '== {shown}'")
                    continue
                expect.append(Expectation(key, text, self.document.marks.key(here).line))
            self.cases[name] = Case(
                name,
                {k: v for k, v in changes.items() if k.split(".")[0] not in ("cases", "expect", "version")},
                tuple(expect),
            )


def _stem(file: str) -> str:
    stem = FilePath(file).name.split(".")[0]
    return "".join(letter if letter.isalnum() or letter in "_+-" else "-" for letter in stem) or "topology"

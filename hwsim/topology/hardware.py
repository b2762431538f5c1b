"""Nodes, devices, overrides, failure domains and links: from the lines of a file to every single one of them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise
from typing import Any

from pydantic import BaseModel, ValidationError

from hwsim.bilateral.params import LONGEST_WRITE
from hwsim.bilateral.record import write_time
from hwsim.quantities import Params
from hwsim.topology.document import Document, key_names, mistakes_of, suggest
from hwsim.topology.lines import CountLine, DomainLine, LinkLine, NodeLine
from hwsim.topology.names import Names, check_word
from hwsim.topology.profiles import Profile
from hwsim.topology.registries import OWN_TIMES, USUAL_PROFILES, device_kinds, link_kinds
from hwsim.topology.spec import DeviceSpec, Figure, LinkSpec, NodeSpec
from hwsim.topology.yaml_source import Path, Place
from hwsim.units import PS_PER_SECOND

MAX_DEVICES = 200_000
MAX_LINKS = 1_000_000


@dataclass(frozen=True)
class _Layer:
    """Keys written at one path, over those of a profile."""

    path: Path
    keys: Mapping[str, Any]
    profile: Profile | None


@dataclass
class _Draft:
    """A device before its figures are put together: equal `layers` give equal figures."""

    name: str
    kind: str
    node: str | None
    layers: tuple[int, ...]  # indices of layers, lowest first


@dataclass
class Hardware:
    """What there is, expanded."""

    nodes: dict[str, NodeSpec] = field(default_factory=dict)
    devices: dict[str, DeviceSpec] = field(default_factory=dict)
    links: dict[str, LinkSpec] = field(default_factory=dict)
    domains: dict[str, tuple[str, ...]] = field(default_factory=dict)
    domain_paths: dict[str, Path] = field(default_factory=dict)
    nested_domains: set[str] = field(default_factory=set)  # those that are members of another
    groups: dict[str, tuple[str, ...]] = field(default_factory=dict)  # key in `nodes` -> its nodes
    group_of: dict[str, str] = field(default_factory=dict)  # node -> key in `nodes`
    inside: dict[str, dict[str, tuple[str, ...]]] = field(default_factory=dict)  # node -> device key -> devices
    outside: dict[str, tuple[str, ...]] = field(default_factory=dict)  # key in `devices` -> devices
    complete: bool = True  # False where a mistake left something out


class HardwareReader:
    """Reads the sections that say what there is."""

    def __init__(self, document: Document, names: Names, profiles: Mapping[str, Profile]) -> None:
        self.document = document
        self.names = names
        self.profiles = profiles
        self.hardware = Hardware()
        self._layers: list[_Layer] = []
        self._drafts: dict[str, _Draft] = {}
        self._built: dict[tuple[str, tuple[int, ...]], tuple[BaseModel, frozenset[str], tuple[Figure, ...]] | None] = {}

    def read(self) -> Hardware:
        """Read everything; mistakes go to the document, and what they touch is left out."""
        self._nodes()
        self._outside_devices()
        self._overrides()
        for draft in self._drafts.values():
            built = self._build(draft)
            if built is None:
                self.hardware.complete = False
                continue
            params, written, figures = built
            self.hardware.devices[draft.name] = DeviceSpec(draft.name, draft.kind, draft.node, params, written, figures)
        self._links()
        self._domains()
        return self.hardware

    def kind_of(self, device: str) -> str | None:
        """The kind of a device that was named, even where its figures are wrong."""
        draft = self._drafts.get(device)
        return draft.kind if draft is not None else None

    # -- nodes and devices -----------------------------------------------------------------------

    def _nodes(self) -> None:
        for key, entry in self.document.mapping(("nodes",), self.document.data.get("nodes")).items():
            path: Path = ("nodes", key)
            keys = self.document.mapping(path, entry)
            line = self.document.validate(NodeLine, {k: v for k, v in keys.items() if k != "devices"}, path)
            if not check_word(self.document, path, key, "a node") or line is None:
                self._templates((*path, "devices"), keys.get("devices"))
                self._break(key)
                continue
            count = line.count
            templates = self._templates((*path, "devices"), keys.get("devices"))
            if not self._room(path, (count or 1) * sum(several or 1 for _, _, several, _ in templates)):
                self._break(key)
                continue
            made: list[str] = []
            for name in _numbered(key, count):
                if not self.names.add(name, "node", path):
                    continue
                made.append(name)
                devices: list[str] = []
                inside: dict[str, tuple[str, ...]] = {}
                for device_key, kind, device_count, layer in templates:
                    placed = [f"{name}/{device}" for device in _numbered(device_key, device_count)]
                    for device in placed:
                        if self.names.add(device, "device", (*path, "devices", device_key)):
                            self._draft(device, kind, name, layer)
                            devices.append(device)
                    inside[device_key] = tuple(placed)
                self.hardware.nodes[name] = NodeSpec(name, f"{name}/host", tuple(devices))
                self.hardware.inside[name] = inside
                self.hardware.group_of[name] = key
            self.hardware.groups[key] = tuple(made)

    def _break(self, key: str) -> None:
        self.names.broken(key)
        self.hardware.complete = False

    def _templates(self, path: Path, section: Any) -> list[tuple[str, str, int | None, int]]:
        """The devices of a node: key, kind, count, layer; the host first, written or not."""
        templates: list[tuple[str, str, int | None, int]] = []
        entries = self.document.mapping(path, section)
        for key, entry in entries.items():
            found = self._device_line((*path, key), entry)
            if found is None:
                self._break(key)
                continue
            kind, count, layer = found
            if kind and (key == "host") != (kind == "host"):
                self.document.wrong(
                    (*path, key),
                    f"'{key}' of kind {kind}: a node has one host, and it is called host",
                    "write host: {kind: host, ...}",
                    key=True,
                )
                continue
            if key == "host" and count is not None:
                self.document.wrong((*path, key, "count"), "a node has one host", "leave `count` out", key=True)
                continue
            templates.append((key, kind, count, layer))
        if "host" not in entries:
            self._layers.append(_Layer(path[:-1], {"kind": "host"}, None))
            templates.append(("host", "host", None, len(self._layers) - 1))
        return sorted(templates, key=lambda template: template[0] != "host")

    def _outside_devices(self) -> None:
        for key, entry in self.document.mapping(("devices",), self.document.data.get("devices")).items():
            path: Path = ("devices", key)
            found = self._device_line(path, entry)
            if found is None:
                self._break(key)
                continue
            kind, count, layer = found
            if not self._room(path, count or 1):
                self._break(key)
                continue
            made = [name for name in _numbered(key, count) if self.names.add(name, "device", path)]
            for name in made:
                self._draft(name, kind, None, layer)
            self.hardware.outside[key] = tuple(made)

    def _draft(self, name: str, kind: str, node: str | None, layer: int) -> None:
        """Note a device; one without a kind only has its name, so that what refers to it is no second mistake."""
        if kind:
            self._drafts[name] = _Draft(name, kind, node, (layer,))
        else:
            self.hardware.complete = False

    def _room(self, path: Path, more: int) -> bool:
        if len(self._drafts) + more <= MAX_DEVICES:
            return True
        self.document.wrong(path, f"makes more than {MAX_DEVICES:,} devices", "write a smaller count")
        self.hardware.complete = False
        return False

    def _device_line(self, path: Path, entry: Any) -> tuple[str, int | None, int] | None:
        """Kind (empty where it is wrong), count and layer of a device's line; None where its names are not known."""
        document = self.document
        keys = dict(document.mapping(path, entry))
        counted = {"count": keys.pop("count")} if "count" in keys else {}
        line = document.validate(CountLine, counted, path)
        kind = keys.get("kind")
        unknown_profile = keys.get("profile") is not None
        profile = self._profile((*path, "profile"), keys.pop("profile", None))
        unknown_profile = unknown_profile and profile is None
        if kind is None and profile is not None:
            kind = profile.kind
        if kind is None:
            document.wrong(path, "lacks `kind`", f"write kind: {' or '.join(device_kinds())}", key=True)
            kind = ""
        elif not isinstance(kind, str) or kind not in device_kinds():
            document.wrong((*path, "kind"), f"'{kind}' is no device kind", suggest(str(kind), device_kinds()))
            kind = ""
        elif profile is not None and profile.kind != kind:
            document.wrong(
                (*path, "profile"),
                f"profile '{profile.name}' is of kind {profile.kind}, this is a {kind}",
                _profiles_of(kind, self.profiles),
            )
            kind = ""
        elif unknown_profile:
            kind = ""  # the profile is the mistake, not the figures that it would have brought
        keys["kind"] = kind
        self._layers.append(_Layer(path, keys, profile))
        if not check_word(document, path, str(path[-1]), "a device") or line is None:
            return None
        return kind, line.count, len(self._layers) - 1

    def _profile(self, path: Path, name: Any) -> Profile | None:
        if name is None:
            return None
        if not isinstance(name, str) or name not in self.profiles:
            self.document.wrong(path, f"there is no profile '{name}'", suggest(str(name), self.profiles))
            return None
        return self.profiles[name]

    def _overrides(self) -> None:
        for key, entry in self.document.mapping(("override",), self.document.data.get("override")).items():
            path: Path = ("override", key)
            keys = dict(self.document.mapping(path, entry))
            profile = self._profile((*path, "profile"), keys.pop("profile", None))
            targets = self.names.find((key,), path, ("device",), key=True)
            kind = keys.pop("kind", None)
            self._layers.append(_Layer(path, keys, profile))
            layer = len(self._layers) - 1
            if "count" in keys:
                self.document.wrong(
                    (*path, "count"), "an override cannot change a count", "write it where the devices stand", key=True
                )
                keys.pop("count")
            for target in targets:
                draft = self._drafts.get(target)
                if draft is None:
                    continue
                if kind is not None and kind != draft.kind:
                    self.document.wrong(
                        (*path, "kind"),
                        f"'{target}' is a {draft.kind}; a kind cannot change",
                        "leave `kind` out",
                        key=True,
                    )
                elif profile is not None and profile.kind != draft.kind:
                    problem = f"profile '{profile.name}' is of kind {profile.kind}, '{target}' is a {draft.kind}"
                    self.document.wrong((*path, "profile"), problem, _profiles_of(draft.kind, self.profiles))
                else:
                    draft.layers = (*draft.layers, layer)
                    continue
                break  # the first device shows what is wrong

    def _build(self, draft: _Draft) -> tuple[BaseModel, frozenset[str], tuple[Figure, ...]] | None:
        """Params, written keys and figures of a device; mistakes of equal drafts are told once."""
        made = (draft.kind, draft.layers)
        if made in self._built:
            return self._built[made]
        values: dict[str, Any] = {}
        figures: dict[str, Figure] = {}
        places: dict[str, tuple[Place, Place, str, Path | None]] = {}  # key -> of value, of key, dotted, path
        written: set[str] = set()
        document = self.document

        def from_profile(profile: Profile, at: Path, only: frozenset[str] | None = None) -> None:
            for key, figure in profile.figures.items():
                if only is not None and key not in only:
                    continue
                values[key] = figure.value
                figures[key] = Figure(key, _text(figure.value), figure.source, figure.assumption, profile.name)
                places[key] = (figure.place, figure.place, ".".join(map(str, (*at, key))), None)

        for layer in (self._layers[index] for index in draft.layers):
            if layer.profile is not None:
                from_profile(layer.profile, layer.path)
                written -= set(layer.profile.figures)
            for key, value in layer.keys.items():
                values[key] = value
                path = (*layer.path, key)
                places[key] = (document.marks.value(path), document.marks.key(path), ".".join(map(str, path)), path)
                if key != "kind":
                    written.add(key)
                    figures[key] = Figure(key, _text(value), None, False, None)
        model: type[BaseModel] = device_kinds()[draft.kind].Params
        lacking = OWN_TIMES & model.model_fields.keys() - values.keys()
        usual = self.profiles.get(USUAL_PROFILES.get(draft.kind, ""))
        if lacking and usual is not None:
            from_profile(usual, self._layers[draft.layers[0]].path, lacking)
        home = self._layers[draft.layers[0]].path

        def where(inside: Path, of_key: bool) -> tuple[Place, str]:
            known = places.get(str(inside[0])) if inside else None
            if known is None:
                return document.marks.key(home), ".".join(map(str, (*home, *inside)))
            if len(inside) > 1 and known[3] is not None:
                whole = (*known[3], *inside[1:])
                return (document.marks.key if of_key else document.marks.value)(whole), ".".join(map(str, whole))
            return (known[1] if of_key else known[0]), known[2]

        try:
            params = model.model_validate_json(json.dumps(values), strict=True, by_alias=True, by_name=False)
        except ValidationError as error:
            for mistake in mistakes_of(error, model, values, where):
                if mistake.problem.startswith("lacks "):
                    remedy = _profiles_of(draft.kind, self.profiles)
                    mistake = type(mistake)(
                        mistake.file,
                        mistake.line,
                        mistake.column,
                        mistake.key,
                        mistake.problem,
                        f"write them, or {remedy}" if remedy else mistake.remedy,
                    )
                document.mistakes.append(mistake)
            self._built[made] = None
            return None
        result = (params, frozenset(written), tuple(figures.values()))
        self._built[made] = result
        return result

    # -- links -----------------------------------------------------------------------------------

    def _links(self) -> None:
        own = key_names(LinkLine)
        for index, entry in enumerate(self.document.items(("links",), self.document.data.get("links"))):
            path: Path = ("links", index)
            keys = self.document.mapping(path, entry)
            kind = keys.get("kind")
            if not isinstance(kind, str) or kind not in link_kinds():
                problem = f"'{kind}' is no link kind" if "kind" in keys else "lacks `kind`"
                at = (*path, "kind") if "kind" in keys else path
                self.document.wrong(at, problem, suggest(str(kind), link_kinds(), "kind:"))
                kind = None
            line = self.document.validate(LinkLine, {k: v for k, v in keys.items() if k in own}, path)
            params = None
            if kind is not None:
                figures = {k: v for k, v in keys.items() if k not in own} | {"kind": kind}
                params = self._link_params(link_kinds()[kind], figures, path, own)
            ends = self._ends(line, path) if line is not None else []
            if line is None or not ends:
                self.hardware.complete = False
                self.names.broken(str(keys.get("name") or "--"))
                continue
            if line.name is not None and not check_word(self.document, (*path, "name"), line.name, "a link"):
                continue
            if line.name is not None and len(ends) > 1:
                self.document.wrong(
                    (*path, "name"),
                    f"one name for {len(ends)} links",
                    "leave it out (they are called a--b), or write a line for each",
                )
                self._break(line.name)
                continue
            for a, b in ends:
                name = line.name or f"{a}--{b}"
                if not self.names.add(name, "link", (*path, "name") if line.name else path):
                    self.hardware.complete = False
                    break
                if params is None:
                    params = Params()  # its mistakes are told; that it joins two devices is still true
                written = frozenset(keys) - set(own) - {"kind"}
                if not (self._remembers(params, (a, b), path) and self._ticks(params, path)):
                    break
                self.hardware.links[name] = LinkSpec(name, str(kind), a, b, params, written)

    def _remembers(self, params: BaseModel, ends: tuple[str, str], path: Path) -> bool:
        """Whether both ends of a link have the memory that it needs, its own or their device's."""
        if "nv" not in type(params).model_fields:
            return True
        for end in ends:
            device = self.hardware.devices.get(end)
            nv = getattr(device.params, "nv", None) if device is not None else None
            nv = nv if nv is not None else params.nv  # type: ignore[attr-defined]
            if nv is not None and params.model == "rtl" and (nv.hold_up or nv.endurance):  # type: ignore[attr-defined]
                problem = f"the memory in the Verilog at '{end}' never wears out, and has no energy to go on with"
                self.document.wrong(path, problem, "leave out hold_up and endurance, or write model: model", key=True)
                return False
            if nv is not None and params.model == "rtl":  # type: ignore[attr-defined]
                most = LONGEST_WRITE * params.clock  # type: ignore[attr-defined]
                if write_time(nv) >= most:
                    problem = f"the Verilog's memory at '{end}' counts 31 bits of cycles for a write"
                    self.document.wrong(path, problem, f"write less than {most // PS_PER_SECOND}s", key=True)
                    return False
            if device is not None and nv is None:
                problem = f"'{end}' has no non-volatile memory for the register of its end"
                remedy = "write nv: {write: 2us, word: 128B} here, or under a nic for its own"
                self.document.wrong(path, problem, remedy, key=True)
                return False
        return True

    def _ticks(self, params: BaseModel, path: Path) -> bool:
        """Whether a link in Icarus has the clock of the others there: they are in one process, and tick as one."""
        if not getattr(params, "in_icarus", False):
            return True
        for name, link in self.hardware.links.items():
            if getattr(link.params, "in_icarus", False) and link.params.clock != params.clock:  # type: ignore[attr-defined]
                problem = f"links of simulator: icarus share one clock, and '{name}' has another one"
                self.document.wrong(path, problem, "write the same clock, or simulator: verilator", key=True)
                return False
        return True

    def _link_params(
        self, model: type[BaseModel], figures: dict[str, Any], path: Path, own: list[str]
    ) -> BaseModel | None:
        before = len(self.document.mistakes)
        params = self.document.validate(model, figures, path)
        for position, mistake in enumerate(self.document.mistakes[before:], before):
            if mistake.problem == "unknown key":  # the keys of the line itself are known too
                word = mistake.key.rsplit(".", 1)[-1]
                remedy = suggest(word, [*own, *key_names(model)])
                self.document.mistakes[position] = type(mistake)(
                    mistake.file, mistake.line, mistake.column, mistake.key, mistake.problem, remedy
                )
        return params

    def _ends(self, line: LinkLine, path: Path) -> list[tuple[str, str]]:
        """The pairs of devices that a line of `links` joins."""
        from_path, to_path = (*path, "from"), (*path, "to")
        sources = self.names.find(line.source, from_path, ("device",))
        if line.to is None and line.spread not in ("ring", "line", "complete"):
            self.document.wrong(path, "lacks `to`", "write the devices at the other end, or spread: ring", key=True)
            return []
        targets = self.names.find(line.to, to_path, ("device",)) if line.to is not None else []
        if not sources or (line.to is not None and not targets):
            self.hardware.complete = False
            return []
        pairs: list[tuple[str, str]] = []
        members = list(dict.fromkeys([*sources, *targets]))
        match line.spread:
            case None:
                if not self._few(path, len(sources) * len(targets)):
                    return []
                seen: set[frozenset[str]] = set()
                for a in sources:
                    for b in targets:
                        if a != b and frozenset((a, b)) not in seen:
                            seen.add(frozenset((a, b)))
                            pairs.append((a, b))
            case "blocks":
                if len(sources) % len(targets):
                    problem = f"{len(sources)} devices make no equal blocks for {len(targets)}"
                    self.document.wrong((*path, "spread"), problem, "change a count")
                    return []
                size = len(sources) // len(targets)
                pairs = [(a, targets[i // size]) for i, a in enumerate(sources) if a != targets[i // size]]
            case "line":
                pairs = list(pairwise(members))
            case "ring":
                pairs = list(pairwise(members))
                if len(members) > 2:
                    pairs.append((members[-1], members[0]))
            case "complete":
                if not self._few(path, len(members) * (len(members) - 1) // 2):
                    return []
                pairs = [(a, b) for i, a in enumerate(members) for b in members[i + 1 :]]
        if not pairs:
            self.document.wrong(path, "joins no two devices", "name devices that differ at its two ends")
        return pairs

    def _few(self, path: Path, links: int) -> bool:
        if links <= MAX_LINKS:
            return True
        self.document.wrong(path, f"makes {links:,} links", "join the devices through a switch")
        return False

    # -- failure domains -------------------------------------------------------------------------

    def _domains(self) -> None:
        section = self.document.mapping(("failure_domains",), self.document.data.get("failure_domains"))
        lines: dict[str, tuple[str, DomainLine]] = {}  # domain, or head of numbered ones -> key, line
        for key, entry in section.items():
            path: Path = ("failure_domains", key)
            line = self.document.validate(DomainLine, {"members": entry} if isinstance(entry, list) else entry, path)
            if not check_word(self.document, path, key, "a failure domain") or line is None:
                self._break(key)
                continue
            lines[key] = (key, line)
            if line.each is None:
                self.names.add(key, "failure domain", path)
        # Domains of `each` get their names once their members are counted, and those may be domains themselves:
        # so the numbered ones are counted first, by what they name without domains.
        chunks: dict[str, tuple[str, ...]] = {}
        for key, line in lines.values():
            if line.each is None:
                continue
            path = ("failure_domains", key, "members")
            members = self.names.find(line.members, path, ("node", "device"))
            for number, start in enumerate(range(0, len(members), line.each)):
                name = f"{key}{number}"
                if self.names.add(name, "failure domain", ("failure_domains", key)):
                    chunks[name] = tuple(members[start : start + line.each])
                    self.hardware.domain_paths[name] = ("failure_domains", key)
        direct: dict[str, tuple[str, ...]] = dict(chunks)
        for key, line in lines.values():
            if line.each is None and self.names.sort(key) == "failure domain":
                path = ("failure_domains", key, "members")
                members = self.names.find(line.members, path, ("node", "device", "failure domain"))
                if key in members and key not in line.members:  # its own glob matches it
                    members.remove(key)
                direct[key] = tuple(members)
                self.hardware.domain_paths[key] = ("failure_domains", key)
        self.hardware.nested_domains = {member for members in direct.values() for member in members if member in direct}
        for name in direct:
            if self._cycle(name, direct) is None:
                self.hardware.domains[name] = tuple(self._members(name, direct))

    def _cycle(self, name: str, direct: Mapping[str, tuple[str, ...]]) -> list[str] | None:
        """A way from *name* through members back to it, told once; None where there is none."""
        stack: list[tuple[str, list[str]]] = [(name, [name])]
        seen: set[str] = set()
        while stack:
            here, way = stack.pop()
            for member in direct.get(here, ()):
                if member == name:
                    if name == min(way):
                        self.document.wrong(
                            ("failure_domains", name, "members"),
                            f"a cycle: {' in '.join([*way, name])}",
                            "take one of them out",
                        )
                    self.hardware.complete = False
                    return way
                if member in direct and member not in seen:
                    seen.add(member)
                    stack.append((member, [*way, member]))
        return None

    def _members(self, name: str, direct: Mapping[str, tuple[str, ...]]) -> list[str]:
        """The devices of a domain, each once."""
        devices: dict[str, None] = {}
        stack, seen = list(reversed(direct[name])), {name}
        while stack:
            member = stack.pop()
            if member in seen:
                continue
            seen.add(member)
            if member in direct:
                stack.extend(reversed(direct[member]))
            elif member in self.hardware.nodes:
                devices.update(dict.fromkeys(self.hardware.nodes[member].devices))
            else:
                devices[member] = None
        return list(devices)


def _numbered(key: str, count: int | None) -> list[str]:
    return [key] if count is None else [f"{key}{number}" for number in range(count)]


@lru_cache(maxsize=1024)
def _scalar_text(value: object) -> str:
    return str(value)


def _text(value: Any) -> str:
    """A figure's value as written."""
    if isinstance(value, bool | None):
        return json.dumps(value)
    if isinstance(value, str | int | float):
        return _scalar_text(value)
    return json.dumps(value)


def _profiles_of(kind: str, profiles: Mapping[str, Profile]) -> str:
    fitting = [name for name, profile in profiles.items() if profile.kind == kind]
    return f"write profile: {' or '.join(fitting[:6])}" if fitting else ""

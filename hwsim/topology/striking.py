"""What strikes what: the lines of `faults` and of `what_if`, with every target resolved to devices or links."""

from __future__ import annotations

from typing import Any

from hwsim.faults import Fault, NicReset, Slow, Throttled
from hwsim.topology.document import Document, suggest
from hwsim.topology.hardware import Hardware
from hwsim.topology.lines import FaultLine, WhatIfLine
from hwsim.topology.names import Names, check_word
from hwsim.topology.registries import fault_kinds, is_crash, strikes, struck_by
from hwsim.topology.spec import DeviceSpec, FaultSpec, WhatIfSpec
from hwsim.topology.yaml_source import Path

HOST_KINDS = ("process_crash", "kernel_crash", "upload_failed")  # of a node they strike its host
TIMINGS = ("at", "every", "mtbf", "total")


class Striker:
    """Reads `faults` and `what_if`."""

    def __init__(self, document: Document, names: Names, hardware: Hardware) -> None:
        self.document = document
        self.names = names
        self.hardware = hardware
        self.used_domains: set[str] = set()

    def faults(self) -> tuple[FaultSpec, ...]:
        """Every fault, in the order of the file."""
        found: dict[str, FaultSpec] = {}
        for index, entry in enumerate(self.document.items(("faults",), self.document.data.get("faults"))):
            path: Path = ("faults", index)
            line = self.document.validate(FaultLine, entry, path)
            if line is None:
                continue
            kind = self._kind(line.kind, path)
            spec = self._fault(line, path, kind)
            name = line.name or line.kind
            if line.name is not None and not check_word(self.document, (*path, "name"), name, "a fault"):
                continue
            if name == "all" or name in found:
                taken = f"there is a fault '{name}' already"
                problem = "'all' stands for every fault in results" if name == "all" else taken
                self.document.wrong((*path, "name"), problem, "give it another `name`")
                continue
            if spec is None:
                continue
            found[name] = spec
        return tuple(found.values())

    def _fault(self, line: FaultLine, path: Path, kind: type[Fault] | None) -> FaultSpec | None:
        document = self.document
        given = [key for key in TIMINGS if getattr(line, key) is not None]
        good = True
        if len(given) != 1:
            problem = f"has both {' and '.join(f'`{key}`' for key in given)}" if given else "does not say when"
            document.wrong(path, problem, f"write exactly one of {', '.join(TIMINGS)}", key=True)
            good = False
        mtbf, shape = line.mtbf if line.mtbf is not None else (None, None)
        if line.shape is not None and (mtbf is None or shape is not None):
            remedy = "write mtbf: {mean: 26d, shape: 0.7}"
            document.wrong((*path, "shape"), "a shape belongs to `mtbf`", remedy, key=True)
            good = False
        if kind is None:
            return None
        for key, given_, owner, example in (
            ("factor", line.factor, Throttled.kind, "0.25"), ("latency", line.latency, Slow.kind, "20"),
        ):  # fmt: skip
            if (given_ is None) == (line.kind == owner):
                problem = f"{owner} does not say by how much" if given_ is None else f"{line.kind} takes no {key}"
                where: Path = path if given_ is None else (*path, key)
                document.wrong(where, problem, f"write `{key}: {example}` with kind {owner}, and only there", key=True)
                good = False
        if line.operations is not None and kind.errno is None:
            able = ", ".join(name for name, fault in fault_kinds().items() if fault.errno is not None)
            remedy = f"leave it out, or write one of {able} as the kind"
            document.wrong((*path, "operations"), f"{line.kind} makes no operation fail", remedy, key=True)
            good = False
        targets = self._targets(line.kind, kind, line.target, (*path, "target"))
        if targets is None or not (self._level(line, path, targets) and good):
            return None
        return FaultSpec(
            name=line.name or line.kind,
            kind=line.kind,
            targets=tuple(devices for _, devices in targets),
            target_names=tuple(label for label, _ in targets),
            at_ps=line.at,
            every_ps=line.every,
            mtbf_ps=mtbf,
            weibull_shape=shape if shape is not None else line.shape,
            total_mean_ps=line.total,
            restore_after_ps=line.restore_after,
            path=".".join(map(str, path)),
            factor=line.factor,
            latency=line.latency,
            operations=line.operations,
            level=line.level,
            phy_less=line.chip == "phy_less",
        )

    def _level(self, line: FaultLine, path: Path, targets: list[tuple[str, tuple[str, ...]]]) -> bool:
        """Whether a reset's level and type fit what is reset."""
        wrong = self.document.wrong
        for key in ("level", "chip"):
            if getattr(line, key) is not None and line.kind != NicReset.kind:
                wrong((*path, key), f"{line.kind} has no {key}", f"it belongs to {NicReset.kind}", key=True)
                return False
        if line.chip == "phy_less" and line.level not in (None, NicReset.USUAL):
            wrong((*path, "chip"), f"a reset of level {line.level} has no phy_less type", "leave it out", key=True)
            return False
        for name in [name for _, devices in targets for name in devices if name in self.hardware.devices]:
            nic = self.hardware.devices[name]
            if line.level in NicReset.REBOOTS and nic.node is None:
                wrong((*path, "level"), f"'{name}' sits in no node that could reboot", "write level: 3")
                return False
            lacking = self._lacking(line.level, nic) if line.restore_after is None else None
            if lacking is not None:
                problem = f"does not say how long a reset of level {line.level} of '{name}' takes"
                wrong(path, problem, f"write restore_after, or {lacking}", key=True)
                return False
        return True

    def _lacking(self, level: int | None, nic: DeviceSpec) -> str | None:
        """The figure that would say how long such a reset takes, where nobody gave it."""
        figures: Any = nic.params
        if level == NicReset.LIVE_PATCH and figures.live_patch_time is None:
            return "the nic's live_patch_time"
        host = self.hardware.devices.get(f"{nic.node}/host")
        boots: Any = host.params if host is not None else None
        if level == max(NicReset.REBOOTS) and boots is not None and boots.cold_boot_time is None:
            return "the host's cold_boot_time"
        return None

    def what_ifs(self, horizon_ps: int | None, interval_ps: int | None) -> tuple[WhatIfSpec, ...]:
        """Every what-if, in the order of the file."""
        document = self.document
        found: list[WhatIfSpec] = []
        for name, entry in document.mapping(("what_if",), document.data.get("what_if")).items():
            path: Path = ("what_if", name)
            named = check_word(document, path, name, "a what-if")
            line = document.validate(WhatIfLine, entry, path)
            if line is None:
                continue
            kind = self._kind(line.kind, path)
            if kind is not None and not is_crash(line.kind):
                document.wrong(
                    (*path, "kind"),
                    f"{line.kind} takes nothing from anything by itself, so it is no crash",
                    f"write one of {', '.join(known for known in fault_kinds() if is_crash(known))}",
                )
                kind = None
            if (line.together is None) == (line.each is None):
                problem = "names no targets" if line.each is None else "has both `together` and `each`"
                remedy = "write together: TARGETS (at once) or each: TARGETS (one at a time)"
                document.wrong(path, problem, remedy, key=True)
                continue
            when = [key for key in ("at", "phase", "hazard") if getattr(line, key) is not None]
            if len(when) > 1:
                document.wrong(
                    path,
                    f"has both {' and '.join(f'`{key}`' for key in when)}",
                    "write one of them, or none for every instant",
                    key=True,
                )
                continue
            if line.at is not None and horizon_ps is not None and line.at >= horizon_ps:
                document.wrong((*path, "at"), "lies behind the horizon", "write a time within the run")
                continue
            if line.phase is not None and interval_ps is not None and line.phase >= interval_ps:
                remedy = "count it from a checkpoint's begin"
                document.wrong((*path, "phase"), "is not shorter than the interval", remedy)
                continue
            references = line.together if line.together is not None else line.each
            if kind is None or references is None:
                continue
            targets = self._targets(line.kind, kind, references, (*path, "together" if line.together else "each"))
            if targets is None or not named:
                continue
            strike = tuple(targets)
            if line.together is not None:
                label = ", ".join(target for target, _ in targets[:4]) + (", ..." if len(targets) > 4 else "")
                strike = ((label, tuple(dict.fromkeys(device for _, devices in targets for device in devices))),)
            found.append(
                WhatIfSpec(
                    name,
                    line.kind,
                    strike,
                    line.at,
                    line.phase,
                    line.hazard.mean if line.hazard is not None else None,
                    line.each is not None,
                    tuple(target for target, _ in targets),
                )
            )
        return tuple(found)

    def _kind(self, kind: str, path: Path) -> type[Fault] | None:
        known = fault_kinds().get(kind)
        if known is None:
            self.document.wrong((*path, "kind"), f"'{kind}' is no fault kind", suggest(kind, fault_kinds()))
        return known

    def _targets(
        self, kind: str, fault: type[Fault], references: tuple[str, ...], path: Path
    ) -> list[tuple[str, tuple[str, ...]]] | None:
        """Each target with the devices (or the link) that one strike takes; None after a mistake."""
        if fault.on == "link":
            links = self.names.find(references, path, ("link",))
            return [(link, (link,)) for link in links] or None
        before = len(self.document.mistakes)
        targets: list[tuple[str, tuple[str, ...]]] = []
        for name in self.names.find(references, path, ("device", "node", "failure domain")):
            devices = self._struck(kind, name)
            if not devices:
                self._cannot(kind, name, path)
                return None
            targets.append((name, devices))
        return targets if len(self.document.mistakes) == before and targets else None

    def _struck(self, kind: str, name: str) -> tuple[str, ...]:
        """The devices that a strike of a target takes."""
        match self.names.sort(name):
            case "device":
                spec = self.hardware.devices.get(name)
                return (name,) if spec is None or strikes(kind, spec.kind) else ()
            case "node":
                node = self.hardware.nodes[name]
                if kind in HOST_KINDS:
                    return (node.host,)
                return self._able(kind, node.devices) if kind == "power_loss" else ()
            case "failure domain":
                self.used_domains.add(name)
                return self._able(kind, self.hardware.domains.get(name, ()))
        return ()

    def _able(self, kind: str, devices: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(
            device
            for device in devices
            if device in self.hardware.devices and strikes(kind, self.hardware.devices[device].kind)
        )

    def _cannot(self, kind: str, name: str, path: Path) -> None:
        sort: Any = self.names.sort(name)
        if sort == "failure domain" and name not in self.hardware.domains:
            return  # its own mistake is told where it stands
        spec = self.hardware.devices.get(name)
        what = f"a {spec.kind}" if spec is not None else f"a {sort}"
        able = struck_by(kind)
        example = next(
            (
                device
                for device in self.hardware.devices.values()
                if device.kind in able and (sort != "node" or device.node == name)
            ),
            None,
        )
        remedy = f"it strikes {', '.join(able)}" + (f", such as '{example.name}'" if example is not None else "")
        self.document.wrong(path, f"{kind} cannot strike '{name}', {what}", remedy)

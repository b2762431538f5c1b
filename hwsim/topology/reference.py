"""What can be written in a topology, for people and editors: the kinds, the JSON Schema, a file to start from."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from hwsim.topology.lines import CaseLine, DomainLine, FaultLine, Header, LinkLine, WhatIfLine
from hwsim.topology.profiles import shipped
from hwsim.topology.registries import device_kinds, fault_kinds, link_kinds, protocol_kinds, strikes, workload_kinds
from hwsim.units import format_duration, format_rate, format_size

_UNITS = {"80us": "duration", "-5ms": "signed duration", "13.1GB": "size", "400Gb/s": "rate", "5ms": "delay"}
_WRITERS = {
    "duration": format_duration,
    "signed duration": format_duration,
    "size": format_size,
    "rate": format_rate,
}


def kinds() -> str:
    """Every kind with its parameters, and which fault may strike which device."""
    lines: list[str] = []
    devices = {kind: cls.Params for kind, cls in device_kinds().items()}
    for title, models in (
        ("Devices", devices),
        ("Links", link_kinds()),
        ("Workloads", workload_kinds()),
        ("Protocols", protocol_kinds()),
    ):
        lines += [title, ""]
        for kind, model in models.items():
            told = (model.__doc__ or "").strip().splitlines()
            lines.append(f"  {kind}" + (f"  {told[0]}" if told else ""))
            lines += _parameters(model.model_json_schema(mode="validation"), None, "    ")
            fitting = (
                [name for name, profile in shipped().items() if profile.kind == kind] if title == "Devices" else []
            )
            if fitting:
                lines.append(f"    profiles: {', '.join(fitting)}")
            lines.append("")
    lines += ["Faults, and what they may strike", ""]
    width = max(map(len, fault_kinds()), default=0) + 2
    names = list(devices)
    lines.append("  " + " " * width + "  ".join(names) + "  link")
    for fault, cls in fault_kinds().items():
        marks = ["x" if strikes(fault, kind) else "." for kind in names] + ["x" if cls.on == "link" else "."]
        cells = "  ".join(mark.center(len(name)) for mark, name in zip(marks, [*names, "link"], strict=True))
        lines.append(f"  {fault:<{width}}{cells}".rstrip())
    lines += ["", "  Of a node, power_loss takes every device; process_crash, kernel_crash and upload_failed its host.",
              "  Of a failure domain, a fault takes every member that it may strike."]  # fmt: skip
    return "\n".join(lines) + "\n"


def _parameters(schema: Mapping[str, Any], definitions: Mapping[str, Any] | None, indent: str) -> list[str]:
    """Each parameter of a model: name, what is written, default, meaning; those of an inner model below it."""
    known = schema.get("$defs", {}) if definitions is None else definitions
    required = set(schema.get("required", ()))
    lines: list[str] = []
    for name, field in schema.get("properties", {}).items():
        if name == "kind":
            continue
        inner, what = _shape(field, known)
        default = field.get("default")
        state = "required" if name in required else "" if default is None else f"default {_short(default, what)}"
        head = f"{indent}{name}: {what}" + (f" ({state})" if state else "")
        lines += textwrap.wrap(
            f"{head}  {field.get('description', '')}".rstrip(), 110, subsequent_indent=indent + "    "
        )
        if inner is not None:
            lines += _parameters(inner, known, indent + "  ")
    return lines


def _shape(field: Mapping[str, Any], known: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, str]:
    """The inner model, if there is one, and how the value is written."""
    if "$ref" in field:
        return known.get(field["$ref"].rsplit("/", 1)[-1]), "keys"
    for several in ("anyOf", "oneOf", "allOf"):
        if several in field:
            options = [option for option in field[several] if option.get("type") != "null"]
            if options:
                return _shape(options[0], known)
    example = next(iter(field.get("examples", ())), None)
    if isinstance(example, str) and example in _UNITS:
        return None, _UNITS[example]
    if "enum" in field:
        return None, " | ".join(map(str, field["enum"]))
    if "const" in field:
        return None, str(field["const"])
    if field.get("type") == "array":
        items = field.get("items")
        inner, what = _shape(items, known) if isinstance(items, Mapping) else (None, "values")
        return inner, f"list of {what}"
    words = {"integer": "whole number", "number": "number", "boolean": "true | false", "string": "text"}
    given = field.get("type")
    return None, words.get(given, "value") if isinstance(given, str) else "value"


def _short(default: Any, what: str) -> str:
    if what in _WRITERS and isinstance(default, int):
        return _WRITERS[what](default)
    if isinstance(default, bool):
        return "true" if default else "false"
    return "below" if isinstance(default, dict | list) and default else str(default)


def schema() -> dict[str, Any]:
    """The JSON Schema of a topology file; what names mean, and what devices lack, only `hwsim check` can tell."""
    devices = {kind: cls.Params for kind, cls in device_kinds().items()}
    groups: dict[str, Mapping[str, type[BaseModel]]] = {
        "device": devices, "link": link_kinds(), "workload": workload_kinds(), "protocol": protocol_kinds(),
    }  # fmt: skip
    lines: list[type[BaseModel]] = [Header, LinkLine, DomainLine, FaultLine, WhatIfLine, CaseLine]
    models = [*lines, *(model for group in groups.values() for model in group.values())]
    refs, made = models_json_schema([(model, "validation") for model in models], ref_template="#/$defs/{model}")
    definitions: dict[str, Any] = made["$defs"]
    for definition in definitions.values():
        for field in definition.get("properties", {}).values():
            if "default" in field:  # a default in ps or bytes, as a file would write it
                what = _shape(field, definitions)[1]
                if what in _WRITERS and isinstance(field["default"], int):
                    field["default"] = _WRITERS[what](field["default"])

    def of(model: type[BaseModel]) -> dict[str, Any]:
        name = refs[model, "validation"]["$ref"].rsplit("/", 1)[-1]
        return dict(definitions[name])

    def known_by_kind(which: str, extra: Mapping[str, Any], *, figures_required: bool) -> dict[str, Any]:
        options = []
        for kind, model in groups[which].items():
            one = of(model)
            one["properties"] = {**one.get("properties", {}), **extra, "kind": {"const": kind}}
            required = list(one.get("required", ())) if figures_required else []
            one["required"] = list(dict.fromkeys(["kind", *required]))
            options.append(one)
        return {"oneOf": options}

    link_keys = of(LinkLine)["properties"]
    count = {"count": {"type": "integer", "minimum": 1}, "profile": {"type": "string", "examples": list(shipped())}}
    device = known_by_kind("device", count, figures_required=False)
    link = known_by_kind("link", link_keys, figures_required=True)
    for option in link["oneOf"]:
        option["required"] = [*option["required"], "from"]
    expect = {"type": "object", "additionalProperties": {"type": "string"}}
    fault = of(FaultLine)
    fault["properties"] = {**fault["properties"], "kind": {"enum": list(fault_kinds())}}
    what_if = of(WhatIfLine)
    what_if["properties"] = {**what_if["properties"], "kind": {"enum": list(fault_kinds())}}
    case = of(CaseLine)
    case["properties"] = {"set": {"type": "object"}, "expect": expect}
    node = {
        "type": "object", "additionalProperties": False,
        "properties": {"count": count["count"],
                       "devices": {"type": "object", "additionalProperties": {"$ref": "#/$defs/device"}}},
    }  # fmt: skip
    override = {"type": "object", "properties": {"profile": count["profile"]}}

    def each(entry: Mapping[str, Any]) -> dict[str, Any]:
        return {"type": "object", "additionalProperties": dict(entry)}

    header = of(Header)
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "hwsim topology",
        "type": "object",
        "additionalProperties": False,
        "required": ["version", "horizon", "workload"],
        "if": {"properties": {"workload": {"required": ["shards"]}}},  # what takes checkpoints needs a protocol
        "then": {"required": ["protocol"]},
        "properties": {
            **header["properties"],
            "nodes": each(node),
            "devices": each({"$ref": "#/$defs/device"}),
            "override": each(override),
            "links": {"type": "array", "items": link},
            "failure_domains": each(of(DomainLine)),
            "workload": known_by_kind("workload", {}, figures_required=True),
            "protocol": known_by_kind("protocol", {}, figures_required=True),
            "faults": {"type": "array", "items": fault},
            "what_if": each(what_if),
            "expect": expect,
            "cases": each(case),
        },
        "$defs": {**definitions, "device": device},
    }


STARTER = """\
# Two nodes that save a checkpoint every minute, each rank to the drive in its node.
# `hwsim run FILE` says what a crash would leave at every instant; `hwsim kinds` lists what can be written here.
version: 1
name: my-topology
description: Two nodes, local drives, a manifest that one coordinator writes.
seed: 1
horizon: 1h                              # how long is simulated

nodes:
  node:
    count: 2                             # node0 and node1; without `count` there is one, called node
    devices:
      host: {kind: host, profile: dual_socket_server}
      gpu: {kind: gpu, profile: h100_sxm, count: 4}        # node0/gpu0 .. node1/gpu3
      nvme: {kind: nvme, profile: enterprise_plp_gen4}     # figures with their sources; any key overrides one
      nic: {kind: nic, profile: nic_400g}
devices:                                 # what sits outside nodes
  sw: {kind: switch, delay: 500ns}
override:                                # one node differs
  node1/nvme: {profile: consumer_no_plp}
links:                                   # every match of `from` to every match of `to`
  - {from: "node*/nic", to: sw, kind: ethernet, rate: 400Gb/s, delay: 500ns}
failure_domains:                         # what fails together
  rack: {members: ["node*"]}

workload:
  kind: checkpoint
  interval: 60s
  mode: async                            # training waits for a snapshot only; sync: until the checkpoint is saved
  restart: {detect: 30s, init: 2min}
  shards:
    - {from: "node*/gpu*", size: 13.1GB, to: nvme, sync: flush}    # try sync: completion
protocol: {kind: manifest, coordinator: node0, keep: 2, prune: after_commit}

faults:                                  # what really happens in this run
  - {name: outage, at: 20min, kind: power_loss, target: rack, restore_after: 5min}
what_if:                                 # asked at every instant, beside the power loss of everything
  drive: {kind: power_loss, each: "node*/nvme"}
  panic: {kind: kernel_crash, each: "node*"}
expect:                                  # the exit status tells whether it came out
  recovered.unsafe_share: "== 0"
  what_if.drive.recovered.unsafe_share: "== 0"
cases:                                   # the same with a change
  in-place:
    set: {protocol.kind: in_place}
    expect: {recovered.unsafe_share: "> 0"}
"""

"""A topology as plain data again: every device, link and shard on its own, every figure and default written out.

What comes out is itself a topology that loads, with the same devices, parts and names, and so with the same results.
"""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel

from hwsim.topology.spec import DeviceSpec, FaultSpec, LinkSpec, ShardSpec, Topology, WhatIfSpec
from hwsim.units import format_duration, format_size


def plain(topology: Topology) -> dict[str, Any]:
    """Return *topology* as data for a YAML file."""
    data: dict[str, Any] = {"version": 1, "name": topology.name}
    if topology.description:
        data["description"] = topology.description
    data |= {
        "seed": topology.seed,
        "horizon": format_duration(topology.horizon_ps),
        "warm_up": format_duration(topology.warm_up_ps),
        "repeats": topology.repeats,
    }
    written: dict[int, dict[str, Any]] = {}  # equal devices share their params, so they are dumped once

    def figures(spec: DeviceSpec | LinkSpec) -> dict[str, Any]:
        known = written.get(id(spec.params))
        if known is None:
            known = written[id(spec.params)] = {"kind": spec.kind} | _dump(spec.params)
        return dict(known)

    if topology.nodes:
        data["nodes"] = {
            node.name: {"devices": {name.partition("/")[2]: figures(topology.devices[name]) for name in node.devices}}
            for node in topology.nodes
        }
    outside = {name: figures(spec) for name, spec in topology.devices.items() if spec.node is None}
    if outside:
        data["devices"] = outside
    if topology.links:
        data["links"] = [_link(link, figures(link)) for link in topology.links]
    if topology.failure_domains:
        data["failure_domains"] = {
            name: {"members": list(members)} for name, members in topology.failure_domains.items()
        }
    workload = _dump(topology.workload)
    if topology.shards:
        workload["shards"] = [_shard(spec) for spec in topology.shards]
    data["workload"] = workload
    if topology.protocol is not None:
        data["protocol"] = _dump(topology.protocol)
    if topology.coordinator is not None:
        data["protocol"]["coordinator"] = topology.coordinator
    if topology.faults:
        data["faults"] = [_fault(spec) for spec in topology.faults]
    if topology.what_if:
        data["what_if"] = {spec.name: _what_if(spec) for spec in topology.what_if}
    if topology.expect:
        data["expect"] = {expectation.key: expectation.wanted for expectation in topology.expect}
    return data


def _dump(params: BaseModel) -> dict[str, Any]:
    return params.model_dump(mode="json", by_alias=True, exclude_none=True)


def _link(link: LinkSpec, figures: dict[str, Any]) -> dict[str, Any]:
    ends = {"from": link.a, "to": link.b}
    return (ends if link.name == f"{link.a}--{link.b}" else ends | {"name": link.name}) | figures


def _shard(spec: ShardSpec) -> dict[str, Any]:
    line: dict[str, Any] = {} if spec.source is None else {"from": spec.source}
    line["to"] = spec.device
    if spec.size_bytes:
        line["size"] = format_size(spec.size_bytes)
    if spec.copy:
        line["copy"] = spec.copy
    line |= {"into": spec.into, "sync": spec.sync}
    return line if spec.path == "bounce" else line | {"path": spec.path}


def _fault(spec: FaultSpec) -> dict[str, Any]:
    line: dict[str, Any] = {"name": spec.name, "kind": spec.kind, "target": list(spec.target_names)}
    if spec.at_ps is not None:
        line["at"] = format_duration(spec.at_ps)
    if spec.every_ps is not None:
        line["every"] = format_duration(spec.every_ps)
    if spec.mtbf_ps is not None:
        line["mtbf"] = format_duration(spec.mtbf_ps)
        if spec.weibull_shape is not None:
            line["mtbf"] = {"mean": line["mtbf"], "shape": spec.weibull_shape}
    if spec.total_mean_ps is not None:
        line["total"] = f"1 per {format_duration(spec.total_mean_ps)}"
    if spec.factor is not None:
        line["factor"] = spec.factor
    if spec.latency is not None:
        line["latency"] = spec.latency
    if spec.operations is not None:
        line["operations"] = spec.operations
    if spec.level is not None:
        line["level"] = spec.level
    if spec.phy_less:
        line["chip"] = "phy_less"
    if spec.restore_after_ps is not None:
        line["restore_after"] = format_duration(spec.restore_after_ps)
    return line


def _what_if(spec: WhatIfSpec) -> dict[str, Any]:
    line: dict[str, Any] = {"kind": spec.kind, "each" if spec.one_at_a_time else "together": list(spec.target_names)}
    if spec.at_ps is not None:
        line["at"] = format_duration(spec.at_ps)
    if spec.phase_ps is not None:
        line["phase"] = format_duration(spec.phase_ps)
    if spec.hazard_mean_ps is not None:
        line["hazard"] = {"mean": format_duration(spec.hazard_mean_ps)}
    return line

"""The report: one HTML file that needs no network, reads well on paper, and is the same for the same run.

It tells the answer first, then shows where it comes from: what a crash would find and what recovery makes of it,
one checkpoint up close, the whole run, what checkpoints cost, what was expected, and every device figure
that went in with its source.  Nothing in it depends on the clock of the machine that wrote it.

Not modelled: several timelines; the pictures over time show the first one.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from importlib import resources
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.report import figures, links, words
from hwsim.report.history import History
from hwsim.report.summary import case_words, costs
from hwsim.report.words import Result, duration, percent, size
from hwsim.trace import Header, Trace

if TYPE_CHECKING:
    from hwsim.topology.spec import DeviceSpec, Topology

TEMPLATE = "report.html.j2"
_PS = 10**12


def write(path: str | PathLike[str], result: Result, trace: Trace, topology: Topology | None = None) -> None:
    """Write the report of one run; *trace* is its first timeline, *topology* tells the figures used."""
    Path(path).write_text(page(result, trace, topology), encoding="utf-8", newline="\n")


def page(result: Result, trace: Trace, topology: Topology | None = None) -> str:
    """The whole page as text."""
    return render(TEMPLATE, _content(result, trace, topology))


def render(template: str, content: Mapping[str, Any]) -> str:
    """The page that *template* makes of *content*, with the plotting library in it."""
    import jinja2
    from markupsafe import Markup

    environment = jinja2.Environment(
        loader=jinja2.FunctionLoader(lambda name: (resources.files("hwsim.report") / name).read_text("utf-8")),
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    environment.filters |= {
        "percent": percent,
        "duration": duration,
        "size": size,
        "rate": words.rate,
        "number": words.number,
        "count": lambda value: f"{value:,}",
        "embedded": lambda value: Markup(embedded(value)),
    }
    plotly = (resources.files("plotly") / "package_data" / "plotly.min.js").read_text("utf-8")
    return environment.get_template(template).render(**content, plotly=Markup(plotly))


def embedded(value: Any) -> str:
    """JSON that may stand inside a script element: nothing in it can end the element."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def _content(result: Result, trace: Trace, topology: Topology | None) -> dict[str, Any]:
    takes_checkpoints = trace.header.takes_checkpoints
    common: dict[str, Any] = {
        "result": result,
        "topology": topology,
        "header": trace.header,
        "takes_checkpoints": takes_checkpoints,
        "verdict": words.verdict(result) if takes_checkpoints else links.verdict(result),
        "unmet": words.unmet(result),
        "numbers": list(_numbers(result) if takes_checkpoints else _link_numbers(result)),
        "links": [(name, list(links.pairs(link))) for name, link in links.of(result).items()],
        "faults": dict(result.get("faults") or {}),
        "expectations": _expectations(result),
        "cases": [(case.name, _changes(case.changes)) for case in topology.cases] if topology else [],
        "verdicts": dict(result.get("verdicts") or {}),
        "warnings": list(result.get("warnings") or ()),
        "setting": list(_setting(trace, topology)),
        "devices": _device_figures(topology),
        "assumptions": words.assumptions(topology),
        "resolved": _resolved(topology),
        "seed": trace.header.seed,
        "figures": {},
    }
    return common | (_of_checkpoints(result, trace, topology) if takes_checkpoints else {})


def _of_checkpoints(result: Result, trace: Trace, topology: Topology | None) -> dict[str, Any]:
    history = History(trace)
    cases = {"all power": result} | dict(result.get("what_if") or {})
    averaged = {case.name for case in trace.header.crashes if len(case.strikes) > 1}
    cost = figures.commit_costs(history.checkpoints)
    pipes = figures.pipes(trace.figures.get("pipes") or {}, trace.header.horizon_ps / _PS)
    drawn: dict[str, figures.Figure] = {
        "raw": figures.shares(cases, "raw"),
        "recovered": figures.shares(cases, "recovered"),
    }
    closeups = []
    close, crash = history.telling()
    for number, window in enumerate(close.windows()):
        drawn[f"closeup{number}"], note = figures.close_up(close, window)
        closeups.append({"key": f"closeup{number}", "title": window.title, "note": note})
    run_note = None
    if history.stretches:
        drawn["run"], run_note = figures.whole_run(history)
    drawn |= {key: figure for key, figure in (("cost", cost), ("pipes", pipes)) if figure is not None}
    return {
        "raw_rows": [
            (words.raw_name(name, result), words.RAW_AT_LENGTH[name], share)
            for name, share in words.raw_shares(result["raw"])
        ],
        "outcome_rows": [
            (words.OUTCOMES[name], name in words.UNSAFE, share)
            for name, share in words.outcome_shares(result["recovered"])
        ],
        "what_if": [
            (name, words.what_if_words(name, topology), case, *case_words(case), name in averaged)
            for name, case in (result.get("what_if") or {}).items()
        ],
        "crashes": [
            (name, crash, [(words.OUTCOMES.get(o, o), o in words.UNSAFE, n) for o, n in crash["outcomes"].items()])
            for name, crash in (result.get("crashes") or {}).items()
            if crash.get("count")
        ],
        "closeups": closeups,
        "closeup_crash": crash,
        "run_note": run_note,
        "figures": drawn,
        "costs": list(costs(result)),
        "pipes": _pipe_rows(trace),
        "bound_by": (result.get("checkpoints") or {}).get("bound_by"),
    }


def _link_numbers(result: Result) -> Iterator[tuple[str, str, str]]:
    """The cards of a run without checkpoints."""
    found = links.of(result).values()
    yield "rounds", words.number(sum(link["rounds_settled"] for link in found)), "that both ends have ended alike"
    yield "tokens lost", words.number(sum(link["tokens_lost"] for link in found)), "at any instant"
    yield "tokens doubled", words.number(sum(link["tokens_cloned"] for link in found)), "at any instant"
    yield "in doubt", percent(sum(link["in_doubt_share"] for link in found) / len(found)), "of the time, of a link"
    crashes = sum(link.get("crashes", 0) for link in found)
    yield "crashes", words.number(crashes), "of ends of links"


def _numbers(result: Result) -> Iterator[tuple[str, str, str]]:
    """(what, how much, more) for the cards at the top."""
    recovered, checkpoints = result["recovered"], result.get("checkpoints") or {}
    yield "unsafe recoveries", percent(recovered["unsafe_share"]), "of random power losses"
    yield "nothing to restore", percent(recovered["unprotected_share"]), "of the time"
    lost = recovered.get("lost_work_s") or {}
    if lost.get("mean") is not None:
        yield "work lost by a crash", duration(lost["mean"]), f"on average; {duration(lost['max'])} at most"
    latency = checkpoints.get("commit_latency_s") or {}
    if latency.get("mean") is not None:
        yield "until acknowledged", duration(latency["mean"]), f"99th percentile {duration(latency['p99'])}"
    stall = checkpoints.get("stall_s") or {}
    if stall.get("mean") is not None:
        yield "training stands still", duration(stall["mean"]), "for each checkpoint"
    if result.get("ettr") is not None:
        yield "time that trains", percent(result["ettr"]), "of the run (ETTR)"


def _expectations(result: Result) -> list[tuple[str, Mapping[str, Any]]]:
    """(case or nothing, line) in the order of the topology."""
    found = [("", line) for line in result.get("expect") or ()]
    for name, case in (result.get("cases") or {}).items():
        found += [(name, line) for line in case.get("expect") or ()]
    return found


def _changes(changes: Mapping[str, Any]) -> str:
    pairs = ((key, value if isinstance(value, str) else json.dumps(value)) for key, value in changes.items())
    return ", ".join(f"{key}: {value}" for key, value in pairs)


def _pipe_rows(trace: Trace) -> list[tuple[str, Mapping[str, Any]]]:
    used = [(name, use) for name, use in (trace.figures.get("pipes") or {}).items() if use.get("carried_bytes")]
    return sorted(used, key=lambda pair: (-pair[1].get("bound_s", 0.0), -pair[1].get("busy_s", 0.0), pair[0]))[:30]


def _setting(trace: Trace, topology: Topology | None) -> Iterator[tuple[str, str]]:
    """What was simulated, in a few lines."""
    head = trace.header
    yield "simulated", f"{duration(head.horizon_ps / _PS)}, judged from {duration(head.warm_up_ps / _PS)} on"
    if head.takes_checkpoints:
        yield from _checkpointing(head)
    if topology is not None:
        kinds: dict[str, int] = {}
        for device in topology.devices.values():
            kinds[device.kind] = kinds.get(device.kind, 0) + 1
        yield "devices", ", ".join(f"{count} {kind}" for kind, count in kinds.items())
        if topology.links:
            yield "links", str(len(topology.links))


def _checkpointing(head: Header) -> Iterator[tuple[str, str]]:
    yield "a checkpoint every", duration(head.interval_ps / _PS)
    shards = [part for part in head.parts if part.shard >= 0]
    total = sum(part.size_bytes for part in shards)
    count = len({part.shard for part in shards})
    told = f"{count} shard{'s' if count != 1 else ''}"
    told += f" in {len(shards) / count:.3g} copies" if len(shards) > count else ""
    places = len({part.device for part in shards})
    told += f", on {places} device{'s' if places != 1 else ''}"
    yield "checkpoint", f"{told}, {size(total)} in all" if total else told
    yield "recovery rule", head.rule.replace("_", " ")


def _device_figures(topology: Topology | None) -> list[dict[str, Any]]:
    """Devices with equal figures together."""
    groups: dict[Any, list[DeviceSpec]] = {}
    for device in topology.devices.values() if topology else ():
        if device.figures:
            groups.setdefault((device.kind, device.figures), []).append(device)
    return [
        {
            "names": words.few([device.name for device in devices], most=4),
            "kind": kind,
            "figures": list(held),
            "assumed": sum(figure.assumption for figure in held),
        }
        for (kind, held), devices in sorted(groups.items(), key=lambda group: group[0][0])
    ]


def _resolved(topology: Topology | None) -> str:
    if topology is None or not topology.resolved:
        return ""
    import yaml

    text: str = yaml.safe_dump(dict(topology.resolved), sort_keys=False, allow_unicode=True)
    return text

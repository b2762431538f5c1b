"""The link protocol and tree epoch convergence, searched exhaustively: `hwsim link check [--full]`.

Nothing is written down in advance but two sets of counts of an independent model, which the search must hit where both
model the same things, and the table of changes that do no harm, each with its reason.

*What it does not show*: more frames in flight than said, damaged frames that pass both checksums, a register whose
write is not atomic, trees of more than four domains.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from time import perf_counter
from typing import Any, Final

from hwsim.bilateral import invariants, mutations, reboots, tec_model
from hwsim.bilateral.checking import EXCHANGES, Finding, explore, explore_tree
from hwsim.bilateral.setting import Setting
from hwsim.bilateral.variants import HEARD_IS_KEPT, LINK, TREE, Variant

Say = Callable[[str, float | None], None]
MISTAKES: Final = reboots.MISTAKES
EVERY: Final = 19  # the quick check tries each nineteenth change of the table, the full one all


@dataclass(frozen=True)
class Search:
    """One search of the correct protocol.  *states*: how many an independent model of the same things has."""

    name: str
    setting: Setting | tec_model.Setting
    states: int | None = None
    progress: bool = True


def _plain(modulus: int, capacity: int, states: int) -> Search:
    setting = Setting(modulus=modulus, capacity=capacity, shift=modulus, rows=HEARD_IS_KEPT)
    return Search(f"plain, rounds modulo {modulus}, {_frames(capacity)}", setting, states)


def _frames(capacity: int) -> str:
    return f"{capacity} frame{'s' if capacity > 1 else ''} each way"


_WIRE: Final = 1 << 16
_ASTRAY: Final = 20_000  # states; with rounds that drift apart there is no end of them
_WHOLE: Final = Setting(modulus=_WIRE, inbox=True, writing=True, carrier=True, cancel=True, queue=True)
_PAIRING: Final = Setting(modulus=_WIRE, inbox=True, writing=True, carrier=True, paired=False, rounds=2)

QUICK: Final = (
    _plain(2, 1, 2_424),
    _plain(2, 2, 9_528),
    _plain(2, 3, 25_952),
    _plain(3, 1, 3_636),
    _plain(3, 2, 14_292),
    _plain(3, 3, 38_928),
    _plain(4, 2, 19_056),
    _plain(8, 2, 38_112),
    Search("inbox, register writes, 16-bit rounds, 2 frames each way",
           Setting(modulus=_WIRE, capacity=2, inbox=True, writing=True)),
    Search("the same, a token a side, 1 frame each way",
           Setting(modulus=_WIRE, inbox=True, writing=True, tokens=(("T",), ("U",)))),
    Search("the whole table but pairing, 1 frame each way", _WHOLE),
    Search("pairing, nothing lost, 1 frame each way", _PAIRING),
    Search("pairing, one register lost, 1 frame each way", replace(_PAIRING, amnesia=1)),
    Search("tree: pair, 3 crashes", tec_model.Setting("pair", 3)),
    Search("tree: path3, 1 crash", tec_model.Setting("path3", 1)),
    Search("tree: path3, root in the middle, 1 crash", tec_model.Setting("path3, root in the middle", 1)),
)  # fmt: skip
FULL: Final = (
    Search("the whole table but pairing, rounds modulo 2", replace(_WHOLE, modulus=2)),
    Search("the whole table but pairing, frames sent at once", replace(_WHOLE, prompt=True)),
    Search("the whole table but pairing, 2 frames each way", replace(_WHOLE, capacity=2)),
    Search("the whole table but pairing, a token a side", replace(_WHOLE, tokens=(("T",), ("U",)))),
    Search("a bag instead of a FIFO, rounds modulo 64 and at most 3",
           Setting(modulus=64, capacity=2, rounds=3, reorder=True, rows=HEARD_IS_KEPT)),
    Search("pairing, two registers lost, 1 frame each way", replace(_PAIRING, amnesia=2)),
    Search("pairing, two registers lost, 2 frames each way", replace(_PAIRING, amnesia=2, capacity=2)),
    Search("pairing, two registers lost, the stores kept", replace(_PAIRING, amnesia=2, keeps_store=True)),
    Search("pairing, two registers formatted", replace(_PAIRING, amnesia=2, operator=True, keeps_store=True)),
    Search("tree: path3, 2 crashes", tec_model.Setting("path3", 2)),
    Search("tree: path3, 3 crashes", tec_model.Setting("path3", 3)),
    Search("tree: path3, root in the middle, 2 crashes", tec_model.Setting("path3, root in the middle", 2)),
    Search("tree: path4, 1 crash", tec_model.Setting("path4", 1)),
    Search("tree: y4, 1 crash", tec_model.Setting("y4", 1)),
    Search("tree: star4, 1 crash", tec_model.Setting("star4", 1)),
)  # fmt: skip


def run(full: bool = False, say: Say = lambda _stage, _share: None) -> dict[str, Any]:
    """Everything searched and judged: plain data.  `off` names what is not as it must be; empty: all is well."""
    began = perf_counter()
    off: list[str] = []
    searches = []
    for search in (*QUICK, *(FULL if full else ())):
        say(search.name, None)
        searches.append(_searched(search, off, say))
    variants = []
    for variant in (*LINK, *TREE):
        say(f"{variant.name}: unless {variant.leaves_out}", None)
        variants.append(_varied(variant, variant.find(), off))
    say("registers mistaken after a reboot", None)
    mistaken = _mistaken(off)
    mutated = _mutated(full, off, say)
    return {
        "searches": searches,
        "variants": variants,
        "mistaken": mistaken,
        "mutations": mutated,
        "properties": {**invariants.MEANINGS, **tec_model.MEANINGS},
        "off": off,
        "seconds": round(perf_counter() - began, 1),
    }


def _searched(search: Search, off: list[str], say: Say) -> dict[str, Any]:
    def tell(states: int) -> None:
        say(f"{search.name}: {states:,} states", None)

    if isinstance(search.setting, Setting):
        found = explore(search.name, search.setting, say=tell)
    else:
        found = explore_tree(search.name, search.setting, say=tell)
    if found.broken:
        off.append(f"{search.name}: {found.broken} is broken")
    elif search.states not in (None, found.states):
        off.append(f"{search.name}: {found.states} states, an independent model has {search.states}")
    return {**_figures(found), "independent_states": search.states, "exchanges": found.exchanges}


def _varied(variant: Variant, found: Finding, off: list[str]) -> dict[str, Any]:
    if found.broken not in variant.expected:
        off.append(f"{variant.name} is not caught")
    return {**_figures(found), "leaves_out": variant.leaves_out, "why": variant.why, "steps": found.steps}


def _mistaken(off: list[str]) -> dict[str, Any]:
    """What comes of each way to take one thing that a register says for another."""
    by: dict[str, int] = {}
    for written, read in MISTAKES:
        setting = Setting(reboot=reboots.mistaking(written, read), modulus=_WIRE, shift=2)
        found = explore(f"{written} read as {read}", setting, only=("I4", "I7"), limit=_ASTRAY)
        if found.broken:
            by[found.broken] = by.get(found.broken, 0) + 1
        else:
            off.append(f"{found.name} after a reboot does no harm, so the two may share a code")
    return {"codes": len(reboots.CODES), "tried": len(MISTAKES), "caught": sum(by.values()), "by": by}


def _mutated(full: bool, off: list[str], say: Say) -> dict[str, Any]:
    every = list(mutations.mutants())
    chosen = every if full else every[::EVERY]
    caught: dict[str, int] = {}
    harmless = []
    for place, mutant in enumerate(chosen):
        say(f"changes of the table: {mutant.name}", place / len(chosen))
        reason = mutations.harmless(mutant)
        if reason is not None and (not full or reason == mutations.UNREACHED):  # all others are held to their reason
            harmless.append({"change": mutant.name, "why": reason})
            continue
        found = mutations.hunt(mutant)
        if found is not None:
            what = str(found[1].broken or "unbounded").split(":")[0]
            caught[what] = caught.get(what, 0) + 1
            if reason is not None:
                off.append(f"{mutant.name}: said to do no harm, and it breaks {what}")
        elif reason is not None:
            harmless.append({"change": mutant.name, "why": reason})
        else:
            off.append(f"{mutant.name}: nothing catches it, and no reason is given")
    return {
        "changes": len(every),
        "tried": len(chosen),
        "caught": sum(caught.values()),
        "by": caught,
        "harmless": harmless,
    }


def _figures(found: Finding) -> dict[str, Any]:
    return {
        "name": found.name,
        "states": found.states,
        "edges": found.edges,
        "depth": found.depth,
        "seconds": round(found.seconds, 2),
        "broken": found.broken,
        "trace": [{"what": moment.what, "state": moment.state} for moment in found.trace],
    }


def render(result: Mapping[str, Any], *, markdown: bool = False) -> str:
    """What `run` returned, as text."""
    searched = [("searched", "states", "edges", "depth", "s", "found")]
    for found in result["searches"]:
        searched.append((
            found["name"], f"{found['states']:,}", f"{found['edges']:,}", str(found["depth"]),
            f"{found['seconds']:.2f}", _verdict(found),
        ))  # fmt: skip
    caught = [("variant", "left out", "caught by", "steps", "because")]
    for found in result["variants"]:
        by = found["broken"] or "NOTHING"
        caught.append((found["name"], found["leaves_out"], by, str(found["steps"]), found["why"]))
    table = _markdown if markdown else _aligned
    lines = [*table(searched, (1, 2, 3, 4)), "", *table(caught, (3,)), ""]
    example = next((found for found in result["variants"] if found["trace"]), None)
    if example:
        lines += [f"{example['name']}, step by step: {example['why']}", *steps_of(example), ""]
    for found in result["searches"]:
        if found["broken"]:
            lines += [f"{found['name']} breaks {found['broken']}:", *steps_of(found), ""]
    mistaken = result["mistaken"]
    lines.append(
        f"A register says one of {mistaken['codes']} things. Taking one for another after a reboot,"
        f" {mistaken['tried']} ways: {mistaken['caught']} caught ({_by(mistaken)})."
    )
    score = result["mutations"]
    lines.append(
        f"Single changes of the table: {score['changes']}, of which {score['tried']} tried: {score['caught']} caught"
        f" ({_by(score)}), {len(score['harmless'])} do no harm:"
    )
    reasons: dict[str, int] = {}
    for change in score["harmless"]:
        reasons[change["why"]] = reasons.get(change["why"], 0) + 1
    lines += [f"  {count:3}  {why}" for why, count in reasons.items()]
    lines += ["", *(f"{name}: {meaning}." for name, meaning in result["properties"].items())]
    lines += ["", *(f"OFF: {what}" for what in result["off"])]
    lines.append(f"{'All is as it must be' if not result['off'] else 'NOT as it must be'}; {result['seconds']} s.")
    return "\n".join(lines)


def _by(score: Mapping[str, Any]) -> str:
    """How many each property caught."""
    return ", ".join(f"{count} by {name}" for name, count in sorted(score["by"].items()))


def steps_of(found: Mapping[str, Any]) -> list[str]:
    """A trace, a line each for what happened and what then is."""
    lines = []
    for number, moment in enumerate(found["trace"]):
        lines += [f"  {number:2}  {moment['what']}", *(f"      {part}" for part in moment["state"].split("; "))]
    return lines


def _verdict(found: Mapping[str, Any]) -> str:
    if found["broken"]:
        return f"BREAKS {found['broken']}"
    text = "holds"
    if found["exchanges"] is not None:
        text += f", settles in {found['exchanges']} of {EXCHANGES}"
    if found["independent_states"] is not None:
        text += ", as many as an independent model"
    return text


def _aligned(rows: Sequence[Sequence[str]], right: Sequence[int]) -> list[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return [
        "  ".join(
            cell.rjust(width) if column in right else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def _markdown(rows: Sequence[Sequence[str]], right: Sequence[int]) -> list[str]:
    rule = ["---:" if column in right else "---" for column in range(len(rows[0]))]
    return [f"| {' | '.join(row)} |" for row in (rows[0], rule, *rows[1:])]

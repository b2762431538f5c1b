"""Commit protocols side by side, on a terminal, as Markdown and as a page: what each risks, costs, and is stopped by.

The three say the same, from the same tables.  `text` is at most 80 columns wide where the names of a topology allow it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path
from typing import Any

from hwsim.report import figures, words
from hwsim.report.words import duration, escaped, listed, percent, size, wrapped

Result = Mapping[str, Any]

TEMPLATE = "comparison.html.j2"
_NAME = 23
_MOST_WHAT_IFS = 6
ROLES = {"coordinator": "coordinator", "rank": "a rank", "links": "its links"}


@dataclass(frozen=True)
class Table:
    """One table: a row for each protocol; `columns` may be broken over lines, `bad` are the rows that go wrong."""

    title: str
    note: str
    columns: tuple[str, ...]
    rows: tuple[tuple[str, tuple[str, ...]], ...]
    bad: frozenset[str] = frozenset()


def tables(result: Result) -> list[Table]:
    """All tables of a comparison."""
    found = result["protocols"]
    unsafe = frozenset(_name(result, name) for name, one in found.items() if one["recovered"]["unsafe_share"] > 0)
    risk = Table(
        "What it risks",
        "If all power went at a random instant: how often the media would be mixed or torn, recovery go wrong "
        "(unsafe), and nothing be there to restore; and the work that a crash costs.",
        ("mixed or\ntorn", "recovery\nunsafe", "nothing to\nrestore", "work lost,\nmean", "work lost,\nmost"),
        tuple((_name(result, name), tuple(_risk(one))) for name, one in found.items()),
        unsafe,
    )
    cost = Table(
        "What a checkpoint costs",
        "From its begin to its acknowledgement; the time that training stands still; messages between ranks; bytes "
        "that are stored, and those of the messages.",
        ("latency,\nmean", "latency,\n99th p.", "stall", "messages", "stored", "sent"),
        tuple((_name(result, name), tuple(_cost(one))) for name, one in found.items()),
    )
    every = [cost, _stops(result), _what_ifs(result)]
    return [risk, *(table for table in every if table is not None)]


def _name(result: Result, name: str) -> str:
    return f"{name} *" if name == result["as_written"] else name


def _risk(one: Result) -> Iterator[str]:
    lost = one["recovered"]["lost_work_s"]
    yield percent(one["raw"]["mixed_share"] + one["raw"]["torn_share"])
    yield percent(one["recovered"]["unsafe_share"])
    yield percent(one["recovered"]["unprotected_share"])
    restores = one["recovered"]["unprotected_share"] < 1
    for key in ("mean", "max"):
        yield duration(lost[key]) if restores and lost.get(key) is not None else "–"


def _cost(one: Result) -> Iterator[str]:
    latency, stall = one["checkpoints"]["commit_latency_s"], one["checkpoints"]["stall_s"]
    for key in ("mean", "p99"):
        yield duration(latency[key]) if key in latency else "–"
    yield duration(stall["mean"]) if "mean" in stall else "–"
    messages, rounds = one["messages_per_checkpoint"], one["rounds_per_checkpoint"]
    yield f"{rounds:.3g} rounds" if rounds and not messages else f"{messages:.4g}"
    for key in ("stored", "messages"):
        yield size(one["bytes_per_checkpoint"][key]) if key in one["bytes_per_checkpoint"] else "–"


def _stops(result: Result) -> Table | None:
    found = result["protocols"]
    roles = [role for role in ROLES if any(role in one["deaths"] for one in found.values())]
    if not roles:
        return None
    away = max(death["away_s"] for one in found.values() for death in one["deaths"].values())
    rows = []
    bad = set()
    for name, one in found.items():
        cells = []
        for role in roles:
            death = one["deaths"].get(role)
            if death is None:
                cells.append("–")
                continue
            cells.append("no end" if death["delay_s"] is None else duration(death["delay_s"]))
            if death["outcome"] in words.UNSAFE:
                cells[-1] += " !"
                bad.add(_name(result, name))
        cells.append(percent(one["in_doubt_share"]))
        doubt = max((death["in_doubt_s"] for death in one["deaths"].values()), default=0.0)
        rows.append((_name(result, name), (*cells, duration(doubt))))
    note = (
        f"A role dies in the middle of a commit and is away for {duration(away)}: by how much an acknowledgement then "
        "comes later (!: the recovery goes wrong). In doubt: how often a rank has promised and not heard, and how long "
        "it then waits for who is away."
    )
    return Table(
        "What stops it", note, (*(f"{ROLES[role]}\naway" for role in roles), "in doubt,\nshare", "in doubt,\nmost"),
        tuple(rows), frozenset(bad),
    )  # fmt: skip


def _what_ifs(result: Result) -> Table | None:
    found = result["protocols"]
    asked = list(dict.fromkeys(name for one in found.values() for name in one["what_if"]))
    if not asked:
        return None
    shown = asked[:_MOST_WHAT_IFS]
    rows = tuple(
        (_name(result, name), tuple(percent(one["what_if"][case]["unsafe_share"]) for case in shown))
        for name, one in found.items()
    )
    bad = frozenset(
        _name(result, name) for name, one in found.items()
        if any(one["what_if"][case]["unsafe_share"] > 0 for case in shown)
    )  # fmt: skip
    more = f" {len(asked) - len(shown)} more are in result.json." if len(asked) > len(shown) else ""
    note = f"The share of instants at which recovery would go wrong, under each what-if of the topology.{more}"
    return Table("What if", note, tuple(name.replace("-", "-\n", 1) for name in shown), rows, bad)


def verdict(result: Result) -> words.Verdict:
    """Which protocols are safe here, and which of these commits soonest."""
    found = result["protocols"]
    safe = {name: one for name, one in found.items() if not one["recovered"]["unsafe_share"]}
    when = "if all power goes at a random instant"
    if not safe:
        return words.Verdict("bad", "None is safe here", f"Recovery goes wrong under each of them {when}.")
    wrong = [name for name in found if name not in safe]
    latencies = {
        name: one["checkpoints"]["commit_latency_s"]["mean"]
        for name, one in safe.items()
        if one["checkpoints"]["commit_latency_s"]
    }
    said = f"{listed(wrong)} go{'es' * (len(wrong) == 1)} wrong {when}; " if wrong else f"None goes wrong {when}; "
    if latencies:
        quickest = min(latencies, key=lambda name: latencies[name])
        said += f"of the others {quickest}" if wrong else quickest
        said += f" acknowledges soonest, after {duration(latencies[quickest])} on average."
    else:
        said += "but not one checkpoint was acknowledged under the others."
    level = "warn" if wrong else "good"
    return words.Verdict(level, f"{len(safe)} of {len(found)} are safe here" if wrong else "All are safe here", said)


def notes(result: Result) -> list[str]:
    """What was set for a protocol, what was violated, and what could not run, with the reasons."""
    said = []
    for name, one in result["protocols"].items():
        if one["set"]:
            told = ", ".join(f"{key}: {_value(value)}" for key, value in one["set"].items())
            said.append(f"{name} is measured with {told}.")
        if one["violated"]:
            said.append(f"{name} breaks {', '.join(one['violated'])} in this very run.")
    return said


def _value(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{key} {one}" for key, one in value.items())
    return f"[{', '.join(map(str, value))}]" if isinstance(value, list | tuple) else str(value)


def _asked(result: Result) -> str:
    count = len(result["protocols"])
    return (
        f"{count} commit protocol{'s' * (count > 1)} side by side: {result['shards']} shards, a checkpoint every "
        f"{duration(result['interval_s'])}, {duration(result['horizon_s'])} of training under each; seed "
        f"{result['hwsim']['seed']}. * is the topology's own."
    )


def text(result: Result) -> str:
    """The comparison as lines of text."""
    said = verdict(result)
    lines = [str(result["topology"])]
    lines += wrapped(result["description"]) if result["description"] else []
    lines += [*wrapped(_asked(result)), "", *wrapped(f"{said.title}. {said.sentence}")]
    for table in tables(result):
        lines += ["", table.title, *wrapped(table.note, "  ", "  "), *_columns(table)]
    lines += [""] if notes(result) else []
    lines += [line for note in notes(result) for line in wrapped(note, "", "  ")]
    if result["left_out"]:
        lines += ["", "Cannot run here"]
        for name, reason in result["left_out"].items():
            lines += wrapped(f"{name}: {reason}", "  ", "    ")
    return "\n".join(line.rstrip() for line in lines)


def _columns(table: Table) -> Iterator[str]:
    heads = [column.split("\n") for column in table.columns]
    most = max(map(len, heads))
    heads = [[""] * (most - len(head)) + head for head in heads]
    widths = [
        2 + max(len(cell) for cell in (*head, *(cells[number] for _, cells in table.rows)))
        for number, head in enumerate(heads)
    ]
    for line in range(most):
        yield " " * _NAME + "".join(f"{head[line]:>{width}}" for head, width in zip(heads, widths, strict=True))
    for name, cells in table.rows:
        mark = "!" if name in table.bad else " "
        yield f"{mark} {name:<{_NAME - 2}}" + "".join(f"{c:>{width}}" for c, width in zip(cells, widths, strict=True))


def markdown(result: Result) -> str:
    """The comparison as Markdown, for a design review; ends without a newline."""
    said = verdict(result)
    lines = [f"## {escaped(result['topology'])}: commit protocols side by side", ""]
    lines += [escaped(result["description"]), ""] if result["description"] else []
    lines += [escaped(_asked(result)), "", f"**{said.title}.** {escaped(said.sentence)}"]
    for table in tables(result):
        heads = [column.replace("-\n", "-").replace("\n", " ") for column in table.columns]
        lines += ["", f"**{table.title}.** {table.note}", "", f"| protocol | {' | '.join(map(escaped, heads))} |"]
        lines.append(f"| :-- |{' --: |' * len(heads)}")
        for name, cells in table.rows:
            shown = f"**{escaped(name)}**" if name in table.bad else escaped(name)
            lines.append(f"| {shown} | {' | '.join(map(escaped, cells))} |")
    told = notes(result) + [f"{name} cannot run here: {reason}." for name, reason in result["left_out"].items()]
    lines += ["", *(f"- {escaped(note)}" for note in told)] if told else []
    return "\n".join(lines)


def write(path: str | PathLike[str], result: Result) -> None:
    """Write the comparison as one HTML file that needs no network."""
    Path(path).write_text(page(result), encoding="utf-8", newline="\n")


def page(result: Result) -> str:
    """The whole page as text."""
    from hwsim.report import html

    content = {
        "result": result,
        "asked": _asked(result),
        "verdict": verdict(result),
        "tables": tables(result),
        "notes": notes(result),
        "figures": {"trade": figures.trade_off(result["protocols"])},
    }
    return html.render(TEMPLATE, content)

"""The answer on a terminal and as Markdown, for someone who never saw hwsim before.

`text` is at most *width* columns wide, whatever the names in a topology (a word longer than that stays whole).
Colour only adds to what the words say.
"""

from __future__ import annotations

import os
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from hwsim.report import links, words
from hwsim.report.words import Result, duration, percent

if TYPE_CHECKING:
    from hwsim.topology.spec import Topology

_COLOURS = {"good": "32", "warn": "33", "bad": "31", "dim": "2", "bold": "1"}
_LABEL, _SHARE = 50, 8
_MOST_LINKS = 4
RESULT_FILE = "result.json"


def show(result: Result, topology: Topology | None = None) -> None:
    """Print `text` to standard output: in colour on a terminal, unless NO_COLOR is set, and never in a pipe."""
    terminal = sys.stdout.isatty()
    colour = terminal and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    plain = "utf" not in (sys.stdout.encoding or "").lower()
    print(text(result, topology, colour=colour, plain=plain))


def text(
    result: Result, topology: Topology | None = None, *, colour: bool = False, plain: bool = False, width: int = 80
) -> str:
    """The summary as lines of at most *width* columns; *plain* draws with ASCII only."""
    page = _Page(colour, plain, width)
    checkpoints = (_found, _costs, _what_ifs, _struck) if "raw" in result else (_agreed,)
    for part in (_asked, *checkpoints, _links, _expected, _notes):
        lines = list(part(result, topology, page))
        if lines:
            page.lines += ["", *lines] if page.lines else lines
    joined = "\n".join(line.rstrip() for line in page.lines)
    return joined.encode("ascii", "replace").decode() if plain else joined


class _Page:
    """Lines, and how to draw them."""

    def __init__(self, colour: bool, plain: bool, width: int) -> None:
        self.colour = colour
        self.plain = plain
        self.width = width
        self.lines: list[str] = []

    def paint(self, style: str, words_: str) -> str:
        return f"\x1b[{_COLOURS[style]}m{words_}\x1b[0m" if self.colour and words_ else words_

    def wrap(self, sentence: str, indent: str = "", hang: str | None = None) -> list[str]:
        return textwrap.wrap(
            sentence,
            self.width,
            initial_indent=indent,
            subsequent_indent=indent if hang is None else hang,
            break_long_words=False,
            break_on_hyphens=False,
        )

    def bar(self, share: float, style: str) -> str:
        """A bar that shows something wherever there is something."""
        room = max(self.width - _LABEL - _SHARE - 4, 4)
        full = round(share * room)
        if self.plain:
            return self.paint(style, "#" * full or ("." if share > 0 else ""))
        eighths = round(share * room * 8)
        drawn = "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8].strip()
        return self.paint(style, drawn or ("▏" if share > 0 else ""))

    def share(self, label: str, share: float, style: str) -> str:
        mark = {"bad": "!", "warn": "~"}.get(style, " ") if share > 0 else " "
        mark = self.paint(style, mark) if mark != " " else mark
        return f"{mark} {label:<{_LABEL}.{_LABEL}}{percent(share):>{_SHARE}}  {self.bar(share, style)}"


def _asked(result: Result, topology: Topology | None, page: _Page) -> Iterator[str]:
    name = result["topology"]
    yield page.paint("bold", name)
    if topology is not None and topology.description:
        yield from page.wrap(topology.description)
    checkpoints = result.get("checkpoints", {})
    told = f"{duration(result['horizon_s'])}{' of training' if 'raw' in result else ''} simulated"
    if "begun" in checkpoints:
        told += f": {_counted(checkpoints)}"
    told += f"; seed {result['hwsim']['seed']}."
    yield from page.wrap(told)
    if topology is not None and topology.repeats > 1:
        yield from page.wrap(f"{topology.repeats} independent timelines.")


def _found(result: Result, _topology: Topology | None, page: _Page) -> Iterator[str]:
    said = words.verdict(result)
    first, *rest = page.wrap(f"{said.title}. {said.sentence}")
    yield first.replace(said.title, page.paint(said.level, said.title), 1)
    yield from rest
    yield ""
    yield "If all power went at a random instant, a reader would find on the media"
    for name, share in words.raw_shares(result["raw"]):
        if share > 0 or name in ("uniform", "mixed", "torn"):
            style = "good" if name == "uniform" else "dim" if name == "dark" else "warn"
            yield page.share(words.raw_name(name, result), share, style)
    if result["raw"].get("se"):
        yield page.paint("dim", f"  standard error of the mixed share: {percent(result['raw']['se'])}")
    yield ""
    yield "and recovery would hand back"
    recovered = result["recovered"]
    for name, share in words.outcome_shares(recovered):
        style = "bad" if name in words.UNSAFE else "good" if name.startswith("correct") else "warn"
        yield page.share(words.OUTCOMES[name], share, style)
    doubt = recovered.get("undecided_share", 0.0)
    if doubt > 0:
        yield from page.wrap(
            f"Where a device may decide either way ({percent(doubt)} of the time) the worse is counted.", "  "
        )


def _agreed(result: Result, _topology: Topology | None, page: _Page) -> Iterator[str]:
    """The answer of a run without checkpoints."""
    said = links.verdict(result)
    first, *rest = page.wrap(f"{said.title}. {said.sentence}")
    yield first.replace(said.title, page.paint(said.level, said.title), 1)
    yield from rest
    struck = result.get("faults") or {}
    if struck.get("all"):
        named = ", ".join(f"{words.number(count)} × {name}" for name, count in struck.items() if name != "all")
        yield from page.wrap(f"Faults that struck: {named}.")


def _links(result: Result, _topology: Topology | None, page: _Page) -> Iterator[str]:
    """Bilateral links: the first few of many, whole."""
    found = links.of(result)
    for number, (name, link) in enumerate(found.items()):
        if number == _MOST_LINKS:
            yield from page.wrap(f"and {len(found) - number} more links; {RESULT_FILE} has them all")
            return
        if number:
            yield ""
        yield page.paint("bold", f"Link {name}")
        yield from _aligned(list(links.pairs(link)), page)


def _costs(result: Result, _topology: Topology | None, page: _Page) -> Iterator[str]:
    yield from _aligned(list(costs(result)), page)


def costs(result: Result) -> Iterator[tuple[str, str]]:
    """What checkpoints cost and what went wrong with them, as (what, how much)."""
    recovered, checkpoints = result["recovered"], result.get("checkpoints", {})
    yield "Nothing to restore", f"{percent(recovered['unprotected_share'])} of the time"
    lost = recovered.get("lost_work_s") or {}
    if lost.get("mean") is not None:
        yield "Work lost by a crash", f"{duration(lost['mean'])} on average, {duration(lost['max'])} at most"
    latency = checkpoints.get("commit_latency_s") or {}
    if latency.get("mean") is not None:
        told = f"{duration(latency['mean'])} on average"
        if latency.get("p99") is not None:
            told += f", {duration(latency['p99'])} at the 99th percentile"
        yield "Begin to acknowledged", told
    stall = checkpoints.get("stall_s") or {}
    if stall.get("mean") is not None:
        yield "Training stands still", f"{duration(stall['mean'])} for each checkpoint"
    if checkpoints.get("bound_by"):
        yield "What binds", f"{checkpoints['bound_by']}"
    for key, label in (("skipped", "Skipped checkpoints"), ("abandoned", "Abandoned checkpoints")):
        if checkpoints.get(key):
            yield label, words.number(checkpoints[key])
    failures = result.get("failures") or {}
    if failures:
        told = ", ".join(f"{words.number(count)} with {errno}" for errno, count in failures.items())
        yield "Failed operations", f"{told}; {words.number(checkpoints.get('failed_saves', 0))} saves failed"
    if result.get("ettr") is not None:
        yield "Time that trains (ETTR)", percent(result["ettr"])
    messages = result.get("messages") or {}
    if messages.get("sent"):
        told = f"{words.number(messages['sent'])} sent, {words.number(_total(messages['dropped']))} dropped"
        yield "Messages", told


def _what_ifs(result: Result, topology: Topology | None, page: _Page) -> Iterator[str]:
    cases = result.get("what_if") or {}
    if not cases:
        return
    yield "What if, at a random instant"
    for name, case in cases.items():
        told, level = case_words(case)
        asked = words.what_if_words(name, topology)
        sentence = f"{name}: {asked + ': ' if asked else ''}{told}"
        worst = case.get("worst")
        if worst and worst != name and level != "good" and (not asked or " one of " in asked):
            sentence += f"; worst: {worst}"
        first, *rest = page.wrap(sentence, "  ", "    ")
        mark = {"bad": "!", "warn": "~"}.get(level, " ")
        yield page.paint(level, mark) + first[1:] if mark != " " else first
        yield from rest


def case_words(case: Result) -> tuple[str, str]:
    """One what-if in a phrase, and its level."""
    recovered = case.get("recovered") or {}
    unsafe, open_ = recovered.get("unsafe_share", 0.0), recovered.get("unprotected_share", 0.0)
    lost = (recovered.get("lost_work_s") or {}).get("mean")
    if unsafe > 0:
        worst = max((o for o in words.UNSAFE), key=lambda o: recovered["outcomes"].get(o, 0))
        said = {"silent_mixed": "a mixture unnoticed", "silent_corrupt": "a half-written state unnoticed"}.get(
            worst, {"silent_restart": "a silent start from nothing"}.get(worst, "an acknowledged checkpoint lost")
        )
        told, level = f"{percent(unsafe)} unsafe ({said})", "bad"
    elif open_ > 0:
        told, level = f"nothing to restore in {percent(open_)} of cases", "warn"
    else:
        told, level = "safe", "good"
    if lost is not None and recovered.get("unprotected_share", 0.0) < 1:
        told += f"; {duration(lost)} of work lost on average"
    return told, level


def _struck(result: Result, _topology: Topology | None, page: _Page) -> Iterator[str]:
    crashes = result.get("crashes") or {}
    all_ = crashes.get("all") or {}
    if not all_.get("count"):
        return
    yield f"Crashes that really struck in this run: {words.number(all_['count'])}"
    for name, crash in crashes.items():
        if name == "all" and len(crashes) > 1:
            continue
        outcomes = (crash.get("outcomes") or {}).items()
        parts = [f"{words.number(count)} × {words.OUTCOMES.get(name_, name_)}" for name_, count in outcomes]
        mean = (crash.get("lost_work_s") or {}).get("mean")
        told = "; ".join(parts) or "the job went on"
        if mean is not None and parts:
            told += f"; {duration(mean)} of work lost on average"
        yield from page.wrap(f"{name} ({words.number(crash.get('count', 0))}): {told}", "  ", "    ")


def _expected(result: Result, _topology: Topology | None, page: _Page) -> Iterator[str]:
    groups = [("", result.get("expect") or [])]
    groups += [(f"{name}: ", case.get("expect") or []) for name, case in (result.get("cases") or {}).items()]
    total = sum(len(lines) for _, lines in groups)
    if not total:
        return
    met = sum(bool(line["holds"]) for _, lines in groups for line in lines)
    yield f"Expected by the topology: {met} of {total} hold"
    for prefix, lines in groups:
        for line in lines:
            mark = page.paint("good", "met  ") if line["holds"] else page.paint("bad", "UNMET")
            told = f"{prefix}{line['key']} {line['wanted']}; got {words.number(line['got'])}"
            first, *rest = page.wrap(told, " " * 8, " " * 10)
            yield f"  {mark} {first[8:]}"
            yield from rest


def _notes(result: Result, topology: Topology | None, page: _Page) -> Iterator[str]:
    for name, found in (result.get("verdicts") or {}).items():
        if found.get("value") != "holds":
            style = "bad" if found.get("value") == "violated" else "warn"
            first, *rest = page.wrap(f"{name}: {found.get('value')}: {found.get('detail', '')}")
            yield page.paint(style, first)
            yield from rest
    warnings: Sequence[str] = result.get("warnings") or ()
    for warning in warnings[:8]:
        yield from page.wrap(f"warning: {warning}", "", "  ")
    if len(warnings) > 8:
        yield f"and {len(warnings) - 8} more warnings"
    assumed = words.assumptions(topology)
    if assumed:
        many = f"{len(assumed)} device figures are assumptions"
        figures = many if len(assumed) > 1 else "1 device figure is an assumption"
        yield from page.wrap(f"{figures} without a published source; the report marks each.")


def _total(dropped: Any) -> int:
    """A count, or counts by reason."""
    return sum(dropped.values()) if isinstance(dropped, Mapping) else dropped


def _counted(checkpoints: Result) -> str:
    """How many there were; several timelines are averaged, so it may be a fraction."""
    begun, committed = (words.number(checkpoints[key]) for key in ("begun", "committed"))
    return f"{begun} checkpoints begun, {committed} acknowledged"


def _aligned(pairs: Sequence[tuple[str, str]], page: _Page) -> Iterator[str]:
    indent = " " * 26
    for label, told in pairs:
        first, *rest = page.wrap(told, indent, indent)
        yield f"{label:<26}{first[26:]}"
        yield from rest


def markdown(result: Result, topology: Topology | None = None) -> str:
    """The summary as Markdown, for a job's page or a pull request; ends without a newline."""
    takes_checkpoints = "raw" in result
    said = words.verdict(result) if takes_checkpoints else links.verdict(result)
    page = _Page(False, False, 10_000)
    lines = [f"## {_md(result['topology'])}", ""]
    if topology is not None and topology.description:
        lines += [_md(topology.description), ""]
    lines += [f"**{said.title}.** {said.sentence}", ""]
    told = f"{duration(result['horizon_s'])} simulated, seed {result['hwsim']['seed']}"
    if "begun" in result.get("checkpoints", {}):
        told += f", {_counted(result['checkpoints'])}"
    lines.append(told + ".")
    if takes_checkpoints:
        lines += _markdown_checkpoints(result, topology, page)
    lines += _markdown_links(result)
    lines += _markdown_end(result, topology, page)
    return "\n".join(lines)


def _markdown_checkpoints(result: Result, topology: Topology | None, page: _Page) -> list[str]:
    lines = ["", "| If all power went at a random instant | share |", "| :-- | --: |"]
    lines += [
        f"| media: {words.raw_name(name, result)} | {percent(share)} |"
        for name, share in words.raw_shares(result["raw"])
    ]
    lines += [
        f"| recovery: {words.OUTCOMES[name]} | {percent(share)} |"
        for name, share in words.outcome_shares(result["recovered"])
    ]
    lines += ["", "| | |", "| :-- | :-- |"]
    lines += [f"| {_md(line[:26].strip())} | {_md(line[26:])} |" for line in _costs(result, topology, page)]
    if result.get("what_if"):
        lines += ["", "| What if | finding | worst |", "| :-- | :-- | :-- |"]
        for name, case in result["what_if"].items():
            asked = words.what_if_words(name, topology)
            asked = f"{_md(name)}: {_md(asked)}" if asked else _md(name)
            lines.append(f"| {asked} | {case_words(case)[0]} | {_md(case.get('worst', ''))} |")
    struck = list(_struck(result, topology, page))
    if struck:
        lines += ["", f"**{struck[0]}**", ""] + [f"- {_md(line.strip())}" for line in struck[1:]]
    return lines


def _markdown_links(result: Result) -> list[str]:
    lines: list[str] = []
    for name, link in links.of(result).items():
        lines += ["", f"| Link {_md(name)} | |", "| :-- | :-- |"]
        lines += [f"| {label} | {_md(told)} |" for label, told in links.pairs(link)]
    return lines


def _markdown_end(result: Result, topology: Topology | None, page: _Page) -> list[str]:
    """What was expected, and notes."""
    lines: list[str] = []
    groups = [("", result.get("expect") or [])]
    groups += [(name, case.get("expect") or []) for name, case in (result.get("cases") or {}).items()]
    if any(found for _, found in groups):
        lines += ["", "| Expected | wanted | got | |", "| :-- | :-- | --: | :-- |"]
        for name, found in groups:
            for line in found:
                key = f"{name}: {line['key']}" if name else line["key"]
                mark = "met" if line["holds"] else "**UNMET**"
                lines.append(f"| `{key}` | `{line['wanted']}` | {words.number(line['got'])} | {mark} |")
    notes = list(_notes(result, topology, page))
    if notes:
        lines += [""] + [f"- {_md(note)}" for note in notes]
    return lines


def _md(value: str) -> str:
    """Text that Markdown leaves as it is."""
    for character in "\\`*_|<[":
        value = value.replace(character, "\\" + character)
    return " ".join(value.split())

"""What an exploration found, on a terminal and as Markdown, for someone who never saw one.

`text` is at most 80 columns wide, but for words longer than that.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hwsim.report import words
from hwsim.report.words import duration, escaped, wrapped

Result = Mapping[str, Any]


def text(result: Result) -> str:
    """The exploration as lines of text."""
    told = result["explore"]
    lines = [str(result["topology"])]
    lines += wrapped(_asked(told))
    lines += ["", *wrapped(" ".join(verdict(told))), ""]
    lines.append("Every crash, by the worst that it may come to")
    lines += [f"{_mark(name)} {words.OUTCOMES[name]:<56}{count:>10,}" for name, count in told["outcomes"].items()]
    if told["rode_through"]:
        lines.append(f"  {'the job rides it through':<56}{told['rode_through']:>10,}")
    if "pairs" in told:
        lines += ["", "A second crash, from the first one until the job works again"]
        lines += [f"{_mark(n)} {words.OUTCOMES[n]:<56}{count:>10,}" for n, count in told["pairs"]["outcomes"].items()]
    lines += ["", *(line for said in _everything(told) for line in wrapped(said))]
    for one in told["worst"]:
        lines += ["", *wrapped(_example(one), "! ", "  ")]
    for name, detail in told["checkers"].items():
        if detail != "holds":
            lines += ["", *wrapped(f"{name}: {detail}", "! ", "  ")]
    lines += ["", *wrapped(f"Coverage: {told['coverage']}.")]
    lines += list(_expected(result))
    lines += [line for warning in result.get("warnings", ()) for line in wrapped(f"warning: {warning}", "", "  ")]
    return "\n".join(lines)


def markdown(result: Result) -> str:
    """The exploration as Markdown; ends without a newline."""
    told = result["explore"]
    title, sentence = verdict(told)
    lines = [f"## {escaped(result['topology'])}: every crash of one checkpoint", "", _asked(told), ""]
    lines += [f"**{title}** {sentence}", "", "| worst that a crash may come to | crashes |", "| :-- | --: |"]
    lines += [f"| {words.OUTCOMES[name]} | {count:,} |" for name, count in told["outcomes"].items()]
    if told["rode_through"]:
        lines.append(f"| the job rides it through | {told['rode_through']:,} |")
    if "pairs" in told:
        seconds = told["pairs"]["outcomes"].items()
        lines += [f"| second crash: {words.OUTCOMES[name]} | {count:,} |" for name, count in seconds]
    lines += ["", *(f"- {escaped(said)}" for said in _everything(told))]
    lines += [f"- {escaped(_example(one))}" for one in told["worst"]]
    lines += ["", f"Coverage: {told['coverage']}."]
    expected = [*result["expect"], *(one for case in result.get("cases", {}).values() for one in case["expect"])]
    if expected:
        lines += ["", "| Expected | wanted | got | |", "| :-- | :-- | --: | :-- |"]
        lines += [
            f"| `{one['key']}` | `{one['wanted']}` | {one['got']} | {'met' if one['holds'] else '**UNMET**'} |"
            for one in expected
        ]
    return "\n".join(lines)


def verdict(told: Result) -> tuple[str, str]:
    """A headline, and what it means."""
    if not told["violations"]:
        return "Safe.", "No crash that was looked at loses an acknowledged checkpoint, or goes wrong unnoticed."
    bad = [name for name in told["outcomes"] if name in (*words.UNSAFE, "hang", "crash_loop")]
    if "pairs" in told:
        bad += [n for n in told["pairs"]["outcomes"] if n in (*words.UNSAFE, "hang", "crash_loop") and n not in bad]
    count = f"{told['violations']:,} of {told['strikes']:,} crashes"
    if not bad:
        return "Not safe.", "No outcome is bad, but a rule is broken that keeps it so."
    return "Not safe.", f"{count} may end like this: {'; or '.join(words.OUTCOMES[name] for name in bad)}."


def mutations(topology: str, protocol: str, tried: Sequence[Mapping[str, Any]]) -> str:
    """The table of mutations and what caught each."""
    lines = [*wrapped(_counted(topology, protocol, tried)), ""]
    for one in tried:
        lines += [f"{one['mutation']}"]
        lines += wrapped(one["what"], "    ", "    ")
        lines += wrapped(_fate(one), "  ! " if one["survived"] else "    ", "      ")
    return "\n".join(lines)


def _counted(topology: str, protocol: str, tried: Sequence[Mapping[str, Any]]) -> str:
    caught = sum(one["caught_by"] is not None for one in tried)
    survived = sum(one["survived"] for one in tried)
    said = f"{topology}: {caught} of {len(tried)} mutations of {protocol} are caught"
    if survived:
        said += f", {survived} SURVIVED"
    if caught + survived < len(tried):
        said += f"; {len(tried) - caught - survived} cannot show on this topology"
    return said


def _fate(one: Mapping[str, Any]) -> str:
    """What came of a mutation, in words."""
    if one["caught_by"] is not None:
        after = f" (found in run {one['executed']:,})" if one["executed"] else ""
        return f"caught by {one['caught_by']}{after}"
    if one["survived"]:
        of = "which are all" if one["exhaustive"] else "as many as --budget allows"
        return f"SURVIVED: nothing new in {one['executed']:,} runs with one strike or two in them, {of}"
    return f"cannot show here, for want of: {'; '.join(one['lacks'])}"


def mutations_markdown(topology: str, protocol: str, tried: Sequence[Mapping[str, Any]]) -> str:
    """The same as a Markdown table."""
    lines = [f"## {escaped(topology)}: mutations of {protocol}", ""]
    lines += [_counted(topology, protocol, tried), "", "| mutation | what | what came of it |", "| :-- | :-- | :-- |"]
    for one in tried:
        fate = f"**{escaped(_fate(one))}**" if one["survived"] else escaped(_fate(one))
        lines.append(f"| {escaped(one['mutation'])} | {escaped(one['what'])} | {fate} |")
    return "\n".join(lines)


def replayed(path: str, outcome: str, same: bool, wanted: str, story: Sequence[str]) -> str:
    """What a replay showed."""
    lines = [f"{path}: {words.OUTCOMES.get(outcome, outcome)}", "", *story, ""]
    if same:
        lines.append("The same as recorded, to the byte.")
    else:
        recorded = words.OUTCOMES.get(wanted, wanted)
        lines += wrapped(f"NOT the same as recorded, which ended with {recorded}: hwsim has changed, or the file.")
    return "\n".join(lines)


def _asked(told: Result) -> str:
    span = duration(told["to_s"] - told["from_s"]) if told["points"] else "0 s"
    return (
        f"Checkpoint {told['checkpoint']}: {told['points']:,} events in {span}; after each of them every one of "
        f"{told['targets']:,} targets is struck, the job recovers and goes on."
    )


def _everything(told: Result) -> Iterator[str]:
    """What a power loss of everything would find, event by event."""
    if "flips" not in told:
        return
    mixed, raw = told["mixed"], told["raw_mixed"]
    yield (
        f"If everything lost its power: the media are mixed after {raw:,} of {told['points']:,} events, and recovery "
        f"resumes from a mixture after {mixed:,}."
    )
    flips = told["flip_events"]
    if told["flips"] == 1:
        flip = flips[0]
        events = flip["in_doubt_for"]
        doubt = f", though not for sure until {events} event{'s' * (events > 1)} later" if events else ""
        yield f"One event decides: {flip['after']}: before it {flip['from']}, from it on {flip['to']}{doubt}."
    else:
        yield f"What recovery hands back changes at {told['flips']:,} events."


def _example(one: Result) -> str:
    said = (
        f"{words.OUTCOMES[one['outcome']]}: {words.KINDS.get(one['kind'], one['kind'])} of {one['target']} after event "
        f"{one['event']} at {one['time_s']:.6f} s ({one['after']})"
    )
    if "then" in one:
        then = one["then"]
        said += f", then {words.KINDS.get(then['kind'], then['kind'])} of {then['target']} at {then['time_s']:.6f} s"
    return said


def _expected(result: Result) -> Iterator[str]:
    groups = [("", result["expect"]), *((f"{n}: ", case["expect"]) for n, case in result.get("cases", {}).items())]
    total = sum(len(lines) for _, lines in groups)
    if not total:
        return
    yield ""
    yield f"Expected by the topology: {sum(one['holds'] for _, lines in groups for one in lines)} of {total} hold"
    for prefix, lines in groups:
        for one in lines:
            mark = "met  " if one["holds"] else "UNMET"
            yield f"  {mark} {prefix}{one['key']} {one['wanted']}; got {words.number(one['got'])}"


def _mark(outcome: str) -> str:
    return "!" if outcome in (*words.UNSAFE, "hang", "crash_loop") else " "

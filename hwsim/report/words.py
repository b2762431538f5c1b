"""Plain words and short numbers for what a result says; the terminal, Markdown and HTML share them."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from hwsim.topology.spec import Figure, Topology

Result = Mapping[str, Any]

UNSAFE = ("silent_mixed", "silent_corrupt", "silent_restart", "lost_committed")

# In the order in which a reader wants them: what is well first.
RAW = {
    "uniform": "one checkpoint everywhere",
    "mixed": "different checkpoints (mixed)",
    "torn": "a half-written shard (torn)",
    "indeterminate": "in doubt: the device may decide",
    "dark": "a device is already down",
}
RAW_AT_LENGTH = {
    "uniform": "every part holds the same newest checkpoint",
    "mixed": "every part is whole, but their newest checkpoints differ",
    "torn": "a part holds half of a checkpoint, and no whole one",
    "indeterminate": "in a volatile cache still, or after an error: old, new or torn",
    "dark": "a device that takes part was down already",
}
OUTCOMES = {
    "correct_latest": "the newest checkpoint",
    "correct_older": "an older checkpoint; the newer was never promised",
    "refused": "nothing, and says so; no promise is broken",
    "hang": "nothing: recovery hangs",
    "crash_loop": "nothing: recovery crashes again and again",
    "lost_committed": "an acknowledged checkpoint is LOST",
    "silent_restart": "a start from nothing, UNNOTICED",
    "silent_corrupt": "a half-written checkpoint, UNNOTICED",
    "silent_mixed": "a mixture of checkpoints, UNNOTICED",
}
_HARM = {
    "lost_committed": "loses an acknowledged checkpoint",
    "silent_restart": "starts from nothing without saying so",
    "silent_corrupt": "resumes from a half-written checkpoint without noticing",
    "silent_mixed": "resumes from a mixture of checkpoints without noticing",
}
KINDS = {
    "power_loss": "power loss",
    "media_loss": "loss of the media",
    "controller_reset": "controller reset",
    "process_crash": "process crash",
    "kernel_crash": "kernel crash",
    "gpu_reset": "GPU reset",
    "nic_reset": "NIC reset",
    "link_down": "link down",
    "plp_failed": "failed capacitors",
    "throttled": "a throttled device",
    "slow": "a slow device",
    "no_space": "a full file system",
    "quota_exceeded": "an exhausted quota",
    "io_error": "I/O errors",
    "upload_failed": "failed uploads",
}


@dataclass(frozen=True)
class Verdict:
    """The headline: `level` is good, warn or bad."""

    level: str
    title: str
    sentence: str


def verdict(result: Result) -> Verdict:
    """What the default crash, a power loss of everything at a random instant, comes to."""
    recovered = result["recovered"]
    outcomes = recovered["outcomes"]
    when = "If all power goes at a random instant, recovery"
    if recovered["unsafe_share"] > 0:
        harms = sorted((o for o in UNSAFE if outcomes.get(o, 0) > 0), key=lambda o: -outcomes[o])
        told = "it " + " or ".join(_HARM[o] for o in harms)
        share = percent(recovered["unsafe_share"])
        return Verdict("bad", "Not safe", f"{when} goes wrong in {share} of cases: {told}.")
    checkpoints = result.get("checkpoints") or {}
    if checkpoints.get("begun") and not checkpoints.get("committed"):
        sentence = "Not one checkpoint was acknowledged in this run, so there was nothing that a crash could lose."
        return Verdict("warn", "No checkpoint came to its end", sentence)
    hurt = [name for name, case in result.get("what_if", {}).items() if _unsafe(case) > 0]
    whole = f"{when} never resumes from a mixture and never loses an acknowledged checkpoint"
    if recovered["unprotected_share"] > 0:
        gap = percent(recovered["unprotected_share"])
        return Verdict("warn", "Safe, with gaps", f"{whole}; but in {gap} of cases there is nothing to restore.")
    if hurt:
        listed = ", ".join(f"{name} ({percent(_unsafe(result['what_if'][name]))})" for name in hurt[:3])
        return Verdict("warn", "Safe, but not in every case", f"{whole}; but it does under: {listed}.")
    return Verdict("good", "Safe", f"{whole}.")


def unmet(result: Result) -> list[str]:
    """The keys of expectations that do not hold, those of the cases as `case: key`."""
    lines = [line["key"] for line in result.get("expect", ()) if not line["holds"]]
    for name, case in result.get("cases", {}).items():
        lines += [f"{name}: {line['key']}" for line in case.get("expect", ()) if not line["holds"]]
    return lines


def _unsafe(case: Result) -> float:
    return float(case.get("recovered", {}).get("unsafe_share", 0.0))


def raw_shares(raw: Result) -> Iterator[tuple[str, float]]:
    """(class, share) of a `raw` section, well ones first."""
    for name in RAW:
        yield name, float(raw.get(f"{name}_share", 0.0))


def raw_name(name: str, case: Result) -> str:
    """Words for a class; where recovery always starts from nothing, what is the same everywhere is nothing."""
    bare = name == "uniform" and case.get("recovered", {}).get("outcomes", {}).get("silent_restart") == 1
    return "the same everywhere: nothing" if bare else RAW[name]


def outcome_shares(recovered: Result) -> Iterator[tuple[str, float]]:
    """(outcome, share) of a `recovered` section, well ones first, those that occur."""
    outcomes = recovered.get("outcomes", {})
    for name in OUTCOMES:
        if outcomes.get(name, 0) > 0:
            yield name, float(outcomes[name])


def percent(share: float) -> str:
    """A share as text; what is not nought or one never reads as if it were."""
    if share in (0.0, 1.0):
        return f"{share:.0%}"
    if 0 < share < 0.0001:
        return "<0.01%"
    if 0.9999 < share < 1:
        return ">99.99%"
    return f"{share:.2%}" if share < 0.01 or share > 0.99 else f"{share:.1%}"


def duration(seconds: float) -> str:
    """A time as text, in the unit that reads best."""
    size = abs(seconds)
    if size == 0:
        return "0 s"
    for unit, factor in (("ns", 1e9), ("us", 1e6), ("ms", 1e3)):
        if size * factor < 999.5:
            return f"{_short(seconds * factor)} {unit}"
    for unit, length, next_length in (("s", 1, 120), ("min", 60, 3600), ("h", 3600, 172800)):
        if size < next_length:
            return f"{_short(seconds / length)} {unit}"
    return f"{_short(seconds / 86400)} d"


def size(count: float) -> str:
    """Bytes as text, in powers of ten."""
    return _scaled(count, "B")


def rate(bits_per_second: float) -> str:
    """A rate as text, in bytes per second."""
    return _scaled(bits_per_second / 8, "B/s")


def _scaled(value: float, unit: str) -> str:
    for prefix in ("", "k", "M", "G", "T", "P"):
        if abs(value) < 999.5:
            return f"{_short(value)} {prefix}{unit}"
        value /= 1000
    return f"{_short(value)} E{unit}"


def _short(value: float) -> str:
    """Three figures, no more."""
    if abs(value) >= 99.95:
        return f"{value:.0f}"
    text = f"{value:.1f}" if abs(value) >= 9.995 else f"{value:.2f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


def number(value: Any) -> str:
    """A figure of an expectation as text."""
    if isinstance(value, bool) or value is None:
        return str(value)
    if isinstance(value, int):
        return f"{value}"
    if isinstance(value, float):
        return f"{value:.6g}"
    return str(value)


def wrapped(said: str, first: str = "", rest: str = "", width: int = 80) -> list[str]:
    """A sentence as lines of at most *width* columns, but for words longer than that."""
    return textwrap.wrap(said, width, initial_indent=first, subsequent_indent=rest,
                         break_long_words=False, break_on_hyphens=False)  # fmt: skip


def escaped(value: object) -> str:
    """Text that Markdown leaves as it is."""
    found = str(value)
    for character in "\\`*_|<[":
        found = found.replace(character, "\\" + character)
    return found


def listed(texts: Sequence[str]) -> str:
    """All of them, with "and" before the last."""
    return f"{', '.join(texts[:-1])} and {texts[-1]}" if len(texts) > 1 else "".join(texts)


def few(names: Sequence[str], most: int = 3) -> str:
    """At most *most* names; of more than these the first three, and how many others there are."""
    return ", ".join(names) if len(names) <= most else f"{', '.join(names[:3])} and {len(names) - 3} more"


def what_if_words(name: str, topology: Topology | None) -> str:
    """What a what-if asks, as `power loss of node0/nvme` or `controller reset of each of 2 (one at a time)`."""
    spec = next((case for case in topology.what_if if case.name == name), None) if topology else None
    if spec is None:
        return ""
    kind = KINDS.get(spec.kind, spec.kind.replace("_", " "))
    if len(spec.strikes) == 1:
        label, devices = spec.strikes[0]
        what = label if label and label != name else ", ".join(devices[:2]) + (", ..." if len(devices) > 2 else "")
        words = f"{kind} of {what}"
    else:
        words = f"{kind} of one of {len(spec.strikes)}"
    if spec.at_ps is not None:
        words += f" at {duration(spec.at_ps / 1e12)}"
    elif spec.phase_ps is not None:
        words += f" {duration(spec.phase_ps / 1e12)} into each interval"
    return words


def assumptions(topology: Topology | None) -> list[tuple[str, Figure]]:
    """(kind or profile, figure) for every device figure that is an assumption, each once."""
    found: dict[tuple[str, str, str], tuple[str, Figure]] = {}
    for device in topology.devices.values() if topology else ():
        for figure in device.figures:
            if figure.assumption:
                owner = figure.profile or device.kind
                found.setdefault((owner, figure.key, figure.value), (owner, figure))
    return list(found.values())

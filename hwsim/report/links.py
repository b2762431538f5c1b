"""What a result says of its bilateral links, in words that terminal, Markdown and HTML share."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hwsim.report.words import Result, Verdict, duration, few, number, percent

# Why frames changed nothing, for those who read the figures of a link for the first time.
DROPS = {
    "loss": "lost on the wire",
    "link_down": "the link was down",
    "dark": "the receiver was down",
    "sender_dark": "the sender died before they had left",
    "writing": "the receiver was writing its register",
    "missed": "a newer one took their place while the receiver was writing",
    "stale": "old news",
    "not_yet": "the answer to an offer that the peer had not seen yet",
    "past": "from a round long past",
    "own": "the receiver's own, come back",
    "not_for_me": "for another register",
    "fenced": "the receiver is fenced",
    "epoch": "of a round and an epoch that do not go together",
    "worn_out": "the receiver's memory is worn out",
    "script": "dropped by the script",
    "fcs": "damaged: the frame check sequence",
    "crc": "damaged: the CRC-32C",
    "length": "of a wrong length",
}


def of(result: Result) -> Mapping[str, Mapping[str, Any]]:
    """The bilateral links of a result, by name."""
    return {name: link for name, link in (result.get("links") or {}).items() if "rounds_settled" in link}


def verdict(result: Result) -> Verdict:
    """What the links come to, where a run took no checkpoints."""
    links = of(result)
    harmed = [name for name, link in links.items() if link["tokens_lost"] or link["tokens_cloned"]]
    broken = [name for name, found in (result.get("verdicts") or {}).items() if found.get("value") == "violated"]
    rounds = sum(link["rounds_settled"] for link in links.values())
    if harmed or broken:
        what = f"tokens were lost or doubled on {few(harmed)}" if harmed else f"the trace violates {few(broken)}"
        return Verdict("bad", "Not safe", f"A promise of the protocol is broken: {what}.")
    whole = f"Every token was in exactly one place at every instant, and both ends agree on all {number(rounds)} rounds"
    fenced = [name for name, link in links.items() if link["fenced"]]
    if fenced:
        told = f"{whole}; but an end of {few(fenced)} saw a violation and takes no part until somebody rules"
        return Verdict("warn", "Safe, but fenced", f"{told}.")
    open_ = [name for name, link in links.items() if not link["agrees_at_the_end"]]
    if open_:
        told = f"{whole}; as the run ends, a round is still open on {few(open_)}"
        return Verdict("warn", "Safe, not finished", f"{told}: an end is bound, or has not heard how it ended.")
    return Verdict("good", "Safe", f"{whole}.")


def pairs(link: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """(label, words) for one link."""
    rounds = f"{number(link['rounds_settled'])} that both ends have ended alike"
    how = f"{number(link['rounds_committed'])} committed, {number(link['rounds_reversed'])} reversed"
    yield "Rounds", f"{rounds}: {how}"
    lost, cloned = link["tokens_lost"], link["tokens_cloned"]
    yield "Tokens", "none lost, none doubled" if not lost and not cloned else (
        f"{number(lost)} LOST, {number(cloned)} DOUBLED"
    )
    times = link.get("exchange_latency_s") or {}
    if times:
        told = f"{duration(times['mean'])} on average, {duration(times['p99'])} at the 99th percentile"
        yield "Offer to known outcome", told
    closing = link.get("closing_latency_s") or {}
    if closing:
        yield "Until both know it", f"{duration(closing['mean'])} on average (each knows that the other knows)"
    doubt = f"{percent(link['in_doubt_share'])} of the time an end has offered a token and cannot tell yet whose it is"
    longest = (link.get("in_doubt_s") or {}).get("max")
    yield "In doubt", doubt + (f"; at most {duration(longest)} at a stretch" if longest else "")
    dropped = link.get("dropped") or {}
    frames = f"{number(link.get('sent', 0))} sent, {number(sum(dropped.values()))} dropped"
    reasons = sorted(dropped.items(), key=lambda item: -item[1])[:4]
    if reasons:
        frames += ": " + "; ".join(f"{number(count)} {DROPS.get(reason, reason)}" for reason, count in reasons)
    yield "Frames", frames
    if link.get("crashes"):
        yield "Crashes of its ends", number(link["crashes"])
    if link.get("fenced"):
        yield "Fenced", f"{number(link['fenced'])} times an end saw a violation and stopped"
    if link.get("frames_checked"):
        checked = f"{number(link['frames_agreed'])} of {number(link['frames_checked'])} frames"
        yield "Decoded a second time", f"{checked} read the same by Scapy's layers"

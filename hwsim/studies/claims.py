"""The claims, and what the experiments that exist so far say of each: `hwsim claims [ID...] [--full]`.

A claim's verdict is computed from its findings, and theirs from figures beside closed forms or
from witnesses found by search; nothing is written down in advance.  A claim without an experiment
is listed as not tested yet.

Source: the claims are worded after the abstract of P. Borrill, "Why Atomicity Matters to AI/ML
Infrastructure: Snapshots, Firmware Updates, and the Cost of the Forward-In-Time-Only Category
Mistake", arXiv 2603.02603 (March 2026), which is all that is cited here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from hwsim.errors import UserError
from hwsim.studies import agreement, temporal, witness_search
from hwsim.studies.evidence import Finding, Verdict, together

SOURCE = "arXiv 2603.02603, abstract"

Experiment = Callable[[bool], Finding]


@dataclass(frozen=True)
class Claim:
    """One claim: what it says, and the experiments on it."""

    id: str
    says: str
    experiments: tuple[Experiment, ...] = ()


CLAIMS: Mapping[str, Claim] = {
    claim.id: claim
    for claim in (
        Claim(
            "C1",
            "Taking a temporal snapshot (all domains hold checkpoint e at one instant) for a convergence property "
            "(every recovered checkpoint is eventually, and from then on, at least e) is a type error.",
            (witness_search.snapshot_without_convergence, witness_search.convergence_without_snapshot),
        ),
        Claim(
            "C2",
            "Under asynchronous composition with crash-recovery of independent domains, no instant can serve as an "
            "atomicity boundary.",
            (temporal.c2_raw, temporal.c2_recovered),
        ),
        Claim(
            "C3",
            "On the lattice of checkpoint numbers atomicity is a measure-zero event; its complement grows "
            "exponentially with the number of persistence domains.",
            (
                temporal.c3_simultaneity,
                temporal.c3_counting,
                temporal.c3_fixed_instant,
                temporal.c3_barrier,
                temporal.c3_no_barrier,
                temporal.c3_free_running,
                temporal.c3_overlapping,
            ),
        ),
        Claim("C4", "Recovery from a mix of checkpoints makes the next optimizer step (AdamW) no valid step of any "
                    "single-checkpoint trajectory."),
        Claim("C5", "Atomic firmware deployment needs common knowledge of the transition, which messages over "
                    "unreliable links cannot give."),
        Claim(
            "C6",
            "A bilateral convergence protocol achieves convergence without a temporal snapshot.",
            (agreement.two_kept, agreement.three_kept, agreement.neighbours_alone),
        ),
    )
}


def run(ids: Sequence[str] = (), full: bool = False, *, say: Callable[[str], None] = lambda _: None) -> dict[str, Any]:
    """Run the experiments on the claims *ids* (all of them by default; case does not matter) and judge each claim.

    *full* takes larger samples.  The same call gives the same answer.  *say* is told each stage.
    Raises UserError for an unknown id.
    """
    chosen = _choose(ids)
    judged: dict[str, Any] = {}
    for claim in chosen:
        findings = []
        for experiment in claim.experiments:
            about, _, _ = (experiment.__doc__ or "").partition("\n")
            say(f"{claim.id}: {about}")
            findings.append(experiment(full))
        judged[claim.id] = {
            "claim": claim.says,
            "verdict": str(together(finding.verdict for finding in findings)),
            "conditions": [f"{finding.reading}: {finding.verdict}" for finding in findings],
            "findings": [finding.to_json() for finding in findings],
        }
    return {"source": SOURCE, "full": full, "claims": judged}


def render(judged: Mapping[str, Any]) -> str:
    """What `run` returned, as text: each claim, its verdict, each reading, and every figure beside its closed form."""
    lines: list[str] = []
    for name, claim in judged["claims"].items():
        lines += [f"{name}  {claim['verdict'].upper()}", *_wrap(claim["claim"], "    ")]
        for finding in claim["findings"]:
            lines += ["", f"  {finding['id']}  {finding['reading']}: {finding['verdict']}"]
            lines += _wrap(finding["because"], "    ")
            if finding["evidence"]:
                lines += [f"    {line}" for line in _table(finding["evidence"])]
            lines += [f"    {_record(row)}" for row in finding.get("records", ())]
        lines.append("")
    lines.append(f"Claims: {judged['source']}.  Fixed seeds.  A figure agrees with its closed form if |z| < 4.")
    return "\n".join(lines)


def _choose(ids: Iterable[str]) -> list[Claim]:
    wanted = [name.upper() for name in ids]
    unknown = [name for name in wanted if name not in CLAIMS]
    if unknown:
        raise UserError(f"no claim {', '.join(unknown)}; write one or more of {', '.join(CLAIMS)}")
    return [claim for claim in CLAIMS.values() if not wanted or claim.id in wanted]


def _table(evidence: Sequence[Mapping[str, Any]]) -> list[str]:
    rows = [("quantity", "measured", "expected", "se", "z", "closed form")]
    for item in evidence:
        z = item["z"]
        exact = item["se"] == 0
        measured = _figure(item["measured"]) + (f" (<{_figure(item['at_most'])})" if item["at_most"] else "")
        rows.append((
            item["quantity"], measured, _figure(item["expected"]),
            f"{item['how']} {item['n']}" if exact and item["n"] else item["how"] if exact else _figure(item["se"]),
            ("=" if item["agrees"] else "differs") if exact else f"{z:+.1f}" + ("" if item["agrees"] else " !"),
            item["form"],
        ))
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    return ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]


def _figure(value: float) -> str:
    return str(int(value)) if float(value).is_integer() and abs(value) < 1e9 else f"{value:.4g}"


def _record(row: Mapping[str, Any]) -> str:
    return "  ".join(f"{key}={value}" for key, value in row.items() if value is not None)


def _wrap(text: str, indent: str) -> list[str]:
    import textwrap

    return textwrap.wrap(text, 112, initial_indent=indent, subsequent_indent=indent)


__all__ = ["CLAIMS", "SOURCE", "Claim", "Verdict", "render", "run"]

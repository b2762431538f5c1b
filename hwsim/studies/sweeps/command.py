"""`hwsim sweep`: a study run as far as time allows, and what is told of it.

`study.json` and the report are written from the rows alone, after them, each whole or not at all.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim import output
from hwsim.answers import Say, silent
from hwsim.errors import EnvironmentFailure, UserError
from hwsim.units import PS_PER_SECOND, parse_duration

if TYPE_CHECKING:
    from hwsim.studies.sweeps.spec import Study

SUMMARY = "study.json"
REPORT = "report.html"


def run(
    study: Study,
    folder: Path,
    *,
    jobs: int | None = None,
    budget_s: float | None = None,
    report: bool = False,
    say: Say = silent,
) -> Mapping[str, Any]:
    """Run what *folder* lacks of *study*, write what is told of all of it there, and return it.

    *jobs*: worker processes; None: one a core.  Raises as `runner.sweep` does.
    """
    from hwsim.report import study as reporting
    from hwsim.studies.sweeps.findings import summary
    from hwsim.studies.sweeps.runner import sweep

    swept = sweep(study, folder, jobs=jobs or _cores(), budget_s=budget_s, say=say)
    say(f"{study.name}: writing {folder}", None)
    told = summary(study, swept.rows, swept.left)
    _write(folder / SUMMARY, output.to_json(told))
    if report or (folder / REPORT).exists():  # one of an earlier state would tell something else
        _write(folder / REPORT, reporting.page(told))
    return told


def show(told: Mapping[str, Any]) -> None:
    """Print the study to standard output."""
    from hwsim.report import study as reporting

    text = reporting.text(told)
    plain = "utf" not in (sys.stdout.encoding or "").lower()
    print(text.encode("ascii", "replace").decode() if plain else text)


def markdown(told: Mapping[str, Any]) -> str:
    """The study as Markdown."""
    from hwsim.report import study as reporting

    return reporting.markdown(told)


def budget_s(text: str | None) -> float | None:
    """A budget as a user writes it, in s.  Raises UserError."""
    if text is None:
        return None
    try:
        return parse_duration(text) / PS_PER_SECOND
    except ValueError as error:
        raise UserError(f"--budget: {error}") from None


def refuse_scheduler(address: str | None) -> None:
    """Say that there is no cluster yet."""
    if address is not None:
        raise UserError(f"--scheduler: sweeps run on this machine only, so {address} is of no use; leave it out")


def _cores() -> int:
    """Processors that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def _write(path: Path, text: str) -> None:
    aside = path.with_name(f".{path.name}.partial")
    try:
        aside.write_text(text, encoding="utf-8", newline="\n")
        aside.replace(path)
    except OSError as error:
        aside.unlink(missing_ok=True)
        raise EnvironmentFailure(output.explain(error, path)) from error

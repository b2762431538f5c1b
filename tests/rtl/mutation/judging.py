"""One mutant on its ladder, in a process of its own with a limit on the processor's time.

`python -m mutation.judging` reads a mutant as JSON and writes the verdict as JSON; `judge` starts it.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

from mutation.mutants import RTL, Mutant

LIMIT_S: Final = 45  # of processor time for one program; on the module itself the longest takes 10
PATIENCE: Final = 20  # so many limits may pass on the clock

KILLED, SURVIVED, EQUIVALENT = "killed", "survived", "equivalent"
NOT_BUILT, TIMED_OUT, FAILED = "not built", "timed out", "tool failed"


@dataclass(frozen=True)
class Verdict:
    """What became of a mutant.  *by*: the rung that said so, *how*: its words."""

    status: str
    by: str = ""
    how: str = ""
    cpu_s: float = 0.0


def judge(mutant: Mutant, *, limit_s: int = LIMIT_S) -> Verdict:
    """The verdict on *mutant*; no program may take more than *limit_s* of processor time."""
    asked = {"mutant": asdict(mutant), "limit_s": limit_s}
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        child = subprocess.Popen(
            [sys.executable, "-m", "mutation.judging", folder], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, cwd=Path(__file__).parents[1], start_new_session=True,
            env=os.environ | {"COCOTB_MAX_FAILURES": "1", "PYTHONPATH": str(Path(__file__).parents[1])},
        )  # fmt: skip
        try:
            said, errors = child.communicate(json.dumps(asked), timeout=limit_s * PATIENCE)
        except subprocess.TimeoutExpired:
            return Verdict(TIMED_OUT, how=f"{limit_s * PATIENCE} s on the clock")
        finally:
            with contextlib.suppress(ProcessLookupError):  # whatever it has started ends with it
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
    if child.returncode:
        return Verdict(FAILED, how=errors.strip()[-2000:] or f"ended with {child.returncode}")
    return Verdict(**json.loads(said.splitlines()[-1]))


def climb(mutant: Mutant, folder: Path, *, limit_s: int) -> Verdict:
    """The same in this process, whose limit it sets."""
    from mutation.ladder import LADDERS, NotBuilt, NoVerdict, OutOfTime

    resource.setrlimit(resource.RLIMIT_CPU, (limit_s, limit_s + 5))
    rtl = mutated(mutant, folder / "rtl")
    undecided = None
    for number, rung in enumerate(LADDERS[mutant.module]):
        work = folder / str(number)
        work.mkdir()
        try:
            killer = rung.climb(rtl, work)
        except NotBuilt as refused:
            return Verdict(NOT_BUILT, rung.name, _short(refused), _cpu_s())
        except NoVerdict as ended:
            # A later rung may still kill it.
            status = TIMED_OUT if isinstance(ended, OutOfTime) else FAILED
            undecided = undecided or Verdict(status, rung.name, _short(ended))
            continue
        if killer is not None:
            return Verdict(KILLED, rung.name, killer, _cpu_s())
    if undecided:
        return Verdict(undecided.status, undecided.by, undecided.how, _cpu_s())
    from mutation import equivalence

    if how := equivalence.proven(mutant.module, RTL, rtl, folder / "equivalence"):
        return Verdict(EQUIVALENT, "SAT", how, _cpu_s())
    return Verdict(SURVIVED, cpu_s=_cpu_s())


def mutated(mutant: Mutant, folder: Path) -> Path:
    """The Verilog with *mutant* in it, in *folder*."""
    shutil.copytree(RTL, folder)
    (folder / f"{mutant.module}.v").write_text(mutant.text, encoding="utf-8")
    return folder


def baseline(modules: Sequence[str], rtl: Path = RTL) -> list[tuple[str, str]]:
    """What the Verilog in *rtl* does not pass, of the rungs of *modules*: pairs of rung and reason."""
    from mutation.ladder import LADDERS, NotBuilt, NoVerdict

    failed = []
    for rung in {rung.name: rung for module in modules for rung in LADDERS[module]}.values():
        with tempfile.TemporaryDirectory(prefix="baseline-") as folder:
            try:
                killer = rung.climb(rtl, Path(folder))
            except (NotBuilt, NoVerdict) as ended:
                killer = _short(ended) or type(ended).__name__
        if killer is not None:
            failed.append((rung.name, killer))
    return failed


def _cpu_s() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return round(used.ru_utime + used.ru_stime, 2)


def _short(error: Exception) -> str:
    return str(error).strip()[-400:]


def _main() -> None:
    asked = json.load(sys.stdin)
    verdict = climb(Mutant(**asked["mutant"]), Path(sys.argv[1]), limit_s=asked["limit_s"])
    print(json.dumps(asdict(verdict)))


if __name__ == "__main__":
    _main()

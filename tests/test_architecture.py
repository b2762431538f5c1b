"""The house rules as tests: who imports whom, how long a module is, what it may be called, that it says what it is."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
MODULES = sorted((ROOT / "hwsim").rglob("*.py"))
LONGEST = 600
# A module that is longer, with the reason.
MAY_BE_LONGER: dict[str, str] = {}
SAY_NOTHING = {"utils", "util", "common", "helpers", "helper", "manager", "base", "misc"}


def test_imports_point_down() -> None:
    lint = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run(
        [lint, "--no-cache"], cwd=ROOT, capture_output=True, text=True, env=os.environ | {"NO_COLOR": "1"}
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_a_module_is_short_well_named_and_says_what_it_is(path: Path) -> None:
    name = str(path.relative_to(ROOT))
    text = path.read_text(encoding="utf-8")
    assert path.stem not in SAY_NOTHING, f"{name}: a name that says nothing"
    assert ast.get_docstring(ast.parse(text)), f"{name}: a module says in its docstring what it models"
    if name in MAY_BE_LONGER:
        assert len(text.splitlines()) > LONGEST, f"{name} is short again: take it off the list"
    else:
        assert len(text.splitlines()) <= LONGEST, f"{name}: split it, or list it with the reason"


def test_every_dependency_is_locked() -> None:
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"].values()
    wanted = [*project["dependencies"], *(line for extra in extras for line in extra)]
    locked = {
        line.split("==")[0].lower().replace("_", "-")
        for line in (ROOT / "requirements/lock.txt").read_text(encoding="utf-8").splitlines()
        if "==" in line
    }
    names = {line.split(">")[0].split("=")[0].strip().lower().replace("_", "-") for line in wanted}
    assert names <= locked, f"run `make lock`: {names - locked}"

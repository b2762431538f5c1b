"""What `pip install` brings: the command, the example topologies, the studies, the RTL and the profiles."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    done = subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", folder],
        cwd=ROOT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return next(folder.glob("*.whl"))


def test_the_wheel_carries_topologies_rtl_profiles_and_the_licence(wheel: Path) -> None:
    names = set(ZipFile(wheel).namelist())
    for path in (ROOT / "topologies").glob("*.yaml"):
        assert f"hwsim/topologies/{path.name}" in names
    for path in (ROOT / "studies").glob("*.yaml"):
        assert f"hwsim/studies/shipped/{path.name}" in names
    for path in (ROOT / "rtl").rglob("*"):
        assert path.is_dir() or f"hwsim/rtl/{path.relative_to(ROOT / 'rtl')}" in names
    for path in (ROOT / "hwsim").rglob("*"):
        if path.is_file() and path.suffix != ".pyc":
            assert str(path.relative_to(ROOT)) in names
    assert any(name.endswith("licenses/LICENSE") for name in names)


def test_an_installed_wheel_finds_its_examples_from_anywhere(wheel: Path, tmp_path: Path) -> None:
    ZipFile(wheel).extractall(tmp_path / "site")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from hwsim import examples; print(examples.find('quickstart'))\n"
        "from hwsim.studies.sweeps.loading import load\n"
        "for name in examples.study_names(): print(load(examples.find_study(name)).topology)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "site")],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        env={key: value for key, value in os.environ.items() if key != "PYTHONPATH"},
    )
    found = done.stdout.split()
    assert found[0] == str(tmp_path / "site/hwsim/topologies/quickstart.yaml"), done.stderr
    assert len(found) == 1 + len(list((ROOT / "studies").glob("*.yaml")))
    assert all(path.startswith(str(tmp_path / "site/hwsim/topologies")) for path in found)

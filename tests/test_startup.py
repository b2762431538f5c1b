"""Help and check are instant because they load no heavy library: a promise, so a test holds it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

TOPOLOGIES = Path(__file__).parent.parent / "topologies"
STUDIES = Path(__file__).parent.parent / "studies"
HEAVY = {"simpy", "numpy", "scapy", "duckdb", "plotly", "jinja2", "numba", "joblib"}
PROBE = """
import json, sys
from hwsim.cli import status_of
status = status_of(sys.argv[1:])
sys.stdout.flush()
print(json.dumps([status, sorted(name for name in sys.modules if "." not in name)]), file=sys.stderr)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["run", "--help"],
        ["check", str(TOPOLOGIES / "quickstart.yaml")],
        ["check", *map(str, sorted(TOPOLOGIES.glob("*.yaml")))],
        ["check", *map(str, sorted(STUDIES.glob("*.yaml")))],
        ["check", "no-such-file.yaml"],
        ["link", "--help"],
        ["link", "table"],
    ],
    ids=[
        "help", "version", "run-help", "check", "check-all", "check-studies", "check-missing", "link-help",
        "link-table",
    ],
)  # fmt: skip
def test_these_commands_load_nothing_heavy(arguments: list[str]) -> None:
    done = subprocess.run([sys.executable, "-c", PROBE, *arguments], capture_output=True, text=True)
    status, modules = json.loads(done.stderr.splitlines()[-1])
    assert status == (2 if "no-such-file.yaml" in arguments else 0), done.stdout + done.stderr
    assert not HEAVY & set(modules)


def test_the_facade_imports_what_is_asked_for_and_nothing_else() -> None:
    code = "import sys, hwsim; assert 'hwsim.trace' not in sys.modules; hwsim.Trace; print('simpy' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "False\n"), done.stderr


def test_every_name_of_the_facade_is_there() -> None:
    import hwsim

    for name in hwsim.__all__:
        assert getattr(hwsim, name) is not None
    assert dir(hwsim) == sorted(hwsim.__all__)
    with pytest.raises(AttributeError, match="no_such_thing"):
        _ = hwsim.no_such_thing

"""Same seed, same trace: across processes, hash seeds and Python versions; and what a changed order may change."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import builders
import pytest

from hwsim.simulation import simulate

ROOT = Path(__file__).parents[1]

_DIGESTS = """
import sys
sys.path[:0] = [{root!r}, {tests!r}]
import builders
from hwsim.simulation import simulate
for topology in builders.samples():
    for repeat in (0, 1):
        print(simulate(topology, repeat).digest())
"""


def digests(python: str = sys.executable, *, hash_seed: str = "0", path: str = "") -> list[str]:
    """The digests of the sample topologies' traces, by another process."""
    code = _DIGESTS.format(root=str(ROOT), tests=str(ROOT / "tests"))
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed, "PYTHONPATH": path, "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([python, "-c", code], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


def here() -> list[str]:
    return [simulate(made, repeat).digest() for made in builders.samples() for repeat in (0, 1)]


def test_the_same_in_this_process_and_in_others_with_other_hash_seeds() -> None:
    expected = here()
    assert len(set(expected)) == len(expected)
    assert here() == expected
    assert digests(hash_seed="1") == expected
    assert digests(hash_seed="4242") == expected


def _other_pythons() -> list[str]:
    names = ("3.11", "3.12", "3.13")
    mine = f"{sys.version_info.major}.{sys.version_info.minor}"
    found = {name: shutil.which(f"python{name}") for name in names if name != mine}
    for name in found:  # pyenv's shims answer for versions that are not installed
        for version in sorted(Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")).glob(f"versions/{name}.*")):
            found[name] = str(version / "bin" / "python")
    named = [path for path in os.environ.get("HWSIM_PYTHONS", "").split(os.pathsep) if path]  # with the packages
    have = {mine, *(name for name in found if any(name in path for path in named))}
    return [path or name for name, path in found.items() if name not in have] + named


@pytest.mark.parametrize("python", _other_pythons(), ids=lambda path: Path(path).name if "/" not in path else path)
def test_the_same_in_other_versions_of_python(python: str) -> None:
    if not Path(python).exists():
        pytest.skip(f"no Python {python} on this machine")
    probe = "import simpy, pydantic, crc32c"
    if subprocess.run([python, "-c", probe], capture_output=True).returncode:
        pytest.skip(f"{python} lacks simpy, pydantic or crc32c")
    assert digests(python) == here()


def test_another_seed_and_another_repeat_give_another_trace() -> None:
    first = builders.abstract(4, horizon="20s", seed=1)
    second = builders.abstract(4, horizon="20s", seed=2)
    assert len({simulate(first).digest(), simulate(second).digest(), simulate(first, 1).digest()}) == 3


def test_adding_a_domain_moves_nothing_of_the_others() -> None:
    fewer, more = (
        [row for row in simulate(builders.abstract(count, horizon="20s")).rows if row[1] == "persisted"]
        for count in (3, 4)
    )
    assert fewer == [row for row in more if row[2] != "d3"]


def test_permuted_tie_breaks_change_no_content(monkeypatch: pytest.MonkeyPatch) -> None:
    """Events of one instant may run in any order: what lies where at the end of every instant stays the same."""
    import random
    from heapq import heappush

    import simpy

    plain = [builders.settled(simulate(made)) for made in builders.samples(random_delays=False)]
    draw = random.Random(7)

    def schedule(self: simpy.Environment, event: simpy.Event, priority: int = 1, delay: int = 0) -> None:
        heappush(self._queue, (self._now + delay, priority, draw.random(), event))

    monkeypatch.setattr(simpy.Environment, "schedule", schedule)
    for _ in range(3):
        assert [builders.settled(simulate(made)) for made in builders.samples(random_delays=False)] == plain

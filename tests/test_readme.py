"""The README shows what the program really prints, and names the topologies that there really are."""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

from hwsim import examples
from hwsim.answers import answer
from hwsim.explore import explore
from hwsim.explore.mutants import mutants
from hwsim.report import comparison as side_by_side
from hwsim.report import exploration
from hwsim.report.summary import text
from hwsim.studies.comparison import compare
from hwsim.studies.sweeps.loading import load as load_study
from hwsim.topology import load, load_cases

README = (Path(__file__).parent.parent / "README.md").read_text()


def test_the_quick_start_prints_what_the_readme_shows() -> None:
    shown = README.partition("`make run` prints (shortened):")[2].partition("\n## ")[0]
    lines = [line.strip() for line in shown.splitlines() if line.strip() and line.strip() != "..."]
    path = examples.find("quickstart")
    found = answer(load(path), load_cases(path))
    printed = iter(line.strip() for line in text(found.result, found.topology).splitlines())
    for line in lines:  # in this order, with others between
        assert line in printed, line


def test_exploring_the_quick_start_prints_what_the_readme_shows() -> None:
    shown = README.partition("## Every crash of one checkpoint")[2].partition("\n## ")[0]
    lines = [line.strip() for line in shown.splitlines() if line.startswith("    ") and "hwsim " not in line]
    found = explore(load(examples.find("quickstart")), budget=1, jobs=1, reproduce=False)
    printed = exploration.text(found.result).splitlines()
    assert len(lines) == 4
    assert all(line in printed for line in lines), printed


def test_trying_mutations_prints_what_the_readme_shows() -> None:
    section = README.partition("## Would a mistake be noticed?")[2].partition("\n## ")[0]
    shown = section.partition("It prints:\n\n")[2].partition("\nA mutation that lacks")[0]
    topology = load(examples.find("cheap-drives"))
    tried = [one.to_json() for one in mutants(topology)]
    printed = exploration.mutations(topology.name, topology.protocol.kind, tried)
    assert printed.startswith(textwrap.dedent(shown).strip()), printed


def test_comparing_protocols_prints_what_the_readme_shows() -> None:
    section = README.partition("## Which commit protocol?")[2].partition("\n## ")[0]
    command, _, rest = section.partition("    hwsim compare ")[2].partition("\n")
    shown = rest.partition("It prints:\n\n")[2].partition("\nA protocol takes over")[0]
    name, protocols = command.split(" --protocols ")
    found = compare(examples.find(name), protocols=protocols.split(",")).result
    printed = side_by_side.text(found)
    assert textwrap.dedent(shown).strip() in printed, printed


def test_every_topology_that_ships_is_named_once() -> None:
    table = README.partition("The topologies that come with it")[2].partition("\n## ")[0]
    named = re.findall(r"^\| `([a-z0-9-]+)` \|", table, re.MULTILINE)
    assert sorted(named) == sorted(path.stem for path in (Path(__file__).parent.parent / "topologies").glob("*.yaml"))


def test_the_study_that_is_shown_loads(tmp_path: Path) -> None:
    shown = next(
        block for block in re.findall(r"^```yaml\n(.*?)^```", README, re.MULTILINE | re.DOTALL) if "study:" in block
    )
    path = tmp_path / "study.yaml"
    path.write_text(shown)
    assert len(load_study(path).points) == 27


def test_every_study_that_ships_is_named() -> None:
    for name in examples.study_names():
        assert f"\n- `{name}`: " in README

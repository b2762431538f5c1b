"""Ends of a link under Icarus: to the cycle as under Verilator, all of them in one process, which goes with its run."""

from __future__ import annotations

import functools
import os
import re
import select
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest
from test_bilateral_links import LINK, PLAIN, written
from test_bilateral_rtl import CLOCK, RING, lacks

from hwsim.bilateral import cosimulated
from hwsim.bilateral.cosimulated import conservative
from hwsim.cli import status_of
from hwsim.errors import EnvironmentFailure, ToolMissing
from hwsim.simulation import Simulation, simulate
from hwsim.studies.sweeps.loading import load as load_study
from hwsim.studies.sweeps.runner import sweep
from hwsim.topology import check, load
from hwsim.trace import Trace


def icarus_lacks() -> str | None:
    try:
        cosimulated.require()
    except ToolMissing as error:
        return str(error)
    return None


needs_icarus = pytest.mark.skipif(icarus_lacks() is not None, reason=icarus_lacks() or "")
needs_both = pytest.mark.skipif(bool(icarus_lacks() or lacks()), reason=icarus_lacks() or lacks() or "")

SENT = 64  # what is told of a frame, and of nothing else
IN_ICARUS = PLAIN.replace("kind: bilateral", "kind: bilateral, model: rtl, simulator: icarus")
# What makes trouble: frames that do not arrive, arrive twice or spoilt, and are of any length; power and resets that
# strike in any cycle, some of them so short that the clock ticks but once; a link that is cut.
STORM = """\
version: 1
horizon: {horizon}
seed: {seed}
devices: {{cell: {{kind: nic, count: {count}, nv: {{write: {write}, word: 128B}}, reset_time: {reset}}}}}
links:
  - {{from: "cell*", spread: line, kind: bilateral, model: rtl, simulator: {simulator}, rate: 10Gb/s, delay: {delay},
     rx_depth: {depth}, beacon: 5us, retransmit: 3us, {faults}}}
workload: {{kind: transfers, rounds: 300, offer: both, tokens: 3, reject: 0.1, busy: 0.1, cancel: 0.1, {habits}}}
faults:
  - {{kind: power_loss, target: "cell*", mtbf: 20us, restore_after: {dark}}}
  - {{kind: nic_reset, target: "cell*", mtbf: 30us}}
  - {{kind: link_down, target: "cell0--cell1", mtbf: 50us, restore_after: 3us}}
"""
SPOILT = "loss: 0.1, duplicate: 0.05, flip: 0.05, garbage: 0.1, replay: 0.05, extend: 0.1, truncate: 0.05, jitter: 1us"
STORMS: Mapping[str, Mapping[str, Any]] = {
    "spoilt": {"faults": SPOILT, "delay": "1us", "dark": "5us", "habits": "answer: swap, consume: 500ns"},
    "short": {"delay": "64ns", "dark": "3ns", "reset": "1ns", "write": "64ns", "count": 3, "horizon": "40us"},
    "lock-step": {"delay": "0ns", "dark": "6400ps", "reset": "6400ps", "write": "10ns", "habits": "pause: 1us"},
    "waiting": {"depth": 2, "write": "1us", "delay": "640ns", "faults": "loss: 0.1, duplicate: 0.1, replay: 0.1"},
    "long frames": {
        "faults": "script: [{nth: 2, do: extend, octets: 300}, {nth: 3, do: garbage, octets: 9000}, "
        "{nth: 4, do: garbage, octets: 6}, {nth: 5, way: reverse, do: duplicate}]",
    },
}  # fmt: skip
USUAL = {
    "horizon": "60us", "count": 2, "write": "200ns", "reset": "2us", "delay": "1us", "faults": "loss: 0.1",
    "habits": "consume: 64ns", "dark": "5us", "depth": 0,
}  # fmt: skip


def storm(tmp_path: Path, simulator: str, seed: int, name: str) -> Trace:
    text = STORM.format(**{**USUAL, **STORMS[name], "simulator": simulator, "seed": seed})
    return simulate(load(written(tmp_path, text)))


@needs_both
@pytest.mark.parametrize("name", STORMS)
def test_a_storm_comes_out_as_under_verilator_row_by_row(name: str, tmp_path: Path) -> None:
    one, other = (storm(tmp_path, simulator, 1, name) for simulator in ("verilator", "icarus"))
    assert one.rows == other.rows
    assert one.figures == other.figures
    assert len(one.rows) > 30


@pytest.mark.long
@needs_both
@pytest.mark.parametrize("name", STORMS)
def test_a_hundred_storms_come_out_as_under_verilator(name: str, tmp_path: Path) -> None:
    for seed in range(100, 125):
        one, other = (storm(tmp_path, simulator, seed, name) for simulator in ("verilator", "icarus"))
        assert one.rows == other.rows, seed
        assert one.figures == other.figures, seed


@needs_both
def test_a_ring_comes_out_as_under_verilator_and_its_captures_too(tmp_path: Path) -> None:
    frames: dict[str, list[Any]] = {}

    def ran(simulator: str) -> Trace:
        seen = frames.setdefault(simulator, [])

        def observe(interface: str, time_ps: int, octets: bytes, *, inbound: bool, note: str) -> None:
            seen.append((interface, time_ps, octets, inbound, note))

        return simulate(load(RING, ["horizon=60us", f"links.0.simulator={simulator}"]), observe=observe)

    one, other = ran("verilator"), ran("icarus")
    assert one.rows == other.rows
    assert one.figures == other.figures
    assert frames["verilator"] == frames["icarus"]
    assert len(frames["icarus"]) > 100


@needs_icarus
@pytest.mark.parametrize("delay", ["1us", "0ns"])
def test_frames_alone_stop_nobody_for_one_delay_of_their_link(
    delay: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = cosimulated.Simulator.request
    beyond: list[int] = []  # cycles that all of them went on when a frame had been sent

    def request(self: cosimulated.Simulator, *what: Any) -> Any:
        answer = original(self, *what)
        if what[:1] == ("advance",):
            beyond.extend(answer[0] - told.cycle - 1 for _, told in answer[1] if told.what == SENT)
        return answer

    monkeypatch.setattr(cosimulated.Simulator, "request", request)
    simulate(load(written(tmp_path, IN_ICARUS), ["horizon=20us", f"links.0.delay={delay}"]))
    assert len(beyond) > 5
    if delay == "1us":
        assert 10 < max(beyond) <= 1_000_000 // CLOCK
    else:
        assert set(beyond) == {0}


@needs_icarus
def test_skipping_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def ran() -> tuple[Any, ...]:
        simulation = Simulation(load(written(tmp_path, IN_ICARUS), ["horizon=70us", "workload.rounds=3"]))
        trace = simulation.run()
        ends = [end for link in simulation.building.bilateral.values() for end in link.endpoints.values()]
        cycles = [end.cycles for end in ends]  # type: ignore[attr-defined]
        return trace.rows, trace.figures, sum(run for run, _ in cycles), sum(skipped for _, skipped in cycles)

    skipped = ran()
    monkeypatch.setattr(conservative, "CoSimulated", functools.partial(conservative.CoSimulated, skips=False))
    every_cycle = ran()
    assert skipped[:2] == every_cycle[:2]
    assert skipped[2] + skipped[3] == every_cycle[2]
    assert skipped[3] > 3 * skipped[2] > 0 == every_cycle[3]


@needs_both
def test_in_the_middle_of_each_cycle_every_signal_is_as_under_verilator(tmp_path: Path) -> None:
    waves = {}
    for simulator in ("verilator", "icarus"):
        folder = tmp_path / simulator
        folder.mkdir()
        changes = ["horizon=20us", "workload.rounds=5", f"links.0.simulator={simulator}"]
        simulate(load(written(tmp_path, IN_ICARUS), changes), waves=lambda name, folder=folder: folder / f"{name}.vcd")
        assert sorted(path.name for path in folder.iterdir()) == ["wire@cell0.vcd", "wire@cell1.vcd"]
        waves[simulator] = {path.stem: dict(signals(path)) for path in folder.iterdir()}
    for end, theirs in waves["verilator"].items():
        mine = waves["icarus"][end]
        common = {name for name in theirs if name in mine and not re.search(r"clk_i$|left_.$|count_q$", name)}
        assert len(common) > 600
        assert {name for name in common if theirs[name] != mine[name]} == set()
        rounds = [int(value, 2) >> 516 & ((1 << 48) - 1) for _, value in mine["register_o"]]
        assert max(rounds) >= 3


def signals(path: Path) -> Iterator[tuple[str, list[tuple[int, str]]]]:
    """Every signal and what it is in the middle of cycles, from the third on, where that is new."""
    scopes: list[str] = []
    names: dict[str, list[str]] = {}
    values: dict[str, dict[int, str]] = {}
    cycle = 0
    for line in path.read_text().splitlines():
        match line.split():
            case ["$scope", _, called, "$end"]:
                scopes.append(called)
            case ["$upscope", "$end"]:
                scopes.pop()
            case ["$var", _, _, code, called, *_]:
                within = [scope for scope in scopes[scopes.index("link") + 1 :] if scope != "blp_link_top"]
                names.setdefault(code, []).append(".".join([*within, called]))
            case [word] if word.startswith("#"):
                cycle = (int(word[1:]) + 3199) // 6400
            case [value, code] if value[0] == "b":
                values.setdefault(code, {})[cycle] = value[1:].lstrip("0") or "0"
            case [word] if word[0] in "01xz":
                values.setdefault(word[1:], {})[cycle] = word[0]
    for code, changes in values.items():
        new: list[tuple[int, str]] = []
        for at, value in sorted(changes.items()):
            if not new or new[-1][1] != value:
                new.append((at, value))
        for name in names.get(code, ()):
            yield name, [change for change in new if change[0] > 2]


@needs_both
def test_a_tree_whose_links_are_under_icarus_converges_as_under_verilator(tmp_path: Path) -> None:
    text = (RING.parent / "tree-convergence.yaml").read_text().replace("beacon: 1h", "beacon: 20s").split("cases:")[0]
    text = text.replace("kind: bilateral", "kind: bilateral, model: rtl")
    path = written(tmp_path, text)
    one, other = (
        simulate(load(path, ["horizon=20s", *(f"links.{link}.simulator={simulator}" for link in range(3))]))
        for simulator in ("verilator", "icarus")
    )
    assert one.rows == other.rows
    assert sum(row[1] == "epoch_committed" for row in one.rows) > 1


@needs_both
def test_a_study_may_ask_both_simulators(tmp_path: Path) -> None:
    written(tmp_path, IN_ICARUS.replace("horizon: 2ms", "horizon: 20us"))
    study = tmp_path / "study.yaml"
    study.write_text(
        "version: 1\nstudy: both\nquestion: Are they the same?\ntopology: t.yaml\n"
        "grid: {links.0.simulator: [verilator, icarus]}\nrecord: [links.wire.sent, links.wire.rounds_settled]\n"
    )
    one, other = sweep(load_study(study), tmp_path / "o", jobs=2).rows
    assert one[3:] == other[3:]
    assert one[3] > 0


# what is missing, what is wrong, and what goes away


@pytest.mark.parametrize(
    "missing, said", [("vvp", "apt-get install iverilog"), ("cocotb_tools", "pip install 'hwsim[rtl]'")]
)
def test_what_is_missing_is_named(
    missing: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(cosimulated.shutil, "which", lambda name: None if name == missing else name)
    monkeypatch.setattr(cosimulated, "find_spec", lambda name: None if name == missing else name)
    path = written(tmp_path, IN_ICARUS)
    assert status_of(["run", str(path), "--out", str(tmp_path / "o")]) == 3
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert not (tmp_path / "o").exists()
    assert status_of(["check", str(path)]) == 0


def test_links_of_one_process_have_one_clock(tmp_path: Path) -> None:
    second = f"  - {{name: other, from: cell0, to: cell1, {LINK}, model: rtl, simulator: icarus, clock: 3200ps}}\n"
    path = written(tmp_path, IN_ICARUS.replace("workload:", second + "workload:"))
    (mistake,) = check([path])
    assert "share one clock" in str(mistake)
    path.write_text(path.read_text().replace("simulator: icarus, clock", "simulator: verilator, clock"))
    assert check([path]) == []


def test_explore_says_that_it_cannot_copy_icarus(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = (RING.parent / "tree-convergence.yaml").read_text().replace("beacon: 1h", "beacon: 20s").split("cases:")[0]
    text = text.replace("kind: bilateral", "kind: bilateral, model: rtl, simulator: icarus")
    assert status_of(["explore", str(written(tmp_path, text)), "--out", str(tmp_path / "o")]) == 2
    assert "simulator: verilator" in capsys.readouterr().err


@needs_icarus
def test_a_simulator_that_dies_is_one_message_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    original, asked = cosimulated.Simulator.request, []

    def request(self: cosimulated.Simulator, *what: Any) -> Any:
        asked.append(self._process)
        if len(asked) == 20:
            self._process.kill()
        return original(self, *what)

    monkeypatch.setattr(cosimulated.Simulator, "request", request)
    out = tmp_path / "o"
    assert status_of(["run", str(written(tmp_path, IN_ICARUS)), "--waves", "--out", str(out)]) == 4
    error = capsys.readouterr().err
    assert "Icarus was ended by signal 9 in the middle of the run" in error
    assert len(error.strip().splitlines()) == 1
    assert not out.exists()
    assert asked[0].returncode == -signal.SIGKILL


@needs_icarus
def test_what_icarus_says_as_it_fails_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(Path(cosimulated.__file__).parent, tmp_path / "cosimulated")
    (tmp_path / "cosimulated" / "cosim.v").write_text("module cosim;\n  nonsense\nendmodule\n")
    monkeypatch.setattr(cosimulated, "__file__", str(tmp_path / "cosimulated" / "__init__.py"))
    with pytest.raises(EnvironmentFailure, match=r"could not compile .*cosim\.v:"):
        simulate(load(written(tmp_path, IN_ICARUS)))


@needs_icarus
@pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="no /proc to find processes in")
@pytest.mark.parametrize("how, status", [(signal.SIGINT, 130), (signal.SIGKILL, -9), (signal.SIGTERM, -15)])
def test_icarus_goes_with_a_run_that_is_stopped(how: signal.Signals, status: int, tmp_path: Path) -> None:
    path, mark = written(tmp_path, IN_ICARUS.replace("rounds: 50", "rounds: 100000")), f"MARK_{tmp_path.name}"
    command = [sys.executable, "-m", "hwsim", "run", str(path), "--set", "horizon=10ms", "--out", str(tmp_path / "o")]
    environment = {**os.environ, "PATH": f"{telling_vvp(tmp_path)}{os.pathsep}{os.environ['PATH']}", mark: "1"}
    begun = os.open(tmp_path / "begun", os.O_RDONLY | os.O_NONBLOCK)
    with subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True) as run:
        assert select.select([begun], [], [], 60)[0], "Icarus never begins"
        icarus = os.pidfd_open(int(os.read(begun, 100)))
        run.send_signal(how)
        said = run.communicate(timeout=60)[1]
    assert run.returncode == status
    assert "Traceback" not in said
    assert not (tmp_path / "o").exists() or how is not signal.SIGINT
    assert select.select([icarus], [], [], 60)[0], "Icarus goes on"
    os.close(icarus)
    os.close(begun)
    assert not marked(mark)


def telling_vvp(folder: Path) -> Path:
    """A folder with a vvp that tells its process's number through the pipe `begun`, before it is what it stands for."""
    os.mkfifo(folder / "begun")
    told = folder / "bin"
    told.mkdir()
    (told / "vvp").write_text(f'#!/bin/sh\necho $$ > "{folder}/begun"\nexec "{shutil.which("vvp")}" "$@"\n')
    (told / "vvp").chmod(0o755)
    return told


def marked(mark: str) -> list[str]:
    """The names of processes that have *mark* in their environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if mark.encode() in (process / "environ").read_bytes():
                found.append((process / "comm").read_text())
        except OSError:
            pass  # gone meanwhile, or somebody else's
    return found

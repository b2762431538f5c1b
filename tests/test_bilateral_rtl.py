"""Ends of a link in Verilog inside a run: as the model's, exact, and plain about what is missing."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from bilateral_bench import US, Bench
from test_bilateral_links import LINK, PLAIN, written

from hwsim import answers
from hwsim.bilateral import verilated
from hwsim.bilateral.endpoint import Application, Endpoint
from hwsim.bilateral.judged import judge
from hwsim.bilateral.verilated import optimistic
from hwsim.cli import status_of
from hwsim.errors import ToolMissing
from hwsim.report import links
from hwsim.simulation import Simulation, simulate
from hwsim.topology import check, load
from hwsim.trace import Trace

ROOT = Path(__file__).parent.parent
RING = ROOT / "topologies" / "rtl-ring.yaml"
CLOCK = 6400
# From an offer's register to its frame at the peer's table, beyond wire and delay: see "The RTL in the loop".
CROSSING, RETRY = 30, 4


def lacks() -> str | None:
    try:
        verilated.require()
    except ToolMissing as error:
        return str(error)
    return None


needs_verilator = pytest.mark.skipif(lacks() is not None, reason=lacks() or "")


def in_verilog(text: str) -> str:
    return text.replace("kind: bilateral", "kind: bilateral, model: rtl")


def both(tmp_path: Path, text: str, *changes: str, rx_depth: int = 0) -> tuple[Trace, Trace]:
    """The model's trace, and the Verilog's, where so many frames wait for the end of a write."""
    plain = simulate(load(written(tmp_path, text), list(changes)))
    waits = f"links.0.rx_depth={rx_depth}"
    return plain, simulate(load(written(tmp_path, in_verilog(text)), [*changes, waits]))


def writes(trace: Trace, end: str) -> list[tuple[Any, ...]]:
    """What each write of an end left in its register, identities apart."""
    rows = [row for row in trace.rows if row[1] == "register_written" and row[2] == end]
    return [(row[5], row[6], row[10].partition(" nvid=")[0]) for row in rows]


def outcomes(trace: Trace, end: str) -> list[str]:
    """The rounds that an end has ended, in order: how, and what they brought."""
    told, last = [], -1
    for row in trace.rows:
        if row[1] == "register_written" and row[2] == end:
            said = dict(pair.split("=") for pair in row[10].split())
            if int(said["round"]) > last >= 0:
                told.append(f"{said['round']} {said['phase']} {row[6]} {said['inbox']} {said['word']}")
            last = int(said["round"])
    return told


@needs_verilator
def test_the_ring_comes_out_as_told() -> None:
    found = answers.answer(load(RING, ["horizon=12ms"]))
    assert found.is_well, [line for line in found.result["expect"] if not line["holds"]]
    assert all(verdict["value"] == "holds" for verdict in found.result["verdicts"].values())
    for link in links.of(found.result).values():
        assert link["rounds_settled"] == 300
        assert link["agrees_at_the_end"] == 1
        assert link["frames_checked"] == link["frames_agreed"] > 0
        assert link["crashes"] > 10


@needs_verilator
@pytest.mark.parametrize("changes", [[], ["links.0.rx_depth=4", "devices.cell.nv.write=5us"]], ids=["plain", "waiting"])
def test_equal_seeds_give_equal_traces_and_skipping_changes_nothing(
    changes: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def ran() -> tuple[Any, ...]:
        simulation = Simulation(load(RING, ["horizon=300us", *changes]))
        trace = simulation.run()
        ends = [end for link in simulation.building.bilateral.values() for end in link.endpoints.values()]
        return trace.digest(), trace.figures, sum(end.cycles[1] for end in ends)  # type: ignore[attr-defined]

    one, same = ran(), ran()
    assert one == same
    monkeypatch.setattr(optimistic, "Verilated", functools.partial(optimistic.Verilated, skips=False))
    every_cycle = ran()
    assert one[:2] == every_cycle[:2]
    assert one[2] > 0 == every_cycle[2]


@needs_verilator
@pytest.mark.parametrize("offer, depth", [("a", 0), ("both", 0), ("a", 1), ("both", 4)])
def test_an_exchange_takes_the_cycles_of_two_crossings_more(offer: str, depth: int, tmp_path: Path) -> None:
    text = PLAIN.replace("rounds: 50", f"rounds: 50, offer: {offer}, tokens: 2, reject: 0.2, busy: 0.1")
    model, verilog = both(tmp_path, text, rx_depth=depth)
    for end in ("wire@cell0", "wire@cell1"):
        assert writes(model, end) == writes(verilog, end)
    theirs, mine = judge(model)["wire"], judge(verilog)["wire"]
    assert len(mine.exchanges) == len(theirs.exchanges) >= 50
    for slow, fast in zip(mine.exchanges, theirs.exchanges, strict=True):
        again = slow // (20 * US)
        assert 0 < slow - fast <= (2 * CROSSING + RETRY * again) * CLOCK


@needs_verilator
@pytest.mark.parametrize("depth", [0, 1, 4])
def test_the_same_losses_lead_to_the_same_commits(depth: int, tmp_path: Path) -> None:
    text = PLAIN.replace(LINK, LINK + ", loss: 0.1").replace("50}", "50, offer: a, tokens: 2, reject: 0.1, busy: 0.1}")
    model, verilog = both(tmp_path, text, "horizon=10ms", rx_depth=depth)
    for end in ("wire@cell0", "wire@cell1"):
        assert writes(model, end) == writes(verilog, end)
    theirs, mine = judge(model)["wire"], judge(verilog)["wire"]
    assert mine.settled == 50
    assert max(mine.exchanges) > 20 * US  # some frame was lost
    for slow, fast in zip(mine.exchanges, theirs.exchanges, strict=True):
        assert abs(slow - fast) <= (2 * CROSSING + RETRY * (slow // (20 * US))) * CLOCK


@needs_verilator
@pytest.mark.parametrize("seed, depth", [(1, 0), (2, 0), (3, 0), (1, 1), (2, 4)])
def test_the_same_crashes_and_losses_lead_to_the_same_commits(seed: int, depth: int, tmp_path: Path) -> None:
    crashes = "\n  - {name: outage, kind: power_loss, target: 'cell*', mtbf: 100us, restore_after: 5us}"
    text = PLAIN.replace(LINK, LINK + ", loss: 0.1").replace("50}", f"50, offer: a, tokens: 2}}\nfaults:{crashes}")
    model, verilog = both(tmp_path, text, "horizon=20ms", f"seed={seed}", rx_depth=depth)
    for end in ("wire@cell0", "wire@cell1"):
        assert outcomes(model, end) == outcomes(verilog, end)
    for trace in (model, verilog):
        judged = judge(trace)["wire"]
        assert judged.settled == judged.committed == 50
        assert not judged.violations
        assert sum(row[1] == "stopped" for row in trace.rows) > 5


@needs_verilator
def test_frames_wait_for_the_end_of_a_write_or_are_dropped_and_said_again(tmp_path: Path) -> None:
    """Both ends offer at once and write for much longer than a frame is on its way."""
    text = in_verilog(PLAIN).replace("rounds: 50", "rounds: 50, offer: both").replace("write: 1us", "write: 10us")
    found = {}
    for depth, retransmit in ((0, "20us"), (1, "20us"), (1, "2us"), (4, "2us")):
        changes = [f"links.0.rx_depth={depth}", f"links.0.retransmit={retransmit}", "links.0.loss=0.1", "horizon=10ms"]
        told = answers.answer(load(written(tmp_path, text), changes))
        assert all(verdict["value"] == "holds" for verdict in told.result["verdicts"].values())
        found[depth, retransmit] = told.result["links"]["wire"]
        assert found[depth, retransmit]["rounds_settled"] == 50
    dropped = {key: link["dropped"] for key, link in found.items()}
    assert [drops.get("writing", 0) > 0 for drops in dropped.values()] == [True, False, False, False]
    assert "missed" not in dropped[0, "20us"]
    assert dropped[1, "2us"]["missed"] > dropped[4, "2us"].get("missed", 0)  # where newer frames took their place
    assert found[1, "20us"]["closing_latency_s"]["mean"] < 0.8 * found[0, "20us"]["closing_latency_s"]["mean"]


@needs_verilator
def test_a_tree_converges_over_verilog_as_over_the_model(tmp_path: Path) -> None:
    text = (ROOT / "topologies" / "tree-convergence.yaml").read_text()
    assert text.count("beacon: 1h") == 3
    text = text.replace("beacon: 1h", "beacon: 20s").split("cases:")[0]
    found = [answers.answer(load(written(tmp_path, each))) for each in (text, in_verilog(text))]
    assert all(one.is_well for one in found)
    model, verilog = (
        [(row[2], row[6]) for row in one.traces[0].rows if row[1] == "epoch_committed"] for one in found
    )
    assert model == verilog


class Offering(Application):
    """Offers a token as soon as it can."""

    def ready(self, endpoint: Endpoint) -> None:
        if endpoint.name.startswith("l0@c0"):
            endpoint.offer(b"token")


@needs_verilator
def test_a_write_takes_what_the_models_takes_and_power_may_go_in_each_of_its_cycles() -> None:
    def begun() -> Bench:
        return Bench(model="rtl", nv={"write": "150ns", "word": "128B"}).start(Offering())

    bench = begun()
    bench.run(500)
    offered = next(row for row in bench.rows if row[1] == "register_written" and row[4 + 1] == "offer")
    found = set()
    for cycle in range(-30, 4):
        bench = begun()
        bench.env.run(until=offered[0] + cycle * CLOCK + 1)
        bench.crash(0)
        end = bench.a
        found.add((cycle, end.register.phase.name, end.register.slot))
        bench.settle(500)
        judged = bench.judged()["l0"]
        assert not judged.violations
        assert judged.committed >= 1
        bench.link.close()
    bound = [cycle for cycle, phase, slot in sorted(found) if (phase, slot) == ("OFFER", b"token")]
    free = [cycle for cycle, phase, slot in sorted(found) if (phase, slot) == ("RETURNED", None)]
    assert len(bound) + len(free) == 34  # old or new, never a mix
    assert max(free) <= min(bound)
    assert min(bound) in (-2, -1, 0)


@needs_verilator
def test_waves_tell_what_the_trace_tells_and_change_nothing(tmp_path: Path) -> None:
    path = written(tmp_path, in_verilog(PLAIN).replace("rounds: 50", "rounds: 5"))
    plain = simulate(load(path, ["horizon=60us"]))
    waved = simulate(load(path, ["horizon=60us"]), waves=lambda name: tmp_path / f"{name}.vcd")
    assert plain.digest() == waved.digest()
    for end in ("wire@cell0", "wire@cell1"):
        changes = dict(read_vcd(tmp_path / f"{end}.vcd", "link", "register_o"))
        noted = [row[0] for row in waved.rows if row[1] == "register_written" and row[2] == end and row[0]]
        assert sorted(changes)[-len(noted) :] == noted
        rounds = [value >> 516 & ((1 << 48) - 1) for value in changes.values()]
        assert rounds[-1] == 5


def read_vcd(path: Path, scope: str, name: str) -> Iterator[tuple[int, int]]:
    """The times (ps) at which a signal of a scope changed, and to what: IEEE Std 1364-2005, clause 18."""
    scopes: list[str] = []
    code, now = "", 0
    with path.open() as lines:
        for line in lines:
            words = line.split()
            match words:
                case ["$timescale", unit, "$end"]:
                    assert unit == "1ps"
                case ["$scope", _, called, "$end"]:
                    scopes.append(called)
                case ["$upscope", "$end"]:
                    scopes.pop()
                case ["$var", _, _, found, called, *_] if scopes == [scope] and called == name:
                    code = found
                case [word] if word.startswith("#"):
                    now = int(word[1:])
                case [value, found] if found == code and value.startswith("b"):
                    yield now, int(value[1:], 2)


@needs_verilator
def test_a_run_writes_captures_and_waves_and_the_next_one_takes_them_away(tmp_path: Path) -> None:
    path = str(written(tmp_path, in_verilog(PLAIN).replace("rounds: 50", "rounds: 5")))
    run = ["run", path, "--set", "horizon=40us", "--out", str(tmp_path / "o")]
    assert status_of([*run, "--waves", "--pcapng"]) == 0
    names = {file.name for file in (tmp_path / "o").iterdir()}
    assert {f"wire@cell{n}.{kind}" for n in (0, 1) for kind in ("vcd", "pcapng")} <= names
    assert status_of(run) == 0
    assert not list((tmp_path / "o").glob("*.vcd"))


def test_waves_need_verilog(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert status_of(["run", str(written(tmp_path, PLAIN)), "--out", str(tmp_path / "o"), "--waves"]) == 2
    assert "no link of model: rtl" in capsys.readouterr().err


@pytest.mark.parametrize(
    "missing, said", [("wheel", "pip install 'hwsim[rtl]'"), ("compiler", "apt-get install g++")]
)
def test_what_is_missing_is_named_and_all_else_works(
    missing: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    here: Callable[[], Any] = lambda: tmp_path  # noqa: E731
    for tool in ("wheel", "compiler"):
        monkeypatch.setattr(verilated, tool, (lambda: None) if tool == missing else here)
    assert status_of(["run", str(RING), "--out", str(tmp_path / "o")]) == 3
    error = capsys.readouterr().err
    assert said in error
    assert "Traceback" not in error
    assert not (tmp_path / "o").exists()
    assert status_of(["check", str(RING)]) == 0
    assert status_of(["run", str(written(tmp_path, PLAIN)), "--out", str(tmp_path / "o")]) == 0


@pytest.mark.parametrize(
    "old, new, said",
    [
        ("rate: 10Gb/s", "model: rtl, rate: 25Gb/s", "shorter clock"),
        ("rate: 10Gb/s", "rate: 10Gb/s, rx_depth: 1", "write model: rtl, or leave rx_depth out"),
        ("rate: 10Gb/s", "model: rtl, rate: 10Gb/s, rx_depth: -1", "-1 must be at least 0"),
        ("rate: 10Gb/s", "model: rtl, rate: 10Gb/s, rx_depth: 5000", "5000 must be at most 1024"),
        ("kind: bilateral, rate: 10Gb/s, delay: 1us, beacon: 50us",
         "kind: bilateral, model: rtl, rate: 10Gb/s, delay: 1us, beacon: 1min", "at most 27s"),
        ("nv: {write: 1us, ", "nv: {write: 1min, ", "less than 13s"),
        ("nv: {write: 1us, ", "nv: {write: 1us, endurance: 1e6, ", "model: model"),
        ("nv: {write: 1us, ", "nv: {write: 1us, hold_up: 1us, ", "model: model"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, old: str, new: str, said: str) -> None:
    text = PLAIN.replace(old, new)
    mistakes = check([written(tmp_path, in_verilog(text) if "nv:" in new else text)])
    assert len(mistakes) == 1, mistakes
    assert said in str(mistakes[0])

"""Sweeps: each run once whatever kills them, the same rows in whatever order, and one message for whatever is wrong."""

from __future__ import annotations

import errno
import json
import os
import pty
import random
import re
import select
import signal
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import duckdb
import pytest
from tiny import TINY

from hwsim import cli
from hwsim.errors import EnvironmentFailure, Interrupted, UserError
from hwsim.studies.sweeps import ledger as ledgers
from hwsim.studies.sweeps import runner
from hwsim.studies.sweeps.loading import load
from hwsim.studies.sweeps.runner import Swept, next_aims, sweep
from hwsim.studies.sweeps.runs import Setting, seed_of
from hwsim.studies.sweeps.spec import Study

WITH_CASES = (
    TINY + 'expect: {raw.mixed_share: "> 0"}\n'
    'cases: {long: {set: {workload.interval: 3s}, expect: {raw.mixed_share: "> 0"}}}\n'
)
STUDY = """\
version: 1
study: mixtures
question: Do more domains make more mixtures?
topology: tiny.yaml
grid:
  devices.d.count: {range: [2, 6], step: 1}
  workload.interval: [1s, 2s]
where: ["not (devices.d.count == 6 and workload.interval == 2s)"]
repeats: 12
record: [raw.mixed_share, checkpoints.commit_latency_s.mean, checkpoints.bound_by]
plot: {x: devices.d.count, y: raw.mixed_share, by: workload.interval}
pareto: [raw.mixed_share, checkpoints.commit_latency_s.mean]
answer: {kind: comparison, between: workload.interval, within: devices.d.count}
"""
RUNS = 9 * 12


@pytest.fixture
def study_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Write the study, its lines changed, beside its topology, in a folder that is then the working one."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "tiny.yaml").write_text(WITH_CASES)

    def write(**changes: str) -> Path:
        text = STUDY
        for key, value in changes.items():
            text, count = re.subn(rf"^{key}: .*$", f"{key}: {value}", text, flags=re.MULTILINE)
            if not count:
                text += f"{key}: {value}\n"
        path = tmp_path / "study.yaml"
        path.write_text(text)
        return path

    return write


@pytest.fixture
def study(study_file: Callable[..., Path]) -> Study:
    return load(study_file())


@pytest.fixture
def undisturbed(study: Study, tmp_path: Path) -> Swept:
    return sweep(study, tmp_path / "undisturbed")


def queried(query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect() as database:
        return database.execute(query).fetchall()


def same_rows(found: Swept, wanted: Swept) -> bool:
    """Also to the byte, as a reader of the files would see it."""
    files = [(swept.folder / ledgers.ROWS).read_bytes() for swept in (found, wanted)]
    return found.rows == wanted.rows and files[0] == files[1]


# The rows


def test_a_sweep_gives_every_run_once_in_order(undisturbed: Swept, study: Study) -> None:
    assert undisturbed.is_complete
    keys = [row[:2] for row in undisturbed.rows]
    assert keys == [(point, repeat) for point in range(9) for repeat in range(12)]
    assert len({row[2] for row in undisturbed.rows}) == RUNS  # seeds of their own
    columns = queried(f"DESCRIBE FROM '{undisturbed.folder / ledgers.ROWS}'")
    assert [(name, kind) for name, kind, *_ in columns] == [
        ("point", "INTEGER"), ("repeat", "INTEGER"), ("seed", "BIGINT"), ("devices.d.count", "DOUBLE"),
        ("workload.interval", "VARCHAR"), ("workload.interval_s", "DOUBLE"), ("raw.mixed_share", "DOUBLE"),
        ("checkpoints.commit_latency_s.mean", "DOUBLE"), ("checkpoints.bound_by", "VARCHAR"),
    ]  # fmt: skip
    assert not (undisturbed.folder / "report.html").exists()  # never a report a run


def test_a_row_is_what_hwsim_run_says_with_these_changes_and_this_seed(undisturbed: Swept, study: Study) -> None:
    from hwsim.answers import run

    row = undisturbed.rows[37]
    changes = [f"{key}={value}" for key, value in study.points[row[0]].values.items()]
    result = run("tiny.yaml", changes=changes, seed=row[2])
    assert row[3:5] == (result["raw"]["mixed_share"], result["checkpoints"]["commit_latency_s"]["mean"])


def test_workers_in_any_number_give_the_same_rows(study: Study, undisturbed: Swept, tmp_path: Path) -> None:
    assert same_rows(sweep(study, tmp_path / "two", jobs=2), undisturbed)


def test_the_seed_of_a_run_is_its_points_own_wherever_the_point_stands(
    study: Study, study_file: Callable[..., Path]
) -> None:
    setting = Setting("", "", 3, "own", ())
    larger = load(study_file(where="[]"))
    values = {point.name: point for point in larger.points}
    for point in study.points:
        assert seed_of(setting, point, 4) == seed_of(setting, values[point.name], 4)
    assert seed_of(setting, study.points[0], 4) != seed_of(setting, study.points[1], 4)
    common = Setting("", "", 3, "common", ())
    assert seed_of(common, study.points[0], 4) == seed_of(common, study.points[1], 4)
    assert seed_of(common, study.points[0], 4) != seed_of(common, study.points[0], 5)


# Kills

KILLED = """
import os, signal, sys
from pathlib import Path
from hwsim.studies.sweeps import ledger, runner
from hwsim.studies.sweeps.loading import load

moment, count, jobs = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
runner._MOST_IN_BATCH = 7
seen = 0

def reached(here):
    global seen
    seen += here == moment
    if seen >= count:
        os.kill(os.getpid(), signal.SIGKILL)

sync, write = ledger._sync, ledger.Ledger._write

def watched_sync(path):
    if path.suffix == ".partial":
        reached("part written aside")
    sync(path)

def watched_write(self, path, *rest):
    write(self, path, *rest)
    reached("part in place" if path.parent.name == "parts" else "rows in place")

class Index:
    def __init__(self, index): self._index = index
    def __getattr__(self, name): return getattr(self._index, name)
    def executemany(self, *rest):
        self._index.executemany(*rest)
        reached("in the transaction")

made = ledger.Ledger.__init__
def watched(self, folder, study, index, database): made(self, folder, study, Index(index), database)

ledger._sync, ledger.Ledger._write, ledger.Ledger.__init__ = watched_sync, watched_write, watched
runner.sweep(load("study.yaml"), Path("killed"), jobs=jobs, on_batch=lambda _: reached("batch kept"))
"""


@pytest.mark.parametrize("jobs", [1, 2])
def test_a_sweep_killed_at_every_kind_of_moment_ends_with_each_run_once(
    study: Study, undisturbed: Swept, tmp_path: Path, jobs: int
) -> None:
    kept = 0
    moments = ["part written aside", "part in place", "in the transaction", "batch kept"]
    for moment in moments if jobs == 1 else moments[-1:]:
        done = subprocess.run([sys.executable, "-c", KILLED, moment, "3", str(jobs)], cwd=tmp_path)
        assert done.returncode == -signal.SIGKILL
        with ledgers.opened(tmp_path / "killed", study) as ledger:
            held = ledger.done()
            assert {row[:2] for row in ledger.rows()} == held
            assert len(held) == len(ledger.rows())
        assert kept < len(held) < RUNS  # it goes on where it was, and is not done
        kept = len(held)
    assert same_rows(sweep(study, tmp_path / "killed"), undisturbed)


def test_a_sweep_killed_as_it_ends_is_found_complete(study: Study, undisturbed: Swept, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-c", KILLED, "rows in place", "1", "1"], cwd=tmp_path)
    assert done.returncode == -signal.SIGKILL
    batches: list[int] = []
    assert same_rows(sweep(study, tmp_path / "killed", on_batch=batches.append), undisturbed)
    assert batches == []


class Terminal:
    """A sweep on a terminal, where it shows its progress."""

    def __init__(self, *arguments: str) -> None:
        self._ours, theirs = pty.openpty()
        self.process = subprocess.Popen(
            [sys.executable, "-m", "hwsim", "sweep", *arguments],
            stdout=theirs, stderr=theirs, env=os.environ | {"TERM": "xterm", "COLUMNS": "200"},
        )  # fmt: skip
        os.close(theirs)

    def progress(self) -> Iterator[tuple[int, int]]:
        """(done, of how many), as often as it is shown; ends with the process."""
        seen = ""
        while True:
            try:
                read = os.read(self._ours, 65536)
            except OSError:  # Linux's word for: the other end is closed
                return
            if not read:
                return
            seen = (seen + read.decode(errors="replace"))[-4096:]
            for match in re.finditer(r"([\d,]+) of ([\d,]+) runs", seen):
                yield int(match[1].replace(",", "")), int(match[2].replace(",", ""))

    def kill(self) -> None:
        """SIGKILL, and wait until its workers are gone too."""
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as children:
            watched = [os.pidfd_open(int(pid)) for pid in children.read().split()]
        self.process.kill()
        self.process.wait()
        os.close(self._ours)
        for child in watched:
            assert select.select([child], [], [], 60)[0], "a worker outlives the sweep"
            os.close(child)


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="only Linux tells when another process's child ends")
def test_a_real_kill_leaves_no_worker_and_nothing_is_lost(study: Study, undisturbed: Swept, tmp_path: Path) -> None:
    terminal = Terminal("study.yaml", "--jobs", "2", "--out", "killed")
    for done, of in terminal.progress():
        assert of == RUNS
        if done:
            break
    terminal.kill()
    with ledgers.opened(tmp_path / "killed", study) as ledger:
        assert ledger.done()
    assert same_rows(sweep(study, tmp_path / "killed"), undisturbed)


@pytest.mark.long
def test_two_thousand_runs_killed_three_times_at_random_end_as_if_undisturbed(
    study_file: Callable[..., Path], tmp_path: Path
) -> None:
    large = load(study_file(where="[]", repeats="200"))
    assert large.most_runs == 2000
    wanted = sweep(large, tmp_path / "undisturbed", jobs=2)
    chance = random.Random(7)
    for share in sorted(chance.random() * 0.9 for _ in range(3)):
        terminal = Terminal("study.yaml", "--jobs", "2", "--out", "killed")
        for done, of in terminal.progress():
            if done >= share * of:
                break
        terminal.kill()
    found = sweep(large, tmp_path / "killed", jobs=2)
    assert len({row[:2] for row in found.rows}) == len(found.rows) == 2000
    assert same_rows(found, wanted)


# Stops that are asked for


def test_a_budget_stops_it_and_the_same_command_goes_on(
    study: Study, undisturbed: Swept, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.status_of(["sweep", "study.yaml", "--budget", "0s", "--jobs", "1", "--out", "o"]) == 0
    out, err = capsys.readouterr()
    assert f"at least {RUNS} runs are left, and the same command goes on" in out
    assert err == ""
    assert json.loads(Path("o/study.json").read_text())["complete"] is False
    assert queried("SELECT count(*) FROM 'o/rows.parquet'") == [(0,)]
    assert cli.status_of(["sweep", "study.yaml", "--budget", "1h", "--jobs", "1", "--out", "o", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["complete"], told["runs"], told["left"]) == (True, RUNS, 0)
    assert Path("o/rows.parquet").read_bytes() == (undisturbed.folder / ledgers.ROWS).read_bytes()


def test_ctrl_c_keeps_what_is_finished(
    study: Study,
    undisturbed: Swept,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(runner, "_MOST_IN_BATCH", 7)

    def interrupt(done: int) -> None:
        if done > 20:
            raise KeyboardInterrupt

    with pytest.raises(Interrupted, match="the same command goes on"):
        sweep(study, tmp_path / "o", on_batch=interrupt)
    kept = queried("SELECT count(*) FROM 'o/rows.parquet'")[0][0]
    assert 20 < kept < RUNS
    monkeypatch.setattr(runner, "sweep", lambda *_, **__: (_ for _ in ()).throw(Interrupted("kept; goes on")))
    assert cli.status_of(["sweep", "study.yaml", "--out", "o"]) == 130
    assert capsys.readouterr().err == "hwsim: kept; goes on\n"
    monkeypatch.undo()
    assert same_rows(sweep(study, tmp_path / "o"), undisturbed)


# Repeating until it is known well enough


def test_points_are_repeated_until_the_mean_is_known(study_file: Callable[..., Path], tmp_path: Path) -> None:
    until = "{key: raw.mixed_share, half_width: 0.004, max_repeats: 40}"
    asked = load(study_file(repeats="4", until=until))
    found = sweep(asked, tmp_path / "a")
    assert found.is_complete
    counts = {point: sum(row[0] == point for row in found.rows) for point in range(9)}
    assert min(counts.values()) < max(counts.values())
    for point, count in counts.items():
        rows = [row for row in found.rows if row[0] == point]
        for earlier in range(4, count, 4):  # no round was needless, and the last one sufficed
            aims = next_aims(asked, {point: earlier}, rows)
            assert aims == {point: min(earlier + 4, 40)}
        assert next_aims(asked, {point: count}, rows) == {point: count}
    with ledgers.opened(tmp_path / "b", asked) as ledger:  # some of it is there, of several rounds
        ledger.add(found.rows[3:30])
        ledger.add(found.rows[40:41])
    assert same_rows(sweep(asked, tmp_path / "b"), found)


def test_a_point_that_never_settles_stops_at_the_most(study_file: Callable[..., Path], tmp_path: Path) -> None:
    asked = load(study_file(repeats="2", until="{key: raw.mixed_share, half_width: 1e-9, max_repeats: 5}"))
    assert len(sweep(asked, tmp_path / "o").rows) == 9 * 5


# What may be wrong


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"repeats": "13"}, "`repeats` changed"),
        ({"record": "[raw.mixed_share]", "pareto": "[raw.mixed_share, raw.mixed_share]"}, "`record` changed"),
        ({"where": "[]", "seed": "8"}, "`grid`|`where`, `seed` changed"),
    ],
)
def test_another_study_in_the_folder_is_refused(
    study_file: Callable[..., Path], changes: dict[str, str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(study_file())
    assert cli.status_of(["sweep", path, "--budget", "0s", "--out", "o"]) == 0
    study_file(**changes)
    capsys.readouterr()
    assert cli.status_of(["sweep", path, "--out", "o"]) == 2
    err = capsys.readouterr().err
    assert re.search(says, err)
    assert "choose another folder with --out, or remove this one" in err
    assert len(err.splitlines()) == 1


def test_a_changed_topology_is_refused_and_other_words_are_not(
    study_file: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    path = str(study_file())
    assert cli.status_of(["sweep", path, "--budget", "0s", "--out", "o"]) == 0
    study_file(question="Are they many?", labels="{raw.mixed_share: mixtures}")
    assert cli.status_of(["sweep", path, "--budget", "0s", "--out", "o"]) == 0
    Path("tiny.yaml").write_text(WITH_CASES.replace("200ms", "300ms"))
    assert cli.status_of(["sweep", path, "--out", "o"]) == 2
    assert "`topology` changed" in capsys.readouterr().err


def test_a_topology_that_changes_under_a_sweep_stops_it(study: Study, tmp_path: Path) -> None:
    Path("tiny.yaml").write_text(WITH_CASES.replace("200ms", "301ms"))
    with pytest.raises(UserError, match="has changed since the sweep began"):
        sweep(study, tmp_path / "o", jobs=2)  # other processes: nothing of theirs was loaded before


def test_workers_that_outlive_a_sweep_read_the_topology_anew(
    study: Study, study_file: Callable[..., Path], tmp_path: Path
) -> None:
    before = sweep(study, tmp_path / "o", jobs=2)
    Path("tiny.yaml").write_text(WITH_CASES.replace("200ms", "300ms"))
    after = sweep(load(study_file()), tmp_path / "p", jobs=2)
    assert after.is_complete
    assert [row[2] for row in after.rows] == [row[2] for row in before.rows]
    assert [row[3] for row in after.rows] != [row[3] for row in before.rows]


def test_a_point_that_only_fails_as_a_whole_is_named(study_file: Callable[..., Path], tmp_path: Path) -> None:
    path = study_file()
    text = path.read_text().replace("workload.interval: [1s, 2s]", "warm_up: [1s, 12s]\n  horizon: [20s, 10s]")
    for line in ("where", "plot", "answer"):
        text = re.sub(rf"^{line}: .*\n", "", text, flags=re.MULTILINE)
    path.write_text(text)
    with pytest.raises(UserError) as refused:
        sweep(load(path), tmp_path / "o")
    assert "warm_up = 12s, horizon = 10s" in str(refused.value)
    assert "leaves nothing of the run" in str(refused.value)


@pytest.mark.parametrize(
    "fail",
    [
        OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)),
        duckdb.IOException("IO Error: No space left on device"),
        sqlite3.OperationalError("database or disk is full"),
    ],
    ids=["os", "duckdb", "sqlite"],
)
def test_a_full_disk_is_one_message_and_the_sweep_goes_on_later(
    study: Study,
    undisturbed: Swept,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    fail: Exception,
) -> None:
    calls = []
    sync = ledgers._sync

    def full(path: Path) -> None:
        calls.append(path)
        if len(calls) == 7:
            raise fail
        sync(path)

    with monkeypatch.context() as patched:
        patched.setattr(runner, "_MOST_IN_BATCH", 7)
        patched.setattr(ledgers, "_sync", full)
        assert cli.status_of(["sweep", "study.yaml", "--jobs", "1", "--out", "o"]) == 4
    err = capsys.readouterr().err
    assert len(err.splitlines()) == 1
    assert "space" in err
    assert same_rows(sweep(study, tmp_path / "o"), undisturbed)


FULL = """
import resource, sys
from hwsim.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (6000, 6000))
main()
"""


def test_a_limit_on_the_size_of_files_exits_4(study: Study) -> None:
    done = subprocess.run(
        [sys.executable, "-c", FULL, "sweep", "study.yaml", "--jobs", "1", "--out", "o"], capture_output=True, text=True
    )
    assert done.returncode == 4, done.stderr
    assert len(done.stderr.splitlines()) == 1
    assert "--out" in done.stderr


@pytest.mark.parametrize(
    ("arguments", "status", "says"),
    [
        (["--out", "tiny.yaml/there"], 4, "--out"),
        (["--budget", "5"], 2, "--budget: '5' has no unit"),
        (["--scheduler", "tcp://there:8786"], 2, "this machine only"),
        (["--jobs", "0"], 2, "--jobs"),
    ],
)
def test_wrong_options_are_one_message(
    study: Study, capsys: pytest.CaptureFixture[str], arguments: list[str], status: int, says: str
) -> None:
    assert cli.status_of(["sweep", "study.yaml", *arguments]) == status
    out, err = capsys.readouterr()
    assert says in err
    assert len(err.splitlines()) == 1
    assert out == ""


def test_two_sweeps_do_not_share_a_folder(study: Study, tmp_path: Path) -> None:
    with ledgers.opened(tmp_path / "o", study), pytest.raises(EnvironmentFailure, match="another sweep writes here"):
        sweep(study, tmp_path / "o")


def test_what_is_no_index_is_told(study: Study, tmp_path: Path) -> None:
    (tmp_path / "o").mkdir()
    (tmp_path / "o" / ledgers.INDEX).write_text("not a database, but long enough to be looked at as one\n" * 40)
    with pytest.raises(EnvironmentFailure, match="no index of a sweep"):
        sweep(study, tmp_path / "o")


def test_a_part_that_somebody_removed_is_run_again(
    study: Study, undisturbed: Swept, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = sorted((undisturbed.folder / ledgers.PARTS).iterdir())
    parts[-1].unlink()
    (undisturbed.folder / ledgers.PARTS / "00009999.parquet").write_text("of nobody")
    before = (undisturbed.folder / ledgers.ROWS).read_bytes()
    assert sweep(study, undisturbed.folder).rows == undisturbed.rows
    assert (undisturbed.folder / ledgers.ROWS).read_bytes() == before


# What is told


def test_progress_tells_the_time_left_on_a_terminal_and_nothing_in_a_pipe(study: Study) -> None:
    told: list[tuple[str, Any]] = []
    sweep(study, Path("o"), say=lambda stage, share: told.append((stage, share)))
    assert told[0] == (f"mixtures: 0 of {RUNS} runs", 0.0)
    assert re.fullmatch(rf"mixtures: 1 of {RUNS} runs, about \d+ s left", told[1][0])
    assert told[-1] == (f"mixtures: {RUNS} of {RUNS} runs", 1.0)
    arguments = ["sweep", "study.yaml", "--jobs", "2", "--out", "p"]
    done = subprocess.run([sys.executable, "-m", "hwsim", *arguments], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[-1] == "p/"
    assert "\x1b" not in done.stdout


def test_the_default_folder_is_named_after_study_and_seed(study: Study, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.status_of(["sweep", "study.yaml", "--budget", "0s"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == "hwsim-out/mixtures-3/"


def test_the_report_holds_question_answer_plot_front_and_table_and_needs_no_network(
    study: Study, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.status_of(["sweep", "study.yaml", "--jobs", "1", "--report", "--format", "markdown", "--out", "o"]) == 0
    told = json.loads(Path("o/study.json").read_text())
    page = Path("o/report.html").read_text()
    out = capsys.readouterr().out
    assert told["answer"] in page.replace("&#39;", "'")
    assert told["answer"] in out
    assert study.question in page
    drawn = json.loads(page.partition('<script id="figures" type="application/json">')[2].partition("</script>")[0])
    assert [line["name"] for line in drawn["plot"]["data"]] == ["1s", "2s"]
    assert all(line["error_y"]["visible"] for line in drawn["plot"]["data"])
    assert drawn["front"]["data"][1]["x"] == sorted(
        told["points"][number]["record"]["raw.mixed_share"]["mean"] for number in told["pareto"]["front"]
    )
    assert page.count("<tr>") == 1 + len(told["points"])
    markup = re.sub(r"<script>.*?</script>", "", page, flags=re.DOTALL)
    assert not re.search(r"(src|href)\s*=|@import|url\(", markup)
    Path("o/report.html").write_text("of an earlier state")
    assert cli.status_of(["sweep", "study.yaml", "--jobs", "1", "--out", "o"]) == 0
    assert Path("o/report.html").read_text() == page  # the same rows, the same bytes


def test_a_report_of_nothing_yet_is_a_page_too(study: Study) -> None:
    assert cli.status_of(["sweep", "study.yaml", "--budget", "0s", "--report", "--out", "o"]) == 0
    assert "No run is done" in Path("o/report.html").read_text()

"""The `hwsim` command as its users meet it: what it prints where, what it writes, and its exit status."""

from __future__ import annotations

import errno
import json
import os
import pty
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tiny import TINY

import hwsim.answers
from hwsim import cli, examples, output
from hwsim.errors import EnvironmentFailure, Mistake, ToolMissing, UserError

HWSIM = [sys.executable, "-m", "hwsim"]


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Write the tiny topology with lines appended, in a folder that is then the working one."""
    monkeypatch.chdir(tmp_path)

    def write(more: str = "", name: str = "tiny.yaml") -> Path:
        path = tmp_path / name
        path.write_text(TINY + more, encoding="utf-8")
        return path

    return write


def result_of(folder: str | Path) -> dict[str, Any]:
    found = json.loads((Path(folder) / output.RESULT).read_text(encoding="utf-8"))
    assert isinstance(found, dict)
    return found


# What a run writes and prints


def test_a_run_writes_its_folder_and_prints_its_path_last(
    tiny: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    status = cli.status_of(["run", str(tiny("expect: {raw.mixed_share: '> 0'}\n"))])
    out, err = capsys.readouterr()
    assert (status, err) == (0, "")
    assert out.splitlines()[-1] == "hwsim-out/tiny-3/"
    assert {path.name for path in Path("hwsim-out/tiny-3").iterdir()} == set(output.FILES) - {output.PERFETTO}
    assert result_of("hwsim-out/tiny-3")["topology"] == "tiny"


def test_json_prints_the_result_and_nothing_else(
    tiny: Callable[..., Path], capsys: pytest.CaptureFixture[str]
) -> None:
    cli.status_of(["run", str(tiny()), "--json", "--out", "there"])
    out = capsys.readouterr().out
    assert json.loads(out) == result_of("there")
    cli.status_of(["run", str(tiny()), "--format", "json", "--out", "there"])
    assert json.loads(capsys.readouterr().out) == result_of("there")


def test_markdown_is_a_table_for_a_summary(tiny: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    cli.status_of(["run", str(tiny()), "--format", "markdown"])
    out = capsys.readouterr().out
    assert "|" in out
    assert "\x1b[" not in out


def test_set_seed_and_perfetto(tiny: Callable[..., Path]) -> None:
    changes = ["--set", "horizon=10s", "--set", "workload.interval=2s"]
    cli.status_of(["run", str(tiny()), "--seed", "9", *changes, "--perfetto"])
    folder = Path("hwsim-out/tiny-9")
    assert (folder / output.PERFETTO).is_file()
    found = result_of(folder)
    assert (found["hwsim"]["seed"], found["horizon_s"]) == (9, 10.0)


def test_an_example_is_found_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert examples.find("quickstart").name == "quickstart.yaml"
    assert "quickstart" in examples.names()
    assert examples.find("./quickstart") == Path("quickstart")
    with pytest.raises(UserError, match="did you mean quickstart"):
        examples.find("quikstart")


# The exit status


@pytest.mark.parametrize(
    ("more", "status"),
    [
        ("", 1),  # no expectation, and mixtures are handed back silently
        ("protocol: {kind: manifest, message_delay: 1ms}\n", 0),
        ("expect: {recovered.unsafe_share: '> 0'}\n", 0),
        ("expect: {recovered.unsafe_share: '== 0'}\n", 1),
        ("expect: {raw.mixed_share: '> 0'}\ncases: {c: {set: {horizon: 10s}, expect: {raw.mixed_share: '== 0'}}}\n", 1),
        ("expect: {raw.mixed_share: '> 0'}\ncases: {c: {set: {horizon: 10s}, expect: {raw.mixed_share: '> 0'}}}\n", 0),
    ],
)
def test_the_exit_status_tells_whether_all_is_well(tiny: Callable[..., Path], more: str, status: int) -> None:
    path = tiny(more)
    if more.startswith("protocol"):
        path.write_text(path.read_text(encoding="utf-8").replace("protocol: {kind: in_place}\n", ""), encoding="utf-8")
    assert cli.status_of(["run", str(path)]) == status


def test_a_case_is_told_of_in_the_result(tiny: Callable[..., Path]) -> None:
    cases = "cases: {short: {set: {horizon: 10s}, expect: {raw.mixed_share: '== 0'}}}\n"
    cli.status_of(["run", str(tiny("expect: {raw.mixed_share: '> 0'}\n" + cases))])
    found = result_of("hwsim-out/tiny-3")
    assert [line["holds"] for line in found["expect"]] == [True]
    assert [line["holds"] for line in found["cases"]["short"]["expect"]] == [False]


@pytest.mark.parametrize(
    ("raised", "status", "says"),
    [
        (UserError([Mistake("a.yaml", 3, 5, "seed", "is a word", "write a number")]), 2, "a.yaml:3:5: seed: is a word"),
        (ToolMissing("strace is missing; apt-get install strace"), 3, "strace is missing"),
        (EnvironmentFailure("x: No space left on device"), 4, "No space left"),
        (OSError(errno.EROFS, os.strerror(errno.EROFS), "/there"), 4, "Read-only file system"),
        (MemoryError(), 4, "out of memory"),
        (KeyboardInterrupt(), 130, "interrupted"),
    ],
)
def test_each_error_is_one_message_and_a_status(
    tiny: Callable[..., Path],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    raised: BaseException,
    status: int,
    says: str,
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise raised

    monkeypatch.setattr(hwsim.answers, "answer", fail)
    assert cli.status_of(["run", str(tiny())]) == status
    out, err = capsys.readouterr()
    assert says in err
    assert "Traceback" not in out + err
    assert not Path("hwsim-out").exists()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run"], "Missing argument 'TOPOLOGY'. Try 'hwsim run --help'."),
        (["runn"], "Did you mean 'run'?"),
        (["run", "quickstart", "--format", "xml"], "'text', 'json', 'markdown'"),
        (["run", "quickstart", "--seed", "many"], "--seed"),
        (["run", "quickstart", "--nonsense"], "--nonsense"),
        (["run", "nothing-of-this-name"], "no such file, and no example of this name"),
        (["run", "nothing-here.yaml"], "nothing-here.yaml"),
        (["run", "quickstart", "--set", "workload.intervall=1s"], "interval"),
        (["run", "quickstart", "--set", "workload.interval"], "workload.interval"),
        (["check", "."], "."),
    ],
)
def test_a_users_mistake_is_told_and_exits_2(
    arguments: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.status_of(arguments) == 2
    out, err = capsys.readouterr()
    assert says in err
    assert "Traceback" not in out + err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_exits_4_before_the_work(
    tiny: Callable[..., Path], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hwsim.answers, "answer", lambda *_, **__: pytest.fail("the work began"))
    assert cli.status_of(["run", str(tiny()), "--out", "tiny.yaml/there"]) == 4
    assert "--out" in capsys.readouterr().err


def test_output_that_cannot_be_written_exits_4() -> None:
    if not Path("/dev/full").exists():
        pytest.skip("this system has no /dev/full")
    with open("/dev/full", "w") as full:
        done = subprocess.run([*HWSIM, "--help"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 4
    assert done.stderr.startswith("hwsim: No space left on device")
    assert len(done.stderr.splitlines()) == 1


def test_a_reader_that_has_read_enough_is_no_error() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = subprocess.run([*HWSIM, "--help"], stdout=writer, stderr=subprocess.PIPE, text=True)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


# Ctrl-C

WAITING = """
import signal, sys
import hwsim.simulation
from hwsim.cli import main

def simulate(*_, **__):
    print("ready", flush=True)
    signal.pause()

hwsim.simulation.simulate = simulate
main()
"""


def test_ctrl_c_exits_130_and_leaves_the_former_result(tiny: Callable[..., Path]) -> None:
    path = tiny()
    cli.status_of(["run", str(path)])
    folder = Path("hwsim-out/tiny-3")
    before = {item.name: item.read_bytes() for item in folder.iterdir()}
    with subprocess.Popen(
        [sys.executable, "-c", WAITING, "run", str(path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines() == ["hwsim: interrupted; nothing half-written is left behind"]
    assert {item.name: item.read_bytes() for item in folder.iterdir()} == before


# A terminal and a pipe


def in_a_terminal(arguments: list[str], **environment: str) -> str:
    """What `hwsim` writes to a terminal that is both its outputs."""
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*HWSIM, *arguments], stdout=theirs, stderr=theirs, env=os.environ | {"TERM": "xterm"} | environment
    ) as process:
        os.close(theirs)
        written = b""
        while True:
            try:
                read = os.read(ours, 65536)
            except OSError:  # Linux's word for: the other end is closed
                break
            if not read:
                break
            written += read
        process.wait()
    os.close(ours)
    return written.decode()


def test_progress_is_shown_on_a_terminal_and_never_in_a_pipe(tiny: Callable[..., Path]) -> None:
    path = str(tiny())
    assert "tiny: simulating" in in_a_terminal(["run", path])
    done = subprocess.run([*HWSIM, "run", path], capture_output=True, text=True)
    assert done.stderr == ""
    assert "simulating" not in done.stdout
    assert "\x1b" not in done.stdout


def test_no_color_is_honoured(tiny: Callable[..., Path]) -> None:
    plain = in_a_terminal(["run", str(tiny())], NO_COLOR="1")
    assert "\x1b[3" not in plain.replace("\x1b[3J", "")
    assert not any(f"\x1b[{code}m" in plain for code in (*range(30, 38), *range(90, 98)))


# Checking


def test_check_says_all_mistakes_and_exits_2(tiny: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    path = tiny("intervall: 3\nwarm_up: 5\n")
    assert cli.status_of(["check", str(path)]) == 2
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 2
    assert err[0].startswith(f"{path}:13:")
    assert err[1].startswith(f"{path}:14:")
    assert cli.status_of(["check", str(path), "--json"]) == 2
    assert [mistake["line"] for mistake in json.loads(capsys.readouterr().out)] == [13, 14]


def test_check_of_what_is_right_exits_0(tiny: Callable[..., Path], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.status_of(["check", str(tiny())]) == 0
    assert capsys.readouterr().out == "no mistakes\n"


# Help


def test_help_groups_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.status_of(["--help"]) == 0
    out = capsys.readouterr().out
    assert out.index("Everyday") < out.index("Files") < out.index("Research")


def test_every_command_has_help(capsys: pytest.CaptureFixture[str]) -> None:
    for command in cli.app.registered_commands:
        name = command.name or command.callback.__name__  # type: ignore[union-attr]
        assert cli.status_of([name, "--help"]) == 0
        assert f"hwsim {name}" in capsys.readouterr().out


def test_no_command_shows_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.status_of([]) == 0
    assert "Everyday" in capsys.readouterr().out

"""Whatever stops a run, its folder holds the former result whole, the new one whole, or none."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hwsim import output
from hwsim.errors import EnvironmentFailure


def write(scratch: Path, text: str, *names: str) -> None:
    for name in names or output.FILES:
        (scratch / name).write_text(text, encoding="utf-8")


def contents(folder: Path) -> dict[str, str]:
    return {path.name: path.read_text(encoding="utf-8") for path in folder.iterdir() if path.is_file()}


@pytest.fixture
def former(tmp_path: Path) -> Path:
    """A folder with an older, whole result and a file of the user's."""
    folder = tmp_path / "out" / "run-1"
    with output.staged(folder) as scratch:
        write(scratch, "former")
    (folder / "notes.txt").write_text("mine", encoding="utf-8")
    return folder


def test_a_new_folder_appears_whole_and_leaves_nothing_beside_it(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b" / "run-1"
    with output.staged(folder) as scratch:
        write(scratch, "new")
        assert not folder.exists()
    assert contents(folder) == dict.fromkeys(output.FILES, "new")
    assert [path.name for path in folder.parent.iterdir()] == ["run-1"]


def test_a_newer_result_replaces_all_of_the_older_one_and_nothing_of_the_users(former: Path) -> None:
    with output.staged(former) as scratch:
        write(scratch, "new", output.RESULT, output.TRACE)
        assert contents(former)[output.RESULT] == "former"
    assert contents(former) == {output.RESULT: "new", output.TRACE: "new", "notes.txt": "mine"}


def test_captures_of_interfaces_that_a_newer_run_lacks_go(former: Path) -> None:
    with output.staged(former) as scratch:
        write(scratch, "older", output.RESULT, "wire@a.pcapng", "wire@node0.nic.pcapng")
    (former / "mine.pcapng").write_text("mine", encoding="utf-8")
    with output.staged(former) as scratch:
        write(scratch, "new", output.RESULT, "wire@a.pcapng")
    assert contents(former) == {
        output.RESULT: "new", "wire@a.pcapng": "new", "mine.pcapng": "mine", "notes.txt": "mine"
    }  # fmt: skip


@pytest.mark.parametrize("stop", [KeyboardInterrupt, ValueError, SystemExit, OSError(errno.ENOSPC, "full")])
def test_whatever_stops_a_run_the_former_result_stays(former: Path, stop: BaseException | type[BaseException]) -> None:
    before = contents(former)

    def interrupted() -> None:
        with output.staged(former) as scratch:
            write(scratch, "new", output.TRACE)
            raise stop

    with pytest.raises((KeyboardInterrupt, ValueError, SystemExit, EnvironmentFailure)):
        interrupted()
    assert contents(former) == before


def test_a_run_that_fails_takes_the_folders_it_made_with_it(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), output.staged(tmp_path / "a" / "b" / "run-1"):
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("step", ["rename", "replace", "unlink"])
def test_a_failure_in_the_swap_itself_leaves_nothing_that_looks_whole_and_mixed(
    former: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    calls = 0
    original = getattr(Path, step)

    def third_time_fails(self: Path, *arguments: object, **options: object) -> object:
        nonlocal calls
        calls += 1
        if calls == 3:
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return original(self, *arguments, **options)

    monkeypatch.setattr(Path, step, third_time_fails)
    for _ in range(3):
        try:
            with output.staged(former) as scratch:
                write(scratch, "new", output.RESULT, output.TRACE, output.REPORT)
        except EnvironmentFailure:
            break
    monkeypatch.undo()
    found = {name: text for name, text in contents(former).items() if name != "notes.txt"}
    assert output.RESULT not in found or len(set(found.values())) == 1


def test_ctrl_c_in_the_swap_waits_for_its_end(former: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = output._place

    def interrupted_place(scratch: Path, folder: Path) -> None:
        signal.raise_signal(signal.SIGINT)
        place(scratch, folder)

    monkeypatch.setattr(output, "_place", interrupted_place)
    with pytest.raises(KeyboardInterrupt), output.staged(former) as scratch:
        write(scratch, "new")
    assert contents(former)[output.RESULT] == "new"
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


@pytest.mark.parametrize("below", ["file/run-1", "file"])
def test_a_path_through_a_file_is_refused_before_any_work(tmp_path: Path, below: str) -> None:
    (tmp_path / "file").write_text("mine", encoding="utf-8")
    with pytest.raises(EnvironmentFailure, match="--out"), output.staged(tmp_path / below):
        pytest.fail("the work began")
    assert (tmp_path / "file").read_text(encoding="utf-8") == "mine"


def test_a_folder_that_cannot_be_written_is_refused_before_any_work(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        unwritable = Path("/proc/hwsim-results")  # root may write anywhere else
        if not Path("/proc/self").exists():
            pytest.skip("root may write everywhere, and this system has no /proc")
    else:
        unwritable = tmp_path / "locked" / "run-1"
        unwritable.parent.mkdir(mode=0o500)
    with pytest.raises(EnvironmentFailure), output.staged(unwritable):
        pytest.fail("the work began")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 64 KiB, where this user may mount one."""
    mount, umount = shutil.which("mount"), shutil.which("umount")
    if os.geteuid() != 0 or not mount or not umount:
        pytest.skip("only root can mount a small file system")
    disk = tmp_path / "disk"
    disk.mkdir()
    done = subprocess.run([mount, "-t", "tmpfs", "-o", "size=64k", "tmpfs", disk], capture_output=True, text=True)
    if done.returncode:
        pytest.skip(f"this machine mounts no tmpfs: {done.stderr.strip()}")
    yield disk
    subprocess.run([umount, "-l", disk], check=True)


def test_a_full_disk_is_said_so_and_the_former_result_stays(small_disk: Path) -> None:
    folder = small_disk / "run-1"
    with output.staged(folder) as scratch:
        write(scratch, "former", output.RESULT)
    with pytest.raises(EnvironmentFailure, match="No space left"), output.staged(folder) as scratch:
        write(scratch, "x" * 200_000, output.TRACE)
    assert contents(folder) == {output.RESULT: "former"}


def test_a_file_that_may_not_grow_is_said_so(tmp_path: Path) -> None:
    code = f"""
import resource, signal, sys
from pathlib import Path
from hwsim import output
from hwsim.errors import EnvironmentFailure
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, resource.RLIM_INFINITY))
try:
    with output.staged(Path({str(tmp_path / "run-1")!r})) as scratch:
        (scratch / output.TRACE).write_bytes(bytes(2000))
except EnvironmentFailure as error:
    sys.exit(str(error))
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "File too large" in done.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_number_that_json_has_no_word_for_is_a_bug_and_not_written() -> None:
    with pytest.raises(ValueError, match="JSON"):
        output.to_json({"share": float("nan")})

"""A run's folder: written aside, made durable, then moved into place whole.

What a reader trusts is `result.json`.  It appears last, after everything it belongs to, and an older
one goes first, so at no instant does a folder that has one hold a mixture of two runs.  An
interrupted run, a full disk or an unwritable folder leaves the former result as it was, or none.

Not modelled: two runs that write one folder at once (the later one wins, file by file).
"""

from __future__ import annotations

import errno
import json
import os
import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING, Any

from hwsim.errors import EnvironmentFailure, UserError

if TYPE_CHECKING:
    from hwsim.report.pcapng import Captures
    from hwsim.topology.spec import Topology
    from hwsim.trace import Trace

RESULT = "result.json"
TRACE = "trace.parquet"
REPORT = "report.html"
RESOLVED = "topology.resolved.yaml"
PERFETTO = "timeline.perfetto.json"
FILES = (RESULT, TRACE, REPORT, RESOLVED, PERFETTO)
CAPTURES = "*@*.pcapng"  # one an interface: as many as a topology has
WAVES = "*@*.vcd"  # one an end in Verilog
EXPLORED = "explore.json"
REPRODUCERS = "reproducer-*.yaml"  # one an outcome

_REMEDIES = {
    errno.ENOSPC: "free some space, or choose another folder with --out",
    errno.EDQUOT: "your quota is used up; free some space, or choose another folder with --out",
    errno.EACCES: "choose a folder you may write with --out",
    errno.EPERM: "choose a folder you may write with --out",
    errno.EROFS: "the file system is read-only; choose another folder with --out",
    errno.ENOTDIR: "a part of the path is a file; choose another folder with --out",
    errno.EEXIST: "a part of the path is a file; choose another folder with --out",
    errno.EFBIG: "files may not grow this large here; choose another folder with --out, or raise the limit",
}


def default_folder(name: str, seed: int) -> Path:
    """Where a run's results go unless told otherwise."""
    return Path("hwsim-out") / f"{name}-{seed}"


@contextmanager
def staged(folder: Path) -> Iterator[Path]:
    """Give a scratch folder whose files become those of *folder* when the block ends, and vanish if it fails.

    Entering already proves that *folder* can be written, so a long run does not find out at its
    end.  Files of *folder* that are not hwsim's stay.  Raises EnvironmentFailure.
    """
    made: list[Path] = []
    scratch = None
    try:
        try:
            made = _make(folder.parent)
            # Inside the folder where there is one: its parent may be another file system, or not ours to write.
            scratch = (folder if folder.is_dir() else folder.parent) / f".{folder.name}.partial-{os.getpid()}"
            if folder.exists() and not folder.is_dir():
                raise NotADirectoryError(errno.ENOTDIR, os.strerror(errno.ENOTDIR), str(folder))
            shutil.rmtree(scratch, ignore_errors=True)
            scratch.mkdir()
            yield scratch
            _sync(scratch)
            with _undisturbed():
                _place(scratch, folder)
        except OSError as error:
            raise EnvironmentFailure(explain(error, folder)) from error
        except Exception as error:
            if is_duckdb_io(error):
                raise EnvironmentFailure(f"{folder}: {str(error).splitlines()[0]}") from error
            raise
    except BaseException:
        if scratch is not None:
            shutil.rmtree(scratch, ignore_errors=True)
        for parent in reversed(made):
            _remove_if_empty(parent)
        raise


@contextmanager
def captured(scratch: Path, topology: Topology) -> Iterator[Captures]:
    """Give what writes the frames of every interface of *topology*'s bilateral links into *scratch*.

    Raises UserError where there is none.
    """
    from hwsim.report.pcapng import Captures

    links = [link for link in topology.links if not link.routed]
    if not links:
        raise UserError(f"--pcapng: {topology.name} has no bilateral link, and only their frames have octets")
    with Captures(scratch) as captures:
        for link in links:
            for end in (link.a, link.b):
                captures.add(f"{link.name}@{end}", link.params.rate)
        yield captures


def waves_in(scratch: Path, topology: Topology) -> Callable[[str], Path]:
    """What gives a file in *scratch* for the waves of each end in Verilog.  Raises UserError where there is none."""
    if not any(not link.routed and link.params.model == "rtl" for link in topology.links):
        raise UserError(f"--waves: {topology.name} has no link of model: rtl, and only Verilog has waves")
    return lambda name: scratch / f"{name}.vcd"


def write_run(
    scratch: Path, result: Mapping[str, Any], trace: Trace, topology: Topology, *, perfetto: bool = False
) -> None:
    """Write all files of one run into *scratch*.  *trace* is the first timeline; the others are told by their seed."""
    import yaml

    from hwsim.report import html, store
    from hwsim.report import perfetto as timeline

    store.write_parquet(scratch / TRACE, trace)
    resolved = yaml.safe_dump(dict(topology.resolved), sort_keys=False, allow_unicode=True)
    (scratch / RESOLVED).write_text(resolved, encoding="utf-8")
    if perfetto:
        timeline.write(scratch / PERFETTO, trace)
    html.write(scratch / REPORT, result, trace, topology)
    (scratch / RESULT).write_text(to_json(result), encoding="utf-8")


def write_exploration(scratch: Path, result: Mapping[str, Any], reproducers: Sequence[str]) -> list[str]:
    """Write an exploration and its reproducers into *scratch*; returns the names of these."""
    names = []
    for number, text in enumerate(reproducers, 1):
        names.append(REPRODUCERS.replace("*", str(number)))
        (scratch / names[-1]).write_text(text, encoding="utf-8")
    (scratch / EXPLORED).write_text(to_json(result), encoding="utf-8")
    return names


def write_comparison(scratch: Path, result: Mapping[str, Any]) -> None:
    """Write the files of a comparison of protocols into *scratch*."""
    from hwsim.report import comparison

    comparison.write(scratch / REPORT, result)
    (scratch / RESULT).write_text(to_json(result), encoding="utf-8")


def to_json(result: Mapping[str, Any]) -> str:
    """The text of result.json: two runs that agree give the same bytes, but for the wall clock."""
    return json.dumps(result, indent=2, ensure_ascii=False, allow_nan=False) + "\n"


def explain(error: OSError, path: Path | None = None) -> str:
    """One line about *error* for the user: where, what, and the remedy."""
    where = error.filename if path is None else path
    what = os.strerror(error.errno) if error.errno else str(error)
    remedy = _REMEDIES.get(error.errno or 0)
    return (f"{where}: " if where is not None else "") + what + (f"; {remedy}" if remedy else "")


def _make(folder: Path) -> list[Path]:
    """Make *folder* and the parents it lacks; returns those made, topmost first."""
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    made: list[Path] = []
    try:
        for path in reversed(missing):
            path.mkdir(exist_ok=True)
            made.append(path)
    except OSError:
        for path in reversed(made):
            _remove_if_empty(path)
        raise
    return made


def _remove_if_empty(folder: Path) -> None:
    try:
        folder.rmdir()
    except OSError:
        pass  # someone else uses it by now


def _sync(scratch: Path) -> None:
    """Bring every file to the media before any name points at it: a rename alone promises nothing about content."""
    for path in [*scratch.iterdir(), scratch]:
        handle = os.open(path, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _place(scratch: Path, folder: Path) -> None:
    if not folder.exists():
        scratch.rename(folder)
        return
    (folder / RESULT).unlink(missing_ok=True)  # from here on, nothing in the folder looks whole
    new = {path.name for path in scratch.iterdir()}
    many = (path.name for glob in (CAPTURES, WAVES, REPRODUCERS) for path in folder.glob(glob))
    for name in [*FILES, EXPLORED, *many]:
        if name not in new:
            (folder / name).unlink(missing_ok=True)  # of the former run
    for name in sorted(new - {RESULT}) + sorted(new & {RESULT}):
        (scratch / name).replace(folder / name)
    scratch.rmdir()


@contextmanager
def _undisturbed() -> Iterator[None]:
    """Hold Ctrl-C back for the few renames of the swap, and raise it afterwards."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    asked = False

    def later(_number: int, _frame: FrameType | None) -> None:
        nonlocal asked
        asked = True

    former = signal.signal(signal.SIGINT, later)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, former)
    if asked:
        raise KeyboardInterrupt


def is_duckdb_io(error: Exception) -> bool:
    """Is this DuckDB's word for an OSError?  It is not imported for the question."""
    duckdb = sys.modules.get("duckdb")
    return duckdb is not None and isinstance(error, duckdb.IOException)

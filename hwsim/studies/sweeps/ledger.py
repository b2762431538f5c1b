"""What a sweep has done so far, on disk: rows in Parquet parts, and an index that says which of them count.

A batch is written aside, made durable and renamed to its place; then one transaction of the index says that its
runs are done.  Killed at any instant, a sweep loses the batches that were under way, and a part that no
transaction names is not there.  The index holds each run once, so nothing is counted twice.

    FOLDER/index.sqlite    sqlite3, WAL: the study's fingerprint, the parts, the runs
    FOLDER/parts/          one Parquet file a batch: point, repeat, seed, and the record
    FOLDER/rows.parquet    all of them in order, with the grid's values; written when a sweep ends or is stopped

Source: SQLite, Write-Ahead Logging, and PRAGMA synchronous, for what a commit promises.

Not modelled: two machines that write one folder at once (a lock keeps two processes of one machine apart).
"""

from __future__ import annotations

import errno
import fcntl
import os
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim import output
from hwsim.errors import EnvironmentFailure, UserError
from hwsim.studies.sweeps.measures import SUFFIX, measure, shown
from hwsim.studies.sweeps.runs import Row

if TYPE_CHECKING:
    from hwsim.studies.sweeps.spec import Study

INDEX = "index.sqlite"
PARTS = "parts"
ROWS = "rows.parquet"

_MOST_PARAMETERS = 10_000  # of one INSERT
_SCHEMA = """
CREATE TABLE IF NOT EXISTS fingerprint (part TEXT PRIMARY KEY, sha256 TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS parts (id INTEGER PRIMARY KEY, file TEXT NOT NULL UNIQUE);
CREATE TABLE IF NOT EXISTS runs (
    point INTEGER NOT NULL, repeat INTEGER NOT NULL, part INTEGER NOT NULL REFERENCES parts (id),
    PRIMARY KEY (point, repeat)
) WITHOUT ROWID;
"""


@contextmanager
def opened(folder: Path, study: Study) -> Iterator[Ledger]:
    """Give the ledger of *study* in *folder*, new or as it was left.

    Raises UserError where the folder holds rows of another study, EnvironmentFailure where it cannot be written or
    another process writes it.
    """
    try:
        (folder / PARTS).mkdir(parents=True, exist_ok=True)
        with _locked(folder):
            index = sqlite3.connect(folder / INDEX, isolation_level=None)
            try:
                index.execute("PRAGMA journal_mode = WAL")
                index.execute("PRAGMA synchronous = FULL")
                index.executescript(_SCHEMA)
                _same_study(index, folder, study)
                with _database() as database:
                    yield Ledger(folder, study, index, database)
            finally:
                index.close()
    except OSError as error:
        raise EnvironmentFailure(output.explain(error, folder)) from error
    except sqlite3.DatabaseError as error:
        raise EnvironmentFailure(f"{folder / INDEX}: {error}; {_remedy(error)}") from error
    except Exception as error:
        if output.is_duckdb_io(error):
            remedy = "free some space or choose another folder with --out; the same command then goes on"
            raise EnvironmentFailure(f"{folder}: {str(error).splitlines()[0]}; {remedy}") from error
        raise


class Ledger:
    """The rows of one study, open for more."""

    def __init__(self, folder: Path, study: Study, index: sqlite3.Connection, database: Any) -> None:
        self.folder, self._study = folder, study
        self._index, self._database = index, database
        self._columns = {"point": "INTEGER", "repeat": "INTEGER", "seed": "BIGINT"} | {
            key: "VARCHAR" if key in study.words else "DOUBLE" for key in study.record
        }
        self._forget_what_is_gone()

    def done(self) -> set[tuple[int, int]]:
        """The runs that are done, as (point, repeat)."""
        return set(self._index.execute("SELECT point, repeat FROM runs"))

    def add(self, rows: Sequence[Row]) -> None:
        """Keep *rows* of runs that were not done: from here on they survive a SIGKILL."""
        if not rows:
            return
        (last,) = self._index.execute("SELECT coalesce(max(id), 0) FROM parts").fetchone()
        name = f"{last + 1:08}.parquet"
        self._write(self.folder / PARTS / name, _select("rows", self._columns), {"rows": (self._columns, rows)})
        self._index.execute("BEGIN IMMEDIATE")
        try:
            self._index.execute("INSERT INTO parts VALUES (?, ?)", (last + 1, name))
            self._index.executemany("INSERT INTO runs VALUES (?, ?, ?)", [(*row[:2], last + 1) for row in rows])
            self._index.execute("COMMIT")
        except BaseException:
            if self._index.in_transaction:
                self._index.execute("ROLLBACK")
            raise

    def rows(self) -> list[Row]:
        """Every row, by point and repeat."""
        files = self._files()
        if not files:
            return []
        found: list[Row] = self._database.execute(
            f"SELECT * FROM read_parquet({_list(files)}) ORDER BY point, repeat"
        ).fetchall()
        return found

    def write_rows(self) -> Path:
        """Write all rows in order, with the grid's values, as one file; equal rows give equal bytes."""
        grid = _grid_columns(self._study)
        points = [
            (point.number, *(cell for key in self._study.grid for cell in _cells(grid, key, point.values[key])))
            for point in self._study.points
        ]
        columns = {"point": "INTEGER"} | {name: kind for made in grid.values() for name, kind in made.items()}
        tables: dict[str, tuple[Mapping[str, str], Sequence[Row]]] = {"points": (columns, points)}
        files = self._files()
        if files:
            source = f"read_parquet({_list(files)})"
        else:
            source, tables["rows"] = "rows", (self._columns, [])
        order = [*list(self._columns)[:3], *list(columns)[1:], *list(self._columns)[3:]]
        wanted = ", ".join(map(_name, order))
        query = f"SELECT {wanted} FROM {source} JOIN points USING (point) ORDER BY point, repeat"
        self._write(self.folder / ROWS, query, tables)
        return self.folder / ROWS

    def _write(self, path: Path, query: str, tables: Mapping[str, tuple[Mapping[str, str], Sequence[Row]]]) -> None:
        """One Parquet file of *query* over *tables*, whole and durable or not at all."""
        for table, (columns, rows) in tables.items():
            made = ", ".join(f"{_name(name)} {kind}" for name, kind in columns.items())
            self._database.execute(f"CREATE OR REPLACE TEMP TABLE {table} ({made})")
            step = max(1, _MOST_PARAMETERS // len(columns))
            for at in range(0, len(rows), step):
                some = rows[at : at + step]
                marks = ", ".join([f"({', '.join('?' * len(columns))})"] * len(some))
                self._database.execute(f"INSERT INTO {table} VALUES {marks}", [cell for row in some for cell in row])
        aside = path.with_name(f".{path.name}.partial")
        try:
            self._database.execute(f"COPY ({query}) TO {_text(str(aside))} (FORMAT parquet, COMPRESSION zstd)")
            _sync(aside)
            aside.replace(path)
            _sync(path.parent)
        except BaseException:
            aside.unlink(missing_ok=True)
            raise

    def _files(self) -> list[str]:
        return [
            str(self.folder / PARTS / name) for (name,) in self._index.execute("SELECT file FROM parts ORDER BY id")
        ]

    def _forget_what_is_gone(self) -> None:
        """Remove files that no transaction names, and forget runs whose file somebody removed."""
        known = dict(self._index.execute("SELECT file, id FROM parts"))
        there = {path.name for path in (self.folder / PARTS).iterdir()}
        for name in there - set(known):
            (self.folder / PARTS / name).unlink()
        gone = [(number,) for name, number in known.items() if name not in there]
        if gone:
            self._index.execute("BEGIN IMMEDIATE")
            self._index.executemany("DELETE FROM runs WHERE part = ?", gone)
            self._index.executemany("DELETE FROM parts WHERE id = ?", gone)
            self._index.execute("COMMIT")


def _same_study(index: sqlite3.Connection, folder: Path, study: Study) -> None:
    """Note what the rows will be of, or refuse to mix them with those of something else."""
    from hwsim.metrics import hwsim_version

    mine = study.fingerprint(hwsim_version())
    theirs = dict(index.execute("SELECT part, sha256 FROM fingerprint"))
    if not theirs:
        index.execute("BEGIN IMMEDIATE")
        index.executemany("INSERT INTO fingerprint VALUES (?, ?)", list(mine.items()))
        index.execute("COMMIT")
        return
    changed = [part for part, digest in mine.items() if theirs.get(part) != digest]
    if changed:
        what = ", ".join("the version of hwsim" if part == "hwsim" else f"`{part}`" for part in changed)
        raise UserError(
            f"{folder}: holds rows of another state of this study: {what} changed since; choose another folder with "
            "--out, or remove this one to begin anew"
        )


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Keep other sweeps out of *folder*; the kernel lets go of it when the process ends, however it ends."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.EACCES):
                raise
            raise EnvironmentFailure(
                f"{folder}: another sweep writes here; wait for it, or choose another folder with --out"
            ) from None
        yield
    finally:
        os.close(handle)


@contextmanager
def _database() -> Iterator[Any]:
    import duckdb

    with duckdb.connect(config={"threads": 1}) as database:
        yield database


def _grid_columns(study: Study) -> dict[str, dict[str, str]]:
    """The columns of each key of the grid: as written, and the number behind it where all values are of one kind."""
    columns: dict[str, dict[str, str]] = {}
    for key, values in study.grid.items():
        kinds = {measure(value).dimension for value in values}
        if kinds == {"number"}:
            columns[key] = {key: "DOUBLE"}
        elif kinds == {"truth value"}:
            columns[key] = {key: "BOOLEAN"}
        else:
            columns[key] = {key: "VARCHAR"}
            if len(kinds) == 1 and (suffix := SUFFIX.get(next(iter(kinds)))) is not None:
                columns[key][key + suffix] = "DOUBLE"
    return columns


def _cells(columns: Mapping[str, Mapping[str, str]], key: str, value: Any) -> Iterator[Any]:
    for name, kind in columns[key].items():
        if kind == "VARCHAR":
            yield shown(value)
        else:
            yield value if name == key else measure(value).plain


def _select(table: str, columns: Mapping[str, str]) -> str:
    return f"SELECT {', '.join(map(_name, columns))} FROM {table}"


def _remedy(error: sqlite3.DatabaseError) -> str:
    if isinstance(error, sqlite3.OperationalError):
        return "free some space, or choose a folder you may write with --out; the same command then goes on"
    return "this is no index of a sweep: choose another folder with --out"


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _name(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'


def _text(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _list(texts: Sequence[str]) -> str:
    return "[" + ", ".join(map(_text, texts)) + "]"

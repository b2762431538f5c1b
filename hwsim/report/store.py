"""Traces on disk: Parquet through DuckDB, and JSON Lines; both give back header, rows and figures exactly.

A Parquet file holds one column for each field of `Record`, in the order of the rows; the header and the figures
lie in its key-value metadata (`hwsim.header`, `hwsim.figures`), so a file is whole or it is nothing.
Any tool that reads Parquet reads it: `SELECT event, count(*) FROM 'trace.parquet' GROUP BY event`.

A JSON Lines file begins with one object of header and figures; then each line is one row, as an array.

Times beyond the range of 64 bits (106 days of picoseconds) become DECIMAL(38, 0); sizes and checkpoint numbers
must fit 64 bits, and text must be valid Unicode.
"""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.errors import UserError
from hwsim.trace import COLUMNS, Header, Row, Trace

if TYPE_CHECKING:
    import numpy as np

FORMAT = "1"  # of the files; a reader refuses any other

_NUMBERS = ("time_ps", "epoch", "size_bytes")
_LONGEST = 2**63
_SECOND = 10**12


def write_parquet(path: str | PathLike[str], trace: Trace) -> None:
    """Write *trace* as one Parquet file; equal traces give equal bytes under one version of DuckDB."""
    import duckdb

    columns = _columns(trace.rows)
    casts = [f"CAST({name} AS {'BIGINT' if name in _NUMBERS else 'VARCHAR'}) AS {name}" for name in COLUMNS]
    if "seconds" in columns:
        casts[0] = f"CAST(seconds AS DECIMAL(38, 0)) * {_SECOND} + time_ps AS time_ps"
    metadata = {
        "hwsim.format": FORMAT,
        "hwsim.header": trace.header.to_json(),
        "hwsim.figures": json.dumps(trace.figures, sort_keys=True, separators=(",", ":")),
    }
    pairs = ", ".join(f"{_quoted(key, chr(34))}: {_quoted(value)}" for key, value in metadata.items())
    with duckdb.connect(config={"threads": 1, "pandas_analyze_sample": 0}) as database:
        database.register("columns", columns)
        database.execute(
            f"COPY (SELECT {', '.join(casts)} FROM columns) TO {_quoted(str(Path(path)))}"
            f" (FORMAT parquet, COMPRESSION zstd, KV_METADATA {{{pairs}}})"
        )


def read_parquet(path: str | PathLike[str]) -> Trace:
    """Read what `write_parquet` wrote.  Raises UserError where the file is no such trace."""
    import duckdb

    source = _quoted(str(Path(path)))
    if not Path(path).is_file():
        raise UserError(f"{path}: there is no such file")
    with duckdb.connect(config={"threads": 1}) as database:
        try:
            found = database.execute(f"SELECT key, value FROM parquet_kv_metadata({source})").fetchall()
            metadata = {bytes(key).decode(): bytes(value).decode() for key, value in found}
            trace = _headed(path, metadata)
            kind = database.execute(f"SELECT typeof(any_value(time_ps)) FROM read_parquet({source})").fetchall()[0][0]
            time = "time_ps" if kind == "BIGINT" else "CAST(time_ps AS HUGEINT)"  # `//` of a DECIMAL rounds
            others = ", ".join(COLUMNS[1:])
            rows: list[Any] = database.execute(f"SELECT {time}, {others} FROM read_parquet({source})").fetchall()
        except (duckdb.Error, UnicodeDecodeError) as error:
            raise UserError(f"{path}: not a trace of hwsim: {str(error).splitlines()[0]}") from error
    trace.rows = rows
    return trace


def write_jsonl(path: str | PathLike[str], trace: Trace) -> None:
    """Write *trace* as JSON Lines: one object of header and figures, then one array a row."""
    head = {"format": FORMAT, "header": json.loads(trace.header.to_json()), "figures": trace.figures}
    encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode
    with open(path, "w", encoding="utf-8", newline="\n") as file:
        file.write(json.dumps(head, sort_keys=True, ensure_ascii=False, separators=(",", ":")) + "\n")
        file.writelines(f"{encode(row)}\n" for row in trace.rows)


def read_jsonl(path: str | PathLike[str]) -> Trace:
    """Read what `write_jsonl` wrote.  Raises UserError where the file is no such trace."""
    with open(path, encoding="utf-8", newline="\n") as file:
        try:
            head = json.loads(file.readline())
            metadata = {
                "hwsim.format": head["format"],
                "hwsim.header": json.dumps(head["header"]),
                "hwsim.figures": json.dumps(head["figures"]),
            }
        except (ValueError, TypeError, KeyError) as error:
            raise UserError(f"{path}:1: not a trace of hwsim; its first line tells what the rows mean") from error
        trace = _headed(path, metadata)
        for number, line in enumerate(file, start=2):
            try:
                trace.rows.append(_row(json.loads(line)))
            except ValueError as error:
                raise UserError(f"{path}:{number}: not a row of a trace: {error}") from error
    return trace


def _headed(path: str | PathLike[str], metadata: dict[str, str]) -> Trace:
    """An empty trace with the header and figures of *metadata*."""
    if metadata.get("hwsim.format") != FORMAT:
        found = metadata.get("hwsim.format", "none")
        raise UserError(f"{path}: not a trace that this version reads (format {found}; wanted {FORMAT})")
    try:
        trace = Trace(Header.from_json(metadata["hwsim.header"]))
        trace.figures = json.loads(metadata["hwsim.figures"])
    except (KeyError, TypeError, ValueError) as error:
        raise UserError(f"{path}: the header of this trace cannot be read: {error}") from error
    return trace


def _row(values: Any) -> Row:
    if not isinstance(values, list) or len(values) != len(COLUMNS):
        raise ValueError(f"wanted an array of {len(COLUMNS)} values")
    return tuple(values)


def _columns(rows: list[Row]) -> dict[str, np.ndarray[Any, Any]]:
    """The rows as arrays by column, absent values masked or None; `seconds` apart where 64 bits are too few."""
    import numpy as np

    found = dict(zip(COLUMNS, zip(*rows, strict=True), strict=True)) if rows else dict.fromkeys(COLUMNS, ())
    columns: dict[str, np.ndarray[Any, Any]] = {}
    for name, values in found.items():
        if name not in _NUMBERS:
            columns[name] = np.fromiter(values, dtype=object, count=len(values))
        elif name == "time_ps" and values and max(values) >= _LONGEST:
            columns["seconds"] = np.array([value // _SECOND for value in values], dtype=np.int64)
            columns[name] = np.array([value % _SECOND for value in values], dtype=np.int64)
        else:
            absent = [value is None for value in values]
            numbers = np.array([0 if value is None else value for value in values], dtype=np.int64)
            columns[name] = np.ma.array(numbers, mask=absent) if any(absent) else numbers
    return columns


def _quoted(text: str, quote: str = "'") -> str:
    return quote + text.replace(quote, quote * 2) + quote

"""Traces come back from disk as they were, whatever is in them."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import report_samples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwsim.errors import UserError
from hwsim.report import store
from hwsim.trace import EVENTS, CrashCase, Strike, Trace

Write = Callable[[Path, Trace], None]
Read = Callable[[Path], Trace]
FORMATS: list[Any] = [
    pytest.param(store.write_parquet, store.read_parquet, id="parquet"),
    pytest.param(store.write_jsonl, store.read_jsonl, id="jsonl"),
]

words = st.text(st.characters(codec="utf-8"), max_size=12)
numbers = st.integers(-(2**63), 2**63 - 1)
rows = st.tuples(
    st.integers(0, 2**70), st.sampled_from(sorted(EVENTS)), words,
    *[st.none() | words] * 3, st.none() | numbers, st.none() | words, st.none() | numbers, *[st.none() | words] * 2,
)  # fmt: skip
figures = st.dictionaries(words, st.none() | st.booleans() | numbers | st.floats(allow_nan=False) | st.lists(words))


@pytest.mark.parametrize(("write", "read"), FORMATS)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(found=st.lists(rows, max_size=8), figures=figures, name=words)
def test_any_trace_comes_back(
    write: Write, read: Read, tmp_path: Path, found: list[Any], figures: dict[str, Any], name: str
) -> None:
    trace = Trace(report_samples.header(topology=name, rule_params={"slots": "fresh"}))
    trace.rows, trace.figures = found, figures
    write(tmp_path / "trace", trace)
    back = read(tmp_path / "trace")
    assert back.rows == found
    assert [[type(value) for value in row] for row in back.rows] == [[type(value) for value in row] for row in found]
    assert back.figures == figures
    assert back.header == trace.header
    assert back.digest() == trace.digest()


@pytest.mark.parametrize(("write", "read"), FORMATS)
def test_a_whole_run_comes_back_and_gives_the_same_bytes_again(write: Write, read: Read, tmp_path: Path) -> None:
    trace = report_samples.trace()
    path = tmp_path / "it's a \"trace\""
    write(path, trace)
    first = path.read_bytes()
    back = read(path)
    assert (back.rows, back.header, back.figures) == (trace.rows, trace.header, trace.figures)
    write(path, back)
    assert path.read_bytes() == first


@pytest.mark.parametrize(("write", "read"), FORMATS)
def test_every_shape_of_crash_case_comes_back(write: Write, read: Read, tmp_path: Path) -> None:
    strikes = (Strike("a", ("x:power",)), Strike("b", ()))
    cases = (CrashCase("at", strikes, at_ps=1), CrashCase("phase", strikes, phase_ps=0),
             CrashCase("hazard", (), hazard_mean_ps=2**80))  # fmt: skip
    trace = Trace(report_samples.header(crashes=cases))
    write(tmp_path / "trace", trace)
    assert read(tmp_path / "trace").header == trace.header


def test_many_rows_come_back_in_order(tmp_path: Path) -> None:
    trace = Trace(report_samples.header())
    trace.rows = [
        (i // 3, "begun" if i % 2 else "lost", "d", None if i < 200_000 else "p", None, None,
         i if i > 250_000 else None, None, None, None, None)
        for i in range(300_000)
    ]  # fmt: skip
    store.write_parquet(tmp_path / "trace", trace)
    assert store.read_parquet(tmp_path / "trace").rows == trace.rows


def test_other_tools_read_the_columns(tmp_path: Path) -> None:
    import duckdb

    store.write_parquet(tmp_path / "trace.parquet", report_samples.trace())
    source = str(tmp_path / "trace.parquet")
    columns = duckdb.sql(f"DESCRIBE SELECT * FROM '{source}'").fetchall()
    assert [(name, kind) for name, kind, *_ in columns][:2] == [("time_ps", "BIGINT"), ("event", "VARCHAR")]
    counted = duckdb.sql(f"SELECT count(*) FROM '{source}' WHERE event = 'epoch_committed'").fetchall()
    assert counted == [(8,)]


@pytest.mark.parametrize("read", [store.read_parquet, store.read_jsonl])
@pytest.mark.parametrize("content", [b"", b"{}\n", b'{"format": "1"}\n', b"PAR1 not really PAR1", b"\x00\xff\xfe"])
def test_what_is_no_trace_is_refused(read: Read, content: bytes, tmp_path: Path) -> None:
    (tmp_path / "trace").write_bytes(content)
    with pytest.raises(UserError, match="trace"):
        read(tmp_path / "trace")


def test_someone_elses_parquet_is_refused(tmp_path: Path) -> None:
    import duckdb

    duckdb.sql("SELECT 1 AS time_ps").write_parquet(str(tmp_path / "trace"))
    with pytest.raises(UserError, match="format none"):
        store.read_parquet(tmp_path / "trace")


def test_a_missing_file_is_the_users_mistake(tmp_path: Path) -> None:
    with pytest.raises(UserError, match="no such file"):
        store.read_parquet(tmp_path / "nothing.parquet")


@pytest.mark.parametrize("line", ["[1, 2]", "{}", "nonsense"])
def test_a_bad_row_is_named_by_its_line(line: str, tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    store.write_jsonl(path, report_samples.trace())
    count = len(path.read_text().splitlines())
    with path.open("a") as file:
        file.write(line + "\n")
    with pytest.raises(UserError, match=f"trace.jsonl:{count + 1}: "):
        store.read_jsonl(path)


def test_another_format_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "trace.jsonl"
    store.write_jsonl(path, report_samples.trace())
    head, *rest = path.read_text().splitlines(keepends=True)
    path.write_text("".join([json.dumps({**json.loads(head), "format": "2"}) + "\n", *rest]))
    with pytest.raises(UserError, match="format 2"):
        store.read_jsonl(path)

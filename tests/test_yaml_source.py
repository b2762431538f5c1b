"""YAML files as plain data: the meaning of YAML 1.2, the place of everything, and no trap left open."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from hwsim.topology.yaml_source import MAX_BYTES, MAX_DEPTH, Place, read_bytes, read_file, read_value


def said(content: str | bytes) -> list[str]:
    """The mistakes of a file, as a user reads them."""
    raw = content.encode() if isinstance(content, str) else content
    return [str(mistake) for mistake in read_bytes(raw, "f.yaml").mistakes]


# Where PyYAML's scanner stops by itself when brackets nest without end; None: it has no such limit.
AHEAD = "1:1003" if tuple(map(int, yaml.__version__.split(".")[:3])) >= (6, 0, 4) else None


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("no", "no"), ("on", "on"), ("yes", "yes"), ("Off", "Off"), ("y", "y"), ("12:30", "12:30"),
        ("12:30:00", "12:30:00"),
        ("1e3", 1000.0), ("1.5e-3", 0.0015), (".5", 0.5), ("1.", 1.0), ("-0x1", "-0x1"), ("0x1F", 31), ("0o17", 15),
        ("017", 17), ("1_000", "1_000"), ("true", True), ("FALSE", False), ("~", None), ("null", None), ("", None),
        ("2001-01-01", "2001-01-01"), ("+5", 5), ("-7", -7), ("0b11", "0b11"), (".inf", float("inf")), ("'1'", "1"),
        ('"true"', "true"), ("=", "="), ("1e", "1e"), ("13.1GB", "13.1GB"), ("tRue", "tRue"),
    ],
)  # fmt: skip
def test_scalars_mean_what_yaml_1_2_says(text: str, value: object) -> None:
    source = read_bytes(f"key: {text}\n".encode(), "f.yaml")
    assert source.mistakes == []
    assert source.data == {"key": value}
    assert type(source.data["key"]) is type(value)


def test_keys_are_text_whatever_they_look_like() -> None:
    assert read_bytes(b"1: a\ntrue: b\nno: c\n~: d\n", "f").data == {"1": "a", "true": "b", "no": "c", "~": "d"}


def test_everything_has_its_place() -> None:
    source = read_bytes("# comment\na:\n  - x: 1\n    'ü': {b: 2}\n".encode(), "f.yaml")
    assert source.marks.keys["a", 0, "x"] == Place("f.yaml", 3, 5)
    assert source.marks.values["a", 0, "x"] == Place("f.yaml", 3, 8)
    assert source.marks.keys["a", 0, "ü", "b"] == Place("f.yaml", 4, 11)
    assert source.marks.value(("a", 0, "x", "gone", "further")) == Place("f.yaml", 3, 8)


def test_a_byte_order_mark_is_no_text() -> None:
    source = read_bytes(b"\xef\xbb\xbfa: 1\n", "f")
    assert source.data == {"a": 1}
    assert source.marks.keys["a",].column == 1


def test_aliases_are_values_with_the_places_of_their_anchor() -> None:
    source = read_bytes(b"a: &x {k: 1}\nb: *x\n", "f")
    assert source.data == {"a": {"k": 1}, "b": {"k": 1}}
    assert source.mistakes == []


@pytest.mark.parametrize(
    ("content", "place", "words"),
    [
        ("a: 1\nb: 2\na: 3\n", "3:1", "duplicate key"),
        ("a: {x: 1, x: 2}\n", "1:11", "duplicate key"),
        ("a: !!python/object/apply:os.system [x]\n", "1:4", "!!python/object/apply:os.system is not allowed"),
        ("a: !!int '1'\n", "1:4", "!!int is not allowed"),
        ("a: !custom 1\n", "1:4", "!custom is not allowed"),
        ("a: &x 1\n<<: {b: 1}\n", "2:1", "merge keys"),
        ("a: *x\n", "1:4", "names no anchor"),
        ("a: &x [1, *x]\n", "1:11", "stands inside what it names"),
        ("a: 1\n---\nb: 2\n", "2:1", "second document"),
        ("a: [1, 2\n", "2:1", "not YAML"),
        ("a: 'x\n", "2:1", "not YAML"),
        ("a:\n\t- 1\n", "2:1", "spaces, not tabs"),
        ("a: b: c\n", "1:5", "quote a value"),
        ("a: > 0\nb: 1\n", "1:6", "quotes"),
        ("a: {b: > 0}\n", "1:8", "quotes"),
        ("a: @b\n", "1:4", "quotes"),
        ("a: %b\n", "1:4", "quotes"),
        ("? [1, 2]\n: 3\n", "1:3", "a key must be a word"),
        ("'': 3\n", "1:1", "a key is missing"),
        ("", "1:1", "empty"),
        ("# only a comment\n", "1:1", "empty"),
        ("---\n", "1:1", "empty"),
        ("a: 1\nb: \x00\n", "2:4", "NUL byte"),
        ("a: \x07\n", "1:4", "control character"),
        (b"a: 1\nb: \xff\xfe\n", "2:4", "not UTF-8"),
        (b"\xff\xfea\x00", "1:1", "UTF-16"),
        (b"\x7fELF\x02\x01\x01", "1:1", "binary"),
        (b"\x89PNG\r\n\x1a\n", "1:1", "not UTF-8"),
        ("a: " + "9" * 5000, "1:4", "digits"),
        # the scanner looks ahead for a key, and from PyYAML 6.0.4 on meets its own limit of 1,000 there
        ("a: " + "[" * 100_000, f"1:{4 + MAX_DEPTH - 1}" if AHEAD is None else AHEAD, "nested"),
        ("- " * 100_000, f"1:{2 * MAX_DEPTH + 1}", "nested"),
    ],
)  # fmt: skip
def test_traps_are_mistakes_with_their_place(content: str | bytes, place: str, words: str) -> None:
    (mistake,) = said(content)
    assert mistake.startswith(f"f.yaml:{place}: ")
    assert words in mistake


def test_several_traps_are_told_together() -> None:
    assert len(said("a: 1\na: 2\nb: !!str x\n<<: {}\n")) == 3


def test_an_alias_bomb_is_refused_and_not_expanded() -> None:
    lines = ["a0: &a0 [x, x, x, x, x, x, x, x, x, x]"]
    lines += [f"a{i}: &a{i} [{', '.join([f'*a{i - 1}'] * 10)}]" for i in range(1, 12)]
    (mistake,) = said("\n".join(lines))
    assert "aliases" in mistake


def test_a_chain_of_aliases_cannot_be_deep() -> None:
    lines = ["a0: &a0 [x]"] + [f"a{i}: &a{i} [*a{i - 1}]" for i in range(1, 60)]
    (mistake,) = said("\n".join(lines))
    assert "nested" in mistake


def test_a_folder_a_missing_file_and_a_huge_one(tmp_path: Path) -> None:
    (mistake,) = read_file(tmp_path).mistakes
    assert "is a folder" in str(mistake)
    (mistake,) = read_file(tmp_path / "gone.yaml").mistakes
    assert str(mistake) == f"{tmp_path}/gone.yaml: no such file"
    huge = tmp_path / "huge.yaml"
    with huge.open("wb") as stream:
        stream.truncate(100 * 2**20)  # sparse: takes no space
    (mistake,) = read_file(huge).mistakes
    assert f"{MAX_BYTES:,}" in str(mistake)
    (mistake,) = read_file("nul\0byte").mistakes
    assert "cannot be read" in str(mistake)


@pytest.mark.skipif(os.name != "posix", reason="there are no named pipes here")
def test_a_device_is_read_no_further_than_the_limit() -> None:
    (mistake,) = read_file("/dev/zero").mistakes
    assert "longer" in str(mistake)


@given(st.binary(max_size=200))
def test_no_bytes_make_it_fail(content: bytes) -> None:
    source = read_bytes(content, "f")
    assert (source.data is not None) or source.mistakes


@given(st.text(alphabet="ab:-[]{}&*!|>'\"#%@?, \n\t0.~<", max_size=60))
def test_no_yaml_like_text_makes_it_fail(text: str) -> None:
    for mistake in read_bytes(text.encode(), "f").mistakes:
        assert mistake.line >= 1
        assert mistake.column >= 1


def test_a_value_on_the_command_line_is_yaml_too() -> None:
    assert read_value("30s") == "30s"
    assert read_value("[a, 1, no]") == ["a", 1, "no"]
    assert read_value("") is None
    with pytest.raises(ValueError, match="not YAML"):
        read_value("> 0")

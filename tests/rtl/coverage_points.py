"""What Verilator's coverage.dat says: points of lines, branches and toggles, by file."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple


class Point(NamedTuple):
    """A place that a run can meet.  *kind*: line, branch or toggle."""

    file: str
    line: int
    kind: str
    what: str
    count: int


def points(data: Path) -> list[Point]:
    """The points of a run, of all instances of a module together."""
    found: dict[tuple[str, int, str, str], int] = {}
    for text in data.read_text(encoding="utf-8").splitlines():
        if text.startswith("C '"):
            body, count = text[3:].rsplit("' ", 1)
            fields = dict(part.split("\x02", 1) for part in body.split("\x01") if "\x02" in part)
            kind = fields["page"].split("/")[0].removeprefix("v_")
            place = (Path(fields["f"]).name, int(fields["l"]), kind, fields.get("o", ""))
            found[place] = found.get(place, 0) + int(count)
    return [Point(*place, count) for place, count in found.items()]


def share(of: list[Point], kinds: tuple[str, ...]) -> str:
    """Such as 'blp_table.v 98/100'."""
    lines = []
    for file in sorted({point.file for point in of}):
        mine = [point for point in of if point.file == file and point.kind in kinds]
        if mine:
            lines.append(f"{file} {sum(point.count > 0 for point in mine)}/{len(mine)}")
    return ", ".join(lines)

"""Waves of many ends in one file (Icarus writes one), parted into a file for each end.

Source: IEEE Std 1364-2005, clause 18 (value change dumps).
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Final

# The scopes of `cosim.v` that number an end, and that is what it has to show.
_ENDS: Final = re.compile(r"g_ends\[(\d+)\]")
_LINK: Final = "link"


def part(whole: Path, files: Sequence[Path]) -> None:
    """Write to each of *files*, one an end, the waves of that end in *whole*, as from a top called `link`."""
    with ExitStack() as stack:
        lines = stack.enter_context(whole.open(encoding="ascii"))
        out = [stack.enter_context(path.open("w", encoding="ascii")) for path in files]
        for file in out:
            file.write("$timescale 1ps $end\n")
        holders: dict[str, list[int]] = {}  # code -> the files that have it
        depth, inside, end = 0, 0, -1  # of scopes; where the present link began (0: nowhere); which it is
        for line in lines:
            words = line.split()
            if not words:
                continue
            if words[0] == "$scope":
                depth += 1
                if numbered := _ENDS.fullmatch(words[2]):
                    end = int(numbered[1])
                if not inside and words[2] == _LINK:
                    inside = depth
            elif words[0] == "$var" and inside:
                holders.setdefault(words[3], []).append(end)
            if inside:
                out[end].write(line)
            if words[0] == "$upscope":
                if depth == inside:
                    inside = 0
                depth -= 1
            elif words[0] == "$enddefinitions":
                break
        for file in out:
            file.write("$enddefinitions $end\n")
        told = [""] * len(out)  # the time that each file has reached
        now = ""
        for line in lines:
            if line[0] == "#":
                now = line
            elif line[0] != "$":
                code = line.split()[1] if line[0] in "bBrR" else line[1:].rstrip()
                for end in holders.get(code, ()):
                    if told[end] is not now:
                        out[end].write(now)
                        told[end] = now
                    out[end].write(line)

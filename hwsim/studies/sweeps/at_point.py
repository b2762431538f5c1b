"""The topology as it is at one point of a grid: the file, with the point's values set as `--set` would set them.

Its cases and expectations are left out: a sweep runs the topology alone, and asks nothing of it.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from hwsim.topology.loading import Loaded, load_source
from hwsim.topology.yaml_source import read_file


def load_point(path: str | os.PathLike[str], values: Mapping[str, Any]) -> Loaded:
    """The topology at *path* with *values* set, or every mistake; never raises for what a user can write."""
    source = read_file(path)
    if isinstance(source.data, dict):
        for section in ("cases", "expect"):
            source.data.pop(section, None)
            source.marks.forget((section,))
    return load_source(source, list(values.items()), None)

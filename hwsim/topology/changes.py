"""Changes to a topology's plain data before it is validated: `--set key.path=value`, and the `set` of a case.

Keys hold no dots, so a path is parted at its dots; what stands below `expect` (and below a case's `set`) is one
key with dots of its own.  A number in a path counts the items of a list from 0.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from hwsim.errors import Mistake
from hwsim.topology.document import nearest
from hwsim.topology.yaml_source import Marks, Path, Place, read_value


class ChangeRefused(Exception):
    """A change that cannot be made: what is wrong, and what to write."""

    def __init__(self, problem: str, remedy: str = "") -> None:
        super().__init__(problem)
        self.problem, self.remedy = problem, remedy


def parse(text: str) -> tuple[str, Any]:
    """Read `key.path=value`; the value is YAML.  Raises ChangeRefused."""
    key, equals, value = text.partition("=")
    if not equals or not key.strip():
        raise ChangeRefused("is not key.path=value", "write such as --set workload.interval=30s")
    try:
        return key.strip(), read_value(value)
    except ValueError as error:
        raise ChangeRefused(f"the value {value.strip()!r}: {error}", "quote it for YAML, such as '\"== 0\"'") from None


def parts(key: str) -> list[str]:
    """The steps of a key path.  Raises ChangeRefused."""
    steps = key.split(".")
    if any(not step for step in steps):
        raise ChangeRefused(f"'{key}' has an empty step", "write key.path with one dot between keys")
    for index, step in enumerate(steps):
        under_case = index >= 2 and steps[0] == "cases" and step in ("set", "expect")
        if ((step == "expect" and index == 0) or under_case) and len(steps) > index + 2:
            return [*steps[: index + 1], ".".join(steps[index + 1 :])]
    return steps


def apply(
    data: Any, marks: Marks, key: str, value: Any, place: Place, *, given: Marks | None = None, given_path: Path = ()
) -> None:
    """Set what *key* leads to in *data* to *value*, which stands at *place*; `given` tells where its inside stands.

    Raises ChangeRefused where the path leads nowhere.
    """
    path = _resolve(data, parts(key))
    before = _get(data, path)
    value = copy.deepcopy(value)
    parent: Any = data
    for position, step in enumerate(path[:-1]):
        if isinstance(parent, dict) and parent.get(str(step)) is None:
            parent[str(step)] = {}
            here = path[: position + 1]
            marks.keys[here] = marks.values[here] = place
        parent = parent[step]
    parent[path[-1]] = value
    marks.forget(path)
    marks.values[path] = place
    marks.keys[path] = place
    if given is not None:
        for inside, source in ((given.keys, marks.keys), (given.values, marks.values)):
            for known, where in list(inside.items()):
                if known[: len(given_path)] == given_path and len(known) > len(given_path):
                    source[(*path, *known[len(given_path) :])] = where
    if path in (("protocol", "kind"), ("workload", "kind")) and isinstance(before, str) and before != value:
        _drop_keys_of(data[path[0]], str(path[0]), before, value)


def _resolve(data: Any, steps: list[str]) -> Path:
    """The path that *steps* mean in *data*; the last steps may be new keys of mappings."""
    path: list[str | int] = []
    here = data
    for index, step in enumerate(steps):
        so_far = ".".join(steps[:index])
        if isinstance(here, list):
            if not step.isdecimal() or not int(step) < len(here):
                raise ChangeRefused(
                    f"'{so_far}' is a list of {len(here)}, and '{step}' is no item of it",
                    f"write a number of 0 to {len(here) - 1}" if here else "the list is empty",
                )
            path.append(int(step))
            here = here[int(step)]
        elif isinstance(here, dict) or here is None:
            known = here if isinstance(here, dict) else {}
            path.append(step)
            here = known.get(step)
        else:
            raise ChangeRefused(f"'{so_far}' is a single value, and has no '{step}' in it", f"set '{so_far}' itself")
    return tuple(path)


def _get(data: Any, path: Path) -> Any:
    for step in path:
        if isinstance(data, dict):
            data = data.get(str(step))
        elif isinstance(data, list) and isinstance(step, int):
            data = data[step]
        else:
            return None
    return data


def _drop_keys_of(section: dict[str, Any], which: str, before: str, after: Any) -> None:
    """The kind changed: what only the old kind knows goes with it; what neither knows stays, to be named."""
    from hwsim.topology.document import key_names
    from hwsim.topology.registries import protocol_kinds, workload_kinds

    kinds: Mapping[str, Any] = protocol_kinds() if which == "protocol" else workload_kinds()
    if before not in kinds or not isinstance(after, str) or after not in kinds:
        return
    for key in set(key_names(kinds[before])) - set(key_names(kinds[after])):
        section.pop(key, None)


def refused(what: str, problem: ChangeRefused, place: Place, data: Any) -> Mistake:
    """The mistake that a refused change is."""
    top = what.split(".", 1)[0].split("=", 1)[0]
    near = nearest(top, data) if isinstance(data, dict) and top not in data else None
    remedy = problem.remedy or (f"did you mean '{near}'?" if near else "")
    return Mistake(*place, what, problem.problem, remedy)

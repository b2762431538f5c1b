"""The transition table as people read it: a grid of states and events, Markdown, Graphviz."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from hwsim.bilateral.table import ACTS, TABLE, WRITES, Event, Row, State

if TYPE_CHECKING:
    from rich.table import Table

# Where a write leads, for pictures only: the machine derives the state from the register.
_AFTER_WRITE = {
    "pair": State.WAIT, "offer": State.OFFERED, "accept": State.WAIT, "accept_give": State.WAIT, "reject": State.WAIT,
    "cross": State.WAIT, "format": State.DOWN,
}  # fmt: skip


def grid() -> Table:
    """Events down, states across; each cell: under which observables, what is written, what is done."""
    from rich.table import Table
    from rich.text import Text

    table = Table(show_lines=True, title="The bilateral link: what happens, by event and state", title_justify="left")
    table.add_column("event")
    for state in State:
        table.add_column(state.upper())
    for event in Event:
        cells = ["\n".join(_cell(row) for row in _rows(event, state)) or "-" for state in State]
        table.add_row(event, *(Text(cell) for cell in cells))
    return table


def markdown() -> str:
    """Every row in Markdown, then what the writes and acts mean."""
    lines = ["| row | event | states | when | writes | then |", "| --- | --- | --- | --- | --- | --- |"]
    for row in TABLE:
        states = "any" if set(row.states) == set(State) else ", ".join(state.upper() for state in row.states)
        then = ", ".join(row.acts) or (f"drop ({row.drop})" if row.drop else "-")
        lines.append(f"| {row.name} | {row.event} | {states} | {_when(row) or '-'} | {row.write or '-'} | {then} |")
    lines += ["", "| write | sets |", "| --- | --- |"]
    lines += [
        f"| {name} | {', '.join(f'{field} := {source}' for field, source in sets.items())} |"
        for name, sets in WRITES.items()
    ]
    lines += ["", "| act | meaning |", "| --- | --- |", *(f"| {name} | {meaning} |" for name, meaning in ACTS.items())]
    return "\n".join(lines)


def dot() -> str:
    """The states as a directed graph for Graphviz; an edge is a row that leads elsewhere, or writes."""
    lines = ["digraph bilateral {", "  rankdir=LR; node [shape=box, style=rounded];"]
    lines += [f'  {state} [label="{state.upper()}"];' for state in State if state is not State.WRITING]
    edges: dict[tuple[State, State], list[str]] = {}
    for row in TABLE:
        for state in row.states:
            if state is State.WRITING:
                continue  # every write passes through it
            for after in _after(row, state):
                if after is not state or row.write:
                    edges.setdefault((state, after), []).append(row.name)
    for (before, after), names in edges.items():
        label = "\\n".join(names)
        lines.append(f'  {before} -> {after} [label="{label}"];')
    return "\n".join([*lines, "}"])


def _rows(event: Event, state: State) -> Iterator[Row]:
    return (row for row in TABLE if row.event is event and state in row.states)


def _cell(row: Row) -> str:
    does = [f"write {row.write}"] if row.write else []
    does += row.acts or ([f"drop ({row.drop})"] if row.drop else [])
    when = _when(row)
    return f"{when}: {', '.join(does) or '-'}" if when else ", ".join(does) or "-"


def _when(row: Row) -> str:
    return "; ".join(f"{name} {'/'.join(values)}" for name, values in row.when.items())


def _after(row: Row, state: State) -> tuple[State, ...]:
    acts = row.acts
    if "forget" in acts or "link_down" in acts:
        return (State.DOWN,)
    if "fence" in acts:
        return (State.FENCED,)
    if "link_up" in acts and state is State.DOWN:
        return State.UNPAIRED, State.WAIT, State.OFFERED
    if "hear" in acts:
        return (State.READY,)
    if row.write in _AFTER_WRITE:
        return (_AFTER_WRITE[row.write],)
    return (state,)

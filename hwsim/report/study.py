"""A study on a terminal, as Markdown, and as an HTML page that needs no network: question, answer, plot, front, table.

All of it is drawn from the content of `study.json` alone, so a study that was stopped is told as far as it went.
"""

from __future__ import annotations

import json
import math
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hwsim.report.figures import Figure, base_axis, base_layout
from hwsim.report.html import render
from hwsim.report.words import duration, number, percent

TEMPLATE = "study.html.j2"
Told = Mapping[str, Any]

_COLOURS = ("#3b7dbd", "#c8442d", "#2e7d5b", "#a98bc9", "#f0a030", "#5b3a29", "#767d86", "#8c2d5f")
_SYMBOLS = ("circle", "square", "diamond", "triangle-up", "x", "cross", "star", "pentagon")
_DASHES = ("solid", "dash", "dot", "dashdot")
_MOST_ROWS = 500  # of the table on a page
_MOST_LINES = 40  # of the table on a terminal


def page(told: Told) -> str:
    """The report as one HTML file."""
    figures = {}
    note = ""
    if told.get("plot") and any(told["plot"]["lines"]):
        figures["plot"], note = plot(told)
    if told.get("pareto"):
        figures["front"] = front(told)
    chosen = told.get("plot") or {}
    title = f"{label(told, chosen['y'])} over {label(told, chosen['x'])}" if chosen else ""
    columns, rows = table(told, _MOST_ROWS)
    return render(
        TEMPLATE,
        {
            "told": told,
            "figures": figures,
            "plot_title": title[:1].upper() + title[1:],
            "plot_note": note,
            "columns": columns,
            "table": rows,
            "shown": len(rows),
            "keys": len(_varying(told)),
            "grid": [(key, ", ".join(map(_shown, values))) for key, values in told["grid"].items()],
        },
    )


def plot(told: Told) -> tuple[Figure, str]:
    """One line for each value of `by`, with its intervals; and what the caption says.

    Of two keys the first one has the colours, the second one the symbols and dashes.
    """
    chosen = told["plot"]
    measures = chosen["measures"]
    is_time = measures == "duration"
    every = [x for line in chosen["lines"] for x in line["x"]]
    numeric = all(isinstance(x, int | float) for x in every)
    wide = numeric and min(every) > 0 and max(every) / min(every) > 20
    data = []
    places = _places([line["by"] for line in chosen["lines"]])
    for line, (colours, symbol, dash) in zip(chosen["lines"], places, strict=True):
        colour = _COLOURS[colours % len(_COLOURS)]
        widths = [width or 0.0 for width in line["half_width"]]
        data.append(
            {
                "type": "scatter", "mode": "lines+markers", "name": line["name"] or label(told, chosen["y"]),
                "x": line["x"], "y": line["y"],
                "line": {"color": colour, "width": 1.8, "dash": _DASHES[dash % len(_DASHES)]},
                "marker": {"color": colour, "size": 8, "symbol": _SYMBOLS[symbol % len(_SYMBOLS)]},
                "error_y": {"type": "data", "array": widths, "visible": any(widths), "color": colour, "thickness": 1.3},
                "customdata": [
                    [_value(chosen["x"], x, measures), _value(chosen["y"], y, ""), _plus_minus(chosen["y"], width)]
                    for x, y, width in zip(line["x"], line["y"], line["half_width"], strict=True)
                ],
                "hovertemplate": "%{customdata[0]}: %{customdata[1]}%{customdata[2]}<extra></extra>",
            }
        )  # fmt: skip
    layout = base_layout(420 + 20 * ((len(data) + 1) // 2))
    layout["xaxis"] = base_axis(label(told, chosen["x"]) + (" (logarithmic)" if wide else ""))
    if wide:
        layout["xaxis"]["type"] = "log"
    if not numeric:
        layout["xaxis"]["type"] = "category"
    elif is_time:
        where, names = _time_ticks(sorted(set(every)))
        layout["xaxis"] |= {"tickvals": where, "ticktext": names}
    ys = [y for line in chosen["lines"] for y in line["y"]]
    steep = min(ys) > 0 and max(ys) / min(ys) > 10
    layout["yaxis"] = base_axis(label(told, chosen["y"]) + (" (logarithmic)" if steep else ""))
    if steep:
        where = _steps(min(ys), max(ys))
        layout["yaxis"] |= {"type": "log", "tickvals": where, "ticktext": [_value(chosen["y"], at, "") for at in where]}
    if _is_share(chosen["y"]):
        layout["yaxis"]["tickformat"] = ",.3~%"
    layout["showlegend"] = len(data) > 1
    layout["legend"]["title"] = {"text": ", ".join(label(told, key) for key in chosen["by"]), "font": {"size": 12}}
    uncertain = any(width is not None for line in chosen["lines"] for width in line["half_width"])
    return {"data": data, "layout": layout}, (
        "Bars are Student's 95% confidence intervals of the means over repeats."
        if uncertain
        else "One run a point: exact for its timeline, and silent about others."
    )


def _places(by: Sequence[Sequence[str]]) -> list[tuple[int, int, int]]:
    """Which colour, symbol and dash each line has."""
    if not all(len(names) == 2 for names in by):
        return [(index, index, index // len(_COLOURS)) for index in range(len(by))]
    first, second = (list(dict.fromkeys(names[key] for names in by)) for key in (0, 1))
    return [(first.index(one), second.index(other), second.index(other)) for one, other in by]


def front(told: Told) -> Figure:
    """Every point in the plane of the two keys, those that no other beats joined."""
    x, y = told["pareto"]["keys"]
    best = set(told["pareto"]["front"])
    placed = [
        (point["record"][x]["mean"], point["record"][y]["mean"], _where(told, point), point["point"] in best)
        for point in told["points"]
        if isinstance(point["record"][x], Mapping) and isinstance(point["record"][y], Mapping)
    ]
    chosen = sorted((entry for entry in placed if entry[3]), key=lambda entry: entry[:2])
    others = [entry for entry in placed if not entry[3]]
    data = []
    for name, entries, mode, colour in (
        ("beaten by another", others, "markers", "#b9bec5"),
        ("on the front", chosen, "lines+markers", "#2a6cad"),
    ):
        data.append(
            {
                "type": "scatter", "mode": mode, "name": name, "x": [entry[0] for entry in entries],
                "y": [entry[1] for entry in entries], "marker": {"color": colour, "size": 9},
                "line": {"color": colour, "width": 1.4, "shape": "hv"},
                "customdata": [[_value(x, e[0], ""), _value(y, e[1], ""), e[2]] for e in entries],
                "hovertemplate": "%{customdata[2]}<br>%{customdata[0]}, %{customdata[1]}<extra></extra>",
            }
        )  # fmt: skip
    layout = base_layout(380)
    layout["xaxis"], layout["yaxis"] = base_axis(label(told, x)), base_axis(label(told, y))
    for axis, key in (("xaxis", x), ("yaxis", y)):
        if _is_share(key):
            layout[axis]["tickformat"] = ",.3~%"
    return {"data": data, "layout": layout}


def table(told: Told, most: int, *, labelled: bool = True) -> tuple[list[str], list[list[str]]]:
    """Names of columns, and the cells of at most so many points; without labels they are the keys and values.

    Keys that have one value alone are left out.
    """

    def named(word: str) -> str:
        return label(told, word) if labelled else word

    keys = _varying(told)
    columns = [*(named(key) for key in keys), "runs", *(named(key) for key in told["record"])]
    if told.get("pareto"):
        columns.append("front")
    rows = []
    for point in told["points"][:most]:
        cells = [named(_shown(point["values"][key])) for key in keys]
        cells.append(str(point["repeats"]))
        cells += [_estimate(key, point["record"][key]) for key in told["record"]]
        if told.get("pareto"):
            cells.append("*" if point["pareto"] else "")
        rows.append(cells)
    return columns, rows


def text(told: Told, width: int = 100) -> str:
    """The question, the answer and the points, for a terminal."""
    lines = [told["study"], *textwrap.wrap(told["question"], width), ""]
    lines += textwrap.wrap(told["answer"], width)
    columns, rows = table(told, _MOST_LINES, labelled=False)
    lines += ["", *_aligned([columns, *rows])]
    if len(told["points"]) > len(rows):
        lines.append(f"... and {len(told['points']) - len(rows):,} more points, in study.json")
    lines += ["", f"{told['runs']:,} runs; {told['method']}."]
    if not told["complete"]:
        lines.append(f"Unfinished: at least {told['left']:,} runs are left, and the same command goes on.")
    return "\n".join(line.rstrip() for line in lines)


def markdown(told: Told) -> str:
    """The same as Markdown."""
    columns, rows = table(told, _MOST_LINES, labelled=False)
    lines = [f"### {told['study']}", "", f"*{told['question']}*", "", told["answer"], ""]
    lines += [_row(columns), _row(["---"] * len(columns)), *map(_row, rows)]
    if len(told["points"]) > len(rows):
        lines += ["", f"... and {len(told['points']) - len(rows):,} more points."]
    if not told["complete"]:
        lines += ["", f"Unfinished: at least {told['left']:,} runs are left."]
    return "\n".join(lines)


def _varying(told: Told) -> list[str]:
    """The keys of the grid that have more than one value; all of them where none has."""
    return [key for key, values in told["grid"].items() if len(values) > 1] or list(told["grid"])


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _aligned(rows: Sequence[Sequence[str]]) -> Iterator[str]:
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))


def _where(told: Told, point: Told) -> str:
    return ", ".join(
        f"{label(told, key)} = {label(told, _shown(value))}"
        for key, value in point["values"].items()
        if len(told["grid"][key]) > 1
    )


def label(told: Told, word: str) -> str:
    """*word*, or what the study calls it."""
    return str(told["labels"].get(word, word))


def _shown(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _is_share(key: str) -> bool:
    return key.endswith("_share") or key == "ettr"


def _value(key: str, value: Any, measures: str) -> str:
    if not isinstance(value, int | float) or isinstance(value, bool):
        return str(value)
    if _is_share(key):
        return percent(value)
    if measures == "duration" or "_s." in key or key.endswith("_s"):
        return duration(value)
    return number(value if float(value).is_integer() else float(f"{value:.4g}"))


def _plus_minus(key: str, half_width: float | None) -> str:
    return "" if half_width is None else f" ± {_value(key, half_width, '')}"


def _estimate(key: str, found: Any) -> str:
    if isinstance(found, Mapping):
        return _value(key, found["mean"], "") + _plus_minus(key, found["half_width"])
    return "" if found is None else str(found)


def _steps(least: float, most: float) -> list[float]:
    """1, 2 and 5 of every power of ten, from the last one below *least* to the first one above *most*."""
    low, high = math.floor(math.log10(least)), math.ceil(math.log10(most))
    steps = [float(f"{digit}e{power}") for power in range(low, high + 1) for digit in (1, 2, 5)]
    first = max(index for index, step in enumerate(steps) if step <= least)
    last = min(index for index, step in enumerate(steps) if step >= most)
    return steps[first : last + 1]


def _time_ticks(values: Sequence[float], most: int = 12) -> tuple[list[float], list[str]]:
    """Ticks at the values themselves, some of them where they are many."""
    step = max(1, -(-len(values) // most))
    chosen = list(values[::step])
    return chosen, [duration(value) for value in chosen]

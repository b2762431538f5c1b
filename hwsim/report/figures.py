"""The report's pictures, as plain plotly figures: dictionaries of `data` and `layout`, equal for equal input.

Colours tell states apart for colour-blind eyes too, and patterns do so in print: blue is well, red is half-written,
orange is mixed, violet is in doubt, grey is dark or absent.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from hwsim.contents import TORN
from hwsim.crash_timeline import INDETERMINATE
from hwsim.report import words
from hwsim.report.history import (
    GONE,
    MOST_STRETCHES,
    Checkpoint,
    History,
    Row,
    Window,
    binned,
    lost_band,
    lost_work,
    strip,
)

Figure = dict[str, Any]

RAW_STYLE = {  # colour, pattern
    "uniform": ("#3b7dbd", ""),
    "mixed": ("#f0a030", "/"),
    "torn": ("#c8442d", "x"),
    "indeterminate": ("#a98bc9", "."),
    "dark": ("#b9bec5", ""),
}
OUTCOME_STYLE = {
    "correct_latest": ("#3b7dbd", ""),
    "correct_older": ("#93bfe4", ""),
    "refused": ("#d5d9de", ""),
    "hang": ("#9aa1a9", "-"),
    "crash_loop": ("#767d86", "-"),
    "lost_committed": ("#8c2d5f", "\\"),
    "silent_restart": ("#5b3a29", "|"),
    "silent_corrupt": ("#c8442d", "x"),
    "silent_mixed": ("#f0a030", "/"),
}
_CHECKPOINT_SHADES = ("#8cc7ae", "#3d8f73", "#bfe0d1", "#25614d")  # neighbours differ
_SHORT = {  # what fits into a bar
    "uniform": "one checkpoint", "indeterminate": "in doubt", "dark": "down", "correct_latest": "the newest",
    "correct_older": "an older one", "refused": "refuses", "hang": "hangs", "crash_loop": "crashes",
    "lost_committed": "lost", "silent_restart": "from nothing", "silent_corrupt": "half-written",
    "silent_mixed": "a mixture",
}  # fmt: skip
_INITIAL, _INK, _FAINT, _GOOD, _ALARM = "#e9ecef", "#1f2933", "#dfe3e8", "#2e7d5b", "#b3261e"
_FONT = "system-ui, -apple-system, 'Segoe UI', Roboto, 'Helvetica Neue', Arial, sans-serif"
_LEGENDS = ("legend", "legend2")  # of a close-up: its strips, its rows
_MOST_MARKS = 60  # crashes drawn one by one
_MOST_POINTS = 1200
_PS = 10**12


def shares(cases: Mapping[str, Mapping[str, Any]], section: str) -> Figure:
    """Stacked bars, one a case; *cases* maps a label to something with `raw` and `recovered`."""
    style = RAW_STYLE if section == "raw" else OUTCOME_STYLE
    names = words.RAW if section == "raw" else words.OUTCOMES
    found = {
        label: dict(words.raw_shares(case["raw"]) if section == "raw" else words.outcome_shares(case["recovered"]))
        for label, case in cases.items()
        if case.get(section)
    }
    labels = list(found)
    data = []
    for name in names:
        values = [found[label].get(name, 0.0) for label in labels]
        if not any(values):
            continue
        colour, pattern = style[name]
        data.append(
            {
                "type": "bar",
                "orientation": "h",
                "name": names[name],
                "y": labels,
                "x": [_round(100 * value) for value in values],
                "text": [words.percent(value) if value >= 0.06 else "" for value in values],
                "customdata": [words.percent(value) for value in values],
                "textposition": "inside",
                "insidetextanchor": "middle",
                "textangle": 0,
                "textfont": {"color": _on(colour), "size": 12},
                "marker": _marker(colour, pattern),
                "hovertemplate": "%{y}<br>" + names[name] + ": %{customdata}<extra></extra>",
            }
        )
    height = 92 + 34 * len(labels) + 20 * ((len(data) + 1) // 2)
    layout = base_layout(height, barmode="stack", bargap=0.35)
    layout["xaxis"] = base_axis("share of the time, %", range=[0, 100])
    layout["yaxis"] = {"autorange": "reversed", "automargin": True, "ticksuffix": "  ", "fixedrange": True}
    layout["legend"] |= {"traceorder": "normal"}
    return {"data": data, "layout": layout}


def close_up(history: History, window: Window) -> tuple[Figure, str]:
    """What every part would hold after the crash, with what a crash would find above; and a note for the caption."""
    rows, note = history.rows(window)
    unit, scale = time_unit(window.end - window.begin)

    def x(time_ps: int) -> float:
        return _round((time_ps - window.zero_ps) / scale, 9)

    cut = [s for s in history.stretches if s.begin < window.end and s.end > window.begin]
    strips = [
        (label, [(max(b, window.begin), min(e, window.end), name) for b, e, name in strip(cut, key)], style, names)
        for label, key, style, names in (
            ("<b>a crash finds</b>", "raw", RAW_STYLE, words.RAW),
            ("<b>recovery gives</b>", "outcome", OUTCOME_STYLE, words.OUTCOMES),
        )
    ]
    bars = _Bars(x, unit)
    for number, (_, spans, style, names) in enumerate(strips):
        for begin, end, name in spans:
            where = (begin, end, number, 0.78)
            bars.add(("strip", name, number), names[name], style[name], where, names[name], _SHORT.get(name, name))
    shown = {epoch for row in rows for _, _, epoch in row.spans if epoch > 0}
    for number, row in enumerate(rows, start=3):
        what = f"{row.device}, {row.label}"
        for begin, end, state in row.spans:
            name, style_ = _state(state)
            short = str(state) if state > 0 else "torn" if state == TORN else ""
            bars.add(("part", name), name, style_, (begin, end, number, 0.78), f"{what}<br>{name}", short)
        for begin, end, epoch, stage in row.writes:
            colour = _INK if stage == "being written" else "#7d8791"
            told = f"{what}<br>checkpoint {epoch} {stage}"
            bars.add(("stage", stage), stage, (colour, ""), (begin, end, number + 0.3, 0.16), told, "")
    count = len(rows) + 3
    pitch = 26 if count <= 16 else 18 if count <= 30 else 14
    body = pitch * count
    traces = bars.traces()
    below = [52 + 24 * _lines(t["name"] for t in traces if t["legend"] == key and t["showlegend"]) for key in _LEGENDS]
    height = body + 64 + sum(below) - 30
    ticks = [0, 1, *range(3, count)]
    names_ = [label for label, *_ in strips] + [_row_label(row, rows) for row in rows]
    layout = base_layout(height, barmode="overlay")
    layout["xaxis"] = base_axis(f"{unit} since {window.zero}", range=[x(window.begin), x(window.end)])
    layout["yaxis"] = {
        "range": [count - 0.4, -0.6], "tickvals": ticks, "ticktext": names_, "automargin": True, "ticksuffix": "  ",
        "showgrid": False, "fixedrange": True, "zeroline": False,
        "tickfont": {"size": 12 if pitch > 14 else 10},
    }  # fmt: skip
    shapes = [
        _shade(x(max(s.begin, window.begin)), x(min(s.end, window.end)), RAW_STYLE[s.raw][0], "paper")
        for s in cut
        if s.raw in ("mixed", "torn", "indeterminate")
    ]
    marks: list[tuple[float, str, str, str]] = []
    for checkpoint in history.checkpoints:
        if window.begin <= checkpoint.begun < window.end:
            marks.append((x(checkpoint.begun), f"{checkpoint.epoch} begins", _INK, "dot"))
        if checkpoint.committed is not None and window.begin <= checkpoint.committed < window.end:
            marks.append((x(checkpoint.committed), f"{checkpoint.epoch} acknowledged", _GOOD, "solid"))
    for happened, text, colour, dash in (
        (history.strikes, "crash", _ALARM, "solid"), (history.recoveries, "recovered", _GOOD, "dash"),
        (history.resumed, "training goes on", _GOOD, "dash"),
    ):  # fmt: skip
        marks += [(x(m.time_ps), text, colour, dash) for m in happened if window.begin <= m.time_ps < window.end]
    layout["shapes"] = _thin(shapes, 200) + [_line(at, colour, dash) for at, _, colour, dash in marks[:_MOST_MARKS]]
    layout["annotations"] = _labels(marks[:12], x(window.begin), x(window.end))
    layout["margin"] |= {"t": 64, "b": sum(below) - 30}
    layout["uniformtext"] = {"minsize": 9, "mode": "hide"}
    for key, text, down in zip(_LEGENDS, ("<b>above:</b>", "<b>rows:</b>"), (46, below[0]), strict=True):
        title = {"text": text, "side": "left"}
        layout[key] = {**layout["legend"], "y": -down / body, "yanchor": "top", "title": title}
    if not shown:
        note = (note + " No checkpoint was whole anywhere in this window.").strip()
    return {"data": traces, "layout": layout}, note


def whole_run(history: History) -> tuple[Figure, str]:
    """The whole window judged: what a crash finds, what recovery makes of it, work lost, checkpoints, faults."""
    unit, scale = time_unit(history.end)

    def x(time_ps: int) -> float:
        return _round(time_ps / scale, 9)

    data: list[Figure] = []
    note = ""
    width = history.width()
    for key, style, names, axis in (
        ("raw", RAW_STYLE, words.RAW, "y"), ("outcome", OUTCOME_STYLE, words.OUTCOMES, "y2"),
    ):  # fmt: skip
        spans = strip(history.stretches, key)
        pieces = binned(spans, width)
        if len(pieces) < len(spans):
            note = f"Each column is {words.duration((pieces[0][1] - pieces[0][0]) / _PS)} of the run, divided exactly."
        held = {name: [(b, e, s[name]) for b, e, s in pieces if s.get(name)] for name in names}
        # The rarest first: what is drawn a pixel wide though it is less must not cover its neighbours.
        for name in sorted(names, key=lambda name: sum((e - b) * share for b, e, share in held[name])):
            if held[name]:
                data.append(_columns(held[name], names[name], style[name], axis, list(style).index(name), x))
    lost_data, lost_unit = _lost(history, x)
    data += lost_data
    for name, colour, points in (
        ("newest begun", "#93a1b0", [(c.begun, c.epoch) for c in history.checkpoints]),
        ("acknowledged", _GOOD, _restored(history)),
    ):
        kept = _thin(points, _MOST_POINTS)
        data.append(
            _curve([x(t) for t, _ in kept], [e for _, e in kept], name, colour, "y4", f"{name}: %{{y}}", step=True)
        )
    layout = base_layout(560, barmode="stack", bargap=0)
    layout["xaxis"] = base_axis(f"{unit} since the start", range=[x(history.begin), x(history.end)], anchor="y4")
    flat = {"fixedrange": True, "zeroline": False, "automargin": True, "title": {"standoff": 8}}
    plain = {**flat, "showticklabels": False, "showgrid": False}
    layout["yaxis"] = {**plain, "domain": [0.87, 1], "range": [0, 1]}
    layout["yaxis2"] = {**plain, "domain": [0.68, 0.81], "range": [0, 1]}
    grid = {**flat, "gridcolor": _FAINT, "rangemode": "tozero"}
    layout["yaxis3"] = {**grid, "domain": [0.3, 0.61], "ticksuffix": f" {lost_unit}"}
    if not lost_unit:
        layout["yaxis3"] |= {"range": [0, 1], "showticklabels": False}
    layout["yaxis4"] = {**grid, "domain": [0, 0.22], "tickformat": "d"}
    if len(history.checkpoints) < 5:
        layout["yaxis4"] |= {"dtick": 1}
    titles = ((1.0, "what a crash finds"), (0.81, "what recovery hands back"), (0.61, "work a crash would lose"),
              (0.22, "checkpoint number"))  # fmt: skip
    layout["annotations"] = [
        {"xref": "paper", "yref": "paper", "x": 0, "y": y, "xanchor": "left", "yanchor": "bottom", "showarrow": False,
         "text": f"<b>{text}</b>", "font": {"size": 12, "color": _INK}}
        for y, text in titles
    ]  # fmt: skip
    if not lost_unit:
        layout["annotations"].append(
            {"xref": "paper", "yref": "paper", "x": 0.5, "y": 0.45, "showarrow": False,
             "text": "nothing to restore, or nothing to lose"}
        )  # fmt: skip
    shapes: list[Figure] = []
    if len(history.strikes) <= _MOST_MARKS:
        shapes = [_line(x(mark.time_ps), _ALARM, "dot") for mark in history.strikes]
    elif history.strikes:
        note = (note + f" {len(history.strikes)} faults struck; too many to mark.").strip()
    shapes += [_shade(x(a), x(b), "#8b95a1", "y4 domain") for a, b in history.outages[:_MOST_MARKS]]
    layout["shapes"] = shapes
    if history.strikes and len(history.strikes) <= _MOST_MARKS:
        data.append(
            {"type": "scatter", "mode": "markers", "name": "faults", "yaxis": "y4", "cliponaxis": False,
             "x": [x(m.time_ps) for m in history.strikes], "y": [0] * len(history.strikes),
             "text": [m.label for m in history.strikes], "hovertemplate": "%{text}<extra></extra>",
             "marker": {"symbol": "triangle-up", "size": 9, "color": _ALARM}}
        )  # fmt: skip
    layout["margin"]["t"] = 34
    layout["legend"] = {**layout["legend"], "y": -0.1, "yanchor": "top"}
    _legend_once(data)
    return {"data": data, "layout": layout}, note


def _lost(history: History, x: Any) -> tuple[list[Figure], str]:
    """The work a crash would lose, as a line, or as a band where it has too many corners; and its unit, if any."""
    corners = lost_work(history.stretches)
    most = max((height or 0 for _, height in corners), default=0)
    if not most:
        return [], ""
    unit, scale = time_unit(most)
    unit = {"days": "d", "hours": "h", "minutes": "min"}.get(unit, unit)

    def y(height: int | None) -> float | None:
        return None if height is None else _round(height / scale)

    if len(corners) <= 2 * MOST_STRETCHES:
        line = _curve([x(t) for t, _ in corners], [y(h) for _, h in corners], "work lost by a crash", _INK, "y3",
                      f"%{{y:.3g}} {unit} lost", legend=False)  # fmt: skip
        return [line], unit
    band = lost_band(history.stretches, history.width())
    at = [x(t) for t, _, _ in band]
    hover = f"%{{y:.3g}} {unit}"
    least = _curve(at, [y(low) for _, low, _ in band], "least work lost", "#7d8791", "y3", "at least " + hover)
    highest = _curve(at, [y(high) for *_, high in band], "most work lost", _INK, "y3", "at most " + hover)
    return [least, highest | {"fill": "tonexty", "fillcolor": "rgba(31,41,51,0.08)"}], unit


def commit_costs(checkpoints: Sequence[Checkpoint]) -> Figure | None:
    """From begin to acknowledgement, and the standstill, of every checkpoint; None where none was acknowledged."""
    done = [c for c in checkpoints if c.committed is not None]
    if not done:
        return None
    kept = _thin(done, _MOST_POINTS)
    longest = max((c.committed or 0) - c.begun for c in kept)
    unit, scale = time_unit(max(longest, *(c.stall_ps for c in kept)))
    epochs = [c.epoch for c in kept]
    series = (
        ("begin to acknowledged", "#3b7dbd", "circle", [_round(((c.committed or 0) - c.begun) / scale) for c in kept]),
        ("training stands still", "#c8442d", "diamond", [_round(c.stall_ps / scale) for c in kept]),
    )
    data = [
        {"type": "scatter", "mode": "lines+markers" if len(kept) < 200 else "lines", "name": name, "x": epochs, "y": y,
         "line": {"color": colour, "width": 1.5}, "marker": {"size": 5, "symbol": symbol},
         "hovertemplate": f"checkpoint %{{x}}: %{{y:.4g}} {unit}<extra></extra>"}
        for name, colour, symbol, y in series
    ]  # fmt: skip
    layout = base_layout(300)
    layout["xaxis"] = base_axis("checkpoint", tickformat="d")
    layout["yaxis"] = base_axis(unit, rangemode="tozero")
    return {"data": data, "layout": layout}


def pipes(figures: Mapping[str, Mapping[str, Any]], horizon_s: float, most: int = 14) -> Figure | None:
    """The busiest pipes: the share of the run in which each carried something; None where nothing was carried."""
    used = [(name, use) for name, use in figures.items() if use.get("carried_bytes")]
    if not used or horizon_s <= 0:
        return None
    used.sort(key=lambda pair: (-pair[1].get("bound_s", 0.0), -pair[1].get("busy_s", 0.0), pair[0]))
    used = used[:most]
    total = sum(use.get("bound_s", 0.0) for use in figures.values()) or 1.0
    labels = [name for name, _ in used]
    layout = base_layout(110 + 24 * len(used), barmode="group", bargap=0.3)
    layout["xaxis"] = base_axis("%", rangemode="tozero")
    layout["yaxis"] = {"autorange": "reversed", "automargin": True, "ticksuffix": "  ", "fixedrange": True}
    data = []
    for name, colour, values in (
        ("share of all waiting that it causes", "#c8442d", [use.get("bound_s", 0.0) / total for _, use in used]),
        ("share of the run in which it is busy", "#93bfe4", [use.get("busy_s", 0.0) / horizon_s for _, use in used]),
    ):
        data.append(
            {"type": "bar", "orientation": "h", "name": name, "y": labels, "x": [_round(100 * v) for v in values],
             "marker": _marker(colour, ""), "customdata": [words.percent(min(v, 1.0)) for v in values],
             "hovertemplate": "%{y}<br>" + name + ": %{customdata}<extra></extra>"}
        )  # fmt: skip
    return {"data": data, "layout": layout}


def trade_off(protocols: Mapping[str, Mapping[str, Any]]) -> Figure:
    """What each protocol costs against what it risks: a disc each, the larger the more messages a checkpoint takes.

    *protocols* maps a name to its figures, as a comparison has them; those that acknowledged nothing are left out.
    Where discs lie upon each other the smaller are in front, and all names stand beside them.
    """
    found = {name: one for name, one in protocols.items() if one["checkpoints"]["commit_latency_s"]}
    latencies = {name: one["checkpoints"]["commit_latency_s"]["mean"] for name, one in found.items()}
    right = max(latencies.values(), default=0.0) or 1.0
    unit, span_ps = time_unit(round(right * _PS))
    most = max((one["messages_per_checkpoint"] for one in found.values()), default=0.0) or 1.0
    top = 100 * max((one["recovered"]["unsafe_share"] for one in found.values()), default=0.0) or 1.0
    labels: dict[tuple[int, int], list[str]] = {}
    data: list[Figure] = []
    for name, one in sorted(found.items(), key=lambda item: -item[1]["messages_per_checkpoint"]):
        unsafe, messages = one["recovered"]["unsafe_share"], one["messages_per_checkpoint"]
        spot = round(10 * latencies[name] / right), round(10 * 100 * unsafe / top)
        labels.setdefault(spot, []).append(name)
        data.append(
            {
                "type": "scatter", "mode": "markers+text", "name": name, "text": labels[spot], "showlegend": False,
                "x": [_round(latencies[name] * _PS / span_ps)], "y": [_round(100 * unsafe)],
                "textposition": "middle left" if 2 * latencies[name] > right else "middle right", "cliponaxis": False,
                "marker": {"size": 12 + 24 * (messages / most) ** 0.5, "opacity": 0.7,
                           "symbol": "x" if unsafe else "circle", "color": _ALARM if unsafe else _GOOD},
                "hovertemplate": f"{name}: {words.duration(latencies[name])} to the acknowledgement, recovery unsafe "
                f"{words.percent(unsafe)}, {messages:.4g} messages<extra></extra>",
            }
        )  # fmt: skip
    for point in data:
        names = sorted(point["text"])
        lines = [", ".join(names[i : i + 4]) for i in range(0, len(names), 4)]
        point["text"] = [f"  {',<br>  '.join(lines)}  " if point["name"] == point["text"][0] else ""]
    layout = base_layout(420)
    reach = [0, _round(1.15 * right * _PS / span_ps)]
    layout["xaxis"] = base_axis(f"from begin to acknowledged, on average, {unit}", range=reach)
    height = [_round(-0.1 * top), _round(min(1.3 * top, 106))]
    layout["yaxis"] = base_axis("recovery unsafe, % of the time", range=height)
    return {"data": data, "layout": layout}


def time_unit(span_ps: int) -> tuple[str, int]:
    """The unit that suits an axis of this length, and its picoseconds."""
    for name, length in (("days", 86400 * _PS), ("hours", 3600 * _PS), ("minutes", 60 * _PS), ("s", _PS),
                         ("ms", 10**9), ("us", 10**6), ("ns", 1000)):  # fmt: skip
        if span_ps >= 3 * length:
            return name, length
    return ("ns", 1000)


class _Bars:
    """Horizontal bars by kind, so that each kind is one trace and one line of the legend."""

    def __init__(self, x: Any, unit: str) -> None:
        self._x = x
        self._unit = unit
        self._found: dict[Any, Figure] = {}
        self._names: set[str] = set()

    def add(
        self, kind: Any, name: str, style: tuple[str, str], where: tuple[int, int, float, float], told: str, short: str
    ) -> None:
        """One bar from *where*[0] to *where*[1] (ps) at a height and of a width; *told* on hovering, *short* inside."""
        begin, end, y, width = where
        colour, pattern = style
        trace = self._found.get(kind)
        if trace is None:
            trace = self._found[kind] = {
                "type": "bar", "orientation": "h", "name": name, "x": [], "base": [], "y": [], "width": [],
                "text": [], "customdata": [], "textposition": "inside", "insidetextanchor": "middle", "textangle": 0,
                "textfont": {"size": 11, "color": _on(colour)}, "marker": _marker(colour, pattern),
                "legend": "legend" if kind[0] == "strip" else "legend2", "legendgroup": name,
                "showlegend": name not in self._names, "hovertemplate": "%{customdata}<extra></extra>",
            }  # fmt: skip
            self._names.add(name)
        low, high = self._x(begin), self._x(end)
        trace["x"].append(_round(high - low, 9))
        trace["base"].append(low)
        trace["y"].append(y)
        trace["width"].append(width)
        trace["text"].append(short)
        trace["customdata"].append(f"{told}<br>{low:.4g} to {high:.4g} {self._unit}")

    def traces(self) -> list[Figure]:
        order = {"strip": 0, "part": 1, "stage": 2}
        return [trace for _, trace in sorted(self._found.items(), key=lambda item: order[item[0][0]])]


def _state(state: int) -> tuple[str, tuple[str, str]]:
    """Words and style of what a part holds."""
    if state == TORN:
        return words.RAW["torn"], RAW_STYLE["torn"]
    if state == INDETERMINATE:
        return words.RAW["indeterminate"], RAW_STYLE["indeterminate"]
    if state == GONE:
        return "nothing: its memory goes with the crash", ("#ffffff", "")
    if state == 0:
        return "holds no checkpoint", (_INITIAL, "")
    return f"holds checkpoint {state}", (_CHECKPOINT_SHADES[state % len(_CHECKPOINT_SHADES)], "")


def _row_label(row: Row, rows: Sequence[Row]) -> str:
    alone = sum(other.device == row.device for other in rows) == 1
    return row.device if alone and row.parts == 1 and row.label.startswith("shard") else f"{row.device} {row.label}"


def _columns(
    held: Sequence[tuple[int, int, float]], name: str, style: tuple[str, str], axis: str, rank: int, x: Any
) -> Figure:
    colour, _ = style
    return {
        "type": "bar", "name": name, "yaxis": axis, "legendgroup": name,
        "legendrank": rank, "x": [x((begin + end) // 2) for begin, end, _ in held],
        "width": [_round(x(end) - x(begin), 9) for begin, end, _ in held],
        "y": [_round(share) for _, _, share in held], "marker": {"color": colour, "line": {"width": 0}},
        "customdata": [words.percent(share) for _, _, share in held],
        "hovertemplate": name + ": %{customdata}<extra></extra>",
    }  # fmt: skip


def _curve(
    x: list[float], y: Sequence[float | None], name: str, colour: str, axis: str, hover: str, *,
    step: bool = False, legend: bool = True,
) -> Figure:  # fmt: skip
    return {
        "type": "scatter", "mode": "lines", "name": name, "yaxis": axis, "x": x, "y": list(y),
        "line": {"color": colour, "width": 1.4, "shape": "hv" if step else "linear"},
        "hovertemplate": hover + "<extra></extra>", "showlegend": legend, "connectgaps": False,
    }  # fmt: skip


def _restored(history: History) -> list[tuple[int, int]]:
    """The newest acknowledged checkpoint as it changes; a recovery takes it back to what it handed back."""
    return sorted((c.committed, c.epoch) for c in history.checkpoints if c.committed is not None)


def _labels(marks: Iterable[tuple[float, str, str, str]], low: float, high: float) -> list[Figure]:
    """Names above the lines, on two levels so that neighbours do not cover each other."""
    found = []
    last = [low - 1e9, low - 1e9]
    for at, text, colour, _ in sorted(marks):
        level = 0 if at - last[0] > (high - low) * 0.16 else 1
        if level and at - last[1] < (high - low) * 0.16:
            continue
        last[level] = at
        edge = (high - low) * 0.06
        side = "left" if at < low + edge else "right" if at > high - edge else "center"
        found.append(
            {"x": at, "y": 1, "yref": "paper", "yanchor": "bottom", "yshift": 2 + 17 * level, "text": text,
             "showarrow": False, "font": {"size": 12, "color": colour}, "xanchor": side}
        )  # fmt: skip
    return found


def _lines(names: Iterable[str]) -> int:
    """How many lines a legend of these names takes, roughly."""
    return 1 + int(sum(7 * len(name) + 46 for name in names) // 780)


def _line(at: float, colour: str, dash: str) -> Figure:
    return {"type": "line", "x0": at, "x1": at, "y0": 0, "y1": 1, "yref": "paper",
            "line": {"color": colour, "width": 1.5, "dash": dash}}  # fmt: skip


def _shade(low: float, high: float, colour: str, yref: str) -> Figure:
    return {"type": "rect", "x0": low, "x1": high, "y0": 0, "y1": 1, "yref": yref, "layer": "below",
            "fillcolor": colour, "opacity": 0.16, "line": {"width": 0}}  # fmt: skip


def _thin(items: Sequence[Any], most: int) -> list[Any]:
    """At most so many, evenly chosen, the first and the last among them."""
    if len(items) <= most:
        return list(items)
    step = (len(items) - 1) / (most - 1)
    return [items[round(number * step)] for number in range(most)]


def _legend_once(data: Iterable[Figure]) -> None:
    seen: set[str] = set()
    for trace in data:
        if trace["name"] in seen:
            trace["showlegend"] = False
        seen.add(trace["name"])


def _marker(colour: str, pattern: str) -> Figure:
    outline = {"width": 1, "color": "#b9bec5"} if colour == "#ffffff" else {"width": 0}
    marker: Figure = {"color": colour, "line": outline}
    if pattern:
        marker["pattern"] = {"shape": pattern, "fillmode": "overlay", "fgcolor": "#ffffff", "fgopacity": 0.6}
        marker["pattern"] |= {"size": 7, "solidity": 0.2}
    return marker


def _on(colour: str) -> str:
    """Ink that can be read on *colour*."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return "#ffffff" if 0.299 * red + 0.587 * green + 0.114 * blue < 150 else _INK


def base_axis(title: str, **rest: Any) -> Figure:
    """An axis as all pictures have it."""
    title_ = {"text": title, "standoff": 8, "font": {"size": 12}}
    return {"title": title_, "gridcolor": _FAINT, "zeroline": False, "automargin": True, **rest}


def base_layout(height: int, **rest: Any) -> Figure:
    """What all pictures have in common."""
    return {
        "height": height, "margin": {"l": 10, "r": 16, "t": 16, "b": 10, "pad": 2}, "paper_bgcolor": "#ffffff",
        "plot_bgcolor": "#ffffff", "font": {"family": _FONT, "size": 13, "color": _INK},
        "legend": {"orientation": "h", "x": 0, "y": 1.02, "yanchor": "bottom", "xanchor": "left", "font": {"size": 12}},
        "hoverlabel": {"align": "left", "font": {"family": _FONT, "size": 12}}, "dragmode": "zoom", **rest,
    }  # fmt: skip


def _round(value: float, digits: int = 6) -> float:
    """Fewer digits, so that the page stays light."""
    return float(f"{value:.{digits}g}")

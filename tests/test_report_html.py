"""The report is one honest file: it renders without a network, tells what the result tells, and is the same twice."""

from __future__ import annotations

import html as html_text
import json
import os
import re
import shutil
import signal
import subprocess
from pathlib import Path
from typing import Any

import pytest
import report_samples

from hwsim.report import figures, html
from hwsim.report.history import GONE, History
from hwsim.trace import CrashCase, Strike, Trace

S = report_samples.S
CHROMIUM = next(
    (found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None
)
FLAGS = (
    "--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--disable-dev-shm-usage", "--hide-scrollbars",
)  # fmt: skip


@pytest.fixture(scope="module")
def trace() -> Trace:
    return report_samples.trace()


@pytest.fixture(scope="module")
def result(trace: Trace) -> dict[str, Any]:
    return report_samples.result(trace)


@pytest.fixture(scope="module")
def page(result: dict[str, Any], trace: Trace) -> str:
    return html.page(result, trace, report_samples.topology())


def prose(page: str) -> str:
    """What a reader sees, without scripts and tags."""
    bare = re.sub(r"<(script|style).*?</\1>", " ", page, flags=re.DOTALL)
    return html_text.unescape(" ".join(re.sub(r"<[^>]+>", " ", bare).split()))


def drawn(page: str) -> dict[str, Any]:
    """The figures embedded in the page."""
    match = re.search(r'<script id="figures" type="application/json">(.*?)</script>', page, re.DOTALL)
    assert match
    found: dict[str, Any] = json.loads(match[1])
    return found


def test_it_tells_the_answer_and_what_it_rests_on(page: str) -> None:
    told = prose(page)
    for said in (
        "Not safe", "34.1%", "1 of 3 expectations unmet", "one-drive", "outage", "node1/nvme", "assumption",
        "data sheet of <a drive> & co, 2025", "hwsim run", "5a5a5a", "changed nothing",
    ):  # fmt: skip
        assert said in told, said
    assert "epoch" not in told


def test_failed_operations_and_saves_are_told(trace: Trace, result: dict[str, Any]) -> None:
    checkpoints = result["checkpoints"] | {"failed_saves": 2, "abandoned": 1}
    failed = result | {"failures": {"EIO": 6}, "checkpoints": checkpoints}
    told = prose(html.page(failed, trace))
    assert "6 with EIO; 2 saves failed" in told
    assert "abandoned checkpoints" in told


def test_the_same_run_gives_the_same_bytes(result: dict[str, Any], page: str) -> None:
    again = html.page({**result, "wall_s": 99.0}, report_samples.trace(), report_samples.topology())
    assert again == page


def test_nothing_is_fetched(page: str) -> None:
    assert not re.findall(r'<(?:script|link|img|iframe)[^>]+(?:src|href)\s*=\s*["\']?(?:https?:)?//', page)
    assert page.count("<script") - page.split("<script>", 1)[1].count('"<script') <= page.count("</script>")
    assert len(page) < 6_000_000


def test_names_cannot_break_out_of_the_page(trace: Trace, result: dict[str, Any]) -> None:
    evil = "</script><script>alert('x')</script><b>&"
    made = html.page({**result, "topology": evil, "warnings": [evil]}, trace, None)
    assert evil not in made
    assert html.embedded({"a": evil}).isascii()
    assert "<" not in html.embedded({"a": evil})
    assert json.loads(html.embedded({"a": evil})) == {"a": evil}


def test_every_figure_is_one_that_plotly_takes(page: str) -> None:
    from plotly.graph_objects import Figure

    found = drawn(page)
    assert {"raw", "recovered", "closeup0", "closeup1", "run", "cost", "pipes"} <= set(found)
    for key, figure in found.items():
        Figure(figure)  # raises on an unknown property or a bad value
        assert f'id="{key}"' in page


def test_shares_add_up_in_every_column(page: str) -> None:
    for key in ("raw", "recovered"):
        sums: dict[str, float] = {}
        for bars in drawn(page)[key]["data"]:
            for case, value in zip(bars["y"], bars["x"], strict=True):
                sums[case] = sums.get(case, 0.0) + value
        assert sums == pytest.approx({"all power": 100, "one-drive": 100}, abs=1e-3)


def test_without_a_topology_and_with_a_bare_result(trace: Trace, result: dict[str, Any]) -> None:
    needed = ("hwsim", "topology", "horizon_s", "raw", "recovered")
    assert "Not safe" in html.page({key: result[key] for key in needed}, trace)


def test_an_empty_trace_is_a_page_too(result: dict[str, Any]) -> None:
    assert "Not safe" in html.page(result, Trace(report_samples.header()))
    nothing_judged = Trace(report_samples.header(warm_up_ps=600 * S))
    assert "The whole run" not in prose(html.page(result, nothing_judged))


def test_a_close_up_shows_what_each_part_holds(trace: Trace) -> None:
    history = History(trace)
    typical = history.windows()[0]
    rows, note = history.rows(typical)
    assert [row.label for row in rows] == ["shard 0", "shard 1", "shard 2", "shard 3"]
    assert note == ""
    for row in rows:
        assert row.spans[0][0] == typical.begin
        assert row.spans[-1][1] == typical.end
        assert all(a[1] == b[0] for a, b in zip(row.spans, row.spans[1:], strict=False))
    zero = typical.zero_ps
    assert [((b - zero) / S, (e - zero) / S, s) for b, e, s in rows[3].spans[1:3]] == [(1.3, 3.3, -3), (3.3, 11.3, -2)]
    assert rows[3].writes == [
        (zero + 13 * S // 10, zero + 73 * S // 10, 4, "being written"),
        (zero + 73 * S // 10, zero + 113 * S // 10, 4, "completed, not yet durable"),
    ]


def test_the_first_crash_is_shown_with_what_struck(trace: Trace) -> None:
    window = History(trace).windows()[1]
    assert window.title == "The first crash (outage: power loss of rack)"
    assert window.begin < window.zero_ps == 307 * S < window.end


@pytest.mark.parametrize("drives", [16, 64])
def test_many_parts_stay_readable(drives: int) -> None:
    names = tuple(f"node{number}/nvme" for number in range(drives))
    trace = report_samples.trace(crash=False, drives=names, per_drive=2, horizon_s=400)
    history = History(trace)
    rows, note = history.rows(history.windows()[0])
    assert len(rows) <= 48
    merged = 2 * drives > 48  # to a row a device, of which 48 are shown
    assert sum(row.parts for row in rows) == (2 * len(rows) if merged else 2 * drives)
    assert ("one device" in note, "48 rows" in note) == (merged, drives > 48)
    figure, _ = figures.close_up(history, history.windows()[0])
    assert figure["layout"]["height"] < 1200


def test_parts_that_agree_share_a_row() -> None:
    trace = report_samples.trace(crash=False, horizon_s=200)
    parts = {part.name for part in trace.header.parts if part.device == "node0/nvme"}
    first = {}
    rows = []
    for row in trace.rows:  # the second shard of node0 now does what the first one does
        if row[4] in parts:
            key = (row[6], row[1], row[3])
            row = (first.setdefault(key, row[0]), *row[1:])
        rows.append(row)
    trace.rows = sorted(rows, key=lambda row: row[0])
    history = History(trace)
    found, _ = history.rows(history.windows()[0])
    assert [(row.label, row.parts) for row in found] == [("shards 0–1", 2), ("shard 2", 1), ("shard 3", 1)]


def test_a_long_run_stays_light_and_exact() -> None:
    trace = report_samples.trace(crash=False, horizon_s=86_400, per_drive=1)
    result = report_samples.result(trace)
    history = History(trace)
    figure, note = figures.whole_run(history)
    assert len(json.dumps(figure)) < 150_000
    assert "divided exactly" in note
    length = (history.end - history.begin) / 3600 / S
    for name, share in (("one checkpoint everywhere", "uniform"), ("a half-written shard (torn)", "torn")):
        (bars,) = (d for d in figure["data"] if d["name"] == name)
        area = sum(w * y for w, y in zip(bars["width"], bars["y"], strict=True)) / length
        assert area == pytest.approx(result["raw"][f"{share}_share"], rel=1e-4)


def test_work_lost_lies_between_its_least_and_its_most() -> None:
    from hwsim.report.history import lost_band, lost_work

    history = History(report_samples.trace(crash=False, horizon_s=3600))
    width = history.width()
    band = lost_band(history.stretches, width)
    exact = [height for _, height in lost_work(history.stretches) if height is not None]
    assert min(low for _, low, _ in band if low is not None) == min(exact)
    assert max(high for *_, high in band if high is not None) == max(exact)
    for stretch in history.stretches:
        if stretch.lost_ps is not None:
            _, low, high = band[(stretch.begin - history.begin) // width]
            assert low is not None
            assert high is not None
            assert low <= stretch.lost_ps <= high


def test_where_all_is_lost_another_crash_is_shown(trace: Trace) -> None:
    everything = Strike("everything", tuple(f"{drive}:media" for drive in report_samples.DRIVES))
    one = Strike("node0", ("node0/nvme:media",))
    lost = Trace(report_samples.header(crashes=(CrashCase("power_loss", (everything,)), CrashCase("one", (one,)))))
    lost.rows, lost.figures = trace.rows, trace.figures
    history = History(lost)
    assert {state for row in history.rows(history.windows()[0])[0] for *_, state in row.spans} == {GONE}
    shown, name = history.telling()
    assert name == "one, node0"
    assert {state for row in shown.rows(shown.windows()[0])[0] for *_, state in row.spans} > {GONE}
    assert "one, node0" in prose(html.page(report_samples.result(lost), lost))


def chromium(profile: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the browser in a process group of its own, so that nothing of it outlives the test."""
    command = [str(CHROMIUM), *FLAGS, f"--user-data-dir={profile}", *arguments]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
    ) as running:
        try:
            out, err = running.communicate(timeout=90)
        finally:
            if running.poll() is None:
                os.killpg(running.pid, signal.SIGKILL)
    return subprocess.CompletedProcess(command, running.returncode, out, err)


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium to render the report with")
def test_it_renders_in_a_browser(page: str, tmp_path: Path) -> None:
    watch = "<script>window.onerror = function (m) { document.title = 'ERROR ' + m; };</script>"
    (tmp_path / "report.html").write_text(page.replace("<head>", "<head>" + watch, 1), encoding="utf-8")
    address = (tmp_path / "report.html").as_uri()
    dom = chromium(tmp_path / "profile", "--virtual-time-budget=8000", "--dump-dom", address)
    assert dom.returncode == 0, dom.stderr[-2000:]
    body = re.sub(r"<script.*?</script>", "", dom.stdout, flags=re.DOTALL)
    assert "<title>sample: what a crash would leave</title>" in body, "a script failed"
    for key in drawn(page):
        figure = body.partition(f'id="{key}"')[2].partition('class="figure')[0]
        assert "main-svg" in figure, key
        assert 'class="point"' in figure or 'class="js-line"' in figure, key
    shot = chromium(
        tmp_path / "profile", "--virtual-time-budget=8000", "--window-size=1200,1600",
        f"--screenshot={tmp_path / 'report.png'}", address,
    )  # fmt: skip
    assert shot.returncode == 0, shot.stderr[-2000:]
    picture = (tmp_path / "report.png").read_bytes()
    assert picture.startswith(b"\x89PNG")
    assert len(picture) > 40_000, "an empty page is smaller"

"""The content of result.json from handwritten traces."""

from __future__ import annotations

import dataclasses
import json

import pytest
from handwritten import domains, in_order, manifest_trace

from hwsim.metrics import evaluate, quantile
from hwsim.topology.spec import Expectation
from hwsim.trace import CrashCase, Record, Strike, Trace

S = 10**12


def in_seconds(trace: Trace) -> Trace:
    """The same trace with a second for every ps."""
    head = trace.header
    head = dataclasses.replace(
        head, horizon_ps=head.horizon_ps * S, warm_up_ps=head.warm_up_ps * S, first_ps=head.first_ps * S,
        interval_ps=head.interval_ps * S,
    )  # fmt: skip
    return in_order(head, [record._replace(time_ps=record.time_ps * S) for record in trace])


def job(at: int, event: str, epoch: int | None = None, detail: str | None = None) -> Record:
    return Record(at, event, "job", epoch=epoch, detail=detail)


def struck(at: int, fault: str, kind: str = "power_loss") -> Record:
    return Record(at, "struck", fault, peer="d0", detail=kind)


def test_every_section_of_the_contract_is_there() -> None:
    result = evaluate([in_seconds(manifest_trace())])
    assert {"hwsim", "topology", "horizon_s", "events", "raw", "recovered", "what_if", "crashes", "checkpoints", "ettr",
            "messages", "links", "verdicts", "expect"} <= set(result)  # fmt: skip
    raw = result["raw"]
    assert raw["method"] == "exact"
    classes = ("uniform", "mixed", "torn", "indeterminate", "dark")
    assert sum(raw[f"{name}_share"] for name in classes) == pytest.approx(1)
    for name in ("at_latest", "distinct", "spread"):
        assert sum(raw[name].values()) == pytest.approx(1)
        assert all(key.isdecimal() for key in raw[name])
    assert sum(result["recovered"]["outcomes"].values()) == pytest.approx(1)
    assert json.loads(json.dumps(result)) == result


def test_checkpoints_and_training() -> None:
    rows = [job(t, "training_stalled", t // 10) for t in range(10, 100, 10)]
    rows += [job(t + 2, "training_resumed", t // 10) for t in range(10, 100, 10)]
    rows += [Record(t + 5, "sent", "d1", epoch=t // 10, peer="d0", detail="saved") for t in range(10, 100, 10)]
    base = manifest_trace()
    result = evaluate([in_seconds(in_order(base.header, [*base, *rows]))])
    found = result["checkpoints"]
    assert (found["begun"], found["committed"], found["skipped"], found["bound_by"]) == (9, 9, 0, None)
    assert found["commit_latency_s"] == {"mean": 6.0, "p50": 6.0, "p99": 6.0}
    assert found["stall_s"] == {"mean": 2.0}
    assert result["ettr"] == pytest.approx((100 - 18) / 100)
    assert result["messages"] == {"sent": 9, "delivered": 0, "dropped": 0, "per_checkpoint": 1.0}


def test_training_that_was_thrown_away_does_not_count() -> None:
    base = domains([[12]], [10])
    rows = [struck(30, "outage"), job(30, "job_stopped"), job(40, "recovered", 1, "whole"), job(45, "job_resumed")]
    result = evaluate([in_seconds(in_order(base.header, [*base, *rows]))])
    assert result["ettr"] == pytest.approx((10 + 55) / 100)
    crashes = result["crashes"]
    assert crashes["outage"] == crashes["all"]
    assert crashes["all"] == {"count": 1, "outcomes": {"correct_latest": 1}, "lost_work_s": {"mean": 20.0, "max": 20.0}}


def test_strikes_are_grouped_by_fault_and_judged_by_the_recovery_that_follows() -> None:
    base = manifest_trace()
    rows = [
        struck(33, "cable", "link_down"),
        struck(58, "outage"), job(58, "job_stopped"), struck(59, "second"), job(60, "recovered", 5, "whole"),
        job(61, "job_resumed"),
        struck(78, "outage"), job(78, "job_stopped"), job(80, "recovered", None, "refused"), job(81, "job_resumed"),
        struck(95, "outage"), job(95, "job_stopped"),
    ]  # fmt: skip
    # of 6 and 8 nothing is left for the recoveries to find
    kept = [record for record in base if record.epoch not in (6, 8)]
    crashes = evaluate([in_seconds(in_order(base.header, [*kept, *rows]))])["crashes"]
    assert crashes["outage"]["count"] == 3  # the last one is not over
    assert crashes["outage"]["outcomes"] == {"correct_latest": 1, "lost_committed": 1}
    assert crashes["outage"]["lost_work_s"] == {"mean": 8.0, "max": 8.0}
    assert crashes["second"]["outcomes"] == {"correct_latest": 1}
    assert crashes["cable"] == {"count": 1, "outcomes": {}, "lost_work_s": {}}
    assert crashes["all"]["count"] == 5


def test_what_ifs_stand_beside_the_default() -> None:
    base = manifest_trace()
    each = CrashCase("drive", (Strike("d0", ("d0:media",)), Strike("d1", ("d1:media",))))
    instant = CrashCase("then", base.header.crashes[0].strikes, at_ps=24)
    head = dataclasses.replace(base.header, crashes=(*base.header.crashes, each, instant))
    result = evaluate([in_order(head, base)])
    assert result["recovered"]["unsafe_share"] == 0
    assert result["what_if"]["drive"]["recovered"]["unsafe_share"] == 1
    assert result["what_if"]["drive"]["worst"] == "d0"
    assert result["what_if"]["then"]["raw"]["mixed_share"] == 1


def test_timelines_are_averaged_and_their_spread_is_the_error() -> None:
    traces = [domains([[12], [late]], [10], warm_up_ps=10, horizon_ps=20) for late in (14, 16)]
    for trace, sent in zip(traces, (2, 4), strict=True):
        trace.figures["messages"] = {"sent": sent, "delivered": 1, "dropped": 0}
        trace.figures["links"] = {"wire": {"sent": sent, "dropped": {"down": 1} if sent == 4 else {}}}
        trace.figures["bound_by"] = "d0 write"
    result = evaluate(traces)
    assert result["raw"]["mixed_share"] == pytest.approx(0.3)
    assert result["raw"]["se"] == pytest.approx(0.1)
    assert result["recovered"]["se"] == pytest.approx(0.1)
    assert result["messages"]["sent"] == 3
    assert result["links"] == {"wire": {"sent": 3, "dropped": {"down": 0.5}}}
    assert result["checkpoints"]["bound_by"] == "d0 write"


def test_expectations_are_judged() -> None:
    expect = [Expectation("recovered.unsafe_share", "== 0"), Expectation("raw.mixed_share", "> 0.5")]
    lines = evaluate([manifest_trace()], expect)["expect"]
    assert [(line["got"], line["holds"]) for line in lines] == [(0.0, True), (0.2, False)]


def test_quantiles_are_values_that_occurred() -> None:
    values = [1.0, 2.0, 3.0, 4.0]
    assert [quantile(values, share) for share in (0, 0.5, 0.51, 0.99, 1)] == [1.0, 2.0, 3.0, 4.0, 4.0]

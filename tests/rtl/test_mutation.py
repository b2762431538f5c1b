"""Mutation testing is honest: what is no mutant is refused, and no build, tool or clock passes for a kill.

With it a sample of the mutants that `make mutation` judges.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import formal_tools
import pytest
import simulators
from mutation import __main__ as command
from mutation import campaign, equivalence, explanations, judging, ladder
from mutation.campaign import Judged
from mutation.judging import EQUIVALENT, FAILED, KILLED, NOT_BUILT, SURVIVED, TIMED_OUT, Verdict, judge
from mutation.ladder import LADDERS, NoVerdict, OutOfTime
from mutation.mutants import DRAWN, RTL, Mutant, Unchanged, drawn, mutant, offered
from mutation.operators import OPERATORS
from mutation.verilog_text import body, live, tokens

TIMER = (RTL / "blp_timer.v").read_text(encoding="utf-8")
SAMPLE = {"blp_endpoint": 3, "blp_nvreg": 2, "blp_timer": 2, "blp_write": 1}


def by_hand(before: str, after: str, module: str = "blp_timer") -> Mutant:
    """A mutant of *module* with *after* in the only place of *before*."""
    text = (RTL / f"{module}.v").read_text(encoding="utf-8")
    assert text.count(before) == 1
    start = text.index(before)
    return mutant(module, "by hand", start, start + len(before), after, text)


@pytest.fixture
def tools() -> None:
    """Skip where they are missing."""
    for reason in (simulators.missing("icarus"), formal_tools.missing()):
        if reason:
            pytest.skip(reason)


# The text.


def test_what_no_tool_reads_is_not_mutated() -> None:
    text = "a\n// b\n`ifdef X\nc\n`elsif Y\nd\n`else\ne\n`ifndef Z\nf /* g\n */\n`else\nh\n`endif\n`endif\ni\n"
    assert live(text).split() == ["a", "e", "f", "i"]
    assert len(live(text)) == len(text)


def test_ports_parameters_widths_and_steps_are_not_mutated() -> None:
    text = """module m #(parameter W = 1) (input wire [W-1:0] a_i);
  localparam [3:0] B = 4'd2;
  generate
    if (W == 3) begin : g_check
      stop u_stop ();
    end
  endgenerate
  for (i = 0; i < 4; i = i + 5) begin : g_x
    wire [5:0] c = d[6:0];
  end
endmodule
"""
    assert [token.text for token in tokens(body(text)) if token.kind in ("number", "sized")] == ["4'd2", "0", "4", "6",
                                                                                                "0"]  # fmt: skip


@pytest.mark.parametrize(
    "operator, code, made",
    [
        ("condition negated", "if (a && b) c = d;", ["if (!(a && b)) c = d;"]),
        ("condition negated", "assign a = b && c ? d : e;", ["assign a = !(b && c) ? d : e;"]),
        ("condition negated", "; a <= b ? c : d <= e ? f : g;", ["; a <= !(b) ? c : d <= e ? f : g;",
                                                                "; a <= b ? c : !(d <= e) ? f : g;"]),
        ("condition stuck", "if (a) b = c;", ["if (1'b0) b = c;", "if (1'b1) b = c;"]),
        ("condition stuck", "if (W == 1) begin : g_one", []),
        ("term stuck", "assign a = b && !(c || d[1]);",
         ["assign a = 1'b1 && !(c || d[1]);", "assign a = b && 1'b1;", "assign a = b && !(1'b0 || d[1]);",
          "assign a = b && !(c || 1'b0);"]),
        ("negation dropped", "assign a = !b & ~c;", ["assign a = b & ~c;", "assign a = !b & c;"]),
        ("operator swapped", "; a <= b <= c;", ["; a <= b < c;"]),
        ("operator swapped", "; a[b+1] <= c;", ["; a[b-1] <= c;"]),
        ("constant off by one", "a = 2'd3 + 1'b0 - 5 + 8'hFF;",
         ["a = 2'd0 + 1'b0 - 5 + 8'hFF;", "a = 2'd3 + 1'b1 - 5 + 8'hFF;", "a = 2'd3 + 1'b0 - 6 + 8'hFF;",
          "a = 2'd3 + 1'b0 - 5 + 8'h0;"]),
        ("bit flipped", "a = 4'h3 + 1'b0;", ["a = 4'd11 + 1'b0;"]),
        ("name exchanged", "STATE_DOWN: a = OTHER_DOWN; ", ["STATE_UP: a = OTHER_DOWN; "]),
        ("name exchanged", "localparam STATE_UP = 1;", []),
        ("assignment dropped", "begin a[b[1]] <= c; d = e; end", ["begin ; d = e; end", "begin a[b[1]] <= c; ; end"]),
        ("assignment dropped", "; wire a = b; assign c = d;", []),
        ("neighbours swapped", "{a, b, f(c, d), 1'b0}", ["{b, a, f(c, d), 1'b0}"]),
    ],
)  # fmt: skip
def test_an_operator_makes_these_and_no_others(operator: str, code: str, made: list[str]) -> None:
    changes = sorted(set(OPERATORS[operator](code, tokens(code), ["STATE_UP", "STATE_DOWN"])))
    assert sorted(code[: start] + instead + code[end:] for start, end, instead in changes) == sorted(made)


def test_a_text_that_reads_the_same_is_no_mutant() -> None:
    at = TIMER.index("valid_q <= 1'b0;")
    for before, after in (("valid_q", "valid_q"), ("valid_q <= 1'b0;", "valid_q  <=\n 1'b0; // why")):
        with pytest.raises(Unchanged):
            mutant("blp_timer", "by hand", at, at + len(before), after, TIMER)


@pytest.mark.parametrize("module", DRAWN)
def test_every_mutant_differs_from_its_module_and_from_the_others(module: str) -> None:
    text = (RTL / f"{module}.v").read_text(encoding="utf-8")
    made = offered(module)
    assert text not in {one.text for one in made}
    assert len({one.text for one in made}) == len({one.key for one in made}) == len(made) > 20
    assert all(one.code == text.splitlines()[one.line - 1].strip() for one in made)


def test_the_draw_is_large_spread_and_the_same_each_time() -> None:
    made = drawn()
    assert made == drawn() != drawn(seed=2)
    assert len(made) == len(set(made)) >= 200
    assert {one.operator for one in made} == set(OPERATORS)
    assert set(DRAWN) == set(LADDERS) == {one.module for one in made}
    of_endpoint = Counter(one.operator for one in made if one.module == "blp_endpoint")
    assert set(of_endpoint) == set(OPERATORS)
    assert max(of_endpoint.values()) <= 2 * min(
        count for operator, count in of_endpoint.items()
        if sum(one.operator == operator for one in offered("blp_endpoint")) > count
    )  # fmt: skip


# The verdicts.


@pytest.mark.usefixtures("tools")
def test_the_verilog_as_it_is_passes_and_a_broken_one_does_not(tmp_path: Path) -> None:
    """The other modules' rungs are the tests beside this one; `make mutation` climbs them all first."""
    assert judging.baseline(["blp_timer"]) == []
    broken = judging.mutated(by_hand("count_q + 1'b1 >= period", "1'b0"), tmp_path / "rtl")
    ((rung, reason),) = judging.baseline(["blp_timer"], broken)
    assert rung == "bench_blp_timer"
    assert "it does not fire" in reason


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize(
    "made, status, by",
    [
        (by_hand("assign timer_valid_o = valid_q;", "assign timer_valid_o = nothing_q;"), NOT_BUILT, "build"),
        (by_hand("if (restarts) begin", "if (restarts begin"), NOT_BUILT, "build"),
        (by_hand("valid_q <= count_q + 1'b1 >= period;", ""), KILLED, "bench_blp_timer"),
        (by_hand("if (writes && sel_q) slot0_q", "if (writes && !sel_q) slot0_q", "blp_nvreg"), KILLED,
         "proof of nvreg_rules"),
        (by_hand("sent_i || (valid_q && timer_ready_i)", "(timer_ready_i && valid_q) || sent_i"), EQUIVALENT, "SAT"),
        # Every tick counts, taken or not: what the count holds while the timer waits to be taken is never seen.
        (by_hand("end else if (tick_i && !valid_q) begin", "end else if (tick_i) begin count_q <= count_q + 1'b1; end"
                 " if (!restarts && tick_i && !valid_q) begin"), EQUIVALENT, "SAT"),
    ],
    ids=lambda value: str(value)[:40],
)  # fmt: skip
def test_verdict(made: Mutant, status: str, by: str) -> None:
    verdict = judge(made)
    assert (verdict.status, verdict.by) == (status, by), verdict


@pytest.mark.usefixtures("tools")
def test_what_never_ends_is_not_killed() -> None:
    spins = "assign timer_valid_o = valid_q; always @(posedge clk_i) while (clk_i) ;"
    verdict = judge(by_hand("assign timer_valid_o = valid_q;", spins), limit_s=3)
    assert (verdict.status, verdict.by) == (TIMED_OUT, "bench_blp_timer"), verdict


@pytest.mark.parametrize(
    "said, verdict",
    [
        ("Status: PASSED", None),
        ("BMC failed!\nAssert failed in top: rules.v:7.5-7.9 (rule)\nStatus: FAILED", "rules.v:7.5-7.9 (rule)"),
        ("Temporal induction failed!\nAssert failed in top: rules.v:7.5-7.9 (rule)\nStatus: FAILED", NoVerdict),
        ("BMC failed!\nStatus: FAILED", NoVerdict),
        ("Assumptions are unsatisfiable!\nStatus: PREUNSAT", NoVerdict),
        ("Checking assertions in step 3..\nUnexpected EOF response from solver.", OutOfTime),
        ("", NoVerdict),
    ],
)
def test_of_a_proof_a_counterexample_alone_kills(
    said: str, verdict: str | type[Exception] | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("provers.translate", lambda *_, **__: tmp_path)
    monkeypatch.setattr("provers.check", lambda *_: said)
    rung = ladder.proof("top", ["top.v"], 5)
    if isinstance(verdict, type):
        with pytest.raises(verdict):
            rung.climb(RTL, tmp_path)
    else:
        assert rung.climb(RTL, tmp_path) == verdict


@pytest.mark.usefixtures("tools")
def test_a_tool_that_fails_kills_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COCOTB_TEST_FILTER", "no such test")
    verdict = judge(by_hand("valid_q <= count_q + 1'b1 >= period;", ""))
    assert verdict.status == FAILED, verdict


@pytest.mark.usefixtures("tools")
def test_a_sample_is_killed_or_explained() -> None:
    judged = campaign.run(drawn(SAMPLE))
    print(campaign.table(judged))
    assert not [*campaign.faults(judged)]


@pytest.mark.usefixtures("tools")
@pytest.mark.parametrize(
    "made, same",
    [
        # The registers differ, and nobody can see it: what a slot that is not selected holds.
        (by_hand("programmed || (programs && crash_i)", "programs", "blp_nvreg"), True),
        (by_hand("programmed || (programs && crash_i)", "programs && crash_i", "blp_nvreg"), False),
        # What it is made with is beyond this proof.
        (by_hand("    slot0_q = FACTORY;\n", "", "blp_nvreg"), False),
        (by_hand("    sel_q   = 1'b0;\n", "", "blp_nvreg"), False),
        # No value that comes reaches it.
        (by_hand("row_o   = 7'd0;", "row_o   = 7'd99;", "blp_table"), True),
        (by_hand("theirs_i - mine_i", "theirs_i + mine_i", "blp_delta"), False),
    ],
)
def test_equivalence(made: Mutant, same: bool, tmp_path: Path) -> None:
    rtl = judging.mutated(made, tmp_path / "rtl")
    assert bool(equivalence.proven(made.module, RTL, rtl, tmp_path / "proof")) is same


# What is said of them.


def judged_as(*statuses: str, why: str | None = None) -> list[Judged]:
    return [Judged(made, Verdict(status, "bench"), why if status == SURVIVED else None)
            for made, status in zip(offered("blp_timer"), statuses, strict=False)]  # fmt: skip


def test_only_the_killed_count_as_killed() -> None:
    judged = judged_as(KILLED, KILLED, KILLED, SURVIVED, TIMED_OUT, NOT_BUILT, EQUIVALENT)
    assert campaign.share_killed(judged) == 3 / 5
    assert campaign.share_killed(judged_as(NOT_BUILT)) == 0
    said = campaign.table(judged)
    assert "killed: 3 of 6 that were built; 60.0% of those that are not proven equivalent" in said
    assert "NOT EXPLAINED" in said


def test_a_campaign_fails_on_a_survivor_that_nobody_explains_or_below_the_share() -> None:
    many = [KILLED] * 30
    assert [*campaign.faults(judged_as(*many))] == []
    assert [*campaign.faults(judged_as(*many, SURVIVED, why="it is so"))] == []
    (fault,) = campaign.faults(judged_as(*many, SURVIVED))
    assert "not explained" in fault
    (fault,) = campaign.faults(judged_as(*many, TIMED_OUT, TIMED_OUT))
    assert fault.startswith("93.8% killed")
    (fault,) = campaign.faults(judged_as(*many, FAILED))
    assert "bench failed on" in fault


def test_the_results_are_kept(tmp_path: Path) -> None:
    import json

    campaign.save(judged_as(KILLED, SURVIVED, why="it is so"), tmp_path / "out")
    rows = json.loads((tmp_path / "out/mutants.json").read_text())
    assert [row["status"] for row in rows] == [KILLED, SURVIVED]
    assert rows[1]["why"] == "it is so"
    assert "it is so" in (tmp_path / "out/table.txt").read_text()


def test_every_explanation_is_of_a_mutant() -> None:
    assert explanations.explanations()
    assert explanations.stale() == []


def test_an_explanation_is_found_again_by_its_line_and_lost_with_it(tmp_path: Path) -> None:
    made = offered("blp_timer")[0]
    file = tmp_path / "survivors.yaml"
    entry = {"module": made.module, "operator": made.operator, "code": made.code, "before": made.before,
             "after": made.after, "why": "it is so"}  # fmt: skip
    file.write_text(f"- {entry}\n")
    assert explanations.why(made, file) == "it is so"
    assert explanations.why(replace(made, line=made.line + 7), file) == "it is so"
    assert explanations.why(replace(made, code="other"), file) is None
    gone = tmp_path / "gone.yaml"
    gone.write_text(f"- {entry | {'code': 'no such line'}}\n")
    assert [key[2] for key in explanations.stale(gone)] == ["no such line"]


@pytest.mark.parametrize(
    "text", ["- {module: blp_timer, why: because}", "- {module: a, operator: b, code: c, before: d, after: e, why: ''}"]
)
def test_half_an_explanation_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / "survivors.yaml").write_text(text)
    with pytest.raises(ValueError, match="needs"):
        explanations.explanations(tmp_path / "survivors.yaml")


# The command.


@pytest.mark.parametrize("lacks", ["Icarus Verilog is not here: apt-get install iverilog", "yices not installed"])
def test_a_missing_tool_is_named(
    lacks: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    present: Callable[..., None] = lambda *_: None  # noqa: E731
    monkeypatch.setattr("sys.argv", ["mutation"])
    monkeypatch.setattr(simulators, "missing", (lambda _: lacks) if "Icarus" in lacks else present)
    monkeypatch.setattr(formal_tools, "missing", present if "Icarus" in lacks else (lambda: lacks))
    assert command.main() == 3
    assert lacks in capsys.readouterr().err

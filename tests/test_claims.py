"""Verdicts follow from evidence, a contradiction is never called support, and what was not run is not judged."""

from __future__ import annotations

import json
import math

import pytest

from hwsim.errors import UserError
from hwsim.studies import claims, temporal
from hwsim.studies.evidence import Evidence, Finding, Verdict, together, unless_contradicted

S, C, R, U, N = Verdict.SUPPORTED, Verdict.CONDITIONAL, Verdict.REFUTED, Verdict.UNDECIDED, Verdict.UNTESTED


@pytest.mark.parametrize(("verdicts", "whole"), [
    ([], N), ([N], N), ([S], S), ([S, S], S), ([R, R], R), ([S, R], C), ([S, C], C), ([C], C), ([S, U], U), ([R, N], R),
])
def test_a_claim_follows_its_readings(verdicts: list[Verdict], whole: Verdict) -> None:
    assert together(verdicts) is whole


def test_evidence_agrees_within_four_standard_errors_and_no_further() -> None:
    assert Evidence("q", "f", 0.539, 0.5, se=0.01, n=1).agrees
    assert not Evidence("q", "f", 0.541, 0.5, se=0.01, n=1).agrees
    assert Evidence("q", "f", 0.1 + 0.2, 0.3, how="exact").agrees
    assert not Evidence("q", "f", 7, 8, n=20, how="enumerated").agrees
    assert math.isinf(Evidence("q", "f", 7, 8).z)


def test_a_sampled_zero_has_its_bound() -> None:
    assert Evidence("q", "f", 0.0, 0.0, se=0.001, n=300).at_most == 0.01
    assert Evidence("q", "f", 0, 0, n=300, how="enumerated").at_most is None


def test_contradicted_evidence_decides_nothing() -> None:
    wrong = Evidence("q", "f", 0.9, 0.5, se=0.01, n=100)
    for verdict in (S, C, R):
        assert unless_contradicted(verdict, [wrong]) is U


def test_claims_without_an_experiment_are_not_judged() -> None:
    untested = [claim.id for claim in claims.CLAIMS.values() if not claim.experiments]
    judged = claims.run(untested)
    assert {claim["verdict"] for claim in judged["claims"].values()} == {"not tested yet"}
    assert list(judged["claims"]) == untested


def test_an_unknown_claim_is_the_users_mistake() -> None:
    with pytest.raises(UserError, match="C9"):
        claims.run(["c9"])


def test_verdicts_come_from_the_experiments(monkeypatch: pytest.MonkeyPatch) -> None:
    def finding(verdict: Verdict) -> claims.Experiment:
        return lambda full: Finding("X.1", "reading", verdict, "because", (Evidence("q", "f", 1, 1, how="exact"),))

    stand_in = {"X": claims.Claim("X", "something", (finding(S), finding(R)))}
    monkeypatch.setattr(claims, "CLAIMS", stand_in)
    judged = claims.run(["x"])
    assert judged["claims"]["X"]["verdict"] == str(C)
    assert "SUPPORTED ONLY UNDER NAMED CONDITIONS" in claims.render(judged)


def test_c1_is_witnessed_by_search() -> None:
    judged = claims.run(["C1"])["claims"]["C1"]
    assert judged["verdict"] == str(S)
    assert [bool(finding["records"]) for finding in judged["findings"]] == [True, True]


def test_c2_holds_of_the_media_and_not_of_what_is_recovered() -> None:
    judged = claims.run(["C2"])["claims"]["C2"]
    assert [finding["verdict"] for finding in judged["findings"]] == [str(S), str(R)]
    assert judged["verdict"] == str(C)
    assert all(item["how"] == "enumerated" for finding in judged["findings"] for item in finding["evidence"])


def test_c3_has_readings_that_differ() -> None:
    judged = claims.run(["C3"])["claims"]["C3"]
    verdicts = {finding["id"]: finding["verdict"] for finding in judged["findings"]}
    assert verdicts == {
        "C3.1": str(S), "C3.2": str(C), "C3.3": str(C),
        "C3.4a": str(R), "C3.4b": str(R), "C3.4c": str(C), "C3.4d": str(C),
    }
    assert judged["verdict"] == str(C)
    assert all(item["agrees"] for finding in judged["findings"] for item in finding["evidence"])
    text = claims.render({"source": "s", "full": False, "claims": {"C3": judged}})
    assert "2^(1-N)" in text
    assert json.loads(json.dumps(judged)) == judged


@pytest.mark.long
def test_all_claims_at_full_scale() -> None:
    judged = claims.run(full=True)["claims"]
    assert all(item["agrees"] for claim in judged.values() for found in claim["findings"] for item in found["evidence"])


# the enumeration itself


def test_a_prefix_study_that_is_shown_a_torn_protocol_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    """Judge an in-place run as if its claim were a manifest's: the experiment must not come out clean."""
    real = temporal.run

    def in_place(text: str) -> temporal.Run:
        lines = ["protocol: {kind: in_place}" if line.startswith("protocol:") else line for line in text.splitlines()]
        return real("\n".join(lines) + "\n")

    monkeypatch.setattr(temporal, "run", in_place)
    assert temporal.c2_recovered(False).verdict is U


def test_c6_depends_on_how_far_domains_may_run_ahead() -> None:
    judged = claims.run(["C6"])["claims"]["C6"]
    assert judged["verdict"] == C
    assert [finding["verdict"] for finding in judged["findings"]] == [R, S, R]
    assert all(item["agrees"] for finding in judged["findings"] for item in finding["evidence"])
    assert judged["findings"][0]["evidence"][0]["n"] > 5

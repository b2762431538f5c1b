"""Two endpoints in Verilog over a wire that loses and repeats frames, with crashes at any cycle: I1 to I7, proven."""

from __future__ import annotations

from pathlib import Path

import provers
import pytest

SOURCES = ("blp_table.v", "blp_write.v", "blp_delta.v", "blp_endpoint.v", "blp_pair_views.v", "blp_pair.v")
# Each breaks the endpoint in one place: what else is defined, and the one property asserted of it (tokens: I4;
# knowledge: I5, for without it tokens are still safe).
MUTANTS = {
    "V1": (["BLP_MUTANT_VOLATILE"], "TOKENS"),  # a crash takes the register
    "V2": (["BLP_MUTANT_VOLATILE"], "TOKENS"),  # ... that an offer is bound
    "V3": (["BLP_MUTANT_VOLATILE"], "TOKENS"),  # ... how the last round ended
    "V4": (["BLP_MUTANT_VOLATILE"], "TOKENS"),  # ... the payload offered or given
    "V5": (["BLP_MUTANT_VOLATILE"], "TOKENS"),  # ... the round
    "V6": ([], "KNOWLEDGE"),  # offers without having heard the peer in this round
    "V7": ([], "TOKENS"),  # sends before it has written
    "V8": (["BLP_MUTANT_DELIVERY"], "TOKENS"),  # delivers, then writes
    "V9": (["BLP_MUTANT_DELIVERY"], "TOKENS"),  # writes, then delivers
    "V10": ([], "TOKENS"),  # takes an offer back by itself
}
STEPS = 30


def test_the_properties_hold_for_ever(tmp_path: Path) -> None:
    provers.proves(provers.model(tmp_path, "blp_pair", SOURCES), 2)


def test_whole_exchanges_and_recoveries_are_within_reach(tmp_path: Path) -> None:
    """The proof is not empty: what is assumed of the applications leaves room for every kind of round."""
    found = provers.model(tmp_path, "blp_pair", SOURCES, defines=["BLP_ONLY", "BLP_COVER"])
    said = provers.check(found, STEPS, "-c")
    assert "Status: PASSED" in said, said
    assert said.count("Reached cover statement") == 3, said


@pytest.mark.parametrize("mutant", MUTANTS)
def test_a_broken_endpoint_is_found(mutant: str, tmp_path: Path) -> None:
    needs, only = MUTANTS[mutant]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    whole.mkdir()
    broken.mkdir()
    defines = ["BLP_ONLY", f"BLP_ONLY_{only}"]
    sound = provers.model(whole, "blp_pair", SOURCES, defines=defines)
    found = provers.model(broken, "blp_pair", SOURCES, defines=[*defines, *needs, f"BLP_MUTANT_{mutant}"])
    assert found.read_text() != sound.read_text(), "the mutant is no other circuit"
    assert provers.refutes(found, STEPS)


@pytest.mark.long
def test_rounds_settle_within_three_beacons(tmp_path: Path) -> None:
    """L1, from every state that the invariant allows; what is assumed at the start is what the proof above proves."""
    free = "setattr -unset init w:* w:age_q w:beat_q %u %d; chformal -assert2assume c:* c:*settled_in_time* %d;"
    found = provers.model(tmp_path, "blp_pair", SOURCES, defines=["BLP_SETTLES"], passes=free)
    said = provers.check(found, 26)
    assert "Status: PASSED" in said, said


@pytest.mark.long
def test_one_beacon_is_not_enough(tmp_path: Path) -> None:
    """The bound above says something, and what it assumes can be met."""
    free = "setattr -unset init w:* w:age_q w:beat_q %u %d; chformal -assert2assume c:* c:*settled_in_time* %d;"
    found = provers.model(tmp_path, "blp_pair", SOURCES, defines=["BLP_SETTLES", "BLP_SETTLES_BEACONS=1"], passes=free)
    assert "settled_in_time" in provers.refutes(found, 26)

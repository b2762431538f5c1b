"""What a mutant has to get past: a build, then the proofs and benches of its module, the cheap ones first.

A rung kills by a counterexample (a run from reset that breaks an assertion) or by a failed bench, and by nothing else:
an induction that fails, a build that fails and a tool that fails kill nobody.
"""

from __future__ import annotations

import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from xml.etree import ElementTree

import provers
import simulators
import table_cases


class NotBuilt(Exception):
    """A tool refuses the text."""


class NoVerdict(Exception):
    """A tool ended without saying yes or no."""


class OutOfTime(NoVerdict):
    """A tool was ended by the limit on its processor time."""


@dataclass(frozen=True)
class Rung:
    """*climb* is given the Verilog's folder and one to work in; returns what kills, or None."""

    name: str
    climb: Callable[[Path, Path], str | None]


def build(top: str, settings: Sequence[str] = ("",)) -> Rung:
    """Icarus reads the sources and *top* stands, with each setting of its parameters."""

    def climb(rtl: Path, _folder: Path) -> None:
        sources = [*rtl.glob("*.v"), *(rtl / "bench").glob("*.v")]
        for setting in settings:
            given = [f"-P{top}.{setting}"] if setting else []
            done = subprocess.run(
                ["iverilog", "-g2005", "-t", "null", "-DDUT=fcs_check", f"-I{rtl}", *given, "-s", top, *sources],
                capture_output=True, text=True, check=False,
            )  # fmt: skip
            _ended(done.returncode, "iverilog")
            if done.returncode:
                raise NotBuilt(f"{setting}: {done.stdout}{done.stderr}")

    return Rung("build", climb)


def proof(
    top: str, sources: Sequence[str], steps: int, *, defines: Sequence[str] = (), setting: str = ""
) -> Rung:
    """Every assertion holds for so many steps from the start; *setting*: a parameter's value."""

    def climb(rtl: Path, folder: Path) -> str | None:
        try:
            found = provers.translate(folder, top, sources, defines=defines, setting=setting, rtl=rtl)
        except provers.NoModel as refused:
            raise NotBuilt(str(refused)) from refused
        said = provers.check(found, steps)
        if "Status: PASSED" in said:
            return None
        broken = re.findall(r"Assert failed in \S+: (.*)", said)
        if "BMC failed!" in said and broken:
            return broken[0]
        # A solver that crashes looks as one that the limit ends: neither is a verdict.
        raise (OutOfTime if "Unexpected EOF response from solver" in said else NoVerdict)(said[-2000:])

    return Rung(f"proof of {top} {setting}".strip(), climb)


def bench(top: str, module: str, tests: int, parameters: Mapping[str, int] | None = None) -> Rung:
    """The cocotb tests of *module* pass on Icarus."""
    given = "".join(f" {name}={value}" for name, value in (parameters or {}).items())

    def climb(rtl: Path, folder: Path) -> str | None:
        try:
            ran, failed = simulators.outcome("icarus", top, module, folder, parameters=parameters, rtl=rtl)
        except RuntimeError as ended:  # no results, or the simulator was ended
            out_of_time = f"return code: {-signal.SIGXCPU}" in str(ended)
            raise (OutOfTime if out_of_time else NoVerdict)(str(ended)) from ended
        if failed:
            return _failure(folder / "results.xml")
        if ran != tests:
            raise NoVerdict(f"{ran} of {tests} tests ran")
        return None

    return Rung(f"{module}{given}", climb)


def no_latch(top: str) -> Rung:
    """Yosys finds no latch in *top*: every output of every process is assigned in every case."""

    def climb(rtl: Path, folder: Path) -> str | None:
        for source in rtl.glob("*.v*"):
            shutil.copy(source, folder)
        sources = " ".join(path.name for path in sorted(rtl.glob("*.v")))
        stands = f"read_verilog -I. -defer {sources}; hierarchy -top {top}; proc; flatten"
        done = provers.yosys(stands, folder)
        if done.returncode:
            raise NotBuilt(done.stderr)
        return "a latch" if provers.yosys(f"{stands}; select -assert-none t:$dlatch", folder).returncode else None

    return Rung("no latch", climb)


def every_case() -> Rung:
    """The table's rows are those of the protocol, in every case."""

    def climb(rtl: Path, folder: Path) -> str | None:
        try:
            said = table_cases.said(rtl, folder)
        except subprocess.CalledProcessError as ended:
            _ended(ended.returncode, "the bench of the table")
            raise NoVerdict(str(ended)) from ended
        wrong = table_cases.first_difference(said)
        return None if wrong is None else str(wrong)

    return Rung("every case of the table", climb)


def _ended(status: int, tool: str) -> None:
    """Raise where a signal ended *tool*."""
    if status < 0:
        raise (OutOfTime if -status == signal.SIGXCPU else NoVerdict)(f"{tool} was ended by signal {-status}")


def _failure(results: Path) -> str:
    """The first test that failed, and how."""
    for case in ElementTree.parse(results).getroot().iter("testcase"):
        for failure in [*case.findall("failure"), *case.findall("error")]:
            how = f"{failure.get('error_type', '')} {failure.get('error_msg', failure.get('message', ''))}"
            return f"{case.get('name')}: {how.strip()}"[:200]
    return "a test failed"


_PAIR: Final = proof(
    "blp_pair",
    ("blp_table.v", "blp_write.v", "blp_delta.v", "blp_endpoint.v", "blp_pair_views.v", "blp_pair.v"),
    steps=12,
)
_ENDPOINT: Final = (
    bench("endpoint_bench", "bench_blp_endpoint", 2, {"WRITE_CYCLES": 2}),
    bench("endpoint_bench", "bench_blp_endpoint", 2, {"WRITE_CYCLES": 0}),
    no_latch("blp_endpoint"),
)
_PARSER: Final = tuple(bench("parser_bench", "bench_blp_parser", 10, {"DATA_W": width}) for width in (64, 8))
_FRAMER: Final = tuple(bench("framer_bench", "bench_blp_framer", 7, {"DATA_W": width}) for width in (64, 8))
_WIDTHS: Final = ("DATA_W=64", "DATA_W=8")

LADDERS: Final[Mapping[str, Sequence[Rung]]] = {
    "blp_endpoint": (build("endpoint_bench"), _PAIR, *_ENDPOINT),
    "blp_table": (build("endpoint_bench"), every_case(), no_latch("blp_endpoint")),
    "blp_write": (build("endpoint_bench"), _PAIR, *_ENDPOINT),
    "blp_delta": (
        build("endpoint_bench", ("WINDOW_W=16", "WINDOW_W=1")),
        *(proof("delta_rules", ("delta_rules.v", "blp_delta.v"), 2, setting=f"WINDOW_W {width}") for width in (16, 1)),
        *_ENDPOINT,
    ),
    "blp_timer": (build("blp_timer"), bench("blp_timer", "bench_blp_timer", 5)),
    "blp_parser": (
        build("parser_bench", _WIDTHS),
        _PARSER[0],  # kills most in a third of the time that the proof's solver takes
        proof("blp_parser", ("blp_parser.v", "blp_crc32c.free.v", "axis_rules.v"), 14, defines=["F_ONE_FRAME"]),
        _PARSER[1],
        no_latch("blp_parser"),
    ),
    "blp_crc32c": (build("parser_bench", _WIDTHS), *_PARSER, *_FRAMER, no_latch("blp_parser")),
    "blp_nvreg": (
        build("blp_nvreg", ("WRITE_CYCLES=10", "WRITE_CYCLES=0")),
        proof("nvreg_rules", ("nvreg_rules.v", "blp_nvreg.v"), 20, defines=["NVREG=blp_nvreg"]),
        *(bench("blp_nvreg", "bench_blp_nvreg", 7, {"WIDTH": 100, "WRITE_CYCLES": cycles}) for cycles in (10, 0)),
        _ENDPOINT[0],  # what it holds when it is made
        no_latch("blp_nvreg"),
    ),
}

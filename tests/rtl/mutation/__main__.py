"""`make mutation`: judge the mutants of the link's Verilog, print the table, fail where too many live.

Exit code 0: enough are killed and every survivor is explained; 1: not so; 2: a wrong argument; 3: a tool is missing.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import formal_tools
import simulators

from mutation import campaign, explanations
from mutation.judging import baseline
from mutation.mutants import DRAWN, SEED, drawn, offered


def main() -> int:
    """Run it."""
    parser = argparse.ArgumentParser(prog="make mutation", description=__doc__.partition("\n\n")[0])
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="so many mutants at once")
    parser.add_argument("--seed", type=int, default=SEED, help="of the draw")
    parser.add_argument("--modules", nargs="+", choices=DRAWN, default=list(DRAWN), metavar="MODULE")
    parser.add_argument("--all", action="store_true", help="every mutant, not a draw")
    parser.add_argument("--out", type=Path, default=Path("hwsim-out/mutation"), help="folder for the results")
    asked = parser.parse_args()
    for reason in (simulators.missing("icarus"), formal_tools.missing()):
        if reason:
            print(f"make mutation: {reason}", file=sys.stderr)
            return 3
    if asked.all:
        mutants = [made for module in asked.modules for made in offered(module)]
    else:
        mutants = drawn({module: DRAWN[module] for module in asked.modules}, seed=asked.seed)
    print(f"{len(mutants)} mutants; first the Verilog as it is", flush=True)
    if failed := baseline(asked.modules):
        for rung, reason in failed:
            print(f"the Verilog as it is does not pass {rung}: {reason}", file=sys.stderr)
        return 1
    begun = time.monotonic()

    def say(number: int, one: campaign.Judged) -> None:
        left = (time.monotonic() - begun) / number * (len(mutants) - number)
        by = f" by {one.verdict.by}" if one.verdict.by else ""
        print(f"{number}/{len(mutants)} {one.verdict.status}{by}: {one.mutant} ({left / 60:.0f} min left)", flush=True)

    judged = campaign.run(mutants, jobs=asked.jobs, say=say)
    campaign.save(judged, asked.out)
    print(f"\n{campaign.table(judged)}\n\n{asked.out / 'mutants.json'}")
    faults = [*campaign.faults(judged), *(f"explained, but no mutant: {key}" for key in explanations.stale())]
    for fault in faults:
        print(fault, file=sys.stderr)
    return bool(faults)


if __name__ == "__main__":
    sys.exit(main())

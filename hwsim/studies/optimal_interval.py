"""The checkpoint interval to choose: the exact expectation under random failures, beside Young's and Daly's formulas.

A job computes for an interval dt, then saves for w while nothing else goes on.  Failures come as a Poisson process with
mean M; each costs the work since the last save, and R until the job goes on, during which none strikes.  A period of
dt + w that must pass without a failure takes (e^((dt+w)/M) - 1)(M + R) on average, tries and restarts included, and
yields dt of work; so

    ETTR(dt) = dt / ((e^((dt+w)/M) - 1) (M + R)).

R stands as a factor only: it lowers the ETTR and does not move the optimum.

Source: J. W. Young, "A first order approximation to the optimum checkpoint interval", CACM 17 (1974); J. T. Daly, "A
higher order estimate of the optimum checkpoint interval for restart dumps", FGCS 22 (2006), the model of section 2 and
equation 37 (up to the second order of sqrt(w/2M)).

Not modelled: asynchronous saving; failures that come in bursts or during a restart; a save that fails.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hwsim.errors import UserError
from hwsim.units import PS_PER_SECOND, parse_duration, parse_rate, parse_size


@dataclass(frozen=True)
class Job:
    """A job that fails: the time of a save, the mean time to interruption and the time of a restart, all in s."""

    save_s: float
    mtti_s: float
    restart_s: float = 0.0

    def ettr(self, interval_s: float) -> float:
        """The share of time that is work which counts, where *interval_s* of work lie between saves."""
        exponent = (interval_s + self.save_s) / self.mtti_s
        if exponent > 700:  # e to it is beyond a float, and the share is 0
            return 0.0
        return interval_s / (math.expm1(exponent) * (self.mtti_s + self.restart_s))

    def best_interval_s(self) -> float:
        """The interval of the highest ETTR, by bisection of its derivative's sign: (1 - dt/M) e^((dt+w)/M) = 1."""
        low, high = 0.0, self.mtti_s  # the left side falls from e^(w/M) to 0
        while high - low > 1e-13 * high:
            middle = (low + high) / 2
            # As logarithms, so that nothing overflows where a save takes longer than failures let it.
            if math.log1p(-middle / self.mtti_s) + (middle + self.save_s) / self.mtti_s > 0:
                low = middle
            else:
                high = middle
        return (low + high) / 2

    def young_s(self) -> float:
        """Young's interval: the square root of 2 w M."""
        return math.sqrt(2 * self.save_s * self.mtti_s)

    def daly_s(self) -> float:
        """Daly's interval of higher order; M where a save takes 2 M or longer."""
        if self.save_s >= 2 * self.mtti_s:
            return self.mtti_s
        root = math.sqrt(self.save_s / (2 * self.mtti_s))
        return self.young_s() * (1 + root / 3 + root * root / 9) - self.save_s


def advice(save_s: float, mtti_s: float, restart_s: float) -> dict[str, object]:
    """What `hwsim interval` tells: the best interval, what it costs to be off, and the formulas beside it."""
    job = Job(save_s, mtti_s, restart_s)
    best = job.best_interval_s()
    highest = job.ettr(best)

    def at(interval_s: float) -> dict[str, float]:
        found = job.ettr(interval_s)
        return {
            "interval_s": interval_s,
            "ettr": found,
            "off": interval_s / best - 1,
            "cost": highest - found,
        }

    return {
        "save_s": save_s,
        "mtti_s": mtti_s,
        "restart_s": restart_s,
        "best": at(best),
        "young": at(job.young_s()),
        "daly": at(job.daly_s()),
        "half": at(best / 2),
        "double": at(best * 2),
    }


def advice_on(size: str, bandwidth: str, mtti: str, restart: str) -> dict[str, object]:
    """The advice on quantities as a user writes them.  Raises UserError with every mistake in them."""
    amounts, wrong = [], []
    for option, parse, text, may_be_zero in (
        ("--size", parse_size, size, False),
        ("--bandwidth", parse_rate, bandwidth, False),
        ("--mtti", parse_duration, mtti, False),
        ("--restart", parse_duration, restart, True),
    ):
        try:
            amounts.append(parse(text))
        except ValueError as error:
            wrong.append(f"{option}: {error}")
            continue
        if amounts[-1] == 0 and not may_be_zero:
            wrong.append(f"{option}: {text!r} is nothing; write more")
    if wrong:
        raise UserError("\n".join(wrong))
    size_bytes, rate_bps, mtti_ps, restart_ps = amounts
    return advice(8 * size_bytes / rate_bps, mtti_ps / PS_PER_SECOND, restart_ps / PS_PER_SECOND)


def render(told: dict[str, object]) -> str:
    """The advice as text."""
    from hwsim.report.words import duration

    def part(name: str) -> dict[str, float]:
        found = told[name]
        assert isinstance(found, dict)
        return found

    best = part("best")
    rows = [
        ("best (exact)", best),
        ("Daly 2006", part("daly")),
        ("Young 1974", part("young")),
        ("half the best", part("half")),
        ("twice the best", part("double")),
    ]
    facts = {name: told[name] for name in ("save_s", "mtti_s", "restart_s")}
    assert all(isinstance(value, float) for value in facts.values())
    save, mtti, restart = (duration(float(str(value))) for value in facts.values())
    share = 100 * best["ettr"]
    lines = [
        f"Save every {duration(best['interval_s'])} of work: {share:.2f}% of the time is then training that counts.",
        f"A save takes {save}; the job is interrupted every {mtti} on average, and goes on after {restart}.",
        "",
        f"{'':<16}{'interval':>12}{'off by':>10}{'ETTR':>10}{'costs':>12}",
    ]
    lines += [
        f"{name:<16}{duration(row['interval_s']):>12}{100 * row['off']:>+9.1f}%{100 * row['ettr']:>9.2f}%"
        f"{100 * row['cost']:>9.3f} pp"
        for name, row in rows
    ]
    lines += [
        "",
        "The interval is the work between two saves: from begin to begin it is longer by the save.",
        "Exact where failures are a Poisson process, none strikes during a restart, and saving blocks.",
    ]
    return "\n".join(lines)

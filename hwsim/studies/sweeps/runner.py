"""Run a study's grid on this machine: batches to workers, rows to the ledger, until every point is known well enough.

Runs go to worker processes in batches of about a second or more, so that handing them over costs nothing next to
them.  Points are repeated in rounds of `repeats`: after a round, those whose interval is still too wide get another.
A round's runs follow from the rows before it alone, so the rows are the same whatever the number of workers, and
whether or not the sweep was stopped or killed on the way.

Not modelled: other machines.
"""

from __future__ import annotations

import time
import warnings
from collections import defaultdict, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hwsim.answers import Say, silent
from hwsim.errors import EnvironmentFailure, Interrupted, UserError
from hwsim.studies.sweeps.estimates import estimate
from hwsim.studies.sweeps.ledger import Ledger, opened
from hwsim.studies.sweeps.runs import Batch, Row, Setting, Task, prepare_worker, run_batch
from hwsim.studies.sweeps.spec import numbers

if TYPE_CHECKING:
    from hwsim.studies.sweeps.spec import Study

_SHORTEST_S, _LONGEST_S = 1.0, 10.0  # of a batch; it grows with the sweep, so that parts stay few
_MOST_IN_BATCH = 1000


@dataclass(frozen=True)
class Swept:
    """How a sweep ended: its rows so far, and how many runs are left at least (`until` may ask for more)."""

    rows: tuple[Row, ...]
    left: int
    folder: Path

    @property
    def is_complete(self) -> bool:
        """Whether every point is done."""
        return self.left == 0


def sweep(
    study: Study,
    folder: Path,
    *,
    jobs: int = 1,
    budget_s: float | None = None,
    say: Say = silent,
    on_batch: Callable[[int], None] | None = None,
) -> Swept:
    """Run what *folder* lacks of *study*'s rows, and write them there.

    *jobs* worker processes share the work (1: this process does it); after *budget_s* seconds no batch begins any
    more.  *on_batch* is told the number of runs that are done after each batch that was kept.  Raises UserError where
    the folder is of another study or a point cannot be run, EnvironmentFailure where the folder cannot be written,
    Interrupted at a Ctrl-C, once the rows so far are written.
    """
    deadline = None if budget_s is None else time.monotonic() + budget_s
    with opened(folder, study) as ledger:
        run = _Sweep(study, ledger, jobs, deadline, say, on_batch)
        try:
            left = run.until_done()
        except KeyboardInterrupt:
            ledger.write_rows()
            said = f"interrupted; what is finished is in {folder}/, and the same command goes on"
            raise Interrupted(said) from None
        ledger.write_rows()
        return Swept(tuple(ledger.rows()), left, folder)


@dataclass
class _Sweep:
    """One sweep under way."""

    study: Study
    ledger: Ledger
    jobs: int
    deadline: float | None
    say: Say
    on_batch: Callable[[int], None] | None
    pace_s: float | None = None  # of one run, lately
    refused: str = ""  # why a point cannot be run
    began: float = field(default_factory=time.monotonic)

    def until_done(self) -> int:
        """Rounds until nothing is asked for any more, or time is up; returns how many runs of the round are left."""
        aims = dict.fromkeys(range(len(self.study.points)), self.study.repeats)
        done = self.ledger.done()
        while True:
            missing = deque(
                Task(point, repeat)
                for point in self.study.points
                for repeat in range(aims[point.number])
                if (point.number, repeat) not in done
            )
            if missing:
                total = sum(aims.values())
                self._round(missing, total, total - len(missing))
                done = self.ledger.done()
                left = total - sum((number, repeat) in done for number, aim in aims.items() for repeat in range(aim))
                if left:
                    return left
            more = next_aims(self.study, aims, self.ledger.rows() if self.study.until else ())
            if more == aims:
                return 0
            aims = more

    def _round(self, missing: deque[Task], total: int, done: int) -> None:
        study = self.study
        path = str(Path(study.topology).absolute())
        setting = Setting(path, study.topology_sha256, study.seed, study.seeds, study.record)
        self._tell(done, total)
        count = len(missing)
        with _workers(min(self.jobs, count), setting, self._batches(missing, count)) as batches:
            for batch in batches:
                self.ledger.add(batch.rows)
                done += len(batch.rows)
                if batch.rows:
                    pace = batch.wall_s / len(batch.rows)
                    self.pace_s = pace if self.pace_s is None else (self.pace_s + pace) / 2
                self._tell(done, total)
                if self.on_batch is not None:
                    self.on_batch(done)
                self.refused = self.refused or batch.refused  # nothing begins any more; what is under way is kept
        if self.refused:
            raise UserError(f"{self.study.source}: {self.refused}")

    def _batches(self, missing: deque[Task], count: int) -> Iterator[list[Task]]:
        """Tasks, so many at a time as take about a second, or more once the sweep has gone on for long."""
        while missing and not self.refused and (self.deadline is None or time.monotonic() < self.deadline):
            wanted_s = min(_LONGEST_S, max(_SHORTEST_S, (time.monotonic() - self.began) / 60))
            pace = self.pace_s
            size = 1 if pace is None else min(_MOST_IN_BATCH, max(1, round(wanted_s / max(pace, 1e-6))))
            size = min(size, max(1, -(-count // self.jobs)), len(missing))
            yield [missing.popleft() for _ in range(size)]

    def _tell(self, done: int, total: int) -> None:
        time_left = ""
        if self.pace_s is not None and done < total:
            seconds = (total - done) * self.pace_s / self.jobs
            if self.deadline is not None:
                seconds = min(seconds, max(0.0, self.deadline - time.monotonic()))
            time_left = f", about {_clock(seconds)} left"
        self.say(f"{self.study.name}: {done:,} of {total:,} runs{time_left}", done / total)


def next_aims(study: Study, aims: Mapping[int, int], rows: Sequence[Row]) -> dict[int, int]:
    """How often each point is to be run, once it was run as often as *aims* says and gave *rows*."""
    until = study.until
    if until is None:
        return dict(aims)
    column = 3 + study.record.index(until.key)
    values: dict[int, list[Any]] = defaultdict(list)
    for row in rows:
        if row[1] < aims[row[0]]:
            values[row[0]].append(row[column])
    found = {}
    for number, aim in aims.items():
        known = estimate(numbers(values[number]))
        is_narrow = known is not None and known.half_width is not None and known.half_width <= until.half_width
        found[number] = aim if is_narrow else min(until.max_repeats, aim + study.repeats)
    return found


@contextmanager
def _workers(jobs: int, setting: Setting, batches: Iterator[list[Task]]) -> Iterator[Iterator[Batch]]:
    """Give the results of *batches*, as they come: from worker processes, or for one job from this process."""
    if jobs <= 1:
        yield (run_batch(setting, batch) for batch in batches)
        return
    import os
    from concurrent.futures.process import BrokenProcessPool

    import joblib

    config = joblib.parallel_config(
        backend="loky", n_jobs=jobs, initializer=prepare_worker, initargs=(os.getpid(),), inner_max_num_threads=1
    )
    with config:
        parallel = joblib.Parallel(return_as="generator_unordered", batch_size=1, pre_dispatch="2 * n_jobs")
        results = parallel(joblib.delayed(run_batch)(setting, batch) for batch in batches)
        try:
            yield results
        except BrokenProcessPool as error:
            raise EnvironmentFailure(
                "a worker process was ended from outside, as a machine that runs out of memory does; fewer --jobs take "
                "less, and the same command goes on"
            ) from error
        finally:
            with warnings.catch_warnings():  # that results were not waited for is what closing early means
                warnings.simplefilter("ignore")
                results.close()


def _clock(seconds: float) -> str:
    """A rough duration, for a line of progress."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    if seconds < 5400:
        return f"{round(seconds / 60)} min"
    return f"{seconds / 3600:.1f} h"

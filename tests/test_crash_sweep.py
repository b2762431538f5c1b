"""The exact sweep against handwritten traces, a naive replay of every instant, and Monte Carlo."""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import random
from collections.abc import Callable

import crash_oracle
import pytest
from handwritten import domains, header, in_order, manifest_trace
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim import crash_monotone
from hwsim.contents import NOTHING, TORN, encode
from hwsim.crash_sweep import instants_of, standard_errors, sweep, sweep_strike
from hwsim.crash_tally import Tally
from hwsim.crash_timeline import INDETERMINATE, RawClass, Timeline, newest_of
from hwsim.instants import AllInstants, PoissonInstants, SingleInstants
from hwsim.outcomes import Outcome
from hwsim.trace import CrashCase, Header, Part, Record, Strike, Trace

S = 10**12


def swept(trace: Trace, strike: Strike | None = None) -> Tally:
    head = trace.header
    window = AllInstants(head.warm_up_ps, head.horizon_ps)
    return sweep_strike(Timeline(trace), strike or head.crashes[0].strikes[0], window)


# handwritten answers


def test_two_domains_are_mixed_between_their_persists() -> None:
    tally = swept(domains([[12, 23], [17, 22]], [10, 20], horizon_ps=30))
    assert tally.raw == {RawClass.UNIFORM: 24, RawClass.MIXED: 6}
    assert tally.worst == {Outcome.CORRECT_LATEST: 24, Outcome.SILENT_MIXED: 6}
    assert tally.at_latest == {2: 10 + 3 + 7, 0: 2 + 2, 1: 5 + 1}
    assert tally.spread == {0: 24, 1: 6}
    assert tally.unprotected == 6
    # checkpoint 0 until 12, 1 (begun at 10) from 17 to 22, 2 (begun at 20) from 23 on
    assert tally.lost_ps == 12 * 12 / 2 + (7 + 12) / 2 * 5 + (3 + 10) / 2 * 7
    assert tally.lost_max_ps == 12


def test_cached_write_is_indeterminate_under_power_loss_and_sure_under_a_reset() -> None:
    part = Part("shard0", 0, 0, "gpu", "d", ("d:cache", "d:media"), 1)
    places = {"d:cache": ("d:power",), "d:media": ("d:media",)}
    rows = [
        Record(10, "checkpoint_begun", "job", epoch=1),
        Record(10, "begun", "d", "d:cache", "shard0", "1", 1, encode(frozenset({NOTHING, TORN}))),
        Record(10, "begun", "d", "d:media", "shard0", "1", 1, encode(frozenset({NOTHING, TORN, 1}))),
        Record(20, "completed", "d", "d:cache", "shard0", "1", 1, "1"),
        Record(50, "persisted", "d", "d:media", "shard0", "1", 1, "1"),
    ]
    trace = in_order(header([part], places), rows)
    assert swept(trace).raw == {RawClass.UNIFORM: 60, RawClass.INDETERMINATE: 40}
    assert swept(trace, Strike("reset", ("d:commands",))).raw == {RawClass.UNIFORM: 90, RawClass.INDETERMINATE: 10}
    # nothing of the part survives: it is no domain
    assert swept(trace, Strike("gone", ("d:media", "d:power"))).raw == {RawClass.UNIFORM: 100}


def test_dark_outranks_torn() -> None:
    part = Part("shard0", 0, 0, "gpu", "d", ("d:media",), 1)
    rows = [
        Record(10, "begun", "d", "d:media", "shard0", "0", 1, "0,torn"),
        Record(20, "torn", "d", "d:media", "shard0", "0", 1, "torn"),
        Record(30, "stopped", "d"),
        Record(40, "restored", "d"),
        Record(60, "persisted", "d", "d:media", "shard0", "0", 2, "2"),
    ]
    tally = swept(in_order(header([part], {"d:media": ("d:media",)}, participants=("d",)), rows))
    assert tally.raw == {
        RawClass.UNIFORM: 10 + 40, RawClass.INDETERMINATE: 10, RawClass.TORN: 10 + 20, RawClass.DARK: 10,
    }
    assert tally.best[Outcome.CORRECT_LATEST] == 10 + 10 + 40
    assert tally.undecided == 10


def test_manifest_hides_the_mixed_window() -> None:
    tally = swept(manifest_trace())
    assert tally.raw[RawClass.MIXED] == 2 * 8
    assert tally.worst == {Outcome.CORRECT_LATEST: 9 * 8, Outcome.CORRECT_OLDER: 8}  # durable and not yet committed
    assert tally.unprotected == 0
    assert tally.lost_mean_s * S == pytest.approx(10 / 2 + 6)  # half an interval, and the commit latency


def test_a_manifest_removed_before_the_rename_leaves_a_gap() -> None:
    tally = swept(manifest_trace(gap=(6, 8)))
    assert tally.unsafe_share == 2 / 10
    assert tally.worst[Outcome.LOST_COMMITTED] == 2 * 8
    assert swept(manifest_trace(gap=(6, 8), missing="restart")).worst[Outcome.SILENT_RESTART] == 2 * 8


def test_one_drive_lost_for_good_loses_what_was_committed() -> None:
    trace = manifest_trace()
    one = CrashCase("one", (Strike("d0", ("d0:media",)), Strike("d1", ("d1:media",)), Strike("none", ())))
    both = sweep([Timeline(trace)], one)
    assert both.total.unsafe_share == pytest.approx(2 / 3)
    assert both.worst == "d0"
    assert both.strikes["none"].unsafe_share == 0


def test_work_goes_back_to_the_restored_cut_and_stands_still_while_the_job_is_down() -> None:
    trace = domains([[12, 60]], [10, 50])
    rows = [Record(30, "job_stopped", "job"), Record(40, "recovered", "job", epoch=1, detail="whole"),
            Record(45, "job_resumed", "job")]
    trace = in_order(trace.header, [*trace, *rows])
    # 0..12: t; 12..30: t - 10; 30..40: 20; 40..45: 0; 45..60: t - 45; 60..100: work since 50
    expected = 72 + (2 + 20) / 2 * 18 + 20 * 10 + 15 * 15 / 2 + (10 + 50) / 2 * 40
    assert swept(trace).lost_ps == expected


def test_capacitors_that_die_change_what_survives() -> None:
    part = Part("shard0", 0, 0, "gpu", "d", ("d:cache", "d:media"), 1)
    places = {"d:cache": ("d:media",), "d:media": ("d:media",)}  # protected: the cache needs no power
    rows = [
        Record(10, "completed", "d", "d:cache", "shard0", "0", 1, "1"),
        Record(10, "begun", "d", "d:media", "shard0", "0", 1, "-,1"),
        Record(30, "dependence_changed", "d", peer="d:cache", detail=json.dumps(["d:power"])),
        Record(70, "persisted", "d", "d:media", "shard0", "0", 1, "1"),
    ]
    tally = swept(in_order(header([part], places), rows), Strike("power", ("d:power",)))
    assert tally.raw == {RawClass.UNIFORM: 60, RawClass.INDETERMINATE: 40}


def test_a_doubted_place_is_read_and_what_lies_below_it_too() -> None:
    part = Part("shard0", 0, 0, "gpu", "d", ("d:llc", "d:memory"), 1)
    places = {"d:llc": ("d:power",), "d:memory": ("d:memory",)}
    rows = [
        Record(10, "completed", "d", "d:llc", "shard0", "0", 1, "1"),
        Record(30, "persisted", "d", "d:memory", "shard0", "0", 1, "1"),
        Record(50, "completed", "d", "d:llc", "shard0", "0", 2, "2"),
        Record(70, "erased", "d", "d:llc", "shard0", "0", 2, None),
    ]
    trace = in_order(header([part], places, doubts={"d:llc": ("d:reboot",)}), rows)
    assert swept(trace, Strike("reboot", ("d:reboot",))).raw == {RawClass.UNIFORM: 60, RawClass.INDETERMINATE: 40}
    assert swept(trace, Strike("power", ("d:power", "d:reboot"))).raw == {RawClass.UNIFORM: 100}
    assert swept(trace, Strike("other", ("d:other",))).raw == {RawClass.UNIFORM: 100}
    again = Header.from_json(trace.header.to_json())
    assert again == trace.header
    older = json.loads(trace.header.to_json())
    del older["doubts"]
    assert Header.from_json(json.dumps(older)).doubts == {}


@pytest.mark.parametrize(
    ("slots", "newest"),
    [
        ([], 0),
        ([{3}], 3),
        ([{3}, {4, NOTHING}], INDETERMINATE),
        ([{3}, {TORN}], 3),
        ([{TORN}], TORN),
        ([{TORN}, {4, TORN}], INDETERMINATE),
        ([{TORN, NOTHING}], INDETERMINATE),
        ([{3, 4}, {4}], 4),
        ([{0, NOTHING}], 0),
    ],
)
def test_newest_of_a_part(slots: list[set[int]], newest: int) -> None:
    assert newest_of({str(i): frozenset(slot) for i, slot in enumerate(slots)}) == newest


# the naive replay


@st.composite
def small_traces(draw: st.DrawFn, doubts: int = 6) -> tuple[Trace, Strike]:
    fresh = draw(st.booleans())
    copies = draw(st.integers(1, 2))
    parts = [
        Part(f"shard{s}" + (".copy1" if c else ""), s, c, "g", f"d{(s + c) % 2}",
             (f"d{(s + c) % 2}:cache", f"d{(s + c) % 2}:media"), 1)
        for s in range(2)
        for c in range(copies)
    ]
    parts.append(Part("manifest", -1, 0, "h", "d0", ("d0:cache", "d0:media"), 1))
    parts.append(Part("far", -1, 0, "h", "d0", ("c:view",), 1))  # what a client believes the record to be
    places = {f"d{i}:{kind}": (f"d{i}:{kind}",) for i in range(2) for kind in ("cache", "media")}
    places["c:view"] = ("c:kernel",)
    rows = []
    count = 0
    for _ in range(draw(st.integers(0, 22))):
        time_ps = 2 * draw(st.integers(0, 30))
        others = ["begun", "begun", "committed", "down", "up", "stop", "back", "on", "needs"]
        event = draw(st.sampled_from(["hold"] * 12 + others))
        epoch = draw(st.integers(1, 3))
        if event == "hold":
            part = draw(st.sampled_from(parts))
            slot = str(epoch) if fresh and part.shard >= 0 else "0"
            members = [NOTHING, TORN, epoch] if slot != "0" else [NOTHING, TORN, 1, 2, 3]
            size = draw(st.sampled_from([1, 1, 1, 2, 3])) if count < doubts else 1
            count += size > 1
            may = draw(st.one_of(st.none(), st.just(encode(frozenset(draw(st.permutations(members))[:size])))))
            place = draw(st.sampled_from(part.stack))
            rows.append(Record(time_ps, "advanced", "d", place, part.name, slot, epoch, may))
        elif event == "needs":
            tokens = draw(st.sampled_from([["d0:cache"], ["d0:media"], []]))
            rows.append(Record(time_ps, "dependence_changed", "d0", peer="d0:cache", detail=json.dumps(tokens)))
        else:
            name = {"begun": "checkpoint_begun", "committed": "epoch_committed", "down": "stopped", "up": "restored",
                    "stop": "job_stopped", "back": "recovered", "on": "job_resumed"}[event]
            detail = draw(st.sampled_from(["whole", "mixed", "refused", "hang"])) if event == "back" else None
            epoch_of = None if detail in ("mixed", "refused", "hang") else epoch
            rows.append(Record(time_ps, name, draw(st.sampled_from(["d0", "d1"])), epoch=epoch_of, detail=detail))
    rule = draw(st.sampled_from(["in_place", "manifest"]))
    params = {"slots": "fresh" if fresh else "in_place", "checksum": draw(st.booleans()),
              "recover_by": draw(st.sampled_from(["coordinator", "each_rank"])),
              "views": draw(st.sampled_from([{}, {"far": [1]}, {"far": [0, 1]}]))}
    doubts = {"d0:cache": ("d0:link",), "d1:media": ("d0:link", "d0:media")} if draw(st.booleans()) else {}
    head = header(parts, places, horizon_ps=60, warm_up_ps=2 * draw(st.integers(0, 10)), rule=rule, rule_params=params,
                  participants=("d0",), doubts=doubts)
    takes = [(), ("d0:cache",), ("d0:cache", "d1:cache"), ("d0:media", "d0:cache"), ("d1:media",), ("d0:link",),
             ("d0:link", "d1:media"), ("c:kernel",)]
    return in_order(head, rows), Strike("s", draw(st.sampled_from(takes)))


@settings(max_examples=120, deadline=None)
@given(small_traces())
def test_sweep_equals_judging_every_instant(case: tuple[Trace, Strike]) -> None:
    trace, strike = case
    tally = swept(trace, strike)
    naive = crash_oracle.shares(trace, strike, trace.header.warm_up_ps, trace.header.horizon_ps)
    assert {str(key): weight for key, weight in tally.raw.items()} == naive["raw"]
    assert {str(key): weight for key, weight in tally.worst.items()} == naive["worst"]
    assert {str(key): weight for key, weight in tally.best.items()} == naive["best"]
    for key in ("at_latest", "distinct", "spread"):
        assert getattr(tally, key) == naive[key]
    assert tally.unprotected == naive["unprotected"]
    assert tally.undecided == naive["undecided"]
    assert tally.restored == naive["restored"]
    assert tally.lost_ps == naive["lost"]
    assert tally.lost_max_ps == naive["lost_max"]
    assert sum(interval.mixed for interval in tally.intervals.values()) == naive["raw"].get("mixed", 0)


def doubled(trace: Trace, strike: Strike) -> tuple[Trace, Strike]:
    """Every shard twice, on devices of their own that fare as the first ones do."""
    twin = {"d0": "e0", "d1": "e1", "c": "c"}

    def device(place: str) -> str:
        name, colon, kind = place.partition(":")
        return twin[name] + colon + kind

    head = trace.header
    parts = [*head.parts]
    for part in head.parts:
        if part.shard >= 0:
            name = f"shard{part.shard + 2}{part.name[len('shard0'):]}"
            stack = tuple(map(device, part.stack))
            parts.append(dataclasses.replace(part, name=name, shard=part.shard + 2, stack=stack))
    names = {old.name: new for old, new in zip(head.parts, parts[len(head.parts):], strict=False)}
    places = dict(head.places) | {device(place): tuple(map(device, needs)) for place, needs in head.places.items()}
    rows = []
    for record in trace:
        rows.append(record)
        if record.part in names:
            rows.append(record._replace(part=names[record.part].name, place=device(record.place or "")))
        elif record.event == "dependence_changed":
            tokens = json.dumps([device(token) for token in json.loads(record.detail or "")])
            rows.append(record._replace(peer=device(record.peer or ""), detail=tokens))
    takes = (*strike.takes, *map(device, strike.takes))
    views = {view: [*shards, *(shard + 2 for shard in shards)] for view, shards in head.rule_params["views"].items()}
    params = {**head.rule_params, "views": views}
    head = dataclasses.replace(head, parts=tuple(parts), places=places, rule_params=params)
    return in_order(head, rows), Strike("s", takes)


@settings(max_examples=60, deadline=None)
@given(small_traces(doubts=3))
def test_shards_that_fare_alike_are_judged_as_if_they_were_several(case: tuple[Trace, Strike]) -> None:
    trace, strike = doubled(*case)
    timeline = Timeline(trace)
    assert {count for _, count in timeline.alike(frozenset(strike.takes))} <= {1, 2, 4}
    tally = swept(trace, strike)
    naive = crash_oracle.shares(trace, strike, trace.header.warm_up_ps, trace.header.horizon_ps)
    for name in ("raw", "worst", "best", "at_latest", "distinct", "spread"):
        assert {str(key): weight for key, weight in getattr(tally, name).items()} == {
            str(key): weight for key, weight in naive[name].items()
        }
    assert (tally.unprotected, tally.restored, tally.lost_ps) == (
        naive["unprotected"], naive["restored"], naive["lost"],
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(small_traces(), st.integers(0, 59))
def test_one_instant_equals_judging_it(case: tuple[Trace, Strike], instant: int) -> None:
    trace, strike = case
    tally = sweep_strike(Timeline(trace), strike, SingleInstants((instant,)))
    now = crash_oracle.at(trace, strike, instant)
    assert (list(tally.raw), list(tally.worst), tally.lost_ps) == ([now.raw], [now.worst], now.lost_ps or 0)


# closed expressions against the replay


@st.composite
def growing(draw: st.DrawFn) -> Trace:
    count, checkpoints = draw(st.integers(1, 5)), draw(st.integers(1, 8))
    begun = [10 * e for e in range(1, checkpoints + 1)]
    reach = draw(st.sampled_from([8, 12, 45]))
    persisted = []
    for _ in range(count):
        times = [b + draw(st.integers(0, reach)) for b in begun]
        persisted.append(times)
    trace = domains(persisted, begun, warm_up_ps=draw(st.integers(0, 30)))
    # the newest durable checkpoint wins: late persists of older ones never reach the media
    held: dict[str, int] = {}
    rows = []
    for row in trace:
        if row.event == "persisted" and row.part is not None and row.epoch is not None:
            if row.epoch <= held.get(row.part, 0):
                continue
            held[row.part] = row.epoch
        rows.append(row)
    return in_order(trace.header, rows)


@settings(max_examples=200, deadline=None)
@given(growing())
def test_closed_expressions_equal_the_replay(trace: Trace) -> None:
    timeline = Timeline(trace)
    strike = trace.header.crashes[0].strikes[0]
    instants = AllInstants(trace.header.warm_up_ps, trace.header.horizon_ps)
    fast = crash_monotone.sweep(timeline, strike, instants)
    assert fast is not None
    slow = sweep_strike(timeline, strike, instants)
    assert fast == slow


def test_closed_expressions_step_aside_where_they_do_not_hold() -> None:
    plain = domains([[12], [13]], [10])
    instants = AllInstants(0, 100)
    strike = plain.header.crashes[0].strikes[0]
    assert crash_monotone.sweep(Timeline(plain), strike, instants) is not None
    down = in_order(plain.header, [*plain, Record(50, "job_stopped", "job")])
    early = in_order(plain.header, [*plain, Record(12, "epoch_committed", "job", epoch=1)])
    regress = in_order(plain.header, [*plain, Record(50, "persisted", "d0", "d0:media", "shard0", "0", 0, "0")])
    ahead = domains([[8]], [10])
    for trace in (down, early, regress, ahead, manifest_trace()):
        assert crash_monotone.sweep(Timeline(trace), strike, instants) is None
    assert crash_monotone.sweep(Timeline(plain), Strike("s", ("d0:media",)), instants) is None
    assert crash_monotone.sweep(Timeline(plain), strike, SingleInstants((5,))) is None


# closed forms and measures


def drawn(count: int, checkpoints: int, delay: Callable[[random.Random], int], interval: int, seed: int) -> Trace:
    draw = random.Random(seed)
    begun = [interval * e for e in range(1, checkpoints + 1)]
    persisted = [[b + delay(draw) for b in begun] for _ in range(count)]
    return domains(persisted, begun, first_ps=interval, interval_ps=interval, warm_up_ps=interval,
                   horizon_ps=interval * (checkpoints + 1))


def test_the_mixed_share_is_the_mean_range_over_the_interval_exactly() -> None:
    trace = drawn(8, 50, lambda draw: draw.randrange(0, 9000), 10_000, 3)
    ends: dict[int, list[int]] = {}
    for row in trace:
        if row.event == "persisted" and row.epoch is not None:
            ends.setdefault(row.epoch, []).append(row.time_ps)
    ranges = sum(max(times) - min(times) for times in ends.values())
    assert swept(trace).raw[RawClass.MIXED] == ranges
    assert sweep([Timeline(trace)], trace.header.crashes[0]).total.raw[RawClass.MIXED] == ranges


def test_uniform_delays_meet_their_closed_form_within_the_error_they_claim() -> None:
    share, width = 0.2, 16
    timeline = Timeline(drawn(width, 400, lambda draw: draw.randrange(0, 2_000_000), 10_000_000, 5))
    result = sweep([timeline], timeline.header.crashes[0])
    errors = standard_errors(result, [timeline])
    assert 0 < errors.mixed < 0.002
    assert result.total.mixed_share == pytest.approx(share * (width - 1) / (width + 1), abs=4 * errors.mixed)
    assert errors.mixed == errors.unsafe


def test_crashes_that_restart_the_schedule_find_early_phases() -> None:
    trace = drawn(8, 3000, lambda draw: draw.randrange(0, 400_000), 1_000_000, 7)
    case = CrashCase("hazard", trace.header.crashes[0].strikes, hazard_mean_ps=2_000_000)
    got = sweep([Timeline(trace)], case).total.mixed_share
    assert got == pytest.approx(0.3581, abs=0.006)
    assert sweep([Timeline(trace)], trace.header.crashes[0]).total.mixed_share == pytest.approx(0.3111, abs=0.006)


def test_poisson_weights_add_up_to_the_interval_and_agree_with_a_fine_sum() -> None:
    measure = PoissonInstants(5, 45, 5, 10, 7)
    cuts = range(5, 46, 10)
    assert sum(measure.weight(a, b) for a, b in itertools.pairwise(cuts)) == pytest.approx(40)
    step = 1e-3
    steps = [step * (i + 0.5) for i in range(round(4 / step))]
    scale = 10 / (1 - math.exp(-10 / 7)) / 7
    density = [scale * math.exp(-(3 + u) / 7) * step for u in steps]
    assert measure.weight(8, 12) == pytest.approx(sum(density), rel=1e-6)
    assert measure.moment(8, 12) == pytest.approx(sum(map(math.prod, zip(steps, density, strict=True))), rel=1e-6)


def test_a_phase_is_asked_of_every_interval_of_the_window() -> None:
    head = domains([[12]], [10], warm_up_ps=20).header
    assert instants_of(CrashCase("p", (), phase_ps=3), head) == SingleInstants(tuple(range(23, 100, 10)))
    assert instants_of(CrashCase("a", (), at_ps=7), head) == SingleInstants((7,))


def test_the_worst_instant_of_uniform_delays_is_halfway() -> None:
    trace = drawn(2, 2000, lambda draw: draw.randrange(0, 1000), 10_000, 11)
    case = CrashCase("half", trace.header.crashes[0].strikes, phase_ps=500)
    assert sweep([Timeline(trace)], case).total.mixed_share == pytest.approx(0.5, abs=0.05)


def test_monte_carlo_agrees() -> None:
    trace = drawn(4, 30, lambda draw: round(draw.expovariate(1 / 3000)), 10_000, 13)
    parts: dict[str, list[tuple[int, int]]] = {}
    for row in trace:
        if row.event == "persisted" and row.part and row.epoch:
            parts.setdefault(row.part, []).append((row.time_ps, row.epoch))
    rows = []
    held: dict[str, int] = {}
    for row in trace:  # the newest wins
        if row.event == "persisted" and row.part and row.epoch:
            if row.epoch < held.get(row.part, 0):
                continue
            held[row.part] = row.epoch
        rows.append(row)
    trace = in_order(trace.header, rows)
    draw, hits, n = random.Random(1), 0, 4000
    for _ in range(n):
        t = draw.randrange(trace.header.warm_up_ps, trace.header.horizon_ps)
        hits += len({max((e for when, e in times if when <= t), default=0) for times in parts.values()}) > 1
    share = sweep([Timeline(trace)], trace.header.crashes[0]).total.mixed_share
    assert abs(hits / n - share) < 4 * math.sqrt(share * (1 - share) / n)


def test_errors_come_from_timelines_where_there_are_several() -> None:
    timelines = [Timeline(drawn(4, 20, lambda draw: draw.randrange(0, 5000), 10_000, seed)) for seed in range(4)]
    result = sweep(timelines, timelines[0].header.crashes[0])
    each = [sweep([t], t.header.crashes[0]).total.mixed_share for t in timelines]
    assert result.total.mixed_share == pytest.approx(sum(each) / 4)
    mean = sum(each) / 4
    spread = math.sqrt(sum((share - mean) ** 2 for share in each) / 3)
    assert standard_errors(result, timelines).mixed == pytest.approx(spread / 2)


def test_alike_shards_are_watched_through_one() -> None:
    timeline = Timeline(domains([[12, 23], [17, 22], [12, 23], [12, 23]], [10, 20]))
    assert sorted(count for _, count in timeline.alike(frozenset())) == [1, 3]
    # the strike tells them apart
    assert sorted(count for _, count in timeline.alike(frozenset(("d2:media",)))) == [1, 1, 2]


def test_places_that_no_reader_asks_change_nothing() -> None:
    trace = domains([[12, 23], [17, 22]], [10, 20])
    strange = [
        Record(5, "persisted", "d9", "d9:media", "shard9", "0", 1, "1"),
        Record(5, "persisted", "d0", "d0:elsewhere", "shard0", "0", 1, "1"),
    ]
    assert swept(in_order(trace.header, [*trace, *strange])) == swept(trace)

"""Fluid flows against independent arithmetic: exact fractions, the bottleneck theorem, and sums of bytes."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import pytest
import simpy
from hypothesis import given, settings
from hypothesis import strategies as st

from hwsim.flow import Flow, FlowNetwork, IOLost, Pipe

SECOND = 10**12
GBPS = 10**9


@pytest.fixture
def env() -> simpy.Environment:
    return simpy.Environment()


@pytest.fixture
def net(env: simpy.Environment) -> FlowNetwork:
    return FlowNetwork(env)


def ends(env: simpy.Environment, flow: Flow, log: list[tuple[Any, int]], name: Any) -> Iterator[simpy.Event]:
    yield flow.done
    log.append((name, env.now))


def at(env: simpy.Environment, time_ps: int, action: Any) -> None:
    env.timeout(time_ps).callbacks.append(lambda _: action())


# --- one flow, by hand ---------------------------------------------------------------------------


def test_a_lone_flow_takes_size_over_the_narrowest_pipe(env: simpy.Environment, net: FlowNetwork) -> None:
    flow = net.start([net.pipe("wide", 400 * GBPS), net.pipe("narrow", 32 * GBPS)], 4 * 10**9)
    env.run(flow.done)
    assert env.now == SECOND
    assert flow.bottleneck is not None
    assert flow.bottleneck.name == "narrow"
    assert flow.moved_bytes() == 4 * 10**9


def test_the_end_is_the_first_whole_picosecond(env: simpy.Environment, net: FlowNetwork) -> None:
    flow = net.start([net.pipe("p", 3 * GBPS)], 10**9)  # 8/3 s
    env.run(flow.done)
    assert env.now == -(-8 * SECOND // 3)


def test_milestones_fire_in_order_when_their_bytes_have_moved(env: simpy.Environment, net: FlowNetwork) -> None:
    log: list[tuple[str, int]] = []
    marks = [(n, lambda n=n: log.append((str(n), env.now))) for n in (10**9, 0, 250_000_000, 250_000_000)]
    flow = net.start([net.pipe("p", 8 * GBPS)], 10**9, milestones=marks)
    assert log == []
    env.process(ends(env, flow, log, "done"))
    env.run()
    quarter = SECOND // 4
    assert log == [("0", 0), ("250000000", quarter), ("250000000", quarter), ("1000000000", SECOND), ("done", SECOND)]


def test_milestones_do_not_add_to_the_duration(env: simpy.Environment, net: FlowNetwork) -> None:
    marks = [(n, lambda: None) for n in range(1, 1000)]
    flow = net.start([net.pipe("p", 7 * GBPS)], 1000, milestones=marks)
    env.run(flow.done)
    assert env.now == -(-8000 * SECOND // (7 * GBPS))


@pytest.mark.parametrize("size", [0, 5])
def test_nothing_to_move_or_nothing_in_the_way_takes_no_time(
    env: simpy.Environment, net: FlowNetwork, size: int
) -> None:
    log: list[int] = []
    pipes = [] if size else [net.pipe("stalled", 0)]
    flow = net.start(pipes, size, milestones=[(0, lambda: log.append(0)), (size, lambda: log.append(size))])
    env.run(flow.done)
    assert env.now == 0
    assert log == [0, size]
    assert flow.moved_bytes() == size


def test_bad_arguments_are_refused(net: FlowNetwork) -> None:
    pipe = net.pipe("p", 1)
    for arguments in ({"size_bytes": -1}, {"size_bytes": 1, "weight": 0.0}, {"size_bytes": 1, "weight": float("nan")},
                      {"size_bytes": 1, "milestones": [(2, lambda: None)]},
                      {"size_bytes": 1, "milestones": [(-1, lambda: None)]}):
        with pytest.raises(ValueError):
            net.start([pipe], **arguments)
    with pytest.raises(ValueError):
        net.pipe("q", -1)
    with pytest.raises(ValueError):
        net.set_capacity(pipe, -1)


# --- sharing -------------------------------------------------------------------------------------


@pytest.mark.parametrize("ranks", [1, 3, 64])
def test_concurrent_flows_end_at_all_bytes_over_the_bottleneck(
    env: simpy.Environment, net: FlowNetwork, ranks: int
) -> None:
    shared = net.pipe("store", 100 * GBPS)
    flows = [net.start([net.pipe(f"rank{i}", 400 * GBPS), shared], (1 + i % 5) * 10**9) for i in range(ranks)]
    env.run(env.all_of(flow.done for flow in flows))
    expected = sum(8 * flow.size_bytes for flow in flows) / (100 * GBPS) * SECOND
    assert env.now == pytest.approx(expected, rel=1e-9)
    assert all(flow.bottleneck is shared for flow in flows)


def test_all_changes_of_an_instant_cost_one_recomputation(env: simpy.Environment, net: FlowNetwork) -> None:
    shared = net.pipe("store", 100 * GBPS)
    for _ in range(64):
        net.start([shared], 10**9)
    env.run(until=1)
    assert net.recomputed == 1
    env.run()
    assert net.recomputed == 2  # they all end together


def test_weights_divide_a_pipe_in_proportion(env: simpy.Environment, net: FlowNetwork) -> None:
    pipe = net.pipe("p", 30 * GBPS)
    light, heavy = net.start([pipe], 10**9), net.start([pipe], 10**9, weight=2.0)
    env.run(until=1)
    assert (light.rate_bps, heavy.rate_bps) == (10e9, 20e9)
    assert pipe.rate_bps == 30e9


def test_a_pipe_crossed_twice_carries_the_bytes_twice(env: simpy.Environment, net: FlowNetwork) -> None:
    pipe = net.pipe("bus", 16 * GBPS)
    env.run(net.start([pipe, pipe], 10**9).done)
    assert env.now == SECOND
    use = net.use()["bus"]
    assert (use.carried_bytes, use.busy_ps, use.bound_ps) == (2 * 10**9, SECOND, SECOND)


# --- stalls, cancellation, capacity --------------------------------------------------------------


def test_capacity_zero_stalls_and_a_new_capacity_resumes(env: simpy.Environment, net: FlowNetwork) -> None:
    pipe = net.pipe("p", 8 * GBPS)
    flow = net.start([pipe], 10**9)
    at(env, SECOND // 2, lambda: net.set_capacity(pipe, 0))
    at(env, 5 * SECOND, lambda: net.set_capacity(pipe, 16 * GBPS))
    env.run(until=4 * SECOND)
    assert flow.moved_bytes() == 5 * 10**8
    assert flow.bottleneck is pipe
    env.run(flow.done)
    assert env.now == 5 * SECOND + SECOND // 4


def test_a_pipe_can_begin_stalled(env: simpy.Environment, net: FlowNetwork) -> None:
    pipe, log = net.pipe("p", 0), []
    flow = net.start([pipe], 10**9, milestones=[(0, lambda: log.append(env.now))])
    env.run(until=SECOND)
    assert log == [0]
    net.set_capacity(pipe, 8 * GBPS)
    env.run(flow.done)
    assert env.now == 2 * SECOND


def test_cancel_frees_the_pipe_and_fails_done(env: simpy.Environment, net: FlowNetwork) -> None:
    pipe = net.pipe("p", 8 * GBPS)
    victim, other = net.start([pipe], 10**9), net.start([pipe], 10**9)
    at(env, SECOND, victim.cancel)
    env.run(other.done)
    assert env.now == SECOND + SECOND // 2
    assert victim.moved_bytes() == 5 * 10**8
    assert not victim.done.ok
    assert isinstance(victim.done.value, IOLost)
    victim.cancel()  # again: no effect
    other.cancel()
    assert other.done.ok
    assert net.use()["p"].carried_bytes == 1.5e9


def test_a_waiter_hears_of_the_cancellation(env: simpy.Environment, net: FlowNetwork) -> None:
    flow, heard = net.start([net.pipe("p", 1)], 10**9), []

    def wait() -> Iterator[simpy.Event]:
        try:
            yield flow.done
        except IOLost:
            heard.append(env.now)

    env.process(wait())
    at(env, 7, flow.cancel)
    env.run()
    assert heard == [7]


def test_a_milestone_may_cancel_its_own_flow_and_start_another(env: simpy.Environment, net: FlowNetwork) -> None:
    pipe = net.pipe("p", 8 * GBPS)
    follow: list[Flow] = []

    def give_up() -> None:
        flow.cancel()
        follow.append(net.start([pipe], 10**9))

    flow = net.start([pipe], 10**9, milestones=[(5 * 10**8, give_up), (6 * 10**8, lambda: pytest.fail("cancelled"))])
    env.run()
    assert env.now == SECOND + SECOND // 2
    assert follow[0].done.ok


def test_owners_hear_of_every_change_of_rate_and_may_answer(env: simpy.Environment, net: FlowNetwork) -> None:
    """A write cache: 32 Gb/s until it is full at .5 s, 16 Gb/s from then on."""
    cache, heard = net.pipe("cache", 32 * GBPS), []
    cache.on_rate.append(lambda rate: heard.append((env.now, rate)))
    at(env, SECOND // 2, lambda: net.set_capacity(cache, 16 * GBPS))
    source = net.pipe("source", 8 * GBPS)
    net.start([cache], 3 * 10**9)
    net.start([source, cache], 10**9)
    env.run()
    # 24+8 Gb/s until .5 s (1.5 GB and .5 GB moved), then 8+8 until 1 s; the last 1 GB of the first at 16 Gb/s
    assert heard == [(0, 32e9), (SECOND // 2, 16e9), (SECOND + SECOND // 2, 0.0)]


# --- accounts ------------------------------------------------------------------------------------


def test_accounts_name_what_binds_and_reading_them_changes_nothing(env: simpy.Environment, net: FlowNetwork) -> None:
    wide, narrow = net.pipe("wide", 400 * GBPS), net.pipe("narrow", 8 * GBPS)
    net.start([wide, narrow], 10**9)
    env.run(until=SECOND // 4)
    for _ in range(3):
        use = net.use()
    assert use["narrow"].bound_ps == use["wide"].busy_ps == SECOND // 4
    assert use["wide"].bound_ps == 0
    assert use["wide"].carried_bytes == 2.5e8
    env.run()
    assert env.now == SECOND
    assert net.use()["narrow"].carried_bytes == 10**9
    env.run(until=3 * SECOND)
    assert net.use()["narrow"].busy_ps == SECOND


# --- against exact fractions ---------------------------------------------------------------------

Job = tuple[int, int, frozenset[int], int]  # start, bytes, pipes, weight


def level_rates(capacities: list[int], jobs: list[tuple[frozenset[int], int]]) -> list[Fraction]:
    """Max-min by raising one water level for all flows that still can, exactly; written apart from the code."""
    rates = [Fraction(0)] * len(jobs)
    rising = set(range(len(jobs)))
    while rising:
        steps = []
        for p, capacity in enumerate(capacities):
            pull = sum(jobs[j][1] for j in rising if p in jobs[j][0])
            if pull:
                used = sum(rates[j] for j in range(len(jobs)) if p in jobs[j][0])
                steps.append((capacity - used) / Fraction(pull))
        step = min(steps)
        for j in rising:
            rates[j] += step * jobs[j][1]
        full = {p for p, capacity in enumerate(capacities)
                if sum(rates[j] for j in range(len(jobs)) if p in jobs[j][0]) == capacity}
        rising = {j for j in rising if not jobs[j][0] & full}
    return rates


def exact_ends(capacities: list[int], jobs: list[Job]) -> list[Fraction]:
    """When each job ends, in ps, by an event loop on fractions."""
    now, left = Fraction(0), [Fraction(8 * job[1]) for job in jobs]
    finished: dict[int, Fraction] = {}
    while len(finished) < len(jobs):
        running = [j for j in range(len(jobs)) if jobs[j][0] <= now and j not in finished]
        rates = dict(zip(running, level_rates(capacities, [jobs[j][2:] for j in running]), strict=True))
        waits = [left[j] * SECOND / rates[j] for j in running]
        waits += [jobs[j][0] - now for j in range(len(jobs)) if jobs[j][0] > now]
        step = min(waits)
        for j in running:
            left[j] -= rates[j] * step / SECOND
            if left[j] == 0:
                finished[j] = now + step
        now += step
    return [finished[j] for j in range(len(jobs))]


PIPES = 5
jobs_of = st.lists(
    st.tuples(
        st.integers(0, 3).map(lambda k: k * SECOND // 3),
        st.integers(1, 4 * 10**9),
        st.frozensets(st.integers(0, PIPES - 1), min_size=1, max_size=3),
        st.integers(1, 3),
    ),
    min_size=1,
    max_size=8,
)
capacities_of = st.lists(st.integers(1, 64).map(lambda g: g * GBPS), min_size=PIPES, max_size=PIPES)


def build(capacities: list[int], jobs: list[Job]) -> tuple[FlowNetwork, list[Pipe], list[Flow], list[tuple[int, int]]]:
    env = simpy.Environment()
    net = FlowNetwork(env)
    pipes = [net.pipe(f"p{i}", capacity) for i, capacity in enumerate(capacities)]
    flows: list[Flow] = []
    log: list[tuple[int, int]] = []

    def run(j: int, job: Job) -> Iterator[simpy.Event]:
        yield env.timeout(job[0])
        flow = net.start([pipes[p] for p in sorted(job[2])], job[1], weight=float(job[3]))
        flows.append(flow)
        yield flow.done
        log.append((j, env.now))

    for j, job in enumerate(jobs):
        env.process(run(j, job))
    return net, pipes, flows, log


@given(capacities_of, jobs_of)
@settings(max_examples=150, deadline=None)
def test_rates_are_the_max_min_fair_ones(capacities: list[int], jobs: list[Job]) -> None:
    jobs = [(0, *job[1:]) for job in jobs]
    net, pipes, flows, _ = build(capacities, jobs)
    net.env.run(until=1)
    for flow, rate in zip(flows, level_rates(capacities, [job[2:] for job in jobs]), strict=True):
        assert flow.rate_bps == pytest.approx(float(rate), rel=1e-12)
    # The bottleneck theorem: feasible, and each flow has a full pipe on which nobody gets more a unit of weight.
    for pipe, capacity in zip(pipes, capacities, strict=True):
        assert pipe.rate_bps <= capacity * (1 + 1e-12)
    for flow in flows:
        binding = flow.bottleneck
        assert binding is not None
        assert binding.rate_bps == pytest.approx(binding.capacity_bps, rel=1e-12)
        for other in flows:
            if binding in other.pipes:
                assert other.rate_bps / other._weight <= flow.rate_bps / flow._weight * (1 + 1e-12)


@given(capacities_of, jobs_of)
@settings(max_examples=150, deadline=None)
def test_ends_are_exact_to_a_few_ps_and_bytes_are_conserved(capacities: list[int], jobs: list[Job]) -> None:
    net, _, _, log = build(capacities, jobs)
    net.env.run()
    for (_, got), exact in zip(sorted(log), exact_ends(capacities, jobs), strict=True):
        assert abs(got - exact) <= len(jobs) + 1  # each earlier end is rounded up by less than 1 ps
    for p, use in enumerate(net.use().values()):
        carried = sum(job[1] for job in jobs if p in job[2])
        assert use.carried_bytes == pytest.approx(carried, rel=1e-12)
        assert carried * 8 <= capacities[p] * use.busy_ps / SECOND * (1 + 1e-9) + 1e-3
        assert use.bound_ps <= use.busy_ps * len(jobs)


@given(capacities_of, jobs_of, st.lists(
    st.tuples(st.integers(1, 2 * SECOND), st.integers(0, PIPES - 1), st.integers(0, 64)), max_size=6))
@settings(max_examples=100, deadline=None)
def test_changing_capacities_never_lets_a_pipe_carry_more_than_it_can(
    capacities: list[int], jobs: list[Job], changes: list[tuple[int, int, int]]
) -> None:
    net, pipes, flows, _ = build(capacities, jobs)
    budget = [0.0] * PIPES
    since = [0] * PIPES

    def change(p: int, gbps: int) -> None:
        budget[p] += pipes[p].capacity_bps * (net.env.now - since[p]) / (8 * SECOND)
        since[p] = net.env.now
        net.set_capacity(pipes[p], gbps * GBPS)

    for when, p, gbps in changes:
        at(net.env, when, lambda p=p, gbps=gbps: change(p, gbps))
    net.env.run(until=3 * SECOND)
    live = [(0, 0, frozenset(pipes.index(pipe) for pipe in flow.pipes), int(flow._weight))
            for flow in flows if flow.active]
    wanted = level_rates([pipe.capacity_bps for pipe in pipes], [job[2:] for job in live])
    for flow, rate in zip([flow for flow in flows if flow.active], wanted, strict=True):
        assert flow.rate_bps == pytest.approx(float(rate), rel=1e-12)
    for p, use in enumerate(net.use().values()):
        change(p, 0)
        assert use.carried_bytes <= budget[p] * (1 + 1e-9) + 1e-3
        moved = sum(flow.moved_bytes() for flow in flows if pipes[p] in flow.pipes)
        assert use.carried_bytes == pytest.approx(moved, rel=1e-12)


def test_the_same_run_twice_is_the_same_to_the_bit() -> None:
    capacities = [7 * GBPS] * PIPES
    jobs = [(k * 1000, 10**9 + k, frozenset({k % 5, k % 3}), 1 + k % 3) for k in range(30)]

    def once() -> tuple[list[tuple[int, int]], list[tuple[float, int]]]:
        net, _, _, log = build(capacities, jobs)
        net.env.run()
        return log, [(use.carried_bytes, use.bound_ps) for use in net.use().values()]

    assert once() == once()

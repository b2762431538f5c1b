"""What strikes a running job, what it costs, and that nothing a fault can do stops a simulation."""

from __future__ import annotations

from dataclasses import replace

import builders
import pytest
from bench import Bench
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwsim.building import load_kinds
from hwsim.domain import Failing, PersistenceDomain
from hwsim.faults import Fault
from hwsim.simulation import simulate
from hwsim.trace import Record, Trace

PS = builders.PS
RESTART = {"restart": {"detect": "1s", "load": False, "init": "2s"}}


def rows(trace: Trace, *events: str) -> list[Record]:
    return [row for row in trace if row.event in events]


def epochs(trace: Trace, event: str) -> list[int | None]:
    return [row.epoch for row in rows(trace, event)]


def test_every_crash_kind_of_a_device_is_a_fault_kind() -> None:
    load_kinds()
    for device in PersistenceDomain.registry.values():
        assert set(device.CRASHES) <= set(Fault.registry)


# one fault, and what the job makes of it


def test_a_power_loss_stops_the_job_until_the_power_is_back_and_the_schedule_starts_anew() -> None:
    fault = builders.fault("power_loss", [("d0", "d1")], at="5.5s", restore_after="4s")
    trace = simulate(builders.abstract(2, "10ms", horizon="20s", faults=[fault], workload=RESTART))
    assert [(row.event, row.time_ps / PS) for row in rows(trace, "job_stopped", "recovered", "job_resumed")] == [
        ("job_stopped", 5.5),
        ("recovered", 9.5),
        ("job_resumed", 11.5),
    ]
    assert epochs(trace, "recovered") == [5]
    begun = [row.time_ps / PS for row in rows(trace, "checkpoint_begun")]
    assert begun == [1, 2, 3, 4, 5, 12.5, 13.5, 14.5, 15.5, 16.5, 17.5, 18.5, 19.5]
    assert epochs(trace, "checkpoint_begun") == list(range(1, 14))


def test_keep_grid_goes_on_where_the_clock_says() -> None:
    fault = builders.fault("power_loss", ["d0"], at="5.5s", restore_after="4s")
    workload = {**RESTART, "after_recovery": "keep_grid"}
    trace = simulate(builders.abstract(2, "10ms", horizon="15s", faults=[fault], workload=workload))
    assert [row.time_ps / PS for row in rows(trace, "checkpoint_begun")][5:] == [12, 13, 14]


def test_without_restore_after_the_power_stays_off() -> None:
    fault = builders.fault("power_loss", ["d0"], at="5.5s")
    trace = simulate(builders.abstract(2, "10ms", horizon="20s", faults=[fault], workload=RESTART))
    assert not rows(trace, "recovered", "job_resumed", "restored")


def test_a_fault_before_the_first_checkpoint_recovers_the_initial_state() -> None:
    fault = builders.fault("power_loss", ["d0"], at="0.2s", restore_after="1s")
    trace = simulate(builders.abstract(2, "10ms", horizon="9s", faults=[fault], workload=RESTART))
    assert epochs(trace, "recovered") == [0]
    assert [row.time_ps / PS for row in rows(trace, "checkpoint_begun")] == pytest.approx([4.2, 5.2, 6.2, 7.2, 8.2])


def test_a_second_fault_during_the_recovery_begins_it_anew() -> None:
    first = builders.fault("power_loss", ["d0"], name="first", at="5.5s", restore_after="1s")
    second = builders.fault("power_loss", ["d1"], name="second", at="7.5s", restore_after="1s")
    trace = simulate(builders.abstract(2, "10ms", horizon="20s", faults=[first, second], workload=RESTART))
    assert [row.time_ps / PS for row in rows(trace, "recovered")] == [6.5, 8.5]
    assert [row.time_ps / PS for row in rows(trace, "job_stopped")] == [5.5]
    assert [row.time_ps / PS for row in rows(trace, "job_resumed")] == [10.5]


def test_a_fault_at_the_instant_of_the_resumption() -> None:
    first = builders.fault("power_loss", ["d0"], name="first", at="5.5s", restore_after="1s")
    second = builders.fault("power_loss", ["d1"], name="second", at="8.5s", restore_after="1s")
    trace = simulate(builders.abstract(2, "10ms", horizon="20s", faults=[first, second], workload=RESTART))
    assert [row.time_ps / PS for row in rows(trace, "job_resumed")][-1] == 11.5


def test_overlapping_outages_end_with_the_last() -> None:
    first = builders.fault("power_loss", ["d0"], name="first", at="5s", restore_after="4s")
    second = builders.fault("power_loss", ["d0"], name="second", at="6s", restore_after="1s")
    trace = simulate(builders.abstract(2, "10ms", horizon="20s", faults=[first, second], workload=RESTART))
    assert [row.time_ps / PS for row in rows(trace, "restored")] == [9]


def test_lost_media_come_back_empty() -> None:
    fault = builders.fault("media_loss", ["d0"], at="5.5s", restore_after="1s")
    trace = simulate(
        builders.abstract(2, "10ms", horizon="9s", faults=[fault], workload=RESTART, protocol={"kind": "in_place"})
    )
    assert [row.part for row in rows(trace, "lost")] == ["shard0"]
    assert [row.detail for row in rows(trace, "recovered")] == ["mixed"]


def test_a_coordinated_recovery_erases_what_is_newer_and_in_place_leaves_it() -> None:
    fault = builders.fault("power_loss", [("d0", "d1", "d2", "d3")], at="5.2s", restore_after="1s")
    manifest = {"kind": "manifest", "message_delay": "10ms"}
    slow = {"uniform": ["0s", "800ms"]}
    trace = simulate(builders.abstract(4, slow, horizon="9s", faults=[fault], protocol=manifest, workload=RESTART))
    assert epochs(trace, "recovered") == [4]
    at = rows(trace, "recovered")[0].time_ps
    assert {row.slot for row in trace if row.event == "erased" and row.time_ps == at} == {"5"}
    trace = simulate(builders.abstract(4, slow, horizon="9s", faults=[fault], workload=RESTART))
    assert not rows(trace, "erased")


def test_a_fault_that_never_struck_is_warned_of() -> None:
    fault = builders.fault("power_loss", ["d0"], name="late", at="50s")
    trace = simulate(builders.abstract(2, "10ms", horizon="9s", faults=[fault]))
    assert any("late" in warning and "never struck" in warning for warning in trace.figures["warnings"])


# when they strike


def test_periodic_faults_strike_at_their_multiples() -> None:
    fault = builders.fault("power_loss", ["d0", "d1"], every="3s", restore_after="100ms")
    trace = simulate(builders.abstract(2, "10ms", horizon="10s", faults=[fault]))
    assert [(row.time_ps / PS, row.peer) for row in rows(trace, "struck")] == [
        (t, name) for t in (3, 6, 9) for name in ("d0", "d1")
    ]


@pytest.mark.parametrize("shape", [None, 0.7, 2.0])
def test_mtbf_is_the_mean_time_between_faults_of_each_target(shape: float | None) -> None:
    fault = builders.fault("power_loss", ["d0", "d1"], mtbf="10s", shape=shape, restore_after="1ms")
    trace = simulate(builders.abstract(2, "10ms", horizon="20000s", faults=[fault], workload={"interval": "1000s"}))
    for name in ("d0", "d1"):
        count = sum(row.peer == name for row in rows(trace, "struck"))
        assert abs(count - 2000) < 4 * 2000**0.5 * (1.6 if shape == 0.7 else 1)


def test_total_counts_all_targets_together() -> None:
    fault = builders.fault("power_loss", ["d0", "d1", "d2"], total="10s", restore_after="1ms")
    trace = simulate(builders.abstract(3, "10ms", horizon="20000s", faults=[fault], workload={"interval": "1000s"}))
    struck = rows(trace, "struck")
    assert abs(len(struck) - 2000) < 4 * 2000**0.5
    for name in ("d0", "d1", "d2"):
        assert abs(sum(row.peer == name for row in struck) - 2000 / 3) < 4 * 667**0.5


def test_a_fault_that_its_target_survives_does_not_breed() -> None:
    """Each strike of a renewing fault leads to one next strike, also where nothing has to be restored."""
    fault = builders.fault("plp_failed", ["node0/nvme"], mtbf="10s")
    trace = simulate(builders.machine(horizon="100s", faults=[fault], workload={"interval": "50s"}))
    assert len(rows(trace, "struck")) < 10 + 4 * 10**0.5


def test_a_throttled_drive_is_slow_for_a_while_and_loses_nothing() -> None:
    slow = replace(
        builders.fault("throttled", ["node0/nvme"], at="19s", restore_after="12s"), factor=0.25
    )
    quiet, trace = simulate(builders.machine(horizon="60s")), simulate(builders.machine(horizon="60s", faults=[slow]))
    soon = {row.epoch: row.time_ps for row in rows(quiet, "epoch_committed")}
    late = {row.epoch: row.time_ps for row in rows(trace, "epoch_committed")}
    assert late.keys() == soon.keys()
    assert late[2] > soon[2] + PS
    assert late[4] == soon[4]
    assert not rows(trace, "job_stopped", "stopped", "lost")


def test_operations_are_counted_and_faults_of_one_device_add_up() -> None:
    bench = Bench()
    two, lasting = Failing("EIO", 2), Failing("ENOSPC")
    bench.nvme.fail(two)
    bench.nvme.fail(lasting)
    assert bench.nvme.errno("EDQUOT") is None
    assert [bench.nvme.errno("EIO", "ENOSPC") for _ in range(4)] == ["EIO", "EIO", "ENOSPC", "ENOSPC"]
    assert bench.nvme.errno("EIO") is None
    bench.nvme.relent(lasting)
    assert bench.nvme.allocate("shard", "0", 1) is None


# real machines


NODE0 = builders.NODE0[:-1]  # a machine without a network has no NIC


def test_a_controller_reset_loses_nothing_and_the_job_lives() -> None:
    quiet = simulate(builders.machine(horizon="60s"))
    reset = builders.fault("controller_reset", ["node0/nvme"], at="20.1s")
    trace = simulate(builders.machine(horizon="60s", faults=[reset]))
    assert rows(trace, "struck")
    assert not rows(trace, "job_stopped")
    assert epochs(trace, "epoch_committed") == epochs(quiet, "epoch_committed")
    late = {row.epoch: row.time_ps for row in rows(trace, "epoch_committed")}
    for row in rows(quiet, "epoch_committed"):
        assert late[row.epoch] >= row.time_ps


def test_a_kernel_crash_resets_the_other_devices_of_its_node() -> None:
    crash = builders.fault("kernel_crash", ["node0/host"], at="25s")
    trace = simulate(builders.machine(2, horizon="120s", faults=[crash], workload=RESTART))
    stopped = {(row.subject, row.detail) for row in rows(trace, "stopped")}
    assert ("node0/host", "kernel_crash") in stopped
    assert ("node0/gpu0", "gpu_reset") in stopped
    assert ("node0/nic", "nic_reset") in stopped
    assert ("node0/nvme", "controller_reset") in stopped
    assert not any(subject.startswith("node1") for subject, _ in stopped)


@pytest.mark.parametrize("kind, target", [("process_crash", "node0/host"), ("gpu_reset", "node0/gpu0")])
def test_the_survivors_saves_go_on_until_the_crash_is_detected(kind: str, target: str) -> None:
    crash = builders.fault(kind, [target], at="20.1s", restore_after="1s")
    workload = {"restart": {"detect": "5s", "load": False}}
    trace = simulate(builders.machine(2, horizon="60s", faults=[crash], workload=workload))
    assert rows(trace, "job_stopped")[0].time_ps == 20.1 * PS
    assert any(
        row.subject.startswith("node1") and 20.1 * PS < row.time_ps < 25.1 * PS for row in rows(trace, "shard_saved")
    )
    assert rows(trace, "recovered")[0].time_ps == 25.1 * PS
    assert epochs(trace, "recovered") in ([1], [2])


def test_a_link_that_is_down_stalls_traffic_and_the_job_lives() -> None:
    cut = builders.fault("link_down", ["node1/nic--sw"], at="20.01s", restore_after="3s")
    quiet = simulate(builders.machine(2, replica=1, horizon="60s"))
    trace = simulate(builders.machine(2, replica=1, horizon="60s", faults=[cut]))
    assert not rows(trace, "job_stopped")
    late = {row.epoch: row.time_ps for row in rows(trace, "epoch_committed")}
    soon = {row.epoch: row.time_ps for row in rows(quiet, "epoch_committed")}
    assert late.keys() == soon.keys()
    assert late[2] > soon[2] + PS
    assert late[4] == soon[4]


def test_loading_takes_the_bytes_over_the_slowest_pipe() -> None:
    crash = builders.fault("gpu_reset", ["node0/gpu0"], at="25s", restore_after="1s")
    workload = {"restart": {"detect": "2s", "load": True}}
    trace = simulate(builders.machine(horizon="100s", faults=[crash], workload=workload))
    took = rows(trace, "job_resumed")[0].time_ps - rows(trace, "recovered")[0].time_ps
    read = builders.READ_BPS
    assert took / PS == pytest.approx(2e9 * 8 / read, rel=1e-6)


KINDS = ["process_crash", "kernel_crash", "controller_reset", "gpu_reset", "nic_reset", "power_loss", "media_loss",
         "plp_failed", "link_down", "io_error", "io_errors", "no_space", "quota_exceeded", "upload_failed",
         "throttled", "slow"]  # fmt: skip
TARGETS = {
    "process_crash": ["node0/host", "node1/host"],
    "kernel_crash": ["node0/host", "node1/host"],
    "controller_reset": ["node0/nvme", "node1/nvme"],
    "gpu_reset": ["node0/gpu0", "node1/gpu1"],
    "nic_reset": ["node0/nic", "node1/nic"],
    "power_loss": [builders.NODE0, "node1/nvme", "sw", "node1/gpu0"],
    "media_loss": ["node0/nvme", "node1/nvme"],
    "plp_failed": ["node0/nvme", "node1/nvme"],
    "link_down": ["node0/nic--sw", "node1/nic--sw"],
    "io_error": ["node0/nvme", "node1/nvme"],
    "io_errors": ["node0/nvme", "node1/nvme"],
    "no_space": ["node0/nvme", "node1/host"],
    "quota_exceeded": ["node0/nvme", "node1/nvme"],
    "upload_failed": ["node0/host", "node1/host"],
    "throttled": ["node0/nvme", "node1/nvme"],
    "slow": ["node0/nvme", "node1/nvme"],
}
MORE = {"throttled": {"factor": 0.25}, "slow": {"latency": 20.0}, "io_errors": {"kind": "io_error", "operations": 2}}


@settings(max_examples=60, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
@given(
    seed=st.integers(0, 10**6),
    kinds=st.lists(st.sampled_from(KINDS), min_size=1, max_size=4),
    mtbf=st.sampled_from(["2s", "7s", "20s"]),
    restore=st.sampled_from(["0s", "700ms", "5s"]),
    protocol=st.sampled_from([
        {"kind": "in_place"}, {"kind": "in_place", "replace": "rename"}, {"kind": "manifest"},
        {"kind": "in_place", "replace": "truncate"}, {"kind": "manifest", "manifest": {"replace": "truncate"}},
        {"kind": "manifest", "keep": 1, "prune": "before_commit"}, {"kind": "manifest", "publish": "at_snapshot"},
        {"kind": "manifest", "manifest": {"replace": "remove_then_rename"}, "recover_by": "each_rank"},
        {"kind": "manifest", "slots": "in_place", "manifest": {"replace": "in_place", "checksum": False}},
    ]),
    mode=st.sampled_from(["sync", "async"]),
    start=st.sampled_from(["barrier", "random_phase", "poisson"]),
    on_error=st.sampled_from(["abandon", "retry", "rewrite", "publish_anyway"]),
    sync=st.sampled_from(["flush", "fua", "completion", "none"]),
    into=st.sampled_from(["media", "page_cache", "dram"]),
)  # fmt: skip
def test_no_storm_of_faults_stops_the_simulation(
    seed: int, kinds: list[str], mtbf: str, restore: str, protocol: dict, mode: str, start: str, on_error: str,
    sync: str, into: str,
) -> None:  # fmt: skip
    faults = [
        replace(
            builders.fault(kind, TARGETS[kind], name=f"f{i}", mtbf=mtbf, restore_after=restore), **MORE.get(kind, {})
        )
        for i, kind in enumerate(kinds)
    ]
    made = builders.machine(
        2, 2, size="2GB", replica=1, sync=sync, into=into, seed=seed, horizon="60s", faults=faults,
        protocol={**protocol, "on_error": on_error, "retry_after": "200ms"},
        workload={"interval": "3s", "mode": mode, "start": start, "in_flight": {"max": 2},
                  "restart": {"detect": "500ms", "init": "500ms"}},
    )  # fmt: skip
    trace = simulate(made)
    assert all(earlier[0] <= later[0] for earlier, later in zip(trace.rows, trace.rows[1:], strict=False))
    recovered = rows(trace, "recovered")
    assert all(row.epoch is None or row.epoch >= 0 for row in recovered)
    stopped = len(rows(trace, "job_stopped"))
    resumed = len(rows(trace, "job_resumed"))
    assert stopped - resumed in (0, 1)

"""`hwsim import nvme`: what Identify data and fio tell becomes a profile that loads; what is wrong is one message."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hwsim.cli import status_of
from hwsim.errors import UserError
from hwsim.nvme_import import import_nvme

CONTROLLER: dict[str, Any] = {
    "mn": "Example Drive 1T  ", "fr": "1.0", "mdts": 5, "frmw": 0x16, "mtfa": 50, "vwc": 7, "awun": 63, "awupf": 3,
}  # fmt: skip
NAMESPACE: dict[str, Any] = {"flbas": 1, "lbafs": [{"ds": 9}, {"ds": 12}], "nsfeat": 2, "nawupf": 7, "nabspf": 31}
LATENCY = {"min": 700, "max": 9000, "percentile": {"50.000000": 800, "99.000000": 2000, "99.990000": 9100}}
FIO: dict[str, Any] = {
    "jobs": [
        {
            "jobname": "seq", "error": 0, "job options": {"rw": "write", "iodepth": "1"},
            "write": {"total_ios": 10, "bw_bytes": 4 * 10**9, "clat_ns": {"mean": 20000.4}},
            "sync": {"total_ios": 10, "lat_ns": LATENCY},
        }
    ]
}  # fmt: skip


def written(folder: Path, name: str, data: object) -> Path:
    path = folder / name
    path.write_text(data if isinstance(data, str) else json.dumps(data))
    return path


def test_figures_are_taken_with_their_sources_and_the_rest_is_asked_for(tmp_path: Path) -> None:
    files = [written(tmp_path, "fio.json", "fio: a note\n" + json.dumps(FIO)), written(tmp_path, "ns.json", NAMESPACE)]
    profile = import_nvme(written(tmp_path, "id.json", CONTROLLER), files)
    values = {key: value for key, (value, _) in profile.figures.items()}
    assert values["awun"] == 64
    assert values["awupf"] == 8
    assert values["lba"] == "4.096kB"
    assert values["vwc"] is True
    assert values["write"] == "32Gb/s"
    assert values["write_latency"] == "20us"
    assert values["command"] == "131.072kB"
    assert values["flush"] == {"quantiles": {"0": "700ns", "50": "800ns", "99": "2us", "99.99": "9us", "100": "9us"}}
    assert list(profile.missing) == ["plp", "read", "queue_depth", "cache", "drain"]
    assert any("3 slots" in remark and "5s" in remark for remark in profile.remarks)


def test_the_profile_loads_once_the_rest_is_stated(tmp_path: Path) -> None:
    from hwsim.topology import load

    files = [written(tmp_path, "fio.json", FIO), written(tmp_path, "ns.json", NAMESPACE)]
    text = import_nvme(written(tmp_path, "id.json", CONTROLLER), files, plp=False, name="mine").to_yaml()
    written(tmp_path, "drives.yaml", text)
    topology = written(
        tmp_path,
        "t.yaml",
        """version: 1
name: t
seed: 1
horizon: 10min
profiles: [drives.yaml]
nodes:
  node:
    count: 1
    devices:
      gpu: {kind: gpu, profile: h100_sxm}
      nvme: {kind: nvme, profile: mine, read: 5GB/s, queue_depth: 32, cache: 1GB, drain: 3GB/s}
workload: {kind: checkpoint, interval: 60s, shards: [{from: "node*/gpu", size: 1GB, to: nvme}]}
protocol: {kind: manifest}
""",
    )
    params = load(str(topology)).devices["node0/nvme"].params
    assert params.awupf == 8
    assert params.flush.at(0.5) == 800_000
    assert params.flush.at(0.0) == 700_000


@pytest.mark.parametrize(
    ("data", "says"),
    [
        ("", "not JSON"),
        ('{"vwc": 1, "awu', "not JSON"),
        ("[]", "no JSON object"),
        ("[" * 100_000, "no tool of these writes"),
        ("{}", "no Identify Controller data"),
        ({**CONTROLLER, "awupf": 70}, "above awun"),
        ({**CONTROLLER, "awun": -1}, "awun"),
        ({**CONTROLLER, "vwc": "yes"}, "vwc"),
        ({**CONTROLLER, "mdts": 200}, "mdts"),
        ('{"vwc": NaN, "awupf": 1}', "no tool of these writes"),
    ],
)
def test_a_hostile_or_truncated_file_is_one_message_and_exit_2(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], data: object, says: str
) -> None:
    assert status_of(["import", "nvme", str(written(tmp_path, "id.json", data))]) == 2
    said = capsys.readouterr()
    assert says in said.err
    assert said.err.count("\n") == 1
    assert not said.out


@pytest.mark.parametrize(
    "damage",
    [
        {"jobs": []}, {"jobs": [3]}, {"jobs": [{"error": 5}]}, {"jobs": [{"sync": []}]},
        {"jobs": [{"sync": {"total_ios": 1, "lat_ns": {**LATENCY, "percentile": {"50": 9, "60": 8}}}}]},
        {"jobs": [{"sync": {"total_ios": 1, "lat_ns": {**LATENCY, "percentile": {"x": 9}}}}]},
        {"jobs": [{"sync": {"total_ios": 1, "lat_ns": {"min": 1, "max": 2}}}]},
    ],
)  # fmt: skip
def test_damaged_fio_results_are_refused(tmp_path: Path, damage: object) -> None:
    with pytest.raises(UserError, match=r"fio\.json"):
        import_nvme(written(tmp_path, "id.json", CONTROLLER), [written(tmp_path, "fio.json", damage)])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(key=st.sampled_from(sorted(CONTROLLER)), value=JSON, job=st.sampled_from(sorted(FIO["jobs"][0])), other=JSON)
def test_whatever_a_field_holds_it_is_a_profile_or_a_message(
    tmp_path: Path, key: str, value: Any, job: str, other: Any
) -> None:
    controller = written(tmp_path, "id.json", {**CONTROLLER, key: value})
    fio = written(tmp_path, "fio.json", {"jobs": [{**FIO["jobs"][0], job: other}]})
    try:
        import_nvme(controller, [fio]).to_yaml()
        said = ""
    except UserError as error:
        said = str(error)
    assert "\n" not in said

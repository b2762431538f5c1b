"""A drive profile from what a drive and a benchmark say of it: `nvme id-ctrl -o json`, `nvme id-ns -o json`, fio.

What the data structures tell is taken, each figure with the file and field that it came from; what
they cannot tell (power-loss protection above all: no field of Identify holds it) is listed with what
to state, never guessed.  Files are untrusted: whatever is wrong with them is one message.

Source: NVM Express base specification 2.0, figure 275 (Identify Controller: MDTS, FRMW, MTFA, VWC, AWUN,
AWUPF, the last two 0's based); NVM Command Set specification 1.0, figure 97 (Identify Namespace: FLBAS,
LBAF, NAWUPF, NABSPF); fio, HOWTO section "JSON output" (`jobs[].sync.lat_ns`, nanoseconds).
"""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hwsim.errors import UserError
from hwsim.units import format_duration, format_rate, format_size

_LARGEST_FILE = 16 * 2**20  # bytes; Identify data is some kilobytes, a fio result some megabytes at most
_SMALLEST_PAGE = 4096  # what MDTS counts in: CAP.MPSMIN, which all but a few drives have at 4 KiB
_MTFA_UNIT_PS = 100 * 10**9
_PS_PER_NS = 1000

# What no file tells, and where to find it.
_UNTOLD = {
    "plp": "power-loss protection is in no NVMe data structure; see the data sheet, and write plp: true or plp: false",
    "lba": "the logical block; give the namespace too: nvme id-ns /dev/nvme0n1 -o json",
    "write": "sequential write bandwidth; give fio's result of a sequential write job, or the data sheet's figure",
    "read": "sequential read bandwidth; give fio's result of a sequential read job, or the data sheet's figure",
    "write_latency": "latency of one small write; give fio's result of a job with iodepth=1",
    "flush": "how long a Flush takes; give fio's result of a job with fsync=1 or fdatasync=1",
    "command": "the largest command; the drive states no limit (MDTS 0), so the block layer's max_sectors_kb counts",
    "queue_depth": "commands in flight; what the writer uses",
    "cache": "size of the write cache, in no data structure; the data sheet's figure",
    "drain": "rate from the cache to the media; the write bandwidth once the cache is full",
}


@dataclass
class ImportedProfile:
    """Figures with their sources, what is missing, and remarks."""

    name: str
    figures: dict[str, tuple[Any, str]] = field(default_factory=dict)  # key -> (value as a file writes it, source)
    missing: dict[str, str] = field(default_factory=dict)  # key -> what to state, and where to find it
    remarks: list[str] = field(default_factory=list)

    def to_yaml(self) -> str:
        """A profiles file; what is missing stands in it as comments."""
        import yaml

        entry: dict[str, Any] = {"kind": "nvme"}
        entry |= {key: {"value": value, "source": source} for key, (value, source) in self.figures.items()}
        text = yaml.safe_dump(
            {"version": 1, "profiles": {self.name: entry}}, sort_keys=False, allow_unicode=True, width=110
        )
        lines = [f"# {remark}" for remark in self.remarks]
        ends = [f"    # {key}:   # {what}" for key, what in self.missing.items()]
        return "\n".join([*lines, text.rstrip(), *ends]) + "\n"


def import_nvme(
    controller: Path, others: list[Path], *, plp: bool | None = None, name: str | None = None
) -> ImportedProfile:
    """Read Identify Controller, and beside it Identify Namespace and fio results in any order.

    Raises UserError where a file is not what it should be, or contradicts the standard.
    """
    identity = _Fields(controller)
    if "awupf" not in identity.data or "vwc" not in identity.data:
        raise UserError(
            f"{controller}: holds no Identify Controller data (no 'vwc' and 'awupf'); write it with: "
            "nvme id-ctrl /dev/nvme0 -o json"
        )
    model = identity.text("mn") or "unknown drive"
    profile = ImportedProfile(name or _profile_name(model))
    profile.remarks.append(f"{model}, firmware {identity.text('fr') or 'unknown'}: imported by hwsim import nvme.")
    _take_controller(identity, profile)
    for path in others:
        fields = _Fields(path)
        if "jobs" in fields.data:
            _take_fio(fields, profile)
        elif "lbafs" in fields.data:
            _take_namespace(fields, profile)
        else:
            raise UserError(
                f"{path}: is neither a fio result (no 'jobs') nor Identify Namespace data (no 'lbafs'); write it with: "
                "fio --output-format=json, or nvme id-ns -o json"
            )
    if plp is not None:
        profile.figures["plp"] = (plp, "stated on the command line")
    needed = ["plp", "lba", "write", "read", "write_latency", "flush", "command", "queue_depth"]
    if profile.figures["vwc"][0]:
        needed += ["cache", "drain"]
    profile.missing = {key: _UNTOLD[key] for key in needed if key not in profile.figures}
    return profile


def _take_controller(identity: _Fields, profile: ImportedProfile) -> None:
    def told(key: str, value: Any, what: str) -> None:
        profile.figures[key] = (value, f"nvme id-ctrl, {what}")

    told("vwc", bool(identity.whole("vwc", 8) & 1), "VWC bit 0")
    awun, awupf = identity.whole("awun", 16), identity.whole("awupf", 16)
    if awupf > awun:
        raise UserError(
            f"{identity.path}: awupf {awupf} is above awun {awun}; a drive's AWUPF is at most its AWUN, so this is not "
            "what a drive wrote"
        )
    told("awun", awun + 1, f"AWUN {awun} (0's based)")
    told("awupf", awupf + 1, f"AWUPF {awupf} (0's based)")
    mdts = identity.whole("mdts", 8, default=0)
    if mdts > 20:
        raise UserError(f"{identity.path}: mdts {mdts} means commands of 2^{mdts} pages; no drive takes them")
    if mdts:
        told("command", format_size(_SMALLEST_PAGE << mdts), f"MDTS {mdts}, in pages of 4 KiB")
    frmw = identity.whole("frmw", 8, default=0)
    slots = frmw >> 1 & 7
    if slots:
        without = "can" if frmw & 16 else "cannot"
        fixed = "read-only" if frmw & 1 else "writable"
        mtfa = identity.whole("mtfa", 16, default=0)
        pause = f", activation pauses I/O for at most {format_duration(mtfa * _MTFA_UNIT_PS)} (MTFA)" if mtfa else ""
        profile.remarks.append(
            f"Firmware: {slots} slots, the first {fixed}; an image {without} be activated without a reset (FRMW)"
            f"{pause}."
        )


def _take_namespace(space: _Fields, profile: ImportedProfile) -> None:
    formats = space.data["lbafs"]
    index = space.whole("flbas", 8) & 15
    if not isinstance(formats, list) or index >= len(formats) or not isinstance(formats[index], dict):
        raise UserError(f"{space.path}: lbafs: has no format {index}, which flbas names; write the file again")
    shift = _whole(formats[index].get("ds"), f"{space.path}: lbafs.{index}.ds", 8)
    if not 9 <= shift <= 16:
        raise UserError(f"{space.path}: lbafs.{index}.ds: a block of 2^{shift} bytes is none that drives have")
    profile.figures["lba"] = (format_size(1 << shift), f"nvme id-ns, LBAF {index}")
    nawupf = space.whole("nawupf", 16, default=0)
    if space.whole("nsfeat", 8, default=0) & 2:  # NSABP: the namespace's own fields hold, and may only be larger
        drive = profile.figures["awupf"][0]
        if nawupf + 1 < drive:
            raise UserError(
                f"{space.path}: nawupf {nawupf} is below the controller's awupf {drive - 1}; a namespace's is at least "
                "that, so these files are not of one drive"
            )
        profile.figures["awupf"] = (nawupf + 1, f"nvme id-ns, NAWUPF {nawupf} (0's based)")
        if nawupf + 1 > profile.figures["awun"][0]:
            nawun = space.whole("nawun", 16, default=nawupf)
            profile.figures["awun"] = (max(nawun, nawupf) + 1, f"nvme id-ns, NAWUN {nawun} (0's based)")
        boundary = space.whole("nabspf", 16, default=0)
        if boundary:
            profile.remarks.append(
                f"Writes that cross a boundary of {boundary + 1} blocks (NABSPF) are not atomic on a power failure; "
                "hwsim places no write across it."
            )


def _take_fio(result: _Fields, profile: ImportedProfile) -> None:
    jobs = result.data["jobs"]
    if not isinstance(jobs, list) or not jobs or not all(isinstance(job, dict) for job in jobs):
        raise UserError(f"{result.path}: jobs: holds no job; let fio finish, and write --output-format=json")
    for index, job in enumerate(jobs):
        at = f"{result.path}: jobs.{index}"
        if _whole(job.get("error", 0), f"{at}.error", 32):
            raise UserError(f"{at}: fio says that this job failed (error {job['error']}); mend it and run it again")
        said = f"fio, job {job.get('jobname', index)!r}"
        options = job.get("job options")
        depth = str(options.get("iodepth", "1")) if isinstance(options, dict) else ""
        kind = str(options.get("rw", "")) if isinstance(options, dict) else ""
        sync = _section(job, "sync", at)
        if "flush" not in profile.figures and _count(sync, "total_ios", at) > 0:
            latency = _section(sync, "lat_ns", f"{at}.sync")
            profile.figures["flush"] = (_quantiles(latency, f"{at}.sync.lat_ns"), f"{said}, sync latency percentiles")
        for key in ("write", "read"):
            way = _section(job, key, at)
            if kind == key and key not in profile.figures and (rate := _count(way, "bw_bytes", f"{at}.{key}")):
                profile.figures[key] = (format_rate(8 * rate), f"{said}, mean bandwidth")
        writes = _section(job, "write", at)
        if "write_latency" not in profile.figures and depth == "1" and _count(writes, "total_ios", f"{at}.write"):
            mean = _section(writes, "clat_ns", f"{at}.write").get("mean")
            profile.figures["write_latency"] = (_nanoseconds(mean, f"{at}.write.clat_ns.mean"), f"{said}, mean clat")


def _quantiles(latency: dict[str, Any], at: str) -> dict[str, Any]:
    """`{quantiles: {0: least, 50: ..., 100: most}}` of a latency section of fio."""
    given = latency.get("percentile")
    if not isinstance(given, dict) or not given:
        raise UserError(f"{at}: has no percentiles; run fio with --lat_percentiles=1, or without --disable_lat")
    least = _nanoseconds(latency.get("min"), f"{at}.min", raw=True)
    most = _nanoseconds(latency.get("max"), f"{at}.max", raw=True)
    points: dict[float, int] = {}
    for name, value in given.items():
        try:
            share = float(name)
        except ValueError:
            share = math.nan
        if not 0 < share < 100:
            raise UserError(f"{at}.percentile: {name!r} is not a percentile between 0 and 100")
        points[share] = _nanoseconds(value, f"{at}.percentile.{name}", raw=True)
    values = [points[share] for share in sorted(points)]
    if values != sorted(values) or least > most:
        raise UserError(f"{at}: its percentiles fall where they should rise; the file is damaged")
    # fio's percentiles are those of its bins, so the outer ones may lie a little beyond the least and the most
    written = {0.0: least} | {share: min(max(points[share], least), most) for share in sorted(points)} | {100.0: most}
    return {"quantiles": {f"{share:g}": format_duration(value * _PS_PER_NS) for share, value in written.items()}}


class _Fields:
    """One JSON object of a file, its numbers checked as they are taken."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.data = _read_object(path)

    def whole(self, key: str, bits: int, default: int | None = None) -> int:
        """An unsigned number of so many bits."""
        if key not in self.data and default is not None:
            return default
        return _whole(self.data.get(key), f"{self.path}: {key}", bits)

    def text(self, key: str) -> str:
        """Printable text of a reasonable length, or nothing."""
        value = self.data.get(key)
        clean = "".join(c for c in value if c.isprintable()).strip() if isinstance(value, str) else ""
        return clean[:64]


def _read_object(path: Path) -> dict[str, Any]:
    """Read one JSON object.  Raises UserError; an environment's failure stays an OSError."""
    try:
        if path.is_dir():
            raise UserError(f"{path}: is a folder; name a file in it")
        with path.open("rb") as stream:
            raw = stream.read(_LARGEST_FILE + 1)
    except FileNotFoundError:
        raise UserError(f"{path}: no such file") from None
    if len(raw) > _LARGEST_FILE:
        raise UserError(f"{path}: is over {_LARGEST_FILE >> 20} MiB; that is no Identify data and no fio result")
    try:
        text = raw.decode("utf-8-sig")
        if not text.lstrip().startswith("{") and "\n{" in text:  # fio writes notes and warnings before its JSON
            text = text[text.index("\n{") :]
        data = json.loads(text, parse_constant=_refuse_constant)
    except UnicodeDecodeError:
        raise UserError(f"{path}: is not text in UTF-8; write it with: -o json") from None
    except json.JSONDecodeError as error:
        raise UserError(
            f"{path}:{error.lineno}:{error.colno}: is not JSON: {error.msg}; the file may be cut short; write it again"
        ) from None
    except (ValueError, RecursionError):
        raise UserError(f"{path}: is JSON that no tool of these writes (nested too deep, or not numbers)") from None
    if not isinstance(data, dict):
        raise UserError(f"{path}: holds no JSON object; write it with: -o json")
    return data


def _refuse_constant(name: str) -> float:
    raise ValueError(name)


def _whole(value: object, at: str, bits: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value < 1 << bits:
        shown = "is missing" if value is None else f"{str(value)[:40]!r} is not a number of {bits} bits"
        raise UserError(f"{at}: {shown}; the file is damaged, or not what it should be")
    return value


def _section(data: dict[str, Any], key: str, at: str) -> dict[str, Any]:
    value = data.get(key, {})
    if not isinstance(value, dict):
        raise UserError(f"{at}.{key}: is not an object; the file is damaged, or not a fio result")
    return value


def _count(data: dict[str, Any], key: str, at: str) -> int:
    return _whole(data.get(key, 0), f"{at}.{key}", 63)


def _nanoseconds(value: object, at: str, *, raw: bool = False) -> Any:
    """A duration that fio gives in ns: as a file writes it, or *raw* as a number."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e15:
        raise UserError(f"{at}: {str(value)[:40]!r} is not a time in ns; the file is damaged, or not a fio result")
    whole = round(value)
    return whole if raw else format_duration(whole * _PS_PER_NS)


def _profile_name(model: str) -> str:
    letters: Callable[[str], str] = lambda c: c if c.isascii() and c.isalnum() else "_"  # noqa: E731
    name = "_".join(filter(None, "".join(map(letters, model.lower())).split("_")))
    return name if name[:1].isalpha() else f"drive_{name}" if name else "imported_drive"

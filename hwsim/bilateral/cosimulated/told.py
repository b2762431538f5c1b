"""What goes through the pipe between a run and Icarus besides plain data."""

from __future__ import annotations

from typing import NamedTuple


class Told(NamedTuple):
    """What happened in a cycle of an end; *register*, *slot* and *octets* where they belong to it, else 0 and empty."""

    cycle: int
    what: int
    bits: int
    row: int
    write_row: int
    before_row: int
    register: int
    slot: int
    octets: bytes

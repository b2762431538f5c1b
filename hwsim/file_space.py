"""The room of a file system: what its files take, counted as a write begins and given back by a delete.

A file is one slot of one part.  Writing over a file that is there needs no more room, unless it grows.

Not modelled: metadata; blocks, and so rounding; files that grow as they are written; snapshots and copies on write.
"""

from __future__ import annotations

from typing import Protocol

File = tuple[str, str]  # part, slot


class Files(Protocol):
    """Whoever knows which files there are."""

    def exists(self, part: str, slot: str) -> bool:
        """Whether there is such a file."""


class FileSpace:
    """Room for files of `size_bytes` in all; None: never full by itself."""

    def __init__(self, files: Files, size_bytes: int | None) -> None:
        self.size_bytes = size_bytes
        self._there = files
        self._files: dict[File, int] = {}

    def lacks(self, part: str, slot: str, size_bytes: int) -> int:
        """How many bytes a write of so many needs beside what its file has already."""
        there = self._files.get((part, slot), 0) if self._there.exists(part, slot) else 0
        return max(size_bytes - there, 0)

    def take(self, part: str, slot: str, size_bytes: int) -> bool:
        """Let a file have so many bytes; False where there is no room for them."""
        if self.size_bytes is not None:
            more = self.lacks(part, slot, size_bytes)
            if more and self.used_bytes() + more > self.size_bytes:
                return False
        self._files[part, slot] = size_bytes
        return True

    def used_bytes(self) -> int:
        """What the files that exist take: a crash may have left none of one that was under way."""
        self._files = {file: size for file, size in self._files.items() if self._there.exists(*file)}
        return sum(self._files.values())

    def give_back(self, part: str, slot: str) -> None:
        """The file was deleted, or truncated."""
        self._files.pop((part, slot), None)

    def rename(self, part: str, slot: str, to: str) -> None:
        """The file has another name, which another file may have had."""
        if (part, slot) in self._files:
            self._files[part, to] = self._files.pop((part, slot))

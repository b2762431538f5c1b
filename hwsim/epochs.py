"""The epoch lattice: vectors of checkpoint numbers, one a domain, ordered componentwise.

An *epoch* is the number of a checkpoint; 0 is the initial state.  The diagonal of the lattice is the uniform
vectors, all domains at one checkpoint; the meet of what is durable, least component by component, bounds what
all domains can still agree on, and its own least component is the recovery line of domains that keep every version.

Source: the lattice of consistent cuts, Mattern, Virtual Time and Global States of Distributed Systems (1989);
recovery lines, Randell, System Structure for Software Fault Tolerance (1975).
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import NewType

Epoch = NewType("Epoch", int)


@dataclass(frozen=True, slots=True)
class EpochVector:
    """One epoch a domain, in the domains' order; `<=` is the componentwise, partial order."""

    epochs: tuple[int, ...]

    def __post_init__(self) -> None:
        if any(epoch < 0 for epoch in self.epochs):
            raise ValueError(f"an epoch is 0 or more: {self.epochs}")

    def __iter__(self) -> Iterator[int]:
        return iter(self.epochs)

    def __len__(self) -> int:
        return len(self.epochs)

    def __le__(self, other: EpochVector) -> bool:
        return all(mine <= theirs for mine, theirs in zip(self.epochs, other.epochs, strict=True))

    def __lt__(self, other: EpochVector) -> bool:
        return self <= other and self.epochs != other.epochs

    def __ge__(self, other: EpochVector) -> bool:
        return other <= self

    def __gt__(self, other: EpochVector) -> bool:
        return other < self

    def meet(self, other: EpochVector) -> EpochVector:
        """The greatest vector below both."""
        return EpochVector(tuple(map(min, zip(self.epochs, other.epochs, strict=True))))

    def join(self, other: EpochVector) -> EpochVector:
        """The least vector above both."""
        return EpochVector(tuple(map(max, zip(self.epochs, other.epochs, strict=True))))

    @classmethod
    def uniform(cls, epoch: int, domains: int) -> EpochVector:
        """The point of the diagonal at *epoch*."""
        return cls((epoch,) * domains)

    @property
    def is_uniform(self) -> bool:
        """Whether all domains are at one epoch; so is the vector of no domains."""
        return len(set(self.epochs)) <= 1

    @property
    def recovery_line(self) -> int:
        """The greatest uniform vector below this one, by its epoch: what domains that keep every version agree on."""
        return min(self.epochs, default=0)

    @property
    def distinct(self) -> int:
        """How many different epochs there are."""
        return len(set(self.epochs))

    @property
    def spread(self) -> int:
        """Newest less oldest epoch."""
        return max(self.epochs, default=0) - min(self.epochs, default=0)


def best_common_line(kept: Sequence[Collection[int]]) -> int | None:
    """The newest epoch that every domain keeps a version of, or None where they share none; *kept*: per domain."""
    if not kept:
        return None
    return max(set(kept[0]).intersection(*kept[1:]), default=None)

"""A non-volatile register: a few bytes in a device that outlive its power, and what a power loss does to a write.

A write takes `write` a word, lowest word first, and is not done before its last word is.  When the power
goes, the energy held up runs the register for `hold_up` longer, in which it finishes what it can in the
order asked; a word under way when that ends holds its old or its new value, and words not begun hold the
old one.  A value of one word is so all old or all new, always; a wider one can be a mix.  After `endurance`
writes the cells are worn out: the register keeps its last value and takes no other.

Source: data sheets of serial EEPROMs, such as Microchip's 25AA1024, for the figures that such a part states
(write cycle time, endurance, a supply that must outlast the cycle); a model of ours beyond that.

Not modelled: wear levelling, read disturb, retention; a cell that wears out before its data sheet says so.
"""

from __future__ import annotations

import random
from collections import deque
from typing import TYPE_CHECKING, Annotated

from pydantic import BeforeValidator, Field

from hwsim.flow import IOLost
from hwsim.quantities import Duration, Params, Size

if TYPE_CHECKING:
    import simpy


def _count(value: object) -> object:
    """YAML reads 1e6 as a float; a whole one is a count."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


class NvParams(Params):
    """Figures of a device's non-volatile registers."""

    write: Duration = Field(gt=0, description="of one word")
    endurance: Annotated[int, BeforeValidator(_count)] | None = Field(
        default=None, ge=1, description="writes of one register until it is worn out; none: it never is"
    )
    hold_up: Duration = Field(default=0, description="how long writes go on once the power is gone")
    word: Size = Field(default=8, gt=0, description="bytes that are written at once, all old or all new")


class WornOut(Exception):
    """A write to a register that has had all the writes it can take.  Inside the simulation only."""


class _Write:
    def __init__(self, value: int, left: int, done: simpy.Event) -> None:
        self.value = value
        self.left = left  # words still to write
        self.done = done


class NvRegister:
    """One register of *size_bytes*, which holds a non-negative integer.

    `writes` counts the writes begun; `value` is what a reader gets now.
    """

    def __init__(self, env: simpy.Environment, params: NvParams, draw: random.Random, *, size_bytes: int = 8,
                 initial: int = 0) -> None:
        self.env = env
        self.params = params
        self.words = -(-size_bytes // params.word)
        self.writes = 0
        self.powered = True
        self._bits = 8 * params.word
        self._draw = draw
        self._limit = 1 << 8 * size_bytes
        self.value = self._checked(initial)
        self._queue: deque[_Write] = deque()
        self._since = 0  # when the word under way was begun
        self._life = 0  # of timers: those of another life are stale

    @property
    def worn_out(self) -> bool:
        """Whether it takes no further write."""
        return self.params.endurance is not None and self.writes >= self.params.endurance

    def write(self, value: int) -> simpy.Event:
        """Write *value* after whatever was asked before; the event succeeds once it is there.

        It fails with `IOLost` when the power goes first, and with `WornOut`.
        """
        done = self.env.event()
        one = _Write(self._checked(value), self.words, done)
        if not self.powered:
            self._fail(one, IOLost("the register has no power"))
        elif self.params.endurance is not None and self.writes + max(0, len(self._queue) - 1) >= self.params.endurance:
            self._fail(one, WornOut(f"the register has had its {self.params.endurance} writes"))
        else:
            self._queue.append(one)
            if len(self._queue) == 1:
                self._next_word()
        return done

    def may_hold(self) -> frozenset[int]:
        """Every value that a reader could find if the power went now: one, or two."""
        value, _, under_way = self._held_up()
        return frozenset((value, under_way))

    def lose_power(self) -> None:
        """The power goes: what the energy held up still allows is written, the rest is not; waiters are told."""
        if not self.powered:
            return
        value, begun, under_way = self._held_up()
        self.value = under_way if value != under_way and self._draw.random() < 0.5 else value
        self.writes += begun
        self.powered = False
        self._life += 1
        for one in self._queue:
            self._fail(one, IOLost("the power went during the write"))
        self._queue.clear()

    def _held_up(self) -> tuple[int, int, int]:
        """If the power goes now: the value of the words surely written, how many more writes begin, and the value
        if the word that is then under way takes.
        """
        value, begun = self.value, 0
        spent, budget = self._elapsed(), self.params.hold_up
        for one in self._queue:
            for left in range(one.left, 0, -1):
                if left == self.words and one is not self._queue[0]:
                    begun += bool(budget)
                needs = self.params.write - spent
                then = self._with_word(value, one.value, left)
                if needs > budget:
                    return value, begun, then if spent or budget else value
                value, spent, budget = then, 0, budget - needs
        return value, begun, value

    def restore_power(self) -> None:
        """It takes writes again."""
        self.powered = True

    def _elapsed(self) -> int:
        """How long (ps) the word under way has been under way."""
        return int(self.env.now) - self._since if self._queue else 0

    def _next_word(self) -> None:
        if self._queue[0].left == self.words:
            self.writes += 1
        self._since = int(self.env.now)
        life = self._life

        def written(_: simpy.Event) -> None:
            if life == self._life:
                self._word_written()

        self.env.timeout(self.params.write).callbacks.append(written)

    def _word_written(self) -> None:
        one = self._queue[0]
        self.value = self._with_word(self.value, one.value, one.left)
        one.left -= 1
        if not one.left:
            self._queue.popleft()
            one.done.succeed(self.value)
        if self._queue:
            self._next_word()

    def _with_word(self, value: int, new: int, left: int) -> int:
        """*value* once the next word of *new*, of which *left* are still to come, is written."""
        shift = (self.words - left) * self._bits
        mask = ((1 << self._bits) - 1) << shift
        return value & ~mask | new & mask

    def _checked(self, value: int) -> int:
        if not 0 <= value < self._limit:
            raise ValueError(f"{value} does not fit into the register")
        return value

    @staticmethod
    def _fail(one: _Write, error: Exception) -> None:
        one.done.fail(error)
        one.done.defused = True

"""Which strikes one execution stands for, before any is executed; and what that execution must then show.

Two strikes are alike:

- by what they leave: nothing goes on after either (the job is torn down at once, or the strike hits every device), and
  all that recovery does not delete unread is the same, the protocol's kept state and the promises too;
- by their order: one target, struck at two points of one instant, and no event between the two touched anything that
  the strike touches, so that it might as well have come later (see `touched`);
- by nobody's notice: in a job that learns of it only later, the strike takes nothing, ends nothing, and hits
  devices that no event touches until recovery asks: then it does not matter which devices these are;
- by the hour: the two above hold between two instants as well where the strike ends no operation and nothing else
  is due between the times at which the job learns of the one and of the other; or where the job rides through, and does
  not use what was hit before that serves again.

What nobody notices, and what is due, cannot be known beforehand.  It is expected (from what the run without a
crash touches later), and what was executed says whether it `holds`; where it does not, the strike is executed.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import TYPE_CHECKING, NamedTuple

from hwsim.explore.state import digest
from hwsim.explore.touched import reach

if TYPE_CHECKING:
    from hwsim.explore.execution import Ending
    from hwsim.explore.search import Plan

Strike = tuple[int, int]  # point, target


class Like(NamedTuple):
    """The strike that is executed for one, and how the two differ."""

    of: Strike
    later_ps: int = 0  # how much later the one comes
    unnoticed: bool = False  # the two may hit different devices, of which nobody takes notice


def by_itself(made: Plan) -> dict[Strike, Like]:
    """Every strike is executed by itself."""
    points, targets = range(len(made.window.points)), range(len(made.targets))
    return {(number, index): Like((number, index)) for number in points for index in targets}


def alike(made: Plan, but: Container[Strike] = ()) -> dict[Strike, Like]:
    """For every strike the one to execute for it, in the order of points, then targets.

    *but*: strikes for which what was expected did not hold: each is executed, and stands for those that follow it.
    """
    return _Merge(made, but).all()


def holds(made: Plan, strike: Strike, like: Like, ending: Ending) -> bool:
    """Whether the execution that ended so stands for *strike*, as was expected."""
    if strike == like.of:
        return True
    if like.later_ps > ending.slack_ps:
        return False
    return not like.unnoticed or not (_noticed(made, strike, ending) or _noticed(made, like.of, ending))


def refuted(made: Plan, likes: Mapping[Strike, Like], ended: Mapping[Strike, Ending]) -> set[Strike]:
    """Strikes for which something else was expected than what was executed shows; each to be executed by itself.

    Of several that follow each other it is the first, which may stand for the others; and where notice was taken of
    what a strike itself hits, it is that one.
    """
    found: dict[object, Strike] = {}
    for strike, like in likes.items():
        ending = ended.get(like.of)
        if ending is None or holds(made, strike, like, ending):
            continue
        if like.unnoticed and _noticed(made, like.of, ending):
            found[like.of] = like.of
        else:
            found.setdefault((like.of, strike[1]), strike)
    return set(found.values())


def _noticed(made: Plan, strike: Strike, ending: Ending) -> bool:
    """Whether survivors took notice of what *strike* hits; where nobody watched they may have."""
    return ending.touched is None or not ending.touched.isdisjoint(made.hits[strike[1]])


class _Merge:
    def __init__(self, made: Plan, but: Container[Strike]) -> None:
        self.made = made
        self.points = made.window.points
        self.but = but
        self.first: dict[object, Strike] = {}
        self.unnoticed: dict[object, Strike] = {}
        self.used_until = [self._used_until(hit) for hit in made.hits]
        self.noticed_until = [self._noticed_until(hit) for hit in made.hits]
        self.joined = frozenset(end for link in made.topology.links for end in (link.a, link.b))

    def all(self) -> dict[Strike, Like]:
        """All strikes."""
        like: dict[Strike, Like] = {}
        for number, point in enumerate(self.points):
            if point.since_last.shared:
                self.unnoticed.clear()
            for index in range(len(self.made.targets)):
                strike = (number, index)
                like[strike] = (
                    self._by_what_is_left(strike)
                    or self._by_order(strike, like.get((number - 1, index)))
                    or self._by_nobodys_notice(strike)
                    or Like(strike)
                )
        return like

    def _by_what_is_left(self, strike: Strike) -> Like | None:
        made, (number, index) = self.made, strike
        foreseen, point = made.foreseen[index], self.points[number]
        if foreseen is None or point.busy or (made.late and not made.alone[index]):
            return None
        seen = foreseen[number]
        key = digest(
            seen.matters, sorted(map(str, seen.handed)), sorted(map(str, seen.outcomes)), point.kept,
            point.acknowledged, point.begun, index if made.late else None,
        )  # fmt: skip
        return Like(self.first.setdefault(key, strike))

    def _by_order(self, strike: Strike, before: Like | None) -> Like | None:
        made, (number, index) = self.made, strike
        if before is None or before.unnoticed or strike in self.but or (made.stops[index] and not made.late):
            return None
        point, previous = self.points[number], self.points[number - 1]
        touched, shared = point.since_last
        if shared or not touched.isdisjoint(reach(made.hits[index], previous.under_way)):
            return None
        if point.time_ps == previous.time_ps or self._ridden_at_any_hour(strike, before.of):
            return before
        if self._back_too_soon(index) or not self._at_any_hour(strike, before.of):
            return None
        return Like(before.of, point.time_ps - self.points[before.of[0]].time_ps)

    def _back_too_soon(self, index: int) -> bool:
        """Whether something of it serves again before the job is torn down, so that survivors may go on with it."""
        detect = self.made.topology.workload.restart.detect
        return any(after < detect for after in self.made.back_after_ps[index])

    def _ridden_at_any_hour(self, strike: Strike, of: Strike) -> bool:
        """Whether the job rides through a strike of what it does not use again before that serves again."""
        made, (number, index) = self.made, strike
        back = made.back_after_ps[index]
        if made.stops[index] or not back or of[0] < self.used_until[index]:
            return False
        if not made.hits[index].isdisjoint(self.joined):  # frames may be on their way out of it
            return False
        first, now = self.points[of[0]].time_ps, self.points[number].time_ps
        return self.points[-1].time_ps < first + min(back) and now + max(back) < made.window.until_ps

    def _by_nobodys_notice(self, strike: Strike) -> Like | None:
        made, (number, index) = self.made, strike
        foreseen = made.foreseen[index]
        if not (made.late and made.window.told) or foreseen is None or strike in self.but:
            return None
        if number < self.noticed_until[index]:
            return None
        if foreseen[number].left != made.untouched[number]:
            return None
        of = self.unnoticed.setdefault(made.asks_after_ps[index], strike)
        if of[0] < self.noticed_until[index] or not self._at_any_hour(strike, of):
            self.unnoticed[made.asks_after_ps[index]] = of = strike
        return Like(of, self.points[number].time_ps - self.points[of[0]].time_ps, unnoticed=True)

    def _at_any_hour(self, strike: Strike, of: Strike) -> bool:
        """Whether *strike* might be *of*, only later: nothing uses what it hits, and no state goes by the clock."""
        point, first = self.points[strike[0]], self.points[of[0]]
        if point.time_ps == first.time_ps:
            return True
        hit = self.made.hits[of[1]]
        return (
            self.made.late
            and self.made.stops[strike[1]]
            and self.made.topology.workload.after_recovery != "keep_grid"
            and point.kept == first.kept
            and all(hit.isdisjoint(operation.uses) for operation in first.under_way)
        )

    def _used_until(self, hit: frozenset[str]) -> int:
        """The first point from which on no operation uses any of these devices."""
        for number in range(len(self.points) - 1, -1, -1):
            if any(not hit.isdisjoint(operation.uses) for operation in self.points[number].under_way):
                return number + 1
        return 0

    def _noticed_until(self, hit: frozenset[str]) -> int:
        """The first such point after which no event of the run touches any of them either."""
        used_until = self._used_until(hit)
        for number in range(len(self.points) - 1, used_until, -1):
            if not hit.isdisjoint(self.points[number].since_last.touched):
                return number
        return used_until

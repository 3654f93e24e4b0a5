"""A schedule played through: what some searches take on so many workers, nothing trained.

The rules are those of the state machine: brackets of a search one after another, judged as a whole;
searches side by side, the one with the fewest steps begun first; ready trials of equal seed, start
and stop packed into cohorts, so that every free worker has one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from heapq import heapify, heappop, heappush
from itertools import count
from typing import NamedTuple

from sweeper.core.errors import PlanError
from sweeper.estimate.forecast import Forecast, Search, Standing
from trainers.training.segment import CHECKPOINT_SECONDS

MOST_SLICES = 500  # of all the work on one worker: longer sweeps are played in coarser slices
SAME_MOMENT_S = 1e-6
Place = tuple[int, int, int]  # group, step, rung


def forecast(searches: Sequence[Search], *, workers: int, cohort: int) -> Forecast:
    """Return what the searches take on that many workers; PlanError for fewer than one of either.

    `cohort`: most trials that train together. Every trial takes what the plan allows it: none
    diverges or fails.
    """
    if workers < 1 or cohort < 1:
        raise PlanError(f"{workers} workers, cohorts of {cohort}: at least 1 of each is needed")
    return _Play(searches, workers, cohort).through()


class _Course:
    """A search while it is played: whom it could train now, and whom it waits for."""

    def __init__(self, search: Search) -> None:
        self.search = search
        self.begun = 0  # steps
        self.ready: Counter[Standing] = Counter()
        self.trials = 0
        self._ahead = iter(search.brackets)
        self._index = search.open_bracket
        self._anchors, self._judged, self._arrived, self._rung = 0, 0, 0, 0
        if search.open:
            self._resume(search.open)
        else:
            self._begin_bracket()

    def first(self, place: Place | None = None) -> Standing | None:
        """Return who is next, of those at a place where one is given."""
        fitting = (s for s in self.ready if place is None or self.place(s) == place)
        return min(fitting, key=lambda s: (s.is_judged, -s.step, s.rung), default=None)

    def place(self, standing: Standing) -> Place:
        """Return what the members of a cohort have in common."""
        return self.search.group, standing.step, standing.rung

    def start(self, standing: Standing) -> None:
        """Take one of those who stand there into a cohort."""
        self.ready[standing] -= 1
        if not self.ready[standing]:
            del self.ready[standing]
        self.begun += self.stop(standing) - standing.step

    def stop(self, standing: Standing) -> int:
        """Return the step of the rung that it is to reach."""
        return self.search.plan.rung_steps[standing.rung]

    def arrive(self, standing: Standing, step: int) -> None:
        """Note that one who stood there has come to `step`, its rung's or one before."""
        if step < self.stop(standing):
            self.begun -= self.stop(standing) - step
            self.ready[standing._replace(step=step)] += 1
        elif standing.is_judged:
            self._arrived += 1
        elif standing.rung == len(self.search.plan.keep) - 1:
            self._anchors -= 1
        else:
            self.ready[Standing(False, step, standing.rung + 1)] += 1
        self._settle()

    def _settle(self) -> None:
        """Judge those who have all arrived; begin the next bracket when nobody is left."""
        if self._judged and self._arrived == self._judged:
            plan, step = self.search.plan, self.search.plan.rung_steps[self._rung]
            self._rung += 1
            self._arrived = 0
            is_over = self._rung == len(plan.keep)
            self._judged = 0 if is_over else min(plan.places(self._index, self._rung), self._judged)
            if self._judged:
                self.ready[Standing(True, step, self._rung)] += self._judged
        if not self._judged and not self._anchors:
            self._begin_bracket()

    def _begin_bracket(self) -> None:
        index = next(self._ahead, None)
        if index is None:
            return
        plan, self._index, self._rung, self._arrived = self.search.plan, index, 0, 0
        self._anchors = sum(plan.is_anchor(number) for number in plan.numbers(index))
        self._judged = plan.bracket - self._anchors
        self.trials += plan.bracket
        self.ready += Counter({Standing(False, 0, 0): self._anchors})
        self.ready += Counter({Standing(True, 0, 0): self._judged})

    def _resume(self, found: Mapping[Standing, int]) -> None:
        self.trials += sum(found.values())
        self.ready = Counter({s: n for s, n in found.items() if s.step < self.stop(s)})
        judged = {s: n for s, n in found.items() if s.is_judged}
        self._rung = max((s.rung for s in judged), default=0)
        self._judged = sum(judged.values())
        self._arrived = sum(n for s, n in judged.items() if s.step >= self.stop(s))
        self._anchors = sum(found.values()) - self._judged
        self._settle()


class _Flight(NamedTuple):
    """A cohort in training."""

    ends: float
    number: int  # of equal ends the first begun comes first
    members: Sequence[tuple[_Course, Standing]]
    reached: int  # step


class _Play:
    """Workers and searches, from the first segment to the last."""

    def __init__(self, searches: Sequence[Search], workers: int, cohort: int) -> None:
        self.courses = [_Course(search) for search in searches]
        self.free, self.cohort = workers, cohort
        self.now, self.busy, self.steps, self.most = 0.0, 0.0, 0, 0
        self._numbers = count()
        self._assignments: list[_Flight] = []
        work = sum(
            s.step_time.alone * s.plan.allowed_steps(len(s.brackets) * s.plan.bracket)
            for s in searches
        )
        # After these a worker saves and asks again, and cohorts are chosen anew.
        self._slice = max(CHECKPOINT_SECONDS, work / workers / MOST_SLICES)

    def through(self) -> Forecast:
        """Play to the end."""
        segments = 0
        while True:
            for flight in self._started():
                heappush(self._assignments, flight)
                segments += 1
            if not self._assignments:
                break
            self.most = max(self.most, sum(len(f.members) for f in self._assignments))
            self._land()
        return Forecast(
            trials=sum(course.trials for course in self.courses),
            steps=self.steps,
            segments=segments,
            device_seconds=self.busy,
            wall_seconds=self.now,
            side_by_side=self.most,
        )

    def _started(self) -> Iterator[_Flight]:
        while self.free and (ready := sum(sum(c.ready.values()) for c in self.courses)):
            members = self._choose(min(self.cohort, -(-ready // self.free)))
            self.free -= 1
            yield self._flight(members)

    def _choose(self, size: int) -> list[tuple[_Course, Standing]]:
        """Return at most `size` trials of equal group, start and stop, one by one by whose turn."""
        turns = [
            (c.begun, number, c, s) for number, c in enumerate(self.courses) if (s := c.first())
        ]
        _, _, first, standing = min(turns)
        place = first.place(standing)
        turns = [(n, i, c, s) for n, i, c, _ in turns if (s := c.first(place))]
        heapify(turns)
        members: list[tuple[_Course, Standing]] = []
        while turns and len(members) < size:
            _, number, course, standing = heappop(turns)
            course.start(standing)
            members.append((course, standing))
            if again := course.first(place):
                heappush(turns, (course.begun, number, course, again))
        return members

    def _flight(self, members: Sequence[tuple[_Course, Standing]]) -> _Flight:
        step_times = [course.search.step_time for course, _ in members]
        course, first = members[0]
        a_step = sum(step_time.own for step_time in step_times) + max(
            step_time.common for step_time in step_times
        )
        goal = course.stop(first) - first.step
        steps = min(goal, max(1, int(self._slice / a_step))) if a_step else goal
        seconds = steps * a_step
        if steps == goal:
            seconds += sum(step_time.ending for step_time in step_times)
        self.busy += seconds
        self.steps += steps * len(members)
        return _Flight(self.now + seconds, next(self._numbers), members, first.step + steps)

    def _land(self) -> None:
        """Go on to the next end, and note all that end at that moment."""
        self.now = self._assignments[0].ends
        while self._assignments and self._assignments[0].ends <= self.now + SAME_MOMENT_S:
            flight = heappop(self._assignments)
            self.free += 1
            for course, standing in flight.members:
                course.arrive(standing, flight.reached)

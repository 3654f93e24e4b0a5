"""What an outcome means for its trials, and what a complete bracket means for its members."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Row

from sweeper.core.errors import SweeperError
from sweeper.scheduler.damaged_files import disk_fault
from sweeper.search.brackets import BracketPlan
from sweeper.store import log, segments
from sweeper.store.log import TrialKey
from sweeper.store.row_digests import add_digest
from sweeper.store.schema import trial as trials
from trainers.training.segment import MAX_DAMAGES, Ending, MemberOutcome, Outcome, memory_bank_file

MAX_FAILURES = 3  # of a method's own code, in one bracket, before the method has failed
MAX_LOSSES = 3  # of a trial, under one driver, before its method is blocked


class OutcomeRecorder:
    """The consequences of one recorded segment, within its transaction."""

    def __init__(
        self, connection: Connection, sweep_id: int, plan: BracketPlan, epoch: int
    ) -> None:
        self.connection = connection
        self.sweep_id = sweep_id
        self.plan = plan
        self.epoch = epoch
        self.needless: list[Path] = []  # checkpoints that no resume needs after the commit
        self._disk_fault: str | None = None

    def apply(self, segment_id: int, outcome: Outcome) -> None:
        """Store the members' outcomes, judge the brackets that are complete at a rung."""
        reached = segments.heartbeat_step(self.connection, segment_id)
        rows = segments.members(self.connection, segment_id)
        for row, member in zip(rows, outcome.members, strict=True):
            segments.close_member(self.connection, segment_id, (row.study_id, row.number), member)
            self._record_member(segment_id, row, member, reached)
        add_digest(self.connection, "segment", segment_id)
        for study_id, index in sorted({(row.study_id, row.bracket) for row in rows}):
            if not self._fail_if_failing(study_id, index):
                self._judge(study_id, index)

    def check_disk(self) -> None:
        """Raise SweeperError where a trial finds damaged files time and again; to be called last.

        What was recorded stays so.
        """
        if self._disk_fault is not None:
            raise SweeperError(self._disk_fault)

    def _record_member(
        self, segment_id: int, row: Row[Any], member: MemberOutcome, reached: int
    ) -> None:
        if row.state != "RUNNING":  # failed or cancelled meanwhile: too late to count
            self._charge(row, member, member.step, checkpoint=None)
            self._drop(member.checkpoint)
            self._drop(row.checkpoint)
            return
        match member.ending:
            case Ending.REACHED:
                self._reached(segment_id, row, member)
            case Ending.DIVERGED:
                self._decide(row, member, "PRUNED", diverged=True, score=None)
            case Ending.FAILED:
                self._decide(row, member, "FAIL")
            case Ending.LOST:
                self._lost(row, member, reached)
            case Ending.DAMAGED:
                self._damaged(row, member)

    def _reached(self, segment_id: int, row: Row[Any], member: MemberOutcome) -> None:
        key = (row.study_id, row.number)
        changes: dict[str, Any] = self._spent(row, member) | {"checkpoint": str(member.checkpoint)}
        self._drop(row.checkpoint)
        if member.step < self.plan.rung_steps[row.rung]:
            log.change_trial(self.connection, key, **changes)
            return
        segments.add_rung(self.connection, segment_id, key, row.rung, member)
        changes["score"] = member.score
        if row.rung == len(self.plan.rung_steps) - 1:
            log.decide_trial(self.connection, key, "COMPLETE", **changes)
            segments.add_results(self.connection, key, member)
            self._note("complete", key, score=member.score)
            return
        # Anchors are not judged; the others wait at this rung for the rest of their bracket.
        rung = row.rung + 1 if self.plan.is_anchor(row.number) else row.rung
        log.show_change(self.connection, key, rung=rung, **changes)

    def _lost(self, row: Row[Any], member: MemberOutcome, reached: int) -> None:
        """The trial stays undecided and is repeated; a method that keeps being lost is blocked."""
        key = (row.study_id, row.number)
        self._charge(row, member, reached)
        self._note("lost", key, why=_first_line(member.reason))
        if log.count_endings(self.connection, key, self.epoch, Ending.LOST) >= MAX_LOSSES:
            why = _first_line(member.reason)
            reason = f"trial {row.number} was lost {MAX_LOSSES} times: {why}"
            log.set_study_state(self.connection, row.study_id, "blocked", reason)
            self._note("method_blocked", (row.study_id, None), why=reason)

    def _damaged(self, row: Row[Any], member: MemberOutcome) -> None:
        """Send the trial back to step 0 where its own checkpoint cannot be used.

        It is no loss: its method goes on. Where another file was at fault the trial stays where it
        is, and that file is made again.
        """
        key = (row.study_id, row.number)
        self._charge(row, member, row.step)
        is_own = member.damaged in _files_of(row.checkpoint)
        if is_own:
            log.forget_checkpoint(self.connection, [key])
            self._drop(row.checkpoint)
        why = _first_line(member.reason)
        self._note("restarted" if is_own else "damaged", key, why=why)
        times = log.count_endings(self.connection, key, self.epoch, Ending.DAMAGED)
        if times > MAX_DAMAGES and member.damaged is not None:
            self._disk_fault = disk_fault(member.damaged, f"{member.key}: {why}", times)

    def _charge(self, row: Row[Any], member: MemberOutcome, reached: int, **values: Any) -> None:
        """Book steps whose result is not kept."""
        log.change_trial(
            self.connection,
            (row.study_id, row.number),
            wasted_steps=trials.c.wasted_steps + max(reached - row.step, 0),
            wasted_seconds=trials.c.wasted_seconds + member.seconds,
            **values,
        )

    def _fail_if_failing(self, study_id: int, index: int) -> bool:
        failures = log.failures(self.connection, study_id, self.plan.numbers(index))
        if len(failures) < MAX_FAILURES:
            return False
        reason = f"{MAX_FAILURES} trials of bracket {index} failed: {failures[0]}"
        if not log.fail_study(self.connection, study_id, reason):
            return True  # it had failed or was cancelled before
        self._note("method_failed", (study_id, None), why=reason)
        for row in log.open_trials(self.connection, [study_id]):
            why = f"not run, its method had failed: {reason}"
            log.decide_trial(self.connection, row.key, "FAIL", reason=why, checkpoint=None)
            self._drop(row.checkpoint)
        return True

    def _judge(self, study_id: int, index: int) -> None:
        """Judge a bracket's contenders when all of them have reached their common rung."""
        numbers = self.plan.numbers(index)
        contenders = [
            row
            for row in log.open_trials(self.connection, [study_id])
            if row.number in numbers and not self.plan.is_anchor(row.number)
        ]
        if not contenders:
            return
        # All of them are to reach the same rung: a bracket is judged as a whole, and who goes on
        # from a rung is not issued before. So the first one's rung is everybody's.
        rung = contenders[0].rung
        if any(row.step < self.plan.rung_steps[rung] for row in contenders):
            return
        values = log.rung_values(self.connection, study_id, numbers, rung)
        judged = {row.number: values[row.number] for row in contenders}
        promoted = self.plan.promoted(index, rung, judged)
        for row in contenders:
            self._judged(row, row.number in promoted)
        self._note("judged", (study_id, None), bracket=index, rung=rung, promoted=promoted)

    def _judged(self, row: log.OpenTrial, promoted: bool) -> None:
        if promoted:
            log.change_trial(self.connection, row.key, rung=row.rung + 1)
            return
        log.decide_trial(self.connection, row.key, "PRUNED", checkpoint=None)
        self._drop(row.checkpoint)

    def _decide(self, row: Row[Any], member: MemberOutcome, state: str, **values: Any) -> None:
        key = (row.study_id, row.number)
        values |= self._spent(row, member) | {"checkpoint": None, "reason": member.reason}
        log.decide_trial(self.connection, key, state, **values)
        self._drop(row.checkpoint)
        self._note(member.ending.value, key, why=_first_line(member.reason))

    def _spent(self, row: Row[Any], member: MemberOutcome) -> dict[str, Any]:
        return {
            "step": member.step,
            "trained_steps": trials.c.trained_steps + member.step - row.step,
            "device_seconds": trials.c.device_seconds + member.seconds,
        }

    def _drop(self, checkpoint: str | Path | None) -> None:
        if checkpoint is not None:
            self.needless.append(Path(checkpoint))

    def _note(self, kind: str, key: TrialKey | tuple[int, None], **detail: Any) -> None:
        log.note(self.connection, self.sweep_id, kind, key, **detail)


def _files_of(checkpoint: str | None) -> tuple[Path, ...]:
    return () if checkpoint is None else (Path(checkpoint), memory_bank_file(Path(checkpoint)))


def _first_line(reason: str | None) -> str:
    """Return the line that says what happened; the traceback stays with the segment."""
    return (reason or "no reason given").splitlines()[0]

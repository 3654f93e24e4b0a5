"""What a driver checks before it goes on: that code and checkpoints are still the log's."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from sqlalchemy import Connection

from sweeper.core.errors import SweeperError
from sweeper.store import log


def block_changed(
    connection: Connection,
    sweep_id: int,
    studies: Iterable[log.Study],
    code_of: Callable[[str], str],
) -> list[log.Study]:
    """Block every study whose method's code here is not the frozen one; return the rest."""
    same = []
    for study in studies:
        here = code_of(study.method)
        if here == study.code_hash:
            same.append(study)
        else:
            reason = f"its code here is {here[:12]}, frozen is {study.code_hash[:12]}"
            log.set_study_state(connection, study.id, "blocked", reason)
            log.note(connection, sweep_id, "method_blocked", (study.id, None), why=reason)
    return same


def restart_without_checkpoint(
    connection: Connection, sweep_id: int, studies: Iterable[log.Study], root: Path
) -> None:
    """Send undecided trials whose checkpoint is gone back to their start.

    Raises SweeperError where all of them would be: another folder was meant.
    """
    trials = log.open_trials(connection, [study.id for study in studies])
    gone = [t for t in trials if t.checkpoint is not None and not t.checkpoint.is_file()]
    if gone and not any(folder.is_dir() for folder in (root, *map(_root_of, gone))):
        raise SweeperError(
            f"{len(gone)} unfinished trials have checkpoints, but there is no {root}; give the "
            "--checkpoint-dir of their launch, or make an empty folder of that name to train them "
            "again from step 0"
        )
    log.forget_checkpoint(connection, [trial.key for trial in gone])
    if gone:
        log.note(connection, sweep_id, "restarted", trials=len(gone), why="checkpoint is gone")


def _root_of(trial: log.OpenTrial) -> Path:
    """Return the folder of the sweep that wrote a trial's checkpoint: the original of a dump's."""
    return (trial.checkpoint or Path()).parent.parent

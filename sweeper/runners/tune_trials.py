"""Ray Tune, which keeps the workers: a trial of Tune's is one worker that trains one segment.

Which segment, a trial learns only when its worker waits for one; so Tune always has a next trial
for a worker that gets free, and keeps it with its data, teacher and compiled code. Tune stores
names and numbers alone.
"""

from __future__ import annotations

import contextlib
import shutil
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray import tune
from ray.exceptions import RayError

from sweeper.runners.tune_mailbox import ReadyWorker, WorkerSetup
from sweeper.runners.worker_loss import reason_of
from trainers.errors import UserError
from trainers.training.worker import WorkerDescription


@dataclass(frozen=True, kw_only=True)
class TuneRun:
    """One run of Tune's."""

    mailbox: str  # its name
    folder: Path  # of what Tune writes; a file named `OVER` in it ends the run
    workers: int
    trials: int
    cpus: int  # of a worker
    gpus: float


OVER = "over"


class OneSegment(tune.Trainable):
    """Waits for a segment, trains it and delivers the outcome."""

    def setup(self, config: dict[str, Any]) -> None:
        """Start a worker."""
        self._mailbox = _mailbox_named(config["mailbox"])
        setup: WorkerSetup = ray.get(self._mailbox.setup.remote())
        self._setup, self._worker = setup, setup.worker()
        self._description: WorkerDescription | str | None = None
        self._number = 0  # of the job; 0: none yet
        threading.Thread(target=self._send_heartbeats, daemon=True).start()

    @classmethod
    def default_resource_request(cls, config: dict[str, Any]) -> tune.PlacementGroupFactory:
        """Return what a worker needs."""
        return tune.PlacementGroupFactory([{"CPU": config["cpus"], "GPU": config["gpus"]}])

    def reset_config(self, new_config: dict[str, Any]) -> bool:  # noqa: ARG002 - all are alike
        """Keep the worker for the next trial."""
        return True

    def step(self) -> dict[str, Any]:
        """Do all that the trial is for."""
        if self._description is None:
            self._description = self._describe()
        actor = ray.get_runtime_context().current_actor
        offer = ReadyWorker(trial=self.trial_id, actor=actor, description=self._description)
        order = ray.get(self._mailbox.take.remote(offer))
        if order is not None:
            self._number, segment = order
            outcome = self._worker.run(self._number, segment)
            ray.get(self._mailbox.deliver.remote(self._number, outcome))
        shutil.rmtree(self.logdir, ignore_errors=True)  # Tune makes one a trial, on every node
        return {"done": True}

    def _describe(self) -> WorkerDescription | str:
        setup = self._setup
        try:
            return self._worker.describe(
                setup.data, setup.root, setup.packages, setup.marker, setup.folder
            )
        except UserError as error:
            return str(error)

    def _send_heartbeats(self) -> None:
        """Send heartbeats to the driver and stop when it asks, for as long as there is one."""
        is_stopped = False
        with contextlib.suppress(RayError):
            while True:
                number = self._number
                answer = self._mailbox.heartbeat.remote(
                    number, self._worker.status(number), is_stopped
                )
                if ray.get(answer) and not is_stopped:
                    is_stopped = True
                    self._worker.stop()


def _mailbox_named(name: str) -> Any:
    return ray.get_actor(name)


class _StopFile(tune.Stopper):
    """Ends a run when asked, also where trials still wait for room."""

    def __init__(self, mark: Path) -> None:
        self._mark = mark

    def __call__(self, trial_id: str, result: dict[str, Any]) -> bool:  # noqa: ARG002 - fixed
        return False

    def stop_all(self) -> bool:
        return self._mark.exists()


class _ErrorReporter(tune.Callback):
    """Reports the trials that end in an error, and clears Tune's own folder away."""

    def __init__(self, mailbox: str) -> None:
        self._mailbox = mailbox

    def on_trial_error(self, *_: Any, **event: Any) -> None:
        trial = event["trial"]
        _mailbox_named(self._mailbox).lose.remote(trial.trial_id, _reason(trial))

    on_trial_recover = on_trial_error  # a preempted worker's trial is begun again under its name

    def on_experiment_end(self, *_: Any, **event: Any) -> None:
        for trial in event["trials"][:1]:
            staging = Path(trial.storage.experiment_driver_staging_path).parent
            shutil.rmtree(staging, ignore_errors=True)


def _reason(trial: Any) -> str:
    if trial.pickled_error_file is None:  # not a worker's: Tune's own
        return f"Tune: {' '.join(Path(trial.error_file).read_text().split())}"
    return reason_of(ray.cloudpickle.loads(Path(trial.pickled_error_file).read_bytes()))


def fit(tuning: TuneRun) -> None:
    """Run Tune until its trials have ended, or the folder says that it is over."""
    tune.Tuner(
        OneSegment,
        param_space={"mailbox": tuning.mailbox, "cpus": tuning.cpus, "gpus": tuning.gpus},
        tune_config=tune.TuneConfig(
            num_samples=tuning.trials,
            max_concurrent_trials=tuning.workers,
            scheduler=tune.schedulers.FIFOScheduler(),  # type: ignore[no-untyped-call]
            reuse_actors=True,
        ),
        run_config=tune.RunConfig(
            name=tuning.folder.name,
            storage_path=str(tuning.folder.parent),
            stop=_StopFile(tuning.folder / OVER),
            callbacks=[_ErrorReporter(tuning.mailbox)],
            checkpoint_config=tune.CheckpointConfig(checkpoint_at_end=False),
            verbose=0,
        ),
    ).fit()

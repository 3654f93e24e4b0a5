"""Settings from the environment and `sweeper.toml`: the one module that reads either."""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

from sweeper.core.errors import ConfigError
from trainers.errors import near_miss

FILE_NAME = "sweeper.toml"
KEYS = ("database", "task", "sweep", "data_root", "device")
SYSTEM_HOME = Path("/var/lib/sweeper")
LEADS_TO_DATABASE = ("PG", "SWEEPER_DATABASE")  # variables whose names begin like this
QUIET_RAY = MappingProxyType(
    {
        "RAY_DEDUP_LOGS_SKIP_REGEX": ".",  # a worker's death is said by us, and not on stdout
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "1",  # hide GPUs from CPU workers, without a warning
        "RAY_ENABLE_AUTO_CONNECT": "0",  # no other cluster by a thread of Tune's that is late
        "RAY_CHDIR_TO_TRIAL_DIR": "0",  # a relative path means the same in every worker
        "RAY_OVERRIDE_JOB_RUNTIME_ENV": "1",  # workers have our code, whatever a Ray job has sent
        "RAY_ENABLE_UV_RUN_RUNTIME_ENV": "0",  # which would look for a project in our code
        "RAY_AIR_NEW_OUTPUT": "0",  # which prints although it is told to be silent
        "TUNE_DISABLE_SIGINT_HANDLER": "1",  # stopping is ours
        "TUNE_DISABLE_AUTO_CALLBACK_LOGGERS": "1",  # three files a trial
        "TUNE_GLOBAL_CHECKPOINT_S": "3600",  # its state is never restored
        "TUNE_PRINT_ALL_TRIAL_ERRORS": "0",
        "TUNE_WARN_THRESHOLD_S": "3600",
    }
)


@dataclass(frozen=True, kw_only=True)
class Config:
    """What the environment and the working directory say; None where they say nothing."""

    home: Path  # folder of the embedded database
    runtime: Path  # folder for sockets whose path under `home` would be too long
    database: str | None = None  # SWEEPER_DATABASE_URL, else the key of sweeper.toml
    task: str | None = None
    sweep: str | None = None
    data_root: Path | None = None
    device: str | None = None

    def find_data(self, given: Path | None) -> Path | None:
        """Return the data's folder, given or as configured: absolute, as for every worker."""
        root = given or self.data_root
        return None if root is None else root.absolute()


def load_config(folder: Path | None = None, environment: Mapping[str, str] | None = None) -> Config:
    """Return the settings that hold in `folder` (the working directory by default).

    Raises ConfigError for a malformed file or unknown keys, all of them at once.
    """
    folder = Path.cwd() if folder is None else folder
    environment = os.environ if environment is None else environment
    values = _read_file(folder / FILE_NAME)
    data_root = values.get("data_root")
    return Config(
        home=_home(environment),
        runtime=_runtime(environment),
        database=environment.get("SWEEPER_DATABASE_URL") or values.get("database"),
        task=values.get("task"),
        sweep=values.get("sweep"),
        data_root=None if data_root is None else folder / Path(data_root).expanduser(),
        device=values.get("device"),
    )


def child_environment(added: Mapping[str, str]) -> dict[str, str]:
    """Return this process's environment with what a program started by it needs besides."""
    return {**os.environ, **added}


@contextmanager
def without_database() -> Iterator[None]:
    """Keep all that leads to the database from the programs that the block starts."""
    hidden = {name: os.environ[name] for name in os.environ if name.startswith(LEADS_TO_DATABASE)}
    for name in hidden:
        del os.environ[name]
    try:
        yield
    finally:
        os.environ.update(hidden)


def quieten_ray() -> None:
    """Set what Ray reads when it is imported; what the user has set stays."""
    for name, value in QUIET_RAY.items():
        os.environ.setdefault(name, value)


def _home(environment: Mapping[str, str]) -> Path:
    given = environment.get("SWEEPER_HOME")
    if given:
        return Path(given).expanduser().absolute()
    return SYSTEM_HOME if os.geteuid() == 0 else Path("~/.sweeper").expanduser()


def _runtime(environment: Mapping[str, str]) -> Path:
    # Root's runtime folder is closed to the unprivileged user that runs the server for root.
    given = environment.get("XDG_RUNTIME_DIR")
    return Path(given) if given and os.geteuid() != 0 else Path("/tmp")


def _read_file(path: Path) -> dict[str, str]:
    try:
        values = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, OSError) as error:
        raise ConfigError(f"{path} cannot be read as TOML: {error}") from error
    faults = [fault for key, value in values.items() if (fault := _fault(key, value))]
    if faults:
        raise ConfigError(f"{path}: " + "; ".join(faults))
    return values


def _fault(key: str, value: Any) -> str:
    if key not in KEYS:
        return f"unknown key {key!r}{near_miss(key, KEYS)}"
    if not isinstance(value, str) or not value:
        # The value itself is not shown: under `database` it may hold a password.
        return f"{key} must be a text in quotes, not {type(value).__name__}"
    return ""

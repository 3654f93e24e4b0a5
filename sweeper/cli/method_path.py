"""The option `--method-path`: folders of users' own methods, for this process and its workers."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from trainers.method_api.sources import VARIABLE, method_folders

F = TypeVar("F", bound=Callable[..., Any])


def method_path_option(command: F) -> F:
    """Add the option; it is read before any other, since they may name such a method."""
    return click.option(
        "--method-path",
        multiple=True,
        type=click.Path(path_type=Path),
        expose_value=False,
        is_eager=True,
        callback=_add,
        help="Folder with pairs of files NAME.py, NAME.toml: methods of your own.",
    )(command)


def _add(context: click.Context, parameter: click.Parameter, folders: tuple[Path, ...]) -> None:
    del context, parameter
    if folders:
        present = os.environ.get(VARIABLE, "").split(os.pathsep)
        added = [str(folder.absolute()) for folder in folders]
        joint = os.pathsep.join(dict.fromkeys([*filter(None, present), *added]))
        method_folders(joint)  # refuses what is no folder
        os.environ[VARIABLE] = joint  # workers get copies, see `sent_code`

"""The pair of files that a new method begins with: it works, and keeps the contract."""

from __future__ import annotations

import keyword
import re
from pathlib import Path

from trainers.errors import MethodError
from trainers.method_api.registry import method_names

NAME = re.compile(r"[a-z][a-z0-9_]{0,31}")

CODE = '''"""{name}: say in one sentence what is distilled.

Source: the paper, its venue and year, and its code if there is any.
"""

from __future__ import annotations

from torch import Tensor

from trainers.method_api.method import Hyperparameters, Method, Step
from trainers.method_api.value_checks import require_positive
from trainers.models.outputs import Shape
from trainers.terms.grid import on_one_grid


def logit_mse(student_BKhw: Tensor, teacher_BKhw: Tensor, temperature: float) -> Tensor:
    """Return the mean squared difference of logits / temperature; 0 for equal logits."""
    student_BKhw, teacher_BKhw = on_one_grid(student_BKhw, teacher_BKhw.detach())
    return (student_BKhw - teacher_BKhw).square().mean() / temperature**2


class {kind}(Method):
    """One term on the logits. Learnt projections would be submodules, built in __init__."""

    terms = ("logit_mse",)  # each is a method below, unweighted; weights are in the TOML file
    vanishing = ("logit_mse",)  # those that are 0 where student equals teacher

    def __init__(self, values: Hyperparameters, student: Shape, teacher: Shape | None) -> None:
        super().__init__(values, student, teacher)
        require_positive("{name}", values, "temperature")

    def logit_mse(self, step: Step) -> Tensor:
        """Return the difference between student and teacher; ignored pixels take part."""
        temperature = float(self.values["temperature"])
        return logit_mse(step.student.logits, step.teacher_outputs.logits, temperature)
'''

SPACE = """paper = "Author et al.: Title"
venue = "where it appeared"
year = 2026
terms = ["logit_mse"]
primary = "temperature" # the one own hyperparameter of the primary space; may be left out
contains_baseline = true # with small weights it trains as the baseline does
unverified = "no public code has confirmed its numbers" # leave it out where some has

[published] # a weight for every term, and every other hyperparameter
logit_mse = 1.0
temperature = 1.0

[sources] # where each value was read
logit_mse = "the paper, table 1"
temperature = "the paper, section 3"

[of] # the term that each hyperparameter belongs to
temperature = "logit_mse"

[publication] # the setting its weights were published for
classes = 19
map = [64, 128]

[temperature] # its range; weights need none: it is measured by their effect
low = 0.25
high = 4.0
log = true
"""


def write_pair(name: str, folder: Path) -> tuple[Path, Path]:
    """Write NAME.py and NAME.toml into the folder; MethodError where the name will not do."""
    if not NAME.fullmatch(name) or keyword.iskeyword(name):
        raise MethodError(
            f"method name {name!r}: use 1 to 32 of a-z 0-9 _, a letter first, as a module's name"
        )
    if name in method_names():
        raise MethodError(f"method {name!r} exists already: choose another name")
    files = (folder / f"{name}.py", folder / f"{name}.toml")
    there = [str(file) for file in files if file.exists()]
    if there:
        raise MethodError(f"{' and '.join(there)} would be overwritten: choose another --folder")
    folder.mkdir(parents=True, exist_ok=True)
    kind = "".join(part.capitalize() for part in name.split("_"))
    files[0].write_text(CODE.format(name=name, kind=kind), encoding="utf-8")
    files[1].write_text(SPACE, encoding="utf-8")
    return files

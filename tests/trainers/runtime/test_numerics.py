"""The golden run: its digits may change only together with the numerics version.

Nets as small as these turn the last bit of a sum into another loss after three steps, and sums are
taken in another order with other instructions. So there are digits for each kind of processor.
"""

from __future__ import annotations

import json
import sys
import tempfile
from pathlib import Path

import pytest
import torch

from tests.trainers.tiny_task import OTHER_TASK, TASK, members, segment, train_teacher
from trainers.runtime.numerics import NUMERICS_VERSION, configure, derive_seed
from trainers.tasks import Task
from trainers.training.cohort import Trainer

GOLDEN = Path(__file__).parents[1] / "golden_run.json"
METHODS = ("baseline", "kd", "rdd")
TASKS = {"losses": TASK, "losses_of_other_task": OTHER_TASK}  # by what the file calls them
Losses = dict[str, list[float]]
DIGITS = 1e-4  # relative: the file has five digits
HERE = torch.backends.cpu.get_cpu_capability()


def golden_run(folder: Path, task: Task) -> Losses:
    """Return the losses of a short training by each method."""
    teacher = train_teacher(folder, task)
    outcome = Trainer().run(segment(folder, members(*METHODS), task=task, teacher=teacher))
    losses = [[loss for _, loss in member.losses] for member in outcome.members]
    return dict(zip(METHODS, losses, strict=True))


@pytest.fixture(scope="module")
def losses(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Losses]:
    folder = tmp_path_factory.mktemp("golden")
    return {name: golden_run(folder / name, task) for name, task in TASKS.items()}


def test_the_golden_run_is_of_this_version() -> None:
    stored = json.loads(GOLDEN.read_text())["numerics_version"]
    assert stored == NUMERICS_VERSION, f"write it anew: python {__file__}"


@pytest.mark.parametrize("name", TASKS)
@pytest.mark.parametrize("method", METHODS)
def test_the_digits_change_only_with_the_numerics_version(
    method: str, name: str, losses: dict[str, Losses]
) -> None:
    kinds = json.loads(GOLDEN.read_text())
    if HERE not in kinds:
        pytest.skip(f"no digits for a processor with {HERE}: python {__file__}")
    stored = kinds[HERE][name][method]
    assert losses[name][method] == pytest.approx(stored, rel=DIGITS), (
        f"raise NUMERICS_VERSION, then write the golden run anew: python {__file__}"
    )


def test_a_seed_depends_on_every_part_and_their_order() -> None:
    seeds = {derive_seed(*parts) for parts in [(0, "student"), (0, "method"), (1, "student"), (0,)]}
    assert len(seeds) == 4
    assert all(0 <= seed < 2**63 for seed in seeds)
    assert derive_seed(3, "step", 7) == 2425875697295671303


@pytest.mark.parametrize("deterministic", [True, False])
def test_the_set_up_of_one_segment_does_not_outlive_it(deterministic: bool) -> None:
    configure(torch.device("cpu"), deterministic=deterministic, threads=1)
    assert torch.are_deterministic_algorithms_enabled() is deterministic
    configure(torch.device("cpu"), deterministic=False, threads=1)
    assert not torch.are_deterministic_algorithms_enabled()


def write_golden_run() -> None:
    """Store the losses to five digits; those of other kinds of processors stay for one version."""
    known = json.loads(GOLDEN.read_text())
    content: dict[str, object] = known if known["numerics_version"] == NUMERICS_VERSION else {}
    here: dict[str, Losses] = {}
    for name, task in TASKS.items():
        with tempfile.TemporaryDirectory() as folder:
            found = golden_run(Path(folder), task)
        here[name] = {
            method: [float(f"{x:.5g}") for x in values] for method, values in found.items()
        }
    content |= {"numerics_version": NUMERICS_VERSION, HERE: here}
    GOLDEN.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    sys.exit(write_golden_run())

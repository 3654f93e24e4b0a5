"""What a task file may contain: data, nets, schedule, search plan; every field is checked."""

from __future__ import annotations

from fractions import Fraction
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, model_validator


class Frozen(BaseModel):
    """A section of a task: immutable, and closed to unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")


def _fraction(value: object) -> Fraction:
    if isinstance(value, Fraction):
        return value
    if isinstance(value, (int, str)) and not isinstance(value, bool):
        try:
            return Fraction(value)
        except (ValueError, ZeroDivisionError) as error:
            raise ValueError(f'must be a fraction such as "1/3", got {value!r}') from error
    raise ValueError(f'must be 1 or a fraction in quotes such as "1/3", got {value!r}')


ExactFraction = Annotated[Fraction, BeforeValidator(_fraction), PlainSerializer(str)]
Size = tuple[Annotated[int, Field(ge=8)], Annotated[int, Field(ge=8)]]


class Data(Frozen):
    """Which frames, read how, at which size they are labelled and evaluated."""

    reader: Literal["shapes", "camvid"]
    size: Size  # height, width of images and labels after decoding
    options: dict[str, int | float | str] = {}  # the reader's own: see its docstring


class Augmentation(Frozen):
    """Random scale, horizontal flip, crop; padding is the mean colour and the ignore label."""

    crop: Size
    scale: tuple[Annotated[float, Field(gt=0)], Annotated[float, Field(gt=0)]] = (0.5, 2.0)
    flip: bool = True

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if self.scale[0] > self.scale[1]:
            raise ValueError(f"scale must be (low, high) with low <= high, got {self.scale}")
        return self


class Net(Frozen):
    """A backbone made dilated, a segmentation head, and perhaps an auxiliary head."""

    backbone: Literal["resnet18", "resnet50", "resnet101", "mobilenet_v2", "mobilenet_v3_large"]
    head: Literal["deeplabv3", "pspnet"] = "deeplabv3"
    head_width: int = Field(default=128, ge=4)
    backbone_width: float = Field(default=1.0, gt=0)  # multiplies the channels of the backbone
    output_stride: Literal[8, 16, 32] = 8
    auxiliary: bool = True  # an FCN head on the last stage but one
    dropout: float = Field(default=0.1, ge=0, lt=1)
    weights: str = "none"  # "imagenet" (by torchvision), "none", or a file of backbone weights


class Schedule(Frozen):
    """The training recipe: its values are trial 0's, and the baseline's published values."""

    steps: int = Field(ge=1)
    image_batch: int = Field(ge=2)  # one pooled value has no variance: the heads' batch norm fails
    optimizer: Literal["sgd", "adamw"] = "sgd"
    learning_rate: float = Field(gt=0)
    weight_decay: float = Field(default=1e-4, ge=0)
    momentum: float = Field(default=0.9, ge=0, lt=1)
    power: float = Field(default=0.9, ge=0)  # of the polynomial decay to 0 at `steps`
    auxiliary_weight: float = Field(default=0.4, ge=0)
    gradient_norm: float | None = Field(default=None, gt=0)  # longer gradients are cut to it


class Teacher(Frozen):
    """The net that teaches, and its own longer schedule."""

    net: Net
    schedule: Schedule


class Range(Frozen):
    """The range of one dimension of a search space."""

    low: float
    high: float
    log: bool = False

    @model_validator(mode="after")
    def _ordered(self) -> Self:
        if not self.low < self.high:
            raise ValueError(f"low < high must hold, got low={self.low}, high={self.high}")
        if self.log and self.low <= 0:
            raise ValueError(f"a logarithmic range needs low > 0, got low={self.low}")
        return self


class Search(Frozen):
    """The plan of a study in integers: brackets, the rungs they are judged at, how many go on."""

    bracket: int = Field(default=16, ge=2)
    rungs: tuple[ExactFraction, ...] = (Fraction(1, 9), Fraction(1, 3), Fraction(1))
    keep: tuple[Annotated[int, Field(ge=1)], ...] = (16, 6, 2)
    anchors: int = Field(default=8, ge=0)  # trials 0 .. anchors-1 always run to the end
    cohort: int = Field(default=8, ge=1)  # most members that train together

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if len(self.rungs) != len(self.keep):
            raise ValueError(f"rungs and keep must be equally long, got {self.rungs}, {self.keep}")
        if list(self.rungs) != sorted(set(self.rungs)) or self.rungs[0] <= 0 or self.rungs[-1] != 1:
            raise ValueError(f"rungs must rise from above 0 to 1, got {[*map(str, self.rungs)]}")
        if self.keep[0] != self.bracket or list(self.keep) != sorted(self.keep, reverse=True):
            raise ValueError(f"keep must fall from the bracket ({self.bracket}), got {self.keep}")
        if self.anchors > self.bracket:
            raise ValueError(f"anchors <= bracket must hold, got {self.anchors} > {self.bracket}")
        return self


METRIC = "mIoU, percent"  # what a score is: name and unit; higher is better


class Task(Frozen):
    """A data set, a teacher, a student, a schedule, an evaluation."""

    name: str
    description: str
    data: Data
    augmentation: Augmentation
    student: Net
    teacher: Teacher | None = None  # None only for the task that trains a teacher
    schedule: Schedule
    search: Search = Search()
    shared: dict[str, Range] = {}  # ranges of shared dimensions that differ from the common ones
    threads: int = Field(default=1, ge=1)  # CPU threads of a worker: they change the last bits

    @model_validator(mode="after")
    def _rungs_are_steps(self) -> Self:
        steps = self.rung_steps
        if len(set(steps)) != len(steps) or steps[0] < 1:
            raise ValueError(f"the rungs fall on steps {steps} of {self.schedule.steps}: too few")
        return self

    @property
    def metric(self) -> str:
        """Name and unit of its score; higher is better. Columns and figures are headed by it."""
        return METRIC

    @property
    def rung_steps(self) -> tuple[int, ...]:
        """The steps at which a bracket is judged; the last is the full length."""
        return tuple(int(self.schedule.steps * rung) for rung in self.search.rungs)

    def teacher_task(self) -> Task:
        """Return the task whose student is this task's teacher, trained by its own schedule."""
        if self.teacher is None:
            raise ValueError(f"task {self.name} has no teacher")
        return self.model_copy(
            update={
                "name": f"{self.name}-teacher",
                "student": self.teacher.net,
                "schedule": self.teacher.schedule,
                "teacher": None,
            }
        )

    def preparation_task(self, steps: int) -> Task:
        """Return the task under which a method's preparation is trained for `steps` steps.

        It depends on the teacher and its schedule alone, so that all students share it.
        """
        if self.teacher is None:
            raise ValueError(f"task {self.name} has no teacher")
        schedule = self.teacher.schedule.model_copy(update={"steps": steps})
        return self.model_copy(
            update={
                "name": f"{self.name}-preparation",
                "student": self.teacher.net,
                "schedule": schedule,
            }
        )

    def identity(self) -> dict[str, Any]:
        """Return everything of the task that can change a number, as plain JSON values."""
        return self.model_dump(mode="json", exclude={"description": True, "search": {"cohort"}})

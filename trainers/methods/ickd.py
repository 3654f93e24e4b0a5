"""Inter-channel correlation: match which channels fire together.

Source: Liu et al., "Exploring Inter-Channel Correlation for Diversity-preserved Knowledge
Distillation", ICCV 2021, eq. 3 to 7. B images, P patches of the map, C channels, n positions.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from trainers.method_api.method import Hyperparameters, Method, Step
from trainers.method_api.value_checks import channels_of, require_choices, require_positive
from trainers.models.outputs import Shape
from trainers.terms.grid import on_one_grid

FEATURES = ("head", "stage1", "stage2", "stage3", "stage4", "logits")
EMBEDDINGS = ("convolution", "normalised")
EPSILON = 1e-12  # a row of a silent channel has less; as in the authors' code


def icc(student_BChw: Tensor, teacher_BChw: Tensor, grid: int = 1) -> Tensor:
    """Return the squared distance of the row-normalised Gram matrices, summed, over P x C x B.

    In [0, 4]; 0 for features that are proportional in each patch. `grid` cuts both maps into at
    most grid x grid patches, each with a matrix of its own. Maps of two sizes are compared at the
    larger. Divided as in the released code for CIFAR-100; that for ImageNet divides by the images
    twice, the paper's formula by C^2.
    """
    student_BChw, teacher_BChw = on_one_grid(student_BChw, teacher_BChw.detach())
    return gram_distance(gram(student_BChw, grid), gram(teacher_BChw, grid))


def gram(feature_BChw: Tensor, grid: int) -> Tensor:
    """Return the channels' inner products in each patch, (B, P, C, C), summed over positions.

    Patches are equally large but for the last in a row or column; none is empty.
    """
    height, width = feature_BChw.shape[-2:]
    patch = (-(-height // grid), -(-width // grid))
    num_rows, num_columns = -(-height // patch[0]), -(-width // patch[1])
    # Positions of 0 add nothing to inner products.
    padding = (0, num_columns * patch[1] - width, 0, num_rows * patch[0] - height)
    padded = functional.pad(feature_BChw, padding)
    cut = padded.reshape(*padded.shape[:2], num_rows, patch[0], num_columns, patch[1])
    patches_BPCn = cut.permute(0, 2, 4, 1, 3, 5).flatten(1, 2).flatten(3)
    return patches_BPCn @ patches_BPCn.mT


def gram_distance(student_BPCC: Tensor, teacher_BPCC: Tensor) -> Tensor:
    """Return the squared distance of matrices whose rows are normalised, over their rows.

    A row of a silent channel counts as 0 and takes no gradient. Of rows of norm 1 the squared
    distance is 2 - 2 x cosine, which rounding may take below 0.
    """
    student_BPC: Tensor = torch.linalg.vector_norm(student_BPCC, dim=-1)
    teacher_BPC: Tensor = torch.linalg.vector_norm(teacher_BPCC, dim=-1)
    one_BPC, other_BPC = student_BPC > EPSILON, teacher_BPC > EPSILON
    product_BPC = (student_BPCC * teacher_BPCC).sum(-1) / student_BPC.clamp(min=EPSILON)
    cosine_BPC = product_BPC / teacher_BPC.clamp(min=EPSILON)
    lengths_BPC = one_BPC.to(cosine_BPC.dtype) + other_BPC
    return (lengths_BPC - 2 * cosine_BPC.where(one_BPC & other_BPC, 0)).mean()


class InterChannelCorrelation(Method):
    """Correlations between the channels of one feature, or of the logits (`features`).

    A student of another width goes through a 1x1 convolution without bias, which is applied to the
    Gram matrix instead of to the map: the same value for a fraction of the work. The released code
    has a convolution at any width, and a batch norm after it: `embedding = "normalised"`.
    """

    terms = ("icc",)
    vanishing = ("icc",)

    def __init__(self, values: Hyperparameters, student: Shape, teacher: Shape | None) -> None:
        super().__init__(values, student, teacher)
        require_positive("ickd", values, "grid")
        require_choices("ickd", values, {"features": FEATURES, "embedding": EMBEDDINGS})
        self.embed: nn.Conv2d | None = None
        name, normalised = str(values["features"]), values["embedding"] == "normalised"
        width = wanted = student.num_classes
        if name != "logits":
            width, wanted = channels_of(student, name), channels_of(teacher, name)
        if normalised or width != wanted:
            self.embed = nn.Conv2d(width, wanted, kernel_size=1, bias=False)
        self.norm = nn.BatchNorm2d(wanted) if normalised else None

    def icc(self, step: Step) -> Tensor:
        """Return the distance between the nets' correlations."""
        name, grid = str(self.values["features"]), int(self.values["grid"])
        nets = (step.student, step.teacher_outputs)
        student, teacher = (net.logits if name == "logits" else net.features[name] for net in nets)
        student, teacher = on_one_grid(student, teacher.detach())
        if self.embed is None:
            return icc(student, teacher, grid)
        if self.norm is not None:
            return icc(self.norm(self.embed(student)), teacher, grid)
        weight_CD = self.embed.weight.flatten(1)
        return gram_distance(weight_CD @ gram(student, grid) @ weight_CD.T, gram(teacher, grid))

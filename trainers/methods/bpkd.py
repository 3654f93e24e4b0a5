"""Boundary privileged distillation: the edges of classes are distilled apart from their bodies.

Source: Liu et al., "BPKD: Boundary Privileged Knowledge Distillation for Semantic Segmentation",
WACV 2024 (arXiv 2306.08075). No training code of the authors is public. B images, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional

from trainers.data.dataset import IGNORE
from trainers.errors import MethodError
from trainers.method_api.method import Hyperparameters, Method, Step
from trainers.method_api.value_checks import require_choices, require_positive
from trainers.models.outputs import Shape
from trainers.terms.grid import on_one_grid
from trainers.terms.map_labels import labels_on_map


def class_edges(labels_Bhw: Tensor, num_classes: int, width: int) -> Tensor:
    """Return where each class has its edge, (B, K, h, w) bool.

    The edge of a class is what its dilation has and its erosion has not, by a window of `width` x
    `width`: there both it and another class occur. Ignored positions are neither nor on an edge.
    """
    classes_K11 = torch.arange(num_classes, device=labels_Bhw.device).view(-1, 1, 1)
    own_BKhw = labels_Bhw.unsqueeze(1) == classes_K11
    valid_B1hw = (labels_Bhw != IGNORE).unsqueeze(1)
    return _dilated(own_BKhw, width) & _dilated(valid_B1hw & ~own_BKhw, width) & valid_B1hw


def edge_kl(
    student_BKhw: Tensor, teacher_BKhw: Tensor, edges_BKhw: Tensor, temperature: float = 1.0
) -> Tensor:
    """Return temperature^2 x KL(teacher || student) in nats a position of an edge; 0 if equal.

    Mean over the positions of a class's edge, then over the classes that have one in the image,
    then over images; one without an edge counts as 0.
    """
    logs = [(x / temperature).log_softmax(1) for x in (student_BKhw, teacher_BKhw.detach())]
    divergence_BN1 = (logs[1].exp() * (logs[1] - logs[0])).sum(1).flatten(1).unsqueeze(2)
    edges_BKN = edges_BKhw.flatten(2).to(divergence_BN1.dtype)
    counts_BK = edges_BKN.sum(2)
    means_BK = (edges_BKN @ divergence_BN1).squeeze(2) / counts_BK.clamp(min=1)
    return temperature**2 * (means_BK.sum(1) / (counts_BK > 0).sum(1).clamp(min=1)).mean()


def part_kl(
    student_BKhw: Tensor, teacher_BKhw: Tensor, part_BKhw: Tensor, temperature: float = 1.0
) -> Tensor:
    """Return temperature^2 x KL(teacher || student) in nats a channel over part of its positions.

    Each channel is a distribution over the positions that are its part; mean over channels and
    images, 0 where a channel has no part, and for equal logits.
    """
    lowest = torch.finfo(student_BKhw.dtype).min / 4  # infinity would give NaN without a part
    outside_BKN = ~part_BKhw.flatten(2)
    logs_BKN = [
        (x / temperature)
        .flatten(2)
        .masked_fill(outside_BKN, lowest)
        .log_softmax(2)
        .masked_fill(outside_BKN, 0)
        for x in (student_BKhw, teacher_BKhw.detach())
    ]
    divergence_BK = (logs_BKN[1].exp() * (logs_BKN[1] - logs_BKN[0])).sum(2)
    return temperature**2 * divergence_BK.mean()


class BoundaryPrivilegedDistillation(Method):
    """Classes at each position of edges, shapes of the bodies between them, both on the logits.

    Read from the paper's summary: edges are compared position by position (`edge = "pixel"`), or
    channel by channel as bodies are (`"channel"`); a class's body is all that is not its edge.
    The labels' edges are found at the map's size.
    """

    terms = ("boundary_body",)
    vanishing = ("boundary_body",)

    def __init__(self, values: Hyperparameters, student: Shape, teacher: Shape | None) -> None:
        super().__init__(values, student, teacher)
        require_positive("bpkd", values, "temperature", "edge_width")
        require_choices("bpkd", values, {"edge": ("pixel", "channel")})
        if int(values["edge_width"]) % 2 == 0:
            raise MethodError(f"method bpkd: edge_width must be odd, got {values['edge_width']!r}")

    def boundary_body(self, step: Step) -> Tensor:
        """Return the divergence of the bodies plus `edge_ratio` times that of the edges."""
        teacher_BKhw = step.teacher_outputs.logits.detach()
        logits = on_one_grid(step.student.logits, teacher_BKhw)
        labels_Bhw = labels_on_map(step.labels, logits[0].shape[-2:])
        width = int(self.values["edge_width"])
        edges_BKhw = class_edges(labels_Bhw, self.student_shape.num_classes, width)
        temperature = float(self.values["temperature"])
        body = part_kl(logits[0], logits[1], ~edges_BKhw, temperature)
        compare = edge_kl if self.values["edge"] == "pixel" else part_kl
        edge = compare(logits[0], logits[1], edges_BKhw, temperature)
        return body + float(self.values["edge_ratio"]) * edge


def _dilated(mask_BKhw: Tensor, width: int) -> Tensor:
    return functional.max_pool2d(mask_BKhw.float(), width, stride=1, padding=width // 2) > 0

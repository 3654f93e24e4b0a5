"""A critic that tells a teacher's maps of logits from a student's, and the losses around it.

Source: Liu et al., "Structured Knowledge Distillation for Semantic Segmentation", CVPR 2019, and
its code, https://github.com/irfanICMLL/structure_knowledge_distillation. B images, K classes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional
from torch.nn.utils.parametrizations import spectral_norm
from torch.optim import SGD, Adam

from trainers.method_api.method import AuxiliaryModule, Hyperparameters, Step
from trainers.terms.grid import on_one_grid

CHOICES = {"critic_loss": ("wgan-gp", "hinge"), "critic_optimizer": ("sgd", "adam")}
WIDTHS = (64, 128, 256, 512)  # channels after each of the critic's halvings
LEAST_SIZE = 4 * 2 ** len(WIDTHS)  # leaves the last convolution the 4x4 positions that it covers


class Critic(nn.Module):
    """Logits (B, K, h, w) to one score an image (B,): high for a teacher's, low for a student's.

    Four strided convolutions under spectral normalisation, attention after the last two, over
    logits normalised per class by the batch. Paper and code differ: the paper's critic also sees
    the image, the code's, and this one, the logits alone. Two departures let any size of map do:
    maps under 64 positions a side are padded with zeros, larger ones have their scores averaged.
    At the code's 65x65 it is the code's. Spectral norms are estimated anew in training mode only.
    """

    def __init__(self, num_classes: int) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(num_classes, 1, 1))
        self.shift = nn.Parameter(torch.zeros(num_classes, 1, 1))
        layers: list[nn.Module] = []
        incoming = num_classes
        for number, width in enumerate(WIDTHS):
            layers.append(spectral_norm(nn.Conv2d(incoming, width, 4, stride=2, padding=1)))
            layers.append(nn.LeakyReLU(0.1))
            if number >= 2:
                layers.append(SelfAttention(width))
            incoming = width
        self.layers = nn.Sequential(*layers)
        self.score = nn.Conv2d(incoming, 1, 4)

    def forward(self, logits_BKhw: Tensor) -> Tensor:
        """Return the scores (B,)."""
        variance, mean = torch.var_mean(logits_BKhw, (0, 2, 3), correction=0, keepdim=True)
        normal_BKhw = (logits_BKhw - mean) * (variance + 1e-5).rsqrt() * self.scale + self.shift
        maps: Tensor = self.layers(_padded(normal_BKhw))
        scores_B1hw: Tensor = self.score(maps)
        return scores_B1hw.mean((1, 2, 3))


class SelfAttention(nn.Module):
    """A map (B, C, h, w) plus what attention over all its positions adds, at first nothing."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.query = nn.Conv2d(channels, channels // 8, 1)
        self.key = nn.Conv2d(channels, channels // 8, 1)
        self.value = nn.Conv2d(channels, channels, 1)
        self.share = nn.Parameter(torch.zeros(1))

    def forward(self, maps: Tensor) -> Tensor:
        """Return the map with attention added, (B, C, h, w)."""
        query, key, value = (x(maps).flatten(2) for x in (self.query, self.key, self.value))
        attention_BNN = (query.transpose(1, 2) @ key).softmax(-1)
        added: Tensor = self.share * (value @ attention_BNN.transpose(1, 2)).view_as(maps)
        return maps + added


def holistic(critic: Critic, student_BKhw: Tensor, teacher_BKhw: Tensor) -> Tensor:
    """Return minus the student's mean score; no gradient reaches the critic or the teacher.

    It has no zero: scores are compared, not measured. The teacher's logits give the size alone.
    """
    student_BKhw, _ = on_one_grid(student_BKhw, teacher_BKhw.detach())
    critic.eval()
    held = {name: parameter.detach() for name, parameter in critic.named_parameters()}
    scores_B: Tensor = functional_call(critic, held, (student_BKhw,))
    return -scores_B.mean()


def critic_loss(critic: Critic, step: Step, values: Hyperparameters) -> Tensor:
    """Return the critic's own loss, weighted by `critic_weight`; the student gets no gradient.

    The gradient penalty, published with the form `wgan-gp` alone, is taken at one random mixture
    of teacher and student an image.
    """
    logits = (step.student.logits.detach(), step.teacher_outputs.logits.detach())
    student_BKhw, teacher_BKhw = on_one_grid(*logits)
    critic.train()
    real_B, fake_B = critic(teacher_BKhw), critic(student_BKhw)
    loss: Tensor = separation(real_B, fake_B, str(values["critic_loss"]))
    if values["critic_loss"] == "wgan-gp":
        share = torch.rand_like(real_B).view(-1, 1, 1, 1)
        mixed_BKhw = torch.lerp(student_BKhw, teacher_BKhw, share)
        loss = loss + float(values["gradient_penalty"]) * gradient_penalty(critic, mixed_BKhw)
    return float(values["critic_weight"]) * loss


def separation(real_B: Tensor, fake_B: Tensor, form: str = "wgan-gp") -> Tensor:
    """Return how badly scores separate the teacher's (real) from the student's (fake)."""
    if form == "hinge":
        return (1 - real_B).relu().mean() + (1 + fake_B).relu().mean()
    return fake_B.mean() - real_B.mean()


def gradient_penalty(critic: Critic, mixed_BKhw: Tensor) -> Tensor:
    """Return the mean over images of (length of the score's gradient - 1)^2, differentiable."""
    mixed_BKhw = mixed_BKhw.detach().requires_grad_()
    total: Tensor = critic(mixed_BKhw).sum()
    (slope_BKhw,) = torch.autograd.grad(total, mixed_BKhw, create_graph=True)
    lengths_B: Tensor = torch.linalg.vector_norm(slope_BKhw.flatten(1), dim=1)
    return (lengths_B - 1).square().mean()


def critic_module(critic: Critic, values: Hyperparameters) -> AuxiliaryModule:
    """Return the critic with its optimiser; its rate decays as the student's, as in both codes.

    SGD has momentum 0.9 and weight decay 5e-4 (SKD's script), Adam betas 0.9 and 0.99 (IFVD).
    """
    rate = float(values["critic_learning_rate"])
    parameters = critic.parameters()
    if values["critic_optimizer"] == "adam":
        return AuxiliaryModule(
            module=critic, optimizer=Adam(parameters, lr=rate, betas=(0.9, 0.99)), decays=True
        )
    sgd = SGD(parameters, lr=rate, momentum=0.9, weight_decay=5e-4)
    return AuxiliaryModule(module=critic, optimizer=sgd, decays=True)


def _padded(maps: Tensor) -> Tensor:
    """Return maps with zeros around them, so that no side is under the least."""
    missing = [max(0, LEAST_SIZE - side) for side in maps.shape[:1:-1]]
    if not any(missing):
        return maps
    sides = [part for lack in missing for part in (lack // 2, lack - lack // 2)]
    return functional.pad(maps, sides)

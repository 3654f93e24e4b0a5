"""Pair-wise distillation: how alike the parts of an image are, in the student and the teacher.

Source: Liu et al., "Structured Knowledge Distillation for Semantic Segmentation", CVPR 2019, and
its code, https://github.com/irfanICMLL/structure_knowledge_distillation. N nodes, C, D channels.
"""

from __future__ import annotations

from torch import Tensor
from torch.nn import functional

from trainers.terms.grid import on_one_grid


def pairwise(
    student_BChw: Tensor, teacher_BDhw: Tensor, pooling: float = 0.5, norm: str = "held"
) -> Tensor:
    """Return the mean squared difference of cosines over all pairs of nodes and images; 0 if equal.

    Nodes are max-pooled: `pooling` under 1 is a share of the map (0.5, released, leaves 2x2 nodes,
    at odd sizes 3x3), from 1 on a number of positions (1: each is a node, 2: CIRKD's port). The
    released code lets no gradient through a node's length (`held`); the port does (`through`). A
    node of zeros is like nothing and gets no more gradient than others. Maps of two sizes are
    compared at the larger.
    """
    maps = on_one_grid(student_BChw, teacher_BDhw.detach())
    student_BNC, teacher_BND = (_nodes(map_, pooling, norm) for map_ in maps)
    num_pairs = student_BNC.shape[0] * student_BNC.shape[1] ** 2
    if student_BNC.shape[1] <= student_BNC.shape[2] + teacher_BND.shape[2]:
        cosines_BNN = student_BNC @ student_BNC.transpose(1, 2)
        return functional.mse_loss(cosines_BNN, teacher_BND @ teacher_BND.transpose(1, 2))
    return _difference_of_products(student_BNC, teacher_BND) / num_pairs


def _nodes(maps: Tensor, pooling: float, norm: str) -> Tensor:
    """Return nodes (B, N, C) of length 1."""
    kernel = [max(1, int(side * pooling if pooling < 1 else pooling)) for side in maps.shape[2:]]
    kernel = [min(size, side) for size, side in zip(kernel, maps.shape[2:], strict=True)]
    pooled = (
        functional.max_pool2d(maps, kernel, kernel, ceil_mode=True) if max(kernel) > 1 else maps
    )
    nodes_BNC = pooled.flatten(2).transpose(1, 2)
    squares_BN1 = nodes_BNC.square().sum(2, keepdim=True)
    lengths_BN1 = squares_BN1.where(squares_BN1 > 0, 1).sqrt() + 1e-8
    return nodes_BNC / (lengths_BN1.detach() if norm == "held" else lengths_BN1)


def _difference_of_products(first_BNC: Tensor, second_BND: Tensor) -> Tensor:
    """Return the sum of squares of F F' - S S', without a matrix of N x N.

    It is |F'F|^2 - 2 |F'S|^2 + |S'S|^2, matrices of the channels; in float64, for the three
    nearly cancel.
    """
    first, second = first_BNC.double(), second_BND.double()
    own, other = first.transpose(1, 2) @ first, second.transpose(1, 2) @ second
    cross = first.transpose(1, 2) @ second
    total = own.square().sum() - 2 * cross.square().sum() + other.square().sum()
    return total.to(first_BNC.dtype)

"""Comparing how student and teacher relate vectors to one another, without holding all relations.

R rows are compared with M columns; C and D are the channels of student and teacher. The R x M
similarities are made some rows at a time and forgotten: the gradient is computed together with the
value, so memory grows with R + M instead of R x M, and no product is computed twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd import Function
from torch.autograd.function import once_differentiable

CHUNK_CPU = 2**20  # similarities at a time: few enough to stay near the processor
CHUNK_CUDA = 2**23  # enough work for each kernel


def unit(vectors: Tensor, dim: int) -> Tensor:
    """Return the vectors along `dim` at length 1; those of less than 1e-6 as they are.

    Thus zeros, which a narrow feature has after its ReLU, get a gradient like others; divided by
    1e-6 they would have one of a million times as much.
    """
    lengths: Tensor = torch.linalg.vector_norm(vectors, dim=dim, keepdim=True)
    return vectors / lengths.where(lengths >= 1e-6, 1)


def similarity_kl(  # noqa: PLR0913
    student: tuple[Tensor, Tensor],
    teacher: tuple[Tensor, Tensor],
    weights_R: Tensor,
    temperature: float,
    blocks: int = 1,
    present_M: Tensor | None = None,
) -> Tensor:
    """Return sum over rows of weight x KL(teacher || student) in nats, mean over blocks of columns.

    Each of `student` and `teacher` is (rows, columns), (R, C) and (M, C) or (R, D) and (M, D). The
    distributions are the softmax of row times column / temperature over each of `blocks` equal
    blocks of columns. Columns where `present_M` is false have no share in it. The gradient goes to
    the student's rows and columns; it has no second derivative.
    """
    absent_M = None if present_M is None else ~present_M
    value: Tensor = _SimilarityKL.apply(
        *student, *teacher, weights_R, absent_M, temperature, blocks
    )
    return value


class _SimilarityKL(Function):
    """The divergence and its gradient, chunk by chunk of rows."""

    @staticmethod
    def forward(  # noqa: PLR0913, PLR0917
        ctx: Any,
        rows_RC: Tensor,
        columns_MC: Tensor,
        teacher_rows_RD: Tensor,
        teacher_columns_MD: Tensor,
        weights_R: Tensor,
        absent_M: Tensor | None,
        temperature: float,
        blocks: int,
    ) -> Tensor:
        of_rows, of_columns = ctx.needs_input_grad[:2]
        gradient_RC = torch.zeros_like(rows_RC) if of_rows else None
        gradient_MC = torch.zeros_like(columns_MC) if of_columns else None
        value = rows_RC.new_zeros(())
        for part, block in _tiles(len(rows_RC), len(columns_MC) // blocks, blocks, rows_RC.is_cuda):
            absent = None if absent_M is None else absent_M[block]
            logs = _log_shares(rows_RC[part], columns_MC[block], absent, temperature)
            teacher_logs = _log_shares(
                teacher_rows_RD[part], teacher_columns_MD[block], absent, temperature
            )
            weights = weights_R[part] / blocks
            shares = teacher_logs.exp()
            value += weights @ teacher_logs.sub_(logs).mul_(shares).sum(1)
            if gradient_RC is None and gradient_MC is None:
                continue
            slope = logs.exp_().sub_(shares).mul_(weights[:, None] / temperature)
            if gradient_RC is not None:
                gradient_RC[part].addmm_(slope, columns_MC[block])
            if gradient_MC is not None:
                gradient_MC[block].addmm_(slope.T, rows_RC[part])
        ctx.save_for_backward(gradient_RC, gradient_MC)
        return value

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        own = (None if slope is None else gradient * slope for slope in ctx.saved_tensors)
        return (*own, None, None, None, None, None, None)


def _tiles(
    num_rows: int, block_size: int, blocks: int, on_gpu: bool
) -> Iterator[tuple[slice, slice]]:
    """Yield rows and columns of one chunk after another."""
    size = max(1, (CHUNK_CUDA if on_gpu else CHUNK_CPU) // block_size)
    for first in range(0, blocks * block_size, block_size):
        for start in range(0, num_rows, size):
            yield slice(start, start + size), slice(first, first + block_size)


def _log_shares(rows: Tensor, columns: Tensor, absent: Tensor | None, temperature: float) -> Tensor:
    """Return log-probabilities (rows, columns) of the similarities of some rows and columns."""
    similarities = torch.mm(rows / temperature, columns.T)
    if absent is not None:
        # a finite number: where all columns are absent, infinity would give NaN
        similarities.masked_fill_(absent, -1e5)
    return similarities.log_softmax(1)

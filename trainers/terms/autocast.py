"""The precision of the nets, for large learnt parts of methods."""

from __future__ import annotations

import torch
from torch import Tensor


def like_nets(given: Tensor) -> torch.autocast:
    """Return a context in which convolutions of that tensor run as those of a net: mind the dtype.

    That is bfloat16 on a GPU, where float32 would take some ten times as long, and no change
    elsewhere. Terms are left outside: their sums need the full mantissa, so results are to be cast
    back to the tensor's dtype.
    """
    return torch.autocast("cuda", torch.bfloat16, enabled=given.is_cuda)

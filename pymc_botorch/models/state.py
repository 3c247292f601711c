"""Arrays by name come in, one tensor of bytes goes out, and the way back.

A single tensor is what BoTorch's rollback context and ``torch.load`` with its safe default both take; a dict or NumPy arrays
are not.
"""

__all__ = ["pack", "unpack"]

import io
from collections.abc import Mapping

import numpy as np
import torch
from torch import Tensor


def pack(arrays: Mapping[str, np.ndarray]) -> Tensor:
    """Return the arrays as a ``uint8`` tensor (NumPy's npz format)."""
    buffer = io.BytesIO()
    np.savez(buffer, allow_pickle=False, **arrays)
    return torch.frombuffer(bytearray(buffer.getvalue()), dtype=torch.uint8)


def unpack(state: Tensor) -> dict[str, np.ndarray]:
    """Return the arrays that :func:`pack` was given."""
    with np.load(io.BytesIO(state.cpu().numpy().tobytes()), allow_pickle=False) as arrays:
        return dict(arrays)

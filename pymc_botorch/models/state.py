"""Arrays by name come in, one tensor of bytes goes out, and the way back.

A single tensor is what BoTorch's rollback context and ``torch.load`` with its safe default both take; a dict or NumPy arrays
are not.
"""

__all__ = ["pack", "unchanged_on_error", "unpack"]

import copy
import io
from collections.abc import Iterator, Mapping
from contextlib import contextmanager

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


@contextmanager
def unchanged_on_error(module: torch.nn.Module) -> Iterator[None]:
    """Give a module back all that it had if the block fails."""
    attributes = dict(module.__dict__)
    modules = {name: child for name, child in module._modules.items() if child is not None}
    states = {name: copy.deepcopy(child.state_dict()) for name, child in modules.items()}
    try:
        yield
    except BaseException:  # an interrupt, too
        module.__dict__.clear()
        module.__dict__.update({**attributes, "_modules": modules})
        for name, state in states.items():
            modules[name].load_state_dict(state)
        raise

"""Hyperparameters of a model as its tables and figures show them."""

__all__ = ["entry", "hyperparameters_of"]

from collections.abc import Sequence

import numpy as np

from pymc_botorch.models.state import State


def hyperparameters_of(state: State) -> dict[str, np.ndarray]:
    """Return draws ``S x ...`` by name, without those of the function: of a latent gp, and of derivatives that have signs."""
    signs = state.fitted.graph.signs
    hidden = {state.fitted.graph.latent, None if signs is None else signs.name}
    return {name: draws for name, draws in state.parameters.items() if name not in hidden and draws.size}


def entry(state: State, name: str, index: tuple[int, ...], columns: Sequence[str]) -> str:
    """Return the name of an entry of a hyperparameter.

    Along each of its dimensions it is that of the PyMC model's coords, else that of the column of the inputs where there is an
    entry for each, else the position.

    Args:
        state: That of the model.
        name: Name of the hyperparameter.
        index: The entry.
        columns: Names of the inputs; ``x0``, ``x1`` and so on are none.
    """
    columns = () if tuple(columns) == tuple(f"x{i}" for i in range(len(columns))) else columns
    shape = state.parameters[name].shape[1:]
    if not index:
        return name
    along = state.names.entries.get(name, (None,) * len(shape) if len(shape) == 1 else ((),) * len(shape))
    labels = []
    for i, size, own in zip(index, shape, along, strict=True):
        known = columns if own is None else own
        labels.append(known[i] if len(known) == size else str(i))
    return f"{name}[{', '.join(labels)}]"

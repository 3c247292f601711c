"""Known sds in the noise of training observations: the arrays that are in the units of the outcome."""

__all__ = ["with_noise_scaled"]

import warnings
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from pytensor.graph.basic import Variable
from pytensor.graph.traversal import ancestors
from pytensor.tensor.subtensor import AdvancedSubtensor, Subtensor

from pymc_botorch.errors import PACKAGE_FOLDER
from pymc_botorch.graph.traversal import descendants, nodes_between
from pymc_botorch.inference.fitted import FittedGP


def with_noise_scaled(fitted: FittedGP, factor: float) -> FittedGP:
    """Return the gp with the known sds of its observations multiplied: they are in the units of the outcome.

    Of a gp that a builder made these are the sds that it was given; what it writes itself is in the units of the gp. Of another
    gp they are arrays of one sd or variance for each observation that the noise has the units of, or, if there are no parameters
    in the noise, a table that it is looked up in. A table times a parameter holds multipliers.

    Warns:
        UserWarning: If the noise is a parameter times an array, either of which can have the units of the outcome.
    """
    powers = dict.fromkeys((name for name, role in fitted.roles.items() if role == "sigma"), 1)
    if factor != 1.0 and not fitted.is_built:
        powers |= {"sigma": 1} if fitted.data.get("sigma", np.zeros(())).ndim else _known_noise(fitted)
    return replace(fitted, data=_scaled(fitted.data, powers, factor))


def _known_noise(fitted: FittedGP) -> dict[str, int]:
    """Return those arrays in the noise of a gp fitted in PyMC that are sds (1) or variances (2) in the units of its outcome."""
    graph = fitted.graph
    within = set(ancestors([graph.noise]))
    parameters = dict.fromkeys((name for name, symbol in graph.parameters.items() if symbol in within), 1)
    arrays = [
        name
        for name, symbol in graph.data.items()
        if name not in fitted.roles and symbol in within and fitted.data[name].ndim == 1 and fitted.data[name].dtype.kind == "f"
    ]
    n = len(fitted.X)
    each = [name for name in arrays if len(fitted.data[name]) == n and not _is_table(graph.data[name], graph.noise)]
    tables = [] if parameters else [name for name in arrays if name not in each]
    groups = [group for group in (each, *([name] for name in each), tables, *([name] for name in tables)) if group]
    candidates = [dict.fromkeys(group, power) for group in groups for power in (1, 2)]
    for known in candidates:
        if _is_proportional(fitted, known, parameters):
            return known
    for known in candidates:
        if _is_proportional(fitted, known, {}):
            warnings.warn(
                f"The noise is a known array times parameters ({', '.join(parameters)}), either of which may have the units of "
                "the outcome; the array was taken for known sds, and scaled as the outcome was. If it holds multipliers, look "
                "them up in the PyMC model instead, pt.as_tensor(multipliers)[index], which says so.",
                UserWarning,
                skip_file_prefixes=(PACKAGE_FOLDER,),
            )
            return known
    return {}


def _is_proportional(fitted: FittedGP, data: Mapping[str, int], parameters: Mapping[str, int]) -> bool:
    """Return whether the noise is doubled by doubling these data and parameters, to these powers, all at once."""
    twice = replace(fitted, data=_scaled(fitted.data, data, 2.0), draws=_scaled(fitted.draws, parameters, 2.0))
    noise = fitted.noise(0)
    return bool((noise > 0).all()) and np.allclose(twice.noise(0), 2 * noise, rtol=1e-9, atol=0)


def _scaled(values: Mapping[str, np.ndarray], powers: Mapping[str, int], factor: float) -> dict[str, np.ndarray]:
    return {**values, **{name: factor**power * values[name] for name, power in powers.items()}}


def _is_table(symbol: Variable, noise: Variable) -> bool:
    """Return whether ``noise`` takes numbers from an array by an index."""
    taken = descendants([symbol], [noise])
    return any(isinstance(node.op, AdvancedSubtensor | Subtensor) and node.inputs[0] in taken for node in nodes_between([noise]))

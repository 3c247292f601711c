"""Memory of the points that a strategy of Ax has fitted, from which later fits start."""

__all__ = ["WarmStarts"]

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from ax.core.generator_run import GeneratorRun
from ax.generation_strategy.generation_node import GenerationNode
from ax.storage.json_store.registry import CORE_DECODER_REGISTRY


@dataclass
class WarmStarts:
    """Memory of the fitted points by metric, from which fits to more observations start.

    It is part of a strategy and stored with it. For each metric it keeps the fits to the largest numbers of observations so
    far, and the first fit to each number. So predictions, cross-validation and analyses of a running client change nothing, and
    a strategy that was stored, loaded and continued goes on as if it had not been stopped. (After a reload Ax has no model, so
    an analysis between new data and the next trial causes a fit that would not have happened otherwise; it is kept, too.)

    Attributes:
        fits: The last two fits for each metric: the number of observations ``n``, and the point.

    Example:
        >>> from pymc_botorch.ax import WarmStarts
        >>> memory = WarmStarts()
        >>> memory.remember("clover", 8, {"reach": 40.0})
        >>> memory.before("clover", 12)
        {'reach': array(40.)}
    """

    fits: dict[str, list[dict[str, Any]]] = field(default_factory=dict)

    def __deepcopy__(self, memo: dict) -> Self:
        """Return the memory itself, as Ax copies options for each model; in a copy of a strategy or client, an empty one."""
        in_strategy = any(isinstance(copied, GenerationNode | GeneratorRun) for copied in list(memo.values()))
        return type(self)() if in_strategy else self

    def before(self, metric: str, n: int) -> dict[str, np.ndarray] | None:
        """Return the point fitted to the most observations below ``n``, or None."""
        earlier = [fit["point"] for fit in self.fits.get(metric, []) if fit["n"] < n]
        return {name: np.asarray(value) for name, value in earlier[-1].items()} if earlier else None

    def remember(self, metric: str, n: int, point: Mapping[str, np.ndarray]) -> None:
        """Keep a fitted point if it has more observations than those before."""
        fits = self.fits.get(metric, [])
        if not fits or n > fits[-1]["n"]:
            point = {name: np.asarray(value).tolist() for name, value in point.items()}
            self.fits[metric] = [*fits, {"n": n, "point": point}][-2:]

    def forget(self, metric: str) -> None:
        """Forget the fits for a metric, which a search space or a class that has changed can't start from."""
        self.fits.pop(metric, None)


CORE_DECODER_REGISTRY[WarmStarts.__name__] = WarmStarts

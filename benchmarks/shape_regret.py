"""Simple regret of a dose trial with a price: a surrogate that knows that the yield rises against the same one that does not.

The yield rises and saturates; profit is yield less a price for each unit of dose, so that the best dose is inside. Five plots,
then four seasons of two, chosen by ``qLogExpectedImprovement`` of the profit among 101 doses; at the end the dose whose expected
profit is largest is recommended. Both surrogates see the same first plots and the same noise.
"""

from typing import NamedTuple

import numpy as np
import torch
from botorch.acquisition import qLogExpectedImprovement
from botorch.acquisition.objective import GenericMCObjective
from botorch.optim import optimize_acqf_discrete
from botorch.sampling import SobolQMCNormalSampler
from shape_cases import GRID, PlainGP, RisingGP, mean_of
from torch import Tensor

FIRST, SEASONS, BATCH, NOISE, PRICE = 5, 4, 2, 0.1, 0.5
KINDS = (RisingGP, PlainGP)


class Regrets(NamedTuple):
    """Simple regret after the first plots and after each season, of the surrogate that knows and of the one that does not."""

    knowing: list[float]
    plain: list[float]


def expected_yield(x: np.ndarray) -> np.ndarray:
    """Return a yield that rises and saturates."""
    return 1 - np.exp(-5 * x)


def campaign(seed: int) -> Regrets:
    """Run both surrogates on the same field."""
    return Regrets(*(_regrets(kind, seed) for kind in KINDS))


def _regrets(kind: type[RisingGP] | type[PlainGP], seed: int) -> list[float]:
    rng = np.random.default_rng([19, seed])
    first = rng.integers(0, len(GRID), FIRST)
    noise = NOISE * rng.normal(size=FIRST + BATCH * SEASONS)
    grid, profit = torch.from_numpy(GRID), expected_yield(GRID[:, 0]) - PRICE * GRID[:, 0]
    chosen, regrets = grid[first], []
    for season in range(SEASONS + 1):
        x = chosen[:, 0].numpy()
        Y = torch.from_numpy(expected_yield(x) + noise[: len(x)]).unsqueeze(-1)
        model = _fitted(kind, chosen, Y, seed)
        recommended = int((mean_of(model, GRID) - PRICE * GRID[:, 0]).argmax())
        regrets.append(float(profit.max() - profit[recommended]))
        if season < SEASONS:
            acqf = qLogExpectedImprovement(
                model,
                best_f=float((Y - PRICE * chosen).max()),
                sampler=SobolQMCNormalSampler(torch.Size([64]), seed=seed),
                objective=GenericMCObjective(_profit),
            )
            best, _ = optimize_acqf_discrete(acqf, q=BATCH, choices=grid, unique=False)
            chosen = torch.cat([chosen, best])
    return regrets


def _fitted(kind: type[RisingGP] | type[PlainGP], X: Tensor, Y: Tensor, seed: int) -> RisingGP | PlainGP:
    model = kind(X, Y)
    return model.fit(seed=seed, progressbar=False) if isinstance(model, RisingGP) else model.fit(seed=seed)


def _profit(samples: Tensor, X: Tensor | None = None) -> Tensor:
    assert X is not None
    price = PRICE * X[..., 0]  # b x q
    return samples[..., 0] - (price.unsqueeze(-2) if samples.ndim > X.ndim + 1 else price)  # an ensemble's: ... x b x S x q

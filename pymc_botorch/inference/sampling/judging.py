"""Judgement of chains: by their hyperparameters, and where these do not pass, by what they predict."""

__all__ = ["MAX_R_HAT", "Judged", "in_words", "judge"]

from typing import NamedTuple

import numpy as np

from pymc_botorch.inference.fit.density import Density
from pymc_botorch.inference.sampling.methods.convergence import Convergence, of_hyperparameters, of_predictions
from pymc_botorch.inference.sampling.methods.importance import MIN_EFFECTIVE_SIZE

MAX_R_HAT = 1.05
"""R-hat above which chains, or runs, have not mixed well enough."""


class Judged(NamedTuple):
    """Diagnostics of chains, and what they say.

    Attributes:
        own: Those of the hyperparameters.
        of_predictions: Those of what predictions depend on, where the former do not pass and the latter could be computed.
        remark: What was wrong with the former, then.
    """

    own: Convergence
    of_predictions: Convergence | None
    remark: str = ""

    @property
    def decisive(self) -> Convergence:
        """Those of predictions, where they were looked at."""
        return self.of_predictions or self.own

    @property
    def problems(self) -> list[str]:
        """Which of them are not as they should be."""
        return _problems(self.decisive)

    @property
    def efficiency(self) -> float:
        """Effective sample size over the number of draws."""
        ess, count = self.decisive.ess, self.decisive.num_draws
        return float(np.clip(ess / count, 1e-3, 1.0)) if np.isfinite(ess) else 1.0

    def within(self, chains: Convergence) -> "Judged":
        """Return the same with no more effective draws than short chains have, whose R-hat says nothing."""
        share = min(chains.ess / chains.num_draws, 1.0) if np.isfinite(chains.ess) else 1.0

        def limited(one: Convergence) -> Convergence:
            return one._replace(ess=min(one.ess, share * one.num_draws))

        predicted = self.of_predictions
        return self._replace(own=limited(self.own), of_predictions=None if predicted is None else limited(predicted))


def judge(density: Density, chains: np.ndarray, log_density: np.ndarray) -> Judged:
    """Judge chains ``chain x draw x D`` by their hyperparameters, and where these do not pass, by their predictions."""
    own = of_hyperparameters(chains)
    if problems := _problems(own):
        predicted = of_predictions(density, chains, log_density)
        if predicted is not None:
            return Judged(own, predicted, f" (of hyperparameters, {in_words(problems)})")
    return Judged(own, None)


def _problems(convergence: Convergence) -> list[str]:
    """Return which diagnostics of chains are not as they should be."""
    problems = []
    if convergence.r_hat is not None and not convergence.r_hat <= MAX_R_HAT:
        problems.append(f"R-hat is {convergence.r_hat:.2f}")
    if not convergence.ess >= MIN_EFFECTIVE_SIZE:
        problems.append(f"the smallest effective sample size is {convergence.ess:.0f} of {convergence.num_draws} draws")
    return problems


def in_words(problems: list[str]) -> str | None:
    """Return the problems as one text, None where there are none."""
    return " and ".join(problems) or None

"""Ensembles whose draws of the hyperparameters a fit takes from their posterior."""

__all__ = ["SIXTEEN", "AbstractSampledEnsemble", "most_draws"]

import inspect
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch

from pymc_botorch.config import config
from pymc_botorch.errors import DataError
from pymc_botorch.inference.arviz_data import stack_draws
from pymc_botorch.inference.build import BuiltGP
from pymc_botorch.inference.fitted import FittedGP
from pymc_botorch.inference.sampling.fitting import fit_draws
from pymc_botorch.inference.sampling.idata import SampleRecord
from pymc_botorch.inference.sampling.options import Method, PointMethod, read_options
from pymc_botorch.inference.sampling.thinning import choose
from pymc_botorch.inference.training_data import TrainingData
from pymc_botorch.models.builder import AbstractBuiltGP
from pymc_botorch.models.ensemble import AbstractEnsemble
from pymc_botorch.models.errors import botorch_errors
from pymc_botorch.models.shape.drawing import NUM_DRAWS, NUM_POINTS, redrawn, with_signs
from pymc_botorch.models.shape.fitting import fit_at_point
from pymc_botorch.models.shape.mixin import ShapeMixin
from pymc_botorch.models.state import State
from pymc_botorch.models.warm_start import check_warm_start, read_warm_start


class _Default(int):
    """A default number, which is told apart from the same number passed by a user."""


SIXTEEN = _Default(16)
"""BoTorch's number of draws; where each carries a function, the default is larger."""


def _kept(num_draws: int | None) -> int:
    """Return how many draws that carry a function are kept."""
    return NUM_DRAWS if num_draws is None or isinstance(num_draws, _Default) else int(num_draws)


def most_draws(idata: Any, num_draws: int | None) -> int | None:
    """Return how many draws of derivatives that carry a function are kept by default, of those that there are."""
    stacked = stack_draws(idata)
    if not isinstance(num_draws, _Default) or stacked is None:
        return num_draws
    return min(NUM_DRAWS, max(stacked.count, 1))


class AbstractSampledEnsemble(ShapeMixin, AbstractEnsemble):
    """An ensemble that is fitted by draws: by the method that can be trusted first, or by one of the user's choice."""

    def fit(
        self,
        method: Method | PointMethod = "auto",
        warm_start: AbstractBuiltGP | Mapping[str, Any] | None = None,
        *,
        num_draws: int | None = SIXTEEN,
        draws: int = 500,
        tune: int = 500,
        chains: int = 4,
        target_accept: float = 0.8,
        num_proposals: int = 4000,
        num_starts: int = 5,
        maxiter: int = 500,
        seed: int | None = None,
        max_seconds: float | None = None,
        strict: bool = False,
        progressbar: bool = True,
    ) -> Self:
        """Draw the hyperparameters from their posterior.

        ``"auto"`` goes from cheap to sure, and takes the first method whose own diagnostics pass:

        1. the draws of ``warm_start`` with the weights that the new data give them;
        2. importance sampling from a mixture that adapts to the posterior, begun at the modes that climbs have found; with up to
           200 observations scouts (a small tempered population) look for others;
        3. tempered sequential Monte Carlo, four runs that check each other, first short, then long;
        4. NUTS, which comes before 3. where there are more than 12 parameters.

        Weights pass where Pareto's k is below ``min(1 - 1 / log10(S), 0.7)`` and there are 400 effective draws (of a warm start
        600: new ones cost a second), and where the scouts had time; chains and runs where R-hat is at most 1.05, there are 400
        effective draws, NUTS had no divergence, and the sd between log evidences of SMC's runs is at most 0.5. Where nothing
        passes within ``max_seconds``, the best draws so far are the model, ``fit_result.trusted`` is False, and a warning gives
        the diagnostics that failed. No diagnostic sees a mode that nothing has found.

        Of a gp whose derivatives have signs, ``"auto"`` is ``"map"``: the maximum a posteriori without signs, and draws of the
        derivatives at the sites given it. ``"joint"`` is the same at the maximum of the joint density of outcomes and signs,
        which takes more of the ups and downs of the data for noise. The other methods draw hyperparameters given the outcomes,
        and derivatives given both.

        A method of your choice is the only one that is tried, and takes the time that it takes. ``"nuts"`` is nutpie's sampler
        where nutpie is installed, and samples the density that was compiled for this builder once; else PyMC's, which compiles
        at each call. ``"laplace"`` weighs draws from Student-t distributions at the modes.

        Args:
            method: ``"auto"``, ``"importance"``, ``"smc"``, ``"nuts"`` or ``"laplace"``; of a gp with signs also ``"map"`` and
                ``"joint"``.
            warm_start: An earlier fit of the same model: ``"auto"`` weighs its draws anew, as they were first made, round after
                round; importance sampling, chains and climbs begin at some of them. Or a fitted ``PyMCGP`` or a point, to begin
                at.
            num_draws: How many draws the model keeps: 16, or 128 where each carries derivatives with signs. A few (up to 64; of
                many observations up to 16) are chosen so that their moments are close to those of all draws; more are evenly
                spaced along their weights, and repeated where there are fewer. None keeps as many as are effective, which may be
                thousands. 16 is BoTorch's number. The factors of the first GB of them are kept.
            draws: NUTS draws per chain after tuning.
            tune: NUTS tuning steps per chain.
            chains: Number of NUTS chains.
            target_accept: Target acceptance rate of NUTS.
            num_proposals: Number of draws of Laplace's method, from 100 up.
            num_starts: Number of optimisations that look for modes: from the warm start, the mode of the prior, prior draws.
            maxiter: Maximum number of iterations of each optimisation.
            seed: Random seed; None takes one from torch's global generator.
            max_seconds: Budget of ``"auto"``; None is 60 s. Fits of up to 100 observations mostly take one to five. A fit ends
                soon after it: at most one evaluation later, or one short climb where there was time for nothing. Only then do
                the draws depend on the speed of the machine.
            strict: Whether draws that would come with a warning are an error instead.
            progressbar: Whether to show what is being done, in fits of more than two seconds.

        Returns:
            The model, in evaluation mode. ``fit_result`` says what was done and by which numbers; ``idata`` has all draws.

        Raises:
            InputDataError: If ``build_gp`` does not fit the data, or the warm start not the model; if options are not numbers of
                their kind.
            ModelFittingError: If no start has a finite density, or the method of your choice gives no draws; with ``strict``,
                where there would be a warning. The model is left as it was, also by an interrupt.
            UnsupportedError: If the model was made by :meth:`from_fitted` or conditioned on more observations.

        Warns:
            FitWarning: If the draws should not be trusted as they are, with the numbers; if the data contradict the priors.

        Example:
            >>> import torch
            >>> from pymc_botorch import FullyBayesianPyMCGP
            >>> X = torch.linspace(0, 1, 8, dtype=torch.double).unsqueeze(-1)
            >>> model = FullyBayesianPyMCGP(X, (6 * X).sin()).fit(seed=1)
            >>> [attempt.method for attempt in model.fit_result.attempts], model.num_mcmc_samples
            (['importance'], 16)
        """
        self._check_not_given_more()
        seed = int(torch.randint(2**31 - 1, ())) if seed is None else seed
        with botorch_errors():
            options = read_options(
                method,
                num_draws=num_draws,
                draws=draws,
                tune=tune,
                chains=chains,
                target_accept=target_accept,
                progressbar=progressbar,
                num_proposals=num_proposals,
                num_starts=num_starts,
                maxiter=maxiter,
                seed=seed,
                max_seconds=max_seconds,
                strict=strict,
            )
            check_warm_start(warm_start, "an earlier fit of the same model, a fitted PyMCGP", AbstractBuiltGP)
        with botorch_errors():
            built, data = self._build()
            has_signs = built.function.graph.signs is not None
            if has_signs and (method == "auto" or method == "map" or method == "joint"):
                at_point = fit_at_point(
                    built,
                    data,
                    method="joint" if method == "joint" else "map",
                    warm_start=warm_start.point if isinstance(warm_start, AbstractBuiltGP) else warm_start,
                    options=options,
                    num_draws=_kept(num_draws),
                    owner=self._owner_of_priors,
                )
                state = self._conditioned(built, data, at_point.draws, at_point.size)
                self._replace_state(replace(state, result=at_point.result))
                return self.eval()
            if method == "map" or method == "joint":
                raise DataError(f"method is {method!r}, a point, but the gp has no signs. Pass 'auto', or take a PyMCGP.")
            found, stats, density, result = fit_draws(
                built,
                data,
                method=method,
                warm_start=read_warm_start(warm_start, built.scales.names),
                options=options,
                tier=config.linker,
                owner=self._owner_of_priors,
            )
            is_default = isinstance(num_draws, _Default)
            if has_signs and is_default:
                num_draws = NUM_POINTS
            kept = choose(density, found, max(int(found.effective_size), 1) if num_draws is None else int(num_draws))
            points = [density.constrained(u) for u in found.unconstrained[kept]]
            stacked = {name: np.stack([point[name] for point in points]) for name in points[0]}
            count = len(points)
            if has_signs:
                given = built.given(data, stacked, count)[0]
                stacked, count, report = with_signs(given, stacked, num_draws=NUM_DRAWS if is_default else count, seed=seed)
                result = replace(result, slopes=report)
            state = self._conditioned(built, data, stacked, count)
            self._replace_state(replace(state, result=result, sample=SampleRecord(found, stats, data, result)))
        return self.eval()

    def _conditioned(self, built: BuiltGP, data: TrainingData, draws: Mapping[str, np.ndarray], num_draws: int) -> State:
        """Return the state of what was built with these draws; derivatives that have signs are drawn if they are not there."""
        signs = built.function.graph.signs
        if signs is not None and signs.name not in draws:
            draws, num_draws, _ = with_signs(built.given(data, draws, num_draws)[0], draws, num_draws=NUM_DRAWS, seed=0)
        return super()._conditioned(built, data, draws, num_draws)

    def _moved(self, fitted: FittedGP) -> FittedGP:
        """Return the gp given other data, with derivatives drawn given these."""
        return redrawn(fitted)

    @classmethod
    def check_fit_options(cls, **options: Any) -> None:
        """Refuse options of :meth:`fit` that it would refuse, without data.

        Raises:
            InputDataError: If one can not be used.
        """
        given, own = inspect.signature(AbstractSampledEnsemble.fit).parameters, inspect.signature(cls.fit).parameters
        defaults = {name: own.get(name, given[name]).default for name in given if name not in ("self", "warm_start")}
        chosen = {name: options.get(name, default) for name, default in defaults.items()}
        with botorch_errors():
            read_options(**{**chosen, "seed": 0 if chosen["seed"] is None else chosen["seed"]})

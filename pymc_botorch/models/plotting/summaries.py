"""What figures show of a model: the mean and an interval of its function at points, and its observations."""

__all__ = ["Band", "band", "band_of", "check_level", "draws_of_functions", "mixture_of", "observations", "one_data_set"]

from typing import NamedTuple

import torch
from botorch.posteriors import GPyTorchPosterior
from botorch.posteriors.fully_bayesian import GaussianMixturePosterior
from gpytorch.distributions import MultivariateNormal
from linear_operator.operators import DiagLinearOperator
from torch import Tensor
from torch.distributions import Normal

from pymc_botorch.models.contract import AbstractPyMCGP
from pymc_botorch.models.errors import InvalidDataError, UnsupportedModelError
from pymc_botorch.models.state import State, TrainingTensors

DATA = "raw_X", "inputs", "targets"
NUM_SAMPLES = 4000
"""Number of samples that quantiles are of, where an outcome transform is not linear."""


class Band(NamedTuple):
    """Mean, sd and a central interval at ``n`` points, each ``n``."""

    mean: Tensor
    sd: Tensor
    lower: Tensor
    upper: Tensor


def check_level(level: float) -> None:
    """Raise unless a level is a probability."""
    if not 0 < level < 1:
        raise InvalidDataError(f"level is {level}. Pass a probability between 0 and 1, such as 0.95.")


def band(model: AbstractPyMCGP, X: Tensor, level: float, *, observation_noise: bool = False) -> Band:
    """Return mean, sd and central interval of a model's function at the rows of ``X``, over draws those of the mixture."""
    with torch.no_grad():
        posterior = model.posterior(X, observation_noise=observation_noise)
        if isinstance(posterior, GPyTorchPosterior):
            found = band_of(posterior, level)
        else:
            samples = _samples_of_each(model, X, observation_noise=observation_noise)
            ends = torch.quantile(samples, torch.tensor([0.5 - level / 2, 0.5 + level / 2], dtype=samples.dtype), dim=0)
            found = Band(samples.mean(0), samples.std(0), *ends)
    if len(found.mean) != len(X):
        raise UnsupportedModelError("The input transform makes several points of one. Pass a model without perturbations.")
    return found


def band_of(posterior: GPyTorchPosterior, level: float) -> Band:
    """Return the same of a normal distribution or a mixture of them at ``n`` points."""
    ends = torch.tensor([0.5 - level / 2, 0.5 + level / 2], dtype=torch.float64)
    if isinstance(posterior, GaussianMixturePosterior):
        mean, sd = posterior.mixture_mean, posterior.mixture_variance.clamp_min(0).sqrt()
        lower, upper = (posterior.quantile(end) for end in ends)
    else:
        mean, sd = posterior.mean, posterior.variance.sqrt()
        lower, upper = (Normal(mean, sd).icdf(end) for end in ends)
    return Band(*(part.squeeze(-1) for part in (mean, sd, lower, upper)))


def mixture_of(means: Tensor, sds: Tensor) -> GaussianMixturePosterior:
    """Return normal distributions ``S x n`` side by side as BoTorch's mixture, of which only single points are asked."""
    return GaussianMixturePosterior(MultivariateNormal(means, DiagLinearOperator(sds.square().clamp_min(1e-300))))


def draws_of_functions(model: AbstractPyMCGP, X: Tensor, count: int) -> Tensor:
    """Return draws of the function at the rows of ``X``, ``count x n``, the same each time; of draws as many of each.

    Points are close to each other: the root of their covariance is by eigenvalues, where Cholesky's needs jitter.
    """
    scale = model.outcome_scale
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        _, inputs = model.read_inputs(X)
        normal = model(inputs)  # in the units of the gp; of draws with S in front
        values, vectors = torch.linalg.eigh(normal.covariance_matrix)
        root = vectors * values.clamp_min(0.0).sqrt().unsqueeze(-2)
        standard = torch.randn(-(-count // model.state.fitted.num_draws), *normal.mean.shape, 1, dtype=torch.float64)
        functions = (normal.mean + (root @ standard).squeeze(-1)).reshape(-1, len(X))
        functions = functions[((torch.arange(count) + 0.5) * len(functions) / count).long()]
        if scale.transform is None:
            return scale.offset + scale.scale * functions
        return scale.transform.untransform(functions.unsqueeze(-1), X=inputs)[0].squeeze(-1)


def one_data_set(state: State) -> TrainingTensors | None:
    """Return the training data without the axis of draws; None where there are several, as fantasies have."""
    training = state.training
    if state.batches:
        return None
    if training.raw_X.ndim == 2:
        return training
    shared, parts = training._replace(**{name: getattr(training, name)[0] for name in DATA}), [getattr(training, n) for n in DATA]
    return shared if all(torch.equal(part, part[:1].expand_as(part)) for part in parts) else None


def observations(model: AbstractPyMCGP) -> tuple[Tensor, Tensor] | None:
    """Return training inputs ``n x d`` and outcomes ``n`` in raw units.

    None where they are not the function plus noise: of a latent gp, and of a component, as observations are of the sum.
    """
    state = model.state
    training, scale = one_data_set(state), state.outcome_scale
    if training is None or state.fitted.is_latent or state.fitted.kind == "component":
        return None
    if scale.transform is None:
        return training.raw_X, scale.offset + scale.scale * training.targets
    with torch.no_grad():
        return training.raw_X, scale.transform.untransform(training.targets.unsqueeze(-1), X=training.inputs)[0].squeeze(-1)


def _samples_of_each(model: AbstractPyMCGP, X: Tensor, *, observation_noise: bool) -> Tensor:
    """Return samples at each row of ``X`` by itself, ``(number of samples) x n``, the same each time."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        posterior = model.posterior(X.unsqueeze(-2), observation_noise=observation_noise)
        samples = posterior.rsample(torch.Size([-(-NUM_SAMPLES // model.state.fitted.num_draws)]))
    return samples.reshape(*samples.shape[:2], -1).transpose(1, 2).reshape(-1, samples.shape[1])  # k x n x S at first

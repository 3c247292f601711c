"""BoTorch's acquisition functions, each as a function of models, sampler and data: what the comparison runs on both sides."""

from collections.abc import Callable
from typing import NamedTuple

import torch
from botorch import acquisition as acqf
from botorch.acquisition import logei
from botorch.acquisition import max_value_entropy_search as mes
from botorch.acquisition import multi_objective as mo
from botorch.acquisition.active_learning import PairwiseMCPosteriorVariance, qNegIntegratedPosteriorVariance
from botorch.acquisition.cost_aware import InverseCostWeightedUtility
from botorch.acquisition.joint_entropy_search import qJointEntropySearch
from botorch.acquisition.multi_objective import hypervolume_knowledge_gradient as hvkg
from botorch.acquisition.multi_objective.joint_entropy_search import qLowerBoundMultiObjectiveJointEntropySearch
from botorch.acquisition.multi_objective.logei import qLogExpectedHypervolumeImprovement, qLogNoisyExpectedHypervolumeImprovement
from botorch.acquisition.multi_objective.max_value_entropy_search import qLowerBoundMultiObjectiveMaxValueEntropySearch
from botorch.acquisition.multi_objective.multi_fidelity import MOMF
from botorch.acquisition.multi_objective.parego import qLogNParEGO
from botorch.acquisition.multi_objective.predictive_entropy_search import qMultiObjectivePredictiveEntropySearch
from botorch.acquisition.multi_step_lookahead import qMultiStepLookahead
from botorch.acquisition.objective import GenericMCObjective, LinearMCObjective, ScalarizedPosteriorTransform
from botorch.acquisition.penalized import L2Penalty, PenalizedAcquisitionFunction
from botorch.acquisition.predictive_entropy_search import qPredictiveEntropySearch
from botorch.acquisition.preference import qExpectedUtilityOfBestOption
from botorch.acquisition.prior_guided import PriorGuidedAcquisitionFunction
from botorch.models.deterministic import DeterministicModel, GenericDeterministicModel
from botorch.models.model import Model
from botorch.sampling import ListSampler, SobolQMCNormalSampler
from botorch.utils.multi_objective.box_decompositions.non_dominated import NondominatedPartitioning
from torch import Tensor

BASELINE = torch.rand(8, 2, dtype=torch.double, generator=torch.Generator().manual_seed(7))
CANDIDATES = torch.rand(20, 2, dtype=torch.double, generator=torch.Generator().manual_seed(8))
REFERENCE = torch.tensor([-1.0, -1.0], dtype=torch.double)
OBSERVED = torch.tensor([[0.5, 0.2], [0.1, 0.8], [0.3, 0.3]], dtype=torch.double)
OPTIMA = torch.rand(3, 1, 2, dtype=torch.double, generator=torch.Generator().manual_seed(9))


class Case(NamedTuple):
    """An acquisition function: how it is made, at how many points, and what is known of it.

    Attributes:
        make: A function of a model (of a ``ModelListGP`` where ``outcomes`` is 2).
        q: Points of a batch, fantasy points included.
        outcomes: Number of outcomes of the model.
        value: Tolerance of the value (absolute, or relative where the value is larger than one).
        gradient: Tolerance of the gradient, relative to its largest entry; None where BoTorch's own is wrong or there is none.
        finite_differences: Whether the gradient is judged by finite differences instead (BoTorch's is wrong there).
    """

    make: Callable[[Model], acqf.AcquisitionFunction]
    q: int = 1
    outcomes: int = 1
    value: float = 1e-7
    gradient: float | None = 1e-5
    finite_differences: bool = False


def sampler(n: int = 64) -> SobolQMCNormalSampler:
    """The same base samples on both sides."""
    return SobolQMCNormalSampler(torch.Size([n]), seed=5)


def box() -> NondominatedPartitioning:
    """The region that the observed outcomes dominate, of two outcomes."""
    return NondominatedPartitioning(ref_point=REFERENCE, Y=OBSERVED)


def constant(value: float) -> DeterministicModel:
    """A cost that is the same everywhere."""
    return GenericDeterministicModel(lambda X: torch.full_like(X[..., :1], value))


def project(X: Tensor) -> Tensor:
    """Points at the target fidelity."""
    return torch.cat([X[..., :1], torch.ones_like(X[..., 1:])], dim=-1)


class FirstColumn(torch.nn.Module):
    """A prior over inputs that grows with the first of them."""

    def forward(self, X: Tensor) -> Tensor:
        """Return ``b x q`` weights."""
        return X[..., 0]


def pareto() -> tuple[Tensor, Tensor]:
    """Sampled Pareto sets and fronts of two outcomes, and the boxes they bound."""
    sets = torch.rand(3, 2, 2, dtype=torch.double, generator=torch.Generator().manual_seed(10))
    fronts = torch.tensor([[[0.9, 0.1], [0.2, 1.1]]], dtype=torch.double).expand(3, 2, 2) + sets / 10
    return sets, fronts


def boxes(fronts: Tensor) -> Tensor:
    """Hypercell bounds of sampled Pareto fronts, ``s x 2 x J x m``."""
    from botorch.acquisition.multi_objective.utils import compute_sample_box_decomposition

    return compute_sample_box_decomposition(fronts)


ANALYTIC = {
    "LogExpectedImprovement": Case(lambda m: acqf.LogExpectedImprovement(m, 1.0)),
    "ExpectedImprovement": Case(lambda m: acqf.ExpectedImprovement(m, 1.0)),
    "LogProbabilityOfImprovement": Case(lambda m: acqf.analytic.LogProbabilityOfImprovement(m, 1.0)),
    "ProbabilityOfImprovement": Case(lambda m: acqf.ProbabilityOfImprovement(m, 1.0)),
    "UpperConfidenceBound": Case(lambda m: acqf.UpperConfidenceBound(m, 2.0)),
    "PosteriorMean": Case(acqf.PosteriorMean),
    "PosteriorStandardDeviation": Case(acqf.PosteriorStandardDeviation),
    "ScalarizedPosteriorMean": Case(
        lambda m: acqf.analytic.ScalarizedPosteriorMean(m, torch.tensor([0.3, 0.7], dtype=torch.double)), q=2
    ),
    "qAnalyticProbabilityOfImprovement": Case(lambda m: acqf.analytic.qAnalyticProbabilityOfImprovement(m, 1.0), q=2),
    "ConstrainedExpectedImprovement": Case(
        lambda m: acqf.ConstrainedExpectedImprovement(m, 1.0, 0, {1: [None, 0.5]}), outcomes=2
    ),
    "LogConstrainedExpectedImprovement": Case(
        lambda m: acqf.analytic.LogConstrainedExpectedImprovement(m, 1.0, 0, {1: [None, 0.5]}), outcomes=2
    ),
    "LogProbabilityOfFeasibility": Case(lambda m: acqf.analytic.LogProbabilityOfFeasibility(m, {1: [None, 0.5]}), outcomes=2),
}

MONTE_CARLO = {
    "qExpectedImprovement": Case(lambda m: acqf.qExpectedImprovement(m, 1.0, sampler()), q=3),
    "qLogExpectedImprovement": Case(lambda m: acqf.qLogExpectedImprovement(m, 1.0, sampler()), q=3),
    "qProbabilityOfImprovement": Case(lambda m: acqf.qProbabilityOfImprovement(m, 1.0, sampler()), q=3),
    "qSimpleRegret": Case(lambda m: acqf.qSimpleRegret(m, sampler()), q=3),
    "qUpperConfidenceBound": Case(lambda m: acqf.qUpperConfidenceBound(m, 2.0, sampler()), q=3),
    "qLowerConfidenceBound": Case(lambda m: acqf.monte_carlo.qLowerConfidenceBound(m, 2.0, sampler()), q=3),
    "qPosteriorStandardDeviation": Case(lambda m: acqf.monte_carlo.qPosteriorStandardDeviation(m, sampler()), q=3),
    "qLogProbabilityOfFeasibility": Case(
        lambda m: logei.qLogProbabilityOfFeasibility(m, [lambda Y: Y[..., 0] - 1.0], sampler()), q=3
    ),
    "qNoisyExpectedImprovement": Case(
        lambda m: acqf.qNoisyExpectedImprovement(m, BASELINE, sampler(), prune_baseline=True, cache_root=True), q=2
    ),
    "qLogNoisyExpectedImprovement": Case(
        lambda m: acqf.qLogNoisyExpectedImprovement(m, BASELINE, sampler(), prune_baseline=True, cache_root=True), q=2
    ),
    "qLogNoisyExpectedImprovement, unpruned": Case(
        lambda m: acqf.qLogNoisyExpectedImprovement(m, BASELINE, sampler(), prune_baseline=False, cache_root=True),
        q=2,
        value=1e-6,
        gradient=3e-4,
    ),
    "qLogNoisyExpectedImprovement, 40 points": Case(
        lambda m: acqf.qLogNoisyExpectedImprovement(
            m, torch.cat([CANDIDATES, 1 - CANDIDATES]), sampler(), prune_baseline=False, cache_root=True
        ),
        q=2,
        value=1e-6,
        gradient=3e-4,
    ),
}

LOOK_AHEAD = {
    "qKnowledgeGradient": Case(lambda m: acqf.qKnowledgeGradient(m, sampler=sampler(4), num_fantasies=4), q=6),
    "qKnowledgeGradient, MC objective": Case(
        lambda m: acqf.qKnowledgeGradient(
            m,
            sampler=sampler(4),
            num_fantasies=4,
            objective=GenericMCObjective(lambda Y, X: Y[..., 0]),
            inner_sampler=sampler(16),
        ),
        q=6,
        finite_differences=True,
    ),
    "qMultiFidelityKnowledgeGradient": Case(
        lambda m: acqf.qMultiFidelityKnowledgeGradient(
            m,
            sampler=sampler(4),
            num_fantasies=4,
            current_value=torch.tensor(0.5, dtype=torch.double),
            cost_aware_utility=InverseCostWeightedUtility(constant(2.0)),
            project=project,
        ),
        q=6,
    ),
    "qMultiStepLookahead": Case(
        lambda m: qMultiStepLookahead(m, batch_sizes=[1, 1], samplers=[sampler(2), sampler(2)]),
        q=1 + 2 + 4,
        finite_differences=True,
    ),
    "qHypervolumeKnowledgeGradient": Case(
        lambda m: hvkg.qHypervolumeKnowledgeGradient(
            m,
            ref_point=REFERENCE,
            num_fantasies=2,
            num_pareto=2,
            sampler=ListSampler(sampler(2), sampler(2)),
            inner_sampler=sampler(8),
        ),
        q=1 + 2 * 2,
        outcomes=2,
        finite_differences=True,
    ),
}

ENTROPY = {
    "qMaxValueEntropy": Case(lambda m: mes.qMaxValueEntropy(m, CANDIDATES, num_mv_samples=4)),
    "qLowerBoundMaxValueEntropy": Case(lambda m: mes.qLowerBoundMaxValueEntropy(m, CANDIDATES, num_mv_samples=4)),
    "qLowerBoundMaxValueEntropy, pending points": Case(
        lambda m: mes.qLowerBoundMaxValueEntropy(m, CANDIDATES, num_mv_samples=4, X_pending=BASELINE[:2])
    ),
    "qMultiFidelityMaxValueEntropy": Case(
        lambda m: mes.qMultiFidelityMaxValueEntropy(
            m,
            CANDIDATES,
            num_mv_samples=4,
            cost_aware_utility=InverseCostWeightedUtility(constant(2.0)),
            project=project,
        )
    ),
    "qJointEntropySearch": Case(
        lambda m: qJointEntropySearch(m, OPTIMA.squeeze(1), OPTIMA.sum(-1) + 0.5, condition_noiseless=False, num_samples=8)
    ),
    "qPredictiveEntropySearch": Case(lambda m: qPredictiveEntropySearch(m, OPTIMA.squeeze(1)), gradient=None),
    "qLowerBoundMultiObjectiveJointEntropySearch": Case(
        lambda m: qLowerBoundMultiObjectiveJointEntropySearch(
            m, *pareto(), hypercell_bounds=boxes(pareto()[1]), estimation_type="LB"
        ),
        outcomes=2,
    ),
    "qLowerBoundMultiObjectiveMaxValueEntropySearch": Case(
        lambda m: qLowerBoundMultiObjectiveMaxValueEntropySearch(m, hypercell_bounds=boxes(pareto()[1]), estimation_type="LB"),
        outcomes=2,
    ),
    "qMultiObjectivePredictiveEntropySearch": Case(
        lambda m: qMultiObjectivePredictiveEntropySearch(m, pareto()[0]), outcomes=2, value=3e-5, gradient=None
    ),
}

MULTI_OBJECTIVE = {
    "ExpectedHypervolumeImprovement": Case(lambda m: mo.ExpectedHypervolumeImprovement(m, REFERENCE.tolist(), box()), outcomes=2),
    "qExpectedHypervolumeImprovement": Case(
        lambda m: mo.qExpectedHypervolumeImprovement(m, REFERENCE, box(), sampler()), q=2, outcomes=2
    ),
    "qLogExpectedHypervolumeImprovement": Case(
        lambda m: qLogExpectedHypervolumeImprovement(m, REFERENCE, box(), sampler()), q=2, outcomes=2
    ),
    "qNoisyExpectedHypervolumeImprovement": Case(
        lambda m: mo.qNoisyExpectedHypervolumeImprovement(
            m, REFERENCE, BASELINE, sampler(), prune_baseline=True, cache_root=True
        ),
        q=2,
        outcomes=2,
    ),
    "qLogNoisyExpectedHypervolumeImprovement": Case(
        lambda m: qLogNoisyExpectedHypervolumeImprovement(
            m, REFERENCE, BASELINE, sampler(), prune_baseline=True, cache_root=True
        ),
        q=2,
        outcomes=2,
    ),
    "qLogNParEGO": Case(
        lambda m: qLogNParEGO(
            m, BASELINE, torch.tensor([0.4, 0.6], dtype=torch.double), sampler=sampler(), cache_root=True, prune_baseline=True
        ),
        q=2,
        outcomes=2,
    ),
    "MOMF": Case(lambda m: MOMF(m, REFERENCE, box(), sampler()), q=2, outcomes=2),
    "qLogExpectedImprovement of a sum of outcomes": Case(
        lambda m: acqf.qLogExpectedImprovement(
            m, 1.0, sampler(), objective=LinearMCObjective(torch.tensor([1.0, 0.5], dtype=torch.double))
        ),
        q=2,
        outcomes=2,
    ),
    "LogExpectedImprovement of a sum of outcomes": Case(
        lambda m: acqf.LogExpectedImprovement(
            m, 1.0, posterior_transform=ScalarizedPosteriorTransform(torch.tensor([1.0, 0.5], dtype=torch.double))
        ),
        outcomes=2,
    ),
}

OTHER = {
    "qNegIntegratedPosteriorVariance": Case(
        lambda m: qNegIntegratedPosteriorVariance(m, CANDIDATES), q=2, finite_differences=True
    ),
    "PairwiseMCPosteriorVariance": Case(
        lambda m: PairwiseMCPosteriorVariance(m, GenericMCObjective(lambda Y, X: Y[..., 0]), sampler()), q=2
    ),
    "qExpectedUtilityOfBestOption": Case(lambda m: qExpectedUtilityOfBestOption(m, sampler=sampler()), q=2),
    "ProximalAcquisitionFunction": Case(
        lambda m: acqf.ProximalAcquisitionFunction(acqf.ExpectedImprovement(m, 1.0), torch.tensor([0.5, 0.5], dtype=torch.double))
    ),
    "PriorGuidedAcquisitionFunction": Case(
        lambda m: PriorGuidedAcquisitionFunction(acqf.ExpectedImprovement(m, 1.0), FirstColumn())
    ),
    "PenalizedAcquisitionFunction": Case(
        lambda m: PenalizedAcquisitionFunction(
            acqf.qExpectedImprovement(m, 1.0, sampler()), L2Penalty(torch.tensor([0.5, 0.5], dtype=torch.double)), 0.1
        )
    ),
}
CASES: dict[str, Case] = {**ANALYTIC, **MONTE_CARLO, **LOOK_AHEAD, **ENTROPY, **MULTI_OBJECTIVE, **OTHER}


def build(case: Case, model: Model) -> acqf.AcquisitionFunction:
    """Make the acquisition function, with the same draws on both sides where it draws from torch's generator."""
    with torch.random.fork_rng():
        torch.manual_seed(11)
        return case.make(model)


def inputs(case: Case, batches: int = 3) -> Tensor:
    """The points at which both sides are evaluated."""
    return torch.rand(batches, case.q, 2, dtype=torch.double, generator=torch.Generator().manual_seed(12))


def value_and_gradient(function: acqf.AcquisitionFunction, X: Tensor) -> tuple[Tensor, Tensor]:
    """The values ``b`` and the gradient of their sum."""
    X = X.clone().requires_grad_()
    value = function(X)
    (gradient,) = torch.autograd.grad(value.sum(), X, allow_unused=True)
    return value.detach(), torch.zeros_like(X) if gradient is None else gradient


def finite_differences(function: acqf.AcquisitionFunction, X: Tensor, step: float = 1e-5) -> Tensor:
    """The gradient of the sum of values by central differences of fourth order."""
    gradient = torch.zeros_like(X)
    with torch.no_grad():
        for index in range(X.numel()):
            shift = torch.zeros(X.numel(), dtype=X.dtype)
            shift[index] = step
            shift = shift.view_as(X)
            far, near = (function(X + k * shift).sum() - function(X - k * shift).sum() for k in (2, 1))
            gradient.view(-1)[index] = (8 * near - far) / (12 * step)
    return gradient

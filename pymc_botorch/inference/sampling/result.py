"""Report of a fit by draws."""

__all__ = ["AttemptReport", "SamplingResult"]

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from pymc_botorch.config import Linker
from pymc_botorch.inference.sampling.attempts import Source
from pymc_botorch.inference.sampling.slopes import SlopesReport
from pymc_botorch.inference.table import AbstractReported, Report, seconds_text


class AttemptReport(NamedTuple):
    """One method that was tried.

    Attributes:
        method: The method.
        problem: Which of its diagnostics were not as they should be, or why it gave no draws; None if it passed.
        ess: Effective sample size of its draws; None without draws.
        seconds: Wall time.
        remark: On hyperparameters whose diagnostics did not pass, where those of predictions decided.
    """

    method: Source
    problem: str | None
    ess: float | None
    seconds: float
    remark: str = ""


@dataclass(frozen=True, repr=False)
class SamplingResult(AbstractReported):
    """Report of a fit by draws; it prints as a table.

    Attributes:
        method: Where the draws are from: ``"reweighted"`` draws of the warm start, ``"importance"`` sampling, ``"smc"``,
            ``"nuts"`` or ``"laplace"``.
        attempts: The methods that were tried, in order, each with its diagnostics and seconds.
        k: Pareto's ``k`` of the importance weights, the shape of their tail (None for NUTS and SMC).
        ess: Effective sample size: that of the importance weights, or the smallest over hyperparameters, of bulk and tail, of
            chains and runs.
        r_hat: Largest R-hat over hyperparameters, between the chains of NUTS or the runs of SMC (None of weighted draws).
        ess_of_predictions: Smallest effective sample size over what predictions depend on (the function at training inputs and
            elsewhere, the noise, the log density), of up to 250 draws per chain; None where that of the hyperparameters passes.
        r_hat_of_predictions: Largest R-hat over the same. It decides: a weight and its negative, or two exchangeable components,
            are different hyperparameters of one function.
        divergences: Number of divergences of NUTS after tuning (None for other methods).
        num_draws: Number of draws that ``ess`` is the effective size of.
        log_evidence: Log of the marginal likelihood of the training data as the model sees them (standardised outcomes, unless
            an outcome transform says otherwise), from importance sampling or SMC; None for NUTS. An improper prior (``Flat``)
            counts as a density of one, so that it compares only models with the same improper priors.
        log_evidence_error: Its standard error.
        evaluations: Number of evaluations of the density; PyMC's own sampler, which compiles its own, is not counted.
        seconds: Wall time, compilation included.
        linker: Compiler of the density, ``"numba"`` or ``"numpy"``.
        warning: Text of the warning that the fit gave, or None.
        improper_priors: Names of the hyperparameters with an improper prior.
        slopes: How derivatives with signs were drawn at each draw, where the gp has any.
        prior_quantiles: Share of the prior of each hyperparameter that is below the median of its draws, by name, from 200 draws
            of each; those with improper priors are left out.

    Example:
        >>> import torch
        >>> from pymc_botorch import FullyBayesianPyMCGP
        >>> X = torch.linspace(0, 1, 8, dtype=torch.double).unsqueeze(-1)
        >>> result = FullyBayesianPyMCGP(X, (6 * X).sin()).fit(seed=1).fit_result
        >>> result.trusted, result.reason
        (True, 'importance: passed')
    """

    method: Source
    attempts: tuple[AttemptReport, ...]
    k: float | None
    ess: float
    r_hat: float | None
    ess_of_predictions: float | None
    r_hat_of_predictions: float | None
    divergences: int | None
    num_draws: int
    log_evidence: float | None
    log_evidence_error: float | None
    evaluations: int
    seconds: float
    linker: Linker
    warning: str | None
    improper_priors: tuple[str, ...] = ()
    slopes: SlopesReport | None = None
    prior_quantiles: Mapping[str, np.ndarray] = field(default_factory=dict, compare=False)

    @property
    def trusted(self) -> bool:
        """False where the fit warned: of draws that may not represent the posterior, or of data that contradict the priors."""
        return self.warning is None

    @property
    def reason(self) -> str:
        """Why it was this method: what was tried, and the diagnostics that passed or ruled it out."""
        return "; ".join(f"{one.method}: {one.problem or 'passed'}{one.remark}" for one in self.attempts)

    def report(self) -> Report:
        """Return what a person reads."""
        evidence = self.log_evidence
        rows = {
            "trusted": "yes" if self.trusted else "no",
            "method": self.method,
            "effective draws": f"{self.ess:.0f} of {self.num_draws}",
            "of predictions": self.ess_of_predictions and f"{self.ess_of_predictions:.0f} effective draws",
            "Pareto k": self.k is not None and f"{self.k:.2f}",
            "R-hat": self.r_hat and f"{self.r_hat:.3f}",
            "R-hat of predictions": self.r_hat_of_predictions and f"{self.r_hat_of_predictions:.3f}",
            "divergences": self.divergences is not None and str(self.divergences),
            "log evidence": evidence is not None and f"{evidence:.2f} ± {self.log_evidence_error:.2f}",
            "evaluations": f"{self.evaluations} in {seconds_text(self.seconds)} ({self.linker})",
            "tried": len(self.attempts) > 1 and self.reason,
            "derivatives": self.slopes is not None and self.slopes.text,
            "warning": self.warning,
        }
        return Report("Fit by posterior draws", rows)

"""Comparison of models of the same data: by their evidences, and by their leave-one-out predictions."""

__all__ = ["Candidate", "ComparedModel", "Comparison", "compare_candidates"]

import warnings
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import xarray as xr
from scipy.special import softmax

from pymc_botorch.inference.leave_one_out import reliable_k
from pymc_botorch.inference.sampling.result import SamplingResult
from pymc_botorch.inference.table import grid

if TYPE_CHECKING:
    import pandas as pd  # type: ignore[import-untyped]

HEADER = ("model", "log evidence", "weight", "elpd_loo", "se", "stacking weight", "k too large", "method", "trusted")


class Candidate(NamedTuple):
    """What a model is compared by.

    Attributes:
        log_likelihood: Log density of each observation given the others in each draw of the hyperparameters, ``S x n``.
        result: Report of its fit; None of draws that were not made here.
    """

    log_likelihood: np.ndarray
    result: SamplingResult | None


@dataclass(frozen=True)
class ComparedModel:
    """A model beside others of the same data: an entry of the ``models`` that :func:`pymc_botorch.compare` returns.

    Attributes:
        name: Its name.
        log_evidence: Log of the marginal likelihood of the data, from its fit; None where that gives none, as NUTS does.
        log_evidence_error: Its standard error.
        weight: Posterior probability of the model, all having the same prior probability; None where the evidences of the models
            cannot be compared.
        elpd_loo: Expected log density of new observations, estimated by leaving out each one: the sum over them.
        elpd_loo_se: Its standard error.
        stacking_weight: Weight in the mixture of the models that predicts observations that were left out best.
        unreliable: Number of observations that weights leave out with a Pareto ``k`` that is too large to rely on.
        method: Where its draws are from, as in ``SamplingResult``; ``"pymc"`` where they were not made here.
        trusted: Whether its fit gave no warning; None where it was not fitted here.
    """

    name: str
    log_evidence: float | None
    log_evidence_error: float | None
    weight: float | None
    elpd_loo: float
    elpd_loo_se: float
    stacking_weight: float
    unreliable: int
    method: str
    trusted: bool | None


@dataclass(frozen=True, repr=False)
class Comparison:
    """Models of the same data side by side, the best first; it prints as a table. See :func:`pymc_botorch.compare`.

    Attributes:
        models: The models, by weight, or by ``elpd_loo`` where there are no weights.
        num_observations: Number of observations.
        reason: Why there are no weights by evidence, or None.

    Example:
        >>> from pymc_botorch import ComparedModel, Comparison
        >>> smooth = ComparedModel("smooth", -6.4, 0.1, 0.88, 14.3, 3.5, 1.0, 0, "importance", True)
        >>> rough = ComparedModel("rough", -8.4, 0.1, 0.12, 5.7, 3.0, 0.0, 0, "importance", True)
        >>> comparison = Comparison((smooth, rough), num_observations=15, reason=None)
        >>> print(comparison)
        2 models of 15 observations
          model   log evidence  weight  elpd_loo    se  stacking weight      method  trusted
          smooth  -6.40 ± 0.10    0.88     14.30  3.50             1.00  importance      yes
          rough   -8.40 ± 0.10    0.12      5.70  3.00             0.00  importance      yes
        >>> comparison["rough"].weight, comparison.weights
        (0.12, {'smooth': 0.88, 'rough': 0.12})
    """

    models: tuple[ComparedModel, ...]
    num_observations: int
    reason: str | None

    def __getitem__(self, name: str) -> ComparedModel:
        """Return the model of this name."""
        for model in self.models:
            if model.name == name:
                return model
        raise KeyError(name)

    @property
    def weights(self) -> dict[str, float] | None:
        """Posterior probabilities of the models by name; None where their evidences cannot be compared."""
        if self.reason is not None:
            return None
        return {model.name: float(model.weight) for model in self.models if model.weight is not None}

    @property
    def stacking_weights(self) -> dict[str, float]:
        """Stacking weights by name."""
        return {model.name: model.stacking_weight for model in self.models}

    def to_frame(self) -> "pd.DataFrame":
        """Return a row for each model as a pandas ``DataFrame``, by name."""
        import pandas as pd  # slow to import

        return pd.DataFrame([vars(model) for model in self.models]).set_index("name")

    def __repr__(self) -> str:
        """Return the table."""
        rows = []
        for one in self.models:
            evidence = "" if one.log_evidence is None else f"{one.log_evidence:.2f} ± {one.log_evidence_error:.2f}"
            weight = "" if one.weight is None else f"{one.weight:.2f}"
            loo = f"{one.elpd_loo:.2f}", f"{one.elpd_loo_se:.2f}", f"{one.stacking_weight:.2f}"
            trusted = {True: "yes", False: "no", None: ""}[one.trusted]
            rows.append((one.name, evidence, weight, *loo, str(one.unreliable or ""), one.method, trusted))
        shown = [i for i in range(len(HEADER)) if i == 0 or any(row[i] for row in rows)]
        notes = [] if self.reason is None else [f"No weights by evidence: {self.reason}"]
        title = f"{len(rows)} models of {self.num_observations} observations"
        return grid(title, [HEADER[i] for i in shown], [[row[i] for i in shown] for row in rows], notes)


def compare_candidates(candidates: Mapping[str, Candidate]) -> Comparison:
    """Return the comparison of models of the same data in the same units.

    The leave-one-out density of a gp does not factorise over observations given the hyperparameters; that of one observation
    given the others does the same service: the weights that leave it out are ``1 / p(y_i | y_-i, draw)``, Pareto-smoothed.

    References:
        Bürkner, Gabry & Vehtari (2020), Efficient leave-one-out cross-validation for Bayesian non-factorized normal and
        Student-t models, https://doi.org/10.1007/s00180-020-01045-4. Yao, Vehtari, Simpson & Gelman (2018), Using stacking to
        average Bayesian predictive distributions, https://doi.org/10.1214/17-BA1091
    """
    reason = _why_no_weights(candidates)
    results = {name: one.result for name, one in candidates.items()}
    evidences = {name: None if result is None else result.log_evidence for name, result in results.items()}
    weights: dict[str, Any] = dict.fromkeys(candidates)
    if reason is None:
        weights = dict(zip(candidates, softmax(np.array(list(evidences.values()), dtype=np.float64)).tolist(), strict=True))
    found, stacking = _left_out(candidates)
    models = [
        ComparedModel(
            name,
            evidences[name],
            None if result is None else result.log_evidence_error,
            weights[name],
            float(found[name].elpd),
            float(found[name].se),
            stacking[name],
            int((~(found[name].pareto_k.to_numpy() < reliable_k(len(candidates[name].log_likelihood)))).sum()),
            "pymc" if result is None else result.method,
            None if result is None else result.trusted,
        )
        for name, result in results.items()
    ]
    models.sort(key=lambda one: -(one.elpd_loo if one.weight is None else one.weight))
    return Comparison(tuple(models), next(iter(candidates.values())).log_likelihood.shape[1], reason)


def _why_no_weights(candidates: Mapping[str, Candidate]) -> str | None:
    """Return why the evidences of models cannot be compared, or None if they can be."""
    missing = [
        f"the draws of {name} were not made here" if one.result is None else f"NUTS gives none of {name}"
        for name, one in candidates.items()
        if one.result is None or one.result.log_evidence is None
    ]
    if missing:
        return f"{'; '.join(missing)}."
    improper = {name: one.result.improper_priors for name, one in candidates.items() if one.result is not None}
    if len({frozenset(names) for names in improper.values()}) > 1:
        own = ", ".join(f"{name}: {' and '.join(names) or 'none'}" for name, names in improper.items())
        return f"improper priors have no scale, and the models differ in them ({own})."
    return None


def _left_out(candidates: Mapping[str, Candidate]) -> tuple[dict[str, Any], dict[str, float]]:
    """Return what ArviZ finds of each model by leaving out observations, and the stacking weights."""
    from arviz_stats import compare, loo  # type: ignore[attr-defined]  # documented, but not exported; slow to import

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # of a large k, which the result counts
        found = {name: loo(_datatree(one), pointwise=True, reff=_efficiency(one)) for name, one in candidates.items()}
        table = compare(found, round_to="none")
    return found, {name: float(table.loc[name, "weight"]) for name in candidates}


def _datatree(candidate: Candidate) -> xr.DataTree:
    """Return ArviZ data with the log likelihoods as one chain."""
    variable = xr.Dataset({"y": (("chain", "draw", "obs_id"), candidate.log_likelihood[None])})
    return xr.DataTree.from_dict({"log_likelihood": variable})


def _efficiency(candidate: Candidate) -> float:
    """Return the relative efficiency of the draws: below one where fewer are effective than there are."""
    if candidate.result is None:
        return 1.0
    return float(np.clip(candidate.result.ess / len(candidate.log_likelihood), 0.01, 1.0))

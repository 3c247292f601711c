"""A user's acquisition function, written in PyTensor, on a model of ours."""

__all__ = ["FormulaAcquisitionFunction"]

from typing import Any

import numpy as np
from torch import Tensor

from pymc_botorch.graph.acquisition.own import own_formula, own_score
from pymc_botorch.graph.acquisition.scores import Formula
from pymc_botorch.graph.compiling.functions import Build, making_graphs
from pymc_botorch.graph.posterior.cut import CutPosterior
from pymc_botorch.models.acquisition.compiled import ScoredAcquisitionFunction
from pymc_botorch.models.acquisition.reading import read_model
from pymc_botorch.models.acquisition.scores import Score
from pymc_botorch.models.contract import AbstractPyMCGP
from pymc_botorch.models.errors import InvalidDataError, UnsupportedModelError, botorch_errors


class FormulaAcquisitionFunction(ScoredAcquisitionFunction):
    """An acquisition function that a user wrote in PyTensor, compiled with its gradient.

    It is compiled once for a structure of model and a formula: other data, hyperparameters, values of parameters and numbers of
    points compile nothing. A number in the formula is part of it: pass what changes as a parameter.

    Args:
        model: A fitted ``PyMCGP`` or ``FullyBayesianPyMCGP``.
        formula: Called once as ``formula(mean, sd, X, **parameters)`` with PyTensor variables: posterior mean and standard
            deviation of the function, ``N`` each in the units of the outcome, the points ``N x d`` in raw units, and a scalar,
            vector or matrix for each parameter. It returns ``N`` values, to be maximised, each of which depends on its own row
            only.
        log: Whether values are logarithms, of which the average over draws is ``log mean exp``; else it is the mean.
        **parameters: Numbers, arrays or tensors, without NaN.

    Raises:
        InputDataError: If the formula returns something else, or a parameter is not numeric.
        UnsupportedError: If the model is not ours, or its posterior is not normal.

    Example:
        >>> import torch, pymc_botorch
        >>> from pymc_botorch.acquisition import FormulaAcquisitionFunction, expected_improvement
        >>> def improvement_per_cost(mean, sd, X, best, price):
        ...     return expected_improvement(mean, sd, best) / (20 + price * X[:, 0])
        >>> X = torch.rand(8, 1, dtype=torch.double)  # in 100 kg/ha
        >>> model = pymc_botorch.PyMCGP(X, (3 * X).sin()).fit()
        >>> acqf = FormulaAcquisitionFunction(model, improvement_per_cost, best=0.9, price=120.0)
        >>> acqf(torch.tensor([[[0.4]], [[0.6]]], dtype=torch.double)).shape
        torch.Size([2])
    """

    may_be_nan = True

    def __init__(self, model: AbstractPyMCGP, formula: Formula, *, log: bool = False, **parameters: Any) -> None:
        read_model(model, None)
        super().__init__(model, self._read_score)
        self._arguments = [_array(name, value) for name, value in parameters.items()]
        self._log = log
        ndims = {name: array.ndim for name, array in zip(parameters, self._arguments, strict=True)}
        with botorch_errors(), making_graphs():
            self._formula = own_formula(formula, model.num_inputs, ndims)

    def _read_score(self, q: int) -> Score:
        if q != 1:
            raise UnsupportedModelError(f"A formula is of single points. Pass X of shape ... x 1 x d; its q is {q}.")
        posteriors, scalarized = read_model(self.model, None)
        columns = self.model.num_inputs if "input_transform" in self.model._modules else 0

        def build(with_gradient: bool) -> Build[CutPosterior]:
            return own_score(self._formula, has_raw=columns > 0, with_gradient=with_gradient)

        given = [[*scalarized.units(posterior, 0.0), *self._arguments] for posterior in posteriors]
        return Score(posteriors, build, given, log=self._log, single=True, raw_columns=columns)


def _array(name: str, value: Any) -> np.ndarray:
    """Return the value of a parameter as float64.

    Raises:
        InputDataError: If it is not numeric, or has NaN.
    """
    if isinstance(value, Tensor):
        value = value.detach().cpu().numpy()
    try:
        array = np.array(value, dtype=np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidDataError(f"The parameter {name} is not numeric ({error}). Pass a number, an array or a tensor.") from error
    if np.isnan(array).any():
        raise InvalidDataError(f"The parameter {name} has NaN.")
    return array

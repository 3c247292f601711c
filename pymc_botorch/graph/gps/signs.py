"""Derivatives that have a sign, as a gp and its posterior carry them."""

__all__ = ["Signs", "is_only_marginal", "only_marginal"]

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import NamedTuple

from pytensor.tensor.variable import TensorVariable

from pymc_botorch.graph.gps.derivatives import Derivative

_only_marginal: ContextVar[bool] = ContextVar("only_marginal", default=False)


@contextmanager
def only_marginal() -> Iterator[None]:
    """Build models with the marginal likelihood of the outcomes alone; signs are left to whoever reads the gp."""
    token = _only_marginal.set(True)
    try:
        yield
    finally:
        _only_marginal.reset(token)


def is_only_marginal() -> bool:
    """Return whether models are built so."""
    return _only_marginal.get()


class Signs(NamedTuple):
    """Derivatives with a sign, given the outcomes; all times their sign, so that they are positive.

    Attributes:
        name: Name of the parameter that draws have them by.
        values: Symbol or variable of the model that stands for them, ``M``.
        mean: Their mean given outcomes and measured slopes, ``M``.
        cov: Their covariance, ``M x M``.
        scale: Their prior sds, ``M``.
        nu: Width of the probit, of these.
        sites: Where they are, ``m x d``.
        kinds: Which derivatives, ``k``; those of the first at all sites come first, so that ``M`` is ``k m``.
        indices: Columns that the kernel takes as indices of categories.
    """

    name: str
    values: TensorVariable
    mean: TensorVariable
    cov: TensorVariable
    scale: TensorVariable
    nu: float
    sites: TensorVariable
    kinds: tuple[Derivative, ...]
    indices: tuple[int, ...] = ()

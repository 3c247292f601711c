"""Columns of a builder's inputs by name, checked against the data that a model gets."""

__all__ = ["ColumnsMixin"]

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, TypeVar

from pymc_botorch.models.errors import InvalidDataError
from pymc_botorch.models.training_data import PreparedData

if TYPE_CHECKING:
    import numpy as np
    from pytensor.tensor.variable import TensorVariable
    from torch import Tensor

Matrix = TypeVar("Matrix", "TensorVariable", "Tensor", "np.ndarray")


class ColumnsMixin:
    """Names for the columns of ``X`` in ``build_gp``.

    Example:
        >>> import pymc as pm, torch
        >>> from pymc_botorch import PyMCGP
        >>> class DepthGP(PyMCGP):
        ...     columns = ("nitrogen", "depth")
        ...     def build_gp(self, X, y):
        ...         smooth = pm.gp.cov.Matern52(2, ls=0.3, active_dims=self.active_dims("depth"))
        ...         sigma = 0.1 + 0.2 * self.column(X, "nitrogen")  # more on well-fed plots
        ...         gp = pm.gp.Marginal(cov_func=smooth)
        ...         gp.marginal_likelihood("crop", X, y, sigma=sigma)
        ...         return gp
        >>> DepthGP.active_dims("depth")
        [1]
        >>> DepthGP.column(torch.tensor([[0.0, 2.5], [1.0, 4.0]]), "depth")
        tensor([2.5000, 4.0000])
    """

    columns: ClassVar[Sequence[str] | None] = None
    """Names of the columns of ``X`` as ``build_gp`` gets it, in their order: the constructor refuses inputs with another
    number of columns, and Ax an experiment with other parameters, or in another order. None is no names and no check."""

    _prepared: PreparedData | None

    if TYPE_CHECKING:  # of the models that this is mixed into
        num_inputs = property(lambda self: 0)

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the raw inputs: those of the class, or of the data frame that they were, else ``x0``, ``x1`` and so on."""
        frame = None if self._prepared is None else self._prepared.columns
        for names in (self.columns, frame):
            if names is not None and len(names) == self.num_inputs:
                return tuple(names)
        return tuple(f"x{i}" for i in range(self.num_inputs))

    @property
    def outcome_name(self) -> str:
        """Name of the outcome, where it was a data frame or a series with a name, else ``"outcome"``."""
        name = None if self._prepared is None else self._prepared.outcome
        return "outcome" if name is None else name

    def name_data(self, columns: Sequence[str], outcome: str) -> None:
        """Give the raw inputs and the outcome names, as a data frame would have, for tables and figures."""
        if self._prepared is not None:
            self._prepared = self._prepared._replace(columns=tuple(columns), outcome=outcome)

    @classmethod
    def active_dims(cls, *names: str) -> list[int]:
        """Return the positions of columns, for the ``active_dims`` of a kernel.

        Raises:
            InputDataError: If the class has no column of a name.
        """
        return [cls._position(name) for name in names]

    @classmethod
    def column(cls, X: Matrix, name: str) -> Matrix:
        """Return the column of a name, ``n``, of inputs ``n x d``.

        Raises:
            InputDataError: If the class has no column of this name.
        """
        return X[:, cls._position(name)]

    @classmethod
    def _position(cls, name: str) -> int:
        columns = list(cls.columns or ())
        if name not in columns:
            close = difflib.get_close_matches(str(name), columns, n=1)
            has = f"columns {', '.join(columns)}" if columns else "no columns; write columns = (...) in the class"
            raise InvalidDataError(
                f"{cls.__name__} has no column {name!r}. {f'Did you mean {close[0]!r}?' if close else f'It has {has}.'}"
            )
        return columns.index(name)

    @classmethod
    def _check_columns(cls, d: int) -> None:
        """Raise unless ``columns`` are ``d`` different names, or None."""
        columns = cls.columns
        if columns is None:
            return
        if isinstance(columns, str) or not all(isinstance(name, str) for name in columns) or len(set(columns)) < len(columns):
            raise InvalidDataError(
                f"The columns of {cls.__name__} are {columns!r}. Write a tuple of different names, such as ('nitrogen', 'depth')."
            )
        if len(columns) != d:
            raise InvalidDataError(
                f"{cls.__name__} has {len(columns)} columns ({', '.join(columns)}), but the inputs that build_gp gets have {d}. "
                "Pass these columns in this order, or name all of them."
            )

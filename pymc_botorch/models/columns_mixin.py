"""Columns of a builder's inputs by name, checked against the data that a model gets."""

__all__ = ["ColumnsMixin"]

import difflib
from collections.abc import Sequence
from typing import TYPE_CHECKING, ClassVar, TypeVar

from torch import Tensor

from pymc_botorch.models.errors import InvalidDataError
from pymc_botorch.models.inputs import is_for_predictions
from pymc_botorch.models.state import State
from pymc_botorch.models.tensors import ArrayLike, as_tensor
from pymc_botorch.models.training_data import PreparedData

if TYPE_CHECKING:
    import numpy as np
    from pytensor.tensor.variable import TensorVariable

Matrix = TypeVar("Matrix", "TensorVariable", Tensor, "np.ndarray")


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
    number of columns, and a data frame with other columns or in another order; Ax refuses an experiment with other parameters, or
    in another order. None is no names and no check."""

    _prepared: PreparedData | None
    _state: State | None

    if TYPE_CHECKING:  # of the models that this is mixed into
        num_inputs = property(lambda self: 0)

    @property
    def column_names(self) -> tuple[str, ...]:
        """Names of the raw inputs: those of the class, or of the data frame that they were, else ``x0``, ``x1`` and so on."""
        return self._named_columns or tuple(f"x{i}" for i in range(self.num_inputs))

    @property
    def _named_columns(self) -> tuple[str, ...] | None:
        frame = None if self._prepared is None else self._prepared.columns
        for names in (self.columns, frame):
            if names is not None and len(names) == self.num_inputs:
                return tuple(names)
        return None

    @property
    def outcome_name(self) -> str:
        """Name of the outcome: that of the data frame or series that it was, or of the gp's likelihood, else ``"outcome"``.

        The likelihood is known once the model is fitted; ``"observed"``, which it has in the library's own models, is no name.
        """
        if self._prepared is not None and self._prepared.outcome is not None:
            return self._prepared.outcome
        state = self._state
        return "outcome" if state is None or state.fitted.is_latent else state.names.outcome or "outcome"

    def as_raw_inputs(self, name: str, value: ArrayLike) -> Tensor:
        """Return raw inputs as a tensor, columns of a data frame in the order of the model's where both have names."""
        if isinstance(value, Tensor):
            return value
        partial = is_for_predictions(getattr(self, "input_transform", None))
        return as_tensor(name, value, self._named_columns, some=partial)

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

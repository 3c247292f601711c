"""Sums of gps: one fit has the posterior of the sum and that of each component."""

__all__ = ["ComponentsMixin"]

from abc import abstractmethod
from dataclasses import replace
from typing import Any, Self

from pymc_botorch.inference.components import TOTAL
from pymc_botorch.models.conditioning import with_state
from pymc_botorch.models.errors import InvalidDataError, UnsupportedModelError, botorch_errors
from pymc_botorch.models.state import State, conditioned_state


class ComponentsMixin:
    """The sum and its components, each a model of its own with the hyperparameters of this one."""

    _part: str | None = None
    """Which part of what ``build_gp`` returns the model predicts; None is its first value."""

    @property
    @abstractmethod
    def state(self) -> State:
        """What the model is conditioned on."""

    @property
    def total(self) -> Self:
        """The model of the sum that has the likelihood, at the same hyperparameters: the model itself where that is no component.

        Example:
            >>> import pymc as pm, torch
            >>> from pymc_botorch import PyMCGP
            >>> class Strips(PyMCGP):
            ...     units = "natural"
            ...     def build_gp(self, X, y):
            ...         trend = pm.gp.Marginal(cov_func=pm.gp.cov.Linear(1, c=0.5))
            ...         field = pm.gp.Marginal(cov_func=pm.gp.cov.Matern52(1, ls=pm.LogNormal("reach", -1, 0.5)))
            ...         total = trend + field
            ...         total.marginal_likelihood("observed", X, y, sigma=pm.LogNormal("noise", -2, 1))
            ...         return total, {"trend": trend, "field": field}
            >>> X = torch.linspace(0, 1, 8, dtype=torch.double).unsqueeze(-1)
            >>> model = Strips(X, X + (9 * X).sin()).fit()
            >>> parts = [model.component(name).posterior(X).mean for name in ("trend", "field")]
            >>> torch.allclose(sum(parts), model.total.posterior(X).mean)
            True
        """
        parts = self.state.parts
        if self._part == TOTAL or TOTAL not in parts or self.state.fitted.kind != "component":
            return self
        return self._of_part(TOTAL)

    def component(self, name: str = "gp") -> Self:
        """Return the model of a component of the sum, at the same hyperparameters and given the same observations of the sum.

        It is a model like any other: of the noise-free component, in the units of the outcome (with ``Standardize`` its mean
        includes the mean of the outcome, as that of each component does). Its ``fit`` fits the sum again, for itself alone.

        Args:
            name: As ``build_gp`` returns it, ``(total, {"trend": trend, "field": field})``, or ``given=`` of ``from_fitted``
                names it. The component of ``(gp, {"gp": total})`` is ``"gp"``.

        Raises:
            InputDataError: If there is no component of this name.
            UnsupportedError: If the model was conditioned on more observations.
        """
        names = [part for part in self.state.parts if part != TOTAL]
        if not names:
            raise InvalidDataError(
                f"The model has no component {name!r}: its gp is no sum with named parts. Return (total, {{'trend': trend, "
                "'field': field}) from build_gp, or pass given={'trend': trend, 'field': field} to from_fitted."
            )
        if name not in names:
            raise InvalidDataError(f"There is no component {name!r}. Pass one of {', '.join(map(repr, names))}.")
        return self if name == self._part else self._of_part(name)

    def _of_part(self, name: str) -> Self:
        state = self.state
        if state.is_given_more:
            raise UnsupportedModelError(
                "This model was conditioned on more observations, and their covariance with other parts of the sum is not "
                "computed. Ask the model that it came from, or refit the sum to all data."
            )
        with botorch_errors():
            part = conditioned_state(
                state.part(name),
                state.parts[name][1],
                state.training,
                state.outcome_scale,
                parameters=state.parameters,
                ensemble=state.is_ensemble,
            )
        kept = {name: getattr(state, name) for name in ("result", "sample", "idata", "parts", "names", "is_initial")}
        part = replace(part, **kept)
        view: Any = with_state(self, part)  # type: ignore[type-var]  # it is a module
        view._part = name
        return view

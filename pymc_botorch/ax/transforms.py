"""Ax's transforms of parameters, as priors need them: choices by value or by position, and no scale that nobody asked for."""

__all__ = ["CategoryPositions", "LogOfRanges", "input_transforms"]

from typing import TYPE_CHECKING, Any

from ax.adapter.registry import MBM_X_trans, Mixed_transforms
from ax.adapter.transforms.base import Transform
from ax.adapter.transforms.choice_encode import ChoiceToNumericChoice
from ax.adapter.transforms.log import Log
from ax.core.parameter import ChoiceParameter, Parameter
from ax.core.search_space import SearchSpace
from ax.storage.transform_registry import register_transform

if TYPE_CHECKING:
    from ax.adapter.base import Adapter


class LogOfRanges(Log):
    """Base-10 logarithm of range parameters with ``scaling="log"``; choices stay as they are.

    Ax puts ordered choices (and ranges with a ``step_size``, which are choices to it) on a log scale by itself where their ratios
    are constant or they span two decades, and does not keep whether anybody asked for it. ``Client`` has no way to ask.
    """

    original_values: dict[str, list[Any]]

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        for name in self.original_values:  # of choices
            del self.transform_parameters[name]
        self.original_values = {}


class CategoryPositions(ChoiceToNumericChoice):
    """Positions ``0..k-1`` of choices among their values: of text, booleans, unordered numbers, and of each choice of two values.

    Ax's own transform leaves numbers as they are, and Ax calls each choice of two values ordered, whatever was declared; one that
    is in a parameter constraint must be a quantity. The values are those that were declared, numbers in ascending order, so that
    they have the same positions in each process; values that were only observed come after them.
    """

    def __init__(
        self,
        search_space: SearchSpace,
        experiment_data: Any = None,
        adapter: "Adapter | None" = None,
        config: Any = None,
    ) -> None:
        super().__init__(search_space, experiment_data, adapter, config)
        # Ax gives a transform the space of its model: with all values that were observed, and without constraints
        declared = search_space if adapter is None else adapter._search_space
        constrained = {name for constraint in declared.parameter_constraints for name in constraint.constraint_dict}
        choices = {name: p for name, p in search_space.parameters.items() if isinstance(p, ChoiceParameter) and not p.is_task}
        values = {name: _in_order(declared.parameters.get(name, p), p) for name, p in choices.items()}
        pairs = {name for name in choices if _is_pair(declared.parameters.get(name, choices[name])) and name not in constrained}
        self.categories = {name for name, p in choices.items() if not p.is_ordered} | pairs
        self.encoded_parameters = {
            name: {value: position for position, value in enumerate(values[name])}
            for name, p in choices.items()
            if name in self.categories or not p.is_numeric
        }
        self.encoded_parameters_inverse = {
            name: {position: value for value, position in positions.items()}
            for name, positions in self.encoded_parameters.items()
        }

    def transform_search_space(self, search_space: SearchSpace) -> SearchSpace:
        """Return the space with positions, in which choices of two values are not ordered."""
        transformed = super().transform_search_space(search_space)
        for name in self.categories & transformed.parameters.keys():
            if isinstance(parameter := transformed.parameters[name], ChoiceParameter):
                transformed.parameters[name] = _Category.of(parameter)
        return transformed


class _Category(ChoiceParameter):
    """A choice that is not ordered, also of two values, which Ax's constructor calls ordered."""

    @classmethod
    def of(cls, parameter: ChoiceParameter) -> "_Category":
        return cls(
            parameter.name,
            parameter.parameter_type,
            parameter.values,
            is_ordered=False,
            is_fidelity=parameter.is_fidelity,
            target_value=parameter.target_value,
            sort_values=parameter.sort_values,
            dependents=parameter.dependents if parameter.is_hierarchical else None,
        )

    @property
    def is_ordered(self) -> bool:
        return False

    def clone(self) -> "_Category":
        return self.of(self)


def input_transforms(categories: str, *, natural: bool) -> list[type[Transform]]:
    """Return Ax's transforms of parameters, with those of ours that ``categories`` and units ask for."""
    ours: dict[type[Transform], type[Transform]] = {ChoiceToNumericChoice: CategoryPositions} if categories == "index" else {}
    if natural:
        ours[Log] = LogOfRanges
    return [ours.get(transform, transform) for transform in (Mixed_transforms if categories == "index" else MBM_X_trans)]


def _in_order(declared: Parameter, observed: ChoiceParameter) -> list[Any]:
    values = list(declared.values) if isinstance(declared, ChoiceParameter) else []
    if observed.sort_values:
        values.sort()
    return [*values, *(value for value in observed.values if value not in values)]


def _is_pair(parameter: Parameter) -> bool:
    return isinstance(parameter, ChoiceParameter) and len(parameter.values) == 2


for _transform in (LogOfRanges, CategoryPositions):
    register_transform(_transform)

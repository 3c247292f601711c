"""An analysis card of Ax on the fits of a client's surrogates: which of them can be trusted."""

__all__ = ["FitAnalysis"]

from typing import Any

import pandas as pd  # type: ignore[import-untyped]
from ax.adapter.base import Adapter
from ax.analysis.analysis import Analysis
from ax.analysis.utils import extract_relevant_adapter
from ax.core.analysis_card import AnalysisCard
from ax.core.experiment import Experiment
from ax.exceptions.core import UserInputError
from ax.generation_strategy.generation_strategy import GenerationStrategy
from botorch.models.model import Model

from pymc_botorch.ax.reading import models_of

COLUMNS = (
    "metric",
    "model",
    "method",
    "trusted",
    "effective_draws",
    "num_draws",
    "log_evidence",
    "log_evidence_error",
    "seconds",
    "warning",
)


class FitAnalysis(Analysis):
    """A table of the surrogates that a client fitted last: for each metric the method, whether it is trusted, and why not.

    Example:
        >>> from ax.api.client import Client
        >>> from ax.api.configs import RangeParameterConfig
        >>> from pymc_botorch import PyMCGP, ax
        >>> client = Client(random_seed=0)
        >>> client.configure_experiment([RangeParameterConfig("dose", parameter_type="float", bounds=(0, 160))])
        >>> client.configure_optimization("crop")
        >>> client.set_generation_strategy(ax.generation_strategy(PyMCGP, initialization_budget=2, seed=1))
        >>> for crop in (7.9, 8.4, 8.1):
        ...     ((index, parameters),) = client.get_next_trials(max_trials=1).items()
        ...     _ = client.complete_trial(index, raw_data={"crop": crop})
        >>> (card,) = client.compute_analyses(analyses=[ax.FitAnalysis()], display=False)
        >>> card.title
        'Fits of 1 surrogate: none is doubtful'
        >>> card.df[["metric", "model", "method", "trusted"]].values.tolist()
        [['crop', 'PyMCGP', 'map', True]]
    """

    def validate_applicable_state(
        self,
        experiment: Experiment | None = None,
        generation_strategy: GenerationStrategy | None = None,
        adapter: Adapter | None = None,
    ) -> str | None:
        """Return why there is no fitted surrogate, or None."""
        try:
            models_of(extract_relevant_adapter(experiment, generation_strategy, adapter))
        except UserInputError as error:
            return str(error)
        return None

    def compute(
        self,
        experiment: Experiment | None = None,
        generation_strategy: GenerationStrategy | None = None,
        adapter: Adapter | None = None,
    ) -> AnalysisCard:
        """Return the card; a client that was loaded fits its surrogates first."""
        models = models_of(extract_relevant_adapter(experiment, generation_strategy, adapter))
        table = pd.DataFrame([_row(metric, model) for metric, model in models.items()], columns=COLUMNS)
        doubtful = [row.metric for row in table.itertuples() if row.trusted is False]
        many = f"{len(table)} surrogate{'s' if len(table) > 1 else ''}"
        found = f"{len(doubtful)} {'is' if len(doubtful) == 1 else 'are'}" if doubtful else "none is"
        advice = f"Read the warnings of {', '.join(doubtful)}: they say what to do. " if doubtful else ""
        return self._create_analysis_card(
            title=f"Fits of {many}: {found} doubtful",
            subtitle=f"{advice}Evidences are of outcomes in the units of the model, and compare models of the same data.",
            df=table,
        )


def _row(metric: str, model: Model) -> dict[str, Any]:
    """Return what is known of the fit of a surrogate; of other libraries' models, only their class."""
    result: Any = getattr(model, "fit_result", None)
    found = {
        "method": "method",
        "trusted": "trusted",
        "effective_draws": "ess",
        "num_draws": "num_draws",
        "log_evidence": "log_evidence",
        "log_evidence_error": "log_evidence_error",
        "seconds": "seconds",
        "warning": "warning",
    }
    return {
        "metric": metric,
        "model": type(model).__name__,
        **{column: getattr(result, attribute, None) for column, attribute in found.items()},
    }

"""What a builder may write instead of what NumPy has for arrays: its arguments are symbolic."""

__all__ = ["advice_on_symbols"]

from collections.abc import Iterator
from contextlib import contextmanager

ADVICE = (
    "X, y and sigma are symbolic while build_gp runs: they have no values yet. Write X.type.shape[1] for the number of columns "
    "X.shape[1]; X.shape[0] for len(X), where a symbolic number will do; X.std(axis=0), X.mean(axis=0), X.max(axis=0) or "
    "functions of pytensor.tensor for np.std(X, axis=0) and its like; pt.switch for an if. A column is X[:, 0], or "
    'self.column(X, "nitrogen") where the class says columns = ("nitrogen", ...). Numbers that a prior needs as such, '
    "compute from your arrays outside, and give them to the model as attributes or by a closure."
)


@contextmanager
def advice_on_symbols() -> Iterator[None]:
    """Add what to write instead to an error that a builder raises."""
    try:
        yield
    except Exception as error:
        error.add_note(ADVICE)
        raise

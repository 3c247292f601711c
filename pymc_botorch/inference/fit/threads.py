"""One BLAS thread during fits: for matrices of some hundred rows, several take up to fifty times longer."""

__all__ = ["one_blas_thread"]

from contextlib import AbstractContextManager
from functools import cache

from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]


def one_blas_thread() -> AbstractContextManager[object]:
    """Return a context in which BLAS has one thread."""
    return _libraries().limit(limits=1, user_api="blas")


@cache
def _libraries() -> ThreadpoolController:
    """Return NumPy's and SciPy's libraries; to look for them takes five milliseconds."""
    return ThreadpoolController()

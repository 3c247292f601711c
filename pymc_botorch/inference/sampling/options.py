"""Options of a fit by posterior draws, and their validation."""

__all__ = ["Method", "PointMethod", "SamplingOptions", "check_counts", "read_options"]

from numbers import Integral, Real
from typing import Any, Literal, NamedTuple, get_args

from pymc_botorch.errors import DataError
from pymc_botorch.inference.sampling.methods.nuts import NutsOptions

type Method = Literal["auto", "importance", "smc", "nuts", "laplace"]
type PointMethod = Literal["map", "joint"]
"""Points, of gps whose derivatives have signs."""
METHODS: tuple[str, ...] = get_args(Method.__value__) + get_args(PointMethod.__value__)
MIN_PROPOSALS = 100
"""Smallest ``num_proposals``: the tail of fewer weights says little."""
SECONDS = 60.0
"""Budget of ``"auto"`` where none is given."""


class SamplingOptions(NamedTuple):
    """Options of a fit by posterior draws.

    Attributes:
        nuts: Options of NUTS.
        num_proposals: Number of draws of Laplace's method.
        num_starts: Number of optimisations that look for modes.
        maxiter: Maximum number of L-BFGS-B iterations per optimisation.
        seed: Random seed.
        seconds: Seconds that the fit may take; infinite unless the method is ``"auto"``.
        strict: Whether doubtful draws are an error.
    """

    nuts: NutsOptions
    num_proposals: int
    num_starts: int
    maxiter: int
    seed: int
    seconds: float
    strict: bool


def check_counts(**options: tuple[Any, int]) -> None:
    """Check options that must be whole numbers, each given by name with its smallest value.

    Raises:
        DataError: If an option is not a whole number, or below its smallest value.
    """
    for name, (number, smallest) in options.items():
        if isinstance(number, bool) or not isinstance(number, Integral) or number < smallest:
            raise DataError(f"{name} is {number!r}. Pass a whole number from {smallest} up.")


def read_options(
    method: Any,
    *,
    num_draws: int | None,
    draws: int,
    tune: int,
    chains: int,
    target_accept: Any,
    progressbar: bool,
    num_proposals: int,
    num_starts: int,
    maxiter: int,
    seed: int,
    max_seconds: Any,
    strict: bool,
) -> SamplingOptions:
    """Return validated options; the arguments are those of ``FullyBayesianPyMCGP.fit``.

    Raises:
        DataError: If an option cannot be used.
    """
    check_counts(
        draws=(draws, 1),
        tune=(tune, 0),
        chains=(chains, 1),
        num_proposals=(num_proposals, MIN_PROPOSALS),
        num_starts=(num_starts, 1),
        maxiter=(maxiter, 1),
        num_draws=(1 if num_draws is None else num_draws, 1),
        seed=(seed, 0),
    )
    if method not in METHODS:
        raise DataError(f"method is {method!r}. Pass one of {', '.join(map(repr, METHODS))}.")
    if isinstance(target_accept, bool) or not isinstance(target_accept, Real) or not 0 < float(target_accept) < 1:
        raise DataError(f"target_accept is {target_accept!r}. Pass a number between 0 and 1.")
    if max_seconds is not None:
        if isinstance(max_seconds, bool) or not isinstance(max_seconds, Real) or not float(max_seconds) > 0:
            raise DataError(f"max_seconds is {max_seconds!r}. Pass a positive number of seconds.")
        if method != "auto":
            raise DataError(f"max_seconds is the budget of method='auto', but method is {method!r}. Leave one of them out.")
    if num_draws is not None and method == "nuts" and num_draws > draws * chains:
        raise DataError(f"num_draws is {num_draws}, but {chains} chains have {draws} draws each. Ask for fewer.")
    if num_draws is not None and method == "laplace" and num_draws > num_proposals:
        raise DataError(f"num_draws is {num_draws}, but there are {num_proposals} proposals. Ask for fewer.")
    seconds = float("inf") if method != "auto" else SECONDS if max_seconds is None else float(max_seconds)
    nuts = NutsOptions(int(draws), int(tune), int(chains), float(target_accept), bool(progressbar))
    return SamplingOptions(nuts, int(num_proposals), int(num_starts), int(maxiter), int(seed), seconds, bool(strict))

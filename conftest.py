"""Everything here compiles with the Python linker, ours and PyMC's: a cold Numba compile takes tens of seconds."""

from collections.abc import Iterator

import numpy as np
import pytensor
import pytest
import torch

import pymc_botorch

pymc_botorch.config.linker = "python"  # also for fixtures that live longer than a test
pytensor.config.traceback__limit = 0  # where each variable was made: a sixth of the time that graphs take, and nobody reads it


@pytest.fixture(autouse=True)
def quick_linkers(request: pytest.FixtureRequest) -> Iterator[None]:
    if request.node.get_closest_marker("numba"):
        yield
        return
    with pymc_botorch.config.change_flags(linker="python"), pytensor.config.change_flags(mode="FAST_COMPILE"):
        yield


@pytest.fixture(autouse=True)
def seeded() -> None:
    torch.manual_seed(0)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(20261123)

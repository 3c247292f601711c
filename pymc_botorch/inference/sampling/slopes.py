"""Draws of the derivatives that have signs: how many, and how well they mixed."""

__all__ = ["SlopesReport"]

import math
from typing import NamedTuple


class SlopesReport(NamedTuple):
    """Report of the draws of derivatives at the sites.

    Attributes:
        num_sites: Number of derivatives that have a sign.
        num_draws: Number of draws, of all chains.
        ess: Smallest effective sample size of a derivative, of bulk and tails; NaN where hyperparameters are draws, too.
        r_hat: Largest R-hat of a derivative; None where hyperparameters are draws, too.
        seconds: Wall time.
        log_contradiction: Natural logarithm of the factor by which the outcomes make the signs less probable at the point; below
            zero more. NaN where hyperparameters are draws, too.
    """

    num_sites: int
    num_draws: int
    ess: float
    r_hat: float | None
    seconds: float
    log_contradiction: float = float("nan")

    @property
    def text(self) -> str:
        """The report in a line."""
        mixed = "" if self.r_hat is None else f", effective {self.ess:.0f}, R-hat {self.r_hat:.3f}"
        factor = self.log_contradiction / math.log(10)
        doubt = f"; the outcomes make the signs 1e{factor:.0f} times less probable at this point" if factor > 3 else ""
        return f"{self.num_draws} draws of {self.num_sites} derivatives{mixed}, in {self.seconds:.2g} s{doubt}"

"""The clover campaign of tutorial 5: its model, its field, and a season of plots, where any process can import them."""

import numpy as np
import pymc as pm

import pymc_botorch.ax  # registers the classes below with Ax's storage
from pymc_botorch import FullyBayesianPyMCGP, PyMCGP

FIELD = {"ceiling": 10.54, "lack_p": 0.41, "scale_p": 41.25, "lack_s": 0.57, "scale_s": 17.72}  # fitted in tutorial 2
NOISE = 0.57  # t/ha, sd of a plot, from there too
PRICE_P, PRICE_S = 3.5, 1.0  # $ per kg


class DiminishingReturns(pm.gp.mean.Mean):
    """Yield without fertiliser, and a gain from each that is half reached at the dose ``half``."""

    def __init__(self, base, gain, half):
        self.base, self.gain, self.half = base, gain, half

    def __call__(self, X):
        return self.base + (self.gain * X / (X + self.half)).sum(axis=-1)


class AbstractCloverGP:
    """Yield over phosphorus and sulphur, as in tutorial 2."""

    units = "natural"  # the priors are for kg/ha and t/ha

    def build_gp(self, X, y):
        base = pm.LogNormal("base", np.log(4), 0.4)  # t/ha
        gain = pm.LogNormal("gain", np.log(3), 0.5, dims="feature")  # t/ha, of phosphorus and of sulphur
        half = pm.LogNormal("half", np.log([40, 20]), 0.5, dims="feature")  # kg/ha
        departure = pm.Gamma("departure", alpha=4, beta=4)  # t/ha, sd of the response about the two curves
        reach = pm.LogNormal("reach", np.log([80, 40]), 0.5, dims="feature")  # kg/ha
        noise = pm.LogNormal("noise", np.log(0.4), 0.4)  # t/ha
        gp = pm.gp.Marginal(
            mean_func=DiminishingReturns(base, gain, half), cov_func=departure**2 * pm.gp.cov.Matern52(2, ls=reach)
        )
        gp.marginal_likelihood("yield", X, y, sigma=noise)
        return gp


class CloverGP(AbstractCloverGP, PyMCGP):
    """At the most probable hyperparameters."""


class SampledCloverGP(AbstractCloverGP, FullyBayesianPyMCGP):
    """Over draws of the hyperparameters."""


def true_yield(phosphorus, sulphur):
    """t/ha, without noise."""
    lack_p = FIELD["lack_p"] * np.exp(-phosphorus / FIELD["scale_p"])
    lack_s = FIELD["lack_s"] * np.exp(-sulphur / FIELD["scale_s"])
    return FIELD["ceiling"] * (1 - lack_p) * (1 - lack_s)


def cost(phosphorus, sulphur):
    """$/ha."""
    return PRICE_P * phosphorus + PRICE_S * sulphur


def sow(client, plots):
    """A season: ask Ax for plots, and report the yield and the cost of each."""
    season = {}
    while len(season) < plots:  # Ax may return fewer than it was asked for, as where the first design ends
        season |= client.get_next_trials(max_trials=plots - len(season))
    for index, rates in season.items():
        deviation = NOISE * np.random.default_rng([2026, index]).standard_normal()  # of a plot, in whichever process
        clover, spent = round(true_yield(**rates) + deviation, 3), round(cost(**rates), 3)  # Ax stores ten digits
        client.complete_trial(index, raw_data={"clover": clover, "cost": (spent, 0.0)})

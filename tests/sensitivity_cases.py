"""Model B: a gp in one dimension whose posterior is well identified, with reference numbers to ten digits.

They were computed by JAX and NumPy (quadrature, refits and finite differences), without PyMC or PyTensor.
"""

import numpy as np
import pymc as pm
import torch

from pymc_botorch import PyMCGP

X = np.linspace(0, 10, 10)[:, None]
Y = np.array(
    [
        -0.7318311360952785, -0.570004870828556, -0.14952702671315835, 3.6315945749561522, 8.064930866627284,
        9.932279944385185, 7.677653433809858, 2.5611079942967194, -2.5073056453259426, -5.202742718393319,
    ]
)  # fmt: skip

POINT = {"ell": 3.290781985, "eta": 5.34644051, "sigma": 0.1773347094}  # the MAP, to nine digits


def numbers(text: str) -> np.ndarray:
    return np.array([float(part) for part in text.split()])


ELL = {
    "X": numbers(
        "0.01075428169 -0.04573957603 -0.939747236 0.8320945584 -0.1285742412 -0.008992745583 0.01666756461 -0.1714891781 "
        "0.6240924662 -0.189065894"
    ),
    "y": numbers(
        "0.1097109746 -0.4219138908 0.5196377317 -0.1949611774 0.03994831196 -0.04850173116 0.004173788799 -0.03443741618 "
        "0.1739014165 -0.1267223453"
    ),
}
MEAN_AT_3 = numbers(
    "-0.00941069879 -0.03527494656 -0.7679969923 -3.45589625 0.3249676649 0.002093011526 -0.01492332239 0.00437174712 "
    "0.002325573289 0.0004720119628"
)  # its total derivative in X
CANDIDATE = 5.504291295657  # of expected improvement over the best outcome, in (0, 11)
INFLUENCE = {
    "y": numbers(
        "0.0003545657711 0.0001711356457 -0.01404630041 0.07196815881 -0.2768178064 0.03647496553 0.2360495881 -0.07073839012 "
        "0.02110858157 -0.004443651666"
    ),
    "X": numbers(
        "0.0003509408688 0.0011402046 0.02961274238 -0.2988703419 0.9517795502 -0.2923796541 0.8883321804 -0.3533861481 "
        "0.07903447616 -0.005613950448"
    ),
}


def build(X, y, *, half_cauchy: bool = False):
    if half_cauchy:  # whose density has no maximum: the sd of the noise runs to zero
        ell, eta = pm.InverseGamma("ell", mu=1, sigma=0.6), pm.Exponential("eta", scale=3)
        sigma = pm.HalfCauchy("sigma", 5)
    else:
        ell, eta = pm.LogNormal("ell", np.log(3), 0.4), pm.LogNormal("eta", np.log(6), 0.4)
        sigma = pm.LogNormal("sigma", np.log(0.3), 0.6)
    gp = pm.gp.Marginal(cov_func=eta**2 * pm.gp.cov.Matern52(1, ls=ell))
    gp.marginal_likelihood("observed", X, y, sigma=sigma)
    return gp


def model_b(X: np.ndarray = X, y: np.ndarray = Y, *, as_data: bool = True, half_cauchy: bool = False):
    with pm.Model() as pm_model:
        held = (pm.Data("season", X), pm.Data("yields", y)) if as_data else (X, y)
        gp = build(*held, half_cauchy=half_cauchy)
    return gp, pm_model


class ModelB(PyMCGP):
    units = "natural"

    def build_gp(self, X, y):
        return build(X, y)


def fitted(X: np.ndarray = X, y: np.ndarray = Y) -> ModelB:
    return ModelB(torch.from_numpy(X), torch.from_numpy(y).unsqueeze(-1)).fit()

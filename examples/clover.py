"""From a PyMC GP to the next season's treatments: a clover trial with phosphorus and sulphur.

Data: Sinclair et al. (1994), Proc. N.Z. Grassland Assoc. 56, 13-16: total dry matter, t/ha, means of three replicates.
Run it with ``make demo``; it prints the proposed treatments and writes ``clover.png``.
"""

import matplotlib.pyplot as plt
import numpy as np
import pymc as pm
import torch
from botorch.acquisition import LogExpectedImprovement, qLogExpectedImprovement
from botorch.optim import optimize_acqf

from pymc_botorch import PyMCGP

torch.manual_seed(1994)

P_DOSES = np.array([0, 20, 40, 80, 160])  # phosphorus, kg/ha
S_DOSES = np.array([0, 11.25, 22.5, 45, 90])  # sulphur, kg/ha
YIELDS = np.array(  # t/ha, a row for each dose of sulphur
    [
        [2.70, 3.62, 4.26, 3.54, 4.75],
        [4.91, 5.24, 6.73, 6.38, 6.59],
        [5.54, 7.29, 7.95, 8.02, 9.04],
        [5.51, 7.21, 8.43, 8.71, 10.22],
        [5.77, 7.66, 8.16, 11.18, 10.53],
    ]
)

# The first season: nine of the 25 treatments
X = np.array([(p, s) for s in (0, 22.5, 90) for p in (0, 40, 160)], dtype=float)  # 9 x 2
y = np.array([YIELDS[s == S_DOSES, p == P_DOSES].item() for p, s in X])


# 1. What is known, in PyMC and in the units of the trial
class CloverTrial(PyMCGP):
    """Yield of clover over phosphorus and sulphur."""

    units = "natural"

    def build_gp(self, X, y):
        """Return the gp, given treatments and yields."""
        reach = pm.LogNormal("reach", mu=np.log([80, 40]), sigma=0.5, shape=2)  # kg/ha over which the response changes
        mean_yield = pm.Normal("mean_yield", mu=6, sigma=2)  # t/ha
        response = pm.Gamma("response", alpha=4, beta=1.5)  # t/ha, sd of the response about its mean
        noise = pm.LogNormal("noise", mu=np.log(0.4), sigma=0.4)  # t/ha, sd of a treatment mean; never zero
        gp = pm.gp.Marginal(
            mean_func=pm.gp.mean.Constant(mean_yield),
            cov_func=response**2 * pm.gp.cov.Matern52(2, ls=reach),
        )
        gp.marginal_likelihood("yield", X, y, sigma=noise)
        return gp


# 2. It is a BoTorch model: fitted in milliseconds, also next season, with more plots ...
model = CloverTrial(torch.from_numpy(X), torch.from_numpy(y).unsqueeze(-1)).fit()

# 3. ... so BoTorch chooses the next four treatments
best = float(y.max())
bounds = torch.tensor([[0.0, 0.0], [160.0, 90.0]], dtype=torch.double)
treatments, _ = optimize_acqf(qLogExpectedImprovement(model, best_f=best), bounds, q=4, num_restarts=8, raw_samples=128)

treatments = treatments[treatments[:, 0].argsort()]
posterior = model.posterior(treatments)
improvement = LogExpectedImprovement(model, best_f=best)(treatments.unsqueeze(1)).exp()
print(f"Best of the first season: {best:.2f} t/ha. Fitted noise: {model.point['noise']:.2f} t/ha.\n")
print("Second season   P kg/ha   S kg/ha   predicted t/ha     sd   expected improvement")
for i, ((p, s), mean, sd, gain) in enumerate(
    zip(treatments, posterior.mean, posterior.variance.sqrt(), improvement, strict=True), start=1
):
    print(f"treatment {i}    {p:8.0f}  {s:8.0f}  {mean.item():15.2f}  {sd.item():5.2f}  {gain:21.2f}")

# 4. A picture: what the model believes, where the trial was, where it goes next
p_grid, s_grid = np.meshgrid(np.linspace(0, 160, 81), np.linspace(0, 90, 61))
grid = torch.from_numpy(np.column_stack([p_grid.ravel(), s_grid.ravel()]))
with torch.no_grad():
    field = model.posterior(grid)
panels = {"Posterior mean, t/ha": field.mean, "Posterior sd, t/ha": field.variance.sqrt()}
figure, axes = plt.subplots(1, 2, figsize=(10, 4.2), layout="constrained", sharey=True)
for axis, (title, values) in zip(axes, panels.items(), strict=True):
    contours = axis.contourf(p_grid, s_grid, values.numpy().reshape(p_grid.shape), levels=12, cmap="viridis")
    figure.colorbar(contours, ax=axis)
    axis.plot(*X.T, "o", color="white", markeredgecolor="black", label="first season", clip_on=False, zorder=3)
    axis.plot(*treatments.T, "X", color="crimson", markeredgecolor="white", ms=11, label="proposed", clip_on=False, zorder=3)
    axis.set(title=title, xlabel="phosphorus, kg/ha")
axes[0].set_ylabel("sulphur, kg/ha")
figure.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=2, frameon=False)
figure.savefig("clover.png", dpi=120)
print("\nWrote clover.png")

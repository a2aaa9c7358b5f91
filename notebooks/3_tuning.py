# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Tuning by gradient
#
# The closed-form risk is differentiable, and so is a simulation with common random numbers. Find
# penalties and budgets by descent.

# %%
import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import jaxbrain as jb

jax.config.update("jax_enable_x64", True)
model = jb.presets.small(task_snr=1.0)
problem = model.problem()

# %% [markdown]
# There are three objectives for one penalty: the closed form, a simulation, and leave-one-out on
# one dataset of 100 labels.

# %%
basis = jb.encode(*model.sample_brain(jax.random.key(0), 400), rank=6)
inputs, targets = model.sample_task(jax.random.key(1), 100)
objectives = {
    "closed form": jb.ClosedFormRisk(problem, 400, 100, estimator="befs"),
    "simulation": jb.MonteCarloRisk(problem, 400, 100, trials=50, key=jax.random.key(2)),
    "leave one out": jb.LeaveOneOut(inputs, targets, basis),
}
figure, axes = plt.subplots(1, 3, figsize=(9, 3), layout="constrained")
penalties = np.geomspace(0.1, 1e3, 40)
for panel, (name, objective) in zip(axes, objectives.items(), strict=True):
    tuned = jb.tune_penalty(objective)
    panel.plot(penalties, jax.lax.map(objective, jnp.asarray(penalties)))
    panel.axvline(float(tuned.penalty), color="black", lw=0.8)
    panel.set(xscale="log", title=name, xlabel="penalty")
    penalty, steps = float(tuned.penalty), int(tuned.steps)
    print(f"{name}: {penalty:.2f} in {steps} steps, converged {bool(tuned.converged)}")

# %% [markdown]
# The best penalty of the closed form is known: λ* = σ²(d − k)/(n_task E‖K̂β‖²). How far is the
# descent from it?

# %%
exact = jb.optimal_penalty(problem, 400, 100)
print(float(jb.tune_penalty(objectives["closed form"]).penalty / exact - 1))

# %% [markdown]
# Split one budget between two ways of recording and labels:

# %%
scanner = jb.Modality(
    jb.Problem.isotropic(400, 40, task_snr=0.1, misalignment=0.1, encoding_noise=0.5), 1.0
)
cap = jb.Modality(
    jb.Problem.isotropic(400, 10, task_snr=0.1, misalignment=0.4, encoding_noise=1.0), 0.2
)
for budget in (1_000, 5_000, 20_000):
    plan = jb.tune_allocation({"fMRI": scanner, "EEG": cap}, budget=budget, cost_task=1.0)
    amounts = {name: int(n) for name, n in plan.n_brain.items()}
    print(f"budget {budget}: {amounts}, {int(plan.n_task)} labels, risk {float(plan.risk):.3f}")

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
# # Planning a budget, three modalities
#
# EEG is cheap and coarse, fMRI in between, intracranial recordings dear and clean. Which should
# be bought beside labels depends on the budget. The numbers of the shipped example are
# illustrative: put in your own.

# %%
import tomllib

import jax
import matplotlib.pyplot as plt
import numpy as np

import jaxbrain as jb
from jaxbrain.cli import main

example = "../docs/examples/modalities.toml"
main(["plan", example])

# %% [markdown]
# With less money, and with more:

# %%
main(["plan", example, "--budget", "15000"])

# %%
main(["plan", example, "--budget", "200000"])

# %% [markdown]
# What each modality alone saves, over the budget, in closed form:

# %%
jax.config.update("jax_enable_x64", True)
with open(example, "rb") as file:
    config = tomllib.load(file)
budgets = np.geomspace(8_000, 1e6, 40)
figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
for name, one in config["modality"].items():
    m = one["misalignment"]
    k = one["latent_dim"]
    problem = jb.Problem(
        input_dim=config["input_dim"],
        latent_dim=k,
        recording_dim=one["recording_dim"],
        latent_noise=one["latent_noise"],
        recording_noise=one["recording_noise"],
        gain=one["gain"],
        aligned_power=np.full(k, (1 - m) / k),
        misaligned_power=m,
        task_noise=1 / config["task_snr"],
    )
    modality = jb.Modality(
        problem, one["cost_hour"] / one["samples_per_hour"], one["fixed_cost_brain"]
    )

    def saved(budget, problem=problem, modality=modality):
        return jb.optimal_allocation(
            problem,
            budget,
            modality.cost_brain,
            config["cost_task"],
            modality.fixed_cost_brain,
            baseline="ridge",
            estimator="befs_two_penalties",
        ).saved

    axes.plot(budgets, 100 * jax.vmap(saved)(budgets), label=name)
axes.set(xscale="log", xlabel="budget (EUR)", ylabel="saved against ridge on labels alone (%)")
axes.legend()

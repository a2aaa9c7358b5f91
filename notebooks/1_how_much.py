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
# # How much is brain data worth, in ten minutes
#
# An fMRI study has 4096 inputs, 410 directions that the brain responds to, and 10 000 voxels. A
# machine learns a task on the same stimuli from labels. What would ten hours in the scanner add?

# %%
import jax
import matplotlib.pyplot as plt
import numpy as np

import jaxbrain as jb

jax.config.update("jax_enable_x64", True)
problem = jb.presets.fmri(task_snr=0.1, misalignment=0.1).problem()

# %% [markdown]
# *Value* is the number of further labels that would do as much. There are three rivals, and three
# answers. The paper compares with least squares. Ridge regression shrinks without any recording.
# The third answer compares with ridge regression where the recordings too get all the shrinkage
# that they can use: what remains is information.

# %%
n_task = np.geomspace(2_000, 1e6, 60)
answer = jb.worth(problem, n_brain=18_000, n_task=n_task)
figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
axes.plot(n_task, answer.value, label="against least squares")
axes.plot(
    n_task,
    np.where(answer.worse_than_predicting_zero, np.nan, answer.value_vs_ridge),
    label="against ridge",
)
axes.plot(n_task, answer.information_value, label="information")
axes.set(xscale="log", xlabel="labels", ylabel="value of 10 h (labels)")
axes.legend()

# %% [markdown]
# At 100 000 labels:

# %%
here = jb.worth(problem, n_brain=18_000, n_task=100_000)
print(f"against least squares {here.value:,.0f}, against ridge {here.value_vs_ridge:,.0f}")
print(f"information {here.information_value:,.0f}")

# %% [markdown]
# More hours are worth more, but each one less. How much they are worth depends on how much of the
# task lies outside of what the brain responds to.

# %%
hours = np.geomspace(3, 300, 60)
figure, axes = plt.subplots(figsize=(6, 3.6), layout="constrained")
for misalignment in (0.0, 0.1, 0.5, 0.9):
    study = jb.presets.fmri(task_snr=0.1, misalignment=misalignment).problem()
    axes.plot(
        hours,
        jb.information_value(study, 1_800 * hours, 100_000),
        label=f"misalignment {misalignment:g}",
    )
axes.set(xscale="log", xlabel="hours of recording", ylabel="information value (labels)")
axes.legend()

# %% [markdown]
# What changes it most, for one percent more of each thing:

# %%
change = jb.elasticities(problem, 18_000, 100_000, measure="information_value")
for name, percent in sorted(change._asdict().items(), key=lambda item: -abs(item[1])):
    print(f"{name:20} {float(percent):+.3f} %")

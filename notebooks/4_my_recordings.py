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
# # My own recordings
#
# Take a run of fMRI: moving bars, 150 volumes, V1 (Szinte et al. 2024, as shipped with
# braincoder). Does V1 help to predict vertices of its own from the stimulus, with thirty labels?
# `prepare_szinte2024.py` makes the file from arrays `stimulus` and `bold`, which are not part of
# this package. Point `source` to yours, or begin at `file` with arrays `inputs`, `recordings`,
# `targets` of your own.

# %%
import runpy
import tempfile
from pathlib import Path

import numpy as np

from jaxbrain.cli import main

source = Path("../../shared/data/szinte2024/v1.npz")
prepare = runpy.run_path("prepare_szinte2024.py")["prepare"]
file = Path(tempfile.mkdtemp()) / "v1_fit.npz"
prepare(source, file)
with np.load(file) as arrays:
    for name in arrays:
        print(name, arrays[name].shape)

# %% [markdown]
# Random disjoint rows serve to learn the subspace, to learn the task, and to test. Each estimator
# tunes its penalties on the task rows alone.

# %%
options = "--components 20 --rank 3 --n-brain 80 --n-task 30 --n-test 40 --repeats 100"
main(f"fit {file} {options}".split())

# %% [markdown]
# BEFS beats ridge *and* its controls: a random subspace and shuffled recordings would gain as
# much, if all came from a penalty of their own for three directions. But the verdict doubts
# itself. Volumes of a run follow each other, and share slow noise with the volumes around them.
# BEFS can learn how this noise happens to go with the stimulus of this one run, from rows between
# those it is tested on, and no control shows that. So keep stretches of the run together:

# %%
main(f"fit {file} {options} --block 15".split())

# %% [markdown]
# Nothing is left, not even of ridge regression, whose error is above 1, what predicting the mean
# achieves: one run of three minutes does not tell. What would: several runs with other stimuli,
# each a block of its own. (The stimulus is convolved with a haemodynamic response already, so
# that no delay is left; the targets are some of the vertices that the stimulus predicts best in
# this run, which flatters all estimators.)

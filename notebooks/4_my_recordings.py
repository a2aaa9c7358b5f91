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
# Three sets of real recordings, and what `jaxbrain fit` says of them: macaque V4, where recordings
# help, the olfactory bulb of the rat, where they do not, and a run of human fMRI, where they seem
# to. They are not part of this package. Put arrays `inputs`, `recordings` and `targets` of your own
# in their place.
#
# ## Macaque V4
#
# 1 200 natural images, 1 323 features of each, and 89 units (Cowley et al. 2026). 60 units are the
# recordings, and the other 29 are the task: what 120 images teach of them, beside 600 images that
# the 60 were recorded on.

# %%
import os
import runpy
import tempfile
from pathlib import Path

import numpy as np
from IPython.display import Image

from jaxbrain.cli import main

shared = Path("../../shared/data").resolve()
prepare = runpy.run_path("prepare_szinte2024.py")["prepare"]
# Files and pictures go there.
os.chdir(tempfile.mkdtemp())
v4 = np.load(shared / "cowley2026" / "v4.npz")
units = np.random.default_rng(0).permutation(v4["responses_pe"].shape[1])
np.savez(
    "same.npz",
    inputs=v4["features_pe"],
    recordings=v4["responses_pe"][:, units[:60]],
    targets=v4["responses_pe"][:, units[60:]],
)
options = "--n-brain 600 --n-task 120 --n-test 480 --repeats 12"
main(f"fit same.npz {options} --plot same.png".split())

# %%
Image("same.png")

# %% [markdown]
# The recordings help. Banded ridge has 6 % less held-out error than ridge, BEFS with two penalties
# 4 %, and none of their controls gains anything. So the 600 recordings are worth about as much as
# the 120 labels beside them. BEFS with one penalty is worse than ridge: it leaves all of its
# directions unpenalised, for which labels are too few.
#
# Across animals, the recordings are of one animal and the task is another's, on other images.

# %%
np.savez(
    "across.npz",
    brain_inputs=v4["features_pe"],
    recordings=v4["responses_pe"],
    task_inputs=v4["features_ra"],
    targets=v4["responses_ra"],
)
options = "--n-brain 1000 --n-task 120 --n-test 480 --repeats 12"
main(f"fit across.npz {options} --plot across.png".split())

# %%
Image("across.png")

# %% [markdown]
# They help across animals, too, if less: what one V4 tells of natural images holds for another.
#
# ## Olfactory bulb
#
# Maps of activity of the rat's olfactory bulb for 287 molecules (Johnson, Leon), and how 480
# molecules smell to people (Keller, Vosshall 2016).

# %%
bulb = shared / "pyrfume" / "bulb_ratings.npz"
options = "--n-task 320 --repeats 20"
main(f"fit {bulb} {options} --plot bulb.png".split())

# %%
Image("bulb.png")

# %% [markdown]
# A clear no: banded ridge and BEFS with two penalties are within 0.001 of ridge, as their controls
# are. That the maps can be predicted from the molecules does not matter here. The interval of
# labels is wide, since ridge itself hardly learns from more labels than these.
#
# ## A run of fMRI
#
# Moving bars, 150 volumes, V1 (Szinte et al. 2024, as shipped with braincoder). Does V1 help to
# predict vertices of its own from the stimulus, with thirty labels? `prepare_szinte2024.py` makes
# the file from arrays `stimulus` and `bold`.

# %%
prepare(shared / "szinte2024" / "v1.npz", Path("v1.npz"))
options = "--components 20 --rank 3 --n-brain 80 --n-task 30 --n-test 40 --repeats 40"
main(f"fit v1.npz {options}".split())

# %% [markdown]
# Banded ridge beats ridge *and* its controls, and the recordings seem to be worth more than half of
# the labels. But the verdict doubts itself. Volumes of a run follow each other, and share slow
# noise with the volumes around them. An estimator can learn how this noise happens to go with the
# stimulus of this one run, from rows between those it is tested on, and no control shows that. So
# keep stretches of the run together:

# %%
main(f"fit v1.npz {options} --block 15".split())

# %% [markdown]
# Nothing is left, not even of ridge regression, whose error is above 1, what predicting the mean
# achieves: one run of three minutes does not tell. What would: several runs with other stimuli,
# each a block of its own. (The stimulus is convolved with a haemodynamic response already, so
# that no delay is left; the targets are some of the vertices that the stimulus predicts best in
# this run, which flatters all estimators.)

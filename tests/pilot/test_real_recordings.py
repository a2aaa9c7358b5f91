"""Recordings of V1, which are not part of the package: what they show, and what they do not."""

import importlib.util
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxbrain as jb
from jaxbrain.pilot import (
    CONTROLS,
    ESTIMATORS,
    evaluate,
    read_pilot,
    row_correlation,
    split_sizes,
    summarise,
    whiten,
)

pytestmark = pytest.mark.study

ROOT = Path(__file__).parents[2]
REAL = ROOT.parent / "shared" / "data" / "szinte2024" / "v1.npz"


@pytest.fixture
def v1(tmp_path):
    """V1 responses to moving bars and other vertices of the scan; 20 components of the stimulus."""
    if not REAL.exists():
        pytest.skip("the recordings are not part of the package")
    path = ROOT / "notebooks" / "prepare_szinte2024.py"
    spec = importlib.util.spec_from_file_location("prepare_szinte2024", path)
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    script.prepare(REAL, tmp_path / "v1_fit.npz")
    return whiten(read_pilot(tmp_path / "v1_fit.npz"), 20)[0]


def test_real_recordings_beat_ridge_and_both_beat_the_controls(v1):
    """V1 responses to moving bars teach inputs that help to predict other vertices."""
    evaluation = evaluate(v1, split_sizes(v1, 80, 30, 40), 100, jax.random.key(0), rank=3)
    errors = dict(zip(ESTIMATORS, np.asarray(evaluation.errors).mean(axis=2), strict=True))
    for better, worse in (
        ("befs", "ridge"),
        ("ridge", "shuffled_recordings"),
        ("ridge", "random_subspace"),
    ):
        paired = summarise(errors[worse] - errors[better])
        assert paired.low > 0, (better, worse)


def test_a_single_run_of_v1_shows_nothing_in_blocks(v1):
    """What single rows show of it may be noise that neighbours share."""
    assert row_correlation(v1) > 0.5
    sizes = split_sizes(v1, 80, 30, 40)
    evaluation = evaluate(v1, sizes, 100, jax.random.key(0), rank=3, block=15)
    errors = dict(zip(ESTIMATORS, np.asarray(evaluation.errors).mean(axis=2), strict=True))
    assert errors["ridge"].mean() > 1
    for name in CONTROLS:
        assert summarise(errors[name] - errors["ridge"]).high > 0


@pytest.mark.parametrize("name", ["LeaveOneOut", "GeneralizedCrossValidation", "KFold"])
def test_tuned_befs_on_real_recordings_is_no_worse_than_a_grid(v1, name):
    """In the criterion on every split, and on test rows in the mean over 30 splits."""
    grid = np.geomspace(1e-3, 1e3, 50)
    rng, missed = np.random.default_rng(0), {"tuned": [], "grid": []}
    path_of = jax.jit(jb.befs_path)
    for _ in range(30):
        brain, task, test = np.split(rng.permutation(len(v1.task_inputs)), [80, 110])
        seen, recorded = (a[brain] - a[brain].mean(0) for a in (v1.brain_inputs, v1.recordings))
        basis = jb.encode(seen, recorded, 3)
        inputs, targets = v1.task_inputs[task], v1.targets[task]
        objective = getattr(jb, name)(inputs, targets, basis)
        tuned = jb.tune_penalty(objective)
        scores = jax.lax.map(objective, np.asarray(grid) * float(objective.natural_penalty()))
        assert bool(tuned.converged)
        assert float(tuned.value) <= float(scores.min()) * (1 + 1e-12)
        chosen = grid[int(scores.argmin())] * float(objective.natural_penalty())
        # An infinite penalty by a very large one: the path takes both at once.
        penalties = np.array([min(float(tuned.penalty), 1e12), chosen])
        shifts = inputs.mean(0), targets.mean(0)
        weights = path_of(inputs - shifts[0], targets - shifts[1], basis, penalties)
        for label, each in zip(missed, np.asarray(weights), strict=True):
            off = v1.targets[test] - shifts[1] - (v1.task_inputs[test] - shifts[0]) @ each
            missed[label].append(np.mean(off**2 / v1.targets.var(0)))
    tuned, chosen = (np.array(missed[label]) for label in ("tuned", "grid"))
    paired = summarise(tuned - chosen)
    assert paired.low <= 0 or tuned.mean() < 1.005 * chosen.mean()

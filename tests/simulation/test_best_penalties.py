"""Penalties that closed forms call best: each cell of a sweep gets its own.

Closed forms are replaced where only the places of numbers matter, so that little is compiled.
"""

import functools

import numpy as np
import pytest

import jaxbrain as jb
from jaxbrain.simulation import _best_penalties
from jaxbrain.simulation._grids import Wishes, check_grids
from jaxbrain.simulation._stages import stages_of
from tests.helpers.real_inputs import KEY, SETTINGS, TWO, pooled, swept

MODEL = SETTINGS["falling spectrum"][0]
N_BRAIN, N_TASK = [20, 30, 40], [8, 40]


@pytest.fixture
def laws(monkeypatch):
    """Closed forms whose answers tell the cell, and how many cells each was asked for."""
    asked = {}

    def law(name, problem, n_brain, n_task, *, encoding_penalty=0.0, estimator=None):
        key = name if estimator is None else f"{name}, {estimator}"
        cell = np.asarray(n_brain) + np.asarray(n_task) / 1e3 + np.asarray(encoding_penalty)
        asked.setdefault(key, []).append(cell.shape)
        if name in ("optimal_penalties", "optimal_banded_penalties"):
            return 1000 + cell, 2000 + cell
        return np.asarray(n_task) / np.asarray(n_brain) if estimator else 1000 + cell

    for name in (
        "optimal_penalty",
        "optimal_penalties",
        "optimal_banded_penalties",
        "optimal_encoding_penalty",
    ):
        monkeypatch.setattr(_best_penalties, name, functools.partial(law, name))
    return asked


def found(estimator, encoding_penalty):
    wishes = Wishes(N_BRAIN, N_TASK, "optimal", None, encoding_penalty, None)
    stages = stages_of(estimator)
    grids = check_grids(MODEL, wishes, "reduced", stages.n_penalties, any_labels=True)
    encoding = _best_penalties.encoding_of(MODEL, grids, stages)
    return encoding, *_best_penalties.best_penalties(MODEL, grids, encoding, stages)


@pytest.mark.parametrize(
    ("estimator", "law"),
    [
        ("befs", "optimal_penalty"),
        ("random_subspace", "optimal_penalty"),
        ("befs_two_penalties", "optimal_penalties"),
        ("shuffled_recordings_two_penalties", "optimal_penalties"),
        ("banded_ridge", "optimal_banded_penalties"),
        ("shuffled_recordings_banded_ridge", "optimal_banded_penalties"),
    ],
)
def test_each_cell_has_its_own(laws, estimator, law):
    encoding, outside, inside = found(estimator, [0.25, 0.5])
    assert (encoding.shape, outside.shape, inside.shape) == ((3, 2, 1), (3, 2, 2), (3, 2, 2))
    brain, penalty, task = np.meshgrid(N_BRAIN, [0.25, 0.5], N_TASK, indexing="ij")
    cell = brain + task / 1e3 + penalty
    np.testing.assert_allclose(outside, 1000 + cell)
    np.testing.assert_allclose(inside, 0 if law == "optimal_penalty" else 2000 + cell)
    # One call, of a shape that other grids have too.
    assert laws == {law: [(8, 8)]}


@pytest.mark.parametrize(
    ("estimator", "law"),
    [("befs", "optimal_penalty"), ("banded_ridge", "optimal_banded_penalties")],
)
def test_each_cell_has_its_own_encoding_penalty(laws, estimator, law):
    encoding, outside, inside = found(estimator, "optimal")
    assert (encoding.shape, outside.shape, inside.shape) == ((3, 1, 2), (3, 1, 2), (3, 1, 2))
    brain, task = np.meshgrid(N_BRAIN, N_TASK, indexing="ij")
    np.testing.assert_allclose(encoding[:, 0], task / brain)
    cell = brain + task / 1e3 + task / brain
    np.testing.assert_allclose(outside[:, 0], 1000 + cell)
    np.testing.assert_allclose(inside[:, 0], 0 if estimator == "befs" else 2000 + cell)
    assert laws == {f"optimal_encoding_penalty, {estimator}": [(4, 8)], law: [(8, 8)]}


@pytest.mark.parametrize("method", ["reduced", "data"])
def test_a_sweep_by_rule_takes_its_cells_from_given_penalties(laws, monkeypatch, method):
    """Dimensions and cells of a sweep in which each cell has three penalties of its own."""
    options = dict(encoding_penalty="optimal", penalty="optimal", inside_penalty=None, trials=8)
    name, n_task = "falling spectrum", [8, 40] if method == "reduced" else [8]
    model, options = SETTINGS[name][0], options | TWO | dict(n_task=n_task, n_task_only=[8])
    whole = jb.sweep(model, [20, 40], key=KEY, seeds=2, method=method, **options)
    assert whole.risk.dims == ("n_brain", "n_task", "penalty", "seed")
    assert whole.misalignment.dims == ("n_brain", "n_task", "seed")
    assert whole.attrs["encoding_penalty"] == "optimal"
    for row, n in enumerate([20, 40]):
        for column, labels in enumerate(n_task):
            cell = whole.isel(n_brain=row, n_task=column)
            used = [float(cell[f"{which}penalty_used"].item()) for which in ("", "inside_")]
            encoding = float(cell.encoding_penalty_used)
            assert encoding == pytest.approx(labels / n)
            same = jb.sweep(
                model, [n], key=KEY, seeds=2, method=method,
                **options | dict(n_task=[labels], penalty=used[:1], inside_penalty=used[1],
                                 encoding_penalty=encoding),
            )  # fmt: skip
            np.testing.assert_allclose(same.risk.values[0, 0, 0], cell.risk.values[0], rtol=1e-6)
            np.testing.assert_allclose(same.misalignment[0], cell.misalignment, rtol=1e-9)


def test_banded_ridge_is_swept_at_its_best_penalties():
    """As good as the closed form says, and better than beside another penalty of the encoder."""
    model, n_brain, ridge, _ = SETTINGS["graded"]
    best = swept("graded", penalty="optimal", inside_penalty=None)
    mean, error = pooled(best)
    claim = jb.banded_ridge_risk(model.problem(), n_brain, np.array([8.0, 40.0]),
                                 encoding_penalty=ridge)  # fmt: skip
    off = np.abs(mean[0, :, 0] - np.asarray(claim))
    assert np.all(off < 4 * error[0, :, 0] + 0.01 * mean[0, :, 0])
    used = best.penalty_used.values[..., 0], best.inside_penalty_used.values[..., 0]
    for factor in (0.1, 10.0):
        other = swept("graded", penalty=used[0], inside_penalty=factor * used[1])
        worse = (other.risk.values - best.risk.values)[0, :, 0]
        assert np.all(worse.mean(-1) > 0.01 * mean[0, :, 0])

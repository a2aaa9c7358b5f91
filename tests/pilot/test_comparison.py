"""The verdict on a user's own arrays: errors of all estimators over repeated splits."""

from functools import partial

import jax
import numpy as np
import pytest
from scipy.optimize import minimize

from jaxbrain.pilot import (
    ESTIMATORS,
    PilotError,
    evaluate,
    pilot_data,
    split_sizes,
    summarise,
    whiten,
)
from tests.helpers.studies import (
    INPUTS,
    RECORDINGS,
    TARGETS,
    means,
    run_of_a_scanner,
    shared,
    study,
)

KEY = jax.random.key(3)
REPEATS = 40


def verdict(data, rank=2):
    """Of the sizes that most tests share: they compile one program."""
    return evaluate(data, split_sizes(data, 60, 24, 36), REPEATS, KEY, rank)


@pytest.fixture(scope="module")
def aligned():
    return verdict(shared(n=120))


@pytest.fixture(scope="module")
def misaligned():
    return verdict(shared(n=120, aligned=False))


def reference_errors(data, evaluation, key, repeat, block):
    """One repeat, written out in NumPy: same rows, everything else independent."""
    n_brain, n_task, n_test = evaluation.sizes
    key_rows, key_shuffle, key_random = jax.random.split(jax.random.fold_in(key, repeat), 3)
    blocks = np.asarray(jax.random.permutation(jax.random.split(key_rows)[0], 120 // block))
    order = np.concatenate([np.arange(first, first + block) for first in block * blocks])
    brain, labelled = order[:n_brain], order[n_brain:]
    task, test = labelled[:n_task], labelled[n_task : n_task + n_test]
    d = data.input_dim
    x, r = (a[brain] - a[brain].mean(0) for a in (data.brain_inputs, data.recordings))

    def subspace(rows):
        solution = np.linalg.lstsq(x, rows, rcond=None)[0]
        v = np.linalg.svd(x @ solution, full_matrices=False)[2][: evaluation.rank].T
        return np.linalg.qr(solution @ v)[0]

    if block == 1:
        shuffled = r[np.asarray(jax.random.permutation(key_shuffle, n_brain))]
    else:
        moved = jax.random.randint(key_shuffle, (), block, n_brain - block + 1)
        shuffled = np.roll(r, -int(moved), axis=0)
    gaussian = x.T @ np.asarray(jax.random.normal(key_random, (n_brain, evaluation.rank)))
    bases = {
        "befs": subspace(r),
        "random_subspace": np.linalg.qr(gaussian)[0],
        "shuffled_recordings": subspace(shuffled),
        "leading_components": np.linalg.svd(x)[2][: evaluation.rank].T,
        "ridge": np.zeros((d, 1)),
    }
    scale = np.mean((data.task_inputs - data.task_inputs.mean(0)) ** 2)

    def weights(inputs, targets, basis, penalty, inside):
        projection = basis @ basis.T
        matrix = inputs.T @ inputs / len(inputs) + inside * projection
        matrix = matrix + penalty * (np.eye(d) - projection)
        return np.linalg.solve(matrix, inputs.T @ targets / len(inputs))

    def predict(rows, new, basis, penalty, inside):
        a, b = data.task_inputs[rows], data.targets[rows]
        w = weights(a - a.mean(0), b - b.mean(0), basis, penalty, inside)
        return b.mean(0) + (data.task_inputs[new] - a.mean(0)) @ w

    spread = data.targets[task].std(0)

    # What is the same for all penalties, once for each fold.
    folds = []
    for held_out in np.array_split(task, 5):
        kept = np.setdiff1d(task, held_out)
        a, b = data.task_inputs[kept], data.targets[kept]
        a_mean, b_mean = a.mean(0), b.mean(0)
        a, b = a - a_mean, b - b_mean
        moments = a.T @ a / len(a), a.T @ b / len(a)
        folds.append(
            (*moments, data.task_inputs[held_out] - a_mean, data.targets[held_out] - b_mean)
        )
    grams, crosses = (np.stack(parts) for parts in list(zip(*folds, strict=True))[:2])

    def score(projection, penalty, inside):
        penalties = inside * projection + penalty * (np.eye(d) - projection)
        weights = np.linalg.solve(grams + penalties, crosses)
        missed = [b - a @ w for (*_, a, b), w in zip(folds, weights, strict=True)]
        missed = np.concatenate(missed) / spread
        return np.sum(missed**2) / missed.size

    def best(basis, both):
        """By Nelder and Mead, from every low place of a grid."""
        projection = basis @ basis.T

        def at(logs):
            penalty, inside = scale * np.exp(logs[0]), scale * np.exp(logs[1]) if both else 0.0
            return score(projection, penalty, inside)

        # At the ends, none and all of a penalty differ by less than what is compared; above,
        # roundoff of the large one would drown the small one.
        grid = np.log(10) * np.arange(-8.0, 7.0, 2.0 if both else 1.0)
        starts = [(p, i) for p in grid for i in (grid if both else [0.0])]
        starts = sorted(starts, key=at)[:3]
        options = dict(xatol=1e-7, fatol=1e-15, maxiter=2000)
        descend = partial(
            minimize, at, method="Nelder-Mead", bounds=[(grid[0], grid[-1])] * 2, options=options
        )
        lowest = min((descend(start) for start in starts), key=lambda found: found.fun)
        # The simplex may have collapsed on a bound.
        penalty, inside = scale * np.exp(descend(lowest.x).x)
        return penalty, inside if both else 0.0

    def test_error(basis, both=False):
        missed = data.targets[test] - predict(task, test, basis, *best(basis, both))
        return np.mean(missed**2, axis=0) / data.targets.var(0)

    errors = {name: test_error(basis) for name, basis in bases.items()}
    for name in ("befs", "random_subspace", "shuffled_recordings", "leading_components"):
        errors[f"{name}_two_penalties"] = test_error(bases[name], both=True)
    errors["task_only"] = np.full(2, np.nan)
    if n_task > d + 1:
        missed = data.targets[test] - predict(task, test, bases["ridge"], 0.0, 0.0)
        errors["task_only"] = np.mean(missed**2, axis=0) / data.targets.var(0)
    penalties = np.array(best(bases["befs"], both=True)) / np.mean(data.task_inputs.var(0))
    return np.stack([errors[name] for name in ESTIMATORS]), penalties


def check_repeats(data, evaluation, key, repeats, block=1):
    for repeat in repeats:
        errors, penalties = reference_errors(data, evaluation, key, repeat, block)
        np.testing.assert_allclose(evaluation.errors[:, repeat], errors, rtol=1e-5)
        logs = np.log10(np.clip([evaluation.penalties[repeat], penalties], 1e-8, 1e6))
        np.testing.assert_allclose(*logs, atol=1e-3)


def test_each_repeat_is_what_numpy_computes(aligned):
    check_repeats(shared(n=120), aligned, KEY, range(2))


def test_few_labels_in_blocks_are_what_numpy_computes():
    """Least squares does not exist for so few, and alone is NaN."""
    data = shared(n=120)
    evaluation = evaluate(data, split_sizes(data, 60, 12, 40), 3, KEY, rank=2, block=5)
    # In repeat 1 the best penalties are as good as none, beyond where the reference looks.
    check_repeats(data, evaluation, KEY, (0, 2), block=5)
    errors = means(evaluation)
    assert np.isnan(errors.pop("task_only"))
    assert all(np.isfinite(error) for error in errors.values())


def test_aligned_recordings_beat_ridge_and_controls_do_not(aligned):
    errors = means(aligned)
    assert errors["befs"] < 0.9 * errors["ridge"]
    assert errors["ridge"] < min(errors["random_subspace"], errors["shuffled_recordings"])


def test_misaligned_recordings_do_not_help(misaligned):
    errors = means(misaligned)
    assert errors["befs"] > 0.98 * errors["ridge"]


def test_the_larger_penalty_tells_on_which_side_the_task_is(aligned, misaligned):
    for found, is_inside in ((aligned, True), (misaligned, False)):
        outside, inside = np.asarray(found.penalties).T
        assert np.mean((inside < outside) == is_inside) >= 0.9


def test_repeats_do_not_depend_on_how_many_there_are(aligned):
    data = shared(n=120)
    few = evaluate(data, split_sizes(data, 60, 24, 36), 3, KEY, rank=2).errors
    np.testing.assert_allclose(few, aligned.errors[:, :3], rtol=1e-9)


def test_a_target_that_is_constant_among_the_task_rows_fails_no_split():
    data = shared(n=120)
    rare = (np.arange(120) % 60 == 0).astype(float)
    found = verdict(data._replace(targets=np.stack([data.targets[:, 0], rare], axis=1)))
    assert np.all(np.isfinite(found.errors))


def test_units_do_not_matter(aligned):
    data = shared(n=120)
    scaled = data._replace(
        brain_inputs=data.brain_inputs * 1e-120,
        task_inputs=data.task_inputs * 1e-120,
        recordings=data.recordings * 1e120,
        targets=data.targets * np.array([1e100, 1e-100]),
    )
    there = verdict(scaled, rank=None)
    assert there.rank == 2
    np.testing.assert_allclose(aligned.errors, there.errors, rtol=1e-6)


def test_separate_rows_give_the_same_story():
    inputs, recordings, targets = study(n=500)
    data = pilot_data(
        brain_inputs=inputs[:300],
        recordings=recordings[:300],
        task_inputs=inputs[300:],
        targets=targets[300:, 0],
    )
    evaluation = evaluate(data, split_sizes(data, n_task=20), 40, jax.random.key(0))
    errors = means(evaluation)
    assert evaluation.sizes == (300, 20, 180)
    assert errors["befs"] < 0.9 * errors["ridge"]


@pytest.mark.study
def test_blocks_undo_what_neighbouring_rows_pretend():
    data = run_of_a_scanner(1)
    sizes, key = split_sizes(data, 80, 30, 40), jax.random.key(0)

    def gain(block):
        errors = np.asarray(evaluate(data, sizes, 60, key, rank=1, block=block).errors)
        errors = dict(zip(ESTIMATORS, errors.mean(axis=2), strict=True))
        return summarise(errors["befs"] - errors["ridge"])

    assert gain(1).high < 0
    assert gain(30).high > 0


@pytest.mark.parametrize("block", [0, 21])
def test_blocks_too_long_for_three_parts_are_refused(block):
    data = pilot_data(inputs=INPUTS, recordings=RECORDINGS, targets=TARGETS)
    with pytest.raises(PilotError, match=f"block = {block} rows: .* pass 1 to 20"):
        evaluate(data, split_sizes(data), 3, jax.random.key(0), rank=2, block=block)


def test_collinear_inputs_and_impossible_ranks_are_named():
    doubled = np.concatenate([INPUTS[:, :6], INPUTS[:, :6]], axis=1)
    data = pilot_data(inputs=doubled, recordings=RECORDINGS, targets=TARGETS)
    with pytest.raises(PilotError, match="6 independent directions"):
        evaluate(data, split_sizes(data), 3, jax.random.key(0), rank=2)
    data = pilot_data(inputs=INPUTS, recordings=RECORDINGS, targets=TARGETS)
    with pytest.raises(PilotError, match="rank = 12") as caught:
        evaluate(data, split_sizes(data), 1, jax.random.key(0), rank=12)
    assert len(caught.value.problems) == 2
    with pytest.raises(PilotError, match="rank cannot be chosen"):
        evaluate(data, split_sizes(data, n_brain=15), 3, jax.random.key(0))
    with pytest.raises(PilotError, match="components must lie between 2 and 12"):
        whiten(data, 13)

"""The verdict on a user's own arrays: errors of all estimators over repeated splits."""

import jax
import numpy as np
import pytest

from jaxbrain.pilot import (
    ESTIMATORS,
    PilotError,
    SplitSizes,
    evaluate,
    pilot_data,
    split_sizes,
    summarise,
    whiten,
)
from jaxbrain.pilot._draws import draw_rows, units_of
from tests.helpers.kernels import learn, parabola
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


def centred(rows):
    return rows - rows.mean(axis=0)


def reference_errors(data, key, repeat, block, rank):
    """One repeat in NumPy: the same rows, and every system of equations solved anew."""
    sizes = SplitSizes(60, 24, 36) if block == 1 else SplitSizes(60, 12, 40)
    key_rows, key_controls = jax.random.split(jax.random.fold_in(key, repeat // 2))
    draw = draw_rows(key_rows, sizes, units_of(data, block), block, sizes.n_task)
    brain, task, test = draw.brain, draw.task[repeat % 2], draw.test[repeat % 2]
    # In the units of `evaluate`, which are nothing to the answer but for random channels.
    scale = np.sqrt(np.mean(centred(data.brain_inputs) ** 2))
    x, r = centred(data.brain_inputs[brain]) / scale, centred(data.recordings[brain])
    d = x.shape[1]

    def folds(n):
        if block == 1:
            return None
        return np.array_split(np.arange(n), 5) if n % 5 == 0 else None

    def encoder(recorded):
        taus = np.linalg.eigvalsh(x.T @ x)[-1] * np.logspace(-6, 3, 15)
        scores = []
        for tau in taus:
            hat = x @ np.linalg.solve(x.T @ x + tau * np.eye(d), x.T)
            hat += np.full_like(hat, 1 / len(x))
            rest = recorded - hat @ recorded
            if block == 1:
                scores.append(np.sum((rest / (1 - np.diag(hat))[:, None]) ** 2))
                continue
            scores.append(0.0)
            for out in folds(len(x)):
                left = np.linalg.solve((np.eye(len(x)) - hat)[np.ix_(out, out)], rest[out])
                scores[-1] += np.sum(left**2)
        tau, _ = parabola(taus, np.array(scores))
        return np.linalg.solve(x.T @ x + tau * np.eye(d), x.T @ recorded), tau

    def subspace(recorded):
        tau = encoder(recorded)[1]
        root = np.linalg.cholesky(x.T @ x + tau * np.eye(d))
        leading = np.linalg.svd(np.linalg.solve(root, x.T @ recorded))[0][:, :rank]
        return np.linalg.qr(np.linalg.solve(root.T, leading))[0]

    shuffled = r[draw.displaced]
    key_subspace, key_encoder = jax.random.split(key_controls)
    by_chance = x.T @ np.asarray(jax.random.normal(key_subspace, (len(x), rank)))
    channels = np.asarray(jax.random.normal(key_encoder, r.shape))
    components, strengths, _ = np.linalg.svd(x.T)
    bases = {
        "": subspace(r),
        "random": np.linalg.qr(by_chance)[0],
        "shuffled_recordings": subspace(shuffled),
        "leading_components": components[:, :rank],
    }
    encoders = {
        "": encoder(r)[0],
        "random": x.T @ channels,
        "shuffled_recordings": encoder(shuffled)[0],
        "leading_components": components * strengths,
    }
    a, b = data.task_inputs[task] / scale, data.targets[task]
    b_mean, spread = b.mean(0), data.targets.std(0)
    new = data.task_inputs[test] / scale - a.mean(0)
    a, b = centred(a), centred(b) / spread
    apart = None
    if block > 1:
        # Fifths of neighbours, of which the last repeats nothing: it is shorter.
        apart = [np.arange(k, min(k + -(-len(a) // 5), len(a))) for k in range(0, len(a), 3)]
    kernel, cross = a @ a.T, new @ a.T
    predicted, values, taus = {}, {}, {}
    predicted["ridge"], values["ridge"], _ = learn(kernel, cross, b, apart)
    for source, basis in bases.items():
        z, z_new = a @ basis, new @ basis
        outside, outside_cross = kernel - z @ z.T, cross - z_new @ z.T
        name = {"": "befs", "random": "random_subspace"}.get(source, source)
        predicted[name], _, _ = learn(outside, outside_cross, b, apart, z, z_new)
        tries = {1.0: (predicted["ridge"], values["ridge"], 0.0)}
        for share in (0.1, 0.3, 3.0, 10.0, 30.0, 100.0, 1000.0):
            tries[share] = learn(
                outside + share * z @ z.T, outside_cross + share * z_new @ z.T, b, apart
            )
        best = min(tries, key=lambda share: tries[share][1])
        two = f"{name}_two_penalties"
        predicted[two], _, tau = tries[best]
        taus[two] = (1.0, 1.0) if best == 1 else (tau / len(a), tau / best / len(a))
    for source, weights in encoders.items():
        weights = weights * np.sqrt(np.sum(x**2) / np.sum((x @ weights) ** 2))
        q, q_new = a @ weights, new @ weights
        tries = [(predicted["ridge"], values["ridge"], 0.0)]
        for share in (0.1 / 1.1, 0.3 / 1.3, 1 / 2, 3 / 4, 10 / 11, 30 / 31, 1.0):
            band = (1 - share) * kernel + share * q @ q.T
            tries.append(learn(band, (1 - share) * cross + share * q_new @ q.T, b, apart))
        name = f"{source}_banded_ridge".removeprefix("_")
        predicted[name] = min(tries, key=lambda found: found[1])[0]
    if len(a) > d + 1:
        predicted["task_only"] = new @ np.linalg.lstsq(a, b, rcond=None)[0]
    missed = (data.targets[test] - b_mean) / spread
    none = np.full(missed.shape, np.nan)
    errors = [np.mean((missed - predicted.get(name, none)) ** 2, axis=0) for name in ESTIMATORS]
    return np.stack(errors), np.array(taus["befs_two_penalties"])


def check_repeats(data, evaluation, key, repeats, block=1):
    for repeat in repeats:
        errors, penalties = reference_errors(data, key, repeat, block, evaluation.rank)
        np.testing.assert_allclose(evaluation.errors[:, repeat], errors, rtol=1e-6)
        np.testing.assert_allclose(evaluation.penalties[repeat], penalties, rtol=1e-6)


def test_each_repeat_is_what_numpy_computes(aligned):
    check_repeats(shared(n=120), aligned, KEY, range(4))


def test_few_labels_in_blocks_are_what_numpy_computes():
    """Least squares does not exist for so few, and alone is NaN."""
    data = shared(n=120)
    evaluation = evaluate(data, split_sizes(data, 60, 12, 40), 3, KEY, rank=2, block=5)
    check_repeats(data, evaluation, KEY, range(3), block=5)
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
    there = verdict(scaled)
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
    assert evaluation.sizes == (300, 20, 90)
    assert evaluation.rank == 2
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


def test_impossible_ranks_are_named():
    data = pilot_data(inputs=INPUTS, recordings=RECORDINGS, targets=TARGETS)
    with pytest.raises(PilotError, match="rank = 12") as caught:
        evaluate(data, split_sizes(data), 1, jax.random.key(0), rank=12)
    assert len(caught.value.problems) == 2
    with pytest.raises(PilotError, match="components must lie between 2 and 12"):
        whiten(data, 13)

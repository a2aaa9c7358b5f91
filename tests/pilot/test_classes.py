"""Targets that are classes: logistic regression on every split, and how well it tells."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import accuracy_score, balanced_accuracy_score, roc_auc_score

from jaxbrain.pilot import (
    CONTROLS,
    ESTIMATORS,
    SplitSizes,
    chosen_estimator,
    evaluate,
    judge,
    pilot_data,
    worth_in_labels,
)
from jaxbrain.pilot import _classes as classes
from jaxbrain.pilot._draws import draw_rows, longest_of, units_of
from jaxbrain.pilot._parts import parts_of
from jaxbrain.pilot._penalties import rows_of
from tests.helpers.kernels import learn
from tests.helpers.studies import means, of_classes, study_of_classes

KEY = jax.random.key(0)
SIZES = SplitSizes(200, 40, 100)
REPEATS = 10


@pytest.fixture(scope="module")
def found():
    return evaluate(of_classes(), SIZES, REPEATS, KEY, rank=2)


@pytest.fixture(scope="module")
def of_nothing():
    """Recordings in the rows of others."""
    return evaluate(of_classes(shuffled=True), SIZES, REPEATS, KEY, rank=2)


def test_recordings_that_show_what_classes_depend_on_help(found, of_nothing):
    assert judge(found).finding == "helps"
    errors, nothing = means(found), means(of_nothing)
    name = chosen_estimator(found)
    assert errors[name] < errors["ridge"] - 0.1
    assert errors["ridge"] < found.classes.by_frequency.mean()
    assert worth_in_labels(found).labels > 40
    for rates in (found.classes.accuracy, found.classes.balanced_accuracy, found.classes.auc):
        ours, ridge = (rates[ESTIMATORS.index(each)].mean() for each in (name, "ridge"))
        assert ours > ridge + 0.03
    assert judge(of_nothing).finding in ("no difference", "hurts")
    for control in CONTROLS:
        assert nothing[control] > nothing["ridge"] - 0.02


def drawn(data, repeat):
    units = units_of(data, 1)
    key = jax.random.split(jax.random.fold_in(KEY, repeat // 2))[0]
    draw = draw_rows(key, SIZES, units, 1, longest_of(data, SIZES, units))
    return draw.task[repeat % 2][: SIZES.n_task], draw.test[repeat % 2]


def by_scikit_learn(inputs, codes, new, penalty, count):
    """Log probabilities with ½ penalty ‖W‖² beside the summed loss; two classes have one column."""
    model = LogisticRegression(
        C=(2 if count == 2 else 1) / penalty, solver="newton-cg", tol=1e-10, max_iter=1000
    )
    return model.fit(inputs, codes).predict_log_proba(new)


def curvature(codes, count):
    share = np.bincount(codes, minlength=count) / len(codes)
    return np.sum(share * (1 - share)) / (count - 1)


def nats(log_p, codes):
    return -np.mean(log_p[np.arange(len(codes)), codes])


def dealt(codes):
    """A fifth of each class in each fold, or nearly."""
    fold = np.empty(len(codes), int)
    fold[np.argsort(codes, kind="stable")] = np.arange(len(codes)) % 5
    return fold


def by_folds(inputs, codes, new, unit, multiples, count):
    """The best multiple, by five folds; its left-out loss, and log probabilities of new rows."""
    tries = []
    for multiple in multiples:
        total = 0.0
        for out in (dealt(codes) == k for k in range(5)):
            log_p = by_scikit_learn(inputs[~out], codes[~out], inputs[out], multiple * unit, count)
            total += nats(log_p, codes[out]) * np.sum(out) / len(codes)
        tries.append((total, multiple))
    score, multiple = min(tries)
    return multiple, score, by_scikit_learn(inputs, codes, new, multiple * unit, count)


def test_ridge_on_a_split_is_logistic_regression_of_scikit_learn(found):
    """With the penalty of least squares on columns of 0 and 1, in the unit of the other loss."""
    data, repeat = of_classes(), 1
    task, test = drawn(data, repeat)
    codes = data.targets[:, 0].astype(int)
    shift = data.task_inputs[task].mean(axis=0)
    inputs, new = data.task_inputs[task] - shift, data.task_inputs[test] - shift
    columns = np.eye(3)[codes[task]]
    columns = columns - columns.mean(axis=0)
    _, _, tau = learn(inputs @ inputs.T, new @ inputs.T, columns, None)
    unit = tau * curvature(codes[task], 3)
    _, _, log_p = by_folds(inputs, codes[task], new, unit, (1 / 16, 1 / 4, 1.0), 3)
    told = found.errors[ESTIMATORS.index("ridge"), repeat, 0]
    assert told == pytest.approx(nats(log_p, codes[test]), abs=3e-4)
    for wrong in (2 * unit, unit / curvature(codes[task], 3)):
        other = by_folds(inputs, codes[task], new, wrong, (1 / 16, 1 / 4, 1.0), 3)[2]
        assert abs(told - nats(other, codes[test])) > 3e-3
    rates = classes.rates_of(log_p, codes[test])
    ridge = [each[ESTIMATORS.index("ridge"), repeat, 0] for each in found.classes[:3]]
    np.testing.assert_allclose(ridge, rates, atol=0.011)


@pytest.fixture(scope="module")
def program():
    """One program for two and three classes, and for rows that some are missing of."""

    @jax.jit
    def tell(inputs, new, codes, taus):
        n = len(inputs)
        rows = rows_of(inputs)._replace(n=n)
        given = classes.classes_of(codes, 3, 5, False)
        kernel, cross = rows.inner @ rows.inner.T, new @ rows.inner.T
        priors = [classes.prior_of(rows, kernel / tau, cross / tau, given) for tau in taus]
        multiple = classes.best_multiple(priors[0], 3, 5)
        # The second has rows and columns that are none.
        priors[1] = priors[1].padded(n + 3, n + 2)
        return classes.tell_apart(priors, multiple, 3, 5)

    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(60, 9)) * np.linspace(2, 0.3, 9)
    inputs[:40] -= inputs[:40].mean(axis=0)
    codes = np.argmax(inputs[:, :3] * 2 + rng.gumbel(size=(60, 3)), axis=1)
    return tell, inputs, codes


@pytest.mark.parametrize("strength", [2.0, 20.0])
def test_multiples_scores_and_probabilities_are_those_of_folds(program, strength):
    """Where classes are told apart for sure, less penalty is better than least squares takes."""
    tell, inputs, codes = program
    codes = codes if strength < 10 else np.argmax(inputs[:, :3], axis=1)
    taus = np.array([4.0, 9.0])
    told = tell(inputs[:40], inputs[40:], codes[:40], taus)
    share = curvature(codes[:40], 3)
    multiple, score, log_p = by_folds(
        inputs[:40], codes[:40], inputs[40:], taus[0] * share, (1 / 16, 1 / 4, 1.0), 3
    )
    assert float(told.multiple[0]) == multiple
    assert (multiple < 0.2) == (strength > 10)
    _, other_score, other = by_folds(
        inputs[:40], codes[:40], inputs[40:], taus[1] * share, (multiple,), 3
    )
    np.testing.assert_allclose(told.score, [score, other_score], atol=1e-3)
    np.testing.assert_allclose(told.log_p, [log_p, other], atol=1e-2)


def test_a_class_that_no_row_shows_has_a_little_probability(program):
    tell, inputs, codes = program
    codes = np.where(codes == 2, 1, codes)
    log_p = np.asarray(tell(inputs[:40], inputs[40:], codes[:40], np.array([4.0, 9.0])).log_p[0])
    np.testing.assert_allclose(log_p[:, 2], -np.log(2 * 41))
    np.testing.assert_allclose(np.exp(log_p).sum(axis=1), 1.0)
    # The others share the rest as two classes do.
    unit = 4.0 * curvature(codes[:40], 3)
    tries = [
        np.max(np.abs(by_scikit_learn(inputs[:40], codes[:40], inputs[40:], m * unit, 2)
                      - log_p[:, :2] + np.log1p(-1 / 82)))
        for m in (1 / 16, 1 / 4, 1.0)
    ]  # fmt: skip
    assert min(tries) < 1e-2
    told = classes.by_frequency(codes[:40], np.array([0, 1, 2]), 3)
    share = (1 - 1 / 82) * np.bincount(codes[:40]) / 40
    assert told == pytest.approx(-(np.log(share[0]) + np.log(share[1]) - np.log(82)) / 3)


def test_probabilities_and_choices_know_nothing_of_test_rows():
    data = of_classes()
    rows = [drawn(data, repeat) for repeat in range(2)]
    learned = np.concatenate([task for task, _ in rows])
    tested = np.setdiff1d(np.concatenate([test for _, test in rows]), learned)
    plain = evaluate(data, SIZES, 2, KEY, rank=2)

    def with_others(changed):
        targets = data.targets.copy()
        targets[changed] = (targets[changed] + 1) % 3
        return evaluate(data._replace(targets=targets), SIZES, 2, KEY, rank=2)

    other = with_others(tested)
    np.testing.assert_allclose(other.scores, plain.scores, rtol=1e-5)
    np.testing.assert_allclose(other.penalties, plain.penalties, rtol=1e-5)
    assert np.nanmin(other.errors - plain.errors) > 0.1
    assert np.max(np.abs(with_others(learned[:4]).scores - plain.scores)) > 1e-3


def test_several_targets_are_told_apart_one_by_one():
    inputs, recordings, targets = study_of_classes(columns=2)
    data = pilot_data(inputs=inputs, recordings=recordings, targets=targets)
    assert [part.data.classes for part in parts_of(data)] == [data.classes[:1], data.classes[1:]]
    both = evaluate(data, SIZES, 2, KEY, rank=2)
    second = pilot_data(inputs=inputs, recordings=recordings, targets=targets[:, 1])
    alone = evaluate(second, SIZES, 2, KEY, rank=2)
    np.testing.assert_array_equal(both.errors[..., 1:], alone.errors)
    for ours, theirs in zip(both.classes, alone.classes, strict=True):
        np.testing.assert_array_equal(ours[..., 1:], theirs)
    np.testing.assert_allclose(both.curves.errors[1], both.errors[1].mean(axis=1))


@pytest.mark.parametrize("count", [2, 3])
def test_rates_are_those_of_scikit_learn(count):
    rng = np.random.default_rng(count)
    codes = rng.integers(0, count, 50)
    # Rounded, so that scores tie.
    p = np.round(rng.dirichlet(np.ones(count), 50) + 0.5 * np.eye(count)[codes], 1) + 0.05
    p /= p.sum(axis=1, keepdims=True)
    guessed = np.argmax(np.log(p), axis=1)
    area = roc_auc_score(codes, p[:, 1]) if count == 2 else np.mean(
        [roc_auc_score(codes == each, p[:, each]) for each in range(3)]
    )  # fmt: skip
    expected = accuracy_score(codes, guessed), balanced_accuracy_score(codes, guessed), area
    np.testing.assert_allclose(classes.rates_of(np.log(p), codes), expected, rtol=1e-12)
    nothing = classes.rates_of(np.log(p[codes == 0]), codes[codes == 0])
    assert np.isnan(nothing[2])
    assert np.isfinite(nothing[:2]).all()


def test_folds_hold_as_much_of_every_class_as_can_be():
    codes = np.random.default_rng(0).integers(0, 3, 43)
    found = classes.classes_of(jnp.asarray(codes), 3, 5, False)
    np.testing.assert_array_equal(found.fold, dealt(codes))
    for each in range(3):
        counts = np.bincount(np.asarray(found.fold)[codes == each], minlength=5)
        assert counts.max() - counts.min() <= 1
    apart = classes.classes_of(jnp.asarray(codes), 3, 5, True).fold
    assert np.all(np.diff(apart) >= 0)
    assert int(apart[-1]) == 4

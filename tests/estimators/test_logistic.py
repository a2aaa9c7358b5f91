"""Logistic regression with what recordings taught in its penalty, against scikit-learn."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression

import jaxbrain as jb

D, P = 12, 3
PRIORS = ("plain", "basis", "encoder")
OUTSIDE, INSIDE = 0.05, 0.004


def study(n, classes, seed=0):
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((n, D)) * np.linspace(2, 0.2, D) + 1.0
    logits = inputs @ rng.standard_normal((D, classes)) + rng.gumbel(size=(n, classes))
    encoder = rng.standard_normal((D, P)) * [1.0, 3.0, 0.1]
    targets = np.argmax(logits, axis=1)
    targets[:classes] = np.arange(classes)
    return inputs, targets, encoder


def learn(kind, inputs, targets, encoder, penalty=OUTSIDE, inside=INSIDE, **options):
    if kind == "plain":
        return jb.logistic(inputs, targets, penalty, **options)
    if kind == "encoder":
        options |= dict(encoder=encoder, encoder_penalty=inside)
    else:
        options |= dict(basis=jnp.linalg.qr(encoder)[0], inside_penalty=inside)
    return jb.logistic(inputs, targets, penalty, **options)


def oracle(kind, inputs, targets, encoder, penalty=OUTSIDE, inside=INSIDE):
    """A root of the prior covariance makes features whose penalty is 1."""
    prior = np.eye(D) / penalty
    if kind == "basis":
        basis = np.linalg.qr(encoder)[0]
        prior = prior + (1 / inside - 1 / penalty) * basis @ basis.T
    if kind == "encoder":
        prior = prior + D / np.sum(encoder**2) * encoder @ encoder.T / inside
    root = np.linalg.cholesky(prior)
    # At a gradient of 1e-12 its line search may warn, on some machines, that rounding stops it.
    fitted = LogisticRegression(C=1 / len(inputs), solver="newton-cg", tol=1e-9)
    fitted.fit(inputs @ root, targets)
    return (root @ fitted.coef_.T), fitted.intercept_


@pytest.mark.parametrize("n", [10, 80])
@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("kind", PRIORS)
def test_it_is_that_of_scikit_learn(kind, classes, n):
    inputs, targets, encoder = study(n, classes)
    found = learn(kind, inputs, targets, encoder)
    weights, intercept = oracle(kind, inputs, targets, encoder)
    columns = np.asarray(found.weights).reshape(D, -1)
    np.testing.assert_allclose(columns, weights, atol=1e-5)
    assert found.weights.shape == ((D,) if classes == 2 else (D, classes))
    # What all intercepts share is nobody's.
    own = np.atleast_1d(found.intercept)
    shared = 0.0 if classes == 2 else np.mean(own - intercept)
    np.testing.assert_allclose(own - shared, intercept, atol=1e-5)
    log_p = found.log_probabilities(inputs)
    assert log_p.shape == (n, classes)
    np.testing.assert_allclose(np.sum(np.exp(log_p), axis=1), 1.0)
    for wrong in (
        oracle(kind, inputs, targets, encoder, 2 * OUTSIDE, 2 * INSIDE),
        oracle(kind, inputs, targets, encoder, INSIDE, OUTSIDE),
    ):
        assert np.max(np.abs(columns - wrong[0])) > 1e-2


@pytest.mark.parametrize("classes", [2, 3])
def test_the_gradient_vanishes_to_rounding(classes):
    """Closer than scikit-learn comes."""
    inputs, targets, _ = study(80, classes)
    found = jb.logistic(inputs, targets, OUTSIDE)

    def objective(weights, intercept):
        log_p = jb.estimators.Logistic(weights, intercept).log_probabilities(inputs)
        seen = jnp.take_along_axis(log_p, jnp.asarray(targets)[:, None], axis=1)
        return -jnp.mean(seen) + OUTSIDE / 2 * jnp.sum(weights**2)

    for slope in jax.grad(objective, argnums=(0, 1))(*found):
        np.testing.assert_allclose(slope, 0.0, atol=1e-12)


def test_limits():
    inputs, targets, encoder = study(80, 2)
    plain = jb.logistic(inputs, targets, OUTSIDE)
    same = learn("basis", inputs, targets, encoder, OUTSIDE, OUTSIDE)
    np.testing.assert_allclose(same.weights, plain.weights, atol=1e-10)
    alone = learn("encoder", inputs, targets, encoder, OUTSIDE, np.inf)
    np.testing.assert_allclose(alone.weights, plain.weights, atol=1e-10)
    nothing = jb.logistic(inputs, targets, np.inf)
    np.testing.assert_allclose(nothing.weights, 0.0)
    share = np.mean(targets)
    np.testing.assert_allclose(nothing.intercept, np.log(share / (1 - share)))
    # Of rows that can be told apart, probabilities go to 1 as slowly as the penalty lets them.
    apart = jb.logistic(inputs, inputs[:, 0] > 1, 1e-9)
    assert float(jnp.max(apart.log_probabilities(inputs)[inputs[:, 0] > 1, 0])) < -3


def test_a_class_that_no_row_shows_has_no_probability():
    inputs, targets, _ = study(80, 3)
    # The second of four.
    codes = np.array([0, 2, 3])[targets]
    found = jb.logistic(inputs, codes, OUTSIDE)
    np.testing.assert_array_equal(found.log_probabilities(inputs)[:, 1], -np.inf)
    plain = jb.logistic(inputs, targets, OUTSIDE)
    np.testing.assert_allclose(found.weights[:, [0, 2, 3]], plain.weights, atol=1e-9)
    alone = jb.logistic(inputs, np.ones(80, int), OUTSIDE)
    np.testing.assert_array_equal(alone.log_probabilities(inputs), [[-np.inf, 0.0]] * 80)


@pytest.mark.parametrize(("kind", "n"), [("plain", 80), ("basis", 10), ("encoder", 10)])
def test_derivatives(kind, n):
    inputs, targets, encoder = study(n, 3)

    def size(inputs, encoder, penalty, inside):
        found = learn(kind, inputs, targets, encoder, penalty, inside, n_classes=3)
        return jnp.sum(found.weights[:, 0] ** 2) + found.intercept[0] - found.intercept[1]

    at = tuple(jnp.asarray(x) for x in (inputs, encoder, OUTSIDE, INSIDE))
    slopes = jax.grad(size, argnums=(0, 1, 2, 3))(*at)
    rng = np.random.default_rng(1)
    for i, slope in enumerate(slopes):
        along = rng.standard_normal(np.shape(at[i]))
        step = 1e-5 * (0.01 if i > 1 else 1.0)
        ends = [
            size(*(x + sign * step * along if i == j else x for j, x in enumerate(at)))
            for sign in (1, -1)
        ]
        expected = (ends[0] - ends[1]) / (2 * step)
        np.testing.assert_allclose(np.sum(slope * along), expected, rtol=1e-4, atol=1e-7)


def test_it_maps_over_penalties_and_in_single_precision():
    inputs, targets, _ = study(80, 3)
    penalties = jnp.asarray([0.01, 0.1, 10.0])
    many = jax.jit(jax.vmap(lambda each: jb.logistic(inputs, targets, each)))(penalties)
    for i, penalty in enumerate(penalties):
        alone = jb.logistic(inputs, targets, penalty).weights
        np.testing.assert_allclose(many.weights[i], alone, atol=1e-9)
    single = jb.logistic(np.float32(inputs), targets, np.float32(0.1))
    assert single.weights.dtype == jnp.float32
    np.testing.assert_allclose(single.weights, many.weights[1], atol=2e-4)
    # Of a penalty that is lost in rounding no weights are made up.
    with pytest.raises(ValueError, match="larger penalty"):
        jb.logistic(np.float32(inputs[:10]), targets[:10], np.float32(1e-12))


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (dict(targets=np.linspace(0, 1, 80)), "targets must be classes"),
        (dict(targets=np.arange(80) - 1), "targets must be classes"),
        (dict(targets=np.zeros(80)), "all of class 0"),
        (dict(targets=np.full(80, np.nan)), "targets"),
        (dict(targets=np.ones((80, 2))), "targets must have shape"),
        (dict(n_classes=2), "n_classes must be at least 3"),
        (dict(penalty=0.0), "penalty must be"),
        (dict(basis=np.eye(D)[:, :2]), "basis and inside_penalty belong together"),
        (dict(encoder_penalty=1.0), "encoder and encoder_penalty belong together"),
        (dict(inputs=np.full((80, D), np.nan)), "inputs"),
    ],
)
def test_wrong_arguments_are_named(changed, said):
    inputs, targets, _ = study(80, 3)
    with pytest.raises(ValueError, match=said):
        jb.logistic(**(dict(inputs=inputs, targets=targets, penalty=1.0) | changed))


def test_classes_that_are_traced_need_their_number():
    inputs, targets, _ = study(80, 3)
    with pytest.raises(ValueError, match="n_classes must be given"):
        jax.make_jaxpr(lambda y: jb.logistic(inputs, y, 1.0))(targets)
    traced = jax.eval_shape(lambda y: jb.logistic(inputs, y, 1.0, n_classes=3), targets)
    assert traced.weights.shape == (D, 3)

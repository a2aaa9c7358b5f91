"""Both stages of BEFS, their rivals and their controls, as pure functions of arrays.

Oracles: least squares on augmented rows (NumPy's SVD solver), scikit-learn's ridge, reduced-rank
regression by SVD and by alternating least squares, central differences.
"""

from functools import partial

import jax
import jax.extend
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import sklearn.linear_model
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxbrain as jb
from jaxbrain.estimators.task import penalty_path

INF = np.inf
EPS = np.finfo(float).eps

property_test = settings(max_examples=15, deadline=None, derandomize=True, database=None)
seeds = st.integers(0, 2**32 - 1)


def orthonormal(rng, d, k):
    return np.linalg.qr(rng.normal(size=(d, k)))[0]


def task_data(seed, n, d, k, tasks=None):
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(n, d))
    targets = rng.normal(size=(n,) if tasks is None else (n, tasks))
    return inputs, targets, orthonormal(rng, d, k)


def augmented(inputs, targets, basis, penalty, inside_penalty):
    """BEFS as least squares: rows √(nλ) times the coordinates that λ penalises, with target 0.

    In coordinates of the subspace and its complement, each divided by √(1 + λ) so that any finite λ
    is as well-conditioned as 1. Coordinates with an infinite penalty are left out.
    """
    n, d = inputs.shape
    k = basis.shape[1]
    frame = np.concatenate([basis, np.linalg.svd(basis)[0][:, k:]], axis=1)
    penalties = np.concatenate([np.full(k, inside_penalty), np.full(d - k, penalty)])
    free = np.isfinite(penalties)
    frame = frame[:, free] / np.sqrt(1 + penalties[free])
    lengths = np.sqrt(n * penalties[free] / (1 + penalties[free]))
    rows = np.concatenate([inputs @ frame, np.diag(lengths)])
    return frame, rows, np.concatenate([targets, np.zeros((len(lengths), *targets.shape[1:]))])


def befs_oracle(inputs, targets, basis, penalty, inside_penalty=0.0):
    frame, rows, filled = augmented(inputs, targets, basis, penalty, inside_penalty)
    return frame @ np.linalg.lstsq(rows, filled, rcond=0)[0]


def normal_equations_accuracy(*regression, eps=EPS):
    """What solving by normal equations may cost: eps times the squared condition.

    More where the solution is small against the labels, of which little is then explained.
    """
    _, rows, filled = augmented(*regression)
    coordinates = np.linalg.lstsq(rows, filled, rcond=0)[0]
    explained = np.linalg.norm(rows, 2) * np.linalg.norm(coordinates) / np.linalg.norm(filled)
    return 20 * eps * np.linalg.cond(rows) ** 2 / min(explained, 1.0)


def relative_error(found, expected):
    found, expected = np.asarray(found, float), np.asarray(expected, float)
    return np.linalg.norm(found - expected) / np.linalg.norm(expected)


def central_difference(function, step=1e-5):
    return (function(step) - function(-step)) / (2 * step)


# ------------------------------------------------------------------------------ the task stage

SHAPES = {  # n, d, k, number of tasks
    "many rows": (40, 12, 3, None),
    "as many rows as inputs": (12, 12, 3, 2),
    "fewer rows than inputs": (9, 12, 2, None),
    "rows between d - k and d": (10, 12, 4, 3),
    "as many rows as latents": (4, 12, 4, 1),
    "one latent": (30, 5, 1, 2),
    "one direction outside": (30, 5, 4, None),
}
PENALTIES = [0.0, 1e-8, 1e-4, 1e-2, 0.3, 1.0, 7.0, 1e3, 1e6, 1e12, INF]


@pytest.mark.parametrize(("n", "d", "k", "tasks"), SHAPES.values(), ids=SHAPES)
def test_befs_and_its_path_are_least_squares_on_augmented_rows(n, d, k, tasks):
    inputs, targets, basis = task_data(n, n, d, k, tasks)
    penalties = np.array([penalty for penalty in PENALTIES if penalty > 0 or n >= d])
    for inside_penalty in (0.0, 1e-3, 2.0, INF):
        path = jb.befs_path(inputs, targets, basis, penalties, inside_penalty)
        assert path.shape == (len(penalties), d, *targets.shape[1:])
        for penalty, on_path in zip(penalties, path, strict=True):
            regression = inputs, targets, basis, penalty, inside_penalty
            single = jb.befs(*regression)
            if penalty == inside_penalty == INF:
                assert not np.any(single)
                assert not np.any(on_path)
                continue
            expected, accuracy = befs_oracle(*regression), normal_equations_accuracy(*regression)
            assert relative_error(single, expected) < accuracy
            assert relative_error(on_path, expected) < accuracy


def test_the_comparison_with_least_squares_has_power():
    """Penalties a data set (not a sample), swapped, or off by 1 % are all told apart."""
    inputs, targets, basis = task_data(0, 40, 12, 3)
    found = jb.befs(inputs, targets, basis, 0.3, 0.02)
    accuracy = normal_equations_accuracy(inputs, targets, basis, 0.3, 0.02)
    assert relative_error(found, befs_oracle(inputs, targets, basis, 0.3, 0.02)) < accuracy
    for wrong in ((0.3 / 40, 0.02 / 40), (0.02, 0.3), (0.303, 0.02), (0.3, 0.0202)):
        assert relative_error(found, befs_oracle(inputs, targets, basis, *wrong)) > accuracy


@pytest.mark.parametrize(("n", "d"), [(40, 12), (12, 12), (7, 12)])
@pytest.mark.parametrize("tasks", [None, 3])
def test_ridge_is_that_of_scikit_learn(n, d, tasks):
    inputs, targets, basis = task_data(n, n, d, 2, tasks)
    for penalty in (1e-6, 1e-3, 0.1, 1.0, 50.0, 1e6):
        found = jb.ridge(inputs, targets, penalty)
        oracle = sklearn.linear_model.Ridge(alpha=n * penalty, fit_intercept=False, solver="svd")
        expected = oracle.fit(inputs, targets).coef_.T.reshape(found.shape)
        accuracy = normal_equations_accuracy(inputs, targets, basis, penalty, penalty)
        assert found.shape == (d, *targets.shape[1:])
        assert relative_error(found, expected) < accuracy
        wrong = oracle.set_params(alpha=penalty).fit(inputs, targets).coef_.T.reshape(found.shape)
        assert relative_error(found, wrong) > accuracy
    assert not np.any(jb.ridge(inputs, targets, INF))


@pytest.mark.parametrize(("n", "d"), [(40, 12), (12, 12)])
@pytest.mark.parametrize("tasks", [None, 3])
def test_task_only_is_ordinary_least_squares(n, d, tasks):
    inputs, targets, basis = task_data(n, n, d, 2, tasks)
    expected = np.linalg.lstsq(inputs, targets, rcond=None)[0]
    accuracy = 100 * EPS * np.linalg.cond(inputs) ** 2
    found = jb.task_only(inputs, targets)
    assert found.shape == (d, *targets.shape[1:])
    assert relative_error(found, expected) < accuracy
    # A penalty of 0 is no penalty at all.
    assert relative_error(jb.ridge(inputs, targets, 0.0), expected) < accuracy
    assert relative_error(jb.befs(inputs, targets, basis, 0.0), expected) < accuracy
    assert relative_error(jb.befs(inputs, targets, basis, 1e-3), expected) > accuracy


@pytest.mark.parametrize("n", [40, 12, 7])
def test_infinite_penalty_is_least_squares_inside_the_subspace(n):
    inputs, targets, basis = task_data(n, n, 12, 3, 2)
    expected = basis @ np.linalg.lstsq(inputs @ basis, targets, rcond=None)[0]
    found = jb.befs(inputs, targets, basis, INF)
    np.testing.assert_allclose(found, expected, rtol=0, atol=1e-13)
    np.testing.assert_allclose(basis @ (basis.T @ found), found, rtol=0, atol=1e-14)
    # A large penalty comes near as 1/λ: the limit is continuous.
    far = relative_error(jb.befs(inputs, targets, basis, 1e5), expected)
    farther = relative_error(jb.befs(inputs, targets, basis, 1e7), expected)
    np.testing.assert_allclose(far / farther, 100, rtol=1e-3)


@pytest.mark.parametrize("n", [40, 7])
def test_equal_penalties_are_ridge_whatever_the_subspace(n):
    inputs, targets, basis = task_data(n, n, 12, 3, 2)
    for penalty in (1e-2, 1.0, 30.0):
        expected = jb.ridge(inputs, targets, penalty)
        assert relative_error(jb.befs(inputs, targets, basis, penalty, penalty), expected) < 1e-12
        assert (
            relative_error(jb.befs(inputs, targets, basis, penalty, 0.5 * penalty), expected) > 1e-3
        )


@property_test
@given(
    seed=seeds,
    n=st.sampled_from([7, 40]),
    penalty=st.sampled_from([0.01, 1.0, 100.0, INF]),
    inside_penalty=st.sampled_from([0.0, 0.2]),
)
def test_only_the_span_of_the_basis_matters(seed, n, penalty, inside_penalty):
    inputs, targets, basis = task_data(seed, n, 12, 3, 2)
    rotation = orthonormal(np.random.default_rng(seed + 1), 3, 3)
    plain = jb.befs(inputs, targets, basis, penalty, inside_penalty)
    rotated = jb.befs(inputs, targets, basis @ rotation, penalty, inside_penalty)
    regression = inputs, targets, basis, penalty, inside_penalty
    assert relative_error(rotated, plain) < normal_equations_accuracy(*regression)
    path = jb.befs_path(inputs, targets, basis, np.array([penalty, 2.0]), inside_penalty)
    on_path = jb.befs_path(
        inputs, targets, basis @ rotation, np.array([penalty, 2.0]), inside_penalty
    )
    assert relative_error(on_path[0], path[0]) < normal_equations_accuracy(*regression)


def test_one_refinement_gives_back_the_digits_of_the_gram_matrix():
    """With labels that fit well, the error grows as the condition, not as its square."""
    rng = np.random.default_rng(1)
    n, d = 40, 12
    left, right = orthonormal(rng, n, d), orthonormal(rng, d, d)
    inputs = (left * np.geomspace(1.0, 1e-5, d)) @ right.T
    weights = rng.normal(size=d)
    targets = inputs @ weights
    accuracy = 100 * EPS * 1e5
    assert relative_error(jb.task_only(inputs, targets), weights) < accuracy
    assert relative_error(jb.befs(inputs, targets, right[:, :3], 0.0), weights) < accuracy
    naive = np.linalg.solve(inputs.T @ inputs, inputs.T @ targets)
    assert relative_error(naive, weights) > accuracy


# ---------------------------------------------------------------------- one factorisation a path


def decompositions(jaxpr):
    """Name and operand shape of every matrix decomposition in a jaxpr, inner ones included."""
    found = []
    for equation in jaxpr.eqns:
        if equation.primitive.name in {"eigh", "cholesky", "svd", "qr", "geqrf", "lu"}:
            found.append((equation.primitive.name, equation.invars[0].aval.shape))
        for inner in jax.extend.core.jaxprs_in_params(equation.params):
            found += decompositions(inner)
    return found


@pytest.mark.parametrize("n", [40, 7])
def test_path_factorises_once_for_all_penalties(n):
    inputs, targets, basis = task_data(0, n, 12, 3)

    def on_path(penalties):
        return decompositions(
            jax.make_jaxpr(lambda c: jb.befs_path(inputs, targets, basis, c))(penalties).jaxpr
        )

    def one_by_one(penalties):
        befs = jax.vmap(lambda c: jb.befs(inputs, targets, basis, c))
        return decompositions(jax.make_jaxpr(befs)(penalties).jaxpr)

    few, many = jnp.geomspace(0.1, 1.0, 2), jnp.geomspace(0.1, 1.0, 50)
    assert on_path(many) == on_path(few)
    assert [name for name, _ in on_path(many)].count("eigh") == 1
    assert all(len(shape) == 2 for _, shape in on_path(many))
    # Mapping the single solve over penalties is what the path is there to avoid.
    # Few rows are a system of their own size.
    assert ("cholesky", (50, min(n, 12), min(n, 12))) in one_by_one(many)


def test_jitted_stages_are_traced_once_for_all_penalties():
    inputs, targets, basis = task_data(0, 30, 8, 2)
    recordings = np.random.default_rng(1).normal(size=(30, 5))
    traces = []

    @jax.jit
    def stages(encoding_ridge, penalty, inside_penalty, penalties):
        traces.append(penalties.shape)
        learned = jb.encode(inputs, recordings, 2, encoding_ridge)
        return (
            jb.ridge(inputs, targets, penalty),
            jb.befs(inputs, targets, learned, penalty, inside_penalty),
            jb.befs_path(inputs, targets, basis, penalties, inside_penalty),
        )

    for encoding_ridge, penalty in ((0.0, 0.0), (1e-3, 1e-3), (2.0, 5.0), (10.0, INF)):
        stages(encoding_ridge, penalty, 0.1, np.array([penalty, 1.0, 2.0]))
    assert traces == [(3,)]
    stages(0.1, 0.1, 0.1, np.ones(4))
    assert traces == [(3,), (4,)]


def test_changing_penalties_compiles_nothing_anew():
    inputs, targets, basis = task_data(0, 30, 8, 2)
    compiled = []

    def listen(event, *_, **__):
        if event == "/jax/core/compile/backend_compile_duration":
            compiled.append(event)

    def regressions(penalty, inside_penalty, penalties):
        jb.ridge(inputs, targets, penalty)
        jb.befs(inputs, targets, basis, penalty, inside_penalty)
        jb.befs_path(inputs, targets, basis, penalties, inside_penalty)

    jax.monitoring.register_event_duration_secs_listener(listen)
    try:
        regressions(0.1, 0.0, np.array([0.1, 1.0]))
        assert compiled
        compiled.clear()
        for penalty in (0.0, 1e-3, 5.0, INF):
            regressions(penalty, penalty / 2, np.array([penalty, 2.0]))
            regressions(np.float64(penalty), 1, np.array([3.0, penalty]))
        assert not compiled
        jb.befs(inputs[:-1], targets[:-1], basis, 1.0)
        assert compiled
    finally:
        jax.monitoring.clear_event_listeners()


@jax.jit
def path_predictions(inputs, targets, basis, penalties, inside_penalty, new_inputs):
    path = penalty_path(inputs, basis, jnp.asarray(inside_penalty))
    return new_inputs @ path.weights(targets, penalties)


@pytest.mark.parametrize("n", [30, 11, 6])
def test_predictions_of_the_path_are_those_of_its_weights(n):
    inputs, targets, basis = task_data(n, n, 12, 3, 2)
    new_inputs = np.random.default_rng(1).normal(size=(5, 12))
    penalties = np.array([0.05, 0.5, 20.0, INF])
    for inside_penalty in (0.0, 0.3, INF):
        found = path_predictions(inputs, targets, basis, penalties, inside_penalty, new_inputs)
        assert found.shape == (4, 5, 2)
        for penalty, predicted in zip(penalties, found, strict=True):
            if penalty == inside_penalty == INF:
                assert not np.any(predicted)
                continue
            regression = inputs, targets, basis, penalty, inside_penalty
            weights, accuracy = befs_oracle(*regression), normal_equations_accuracy(*regression)
            scale = np.linalg.norm(new_inputs, 2) * np.linalg.norm(weights)
            assert np.linalg.norm(predicted - new_inputs @ weights) < accuracy * scale
            other = befs_oracle(inputs, targets, basis, 1.01 * penalty, 1.01 * inside_penalty)
            if inside_penalty < INF and penalty < INF:
                assert np.linalg.norm(predicted - new_inputs @ other) > accuracy * scale


@pytest.mark.parametrize("n", [30, 11, 6])
def test_path_of_a_subspace_of_zeros_is_ridge(n):
    """A basis of zeros stands for no subspace, so that ridge can share a batch with BEFS."""
    inputs, targets, basis = task_data(n, n, 12, 3, 2)
    new_inputs = np.random.default_rng(1).normal(size=(5, 12))
    penalties = np.array([0.05, 0.5, 2.0, 20.0])
    found = path_predictions(inputs, targets, 0 * basis, penalties, 0.3, new_inputs)
    for penalty, predicted in zip(penalties, found, strict=True):
        ridge = sklearn.linear_model.Ridge(alpha=n * penalty, fit_intercept=False, solver="svd")
        expected = ridge.fit(inputs, targets).predict(new_inputs)
        accuracy = normal_equations_accuracy(inputs, targets, basis, penalty, penalty)
        assert relative_error(predicted, expected) < accuracy


# ------------------------------------------------------------------------------ the encoding stage


def encoding_rows(inputs, recordings, ridge):
    """Ridge as extra rows: √(nρ) I with recordings of 0."""
    n, d = inputs.shape
    rows = np.concatenate([inputs, np.sqrt(n * ridge) * np.eye(d)])
    return rows, np.concatenate([recordings, np.zeros((d, recordings.shape[1]))])


def encode_oracle(inputs, recordings, rank, ridge=0.0):
    """Projector by the textbook route: full regression, then the SVD of its fitted values."""
    rows, filled = encoding_rows(inputs, recordings, ridge)
    full = np.linalg.lstsq(rows, filled, rcond=None)[0]
    channels = np.linalg.svd(rows @ full, full_matrices=False)[2][:rank]
    basis = np.linalg.qr(full @ channels.T)[0]
    return basis @ basis.T


def projector_of(basis):
    basis = np.asarray(basis, float)
    return basis @ basis.T


def brain_data(seed, n, d, k, p, noise=0.5):
    rng = np.random.default_rng(seed)
    inputs, encoder = rng.normal(size=(n, d)), orthonormal(rng, d, k)
    readout = rng.normal(size=(p, k))
    recordings = inputs @ encoder @ readout.T + noise * rng.normal(size=(n, p))
    return inputs, recordings, encoder


ENCODINGS = {  # n, d, p, rank, ridge
    "fewer channels than inputs": (60, 10, 6, 3, 0.0),
    "as many channels as inputs": (60, 10, 10, 3, 0.0),
    "more channels than inputs": (60, 10, 25, 3, 0.0),
    "with ridge": (60, 10, 6, 3, 0.4),
    "more channels, with ridge": (60, 10, 25, 3, 0.4),
    "fewer rows than inputs": (7, 10, 6, 3, 0.1),
    "fewer rows, more channels": (7, 10, 25, 3, 0.1),
    "as many rows as inputs": (10, 10, 6, 2, 0.0),
    "one latent": (60, 10, 25, 1, 0.0),
    "all channels": (60, 10, 4, 4, 0.0),
    "all but one input": (60, 10, 25, 9, 0.0),
    "one channel": (60, 10, 1, 1, 0.2),
}


@pytest.mark.parametrize(("n", "d", "p", "rank", "ridge"), ENCODINGS.values(), ids=ENCODINGS)
def test_encode_is_reduced_rank_regression(n, d, p, rank, ridge):
    inputs, recordings, _ = brain_data(2, n, d, 3, p)
    basis = np.asarray(jb.encode(inputs, recordings, rank, ridge))
    assert basis.shape == (d, rank)
    np.testing.assert_allclose(basis.T @ basis, np.eye(rank), atol=1e-13)
    expected = encode_oracle(inputs, recordings, rank, ridge)
    np.testing.assert_allclose(projector_of(basis), expected, atol=1e-9)
    if rank < p and n > d:
        # Principal components of the recordings, or another ridge, choose another subspace.
        channels = np.linalg.svd(recordings)[2][:rank]
        full = np.linalg.lstsq(*encoding_rows(inputs, recordings, ridge), rcond=None)[0]
        components = np.linalg.qr(full @ channels.T)[0]
        assert np.max(np.abs(projector_of(components) - expected)) > 1e-5
        other = encode_oracle(inputs, recordings, rank, ridge + 0.1)
        assert np.max(np.abs(other - expected)) > 1e-5


def encoding_objective(basis, inputs, recordings, ridge):
    """(1/n)‖R − X B‖² + ridge ‖B‖² at the best B whose columns lie in the span of `basis`."""
    rows, filled = encoding_rows(inputs, recordings, ridge)
    read = np.linalg.lstsq(rows @ basis, filled, rcond=None)[0]
    return np.sum((filled - rows @ basis @ read) ** 2) / len(inputs)


def alternating_least_squares(rng, inputs, recordings, rank, ridge, sweeps=1000):
    """A low-rank fit B = A Cᵀ that knows no spectral theory, from a random start."""
    n, d = inputs.shape
    gram = inputs.T @ inputs / n + ridge * np.eye(d)
    cross = inputs.T @ recordings / n
    full = np.linalg.solve(gram, cross)
    channels = rng.normal(size=(recordings.shape[1], rank))
    for _ in range(sweeps):
        channels = np.linalg.qr(channels)[0]
        encoder = full @ channels
        channels = np.linalg.solve(encoder.T @ gram @ encoder, encoder.T @ cross).T
    return encoder


@pytest.mark.parametrize(
    ("n", "d", "p", "rank", "ridge"),
    [(40, 8, 5, 2, 0.0), (40, 8, 12, 3, 0.0), (40, 8, 12, 2, 0.5), (6, 8, 12, 2, 0.2)],
)
def test_no_low_rank_fit_beats_encode(n, d, p, rank, ridge):
    inputs, recordings, _ = brain_data(3, n, d, 3, p, noise=2.0)
    objective = partial(encoding_objective, inputs=inputs, recordings=recordings, ridge=ridge)
    reached = objective(np.asarray(jb.encode(inputs, recordings, rank, ridge)))
    rng = np.random.default_rng(4)
    rivals = [
        objective(alternating_least_squares(rng, inputs, recordings, rank, ridge)) for _ in range(5)
    ]
    assert reached <= min(rivals) * (1 + 1e-12)
    np.testing.assert_allclose(min(rivals), reached, rtol=1e-9)
    # The comparison has power: a small rotation of the subspace is already worse.
    tilted = np.asarray(jb.encode(inputs, recordings, rank, ridge)) + 1e-3 * rng.normal(
        size=(d, rank)
    )
    assert objective(tilted) > reached * (1 + 1e-9)


def test_encode_learns_the_true_subspace_at_the_first_order_rate():
    """(n − d − 1) E‖K̂A‖² tends to (d − k) tr Σenc: nothing but 1/n is left of the error."""
    d, k, p, trials = 10, 2, 12, 60
    rng = np.random.default_rng(5)
    encoder, readout = orthonormal(rng, d, k), rng.normal(size=(p, k))
    pseudo_inverse = np.linalg.pinv(readout)
    encoding_noise = 0.3 * np.eye(k) + 2.0 * pseudo_inverse @ pseudo_inverse.T
    expected = (d - k) * np.trace(encoding_noise)

    def scaled_errors(n):
        errors = []
        for _ in range(trials):
            inputs = rng.normal(size=(n, d))
            latents = inputs @ encoder + np.sqrt(0.3) * rng.normal(size=(n, k))
            recordings = latents @ readout.T + np.sqrt(2.0) * rng.normal(size=(n, p))
            basis = np.asarray(jb.encode(inputs, recordings, k))
            errors.append(k - np.sum((basis.T @ encoder) ** 2))
        return (n - d - 1) * np.array(errors)

    few, many = scaled_errors(5_000), scaled_errors(20_000)
    for errors in (few, many):
        standard_error = np.std(errors, ddof=1) / np.sqrt(trials)
        assert abs(np.mean(errors) - expected) < 4 * standard_error
        # The latent noise alone would not do.
        assert abs(np.mean(errors) - (d - k) * 0.3 * k) > 4 * standard_error


@property_test
@given(seed=seeds, p=st.sampled_from([5, 14]), ridge=st.sampled_from([0.0, 0.3]))
def test_encode_does_not_depend_on_the_frame(seed, p, ridge):
    """Rotating channels changes nothing; rotating inputs rotates the subspace with them."""
    inputs, recordings, _ = brain_data(seed, 40, 9, 3, p)
    rng = np.random.default_rng(seed + 1)
    turn_channels, turn_inputs = orthonormal(rng, p, p), orthonormal(rng, 9, 9)
    order = rng.permutation(40)
    plain = projector_of(jb.encode(inputs, recordings, 3, ridge))
    channels = projector_of(jb.encode(inputs, recordings @ turn_channels, 3, ridge))
    turned = projector_of(jb.encode(inputs @ turn_inputs, recordings, 3, ridge))
    shuffled = projector_of(jb.encode(inputs[order], 7.0 * recordings[order], 3, ridge))
    # Squared condition of the Gram matrix over the gap between kept and dropped.
    strengths = np.linalg.svd(encode_fitted(inputs, recordings, ridge), compute_uv=False) ** 2
    accuracy = 1e4 * EPS * strengths[0] / (strengths[2] - strengths[3])
    np.testing.assert_allclose(channels, plain, atol=accuracy)
    np.testing.assert_allclose(turned, turn_inputs.T @ plain @ turn_inputs, atol=accuracy)
    np.testing.assert_allclose(shuffled, plain, atol=accuracy)


def encode_fitted(inputs, recordings, ridge):
    rows, filled = encoding_rows(inputs, recordings, ridge)
    return rows @ np.linalg.lstsq(rows, filled, rcond=None)[0]


# ------------------------------------------------------------------------------------- derivatives


def degenerate_brain_data(rng, n, d, p, ridge, strengths):
    """Inputs and recordings whose regression has exactly these singular values in the fit.

    With XᵀX + nρ I = L Lᵀ the fit L⁻¹XᵀR is given; R = X(XᵀX)⁻¹L times it, and any residual
    that the inputs do not explain.
    """
    inputs = rng.normal(size=(n, d))
    lower = np.linalg.cholesky(inputs.T @ inputs + n * ridge * np.eye(d))
    rank = len(strengths)
    fit = (orthonormal(rng, d, rank) * strengths) @ orthonormal(rng, p, rank).T
    explained = inputs @ np.linalg.solve(inputs.T @ inputs, lower @ fit)
    noise = rng.normal(size=(n, p))
    return inputs, explained + noise - inputs @ np.linalg.lstsq(inputs, noise, rcond=None)[0]


SINGULAR_VALUES = {
    "distinct": [5.0, 4.0, 2.5, 1.0, 0.5],
    "repeated among the kept": [4.0, 4.0, 2.5, 1.0, 0.5],
    "repeated among the dropped": [5.0, 4.0, 1.0, 1.0, 1.0],
    "repeated in both": [4.0, 4.0, 1.0, 1.0, 1.0],
}


@pytest.mark.parametrize("strengths", SINGULAR_VALUES.values(), ids=SINGULAR_VALUES)
@pytest.mark.parametrize(("p", "ridge"), [(5, 0.0), (5, 0.3), (11, 0.0), (11, 0.3)])
def test_derivative_of_encode_is_that_of_its_projector(strengths, p, ridge):
    rng = np.random.default_rng(6)
    n, d = 20, 7
    inputs, recordings = degenerate_brain_data(rng, n, d, p, ridge, strengths)
    seen = np.linalg.svd(encode_fitted(inputs, recordings, ridge), compute_uv=False)[:5]
    np.testing.assert_allclose(seen, strengths, rtol=1e-12)

    # A ridge of 0 is the end of its range: its central difference does not exist.
    to_ridge = 1.0 if ridge else 0.0
    to_inputs, to_recordings = rng.normal(size=(n, d)), rng.normal(size=(n, p))
    expected = central_difference(
        lambda h: encode_oracle(
            inputs + h * to_inputs, recordings + h * to_recordings, 2, ridge + h * to_ridge
        )
    )
    point = jnp.asarray(inputs), jnp.asarray(recordings), jnp.asarray(ridge)
    tangent = jnp.asarray(to_inputs), jnp.asarray(to_recordings), jnp.asarray(to_ridge)
    weights = jnp.asarray(rng.normal(size=(d, d)))
    moved = pushed_projector(point, tangent)
    np.testing.assert_allclose(moved, expected, rtol=0, atol=1e-7)
    assert np.max(np.abs(expected)) > 1e-2
    along = sum(
        np.sum(gradient * change)
        for gradient, change in zip(pulled_projector(point, weights), tangent, strict=True)
    )
    np.testing.assert_allclose(along, np.sum(weights * expected), rtol=0, atol=1e-6)


def learned_projector(inputs, recordings, ridge):
    basis = jb.encode(inputs, recordings, 2, ridge)
    return basis @ basis.T


@jax.jit
def pushed_projector(point, tangent):
    return jax.jvp(learned_projector, point, tangent)[1]


@jax.jit
def pulled_projector(point, weights):
    return jax.vjp(learned_projector, *point)[1](weights)


@pytest.mark.parametrize("n", [20, 6, 5])
@pytest.mark.parametrize(
    ("penalty", "inside_penalty"), [(0.0, 0.0), (0.5, 0.0), (0.5, 0.2), (0.5, INF), (INF, 0.2)]
)
def test_derivative_of_befs_in_every_argument(n, penalty, inside_penalty):
    """Against central differences of the oracle; the basis moves as a span."""
    if n < 8 and penalty == 0:
        penalty = 1e-2
    rng = np.random.default_rng(7)
    inputs, targets, basis = task_data(8, n, 8, 3, 2)
    directions = [rng.normal(size=a.shape) for a in (inputs, targets, basis)]
    # Penalties of 0 and infinity are ends of their range.
    for value in (penalty, inside_penalty):
        directions.append(np.asarray(0.3 * value if 0 < value < INF else 0.0))

    point = [np.asarray(value) for value in (inputs, targets, basis, penalty, inside_penalty)]

    def moved_oracle(h):
        moved = [
            value + h * change if np.any(change) else value
            for value, change in zip(point, directions, strict=True)
        ]
        moved[2] = np.linalg.qr(moved[2])[0]
        return befs_oracle(*moved)

    expected = central_difference(moved_oracle)
    primal = tuple(jnp.asarray(value) for value in point)
    tangent = tuple(jnp.asarray(change) for change in directions)
    np.testing.assert_allclose(pushed_befs(primal, tangent), expected, rtol=0, atol=1e-7)
    assert np.max(np.abs(expected)) > 1e-2
    weights = jnp.asarray(rng.normal(size=expected.shape))
    gradients = pulled_befs(primal, weights)
    assert all(np.all(np.isfinite(gradient)) for gradient in gradients)
    along = sum(np.sum(g * t) for g, t in zip(gradients, tangent, strict=True))
    np.testing.assert_allclose(along, np.sum(weights * expected), rtol=0, atol=1e-6)


def befs_of_span(inputs, targets, directions, penalty, inside_penalty):
    return jb.befs(inputs, targets, jnp.linalg.qr(directions)[0], penalty, inside_penalty)


@jax.jit
def pushed_befs(point, tangent):
    return jax.jvp(befs_of_span, point, tangent)[1]


@jax.jit
def pulled_befs(point, weights):
    return jax.vjp(befs_of_span, *point)[1](weights)


def test_derivative_at_the_ends_of_the_penalty():
    """At 0 the weights leave least squares by −(XᵀX/n)⁻¹K̂β; at infinity they move no more."""
    inputs, targets, basis = task_data(9, 20, 8, 3)
    slope = jax.jit(jax.jacfwd(lambda c: jb.befs(inputs, targets, basis, c)))
    least_squares = np.linalg.lstsq(inputs, targets, rcond=None)[0]
    outside = least_squares - basis @ (basis.T @ least_squares)
    expected = -np.linalg.solve(inputs.T @ inputs / 20, outside)
    np.testing.assert_allclose(slope(0.0), expected, rtol=1e-10)
    assert not np.any(slope(INF))
    assert np.any(slope(1e6))


@pytest.mark.parametrize("n", [20, 6])
def test_derivative_of_the_path_in_penalties_and_targets(n):
    inputs, targets, basis = task_data(10, n, 8, 3, 2)
    rng = np.random.default_rng(11)
    penalties = np.array([0.05, 0.5, 4.0])
    to_targets, to_penalties = rng.normal(size=targets.shape), 0.3 * penalties
    expected = central_difference(
        lambda h: np.stack(
            [
                befs_oracle(inputs, targets + h * to_targets, basis, penalty, 0.1)
                for penalty in penalties + h * to_penalties
            ]
        )
    )

    def path(targets, penalties):
        return jb.befs_path(inputs, targets, basis, penalties, 0.1)

    point, tangent = (jnp.asarray(targets), jnp.asarray(penalties)), (to_targets, to_penalties)
    moved = jax.jit(lambda: jax.jvp(path, point, tangent)[1])()
    np.testing.assert_allclose(moved, expected, rtol=0, atol=1e-7)
    weights = rng.normal(size=expected.shape)
    gradients = jax.jit(jax.grad(lambda *a: jnp.sum(weights * path(*a)), argnums=(0, 1)))(*point)
    along = sum(np.sum(g * t) for g, t in zip(gradients, tangent, strict=True))
    np.testing.assert_allclose(along, np.sum(weights * expected), rtol=0, atol=1e-6)


# ---------------------------------------------------------------------------------- jit and vmap


def test_trials_map_like_a_loop():
    """The whole estimator on a batch of trials, jitted and vmapped, against one at a time."""
    trials = 4
    tasks = [task_data(seed, 20, 8, 3, 2) for seed in range(trials)]
    brains = [brain_data(seed, 30, 8, 3, 6) for seed in range(trials)]
    penalties = np.array([0.0, 0.3, INF])

    def both_stages(inputs, recordings, task_inputs, targets, penalty):
        basis = jb.encode(inputs, recordings, 3, 0.1)
        return (
            basis @ basis.T,
            jb.befs(task_inputs, targets, basis, penalty, 0.1),
            jb.befs_path(task_inputs, targets, basis, penalties),
            jb.ridge(task_inputs, targets, penalty),
            jb.task_only(task_inputs, targets),
        )

    arguments = [
        (inputs, recordings, task_inputs, targets, penalty)
        for (inputs, recordings, _), (task_inputs, targets, _), penalty in zip(
            brains, tasks, (0.01, 1.0, 30.0, INF), strict=True
        )
    ]
    together = jax.jit(jax.vmap(both_stages))(*(np.stack(a) for a in zip(*arguments, strict=True)))
    for trial, given_arguments in enumerate(arguments):
        for mapped, alone in zip(together, both_stages(*given_arguments), strict=True):
            np.testing.assert_allclose(mapped[trial], alone, rtol=0, atol=1e-11)
    assert np.max(np.abs(together[1][0] - together[1][1])) > 0.1


# -------------------------------------------------------------------------------------- controls


def uniformity_scores(projectors):
    """Deviations, in standard errors, from the moments of a uniformly random subspace.

    E P = (k/d) I and E P₁₁² = k(k + 2)/(d(d + 2)).
    """
    trials, d, _ = projectors.shape
    k = round(float(np.trace(projectors[0])))
    rows, columns = np.triu_indices(d)
    first = projectors[:, rows, columns] - np.where(rows == columns, k / d, 0.0)
    second = np.diagonal(projectors, axis1=1, axis2=2) ** 2 - k * (k + 2) / (d * (d + 2))
    samples = np.concatenate([first, second], axis=1)
    return np.mean(samples, axis=0) / (np.std(samples, axis=0, ddof=1) / np.sqrt(trials))


def test_random_subspace_is_orthonormal_and_uniform():
    keys = jr.split(jr.key(0), 4_000)
    bases = np.asarray(jax.vmap(lambda key: jb.random_subspace(key, 6, 2))(keys))
    gram = np.swapaxes(bases, 1, 2) @ bases
    np.testing.assert_allclose(gram, np.broadcast_to(np.eye(2), gram.shape), atol=1e-13)
    assert np.max(np.abs(uniformity_scores(bases @ np.swapaxes(bases, 1, 2)))) < 4.5
    # Directions drawn from a cube instead of a Gaussian are not uniform, and are seen not to be.
    skewed = np.linalg.qr(np.random.default_rng(0).uniform(size=(4_000, 6, 2)))[0]
    assert np.max(np.abs(uniformity_scores(skewed @ np.swapaxes(skewed, 1, 2)))) > 4.5


def test_shuffled_recordings_are_a_random_permutation_of_the_rows():
    recordings = np.random.default_rng(0).normal(size=(50, 3))
    shuffled = np.asarray(jb.shuffle_recordings(jr.key(0), recordings))
    order = np.argmin(np.abs(shuffled[:, None, 0] - recordings[None, :, 0]), axis=1)
    np.testing.assert_array_equal(shuffled, recordings[order])
    np.testing.assert_array_equal(np.sort(order), np.arange(50))
    assert np.sum(order == np.arange(50)) < 10
    # Each row comes to each place equally often.
    trials, n = 4_000, 4
    keys = jr.split(jr.key(1), trials)
    rows = jnp.arange(float(n))[:, None]
    places = np.asarray(jax.vmap(lambda key: jb.shuffle_recordings(key, rows))(keys))[..., 0]
    frequency = np.mean(places[:, :, None] == np.arange(n), axis=0)
    standard_error = np.sqrt((1 / n) * (1 - 1 / n) / trials)
    assert np.max(np.abs(frequency - 1 / n)) < 4 * standard_error


def test_encoding_shuffled_recordings_teaches_nothing():
    inputs, recordings, encoder = brain_data(0, 4_000, 10, 2, 6)
    shuffled = jb.encode(inputs, jb.shuffle_recordings(jr.key(0), recordings), 2)
    learned = jb.encode(inputs, recordings, 2)
    assert np.sum((np.asarray(learned).T @ encoder) ** 2) > 1.99
    assert np.sum((np.asarray(shuffled).T @ encoder) ** 2) < 1.5


def test_oracle_subspace_confines_the_weights_to_the_truth():
    """With labels without noise and a task inside the subspace, k labels teach it."""
    rng = np.random.default_rng(0)
    encoder = orthonormal(rng, 12, 3)
    task_weights = encoder @ rng.normal(size=3)
    model = jb.LinearGaussianModel(encoder, rng.normal(size=(5, 3)), 0.5, 1.0, task_weights, 1.0)
    basis = jb.oracle_subspace(model)
    np.testing.assert_allclose(basis @ basis.T, encoder @ encoder.T, atol=1e-14)
    inputs = rng.normal(size=(7, 12))
    weights = jb.befs(inputs, np.stack([inputs @ task_weights] * 2, axis=1), basis, INF)
    np.testing.assert_allclose(weights[:, 0], task_weights, rtol=0, atol=1e-12)


# ------------------------------------------------------------------------- what is wrong is named

X, Y, B = task_data(0, 20, 8, 3)
R = np.random.default_rng(1).normal(size=(20, 5))
ONES = np.ones(8)

WRONG_ARGUMENTS = {
    "task_only: fewer rows than inputs": (lambda: jb.task_only(X[:7], Y[:7]), "n_task"),
    "task_only: targets of another length": (lambda: jb.task_only(X, Y[:-1]), "targets"),
    "task_only: targets with three axes": (lambda: jb.task_only(X, Y[:, None, None]), "targets"),
    "task_only: flat inputs": (lambda: jb.task_only(Y, Y), "inputs"),
    "task_only: complex inputs": (lambda: jb.task_only(X + 0j, Y), "inputs"),
    "ridge: fewer rows than inputs": (lambda: jb.ridge(X[:7], Y[:7], 0.0), "pass penalty > 0"),
    "ridge: negative": (lambda: jb.ridge(X, Y, -1e-3), "penalty must be at least 0"),
    "ridge: not a number": (lambda: jb.ridge(X, Y, np.nan), "penalty must be a number"),
    "ridge: several penalties": (lambda: jb.ridge(X, Y, ONES), r"penalty must have shape \(\)"),
    "ridge: targets of another length": (lambda: jb.ridge(X, Y[:-1], 1.0), "targets"),
    "befs: fewer rows than inputs": (lambda: jb.befs(X[:7], Y[:7], B, 0.0), "pass penalty > 0"),
    "befs: fewer rows than latents": (
        lambda: jb.befs(X[:2], Y[:2], B, 1.0),
        "pass inside_penalty > 0",
    ),
    "befs: targets of another length": (lambda: jb.befs(X, Y[:-1], B, 1.0), "targets"),
    "befs: flat inputs": (lambda: jb.befs(Y, Y, B, 1.0), "inputs"),
    "befs: basis of other inputs": (lambda: jb.befs(X, Y, B[:-1], 1.0), "basis"),
    "befs: flat basis": (lambda: jb.befs(X, Y, B[:, 0], 1.0), "basis"),
    "befs: basis of everything": (lambda: jb.befs(X, Y, np.eye(8), 1.0), "basis"),
    "befs: basis not of length 1": (lambda: jb.befs(X, Y, 1.001 * B, 1.0), "basis"),
    "befs: basis not orthogonal": (lambda: jb.befs(X, Y, np.ones((8, 3)), 1.0), "basis"),
    "befs: basis not a number": (lambda: jb.befs(X, Y, np.nan * B, 1.0), "basis"),
    "befs: negative": (lambda: jb.befs(X, Y, B, -1.0), "penalty must be at least 0"),
    "befs: negative inside": (
        lambda: jb.befs(X, Y, B, 1.0, -1.0),
        "inside_penalty must be at least 0",
    ),
    "befs: several penalties": (lambda: jb.befs(X, Y, B, ONES), r"penalty must have shape \(\)"),
    "befs: several inside penalties": (
        lambda: jb.befs(X, Y, B, 1.0, ONES),
        r"inside_penalty must have shape \(\)",
    ),
    "befs_path: a single penalty": (lambda: jb.befs_path(X, Y, B, np.array(1.0)), "penalties"),
    "befs_path: negative": (
        lambda: jb.befs_path(X, Y, B, np.array([1.0, -1.0])),
        "penalties must be at least 0",
    ),
    "befs_path: fewer rows than inputs": (
        lambda: jb.befs_path(X[:7], Y[:7], B, np.array([1.0, 0.0])),
        "pass penalties > 0",
    ),
    "befs_path: fewer rows than latents": (
        lambda: jb.befs_path(X[:2], Y[:2], B, np.ones(2)),
        "pass inside_penalty > 0",
    ),
    "befs_path: several inside penalties": (
        lambda: jb.befs_path(X, Y, B, np.ones(2), np.ones(3)),
        r"inside_penalty must have shape \(\)",
    ),
    "befs_path: basis not orthogonal": (
        lambda: jb.befs_path(X, Y, np.ones((8, 3)), np.ones(2)),
        "basis",
    ),
    "encode: fewer rows than inputs": (lambda: jb.encode(X[:7], R[:7], 2), "pass ridge > 0"),
    "encode: recordings of another length": (lambda: jb.encode(X, R[:-1], 2), "recordings"),
    "encode: flat recordings": (lambda: jb.encode(X, Y, 1), "recordings"),
    "encode: flat inputs": (lambda: jb.encode(Y, R, 1), "inputs"),
    "encode: rank 0": (lambda: jb.encode(X, R, 0), "rank"),
    "encode: more latents than channels": (lambda: jb.encode(X, R, 6), "rank"),
    "encode: as many latents as inputs": (lambda: jb.encode(X, np.tile(R, 3), 8), "rank"),
    "encode: more latents than rows": (lambda: jb.encode(X[:3], R[:3], 4, 0.1), "rank"),
    "encode: rank not whole": (lambda: jb.encode(X, R, True), "rank"),
    "encode: negative ridge": (lambda: jb.encode(X, R, 2, -0.1), "ridge must be at least 0"),
    "encode: several ridges": (lambda: jb.encode(X, R, 2, ONES), r"ridge must have shape \(\)"),
    "encode: infinite ridge": (lambda: jb.encode(X, R, 2, INF), "ridge"),
    "random_subspace: rank 0": (lambda: jb.random_subspace(jr.key(0), 8, 0), "rank"),
    "random_subspace: everything": (lambda: jb.random_subspace(jr.key(0), 8, 8), "rank"),
    "random_subspace: one input": (lambda: jb.random_subspace(jr.key(0), 1, 1), "input_dim"),
    "shuffle_recordings: flat": (lambda: jb.shuffle_recordings(jr.key(0), Y), "recordings"),
}


@pytest.mark.parametrize(("call", "named"), WRONG_ARGUMENTS.values(), ids=WRONG_ARGUMENTS)
def test_wrong_argument_is_named(call, named):
    with pytest.raises(ValueError, match=named):
        call()


# ------------------------------------------------------------------------------- single precision


@pytest.mark.parametrize("n", [60, 9])
def test_task_stage_holds_in_single_precision(single_precision, n):
    """Within eps₃₂ times the squared condition of the regression, which normal equations cost."""
    inputs, targets, basis = (a.astype(np.float32).astype(float) for a in task_data(n, n, 12, 3, 2))
    exact_basis = np.linalg.qr(basis)[0]
    eps = np.finfo(np.float32).eps
    penalties = [penalty for penalty in (0.0, 0.1, 3.0, 1e4, INF) if penalty > 0 or n > 12]
    single = [jnp.asarray(a, jnp.float32) for a in (inputs, targets, basis)]
    path = jb.befs_path(*single, np.array(penalties, np.float32), 0.05)
    assert path.dtype == jnp.float32
    for penalty, on_path in zip(penalties, path, strict=True):
        regression = inputs, targets, exact_basis, penalty, 0.05
        expected, accuracy = (
            befs_oracle(*regression),
            normal_equations_accuracy(*regression, eps=eps),
        )
        found = jb.befs(*single, penalty, 0.05)
        assert found.dtype == jnp.float32
        assert relative_error(found, expected) < accuracy
        assert relative_error(on_path, expected) < accuracy
        # That is accuracy enough to see a penalty that is wrong by a factor of two.
        if 0 < penalty < 1e4:
            other = befs_oracle(inputs, targets, exact_basis, 2 * penalty, 0.05)
            assert relative_error(found, other) > accuracy
        if penalty > 0:
            alone = jb.ridge(*single[:2], penalty)
            assert alone.dtype == jnp.float32
            if penalty < INF:
                regression = inputs, targets, exact_basis, penalty, penalty
                accuracy = normal_equations_accuracy(*regression, eps=eps)
                assert relative_error(alone, befs_oracle(*regression)) < accuracy


@pytest.mark.parametrize("p", [6, 25])
def test_encoding_stage_holds_in_single_precision(single_precision, p):
    """Within eps₃₂ times the squared condition, over the relative gap behind the last direction."""
    inputs, recordings, _ = (
        a.astype(np.float32).astype(float) for a in brain_data(12, 200, 10, 3, p)
    )
    strengths = np.linalg.svd(encode_fitted(inputs, recordings, 0.0), compute_uv=False) ** 2
    gap = (strengths[2] - strengths[3]) / strengths[0]
    accuracy = 20 * np.finfo(np.float32).eps * np.linalg.cond(inputs) ** 2 / gap
    basis = jb.encode(inputs.astype(np.float32), recordings.astype(np.float32), 3)
    assert basis.dtype == jnp.float32
    error = np.linalg.norm(projector_of(basis) - encode_oracle(inputs, recordings, 3), 2)
    assert error < accuracy < 1e-2

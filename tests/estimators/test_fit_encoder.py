"""The penalty of the encoding stage, chosen from one factorisation, against refitting in NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jaxtyping import TypeCheckError

import jaxbrain as jb
from jaxbrain.estimators.folds import fold_of_groups
from tests.helpers.regressions import projector_of

SIZES = {"few rows": (30, 50, 4), "many rows": (60, 10, 4), "more channels": (30, 50, 40)}
every_size = pytest.mark.parametrize("size", SIZES.values(), ids=SIZES)


def study(n, d, p, seed=0):
    rng = np.random.default_rng(seed)
    inputs = rng.standard_normal((n, d)) * np.arange(1, d + 1.0) ** -0.5 + 3.0
    readout = rng.standard_normal((3, p))
    noise = rng.standard_normal((n, p)) * np.linspace(0.5, 2.0, p)
    return inputs, inputs[:, :3] @ readout + noise + 1.0


def refitted(inputs, recordings, penalty, members):
    """Squared errors of rows that are left out, n times the penalty held fixed."""
    total, error = len(inputs) * penalty, 0.0
    for group in np.unique(members):
        kept = members != group
        mean, level = inputs[kept].mean(0), recordings[kept].mean(0)
        x = inputs[kept] - mean
        gram = x.T @ x + total * np.eye(x.shape[1])
        weights = np.linalg.solve(gram, x.T @ (recordings[kept] - level))
        missed = recordings[~kept] - level - (inputs[~kept] - mean) @ weights
        error += np.sum(missed**2)
    return error


@every_size
@pytest.mark.parametrize("criterion", ["leave_one_out", "k_fold"])
def test_no_other_penalty_predicts_rows_better_that_are_left_out(size, criterion):
    inputs, recordings = study(*size)
    n = len(inputs)
    members = np.arange(n) if criterion == "leave_one_out" else np.arange(n) * 5 // n
    found = jb.fit_encoder(inputs, recordings, criterion)
    penalty = float(found.penalty)
    errors = [
        refitted(inputs, recordings, penalty * factor, members) for factor in (0.97, 1.0, 1.03)
    ]
    assert errors[1] < min(errors[0], errors[2])
    # Nor far away.
    grid = penalty * 10.0 ** np.arange(-4, 4.1, 0.5)
    assert errors[1] < 1.000001 * min(refitted(inputs, recordings, each, members) for each in grid)
    x, r = inputs - inputs.mean(0), recordings - recordings.mean(0)
    expected = np.linalg.solve(x.T @ x + n * penalty * np.eye(x.shape[1]), x.T @ r)
    np.testing.assert_allclose(found.weights, expected, atol=1e-9)


def test_the_criteria_differ_and_groups_stay_together():
    inputs, recordings = study(60, 10, 4)
    groups = np.random.default_rng(1).permutation(60) % 12
    chosen = {
        name: float(jb.fit_encoder(inputs, recordings, **options).penalty)
        for name, options in {
            "rows": {},
            "folds": dict(penalty="k_fold"),
            "groups": dict(penalty="k_fold", groups=groups),
        }.items()
    }
    assert len({round(np.log(penalty), 4) for penalty in chosen.values()}) == 3
    own = fold_of_groups(groups, 5)
    assert all(len(np.unique(own[groups == each])) == 1 for each in range(12))
    errors = [
        refitted(inputs, recordings, chosen["groups"] * factor, own) for factor in (0.97, 1, 1.03)
    ]
    assert errors[1] < min(errors[0], errors[2])


def test_encode_takes_the_penalty_that_fit_encoder_chooses():
    inputs, recordings = study(30, 50, 4)
    inputs, recordings = inputs - inputs.mean(0), recordings - recordings.mean(0)
    for criterion in ("leave_one_out", "k_fold"):
        penalty = jb.fit_encoder(inputs, recordings, criterion).penalty
        expected = jb.encode(inputs, recordings, 2, penalty)
        found = jb.encode(inputs, recordings, 2, criterion)
        np.testing.assert_allclose(projector_of(found), projector_of(expected), atol=1e-12)


def test_units_noise_and_precision():
    inputs, recordings = study(30, 50, 4)
    expected = float(jb.fit_encoder(inputs, recordings).penalty)
    for unit in (1e-30, 1e20):
        scaled = jb.fit_encoder(inputs * unit, recordings / unit)
        np.testing.assert_allclose(float(scaled.penalty) / unit / unit, expected, rtol=1e-3)
    single = jb.fit_encoder(np.float32(inputs), np.float32(recordings))
    assert single.weights.dtype == single.penalty.dtype == jnp.float32
    np.testing.assert_allclose(single.penalty, expected, rtol=0.02)
    # Recordings that know nothing of the inputs ask for all the shrinkage there is.
    noise = np.random.default_rng(3).standard_normal((30, 4))
    assert float(jb.fit_encoder(inputs, noise).penalty) > 10 * expected


def test_nothing_is_as_large_as_the_inputs_squared():
    """1 323 inputs of 40 rows: systems are of the size of the rows."""
    n, d, p = 40, 1323, 12
    inputs, recordings = jnp.ones((n, d)), jnp.ones((n, p))

    def sizes(jaxpr):
        for equation in jaxpr.eqns:
            yield from (np.prod(v.aval.shape) for v in equation.outvars)
            for value in jax.tree.leaves(
                list(equation.params.values()), is_leaf=lambda x: hasattr(x, "jaxpr")
            ):
                inner = getattr(value, "jaxpr", value)
                if hasattr(inner, "eqns"):
                    yield from sizes(inner)

    def subspace(inputs, recordings):
        return jb.encode(inputs, recordings, 3, "leave_one_out")

    def derivative(inputs, recordings):
        given = lambda rows: jb.encode(rows, recordings, 3, 0.1)  # noqa: E731
        return jax.jvp(given, (inputs,), (inputs,))

    for function in (subspace, derivative, jb.fit_encoder):
        largest = max(sizes(jax.make_jaxpr(function)(inputs, recordings).jaxpr))
        assert d * n <= largest < 3 * d * n


def test_it_maps_over_studies_and_compiles_once():
    studies = [study(30, 50, 4, seed) for seed in range(2)]
    choose = jax.jit(jax.vmap(lambda *arrays: jb.fit_encoder(*arrays)))
    together = choose(*(np.stack(arrays) for arrays in zip(*studies, strict=True)))
    for i, arrays in enumerate(studies):
        alone = jb.fit_encoder(*arrays)
        np.testing.assert_allclose(together.penalty[i], alone.penalty, rtol=1e-6)
        np.testing.assert_allclose(together.weights[i], alone.weights, atol=1e-7)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (dict(penalty="aic"), "penalty.*'leave_one_out'"),
        (dict(penalty=0.0), "penalty > 0"),
        (dict(penalty=-1.0), "penalty must be"),
        (dict(penalty=1.0, groups=np.zeros(30)), "only penalty='k_fold' leaves groups out"),
        (dict(groups=np.zeros(30)), "pass 'k_fold'"),
        (dict(penalty="k_fold", folds=31), "folds must be"),
        (dict(penalty="k_fold", groups=np.zeros(30)), "two groups or more"),
        (dict(recordings=np.ones((29, 4))), "recordings must have shape"),
        (dict(inputs=np.full((30, 50), np.nan)), "inputs"),
        (dict(inputs=np.ones((2, 50)), recordings=np.ones((2, 4))), "pass a number as penalty"),
    ],
)
def test_wrong_arguments_are_named(changed, said):
    inputs, recordings = study(30, 50, 4)
    # Annotations are executed here, and say so first where a word is none of the choices.
    with pytest.raises((ValueError, TypeCheckError), match=said):
        jb.fit_encoder(**(dict(inputs=inputs, recordings=recordings) | changed))

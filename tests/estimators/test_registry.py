"""One test for every member of the registry: what it solves, where its subspace is from."""

import jax
import jax.random as jr
import numpy as np
import pytest

import jaxbrain as jb
from jaxbrain.estimators import VARIANTS, find_variant
from jaxbrain.simulation.data_trials import SUBSPACES
from tests.helpers.regressions import (
    befs_oracle,
    normal_equations_accuracy,
    orthonormal,
    projector_of,
    relative_error,
    task_data,
)

every_variant = pytest.mark.parametrize("variant", VARIANTS, ids=lambda variant: variant.name)
OUTSIDE, INSIDE = 0.3, 0.02
# Penalties outside and inside of the subspace that each kind of estimator puts on the weights.
PENALTIES = {0: (0.0, 0.0), 1: (OUTSIDE, 0.0), 2: (OUTSIDE, INSIDE)}


@every_variant
def test_weights_are_least_squares_with_the_penalties_of_the_estimator(variant):
    inputs, targets, basis = task_data(40, 40, 12, 3)
    found = variant.weights(inputs, targets, basis, OUTSIDE, INSIDE)
    assert found.shape == (12,)
    own = (OUTSIDE, OUTSIDE) if variant.name == "ridge" else PENALTIES[variant.n_penalties]
    if variant.learns == "encoder":
        # An orthonormal encoder is a subspace, beside which all weights have a penalty.
        own = (OUTSIDE, 1 / (1 / OUTSIDE + 12 / (3 * INSIDE)))
    for penalties in {(OUTSIDE, OUTSIDE), *PENALTIES.values(), own}:
        regression = inputs, targets, basis, *penalties
        accuracy = normal_equations_accuracy(*regression)
        is_solved = relative_error(found, befs_oracle(*regression)) < accuracy
        assert is_solved == (penalties == own)


@pytest.fixture(scope="module")
def recorded():
    rng = np.random.default_rng(0)
    readout, weights = rng.normal(size=(6, 2)), rng.normal(size=10)
    model = jb.LinearGaussianModel(orthonormal(rng, 10, 2), readout, 0.1, 0.2, weights, 1.0)
    return model, *model.sample_brain(jr.key(0), 4_000)


@every_variant
def test_first_stages_know_of_the_brain_what_their_source_tells(variant, recorded):
    model, inputs, recordings = recorded
    arrays = {"inputs": inputs, "recordings": recordings} if variant.takes_recordings else {}
    basis = variant.learned(jr.key(1), 2, model=model, **arrays)
    if variant.source is None:
        assert basis is None
        return
    if variant.learns == "encoder":
        assert basis.shape == (10, 6)
        np.testing.assert_array_equal(
            basis,
            jb.fit_encoder(inputs, recordings).weights
            if variant.control_of is None
            else jb.fit_encoder(inputs, jb.shuffle_recordings(jr.key(1), recordings)).weights,
        )
        basis = np.linalg.svd(basis)[0][:, :2]
    np.testing.assert_allclose(basis.T @ basis, np.eye(2), atol=1e-13)
    overlap = float(np.sum(np.asarray(basis.T @ model.encoder) ** 2))
    if variant.source in ("recordings", "model"):
        assert overlap > 1.99
    else:
        assert overlap < 1.5


@every_variant
def test_an_estimator_maps_over_trials(variant):
    trials = [task_data(seed, 40, 12, 3) for seed in range(3)]
    learn = jax.vmap(lambda *arrays: variant.weights(*arrays, OUTSIDE, INSIDE))
    together = jax.jit(learn)(*(np.stack(arrays) for arrays in zip(*trials, strict=True)))
    for mapped, arrays in zip(together, trials, strict=True):
        alone = variant.weights(*arrays, OUTSIDE, INSIDE)
        np.testing.assert_allclose(mapped, alone, rtol=0, atol=1e-11)


def test_every_control_is_the_control_of_the_same_estimator_on_another_subspace():
    for variant in VARIANTS:
        if variant.control_of is not None:
            rival = find_variant(variant.control_of)
            assert rival.n_penalties == variant.n_penalties
            assert rival.source == "recordings" != variant.source
            assert rival.learns == variant.learns


def test_the_lists_of_other_rooms_are_those_of_the_registry():
    assert len({variant.name for variant in VARIANTS}) == len(VARIANTS)
    names = tuple(variant.name for variant in VARIANTS if variant.name != "oracle")
    assert (
        *names,
        "random_banded_ridge",
        "leading_components",
        "leading_components_two_penalties",
        "leading_components_banded_ridge",
    ) == jb.pilot.ESTIMATORS
    assert jb.pilot.CONTROLS == {
        "befs": ("random_subspace", "shuffled_recordings", "leading_components"),
        "befs_two_penalties": (
            "random_subspace_two_penalties",
            "shuffled_recordings_two_penalties",
            "leading_components_two_penalties",
        ),
        "banded_ridge": (
            "shuffled_recordings_banded_ridge",
            "random_banded_ridge",
            "leading_components_banded_ridge",
        ),
    }
    assert SUBSPACES == ("befs", "random_subspace", "shuffled_recordings", "oracle")


@pytest.mark.parametrize(
    "variant", [v for v in VARIANTS if v.takes_recordings], ids=lambda v: v.name
)
def test_recorded_rows_may_be_fewer_than_inputs(variant, recorded):
    """Every first stage takes a ridge, or chooses it; task rows are few too."""
    _, inputs, recordings = recorded
    few = dict(inputs=inputs[:8], recordings=recordings[:8])
    chosen = variant.learned(jr.key(1), 2, **few, ridge="leave_one_out")
    assert np.all(np.isfinite(chosen))
    given = variant.learned(jr.key(1), 2, **few, ridge=1e3)
    assert given.shape == chosen.shape
    assert np.max(np.abs(projector_of(given) - projector_of(chosen))) > 1e-3
    weights = variant.weights(inputs[:7], inputs[:7, 0], chosen, OUTSIDE, INSIDE)
    assert np.all(np.isfinite(weights))
    if variant.learns == "subspace":
        with pytest.raises(ValueError, match="ridge > 0"):
            variant.learned(jr.key(1), 2, **few)


@pytest.mark.parametrize(
    ("name", "missing"),
    [
        ("befs", "inputs and recordings must be given: befs learns from them"),
        ("oracle", "model must be given"),
        ("random_subspace", "inputs or model must be given"),
    ],
)
def test_what_a_source_needs_is_named(name, missing):
    with pytest.raises(ValueError, match=missing):
        find_variant(name).learned(jr.key(0), 2)
    with pytest.raises(ValueError, match="name must be 'task_only' or 'ridge' or"):
        find_variant(name + "s")

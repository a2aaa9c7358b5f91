"""Models jitted, mapped, differentiated, in single precision, and of large size."""

import equinox as eqx
import jax
import jax.extend
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest

import jaxbrain as jb
from tests.helpers.models import QUANTITIES, USES, Oracle, arrays, shapes_in


@pytest.mark.parametrize("use", USES.values(), ids=USES)
def test_scalar_recording_noise_builds_nothing_of_size_p_squared(use):
    model = jb.LinearGaussianModel(**arrays(22, p=37))
    largest = max(np.prod(s) for s in shapes_in(jax.make_jaxpr(use)(model).jaxpr))
    assert largest < 37**2


def test_the_search_for_large_arrays_finds_them():
    model = jb.LinearGaussianModel(**arrays(22, p=37, recording="matrix"))
    assert (37, 37) in shapes_in(jax.make_jaxpr(USES["sample_brain"])(model).jaxpr)


# ------------------------------------------------------------------- jit, vmap and derivatives


def quantities(model):
    return tuple(getattr(model, name) for name in QUANTITIES)


def test_models_can_be_jitted():
    model = jb.LinearGaussianModel(**arrays(23, recording="matrix"))
    for together, alone in zip(jax.jit(quantities)(model), quantities(model), strict=True):
        np.testing.assert_allclose(together, alone, rtol=1e-12)
    built = jax.jit(lambda a: jb.LinearGaussianModel(**a))(arrays(23, recording="matrix"))
    for jitted, plain in zip(jax.tree.leaves(built), jax.tree.leaves(model), strict=True):
        np.testing.assert_array_equal(jitted, plain)


def test_stacked_models_map_like_a_loop():
    every = [arrays(seed) for seed in (24, 25, 26)]
    models = [jb.LinearGaussianModel(**a) for a in every]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *models)
    built = jax.jit(jax.vmap(lambda a: jb.LinearGaussianModel(**a)))(
        jax.tree.map(lambda *leaves: np.stack(leaves), *every)
    )
    for one, other in zip(jax.tree.leaves(built), jax.tree.leaves(stacked), strict=True):
        np.testing.assert_array_equal(one, other)

    def study(model, key):
        return (*quantities(model), *model.sample_brain(key, 20))

    keys = jr.split(jr.key(0), 3)
    together = jax.jit(jax.vmap(study))(stacked, keys)
    for index, model in enumerate(models):
        oracle = Oracle(**every[index])
        alone = [getattr(oracle, name) for name in QUANTITIES]
        alone += model.sample_brain(keys[index], 20)
        for mapped, one in zip(together, alone, strict=True):
            np.testing.assert_allclose(mapped[index], one, rtol=1e-10, atol=1e-12)


def test_one_encoder_with_many_noise_levels():
    given_arrays = arrays(27)
    levels = np.array([0.1, 1.0, 10.0])

    def gamma(level):
        return jb.LinearGaussianModel(**{**given_arrays, "recording_noise": level}).gamma

    expected = [Oracle(**{**given_arrays, "recording_noise": level}).gamma for level in levels]
    np.testing.assert_allclose(jax.vmap(gamma)(jnp.asarray(levels)), expected, rtol=1e-12)


def test_quantities_are_differentiable_in_every_array():
    """Forward and reverse mode against central differences of the definitions."""
    given_arrays = arrays(28, recording="matrix")
    rng = np.random.default_rng(29)
    model = jb.LinearGaussianModel(**given_arrays)
    change = {name: 0.3 * rng.normal(size=value.shape) for name, value in given_arrays.items()}
    for name in ("latent_noise", "recording_noise"):
        change[name] = change[name] + change[name].T
    direction = eqx.tree_at(
        lambda m: tuple(getattr(m, name) for name in change),
        model,
        tuple(jnp.asarray(value) for value in change.values()),
    )

    def moved(h):
        oracle = Oracle(**{name: given_arrays[name] + h * change[name] for name in change})
        return np.array([getattr(oracle, name) for name in ("misalignment", "gamma", "brain_snr")])

    def scalars(model):
        return jnp.stack([model.misalignment, model.gamma, model.brain_snr])

    expected = (moved(1e-5) - moved(-1e-5)) / 2e-5
    forward = jax.jit(lambda: jax.jvp(scalars, (model,), (direction,))[1])()
    np.testing.assert_allclose(forward, expected, rtol=1e-7)
    gradients = jax.tree.leaves(jax.jit(jax.jacrev(scalars))(model))
    along = [
        np.reshape(gradient, (3, -1)) @ np.ravel(change)
        for gradient, change in zip(gradients, jax.tree.leaves(direction), strict=True)
    ]
    np.testing.assert_allclose(sum(along), expected, rtol=1e-7)


def test_single_precision_models_stay_single(single_precision):
    given_arrays = {name: np.float32(value) for name, value in arrays(32).items()}
    model = jb.LinearGaussianModel(**given_arrays)
    plain_numbers = jb.LinearGaussianModel(
        **{**given_arrays, "latent_noise": 0.5, "recording_noise": 1, "task_noise": 2.0}
    )
    outcomes = jax.eval_shape(
        lambda m: (m.sample_brain(jr.key(0), 3), m.sample_task(jr.key(0), 3), quantities(m)), model
    )
    for leaf in jax.tree.leaves((model, plain_numbers, model.problem(), outcomes)):
        assert leaf.dtype == jnp.float32
    np.testing.assert_allclose(model.gamma, Oracle(**arrays(32)).gamma, rtol=1e-4)

"""Models of inputs of any covariance: in the users' coordinates, in numbers, from features."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbrain as jb
from tests.helpers.models import arrays, orthonormal

D, K, P = 9, 3, 7


def coloured(seed=0):
    """Arrays of a model whose encoder is any matrix, a covariance, and a root of it."""
    rng = np.random.default_rng(seed)
    root = rng.normal(size=(D, D)) / 3 + np.diag(1 / np.arange(1.0, D + 1))
    given = arrays(seed, D, K, P) | {"encoder": rng.normal(size=(D, K))}
    return given, root @ root.T, root


def test_powers_are_variances_under_the_covariance():
    """In white coordinates, x = Σ^½ u, the model is the one of white inputs."""
    given, covariance, root = coloured()
    model = jb.LinearGaussianModel(**given, input_covariance=covariance)
    white = {"encoder": root.T @ given["encoder"], "task_weights": root.T @ given["task_weights"]}
    expected = jb.LinearGaussianModel(**(given | white), canonical=True)
    for name in ("misalignment", "relative_misalignment", "task_snr", "brain_snr"):
        np.testing.assert_allclose(getattr(model, name), getattr(expected, name), rtol=1e-9)
    ours, theirs = model.problem(), expected.problem()
    for name in ("total_power", "misaligned_power", "gamma", "task_snr"):
        np.testing.assert_allclose(getattr(ours, name), getattr(theirs, name), rtol=1e-9)
    # The variance of the task's predictable part is what draws of inputs say, too.
    inputs, _ = model.sample_task(jax.random.key(0), 20_000)
    seen = np.var(np.asarray(inputs) @ given["task_weights"])
    assert float(ours.total_power) == pytest.approx(seen, rel=5 * np.sqrt(2 / 20_000))


def test_geometry_tells_the_directions_of_latents_and_task():
    given, covariance, _ = coloured()
    problem = jb.LinearGaussianModel(**given, input_covariance=covariance).problem()
    geometry = problem.geometry
    np.testing.assert_allclose(
        np.sort(geometry.variances), np.sort(np.linalg.eigvalsh(covariance)), rtol=1e-9
    )
    assert float(geometry.total_variance) == pytest.approx(np.trace(covariance))
    assert float(geometry.weights @ geometry.weights) == pytest.approx(float(problem.total_power))
    inside = geometry.directions.T @ geometry.weights
    assert float(inside @ inside) == pytest.approx(float(problem.total_aligned_power))
    # βᵀΣ²β, what a penalty on β sees first, is that of the arrays.
    seen = float(jnp.sum(geometry.variances * geometry.weights**2))
    task = covariance @ given["task_weights"]
    assert seen == pytest.approx(float(task @ task), rel=1e-9)


def test_variances_are_a_diagonal_covariance():
    given, _, _ = coloured()
    variances = np.arange(1.0, D + 1)
    one = jb.LinearGaussianModel(**given, input_covariance=variances)
    other = jb.LinearGaussianModel(**given, input_covariance=np.diag(variances))
    for name in ("misalignment", "task_snr", "brain_snr"):
        assert float(getattr(one, name)) == pytest.approx(float(getattr(other, name)), rel=1e-9)
    np.testing.assert_allclose(
        one.problem().geometry.power, other.problem().geometry.power, atol=1e-9
    )


@pytest.mark.parametrize("form", ["variances", "matrix"])
def test_drawn_inputs_have_the_covariance(form):
    given, covariance, _ = coloured()
    covariance = covariance if form == "matrix" else np.diag(np.diag(covariance))
    passed = covariance if form == "matrix" else np.diag(covariance)
    model = jb.LinearGaussianModel(**given, input_covariance=passed)
    rows = 4_000
    for draw in (model.sample_brain, model.sample_task):
        inputs = np.asarray(draw(jax.random.key(1), rows)[0])
        # Standard errors of products of Gaussians: those of s_ij are √((s_ii s_jj + s_ij²)/n).
        sizes = np.diag(covariance)
        errors = np.sqrt((np.outer(sizes, sizes) + covariance**2) / rows)
        assert np.max(np.abs(inputs.T @ inputs / rows - covariance) / errors) < 5
        assert np.max(np.abs(inputs.T @ inputs / rows - np.eye(D)) / errors) > 20


def test_wrong_covariances_are_refused_by_name():
    given, covariance, root = coloured()
    for wrong in (np.zeros(D), -np.ones(D), np.ones(D + 1), root, 1 - 2 * np.eye(D), np.nan * root):
        with pytest.raises(ValueError, match="input_covariance"):
            jb.LinearGaussianModel(**given, input_covariance=wrong)
    lacking = covariance - np.outer(covariance[:, 0], covariance[0]) / covariance[0, 0]
    with pytest.raises(ValueError, match="input_covariance"):
        jb.LinearGaussianModel(**given, input_covariance=lacking)
    doubled = given | {"encoder": np.ones((D, K))}
    with pytest.raises(ValueError, match="encoder"):
        jb.LinearGaussianModel(**doubled, input_covariance=covariance)


def test_a_power_law_has_its_numbers():
    problem = jb.Problem.power_law(
        64, 1.5, 6, task_snr=2.0, misalignment=0.3, latent_noise=0.4, recording_noise=0.2, gain=3.0
    )
    geometry = problem.geometry
    np.testing.assert_allclose(geometry.variances[3] / geometry.variances[7], 2.0**1.5, rtol=1e-12)
    assert float(jnp.mean(geometry.variances)) == pytest.approx(1.0)
    assert float(problem.task_snr) == pytest.approx(2.0)
    assert float(problem.relative_misalignment) == pytest.approx(0.3)
    np.testing.assert_allclose(problem.encoding_noise, 0.4 + 0.2 / 3.0, rtol=1e-12)
    # Each latent helps alike, along its own direction.
    shown = (geometry.directions.T @ geometry.weights) ** 2
    np.testing.assert_allclose(shown, 0.7 / 6, rtol=1e-9)
    assert float(jnp.sum(geometry.weights**2)) == pytest.approx(1.0)


@pytest.mark.parametrize("which", ["latent_alignment", "task_alignment"])
def test_alignments_lead_to_strong_or_weak_inputs(which):
    """The mean variance of the inputs that latents, or the rest of the task, respond to."""

    def mean_variance(alignment):
        found = []
        for seed in range(4):
            numbers = {which: alignment, "key": jax.random.key(seed)}
            geometry = jb.Problem.power_law(64, 1.0, 6, 1.0, 0.5, 0.4, **numbers).geometry
            shares = jnp.sum(geometry.directions**2, axis=1) / 6
            if which == "task_alignment":
                inside = geometry.directions @ (geometry.directions.T @ geometry.weights)
                shares = (geometry.weights - inside) ** 2 / 0.5
            found.append(float(geometry.variances @ shares))
        return np.mean(found)

    weak, even, strong = (mean_variance(alignment) for alignment in (-2.0, 0.0, 1.0))
    assert weak < 0.6 * even
    # Spread evenly, the mean variance is that of all inputs, which is 1.
    assert 0.5 < even < 1.5
    assert strong > 2 * even


def test_a_power_law_of_exponent_0_is_white():
    """Its geometry is that which white inputs have no need of."""
    flat = jb.Problem.power_law(24, 0.0, 3, 1.0, 0.2, 0.5)
    np.testing.assert_allclose(flat.geometry.variances, 1.0)
    white = jb.Problem.isotropic(24, 3, 1.0, 0.2, 0.5)
    for name in ("aligned_power", "misaligned_power", "encoding_noise", "task_noise"):
        np.testing.assert_allclose(getattr(flat, name), getattr(white, name), rtol=1e-9)


def test_features_give_their_spectrum():
    rng = np.random.default_rng(0)
    rows = rng.normal(size=(50, 8)) @ np.diag(1 / np.arange(1.0, 9)) @ orthonormal(rng, 8, 8)
    geometry = jb.Problem.from_features(rows, 2, 1.0, 0.1, 0.5).geometry
    expected = np.linalg.eigvalsh(np.cov(rows, rowvar=False))[::-1]
    np.testing.assert_allclose(geometry.variances, expected, rtol=1e-9)
    # What is constant, or a copy of another feature, is no input; offsets do not matter.
    more = np.concatenate([5 + 2 * rows, np.ones((50, 1)), rows[:, :1]], axis=1)
    assert jb.Problem.from_features(more, 2, 1.0, 0.1, 0.5).input_dim == 8
    # Fewer rows than features have one principal component less than rows.
    assert jb.Problem.from_features(rows[:6], 2, 1.0, 0.1, 0.5).input_dim == 5


@pytest.mark.parametrize(
    "rows", [np.ones((20, 8)), np.ones((2, 8)), np.ones(8), np.full((9, 3), np.nan)]
)
def test_features_that_are_none_are_refused(rows):
    with pytest.raises(ValueError, match="features"):
        jb.Problem.from_features(rows, 2, 1.0, 0.1, 0.5)


def test_images_preset_is_a_study_of_a_deep_network():
    model = jb.presets.images(task_snr=0.5, misalignment=0.2)
    assert (model.input_dim, model.latent_dim, model.recording_dim) == (768, 20, 100)
    variances = np.asarray(model.input_covariance)
    np.testing.assert_allclose(variances[0] / variances[9], 10.0, rtol=1e-9)
    np.testing.assert_allclose(model.relative_misalignment, 0.2, rtol=1e-9)
    np.testing.assert_allclose(model.task_snr, 0.5, rtol=1e-9)
    # Each channel: two fifths stimulus, two fifths noise of its own, one fifth of the latents.
    covered = np.asarray(model.encoder).T @ (variances[:, None] * np.asarray(model.encoder))
    signal = np.einsum("pi,ij,pj->p", model.readout, covered, model.readout)
    latent = float(model.latent_noise) * np.sum(np.asarray(model.readout) ** 2, axis=1)
    total = signal + latent + float(model.recording_noise)
    np.testing.assert_allclose(signal / total, 0.4, rtol=1e-9)
    np.testing.assert_allclose(latent / total, 0.2, rtol=1e-9)
    other = jb.presets.images(key=jax.random.key(1))
    assert np.max(np.abs(np.asarray(other.encoder) - np.asarray(model.encoder))) > 1e-3

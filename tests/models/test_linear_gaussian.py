"""The generative model: its quantities, samples, gauge, whitening."""

import equinox as eqx
import jax
import jax.extend
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import jaxbrain as jb
from tests.helpers.models import (
    QUANTITIES,
    Oracle,
    agree,
    arrays,
    covariance,
    full,
    orthonormal,
    property_test,
    regauged,
    seeds,
)

NOISES = [(a, b) for a in ("scalar", "matrix", "singular") for b in ("scalar", "matrix")]


# ------------------------------------------------------------------------------------ quantities


@pytest.mark.parametrize(("latent", "recording"), NOISES)
@pytest.mark.parametrize(("d", "k", "p"), [(7, 2, 5), (7, 3, 3), (4, 1, 9)])
def test_quantities_follow_their_definitions(d, k, p, latent, recording):
    given_arrays = arrays(d + k + p, d, k, p, latent, recording)
    model, oracle = jb.LinearGaussianModel(**given_arrays), Oracle(**given_arrays)
    assert (model.input_dim, model.latent_dim, model.recording_dim) == (d, k, p)
    for name in QUANTITIES:
        assert agree(getattr(model, name), getattr(oracle, name)), name

    # Slips that are easy to make are told apart.
    assert not agree(model.misalignment, np.linalg.norm(oracle.K @ oracle.beta))
    assert not agree(model.gamma, oracle.gamma * d / (d - k))
    slipped = full(given_arrays["latent_noise"], k) + np.linalg.inv(
        oracle.H.T @ np.linalg.inv(oracle.recording_noise) @ oracle.H
    )
    # Weighted and plain least-squares read-outs agree only for equal channels or p = k.
    assert agree(model.encoding_noise, slipped) == (recording == "scalar" or p == k)
    sums = np.sum(oracle.H**2) / np.trace(
        oracle.H @ oracle.latent_noise @ oracle.H.T + oracle.recording_noise
    )
    assert not agree(model.brain_snr, sums)


def test_gamma_of_equal_latents_is_that_of_the_paper():
    """(σz² + σr² k/p) [(d − k)‖Pβ‖² − k m] for HᵀH = (p/k) I."""
    rng = np.random.default_rng(0)
    d, k, p = 12, 3, 9
    readout = np.sqrt(p / k) * orthonormal(rng, p, k)
    task_weights = rng.normal(size=d)
    model = jb.LinearGaussianModel(orthonormal(rng, d, k), readout, 0.4, 1.7, task_weights, 1.0)
    aligned = np.sum((np.asarray(model.encoder).T @ task_weights) ** 2)
    missed = np.sum(task_weights**2) - aligned
    expected = (0.4 + 1.7 * k / p) * ((d - k) * aligned - k * missed)
    np.testing.assert_allclose(model.gamma, expected, rtol=1e-12)
    # A brain that sees less of the task than a random subspace would has a negative γ.
    hidden = (
        task_weights - 0.9 * np.asarray(model.encoder) @ np.asarray(model.encoder).T @ task_weights
    )
    blind = eqx.tree_at(lambda m: m.task_weights, model, jnp.asarray(hidden))
    assert blind.gamma < 0 < model.gamma


# ---------------------------------------------------------------------------------------- samples


def population(latent_covariance, encoder, readout, recording_noise, task_weights, task_noise):
    """Second moments of (x, r) and of (x, y)."""
    d, p = len(encoder), len(readout)
    cross = encoder @ readout.T
    recordings = readout @ (encoder.T @ encoder + latent_covariance) @ readout.T
    brain = np.block([[np.eye(d), cross], [cross.T, recordings + full(recording_noise, p)]])
    variance = task_weights @ task_weights + task_noise
    task = np.block([[np.eye(d), task_weights[:, None]], [task_weights[None, :], variance]])
    return brain, task


def worst_score(samples, covariance):
    """Largest deviation of first and second moments of Gaussian samples, in standard errors."""
    n = len(samples)
    variances = np.diag(covariance)
    first = np.mean(samples, axis=0) / np.sqrt(variances / n)
    spread = np.sqrt((np.outer(variances, variances) + covariance**2) / n)
    second = (samples.T @ samples / n - covariance) / spread
    return max(np.max(np.abs(first)), np.max(np.abs(second)))


@pytest.mark.parametrize(
    ("latent", "recording"), [*NOISES, ("zero", "scalar"), ("matrix", "singular")]
)
def test_samples_have_the_moments_of_the_population(latent, recording):
    given_arrays = arrays(3, 5, 2, 4, latent, recording)
    model = jb.LinearGaussianModel(**given_arrays)
    latent_noise = full(given_arrays.pop("latent_noise"), 2)
    brain, task = population(latent_noise, **given_arrays)
    n = 40_000
    inputs, recordings = model.sample_brain(jr.key(0), n)
    assert (inputs.shape, recordings.shape) == ((n, 5), (n, 4))
    samples = np.concatenate([inputs, recordings], axis=1)
    assert worst_score(samples, brain) < 4.5

    inputs, targets = model.sample_task(jr.key(1), n)
    assert (inputs.shape, targets.shape) == ((n, 5), (n,))
    labelled = np.concatenate([inputs, targets[:, None]], axis=1)
    assert worst_score(labelled, task) < 4.5

    # Noise left out, a standard deviation for a variance, or a factor used the wrong way round.
    wrong = [{**given_arrays, "recording_noise": 0.0}]
    wrong.append({**given_arrays, "task_noise": given_arrays["task_noise"] ** 2})
    if recording == "matrix":
        factor = np.linalg.cholesky(given_arrays["recording_noise"])
        wrong.append({**given_arrays, "recording_noise": factor.T @ factor})
    for slipped in wrong:
        brain, task = population(latent_noise, **slipped)
        assert max(worst_score(samples, brain), worst_score(labelled, task)) > 4.5
    if latent != "zero":
        brain, _ = population(np.zeros((2, 2)), **given_arrays)
        assert worst_score(samples, brain) > 4.5


def test_singular_latent_noise_stays_in_its_subspace():
    given_arrays = {**arrays(4, latent="singular"), "recording_noise": np.asarray(0.0)}
    model = jb.LinearGaussianModel(**given_arrays)
    inputs, recordings = model.sample_brain(jr.key(0), 20)
    latents = np.linalg.lstsq(given_arrays["readout"], np.asarray(recordings).T, rcond=None)[0]
    noise = latents.T - np.asarray(inputs) @ given_arrays["encoder"]
    still, moving = np.linalg.eigh(given_arrays["latent_noise"])[1].T
    # A lift of the covariance by a few units of rounding has a standard deviation of √eps.
    assert np.max(np.abs(noise @ still)) < 1e-6
    assert np.std(noise @ moving) > 0.1


def test_every_covariance_that_is_accepted_can_be_sampled():
    """Rounding leaves singular covariances a little indefinite: still a number for each sample."""
    rng = np.random.default_rng(5)
    directions = orthonormal(rng, 5, 5)
    for lowest in (0.0, -1e-15, -1e-14, -3e-14):
        noise = (directions * np.array([1.0, 1.0, 1.0, 1.0, lowest])) @ directions.T
        model = jb.LinearGaussianModel(**{**arrays(5), "recording_noise": (noise + noise.T) / 2})
        assert np.all(np.isfinite(model.sample_brain(jr.key(0), 20)[1])), lowest


def test_samples_follow_the_key():
    model = jb.LinearGaussianModel(**arrays(6))
    for sample in (model.sample_brain, model.sample_task):
        for again, first, other in zip(
            sample(jr.key(0), 20), sample(jr.key(0), 20), sample(jr.key(1), 20), strict=True
        ):
            np.testing.assert_array_equal(again, first)
            assert not np.any(again == other)


@jax.jit
def closed_forms(problem):
    # As many labels as least squares needs: every number is finite.
    n_brain, n_task = np.array([15.0, 60.0, 1e3]), np.array([14.0, 40.0, 1e5])
    return {
        "gamma": problem.gamma,
        "total_power": problem.total_power,
        "task_snr": problem.task_snr,
        "expected_misalignment": jb.expected_misalignment(problem, n_brain),
        "first order": jb.expected_misalignment(problem, n_brain, order="first"),
        **jb.worth(problem, n_brain, n_task)._asdict(),
    }


def reported(model):
    """Everything about a model that a user is told and that has no gauge."""
    problem = model.problem()
    noise = problem.encoding_noise
    spectrum = np.linalg.eigvalsh(noise) if problem.is_matrix_form else np.sort(noise)
    own = {name: getattr(model, name) for name in QUANTITIES}
    return {
        **own,
        "encoding_noise": np.linalg.eigvalsh(model.encoding_noise),
        "problem's encoding_noise": spectrum,
        **{f"problem's {name}": answer for name, answer in closed_forms(problem).items()},
    }


@property_test
@given(
    seed=seeds,
    latent=st.sampled_from(["scalar", "matrix"]),
    log_scales=st.lists(st.floats(-1.5, 1.5), min_size=3, max_size=3),
)
def test_nothing_reported_depends_on_the_gauge(seed, latent, log_scales):
    k = 3
    given_arrays = arrays(seed, 9, k, 7, latent)
    rng = np.random.default_rng(seed + 1)
    mixing = (orthonormal(rng, k, k) * np.exp(log_scales)) @ orthonormal(rng, k, k)
    plain = jb.LinearGaussianModel(**given_arrays)
    other = jb.LinearGaussianModel(**regauged(mixing=mixing, **given_arrays), canonical=True)

    columns = np.asarray(other.encoder)
    np.testing.assert_allclose(columns.T @ columns, np.eye(k), atol=1e-13)
    observable = [
        population(
            np.asarray(full(m.latent_noise, k)),
            np.asarray(m.encoder),
            np.asarray(m.readout),
            given_arrays["recording_noise"],
            given_arrays["task_weights"],
            0.7,
        )[0]
        for m in (plain, other)
    ]
    np.testing.assert_allclose(observable[1], observable[0], rtol=0, atol=1e-11)
    expected = reported(plain)
    for name, answer in reported(other).items():
        assert agree(answer, expected[name], rtol=1e-8), name


def test_a_gauge_that_forgets_the_latent_noise_is_another_model():
    given_arrays = arrays(7, 9, 3, 7)
    mixing = np.diag([2.0, 1.0, 0.5])
    forgetful = {
        **regauged(mixing=mixing, **given_arrays),
        "latent_noise": given_arrays["latent_noise"],
    }
    plain = jb.LinearGaussianModel(**given_arrays)
    other = jb.LinearGaussianModel(**forgetful, canonical=True)
    assert not agree(other.gamma, plain.gamma, rtol=1e-3)
    assert not agree(other.brain_snr, plain.brain_snr, rtol=1e-3)


# -------------------------------------------------------------------------------------- whitening


@pytest.mark.parametrize("recording", ["scalar", "matrix"])
def test_whitened_recordings_are_the_same_in_other_channels(recording):
    """Draw for draw: L r_white = r with Σr = L Lᵀ."""
    given_arrays = arrays(15, recording=recording)
    model = jb.LinearGaussianModel(**given_arrays)
    white = model.whitened()
    assert white.recording_noise == 1
    factor = np.linalg.cholesky(full(given_arrays["recording_noise"], 5))
    inputs, recordings = model.sample_brain(jr.key(0), 20)
    same_inputs, whitened = white.sample_brain(jr.key(0), 20)
    np.testing.assert_array_equal(same_inputs, inputs)
    np.testing.assert_allclose(np.asarray(whitened) @ factor.T, recordings, atol=1e-12)
    if recording == "matrix":
        assert np.max(np.abs(np.asarray(whitened) @ factor - recordings)) > 1e-2
    for name in ("encoder", "latent_noise", "task_weights", "task_noise"):
        np.testing.assert_array_equal(getattr(white, name), getattr(model, name))
    for name in ("misalignment", "relative_misalignment", "task_snr"):
        assert getattr(white, name) == getattr(model, name)
    assert not white.problem().is_matrix_form or np.ndim(given_arrays["latent_noise"])


def test_whitening_reads_latents_out_at_least_as_well():
    """Least squares in whitened channels is generalised least squares (Gauss and Markov).

    The encoding noise stays the same exactly where the two agree: for equal channels, for as many
    channels as latents, and where Σr maps the range of H into itself. So then does γ.
    """
    rng = np.random.default_rng(16)
    uneven = arrays(16, recording="matrix")
    aligned_frame = orthonormal(rng, 5, 5)
    aligned = {
        **uneven,
        "readout": aligned_frame[:, :2] @ rng.normal(size=(2, 2)),
        "recording_noise": (aligned_frame * np.array([0.5, 3.0, 1.0, 2.0, 4.0])) @ aligned_frame.T,
    }
    for given_arrays, unchanged in (
        (arrays(17, recording="scalar"), True),
        (arrays(18, 7, 3, 3, recording="matrix"), True),
        (aligned, True),
        (uneven, False),
    ):
        model = jb.LinearGaussianModel(**given_arrays)
        white = model.whitened()
        oracle = Oracle(**given_arrays)
        precision = oracle.H.T @ np.linalg.solve(oracle.recording_noise, oracle.H)
        assert agree(white.encoding_noise, oracle.latent_noise + np.linalg.inv(precision), 1e-10)
        gained = np.linalg.eigvalsh(oracle.encoding_noise - np.asarray(white.encoding_noise))
        assert gained[0] > -1e-11
        assert (gained[-1] < 1e-10) == unchanged
        assert agree(white.gamma, model.gamma, 1e-9) == unchanged


def test_whitening_needs_noise_of_full_rank():
    for noise in (np.asarray(0.0), covariance(np.random.default_rng(0), 5, 2)):
        model = jb.LinearGaussianModel(**{**arrays(19), "recording_noise": noise})
        with pytest.raises(ValueError, match="recording_noise"):
            model.whitened()

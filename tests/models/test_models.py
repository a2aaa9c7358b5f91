"""The generative model, its summary, and the presets.

Oracles: population moments and the definitions of the model's quantities in plain NumPy, with every
projection and covariance written out as a full matrix.
"""

import tracemalloc

import equinox as eqx
import jax
import jax.extend
import jax.numpy as jnp
import jax.random as jr
import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

import jaxbrain as jb

property_test = settings(max_examples=12, deadline=None, derandomize=True, database=None)
seeds = st.integers(0, 2**32 - 1)


def orthonormal(rng, d, k):
    return np.linalg.qr(rng.normal(size=(d, k)))[0]


def covariance(rng, size, rank=None):
    roots = rng.normal(size=(size, rank or 2 * size))
    return roots @ roots.T / roots.shape[1]


def arrays(seed, d=7, k=2, p=5, latent="matrix", recording="scalar"):
    """Constructor arguments of a random model; noises are scalars, matrices or singular matrices."""
    rng = np.random.default_rng(seed)
    noises = {
        "scalar": lambda size: np.asarray(rng.uniform(0.3, 2.0)),
        "matrix": lambda size: covariance(rng, size),
        "singular": lambda size: covariance(rng, size, 1),
        "zero": lambda size: np.zeros((size, size)),
    }
    return {
        "encoder": orthonormal(rng, d, k),
        "readout": rng.normal(size=(p, k)),
        "latent_noise": noises[latent](k),
        "recording_noise": noises[recording](p),
        "task_weights": rng.normal(size=d),
        "task_noise": np.asarray(0.7),
    }


def full(noise, size):
    return noise * np.eye(size) if np.ndim(noise) == 0 else np.asarray(noise)


class Oracle:
    """The quantities of the model by their definitions."""

    def __init__(self, encoder, readout, latent_noise, recording_noise, task_weights, task_noise):
        (self.d, self.k), self.p = encoder.shape, len(readout)
        self.A, self.H, self.beta = encoder, readout, task_weights
        self.latent_noise = full(latent_noise, self.k)
        self.recording_noise = full(recording_noise, self.p)
        self.task_noise = task_noise
        self.P = encoder @ encoder.T
        self.K = np.eye(self.d) - self.P
        self.inverse = np.linalg.inv(readout.T @ readout) @ readout.T

    @property
    def misalignment(self):
        return np.sum((self.K @ self.beta) ** 2)

    @property
    def relative_misalignment(self):
        return self.misalignment / np.sum(self.beta**2)

    @property
    def task_snr(self):
        return np.sum(self.beta**2) / self.task_noise

    @property
    def encoding_noise(self):
        return self.latent_noise + self.inverse @ self.recording_noise @ self.inverse.T

    @property
    def gamma(self):
        inside = self.beta @ self.A @ self.encoding_noise @ self.A.T @ self.beta
        return (self.d - self.k) * inside - self.misalignment * np.trace(self.encoding_noise)

    @property
    def brain_snr(self):
        signal = np.diag(self.H @ self.H.T)
        noise = np.diag(self.H @ self.latent_noise @ self.H.T + self.recording_noise)
        return np.mean(signal / noise)


QUANTITIES = (
    "misalignment",
    "relative_misalignment",
    "task_snr",
    "encoding_noise",
    "gamma",
    "brain_snr",
)
NOISES = [(a, b) for a in ("scalar", "matrix", "singular") for b in ("scalar", "matrix")]


def agree(found, expected, rtol=1e-11):
    assert np.all(np.isfinite(expected))
    return np.allclose(found, expected, rtol=rtol, atol=rtol * np.max(np.abs(expected)))


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


# ------------------------------------------------------------------------------------------ gauge


def regauged(encoder, readout, latent_noise, mixing, **others):
    """Latents z' = Gᵀz: (A G, H G⁻ᵀ, GᵀΣz G) is the same model of (x, r)."""
    return {
        "encoder": encoder @ mixing,
        "readout": readout @ np.linalg.inv(mixing).T,
        "latent_noise": mixing.T @ full(latent_noise, len(mixing)) @ mixing,
        **others,
    }


@jax.jit
def closed_forms(problem):
    n_brain, n_task = np.array([15.0, 60.0, 1e3, np.inf]), np.array([9.0, 40.0, 300.0, 1e5])
    return {
        "gamma": problem.gamma,
        "total_power": problem.total_power,
        "task_snr": problem.task_snr,
        "expected_misalignment": jb.expected_misalignment(problem, n_brain),
        "first order": jb.expected_misalignment(problem, n_brain, order="first"),
        "optimal_penalty": jb.optimal_penalty(problem, n_brain, n_task),
        "risk": jb.risk(problem, n_brain, n_task, 0.3),
        "value": jb.value(problem, n_brain, n_task),
        "value against ridge": jb.value(problem, n_brain, n_task, baseline="ridge"),
        "exchange_rate": jb.exchange_rate(problem, n_brain, n_task),
        "savings": jb.savings(problem, n_brain, n_task),
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
@pytest.mark.long
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


# ---------------------------------------------------------------------------------------- problem


def commuting(seed, gains, noises, d=9, p=7):
    """A model whose latent noise is diagonal in the eigenbasis of HᵀH, and that basis."""
    rng = np.random.default_rng(seed)
    k = len(gains)
    basis = orthonormal(rng, k, k)
    latent_noise = (basis * np.asarray(noises)) @ basis.T
    given_arrays = {
        **arrays(seed, d, k, p),
        "readout": (orthonormal(rng, p, k) * np.sqrt(gains)) @ basis.T,
        "latent_noise": (latent_noise + latent_noise.T) / 2,
    }
    return given_arrays, basis


COMMUTING = {  # eigenvalues of HᵀH, and of the latent noise in the same basis
    "distinct": ([8.0, 3.0, 1.0], [0.2, 0.9, 0.5]),
    "repeated gains": ([4.0, 4.0, 1.0], [0.1, 0.5, 0.3]),
    "repeated noises": ([8.0, 3.0, 1.0], [0.5, 0.5, 0.2]),
    "equal gains": ([4.0, 4.0, 4.0], [0.1, 0.5, 0.3]),
    "opposite orders": ([1.0, 2.0, 3.0], [3.0, 2.0, 1.0]),
    "singular noise": ([8.0, 3.0, 1.0], [0.0, 0.9, 0.0]),
}


@pytest.mark.parametrize(("gains", "noises"), COMMUTING.values(), ids=COMMUTING)
def test_problem_has_spectra_where_noise_and_gain_commute(gains, noises):
    given_arrays, basis = commuting(8, gains, noises)
    problem = jb.LinearGaussianModel(**given_arrays).problem()
    assert not problem.is_matrix_form
    power = (basis.T @ given_arrays["encoder"].T @ given_arrays["task_weights"]) ** 2
    expected = np.array([noises, gains, power]).T
    found = np.array([problem.latent_noise, problem.gain, problem.aligned_power]).T

    def sort(rows):
        return rows[np.lexsort(np.round(rows, 9).T)]

    np.testing.assert_allclose(sort(found), sort(expected), rtol=0, atol=1e-12)
    # The pairing is what matters: each noise with its own gain and share of the task.
    shuffled = expected.copy()
    shuffled[:, 2] = np.roll(shuffled[:, 2], 1)
    assert np.max(np.abs(sort(found) - sort(shuffled))) > 1e-3
    assert problem.recording_noise == given_arrays["recording_noise"]
    np.testing.assert_allclose(problem.misaligned_power, Oracle(**given_arrays).misalignment)
    assert (problem.input_dim, problem.latent_dim, problem.recording_dim) == (9, 3, 7)


def test_problem_of_equal_latents_has_spectra():
    """Both gain and noise repeat: the basis is arbitrary, the total power is not."""
    given_arrays, _ = commuting(9, [4.0, 4.0, 4.0], [0.5, 0.5, 0.5])
    problem = jb.LinearGaussianModel(**given_arrays).problem()
    assert not problem.is_matrix_form
    np.testing.assert_allclose(problem.gain, 4.0, rtol=1e-13)
    np.testing.assert_allclose(problem.latent_noise, 0.5, rtol=1e-13)
    aligned = np.sum((given_arrays["encoder"].T @ given_arrays["task_weights"]) ** 2)
    np.testing.assert_allclose(problem.total_aligned_power, aligned, rtol=1e-13)


def test_problem_of_scalar_noise_has_spectra():
    given_arrays = arrays(10, 9, 3, 7, "scalar")
    problem = jb.LinearGaussianModel(**given_arrays).problem()
    assert not problem.is_matrix_form
    _, strengths, right = np.linalg.svd(given_arrays["readout"])
    power = (right @ given_arrays["encoder"].T @ given_arrays["task_weights"]) ** 2
    np.testing.assert_allclose(problem.gain, strengths[::-1] ** 2, rtol=1e-12)
    np.testing.assert_allclose(problem.aligned_power, power[::-1], rtol=1e-11)
    np.testing.assert_allclose(problem.latent_noise, given_arrays["latent_noise"])


@pytest.mark.filterwarnings("ignore::jaxbrain.AccuracyWarning")
def test_zero_latent_noise_may_be_written_as_a_matrix():
    given_arrays = {**arrays(11, 9, 3, 7, "zero"), "recording_noise": np.asarray(1.0)}
    model = jb.LinearGaussianModel(**given_arrays)
    as_scalar = eqx.tree_at(lambda m: m.latent_noise, model, jnp.asarray(0.0))
    n = np.array([15.0, 100.0])
    np.testing.assert_allclose(
        jb.expected_misalignment(model.problem(), n),
        jb.expected_misalignment(as_scalar.problem(), n),
        rtol=1e-12,
    )


def test_problem_has_matrices_where_noise_and_gain_do_not_commute():
    given_arrays = arrays(12, 9, 3, 7)
    problem = jb.LinearGaussianModel(**given_arrays).problem()
    assert problem.is_matrix_form
    aligned = given_arrays["encoder"].T @ given_arrays["task_weights"]
    readout = given_arrays["readout"]
    np.testing.assert_allclose(problem.gain, readout.T @ readout, rtol=1e-13)
    np.testing.assert_allclose(problem.latent_noise, given_arrays["latent_noise"], rtol=1e-13)
    np.testing.assert_allclose(problem.aligned_power, np.outer(aligned, aligned), rtol=1e-12)


@pytest.mark.long
@pytest.mark.filterwarnings("ignore::jaxbrain.AccuracyWarning")
@pytest.mark.parametrize(("gains", "noises"), COMMUTING.values(), ids=COMMUTING)
@pytest.mark.parametrize("recording_noise", [0.0, 0.5, 30.0])
def test_both_forms_of_a_problem_give_the_same_answers(gains, noises, recording_noise):
    """Traced, the shared eigenbasis cannot be seen: the same model then goes through matrices."""
    given_arrays, _ = commuting(13, gains, noises)
    given_arrays["recording_noise"] = np.asarray(recording_noise)
    model = jb.LinearGaussianModel(**given_arrays)
    n_brain, n_task = np.array([10.5, 15.0, 60.0, 1e4]), np.array([6.0, 20.0, 100.0, 1e6])
    assert not model.problem().is_matrix_form
    for spectra, matrices in zip(
        answers(model.problem(), n_brain, n_task),
        traced_answers(model, n_brain, n_task),
        strict=True,
    ):
        np.testing.assert_allclose(matrices, spectra, rtol=1e-9)


def answers(problem, n_brain, n_task):
    return (
        problem.gamma,
        jb.expected_misalignment(problem, n_brain),
        jb.value(problem, n_brain, n_task),
        jb.value(problem, n_brain, n_task, baseline="ridge"),
    )


@eqx.filter_jit
def traced_answers(model, n_brain, n_task):
    problem = model.problem()
    assert problem.is_matrix_form
    return answers(problem, n_brain, n_task)


def test_quantities_of_a_problem_follow_their_definitions():
    for latent in ("scalar", "matrix"):
        given_arrays = arrays(14, 9, 3, 7, latent)
        oracle = Oracle(**given_arrays)
        problem = jb.LinearGaussianModel(**given_arrays).problem()
        assert problem.is_matrix_form == (latent == "matrix")
        assert problem.outside_dim == 6
        noise = problem.encoding_noise
        spectrum = np.linalg.eigvalsh(noise) if problem.is_matrix_form else np.sort(noise)
        assert agree(spectrum, np.linalg.eigvalsh(oracle.encoding_noise))
        for name in ("gamma", "task_snr", "relative_misalignment"):
            assert agree(getattr(problem, name), getattr(oracle, name))
        assert agree(problem.total_power, oracle.beta @ oracle.beta)
        assert agree(problem.total_aligned_power, oracle.beta @ oracle.P @ oracle.beta)
        assert not agree(problem.total_aligned_power, oracle.beta @ oracle.beta)


def test_scalars_of_a_problem_stand_for_every_latent():
    shared = {"input_dim": 9, "latent_dim": 2, "misaligned_power": 0.2, "task_noise": 1.0}
    spectra = jb.Problem(
        **shared, latent_noise=0.3, gain=2.0, recording_noise=1.0, aligned_power=[0.5, 0.3]
    )
    np.testing.assert_allclose(spectra.encoding_noise, [0.8, 0.8])
    matrices = jb.Problem(
        **shared, latent_noise=0.3, gain=2.0, recording_noise=1.0, aligned_power=np.diag([0.5, 0.3])
    )
    np.testing.assert_allclose(matrices.encoding_noise, 0.8 * np.eye(2), atol=1e-15)


def test_isotropic_problem_is_what_it_is_asked_to_be():
    problem = jb.Problem.isotropic(20, 4, task_snr=0.25, misalignment=0.1, encoding_noise=0.54)
    assert agree(problem.encoding_noise, np.full(4, 0.54))
    assert agree(problem.task_snr, 0.25)
    assert agree(problem.task_noise, 4.0)
    assert agree(problem.total_power, 1.0)
    assert agree(problem.relative_misalignment, 0.1)
    assert agree(problem.gamma, 0.54 * (16 * 0.9 - 4 * 0.1))
    assert problem.recording_dim is None


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


def test_closed_forms_ask_for_equal_channels():
    model = jb.LinearGaussianModel(**arrays(20, recording="matrix"))
    with pytest.raises(ValueError, match=r"recording_noise.*model\.whitened\(\)\.problem\(\)"):
        model.problem()
    with pytest.raises(ValueError, match=r"recording_noise.*model\.whitened\(\)\.problem\(\)"):
        eqx.filter_jit(lambda m: m.problem().gamma)(model)
    # The way out that the message names.
    assert agree(model.whitened().problem().gamma, model.whitened().gamma)


def test_equal_channels_may_be_written_as_a_matrix():
    given_arrays = arrays(21)
    level = given_arrays["recording_noise"]
    matrix = jb.LinearGaussianModel(**{**given_arrays, "recording_noise": level * np.eye(5)})
    expected = jb.LinearGaussianModel(**given_arrays).problem()
    for found, wanted in zip(
        jax.tree.leaves(matrix.problem()), jax.tree.leaves(expected), strict=True
    ):
        np.testing.assert_allclose(found, wanted, rtol=1e-13)
    nearly = level * np.eye(5)
    nearly[0, 0] *= 1 + 1e-9
    with pytest.raises(ValueError, match="recording_noise"):
        jb.LinearGaussianModel(**{**given_arrays, "recording_noise": nearly}).problem()


# ---------------------------------------------------------------------- nothing of size p × p


def shapes_in(jaxpr):
    """Shape of every intermediate of a jaxpr, inner ones included."""
    found = [variable.aval.shape for equation in jaxpr.eqns for variable in equation.outvars]
    for equation in jaxpr.eqns:
        for inner in jax.extend.core.jaxprs_in_params(equation.params):
            found += shapes_in(inner)
    return found


USES = {
    "sample_brain": lambda m: m.sample_brain(jr.key(0), 3),
    "encoding_noise": lambda m: m.encoding_noise,
    "gamma": lambda m: m.gamma,
    "brain_snr": lambda m: m.brain_snr,
    "problem": lambda m: m.problem(),
    "whitened": lambda m: m.whitened(),
}


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


def missed_by(readout, given_arrays):
    model = jb.LinearGaussianModel(**{**given_arrays, "readout": readout})
    return jb.expected_misalignment(model.problem(), 30.0)


slope_in_readout = jax.jit(jax.grad(missed_by))


@pytest.mark.parametrize("gains", [[8.0, 3.0, 1.0], [4.0, 4.0, 4.0]], ids=["distinct", "equal"])
def test_derivative_through_the_problem_in_the_readout(gains):
    """With the latent noise as a matrix, also where the gains repeat."""
    given_arrays, _ = commuting(30, gains, [0.5, 0.5, 0.5])
    readout = given_arrays.pop("readout")
    change = np.random.default_rng(31).normal(size=readout.shape)
    above, below = (missed_by(readout + h * change, given_arrays) for h in (1e-5, -1e-5))
    expected = (above - below) / 2e-5
    gradient = slope_in_readout(readout, given_arrays)
    np.testing.assert_allclose(np.sum(gradient * change), expected, rtol=1e-6)
    assert abs(expected) > 1e-4


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


# ---------------------------------------------------------------------------------------- presets

FMRI = (4096, 410, 10_000)
SMALL = (64, 6, 150)


@pytest.fixture(scope="module")
def fmri():
    return jb.presets.fmri()


def variance_shares(model):
    """Shares of each channel's single-trial variance: stimulus, measurement noise, latent noise."""
    readout = np.asarray(model.readout)
    signal = np.sum(readout**2, axis=1)
    parts = np.stack(
        [
            signal,
            np.full(len(readout), float(model.recording_noise)),
            float(model.latent_noise) * signal,
        ]
    )
    return parts / np.sum(parts, axis=0)


def check_preset(model, dimensions, task_snr, misalignment):
    assert (model.input_dim, model.latent_dim, model.recording_dim) == dimensions
    readout = np.asarray(model.readout)
    np.testing.assert_array_equal(np.sum(readout == 1, axis=1), 4)
    np.testing.assert_array_equal(np.sum(readout == 0, axis=1), dimensions[1] - 4)
    shares = np.broadcast_to(np.array([[0.4], [0.4], [0.2]]), (3, dimensions[2]))
    np.testing.assert_allclose(variance_shares(model), shares, rtol=1e-12)
    np.testing.assert_allclose(np.linalg.norm(model.task_weights), 1.0, rtol=1e-12)
    np.testing.assert_allclose(model.relative_misalignment, misalignment, rtol=1e-11, atol=1e-25)
    np.testing.assert_allclose(model.task_snr, task_snr, rtol=1e-12)
    np.testing.assert_allclose(model.task_noise, 1 / task_snr, rtol=1e-12)


def test_fmri_preset_is_the_study_of_the_paper(fmri):
    check_preset(fmri, FMRI, 0.1, 0.1)
    assert jb.presets.FMRI_SAMPLES_PER_HOUR == 1800
    encoder = np.asarray(fmri.encoder)
    np.testing.assert_allclose(encoder.T @ encoder, np.eye(410), atol=1e-13)
    problem = fmri.problem()
    assert not problem.is_matrix_form
    readout = np.asarray(fmri.readout)
    np.testing.assert_allclose(problem.gain, np.linalg.eigvalsh(readout.T @ readout), rtol=1e-9)
    np.testing.assert_allclose(fmri.brain_snr, 4 / 6, rtol=1e-12)


def test_fmri_preset_fits_in_memory(fmri):
    """10 000² numbers would be 800 MB; the model is 46 MB, and making it takes little more."""
    arrays_of_model = jax.tree.leaves(fmri)
    assert sum(leaf.nbytes for leaf in arrays_of_model) < 50e6
    tracemalloc.start()
    jb.LinearGaussianModel(*arrays_of_model)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 200e6
    for use in USES.values():
        assert max(np.prod(s) for s in shapes_in(jax.make_jaxpr(use)(fmri).jaxpr)) < 5e6


@pytest.mark.parametrize(
    ("task_snr", "misalignment"), [(0.1, 0.0), (10.0, 0.01), (0.1, 0.5), (10.0, 1.0)]
)
def test_small_preset_is_the_same_study_in_miniature(task_snr, misalignment):
    model = jb.presets.small(task_snr, misalignment)
    check_preset(model, SMALL, task_snr, misalignment)


def test_preset_follows_its_key():
    first, again = jb.presets.small(key=jr.key(0)), jb.presets.small()
    other = jb.presets.small(key=jr.key(1))
    for name in ("encoder", "readout", "task_weights"):
        np.testing.assert_array_equal(getattr(first, name), getattr(again, name))
        assert np.mean(np.asarray(getattr(first, name)) != np.asarray(getattr(other, name))) > 0.3
    # The task may change without the brain: misalignment and noise do not touch the recordings.
    harder = jb.presets.small(task_snr=5.0, misalignment=0.7)
    np.testing.assert_array_equal(harder.readout, first.readout)
    np.testing.assert_array_equal(harder.encoder, first.encoder)


def test_voxels_pool_every_choice_of_four_latents_equally_often():
    readouts = [np.asarray(jb.presets.small(key=jr.key(seed)).readout) for seed in range(20)]
    chosen = np.concatenate(readouts).astype(int) @ 2 ** np.arange(6)
    choices = [mask for mask in range(64) if mask.bit_count() == 4]
    counts = np.array([np.sum(chosen == mask) for mask in choices])
    assert np.sum(counts) == 3_000
    assert scipy.stats.chisquare(counts).pvalue > 1e-4
    # Independent draws that skip repeats by moving to the next latent favour neighbours.
    rng = np.random.default_rng(0)
    biased = []
    for _ in range(3_000):
        taken = set()
        for pick in rng.integers(0, 6, size=4):
            while pick in taken:
                pick = (pick + 1) % 6
            taken.add(int(pick))
        biased.append(sum(2**latent for latent in taken))
    counts = np.array([np.sum(np.array(biased) == mask) for mask in choices])
    assert scipy.stats.chisquare(counts).pvalue < 1e-4


def test_encoder_and_task_of_a_preset_are_uniformly_random():
    """Means over keys of the projection on span(A) and of the task's direction, in s.e."""
    models = [jb.presets.small(key=jr.key(seed)) for seed in range(200)]
    squares = np.array([np.sum(np.asarray(m.encoder) ** 2, axis=1) for m in models])
    directions = np.array([m.task_weights for m in models])
    for samples, mean in ((squares, 6 / 64), (directions, 0.0), (directions**2, 1 / 64)):
        scores = (np.mean(samples, axis=0) - mean) / (
            np.std(samples, axis=0, ddof=1) / np.sqrt(200)
        )
        assert np.max(np.abs(scores)) < 4.5
        wrong = (np.mean(samples, axis=0) - mean - 0.05) / (
            np.std(samples, axis=0, ddof=1) / np.sqrt(200)
        )
        assert np.max(np.abs(wrong)) > 4.5


def test_presets_map_over_task_and_misalignment():
    snrs, shares = jnp.array([0.1, 1.0]), jnp.array([0.0, 0.3])
    stacked = jax.vmap(lambda snr, share: jb.presets.small(snr, share))(snrs, shares)
    np.testing.assert_allclose(jax.vmap(lambda m: m.task_snr)(stacked), snrs, rtol=1e-12)
    np.testing.assert_allclose(
        jax.vmap(lambda m: m.misalignment)(stacked), shares, rtol=1e-12, atol=1e-25
    )


# ------------------------------------------------------------------------- what is wrong is named

GOOD = arrays(33)


def spoiled(name, entry, value):
    array = np.array(GOOD[name], float)
    array[entry] = value
    return {name: array}


WRONG_MODELS = {
    "flat encoder": ({"encoder": GOOD["encoder"][:, 0]}, "encoder must have shape"),
    "readout of other latents": ({"readout": np.ones((5, 3))}, "readout must have shape"),
    "flat readout": ({"readout": np.ones(5)}, "readout must have shape"),
    "latent noises as a list": ({"latent_noise": np.ones(2)}, "latent_noise must have shape"),
    "latent noise of other latents": ({"latent_noise": np.eye(3)}, "latent_noise must have shape"),
    "recording noises as a list": ({"recording_noise": np.ones(5)}, "recording_noise must have"),
    "recording noise of others": ({"recording_noise": np.eye(4)}, "recording_noise must have"),
    "task of other inputs": ({"task_weights": np.ones(6)}, "task_weights must have shape"),
    "several tasks": ({"task_weights": np.ones((7, 2))}, "task_weights must have shape"),
    "several task noises": ({"task_noise": np.ones(1)}, "task_noise must have shape"),
    "complex encoder": ({"encoder": GOOD["encoder"] + 0j}, "encoder must hold real numbers"),
    "words for a task": ({"task_weights": np.array(["a"] * 7)}, "task_weights must hold real"),
    "encoder with NaN": (spoiled("encoder", (0, 0), np.nan), "encoder holds NaN"),
    "infinite readout": (spoiled("readout", (0, 0), np.inf), "readout holds NaN"),
    "latent noise with NaN": (spoiled("latent_noise", (0, 0), np.nan), "latent_noise holds NaN"),
    "infinite recording noise": (
        {"recording_noise": np.inf},
        "recording_noise must be a finite number",
    ),
    "task with NaN": (spoiled("task_weights", 0, np.nan), "task_weights holds NaN"),
    "task noise NaN": ({"task_noise": np.nan}, "task_noise must be a finite number"),
    "task noise 0": ({"task_noise": 0.0}, "task_noise must be greater than 0"),
    "task noise negative": ({"task_noise": -1.0}, "task_noise must be greater than 0"),
    "latent noise negative": ({"latent_noise": -0.1}, "latent_noise must be at least 0"),
    "recording noise negative": ({"recording_noise": -0.1}, "recording_noise must be at least 0"),
    "latent noise asymmetric": (
        {"latent_noise": np.array([[1.0, 0.2], [0.1, 1.0]])},
        "latent_noise must be symmetric",
    ),
    "recording noise asymmetric": (
        {"recording_noise": np.eye(5) + 1e-6 * np.eye(5, k=1)},
        "recording_noise must be symmetric",
    ),
    "latent noise indefinite": (
        {"latent_noise": np.array([[1.0, 2.0], [2.0, 1.0]])},
        "latent_noise must be positive semi-definite",
    ),
    "recording noise indefinite": (
        {"recording_noise": np.diag([1.0, 1.0, 1.0, 1.0, -1e-6])},
        "recording_noise must be positive semi-definite",
    ),
    "readout of lower rank": ({"readout": np.ones((5, 2))}, "readout must have full column rank"),
    "readout with an empty column": (
        {"readout": GOOD["readout"] * np.array([1.0, 0.0])},
        "readout must have full column rank",
    ),
    "encoder not of length 1": ({"encoder": 1.001 * GOOD["encoder"]}, "encoder.*canonical=True"),
    "encoder not orthogonal": (
        {"encoder": GOOD["encoder"] @ np.array([[1.0, 0.1], [0.0, 1.0]])},
        "encoder.*canonical=True",
    ),
    "encoder of lower rank, canonical": (
        {"encoder": np.ones((7, 2)), "canonical": True},
        "encoder must have full column rank",
    ),
    "as many latents as inputs": (
        {"encoder": np.eye(2), "task_weights": np.ones(2)},
        "latent_dim must be between 1 and 1",
    ),
    "no latents": (
        {"encoder": np.ones((7, 0)), "readout": np.ones((5, 0))},
        "latent_dim must be between 1 and 6",
    ),
    "one input": ({"encoder": np.ones((1, 1)), "readout": np.ones((5, 1))}, "input_dim"),
    "fewer channels than latents": ({"readout": np.ones((1, 2))}, "recording_dim"),
}


@pytest.mark.parametrize(("changes", "named"), WRONG_MODELS.values(), ids=WRONG_MODELS)
def test_wrong_argument_of_a_model_is_named(changes, named):
    jb.LinearGaussianModel(**GOOD)
    with pytest.raises(ValueError, match=named):
        jb.LinearGaussianModel(**{**GOOD, **changes})


@pytest.mark.parametrize("sample", ["sample_brain", "sample_task"])
@pytest.mark.parametrize("n", [0, -3, True])
def test_number_of_samples_is_checked(sample, n):
    model = jb.LinearGaussianModel(**GOOD)
    with pytest.raises(ValueError, match="n must be"):
        getattr(model, sample)(jr.key(0), n)


GOOD_PROBLEM = {
    "input_dim": 9,
    "latent_dim": 2,
    "recording_dim": 5,
    "latent_noise": np.array([0.3, 0.2]),
    "gain": np.array([2.0, 1.0]),
    "recording_noise": 1.0,
    "aligned_power": np.array([0.5, 0.3]),
    "misaligned_power": 0.2,
    "task_noise": 1.0,
}
MATRICES = {
    "latent_noise": np.array([[0.3, 0.1], [0.1, 0.2]]),
    "gain": np.array([[2.0, 0.5], [0.5, 1.0]]),
    "aligned_power": np.array([[0.5, 0.1], [0.1, 0.3]]),
}
ASYMMETRIC = np.array([[1.0, 0.5], [0.1, 1.0]])
INDEFINITE = np.array([[1.0, 2.0], [2.0, 1.0]])

WRONG_PROBLEMS = {
    "one input": ({"input_dim": 1}, "input_dim must be at least 2"),
    "input_dim not whole": ({"input_dim": True}, "input_dim must be a whole number"),
    "no latents": ({"latent_dim": 0}, "latent_dim must be between 1 and 8"),
    "as many latents as inputs": ({"latent_dim": 9}, "latent_dim must be between 1 and 8"),
    "fewer channels than latents": ({"recording_dim": 1}, "recording_dim must be at least 2"),
    "latent noises of others": ({"latent_noise": np.ones(3)}, "latent_noise must have shape"),
    "gains of others": ({"gain": np.ones(3)}, "gain must have shape"),
    "a single power": ({"aligned_power": np.asarray(0.8)}, "aligned_power must have shape"),
    "several recording noises": ({"recording_noise": np.ones(2)}, "recording_noise must have"),
    "several misaligned powers": ({"misaligned_power": np.ones(2)}, "misaligned_power must have"),
    "several task noises": ({"task_noise": np.ones(2)}, "task_noise must have shape"),
    "only one matrix": ({"aligned_power": MATRICES["aligned_power"]}, "must have shape .2, 2."),
    "one matrix missing": ({**MATRICES, "gain": np.ones(2)}, "gain must have shape"),
    "matrices of others": ({**MATRICES, "aligned_power": np.eye(3)}, "aligned_power must have"),
    "latent noise NaN": ({"latent_noise": np.nan}, "latent_noise holds NaN"),
    "infinite gain": ({"gain": np.inf}, "gain holds NaN"),
    "power NaN": ({"aligned_power": np.array([0.5, np.nan])}, "aligned_power holds NaN"),
    "recording noise NaN": ({"recording_noise": np.nan}, "recording_noise must be a finite number"),
    "misaligned power NaN": (
        {"misaligned_power": np.nan},
        "misaligned_power must be a finite number",
    ),
    "infinite task noise": ({"task_noise": np.inf}, "task_noise must be a finite number"),
    "latent noise negative": ({"latent_noise": -0.1}, "latent_noise must be at least 0"),
    "gain 0": ({"gain": np.array([1.0, 0.0])}, "gain must be greater than 0"),
    "power negative": ({"aligned_power": np.array([1.0, -0.1])}, "aligned_power must be at least"),
    "recording noise negative": ({"recording_noise": -1.0}, "recording_noise must be at least 0"),
    "misaligned power negative": ({"misaligned_power": -1.0}, "misaligned_power must be at least"),
    "task noise 0": ({"task_noise": 0.0}, "task_noise must be greater than 0"),
    "words for a gain": ({"gain": ["a", "b"]}, "gain must hold real numbers"),
    "gain with a negative diagonal": ({**MATRICES, "gain": np.diag([1.0, -1.0])}, "gain must be"),
    "gain asymmetric": ({**MATRICES, "gain": ASYMMETRIC}, "gain must be symmetric"),
    "gain indefinite": ({**MATRICES, "gain": INDEFINITE}, "gain must be positive"),
    "latent noise asymmetric": (
        {**MATRICES, "latent_noise": ASYMMETRIC},
        "latent_noise must be symmetric",
    ),
    "latent noise indefinite": (
        {**MATRICES, "latent_noise": INDEFINITE},
        "latent_noise must be positive",
    ),
    "power asymmetric": (
        {**MATRICES, "aligned_power": ASYMMETRIC},
        "aligned_power must be symmetric",
    ),
    "power indefinite": ({**MATRICES, "aligned_power": INDEFINITE}, "aligned_power must be pos"),
}


@pytest.mark.parametrize(("changes", "named"), WRONG_PROBLEMS.values(), ids=WRONG_PROBLEMS)
def test_wrong_argument_of_a_problem_is_named(changes, named):
    jb.Problem(**GOOD_PROBLEM)
    jb.Problem(**{**GOOD_PROBLEM, **MATRICES})
    with pytest.raises(ValueError, match=named):
        jb.Problem(**{**GOOD_PROBLEM, **changes})


WRONG_STUDIES = {
    "snr 0": (lambda: jb.presets.small(task_snr=0.0), "task_snr must be greater than 0"),
    "snr negative": (lambda: jb.presets.small(task_snr=-1.0), "task_snr must be greater than 0"),
    "misalignment above 1": (lambda: jb.presets.small(misalignment=1.1), "misalignment must lie"),
    "misalignment below 0": (lambda: jb.presets.small(misalignment=-0.1), "misalignment must lie"),
    "fmri: snr 0": (lambda: jb.presets.fmri(task_snr=0.0), "task_snr must be greater than 0"),
    "fmri: misalignment": (lambda: jb.presets.fmri(misalignment=2.0), "misalignment must lie"),
    "isotropic: snr 0": (lambda: jb.Problem.isotropic(9, 2, 0.0, 0.1, 0.5), "task_snr"),
    "isotropic: misalignment": (lambda: jb.Problem.isotropic(9, 2, 1.0, 1.1, 0.5), "misalignment"),
    "isotropic: noise": (lambda: jb.Problem.isotropic(9, 2, 1.0, 0.1, -0.5), "encoding_noise"),
    "isotropic: latents": (lambda: jb.Problem.isotropic(9, 9, 1.0, 0.1, 0.5), "latent_dim"),
}


@pytest.mark.parametrize(("call", "named"), WRONG_STUDIES.values(), ids=WRONG_STUDIES)
def test_wrong_argument_of_a_ready_made_study_is_named(call, named):
    with pytest.raises(ValueError, match=named):
        call()

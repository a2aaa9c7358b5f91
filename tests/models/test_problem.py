"""The summary of a model: spectra or matrices, its quantities."""

import equinox as eqx
import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbrain as jb
from tests.helpers.models import Oracle, agree, arrays, orthonormal

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
    return problem.gamma, *jb.worth(problem, n_brain, n_task)


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


def numbered(k):
    """k latents of three kinds, a known number of channels."""
    kinds = np.arange(k) % 3
    return jb.Problem(
        input_dim=40,
        latent_dim=k,
        recording_dim=60,
        latent_noise=0.1 + 0.2 * kinds,
        gain=5.0 + kinds,
        recording_noise=0.3,
        aligned_power=np.linspace(0.05, 0.1, k),
        misaligned_power=0.2,
        task_noise=1.0,
    )


def test_latents_that_are_alike_are_computed_once_for_any_number_of_them():
    """As latents one by one are, which is how a program takes them that differentiates in them."""
    numbers = jnp.array([90.0, 200.0])
    one_by_one = jax.jit(jb.expected_misalignment)
    for k, kinds in ((2, 2), (8, 4), (17, 4)):
        problem = numbered(k)
        assert problem.with_traced_sizes().gain.shape == (kinds,)
        np.testing.assert_allclose(
            jb.expected_misalignment(problem, numbers), one_by_one(problem, numbers), rtol=1e-10
        )
        gathered = problem.with_traced_sizes()
        for name in ("gamma", "total_power", "outside_dim"):
            np.testing.assert_allclose(getattr(gathered, name), getattr(problem, name), rtol=1e-13)


NUMBERS = ("latent_noise", "gain", "recording_noise", "aligned_power", "misaligned_power")


@pytest.mark.filterwarnings("ignore::jaxbrain.AccuracyWarning")
@pytest.mark.parametrize("single", [False, True])
def test_what_a_problem_takes_gives_numbers(single):
    """At the ends of all ranges, in either precision; what is beyond is refused."""
    base = dict(
        input_dim=64, latent_dim=6, recording_dim=150, latent_noise=0.5, gain=60.0,
        recording_noise=4.0, aligned_power=[0.15] * 6, misaligned_power=0.1, task_noise=10.0,
    )  # fmt: skip
    taken = 0
    with jax.enable_x64(not single):
        for exponent in (-200, -99, -55, -14, -7, 7, 14, 55, 99, 200):
            for changed in (*((name,) for name in (*NUMBERS, "task_noise")), NUMBERS[1:3],
                            ("aligned_power", "misaligned_power", "task_noise")):  # fmt: skip
                factor = 10.0**exponent
                given = base | {
                    name: [x * factor for x in base[name]]
                    if isinstance(base[name], list)
                    else base[name] * factor
                    for name in changed
                }
                try:
                    problem = jb.Problem(**given)
                except ValueError as error:
                    assert any(name in str(error) for name in changed)  # noqa: PT017
                    continue
                taken += 1
                worth = jb.worth(problem, 500.0, 100.0)
                numbers = [float(x) for x in worth]
                assert not np.any(np.isnan(numbers)), (changed, exponent)
    assert taken > (20 if single else 40)

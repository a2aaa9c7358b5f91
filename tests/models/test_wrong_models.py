"""Arguments of models, problems and presets that are refused by name."""

import jax.random as jr
import numpy as np
import pytest

import jaxbrain as jb
from tests.helpers.models import arrays

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

"""What a plan is asked: files and flags, and how they are refused, without computing anything."""

import re
from pathlib import Path

import numpy as np
import pytest

import jaxbrain as jb
from jaxbrain.cli.input.study import read_purchase
from tests.helpers.cli import TWO_MODALITIES, refused, written

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


def test_flags_take_precedence_over_the_file(tmp_path):
    text = TWO_MODALITIES.replace("currency", 'estimator = "befs"\nbaseline = "ols"\ncurrency')
    config = Path(written(tmp_path, text))
    from_file = read_purchase(config, {"budget": None})
    assert (from_file.budget, from_file.cost_task, from_file.fixed_cost_task) == (4_000, 2, 100)
    assert (from_file.estimator, from_file.baseline, from_file.currency) == ("befs", "ols", "EUR")
    flags = {
        "budget": 5_000.0,
        "cost_task": 1.0,
        "fixed_cost_task": 0.0,
        "estimator": "befs_two_penalties",
        "baseline": "ridge",
    }
    purchase = read_purchase(config, flags | {"task_snr": 0.2})
    assert {name: getattr(purchase, name) for name in flags} == flags
    for modality in purchase.modalities.values():
        assert float(modality.problem.task_noise) == pytest.approx(5)


def test_a_file_may_give_the_noise_of_the_encoding_stage(tmp_path):
    """And has the estimator and the baseline of a bare plan, unless it says otherwise."""
    purchase = read_purchase(EXAMPLES / "one_modality.toml", {})
    expected = jb.Problem.isotropic(1_000, 50, 0.5, 0.2, 0.6)
    (modality,) = purchase.modalities.values()
    assert (purchase.estimator, purchase.baseline) == ("befs_two_penalties", "ridge")
    for field in ("encoding_noise", "aligned_power", "misaligned_power", "task_noise"):
        np.testing.assert_array_equal(
            getattr(modality.problem, field), getattr(expected, field), err_msg=field
        )
    assert modality.problem.recording_dim is None


def test_every_fault_of_a_config_is_told_at_once(capsys, tmp_path):
    config = written(
        tmp_path,
        """
        budget = -1
        currency = 3
        cost_label = 1
        task_snr = "high"
        input_dim = 10.5
        estimator = "lasso"
        baseline = ["ols"]
        [modality]
        number = 4
        [modality.one]
        cost_hour = 10
        misalignment = 1.5
        latent_dim = 0
        gain = -1
        voxels = 3
        [modality.two]
        cost_hour = 10
        cost_brain = 1
        samples_per_hour = 0
        encoding_noise = 1
        gain = 1
        [modality.three]
        fixed_cost_brain = -1
        latent_dim = 3
        encoding_noise = 1
        """,
    )
    arguments = ("--config", config, "--preset", "small", "--cost-hour", "3")
    said = refused(capsys, "plan", *arguments, "--plot", str(tmp_path / "no" / "a.png"))
    for fault in (
        "--preset and",
        "--cost-hour is about a single modality: ",
        "budget must be greater than 0",
        "currency must be a word",
        "'cost_label' is not known here; known are budget, cost_task,",
        "cost_task is missing",
        "task_snr must be a number",
        "input_dim must be a whole number",
        "estimator must be befs or befs_two_penalties, but it is 'lasso'",
        "baseline must be ols or ridge, but it is ['ols']",
        "modality.number must be a table",
        "[modality.one] cost_hour needs samples_per_hour",
        "[modality.one] misalignment is a share between 0 and 1",
        "[modality.one] latent_dim must lie between 1",
        "[modality.one] gain must be a number between 0",
        "[modality.one] latent_noise is missing",
        "[modality.one] 'voxels' is not known here; known are samples_per_hour, cost_hour,",
        "[modality.two] give either cost_hour or cost_brain",
        "[modality.two] samples_per_hour must be greater than 0",
        "[modality.two] encoding_noise stands for",
        "[modality.two] latent_dim is missing",
        "[modality.two] misalignment is missing",
        "[modality.three] give either cost_hour or cost_brain",
        "[modality.three] fixed_cost_brain must be at least 0",
        "there is no folder",
    ):
        assert fault in said
    assert list(tmp_path.iterdir()) == [Path(config)]


def test_faults_that_only_a_problem_sees_are_told_for_every_modality(capsys, tmp_path):
    first, second = TWO_MODALITIES.split("[modality.dear]")
    text = first.replace("latent_dim = 6", "latent_dim = 5") + "[modality.dear]"
    text += second.replace("latent_dim = 6", "latent_dim = 64")
    said = refused(capsys, "plan", "--config", written(tmp_path, text))
    assert "[modality.cheap] latent_noise must have shape (5,)" in said
    assert "[modality.dear] latent_dim must be between 1 and 63" in said


def test_every_fault_of_a_modality_is_told_with_table_and_file(capsys, tmp_path):
    text = TWO_MODALITIES.replace("recording_noise = 4.0", "recording_noise = [4.0, 4.0]")
    text = text.replace("gain = 50.0", "gain = [8.0, 0.0, 8, 8, 8, 8]")
    text = text.replace("[0.5, 0.6, 0.7, 0.5, 0.6, 0.7]", "[0.5]")
    text = text.replace("recording_dim = 150", "recording_dim = 2") + "[modality.' ']\n"
    config = written(tmp_path, text)
    said = refused(capsys, "plan", "--config", config)
    for fault in (
        "[modality.cheap] latent_noise must have shape (6,), one entry a latent",
        "[modality.cheap] recording_noise must be one number for all channels",
        "[modality.cheap] gain must be greater than 0",
        "[modality.cheap] recording_dim must be at least latent_dim = 6, but it is 2",
        "[modality.dear] recording_dim must be at least latent_dim = 6, but it is 2",
        "a modality needs a name that can be read, not ' '",
    ):
        assert f"{config}: {fault}" in said


@pytest.mark.parametrize("name", ["", " ", "\\n", "a\\u0007b"])
def test_names_that_cannot_be_read_are_refused(capsys, tmp_path, name):
    text = TWO_MODALITIES.replace("modality.cheap", f'modality."{name}"')
    said = refused(capsys, "plan", "--config", written(tmp_path, text))
    assert "a modality needs a name that can be read" in said
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--budget", "0"), "--budget must be greater than 0, but it is 0.0"),
        (("--budget", "nan"), "--budget must be a number, but it is nan"),
        (("--cost-task", "1e300"), "--cost-task must be at most 1e+15, but it is 1e+300"),
        (("--fixed-cost-task", "-1"), "--fixed-cost-task must be at least 0"),
        (("--misalignment", "2"), "--misalignment is a share between 0 and 1, but it is 2.0"),
        (("--config", "absent.toml", "--budget", "0"), "--budget must be greater than 0"),
        (("--cost-hour", "3", "--cost-brain", "1"), "--cost-brain say the same thing"),
        (
            ("--preset", "small", "--cost-hour", "3"),
            "which the preset small does not say: give --cost-brain",
        ),
        (("--preset", "eeg"), "preset"),
        (("--estimator", "lasso"), "estimator"),
        (("--config", "absent.toml"), "no such file"),
        (("--preset", "small", "--plot", "plan.txt"), "the name must end in .png or .svg or .pdf"),
    ],
)
def test_wrong_arguments_are_refused(capsys, arguments, said):
    assert said in refused(capsys, "plan", *arguments)


@pytest.mark.parametrize("text", ["budget = ", "", "modality = 3", "[modality]", "[problem]"])
def test_a_config_without_modalities_is_refused(capsys, tmp_path, text):
    said = refused(capsys, "plan", "--config", written(tmp_path, text))
    assert re.search(r"describe a modality|cannot be read as TOML|is empty|describes a study", said)

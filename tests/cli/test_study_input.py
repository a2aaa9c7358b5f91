"""A study from options and files: what is wrong is told at once, and nothing is computed."""

import pytest

from tests.helpers.cli import STUDY, refused, written


def test_every_fault_of_a_config_is_told_at_once(capsys, tmp_path):
    config = tmp_path / "study.toml"
    config.write_text(
        """
        n_brain = "many"
        n_task = true
        hours = 3
        colour = "red"
        misalignment = 1.5
        [problem]
        input_dim = 10.5
        latent_dims = 2
        gain = 1.0
        voxels = 3
        """
    )
    said = refused(
        capsys, "worth", "--config", str(config), "--plot", str(tmp_path / "no" / "a.png")
    )
    for fault in (
        f"{config}: n_brain must be a number, but it is 'many'",
        "say the same thing",
        "'colour' is not known",
        f"{config}: misalignment is a share between 0 and 1, but it is 1.5",
        f"{config}: n_task must be a number, but it is true",
        "'latent_dims' is not known here",
        ": did you mean latent_dim?",
        "input_dim must be a whole number, but it is 10.5",
        "'voxels' is not known",
        "latent_dim is missing",
        "task_snr is missing",
        "there is no folder",
    ):
        assert fault in said
    assert list(tmp_path.iterdir()) == [config]


def test_every_fault_of_a_problem_is_told_with_table_and_file(capsys, tmp_path):
    config = tmp_path / "study.toml"
    faults = {
        "latent_noise": "must have shape (3,), one entry a latent, or be one number, but it has 2",
        "recording_noise": "must be one number for all channels, but it is a list",
        "gain": "must be greater than 0",
    }
    text = """
        task_snr = 1
        misalignment = 0.1
        [problem]
        input_dim = 20
        latent_dim = 3
        latent_noise = [1, 2]
        recording_noise = [1, 1, 1]
        gain = 0
        """
    config.write_text(text)
    said = refused(capsys, "worth", "--config", str(config)).splitlines()
    assert said == [line for line in said if f"{config}: [problem] " in line]
    assert len(said) == len(faults)
    for name, fault in faults.items():
        assert any(f"[problem] {name} {fault}" in line for line in said)
    config.write_text(text.replace("latent_dim = 3", "latent_dim = 20\nrecording_dim = 4"))
    said = refused(capsys, "worth", "--config", str(config))
    assert f"{config}: [problem] latent_dim must be between 1 and 19" in said
    assert "[problem] recording_dim must be at least latent_dim = 20, but it is 4" in said
    assert "gain must be greater than 0" in said
    config.write_text(text.replace("input_dim = 20", "input_dim = 1"))
    said = refused(capsys, "worth", "--config", str(config))
    assert "[problem] input_dim must be at least 2, but it is 1" in said


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ("worth", "--n-brain", "4000"),
            "--n-brain must be greater than 4097 (input_dim + 1), but it is 4000",
        ),
        (("worth", "--n-brain", "9000", "--hours", "3"), "say the same thing"),
        (
            ("worth", "--preset", "small", "--hours", "3"),
            "which the preset small does not say: give",
        ),
        (("worth", "--hours", "0.01"), "--hours must give more than 4097 brain samples"),
        (("worth", "--misalignment", "1.2"), "between 0 and 1"),
        (("worth", "--task-snr", "-1"), "--task-snr must be greater than 0, but it is -1.0"),
        (("worth", "--task-snr=-inf"), "--task-snr must be greater than 0, but it is -inf"),
        (("worth", "--n-task", "nan"), "--n-task must be a number"),
        (("worth", "--config", "absent.toml"), "no such file"),
        (("worth", "--config", "absent.toml", "--n-task", "-1"), "--n-task must be at least 0"),
        (("worth", "--config", ""), ". is a folder: name a TOML file"),
        (("worth", "--preset", "eeg"), "preset"),
        (("worth", "--n-brain", "1e300"), "--n-brain must be at most 1e+15, but it is 1e+300"),
        (("worth", "--n-task", "-1"), "--n-task must be at least 0, but it is -1.0"),
        (("worth", "--plot", "a" * 300 + ".png"), "cannot be written"),
    ],
)
def test_wrong_arguments_are_refused(capsys, arguments, said):
    assert said in refused(capsys, *arguments)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "is empty: see docs/files.md"),
        (b"# nothing yet\n", "is empty: see docs/files.md"),
        ("n_brain = 1\n# für".encode("latin-1"), "is not UTF-8: save it as UTF-8"),
        ("n_brain = 1".encode("utf-16"), "is not UTF-8: save it as UTF-8"),
        (b"n_brain = 1\nn_brain = 2", "a key is given twice (at "),
        (b"a = " + b"[" * 5_000, "is nested too deeply"),
        (b"\xef\xbb\xbfn_brain = 0", ": n_brain must be greater than 0, but it is 0"),
        (b"n_brain = 0x" + b"f" * 9_000, ": n_brain must be at most 1e+15, but it is a number of"),
        (b"[modality.eeg]", "describes modalities to buy: it is `jaxbrain plan` that takes it"),
    ],
)
def test_a_config_that_cannot_be_read_is_told(capsys, tmp_path, content, said):
    config = tmp_path / "study.toml"
    config.write_bytes(content)
    for command in ("worth", "simulate"):
        found = refused(capsys, command, "--config", str(config), "--task-snr", "-1")
        assert str(config) in found
        assert said in found
        assert "--task-snr must be greater than 0" in found
        assert len(found.splitlines()) <= 4


def test_a_config_without_permission_or_that_is_a_folder_is_told(capsys, tmp_path, monkeypatch):
    assert f"{tmp_path} is a folder" in refused(capsys, "worth", "--config", str(tmp_path))

    def forbidden(path, flags):
        raise PermissionError(13, "Permission denied")

    (tmp_path / "study.toml").write_text("n_brain = 1")
    monkeypatch.chdir(tmp_path)
    # As root, who may run these tests, everything is permitted.
    monkeypatch.setattr("jaxbrain._reading.os.open", forbidden)
    said = refused(capsys, "worth", "--config", "study.toml")
    assert "study.toml: cannot be read (Permission denied)" in said


@pytest.mark.parametrize(
    ("key", "value", "said"),
    [
        ("gain", "1e-300", "[problem] gain must be at least 1e-100 in float64"),
        ("gain", "1e-80", "[problem] gain = 1e-80 is too small beside recording_noise = 4"),
        ("gain", "1e200", "[problem] gain must be a number between 0 and 1e+15"),
        ("recording_noise", "1e-200", "[problem] recording_noise must be 0 or at least 1e-100"),
        ("recording_noise", "1e-80", "recording_noise = 1e-80 is too small beside gain = 60"),
        ("task_snr", "1e-300", "task_snr must be at least 1e-15, but it is 1e-300"),
        ("task_snr", "1e200", "task_snr must be at most 1e+15, but it is 1e+200"),
        ("n_task", "1e-300", "n_task must be at least 1e-15, but it is 1e-300"),
        ("samples_per_hour", "1e-300", "samples_per_hour must be at least 1e-15"),
        ("n_brain", "1e300", "n_brain must be at most 1e+15, but it is 1e+300"),
    ],
)
def test_numbers_that_are_hardly_any_or_too_many_are_refused(capsys, tmp_path, key, value, said):
    lines = STUDY.splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith(f"{key} ="))
    lines[place] = f"{key} = {value}"
    told = refused(capsys, "worth", written(tmp_path, "\n".join(lines)))
    assert "study.toml" in told
    assert said in told


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (("--task-snr", "1e-300"), "--task-snr must be at least 1e-15, but it is 1e-300"),
        (("--task-snr", "1e200"), "--task-snr must be at most 1e+15"),
        (("--n-brain", "1e300"), "--n-brain must be at most 1e+15"),
        (("--n-task", "1e-300"), "--n-task must be at least 1e-15"),
        (("--hours", "1e15"), "--hours must give at most 1e+15 brain samples, but gives"),
    ],
)
def test_such_options_are_refused_too(capsys, given, said):
    assert said in refused(capsys, "worth", *given)


def test_hours_times_samples_have_a_limit(capsys, tmp_path):
    text = STUDY.replace("n_brain = 100", "hours = 1e9").replace("= 20\n", "= 1e9\n")
    told = refused(capsys, "worth", written(tmp_path, text))
    assert "study.toml: hours must give at most 1e+15 brain samples, but gives 1e+18" in told

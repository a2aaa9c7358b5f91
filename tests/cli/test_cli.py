"""The command line: what it prints, and how it refuses."""

import json
import os
import re
import subprocess
import sys

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray

import jaxbrain as jb
from jaxbrain.cli import main
from tests.helpers.cli import NOISY, refused, run, small_file

COMMANDS = ("worth", "plan", "report", "simulate", "fit", "reproduce", "info")
KEYS = [
    "n_brain",
    "n_task",
    "penalty",
    "risk",
    "task_only_risk",
    "ridge_risk",
    "value",
    "value_vs_ridge",
    "information_value",
    "exchange_rate",
    "savings",
]


def test_worth_as_json_is_what_the_library_says(capsys):
    answer = json.loads(
        run(capsys, "worth", "--preset", "small", "--n-brain", "700", "--n-task", "200", "--json")
    )
    expected = jb.worth(jb.presets.small().problem(), 700, 200)
    for key in KEYS:
        assert answer[key] == pytest.approx(float(getattr(expected, key)), rel=1e-12)


def test_worth_of_the_fmri_study_in_words(capsys):
    text = run(capsys, "worth")
    value = float(jb.value(jb.presets.fmri().problem(), 18_000, 100_000, baseline="ols"))
    labels = f"{round(value, -3):,.0f}".replace(",", " ")
    assert f"18 000 brain samples (10.0 h) are worth {labels} extra labels" in text
    verdict = text.splitlines()[-1]
    assert "a part of which is mere shrinkage" in verdict
    few = run(capsys, "worth", "--n-task", "5000")
    assert "worse than predicting 0" in few
    assert "which is mere shrinkage, since the error stays above" in few.splitlines()[-1]
    knowledge = jb.information_value(jb.presets.fmri().problem(), 18_000, 100_000, baseline="ols")
    found = re.search(r"measured against ridge regression, is worth ([\d ]+) labels", verdict)
    assert int(found.group(1).replace(" ", "")) == pytest.approx(float(knowledge), rel=5e-3)


def test_worth_says_what_is_shrinkage_and_what_is_not(capsys):
    def verdict(*arguments):
        return run(capsys, "worth", "--preset", "small", *arguments).splitlines()[-1]

    few = verdict("--n-task", "200", "--n-brain", "80", "--task-snr", "0.05")
    many = verdict("--n-task", "5000", "--n-brain", "5000")
    blind = verdict("--misalignment", "0.91", "--n-brain", "70", "--n-task", "70")
    assert "mere shrinkage, since" in few
    assert "a part of which is mere shrinkage" in many
    assert ". The information in them" in many
    assert "worth next to nothing for this task" in blind


def test_what_if_ranks_the_elasticities(capsys):
    arguments = ("worth", "--preset", "small", "--n-brain", "700", "--n-task", "200", "--what-if")
    answer = json.loads(run(capsys, *arguments, "--json"))["elasticities"]
    problem = jb.presets.small().problem()
    for measure in ("value", "information_value"):
        expected = jb.elasticities(problem, 700, 200, measure=measure)._asdict()
        assert answer[measure] == pytest.approx({k: float(v) for k, v in expected.items()})
    lines = run(capsys, *arguments).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("one percent more"))
    assert lines[start].split("  ")[-2:] == ["value of the information", "against least squares"]
    cells = [line.split("%")[:2] for line in lines[start + 1 : start + 8]]
    shown, against_ols = ([float(row[i].split()[-1]) for row in cells] for i in (0, 1))
    assert [abs(change) for change in shown] == sorted(map(abs, shown), reverse=True)
    assert sorted(shown) == pytest.approx(sorted(answer["information_value"].values()), abs=6e-4)
    assert sorted(against_ols) == pytest.approx(sorted(answer["value"].values()), abs=6e-4)


def test_what_if_leaves_out_what_cannot_change(capsys):
    arguments = ("worth", "--preset", "small", "--misalignment", "1", "--what-if")
    answer = json.loads(run(capsys, *arguments, "--json"))["elasticities"]
    for measure in ("value", "information_value"):
        missing = [name for name, change in answer[measure].items() if change is None]
        assert missing == ["misalignment"]
    table = run(capsys, *arguments).split("\n\n")[1].splitlines()
    assert re.fullmatch(r"misalignment +undefined +undefined", table[-1])
    assert not any("undefined" in line for line in table[:-1])


def test_too_few_labels_for_the_subspace_still_tell_what_is_known(capsys):
    text = run(capsys, "worth", "--preset", "small", "--n-task", "5")
    assert "cannot even be read out unpenalised (6 latents), but the information" in text


def test_infinite_numbers_are_null_with_a_note(capsys):
    answer = json.loads(run(capsys, "worth", "--preset", "small", "--n-task", "20", "--json"))
    assert answer["task_only_risk"] is None
    assert "task_only_risk is infinite" in answer["notes"]


def test_too_few_labels_leave_the_value_undefined(capsys):
    arguments = ("worth", "--preset", "small", "--n-task", "7")
    answer = json.loads(run(capsys, *arguments, "--json"))
    assert answer["risk"] is None
    assert answer["value"] is None
    assert "value is undefined" in answer["notes"]
    text = run(capsys, *arguments)
    assert "cannot even be read out" in text
    assert "savings" not in text


def test_hours_are_samples_of_the_fmri_preset(capsys):
    answer = json.loads(run(capsys, "worth", "--hours", "20", "--n-task", "100000", "--json"))
    assert answer["n_brain"] == 36_000
    assert answer["hours"] == 20


def test_a_config_describes_a_study_and_flags_take_precedence(capsys, tmp_path):
    config = tmp_path / "study.toml"
    config.write_text(
        """
        n_brain = 2_000
        n_task = 500
        task_snr = 0.5
        misalignment = 0.2
        samples_per_hour = 100
        [problem]
        input_dim = 100
        latent_dim = 4
        recording_dim = 40
        latent_noise = [0.5, 0.4, 0.3, 0.2]
        recording_noise = 4.0
        gain = 30.0
        """
    )
    answer = json.loads(run(capsys, "worth", "--config", str(config), "--hours", "30", "--json"))
    problem = jb.Problem(
        input_dim=100,
        latent_dim=4,
        recording_dim=40,
        latent_noise=jnp.array([0.5, 0.4, 0.3, 0.2]),
        gain=30.0,
        recording_noise=4.0,
        aligned_power=jnp.full(4, 0.2),
        misaligned_power=0.2,
        task_noise=2.0,
    )
    assert answer["n_brain"] == 3_000
    assert answer["value"] == pytest.approx(
        float(jb.value(problem, 3_000, 500, baseline="ols")), rel=1e-12
    )


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
        (("fit", "absent.npz"), "no such file"),
        (("fit",), "file"),
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

    def forbidden(path):
        raise PermissionError(13, "Permission denied")

    # As root, who may run these tests, everything is permitted.
    monkeypatch.setattr("pathlib.Path.read_bytes", forbidden)
    said = refused(capsys, "worth", "--config", "study.toml")
    assert "study.toml: cannot be read (Permission denied)" in said


def test_a_plot_is_drawn_and_never_overwritten_unasked(capsys, tmp_path):
    plot = tmp_path / "savings.png"
    arguments = ("worth", "--preset", "small", "--plot", str(plot))
    run(capsys, *arguments)
    drawn = plot.read_bytes()
    assert drawn.startswith(b"\x89PNG")
    assert len(drawn) > 10_000
    assert "pass --overwrite" in refused(capsys, *arguments)
    plot.write_bytes(b"old")
    run(capsys, *arguments, "--overwrite")
    assert plot.read_bytes().startswith(b"\x89PNG")


def test_a_study_whose_value_is_undefined_is_not_marked(capsys, tmp_path, monkeypatch):
    monkeypatch.setattr(plt, "close", lambda figure: None)
    marked = {}
    for n_task in ("0.001", "7", "100"):
        plot = str(tmp_path / f"{n_task}.svg")
        run(capsys, "worth", "--preset", "small", "--n-task", n_task, "--plot", plot)
        (axes,) = plt.gcf().axes
        marked[n_task] = [line for line in axes.lines if line.get_label() == "this study"]
    monkeypatch.undo()
    plt.close("all")
    assert [len(lines) for lines in marked.values()] == [0, 0, 1]
    savings = float(jb.savings(jb.presets.small().problem(), 500, 100, baseline="ols"))
    np.testing.assert_allclose(marked["100"][0].get_xydata(), [[100, 100 * savings]])


def test_inaccuracy_is_noted_once_and_not_warned_of(capsys, tmp_path):
    config = tmp_path / "study.toml"
    config.write_text(NOISY)
    plot = str(tmp_path / "a.svg")
    main(["worth", "--config", str(config), "--what-if", "--plot", plot])
    printed = capsys.readouterr()
    assert printed.err == ""
    (note,) = [line for line in printed.out.splitlines() if line.startswith("note: ")]
    assert "some directions are lost in the noise" in note
    answer = json.loads(run(capsys, "worth", "--config", str(config), "--json"))
    assert [note] == [f"note: {said}" for said in answer["notes"] if "lost in the noise" in said]
    assert "note: " not in run(capsys, "worth", "--preset", "small")


def test_fit_prints_errors_differences_and_a_verdict(capsys, tmp_path):
    path = small_file(tmp_path)
    text = run(capsys, "fit", path, "--repeats", "8", "--rank", "2", "--per-target")
    for name in ("least squares", "ridge", "BEFS", "two penalties", "random", "shuffled"):
        assert name in text
    assert "60 brain, 30 task and 30 test rows" in text
    answer = json.loads(run(capsys, "fit", path, "--repeats", "8", "--rank", "2", "--json"))
    error = answer["errors"]["ridge"]
    assert f"{error['mean']:.4f}" in text
    assert error["low"] < error["mean"] < error["high"]
    assert answer["verdict"] in text
    gap = answer["errors"]["befs"]["mean"] - error["mean"]
    assert answer["differences_to_ridge"]["befs"]["mean"] == pytest.approx(gap)


def test_verdict_needs_more_than_a_gain_over_ridge(capsys, tmp_path):
    """Recordings of noise, or a control that does as well, must not pass for help."""
    rng = np.random.default_rng(1)
    inputs = rng.normal(size=(120, 8))
    path = small_file(tmp_path, inputs=inputs, recordings=rng.normal(size=(120, 10)))
    assert "recordings help" not in run(capsys, "fit", path, "--repeats", "20", "--rank", "2")
    every = inputs @ np.ones(8) + 0.3 * rng.normal(size=120)
    uneven = inputs * np.array([1, 1, 1, 1, 1, 1, 1, 1000.0])
    path = small_file(tmp_path, inputs=uneven, recordings=inputs[:, :4], targets=every)
    text = run(capsys, "fit", path, "--repeats", "20", "--rank", "3")
    assert "recordings help" not in text
    assert "variances differ" in text


def test_help_is_doubted_where_neighbouring_rows_are_alike(capsys, tmp_path):
    rng = np.random.default_rng(0)
    targets = np.repeat(rng.normal(size=(30, 2)), 4, axis=0) + 0.1 * rng.normal(size=(120, 2))
    path = small_file(tmp_path, targets=targets)
    options = ("--repeats", "4", "--rank", "2", "--json")
    alike = json.loads(run(capsys, "fit", path, *options))
    assert re.search(
        r"rows that follow each other are alike \(correlation 0.7\d\)", alike["verdict"]
    )
    assert "--block" in alike["verdict"]
    apart = json.loads(run(capsys, "fit", path, *options, "--block", "8"))
    assert "alike" not in apart["verdict"]
    assert "in blocks of 8" in " ".join(apart["what_was_done"])
    assert "--block = 50 rows" in refused(capsys, "fit", path, *options, "--block", "50")
    assert "--block must lie between 1" in refused(capsys, "fit", path, *options, "--block", "0")


def test_recordings_that_show_where_the_task_is_not_are_told_apart(capsys, tmp_path):
    """What was recorded and the task share no direction: only two penalties can make use of that."""
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(400, 12))
    recordings = inputs[:, :2] @ rng.normal(size=(2, 20)) + 0.5 * rng.normal(size=(400, 20))
    options = ("--n-brain", "200", "--n-task", "20", "--repeats", "40", "--rank", "2", "--json")
    said = {}
    for first in (0, 2):
        targets = inputs[:, first : first + 2] @ rng.normal(size=(2, 2))
        targets += 0.7 * rng.normal(size=(400, 2))
        path = small_file(tmp_path, inputs=inputs, recordings=recordings, targets=targets)
        said[first] = json.loads(run(capsys, "fit", path, *options))["verdict"]
    assert said[0].startswith("The recordings help: BEFS")
    assert said[2].startswith(
        "The recordings help by showing where the task is not: BEFS with two penalties has"
    )
    assert re.search(r"In (9\d|100) % of the splits", said[2])


def test_fit_is_reproducible_by_its_seed(capsys, tmp_path):
    path = small_file(tmp_path)
    arguments = ("fit", path, "--repeats", "4", "--rank", "2", "--json", "--seed")
    first, again, other = (run(capsys, *arguments, seed) for seed in ("1", "1", "2"))
    assert first == again
    assert first != other


def test_fit_refuses_arrays_that_it_cannot_use(capsys, tmp_path):
    path = small_file(tmp_path, targets=np.full(120, np.nan), recordings=np.zeros((119, 10)))
    said = refused(capsys, "fit", path)
    assert "targets holds NaN" in said
    assert "recordings is constant" in said


@pytest.mark.parametrize("there", [True, False])
def test_fit_tells_all_that_is_wrong_at_once(capsys, tmp_path, there):
    path = small_file(tmp_path) if there else str(tmp_path / "absent.npz")
    options = ("--seed", "-1", "--repeats", "1", "--rank", "0", "--n-brain", "121", "--n-test", "1")
    said = refused(capsys, "fit", path, *options, "--n-task", "9" * 30)
    for fault in (
        "--seed must lie between 0 and 4294967295, but it is -1",
        "--repeats must lie between 2 and 1000000, but it is 1",
        "--rank must lie between 1 and",
        "--n-test must lie between 2 and",
        "--n-task must lie between 5 and",
        "--n-brain = 121, but there are only 120 recorded rows" if there else "no such file",
    ):
        assert fault in said


def test_importing_the_library_changes_no_flag_and_loads_no_plotting():
    code = (
        "import jax; before = dict(jax.config.values); import jaxbrain, sys;"
        "assert dict(jax.config.values) == before;"
        "assert 'matplotlib' not in sys.modules;"
        "print(jaxbrain.value(jaxbrain.Problem.isotropic(10, 2, 1., .1, .5), 50, 50).dtype)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "float32"


def test_a_model_in_place_of_its_problem_is_told_apart():
    """Without the annotations that these tests execute, as a user has it."""
    code = "import jaxbrain as jb; jb.value(jb.presets.small(), 600, 50)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert "ValueError: problem is a LinearGaussianModel: pass model.problem()" in done.stderr


def test_info_tells_devices_precision_and_versions(capsys):
    found = json.loads(run(capsys, "info", "--json"))
    assert found["jaxbrain"] == jb.__version__
    assert found["jax"] == jax.__version__
    assert found["devices"].startswith(f"{jax.devices()[0].platform}:0")
    assert found["precision"].startswith("float64")
    lines = dict(line.split("  ", 1) for line in run(capsys, "info").splitlines())
    assert {name: value.strip() for name, value in lines.items()} == {
        name: str(value) for name, value in found.items()
    }


def test_the_version_is_one_line(capsys):
    assert run(capsys, "--version") == f"jaxbrain {jb.__version__}\n"


def helped(capsys, *arguments):
    """A help text without its frames and line breaks."""
    with pytest.raises(SystemExit) as caught:
        main([*arguments, "--help"])
    assert caught.value.code == 0
    return " ".join(re.sub("[│╭╮╰╯─]", " ", capsys.readouterr().out).split())


def test_help_tells_of_the_version_and_of_every_command(capsys):
    text = helped(capsys)
    for word in ("--version", *COMMANDS):
        assert word in text


@pytest.mark.parametrize(
    ("command", "defaults"),
    [
        ("worth", ["18000 (preset fmri), 500 (small)", "100000 (preset fmri), 100 (small)"]),
        ("plan", ["30000 (preset fmri), 500", "0.5 (preset fmri), 1", "600 (preset fmri)"]),
        ("report", ["18000 (preset fmri), 500 (small)", "what the study costs"]),
        (
            "simulate",
            ["100 200 400 800 (preset small), or 7200 18000 36000 (fmri)", "by default 100"],
        ),
        ("fit", ["half of shared rows", "by default the rest"]),
        ("reproduce", ["(default: all)"]),
        ("info", ["(default: False)"]),
    ],
)
def test_help_tells_defaults_and_never_that_there_are_none(capsys, command, defaults):
    text = helped(capsys, command)
    for default in defaults:
        assert default in text
    assert "default: None" not in text
    assert "default: )" not in text


def as_program(*arguments, **options):
    program = "from jaxbrain.cli import main; main()"
    settings = {"stderr": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True} | options
    settings["env"] = {**os.environ, **settings.get("env", {})}
    return subprocess.run([sys.executable, "-c", program, *arguments], check=False, **settings)


@pytest.mark.parametrize("platform", ["tpuu", "cuda"])
def test_a_device_that_is_not_there_is_told(platform):
    if platform == "cuda" and jax.default_backend() == "gpu":
        pytest.skip("there is one")
    done = as_program("worth", env={"JAX_PLATFORMS": platform})
    assert done.returncode == 2
    said = f"jaxbrain: JAX finds no device for JAX_PLATFORMS={platform}: unset it"
    assert done.stderr.splitlines()[-1] == said
    assert "Traceback" not in done.stderr
    done = as_program("info", env={"JAX_PLATFORMS": platform})
    assert done.returncode == 0
    assert "none (JAX: " in done.stdout


@pytest.mark.parametrize("option", ["--version", "--help"])
def test_an_answer_that_cannot_be_printed_is_told(option):
    with open("/dev/full", "w") as full:
        done = as_program(option, stdout=full)
    assert done.returncode == 2
    assert done.stderr == "jaxbrain: the answer cannot be printed (No space left on device)\n"
    reader, writer = os.pipe()
    os.close(reader)
    done = as_program(option, stdout=writer)
    os.close(writer)
    assert (done.returncode, done.stderr) == (141, "")


def test_signs_that_the_terminal_lacks_are_replaced():
    done = as_program("worth", "--what-if", "--preset", "small", env={"PYTHONIOENCODING": "ascii"})
    assert done.returncode == 0, done.stderr
    assert "one percent more of ?" in done.stdout


def test_an_interrupted_command_ends_quietly(capsys, monkeypatch):
    def interrupted(*arguments, **options):
        raise KeyboardInterrupt

    monkeypatch.setattr("jaxbrain.theory.worth", interrupted)
    with pytest.raises(SystemExit) as caught:
        main(["worth"])
    assert caught.value.code == 130
    assert capsys.readouterr().err == ""


def test_reproduce_takes_no_file_for_a_folder_and_no_foreign_table(capsys, tmp_path):
    command = ("reproduce", "model", "--quick", "--resume", "--out", str(tmp_path))
    figures = tmp_path / "figures"
    figures.write_text("mine")
    said = refused(capsys, *command)
    assert f"{figures} is a file, where a folder has to be" in said
    assert [path.name for path in tmp_path.iterdir()] == ["figures"]
    figures.unlink()
    (tmp_path / "tables").mkdir()
    foreign = xarray.Dataset({"mine": 1.0}, attrs={"table": "setting", "scale": "quick"})
    jb.write_table(foreign, tmp_path / "tables" / "setting.nc")
    said = refused(capsys, *command)
    assert "setting.nc: not what this version stores there" in said
    assert not list(figures.iterdir())


def test_a_folder_that_may_not_be_looked_into_is_told(capsys, monkeypatch):
    def forbidden(path):
        raise PermissionError(13, "Permission denied")

    # As root, who may run these tests, everything is permitted.
    monkeypatch.setattr("pathlib.Path.exists", forbidden)
    said = refused(capsys, "reproduce", "modle", "--out", "closed/new")
    assert "closed/new: cannot be written (Permission denied)" in said
    assert "there is no result 'modle'" in said

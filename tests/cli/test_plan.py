"""`jaxbrain plan`: what it prints, what it draws, and how it refuses."""

import json
import re
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest

import jaxbrain as jb
from jaxbrain.cli.input.purchase import read_purchase
from tests.helpers.cli import refused, run

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "docs" / "examples"
MODALITIES = str(EXAMPLES / "modalities.toml")

TWO_MODALITIES = """
budget = 4_000
currency = "EUR"
cost_task = 2
fixed_cost_task = 100
task_snr = 0.5
input_dim = 40

[modality.cheap]
cost_hour = 10
samples_per_hour = 100
fixed_cost_brain = 50
misalignment = 0.4
latent_dim = 3
recording_dim = 12
latent_noise = [0.5, 0.6, 0.7]
recording_noise = 4.0
gain = 8.0

[modality.dear]
cost_brain = 3.0
misalignment = 0.1
latent_dim = 3
recording_dim = 12
latent_noise = 0.2
recording_noise = 1.0
gain = 10
"""

LIKE_THE_PAPER = ("--estimator", "befs", "--baseline", "ols")


def problems():
    """What TWO_MODALITIES describes, put together by hand."""
    shared = dict(input_dim=40, latent_dim=3, recording_dim=12, task_noise=2.0)
    cheap = jb.Problem(
        latent_noise=[0.5, 0.6, 0.7],
        recording_noise=4.0,
        gain=8.0,
        aligned_power=[0.2, 0.2, 0.2],
        misaligned_power=0.4,
        **shared,
    )
    dear = jb.Problem(
        latent_noise=0.2,
        recording_noise=1.0,
        gain=10.0,
        aligned_power=[0.3, 0.3, 0.3],
        misaligned_power=0.1,
        **shared,
    )
    return {"cheap": cheap, "dear": dear}


def written(tmp_path, text=TWO_MODALITIES):
    config = tmp_path / "plan.toml"
    config.write_text(text)
    return str(config)


def answer_of(capsys, *arguments):
    return json.loads(run(capsys, "plan", *arguments, "--json"))


def test_numbers_are_those_of_the_library(capsys, tmp_path):
    answer = answer_of(capsys, "--config", written(tmp_path))
    costs = {"cheap": (0.1, 50.0), "dear": (3.0, 0.0)}
    for name, problem in problems().items():
        # In tenths, so that the price of 0.1 is a whole number.
        price, fixed = (10 * sum_ for sum_ in costs[name])
        expected = jb.optimal_allocation(
            problem,
            40_000,
            price,
            20,
            fixed,
            1000,
            estimator="befs_two_penalties",
            baseline="ridge",
        )
        found = answer["modalities"][name]
        for field in ("n_brain", "n_task"):
            assert found[field] == float(getattr(expected, field))
        for field in ("spent_on_brain", "spent_on_task"):
            assert found[field] == float(getattr(expected, field)) / 10
        for field in ("risk", "saved"):
            assert found[field] == pytest.approx(float(getattr(expected, field)), rel=1e-12)
        assert answer["without_brain"]["n_task"] == float(expected.n_task_without_brain) == 1_950
        assert answer["without_brain"]["risk"] == pytest.approx(float(expected.risk_without_brain))
        kept = ~np.isnan(expected.frontier.risk)
        for field in ("n_brain", "n_task", "risk"):
            np.testing.assert_allclose(
                found["frontier"][field],
                np.asarray(getattr(expected.frontier, field))[kept],
                rtol=1e-12,
            )
    best = min(answer["modalities"], key=lambda name: answer["modalities"][name]["risk"])
    assert answer["best"] == best
    assert answer["without_brain"]["spent_on_task"] == 4_000


def test_money_saved_is_what_labels_alone_would_cost_more(capsys, tmp_path):
    answer = answer_of(capsys, "--config", written(tmp_path))
    for name, problem in problems().items():
        found = answer["modalities"][name]
        spent = found["spent_on_brain"] + found["spent_on_task"]
        assert spent <= 4_000
        rival = spent + found["money_saved"]
        labels = (rival - 100) / 2
        assert labels == pytest.approx(round(labels), rel=1e-12)
        enough, too_few = jb.ridge_risk(problem, np.array([labels, labels - 1]))
        assert float(enough) <= found["risk"] < float(too_few)
        assert found["saved"] == pytest.approx(found["money_saved"] / rival)


def test_json_has_a_fixed_shape(capsys, tmp_path):
    answer = answer_of(capsys, "--config", written(tmp_path))
    assert list(answer) == [
        "budget",
        "currency",
        "cost_task",
        "fixed_cost_task",
        "estimator",
        "baseline",
        "without_brain",
        "modalities",
        "best",
        "verdict",
        "notes",
    ]
    assert list(answer["modalities"]) == ["cheap", "dear"]
    assert set(answer["modalities"]["cheap"]) == {
        "cost_brain",
        "fixed_cost_brain",
        "samples_per_hour",
        "n_brain",
        "n_task",
        "risk",
        "spent_on_brain",
        "spent_on_task",
        "saved",
        "hours",
        "money_saved",
        "least_budget",
        "frontier",
        "why_not",
    }
    assert answer["notes"] == []


def test_hours_are_known_where_the_rate_is(capsys, tmp_path):
    answer = answer_of(capsys, "--config", written(tmp_path))
    cheap, dear = answer["modalities"]["cheap"], answer["modalities"]["dear"]
    assert cheap["hours"] == cheap["n_brain"] / 100
    assert cheap["cost_brain"] == 0.1
    assert dear["hours"] is None
    text = run(capsys, "plan", "--config", written(tmp_path))
    assert "10 an hour" in text
    assert "3 each" in text
    assert f" {cheap['hours']:.1f} " in text
    assert "hours" not in run(capsys, "plan", "--preset", "small")


def test_the_table_and_the_verdict_say_what_the_json_says(capsys, tmp_path):
    answer = answer_of(capsys, "--config", written(tmp_path))
    text = run(capsys, "plan", "--config", written(tmp_path))
    assert answer["verdict"] in text
    assert "budget 4 000 EUR; a label 2 EUR and 100 EUR once" in text
    rows = {line.split("  ")[0]: line for line in text.splitlines()}
    for name, found in answer["modalities"].items():
        assert f"{found['risk']:.4g}" in rows[name]
        assert f"{100 * found['saved']:.1f} %" in rows[name]
    assert f"{answer['without_brain']['risk']:.4g}" in rows["no recordings"]
    verdict = re.fullmatch(
        r"Buy (\w+) recordings: ([\d ]+) samples( \([\d.]+ h\))? for ([\d ]+) EUR, and ([\d ]+) labels; "
        r"to be as good without recordings would cost ([\d ]+) EUR on labels, "
        r"so that (\d+) % \(([\d ]+) EUR\) are saved\.",
        answer["verdict"],
    )
    best = answer["modalities"][answer["best"]]
    assert verdict[1] == answer["best"]
    for group, number in ((2, best["n_brain"]), (5, best["n_task"]), (8, best["money_saved"])):
        assert float(verdict[group].replace(" ", "")) == pytest.approx(number, rel=0.005)
    assert float(verdict[7]) == pytest.approx(100 * best["saved"], abs=0.5)


def test_a_bare_plan_buys_both(capsys):
    answer = answer_of(capsys)
    expected = jb.optimal_allocation(
        jb.presets.fmri().problem(),
        30_000,
        600 / 1_800,
        0.5,
        estimator="befs_two_penalties",
        baseline="ridge",
    )
    found = answer["modalities"]["fmri"]
    assert found["n_brain"] == float(expected.n_brain) > 4_097
    assert found["hours"] == found["n_brain"] / 1_800
    assert 0.2 < found["saved"] < 0.8


@pytest.mark.parametrize(
    ("budget", "price", "labels"),
    # In binary each of these prices is a trifle too high, or the budget too low.
    [("40000", "0.2", 200_000), ("41", "0.1", 410), ("7", "0.07", 100), ("0.3", "0.1", 3)],
)
def test_prices_are_decimal_as_they_were_typed(capsys, budget, price, labels):
    options = ("--preset", "small", "--budget", budget, "--cost-task", price)
    alone = answer_of(capsys, *options)["without_brain"]
    assert alone["n_task"] == labels
    assert alone["spent_on_task"] == pytest.approx(float(price) * labels, rel=1e-15)


def test_a_saving_of_less_than_a_percent_is_not_called_a_saving(capsys):
    for price, said in (
        ("2.36", "so that 3 % ("),
        ("2.4", "so that less than 1 % (5) is saved: hardly"),
    ):
        header, *_, verdict = run(
            capsys, "plan", "--preset", "small", "--cost-brain", price
        ).splitlines()
        assert header == "budget 500; a label 1; no fixed costs"
        assert verdict.startswith("Buy small recordings: ")
        assert said in verdict
    fixed = ("--fixed-cost-brain", "40", "--fixed-cost-task", "20")
    header, *_, row, _, _, _ = run(capsys, "plan", "--preset", "small", *fixed).splitlines()
    assert header == "budget 500; a label 1 and 20 once"
    assert row.startswith("small          0.3 each + 40 ")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--budget", "15"), "small costs 19.8 before a subspace of 64 inputs can be learned"),
        (("--budget", "15"), "above the budget"),
        (("--cost-brain", "7"), "small is too expensive for what it teaches"),
        (("--misalignment", "1", "--estimator", "befs"), "small teaches nothing about this task"),
        (("--misalignment", "1", "--estimator", "befs"), "below that of ridge regression"),
        # Where the task is not is knowledge too, worth a few labels, but not this price.
        (("--misalignment", "1"), "small is too expensive for what it teaches"),
        (
            ("--budget", "60", *LIKE_THE_PAPER, "--cost-brain", "10"),
            "No plan within this budget has a finite error: least squares takes more labels",
        ),
    ],
)
def test_verdict_says_why_nothing_should_be_bought(capsys, arguments, said):
    answer = answer_of(capsys, "--preset", "small", *arguments)
    found = answer["modalities"]["small"]
    assert answer["best"] is None
    assert said in answer["verdict"]
    assert found["n_brain"] == found["saved"] == found["money_saved"] == 0
    assert found["n_task"] == answer["without_brain"]["n_task"]
    assert said in run(capsys, "plan", "--preset", "small", *arguments)


THREE_MODALITIES = """
budget = 300
cost_task = 1.1
task_snr = 1
input_dim = 12

[modality.cheap]
cost_brain = 0.4
misalignment = 1.0
latent_dim = 9
encoding_noise = 0.5

[modality.dear]
cost_brain = 10
misalignment = 1.0
latent_dim = 9
encoding_noise = 0.5

[modality.perfect]
cost_brain = 15
misalignment = 0.1
latent_dim = 3
encoding_noise = 0.0
"""


def test_what_is_too_expensive_is_not_said_to_teach_nothing(capsys, tmp_path):
    text = run(capsys, "plan", "--config", written(tmp_path, THREE_MODALITIES))
    assert "Buy cheap recordings" in text
    assert "dear is too expensive for what it teaches at this budget" in text
    assert "perfect is too expensive for what it teaches at this budget" in text
    assert "nothing" not in text
    problem = jb.Problem.isotropic(12, 3, 1.0, 0.1, 0.0)
    plan = jb.optimal_allocation(
        problem, 300, 0.1, 1.1, estimator="befs_two_penalties", baseline="ridge"
    )
    assert float(plan.n_brain) > 0


def test_labels_that_are_nearly_free_do_not_make_recordings_teach_nothing(capsys):
    text = run(
        capsys,
        "plan",
        "--preset",
        "small",
        "--budget",
        "600",
        "--cost-task",
        "1e-9",
        "--cost-brain",
        "1",
    )
    assert "small is too expensive for what it teaches at this budget" in text
    assert "teaches nothing" not in text


def test_a_subspace_with_its_fair_share_of_the_task_teaches_nothing(capsys, tmp_path):
    """As much of the task lies inside as in any 9 of 12 directions: at no price is that knowledge."""
    text = THREE_MODALITIES.replace("misalignment = 1.0", "misalignment = 0.25")
    said = run(capsys, "plan", "--config", written(tmp_path, text))
    assert "cheap teaches nothing about this task: no amount of it, even for free" in said
    assert "dear teaches nothing about this task" in said
    assert "perfect is too expensive for what it teaches" in said
    # Least squares does not shrink: against it even that subspace helps, but not at this price.
    said = run(capsys, "plan", "--config", written(tmp_path, text), *LIKE_THE_PAPER)
    assert "cheap is too expensive for what it teaches" in said
    assert "teaches nothing" not in said


def test_what_is_left_out_is_explained_beside_what_is_bought(capsys, tmp_path):
    config = written(tmp_path, TWO_MODALITIES.replace("cost_brain = 3", "cost_brain = 100"))
    text = run(capsys, "plan", "--config", config)
    assert "Buy cheap recordings" in text
    assert "dear costs 4 300 EUR before a subspace of 40 inputs can be learned at all" in text


def test_infinite_numbers_are_null_with_a_note(capsys):
    answer = answer_of(capsys, "--preset", "small", "--budget", "65", *LIKE_THE_PAPER)
    assert answer["without_brain"]["risk"] is None
    assert "without_brain.risk is infinite" in answer["notes"]
    assert answer["best"] == "small"
    # What is left beside the fewest recordings buys too few labels for the read-out.
    answer = answer_of(capsys, "--preset", "small", "--budget", "25.4", *LIKE_THE_PAPER)
    frontier = answer["modalities"]["small"]["frontier"]["risk"]
    assert frontier[0] is None
    assert "modalities.small.frontier.risk is infinite where it is null" in answer["notes"]
    assert "takes more labels than inputs" in answer["verdict"]


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


def test_flags_describe_a_preset(capsys):
    arguments = ("--preset", "small", "--budget", "900", "--cost-brain", "0.5", "--cost-task", "2")
    more = ("--fixed-cost-brain", "20", "--fixed-cost-task", "30", "--misalignment", "0.3")
    answer = answer_of(capsys, *arguments, *more, "--task-snr", "0.4")
    expected = jb.optimal_allocation(
        jb.presets.small(0.4, 0.3).problem(),
        *(900, 0.5, 2, 20, 30),
        estimator="befs_two_penalties",
        baseline="ridge",
    )
    found = answer["modalities"]["small"]
    assert (found["n_brain"], found["n_task"]) == (float(expected.n_brain), float(expected.n_task))
    assert found["risk"] == pytest.approx(float(expected.risk), rel=1e-12)
    assert found["least_budget"] == 30 + 20 + 66 * 0.5


@pytest.mark.parametrize(
    ("name", "arguments", "best"),
    [
        ("modalities.toml", ("--budget", "15000"), "EEG"),
        ("modalities.toml", (), "fMRI"),
        ("modalities.toml", ("--budget", "200000"), "intracranial"),
        ("one_modality.toml", (), "scanner"),
    ],
)
def test_examples_run_and_the_best_depends_on_the_budget(capsys, name, arguments, best):
    answer = answer_of(capsys, "--config", str(EXAMPLES / name), *arguments)
    assert answer["best"] == best
    assert answer["modalities"][best]["saved"] > 0.05
    assert "illustrative" in (EXAMPLES / name).read_text().lower()


def test_names_keep_their_case(capsys):
    path = str(EXAMPLES / "modalities.toml")
    reason = run(capsys, "plan", "--config", path, "--budget", "9000").splitlines()[-1]
    assert reason.startswith(("fMRI is", "fMRI costs", "intracranial costs")), reason


def test_commands_of_the_readme_run(capsys, monkeypatch):
    monkeypatch.chdir(ROOT)
    commands = re.findall(r"^jaxbrain plan (.*)$", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert len(commands) == 2
    for command in commands:
        assert "are saved" in run(capsys, "plan", *command.split())


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
        "--cost-hour is about a single modality",
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
    text = first.replace("latent_dim = 3", "latent_dim = 2") + "[modality.dear]"
    text += second.replace("latent_dim = 3", "latent_dim = 40").replace("= 12", "= 50")
    said = refused(capsys, "plan", "--config", written(tmp_path, text))
    assert "[modality.cheap] latent_noise must have shape (2,)" in said
    assert "[modality.dear] latent_dim must be between 1 and 39" in said


def test_every_fault_of_a_modality_is_told_with_table_and_file(capsys, tmp_path):
    text = TWO_MODALITIES.replace("recording_noise = 4.0", "recording_noise = [4.0, 4.0, 4.0]")
    text = text.replace("gain = 8.0", "gain = [8.0, 0.0, 8.0]").replace("[0.5, 0.6, 0.7]", "[0.5]")
    text = text.replace("recording_dim = 12", "recording_dim = 2") + "[modality.' ']\n"
    config = written(tmp_path, text)
    said = refused(capsys, "plan", "--config", config)
    for fault in (
        "[modality.cheap] latent_noise must have shape (3,), one entry a latent",
        "[modality.cheap] recording_noise must be one number for all channels",
        "[modality.cheap] gain must be greater than 0",
        "[modality.cheap] recording_dim must be at least latent_dim = 3, but it is 2",
        "[modality.dear] recording_dim must be at least latent_dim = 3, but it is 2",
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
        (("--plot", "plan.txt"), "the name must end in .png or .svg or .pdf"),
    ],
)
def test_wrong_arguments_are_refused(capsys, arguments, said):
    assert said in refused(capsys, "plan", *arguments)


@pytest.mark.parametrize("text", ["budget = ", "", "modality = 3", "[modality]", "[problem]"])
def test_a_config_without_modalities_is_refused(capsys, tmp_path, text):
    said = refused(capsys, "plan", "--config", written(tmp_path, text))
    assert re.search(r"describe a modality|cannot be read as TOML|is empty|describes a study", said)


def test_a_plot_is_drawn_and_never_overwritten_unasked(capsys, tmp_path, monkeypatch):
    plot = tmp_path / "plan.png"
    arguments = ("plan", "--preset", "small", "--plot", str(plot))
    run(capsys, *arguments)
    assert plot.read_bytes().startswith(b"\x89PNG")
    assert plot.stat().st_size > 10_000
    plot.write_bytes(b"old")

    def never(purchase, notes):
        raise AssertionError("refused only after computing")

    with monkeypatch.context() as patched:
        patched.setattr("jaxbrain.cli.commands.plan.answer_of", never)
        assert "pass --overwrite" in refused(capsys, *arguments)
    assert plot.read_bytes() == b"old"
    run(capsys, *arguments, "--overwrite")
    assert plot.read_bytes().startswith(b"\x89PNG")


def drawn(capsys, tmp_path, monkeypatch, *arguments):
    """The answer, and the figure that was saved."""
    monkeypatch.setattr(plt, "close", lambda figure: None)
    answer = answer_of(capsys, *arguments, "--plot", str(tmp_path / "plan.svg"))
    monkeypatch.undo()
    figure = plt.gcf()
    plt.close(figure)
    return answer, figure


def test_the_plot_shows_the_answer(capsys, tmp_path, monkeypatch):
    text = TWO_MODALITIES.replace("EUR", "$").replace("modality.dear", 'modality."_dear$"')
    answer, figure = drawn(capsys, tmp_path, monkeypatch, "--config", written(tmp_path, text))
    (axes,) = figure.axes
    lines = {line.get_label(): line for line in axes.lines}
    marks = [line.get_xydata() for line in axes.lines if line.get_marker() == "o"]
    for name, label in (("cheap", "cheap"), ("_dear$", r"dear\$")):
        found = answer["modalities"][name]
        shares, risks = lines[label].get_data()
        fewest = found["fixed_cost_brain"] + 42 * found["cost_brain"]
        assert shares[0] == pytest.approx(100 * fewest / 4_000)
        # What is not spent on recordings buys labels: no point lies below the optimum.
        assert np.min(risks) == pytest.approx(found["risk"], rel=2e-3)
        assert np.min(risks) >= found["risk"] * (1 - 1e-3)
        best = 100 * found["spent_on_brain"] / 4_000, found["risk"]
        assert any(mark.size and np.allclose(mark, best, rtol=1e-9) for mark in marks)
    height = answer["without_brain"]["risk"]
    np.testing.assert_allclose(lines["labels alone"].get_ydata(), height, rtol=1e-9)
    assert axes.get_yscale() == "log"
    assert axes.get_xlabel() == r"share of the budget of 4 000 \$ spent on recordings (%)"
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["cheap", r"dear\$", "labels alone", "best split"]


def test_the_plot_leaves_out_what_is_far_worse_than_predicting_0(capsys, tmp_path, monkeypatch):
    answer, figure = drawn(capsys, tmp_path, monkeypatch, "--preset", "small", *LIKE_THE_PAPER)
    (axes,) = figure.axes
    low, high = axes.get_ylim()
    assert low < answer["modalities"]["small"]["risk"] < high < 4
    assert np.min(axes.lines[0].get_ydata()) == pytest.approx(
        answer["modalities"]["small"]["risk"], rel=2e-3
    )


def test_a_modality_beyond_the_budget_is_named_in_the_plot(capsys, tmp_path, monkeypatch):
    _, figure = drawn(capsys, tmp_path, monkeypatch, "--preset", "small", "--budget", "15")
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["small (beyond the budget)", "labels alone", "best split"]


def test_long_and_strange_names_stay_in_the_picture(capsys, tmp_path, monkeypatch):
    names = ["a very long name " * 6, "W" * 70, "脳波\U0001f9e0$", "short"]
    text, tables = TWO_MODALITIES.split("[modality.cheap]")[0].replace("EUR", "円"), ""
    for name, cost in zip(names, (0.3, 300, 1, 300), strict=True):
        tables += f'[modality."{name}"]\ncost_brain = {cost}\nmisalignment = 0.1\n'
        tables += "latent_dim = 3\nencoding_noise = 0.3\n"
    config = written(tmp_path, text + tables)
    answer, figure = drawn(capsys, tmp_path, monkeypatch, "--config", config)
    assert capsys.readouterr().err == ""
    assert list(answer["modalities"]) == names
    figure.canvas.draw()
    (legend,) = figure.legends
    box = legend.get_window_extent()
    assert 0 <= box.x0 < box.x1 <= figure.bbox.width
    shown = [text.get_text() for text in legend.get_texts()]
    assert shown[:4] == [
        "a very long name a very…",
        "W" * 23 + "… (beyond the budget)",
        r"???\$",
        "short (beyond the budget)",
    ]
    assert "4 000 ?" in figure.axes[0].get_xlabel()


def test_inaccuracy_of_what_is_bought_is_noted_once(capsys, tmp_path):
    table = "misalignment = 0.05\nlatent_dim = 4\nrecording_dim = 20\nlatent_noise = 0.5\n"
    table += "recording_noise = 16.0\ngain = [30, 30, 30, 0.5]\n"
    text = "budget = 300\ncost_task = 4\ntask_snr = 1\ninput_dim = 40\n"
    text += f"[modality.bought]\ncost_brain = 0.5\n{table}[modality.dear]\ncost_brain = 7\n{table}"
    config = written(tmp_path, text)
    text = run(capsys, "plan", "--config", config, "--plot", str(tmp_path / "a.svg"))
    (note,) = [line for line in text.splitlines() if line.startswith("note: ")]
    assert note.startswith("note: bought: some directions are lost in the noise")
    answer = answer_of(capsys, "--config", config)
    assert [f"note: {said}" for said in answer["notes"]] == [note]

"""A report is refused before anything is computed, and then leaves nothing behind."""

import pytest

from jaxbrain.cli.input.study import read_prices, read_study
from jaxbrain.study.purchase import bill
from tests.helpers.cli import STUDY, refused, run, written

FAULTS = """
n_task = -3
colour = 2
[problem]
input_dim = 12
latent_dim = 2
encoding_noise = 0.5
[budget]
cost_brain = 0
cost_hour = 3
cost_label = 2
currency = "\\n"
"""


def test_every_fault_is_told_at_once_and_nothing_is_written(capsys, tmp_path):
    config = written(tmp_path, FAULTS)
    out = tmp_path / "page.txt"
    said = refused(capsys, "report", config, "--out", str(out), "--seed", "-1", "--budget", "0")
    for fault in (
        "the name must end in .html",
        "--seed must lie between",
        f"{config}: n_task must be at least 0",
        "'colour' is not known",
        "task_snr is missing",
        "[budget] cost_brain must be greater than 0",
        "'cost_label' is not known",
        "currency must be a word",
        "--budget must be greater than 0",
        "cost_task is missing",
        "give either cost_hour or cost_brain",
    ):
        assert fault in said
    assert len(said.splitlines()) == len(set(said.splitlines()))
    assert [path.name for path in tmp_path.iterdir()] == ["study.toml"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "out"),
        (("absent.toml", "--out", "a.html"), "no such file"),
        (
            ("absent.toml", "--cost-task", "-1", "--out", "a.html"),
            "--cost-task must be greater than 0",
        ),
        (("--out", "absent/a.html"), "there is no folder"),
        (
            ("--preset", "small", "--cost-hour", "3", "--cost-task", "1", "--out", "a.html"),
            "which the preset does not say",
        ),
        (
            ("--cost-hour", "3", "--cost-brain", "1", "--cost-task", "1", "--out", "a.html"),
            "the same thing",
        ),
        (("--currency", "EUR", "--out", "a.html"), "needs the price of recordings"),
        (("--out", "a" * 300 + ".html"), "cannot be written"),
        (("b" * 300 + ".toml", "--out", "a" * 300 + ".html"), "cannot be read"),
    ],
)
def test_wrong_arguments_are_refused(capsys, tmp_path, monkeypatch, arguments, said):
    monkeypatch.chdir(tmp_path)
    assert said in refused(capsys, "report", *arguments)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_replaced_unasked_and_never_the_config(capsys, tmp_path):
    out = tmp_path / "page.html"
    out.write_text("old")
    assert "pass --overwrite" in refused(capsys, "report", "--out", str(out))
    # Nor are figures, each of which is told; nothing else is written then.
    for name in ("risk", "plan"):
        (tmp_path / f"new-{name}.pdf").write_text("old")
    prices = ("--cost-brain", "1", "--cost-task", "1")
    new = ("report", "--preset", "small", "--pdf", "--out", str(tmp_path / "new.html"))
    said = refused(capsys, *new, *prices)
    assert "new-risk.pdf exists already: pass --overwrite" in said
    assert "new-plan.pdf exists already" in said
    # Without prices no plan is drawn, and that file stays.
    assert "new-plan.pdf" not in refused(capsys, *new)
    assert not (tmp_path / "new.html").exists()
    assert [path.read_text() for path in tmp_path.glob("*.pdf")] == ["old", "old"]
    config = written(tmp_path, STUDY, "study.html")
    said = refused(capsys, "report", config, "--out", config, "--overwrite")
    assert "that is read" in said
    assert (out.read_text(), (tmp_path / "study.html").read_text()) == ("old", STUDY)


def test_prices_come_from_the_file_unless_a_flag_says_otherwise(capsys, tmp_path):
    text = STUDY + "[budget]\ntotal = 900\ncost_hour = 40\ncost_task = 3\nfixed_cost_task = 5\n"
    config = tmp_path / "study.toml"
    config.write_text(text)
    study = read_study(config, {})
    purchase = read_prices(config, {"cost_task": None}, study)
    prices = purchase.modalities[""].cost_brain, purchase.cost_task, purchase.budget
    assert prices == (2.0, 3.0, 900.0)
    assert bill(purchase, study) == 100 * 2 + 5 + 50 * 3
    other = read_prices(config, {"cost_brain": 7.0, "total": 10.0}, study)
    prices = other.modalities[""].cost_brain, other.cost_task, other.budget
    assert prices == (7.0, 3.0, 10.0)
    # Without a budget it is what the study costs.
    config.write_text(text.replace("total = 900\n", ""))
    unset = read_prices(config, {}, study)
    assert (unset.budget, unset.budget_is_set) == (bill(unset, study), False)
    assert read_prices(None, {"total": None}, study) is None
    # Other commands take the same file.
    assert "labels" in run(capsys, "worth", str(config))
    config.write_text("budget = 3\n" + STUDY)
    for command in (("worth",), ("simulate",), ("report", "--out", str(tmp_path / "a.html"))):
        said = refused(capsys, command[0], str(config), *command[1:])
        assert "budget must be a table: [budget]" in said


def test_a_failed_write_leaves_nothing_behind(capsys, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    config, out = written(tmp_path, STUDY), tmp_path / "page.html"
    out.write_text("old")
    monkeypatch.setattr("jaxbrain.cli.answers.report.content_of", lambda *_: None)
    monkeypatch.setattr("jaxbrain.cli.page.page.page_of", lambda _: "a page")
    monkeypatch.setattr("os.replace", full)
    said = refused(capsys, "report", config, "--out", str(out), "--overwrite")
    assert "No space left" in said
    assert out.read_text() == "old"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["page.html", "study.toml"]

"""A quick case of each study of the command line: what it asks for, without computing it."""

from pathlib import Path

import pytest

import jaxbrain as jb
from jaxbrain.cli.answers.simulation import simulate
from jaxbrain.cli.errors import UserError
from jaxbrain.cli.input.study import read_purchase
from jaxbrain.study import Study
from tests.helpers.cli import refused
from tests.helpers.problems import imaging_problem

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"


class Asked(Exception):
    """Ends what would compute, once it has been asked."""


@pytest.fixture
def asked(monkeypatch):
    """What a sweep is asked for; it ends there."""
    found = {}

    def sweep(problem, n_brain, n_task, **options):
        found.update(options, n_brain=n_brain, n_task=n_task)
        raise Asked

    monkeypatch.setattr("jaxbrain.simulation.sweep", sweep)
    return found


def test_the_data_method_is_asked_for(monkeypatch, capsys):
    methods = []

    def sweep(*_, method, **__):
        methods.append(method)
        raise ValueError("stopped here")

    monkeypatch.setattr("jaxbrain.simulation.sweep", sweep)
    for options in ((), ("--method", "data")):
        assert "stopped here" in refused(capsys, "simulate", "--n-brain", "100", *options)
    assert methods == ["reduced", "data"]


def test_processes_are_joined_before_a_study_is_read(monkeypatch, capsys):
    order = []

    def read_study(*_, **__):
        order.append("read")
        raise UserError(["stopped here"])

    monkeypatch.setattr("jax.distributed.initialize", lambda **_: order.append("joined"))
    monkeypatch.setattr("jaxbrain.cli.commands.simulate.read_study", read_study)
    refused(capsys, "simulate", "--distributed")
    assert order == ["joined", "read"]
    refused(capsys, "simulate")
    assert order == ["joined", "read", "read"]


def test_where_draws_are_dear_only_recordings_are_asked_for(monkeypatch, asked):
    monkeypatch.setattr("jaxbrain.cli.answers.simulation._PATIENCE", 2.5)
    problem = imaging_problem(600, 10, 600)
    with pytest.raises(Asked):
        simulate(Study(problem, 2_000.0, 1_000.0, None), 0)
    assert (asked["traces"], asked["seeds"], asked["trials"]) == ("closed form", 2, 4)
    assert list(asked["n_brain"]) == [2_000]


def test_where_draws_are_cheap_labels_are_drawn_too(asked):
    with pytest.raises(Asked):
        simulate(Study(jb.presets.small().problem(), 700.0, 200.0, None), 0)
    assert (asked["traces"], asked["seeds"]) == ("drawn", 10)
    assert len(asked["n_brain"]) > 1


def test_a_bare_plan_is_about_the_fmri_study_at_illustrative_prices(monkeypatch):
    problems = {"fmri": jb.Problem.isotropic(64, 6, 8.0, 0.3, 0.5)}
    monkeypatch.setattr(
        "jaxbrain.study.purchase.preset_problem", lambda preset, _: problems[preset]
    )
    purchase = read_purchase(None, {})
    (scanner,) = purchase.modalities.values()
    assert (purchase.budget, purchase.cost_task) == (30_000, 0.5)
    assert scanner.cost_brain == pytest.approx(600 / 1_800)
    assert scanner.samples_per_hour == 1_800
    assert (purchase.estimator, purchase.baseline) == ("befs_two_penalties", "ridge")
    assert scanner.problem is problems["fmri"]


@pytest.mark.parametrize(
    ("name", "budget", "modalities"),
    [
        ("modalities.toml", 60_000, ["EEG", "fMRI", "intracranial"]),
        ("one_modality.toml", 20_000, ["scanner"]),
    ],
)
def test_examples_are_read(name, budget, modalities):
    purchase = read_purchase(EXAMPLES / name, {})
    assert (purchase.budget, list(purchase.modalities)) == (budget, modalities)
    assert read_purchase(EXAMPLES / name, {"budget": 15_000.0}).budget == 15_000
    assert "illustrative" in (EXAMPLES / name).read_text().lower()

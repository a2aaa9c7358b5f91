"""What the README shows runs as it stands."""

import json
import re
from pathlib import Path

import jax
import pytest

import jaxbrain as jb
from jaxbrain.cli import main
from jaxbrain.cli.input.purchase import read_prices
from jaxbrain.cli.input.study import read_study

README = (Path(__file__).parents[2] / "README.md").read_text()


def blocks(language):
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def block(language):
    return blocks(language)[0]


def test_the_python_example_runs_and_tells_the_worth(capsys):
    names = {}
    exec(block("python"), names)
    lines = capsys.readouterr().out.splitlines()
    (first, second, knowledge, slope), (bought, off_brain, simulated) = lines[:4], lines[-3:]
    problem = jb.presets.fmri(task_snr=0.1, misalignment=0.1).problem()
    value = jb.value(problem, 18_000, 100_000)
    assert first.startswith(f"{float(value):.0f} labels")
    assert second.startswith(f"{float(names['answer'].value_vs_ridge):.0f} against ridge")
    known = jb.information_value(problem, 18_000, 100_000)
    assert knowledge == f"{float(known):.0f} of knowledge, shrinkage apart"
    assert bought.startswith(f"buy {float(names['plan'].n_brain):.0f} brain samples")
    assert float(off_brain.split()[0]) > float(value)
    expected = (jb.value(problem, 18_001, 100_000) - jb.value(problem, 17_999, 100_000)) / 2
    assert float(slope) == pytest.approx(float(expected), rel=1e-5)
    low, high = (float(word) for word in simulated.split(" labels")[0].split(" to "))
    claim = float(jb.value(names["model"].problem(), 1_000, 100))
    assert low - (high - low) < claim < high + (high - low)

    exec(blocks("python")[1], names)
    closed, left_out, design = capsys.readouterr().out.splitlines()
    assert closed.startswith(f"{float(jb.optimal_penalty(problem, 18_000, 5_000)):.2f}, error")
    assert closed.endswith("converged: True")
    assert 0 < float(left_out.split(" error ")[1].split()[0]) < 1
    assert float(names["plan"].spent) <= 50_000
    assert "'EEG'" in design
    assert all(number > 4_097 for number in names["plan"].n_brain.values())
    error = jax.numpy.sum((names["weights"] - names["model"].task_weights) ** 2)
    assert error < jb.task_only_risk(names["model"].problem(), 100) / 3


def test_the_example_config_is_understood(capsys, tmp_path):
    (tmp_path / "study.toml").write_text(block("toml"))
    main(["worth", "--config", str(tmp_path / "study.toml"), "--json"])
    answer = json.loads(capsys.readouterr().out)
    assert (answer["n_brain"], answer["n_task"]) == (20_000, 5_000)
    assert answer["value"] > 0


def test_the_example_config_takes_the_example_prices(tmp_path):
    config = tmp_path / "study.toml"
    study, prices = (part for part in blocks("toml") if "[problem]" in part or "[budget]" in part)
    config.write_text(study + prices)
    found = read_prices(config, {}, read_study(config, {}))
    assert (found.modalities[""].cost_brain, found.cost_task, found.budget) == (0.5, 2.0, 30_000)

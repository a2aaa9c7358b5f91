"""What a pilot measured, kept as a study file and read again."""

import os
import re
import tomllib
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
import xarray

import jaxbrain as jb
from jaxbrain.cli.input.study import read_study
from jaxbrain.study.measured import MEASURED_ALREADY
from tests.helpers.cli import REAL, written
from tests.helpers.pilots import NOTES, pilot_estimate


@pytest.fixture(scope="module")
def estimate():
    return pilot_estimate()


@pytest.fixture
def path(estimate, tmp_path):
    jb.write_study(estimate, tmp_path / "mine.toml")
    return tmp_path / "mine.toml"


def refused(path, **options):
    with pytest.raises(jb.StudyError) as caught:
        jb.read_study(path, **options)
    assert str(caught.value) == "\n".join(caught.value.problems)
    return str(caught.value)


def edit(path, old, new):
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new, 1))


def test_the_same_estimate_comes_back(estimate, path):
    found = jb.read_study(path).estimate
    assert jax.tree.structure(found) == jax.tree.structure(estimate)
    for one, other in zip(jax.tree.leaves(found), jax.tree.leaves(estimate), strict=True):
        assert np.asarray(one).dtype == np.asarray(other).dtype
        # Moments are made anew, by a program of another shape.
        np.testing.assert_allclose(one, other, rtol=1e-10, atol=1e-12)
    for exact in ("directions", "weights", "variances"):
        for one, other in zip(found.draws, estimate.draws, strict=True):
            np.testing.assert_array_equal(
                getattr(one.geometry, exact), getattr(other.geometry, exact)
            )
    assert found.numbers == estimate.numbers
    assert found.notes == NOTES


def test_people_can_read_it(estimate, path):
    content = tomllib.loads(path.read_text())
    assert path.read_text().startswith("# A study as a pilot measured it")
    assert (content["n_brain"], content["n_task"]) == (54.5, 40)
    assert content["encoding_penalty"] == "optimal"
    assert content["pilot"] == {"draws": "mine.nc", "notes": list(NOTES)}
    assert set(content["measured"]) == set(estimate.numbers)
    share = content["measured"]["misalignment"]
    assert share == pytest.approx({"value": 0.275, "low": 0.05, "high": 0.5})
    # Nobody reads directions of draws in a table.
    assert sorted(file.name for file in path.parent.iterdir()) == ["mine.nc", "mine.toml"]


def test_what_is_read_is_a_study(estimate, path):
    study = jb.read_study(path)
    assert study.problem is study.estimate.problem
    assert (study.n_brain, study.n_task, study.encoding_penalty) == (54.5, 40.0, "optimal")
    assert (study.samples_per_hour, study.purchase, study.preset) == (None, None, None)
    edit(path, "n_brain = 54.5", "hours = 4\nsamples_per_hour = 20")
    with path.open("a") as file:
        file.write("\n[budget]\ncost_hour = 40\ncost_task = 2\n")
    study = jb.read_study(path)
    assert (study.n_brain, study.hours, study.estimate.n_brain) == (80.0, 4.0, 54.5)
    recordings = study.purchase.modalities[""]
    assert recordings.cost_brain == 2.0
    assert recordings.estimate is study.estimate
    assert study.purchase.budget == 80 * 2 + 40 * 2


def test_variances_of_their_own_are_kept_too(estimate, tmp_path):
    other = estimate.draws[0].geometry.variances.at[1].multiply(1.01)
    draws = jax.tree.map(lambda numbers: numbers, estimate.draws)
    object.__setattr__(draws[0].geometry, "variances", other)
    changed = replace(estimate, draws=draws)
    jb.write_study(changed, tmp_path / "other.toml")
    found = jb.read_study(tmp_path / "other.toml").estimate
    np.testing.assert_array_equal(found.draws[0].geometry.variances, other)
    np.testing.assert_array_equal(
        found.draws[1].geometry.variances, estimate.draws[1].geometry.variances
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (r"(misalignment +=) .*", r"\1 { value = 0.2, low = 0.05, high = 0.5 }", "misalignment"),
        (r"(gain +=) .*", r"\1 9.6", "gain"),
        (r"\nlatent_noise.*", "", "latent_noise"),
    ],
)
def test_edited_numbers_are_refused_by_name(path, old, new, said):
    path.write_text(re.sub(old, new, path.read_text(), count=1))
    found = refused(path)
    assert f"[measured] {said} is not what the draws in mine.nc say: put back {{ value" in found
    assert len(found.splitlines()) == 1


def test_a_number_that_no_draw_has_is_not_known(path):
    with path.open("a") as file:
        file.write("luck = { value = 1, low = 0, high = 2 }\n")
    assert "[measured] 'luck' is not known here" in refused(path)


@pytest.mark.parametrize("name", MEASURED_ALREADY)
def test_what_a_pilot_measured_cannot_be_said_beside_it(path, name):
    line = "[problem]\nlatent_dim = 3" if name == "problem" else f"{name} = 1"
    if name == "problem":
        with path.open("a") as file:
            file.write(line)
    else:
        edit(path, "n_brain = 54.5", f"{line}\nn_brain = 54.5")
    assert refused(path) == (
        f"{path}: {name} cannot stand beside [pilot], which measured the study: leave it out"
    )


def test_draws_that_are_not_there_or_not_theirs(path, tmp_path, estimate):
    beside = tmp_path / "mine.nc"
    content = beside.read_bytes()
    beside.unlink()
    assert "mine.nc: there is no such file: it belongs beside the study" in refused(path)
    damaged = bytearray(content)
    damaged[len(damaged) // 2] ^= 1
    for wrong in (bytes(damaged), content[:1000], b"", b"no netCDF"):
        beside.write_bytes(wrong)
        assert "is not what write_study wrote" in refused(path)
        assert "write the study anew" in refused(path)
    jb.write_table(xarray.Dataset({"risk": ("n", [1.0])}), beside)
    assert "it holds no draws of a pilot" in refused(path)
    beside.unlink()
    os.mkfifo(beside)
    assert "not a regular file" in refused(path)
    beside.unlink()
    # A sound file of another pilot.
    jb.write_study(pilot_estimate((0.1, 0.4)), tmp_path / "other.toml")
    beside.write_bytes((tmp_path / "other.nc").read_bytes())
    assert "misalignment is not what the draws" in refused(path)


def test_memory_is_reckoned_before_draws_are_read(path, monkeypatch):
    monkeypatch.setattr("jaxbrain.study.measured.read_table", None)
    assert "GB, more than max_bytes = 10000: draw fewer, or allow more" in refused(
        path, max_bytes=1e4
    )


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('draws = "mine.nc"', "", "draws is missing"),
        ('draws = "mine.nc"', "draws = 3", "draws must be the name of a file in .nc"),
        ('draws = "mine.nc"', 'draws = "mine.csv"', "draws must be the name of a file in .nc"),
        ("notes = [", "notes = [1, ", "notes must be a list of texts"),
        ("[measured]", "[unmeasured]", "the table [measured] is missing"),
        ("[pilot]\n", "[pilot]\ndraw = 1\n", "did you mean draws?"),
        ("n_brain = 54.5", "n_brain = 3", "n_brain must be greater than 3 (latent_dim)"),
    ],
)
def test_faults_of_the_tables(path, old, new, said):
    edit(path, old, new)
    assert said in refused(path)


def test_both_files_appear_or_neither(estimate, tmp_path):
    (tmp_path / "mine.nc").write_text("of somebody else")
    with pytest.raises(FileExistsError):
        jb.write_study(estimate, tmp_path / "mine.toml")
    assert [file.name for file in tmp_path.iterdir()] == ["mine.nc"]
    jb.write_study(estimate, tmp_path / "mine.toml", overwrite=True)
    assert jb.read_study(tmp_path / "mine.toml").estimate.count == 12


@pytest.mark.parametrize("name", ["mine.nc", "mine", "mi\nne.toml"])
def test_names_that_are_refused(estimate, tmp_path, name):
    with pytest.raises(ValueError, match="path must"):
        jb.write_study(estimate, tmp_path / name)


def test_notes_of_any_text_come_back(estimate, tmp_path):
    notes = ("\x7f \\ \" ' \n — é \U0001f9e0", "")
    changed = replace(estimate, notes=notes)
    jb.write_study(changed, tmp_path / "mine.toml")
    assert jb.read_study(tmp_path / "mine.toml").estimate.notes == notes


def test_studies_of_numbers_are_read_as_on_the_command_line(tmp_path):
    path = Path(written(tmp_path, REAL + "[budget]\ncost_brain = 1\ncost_task = 2\ntotal = 99\n"))
    study = jb.read_study(path)
    other = read_study(path, {})
    assert jax.tree.structure(study.problem) == jax.tree.structure(other.problem)
    for one, same in zip(
        jax.tree.leaves(study.problem), jax.tree.leaves(other.problem), strict=True
    ):
        np.testing.assert_array_equal(one, same)
    assert (study.n_brain, study.n_task, study.encoding_penalty) == (60.0, 40.0, 0.1)
    assert study.estimate is None
    assert (study.purchase.budget, study.purchase.budget_is_set) == (99.0, True)


def test_all_faults_of_a_study_are_told_at_once(tmp_path):
    path = tmp_path / "study.toml"
    path.write_text(
        "task_snr = -1\nmisalignment = 0.1\nunknown = 3\n"
        "[problem]\ninput_dim = 20\nlatent_dim = 2\nencoding_noise = 0.5\n"
        "[budget]\ncost_task = 'dear'\n"
    )
    found = refused(path).splitlines()
    for name in ("unknown", "task_snr", "cost_task"):
        assert any(name in line for line in found)
    with pytest.raises(jb.StudyError, match="there is no such file"):
        jb.read_study(tmp_path / "none.toml")
    with pytest.raises(jb.StudyError, match="jaxbrain plan"):
        jb.read_study(Path(__file__).parents[2] / "docs" / "examples" / "modalities.toml")

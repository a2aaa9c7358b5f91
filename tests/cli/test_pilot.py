"""`jaxbrain pilot`: from arrays to a study file that the other commands take."""

import json

import numpy as np
import pytest

import jaxbrain as jb
from tests.helpers.cli import refused, run


@pytest.fixture(scope="module")
def arrays(tmp_path_factory):
    rng = np.random.default_rng(0)
    inputs = rng.normal(size=(90, 8)) / np.sqrt(np.arange(1, 9))
    latents = inputs[:, :2] + 0.3 * rng.normal(size=(90, 2))
    recordings = latents @ rng.normal(size=(2, 10)) + rng.normal(size=(90, 10))
    targets = inputs[:, :1] + 0.5 * rng.normal(size=(90, 1))
    path = tmp_path_factory.mktemp("pilot") / "pilot.npz"
    np.savez(path, inputs=inputs, recordings=recordings, targets=targets)
    return path


SHORT = ("--rank", "2", "--draws", "20")


def test_a_pilot_writes_a_study_that_is_read_as_it_was_told(arrays, tmp_path, capsys):
    out = tmp_path / "study.toml"
    answer = json.loads(run(capsys, "pilot", str(arrays), *SHORT, "--out", str(out), "--json"))
    study = jb.read_study(out)
    assert study.estimate.count == answer["draws"] == 20
    assert study.n_brain == answer["n_brain"] == 90
    for name, number in study.estimate.numbers.items():
        told = answer["numbers"][name]
        assert (told["value"], told["low"], told["high"]) == tuple(number), name
    assert answer["latent_dims"] == [{"latent_dim": 2, "share": 1.0}]


def test_it_tells_a_table_and_how_to_go_on(arrays, tmp_path, capsys):
    out = tmp_path / "study.toml"
    said = run(capsys, "pilot", str(arrays), *SHORT, "--out", str(out))
    assert "90 rows with recordings, 90 with labels" in said
    assert "misalignment" in said
    assert f"jaxbrain worth {out}" in said
    assert said.splitlines()[-2:] == [f"wrote {out}", f"wrote {out.with_suffix('.nc')}"]
    before = out.read_bytes()
    told = refused(capsys, "pilot", str(arrays), *SHORT, "--out", str(out))
    assert "--overwrite" in told
    assert out.read_bytes() == before


def test_classes_and_groups_are_taken(arrays, tmp_path, capsys):
    with np.load(arrays) as found:
        given = dict(found)
    given["targets"] = np.array(["low", "middle", "high"])[np.arange(90) % 3]
    given["groups"] = np.arange(90) // 3
    np.savez(tmp_path / "classes.npz", **given)
    answer = json.loads(run(capsys, "pilot", str(tmp_path / "classes.npz"), *SHORT, "--json"))
    assert answer["targets"] == 3
    assert any("3 classes" in line for line in answer["what_was_done"])


def test_all_that_is_wrong_is_told_at_once_and_nothing_is_written(arrays, tmp_path, capsys):
    out = tmp_path / "study.txt"
    wrong = ("--rank", "0", "--draws", "3", "--raw-channels", "--more-inputs", "none.npy")
    said = refused(capsys, "pilot", str(arrays), *wrong, "--out", str(out))
    for part in ("--rank must", "--draws must", "--raw-channels is for fit", "none.npy", ".toml"):
        assert part in said, part
    assert not list(tmp_path.iterdir())


def test_arrays_that_are_too_small_are_refused_by_name(tmp_path, capsys):
    rng = np.random.default_rng(0)
    few = {"inputs": rng.normal(size=(4, 3)), "recordings": rng.normal(size=(4, 3))}
    np.savez(tmp_path / "few.npz", targets=rng.normal(size=4), **few)
    said = refused(capsys, "pilot", str(tmp_path / "few.npz"), "--rank", "9")
    assert "at least 6 are needed" in said
    assert "--rank must be at most" in said

"""The warning for inputs of any covariance comes where closed forms are off, and not elsewhere."""

import json
import warnings

import numpy as np
import pytest

import jaxbrain as jb
from benchmarks._measure import RESULTS
from benchmarks._real_inputs_draws import Cell
from benchmarks._real_inputs_page import is_warned


@pytest.fixture(scope="module")
def measured():
    """Of each cell whether it is warned of, and its errors beyond two standard errors."""
    stored = json.loads((RESULTS / "real_inputs.json").read_text())["results"]
    found = {}
    for row in (*stored["rows"], *stored["check"]):
        one = dict(zip(stored["columns"], row, strict=True))
        off = abs(one["risk"] - one["simulated"]) - 2 * one["error"]
        cell = Cell(*row[: len(Cell._fields)])
        _, errors = found.setdefault(cell, (is_warned(cell), {}))
        errors.setdefault(one["estimator"], []).append(off / one["simulated"])
    return found


def test_what_is_silent_is_within_two_percent(measured):
    for warned, errors in measured.values():
        worst = {name: max(each) for name, each in errors.items()}
        assert worst["banded_ridge"] < 0.02
        if not warned:
            assert max(worst.values()) < 0.02


def test_what_is_warned_of_is_rare_and_often_off(measured):
    warned = [errors for warned, errors in measured.values() if warned]
    assert 8 <= len(warned) < 0.18 * len(measured)
    off = [max(max(each) for each in errors.values()) > 0.01 for errors in warned]
    assert np.mean(off) > 0.35
    assert max(max(max(each) for each in errors.values()) for errors in warned) < 0.15


def steep(recording_noise, recording_dim=600):
    return jb.Problem.power_law(
        30, 2.0, 3, 1.0, 0.4, 0.5, recording_noise=recording_noise, recording_dim=recording_dim
    )


def calls(problem, encoding_penalty):
    study = problem, 33, 60
    return {
        "risk": lambda: jb.risk(*study, encoding_penalty=encoding_penalty),
        "banded": lambda: jb.banded_ridge_risk(*study, encoding_penalty=encoding_penalty),
    }


def test_public_functions_give_the_warning():
    loud, quiet = steep(2.0), steep(0.001)
    with pytest.warns(jb.AccuracyWarning, match="lost among noisy channels"):
        calls(loud, 0.03)["risk"]()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        calls(loud, 0.03)["banded"]()
        for problem, penalty in ((loud, 0.0), (quiet, 0.03), (steep(2.0, None), 0.03)):
            calls(problem, penalty)["risk"]()

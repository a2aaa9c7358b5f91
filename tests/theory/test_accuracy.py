"""Warnings where the closed forms are known to be off."""

import subprocess
import sys
from functools import partial

import jax
import numpy as np
import pytest

import jaxbrain as jb
from tests.helpers.problems import replaced, spectrum_problem

# Limits and identities that hold to rounding.

SPECTRUM = spectrum_problem()


def test_corners_that_are_known_to_be_off_say_so():
    fields = dict(latent_noise=0.1, gain=2.0, recording_noise=3.0, recording_dim=60)
    many = replaced(SPECTRUM, latent_dim=14, aligned_power=np.full(14, 0.05), **fields)
    with pytest.warns(jb.AccuracyWarning, match="half as many"):
        jb.expected_misalignment(many, np.array([20.0, 60.0, np.inf]))
    jb.expected_misalignment(many, 60, order="first")
    jax.jit(jb.expected_misalignment)(many, 60.0)


def noisy_problem(**changes):
    fields = dict(
        input_dim=40,
        latent_dim=24,
        recording_dim=70,
        latent_noise=0.1,
        gain=3.0,
        recording_noise=4.0,
        aligned_power=np.full(24, 0.8 / 24),
        misaligned_power=0.2,
        task_noise=1.0,
    )
    return jb.Problem(**(fields | changes))


SHIFT = jb.BlockShift(0.5, 2.0, 1.0)


WARNING = {
    "expected_misalignment": lambda p, n: jb.expected_misalignment(p, n),
    "risk": lambda p, n: jb.risk(p, n, 50),
    "risk under a shift": lambda p, n: jb.risk(p, n, 50, shift=SHIFT),
    "optimal_penalty": lambda p, n: jb.optimal_penalty(p, n, 50),
    "value": lambda p, n: jb.value(p, n, 50),
    "exchange_rate": lambda p, n: jb.exchange_rate(p, n, 50),
    "savings": lambda p, n: jb.savings(p, n, 50, baseline="ridge"),
    "worth": lambda p, n: jb.worth(p, n, 50),
    "two_penalty_risk": lambda p, n: jb.two_penalty_risk(p, n, 50),
    "optimal_penalties": lambda p, n: jb.optimal_penalties(p, n, 50),
    "information_value": lambda p, n: jb.information_value(p, n, 50),
    "elasticities": lambda p, n: jb.elasticities(p, n, 50),
}


class ArgumentsAreChecked(Exception):
    """Nothing is left but to compute."""


@pytest.fixture
def warnings_alone(monkeypatch):
    """Quantities of known numbers end where their arguments are checked: warnings come before.

    The first call of each computes, so that what would warn later is seen too.
    """

    def checked(problem):
        raise ArgumentsAreChecked

    def warned(quantity, *arguments, **options):
        with monkeypatch.context() as patch:
            patch.setattr(jb.Problem, "with_traced_sizes", checked)
            with pytest.raises(ArgumentsAreChecked):
                quantity(*arguments, **options)

    return warned


@pytest.mark.parametrize("name", WARNING)
def test_whatever_rests_on_the_brain_stage_warns_once(warnings_alone, name):
    quantity = WARNING[name]
    with pytest.warns(jb.AccuracyWarning, match="half as many") as caught:
        quantity(noisy_problem(), 60.0)
    assert len(caught) == 1
    # Silent where it is accurate, and where nothing can be seen.
    warnings_alone(quantity, noisy_problem(recording_noise=0.01), 60.0)
    warnings_alone(quantity, noisy_problem(recording_dim=None), 60.0)
    jax.eval_shape(quantity, noisy_problem(), 60.0)
    mapped = jax.vmap(partial(quantity, noisy_problem()))
    jax.eval_shape(mapped, jax.numpy.array([60.0, 90.0]))


def test_first_order_laws_do_not_warn(warnings_alone):
    problem = noisy_problem()
    for quantity in (jb.risk, jb.value, jb.exchange_rate, jb.savings, jb.optimal_penalty):
        warnings_alone(quantity, problem, 60.0, 50.0, order="first")


def test_warning_points_at_the_caller():
    code = (
        "import warnings, jaxbrain as jb\n"
        "problem = jb.Problem.isotropic(40, 1, 1.0, 0.2, 0.4)\n"
        "with warnings.catch_warnings(record=True) as caught:\n"
        "    warnings.simplefilter('always')\n"
        "    jb.risk(problem, 42, 50); jb.savings(problem, 42, 50); jb.worth(problem, 42, 50)\n"
        "print([(w.filename, w.lineno, w.category.__name__) for w in caught])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == str([("<string>", 5, "AccuracyWarning")] * 3)


@pytest.mark.parametrize(
    ("changes", "n_brain", "said"),
    [
        ({}, 60.0, "half as many"),
        ({}, 50.0, None),
        (dict(recording_noise=0.3), 60.0, "half as many"),
        (dict(recording_noise=0.01), 60.0, None),
        (dict(recording_dim=24), 60.0, None),
        (dict(latent_dim=20), 60.0, "half as many"),
        (dict(latent_dim=31), 42.0, "three quarters"),
        (dict(latent_dim=30), 42.0, None),
        (dict(latent_dim=19), 60.0, None),
        (dict(latent_dim=4, recording_dim=20, recording_noise=16.0), 60.0, None),
        (dict(latent_dim=1), 44.0, "one latent"),
        (dict(latent_dim=1, recording_dim=None), 44.0, "one latent"),
        (dict(latent_dim=1), 45.0, None),
    ],
    ids=str,
)
def test_corners_of_the_accuracy_table_warn(warnings_alone, changes, n_brain, said):
    k = changes.get("latent_dim", 24)
    problem = noisy_problem(aligned_power=np.full(k, 0.8 / k), **changes)
    if said is None:
        warnings_alone(jb.expected_misalignment, problem, n_brain)
    else:
        numbers = np.array([n_brain, np.inf, 1.0])
        with pytest.warns(jb.AccuracyWarning, match=said):
            warnings_alone(jb.expected_misalignment, problem, numbers)


def test_second_moments_are_less_accurate_than_first(warnings_alone):
    noisy = noisy_problem(
        latent_dim=4, recording_dim=20, recording_noise=16.0, aligned_power=np.full(4, 0.2)
    )
    with pytest.warns(jb.AccuracyWarning, match="under a shift may be up to 7 % off"):
        warnings_alone(jb.risk, noisy, 60.0, 50, shift=SHIFT)
    for n_brain, noise in ((50.0, 16.0), (60.0, 0.5)):
        quiet = replaced(noisy, recording_noise=noise)
        warnings_alone(jb.risk, quiet, n_brain, 50, shift=SHIFT)
    warnings_alone(jb.risk, noisy, 60.0, 50)

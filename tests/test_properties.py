"""What the theory promises for every problem, over random ones."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

import jaxbrain as jb

# Random problems come into the corners that are known to be less accurate.
pytestmark = [
    pytest.mark.filterwarnings("ignore::jaxbrain.AccuracyWarning"),
    pytest.mark.long,
]

D = 20
N_BRAIN = jnp.geomspace(2.0, 1e6, 12) + D
N_TASK = jnp.array([6.0, 12.0, 19.0, 20.0, 21.0, 23.0, 30.0, 60.0, 200.0, 1e4])
problems = dict(
    k=st.sampled_from([1, 19]),
    snr=st.floats(-2, 2),
    misalignment=st.floats(0, 1),
    noise=st.floats(-2, 2),
)


def problem(k, snr, misalignment, noise):
    return jb.Problem.isotropic(D, k, 10**snr, misalignment, 10**noise)


def falls(values, slack=1e-9):
    values = np.asarray(values)
    return bool(np.all(values[1:] <= values[:-1] * (1 + slack)))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(**problems)
def test_risk_falls_with_labels_and_with_recordings(k, snr, misalignment, noise):
    setting = problem(k, snr, misalignment, noise)
    labels = N_TASK[k + 1.5 < N_TASK]
    for risk in (
        jb.risk(setting, 40.0, labels),
        jb.two_penalty_risk(setting, 40.0, labels),
        jb.ridge_risk(setting, labels),
    ):
        # 1 % where n is within three of d and the task all but noiseless: the trace is coarse there.
        assert falls(risk, 0.01 if snr > 1 else 1e-6)
    if float(setting.gamma) > 0:
        assert falls(jb.expected_misalignment(setting, N_BRAIN))
        assert falls(jb.risk(setting, N_BRAIN, 60.0))
    missed = np.asarray(jb.expected_misalignment(setting, N_BRAIN))
    assert np.all((missed >= 0) & (missed <= 1 + 1e-12))


@settings(max_examples=60, deadline=None, derandomize=True)
@given(**problems)
def test_value_saturates_where_labels_abound(k, snr, misalignment, noise):
    setting = problem(k, snr, misalignment, noise)
    values = np.asarray(jb.value(setting, N_BRAIN, np.inf))
    if misalignment > 0.01:
        limit = 10**-snr * (D - k) ** 2 / D / misalignment
        assert float(jb.value(setting, np.inf, np.inf)) == pytest.approx(limit, rel=1e-9)
        if float(setting.gamma) > 0:
            assert np.all(values <= limit * (1 + 1e-9))
            assert falls(1 / values)
        exact = np.asarray(jb.value(setting, N_BRAIN, 1e9))
        np.testing.assert_allclose(exact, values, rtol=1e-3)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(**problems, scale=st.floats(-3, 3))
@example(k=1, snr=0.0, misalignment=0.95, noise=0.0, scale=2.0)  # worth nothing, but for rounding
def test_units_of_the_task_do_not_matter(k, snr, misalignment, noise, scale):
    one = problem(k, snr, misalignment, noise)
    fields = {name: getattr(one, name) for name in jb.Problem.__dataclass_fields__}
    for name in ("aligned_power", "misaligned_power", "task_noise"):
        fields[name] = fields[name] * 10**scale
    other = jb.Problem(**fields)
    for measure in (jb.value, jb.information_value):
        a, b = (np.asarray(measure(p, 40.0, N_TASK[k + 1.5 < N_TASK])) for p in (one, other))
        # A value is a difference of numbers of labels of about D.
        np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-7 * np.abs(a).max() + 1e-13 * D)


@pytest.mark.parametrize("k", [1, 19])
def test_gradients_are_finite_everywhere(k):
    shift = jb.BlockShift(0.5, 2.0, 1.0)

    def total(noise, labels, recordings, task_noise, misalignment):
        setting = jb.Problem.isotropic(D, k, 1 / task_noise, misalignment, noise)
        return (
            jb.value(setting, recordings, labels),
            jb.value(setting, recordings, labels, shift=shift),
            jb.value(setting, recordings, labels, baseline="ridge"),
            jb.information_value(setting, recordings, labels),
            jb.optimal_penalty(setting, recordings, labels),
        )

    every = jax.jit(jax.vmap(jax.jacrev(total, (0, 1, 2, 3)), (None, 0, None, None, None)))
    labels = N_TASK[k + 1.5 < N_TASK]
    cases = (0.5, 22.0, 1.0), (1e-3, 1e6, 100.0), (100.0, 30.0, 0.1)
    for misalignment in (0.0, 1.0):
        for noise, recordings, task_noise in cases:
            slopes = every(noise, labels, recordings, task_noise, misalignment)
            assert all(np.all(np.isfinite(x)) for x in jax.tree.leaves(slopes))


@pytest.mark.parametrize("n_task", [12.0, 20.0, 21.0, 60.0])
def test_penalties_from_nothing_to_everything(n_task):
    c = np.geomspace(1e-12, 1e12, 49)
    setting = problem(4, 0.0, 0.3, 0.0)
    risks = np.asarray(jb.risk(setting, 40.0, n_task, c / n_task))
    assert np.all(np.isfinite(risks) & (risks > 0))
    slopes = jax.vmap(jax.grad(jb.risk, 3), (None, None, None, 0))(setting, 40.0, n_task, c)
    assert np.all(np.isfinite(slopes))


@pytest.mark.parametrize("baseline", ["ols", "ridge"])
@pytest.mark.parametrize("k", [1, 19])
def test_value_at_ten_million_labels_in_single_precision(single_precision, baseline, k):
    with jax.enable_x64(True):
        exact = float(jb.value(problem(k, 0.0, 0.3, 0.0), 40.0, 1e7, baseline=baseline))
    found = jb.value(problem(k, 0.0, 0.3, 0.0), 40.0, 1e7, baseline=baseline)
    assert found.dtype == jnp.float32
    assert float(found) == pytest.approx(exact, rel=0.01, abs=0.02)

"""Laws of the value: first order, limits, saturation."""

from functools import partial

import jax
import numpy as np
import pytest

import jaxbrain as jb
from tests.helpers.problems import PROBLEMS, spectrum_problem

every_form = pytest.mark.parametrize("problem", PROBLEMS.values(), ids=PROBLEMS.keys())


GRID = np.meshgrid([27.0, 60.0, 1e4], [6.0, 20.0, 50.0, 1e3], indexing="ij")


# Laws.


@every_form
def test_first_order_value_is_the_asymptotic_law_of_the_paper(problem):
    n_brain, n_task = GRID
    noise, aligned = np.asarray(problem.encoding_noise), np.asarray(problem.aligned_power)
    trace = np.trace(noise) if noise.ndim == 2 else noise.sum()
    gamma = 21 * np.sum(aligned * noise) - 0.2 * trace
    missed = 0.2 + gamma / (n_brain - 25)
    law = 0.7 * 21**2 / (24 * missed)
    np.testing.assert_allclose(
        jb.value(problem, n_brain, n_task, order="first", baseline="ols"), law, rtol=1e-12
    )
    # Ridge is the same estimator with no subspace that misses all of β: k = 0, m = ‖β‖².
    ridge_law = law - 0.7 * 24**2 / (24 * float(problem.total_power))
    against_ridge = jb.value(problem, n_brain, n_task, order="first", baseline="ridge")
    np.testing.assert_allclose(against_ridge, ridge_law, rtol=1e-12)
    # At a given penalty: n² times the gain in risk, per σ² d.
    gain = 2 * 0.7 * 21 * 0.1 / n_task - missed * 0.1**2
    fixed = jb.value(problem, n_brain, n_task, 0.1, order="first", baseline="ols")
    np.testing.assert_allclose(fixed, gain * n_task**2 / (0.7 * 24), rtol=1e-12)


@pytest.mark.parametrize("baseline", ["ols", "ridge"])
def test_value_tends_to_the_first_order_law(baseline):
    """The relative distance falls as 1/n, both numbers growing together."""
    n = np.array([1e4, 1e5, 1e6])
    finite, first = (
        np.asarray(jb.value(spectrum_problem(), n, n, baseline=baseline, order=order))
        for order in ("finite", "first")
    )
    off = np.abs(finite / first - 1)
    np.testing.assert_allclose(off[:-1] / off[1:], 10, rtol=0.1)


def test_value_saturates_where_misalignment_takes_over():
    problem = spectrum_problem()
    ceiling = 0.7 * 21**2 / (24 * 0.2)
    assert float(jb.value(problem, np.inf, 1e10, baseline="ols")) == pytest.approx(
        ceiling, rel=1e-7
    )
    assert float(jb.value(problem, 1e10, 1e10, baseline="ols")) == pytest.approx(ceiling, rel=1e-7)
    assert float(jb.value(problem, 60, 1e10, baseline="ols")) != pytest.approx(ceiling, rel=0.2)


@every_form
@pytest.mark.parametrize("n_brain", [60.0, np.inf])
def test_unlimited_labels_leave_the_asymptotic_law(problem, n_brain):
    """What remains of the value when labels abound, and that it is the limit."""
    missed = float(jb.expected_misalignment(problem, n_brain))
    power = float(problem.total_power)
    law = 0.7 * 21**2 / (24 * missed)
    ridge = 0.7 * 24 / power
    # The mean of the two best penalties c_i = σ² M_i/E‖P_iβ‖², less what ridge has of it.
    informed = 0.7 * (3**2 / (power - missed) + 21**2 / missed) / 24 - ridge
    for quantity, limit in (
        (partial(jb.value, baseline="ols"), law),
        (lambda *arguments: jb.value(*arguments, baseline="ridge"), law - ridge),
        (jb.information_value, informed),
    ):
        assert float(quantity(problem, n_brain, np.inf)) == pytest.approx(limit, rel=1e-12)
        off = [float(quantity(problem, n_brain, n)) / limit - 1 for n in (1e5, 1e6)]
        assert off[0] / off[1] == pytest.approx(10, rel=1e-2)
    for baseline in ("ols", "ridge"):
        assert float(jb.savings(problem, n_brain, np.inf, baseline=baseline)) == 0


def test_a_penalty_held_for_ever_loses_without_end():
    problem = spectrum_problem()
    for baseline, nothing in (("ols", 0.0), ("ridge", -0.7 * 24)):
        for order in ("finite", "first"):
            options = {"baseline": baseline, "order": order}
            free = float(jb.value(problem, 60, np.inf, 0.0, **options))
            assert free == pytest.approx(nothing, rel=1e-12)
            assert float(jb.savings(problem, 60, np.inf, 0.0, **options)) == 0
            for penalty in (1e-6, 0.3, np.inf):
                assert float(jb.value(problem, 60, np.inf, penalty, **options)) == -np.inf
                assert float(jb.savings(problem, 60, np.inf, penalty, **options)) == -np.inf


@pytest.mark.parametrize("baseline", ["ols", "ridge"])
def test_a_perfect_subspace_saves_the_same_share_for_ever(baseline):
    """k unknowns instead of d, however many the labels."""
    problem = spectrum_problem(misaligned_power=0.0)
    for n_task in (1e9, np.inf):
        saved = float(jb.savings(problem, np.inf, n_task, baseline=baseline))
        assert saved == pytest.approx(21 / 24, rel=1e-7)
    assert float(jb.value(problem, np.inf, np.inf, baseline=baseline)) == np.inf


def test_summary_at_unlimited_labels_holds_no_nan():
    for problem, n_brain in (
        (spectrum_problem(), 60.0),
        (spectrum_problem(), np.inf),
        (spectrum_problem(misaligned_power=0.0), 60.0),
    ):
        for penalty in (None, 0.0, 0.3):
            summary = jb.worth(problem, n_brain, np.inf, penalty)
            for name, entry in summary._asdict().items():
                if not (name == "exchange_rate" and np.isinf(summary.value) and np.isinf(n_brain)):
                    assert not np.isnan(entry), name


def test_wholly_misaligned_brain_is_worth_shrinkage_only():
    """β outside the recorded subspace: better than least squares, worse than ridge."""
    problem = spectrum_problem(aligned_power=[0.0, 0.0, 0.0], misaligned_power=1.0)
    n_brain, n_task = GRID
    assert np.all(np.asarray(jb.value(problem, n_brain, n_task, baseline="ols")) > 0)
    assert np.all(np.asarray(jb.value(problem, n_brain, n_task, baseline="ridge")) < 0)


@pytest.mark.parametrize("baseline", ["ols", "ridge"])
def test_perfect_subspace_has_finite_value_and_gradients(baseline):
    """m = 0 and noiseless, or unlimited, recordings: the hard constraint, k unknowns, not d."""
    noiseless = spectrum_problem(
        latent_noise=0.0, recording_noise=0.0, misaligned_power=0.0, aligned_power=[0.5, 0.2, 0.3]
    )
    unlimited = spectrum_problem(misaligned_power=0.0)

    def value(problem, n_brain, n_task):
        return jb.value(problem, n_brain, n_task, baseline=baseline)

    worth_and_gradient = jax.jit(jax.value_and_grad(value, (0, 1, 2)))
    for n_task in (6.0, 30.0, 1000.0):
        for problem, n_brain in ((noiseless, 60.0), (unlimited, np.inf)):
            worth, gradient = worth_and_gradient(problem, n_brain, n_task)
            for leaf in jax.tree.leaves(gradient):
                assert np.all(np.isfinite(leaf))
            if baseline == "ols":
                equivalent = 24 + 1 + 24 * (n_task - 4) / 3
                assert float(worth) == pytest.approx(equivalent - n_task, rel=1e-12)
                # By hand: dR/dm = 1 + k/(n − k − 1), dV/dR = −σ² d/R².
                share, noise = 3 / (n_task - 4), float(problem.task_noise)
                by_hand = -noise * 24 * (1 + share) / (noise * share) ** 2
                assert float(gradient[0].misaligned_power) == pytest.approx(by_hand, rel=1e-11)

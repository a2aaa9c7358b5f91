"""Labels that recordings are worth, and intervals over rows, on curves of known truth."""

import math

import numpy as np
import pytest

from jaxbrain.pilot import (
    CONTROLS,
    ESTIMATORS,
    Cell,
    Curves,
    Design,
    best_without,
    chosen_estimator,
    judge,
    over_rows,
    worth_in_labels,
)
from jaxbrain.pilot.labels import _falling
from tests.helpers.evaluations import N_TASK, evaluation, law


@pytest.mark.parametrize("more", [10, 50, 120])
def test_labels_are_read_off_the_curve(more):
    """Between the numbers at which it was measured, too."""
    found = worth_in_labels(evaluation(law(N_TASK) - law(N_TASK + more)))
    assert found.labels == pytest.approx(more, rel=0.03)
    assert found.low < found.labels < found.high
    assert not found.extrapolated
    assert (found.beside, found.measured, found.rival) == (N_TASK, 150, "ridge")


def test_beyond_what_was_measured_a_power_law_goes_on_and_says_so():
    found = worth_in_labels(evaluation(law(N_TASK) - law(400)))
    assert found.extrapolated
    assert found.labels == pytest.approx(350, rel=0.02)
    # A straight line in log n, which knows of no offset, would be far off.
    slope = (law(200) - law(100)) / math.log(2)
    assert 200 * math.exp((law(400) - law(200)) / slope) - N_TASK < 300
    # Below the offset no number of labels is enough.
    nothing = worth_in_labels(evaluation(law(N_TASK) - 0.39))
    assert nothing.labels == math.inf
    assert nothing.extrapolated


def test_recordings_that_do_harm_cost_labels():
    found = worth_in_labels(evaluation(law(N_TASK) - law(35)))
    assert found.labels == pytest.approx(-15, abs=0.5)
    assert judge(evaluation(law(N_TASK) - law(35))).finding == "hurts"


def test_a_better_predictor_without_recordings_is_the_one_to_beat():
    """It is as good as ridge with 100 labels; recordings are as good as ridge with 200."""
    rival = {"leading_components_banded_ridge": law(100)}
    found = evaluation(law(N_TASK) - law(200), below_ridge=rival)
    assert best_without(found) == "leading_components_banded_ridge"
    worth = worth_in_labels(found)
    assert worth.labels == pytest.approx(N_TASK, rel=0.01)
    assert worth_in_labels(evaluation(law(N_TASK) - law(200))).labels == pytest.approx(
        150, rel=0.01
    )
    # It is a control of one of the estimators, which does no better than it here.
    same = evaluation(law(N_TASK) - law(100), below_ridge=rival, scores=scores("banded_ridge"))
    assert judge(same).finding == "no difference"


def scores(best):
    return np.array([0.1 if name == best else 1.0 for name in ESTIMATORS])


def test_the_estimator_is_chosen_by_scores_of_training_rows():
    for name in CONTROLS:
        assert chosen_estimator(evaluation(0.1, scores=scores(name))) == name
    # One that is no number is the worst.
    undefined = np.where(scores("befs") < 1, np.nan, scores("banded_ridge"))
    assert chosen_estimator(evaluation(0.1, scores=undefined)) == "banded_ridge"


def test_findings():
    assert judge(evaluation(0.02)).finding == "helps"
    assert judge(evaluation(0.0, noise=0.1)).finding == "no difference"
    two = evaluation(0.02, scores=scores("befs_two_penalties"))
    assert judge(two).finding == "helps"
    apart = two._replace(penalties=two.penalties[:, ::-1])
    assert judge(apart).finding == "avoids"
    control = {"shuffled_recordings": law(N_TASK) - 0.02}
    alike = evaluation(0.02, below_ridge=control, scores=scores("befs"))
    assert judge(alike).finding == "like a control"
    none = evaluation(0.02)
    curves = none.curves._replace(errors=none.curves.errors * np.nan)
    assert judge(none._replace(curves=curves)).finding == "undefined"


def test_a_curve_never_rises():
    """Pooled as the nearest falling curve is: by the means of neighbours."""
    np.testing.assert_allclose(_falling(np.array([3.0, 1.0, 2.0, 1.2])), [3.0, 1.5, 1.5, 1.2])
    np.testing.assert_allclose(_falling(np.array([1.0, 2.0, 3.0])), [2.0, 2.0, 2.0])


def of_splits(rng, rows, n_task, n_test, repeats, by_task, by_test, by_split):
    """A gap that is a sum of what single task rows do, what test rows do, and of chance."""
    effect, tested = by_task * rng.normal(size=rows), by_test * rng.normal(size=rows)
    places = rng.permuted(np.tile(np.arange(rows), (repeats, 1)), axis=1)
    task, test = places < n_task, places >= rows - n_test
    gap = task @ effect + test @ tested / n_test + by_split * rng.normal(size=repeats)
    times = test.sum(axis=0)
    losses = np.where(times > 0, (test.T @ (task @ effect)) / np.maximum(times, 1) + tested, np.nan)
    curves = Curves(
        (Cell("befs", 0, n_task),),
        gap[None],
        losses[None],
        np.arange(rows),
        Design(rows, rows, 0, n_test, False),
        places,
        places,
    )
    return curves, n_task * effect.mean() + tested.mean()


def test_intervals_over_rows_cover_the_truth_and_those_over_splits_do_not():
    """The truth is 0. 200 studies; 95 % of them hold, with a standard error of 1.5 %."""
    rng = np.random.default_rng(0)
    covered, over_splits, widths, truths = [], [], [], []
    for _ in range(200):
        curves, at_these_rows = of_splits(rng, 200, 40, 80, 60, 0.03, 0.5, 0.1)
        found = over_rows(curves, 0)
        covered.append(found.low <= 0 <= found.high)
        error = curves.errors[0].std(ddof=1) / np.sqrt(60)
        over_splits.append(abs(found.mean) < 2 * error)
        widths.append(found.high - found.low)
        truths.append(at_these_rows)
    assert np.mean(covered) > 0.95 - 2 * 0.0154
    assert np.mean(over_splits) < 0.8
    # Not by being as wide as one likes: what is needed at least, by the formula of the truth.
    needed = 2 * 1.96 * np.std(truths)
    assert np.mean(widths) < 1.6 * needed


def test_neighbours_count_as_one():
    """Losses of rows in blocks of four are alike: the interval is as wide as of blocks."""
    found = evaluation(0.02, noise=0.3)
    curves = found.curves._replace(errors=evaluation(0.02).curves.errors)
    losses = np.repeat(curves.row_losses[:, ::4], 4, axis=1)
    place, ridge = found.place("befs"), found.place("ridge")
    halves = []
    for units in (np.arange(400), np.arange(400) // 4):
        gap = over_rows(curves._replace(row_losses=losses, units=units), place, ridge)
        halves.append((gap.high - gap.low) / 2)
    assert halves[1] > 1.2 * halves[0]

"""What recordings are worth in labels, read off the learning curve of those who have none."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from .._checks import as_integer, check_choice, check_kind
from .._typing import Whole
from ._catalogue import AS_GIVEN, CONTROLS, ESTIMATORS
from .evaluation import Curves, Evaluation
from .intervals import over_rows

# Of the labels that ridge was measured at.
_FURTHEST = 4.0
_WITH_RECORDINGS = tuple(CONTROLS)
_TAKE_RECORDINGS = tuple(
    name
    for name in ESTIMATORS
    if name in _WITH_RECORDINGS or name.startswith("shuffled_recordings")
)
WITHOUT_RECORDINGS = tuple(name for name in ESTIMATORS if name not in _TAKE_RECORDINGS)
"""The estimators that know of no recordings at all."""


class Labels(NamedTuple):
    """How many more labels do as much as recordings.

    **Fields**

    - `labels`: number of labels; below 0 where recordings cost some. Infinite where no number of
      labels that the curve reaches does as much.
    - `low`, `high`: ends of its 95 % interval over rows.
    - `n_brain`: number of recordings.
    - `beside`: the labels that they are beside.
    - `estimator`: which uses the recordings.
    - `rival`: the best predictor without recordings.
    - `measured`: how many more labels the curve was measured at.
    - `furthest`: how many more the power law is trusted with.
    - `extrapolated`: whether `labels` lies beyond them.
    """

    labels: float
    low: float
    high: float
    n_brain: int
    beside: int
    estimator: str
    rival: str
    measured: int
    furthest: int
    extrapolated: bool


def chosen_estimator(evaluation: Evaluation) -> str:
    """Choose among the estimators with recordings, by left-out task rows and no test row.

    >>> from jaxbrain.pilot import chosen_estimator
    >>> callable(chosen_estimator)
    True

    **Arguments**

    - `evaluation`: what `evaluate` returns.

    **Returns**

    The name of the estimator with the lowest mean score.

    **Raises**

    `ValueError` where that is no `Evaluation`.

    **Source**

    Stone (1974), cross-validation.
    """
    check_kind("evaluation", evaluation, Evaluation, "pass what evaluate returns")
    scores = dict(zip(ESTIMATORS, np.asarray(evaluation.scores).tolist(), strict=True))
    return min(
        _WITH_RECORDINGS, key=lambda name: scores[name] if math.isfinite(scores[name]) else math.inf
    )


def best_without(evaluation: Evaluation) -> str:
    """Find the predictor to beat: ridge, or what clearly does better without recordings.

    >>> from jaxbrain.pilot import best_without
    >>> callable(best_without)
    True

    **Arguments**

    - `evaluation`: what `evaluate` returns.

    **Returns**

    The name of the estimator with the least held-out error among those that are below ridge by more
    than the interval over rows; else ridge.

    **Raises**

    `ValueError` where that is no `Evaluation`.

    **Source**

    Ours.
    """
    check_kind("evaluation", evaluation, Evaluation, "pass what evaluate returns")
    curves = evaluation.curves
    ridge = evaluation.place("ridge")
    better = {"ridge": float(np.mean(curves.errors[ridge]))}
    given = any(cell.estimator == AS_GIVEN for cell in curves.cells)
    for name in (*WITHOUT_RECORDINGS, *([AS_GIVEN] if given else [])):
        gap = over_rows(curves, evaluation.place(name), ridge)
        if gap.high < 0:
            better[name] = float(np.mean(curves.errors[evaluation.place(name)]))
    return min(better, key=lambda name: better[name])


def worth_in_labels(
    evaluation: Evaluation,
    estimator: str | None = None,
    n_brain: Whole | None = None,
    n_task: Whole | None = None,
) -> Labels:
    """Tell how many more labels do as much as these recordings.

    Ridge regression was measured at several numbers of labels. Where its curve comes down to the
    error of the estimator with recordings, one reads off the labels that it takes. The curve is a
    power law with an offset, and what that leaves of the measured errors, interpolated. It never
    rises. Beyond the measured numbers the law goes on, and the answer says so. Where another
    predictor without recordings is clearly better than ridge, labels are counted from where ridge
    is as good as that one, in proportion.

    >>> import jax, numpy as np
    >>> from jaxbrain.pilot import evaluate, pilot_data, split_sizes, worth_in_labels
    >>> rng = np.random.default_rng(0)
    >>> inputs = rng.normal(size=(120, 12))
    >>> recordings = inputs[:, :2] @ rng.normal(size=(2, 20)) + rng.normal(size=(120, 20))
    >>> targets = inputs[:, :2] + rng.normal(size=(120, 2))
    >>> data = pilot_data(inputs=inputs, recordings=recordings, targets=targets)
    >>> found = evaluate(data, split_sizes(data, 60, 24, 36), 4, jax.random.key(0))
    >>> worth = worth_in_labels(found)
    >>> worth.beside, worth.labels > 0
    (24, True)

    **Arguments**

    - `evaluation`: what `evaluate` returns.
    - `estimator`: with recordings; by default that of `chosen_estimator`.
    - `n_brain`, `n_task`: of a point of its curve; by default those of the splits.

    **Returns**

    The `Labels`.

    **Raises**

    `ValueError` for a point at which nothing was measured.

    **Source**

    Ours. The interval holds the numbers of labels at which the two errors do not differ, by the
    interval of `over_rows` (Fieller's idea).
    """
    check_kind("evaluation", evaluation, Evaluation, "pass what evaluate returns")
    if estimator is None:
        estimator = chosen_estimator(evaluation)
    check_choice("estimator", estimator, _WITH_RECORDINGS)
    sizes, curves = evaluation.sizes, evaluation.curves
    n_brain = sizes.n_brain if n_brain is None else as_integer("n_brain", n_brain, 1)
    n_task = sizes.n_task if n_task is None else as_integer("n_task", n_task, 1)
    try:
        place = curves.at(estimator, n_brain, n_task)
    except ValueError as problem:
        raise ValueError(
            f"n_brain = {n_brain}, n_task = {n_task}: {estimator} was not measured there"
        ) from problem
    rival = best_without(evaluation)
    numbers, gaps, halves = _gaps(curves, place)
    start = 1.0
    if rival != "ridge":
        at_rival = _crossing(*_gaps(curves, evaluation.place(rival))[:2], 0 * halves)
        start = sizes.n_task / at_rival if 0 < at_rival < math.inf else 1.0
    crossings = [_crossing(numbers, gaps, sign * halves) for sign in (0.0, 1.0, -1.0)]
    labels, low, high = (crossing * start - n_task for crossing in crossings)
    return Labels(
        labels,
        low,
        high,
        n_brain,
        n_task,
        estimator,
        rival,
        int(numbers[-1]) - n_task,
        int(_FURTHEST * numbers[-1]) - n_task,
        bool(crossings[0] > numbers[-1]),
    )


def _gaps(curves: Curves, place: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Ridge less another error at each of ridge's numbers of labels, and half its interval."""
    points = sorted(
        (cell.n_task, number)
        for number, cell in enumerate(curves.cells)
        if cell.estimator == "ridge"
    )
    numbers = np.array([n for n, _ in points], float)
    found = [over_rows(curves, number, place) for _, number in points]
    ridge = np.array([curves.errors[number].mean() for _, number in points])
    gaps = _falling(ridge) - curves.errors[place].mean()
    return numbers, gaps, np.array([(each.high - each.low) / 2 for each in found])


def _falling(errors: np.ndarray) -> np.ndarray:
    """The nearest curve that never rises: neighbours that do are pooled."""
    pools: list[tuple[float, int]] = []
    for error in errors.tolist():
        pools.append((error, 1))
        while len(pools) > 1 and pools[-2][0] < pools[-1][0]:
            (a, m), (b, n) = pools[-2:]
            pools[-2:] = [((a * m + b * n) / (m + n), m + n)]
    return np.repeat([value for value, _ in pools], [count for _, count in pools])


def _crossing(numbers: np.ndarray, gaps: np.ndarray, halves: np.ndarray) -> float:
    """The labels at which a falling gap meets `halves`; 0 before all, infinite beyond."""
    if not np.all(np.isfinite(gaps)) or not np.all(np.isfinite(halves)):
        return math.nan
    grid = np.geomspace(numbers[0] / _FURTHEST, numbers[-1] * _FURTHEST, 2_000)
    law = _power_law(numbers, gaps)
    # What the law leaves of the measured points is interpolated, and stays beyond them.
    left = np.interp(np.log(grid), np.log(numbers), gaps - halves - law(numbers))
    values = np.minimum.accumulate(law(grid) + left)
    below = np.flatnonzero(values <= 0)
    if not len(below):
        return math.inf
    at = int(below[0])
    if at == 0:
        return 0.0
    share = values[at - 1] / (values[at - 1] - values[at])
    return float(grid[at - 1] * (grid[at] / grid[at - 1]) ** share)


def _power_law(numbers: np.ndarray, gaps: np.ndarray) -> Callable[[np.ndarray], np.ndarray]:
    """The curve a + b n^-c nearest to these points, b and c at least 0."""
    fits = []
    for exponent in np.linspace(0.1, 2.0, 39):
        powers = (numbers / numbers[0]) ** -exponent
        centred = powers - powers.mean()
        slope = max(float(centred @ gaps) / float(centred @ centred), 0.0)
        offset = gaps.mean() - slope * powers.mean()
        fits.append((float(np.sum((offset + slope * powers - gaps) ** 2)), slope, exponent))
    _, slope, exponent = min(fits)
    return lambda n: slope * (n / numbers[0]) ** -exponent

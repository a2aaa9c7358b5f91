"""How a difference of two errors would fall out on other rows than these."""

from __future__ import annotations

import math

import numpy as np

from .._checks import as_integer, check_kind
from .._typing import Whole
from ._catalogue import CONTROLS
from .evaluation import Curves
from .summary import Summary


def over_rows(curves: Curves, first: Whole, second: Whole | None = None) -> Summary:
    """Say how sure a difference of two errors is, for rows that are drawn anew.

    Splits share rows. So their spread says how well a comparison is settled on these rows, and
    `summarise` says no more. This interval adds what other rows would change: those that are tested
    on, those that teach the task, and those that are recorded.

    >>> import jax, numpy as np
    >>> from jaxbrain.pilot import evaluate, over_rows, pilot_data, split_sizes
    >>> rng = np.random.default_rng(0)
    >>> inputs = rng.normal(size=(120, 12))
    >>> recordings = inputs[:, :2] @ rng.normal(size=(2, 20)) + rng.normal(size=(120, 20))
    >>> targets = inputs[:, :2] + rng.normal(size=(120, 2))
    >>> data = pilot_data(inputs=inputs, recordings=recordings, targets=targets)
    >>> curves = evaluate(data, split_sizes(data, 60, 24, 36), 4, jax.random.key(0)).curves
    >>> gap = over_rows(curves, curves.at("befs", 60, 24), curves.at("ridge", 0, 24))
    >>> gap.low < gap.mean < gap.high
    True

    **Arguments**

    - `curves`: of an evaluation.
    - `first`: place of a point among the cells of the curves.
    - `second`: of that whose error is taken off; None takes off nothing.

    **Returns**

    A `Summary`: mean of the first error less the second, and a 95 % interval. NaN where one of the
    two does not exist.

    **Raises**

    `ValueError` that names the argument.

    **Source**

    Hoeffding (1948): to first order a mean over splits is a mean over rows, of what each does in
    each of its roles. Let V be the variance of the difference that rows of one role cause, n of
    them at a time, and N how many there are. Then V n/N is their part in the variance of the mean.
    Among splits of the same rows it shows V (1 − n/N) only. Splits that share brain rows tell roles
    apart. Where all recordings are used in every split, half of them say what V is. The same idea
    with a single role: Nadeau and Bengio (2003). Degrees of freedom: Satterthwaite (1946).
    """
    check_kind("curves", curves, Curves, "pass those of what evaluate returns")
    first = as_integer("first", first, 0, len(curves.cells) - 1)
    if second is not None:
        second = as_integer("second", second, 0, len(curves.cells) - 1)
    return gap_over_rows(curves, first, second, 0.95)


def gap_over_rows(curves: Curves, first: int, second: int | None, level: float) -> Summary:
    """As `over_rows`, with an interval that holds the truth so often."""
    gap, losses = curves.errors[first], curves.row_losses[first]
    if second is not None:
        gap, losses = gap - curves.errors[second], losses - curves.row_losses[second]
    tested = np.isfinite(losses)
    if not np.all(np.isfinite(gap)) or tested.sum() < 2:
        return Summary(math.nan, math.nan, math.nan, int(np.sum(~np.isfinite(gap))))
    design = curves.design
    units, of_test = _of_test_rows(losses[tested], curves.units[tested])
    within, _, settled = _components(gap)
    # A row's variance by itself, with its neighbours.
    of_row = of_test * tested.sum()
    left = design.task_rows - (design.n_brain if design.shared_rows else 0)
    within = max(within - of_row * (1 / design.n_test - 1 / left), 0.0)
    points = [curves.cells[place] for place in (first, second) if place is not None]
    n_task = max(point.n_task for point in points)
    pairs = max(len(gap) // 2, 2)
    of_task = _first_order(gap, curves.task_places < n_task, within)
    parts = [
        (settled, pairs - 1),
        (of_test, units - 1),
        (of_task, pairs),
        (_of_brain_rows(curves, first, second), pairs - 1),
    ]
    half = _half_interval([part for part in parts if part[0] > 0], level)
    mean = float(np.mean(gap))
    return Summary(mean, mean - half, mean + half, 0)


def _half_interval(parts: list[tuple[float, int]], level: float) -> float:
    """Half an interval by a sum of variances, each known by so many degrees of freedom."""
    variance = sum(part for part, _ in parts)
    if not variance > 0:
        return 0.0
    # Satterthwaite's.
    freedom = variance**2 / sum(part**2 / degrees for part, degrees in parts)
    from scipy.special import stdtrit

    return float(stdtrit(max(freedom, 1.0), (1 + level) / 2)) * math.sqrt(variance)


def _first_order(gap: np.ndarray, members: np.ndarray, shown: float) -> float:
    """V n/N of a role, where splits show no more than V (1 − n/N) and what averages out.

    Splits whose rows overlap more than others are more alike, by what single rows do. The rest of
    what splits show is of their combinations, which differ from split to split. To the estimate
    comes half its standard error, so that few splits do not promise too much.
    """
    share = float(members.mean())
    if not 0 < share < 0.95:
        # Rows that are always used show nothing of what others would do.
        return shown if share else 0.0
    bound = shown * share / (1 - share)
    count = len(gap)
    centred = gap - gap.mean()
    overlap = members.astype(float) - share
    overlap = overlap @ overlap.T / count**2 / (1 - share) ** 2
    np.fill_diagonal(overlap, 0.0)
    found = float(centred @ overlap @ centred)
    error = float(np.mean(centred**2)) * math.sqrt(2 * float(np.sum(overlap**2)))
    return min(max(found, 0.0) + error / 2, bound)


def _components(gap: np.ndarray) -> tuple[float, float, float]:
    """Variance within pairs that share brain rows, what pairs share, and that of the mean."""
    pairs = gap[: len(gap) // 2 * 2].reshape(-1, 2)
    within = float(np.mean((pairs[:, 0] - pairs[:, 1]) ** 2) / 2)
    means = pairs.mean(axis=1)
    if len(means) < 2:
        return within, 0.0, within / 2
    settled = float(np.var(means, ddof=1))
    return within, max(settled - within / 2, 0.0), settled / len(means)


def _of_test_rows(losses: np.ndarray, units: np.ndarray) -> tuple[int, float]:
    """How many units there are, and the variance of the mean loss that they cause."""
    _, place = np.unique(units, return_inverse=True)
    sums = np.bincount(place, weights=losses - losses.mean())
    count = len(sums)
    if count < 2:
        return count, math.inf
    return count, float(np.sum(sums**2)) / len(losses) ** 2 * count / (count - 1)


def _of_brain_rows(curves: Curves, first: int, second: int | None) -> float:
    """What other recordings would change; from fewer of them, where all are always used.

    What a control makes of the brain rows is chance, and its mean is what counts: ridge stands for
    it, which knows of the other rows what it knows.
    """
    design, cells = curves.design, curves.cells

    def place_of(place: int) -> int:
        cell = cells[place]
        if not cell.n_brain or cell.estimator in CONTROLS:
            return place
        return curves.at("ridge", 0, cell.n_task)

    places = [place_of(place) for place in (first, second) if place is not None]
    size = max(cells[place].n_brain for place in places)
    if size > 0.75 * design.brain_rows:
        fewer = [_with_fewer(curves, place) for place in places]
        if fewer != places:
            # What n rows cause falls with n, and their share of all grows as much.
            places, size = fewer, max(cells[place].n_brain for place in fewer)
    gap = curves.errors[places[0]]
    gap = gap if second is None else gap - curves.errors[places[1]]
    count = len(gap) // 2 * 2
    means = gap[:count].reshape(-1, 2).mean(axis=1)
    if not size or len(means) < 2:
        return 0.0
    return _first_order(means, curves.brain_places[:count:2] < size, _components(gap)[1])


def _with_fewer(curves: Curves, place: int) -> int:
    """The place of the same estimator with most recordings of those that leave some out."""
    cell, most = curves.cells[place], 0.75 * curves.design.brain_rows
    others = [
        (each.n_brain, number)
        for number, each in enumerate(curves.cells)
        if each.estimator == cell.estimator
        and each.n_task == cell.n_task
        and 0 < each.n_brain <= most
    ]
    return max(others)[1] if others else place

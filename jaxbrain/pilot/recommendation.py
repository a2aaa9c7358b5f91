"""What to buy after a pilot, and how sure it is that recordings pay."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._arguments import Baseline, Estimator
from .._checks import (
    as_floats,
    check_finite,
    check_kind,
    check_known,
    check_positive,
    check_shape,
)
from .._typing import Real
from ..budget import optimal_allocation
from .estimates import PilotEstimate
from .over_draws import BASELINES, cells_over_draws, interval

# Beside the planned amount of recordings so much of it is tried, or where nothing is planned so
# much of the money.
_LESS = (1.0, 0.5, 0.25)
# A label more than this counts as one.
_ROUNDING = 1e-6


class Costs(NamedTuple):
    """Prices, in the currency of the budget.

    **Fields**

    - `brain`: of a recording.
    - `task`: of a label.
    - `fixed_brain`, `fixed_task`: due as soon as there is one of them.
    """

    brain: float
    task: float
    fixed_brain: float = 0.0
    fixed_task: float = 0.0


class Recommendation(NamedTuple):
    """What to buy by the central problem of a pilot, and what its draws say of that.

    **Fields**

    - `n_brain`, `n_task`: whole numbers of recordings and labels; 0 recordings where none should
      be bought.
    - `n_task_without_brain`: labels that the same budget buys without recordings.
    - `saved`, `saved_low`, `saved_high`: share of the money that labels alone would cost to be as
      good, median and 95 % interval. Negative where the plan costs more than that; NaN where no
      recordings are bought.
    - `probability`: that the plan does better than labels alone for the whole budget; 0 where no
      recordings are bought.
    - `probability_any`: that it does, or recordings for less of the money: those in `compared`.
    - `compared`: numbers of recordings that were compared with labels alone.
    """

    n_brain: float
    n_task: float
    n_task_without_brain: float
    saved: float
    saved_low: float
    saved_high: float
    probability: float
    probability_any: float
    compared: tuple[float, ...]


def recommend(
    estimate: PilotEstimate, budget: Real, costs: Costs | tuple[float, ...]
) -> Recommendation:
    """Say how to split a budget between recordings and labels, and how sure a pilot is of it.

    Both sides shrink as well as they can: BEFS with two penalties against ridge regression.

    >>> import numpy as np
    >>> from jaxbrain import pilot
    >>> rng = np.random.default_rng(0)
    >>> inputs = rng.normal(size=(150, 8))
    >>> latents = inputs[:, :2] + 0.5 * rng.normal(size=(150, 2))
    >>> recordings = latents @ rng.normal(size=(2, 12)) + rng.normal(size=(150, 12))
    >>> targets = inputs[:, 0] + rng.normal(size=150)
    >>> found = pilot.estimate(
    ...     inputs[:90], recordings[:90], inputs[90:], targets[90:], rank=2, draws=40)
    >>> plan = pilot.recommend(found, budget=60, costs=pilot.Costs(brain=0.1, task=1.0))
    >>> plan.n_brain * 0.1 + plan.n_task <= 60, 0 <= plan.probability <= plan.probability_any
    (True, True)

    **Arguments**

    - `estimate`: of a pilot, as `estimate` or `read_study` return it.
    - `budget`: money, for what comes after the pilot.
    - `costs`: a `Costs`, or its numbers in that order.

    **Returns**

    A `Recommendation`. The plan is that of `optimal_allocation` for the central problem. In each
    draw it is compared with labels alone, and so are a half and a quarter of its recordings beside
    more labels. Other splits are not tried, so that recordings may pay more often than it says.

    **Raises**

    `ValueError` that names the argument: prices or a budget that are not positive.

    **Source**

    `optimal_allocation`; draws: docs/theory.md, "From a pilot".
    """
    check_kind("estimate", estimate, PilotEstimate, "pass what pilot.estimate returns")
    if not isinstance(costs, tuple) or not 2 <= len(costs) <= 4:
        raise ValueError("costs must be a Costs: prices of a recording and of a label")
    prices = Costs(*costs)
    check_known(budget=budget, costs=costs)
    checked = as_floats(budget=budget, **prices._asdict())
    for name, value in zip(("budget", *Costs._fields), checked, strict=True):
        check_shape(name, value, (), "one amount of money")
        check_finite(name, value)
        check_positive(name, value, zero_allowed=name.startswith("fixed"))
    money, *each = (float(value) for value in checked)
    prices = Costs(*each)
    found = optimal_allocation(
        estimate.problem,
        money,
        prices.brain,
        prices.task,
        prices.fixed_brain,
        prices.fixed_task,
        encoding_penalty="optimal",
    )
    plan = float(found.n_brain), float(found.n_task), float(found.n_task_without_brain)
    over = plan_over_draws(estimate, money, prices, *plan)
    nothing = np.nan, np.nan, np.nan
    if over is None:
        return Recommendation(*plan, *nothing, 0.0, 0.0, ())
    buys = plan[0] > 0
    saved = (float(np.nanmedian(over.saved[:, 0])), *interval(over.saved[:, 0]))
    return Recommendation(
        *plan,
        *(saved if buys else nothing),
        float(np.mean(over.pays[:, 0])) if buys else 0.0,
        float(np.mean(over.pays.any(axis=1))),
        tuple(over.n_brain.tolist()),
    )


class PlanOverDraws(NamedTuple):
    """A plan, and fewer recordings for the same money, beside labels alone, in each draw.

    **Fields**

    - `n_brain`, `n_task`: the splits of the budget that were compared, the planned one first.
    - `risk`, `saved`: of each draw and split: excess risk, and the share of the money that labels
      alone would cost to be as good. Negative where the split costs more than that.
    - `pays`: whether the split is better than labels alone for the whole budget.
    """

    n_brain: np.ndarray
    n_task: np.ndarray
    risk: np.ndarray
    saved: np.ndarray
    pays: np.ndarray


def plan_over_draws(
    estimate: PilotEstimate,
    budget: float,
    costs: Costs,
    n_brain: float,
    n_task: float,
    n_alone: float,
    *,
    estimator: Estimator = "befs_two_penalties",
    baseline: Baseline = "ridge",
    encoding_penalty: float | str = "optimal",
) -> PlanOverDraws | None:
    """The split of the central problem in every draw, and fewer recordings for the same money.

    Each is compared with `n_alone` labels without recordings, which the budget buys too. Where
    `n_brain` is 0, recordings for a half, a quarter and an eighth of the money are. None where not
    even the fewest are affordable, beside a label.
    """
    fewest = max(estimate.latent_dims) + 1.0
    if encoding_penalty == 0:
        fewest = estimate.problem.input_dim + 2.0
    paid = budget - costs.fixed_brain - costs.fixed_task
    planned = n_brain if n_brain > 0 else paid / costs.brain / 2
    amounts = np.maximum(np.floor(planned * np.asarray(_LESS)), fewest)
    labels = np.floor((paid - costs.brain * amounts) / costs.task + _ROUNDING)
    if n_brain > 0:
        amounts[0], labels[0] = n_brain, n_task
    kept = np.flatnonzero(labels >= 1)
    if not kept.size:
        return None
    # Always as many splits, so that one program serves.
    places = np.where(labels >= 1, np.arange(len(labels)), kept[0])
    amounts, labels = amounts[places], labels[places]
    found = cells_over_draws(estimate, amounts, labels, encoding_penalty, (estimator,))
    values = found["value"][:, 0, BASELINES.index(baseline)]
    needed = np.where(np.isfinite(found["risk"][:, 0]), labels + values, 0.0)
    spent = costs.fixed_brain + costs.brain * amounts
    spent = spent + costs.fixed_task + costs.task * labels
    whole = np.maximum(np.ceil(needed - _ROUNDING), 0.0)
    alone = costs.fixed_task + costs.task * whole
    saved = np.where(needed > 0, 1 - spent / np.where(needed > 0, alone, 1.0), np.nan)
    pays = needed > n_alone * (1 + _ROUNDING)
    return PlanOverDraws(amounts, labels, found["risk"][:, 0], saved, pays)

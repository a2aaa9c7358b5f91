"""What to buy, over the draws of a pilot: whether recordings pay, as far as the pilot tells."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from ..pilot.over_draws import BASELINES, cells_over_draws
from .records import Modality, Purchase

# Beside the planned amount of recordings so much of it is tried, or where nothing is planned so
# much of the money.
_LESS = (1.0, 0.5, 0.25)
# A label more than this counts as one.
_ROUNDING = 1e-6


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
    purchase: Purchase, recordings: Modality, n_brain: float, n_task: float, n_alone: float
) -> PlanOverDraws | None:
    """The split of the central problem in every draw, and fewer recordings for the same money.

    Each is compared with `n_alone` labels without recordings, which the budget buys too. Where
    `n_brain` is 0, recordings for a half, a quarter and an eighth of the money are. None where not
    even the fewest are affordable, beside a label.
    """
    estimate = recordings.estimate
    assert estimate is not None
    fewest = max(estimate.latent_dims) + 1.0
    if recordings.encoding_penalty == 0:
        fewest = estimate.problem.input_dim + 2.0
    paid = purchase.budget - recordings.fixed_cost_brain - purchase.fixed_cost_task
    planned = n_brain if n_brain > 0 else paid / recordings.cost_brain / 2
    amounts = np.maximum(np.floor(planned * np.asarray(_LESS)), fewest)
    labels = np.floor((paid - recordings.cost_brain * amounts) / purchase.cost_task + _ROUNDING)
    if n_brain > 0:
        amounts[0], labels[0] = n_brain, n_task
    kept = np.flatnonzero(labels >= 1)
    if not kept.size:
        return None
    # Always as many splits, so that one program serves.
    places = np.where(labels >= 1, np.arange(len(labels)), kept[0])
    amounts, labels = amounts[places], labels[places]
    found = cells_over_draws(
        estimate, amounts, labels, recordings.encoding_penalty, (purchase.estimator,)
    )
    values = found["value"][:, 0, BASELINES.index(purchase.baseline)]
    needed = np.where(np.isfinite(found["risk"][:, 0]), labels + values, 0.0)
    spent = recordings.fixed_cost_brain + recordings.cost_brain * amounts
    spent = spent + purchase.fixed_cost_task + purchase.cost_task * labels
    whole = np.maximum(np.ceil(needed - _ROUNDING), 0.0)
    alone = purchase.fixed_cost_task + purchase.cost_task * whole
    saved = np.where(needed > 0, 1 - spent / np.where(needed > 0, alone, 1.0), np.nan)
    pays = needed > n_alone * (1 + _ROUNDING)
    return PlanOverDraws(amounts, labels, found["risk"][:, 0], saved, pays)

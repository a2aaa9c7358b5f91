"""What a larger study would bring, by all that a pilot leaves possible."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .._checks import as_floats, check_broadcast, check_kind, check_known
from .._typing import Real
from ..theory import optimal_encoding_penalty
from .estimates import PilotEstimate
from .over_draws import ends, worth_over_draws

# Of the labels: an information value below it is not worth the word.
_NOTHING = 0.01


class Forecast(NamedTuple):
    """What recordings would be worth in a study of other sizes: medians and 95 % intervals.

    **Fields**

    Of the broadcast shape of the two numbers of samples:

    - `n_brain`, `n_task`: the sizes asked for.
    - `value`, `value_low`, `value_high`: labels that the recordings are worth to BEFS against ridge
      regression, as `jaxbrain.value` returns them.
    - `exchange_rate`, `exchange_rate_low`, `exchange_rate_high`: these labels for each recording.
    - `savings`, `savings_low`, `savings_high`: the share of all labels that they are.
    - `information_value`, `information_value_low`, `information_value_high`: labels that they are
      worth with both penalties of BEFS at their best.
    - `risk`, `risk_low`, `risk_high`: of BEFS at its best penalty.
    - `ridge_risk`, `ridge_risk_low`, `ridge_risk_high`: of ridge regression on the labels alone.
    - `probability`: that the information value is more than a hundredth of the labels.
    - `encoding_penalty`: at which all this is.
    """

    n_brain: np.ndarray
    n_task: np.ndarray
    value: np.ndarray
    value_low: np.ndarray
    value_high: np.ndarray
    exchange_rate: np.ndarray
    exchange_rate_low: np.ndarray
    exchange_rate_high: np.ndarray
    savings: np.ndarray
    savings_low: np.ndarray
    savings_high: np.ndarray
    information_value: np.ndarray
    information_value_low: np.ndarray
    information_value_high: np.ndarray
    risk: np.ndarray
    risk_low: np.ndarray
    risk_high: np.ndarray
    ridge_risk: np.ndarray
    ridge_risk_low: np.ndarray
    ridge_risk_high: np.ndarray
    probability: np.ndarray
    encoding_penalty: np.ndarray


def forecast(estimate: PilotEstimate, n_brain: Real, n_task: Real) -> Forecast:
    """Say what recordings would be worth in a study of other sizes than the pilot's.

    >>> import numpy as np
    >>> from jaxbrain import pilot
    >>> rng = np.random.default_rng(0)
    >>> inputs = rng.normal(size=(150, 8))
    >>> latents = inputs[:, :2] + 0.5 * rng.normal(size=(150, 2))
    >>> recordings = latents @ rng.normal(size=(2, 12)) + rng.normal(size=(150, 12))
    >>> targets = inputs[:, 0] + rng.normal(size=150)
    >>> found = pilot.estimate(inputs[:90], recordings[:90], inputs[90:], targets[90:], rank=2)
    >>> further = pilot.forecast(found, n_brain=400, n_task=30)
    >>> bool(further.value_low < further.value < further.value_high)
    True

    **Arguments**

    - `estimate`: of a pilot, as `estimate` or `read_study` return it.
    - `n_brain`, `n_task`: numbers of independent recordings and labels, of any shapes that
      broadcast. Recordings are more than the latents.

    **Returns**

    A `Forecast`. The encoding penalty is the best one of the central problem at each of the sizes.

    **Raises**

    `ValueError` that names the argument: too few samples, shapes that do not broadcast.

    **Source**

    Closed forms: docs/theory.md, "Inputs of any covariance"; draws: "From a pilot".
    """
    check_kind("estimate", estimate, PilotEstimate, "pass what pilot.estimate returns")
    check_known(n_brain=n_brain, n_task=n_task)
    sizes = as_floats(n_brain=n_brain, n_task=n_task)
    check_broadcast(n_brain=sizes[0], n_task=sizes[1])
    n_brain, n_task = np.broadcast_arrays(*map(np.asarray, sizes))
    # It also says where the closed forms are not to be trusted.
    penalty = np.asarray(
        optimal_encoding_penalty(estimate.problem, n_brain, n_task, estimator="befs")
    )
    found = worth_over_draws(estimate, n_brain, n_task, "optimal")
    value = found["value_vs_ridge"]
    of_draws = {
        "value": value,
        "exchange_rate": value / n_brain,
        "savings": _share(value, n_task),
        "information_value": found["information_value"],
        "risk": found["risk"],
        "ridge_risk": found["ridge_risk"],
    }
    fields = {}
    for name, values in of_draws.items():
        low, high = ends(values)
        middle = np.quantile(values, 0.5, axis=0, method="nearest")
        fields |= {name: middle, f"{name}_low": low, f"{name}_high": high}
    helps = np.mean(found["information_value"] > _NOTHING * n_task, axis=0)
    return Forecast(n_brain, n_task, **fields, probability=helps, encoding_penalty=penalty)


def _share(value: np.ndarray, n_task: np.ndarray) -> np.ndarray:
    """Of all labels; without limit where labels alone predict as well with none."""
    total = n_task + value
    return np.where(total > 0, value / np.where(total > 0, total, 1.0), -np.inf)

"""Whether recordings help, on rows that are drawn anew."""

from __future__ import annotations

import math
from typing import Literal, NamedTuple

import numpy as np

from .._checks import check_kind
from ._catalogue import CONTROLS, ESTIMATORS
from .evaluation import Evaluation
from .intervals import gap_over_rows, over_rows
from .labels import best_without, chosen_estimator
from .summary import Summary

Finding = Literal["helps", "avoids", "like a control", "hurts", "no difference", "undefined"]
"""What an evaluation shows. The recordings help; they help by showing where the task is not; what
they do a control does too; they do harm; nothing can be seen; or there is nothing to see."""


# Of a claim to one side, where there is nothing to it.
_LEVEL = 0.05


class Verdict(NamedTuple):
    """What an evaluation shows.

    **Fields**

    - `finding`: in a word or two.
    - `estimator`: with recordings, chosen by left-out task rows.
    - `rival`: the best predictor without recordings.
    - `control`: the best of the estimator's controls.
    - `gap`: error of the estimator less that of the rival, with its 95 % interval over rows. It
      may end just beyond 0 where the finding is that recordings help: that is a claim to one side.
    """

    finding: Finding
    estimator: str
    rival: str
    control: str
    gap: Summary


def judge(evaluation: Evaluation) -> Verdict:
    """Tell whether recordings help: against the best predictor without, and against controls.

    Recordings help where the estimator that training rows choose has less error than the rival and
    than each of its controls, at the 5 % level: where recordings do nothing, at most one study in
    twenty is told that they help, and as many that they hurt. So the ends that decide are those of
    a 90 % interval over rows.

    >>> import jax, numpy as np
    >>> from jaxbrain.pilot import evaluate, judge, pilot_data, split_sizes
    >>> rng = np.random.default_rng(0)
    >>> inputs = rng.normal(size=(120, 12))
    >>> recordings = inputs[:, :2] @ rng.normal(size=(2, 20)) + rng.normal(size=(120, 20))
    >>> targets = inputs[:, :2] + rng.normal(size=(120, 2))
    >>> data = pilot_data(inputs=inputs, recordings=recordings, targets=targets)
    >>> judge(evaluate(data, split_sizes(data, 60, 24, 36), 4, jax.random.key(0))).rival
    'ridge'

    **Arguments**

    - `evaluation`: what `evaluate` returns.

    **Returns**

    A `Verdict`.

    **Raises**

    `ValueError` where that is no `Evaluation`.

    **Source**

    Ours.
    """
    check_kind("evaluation", evaluation, Evaluation, "pass what evaluate returns")
    curves = evaluation.curves
    means = {name: float(np.mean(curves.errors[evaluation.place(name)])) for name in ESTIMATORS}

    def at_level(first: str, second: str) -> Summary:
        places = evaluation.place(first), evaluation.place(second)
        return gap_over_rows(curves, *places, 1 - 2 * _LEVEL)

    estimator, rival = chosen_estimator(evaluation), best_without(evaluation)
    control = min(
        CONTROLS[estimator],
        key=lambda name: means[name] if math.isfinite(means[name]) else math.inf,
    )
    found = over_rows(curves, evaluation.place(estimator), evaluation.place(rival))
    decisive = at_level(estimator, rival)

    def finding() -> Finding:
        if not math.isfinite(found.mean) or not means["ridge"] > 0:
            return "undefined"
        if decisive.low > 0:
            return "hurts"
        if not decisive.high < 0:
            return "no difference"
        if not all(at_level(estimator, name).high < 0 for name in CONTROLS[estimator]):
            return "like a control"
        outside, inside = np.asarray(evaluation.penalties).T
        avoids = estimator == "befs_two_penalties" and np.mean(inside > outside) > 0.5
        return "avoids" if avoids else "helps"

    return Verdict(finding(), estimator, rival, control, found)

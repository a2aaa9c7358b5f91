"""How plans answer: what all of them say has one name, which `Allocation` explains."""

from __future__ import annotations

from typing import Any, NamedTuple

from jaxtyping import Array


class Frontier(NamedTuple):
    """Test error along the budget line: what each affordable amount of recordings leads to.

    **Fields**

    - `n_brain`, shape (128,): recorded samples, ascending from input_dim + 2; not rounded. Where
      inputs are not white, or the encoding stage has a penalty, 24 amounts from the fewest on.
    - `n_task`, of the same shape: labels that the rest of the money buys.
    - `risk`, of the same shape: the excess risk there, in the units of ‖β‖².

    They are NaN where the recordings are not affordable.
    """

    n_brain: Array
    n_task: Array
    risk: Array


class Allocation(NamedTuple):
    """The best split of a budget: whole samples, money, and what it compares with.

    The first eight fields are those of every plan, whatever found it.

    **Fields**

    - `n_brain`, `n_task`: recorded samples, 0 where none should be bought, and labels; whole
      numbers.
    - `risk`: excess risk with these, in the units of ‖β‖².
    - `spent_on_brain`, `spent_on_task`: money, fixed costs included, in the currency of the budget.
    - `n_task_without_brain`: labels that the same budget buys without recordings.
    - `risk_without_brain`: excess risk of the baseline with that many labels.
    - `saved`: of the money that the baseline would have to spend to do no worse, on whole labels,
      the share that this plan does without. It is never below 0, and 0 where no recordings are
      bought.
    - `frontier`: the `Frontier`, over amounts of recordings.

    All but the frontier are single numbers.
    """

    n_brain: Array
    n_task: Array
    risk: Array
    spent_on_brain: Array
    spent_on_task: Array
    n_task_without_brain: Array
    risk_without_brain: Array
    saved: Array
    frontier: Frontier


class TunedAllocation(NamedTuple):
    """The best split found: whole samples and money, and how the search ended.

    **Fields**

    - `n_brain`: recorded samples of each modality, a dict by name as given; a number where one
      modality was given without a name.
    - `n_task`, `risk`, `spent_on_task`, `n_task_without_brain`, `risk_without_brain`, `saved`: as
      in `Allocation`.
    - `spent_on_brain`: money on recordings of all modalities, fixed costs included.
    - `penalty`: the best penalty there, λ a sample; NaN without recordings, and with two penalties.
    - `gradient_norm`: largest derivative of the loss, in labels, with respect to the logits of the
      shares, in the descent that led to the answer.
    - `steps`: of that descent; 0 where no recordings are affordable and nothing is searched.
    - `converged`: whether that gradient is below the tolerance times (size of the loss +
      input_dim).

    They are single numbers.
    """

    n_brain: Any
    n_task: Array
    risk: Array
    spent_on_brain: Array
    spent_on_task: Array
    n_task_without_brain: Array
    risk_without_brain: Array
    saved: Array
    penalty: Array
    gradient_norm: Array
    steps: Array
    converged: Array


class EmpiricalAllocation(NamedTuple):
    """The best split of a budget among the amounts of recording of a sweep, with intervals.

    **Fields**

    - `n_brain`: recorded samples, one of the sweep's numbers, or 0.
    - `n_task`, `spent_on_brain`, `spent_on_task`, `n_task_without_brain`: as in `Allocation`.
    - `risk`, `risk_without_brain`: as there, simulated.
    - `saved`: as there; NaN if what the baseline would need is beyond the sweep, and so are ends of
      its interval.
    - `n_brain_interval`: the least and the most of the numbers that are not worse than the best
      beyond what luck explains, at the confidence asked for. It holds the best at least that often,
      and always where one is far ahead.
    - `saved_interval`: (low, high) of what the best saves, whichever it is.
    """

    n_brain: int
    n_task: int
    risk: float
    spent_on_brain: float
    spent_on_task: float
    n_task_without_brain: int
    risk_without_brain: float
    saved: float
    n_brain_interval: tuple[float, float]
    saved_interval: tuple[float, float]


class AsymptoticAllocation(NamedTuple):
    """The best split of a large budget, in samples, money, and a share of the money.

    **Fields**

    - `n_brain`, `n_task`: recorded samples and labels to buy, not rounded; n_brain is 0 where
      recordings are not worth their price.
    - `spent_on_brain`, `spent_on_task`: money for them, in the currency of the budget.
    - `n_task_without_brain`: labels that the same budget buys without recordings, not rounded.
    - `saved`: `extra_budget` over all that somebody without recordings would spend, a fraction.
    - `extra_budget`: what somebody without recordings would have to spend on top, to be as good.

    All are of the shape that budget and prices broadcast to.
    """

    n_brain: Array
    n_task: Array
    spent_on_brain: Array
    spent_on_task: Array
    n_task_without_brain: Array
    saved: Array
    extra_budget: Array

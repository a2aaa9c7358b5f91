"""What a way of recording the brain teaches and costs."""

from __future__ import annotations

from collections.abc import Mapping

import equinox as eqx
import jax.numpy as jnp
import numpy as np

from .._arguments import check_problem
from .._checks import is_concrete, kind_of
from .._typing import Real
from ..models import Problem
from ._money import checked_sum

_MOST_MODALITIES = 6


class Modality(eqx.Module):
    """A way of recording the brain: what it teaches and costs, and how much there can be.

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.isotropic(12, 2, task_snr=1.0, misalignment=0.1, encoding_noise=0.5)
    >>> scanner = jb.Modality(problem, cost_brain=0.5, most=2 * 60)
    >>> float(scanner.cost_brain * scanner.most)
    60.0

    **Arguments**

    - `problem`: the task seen by these recordings. All modalities have the same inputs and the same
      task, hence the same input_dim, task_noise and total power.
    - `cost_brain`: price of one recorded sample, greater than 0.
    - `fixed_cost_brain`: what is due as soon as there is any, at least 0.
    - `most`: the largest number of samples that can be had (hours times samples an hour), by
      default without limit.

    **Raises**

    `ValueError` that names the argument: what is no `Problem`, numbers that are arrays or negative,
    a price that is 0 or infinite.
    """

    problem: Problem
    cost_brain: Real
    fixed_cost_brain: Real
    most: Real

    def __init__(
        self,
        problem: Problem,
        cost_brain: Real,
        fixed_cost_brain: Real = 0.0,
        most: Real = np.inf,
    ):
        """Check the numbers. **Raises** `ValueError` that names the argument and the remedy."""
        check_problem(problem)
        like = problem.task_noise
        self.problem = problem
        self.cost_brain = checked_sum("cost_brain", cost_brain, like, up=True)
        self.fixed_cost_brain = checked_sum(
            "fixed_cost_brain", fixed_cost_brain, like, up=True, zero_allowed=True
        )
        self.most = checked_sum("most", most, like, up=False, zero_allowed=True, limited=False)


def check_modalities(named: Mapping[str, Modality]) -> None:
    """Raise unless there are a few modalities, all about the same task."""
    if not named:
        raise ValueError(
            "modalities is empty: pass at least one Modality under a name, as "
            '{"fmri": Modality(...)}'
        )
    if len(named) > _MOST_MODALITIES:
        raise ValueError(
            f"modalities must be 1 to {_MOST_MODALITIES}, but there are {len(named)}: leave out "
            "those that cost most for what they teach"
        )
    first = None
    for name, modality in named.items():
        if not isinstance(modality, Modality):
            raise ValueError(f"modalities: {name!r} is {kind_of(modality)}, not a Modality")
        problem = modality.problem
        if first is None:
            first = problem
            continue
        same = problem.input_dim == first.input_dim
        for ours, theirs in (
            (problem.task_noise, first.task_noise),
            (problem.total_power, first.total_power),
        ):
            if same and is_concrete(ours, theirs):
                same = bool(jnp.allclose(ours, theirs, rtol=1e-5))
        if not same:
            raise ValueError(
                f"modalities: {name!r} is about another task: input_dim, task_noise and total "
                "power must be the same for all"
            )

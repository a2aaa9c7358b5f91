"""A study, and what there is to buy: what is read from files and options."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from .._arguments import Baseline, Estimator
from ..models import Problem
from ..pilot.estimates import PilotEstimate


@dataclass(frozen=True)
class Modality:
    """One way of recording the brain, and what it costs.

    Unlike `jaxbrain.Modality` it knows hours, and its prices are the decimals that were typed.
    """

    problem: Problem
    cost_brain: float | int
    fixed_cost_brain: float | int
    samples_per_hour: float | int | None
    encoding_penalty: float | Literal["optimal"] = 0.0
    estimate: PilotEstimate | None = None
    """Where a pilot measured them."""

    @property
    def is_white(self) -> bool:
        """Whether inputs are white and recordings are learned from without a penalty."""
        return self.problem.geometry is None and self.encoding_penalty == 0

    @property
    def fewest(self) -> int:
        """How many recordings there have to be for a subspace to be learned at all."""
        if self.encoding_penalty == 0:
            return self.problem.input_dim + 2
        return self.problem.latent_dim + 1


@dataclass(frozen=True)
class Purchase:
    """A budget, the price of labels, and the modalities among which to choose, by name.

    The recordings of a study have no rivals; their name is "".
    """

    budget: float | int
    cost_task: float | int
    fixed_cost_task: float | int
    currency: str
    estimator: Estimator
    baseline: Baseline
    modalities: dict[str, Modality]
    budget_is_set: bool = True
    """False where the user sets none, and it is what the study costs."""

    def on_labels(self, n_task: float | int) -> float:
        """What so many labels cost."""
        return self.fixed_cost_task + self.cost_task * n_task if n_task > 0 else 0.0


@dataclass(frozen=True)
class Study:
    """A problem together with how much of each kind of data there is: what `read_study` returns.

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.isotropic(64, 6, 0.5, 0.1, 0.54)
    >>> jb.Study(problem, n_brain=500, n_task=100, samples_per_hour=20).hours
    25.0

    **Arguments**

    - `problem`: a `Problem` for every closed form; of a pilot's file the central one.
    - `n_brain`, `n_task`: recorded samples and labels.
    - `samples_per_hour`: where that is known, and None otherwise.
    - `preset`: the name of the ready-made model that the problem is, or None.
    - `encoding_penalty`: ridge of the encoding stage, a sample, or "optimal".
    - `estimate`: the `PilotEstimate` behind the file of a pilot, with its draws; None of others.
    - `purchase`: the `Purchase` that the table [budget] describes, or None.

    **Raises**

    Nothing: `read_study` has checked what a file says.
    """

    problem: Problem
    n_brain: float | int
    n_task: float | int
    samples_per_hour: float | int | None
    preset: str | None = None
    encoding_penalty: float | Literal["optimal"] = 0.0
    estimate: PilotEstimate | None = None
    purchase: Purchase | None = None

    @property
    def is_white(self) -> bool:
        """Whether inputs are white and recordings are learned from without a penalty."""
        return self.problem.geometry is None and self.encoding_penalty == 0

    @property
    def hours(self) -> float | None:
        """Hours of recording, where it is known how many samples an hour gives."""
        return None if self.samples_per_hour is None else self.n_brain / self.samples_per_hour

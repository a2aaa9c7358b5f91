"""What a comparison finds: errors, learning curves, and where their rows come from."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from ._catalogue import ESTIMATORS
from .splits import SplitSizes


class Cell(NamedTuple):
    """A point of a learning curve.

    **Fields**

    - `estimator`: its name.
    - `n_brain`, `n_task`: rows that it learned from; n_brain is 0 for one without recordings.
    """

    estimator: str
    n_brain: int
    n_task: int


class Design(NamedTuple):
    """Where the rows of all splits come from: whole numbers.

    **Fields**

    - `brain_rows`, `task_rows`: how many there are.
    - `n_brain`, `n_test`: how many of them each split takes.
    - `shared_rows`: whether they are the same rows.
    """

    brain_rows: int
    task_rows: int
    n_brain: int
    n_test: int
    shared_rows: bool


class Curves(NamedTuple):
    """Learning curves: errors at fewer brain rows, fewer task rows, and more of them for ridge.

    **Fields**

    - `cells`: the points.
    - `errors`, shape (points, repeats): error at each, mean over targets.
    - `row_losses`, shape (points, rows): the same for each labelled row, over the repeats that it
      was tested in; NaN where it never was.
    - `units`, shape (rows,): the unit of each labelled row, which no split divides.
    - `design`: where the rows of all splits come from.
    - `task_places`, shape (repeats, rows): the place of each labelled row among those that a split
      learns from, of which a point takes so many first; beyond the longest where it is not learned.
    - `brain_places`, shape (repeats, recorded rows): the same of the brain stage.
    """

    cells: tuple[Cell, ...]
    errors: np.ndarray
    row_losses: np.ndarray
    units: np.ndarray
    design: Design
    task_places: np.ndarray
    brain_places: np.ndarray

    def at(self, estimator: str, n_brain: int, n_task: int) -> int:
        """The place of a point; raises `ValueError` where it is not among the cells."""
        return self.cells.index(Cell(estimator, n_brain, n_task))


class ClassScores(NamedTuple):
    """How well classes are told apart, beside what that costs in nats.

    **Fields**

    - `accuracy`, shape (estimators, repeats, targets): share of the test rows whose most probable
      class is right.
    - `balanced_accuracy`, the same shape: its mean over the classes that test rows are of.
    - `auc`, the same shape: how often a row of a class has a higher probability of it than a row of
      another class; of three classes and more the mean over classes.
    - `by_frequency`, shape (repeats, targets): error in nats of telling each test row how often
      each class comes among the task rows, which takes no inputs.
    - `lacking`, shape (targets,): number of repeats whose task rows lack a class.
    """

    accuracy: Float[np.ndarray, "e r t"]
    balanced_accuracy: Float[np.ndarray, "e r t"]
    auc: Float[np.ndarray, "e r t"]
    by_frequency: Float[np.ndarray, "r t"]
    lacking: np.ndarray


class Evaluation(NamedTuple):
    """Held-out errors of all estimators, as `evaluate` finds them.

    **Fields**

    - `errors`, shape (estimators, repeats, targets): mean squared error on the test rows as a share
      of the target's variance, in the order of `ESTIMATORS`. 1 is what predicting the mean
      achieves. Of classes, −log of the probability of the right one, in nats. NaN where an
      estimator does not exist: ordinary least squares with too few rows.
    - `penalties`, shape (repeats, 2): those that BEFS with two penalties chose outside and inside
      the learned subspace, in units of the inputs' mean variance. The inside is held back more
      where the task depends on it less.
    - `rank`: dimension of the learned subspace, the median over the splits.
    - `sizes`: rows in each split.
    - `scores`, shape (estimators,): the error of left-out task rows with which each estimator chose
      its penalties. It knows nothing of the test rows.
    - `curves`: errors at other numbers of rows.
    - `errors_as_given`, shape (repeats, targets): those of ridge on the inputs as they came; None
      where the inputs are as they came.
    - `classes`: how well classes are told apart; None where targets are numbers.
    """

    errors: Float[np.ndarray, "e r t"]
    penalties: Float[np.ndarray, "r 2"]
    rank: int
    sizes: SplitSizes
    scores: Float[np.ndarray, " e"]
    curves: Curves
    errors_as_given: Float[np.ndarray, "r t"] | None = None
    classes: ClassScores | None = None

    def place(self, estimator: str) -> int:
        """Of an estimator at the sizes of the splits, among the cells of the curves."""
        names = [cell.estimator for cell in self.curves.cells]
        # Cells begin with these sizes.
        return ESTIMATORS.index(estimator) if estimator in ESTIMATORS else names.index(estimator)

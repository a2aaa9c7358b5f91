"""Estimators and their controls, each described once: what runs over all of them reads this."""

from __future__ import annotations

from typing import Literal, NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float, PRNGKeyArray

from .._arguments import EncodingCriterion
from .._checks import check_choice
from .._typing import AnyArray, Real
from ..models import LinearGaussianModel
from .banded import banded_ridge
from .encoding import (
    encode,
    fit_encoder,
    oracle_subspace,
    random_subspace,
    shuffle_recordings,
)
from .task import befs, ridge, task_only

Source = Literal["recordings", "shuffled recordings", "chance", "inputs", "model"]
"""Where a subspace comes from: learned from recordings, or from recordings in the order of other
rows; drawn at random; the leading components of the inputs; or the true one of a model."""

Learned = Literal["subspace", "encoder"]
"""What recordings teach: the directions that they respond to, or weights that predict them."""


class Variant(NamedTuple):
    """One estimator of the comparison: where its subspace comes from, and what is penalised.

    >>> from jaxbrain.estimators import VARIANTS
    >>> [variant.name for variant in VARIANTS if variant.control_of == "befs"]
    ['random_subspace', 'shuffled_recordings']

    - `name`: as results, sweeps and the command line spell it.
    - `summary`: what it does, in a sentence; docs/estimators.md lists them all.
    - `source`: where the subspace comes from; None where there is none.
    - `n_penalties`: 0, 1 (all weights, or those outside of the subspace), or 2 (outside, and
      inside).
    - `control_of`: the estimator whose gain this one must not show; None for what is no control.
    - `learns`: what its first stage learns, a `"subspace"` or an `"encoder"`. With an encoder the
      two penalties are those of `banded_ridge`.

    **Source**

    Lewis et al., arXiv:2605.09243; the controls and the second penalty are ours.
    """

    name: str
    summary: str
    source: Source | None = None
    n_penalties: int = 0
    control_of: str | None = None
    learns: Learned = "subspace"

    @property
    def takes_recordings(self) -> bool:
        """Whether its first stage learns from recordings, in their own order or another."""
        return self.source in ("recordings", "shuffled recordings")

    def learned(
        self,
        key: PRNGKeyArray,
        rank: int,
        *,
        inputs: AnyArray | None = None,
        recordings: AnyArray | None = None,
        model: LinearGaussianModel | None = None,
        ridge: Real | EncodingCriterion | None = None,
    ) -> Float[Array, "d k"] | None:
        """Run the first stage: find the subspace, or the encoder; None where there is neither.

        **Arguments**

        - `key`: of the random subspace, or of the shuffled rows.
        - `rank`: dimension of the subspace. An encoder has none.
        - `inputs`, `recordings`: of the brain stage, row by row, where the source is recordings; a
          random subspace takes its number of inputs from either `inputs` or `model`.
        - `model`: holds the true subspace, where that is the source.
        - `ridge`: penalty of the first stage, as in `encode` and `fit_encoder`. By default 0 for a
          subspace, which needs as many rows as inputs, and `"leave_one_out"` for an encoder.

        **Returns**

        An orthonormal basis, shape (d, rank); the true subspace has the rank of the model. Or the
        weights of an encoder, shape (d, p).

        **Raises**

        `ValueError` that names what this source needs and is not given.

        **Source**

        `encode`, `fit_encoder`, `shuffle_recordings`, `random_subspace`, `oracle_subspace`.
        """
        if self.source is None:
            return None
        if self.source == "model":
            if model is None:
                raise ValueError(f"model must be given: {self.name} takes its subspace from it")
            return oracle_subspace(model)
        if self.source == "chance":
            if inputs is not None:
                return random_subspace(key, jnp.shape(inputs)[1], rank)
            if model is None:
                raise ValueError("inputs or model must be given: they tell the number of inputs")
            return random_subspace(key, model.input_dim, rank)
        if inputs is None or recordings is None:
            raise ValueError(f"inputs and recordings must be given: {self.name} learns from them")
        if self.source == "shuffled recordings":
            recordings = shuffle_recordings(key, recordings)
        if self.learns == "encoder":
            return fit_encoder(inputs, recordings, "leave_one_out" if ridge is None else ridge)[0]
        return encode(inputs, recordings, rank, 0.0 if ridge is None else ridge)

    def weights(
        self,
        inputs: AnyArray,
        targets: AnyArray,
        learned: AnyArray | None = None,
        penalty: Real = 0.0,
        inside_penalty: Real = 0.0,
    ) -> Float[Array, "d *t"]:
        """Learn the task with this estimator; what it does not penalise is ignored.

        **Arguments**

        - `inputs`, `targets`: of the task stage, as in `befs`.
        - `learned`: the subspace or the encoder; an estimator without either ignores it.
        - `penalty`, `inside_penalty`: a sample; the first two penalties, or one, or none are used.
          With an encoder the second is its own.

        **Returns**

        Weights of shape (d,) or (d, t).

        **Raises**

        `ValueError` as `task_only`, `ridge`, `befs` and `banded_ridge` do.

        **Source**

        `task_only`, `ridge`, `befs`, `banded_ridge`.
        """
        if self.source is None:
            if self.n_penalties == 0:
                return task_only(inputs, targets)
            return ridge(inputs, targets, penalty)
        if learned is None:
            raise ValueError(f"learned must be given: {self.name} takes a {self.learns}")
        if self.learns == "encoder":
            return banded_ridge(inputs, targets, learned, penalty, inside_penalty)
        if self.n_penalties == 1:
            return befs(inputs, targets, learned, penalty)
        return befs(inputs, targets, learned, penalty, inside_penalty)


VARIANTS = (
    Variant("task_only", "Fits the labels by least squares."),
    Variant("ridge", "Shrinks all weights alike.", None, 1),
    Variant(
        "befs",
        "Shrinks the weights outside of the subspace that recordings teach.",
        "recordings",
        1,
    ),
    Variant(
        "random_subspace",
        "Shrinks the weights outside of a subspace drawn at random.",
        "chance",
        1,
        "befs",
    ),
    Variant(
        "shuffled_recordings",
        "Shrinks the weights outside of the subspace that shuffled recordings teach.",
        "shuffled recordings",
        1,
        "befs",
    ),
    Variant(
        "oracle",
        "Shrinks the weights outside of the true subspace of a model.",
        "model",
        1,
    ),
    Variant(
        "befs_two_penalties",
        "Shrinks the weights outside and inside of the subspace that recordings teach.",
        "recordings",
        2,
    ),
    Variant(
        "random_subspace_two_penalties",
        "Shrinks the weights outside and inside of a subspace drawn at random.",
        "chance",
        2,
        "befs_two_penalties",
    ),
    Variant(
        "shuffled_recordings_two_penalties",
        "Shrinks the weights outside and inside of the subspace that shuffled recordings teach.",
        "shuffled recordings",
        2,
        "befs_two_penalties",
    ),
    Variant(
        "banded_ridge",
        "Takes predicted recordings as features with a penalty of their own.",
        "recordings",
        2,
        learns="encoder",
    ),
    Variant(
        "shuffled_recordings_banded_ridge",
        "Takes predictions of shuffled recordings as features with a penalty of their own.",
        "shuffled recordings",
        2,
        "banded_ridge",
        "encoder",
    ),
)
"""All estimators, in the order of every table."""


def find_variant(name: str) -> Variant:
    """Look an estimator up by its name.

    >>> from jaxbrain.estimators import find_variant
    >>> find_variant("befs_two_penalties").n_penalties
    2

    **Arguments**

    - `name`: of one of `VARIANTS`.

    **Returns**

    The `Variant`.

    **Raises**

    `ValueError` that lists the names there are.

    **Source**

    Ours.
    """
    check_choice("name", name, [one.name for one in VARIANTS])
    return next(one for one in VARIANTS if one.name == name)

"""What a named estimator does in each stage, as sweeps need to know it."""

from __future__ import annotations

from typing import NamedTuple

from .._arguments import EstimatorOfRecordings
from .._checks import check_choice
from ..estimators import VARIANTS, find_variant


class Stages(NamedTuple):
    """Static: one program for each."""

    source: str
    """Where the first stage learns, as in `Variant.source`."""
    is_graded: bool
    """Whether it learns an encoder, the prior covariance of the weights, and not a subspace."""
    n_penalties: int

    @property
    def closed_form(self) -> EstimatorOfRecordings:
        """The estimator whose best penalties it takes; a control, that which it controls."""
        if self.is_graded:
            return "banded_ridge"
        return "befs" if self.n_penalties == 1 else "befs_two_penalties"


NAMES = tuple(one.name for one in VARIANTS if one.source and one.n_penalties)
"""All estimators of sweeps that take a subspace, or an encoder."""

WITH_REDUCED_DRAWS = (
    "befs",
    "befs_two_penalties",
    "banded_ridge",
    "random_subspace",
    "random_subspace_two_penalties",
    "oracle",
)
"""Those of which no data need to be drawn."""


def stages_of(name: str) -> Stages:
    """Raises `ValueError` that lists the names there are."""
    check_choice("estimator", name, NAMES)
    variant = find_variant(name)
    assert variant.source is not None
    return Stages(variant.source, variant.learns == "encoder", variant.n_penalties)

"""Test inputs that are distributed otherwise than those learned from."""

from __future__ import annotations

from typing import TypeAlias

import equinox as eqx
import numpy as np
from jaxtyping import Array, Float

from .._checks import (
    as_float_like,
    as_floats,
    check_covariance,
    check_finite,
    check_positive,
    check_shape,
    is_concrete,
    kind_of,
)
from .._typing import AnyArray, Real
from . import Problem
from .problem import ProblemNumbers, check_range, ranges


class BlockShift(eqx.Module):
    """Test inputs with their own variance in each of the three parts that matter to recordings.

    Estimators learn from white inputs, of variance 1 in every direction. They are then tested on
    inputs of covariance Σ = a_P P + a_β vvᵀ + a_0 (K − vvᵀ), where P projects on the
    brain-sensitive subspace, K = I − P, and v is the direction of Kβ.

    >>> import jaxbrain as jb
    >>> problem = jb.Problem.isotropic(4096, 410, 1.0, 0.1, 0.54)
    >>> off_brain = jb.BlockShift(sensitive=0.0, missed=1.0, insensitive=1.0)
    >>> worth = jb.value(problem, 36_000, 10_000, baseline="ols", shift=off_brain)
    >>> round(float(worth))
    26837

    It is a module whose numbers are leaves: differentiate with respect to them, or stack shifts and
    `jax.vmap`.

    Closed forms under a shift rest on second moments of the learned subspace and are less accurate
    than without: mostly within 1 %, and up to 7 % off where channels are noisy. An
    `AccuracyWarning` says so. docs/accuracy.md has the errors.

    **Arguments**

    - `sensitive`: variance a_P along each of the k directions that the brain responds to.
    - `missed`: variance a_β along the part of the task outside them, Kβ.
    - `insensitive`: variance a_0 along each of the other d − k − 1 directions. Without meaning
      where k = d − 1.

    All are at least 0, in units of the variance of the inputs learned from.

    **Raises**

    `ValueError` that names the argument and the remedy: negative or infinite variances, arrays.

    **Source**

    Lewis et al., arXiv:2605.09243, on changes of the test distribution.
    """

    sensitive: Float[Array, "..."]
    missed: Float[Array, "..."]
    insensitive: Float[Array, "..."]

    def __init__(self, sensitive: Real, missed: Real, insensitive: Real):
        """See the class."""
        self.sensitive, self.missed, self.insensitive = as_floats(
            sensitive=sensitive, missed=missed, insensitive=insensitive
        )
        for name in ("sensitive", "missed", "insensitive"):
            variance = getattr(self, name)
            check_shape(name, variance, (), "one variance for each part; vmap over several")
            check_finite(name, variance)
            check_positive(name, variance, zero_allowed=True)
            check_range(name, variance, ranges(variance.dtype)[0])

    def trace(self, problem: ProblemNumbers) -> Float[Array, ""]:
        """tr Σ, the total variance of a test input."""
        k, q = problem.latent_dim, problem.outside_dim
        return k * self.sensitive + self.missed + (q - 1) * self.insensitive


TestCovariance: TypeAlias = BlockShift | AnyArray | None
"""How test inputs are distributed, where they are not as those learned from."""


def check_shift(problem: Problem, shift: TestCovariance) -> BlockShift | Array | None:
    """The shift in the problem's precision; raises where it is none, or all zero."""
    if shift is None or isinstance(shift, BlockShift):
        return check_blocks(problem, shift)
    if isinstance(shift, str | bool | bytes | dict) or problem.geometry is None:
        raise ValueError(
            f"shift must be a jaxbrain.BlockShift, but it is {kind_of(shift)}: pass "
            "BlockShift(sensitive, missed, insensitive), or for a covariance matrix and one given "
            "subspace call subspace_risk. A problem with a geometry takes a covariance"
        )
    covariance = as_float_like("shift", shift, problem.task_noise)
    return _checked_covariance(covariance, problem.input_dim)


def check_blocks(problem: Problem, shift: BlockShift | None) -> BlockShift | None:
    """The same of what white inputs alone take."""
    if shift is None:
        return None
    if not isinstance(shift, BlockShift):
        raise ValueError(
            f"shift must be a jaxbrain.BlockShift, but it is {kind_of(shift)}: pass "
            "BlockShift(sensitive, missed, insensitive)"
        )
    variances = (shift.sensitive, shift.missed, shift.insensitive)
    if is_concrete(*variances) and not any(float(variance) > 0 for variance in variances):
        raise ValueError("shift leaves the test inputs without variance: give one above 0")
    return BlockShift(*(variance.astype(problem.task_noise.dtype) for variance in variances))


def _checked_covariance(covariance: Array, input_dim: int) -> Array:
    d = input_dim
    shape = (d,) if covariance.ndim < 2 else (d, d)
    check_shape(
        "shift",
        covariance,
        shape,
        "a BlockShift, the variances of the test inputs along the principal axes of those learned "
        "from, or their covariance there",
    )
    if covariance.ndim == 2:
        check_covariance("shift", covariance)
    else:
        check_finite("shift", covariance)
        check_positive("shift", covariance, zero_allowed=True)
    if is_concrete(covariance) and not np.any(np.asarray(covariance)):
        raise ValueError("shift leaves the test inputs without variance: give one above 0")
    return covariance

"""The task stage where targets are classes: logistic loss, with what recordings taught as prior."""

from __future__ import annotations

from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from .._checks import (
    as_float_like,
    as_floats,
    as_integer,
    check_finite,
    check_integer,
    check_positive,
    check_shape,
    is_concrete,
)
from .._threads import with_one_blas_thread
from .._typing import AnyArray, Real, Whole
from ._logistic import fit_logits, log_probabilities
from .banded import with_predicted_recordings
from .encoding import checked_solution
from .task import checked_arrays


class Logistic(NamedTuple):
    """What tells classes apart, as `logistic` learns it.

    **Fields**

    - `weights`, shape (d,) for two classes, whose logit is that of class 1; (d, c) for more.
    - `intercept`, a number for two classes; shape (c,) for more, of sum 0 but for the means of the
      inputs.
    """

    weights: Float[Array, "d *c"]
    intercept: Float[Array, "*c"]

    def log_probabilities(self, inputs: AnyArray) -> Float[Array, "n c"]:
        """Logarithms of the probabilities of all classes, in nats, for inputs of shape (n, d)."""
        inputs = as_float_like("inputs", inputs, self.weights)
        check_shape("inputs", inputs, ("n", len(self.weights)), "one column for each weight")
        columns = self.weights.reshape(len(self.weights), -1)
        return log_probabilities(inputs @ columns + self.intercept.reshape(1, -1))


@with_one_blas_thread
def logistic(
    inputs: AnyArray,
    targets: AnyArray,
    penalty: Real,
    *,
    basis: AnyArray | None = None,
    inside_penalty: Real | None = None,
    encoder: AnyArray | None = None,
    encoder_penalty: Real | None = None,
    n_classes: Whole | None = None,
) -> Logistic:
    """Learn to tell classes apart, with or without the help of recordings.

    Minimises (1/n) Σ −log p(y | xW + b) + ½ penalty ‖W‖². With a basis the penalty is that of
    `befs`, ½ (inside_penalty ‖P̂W‖² + penalty ‖K̂W‖²). With an encoder it is that of `banded_ridge`.
    The intercept b has no penalty. Where probabilities p are near their means, a penalty does what
    it does in `ridge` on columns of 0 and 1 over the mean of p(1 − p): four times as much at even
    odds of two classes.

    >>> import jax, jax.numpy as jnp, jaxbrain as jb
    >>> inputs = jax.random.normal(jax.random.key(0), (40, 5))
    >>> fitted = jb.logistic(inputs, inputs[:, 0] > 0, penalty=0.01)
    >>> bool(fitted.weights[0] > 2 * jnp.max(jnp.abs(fitted.weights[1:])))
    True
    >>> fitted.log_probabilities(inputs).shape
    (40, 2)

    **Arguments**

    - `inputs`: a row for each label, shape (n, d). Rows may be fewer than inputs.
    - `targets`: the class of each row, shape (n,): whole numbers from 0 to c − 1, or booleans.
    - `penalty`: of the weights a sample, more than 0; of those outside of the subspace where there
      is a basis. Infinity holds them at 0.
    - `basis`: a learned subspace, shape (d, k), as from `encode`.
    - `inside_penalty`: with a basis, of the weights inside of the subspace, more than 0.
    - `encoder`: shape (d, p), as from `fit_encoder`.
    - `encoder_penalty`: with an encoder, of what predicted recordings contribute, more than 0.
    - `n_classes`: c, where `targets` do not show all of them, or where JAX is tracing. A class that
      no row shows gets probability 0.

    **Returns**

    A `Logistic`: weights and intercept. Differentiable in inputs, penalties, basis and encoder, by
    the implicit function.

    **Raises**

    `ValueError` that names the argument: shapes that do not fit, targets that are no classes, a
    penalty of 0, under which weights have no bound where classes can be told apart.

    **Source**

    Multinomial logistic regression: Böhning (1992). Recordings in its penalty: ours.
    """
    codes = _checked_classes(targets)
    # Shapes are checked as those of numbers, which narrow ones leave in the precision of inputs.
    inputs, _, *learned = checked_arrays(inputs, np.zeros(np.shape(codes), np.int8), basis)
    check_shape("targets", codes, (len(inputs),), "the class of each row of inputs")
    check_finite("inputs", inputs)
    classes = _number_of_classes(codes, n_classes)
    within = {"inside_penalty": inside_penalty, "encoder_penalty": encoder_penalty}
    of = {"inside_penalty": ("basis", basis), "encoder_penalty": ("encoder", encoder)}
    if basis is not None and encoder is not None:
        raise ValueError("encoder and basis: pass one of them")
    for name, (array, given) in of.items():
        if (given is None) != (within[name] is None):
            raise ValueError(f"{array} and {name} belong together: pass both, or neither")
    numbers = {"penalty": penalty} | {k: v for k, v in within.items() if v is not None}
    roots = []
    for name, value in numbers.items():
        number = as_float_like(name, value, inputs)
        check_shape(name, number, (), "one number; map over several with jax.vmap")
        check_positive(name, number)
        roots.append(1 / jnp.sqrt(number))
    d = inputs.shape[1]
    if learned:
        (frame,) = learned
        more = roots[1] - roots[0]
        features = roots[0] * inputs + more * ((inputs @ frame) @ frame.T)
        found = fit_logits(features, codes, classes)
        weights = roots[0] * found.weights + more * (frame @ (frame.T @ found.weights))
    elif encoder is not None:
        stacked, _, scaled = with_predicted_recordings(inputs, encoder)
        features = jnp.concatenate([roots[0] * stacked[:, :d], roots[1] * stacked[:, d:]], axis=1)
        found = fit_logits(features, codes, classes)
        weights = roots[0] * found.weights[:d] + roots[1] * (scaled @ found.weights[d:])
    else:
        found = fit_logits(roots[0] * inputs, codes, classes)
        weights = roots[0] * found.weights
    weights = checked_solution(weights, inputs=inputs)
    if classes == 2:
        return Logistic(weights[:, 0], found.intercept[0])
    return Logistic(weights, found.intercept)


def _checked_classes(targets: AnyArray) -> Array | np.ndarray:
    """Classes as whole numbers; raises where they are none."""
    if getattr(getattr(targets, "dtype", None), "kind", "") == "b":
        targets = targets.astype(int)
    (numbers,) = as_floats(targets=targets)
    if not is_concrete(targets):
        return numbers.astype(int)
    # What is known stays so while others are traced.
    known = np.asarray(targets, float)
    check_finite("targets", known)
    if known.size and (np.any(known != np.round(known)) or np.min(known) < 0):
        raise ValueError(
            "targets must be classes, whole numbers from 0: use np.unique(targets, "
            "return_inverse=True)[1]"
        )
    return known.astype(int)


def _number_of_classes(codes: Array | np.ndarray, given: Whole | None) -> int:
    if not is_concrete(codes):
        if given is None:
            raise ValueError("n_classes must be given where JAX is tracing targets")
        return as_integer("n_classes", given, 2)
    seen = int(np.max(np.asarray(codes), initial=0)) + 1
    check_integer("the largest of targets", seen - 1, 0, 9_999, "pass classes numbered from 0")
    if given is None:
        if seen < 2:
            raise ValueError("targets are all of class 0: pass rows of two classes, or n_classes")
        return seen
    return as_integer("n_classes", given, max(seen, 2), remedy="targets hold classes up to that")

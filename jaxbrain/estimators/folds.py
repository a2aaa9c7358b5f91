"""Folds of rows: consecutive, shuffled, or of whole groups."""

from __future__ import annotations

from typing import Any

import equinox as eqx
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import is_concrete


class Split(eqx.Module):
    """Rows to learn from and rows to be judged by; leaves may be stacked, one split each.

    Weights of 0 and 1 make sets of unequal sizes equally long.
    """

    learned: Float[Array, "*s n"]
    """1 for rows that are learned from, else 0."""
    judged: Array
    """Numbers of the rows to be judged by."""
    counts: Float[Array, "*s m"]
    """1 for those, 0 for padding."""


def fold_of_rows(n: int, folds: int) -> np.ndarray:
    """The fold of each of n consecutive rows, of equal size give or take one."""
    return np.repeat(np.arange(folds), np.full(folds, n // folds) + (np.arange(folds) < n % folds))


def fold_of_groups(groups: Any, folds: int) -> np.ndarray:
    """The fold of each row: whole groups, the largest groups first into the smallest fold."""
    names = _names_of(groups)
    _, member, sizes = np.unique(names, return_inverse=True, return_counts=True)
    if len(sizes) < 2:
        raise ValueError("groups must name two groups or more: one is left out at a time")
    fold_of_group, filled = np.zeros(len(sizes), int), np.zeros(min(folds, len(sizes)), int)
    for group in np.argsort(-sizes, kind="stable"):
        fold_of_group[group] = np.argmin(filled)
        filled[fold_of_group[group]] += sizes[group]
    return fold_of_group[member.reshape(-1)]


def _names_of(groups: Any) -> np.ndarray:
    """The name of each row's group; raises where one has none, or names cannot be compared."""
    if not is_concrete(groups):
        raise ValueError("groups must be known, but JAX is tracing them: fold outside of jax.jit")
    missing = bool(np.any(np.ma.getmaskarray(groups))) if np.ma.isMaskedArray(groups) else False
    names = np.asarray(groups)
    missing |= any(name is None or name != name for name in names.ravel().tolist())
    if missing:
        raise ValueError("groups must name a group for each row: leave out rows that have none")
    try:
        np.unique(names)
    except TypeError as problem:
        raise ValueError(
            "groups must be names of one kind, all numbers or all text: convert them by "
            "np.asarray(groups, str)"
        ) from problem
    return names


def splits_of(fold: np.ndarray, key: PRNGKeyArray | None = None) -> Split:
    """A split for each fold, whose rows are judged by the others; a key shuffles the rows first."""
    n = len(fold)
    place = np.argsort(fold, kind="stable")
    order = jnp.arange(n) if key is None else jr.permutation(key, n)
    sizes = np.bincount(fold)
    numbers = (np.cumsum(sizes) - sizes)[:, None] + np.arange(np.max(sizes))[None, :]
    counts = np.arange(np.max(sizes))[None, :] < sizes[:, None]
    learned = jnp.asarray(fold[None, :] != np.arange(len(sizes))[:, None], float)
    return Split(
        learned=jnp.zeros_like(learned).at[:, order].set(learned),
        judged=order[place[np.minimum(numbers, n - 1)]],
        counts=jnp.asarray(counts, float),
    )

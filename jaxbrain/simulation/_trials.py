"""Trials in parallel: over devices, in memory that is bounded, with keys that know neither."""

from __future__ import annotations

from collections.abc import Callable, Hashable
from functools import partial
from typing import Any

import jax
import jax.random as jr
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from jaxtyping import PRNGKeyArray

from .._linalg import map_factorisations

Trial = Callable[..., Any]
Progress = Callable[[str, int, int], None]
"""Called with the part of the simulation, its steps done, and its steps in all."""


def run_trials(
    trial: Trial,
    static: Hashable,
    key: PRNGKeyArray,
    numbers: range,
    arguments: tuple,
    mapped: tuple = (),
    *,
    mesh: Mesh | None = None,
    batch: int = 1,
) -> Any:
    """`trial(static, key of the trial, *arguments, *mapped)` for each global trial number.

    NumPy arrays, one row a trial. Of `mapped` each trial gets its own row.

    The key of a trial is `fold_in(key, number)`, so that results depend neither on how numbers are
    grouped into calls nor on how many devices share them. With a mesh its devices share the trials;
    on each of them `batch` run at a time, on a CPU one.
    """
    if mesh is None:
        split = (np.asarray(numbers, np.uint32), *mapped)
        parts = []
        for at in _blocks(len(numbers)):
            rows = tuple(x[at] for x in split)
            parts.append(_run(trial, static, None, min(batch, len(rows[0])), key, rows, arguments))
        return jax.tree.map(lambda *leaves: np.concatenate(leaves), *parts)
    length = -(-len(numbers) // mesh.size) * mesh.size
    indices = np.arange(numbers.start, numbers.start + length, dtype=np.uint32)
    sharding = NamedSharding(mesh, P(mesh.axis_names))
    split = (indices, *(np.resize(x, (length, *x.shape[1:])) for x in mapped))
    split = tuple(_sharded(x, sharding) for x in split)
    found = _run(trial, static, mesh, batch, key, split, arguments)
    if not all(leaf.is_fully_addressable for leaf in jax.tree.leaves(found)):
        # Each process holds its part: gather them everywhere.
        found = jax.jit(lambda x: x, out_shardings=NamedSharding(mesh, P()))(found)
    return jax.tree.map(lambda leaf: np.asarray(leaf)[: len(numbers)], found)


def _blocks(count: int) -> list[slice]:
    """All trials at once; on a CPU, which runs one after the other anyway, eight at a time.

    At the end four, two, one: so four compiled programs serve every number of trials, and one all
    multiples of eight.
    """
    if jax.default_backend() != "cpu":
        return [slice(0, count)]
    blocks, start, size = [], 0, 8
    while start < count:
        while size > count - start:
            size //= 2
        blocks.append(slice(start, start + size))
        start += size
    return blocks


def _sharded(x: np.ndarray, sharding: NamedSharding) -> jax.Array:
    return jax.make_array_from_callback(x.shape, sharding, lambda at: x[at])


@partial(jax.jit, static_argnums=(0, 1, 2, 3))
def _run(trial, static, mesh, batch, key, split, arguments):
    def local(key, split, arguments):
        def one(row):
            index, *mapped = row
            return trial(static, jr.fold_in(key, index), *arguments, *mapped)

        return map_factorisations(one, split, batch)

    if mesh is None:
        return local(key, split, arguments)
    shared, rows = P(), P(mesh.axis_names)
    return jax.shard_map(
        local, mesh=mesh, in_specs=(shared, rows, shared), out_specs=rows, check_vma=False
    )(key, split, arguments)


class Moments:
    """Means and covariances over the trials of each seed, from one chunk after the other."""

    def __init__(self, seeds: int):
        """Nothing seen yet."""
        self.count = np.zeros(seeds)
        self.mean: np.ndarray | None = None
        self.scatter: np.ndarray | None = None

    def add(self, seed: int, rows: np.ndarray) -> None:
        """More trials of a seed: (trials, ..., a); the covariance is within the last axis."""
        if self.mean is None or self.scatter is None:
            shape, width = (len(self.count), *rows.shape[1:]), rows.shape[-1]
            self.mean, self.scatter = np.zeros(shape), np.zeros((*shape, width))
        before, new = self.count[seed], len(rows)
        mean = rows.mean(0)
        off = rows - mean
        step = mean - self.mean[seed]
        self.scatter[seed] += np.einsum("t...a,t...b->...ab", off, off)
        self.scatter[seed] += (
            step[..., :, None] * step[..., None, :] * (before * new / (before + new))
        )
        self.mean[seed] += step * (new / (before + new))
        self.count[seed] += new

    def means(self) -> np.ndarray:
        """(seeds, ..., a)."""
        assert self.mean is not None
        return self.mean

    def covariance_of_means(self) -> np.ndarray:
        """(seeds, ..., a, a)."""
        assert self.scatter is not None
        count = self.count.reshape(-1, *(1,) * (self.scatter.ndim - 1))
        return self.scatter / (count - 1) / count

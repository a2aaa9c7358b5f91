"""From a pilot's arrays to the numbers of the study, and how sure they are."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from .._checks import (
    as_floats,
    as_integer,
    check_finite,
    check_key,
    check_known,
    check_shape,
    kind_of,
)
from .._threads import with_one_blas_thread
from .._typing import AnyArray, Whole
from ..models import Problem
from ..models.geometry import InputGeometry
from ._chain import Labelled, Numbers, Recorded, run_chain
from ._evidence import (
    Inputs,
    design_effect,
    exponents_of,
    inputs_of,
    labelled_of,
    latent_dims,
    leading_channels,
    recorded_of,
    residuals_of,
    standardised,
    turned,
)
from ._groups import units_of_rows
from .estimates import PilotEstimate, numbers_of
from .recordings import PilotError, pilot_data

CHAINS = 4
_BURN, _THIN = 300, 4
# Chains of one latent dimension agree where this is about 1: Gelman and Rubin (1992).
_MOST_DISAGREEMENT = 1.2
# Recordings a latent below which intervals of its noise were seen to fail: docs/pilots.md.
_FEW = 8.0
# Targets that say as much as so many times fewer are warned of.
_MOST_ALIKE = 2.0


class Evidence(NamedTuple):
    """All that chains need, and what is told beside their draws."""

    inputs: Inputs
    dims: np.ndarray
    """How likely each latent dimension is, from 1."""
    exponents: np.ndarray
    likely: np.ndarray
    """Of each exponent."""
    recordings: np.ndarray
    targets: np.ndarray
    white: tuple[np.ndarray, np.ndarray]
    effects: tuple[float, float]
    notes: tuple[str, ...]

    def at(self, exponent: float) -> tuple[Recorded, Labelled, Array]:
        """Recordings and labels as a chain takes them at one placement, and its coordinates.

        Directions that no row has are not among them: of these only the prior is known.
        """
        scales = self.inputs.scales(exponent)
        rows = [white * scales for white in self.white]
        d = len(scales)
        basis = np.eye(d) if sum(map(len, rows)) - 2 >= d else turned(np.concatenate(rows)).axes
        brain, task = (turned(each @ basis) for each in rows)
        freedom = [len(white) - 1.0 for white in self.white]
        return (
            recorded_of(brain, self.recordings, freedom[0], self.effects[0]),
            labelled_of(task, self.targets, freedom[1], self.effects[1]),
            jnp.asarray(basis),
        )


@with_one_blas_thread
def estimate(
    brain_inputs: AnyArray,
    recordings: AnyArray,
    task_inputs: AnyArray,
    targets: AnyArray,
    rank: Whole | None = None,
    *,
    inputs: AnyArray | None = None,
    brain_groups: Any = None,
    task_groups: Any = None,
    block: Whole = 1,
    draws: Whole = 500,
    key: PRNGKeyArray | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> PilotEstimate:
    """Measure the numbers that a plan needs from a pilot's own arrays, and how sure they are.

    Nobody knows beforehand how noisy latents and labels are, or how much of a task recordings can
    reach. A small pilot tells, with a doubt that this function states: it draws studies that are as
    likely as the pilot's rows allow. Every answer about a plan is then a distribution.

    >>> import numpy as np
    >>> from jaxbrain import pilot
    >>> rng = np.random.default_rng(0)
    >>> inputs = rng.normal(size=(150, 8))
    >>> latents = inputs[:, :2] + 0.5 * rng.normal(size=(150, 2))
    >>> recordings = latents @ rng.normal(size=(2, 12)) + rng.normal(size=(150, 12))
    >>> targets = inputs[:, 0] + inputs[:, 5] + rng.normal(size=150)
    >>> found = pilot.estimate(inputs[:90], recordings[:90], inputs[90:], targets[90:], rank=2)
    >>> found.numbers["misalignment"].low < 0.5 < found.numbers["misalignment"].high
    True

    **Arguments**

    - `brain_inputs`, `recordings`: shapes (n_brain, d) and (n_brain, p), row by row. Rows may be
      fewer than inputs.
    - `task_inputs`, `targets`: shapes (n_task, d) and (n_task,) or (n_task, t), row by row. Rows in
      which a target is NaN are left out. The rows may be those of the recordings.
    - `rank`: number of latents. By default it is uncertain as well: draws have the latent
      dimensions that predict resampled recordings best, as often as they do so.
    - `inputs`: further inputs of shape (n, d) without recordings or labels. They tell the
      covariance of the inputs, which few rows leave open.
    - `brain_groups`, `task_groups`: names of the groups within which rows depend on each other,
      shape (n_brain,) and (n_task,). Equal inputs are a group without being told.
    - `block`: that many consecutive rows depend on each other, as in time series.
    - `draws`: how many, rounded up to a multiple of the four chains.
    - `key`: of the draws; `jax.random.key(0)` by default.
    - `progress`: called with the number of chains that are done, and of all.

    **Returns**

    A `PilotEstimate`. Several targets are pooled: each is scaled to variance 1, and the task has
    their mean powers and noise. Recordings are in units of the measurement noise.

    **Raises**

    `PilotError`, a `ValueError`, with everything that is wrong with the arrays; `ValueError` that
    names another argument.

    **Source**

    Ours: docs/theory.md, "From a pilot". Variance components of a mixed model: Patterson and
    Thompson (1971); Gibbs sampling of them: Gelfand et al. (1990).
    """
    rank, block, draws = _checked(rank, block, draws)
    key = jr.key(0) if key is None else key
    check_key(key)
    if progress is not None and not callable(progress):
        raise ValueError(f"progress must be a function, but it is {kind_of(progress)}")
    evidence = evidence_of(
        brain_inputs,
        recordings,
        task_inputs,
        targets,
        rank,
        inputs,
        (brain_groups, task_groups),
        block,
    )
    plan = chains_of(evidence)
    padded = max(k for k, _ in plan)
    each = -(-draws // len(plan))
    found: dict[int, list[Problem]] = {}
    placed: dict[float, tuple[Recorded, Labelled, Array]] = {}
    for number, (k, exponent) in enumerate(plan):
        if exponent not in placed:
            placed[exponent] = evidence.at(exponent)
        active = jnp.asarray(np.arange(padded) < k, placed[exponent][0].strengths.dtype)
        recorded, labelled, basis = placed[exponent]
        numbers = run_chain(jr.fold_in(key, number), recorded, labelled, active, _BURN, each, _THIN)
        problems = problems_of(
            jr.fold_in(key, len(plan) + number),
            numbers,
            basis,
            jnp.asarray(evidence.inputs.scales(exponent)),
            jnp.asarray(evidence.inputs.variances),
            jnp.asarray(float(evidence.inputs.rows)),
            k,
            evidence.recordings.shape[1],
        )
        found.setdefault(k, []).append(problems)
        if progress is not None:
            progress(number + 1, len(plan))
    return _gathered(evidence, found)


def _checked(rank: Whole | None, block: Whole, draws: Whole) -> tuple[int | None, int, int]:
    if rank is not None:
        rank = as_integer("rank", rank, 1)
    return rank, as_integer("block", block, 1), as_integer("draws", draws, 20)


def evidence_of(
    brain_inputs: AnyArray,
    recordings: AnyArray,
    task_inputs: AnyArray,
    targets: AnyArray,
    rank: int | None,
    inputs: AnyArray | None,
    groups: tuple[Any, Any],
    block: int,
) -> Evidence:
    """Check the arrays, and find what chains need."""
    given = {
        "brain_inputs": brain_inputs,
        "recordings": recordings,
        "task_inputs": task_inputs,
        "targets": targets,
        "brain_groups": groups[0],
        "task_groups": groups[1],
    }
    data = pilot_data(**{name: array for name, array in given.items() if array is not None})
    notes = [f"{drop}" for drop in data.dropped]
    known = np.all(np.isfinite(data.targets), axis=1)
    x_brain, x_task = data.brain_inputs, data.task_inputs[known]
    y = data.targets[known]
    units = (
        units_of_rows(x_brain, data.brain_groups, block),
        units_of_rows(x_task, None if data.task_groups is None else data.task_groups[known], block),
    )
    n_brain, d = x_brain.shape
    problems = []
    if n_brain < 6:
        problems.append(f"recordings has {n_brain} rows: at least 6 are needed")
    if len(x_task) < 6:
        problems.append(f"targets has {len(x_task)} rows in which all are known: 6 are needed")
    most = min(d - 1, data.recordings.shape[1], n_brain - 3)
    if rank is not None and rank > most:
        problems.append(f"rank must be at most {most} for these arrays, but it is {rank}")
    sets = [x_brain, x_task]
    if x_brain.shape == x_task.shape and np.array_equal(x_brain, x_task):
        sets = [x_brain]
    if inputs is not None:
        check_known(inputs=inputs)
        (more,) = as_floats(inputs=inputs)
        check_shape("inputs", more, ("n", d), "a column for each of brain_inputs")
        check_finite("inputs", more)
        sets.append(np.asarray(more, float))
    if problems:
        raise PilotError(problems)
    axes = inputs_of(np.concatenate([rows - rows.mean(axis=0) for rows in sets]))
    white = axes.white(x_brain), axes.white(x_task)
    y = y - y.mean(axis=0)
    if y.shape[1] > 1:
        y = y / np.maximum(y.std(axis=0), 1e-300)
    r = data.recordings - data.recordings.mean(axis=0)
    scales = axes.scales(1.0)
    brain, task = (turned(rows * scales) for rows in white)
    r = standardised(brain, r)
    left = residuals_of(task, y)[0]
    effects = (
        design_effect(white[0], residuals_of(brain, r)[0], units[0]),
        design_effect(white[1], left, units[1]),
    )
    notes += _of_targets(left)
    exponents, likely = exponents_of(axes, white, (leading_channels(brain, r), y))
    if rank is None:
        best = axes.scales(exponents[np.argmax(likely)])
        dims = latent_dims(white[0] * best, r, units[0], np.random.default_rng(0))
    else:
        dims = (np.arange(1, rank + 1) == rank).astype(float)
    return Evidence(axes, dims, exponents, likely, r, y, white, effects, tuple(notes))


def _of_targets(left: np.ndarray) -> list[str]:
    """What to doubt where the noises of several targets go together."""
    rows, t = left.shape
    if t == 1:
        return []
    correlations = np.corrcoef(left.T) - np.eye(t)
    alike = np.sum(correlations**2) / (t * (t - 1)) - 1 / (rows - 1)
    together = 1 + (t - 1) * max(alike, 0.0)
    if not together > _MOST_ALIKE:
        return []
    return [
        f"the {t} targets go together and say no more than {t / together:.0f} would: intervals are "
        "too narrow, and what targets share passes for what recordings reach; pass fewer of them"
    ]


def chains_of(evidence: Evidence) -> list[tuple[int, float]]:
    """Latent dimension and placement of each chain: quantiles of how likely they are."""
    middles = (np.arange(CHAINS) + 0.5) / CHAINS
    dims = 1 + np.searchsorted(np.cumsum(evidence.dims) - 1e-9, middles)
    places = np.searchsorted(np.cumsum(evidence.likely) - 1e-9, middles)
    # Neither goes up with the other.
    order = np.asarray([1, 3, 0, 2]) % CHAINS
    return [
        (int(k), float(evidence.exponents[place]))
        for k, place in zip(dims, places[order], strict=True)
    ]


@partial(jax.jit, static_argnames=("latent_dim", "channels"))
def problems_of(
    key: PRNGKeyArray,
    numbers: Numbers,
    basis: Array,
    scales: Array,
    variances: Array,
    rows: Array,
    latent_dim: int,
    channels: int,
) -> Problem:
    """Draws as problems, stacked, in the coordinates in which encoding noise is diagonal.

    How much inputs vary along the directions that matter is known from finitely many `rows`: a
    Wishart matrix says so for latents and tasks.
    """
    k, kept = latent_dim, len(numbers.task_noise)
    t = numbers.task_noise.shape[1]
    some = min(k + t, len(scales))
    gammas = jr.gamma(key, (rows - np.arange(some, dtype=float)) / 2, (kept, some))

    def of_one(given: tuple[Numbers, Array, PRNGKeyArray]) -> Problem:
        draw, gamma, of_draw = given
        normals = jr.normal(of_draw, (some * some + len(scales) * (k + t),), scales.dtype)
        normal, unseen = normals[: some**2].reshape(some, some), normals[some**2 :]
        unseen = unseen.reshape(len(scales), k + t)
        if basis.shape[1] < len(scales):
            unseen = unseen - basis @ (basis.T @ unseen)
        else:
            unseen = jnp.zeros_like(unseen)
        directions = basis @ draw.directions[:, :k] + unseen[:, :k]
        missed = jnp.sqrt(jnp.exp(draw.missed) * draw.task_noise)
        apart = unseen[:, :k] @ draw.told[:k] + unseen[:, k:] * missed[None]
        white = scales[:, None] * directions
        weights = scales[:, None] * (basis @ draw.weights + apart)
        span = jnp.linalg.qr(jnp.concatenate([white, weights], axis=1))[0]
        factor = jnp.tril(normal, -1) + jnp.diag(jnp.sqrt(2 * gamma))
        factor = factor.T / jnp.sqrt(rows)
        white, weights = (span @ (factor @ (span.T @ x)) for x in (white, weights))
        gram = white.T @ white
        sizes, vectors = jnp.linalg.eigh(gram)
        sizes = jnp.maximum(sizes, 1e-12 * sizes[-1])
        root = vectors * jnp.sqrt(sizes)[None] @ vectors.T
        inverse = vectors / jnp.sqrt(sizes)[None] @ vectors.T
        readout = draw.readout[:, :k]
        gain = root @ (readout.T @ readout + draw.spare_gain[:k, :k]) @ root
        gain = (gain + gain.T) / 2 / draw.recording_noise
        noise = inverse @ draw.latent_noise[:k, :k] @ inverse
        encoding = noise + jnp.linalg.inv(gain)
        turn = jnp.linalg.eigh((encoding + encoding.T) / 2)[1]
        directions = white @ inverse @ turn
        noise_of_labels = draw.task_noise
        if t > 1:
            unit = jnp.sum(weights**2, axis=0) + noise_of_labels
            weights, noise_of_labels = weights / jnp.sqrt(unit)[None], noise_of_labels / unit
        inside = directions.T @ weights
        outside = weights - directions @ inside
        # Of several targets, each of variance 1, the one with their mean powers, and the signs of
        # the first.
        told = jnp.sqrt(jnp.mean(inside**2, axis=1)) * jnp.sign(inside[:, 0])
        missed = jnp.sqrt(jnp.mean(outside**2, axis=1)) * jnp.sign(outside[:, 0])
        power = jnp.sum(missed**2)
        missed = missed - directions @ (directions.T @ missed)
        missed = missed * jnp.sqrt(power / jnp.sum(missed**2))
        gain, noise = turn.T @ gain @ turn, turn.T @ noise @ turn
        return Problem(
            input_dim=len(scales),
            latent_dim=k,
            recording_dim=channels,
            latent_noise=(noise + noise.T) / 2,
            gain=(gain + gain.T) / 2,
            recording_noise=jnp.ones_like(power),
            aligned_power=jnp.outer(told, told),
            misaligned_power=power,
            task_noise=jnp.mean(noise_of_labels),
            geometry=InputGeometry(variances, directions, directions @ told + missed),
        )

    keys = jr.split(jr.fold_in(key, 1), kept)
    return jax.lax.map(of_one, (numbers, gammas, keys))


def _gathered(evidence: Evidence, found: dict[int, list[Problem]]) -> PilotEstimate:
    """The draws of all chains, the one in their middle, and what to doubt."""
    notes = list(evidence.notes)
    tables = {
        k: [
            {name: np.asarray(x) for name, x in numbers_of(problems).items()} for problems in chains
        ]
        for k, chains in found.items()
    }
    for k, chains in tables.items():
        worst = max(
            _disagreement([_on_a_line(chain[name]) for chain in chains])
            for name in ("misalignment", "task_snr", "encoding_noise")
        )
        if worst > _MOST_DISAGREEMENT:
            notes.append(
                f"chains of draws with {k} latents disagree (R-hat {worst:.2f}): intervals are "
                "rough; more rows, or a lower rank, would help"
            )
    few = [k for k in found if len(evidence.white[0]) / evidence.effects[0] < _FEW * k]
    if few:
        notes.append(
            f"{len(evidence.white[0])} recordings are few for {max(few)} latents: their noise is "
            "likely overestimated, and how much of it is the brain's own is a guess"
        )
    for name, effect in zip(("recorded", "labelled"), evidence.effects, strict=True):
        if effect > 1.1:
            notes.append(f"{effect:.1f} {name} rows count as one: they depend on each other")
    draws = tuple(
        jax.tree.map(lambda *arrays: jnp.concatenate(arrays), *found[k]) for k in sorted(found)
    )
    rows = [
        len(white) / effect for white, effect in zip(evidence.white, evidence.effects, strict=True)
    ]
    return PilotEstimate(
        _middle(draws, [tables[k] for k in sorted(found)]), draws, rows[0], rows[1], tuple(notes)
    )


def _on_a_line(numbers: np.ndarray) -> np.ndarray:
    """Logarithms, which have no long tails."""
    return np.log(np.maximum(numbers, 1e-300))


def _disagreement(chains: list[np.ndarray]) -> float:
    """R-hat of several chains; 1 of one."""
    if len(chains) < 2:
        return 1.0
    within = np.mean([np.var(chain, ddof=1) for chain in chains])
    between = np.var([np.mean(chain) for chain in chains], ddof=1)
    return float(np.sqrt((len(chains[0]) - 1) / len(chains[0]) + between / within))


def _middle(draws: tuple[Problem, ...], tables: list[list[dict[str, np.ndarray]]]) -> Problem:
    """The draw nearest to the medians of all numbers, in units of how far these vary."""
    names = ("task_snr", "misalignment", "encoding_noise", "gain")
    flat = [
        np.stack([_on_a_line(np.concatenate([chain[name] for chain in chains])) for name in names])
        for chains in tables
    ]
    joined = np.concatenate(flat, axis=1)
    middle = np.median(joined, axis=1)[:, None]
    spread = np.maximum(np.median(np.abs(joined - middle), axis=1)[:, None], 1e-12)
    nearest = int(np.argmin(np.sum(((joined - middle) / spread) ** 2, axis=0)))
    for problems, of_these in zip(draws, flat, strict=True):
        if nearest < of_these.shape[1]:
            return jax.tree.map(lambda x, place=nearest: x[place], problems)
        nearest -= of_these.shape[1]
    raise AssertionError("one of the draws is the nearest")

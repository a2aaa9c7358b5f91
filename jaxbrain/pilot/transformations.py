"""A study brought into another form: units of channels, components of inputs, repeats, classes."""

from __future__ import annotations

from typing import Literal, get_args

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from .._checks import as_integer, check_choice
from .._threads import with_one_blas_thread
from .._typing import Whole
from ._groups import joined, numbered
from .recordings import PilotData, PilotError, check_data

Repeats = Literal["inputs", "groups"]
_REPEATS: tuple[Repeats, ...] = get_args(Repeats)


def standardiser(
    train: Float[Array, "n c"], known: Bool[Array, "n c"] | None = None
) -> tuple[Float[Array, "1 c"], Float[Array, "1 c"]]:
    """The mean of each column of training rows, and its standard deviation.

    `(rows - mean) / scale` are then in units of these rows, whichever rows they are. A column that
    is constant but for rounding has scale 1, and one that is known in no row has mean 0 and scale
    1. `known` tells which entries count. Jits, vmaps and differentiates.
    """
    weights = jnp.ones_like(train) if known is None else known.astype(train.dtype)
    count = jnp.maximum(jnp.sum(weights, axis=0, keepdims=True), 1)
    filled = train if known is None else jnp.where(known, train, 0)
    mean = jnp.sum(filled, axis=0, keepdims=True) / count
    # Squares of what is divided by its largest are numbers.
    centred = weights * (filled - mean)
    largest = jnp.max(jnp.abs(centred), axis=0, keepdims=True)
    rounding = 4 * jnp.finfo(train.dtype).eps * jnp.max(jnp.abs(filled), axis=0, keepdims=True)
    is_constant = largest <= rounding
    unit = jnp.where(is_constant, 1, largest)
    spread = jnp.where(is_constant, 1, jnp.sum((centred / unit) ** 2, axis=0, keepdims=True))
    return mean, jnp.where(is_constant, 1, unit * jnp.sqrt(spread / count))


def average_repeats(data: PilotData, by: Repeats = "inputs") -> PilotData:
    """Average the rows of each stimulus that was shown repeatedly, so that it counts once.

    An average of r presentations has the noise of one divided by r. Rows with many repeats then
    have less noise than others, which least squares does not know.

    >>> import numpy as np
    >>> from jaxbrain.pilot import average_repeats, pilot_data
    >>> rng = np.random.default_rng(0)
    >>> shown = np.repeat(rng.normal(size=(20, 4)), 3, axis=0)
    >>> data = pilot_data(inputs=shown, recordings=rng.normal(size=(60, 9)),
    ...                   targets=rng.normal(size=60))
    >>> average_repeats(data).recordings.shape
    (20, 9)

    **Arguments**

    - `data`: the study.
    - `by`: which rows become one. `"inputs"`: those whose inputs are exactly equal, whatever their
      groups; groups that share such a row become one group. `"groups"`: those of one group, whose
      inputs are averaged too. Take it where a group is a stimulus, and not a subject or a session.

    **Returns**

    The study with one row for each, in the order of first appearance. Recordings are averaged, and
    targets over the rows where they are known. Of separate rows, those of brain and task are
    averaged apart.

    **Raises**

    `PilotError` where `by="groups"` finds no groups, and where repeats differ in class.
    `ValueError` that names the argument otherwise.

    **Source**

    Ours.
    """
    check_data("data", data)
    check_choice("by", by, _REPEATS)
    if by == "groups" and data.brain_groups is None and data.task_groups is None:
        raise PilotError(["by = 'groups', but the study has no groups: pass them, or by 'inputs'"])
    task = _repeats_of(data.task_inputs, data.task_groups, by)
    brain = task if data.shared_rows else _repeats_of(data.brain_inputs, data.brain_groups, by)
    targets = _averaged(data.targets, task)
    if data.classes is not None:
        differing = np.flatnonzero(~_agree(data.targets, task))
        if len(differing):
            first = np.flatnonzero(task == differing[0])[:5].tolist()
            raise PilotError(
                [
                    f"targets of {len(differing)} repeated rows differ in class, as in rows "
                    f"{first}: leave such rows out, or do not average"
                ]
            )
    return data._replace(
        brain_inputs=_averaged(data.brain_inputs, brain),
        recordings=_averaged(data.recordings, brain),
        task_inputs=_averaged(data.task_inputs, task),
        targets=targets,
        brain_groups=_groups_of(data.brain_groups, brain),
        task_groups=_groups_of(data.task_groups, task),
    )


def _repeats_of(inputs: np.ndarray, groups: np.ndarray | None, by: Repeats) -> np.ndarray:
    """The number of the averaged row that each row becomes part of."""
    if by == "inputs":
        return numbered(inputs)
    return np.arange(len(inputs)) if groups is None else numbered(groups)


def _averaged(array: np.ndarray, row: np.ndarray) -> np.ndarray:
    """Means over rows of the same number, of what is known; NaN where nothing is."""
    known = np.isfinite(array)
    total = np.zeros((row.max() + 1, array.shape[1]))
    counts = np.zeros(total.shape)
    # Differences to the first row: rows that are equal have exactly their own mean.
    first = array[np.unique(row, return_index=True)[1]]
    start = np.where(np.isfinite(first), first, 0.0)
    np.add.at(total, row, np.where(known, array - start[row], 0.0))
    np.add.at(counts, row, known)
    return np.where(counts > 0, start + total / np.maximum(counts, 1), np.nan)


def _agree(codes: np.ndarray, row: np.ndarray) -> np.ndarray:
    """For each averaged row, whether its known codes are the same."""
    low = np.full((row.max() + 1, codes.shape[1]), np.inf)
    high = -low
    np.fmin.at(low, row, codes)
    np.fmax.at(high, row, codes)
    return np.all(low >= high, axis=1)


def _groups_of(groups: np.ndarray | None, row: np.ndarray) -> np.ndarray | None:
    """The group of each averaged row; groups that share one have become one."""
    if groups is None:
        return None
    together = joined(numbered(groups), row)
    return together[np.unique(row, return_index=True)[1]]


def class_indicators(data: PilotData) -> PilotData:
    """Turn classes into numbers, on which least squares tells them apart.

    Two classes become one target, -1 for the first and 1 for the second. More become a target each,
    1 where a row is of that class and -1 elsewhere.

    >>> import numpy as np
    >>> from jaxbrain.pilot import class_indicators, pilot_data
    >>> rng = np.random.default_rng(0)
    >>> data = pilot_data(inputs=rng.normal(size=(50, 4)), recordings=rng.normal(size=(50, 9)),
    ...                   targets=np.repeat(["cat", "dog"], 25))
    >>> np.unique(class_indicators(data).targets).tolist()
    [-1.0, 1.0]

    **Arguments**

    - `data`: the study.

    **Returns**

    The study with targets that are numbers, named after target and class; the study itself where
    they are numbers already.

    **Raises**

    `ValueError` where `data` is no study.

    **Source**

    Least squares on indicators: Hastie, Tibshirani, Friedman, The Elements of Statistical Learning,
    section 4.2.
    """
    check_data("data", data)
    if data.classes is None:
        return data
    columns, names = [], []
    told = data.target_names or tuple(str(place) for place in range(data.targets.shape[1]))
    for name, codes, labels in zip(told, data.targets.T, data.classes, strict=True):
        for code in range(len(labels)) if len(labels) > 2 else (1,):
            sign = np.where(codes == code, 1.0, -1.0)
            columns.append(np.where(np.isfinite(codes), sign, np.nan))
            names.append(name if len(labels) == 2 else f"{name}: {labels[code]}")
    return data._replace(targets=np.stack(columns, axis=1), classes=None, target_names=tuple(names))


def standardise_channels(data: PilotData) -> PilotData:
    """Give each channel variance 1, so that no unit of measurement decides what is learned.

    Subspaces are learned from all channels together, each counting by its variance. Channels of
    different units, such as volts beside teslas, then say nothing but what the units are.

    >>> import numpy as np
    >>> from jaxbrain.pilot import pilot_data, standardise_channels
    >>> rng = np.random.default_rng(0)
    >>> data = pilot_data(inputs=rng.normal(size=(50, 4)), targets=rng.normal(size=50),
    ...                   recordings=rng.normal(size=(50, 2)) * [1e-13, 1e-6])
    >>> standardise_channels(data).recordings.std(axis=0).round(6).tolist()
    [1.0, 1.0]

    **Arguments**

    - `data`: the study.

    **Returns**

    The study with new recordings, centred too.

    **Raises**

    `ValueError` where `data` is no study. `pilot_data` refuses channels that are constant.

    **Source**

    Ours.
    """
    check_data("data", data)
    recordings = data.recordings / np.max(np.abs(data.recordings), axis=0)
    recordings = recordings - recordings.mean(axis=0)
    return data._replace(recordings=recordings / recordings.std(axis=0))


def principal_components(data: PilotData, components: int) -> tuple[PilotData, float]:
    """Describe the inputs by their leading principal components, each with its own variance.

    Fewer inputs let fewer rows do. The spectrum of the inputs stays: ridge lives on it, and so do
    BEFS and its controls. `whiten` takes it away.

    >>> import numpy as np
    >>> from jaxbrain.pilot import pilot_data, principal_components
    >>> rng = np.random.default_rng(0)
    >>> data = pilot_data(inputs=rng.normal(size=(50, 4)), recordings=rng.normal(size=(50, 9)),
    ...                   targets=rng.normal(size=50))
    >>> fewer, share = principal_components(data, 3)
    >>> fewer.brain_inputs.shape, 0.6 < share < 1
    ((50, 3), True)

    **Arguments**

    - `data`: the study.
    - `components`: how many, from 2 to the rank of the inputs.

    **Returns**

    The study with new inputs, and the share of the variance of the inputs that the components hold.

    **Raises**

    `PilotError` if the inputs do not have that many components.

    **Source**

    Principal component analysis, by the singular value decomposition of the centred inputs.
    """
    return _in_components(data, components, white=False)


def whiten(data: PilotData, components: int) -> tuple[PilotData, float]:
    """Describe the inputs by their leading principal components, each scaled to variance 1.

    This takes the spectrum away that ridge and the controls live on: where recordings and task
    merely share it, BEFS will then seem to help. Compare with ridge on the inputs as they came, or
    keep the spectrum by `principal_components`. Components come from the inputs of all rows.
    Neither recordings nor targets are looked at.

    >>> import numpy as np
    >>> from jaxbrain.pilot import pilot_data, whiten
    >>> rng = np.random.default_rng(0)
    >>> data = pilot_data(inputs=rng.normal(size=(50, 4)), recordings=rng.normal(size=(50, 9)),
    ...                   targets=rng.normal(size=50))
    >>> white, share = whiten(data, 3)
    >>> white.brain_inputs.shape, 0.6 < share < 1
    ((50, 3), True)

    **Arguments**

    - `data`: the study.
    - `components`: how many, from 2 to the rank of the inputs.

    **Returns**

    The study with new inputs, and the share of the variance of the inputs that the components hold.

    **Raises**

    `PilotError` if the inputs do not have that many components.

    **Source**

    Principal component analysis, by the singular value decomposition of the centred inputs.
    """
    return _in_components(data, components, white=True)


@with_one_blas_thread
def _in_components(data: PilotData, components: Whole, white: bool) -> tuple[PilotData, float]:
    check_data("data", data)
    components = as_integer("components", components, 0)
    inputs = (
        data.brain_inputs
        if data.shared_rows
        else np.concatenate([data.brain_inputs, data.task_inputs])
    )
    mean = inputs.mean(axis=0)
    _, spread, axes = np.linalg.svd(inputs - mean, full_matrices=False)
    rank = int(np.sum(spread > spread[0] * max(inputs.shape) * np.finfo(float).eps))
    if not 2 <= components <= rank:
        raise PilotError(
            [
                f"components must lie between 2 and {rank}, the rank of the inputs: it is "
                f"{components}"
            ]
        )
    scores = axes[:components].T
    if white:
        scores = scores * (np.sqrt(len(inputs)) / spread[:components])
    share = float(np.sum(spread[:components] ** 2) / np.sum(spread**2))
    return (
        data._replace(
            brain_inputs=(data.brain_inputs - mean) @ scores,
            task_inputs=(data.task_inputs - mean) @ scores,
        ),
        share,
    )

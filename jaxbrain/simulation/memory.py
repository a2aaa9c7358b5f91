"""How much memory a sweep takes, reckoned from its sizes before anything is allocated."""

from __future__ import annotations

from .._checks import as_integer, check_choice, check_flag, check_integer, shown
from .._typing import Whole
from ._sweep_of_reductions import working_bytes
from .brain_stage import Dimensions

# Of the samples behind intervals: those of a cell, in four arrays.
_BYTES_A_RESAMPLED_CELL = 4 * 8 * 2001
# Penalties of the rule "empirical".
_EMPIRICAL = 33


def bytes_of_sweep(
    sizes: tuple[int, int, int | None],
    n_brain: int,
    n_task: int,
    penalties: Whole | str,
    seeds: int,
    *,
    with_intervals: bool = True,
) -> float:
    """Memory of one trial with reduced draws, of the cells, and of the seeds, in bytes.

    >>> from jaxbrain.simulation import bytes_of_sweep
    >>> bytes_of_sweep((64, 6, 150), 4, 5, "optimal", 10) < 1e7
    True

    **Arguments**

    - `sizes`: inputs, latents and channels of the problem; None channels are very many.
    - `n_brain`, `n_task`, `penalties`: how many of each the grid has, or the rule for penalties.
    - `seeds`: number of replicates.
    - `with_intervals`: whether `empirical_value` follows, which resamples every cell.

    **Returns**

    Bytes, roughly. Trials that run at the same time come on top, up to `max_bytes`.

    **Raises**

    `ValueError` that names the argument.

    **Source**

    The arrays of `sweep`, counted.
    """
    if not (isinstance(sizes, tuple) and len(sizes) == 3):
        raise ValueError(
            "sizes must be the three numbers of inputs, latents and channels, but it is "
            f"{shown(sizes)}"
        )
    d, k, p = sizes
    check_integer("sizes: the number of inputs", d, 2)
    check_integer("sizes: the number of latents", k, 1, d - 1)
    if p is not None:
        check_integer("sizes: the number of channels", p, k)
    for name, number in (("n_brain", n_brain), ("n_task", n_task), ("seeds", seeds)):
        check_integer(name, number, 0)
    if isinstance(penalties, str):
        check_choice("penalties", penalties, ("optimal", "empirical"))
    else:
        penalties = as_integer("penalties", penalties, 0)
    check_flag("with_intervals", with_intervals)
    # One trial, and the model in reduced coordinates: as many matrices of latents as were measured
    # with 2 000 of them, where the peak was 27 such matrices in all.
    trial = working_bytes(Dimensions(d, k, 0 if p is None else p - k)) + 160.0 * k**2
    # With the rule "optimal" each n_brain has a penalty of its own.
    strengths = {"optimal": n_brain, "empirical": _EMPIRICAL}.get(str(penalties), penalties)
    columns = {"optimal": 1, "empirical": _EMPIRICAL}.get(str(penalties), penalties)
    cells = float(n_brain) * n_task * int(columns)
    # Means and covariances of five numbers by n_brain, and of three by n_task and penalty; the risk
    # of a cell is taken apart into its eight derivatives, with as many to work on.
    replicates = 8.0 * seeds * (30.0 * n_brain + 12.0 * n_task * int(strengths) + 24.0 * cells)
    return trial + replicates + (_BYTES_A_RESAMPLED_CELL * cells if with_intervals else 0.0)

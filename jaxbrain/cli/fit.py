"""`jaxbrain fit`: do a user's own recordings help with a user's own task?"""

from __future__ import annotations

import json as json_module
import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import tyro

from .errors import UserError

if TYPE_CHECKING:
    from ..pilot import Evaluation, PilotData, Summary

_LABELS = {
    "task_only": "least squares",
    "ridge": "ridge",
    "befs": "BEFS",
    "befs_two_penalties": "BEFS, two penalties",
    "random_subspace": "control: random subspace",
    "shuffled_recordings": "control: shuffled recordings",
}


def fit(
    file: Annotated[Path, tyro.conf.Positional],
    *,
    rank: int | None = None,
    n_brain: int | None = None,
    n_task: int | None = None,
    n_test: int | None = None,
    repeats: int = 300,
    seed: int = 0,
    components: int | None = None,
    per_target: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
) -> None:
    """Do these recordings help with this task? Held-out errors on a user's own arrays.

    Args:
        file: An .npz file with inputs, recordings, targets on shared rows; or with brain_inputs,
            recordings, task_inputs, targets.
        rank: Dimension of the learned subspace; by default chosen by cross-validation.
        n_brain: Rows for the brain stage in each split.
        n_task: Rows for the task stage in each split.
        n_test: Rows to test on in each split.
        repeats: Number of random splits.
        seed: Of the random splits.
        components: Describe the inputs by that many principal components, whitened.
        per_target: List the errors of every target too.
        json: Print JSON instead of a table.
    """
    import jax

    from ..pilot import PilotError, evaluate, read_pilot, split_sizes, whiten

    try:
        data = read_pilot(file)
        original_dim, share = data.input_dim, None
        if components is not None:
            data, share = whiten(data, components)
        sizes = split_sizes(data, n_brain, n_task, n_test)
        evaluation = evaluate(data, sizes, repeats, jax.random.key(seed), rank)
    except PilotError as error:
        raise UserError(error.problems) from error
    done = _what_was_done(data, original_dim, share, evaluation, repeats, rank is None)
    if json:
        print(json_module.dumps(_as_json(evaluation, done, per_target), indent=2))
    else:
        print(_as_text(evaluation, done, per_target))


def _what_was_done(
    data: PilotData,
    original_dim: int,
    share: float | None,
    evaluation: Evaluation,
    repeats: int,
    rank_chosen: bool,
) -> list[str]:
    n_brain, n_task, n_test = evaluation.sizes
    inputs = (
        f"{original_dim} inputs as they are"
        if share is None
        else f"{data.input_dim} whitened principal components of {original_dim} inputs "
        f"({100 * share:.1f} % of their variance)"
    )
    how = "chosen by cross-validated encoding error" if rank_chosen else "as given"
    rows = "shared rows, kept apart" if data.shared_rows else "separate rows"
    return [
        f"inputs: {inputs}",
        f"recordings: {data.recordings.shape[1]} channels; targets: {data.targets.shape[1]}",
        f"splits: {repeats} random ones into {n_brain} brain, {n_task} task and {n_test} test rows "
        f"({rows})",
        f"rank of the learned subspace: {evaluation.rank}, {how}",
        "centring by the rows learned from; penalties by five-fold cross-validation on the task rows",
        "error: mean squared error on test rows over the variance of the target; 1 is no skill",
    ]


def _summaries(evaluation: Evaluation) -> dict[str, tuple[Summary, Summary]]:
    """For each estimator its error, and its paired difference to ridge."""
    from ..pilot import ESTIMATORS, summarise

    errors = dict(zip(ESTIMATORS, np.asarray(evaluation.errors).mean(axis=2), strict=True))
    return {
        name: (summarise(error), summarise(error - errors["ridge"]))
        for name, error in errors.items()
    }


def _as_json(evaluation: Evaluation, done: list[str], per_target: bool) -> dict:
    from ..pilot import ESTIMATORS

    def plain(summary: Summary) -> dict[str, float | int | None]:
        return {
            name: value if math.isfinite(value) else None
            for name, value in summary._asdict().items()
        }

    summaries = _summaries(evaluation)
    answer: dict = {
        "what_was_done": done,
        "rank": evaluation.rank,
        "sizes": evaluation.sizes._asdict(),
        "errors": {name: plain(error) for name, (error, _) in summaries.items()},
        "differences_to_ridge": {name: plain(gap) for name, (_, gap) in summaries.items()},
        "verdict": _verdict(summaries),
    }
    if per_target:
        means = np.nanmean(np.asarray(evaluation.errors), axis=1)
        answer["errors_per_target"] = {
            name: [value if math.isfinite(value) else None for value in row.tolist()]
            for name, row in zip(ESTIMATORS, means, strict=True)
        }
    return answer


def _as_text(evaluation: Evaluation, done: list[str], per_target: bool) -> str:
    summaries = _summaries(evaluation)
    rows: list[tuple[str, ...]] = [
        ("", "held-out error", "95 % interval", "minus ridge", "95 % interval")
    ]
    for name, (error, gap) in summaries.items():
        if not math.isfinite(error.mean):
            rows.append((_LABELS[name], "undefined", "too few rows", "", ""))
            continue
        failed = f", {error.failed} splits failed" if error.failed else ""
        paired = (
            () if name == "ridge" else (f"{gap.mean:+.4f}", f"{gap.low:+.4f} to {gap.high:+.4f}")
        )
        interval = f"{error.low:.4f} to {error.high:.4f}{failed}"
        rows.append((_LABELS[name], f"{error.mean:.4f}", interval, *(paired or ("", ""))))
    lines = [*done, "", *_aligned(rows)]
    if per_target:
        lines += ["", *_per_target(evaluation)]
    return "\n".join([*lines, "", _verdict(summaries)])


def _aligned(rows: list[tuple[str, ...]]) -> list[str]:
    widths = [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]
    return [
        f"{row[0]:<{widths[0]}}"
        + "".join(f"  {cell:>{width}}" for cell, width in zip(row[1:], widths[1:], strict=True))
        for row in rows
    ]


def _per_target(evaluation: Evaluation) -> list[str]:
    from ..pilot import ESTIMATORS

    errors = np.asarray(evaluation.errors)
    means = np.where(np.isnan(errors).all(axis=1), np.nan, np.nansum(errors, axis=1))
    means = means / np.maximum(np.isfinite(errors).sum(axis=1), 1)
    rows = [("target", *(_LABELS[name] for name in ESTIMATORS))]
    rows += [
        (str(number), *(f"{value:.4f}" for value in row)) for number, row in enumerate(means.T)
    ]
    return _aligned(rows)


def _verdict(summaries: dict[str, tuple[Summary, Summary]]) -> str:
    best = min(("befs", "befs_two_penalties"), key=lambda name: summaries[name][0].mean)
    error, gap = summaries[best]
    ridge = summaries["ridge"][0].mean
    controls = ("random_subspace", "shuffled_recordings")
    control = min(summaries[name][0].mean for name in controls)
    change = 100 * abs(gap.mean) / ridge
    caution = " The intervals are about splits of these rows, not about new recordings."
    if not math.isfinite(gap.mean):
        return "No verdict: too many splits failed. Describe the inputs by fewer components."
    if gap.high < 0 and error.mean < control:
        return (
            f"The recordings help: {_LABELS[best]} has {change:.0f} % less held-out error than ridge "
            f"({error.mean:.3g} against {ridge:.3g}), and the controls do not "
            f"(at best {control:.3g})." + caution
        )
    if gap.high < 0:
        return (
            f"{_LABELS[best]} has {change:.0f} % less held-out error than ridge, but a control does "
            f"as well ({control:.3g} against {error.mean:.3g}): the gain is not due to what the "
            "recordings say." + caution
        )
    if gap.low > 0:
        return (
            f"The recordings do not help here: {_LABELS[best]} has {change:.0f} % more held-out error "
            f"than ridge ({error.mean:.3g} against {ridge:.3g})." + caution
        )
    return (
        f"No difference can be seen between {_LABELS[best]} and ridge ({error.mean:.3g} against "
        f"{ridge:.3g}): more repeats or more rows would tell." + caution
    )

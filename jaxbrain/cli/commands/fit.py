"""`jaxbrain fit`: do a user's own recordings help with a user's own task?"""

from __future__ import annotations

import json as json_module
import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import numpy as np
import tyro

from ..errors import UserError, flag, in_flags, seed_problems
from ..words.text import aligned

if TYPE_CHECKING:
    from ...pilot import Evaluation, PilotData, Summary

_MANY = 1_000_000_000
_BOUNDS = {
    "repeats": (2, 1_000_000),
    "rank": (1, _MANY),
    "components": (2, _MANY),
    "n_brain": (1, _MANY),
    "n_task": (5, _MANY),
    "n_test": (2, _MANY),
    "block": (1, _MANY),
}
# Rows less alike than this share no noise to speak of.
_ALIKE = 0.2
_LABELS = {
    "task_only": "least squares",
    "ridge": "ridge",
    "befs": "BEFS",
    "random_subspace": "control: random",
    "shuffled_recordings": "control: shuffled",
    "befs_two_penalties": "BEFS with two penalties",
    "random_subspace_two_penalties": "control: random, two penalties",
    "shuffled_recordings_two_penalties": "control: shuffled, two penalties",
}


def fit(
    file: Annotated[Path, tyro.conf.Positional],
    *,
    rank: int | None = None,
    n_brain: int | None = None,
    n_task: int | None = None,
    n_test: int | None = None,
    block: int = 1,
    repeats: int = 300,
    seed: int = 0,
    components: int | None = None,
    per_target: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
    json: Annotated[bool, tyro.conf.FlagCreatePairsOff] = False,
) -> str:
    """Do these recordings help with this task? Held-out errors on a user's own arrays.

    Args:
        file: An .npz file with inputs, recordings, targets on shared rows; or with brain_inputs,
            recordings, task_inputs, targets.
        rank: Dimension of the learned subspace; by default chosen by cross-validation.
        n_brain: Rows for the brain stage in each split; by default half of shared rows, all of separate ones.
        n_task: Rows for the task stage in each split; by default half of the shared rows that are left (at least
            5), two thirds of separate ones.
        n_test: Rows to test on in each split; by default the rest.
        block: Keep that many consecutive rows on the same side of a split, for time series: longer than rows
            stay alike.
        repeats: Number of random splits.
        seed: Of the random splits.
        components: Describe the inputs by that many principal components, whitened; by default they are taken
            as they are.
        per_target: List the errors of every target too.
        json: Print JSON instead of a table.
    """
    import jax

    from ...pilot import PilotError, evaluate, read_pilot, row_correlation, split_sizes, whiten

    problems = seed_problems(seed)
    options: dict[str, int | None] = {
        "repeats": repeats,
        "rank": rank,
        "components": components,
        "n_brain": n_brain,
        "n_task": n_task,
        "n_test": n_test,
        "block": block,
    }
    for name, number in options.items():
        low, high = _BOUNDS[name]
        if number is not None and not low <= number <= high:
            said = f"{flag(name)} must lie between {low} and {high}, but it is {number}"
            problems.append(said)
            # The file is looked at all the same, as if this had not been given.
            options[name] = None
    share = evaluation = None
    try:
        data = read_pilot(file)
        original_dim = data.input_dim
        if options["components"] is not None:
            data, share = whiten(data, options["components"])
        sizes = split_sizes(data, options["n_brain"], options["n_task"], options["n_test"])
        if not problems:
            evaluation = evaluate(data, sizes, repeats, jax.random.key(seed), rank, block)
    except PilotError as error:
        problems += [
            in_flags(problem, options).replace(
                "fewer components", "fewer components (--components)"
            )
            for problem in error.problems
        ]
    if evaluation is None:
        raise UserError(problems)
    done = _what_was_done(data, original_dim, share, evaluation, repeats, rank is None, block)
    verdict = _verdict(evaluation) + _doubt(row_correlation(data, block), len(data.targets), block)
    if json:
        return json_module.dumps(_as_json(evaluation, done, verdict, per_target), indent=2)
    return _as_text(evaluation, done, verdict, per_target)


def _what_was_done(
    data: PilotData,
    original_dim: int,
    share: float | None,
    evaluation: Evaluation,
    repeats: int,
    rank_chosen: bool,
    block: int,
) -> list[str]:
    n_brain, n_task, n_test = evaluation.sizes
    inputs = (
        f"{original_dim} inputs as they are"
        if share is None
        else f"{data.input_dim} whitened principal components of {original_dim} inputs "
        f"({100 * share:.1f} % of their variance; computed from the inputs of all rows)"
    )
    variances = data.brain_inputs.var(axis=0)
    if variances.max() > 100 * variances.min():
        inputs += (
            f"; their variances differ {variances.max() / variances.min():.0f}-fold, which penalties "
            "do not forgive: standardise them, or use --components"
        )
    how = "chosen by cross-validated encoding error" if rank_chosen else "as given"
    rows = "shared rows, kept apart" if data.shared_rows else "separate rows"
    if block > 1:
        rows += f", in blocks of {block}"
    return [
        f"inputs: {inputs}",
        f"recordings: {data.recordings.shape[1]} channels; targets: {data.targets.shape[1]}",
        f"splits: {repeats} random ones into {n_brain} brain, {n_task} task and {n_test} test rows "
        f"({rows})",
        f"rank of the learned subspace: {evaluation.rank}, {how}",
        "centring by the rows learned from; penalties by five-fold cross-validation on the task rows",
        "controls: BEFS with a random subspace, and with one learned from recordings of shuffled rows",
        "error: mean squared error on test rows over the variance of the target; 1 is no skill",
    ]


def _summaries(evaluation: Evaluation) -> dict[str, tuple[Summary, Summary]]:
    """For each estimator its error, and its paired difference to ridge."""
    from ...pilot import summarise

    errors = _by_repeat(evaluation)
    return {
        name: (summarise(error), summarise(error - errors["ridge"]))
        for name, error in errors.items()
    }


def _by_repeat(evaluation: Evaluation) -> dict[str, np.ndarray]:
    """Errors of each estimator in each repeat, averaged over targets."""
    from ...pilot import ESTIMATORS

    return dict(zip(ESTIMATORS, np.asarray(evaluation.errors).mean(axis=2), strict=True))


def _as_json(evaluation: Evaluation, done: list[str], verdict: str, per_target: bool) -> dict:
    from ...pilot import ESTIMATORS

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
        "verdict": verdict,
    }
    if per_target:
        means = _per_target_means(evaluation)
        answer["errors_per_target"] = {
            name: [value if math.isfinite(value) else None for value in row.tolist()]
            for name, row in zip(ESTIMATORS, means, strict=True)
        }
    return answer


def _as_text(evaluation: Evaluation, done: list[str], verdict: str, per_target: bool) -> str:
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
    lines = [*done, "", *aligned(rows)]
    if per_target:
        lines += ["", *_per_target(evaluation)]
    return "\n".join([*lines, "", verdict])


def _per_target(evaluation: Evaluation) -> list[str]:
    from ...pilot import ESTIMATORS

    means = _per_target_means(evaluation)
    rows = [("target", *(_LABELS[name] for name in ESTIMATORS))]
    rows += [
        (str(number), *(f"{value:.4f}" if math.isfinite(value) else "undefined" for value in row))
        for number, row in enumerate(means.T)
    ]
    return aligned(rows)


def _per_target_means(evaluation: Evaluation) -> np.ndarray:
    """Errors averaged over the repeats that did not fail, shape (estimators, targets)."""
    errors = np.asarray(evaluation.errors)
    succeeded = np.isfinite(errors)
    totals = np.sum(np.where(succeeded, errors, 0.0), axis=1)
    counts = succeeded.sum(axis=1)
    return np.where(counts > 0, totals / np.maximum(counts, 1), np.nan)


def _verdict(evaluation: Evaluation) -> str:
    from ...pilot import CONTROLS, summarise

    errors = _by_repeat(evaluation)
    summaries = {name: summarise(error) for name, error in errors.items()}

    def lowest(names: Iterable[str]) -> str:
        known = list(names)
        defined = [name for name in known if math.isfinite(summaries[name].mean)]
        return min(defined, key=lambda name: summaries[name].mean, default=known[0])

    def beats(better: str, worse: str) -> bool:
        return summarise(errors[better] - errors[worse]).high < 0

    rival = lowest(("task_only", "ridge"))
    # A control that may choose two penalties gains more by chance than one that may choose one: each BEFS
    # stands beside its own.
    helped = [name for name in CONTROLS if all(beats(name, x) for x in (rival, *CONTROLS[name]))]
    best = lowest(helped or CONTROLS)
    control = lowest(CONTROLS[best])
    gap = summarise(errors[best] - errors[rival])
    if not math.isfinite(gap.mean):
        return "No verdict: too many splits failed. Describe the inputs by fewer components."
    change = 100 * abs(gap.mean) / summaries[rival].mean
    against = f"({summaries[best].mean:.3g} against {summaries[rival].mean:.3g})"
    caution = " The intervals are about splits of these rows, not about new recordings."
    gain = f"{_LABELS[best]} has {change:.0f} % less held-out error than {_LABELS[rival]} {against}"
    if helped:
        beyond = f"less than the better of its controls ({summaries[control].mean:.3g})"
        avoided = _held_back_inside(evaluation)
        if best == "befs_two_penalties" and avoided > 0.5:
            return (
                f"The recordings help by showing where the task is not: {gain}, and {beyond}. In "
                f"{100 * avoided:.0f} % of the splits it holds the learned subspace back more than the rest: "
                "what was recorded and this task depend on different directions." + caution
            )
        return f"The recordings help: {gain}, and {beyond}." + caution
    if gap.high < 0:
        return (
            f"{gain}, but not clearly less than a control ({summaries[control].mean:.3g}): this does not "
            "show that the recordings are what helps." + caution
        )
    if gap.low > 0:
        return (
            f"The recordings do not help here: {_LABELS[best]} has {change:.0f} % more held-out error "
            f"than {_LABELS[rival]} {against}." + caution
        )
    return (
        f"No difference can be seen between {_LABELS[best]} and {_LABELS[rival]} {against}: more "
        "repeats or more rows may tell." + caution
    )


def _doubt(correlation: float, rows: int, block: int) -> str:
    """What to say of rows that are alike across a split; nothing, where they are not."""
    if correlation < max(_ALIKE, 4 / math.sqrt(rows)):
        return ""
    apart = "that follow each other" if block == 1 else f"{block} apart"
    return (
        f" Do not rely on this: rows {apart} are alike (correlation {correlation:.2f}), so that both sides of a split "
        "share noise, which can pass for help and which no control shows. Keep longer blocks of rows "
        "together (--block)."
    )


def _held_back_inside(evaluation: Evaluation) -> float:
    """In which share of the splits the larger of the two penalties is the one inside."""
    outside, inside = np.asarray(evaluation.penalties).T
    return float(np.mean(inside > outside))

"""An evaluation in words: what was done, the table of errors, and whether recordings help."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

from ..answers.fit import errors_by_repeat, errors_per_target, held_back_inside, summaries
from .text import aligned

if TYPE_CHECKING:
    from ...pilot import Evaluation, PilotData

# Rows less alike than this share no noise to speak of.
_ALIKE = 0.2
_LABELS = {
    "task_only": "least squares",
    "ridge": "ridge",
    "ridge_as_given": "ridge on the inputs as they came",
    "befs": "BEFS",
    "random_subspace": "control: random",
    "shuffled_recordings": "control: shuffled",
    "leading_components": "control: leading components",
    "befs_two_penalties": "BEFS with two penalties",
    "random_subspace_two_penalties": "control: random, two penalties",
    "shuffled_recordings_two_penalties": "control: shuffled, two penalties",
    "leading_components_two_penalties": "control: leading components, two penalties",
}


def what_was_done(
    data: PilotData,
    original_dim: int,
    share: float | None,
    evaluation: Evaluation,
    repeats: int,
    rank_chosen: bool,
    block: int,
    whitened: bool = False,
    standardised: bool = False,
) -> list[str]:
    """Inputs, splits, rank, penalties and controls, a line each."""
    from ...pilot import rows_together

    n_brain, n_task, n_test = evaluation.sizes
    inputs = (
        f"{original_dim} inputs as they are"
        if share is None
        else f"{data.input_dim} {'whitened ' if whitened else ''}principal components of "
        f"{original_dim} inputs "
        f"({100 * share:.1f} % of their variance; computed from the inputs of all rows)"
    )
    variances = data.brain_inputs.var(axis=0)
    if share is None and variances.max() > 100 * variances.min():
        inputs += (
            f"; their variances differ {variances.max() / variances.min():.0f}-fold, which "
            "penalties do not forgive where only their units differ: standardise them then"
        )
    how = "chosen by cross-validated encoding error" if rank_chosen else "as given"
    rows = "shared rows, kept apart" if data.shared_rows else "separate rows"
    if block > 1:
        rows += f", in blocks of {block}"
    group = rows_together(data, block)
    if group is not None:
        alike = "with the same inputs" if data.task_groups is None else "of one group"
        rows += (
            f"; rows {alike} on the same side: {group.max() + 1} groups of up to "
            f"{max(np.bincount(group))}"
        )
    channels = f"{data.recordings.shape[1]} channels"
    channels += ", each scaled to variance 1" if standardised else ", counting by their variances"
    return [
        f"inputs: {inputs}",
        f"recordings: {channels}; targets: {data.targets.shape[1]}",
        f"splits: {repeats} random ones into {n_brain} brain, {n_task} task and {n_test} test rows "
        f"({rows})",
        f"rank of the learned subspace: {evaluation.rank}, {how}",
        "centring by the rows learned from; penalties by five-fold cross-validation on the task "
        "rows",
        "controls: BEFS with a random subspace of the inputs' covariance, with their leading "
        "components, and with a subspace learned from recordings of shuffled rows",
        "error: mean squared error on test rows over the variance of the target; 1 is no skill",
    ]


def as_text(evaluation: Evaluation, done: list[str], said: str, per_target: bool) -> str:
    """What was done, a row an estimator, errors of targets if they are wanted, and the verdict."""
    rows: list[tuple[str, ...]] = [
        ("", "held-out error", "95 % interval", "minus ridge", "95 % interval")
    ]
    for name, (error, gap) in summaries(evaluation).items():
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
    return "\n".join([*lines, "", said])


def _per_target(evaluation: Evaluation) -> list[str]:
    from ...pilot import ESTIMATORS

    means = errors_per_target(evaluation)
    rows = [("target", *(_LABELS[name] for name in ESTIMATORS))]
    rows += [
        (str(number), *(f"{value:.4f}" if math.isfinite(value) else "undefined" for value in row))
        for number, row in enumerate(means.T)
    ]
    return aligned(rows)


def verdict(evaluation: Evaluation) -> str:
    """Whether the recordings help, and beyond chance: against ridge and against controls."""
    from ...pilot import CONTROLS, summarise

    errors = errors_by_repeat(evaluation)
    summaries = {name: summarise(error) for name, error in errors.items()}

    def lowest(names: Iterable[str]) -> str:
        known = list(names)
        defined = [name for name in known if math.isfinite(summaries[name].mean)]
        return min(defined, key=lambda name: summaries[name].mean, default=known[0])

    def beats(better: str, worse: str) -> bool:
        return summarise(errors[better] - errors[worse]).high < 0

    rivals = ("task_only", "ridge", "ridge_as_given")
    rival = lowest(name for name in rivals if name in errors)
    # A control that may choose two penalties gains more by chance than one that may choose one:
    # each BEFS stands beside its own.
    helped = [name for name in CONTROLS if all(beats(name, x) for x in (rival, *CONTROLS[name]))]
    best = lowest(helped or CONTROLS)
    control = lowest(CONTROLS[best])
    gap = summarise(errors[best] - errors[rival])
    if not math.isfinite(gap.mean):
        return "No verdict: too many splits failed. Describe the inputs by fewer components."
    if not summaries[rival].mean > 0:
        return (
            "No verdict: the targets do not vary within the splits, so that predicting their mean "
            "leaves no error. Pass targets that vary, or more rows to test on."
        )
    change = 100 * abs(gap.mean) / summaries[rival].mean
    against = f"({summaries[best].mean:.3g} against {summaries[rival].mean:.3g})"
    caution = " The intervals are about splits of these rows, not about new recordings."
    gain = f"{_LABELS[best]} has {change:.0f} % less held-out error than {_LABELS[rival]} {against}"
    if helped:
        beyond = f"less than the better of its controls ({summaries[control].mean:.3g})"
        avoided = held_back_inside(evaluation)
        if best == "befs_two_penalties" and avoided > 0.5:
            return (
                f"The recordings help by showing where the task is not: {gain}, and {beyond}. In "
                f"{100 * avoided:.0f} % of the splits it holds the learned subspace back more than "
                "the rest: "
                "what was recorded and this task depend on different directions." + caution
            )
        return f"The recordings help: {gain}, and {beyond}." + caution
    if gap.high < 0:
        return (
            f"{gain}, but not clearly less than a control ({summaries[control].mean:.3g}): this "
            "does not "
            "show that the recordings are what helps." + caution
        )
    if gap.low > 0:
        return (
            f"The recordings do not help here: {_LABELS[best]} has {change:.0f} % more held-out "
            "error "
            f"than {_LABELS[rival]} {against}." + caution
        )
    return (
        f"No difference can be seen between {_LABELS[best]} and {_LABELS[rival]} {against}: more "
        "repeats or more rows may tell." + caution
    )


def doubt(correlation: float, rows: int, block: int) -> str:
    """What to say of rows that are alike across a split; nothing, where they are not."""
    if correlation < max(_ALIKE, 4 / math.sqrt(rows)):
        return ""
    apart = "that follow each other" if block == 1 else f"{block} apart"
    return (
        f" Do not rely on this: rows {apart} are alike (correlation {correlation:.2f}), so that "
        "both sides of a split "
        "share noise, which can pass for help and which no control shows. Keep longer blocks of "
        "rows "
        "together (--block)."
    )

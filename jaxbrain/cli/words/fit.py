"""An evaluation in words: what was done, the table of errors, and whether recordings help."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

import numpy as np

from ..answers.fit import (
    curves_over_labels,
    errors_per_target,
    held_back_inside,
    labels_of,
    rates_of,
    summaries,
)
from .text import aligned

if TYPE_CHECKING:
    from ...pilot import Evaluation, Labels, PilotData

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
    "banded_ridge": "banded ridge",
    "random_banded_ridge": "control: random, banded ridge",
    "shuffled_recordings_banded_ridge": "control: shuffled, banded ridge",
    "leading_components_banded_ridge": "control: leading components, banded ridge",
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
    how = "chosen by the error of left-out recordings (median of splits)"
    how = how if rank_chosen else "as given"
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
    alone = group is None and block == 1
    channels = f"{data.recordings.shape[1]} channels"
    channels += ", each scaled to variance 1" if standardised else ", counting by their variances"
    measure = (
        "error: mean squared error on test rows over the variance of the target; 1 is no skill"
    )
    if evaluation.classes is not None:
        measure = (
            "error: minus the logarithm of the probability of the right class on test rows, in "
            "nats; how often classes come among the task rows has "
            f"{np.mean(evaluation.classes.by_frequency):.4f}"
        )
    return [
        f"inputs: {inputs}",
        f"recordings: {channels}; targets: {data.targets.shape[1]}",
        f"splits: {repeats} random ones into {n_brain} brain, {n_task} task and {n_test} test rows "
        f"({rows})",
        f"rank of the learned subspace: {evaluation.rank}, {how}",
        "recordings are encoded by ridge regression; its penalty is that which predicts left-out "
        "brain rows best",
        "centring by the rows learned from; penalties by "
        + ("marginal likelihood" if alone else "the error of left-out fifths")
        + " on the task rows",
        "controls: the same estimators with random directions of the inputs' covariance, with "
        "their leading components, and with recordings of shuffled rows",
        *_about_classes(evaluation, repeats),
        measure,
        "intervals are over rows: how the answer would fall out on others",
    ]


def _about_classes(evaluation: Evaluation, repeats: int) -> list[str]:
    if evaluation.classes is None:
        return []
    lines = [
        "classes: logistic regression; penalties are those of least squares on columns of 0 and 1, "
        "in its unit, times a number that left-out fifths of the task rows choose"
    ]
    lacking, all_splits = int(evaluation.classes.lacking.sum()), repeats
    all_splits *= len(evaluation.classes.lacking)
    if lacking:
        n_task = evaluation.sizes.n_task
        lines.append(
            f"in {lacking} of {all_splits} splits the task rows lack a class, which then has the "
            f"probability 1/{2 * (n_task + 1)}"
        )
    return lines


def as_text(evaluation: Evaluation, done: list[str], said: str, per_target: bool) -> str:
    """What was done, a row an estimator, errors of targets if they are wanted, and the verdict."""
    rates = rates_of(evaluation)
    heads = ("accuracy", "balanced", "AUC") if rates else ()
    rows: list[tuple[str, ...]] = [
        ("", "held-out error", "95 % interval", "minus ridge", "95 % interval", *heads)
    ]
    for name, (error, gap) in summaries(evaluation).items():
        if not math.isfinite(error.mean):
            rows.append((_LABELS[name], "undefined", "too few rows", "", "", *("" for _ in heads)))
            continue
        paired = (f"{gap.mean:+.4f}", f"{gap.low:+.4f} to {gap.high:+.4f}")
        interval = f"{error.low:.4f} to {error.high:.4f}"
        paired = ("", "") if name == "ridge" else paired
        told = [f"{rate:.3f}" for rate in rates[name].values()] if name in rates else []
        told += [""] * (len(heads) - len(told))
        rows.append((_LABELS[name], f"{error.mean:.4f}", interval, *paired, *told))
    lines = [*done, "", *aligned(rows), "", *_table_of_labels(evaluation)]
    if per_target:
        lines += ["", *_per_target(evaluation)]
    return "\n".join([*lines, "", said])


def _table_of_labels(evaluation: Evaluation) -> list[str]:
    """Worth of all recordings, of fewer, and beside fewer labels."""
    rows = [("recordings", "beside labels", "worth labels", "95 % interval")]
    for worth in labels_of(evaluation):
        interval = f"{_number(worth.low, worth)} to {_number(worth.high, worth)}"
        told = f"{_number(worth.labels, worth)}{' (extrapolated)' if worth.extrapolated else ''}"
        rows.append((str(worth.n_brain), str(worth.beside), told, interval))
    return aligned(rows)


def _number(labels: float, worth: Labels) -> str:
    if math.isnan(labels):
        return "unknown"
    if labels == math.inf:
        return f"more than {worth.furthest}"
    return f"{round(labels)}" if abs(labels) >= 3 else f"{labels:.1f}"


def in_labels(worth: Labels) -> str:
    """The answer in labels, a sentence; nothing where there is none."""
    if math.isnan(worth.labels):
        return ""
    low, high = (_number(end, worth) for end in (worth.low, worth.high))
    told = (
        f"These {worth.n_brain} recordings are worth {_number(worth.labels, worth)} labels "
        f"({low} to {high}) beside {worth.beside}"
    )
    if not worth.extrapolated:
        return f"{told}."
    return f"{told}, extrapolated: ridge was measured with up to {worth.measured} more."


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
    from ...pilot import judge, worth_in_labels

    found = judge(evaluation)
    means = {name: error.mean for name, (error, _) in summaries(evaluation).items()}
    name, rival, control = found.estimator, found.rival, found.control
    if found.finding == "undefined":
        if math.isfinite(found.gap.mean):
            return (
                "No verdict: the targets do not vary within the splits, so that predicting their "
                "mean leaves no error. Pass targets that vary, or more rows to test on."
            )
        return "No verdict: some splits failed. Describe the inputs by fewer components."
    change = 100 * abs(found.gap.mean) / means[rival]
    against = f"({means[name]:.3g} against {means[rival]:.3g})"
    rates = rates_of(evaluation)
    if rates:
        against = f"({means[name]:.3g} against {means[rival]:.3g} nats"
        if rival in rates:
            right = [100 * rates[each]["accuracy"] for each in (name, rival)]
            against += f", {right[0]:.1f} % against {right[1]:.1f} % of the rows right"
        against += ")"
    gain = f"{_LABELS[name]} has {change:.0f} % less held-out error than {_LABELS[rival]} {against}"
    labels = in_labels(worth_in_labels(evaluation))
    if found.finding in ("helps", "avoids"):
        beyond = f"less than the better of its controls ({means[control]:.3g})"
        if found.finding == "avoids":
            avoided = held_back_inside(evaluation)
            return (
                f"The recordings help by showing where the task is not: {gain}, and {beyond}. In "
                f"{100 * avoided:.0f} % of the splits it holds the learned subspace back more than "
                "the rest: what was recorded and this task depend on different directions. "
                f"{labels}"
            ).strip()
        return f"The recordings help: {gain}, and {beyond}. {labels}".strip()
    if found.finding == "like a control":
        return (
            f"{gain[0].upper()}{gain[1:]}, but not clearly less than a control "
            f"({means[control]:.3g}): this does not show that the recordings are what helps. "
            f"{labels}"
        ).strip()
    if found.finding == "hurts":
        return (
            f"The recordings do not help here: {_LABELS[name]} has {change:.0f} % more held-out "
            f"error than {_LABELS[rival]} {against}. {labels}"
        ).strip()
    return (
        f"No difference can be seen between {_LABELS[name]} and {_LABELS[rival]} {against}: more "
        f"rows may tell. {labels}"
    ).strip()


def pictured(evaluation: Evaluation) -> tuple[dict[str, Any], dict[str, Any], float, str]:
    """What a figure shows, under the names that a reader knows; the error without skill; a unit."""
    errors = {_LABELS[name]: error[:3] for name, (error, _) in summaries(evaluation).items()}
    curves = {_LABELS[name]: curve for name, curve in curves_over_labels(evaluation).items()}
    if evaluation.classes is None:
        return errors, curves, 1.0, "held-out error"
    return errors, curves, float(np.mean(evaluation.classes.by_frequency)), "held-out error (nats)"


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

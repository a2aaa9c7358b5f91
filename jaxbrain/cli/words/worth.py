"""Worth in words: the verdict, and what the things are called that change it."""

from __future__ import annotations

import math

from ..input.study import Study
from .text import rounded, thousands

THINGS = {
    "n_brain": "brain samples",
    "n_task": "labels",
    "channels": "recording channels",
    "recording_noise": "measurement noise",
    "latent_noise": "neural variability",
    "misalignment": "misalignment",
    "task_noise": "label noise",
}


def verdict(study: Study, numbers: dict[str, float], beyond_ridge: bool) -> str:
    """What the recordings are worth, in a sentence or two."""
    # Value is against least squares and counts shrinkage; the value of the information does not.
    information = numbers["information_value"]
    knows = (
        f"worth {thousands(rounded(information))} labels"
        if information >= 0.5
        else "worth next to nothing for this task"
    )
    measured = (
        "with all the shrinkage that helps on both sides and measured against ridge regression"
    )
    if not math.isfinite(numbers["risk"]):
        return (
            f"With labels numbering {thousands(numbers['n_task'])} the subspace cannot even be read out "
            f"unpenalised ({study.problem.latent_dim} latents), but the information in the recordings, "
            f"{measured}, is {knows}."
        )
    labels = thousands(rounded(numbers["value"]))
    start = (
        f"{samples(study, 'brain samples ')} are worth {labels} extra labels against least squares"
    )
    if beyond_ridge:
        shrinkage = (
            "which is mere shrinkage, since the error stays above that of predicting 0, which needs no "
            "label at all"
        )
    elif numbers["value_vs_ridge"] <= 0:
        shrinkage = "which is mere shrinkage, since ridge regression without recordings does better"
    else:
        shrinkage = "a part of which is mere shrinkage"
    return f"{start}, {shrinkage}. The information in them, {measured}, is {knows}."


def samples(study: Study, noun: str = "") -> str:
    """How much is recorded, in samples and, where it is known, hours."""
    hours = "" if study.hours is None else f"({study.hours:.1f} h)"
    return f"{thousands(study.n_brain)} {noun}{hours}".strip()

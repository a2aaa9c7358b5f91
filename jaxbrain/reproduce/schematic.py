"""The model and the two-stage estimator as a drawing, and the numbers of the fMRI study."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import xarray

from ..figures.style import COLOURS, TWO_COLUMNS, grouped, letter_panels
from ..models import presets
from .result import Claim, Result, Scale, Tables, claim
from .settings import BRAIN_SNR, HOURS, N_BRAIN, TASK_SNR

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def setting(scale: Scale) -> xarray.Dataset:
    """The numbers of the fMRI study, and the shares of a channel's variance."""
    model = presets.fmri(TASK_SNR)
    problem = model.problem()
    readout = np.asarray(model.readout)
    driven = np.sum(readout**2, axis=1)
    neural = float(model.latent_noise) * driven
    total = driven + neural + float(model.recording_noise)
    return xarray.Dataset(
        {
            "share": (
                "source",
                [
                    float(np.mean(driven / total)),
                    float(np.mean(neural / total)),
                    float(np.mean(float(model.recording_noise) / total)),
                ],
            ),
            "mean_encoding_noise": float(np.mean(problem.encoding_noise)),
            "task_power": float(problem.total_power),
            "misalignment": float(problem.relative_misalignment),
        },
        coords={"source": ["stimulus", "neural variability", "measurement"]},
        attrs={
            "input_dim": problem.input_dim,
            "latent_dim": problem.latent_dim,
            "recording_dim": int(problem.recording_dim or 0),
            "n_brain": N_BRAIN,
            "hours": HOURS,
            "task_snr": TASK_SNR,
            "brain_snr": float(np.mean(driven / (total - driven))),
        },
    )


TABLES = {"setting": setting}


def _box(axes: Axes, x: float, y: float, text: str, colour: str, width: float = 2.3) -> None:
    from matplotlib.patches import FancyBboxPatch

    axes.add_patch(
        FancyBboxPatch(
            (x - width / 2, y - 0.42),
            width,
            0.84,
            boxstyle="round,pad=0.02,rounding_size=0.12",
            facecolor=colour + "22",
            edgecolor=colour,
        )
    )
    axes.text(x, y, text, ha="center", va="center", fontsize=7.5, linespacing=1.35)


def _arrow(axes: Axes, start: tuple, end: tuple, text: str = "", place: tuple = (0, 0)) -> None:
    axes.annotate(
        "", end, start, arrowprops={"arrowstyle": "-|>", "color": "black", "lw": 0.9, "shrinkB": 1}
    )
    if text:
        x, y = ((a + b) / 2 + shift for a, b, shift in zip(start, end, place, strict=True))
        axes.text(x, y, text, ha="center", va="center", fontsize=7)


def draw(tables: Tables) -> Figure:
    """The figure of these tables."""
    import matplotlib.pyplot as plt

    numbers = tables["setting"]
    of = numbers.attrs
    figure, (model, estimator) = plt.subplots(
        1, 2, figsize=(TWO_COLUMNS, 2.7), width_ratios=(1, 1.3)
    )
    brain, task = COLOURS["befs"], COLOURS["ridge"]
    grey = COLOURS["task only"]
    _box(model, 1.3, 2.5, f"inputs x\n{grouped(of['input_dim'])}", grey)
    _box(model, 5.0, 4.2, f"latents z\n{of['latent_dim']}", brain)
    _box(model, 8.9, 4.2, f"recordings r\n{grouped(of['recording_dim'])}", brain, 2.6)
    _box(model, 8.9, 0.8, "label y", task, 2.6)
    _arrow(model, (2.5, 2.75), (3.8, 4.1), "Aᵀx", (-0.35, 0.2))
    _arrow(model, (6.2, 4.2), (7.55, 4.2), "H z", (0, 0.28))
    _arrow(model, (2.5, 2.25), (7.55, 0.9), "βᵀx", (0, 0.35))
    _arrow(model, (5.0, 5.6), (5.0, 4.66), "neural noise", (0, 0.7))
    _arrow(model, (8.9, 5.6), (8.9, 4.66), "measurement noise", (0, 0.7))
    _arrow(model, (8.9, 2.2), (8.9, 1.26), "label noise", (0, 0.72))
    model.text(
        0.15,
        -0.55,
        "misalignment: the part of β outside the span of A",
        fontsize=7.5,
        color=grey,
    )
    model.set_title("model")
    _box(estimator, 1.7, 4.2, "recordings\n(x, r), n_brain", brain, 3.0)
    _box(estimator, 6.2, 4.2, "reduced-rank\nregression of r on x", brain, 4.0)
    _box(estimator, 11.2, 4.2, "subspace P̂ of\nk directions", brain, 3.4)
    _box(estimator, 1.7, 0.8, "labels\n(x, y), n_task", task, 3.0)
    _box(estimator, 7.0, 0.8, "min over β: (1/n)‖y − Xβ‖²\n+ λ‖(1 − P̂)β‖²", task, 5.4)
    _box(estimator, 12.0, 0.8, "weights β̂", task, 2.6)
    _arrow(estimator, (3.25, 4.2), (4.15, 4.2))
    _arrow(estimator, (8.25, 4.2), (9.45, 4.2))
    _arrow(estimator, (3.25, 0.8), (4.25, 0.8))
    _arrow(estimator, (9.75, 0.8), (10.65, 0.8))
    _arrow(
        estimator, (11.2, 3.75), (8.4, 1.26), "what leaves the subspace\nis penalised", (-3.4, 0.05)
    )
    estimator.set_title("two-stage estimator (BEFS)")
    for axes, right in ((model, 10.5), (estimator, 13.5)):
        axes.set_xlim(0, right)
        axes.set_ylim(-0.9, 6.7)
        axes.axis("off")
    letter_panels((model, estimator))
    return figure


def claims(tables: Tables) -> list[Claim]:
    """What these tables say of each claim."""
    numbers = tables["setting"]
    shares = numbers.share.values
    of = numbers.attrs
    return [
        claim(
            "In the fMRI study 40 % of the variance of a trial is driven by the stimulus, 20 % "
            "is neural "
            "variability, 40 % measurement noise.",
            "presets.fmri",
            " and ".join(
                f"{100 * share:.1f} % {name}"
                for share, name in zip(shares, numbers.source.values, strict=True)
            )
            + f"; brain SNR {of['brain_snr']:.3f}",
            np.all(abs(shares - [0.4, 0.2, 0.4]) < 0.01)
            and abs(of["brain_snr"] - BRAIN_SNR) < 0.01,
        )
    ]


RESULT = Result(
    "The model and the two-stage estimator",
    tuple(TABLES),
    draw,
    claims,
    "Two diagrams. (a) Inputs drive latents, which drive recordings, each with noise; inputs also "
    "make labels. (b) The estimator learns a subspace from recordings by reduced-rank regression, "
    "and then penalises weights that leave it when it learns from labels.",
)

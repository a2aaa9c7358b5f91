"""What a reproduced result is: tables, a figure of them, and claims that they decide."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
import xarray

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Tables = Mapping[str, xarray.Dataset]

CONFIRMED, CONDITIONAL, REFUTED = "confirmed", "confirmed with conditions", "not confirmed"
VERDICTS = (CONFIRMED, CONDITIONAL, REFUTED)
PAPER, OURS = "paper", "here"


class Scale(NamedTuple):
    """How much is simulated."""

    name: str
    seeds: int
    """Replicates at small scale, whose spread gives intervals."""
    trials: int
    """Trials of each."""
    fmri_seeds: int
    """Replicates at fMRI scale, of two draws each."""
    control_trials: int
    """Trials of each replicate with data, for the controls."""
    points: int
    """Points of a curve."""


FULL = Scale("full", seeds=30, trials=40, fmri_seeds=12, control_trials=20, points=61)
QUICK = Scale("quick", seeds=8, trials=8, fmri_seeds=2, control_trials=4, points=31)


class Claim(NamedTuple):
    """One claim, what was measured, and whether that confirms it."""

    statement: str
    function: str
    """What computes it."""
    measured: str
    verdict: str
    condition: str = ""
    """Under which conditions it holds, where that has to be said."""
    source: str = PAPER


class Result(NamedTuple):
    """One result: its figure is drawn from, and its claims are decided by, stored tables alone."""

    title: str
    tables: tuple[str, ...]
    draw: Callable[[Tables], Figure]
    claims: Callable[[Tables], list[Claim]]
    alt: str
    """What is to be seen, for those who cannot."""


def largest(values: np.ndarray) -> float:
    """The largest of them; NaN where there is none, or one that is."""
    return float(np.max(values)) if values.size else float("nan")


def judge(holds: bool | np.bool_, condition: str = "") -> str:
    """The verdict on a claim that holds or not, under a condition if there is one."""
    if not holds:
        return REFUTED
    return CONDITIONAL if condition else CONFIRMED


def claim(
    statement: str,
    function: str,
    measured: str,
    holds: bool | np.bool_,
    condition: str = "",
    source: str = PAPER,
) -> Claim:
    """A claim with its verdict; the condition is kept where it holds."""
    return Claim(
        statement, function, measured, judge(holds, condition), condition if holds else "", source
    )

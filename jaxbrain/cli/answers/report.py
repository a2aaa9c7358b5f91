"""Everything that a report tells, computed by the library."""

from __future__ import annotations

import math
import platform
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ...study import Purchase, Study
from ...study.purchase import bill
from .notes import accuracy_noted
from .over_draws import OverDraws, notes_of_pilot, worth_over_draws
from .plan import answer_of as plan_of
from .plan import curves_of
from .simulation import Simulation, simulate
from .worth import answer_of, changes_of

if TYPE_CHECKING:
    import xarray

_POINTS = 80


@dataclass(frozen=True)
class BreakEven:
    """At which price, in labels a recorded sample, recordings stop paying for themselves."""

    all_recordings: float
    """All of the study's, shrinkage apart: their information value, shared out among them."""
    next_sample: float
    """One more beside all of them. NaN where it is not defined."""
    against_ols: float
    """All of them, against least squares: the exchange rate."""
    large_budgets: float
    """The best amount of them beside unlimited labels, against least squares. NaN where more
    recordings do not bring the learned subspace closer to the task (γ < 0), or inputs are not
    white."""


@dataclass(frozen=True)
class Money:
    """What the study costs, what labels alone would cost, and the best split of the budget."""

    purchase: Purchase
    bill: float
    bill_of_labels: float
    """What labels alone would cost to be as good, both sides at their best penalties."""
    plan: dict[str, Any]
    """As `jaxbrain plan --json` prints it, without words."""
    curve: xarray.Dataset
    """The risk over the share of the budget that is spent on recordings."""


@dataclass(frozen=True)
class Content:
    """All of a report, before it is put into words."""

    name: str
    study: Study
    numbers: dict[str, float]
    beyond_ridge: bool
    changes: dict[str, dict[str, float]]
    break_even: BreakEven
    money: Money | None
    """None without prices."""
    over_labels: xarray.Dataset
    over_recordings: xarray.Dataset
    simulation: Simulation | None
    simulation_wanted: bool
    notes: list[str]
    versions: dict[str, str]
    over_draws: OverDraws | None = None
    """What the draws of a pilot say, where one measured the study."""


def content_of(
    name: str, study: Study, purchase: Purchase | None, simulation_wanted: bool, seed: int
) -> Content:
    """Ask the library all that a report on this study tells. Raises `ValueError`, as it does."""
    notes = notes_of_pilot(study.estimate)
    numbers, beyond_ridge = answer_of(study, notes)
    is_white = study.is_white
    if is_white:
        numbers["two_penalty_risk"] = _two_penalty_risk(study, notes)
    changes = changes_of(study, numbers, notes)
    return Content(
        name=name,
        study=study,
        numbers=numbers,
        beyond_ridge=beyond_ridge,
        changes=changes,
        break_even=_break_even(study, numbers, changes),
        money=_money(study, purchase, numbers, notes) if purchase else None,
        **(_curves(study) if is_white else _curves_of_any_covariance(study)),
        simulation=simulate(study, seed) if simulation_wanted else None,
        simulation_wanted=simulation_wanted,
        notes=notes,
        versions=_versions(),
        over_draws=worth_over_draws(study),
    )


def _break_even(
    study: Study, numbers: dict[str, float], changes: dict[str, dict[str, float]]
) -> BreakEven:
    from ...budget import worth_collecting
    from ...theory import value

    rate = numbers["information_value"] / study.n_brain
    # The elasticity is the value of the next sample over that of an average one.
    next_sample = rate * changes["information_value"]["n_brain"]
    if not study.is_white:
        return BreakEven(rate, next_sample, numbers["exchange_rate"], math.nan)
    problem = study.problem
    teachable = bool(worth_collecting(problem, 1.0, 1.0).teachable)
    # The first-order law, favourability at equal prices, knows nothing of the input_dim samples
    # that a subspace takes at least.
    amounts = np.geomspace(problem.input_dim + 2, 1e4 * problem.input_dim, 400)
    with accuracy_noted([]):
        best = float(np.max(np.asarray(value(problem, amounts, np.inf, baseline="ols")) / amounts))
    return BreakEven(
        all_recordings=rate,
        next_sample=next_sample,
        against_ols=numbers["exchange_rate"],
        large_budgets=best if teachable else math.nan,
    )


def _two_penalty_risk(study: Study, notes: list[str]) -> float:
    """Of the estimator that the value of the information is about."""
    from ...theory import two_penalty_risk

    with accuracy_noted(notes):
        return float(two_penalty_risk(study.problem, study.n_brain, study.n_task))


def _money(study: Study, purchase: Purchase, numbers: dict[str, float], notes: list[str]) -> Money:
    plan = plan_of(purchase, notes)
    notes[:] = dict.fromkeys(notes)
    labels = study.n_task + numbers["information_value"]
    return Money(
        purchase=purchase,
        bill=bill(purchase, study),
        bill_of_labels=purchase.on_labels(labels),
        plan=plan,
        curve=curves_of(purchase, plan)[""],
    )


def _curves(study: Study) -> dict[str, xarray.Dataset]:
    """What the study would be worth with other numbers of labels, and with other numbers of
    recordings.

    Risks are in units of that of predicting 0. Values are NaN where there is nothing to compare:
    with a risk that is infinite, or against ridge regression beyond that of predicting 0."""
    problem = study.problem
    fewest = problem.latent_dim + 2
    centre = max(study.n_task, fewest)
    labels = np.geomspace(max(fewest, centre / 12), 12 * centre, _POINTS)
    least = problem.input_dim + 2
    amounts = np.geomspace(max(least, study.n_brain / 8), 8 * study.n_brain, _POINTS)
    return {
        "over_labels": _curve(
            study, "n_task", labels, _closed_forms(study, np.full(_POINTS, study.n_brain), labels)
        ),
        "over_recordings": _curve(
            study, "n_brain", amounts, _closed_forms(study, amounts, np.full(_POINTS, centre))
        ),
    }


def _curves_of_any_covariance(study: Study) -> dict[str, xarray.Dataset]:
    """The same, from one grid of both numbers: what recordings teach is computed once for each."""
    problem, penalty = study.problem, study.encoding_penalty
    fewest = problem.input_dim + 2 if penalty == 0 else problem.latent_dim + 1
    centre = max(study.n_task, 1.0)
    # Of even counts, so that the study's own number is not among them.
    amounts = np.geomspace(max(fewest, study.n_brain / 8), 8 * study.n_brain, 14)
    labels = np.geomspace(max(1.0, centre / 12), 12 * centre, 22)
    amounts, labels = (np.unique([*x, y]) for x, y in ((amounts, study.n_brain), (labels, centre)))
    found = _closed_forms(study, amounts[:, None], labels[None, :])
    row, column = (
        np.flatnonzero(x == y)[0] for x, y in ((amounts, study.n_brain), (labels, centre))
    )
    return {
        "over_labels": _curve(study, "n_task", labels, {k: x[row] for k, x in found.items()}),
        "over_recordings": _curve(
            study, "n_brain", amounts, {k: x[:, column] for k, x in found.items()}
        ),
    }


def _closed_forms(study: Study, n_brain: np.ndarray, n_task: np.ndarray) -> dict[str, np.ndarray]:
    """All that `worth` tells, and other risks, at once."""
    from ...theory import banded_ridge_risk, two_penalty_risk, worth

    cells, penalty = (study.problem, n_brain, n_task), study.encoding_penalty
    # A curve may pass through a corner that the study is not in.
    with accuracy_noted([]):
        found = worth(*cells, encoding_penalty=penalty)._asdict()
        found["two_penalty_risk"] = two_penalty_risk(*cells, encoding_penalty=penalty)
        if not study.is_white:
            found["banded_ridge_risk"] = banded_ridge_risk(*cells, encoding_penalty=penalty)
    shape = np.broadcast_shapes(n_brain.shape, n_task.shape)
    return {name: np.broadcast_to(np.asarray(values), shape) for name, values in found.items()}


def _curve(
    study: Study, along: str, at: np.ndarray, found: dict[str, np.ndarray]
) -> xarray.Dataset:
    import xarray

    comparable = np.isfinite(found["risk"])
    better = comparable & ~found["worse_than_predicting_zero"]
    power = float(study.problem.total_power)
    risks = ("task_only_risk", "ridge_risk", "risk", "two_penalty_risk", "banded_ridge_risk")
    curves = {name: found[name] / power for name in risks if name in found}
    curves["value_ols"] = np.where(comparable, found["value"], np.nan)
    curves["value_ridge"] = np.where(better, found["value_vs_ridge"], np.nan)
    curves["information_value"] = found["information_value"]
    return xarray.Dataset(
        {name: (along, values) for name, values in curves.items()}, coords={along: at}
    )


def _versions() -> dict[str, str]:
    import jax
    import matplotlib

    from ... import __version__

    return {
        "jaxbrain": __version__,
        "JAX": jax.__version__,
        "NumPy": np.__version__,
        "Matplotlib": matplotlib.__version__,
        "Python": platform.python_version(),
        "arithmetic": f"float64, on a {jax.devices()[0].device_kind}".replace(" a cpu", " a CPU"),
    }


def simulated_here(content: Content) -> dict[str, float] | None:
    """What the simulation says of the study itself; None where it does not reach it."""
    if content.simulation is None:
        return None
    found = content.simulation.found
    at = {"n_brain": round(content.study.n_brain), "n_task": round(content.study.n_task)}
    if any(at[name] not in found[name].values for name in at):
        return None
    cell = found.sel(at)
    return {str(name): float(cell[name]) for name in cell.data_vars}

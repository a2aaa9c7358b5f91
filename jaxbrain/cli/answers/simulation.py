"""A simulation of the study beside its closed form, as large as a short wait allows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ...study import Study
from ...study.toml import LARGEST
from .draws import draws_within
from .notes import accuracy_noted

if TYPE_CHECKING:
    import xarray

# Rough seconds that may be spent on draws. Compilation comes on top.
_PATIENCE = 18.0
_BRAIN = (0.25, 0.5, 1.0, 2.0, 4.0)
_TASK = (0.2, 0.5, 1.0, 2.0, 5.0)
_FEW = (0.5, 1.0, 2.0)
_CELL = ("n_brain", "n_task")


@dataclass(frozen=True)
class Simulation:
    """What was drawn, and what it says, with 95 % intervals (`_low`, `_high`)."""

    found: xarray.Dataset
    """Over (n_brain, n_task): `risk`, `two_penalty_risk` and `information_value`. Also `value_ols`
    and `value_ridge`, where all stages were drawn or inputs are not white. Over n_task, where all
    stages were drawn: `task_only_risk` and `ridge_risk`."""
    seed: int
    seeds: int
    trials: int
    draws_labels: bool
    """Whether labels were drawn as well as recordings; otherwise their part is the closed form.
    With two penalties it always is."""


def simulate(study: Study, seed: int) -> Simulation | None:
    """Exact draws of the study and its surroundings; None where a handful would take too long.

    A number depends on the study and the seed alone, not on how fast the machine is.
    """
    return _of_white(study, seed) if study.is_white else _of_any_covariance(study, seed)


def _of_white(study: Study, seed: int) -> Simulation | None:
    import jax

    from ...simulation import empirical_value, sweep
    from ...simulation.drawn_subspaces import labels_worth, with_two_penalties

    problem = study.problem
    n_task, n_brain = _labels(study), _recordings(study)
    here = np.array([max(round(study.n_brain), problem.input_dim + 2)])
    brain, task = _seconds(study)
    draws = _PATIENCE / 2 / (brain * len(n_brain) + task * (len(n_task) + 24))
    whole = draws >= 50
    if whole:
        seeds, trials = 10, int(min(50, draws // 10))
    else:
        draws = _PATIENCE / brain
        if draws < 8:
            return None
        n_brain, seeds, trials = here, 2, int(min(50, draws // 2))
    # The curves tell how far the closed form can be trusted; here it only sets penalties.
    with accuracy_noted([]):
        drawn = sweep(
            problem,
            n_brain,
            n_task,
            trials=trials,
            seeds=seeds,
            key=jax.random.key(seed),
            traces="drawn" if whole else "closed form",
        )
        parts = _with_intervals(drawn, "risk", _CELL, seeds, trials)
        both = _with_intervals(with_two_penalties(problem, drawn), "risk", _CELL, seeds, trials)
        parts |= {f"two_penalty_{name}": part for name, part in both.items()}
        # The higher the risk, the less recordings are worth.
        for end, risk_end in (("", ""), ("_low", "_high"), ("_high", "_low")):
            worth = labels_worth(problem, both[f"risk{risk_end}"][1], n_task[None, :])
            parts[f"information_value{end}"] = (_CELL, worth)
        if whole:
            shown = drawn.sel(n_task_only=n_task).rename(n_task_only="task")
            for name in ("task_only_risk", "ridge_risk"):
                parts |= _with_intervals(shown, name, ("n_task",), seeds, trials)
            for baseline in ("ols", "ridge"):
                parts |= _values(empirical_value(drawn, baseline), f"value_{baseline}")
    import xarray

    coordinates = {"n_brain": n_brain, "n_task": n_task}
    found = xarray.Dataset(parts, coords=coordinates, attrs=drawn.attrs)
    return Simulation(found, seed, seeds, trials, whole)


def _of_any_covariance(study: Study, seed: int) -> Simulation | None:
    """BEFS with one and with two penalties, from draws of what recordings teach."""
    import jax
    import xarray

    from ...simulation import empirical_value, sweep

    problem, encoding = study.problem, study.encoding_penalty
    is_best = encoding == "optimal"
    # Each cell then learns from recordings by an encoding penalty of its own.
    brain, task = (_FEW, _FEW) if is_best else (_BRAIN, _TASK)
    fewest = problem.input_dim + 2 if encoding == 0 else problem.latent_dim + 1
    n_brain = _around(study.n_brain, brain, fewest)
    n_task = _around(max(round(study.n_task), 1), task, 1)
    learned = len(n_brain) * (len(n_task) if is_best else 1)
    seeds, draws = 10, draws_within(_PATIENCE / 2 / learned, problem)
    if draws < 20:
        # The study itself alone.
        n_brain, n_task = np.array([round(study.n_brain)]), np.array([max(round(study.n_task), 1)])
        seeds, draws = 2, draws_within(_PATIENCE / 2, problem)
    trials = draws // seeds
    if trials < 2:
        return None
    parts, attributes = {}, {}
    for estimator, name, values in (
        ("befs", "risk", {"value_ols": "ols", "value_ridge": "ridge"}),
        ("befs_two_penalties", "two_penalty_risk", {"information_value": "ridge"}),
    ):
        with accuracy_noted([]):
            drawn = sweep(
                problem,
                n_brain,
                n_task,
                trials=trials,
                seeds=seeds,
                key=jax.random.key(seed),
                estimator=estimator,
                encoding_penalty=encoding,
            )
        attributes = drawn.attrs
        told = _with_intervals(drawn, "risk", _CELL, seeds, trials)
        parts |= {each.replace("risk", name): part for each, part in told.items()}
        for value, baseline in values.items():
            parts |= _values(empirical_value(drawn, baseline), value)
    found = xarray.Dataset(parts, {"n_brain": n_brain, "n_task": n_task}, attributes)
    return Simulation(found, seed, seeds, trials, draws_labels=False)


def _values(worth: xarray.Dataset, name: str) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    ends = ("", "_low", "_high")
    return {f"{name}{end}": (_CELL, worth[f"value{end}"].values[..., 0]) for end in ends}


def _labels(study: Study) -> np.ndarray:
    fewest = study.problem.latent_dim + 2
    return _around(max(round(study.n_task), fewest), _TASK, fewest)


def _recordings(study: Study) -> np.ndarray:
    return _around(study.n_brain, _BRAIN, study.problem.input_dim + 2)


def _around(centre: float, factors: tuple[float, ...], fewest: int) -> np.ndarray:
    """Numbers on both sides of the study's own, as far as numbers of samples may go."""
    return np.unique([int(min(max(round(centre * f), fewest), LARGEST)) for f in factors])


def _seconds(study: Study) -> tuple[float, float]:
    """Roughly how long a draw of recordings, and one of labels, takes for one number of them."""
    from ...simulation.brain_stage import is_dense, reduce_model

    sizes = reduce_model(study.problem)[1]
    d, k, spare = sizes
    brain = 1e-10 * min(d, k + spare) ** 3 if is_dense(sizes) else 0.3 + 2.5e-9 * d * k**2
    return brain + 1e-5, 2e-6 * d


def _with_intervals(
    drawn: xarray.Dataset, name: str, dims: tuple[str, ...], seeds: int, trials: int
) -> dict[str, tuple[tuple[str, ...], np.ndarray]]:
    """The mean over all draws and the ends of its interval, by Student's t, as draws may be few."""
    from scipy.special import stdtrit

    values = drawn[name].mean("seed").values
    error = np.sqrt((drawn[f"{name}_standard_error"] ** 2).sum("seed").values) / seeds
    values, error = (x[..., 0] if x.ndim > len(dims) else x for x in (values, error))
    error = np.where(np.isfinite(values), error, np.nan)
    reach = float(stdtrit(seeds * (trials - 1), 0.975))
    return {
        name: (dims, values),
        f"{name}_error": (dims, error),
        f"{name}_low": (dims, values - reach * error),
        f"{name}_high": (dims, values + reach * error),
    }

"""What recordings are worth in a study, as plain numbers."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ...study import Study
from .draws import draws_within
from .notes import accuracy_noted

if TYPE_CHECKING:
    import xarray


# Some are computed at a time: 32 768 kinds took 50 MB beyond what a few take, and 8 192 of them
# took 70 MB in the curves of a picture. A few take no more than compiling does.
_BYTES_A_KIND, _BYTES_A_KIND_IN_CURVES = 1e4, 2e4
# Matrices of latents by latents, at all nodes of a spectrum, where inputs are not white.
_BYTES_A_PAIR = 4e3
# Seconds for draws, compilation apart; fewer draws than these would tell less than closed forms.
_PATIENCE = 60.0
_FEWEST_DRAWS = 8


def bytes_needed(study: Study, curves: bool) -> float:
    """Memory of the closed forms, roughly. Latents of one kind are computed once.

    Where inputs are not white, latents differ in their directions."""
    problem = study.problem
    if not study.is_white:
        return _BYTES_A_PAIR * problem.latent_dim**2
    kinds = len(np.unique(np.stack([problem.latent_noise, problem.gain]), axis=1).T)
    return kinds * (_BYTES_A_KIND + (_BYTES_A_KIND_IN_CURVES if curves else 0.0))


def answer_of(study: Study, notes: list[str]) -> tuple[dict[str, float], bool]:
    """Everything that `jaxbrain.worth` tells, and whether it is worse than predicting 0.

    Where inputs are not white, or the encoding stage has a penalty, the test errors of BEFS with
    two penalties and of banded ridge stand beside. `notes` on how far the numbers can be trusted
    are added.
    """
    from ...theory import banded_ridge_risk, two_penalty_risk, worth

    cells = study.problem, study.n_brain, study.n_task
    penalty = study.encoding_penalty
    with accuracy_noted(notes):
        answer = worth(*cells, encoding_penalty=penalty)
        numbers = {name: float(value) for name, value in answer._asdict().items()}
        if not study.is_white:
            numbers["two_penalty_risk"] = float(two_penalty_risk(*cells, encoding_penalty=penalty))
            numbers["banded_ridge_risk"] = float(
                banded_ridge_risk(*cells, encoding_penalty=penalty)
            )
    beyond_ridge = bool(numbers.pop("worse_than_predicting_zero"))
    if math.isinf(numbers["risk"]):
        # Too few labels to read the subspace out: nothing that could be compared.
        undefined = ("value", "value_vs_ridge", "exchange_rate", "savings")
        numbers |= dict.fromkeys(undefined, math.nan)
    return numbers, beyond_ridge


def simulated_of(
    study: Study, numbers: dict[str, float], notes: list[str]
) -> tuple[dict[str, float], bool, dict[str, float]]:
    """The same numbers where closed forms are off by more than usual: of BEFS, by exact draws.

    Also whether it is worse than predicting 0, and standard errors by name. `notes` get one on what
    was drawn. Only for inputs that are not white; a number that has no mean stays as it is.
    """
    import jax

    from ...simulation import simulated_worth

    problem, n_brain, n_task = study.problem, round(study.n_brain), round(study.n_task)
    trials = draws_within(_PATIENCE / 2, problem)
    if trials < _FEWEST_DRAWS or n_task < 1:
        return numbers, numbers["risk"] >= float(problem.total_power), {}
    one, two = (
        simulated_worth(
            problem,
            n_brain,
            n_task,
            estimator=estimator,
            encoding_penalty=study.encoding_penalty,
            trials=trials,
            key=jax.random.key(0),
        )
        for estimator in ("befs", "befs_two_penalties")
    )
    numbers, errors = dict(numbers), {}

    def take(name: str, value: float, error: float) -> None:
        if math.isfinite(value):
            numbers[name], errors[name] = value, error

    take("two_penalty_risk", two.risk, two.risk_standard_error)
    take("information_value", max(two.value_vs_ridge, 0.0), two.value_vs_ridge_standard_error)
    beyond_ridge = one.risk >= float(problem.total_power)
    if math.isfinite(one.risk):
        take("risk", one.risk, one.risk_standard_error)
        numbers["penalty"] = one.penalty
        take("value", one.value_vs_ols, one.value_vs_ols_standard_error)
        against_ridge = one.value_vs_ridge, one.value_vs_ridge_standard_error
        take("value_vs_ridge", *((-study.n_task, 0.0) if beyond_ridge else against_ridge))
        numbers["exchange_rate"] = numbers["value"] / study.n_brain
        numbers["savings"] = numbers["value"] / (study.n_task + numbers["value"])
    notes.append(
        f"risks and values of BEFS are simulated here, by {trials} exact draws of what recordings "
        "teach; each has its standard error"
    )
    return numbers, beyond_ridge, errors


def ranked(changes: dict[str, dict[str, float]]) -> dict[str, tuple[float, float]]:
    """Changes of the value against least squares and of the information value, by the name of the
    thing.

    The largest of the information value come first, what is undefined last.
    """
    value, information = changes["value"], changes["information_value"]
    measure = information if any(map(math.isfinite, information.values())) else value
    names = sorted(measure, key=lambda n: -abs(measure[n]) if math.isfinite(measure[n]) else 1)
    return {name: (value[name], information[name]) for name in names}


def changes_of(
    study: Study, numbers: dict[str, float], notes: list[str]
) -> dict[str, dict[str, float]]:
    """Elasticities of both values, NaN where the value itself is not defined."""
    from ...theory import elasticities

    changes = {}
    for measure in ("value", "information_value"):
        with accuracy_noted(notes):
            found = elasticities(
                study.problem,
                study.n_brain,
                study.n_task,
                measure=measure,
                encoding_penalty=study.encoding_penalty,
            )
        defined = math.isfinite(numbers[measure])
        changes[measure] = {
            name: float(change) if defined else math.nan for name, change in found._asdict().items()
        }
    return changes


def savings_of(study: Study) -> tuple[xarray.Dataset, tuple[float, float]]:
    """Shares of the labels that recordings save, and n_task and share of the study itself.

    Over n_brain and n_task, `ols` and `ridge`: against least squares and optimal ridge. The amounts
    are a quarter, half, one, two and ten times the study's, those above input_dim + 1, or with an
    encoding penalty above latent_dim. The study's own share is NaN where its risk is infinite."""
    import xarray

    from ...theory import risk, savings

    problem, n_brain, n_task = study.problem, study.n_brain, study.n_task
    fewest = max(problem.latent_dim + 2, n_task / 30)
    labels = np.geomspace(fewest, max(100 * n_task, 1000 * fewest), 200)
    amounts = n_brain * np.array([0.25, 0.5, 1.0, 2.0, 10.0])
    penalised = study.encoding_penalty != 0
    amounts = amounts[amounts > (problem.latent_dim if penalised else problem.input_dim + 1)]
    penalty = study.encoding_penalty
    # A curve may pass through a corner that the study is not in.
    with accuracy_noted([]):
        shares = {
            baseline: np.asarray(
                savings(
                    problem,
                    amounts[:, None],
                    labels[None, :],
                    baseline=baseline,
                    encoding_penalty=penalty,
                )
            )
            for baseline in ("ols", "ridge")
        }
        # With too few labels to read the subspace out there is nothing to compare.
        known = np.isfinite(float(risk(problem, n_brain, n_task, encoding_penalty=penalty)))
        share = savings(problem, n_brain, n_task, baseline="ols", encoding_penalty=penalty)
        here = float(share) if known else math.nan
    curves = xarray.Dataset(
        {name: (("n_brain", "n_task"), values) for name, values in shares.items()},
        coords={"n_brain": amounts, "n_task": labels},
    )
    return curves, (n_task, here)

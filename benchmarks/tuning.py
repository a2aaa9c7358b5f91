"""What tuning costs: penalties in closed form by the thousand, and those of many targets on data.

python -m benchmarks.tuning [--device gpu]
"""

import jax
import jax.numpy as jnp
import numpy as np

import jaxbrain as jb

from ._measure import peak_memory_gb, prepare, seconds, side_by_side, store

TARGETS, ROWS, INPUTS = 200, 2000, 500
GRID = 50


def closed_form() -> dict:
    """A thousand penalties of the fMRI problem, from starts six decades away."""
    problem = jb.presets.fmri().problem()
    n_brain, n_task = jnp.linspace(4200.0, 60_000, 1000), jnp.geomspace(450.0, 1e6, 1000)

    @jax.jit
    @jax.vmap
    def tune(n_brain, n_task):
        best = jb.optimal_penalty(problem, n_brain, n_task)
        objective = jb.ClosedFormRisk(problem, n_brain, n_task, estimator="befs")
        found = jb.tune_penalty(objective, best * 10**5.7)
        return found.penalty / best, found.converged

    result = seconds(lambda: tune(n_brain, n_task), repetitions=5)
    ratio, converged = tune(n_brain, n_task)
    result["largest relative error"] = float(jnp.max(jnp.abs(ratio - 1)))
    result["converged"] = float(jnp.mean(converged))
    return result


def on_data() -> dict:
    """A penalty for each of 200 targets, on 2 000 rows and 500 inputs, against other libraries."""
    from himalaya.ridge import RidgeCV as HimalayaRidgeCV
    from sklearn.linear_model import RidgeCV

    rng = np.random.default_rng(0)
    inputs = rng.standard_normal((ROWS, INPUTS))
    strength = 10 ** rng.uniform(-1, 1, TARGETS)
    weights = rng.standard_normal((INPUTS, TARGETS)) / INPUTS**0.5 * strength
    targets = inputs @ weights + rng.standard_normal((ROWS, TARGETS))
    inputs -= inputs.mean(0)
    targets -= targets.mean(0)
    alphas = ROWS * np.geomspace(1e-3, 1e3, GRID)

    def ours(objective):
        found = jb.tune_penalty(objective(inputs, targets, per_target=True, intercept=False))
        return found.penalty, found.value, found.converged

    def sklearn():
        fitted = RidgeCV(alphas, fit_intercept=False, alpha_per_target=True).fit(inputs, targets)
        return fitted.alpha_ / ROWS

    def himalaya():
        fitted = HimalayaRidgeCV(
            alphas=alphas, cv=5, fit_intercept=False, solver_params={"local_alpha": True}
        ).fit(inputs, targets)
        return fitted.best_alphas_ / (0.8 * ROWS)

    # What no tuning of this kind can do without: one Gram matrix and its eigenvectors.
    on_device = jnp.asarray(inputs)
    least = jax.jit(lambda x: jnp.linalg.eigh(x.T @ x))
    results: dict = side_by_side(
        {
            "leave-one-out": lambda: ours(jb.LeaveOneOut),
            "generalised cross-validation": lambda: ours(jb.GeneralizedCrossValidation),
            "five folds": lambda: ours(jb.KFold),
            f"scikit-learn RidgeCV, leave-one-out, {GRID} penalties": sklearn,
            f"himalaya RidgeCV, five folds, {GRID} penalties": himalaya,
            "one Gram matrix and its eigenvectors": lambda: least(on_device),
        },
        3,
    )
    kernel = results["one Gram matrix and its eigenvectors"]["median_s"]
    results["fraction_of_limit"] = kernel / results["leave-one-out"]["median_s"]
    penalty, _, converged = map(np.asarray, ours(jb.LeaveOneOut))
    # A grid has ends, where ours may go on to infinity.
    off = np.abs(np.log10(np.clip(penalty, *alphas[[0, -1]] / ROWS) / sklearn()))
    results["penalties that are infinite"] = int(np.isinf(penalty).sum())
    results["converged"] = float(converged.mean())
    results["largest distance to scikit-learn's choice, in steps of its grid"] = float(
        off.max() / (6 / (GRID - 1))
    )
    # himalaya's folds are others than ours: its choices are near ours, not the same.
    penalty = np.asarray(ours(jb.KFold)[0])
    off = np.abs(np.log10(np.clip(penalty, *alphas[[0, -1]] / ROWS) / himalaya()))
    results["median distance to himalaya's choice, in steps of its grid"] = float(
        np.median(off) / (6 / (GRID - 1))
    )
    results["peak_memory_gb"] = peak_memory_gb()
    return results


def main() -> None:
    prepare(__doc__)
    store("tuning_closed_form", {"1000 closed-form penalties, fMRI problem": closed_form()})
    store("tuning_data", {f"{TARGETS} penalties, {ROWS} rows, {INPUTS} inputs": on_data()})


if __name__ == "__main__":
    main()

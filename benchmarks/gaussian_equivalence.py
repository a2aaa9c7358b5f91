"""How far the closed forms hold for features that are not Gaussian.

    python -m benchmarks.gaussian_equivalence

Closed forms know the covariance of the features alone. Beside them stand rows of random ReLU
features, and of the features of macaque V4's images, at the penalties that closed forms call best.
Writes results/gaussian_equivalence.json, of which `python -m benchmarks.accuracy` makes tables.
"""

import time

import jax
import jax.numpy as jnp
import numpy as np

import jaxbrain as jb
from jaxbrain.theory.any_covariance import solve_cells
from jaxbrain.theory.spectral_study import with_geometry

from ._measure import prepare, store
from ._non_gaussian import (
    CHANNELS,
    LATENTS,
    RECORDING_NOISE,
    V4,
    Rows,
    Study,
    gaussian_rows,
    learned,
    relu_study,
    study_of_lengths,
    study_of_rows,
    v4_features,
    with_features,
    with_subspace,
)

ESTIMATORS = ("befs", "befs_two_penalties", "banded_ridge")
ENCODING_PENALTY = 0.05
"""Of the mean variance of the features."""
COLUMNS = ["study", "n_brain", "n_task", "estimator", "penalty", "risk", "simulated", "error"]


def studies():
    """Names, studies, numbers of recordings and of labels, splits."""
    for sources in (400, 50, 10):
        for linear in (True, False):
            kind = "linear" if linear else "teachers"
            name = f"200 ReLU features of {sources} sources, {kind}"
            yield name, relu_study(200, sources, linear, 0.5), (150, 1000), (100, 400), 300
    for spread in (0.5, 1.0):
        name = f"200 Gaussian features, lengths² vary by e^{spread:g}"
        yield name, study_of_lengths(200, spread, 0.5), (150, 1000), (100, 400), 300
    if V4.exists():
        for components in (None, 100):
            images = v4_features(components)
            which = f"{components} components" if components else "all features"
            for rows, features in (("images", images), ("Gaussian rows", gaussian_rows(images, 0))):
                yield f"V4, {which}, {rows}", study_of_rows(features, 0.5), (500,), (100, 300), 150


def problem_of(study: Study) -> jb.Problem:
    """The study as the library has it."""
    covariance = study.covariance
    if np.count_nonzero(covariance - np.diag(np.diag(covariance))) == 0:
        covariance = np.diag(covariance)
    model = jb.LinearGaussianModel(
        encoder=study.encoder,
        readout=np.eye(CHANNELS, LATENTS),
        latent_noise=study.latent_noise,
        recording_noise=RECORDING_NOISE,
        task_weights=study.weights,
        task_noise=study.task_noise,
        input_covariance=covariance,
    )
    return with_geometry(model.problem())


def best_ridge(problem: jb.Problem, n_task: np.ndarray, unit: float):
    """The least test error of ridge over a fine grid of penalties, and where it is."""
    penalties = unit * np.geomspace(1e-4, 1e4, 321)
    risks = np.asarray(jb.ridge_risk(problem, n_task[:, None], penalties[None, :]))
    return risks.min(axis=1), penalties[risks.argmin(axis=1)]


def rows_of(name: str, study: Study, n_brain: int, labels: tuple[int, ...], splits: int):
    """Closed forms at their best penalties, and the mean over splits at the same ones."""
    problem, n_task = problem_of(study), np.array(labels, float)
    unit = float(np.trace(study.covariance) / len(study.covariance))
    encoding = ENCODING_PENALTY * unit
    cells = problem, jnp.asarray(float(n_brain)), jnp.asarray(n_task), None, None
    told = {each: solve_cells(*cells, jnp.asarray(encoding), each) for each in ESTIMATORS}
    told = {each: jax.tree.map(np.asarray, found) for each, found in told.items()}
    ridge, ridge_penalty = best_ridge(problem, n_task, unit)
    rng, errors = np.random.default_rng([len(study.weights), n_brain]), {}
    for _ in range(splits):
        brain, taught, error = study.split(rng, n_brain, max(labels))
        encoder, basis = learned(brain, encoding)
        nothing = np.zeros((len(encoder), 1))
        for at, n in enumerate(labels):
            task = Rows(*(array[:n] for array in taught))
            found = {"ridge": with_features(task, nothing, float(ridge_penalty[at]))}
            for each, answer in told.items():
                penalty = float(answer.penalty[at])
                second = float(answer.second_penalty[at]) / penalty
                if each == "banded_ridge":
                    found[each] = with_features(task, encoder / np.sqrt(second), penalty)
                else:
                    found[each] = with_subspace(task, basis, penalty, second)
            for each, weights in found.items():
                errors.setdefault((each, at), []).append(error(weights))
    for (each, at), found in errors.items():
        answer = (ridge_penalty, ridge) if each == "ridge" else told[each][1::-1]
        numbers = [answer[0][at], answer[1][at], np.mean(found)]
        numbers.append(np.std(found, ddof=1) / np.sqrt(splits))
        yield [name, n_brain, labels[at], each, *(float(f"{x:.5g}") for x in numbers)]


def main() -> None:
    prepare(__doc__)
    rows, start = [], time.perf_counter()
    for name, study, recordings, labels, splits in studies():
        for n_brain in recordings:
            for row in rows_of(name, study, n_brain, labels, splits):
                rows.append(row)
                off, noise = row[5] / row[6] - 1, row[7] / row[6]
                print(
                    f"{time.perf_counter() - start:.0f} s",
                    *row,
                    f"{off:+.3f} ± {noise:.3f}",
                    flush=True,
                )
    store("gaussian_equivalence", {"columns": COLUMNS, "rows": rows})


if __name__ == "__main__":
    main()

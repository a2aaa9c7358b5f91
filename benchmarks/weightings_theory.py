"""Which prior should recordings give to the weights of a task? Closed forms of several compared.

    python -m benchmarks.weightings_theory

The prior covariance is 1 + ρ W Wᵀ. W is the encoder M with its singular values raised to a power,
shrunk or cut. With many recordings for each latent MᵀM is as good as its mean, and W that of other
readouts of the same latents, for which `banded_ridge_risk` is the closed form. Power 0 is BEFS with
two penalties, whose own closed form stands beside it. Channels are quiet, as many as latents.
docs/estimators.md shows the table.
"""

from __future__ import annotations

import time
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np

import jaxbrain as jb
from jaxbrain.models.geometry import InputGeometry, spectrum_terms
from jaxbrain.theory.any_covariance import solve_cells
from jaxbrain.theory.learned_prior import befs_prior, ridge_encoding

from ._measure import prepare, store

D, N_TASK, MISALIGNMENT, LATENT_NOISE, TASK_NOISE = 300, 225, 0.15, 0.3, 1.0
ENCODING_PENALTIES = np.geomspace(1e-3, 1.0, 7)


class Study(NamedTuple):
    """A study of 300 inputs; latents show in channels in proportion to i^−decay."""

    exponent: float
    latents: int
    decay: float
    n_brain: int
    task: str = "even"
    """Over latents: even, as their gains, or on the half that shows least."""


STUDIES = {
    "white, k 6": Study(0.0, 6, 0.0, 600),
    "white, k 6, gains 1/i": Study(0.0, 6, 1.0, 600),
    "1/i, k 6": Study(1.0, 6, 0.0, 200),
    "1/i, k 16, gains i^-0.7": Study(1.0, 16, 0.7, 200),
    "i^-0.7, k 16, gains i^-0.7": Study(0.7, 16, 0.7, 450),
    "1/i, k 16, gains 1/i, task as gains": Study(1.0, 16, 1.0, 200, "gains"),
    "1/i, k 16, gains 1/i, task on the weak half": Study(1.0, 16, 1.0, 200, "weak"),
}


def arrays_of(study: Study) -> tuple[InputGeometry, np.ndarray, np.ndarray]:
    """Where brain and task lie, the gains, and the task on latents."""
    k, rng = study.latents, np.random.default_rng(0)
    variances = np.arange(1, D + 1.0) ** -study.exponent
    variances /= variances.mean()
    white = np.linalg.qr(np.sqrt(variances)[:, None] * rng.normal(size=(D, k + 1)))[0]
    gains = np.arange(1, k + 1.0) ** -study.decay
    task = {"even": np.ones(k), "gains": gains, "weak": np.arange(k) >= k // 2}[study.task]
    task = np.sqrt(1 - MISALIGNMENT) * task / np.linalg.norm(task)
    weights = white @ np.append(task, np.sqrt(MISALIGNMENT))
    return InputGeometry(variances, white[:, :k], weights), gains**2, task


def problem_of(geometry: InputGeometry, gain: np.ndarray, task: np.ndarray) -> jb.Problem:
    """With any readout: its HᵀH."""
    k = len(task)
    return jb.Problem(
        input_dim=D,
        latent_dim=k,
        latent_noise=LATENT_NOISE * np.eye(k),
        gain=gain,
        recording_noise=0.0,
        aligned_power=np.outer(task, task),
        misaligned_power=MISALIGNMENT,
        task_noise=TASK_NOISE,
        geometry=geometry,
    )


def root(matrix: np.ndarray, exponent: float = 0.5) -> np.ndarray:
    values, vectors = np.linalg.eigh(matrix)
    return (vectors * np.maximum(values, 1e-300) ** exponent) @ vectors.T


def gains_of(problem: jb.Problem, n_brain: float, penalty: float) -> dict[str, np.ndarray]:
    """HᵀH that stands for each weighting: M = Ĝ Hᵀ, with the mean of ĜᵀĜ."""
    geometry, prior = problem.known_geometry, befs_prior(problem)
    gain = np.asarray(problem.gain)
    found = ridge_encoding(prior, jnp.asarray(n_brain), jnp.asarray(penalty))
    shrunk = 1 - 2 * penalty * found.q + penalty**2 * found.twice
    passed = found.q - penalty * found.twice
    noise = np.asarray(problem.encoding_noise) / n_brain

    def mean(signal, of_noise):
        shown = np.tensordot(spectrum_terms(signal), geometry.latents, 1)
        return shown, noise * float(found.over_directions(of_noise))

    gram = sum(mean(shrunk / prior.nodes, passed))
    half, back = root(gram), root(gram, -0.5)
    spread = half @ gain @ half
    weightings = {"power 0": back @ back}
    for name, exponent in (("1/2", 0.5), ("1", 1.0), ("3/2", 1.5)):
        weightings[f"power {name}"] = back @ root(spread, exponent) @ back
    # By the share of the variance that each direction predicts which noise would not give it.
    signal, of_noise = mean(shrunk, prior.nodes * passed)
    readout = root(gain)
    predicted, axes = np.linalg.eigh(readout @ (signal + of_noise) @ readout)
    share = 1 - np.sum(axes * (readout @ of_noise @ readout @ axes), axis=0) / predicted
    kept = readout @ axes
    weightings["shrunken"] = (kept * share) @ kept.T
    cut = np.where(share > 0.5, 1.0, 1e-6)
    weightings["thresholded"] = (kept * cut) @ kept.T
    return weightings


def risks_of(study: Study) -> dict[str, float]:
    """The least test error of each weighting, over encoding penalties too."""
    geometry, gain, task = arrays_of(study)
    problem = problem_of(geometry, np.diag(gain), task)
    n_task = jnp.asarray(float(N_TASK))
    found: dict[str, list[float]] = {}
    for penalty in ENCODING_PENALTIES:
        cells = jnp.asarray(float(study.n_brain)), n_task, None, None, jnp.asarray(penalty)
        exact = solve_cells(problem, *cells, "befs_two_penalties").risk
        found.setdefault("two penalties", []).append(float(exact))
        for name, weighted in gains_of(problem, study.n_brain, float(penalty)).items():
            # The penalty searched for is relative to the mean gain: any unit will do.
            other = problem_of(geometry, weighted * len(task) / np.trace(weighted), task)
            risk = solve_cells(other, *cells, "banded_ridge").risk
            found.setdefault(name, []).append(float(risk))
    ridge = {"ridge": float(jb.ridge_risk(problem, n_task))}
    return ridge | {name: float(np.nanmin(risks)) for name, risks in found.items()}


def main() -> None:
    prepare(__doc__)
    results, start = {}, time.perf_counter()
    for name, study in STUDIES.items():
        results[name] = risks_of(study)
        print(f"{time.perf_counter() - start:.0f} s", name)
        for each, risk in results[name].items():
            print(f"    {each:16} {risk:.4f}", flush=True)
    store("weightings_theory", results)


if __name__ == "__main__":
    main()

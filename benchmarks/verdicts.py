"""How often `jaxbrain fit` is right: verdicts, labels and intervals on studies of known truth.

    python -m benchmarks.verdicts --studies 100

draws studies in which brain and task merely share the inputs' spectrum, and such in which they
share latents. It prints how often recordings are said to help, what they are said to be worth in
labels beside what they are worth, and how often 95 % intervals hold the truth. The truth is read
off the mean over all studies of a setting. `--store` writes the numbers to `results/verdicts.json`.
"""

from __future__ import annotations

import argparse
import time
from typing import Any, NamedTuple

import jax
import numpy as np

from jaxbrain.pilot import (
    ESTIMATORS,
    evaluate,
    judge,
    over_rows,
    pilot_data,
    split_sizes,
    worth_in_labels,
)
from jaxbrain.pilot.labels import _crossing, _falling

from ._measure import store


class Setting(NamedTuple):
    """Studies of one kind. Inputs have the variances i^-exponent, scaled to mean 1."""

    input_dim: int
    exponent: float
    n_brain: int
    n_task: int
    latent_dim: int
    shares_latents: bool
    channels: int = 60
    targets: int = 1
    task_noise: float = 1.0


_SMALL = dict(input_dim=96, n_task=32, latent_dim=5)
SETTINGS = {
    **{
        f"spectrum i^-{exponent}, n_brain {n_brain}": Setting(
            exponent=exponent, n_brain=n_brain, shares_latents=False, **_SMALL
        )
        for exponent in (0.5, 1.0, 1.5)
        for n_brain in (64, 192)
    },
    "latents": Setting(384, 1.0, 250, 125, 10, True),
    "latents, 768 inputs": Setting(768, 1.0, 500, 250, 20, True),
}
# A study of it takes a minute.
_QUICK = [name for name in SETTINGS if name != "latents, 768 inputs"]


def study(setting: Setting, seed: int) -> Any:
    """Draw one: recordings are a study of their own, and a third of the labelled rows is tested."""
    rng = np.random.default_rng(seed)
    d, k, n_labelled = setting.input_dim, setting.latent_dim, 4 * setting.n_task
    spread = np.arange(1, d + 1) ** (-setting.exponent / 2)
    spread /= np.sqrt(np.mean(spread**2))

    def inputs(n: int) -> np.ndarray:
        return rng.normal(size=(n, d)) * spread

    # In white coordinates. Brain and task respond to strong inputs more, as all that takes inputs
    # as they come does: they have the inputs' spectrum. They may share directions beside.
    encoder = rng.normal(size=(d, k)) * spread[:, None]
    weights = rng.normal(size=(d, setting.targets)) * spread[:, None]
    if setting.shares_latents:
        weights = encoder @ rng.normal(size=(k, setting.targets))
    encoder /= np.linalg.norm(encoder, axis=0)
    weights /= np.linalg.norm(weights, axis=0)

    brain, task = inputs(setting.n_brain), inputs(n_labelled)
    latents = brain / spread @ encoder
    readout = rng.normal(size=(k, setting.channels)) / np.sqrt(k)
    recordings = latents @ readout + rng.normal(size=(setting.n_brain, setting.channels))
    targets = task / spread @ weights
    targets += np.sqrt(setting.task_noise) * rng.normal(size=targets.shape)
    return pilot_data(brain_inputs=brain, recordings=recordings, task_inputs=task, targets=targets)


def measured(setting: Setting, studies: int, repeats: int, first: int) -> dict[str, Any]:
    """Judge so many studies of a setting."""
    found, gaps, errors = [], [], []
    for seed in range(first, first + studies):
        data = study(setting, seed)
        sizes = split_sizes(data, None, setting.n_task, int(1.25 * setting.n_task))
        evaluation = evaluate(data, sizes, repeats, jax.random.key(seed))
        verdict, worth = judge(evaluation), worth_in_labels(evaluation)
        curves = evaluation.curves
        ridge = ESTIMATORS.index("ridge")
        gaps.append(
            {
                name: over_rows(curves, ESTIMATORS.index(name), ridge)
                for name in ("befs_two_penalties", "banded_ridge")
            }
        )
        errors.append(curves.errors.mean(axis=1))
        found.append((verdict, worth))
    cells, errors = curves.cells, np.array(errors)
    points = sorted((c.n_task, at) for at, c in enumerate(cells) if c.estimator == "ridge")
    numbers = np.array([n for n, _ in points], float)
    curve = _falling(np.array([errors[:, at].mean() for _, at in points]))

    def true_labels(name: str) -> float:
        gap = curve - errors[:, ESTIMATORS.index(name)].mean()
        return _crossing(numbers, gap, 0 * gap) - setting.n_task

    truth = {name: true_labels(name) for name in gaps[0]}
    told = [w for _, w in found if w.estimator in truth]
    ratios = [max(w.labels, 1.0) / max(truth[w.estimator], 1.0) for w in told]
    coverage = {
        name: np.mean(
            [
                each[name].low <= np.mean([g[name].mean for g in gaps]) <= each[name].high
                for each in gaps
            ]
        )
        for name in truth
    }
    findings = [verdict.finding for verdict, _ in found]
    names = [verdict.estimator for verdict, _ in found]
    return {
        "studies": studies,
        "repeats": repeats,
        **setting._asdict(),
        "helps": float(np.mean([f in ("helps", "avoids") for f in findings])),
        "findings": {f: findings.count(f) for f in dict.fromkeys(findings)},
        "chosen": {name: names.count(name) for name in dict.fromkeys(names)},
        "errors": {
            name: float(errors[:, ESTIMATORS.index(name)].mean()) for name in ("ridge", *truth)
        },
        "true_labels": truth,
        "labels_told": [round(w.labels, 1) for w in told],
        "median_labels": float(np.median([w.labels for w in told])) if told else None,
        "median_factor": float(np.exp(np.median(np.abs(np.log(np.clip(ratios, 1e-3, 1e3)))))),
        "labels_covered": float(
            np.mean([w.low <= truth[w.estimator] <= w.high for w in told]) if told else np.nan
        ),
        "covered": {name: float(share) for name, share in coverage.items()},
        "spread": {name: float(np.std([g[name].mean for g in gaps])) for name in truth},
        "half_interval": {
            name: float(np.mean([(g[name].high - g[name].low) / 2 for g in gaps])) for name in truth
        },
    }


def main() -> None:
    """Print what each setting shows."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--studies", type=int, default=100)
    parser.add_argument("--repeats", type=int, default=20)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--settings", nargs="*", default=_QUICK, choices=SETTINGS)
    parser.add_argument("--store", action="store_true")
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    rows = []
    for name in options.settings:
        start = time.process_time()
        row = {"setting": name} | measured(
            SETTINGS[name], options.studies, options.repeats, options.seed
        )
        row["cpu_seconds"] = time.process_time() - start
        rows.append(row)
        told = {key: value for key, value in row.items() if key != "labels_told"}
        print(told, flush=True)
    if options.store:
        store("verdicts", {"settings": rows})


if __name__ == "__main__":
    main()

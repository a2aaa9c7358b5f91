"""Do the intervals of `pilot.estimate` hold the truth? Simulated pilots of many kinds.

    python -m benchmarks.pilot_coverage --parts FOLDER [--pilots 0 500] [--settings 0 3]
    python -m benchmarks.pilot_coverage --parts FOLDER --store

The first draws pilots, a file for each setting in the folder; the second writes
`results/pilot_coverage.json` and the tables of docs/pilots.md from all of them. A pilot takes about
a second.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from ._measure import store
from ._pilot_page import PAGE, filled

# Inputs, latents, channels; what is not said is as in the first line of `_truth`.
INPUTS, LATENTS, CHANNELS = 40, 4, 40
DRAWS = 200
ARRAYS = ("brain_inputs", "recordings", "task_inputs", "targets")
SETTINGS: list[dict[str, Any]] = [
    {"n_brain": 200, "n_task": 200},
    {"n_brain": 120, "n_task": 100, "misalignment": 0.05},
    {"n_brain": 120, "n_task": 100, "misalignment": 0.9},
    {"n_brain": 60, "n_task": 40, "misalignment": 0.5, "targets": 20},
    {"n_brain": 30, "n_task": 30, "targets": 20},
    {"n_brain": 120, "n_task": 100, "exponent": 1.0},
    {"n_brain": 30, "n_task": 100, "misalignment": 0.5, "exponent": 1.0},
    {"n_brain": 120, "n_task": 30, "misalignment": 0.05, "exponent": 1.0, "targets": 20},
    {"n_brain": 12, "n_task": 200, "misalignment": 0.5, "exponent": 1.0},
    {"n_brain": 200, "n_task": 12, "misalignment": 0.2, "exponent": 1.0, "targets": 20},
    {"n_brain": 60, "n_task": 200, "misalignment": 0.9, "exponent": 1.0, "gain": 0.8},
    {"n_brain": 120, "n_task": 100, "gain": 0.8},
    {"n_brain": 120, "n_task": 100, "exponent": 1.0, "rank": None},
    {"n_brain": 120, "n_task": 100, "misalignment": 0.5, "targets": 20, "rank": None},
    {"n_brain": 60, "n_task": 30, "exponent": 1.0, "rank": None},
    # What the model does not know of.
    {"n_brain": 120, "n_task": 100, "violated": "heavy tails"},
    {"n_brain": 120, "n_task": 100, "violated": "saturating latents"},
    {"n_brain": 120, "n_task": 100, "violated": "two latents too few", "rank": 2},
    {"n_brain": 120, "n_task": 100, "violated": "two latents too many", "rank": 6},
    {"n_brain": 120, "n_task": 100, "violated": "dependent rows"},
    {"n_brain": 120, "n_task": 100, "violated": "dependent rows, in blocks", "block": 6},
    {"n_brain": 120, "n_task": 100, "violated": "shuffled recordings"},
]


def simulated(setting: dict[str, Any], rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Arrays of a pilot in plain NumPy, and the directions and weights behind them."""
    d, k, p, t = INPUTS, LATENTS, CHANNELS, setting["targets"]
    variances = np.arange(1, d + 1.0) ** -setting["exponent"]
    variances /= variances.mean()
    root = np.sqrt(variances)
    directions = np.linalg.qr(root[:, None] * rng.normal(size=(d, k)))[0]
    inside = rng.normal(size=(k, t))
    outside = root[:, None] * rng.normal(size=(d, t))
    outside -= directions @ (directions.T @ outside)
    m = setting["misalignment"]
    weights = np.sqrt(1 - m) * directions @ (inside / np.linalg.norm(inside, axis=0))
    weights += np.sqrt(m) * outside / np.linalg.norm(outside, axis=0)
    readout = np.linalg.qr(rng.normal(size=(p, k)))[0] * np.sqrt(setting["gain"])
    x_brain = rng.normal(size=(setting["n_brain"], d))
    x_task = rng.normal(size=(setting["n_task"], d))
    violated = setting["violated"] or ""
    rows = (len(x_brain), len(x_task))
    drawn = [rng.normal(size=shape) for shape in ((rows[0], k), (rows[0], p), (rows[1], t))]
    if violated == "heavy tails":
        # Of three degrees of freedom, and variance 1.
        drawn = [rng.standard_t(3, size=noise.shape) / np.sqrt(3) for noise in drawn]
    if violated.startswith("dependent"):
        # Half of the variance is shared by six rows that follow each other, of inputs and noise.
        x_brain, x_task, *drawn = (_in_blocks(x, rng) for x in (x_brain, x_task, *drawn))
    latents = x_brain @ directions
    if violated == "saturating latents":
        latents = np.tanh(latents) / np.sqrt(np.mean(np.tanh(rng.normal(size=10_000)) ** 2))
    latents = latents + np.sqrt(setting["latent_noise"]) * drawn[0]
    recordings = latents @ readout.T + drawn[1]
    if violated.startswith("shuffled"):
        recordings = rng.permutation(recordings)
    labels = x_task @ weights
    return {
        "brain_inputs": x_brain * root,
        "recordings": recordings,
        "task_inputs": x_task * root,
        "targets": labels + drawn[2] / np.sqrt(setting["task_snr"]),
        "variances": variances,
        "directions": directions,
        "weights": weights,
    }


def _in_blocks(rows: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    shared = rng.normal(size=(-(-len(rows) // 6), rows.shape[1])).repeat(6, axis=0)[: len(rows)]
    return (rows + shared) / np.sqrt(2)


def whole(setting: dict[str, Any]) -> dict[str, Any]:
    """A setting with what it leaves out."""
    usual = {"misalignment": 0.2, "exponent": 0.0, "targets": 1, "gain": 5.0, "rank": LATENTS}
    usual |= {"latent_noise": 0.3, "task_snr": 2.0, "violated": None, "block": 1}
    return usual | setting


NUMBERS_BEHIND = (
    *("task_snr", "misalignment", "aligned_power", "misaligned_power", "task_noise"),
    *("latent_noise", "encoding_noise", "gain"),
)


def numbers_behind(setting: dict[str, Any]) -> dict[str, float]:
    """The truth, in the units of an estimate."""
    m, noise = setting["misalignment"], 1 / setting["task_snr"]
    # Several targets are scaled to variance 1.
    unit = 1.0 if setting["targets"] == 1 else 1 + noise
    return {
        "task_snr": setting["task_snr"],
        "misalignment": m,
        "aligned_power": (1 - m) / unit,
        "misaligned_power": m / unit,
        "task_noise": noise / unit,
        "latent_noise": setting["latent_noise"],
        "encoding_noise": setting["latent_noise"] + 1 / setting["gain"],
        "gain": setting["gain"],
    }


def problem_behind(setting: dict[str, Any], arrays: dict[str, np.ndarray]) -> Any:
    """The problem that simulated the arrays."""
    from jaxbrain.models import Problem
    from jaxbrain.models.geometry import InputGeometry

    truth, directions = numbers_behind(setting), arrays["directions"]
    inside = directions.T @ arrays["weights"]
    outside = arrays["weights"] - directions @ inside
    told = np.sqrt(np.mean(inside**2, axis=1)) * np.sign(inside[:, 0])
    missed = np.sqrt(np.mean(outside**2, axis=1)) * np.sign(outside[:, 0])
    missed -= directions @ (directions.T @ missed)
    missed *= np.sqrt(setting["misalignment"]) / np.linalg.norm(missed)
    told, missed = (x * np.sqrt(truth["task_noise"] * setting["task_snr"]) for x in (told, missed))
    eye = jnp.eye(LATENTS)
    return Problem(
        input_dim=INPUTS,
        latent_dim=LATENTS,
        recording_dim=CHANNELS,
        latent_noise=setting["latent_noise"] * eye,
        gain=setting["gain"] * eye,
        recording_noise=1.0,
        aligned_power=np.outer(told, told),
        misaligned_power=np.sum(missed**2),
        task_noise=truth["task_noise"],
        geometry=InputGeometry(
            jnp.asarray(arrays["variances"]), directions, directions @ told + missed
        ),
    )


@jax.jit
def _values(problems: Any, n_brain: Any, n_task: Any, penalty: Any) -> Any:
    from jaxbrain import value

    return jax.lax.map(lambda p: value(p, n_brain, n_task, encoding_penalty=penalty), problems)


def share(value: Any, n_task: float) -> Any:
    """Of all labels, those that recordings are worth; −10 where that is without limit."""
    return np.maximum(value / np.maximum(value + n_task, 1e-9), -10.0)


def pilots_of(number: int, first: int, last: int) -> list[dict[str, list[float]]]:
    """Of each pilot in one setting: of each number the truth, and its low, middle and high end."""
    from jaxbrain import optimal_encoding_penalty, pilot
    from jaxbrain.pilot.estimates import numbers_of
    from jaxbrain.pilot.over_draws import worth_over_draws

    setting = whole(SETTINGS[number])
    truth = numbers_behind(setting)
    sizes = 4.0 * setting["n_brain"], 2.0 * setting["n_task"]
    penalty, found = None, []
    for place in range(first, last):
        arrays = simulated(setting, np.random.default_rng([number, place]))
        behind = problem_behind(setting, arrays)
        if penalty is None:
            penalty = optimal_encoding_penalty(behind, *sizes, estimator="befs")
        estimate = pilot.estimate(
            *(arrays[name] for name in ARRAYS),
            setting["rank"],
            draws=DRAWS,
            block=setting["block"],
            key=jax.random.fold_in(jax.random.key(number), place),
        )
        tables = [numbers_of(draws) for draws in estimate.draws]
        of_draws = {name: np.concatenate([t[name] for t in tables]) for name in NUMBERS_BEHIND}
        # Every other draw: closed forms take longer than draws.
        some = [jax.tree.map(lambda x: x[::2], draws) for draws in estimate.draws]
        of_draws["value"] = np.concatenate([_values(x, *sizes, penalty) for x in some])
        value = float(_values(jax.tree.map(lambda x: x[None], behind), *sizes, penalty)[0])
        if setting["violated"] == "shuffled recordings":
            # What is worth less than a hundredth of the labels is worth nothing.
            worth = worth_over_draws(estimate, *sizes, float(penalty))["information_value"]
            of_draws["information_value"] = np.maximum(worth - 0.01 * sizes[1], 0.0)
            truth = truth | {"information_value": 0.0}
        of_draws["savings"] = share(of_draws["value"], sizes[1])
        here = truth | {"value": value, "savings": float(share(value, sizes[1]))}
        found.append(
            {
                name: [here[name], *np.quantile(x, [0.025, 0.5, 0.975], method="nearest").tolist()]
                for name, x in of_draws.items()
            }
        )
    return found


def summary(setting: dict[str, Any], found: list[dict[str, list[float]]]) -> dict[str, Any]:
    """Coverage and width of the intervals of all numbers in one setting."""
    answer: dict[str, Any] = {"setting": setting, "pilots": len(found), "numbers": {}}
    for name in found[0]:
        behind, low, middle, high = np.array([one[name] for one in found]).T
        answer["numbers"][name] = {
            "truth": float(np.median(behind)),
            "median": float(np.median(middle)),
            "too_low": float(np.mean(high < behind)),
            "too_high": float(np.mean(low > behind)),
            "coverage": float(np.mean((low <= behind) & (behind <= high))),
            "width": float(np.median(high - low) / (3.92 * np.std(middle - behind))),
        }
    return answer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pilots", type=int, nargs=2, default=(0, 500), help="first, last")
    parser.add_argument("--settings", type=int, nargs="*", default=range(len(SETTINGS)))
    parser.add_argument("--parts", type=Path, required=True, help="folder of what is done")
    parser.add_argument("--store", action="store_true", help="only gather what is done")
    options = parser.parse_args()
    jax.config.update("jax_enable_x64", True)
    if options.store:
        answers = {}
        for number in options.settings:
            parts = sorted(options.parts.glob(f"{number}-*.json"))
            if not parts:
                continue
            found = [one for part in parts for one in json.loads(part.read_text())]
            answers[str(number)] = summary(SETTINGS[number], found)
        store("pilot_coverage", {"settings": answers})
        PAGE.write_text(filled(PAGE.read_text(), {"settings": answers}))
        return
    options.parts.mkdir(exist_ok=True)
    for number in options.settings:
        start = time.process_time()
        found = pilots_of(number, *options.pilots)
        name = f"{number}-{options.pilots[0]}-{options.pilots[1]}.json"
        (options.parts / name).write_text(json.dumps(found))
        answer = summary(SETTINGS[number], found)
        print(number, answer["setting"], f"{time.process_time() - start:.0f} s", flush=True)
        for name, row in answer["numbers"].items():
            print(
                f"  {name:17s} truth {row['truth']:.3f} median {row['median']:.3f} coverage "
                f"{row['coverage']:.3f} width {row['width']:.2f}",
                flush=True,
            )


if __name__ == "__main__":
    main()

"""What `public_numbers` calls: every public function, on problems of few shapes.

Each function here returns calls by name, not yet made. A call gives each argument whose default
may change.
"""

import contextlib
import importlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

# Names of today, and those before.
MOVED = {
    "pilot.encoding_rank": "pilot.evaluation.encoding_rank",
    "simulation.brain_numbers": "simulation.grids.brain_numbers",
    "simulation.penalty_numbers": "simulation.grids.penalty_numbers",
    "simulation.task_numbers": "simulation.grids.task_numbers",
}
METHODS = {"stage": "__call__", "taught": "misalignment"}


def find(path: str) -> Any:
    """A function by its name of today, where this commit has it."""
    for each in (path, MOVED[path]):
        room, _, name = f"jaxbrain.{each}".rpartition(".")
        with contextlib.suppress(ImportError, AttributeError):
            return getattr(importlib.import_module(room), name)
    raise AttributeError(path)


def method(thing: Any, name: str) -> Callable:
    """A method by its name of today, under the name that this commit has for it."""
    return getattr(thing, name, None) or getattr(thing, METHODS[name])


def make_problems(jb: Any) -> dict[str, Any]:
    """Twenty problems of few shapes: with and without channels, in spectra and in matrices."""
    rng = np.random.default_rng(0)

    def drawn(channels: int | None, in_matrices: bool = False, d: int = 24, k: int = 3) -> Any:
        noise, gain = rng.uniform(0.1, 0.8, k), rng.uniform(2.0, 30.0, k)
        aligned = rng.uniform(0.2, 0.7, k)
        if in_matrices:
            turns = [np.linalg.qr(rng.normal(size=(k, k)))[0] for _ in range(2)]
            noise, gain = (q * x @ q.T for q, x in zip(turns, (noise, gain), strict=True))
        return jb.Problem(
            input_dim=d,
            latent_dim=k,
            recording_dim=channels,
            latent_noise=noise,
            gain=gain,
            recording_noise=rng.uniform(0.3, 3.0),
            aligned_power=np.outer(aligned, aligned) if in_matrices else aligned**2,
            misaligned_power=rng.uniform(0.0, 0.4),
            task_noise=rng.uniform(0.1, 5.0),
        )

    numbers = [(0.1, 0.1, 0.54), (8.0, 0.3, 0.05), (1.0, 0.05, 20.0), (1.0, 0.0, 0.4)]
    numbers += [(1.0, 1.0, 0.4), (0.7, 0.2, 0.0)]
    found = {f"isotropic {i}": jb.Problem.isotropic(24, 3, *x) for i, x in enumerate(numbers)}
    found |= {f"spectra {i}": drawn(None) for i in range(3)}
    found |= {f"channels {i}": drawn(16) for i in range(5)}
    found |= {f"matrices {i}": drawn(16, in_matrices=True) for i in range(3)}
    found["many latents"] = drawn(16, d=12)
    return found | {name: model.problem() for name, model in make_models(jb).items()}


def make_models(jb: Any) -> dict[str, Any]:
    """The presets."""
    return {name: getattr(jb.presets, name)(1.0, 0.1) for name in ("small", "fmri")}


# Problems of other shapes than the first call these alone: the rest is made of the same parts.
FIRST_SHAPES = ("isotropic", "spectra", "channels")
BRIEF = ("expected_misalignment", "risk/shift", "worth", "favourability")


def closed_forms(jb: Any, problem: Any) -> dict[str, Callable]:
    """Closed forms of one problem, by name: all recordings by all labels, and penalties beside."""
    d = problem.input_dim
    b = d * np.array([1.25, 2.0, 5.0, 200.0, np.inf])[:, None]
    t = d * np.array([0.0, 0.3, 0.75, 2.0, 40.0, np.inf])
    p = np.array([0.0, 0.03, 1.0, 30.0, 1e3, np.inf])
    prices = np.array([0.2, 1.0, 7.0]), 1.5
    ols, fair = {"baseline": "ols", "order": "finite"}, {"baseline": "ridge", "order": "finite"}
    shift = jb.BlockShift(sensitive=0.3, missed=2.0, insensitive=1.2)

    def plan(estimator: str, baseline: str) -> Any:
        return jb.optimal_allocation(
            problem, 20.0 * d, 0.3, 1.0, 5.0, 2.0, estimator=estimator, baseline=baseline
        )

    return {
        "Problem": lambda: (problem, problem.gamma, problem.task_snr, problem.encoding_noise),
        "BlockShift": lambda: shift.trace(problem),
        "expected_misalignment": lambda: jb.expected_misalignment(problem, b, order="finite"),
        "expected_misalignment/first": lambda: jb.expected_misalignment(problem, b, order="first"),
        "risk": lambda: jb.risk(problem, b, t, order="finite"),
        "risk/penalty": lambda: jb.risk(problem, b, t, p, order="finite"),
        "risk/first": lambda: jb.risk(problem, b, t, p, order="first"),
        "risk/shift": lambda: jb.risk(problem, b, t, p, shift=shift, order="finite"),
        "optimal_penalty": lambda: jb.optimal_penalty(problem, b, t, order="finite"),
        "task_only_risk": lambda: jb.task_only_risk(problem, t),
        "ridge_risk": lambda: jb.ridge_risk(problem, t),
        "ridge_risk/shift": lambda: jb.ridge_risk(problem, t, p, shift=shift),
        "value": lambda: jb.value(problem, b, t, p, **ols),
        "value/ridge": lambda: jb.value(problem, b, t, **fair),
        "exchange_rate": lambda: jb.exchange_rate(problem, b, t, p, **ols),
        "savings": lambda: jb.savings(problem, b, t, **fair),
        "worth": lambda: jb.worth(problem, b, t),
        "two_penalty_risk": lambda: jb.two_penalty_risk(problem, b, t),
        "two_penalty_risk/given": lambda: jb.two_penalty_risk(problem, b, t, p, 0.5),
        "optimal_penalties": lambda: jb.optimal_penalties(problem, b, t),
        "information_value": lambda: jb.information_value(problem, b, t),
        "elasticities": lambda: jb.elasticities(problem, 3.0 * d, 2.0 * d, measure="value"),
        "favourability": lambda: jb.favourability(problem, *prices),
        "worth_collecting": lambda: jb.worth_collecting(problem, *prices),
        "asymptotic_allocation": lambda: jb.asymptotic_allocation(problem, 1e4, *prices),
        "optimal_allocation": lambda: plan("befs", "ols"),
        "optimal_allocation/ridge": lambda: plan("befs_two_penalties", "ridge"),
    }


def of_coloured_inputs(jb: Any) -> dict[str, Callable]:
    """Inputs of any covariance, with and without channels."""
    if not hasattr(jb.Problem, "power_law"):
        return {}
    features = np.random.default_rng(7).normal(size=(60, 8)) / np.arange(1, 9)
    channels: dict[str, Any] = {"recording_noise": 0.3, "recording_dim": 16}
    problems = {
        "power_law": jb.Problem.power_law(24, 1.0, 3, 1.0, 0.2, 0.5),
        "channels": jb.Problem.power_law(24, 1.0, 3, 1.0, 0.2, 0.5, **channels),
    }
    n, labels = np.array([10.0, 100.0])[:, None], np.array([0.0, 12.0, 50.0])
    found: dict[str, Callable] = {
        "presets.images": lambda: jb.presets.images(1.0, 0.1).problem().geometry.density,
        "from_features": lambda: (
            jb.Problem.from_features(features, 2, 1.0, 0.1, 0.5).geometry.variances
        ),
    }
    for name, problem in problems.items():
        cells = problem, n, labels
        found |= {
            f"{name}/risk": lambda c=cells: jb.risk(*c, encoding_penalty=0.1),
            f"{name}/risk/penalty": lambda c=cells: jb.risk(*c, 0.5, encoding_penalty=0.1),
            f"{name}/two": lambda c=cells: jb.two_penalty_risk(*c, encoding_penalty=0.1),
            f"{name}/banded": lambda c=cells: jb.banded_ridge_risk(*c, encoding_penalty=0.1),
            f"{name}/optimal_banded_penalties": lambda c=cells: jb.optimal_banded_penalties(
                *c, encoding_penalty=0.1
            ),
            f"{name}/optimal_encoding_penalty": lambda c=cells: jb.optimal_encoding_penalty(*c),
            f"{name}/shift": lambda c=cells: jb.risk(
                *c, 0.5, encoding_penalty=0.1, shift=jb.BlockShift(0.3, 2.0, 1.2)
            ),
            f"{name}/elasticities": lambda p=problem: jb.elasticities(
                p, 60.0, 40.0, encoding_penalty=0.1
            ),
        }
    found["power_law/optimal_allocation"] = lambda: jb.optimal_allocation(
        problems["power_law"], 500.0, 1.0, 2.0, estimator="befs", encoding_penalty=0.1
    )
    return found


def span(basis: Any) -> Any:
    """What a basis spans, which no sign of a direction changes."""
    return np.asarray(basis) @ np.asarray(basis).T


def on_arrays(jb: Any, models: dict[str, Any]) -> dict[str, Callable]:
    """Models, estimators, and penalties chosen on data."""
    import jax

    from jaxbrain import sklearn

    rng = np.random.default_rng(2)
    key, small = jax.random.key(3), models["small"]
    seen, x = rng.normal(size=(60, 8)), rng.normal(size=(40, 8))
    recordings = seen @ rng.normal(size=(8, 10)) + rng.normal(size=(60, 10))
    y = x @ rng.normal(size=(8, 2)) / 2 + rng.normal(size=(40, 2))
    basis = np.linalg.qr(rng.normal(size=(8, 3)))[0]
    root, weights = rng.normal(size=(8, 8)), rng.normal(size=8)
    c, q, n = np.array([0.0, 0.1, 30.0, np.inf])[:, None], 33.5, np.array([2.0, 36.5, 1e3, 1e7])

    channels = rng.normal(size=(16, 16)) / 4
    own = jb.LinearGaussianModel(
        encoder=rng.normal(size=(24, 3)),
        readout=rng.normal(size=(16, 3)),
        latent_noise=0.4 * np.eye(3),
        recording_noise=channels @ channels.T + np.eye(16),
        task_weights=rng.normal(size=24) / 5,
        task_noise=1.0,
        canonical=True,
    )

    def fitted(model: Any, **recorded: Any) -> tuple[Any, ...]:
        model.fit(x, y, **recorded)
        return model.coef_, model.intercept_, model.predict(x[:5])

    brain = {"recordings": recordings, "recorded_inputs": seen}
    objectives = {
        "LeaveOneOut": jb.LeaveOneOut(x, y, basis),
        "GeneralizedCrossValidation": jb.GeneralizedCrossValidation(x, y, basis),
        "KFold": jb.KFold(x, y, basis, folds=5),
        "HeldOut": jb.HeldOut(x[:30], y[:30], x[30:], y[30:], basis),
    }
    calls: dict[str, Callable] = {
        name: lambda objective=each: [objective(p) for p in (0.0, 0.3, 3.0)]
        for name, each in objectives.items()
    }
    return calls | {
        "wishart_resolvent_trace": lambda: jb.wishart_resolvent_trace(c, q, n),
        "subspace_risk": lambda: jb.subspace_risk(
            basis, weights, 1.5, np.array([5.0, 20.0]), 0.7, test_covariance=root @ root.T
        ),
        "LinearGaussianModel": lambda: (
            *(own.misalignment, own.task_snr, own.brain_snr),
            own.whitened().problem().gamma,
        ),
        "sample_brain": lambda: small.sample_brain(key, 9),
        "sample_task": lambda: small.sample_task(key, 9),
        "encode": lambda: span(jb.encode(seen, recordings, 3, ridge=0.1)),
        "encode, ridge chosen": lambda: span(
            jb.encode(seen[:6], recordings[:6], 3, ridge="leave_one_out")
        ),
        "fit_encoder": lambda: jb.fit_encoder(seen[:6], recordings[:6], penalty="k_fold", folds=3),
        "random_subspace": lambda: span(jb.random_subspace(key, 8, 3)),
        "oracle_subspace": lambda: span(jb.oracle_subspace(small)),
        "shuffle_recordings": lambda: jb.shuffle_recordings(key, recordings),
        "task_only": lambda: jb.task_only(x, y),
        "ridge": lambda: jb.ridge(x, y, 0.4),
        "banded_ridge": lambda: jb.banded_ridge(x, y, basis, 0.4, 0.1),
        "banded_ridge_path": lambda: jb.banded_ridge_path(
            x, y, basis, np.array([0.1, 1.0, np.inf]), 0.1
        ),
        "logistic": lambda: jb.logistic(
            x, np.arange(len(x)) % 3, 0.4, basis=basis, inside_penalty=0.1, n_classes=3
        ),
        "befs": lambda: jb.befs(x, y, basis, 0.4, inside_penalty=0.1),
        "befs_path": lambda: jb.befs_path(x, y, basis, np.array([0.0, 1.0, np.inf])),
        "tune_penalty": lambda: jb.tune_penalty(objectives["LeaveOneOut"], tolerance=1e-10),
        "sklearn.TaskOnly": lambda: fitted(sklearn.TaskOnly()),
        "sklearn.RidgeBaseline": lambda: fitted(sklearn.RidgeBaseline(penalty=0.3)),
        "sklearn.BandedRidge": lambda: fitted(
            sklearn.BandedRidge(penalty=0.3, encoder_penalty=0.1, encoding_ridge=0.2), **brain
        ),
        "sklearn.BEFS": lambda: fitted(
            sklearn.BEFS(rank=3, penalty=0.3, inside_penalty=0.0, encoding_ridge=0.0), **brain
        ),
    }


def simulated(jb: Any, problem: Any) -> dict[str, Callable]:
    """Draws, and what is made of them; plans by descent."""
    import jax
    import jax.numpy as jnp

    key, simulation = jax.random.key(4), importlib.import_module("jaxbrain.simulation")
    grid = [40, 80, 160], [10, 20, 40, 80]
    options = {"trials": 6, "seeds": 3, "key": key, "estimator": "befs"}
    alone = [3, 10, 20, 30, 40, 80, 160, 400]
    table = jb.sweep(problem, *grid, "optimal", n_task_only=alone, **options)
    resampled: dict[str, Any] = {"baseline": "ridge", "confidence": 0.9, "resamples": 300}
    arguments = dict(trials=8, key=key, method="reduced", traces="drawn", estimator="befs")
    one, amounts = jnp.asarray([True]), jnp.asarray([60.0])
    closed = jb.ClosedFormDesign((problem,), estimator="befs")
    drawn = jb.MonteCarloDesign(problem, trials=6, key=key)
    modality = jb.Modality(problem, cost_brain=0.3, fixed_cost_brain=5.0)
    risk = jb.ClosedFormRisk(problem, 60, 30, estimator="befs")

    def stored() -> Any:
        with tempfile.TemporaryDirectory() as folder:
            jb.write_table(table, Path(folder) / "table.nc")
            return jb.read_table(Path(folder) / "table.nc")

    def kept() -> Any:
        from jaxbrain.pilot.estimates import PilotEstimate

        k, geometry = 3, jb.Problem.power_law(24, 1.0, 3, 1.0, 0.2, 0.5).geometry
        told = geometry.directions.T @ geometry.weights
        measured = jb.Problem(
            input_dim=24,
            latent_dim=k,
            latent_noise=0.5 * np.eye(k),
            gain=np.eye(k),
            recording_noise=0.0,
            aligned_power=jnp.outer(told, told),
            misaligned_power=0.2,
            task_noise=1.0,
            geometry=geometry,
        )
        draws = jax.tree.map(lambda number: jnp.stack([number] * 2), measured)
        with tempfile.TemporaryDirectory() as folder:
            path = Path(folder) / "mine.toml"
            jb.write_study(PilotEstimate(measured, (draws,), 60.0, 40.0, ()), path)
            return jb.read_study(path).problem

    return {
        "sweep": lambda: table,
        "sweep/data": lambda: jb.sweep(
            problem, [40], [20], [0.1, 3.0], n_task_only=[30], method="data", **options
        ),
        "sweep/two penalties": lambda: jb.sweep(
            problem,
            [10, 80],
            [20, 60],
            [0.1, 3.0],
            inside_penalty=[0.0, 0.3],
            encoding_penalty=0.1,
            n_task_only=[30],
            **options | {"estimator": "befs_two_penalties"},
        ),
        "simulated_worth": lambda: jb.simulated_worth(
            problem, 60, 30, encoding_penalty=0.1, trials=8, key=key
        ),
        "mean_over_seeds": lambda: simulation.mean_over_seeds(table, "risk"),
        "brain_numbers": lambda: find("simulation.brain_numbers")([40, 80], problem),
        "task_numbers": lambda: find("simulation.task_numbers")([10, 20], problem),
        "bytes_of_sweep": lambda: simulation.bytes_of_sweep((64, 6, 150), 4, 5, "optimal", 10),
        "penalty_numbers": lambda: find("simulation.penalty_numbers")([0.1, 3.0])[0],
        "empirical_value": lambda: jb.empirical_value(table, **resampled),
        "empirical_allocation": lambda: jb.empirical_allocation(table, 120, 0.5, 1.0, **resampled),
        "write_table, read_table": stored,
        **({"write_study, read_study": kept} if hasattr(jb, "write_study") else {}),
        "sample_misalignment": lambda: jb.sample_misalignment(problem, 60, trials=7, key=key),
        "ClosedFormRisk": lambda: [risk(p) for p in (0.2, 3.0)],
        "MonteCarloRisk": lambda: [
            jb.MonteCarloRisk(problem, 60, 30, **arguments)(p) for p in (0.2, 3.0)
        ],
        "ClosedFormDesign": lambda: (
            method(closed, "taught")(0, amounts[0]),
            method(closed, "stage")(one, amounts, jnp.asarray(30.0)),
        ),
        "MonteCarloDesign": lambda: drawn.risk_at(amounts[0], jnp.asarray(30.0))(jnp.asarray(1.3)),
        "tune_penalty/risk": lambda: jb.tune_penalty(risk, tolerance=1e-10),
        "tune_allocation": lambda: jb.tune_allocation(
            modality, 200.0, 1.0, 3.0, estimator="befs", baseline="ols"
        ),
    }


def from_recordings() -> dict[str, Callable]:
    """What a user's own arrays say."""
    import jax

    from jaxbrain import pilot

    rng, key = np.random.default_rng(5), jax.random.key(6)
    inputs = rng.normal(size=(90, 5)) @ (np.eye(5) + 0.2 * rng.normal(size=(5, 5)))
    latent = inputs @ rng.normal(size=(5, 2))
    recordings = latent @ rng.normal(size=(2, 7)) + rng.normal(size=(90, 7))
    targets = latent @ rng.normal(size=(2, 2)) + 2 * rng.normal(size=(90, 2))
    arrays = {"inputs": inputs, "recordings": recordings, "targets": targets}
    data = pilot.pilot_data(**arrays)
    repeated = pilot.pilot_data(**{name: np.repeat(a, 2, axis=0) for name, a in arrays.items()})
    classified = pilot.pilot_data(**arrays | {"targets": targets > 0})
    sizes = pilot.split_sizes(data, n_brain=40, n_task=25, n_test=20)

    def evaluation() -> Any:
        return pilot.evaluate(data, sizes, 4, key, rank=2)

    def read() -> Any:
        with tempfile.TemporaryDirectory() as folder:
            np.savez(Path(folder) / "study.npz", **arrays)
            return pilot.read_pilot(Path(folder) / "study.npz")

    def measured() -> Any:
        return pilot.estimate(inputs, recordings, inputs, targets, 2, draws=20, key=key, block=1)

    def numbers(record: Any) -> list:
        return [x for x in record if isinstance(x, float | np.ndarray)]

    return {
        "pilot.estimate": lambda: [list(x) for x in measured().numbers.values()],
        "pilot.forecast": lambda: numbers(pilot.forecast(measured(), 200.0, 60.0)),
        "pilot.recommend": lambda: numbers(
            pilot.recommend(measured(), 100.0, pilot.Costs(0.5, 1.0))
        ),
        "pilot.pilot_data": lambda: data,
        "pilot.read_pilot": read,
        "pilot.split_sizes": lambda: (sizes, pilot.split_sizes(data)),
        "pilot.row_correlation": lambda: pilot.row_correlation(data, lag=2),
        "pilot.whiten": lambda: (lambda it: (span(it[0].brain_inputs), it[1]))(
            pilot.whiten(data, 4)
        ),
        "pilot.principal_components": lambda: (lambda it: (span(it[0].brain_inputs), it[1]))(
            pilot.principal_components(data, 4)
        ),
        "pilot.standardise_channels": lambda: pilot.standardise_channels(data).recordings,
        "pilot.rows_together": lambda: pilot.rows_together(data, block=2),
        "pilot.average_repeats": lambda: pilot.average_repeats(repeated).recordings,
        "pilot.class_indicators": lambda: pilot.class_indicators(classified).targets,
        "pilot.summarise": lambda: pilot.summarise(np.array([0.1, 0.5, np.nan, 0.3])),
        "pilot.encoding_rank": lambda: find("pilot.encoding_rank")(inputs, recordings),
        "pilot.choose_rank": lambda: pilot.choose_rank(data, sizes, 4, key),
        "pilot.evaluate": lambda: evaluation(),
        "pilot.judge": lambda: pilot.judge(evaluation()),
        "pilot.worth_in_labels": lambda: pilot.worth_in_labels(evaluation()),
        "pilot.chosen_estimator": lambda: pilot.chosen_estimator(evaluation()),
        "pilot.best_without": lambda: pilot.best_without(evaluation()),
        "pilot.over_rows": lambda: pilot.over_rows(evaluation().curves, 2, 1),
    }

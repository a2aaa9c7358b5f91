"""Every public function with values that nobody means well by, one argument at a time.

Nothing is compiled: where a function would compute, it ends instead. `python -m
tests.helpers.hostile` prints how many calls end how, and with a name of an end those that do.
"""

import atexit
import contextlib
import inspect
import re
import shutil
import sys
import tempfile
import warnings
from collections import Counter
from pathlib import Path

import equinox as eqx
import jax
import jaxtyping
import numpy as np
import xarray

import jaxbrain as jb
from jaxbrain import estimators, simulation, store
from jaxbrain import pilot as jp
from tests.helpers.evaluations import evaluation
from tests.helpers.pilots import pilot_estimate

KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
X, R = RNG.normal(size=(40, 5)), RNG.normal(size=(40, 7))
Y = X[:, 0] + RNG.normal(size=40)
BASIS = np.linalg.qr(RNG.normal(size=(5, 2)))[0]
P = jb.Problem.isotropic(64, 6, 0.5, 0.1, 0.54)
COLOURED = jb.Problem.power_law(64, 1.0, 6, 0.5, 0.1, 0.54)
MODEL = jb.LinearGaussianModel(np.eye(6, 2), np.eye(5, 2), 0.1, 0.1, np.ones(6), task_noise=1.0)
DATA = jp.pilot_data(inputs=X, recordings=R, targets=Y)
SIZES = jp.SplitSizes(20, 10, 5)
EVALUATION = evaluation(0.02)
SHIFT = jb.BlockShift(0.5, 1.0, 1.0)
MODALITY = jb.Modality(P, 1.0)
OBJECTIVE = jb.LeaveOneOut(X, Y)
COORDINATES = {"n_brain": [100, 200], "n_task": [50, 60], "penalty": ["optimal"], "seed": [0, 1]}
DATASET = xarray.Dataset(
    {
        "risk": (tuple(COORDINATES), np.ones((2, 2, 1, 2))),
        "task_only_risk": (("n_task_only", "seed"), [[3.0, 3.1], [2.0, 2.1]]),
        "risk_standard_error": (tuple(COORDINATES), np.ones((2, 2, 1, 2))),
    },
    coords=COORDINATES | {"n_task_only": [50, 60]},
    attrs={"input_dim": 64, "risk_of_predicting_zero": 1.0},
)
FOLDER = Path(tempfile.mkdtemp(prefix="jaxbrain-"))
atexit.register(shutil.rmtree, FOLDER, ignore_errors=True)
np.savez(FOLDER / "study.npz", inputs=X, recordings=R, targets=Y)
TABLE = xarray.Dataset({"risk": ("n", [1.0])})
jb.write_table(TABLE, FOLDER / "table.nc")
ESTIMATE = pilot_estimate()
jb.write_study(ESTIMATE, FOLDER / "mine.toml")

DESIGN = dict(problem=P, n_brain=200.0, n_task=100.0)
DESCENT = dict(optimizer="adam", starts=2, tolerance=1e-3, max_steps=10, learning_rate=0.1)
ENCODED = DESIGN | dict(problem=COLOURED, encoding_penalty=0.1)
DRAWN = dict(
    task_snr=0.5, misalignment=0.1, latent_noise=0.5, latent_alignment=1.0, task_alignment=1.0,
    gain=1.0, recording_noise=0.1, recording_dim=6, key=KEY,
)  # fmt: skip
REGRESSION = dict(inputs=X, targets=Y, basis=BASIS)
CALLS = {
    jb.Problem: dict(
        input_dim=10, latent_dim=2, recording_dim=5, latent_noise=0.1, gain=1.0,
        recording_noise=1.0, aligned_power=[0.5, 0.5], misaligned_power=0.1, task_noise=1.0,
        geometry=None,
    ),
    jb.Problem.isotropic: dict(
        input_dim=64, latent_dim=6, task_snr=0.5, misalignment=0.1, encoding_noise=0.5
    ),
    jb.Problem.power_law: dict(input_dim=64, exponent=1.0, latent_dim=6) | DRAWN,
    jb.Problem.from_features: dict(features=X, latent_dim=2) | DRAWN,
    jb.LinearGaussianModel: dict(
        encoder=np.eye(6, 2), readout=np.eye(5, 2), latent_noise=0.1, recording_noise=0.1,
        task_weights=np.ones(6), task_noise=1.0, canonical=False,
        input_covariance=1.0 + np.arange(6.0),
    ),
    jb.BlockShift: dict(sensitive=0.5, missed=1.0, insensitive=1.0),
    jb.presets.small: dict(task_snr=0.1, misalignment=0.1, key=KEY),
    jb.presets.fmri: dict(task_snr=0.1, misalignment=0.1, key=KEY),
    jb.presets.images: dict(task_snr=0.1, misalignment=0.1, key=KEY),
    jb.banded_ridge: dict(
        inputs=X, targets=Y, encoder=np.ones((X.shape[1], 2)), penalty=1.0, encoder_penalty=1.0
    ),
    jb.banded_ridge_path: dict(
        inputs=X, targets=Y, encoder=np.ones((X.shape[1], 2)), penalties=[1.0, 2.0],
        encoder_penalty=1.0,
    ),
    jb.logistic: dict(
        inputs=X, targets=np.arange(40) % 3, penalty=1.0, basis=BASIS, inside_penalty=0.1,
        encoder=None, encoder_penalty=None, n_classes=3,
    ),
    jb.befs: REGRESSION | dict(penalty=1.0, inside_penalty=0.1),
    jb.befs_path: REGRESSION | dict(penalties=[1.0, 2.0], inside_penalty=0.1),
    jb.encode: dict(inputs=X, recordings=R, rank=2, ridge="k_fold", folds=5, groups=None),
    jb.fit_encoder: dict(inputs=X, recordings=R, penalty="k_fold", folds=5, groups=None),
    jb.oracle_subspace: dict(model=MODEL),
    jb.random_subspace: dict(key=KEY, input_dim=5, rank=2),
    jb.ridge: dict(inputs=X, targets=Y, penalty=1.0),
    jb.shuffle_recordings: dict(key=KEY, recordings=R),
    jb.task_only: dict(inputs=X, targets=Y),
    estimators.find_variant: dict(name="befs"),
    jb.risk: ENCODED | dict(penalty=1.0, shift=None, order="finite"),
    jb.value: DESIGN | dict(
        penalty=1.0, encoding_penalty=0.0, baseline="ols", shift=SHIFT, order="finite"
    ),
    jb.exchange_rate: ENCODED | dict(penalty=1.0, baseline="ols", shift=None, order="finite"),
    jb.savings: DESIGN | dict(
        penalty=1.0, encoding_penalty=0.0, baseline="ridge", shift=None, order="finite"
    ),
    jb.worth: ENCODED | dict(penalty=1.0),
    jb.optimal_penalty: ENCODED | dict(shift=None, order="finite"),
    jb.optimal_penalties: ENCODED,
    jb.two_penalty_risk: ENCODED | dict(penalty=1.0, inside_penalty=0.1, shift=None),
    jb.banded_ridge_risk: ENCODED | dict(penalty=1.0, encoder_penalty=0.1, shift=None),
    jb.optimal_banded_penalties: ENCODED,
    jb.optimal_encoding_penalty: DESIGN | dict(problem=COLOURED, estimator="befs"),
    jb.information_value: ENCODED,
    jb.elasticities: ENCODED | dict(measure="value"),
    jb.expected_misalignment: dict(problem=P, n_brain=200.0, order="finite"),
    jb.ridge_risk: dict(problem=P, n_task=100.0, penalty=1.0, shift=None),
    jb.task_only_risk: dict(problem=P, n_task=100.0, shift=None),
    jb.subspace_risk: dict(
        basis=BASIS, task_weights=np.ones(5), task_noise=1.0, n_task=20.0, penalty=1.0,
        test_covariance=np.eye(5),
    ),
    jb.wishart_resolvent_trace: dict(c=1.0, q=5.0, n=20.0),
    jb.sweep: dict(
        model=P, n_brain=[100], n_task=[50], penalty="optimal", inside_penalty=None,
        encoding_penalty=None, trials=2, seeds=2, key=KEY, method="reduced", n_task_only=[50],
        estimator="befs", traces="closed form", shift=None, mesh=None, max_bytes=1e9,
        progress=None,
    ),
    jb.sample_misalignment: dict(
        model=P, n_brain=100, trials=2, key=KEY, method="reduced", encoding_penalty=None,
        mesh=None,
    ),
    jb.empirical_value: dict(
        dataset=DATASET, baseline="ols", penalty="best", confidence=0.95, resamples=100, seed=0
    ),
    simulation.mean_over_seeds: dict(dataset=DATASET, name="risk"),
    jb.simulated_worth: dict(
        problem=COLOURED, n_brain=100, n_task=50, estimator="befs", encoding_penalty=0.1, trials=2,
        key=KEY,
    ),
    simulation.brain_numbers: dict(n_brain=[100], model=P, encoding_penalty=0.1),
    simulation.task_numbers: dict(
        n_task=[50], model=P, encoding_penalty=0.1, estimator="befs_two_penalties"
    ),
    simulation.penalty_numbers: dict(penalty=[1.0]),
    simulation.bytes_of_sweep: dict(
        sizes=(64, 6, 150), n_brain=4, n_task=5, penalties="optimal", seeds=10, with_intervals=True
    ),
    jb.ClosedFormRisk: DESIGN | dict(shift=None, estimator="befs"),
    jb.MonteCarloRisk: dict(
        model=P, n_brain=100, n_task=50, trials=2, key=KEY, method="reduced", shift=None,
        traces="closed form", estimator="befs",
    ),
    jb.LeaveOneOut: REGRESSION,
    jb.GeneralizedCrossValidation: REGRESSION,
    jb.KFold: REGRESSION | dict(folds=5, key=KEY),
    jb.HeldOut: REGRESSION | dict(validation_inputs=X, validation_targets=Y),
    jb.tune_penalty: dict(objective=OBJECTIVE, start=1.0, **DESCENT),
    jb.asymptotic_allocation: dict(problem=P, budget=500.0, cost_brain=0.5, cost_task=1.0),
    jb.favourability: dict(problem=P, cost_brain=0.5, cost_task=1.0),
    jb.worth_collecting: dict(problem=P, cost_brain=0.5, cost_task=1.0),
    jb.optimal_allocation: dict(
        problem=P, budget=500.0, cost_brain=0.5, cost_task=1.0, fixed_cost_brain=0.0,
        fixed_cost_task=0.0, estimator="befs", baseline="ridge", encoding_penalty=None,
    ),
    jb.tune_allocation: dict(
        modalities={"fmri": MODALITY}, budget=500.0, cost_task=1.0, fixed_cost_task=0.0,
        most_labels=100.0, estimator="befs", baseline="ridge", risk=None, **DESCENT,
    ),
    jb.empirical_allocation: dict(
        dataset=DATASET, budget=150.0, cost_brain=1.0, cost_task=1.0, baseline="ols",
        confidence=0.95, resamples=100, seed=0,
    ),
    jb.Modality: dict(problem=P, cost_brain=1.0, fixed_cost_brain=0.0, most=100.0),
    jb.ClosedFormDesign: dict(problems=(P,), estimator="befs"),
    jb.MonteCarloDesign: dict(model=P, trials=2, key=KEY),
    jp.pilot_data: dict(inputs=X, recordings=R, targets=Y, classes=None, standardise=()),
    jp.read_pilot: dict(
        path=FOLDER / "study.npz", inputs=None, recordings=None, targets=None, brain_inputs=None,
        task_inputs=None, groups=None, brain_groups=None, task_groups=None, classes=None,
        standardise=(), max_bytes=1e9,
    ),
    jp.average_repeats: dict(data=DATA, by="inputs"),
    jp.class_indicators: dict(data=DATA),
    jp.evaluate: dict(data=DATA, sizes=SIZES, repeats=2, key=KEY, rank=2, block=1, as_given=None,
                     progress=None),
    jp.over_rows: dict(curves=EVALUATION.curves, first=2, second=1),
    jp.chosen_estimator: dict(evaluation=EVALUATION),
    jp.best_without: dict(evaluation=EVALUATION),
    jp.judge: dict(evaluation=EVALUATION),
    jp.worth_in_labels: dict(evaluation=EVALUATION, estimator="befs", n_brain=100, n_task=50),
    jp.choose_rank: dict(data=DATA, sizes=SIZES, repeats=2, key=KEY, block=1),
    jp.encoding_rank: dict(inputs=X, recordings=R, ridge=1.0),
    jp.principal_components: dict(data=DATA, components=3),
    jp.whiten: dict(data=DATA, components=3),
    jp.standardise_channels: dict(data=DATA),
    jp.row_correlation: dict(data=DATA, lag=1),
    jp.rows_together: dict(data=DATA, block=2),
    jp.split_sizes: dict(data=DATA, n_brain=20, n_task=10, n_test=5),
    jp.summarise: dict(per_repeat=np.ones(5)),
    jp.estimate: dict(
        brain_inputs=X, recordings=R, task_inputs=X, targets=Y, rank=2, inputs=X,
        brain_groups=np.arange(40), task_groups=np.arange(40), block=1, draws=20, key=KEY,
        progress=None,
    ),
    jp.forecast: dict(estimate=ESTIMATE, n_brain=100.0, n_task=50.0),
    jp.recommend: dict(estimate=ESTIMATE, budget=100.0, costs=(0.1, 1.0)),
    store.read_table: dict(path=FOLDER / "table.nc"),
    store.write_table: dict(table=TABLE, path=FOLDER / "table.nc", overwrite=True),
    store.table_contents: dict(table=TABLE, path="table.nc", csv=False),
    store.table_files: dict(path="absent/table.nc"),
    jb.read_study: dict(path=FOLDER / "mine.toml", max_bytes=1e9),
    jb.write_study: dict(estimate=ESTIMATE, path=FOLDER / "mine.toml", overwrite=True),
}  # fmt: skip
# What the library makes, and hands over; bases of what is listed.
RECORDS = {
    "AccuracyWarning", "Allocation", "AsymptoticAllocation", "BandedPenalties", "Collecting",
    "Design", "Dropped",
    "Elasticities", "EmpiricalAllocation", "Encoder", "Evaluation", "Frontier", "Logistic",
    "Penalties",
    "PenaltyObjective", "PilotData", "PilotError",
    "Purchase", "SimulatedWorth", "SplitSizes", "Study", "StudyError", "Summary",
    "TunedAllocation",
    "TunedPenalty", "Variant", "Worth",
    "Cell", "ClassScores", "Curves", "Labels", "Verdict",
    "Costs", "Forecast", "Measured", "PilotEstimate", "Recommendation",
}  # fmt: skip
VALUES = {
    "None": None,
    "typed key": KEY,
    "raw key": jax.random.PRNGKey(0),
    "keys": jax.random.split(KEY, 2),
    "text": "abc",
    "no text": "",
    "bytes": b"abc",
    "no list": [],
    "nan": float("nan"),
    "inf": float("inf"),
    "minus inf": float("-inf"),
    "-1": -1,
    "1.5": 1.5,
    "1e-300": 1e-300,
    "1e200": 1e200,
    "10**400": 10**400,
    "-10**400": -(10**400),
    "nested": [[1.0], [2.0, 3.0]],
    "deep": [[[[[[1.0]]]]]],
    "object": object(),
    "mapping": {"a": 1},
    "set": {1},
    "function": len,
    "type": int,
    "shape": np.ones((3, 4, 2)),
    "empty": np.ones((0, 3)),
    "NaNs": np.full((40, 5), np.nan),
    "true": True,
    "trues": np.ones(5, bool),
    "complex": 1j,
    "words": np.array(["a", "b"]),
    "objects": np.array([None, object()]),
    "path": Path("absent"),
    "table": TABLE,
}
TRACED = "tracer"
_JITTED = (type(jax.jit(abs)), type(eqx.filter_jit(abs)))


class Computes(Exception):
    """The arguments were taken: the function would compute now."""


def _computes(*arguments, **options):
    raise Computes


@contextlib.contextmanager
def nothing_is_compiled():
    """What the library's modules hold compiled ends where it begins.

    Types are checked as users have it, without those that tests add.
    """
    held = [
        (module, name, value)
        for module_name, module in tuple(sys.modules.items())
        if module_name.split(".")[0] == "jaxbrain"
        for name, value in vars(module).items()
        if isinstance(value, _JITTED)
    ]
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    try:
        for module, name, _ in held:
            setattr(module, name, _computes)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for module, name, value in held:
            setattr(module, name, value)
        jaxtyping.config.update("jaxtyping_disable", before)


def title(function):
    """Its name; a method's with that of its class."""
    return function.__qualname__


def outcome(function, argument, value):
    """How the call ends, in a word, and what was said."""
    try:
        answer = function(**(CALLS[function] | {argument: value}))
    except Computes:
        return "computes", ""
    except (ValueError, TypeError) as error:
        said = str(error)
        # Of two arrays that do not fit, either may be named; a file is named by its path.
        names = CALLS[function] if getattr(value, "shape", ()) else (argument,)
        named = any(re.search(rf"(?<!\w){name}(?!\w)", said) for name in names) or (
            argument == "path" and str(value) in said
        )
        named = named and len(said) < 1_000
        if type(error).__module__.startswith("jax."):
            return "internal", f"{type(error).__name__}: {said}"
        return ("named" if named else "unnamed"), f"{type(error).__name__}: {said}"
    except OSError as error:
        named = argument == "path" and error.filename is not None
        return ("named" if named else "internal"), f"{type(error).__name__}: {error}"
    except Exception as error:
        return "internal", f"{type(error).__name__}: {error}"
    if _is_finite(value) and any(_has_nan(number) for number in jax.tree.leaves(answer)):
        return "NaN", repr(answer)
    return "answer", repr(answer)


def _is_finite(value):
    if isinstance(value, list):
        return bool(value)
    numbers = value if isinstance(value, np.ndarray) else np.asarray(0.0)
    if isinstance(value, int | float):
        numbers = np.asarray(value if abs(value) < 1e300 else np.inf)
    return numbers.size > 0 and numbers.dtype.kind in "biuf" and bool(np.all(np.isfinite(numbers)))


def _has_nan(number):
    if isinstance(number, float):
        return bool(np.isnan(number))
    known = isinstance(number, np.ndarray | jax.Array) and not isinstance(number, jax.core.Tracer)
    return known and number.dtype.kind == "f" and bool(np.any(np.isnan(number)))


def outcomes(function):
    """(argument, value, how it ends, what is said) of each argument and value."""
    for argument in CALLS[function]:
        for value in VALUES:
            yield (argument, value, *outcome(function, argument, VALUES[value]))
        ended = []
        with contextlib.suppress(jax.errors.JAXTypeError):
            jax.make_jaxpr(lambda x: ended.append(outcome(function, argument, x)) or 0)(1.0)  # noqa: B023
        yield (argument, TRACED, *(ended or [("internal", "it left the trace")])[0])


def public_functions():
    """All that the package and its subpackages give away to be called."""
    from jaxbrain import budget, models, theory, tuning

    found = {}
    for module in (jb, models, models.presets, estimators, theory, simulation, tuning, budget, jp,
                   store):  # fmt: skip
        names = getattr(module, "__all__", None) or [
            name for name, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == module.__name__
            and not name.startswith("_")
        ]  # fmt: skip
        for name in names:
            if callable(value := getattr(module, name)):
                found[name] = value
    return found


if __name__ == "__main__":
    jax.config.update("jax_enable_x64", True)
    counted, shown = Counter(), set(sys.argv[1:])
    with nothing_is_compiled():
        for each in CALLS:
            for argument, value, ended, said in outcomes(each):
                counted[ended] += 1
                if ended in shown:
                    print(f"{title(each)}({argument}={value}): {ended}: {said[:200]!r}")
    print(sum(counted.values()), dict(counted))

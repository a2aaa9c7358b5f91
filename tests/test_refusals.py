"""Wrong arguments of the library are named, with what to do, before anything is compiled."""

import functools

import jax
import jax.numpy as jnp
import jaxtyping
import numpy as np
import pytest
import xarray

import jaxbrain as jb
import jaxbrain.pilot as jp

P = jb.Problem.isotropic(64, 6, 0.5, 0.1, 0.54)
KEY = jax.random.key(0)
RNG = np.random.default_rng(0)
X, R = RNG.normal(size=(40, 5)), RNG.normal(size=(40, 7))
Y = X[:, 0]
BASIS = np.linalg.qr(RNG.normal(size=(5, 2)))[0]
NAN = np.full_like(X, np.nan)
DATA = jp.pilot_data(inputs=X, recordings=R, targets=Y)


def small(**options):
    return jb.presets.small(**options)


def isotropic(task_snr=0.5, misalignment=0.1, encoding_noise=0.5):
    return jb.Problem.isotropic(64, 6, task_snr, misalignment, encoding_noise)


def problem(**numbers):
    given = dict(
        input_dim=10,
        latent_dim=2,
        latent_noise=0.1,
        gain=1.0,
        recording_noise=1.0,
        aligned_power=[0.5, 0.5],
        misaligned_power=0.1,
        task_noise=1.0,
    )
    return jb.Problem(**{**given, **numbers})


def sweep(n_brain=(100,), n_task=(50,), penalty="optimal", **options):
    return jb.sweep(small(), n_brain, n_task, penalty, trials=2, key=KEY, **options)


def tuned(risk):
    modality = jb.Modality(P, cost_brain=1.0)
    return jb.tune_allocation(modality, 500, 1.0, risk=risk)


REFUSED = {
    "a sweep of too many recordings": (lambda: sweep([1e30]), "n_brain must be at most 1e"),
    "a sweep of parts of labels": (lambda: sweep(n_task=[50.5]), "n_task must hold whole numbers"),
    "a sweep of text": (lambda: sweep(["100"]), "n_brain must be a list of numbers"),
    "a penalty that is true": (lambda: sweep(penalty=True), "penalty must be a list of numbers"),
    "twice an infinite penalty": (
        lambda: sweep(penalty=[np.inf, np.inf]),
        r"penalty must ascend without repeats: pass \[inf\]",
    ),
    "no memory": (lambda: sweep(max_bytes=-1), "max_bytes must be greater than 0, but it is -1"),
    "a function without data": (
        lambda: sweep(estimator=functools.partial(max)),
        "estimator: a function needs method='data'",
    ),
    "another problem": (
        lambda: tuned(jb.ClosedFormDesign((isotropic(misalignment=0.9),), "befs")),
        r"another problem than modalities \(relative_misalignment 0.9, not 0.1\)",
    ),
    "a risk that is none": (lambda: tuned(3), "risk must be a ClosedFormDesign or"),
    "a design of nothing": (lambda: jb.ClosedFormDesign(3, "befs"), "problems must be a tuple"),
    "an unknown estimator": (
        lambda: jb.ClosedFormDesign((P,), "foo"),
        "estimator must be 'befs' or",
    ),
    "a simulated design of a number": (
        lambda: jb.MonteCarloDesign(3, trials=2, key=KEY),
        "model must be a jaxbrain.LinearGaussianModel or Problem, but it is an int",
    ),
    "a simulated risk of text": (
        lambda: jb.MonteCarloRisk("a", 100, 50, trials=2, key=KEY),
        "model must be",
    ),
    "a negative penalty": (
        lambda: jb.ClosedFormRisk(P, 200, 100, estimator="befs")(-1.0),
        "penalty must be at least 0, but it is -1",
    ),
    "gain lost in rounding": (
        lambda: problem(gain=1e-90, recording_noise=1e15),
        "gain = 1e-90 is too small beside recording_noise = 1e",
    ),
    "noise lost in rounding": (
        lambda: problem(gain=1e15, recording_noise=1e-90),
        "recording_noise = 1e-90 is too small beside gain = 1e.15: pass 0",
    ),
    "hardly any gain": (lambda: problem(gain=1e-300), "gain must be at least 1e-100 in float64"),
    "hardly any gain of a matrix": (
        lambda: problem(
            gain=np.diag([1.0, 1e-90]), latent_noise=np.eye(2), aligned_power=np.eye(2)
        ),
        "gain = 1e-90 is too small beside",
    ),
    **{
        f"too much {name}": (
            functools.partial(lambda name: problem(**{name: 1e200}), name),
            f"{name} must be at most 1e",
        )
        for name in ("gain", "recording_noise", "latent_noise", "misaligned_power", "task_noise")
    },
    "hardly any task": (
        lambda: problem(aligned_power=[1e-200, 0.0], misaligned_power=0.0),
        "aligned_power and misaligned_power together must be at least 1e-100",
    ),
    "too many inputs": (
        lambda: problem(input_dim=10**400),
        "input_dim must be at most 9007199254740992, but it is a number of more than 50 digits",
    ),
    "too much shift": (lambda: jb.BlockShift(1e200, 1.0, 1.0), "sensitive must be at most 1e"),
    "a tenth of a label's tenth": (
        lambda: jb.worth(P, 200, 1e-300),
        "n_task must be 0 or at least 1e-100, but it is as low as 1e-300",
    ),
    "encoder without units": (
        lambda: jb.LinearGaussianModel(
            1e60 * np.eye(6, 2), np.eye(5, 2), 0.1, 0.1, np.ones(6), task_noise=1.0
        ),
        "encoder must be at most 1e",
    ),
    "no task in a problem": (
        lambda: problem(aligned_power=[0.0, 0.0], misaligned_power=0.0),
        "there is no task to learn",
    ),
    "no task in a model": (
        lambda: jb.LinearGaussianModel(
            jnp.eye(6, 2), jnp.eye(5, 2), 0.1, 0.1, np.zeros(6), task_noise=1.0
        ),
        "task_weights are all 0",
    ),
    "no noise": (lambda: isotropic(task_snr=np.inf), "task_snr must be .*, but it is inf"),
    "nothing but noise": (lambda: small(task_snr=1e-320), "task_snr must be"),
    "two ratios": (lambda: small(task_snr=np.array([1.0, 2.0])), "task_snr must have shape"),
    "two misalignments": (
        lambda: isotropic(misalignment=np.array([0.1, 0.2])),
        "misalignment must have shape",
    ),
    "infinite noise": (
        lambda: isotropic(encoding_noise=np.inf),
        "encoding_noise must be a finite number, but it is inf",
    ),
    "a basis of NaN": (
        lambda: jb.subspace_risk(np.full((6, 2), np.nan), np.ones(6), 1.0, 20),
        "basis holds NaN",
    ),
    "weights of NaN": (
        lambda: jb.subspace_risk(np.eye(6, 2), np.full(6, np.nan), 1.0, 20),
        "task_weights holds NaN",
    ),
    "recordings of zeros": (lambda: jb.encode(X, 0 * R, 2), "recordings are all 0"),
    "inputs of zeros": (lambda: jb.encode(0 * X, R, 2, 1.0), "inputs are all 0"),
    "recordings of NaN": (lambda: jb.encode(X, np.nan * R, 2), "recordings holds NaN"),
    "inputs of NaN": (lambda: jb.task_only(NAN, Y), "inputs holds NaN"),
    "targets of NaN": (lambda: jb.ridge(X, np.nan * Y, 1.0), "targets holds NaN"),
    "a basis of NaN in befs": (lambda: jb.befs(X, Y, np.nan * BASIS, 1.0), "basis holds NaN"),
    "a number that is a penalty of NaN": (
        lambda: jb.ridge(X, Y, np.nan),
        "penalty must be a number, but it is nan",
    ),
    "labels of NaN": (lambda: jb.worth(P, 100, np.nan), "n_task must be a number, but it is nan"),
    "recordings numbering NaN": (
        lambda: jb.worth(P, np.nan, 100),
        "n_brain must be a number, but it is nan",
    ),
    "penalties of NaN": (
        lambda: jb.risk(P, 200, 100, np.array([1.0, np.nan])),
        "penalty holds NaN",
    ),
    "a shift that is a number": (
        lambda: jb.risk(P, 200, 100, shift=3),
        r"shift must be .* but it is an int: pass BlockShift\(sensitive, missed, insensitive\)",
    ),
    "a problem that is none": (
        lambda: jb.worth(None, 200, 100),
        "problem must be a jaxbrain.Problem, but it is None",
    ),
    "no modality": (
        lambda: jb.tune_allocation({}, 500, 1.0),
        "modalities is empty: pass at least one Modality under a name",
    ),
    "a modality that is a number": (
        lambda: jb.tune_allocation({"fmri": 3}, 500, 1.0),
        "modalities: 'fmri' is an int, not a Modality",
    ),
    "a table that is a number": (
        lambda: jb.write_table(3, "x.nc"),
        "table must be an xarray.Dataset, but it is an int: pass what sweep or",
    ),
    "a path that is a number": (lambda: jb.read_table(4), "path must be .* but it is an int"),
    "shapes of sample numbers": (
        lambda: jb.risk(P, [200, 300], [100, 200, 300]),
        r"n_brain of shape \(2,\) and n_task of shape \(3,\) do not broadcast",
    ),
    **{
        f"shapes of {law.__name__}": (
            functools.partial(law, P, [200, 300], [100, 200, 300]),
            "do not broadcast",
        )
        for law in (
            jb.value,
            jb.worth,
            jb.optimal_penalty,
            jb.two_penalty_risk,
            jb.optimal_penalties,
            jb.information_value,
        )
    },
    "the oracle of a problem": (lambda: jb.oracle_subspace(P), "model must be a jaxbrain.Linear"),
    "a value of a number": (lambda: jb.empirical_value(3), "dataset must come from jaxbrain.sweep"),
    "an allocation of a number": (
        lambda: jb.empirical_allocation(3, 150, 1, 1),
        "dataset must come from jaxbrain.sweep",
    ),
    "too many test rows": (
        lambda: jp.evaluate(DATA, jp.SplitSizes(20, 10, 100), 2, KEY),
        "n_task . n_test = 110, but there are only 20 rows left",
    ),
    "too many rows": (
        lambda: jp.evaluate(DATA, jp.SplitSizes(100, 10, 10), 2, KEY),
        "n_brain = 100, but there are only 40 recorded rows",
    ),
    "half a repeat": (
        lambda: jp.evaluate(DATA, jp.SplitSizes(20, 10, 10), 2.5, KEY),
        "repeats must be a whole number, but it is 2.5",
    ),
    "half a row": (
        lambda: jp.split_sizes(DATA, n_brain=10.5),
        "n_brain must be a whole number, but it is 10.5",
    ),
}


@pytest.fixture(autouse=True)
def as_users_run_it():
    """Without the types that the tests add, which would refuse some arguments first."""
    before = jaxtyping.config.jaxtyping_disable
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", before)


@pytest.mark.parametrize(("call", "said"), REFUSED.values(), ids=REFUSED)
def test_wrong_argument_is_named(call, said):
    with pytest.raises(ValueError, match=said):
        call()


KEYED = {
    "sample_brain": lambda key: small().sample_brain(key, 5),
    "sample_task": lambda key: small().sample_task(key, 5),
    "preset": lambda key: small(key=key),
    "random_subspace": lambda key: jb.random_subspace(key, 5, 2),
    "shuffle_recordings": lambda key: jb.shuffle_recordings(key, R),
    "MonteCarloRisk": lambda key: jb.MonteCarloRisk(small(), 100, 50, trials=2, key=key),
    "MonteCarloDesign": lambda key: jb.MonteCarloDesign(small(), trials=2, key=key),
    "KFold": lambda key: jb.KFold(X, Y, key=key),
    "evaluate": lambda key: jp.evaluate(DATA, jp.SplitSizes(20, 10, 10), 2, key),
    "sweep": lambda key: jb.sweep(small(), [100], [50], trials=2, key=key),
}


@pytest.mark.parametrize("call", KEYED.values(), ids=KEYED)
def test_a_key_is_a_key_everywhere(call):
    with pytest.raises(ValueError, match=r"key must be one key.*but it is 7"):
        call(7)
    with pytest.raises(ValueError, match="wrap_key_data"):
        call(jax.random.PRNGKey(0))


@pytest.fixture
def dataset():
    """What `sweep` returns as far as its readers look before they compute; nothing is simulated."""
    coords = {"n_brain": [100, 200], "n_task": [50, 60], "penalty": ["optimal"], "seed": [0, 1]}
    risk = np.ones([len(values) for values in coords.values()])
    return xarray.Dataset(
        {"risk": (tuple(coords), risk)},
        coords=coords | {"n_task_only": [50, 60]},
        attrs={"input_dim": 64, "risk_of_predicting_zero": 1.0},
    )


def test_a_dataset_out_of_order_is_refused(dataset):
    with pytest.raises(ValueError, match="n_task must ascend"):
        jb.empirical_value(dataset.isel(n_task=[1, 0]))
    with pytest.raises(ValueError, match="it lacks seed"):
        jb.empirical_value(dataset.isel(seed=0))
    with pytest.raises(ValueError, match="it lacks input_dim"):
        jb.empirical_value(dataset.drop_attrs())

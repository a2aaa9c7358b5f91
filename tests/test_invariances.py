"""What no answer may depend on: units, the order of rows and columns, offsets, kinds of numbers.

Every public function that takes arrays is an entry here, in one size each.
"""

import warnings
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import numpy as np
import pytest

import jaxbrain as jb
from jaxbrain import _checks, pilot, sklearn
from tests.helpers.regressions import projector_of


class Data(NamedTuple):
    """Whole numbers, which every kind of numbers holds exactly; and a unit for penalties."""

    inputs: Any
    targets: Any
    recordings: Any
    basis: Any
    unit: float = 1.0

    def map(self, inputs, targets=None, recordings=None):
        """Each array by a function of its own; what has none stays."""
        return self._replace(
            inputs=inputs(self.inputs),
            targets=self.targets if targets is None else targets(self.targets),
            recordings=self.recordings if recordings is None else recordings(self.recordings),
        )


def whole_numbers(n, d, p):
    rng = np.random.default_rng(0)
    inputs = np.round(100 * rng.normal(size=(n, d)))
    recordings = np.round(inputs[:, :2] @ rng.normal(size=(2, p)) + 60 * rng.normal(size=(n, p)))
    targets = np.round(inputs[:, :2] @ rng.normal(size=(2, 2)) + 90 * rng.normal(size=(n, 2)))
    assert max(np.abs(a).max() for a in (inputs, recordings, targets)) < 2048
    return Data(inputs, targets, recordings, np.linalg.qr(rng.normal(size=(d, 3)))[0])


FEW, STUDY = whole_numbers(40, 12, 6), whole_numbers(120, 12, 20)


class Entry(NamedTuple):
    """A call, in which units its answer is, along which axes, and what it depends on by right.

    `units` are powers of those of inputs, targets and recordings; `axes` tell inputs, targets and
    channels by letters. `by_row` marks what takes rows by their number; `centres` what does not
    care for offsets.
    """

    call: Callable[[Data], Any]
    units: tuple[int, int, int] = (0, 0, 0)
    axes: str = ""
    by_row: bool = False
    centres: bool = True
    data: Data = FEW


def objective(name, **options):
    def call(d):
        return getattr(jb, name)(d.inputs, d.targets, d.basis, **options)(3e3 * d.unit**2)

    return call


def held_out(d):
    rows = d.inputs[:30], d.targets[:30], d.inputs[30:], d.targets[30:]
    return jb.HeldOut(*rows, d.basis)(3e3 * d.unit**2)


def tuned(d):
    return jb.tune_penalty(jb.LeaveOneOut(d.inputs, d.targets, d.basis)).penalty


def fitted(estimator, **of_data):
    def call(d):
        model = estimator(d)
        return np.transpose(model.fit(d.inputs, d.targets, **of_data).coef_)

    return call


def fitted_befs(d):
    model = sklearn.BEFS(rank=2, penalty=3e3 * d.unit**2, encoding_ridge=0.0)
    return np.transpose(model.fit(d.inputs, d.targets, recordings=d.recordings).coef_)


def above_the_middle(d):
    """Two classes, whatever the unit, the offset and the order of targets."""
    sums = np.asarray(d.targets, float).sum(axis=1)
    return sums > np.median(sums)


def fitted_banded(d):
    unit = d.unit**2
    model = sklearn.BandedRidge(
        penalty=3e3 * unit, encoder_penalty=1e3 * unit, encoding_ridge=3e3 * unit
    )
    return np.transpose(model.fit(d.inputs, d.targets, recordings=d.recordings).coef_)


def of_study(d):
    return pilot.pilot_data(inputs=d.inputs, recordings=d.recordings, targets=d.targets)


def evaluated(d):
    data = of_study(d)
    found = pilot.evaluate(data, pilot.split_sizes(data, 60, 24, 36), 3, jax.random.key(0), rank=2)
    return np.asarray(found.errors)


def rank_of_study(d):
    data = of_study(d)
    return pilot.choose_rank(data, pilot.split_sizes(data), 5, jax.random.key(0))


def gram_of(describe):
    def call(d):
        scores = describe(of_study(d), 5)[0].brain_inputs
        return scores @ scores.T

    return call


def averaged(d):
    twice = (np.repeat(array, 2, axis=0) for array in d[:3])
    inputs, targets, recordings = twice
    data = pilot.pilot_data(inputs=inputs, targets=targets, recordings=recordings)
    return pilot.average_repeats(data).recordings


def indicated(d):
    data = pilot.pilot_data(inputs=d.inputs, targets=d.targets > 0, recordings=d.recordings)
    return pilot.class_indicators(data).targets


def summarised(d):
    return np.array(pilot.summarise(d.targets[:, 0])[:3])


def shuffled(d):
    return jb.shuffle_recordings(jax.random.key(0), d.recordings)


WEIGHTS = dict(units=(-1, 1, 0), axes="it", centres=False)
OF_STUDY = dict(by_row=True, data=STUDY)
ENTRIES = {
    "task_only": Entry(lambda d: jb.task_only(d.inputs, d.targets), **WEIGHTS),
    "ridge": Entry(lambda d: jb.ridge(d.inputs, d.targets, 3e3 * d.unit**2), **WEIGHTS),
    "befs": Entry(lambda d: jb.befs(d.inputs, d.targets, d.basis, 3e3 * d.unit**2), **WEIGHTS),
    "befs_path": Entry(
        lambda d: jb.befs_path(d.inputs, d.targets, d.basis, np.array([3e3 * d.unit**2]))[0],
        **WEIGHTS,
    ),
    "banded_ridge_path": Entry(
        lambda d: jb.banded_ridge_path(
            d.inputs, d.targets, d.basis, np.array([3e3 * d.unit**2]), 3e2 * d.unit**2
        )[0],
        **WEIGHTS,
    ),
    "logistic": Entry(
        lambda d: jb.logistic(
            d.inputs, above_the_middle(d), 3e3 * d.unit**2,
            basis=d.basis, inside_penalty=3e2 * d.unit**2,
        ).weights,
        units=(-1, 0, 0), axes="i",
    ),
    "encode": Entry(
        lambda d: projector_of(jb.encode(d.inputs, d.recordings, 2)), axes="ii", centres=False
    ),
    "fit_encoder": Entry(
        lambda d: jb.fit_encoder(d.inputs, d.recordings, 3e3 * d.unit**2).weights, (-1, 0, 1), "ic"
    ),
    "shuffle_recordings": Entry(shuffled, (0, 0, 1), ".c", by_row=True, centres=False),
    "LeaveOneOut": Entry(objective("LeaveOneOut")),
    "GeneralizedCrossValidation": Entry(objective("GeneralizedCrossValidation")),
    "KFold": Entry(objective("KFold", folds=5), by_row=True),
    "HeldOut": Entry(held_out, by_row=True),
    "tune_penalty": Entry(tuned, (2, 0, 0)),
    "sklearn.TaskOnly": Entry(
        fitted(lambda d: sklearn.TaskOnly()), (-1, 1, 0), "it"
    ),
    "sklearn.RidgeBaseline": Entry(
        fitted(lambda d: sklearn.RidgeBaseline(penalty=3e3 * d.unit**2)), (-1, 1, 0), "it"
    ),
    "sklearn.BEFS": Entry(fitted_befs, (-1, 1, 0), "it"),
    "sklearn.BandedRidge": Entry(
        fitted_banded, (-1, 1, 0), "it"
    ),
    "encoding_rank": Entry(lambda d: pilot.encoding_rank(d.inputs, d.recordings), data=STUDY),
    "choose_rank": Entry(rank_of_study, **OF_STUDY),
    "evaluate": Entry(evaluated, axes="..t", **OF_STUDY),
    "principal_components": Entry(gram_of(pilot.principal_components), (2, 0, 0), "..", **OF_STUDY),
    "whiten": Entry(gram_of(pilot.whiten), axes="..", **OF_STUDY),
    "standardise_channels": Entry(
        lambda d: pilot.standardise_channels(of_study(d)).recordings, axes=".c", **OF_STUDY
    ),
    "average_repeats": Entry(averaged, (0, 0, 1), ".c", centres=False, **OF_STUDY),
    "class_indicators": Entry(indicated, axes=".t", centres=False, **OF_STUDY),
    "row_correlation": Entry(lambda d: pilot.row_correlation(of_study(d)), **OF_STUDY),
    "summarise": Entry(summarised, (0, 1, 0), centres=False),
}  # fmt: skip
each_entry = pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)


@pytest.fixture(scope="module")
def plain():
    """The answers as they are, once for each entry."""
    known = {}

    def answer(entry):
        if entry.call not in known:
            known[entry.call] = np.asarray(entry.call(entry.data), float)
        return known[entry.call]

    return answer


def check(entry, plain, data, scale=1.0, order=None, rtol=1e-7):
    """The answer of changed data is the plain one, in its units and order."""
    expected = plain(entry)
    for axis, letter in enumerate(entry.axes):
        if order and letter in order:
            expected = np.take(expected, order[letter], axis=axis)
    found = np.asarray(entry.call(data), float) / scale
    np.testing.assert_allclose(found, expected, rtol=0, atol=rtol * np.max(np.abs(expected)))


UNITS = [(1e-26, 1e18, 1e18), (1e18, 1e-26, 1e-26), (1e-9, 1.0, 1e9)]


@pytest.mark.parametrize("units", UNITS, ids=str)
@each_entry
def test_units_change_nothing_but_units(entry, plain, units):
    scaled = entry.data.map(*(lambda a, u=unit: a * u for unit in units))._replace(unit=units[0])
    scale = np.prod([float(u) ** power for u, power in zip(units, entry.units, strict=True)])
    check(entry, plain, scaled, scale)


@each_entry
def test_the_order_of_columns_changes_nothing_but_order(entry, plain):
    rng = np.random.default_rng(1)
    data = entry.data
    order = {
        letter: rng.permutation(array.shape[1])
        for letter, array in zip("itc", data[:3], strict=True)
    }
    if entry.call is summarised:
        order["t"] = np.arange(2)
    moved = data.map(*(lambda a, o=order[letter]: a[:, o] for letter in "itc"))
    check(entry, plain, moved._replace(basis=data.basis[order["i"]]), order=order)


@pytest.mark.parametrize(
    "entry",
    [entry for entry in ENTRIES.values() if not entry.by_row],
    ids=[name for name, entry in ENTRIES.items() if not entry.by_row],
)
def test_the_order_of_rows_changes_nothing(entry, plain):
    order = np.random.default_rng(2).permutation(len(entry.data.inputs))
    check(entry, plain, entry.data.map(*[lambda a: a[order]] * 3))


@pytest.mark.parametrize(
    "entry",
    [entry for entry in ENTRIES.values() if entry.centres],
    ids=[name for name, entry in ENTRIES.items() if entry.centres],
)
def test_offsets_change_nothing(entry, plain):
    rng = np.random.default_rng(3)
    check(entry, plain, entry.data.map(*[lambda a: a + 1e6 * rng.normal(size=a.shape[1])] * 3))


def read_only(array):
    array = array.copy(order="K")
    array.flags.writeable = False
    return array


KINDS = {
    "half precision": lambda a: a.astype(np.float16),
    "64-bit integers": lambda a: a.astype(np.int64),
    "16-bit integers": lambda a: a.astype(np.int16),
    "big-endian": lambda a: a.astype(">f8"),
    "long double": lambda a: a.astype(np.longdouble),
    "every other number in memory": lambda a: np.repeat(a, 2, axis=1)[:, ::2],
    "column by column, read-only": lambda a: read_only(np.asfortranarray(a)),
    "pandas": lambda a: pytest.importorskip("pandas").DataFrame(a),
}
# Studies come in by `pilot_data` alone.
TAKES_ARRAYS = {name: entry for name, entry in ENTRIES.items() if entry.data is FEW}
TAKES_ARRAYS |= {"encoding_rank": ENTRIES["encoding_rank"]}


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("entry", TAKES_ARRAYS.values(), ids=TAKES_ARRAYS)
def test_kinds_of_numbers_change_nothing(entry, plain, kind):
    if entry.call is summarised and kind == "pandas":
        pytest.skip("it takes one column")
    check(entry, plain, entry.data.map(*[KINDS[kind]] * 3), rtol=1e-9)


@pytest.mark.parametrize("entry", TAKES_ARRAYS.values(), ids=TAKES_ARRAYS)
def test_single_precision_beside_double_is_double(entry, plain):
    check(entry, plain, entry.data.map(lambda a: a.astype(np.float32)), rtol=1e-9)


@pytest.mark.parametrize("kind", KINDS)
def test_a_study_of_any_kind_of_numbers_is_the_same(kind):
    for found, expected in zip(
        of_study(STUDY.map(*[KINDS[kind]] * 3)), of_study(STUDY), strict=True
    ):
        np.testing.assert_array_equal(found, expected)


def test_what_is_masked_is_no_number():
    masked = np.ma.masked_array(FEW.recordings, mask=FEW.recordings > 100)
    for call in (
        lambda: pilot.pilot_data(inputs=FEW.inputs, recordings=masked, targets=FEW.targets),
        lambda: pilot.encoding_rank(FEW.inputs, masked),
        lambda: jb.encode(FEW.inputs, masked, 2),
    ):
        with pytest.raises(ValueError, match="recordings has masked entries"):
            call()
    column = FEW.targets[:, 0]
    found = pilot.summarise(np.ma.masked_array(column, mask=column > 100))
    assert found.failed == np.sum(column > 100)
    assert found.mean == pytest.approx(column[column <= 100].mean())


THIRDS = np.array([50.1, 60.1]) / 3 + 40


def problem():
    """Made where it is used, in the precision of that place."""
    return jb.Problem.isotropic(20, 3, 1.0, 0.2, 0.5)


# scikit-learn's estimators compute in double precision anyhow, the rest in NumPy.
ROUNDED = (
    {
        name: lambda e=entry: e.call(e.data.map(*[lambda a: a / 3] * 3))
        for name, entry in ENTRIES.items()
        if name.split(".")[0]
        not in (
            "sklearn",
            "principal_components",
            "whiten",
            "standardise_channels",
            "average_repeats",
            "class_indicators",
            "row_correlation",
            "summarise",
        )
    }
    | {
        "Problem.isotropic": lambda: jb.Problem.isotropic(20, 3, THIRDS, 0.2, 0.5),
        "LinearGaussianModel": lambda: jb.LinearGaussianModel(
            FEW.basis, FEW.recordings[:, :3] / 3, 0.1, 0.1, FEW.inputs[0] / 3, 1.0
        ),
        "BlockShift": lambda: jb.BlockShift(THIRDS, 1.0, 1.0),
        "subspace_risk": lambda: jb.subspace_risk(FEW.basis, FEW.inputs[0] / 3, 1.0, 50.0, 0.1),
        "wishart_resolvent_trace": lambda: jb.wishart_resolvent_trace(20, 50.0, THIRDS),
        "asymptotic_allocation": lambda: jb.asymptotic_allocation(problem(), 7 * THIRDS, 1.0, 1.0),
        "worth_collecting": lambda: jb.worth_collecting(problem(), THIRDS, 1.0),
        "favourability": lambda: jb.favourability(problem(), THIRDS, 1.0),
        "ClosedFormRisk": lambda: jb.ClosedFormRisk(problem(), 50.0, THIRDS),
        "expected_misalignment": lambda: jb.expected_misalignment(problem(), THIRDS),
        "ridge_risk": lambda: jb.ridge_risk(problem(), THIRDS),
        "task_only_risk": lambda: jb.task_only_risk(problem(), THIRDS),
    }
    | {
        name: lambda name=name: getattr(jb, name)(problem(), THIRDS, 50.0)
        for name in (
            "value",
            "risk",
            "worth",
            "exchange_rate",
            "savings",
            "information_value",
            "elasticities",
            "optimal_penalty",
            "optimal_penalties",
            "two_penalty_risk",
        )
    }
)


@pytest.mark.parametrize("call", ROUNDED.values(), ids=ROUNDED)
def test_every_entry_tells_that_it_rounds(call, single_precision, monkeypatch):
    monkeypatch.setattr(_checks, "_rounding_was_told", False)
    with warnings.catch_warnings():
        # It comes before anything is computed.
        warnings.simplefilter("error")
        with pytest.raises(UserWarning, match=r"rounded to float32.*jax_enable_x64"):
            call()

"""Units and kinds of numbers change nothing but units, in both precisions; digits of condition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import jaxbrain as jb
from jaxbrain import _checks
from jaxbrain.pilot import encoding_rank
from jaxbrain.sklearn import BEFS, RidgeBaseline, TaskOnly
from tests.helpers.regressions import brain_data, encode_oracle, projector_of, task_data

X, Y, B = task_data(0, 40, 12, 3, 2)
SEEN, RECORDINGS, _ = brain_data(1, 40, 12, 3, 6)
# Of the inputs, and of what they are set against.
SCALES = [(1e-13, 1.0), (1e-9, 1e18), (1e9, 1e-26), (1.0, 1e-26), (1e-15, 1e18)]


def answers(inputs, targets, recordings, penalty, dtype):
    rows, labels, basis, seen, heard = (
        np.asarray(a, dtype)
        for a in (X * inputs, Y * targets, B, SEEN * inputs, RECORDINGS * recordings)
    )
    found = {
        "task_only": jb.task_only(rows, labels),
        "ridge": jb.ridge(rows, labels, penalty),
        "befs": jb.befs(rows, labels, basis, penalty),
        "befs_path": jb.befs_path(rows, labels, basis, jnp.asarray([penalty], dtype))[0],
        "few rows": jb.befs(rows[:6], labels[:6], basis, penalty),
        "encode": projector_of(jb.encode(seen, heard, 3)),
    }
    assert all(a.dtype == dtype for name, a in found.items() if name != "encode")
    ratio = inputs / targets
    return {
        name: np.asarray(a, float) * (1.0 if name == "encode" else ratio)
        for name, a in found.items()
    }


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_units_change_nothing_but_units(dtype):
    with jax.enable_x64(dtype == np.float64):
        plain = answers(1.0, 1.0, 1.0, 0.3, dtype)
        for inputs, others in SCALES:
            scaled = answers(inputs, others, others, 0.3 * inputs**2, dtype)
            for name, found in scaled.items():
                accuracy = 1e4 * np.finfo(dtype).eps * np.max(np.abs(plain[name]))
                np.testing.assert_allclose(found, plain[name], rtol=0, atol=accuracy, err_msg=name)


def test_least_squares_keep_the_digits_of_the_condition():
    """At a condition of 1e8 an answer by the normal equations is off by a third."""
    rng = np.random.default_rng(0)
    inputs = np.c_[X, X[:, 0] + 1e-8 * rng.normal(size=40)]
    targets, weights = inputs @ np.arange(1.0, 14), np.arange(1.0, 14)
    basis = np.linalg.qr(rng.normal(size=(13, 3)))[0]
    for found in (
        jb.task_only(inputs, targets),
        jb.ridge(inputs, targets, 0.0),
        jb.befs(inputs, targets, basis, 0.0),
    ):
        np.testing.assert_allclose(found, weights, rtol=0, atol=1e-5)
    moments = np.linalg.solve(inputs.T @ inputs, inputs.T @ targets)
    assert np.max(np.abs(moments - weights)) > 1e-3
    for refuse in (
        lambda: jb.task_only(np.c_[X, X[:, 0]], Y),
        lambda: jb.befs_path(inputs, targets, basis, np.array([0.0])),
    ):
        with pytest.raises(ValueError, match="collinear"):
            refuse()


def test_encode_keeps_the_digits_of_the_condition():
    """Directions whose strength is 1e-7 of the first are found, and the side of the rows is one."""
    rng = np.random.default_rng(2)
    left, right = (
        np.linalg.qr(rng.normal(size=(40, 6)))[0],
        np.linalg.qr(rng.normal(size=(9, 6)))[0],
    )
    recordings = (left * np.geomspace(1, 1e-9, 6)) @ right.T
    found = projector_of(jb.encode(X, recordings, 4))
    np.testing.assert_allclose(found, encode_oracle(X, recordings, 4), rtol=0, atol=1e-6)
    few = projector_of(jb.encode(SEEN[:7], RECORDINGS[:7], 3, 1e-6))
    np.testing.assert_allclose(
        few, encode_oracle(SEEN[:7], RECORDINGS[:7], 3, 1e-6), rtol=0, atol=1e-8
    )


KINDS = {
    "half precision": lambda a: a.astype(np.float16),
    "big-endian": lambda a: a.astype(">f8"),
    "long double": lambda a: a.astype(np.longdouble),
    "64-bit integers": lambda a: np.round(a * 2**30).astype(np.int64),
    "masked, with nothing masked": np.ma.masked_array,
}


# Every public way to hand over arrays: an answer from inputs and targets, or recordings.
ENTRIES = {
    "task_only": lambda x, y, _: jb.task_only(x, y),
    "ridge": lambda x, y, _: jb.ridge(x, y, 0.3),
    "befs": lambda x, y, _: jb.befs(x, y, B, 0.3),
    "befs_path": lambda x, y, _: jb.befs_path(x, y, B, np.array([0.3])),
    "encode": lambda x, _, r: projector_of(jb.encode(x, r, 3)),
    "shuffle_recordings": lambda x, _, r: jb.shuffle_recordings(jax.random.key(0), r),
    "encoding_rank": lambda x, _, r: encoding_rank(x, r),
    "LeaveOneOut": lambda x, y, _: jb.LeaveOneOut(x, y, B).regression.residual,
    "KFold": lambda x, y, _: jb.KFold(x, y, B).regression.residual,
    "HeldOut": lambda x, y, _: jb.HeldOut(x, y, x[:7], y[:7], B).regression.residual,
    "sklearn.TaskOnly": lambda x, y, _: TaskOnly().fit(x, y).coef_,
    "sklearn.RidgeBaseline": lambda x, y, _: RidgeBaseline(penalty=0.3).fit(x, y).coef_,
    "sklearn.BEFS": lambda x, y, r: (
        BEFS(rank=3, penalty=0.3, encoding_ridge=0.0).fit(x, y, r).coef_
    ),
}


@pytest.mark.parametrize("entry", ENTRIES.values(), ids=ENTRIES)
def test_any_kind_of_numbers_is_what_numpy_widens_it_to(entry):
    for name, kind in KINDS.items():
        given = kind(SEEN), kind(Y), kind(RECORDINGS)
        expected = entry(*(np.asarray(array, float) for array in given))
        np.testing.assert_array_equal(entry(*given), expected, err_msg=name)


@pytest.mark.parametrize("kind", ["long double", "64-bit integers", "big-endian"])
def test_what_is_wider_is_not_rounded_to_single_precision_beside_it(kind):
    assert jb.task_only(KINDS[kind](X), Y.astype(np.float32)).dtype == np.float64


OF_RECORDINGS = ("encode", "shuffle_recordings", "encoding_rank", "sklearn.BEFS")


@pytest.mark.parametrize("name", ENTRIES)
def test_masked_entries_are_refused(name):
    """Whatever lies under the mask: in inputs, and in what is read beside them."""
    places = {2 if name in OF_RECORDINGS else 1} | ({0} if name != "shuffle_recordings" else set())
    for place in places:
        arrays = [SEEN, Y, RECORDINGS]
        arrays[place] = np.ma.masked_array(arrays[place], mask=arrays[place] > 1)
        with pytest.raises(ValueError, match="has masked entries"):
            ENTRIES[name](*arrays)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        (X.astype(object), "convert it by .astype"),
        (X.astype("m8[s]"), "type is timedelta64"),
        (X > 0, "type is bool"),
    ],
)
def test_what_is_no_number_is_named(wrong, said):
    with pytest.raises(ValueError, match=said):
        jb.task_only(wrong, Y)


def test_rounding_to_single_precision_is_told_once(single_precision, monkeypatch):
    monkeypatch.setattr(_checks, "_rounding_was_told", False)
    jb.task_only(X.astype(np.float32).astype(float), Y.astype(np.float32))
    with pytest.warns(UserWarning, match="jax_enable_x64") as told:
        jb.task_only(X, Y)
    jb.task_only(X, Y)
    assert len(told) == 1

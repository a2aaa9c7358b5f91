"""What is left out and named, what is a class, and rows that belong together. Nothing compiles."""

import json

import jax.numpy as jnp
import numpy as np
import pytest

from jaxbrain.cli.words.arrays import about_arrays, as_json
from jaxbrain.pilot import (
    Dropped,
    PilotError,
    average_repeats,
    class_indicators,
    pilot_data,
    read_pilot,
    rows_together,
    split_sizes,
)
from jaxbrain.pilot.transformations import standardiser
from tests.helpers.studies import INPUTS, RECORDINGS, TARGETS

STUDY = dict(inputs=INPUTS, recordings=RECORDINGS, targets=TARGETS)


def study(**changes):
    return pilot_data(**(STUDY | changes))


def dead(array, empty=(), constant=(), partly=()):
    array = array.copy()
    array[:, list(empty)] = np.nan
    array[:, list(constant)] = 0.1
    # What no float holds exactly varies by rounding.
    array[::2, list(constant)] = np.nextafter(0.1, 1)
    array[5, list(partly)] = np.inf
    return array


def test_channels_and_targets_that_tell_nothing_are_left_out_and_named():
    data = study(
        recordings=dead(RECORDINGS, (3, 7), (0,), (19,)), targets=dead(TARGETS, constant=(1,))
    )
    kept = [place for place in range(20) if place not in (0, 3, 7, 19)]
    np.testing.assert_array_equal(data.recordings, RECORDINGS[:, kept])
    np.testing.assert_array_equal(data.targets, TARGETS[:, :1])
    assert data.target_names == ("0",)
    assert data.dropped == (
        Dropped("recordings", "holds no number", (3, 7)),
        Dropped("recordings", "is constant", (0,)),
        Dropped("recordings", "holds NaN, infinity or numbers beyond 1e150", (19,)),
        Dropped("targets", "is constant", (1,)),
    )
    assert about_arrays(data, None)[0] == "left out: recordings holds no number in 2 columns (3, 7)"
    assert json.loads(json.dumps(as_json(data)))["dropped"][1] == {
        "array": "recordings",
        "reason": "is constant",
        "columns": [0],
    }
    assert study().dropped == ()


def test_inputs_that_never_change_are_left_out_where_neither_stage_sees_a_change():
    data = study(inputs=dead(INPUTS, constant=(2, 5)))
    np.testing.assert_array_equal(data.task_inputs, np.delete(INPUTS, [2, 5], axis=1))
    assert data.dropped == (Dropped("inputs", "is constant", (2, 5)),)
    brain, task = INPUTS.copy(), INPUTS.copy()
    brain[:, [1, 2, 3]], task[:, [1, 2, 4]] = 7.0, 7.0
    task[:, 2] = 8.0
    data = pilot_data(brain_inputs=brain, recordings=RECORDINGS, task_inputs=task, targets=TARGETS)
    # Constant in one stage alone, or at another number in each, is a difference.
    np.testing.assert_array_equal(data.brain_inputs, np.delete(brain, 1, axis=1))
    np.testing.assert_array_equal(data.task_inputs, np.delete(task, 1, axis=1))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        (dict(inputs=dead(INPUTS, partly=(1,))), r"inputs holds NaN, .* in 1 row \(5\): remove"),
        (dict(inputs=dead(INPUTS, empty=(1,))), r"inputs holds no number in 1 column \(1\)"),
        (
            dict(recordings=dead(RECORDINGS, (0, 1), (2,), range(3, 13))),
            r"in 10 channels .*, more than half of them, and 1 row \(5\): remove those rows, or",
        ),
        (dict(recordings=dead(RECORDINGS, range(20))), "holds no number .*: no channel is left"),
        (dict(targets=dead(TARGETS, constant=(0, 1))), "is constant .*: no target is left"),
        (dict(groups=np.arange(59)), "groups has 59 rows, but its inputs have 60"),
        (dict(groups=np.arange(60) // 30), "groups has 2 groups: a split takes at least 3"),
        (dict(groups=np.where(np.arange(60) == 4, np.nan, 1.0)), r"1 rows \(first 4\)"),
        (dict(groups=np.array(["a", ""] * 30)), r"group of 30 rows \(first 1\)"),
        (dict(groups=np.ones((60, 2))), "a word for each row, but its shape is"),
        (dict(groups=np.array([None] * 60)), "a word for each row"),
        (dict(task_groups=np.arange(60)), "array 'brain_inputs' is missing"),
        (
            dict(targets=np.array(["a"] * 60)),
            "targets is constant in 1 column .*: no target is left",
        ),
        (dict(targets=np.array(["a", "b"] * 30), classes=False), "text, which is classes"),
        (dict(targets=TARGETS, classes=True), "targets has 60 classes in 60 rows, column 0"),
    ],
)
def test_what_cannot_be_is_named(changes, said):
    with pytest.raises(PilotError, match=said):
        study(**changes)


def test_a_target_is_missing_in_its_own_rows_alone():
    targets = TARGETS.copy()
    targets[[3, 8], 0], targets[5, 1] = np.nan, np.inf
    data = study(targets=targets)
    np.testing.assert_array_equal(data.known_targets, np.isfinite(targets))
    np.testing.assert_array_equal(data.targets[data.known_targets], TARGETS[np.isfinite(targets)])
    assert about_arrays(data, None) == [
        "targets: 3 missing, left out one by one; at least 58 of 60 rows are known"
    ]
    assert study().known_targets is None


FEW = np.arange(60) % 3


@pytest.mark.parametrize(
    ("targets", "classes", "labels"),
    [
        (FEW, None, (0, 1, 2)),
        (FEW.astype(np.int8) - 1, None, (-1, 0, 1)),
        (FEW.astype(float), None, None),
        (FEW.astype(float), True, (0.0, 1.0, 2.0)),
        (FEW, False, None),
        (FEW > 0, None, (False, True)),
        (FEW > 0, False, None),
        (np.array(["no", "a", "b"])[FEW], None, ("a", "b", "no")),
        (np.array([b"no", b"a", b"b"])[FEW], None, ("a", "b", "no")),
        (np.array(["no", "a", None], object)[FEW], None, ("a", "no")),
        (jnp.asarray(FEW), None, (0, 1, 2)),
        # Counts: of more than ten values, or with few rows to each.
        (np.arange(60) % 12, None, None),
        (np.arange(60) % 12, True, tuple(range(12))),
        (np.arange(60) % 11, None, None),
        (np.arange(60) % 10, None, tuple(range(10))),
    ],
)
def test_targets_of_few_values_are_classes(targets, classes, labels):
    data = study(targets=targets, classes=classes)
    if labels is None:
        assert data.classes is None
        np.testing.assert_array_equal(data.targets[:, 0], np.asarray(targets, float))
        return
    assert data.classes == (labels,)
    assert json.loads(json.dumps(as_json(data)))["classes"] == [list(labels)]
    known = data.targets[:, 0] == data.targets[:, 0]
    given = np.asarray(targets)[known].tolist()
    given = [label.decode() if isinstance(label, bytes) else label for label in given]
    assert [labels[int(code)] for code in data.targets[known, 0]] == given
    assert known.all() == (len(set(np.asarray(targets).tolist())) == len(labels))


def test_data_frames_keep_their_names_and_what_is_missing():
    pandas = pytest.importorskip("pandas")
    kind = pandas.Series(["a", "b", None] * 20, dtype="string")
    for column in (kind, kind.astype(object), kind.astype("category")):
        data = study(targets=pandas.DataFrame({"kind": column}))
        assert data.classes == (("a", "b"),)
        assert data.target_names == ("kind",)
        np.testing.assert_array_equal(data.targets[:, 0], np.array([0, 1, np.nan])[FEW])
    counts = pandas.DataFrame({"count": pandas.array([1, 2, None] * 20, dtype="Int64")})
    data = study(targets=counts)
    assert data.classes is None
    np.testing.assert_array_equal(data.targets[:, 0], np.array([1, 2, np.nan])[FEW])


def test_fewer_than_five_rows_a_value_are_numbers():
    rows = dict(inputs=INPUTS[:14], recordings=RECORDINGS[:14])
    assert pilot_data(targets=np.arange(14) % 3, **rows).classes is None
    assert pilot_data(targets=np.arange(14) % 2, **rows).classes == ((0, 1),)


def test_classes_become_indicators_and_their_rows_are_told():
    pair = np.array(["no", "yes"])[FEW % 2]
    data = study(targets=np.stack([np.array(["a", "b", ""])[FEW], pair], axis=1))
    assert about_arrays(data, None)[1:] == [
        "target 0: 2 classes, a (20 rows), b (20 rows)",
        "target 1: 2 classes, no (40 rows), yes (20 rows)",
    ]
    told = class_indicators(data)
    assert told.classes is None
    np.testing.assert_array_equal(told.targets[:, 0], np.array([-1, 1, np.nan])[FEW])
    np.testing.assert_array_equal(told.targets[:, 1], np.array([-1, 1, -1])[FEW])
    three = class_indicators(study(targets=FEW))
    np.testing.assert_array_equal(three.targets, 2 * np.eye(3)[FEW] - 1)
    assert three.target_names == ("0: 0", "0: 1", "0: 2")
    assert class_indicators(study()).targets is not None
    np.testing.assert_array_equal(class_indicators(study()).targets, TARGETS)


def test_text_in_a_table_is_a_class_and_a_slip_is_not(tmp_path):
    np.savez(tmp_path / "study.npz", inputs=INPUTS, recordings=RECORDINGS)
    table = tmp_path / "labels.csv"
    rows = [f"s{n // 6},{'ab'[n % 2]},{n % 2}," + ("NA" if n == 9 else f"{n}.5") for n in range(60)]
    table.write_text("\n".join(["subject,kind,code,score", *rows]))

    def read(name, **options):
        return read_pilot(tmp_path / "study.npz", targets=f"{table}:{name}", **options)

    assert read("kind").classes == (("a", "b"),)
    assert read("code").classes == ((0, 1),)
    assert read("kind", groups=f"{table}:subject").task_groups.tolist() == [
        n // 6 for n in range(60)
    ]
    missing = read("score")
    assert np.flatnonzero(~missing.known_targets).tolist() == [9]
    assert missing.target_names == ("score",)
    table.write_text(table.read_text().replace("33.5", "33,5"))
    with pytest.raises(PilotError, match="has 5 cells in line 35, but 4 in the first"):
        read("score")
    table.write_text(table.read_text().replace("33,5", "33.5.1"))
    with pytest.raises(PilotError, match=r"'33\.5\.1' in line 35, column 'score', which is no"):
        read("score")
    table.write_text(table.read_text().replace("s1,a,0,6.5", f"s1,{'a' * 201},0,6.5"))
    with pytest.raises(PilotError, match="a label of more than 200 letters, line 8"):
        read("kind")


GROUP = np.random.default_rng(0).permutation(np.arange(60) // 4)


def test_rows_of_a_group_and_rows_of_equal_inputs_stay_together():
    np.testing.assert_array_equal(
        rows_together(study(groups=GROUP)), rows_together(study(groups=GROUP.astype(str)))
    )
    found = rows_together(study(groups=GROUP))
    assert len(np.unique(np.stack([found, GROUP], axis=1), axis=0)) == 15
    assert rows_together(study(groups=np.arange(60))) is None
    # Two groups that saw the same stimulus are one.
    inputs = INPUTS.copy()
    inputs[np.flatnonzero(GROUP == 3)[0]] = inputs[np.flatnonzero(GROUP == 8)[0]]
    joined = rows_together(study(groups=GROUP, inputs=inputs))
    assert len(np.unique(joined)) == 14
    assert len(np.unique(joined[(GROUP == 3) | (GROUP == 8)])) == 1
    # And so are groups with rows in one block.
    blocks = rows_together(study(groups=np.arange(60) // 3), 2)
    assert len(np.unique(blocks)) == 10
    # A split has three sides, and a group too many rows for what would be left of the third.
    assert split_sizes(study(groups=GROUP), 30, 10).n_test == 60 - 30 - 10 - 2 * 3


def test_separate_rows_have_groups_of_their_own_of_common_names():
    separate = dict(
        brain_inputs=INPUTS, recordings=RECORDINGS, task_inputs=INPUTS[:40], targets=TARGETS[:40]
    )
    data = pilot_data(
        brain_groups=np.array(["s1", "s2"] * 30),
        task_groups=np.array(["s2", "s3"] * 20),
        **separate,
    )
    np.testing.assert_array_equal(data.brain_groups, [0, 1] * 30)
    np.testing.assert_array_equal(data.task_groups, [1, 2] * 20)
    np.testing.assert_array_equal(rows_together(data), [0, 1] * 20)
    with pytest.raises(PilotError, match="must both hold numbers, or both hold text"):
        pilot_data(brain_groups=np.array(["s1", "s2"] * 30), task_groups=FEW[:40], **separate)
    with pytest.raises(PilotError, match="array 'groups' is not known here"):
        pilot_data(groups=np.array(["s1", "s2"] * 30), **separate)


def by_hand(array, label):
    """Means of rows by label, in the order of the labels' first rows, in plain Python."""
    rows = {}
    for name, row in zip(label, np.asarray(array).tolist(), strict=True):
        rows.setdefault(name, []).append(row)
    return [np.nanmean(np.array(each), axis=0) for each in rows.values()]


def test_repeats_are_averaged_by_inputs_or_by_groups():
    shown, targets = INPUTS[GROUP], TARGETS.copy()
    targets[GROUP == 2, 0] = np.nan
    targets[np.flatnonzero(GROUP == 4)[:3], 1] = np.nan
    with np.errstate(invalid="ignore"), pytest.warns(RuntimeWarning, match="empty slice"):
        expected = by_hand(targets, GROUP)
    data = average_repeats(study(inputs=shown, targets=targets))
    np.testing.assert_allclose(data.recordings, by_hand(RECORDINGS, GROUP), rtol=1e-12)
    np.testing.assert_allclose(data.targets, expected, rtol=1e-12)
    # Exactly the inputs that were shown, and not their mean but for rounding.
    np.testing.assert_array_equal(data.task_inputs, np.unique(shown, axis=0)[
        np.argsort(np.unique(shown, axis=0, return_index=True)[1])])  # fmt: skip
    assert data.shared_rows
    by_group = average_repeats(study(groups=GROUP), "groups")
    np.testing.assert_allclose(by_group.task_inputs, by_hand(INPUTS, GROUP), rtol=1e-12)
    assert by_group.task_groups.tolist() == list(range(15))
    assert about_arrays(by_group, "groups") == [
        "repeats: rows of one group averaged, 15 rows with recordings and 15 with targets are left"
    ]
    # By inputs alone, nothing here is a repeat.
    np.testing.assert_array_equal(average_repeats(study(groups=GROUP)).recordings, RECORDINGS)
    with pytest.raises(PilotError, match="the study has no groups"):
        average_repeats(study(), "groups")


def test_sessions_that_share_a_stimulus_become_one_group():
    session, stimulus = np.arange(60) // 20, np.arange(60) % 20
    stimulus = stimulus + 20 * (session == 2)
    data = average_repeats(study(inputs=np.random.default_rng(0).normal(size=(40, 12))[stimulus],
                                 groups=session))  # fmt: skip
    assert data.task_groups.tolist() == [0] * 20 + [1] * 20


def test_repeats_of_separate_rows_are_averaged_apart_and_have_one_class():
    label = np.repeat(["a", "b"], 30)
    shown = INPUTS[np.arange(60) // 3]
    separate = dict(brain_inputs=INPUTS, recordings=RECORDINGS, task_inputs=shown)
    data = average_repeats(pilot_data(targets=label, **separate))
    assert (len(data.recordings), len(data.targets)) == (60, 20)
    assert data.targets[:, 0].tolist() == [0.0] * 10 + [1.0] * 10
    label[4] = "b"
    with pytest.raises(
        PilotError, match=r"1 repeated rows differ in class, as in rows \[3, 4, 5\]"
    ):
        average_repeats(pilot_data(targets=label, **separate))


def test_a_standardiser_is_of_its_training_rows():
    train = np.random.default_rng(0).normal(size=(40, 4)) + 3.0
    train[:, [0, 2]] *= [1e-160, 1e140]
    train[:, 3] = 0.1
    mean, scale = standardiser(jnp.asarray(train))
    np.testing.assert_allclose(mean[0], train.mean(axis=0), rtol=1e-12)
    np.testing.assert_allclose(scale[0, 1:], [train[:, 1].std(), train[:, 2].std(), 1.0])
    np.testing.assert_allclose(scale[0, 0] / 1e-160, (train[:, 0] / 1e-160).std(), rtol=1e-12)
    known = np.ones((40, 4), bool)
    known[:25, 1], known[:, 2] = False, False
    mean, scale = standardiser(jnp.asarray(np.where(known, train, np.nan)), jnp.asarray(known))
    np.testing.assert_allclose(mean[0, 1:3], [train[25:, 1].mean(), 0.0])
    np.testing.assert_allclose(scale[0, 1:3], [train[25:, 1].std(), 1.0])


def test_what_to_standardise_is_kept_in_the_study():
    assert study(standardise=["recordings", "inputs"]).standardise == ("inputs", "recordings")
    with pytest.raises((ValueError, TypeError), match="standardise"):
        study(standardise=["channels"])

"""A user's own arrays and files: what is wrong with them is named, and whitening."""

import io
import zipfile

import numpy as np
import pytest

from jaxbrain.pilot import PilotError, pilot_data, read_pilot, whiten
from tests.helpers.studies import INPUTS, RECORDINGS, TARGETS, shared


def test_whitened_components_are_white_and_say_their_share():
    data = shared()
    white, part = whiten(data, 5)
    np.testing.assert_allclose(
        white.brain_inputs.T @ white.brain_inputs / 400, np.eye(5), atol=1e-10
    )
    spectrum = np.linalg.eigvalsh(np.cov(data.brain_inputs.T))[::-1]
    assert part == pytest.approx(spectrum[:5].sum() / spectrum.sum())
    assert whiten(data, 12)[1] == pytest.approx(1.0)


def with_nan(array):
    return np.where(np.arange(array.size).reshape(array.shape) == 3, np.nan, array)


@pytest.mark.parametrize(
    ("arrays", "said"),
    [
        ({"inputs": INPUTS, "recordings": RECORDINGS}, "'targets' is missing"),
        (
            {"inputs": INPUTS, "recordings": RECORDINGS, "targets": TARGETS, "x": TARGETS},
            "'x' is not known",
        ),
        (
            {"inputs": INPUTS[:9], "recordings": RECORDINGS, "targets": TARGETS},
            r"recordings has 60 rows, but its inputs have 9\n",
        ),
        (
            {"inputs": INPUTS, "recordings": RECORDINGS, "targets": TARGETS[:9]},
            "targets has 9 rows",
        ),
        (
            {"inputs": with_nan(INPUTS), "recordings": RECORDINGS, "targets": TARGETS},
            "inputs holds NaN",
        ),
        (
            {"inputs": INPUTS, "recordings": RECORDINGS * 0, "targets": TARGETS},
            "recordings is constant",
        ),
        (
            {"inputs": INPUTS[:, 0], "recordings": RECORDINGS, "targets": TARGETS},
            r"inputs must have rows .*: a single column is array\[:, None\]",
        ),
        (
            {"inputs": INPUTS, "recordings": RECORDINGS.T, "targets": TARGETS},
            "recordings has 20 rows, but its inputs have 60: transpose it",
        ),
        (
            {"inputs": INPUTS > 0, "recordings": RECORDINGS, "targets": TARGETS},
            "inputs must hold real numbers, but its type is bool: save it as numbers",
        ),
        (
            {"inputs": INPUTS[:, :1], "recordings": RECORDINGS, "targets": TARGETS},
            "at least 2 columns",
        ),
        (
            {"inputs": INPUTS, "recordings": RECORDINGS, "targets": TARGETS.astype(str)},
            "targets has 60 classes in 60 rows, column 0: save numbers as float",
        ),
        (
            {
                "brain_inputs": INPUTS,
                "recordings": RECORDINGS,
                "task_inputs": INPUTS[:, 1:],
                "targets": TARGETS,
            },
            "brain_inputs has 12 columns",
        ),
    ],
)
def test_wrong_arrays_are_named(arrays, said):
    with pytest.raises(PilotError, match=said):
        pilot_data(**arrays)


def test_all_problems_are_told_at_once():
    with pytest.raises(PilotError) as caught:
        pilot_data(inputs=with_nan(INPUTS), recordings=RECORDINGS * 0, targets=TARGETS * np.nan)
    assert [problem.split(" in ")[0] for problem in caught.value.problems] == [
        "inputs holds NaN, infinity or numbers beyond 1e150",
        "recordings is constant",
        "targets holds no number",
    ]


def test_files_that_are_no_arrays_are_refused(tmp_path):
    with pytest.raises(PilotError, match="no such file"):
        read_pilot(tmp_path / "absent.npz")
    whole = tmp_path / "whole.npz"
    np.savez(whole, inputs=INPUTS, recordings=RECORDINGS, targets=TARGETS)
    (tmp_path / "cut.npz").write_bytes(whole.read_bytes()[:-100])
    (tmp_path / "text.npz").write_text("1,2,3")
    (tmp_path / "empty.npz").write_bytes(b"")
    for name in ("cut.npz", "text.npz", "empty.npz"):
        with pytest.raises(PilotError, match=r"not an \.npz file, or damaged: save") as caught:
            read_pilot(tmp_path / name)
        assert name in str(caught.value)
        assert "pickle" not in str(caught.value)
    np.save(tmp_path / "single.npy", INPUTS)
    with pytest.raises(PilotError, match="holds one array without a name: pass it as inputs"):
        read_pilot(tmp_path / "single.npy")


def stored(**entries):
    """An archive of these entries, byte by byte, with the other arrays as they should be."""
    content = io.BytesIO()
    arrays = {"inputs": INPUTS, "recordings": RECORDINGS, "targets": TARGETS}
    with zipfile.ZipFile(content, "w") as archive:
        for name, array in arrays.items():
            entry = io.BytesIO()
            np.save(entry, array)
            archive.writestr(f"{name}.npy", entries.get(name, entry.getvalue()))
    return content.getvalue()


def header(shape):
    """An .npy entry that claims to have this shape."""
    text = f"{{'descr': '<f8', 'fortran_order': False, 'shape': {shape}, }}".encode()
    return b"\x93NUMPY\x01\x00" + len(text).to_bytes(2, "little") + text


def of_method(content, method):
    """The archive as if the first of its entries were compressed in another way."""
    place = content.index(b"PK\x01\x02")
    local, central = 8, place + 10
    changed = bytearray(content)
    changed[local : local + 2] = changed[central : central + 2] = method.to_bytes(2, "little")
    return bytes(changed)


def encrypted(content):
    place = content.index(b"PK\x01\x02")
    changed = bytearray(content)
    changed[6] |= 1
    changed[place + 8] |= 1
    return bytes(changed)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (stored(inputs=header("(499999999995, 5)")), "cannot be read .*: save it again"),
        (stored(inputs=header("(9223372036854775807, 9223372036854775807)")), "cannot be read"),
        (stored(inputs=header("(True, 5)")), "cannot be read"),
        (stored(inputs=header("(((")), "cannot be read"),
        (encrypted(stored()), "cannot be read .*encrypted"),
        (of_method(stored(), 99), "cannot be read .*compression"),
        (of_method(stored(), zipfile.ZIP_LZMA), "cannot be read"),
        (of_method(stored(), zipfile.ZIP_BZIP2), "cannot be read"),
        (stored(inputs=b"plain text"), "cannot be read .*magic string"),
    ],
)
def test_damaged_arrays_are_named_with_their_file(tmp_path, content, said):
    path = tmp_path / "study.npz"
    path.write_bytes(content)
    with pytest.raises(PilotError, match=f"study.npz: array 'inputs' {said}"):
        read_pilot(path)


def test_python_objects_are_never_loaded_and_hide_no_other_fault(tmp_path):
    objects = np.array([{"a": 1}], dtype=object)
    np.savez(tmp_path / "study.npz", inputs=objects, recordings=RECORDINGS * 0, targets=TARGETS)
    with pytest.raises(PilotError) as caught:
        read_pilot(tmp_path / "study.npz")
    first, second = caught.value.problems
    assert first.endswith(
        "array 'inputs' holds Python objects, which are never loaded: save it as numbers"
    )
    assert "recordings is constant" in second


def test_archives_are_measured_before_they_are_read(tmp_path):
    path = tmp_path / "bomb.npz"
    few = np.zeros((50, 4), np.int8)
    np.savez_compressed(
        path, inputs=few, recordings=np.zeros((10_000, 1_000), np.int8), targets=few
    )
    assert path.stat().st_size < 50_000
    with pytest.raises(PilotError, match=r"holds 0\.08 GB of numbers, more than the 0\.05"):
        read_pilot(path, max_bytes=5e7)


def test_names_that_are_there_twice_and_many_unknown_ones(tmp_path):
    path = tmp_path / "twice.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("inputs.npy", *map(str, range(1_000))):
            archive.writestr(name, b"")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("inputs.npy", b"")
    with pytest.raises(PilotError) as caught:
        read_pilot(path)
    assert len(caught.value.problems) < 30
    assert "980 more arrays are not known here" in str(caught.value)

"""A study in every format of files: the same study, and what is wrong with a file named."""

import os
import tracemalloc

import numpy as np
import pytest
import scipy.io

from jaxbrain.pilot import PilotError, read_pilot
from tests.helpers.cli import refused
from tests.helpers.files import csv, file_of, hdf5, mat, mat_bomb, npy
from tests.helpers.studies import ARRAYS as STUDY
from tests.helpers.studies import INPUTS, RECORDINGS, TARGETS, check_is_the_study


def folder_of_arrays(path):
    path.mkdir()
    for name, array in STUDY.items():
        np.save(path / f"{name}.npy", array)
    (path / "notes.txt").write_text("not looked at")


WHOLE = {
    "study.npz": lambda path: np.savez(path, **STUDY),
    "packed.npz": lambda path: np.savez_compressed(path, **STUDY),
    "v5.mat": lambda path: path.write_bytes(mat(**STUDY)),
    "packed.mat": lambda path: path.write_bytes(mat(compress=True, **STUDY)),
    "v4.mat": lambda path: path.write_bytes(mat(version="4", **STUDY)),
    "study.h5": lambda path: hdf5(path, **STUDY),
    "folder": folder_of_arrays,
}


@pytest.mark.parametrize("name", WHOLE)
def test_one_file_or_folder_holds_a_study(tmp_path, name):
    WHOLE[name](tmp_path / name)
    check_is_the_study(read_pilot(tmp_path / name))


@pytest.mark.parametrize("name", WHOLE)
def test_arrays_are_named_one_by_one(tmp_path, name):
    path = tmp_path / name
    WHOLE[name](path)
    place = (lambda array: path / f"{array}.npy") if name == "folder" else f"{path}:{{}}".format
    check_is_the_study(read_pilot(**{array: place(array) for array in STUDY}))
    # What is named comes before what the file holds.
    np.save(tmp_path / "other.npy", TARGETS[:, 0])
    found = read_pilot(path, targets=tmp_path / "other.npy")
    np.testing.assert_array_equal(found.targets, TARGETS[:, :1])


def test_the_name_of_the_array_is_the_default(tmp_path):
    path = tmp_path / "study.npz"
    np.savez(path, x=TARGETS, **STUDY)
    check_is_the_study(read_pilot(**dict.fromkeys(STUDY, path)))
    with pytest.raises(PilotError, match=r"several arrays .*: say which by FILE:NAME"):
        read_pilot(brain_inputs=path, recordings=path, task_inputs=path, targets=path)


@pytest.mark.parametrize("suffix", [".csv", ".tsv"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
def test_tables_have_names_or_numbers(tmp_path, suffix, end, mark):
    separator = "\t" if suffix == ".tsv" else ","
    names = [f"x{place}" for place in range(12)] + ["score", "a, b"]
    quoted = [*names[:-1], '"a, b"']
    text = mark + csv(np.hstack([INPUTS, TARGETS]), quoted, separator).replace("\n", end)
    table = tmp_path / f"table{suffix}"
    table.write_bytes(text.encode())
    plain = tmp_path / f"plain{suffix}"
    plain.write_text(csv(RECORDINGS, separator=separator))
    last = "score,13"
    found = read_pilot(inputs=f"{table}:0-11", recordings=plain, targets=f"{table}:{last}")
    np.testing.assert_array_equal(found.task_inputs, INPUTS)
    np.testing.assert_array_equal(found.recordings, RECORDINGS)
    np.testing.assert_array_equal(found.targets, TARGETS)
    assert found.target_names == ("score", "a, b")
    found = read_pilot(inputs=f"{table}:x0,x3-x5,1".replace("x3-x5", "3-5"),
                       recordings=plain, targets=f"{table}:a, b")  # fmt: skip
    np.testing.assert_array_equal(found.task_inputs, INPUTS[:, [0, 3, 4, 5, 1]])
    np.testing.assert_array_equal(found.targets, TARGETS[:, 1:])


def test_a_table_as_pandas_writes_it_keeps_its_first_line_apart(tmp_path):
    pandas = pytest.importorskip("pandas")
    frame = pandas.DataFrame(TARGETS.round(3))
    frame.to_csv(tmp_path / "targets.csv")
    np.savez(tmp_path / "study.npz", inputs=INPUTS, recordings=RECORDINGS)
    found = read_pilot(tmp_path / "study.npz", targets=f"{tmp_path / 'targets.csv'}:0,1")
    np.testing.assert_array_equal(found.targets, TARGETS.round(3))


def test_semicolons_separate_where_there_are_no_commas(tmp_path):
    (tmp_path / "inputs.csv").write_text(csv(INPUTS, separator=";"))
    np.savez(tmp_path / "study.npz", recordings=RECORDINGS, targets=TARGETS)
    check_is_the_study(read_pilot(tmp_path / "study.npz", inputs=tmp_path / "inputs.csv"))


@pytest.mark.parametrize("name", ["large.npy", "large.npz"])
def test_large_raw_arrays_stay_in_their_files(tmp_path, monkeypatch, name):
    """The limit is lowered for the test: 4 MB that no memory is taken for."""
    monkeypatch.setattr("jaxbrain.pilot._archives.LEAST_TO_MAP", 2**20)
    monkeypatch.setattr("jaxbrain.pilot._columns._NUMBERS_AT_ONCE", 2**15)
    large = np.random.default_rng(0).normal(size=(60, 9_000))
    save = np.save if name.endswith("npy") else np.savez
    save(tmp_path / name, large)
    tracemalloc.start()
    found = read_pilot(
        inputs=file_of(tmp_path, INPUTS),
        recordings=tmp_path / name,
        targets=file_of(tmp_path, TARGETS),
    )
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    np.testing.assert_array_equal(found.recordings, large)
    assert not found.recordings.flags.owndata
    assert peak < large.nbytes / 2


def test_all_files_are_measured_together(tmp_path):
    paths = {name: file_of(tmp_path, array) for name, array in STUDY.items()}
    needed = 8 * sum(array.size for array in STUDY.values())
    read_pilot(**paths, max_bytes=needed)
    with pytest.raises(PilotError, match=r"more than the .* that max_bytes allows"):
        read_pilot(**paths, max_bytes=needed - 1)


def test_several_files_have_all_their_faults_told(capsys, tmp_path):
    np.save(tmp_path / "inputs.npy", np.where(INPUTS > 5, np.nan, INPUTS))
    (tmp_path / "cut.mat").write_bytes(mat(recordings=RECORDINGS)[:300])
    said = refused(capsys, "fit", "--inputs", str(tmp_path / "inputs.npy"),
                   "--recordings", str(tmp_path / "cut.mat"), "--repeats", "1",
                   "--targets", str(tmp_path / "absent.csv"))  # fmt: skip
    for fault in ("--inputs holds NaN", "cut.mat): not a .mat file", "absent.csv): there is no",
                  "--repeats must lie"):  # fmt: skip
        assert fault in said
    assert "a file is missing" in refused(capsys, "fit")
    np.savez(tmp_path / "study.npz", **STUDY)
    said = refused(capsys, "fit", str(tmp_path / "study.npz"), "--classes", "--no-classes")
    assert "exclude each other" in said


def changed(text, line, cell):
    lines = text.splitlines()
    lines[line] = cell + lines[line][lines[line].index(",") :]
    return "\n".join(lines)


PLAIN = csv(INPUTS)
HOSTILE = {
    "ragged.csv": (PLAIN.replace("\n", ",1\n", 1), "12 cells in line 2, but 13"),
    "short.csv": (PLAIN + "1,2\n", "2 cells in line 61"),
    "quotes.csv": (PLAIN + '"1,2', "cannot be read in line"),
    "comma.csv": (csv(INPUTS, separator=";").replace(".", ","), "12 cells|cells in line|no number"),
    "quoted commas.csv": (changed(PLAIN, 3, '"1,5"'), "'1,5' in line 4, column 0, which is no"),
    "words.csv": (changed(PLAIN, 5, "many"), "'many' in line 6"),
    "underscore.csv": (changed(PLAIN, 5, "1_0"), "'1_0' in line 6"),
    "names.csv": (",".join("abcdefghijkl") + "\n", "holds no row"),
    "nothing.csv": ("", "holds no line"),
    "blank.csv": ("\n\n", "holds no line"),
    "utf16.csv": (PLAIN.encode("utf-16"), "not text in UTF-8|no number|cells"),
    "latin.csv": ("größe\n1\n".encode("latin-1"), "not text in UTF-8"),
    "zeros.csv": (bytes(1_000), "no row|no number"),
    "binary.csv": (npy(INPUTS), "UTF-8"),
    "long.csv": ("1" * 200_000 + "\n", "cannot be read in line 1 .*field"),
    "infinite.csv": (changed(PLAIN, 5, "inf"), r"inputs holds NaN, infinity .* 1 row \(5\)"),
    "cut.npy": (npy(INPUTS)[:-8], "cannot be read .*size is not"),
    "longer.npy": (npy(INPUTS) + bytes(8), "cannot be read .*size is not"),
    "objects.npy": (b"\x93NUMPY\x01\x00v\x00" + b"{'descr': '|O', 'fortran_order': False, "
                    b"'shape': (60, 12), }".ljust(117) + b"\n" + b"cos\nsystem\n",
                    "holds Python objects, which are never loaded"),
    "header.npy": (b"\x93NUMPY\x02\x00" + (2**31).to_bytes(4, "little") + b"{", "not an .npy file"),
    "text.npy": (npy(INPUTS.astype(str)), "inputs must hold real numbers"),
    "dates.npy": (npy(np.zeros((60, 12), "M8[s]")), "inputs must hold real numbers"),
    "records.npy": (npy(np.zeros(60, [("a", float)])), "inputs must hold real numbers"),
    "nothing.npy": (b"", "not an .npy file"),
    "words.npy": (b"1, 2, 3", "not an .npy file"),
    "archive.npy": (b"PK\x03\x04", "not an .npy file"),
    "cut.mat": (mat(inputs=INPUTS)[:-800], r"cannot be read|damaged"),
    "cut packed.mat": (mat(compress=True, inputs=INPUTS)[:-800], r"cannot be read|damaged"),
    "cut v4.mat": (mat(version="4", inputs=INPUTS)[:-800], r"cannot be read|damaged"),
    "nothing.mat": (b"", "not a .mat file"),
    "text.mat": (b"1, 2, 3" * 100, "not a .mat file"),
    "zeros.mat": (bytes(1_000), "not a .mat file|holds no"),
    "struct.mat": (mat(inputs={"a": INPUTS}), "is a struct of MATLAB: save its fields"),
    "cells.mat": (mat(inputs=np.array([1, "a"], object)), "is a cell of MATLAB"),
    "char.mat": (mat(inputs="hello"), "is a char of MATLAB"),
    "sparse.mat": (mat(inputs=scipy.sparse.csc_matrix(INPUTS)), "is a sparse of MATLAB: save full"),
    "complex.mat": (mat(inputs=INPUTS + 1j), "inputs must hold real numbers"),
    "bomb.mat": (mat_bomb(), "not a .mat file, or damaged"),
    "empty.mat": (mat(inputs=np.zeros((0, 12))), "inputs must have rows and columns"),
    "text.h5": (b"1, 2, 3" * 100, "not an HDF5 file"),
    "nothing.h5": (b"", "not an HDF5 file"),
    "signature.h5": (b"\x89HDF\r\n\x1a\n" + bytes(500), "not an HDF5 file"),
    "unknown.xlsx": (b"PK\x03\x04", "not an .npz file"),
}  # fmt: skip


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_by_name(capsys, tmp_path, name):
    content, said = HOSTILE[name]
    if name.endswith("h5"):
        pytest.importorskip("h5py")
    path = tmp_path / name
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    np.savez(tmp_path / "others.npz", recordings=RECORDINGS, targets=TARGETS)
    with pytest.raises(PilotError, match=said) as caught:
        read_pilot(tmp_path / "others.npz", inputs=path)
    assert len(caught.value.problems) == 1
    assert name in str(caught.value) or "inputs holds" in said or "inputs must" in said
    told = refused(capsys, "fit", str(tmp_path / "others.npz"), "--inputs", str(path))
    assert told.count("\n") == 1
    assert "--inputs" in told


def test_a_declared_size_is_believed_by_no_reader(tmp_path):
    """Each declares 40 GB, which is refused before it is taken."""
    many = np.zeros((1, 12), np.float32)
    declared = npy(many).replace(b"(1, 12), }" + b" " * 8, b"(833333333, 12), }")
    (tmp_path / "a.npy").write_bytes(declared)
    with pytest.raises(PilotError, match="size is not"):
        read_pilot(inputs=tmp_path / "a.npy", recordings="absent.npy", targets="absent.npy")
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "a.h5", "w") as file:
        file.create_dataset("inputs", shape=(833_333_333, 12), dtype="f4", chunks=(1_000, 12))
        file.create_dataset(
            "few", shape=(60, 12), dtype="f8", maxshape=(None, None), chunks=(30_000, 30_000)
        )
    for name in ("inputs", "few"):
        with pytest.raises(PilotError, match=r"GB of numbers, more than the 1 that max_bytes"):
            read_pilot(inputs=f"{tmp_path / 'a.h5'}:{name}", recordings="absent.npy",
                       targets="absent.npy", max_bytes=1e9)  # fmt: skip


def test_without_h5py_the_extra_is_named(tmp_path, monkeypatch):
    (tmp_path / "study.h5").write_bytes(b"\x89HDF\r\n\x1a\n" + bytes(500))
    monkeypatch.setitem(__import__("sys").modules, "h5py", None)
    with pytest.raises(PilotError, match=r"takes h5py: pip install 'jaxbrain\[hdf5\]'"):
        read_pilot(tmp_path / "study.h5")


@pytest.mark.skipif(os.name != "posix", reason="such files are POSIX's")
def test_a_folder_has_regular_files_alone(tmp_path):
    folder_of_arrays(tmp_path / "study")
    (tmp_path / "study" / "targets.npy").unlink()
    os.mkfifo(tmp_path / "study" / "targets.npy")
    with pytest.raises(PilotError, match=r"array 'targets' cannot be read .*a FIFO"):
        read_pilot(tmp_path / "study")
    np.save(tmp_path / "study" / "target.npy", TARGETS)
    with pytest.raises(PilotError, match="array 'target' is not known here"):
        read_pilot(tmp_path / "study")
    (tmp_path / "none").mkdir()
    with pytest.raises(PilotError, match=r"a folder without \.npy files"):
        read_pilot(tmp_path / "none")


def test_a_file_of_the_very_name_comes_before_the_name_of_an_array(tmp_path):
    np.savez(tmp_path / "a.npz:inputs.npz", **STUDY)
    check_is_the_study(read_pilot(tmp_path / "a.npz:inputs.npz"))
    np.savez(tmp_path / "a.npz", **STUDY)
    check_is_the_study(read_pilot(**{name: f"{tmp_path}/a.npz:{name}" for name in STUDY}))


def cut_anywhere(content):
    """Thirty beginnings of a file, and thirty in which a few bytes are others."""
    rng = np.random.default_rng(0)
    for place in rng.integers(1, len(content), 30):
        yield content[:place]
    for _ in range(30):
        damaged = bytearray(content)
        for place in rng.integers(0, min(len(content), 2_000), 3):
            damaged[place] = rng.integers(256)
        yield bytes(damaged)


@pytest.mark.parametrize("name", [name for name in WHOLE if name != "folder"] + ["a.npy", "a.csv"])
def test_damage_ends_in_a_study_or_a_named_problem(tmp_path, name):
    """Whatever bytes are there: no other error, no warning, and no wait."""
    path = tmp_path / name
    if name in WHOLE:
        WHOLE[name](path)
    else:
        path.write_bytes(npy(INPUTS) if name == "a.npy" else PLAIN.encode())
    np.savez(tmp_path / "others.npz", recordings=RECORDINGS, targets=TARGETS)
    refusals = 0
    for content in cut_anywhere(path.read_bytes()):
        path.write_bytes(content)
        try:
            if name in WHOLE:
                read_pilot(path, max_bytes=1e8)
            else:
                read_pilot(tmp_path / "others.npz", inputs=path, max_bytes=1e8)
        except PilotError:
            refusals += 1
    assert refusals >= 30

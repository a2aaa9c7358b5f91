"""HDF5 and MATLAB 7.3: what a file holds itself, and nothing elsewhere. Nothing compiles."""

import numpy as np
import pytest

from jaxbrain.pilot import PilotError, read_pilot
from tests.helpers.files import file_of, hdf5
from tests.helpers.studies import ARRAYS as STUDY
from tests.helpers.studies import INPUTS, RECORDINGS, TARGETS, check_is_the_study


def test_matlab_counts_columns_first_and_hdf5_has_groups(tmp_path):
    """As version 7.3 saves: HDF5 behind 512 bytes, axes in reverse, a class of its own."""
    h5py = pytest.importorskip("h5py")
    path = tmp_path / "study.mat"
    with h5py.File(path, "w", userblock_size=512) as file:
        for name, array in STUDY.items():
            file[name] = array.T
            file[name].attrs["MATLAB_class"] = np.bytes_("double")
        file["sex"] = (TARGETS[:, :1] > TARGETS[:, 0].mean()).T.astype(np.uint8)
        file["sex"].attrs["MATLAB_class"] = np.bytes_("logical")
        file["#refs#/a"] = np.ones(3)
        file["word"] = np.full((60, 1), 97, np.uint16)
        file["word"].attrs["MATLAB_class"] = np.bytes_("char")
        file["data/inner"] = INPUTS.T
    with path.open("r+b") as file:
        file.write(b"MATLAB 7.3 MAT-file".ljust(124) + b"\x00\x02IM")
    found = read_pilot(**{name: f"{path}:{name}" for name in STUDY})
    check_is_the_study(found)
    found = read_pilot(inputs=f"{path}:data/inner", recordings=f"{path}:recordings",
                       targets=f"{path}:sex")  # fmt: skip
    np.testing.assert_array_equal(found.task_inputs, INPUTS)
    assert found.classes == ((False, True),)
    with pytest.raises(PilotError, match="is a char of MATLAB: save labels as whole numbers"):
        read_pilot(inputs=f"{path}:inputs", recordings=f"{path}:recordings", targets=f"{path}:word")
    with pytest.raises(PilotError, match=r"as a struct of MATLAB with 'data/inner': name an array"):
        read_pilot(inputs=f"{path}:data", recordings=f"{path}:recordings", targets=f"{path}:sex")


def test_hdf5_is_not_followed_elsewhere(tmp_path):
    h5py = pytest.importorskip("h5py")
    secret = hdf5(tmp_path / "secret.h5", inputs=INPUTS)
    raw = tmp_path / "raw"
    raw.write_bytes(INPUTS.tobytes())
    layout = h5py.VirtualLayout(shape=(60, 12), dtype=float)
    layout[:] = h5py.VirtualSource(str(secret), "inputs", shape=(60, 12))
    with h5py.File(tmp_path / "study.h5", "w") as file:
        file["external"] = h5py.ExternalLink(str(secret), "inputs")
        file["soft"] = h5py.SoftLink("/external")
        file["loop"] = h5py.SoftLink("/loop")
        file.create_virtual_dataset("virtual", layout)
        file.create_dataset("raw", (60, 12), float, external=[(str(raw), 0, raw.stat().st_size)])
        file["group/itself"] = file["/"]
        file["records"] = np.zeros(60, [("a", float)])
        file.create_dataset("lists", (60,), h5py.vlen_dtype(float))
        file.create_dataset("references", (60,), h5py.ref_dtype)
        file["nothing"] = h5py.Empty(float)
        file["words"] = np.full((60, 2), "a" * 300, h5py.string_dtype())
        file["a/b/c"] = INPUTS
    place = f"{tmp_path / 'study.h5'}"
    for name, said in {
        "external": "as a link, which is not followed",
        "soft": "as a link, which is not followed",
        "loop": "as a link, which is not followed",
        "virtual": "keeps its numbers in other files",
        "raw": "keeps its numbers in other files",
        "group": "as a group",
        "group/../a/b/c": "holds no array",
        "a/b/c/d": "holds no array",
        "records": "holds records",
        "lists": "references or lists",
        "references": "references or lists",
        "nothing": "is empty",
        "words": "a label of more than 200 letters",
        "": "holds no array|several arrays",
    }.items():
        inputs = f"{place}:{name}" if name else place
        with pytest.raises(PilotError, match=said) as caught:
            read_pilot(inputs=inputs, recordings="absent.npy", targets="absent.npy")
        assert "study.h5" in str(caught.value)
    paths = dict(recordings=file_of(tmp_path, RECORDINGS), targets=file_of(tmp_path, TARGETS))
    found = read_pilot(inputs=f"{place}:a/b/c", **paths)
    np.testing.assert_array_equal(found.task_inputs, INPUTS)


def test_groups_that_hold_each_other_are_looked_at_once_and_for_all(tmp_path):
    h5py = pytest.importorskip("h5py")
    with h5py.File(tmp_path / "study.h5", "w") as file:
        for name in range(60):
            file[f"{name}"] = file["/"]
        file["x"] = INPUTS
    # Eight levels of sixty groups, each with all of them.
    with pytest.raises(PilotError, match="more arrays are not known here"):
        read_pilot(tmp_path / "study.h5")

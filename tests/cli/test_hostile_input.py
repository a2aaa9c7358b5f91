"""Input that nobody means well by: it is refused in a line that names it, at once, by no traceback.

Nothing here compiles: all of it is refused before a problem is made.
"""

import io
import os
import socket
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
import xarray

import jaxbrain as jb
from jaxbrain.cli.errors import UserError, output_problems
from jaxbrain.cli.input.study import read_purchase, read_study
from jaxbrain.pilot import PilotError, read_pilot
from jaxbrain.study.errors import Memory
from jaxbrain.study.features import read_features
from tests.helpers.cli import STUDY, TWO_MODALITIES


def _features(path):
    problems = []
    read_features(path, "--features", Memory.of_command(1.0), problems)
    if problems:
        raise UserError(problems)


READERS = {
    "features": _features,
    "study": lambda path: read_study(path, {}),
    "purchase": lambda path: read_purchase(path, {}),
    "pilot": read_pilot,
    "table": jb.read_table,
}


def _fifo(path):
    os.mkfifo(path)


def _socket(path):
    # A socket's name has at most some hundred letters.
    here = Path.cwd()
    os.chdir(path.parent)
    try:
        with socket.socket(socket.AF_UNIX) as made:
            made.bind(path.name)
    finally:
        os.chdir(here)


def _sparse(path):
    with path.open("wb") as file:
        file.truncate(2**40)


SPECIAL = {
    "fifo": _fifo,
    "link to a FIFO": lambda path: (_fifo(path.with_name("pipe")), path.symlink_to("pipe")),
    "socket": _socket,
    "endless device": lambda path: path.symlink_to("/dev/zero"),
    "empty device": lambda path: path.symlink_to("/dev/null"),
    "folder": Path.mkdir,
    "sparse": _sparse,
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "link to itself": lambda path: path.symlink_to(path.name),
    "missing": lambda path: None,
}


@pytest.mark.skipif(os.name != "posix", reason="such files are POSIX's")
@pytest.mark.parametrize("kind", SPECIAL)
@pytest.mark.parametrize("reader", READERS)
def test_only_regular_files_are_read(tmp_path, reader, kind):
    names = {"features": "given.npy", "pilot": "given.npz", "table": "given.nc"}
    path = tmp_path / names.get(reader, "given.toml")
    SPECIAL[kind](path)
    with pytest.raises((UserError, PilotError, ValueError, OSError)) as caught:
        READERS[reader](path)
    said = str(caught.value)
    assert path.name in said
    assert "\n" not in said


VALUES = {
    "4 000 digits": "1" + "0" * 4_000,
    "5 000 digits": "1" + "0" * 5_000,
    "hexadecimal": "0x" + "f" * 5_000,
    "minus 400 digits": "-1" + "0" * 400,
    "deep list": "[" * 5_000 + "]" * 5_000,
    "deep, within bounds": "[" * 90 + "]" * 90,
    "deep table": "{a=" * 90 + "1" + "}" * 90,
    "nan": "nan",
    "inf": "inf",
    "1e308": "1e308",
    "1e-320": "-1e-320",
    "text": '"\\u001b[31m"',
    "true": "true",
    "date": "1979-05-27",
    "list of lists": "[[1]]",
    "table": "{}",
}
KEYS = {
    "study": (
        STUDY,
        (
            "n_brain",
            "n_task",
            "task_snr",
            "misalignment",
            "samples_per_hour",
            "input_dim",
            "latent_dim",
            "recording_dim",
            "latent_noise",
            "recording_noise",
            "gain",
        ),
    ),
    "purchase": (
        TWO_MODALITIES,
        (
            "budget",
            "currency",
            "cost_task",
            "fixed_cost_task",
            "task_snr",
            "input_dim",
            "cost_hour",
            "samples_per_hour",
            "misalignment",
            "latent_dim",
            "latent_noise",
            "gain",
        ),
    ),
}


@pytest.mark.parametrize("value", VALUES)
@pytest.mark.parametrize(
    ("reader", "key"), [(reader, key) for reader, (_, keys) in KEYS.items() for key in keys]
)
def test_what_is_no_such_number_is_refused(tmp_path, reader, key, value):
    if key == "currency" and value == "text":
        pytest.skip("a currency is text")
    lines = KEYS[reader][0].splitlines()
    place = next(number for number, line in enumerate(lines) if line.startswith(f"{key} ="))
    lines[place] = f"{key} = {VALUES[value]}"
    path = tmp_path / "given.toml"
    path.write_text("\n".join(lines))
    with pytest.raises(UserError) as caught:
        READERS[reader](path)
    for problem in caught.value.problems:
        assert "given.toml" in problem
        assert len(problem) < 1_000


@pytest.mark.parametrize("reader", ["study", "purchase"])
@pytest.mark.parametrize("table", ["", "[problem]", "[modality.cheap]"])
def test_of_unknown_keys_twenty_are_named(tmp_path, reader, table):
    path = tmp_path / "given.toml"
    path.write_text("\n".join([table, *(f"k{number} = 1" for number in range(5_000))]))
    with pytest.raises(UserError) as caught:
        READERS[reader](path)
    assert sum("is not known here" in problem for problem in caught.value.problems) <= 20
    assert len(caught.value.problems) <= 40


def _npy(array):
    stream = io.BytesIO()
    np.lib.format.write_array(stream, array, allow_pickle=True)
    return stream.getvalue()


def _header(shape, descr="<f8"):
    stream = io.BytesIO()
    np.lib.format.write_array_header_1_0(
        stream, {"shape": shape, "fortran_order": False, "descr": descr}
    )
    return stream.getvalue()


ROWS = _npy(np.arange(60.0).reshape(20, 3) % 7)
HOSTILE = {
    "header of a petabyte": _header((2**40, 128)),
    "header beyond all integers": _header((2**70, 3)),
    "negative shape": _header((-1, 3)) + bytes(48),
    "bomb of zeros": _header((2**12, 2**12), "|i1") + bytes(2**24),
    "objects": _npy(np.array([[object]], dtype=object)[:0]),
    "text": _npy(np.array([["a"]])),
    "void": _npy(np.zeros((4, 2), "V8")),
    "dates": _npy(np.zeros((4, 2), "M8[s]")),
    "no header": b"\x93NUMPY\x09\x00",
    "a long header": b"\x93NUMPY\x02\x00" + (2**31).to_bytes(4, "little") + b"{",
    "code as header": b"\x93NUMPY\x01\x00\x12\x00__import__('os')  ",
    "nothing": b"",
    "scalar": _npy(np.float64(1)),
    "five axes": _npy(np.zeros((2,) * 5)),
    "cut": ROWS[:-8],
    "too long": ROWS + bytes(8),
}


@pytest.mark.parametrize("name", ["inputs", "recordings", "targets"])
@pytest.mark.parametrize("content", HOSTILE)
def test_what_is_no_such_array_is_refused(tmp_path, name, content):
    path = tmp_path / "given.npz"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for each in ("inputs", "recordings", "targets"):
            archive.writestr(f"{each}.npy", HOSTILE[content] if each == name else ROWS)
    with pytest.raises(PilotError) as caught:
        read_pilot(path)
    assert "given.npz" in str(caught.value)
    assert name in str(caught.value) or "GB" in str(caught.value)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_an_array_that_is_there_twice_is_refused(tmp_path):
    path = tmp_path / "given.npz"
    with zipfile.ZipFile(path, "w") as archive:
        for name in ("inputs", "recordings", "targets", "targets"):
            archive.writestr(f"{name}.npy", ROWS)
    with pytest.raises(PilotError, match="'targets' is there twice"):
        read_pilot(path)


TAKEN = {
    "file": lambda path: path.write_text("mine"),
    "dangling link": lambda path: path.symlink_to("nowhere"),
    "link to a file": lambda path: (
        path.with_name("target").write_text("mine"),
        path.symlink_to("target"),
    ),
}


@pytest.mark.skipif(os.name != "posix", reason="links need rights elsewhere")
@pytest.mark.parametrize("kind", TAKEN)
@pytest.mark.parametrize("place", ["kept.nc", "kept.csv"])
def test_nothing_is_replaced_unasked(tmp_path, kind, place):
    TAKEN[kind](tmp_path / place)
    before = sorted(tmp_path.iterdir())
    with pytest.raises(FileExistsError):
        jb.write_table(_small(1), tmp_path / "kept.nc", overwrite=False)
    assert sorted(tmp_path.iterdir()) == before
    suffix = Path(place).suffix
    assert "exists already" in output_problems(tmp_path / place, False, (suffix,))[0]


def test_of_several_writers_one_succeeds(tmp_path):
    won, lost = [], []

    def write(number):
        try:
            jb.write_table(_small(number), tmp_path / "kept.nc", overwrite=False)
            won.append(number)
        except FileExistsError:
            lost.append(number)

    writers = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert len(won) == 1
    assert len(lost) == 5
    assert float(jb.read_table(tmp_path / "kept.nc").risk[0]) == won[0]
    assert {path.name for path in tmp_path.iterdir()} == {"kept.nc", "kept.csv"}


def _small(number):
    return xarray.Dataset({"risk": ("n_brain", [float(number)])}, {"n_brain": [100]})

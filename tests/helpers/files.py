"""Studies in files of every format, and files that nobody means well by. Nothing is compiled."""

import io
import struct
import zlib

import numpy as np
import pytest
import scipy.io


def npy(array):
    """The array as bytes of an .npy file."""
    content = io.BytesIO()
    np.save(content, array)
    return content.getvalue()


def mat(compress=False, version="5", **variables):
    """Variables as bytes of a .mat file."""
    content = io.BytesIO()
    scipy.io.savemat(content, variables, do_compression=compress, format=version)
    return content.getvalue()


def csv(array, names=None, separator=","):
    """A table as text."""
    lines = [separator.join(names)] if names else []
    lines += [separator.join(map(str, row)) for row in np.asarray(array).tolist()]
    return "\n".join(lines) + "\n"


def mat_bomb(declared=(60, 12), megabytes=16):
    """A compressed .mat variable whose numbers are many times what its header declares."""

    def element(kind, data):
        return struct.pack("<II", kind, len(data)) + data + bytes(-len(data) % 8)

    flags = element(6, struct.pack("<II", 6, 0))
    dimensions = element(5, struct.pack("<ii", *declared))
    name = element(1, b"inputs")
    numbers = struct.pack("<II", 9, megabytes * 2**20) + bytes(megabytes * 2**20)
    matrix = flags + dimensions + name + numbers
    packed = zlib.compress(struct.pack("<II", 14, len(matrix)) + matrix)
    head = b"MATLAB 5.0 MAT-file".ljust(124) + struct.pack("<H", 0x0100) + b"IM"
    return head + struct.pack("<II", 15, len(packed)) + packed


def hdf5(path, **arrays):
    """Arrays in an .h5 file at this path; skips the test without h5py."""
    h5py = pytest.importorskip("h5py")
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            file[name] = array
    return path


def file_of(folder, array):
    """The array in an .npy file of its own, named after its columns."""
    path = folder / f"{array.shape[1]}.npy"
    np.save(path, array)
    return path

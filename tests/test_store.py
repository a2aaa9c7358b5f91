import contextlib
import csv

import numpy as np
import pytest
import xarray

import jaxbrain as jb


@pytest.fixture
def table():
    rng = np.random.default_rng(0)
    return xarray.Dataset(
        {
            "risk": (("n_brain", "n_task"), rng.normal(size=(2, 3))),
            "power": ("n_brain", [1.0, np.nan]),
        },
        coords={
            "n_brain": [100, 5_000_000],
            "n_task": [1, 2, 3],
            "name": ("n_brain", ["α", "beta"]),
        },
        attrs={"shift": [1.0, 2.0], "nested": {"a": [1]}, "converged": True, "trials": 3},
    )


def test_what_is_written_is_read(table, tmp_path):
    files = jb.write_table(table, tmp_path / "kept.nc")
    found = jb.read_table(tmp_path / "kept.nc")
    xarray.testing.assert_equal(found, table)
    assert found.attrs["trials"] == 3
    assert found.attrs["nested"] == '{"a": [1]}'
    assert sorted(tmp_path.iterdir()) == sorted(files)
    with (tmp_path / "kept.n_brain-n_task.csv").open() as file:
        rows = list(csv.DictReader(file))
    assert [float(row["risk"]) for row in rows] == table.risk.values.ravel().tolist()
    assert [row["n_task"] for row in rows] == ["1", "2", "3"] * 2


def test_one_group_of_variables_is_one_csv_file(table, tmp_path):
    jb.write_table(table[["risk"]], tmp_path / "kept.nc")
    assert {file.name for file in tmp_path.iterdir()} == {"kept.nc", "kept.csv"}


def test_files_appear_together_or_not_at_all(table, tmp_path, monkeypatch):
    def full(number):
        assert len(list(tmp_path.iterdir())) >= 1
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        jb.write_table(table, tmp_path / "kept.nc")
    assert list(tmp_path.iterdir()) == []


def test_an_older_file_survives_a_failure(table, tmp_path):
    jb.write_table(table, tmp_path / "kept.nc")
    before = (tmp_path / "kept.nc").read_bytes()
    broken = table.assign(what=("n_brain", np.array([object(), object()])))
    with pytest.raises(Exception, match=r".+"):
        jb.write_table(broken, tmp_path / "kept.nc")
    assert (tmp_path / "kept.nc").read_bytes() == before
    assert not [file for file in tmp_path.iterdir() if "partial" in file.name]


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"not a table",
        b"\x80\x04K\x01.",
        b"CDF\x01",
        b"CDF\x01" + b"\xff" * 200,
        b"CDF\x01" + b"\x00" * 20,
        b"\x89HDF\r\n\x1a\n",
    ],
)
def test_a_file_that_is_no_table_is_named(tmp_path, content):
    path = tmp_path / "other.nc"
    path.write_bytes(content)
    with pytest.raises(ValueError, match=r"other\.nc is damaged, or no netCDF 3 file"):
        print(jb.read_table(path))


@pytest.mark.parametrize("start", range(0, 200, 4))
def test_a_damaged_table_is_named(table, tmp_path, start):
    path = tmp_path / "kept.nc"
    jb.write_table(table, path)
    content = bytearray(path.read_bytes())
    content[start : start + 4] = b"\xff" * 4
    path.write_bytes(content)
    # Where a number is hit nobody can tell; nothing else than this may be raised.
    with contextlib.suppress(ValueError, OSError):
        jb.read_table(path)


def test_a_name_must_say_what_it_is(table, tmp_path):
    with pytest.raises(ValueError, match=r"must end in \.nc"):
        jb.write_table(table, tmp_path / "kept.pickle")
    with pytest.raises(ValueError, match=r"must end in \.nc"):
        jb.read_table(tmp_path / "kept.csv")


@pytest.mark.parametrize("place", [0.3, 0.6, 0.95])
def test_a_number_that_has_changed_on_the_disk_is_found(table, tmp_path, place):
    path = tmp_path / "kept.nc"
    jb.write_table(table, path)
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="damaged"):
        jb.read_table(path)


def test_tables_without_a_digest_are_read(table, tmp_path):
    table.drop_attrs().to_netcdf(tmp_path / "old.nc", engine="scipy")
    xarray.testing.assert_equal(jb.read_table(tmp_path / "old.nc"), table)


def test_wide_integers_are_kept_exactly_or_refused(tmp_path):
    wide = xarray.Dataset({"n": ("i", np.array([1, 5_000_000_000]))}, attrs={"most": 2**40})
    jb.write_table(wide, tmp_path / "kept.nc")
    found = jb.read_table(tmp_path / "kept.nc")
    xarray.testing.assert_equal(found, wide)
    assert found.n.dtype == np.int64
    assert found.attrs == {"most": 2**40}
    with pytest.raises(ValueError, match=r"'n': netCDF 3 keeps them up to 2\*\*53"):
        jb.write_table(wide + 2**60, tmp_path / "other.nc")
    scaled = xarray.Dataset({"n": ("i", [1.0])})
    scaled.n.attrs["scale_factor"] = 2.0
    with pytest.raises(ValueError, match="netCDF 3"):
        jb.write_table(scaled, tmp_path / "other.nc")
    assert [file.name for file in tmp_path.glob("other*")] == []

"""`jaxbrain reproduce`: how it refuses. What it makes is tested in tests/reproduce."""

import xarray

import jaxbrain as jb
from tests.helpers.cli import refused


def test_reproduce_takes_no_file_for_a_folder_and_no_foreign_table(capsys, tmp_path):
    command = ("reproduce", "model", "--quick", "--resume", "--out", str(tmp_path))
    figures = tmp_path / "figures"
    figures.write_text("mine")
    said = refused(capsys, *command)
    assert f"{figures} is a file, where a folder has to be" in said
    assert [path.name for path in tmp_path.iterdir()] == ["figures"]
    figures.unlink()
    (tmp_path / "tables").mkdir()
    foreign = xarray.Dataset({"mine": 1.0}, attrs={"table": "setting", "scale": "quick"})
    jb.write_table(foreign, tmp_path / "tables" / "setting.nc")
    said = refused(capsys, *command)
    assert "setting.nc: not what this version stores there" in said
    assert not list(figures.iterdir())


def test_a_folder_that_may_not_be_looked_into_is_told(capsys, monkeypatch):
    def forbidden(path):
        raise PermissionError(13, "Permission denied")

    # As root, who may run these tests, everything is permitted.
    monkeypatch.setattr("pathlib.Path.exists", forbidden)
    said = refused(capsys, "reproduce", "modle", "--out", "closed/new")
    assert "closed/new: cannot be written (Permission denied)" in said
    assert "there is no result 'modle'" in said

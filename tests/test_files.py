"""Files: what may be opened, and how they appear. Nothing here is compiled."""

import errno
import os
import signal
import socket
import threading
from pathlib import Path

import pytest

from jaxbrain._reading import opened, read_file
from jaxbrain._writing import write_files
from tests.helpers.cli import refused


def special(kind, folder):
    """A path that is no regular file, or one that cannot be read."""
    path = folder / "study.toml"
    if kind == "a FIFO":
        os.mkfifo(path)
    elif kind == "a socket":
        held = socket.socket(socket.AF_UNIX)
        held.bind(str(path))
        held.close()
    elif kind == "a device":
        path.symlink_to("/dev/zero")
    elif kind == "a folder":
        path.mkdir()
    elif kind == "sparse":
        with path.open("wb") as stream:
            stream.truncate(2**40)
    else:
        path.write_bytes(b"a" * 1_000_001)
    return path


KINDS = ("a FIFO", "a socket", "a device", "a folder", "sparse", "more than 1 MB")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("command", ["worth", "simulate", "report", "plan", "fit"])
def test_input_is_a_regular_file(capsys, tmp_path, kind, command):
    path = special(kind, tmp_path)
    out = ("--out", str(tmp_path / "a.html")) if command == "report" else ()
    said = refused(capsys, command, str(path), *out).splitlines()
    about_file = [line for line in said if str(path) in line]
    assert about_file
    if command != "fit" or kind != "more than 1 MB":
        assert kind in about_file[0]


@pytest.mark.parametrize("kind", ["a FIFO", "a device", "a folder", "sparse"])
def test_one_function_opens_all_input(tmp_path, kind):
    with pytest.raises(OSError, match=kind), opened(special(kind, tmp_path)):
        pass


@pytest.mark.skipif(not hasattr(os, "SEEK_DATA"), reason="this system tells of no holes")
def test_a_large_file_that_takes_little_room_is_read(tmp_path, monkeypatch):
    """As on file systems that compress, where a file takes a fraction of what it holds."""
    path, size = tmp_path / "large", 2**26 + 2**20
    with path.open("wb") as stream:
        stream.write(b"CDF\x01")
        stream.seek(size // 2)
        stream.write(b"a" * 2**20)
        stream.truncate(size)
    with opened(path) as stream:
        assert stream.read(4) == b"CDF\x01"
    with path.open("wb") as stream:
        stream.write(b"CDF\x01")
        stream.truncate(size)
    with pytest.raises(OSError, match="sparse"), opened(path):
        pass

    def unknown(number, offset, whence):
        raise OSError(errno.EINVAL, "Invalid argument")

    seek = os.lseek
    monkeypatch.setattr(
        os, "lseek", lambda *given: (unknown if given[2] == os.SEEK_DATA else seek)(*given)
    )
    with opened(path) as stream:
        assert stream.read(4) == b"CDF\x01"


def test_a_file_without_an_end_is_not_read_to_the_end():
    with pytest.raises(OSError, match=r"more than 0\.001 MB"):
        read_file("/proc/self/maps", 1_000)


def test_of_many_writers_one_wins(tmp_path):
    won, start = [], threading.Barrier(6)

    def write(number):
        start.wait()
        try:
            write_files({tmp_path / "a": b"%d" % number, tmp_path / "b": b"%d" % number},
                        overwrite=False)  # fmt: skip
        except FileExistsError:
            return
        won.append(b"%d" % number)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(6)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    assert {file.name for file in tmp_path.iterdir()} == ({"a", "b"} if won else set())
    assert [(tmp_path / name).read_bytes() for name in ("a", "b") if won] == won * 2


@pytest.mark.parametrize("overwrite", [False, True])
def test_a_link_is_there_and_its_target_is_not_touched(tmp_path, overwrite):
    target, link = tmp_path / "target", tmp_path / "link"
    link.symlink_to(target)
    if not overwrite:
        with pytest.raises(FileExistsError):
            write_files({link: b"new"}, overwrite=False)
        assert link.is_symlink()
    else:
        write_files({link: b"new"}, overwrite=True)
        assert link.read_bytes() == b"new"
    assert not target.exists()


def test_all_files_or_none(tmp_path, monkeypatch):
    old, new = tmp_path / "old", tmp_path / "new"
    old.write_bytes(b"old")
    (tmp_path / "folder").mkdir()
    replace = os.replace

    def failing(source, path):
        if Path(path) == new:
            raise KeyboardInterrupt
        replace(source, path)

    monkeypatch.setattr("os.replace", failing)
    with pytest.raises(KeyboardInterrupt):
        write_files({old: b"changed", new: b"new"}, overwrite=True)
    assert old.read_bytes() == b"old"
    assert {file.name for file in tmp_path.iterdir()} == {"old", "folder"}


def test_where_links_are_not_supported_nothing_is_replaced_either(tmp_path, monkeypatch):
    def no_links(*arguments, **options):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("os.link", no_links)
    write_files({tmp_path / "a": b"first"}, overwrite=False)
    with pytest.raises(FileExistsError):
        write_files({tmp_path / "a": b"second"}, overwrite=False)
    assert (tmp_path / "a").read_bytes() == b"first"
    assert len(list(tmp_path.iterdir())) == 1


class Told(BaseException):
    """What a signal raises."""


@pytest.fixture(params=[signal.SIGINT, signal.SIGTERM])
def told(request):
    """A signal that raises, as those of a command do; also where it is inherited as ignored."""

    def tell(number, frame):
        raise Told

    before = signal.signal(request.param, tell)
    yield request.param
    assert signal.getsignal(request.param) is tell
    signal.signal(request.param, before)


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize("at", [1, 2])
def test_a_signal_between_publishing_and_undo_leaves_no_half(
    tmp_path, monkeypatch, told, overwrite, at
):
    """It comes right after the file is there, before anything else is done."""
    pair = {tmp_path / "a.nc": b"new", tmp_path / "a.csv": b"new"}
    if overwrite:
        [path.write_bytes(b"old") for path in pair]
    call, published = ("replace" if overwrite else "link"), []
    publish = getattr(os, call)

    def publish_and_signal(source, path, **options):
        publish(source, path, **options)
        published.append(path)
        if len(published) == at:
            # Python's handler would raise here.
            signal.raise_signal(told)

    monkeypatch.setattr(os, call, publish_and_signal)
    with pytest.raises(Told):
        write_files(pair, overwrite=overwrite)
    left = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    assert left == ({"a.nc": b"old", "a.csv": b"old"} if overwrite else {})


def test_an_ignored_signal_stays_ignored_while_files_are_written(tmp_path, monkeypatch):
    before, link = signal.signal(signal.SIGTERM, signal.SIG_IGN), os.link

    def link_and_signal(source, path):
        link(source, path)
        signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(os, "link", link_and_signal)
    try:
        write_files({tmp_path / "a": b"new"}, overwrite=False)
        assert signal.getsignal(signal.SIGTERM) is signal.SIG_IGN
    finally:
        signal.signal(signal.SIGTERM, before)
    assert (tmp_path / "a").read_bytes() == b"new"


def test_files_are_written_in_other_threads_too(tmp_path):
    writer = threading.Thread(
        target=write_files, args=({tmp_path / "a": b"new"},), kwargs={"overwrite": False}
    )
    writer.start()
    writer.join()
    assert (tmp_path / "a").read_bytes() == b"new"

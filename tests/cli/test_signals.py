"""A command that is told to end: its status, its line, and nothing half written."""

import os
import signal
import threading
import time

import pytest

from jaxbrain.cli import main
from tests.helpers.cli import as_program


@pytest.mark.parametrize(("number", "status"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_command(capsys, tmp_path, monkeypatch, number, status):
    def waits(*arguments, **options):
        os.kill(os.getpid(), number)
        time.sleep(10)

    monkeypatch.setattr("jaxbrain.simulation.sweep", waits)
    # Tests in the background of a shell inherit that SIGINT is ignored, which commands respect.
    inherited = signal.signal(number, signal.default_int_handler)
    try:
        with pytest.raises(SystemExit) as caught:
            main(["simulate", "--save", str(tmp_path / "a.nc")])
        assert signal.getsignal(number) is signal.default_int_handler
    finally:
        signal.signal(number, inherited)
    assert caught.value.code == status
    assert "interrupted; nothing was written: start it again" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_what_cannot_be_interrupted_ends_all_the_same():
    """An endless call that never comes back to Python's handlers, as a compiled program."""
    program = (
        "import jaxbrain.cli.signals as s, os, signal, threading, ctypes;"
        "threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGTERM)).start();"
        "held = s.ended_by_signals('said', patience_s=0.2); held.__enter__();"
        "lock, mutex = ctypes.CDLL(None).pthread_mutex_lock, ctypes.create_string_buffer(64);"
        "lock(mutex); lock(mutex)"
    )
    done = as_program(program=program)
    assert (done.returncode, done.stderr) == (143, "said\n")


def test_other_threads_leave_signals_alone(capsys):
    before = signal.getsignal(signal.SIGTERM)
    worker = threading.Thread(target=main, args=(["--version"],))
    worker.start()
    worker.join()
    assert signal.getsignal(signal.SIGTERM) is before
    assert "jaxbrain" in capsys.readouterr().out

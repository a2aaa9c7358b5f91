"""A process of a job: it speaks only for itself, and ends with one line where another one dies."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext

from .signals import Ended, ended_by_signals

_PROGRAM = "import sys; from jaxbrain.cli import main; main(sys.argv[1:])"
ALONE = "--distributed: another process of this job has ended: start the job again"


def supervised(arguments: list[str]) -> int:
    """Run the command in a process of its own, and return its exit status.

    JAX aborts a process whose coordinator is gone, which nothing within that process can hear.
    """
    with subprocess.Popen([sys.executable, "-c", _PROGRAM, *arguments]) as command:
        try:
            with ended_by_signals("", patience_s=None):
                status = command.wait()
        except Ended as ended:
            command.send_signal(ended.number)
            status = command.wait()
    if status < 0:
        print(f"jaxbrain: {ALONE} ({signal.Signals(-status).name})", file=sys.stderr)
        return 2
    return status


@contextmanager
def speaking_alone() -> Iterator[Callable[[], AbstractContextManager[None]]]:
    """Put aside what libraries write to stdout and stderr; yields what puts stdout back a while.

    What Python writes to stderr is told. Aside it stays when the program ends: libraries say
    goodbye.
    """
    if sys.stderr is not sys.__stderr__ or sys.stdout is not sys.__stdout__:
        # A program that calls this one keeps its streams.
        yield nullcontext
        return
    sys.stdout.flush()
    sys.stderr.flush()
    stdout = os.dup(1)
    sys.stderr = os.fdopen(os.dup(2), "w", buffering=1, errors="backslashreplace")
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 1)
        os.dup2(aside.fileno(), 2)

    @contextmanager
    def put_back() -> Iterator[None]:
        kept = os.dup(1)
        os.dup2(stdout, 1)
        try:
            yield
            sys.stdout.flush()
        finally:
            os.dup2(kept, 1)
            os.close(kept)

    yield put_back
    os.close(stdout)

"""Signals that end a command: nothing half written is left, and the user hears how to go on."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from .._writing import remove_partials

_SIGNALS = (signal.SIGINT, signal.SIGTERM)
# A compiled program cannot be interrupted.
_PATIENCE_S = 3.0


class Ended(BaseException):
    """A signal asks this command to end."""

    def __init__(self, number: int):
        """The number of the signal."""
        super().__init__(number)
        self.number = number


@contextmanager
def ended_by_signals(said: str, patience_s: float | None = _PATIENCE_S) -> Iterator[None]:
    """Raise `Ended` at SIGINT and SIGTERM.

    After `patience_s` seconds the process ends all the same, and `said` is printed; None waits.
    Only the main thread can take signals. One that is ignored, as by nohup, stays so.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = {number: signal.getsignal(number) for number in _SIGNALS}
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    over = threading.Event()
    watch = threading.Thread(
        target=_end_for_good, args=(reader, over, said, patience_s), daemon=True
    )
    watch.start()
    # Written to by the system's handler, while Python's has to wait for the main thread.
    told_before = signal.set_wakeup_fd(writer, warn_on_full_buffer=False)
    try:
        for number, handler in before.items():
            if handler is not signal.SIG_IGN:
                signal.signal(number, _end)
        yield
    finally:
        over.set()
        signal.set_wakeup_fd(told_before)
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)
        os.close(writer)
        watch.join()


def take_back() -> None:
    """Take signals again, after a library has taken them for itself."""
    if threading.current_thread() is threading.main_thread():
        for number in _SIGNALS:
            if signal.getsignal(number) is _end:
                signal.signal(number, _end)


def _end(number: int, frame: object) -> None:
    # The way out is not to be interrupted once more.
    for other in _SIGNALS:
        signal.signal(other, signal.SIG_IGN)
    raise Ended(number)


def _end_for_good(reader: int, over: threading.Event, said: str, patience_s: float | None) -> None:
    """End the process where the main thread does not come back from what it computes."""
    while byte := os.read(reader, 1):
        if byte[0] in _SIGNALS and not over.wait(patience_s):
            remove_partials()
            os.write(sys.__stderr__.fileno() if sys.__stderr__ else 2, f"{said}\n".encode())
            os._exit(128 + byte[0])
    os.close(reader)

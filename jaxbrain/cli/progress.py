"""How far a command is, and how long it still takes: one line on a terminal, nothing elsewhere."""

from __future__ import annotations

import sys
import time

from .words.simulation import duration


class Progress:
    """Called with how many parts are done, of how many."""

    def __init__(self, what: str) -> None:
        """Take what is counted, in the plural."""
        self.what, self.start, self.first = what, 0.0, 0

    def __call__(self, done: int, total: int) -> None:
        """Rewrite the line; the last call ends it."""
        if not sys.stderr.isatty():
            return
        now, left = time.perf_counter(), ""
        if not self.first:
            # The first part compiles: time is counted from its end.
            self.start, self.first = now, done
        elif done < total:
            each = (now - self.start) / (done - self.first)
            left = f", {duration(each * (total - done))} left"
        end = "\n" if done >= total else ""
        print(f"\r{self.what} {done}/{total}{left}\x1b[K", end=end, file=sys.stderr, flush=True)

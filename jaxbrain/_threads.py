"""One BLAS thread where this library factorises matrices on a CPU.

NumPy, and JAX's LAPACK calls through SciPy, run OpenBLAS, whose threads wait for each other by
spinning. Where anything else keeps a core busy (XLA's own threads, another process), each wait
lasts as long as the operating system lets the other run: on two cores factorisations took up to
seventy times as long. One thread waits for nobody, and is as fast for matrices of the sizes met
here. XLA's own products keep all cores.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import ParamSpec, TypeVar

import jax
import jax.core
from threadpoolctl import ThreadpoolController

_Parameters = ParamSpec("_Parameters")
_Answer = TypeVar("_Answer")

_limit_is_set = threading.Lock()


@functools.cache
def _blas() -> ThreadpoolController:
    """The BLAS libraries of this process, whichever they are; none, if there is none to control."""
    # JAX loads SciPy's at its first factorisation. Looking for libraries takes 20 ms: once is
    # enough.
    import scipy.linalg  # noqa: F401

    return ThreadpoolController().select(user_api="blas")


@contextmanager
def one_blas_thread() -> Iterator[None]:
    """Limit BLAS to one thread inside, and restore what was there at the end.

    The limit holds for the whole process. Who comes in while it is set, further inside or in
    another Python thread, leaves it alone: restoring it is up to the one who set it.
    """
    if not _limit_is_set.acquire(blocking=False):
        yield
        return
    try:
        with _blas().limit(limits=1):
            yield
    finally:
        _limit_is_set.release()


def with_one_blas_thread(
    function: Callable[_Parameters, _Answer],
) -> Callable[_Parameters, _Answer]:
    """Run a function within `one_blas_thread`, and wait for its answer.

    JAX hands a computation over and returns at once: without waiting, the limit would be gone
    before LAPACK is called. What is being traced calls no LAPACK and cannot be waited for; a
    program that a user jits around this function runs with the threads that the user's process has.
    """

    @functools.wraps(function)
    def limited(*arguments: _Parameters.args, **options: _Parameters.kwargs) -> _Answer:
        with one_blas_thread():
            answer = function(*arguments, **options)
            # An accelerator factorises without BLAS, and need not be waited for.
            if jax.default_backend() == "cpu":
                leaves = jax.tree.leaves(answer)
                jax.block_until_ready([x for x in leaves if not isinstance(x, jax.core.Tracer)])
            return answer

    return limited

"""Doctests run in double precision, like the tests."""

import os

# LAPACK calls are small here, and their threads only fight those of XLA for the cores.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

import jax

jax.config.update("jax_enable_x64", True)

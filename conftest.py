"""Doctests run in double precision, like the tests."""

import jax

jax.config.update("jax_enable_x64", True)

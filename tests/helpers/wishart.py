"""Wishart matrices: their factors drawn, and the closed forms of their resolvents."""

import jax
import jax.numpy as jnp
import numpy as np

from jaxbrain.theory.resolvent import resolvent

resolvent_moments = jax.jit(resolvent)


def bartlett(rng, size, n):
    """Upper-triangular factor of a Wishart matrix with n degrees of freedom."""
    factor = np.triu(rng.standard_normal((size, size)), 1)
    factor[np.diag_indices(size)] = np.sqrt(rng.chisquare(n - np.arange(size)))
    return factor


def moments_at(c, q, n):
    """What `resolvent` says at penalties c."""
    c = jnp.asarray(c)
    return resolvent_moments(c, jnp.ones_like(c), jnp.asarray(q, c.dtype), jnp.full_like(c, n))

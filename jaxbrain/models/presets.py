"""Ready-made models: a realistic fMRI study, and a small one that simulates in seconds."""

from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, PRNGKeyArray

from .._checks import as_floats, check_between, check_key, check_shape
from .._threads import with_one_blas_thread
from .._typing import Real
from .linear_gaussian import LinearGaussianModel
from .problem import check_snr

FMRI_SAMPLES_PER_HOUR = 1800
"""Stimuli an hour in the fMRI preset: one every two seconds."""

SIZES = {"fmri": (4096, 410, 10_000), "small": (64, 6, 150), "images": (768, 20, 100)}
"""Inputs, latents and channels of each preset."""

_LATENTS_PER_CHANNEL = 4


def fmri(
    task_snr: Real = 0.1, misalignment: Real = 0.1, *, key: PRNGKeyArray | None = None
) -> LinearGaussianModel:
    """A whole-cortex fMRI study of natural images: 64 × 64 pixels, 410 latents, 10 000 voxels.

    Each voxel pools 4 of the latents. Of its single-trial variance 40 % is driven by the stimulus,
    40 % is measurement noise and 20 % is neural variability. The encoder is a random orthonormal
    basis. The task weights have length 1 with the given share outside the brain-sensitive subspace.
    One stimulus every 2 s gives 1800 samples an hour of recording.

    >>> import jaxbrain as jb
    >>> model = jb.presets.fmri(task_snr=1.0)
    >>> model.input_dim, model.latent_dim, model.recording_dim
    (4096, 410, 10000)

    **Arguments**

    - `task_snr`: ‖β‖²/σ², greater than 0.
    - `misalignment`: relative, m/‖β‖², in [0, 1].
    - `key`: for the random encoder, pooling and task direction; `jax.random.key(0)` by default.

    **Returns**

    A `LinearGaussianModel`.

    **Raises**

    `ValueError` that names the argument: a `task_snr` that is not positive, a `misalignment`
    outside of 0 to 1, arrays of either, a legacy key.

    **Source**

    The linear fMRI setting of Lewis et al., arXiv:2605.09243.
    """
    return _pooling_model(*SIZES["fmri"], task_snr, misalignment, key)


def small(
    task_snr: Real = 0.1, misalignment: Real = 0.1, *, key: PRNGKeyArray | None = None
) -> LinearGaussianModel:
    """The fMRI study in miniature, for simulation in seconds: 64 inputs, 6 latents, 150 channels.

    Pooling and the split of variance are those of `fmri`.

    >>> import jaxbrain as jb
    >>> model = jb.presets.small(task_snr=1.0)
    >>> model.input_dim, model.latent_dim, model.recording_dim
    (64, 6, 150)

    **Arguments**

    - `task_snr`, `misalignment`, `key`: as in `fmri`.

    **Returns**

    A `LinearGaussianModel`.

    **Raises**

    `ValueError` as `fmri` does.

    **Source**

    The linear fMRI setting of Lewis et al., arXiv:2605.09243, with 64 inputs in place of 4096.
    """
    return _pooling_model(*SIZES["small"], task_snr, misalignment, key)


def images(
    task_snr: Real = 1.0, misalignment: Real = 0.1, *, key: PRNGKeyArray | None = None
) -> LinearGaussianModel:
    """Recordings of natural images, described by a deep network: 768 features, 20 latents.

    The variance of the features falls as 1/i over their principal components, as it does in late
    layers of networks for vision. 100 channels show latents that respond to them; each channel
    pools 4, and the split of its variance is that of `fmri`. Latents and the rest of the task lean
    to strong components, as weights that are drawn alike for all components do.

    >>> import jaxbrain as jb
    >>> model = jb.presets.images()
    >>> model.input_dim, model.latent_dim, model.recording_dim
    (768, 20, 100)

    **Arguments**

    - `task_snr`: βᵀΣβ/σ², variance of the predictable part of a label over that of its noise.
    - `misalignment`: relative, the share of that variance that no recording can reach, in [0, 1].
    - `key`: for the random latents, pooling and task; `jax.random.key(0)` by default.

    **Returns**

    A `LinearGaussianModel` with an `input_covariance`, its variances.

    **Raises**

    `ValueError` as `fmri` does.

    **Source**

    Spectra of 1/i in deep networks and in cortex: Stringer, Pachitariu, Steinmetz, Carandini and
    Harris (2019), Nature 571; the numbers are ours.
    """
    d, k, p = SIZES["images"]
    return _pooling_model(d, k, p, task_snr, misalignment, key, exponent=1.0)


@with_one_blas_thread
def _pooling_model(
    d: int,
    k: int,
    p: int,
    task_snr: Real,
    misalignment: Real,
    key: PRNGKeyArray | None,
    exponent: float | None = None,
) -> LinearGaussianModel:
    task_snr, misalignment = as_floats(task_snr=task_snr, misalignment=misalignment)
    for name, value in (("task_snr", task_snr), ("misalignment", misalignment)):
        check_shape(name, value, (), "one number; map over several with jax.vmap")
    check_snr(task_snr)
    check_between("misalignment", misalignment, 0, 1)
    if key is not None:
        check_key(key)
    key = jr.key(0) if key is None else key
    variances = None
    if exponent is not None:
        variances = np.arange(1, d + 1, dtype=task_snr.dtype) ** -exponent
        variances /= variances.mean()
    encoder, readout, task_weights = _draw(key, misalignment, variances, d, k, p)
    return LinearGaussianModel(
        input_covariance=variances,
        encoder=encoder,
        readout=readout,
        latent_noise=np.asarray(0.5, task_snr.dtype),
        recording_noise=np.asarray(_LATENTS_PER_CHANNEL, task_snr.dtype),
        task_weights=task_weights,
        task_noise=1 / task_snr,
    )


@partial(jax.jit, static_argnames=("d", "k", "p"))
def _draw(
    key: PRNGKeyArray, misalignment: Array, variances: Array | None, d: int, k: int, p: int
) -> tuple[Array, Array, Array]:
    key_encoder, key_pooling, key_task = jr.split(key, 3)
    dtype = misalignment.dtype
    # Principal components of variance 1; a weight of the inputs is one over the deviation.
    root = jnp.ones((), dtype) if variances is None else jnp.sqrt(variances)
    drawn = jr.normal(key_encoder, (d, k), dtype)
    encoder = jnp.linalg.qr(drawn if variances is None else root[:, None] * drawn)[0]
    uniform = jr.uniform(key_pooling, (p, _LATENTS_PER_CHANNEL), dtype)
    readout = jax.vmap(partial(_pooling_weights, k=k))(uniform)
    direction = root * jr.normal(key_task, (d,), dtype)
    inside = encoder @ (encoder.T @ direction)
    outside = direction - inside
    task_weights = jnp.sqrt(1 - misalignment) * inside / jnp.linalg.norm(inside) + jnp.sqrt(
        misalignment
    ) * outside / jnp.linalg.norm(outside)
    if variances is not None:
        encoder = encoder / root[:, None]
    return encoder, readout, task_weights / root


def _pooling_weights(uniform: Array, k: int) -> Array:
    # A uniformly random subset: the j-th pick is a rank among the k − j latents not yet taken, and
    # moves up by one past each taken latent, in ascending order.
    taken = jnp.zeros(0, int)
    for j in range(_LATENTS_PER_CHANNEL):
        pick = jnp.floor(uniform[j] * (k - j)).astype(int)
        for earlier in jnp.sort(taken):
            pick = pick + (pick >= earlier).astype(pick.dtype)
        taken = jnp.append(taken, pick)
    return jnp.any(taken[:, None] == jnp.arange(k)[None, :], axis=0).astype(uniform.dtype)

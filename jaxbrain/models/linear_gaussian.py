"""The generative model: inputs drive latents, latents drive recordings and (in part) the task."""

from __future__ import annotations

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import (
    as_float_like,
    as_floats,
    as_integer,
    check_covariance,
    check_finite,
    check_flag,
    check_key,
    check_orthonormal,
    check_positive,
    check_shape,
    is_concrete,
    kind_of,
)
from .._linalg import covariance_factor
from .._threads import with_one_blas_thread
from .._typing import AnyArray, Real, Whole
from .geometry import InputGeometry
from .problem import Problem, check_dimensions, check_range, ranges


class LinearGaussianModel(eqx.Module):
    """The model in which the worth of brain recordings can be computed exactly.

    Inputs x ~ N(0, Σ) of d dimensions drive k latents z = Aᵀx + εz, recorded in p channels as
    r = H z + εr. A task is learned from labels y = βᵀx + εy. Recordings help the task as far as β
    lies in span(A). Inputs are white, Σ = I, unless you give their covariance.

    >>> import jax, jax.numpy as jnp, jaxbrain as jb
    >>> model = jb.LinearGaussianModel(
    ...     encoder=jnp.eye(6, 2), readout=jnp.ones((5, 2)).at[:2].add(jnp.eye(2)),
    ...     latent_noise=0.5, recording_noise=1.0,
    ...     task_weights=jnp.array([1.0, 0.0, 1.0, 0.0, 0.0, 0.0]), task_noise=1.0)
    >>> float(model.relative_misalignment)
    0.5
    >>> inputs, recordings = model.sample_brain(jax.random.key(0), 100)
    >>> inputs.shape, recordings.shape
    ((100, 6), (100, 5))

    It is an Equinox module whose arrays are leaves: it can be jitted, vmapped and differentiated.

    **Arguments**

    - `encoder`: A, shape (d, k), k < d: which input directions the brain responds to. Its columns
      are orthonormal, unless `canonical` is true or `input_covariance` is given. Only span(A) can
      be known from data, and nothing that the library reports depends on the gauge.
    - `readout`: H, shape (p, k), p >= k, rank k: how latents appear in the channels.
    - `latent_noise`: Σz, shape (k, k), or a scalar for Σz = σz² I: neural variability.
    - `recording_noise`: Σr, shape (p, p), or a scalar for Σr = σr² I: measurement noise. With a
      scalar nothing of size p × p is ever built.
    - `task_weights`: β, shape (d,).
    - `task_noise`: variance σ² of the label noise, greater than 0.
    - `canonical`: whether to accept any encoder of full rank. It is then re-gauged together with
      the readout and the latent noise.
    - `input_covariance`: Σ, shape (d,) for variances of independent inputs, or (d, d), of full
      rank. The encoder may then be any matrix of full column rank, in the coordinates of the
      inputs, and stays as it is. Powers, signal-to-noise ratios and misalignment are variances
      under Σ.

    **Raises**

    `ValueError` that names the argument and the remedy: shapes that do not fit, columns that are
    not orthonormal, a readout without full rank, a covariance that is none.

    **Source**

    Lewis et al., arXiv:2605.09243, section 2.
    """

    encoder: Float[Array, "d k"]
    readout: Float[Array, "p k"]
    latent_noise: Float[Array, "..."]
    recording_noise: Float[Array, "..."]
    task_weights: Float[Array, " d"]
    task_noise: Float[Array, ""]
    input_covariance: Float[Array, "..."] | None

    def __init__(
        self,
        encoder: AnyArray,
        readout: AnyArray,
        latent_noise: Real,
        recording_noise: Real,
        task_weights: AnyArray,
        task_noise: Real,
        *,
        canonical: bool = False,
        input_covariance: Real | None = None,
    ):
        """See the class."""
        check_flag("canonical", canonical)
        given = {} if input_covariance is None else {"input_covariance": input_covariance}
        encoder, readout, latent_noise, recording_noise, task_weights, task_noise, *given = (
            as_floats(
                encoder=encoder,
                readout=readout,
                latent_noise=latent_noise,
                recording_noise=recording_noise,
                task_weights=task_weights,
                task_noise=task_noise,
                **given,
            )
        )
        check_shape("encoder", encoder, ("d", "k"), "one column for each latent")
        d, k = encoder.shape
        check_shape("readout", readout, ("p", k), "one row a channel, one column for each latent")
        p = readout.shape[0]
        check_dimensions(d, k, p)
        if latent_noise.ndim:
            check_shape("latent_noise", latent_noise, (k, k), "or a scalar for equal variances")
        if recording_noise.ndim:
            check_shape(
                "recording_noise", recording_noise, (p, p), "or a scalar for equal variances"
            )
        check_shape("task_weights", task_weights, (d,), "one weight for each input")
        check_shape("task_noise", task_noise, (), "one variance")
        for name, value in (
            ("encoder", encoder),
            ("readout", readout),
            ("latent_noise", latent_noise),
            ("recording_noise", recording_noise),
            ("task_weights", task_weights),
            ("task_noise", task_noise),
        ):
            check_finite(name, value)
            # Squares of readout and weights are gains and powers.
            largest = ranges(value.dtype)[0]
            power = 0.5 if name in ("encoder", "readout", "task_weights") else 1.0
            check_range(name, value, largest**power)
        check_positive("task_noise", task_noise)
        if is_concrete(task_weights) and not np.any(np.asarray(task_weights)):
            raise ValueError("task_weights are all 0: there is no task to learn")
        check_covariance("latent_noise", latent_noise)
        check_covariance("recording_noise", recording_noise)
        _check_full_rank("readout", readout, "drop latents that no channel shows")
        covariance = _checked_covariance(given[0], d) if given else None
        if canonical or covariance is not None:
            _check_full_rank("encoder", encoder, "drop latents that repeat others")
        if canonical:
            encoder, readout, latent_noise = _canonical_gauge(encoder, readout, latent_noise)
        elif covariance is None:
            check_orthonormal(
                "encoder", encoder, "pass canonical=True to re-gauge any matrix of full rank"
            )
        self.encoder, self.readout = encoder, readout
        self.latent_noise, self.recording_noise = latent_noise, recording_noise
        self.task_weights, self.task_noise = task_weights, task_noise
        self.input_covariance = covariance

    @property
    def input_dim(self) -> int:
        """Number d of inputs."""
        return self.encoder.shape[0]

    @property
    def latent_dim(self) -> int:
        """Number k of measured latents."""
        return self.encoder.shape[1]

    @property
    def recording_dim(self) -> int:
        """Number p of recording channels."""
        return self.readout.shape[0]

    @property
    def misalignment(self) -> Float[Array, ""]:
        """m = ‖Kβ‖²: squared length of the task weights outside the brain-sensitive subspace.

        Where inputs are not white it is the variance of what no linear function of the noise-free
        latents tells of βᵀx.
        """
        if self.input_covariance is None:
            outside = self.task_weights - self.encoder @ (self.encoder.T @ self.task_weights)
            return jnp.sum(outside**2)
        directions, weights = self._white_gauge()[0], self._white(self.task_weights)
        return jnp.sum((weights - directions @ (directions.T @ weights)) ** 2)

    @property
    def task_power(self) -> Float[Array, ""]:
        """βᵀΣβ, the variance of the predictable part of a label; ‖β‖² where inputs are white."""
        return jnp.sum(self._white(self.task_weights) ** 2)

    @property
    def relative_misalignment(self) -> Float[Array, ""]:
        """m/‖β‖², the share of the task that no recording can reach; in [0, 1]."""
        return self.misalignment / self.task_power

    @property
    def task_snr(self) -> Float[Array, ""]:
        """βᵀΣβ/σ²: variance of the predictable part of a label over that of its noise."""
        return self.task_power / self.task_noise

    @property
    def brain_snr(self) -> Float[Array, ""]:
        """Mean over channels of stimulus-driven variance over all other variance."""
        if self.input_covariance is None:
            signal = jnp.sum(self.readout**2, axis=1)
        else:
            signal = jnp.sum((self.readout @ self._white(self.encoder).T) ** 2, axis=1)
        if self.latent_noise.ndim:
            neural = jnp.sum((self.readout @ self.latent_noise) * self.readout, axis=1)
        else:
            neural = self.latent_noise * jnp.sum(self.readout**2, axis=1)
        measurement = (
            jnp.diagonal(self.recording_noise)
            if self.recording_noise.ndim
            else self.recording_noise
        )
        return jnp.mean(signal / (neural + measurement))

    @property
    def encoding_noise(self) -> Float[Array, "k k"]:
        """Σenc = Σz + H⁺ Σr H⁺ᵀ: latent noise left after the best linear read-out, shape (k, k)."""
        gram = self.readout.T @ self.readout
        if self.recording_noise.ndim:
            inverse = jnp.linalg.solve(gram, self.readout.T)
            measured = inverse @ self.recording_noise @ inverse.T
        else:
            measured = self.recording_noise * jnp.linalg.inv(gram)
        return self._latent_covariance + measured

    @property
    def gamma(self) -> Float[Array, ""]:
        """The constant γ = (d − k) βᵀA Σenc Aᵀβ − m tr Σenc of the paper's Appendix C.2.

        Where inputs are not white, of the same study in inputs that are.
        """
        if self.input_covariance is not None:
            return self.problem().gamma
        noise = self.encoding_noise
        aligned = self.encoder.T @ self.task_weights
        inside = (self.input_dim - self.latent_dim) * (aligned @ noise @ aligned)
        return inside - self.misalignment * jnp.trace(noise)

    def sample_brain(
        self, key: PRNGKeyArray, n: Whole
    ) -> tuple[Float[Array, "n d"], Float[Array, "n p"]]:
        """Draw `n` pairs of inputs, shape (n, d), and recordings, shape (n, p)."""
        check_key(key)
        n = as_integer("n", n, 1)
        key_inputs, key_latents, key_recordings = jr.split(key, 3)
        dtype = self.encoder.dtype
        inputs = self._coloured(jr.normal(key_inputs, (n, self.input_dim), dtype))
        latents = inputs @ self.encoder + _noise(key_latents, n, self.latent_noise, self.latent_dim)
        recordings = latents @ self.readout.T + _noise(
            key_recordings, n, self.recording_noise, self.recording_dim
        )
        return inputs, recordings

    def sample_task(
        self, key: PRNGKeyArray, n: Whole
    ) -> tuple[Float[Array, "n d"], Float[Array, " n"]]:
        """Draw `n` pairs of inputs, shape (n, d), and targets, shape (n,)."""
        check_key(key)
        n = as_integer("n", n, 1)
        key_inputs, key_targets = jr.split(key)
        dtype = self.encoder.dtype
        inputs = self._coloured(jr.normal(key_inputs, (n, self.input_dim), dtype))
        noise = jnp.sqrt(self.task_noise) * jr.normal(key_targets, (n,), dtype)
        return inputs, inputs @ self.task_weights + noise

    def whitened(self) -> LinearGaussianModel:
        """The same recordings in channels rescaled to independent noise of variance 1.

        Maps r to L⁻¹r with Σr = L Lᵀ. Recordings with strongly unequal channels are usually better
        used this way, and the closed forms then cover them exactly as they cover equal channels.
        Needs a recording noise of full rank.
        """
        if self.recording_noise.ndim == 0:
            check_positive("recording_noise", self.recording_noise)
            readout = self.readout / jnp.sqrt(self.recording_noise)
        else:
            factor = jnp.linalg.cholesky(self.recording_noise)
            if is_concrete(factor) and not bool(jnp.all(jnp.isfinite(factor))):
                raise ValueError("recording_noise must have full rank to be whitened")
            readout = jax.scipy.linalg.solve_triangular(factor, self.readout, lower=True)
        return LinearGaussianModel(
            self.encoder,
            readout,
            self.latent_noise,
            1.0,
            self.task_weights,
            self.task_noise,
            input_covariance=self.input_covariance,
        )

    def problem(self) -> Problem:
        """The summary of this model that the closed forms take.

        Spectra where the latent noise is a scalar, or can be seen (outside `jax.jit` and
        `jax.grad`) to share an eigenbasis with HᵀH; k × k matrices otherwise. The derivative of a
        spectrum with respect to the readout needs distinct gains: to differentiate through a
        readout whose gains repeat, give the latent noise as a matrix.

        **Raises** `ValueError` where the recording noise differs between channels: the closed form
        knows how well directions are estimated in channel space only for equal channels. Use
        `model.whitened().problem()` (the encoding stage then works on whitened recordings), or
        simulate.
        """
        noise = self._scalar_recording_noise()
        model, geometry = self, None
        if self.input_covariance is not None:
            model, geometry = self._in_white_inputs(self.input_covariance)
            # Known to be white, inputs have the closed forms of white ones, which are quicker.
            if is_concrete(geometry[0]) and np.all(np.asarray(geometry[0]) == 1):
                geometry = None
        gram, aligned, misaligned_power = _powers(model)
        basis = model._shared_eigenbasis(gram)
        if basis is None:
            latent_noise, gain = model._latent_covariance, gram
            aligned_power = aligned[:, None] * aligned[None, :]
        else:
            latent_noise, gain, aligned_power = _spectra(basis, model.latent_noise, gram, aligned)
            if geometry is not None:
                geometry = (geometry[0], geometry[1] @ basis, geometry[2])
        return Problem(
            input_dim=self.input_dim,
            latent_dim=self.latent_dim,
            recording_dim=self.recording_dim,
            latent_noise=latent_noise,
            gain=gain,
            recording_noise=noise,
            aligned_power=aligned_power,
            misaligned_power=misaligned_power,
            task_noise=self.task_noise,
            geometry=None if geometry is None else InputGeometry(*geometry),
        )

    def along_principal_axes(self, covariance: AnyArray) -> Float[Array, "d d"]:
        """A covariance of inputs in the coordinates that this model's summary knows.

        Closed forms take test inputs of any covariance, `risk(problem, ..., shift=)`, along the
        principal axes of the inputs learned from. `covariance` is in the model's own coordinates,
        shape (d, d) or, of independent inputs, (d,); the answer has the shape (d, d), in the same
        units.

        **Raises** `ValueError` that names the argument where shapes do not fit, or this is no
        covariance.
        """
        d = self.input_dim
        covariance = as_float_like("covariance", covariance, self.task_noise)
        shape = (d,) if covariance.ndim < 2 else (d, d)
        check_shape(
            "covariance", covariance, shape, "one row and column, or one variance, an input"
        )
        full = jnp.diag(covariance) if covariance.ndim == 1 else covariance
        check_covariance("covariance", full)
        if self.input_covariance is None or self.input_covariance.ndim == 1:
            return full
        axes = jnp.linalg.eigh(self.input_covariance)[1]
        return axes.T @ full @ axes

    def _coloured(self, white: Float[Array, "n d"]) -> Float[Array, "n d"]:
        """Rows of variance 1 as inputs."""
        covariance = self.input_covariance
        if covariance is None:
            return white
        if covariance.ndim == 1:
            return white * jnp.sqrt(covariance)[None, :]
        return white @ jnp.linalg.cholesky(covariance).T

    def _white(self, weights: Float[Array, "d *k"]) -> Float[Array, "d *k"]:
        """Weights of inputs as weights of what `_coloured` makes inputs of."""
        covariance = self.input_covariance
        if covariance is None:
            return weights
        if covariance.ndim == 1:
            root = jnp.sqrt(covariance)
            return weights * (root if weights.ndim == 1 else root[:, None])
        return jnp.linalg.cholesky(covariance).T @ weights

    def _white_gauge(self) -> tuple[Array, Array, Array]:
        """Encoder of orthonormal columns, readout and latent noise, in inputs of variance 1."""
        return _canonical_gauge(self._white(self.encoder), self.readout, self.latent_noise)

    def _in_white_inputs(
        self, covariance: Array
    ) -> tuple[LinearGaussianModel, tuple[Array, Array, Array]]:
        """The same study in principal components of variance 1; variances, latents and task."""
        if covariance.ndim == 1:
            variances, encoder, weights = covariance, self.encoder, self.task_weights
        else:
            variances, axes = jnp.linalg.eigh(covariance)
            encoder, weights = axes.T @ self.encoder, axes.T @ self.task_weights
        root = jnp.sqrt(variances)
        weights = root * weights
        encoder, readout, latent_noise = _canonical_gauge(
            root[:, None] * encoder, self.readout, self.latent_noise
        )
        white = LinearGaussianModel(
            encoder, readout, latent_noise, self.recording_noise, weights, self.task_noise
        )
        return white, (variances, encoder, weights)

    @property
    def _latent_covariance(self) -> Float[Array, "k k"]:
        if self.latent_noise.ndim:
            return self.latent_noise
        return self.latent_noise * jnp.eye(self.latent_dim, dtype=self.latent_noise.dtype)

    def _scalar_recording_noise(self) -> Float[Array, ""]:
        noise = self.recording_noise
        if noise.ndim == 0:
            return noise
        remedy = (
            "the closed forms need equal, independent channels: use model.whitened().problem(), "
            "pass a scalar recording_noise, or simulate this model"
        )
        if not is_concrete(noise):
            raise ValueError(f"recording_noise is a full matrix: {remedy}")
        level = jnp.trace(noise) / self.recording_dim
        uneven = noise - level * jnp.eye(self.recording_dim, dtype=noise.dtype)
        if jnp.max(jnp.abs(uneven)) > 1e3 * jnp.finfo(noise.dtype).eps * level:
            raise ValueError(f"recording_noise differs between channels: {remedy}")
        return level

    def _shared_eigenbasis(self, gram: Float[Array, "k k"]) -> Float[Array, "k k"] | None:
        if self.latent_noise.ndim == 0:
            return jnp.linalg.eigh(gram)[1]
        if not is_concrete(gram, self.latent_noise):
            return None
        # Matrices that commute are both diagonal in the eigenbasis of a generic mixture of them.
        noise = float(jnp.trace(self.latent_noise))
        scale = float(jnp.trace(gram)) / noise if noise > 0 else 0.0
        basis = jnp.linalg.eigh(gram + 0.6180339887 * scale * self.latent_noise)[1]
        tolerance = 1e3 * jnp.finfo(gram.dtype).eps
        for matrix in (gram, self.latent_noise):
            rotated = basis.T @ matrix @ basis
            off_diagonal = rotated - jnp.diag(jnp.diagonal(rotated))
            if jnp.max(jnp.abs(off_diagonal)) > tolerance * jnp.max(jnp.abs(rotated)):
                return None
        return basis


def _checked_covariance(covariance: Array, d: int) -> Array:
    """The covariance of the inputs; raises where it is none of full rank."""
    name, remedy = "input_covariance", "leave out inputs that depend on others"
    if covariance.ndim == 2:
        check_shape(name, covariance, (d, d), "or the variances of independent inputs")
    else:
        check_shape(name, covariance, (d,), "or a covariance matrix")
    check_finite(name, covariance)
    check_range(name, covariance, ranges(covariance.dtype)[0])
    if covariance.ndim == 1:
        check_positive(name, covariance)
        return covariance
    check_covariance(name, covariance)
    if is_concrete(covariance):
        spectrum = np.linalg.eigvalsh(np.asarray(covariance))
        if spectrum[0] <= d * np.finfo(spectrum.dtype).eps * spectrum[-1]:
            raise ValueError(f"{name} must have full rank: {remedy}")
    return covariance


def check_model(model: object) -> None:
    """Raise unless this is a model or its summary."""
    if not isinstance(model, LinearGaussianModel | Problem):
        raise ValueError(
            f"model must be a jaxbrain.LinearGaussianModel or Problem, but it is {kind_of(model)}"
        )


def _noise(key: PRNGKeyArray, n: int, covariance: Float[Array, "..."], size: int) -> Array:
    standard = jr.normal(key, (n, size), covariance.dtype)
    if covariance.ndim == 0:
        return jnp.sqrt(covariance) * standard
    return standard @ covariance_factor(covariance).T


@with_one_blas_thread
def _check_full_rank(name: str, value: Array, remedy: str) -> None:
    if not is_concrete(value):
        return
    matrix = np.asarray(value)
    strengths = np.linalg.eigvalsh(matrix.T @ matrix)
    if strengths[0] <= len(matrix) * np.finfo(matrix.dtype).eps * strengths[-1]:
        raise ValueError(f"{name} must have full column rank {matrix.shape[1]}: {remedy}")


def _canonical_gauge(
    encoder: Array, readout: Array, latent_noise: Array
) -> tuple[Array, Array, Array]:
    # A = QT gives z = TᵀQᵀx + εz. In the gauge z' = T⁻ᵀz the encoder is Q, the readout is H Tᵀ and
    # the latent noise is T⁻ᵀ Σz T⁻¹.
    orthonormal, mixing = jnp.linalg.qr(encoder)
    size = mixing.shape[0]
    covariance = (
        latent_noise
        if latent_noise.ndim
        else latent_noise * jnp.eye(size, dtype=latent_noise.dtype)
    )
    half = jax.scipy.linalg.solve_triangular(mixing, covariance, trans="T")
    regauged = jax.scipy.linalg.solve_triangular(mixing, half.T, trans="T")
    return orthonormal, readout @ mixing.T, (regauged + regauged.T) / 2


# Compiled as a whole: a dozen small programs would cost a command a second.
@jax.jit
def _powers(model: LinearGaussianModel) -> tuple[Array, Array, Array]:
    """HᵀH, Aᵀβ and m."""
    gram = model.readout.T @ model.readout
    return gram, model.encoder.T @ model.task_weights, model.misalignment


@jax.jit
def _spectra(
    basis: Array, latent_noise: Array, gram: Array, aligned: Array
) -> tuple[Array, Array, Array]:
    """Latent noise, gain and power of the task along each latent of a shared eigenbasis."""
    if latent_noise.ndim:
        latent_noise = jnp.maximum(jnp.sum(basis * (latent_noise @ basis), axis=0), 0.0)
    gain = jnp.sum(basis * (gram @ basis), axis=0)
    return latent_noise, gain, (basis.T @ aligned) ** 2

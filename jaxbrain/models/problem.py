"""The sufficient summary of a model that every closed form needs."""

from __future__ import annotations

from functools import partial
from typing import Any

import equinox as eqx
import jax
import jax.numpy as jnp
import jax.random as jr
import numpy as np
from jaxtyping import Array, Float, PRNGKeyArray

from .._checks import (
    as_floats,
    as_integer,
    check_between,
    check_covariance,
    check_finite,
    check_key,
    check_known,
    check_positive,
    check_shape,
    is_concrete,
    kind_of,
)
from .._typing import AnyArray, Real, Whole
from .geometry import InputGeometry, check_geometry

_LATENTS_AT_A_TIME = 16


class ProblemNumbers(eqx.Module):
    """The numbers of a problem and all that follows from them, whatever kind its sizes are."""

    latent_noise: Float[Array, "..."]
    gain: Float[Array, "..."]
    recording_noise: Float[Array, "..."]
    aligned_power: Float[Array, "..."]
    misaligned_power: Float[Array, "..."]
    task_noise: Float[Array, "..."]
    input_dim: eqx.AbstractVar[Any]
    latent_dim: eqx.AbstractVar[Any]
    recording_dim: eqx.AbstractVar[Any]

    @property
    def is_matrix_form(self) -> bool:
        """Whether latent noise, gain and aligned power are matrices instead of spectra."""
        return self.aligned_power.ndim == 2

    def trace(self, noises: Array) -> Array:
        """Sum over all latents of what a spectrum, or a matrix, says of each."""
        return jnp.trace(noises) if self.is_matrix_form else jnp.sum(noises)

    @property
    def outside_dim(self) -> Any:
        """Dimension q = d − k of the brain-insensitive space."""
        return self.input_dim - self.latent_dim

    @property
    def encoding_noise(self) -> Float[Array, "..."]:
        """Latent noise left after the best linear read-out: s = v + σr²/h², (k,) or (k, k)."""
        if self.is_matrix_form:
            return self.latent_noise + self.recording_noise * jnp.linalg.inv(self.gain)
        return self.latent_noise + self.recording_noise / self.gain

    @property
    def total_aligned_power(self) -> Float[Array, ""]:
        """‖Pβ‖², the squared length of the task weights inside the brain-sensitive subspace."""
        # Of alike latents it is held as a sum.
        return jnp.trace(self.aligned_power) if self.is_matrix_form else jnp.sum(self.aligned_power)

    @property
    def total_power(self) -> Float[Array, ""]:
        """‖β‖², the squared length of the task weights."""
        return self.total_aligned_power + self.misaligned_power

    @property
    def relative_misalignment(self) -> Float[Array, ""]:
        """m/‖β‖², the share of the task that no recording can reach; in [0, 1]."""
        return self.misaligned_power / self.total_power

    @property
    def task_snr(self) -> Float[Array, ""]:
        """‖β‖²/σ², variance of the predictable part of a label over that of its noise."""
        return self.total_power / self.task_noise

    @property
    def gamma(self) -> Float[Array, ""]:
        """The constant γ = (d − k) βᵀA Σenc Aᵀβ − m tr Σenc of the paper's Appendix C.2.

        Its sign says whether the learned subspace is, to first order, worse (γ > 0) or better
        (γ < 0) than the true one for this task.
        """
        noise = self.encoding_noise
        aligned = jnp.sum(self.aligned_power * noise)
        return self.outside_dim * aligned - self.misaligned_power * self.trace(noise)


class TracedProblem(ProblemNumbers):
    """A problem whose sizes are traced: one program serves problems of all sizes.

    Closed forms compute with this one; users never meet it. Spectra have one entry for all latents
    that are alike, and are filled up with entries that count for nothing: see `_alike`. What
    depends on sizes in another way than by arithmetic is decided before:
    `directions_are_estimated`, whether there are known channels, more than latents. An unknown
    number of channels is that of the latents.
    """

    input_dim: AnyArray
    latent_dim: AnyArray
    recording_dim: AnyArray
    counts: AnyArray
    """How many latents each entry of the spectra stands for; with matrices 1 for each latent."""
    directions_are_estimated: bool = eqx.field(static=True)

    def trace(self, noises: Array) -> Array:
        """Sum over all latents of what a spectrum, or a matrix, says of each."""
        if self.is_matrix_form:
            return jnp.trace(noises)
        # As a sum it is fused with what makes the spectrum; a product would have to wait for it.
        return jnp.sum(self.counts * noises)

    def with_traced_sizes(self) -> TracedProblem:
        """Itself."""
        return self


class Problem(ProblemNumbers):
    """What the closed forms need to know about recordings and task, and nothing else.

    A `Problem` holds a few scalars and the spectra of a linear-Gaussian model, so that planning for
    10 000 voxels costs no more than planning for ten. Get one from `LinearGaussianModel.problem()`,
    from `Problem.isotropic(...)`, or by hand:

    >>> import jaxbrain as jb
    >>> problem = jb.Problem(input_dim=24, latent_dim=2, recording_dim=16, latent_noise=0.3,
    ...                      gain=[8.0, 4.0], recording_noise=1.0, aligned_power=[0.5, 0.3],
    ...                      misaligned_power=0.2, task_noise=1.0)
    >>> [round(float(noise), 3) for noise in problem.encoding_noise]
    [0.425, 0.55]

    It is an Equinox module whose numbers are leaves: differentiate through it, or stack problems
    and `jax.vmap` over them. Dimensions are static. Closed forms are compiled for a number of
    kinds of latents (noise and gain), rounded up, and then serve any numbers of inputs, latents and
    channels.

    A problem has one of two forms. Where the latent noise and the readout's Gram matrix HᵀH share
    an eigenbasis, `latent_noise`, `gain` and `aligned_power` are spectra of length k in that basis.
    In general they are k × k matrices, all three: Σz, HᵀH, and the outer product of Aᵀβ with
    itself. Every closed form takes both, and answers the same where both apply; spectra are faster.

    **Arguments**

    - `input_dim`: number d of inputs. At least 2.
    - `latent_dim`: number k of measured latents, 1 <= k < d.
    - `recording_dim`: number p of recording channels, p >= k. `None` leaves out the correction for
      directions estimated in channel space, as for p = k. More channels come with more `gain`.
    - `latent_noise`: variance v of each latent's neural variability, in units of the variance that
      one unit of input gives a latent. Shape (k,), (k, k) or a scalar. At least 0.
    - `gain`: eigenvalues h² of HᵀH, the summed squared pooling weights. Shape (k,), (k, k) or a
      scalar. Greater than 0.
    - `recording_noise`: variance σr² of a channel's measurement noise, the same for each. A scalar,
      at least 0.
    - `aligned_power`: squared coordinates c² of the part of the task weights β inside the
      brain-sensitive subspace. Shape (k,) or (k, k).
    - `misaligned_power`: m = ‖Kβ‖², the squared length of the part outside. A scalar, at least 0.
    - `task_noise`: variance σ² of the label noise. A scalar, greater than 0.
    - `geometry`: how latents and task lie in the spectrum of inputs that are not white, as
      `LinearGaussianModel.problem`, `Problem.power_law` and `Problem.from_features` give it. All
      numbers above are then variances, and the powers are those of its weights.

    **Raises**

    `ValueError` that names the argument and the remedy: shapes that do not fit, negative or
    infinite numbers, a covariance that is none, a task of length 0.

    **Source**

    Lewis et al., arXiv:2605.09243, for the quantities; the reduction to spectra is derived in
    docs/theory.md.
    """

    input_dim: int = eqx.field(static=True)
    latent_dim: int = eqx.field(static=True)
    recording_dim: int | None = eqx.field(static=True)
    geometry: InputGeometry | None

    def __init__(
        self,
        *,
        input_dim: Whole,
        latent_dim: Whole,
        recording_dim: Whole | None = None,
        latent_noise: Real | list,
        gain: Real | list,
        recording_noise: Real,
        aligned_power: AnyArray | list,
        misaligned_power: Real,
        task_noise: Real,
        geometry: InputGeometry | None = None,
    ):
        """See the class."""
        input_dim, latent_dim, recording_dim = check_dimensions(
            input_dim, latent_dim, recording_dim
        )
        latent_noise, gain, recording_noise, aligned_power, misaligned_power, task_noise = (
            as_floats(
                latent_noise=latent_noise,
                gain=gain,
                recording_noise=recording_noise,
                aligned_power=aligned_power,
                misaligned_power=misaligned_power,
                task_noise=task_noise,
            )
        )
        if aligned_power.ndim == 2:
            eye = jnp.eye(latent_dim, dtype=gain.dtype)
            latent_noise = latent_noise * eye if latent_noise.ndim == 0 else latent_noise
            gain = gain * eye if gain.ndim == 0 else gain
            shape, form = (latent_dim, latent_dim), "the matrix form needs all three as matrices"
        else:
            latent_noise = (
                jnp.broadcast_to(latent_noise, latent_dim)
                if latent_noise.ndim == 0
                else latent_noise
            )
            gain = jnp.broadcast_to(gain, latent_dim) if gain.ndim == 0 else gain
            shape, form = (latent_dim,), "one entry a latent, or matrices for all three"
        for name, value in (
            ("aligned_power", aligned_power),
            ("latent_noise", latent_noise),
            ("gain", gain),
        ):
            check_shape(name, value, shape, form)
        for name, value in (
            ("recording_noise", recording_noise),
            ("misaligned_power", misaligned_power),
            ("task_noise", task_noise),
        ):
            check_shape(name, value, (), "one number for all of them")
        for name, value, zero_allowed in (
            ("latent_noise", latent_noise, True),
            ("gain", gain, False),
            ("aligned_power", aligned_power, True),
            ("recording_noise", recording_noise, True),
            ("misaligned_power", misaligned_power, True),
            ("task_noise", task_noise, False),
        ):
            check_finite(name, value)
            if value.ndim < 2:
                check_positive(name, value, zero_allowed=zero_allowed)
            else:
                check_covariance(name, value)
                if not zero_allowed:
                    check_positive(name, jnp.linalg.eigvalsh(value))
        if is_concrete(aligned_power, misaligned_power) and not (
            np.any(np.asarray(aligned_power)) or np.asarray(misaligned_power) > 0
        ):
            raise ValueError(
                "aligned_power and misaligned_power are all 0: there is no task to learn"
            )
        self.latent_noise, self.gain, self.recording_noise = latent_noise, gain, recording_noise
        self.aligned_power, self.misaligned_power = aligned_power, misaligned_power
        self.task_noise = task_noise
        self.input_dim, self.latent_dim, self.recording_dim = input_dim, latent_dim, recording_dim
        if geometry is not None:
            if not isinstance(geometry, InputGeometry):
                raise ValueError(
                    "geometry must be that of another problem, as Problem.power_law makes it, but "
                    f"it is {kind_of(geometry)}"
                )
            check_geometry(geometry, input_dim, latent_dim)
        self.geometry = geometry
        self._check_sizes()

    def _check_sizes(self) -> None:
        """Raise where known numbers are so large or small that powers of them are none."""
        largest, noisiest = ranges(self.task_noise.dtype)
        for name in ("gain", "recording_noise", "task_noise"):
            check_range(name, getattr(self, name), largest, least=1 / largest)
        for name in ("aligned_power", "misaligned_power"):
            check_range(name, getattr(self, name), largest)
        check_range("latent_noise", self.latent_noise, noisiest)
        if is_concrete(self.aligned_power, self.misaligned_power):
            # NumPy's: a program of its own would have to be compiled for each number of latents.
            aligned = np.asarray(self.aligned_power)
            power = np.trace(aligned) if aligned.ndim == 2 else np.sum(aligned)
            power = power + np.asarray(self.misaligned_power)
            both = "aligned_power and misaligned_power together"
            check_range(both, power, largest, 1 / largest)
        if not is_concrete(self.gain, self.recording_noise) or not float(self.recording_noise):
            return
        noise, gain = float(self.recording_noise), np.asarray(self.gain)
        gain = np.linalg.eigvalsh(gain) if gain.ndim == 2 else gain
        if noise > noisiest * np.min(gain):
            raise ValueError(
                f"gain = {np.min(gain):g} is too small beside recording_noise = {noise:g}: leave "
                f"out latents whose noise is more than {noisiest:g}"
            )
        if noise * noisiest < np.max(gain):
            raise ValueError(
                f"recording_noise = {noise:g} is too small beside gain = {np.max(gain):g}: pass 0"
            )

    @classmethod
    def isotropic(
        cls,
        input_dim: Whole,
        latent_dim: Whole,
        task_snr: Real,
        misalignment: Real,
        encoding_noise: Real,
    ) -> Problem:
        """The simplest setting: every latent equally noisy and equally useful, many channels.

        >>> import jaxbrain as jb
        >>> problem = jb.Problem.isotropic(4096, 410, 0.1, 0.1, 0.54)
        >>> round(float(jb.expected_misalignment(problem, 36_000)), 4)
        0.1521

        **Arguments**

        - `input_dim`, `latent_dim`: as in `Problem`.
        - `task_snr`: ‖β‖²/σ², greater than 0.
        - `misalignment`: relative, m/‖β‖² in [0, 1]. The task weights have length 1.
        - `encoding_noise`: the common variance s of the latents as read out from the recordings.

        **Returns**

        A `Problem` of an unknown number of channels.

        **Raises**

        `ValueError` that names the argument: numbers out of their range, arrays.
        """
        input_dim, latent_dim, _ = check_dimensions(input_dim, latent_dim, None)
        task_snr, misalignment, encoding_noise = as_floats(
            task_snr=task_snr, misalignment=misalignment, encoding_noise=encoding_noise
        )
        check_between("misalignment", misalignment, 0, 1)
        if encoding_noise.ndim:
            check_shape("encoding_noise", encoding_noise, (latent_dim,), "or one number for all")
        check_finite("encoding_noise", encoding_noise)
        check_positive("encoding_noise", encoding_noise, zero_allowed=True)
        check_range("encoding_noise", encoding_noise, ranges(encoding_noise.dtype)[1])
        for name, value in (("task_snr", task_snr), ("misalignment", misalignment)):
            check_shape(name, value, (), "one number; map over several with jax.vmap")
        check_snr(task_snr)
        return cls(
            input_dim=input_dim,
            latent_dim=latent_dim,
            latent_noise=encoding_noise,
            gain=1.0,
            recording_noise=0.0,
            aligned_power=jnp.broadcast_to((1 - misalignment) / latent_dim, latent_dim),
            misaligned_power=misalignment,
            task_noise=1 / task_snr,
        )

    @classmethod
    def power_law(
        cls,
        input_dim: Whole,
        exponent: Real,
        latent_dim: Whole,
        task_snr: Real,
        misalignment: Real,
        latent_noise: Real,
        *,
        latent_alignment: Real = 1.0,
        task_alignment: Real = 1.0,
        gain: Real = 1.0,
        recording_noise: Real = 0.0,
        recording_dim: Whole | None = None,
        key: PRNGKeyArray | None = None,
    ) -> Problem:
        """Inputs whose spectrum falls as a power, i^−exponent, as features of images and sounds do.

        Latents respond to random directions, and the task depends on random ones beside theirs. How
        much they lean to strong inputs is a number: the i-th principal component holds a share of
        their variance in proportion to its own variance to the power of the alignment.

        >>> import jaxbrain as jb
        >>> problem = jb.Problem.power_law(200, 1.0, 5, task_snr=1.0, misalignment=0.1,
        ...                                latent_noise=0.5)
        >>> variances = problem.geometry.variances
        >>> round(float(variances[0] / variances[9]), 6), round(float(variances.mean()), 6)
        (10.0, 1.0)

        **Arguments**

        - `input_dim`, `latent_dim`, `gain`, `recording_noise`, `recording_dim`: as in `Problem`.
        - `exponent`: of the spectrum, whose mean is 1. 0 is white inputs.
        - `task_snr`: variance of the predictable part of a label over that of its noise.
        - `misalignment`: relative, the share of that variance which no recording can reach. What
          they reach depends on all latents alike.
        - `latent_noise`: of each latent, in units of the variance that inputs drive in it.
        - `latent_alignment`, `task_alignment`: powers, of the latents and of the part of the task
          that they do not show. 1 is what weights drawn alike for all principal components give; 0
          spreads variance evenly over components; below 0 weak ones lead.
        - `key`: of the random directions; `jax.random.key(0)` by default.

        **Returns**

        A `Problem` with a `geometry`.

        **Raises**

        `ValueError` that names the argument: numbers out of their range, arrays.

        **Source**

        Ours: docs/theory.md, "Inputs of any covariance".
        """
        input_dim, latent_dim, _ = check_dimensions(input_dim, latent_dim, recording_dim)
        (exponent,) = as_floats(exponent=exponent)
        check_shape("exponent", exponent, (), "one number; map over several with jax.vmap")
        check_between("exponent", exponent, 0, 10)
        logarithms = -exponent * jnp.log(jnp.arange(1, input_dim + 1, dtype=exponent.dtype))
        variances = jnp.exp(logarithms)
        return cls._random_directions(
            variances / jnp.mean(variances),
            latent_dim,
            task_snr,
            misalignment,
            latent_noise,
            latent_alignment,
            task_alignment,
            gain,
            recording_noise,
            recording_dim,
            key,
        )

    @classmethod
    def from_features(
        cls,
        features: AnyArray,
        latent_dim: Whole,
        task_snr: Real,
        misalignment: Real,
        latent_noise: Real,
        *,
        latent_alignment: Real = 1.0,
        task_alignment: Real = 1.0,
        gain: Real = 1.0,
        recording_noise: Real = 0.0,
        recording_dim: Whole | None = None,
        key: PRNGKeyArray | None = None,
    ) -> Problem:
        """Inputs of the spectrum that a user's own features have.

        >>> import numpy as np, jaxbrain as jb
        >>> features = np.random.default_rng(0).normal(size=(300, 8)) / np.arange(1, 9)
        >>> problem = jb.Problem.from_features(features, 2, 1.0, 0.1, 0.5)
        >>> problem.input_dim
        8

        **Arguments**

        - `features`: a row for each stimulus, shape (n, d). Rows should be many times the inputs:
          the spectrum of few is steeper than that of all that could be shown, and of rows no more
          than inputs some principal components are missing.
        - others: as in `power_law`.

        **Returns**

        A `Problem` with a `geometry`, of as many inputs as principal components have variance.

        **Raises**

        `ValueError` that names the argument: features that are none, numbers out of their range.

        **Source**

        Ours: docs/theory.md, "Inputs of any covariance".
        """
        check_known(features=features)
        # Known also where other arguments are traced.
        with jax.ensure_compile_time_eval():
            (features,) = as_floats(features=features)
            rows = np.asarray(features)
        check_shape("features", features, ("n", "d"), "one row a stimulus")
        check_finite("features", features)
        if len(rows) < 3 or not np.any(rows.std(axis=0) > 0):
            raise ValueError("features must have at least 3 rows that differ")
        unit = np.max(np.abs(rows))
        strengths = np.linalg.svd((rows - rows.mean(axis=0)) / unit, compute_uv=False)
        kept = strengths > strengths[0] * max(rows.shape) * np.finfo(rows.dtype).eps
        variances = unit**2 * strengths[kept] ** 2 / (len(rows) - 1)
        check_dimensions(len(variances), latent_dim, recording_dim)
        return cls._random_directions(
            jnp.asarray(variances),
            int(latent_dim),
            task_snr,
            misalignment,
            latent_noise,
            latent_alignment,
            task_alignment,
            gain,
            recording_noise,
            recording_dim,
            key,
        )

    @classmethod
    def _random_directions(
        cls,
        variances: Array,
        latent_dim: int,
        task_snr: Real,
        misalignment: Real,
        latent_noise: Real,
        latent_alignment: Real,
        task_alignment: Real,
        gain: Real,
        recording_noise: Real,
        recording_dim: Whole | None,
        key: PRNGKeyArray | None,
    ) -> Problem:
        numbers = {
            "task_snr": task_snr,
            "misalignment": misalignment,
            "latent_alignment": latent_alignment,
            "task_alignment": task_alignment,
        }
        checked = as_floats(**numbers)
        for name, value in zip(numbers, checked, strict=True):
            check_shape(name, value, (), "one number; map over several with jax.vmap")
            check_finite(name, value)
        task_snr, misalignment, latent_alignment, task_alignment = (
            value.astype(variances.dtype) for value in checked
        )
        check_snr(task_snr)
        check_between("misalignment", misalignment, 0, 1)
        check_between("latent_alignment", latent_alignment, -10, 10)
        check_between("task_alignment", task_alignment, -10, 10)
        if key is not None:
            check_key(key)
        directions, weights = _random_geometry(
            jr.key(0) if key is None else key,
            variances,
            misalignment,
            latent_alignment,
            task_alignment,
            latent_dim,
        )
        return cls(
            input_dim=len(variances),
            latent_dim=latent_dim,
            recording_dim=recording_dim,
            latent_noise=latent_noise,
            gain=gain,
            recording_noise=recording_noise,
            aligned_power=jnp.broadcast_to((1 - misalignment) / latent_dim, latent_dim),
            misaligned_power=misalignment,
            task_noise=1 / task_snr,
            geometry=InputGeometry(variances, directions, weights),
        )

    @property
    def known_geometry(self) -> InputGeometry:
        """The geometry, where there is one. White inputs have none."""
        if self.geometry is None:
            raise ValueError("problem has white inputs: there is no geometry")
        return self.geometry

    def with_traced_sizes(self) -> TracedProblem:
        """The same problem for a closed form to compile once: sizes are numbers like the others.

        Call it after all checks, on the way into `jax.jit`.

        **Raises** `ValueError` where inputs are not white: what calls it knows white inputs alone.
        """
        if self.geometry is not None:
            raise ValueError(
                "problem has inputs that are not white, which this closed form does not know: see "
                "risk, value, information_value and worth, or simulate by sweep"
            )
        dtype = self.task_noise.dtype
        channels = self.latent_dim if self.recording_dim is None else self.recording_dim
        latent_noise, gain, aligned_power, counts = _alike(
            self.latent_noise, self.gain, self.aligned_power
        )
        return TracedProblem(
            latent_noise,
            gain,
            self.recording_noise,
            aligned_power,
            self.misaligned_power,
            self.task_noise,
            input_dim=np.asarray(self.input_dim, dtype),
            latent_dim=np.asarray(self.latent_dim, dtype),
            recording_dim=np.asarray(channels, dtype),
            counts=counts,
            directions_are_estimated=channels > self.latent_dim,
        )


@partial(jax.jit, static_argnames="latent_dim")
def _random_geometry(
    key: PRNGKeyArray,
    variances: Array,
    misalignment: Array,
    latent_alignment: Array,
    task_alignment: Array,
    latent_dim: int,
) -> tuple[Array, Array]:
    """Directions of the latents, (d, k), and weights of a task of variance 1, (d,)."""
    d, dtype = len(variances), variances.dtype
    key_latents, key_task = jr.split(key)
    logarithms = jnp.log(variances / jnp.max(variances))
    drawn = jr.normal(key_latents, (d, latent_dim), dtype)
    directions = jnp.linalg.qr(jnp.exp(latent_alignment * logarithms / 2)[:, None] * drawn)[0]
    outside = jnp.exp(task_alignment * logarithms / 2) * jr.normal(key_task, (d,), dtype)
    outside = outside - directions @ (directions.T @ outside)
    inside = jnp.sum(directions, axis=1) / jnp.sqrt(jnp.asarray(latent_dim, dtype))
    missed = outside / jnp.linalg.norm(outside)
    return directions, jnp.sqrt(1 - misalignment) * inside + jnp.sqrt(misalignment) * missed


def _alike(noise: Array, gain: Array, power: Array) -> tuple[Array, Array, Array, AnyArray]:
    """Noise and gain of each kind of latents, their aligned power together, and how many they are.

    Where the numbers are traced, and in matrices, each latent is of its own kind. Otherwise kinds
    of which there are none fill the spectra up, so that few programs serve all numbers of latents.
    """
    if power.ndim == 2 or not is_concrete(noise, gain, power):
        return noise, gain, power, np.ones(power.shape[0], power.dtype)
    pairs = np.stack([np.asarray(noise), np.asarray(gain)])
    kinds, which, counts = np.unique(pairs, axis=1, return_inverse=True, return_counts=True)
    powers = np.bincount(which.ravel(), np.asarray(power))
    few = 1 << (counts.size - 1).bit_length()
    spare = min(few, -(-counts.size // _LATENTS_AT_A_TIME) * _LATENTS_AT_A_TIME) - counts.size
    kinds = np.pad(kinds, ((0, 0), (0, spare)), mode="edge")
    powers, counts = (np.pad(x, (0, spare)).astype(power.dtype) for x in (powers, counts))
    return jnp.asarray(kinds[0]), jnp.asarray(kinds[1]), jnp.asarray(powers), counts


def ranges(dtype: Any) -> tuple[float, float]:
    """The largest number that closed forms take, and the largest noise of a latent."""
    # Gains and noises of recordings come as products of four, noises of latents too.
    return (1e100, 1e60) if dtype == np.float64 else (1e15, 1e8)


def check_range(name: str, value: AnyArray, largest: float, least: float = 0.0) -> None:
    """Raise where a known number is larger than `largest`, or nearer to 0 than `least`."""
    if not is_concrete(value):
        return
    sizes = np.abs(np.asarray(value, float))
    if np.any(sizes > largest):
        raise ValueError(
            f"{name} must be at most {largest:g} in {value.dtype}, but it is as high as "
            f"{np.max(sizes):g}: measure in another unit"
        )
    # A matrix may hold numbers that are 0 but for rounding.
    sizes = np.diagonal(sizes) if sizes.ndim == 2 else sizes
    if np.any((sizes < least) & (sizes > 0)):
        raise ValueError(
            f"{name} must be {'0 or ' if name == 'recording_noise' else ''}at least {least:g} in "
            f"{value.dtype}, but it is as low as "
            f"{np.min(sizes[sizes > 0]):g}: measure in another unit"
        )


def check_snr(task_snr: Array) -> None:
    """Raise unless a known signal-to-noise ratio leaves a noise that floats can hold."""
    check_finite("task_snr", task_snr)
    check_positive("task_snr", task_snr)
    largest = ranges(task_snr.dtype)[0]
    check_range("task_snr", task_snr, largest, 1 / largest)


def check_dimensions(
    input_dim: Whole, latent_dim: Whole, recording_dim: Whole | None
) -> tuple[int, int, int | None]:
    """As whole numbers; raises unless 1 <= latent_dim < input_dim, latent_dim <= recording_dim."""
    input_dim = as_integer("input_dim", input_dim, 2)
    latent_dim = as_integer(
        "latent_dim",
        latent_dim,
        1,
        input_dim - 1,
        "recordings that span every input direction leave nothing to regularise",
    )
    if recording_dim is not None:
        recording_dim = as_integer(
            "recording_dim",
            recording_dim,
            latent_dim,
            None,
            "each latent needs a channel of its own",
        )
    return input_dim, latent_dim, recording_dim

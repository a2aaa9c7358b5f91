"""Studies with inputs of any covariance, and their test errors given each draw, in plain NumPy.

The brain stage is drawn from raw data. The task stage given what was learned is formula (30) of
docs/theory.md, so that a hundred draws are enough.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

ESTIMATORS = ("befs", "befs_two_penalties", "banded_ridge")


class Cell(NamedTuple):
    """A study: `spectrum` is an exponent, or "one" for a single large eigenvalue.

    `lost` is the share of a direction that channels of noise take at white inputs, ε of eq. 12.
    """

    d: int
    n_brain: int
    encoding_penalty: float
    spectrum: float | str
    k: int
    p: int
    lost: float
    alignment: float
    misalignment: float
    latent_noise: float
    task_noise: float


LEANINGS = (1.0, -1.0, 0.0, 2.0)


class Plan(NamedTuple):
    """Which studies are drawn: all spectra by all recordings by all latents, or a share of them.

    Recordings are pairs: n_brain in units of d, and encoding penalties in units of the mean
    variance. Channels are pairs, too: how many for each latent, and `lost`.
    """

    d: int
    latents: tuple[int, ...]
    share: float
    draws: int
    spectra: tuple[float | str, ...]
    recorded: tuple[tuple[float, float], ...]
    channels: tuple[tuple[int, float], ...]


_FIRST = {
    "spectra": (0.0, 0.5, 1.0, 2.0, "one"),
    "recorded": (
        *((0.2, 0.3), (0.2, 0.03), (0.5, 0.1), (1.1, 0.0), (1.1, 1e-4), (1.1, 0.03)),
        *((2.0, 0.01), (4.0, 0.0), (10.0, 0.001)),
    ),
    "channels": ((1, 1e-6), (4, 0.003), (4, 0.3), (40, 0.03), (40, 0.3), (40, 2.0)),
}
# Drawn after the threshold of the warning had been set, at other sizes, spectra and penalties, and
# with more noise in the channels.
_SECOND = {
    "spectra": (0.3, 0.75, 1.5, 2.0, "one"),
    "recorded": (
        *((0.3, 0.1), (0.3, 0.01), (0.7, 0.03), (1.3, 0.0), (1.3, 1e-3), (1.3, 0.1)),
        *((3.0, 0.03), (6.0, 0.0), (6.0, 0.01)),
    ),
    "channels": ((1, 1e-6), (10, 0.01), (10, 0.1), (20, 0.3), (20, 1.0), (80, 0.1)),
}
PLANS = {
    "rows": (Plan(30, (1, 3, 7, 15), 0.5, 100, **_FIRST), Plan(200, (6, 16), 0.35, 20, **_FIRST)),
    "check": (Plan(50, (2, 5, 12), 0.5, 100, **_SECOND), Plan(150, (4, 15), 0.35, 25, **_SECOND)),
}


def grid(plan: Plan) -> Iterator[Cell]:
    """The studies of a plan; what it does not fix is at random in each."""
    d, channels = plan.d, plan.channels
    rng = np.random.default_rng(d)
    for spectrum in plan.spectra:
        for share, penalty in plan.recorded:
            n_brain = max(round(share * d), d + 3) if penalty == 0 else round(share * d)
            for k in (k for k in plan.latents if 2 * k <= n_brain):
                wider, lost = channels[rng.integers(len(channels))]
                cell = Cell(
                    d, n_brain, penalty, spectrum, k, max(wider * k, k + 1), lost,
                    float(rng.choice(LEANINGS)), float(rng.choice((0.1, 0.4))),
                    float(rng.choice((0.1, 0.5, 2.0))), float(rng.choice((0.2, 1.0, 5.0))),
                )  # fmt: skip
                if rng.uniform() < plan.share:
                    yield cell


class Study(NamedTuple):
    """A cell in arrays; the task has length 1 in coordinates of variance 1."""

    variances: np.ndarray
    directions: np.ndarray
    weights: np.ndarray
    gain: np.ndarray
    recording_noise: float


def study_of(cell: Cell) -> Study:
    """Random directions of latents that lean to strong or weak inputs; gains from 0.5 to 2."""
    d, k = cell.d, cell.k
    rng = np.random.default_rng([d, k, cell.n_brain])
    rank = np.arange(1, d + 1.0)
    one = cell.spectrum == "one"
    variances = np.where(rank == 1, d, 1.0) if one else rank ** -float(cell.spectrum)
    variances /= variances.mean()
    lean = (variances / variances.max()) ** (cell.alignment / 2)
    directions = np.linalg.qr(lean[:, None] * rng.normal(size=(d, k)))[0]
    missed = np.sqrt(variances) * rng.normal(size=d)
    missed -= directions @ (directions.T @ missed)
    weights = np.sqrt((1 - cell.misalignment) / k) * directions.sum(axis=1)
    weights += np.sqrt(cell.misalignment) * missed / np.linalg.norm(missed)
    strength = cell.n_brain + d * cell.latent_noise
    noise = strength * np.sqrt(cell.lost / (d * (cell.p - k)))
    return Study(variances, directions, weights, np.geomspace(0.5, 2.0, k), float(noise))


def prior_variances(
    rng: np.random.Generator, cell: Cell, study: Study, seconds: dict[str, np.ndarray]
) -> Iterator[tuple[str, int, np.ndarray, np.ndarray]]:
    """One draw: prior variances in coordinates of variance 1, and the squared task there.

    For each estimator and each of its second penalties, over the outside one.
    """
    root, (d, k) = np.sqrt(study.variances), study.directions.shape
    n, p = cell.n_brain, cell.p
    white = rng.normal(size=(n, d))
    inputs = white * root
    latents = white @ study.directions + np.sqrt(cell.latent_noise) * rng.normal(size=(n, k))
    recordings = np.sqrt(study.recording_noise) * rng.normal(size=(n, p))
    recordings[:, :k] += latents * np.sqrt(study.gain)
    gram = inputs.T @ inputs + n * cell.encoding_penalty * np.eye(d)
    lower = np.linalg.cholesky(gram)
    fitted = np.linalg.solve(lower, inputs.T @ recordings)
    leading = np.linalg.svd(fitted, full_matrices=False)[0][:, :k]
    basis = np.linalg.qr(np.linalg.solve(lower.T, leading))[0] * root[:, None]
    encoder = np.linalg.solve(lower.T, fitted) * root[:, None]
    for name in ESTIMATORS:
        for place, second in enumerate(seconds[name]):
            if name == "banded_ridge":
                prior = np.diag(study.variances) + encoder @ encoder.T / second
            else:
                # Inside the penalty is the second one; of a penalty of 0 as good as nothing is
                # left at this share.
                prior = np.diag(study.variances) + basis @ basis.T * (1 / max(second, 1e-9) - 1)
            variances, axes = np.linalg.eigh(prior)
            yield name, place, np.maximum(variances, 1e-12), (axes.T @ study.weights) ** 2


def risk(
    prior: np.ndarray, power: np.ndarray, noise: float, n_task: float, penalty: float, free: int
) -> float:
    """Formula (30) at one penalty a sample.

    The `free` last directions, which no penalty holds, are regressed out: (7).
    """
    held, labels = n_task * penalty / prior[: len(prior) - free], n_task - free
    low, high = np.log(1e-12 * labels), np.log(labels)
    for _ in range(50):
        middle = (low + high) / 2
        x = np.exp(middle)
        low, high = (middle, high) if x + np.sum(x / (held + x)) < labels else (low, middle)
    x = np.exp((low + high) / 2)
    left = float(formula(x / (held + x), power[: len(held)], noise, x))
    return left + ((noise + left) * free / (labels - 1) if free else 0.0)


def formula(a: np.ndarray, power: np.ndarray, noise: float, x: np.ndarray | float) -> np.ndarray:
    """Formula (30), over the last axis of a."""
    m1, m2, m3, m4 = (np.sum(a**i, axis=-1, keepdims=True) for i in (1, 2, 3, 4))
    omega = 1 / (np.asarray(x)[..., None] + m1 - m2)
    mu, nu, theta = omega * (m2 - m3), omega * (m3 - m4), omega * m2
    e2, e3 = theta * mu - omega * m3, theta * nu - omega * m4
    inner = (mu - a) * (2 * e2 + theta) + 2 * mu * e2 + 2 * e2 - 3 * e3 - theta * a
    inner += (1 + theta) * a**2 - 2 * a * (mu - a) * (1 + theta)
    bias = np.sum(power * (1 - a) ** 2 * (1 + theta + omega * inner), axis=-1)
    variance = (3 * mu + 4 * mu**2 - 3 * nu) * m2 - (2 + 4 * mu) * m3 + 3 * m4
    return bias + noise * (omega * (m2 + omega * variance))[..., 0]


class RidgeCurve:
    """How many labels ridge at its best penalty needs for a test error."""

    def __init__(self, study: Study, noise: float) -> None:
        z = np.geomspace(1e-5, 1e5, 300) / study.variances.max()
        known = z[:, None] * study.variances
        self.a, self.power, self.noise = known / (1 + known), study.weights**2, noise
        self.labels = np.geomspace(1.0, 1e5, 120)
        self.least = np.array([self._least(n) for n in self.labels])

    def _least(self, n_task: float) -> float:
        x = n_task - self.a.sum(axis=1)
        some = x > 1e-3
        return float(np.min(formula(self.a[some], self.power, self.noise, x[some])))

    def labels_for(self, wanted: float) -> float:
        falling = -np.log(np.minimum.accumulate(self.least))
        return float(np.exp(np.interp(-np.log(wanted), falling, np.log(self.labels))))

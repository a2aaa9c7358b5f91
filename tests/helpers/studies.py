"""Made-up studies in the form of a user's own arrays."""

import numpy as np

from jaxbrain.pilot import ESTIMATORS, pilot_data


def study(seed=0, n=400, d=12, k=2, p=20, aligned=True, noise=0.5):
    """Recordings of a k-dimensional subspace, and two tasks inside (or outside) it."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(n, d)) + 3.0
    latents = inputs[:, :k] + 0.2 * rng.normal(size=(n, k))
    recordings = latents @ rng.normal(size=(k, p)) + noise * rng.normal(size=(n, p)) - 5.0
    weights = np.zeros((d, 2))
    weights[slice(0, k) if aligned else slice(k, 2 * k)] = rng.normal(size=(k, 2))
    targets = inputs @ weights + 0.7 * rng.normal(size=(n, 2)) + 100.0
    return inputs, recordings, targets


def shared(**options):
    inputs, recordings, targets = study(**options)
    return pilot_data(inputs=inputs, recordings=recordings, targets=targets)


def means(evaluation):
    errors = np.asarray(evaluation.errors).mean(axis=(1, 2))
    return dict(zip(ESTIMATORS, errors, strict=True))


def run_of_a_scanner(seed, n=150, d=12, p=20):
    """Inputs, and noise that recordings and targets share, each slow: no effect of the inputs."""
    rng = np.random.default_rng(seed)
    slow = rng.normal(size=(n, d + 1))
    for row in range(1, n):
        slow[row] = 0.95 * slow[row - 1] + np.sqrt(1 - 0.95**2) * slow[row]
    inputs, noise = slow[:, :d], slow[:, d:]
    recordings = noise + 0.3 * rng.normal(size=(n, p))
    return pilot_data(
        inputs=inputs, recordings=recordings, targets=noise + 0.3 * rng.normal(size=(n, 1))
    )


INPUTS, RECORDINGS, TARGETS = study(n=60)
ARRAYS = {"inputs": INPUTS, "recordings": RECORDINGS, "targets": TARGETS}


def check_is_the_study(found):
    """The study of these arrays, number by number."""
    np.testing.assert_array_equal(found.brain_inputs, INPUTS)
    np.testing.assert_array_equal(found.task_inputs, INPUTS)
    np.testing.assert_array_equal(found.recordings, RECORDINGS)
    np.testing.assert_array_equal(found.targets, TARGETS)
    assert found.shared_rows
    assert found.target_names == ("0", "1")


NAMES = np.array(["animal", "plant", "tool"])


def study_of_classes(seed=0, n=400, d=30, k=2, p=20, shuffled=False, columns=1):
    """Words for three classes, which depend on the latents that recordings show."""
    rng = np.random.default_rng(seed)
    inputs = rng.normal(size=(n, d))
    latents = inputs[:, :k]
    recordings = latents @ rng.normal(size=(k, p)) + 0.5 * rng.normal(size=(n, p))
    axes = 2.5 * np.array([[1.0, 0.0], [-0.5, 0.8], [-0.5, -0.8]])
    codes = [np.argmax(latents @ axes.T + rng.gumbel(size=(n, 3)), axis=1) for _ in range(columns)]
    if shuffled:
        recordings = rng.permutation(recordings)
    return inputs, recordings, NAMES[np.stack(codes, axis=1)]


def of_classes(**options):
    inputs, recordings, targets = study_of_classes(**options)
    return pilot_data(inputs=inputs, recordings=recordings, targets=targets)

"""Whether a claim agrees with samples."""

import numpy as np


def agrees(claim, samples, allowance=0.0):
    """Whether claims lie within 4 standard errors, plus a relative allowance, of the means."""
    mean = samples.mean(0)
    error = samples.std(0, ddof=1) / np.sqrt(len(samples))
    return bool(np.all(np.abs(np.asarray(claim) - mean) <= 4 * error + allowance * mean))

"""How colours look: on white, and to readers with colour-blindness. Taken from definitions."""

import itertools

import numpy as np
from matplotlib.colors import to_rgb

# Machado, Oliveira and Fernandes (2009), no cones of one kind, for linear RGB.
VISION = {
    "all cones": np.eye(3),
    "no long": [
        [0.152286, 1.052583, -0.204868],
        [0.114503, 0.786281, 0.099216],
        [-0.003882, -0.048116, 1.051998],
    ],
    "no middle": [
        [0.367322, 0.860646, -0.227968],
        [0.280085, 0.672501, 0.047413],
        [-0.011820, 0.042940, 0.968881],
    ],
    "no short": [
        [1.255528, -0.076749, -0.178779],
        [-0.078411, 0.930809, 0.147602],
        [0.004733, 0.691367, 0.303900],
    ],
}
TO_XYZ = np.array([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]])


def _linear(colour):
    shown = np.array(to_rgb(colour))
    return np.where(shown <= 0.04045, shown / 12.92, ((shown + 0.055) / 1.055) ** 2.4)


def contrast_with_white(colour):
    """The ratio of WCAG: 3 is enough for lines and points."""
    return 1.05 / (_linear(colour) @ TO_XYZ[1] + 0.05)


def _lab(linear):
    ratio = TO_XYZ @ np.clip(linear, 0, 1) / TO_XYZ.sum(axis=1)
    x, y, z = np.where(ratio > 216 / 24389, np.cbrt(ratio), (24389 / 27 * ratio + 16) / 116)
    return np.array([116 * y - 16, 500 * (x - y), 200 * (y - z)])


def least_difference(colours):
    """Of any two of these, to any reader, in units of CIELAB: 1 can just be seen, side by side."""
    return min(
        np.linalg.norm(_lab(matrix @ _linear(one)) - _lab(matrix @ _linear(other)))
        for matrix in map(np.array, VISION.values())
        for one, other in itertools.combinations(colours, 2)
    )
